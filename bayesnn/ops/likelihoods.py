"""The likelihoods on vectors: from outputs and targets to the log-likelihood and its derivatives.

Rows of outputs, targets and slopes are units-major, as in `kernels`. Constants that depend on no parameter are left
to the caller. With u = (y - f) / noise, the losses of a location give rho(u), the part of -log p that is not
log(noise), and its derivative; the others take y and f.
"""

from bayesnn.ops.kernels import kernel
from bayesnn.ops.simd import LANES, VECTOR, Vec, exp, log1p


def _squared_error(u, parameter):
    return u * u * 0.5, u


def _absolute_error(u, delta):
    return abs(u), u.full(1.0).copysign(u).where(abs(u) > 0.0, 0.0)


def _huber(u, delta):
    a = abs(u)
    clipped = delta.where(a > delta, a)
    return clipped * (a - clipped * 0.5), clipped.copysign(u)


def _quantile(u, q):
    slope = (q - 1.0).where(u < 0.0, q).where(abs(u) > 0.0, 0.0)
    return u * slope, slope


def _student_t(u, nu):
    square = u * u
    return (nu + 1.0) * 0.5 * log1p(square / nu), (nu + 1.0) * u / (nu + square)


def _binary_cross_entropy(y, f):
    """Of -log p = log(1 + exp(-s)) with s = f for y = 1 and -f for y = 0: the value and its derivative by f."""
    e = exp(abs(f) * -1.0)
    inverse = 1.0 / (e + 1.0)
    small = e * inverse
    p, q = small.where(f < 0.0, inverse), inverse.where(f < 0.0, small)
    # 1 - p would lose the digits of a probability close to 1.
    return (f.at_least(0.0) - y * f) + log1p(e), (q * -1.0).where(y > 0.5, p)


def _poisson(y, f):
    mean = exp(f)
    return mean - y * f, mean - y


LOCATION = {
    "squared_error": _squared_error,
    "absolute_error": _absolute_error,
    "huber": _huber,
    "quantile": _quantile,
    "student_t": _student_t,
}
"""Loss of a location with a noise scale -> rho and its derivative as functions of u and the loss's own parameter."""

PLAIN = {"binary_cross_entropy": _binary_cross_entropy, "poisson": _poisson}
"""Loss without a noise scale -> -log p and its derivative as functions of y and f."""

LOSSES = (*LOCATION, *PLAIN, "cross_entropy", "gaussian_nll")
"""Every loss that `likelihood` knows."""


@kernel
def likelihood(code, loss, work, f_at, g_at, sums_at, data, y_at, mask_at, rows, nb, inverse, parameter):
    """Write the log-likelihood's derivatives by f to rows work[g_at:], and add to work[sums_at] and the place after.

    Added are the sums over the block of the log-likelihood without its constants, and of its derivative by log(noise)
    without -1 for each target; `inverse` is 1 / noise. Where the mask is zero, nothing is added and slopes are zero.
    """
    builder = code.builder
    scale, parameter = (Vec(builder, code.broadcast(number, VECTOR)) for number in (inverse, parameter))

    def row(start, j, k):
        return code.at(data if start is y_at else work, start, (j, nb), k)

    def add(sums):
        for i, vec in enumerate(sums):
            code.add_total(vec, code.at(work, sums_at, i))

    def real(k):
        return code.load(code.at(data, mask_at, k)) > 0.5

    if loss in LOCATION or loss in PLAIN:
        with code.loop(rows) as j:
            with code.sums(2, nb, LANES) as (k, sums):
                y, f = code.load(row(y_at, j, k)), code.load(row(f_at, j, k))
                if loss in LOCATION:
                    u = (y - f) * scale
                    rho, psi = LOCATION[loss](u, parameter)
                    slope, by_scale = psi * scale, psi * u
                else:
                    rho, psi = PLAIN[loss](y, f)
                    slope, by_scale = psi * -1.0, None
                code.store(slope.where(real(k), 0.0), row(g_at, j, k))
                sums[0] = (sums[0] - rho).where(real(k), sums[0])
                if by_scale is not None:
                    sums[1] = (sums[1] + by_scale).where(real(k), sums[1])
            add(sums)
    elif loss == "gaussian_nll":
        with code.sums(1, nb, LANES) as (k, sums):
            y, mean, log_scale = code.load(row(y_at, 0, k)), code.load(row(f_at, 0, k)), code.load(row(f_at, 1, k))
            weight = exp(log_scale * -1.0)
            u = (y - mean) * weight
            code.store((u * weight).where(real(k), 0.0), row(g_at, 0, k))
            code.store((u * u - 1.0).where(real(k), 0.0), row(g_at, 1, k))
            sums[0] = (sums[0] - log_scale - u * u * 0.5).where(real(k), sums[0])
        add(sums)
    else:
        # Rows of y are one-hot. The largest logit goes to 0 before anything is exponentiated.
        with code.sums(1, nb, LANES) as (k, totals):
            first = code.load(row(f_at, 0, k))
            with code.running([first], rows, start=1) as (c, top):
                f = code.load(row(f_at, c, k))
                top[0] = f.where(f > top[0], top[0])
            with code.running([first.full(0.0)] * 2, rows) as (c, parts):
                shifted = code.load(row(f_at, c, k)) - top[0]
                e = exp(shifted)
                code.store(e, row(g_at, c, k))
                parts[:] = [parts[0] + e, code.load(row(y_at, c, k)).fma(shifted, parts[1])]
            inverse_sum = 1.0 / parts[0]
            with code.loop(rows) as c:
                slope = code.load(row(y_at, c, k)) - code.load(row(g_at, c, k)) * inverse_sum
                code.store(slope.where(real(k), 0.0), row(g_at, c, k))
            value = parts[1] - log1p(parts[0] - 1.0)
            totals[0] = (totals[0] + value).where(real(k), totals[0])
        add(totals)
