"""Inputs and targets with their names: what every source of data ends in."""

import html
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.data.checks import some
from bayesnn.data.coding import Coding
from bayesnn.data.scaling import Scaling
from bayesnn.data.target import known_of, values_of

if TYPE_CHECKING:
    import pandas as pd

TASKS = ("regression", "binary", "classes", "ordinal", "count")
"""What a target can be; the same words as the ``task`` of a loss."""

LABELLED = ("binary", "classes", "ordinal")
"""The tasks whose targets are labels, counted from 0."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Inputs and targets with their names, in the user's units; made by `load_data` and `simulate`.

    Parameters
    ----------
    X, y : array (n, p), array (n,) or (n, K)
        Training rows. Labels and counts are int64, labels counted from 0; all else is float64. Arrays are read-only.
        Targets of which more is known are structured arrays, as of `bnn.target`.
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
    coding : Coding or None
        How columns of a table became those of X; None where all of them were numbers.

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
    coding: Coding | None = None

    def __post_init__(self):
        for name in ("X", "y", "X_test", "y_test", "X_new"):
            if (value := getattr(self, name)) is not None:
                # What nobody can write to, is not copied.
                value = value if _is_frozen(value) else np.array(value)
                value.setflags(write=False)
                object.__setattr__(self, name, value)

    def _rows(self):
        """Put the data in words, one row a part."""
        labels = "" if self.class_names is None else f", labels {some(self.class_names)}"
        known = [("known", f"the {' and '.join(names)} of each row")] if (names := known_of(self.y)) else []
        coded = [("coding", self.coding.said)] if self.coding is not None else []
        rows = [
            ("features", some(self.feature_names) or "none"),
            *coded,
            ("target", some(self.target_names) + labels),
            *known,
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

    def to_frame(self) -> "pd.DataFrame":
        """Give all rows as a pandas DataFrame.

        Returns
        -------
        pandas.DataFrame
            Features as they were before they were coded, and targets, by name; labels as a categorical; what is
            known of the rows, called as by `bnn.target`; the index tells "train" from "test".

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
            frame = pd.DataFrame(X, columns=list(self.feature_names)) if self.coding is None else self.coding.inverse(X)
            values = np.asarray(values_of(y)).reshape(len(X), -1)
            for name, column in zip(self.target_names, values.T, strict=True):
                if self.class_names is not None:
                    column = pd.Categorical.from_codes(column, self.class_names, ordered=self.task == "ordinal")
                frame[name] = column
            for name, known in known_of(y).items():
                frame[name] = known
            parts[part] = frame
        return pd.concat(parts, names=["split", "row"])


def _is_frozen(value):
    return isinstance(value, np.ndarray) and value.flags.owndata and not value.flags.writeable


def make_dataset(
    X: np.ndarray,
    y: np.ndarray,
    X_test: np.ndarray | None,
    y_test: np.ndarray | None,
    *,
    task: str,
    target_names: tuple[str, ...] = ("y",),
    class_names: tuple[str, ...] | None = None,
    **fields: Any,
) -> Dataset:
    """Complete a data set: the points for drawing and the names of plain labels; the arrays become its own."""
    for array in (X, y, X_test, y_test):
        if array is not None and array.flags.owndata:
            array.setflags(write=False)
    if class_names is None and task in LABELLED:
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
