"""Losses of counts, and the likelihoods that they are."""

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, override

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, expit, gammaln, pdtr

from bayesnn.data.target import known_of, values_of
from bayesnn.errors import DataError
from bayesnn.formulas import Formula, fn
from bayesnn.losses.base import Loss, _column, _exp, _pair, _scale, best_noise

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

_MOST = 1e10
"""Largest count k: log p is a difference of numbers like k log k, whose last digits must not matter."""
_MOST_LOG = 43.0
"""Largest logarithm of a mean whose counts fit into integers."""
_FEW = 32
"""Terms of a sum that are added one by one; the rest is an integral with the corrections of Euler and Maclaurin."""


def log_rising(y: ArrayLike, a: ArrayLike) -> np.ndarray:
    r"""Evaluate :math:`\sum_{j<y} \log(1 + a j)`, which is zero at a = 0, without the cancellation of log Gamma.

    Parameters
    ----------
    y : array
        Whole numbers; broadcasts with `a`.
    a : array
        Positive.

    Returns
    -------
    array
        :math:`\log\Gamma(y + 1/a) - \log\Gamma(1/a) + y \log a`.
    """
    y, a = np.broadcast_arrays(np.asarray(y, dtype=float), np.asarray(a, dtype=float))
    out = sum((np.where(y > j, np.log1p(a * j), 0.0) for j in range(min(_FEW, int(y.max(initial=0.0))))), np.zeros(()))

    def beyond(x):
        """Antiderivative of log(1 + a x), less half of it, and multiples of its derivatives of odd order."""
        one = 1.0 + a * x
        q = a / one
        return one / a * np.log1p(a * x) - x - 0.5 * np.log1p(a * x) + q / 12 - q**3 / 360 + q**5 / 1260 - q**7 / 1680

    return np.where(y > _FEW, out + beyond(np.maximum(y, _FEW)) - beyond(np.float64(_FEW)), out)


class _Counts(Loss):
    """Whole numbers from zero on; what is known of a row is its exposure, by which the mean is multiplied."""

    task = "count"
    given: ClassVar[tuple[str, ...]] = ("exposure",)

    @override
    def check_target(self, y: ArrayLike, *, classes: int | None = None) -> np.ndarray:
        y = _column(self, y, "counts")
        wrong = y[(y < 0) | (y % 1 != 0)]
        if wrong.size:
            raise DataError(
                f"Got the count {wrong[0]:g}; counts must be the integers 0, 1, 2, ... Use "
                "loss='squared_error' for a target that is negative or has fractions, or undo the scaling of y."
            )
        if y.max() > _MOST:
            raise DataError(
                f"Got the count {y.max():.6g}; the likelihood of a count above {_MOST:g} is lost in rounding. Count in "
                "larger units, or model the logarithm with loss='squared_error'."
            )
        return y.astype(np.int64)

    @override
    def output_names(self, y: ArrayLike) -> list[str]:
        return ["log_rate"]

    @override
    def coefficients(self, *, noise: ArrayLike | None = None) -> tuple[Any, Any]:
        return 1.0, partial(self.b_of_y, noise=noise) if self.has_noise else self.b_of_y

    @override
    def sides(self, y: np.ndarray) -> np.ndarray:
        return np.where(values_of(y) == 0, -1, 0)

    @override
    def mean(
        self,
        f: np.ndarray,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
        exposure: ArrayLike = 1.0,
    ) -> np.ndarray:
        return _exp(np.asarray(f, dtype=float) + np.log(exposure)[..., None])


def _per_exposure(y, f):
    """Return y, and f with the logarithms of the exposures added."""
    known = known_of(y)
    y, f = _pair(values_of(y), f, 1)
    return y, f[..., 0] + np.log(known["exposure"]) if "exposure" in known else f[..., 0]


def _means(log_mean):
    """Return means of counts to draw, where counts fit into integers."""
    if np.any(log_mean > _MOST_LOG):
        raise DataError(
            f"Got a log-rate of {log_mean.max():.3g}; counts above exp(43) do not fit into integers. The network "
            "extrapolates: scale X, use a narrower prior, or ask for mean() in place of draws."
        )
    return np.exp(log_mean)


