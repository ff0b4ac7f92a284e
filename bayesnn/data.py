"""Arrays with names, scaling fitted on the training rows, bundled and simulated data."""

import difflib
import html
import json
import numbers
import reprlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bayesnn.arguments import rng_of
from bayesnn.errors import DataError, SpecError, UnknownNameError

TASKS = ("regression", "binary", "classes", "ordinal", "count")
"""What a target can be; the same words as the ``task`` of a loss."""

_LABELS = ("binary", "classes", "ordinal")
_FEW = 10  # up to this many whole numbers in a target may as well be labels as measurements


def as_array(value, name, *, ndim=(1, 2)):
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
    _check_finite(array, name, _columns(value))
    return array


def check_X(X, *, n_features=None, allow_empty_features=False, check_constant=False):
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
        _check_constant(array, _columns(X))
    return array


def check_rows(X, y):
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


def _columns(value):
    """Column names of a DataFrame, else None."""
    columns = getattr(value, "columns", None)
    return None if columns is None else [str(c) for c in columns]


def _some(names, most=5):
    """List the first names, quoted, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(str(n)) for n in names[:most]) + more


def _places(mask, columns=None):
    """List the first places where a mask is true."""
    found = np.argwhere(mask)
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
    if array.dtype.kind in "biuf":
        with np.errstate(over="ignore"):
            return array.astype(np.float64, copy=False)
    if array.dtype.kind == "c":
        raise DataError(f"Got complex {name}; the values must be real. Pass real and imaginary parts as two columns.")
    if array.dtype.kind == "O" and array.ndim:
        missing = np.vectorize(_is_missing, otypes=[bool])(array)
        odd = ~missing & ~np.vectorize(lambda v: isinstance(v, numbers.Real | np.bool_), otypes=[bool])(array)
        if not odd.any():
            return np.where(missing, np.nan, array).astype(np.float64)
        got = f"{array[odd][0]!r} at {_places(odd, _columns(value))}"
    else:
        got = reprlib.repr(value) if array.ndim == 0 else f"{array[:1].ravel()[:1]} of dtype {array.dtype}"
    raise DataError(
        f"Got {name} with {got}; the values must be real numbers or booleans. Encode categories with "
        "pandas.get_dummies, read numbers kept as text with pandas.to_numeric."
    )


def _is_missing(value):
    """Whether an object is None, pandas.NA or pandas.NaT, without importing pandas."""
    return value is None or type(value).__name__ in ("NAType", "NaTType")


def _check_finite(array, name, columns=None):
    """Raise where values are NaN or infinite."""
    for mask, got in ((np.isnan(array), "a missing value"), (np.isinf(array), "an infinite value")):
        if mask.any():
            raise DataError(
                f"Got {got} in {name} at {_places(mask, columns)}; every value must be a finite number. Drop these "
                "rows or fill the values (rows and columns count from 0)."
            )


def _check_constant(X, columns=None):
    """Raise where a column of X has a single value."""
    constant = np.flatnonzero(np.ptp(X, axis=0) == 0)
    if len(constant):
        names = _some(columns[j] if columns else j for j in constant)
        raise DataError(
            f"Got constant feature columns {names} in the {len(X)} rows to fit; a feature must vary, or it repeats the "
            "bias. Drop these columns."
        )


def _mean_sd(values, names, what):
    """Column means and standard deviations (divisor n); an unusable standard deviation raises."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, sd = values.mean(axis=0), values.std(axis=0)
    unusable = ~((sd > 0) & np.isfinite(sd)) | (np.ptp(values, axis=0) == 0)
    if unusable.any():
        raise DataError(
            f"Got {what} {_some(np.asarray(names, dtype=object)[unusable])} with standard deviation "
            f"{sd[unusable][0]:.3g} in {len(values)} rows; scaling needs one that is positive and finite. Drop the "
            "column, change its unit, or pass scale=False."
        )
    return tuple(mean.tolist()), tuple(sd.tolist())


