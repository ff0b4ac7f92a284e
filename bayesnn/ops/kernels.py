"""The network's forward and backward pass in numba: matrix products held in vector registers, block by block.

Arrays are units-major: a layer is one contiguous run of rows, one row for each unit, observations along it. The
observations are worked through in blocks that stay in the first-level cache. A block of `nb` observations has inputs
(p rows), ones (1 row), and for each hidden layer: activations (h rows), ones (1 row), in the last one `extra` rows for
whoever asks for them, and, unless the derivative follows from the activation, derivatives (h rows). A bias is one more
weight on a row of ones. The parameters are packed likewise, (fan_in + 1, fan_out) for each layer. Observations are
padded to a multiple of 8, with zero gradient, so that no loop has a tail.
"""

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from inspect import Parameter, Signature, signature
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from pytensor.link.numba.dispatch.basic import numba_njit

from bayesnn.ops.simd import DOUBLE, INT, INTS, LANES, MASK, SLOPES, VECTOR, ZERO, Vec, declare

TILE = (4, 2, 1)
"""Numbers of rows that a register tile may have."""
LANE = ir.VectorType(ir.IntType(32), LANES)
"""Type of the lane numbers in a shuffle."""


class _Code:
    """What emitting a kernel needs: addresses, loads and stores, loops."""

    def __init__(self, builder):
        self.builder = builder

    def at(self, pointer, *terms):
        """Address of the double at the sum of the terms; a term is a number or a pair of factors."""
        builder, total = self.builder, INT(0)
        for term in terms:
            factors = [INT(v) if isinstance(v, int) else v for v in (term if isinstance(term, tuple) else (term,))]
            total = builder.add(total, builder.mul(*factors) if len(factors) == 2 else factors[0])
        return builder.gep(pointer, [total], source_etype=DOUBLE)

    def load(self, pointer):
        """Load a vector."""
        return Vec(self.builder, self.builder.load(pointer, align=8, typ=VECTOR))

    def store(self, vec, pointer):
        """Store a vector."""
        self.builder.store(vec.value, self.builder.bitcast(pointer, VECTOR.as_pointer()), align=8)

    def broadcast(self, scalar, kind):
        """Fill a vector type with a scalar."""
        one = self.builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.IntType(32)(0))
        return self.builder.shuffle_vector(one, one, ir.Constant(LANE, [0] * LANES))

    @contextmanager
    def loop(self, stop, step=1, start=0):
        """Loop over range(start, stop, step)."""
        start = INT(start) if isinstance(start, int) else start
        with cgutils.for_range_slice(self.builder, start, stop, INT(step), inc=True) as (index, _):
            yield index

    @contextmanager
    def running(self, firsts, stop, step=1, start=0):
        """Loop with running vectors in registers: the body replaces elements of a list, which keeps the last ones."""
        builder, vectors = self.builder, []
        slots = [cgutils.alloca_once(builder, VECTOR) for _ in firsts]
        for slot, first in zip(slots, firsts, strict=True):
            builder.store(first.value, slot)
        with self.loop(stop, step, start) as index:
            vectors[:] = [self.load(slot) for slot in slots]
            yield index, vectors
            for slot, vec in zip(slots, vectors, strict=True):
                self.store(vec, slot)
        vectors[:] = [self.load(slot) for slot in slots]

    def sums(self, n, stop, step=1):
        """Loop with n running sums in registers, which start at zero."""
        return self.running([Vec(self.builder, ZERO)] * n, stop, step)

    def add_total(self, vec, place):
        """Add the sum of a vector's elements to the double at a place."""
        builder = self.builder
        name = f"llvm.vector.reduce.fadd.v{LANES}f64"
        total_of = declare(builder.module, name, DOUBLE, [DOUBLE, VECTOR])
        total = builder.call(total_of, [DOUBLE(0.0), vec.value], fastmath=["reassoc"])
        builder.store(builder.fadd(builder.load(place, typ=DOUBLE), total), place)

    def tiles(self, count, sizes, body):
        """Cover range(count) by tiles: body(start, size), with as many of the largest size as fit."""
        builder = self.builder
        start = 0
        for size in sizes:
            stop = builder.and_(count, INT(-size))
            with self.loop(stop, size, start) as index:
                body(index, size)
            start = stop


