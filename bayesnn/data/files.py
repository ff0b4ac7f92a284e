"""CSV files and DataFrames of the user: checked, split, scaled."""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.data.checks import as_array, check_X, places, some
from bayesnn.data.dataset import Dataset, make_dataset
from bayesnn.data.labels import code_target
from bayesnn.data.scaling import Scaling
from bayesnn.errors import DataError

if TYPE_CHECKING:
    import pandas as pd


def read_csv(path: Path) -> "pd.DataFrame":
    """Read a CSV file with a header line, after a look at the header that pandas would repair silently."""
    import pandas as pd

    if not path.is_file():
        raise DataError(
            f"Got {str(path)!r}, where there is no file; the path of a CSV file is needed. Check its spelling."
        )
    try:
        header = pd.read_csv(path, header=None, nrows=2, dtype=str, skipinitialspace=True).iloc[0]
        frame = pd.read_csv(path, skipinitialspace=True)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise DataError(
            f"Got {path.name!r}, which does not read as CSV ({str(error).strip()}); it must be UTF-8 text with a "
            "header line and the same number of commas in every line. Read it with pandas and pass the DataFrame."
        ) from error
    if header.isna().any():
        raise DataError(
            f"Got {path.name!r} without a name for column {np.flatnonzero(header.isna())[0]}; every column needs one. "
            "Name it, or write the file with index=False if it holds row numbers."
        )
    if pd.to_numeric(header, errors="coerce").notna().all():
        raise DataError(
            f"Got {path.name!r} with the first line {some(header)}; it must hold the names of the columns. "
            "Add a header line."
        )
    frame.columns = list(header)
    return frame


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
    frame = frame.set_axis([str(c) for c in frame.columns], axis=1).infer_objects()
    targets = _target_columns(frame, target)
    features = frame.drop(columns=targets)
    _check_features(features, frame)
    if len(targets) == 1:
        y, task, class_names = code_target(frame[targets[0]], task)
    elif task not in (None, "regression"):
        raise DataError(
            f"Got {len(targets)} targets with task={task!r}; several targets are a regression. Pass one target."
        )
    else:
        y, task, class_names = as_array(frame[targets], "the targets"), "regression", None
    X = check_X(features, check_constant=True)

    rng = np.random.default_rng(random_seed)
    test = np.zeros(len(X), dtype=bool)
    for stratum in [y == k for k in range(len(class_names))] if class_names else [np.ones(len(X), dtype=bool)]:
        rows = rng.permutation(np.flatnonzero(stratum))
        test[rows[: int(test_size * len(rows))]] = True
    X_test, y_test = (X[test], y[test]) if test.any() else (None, None)
    scaling = None
    if scale:
        y_train = frame[targets][~test] if task == "regression" else y[~test]
        scaling = Scaling.fit(features[~test], y_train, task == "regression")
    return make_dataset(
        X[~test],
        y[~test],
        X_test,
        y_test,
        name=name,
        task=task,
        feature_names=tuple(features.columns),
        target_names=tuple(targets),
        class_names=class_names,
        scaling=scaling,
        description=description,
    )


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
            hint = f"Did you mean {near[0]!r}?" if near else f"The columns are {some(columns, 10)}."
            if len(columns) == 1:
                hint += " A single column was read: separate the values by commas."
            raise DataError(f"Got target {name!r}, which is not a column; the target must be one. {hint}")
    if len(set(targets)) == len(columns):
        raise DataError(
            f"Got no columns besides the target {some(targets)}; at least one feature is needed. Keep a feature, or "
            "see load_data('coin') for a sample without features."
        )
    return list(dict.fromkeys(targets))


def _check_features(features, frame):
    """Name the feature columns that are not numbers, then the places of missing values in features and targets."""
    import pandas as pd

    odd = [c for c in features if not pd.api.types.is_numeric_dtype(features[c])]
    if odd:
        raise DataError(
            f"Got feature columns that are not numbers: {some(odd)} (such as {_not_number(features[odd[0]])!r} in "
            f"{odd[0]!r}); every feature must be one. Encode categories with pandas.get_dummies, read numbers kept as "
            "text with pandas.to_numeric, or drop the columns."
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
