"""Traces of chains, as sampled, aligned and in function space, beside those of tempering."""

from typing import Any

import numpy as np

from bayesnn.playground.answers import ChainsAnswer, PosteriorAnswer
from bayesnn.playground.found import Found
from bayesnn.playground.panels.base import PagePanel
from bayesnn.playground.panels.look import legend, line_key, new_figure, paint, pane_of
from bayesnn.playground.panels.table import table

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
"""Of chains: the first of `bayesnn.plots.style.CHAINS`, which takes seconds to import."""
CHAINS = [f"chain {k + 1}" for k in range(len(COLOURS))]
RHAT_MAX = 1.01
"""Largest R-hat of chains that agree, as in `bayesnn.diagnostics`."""
FIGURES = {
    "raw": "NUTS: a weight, as sampled",
    "aligned": "NUTS: the same weight, aligned",
    "function": "NUTS: the function at a point",
    "tempered": "Tempering",
}
SPACES = {"raw": "weights as sampled", "aligned": "aligned weights", "function": "function"}
VERDICTS = {
    "one_mode": "All chains agree, about the weights{raw} and about the function{function}.",
    "harmless_symmetry": "The weights disagree{raw} and the function agrees{function}: the chains are in different "
    "mirror images of one network, and aligned they agree{aligned}, so this is harmless.",
    "mixed_symmetry": "All chains agree{raw}: they move freely between mirror images of one network.",
    "weights_ridge": "The aligned weights disagree{aligned} and the function agrees{function}: many weights, not only "
    "mirror images, give this function.",
    "function_modes": "The function disagrees{function}: the chains are in different modes of the function, so do not "
    "trust their predictions.",
    "slow_mixing": "The chains have not mixed well enough (R-hat of the function{plain_function}), so do not trust "
    "their predictions yet.",
    "too_few_draws": "There are too few draws to tell whether the chains agree (R-hat of the "
    "function{plain_function}).",
    "stuck": "Some chains do not move at all, so do not trust their predictions.",
    "divergences": "Some draws diverged: NUTS could not follow the posterior everywhere, so do not trust its "
    "predictions.",
    "not_finite": "Some draws are not finite numbers, so there is nothing to be trusted.",
}
"""What each verdict of `bayesnn.diagnose` says here; its own words where it is none of these."""


class TracesPanel(PagePanel):
    """Four small traces, and the three R-hats as a table."""

    key = "traces"
    title = "Why do the chains disagree?"
    why = (
        "R-hat compares chains that started apart: above 1.01 they have not sampled the same thing. If the weights "
        "disagree but agree once each draw is turned into the same mirror image, and the function agrees too, then the "
        "chains only sit in different mirror images of one network, which no prediction can notice; if the function "
        "itself disagrees, then the chains sit in different modes, and NUTS, which does not cross between them, can't "
        "say what each is worth. Tempering lets its chains travel through easier distributions up to the prior and "
        "back, so they change both mirror image and mode, and each mode is visited as often as it is probable."
    )
    notebook = "08_chains"

    def __init__(self, dark: bool = False):
        import panel as pn
        import panel.ui as ui
        from bokeh.models import ColumnDataSource

        super().__init__(dark)
        self.sources = {name: [ColumnDataSource({"x": [], "y": []}) for _ in COLOURS] for name in FIGURES}
        self.lines: dict[str, list[Any]] = {}
        self.figures = {name: self._new_figure(name, title) for name, title in FIGURES.items()}
        self.shown = ui.CheckBoxGroup(
            label="Chains that are shown", options=CHAINS, value=CHAINS, inline=True, size="small", margin=4
        )
        self.shown.param.watch(lambda _: self._toggle(), "value")
        self.keys = pn.pane.HTML(
            legend(line_key(name, colour) for name, colour in zip(CHAINS, COLOURS, strict=True)),
            margin=4,
            sizing_mode="stretch_width",
        )
        self.rhats = pn.pane.HTML(margin=4, sizing_mode="stretch_width")
        wide = {"sizing_mode": "stretch_width", "margin": 0}
        side = {"min_width": 270, "styles": {"flex": "1 1 40%"}, **wide}
        panes = [pn.Column(pane_of(figure), **side) for figure in self.figures.values()]
        self.view = pn.Column(self.shown, self.keys, pn.FlexBox(*panes, **wide), self.rhats, **wide)
        self._drawn: dict[str, Any] = {"chains": None, "posterior": None}

    def _new_figure(self, name, title):
        from bokeh.models import Range1d

        ranges = {"x_range": Range1d(start=0, end=1), "y_range": Range1d(start=-1, end=1)}
        figure = new_figure("draw", "", title=title, dark=self.dark, height=190, **ranges)
        self.lines[name] = [
            figure.line("x", "y", line_color=colour, line_width=1.1, line_alpha=0.85, source=source)
            for colour, source in zip(COLOURS, self.sources[name], strict=True)
        ]
        return figure

    def _toggle(self):
        for lines in self.lines.values():
            for name, line in zip(CHAINS, lines, strict=True):
                line.visible = name in self.shown.value

    def show(self, found: Found) -> None:
        """Draw the traces that are there."""
        chains, posterior = found.chains, found.posterior
        if chains is not self._drawn["chains"]:
            for name, label in (("raw", "name"), ("aligned", "name"), ("function", "place")):
                draws = None if chains is None else (getattr(chains, label), getattr(chains, name))
                self._draw(name, draws, FIGURES[name])
            self.rhats.object = (
                ""
                if chains is None
                else table(
                    f"The worst R-hats; the rule: at most {RHAT_MAX}",
                    ["chains compared by", "R-hat", "they"],
                    _rows(chains),
                )
            )
        if posterior is not self._drawn["posterior"]:
            self._draw("tempered", *_tempered(posterior))
        self._drawn = {"chains": chains, "posterior": posterior}
        # The same quantity is seen on the same scale.
        label = _tempered(posterior)[0]
        if chains is not None and label is not None:
            twin = {chains.name: "raw", chains.place: "function"}.get(label[0])
            if twin is not None:
                _share_range(self.figures[twin], self.figures["tempered"], getattr(chains, twin), label[1])

    def _draw(self, name, draws, title):
        figure, sources = self.figures[name], self.sources[name]
        figure.title.text = title
        if draws is None:
            for source in sources:
                source.data = {"x": [], "y": []}
            figure.yaxis.axis_label = ""
            return
        label, values = draws
        steps = np.arange(values.shape[1])
        for k, source in enumerate(sources):
            there = k < len(values)
            source.data = {"x": steps if there else [], "y": values[k] if there else []}
        figure.yaxis.axis_label = label
        figure.x_range.update(start=0, end=max(1, len(steps) - 1))
        _share_range(figure, figure, values)

    def sentence(self, found: Found) -> str:
        """Say what the chains of NUTS agree about, and what they missed."""
        chains, posterior = found.chains, found.posterior
        if chains is None:
            if "chains" in found.troubles:
                return found.troubles["chains"]
            if posterior is None:
                return "Waiting for the posterior: first by tempering, then by chains of NUTS."
            return f"NUTS is running; {_tempering_words(posterior)}"
        said = verdict_words(chains)
        missed = None if posterior is None else _missed_words(chains, posterior)
        return said if missed is None else f"{said} {missed}"

    def words(self, found: Found) -> str:
        """Tell means of each chain, and the R-hats."""
        chains = found.chains
        if chains is None:
            return self.sentence(found)
        parts = [
            f"Mean of {label} in each chain, {SPACES[name]}: {', '.join(f'{v.mean():.3g}' for v in values)}"
            for name, label, values in (
                ("raw", chains.name, chains.raw),
                ("aligned", chains.name, chains.aligned),
                ("function", chains.place, chains.function),
            )
        ]
        parts += [f"R-hat of {name}: {rhat}, they {word}" for name, rhat, word in _rows(chains)]
        return f"{'. '.join(parts)}. {self.sentence(found)}"

    def repaint(self, dark: bool) -> None:
        """Change the colours to those of a dark or a light page."""
        super().repaint(dark)
        for figure in self.figures.values():
            paint(figure, dark)


