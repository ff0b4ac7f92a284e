"""Containers of numbers become arrays that every fit can rely on, or an error that says where they can't."""

import decimal
import numbers
import reprlib
from collections.abc import Iterable, Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.errors import DataError

_REAL = numbers.Real | decimal.Decimal | np.bool_


def as_array(value: ArrayLike, name: str, *, ndim: tuple[int, ...] = (1, 2)) -> np.ndarray:
    """Turn numbers of any container into a finite, non-empty float64 array.

    Parameters
    ----------
    value : array_like
        A list, NumPy array, pandas Series or DataFrame of real numbers or booleans.
    name : str
        What the array is called in error messages, such as ``"y"``.
    ndim : tuple of int
        The numbers of dimensions that are allowed.

    Returns
    -------
    array
        float64, of the shape of `value`; not a copy where `value` is such an array already.

    Raises
    ------
    DataError
        Ragged rows, strings, dates, complex numbers, missing or infinite values, no values, or another number of
        dimensions.

    Examples
    --------
    >>> from bayesnn.data import as_array
    >>> as_array([True, False, True], "y")
    array([1., 0., 1.])
    >>> as_array([1.0, float("nan")], "y")
    Traceback (most recent call last):
        ...
    bayesnn.errors.DataError: Got a missing value in y at row 1; every value must be a finite number. ...
    """
    array = _as_float(value, name)
    if array.ndim not in ndim:
        raise DataError(
            f"Got {name} with {array.ndim} dimensions, shape {array.shape}; it must have "
            f"{' or '.join(map(str, ndim))}. Reshape it, or pick one slice."
        )
    if array.size == 0:
        raise DataError(
            f"Got an empty {name}, shape {array.shape}; it needs at least one value. Check how it was made."
        )
    _check_finite(array, name, columns_of(value))
    return array


def check_X(
    X: ArrayLike,
    *,
    n_features: int | None = None,
    allow_empty_features: bool = False,
    check_constant: bool = False,
) -> np.ndarray:
    """Turn the inputs into a float64 array with one row an observation and one column a feature.

    Parameters
    ----------
    X : array_like (n, p) or (n,)
        A DataFrame, array or nested list; one dimension is read as a single feature.
    n_features : int, optional
        The number of columns that the network was fitted on.
    allow_empty_features : bool
        Whether X may have no columns, as in the samples that have a target only.
    check_constant : bool
        Whether to refuse a column whose values are all equal; for fits, where it repeats the bias. A single row is
        exempt.

    Returns
    -------
    array (n, p)
        float64.

    Raises
    ------
    DataError
        What `as_array` refuses, another number of columns than `n_features`, or a constant column.

    Examples
    --------
    >>> from bayesnn.data import check_X
    >>> check_X([0.0, 0.5, 1.0]).shape
    (3, 1)
    """
    check_names(columns_of(X) or [])
    array = _as_float(X, "X")
    if not (allow_empty_features and array.ndim == 2 and array.shape[1] == 0 and len(array)):
        array = as_array(X, "X")
    column = array.ndim == 1
    if column:
        array = array[:, None]
    if n_features is not None and array.shape[1] != n_features:
        remedy = "Write X[None, :] if this is a single row." if column else "Pass the same columns in the same order."
        raise DataError(f"Got X of shape {array.shape}; the network has {n_features} features. {remedy}")
    if check_constant and len(array) > 1:
        _check_constant(array, columns_of(X))
    return array


def check_names(names: list[str]) -> None:
    """Refuse names of columns of X that are not unique."""
    if len(set(names)) < len(names):
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        raise DataError(
            f"Got X with more than one column named {some(twice)}; each name must be unique. Rename or drop them."
        )


def check_rows(X: np.ndarray, y: np.ndarray) -> None:
    """Check that X and y have the same number of rows.

    Parameters
    ----------
    X : array (n, p)
        Inputs.
    y : array (n,) or (n, K)
        Targets.

    Raises
    ------
    DataError
        When they differ.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesnn.data import check_rows
    >>> check_rows(np.zeros((3, 1)), np.zeros(2))
    Traceback (most recent call last):
        ...
    bayesnn.errors.DataError: Got X with 3 rows and y with 2; each row of X needs its own target. ...
    """
    if len(X) != len(y):
        raise DataError(
            f"Got X with {len(X)} rows and y with {len(y)}; each row of X needs its own target. "
            "Select the same rows of both."
        )


LEAST, MOST = 1e-150, 1e150
"""Sizes of numbers whose squares are doubles."""


