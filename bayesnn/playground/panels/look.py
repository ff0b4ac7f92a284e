"""How all figures of the page look, on dark and on light pages."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from typing import Any

HEIGHT = 300
"""Of a figure, in pixels."""
FONT = "13px"
"""Of all text in figures."""


@dataclass(frozen=True)
class Look:
    """How one of the answers is drawn: told apart by dash and mark where colours are not.

    Parameters
    ----------
    label : str
        As legends call it.
    colour : str
        Readable on dark and on light pages.
    dash, marker : str
        As Bokeh calls them.
    """

    label: str
    colour: str
    dash: str
    marker: str


LOOKS = {
    "mle": Look("MLE", "#D55E00", "dashed", "square"),
    "map": Look("MAP", "#0072B2", "dotdash", "triangle"),
    "posterior": Look("posterior", "#009E73", "solid", "circle"),
}
"""The three answers. Their colours are those of `bayesnn.plots.style`, which takes seconds to import."""

_STROKES = {"solid": "", "dashed": "7 4", "dotdash": "2 3 7 3", "dotted": "2 3"}
"""Dashes of keys; Bokeh's own names."""


@dataclass(frozen=True)
class Paint:
    """Colours of a page.

    Parameters
    ----------
    ink, grid, paper : str
        Of text and marks, of lines that stay behind, and what marks are set off by.
    """

    ink: str
    grid: str
    paper: str


PAINTS = {False: Paint("#222222", "#D8D8D8", "#FFFFFF"), True: Paint("#E8E8E8", "#484848", "#1B1B1B")}
"""By whether the page is dark."""


def new_figure(x: str, y: str, *, title: str = "", dark: bool = False, **options: Any) -> Any:
    """Open a figure in the common style.

    Nothing in it is dragged, so that a finger scrolls the page.

    Parameters
    ----------
    x, y : str
        Labels of the axes.
    title : str
        Above the figure; none if empty.
    dark : bool
        Whether the page is dark.
    **options
        Passed on to `bokeh.plotting.figure`.

    Returns
    -------
    bokeh.plotting.figure
        As wide as its place.

    Examples
    --------
    >>> from bayesnn.playground.panels.look import new_figure
    >>> new_figure("x", "y", height=200).height
    200
    """
    from bokeh.plotting import figure

    options = {
        "height": HEIGHT,
        "sizing_mode": "stretch_width",
        "tools": "",
        "toolbar_location": None,
        "active_drag": None,
        "min_border_right": 12,
        **options,
    }
    if title:
        options["title"] = title
    made = figure(x_axis_label=x, y_axis_label=y, **options)
    made.toolbar.logo = None
    paint(made, dark)
    return made


def paint(figure: Any, dark: bool) -> None:
    """Give a figure the colours of a dark or a light page.

    Parameters
    ----------
    figure : bokeh.plotting.figure
        What is painted.
    dark : bool
        Whether the page is dark.
    """
    from bokeh.models.annotations import ColorBar

    colours = PAINTS[dark]
    # The page shines through.
    figure.background_fill_color = figure.border_fill_color = None
    figure.outline_line_color = None
    sides = (figure.left, figure.right, figure.above, figure.below, figure.center)
    # `figure.select` would go through all models.
    bars = [part for side in sides for part in side if isinstance(part, ColorBar)]
    for axis in [*figure.axis, *bars]:
        axis.major_label_text_color = colours.ink
        axis.major_label_text_font_size = FONT
    for axis in figure.axis:
        axis.axis_label_text_color = axis.axis_line_color = axis.major_tick_line_color = colours.ink
        axis.axis_label_text_font_size = FONT
        axis.axis_label_text_font_style = "normal"
        axis.minor_tick_line_color = None
    for bar in bars:
        bar.background_fill_color = None
        bar.title_text_color = colours.ink
        bar.title_text_font_size = FONT
        bar.title_text_font_style = "normal"
    figure.grid.grid_line_color = colours.grid
    if figure.title is not None:
        figure.title.text_color = colours.ink
        figure.title.text_font_size = FONT
        figure.title.text_font_style = "normal"
    for legend in figure.legend:
        legend.label_text_color = colours.ink
        legend.label_text_font_size = FONT
        legend.background_fill_color = colours.paper
        legend.background_fill_alpha = 0.7
        legend.border_line_color = None


