"""What lies between mirror modes: the log density along straight paths, and over a plane through three of them."""

from typing import TYPE_CHECKING

import numpy as np

from bayesnn.plots.functions import legend_below, short
from bayesnn.plots.picture import Picture, listed
from bayesnn.plots.rows import row_each
from bayesnn.plots.style import CHAINS, INK, MARKERS, Panels, Size, add_headline, add_legend
from bayesnn.symmetry.paths import mirror_paths
from bayesnn.tree import Fits, heading, named_fits

if TYPE_CHECKING:
    import xarray as xr


LEVELS = (0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000, 30000, 100000)
"""How far below the modes the contours lie; what is lower has the colour of the last."""
GRID = 101
"""Points along each side of the plane."""
DASHES = ("-", "--", "-.")


def plot_barrier(
    *fits: Fits,
    layer: int = 1,
    units: tuple[int, int] = (1, 2),
    ax: Panels | None = None,
    figsize: Size | None = None,
    **named: "xr.DataTree",
) -> Picture:
    r"""Draw the log density along straight paths between mirror modes, and over the plane through three of them.

    Parameters
    ----------
    *fits : xarray.DataTree
        An MLE fit, for the log-likelihood, or a MAP fit, for the log-likelihood and log-prior; of several, each has a
        row.
    layer : int
        Hidden layer, counted from 1.
    units : tuple of int
        The unit that is flipped and the one that it is exchanged with, counted from 1. Where signs may not flip, the
        second is exchanged with a third one, if there is one.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.
    **named : xarray.DataTree
        Fits with names.

    Returns
    -------
    Picture (2,), (1,) or (fits, 2) of matplotlib.axes.Axes
        Paths on the left, the plane on the right; its edges are the paths. With only one mirror image of the optimum
        in the layer (a single unit, or two that may not flip) there is no plane.

    Raises
    ------
    SpecError
        An end point that is no optimum: one that has not converged, or a fit whose maximum lies at infinity. No mirror
        image in this layer, units that are zero or equal, or a layer or unit that the network does not have.
    FitError
        A fit of many draws.

    Notes
    -----
    The path from the optimum :math:`\theta` to its image is :math:`(1 - t)\,\theta + t\,g\theta`. Halfway to a flipped
    unit, the unit is zero; halfway to two exchanged units, both are their mean. For the group elements :math:`g` and
    :math:`h` the plane holds :math:`\theta, g\theta, h\theta`, and the path from :math:`g\theta` to :math:`h\theta`
    has the profile of the one from :math:`\theta` to :math:`g^{-1}h\,\theta`. Beside the plane other ways are open:
    a path may be a barrier for a sampler only if there is no lower one around it.

    Where a path falls by more than 10, the vertical axis is logarithmic in the distance below the optimum, as the
    colours of the plane are: a barrier of 10 and one of 1000 can be read beside each other.

    References
    ----------
    .. [1] J. Brea, B. Simsek, B. Illing and W. Gerstner, "Weight-space symmetry in deep networks gives rise to
       permutation saddles, connected by equal-loss valleys across the loss landscape", arXiv:1907.02911 (2019).

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> from bayesnn.tree import make_tree, prepare, to_dataset
    >>> net = bnn.MLP(hidden=(1,), bias=False, noise=0.3)
    >>> problem = prepare(net, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0])
    >>> params = {"W1": np.full((1, 1, 1, 1), 0.7594), "W2": np.full((1, 1, 1, 1), 1.1199)}
    >>> map_ = make_tree("map", problem, to_dataset(params, problem, {"chain": [0], "draw": [0]}))
    >>> ax = bnn.plots.plot_barrier(map_)[0]
    >>> ax.get_title(), ax.figure.legends[0].get_texts()[0].get_text()
    ('paths between mirror modes', 'flip unit 1: falls by 18')
    """
    shown = named_fits(fits, named)
    paths = {name: mirror_paths(fit, layer=layer, units=units) for name, fit in shown.items()}
    columns = max(min(2, len(one.names)) for one in paths.values())

    def draw(axes, name):
        return _draw(axes, shown[name], paths[name], alone=len(shown) == 1)

    names = {name: name for name in shown}
    return row_each(names, draw, columns, ax=ax, figsize=figsize, width=4.5, height=3.9)


