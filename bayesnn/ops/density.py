r"""The log density of a network's parameters with its gradient, as one function of one flat vector.

For samplers and optimisers, which evaluate it millions of times: likelihood, priors, and the transformation of the
noise in one pass over the data, block by block, so that what one block needs stays in the first-level cache. It is
the density of the PyMC model, written a second time; tests hold the two together for every loss and prior.

Many rows are divided into parts, which several threads may share. What the parts contribute is added in their order,
and how many they are depends on the data alone: the same numbers come out of any number of threads.

The walk over blocks is compiled once for all networks, and kept on disk: sizes, numbers of layers, priors and noise are
data, and activation, likelihood and penalty are C functions of `forms`, called by their addresses.

The output layer may be integrated out (squared error, normal priors). With features :math:`\Phi` (n, k), the last of
them ones for the bias, targets :math:`Y` (n, m), weights :math:`w_{ij} \sim N(0, s_i^2)` and noise :math:`\sigma`,
every column of :math:`Y` is normal with covariance :math:`\sigma^2 I + \Phi S^2 \Phi^\top`. With
:math:`A = I + S \Phi^\top \Phi S / \sigma^2`, of size k and shared by all targets,

.. math::
   \log p(Y) = -\tfrac{m}{2} (n \log 2\pi\sigma^2 + \log |A|)
               - \tfrac12 (\|R\|^2 / \sigma^2 + \|V\|^2),
   \qquad V = A^{-1} S \Phi^\top Y / \sigma^2, \quad R = Y - \Phi S V .

The quadratic form is written as a sum of squares, which does not cancel when the noise is small.
"""

import ctypes
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, types
from pytensor.link.numba.dispatch.basic import numba_njit

from bayesnn.data.columns import columns_under
from bayesnn.ops.callback import DENSITY, VERSION, c_function, pointer
from bayesnn.ops.forms import ACTIVATE, LIKELIHOOD, PENALTY, PULL, activation_of, likelihood_of, penalty_of
from bayesnn.ops.kernels import (
    added,
    added_of_columns,
    aligned,
    block_of,
    blocks,
    call_by_address,
    height,
    kernel,
    linear,
    linear_of_columns,
    start_of,
)
from bayesnn.ops.rising import add_rising
from bayesnn.ops.simd import DOUBLE, INT, INTS, LANES, VECTOR, Vec
from bayesnn.ops.threads import claim, cores, start_thread, starters, wait_for

# Places in the table of sizes; the widths of the layers follow, inputs first, then which layers have biases. COLLAPSE
# is 1 where the output layer is integrated out, and 2 where its distribution given the rest is asked for instead.
# PLANES is 2 where derivatives of activations are kept, otherwise 1; CUTS counts cutpoints, SCALES learned scales.
# SCALED counts the targets whose scale is the noise, RISING the numbers in the table of `rising`, TARGETS also what is
# known of the rows. STEP is how far apart the columns of the inputs start, or zero where they are held block by block.
(N, TARGETS, COLLAPSE, LEARNED, JACOBIAN, PLANES, CUTS, SCALES, SCALED, RISING, STEP, DEPTH,
 # What follows from these, see `layout`.
 PART, PARTS, BLOCK, LAYERS, EXTRA, ROOM, ROWS, WIDTH, PULL_AT, BETA_AT, A_AT, FIRST, SHARE, KEPT, END, SLOPES_AT,
 OTHER, HIDDEN_AT, OWN, PLACES) = range(32)  # fmt: skip
# Places behind the packed parameters, in the work space of all threads: what penalties add up to, and one over the
# noise; in that of each thread the sums of a part.
TOTAL, SIGMA, SUMS = 0, 1, 0
# Places in the table of numbers; the prior scales of an output layer that is integrated out follow. The prior of a
# learned noise: -log p(s) = POWER log(s) + SQUARES s^2 + LOGS (log(s) - CENTRE)^2 + INVERSE / s, but for a constant.
# CONSTANT belongs to the likelihood, PRIOR_CONSTANT to the priors.
# CUT_RATE and SCALE_RATE are what the squares of cutpoints and of learned scales are multiplied by.
NOISE, CONSTANT, PRIOR_CONSTANT, CUT_RATE, SCALE_RATE, POWER, SQUARES, LOGS, CENTRE, INVERSE, NUMBERS = range(11)
# Rows of the table of rates: -log p(w) = L1 |w| + L2 w^2 + LOG log(1 + SQUARE w^2), but for a constant, and what w is
# multiplied by in a penalty that is a formula, for weights and biases apart, and L2 where the learned scale is one.
L1, L2, LOG, SQUARE, PENALTIES, UNSCALED, RATES = 0, 1, 2, 3, 4, 6, 7
# Places in the table of forms: addresses of C functions, and of the parameters of the likelihood and of both penalties;
# then of what shares the parts among threads.
ACT, PULLED, LIKELY, PENALTY_AT, PARAMETERS, WALK, HELP, CREATE, JOIN, FORMS = 0, 1, 2, 3, 5, 8, 9, 10, 11, 12
# Places in the table that the compiled functions are called with: addresses and sizes of the inputs, the targets and
# the tables above, how much comes out, how many threads there may be; the forms follow.
X_AT, X_SIZE, Y_AT, Y_SIZE, SIZES, DEPTH_OF, NUMBERS_AT, RATES_AT, N_OUT, COUNT, VALUES, THREADS, TABLE = range(13)
# Places in what the threads of one evaluation share: the next part, which pass over the data it is, and sizes and
# addresses of the flat vector, the work space and the table.
NEXT, PASS, DIM, THETA, WORK, TABLE_AT, JOB = range(7)
LONG = 2**20
"""Operations, roughly, that make a part: a fifth of a millisecond, ten times what a thread costs."""
MOST = 64
"""Most parts, which bounds the room for what they contribute."""
REMEMBERED = 2**21
"""Most numbers of hidden layers that are kept for the second pass; more are computed again, which is faster than memory
that is fetched from the system each time."""
_PROTOTYPE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_uint64, *[ctypes.c_void_p] * 4)


