"""Colours and frames that every picture shares: Okabe and Ito's palette, which colour-blind readers can tell apart."""

from typing import Any

import numpy as np

COLOURS = {"mle": "#D55E00", "map": "#0072B2", "posterior": "#009E73"}
CHAINS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
CLASSES = (("white", "#000000"), ("#000000", "white"), ("#F0E442", "#000000"))
"""Face and edge of the marks of classes on a coloured surface, where only light and dark stand out."""
INK, GREY, PALE, PRIOR = "#222222", "#8A8A8A", "#D0D0D0", "#CC79A7"


def new_axes(rows: int, columns: int, *, width: float = 3.4, height: float = 2.8, **kwargs: Any) -> np.ndarray:
    """Open a figure with a grid of axes in the common style.

    Parameters
    ----------
    rows, columns : int
        Shape of the grid.
    width, height : float
        Size of one panel, in inches.
    **kwargs
        Passed on to `matplotlib.pyplot.subplots`.

    Returns
    -------
    array (rows, columns) of matplotlib.axes.Axes
        The axes; the figure is theirs.
    """
    import matplotlib.pyplot as plt

    size = (width * columns, height * rows)
    _, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **kwargs)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=9, colors=INK)
        ax.title.set_fontsize(10)
        ax.xaxis.label.set_fontsize(9)
        ax.yaxis.label.set_fontsize(9)
    return axes
