"""Points on a picture that can be added, dragged and deleted, by hand or as lines of text."""

import math
import re
from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.playground.panels.look import PAINTS, locked
from bayesnn.playground.settings import MOST_ROWS, OWN, Settings

Rows = tuple[tuple[float, ...], ...]

CLASSES = {0: ("circle", "#FFFFFF", "#000000"), 1: ("square", "#000000", "#FFFFFF")}
"""Marker, face and edge of the two labels, which stand out on any surface; as in `bayesnn.plots.style`."""


def read_points(text: str) -> Rows:
    r"""Read points from lines of text.

    Parameters
    ----------
    text : str
        On each line x, y or x1, x2, y, parted by commas, semicolons or blanks.

    Returns
    -------
    tuple of tuple of float
        A row for each line that is not empty.

    Raises
    ------
    SpecError
        A line that holds no numbers, or too many lines.

    Examples
    --------
    >>> from bayesnn.playground.panels.points import read_points
    >>> read_points("0, 1\n0.5 1.2")
    ((0.0, 1.0), (0.5, 1.2))
    """
    lines = [line.strip() for line in text.splitlines()]
    if len(text) > 80 * MOST_ROWS or sum(map(bool, lines)) > MOST_ROWS:
        raise SpecError(f"Got more than {MOST_ROWS} lines of points; this is what the page takes. Take fewer rows.")
    rows = []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            row = tuple(float(word) for word in re.split(r"[\s,;]+", line.strip(",;")))
        except ValueError:
            raise SpecError(
                f"Got {line[:40]!r} on line {number}; a line holds numbers alone, x, y or x1, x2, y. Write 0.5, 1.2."
            ) from None
        if len(row) not in (2, 3):
            raise SpecError(
                f"Got {len(row)} numbers on line {number}; a line holds two or three, x, y or x1, x2, y. "
                "Write 0.5, 1.2."
            )
        rows.append(row)
    return tuple(rows)


def write_points(rows: Rows) -> str:
    """Write points as lines of text.

    Parameters
    ----------
    rows : tuple of tuple of float
        The points.

    Returns
    -------
    str
        What `read_points` reads.
    """
    return "\n".join(", ".join(f"{value:.5g}" for value in row) for row in rows)


