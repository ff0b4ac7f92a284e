"""What the likelihood of overdispersed counts owes to the noise alone: a sum over counts, and its derivative.

The network has no part in it, so that it is evaluated once, whatever the number of rows.
"""

import numpy as np
from pytensor.link.numba.dispatch.basic import numba_njit

FEW = 32
"""Terms that are added one by one; the rest is an integral with the corrections of Euler and Maclaurin."""


def rising_table(y: np.ndarray) -> tuple[float, ...]:
    """Write the table that `add_rising` reads.

    Parameters
    ----------
    y : array (n,) of int
        Counts.

    Returns
    -------
    tuple of float
        How many of them are larger than 0, 1, ..., FEW - 1; then each larger one, and how often it occurs.
    """
    large, often = np.unique(y[y > FEW], return_counts=True)
    few = [float(np.sum(y > j)) for j in range(FEW)]
    return (*few, *np.column_stack([large, often]).astype(float).ravel())


@numba_njit(fastmath=False, error_model="numpy")
def add_rising(counts, a):
    """Add up `losses.counts.log_rising` over all counts, and its derivative by a, from their table."""
    value = slope = 0.0
    for j in range(1, FEW):
        value += counts[j] * np.log1p(a * j)
        slope += counts[j] * j / (1.0 + a * j)
    low, low_slope = _beyond(float(FEW), a)
    for i in range(FEW, len(counts) - 1, 2):
        high, high_slope = _beyond(counts[i], a)
        value += counts[i + 1] * (high - low)
        slope += counts[i + 1] * (high_slope - low_slope)
    return value, slope


@numba_njit(fastmath=False, error_model="numpy")
def _beyond(x, a):
    """Evaluate the terms of Euler and Maclaurin, as in `losses.counts.log_rising`, and their derivative by a."""
    one = 1.0 + a * x
    q, log = a / one, np.log1p(a * x)
    s, by_a = q * q, 1.0 / (one * one)
    value = one / a * log - x - 0.5 * log + q * (1 / 12 - s * (1 / 360 - s * (1 / 1260 - s / 1680)))
    slope = x / a - log / (a * a) - 0.5 * x / one + by_a * (1 / 12 - s * (3 / 360 - s * (5 / 1260 - s * 7 / 1680)))
    return value, slope
