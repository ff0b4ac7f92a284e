"""What a module of predictions needs of each loss, as lines of NumPy: here a new loss has its place."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.special import gammaln

from bayesnn.errors import SpecError
from bayesnn.exchange.source import written
from bayesnn.losses import Huber, Loss, Quantile, ResidualLoss, StudentT, is_ours


@dataclass(frozen=True)
class Piece:
    """The part of a module that depends on the loss.

    Parameters
    ----------
    lines : list of str
        For labels a function ``probabilities(f)``, from outputs (draw, row, output) to (draw, row, class). For numbers
        ``moments(f)``, which gives the mean and the variance of y at each draw, and ``cdf(y, f)``, the distribution
        function at values (row, target); or ``quantile(p, f, mean, variance)`` in place of `cdf`.
    data : dict of str to array
        Numbers that the lines take from the weights, by name.
    constants : list of str
        Lines that stand before all functions.
    """

    lines: list[str]
    data: dict[str, np.ndarray] = field(default_factory=dict)
    constants: list[str] = field(default_factory=list)


def piece_of(loss: Loss) -> Piece:
    """Give the lines of a loss.

    Parameters
    ----------
    loss : Loss
        Built in, or a `ResidualLoss`.

    Returns
    -------
    Piece
        With the helpers that its lines call left to the caller.

    Raises
    ------
    SpecError
        A loss without lines.
    """
    if isinstance(loss, ResidualLoss):
        return _residual(loss)
    if loss.name not in PIECES or not is_ours(loss):
        raise SpecError(
            f"Got the loss {loss.name!r}, which has no lines in plain NumPy; there are {', '.join(PIECES)} and "
            "ResidualLoss. Predict with bnn.predict."
        )
    return PIECES[loss.name](loss)


def _location(loss, cdf, **data):
    """Lines of y = f + noise u, where u has a known mean, variance and distribution function."""
    shift = loss._unit_mean
    mean = "f" if not shift else f"f + {float(shift)!r} * NOISE"
    variance = float(loss._unit_variance())
    text = repr(variance) if np.isfinite(variance) else "np.inf"
    return Piece(
        [
            "def moments(f):",
            f"    return {mean}, {text} * NOISE**2 + np.zeros(f.shape)",
            "",
            "",
            "def cdf(y, f):",
            "    u = (y - f) / NOISE",
            *(f"    {line}" for line in cdf),
        ],
        data,
    )


def _squared_error(loss):
    return _location(loss, ["return 0.5 * erfc(-u * 0.5**0.5)"])


def _absolute_error(loss):
    return _location(loss, ["tail = 0.5 * np.exp(-np.abs(u))", "return np.where(u < 0, tail, 1.0 - tail)"])


def _huber(loss: Huber):
    d, z = loss.delta, float(np.exp(loss._log_z))
    return _location(
        loss,
        [
            f"d, z = {d!r}, {z!r}",
            "tail = np.exp(d * d / 2 - d * np.maximum(np.abs(u), d)) / (d * z)",
            "middle = 0.5 + (2 * np.pi) ** 0.5 / z * (0.5 * erfc(-np.clip(u, -d, d) * 0.5**0.5) - 0.5)",
            "return np.where(np.abs(u) <= d, middle, np.where(u < 0, tail, 1.0 - tail))",
        ],
    )


def _quantile(loss: Quantile):
    return _location(
        loss,
        [
            f"q = {loss.q!r}",
            "below = q * np.exp((1 - q) * np.minimum(u, 0.0))",
            "return np.where(u < 0, below, 1.0 - (1 - q) * np.exp(-q * np.maximum(u, 0.0)))",
        ],
    )


def _student_t(loss: StudentT):
    """With u = sqrt(nu) tan(t) the density is a power of cos(t), which Gauss and Legendre's rule integrates."""
    nu = loss.nu
    scale = float(np.exp(gammaln((nu + 1) / 2) - gammaln(nu / 2)) / np.sqrt(np.pi))
    # Near the ends, where cos(t) is zero, a power below 1 is not smooth.
    nodes = 100 if nu >= 2 else 800
    found = _location(
        loss,
        [
            f"t = np.arctan(u / {nu!r} ** 0.5) / 2",
            f"return 0.5 + {scale!r} * t * sum(w * np.cos(t * (1 + x)) ** {nu - 1!r} for x, w in NODES)",
        ],
    )
    rule = f"NODES = list(zip(*np.polynomial.legendre.leggauss({nodes}), strict=True))"
    return Piece(found.lines, constants=[rule])


