"""What data say about each direction of the weights: the eigenvalues of Fisher's information."""

from collections.abc import Mapping

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.plots.functions import short
from bayesnn.plots.picture import Picture
from bayesnn.plots.style import CHAINS, GREY, MARKERS, Panels, Size, new_axes
from bayesnn.theory.information import Information


def plot_information(
    information: Information | Mapping[str, Information], *, ax: Panels | None = None, figsize: Size | None = None
) -> Picture:
    """Draw the eigenvalues of the expected information, those that are zero on a line of their own.

    Parameters
    ----------
    information : Information or dict of str to Information
        What `fisher_information` returned; several by name are drawn beside each other.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.

    Returns
    -------
    Picture (1,) of matplotlib.axes.Axes
        The eigenvalues, the largest first, on a logarithmic scale; the right-hand scale is the least standard deviation
        of an unbiased estimate in that direction. Open marks are directions without information.

    Raises
    ------
    SpecError
        Something else.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> from bayesnn.plots import plot_information
    >>> net = bnn.MLP(hidden=(1,), noise=0.2)
    >>> params = {"W1": [[1.0]], "b1": [0.5], "W2": [[2.0]], "b2": [0.0]}
    >>> ax, = plot_information(bnn.theory.fisher_information(net, params, [-2, -1, 0, 1, 2]))
    >>> ax.get_xlabel()
    'direction, the best known first'
    """
    several = isinstance(information, Mapping)
    found = dict(information) if isinstance(information, Mapping) else {"": information}
    if not found or not all(isinstance(one, Information) for one in found.values()):
        raise SpecError(
            f"Got {type(information).__name__}; the picture needs what fisher_information returns, or a dictionary of "
            "such. Write plot_information(fisher_information(net, params, X))."
        )
    axes = new_axes(1, 1, ax=ax, figsize=figsize, width=6.4, height=3.8)[0]
    ax = axes[0]
    positive = np.concatenate([one.eigenvalues[: one.rank] for one in found.values()])
    low, high = (positive.min(), positive.max()) if positive.size else (1.0, 1.0)
    floor = low / 10 ** max(1.0, 0.25 * np.log10(high / low))
    empty = False
    for k, (name, one) in enumerate(found.items()):
        colour, marker = CHAINS[k % len(CHAINS)], MARKERS[k % len(MARKERS)]
        shift = (k - (len(found) - 1) / 2) * min(0.12, 0.6 / len(found))
        at = np.arange(1, one.size + 1) + shift
        rank = f"rank {one.rank} of {one.size}"
        label = f"{name}: {rank}" if several else rank
        ax.plot(at[: one.rank], one.eigenvalues[: one.rank], marker=marker, color=colour, ms=6, lw=1.2, label=label)
        if one.rank < one.size:
            empty = True
            ax.plot(at[one.rank :], np.full(one.size - one.rank, floor), marker, mfc="white", mec=colour, mew=1.5, ms=7)
    ax.set_yscale("log")
    if empty:
        ax.axhline(floor, color=GREY, lw=1, ls=":", zorder=0)
        ax.annotate("no information", (0.01, floor), xycoords=("axes fraction", "data"), xytext=(0, 5),
                    textcoords="offset points", fontsize=8, color=GREY)  # fmt: skip
        ax.set_ylim(floor / 2.5)
    size = max(one.size for one in found.values())
    ax.set_xticks(range(1, size + 1) if size <= 20 else range(1, size + 1, -(-size // 15)))
    ax.set_xlabel("direction, the best known first")
    ax.set_ylabel("eigenvalue of the information")
    other = ax.secondary_yaxis("right", functions=(_least_sd, _least_sd_back))
    other.set_ylabel("least standard deviation", fontsize=9)
    other.tick_params(labelsize=9)
    ax.spines["right"].set_visible(True)
    ax.legend(fontsize=8, frameon=False)
    each = [
        f"{name + ': ' if name else ''}{one.size} directions, rank {one.rank}"
        + (
            f", eigenvalues from {short(one.eigenvalues[0])} down to {short(one.eigenvalues[one.rank - 1])}"
            * (one.rank > 0)
        )
        + (f", {one.size - one.rank} without information" if one.rank < one.size else "")
        for name, one in found.items()
    ]
    return Picture(axes, f"Eigenvalues of the expected information. {'; '.join(each)}.")


def _least_sd(eigenvalue):
    with np.errstate(all="ignore"):
        return 1 / np.sqrt(eigenvalue)


def _least_sd_back(sd):
    with np.errstate(all="ignore"):
        return sd**-2.0
