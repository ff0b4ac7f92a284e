"""A loss and the likelihood that it is, side by side, with what the worst row of the MAP pays."""

import math
from dataclasses import dataclass
from typing import ClassVar, override

import numpy as np

from bayesnn.playground.answers import PointAnswer
from bayesnn.playground.found import Found
from bayesnn.playground.panels.base import PagePanel
from bayesnn.playground.panels.look import LOOKS, PAINTS, legend, line_key, mark_key, new_figure, paint, pane_of
from bayesnn.playground.settings import LEARNED, Settings

POINTS = 241
CURVES = (("#56B4E9", "solid"), ("#E69F00", "dashed"), ("#CC79A7", "dotdash"))
"""Colours and dashes of the targets of labels and counts."""
MARK = ("x", "y", "text", "align", "offset", "drop")
"""Columns of the mark of a row."""
NAMES = {
    "squared_error": "squared error",
    "absolute_error": "absolute error",
    "huber": "Huber's loss",
    "student_t": "Student's loss",
    "binary_cross_entropy": "cross-entropy",
    "poisson": "Poisson loss",
}


@dataclass(frozen=True)
class Worst:
    """The row that pays most under the MAP.

    Parameters
    ----------
    x : float
        Its residual, or the output there.
    target : float
        What was observed, in the units of the model.
    loss, density : float
        Its loss, and the density or probability that the MAP gives it.
    nats, all : float
        What it pays, a times its loss above the least that any output could give it, and what all rows pay.
    """

    x: float
    target: float
    loss: float
    density: float
    nats: float
    all: float


