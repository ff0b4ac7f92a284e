"""The likelihoods on vectors: from outputs and targets to the log-likelihood and its derivatives; and penalties.

Rows of outputs, targets and slopes are units-major, as in `kernels`. Constants that depend on no parameter are left
to the caller. Most losses are formulas, target by target: of u = (y - f) / noise, the part of -log p that is not
log(noise), or of y and f. Losses that take several outputs for one target are written here by hand.
"""

from collections.abc import Callable

from llvmlite import ir

from bayesnn.ops.kernels import kernel
from bayesnn.ops.simd import DOUBLE, INT, INTS, LANES, MASK, VECTOR, ZERO, Vec, _log1p, declare, exp, log1p


def _places(code, work, targets, y_at, mask, mask_at, nb):
    """Address of a vector of a row, and the mask of the observations that are real."""

    def row(start, j, k):
        return code.at(targets if start is y_at else work, start, (j, nb), k)

    def real(k):
        return code.load(code.at(mask, mask_at, k)) > 0.5

    return row, real


def _add(code, sums, work, sums_at):
    for i, vec in enumerate(sums):
        code.add_total(vec, code.at(work, sums_at, i))


def _spread(code, address, count):
    """Vectors of some numbers."""
    numbers = [code.builder.load(code.at(address, i), typ=DOUBLE) for i in range(count)]
    return [Vec(code.builder, code.broadcast(number, VECTOR)) for number in numbers]


def elementwise(form: Callable, n_parameters: int, noise: str = "", known: str = "") -> Callable:
    """Kernel of a likelihood that is a formula, target by target.

    It writes the log-likelihood's derivatives by f to rows work[g_at:], and adds to work[sums_at] and the place after
    the sums over the block of the log-likelihood without its constants, and of its derivative by log(noise) without -1
    for each target; `inverse` is 1 / noise. Where the mask is zero, nothing is added and slopes are zero.

    Parameters
    ----------
    form : callable
        From [u, *parameters], or [y, f, trials, noise, *parameters] without what there is not, to -log p and its
        derivative by u or f, and by a noise.
    n_parameters : int
        How many parameters it has.
    noise : {"", "scale", "shape"}
        Whether it is one of u = (y - f) / noise, or of the noise itself.
    known : {"", "exposure", "trials", "precision"}
        What the row behind the targets holds: logarithms of exposures, which f is raised by; trials; or square roots
        of precisions, which u is multiplied by.
    """

    @kernel
    def likelihood(code, work, f_at, g_at, sums_at, targets, y_at, mask, mask_at, rows, nb, inverse, parameters):
        row, real = _places(code, work, targets, y_at, mask, mask_at, nb)
        scale = Vec(code.builder, code.broadcast(inverse, VECTOR))
        numbers = _spread(code, parameters, n_parameters)
        if noise == "shape":
            numbers = [1.0 / scale, *numbers]
        with code.loop(rows) as j:
            with code.sums(2, nb, LANES) as (k, sums):
                y, f = code.load(row(y_at, j, k)), code.load(row(f_at, j, k))
                beside = code.load(row(y_at, rows, k)) if known else None
                if noise == "scale":
                    own = scale * beside if known else scale
                    u = (y - f) * own
                    rho, psi = form([u, *numbers])
                    slope, by_scale = psi * own, psi * u
                else:
                    f = f + beside if known == "exposure" else f
                    rho, psi, *by_noise = form([y, f, *([beside] if known == "trials" else []), *numbers])
                    slope, by_scale = -psi, -by_noise[0] / scale if by_noise else None
                code.store(slope.where(real(k), 0.0), row(g_at, j, k))
                sums[0] = (sums[0] - rho).where(real(k), sums[0])
                if by_scale is not None:
                    sums[1] = (sums[1] + by_scale).where(real(k), sums[1])
            _add(code, sums, work, sums_at)

    return likelihood


def _cross_entropy_of_two(y, f):
    """Of -log p = log(1 + exp(-s)) with s = f for y = 1 and -f for y = 0: the value and its derivative by f."""
    e = exp(-abs(f))
    inverse = 1.0 / (e + 1.0)
    small = e * inverse
    p, q = small.where(f < 0.0, inverse), inverse.where(f < 0.0, small)
    # 1 - p would lose the digits of a probability close to 1.
    return (f.at_least(0.0) - y * f) + _log1p(e), (-q).where(y > 0.5, p)