def _gaussian_nll(loss):
    return Piece(
        [
            "def moments(f):",
            "    return f[..., :1], np.exp(2 * f[..., 1:])",
            "",
            "",
            "def cdf(y, f):",
            "    return 0.5 * erfc(-(y - f[..., :1]) * np.exp(-f[..., 1:]) * 0.5**0.5)",
        ]
    )


def _poisson(loss):
    return Piece(
        [
            "def moments(f):",
            "    return np.exp(f), np.exp(f)",
            "",
            "",
            "def quantile(p, f, mean, variance):",
            '    """Smallest count that is exceeded with probability 1 - p at most: masses, summed."""',
            "    out = np.empty(mean.shape[1:])",
            "    for at in np.ndindex(out.shape):",
            "        rate, log_rate = mean[:, *at], f[:, *at]",
            "        least, most = rate.min(), rate.max()",
            "        first = max(0, int(least - 10 * least**0.5 - 20))",
            "        k = np.arange(first, int(most + 10 * most**0.5 + 40))",
            "        mass = np.exp(np.outer(log_rate, k) - rate[:, None] - gammaln(k + 1.0)).mean(axis=0)",
            "        out[at] = k[np.searchsorted(np.cumsum(mass), p)]",
            "    return out",
        ]
    )


def _negative_binomial(loss):
    return Piece(
        [
            "def moments(f):",
            "    return np.exp(f), np.exp(f) + (NOISE * np.exp(f)) ** 2",
            "",
            "",
            "def quantile(p, f, mean, variance):",
            '    """Smallest count that is exceeded with probability 1 - p at most: masses, summed."""',
            "    out, r = np.empty(mean.shape[1:]), np.broadcast_to(NOISE, (len(f), 1, 1))[:, :, 0] ** -2.0",
            "    for at in np.ndindex(out.shape):",
            "        rate, below, n = mean[:, *at][:, None], np.zeros(1), 64",
            "        while below[-1] < p:",
            "            k, n = np.arange(float(n)), 2 * n",
            "            mass = gammaln(k + r) - gammaln(r) - gammaln(k + 1.0) - r * np.log1p(rate / r)",
            "            below = np.exp(mass + k * (np.log(rate) - np.log(rate + r))).mean(axis=0).cumsum()",
            "        out[at] = np.searchsorted(below, p)",
            "    return out",
        ]
    )


def _binomial(loss):
    return Piece(
        [
            "def moments(f):",
            '    """Of a single trial."""',
            "    return expit(f), expit(f) * expit(-f)",
            "",
            "",
            "def quantile(p, f, mean, variance):",
            "    return np.where(1.0 - mean.mean(axis=0) >= p, 0.0, 1.0)",
        ]
    )


