"""Trace strips, one hidden unit a row: as sampled on the left, folded onto one mirror image on the right."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayesnn.plots.chains import chain_legend, draw_traces, draws_and_points, rhat_of
from bayesnn.plots.functions import counted
from bayesnn.plots.picture import Picture
from bayesnn.plots.style import Panels, Size, line_of, new_axes
from bayesnn.plots.weights import raw_and_aligned
from bayesnn.symmetry.paths import check_units
from bayesnn.tree import Fits, kind_of

if TYPE_CHECKING:
    import xarray as xr


MOST = 8
"""Most units that are shown unless they are named."""


def plot_strips(
    *fits: Fits,
    layer: int = 1,
    weight: Literal["in", "bias", "out"] = "in",
    number: int = 1,
    units: Sequence[int] | None = None,
    ax: Panels | None = None,
    figsize: Size | None = None,
    **named: "xr.DataTree",
) -> Picture:
    """Draw the traces of one weight of each hidden unit, raw on the left and aligned on the right.

    Parameters
    ----------
    *fits : xarray.DataTree
        From `fit_posterior`; one that `align` returned is not aligned again. MLE and MAP fits beside it are lines.
    layer : int
        Hidden layer, counted from 1.
    weight : {"in", "bias", "out"}
        Whether to show an incoming weight, the bias or an outgoing weight.
    number : int
        Which input (or output) the weight comes from (or goes to), counted from 1.
    units : sequence of int, optional
        Units to show, counted from 1; None shows the first eight.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.
    **named : xarray.DataTree
        Fits with names.

    Returns
    -------
    Picture (units, 2) of matplotlib.axes.Axes
        A colour for each chain; each title has the R-hat of its strip.

    Raises
    ------
    SpecError
        No fit with draws or several, a network without hidden units, or a layer, weight or unit that it does not have.

    See Also
    --------
    bayesnn.symmetry.align : What is done between left and right.

    Notes
    -----
    A unit of the left column is a place in the arrays; the draws in it may belong to different units of the network.
    R-hat is the rank-normalised split R-hat; it is left out for a single chain and below four draws.

    Examples
    --------
    Two chains about one mode, two about its mirror image:

    >>> import numpy as np, bayesnn as bnn
    >>> from bayesnn.tree import make_tree, prepare, to_dataset
    >>> net = bnn.MLP(hidden=(1,), bias=False, noise=0.3)
    >>> draws = np.random.default_rng(1).normal([0.76, 1.12], 0.1, (4, 100, 2))
    >>> draws[2:] *= -1
    >>> params = {"W1": draws[..., :1, None], "W2": draws[..., 1:, None]}
    >>> problem = prepare(net, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0])
    >>> post = make_tree("posterior", problem, to_dataset(params, problem, {"chain": range(4), "draw": range(100)}))
    >>> [ax.get_title(loc="left") for ax in bnn.plots.plot_strips(post)[0]]
    ['raw W1[x1, 1]: R-hat 1.74', 'aligned W1[x1, 1]: R-hat 1.01']
    """
    post, points = draws_and_points(fits, named)
    how, before, after, labels, marks = raw_and_aligned(post, layer, weight, number, points)
    shown = check_units(range(1, min(MOST, len(labels)) + 1) if units is None else units, len(labels))

    size: dict[str, Any] = {"width": 4.2, "height": 1.45}
    axes = new_axes(len(shown), 2, ax=ax, figsize=figsize, sharex=True, sharey="row", **size)
    rhats: list[list[float]] = [[], []]
    for row, u in zip(axes, shown, strict=True):
        for side, (ax, title) in enumerate(zip(row, (how, "aligned"), strict=True)):
            draws = (before, after)[side][..., u - 1]
            draw_traces(ax, f"{title} {labels[u - 1]}", draws)
            rhats[side].append(rhat_of(draws))
            for name, both in marks.items():
                # On white, for chains may have its colour.
                ax.axhline(both[side][u - 1], lw=4, color="white", zorder=4, label="_ground")
                ax.axhline(both[side][u - 1], lw=1.8, zorder=4, label=name, **line_of(kind_of(points[name])))
        row[0].set_ylabel(f"unit {u}")
    for ax in axes[-1]:
        ax.set_xlabel("draw")
    chain_legend(axes)
    chains = counted(len(before), "chain", "chains")
    words = f"Traces of one weight of each of {counted(len(shown), 'unit', 'units')} by {chains}"
    if np.isnan(rhats).all():
        return Picture(axes, f"{words}, as sampled and aligned.")
    ends = f"R-hat up to {np.nanmax(rhats[0]):.2f} as they are ({how}), up to {np.nanmax(rhats[1]):.2f} aligned"
    return Picture(axes, f"{words}: {ends}.")