@dataclass(frozen=True)
class Scaling:
    r"""Means and standard deviations of the training rows, by which a fit standardises its data.

    In scaled units :math:`\tilde x = (x - \bar x) / s_x` and :math:`\tilde y = (y - \bar y) / s_y`; labels and counts
    are left as they are.

    Parameters
    ----------
    x_mean, x_sd : tuple of float
        One number for each feature, in its unit.
    y_mean, y_sd : tuple of float or None
        One number for each target, in its unit; None where the target is not scaled.

    Notes
    -----
    The standard deviation has divisor n. A density changes with its unit:
    :math:`\log p(y) = \log p(\tilde y) - \sum_k \log s_{y,k}`.

    Examples
    --------
    >>> from bayesnn.data import Scaling
    >>> scaling = Scaling.fit([[0.0], [10.0]], [1.0, 5.0])
    >>> scaling
    Scaling(x_mean=(5.0,), x_sd=(5.0,), y_mean=(3.0,), y_sd=(2.0,))
    >>> scaling.transform_y([1.0, 5.0])
    array([-1.,  1.])
    >>> Scaling.from_json(scaling.to_json()) == scaling
    True
    """

    x_mean: tuple[float, ...]
    x_sd: tuple[float, ...]
    y_mean: tuple[float, ...] | None = None
    y_sd: tuple[float, ...] | None = None

    @classmethod
    def fit(cls, X, y, scale_y=True):
        """Take means and standard deviations from the rows given: pass the training rows only.

        Parameters
        ----------
        X : array_like (n, p)
            Inputs.
        y : array_like (n,) or (n, K)
            Targets.
        scale_y : bool
            False for labels and counts.

        Returns
        -------
        Scaling
            The scaling of these rows.

        Raises
        ------
        DataError
            What `check_X` refuses, rows that differ in number, or a column that is constant.
        """
        names, y_names = _columns(X), _columns(y)
        X, y = check_X(X, allow_empty_features=True), as_array(y, "y")
        check_rows(X, y)
        x = _mean_sd(X, names or range(X.shape[1]), "feature columns")
        if not scale_y:
            return cls(*x)
        y = y.reshape(len(X), -1)
        return cls(*x, *_mean_sd(y, y_names or range(y.shape[1]), "target columns"))

    def transform_X(self, X):
        """Bring inputs to scaled units.

        Parameters
        ----------
        X : array_like (n, p)
            Inputs in the user's units.

        Returns
        -------
        array (n, p)
            Inputs in scaled units.
        """
        X = check_X(X, n_features=len(self.x_mean), allow_empty_features=True)
        return (X - np.array(self.x_mean)) / np.array(self.x_sd)

    def inverse_X(self, X):
        """Bring inputs back to the user's units.

        Parameters
        ----------
        X : array (n, p)
            Inputs in scaled units.

        Returns
        -------
        array (n, p)
            Inputs in the user's units.
        """
        return X * np.array(self.x_sd) + np.array(self.x_mean)

    def transform_y(self, y):
        """Bring targets to scaled units.

        Parameters
        ----------
        y : array_like (...) for one target, (..., K) for K of them
            Targets in the user's units.

        Returns
        -------
        array
            Of the same shape, in scaled units; `y` itself where the target is not scaled.
        """
        y = np.asarray(y)
        return y if self.y_sd is None else (y - self._per_target(self.y_mean, y)) / self._per_target(self.y_sd, y)

    def inverse_y(self, y):
        """Bring targets or their predictions back to the user's units.

        Parameters
        ----------
        y : array_like (...) for one target, (..., K) for K of them
            Targets in scaled units.

        Returns
        -------
        array
            Of the same shape, in the user's units; `y` itself where the target is not scaled.
        """
        y = np.asarray(y)
        return y if self.y_sd is None else y * self._per_target(self.y_sd, y) + self._per_target(self.y_mean, y)

    @staticmethod
    def _per_target(values, y):
        """One number for a single target, else a vector along the last axis of y."""
        if len(values) == 1:
            return values[0]
        if y.ndim == 0 or y.shape[-1] != len(values):
            raise DataError(
                f"Got targets of shape {y.shape}; the last axis must hold the {len(values)} targets of the scaling. "
                "Move the targets to the last axis."
            )
        return np.array(values)

    @property
    def log_y_sd(self):
        """Sum of log standard deviations of the targets: subtract it from a log density in scaled units."""
        return 0.0 if self.y_sd is None else float(np.log(self.y_sd).sum())

    def to_json(self):
        """Write the scaling as JSON text.

        Returns
        -------
        str
            Read back by `Scaling.from_json`.
        """
        return json.dumps({"x_mean": self.x_mean, "x_sd": self.x_sd, "y_mean": self.y_mean, "y_sd": self.y_sd})

    @classmethod
    def from_json(cls, text):
        """Read a scaling that `to_json` wrote.

        Parameters
        ----------
        text : str
            The JSON text.

        Returns
        -------
        Scaling
            Equal to the scaling that was written.

        Raises
        ------
        DataError
            Text that is not the JSON of a scaling.
        """
        try:
            fields = json.loads(text)
            return cls(**{name: None if v is None else tuple(map(float, v)) for name, v in fields.items()})
        except (TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"Got {reprlib.repr(text)}, which is not the JSON text of a scaling. Write it with to_json()."
            ) from error


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs and targets with their names, in the user's units; made by `load_data` and `simulate`.

    Parameters
    ----------
    X, y : array (n, p), array (n,) or (n, K)
        Training rows. Labels and counts are int64, labels counted from 0; all else is float64. Arrays are read-only.
    X_test, y_test : array or None
        Rows held out, None when there are none.
    X_new : array
        Where to draw predictions: for one feature 200 points that reach a fifth of the range beyond the data, for
        more the test rows (training rows without those), for none a single empty row.
    feature_names, target_names : tuple of str
        Names of the columns.
    class_names : tuple of str or None
        Name of each label 0, 1, ...; None where the target is not a label.
    name, description : str
        What the data are called and where they come from.
    task : {"regression", "binary", "classes", "ordinal", "count"}
        What the target is.
    scaling : Scaling or None
        How a fit scales the data, from the training rows; None where they are used in their own units.
    noise : float or None
        Standard deviation of the noise that was simulated, or that a textbook example takes as known.
    truth : callable or None
        The curve without noise of simulated data: takes X (n, p), gives (n,).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.load_data("iris")
    Dataset 'iris' (classes): 120 training rows, 30 test rows
      features: 'sepal length (cm)', 'sepal width (cm)', 'petal length (cm)', 'petal width (cm)'
      target:   'species', labels 'setosa', 'versicolor', 'virginica'
      scaling:  standardised by the training rows
    """

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray | None
    y_test: np.ndarray | None
    X_new: np.ndarray
    feature_names: tuple[str, ...]
    target_names: tuple[str, ...]
    class_names: tuple[str, ...] | None
    name: str
    task: str
    scaling: Scaling | None = None
    noise: float | None = None
    truth: Callable | None = None
    description: str = ""

    def __post_init__(self):
        for name in ("X", "y", "X_test", "y_test", "X_new"):
            if (value := getattr(self, name)) is not None:
                value = np.array(value)
                value.setflags(write=False)
                object.__setattr__(self, name, value)

    def _rows(self):
        """Put the data in words, one row a part."""
        labels = "" if self.class_names is None else f", labels {_some(self.class_names)}"
        rows = [
            ("features", _some(self.feature_names) or "none"),
            ("target", _some(self.target_names) + labels),
            ("scaling", "standardised by the training rows" if self.scaling else "none"),
        ]
        return rows if self.noise is None else [*rows, ("noise", f"standard deviation {self.noise:g}")]

    def _title(self):
        """Name, task and numbers of rows."""
        n_test = 0 if self.X_test is None else len(self.X_test)
        return f"Dataset {self.name!r} ({self.task}): {len(self.X)} training rows, {n_test} test rows"

    def __repr__(self):
        return "\n".join([self._title(), *(f"  {key + ':':<9} {value}" for key, value in self._rows())])

    def _repr_html_(self):
        """Show the description as a table in Jupyter."""
        rows = "".join(
            f"<tr><th style='text-align:left'>{key}</th><td style='text-align:left'>{html.escape(value)}</td></tr>"
            for key, value in [*self._rows(), ("about", self.description)]
        )
        return f"<table><caption>{html.escape(self._title())}</caption>{rows}</table>"

    def to_frame(self):
        """Give all rows as a pandas DataFrame.

        Returns
        -------
        pandas.DataFrame
            Features and targets by name, labels as a categorical; the index tells "train" from "test".

        Examples
        --------
        >>> import bayesnn as bnn
        >>> bnn.load_data("coin").to_frame()["y"].tolist()
        ['0', '0', '0', '1', '0']
        """
        import pandas as pd

        parts = {}
        for part, X, y in (("train", self.X, self.y), ("test", self.X_test, self.y_test)):
            if X is None:
                continue
            frame = pd.DataFrame(X, columns=list(self.feature_names))
            for name, column in zip(self.target_names, y.reshape(len(y), -1).T, strict=True):
                if self.class_names is not None:
                    column = pd.Categorical.from_codes(column, self.class_names, ordered=self.task == "ordinal")
                frame[name] = column
            parts[part] = frame
        return pd.concat(parts, names=["split", "row"])


@dataclass(frozen=True)
class _Process:
    """How to draw rows: `draw(rng, n, noise, test)` gives X and y."""

    draw: Callable
    task: str
    sizes: tuple[int, int]
    noise: float | None
    truth: Callable | None
    description: str


def _sine(X):
    """Noise-free curve of "sine_gap"."""
    return np.sin(X[:, 0] + 1.2)


def _neal(X):
    """Noise-free curve of "neal"."""
    x = X[:, 0]
    return 0.3 + 0.4 * x + 0.5 * np.sin(2.7 * x) + 1.1 / (1.0 + x**2)


def _draw_sine_gap(rng, n, noise, test):
    """Draw "sine_gap": training rows leave the gap, test rows do not."""
    x = rng.uniform(-3.0, 3.0, n) if test else rng.choice([-1.0, 1.0], n) * rng.uniform(1.0, 3.0, n)
    return x[:, None], _sine(x[:, None]) + noise * rng.standard_normal(n)


def _draw_neal(rng, n, noise, test):
    """Draw "neal": a smooth curve, denser near 0."""
    X = rng.standard_normal((n, 1))
    return X, _neal(X) + noise * rng.standard_normal(n)


def _draw_two_moons(rng, n, noise, test):
    """Draw "two_moons": as many rows of each class, alternating."""
    y = np.arange(n) % 2
    angle = rng.uniform(0.0, np.pi, n)
    X = np.column_stack(
        [np.where(y, 1.0 - np.cos(angle), np.cos(angle)), np.where(y, 0.5, 0.0) + (1 - 2 * y) * np.sin(angle)]
    )
    return X + noise * rng.standard_normal((n, 2)), y


def _draw_separable_line(rng, n, noise, test):
    """Draw "separable_line": as many rows of each class, alternating."""
    y = np.arange(n) % 2
    return ((2 * y - 1) * rng.uniform(0.5, 2.0, n))[:, None], y


# The phase 1.2 leaves one rising and one falling flank in [-3, 3], which two tanh units fit with weights of order 1;
# with three flanks (phase 0) the two units cancel each other and the likelihood has its maximum at infinity.
_PROCESSES = {
    "sine_gap": _Process(
        _draw_sine_gap,
        "regression",
        (40, 100),
        0.2,
        _sine,
        "y = sin(x + 1.2) + N(0, 0.2²), training x uniform on [-3, -1] and [1, 3]: no data in the gap between; "
        "test x uniform on all of [-3, 3].",
    ),
    "neal": _Process(
        _draw_neal,
        "regression",
        (100, 100),
        0.1,
        _neal,
        "y = 0.3 + 0.4 x + 0.5 sin(2.7 x) + 1.1 / (1 + x²) + N(0, 0.1²) with x ~ N(0, 1), the simple "
        "regression problem of R. M. Neal's Software for Flexible Bayesian Modeling.",
    ),
    "two_moons": _Process(
        _draw_two_moons,
        "binary",
        (100, 100),
        0.2,
        None,
        "Two interleaving half circles of radius 1, one for each class, with N(0, 0.2²) added to both coordinates.",
    ),
    "separable_line": _Process(
        _draw_separable_line,
        "binary",
        (20, 20),
        None,
        None,
        "One feature, uniform on [-2, -0.5] in class 0 and on [0.5, 2] in class 1: any cut in between separates them, "
        "so the maximum likelihood estimate does not exist.",
    ),
}

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


def simulate(name, n, *, noise=None, random_seed=0):
    """Draw any number of rows from a simulated data set.

    Parameters
    ----------
    name : {"sine_gap", "neal", "two_moons", "separable_line"}
        The process; `load_data` describes each.
    n : int
        Number of training rows; at least 2 for labels.
    noise : float, optional
        Standard deviation of the noise: of y, or of both coordinates of "two_moons". None is the usual one of the
        data set. "separable_line" has none.
    random_seed : int, numpy.random.Generator or None
        Seed of the draws.

    Returns
    -------
    Dataset
        With `n` training rows and no test rows, without scaling.

    Raises
    ------
    UnknownNameError
        A name that is not simulated.
    SpecError
        A number of rows or a noise that makes no sense.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.simulate("neal", 1000, noise=0.05, random_seed=1)
    Dataset 'neal' (regression): 1000 training rows, 0 test rows
      features: 'x'
      target:   'y'
      scaling:  none
      noise:    standard deviation 0.05
    """
    if name not in _PROCESSES:
        raise UnknownNameError("simulated data set", name, _PROCESSES)
    process = _PROCESSES[name]
    least = 2 if process.task in _LABELS else 1
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < least:
        raise SpecError(
            f"Got n={n!r}; {name!r} needs a whole number of rows, at least {least}. Write n={process.sizes[0]}."
        )
    if noise is not None and process.noise is None:
        raise SpecError(f"Got noise={noise!r}; {name!r} has no noise, or its margin would be lost. Leave noise out.")
    if noise is not None and (not isinstance(noise, numbers.Real) or not 0 <= noise < np.inf):
        raise SpecError(f"Got noise={noise!r}; it must be a finite number, zero or more. Write noise={process.noise}.")
    return _draw(name, n, 0, process.noise if noise is None else float(noise), random_seed)


def _draw(name, n, n_test, noise, random_seed):
    """Simulate training and test rows, the training rows first."""
    process = _PROCESSES[name]
    rng = rng_of(random_seed)
    X, y = process.draw(rng, n, noise, False)
    X_test, y_test = process.draw(rng, n_test, noise, True) if n_test else (None, None)
    return _dataset(
        X,
        y,
        X_test,
        y_test,
        name=name,
        task=process.task,
        feature_names=("x",) if X.shape[1] == 1 else ("x1", "x2"),
        noise=noise,
        truth=process.truth,
        description=process.description,
    )


def _dataset(X, y, X_test, y_test, *, task, target_names=("y",), class_names=None, **fields):
    """Complete a data set: the points for drawing and the names of plain labels."""
    if class_names is None and task in _LABELS:
        class_names = tuple(str(k) for k in range(int(y.max()) + 1))
    if X.shape[1] == 1:
        x = X if X_test is None else np.vstack([X, X_test])
        margin = 0.2 * np.ptp(x)
        X_new = np.linspace(x.min() - margin, x.max() + margin, 200)[:, None]
    elif X.shape[1] == 0:
        X_new = np.zeros((1, 0))
    else:
        X_new = X if X_test is None else X_test
    return Dataset(X, y, X_test, y_test, X_new, target_names=target_names, class_names=class_names, task=task, **fields)


NAMES = (*_PROCESSES, *_TEXTBOOK, *_REAL)
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
    random_seed = rng_of(random_seed)

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
    bundled = {**_PROCESSES, **_TEXTBOOK, **_REAL}
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
    if source in _PROCESSES:
        data = _draw(source, *_PROCESSES[source].sizes, _PROCESSES[source].noise, random_seed)
    else:
        x, y, task, noise, description = _TEXTBOOK[source]
        X = np.zeros((len(y), 0)) if x is None else np.array(x)[:, None]
        names = () if x is None else ("x",)
        data = _dataset(
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
            f"Got {path.name!r} with the first line {_some(header)}; it must hold the names of the columns. "
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
        y, task, class_names = _code_target(frame[targets[0]], task)
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
    return _dataset(
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
            f"Got more than one column named {_some(repeated)}; each name must be unique. Rename or drop them."
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
        raise DataError(f"Got no target; a column to predict is needed. Pass target= one of {_some(columns, 10)}.")
    for name in targets:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"The columns are {_some(columns, 10)}."
            if len(columns) == 1:
                hint += " A single column was read: separate the values by commas."
            raise DataError(f"Got target {name!r}, which is not a column; the target must be one. {hint}")
    if len(set(targets)) == len(columns):
        raise DataError(
            f"Got no columns besides the target {_some(targets)}; at least one feature is needed. Keep a feature, or "
            "see load_data('coin') for a sample without features."
        )
    return list(dict.fromkeys(targets))


def _check_features(features, frame):
    """Name the feature columns that are not numbers, then the places of missing values in features and targets."""
    import pandas as pd

    odd = [c for c in features if not pd.api.types.is_numeric_dtype(features[c])]
    if odd:
        raise DataError(
            f"Got feature columns that are not numbers: {_some(odd)} (such as {_not_number(features[odd[0]])!r} in "
            f"{odd[0]!r}); every feature must be one. Encode categories with pandas.get_dummies, read numbers kept as "
            "text with pandas.to_numeric, or drop the columns."
        )
    if (missing := frame.isna().to_numpy()).any():
        raise DataError(
            f"Got missing values in {_some(frame.columns[missing.any(axis=0)])}: "
            f"{_places(missing, list(frame.columns))}; every value must be there. Drop the "
            "rows with DataFrame.dropna or fill them (rows count from 0)."
        )


def _not_number(column):
    """Give the first value that does not read as a number, as text."""
    import pandas as pd

    text = column.dropna().astype(str)
    odd = text[pd.to_numeric(text, errors="coerce").isna()]
    return (odd if len(odd) else column.astype(str)).iloc[0]


def _code_target(column, task):
    """Turn a target column into an array, a task and the names of its labels."""
    import pandas as pd

    name, kinds, first = column.name, column.nunique(), column.tolist()[0]
    if kinds < 2:
        raise DataError(
            f"Got target {name!r} with the single value {first!r}; a fit needs two values or classes "
            "at least. Add rows of another one, or choose another target."
        )
    number = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    values = as_array(column, f"target {name!r}") if number else None
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
            f"Got target {name!r} with labels of several types, {_some(sorted(types))}; they must be of one. "
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