def kernel(emit: Callable) -> Callable:
    """Turn a function that emits code, emit(code, *arguments), into a function for numba; arrays become pointers."""

    def typed(typingctx, *arguments):
        def generate(context, builder, signature, values):
            emit(
                _Code(builder),
                *(
                    context.make_array(kind)(context, builder, value).data
                    if isinstance(kind, types.Array)
                    else kind.literal_value
                    if isinstance(kind, types.StringLiteral)
                    else value
                    for kind, value in zip(signature.args, values, strict=True)
                ),
            )
            return context.get_dummy_value()

        return types.void(*arguments), generate

    names = ["typingctx", *list(signature(emit).parameters)[1:]]
    signed: Any = typed
    signed.__signature__ = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names])
    typed.__name__ = typed.__qualname__ = emit.__name__
    return intrinsic(prefer_literal=True)(typed)


_LLVM = {types.int64: INT, types.uint64: INT, types.float64: DOUBLE}


def call_by_address(arguments: Sequence[Any]) -> Callable:
    """Make what calls a C function with these arguments by its address in numba; arrays go by their first elements."""
    kinds = [_LLVM.get(kind, ir.PointerType()) for kind in arguments]

    def call(code, address, *values):
        builder = code.builder
        target = builder.inttoptr(address, ir.FunctionType(INT, kinds).as_pointer())
        builder.call(target, [v if v.type == k else builder.bitcast(v, k) for v, k in zip(values, kinds, strict=True)])

    names = ["code", "address", *(f"a{i}" for i in range(len(kinds)))]
    signed: Any = call
    signed.__signature__ = Signature([Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names])
    return kernel(call)


@kernel
def product(code, name, out, out_at, x, x_at, w, w_at, w_in, w_out, n_in, n_out, nb, slopes_at):
    """Rows out[j] = sum over i of w[w_at + i w_in + j w_out] x[i]; rows have length nb.

    Unless the name is "", times the derivative of an activation: w then is the buffer of activations, and slopes_at
    where the rows start from which the derivative follows, by `SLOPES` for a name that is there, or where it is kept.
    """
    _product(code, name, out, out_at, x, x_at, nb, w, w_at, w_in, w_out, n_in, n_out, nb, slopes_at)


@kernel
def product_of_columns(code, out, out_at, x, x_at, x_step, w, w_at, w_in, w_out, n_in, n_out, nb):
    """As `product`, of rows x that start x_step apart."""
    # With a step of their own the loops need more registers than there are: where it is nb they are better without.
    _product(code, "", out, out_at, x, x_at, x_step, w, w_at, w_in, w_out, n_in, n_out, nb, INT(0))


def _product(code, name, out, out_at, x, x_at, x_step, w, w_at, w_in, w_out, n_in, n_out, nb, slopes_at):
    builder = code.builder
    slopes, out, x, w = code.at(w, slopes_at), code.at(out, out_at), code.at(x, x_at), code.at(w, w_at)

    def units(j, n_units):
        def columns(k, n_vectors):
            grid = [(u, v) for u in range(n_units) for v in range(n_vectors)]
            with code.sums(len(grid), n_in) as (i, sums):
                row = [code.load(code.at(x, (i, x_step), (k, LANES), v * LANES)) for v in range(n_vectors)]
                places = [code.at(w, (i, w_in), (j, w_out), (u, w_out)) for u in range(n_units)]
                weight = [Vec(builder, code.broadcast(builder.load(at, typ=DOUBLE), VECTOR)) for at in places]
                sums[:] = [row[v].fma(weight[u], vec) for (u, v), vec in zip(grid, sums, strict=True)]
            for (u, v), vec in zip(grid, sums, strict=True):
                place = (j, nb), (u, nb), (k, LANES), v * LANES
                if name:
                    kept = code.load(code.at(slopes, *place))
                    vec = vec * (SLOPES[name](kept) if name in SLOPES else kept)
                code.store(vec, code.at(out, *place))

        # Eight sums in flight hide the latency of a multiply-add.
        code.tiles(builder.sdiv(nb, INT(LANES)), [s for s in (8, 4, 2, 1) if s * n_units <= 8], columns)

    code.tiles(n_out, TILE, units)