def _beta(loss):
    """Integrate the density of the logit, which is smooth, on panels that grow with the distance from its centre."""
    return Piece(
        [
            "def moments(f):",
            "    return expit(f), expit(f) * expit(-f) * NOISE**2 / (1 + NOISE**2)",
            "",
            "",
            "def cdf(y, f):",
            '    """Integral of the density of the logit up to that of y, panel by panel."""',
            "    a, b, top = expit(f) / NOISE**2, expit(-f) / NOISE**2, np.log(y) - np.log1p(-y)",
            "    width, total = (1 / a + 1 / b) ** 0.5, np.zeros(f.shape)",
            "    for low, high in zip(EDGES[:-1], EDGES[1:], strict=True):",
            "        left, right = np.minimum(f + width * low, top), np.minimum(f + width * high, top)",
            "        half = (right - left)[..., None] / 2",
            "        v = left[..., None] + half * (1 + NODES)",
            "        log = -a[..., None] * np.logaddexp(0, -v) - b[..., None] * np.logaddexp(0, v)",
            "        total += (SHARES * np.exp(log) * half).sum(axis=-1)",
            "    return total * np.exp(gammaln(a + b) - gammaln(a) - gammaln(b))",
            "",
            "",
            "def quantile(p, f, mean, variance):",
            '    """Where the distribution function of the mixture over the draws is p, by bisection."""',
            "    low, high, middle = np.zeros(f.shape[1:]), np.ones(f.shape[1:]), np.full(f.shape[1:], 0.5)",
            "    while ((low < middle) & (middle < high)).any():",
            "        left = cdf(middle, f).mean(axis=0) < p",
            "        low, high = np.where(left, middle, low), np.where(left, high, middle)",
            "        middle = (low + high) / 2",
            "    return middle",
        ],
        constants=[
            "NODES, SHARES = np.polynomial.legendre.leggauss(20)",
            "EDGES = np.concatenate([-(0.2 * 1.3 ** np.arange(48))[::-1], [0.0], 0.2 * 1.3 ** np.arange(48)])",
        ],
    )


def _binary(loss):
    return Piece(
        ["def probabilities(f):", "    return expit(np.concatenate([-f, f], axis=-1))"],
    )


def _classes(loss):
    return Piece(
        [
            "def probabilities(f):",
            "    e = np.exp(f - f.max(axis=-1, keepdims=True))",
            "    return e / e.sum(axis=-1, keepdims=True)",
        ]
    )


def _ordinal(loss):
    return Piece(
        [
            "def probabilities(f):",
            '    """P(y <= k) = expit(c_k - f); the difference of two is written so that it does not cancel."""',
            '    c = WEIGHTS["cutpoints"][:, None, :]',
            "    u = c - f",
            "    middle = expit(u[..., 1:]) * expit(-u[..., :-1]) * -np.expm1(-np.diff(c))",
            "    return np.concatenate([expit(u[..., :1]), middle, expit(-u[..., -1:])], axis=-1)",
        ]
    )


def _residual(loss: ResidualLoss):
    """Density by Gauss and Legendre's rule on the panels that the loss has found."""
    density = loss.density
    rho = written(loss.formula.stable, f"the loss {loss.name!r}", loss.parameters)
    first = loss.formula.stable.arguments[0]
    argument = "z" if first == "x" else first
    found = _location(
        loss,
        [
            'edges, left = WEIGHTS["edges"], WEIGHTS["left"]',
            "u = np.clip(u, edges[0], edges[-1])",
            'at = np.clip(np.searchsorted(edges, u, side="right") - 1, 0, len(edges) - 2)',
            "half = (u - edges[at])[..., None] / 2",
            f"inside = SHARES * np.exp({density._low!r} - rho(edges[at][..., None] + half * (1 + NODES))) * half",
            f"return (left[at] + inside.sum(axis=-1)) / {density._total!r}",
        ],
        edges=density._edges,
        left=density._left,
    )
    rule = "NODES, SHARES = np.polynomial.legendre.leggauss(20)"
    head = [f"def rho({argument}):", *(f"    {line}" for line in rho), "", ""]
    return Piece(head + found.lines, found.data, [rule])


PIECES: dict[str, Callable[..., Piece]] = {
    "squared_error": _squared_error,
    "absolute_error": _absolute_error,
    "huber": _huber,
    "quantile": _quantile,
    "student_t": _student_t,
    "gaussian_nll": _gaussian_nll,
    "poisson": _poisson,
    "negative_binomial": _negative_binomial,
    "binomial": _binomial,
    "beta": _beta,
    "binary_cross_entropy": _binary,
    "cross_entropy": _classes,
    "ordinal": _ordinal,
}
"""Lines of every built-in loss, by its name. A loss that is added is added here."""