class Poisson(_Counts):
    r"""Poisson loss for counts with a log-rate as output, the loss of a Poisson likelihood.

    Notes
    -----
    loss = e exp(f) - y (f + log e), a = 1, b = log y!, with the exposure e of `bnn.target`, 1 if not given. Here b
    depends on y, though not on f: it moves no optimum, but belongs to the log-likelihood.

    References
    ----------
    McCullagh, P. and Nelder, J. A. (1989). Generalized Linear Models, 2nd edition, chapter 6. Chapman and Hall.

    Examples
    --------
    >>> import numpy as np
    >>> import bayesnn as bnn
    >>> loss = bnn.losses.Poisson()
    >>> print(f"{loss.logp(np.array([2]), np.zeros((1, 1)))[0]:.6f} {loss.b_of_y([2])[0]:.6f}")
    -1.693147 0.693147
    """

    name = "poisson"
    likelihood = "Poisson"
    formula = Formula(lambda y, f: fn.exp(f) - y * f, ("y", "f"), by=1, ours=True)
    _table = ("exp(f) - y f", "1", "log(y!)", "no scale")

    @override
    def loss(
        self, y: ArrayLike, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None
    ) -> np.ndarray:
        return self.formula(*_per_exposure(y, f))

    @override
    def b_of_y(self, y: ArrayLike, *, noise: ArrayLike | None = None) -> np.ndarray:
        return gammaln(np.asarray(values_of(y), dtype=float) + 1)

    @override
    def saturated(self, y: np.ndarray, *, noise: float | None = None) -> float:
        from scipy.special import xlogy

        y = values_of(y)
        return float(np.sum(xlogy(y, y) - y - gammaln(y + 1)))

    @override
    def variance(self, f: np.ndarray, *, noise: ArrayLike | None = None, exposure: ArrayLike = 1.0) -> np.ndarray:
        return self.mean(f, exposure=exposure)

    @override
    def sample(
        self,
        f: np.ndarray,
        rng: np.random.Generator,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
        exposure: ArrayLike = 1.0,
    ) -> np.ndarray:
        return rng.poisson(_means(np.asarray(f, dtype=float)[..., 0] + np.log(exposure)))

    @override
    def cdf(
        self,
        y: ArrayLike,
        f: np.ndarray,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
        exposure: ArrayLike = 1.0,
    ) -> np.ndarray:
        k = np.floor(np.reshape(y, (-1, 1)))
        return np.where(k < 0, 0.0, pdtr(np.maximum(k, 0.0), np.minimum(self.mean(f, exposure=exposure), 1e300)))

    @override
    def observe(
        self,
        f: "TensorVariable",
        y: Any,
        *,
        noise: Any = None,
        cutpoints: Any = None,
        dims: tuple[str, ...],
        exposure: Any = 1.0,
    ) -> "TensorVariable":
        import pymc as pm

        return pm.Poisson("y", mu=pm.math.exp(f[:, 0]) * exposure, observed=y, dims=dims)