def _draw(axes, fit, paths, *, alone):
    """Draw one fit, and say what is to be seen."""
    t, top = np.linspace(0.0, 1.0, 201), float(paths.log_density(paths.params))
    left, *rest = axes
    deepest, falls = 0.0, []
    for k, words in enumerate(paths.names):
        values = paths.along(k, t)
        fall = values[0] - values.min()
        far = f"{fall:,.0f}" if fall >= 100 else f"{fall:.2g}"
        label = f"{words}: falls by {far}"
        falls.append(f"{far} ({words})")
        left.plot(t, values, color=CHAINS[k], ls=DASHES[k], lw=2, label=label)
        deepest = max(deepest, top - values.min())
    left.plot([0, 1], [top, top], MARKERS[0], color=INK, ms=6, ls="", zorder=5, label="_modes")
    left.set_xlabel("way from the optimum to its image, t")
    left.set_title("paths between mirror modes", fontsize=10)
    left.margins(y=0.08)
    _depth_axis(left, top, deepest, "log-likelihood + log-prior" if paths.prior else "log-likelihood")
    if alone:
        add_legend(axes, *left.get_legend_handles_labels(), ncols=3, handlelength=3)
    else:
        legend_below(left)
    if fit.attrs.get("bayesnn_exists", 1) == -1:
        add_headline(left, f"{heading(fit)}: an end point that may be no optimum", fontsize=10)
    plane = ""
    if rest and len(paths.names) > 1:
        _plane(rest[0], paths)
        plane = ", and over the plane through three of them"
    elif rest:
        rest[0].set_axis_off()
    what = "log-likelihood + log-prior" if paths.prior else "log-likelihood"
    return (
        f"The {what} along straight paths between mirror modes{plane}. From {short(top)} at the optimum it falls by "
        f"{listed(falls)}."
    )


def _depth_axis(ax, top, deepest, name):
    """Label heights by how far they lie below the optimum, on the levels of the plane where they fall far."""
    from matplotlib.ticker import MaxNLocator

    ax.set_ylabel(f"{name},\nbelow the optimum")
    if deepest > LEVELS[3]:
        ax.set_yscale(
            "function", functions=(lambda v: -np.log1p(np.maximum(top - v, -0.9)), lambda v: top - np.expm1(-v))
        )
        levels = [level for level in LEVELS if level <= 1.5 * deepest]
        ax.set_yticks([top - level for level in levels], [f"{-level:,}" if level else "0" for level in levels])
        ax.set_ylim(top - 1.4 * deepest, top + 0.5)
    else:
        below = MaxNLocator(5).tick_values(0.0, max(deepest, 1e-3))[:-1]
        ax.set_yticks([top - level for level in below], [f"{-level:.3g}" if level else "0" for level in below])
    ax.minorticks_off()


def _plane(ax, paths):
    """Draw contours over the plane through the optimum and its first two images, and the paths between the three."""
    from matplotlib.colors import BoundaryNorm

    params, ends = paths.params, paths.images[:2]
    a, b = (np.concatenate([np.ravel(end[k] - params[k]) for k in params]) for end in ends)
    # Coordinates with right angles and lengths as in weight space: the triangle keeps its shape.
    corner = np.array([[np.linalg.norm(a), 0.0], [a @ b / np.linalg.norm(a), 0.0]])
    corner[1, 1] = np.sqrt(b @ b - corner[1, 0] ** 2)
    places = np.vstack([np.zeros(2), corner])
    centre, half = (places.min(axis=0) + places.max(axis=0)) / 2, 0.8 * np.ptp(places, axis=0).max()
    u, v = (c + np.linspace(-half, half, GRID) for c in centre)
    t = np.stack(np.meshgrid(u, v), axis=-1) @ np.linalg.inv(corner)
    top = float(paths.log_density(params))
    below = np.maximum(0.0, top - np.array([paths.log_density(paths.at(row, ends)) for row in t]))
    below = np.minimum(below, LEVELS[-1])
    levels = LEVELS[: max(3, np.searchsorted(LEVELS, below.max()) + 1)]
    drawn = ax.contourf(u, v, below, levels=levels, norm=BoundaryNorm(levels, 256), cmap="viridis_r")
    ax.contour(u, v, below, levels=levels[1:], colors="white", linewidths=0.4)
    ax.figure.colorbar(drawn, ax=ax, label="log density below the modes", shrink=0.85, ticks=levels)
    for k, (i, j) in enumerate([(0, 1), (0, 2), (1, 2)]):
        ax.plot(*places[[i, j]].T, color="white", lw=3.2, zorder=2)
        ax.plot(*places[[i, j]].T, color=CHAINS[k], ls=DASHES[k], lw=2, zorder=2)
    ax.plot(*places.T, MARKERS[0], color=INK, mec="white", mew=1.2, ms=8, ls="", zorder=3, label="_modes")
    names = ["optimum", *paths.names[:2]]
    # Two lie on the lower edge of the triangle: their names are one below the other where they would meet.
    close = corner[0, 0] < 0.9 * half
    offsets = ((0, -8), (0, -22 if close else -8), (0, 8))
    for place, name, offset in zip(places, names, offsets, strict=True):
        look = {"ha": "center", "va": "bottom" if offset[1] > 0 else "top", "fontsize": 8, "zorder": 4}
        box = {"fc": "white", "ec": "none", "alpha": 0.85, "pad": 1.5}
        ax.annotate(name, place, offset, textcoords="offset points", bbox=box, **look)
    ax.xaxis.get_major_locator().set_params(nbins=5)
    ax.set(aspect="equal", xlabel="distance in weight space", ylabel="distance in weight space")
    ax.set_title("plane through three mirror modes", fontsize=10)
