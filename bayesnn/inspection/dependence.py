"""Partial dependence: the mean as one or two inputs vary and the others stay as they were seen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.arguments import check_arguments
from bayesnn.errors import SpecError
from bayesnn.inspection.means import Input, given_input, inputs_of, label_of, means_of, outputs_of, placed, rows_of
from bayesnn.symmetry.align import spread
from bayesnn.tree import Inputs, Problem, Rows, heading, problem_of

if TYPE_CHECKING:
    import xarray as xr


MOST, MOST_OF_PAIRS = 500, 100
"""Most rows that are averaged over; of more, these are spread evenly."""
_TAKEN = ("row", "output", "draw")


def partial_dependence(
    fit: "xr.DataTree",
    features: int | str | Sequence[int | str],
    *,
    data: Inputs | None = None,
    rows: Rows = None,
    grid_resolution: int | None = None,
    percentiles: tuple[float, float] = (0.05, 0.95),
    centred: bool = False,
    draws: int = 200,
    prob: float = 0.9,
) -> "xr.Dataset":
    r"""Evaluate the mean as one input varies, or two, with the others as they were seen: on average and row by row.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit_mle`, `fit_map` or `fit_posterior`.
    features : int, str or pair of them
        The input, counted from 1 or by name, or two of them.
    data : array (n, p), DataFrame or Dataset, optional
        Rows to average over, of a Dataset the held-out ones; None takes the rows of the fit. Of more than 500 (100 for
        two inputs), so many, evenly spread.
    rows : {"test", "train"}, optional
        Which rows of a Dataset; the held-out ones if left out.
    grid_resolution : int, optional
        Places along each input, 40 if left out and 20 each for two inputs; one with fewer values is evaluated at
        these, a category at its levels.
    percentiles : tuple of float
        Share of the values of an input below the lowest and below the highest place.
    centred : bool
        Whether to subtract, draw by draw and row by row, the value at the lowest place: what is left is the change
        along the input, and curves that are parallel lie on each other.
    draws : int
        Most draws of a posterior that are used, evenly spread.
    prob : float
        Probability of the bands.

    Returns
    -------
    xarray.Dataset
        Along the inputs, by name, and ``output``, which are targets or classes, in the user's units: ``average``,
        with ``average_lower`` and ``average_upper`` over the draws. Of one input also the curve of each ``row``,
        ``individual``, averaged over the draws, with ``individual_lower`` and ``individual_upper``.

    Raises
    ------
    SpecError
        An input that there is not, or the same twice; percentiles that do not rise from 0 to 1; a resolution below 2;
        a probability that is none.
    DataError
        Rows that break a rule.

    See Also
    --------
    bayesnn.plot_partial_dependence : The same as a picture.
    marginal_effects : One number for each input.

    Notes
    -----
    The partial dependence on inputs :math:`x_j` is :math:`\frac1n \sum_i E[y \mid x_j, x_{i, -j}, \theta]`, and the
    terms of the sum are the individual conditional expectations. Where inputs depend on each other the average runs
    over combinations that do not occur.

    References
    ----------
    J. H. Friedman, "Greedy function approximation: A gradient boosting machine", Annals of Statistics 29 (2001).
    A. Goldstein, A. Kapelner, J. Bleich and E. Pitkin, "Peeking inside the black box: Visualizing statistical learning
    with plots of individual conditional expectation", Journal of Computational and Graphical Statistics 24 (2015).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> line = bnn.MLP(hidden=(), noise=1.0)
    >>> X, y = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]], [1.0, 2.0, 5.0, 6.0]
    >>> mle = bnn.fit_mle(line, X, y, restarts=2, random_seed=1, progressbar=False)
    >>> bnn.partial_dependence(mle, "x1", percentiles=(0, 1)).average.values.round(4)
    array([[0.5, 2.5, 4.5, 6.5]])
    """
    check_arguments(draws=draws, prob=prob, centred=centred)
    check_grid(grid_resolution, percentiles)
    problem = problem_of(fit)
    varied = varied_of(problem, features)
    X = rows_of(problem, data, rows)
    return dependence_of(
        fit,
        varied,
        X,
        resolution=grid_resolution or (40 if len(varied) == 1 else 20),
        percentiles=percentiles,
        centred=centred,
        draws=int(draws),
        prob=prob,
    )


def check_grid(grid_resolution: Any, percentiles: Any) -> None:
    """Refuse places along an input that can't be made.

    Parameters
    ----------
    grid_resolution, percentiles
        As for `partial_dependence`.

    Raises
    ------
    SpecError
        Fewer than two places, or percentiles that do not rise from 0 to 1.
    """
    whole = isinstance(grid_resolution, int | np.integer) and not isinstance(grid_resolution, bool)
    if grid_resolution is not None and not (whole and grid_resolution >= 2):
        raise SpecError(f"Got grid_resolution={grid_resolution!r}; it must be 2 or more. Write grid_resolution=40.")
    try:
        low, high = (float(share) for share in percentiles)
        rise = 0 <= low < high <= 1
    except (TypeError, ValueError):
        rise = False
    if not rise:
        raise SpecError(
            f"Got percentiles={percentiles!r}; they must rise, from 0 to 1 at most. Write percentiles=(0.05, 0.95)."
        )


def varied_of(problem: Problem, features: Any) -> tuple[Input, ...]:
    """Find one input, or a pair.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    features : int, str or pair of them
        From a user.

    Returns
    -------
    tuple of Input
        One or two.

    Raises
    ------
    SpecError
        An input that there is not, the same twice, or more than two.
    """
    names = [one.name for one in inputs_of(problem)]
    if not names:
        raise SpecError("Got a fit without inputs; there is nothing that its mean depends on. Use plot_ppc.")
    given = list(features) if isinstance(features, list | tuple) else [features]
    varied = tuple(given_input(problem, one) for one in given)
    if len(varied) not in (1, 2) or len(set(varied)) < len(varied):
        raise SpecError(
            f"Got features={features!r}; one input, or a pair of two, can be varied. Write features={names[0]!r}"
            f"{f', or features=({names[0]!r}, {names[1]!r})' if len(names) > 1 else ''}."
        )
    return varied


def dependence_of(
    fit: "xr.DataTree",
    varied: Sequence[Input],
    X: np.ndarray,
    *,
    resolution: int,
    percentiles: tuple[float, float],
    centred: bool,
    draws: int,
    prob: float,
) -> "xr.Dataset":
    """Evaluate what `partial_dependence` returns, for inputs and rows that were found."""
    import xarray as xr

    problem, total = problem_of(fit), len(X)
    X = X[spread(total, MOST if len(varied) == 1 else MOST_OF_PAIRS)]
    original = X if problem.scaling is None else problem.scaling.inverse_X(X)
    grids = [
        np.array(one.levels) if one.levels else grid_of(original[:, one.columns[0]], resolution, percentiles)
        for one in varied
    ]
    means = means_of(fit, draws=draws)
    tails = [(1 - prob) / 2, (1 + prob) / 2]
    averages: list[np.ndarray] = []
    curves: list[list[np.ndarray]] = []
    base: Any = 0.0
    for place in np.ndindex(*map(len, grids)):
        changed = X
        for one, grid, at in zip(varied, grids, place, strict=True):
            changed = placed(problem, changed, one, one.codes[at] if one.levels else grid[at])
        found = means(changed)
        base = found if centred and not averages else base
        found = found - base
        averages.append(found.mean(axis=1))
        if len(varied) == 1:
            ends = np.quantile(found, tails, axis=0) if len(found) > 1 else found.repeat(2, axis=0)
            curves.append([found.mean(axis=0), *ends])
    names = [f"{one.name}_" if one.name in _TAKEN else one.name for one in varied]
    shape = tuple(map(len, grids))
    stacked = np.stack(averages, axis=-1)
    ends = np.quantile(stacked, tails, axis=0)
    parts = {"average": stacked.mean(axis=0), "average_lower": ends[0], "average_upper": ends[1]}
    variables: dict[str, Any] = {k: (("output", *names), v.reshape(-1, *shape)) for k, v in parts.items()}
    if curves:
        each = np.moveaxis(np.array(curves), 0, -1)
        words = ("individual", "individual_lower", "individual_upper")
        variables |= {k: (("row", "output", *names), v) for k, v in zip(words, each, strict=True)}
    outputs = outputs_of(problem)
    coords: dict[str, Any] = {"output": outputs, **dict(zip(names, grids, strict=True))}
    labels = [label_of(problem, k) for k in range(len(outputs))]
    attrs = {
        "fit": heading(fit), "rows": len(X), "total_rows": total, "draws": len(stacked), "prob": prob,
        "of": labels, "centred": int(centred),
    }  # fmt: skip
    return xr.Dataset(variables, coords=coords, attrs=attrs)


def grid_of(x: np.ndarray, resolution: int, percentiles: tuple[float, float]) -> np.ndarray:
    """Places along an input, in the user's units: all of its values, where these are few."""
    values = np.unique(x)
    if len(values) < resolution:
        return values
    low, high = np.quantile(x, percentiles)
    return np.linspace(low, high, resolution)
