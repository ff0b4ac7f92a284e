"""What textbook likelihoods have in common: two integrals, the estimate, the curvature, three kinds of intervals."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import integrate, stats
from scipy.optimize import brentq
from scipy.special import expit, logit

from bayesnn.arguments import check_arguments
from bayesnn.errors import SpecError
from bayesnn.theory.results import Result

if TYPE_CHECKING:
    import pandas as pd


LINKS: dict[str, tuple[Callable, Callable, Callable]] = {
    "logit": (logit, expit, lambda p: 1 / (p * (1 - p))),
    "log": (np.log, np.exp, lambda v: 1 / v),
    "identity": (lambda v: v, lambda v: v, lambda v: 1.0),
    "exp": (np.exp, np.log, np.exp),
}
"""Changes of variable: there, back, and the derivative."""


@dataclass(frozen=True, repr=False, eq=False)
class TextbookLikelihood(Result):
    """A likelihood of independent observations, from `textbook_likelihood`; prints as a table.

    Its methods take the parameters one after the other, as numbers or as arrays that broadcast.

    Parameters
    ----------
    data : array (n,)
        The observations.
    """

    data: np.ndarray
    family: ClassVar[str]
    bounds: ClassVar[dict[str, tuple[float, float]]]
    links: ClassVar[dict[str, str]]
    discrete: ClassVar[bool] = True

    def _values(self, theta):
        raise NotImplementedError

    def _law(self, *theta: Any) -> Any:
        """Distribution of one observation, of scipy.stats."""
        raise NotImplementedError

    def support(self, *theta: float) -> np.ndarray:
        """Possible observations, but for a share of 1e-18: all of them, or the ends of an interval.

        Parameters
        ----------
        *theta : float
            The parameters.

        Returns
        -------
        array
            Whole numbers from 0 on; of a normal sample (2,).
        """
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return tuple(self.bounds)

    @property
    def n(self) -> int:
        """Number of observations."""
        return len(self.data)

    def log_likelihood(self, *theta: ArrayLike) -> np.ndarray:
        """Log-likelihood, from sufficient statistics, so that no product is formed.

        Parameters
        ----------
        *theta : array
            The parameters.

        Returns
        -------
        array
            Of their common shape; -inf where they are out of bounds.
        """
        if len(theta) != len(self.names):
            raise SpecError(f"Got {len(theta)} values; the parameters are {', '.join(self.names)}. Write one of each.")
        theta = np.broadcast_arrays(*[np.asarray(t, dtype=float) for t in theta])
        inside = np.logical_and.reduce(
            [(t >= low) & (t <= high) for t, (low, high) in zip(theta, self.bounds.values(), strict=True)]
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(inside, self._values(theta), -np.inf)

    def likelihood(self, *theta: ArrayLike) -> np.ndarray:
        """Likelihood: the exponential of `log_likelihood`."""
        return np.exp(self.log_likelihood(*theta))

    def nll(self, *theta: ArrayLike) -> np.ndarray:
        """Negative log-likelihood."""
        return 0.0 - self.log_likelihood(*theta)

    def density(self, y: ArrayLike, *theta: ArrayLike) -> np.ndarray:
        """Probability or density of a possible observation while the parameters are fixed.

        Parameters
        ----------
        y : array
            Possible observations.
        *theta : array
            The parameters.

        Returns
        -------
        array
            Of their common shape.
        """
        law = self._law(*theta)
        return law.pmf(y) if self.discrete else law.pdf(y)

    def over_data(self, *theta: float) -> float:
        """Sum or integrate the likelihood over all data sets of this size while the parameters are fixed.

        Parameters
        ----------
        *theta : float
            The parameters.

        Returns
        -------
        float
            One, but for rounding: the n-th power of the sum or integral over one observation, found numerically.
        """
        law = self._law(*theta)
        if self.discrete:
            one = float(np.sum(law.pmf(self.support(*theta))))
        else:
            one = integrate.quad(law.pdf, *self.support(*theta), epsabs=1e-14, limit=200)[0]
        return one**self.n

    @property
    def log_over_parameters(self) -> float:
        """Logarithm of the likelihood's integral over all parameters while the data are fixed, in closed form."""
        raise NotImplementedError

    @cached_property
    def mle(self) -> dict[str, float]:
        """Maximum likelihood estimate, in closed form."""
        raise NotImplementedError

    def _information(self):
        raise NotImplementedError

    @property
    def at_border(self) -> bool:
        """Whether the estimate is at the end of what the parameter may be, where the slope need not vanish."""
        return any(v in self.bounds[name] for name, v in self.mle.items())

    @property
    def information(self) -> np.ndarray:
        """Observed Fisher information (k, k): minus the second derivatives of the log-likelihood at the estimate.

        Infinite at a border, the limit as the estimate goes there.
        """
        return np.full((1, 1), np.inf) if self.at_border else np.diag(self._information())

    @property
    def standard_error(self) -> np.ndarray:
        """Standard errors (k,), from the inverse of the information; 0 at a border."""
        return 1 / np.sqrt(np.diag(self.information))

    def wald(self, prob: float = 0.95, *, transformed: bool = False) -> np.ndarray:
        """Intervals from the curvature at the estimate.

        Parameters
        ----------
        prob : float
            Probability of the intervals.
        transformed : bool
            Make them for the logit of a probability, the log of a rate or sd, and take their ends back: another
            interval, since the curvature is not that of the same parabola.

        Returns
        -------
        array (k, 2)
            Lower and upper ends, which may lie out of bounds unless transformed. At a border the interval is a point,
            or, transformed, NaN.
        """
        check_arguments(prob=prob)
        z, at = stats.norm.isf((1 - prob) / 2), np.array(list(self.mle.values()))
        half = z * self.standard_error[:, None] * np.array([-1.0, 1.0])
        if not transformed:
            return at[:, None] + half
        if self.at_border:
            return np.full((1, 2), np.nan)
        links = [LINKS[self.links[name]] for name in self.names]
        return np.array([back(to(a) + slope(a) * h) for (to, back, slope), a, h in zip(links, at, half, strict=True)])

    def profile(self, name: str, value: float) -> float:
        """Log-likelihood of one parameter, the others at their best for it.

        Parameters
        ----------
        name : str
            The parameter.
        value : float
            Its value.

        Returns
        -------
        float
            Of a likelihood with one parameter, the log-likelihood.
        """
        return float(self.log_likelihood(value))

    def likelihood_ratio(self, prob: float = 0.95) -> np.ndarray:
        """Intervals of the parameters whose profile log-likelihood is within half a chi-squared quantile of the best.

        They are invariant: those of the logit are the logits of these. They exist at a border too.

        Parameters
        ----------
        prob : float
            Probability of the intervals, exact as n grows.

        Returns
        -------
        array (k, 2)
            Lower and upper ends.
        """
        check_arguments(prob=prob)
        level = float(self.log_likelihood(*self.mle.values())) - stats.chi2.ppf(prob, 1) / 2
        return np.array([[self._end(name, side, level) for side in (0, 1)] for name in self.names])

    def _end(self, name, side, level):
        """Where the profile falls to a level, below or above the estimate."""
        at, bound = self.mle[name], self.bounds[name][side]
        if at == bound:
            return at

        def excess(value):
            return self.profile(name, value) - level

        # Towards a bound the steps halve the distance to it, otherwise they double.
        step = 1 / self.n if self.at_border else self.standard_error[self.names.index(name)]
        far = at
        while excess(far) > 0:
            far = (far + bound) / 2 if np.isfinite(bound) else at + (2 * side - 1) * step
            step *= 2
        return brentq(excess, *sorted((at, far)), xtol=1e-300, rtol=1e-15)

    def intervals(self, prob: float = 0.95) -> "pd.DataFrame":
        """Estimates with their standard errors and the three kinds of intervals.

        Parameters
        ----------
        prob : float
            Probability of the intervals.

        Returns
        -------
        DataFrame
            A row for each parameter.
        """
        import pandas as pd

        out = pd.DataFrame({"MLE": self.mle, "standard error": dict(zip(self.names, self.standard_error, strict=True))})
        kinds = {
            "Wald": self.wald(prob),
            "Wald transformed": self.wald(prob, transformed=True),
            "likelihood ratio": self.likelihood_ratio(prob),
        }
        for kind, ends in kinds.items():
            out[f"{kind} low"], out[f"{kind} high"] = ends.T
        return out

    @property
    def table(self) -> "pd.DataFrame":
        """Estimates, standard errors and 95% intervals, a row for each parameter."""
        return self.intervals()

    @property
    def message(self) -> str:
        """What the likelihood is of, where it is largest, and its two integrals."""
        at = tuple(self.mle.values())
        where = ", ".join(f"{name} = {value:.6g}" for name, value in self.mle.items())
        log_over = self.log_over_parameters
        over = f"{np.exp(log_over):.6g}" if log_over > -700 else f"exp({log_over:.6g})"
        sums = "sums" if self.discrete else "integrates"
        words = [
            f"{self.family} likelihood of n = {self.n}: largest at {where}, where the NLL is {self.nll(*at):.10g}.",
            f"Over all data it {sums} to {self.over_data(*at):.8g} while the parameter is fixed; over "
            f"{' and '.join(self.names)} it integrates to {over} while the data are fixed, so it is no density "
            "of the parameter.",
        ]
        if self.at_border:
            words.append("The MLE is at the border: the Wald interval is a point; that of the likelihood ratio is not.")
        return " ".join(words)
