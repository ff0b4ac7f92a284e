"""Pictures that show one fit: of several, each has a row of panels."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bayesnn.plots.picture import Picture
from bayesnn.plots.style import Panels, Size, new_axes


def row_each(
    fits: Mapping[str, Any],
    draw: Callable[[np.ndarray, Any], str],
    columns: int,
    *,
    ax: Panels | None,
    figsize: Size | None,
    **look: Any,
) -> Picture:
    """Draw each fit into a row of its own.

    Parameters
    ----------
    fits : dict of str to xarray.DataTree
        By their names, which stand over the rows where there are several.
    draw : callable
        From the panels of a row and a fit to what is to be seen, in words.
    columns : int
        Panels of a row.
    ax, figsize
        As for `new_axes`.
    **look
        Passed on to `new_axes`.

    Returns
    -------
    Picture (columns,) or (fits, columns)
        The first for one fit.
    """
    axes = new_axes(len(fits), columns, ax=ax, figsize=figsize, **look)
    if len(fits) == 1:
        return Picture(axes[0], draw(axes[0], *fits.values()))
    said = []
    for row, (name, fit) in zip(axes, fits.items(), strict=True):
        words = draw(row, fit)
        title = row[0].get_title()
        if not title.startswith(name):
            row[0].set_title(f"{name}\n{title}", fontsize=10)
        said.append(words if words.startswith(name) else f"{name}: {words}")
    return Picture(axes, " ".join(said))
