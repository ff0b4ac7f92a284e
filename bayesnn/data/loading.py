"""Arrays with names, scaling fitted on the training rows, bundled and simulated data."""

import difflib
import numbers
from dataclasses import replace
from pathlib import Path

import numpy as np

from bayesnn.data.checks import as_array, check_X, places, some
from bayesnn.data.dataset import TASKS, make_dataset
from bayesnn.data.labels import code_target
from bayesnn.data.scaling import Scaling
from bayesnn.data.simulation import PROCESSES, draw_rows
from bayesnn.errors import DataError, SpecError, UnknownNameError

_TEXTBOOK = {
    "coin": (
        None,
        (0, 0, 0, 1, 0),
        "binary",
        None,
        "Five tosses of a coin, no features: the bias of MLP(hidden=()) is the log odds; the MLE of p is 1/5.",
    ),
    "three_points": (
        None,
        (-1.0, 0.0, 1.0),
        "regression",
        None,
        "Three points of a normal sample, no features: the bias of MLP(hidden=()) is the mean; the MLE is mu = 0, "
        "sigma = sqrt(2/3).",
    ),
    "one_node": (
        (-2.0, -1.0, 0.5, 1.0, 2.0),
        (0, 1, 0, 1, 1),
        "binary",
        None,
        "Five labels for one sigmoid node without bias; the MLE of its weight is 0.7954.",
    ),
    "one_node_separated": (
        (-2.0, -1.0, 0.5, 1.0, 2.0),
        (0, 0, 1, 1, 1),
        "binary",
        None,
        "The inputs of one_node with labels that a cut at 0 separates: the MLE does not exist, the MAP does.",
    ),
    "two_weights": (
        (-2.0, -1.0, 0.0, 1.0, 2.0),
        (-1.1, -0.7, 0.1, 0.8, 1.0),
        "regression",
        0.3,
        "Five points for f(x) = v tanh(w x) with known noise 0.3; the MLE is w = 0.7834, v = 1.1456, or both negative.",
    ),
}

_REAL = {
    "diabetes": (
        "regression",
        "disease progression",
        "442 patients, ten baseline measurements, progression after a year.",
    ),
    "breast_cancer": ("binary", "diagnosis", "569 tumours, thirty measurements of cell nuclei, malignant or benign."),
    "iris": ("classes", "species", "150 flowers, four measurements in cm, three species."),
    "wine": ("classes", "cultivar", "178 wines of three cultivars, thirteen chemical measurements."),
}


NAMES = (*PROCESSES, *_TEXTBOOK, *_REAL)
"""Names of the bundled data sets."""