class LossPanel(PagePanel):
    """The loss curve and the density that it is."""

    key: ClassVar[str] = "loss"
    title: ClassVar[str] = "The loss is a likelihood"
    why: ClassVar[str] = (
        "Every loss here is a negative log-likelihood up to a factor a and a constant b: -log p = a × loss + b, so "
        "whoever minimises it has chosen how the data scatter. The factor says how many nats a unit of loss costs: "
        "smaller noise makes the data weigh more against the prior. A loss that grows fast far out has a density with "
        "light tails, under which an outlier is almost impossible and so pulls the fit hard."
    )
    notebook: ClassVar[str] = "03_losses"

    def __init__(self, dark: bool = False):
        import panel as pn
        from bokeh.models import ColumnDataSource, Range1d

        super().__init__(dark)
        self._seen: tuple[Settings | None, PointAnswer | None, Worst | None] = (None, None, None)
        span = Range1d(start=-1, end=1)
        self.figures = [
            new_figure(
                "u",
                "y",
                title=title,
                dark=dark,
                height=270,
                min_width=250,
                x_range=span,
                y_range=Range1d(start=0, end=1),
            )
            for title in ("The loss", "The likelihood that it is")
        ]
        self.curves: list[list[ColumnDataSource]] = []
        for figure in self.figures:
            sources = []
            for colour, dash in CURVES:
                source = ColumnDataSource({"x": [], "y": []})
                figure.line("x", "y", source=source, line_color=colour, line_dash=dash, line_width=2.5)
                sources.append(source)
            self.curves.append(sources)
        look, self.marks, self._texts = LOOKS["map"], [], []
        for figure in self.figures:
            mark = ColumnDataSource({name: [] for name in MARK})
            figure.scatter(
                "x", "y", source=mark, marker=look.marker, size=13, fill_color=look.colour, line_color="#FFFFFF"
            )
            text = figure.text(
                "x",
                "y",
                text="text",
                text_align="align",
                x_offset="offset",
                y_offset="drop",
                text_baseline="middle",
                source=mark,
                text_font_size="13px",
                text_color=PAINTS[dark].ink,
                background_fill_color=PAINTS[dark].paper,
                background_fill_alpha=0.75,
            )
            self.marks.append(mark)
            self._texts.append(text)
        places = [
            pn.Column(pane_of(figure), min_width=250, margin=0, styles={"flex": "1 1 250px"}) for figure in self.figures
        ]
        self._legend = pn.pane.HTML("", sizing_mode="stretch_width")
        self.view = pn.Column(
            pn.FlexBox(*places, sizing_mode="stretch_width"), self._legend, sizing_mode="stretch_width", margin=0
        )

    @override
    def show(self, found: Found) -> None:
        settings, loss = found.settings, found.settings.net.loss
        noise, worst = noise_of(found), self._worst(found)
        numbers = settings.task == "regression"
        x = self._range(found, worst)
        targets = [0.0] if numbers else _targets(found, worst)
        losses, densities = [], []
        for target in targets:
            # Of a regression the output is 0 and the target moves, otherwise the output moves.
            y, f = (x, np.zeros((POINTS, 1))) if numbers else (np.full(POINTS, int(target)), x[:, None])
            losses.append(loss.loss(y, f, noise=noise))
            densities.append(np.exp(loss.logp(y, f, noise=noise)))
        for sources, values in zip(self.curves, (losses, densities), strict=True):
            for k, source in enumerate(sources):
                source.data = {"x": x, "y": values[k]} if k < len(values) else {"x": [], "y": []}
        self.figures[0].x_range.update(start=float(x[0]), end=float(x[-1]))
        for figure, values in zip(self.figures, (losses, densities), strict=True):
            low, high = min(map(np.min, values)), max(map(np.max, values))
            margin = 0.08 * (high - low or 1.0)
            figure.y_range.update(start=float(low - margin), end=float(high + margin))
            figure.xaxis.axis_label = _axis(found)
        self.figures[0].yaxis.axis_label = "loss"
        self.figures[1].yaxis.axis_label = "density p(y | f)" if numbers else "probability p(y | f)"
        for mark, name in zip(self.marks, ("loss", "density"), strict=True):
            empty: dict[str, list] = {key: [] for key in MARK}
            if worst is not None:
                right = worst.x > (x[0] + x[-1]) / 2
                said = f"pays {worst.nats:.2g} nats" if name == "loss" else f"p = {worst.density:.2g}"
                empty = {
                    "x": [worst.x],
                    "y": [getattr(worst, name)],
                    "text": [said],
                    "align": ["right" if right else "left"],
                    "offset": [-12 if right else 12],
                    "drop": [-12 if name == "loss" else 12],
                }
            mark.data = empty
        self._legend.object = legend(self._keys(found, targets, worst))

    def _worst(self, found):
        """Look once for picture, sentence and words."""
        settings, map_, worst = self._seen
        if settings is not found.settings or map_ is not found.map:
            worst = worst_of(found)
            self._seen = found.settings, found.map, worst
        return worst

    def _range(self, found, worst):
        """Residuals or outputs to draw at; the worst row is among them."""
        if found.settings.task == "regression":
            reach = 4 * float(noise_of(found) or 1.0)
            reach = max(reach, 1.15 * abs(worst.x) if worst else 0.0)
            return np.linspace(-reach, reach, POINTS)
        if found.settings.task == "binary":
            reach = max(5.0, 1.15 * abs(worst.x) if worst else 0.0)
            return np.linspace(-reach, reach, POINTS)
        high = math.log(max(1.0, float(np.max(found.settings.y)))) + 0.7
        low = -2.0
        return np.linspace(
            min(low, worst.x - 0.3) if worst else low, max(high, worst.x + 0.3) if worst else high, POINTS
        )

    def _keys(self, found, targets, worst):
        if found.settings.task == "regression":
            keys = [line_key(NAMES[found.settings.loss], *CURVES[0])]
        else:
            keys = [line_key(f"y = {target:g}", *look) for target, look in zip(targets, CURVES, strict=False)]
        if worst is not None:
            keys.append(mark_key("the row that pays most under the MAP", LOOKS["map"].marker, LOOKS["map"].colour))
        return keys

    @override
    def repaint(self, dark: bool) -> None:
        super().repaint(dark)
        for figure, text in zip(self.figures, self._texts, strict=True):
            paint(figure, dark)
            text.glyph.update(text_color=PAINTS[dark].ink, background_fill_color=PAINTS[dark].paper)

    @override
    def sentence(self, found: Found) -> str:
        said, worst = law(found), self._worst(found)
        if worst is None:
            return f"{said}."
        if found.settings.task == "regression":
            where = f"the largest residual of the MAP, {worst.x:.2g},"
        else:
            where = f"the row that the MAP expects least, y = {worst.target:g} at f = {worst.x:.2g},"
        of = f" of the {worst.all:.2f} that all {len(found.settings.X)} rows pay" if len(found.settings.X) > 1 else ""
        over = " above its least" if found.settings.task == "count" else ""
        return f"{said}: {where} pays {worst.nats:.2f} nats{over}{of}.".replace(" -", " −")

    @override
    def words(self, found: Found) -> str:
        settings, loss, noise = found.settings, found.settings.net.loss, noise_of(found)
        worst = self._worst(found)
        said = [f"{NAMES[settings.loss].capitalize()} is the loss of a {loss.likelihood} likelihood. {law(found)}."]
        if settings.task == "regression":
            at = np.array([0.0, 1.0, 2.0]) * float(noise or 1.0)
            values, p = (
                loss.loss(at, np.zeros((3, 1)), noise=noise),
                np.exp(loss.logp(at, np.zeros((3, 1)), noise=noise)),
            )
            said += [
                f"At a residual of {u:.3g}: loss {v:.3g}, density {q:.3g}."
                for u, v, q in zip(at, values, p, strict=True)
            ]
        else:
            for target in _targets(found, worst):
                at = np.array([-1.0, 0.0, 1.0])
                y = np.full(3, int(target))
                values, p = loss.loss(y, at[:, None]), np.exp(loss.logp(y, at[:, None]))
                said += [
                    f"For y = {target:g} at f = {f:g}: loss {v:.3g}, probability {q:.3g}."
                    for f, v, q in zip(at, values, p, strict=True)
                ]
        if worst is not None:
            said.append(f"The worst row of the MAP, at {worst.x:.3g}, pays {worst.nats:.3g} nats.")
        return " ".join(said)


