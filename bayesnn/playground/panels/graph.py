"""The network as a graph, and what may be done to its units without anybody noticing."""

import math
from functools import partial
from typing import Any

import numpy as np

from bayesnn.playground.found import Found
from bayesnn.playground.moves import Changes, Moves
from bayesnn.playground.panels.base import PagePanel
from bayesnn.playground.panels.look import LOOKS, PAINTS, legend, line_key, mark_key, new_figure, paint, pane_of
from bayesnn.playground.panels.table import table
from bayesnn.playground.settings import Settings

SIGNS = {"positive": ("#0072B2", "solid"), "negative": ("#D55E00", "dashed")}
"""Colour and dash of weights by their sign."""
PATTERNS = {"solid": "solid", "dashed": [10, 5]}
"""Bokeh's own dashes are shorter than thick lines are wide."""
THIN, THICK = 0.6, 9.0
"""Widths of lines, of a weight of zero and of the largest one."""
MOST_LABELS = 14
"""Weights up to which each line bears its number."""
MOST_BIASES = 5
"""Units of a layer up to which there is room for biases."""
NOTHING: dict[str, dict[str, list[Any]]] = {
    "lines": {name: [] for name in ("x0", "y0", "x1", "y1", "width", "name", "value")},
    "labels": {name: [] for name in ("x", "y", "text")},
    "nodes": {name: [] for name in ("x", "y", "text", "bias")},
    "curve": {"x": [], "y": []},
}


