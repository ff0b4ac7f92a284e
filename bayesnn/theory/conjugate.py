"""Conjugate posteriors: MLE, MAP, mean and quantiles side by side, on two scales."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from scipy import stats
from scipy.special import digamma, logit

from bayesnn.arguments import check_arguments, is_scale
from bayesnn.errors import SpecError
from bayesnn.theory.likelihoods import BinomialLikelihood, MeanLikelihood, PoissonLikelihood
from bayesnn.theory.results import Result
from bayesnn.theory.textbook import LINKS, TextbookLikelihood

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False, eq=False)
class ConjugatePosterior(Result):
    """A posterior of the family of its prior, from `conjugate_posterior`; prints as a table.

    Parameters
    ----------
    likelihood : TextbookLikelihood
        The data.
    prior : tuple of float
        Parameters of the prior.
    """

    likelihood: TextbookLikelihood
    prior: tuple[float, float]
    family: ClassVar[str]
    link: ClassVar[str]

    @property
    def parameters(self) -> tuple[float, float]:
        """Parameters of the posterior, in the order of the prior's."""
        raise NotImplementedError

    @staticmethod
    def _law(first: float, second: float) -> Any:
        raise NotImplementedError

    @property
    def name(self) -> str:
        """Name of the parameter."""
        return self.likelihood.names[0]

    @property
    def law(self) -> Any:
        """The posterior, a frozen distribution of scipy.stats."""
        return self._law(*self.parameters)

    @property
    def map(self) -> float:
        """Peak of the density, at a border where it is highest there."""
        raise NotImplementedError

    @property
    def _elsewhere(self):
        """Peak and mean of the density of the transformed parameter, on its own scale."""
        raise NotImplementedError

    @property
    def log_evidence(self) -> float:
        """Log density of the data, averaged over the prior: likelihood times prior over posterior, at any point."""
        at = float(self.law.median())
        prior = self._law(*self.prior).logpdf(at)
        return float(self.likelihood.log_likelihood(at) + prior - self.law.logpdf(at))

    def estimates(self, prob: float = 0.95) -> "pd.DataFrame":
        """Make each estimate on the parameter's own scale, and on another one, from which it is taken back.

        Parameters
        ----------
        prob : float
            Probability between the two outer quantiles.

        Returns
        -------
        DataFrame
            Rows ``MLE, MAP, mean, median, lower, upper``; columns the parameter, the transformed one, and what the
            latter stands for. MLE and quantiles are the same by both ways, MAP and mean are not.
        """
        import pandas as pd

        check_arguments(prob=prob)
        to, back, _ = LINKS[self.link]
        mle = self.likelihood.mle[self.name]
        quantiles = self.law.ppf([0.5, (1 - prob) / 2, (1 + prob) / 2])
        own = np.array([mle, self.map, self.law.mean(), *quantiles])
        with np.errstate(divide="ignore"):
            other = np.array([to(mle), *self._elsewhere, *to(quantiles)])
        columns = {self.name: own, f"{self.link} {self.name}": other, f"{self.name} by way of {self.link}": back(other)}
        return pd.DataFrame(columns, index=["MLE", "MAP", "mean", "median", "lower", "upper"])

    @property
    def table(self) -> "pd.DataFrame":
        """The estimates, with quantiles at 2.5% and 97.5%."""
        return self.estimates()

    @property
    def message(self) -> str:
        """The posterior, and what depends on the scale."""
        own, _, by_way = self.estimates().loc[["MAP", "mean"]].to_numpy().T
        written = "{}({:g}, {:g})".format
        words = (
            f"{written(self.family, *self.prior)} prior and n = {self.likelihood.n}: the posterior of {self.name} is "
            f"{written(self.family, *self.parameters)}, the log evidence {self.log_evidence:.8g}. By way of "
            f"{self.link} {self.name} the MAP is {by_way[0]:.6g} instead of {own[0]:.6g}, and the mean {by_way[1]:.6g} "
            f"instead of {own[1]:.6g}; MLE, median and quantiles stay."
        )
        if self.map in self.likelihood.bounds[self.name]:
            return f"{words} The MAP is at the border."
        return words


@dataclass(frozen=True, repr=False, eq=False)
class BetaPosterior(ConjugatePosterior):
    """Of a probability."""

    family: ClassVar[str] = "Beta"
    link: ClassVar[str] = "logit"

    @property
    def parameters(self) -> tuple[float, float]:
        """Successes and failures, those of the prior among them."""
        data = cast(BinomialLikelihood, self.likelihood)
        return self.prior[0] + data.successes, self.prior[1] + data.failures

    _law = staticmethod(stats.beta)

    @property
    def map(self) -> float:
        """Peak of the density, at a border where it is highest there."""
        a, b = self.parameters
        # With one observation or more at least one of the two exceeds one.
        return (a - 1) / (a + b - 2) if min(a, b) >= 1 else float(a > b)

    @property
    def _elsewhere(self):
        a, b = self.parameters
        return logit(a / (a + b)), digamma(a) - digamma(b)


