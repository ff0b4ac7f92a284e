"""Small multiples: MLE, MAP and posterior, the prior wider from row to row and the data more from column to column."""

from typing import Any

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.plots.functions import short
from bayesnn.plots.picture import Picture
from bayesnn.plots.style import COLOURS, INK, Panels, Size, add_legend, line_of, new_axes
from bayesnn.theory.prior_grid import PriorGrid


def plot_prior_grid(grid: PriorGrid, *, ax: Panels | None = None, figsize: Size | None = None) -> Picture:
    """Draw MLE, MAP and posterior for each prior, in rows, and each number of rows of data, in columns.

    Parameters
    ----------
    grid : PriorGrid
        From `prior_grid`.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.

    Returns
    -------
    Picture (priors, numbers of rows) of matplotlib.axes.Axes
        All on one scale, which shows the data and the bands; an MLE may leave it.

    Raises
    ------
    SpecError
        Something else.

    References
    ----------
    D. J. C. MacKay, "Bayesian interpolation", Neural Computation 4 (1992).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> from bayesnn.plots import plot_prior_grid
    >>> from bayesnn.theory import prior_grid
    >>> line, data = bnn.MLP(hidden=(), noise=0.5), bnn.load_data("sine_gap", random_seed=1)
    >>> grid = prior_grid(line, data, prior_sds=[0.1, 1.0], n_values=[5, 40], restarts=2, random_seed=1,
    ...                   progressbar=False)
    >>> plot_prior_grid(grid).shape
    (2, 2)
    """
    if not isinstance(grid, PriorGrid):
        raise SpecError(
            f"Got {type(grid).__name__}; the picture is of what bayesnn.theory.prior_grid returns. Pass that."
        )
    sds, sizes = sorted({sd for sd, _ in grid.cells}), sorted({n for _, n in grid.cells})
    size: dict[str, Any] = {"width": min(4.2, 8.4 / len(sizes)), "height": 2.1}
    axes = new_axes(len(sds), len(sizes), ax=ax, figsize=figsize, sharex=True, sharey=True, **size)
    for (sd, n), cell in grid.cells.items():
        ax = axes[sds.index(sd), sizes.index(n)]
        band = f"{100 * grid.prob:.0f}% of the posterior's functions"
        ax.fill_between(grid.x, cell["lower"], cell["upper"], alpha=0.25, lw=0, label=band, color=COLOURS["posterior"])
        ax.plot(grid.x, cell["mean"], lw=1.6, label="posterior mean", **line_of("posterior"))
        ax.plot(grid.x, grid.mle[n]["f"], lw=1.6, label="MLE", **line_of("mle"))
        ax.plot(grid.x, cell["map"], lw=1.6, label="MAP", **line_of("map"))
        ax.plot(grid.X[:n], grid.y[:n], "o", color=INK, ms=2.6, zorder=5, label="data")
    for ax, n in zip(axes[0], sizes, strict=True):
        ax.set_title(f"{n} row{'s' * (n != 1)}", fontsize=10)
    for row, sd in zip(axes, sds, strict=True):
        row[0].set_ylabel(f"y, prior sd {sd:g}")
    for ax in axes[-1]:
        ax.set_xlabel("x")
    seen = np.concatenate([grid.y, *(np.ravel([cell["lower"], cell["upper"]]) for cell in grid.cells.values())])
    # A band that a wide prior leaves unbounded would hide what all others say.
    middle, reach = np.median(grid.y), 2 * max(np.ptp(grid.y), 1e-12)
    low, high = max(seen.min(), middle - reach), min(seen.max(), middle + reach)
    axes[0, 0].set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    handles, names = axes[0, 0].get_legend_handles_labels()
    add_legend(axes, handles, names, ncols=5)
    each = []
    for sd in sds:
        widths = [np.mean(np.subtract(grid.cells[sd, n]["upper"], grid.cells[sd, n]["lower"])) for n in sizes]
        rows = f"{short(widths[0])} wide with {sizes[0]} and {short(widths[-1])} with {sizes[-1]} rows"
        each.append(f"under prior sd {sd:g} it is {rows}")
    words = (
        f"MLE, MAP and posterior in {len(sds)} x {len(sizes)} panels, a row for each prior sd and a column for each n"
    )
    return Picture(axes, f"{words}. The {100 * grid.prob:.0f}% band, on average over x: {'; '.join(each)}.")