@kernel
def outer(code, grad, grad_at, x, x_at, delta, delta_at, n_in, n_out, nb):
    """Add the sum over k of x[i, k] delta[j, k] to grad[i, j]; rows have length nb."""
    _outer(code, grad, grad_at, x, x_at, nb, delta, delta_at, nb, n_in, n_out, nb)


@kernel
def outer_of_columns(code, grad, grad_at, x, x_at, x_step, delta, delta_at, step, n_in, n_out, nb):
    """As `outer`, of rows that start x_step and `step` apart."""
    _outer(code, grad, grad_at, x, x_at, x_step, delta, delta_at, step, n_in, n_out, nb)


def _outer(code, grad, grad_at, x, x_at, x_step, delta, delta_at, step, n_in, n_out, nb):
    grad, x, delta = code.at(grad, grad_at), code.at(x, x_at), code.at(delta, delta_at)

    def rows(i, n_rows):
        def units(j, n_units):
            grid = [(r, u) for r in range(n_rows) for u in range(n_units)]
            with code.sums(len(grid), nb, LANES) as (k, sums):
                xs = [code.load(code.at(x, (i, x_step), (r, x_step), k)) for r in range(n_rows)]
                ds = [code.load(code.at(delta, (j, step), (u, step), k)) for u in range(n_units)]
                sums[:] = [xs[r].fma(ds[u], vec) for (r, u), vec in zip(grid, sums, strict=True)]
            for (r, u), vec in zip(grid, sums, strict=True):
                code.add_total(vec, code.at(grad, (i, n_out), (r, n_out), j, u))

        code.tiles(n_out, TILE, units)

    # Sixteen sums do not fit the sixteen registers of machines with vectors of four.
    code.tiles(n_in, TILE[1:] if LANES == 4 else TILE, rows)


def activation(form: Callable) -> Callable:
    """Kernel that replaces z by its activation in a[a_at:], and writes the derivative to a[slope_at:] if it is kept.

    Parameters
    ----------
    form : callable
        From a vector to the activation and its derivative, or None.
    """

    @kernel
    def activate(code, a, a_at, slope_at, size):
        with code.loop(size, LANES) as k:
            value, slope = form(code.load(code.at(a, a_at, k)))
            code.store(value, code.at(a, a_at, k))
            if slope is not None:
                code.store(slope, code.at(a, slope_at, k))

    return activate