@dataclass(frozen=True, repr=False, eq=False)
class GammaPosterior(ConjugatePosterior):
    """Of a rate."""

    family: ClassVar[str] = "Gamma"
    link: ClassVar[str] = "log"

    @property
    def parameters(self) -> tuple[float, float]:
        """Counts and observations, those of the prior among them."""
        return self.prior[0] + float(self.likelihood.data.sum()), self.prior[1] + self.likelihood.n

    @staticmethod
    def _law(first: float, second: float) -> Any:
        return stats.gamma(first, scale=1 / second)

    @property
    def map(self) -> float:
        """Peak of the density, at 0 where the shape is at most one."""
        shape, rate = self.parameters
        return max(shape - 1, 0.0) / rate

    @property
    def _elsewhere(self):
        shape, rate = self.parameters
        return np.log(shape / rate), digamma(shape) - np.log(rate)


@dataclass(frozen=True, repr=False, eq=False)
class NormalPosterior(ConjugatePosterior):
    """Of a mean."""

    family: ClassVar[str] = "Normal"
    link: ClassVar[str] = "exp"

    @cached_property
    def parameters(self) -> tuple[float, float]:
        """Mean and standard deviation: precisions add, means are weighted by them."""
        data = cast(MeanLikelihood, self.likelihood)
        old, new = self.prior[1] ** -2, data.n / data.sigma**2
        return (old * self.prior[0] + new * float(data.data.mean())) / (old + new), (old + new) ** -0.5

    _law = staticmethod(stats.norm)

    @property
    def map(self) -> float:
        """Peak of the density, its mean."""
        return self.parameters[0]

    @property
    def _elsewhere(self):
        mean, sd = self.parameters
        return np.exp(mean - sd**2), np.exp(mean + sd**2 / 2)


def conjugate_posterior(likelihood: TextbookLikelihood, *, prior: tuple[float, float]) -> ConjugatePosterior:
    r"""Multiply a textbook likelihood by its conjugate prior, and compare what is made of the posterior.

    A maximum of the likelihood and the quantiles of the posterior do not depend on how the parameter is written. The
    peak of a density does, since a change of variable multiplies the density by its Jacobian, and so does a mean,
    since the mean of a function is not the function of the mean. Of a beta distribution the peak by way of the logit,
    and of a gamma distribution that by way of the logarithm, is the mean.

    Parameters
    ----------
    likelihood : TextbookLikelihood
        Bernoulli, binomial, Poisson, or normal with known sigma.
    prior : tuple of float
        Of a probability the two parameters of a beta distribution, where (1, 1) is uniform; of a rate shape and rate
        of a gamma distribution; of a mean the mean and standard deviation of a normal one.

    Returns
    -------
    ConjugatePosterior
        With ``law`` (of scipy.stats), ``map``, ``log_evidence`` and ``estimates``: on the scale of the parameter and
        by way of the logit of a probability, the log of a rate, the exponential of a mean.

    Raises
    ------
    SpecError
        A likelihood without a conjugate prior here, or parameters that no prior has.

    See Also
    --------
    compare_estimates : As n and the prior vary.

    References
    ----------
    A. Gelman et al., "Bayesian Data Analysis", third edition, CRC Press (2013), chapter 2.

    Examples
    --------
    >>> from bayesnn.theory import conjugate_posterior, textbook_likelihood
    >>> found = conjugate_posterior(textbook_likelihood("bernoulli", [0, 0, 0, 1, 0]), prior=(1, 1))
    >>> found.parameters, round(found.map, 10)
    ((2.0, 5.0), 0.2)
    >>> found.estimates()["p by way of logit"][["MAP", "mean"]].round(4).to_list()
    [0.2857, 0.2529]
    """
    kinds = {BinomialLikelihood: BetaPosterior, PoissonLikelihood: GammaPosterior, MeanLikelihood: NormalPosterior}
    kind = next((found for cls, found in kinds.items() if isinstance(likelihood, cls)), None)
    if kind is None:
        raise SpecError(
            f"Got {type(likelihood).__name__}; conjugate priors are here for Bernoulli, binomial, Poisson, and normal "
            "samples with known sigma. Write textbook_likelihood('normal', data, sigma=1.0)."
        )
    rule = {"Beta": "two positive numbers", "Gamma": "a positive shape and rate", "Normal": "a mean and a positive sd"}
    usual = {"Beta": (1, 1), "Gamma": (2, 1), "Normal": (0, 1)}[kind.family]
    valid = isinstance(prior, Sequence) and len(prior) == 2 and is_scale(prior[1])
    if not valid or not (np.isfinite(prior[0]) if kind.family == "Normal" else is_scale(prior[0])):
        raise SpecError(f"Got prior={prior!r}; it must be {rule[kind.family]}. Write prior={usual}.")
    return kind(likelihood, (float(prior[0]), float(prior[1])))
