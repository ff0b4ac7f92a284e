"""Data frames of any library become those of pandas."""

from typing import TYPE_CHECKING, Any

from bayesnn.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def is_frame(value: Any) -> bool:
    """Whether a value is a data frame of pandas, or of another library that narwhals reads.

    Parameters
    ----------
    value : any
        From a user.

    Returns
    -------
    bool
        False for arrays, lists, Series and Datasets.
    """
    if type(value).__module__.startswith(("numpy", "builtins", "bayesnn")):
        return False
    if hasattr(value, "iloc") and hasattr(value, "columns"):
        return True
    import narwhals.stable.v2 as nw

    return bool(nw.dependencies.is_into_dataframe(value) or _is_lazy(value))


def as_frame(value: Any) -> "pd.DataFrame":
    """Make a pandas DataFrame of any data frame that narwhals reads, such as Polars' or a table of PyArrow.

    Parameters
    ----------
    value : DataFrame
        What `is_frame`.

    Returns
    -------
    pandas.DataFrame
        The same where it is one already. Numbers become numbers, text becomes objects, an ordered enumeration an
        ordered categorical.

    Raises
    ------
    DataError
        A lazy frame, or no frame at all.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from bayesnn.data.tables import as_frame
    >>> as_frame(pa.table({"x": [1.5, None], "kind": ["a", "b"]}))
         x kind
    0  1.5    a
    1  NaN    b
    """
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return value
    import narwhals.stable.v2 as nw

    if _is_lazy(value):
        raise DataError(
            f"Got a lazy frame ({type(value).__module__}.{type(value).__name__}); its rows must be in memory. Call its "
            "collect() first (of Dask, compute())."
        )
    try:
        frame = nw.from_native(value, eager_only=True)
    except TypeError as error:
        raise DataError(
            f"Got a {type(value).__name__} as a table; it must be a data frame of pandas, Polars, PyArrow or another "
            "that narwhals reads. Put the columns in a pandas.DataFrame."
        ) from error
    return pd.DataFrame({name: _column(frame[name]) for name in frame.columns})


def _is_lazy(value):
    import narwhals.stable.v2 as nw

    return bool(nw.dependencies.is_polars_lazyframe(value) or nw.dependencies.is_dask_dataframe(value))


def _column(series):
    """Give pandas the values of one column."""
    import narwhals.stable.v2 as nw
    import pandas as pd

    kind = series.dtype
    if kind.is_numeric() and not isinstance(kind, nw.Decimal):
        return series.cast(nw.Float64()).to_numpy() if series.null_count() else series.to_numpy()
    values = series.to_list()
    if isinstance(kind, nw.Enum):
        return pd.Categorical(values, list(kind.categories), ordered=True)
    if isinstance(kind, nw.Boolean):
        return pd.Series(values, dtype="boolean" if series.null_count() else bool)
    return pd.Series(values, dtype=object)
