"""One input: the data with a line of each answer, and the bands of the posterior."""

import numpy as np

from bayesnn.playground.answers import PROB, grid_of
from bayesnn.playground.found import Found
from bayesnn.playground.panels.look import LOOKS, PAINTS, band_key, hold, line_key, mark_key, new_figure, paint
from bayesnn.playground.panels.points import CLASSES, Points
from bayesnn.playground.settings import OWN

WIDE, NARROW = 0.16, 0.38
"""Opacity of the bands of a new y and of the function."""
FAR = 0.75
"""How far bands may stretch the picture beyond the data, relative to their range."""


class Curves:
    """The picture of one input.

    Parameters
    ----------
    points : Points
        The rows, which can be edited in it.
    dark : bool
        Whether the page is dark.
    """

    def __init__(self, points: Points, dark: bool = False):
        from bokeh.models import ColumnDataSource, Range1d

        self.dark, self._data = dark, ""
        self.figure = new_figure(
            "x", "y", dark=dark, height=320, x_range=Range1d(start=0, end=1), y_range=Range1d(start=0, end=1)
        )
        green = LOOKS["posterior"].colour
        self.bands, self._bands = {}, {}
        for name, alpha in (("new", WIDE), ("function", NARROW)):
            self.bands[name] = ColumnDataSource({"x": [], "lower": [], "upper": []})
            self._bands[name] = self.figure.varea(
                "x", "lower", "upper", source=self.bands[name], fill_color=green, fill_alpha=alpha
            )
        self.draws = ColumnDataSource({"xs": [], "ys": []})
        self.figure.multi_line("xs", "ys", source=self.draws, line_color=green, line_alpha=0.55, line_width=0.7)
        self.lines, self._lines = {}, {}
        for name in ("truth", "posterior", "map", "mle"):
            look = LOOKS.get(name)
            self.lines[name] = ColumnDataSource({"x": [], "y": []})
            self._lines[name] = self.figure.line(
                "x",
                "y",
                source=self.lines[name],
                line_width=2.5 if look else 1.5,
                line_color=look.colour if look else PAINTS[dark].ink,
                line_dash=look.dash if look else "dotted",
            )
        points.draw_on(self.figure)

    def show(self, found: Found) -> None:
        """Bring the picture up to date."""
        settings = found.settings
        x = grid_of(settings)[:, 0]
        for name, answer in (("mle", found.mle), ("map", found.map), ("posterior", found.posterior)):
            self.lines[name].data = {"x": x, "y": answer.mean} if answer else {"x": [], "y": []}
        truth = truth_of(found)
        self.lines["truth"].data = {"x": [], "y": []} if truth is None else {"x": x, "y": truth}
        post = found.posterior
        for name, lower, upper in (("new", "lower", "upper"), ("function", "f_lower", "f_upper")):
            low, high = (None, None) if post is None else (getattr(post, lower), getattr(post, upper))
            there = low is not None and high is not None
            self.bands[name].data = {
                "x": x if there else [],
                "lower": low if there else [],
                "upper": high if there else [],
            }
        some = [] if post is None or post.functions is None else list(post.functions)
        self.draws.data = {"xs": [x] * len(some), "ys": some}
        self._frame(settings, x, found, truth)

    def _frame(self, settings, x, found, truth):
        """Set the axes by the data and the band, so that a line that runs off leaves the picture as it is."""
        labels = settings.task == "binary"
        self.figure.x_range.update(start=float(x[0]), end=float(x[-1]))
        self.figure.xaxis.axis_label = settings.dataset.feature_names[0]
        name = settings.dataset.target_names[0]
        self.figure.yaxis.axis_label = f"probability of {label_of(found, 1)}" if labels else name
        # Points that are edited leave the axis as it is.
        fresh = settings.data not in (OWN, self._data)
        self._data = settings.data
        if labels:
            self.figure.y_range.update(start=-0.08, end=1.08)
            return
        y = settings.dataset.y
        low, high = float(y.min()), float(y.max())
        reach = FAR * (high - low or 1.0)
        post = found.posterior
        for values in (truth, *(() if post is None else (post.lower, post.upper, post.f_lower, post.f_upper))):
            if values is not None:
                low = min(low, max(float(np.min(values)), float(y.min()) - reach))
                high = max(high, min(float(np.max(values)), float(y.max()) + reach))
        if fresh:
            self.figure.y_range.update(start=low, end=low)
        hold(self.figure.y_range, low, high)

    def keys(self, found: Found) -> list[tuple[str, str]]:
        """Keys of what is drawn, for a legend."""
        keys, post = [], found.posterior
        if found.settings.task == "binary":
            keys += class_keys(found)
        else:
            keys += [mark_key("data", "circle")]
        for name, answer in (("mle", found.mle), ("map", found.map), ("posterior", post)):
            if answer is not None:
                look = LOOKS[name]
                heading = "posterior mean" if name == "posterior" else answer.heading
                keys.append(line_key(heading, look.colour, look.dash))
        if post is not None:
            green = LOOKS["posterior"].colour
            what = "probability" if found.settings.task == "binary" else "function"
            keys.append(band_key(f"{PROB:.0%} of the {what}", green, NARROW + WIDE))
            if post.lower is not None:
                keys.append(band_key(f"{PROB:.0%} of a new y", green, WIDE))
        if truth_of(found) is not None:
            keys.append(line_key("truth", dash="dotted"))
        return keys

    def repaint(self, dark: bool) -> None:
        """Change the colours to those of a dark or a light page."""
        self.dark = dark
        paint(self.figure, dark)
        self._lines["truth"].glyph.line_color = PAINTS[dark].ink


def truth_of(found: Found) -> np.ndarray | None:
    """Evaluate the curve that the data were simulated from, on the grid.

    Parameters
    ----------
    found : Found
        What there is.

    Returns
    -------
    array (m,) or None
        None where it is not known.
    """
    truth = found.settings.dataset.truth
    return None if truth is None else np.ravel(truth(grid_of(found.settings)))


def label_of(found: Found, label: int) -> str:
    """Name a label.

    Parameters
    ----------
    found : Found
        What there is.
    label : int
        0 or 1.

    Returns
    -------
    str
        As the data call it, cut where it is long.
    """
    names = found.settings.dataset.class_names
    return f"class {names[label][:24] if names else label}"


def class_keys(found: Found) -> list[tuple[str, str]]:
    """Keys of the marks of the labels.

    Parameters
    ----------
    found : Found
        What there is.

    Returns
    -------
    list of tuple of str
        For `legend`.
    """
    return [mark_key(label_of(found, label), *look) for label, look in CLASSES.items()]
