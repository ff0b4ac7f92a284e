"""The numbers of the three answers, the evidence against the width, and the modes of the function."""

import math
from typing import ClassVar, override

import numpy as np

from bayesnn.playground.answers import grid_of
from bayesnn.playground.found import Found
from bayesnn.playground.panels.base import PagePanel
from bayesnn.playground.panels.look import (
    LOOKS,
    PAINTS,
    band_key,
    legend,
    line_key,
    mark_key,
    new_figure,
    paint,
    pane_of,
)
from bayesnn.playground.panels.table import table

SEEN = 0.01
"""Share below which a mode is not shown."""
MODES = (("#0072B2", "solid"), ("#E69F00", "dashed"), ("#CC79A7", "dotdash"), ("#56B4E9", "dotted"))
"""Colours and dashes of modes; more are not drawn."""
MOST = 15.0
"""Nats that the picture of the widths reaches down: what is lower is read from its number."""
SURE = 2.0
"""Standard errors beyond which two evidences differ."""


class NumbersPanel(PagePanel):
    """Likelihood, prior and evidence as numbers, and against the width."""

    key: ClassVar[str] = "numbers"
    title: ClassVar[str] = "How likely, how plausible, how much evidence"
    why: ClassVar[str] = (
        "The log-likelihood says how probable an answer makes the data, the log-prior how plausible its weights were "
        "before: the MLE has the highest of the first, the MAP the highest sum. The evidence is the likelihood "
        "averaged over the whole prior, so a wider network has more only if enough of its networks fit the data: this "
        "is Occam's razor: the likelihood of the best network hardly ever falls with the width, the evidence may."
    )
    notebook: ClassVar[str] = "09_occam"

    def __init__(self, dark: bool = False):
        import panel as pn
        from bokeh.models import ColumnDataSource, LinearAxis, Range1d
        from bokeh.models.annotations import Whisker

        super().__init__(dark)
        self.table = pn.pane.HTML("", sizing_mode="stretch_width")
        self.figure = new_figure(
            "hidden units (first layer)",
            "log evidence (nats)",
            dark=dark,
            x_range=Range1d(start=-0.6, end=8.6),
            y_range=Range1d(start=0, end=1),
        )
        self.figure.xaxis.ticker = list(range(9))
        self.figure.xgrid.visible = False
        green, blue = LOOKS["posterior"], LOOKS["map"]
        names = ("width", "evidence", "lower", "upper", "foot", "number", "place", "alpha", "edge", "likelihood")
        self.bars = ColumnDataSource({name: [] for name in names})
        self._bars = self.figure.vbar(
            "width",
            0.62,
            "evidence",
            "foot",
            source=self.bars,
            fill_color=green.colour,
            fill_alpha="alpha",
            line_color=PAINTS[dark].ink,
            line_width="edge",
        )
        self._numbers = self.figure.text(
            "width", "place", "number", source=self.bars, text_align="center", y_offset=-4, text_font_size="12px"
        )
        self._whisker = Whisker(base="width", lower="lower", upper="upper", source=self.bars, line_width=1.5)
        self.figure.add_layout(self._whisker)
        self.figure.extra_y_ranges = {"likelihood": Range1d(start=0, end=1)}
        self.figure.add_layout(LinearAxis(y_range_name="likelihood", axis_label="MAP's log-likelihood (nats)"), "right")
        look = {"source": self.bars, "y_range_name": "likelihood"}
        self.figure.line("width", "likelihood", line_color=blue.colour, line_width=2.5, line_dash=blue.dash, **look)
        self.figure.scatter(
            "width", "likelihood", marker=blue.marker, size=10, fill_color=blue.colour, line_color="#FFFFFF", **look
        )
        self._occam_keys = pn.pane.HTML("", sizing_mode="stretch_width")
        self.modes_figure = new_figure("x", "y", title="Mean function of each mode", dark=dark, height=220)
        self.modes, self._modes = [], []
        for colour, dash in MODES:
            source = ColumnDataSource({"x": [], "y": []})
            self.modes.append(source)
            drawn = self.modes_figure.line("x", "y", source=source, line_color=colour, line_dash=dash, line_width=2)
            self._modes.append(drawn)
        self.rows = ColumnDataSource({"x": [], "y": []})
        self._rows = self.modes_figure.scatter("x", "y", source=self.rows, size=4, alpha=0.7)
        self._mode_keys = pn.pane.HTML("", sizing_mode="stretch_width")
        self._occam = pn.Column(pane_of(self.figure), self._occam_keys, sizing_mode="stretch_width", margin=0)
        self._mode_curves = pane_of(self.modes_figure)
        self._mode_box = pn.Column(self._mode_curves, self._mode_keys, sizing_mode="stretch_width", margin=0)
        self.view = pn.Column(self.table, self._occam, self._mode_box, sizing_mode="stretch_width", margin=0)
        self._paint()

    @override
    def show(self, found: Found) -> None:
        self.table.object = table_of(found)
        self._occam.visible = bool(found.widths)
        self._show_widths(found)
        self._show_modes(found)

    def _show_widths(self, found):
        widths = [width for width in sorted(found.widths) if np.isfinite(found.widths[width][:2]).all()]
        values = np.array([found.widths[width] for width in widths]).reshape(-1, 3)
        evidence, se, likelihood = values.T
        now = [width == found.settings.hidden for width in widths]
        foot = 0.0
        if widths:
            high, best = float((evidence + se).max()), float(np.nanmax(likelihood))
            fall = max(high - float((evidence - se).min()), best - float(np.nanmin(likelihood)), 1.0)
            fall = min(fall, MOST)
            foot, length = high - 1.15 * fall, 1.8 * fall
            # One nat is as long on both axes, so that slopes can be compared; the line runs above the bars.
            self.figure.y_range.update(start=foot, end=foot + length)
            top = best + 0.15 * fall
            self.figure.extra_y_ranges["likelihood"].update(start=top - length, end=top)
            self.figure.x_range.update(start=min(widths) - 0.6, end=max(widths) + 0.6)
        self.bars.data = {
            "width": widths,
            "evidence": evidence,
            "lower": evidence - se,
            "upper": evidence + se,
            "foot": np.full(len(widths), foot),
            "number": [number(value) for value in evidence],
            "place": np.maximum(evidence + se, foot),
            "alpha": [0.85 if here else 0.35 for here in now],
            "edge": [3.0 if here else 0.5 for here in now],
            "likelihood": likelihood,
        }
        green, blue = LOOKS["posterior"].colour, LOOKS["map"]
        keys = [
            band_key(
                "log evidence ± se, left axis; only differences count, and bars far below the best are cut", green, 0.35
            ),
            line_key("MAP's log-likelihood, right axis with equal steps", blue.colour, blue.dash),
        ]
        if any(now):
            keys.insert(
                1, band_key(f"dark with a thick edge: {units(found.settings.hidden)}, as shown now", green, 0.85)
            )
        self._occam_keys.object = legend(keys)

    def _show_modes(self, found):
        settings, seen = found.settings, modes_of(found)
        self._mode_box.visible = len(seen) > 1
        one = settings.X.shape[1] == 1
        self._mode_curves.visible = one
        x = grid_of(settings)[:, 0]
        keys = []
        for place, source in enumerate(self.modes):
            drawn = len(seen) > 1 and one and place < len(seen)
            source.data = {"x": x, "y": found.posterior.mode_means[seen[place][0]]} if drawn else {"x": [], "y": []}
        if len(seen) > 1:
            for place, (_, share, se) in enumerate(seen):
                label = f"mode {place + 1}: {percent(share, se)}"
                keys.append(line_key(label, *MODES[place]) if one and place < len(MODES) else (label, ""))
            if one:
                keys.append(mark_key("data", "circle"))
        self.rows.data = {"x": settings.X[:, 0], "y": settings.y} if one else {"x": [], "y": []}
        self.modes_figure.xaxis.axis_label = settings.dataset.feature_names[0]
        labels = settings.task == "binary"
        self.modes_figure.yaxis.axis_label = "probability of 1" if labels else settings.dataset.target_names[0]
        self._mode_keys.object = legend(keys) if keys else ""

    @override
    def repaint(self, dark: bool) -> None:
        super().repaint(dark)
        paint(self.figure, dark)
        paint(self.modes_figure, dark)
        self._paint()

    def _paint(self):
        ink = PAINTS[self.dark].ink
        self._bars.glyph.line_color = ink
        self._whisker.line_color = self._numbers.glyph.text_color = ink
        self._whisker.upper_head.line_color = self._whisker.lower_head.line_color = ink
        self._rows.glyph.update(fill_color=ink, line_color=ink)

    @override
    def sentence(self, found: Found) -> str:
        parts = [_of_widths(found), _of_modes(found)]
        if found.posterior is not None and found.posterior.unmet:
            parts.append(f"the evidence is not to be relied on yet: {found.posterior.unmet.rstrip('.')}")
        said = "; ".join(part for part in parts if part)
        if not said:
            trouble = found.troubles.get("posterior")
            said = f"the evidence can't be had: {trouble.rstrip('.')}" if trouble else "the evidence is being computed"
        return said[0].upper() + said[1:] + "."

    @override
    def words(self, found: Found) -> str:
        said = []
        for answer in (found.mle, found.map, found.posterior):
            if answer is not None:
                mean = "mean " if answer.kind == "posterior" else ""
                prior = "" if not answer.exists else f", {mean}log-prior {number(answer.log_prior)}"
                said.append(f"{answer.heading}: {mean}log-likelihood {number(answer.log_likelihood)}{prior}.")
        if found.posterior is not None:
            said.append(f"Log evidence {error(found.posterior.evidence, found.posterior.evidence_se)}.")
        for width, (evidence, se, likelihood) in sorted(found.widths.items()):
            now = ", as shown now" if width == found.settings.hidden else ""
            said.append(
                f"{units(width)}{now}: log evidence {error(evidence, se)}, "
                f"log-likelihood of the MAP {number(likelihood)}."
            )
        said += [f"Mode {i} of the function: {percent(*rest)}." for i, (_, *rest) in enumerate(modes_of(found), 1)]
        return " ".join(said) or "No numbers yet."


