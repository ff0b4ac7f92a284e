"""Betancourt's picture of label switching: one unit's weight against another's, with the lines that mirror them."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayesnn.plots.chains import chain_legend, chain_look, draws_and_points
from bayesnn.plots.functions import counted
from bayesnn.plots.picture import Picture
from bayesnn.plots.style import GREY, MARKERS, Panels, Size, add_headline, mark_of, new_axes
from bayesnn.plots.weights import check_pair, raw_and_aligned
from bayesnn.symmetry.group import flips
from bayesnn.tree import Fits, kind_of, problem_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


MOST = 500
"""Most draws of a chain that are shown."""


def plot_mirrors(
    *fits: Fits,
    layer: int = 1,
    weight: Literal["in", "bias", "out"] = "in",
    number: int = 1,
    units: tuple[int, int] = (1, 2),
    ax: Panels | None = None,
    figsize: Size | None = None,
    **named: "xr.DataTree",
) -> Picture:
    r"""Draw a weight of one hidden unit against the same weight of another, raw and aligned, with the mirror lines.

    Parameters
    ----------
    *fits : xarray.DataTree
        From `fit_posterior`; one that `align` returned is not aligned again. MLE and MAP fits beside it are marked.
    layer : int
        Hidden layer, counted from 1.
    weight : {"in", "bias", "out"}
        Whether to show an incoming weight, the bias or an outgoing weight.
    number : int
        Which input (or output) the weight comes from (or goes to), counted from 1.
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
    Picture (2,) of matplotlib.axes.Axes
        As sampled on the left, aligned on the right; up to 500 draws of each chain, a colour and a marker for each.

    Raises
    ------
    SpecError
        No fit with draws or several, a layer of fewer than two units, or a layer, weight or unit that it does not have.

    Notes
    -----
    Exchanging the units mirrors the posterior at :math:`w_1 = w_2`. Where signs may flip, it is also mirrored at the
    axes :math:`w_1 = 0` and :math:`w_2 = 0` and at :math:`w_1 = -w_2`: eight wedges with the same content.
    Aligned draws may cross a line where other weights tell the units apart; the picture says how many do.

    References
    ----------
    .. [1] M. Betancourt, "Identifying Bayesian Mixture Models" (2017),
       https://betanalpha.github.io/assets/case_studies/identifying_mixture_models.html.

    Examples
    --------
    Two chains about one mode, two about the mode with the units exchanged:

    >>> import numpy as np, bayesnn as bnn
    >>> from bayesnn.tree import make_tree, prepare, to_dataset
    >>> net = bnn.MLP(hidden=(2,), bias=False, noise=0.3)
    >>> draws = np.random.default_rng(1).normal([[0.8, 2.0], [1.2, -0.5]], 0.1, (4, 100, 2, 2))
    >>> draws[2:] = draws[2:, ..., ::-1]
    >>> params = {"W1": draws[..., :1, :], "W2": draws[..., 1, :, None]}
    >>> problem = prepare(net, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0])
    >>> post = make_tree("posterior", problem, to_dataset(params, problem, {"chain": range(4), "draw": range(100)}))
    >>> [ax.get_title() for ax in bnn.plots.plot_mirrors(post)]
    ['raw', 'aligned']
    """
    post, points = draws_and_points(fits, named)
    how, *drawn, labels, marks = raw_and_aligned(post, layer, weight, number, points)
    units = check_pair(units, len(labels))
    pairs = [values[..., [u - 1 for u in units]] for values in drawn]
    net = problem_of(post).net
    # A flip leaves the outgoing weights of even units where they are.
    signed = flips(net)[layer - 1] and not (weight == "out" and net.phi.even)
    marks = {name: [values[[u - 1 for u in units]] for values in both] for name, both in marks.items()}
    half = 1.08 * max(np.abs(pair).max() for pair in [*pairs, *(at for both in marks.values() for at in both)])

    axes = new_axes(1, 2, ax=ax, figsize=figsize, width=4.2, height=4.4, sharex=True, sharey=True)[0]
    for side, (ax, title, pair) in enumerate(zip(axes, (how, "aligned"), pairs, strict=True)):
        mirror_lines(ax, half, signed)
        step = -(-pair.shape[1] // MOST)
        for chain, values in enumerate(pair[:, ::step]):
            ax.plot(*values.T, MARKERS[chain % len(MARKERS)], ms=3, mew=0, alpha=0.6, ls="", **chain_look(chain))
        for name, both in marks.items():
            look = {"ms": 9, "mec": "white", "mew": 1.2, "ls": "", "zorder": 5} | mark_of(kind_of(points[name]))
            ax.plot(*both[side], label=name, **look)
        ax.set(xlim=(-half, half), ylim=(-half, half), aspect="equal", xlabel=labels[units[0] - 1])
        ax.set_title(title, fontsize=10)
    axes[0].set_ylabel(labels[units[1] - 1])
    share, line = _crossed(pairs[1], signed)
    if share:
        words = (
            f"{f'{share:.0%}' if share >= 0.01 else 'Less than 1%'} of the aligned draws are across {line} from the "
            "others. They are in the same mirror image all\nthe same: alignment tells the units apart by all their "
            "weights together, not by these two alone."
        )
        add_headline(axes, words, fontsize=8.5)
    chain_legend(axes)
    apart = [np.ptp(pair.mean(axis=1), axis=0).max() for pair in pairs]
    said = [f"{name} at ({both[1][0]:.3g}, {both[1][1]:.3g})" for name, both in marks.items()]
    what = f"{labels[units[1] - 1]} against {labels[units[0] - 1]} for {counted(len(pairs[0]), 'chain', 'chains')}"
    return Picture(
        axes,
        f"{what}, with the lines that mirror them: as they are ({how}) the means of the chains lie up to "
        f"{apart[0]:.2g} apart, aligned up to {apart[1]:.2g}{''.join(f'; {words}' for words in said)}.",
    )


def _crossed(pair, signed):
    """Share of the draws on the rarer side of the line that most draws cross, and the line."""
    a, b = pair[..., 0], pair[..., 1]
    sides = {"$w_1 = w_2$": a > b}
    if signed:
        sides |= {"$w_1 = -w_2$": a > -b, "$w_1 = 0$": a > 0, "$w_2 = 0$": b > 0}
    return max((min(side.mean(), 1 - side.mean()), line) for line, side in sides.items())


def mirror_lines(ax: "Axes", half: float, signed: bool) -> None:
    """Draw the lines at which exchanging two units, and flipping them, mirrors the plane of their weights."""
    ends = np.array([-half, half])
    look: dict[str, Any] = {"color": GREY, "lw": 0.9, "zorder": 1}
    lines = [(ends, ends, "$w_1 = w_2$", "-")]
    if signed:
        zero = np.zeros(2)
        lines += [(ends, -ends, "$w_1 = -w_2$", "--"), (zero, ends, "$w_1 = 0$", ":"), (ends, zero, "$w_2 = 0$", ":")]
    for x, y, name, style in lines:
        # An underscore keeps a line out of the legend of the chains; the name beside it is enough.
        ax.plot(x, y, ls=style, label=f"_{name}", **look)
    at = 0.97 * half
    box = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.8}
    text: dict[str, Any] = {"fontsize": 8, "color": GREY, "ha": "right", "bbox": box, "zorder": 2.5}
    ax.text(at - 0.07 * half, at, "$w_1 = w_2$", va="top", **text)
    if signed:
        ax.text(at - 0.07 * half, -at, "$w_1 = -w_2$", va="bottom", **text)
        ax.text(-0.02 * half, at, "$w_1 = 0$", va="top", **text)
        ax.text(at, 0.02 * half, "$w_2 = 0$", va="bottom", **text)
