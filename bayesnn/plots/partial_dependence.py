"""What a fit makes of each input: its mean as one input varies and the others stay as they were seen."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayesnn.arguments import check_arguments
from bayesnn.data import Dataset
from bayesnn.errors import SpecError
from bayesnn.plots.functions import counted, original_y, short
from bayesnn.plots.picture import Picture, listed
from bayesnn.plots.style import CHAINS, DASHES, INK, Panels, Size, add_legend, line_of, new_axes
from bayesnn.prediction import draws_of, some_draws
from bayesnn.symmetry.align import spread
from bayesnn.tree import Fits, Problem, Rows, kind_of, named_fits, new_inputs, problem_of

if TYPE_CHECKING:
    import xarray as xr


MOST = 500
"""Most rows that are averaged over; of more, these are spread evenly."""
COLUMNS = 4


def plot_partial_dependence(
    *fits: Fits,
    features: Sequence[int | str] | int | str | None = None,
    data: Dataset | None = None,
    rows: Rows = None,
    target: int | str | None = None,
    kind: Literal["average", "individual", "both"] = "average",
    grid_resolution: int = 40,
    percentiles: tuple[float, float] = (0.05, 0.95),
    draws: int = 200,
    curves: int = 20,
    prob: float = 0.9,
    ax: Panels | None = None,
    figsize: Size | None = None,
    **named: "xr.DataTree",
) -> Picture:
    r"""Draw the partial dependence of the mean on each input, with a band for draws, all fits in one panel an input.

    Parameters
    ----------
    *fits : xarray.DataTree
        From `fit_mle`, `fit_map`, `fit_posterior`, of the same data; or one dict or list of them.
    features : int, str or sequence of them, optional
        Inputs to vary, counted from 1 or by name; None takes all.
    data : Dataset, optional
        Brings the rows to average over, its held-out ones; None takes the rows of the fit. Of more than 500, so many.
    rows : {"test", "train"}, optional
        Which rows of a Dataset; the held-out ones if left out.
    target : int or str, optional
        Which of several targets or classes, counted from 1 or by name; None takes the first target, or the second of
        two classes.
    kind : {"average", "individual", "both"}
        Whether to show the average over the rows, the curves of single rows, or both.
    grid_resolution : int
        Places along each input; an input with fewer values is shown at these.
    percentiles : tuple of float
        Share of the values of an input below the lowest and below the highest place.
    draws : int
        Most draws of a posterior that are used, evenly spread.
    curves : int
        Most single rows that are drawn.
    prob : float
        Probability of the band.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.
    **named : xarray.DataTree
        Fits with names.

    Returns
    -------
    Picture of matplotlib.axes.Axes
        One for each input, on one vertical axis, with small marks at the values of the rows.

    Raises
    ------
    SpecError
        No fits, no inputs, an input, target or kind that there is not, percentiles that do not rise from 0 to 1, or a
        probability that is none.

    See Also
    --------
    sklearn.inspection.PartialDependenceDisplay : The same for estimators of scikit-learn.

    Notes
    -----
    The partial dependence on inputs :math:`x_j` is :math:`\frac1n \sum_i E[y \mid x_j, x_{i, -j}, \theta]`. The line
    is its mean over the draws, the band holds `prob` of the draws at each place: it says what the posterior does not
    know about the average, not how much rows differ (these are the curves of ``kind="both"``). Where inputs depend on
    each other the average runs over combinations that do not occur.

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
    >>> print(bnn.plot_partial_dependence(mle, percentiles=(0, 1)).alt_text)
    Partial dependence of the mean of target on x1 and x2, over 4 rows. MLE: 6 over x1 (0.5 to 6.5), 1 over x2 (3 to 4).
    """
    _check(kind, percentiles, prob)
    check_arguments(draws=draws, curves=curves)
    if isinstance(grid_resolution, bool) or not isinstance(grid_resolution, int | np.integer) or grid_resolution < 2:
        raise SpecError(f"Got grid_resolution={grid_resolution!r}; it must be 2 or more. Write grid_resolution=40.")
    shown = named_fits(fits, named)
    problem = problem_of(next(iter(shown.values())))
    columns = _columns(problem, features)
    output, label = _output(problem, target)
    X = problem.X if data is None and rows is None else new_inputs(problem, data, rows=rows)
    total = len(X)
    X = X[spread(total, MOST)]
    original = X if problem.scaling is None else problem.scaling.inverse_X(X)
    across = min(COLUMNS, len(columns))
    down = -(-len(columns) // across)
    size: dict[str, Any] = {"width": {1: 4.8, 2: 4.2, 3: 3.2}.get(across, 2.5), "height": 2.9 if down == 1 else 2.2}
    axes = new_axes(down, across, ax=ax, figsize=figsize, panels=len(columns), sharey=True, **size)
    said: dict[str, list[str]] = {name: [] for name in shown}
    looks = {name: line_of(kind_of(fit)) for name, fit in shown.items()}
    if len({look["color"] for look in looks.values()}) < len(looks):
        # Two fits of a kind are told apart by their own colours.
        colours = {name: CHAINS[k % len(CHAINS)] for k, name in enumerate(shown)}
        looks = {name: {"color": colours[name], "ls": DASHES[k % len(DASHES)]} for k, name in enumerate(shown)}
    for place, (one, j) in enumerate(zip(axes, columns, strict=True)):
        grid = _grid(original[:, j], grid_resolution, percentiles)
        for name, fit in shown.items():
            average, single = _dependence(fit, original, j, grid, output, draws)
            mean = average.mean(axis=0)
            look = looks[name]
            if kind != "individual":
                if len(average) > 1:
                    ends = np.quantile(average, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
                    words = f"{100 * prob:.0f}% of the draws, {name}"
                    one.fill_between(grid, *ends, color=look["color"], alpha=0.25, lw=0, label=words)
                one.plot(grid, mean, lw=2, label=name, zorder=4, **look)
            if kind != "average":
                some = spread(len(X), curves)
                for k, row in enumerate(some):
                    words = f"{counted(len(some), 'row', 'rows')}, {name}" if not k else "_row"
                    one.plot(grid, single[row], lw=0.7, alpha=0.5, label=words, zorder=3, **look)
            ends = short(mean.min()), short(mean.max())
            said[name].append(f"{short(np.ptp(mean))} over {problem.feature_names[j]} ({ends[0]} to {ends[1]})")
        inside = original[:, j][(original[:, j] >= grid[0]) & (original[:, j] <= grid[-1])]
        marks = {"color": INK, "ms": 5, "alpha": 0.5, "ls": "", "transform": one.get_xaxis_transform()}
        one.plot(np.unique(inside), np.full(len(np.unique(inside)), 0.02), "|", label="_rows", **marks)
        one.set_xlabel(problem.feature_names[j])
        one.xaxis.get_major_locator().set_params(nbins=4)
        if place % across == 0:
            one.set_ylabel(label)
    handles, names = axes[0].get_legend_handles_labels()
    add_legend(axes, handles, names)
    over = f"{total} rows" if total == len(X) else f"{len(X)} of {total} rows"
    inputs = listed([problem.feature_names[j] for j in columns])
    each = [f"{name}: {', '.join(words)}" for name, words in said.items()]
    return Picture(axes, f"Partial dependence of {_what(label)} on {inputs}, over {over}. {'; '.join(each)}.")


def _check(kind, percentiles, prob):
    """Refuse what can't be drawn."""
    check_arguments(kind=kind, prob=prob)
    try:
        low, high = (float(share) for share in percentiles)
        rise = 0 <= low < high <= 1
    except (TypeError, ValueError):
        rise = False
    if not rise:
        raise SpecError(
            f"Got percentiles={percentiles!r}; they must rise, from 0 to 1 at most. Write percentiles=(0.05, 0.95)."
        )


