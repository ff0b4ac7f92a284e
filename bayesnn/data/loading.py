"""Arrays with names, scaling fitted on the training rows, bundled and simulated data."""

import numbers
from dataclasses import replace
from pathlib import Path

import numpy as np

from bayesnn.data.dataset import TASKS, make_dataset
from bayesnn.data.files import from_frame, read_csv
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
        return from_frame(source, target, task, name="data", description="A pandas DataFrame.", **split)
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
        return from_frame(
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
    return from_frame(frame, target, task, name=name, description=f"{description} From scikit-learn.", **split)
