"""Two inputs: a surface of one answer, and beside it what the posterior does not know."""

import math

import numpy as np

from bayesnn.playground.answers import PROB, SURFACE, Answer, grid_of
from bayesnn.playground.found import Found
from bayesnn.playground.panels.curves import class_keys, label_of
from bayesnn.playground.panels.look import line_key, mark_key, new_figure, paint
from bayesnn.playground.panels.points import Points

LINE = "#111111"
"""Of the decision line, which lies on pale colours on every page."""
LN2 = math.log(2)


class Surfaces:
    """The pictures of two inputs.

    Parameters
    ----------
    points : Points
        The rows, which can be edited in them.
    dark : bool
        Whether the page is dark.
    """

    def __init__(self, points: Points, dark: bool = False):
        from bokeh.models import ColumnDataSource, LinearColorMapper, Range1d
        from bokeh.models.annotations import ColorBar
        from bokeh.palettes import Cividis256, RdBu11

        # Blue is the label 1, as in `bayesnn.plots.plot_fits`.
        self._probability, self._numbers = RdBu11[::-1], Cividis256
        span = {"x_range": Range1d(start=0, end=1), "y_range": Range1d(start=0, end=1)}
        self.figures, self.images, self.mappers = [], [], []
        for _ in range(2):
            figure = new_figure("x1", "x2", title=" ", dark=dark, height=320, min_width=260, **span)
            mapper = LinearColorMapper(palette=self._numbers, low=0.0, high=1.0)
            image = ColumnDataSource({"image": [], "x": [], "y": [], "dw": [], "dh": []})
            figure.image("image", "x", "y", "dw", "dh", source=image, color_mapper=mapper, global_alpha=0.85)
            bar = ColorBar(color_mapper=mapper, width=12, padding=4)
            figure.add_layout(bar, "right")
            self.figures.append(figure)
            self.images.append(image)
            self.mappers.append(mapper)
        self.contour = ColumnDataSource({"xs": [], "ys": []})
        self.figures[0].multi_line("xs", "ys", source=self.contour, line_color=LINE, line_width=2)
        for figure in self.figures:
            figure.grid.visible = False
            points.draw_on(figure)
            paint(figure, dark)

    def show(self, found: Found, answer: Answer | None) -> None:
        """Bring the pictures up to date.

        Parameters
        ----------
        found : Found
            What there is.
        answer : Answer or None
            Whose surface is shown.
        """
        settings, labels = found.settings, found.settings.task == "binary"
        grid = grid_of(settings)
        low, high = grid.min(axis=0), grid.max(axis=0)
        first = self.figures[0]
        first.x_range.update(start=float(low[0]), end=float(high[0]))
        first.y_range.update(start=float(low[1]), end=float(high[1]))
        for figure in self.figures:
            figure.xaxis.axis_label, figure.yaxis.axis_label = settings.dataset.feature_names
        target = settings.dataset.target_names[0]
        y = settings.dataset.y
        palette, ends = (self._probability, (0.0, 1.0)) if labels else (self._numbers, (float(y.min()), float(y.max())))
        self.mappers[0].update(palette=palette, low=ends[0], high=ends[1] if ends[1] > ends[0] else ends[0] + 1)
        what = f"probability of {label_of(found, 1)}" if labels else f"mean of {target}"
        first.title.text = f"{answer.heading}: {what}" if answer else what
        self._image(0, answer.mean if answer else None, low, high)
        self.contour.data = _contour(answer.mean if answer and labels else None, low, high)
        unknown = spread_of(found)
        self.figures[1].title.text = (
            "posterior: epistemic part (nats)" if labels else f"posterior: {PROB:.0%} band of the function, its width"
        )
        self._image(1, unknown, low, high)
        self.mappers[1].high = _top(unknown, labels)

    def _image(self, which, values, low, high):
        there = values is not None
        self.images[which].data = {
            "image": [np.reshape(values, (SURFACE, SURFACE))] if there else [],
            "x": [low[0]] if there else [],
            "y": [low[1]] if there else [],
            "dw": [high[0] - low[0]] if there else [],
            "dh": [high[1] - low[1]] if there else [],
        }

    def keys(self, found: Found) -> list[tuple[str, str]]:
        """Keys of what is drawn, for a legend."""
        if found.settings.task != "binary":
            return [mark_key("data", "circle")]
        return [*class_keys(found), line_key("probability 0.5")]

    def repaint(self, dark: bool) -> None:
        """Change the colours to those of a dark or a light page."""
        for figure in self.figures:
            paint(figure, dark)


def spread_of(found: Found) -> np.ndarray | None:
    """Say what the posterior does not know, on the grid.

    Parameters
    ----------
    found : Found
        What there is.

    Returns
    -------
    array (m,) or None
        Mutual information in nats for labels over two inputs, otherwise the width of the function's band; None where
        there is no posterior yet.
    """
    post = found.posterior
    if post is None:
        return None
    if post.epistemic is not None:
        return post.epistemic
    return None if post.f_lower is None or post.f_upper is None else post.f_upper - post.f_lower


def _top(values, labels):
    """End of the colours: one of few, so that they seldom change."""
    if values is None:
        return 1.0
    most = float(np.max(values))
    if labels:
        return next((top for top in (0.05, 0.1, 0.2, 0.4) if most <= top), LN2)
    return 2.0 ** math.ceil(math.log2(max(most, 1e-6)))


def _contour(values, low, high):
    """Lines where the probability is one half."""
    if values is None:
        return {"xs": [], "ys": []}
    from contourpy import contour_generator

    x, y = (np.linspace(a, b, SURFACE) for a, b in zip(low, high, strict=True))
    lines = contour_generator(x, y, np.reshape(values, (SURFACE, SURFACE))).lines(0.5)
    return {"xs": [line[:, 0] for line in lines], "ys": [line[:, 1] for line in lines]}