class GraphPanel(PagePanel):
    """Network graph with buttons that rearrange its units."""

    key = "graph"
    title = "The network, and what may be rearranged"
    why = (
        "Hidden units have no names: if two of them change places with all their weights, the network computes the "
        "same function, so the likelihood stays, and so does a prior that treats the units of a layer alike. An odd "
        "activation such as tanh also lets a unit flip the signs of what enters and what leaves it, because the two "
        "minus signs cancel and the prior sees no sign; a sigmoid needs a shift of the next bias for that, which the "
        "prior sees, and a ReLU has no such flip. So each maximum, and each mode of the posterior, comes in many "
        "copies that no data can tell apart."
    )
    notebook = "07_many_optima"

    def __init__(self, dark: bool = False):
        import panel as pn
        import panel.ui as ui
        from bokeh.models import ColumnDataSource

        super().__init__(dark)
        self.moves: Moves | None = None
        self.said = ""
        self._map: Any = None
        self.sources = {
            name: ColumnDataSource(NOTHING[kind])
            for name, kind in (
                *((sign, "lines") for sign in SIGNS),
                ("labels", "labels"),
                ("nodes", "nodes"),
                *((name, "curve") for name in ("rows", "before", "after", "pairs", "diagonal")),
            )
        }
        self.graph = self._new_graph()
        self.curve = self._new_curve()
        self.buttons = {
            name: ui.Button(label=label, variant="outlined", size="small", margin=4, disabled=True)
            for name, label in (
                ("permute", "Permute two units"),
                ("flip", "Flip a sign"),
                ("flip_one_side", "Flip one side only"),
                ("back", "Back to the MAP"),
            )
        }
        for name, button in self.buttons.items():
            button.on_click(partial(self._clicked, name))
        self.keys = pn.pane.HTML(margin=4, sizing_mode="stretch_width")
        self.curve_keys = pn.pane.HTML(margin=4, sizing_mode="stretch_width")
        self.numbers = pn.pane.HTML(margin=4, sizing_mode="stretch_width")
        wide = {"sizing_mode": "stretch_width", "margin": 0}
        side = {"min_width": 280, "styles": {"flex": "1 1 300px"}, **wide}
        self.view = pn.Column(
            pn.FlexBox(*self.buttons.values(), **wide),
            pn.FlexBox(
                pn.Column(pane_of(self.graph), self.keys, **side),
                pn.Column(pane_of(self.curve), self.curve_keys, self.numbers, **side),
                **wide,
            ),
            **wide,
        )
        self._write_keys()

    def _new_graph(self):
        from bokeh.models import HoverTool, Range1d

        figure = new_figure(
            "", "", dark=self.dark, x_range=Range1d(start=-0.35, end=2.35), y_range=Range1d(start=-1, end=1)
        )
        figure.axis.visible = figure.grid.visible = False
        lines = [
            figure.segment(
                "x0",
                "y0",
                "x1",
                "y1",
                line_width="width",
                line_color=colour,
                line_dash=PATTERNS[dash],
                line_alpha=0.85,
                source=self.sources[sign],
            )
            for sign, (colour, dash) in SIGNS.items()
        ]
        self.texts = [
            figure.text(
                "x",
                "y",
                "text",
                source=self.sources["labels"],
                text_font_size="12px",
                text_align="center",
                text_baseline="middle",
                background_fill_alpha=0.8,
                padding=1,
            )
        ]
        self.nodes = figure.scatter("x", "y", size=30, line_width=1.5, source=self.sources["nodes"])
        common = {"source": self.sources["nodes"], "text_align": "center"}
        self.texts += [
            figure.text("x", "y", "text", text_baseline="middle", text_font_size="13px", **common),
            figure.text(
                "x",
                "y",
                "bias",
                y_offset=15,
                text_baseline="top",
                text_font_size="11px",
                background_fill_alpha=0.8,
                **common,
            ),
        ]
        figure.add_tools(HoverTool(renderers=lines, tooltips=[("weight", "@name"), ("value", "@value{0.000}")]))
        self._paint_graph(figure)
        return figure

    def _paint_graph(self, figure):
        colours = PAINTS[self.dark]
        for text in self.texts:
            text.glyph.text_color = colours.ink
        for text in (self.texts[0], self.texts[2]):
            text.glyph.background_fill_color = colours.paper
        self.nodes.glyph.line_color, self.nodes.glyph.fill_color = colours.ink, colours.paper
        figure.grid.visible = False

    def _new_curve(self):
        from bokeh.models import Range1d

        ranges = {"x_range": Range1d(start=-1, end=1), "y_range": Range1d(start=-1, end=1)}
        figure = new_figure("x", "y", dark=self.dark, height=230, **ranges)
        rows = figure.scatter("x", "y", size=4, fill_alpha=0.5, line_color=None, source=self.sources["rows"])
        before = figure.line(
            "x", "y", line_width=6, line_alpha=0.45, line_color=LOOKS["map"].colour, source=self.sources["before"]
        )
        after = figure.line("x", "y", line_width=2, line_dash="dashed", source=self.sources["after"])
        diagonal = figure.line("x", "y", line_width=1.5, line_dash="dashed", source=self.sources["diagonal"])
        pairs = figure.scatter(
            "x",
            "y",
            size=6,
            line_width=0.5,
            fill_color=LOOKS["map"].colour,
            fill_alpha=0.7,
            source=self.sources["pairs"],
        )
        self.lines = {"rows": rows, "before": before, "after": after, "diagonal": diagonal, "pairs": pairs}
        self._paint_curve()
        return figure

    def _paint_curve(self):
        ink = PAINTS[self.dark].ink
        self.lines["rows"].glyph.fill_color = ink
        for name in ("after", "diagonal", "pairs"):
            self.lines[name].glyph.line_color = ink

    def _write_keys(self):
        ink, two = PAINTS[self.dark].ink, self.moves is not None and self.moves.settings.X.shape[1] == 2
        largest = f"; the thickest is {self._largest():.3g}" if self.moves is not None else ""
        more = f"Width: size of the weight{largest}."
        if self.moves is not None and max(self.moves.net.hidden, default=1) <= MOST_BIASES and self.moves.net.bias:
            more += " Below a node: its bias."
        signs = legend(line_key(f"{sign} weight", *look) for sign, look in SIGNS.items())
        self.keys.object = f"{signs}<p style='font-size:.9rem;margin:.2em 0'>{more}</p>"
        marks = [mark_key("a row", "circle", LOOKS["map"].colour, ink), line_key("no change", ink, "dashed")]
        lines = [line_key("at the MAP", LOOKS["map"].colour), line_key("now", ink, "dashed")]
        self.curve_keys.object = legend(marks if two else lines)

    def _clicked(self, name, event):
        self.press(name)

    def press(self, name: str) -> None:
        """Do what a button says.

        Parameters
        ----------
        name : {"permute", "flip", "flip_one_side", "back"}
            Which one.
        """
        if self.moves is None:
            return
        self.said = getattr(self.moves, name)() or ""
        self._draw()
        if self.on_change is not None:
            self.on_change()

    def show(self, found: Found) -> None:
        """Draw the MAP; what the buttons have done is undone where there is a new one."""
        if found.map is self._map and self.moves is not None and self.moves.settings is found.settings:
            return
        self._map, self.said = found.map, ""
        self.moves = None if found.map is None else Moves(found.settings, found.map.weights)
        self._draw()

    def _draw(self):
        moves = self.moves
        units = moves is not None and bool(moves.net.hidden)
        for name, button in self.buttons.items():
            button.disabled = not units or (name == "permute" and not moves.may_permute)
        self._write_keys()
        if moves is None:
            for source in self.sources.values():
                source.data = {name: [] for name in source.data}
            self.numbers.object = ""
            return
        self._draw_graph(moves)
        self._draw_curve(moves)
        self.numbers.object = table(
            "The three numbers, at the MAP and now", ["number", "at the MAP", "now", "change"], self._rows(moves)
        )

    def _largest(self):
        weights = self.moves.weights.items() if self.moves is not None else ()
        return max((float(np.abs(value).max()) for name, value in weights if name[0] == "W"), default=0.0)

    def _draw_graph(self, moves):
        names = _node_names(moves)
        most = max(map(len, names))
        places = [
            [(float(layer), 0.5 * (len(some) - 1) - i) for i in range(len(some))] for layer, some in enumerate(names)
        ]
        nodes: dict[str, list[Any]] = {"x": [], "y": [], "text": [], "bias": []}
        lines = {sign: {name: [] for name in NOTHING["lines"]} for sign in SIGNS}
        labels: dict[str, list[Any]] = {"x": [], "y": [], "text": []}
        largest = self._largest() or 1.0
        count = sum(value.size for name, value in moves.weights.items() if name[0] == "W")
        for layer, (some, at) in enumerate(zip(names, places, strict=True)):
            biases = moves.weights.get(f"b{layer}")
            for i, ((x, y), text) in enumerate(zip(at, some, strict=True)):
                bias = "" if biases is None or most > MOST_BIASES else f"{biases[i]:.2f}"
                for name, value in zip(nodes, (x, y, text, bias), strict=True):
                    nodes[name].append(value)
            if layer == 0:
                continue
            W = moves.weights[f"W{layer}"]
            elements = iter(moves.problem.elements(f"W{layer}", W.shape))
            for (i, j), value in np.ndenumerate(W):
                (x0, y0), (x1, y1) = places[layer - 1][i], at[j]
                width = THIN + (THICK - THIN) * abs(value) / largest
                into = lines["negative" if value < 0 else "positive"]
                for name, cell in zip(into, (x0, y0, x1, y1, width, next(elements), float(value)), strict=True):
                    into[name].append(cell)
                if count <= MOST_LABELS:
                    t = _label_place(*W.shape, i)
                    labels["x"].append(x0 + t * (x1 - x0))
                    labels["y"].append(y0 + t * (y1 - y0))
                    labels["text"].append(f"{value:.2f}")
        for name, data in (("nodes", nodes), ("labels", labels), *lines.items()):
            self.sources[name].data = data
        self.graph.x_range.end = len(names) - 1 + 0.35
        self.graph.y_range.start, self.graph.y_range.end = -0.5 * most - 0.25, 0.5 * most + 0.15

    def _draw_curve(self, moves):
        from bayesnn.playground.answers import grid_of

        settings, start, now = moves.settings, moves.at_start.curve, moves.now.curve
        one = settings.X.shape[1] == 1
        for name in ("rows", "before", "after"):
            self.lines[name].visible = one
        for name in ("pairs", "diagonal"):
            self.lines[name].visible = not one
        both = np.concatenate([start, now, settings.y if one else []])
        low, high = _ends(both)
        if one:
            x = grid_of(settings)[:, 0]
            self.sources["rows"].data = {"x": settings.X[:, 0], "y": settings.y}
            self.sources["before"].data, self.sources["after"].data = {"x": x, "y": start}, {"x": x, "y": now}
            sides = float(x[0]), float(x[-1])
            labels = settings.dataset.feature_names[0], _target(settings)
        else:
            self.sources["pairs"].data = {"x": start, "y": now}
            self.sources["diagonal"].data = {"x": [low, high], "y": [low, high]}
            sides = low, high
            labels = f"{_target(settings)} of each row, at the MAP", f"{_target(settings)}, now"
        self.curve.x_range.update(start=sides[0], end=sides[1])
        self.curve.y_range.update(start=low, end=high)
        self.curve.xaxis.axis_label, self.curve.yaxis.axis_label = labels

    def _rows(self, moves):
        start, now, all_ = moves.at_start, moves.now, moves.all
        rows = [
            ("log-likelihood", start.log_likelihood, now.log_likelihood, all_.log_likelihood, all_.same_likelihood),
            ("log-prior", start.log_prior, now.log_prior, all_.log_prior, all_.same_prior),
        ]
        for name, before, after, change, same in rows:
            yield name, f"{before:.3f}", f"{after:.3f}", _rounding(change) if same else f"{change:+.3f}"
        moved = _rounding(all_.curve) if all_.same_curve else f"{all_.curve:.3g}"
        yield "largest change of the function", "", "", moved

    def sentence(self, found: Found) -> str:
        """Say what the last button has done to likelihood, prior and function."""
        if found.map is None or self.moves is None:
            return found.troubles.get("map", "The network is drawn as soon as its MAP is found.")
        moves = self.moves
        if not moves.net.hidden:
            return "There are no hidden units, so nothing can be rearranged: one function, one set of weights."
        if not self.said:
            now = moves.now
            return (
                f"The MAP has log-likelihood {now.log_likelihood:.2f} and log-prior {now.log_prior:.2f}. "
                f"{self._arrangements(moves)}"
            )
        return f"{self.said}: {_verdict(moves)}. {self._arrangements(moves)}"

    def _arrangements(self, moves):
        both, alone = moves.order, moves.likelihood_order
        if both == 1:
            first = "No other arrangement of the units has the same likelihood and prior"
        elif math.isinf(both):
            first = "A continuum of arrangements has the same likelihood and prior"
        else:
            first = f"There are {both:,} arrangements of the units with the same likelihood and prior"
        if alone > both:
            first += f"; {'a continuum' if math.isinf(alone) else f'{alone:,}'} with the same likelihood alone"
        return f"{first}."

    def words(self, found: Found) -> str:
        """Tell all weights, and the three numbers."""
        if found.map is None or self.moves is None:
            return self.sentence(found)
        moves = self.moves
        layers = ", ".join(f"{len(some)}" for some in _node_names(moves))
        weights = [
            f"{element} = {number:.3g}"
            for name, value in moves.weights.items()
            if name[0] in "Wb"
            for element, number in zip(moves.problem.elements(name, value.shape), value.ravel(), strict=True)
        ]
        numbers = "; ".join(
            f"{name}: {before} at the MAP, {now} now, change {change}" if before else f"{name}: {change}"
            for name, before, now, change in self._rows(moves)
        )
        return f"A network with layers of {layers} nodes. Weights: {'; '.join(weights)}. {numbers}."

    def repaint(self, dark: bool) -> None:
        """Change the colours to those of a dark or a light page."""
        super().repaint(dark)
        for figure in (self.graph, self.curve):
            paint(figure, dark)
        self._paint_graph(self.graph)
        self._paint_curve()
        self._write_keys()


