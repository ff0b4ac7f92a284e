"""Traces: sources hold what was given, and the sentence says what the verdict is."""

import numpy as np
import pytest

pytest.importorskip("panel")

from bayesnn.diagnostics.diagnosis import _HEADS, RHAT_MAX
from bayesnn.playground.panels import traces as room
from bayesnn.playground.panels.traces import TracesPanel, verdict_words
from bayesnn.playground.settings import Settings
from bayesnn.plots.style import CHAINS
from tests.playground.made import chains, found, posterior

HERE = Settings()


def test_what_is_written_twice_is_the_same():
    assert room.RHAT_MAX == RHAT_MAX
    assert CHAINS[: len(room.COLOURS)] == room.COLOURS
    assert set(room.VERDICTS) <= set(_HEADS)


def test_the_panel_waits():
    panel, there = TracesPanel(), found(HERE)
    panel.show(there)
    assert panel.sentence(there).startswith("Waiting for the posterior")
    there.posterior = posterior(HERE)
    panel.show(there)
    assert panel.sentence(there) == "NUTS is running; by tempering the posterior has one mode of the function."
    there.posterior = posterior(HERE, shares=((0.7, 0.1), (0.3, 0.1)))
    assert "2 modes of the function, with 70% and 30%" in panel.sentence(there)
    there.troubles["chains"] = "No chains."
    assert panel.words(there) == "No chains."


def test_sources_hold_the_traces():
    panel, there = TracesPanel(), found(HERE, chains=chains(), posterior=posterior(HERE))
    before = [id(renderer) for figure in panel.figures.values() for renderer in figure.renderers]
    panel.show(there)
    for name in ("raw", "aligned", "function"):
        for source, values in zip(panel.sources[name], getattr(there.chains, name), strict=True):
            assert np.array_equal(source.data["y"], values)
    for source, values in zip(panel.sources["tempered"], there.posterior.traces["W1[x1, 1]"], strict=True):
        assert np.array_equal(source.data["y"], values)
    assert panel.figures["tempered"].y_range.start == panel.figures["raw"].y_range.start
    assert [id(renderer) for figure in panel.figures.values() for renderer in figure.renderers] == before
    panel.show(found(HERE))
    assert all(len(source.data["y"]) == 0 for some in panel.sources.values() for source in some)
    assert panel.rhats.object == ""


def test_where_there_are_several_modes_tempering_shows_the_function():
    panel = TracesPanel()
    there = found(HERE, chains=chains(), posterior=posterior(HERE, shares=((0.7, 0.1), (0.3, 0.1))))
    panel.show(there)
    assert np.array_equal(panel.sources["tempered"][0].data["y"], there.posterior.traces["f(1)"][0])
    assert panel.figures["tempered"].y_range.end == panel.figures["function"].y_range.end
    assert "the chains of NUTS all sit in one of them" in panel.sentence(there)
    there.chains = chains("function_modes", (2.0, 1.9, 1.7))
    assert "stay where they started" in panel.sentence(there)


def test_fewer_chains_leave_lines_empty():
    panel = TracesPanel()
    panel.show(found(HERE, posterior=posterior(HERE, traces={"W1[x1, 1]": np.ones((2, 9))})))
    assert [len(source.data["y"]) for source in panel.sources["tempered"]] == [9, 9, 0, 0]


@pytest.mark.parametrize("verdict", sorted(_HEADS))
def test_every_verdict_has_its_sentence(verdict):
    said = verdict_words(chains(verdict, (1.812, 1.023, 1.034), message="Said by diagnose (R-hat 1.2 at b). More."))
    assert said.endswith(".")
    assert "{" not in said
    if verdict not in room.VERDICTS:
        assert said == "Said by diagnose (R-hat 1.2 at b)."


def test_sentences_change_with_the_numbers():
    assert "R-hat 1.812" in verdict_words(chains(rhats=(1.812, 1.0, 1.0)))
    assert "R-hat 1.765" in verdict_words(chains(rhats=(1.765, 1.0, 1.0)))


def test_the_table_tells_who_agrees():
    panel, there = TracesPanel(), found(HERE, chains=chains(rhats=(1.8, 1.0104, 1.01)))
    panel.show(there)
    cells = panel.rhats.object.replace("</th>", "</td>").split("</td>")
    assert [cell.rsplit(">", 1)[-1] for cell in cells if cell.endswith("agree")] == ["disagree", "disagree", "agree"]
    assert "1.010" in panel.rhats.object
    there.chains = chains(rhats=(1.8, float("nan"), 1.0))
    panel.show(there)
    assert "can&#x27;t be compared" in panel.rhats.object
    assert "R-hat of function: 1.000, they agree" in panel.words(there)


def test_chains_are_hidden_by_their_boxes():
    panel = TracesPanel()
    panel.show(found(HERE, chains=chains()))
    panel.shown.value = ["chain 2"]
    for lines in panel.lines.values():
        assert [line.visible for line in lines] == [False, True, False, False]


def test_repaint():
    panel = TracesPanel()
    panel.repaint(True)
    assert panel.figures["raw"].yaxis.axis_label_text_color == "#E8E8E8"