def verdict_words(chains: ChainsAnswer) -> str:
    """Say what the chains agree about, in one sentence.

    Parameters
    ----------
    chains : ChainsAnswer
        What was found.

    Returns
    -------
    str
        With the R-hats that tell it.
    """
    rhats = {f"plain_{name}": f" {_number(value)}" for name, value in chains.rhats.items()}
    rhats |= {name: f" (R-hat {_number(value)})" for name, value in chains.rhats.items()}
    if chains.verdict in VERDICTS:
        return VERDICTS[chains.verdict].format(**rhats)
    return f"{chains.message.split('. ')[0].rstrip('.')}."


def _rows(chains):
    for name, words in SPACES.items():
        rhat = chains.rhats.get(name, np.nan)
        yield words, _number(rhat), "can't be compared" if np.isnan(rhat) else ("agree" if agree(rhat) else "disagree")


def agree(rhat: float) -> bool:
    """Whether chains with such an R-hat agree."""
    return rhat <= RHAT_MAX


def _number(rhat):
    """Three decimals: an R-hat is not to be rounded down to the rule."""
    return "–" if np.isnan(rhat) else f"{rhat:.3f}"


def _tempered(posterior: PosteriorAnswer | None) -> tuple[tuple[str, np.ndarray] | None, str]:
    """Choose what is drawn of tempering, and its title: the function where it has several modes, else the weight."""
    if posterior is None or not posterior.traces:
        return None, FIGURES["tempered"]
    several = len(posterior.shares) > 1
    label = list(posterior.traces)[-1 if several else 0]
    return (label, posterior.traces[label]), f"Tempering: {'the function' if several else 'a weight, as sampled'}"


def _tempering_words(posterior):
    if len(posterior.shares) > 1:
        return f"by tempering the posterior has {_modes(posterior)}."
    return "by tempering the posterior has one mode of the function."


def _modes(posterior):
    shares = " and ".join(f"{share:.0%}" for share, _ in posterior.shares[:3])
    more = len(posterior.shares) - 3
    return f"{len(posterior.shares)} modes of the function, with {shares}" + (f" and {more} more" if more > 0 else "")


def _missed_words(chains: ChainsAnswer, posterior: PosteriorAnswer) -> str | None:
    """Tell of modes that tempering weighs and chains of NUTS do not cross between."""
    if len(posterior.shares) < 2:
        return None
    together = "all sit in one of them" if agree(chains.rhats.get("function", np.inf)) else "stay where they started"
    return f"Tempering finds {_modes(posterior)} of the posterior; the chains of NUTS {together}."


def _share_range(first, second, *values):
    """Give two figures the range of all values."""
    low, high = min(v.min() for v in values), max(v.max() for v in values)
    margin = 0.05 * (high - low) or 0.5
    for figure in (first, second):
        figure.y_range.update(start=float(low - margin), end=float(high + margin))
