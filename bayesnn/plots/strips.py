"""Trace strips, one hidden unit a row: as sampled on the left, folded onto one mirror image on the right."""

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.plots.style import CHAINS, new_axes
from bayesnn.symmetry import align
from bayesnn.tree import kind_of, params_of, problem_of

MOST = 8
"""Most units that are shown unless they are named."""


def plot_strips(post, *, layer=1, weight="in", number=1, units=None):
    """Draw the traces of one weight of each hidden unit, raw on the left and aligned on the right.

    Parameters
    ----------
    post : xarray.DataTree
        From `fit_posterior`; one that `align` returned is not aligned again.
    layer : int
        Hidden layer, counted from 1.
    weight : {"in", "bias", "out"}
        Whether to show an incoming weight, the bias or an outgoing weight.
    number : int
        Which input (or output) the weight comes from (or goes to), counted from 1.
    units : sequence of int, optional
        Units to show, counted from 1; None shows the first eight.

    Returns
    -------
    array (units, 2) of matplotlib.axes.Axes
        A colour for each chain; each title has the R-hat of its strip.

    Raises
    ------
    SpecError
        A fit without draws, a network without hidden units, or a layer, weight or unit that it does not have.

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
    how, before, after = raw_and_aligned(post)
    problem = problem_of(post)
    names = problem.feature_names, problem.output_names
    before, labels = unit_weights(before, problem.net, names, layer, weight, number)
    after, _ = unit_weights(after, problem.net, names, layer, weight, number)
    shown = check_units(range(1, min(MOST, len(labels)) + 1) if units is None else units, len(labels))

    axes = new_axes(len(shown), 2, width=4.2, height=1.45, sharex=True, sharey="row")
    for row, u in zip(axes, shown, strict=True):
        for ax, title, draws in zip(row, (how, "aligned"), (before[..., u - 1], after[..., u - 1]), strict=True):
            for chain, values in enumerate(draws):
                ax.plot(values, color=CHAINS[chain % len(CHAINS)], lw=0.5, alpha=0.85, label=f"chain {chain}")
            ax.set_title(titled(f"{title} {labels[u - 1]}", draws), loc="left", fontsize=10)
        row[0].set_ylabel(f"unit {u}")
    for ax in axes[-1]:
        ax.set_xlabel("draw")
    chain_legend(axes)
    return axes


def chain_legend(axes):
    """Put one legend of the chains below a whole figure."""
    handles, labels = axes.flat[0].get_legend_handles_labels()
    legend = axes.flat[0].figure.legend(
        handles, labels, loc="outside lower center", ncols=min(8, len(labels)), fontsize=8, frameon=False
    )
    for handle in legend.legend_handles:
        handle.set(alpha=1, linewidth=2, markersize=6)


def titled(name, draws):
    """Write a quantity's name with the R-hat of its draws (chain, draw), or that it is constant."""
    import arviz as az

    if np.ptp(draws) == 0:
        return f"{name}: constant"
    if draws.shape[0] < 2 or draws.shape[1] < 4:
        return name
    with np.errstate(divide="ignore", invalid="ignore"):  # a chain that never moves
        return f"{name}: R-hat {float(az.rhat(draws)):.2f}"


def check_draws(post):
    """Refuse a point."""
    if kind_of(post) != "posterior":
        raise SpecError(f"Got a {kind_of(post)} fit; this picture needs draws. Pass the tree of fit_posterior.")


def raw_and_aligned(post):
    """Name of the form in which the draws are, the draws, and the aligned draws."""
    check_draws(post)
    if not problem_of(post).net.hidden:
        raise SpecError("Got a network without hidden units; it has no mirror images. Use hidden=(2,) or plot_traces.")
    how = post.attrs.get("bayesnn_symmetry", "raw")
    if how == "aligned":
        return "raw", params_of(post, group="posterior_raw"), params_of(post)
    return how, params_of(post), params_of(align(post))


def unit_weights(params, net, names, layer, weight, number):
    """One weight of each unit of a layer, with the units last, and its names."""
    if not 1 <= layer <= len(net.hidden):
        raise SpecError(f"Got layer={layer!r}; the network has hidden layers 1 to {len(net.hidden)}. Choose one.")
    if weight not in ("in", "bias", "out"):
        raise SpecError(f"Got weight={weight!r}; it must be 'in', 'bias' or 'out': what enters a unit, or leaves it.")
    units = range(1, net.hidden[layer - 1] + 1)
    if weight == "bias":
        if f"b{layer}" not in params:
            raise SpecError(f"Got weight='bias'; the units of layer {layer} have none. Use 'in' or 'out'.")
        return params[f"b{layer}"], [f"b{layer}[{u}]" for u in units]
    if weight == "in":
        name, ends = f"W{layer}", names[0] if layer == 1 else range(1, net.hidden[layer - 2] + 1)
    else:
        name, ends = f"W{layer + 1}", names[1] if layer == len(net.hidden) else range(1, net.hidden[layer] + 1)
    if not 1 <= number <= len(ends):
        raise SpecError(f"Got number={number!r}; each unit has {len(ends)} such weights, counted from 1. Choose one.")
    end = ends[number - 1]
    if weight == "in":
        return params[name][..., number - 1, :], [f"{name}[{end}, {u}]" for u in units]
    return params[name][..., number - 1], [f"{name}[{u}, {end}]" for u in units]


def check_units(units, n):
    """Units as a list, if there are such units."""
    units = list(units)
    if not units or not set(units) <= set(range(1, n + 1)):
        raise SpecError(f"Got units={units}; the layer has units 1 to {n}. Choose among them.")
    return units
