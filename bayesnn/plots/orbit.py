"""The orbit of an optimum: all weight vectors that are equivalent to it, and their one function."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayesnn.data.target import rates_of
from bayesnn.errors import SpecError
from bayesnn.plots.mirrors import mirror_lines
from bayesnn.plots.picture import Picture
from bayesnn.plots.rows import row_each
from bayesnn.plots.style import CHAINS, COLOURS, INK, Panels, Size
from bayesnn.plots.weights import check_pair, unit_weights
from bayesnn.symmetry import Orbit, orbit
from bayesnn.symmetry.group import Keep, flips
from bayesnn.tree import Fits, named_fits, problem_of

if TYPE_CHECKING:
    import xarray as xr


CURVES = 1000
"""Most members whose functions are compared."""


def plot_orbit(
    *fits: "Fits | Orbit",
    keep: Keep = "posterior",
    layer: int = 1,
    weight: Literal["in", "bias", "out"] = "in",
    number: int = 1,
    units: tuple[int, int] = (1, 2),
    ax: Panels | None = None,
    figsize: Size | None = None,
    **named: "xr.DataTree",
) -> Picture:
    """Draw all weight vectors equivalent to an optimum in the plane of two weights, and their functions beside them.

    Parameters
    ----------
    *fits : xarray.DataTree or Orbit
        An MLE or MAP fit, or what `bayesnn.symmetry.orbit` returned, such as a part of a large orbit; of several fits,
        each has a row.
    keep : {"posterior", "likelihood"}
        What the weight vectors have in common; ``"likelihood"`` adds flips that the prior sees. An Orbit brings
        its own.
    layer : int
        Hidden layer, counted from 1.
    weight : {"in", "bias", "out"}
        Whether to show incoming weights, biases or outgoing weights of two units. For a single unit, its incoming and
        its outgoing weight are shown.
    number : int
        Which input (or output) the weights come from (or go to), counted from 1.
    units : tuple of int
        The two units, counted from 1.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.
    **named : xarray.DataTree
        Fits with names.

    Returns
    -------
    Picture (2,), (1,) or (fits, 2) of matplotlib.axes.Axes
        Dots on the left, the optimum itself as a star; on the right the functions, or for several inputs the fitted
        values by row. An Orbit without data has no right panel.

    Raises
    ------
    SpecError
        A network without hidden units, a layer, weight or unit that it does not have, or more than 100,000 members.
    FitError
        A fit of many draws.

    See Also
    --------
    bayesnn.symmetry.orbit : The weight vectors themselves.

    Notes
    -----
    Members that differ only in other weights coincide in the plane; a larger dot stands for several. Up to eight are
    named by their group element, one signed number a unit, and their curves are drawn with dashes that take turns.
    The title of the right panel has the largest difference between the functions of up to 1,000 members.

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> net = bnn.MLP(hidden=(2,), bias=False, noise=1.0)
    >>> params = {"W1": np.array([[1.0, 2.0]]), "W2": np.array([[3.0], [4.0]])}
    >>> members = bnn.symmetry.orbit(params, net, X=np.array([[-1.0], [1.0]]), y=np.array([-6.0, 6.0]))
    >>> [ax.get_title() for ax in bnn.plots.plot_orbit(members)]
    ['8 equivalent weight vectors', 'one function: 8 curves differ by at most ...']
    """
    alone = len(fits) == 1 and isinstance(fits[0], Orbit) and not named
    shown: dict[str, Any] = {"orbit": fits[0]} if alone else named_fits(fits, named)
    orbits: dict[str, Orbit] = {
        name: (fit if isinstance(fit, Orbit) else orbit(fit, keep=keep)).distinct() for name, fit in shown.items()
    }

    def draw(axes, name):
        return _draw(axes, shown[name], orbits[name], layer, weight, number, units)

    columns = max(1 if members.X is None else 2 for members in orbits.values())
    return row_each({name: name for name in shown}, draw, columns, ax=ax, figsize=figsize, width=4.3, height=4.0)


def _draw(axes, fit, members, layer, weight, number, units):
    """Draw one orbit, and say what is to be seen."""
    net, p, m = members.net, np.shape(members.params["W1"])[0], np.shape(members.params[f"W{members.net.n_layers}"])[1]
    if not net.hidden:
        raise SpecError("Got a network without hidden units; its orbit is one point. Use hidden=(2,).")
    names = [f"x{i + 1}" for i in range(p)], [f"f{i + 1}" for i in range(m)]
    scaled = False
    if not isinstance(fit, Orbit):
        problem = problem_of(fit)
        names, scaled = (problem.feature_names, problem.output_names), problem.scaling is not None
    weights = replace(members, X=None, y=None).to_dataset().drop_vars("log_prior")
    params = {str(k): v.to_numpy() for k, v in weights.data_vars.items()}
    values, labels = unit_weights(params, net, names, layer, weight, number)
    if len(labels) > 1:
        units = check_pair(units, len(labels))
        plane, labels = values[:, [u - 1 for u in units]], [labels[u - 1] for u in units]
    else:
        ends = [unit_weights(params, net, names, layer, end, 1) for end in ("in", "out")]
        plane, labels = np.hstack([v for v, _ in ends]), [label[0] for _, label in ends]

    colours = CHAINS if len(plane) <= len(CHAINS) else (COLOURS["map"],)
    _points(axes[0], plane, members, colours)
    if net.hidden[layer - 1] > 1:
        signed = flips(net, members.keep)[layer - 1] and not (weight == "out" and net.phi.even)
        mirror_lines(axes[0], axes[0].get_xlim()[1], signed)
    axes[0].set(xlabel=labels[0], ylabel=labels[1])
    if members.X is not None:
        some = np.unique(np.linspace(0, len(plane) - 1, CURVES).astype(int))
        few = {k: v[some] for k, v in params.items()}
        _functions(axes[1], few, members, names, scaled, colours)
    words = f"{axes[0].get_title()} in the plane of {labels[0]} and {labels[1]}"
    if members.indices[0] == 0:
        words += f", the optimum at ({plane[0][0]:.3g}, {plane[0][1]:.3g})"
    return f"{words}; {axes[1].get_title()}." if members.X is not None else f"{words}."


def _points(ax, plane, members, colours):
    """Draw each place in the plane once, with the number of members that coincide in it."""
    _, first, place, count = np.unique(
        np.round(plane, 9) + 0.0, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    itself = place.ravel()[0] if members.indices[0] == 0 else -1
    half = 1.6 * np.abs(plane).max() or 1.0
    for k in np.argsort(first):
        at, n = plane[first[k]], count[k]
        marker, size = ("*", 13) if k == itself else ("o", 6)
        size += min(8.0, 1.2 * np.log2(n))
        colour = colours[first[k] % len(colours)]
        ax.plot(*at, marker, ms=size, color=colour, mec=INK, mew=0.7, ls="", zorder=3, label=f"_{n} members")
        text = f"×{n}" if n > 1 and len(set(count)) > 1 else ""
        if len(first) <= 8 and n == 1:
            text = repr(members[int(first[k])].element)[len("GroupElement(") : -1]
        if text:
            # Away from the nearer axis, for the neighbours are mirrored at the diagonal; but not along an axis.
            wide, gap = abs(at[0]) > abs(at[1]) > 0.05 * half and len(text) < 6, 4 + size / 2
            offset = (gap * np.sign(at[0]), 0) if wide else (0, gap * (np.sign(at[1]) or 1))
            # Beside an axis the neighbour's name is close: each is set on its own side.
            near = 1e-9 < abs(at[0]) < 0.25 * half
            ha = ("right" if at[0] < 0 else "left") if wide or near else "center"
            va = "center" if wide else "top" if at[1] < 0 else "bottom"
            look = {"ha": ha, "va": va, "fontsize": 8, "zorder": 4}
            box = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.5}
            ax.annotate(text, at, offset, textcoords="offset points", bbox=box, **look)
    title = f"{len(plane)} equivalent weight vectors"
    if count.max() > 1 and len(set(count)) == 1:
        title += f", {count[0]} in each dot"
    ax.set(xlim=(-half, half), ylim=(-half, half), aspect="equal")
    ax.set_title(title, fontsize=10)


def _functions(ax, params, members, names, scaled, colours):
    """Draw functions on top of one another, with dashes that take turns, so that all remain visible."""
    first = members.net.forward(members.params, members.X)[:, 0]
    X, x, xlabel = along(members.X, first, names[0][0], scaled)
    f = members.net.forward(params, X)
    turns = len(colours) > 1 and len(f) > 1
    for k, values in enumerate(f[..., 0]):
        style = (-6 * k, (6, 6 * (len(f) - 1))) if turns else "-"
        colour = colours[k % len(colours)]
        ax.plot(x, values, color=colour, ls=style, lw=4 if turns else 1.6, dash_capstyle="butt", label=f"_{k}")
    if members.y is not None and members.X.shape[1] == 1 and members.net.loss.task in ("regression", "count"):
        y = np.reshape(rates_of(members.y), (len(members.X), -1))[:, 0]
        ax.plot(members.X[:, 0], y, "o", color=INK, ms=3, alpha=0.6, zorder=4, label="_data")
    gap = np.abs(f - f[0]).max()
    label = "network output f" if f.shape[-1] == 1 else f"network output f[{names[1][0]}]"
    ax.set(xlabel=xlabel, ylabel=f"{label} (scaled)" if scaled and members.net.loss.task == "regression" else label)
    ax.set_title(f"one function: {len(f)} curves differ by at most {gap:.0g}", fontsize=10)


def along(X: np.ndarray, f: np.ndarray, name: str, scaled: bool) -> tuple[np.ndarray, np.ndarray, str]:
    """Choose where to draw a function, given its values at X: inputs, their places on the axis, and its label."""
    if X.shape[1] == 1:
        grid = np.linspace(X.min(), X.max(), 201)
        return grid[:, None], grid, f"{name} (scaled)" if scaled else name
    return X[np.argsort(f)], np.arange(1, len(X) + 1), "training row, by fitted value"