@kernel
def eliminate(code, a, a_at, p, k, width):
    """One step of Gauss and Jordan's elimination, in place, with the pivot a[p, p] of a (k, width)."""
    builder = code.builder
    top = code.at(a, a_at, (p, width))
    inverse = builder.fdiv(DOUBLE(1.0), builder.load(code.at(top, p), typ=DOUBLE))
    inverse = Vec(builder, code.broadcast(inverse, VECTOR))
    lanes = ir.Constant(INTS, list(range(LANES)))

    def without(row, j, number):
        """Load a vector of a row with a number in place of the element in column p: no load must wait for a store."""
        vec = code.load(code.at(row, j))
        here = builder.icmp_signed("==", lanes, code.broadcast(builder.sub(p, j), INTS))
        return vec.full(number).where(here, vec)

    with code.loop(width, LANES) as j:
        code.store(without(top, j, 1.0) * inverse, code.at(top, j))
    for start, stop in ((INT(0), p), (builder.add(p, INT(1)), k)):
        with code.loop(stop, start=start) as i:
            row = code.at(a, a_at, (i, width))
            factor = builder.fneg(builder.load(code.at(row, p), typ=DOUBLE))
            factor = Vec(builder, code.broadcast(factor, VECTOR))
            with code.loop(width, LANES) as j:
                code.store(code.load(code.at(top, j)).fma(factor, without(row, j, 0.0)), code.at(row, j))


@numba_njit(fastmath=False, error_model="numpy", inline="never")
def solve(work, a_at, width, gram_at, scales, k, m, variance):
    """Replace [A | B], (k, k + m), by [inverse of A | V]; return log |A|, the trace of the inverse, and |V|^2.

    Gauss and Jordan's elimination: without exchanges it is stable for the positive definite A, whose pivots are at
    least one. Rows of work[a_at:] have the length `width`, a multiple of 8. The products of features are (k, k) at
    gram_at, of which the lower triangle is read, followed by those with the targets, (k, m).
    """
    for i in range(k):
        row = a_at + i * width
        for j in range(i + 1):
            entry = scales[i] * scales[j] / variance * work[gram_at + i * k + j]
            work[row + j] = entry
            work[a_at + j * width + i] = entry
        work[row + i] += 1.0
        for j in range(m):
            work[row + k + j] = scales[i] / variance * work[gram_at + k * k + i * m + j]
        for j in range(k + m, width):
            work[row + j] = 0.0
    log_det, pivots = 0.0, 1.0
    for p in range(k):
        pivots *= work[a_at + p * (width + 1)]
        if not pivots < 1e200:
            log_det += np.log(pivots)
            pivots = 1.0
        eliminate(work, a_at, p, k, width)
    trace = squares = 0.0
    for i in range(k):
        trace += work[a_at + i * width + i]
        for j in range(m):
            squares += work[a_at + i * width + k + j] ** 2
    return log_det + np.log(pivots), trace, squares


@numba_njit(fastmath=False)
def pack(work, theta, widths, biased, layers):
    """Copy the flat vector to the start of the work space, with zeros for biases that there are not."""
    at = taken = 0
    for i in range(layers):
        size, h = widths[i] * widths[i + 1], widths[i + 1]
        for j in range(size):
            work[at + j] = theta[taken + j]
        at, taken = at + size, taken + size
        for j in range(h):
            work[at + j] = theta[taken + j] if biased[i] else 0.0
        at, taken = at + h, taken + (h if biased[i] else 0)


@numba_njit(fastmath=False)
def unpack(gradient, work, at, widths, biased, layers):
    """Copy a packed gradient at work[at:] to a flat one, and return how many elements that were."""
    taken = 0
    for i in range(layers):
        size, h = widths[i] * widths[i + 1], widths[i + 1]
        for j in range(size + (h if biased[i] else 0)):
            gradient[taken + j] = work[at + j]
        at, taken = at + size + h, taken + size + (h if biased[i] else 0)
    return taken


