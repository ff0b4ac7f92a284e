"""What can be wrong with the layout of a picture: text that is cut, covered or too small, and axes without names."""

import itertools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

SMALLEST = 7.0
"""Points; what is smaller can't be read in a notebook."""
WIDEST = 10.6
"""Inches; a notebook shows no more without a scroll bar."""
INSET = 0.2
"""Share of a line's height by which two texts may touch: extents have room for letters that go below the line."""
GRID = (8, 12)
"""Rows and columns of the coarse picture of ink."""


def canvas_of(figure):
    """A canvas on which the figure is drawn, whether it is closed or not."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas


def texts_of(figure):
    """Visible texts of a drawn figure, with what they are and where they stand."""
    for ax in figure.findobj(lambda artist: hasattr(artist, "get_xticklabels")):
        if not ax.get_visible() or not ax.axison:
            continue
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            margin = 1e-6 * (high - low)
            # Ticks beyond the view have labels that are never drawn.
            ticks = [t for t in axis.get_major_ticks() if low - margin <= t.get_loc() <= high + margin]
            for tick in ticks:
                yield from (("tick", text) for text in (tick.label1, tick.label2))
            yield "label", axis.label
            yield "offset", axis.offsetText
        yield from (("title", title) for title in (ax.title, ax._left_title, ax._right_title))
        yield from (("note", text) for text in ax.texts)
        if ax.get_legend() is not None:
            yield from (("legend", text) for text in ax.get_legend().get_texts())
    for legend in figure.legends:
        yield from (("legend", text) for text in legend.get_texts())
    yield from (("headline", text) for text in figure.texts)


def faults(figure):
    """What is wrong with the layout of a figure, a line each."""
    renderer = canvas_of(figure).get_renderer()
    found, placed = [], []
    for kind, text in texts_of(figure):
        words = text.get_text().strip()
        if not words or not text.get_visible():
            continue
        box = text.get_window_extent(renderer)
        if not (figure.bbox.x0 - 1 <= box.x0 and box.x1 <= figure.bbox.x1 + 1):
            found.append(f"{kind} {words!r} is cut at a side")
        if not (figure.bbox.y0 - 1 <= box.y0 and box.y1 <= figure.bbox.y1 + 1):
            found.append(f"{kind} {words!r} is cut above or below")
        if text.get_fontsize() < SMALLEST:
            found.append(f"{kind} {words!r} is too small: {text.get_fontsize():g} points")
        line = text.get_fontsize() * figure.dpi / 72 * INSET
        placed.append((kind, words, Bbox.from_extents(box.x0 + 1, box.y0 + line, box.x1 - 1, box.y1 - line)))
    for (one, said, a), (other, too, b) in itertools.combinations(placed, 2):
        if a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1:
            found.append(f"{one} {said!r} covers {other} {too!r}")
    if figure.get_figwidth() > WIDEST:
        found.append(f"{figure.get_figwidth():.1f} inches are wider than a notebook")
    return found + [f"{name} without a name" for name in nameless(figure)]


def nameless(figure):
    """Axes with ticks that no label explains, neither their own nor that of a panel on the same row or column."""
    panels = [ax for ax in figure.axes if ax.axison and ax.get_visible() and ax.get_label() != "<colorbar>"]
    for i, ax in enumerate(panels):
        for along, label, ticks in (
            ("x", lambda a: a.get_xlabel(), ax.get_xticks()),
            ("y", lambda a: a.get_ylabel() or a.get_title() or a.get_title(loc="left"), ax.get_yticks()),
        ):
            # Panels of one column share their horizontal axis' name, panels of one row their vertical axis'.
            k = 0 if along == "x" else 1
            mates = [o for o in panels if np.isclose(o.get_position().p0[k], ax.get_position().p0[k], atol=0.02)]
            if len(ticks) and not any(label(o) for o in mates):
                yield f"{along} axis of panel {i + 1}"


def ink(figure):
    """How dark each part of a figure is, from 0 to 9, in a coarse grid: a row of digits a line."""
    pixels = np.asarray(canvas_of(figure).buffer_rgba())[..., :3].mean(axis=-1)
    rows = [np.array_split(row, GRID[1], axis=1) for row in np.array_split(pixels, GRID[0], axis=0)]
    dark = np.array([[255 - part.mean() for part in row] for row in rows])
    # Most of a picture is white: the square root tells thin lines from nothing.
    return ["".join(f"{int(v)}" for v in np.minimum(9, 9.99 * np.sqrt(row / 255))) for row in dark]


def distance(one, other):
    """Mean difference of two coarse pictures, in steps of darkness."""
    a, b = (np.array([[int(digit) for digit in row] for row in rows]) for rows in (one, other))
    return float(np.abs(a - b).mean())