def table_of(found: Found) -> str:
    """Write the numbers as a table of HTML.

    Parameters
    ----------
    found : Found
        What there is.

    Returns
    -------
    str
        With headings for screen readers; what is not there yet is a dash.
    """
    answers = [found.mle, found.map, found.posterior]
    usual = ("MLE", "MAP", "posterior")
    names = [answer.heading if answer else name for answer, name in zip(answers, usual, strict=True)]
    names[2] += " (mean over draws)"
    likelihood = [number(a.log_likelihood) if a else "–" for a in answers]
    # Where there is no maximum, the weights and with them the log-prior run away.
    prior = [("–" if a is None else number(a.log_prior) if a.exists else "→ −∞") for a in answers]
    total = [("–" if a is None else number(a.log_likelihood + a.log_prior) if a.exists else "→ −∞") for a in answers]
    post = found.posterior
    evidence = ["", "", error(post.evidence, post.evidence_se) if post else "–"]
    rows = [
        ("log-likelihood", *likelihood),
        ("log-prior", *prior),
        ("their sum", *total),
        ("log evidence ± se", *evidence),
    ]
    return table("The answers, in nats", ["number", *names], rows)


def modes_of(found: Found) -> list[tuple[int, float, float]]:
    """List the modes of the function that are worth a line.

    Parameters
    ----------
    found : Found
        What there is.

    Returns
    -------
    list of (int, float, float)
        Number, share and standard error of each, the largest first.
    """
    if found.posterior is None:
        return []
    listed = [(k, share, se) for k, (share, se) in enumerate(found.posterior.shares) if share >= SEEN]
    return sorted(listed, key=lambda mode: -mode[1])


