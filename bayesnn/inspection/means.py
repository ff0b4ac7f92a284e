"""The mean of the target at given inputs, draw by draw and in the user's units; and which inputs and targets."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.data.target import known_of
from bayesnn.errors import SpecError
from bayesnn.prediction import draws_of, some_draws
from bayesnn.tree import Inputs, Problem, Rows, new_inputs, problem_of

if TYPE_CHECKING:
    import xarray as xr


def means_of(fit: "xr.DataTree", *, draws: int) -> Callable[[np.ndarray], np.ndarray]:
    """Make the function from inputs to the mean of each target, or the probability of each class.

    Parameters
    ----------
    fit : xarray.DataTree
        A fit.
    draws : int
        Most draws that are used, evenly spread.

    Returns
    -------
    callable
        From inputs (n, p), in the units the model works in, to means (draw, n, K) in the user's units; of counts for
        one unit of exposure, or one trial. A likelihood without a mean has its median in place of it.
    """
    problem = problem_of(fit)
    params, forward = draws_of(fit, problem, at=some_draws(fit, draws))
    net, args = problem.net, problem.net.likelihood_args(params)
    scaling = problem.scaling

    def means(X: np.ndarray) -> np.ndarray:
        parts = [net.loss.mean(forward(X[rows]), **args) for rows in net.row_blocks(params, len(X))]
        found = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return found if scaling is None else scaling.inverse_y(found)

    return means


def rows_of(problem: Problem, data: Inputs | None, rows: Rows) -> np.ndarray:
    """Find the rows to average over, in the units the model works in: those of the fit, where none are given."""
    return problem.X if data is None and rows is None else new_inputs(problem, data, rows=rows)


def training_inputs(problem: Problem) -> np.ndarray:
    """Find the inputs that were fitted, in the user's units."""
    return problem.X if problem.scaling is None else problem.scaling.inverse_X(problem.X)


def outputs_of(problem: Problem) -> list[str]:
    """Name the columns of a mean: classes or targets."""
    return list(problem.class_names or problem.target_names)


def label_of(problem: Problem, k: int) -> str:
    """Write what a column of a mean is, such as "mean of price" or "p(Gentoo)"."""
    name = outputs_of(problem)[k]
    if problem.class_names:
        return f"p({name})"
    known = known_of(problem.y)
    if "trials" in known:
        return f"probability of {name}"
    return f"{'rate' if 'exposure' in known else 'mean' if problem.net.loss.has_mean else 'median'} of {name}"


def numbered(given: Any, names: Sequence[str], what: str) -> int:
    """Find the place of a name, or of a number that counts from 1.

    Parameters
    ----------
    given : int or str
        From a user.
    names : sequence of str
        What there is.
    what : str
        The argument.

    Returns
    -------
    int
        Counted from 0.

    Raises
    ------
    SpecError
        What there is not.
    """
    if isinstance(given, str) and given in names:
        return list(names).index(given)
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or not 1 <= given <= len(names):
        raise SpecError(f"Got {what}={given!r}; there are {', '.join(names)}. Give a name, or a number from 1.")
    return int(given) - 1


@dataclass(frozen=True)
class Input:
    """What is varied as one: a column of numbers, or the columns of zeros and ones of a category.

    Parameters
    ----------
    name : str
        Of the column of the user's table.
    columns : tuple of int
        What the network reads for it, counted from 0.
    levels : tuple of str
        Of a category, the reference first, which is where all columns are zero; empty for a number.
    """

    name: str
    columns: tuple[int, ...]
    levels: tuple[str, ...] = ()

    @property
    def codes(self) -> np.ndarray:
        """Values of the columns at each level (level, column), in the user's units."""
        return np.eye(len(self.levels))[:, 1:]


def inputs_of(problem: Problem) -> list[Input]:
    """List what can be varied: the columns of the table that was fitted.

    Parameters
    ----------
    problem : Problem
        What was fitted.

    Returns
    -------
    list of Input
        In the order of the columns. A category is one input; that a number was missing is one of its own.
    """
    coding = problem.coding
    if coding is None:
        return [Input(name, (j,)) for j, name in enumerate(problem.feature_names)]
    found: list[Input] = []
    start = 0
    for column in coding.columns:
        names = column.feature_names
        at = tuple(range(start, start + len(names)))
        if column.kind == "category":
            found.append(Input(column.name, at, (*column.levels, *["missing"] * column.missing)))
        else:
            found += [Input(name, (j,)) for name, j in zip(names, at, strict=True)]
        start += len(names)
    return found


def given_input(problem: Problem, given: Any) -> Input:
    """Find an input by its name or number, or by the name of one of its columns.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    given : int or str
        From a user.

    Returns
    -------
    Input
        What is meant.

    Raises
    ------
    SpecError
        What there is not.
    """
    known = inputs_of(problem)
    if isinstance(given, str) and given in problem.feature_names:
        column = problem.feature_names.index(given)
        return next(one for one in known if column in one.columns)
    return known[numbered(given, [one.name for one in known], "features")]


def placed(problem: Problem, X: np.ndarray, one: Input, values: Any) -> np.ndarray:
    """Put rows where one input has given values.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    X : array (n, p)
        Rows, in the units the model works in.
    one : Input
        What is changed.
    values : float, array (n,) or array (columns,)
        Of a number, or the code of a level, in the user's units.

    Returns
    -------
    array (n, p)
        Other rows, in the units the model works in.
    """
    moved = X.copy()
    values = np.asarray(values, dtype=float)
    for k, j in enumerate(one.columns):
        value = values[k] if one.levels else values
        moved[:, j] = (
            value if problem.scaling is None else (value - problem.scaling.x_mean[j]) / problem.scaling.x_sd[j]
        )
    return moved


def listed_inputs(problem: Problem, features: Any) -> list[Any]:
    """List the inputs that a user asks for, as they were written.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    features : int, str, sequence of them, or None
        None asks for all.

    Returns
    -------
    list
        At least one.

    Raises
    ------
    SpecError
        An empty list, or a fit without inputs.
    """
    if not problem.feature_names:
        raise SpecError("Got a fit without inputs; there is nothing that its mean depends on. Use plot_ppc.")
    if features is None:
        return list(range(1, len(inputs_of(problem)) + 1))
    several = isinstance(features, Iterable) and not isinstance(features, str)
    given = list(features) if several else [features]
    if not given:
        names = tuple(one.name for one in inputs_of(problem))
        raise SpecError(f"Got features={features!r}; there are {', '.join(names)}. Give some, or leave it out.")
    return given