@numba_njit(fastmath=False, error_model="numpy")
def add_prior(gradient, theta, rates, size):
    """Add the priors' share to a gradient, and return the log-prior of the weights without its constant."""
    value = 0.0
    for i in range(size):
        w = theta[i]
        value -= rates[L1, i] * abs(w) + rates[L2, i] * w * w
        gradient[i] -= rates[L1, i] * np.sign(w) + 2.0 * rates[L2, i] * w
        if rates[LOG, i] > 0.0:
            square = rates[SQUARE, i] * w
            value -= rates[LOG, i] * np.log1p(square * w)
            gradient[i] -= 2.0 * rates[LOG, i] * square / (1.0 + square * w)
    return value


@numba_njit(fastmath=False, error_model="numpy")
def add_scales(gradient, theta, rates, widths, biased, depth, first, rate, jacobian):
    """Add the share of normal priors with a learned scale for each layer, whose logarithms are theta[first:]."""
    value, at = 0.0, np.int64(0)
    for layer in range(depth):
        log_scale = theta[first + layer]
        variance = np.exp(2.0 * log_scale)
        squares, count = 0.0, 0
        for i in range(at, at + (widths[layer] + biased[layer]) * widths[layer + 1]):
            half = rates[UNSCALED, i] / variance
            if half > 0.0:
                squares += half * theta[i] * theta[i]
                gradient[i] -= 2.0 * half * theta[i]
                count += 1
        at += (widths[layer] + biased[layer]) * widths[layer + 1]
        value += (jacobian - count) * log_scale - squares - rate * variance
        gradient[first + layer] += jacobian - count + 2.0 * squares - 2.0 * rate * variance
    return value


@numba_njit(fastmath=False, error_model="numpy")
def place_cutpoints(work, at, theta, first, cuts):
    """Write increasing cutpoints from the first of them and the logarithms of their distances."""
    work[at] = theta[first]
    for j in range(1, cuts):
        work[at + j] = work[at + j - 1] + np.exp(theta[first + j])


@numba_njit(fastmath=False, error_model="numpy")
def add_cutpoints(gradient, prior, theta, work, at, cuts, counts, rate, jacobian):
    """Add what the likelihood owes to the distances of cutpoints alone, see `likelihoods`, and their prior."""
    value, log_prior, total, prior_total, first = 0.0, 0.0, 0.0, 0.0, len(theta) - cuts
    for j in range(1, cuts):
        gap = work[at + j] - work[at + j - 1]
        value += counts[j] * np.log(-np.expm1(-gap))
        slope = counts[j] / np.expm1(gap)
        work[at + cuts + j] += slope
        work[at + cuts + j - 1] -= slope
    for j in range(cuts - 1, -1, -1):
        total += work[at + cuts + j]
        prior_total -= 2.0 * rate * work[at + j]
        log_prior -= rate * work[at + j] ** 2
        stretch = 1.0 if j == 0 else np.exp(theta[first + j])
        gradient[first + j] = total * stretch
        prior[first + j] += prior_total * stretch
        if j > 0:
            log_prior += jacobian * theta[first + j]
            prior[first + j] += jacobian
    return value, log_prior


@numba_njit(fastmath={"reassoc", "contract"}, error_model="numpy", inline="never")
def residual(work, left_at, data, y_at, size):
    """Replace predictions by targets less predictions, and return the sum of their squares."""
    total = 0.0
    for i in range(size):
        left = data[y_at + i] - work[left_at + i]
        work[left_at + i] = left
        total += left * left
    return total


_activate, _pull, _likelihood, _penalty = map(call_by_address, (ACTIVATE, PULL, LIKELIHOOD, PENALTY))


@numba_njit(fastmath=False)
def _act(forms, a, a_at, slope_at, size):
    _activate(forms[ACT], a, a_at, slope_at, size)


@numba_njit(fastmath=False, inline="never")
def pulled(forms, out, out_at, x, x_at, w, w_at, w_in, w_out, n_in, n_out, nb, slopes_at):
    """Pull slopes back through a layer and its activation."""
    _pull(forms[PULLED], out, out_at, x, x_at, w, w_at, w_in, w_out, n_in, n_out, nb, slopes_at)


forward, backward = blocks(_act, pulled)


@numba_njit(fastmath=False, error_model="numpy")
def means_of(work, a_at, width, beta_at, pull_at, scales, k, m, variance):
    """Turn the solution into the weights' means, (k, m), and what pulls residuals back, (k + m, k - 1)."""
    for i in range(k):
        for j in range(m):
            work[beta_at + i * m + j] = scales[i] * work[a_at + i * width + k + j]
    last = k - 1
    for j in range(k):
        for i in range(last):
            factor = -m * scales[i] * scales[j] / variance
            work[pull_at + j * last + i] = factor * work[a_at + j * width + i]
    for j in range(m):
        for i in range(last):
            work[pull_at + (k + j) * last + i] = work[beta_at + i * m + j] / variance


