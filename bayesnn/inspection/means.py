"""The mean of the target at given inputs, draw by draw and in the user's units; and which inputs and targets."""

from collections.abc import Callable, Iterable, Sequence
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
    scaling = problem.scaling if net.loss.support == "real" else None

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
    names = problem.feature_names
    if not names:
        raise SpecError("Got a fit without inputs; there is nothing that its mean depends on. Use plot_ppc.")
    if features is None:
        return list(range(1, len(names) + 1))
    several = isinstance(features, Iterable) and not isinstance(features, str)
    given = list(features) if several else [features]
    if not given:
        raise SpecError(f"Got features={features!r}; there are {', '.join(names)}. Give some, or leave it out.")
    return given