class NegativeBinomial(_Counts):
    r"""Loss of overdispersed counts with a log-mean as output, that of a negative binomial likelihood.

    A Poisson likelihood whose rate varies from row to row beyond what the inputs explain: it is multiplied by a gamma
    variable of mean 1 and standard deviation `noise`. The variance is :math:`\mu + s^2 \mu^2`; with s to zero it is
    the Poisson likelihood. Elsewhere the dispersion is :math:`\alpha = s^2` (R, statsmodels) or :math:`1 / s^2`
    (PyMC).

    Notes
    -----
    loss = (1 / s^2 + y) log(1 + s^2 mu) - y f with mu = e exp(f), a = 1, b = log y! - sum_(j<y) log(1 + s^2 j). Counts
    that vary no more than a Poisson variable have no noise MLE: the likelihood rises towards s = 0.

    References
    ----------
    Hilbe, J. M. (2011). Negative Binomial Regression, 2nd edition. Cambridge University Press; there NB2.

    Examples
    --------
    >>> import numpy as np
    >>> import bayesnn as bnn
    >>> loss = bnn.losses.NegativeBinomial()
    >>> print(f"{loss.logp(np.array([2]), np.zeros((1, 1)), noise=1.0)[0]:.6f}, of 1/8: {np.log(1 / 8):.6f}")
    -2.079442, of 1/8: -2.079442
    """

    name = "negative_binomial"
    likelihood = "NegativeBinomial"
    has_noise = True
    noise_is_shape = True
    formula = Formula(
        lambda y, f, noise: (noise**-2 + y) * fn.softplus(f + 2.0 * fn.log(noise)) - y * f,
        ("y", "f", "noise"),
        by=1,
        ours=True,
    )
    _table = ("(1/s² + y) log(1 + s² exp(f)) - y f", "1", "log(y!) - Σ_(j<y) log(1 + s² j)", "numerically")

    @override
    def loss(
        self, y: ArrayLike, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None
    ) -> np.ndarray:
        return self.formula(*_per_exposure(y, f), _scale(self, noise)[..., None])

    @override
    def b_of_y(self, y: ArrayLike, *, noise: ArrayLike | None = None) -> np.ndarray:
        y = np.asarray(values_of(y), dtype=float)
        return gammaln(y + 1) - log_rising(y, _scale(self, noise)[..., None] ** 2)

    @override
    def noise_mle(self, y: ArrayLike, f: np.ndarray) -> float | None:
        return best_noise(lambda noise: float(self.logp(y, f, noise=noise).sum()))

    @override
    def saturated(self, y: np.ndarray, *, noise: float | None = None) -> float:
        values = values_of(y)
        f = np.log(np.maximum(values, 1e-300))[:, None]
        return float(self.logp(values, f, noise=noise).sum())

    @override
    def variance(self, f: np.ndarray, *, noise: ArrayLike | None = None, exposure: ArrayLike = 1.0) -> np.ndarray:
        mean = self.mean(f, exposure=exposure)
        with np.errstate(over="ignore"):
            return mean + (_scale(self, noise)[..., None, None] * mean) ** 2

    @override
    def sample(
        self,
        f: np.ndarray,
        rng: np.random.Generator,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
        exposure: ArrayLike = 1.0,
    ) -> np.ndarray:
        mean = _means(np.asarray(f, dtype=float)[..., 0] + np.log(exposure))
        index = np.broadcast_to(_scale(self, noise)[..., None] ** -2, mean.shape)
        return rng.poisson(np.minimum(mean * rng.gamma(index) / index, np.exp(_MOST_LOG)))

    @override
    def cdf(
        self,
        y: ArrayLike,
        f: np.ndarray,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
        exposure: ArrayLike = 1.0,
    ) -> np.ndarray:
        k, index = np.floor(np.reshape(y, (-1, 1))), _scale(self, noise)[..., None, None] ** -2
        share = index / (index + np.minimum(self.mean(f, exposure=exposure), 1e300))
        return np.where(k < 0, 0.0, betainc(index, np.maximum(k, 0.0) + 1.0, share))

    @override
    def observe(
        self,
        f: "TensorVariable",
        y: Any,
        *,
        noise: Any = None,
        cutpoints: Any = None,
        dims: tuple[str, ...],
        exposure: Any = 1.0,
    ) -> "TensorVariable":
        import pymc as pm

        noise = self._noise_of(noise)
        return pm.NegativeBinomial("y", mu=pm.math.exp(f[:, 0]) * exposure, alpha=noise**-2, observed=y, dims=dims)