@kernel
def _gaussian_nll(code, work, f_at, g_at, sums_at, targets, y_at, mask, mask_at, rows, nb, inverse, parameters):
    row, real = _places(code, work, targets, y_at, mask, mask_at, nb)
    with code.sums(1, nb, LANES) as (k, sums):
        y, mean, log_scale = code.load(row(y_at, 0, k)), code.load(row(f_at, 0, k)), code.load(row(f_at, 1, k))
        weight = exp(-log_scale)
        u = (y - mean) * weight
        code.store((u * weight).where(real(k), 0.0), row(g_at, 0, k))
        code.store((u * u - 1.0).where(real(k), 0.0), row(g_at, 1, k))
        sums[0] = (sums[0] - log_scale - u * u * 0.5).where(real(k), sums[0])
    _add(code, sums, work, sums_at)


@kernel
def _cross_entropy(code, work, f_at, g_at, sums_at, targets, y_at, mask, mask_at, rows, nb, inverse, parameters):
    # Rows of y are one-hot. The largest logit goes to 0 before anything is exponentiated.
    row, real = _places(code, work, targets, y_at, mask, mask_at, nb)
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
    _add(code, totals, work, sums_at)


@kernel
def _ordinal(code, work, f_at, g_at, sums_at, targets, y_at, mask, mask_at, rows, nb, inverse, parameters):
    # With `rows` cutpoints c at the parameters: log p of class k is log s(c_k - f) + log s(f - c_(k-1)), and a function
    # of the distance of the two, which is left to the caller. Slopes by the cutpoints are added behind them.
    row, real = _places(code, work, targets, y_at, mask, mask_at, nb)
    builder = code.builder
    with code.sums(1, nb, LANES) as (k, totals):
        y, f, live = code.load(row(y_at, 0, k)), code.load(row(f_at, 0, k)), real(k)
        with code.running([f.full(0.0)] * 2, rows) as (c, parts):
            cut = builder.load(code.at(parameters, c), typ=DOUBLE)
            z = Vec(builder, code.broadcast(cut, VECTOR)) - f
            number = Vec(builder, code.broadcast(builder.sitofp(c, DOUBLE), VECTOR))
            e = exp(-abs(z))
            one = 1.0 / (e + 1.0)
            small, rest = e * one, _log1p(e)
            below, above = one.where(z > 0.0, small), small.where(z > 0.0, one)
            upper = builder.and_(live, y.compare("==", number))
            lower = builder.and_(live, y.compare("==", number + 1.0))
            slope = above.where(upper, 0.0) - below.where(lower, 0.0)
            value = (z.at_most(0.0) - rest).where(upper, 0.0) + ((-z).at_most(0.0) - rest).where(lower, 0.0)
            parts[:] = [parts[0] - slope, parts[1] + value]
            code.add_total(slope, code.at(parameters, rows, c))
        code.store(parts[0], row(g_at, 0, k))
        totals[0] = totals[0] + parts[1]
    _add(code, totals, work, sums_at)


ROWS = {
    "ordinal": _ordinal,
    "binary_cross_entropy": elementwise(lambda arguments: _cross_entropy_of_two(*arguments), 0),
    "cross_entropy": _cross_entropy,
    "gaussian_nll": _gaussian_nll,
}
"""Built-in loss -> its kernel by hand: where a target has several outputs, or where it keeps digits or saves time."""


def penalised(form: Callable, n_parameters: int) -> Callable:
    """Kernel of a penalty: add the log density of the weights, without its constant, and its gradient.

    Weight theta[i] has the density of `form` with the scale 1 / inverse[i]; where that is zero it has another prior.
    Nothing is read or written beyond `size` elements.

    Parameters
    ----------
    form : callable
        From [w, *parameters] to -log p and its derivative.
    n_parameters : int
        How many parameters it has.
    """

    @kernel
    def penalty(code, theta, gradient, inverse, size, parameters, total):
        builder, i32 = code.builder, ir.IntType(32)
        pointer = ir.PointerType()
        load = declare(builder.module, f"llvm.masked.load.v{LANES}f64.p0", VECTOR, [pointer, i32, MASK, VECTOR])
        store = declare(
            builder.module, f"llvm.masked.store.v{LANES}f64.p0", ir.VoidType(), [VECTOR, pointer, i32, MASK]
        )
        numbers, lanes = _spread(code, parameters, n_parameters), ir.Constant(INTS, list(range(LANES)))
        with code.sums(1, size, LANES) as (k, sums):
            inside = builder.icmp_signed("<", lanes, code.broadcast(builder.sub(size, k), INTS))
            w, slope, scale = (
                Vec(builder, builder.call(load, [code.at(array, k), i32(8), inside, ZERO]))
                for array in (theta, gradient, inverse)
            )
            value, derivative = form([w * scale, *numbers])
            own = scale > 0.0
            sums[0] = (sums[0] - value).where(own, sums[0])
            slope = (slope - derivative * scale).where(own, slope)
            builder.call(store, [slope.value, code.at(gradient, k), i32(8), inside])
        _add(code, sums, total, INT(0))

    return penalty