@numba_njit(fastmath=False, error_model="numpy", inline="always")
def walk(job, theta, work, own, data, targets_of, sizes, numbers, forms):
    """Go through parts of the data as long as there are any, and add up what each contributes in its own place.

    The first pass has the likelihood and its gradient, or the products of features of an output layer that is
    integrated out; the second the residuals of that layer and the gradient.
    """
    n, targets, depth, cuts = sizes[N], sizes[TARGETS], sizes[DEPTH], sizes[CUTS]
    collapse, planes, parts, kept = sizes[COLLAPSE] > 0, sizes[PLANES], sizes[PARTS], sizes[KEPT]
    layers, extra, room, rows, block = sizes[LAYERS], sizes[EXTRA], sizes[ROOM], sizes[ROWS], sizes[BLOCK]
    slopes_at, other, hidden_at, pull_at = sizes[SLOPES_AT], sizes[OTHER], sizes[HIDDEN_AT], sizes[PULL_AT]
    widths = sizes[PLACES : PLACES + depth + 1]
    p, m, k = widths[0], widths[depth], widths[depth - 1] + 1
    whole = sizes[STEP]
    sums_at, sigma = room + SUMS, work[room + SIGMA]
    # Both begin with the packed parameters, and have what pulls residuals back in the same place.
    acts = work if kept > 0 else own
    if kept == 0:
        pack(own, theta, widths, sizes[PLACES + depth + 1 :], layers)
        if job[PASS] == 2:
            for i in range(pull_at, sizes[BETA_AT]):
                own[i] = work[i]
    part = claim(job) if parts > 1 else np.int64(0)
    while part < parts:
        at = sizes[FIRST] + part * sizes[SHARE]
        grad_at, gram_at = at + 2, at + 2 + room
        own[sums_at] = own[sums_at + 1] = 0.0
        if job[PASS] == 1:
            for i in range(at, at + sizes[SHARE]):
                work[i] = 0.0
            if cuts > 0:
                place_cutpoints(work, gram_at, theta, len(theta) - cuts, cuts)
        for start in range(part * sizes[PART], min(n, (part + 1) * sizes[PART]), block):
            nb, real = block_of(widths, n - start), min(block, n - start)
            x_at, step = (start, whole) if whole > 0 else ((p + 1 + targets) * start, nb)
            mask_at, y_at = x_at + p * step, targets * start if whole > 0 else x_at + (p + 1) * nb
            first = kept + rows * start if kept > 0 else hidden_at
            if job[PASS] == 1 or kept == 0:
                forward(forms, acts, data, x_at, step, first, own, slopes_at, widths, layers, planes, extra, real, nb)
            features = start_of(widths, depth - 1, planes, first, nb)
            if not collapse:
                # The slopes take the place of the outputs.
                if cuts > 0:
                    cut, rows_of = work[gram_at:], cuts
                else:
                    cut, rows_of = carray(pointer(forms[PARAMETERS]), (1,), np.float64), m
                _likelihood(
                    forms[LIKELY], own, slopes_at, slopes_at, sums_at, targets_of, y_at, data, mask_at, rows_of, nb,
                    sigma, cut,
                )  # fmt: skip
                backward(
                    forms, acts, data, x_at, step, first, own, slopes_at, other, depth, work, grad_at, room, widths,
                    planes, nb,
                )  # fmt: skip
            elif job[PASS] == 1:
                if depth == 1:
                    added_of_columns(work, gram_at, data, x_at, step, data, x_at, step, k, k, nb)
                    added_of_columns(work, gram_at + k * k, data, x_at, step, targets_of, y_at, nb, k, m, nb)
                else:
                    added(work, gram_at, acts, features, acts, features, k, k, nb)
                    added(work, gram_at + k * k, acts, features, targets_of, y_at, k, m, nb)
            elif depth == 1:
                linear_of_columns(own, hidden_at, data, x_at, step, work, sizes[BETA_AT], k, m, nb)
                own[sums_at] += residual(own, hidden_at, targets_of, y_at, m * nb)
            else:
                linear(acts, features + k * nb, acts, features, work, sizes[BETA_AT], k, m, nb)
                own[sums_at] += residual(acts, features + k * nb, targets_of, y_at, m * nb)
                slopes_of = features + ((k + m) * nb if planes == 2 else 0)
                one, top = np.int64(1), depth - 1
                # The residuals follow the features: both are pulled back at once.
                pulled(forms, own, slopes_at, acts, features, acts, pull_at, k - 1, one, k + m, k - 1, nb, slopes_of)
                backward(
                    forms, acts, data, x_at, step, first, own, slopes_at, other, top, work, grad_at, room, widths,
                    planes, nb,
                )  # fmt: skip
        work[at] = own[sums_at]
        work[at + 1] = own[sums_at + 1]
        part = claim(job) if parts > 1 else parts


_walk = call_by_address((types.voidptr, types.int64))