def number(value: float) -> str:
    """Write a number of nats, with a minus sign that is one."""
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:,.2f}".replace("-", "−") if abs(value) < 1000 else f"{value:,.0f}".replace("-", "−")


def error(value: float, se: float) -> str:
    """Write a number with its standard error."""
    return number(value) + (f" ± {se:.2f}" if math.isfinite(se) else "")


def percent(share: float, se: float) -> str:
    """Write a share with its standard error."""
    return f"{100 * share:.0f}" + (f" ± {100 * se:.0f}" if math.isfinite(se) else "") + " %"


def units(width: int) -> str:
    """Write a width in words."""
    return f"{width} hidden unit" + ("" if width == 1 else "s")


def _of_widths(found):
    """Say which width the evidence prefers."""
    widths = {k: v for k, v in found.widths.items() if math.isfinite(v[0])}
    now = found.settings.hidden
    if len(widths) < 2 or now not in widths:
        return ""
    best = max(widths, key=lambda width: widths[width][0])
    other = (
        max((width for width in widths if width != best), key=lambda width: widths[width][0]) if best == now else now
    )
    gain, se = widths[best][0] - widths[other][0], math.hypot(widths[best][1], widths[other][1])
    unsure = not gain > SURE * se
    by, are = error(gain, se), "is" if now == 1 else "are"
    if best == now:
        said = f"the evidence prefers the {units(now)} that {are} shown, by {by} nats over {other}"
    else:
        said = f"the evidence prefers {units(best)}, by {by} nats over the {now} that {are} shown"
    if unsure:
        said += ", which its error does not tell apart"
    wider = [width for width in widths if width > best]
    if not wider:
        return said + f"; no width above {best} has been tried"
    most = max(wider, key=lambda width: widths[width][2])
    rise = widths[most][2] - widths[best][2]
    if rise > 0.01:
        return said + f", while the MAP's log-likelihood goes on rising, by {rise:.2f} nats up to {most}"
    return said + f", and beyond {best} the MAP's log-likelihood does not rise either"


def _of_modes(found):
    """Say how many modes of the function there are."""
    seen = modes_of(found)
    if not seen:
        return ""
    if len(seen) == 1:
        return "the draws lie in one mode of the function"
    shares = ", ".join(percent(share, se) for _, share, se in seen[: len(MODES)])
    return f"the posterior has {len(seen)} modes of the function, with shares of {shares}"
