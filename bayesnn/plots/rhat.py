"""The three R-hats: of the weights as sampled, of the aligned weights, and of the function."""

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.diagnostics.diagnose import diagnose
from bayesnn.diagnostics.diagnosis import RHAT_MAX
from bayesnn.errors import SpecError
from bayesnn.plots.chains import comparable
from bayesnn.plots.picture import Picture, listed
from bayesnn.plots.rows import row_each
from bayesnn.plots.style import CHAINS, INK, Panels, Size
from bayesnn.tree import Fits, named_fits

if TYPE_CHECKING:
    import xarray as xr


SPACES = {"raw": "raw weights", "aligned": "aligned weights", "function": "function"}
BESIDE = ("log-prior", "log-likelihood", "noise")
"""Quantities that go with weights or function and are neither; they are shown hollow and not counted."""
FLOOR, CEILING = 1e-4, 100.0
"""Least and largest excess of R-hat over 1 that the logarithmic axis shows; the rest is drawn at its ends."""


def plot_rhat(*fits: Fits, ax: Panels | None = None, figsize: Size | None = None, **named: "xr.DataTree") -> Picture:
    """Draw R-hat of every weight as sampled, of every aligned weight and of the function, each sorted.

    Parameters
    ----------
    *fits : xarray.DataTree
        From `fit_posterior`, or aligned by `align`; of several, each has a row.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.
    **named : xarray.DataTree
        Fits with names.

    Returns
    -------
    Picture (3,) or (fits, 3) of matplotlib.axes.Axes
        Raw weights, aligned weights, function; the axis is logarithmic in R-hat - 1, the line is at 1.01.

    Raises
    ------
    SpecError
        A fit without draws, a single chain, or fewer than four draws.

    See Also
    --------
    bayesnn.diagnostics.diagnose : The same numbers, and what they mean, in words.

    Notes
    -----
    Raw bad, aligned and function good: symmetry, harmless. Aligned bad, function good: other equivalent weights.
    Function bad: different modes of the function, or chains that have not mixed; do not trust the predictions.
    With the aligned weights goes the log-prior, with the function the log-likelihood and the noise: hollow marks, which
    the titles don't count. Values of R-hat below 1.0001 are drawn there.

    Examples
    --------
    Two chains about one mode, two about its mirror image:

    >>> import numpy as np, bayesnn as bnn
    >>> from bayesnn.tree import make_tree, prepare, to_dataset
    >>> net = bnn.MLP(hidden=(1,), bias=False, noise=0.3)
    >>> draws = np.random.default_rng(1).normal([0.76, 1.12], 0.1, (4, 500, 2))
    >>> draws[2:] *= -1
    >>> params = {"W1": draws[..., :1, None], "W2": draws[..., 1:, None]}
    >>> problem = prepare(net, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0])
    >>> post = make_tree("posterior", problem, to_dataset(params, problem, {"chain": range(4), "draw": range(500)}))
    >>> [ax.get_title() for ax in bnn.plots.plot_rhat(post)]
    ['raw weights: 2 of 2 above 1.01', 'aligned weights: 0 of 2 above 1.01', 'function: 0 of 50 above 1.01']
    """
    return row_each(named_fits(fits, named), _draw, 3, ax=ax, figsize=figsize, width=3.1, height=3.2, sharey="row")


def _draw(axes, post):
    """Draw one fit, and say what is to be seen."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    found = diagnose(post)
    if not comparable(found.chains, found.draws):
        raise SpecError(
            f"Got {found.chains} chains of {found.draws} draws; R-hat compares chains and needs two of at least four "
            "draws. Call fit_posterior(..., chains=4)."
        )
    table = found.quantities
    top, ends = 1.2, []
    for ax, space in zip(axes, SPACES, strict=True):
        rows = table[table["space"] == space].dropna(subset="rhat").sort_values("rhat", ascending=False)
        rhat = rows["rhat"].to_numpy()
        beside = rows["quantity"].str.startswith(BESIDE).to_numpy(dtype=bool)
        excess, rank, bad = np.clip(rhat - 1, FLOOR, CEILING), np.arange(1, len(rhat) + 1), rhat > RHAT_MAX
        for some, marker, colour, size, words in (
            (~bad, "o", CHAINS[0], 5, f"at most {RHAT_MAX}"),
            (bad, "X", CHAINS[5], 7, f"above {RHAT_MAX}"),
        ):
            look = {"ls": "", "ms": size, "mec": INK if marker == "X" else colour, "mew": 0.4}
            ax.plot(rank[some & ~beside], excess[some & ~beside], marker, mfc=colour, label=words, **look)
            look |= {"mfc": "white", "mec": colour, "mew": 1.2}
            ax.plot(rank[some & beside], excess[some & beside], marker, label=f"_beside {words}", **look)
        ax.axhline(RHAT_MAX - 1, color=INK, lw=1, ls="--", zorder=1, label="_threshold")
        if len(rhat):
            top = max(top, excess[0])
            worst = f"worst: {rows['quantity'].iloc[0]}: {rhat[0]:.3f}"
            worst = textwrap.fill(worst, 38)
            ax.annotate(worst, (0.98, 0.985), xycoords="axes fraction", ha="right", va="top", fontsize=8)
        ends.append(f" (worst {rhat[0]:.2f})" if len(rhat) else "")
        if beside.any():
            words = f"hollow: {' and '.join(sorted(rows['quantity'][beside]))}"
            ax.annotate(words, (0.02, 0.015), xycoords="axes fraction", ha="left", va="bottom", fontsize=7.5)
        ax.set_xlabel("rank, worst first")
        ax.set_title(f"{SPACES[space]}: {(bad & ~beside).sum()} of {(~beside).sum()} above {RHAT_MAX}", fontsize=10)
        ax.set_xlim(0, max(3, len(rhat)) + 1)
        ax.xaxis.get_major_locator().set_params(integer=True)
    values = [1.0001, 1.001, 1.01, 1.1, 1.5, 2.0, 4.0, 11.0, 101.0]
    axes[0].set(yscale="log", ylim=(FLOOR / 4, top * 8), ylabel="R-hat")
    axes[0].yaxis.set_major_locator(FixedLocator([v - 1 for v in values]))
    axes[0].yaxis.set_major_formatter(FixedFormatter([f"{v:g}" for v in values]))
    axes[0].yaxis.set_minor_locator(NullLocator())
    each = [f"{ax.get_title()}{end}" for ax, end in zip(axes, ends, strict=True)]
    return f"R-hat of {found.chains} chains of {found.draws} draws. {listed(each)}."
