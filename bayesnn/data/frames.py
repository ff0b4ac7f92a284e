"""Tables of the user become data: checked, split, scaled."""

import difflib
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.data.checks import as_array, check_X, places, refuse_constant, some
from bayesnn.data.choices import Choices
from bayesnn.data.coding import Coding, needs_coding
from bayesnn.data.dataset import Dataset, make_dataset
from bayesnn.data.kinds import columns_of_frame, missing_values
from bayesnn.data.labels import code_target
from bayesnn.data.scaling import Scaling
from bayesnn.data.target import check_known, joined, repeated, values_of
from bayesnn.errors import DataError, DataWarning

if TYPE_CHECKING:
    import pandas as pd


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
    choices: Choices | None = None,
) -> Dataset:
    """Check a frame, code its columns and its target, split and scale it."""
    import pandas as pd

    choices = choices or Choices()
    frame = frame.set_axis([str(c) for c in frame.columns], axis=1)
    # Old pandas looks for a double where an integer is too large for one; it is refused by name further on.
    with suppress(OverflowError):
        frame = frame.infer_objects()
    targets = _target_columns(frame, target)
    names, beside = choices.features(list(frame.columns), targets), list(choices.beside.values())
    n = len(frame)
    if choices.missing == "error":
        _check_there(frame[[*names, *targets, *beside]] if choices.exclude else frame)
    else:
        needed = [*targets, *beside]
        frame = _rows_there(frame, [*names, *needed] if choices.missing == "drop" else needed)
    dropped = n - len(frame)
    if len(targets) == 1:
        y, task, class_names = code_target(frame[targets[0]], task)
    elif task not in (None, "regression"):
        raise DataError(
            f"Got {len(targets)} targets with task={task!r}; several targets are a regression. Pass one target."
        )
    else:
        y, task, class_names = as_array(frame[targets], "the targets"), "regression", None
    known = {name: check_known(name, frame[column], len(frame)) for name, column in choices.beside.items()}

    rng = np.random.default_rng(random_seed)
    test = np.zeros(len(frame), dtype=bool)
    for stratum in [y == k for k in range(len(class_names))] if class_names else [np.ones(len(frame), dtype=bool)]:
        rows = rng.permutation(np.flatnonzero(stratum))
        test[rows[: int(test_size * len(rows))]] = True
    coding = None
    if needs_coding(frame.head(0)[names], choices.given) or dropped:
        X, X_test, coding = _code(frame, names, test, choices, dropped)
    else:
        X, X_test = _split(frame, names, test)
    # Where nobody else holds the table, its memory is free from here on.
    del frame
    y = joined({"y": y, **known})
    y, y_test = (y[~test], y[test]) if test.any() else (y, None)
    X, y = repeated(X, y)
    if y_test is not None:
        X_test, y_test = repeated(X_test, y_test)
    scaling = None
    if scale:
        scaling = Scaling.fit(
            pd.DataFrame(X, columns=names if coding is None else list(coding.feature_names), copy=False),
            pd.DataFrame(values_of(y), columns=targets, copy=False) if task == "regression" else values_of(y),
            task == "regression",
        )
        scaling = scaling if coding is None else coding.keep_units(scaling)
    return make_dataset(
        X,
        y,
        X_test,
        y_test,
        name=name,
        task=task,
        feature_names=tuple(names) if coding is None else coding.feature_names,
        target_names=tuple(targets),
        class_names=class_names,
        scaling=scaling,
        description=description,
        coding=coding,
    )


def _code(frame, names, test, choices, dropped):
    """Code the features, as the training rows say, and give those of training and test rows."""
    columns = columns_of_frame(frame, names, choices)
    _keep_known(frame, columns, test)
    coding = Coding(tuple(column.filled(frame[column.name], ~test) for column in columns), dropped)
    n_test, p, constant = int(test.sum()), len(coding.feature_names), []
    X, X_test = np.empty((len(frame) - n_test, p)), np.empty((n_test, p))
    for name, at, part in coding.parts(frame):
        if len(part) > 1 and (part.max(axis=0, initial=-np.inf) == part.min(axis=0, initial=np.inf)).any():
            constant.append(name)
        X[:, at], X_test[:, at] = part[~test], part[test]
    if constant:
        refuse_constant(constant, len(frame))
    return X, X_test if n_test else None, None if coding.is_plain else coding


def _keep_known(frame, columns, test):
    """Take rows whose level, or whose gap, is in no training row out of the held-out ones: nothing is learnt of it."""
    moved = {}
    for column in columns:
        if column.levels or column.missing:
            for rows in column.strata(frame[column.name]):
                if not (rows & ~test).any():
                    moved[column.name] = moved.get(column.name, 0) + int(rows.sum())
                    test[rows] = False
    if moved:
        warnings.warn(
            f"Got levels, or missing values, of {some(moved)} in held-out rows alone, where nothing would be learnt of "
            f"them; their rows ({sum(moved.values())}) were kept for training. Combine rare levels, or pass another "
            "random_seed.",
            DataWarning,
            stacklevel=2,
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


def _check_there(frame):
    """Name the places of missing values in features and targets."""
    if (missing := frame.isna().to_numpy()).any():
        columns = some(frame.columns[missing.any(axis=0)])
        raise missing_values(f"in {columns}: {places(missing, list(frame.columns))}")


def _rows_there(frame, names):
    """Leave out rows in which one of some columns is missing."""
    missing = frame[names].isna().to_numpy().any(axis=1)
    if missing.all():
        raise DataError(
            f"Got a missing value in every one of the {len(frame)} rows; none would be left. Leave out columns that "
            "are rarely filled (exclude=), or pass missing='indicator'."
        )
    return frame[~missing].reset_index(drop=True) if missing.any() else frame
