"""Functions from priors at several widths, with the wide limit on top."""

from typing import Any

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.plots.functions import counted, short
from bayesnn.plots.picture import Picture, listed
from bayesnn.plots.style import GREY, INK, PRIOR, Panels, Size, add_legend, new_axes
from bayesnn.theory.wide import PriorFunctions


def plot_prior_functions(found: PriorFunctions, *, ax: Panels | None = None, figsize: Size | None = None) -> Picture:
    """Draw functions from priors, a row for each prior and a column for each width, with the wide limit on top.

    Parameters
    ----------
    found : PriorFunctions
        From `prior_functions`, of one feature.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.

    Returns
    -------
    Picture (priors, widths) of matplotlib.axes.Axes
        Draws, the band that holds a share of them, and dashed the band of the Gaussian process where it is known. A row
        has one vertical axis.

    Raises
    ------
    SpecError
        Something else, or inputs of several features.

    References
    ----------
    R. M. Neal, "Bayesian Learning for Neural Networks", chapter 2, Springer (1996).

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> from bayesnn.plots import plot_prior_functions
    >>> from bayesnn.theory import prior_functions
    >>> net = bnn.MLP(hidden=(1,), activation="erf", prior=bnn.Normal(2.0, fan_in=True))
    >>> found = prior_functions(net, np.linspace(-3, 3, 41), widths=[1, 10], random_seed=1)
    >>> plot_prior_functions(found).shape
    (1, 2)
    """
    from scipy.stats import norm

    if not isinstance(found, PriorFunctions) or found.X.shape[1] != 1:
        got = f"{found.X.shape[1]} features" if isinstance(found, PriorFunctions) else type(found).__name__
        raise SpecError(
            f"Got {got}; the picture is of what bayesnn.theory.prior_functions returns for one feature. Pass that."
        )
    priors = list(dict.fromkeys(cell["prior"] for cell in found.cells))
    widths = list(dict.fromkeys(cell["width"] for cell in found.cells))
    size: dict[str, Any] = {"width": min(4.4, 8.4 / len(widths)), "height": 2.3}
    axes = new_axes(len(priors), len(widths), ax=ax, figsize=figsize, sharex=True, sharey="row", **size)
    order = np.argsort(found.X[:, 0])
    x, share = found.X[order, 0], 100 * found.prob
    for cell in found.cells:
        ax = axes[priors.index(cell["prior"]), widths.index(cell["width"])]
        ends = (cell["lower"][order], cell["upper"][order])
        ax.fill_between(x, *ends, color=PRIOR, alpha=0.3, lw=0, label=f"{share:.0f}% of the functions")
        ax.plot(x, cell["curves"][:, order].T, color=GREY, lw=0.7, alpha=0.8)
        ax.plot([], [], color=GREY, lw=0.9, label=f"{len(cell['curves'])} of them")
        if cell["limit_sd"] is not None:
            edge = norm.ppf((1 + found.prob) / 2) * cell["limit_sd"][order]
            for sign in (1, -1):
                ax.plot(x, sign * edge, color=INK, ls="--", lw=1.3, label="as a Gaussian process" if sign > 0 else None)
        ax.set_title(f"{cell['width']} unit{'s' * (cell['width'] != 1)}", fontsize=10)
    for row, prior in zip(axes, priors, strict=True):
        cells = [cell for cell in found.cells if cell["prior"] == prior]
        reach = max(np.abs([cell["lower"], cell["upper"]]).max() for cell in cells)
        row[0].set_ylim(-1.25 * reach, 1.25 * reach)
        row[0].set_ylabel(f"f(x) under\n{prior!r}", fontsize=8)
    for ax in axes[-1]:
        ax.set_xlabel("x")
    handles, names = axes[0, 0].get_legend_handles_labels()
    add_legend(axes, handles, names, ncols=3)
    each = [
        f"{prior!r}: {listed([_reach(cell) for cell in found.cells if cell['prior'] == prior])}" for prior in priors
    ]
    words = f"Functions drawn from {counted(len(priors), 'prior', 'priors')}"
    return Picture(axes, f"{words}; {share:.0f}% of them lie, at the last x, within: {'; '.join(each)}.")


def _reach(cell):
    """Say how wide the band is at the right end."""
    words = f"{short(cell['lower'][-1])} to {short(cell['upper'][-1])} with {counted(cell['width'], 'unit', 'units')}"
    return words
