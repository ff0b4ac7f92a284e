"""Data that a fit is applied to: rows of a Dataset, new inputs, and targets to score against."""

from typing import Any, Literal

import numpy as np

from bayesnn.data import Dataset, as_array, check_X
from bayesnn.data.tables import as_frame, is_frame
from bayesnn.data.target import joined, known_of, values_of
from bayesnn.errors import DataError, SpecError
from bayesnn.tree.problem import Problem, checked_target, column_names, numbered

type Rows = Literal["test", "train"] | None
"""What a function takes as rows."""


def check_dataset(data: Any) -> Dataset:
    """Refuse what is no Dataset.

    Parameters
    ----------
    data : Dataset
        From a user.

    Returns
    -------
    Dataset
        The same.

    Raises
    ------
    SpecError
        Anything else.
    """
    if not isinstance(data, Dataset):
        raise SpecError(
            f"Got data of type {type(data).__name__}; it must be a Dataset. Make one with bnn.load_data, or leave it "
            "out."
        )
    return data


def dataset_rows(data: Dataset, rows: Rows = None) -> tuple[np.ndarray, np.ndarray]:
    """Choose the rows that a Dataset stands for where a fit is applied.

    Parameters
    ----------
    data : Dataset
        The data.
    rows : {"test", "train"}, optional
        Held-out rows, which is what None means, or training rows.

    Returns
    -------
    X, y : array (n, p) and array (n,) or (n, K)
        In the user's units.

    Raises
    ------
    SpecError
        Held-out rows of a Dataset that has none, or another word.
    """
    if not isinstance(data, Dataset):
        raise SpecError(
            f"Got rows={rows!r} without a Dataset, whose rows it chooses. Leave rows out, or pass a Dataset."
        )
    if rows is not None and not (isinstance(rows, str) and rows in ("test", "train")):
        raise SpecError(
            f"Got rows={rows!r}; it must be 'test' (the held-out rows) or 'train' (the training rows). Write "
            "rows='train', or leave it out."
        )
    if rows == "train":
        return data.X, data.y
    if data.X_test is None:
        raise SpecError(
            f"Got the Dataset {data.name!r}, which has no held-out rows. Take its training rows: rows='train' where "
            "a function has it, otherwise data.X and data.y."
        )
    return data.X_test, data.y_test  # type: ignore[return-value]


def new_inputs(problem: Problem, X: Any, *, rows: Rows = None) -> np.ndarray:
    """Check inputs for a prediction and bring them into the units the model works in.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    X : array (n, p), DataFrame or Dataset
        Inputs in the user's units; a DataFrame or Dataset with the fit's column names may have them in any order. Where
        columns were coded, a DataFrame is coded alike, and an array is taken as coded already.
    rows : {"test", "train"}, optional
        Which rows of a Dataset, as for `dataset_rows`.

    Returns
    -------
    array (n, p)
        Inputs for `MLP.forward`.

    Raises
    ------
    DataError
        Data that break a rule, or another number of columns.
    SpecError
        A Dataset without held-out rows, or `rows` without a Dataset.
    """
    X = _coded(problem, X, rows)
    names, p = column_names(X), len(problem.feature_names)
    if names is not None and set(problem.feature_names) <= set(names):
        X = X[[X.columns[names.index(name)] for name in problem.feature_names]]
    elif names is not None and problem.feature_names != numbered(p):
        missing = [name for name in problem.feature_names if name not in names]
        raise DataError(
            f"Got a frame with the columns {list(names)}; the fit needs {missing} as well. Name the columns as in the "
            "data that were fitted, or pass an array with the columns in their order."
        )
    # Rows first in memory, whatever held them: products of matrices then round alike.
    X = np.ascontiguousarray(check_X(X, n_features=p, allow_empty_features=p == 0))
    return problem.scaling.transform_X(X) if problem.scaling is not None else X


def _coded(problem, X, rows):
    """Give inputs as they are, but for rows of a Dataset and for columns that the fit has coded."""
    import pandas as pd

    coding = problem.coding
    if isinstance(X, Dataset) or rows is not None:
        data, X = X, pd.DataFrame(dataset_rows(X, rows)[0], columns=list(X.feature_names))
        if coding is None or (data.coding is not None and data.coding.columns == coding.columns):
            return X
        X = X if data.coding is None else data.coding.inverse(X.to_numpy())
    elif is_frame(X):
        X = as_frame(X)
    names = set(column_names(X) or ())
    # By the names that the table had before it was coded, or by those that it has afterwards.
    if coding is None or not names or (set(coding.feature_names) <= names and not set(coding.names) <= names):
        return X
    return pd.DataFrame(coding.transform(X), columns=list(coding.feature_names), copy=False)


def new_targets(problem: Problem, y: Any) -> np.ndarray:
    """Check targets to score against and bring them into the units the model works in.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    y : array (n,) or (n, K)
        Targets in the user's units, plain or from `bnn.target` as those of the fit.

    Returns
    -------
    array (n,) or (n, K)
        Targets for `MLP.log_likelihood`.

    Raises
    ------
    DataError
        Data that break a rule, or labels that the fit has not seen.
    SpecError
        Something else is known of the rows than in the fit.
    """
    loss = problem.net.loss
    if loss.task in ("binary", "classes", "ordinal"):
        loss.check_given(known_of(y))
        values = as_array(y, "y", ndim=(1,))
        top = len(problem.class_names) - 1
        bad = ~np.isin(values, np.arange(top + 1))
        if bad.any():
            raise DataError(
                f"Got label {values[bad][0]:g}; the fit knows the classes 0 to {top}. Encode labels as in its data."
            )
        return values.astype(np.int64)
    y, fitted = checked_target(loss, y), known_of(problem.y)
    known, y = known_of(y), values_of(y)
    if known.keys() != fitted.keys():
        got, wanted = (" and ".join(names) or "nothing beside it" for names in (known, fitted))
        raise SpecError(
            f"Got a target with {got}, for a fit of targets with {wanted}; they must be alike. Write "
            + (f"bnn.target(y, {', '.join(f'{name}=...' for name in fitted)})." if fitted else "y alone, y['y'].")
        )
    if problem.scaling is not None and loss.support == "real":
        y = problem.scaling.transform_y(y)
    return joined({"y": y, **known})


def observed_rows(problem: Problem, data: Dataset | None, rows: Rows = None) -> tuple[np.ndarray, np.ndarray]:
    """Choose observations to hold a fit to: those that were fitted, where none are given.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    data : Dataset, optional
        The data that they are taken from.
    rows : {"test", "train"}, optional
        Which rows of it, as for `dataset_rows`.

    Returns
    -------
    X, y : array
        In the units the model works in.

    Raises
    ------
    DataError, SpecError
        As of `new_inputs` and `new_targets`.
    """
    if data is None and rows is None:
        return problem.X, problem.y
    return new_inputs(problem, data, rows=rows), new_targets(problem, dataset_rows(data, rows)[1])  # type: ignore[arg-type]