def check_size(array: np.ndarray, name: str, columns: Sequence[str] | None = None) -> None:
    """Refuse columns that are so large or so small that squares of them overflow or vanish.

    Parameters
    ----------
    array : array (n, p) or (n,)
        Inputs or targets in the units that a model works in.
    name : str
        What they are called.
    columns : sequence of str, optional
        Names of the columns.

    Raises
    ------
    DataError
        With the column, its largest value, and the remedy.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesnn.data import check_size
    >>> check_size(np.array([1e200, 1.0]), "y")
    Traceback (most recent call last):
        ...
    bayesnn.errors.DataError: Got y with values up to 1e+200 in size; ...
    """
    array = array[:, None] if array.ndim == 1 else array
    largest = np.maximum(array.max(axis=0, initial=0.0), -array.min(axis=0, initial=0.0))
    bad = np.flatnonzero((largest > MOST) | ((largest > 0) & (largest < LEAST)))
    if len(bad):
        where = f" in the column {columns[bad[0]]!r}" if columns is not None and array.shape[1] > 1 else ""
        raise DataError(
            f"Got {name} with values up to {largest[bad[0]]:.3g} in size{where}; they must be zero or between "
            f"{LEAST:g} and {MOST:g}, as squares of others are no numbers. Change the unit, or drop the column."
        )


def columns_of(value: ArrayLike) -> list[str] | None:
    """Column names of a DataFrame, else None."""
    columns = getattr(value, "columns", None)
    return None if columns is None else [str(c) for c in columns]


def some(names: Iterable, most: int = 5) -> str:
    """List the first names, quoted, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(str(n)) for n in names[:most]) + more


def places(mask: np.ndarray, columns: list[str] | None = None) -> str:
    """List the first places where a mask is true."""
    found = np.argwhere(np.atleast_1d(mask))
    words = [
        f"row {i}" + "".join(f", column {columns[j]!r}" if columns else f", column {j}" for j in rest)
        for i, *rest in found[:3]
    ]
    return "; ".join(words) + (f" and {len(found) - 3} more" if len(found) > 3 else "")


def _as_float(value, name):
    """Convert to float64 without a check of size, dimensions or finiteness."""
    if np.ma.is_masked(value):
        raise DataError(
            f"Got {name} as an array with masked values ({np.ma.count_masked(value)}); every value must be a finite "
            "number. Drop the rows that have one, or fill them."
        )
    try:
        array = np.asarray(value)
    except ValueError:
        raise DataError(
            f"Got {name} with ragged rows; all rows must have the same length. Drop or complete the rows that differ."
        ) from None
    if array.dtype.names is not None:
        raise DataError(
            f"Got {name} with the fields {', '.join(array.dtype.names)}, as bnn.target makes it; only numbers are "
            "taken here. Pass y['y']."
        )
    if array.dtype.kind in "biuf":
        with np.errstate(over="ignore"):
            return array.astype(np.float64, copy=False)
    if array.dtype.kind == "c":
        raise DataError(f"Got complex {name}; the values must be real. Pass real and imaginary parts as two columns.")
    if array.dtype.kind == "O" and array.ndim:
        missing = np.vectorize(_is_missing, otypes=[bool])(array)
        odd = ~missing & ~np.vectorize(lambda v: isinstance(v, _REAL), otypes=[bool])(array)
        if not odd.any():
            try:
                return np.where(missing, np.nan, array).astype(np.float64)
            except OverflowError:
                raise DataError(
                    f"Got {name} with an integer that no float holds; every value must be a finite number. Change the "
                    "unit, such as to thousands."
                ) from None
        got = f"{array[odd][0]!r} at {places(odd, columns_of(value))}"
    else:
        got = reprlib.repr(value) if array.ndim == 0 else f"{array[:1].ravel()[:1]} of dtype {array.dtype}"
    raise DataError(
        f"Got {name} with {got}; the values must be real numbers or booleans. Encode categories with "
        "pandas.get_dummies (as X, columns of a DataFrame are coded by themselves), read numbers kept as text with "
        "pandas.to_numeric."
    )


def _is_missing(value):
    """Whether an object is None, pandas.NA or pandas.NaT, without importing pandas."""
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _check_finite(array, name, columns=None):
    """Raise where values are NaN or infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        # A mask of a table that is large would take an eighth of its memory again.
        if np.isfinite(array.sum()):
            return
    for mask, got in ((np.isnan(array), "a missing value"), (np.isinf(array), "an infinite value")):
        if mask.any():
            raise DataError(
                f"Got {got} in {name} at {places(mask, columns)}; every value must be a finite number. Drop these "
                "rows or fill the values (rows and columns count from 0)."
            )


def _check_constant(X, columns=None):
    """Raise where a column of X has a single value."""
    constant = np.flatnonzero(X.max(axis=0) == X.min(axis=0))
    if len(constant):
        refuse_constant([columns[j] if columns else j for j in constant], len(X))


def refuse_constant(names: Iterable, n: int) -> NoReturn:
    """Raise for columns that do not vary in n rows."""
    raise DataError(
        f"Got constant feature columns {some(names)} in the {n} rows to fit; a feature must vary, or it repeats the "
        "bias. Drop these columns."
    )
