"""Colours and frames that every picture shares: Okabe and Ito's palette, which colour-blind readers can tell apart."""

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np

from bayesnn.errors import SpecError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

type Panels = Axes | np.ndarray | Sequence[Axes]
"""Where a picture is drawn, if not in a figure of its own."""
type Size = tuple[float, float]
"""Width and height of a figure, in inches."""

COLOURS = {"mle": "#D55E00", "map": "#0072B2", "posterior": "#009E73"}
ANSWERS = {"mle": ("--", "s"), "map": ("-.", "^"), "posterior": ("-", "o")}
"""Dash and marker of each answer, the same in every picture and in the playground."""
CHAINS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#F0E442")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
CLASSES = (("white", "#000000"), ("#000000", "white"), ("#F0E442", "#000000"))
"""Face and edge of the marks of classes on a coloured surface, where only light and dark stand out."""
INK, GREY, PALE, PRIOR = "#222222", "#8A8A8A", "#D0D0D0", "#CC79A7"
WALD, RATIO = "#56B4E9", "#E69F00"
"""Of intervals by curvature, and by the likelihood ratio."""


_WHOLE: "WeakSet[Figure | SubFigure]" = WeakSet()
"""Figures that one picture fills: legend and headline may stand beside its panels."""


def line_of(kind: str) -> dict[str, Any]:
    """Colour and dash of an answer, as `Axes.plot` takes them."""
    return {"color": COLOURS[kind], "ls": ANSWERS[kind][0]}


def mark_of(kind: str) -> dict[str, Any]:
    """Colour and marker of an answer, as `Axes.plot` takes them."""
    return {"color": COLOURS[kind], "marker": ANSWERS[kind][1]}


def new_axes(
    rows: int,
    columns: int,
    *,
    ax: "Panels | None" = None,
    figsize: Size | None = None,
    panels: int | None = None,
    width: float = 3.4,
    height: float = 2.8,
    **kwargs: Any,
) -> np.ndarray:
    """Open a figure with a grid of axes in the common style, or take the axes that are given.

    Parameters
    ----------
    rows, columns : int
        Shape of the grid.
    ax : matplotlib.axes.Axes or array of them, optional
        Axes of the user's, as many as there are panels.
    figsize : tuple of float, optional
        Size of the figure in inches, in place of that of its panels.
    panels : int, optional
        How many panels are used, where the grid may have more; the others are removed.
    width, height : float
        Size of one panel, in inches.
    **kwargs
        Passed on to `matplotlib.pyplot.subplots`.

    Returns
    -------
    array (rows, columns) or (panels,) of matplotlib.axes.Axes
        The axes; the figure is theirs.

    Raises
    ------
    SpecError
        Another number of axes, what is no Axes, or both `ax` and `figsize`.
    """
    import matplotlib.pyplot as plt

    count = rows * columns if panels is None else panels
    if ax is not None:
        axes = _given(ax, figsize, rows, columns, count)
        if panels is None:
            axes = axes.reshape(rows, columns)
            _share(axes, kwargs.get("sharex", False), kwargs.get("sharey", False))
        else:
            _share(axes[None], kwargs.get("sharex", False), kwargs.get("sharey", False))
    else:
        size = (width * columns, height * rows) if figsize is None else _size(figsize)
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", **kwargs)
        _WHOLE.add(figure)
        if panels is not None:
            axes = axes.ravel()
            for spare in axes[panels:]:
                spare.remove()
            axes = axes[:panels]
    for one in axes.flat:
        one.spines[["top", "right"]].set_visible(False)
        one.tick_params(labelsize=9, colors=INK)
        one.title.set_fontsize(10)
        one.xaxis.label.set_fontsize(9)
        one.yaxis.label.set_fontsize(9)
    return axes


def _size(figsize):
    """Check a size."""
    sides = list(figsize) if isinstance(figsize, Sequence | np.ndarray) and not isinstance(figsize, str | bytes) else []
    if len(sides) != 2 or not all(isinstance(v, Real) and 0 < v < np.inf for v in sides):
        raise SpecError(f"Got figsize={figsize!r}; it is a width and a height in inches. Write figsize=(8, 3).")
    return figsize


def _given(ax, figsize, rows, columns, count):
    """Check the axes that the user gives; whether they fill their figure is noted."""
    from matplotlib.axes import Axes

    axes = np.array(ax, dtype=object).ravel()
    grid = f"{rows} x {columns}" if rows * columns == count else f"{count}"
    remedy = f"Write ax=plt.subplots({rows}, {columns}, layout='constrained')[1], or leave it out."
    if strange := [type(one).__name__ for one in axes if not isinstance(one, Axes)]:
        raise SpecError(f"Got ax of type {strange[0]}; it must be Axes of matplotlib. {remedy}")
    if len(axes) != count:
        raise SpecError(f"Got ax with {len(axes)} Axes; the picture has {grid} panels. {remedy}")
    if figsize is not None:
        raise SpecError(f"Got both ax and figsize={figsize!r}; the figure of ax has its size. Leave figsize out.")
    for figure in {one.figure for one in axes}:
        if set(figure.axes) <= set(axes) and figure.get_layout_engine() is not None:
            _WHOLE.add(figure)
    return axes


def _share(axes, sharex, sharey):
    """Let given axes share their scales as those of a new figure do, unless they share them already."""
    for share, along in ((sharex, "x"), (sharey, "y")):
        if share in (False, "none"):
            continue
        groups = axes if share == "row" else axes.T if share == "col" else [axes.ravel()]
        for first, *others in groups:
            for other in others:
                if not getattr(first, f"get_shared_{along}_axes")().joined(first, other):
                    getattr(other, f"share{along}")(first)


def add_legend(axes: Any, handles: Iterable[Any], labels: Iterable[str], *, ncols: int = 4, **look: Any) -> Any:
    """Put one legend below a whole picture, or into its first panel where the figure has others.

    Parameters
    ----------
    axes : array of matplotlib.axes.Axes
        The panels.
    handles, labels : iterable
        What it explains.
    ncols : int
        Most columns.
    **look
        Passed on to `legend`.

    Returns
    -------
    matplotlib.legend.Legend
        The legend.
    """
    axes, handles, labels = np.ravel(axes), list(handles), list(labels)
    look = {"fontsize": 8, "frameon": False} | look
    figure = axes[0].figure
    if figure in _WHOLE:
        columns = max(1, min(ncols, len(labels)))
        return figure.legend(handles, labels, loc="outside lower center", ncols=columns, **look)
    frame = {"frameon": True, "framealpha": 0.8, "edgecolor": "none", "fontsize": 7}
    return axes[0].legend(handles, labels, **look | frame)


def add_headline(axes: Any, words: str, *, fontsize: float = 9) -> None:
    """Write words over a whole picture, or over its first panel where the figure has others."""
    first = np.ravel(axes)[0]
    if first.figure in _WHOLE:
        first.figure.suptitle(words, fontsize=fontsize)
    else:
        place = {"xycoords": "axes fraction", "textcoords": "offset points"}
        first.annotate(words, (0, 1), (0, 22), fontsize=fontsize, ha="left", va="bottom", **place)


def add_footnote(axes: Any, words: str) -> None:
    """Write words below a whole picture; over it where the figure has other panels."""
    first = np.ravel(axes)[0]
    if first.figure in _WHOLE:
        first.figure.supxlabel(words, fontsize=8)
    else:
        add_headline(axes, words, fontsize=8)