class Points:
    """The rows that are shown, and the controls that change them.

    Parameters
    ----------
    dark : bool
        Whether the page is dark.
    """

    on_points: Callable[[Rows], None] | None = None
    """Called with all rows when the user has changed them."""

    def __init__(self, dark: bool = False):
        import panel as pn
        import panel.ui as pu
        from bokeh.models import ColumnDataSource

        self.dark, self._settings = dark, Settings()
        self._rows: Rows = ()
        self._tools: list[tuple[Any, Any]] = []
        columns = ("x", "y", "target", "marker", "face", "edge")
        self.source = ColumnDataSource({name: [] for name in columns})
        self.source.on_change("data", lambda attr, old, new: self._edited(new))
        self.switch = pu.Checkbox(label="Edit the points", value=False)
        self.label = pu.Select(label="Label of added points", options={"0": 0, "1": 1}, value=1, width=190)
        self.target = pu.FloatInput(label="y of added points", value=1.0, width=150)
        self.remove = pu.Button(label="Delete the selected point", variant="outlined")
        self.text = pu.TextAreaInput(
            label="Points (x, y on each line)", rows=6, max_length=80 * MOST_ROWS, sizing_mode="stretch_width"
        )
        self.apply = pu.Button(label="Apply", variant="outlined")
        self.status = pn.pane.HTML("", sizing_mode="stretch_width")
        self._help = pn.pane.HTML(
            '<p style="margin:0">Click on the picture to add a point, drag one to move it, click on one and press '
            "the button to delete it. Or change the numbers.</p>",
            sizing_mode="stretch_width",
        )
        tools = pn.FlexBox(self.label, self.target, self.remove, align_items="center")
        edit = (self._help, tools, self.text, self.apply, self.status)
        self._box = pn.Column(*edit, visible=False, sizing_mode="stretch_width", css_classes=["screen"])
        self.view = pn.Column(self.switch, self._box, sizing_mode="stretch_width", margin=0)
        self.switch.param.watch(lambda event: locked(self._edit), "value")
        self.label.param.watch(lambda event: locked(self._set_defaults), "value")
        self.target.param.watch(lambda event: locked(self._set_defaults), "value")
        self.remove.on_click(lambda event: locked(self._remove))
        self.apply.on_click(lambda event: locked(self._apply))

    def draw_on(self, figure: Any) -> Any:
        """Draw the points on a figure, where they can be edited.

        Parameters
        ----------
        figure : bokeh.plotting.figure
            The figure.

        Returns
        -------
        bokeh.models.GlyphRenderer
            Of the points.
        """
        from bokeh.models import PointDrawTool

        drawn = figure.scatter(
            "x", "y", source=self.source, size=9, marker="marker", fill_color="face", line_color="edge", line_width=1.2
        )
        # A selected point is larger in outline, others stay as they are.
        drawn.nonselection_glyph = drawn.glyph
        drawn.selection_glyph = drawn.glyph.clone(line_width=3.5, line_color="#E69F00")
        tool = PointDrawTool(renderers=[drawn])
        figure.add_tools(tool)
        # Until the user asks for it, a finger on the picture scrolls the page.
        figure.toolbar.active_multi = None
        self._tools.append((figure, tool))
        return drawn

    def show(self, settings: Settings) -> None:
        """Show the rows of a state of the page.

        Parameters
        ----------
        settings : Settings
            The state.
        """
        self._settings = settings
        self._rows = tuple(tuple(map(float, row)) for row in np.column_stack([settings.X, settings.y]))
        self._draw()
        two = settings.X.shape[1] == 2
        self.label.visible = two and settings.task == "binary"
        self.target.visible = two and not self.label.visible
        self.text.label = f"Points ({'x1, x2, y' if two else 'x, y'} on each line)"
        self.text.value = write_points(self._rows)
        self._say("")

    def repaint(self, dark: bool) -> None:
        """Change the colours to those of a dark or a light page."""
        self.dark = dark
        self._draw()

    def _draw(self):
        rows = np.array(self._rows).reshape(len(self._rows), -1)
        looks = [self._look(row[-1]) for row in self._rows]
        columns = zip(*looks, strict=True) if looks else ((), (), ())
        # Lists, which grow in the browser.
        data = {
            "x": rows[:, 0].tolist() if looks else [],
            "y": rows[:, 1].tolist() if looks else [],
            "target": rows[:, -1].tolist() if looks else [],
            **{name: list(values) for name, values in zip(("marker", "face", "edge"), columns, strict=True)},
        }
        if data != dict(self.source.data):
            self.source.selected.indices = []
            self.source.data = data
        self._set_defaults()

    def _look(self, target):
        if self._settings.task == "binary":
            return CLASSES[int(target)]
        paint = PAINTS[self.dark]
        return "circle", paint.ink, paint.paper

    def _set_defaults(self):
        """Say what points have that are added in the browser."""
        target = float(self.label.value if self._settings.task == "binary" else self.target.value or 0.0)
        look = dict(zip(("marker", "face", "edge"), self._look(target), strict=True))
        for _, tool in self._tools:
            tool.default_overrides = {"target": target, **look}

    def _edit(self):
        on = self.switch.value
        self._box.visible = on
        for figure, tool in self._tools:
            figure.toolbar.active_multi = tool if on else None

    def _edited(self, data):
        """Take what the browser has made of the points."""
        two = self._settings.X.shape[1] == 2
        columns = [data[name] for name in (("x", "y", "target") if two else ("x", "y"))]
        rows = []
        for row in zip(*columns, strict=False):
            values = [float(value) if value is not None else math.nan for value in row]
            rows.append((*values[:-1], self._snapped(values[-1])))
        # Our own updates come by here as well.
        if tuple(rows) != self._rows:
            self._offer(tuple(rows))

    def _snapped(self, y):
        """Nearest target that there can be."""
        if not math.isfinite(y):
            return y
        if self._settings.task == "binary":
            return float(y >= 0.5)
        return float(max(0, round(y))) if self._settings.task == "count" else y

    def _remove(self):
        chosen = set(self.source.selected.indices)
        if not chosen:
            self._say("No point is selected. Click on one first.")
            return
        self._offer(tuple(row for i, row in enumerate(self._rows) if i not in chosen))

    def _apply(self):
        try:
            rows = read_points(self.text.value_input or self.text.value or "")
        except SpecError as error:
            self._say(str(error))
            return
        self._offer(rows)

    def _offer(self, rows):
        """Hand rows on if the page can take them; otherwise say why not and show those that were there."""
        try:
            self._settings.with_(data=OWN, points=rows, n=0)
            self._say("")
            if self.on_points is not None:
                self.on_points(rows)
        except SpecError as error:
            self._say(str(error))
        # What was snapped or refused is put right; a page that took the rows has shown them already.
        self._draw()

    def _say(self, text):
        # A screen reader says what appears in it.
        self.status.object = f'<p role="status" style="margin:0;min-height:1.2em">{escape(text)}</p>'