@numba_njit(fastmath=False, error_model="numpy")
def shared(stage, job, own, forms, threads, parts):
    """Make a pass over the data, with helpers where there are several parts; one that can't be had is not missed."""
    job[NEXT], job[PASS] = 0, stage
    # A thread for a single part would hardly be up when the others have done it.
    helpers = min(threads, parts // 2) - 1 if forms[CREATE] != 0 else np.int64(0)
    if helpers > 0:
        identities, started = np.empty(helpers, dtype=np.int64), 0
        while started < helpers and start_thread(forms[CREATE], forms[HELP], job, identities[started:]) == 0:
            started += 1
        _walk(forms[WALK], job, own)
        for i in range(started):
            wait_for(forms[JOIN], identities[i])
    else:
        _walk(forms[WALK], job, own)


@numba_njit(fastmath=False)
def added_up(work, at, share, parts):
    """Add what all parts contribute to the first of them, in their order."""
    for part in range(1, parts):
        for i in range(share):
            work[at + i] += work[at + part * share + i]


@numba_njit(fastmath=False, error_model="numpy", inline="always")
def density(theta, gradient, prior, sizes, numbers, rates, table):
    """Write the gradient of the log-likelihood, add that of the log-prior to `prior`, and return both logarithms.

    `prior` may be the same array as `gradient`, which then is that of their sum.
    """
    forms = table[TABLE:]
    n, depth = sizes[N], sizes[DEPTH]
    collapse, learned = sizes[COLLAPSE] > 0, sizes[LEARNED] == 1
    widths, biased = sizes[PLACES : PLACES + depth + 1], sizes[PLACES + depth + 1 :]
    m, k, cuts = widths[depth], widths[depth - 1] + 1, sizes[CUTS]
    noise = np.exp(theta[len(theta) - 1]) if learned else numbers[NOISE]
    variance = noise * noise
    room, parts, first, share = sizes[ROOM], sizes[PARTS], sizes[FIRST], sizes[SHARE]
    grad_at, gram_at, a_at, beta_at = first + 2, first + 2 + room, sizes[A_AT], sizes[BETA_AT]
    width, layers, end, size = sizes[WIDTH], sizes[LAYERS], sizes[END], sizes[OWN]
    # Slices would count who refers to them, which takes as long as a few rows of data.
    work = aligned(end + size + JOB)
    own = work.ctypes.data + 8 * end
    job = carray(pointer(own + 8 * size), (JOB,), np.int64)
    job[DIM], job[THETA] = len(theta), theta.ctypes.data
    job[WORK], job[TABLE_AT] = work.ctypes.data, table.ctypes.data
    if sizes[KEPT] > 0:
        pack(work, theta, widths, biased, layers)
    work[room + SIGMA] = 1.0 / noise

    shared(1, job, own, forms, table[THREADS], parts)
    if cuts > 0:
        for part in range(1, parts):
            work[gram_at + part * share : gram_at + part * share + cuts] = 0.0
    added_up(work, first, share, parts)
    value = numbers[CONSTANT] + work[first] - sizes[SCALED] * np.log(noise)
    by_scale = work[first + 1] - sizes[SCALED]
    if sizes[RISING] > 0:
        counts = carray(pointer(forms[PARAMETERS]), (sizes[RISING],), np.float64)
        rising, slope = add_rising(counts, variance)
        value += rising
        by_scale += 2.0 * variance * slope

    if collapse:
        scales = numbers[NUMBERS:]
        log_det, trace, length = solve(work, a_at, width, gram_at, scales, k, m, variance)
        if sizes[COLLAPSE] == 2:
            for i in range(k):
                for j in range(k + m):
                    gradient[i * (k + m) + j] = work[a_at + i * width + j]
            return value, 0.0
        means_of(work, a_at, width, beta_at, sizes[PULL_AT], scales, k, m, variance)
        shared(2, job, own, forms, table[THREADS], parts)
        added_up(work, first, share, parts)
        squares = work[first]
        value -= 0.5 * (m * log_det + squares / variance + length)
        by_scale = squares / variance - m * (n - k + trace)

    size = unpack(gradient, work, grad_at, widths, biased, layers)
    for i in range(size, len(theta)):
        gradient[i] = 0.0
    log_prior, jacobian = numbers[PRIOR_CONSTANT], float(sizes[JACOBIAN])
    if learned:
        log_noise = theta[len(theta) - 1]
        power = numbers[POWER] - jacobian
        squared, inverse = numbers[SQUARES] * variance, numbers[INVERSE] / noise
        away = log_noise - numbers[CENTRE]
        log_prior -= power * log_noise + squared + numbers[LOGS] * away * away + inverse
        gradient[len(theta) - 1] = by_scale
        prior[len(theta) - 1] -= power + 2.0 * squared + 2.0 * numbers[LOGS] * away - inverse
    log_prior += add_prior(prior, theta, rates, size)
    if sizes[SCALES] > 0:
        log_prior += add_scales(prior, theta, rates, widths, biased, depth, size, numbers[SCALE_RATE], jacobian)
    if cuts > 0:
        counts = carray(pointer(forms[PARAMETERS]), (cuts + 1,), np.float64)
        by_distance, of_cuts = add_cutpoints(
            gradient, prior, theta, work, gram_at, cuts, counts, numbers[CUT_RATE], jacobian
        )
        value += by_distance
        log_prior += of_cuts
    work[room + TOTAL] = 0.0
    for i in range(PARAMETERS - PENALTY_AT):
        if forms[PENALTY_AT + i] != 0:
            own_parameters = pointer(forms[PARAMETERS + 1 + i])
            _penalty(
                forms[PENALTY_AT + i], theta, prior, rates[PENALTIES + i], size, own_parameters, work[room + TOTAL :]
            )
    return value, log_prior + work[room + TOTAL]


_CALLBACK = """
def callback(dim, theta_, gradient_, value_, table_):
    table = carray(table_, (TABLE + FORMS,), np.int64)
    n_out, count, values = table[N_OUT], table[COUNT], table[VALUES]
    theta, gradient = carray(theta_, (count * dim,)), carray(gradient_, (count * n_out,))
    value = carray(value_, (count * values,))
    sizes = carray(pointer(table[SIZES]), (PLACES + 2 * table[DEPTH_OF] + 1,), np.int64)
    numbers = carray(pointer(table[NUMBERS_AT]), (NUMBERS + sizes[PLACES + table[DEPTH_OF] - 1] + 1,), np.float64)
    rates = carray(pointer(table[RATES_AT]), (RATES, dim), np.float64)
    code = 0
    for s in range(count):
        out = gradient[s * n_out : (s + 1) * n_out]
        prior = out
        if values == 2:
            prior = out[dim:]
            prior[:] = 0.0
        at = theta[s * dim : (s + 1) * dim]
        likelihood, log_prior = density(at, out, prior, sizes, numbers, rates, table)
        if values == 2:
            value[2 * s], value[2 * s + 1] = likelihood, log_prior
        else:
            value[s] = likelihood + log_prior
        if not np.isfinite(likelihood + log_prior):
            code = 4
        for i in range(n_out):
            if not np.isfinite(out[i]):
                code = 3
    return code
"""
_WALK = """
def walker(job_, own_):
    job = carray(job_, (JOB,), np.int64)
    table = carray(pointer(job[TABLE_AT]), (TABLE + FORMS,), np.int64)
    sizes = carray(pointer(table[SIZES]), (PLACES + 2 * table[DEPTH_OF] + 1,), np.int64)
    numbers = carray(pointer(table[NUMBERS_AT]), (NUMBERS,), np.float64)
    data = carray(pointer(table[X_AT]), (table[X_SIZE],), np.float64)
    targets = carray(pointer(table[Y_AT]), (table[Y_SIZE],), np.float64)
    theta = carray(pointer(job[THETA]), (job[DIM],), np.float64)
    work = carray(pointer(job[WORK]), (sizes[END],), np.float64)
    own = carray(pointer(own_), (sizes[OWN],), np.float64)
    walk(job, theta, work, own, data, targets, sizes, numbers, table[TABLE:])
    return 0
"""
_HELP = """
def helper(job_):
    job = carray(job_, (JOB,), np.int64)
    table = carray(pointer(job[TABLE_AT]), (TABLE + FORMS,), np.int64)
    sizes = carray(pointer(table[SIZES]), (PLACES,), np.int64)
    own = aligned(sizes[OWN])
    call(table[TABLE + WALK], job, own.ctypes.data)
    # The room lives until it is read here.
    return np.int64(own[0] != own[0])
"""
_PLACES = {
    name: globals()[name]
    for name in (
        "X_AT", "X_SIZE", "Y_AT", "Y_SIZE", "SIZES", "DEPTH_OF", "NUMBERS_AT", "RATES_AT", "N_OUT", "COUNT", "VALUES",
        "TABLE", "FORMS", "PLACES", "NUMBERS", "RATES", "JOB", "TABLE_AT", "THETA", "DIM", "WORK", "WALK",
        "END", "OWN",
    )
}  # fmt: skip


@cache
def callback() -> Any:
    """Compile `density` to a C function, or read it from disk."""
    names = {**_PLACES, "density": density}
    return c_function(_CALLBACK, "callback", DENSITY, names, f"density-{LANES}-{VERSION}")


@cache
def walkers() -> tuple[Any, Any]:
    """Compile what goes through the data, and what a helping thread runs, or read them from disk."""
    walker = c_function(
        _WALK, "walker", (types.voidptr, types.int64), {**_PLACES, "walk": walk}, f"walk-{LANES}-{VERSION}"
    )
    names = {**_PLACES, "aligned": aligned, "call": _walk}
    return walker, c_function(_HELP, "helper", (types.voidptr,), names, f"help-{LANES}-{VERSION}")


def layout(sizes: np.ndarray, widths: np.ndarray) -> None:
    """Say how the rows are divided, and where what is in the work space.

    All threads share the packed parameters, the numbers behind them, and the small matrices of an output layer that is
    integrated out: what pulls residuals back, the weights' means, and the matrix that is inverted. Each part has two
    sums, a packed gradient, and cutpoints and their slopes or products of features; then hidden layers follow that are
    kept for a second pass. Each thread has the packed parameters, the sums, what pulls residuals back, the slopes of
    two layers, and the hidden layers of a block, the last of which has a row for each target's residuals.

    Parameters
    ----------
    sizes : array
        The table of sizes, whose places from `PART` on are filled.
    widths : array of int
        Of the layers, from the inputs to the outputs.
    """
    n, targets, depth, cuts, planes = (int(sizes[i]) for i in (N, TARGETS, DEPTH, CUTS, PLANES))
    collapse = sizes[COLLAPSE] > 0
    layers, extra = (depth - 1, targets) if collapse else (depth, 0)
    m, k, block = int(widths[-1]), int(widths[-2]) + 1, int(block_of.py_func(widths, n))
    # Of a row the products, and of each unit about as many operations as its activation or its likelihood takes.
    operations = int((widths[:-1] + 1) @ widths[1:] + 8 * widths[1:].sum())
    part = max(LONG // operations, -(-n // MOST), 1)
    part = -(-part // block) * block
    parts = -(-n // part)
    room = int(((widths[:-1] + 1) * widths[1:])[:layers].sum())
    rows = sum(int(height.py_func(widths, i, planes, extra)) for i in range(1, depth))
    widest = max(m, targets, *widths[1:-1].tolist())
    up = lambda size: -(-size // 8) * 8  # noqa: E731
    width = up(k + m)
    pull_at = up(room + 8)
    beta_at = pull_at + ((k + m) * (k - 1) if collapse else 0)
    a_at = up(beta_at + (k * m if collapse else 0))
    first = a_at + (k * width if collapse else 0)
    share = up(2 + room + (k * (k + m) if collapse else 2 * cuts))
    end = first + parts * share
    kept = end if collapse and rows and rows * (n + 16) <= REMEMBERED else 0
    end += up(rows * (n + 16)) if kept else 0
    slopes_at = up(beta_at)
    hidden_at = slopes_at + 2 * widest * block
    own = hidden_at + (0 if kept else rows * block) + (m * block if depth == 1 else 0)
    sizes[PART:PLACES] = (
        part, parts, block, layers, extra, room, rows, width, pull_at, beta_at, a_at, first, share, kept, end,
        slopes_at, slopes_at + widest * block, hidden_at, own,
    )  # fmt: skip


def _in_blocks(matrices, block, widths):
    """Columns of matrices block by block, each a row there, padded as the blocks are."""
    n, rows = len(matrices[0]), sum(matrix.shape[1] for matrix in matrices)
    out = np.zeros(rows * (n + 16))
    for start in range(0, n, block):
        real, nb = min(block, n - start), block_of.py_func(widths, n - start)
        place = out[rows * start : rows * (start + nb)].reshape(rows, nb)[:, :real]
        place[:] = np.vstack([matrix[start : start + real].T for matrix in matrices])
    return out


class Density:
    """Log density of a network's parameters with its gradient.

    Parameters
    ----------
    phi : Activation
        Of the hidden layers; `forms` covers its formula.
    loss : Loss
        With a kernel by hand, or a formula that is covered.
    known : str
        What the last column of `Y` is, if it is no target, as for `likelihoods.elementwise`.
    X : array (n, p)
        Inputs; where they are a view of an array of `columns_for`, they are read where they are, at every evaluation.
    Y : array (n, t)
        Targets: one-hot rows for classes, one column for labels and counts; then what is known of the rows.
    widths : sequence of int
        Of the layers, from the inputs to the outputs.
    biased : sequence of bool
        Whether each layer after the inputs has biases.
    rates : array (4, size)
        For each element of the flat vector the rates of its prior, in the order of the rows `L1`, `L2`, `LOG`,
        `SQUARE`.
    penalties : sequence of (Formula, array, array (size,)), optional
        At most two formulas, the values of their parameters, and what each element of the flat vector is multiplied by:
        zero for those that have another prior.
    constant, prior_constant : float
        What belongs to the log-likelihood and to the log-prior and depends on no parameter.
    noise : float or None
        Known scale of the likelihood; 1.0 for losses that have none. None: its logarithm is the last element.
    noise_rates : array (5,)
        Rates of the prior of a learned noise, in the order of the places `POWER`, `SQUARES`, `LOGS`, `CENTRE`,
        `INVERSE`.
    jacobian : bool
        Whether to take the density of log(noise), as a sampler needs it, or of the noise, whose mode is the MAP.
    parameters : sequence of float
        The loss's own, such as Huber's delta; with cutpoints, how many targets each class has.
    cuts : int
        Number of cutpoints, the last elements of the flat vector: the first of them, and logarithms of distances.
    cut_rate : float
        Rate of the normal prior of the cutpoints: of -log p = rate c^2 + const.
    unscaled : array (size,), optional
        Rates of normal priors with a learned scale for each layer, at a scale of one; the logarithms of the scales
        follow the weights and biases.
    scale_rate : float
        Rate of the half-normal prior of those scales.
    scales : array (k,), optional
        Prior standard deviations of the output weights of one target and of its bias (0 for none): the output layer
        is integrated out, and the flat vector ends with the last hidden layer.
    rising : sequence of float
        Of overdispersed counts, the table of `add_rising`; there are no `parameters` then.
    threads : int, optional
        Most threads of an evaluation; None takes as many as there are cores. The numbers are the same for any.
    """

    def __init__(self, phi, loss, X, Y, *, widths, biased, rates, constant, noise, prior_constant=0.0,
                 penalties=(), noise_rates=(0.0,) * 5, jacobian=False, parameters=(), scales=None, cuts=0,
                 cut_rate=0.0, unscaled=None, scale_rate=0.0, threads=None, known="", rising=()):  # fmt: skip
        n, depth = len(Y), len(widths) - 1
        widths = np.asarray(widths, dtype=np.int64)
        act, pull, kept = activation_of(phi)
        learned = 0 if unscaled is None else depth
        scaled = n * (Y.shape[1] - bool(known)) if loss.scaled else 0
        flags = (scales is not None, noise is None, jacobian, 1 + kept, cuts, learned, scaled, len(rising))
        columns = columns_under(X)
        first = [n, Y.shape[1], *flags, 0 if columns is None else columns.shape[1], depth]
        self.sizes = np.concatenate([first, np.zeros(PLACES - PART), widths, biased]).astype(np.int64)
        layout(self.sizes, widths)
        self.numbers = np.zeros(NUMBERS + widths[-2] + 1)
        self.numbers[:NUMBERS] = (
            1.0 if noise is None else noise,
            constant,
            prior_constant,
            cut_rate,
            scale_rate,
            *noise_rates,
        )
        if scales is not None:
            self.numbers[NUMBERS:] = scales
        self.size = np.shape(rates)[1]
        self.rates = np.zeros((RATES, self.size))
        self.rates[:PENALTIES] = rates
        if unscaled is not None:
            self.rates[UNSCALED] = unscaled
        # Nothing but these arrays and functions keeps alive what the addresses point to.
        self.kept = [act, pull, likelihood_of(loss, known), *walkers(), np.array([*parameters, *rising, 0.0])]
        self.forms = np.zeros(FORMS, dtype=np.int64)
        self.forms[[ACT, PULLED, LIKELY, WALK, HELP]] = [function.address for function in self.kept[:5]]
        self.forms[[CREATE, JOIN]] = starters()
        self.forms[PARAMETERS] = self.kept[5].ctypes.data
        for i, (formula, numbers, factors) in enumerate(penalties):
            self.kept += [penalty_of(formula), np.array([*numbers, 0.0])]
            self.forms[PENALTY_AT + i], self.forms[PARAMETERS + 1 + i] = (
                self.kept[-2].address,
                self.kept[-1].ctypes.data,
            )
            self.rates[PENALTIES + i] = factors
        self.threads = cores() if threads is None else threads
        block = block_of.py_func(widths, n)
        if columns is None:
            # Small data are one run of memory, block by block.
            self.inputs = self.targets = _in_blocks([X, np.ones((n, 1)), Y], block, widths)
        else:
            self.inputs, self.targets = columns, _in_blocks([Y], block, widths)
        self.common = np.zeros(TABLE + FORMS, dtype=np.int64)
        self.common[[X_AT, Y_AT]] = self.inputs.ctypes.data, self.targets.ctypes.data
        self.common[[X_SIZE, Y_SIZE]] = self.inputs.size, self.targets.size
        self.common[[NUMBERS_AT, RATES_AT]] = self.numbers.ctypes.data, self.rates.ctypes.data
        self.common[[DEPTH_OF, THREADS]] = depth, self.threads
        self.table = self._table(self.sizes, self.size)
        self.callback = callback()
        self._call = _PROTOTYPE(self.callback.address)

    def _table(self, sizes, n_out, count=1, values=1):
        """Addresses and sizes that the compiled function reads."""
        table = self.common.copy()
        table[SIZES], table[N_OUT], table[COUNT], table[VALUES] = sizes.ctypes.data, n_out, count, values
        table[TABLE:] = self.forms
        return table

    def _run(self, thetas, table):
        """Values and outputs of the compiled function at the points that its table announces."""
        n_out, count, values = table[[N_OUT, COUNT, VALUES]]
        out, value = np.empty((count, n_out)), np.empty((count, values))
        self._call(self.size, *(a.ctypes.data for a in (thetas, out, value, table)))
        return value if values > 1 else value[:, 0], out

    @property
    def split_table(self) -> np.ndarray:
        """Table with which the compiled function gives log-likelihood and log-prior apart, and both gradients."""
        return self._table(self.sizes, 2 * self.size, values=2)

    def __call__(self, theta):
        """Log density and gradient at a flat vector."""
        value, gradient = self._run(np.ascontiguousarray(theta, dtype=float), self.table)
        return value[0], gradient[0]

    def many(self, thetas: np.ndarray, *, split: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Log densities (s,) and gradients (s, size) at flat vectors (s, size), in one call.

        Split, log-likelihoods and log-priors (s, 2), and their gradients one after the other (s, 2 size).
        """
        thetas, parts = np.ascontiguousarray(thetas, dtype=float), 1 + split
        return self._run(thetas, self._table(self.sizes, parts * self.size, len(thetas), values=parts))

    def output_layer(self, thetas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distribution of an output layer that is integrated out, given the rest.

        Parameters
        ----------
        thetas : array (s, size)
            Flat vectors.

        Returns
        -------
        covariance : array (s, k, k)
            Of the weights of one target and its bias, in units of their prior scales.
        mean : array (s, k, m)
            Of the same.
        """
        thetas, depth = np.ascontiguousarray(thetas, dtype=float), self.sizes[DEPTH]
        k, m = self.sizes[PLACES + depth - 1] + 1, self.sizes[PLACES + depth]
        sizes = self.sizes.copy()
        sizes[COLLAPSE] = 2
        _, out = self._run(thetas, self._table(sizes, k * (k + m), len(thetas)))
        out = out.reshape(-1, k, k + m)
        return out[:, :, :k], out[:, :, k:]
