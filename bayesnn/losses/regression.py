"""Losses of numbers, and the likelihoods that they are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, override

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf, erfinv, gammaln, ndtr, stdtr

from bayesnn.data import as_array
from bayesnn.data.target import known_of, values_of
from bayesnn.formulas import Formula, fn
from bayesnn.losses.base import Loss, _column, _exp, _pair, _scale, _set_parameter

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


_LOG_2PI = float(np.log(2 * np.pi))


class Location(Loss):
    r"""Regression with y = f + noise * u, u from one fixed density exp(-rho(u)) / Z, of which `formula` is rho."""

    task = "regression"
    has_noise = True
    given: ClassVar[tuple[str, ...]] = ("precision",)
    formula: ClassVar[Formula]
    in_noise: ClassVar[bool] = False
    """Whether the loss itself is in units of the noise, so that its shape changes with it."""
    tail_index: ClassVar[float] = np.inf
    mode: ClassVar[float] = 0.0
    """Where rho is smallest."""
    _loss_of_rho: ClassVar[float] = 1.0
    """What rho is multiplied by to be the loss that a practitioner minimises."""
    _unit_mean: ClassVar[float] = 0.0

    def rho(self, u: np.ndarray) -> np.ndarray:
        """Evaluate rho with NumPy."""
        return self.formula(u, *self.parameters)

    def _unit_variance(self):
        """Return the variance of u."""
        raise NotImplementedError

    def _unit_sample(self, rng, size):
        """Return draws of u."""
        raise NotImplementedError

    def _unit_cdf(self, u):
        """Return the distribution function of u."""
        raise NotImplementedError

    def _node(self, mu, noise, **kwargs):
        """Build the PyMC node around mu."""
        raise NotImplementedError

    def _residual(self, y, f):
        """Return y - f, shape (..., n, K), in units in which all rows have the same scale."""
        known, y = known_of(y), values_of(y)
        width = 1 if np.ndim(y) == 1 else np.shape(y)[-1]
        y, f = _pair(y, f, width)
        left = y.reshape(-1, width) - f
        return left * np.sqrt(known["precision"])[:, None] if "precision" in known else left

    def _scales(self, noise, precision):
        """Return the scales of rows, (..., 1, 1) or (..., n, 1)."""
        scale = _scale(self, noise)[..., None, None]
        return scale if precision is None else scale / np.sqrt(precision)[..., None]

    @override
    def b_of_y(self, y: ArrayLike, *, noise: ArrayLike | None = None) -> np.ndarray:
        out, known = super().b_of_y(y, noise=noise), known_of(y)
        targets = 1 if np.ndim(values_of(y)) == 1 else np.shape(values_of(y))[1]
        return out - 0.5 * targets * np.log(known["precision"]) if known else out

    @override
    def n_outputs(self, y: ArrayLike) -> int:
        y = self.check_target(y)
        return 1 if y.ndim == 1 else y.shape[1]

    @override
    def output_names(self, y: ArrayLike) -> list[str]:
        m = self.n_outputs(y)
        return ["target"] if m == 1 else [f"target_{k}" for k in range(m)]

    @override
    def check_target(self, y: ArrayLike, *, classes: int | None = None) -> np.ndarray:
        y = as_array(y, "y", ndim=(1, 2))
        return y.reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else y

    @override
    def loss(
        self, y: ArrayLike, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None
    ) -> np.ndarray:
        r = self._residual(y, f)
        if self.in_noise and noise is not None:
            r = r / _scale(self, noise)[..., None, None]
        return (self._loss_of_rho * self.rho(r)).sum(axis=-1)

    @override
    def mean(
        self,
        f: np.ndarray,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
        precision: ArrayLike | None = None,
    ) -> np.ndarray:
        f = np.asarray(f, dtype=float)
        return f + self._unit_mean * self._scales(noise, precision) if self._unit_mean else f

    @override
    def variance(
        self, f: np.ndarray, *, noise: ArrayLike | None = None, precision: ArrayLike | None = None
    ) -> np.ndarray:
        return np.zeros(np.shape(f)) + self._unit_variance() * self._scales(noise, precision) ** 2

    @override
    def sample(
        self,
        f: np.ndarray,
        rng: np.random.Generator,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
        precision: ArrayLike | None = None,
    ) -> np.ndarray:
        f = np.asarray(f, dtype=float)
        scale = self._scales(noise, precision)
        draws = f + scale * self._unit_sample(rng, np.broadcast_shapes(f.shape, scale.shape))
        return draws[..., 0] if f.shape[-1] == 1 else draws

    @override
    def saturated(self, y: np.ndarray, *, noise: float | None = None) -> float:
        known, values = known_of(y), values_of(y)
        at = self.mode * float(_scale(self, noise)) / np.sqrt(known.get("precision", np.ones(len(y))))[:, None]
        return float(self.logp(y, values.reshape(len(y), -1) - at, noise=noise).sum())

    @override
    def cdf(
        self,
        y: ArrayLike,
        f: np.ndarray,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
        precision: ArrayLike | None = None,
    ) -> np.ndarray:
        return self._unit_cdf(self._residual(y, f) / self._scales(noise, precision))

    @override
    def observe(
        self,
        f: "TensorVariable",
        y: Any,
        *,
        noise: Any = None,
        cutpoints: Any = None,
        dims: tuple[str, ...],
        precision: Any = None,
    ) -> "TensorVariable":
        noise = self._noise_of(noise)
        if precision is not None:
            noise = noise / (precision[:, None] if y.ndim == 2 else precision) ** 0.5
        return self._node(f if y.ndim == 2 else f[:, 0], noise, observed=y, dims=dims)


class SquaredError(Location):
    r"""Squared error, the loss of a Normal likelihood.

    Notes
    -----
    loss = (y - f)^2, a = 1 / (2 s^2), b = log s + log(2 pi) / 2, noise MLE = sqrt(mean (y - f)^2).

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, section 1.2.5. Springer.

    Examples
    --------
    The negative log-likelihood of -1, 0, 1 at its maximum:

    >>> import numpy as np
    >>> import bayesnn as bnn
    >>> loss = bnn.losses.SquaredError()
    >>> y, f = np.array([-1.0, 0.0, 1.0]), np.zeros((3, 1))
    >>> s = loss.noise_mle(y, f)
    >>> print(f"{s:.6f}, {-loss.logp(y, f, noise=s).sum():.6f}")
    0.816497, 3.648618
    """

    name = "squared_error"
    likelihood = "Normal"
    formula = Formula(lambda u: 0.5 * u**2, ("u",), ours=True)
    _loss_of_rho = 2.0
    _table = ("(y - f)²", "1/(2s²)", "log(s) + log(2π)/2", "sqrt(mean (y - f)²)")

    @override
    def coefficients(self, *, noise: ArrayLike | None = None) -> tuple[Any, Any]:
        s = _scale(self, noise)
        return 0.5 / s**2, np.log(s) + 0.5 * _LOG_2PI

    @override
    def noise_mle(self, y: ArrayLike, f: np.ndarray) -> float | None:
        return float(np.sqrt(np.mean(self._residual(y, f) ** 2)))

    @override
    def _unit_variance(self):
        return 1.0

    @override
    def _unit_cdf(self, u):
        return ndtr(u)

    @override
    def _unit_sample(self, rng, size):
        return rng.standard_normal(size)

    @override
    def _node(self, mu, noise, **kwargs):
        import pymc as pm

        return pm.Normal("y", mu=mu, sigma=noise, **kwargs)


class AbsoluteError(Location):
    """Absolute error, the loss of a Laplace likelihood; f is the median.

    Notes
    -----
    loss = |y - f|, a = 1 / s, b = log(2 s), noise MLE = mean |y - f|. The variance is 2 s^2.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> a, b = bnn.losses.AbsoluteError().coefficients(noise=0.5)
    >>> print(a, b)
    2.0 0.0
    """

    name = "absolute_error"
    smooth = False
    likelihood = "Laplace"
    formula = Formula(lambda u: abs(u), ("u",), ours=True)
    _table = ("|y - f|", "1/s", "log(2s)", "mean |y - f|")

    @override
    def coefficients(self, *, noise: ArrayLike | None = None) -> tuple[Any, Any]:
        s = _scale(self, noise)
        return 1 / s, np.log(2 * s)

    @override
    def noise_mle(self, y: ArrayLike, f: np.ndarray) -> float | None:
        return float(np.mean(np.abs(self._residual(y, f))))

    @override
    def _unit_variance(self):
        return 2.0

    @override
    def _unit_cdf(self, u):
        tail = 0.5 * np.exp(-np.abs(u))
        return np.where(u < 0, tail, 1.0 - tail)

    @override
    def _unit_sample(self, rng, size):
        return rng.laplace(size=size)

    @override
    def _node(self, mu, noise, **kwargs):
        import pymc as pm

        return pm.Laplace("y", mu=mu, b=noise, **kwargs)


@dataclass(frozen=True)
class Huber(Location):
    r"""Huber's loss, that of a density with a Normal centre and Laplace tails.

    Parameters
    ----------
    delta : float
        Where the square turns into a straight line, in units of the noise scale. 1.345 keeps 95% of the efficiency of
        the mean under Normal noise.

    Raises
    ------
    SpecError
        If delta is not positive and finite.

    Notes
    -----
    With u = (y - f) / s the loss is u^2 / 2 for |u| <= delta, else delta (|u| - delta / 2); a = 1 and
    b = log s + log Z with Z = sqrt(2 pi) erf(delta / sqrt 2) + (2 / delta) exp(-delta^2 / 2). The noise MLE solves
    mean(u rho'(u)) = 1. Because the loss is in units of s, its outlier threshold delta * s moves with the scale.

    References
    ----------
    Huber, P. J. (1964). Robust estimation of a location parameter. Annals of Mathematical Statistics 35, 73-101.

    Examples
    --------
    >>> import numpy as np
    >>> import bayesnn as bnn
    >>> bnn.losses.Huber(delta=1.0).loss(np.array([0.5, 3.0]), np.zeros((2, 1)))
    array([0.125, 2.5  ])
    """

    delta: float = 1.345

    name: ClassVar[str] = "huber"
    likelihood: ClassVar[str] = "Huber"
    in_noise: ClassVar[bool] = True
    formula: ClassVar[Formula] = Formula(
        lambda u, delta: fn.minimum(abs(u), delta) * (abs(u) - 0.5 * fn.minimum(abs(u), delta)),
        ("u", "delta"),
        ours=True,
    )
    _table = (
        "u²/2 if |u| ≤ δ else δ(|u| - δ/2), u = (y - f)/s",
        "1",
        "log(s) + log(sqrt(2π) erf(δ/sqrt(2)) + 2 exp(-δ²/2)/δ)",
        "root s of mean u ρ'(u) = 1",
    )

    def __post_init__(self):
        _set_parameter(self, "delta", np.inf, "Write Huber(1.345), the usual choice.")

    @property
    def _log_z(self):
        """Log of the integral of exp(-rho(u))."""
        centre = np.sqrt(2 * np.pi) * erf(self.delta / np.sqrt(2))
        return float(np.log(centre + 2 / self.delta * np.exp(-(self.delta**2) / 2)))

    @override
    def coefficients(self, *, noise: ArrayLike | None = None) -> tuple[Any, Any]:
        s = _scale(self, noise)
        return np.ones_like(s)[()], np.log(s) + self._log_z

    @override
    def noise_mle(self, y: ArrayLike, f: np.ndarray) -> float | None:
        r = np.abs(self._residual(y, f))
        if not r.any():
            return 0.0
        # u rho'(u) lies between delta |u| - delta^2 / 4 and u^2, which brackets the only root.
        low = self.delta * r.mean() / (1 + self.delta**2 / 4)
        return _root(lambda s: np.mean(np.minimum(r / s, self.delta) * r / s) - 1, low, np.sqrt(np.mean(r**2)))

    @override
    def _unit_variance(self):
        d, tail = self.delta, np.exp(-(self.delta**2) / 2)
        return (np.sqrt(2 * np.pi) * erf(d / np.sqrt(2)) + tail * (4 / d + 4 / d**3)) / np.exp(self._log_z)

    @override
    def _unit_cdf(self, u):
        d, z = self.delta, np.exp(self._log_z)
        tail = np.exp(d * d / 2 - d * np.maximum(np.abs(u), d)) / (d * z)
        middle = 0.5 + np.sqrt(2 * np.pi) / z * (ndtr(np.clip(u, -d, d)) - 0.5)
        return np.where(np.abs(u) <= d, middle, np.where(u < 0, tail, 1.0 - tail))

    @override
    def _unit_sample(self, rng, size):
        central = np.sqrt(2 * np.pi) * erf(self.delta / np.sqrt(2)) / np.exp(self._log_z)
        inside = np.sqrt(2) * erfinv(rng.random(size) * erf(self.delta / np.sqrt(2)))
        outside = self.delta + rng.exponential(1 / self.delta, size)
        return np.where(rng.random(size) < central, inside, outside) * rng.choice([-1.0, 1.0], size)

    @override
    def _node(self, mu, noise, **kwargs):
        import pymc as pm
        import pytensor.tensor as pt

        delta, log_z, edge = self.delta, self._log_z, float(erf(self.delta / np.sqrt(2)))
        central = np.sqrt(2 * np.pi) * edge / np.exp(log_z)

        def logp(value, mu, scale):
            u = pt.abs((value - mu) / scale)
            clipped = pt.minimum(u, delta)
            return -clipped * (u - clipped / 2) - pt.log(scale) - log_z

        # A symbolic `dist` and not a NumPy `random`: numba compiles it, where a NumPy function warns and runs slowly.
        def dist(mu, scale, size):
            inside = np.sqrt(2) * pt.erfinv(edge * pm.Uniform.dist(0, 1, size=size))
            outside = delta + pm.Exponential.dist(delta, size=size)
            u = pt.switch(pm.Bernoulli.dist(central, size=size), inside, outside)
            return mu + scale * u * (2 * pm.Bernoulli.dist(0.5, size=size) - 1)

        return pm.CustomDist("y", mu, noise, logp=logp, dist=dist, signature="(),()->()", class_name="Huber", **kwargs)


@dataclass(frozen=True)
class Quantile(Location):
    r"""Pinball loss, that of an asymmetric Laplace likelihood; f is the q-quantile, not the mean.

    Parameters
    ----------
    q : float
        The quantile to fit, between 0 and 1. q = 0.5 is the median: half the absolute error.

    Raises
    ------
    SpecError
        If q is not between 0 and 1.

    Notes
    -----
    With r = y - f: loss = max(q r, (q - 1) r), a = 1 / s, b = log s - log(q (1 - q)), noise MLE = mean loss. The mean
    is f + s (1 - 2 q) / (q (1 - q)) and the variance s^2 (1 / q^2 + 1 / (1 - q)^2). In PyMC's terms
    kappa = sqrt(q / (1 - q)) and b = sqrt(q (1 - q)) / s.

    References
    ----------
    Koenker, R. and Machado, J. A. F. (1999). Goodness of fit and related inference processes for quantile regression.
    Journal of the American Statistical Association 94, 1296-1310.

    Examples
    --------
    >>> import numpy as np
    >>> import bayesnn as bnn
    >>> bnn.losses.Quantile(q=0.9).loss(np.array([1.0, -1.0]), np.zeros((2, 1)))
    array([0.9, 0.1])
    """

    q: float = 0.5

    name: ClassVar[str] = "quantile"
    smooth: ClassVar[bool] = False
    likelihood: ClassVar[str] = "AsymmetricLaplace"
    formula: ClassVar[Formula] = Formula(lambda u, q: u * fn.switch(u < 0.0, q - 1.0, q), ("u", "q"), ours=True)
    _table = ("max(q r, (q - 1) r), r = y - f", "1/s", "log(s) - log(q (1 - q))", "mean loss")

    def __post_init__(self):
        _set_parameter(self, "q", 1, "Write Quantile(0.5), which is the median.")

    @property
    def _unit_mean(self):
        """Mean of u."""
        return 1 / self.q - 1 / (1 - self.q)

    @override
    def coefficients(self, *, noise: ArrayLike | None = None) -> tuple[Any, Any]:
        s = _scale(self, noise)
        return 1 / s, np.log(s) - np.log(self.q * (1 - self.q))

    @override
    def noise_mle(self, y: ArrayLike, f: np.ndarray) -> float | None:
        return float(np.mean(self.rho(self._residual(y, f))))

    @override
    def _unit_variance(self):
        return 1 / self.q**2 + 1 / (1 - self.q) ** 2

    @override
    def _unit_cdf(self, u):
        q = self.q
        return np.where(
            u < 0, q * np.exp((1 - q) * np.minimum(u, 0.0)), 1.0 - (1 - q) * np.exp(-q * np.maximum(u, 0.0))
        )

    @override
    def _unit_sample(self, rng, size):
        return rng.exponential(1 / self.q, size) - rng.exponential(1 / (1 - self.q), size)

    @override
    def _node(self, mu, noise, **kwargs):
        import pymc as pm

        return pm.AsymmetricLaplace(
            "y", mu=mu, b=np.sqrt(self.q * (1 - self.q)) / noise, q=np.float64(self.q), **kwargs
        )


@dataclass(frozen=True)
class StudentT(Location):
    r"""Log-quadratic loss, that of a Student t likelihood with fixed degrees of freedom: robust to outliers.

    Parameters
    ----------
    nu : float
        Degrees of freedom; 1 is a Cauchy likelihood, large values approach the Normal.

    Raises
    ------
    SpecError
        If nu is not positive and finite.

    Notes
    -----
    loss = log(1 + (y - f)^2 / (nu s^2)), a = (nu + 1) / 2, b = log s + log(nu pi) / 2 + log Gamma(nu / 2) -
    log Gamma((nu + 1) / 2). The noise MLE solves mean((nu + 1) u^2 / (nu + u^2)) = 1 with u = (y - f) / s; it exists
    only if more than 1 / (nu + 1) of the residuals differ from zero.

    `mean` gives f: the location, and the mean only for nu > 1 (the Cauchy has none). `variance` is infinite for
    nu <= 2.

    References
    ----------
    Lange, K. L., Little, R. J. A. and Taylor, J. M. G. (1989). Robust statistical modeling using the t distribution.
    Journal of the American Statistical Association 84, 881-896.

    Examples
    --------
    >>> import numpy as np
    >>> import bayesnn as bnn
    >>> bnn.losses.StudentT(nu=4.0).variance(np.zeros((1, 1)), noise=1.0)
    array([[2.]])
    """

    nu: float = 4.0

    name: ClassVar[str] = "student_t"
    likelihood: ClassVar[str] = "StudentT"
    in_noise: ClassVar[bool] = True
    formula: ClassVar[Formula] = Formula(lambda u, nu: 0.5 * (nu + 1.0) * fn.log1p(u**2 / nu), ("u", "nu"), ours=True)
    _table = (
        "log(1 + u²/ν), u = (y - f)/s",
        "(ν + 1)/2",
        "log(s) + log(νπ)/2 + lgamma(ν/2) - lgamma((ν + 1)/2)",
        "root s of mean (ν + 1) u²/(ν + u²) = 1",
    )

    def __post_init__(self):
        _set_parameter(self, "nu", np.inf, "Write StudentT(4.0), the usual choice; or loss='squared_error'.")

    @property
    @override
    def tail_index(self) -> float:
        return self.nu + 1.0

    @property
    @override
    def _loss_of_rho(self):
        return 2.0 / (self.nu + 1.0)

    @property
    @override
    def has_mean(self) -> bool:
        return self.nu > 1.0

    @override
    def coefficients(self, *, noise: ArrayLike | None = None) -> tuple[Any, Any]:
        s = _scale(self, noise)
        b = np.log(s) + 0.5 * np.log(self.nu * np.pi) + gammaln(self.nu / 2) - gammaln((self.nu + 1) / 2)
        return np.full_like(s, (self.nu + 1) / 2)[()], b

    @override
    def noise_mle(self, y: ArrayLike, f: np.ndarray) -> float | None:
        r2 = self._residual(y, f) ** 2
        excess = (self.nu + 1) * np.mean(r2 > 0) - 1
        if excess <= 0:
            return 0.0
        # Below `low` every non-zero residual is so far out that the mean exceeds 1; above `high` none can reach it.
        low = np.sqrt(r2[r2 > 0].min() * excess / self.nu)
        high = np.sqrt((self.nu + 1) / self.nu * r2.mean())
        return _root(lambda s: np.mean((self.nu + 1) * r2 / (self.nu * s**2 + r2)) - 1, low, high)

    @override
    def _unit_variance(self):
        return self.nu / (self.nu - 2) if self.nu > 2 else np.inf

    @override
    def _unit_cdf(self, u):
        return stdtr(self.nu, u)

    @override
    def _unit_sample(self, rng, size):
        return rng.standard_t(self.nu, size)

    @override
    def _node(self, mu, noise, **kwargs):
        import pymc as pm

        return pm.StudentT("y", nu=np.float64(self.nu), mu=mu, sigma=noise, **kwargs)


def _root(function, low, high):
    """Solve a decreasing function of a scale for zero between two bounds that rounding may have crossed."""
    from scipy.optimize import brentq

    low, high = np.log(low) - 1e-6, np.log(high) + 1e-6
    return float(np.exp(brentq(lambda log_s: function(np.exp(log_s)), low, high, xtol=1e-14)))


class GaussianNLL(Loss):
    r"""Gaussian negative log-likelihood with two outputs: the mean and the log of a scale that depends on x.

    Notes
    -----
    With f = (mu, log s): loss = (log s^2 + (y - mu)^2 / s^2) / 2, a = 1, b = log(2 pi) / 2. One target only. The
    second output takes the place of a shared noise scale.

    References
    ----------
    Nix, D. A. and Weigend, A. S. (1994). Estimating the mean and variance of the target probability distribution.
    Proceedings of the IEEE International Conference on Neural Networks, 55-60.

    Examples
    --------
    >>> import numpy as np
    >>> import bayesnn as bnn
    >>> bnn.losses.GaussianNLL().variance(np.array([[0.0, np.log(3.0)]])).round(6)
    array([[9.]])
    """

    name = "gaussian_nll"
    scale_is_output = True
    likelihood = "Normal"
    task = "regression"
    _table = ("(log(s²) + (y - μ)²/s²)/2, (μ, log s) = f", "1", "log(2π)/2", "s is an output")

    @override
    def n_outputs(self, y: ArrayLike) -> int:
        return 2

    @override
    def output_names(self, y: ArrayLike) -> list[str]:
        return ["mean", "log_scale"]

    @override
    def check_target(self, y: ArrayLike, *, classes: int | None = None) -> np.ndarray:
        return _column(self, y, "values")

    @override
    def loss(
        self, y: ArrayLike, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None
    ) -> np.ndarray:
        y, f = _pair(y, f, 2)
        with np.errstate(over="ignore"):
            return f[..., 1] + self._standardised(y - f[..., 0], f[..., 1]) ** 2 / 2

    def _standardised(self, residual, log_scale):
        """Return residuals in units of the scale; zero stays zero, whatever the scale."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.where(residual == 0, 0.0, residual * np.exp(-log_scale))

    @override
    def coefficients(self, *, noise: ArrayLike | None = None) -> tuple[Any, Any]:
        return 1.0, 0.5 * _LOG_2PI

    @override
    def mean(self, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None) -> np.ndarray:
        return np.asarray(f, dtype=float)[..., :1]

    @override
    def variance(self, f: np.ndarray, *, noise: ArrayLike | None = None) -> np.ndarray:
        return _exp(2 * np.asarray(f, dtype=float)[..., 1:])

    @override
    def sample(
        self,
        f: np.ndarray,
        rng: np.random.Generator,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
    ) -> np.ndarray:
        f = np.asarray(f, dtype=float)
        return f[..., 0] + _exp(f[..., 1]) * rng.standard_normal(f.shape[:-1])

    @override
    def cdf(
        self, y: ArrayLike, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None
    ) -> np.ndarray:
        f = np.asarray(f, dtype=float)
        return ndtr(self._standardised(np.reshape(y, (-1, 1)) - f[..., :1], f[..., 1:]))

    @override
    def observe(
        self,
        f: "TensorVariable",
        y: Any,
        *,
        noise: Any = None,
        cutpoints: Any = None,
        dims: tuple[str, ...],
    ) -> "TensorVariable":
        import pymc as pm

        return pm.Normal("y", mu=f[:, 0], sigma=pm.math.exp(f[:, 1]), observed=y, dims=dims)
