"""Tables of the user become data: checked, split, scaled."""

import difflib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.data.checks import as_array, check_X, places, refuse_constant, some
from bayesnn.data.coding import Coding, needs_coding
from bayesnn.data.dataset import Dataset, make_dataset
from bayesnn.data.kinds import check_choices, missing_values
from bayesnn.data.labels import code_target
from bayesnn.data.scaling import Scaling
from bayesnn.errors import DataError, DataWarning, SpecError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Choices:
    """What a user says about the columns of a table; as for `load_data`."""

    categorical: Sequence[str] = ()
    ordinal: Mapping[str, Sequence[Any]] | Sequence[str] = ()
    reference: Mapping[str, Any] = field(default_factory=dict)
    missing: str = "error"
    exclude: Sequence[str] = ()

    @property
    def given(self) -> dict[str, Any]:
        """Those that are not as they are when left out."""
        return {name: value for name, value in vars(self).items() if value != "error" and len(value) > 0}

    @property
    def text_columns(self) -> list[str]:
        """Columns that a file holds as text, whatever they look like."""
        return [str(name) for name in (*self.categorical, *self.ordinal)]


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
    frame = frame.set_axis([str(c) for c in frame.columns], axis=1).infer_objects()
    targets = _target_columns(frame, target)
    names = _feature_columns(frame, targets, choices)
    n = len(frame)
    if choices.missing == "error":
        _check_there(frame[[*names, *targets]] if choices.exclude else frame)
    else:
        frame = _rows_there(frame, [*names, *targets] if choices.missing == "drop" else targets)
    dropped = n - len(frame)
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
    coding = None
    if needs_coding(frame[names].head(0), choices.given) or dropped:
        X, X_test, coding = _code(frame[names], test, choices, dropped)
    else:
        X, X_test = _split(frame, names, test)
    # Where nobody else holds the table, its memory is free from here on.
    del frame
    y, y_test = (y[~test], y[test]) if test.any() else (y, None)
    scaling = None
    if scale:
        scaling = Scaling.fit(
            pd.DataFrame(X, columns=names if coding is None else list(coding.feature_names), copy=False),
            pd.DataFrame(y, columns=targets, copy=False) if task == "regression" else y,
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


def _code(frame, test, choices, dropped):
    """Code the features, as the training rows say, and give those of training and test rows."""
    options = {name: getattr(choices, name) for name in ("categorical", "ordinal", "reference", "missing")}
    with warnings.catch_warnings():
        # It is said once, below.
        warnings.simplefilter("ignore", DataWarning)
        levels = Coding.fit(frame, **options)
    _keep_known(frame, levels, test)
    coding = replace(Coding.fit(frame, rows=~test, **options), dropped=dropped)
    X = coding.transform(frame)
    coding.check_constant(X)
    X, X_test = (X[~test], X[test]) if test.any() else (X, None)
    return X, X_test, None if coding.is_plain else coding


def _keep_known(frame, coding, test):
    """Take rows whose level, or whose gap, is in no training row out of the held-out ones: nothing is learnt of it."""
    moved = {}
    for column in coding.columns:
        own = replace(column, fill=0.0 if column.fill is None else column.fill)
        codes = own.code(frame[column.name])
        if column.kind == "number" or column.kind == "boolean":
            codes = codes[:, 1:]
        elif column.kind == "category":
            codes = np.column_stack([codes, ~codes.any(axis=1)])
        else:
            codes = np.column_stack([codes[:, :1] == k for k in range(len(column.levels))] + [codes[:, 1:]])
        for level in codes.T.astype(bool):
            if level.any() and not (level & ~test).any():
                moved[column.name] = moved.get(column.name, 0) + int(level.sum())
                test[level] = False
    if moved:
        warnings.warn(
            f"Got levels, or missing values, that the split would have held out of training altogether, in "
            f"{some(moved)}; {sum(moved.values())} rows with them were kept for training. Join rare levels with "
            "others, or pass another random_seed.",
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


def _feature_columns(frame, targets, choices):
    """Names of the features, after checks of what is said of them."""
    names = [c for c in frame.columns if c not in targets]
    excluded = [str(name) for name in choices.exclude] if not isinstance(choices.exclude, str) else []
    orders = check_choices(list(frame.columns), **{k: getattr(choices, k) for k in vars(choices)})
    said = {
        "categorical": choices.categorical,
        "ordinal": orders,
        "reference": choices.reference,
        "exclude": choices.exclude,
    }
    for argument, columns in said.items():
        for name in map(str, columns):
            if name in targets or (argument != "exclude" and name in excluded):
                what = "the target" if name in targets else "excluded"
                remedy = "say by task= what the target is" if name in targets else "take it out of one of them"
                raise SpecError(f"Got {name!r} in {argument}, which is {what}. Leave it out there, and {remedy}.")
    kept = [name for name in names if name not in excluded]
    if not kept:
        raise DataError(
            f"Got exclude={excluded!r}, which leaves no feature; at least one is needed. Keep a column, or see "
            "load_data('coin') for a sample without features."
        )
    return kept


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
