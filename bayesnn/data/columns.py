"""Inputs held feature by feature, as the compiled log density reads them: there is then no second copy of them."""

from typing import Any

import numpy as np

from bayesnn.data.checks import check_X

LARGE = 1_000_000
"""Numbers of a table from which copies of it count: 8 MB."""
CHUNK = 2**17
"""Numbers that are worked on at a time where there are many: 1 MB."""
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


def columns_under(X: np.ndarray) -> np.ndarray | None:
    """Find the array of `columns_for` that inputs are a view of.

    Parameters
    ----------
    X : array (n, p)
        Inputs.

    Returns
    -------
    array (p + 1, m) or None
        None where they are held in another way.
    """
    (n, p), room = X.shape, X.base
    if not isinstance(room, np.ndarray) or room.dtype != np.float64 or room.ndim != 1 or X.dtype != np.float64 or not p:
        return None
    step, start = X.strides[1] // 8, (X.ctypes.data - room.ctypes.data) // 8
    end = start + (p + 1) * step
    if X.strides[0] != 8 or step % LINE or step < n + 16 or start < 0 or end > room.size:
        return None
    columns = room[start:end].reshape(p + 1, step)
    ones = columns[p]
    return columns if ones[:n].min() == ones[:n].max() == 1.0 and not columns[:, n : n + 16].any() else None


def is_large(X: Any) -> bool:
    """Whether inputs are an array or a frame of numbers of which a further copy would count.

    Parameters
    ----------
    X : any
        What was given as inputs.

    Returns
    -------
    bool
        False also for what only a full look could tell, such as masked arrays and columns of objects.
    """
    if hasattr(X, "iloc") and hasattr(X, "columns"):
        kinds = {getattr(kind, "kind", "O") if isinstance(kind, np.dtype) else "O" for kind in X.dtypes}
    elif isinstance(X, np.ndarray) and not isinstance(X, np.ma.MaskedArray):
        kinds = {X.dtype.kind}
    else:
        return False
    return X.ndim == 2 and X.size >= LARGE and kinds <= set("iuf")


def read_large(X: Any, *, check_constant: bool) -> np.ndarray:
    """Check inputs that are large and copy them, some rows at a time.

    Parameters
    ----------
    X : array or DataFrame (n, p)
        Inputs that `is_large`.
    check_constant : bool
        As for `check_X`.

    Returns
    -------
    array (n, p)
        A view of the array of `columns_for` that it was copied to.

    Raises
    ------
    DataError
        As `check_X` raises it.
    """
    n, p = X.shape
    columns, rows = columns_for(n, p), getattr(X, "iloc", X)
    least, most = np.full(p, np.inf), np.full(p, -np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        for at in row_blocks(n, p):
            part = columns[:-1, at]
            part[:] = np.asarray(rows[at]).T
            least, most = np.minimum(least, part.min(axis=1)), np.maximum(most, part.max(axis=1))
    # What is wrong with them is for the usual check to say.
    if not (np.isfinite(least) & np.isfinite(most)).all() or (check_constant and (least == most).any()):
        check_X(X, check_constant=check_constant)
    return columns[:-1, :n].T


def row_blocks(n: int, width: int, most: int = CHUNK) -> list[slice]:
    """Divide rows so that what is computed of some of them at a time has a bounded size.

    Parameters
    ----------
    n : int
        Number of rows.
    width : int
        Numbers of one row.
    most : int
        Numbers of a block.

    Returns
    -------
    list of slice
        All rows, in their order; no row is a block of its own unless it is that wide.
    """
    size = max(1, most // max(width, 1))
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def mean_sd(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations (divisor n) of columns, without a copy of them.

    Parameters
    ----------
    values : array (n, p)
        Numbers.

    Returns
    -------
    mean, sd : array (p,)
        As NumPy has them, but for rounding where there are many rows.
    """
    n, p = values.shape
    mean, squares = values.mean(axis=0), np.zeros(p)
    for at in row_blocks(n, p, CHUNK if values.size > LARGE else LARGE):
        part = values[at] - mean
        squares += np.multiply(part, part, out=part).sum(axis=0)
    return mean, np.sqrt(squares / n)
