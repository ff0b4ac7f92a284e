"""Tables of the user become data: checked, split, scaled."""

import difflib
import re
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.data.checks import as_array, check_X, places, refuse_constant, some
from bayesnn.data.dataset import Dataset, make_dataset
from bayesnn.data.labels import code_target
from bayesnn.data.scaling import Scaling
from bayesnn.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}")


def from_frame(
    frame: "pd.DataFrame",
    target: str | list[str] | None,
    task: str | None,
    *,
    name: str,
    description: str,
    test_size: float,
    random_seed: int | np.random.Generator | None,
    scale: bool,
) -> Dataset:
    """Check a frame, code its target, split and scale it."""
    import pandas as pd

    frame = frame.set_axis([str(c) for c in frame.columns], axis=1).infer_objects()
    targets = _target_columns(frame, target)
    names = [c for c in frame.columns if c not in targets]
    _check_features(frame, names)
    if len(targets) == 1:
        y, task, class_names = code_target(frame[targets[0]], task)
    elif task not in (None, "regression"):
        raise DataError(
            f"Got {len(targets)} targets with task={task!r}; several targets are a regression. Pass one target."
        )
    else:
        y, task, class_names = as_array(frame[targets], "the targets"), "regression", None

    rng = np.random.default_rng(random_seed)
    test = np.zeros(len(frame), dtype=bool)
    for stratum in [y == k for k in range(len(class_names))] if class_names else [np.ones(len(frame), dtype=bool)]:
        rows = rng.permutation(np.flatnonzero(stratum))
        test[rows[: int(test_size * len(rows))]] = True
    X, X_test = _split(frame, names, test)
    # Where nobody else holds the table, its memory is free from here on.
    del frame
    y, y_test = (y[~test], y[test]) if test.any() else (y, None)
    scaling = None
    if scale:
        scaling = Scaling.fit(
            pd.DataFrame(X, columns=names, copy=False),
            pd.DataFrame(y, columns=targets, copy=False) if task == "regression" else y,
            task == "regression",
        )
    return make_dataset(
        X,
        y,
        X_test,
        y_test,
        name=name,
        task=task,
        feature_names=tuple(names),
        target_names=tuple(targets),
        class_names=class_names,
        scaling=scaling,
        description=description,
    )


def _split(frame, names, test):
    """Check the features, and fill the arrays of training and test rows column by column."""
    n, n_test, constant = len(test), int(test.sum()), []
    X, X_test = np.empty((n - n_test, len(names))), np.empty((n_test, len(names)))
    for j, name in enumerate(names):
        values = check_X(frame[[name]])[:, 0]
        if n > 1 and values.max() == values.min():
            constant.append(name)
        X[:, j], X_test[:, j] = values[~test], values[test]
    if constant:
        refuse_constant(constant, n)
    return X, X_test if n_test else None


def _target_columns(frame, target):
    """Names of the target columns, after checks of all the names."""
    columns = list(frame.columns)
    repeated = [c for c in dict.fromkeys(columns) if columns.count(c) > 1]
    if repeated:
        raise DataError(
            f"Got more than one column named {some(repeated)}; each name must be unique. Rename or drop them."
        )
    if frame.empty:
        raise DataError(
            f"Got data with {frame.shape[0]} rows and {frame.shape[1]} columns; there must be some of both. Check how "
            "they were read."
        )
    if (
        target is None
        or (targets := [str(t) for t in (target if isinstance(target, list | tuple) else [target])]) == []
    ):
        raise DataError(f"Got no target; a column to predict is needed. Pass target= one of {some(columns, 10)}.")
    for name in targets:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"The columns are {some(columns, 10)}. Choose one."
            if len(columns) == 1:
                hint += " A single column was read: separate the values by commas, or say by what they are (sep=';')."
            raise DataError(f"Got target {name!r}, which is not a column; the target must be one. {hint}")
    if len(set(targets)) == len(columns):
        raise DataError(
            f"Got no columns besides the target {some(targets)}; at least one feature is needed. Add a feature, or "
            "see load_data('coin') for a sample without features."
        )
    return list(dict.fromkeys(targets))


def _check_features(frame, names):
    """Name the feature columns that are not numbers, then the places of missing values in features and targets."""
    import pandas as pd

    odd = [c for c in names if not pd.api.types.is_numeric_dtype(frame[c])]
    if odd:
        got = str(_not_number(frame[odd[0]]))
        remedy = (
            f"Count dates from a day on, such as (pandas.to_datetime(frame[{odd[0]!r}]) - start).dt.days"
            if _DATE.match(got)
            else "Encode categories with pandas.get_dummies, read numbers kept as text with pandas.to_numeric"
        )
        raise DataError(
            f"Got feature columns that are not numbers: {some(odd)} (such as {got!r} in {odd[0]!r}); every feature "
            f"must be one. {remedy}, or drop the columns."
        )
    if (missing := frame.isna().to_numpy()).any():
        raise DataError(
            f"Got missing values in {some(frame.columns[missing.any(axis=0)])}: "
            f"{places(missing, list(frame.columns))}; every value must be there. Drop the "
            "rows with DataFrame.dropna or fill them (rows count from 0)."
        )


def _not_number(column):
    """Give the first value that does not read as a number, as text."""
    import pandas as pd

    text = column.dropna().astype(str)
    odd = text[pd.to_numeric(text, errors="coerce").isna()]
    return (odd if len(odd) else column.astype(str)).iloc[0]