def pane_of(figure: Any) -> Any:
    """Put a figure into a pane that is as wide as its place.

    Parameters
    ----------
    figure : bokeh.plotting.figure
        The figure.

    Returns
    -------
    panel.Column
        Whose `visible` can be switched; that of a pane of Bokeh can't be switched on again.
    """
    import panel as pn

    return pn.Column(
        pn.pane.Bokeh(figure, sizing_mode="stretch_width", margin=0), sizing_mode="stretch_width", margin=0
    )


def line_key(label: str, colour: str = "currentColor", dash: str = "solid") -> tuple[str, str]:
    """Make a key of a line, for `legend`.

    Parameters
    ----------
    label : str
        In words.
    colour, dash : str
        Its colour, and its dash as Bokeh calls it.

    Returns
    -------
    tuple of str
        Label and drawing.
    """
    stroke = f'stroke="{colour}" stroke-width="2.5" stroke-dasharray="{_STROKES[dash]}"'
    return label, f'<path d="M1 8H31" fill="none" {stroke}/>'


def band_key(label: str, colour: str, alpha: float) -> tuple[str, str]:
    """Make a key of a band, for `legend`.

    Parameters
    ----------
    label : str
        In words.
    colour : str
        Its colour.
    alpha : float
        How opaque it is.

    Returns
    -------
    tuple of str
        Label and drawing.
    """
    return label, f'<rect x="1" y="2" width="30" height="12" fill="{colour}" fill-opacity="{alpha}"/>'


def mark_key(label: str, marker: str, fill: str = "currentColor", edge: str = "currentColor") -> tuple[str, str]:
    """Make a key of a mark, for `legend`.

    Parameters
    ----------
    label : str
        In words.
    marker : {"circle", "square", "triangle", "diamond", "x"}
        Its shape.
    fill, edge : str
        Its colours.

    Returns
    -------
    tuple of str
        Label and drawing.
    """
    shape = {
        "circle": '<circle cx="16" cy="8" r="5"{}/>',
        "square": '<rect x="11" y="3" width="10" height="10"{}/>',
        "triangle": '<path d="M16 2L22 13H10Z"{}/>',
        "diamond": '<path d="M16 1L22 8L16 15L10 8Z"{}/>',
        "x": '<path d="M11 3L21 13M21 3L11 13"{}/>',
    }[marker]
    return label, shape.format(f' fill="{fill}" stroke="{edge}" stroke-width="1.6"')


def legend(keys: Iterable[tuple[str, str]]) -> str:
    """Write a legend as HTML, which wraps on a phone and is read aloud.

    Parameters
    ----------
    keys : iterable of tuple of str
        Made by `line_key`, `band_key` or `mark_key`.

    Returns
    -------
    str
        A list.
    """
    rows = "".join(
        '<li style="display:inline-flex;align-items:center;gap:.35em">'
        f'<svg width="32" height="16" viewBox="0 0 32 16" aria-hidden="true">{drawing}</svg>{escape(label)}</li>'
        for label, drawing in keys
    )
    style = "display:flex;flex-wrap:wrap;gap:.2em 1em;list-style:none;margin:0;padding:0;font-size:.9rem"
    return f'<ul style="{style}">{rows}</ul>'


def hold(span: Any, low: float, high: float) -> None:
    """Set the ends of an axis only where something would leave it, or it has become far too long.

    Parameters
    ----------
    span : bokeh.models.Range1d
        The axis' range.
    low, high : float
        What must be seen.
    """
    margin = 0.06 * (high - low or 1.0)
    fits = span.start <= low and high <= span.end
    if not fits or span.end - span.start > 2.0 * (high - low + 2 * margin):
        span.update(start=low - margin, end=high + margin)


def locked(function: Callable[[], None]) -> None:
    """Run a function that changes figures from a callback of a widget.

    Such a callback does not hold the lock on the session's document, without which Bokeh refuses a change.

    Parameters
    ----------
    function : callable
        Run soon, or at once where there is no session.
    """
    import panel as pn

    pn.state.execute(function, schedule=True)
