"""Traces of some weights above traces of the function: what the chains disagree about, and what not."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.arguments import MOST
from bayesnn.errors import SpecError
from bayesnn.plots.chains import chain_legend, chain_look, check_draws, draw_traces, titled
from bayesnn.plots.functions import counted, original_y
from bayesnn.plots.picture import Picture, listed
from bayesnn.plots.style import DASHES, INK, Panels, Size, line_of, new_axes
from bayesnn.symmetry import align
from bayesnn.tree import Fits, Inputs, kind_of, named_fits, new_inputs, params_of, problem_of

if TYPE_CHECKING:
    import xarray as xr


def plot_traces(
    *fits: Fits,
    weights: int = 3,
    inputs: int = 2,
    at: Inputs | None = None,
    ax: Panels | None = None,
    figsize: Size | None = None,
    **named: "xr.DataTree",
) -> Picture:
    """Draw the traces and densities of a few weights, of the noise, and of the function at a few inputs.

    Parameters
    ----------
    *fits : xarray.DataTree
        From `fit_posterior`; several of one network and data stand side by side, as chains of NUTS that keep to the
        mode of the function in which they began, and those of tempering that go from mode to mode. MLE and MAP fits
        beside them are lines; where the draws were aligned, in the same mirror image.
    weights : int
        How many weights to show: one for each of the first hidden units, otherwise the first inputs'.
    inputs : int
        At how many training inputs to show the function; they are spread over the first feature.
    at : array (n, p), DataFrame or Dataset, optional
        Inputs at which to show the function instead, in the user's units.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.
    **named : xarray.DataTree
        Fits with names of their own: ``plot_traces(nuts=post, tempering=tempered)``.

    Returns
    -------
    Picture (rows, fits + 1) of matplotlib.axes.Axes
        Traces on the left, a column for each fit and a colour for each chain, and densities on the right, of each
        chain, or of each fit where there are several; each row's title has its R-hat, or says that the quantity is
        constant. Numbers that the network outputs, and the noise, are in the user's units; what is not says "scaled".

    Raises
    ------
    SpecError
        No fit with draws, or fits that don't have the same quantities.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> net = bnn.MLP(hidden=(), noise=0.3)
    >>> post = bnn.fit_posterior(net, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0], random_seed=1, progressbar=False)
    >>> bnn.plot_traces(post, weights=1, inputs=1).shape
    (2, 2)
    """
    for name, value in (("weights", weights), ("inputs", inputs)):
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or not 0 <= value < MOST:
            raise SpecError(
                f"Got {name}={value!r}; it must be a whole number from 0 on. Write {name}=2, or leave it out."
            )
    given = named_fits(fits, named)
    shown = {name: fit for name, fit in given.items() if kind_of(fit) == "posterior"}
    if not shown:
        check_draws(next(iter(given.values())))
    columns = {name: _quantities(fit, weights, inputs, at) for name, fit in shown.items()}
    points = {
        name: _quantities(_beside(fit, shown), weights, inputs, at) for name, fit in given.items() if name not in shown
    }
    first, *others = columns.values()
    if any(list(rows) != list(first) for rows in [*others, *points.values()]):
        raise SpecError(
            f"Got fits with different quantities, {', '.join(first)} and others; traces side by side need fits of one "
            "network and data. Draw the others in a picture of their own."
        )
    several = len(columns) > 1
    width = 3.6 if not several else 3.3
    ratios = [*([1.6] * len(columns) if several else [2.6]), 1]
    size: dict[str, Any] = {"width": width, "height": 1.75 if several else 1.5, "width_ratios": ratios}
    axes = new_axes(len(first), len(columns) + 1, ax=ax, figsize=figsize, **size)
    for row, quantity in zip(axes, first, strict=True):
        values = {name: rows[quantity] for name, rows in columns.items()}
        grid = np.linspace(min(v.min() for v in values.values()), max(v.max() for v in values.values()), 200)
        for left, (name, draws) in zip(row, values.items(), strict=False):
            draw_traces(left, quantity, draws)
            if several:
                left.set_title(f"{name}\n{left.get_title(loc='left')}", loc="left", fontsize=10)
                left.sharey(row[0])
        if not several:
            looks = [(chain, chain_look(k)["color"], "-", None) for k, chain in enumerate(first[quantity])]
        else:
            looks = [(v.ravel(), INK, DASHES[k % len(DASHES)], name) for k, (name, v) in enumerate(values.items())]
        _densities(row[-1], grid, looks)
        for name, rows in points.items():
            look = {"lw": 1.8, "label": name, "zorder": 4} | line_of(kind_of(given[name]))
            for left in row[:-1]:
                # On white, for chains may have its colour.
                left.axhline(rows[quantity].item(), lw=4, color="white", zorder=4, label="_ground")
                left.axhline(rows[quantity].item(), **look)
            row[-1].axvline(rows[quantity].item(), **look | {"label": f"_{name}"})
    for ax in axes[-1, :-1]:
        ax.set_xlabel("draw")
    axes[-1, -1].set_xlabel("value")
    if several:
        axes[0, -1].legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    chain_legend(axes[:, [np.argmax([rows[next(iter(rows))].shape[0] for rows in columns.values()])]])
    return Picture(axes, _words(columns, points))


def _words(columns, points):
    """Say how far the chains agree about each quantity, and where the points are."""
    said = []
    for name, rows in columns.items():
        each = [titled(quantity, draws).replace(": ", " (") + ")" * (": " in titled(quantity, draws))
                for quantity, draws in rows.items()]  # fmt: skip
        chains = counted(len(next(iter(rows.values()))), "chain", "chains")
        said.append(f"{f'{name}: t' if len(columns) > 1 else 'T'}races and densities of {chains}: {listed(each)}.")
    for name, rows in points.items():
        said.append(f"{name}: {listed([f'{quantity} = {value.item():.3g}' for quantity, value in rows.items()])}.")
    return " ".join(said)


def _beside(fit, shown):
    """Bring a point into the mirror image of the draws that it is shown with, where these were aligned."""
    post = next(iter(shown.values()))
    return align(fit, reference=post) if post.attrs.get("bayesnn_symmetry") == "aligned" else fit


def _densities(ax, grid, looks):
    """Draw the density of each sample that moves, or say that none does."""
    from scipy.stats import gaussian_kde

    for values, colour, dashes, name in looks:
        if np.ptp(values) > 0:
            ax.plot(grid, gaussian_kde(values)(grid), color=colour, ls=dashes, lw=1.2, label=name)
    if grid[0] == grid[-1]:
        ax.annotate(f"constant: {grid[0]:.4g}", (0.5, 0.5), xycoords="axes fraction", ha="center", fontsize=9)
        ax.set_xticks([])
    ax.set_yticks([])


def _quantities(post, weights, inputs, at):
    """Name what is drawn, with its draws (chain, draw)."""
    problem, params = problem_of(post), params_of(post)
    first = params["W1"]
    along = first[:, :, 0, :] if problem.net.hidden else first[..., 0]
    end = "unit" if problem.net.hidden else "input"
    scaling = problem.scaling
    scaled = " (scaled)" if scaling is not None else ""
    rows = {f"W1, {end} {k + 1}{scaled}": along[..., k] for k in range(min(weights, along.shape[-1]))}
    if "noise" in params:
        # One noise scale for several targets has the units of none.
        one = scaling is None or scaling.y_sd is None or len(set(scaling.y_sd)) == 1
        rows["noise" if one else "noise (scaled)"] = params["noise"] * (
            scaling.y_sd[0] if one and scaling is not None and scaling.y_sd is not None else 1.0
        )
    if at is None:
        order = np.argsort(problem.X[:, 0]) if problem.X.shape[1] else np.arange(len(problem.X))
        chosen = order[np.linspace(0, len(order) - 1, inputs + 2).astype(int)[1:-1]]
        X, where = problem.X[chosen], [f"training row {i + 1}" for i in chosen]
    else:
        X = new_inputs(problem, at)
        where = [f"input {i + 1}" for i in range(len(X))]
    f = problem.net.forward(params, X)
    if problem.net.loss.task == "regression":
        f = original_y(problem, f[..., : len(problem.target_names)])
    if problem.X.shape[1] == 1:
        shown = X if scaling is None else scaling.inverse_X(X)
        where = [f"{problem.feature_names[0]} = {x:.3g}" for x in shown[:, 0]]
    return rows | {f"f at {place}": f[:, :, k, 0] for k, place in enumerate(where)}