def noise_of(found: Found) -> float | None:
    """Take the noise scale that the curves are drawn with.

    Parameters
    ----------
    found : Found
        What there is.

    Returns
    -------
    float or None
        As set, or the MAP's where it is learned (1 until that is there); None for a loss without a scale.
    """
    settings = found.settings
    if not settings.net.loss.has_noise:
        return None
    if settings.noise != LEARNED:
        return settings.noise
    return float(found.map.weights["noise"]) if found.map is not None and "noise" in found.map.weights else 1.0


def worst_of(found: Found) -> Worst | None:
    """Look for the row that pays most under the MAP.

    Parameters
    ----------
    found : Found
        What there is.

    Returns
    -------
    Worst or None
        In the units that the model works in; None where there is no MAP yet.
    """
    from bayesnn.tree import prepare

    settings, map_ = found.settings, found.map
    if map_ is None or not map_.exists or not map_.weights:
        return None
    problem = prepare(settings.net, settings.X, settings.y, scaling=settings.scaling)
    f, y, loss, noise = settings.net.forward(map_.weights, problem.X), problem.y, settings.net.loss, noise_of(found)
    losses, logp = loss.loss(y, f, noise=noise), loss.logp(y, f, noise=noise)
    paid = float(loss.coefficients(noise=noise)[0]) * (losses - _least(loss, y))
    i = int(np.argmax(paid))
    x = y[i] - f[i, 0] if settings.task == "regression" else f[i, 0]
    return Worst(float(x), float(y[i]), float(losses[i]), float(np.exp(logp[i])), float(paid[i]), float(paid.sum()))


def _least(loss, y):
    """Least loss of each row, whatever the output."""
    if loss.task != "count":
        return np.zeros(len(y))
    # At the log-rate log y; for no events it falls to 0 as the rate does.
    return np.where(y > 0, loss.loss(y, np.log(np.maximum(y, 1.0))[:, None]), 0.0)


def law(found: Found) -> str:
    """Write -log p = a × loss + b with its numbers.

    Parameters
    ----------
    found : Found
        What there is.

    Returns
    -------
    str
        For counts b is the name of a function of y.
    """
    loss, noise = found.settings.net.loss, noise_of(found)
    a, b = loss.coefficients(noise=noise)
    said = NAMES[found.settings.loss]
    if not math.isclose(float(a), 1.0):
        said = f"{float(a):.3g} × {said}"
    if callable(b):
        said += " + log y!"
    elif abs(float(b)) >= 0.005:
        said += f" {'+' if b > 0 else '−'} {abs(float(b)):.2f}"
    return f"−log p = {said}"


def _targets(found, worst):
    """Up to three targets that are drawn, the worst row's among them."""
    if found.settings.task == "binary":
        return [0.0, 1.0]
    seen = np.unique(found.settings.y)
    chosen = {float(seen[0]), float(seen[-1]), float(worst.target if worst else seen[len(seen) // 2])}
    return sorted(chosen)


def _axis(found):
    """Label of the horizontal axis."""
    if found.settings.task == "regression":
        return "residual y − f" + (", standardised" if found.settings.scaled else "")
    return "logit f" if found.settings.task == "binary" else "log-rate f"