def _verdict(moves: Moves) -> str:
    """Say what the last move has changed, by numbers."""
    last, before, now = moves.last, moves.before, moves.now
    if last.same_likelihood and last.same_prior and last.same_curve:
        return f"likelihood, prior and function are as before{_precision(last)}"
    prior = _went("log-prior", before.log_prior, now.log_prior, last.same_prior)
    if last.same_likelihood and last.same_curve:
        return f"likelihood and function are as before, but the {prior}, so the posterior sees it"
    likelihood = _went("log-likelihood", before.log_likelihood, now.log_likelihood, last.same_likelihood)
    return f"the function moves by up to {last.curve:.3g}, the {likelihood} and the {prior}, so this is no symmetry"


def _went(name, before, now, same):
    if same:
        return f"{name} stays at {now:.2f}"
    return f"{name} {'rises' if now > before else 'falls'} from {before:.2f} to {now:.2f}"


def _precision(last: Changes) -> str:
    return f", to {last.largest:.0e}" if last.largest else ", to the last bit"


def _rounding(change):
    return f"0 (to {abs(change):.0e})" if change else "0"


def _target(settings: Settings) -> str:
    return {"regression": "y", "binary": "P(y = 1)", "count": "expected count"}[settings.task]


def _ends(values: np.ndarray) -> tuple[float, float]:
    """Range of values with a margin."""
    low, high = float(values.min()), float(values.max())
    margin = 0.08 * (high - low) or 0.5
    return low - margin, high + margin


def _label_place(sources: int, targets: int, source: int) -> float:
    """How far along a line its number stands, where lines lie apart."""
    if sources == 1:
        return 0.6
    return 0.4 if targets == 1 else (0.72, 0.28, 0.5)[source % 3]


def _node_names(moves: Moves) -> list[list[str]]:
    """Name inputs, units with what has become of them, and outputs."""
    hidden = []
    for units, incoming, outgoing in zip(moves.units, moves.incoming, moves.outgoing, strict=True):
        hidden.append([_unit_name(unit, incoming[unit], outgoing[unit], moves.net.phi.even) for unit in units])
    outputs = [str(name) for name in moves.problem.output_names]
    return [list(moves.problem.feature_names), *hidden, ["f"] if len(outputs) == 1 else outputs]


def _unit_name(unit: int, incoming: int, outgoing: int, even: bool) -> str:
    if not even and incoming != outgoing:
        return f"±{unit + 1}"
    return f"−{unit + 1}" if incoming < 0 else f"{unit + 1}"
