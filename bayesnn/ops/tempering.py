"""Markov chains at several inverse temperatures side by side, on a compiled log density.

The loop is compiled once for all networks: it calls the density, a C function that gives log-likelihood, log-prior and
both gradients, by its address. It holds no lock of Python's, so that several such loops run on as many cores.
"""

from functools import cache
from typing import Any

import numba
import numpy as np
from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS
from pytensor.link.numba.dispatch.basic import numba_njit

from bayesnn.ops.callback import DENSITY, VERSION
from bayesnn.ops.kernels import call_by_address

JITTER = 0.3
"""Standard deviation of the logarithm of a trajectory's step size around that of its temperature."""
SHORTEST, LONGEST = 1e-6, 10.0
"""Bounds of a step size that is being tuned."""
ACCEPTED, REJECTED, GRADIENTS, STATISTICS = range(4)
"""Columns of the statistics: sums of acceptance probabilities, of probabilities that a swap with the next temperature
is rejected, and of gradients."""

_density = call_by_address(DENSITY)


@numba_njit(fastmath={"contract", "reassoc"}, error_model="numpy")
def trajectory(rng, address, table, theta, value, gradient, beta, step, scale, leaps, q, p, v, g):
    """Move a state by one trajectory of Hamiltonian Monte Carlo; return its acceptance probability and its leaps."""
    dim = len(theta)
    length = step * np.exp(JITTER * rng.standard_normal())
    before = beta * value[0] + value[1]
    for i in range(dim):
        p[i] = rng.standard_normal()
        before -= 0.5 * p[i] * p[i]
        p[i] += 0.5 * length * scale[i] * (beta * gradient[i] + gradient[dim + i])
        q[i] = theta[i]
    n = rng.integers(1, leaps + 1)
    for leap in range(n):
        for i in range(dim):
            q[i] += length * scale[i] * p[i]
        _density(address, dim, q, g, v, table)
        if not np.isfinite(v[0] + v[1]):
            return 0.0, leap + 1
        whole = length if leap < n - 1 else 0.5 * length
        for i in range(dim):
            p[i] += whole * scale[i] * (beta * g[i] + g[dim + i])
    after = beta * v[0] + v[1]
    for i in range(dim):
        after -= 0.5 * p[i] * p[i]
    change = after - before
    if not np.isfinite(change):
        return 0.0, n
    accepted = np.exp(min(0.0, change))
    if rng.random() < accepted:
        theta[:] = q
        gradient[:] = g
        value[:] = v
    return accepted, n


@numba_njit(error_model="numpy")
def swap(rng, slot, value, betas, start, stats):
    """Exchange the states of neighbouring temperatures, from the pair `start` on every second pair."""
    for k in range(start, len(betas) - 1, 2):
        a, b = slot[k], slot[k + 1]
        log_ratio = (betas[k + 1] - betas[k]) * (value[a, 0] - value[b, 0])
        accepted = np.exp(min(0.0, log_ratio))
        if not np.isfinite(accepted):
            accepted = 0.0
        stats[k, REJECTED] += 1.0 - accepted
        if rng.random() < accepted:
            slot[k], slot[k + 1] = b, a


def _walk(
    rng, address, table, theta, value, gradient, slot, trips, betas, steps, scales, leaps, fresh, begin, rate, target,
    thin, kept, logs, slopes, stats,
):  # fmt: skip
    """Run chains at many temperatures for as many iterations as `logs` has rows.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    address, table : int and array
        Of a C function that gives log-likelihood, log-prior and both gradients.
    theta, value, gradient : arrays (m, dim), (m, 2), (m, 2 dim)
        The states; value and gradient are those of the log-likelihood, then of the log-prior.
    slot : array (m,)
        Which state is at each temperature.
    trips : array (m + 1,)
        For each state 1 if it was last at the hot end, 2 if at the cold end since; then the number of round trips.
    betas : array (m,)
        Inverse temperatures.
    steps, scales, leaps : arrays (m,), (m, dim), (m,)
        Step size, scale of each element and largest number of leaps at each temperature. Of length one where the
        temperatures are all the same, and so is what was learned.
    fresh : array (iterations, dim) or (0, dim)
        Draws from the prior for temperature zero, the first; without them no states are exchanged.
    begin : int
        Number of the first iteration.
    rate, target : float
        How fast step sizes are tuned, zero for not at all, and to which acceptance probability.
    thin : int
        How many iterations a draw is kept after.
    kept : array (draws, temperatures, dim + 3)
        Draws at the last temperatures: position, log-likelihood, log-prior, and which state.
    logs : array (iterations, m)
        Log-likelihood at each temperature after each iteration.
    slopes, stats : arrays (m, dim), (m, 3)
        Sums that are added to: of squared gradients of the log density, and see `ACCEPTED`.
    """
    m, dim = theta.shape
    q, p, v, g = np.empty(dim), np.empty(dim), np.empty(2), np.empty(2 * dim)
    means, keep = np.zeros(len(steps)), kept.shape[1]
    for t in range(len(logs)):
        means[:] = 0.0
        for k in range(m):
            s, u = slot[k], min(k, len(steps) - 1)
            if k == 0 and len(fresh) > 0:
                theta[s] = fresh[t]
                _density(address, dim, theta[s], gradient[s], value[s], table)
                accepted, n = target, 1
            else:
                accepted, n = trajectory(
                    rng, address, table, theta[s], value[s], gradient[s], betas[k], steps[u], scales[u], leaps[u],
                    q, p, v, g,
                )  # fmt: skip
            stats[k, ACCEPTED] += accepted
            stats[k, GRADIENTS] += n
            means[u] += accepted
        if rate > 0.0:
            gain = rate / np.sqrt(1.0 + (begin + t) / 20.0)
            for u in range(len(steps)):
                away = means[u] * len(steps) / m - target
                steps[u] = min(max(steps[u] * np.exp(gain * away), SHORTEST), LONGEST)
        if len(fresh) > 0:
            swap(rng, slot, value, betas, (begin + t) % 2, stats)
            hot, cold = slot[0], slot[m - 1]
            trips[m] += trips[hot] == 2
            trips[hot] = 1
            trips[cold] = 2 if trips[cold] >= 1 else 0
        for k in range(m):
            s = slot[k]
            logs[t, k] = value[s, 0]
            for i in range(dim):
                slope = betas[k] * gradient[s, i] + gradient[s, dim + i]
                slopes[k, i] += slope * slope
        if (t + 1) % thin == 0 and t // thin < len(kept):
            for k in range(keep):
                s = slot[m - keep + k]
                kept[t // thin, k, :dim] = theta[s]
                kept[t // thin, k, dim] = value[s, 0]
                kept[t // thin, k, dim + 1] = value[s, 1]
                kept[t // thin, k, dim + 2] = s


@cache
def compiled() -> Any:
    """Compile the loop, `_walk`, or read it from disk."""
    CACHED_SRC_FUNCTIONS[_walk] = f"walk-{VERSION}"
    return numba.njit(_walk, nogil=True, cache=True, error_model="numpy")
