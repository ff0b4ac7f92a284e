"""Inputs held feature by feature, as the compiled log density reads them: there is then no second copy of them."""

import numpy as np

LINE = 8
"""Numbers in a cache line."""
PERIOD, OFFSET = 64, 39
"""Columns start this many lines apart, but for multiples of the period: first-level caches have 64 sets, and columns
whose lines fell into the same sets would displace each other. The offset is 64 by the golden ratio, which spreads any
number of columns evenly."""


def columns_for(n: int, p: int) -> np.ndarray:
    """Make room for inputs, each feature in one run of memory, followed by a column of ones.

    Parameters
    ----------
    n, p : int
        Rows and features.

    Returns
    -------
    array (p + 1, m)
        Zeros but for the last of them, which is one where there are observations; m is larger than n by at least 16.
        The first starts at a cache line, and so do all.

    Examples
    --------
    >>> from bayesnn.data.columns import columns_for
    >>> columns = columns_for(3, 2)
    >>> columns[:2, :3] = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
    >>> X = columns[:2, :3].T
    >>> X[1]
    array([2., 5.])
    """
    lines = (n + 16 + LINE - 1) // LINE
    step = LINE * (lines + (OFFSET - lines) % PERIOD)
    room = np.zeros((p + 1) * step + LINE)
    start = -room.ctypes.data // room.itemsize % LINE
    columns = room[start : start + (p + 1) * step].reshape(p + 1, step)
    columns[p, :n] = 1.0
    return columns