@kernel
def transpose(code, out, out_at, out_step, x, x_at, x_step, rows, columns, width):
    """Write out[c, r] = x[r, c] for r < rows, c < columns, and zeros for rows <= r < width; steps are row lengths."""
    builder, pointer, i32 = code.builder, ir.PointerType(), ir.IntType(32)
    out, x = code.at(out, out_at), code.at(x, x_at)
    load = declare(builder.module, f"llvm.masked.load.v{LANES}f64.p0", VECTOR, [pointer, i32, MASK, VECTOR])
    store = declare(builder.module, f"llvm.masked.store.v{LANES}f64.p0", ir.VoidType(), [VECTOR, pointer, i32, MASK])
    lanes = ir.Constant(INTS, list(range(LANES)))

    def mask(line, n_lines, n):
        """Lanes before n, or none if the line is outside."""
        n = builder.select(builder.icmp_signed("<", line, n_lines), n, INT(0))
        return builder.icmp_signed("<", lanes, code.broadcast(n, INTS))

    with code.loop(width, LANES) as r, code.loop(columns, LANES) as c:
        tile = []
        for lane in range(LANES):
            row = builder.add(r, INT(lane))
            inside = mask(row, rows, builder.sub(columns, c))
            tile.append(builder.call(load, [code.at(x, (row, x_step), c), i32(8), inside, ZERO]))
        half = LANES // 2
        while half:
            # Exchange the off-diagonal quarters of each square of side 2 half.
            pick = [i if not i & half else i - half + LANES for i in range(LANES)]
            other = [i + half if not i & half else i + LANES for i in range(LANES)]
            for i in (i for i in range(LANES) if not i & half):
                pair = tile[i], tile[i + half]
                tile[i] = builder.shuffle_vector(*pair, ir.Constant(LANE, pick))
                tile[i + half] = builder.shuffle_vector(*pair, ir.Constant(LANE, other))
            half //= 2
        for lane in range(LANES):
            column = builder.add(c, INT(lane))
            inside = mask(column, columns, builder.sub(width, r))
            builder.call(store, [tile[lane], code.at(out, (column, out_step), r), i32(8), inside])


@intrinsic
def _to_cache_line(typingctx, x):
    """Count the doubles from the start of x to the next 64-byte boundary."""

    def generate(context, builder, signature, arguments):
        address = builder.ptrtoint(context.make_array(signature.args[0])(context, builder, arguments[0]).data, INT)
        return builder.lshr(builder.and_(builder.neg(address), INT(63)), INT(3))

    return types.intp(x), generate


@numba_njit(fastmath=False)
def aligned(size):
    """Allocate a vector that starts at a cache line."""
    x = np.empty(size + 8)
    start = _to_cache_line(x)
    return x[start : start + size]