def _numbered(given: Any, names: Sequence[str], what: str) -> int:
    """Find the place of a name, or of a number that counts from 1."""
    if isinstance(given, str) and given in names:
        return list(names).index(given)
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or not 1 <= given <= len(names):
        raise SpecError(f"Got {what}={given!r}; there are {', '.join(names)}. Give a name, or a number from 1.")
    return int(given) - 1


def _columns(problem: Problem, features: Any) -> list[int]:
    """Which inputs are varied."""
    names = list(problem.feature_names)
    if not names:
        raise SpecError("Got a fit without inputs; there is nothing that its mean depends on. Use plot_ppc.")
    given = range(1, len(names) + 1) if features is None else features
    several = isinstance(given, Iterable) and not isinstance(given, str)
    given = list(given) if several else [given]
    if not given:
        raise SpecError(f"Got features={features!r}; there are {', '.join(names)}. Give some, or leave it out.")
    return [_numbered(one, names, "features") for one in given]


def _output(problem: Problem, target: Any) -> tuple[int, str]:
    """Which column of the mean is drawn, and what it is called."""
    names = list(problem.class_names or problem.target_names)
    default = 2 if problem.net.loss.task == "binary" else 1
    k = _numbered(default if target is None else target, names, "target")
    return k, f"p({names[k]})" if problem.class_names else f"mean of {names[k]}"


def _what(label: str) -> str:
    """Name what is drawn within a sentence."""
    return label if label.startswith("p(") else f"the {label}"


def _grid(x: np.ndarray, resolution: int, percentiles: tuple[float, float]) -> np.ndarray:
    """Places along an input, in the user's units."""
    values = np.unique(x)
    if len(values) < resolution:
        return values
    low, high = np.quantile(x, percentiles)
    return np.linspace(low, high, resolution)


def _dependence(fit, original, j, grid, output, draws):
    """Averages over the rows (draw, place) and of single rows over the draws (row, place), in the user's units."""
    problem = problem_of(fit)
    params, forward = draws_of(fit, problem, at=some_draws(fit, int(draws)))
    loss, args = problem.net.loss, problem.net.likelihood_args(params)
    averages, singles = [], []
    for value in grid:
        changed = original.copy()
        changed[:, j] = value
        changed = changed if problem.scaling is None else problem.scaling.transform_X(changed)
        mean = loss.mean(forward(changed), **args)
        if not problem.class_names:
            mean = original_y(problem, mean)
        averages.append(mean[..., output].mean(axis=1))
        singles.append(mean[..., output].mean(axis=0))
    return np.stack(averages, axis=-1), np.stack(singles, axis=-1)
