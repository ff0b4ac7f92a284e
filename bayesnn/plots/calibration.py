"""Simulation-based calibration: how far the ranks of each quantity are from uniform, and how far chance takes them."""

import textwrap

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.plots.functions import counted
from bayesnn.plots.picture import Picture, listed
from bayesnn.plots.style import GREY, INK, PALE, PRIOR, Panels, Size, add_headline, new_axes
from bayesnn.theory.ranks import Calibration

PANELS = 16
"""Most quantities that are shown, the worst first."""
COLUMNS = 4


def plot_calibration(found: Calibration, *, ax: Panels | None = None, figsize: Size | None = None) -> Picture:
    """Draw the distribution function of the ranks of each quantity, less that of uniform ranks, within its band.

    Parameters
    ----------
    found : Calibration
        From `calibrate`.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.

    Returns
    -------
    Picture of matplotlib.axes.Axes
        One for each quantity, in the order of the table; of more than 16 the least uniform ones. A curve that rises on
        the left and falls on the right means draws that are too narrow, the reverse too wide; one that stays above zero
        means draws that are too high, below zero too low.

    Raises
    ------
    SpecError
        Something else, or too few replicates to have ranks.

    See Also
    --------
    bayesnn.theory.calibrate : Where the ranks come from.

    References
    ----------
    T. Säilynoja, P.-C. Bürkner and A. Vehtari, "Graphical test for discrete uniformity and its applications in
    goodness-of-fit evaluation and multiple sample comparison", Statistics and Computing 32 (2022).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> line = bnn.MLP(hidden=(), noise=0.3, bias=False)
    >>> found = bnn.theory.calibrate(line, [[-1.0], [2.0]], replicates=20, draws=50, random_seed=1,
    ...                              quantities=("log_likelihood", "sum_of_squares"), progressbar=False)
    >>> [ax.get_title() for ax in bnn.plots.plot_calibration(found)]
    ['log-likelihood', 'sum of squares']
    """
    if not isinstance(found, Calibration):
        raise SpecError(f"Got {type(found).__name__}; the picture needs what bnn.theory.calibrate returns. Pass that.")
    if len(found.ranks) < 2:
        raise SpecError(f"Got the ranks of {len(found.ranks)} replicates; a picture needs at least 2. Run more.")
    table, outside = found.table, found.outside
    worst = table["p"].fillna(1.0).sort_values(kind="stable").index[:PANELS]
    names = [name for name in table.index if name in worst]
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    size = {"width": max(2.0, 4.0 / columns), "height": 1.9}
    axes = new_axes(rows, columns, ax=ax, figsize=figsize, panels=len(names), sharex=True, sharey=True, **size)
    points, lower, upper = found.band
    low, high = min(lower - points), max(upper - points)
    for ax, name in zip(axes, names, strict=True):
        u = np.sort(found.ranks[name].to_numpy())
        ax.fill_between(points, lower - points, upper - points, color=PALE, lw=0)
        ax.axhline(0.0, color=GREY, lw=0.8)
        bad = name in outside
        excess = np.searchsorted(u, points, side="right") / len(u) - points
        low, high = min(low, *excess), max(high, *excess)
        ax.plot(points, excess, color=PRIOR if bad else INK, lw=2.2 if bad else 1.4, ls="-" if bad else "--")
        ax.set_title(name, fontsize=9)
        if bad:
            note = {"xycoords": "axes fraction", "fontsize": 8, "color": INK, "ha": "center"}
            ax.annotate(table.loc[name, "verdict"], (0.5, 0.02), **note)
    # Room for the words below all curves.
    axes[0].set_ylim(low - 0.25 * (high - low), high + 0.05 * (high - low))
    for ax in axes[::columns]:
        ax.set_ylabel("share below − rank", fontsize=8)
    for ax in axes[-columns:]:
        ax.set_xlabel("rank of the truth", fontsize=8)
        ax.tick_params(labelbottom=True)
    shown = "" if len(names) == len(table) else f"; {len(names)} of {len(table)} quantities"
    words = f"{len(found.ranks)} replicates; grey: where ranks of right draws stay, {found.prob:.0%} for all{shown}"
    add_headline(axes, textwrap.fill(words, 110 if columns > 2 else 55))
    leaving = [f"{name} ({table.loc[name, 'verdict']})" for name in names if name in outside]
    verdict = (
        f"{len(leaving)} of {len(names)} leave the band of uniform ranks: {listed(leaving)}."
        if leaving
        else f"all {len(names)} stay within the band of uniform ranks."
    )
    return Picture(
        axes, f"Ranks of {counted(len(names), 'quantity', 'quantities')} in {len(found.ranks)} replicates; {verdict}"
    )
