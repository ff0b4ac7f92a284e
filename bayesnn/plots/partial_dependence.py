"""What a fit makes of its inputs: the mean as one or two of them vary and the others stay as they were seen."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayesnn.arguments import check_arguments
from bayesnn.data import Dataset
from bayesnn.inspection.dependence import check_grid, dependence_of, varied_of
from bayesnn.inspection.means import Input, label_of, listed_inputs, numbered, outputs_of, rows_of
from bayesnn.plots.functions import counted, short
from bayesnn.plots.picture import Picture, listed
from bayesnn.plots.style import CHAINS, DASHES, INK, MARKERS, Panels, Size, add_legend, line_of, mark_of, new_axes
from bayesnn.symmetry.align import spread
from bayesnn.tree import Fits, Problem, Rows, kind_of, named_fits, problem_of

if TYPE_CHECKING:
    import xarray as xr


COLUMNS = 4
FEW = 10
"""Most values of an input that is drawn at these, with bars, and not as a line."""
BANDS = 5
"""Most single rows whose curves have bands."""
type Features = int | str | tuple[int | str, int | str]


def plot_partial_dependence(
    *fits: Fits,
    features: Sequence[Features] | int | str | None = None,
    data: Dataset | None = None,
    rows: Rows = None,
    target: Sequence[int | str] | int | str | None = None,
    kind: Literal["average", "individual", "both"] = "average",
    centred: bool = False,
    grid_resolution: int = 40,
    percentiles: tuple[float, float] = (0.05, 0.95),
    draws: int = 200,
    curves: int = 20,
    prob: float = 0.9,
    ax: Panels | None = None,
    figsize: Size | None = None,
    **named: "xr.DataTree",
) -> Picture:
    r"""Draw the partial dependence of the mean on inputs and pairs of them, with bands for draws.

    Parameters
    ----------
    *fits : xarray.DataTree
        From `fit_mle`, `fit_map`, `fit_posterior`, of the same data; or one dict or list of them.
    features : int, str or sequence of them and of pairs, optional
        Inputs to vary, counted from 1 or by name; None takes all, one by one. A pair, as in
        ``features=["age", ("age", "dose")]``, is varied together: a surface for each fit, or lines where one of the
        two has few values.
    data : Dataset, optional
        Brings the rows to average over, its held-out ones; None takes the rows of the fit. Of more than 500 (100 for
        pairs), so many.
    rows : {"test", "train"}, optional
        Which rows of a Dataset; the held-out ones if left out.
    target : int, str or sequence of them, optional
        Which of several targets or classes, counted from 1 or by name; None takes the first target, or the second of
        two classes. Several have panels of their own.
    kind : {"average", "individual", "both"}
        Whether to show the average over the rows, the curves of single rows, or both.
    centred : bool
        Whether to draw the change from the lowest place, for the average and for each row: curves of rows on which the
        input acts alike then lie on each other.
    grid_resolution : int
        Places along each input, half as many for pairs; an input with fewer values is shown at these.
    percentiles : tuple of float
        Share of the values of an input below the lowest and below the highest place.
    draws : int
        Most draws of a posterior that are used, evenly spread.
    curves : int
        Most single rows that are drawn; up to five have bands of their own with ``kind="individual"``.
    prob : float
        Probability of the bands.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.
    **named : xarray.DataTree
        Fits with names.

    Returns
    -------
    Picture of matplotlib.axes.Axes
        One for each input, with small marks at the values of the rows; for each pair, and of a surface for each fit.
        An input with up to ten values is drawn as dots with bars, with the share of the rows at each. On a surface
        dashed lines say how far the band reaches to either side of the average.

    Raises
    ------
    SpecError
        No fits, no inputs, an input, target or kind that there is not, three inputs together, percentiles that do not
        rise from 0 to 1, or a probability that is none.

    See Also
    --------
    bayesnn.partial_dependence : The numbers.
    bayesnn.marginal_effects : One number for each input.
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
    check_arguments(kind=kind, prob=prob, centred=centred, draws=draws, curves=curves)
    check_grid(grid_resolution, percentiles)
    shown = named_fits(fits, named)
    problem = problem_of(next(iter(shown.values())))
    groups = [varied_of(problem, one) for one in listed_inputs(problem, features)]
    outputs = _outputs(problem, target)
    X = rows_of(problem, data, rows)
    found = {
        (name, group): dependence_of(
            fit, group, X, resolution=grid_resolution if len(group) == 1 else max(2, grid_resolution // 2),
            percentiles=percentiles, centred=centred, draws=int(draws), prob=prob,
        )
        for name, fit in shown.items() for group in groups
    }  # fmt: skip
    panels = [
        (k, group, names)
        for k in outputs
        for group in groups
        # Surfaces can't lie on each other.
        for names in ([list(shown)] if len(group) == 1 else [[name] for name in shown])
    ]
    across = min(COLUMNS, len(panels) // len(outputs))
    axes = _axes(panels, across, len(outputs) == 1 or bool(problem.class_names), ax, figsize)
    original = X if problem.scaling is None else problem.scaling.inverse_X(X)
    looks = _looks(shown)
    said: dict[str, list[str]] = {name: [] for name in shown}
    for place, (one, (k, group, names)) in enumerate(zip(axes, panels, strict=True)):
        label = f"change of {label_of(problem, k)}" if centred else label_of(problem, k)
        tables = {name: found[name, group].isel(output=k) for name in names}
        up, along = label, group[0].name
        if len(group) == 1:
            _one(one, tables, looks, kind, int(curves), prob)
            _marks(one, original[:, group[0].columns], group[0], _places(tables[names[0]])[0])
        elif not any(map(_few, _places(tables[names[0]]))):
            _surface(one, tables[names[0]], label, original[:, [part.columns[0] for part in group]])
            up = group[1].name
        else:
            along = _lines(one, tables[names[0]], prob)
        one.set_xlabel(along)
        one.xaxis.label.set_fontsize(9)
        shared = place and one.get_shared_y_axes().joined(one, axes[place - 1])
        if place % across == 0 or not shared:
            one.set_ylabel(up)
        if len(group) == 2 and len(shown) > 1:
            one.set_title(names[0], fontsize=10)
        of = f" for {outputs_of(problem)[k]}" if len(outputs) > 1 else ""
        for name, table in tables.items():
            said[name].append(_range(table, of))
    entries: dict[str, Any] = {}
    for one in axes:
        entries |= {v: h for h, v in zip(*one.get_legend_handles_labels(), strict=True) if v not in entries}
    if entries:
        add_legend(axes, entries.values(), entries.keys())
    used = min(table.attrs["rows"] for table in found.values())
    over = f"{len(X)} rows" if used == len(X) else f"{used} of {len(X)} rows"
    inputs = listed([" with ".join(one.name for one in group) for group in groups])
    each = [f"{name}: {', '.join(words)}" for name, words in said.items()]
    what = listed([_what(label_of(problem, k)) for k in outputs])
    change = ", centred," if centred else ""
    return Picture(axes, f"Partial dependence of {what}{change} on {inputs}, over {over}. {'; '.join(each)}.")


def _outputs(problem: Problem, target: Any) -> list[int]:
    """Which columns of the mean are drawn."""
    names = outputs_of(problem)
    if target is None:
        return [1 if problem.net.loss.task == "binary" else 0]
    several = isinstance(target, Iterable) and not isinstance(target, str)
    return [numbered(one, names, "target") for one in (list(target) if several else [target]) or [target]]


def _what(label: str) -> str:
    """Name what is drawn within a sentence."""
    return label if label.startswith("p(") else f"the {label}"


def _dims(table: "xr.Dataset") -> list[str]:
    """Names of the inputs that vary."""
    return [str(name) for name in table["average"].dims if name != "output"]


def _places(table: "xr.Dataset") -> list[np.ndarray]:
    """Places along the inputs that vary."""
    return [table[name].to_numpy() for name in _dims(table)]


def _axes(panels: Any, across: int, alike: bool, ax: Any, figsize: Any) -> np.ndarray:
    """Panels in rows, those of one target beside each other as far as there is room."""
    down = -(-len(panels) // across)
    pairs = any(len(group) == 2 for _, group, _ in panels)
    whole = len({k for k, _, _ in panels}) * across == len(panels)
    sharey: Any = False if pairs else alike or ("row" if whole and ax is None else False)
    width = {1: 4.8, 2: 4.2, 3: 3.2}.get(across, 2.5) + 0.6 * (pairs and across < 3)
    size: dict[str, Any] = {"width": width, "height": 2.9 if down == 1 else 2.5 if pairs else 2.2}
    return new_axes(down, across, ax=ax, figsize=figsize, panels=len(panels), sharey=sharey, **size)


def _looks(shown: Any) -> dict[str, dict[str, Any]]:
    """Colour, dash and marker of each fit."""
    kinds = {name: kind_of(fit) for name, fit in shown.items()}
    if len(set(kinds.values())) == len(kinds):
        return {name: line_of(kind) | mark_of(kind) for name, kind in kinds.items()}
    # Two fits of a kind are told apart by their own colours.
    return {name: _look(k) for k, name in enumerate(shown)}


def _look(k: int) -> dict[str, Any]:
    """Colour, dash and marker of the k-th of things that have none of their own."""
    return {"color": CHAINS[k % len(CHAINS)], "ls": DASHES[k % len(DASHES)], "marker": MARKERS[k % len(MARKERS)]}


def _one(ax: Any, tables: Any, looks: Any, kind: str, curves: int, prob: float) -> None:
    """Draw averages and single rows along one input."""
    for place, (name, table) in enumerate(tables.items()):
        (dim,) = _dims(table)
        grid, look = table[dim].to_numpy(), looks[name]
        few = _few(grid)
        at = _beside(grid, place, len(tables)) if few else grid
        line = {"color": look["color"], "ls": look["ls"]}
        if kind != "individual":
            _average(ax, at, table, name, look, few, prob, f"{100 * prob:.0f}% of the draws, {name}")
        if kind != "average":
            some = spread(table.sizes["row"], curves)
            bands = kind == "individual" and len(some) <= BANDS and table.attrs["draws"] > 1
            for k, row in enumerate(some):
                words = f"{counted(len(some), 'row', 'rows')}, {name}" if not k else "_row"
                ax.plot(at, table["individual"][row], lw=0.7, alpha=0.5, label=words, zorder=3, **line)
                if bands:
                    ends = table["individual_lower"][row], table["individual_upper"][row]
                    words = f"{100 * prob:.0f}% of the draws, {name}" if not k else "_band"
                    ax.fill_between(at, *ends, color=look["color"], alpha=0.12, lw=0, label=words)


def _average(ax: Any, at: np.ndarray, table: Any, name: str, look: Any, few: bool, prob: float, words: str) -> None:
    """Draw an average with its band: a line, or dots with bars."""
    ends, drawn = (table["average_lower"], table["average_upper"]), table.attrs["draws"] > 1
    if few:
        if drawn:
            ax.vlines(at, *ends, color=look["color"], lw=2.2, alpha=0.6, label=words, zorder=3.5)
        ax.plot(at, table["average"], ms=6, mec="white", zorder=4, label=name, **look | {"ls": ""})
        return
    if drawn:
        ax.fill_between(at, *ends, color=look["color"], alpha=0.25, lw=0, label=words)
    ax.plot(at, table["average"], lw=2, label=name, zorder=4, color=look["color"], ls=look["ls"])


def _few(grid: np.ndarray) -> bool:
    """Whether places are drawn as dots: there are few, or they are levels of a category."""
    return len(grid) <= FEW or grid.dtype.kind not in "fiu"


def _numbers(grid: np.ndarray) -> np.ndarray:
    """Where places stand on an axis: levels of a category side by side."""
    return grid if grid.dtype.kind in "fiu" else np.arange(float(len(grid)))


def _beside(grid: np.ndarray, place: int, of: int) -> np.ndarray:
    """Places of one fit's dots, beside those of others."""
    grid = _numbers(grid)
    gap = np.diff(grid).min() if len(grid) > 1 else 1.0
    return grid + 0.14 * gap * (place - (of - 1) / 2)


def _marks(ax: Any, values: np.ndarray, one: Input, grid: np.ndarray) -> None:
    """Show where the rows are: marks along the axis, or the share of the rows at each of few values."""
    if _few(grid):
        codes = one.codes if one.levels else grid[:, None]
        shares = [np.isclose(values, code, atol=1e-9).all(axis=1).mean() for code in codes]
        _ticks(ax, grid, [f"\n({share:.0%})" if len(grid) <= 4 else "" for share in shares])
        return
    values = values[:, 0]
    inside = np.unique(values[(values >= grid[0]) & (values <= grid[-1])])
    look = {"color": INK, "ms": 5, "alpha": 0.5, "ls": "", "transform": ax.get_xaxis_transform()}
    ax.plot(inside, np.full(len(inside), 0.02), "|", label="_rows", **look)


def _ticks(ax: Any, grid: np.ndarray, more: Sequence[str]) -> None:
    """Write few values, or the levels of a category, at their places."""
    names = [f"{v:.4g}" if grid.dtype.kind in "fiu" else str(v) for v in grid]
    ax.set_xticks(_numbers(grid), [name + words for name, words in zip(names, more, strict=True)])
    if max(map(len, names)) * len(names) > 24:
        ax.tick_params(axis="x", rotation=30)
    ax.margins(x=0.12)


def _surface(ax: Any, table: "xr.Dataset", label: str, values: np.ndarray) -> None:
    """Draw the average over two inputs, the half width of its band as dashed lines, and where the rows are."""
    across, up = (table[name].to_numpy() for name in _dims(table))
    average = table["average"].to_numpy().T
    filled = ax.contourf(across, up, average, levels=12, cmap="cividis")
    bar = ax.figure.colorbar(filled, ax=ax)
    bar.set_label(label, fontsize=9)
    bar.ax.tick_params(labelsize=8)
    half = (table["average_upper"] - table["average_lower"]).to_numpy().T / 2
    if table.attrs["draws"] > 1 and np.ptp(half) > 1e-9 * np.ptp(average):
        from matplotlib.patheffects import withStroke

        # Seen on light and on dark.
        halo = [withStroke(linewidth=2.2, foreground="white", alpha=0.8)]
        lines = ax.contour(across, up, half, levels=4, colors=INK, linestyles="--", linewidths=0.9)
        lines.set_path_effects(halo)
        for words in ax.clabel(lines, fmt=lambda v: f"±{short(v)}", fontsize=7.5):
            words.set_path_effects(halo)
    inside = (values >= [across[0], up[0]]).all(axis=1) & (values <= [across[-1], up[-1]]).all(axis=1)
    ax.plot(*values[inside].T, "o", ms=2.2, mfc="white", mec=INK, mew=0.5, alpha=0.7, ls="", label="_rows")


def _lines(ax: Any, table: "xr.Dataset", prob: float) -> str:
    """Draw the average along one input, a line for each value of another that has few; return what is along."""
    along, other = _dims(table)
    if not _few(table[other].to_numpy()):
        along, other = other, along
    grid, values = table[along].to_numpy(), table[other].to_numpy()
    few = _few(grid)
    for k, value in enumerate(values):
        name = f"{other} = {short(value) if values.dtype.kind in 'fiu' else value}"
        at = _beside(grid, k, len(values)) if few else grid
        part = table.sel({other: value})
        _average(ax, at, part, name, _look(k), few, prob, f"{100 * prob:.0f}% of the draws, {name}")
    if few:
        _ticks(ax, grid, [""] * len(grid))
    return along


def _range(table: "xr.Dataset", of: str) -> str:
    """Say in words how far an average reaches, and how well it is known."""
    average = table["average"].to_numpy()
    ends = f"{short(average.min())} to {short(average.max())}"
    if table.attrs["draws"] > 1:
        half = float((table["average_upper"] - table["average_lower"]).max()) / 2
        ends += f", known to ±{short(half)}"
    return f"{short(np.ptp(average))} over {' and '.join(_dims(table))}{of} ({ends})"
