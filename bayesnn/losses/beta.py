"""The loss of a number between zero and one, and the likelihood that it is."""

from typing import TYPE_CHECKING, Any, override

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, expit

from bayesnn.errors import DataError
from bayesnn.formulas import Formula, fn
from bayesnn.losses.base import Loss, _column, _pair, _scale, best_noise

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


def _nll(y, f, noise):
    # With log Gamma(z) = log Gamma(z + 1) - log z it stays finite where the mean rounds to 0 or 1.
    size, mean, rest = noise**-2, fn.sigmoid(f), fn.sigmoid(-f)
    low = fn.gammaln(mean * size + 1.0) + fn.softplus(-f)
    high = fn.gammaln(rest * size + 1.0) + fn.softplus(f)
    return low + high - 2.0 * fn.log(size) - fn.gammaln(size) - size * (mean * fn.log(y) + rest * fn.log1p(-y))


class Beta(Loss):
    r"""Loss of a proportion between 0 and 1 with the log odds of its mean as output, that of a beta likelihood.

    The mean is :math:`\mu = 1 / (1 + e^{-f})` and the precision :math:`\varphi = 1 / s^2` with the `noise` s: the
    variance is :math:`\mu (1 - \mu) s^2 / (1 + s^2)`. It is for shares that are measured, such as of an area. Shares of
    counts are ``"binomial"``.

    Notes
    -----
    loss = -log B(mu phi, (1 - mu) phi)^-1 - mu phi log y - (1 - mu) phi log(1 - y), a = 1, b = log y + log(1 - y). If
    the network passes through all targets, the density grows without bound as s goes to zero.

    References
    ----------
    Ferrari, S. and Cribari-Neto, F. (2004). Beta regression for modelling rates and proportions. Journal of Applied
    Statistics 31, 799-815.

    Examples
    --------
    At mean 1/2 and precision 2 it is uniform:

    >>> import numpy as np
    >>> import bayesnn as bnn
    >>> loss, s = bnn.losses.Beta(), np.sqrt(0.5)
    >>> np.exp(loss.logp(np.array([0.1, 0.7]), np.zeros((2, 1)), noise=s)).round(6)
    array([1., 1.])
    """

    name = "beta"
    likelihood = "Beta"
    task = "regression"
    has_noise = True
    noise_is_shape = True
    formula = Formula(_nll, ("y", "f", "noise"), by=1, ours=True)
    _table = (
        "log B(μφ, (1 - μ)φ) - μφ log(y) - (1 - μ)φ log(1 - y), μ = σ(f), φ = 1/s²",
        "1",
        "log(y) + log(1 - y)",
        "numerically",
    )

    @property
    @override
    def support(self) -> str:
        return "unit"

    @override
    def output_names(self, y: ArrayLike) -> list[str]:
        return ["logit"]

    @override
    def check_target(self, y: ArrayLike, *, classes: int | None = None) -> np.ndarray:
        y = _column(self, y, "proportions")
        wrong = y[(y <= 0) | (y >= 1)]
        if wrong.size:
            raise DataError(
                f"Got the proportion {wrong[0]:g}; a beta likelihood has none at 0, at 1, or outside. Of counts write "
                "loss='binomial' and bnn.target(successes, trials=n); others may be drawn in, (y (n - 1) + 1/2) / n."
            )
        return y

    @override
    def loss(
        self, y: ArrayLike, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None
    ) -> np.ndarray:
        y, f = _pair(y, f, 1)
        return self.formula(y, f[..., 0], _scale(self, noise)[..., None])

    @override
    def coefficients(self, *, noise: ArrayLike | None = None) -> tuple[Any, Any]:
        return 1.0, self.b_of_y

    @override
    def b_of_y(self, y: ArrayLike, *, noise: ArrayLike | None = None) -> np.ndarray:
        y = np.asarray(y, dtype=float)
        return np.log(y) + np.log1p(-y)

    @override
    def noise_mle(self, y: ArrayLike, f: np.ndarray) -> float | None:
        return best_noise(lambda noise: float(self.logp(y, f, noise=noise).sum()))

    @override
    def mean(self, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None) -> np.ndarray:
        return expit(np.asarray(f, dtype=float))

    @override
    def variance(self, f: np.ndarray, *, noise: ArrayLike | None = None) -> np.ndarray:
        f, square = np.asarray(f, dtype=float), _scale(self, noise)[..., None, None] ** 2
        return expit(f) * expit(-f) * square / (1.0 + square)

    @override
    def sample(
        self,
        f: np.ndarray,
        rng: np.random.Generator,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
    ) -> np.ndarray:
        f = np.asarray(f, dtype=float)[..., 0]
        a, b = (np.maximum(expit(side) * _scale(self, noise)[..., None] ** -2, 1e-300) for side in (f, -f))
        # Far out a draw rounds to an end, where no proportion can be.
        return np.clip(rng.beta(a, b), np.finfo(float).tiny, 1.0 - np.finfo(float).epsneg)

    @override
    def cdf(
        self, y: ArrayLike, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None
    ) -> np.ndarray:
        f, size = np.asarray(f, dtype=float), _scale(self, noise)[..., None, None] ** -2
        a, b = (np.maximum(expit(side) * size, 1e-300) for side in (f, -f))
        return betainc(a, b, np.clip(np.reshape(y, (-1, 1)), 0.0, 1.0))

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

        size, f = self._noise_of(noise) ** -2, f[:, 0]
        return pm.Beta("y", alpha=pm.math.sigmoid(f) * size, beta=pm.math.sigmoid(-f) * size, observed=y, dims=dims)
