"""What a target is, and the numbers that its labels are coded by."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.data.checks import as_array, some
from bayesnn.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_FEW = 10  # up to this many whole numbers in a target may as well be labels as measurements


def code_target(column: "pd.Series", task: str | None) -> tuple[np.ndarray, str, tuple[str, ...] | None]:
    """Turn a target column into an array, a task and the names of its labels."""
    import pandas as pd

    name, kinds, first = column.name, column.nunique(), column.tolist()[0]
    if kinds < 2:
        raise DataError(
            f"Got target {name!r} with the single value {first!r}; a fit needs two values or classes "
            "at least. Add rows of another one, or choose another target."
        )
    number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    values: Any = as_array(column, f"target {name!r}") if number else None
    whole = number and bool(np.all(values == np.floor(values)))
    ordered = isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered
    if task is None:
        task = _infer_task(name, kinds, number, whole, ordered)

    if task == "regression" or task == "count":
        if not number:
            raise DataError(
                f"Got target {name!r} with {first!r} and task={task!r}, which needs numbers. Read "
                "numbers kept as text with pandas.to_numeric, or pass task='classes'."
            )
        if task == "regression":
            return values, task, None
        if not whole or values.min() < 0:
            wrong = values[(values < 0) | (values != np.floor(values))][0]
            raise DataError(
                f"Got target {name!r} with {wrong:g} and task='count', which needs whole numbers from 0. "
                "Pass task='regression'."
            )
        return values.astype(np.int64), task, None

    if number and not whole:
        wrong = values[values != np.floor(values)][0]
        raise DataError(
            f"Got target {name!r} with {wrong:g} and task={task!r}, which needs strings or whole numbers as labels. "
            "Pass task='regression', or cut the numbers into classes with pandas.cut."
        )
    if task == "binary" and kinds != 2:
        raise DataError(
            f"Got target {name!r} with {kinds} labels and task='binary', which needs two. Pass task='classes'."
        )
    if task == "ordinal" and not (whole or ordered):
        raise DataError(
            f"Got target {name!r} with labels such as {first!r} and task='ordinal', which needs their order. "
            "Make it an ordered pandas.Categorical, or whole numbers."
        )
    if kinds > _FEW and kinds > len(column) / 2:
        raise DataError(
            f"Got target {name!r} with {kinds} labels in {len(column)} rows, such as {first!r}; a label "
            "must come back in other rows. Read numbers kept as text with pandas.to_numeric and pass task='regression'."
        )
    if whole:
        column = pd.Series(values.astype(np.int64))
    if len(types := {type(label).__name__ for label in column.unique()}) > 1:
        raise DataError(
            f"Got target {name!r} with labels of several types, {some(sorted(types))}; they must be of one. "
            "Convert it with Series.astype(str)."
        )
    labels = column.astype("category").cat.remove_unused_categories().cat
    return labels.codes.to_numpy(np.int64), task, tuple(map(str, labels.categories))


def _infer_task(name, kinds, number, whole, ordered):
    """Tell what a target is from its type and its number of distinct values."""
    if not number or (whole and kinds == 2):
        return "binary" if kinds == 2 else "ordinal" if ordered else "classes"
    if whole and kinds <= _FEW:
        raise DataError(
            f"Got target {name!r} with {kinds} distinct whole numbers, which may be labels, ranks, counts or "
            "measurements; they need a task. Pass task='classes', 'ordinal', 'count' or 'regression'."
        )
    return "regression"