@numba_njit(fastmath=False)
def block_of(widths, left):
    """Columns in the next block when `left` observations are left: an odd number of cache lines.

    The two widest neighbouring layers fill at most half of a first-level cache. Rows an even number of lines apart
    would compete for the same places in it.
    """
    widest = 0
    for i in range(len(widths) - 1):
        widest = max(widest, widths[i] + widths[i + 1])
    lines = max(8, min(64, 512 // widest))
    return 8 * min(lines - 1 | 1, (left + 7) // 8 | 1)


@numba_njit(fastmath=False)
def _units_major(out, at, nb, x, start, real):
    """Copy rows start:start+real of a matrix to out[at:] as columns of length nb, and pad them with zeros."""
    m = x.shape[1]
    if m == 1:
        for k in range(real):
            out[at + k] = x[start + k, 0]
        for k in range(real, nb):
            out[at + k] = 0.0
    else:
        transpose(out, at, nb, x, start * m, m, real, m, nb)


@numba_njit(fastmath=False)
def room(widths):
    """Space for the parameters at the start of the saved buffer: a whole number of vectors."""
    total = 0
    for i in range(len(widths) - 1):
        total += (widths[i] + 1) * widths[i + 1]
    return (total + 7) // 8 * 8


@numba_njit(fastmath=False, inline="never")
def linear(out, out_at, x, x_at, w, w_at, n_in, n_out, nb):
    """Rows of a linear layer; its biases are the weights of a row of ones."""
    product("", out, out_at, x, x_at, w, w_at, n_out, 1, n_in, n_out, nb, 0)


@numba_njit(fastmath=False, inline="never")
def linear_of_columns(out, out_at, x, x_at, x_step, w, w_at, n_in, n_out, nb):
    """Rows of the first layer, of inputs whose columns start x_step apart."""
    product_of_columns(out, out_at, x, x_at, x_step, w, w_at, n_out, 1, n_in, n_out, nb)


@numba_njit(fastmath=False, inline="never")
def added(grad, grad_at, x, x_at, delta, delta_at, n_in, n_out, nb):
    """Add a layer's gradient."""
    outer(grad, grad_at, x, x_at, delta, delta_at, n_in, n_out, nb)


@numba_njit(fastmath=False, inline="never")
def added_of_columns(grad, grad_at, x, x_at, x_step, delta, delta_at, step, n_in, n_out, nb):
    """Add the gradient of the first layer, of inputs whose columns start x_step apart."""
    outer_of_columns(grad, grad_at, x, x_at, x_step, delta, delta_at, step, n_in, n_out, nb)


@numba_njit(fastmath=False)
def height(widths, i, planes, extra):
    """Rows of hidden layer i; `planes` is 2 where derivatives are kept, otherwise 1."""
    return widths[i] * planes + 1 + (extra if i == len(widths) - 2 else 0)


@numba_njit(fastmath=False)
def start_of(widths, i, planes, first, nb):
    """Where hidden layer i of a block starts, the first of which starts at `first`."""
    for j in range(1, i):
        first += height(widths, j, planes, np.int64(0)) * nb
    return first


def blocks(act: Callable, pull: Callable) -> tuple[Callable, Callable]:
    """Forward and backward pass of one block of observations.

    Parameters
    ----------
    act : compile-ready function
        act(forms, a, a_at, slope_at, size), as the kernel of `activation`; `forms` is whatever the caller hands in.
    pull : compile-ready function
        pull(forms, out, out_at, x, x_at, w, w_at, w_in, w_out, n_in, n_out, nb, slopes_at): as `product`, times the
        activation's derivative.

    Returns
    -------
    forward, backward : compile-ready functions
        ``forward`` fills the hidden layers of a block, and its outputs at out[out_at:] unless `layers` leaves the
        output layer out; `acts` begins with the packed parameters, and the inputs' rows start `x_step` apart.
        ``backward`` adds a block's share to the gradient at grad[grad_at:], from layer `top` down, whose output has the
        slopes at delta[delta_at:] and whose weights end at `w_at`; delta[other:] is room for those of another layer.
    """

    @numba_njit(fastmath=False)
    def forward(forms, acts, data, x_at, x_step, first, out, out_at, widths, layers, planes, extra, real, nb):
        w_at = np.int64(0)
        for i in range(layers):
            q, h = widths[i], widths[i + 1]
            hidden = i < len(widths) - 2
            z, z_at = (acts, start_of(widths, i + 1, planes, first, nb)) if hidden else (out, out_at)
            x, rows_at = (acts, start_of(widths, i, planes, first, nb)) if i > 0 else (data, x_at)
            if i > 0 or x_step == nb:
                linear(z, z_at, x, rows_at, acts, w_at, q + 1, h, nb)
            else:
                linear_of_columns(z, z_at, x, rows_at, x_step, acts, w_at, q + 1, h, nb)
            w_at += (q + 1) * h
            if hidden:
                ones_at = z_at + h * nb
                slopes_at = ones_at + (height(widths, i + 1, planes, extra) - h * planes) * nb
                act(forms, acts, z_at, slopes_at, h * nb)
                for t in range(nb):
                    acts[ones_at + t] = 1.0
                if extra and i == layers - 1:
                    # Features that are nothing where the block is padded keep their products right.
                    for j in range(h + 1):
                        for t in range(real, nb):
                            acts[z_at + j * nb + t] = 0.0

    @numba_njit(fastmath=False)
    def backward(
        forms, acts, data, x_at, x_step, first, delta, delta_at, other, top, grad, grad_at, w_at, widths, planes, nb
    ):
        for i in range(top - 1, -1, -1):
            q, h = widths[i], widths[i + 1]
            w_at -= (q + 1) * h
            x, rows_at = (acts, start_of(widths, i, planes, first, nb)) if i > 0 else (data, x_at)
            if i > 0 or x_step == nb:
                added(grad, grad_at + w_at, x, rows_at, delta, delta_at, q + 1, h, nb)
            else:
                added_of_columns(grad, grad_at + w_at, x, rows_at, x_step, delta, delta_at, nb, q + 1, h, nb)
            if i > 0:
                slopes_at = rows_at + ((q + 1) * nb if planes == 2 else 0)
                pull(forms, delta, other, delta, delta_at, acts, w_at, np.int64(1), h, h, q, nb, slopes_at)
                delta_at, other = other, delta_at

    return forward, backward


def passes(form: Callable, slope: str) -> tuple[Callable, Callable, Callable]:
    """Compile-ready functions for networks with one activation, of any widths: start, forward, backward.

    ``start(X, widths)`` allocates the buffer, into whose beginning the caller packs the parameters;
    ``forward(X, saved, widths)`` fills it and gives the output (n, m); ``backward(g, saved, widths)`` gives the
    gradient of ``sum(g * f)`` with respect to the parameters, packed likewise.

    Parameters
    ----------
    form : callable
        From a vector to the activation and its derivative, or None.
    slope : str
        Name in `SLOPES`, or "kept".
    """
    activate, kept = activation(form), 2 if slope == "kept" else 1

    @numba_njit(fastmath=False)
    def act(forms, a, a_at, slope_at, size):
        activate(a, a_at, slope_at, size)

    @numba_njit(fastmath=False, inline="never")
    def pull(forms, out, out_at, x, x_at, w, w_at, w_in, w_out, n_in, n_out, nb, slopes_at):
        product(slope, out, out_at, x, x_at, w, w_at, w_in, w_out, n_in, n_out, nb, slopes_at)

    block_forward, block_backward = blocks(act, pull)

    @numba_njit(fastmath=False)
    def n_rows(widths):
        total = widths[0] + 1
        for i in range(1, len(widths) - 1):
            total += height(widths, i, kept, np.int64(0))
        return total

    @numba_njit(fastmath=False)
    def start(X, widths):
        return aligned(room(widths) + n_rows(widths) * (X.shape[0] + 16))

    @numba_njit(fastmath=False)
    def forward(X, saved, widths):
        X = np.ascontiguousarray(X)
        n, depth, m, p = X.shape[0], len(widths) - 1, widths[-1], widths[0]
        rows, block = n_rows(widths), block_of(widths, n)
        out = aligned((n + 16) * m)
        f = out[:n].reshape(n, 1) if m == 1 else np.empty((n, m))
        for at in range(0, n, block):
            nb, real = block_of(widths, n - at), min(block, n - at)
            x_at = room(widths) + rows * at
            _units_major(saved, x_at, nb, X, at, real)
            saved[x_at + p * nb : x_at + (p + 1) * nb] = 1.0
            first = x_at + (p + 1) * nb
            block_forward(0, saved, saved, x_at, nb, first, out, at * m, widths, depth, kept, np.int64(0), real, nb)
            if m > 1:
                transpose(f, at * m, m, out, at * m, nb, m, real, m)
        return f

    @numba_njit(fastmath=False)
    def backward(g, saved, widths):
        g = np.ascontiguousarray(g)
        n, depth, size = g.shape[0], len(widths) - 1, room(widths)
        rows, block = n_rows(widths), block_of(widths, n)
        space = max(widths[1:]) * block
        work, grad, w_at = aligned(2 * space), np.zeros(size), np.int64(0)
        for i in range(depth):
            w_at += (widths[i] + 1) * widths[i + 1]
        for at in range(0, n, block):
            nb, real = block_of(widths, n - at), min(block, n - at)
            x_at = size + rows * at
            first = x_at + (widths[0] + 1) * nb
            zero = np.int64(0)
            _units_major(work, zero, nb, g, at, real)
            block_backward(
                0, saved, saved, x_at, nb, first, work, zero, space, depth, grad, zero, w_at, widths, kept, nb
            )
        return grad

    return start, forward, backward