def load_data(name_or_source, *, target=None, task=None, test_size=0.2, random_seed=0, scale=None):
    """Load bundled data by name, or your own from a CSV file or a DataFrame.

    Parameters
    ----------
    name_or_source : str, path or pandas.DataFrame
        One of the names below, the path of a CSV file with a header line, or a DataFrame.
    target : str or list of str
        Column to predict, for a CSV or DataFrame; all other columns are features. A list is a regression with
        several targets.
    task : {"regression", "binary", "classes", "ordinal", "count"}, optional
        What the target is, for a CSV or DataFrame; None infers it as described below.
    test_size : float
        Share of the rows to hold out, from 0 to below 1; of each label apart. Simulated data come with test rows of
        their own, textbook samples have none.
    random_seed : int, numpy.random.Generator or None
        Seed of the split or of the simulation.
    scale : bool, optional
        Whether fits standardise features and a regression target. None is False for simulated data and textbook
        samples, True for all others.

    Returns
    -------
    Dataset
        Arrays in the user's units; its `scaling` has the means and standard deviations of the training rows.

    Raises
    ------
    UnknownNameError
        A name or a task that does not exist.
    SpecError
        `test_size` out of range, or `target` or `task` for bundled data.
    DataError
        A file or frame that breaks a rule: no such file, an empty one, unnamed or repeated columns, a target that is
        not there, columns that are not numbers, missing or infinite values, constant columns, a single class.

    Notes
    -----
    Simulated: ``sine_gap`` (40 + 100 rows), ``neal`` (100 + 100), ``two_moons`` (100 + 100), ``separable_line``
    (20 + 20). Textbook samples: ``coin`` and ``three_points`` (no features: X has shape (n, 0)), ``one_node``,
    ``one_node_separated``, ``two_weights``. Real, from scikit-learn: ``diabetes`` (in its original units),
    ``breast_cancer``, ``iris``, ``wine``.

    A target of strings, booleans or categories is ``binary`` with two labels and ``classes`` with more (``ordinal``
    for an ordered categorical). A target of whole numbers is ``binary`` with two distinct values, and a `task` is
    asked for with 3 to 10, since those may be labels, ranks, counts or measurements. All else is ``regression``.
    Labels are coded 0, 1, ... in sorted order (a categorical: in the order of its categories).

    References
    ----------
    R. M. Neal, Software for Flexible Bayesian Modeling, "a simple regression problem" (the curve of ``neal``).
    F. Pedregosa et al. (2011), Scikit-learn: Machine Learning in Python, JMLR 12, 2825-2830 (the real data).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> data.X.shape, data.X_test.shape, data.noise
    ((40, 1), (100, 1), 0.2)
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"dose": [1.0, 2.0, 3.0, 4.0], "died": ["no", "no", "yes", "yes"]})
    >>> bnn.load_data(frame, target="died", test_size=0)
    Dataset 'data' (binary): 4 training rows, 0 test rows
      features: 'dose'
      target:   'died', labels 'no', 'yes'
      scaling:  standardised by the training rows
    """
    import pandas as pd

    if isinstance(test_size, bool) or not isinstance(test_size, numbers.Real) or not 0 <= test_size < 1:
        raise SpecError(f"Got test_size={test_size!r}; it must be a share of the rows, from 0 to below 1. Write 0.2.")
    if task is not None and task not in TASKS:
        raise UnknownNameError("task", task, TASKS)
    split = {"test_size": test_size, "random_seed": random_seed, "scale": scale is None or bool(scale)}
    source = name_or_source
    if isinstance(source, pd.DataFrame):
        return _from_frame(source, target, task, name="data", description="A pandas DataFrame.", **split)
    if not isinstance(source, str | Path):
        raise DataError(
            f"Got a {type(source).__name__} as data; it must be a name, the path of a CSV file or a DataFrame. Put "
            "arrays in a pandas.DataFrame, or give them to the fitting functions as they are."
        )
    bundled = {**PROCESSES, **_TEXTBOOK, **_REAL}
    if source not in bundled:
        if isinstance(source, str) and not Path(source).suffix and not Path(source).exists():
            raise UnknownNameError("data set", source, bundled)
        frame = read_csv(Path(source))
        return _from_frame(
            frame, target, task, name=Path(source).stem, description=f"Read from {Path(source).name}.", **split
        )
    if target is not None or task is not None:
        raise SpecError(
            f"Got target={target!r}, task={task!r} with the bundled data {source!r}, which has its own. Leave both "
            f"out, or pass load_data({source!r}).to_frame() as a DataFrame."
        )
    if source in _REAL:
        return _load_real(source, split)
    if source in PROCESSES:
        data = draw_rows(source, *PROCESSES[source].sizes, PROCESSES[source].noise, random_seed)
    else:
        x, y, task, noise, description = _TEXTBOOK[source]
        X = np.zeros((len(y), 0)) if x is None else np.array(x)[:, None]
        names = () if x is None else ("x",)
        data = make_dataset(
            X,
            np.array(y),
            None,
            None,
            name=source,
            task=task,
            feature_names=names,
            noise=noise,
            description=description,
        )
    return replace(data, scaling=Scaling.fit(data.X, data.y, data.task == "regression")) if scale else data


def _load_real(name, split):
    """One of scikit-learn's data sets, with its own names and coding of labels."""
    import pandas as pd
    from sklearn import datasets

    task, target, description = _REAL[name]
    options = {"scaled": False} if name == "diabetes" else {}
    bunch = getattr(datasets, f"load_{name}")(as_frame=True, **options)
    labels = bunch.target if task == "regression" else pd.Categorical.from_codes(bunch.target, bunch.target_names)
    frame = bunch.data.assign(**{target: labels})
    return _from_frame(frame, target, task, name=name, description=f"{description} From scikit-learn.", **split)


def read_csv(path):
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


def _from_frame(frame, target, task, *, name, description, test_size, random_seed, scale):
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
