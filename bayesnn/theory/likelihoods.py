"""Likelihoods of textbooks: of the parameter while the data are fixed, densities of the data while it is fixed."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import betaln, gammaln, xlog1py, xlogy

from bayesnn.arguments import check_name, is_scale
from bayesnn.errors import DataError, NoMLEError, SpecError
from bayesnn.theory.textbook import TextbookLikelihood


@dataclass(frozen=True, repr=False, eq=False)
class BinomialLikelihood(TextbookLikelihood):
    """Successes in a known number of trials each, with probability p.

    Parameters
    ----------
    data : array (n,)
        Successes.
    trials : int
        Trials of each observation.
    """

    trials: int
    family: ClassVar[str] = "Binomial"
    bounds = {"p": (0.0, 1.0)}  # noqa: RUF012
    links = {"p": "logit"}  # noqa: RUF012

    @property
    def successes(self) -> float:
        """Successes in all observations."""
        return float(self.data.sum())

    @property
    def failures(self) -> float:
        """Failures in all observations."""
        return self.n * self.trials - self.successes

    @property
    def _ways(self):
        """Logarithm of the product of binomial coefficients."""
        return float(np.sum(-betaln(self.data + 1, self.trials - self.data + 1) - np.log(self.trials + 1)))

    def _values(self, theta):
        return xlogy(self.successes, theta[0]) + xlog1py(self.failures, -theta[0]) + self._ways

    def _law(self, *theta: Any) -> Any:
        return stats.binom(self.trials, *theta)

    def support(self, *theta: float) -> np.ndarray:
        """All numbers of successes."""
        return np.arange(self.trials + 1)

    @property
    def log_over_parameters(self) -> float:
        """Logarithm of B(s + 1, f + 1) for s successes and f failures, and of the binomial coefficients."""
        return float(betaln(self.successes + 1, self.failures + 1)) + self._ways

    @cached_property
    def mle(self) -> dict[str, float]:
        """Share of successes."""
        return {"p": self.successes / (self.n * self.trials)}

    def _information(self):
        p = self.mle["p"]
        return [self.n * self.trials / (p * (1 - p))]


@dataclass(frozen=True, repr=False, eq=False)
class BernoulliLikelihood(BinomialLikelihood):
    """Zeros and ones, with probability p of a one: one trial each.

    Parameters
    ----------
    data : array (n,)
        Zeros and ones.
    """

    trials: int = 1
    family: ClassVar[str] = "Bernoulli"

    @property
    def _ways(self):
        return 0.0

    def density(self, y: ArrayLike, *theta: ArrayLike) -> np.ndarray:
        """Probability of a one or a zero: p and 1 - p as they are, which scipy.stats gives to 15 digits."""
        y, p = np.asarray(y), np.asarray(theta[0], dtype=float)
        return np.where(y == 1, p, np.where(y == 0, 1 - p, 0.0))


@dataclass(frozen=True, repr=False, eq=False)
class PoissonLikelihood(TextbookLikelihood):
    """Counts with a common rate.

    Parameters
    ----------
    data : array (n,)
        Counts.
    """

    family: ClassVar[str] = "Poisson"
    bounds = {"rate": (0.0, np.inf)}  # noqa: RUF012
    links = {"rate": "log"}  # noqa: RUF012

    @property
    def _factorials(self):
        return float(gammaln(self.data + 1).sum())

    def _values(self, theta):
        return xlogy(self.data.sum(), theta[0]) - self.n * theta[0] - self._factorials

    def _law(self, *theta: Any) -> Any:
        return stats.poisson(*theta)

    def support(self, *theta: float) -> np.ndarray:
        """All counts that have any probability in floating-point numbers."""
        return np.arange(theta[0] + 12 * np.sqrt(theta[0]) + 40)

    @property
    def log_over_parameters(self) -> float:
        """Logarithm of Gamma(s + 1) / n^(s + 1) for the sum s, less that of the factorials."""
        s = self.data.sum()
        return float(gammaln(s + 1) - (s + 1) * np.log(self.n)) - self._factorials

    @cached_property
    def mle(self) -> dict[str, float]:
        """Mean count."""
        return {"rate": float(self.data.mean())}

    def _information(self):
        return [self.n / self.mle["rate"]]


@dataclass(frozen=True, repr=False, eq=False)
class NormalLikelihood(TextbookLikelihood):
    """Numbers with a common mean mu and standard deviation sigma.

    Parameters
    ----------
    data : array (n,)
        Numbers.
    """

    family: ClassVar[str] = "Normal"
    discrete: ClassVar[bool] = False
    bounds = {"mu": (-np.inf, np.inf), "sigma": (0.0, np.inf)}  # noqa: RUF012
    links = {"mu": "identity", "sigma": "log"}  # noqa: RUF012

    @property
    def squares(self) -> float:
        """Sum of squared deviations from the mean."""
        return float(np.sum((self.data - self.data.mean()) ** 2))

    def _values(self, theta):
        mu, sigma = theta
        total = self.squares + self.n * (self.data.mean() - mu) ** 2
        value = -self.n * np.log(sigma) - total / (2 * sigma**2) - self.n / 2 * np.log(2 * np.pi)
        return np.where((sigma == 0) & (total > 0), -np.inf, value)

    def _law(self, *theta: Any) -> Any:
        return stats.norm(*theta)

    def support(self, *theta: float) -> np.ndarray:
        """Ten standard deviations to either side of the mean."""
        law = self._law(*theta)
        return law.mean() + 10 * law.std() * np.array([-1.0, 1.0])

    @property
    def log_over_parameters(self) -> float:
        """Logarithm of the integral over mu and sigma, which is infinite for two numbers and fewer."""
        n, half = self.n, self.squares / 2
        if n < 3 or not half:
            return np.inf
        power = (n - 2) / 2
        over_sigma = gammaln(power) - power * np.log(half) - np.log(2)
        return float(over_sigma - (n - 1) / 2 * np.log(2 * np.pi) - np.log(n) / 2)

    @cached_property
    def mle(self) -> dict[str, float]:
        """Mean, and root mean square of the deviations from it."""
        return {"mu": float(self.data.mean()), "sigma": float(np.sqrt(self.squares / self.n))}

    def _information(self):
        variance = self.mle["sigma"] ** 2
        return [self.n / variance, 2 * self.n / variance]

    def profile(self, name: str, value: float) -> float:
        """Log-likelihood of mu with the best sigma for it, or of sigma with the best mu."""
        if name == "sigma":
            return float(self.log_likelihood(self.data.mean(), value))
        return float(self.log_likelihood(value, np.sqrt(np.mean((self.data - value) ** 2))))


@dataclass(frozen=True, repr=False, eq=False)
class MeanLikelihood(NormalLikelihood):
    """Numbers with a common mean mu and a known standard deviation.

    Parameters
    ----------
    data : array (n,)
        Numbers.
    sigma : float
        Their standard deviation.
    """

    sigma: float
    bounds = {"mu": (-np.inf, np.inf)}  # noqa: RUF012

    def _values(self, theta):
        return super()._values((theta[0], self.sigma))

    def _law(self, *theta: Any) -> Any:
        return stats.norm(theta[0], self.sigma)

    @property
    def log_over_parameters(self) -> float:
        """Logarithm of the integral over mu, a Gaussian one."""
        return float(self.log_likelihood(self.data.mean()) + np.log(self.sigma * np.sqrt(2 * np.pi / self.n)))

    @cached_property
    def mle(self) -> dict[str, float]:
        """Mean."""
        return {"mu": float(self.data.mean())}

    def _information(self):
        return [self.n / self.sigma**2]

    def profile(self, name: str, value: float) -> float:
        """Log-likelihood of mu."""
        return float(self.log_likelihood(value))


FAMILIES = ("bernoulli", "binomial", "normal", "poisson")
"""Names of the families."""


def textbook_likelihood(
    family: Literal["bernoulli", "binomial", "normal", "poisson"],
    data: ArrayLike,
    *,
    trials: int | None = None,
    sigma: float | None = None,
) -> TextbookLikelihood:
    r"""Take the likelihood of a sample from a textbook.

    The same expression :math:`p(y \mid \theta)` is a density of the data y while the parameter is fixed, and sums or
    integrates to one over them; as a function of the parameter while the data are fixed it is the likelihood, and its
    integral is something else.

    Parameters
    ----------
    family : {"bernoulli", "binomial", "normal", "poisson"}
        Distribution of each observation.
    data : array (n,)
        Independent observations.
    trials : int, optional
        Trials of each binomial observation.
    sigma : float, optional
        Known standard deviation of a normal sample. None makes it a parameter, beside the mean mu.

    Returns
    -------
    TextbookLikelihood
        With the methods ``likelihood``, ``log_likelihood``, ``nll`` of the parameters, ``density`` of an observation,
        ``over_data`` and ``log_over_parameters``, the two integrals; ``mle``, ``information``, ``standard_error``,
        ``wald``, ``likelihood_ratio``, ``intervals``.

    Raises
    ------
    UnknownNameError
        Another family.
    DataError
        Data that it can't have.
    SpecError
        Trials or sigma of another family, or that are no such numbers.
    NoMLEError
        A normal sample without spread: its likelihood grows without bound as sigma shrinks.

    See Also
    --------
    conjugate_posterior : The same with a prior.
    underflow : What becomes of the product.

    References
    ----------
    Y. Pawitan, "In All Likelihood", Oxford University Press (2001), chapters 2 and 3.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesnn.theory import textbook_likelihood
    >>> coin = textbook_likelihood("bernoulli", [0, 0, 0, 1, 0])
    >>> coin.mle, round(float(coin.nll(0.2)), 10)
    ({'p': 0.2}, 2.5020121177)
    >>> round(coin.over_data(0.2), 12), round(1 / float(np.exp(coin.log_over_parameters)), 9)
    (1.0, 30.0)
    >>> coin.likelihood_ratio(0.95).round(4)
    array([[0.0126, 0.6282]])
    """
    check_name("family", family, FAMILIES)
    given = {"trials": (trials, "binomial", "trials=10"), "sigma": (sigma, "normal", "sigma=1.0")}
    for name, (value, owner, _) in given.items():
        if value is not None and family != owner:
            raise SpecError(f"Got {name}={value!r} for a {family} sample; only {owner} ones have it. Leave it out.")
    y = _checked(family, data, trials)
    if family == "binomial":
        return BinomialLikelihood(y, int(trials))  # type: ignore[arg-type]
    if family == "normal":
        if sigma is not None and not is_scale(sigma):
            raise SpecError(f"Got sigma={sigma!r}; it must be a positive finite number. Write sigma=1.0.")
        if sigma is None and not np.ptp(y):
            raise NoMLEError(
                f"Got {len(y)} equal number{'s' * (len(y) > 1)}; the likelihood grows without bound as sigma shrinks. "
                "Write sigma=1.0, the known standard deviation, or bring data that differ.",
                mu=float(y[0]),
            )
        return NormalLikelihood(y) if sigma is None else MeanLikelihood(y, float(sigma))
    return BernoulliLikelihood(y) if family == "bernoulli" else PoissonLikelihood(y)


def _checked(family, data, trials):
    """Observations as floats, if the family can have them."""
    try:
        y = np.array(data, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"Got data={data!r}; they must be numbers. Write such as [0, 0, 1].") from None
    if y.ndim != 1 or not y.size or not np.isfinite(y).all():
        raise DataError(
            f"Got data of shape {y.shape}{'' if np.isfinite(y).all() else ' with NaN or infinity'}; they must be one "
            "or more finite numbers in a row. Write such as [0, 0, 1]."
        )
    if family == "normal":
        return y
    if family == "binomial" and (isinstance(trials, bool) or not isinstance(trials, int | np.integer) or trials < 1):
        raise SpecError(f"Got trials={trials!r}; it must be a positive integer. Write trials=10.")
    top = {"bernoulli": 1, "binomial": trials, "poisson": np.inf}[family]
    wrong = y[(y != np.round(y)) | (y < 0) | (y > top)]
    if wrong.size:
        raise DataError(
            f"Got {wrong[0]:g} among the data; {family} data are whole numbers from 0 to {top}. Drop it, or choose "
            "another family."
        )
    return y