class Binomial(_Counts):
    r"""Loss of successes in a known number of trials with the log odds as output, that of a binomial likelihood.

    The trials come with the target: ``bnn.target(successes, trials=n)``.

    Notes
    -----
    loss = n log(1 + exp(f)) - y f, a = 1, b = -log of the binomial coefficient. With one trial in each row it is
    `BinaryCrossEntropy`; rows of the same inputs may be added up, which moves b alone.

    References
    ----------
    McCullagh, P. and Nelder, J. A. (1989). Generalized Linear Models, 2nd edition, chapter 4. Chapman and Hall.

    Examples
    --------
    >>> import numpy as np
    >>> import bayesnn as bnn
    >>> loss, y = bnn.losses.Binomial(), bnn.target([1], trials=2)
    >>> loss.logp(y, np.zeros((1, 1))).round(6), loss.mean(np.zeros((1, 1)), trials=np.array([2]))
    (array([-0.693147]), array([[1.]]))
    """

    name = "binomial"
    likelihood = "Binomial"
    given: ClassVar[tuple[str, ...]] = ("trials",)
    needed: ClassVar[tuple[str, ...]] = ("trials",)
    formula = Formula(lambda y, f, trials: trials * fn.softplus(f) - y * f, ("y", "f", "trials"), by=1, ours=True)
    _table = ("n log(1 + exp(f)) - y f", "1", "-log C(n, y)", "no scale")

    @override
    def output_names(self, y: ArrayLike) -> list[str]:
        return ["logit"]

    @override
    def check_known(self, y: np.ndarray, known: dict[str, np.ndarray]) -> None:
        wrong = y > known["trials"]
        if wrong.any():
            at = int(np.argmax(wrong))
            raise DataError(
                f"Got {y[at]} successes in {known['trials'][at]:g} trials at row {at}; there can't be more. Check "
                "which column is which: bnn.target(successes, trials=n)."
            )

    @override
    def loss(
        self, y: ArrayLike, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None
    ) -> np.ndarray:
        values, f = _pair(values_of(y), f, 1)
        return self.formula(values, f[..., 0], self._trials(y))

    def _trials(self, y):
        """Return the trials of each row, or raise where they are missing."""
        self.check_given(known_of(y))
        return known_of(y)["trials"]

    @override
    def b_of_y(self, y: ArrayLike, *, noise: ArrayLike | None = None) -> np.ndarray:
        n, k = self._trials(y), np.asarray(values_of(y), dtype=float)
        return gammaln(k + 1) + gammaln(n - k + 1) - gammaln(n + 1)

    @override
    def sides(self, y: np.ndarray) -> np.ndarray:
        k = values_of(y)
        return np.where(k == 0, -1, 0) + np.where(k == self._trials(y), 1, 0)

    @override
    def saturated(self, y: np.ndarray, *, noise: float | None = None) -> float:
        from scipy.special import xlogy

        n, k = self._trials(y), values_of(y)
        return float(np.sum(xlogy(k, k / n) + xlogy(n - k, 1 - k / n) - self.b_of_y(y)))

    @override
    def mean(  # type: ignore[override]  # trials in place of exposure
        self,
        f: np.ndarray,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
        trials: ArrayLike = 1.0,
    ) -> np.ndarray:
        return np.asarray(trials)[..., None] * expit(f)

    @override
    def variance(self, f: np.ndarray, *, noise: ArrayLike | None = None, trials: ArrayLike = 1.0) -> np.ndarray:
        return np.asarray(trials)[..., None] * expit(f) * expit(-np.asarray(f))

    @override
    def sample(
        self,
        f: np.ndarray,
        rng: np.random.Generator,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
        trials: ArrayLike = 1.0,
    ) -> np.ndarray:
        return rng.binomial(np.asarray(trials).astype(np.int64), expit(np.asarray(f, dtype=float)[..., 0]))

    @override
    def cdf(
        self,
        y: ArrayLike,
        f: np.ndarray,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
        trials: ArrayLike = 1.0,
    ) -> np.ndarray:
        n, k = np.asarray(trials, dtype=float)[..., None], np.floor(np.reshape(y, (-1, 1)))
        inside = betainc(np.maximum(n - k, 1.0), np.maximum(k, 0.0) + 1.0, expit(-np.asarray(f, dtype=float)))
        return np.where(k < 0, 0.0, np.where(k >= n, 1.0, inside))

    @override
    def observe(
        self,
        f: "TensorVariable",
        y: Any,
        *,
        noise: Any = None,
        cutpoints: Any = None,
        dims: tuple[str, ...],
        trials: Any = None,
    ) -> "TensorVariable":
        import pymc as pm

        return pm.Binomial("y", n=trials, logit_p=f[:, 0], observed=y, dims=dims)
