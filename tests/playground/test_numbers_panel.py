"""The numbers of the three answers, the evidence against the width, and the modes."""

from html.parser import HTMLParser

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from bayesnn.playground.answers import grid_of
from bayesnn.playground.found import Found
from tests.playground.handmade import LINE, MOONS, point, posterior

pytest.importorskip("panel")

from bayesnn.playground.panels.numbers import NumbersPanel, table_of

WIDTHS = {0: (-12.5, 0.1, -5.0), 1: (-10.0, 0.3, -3.0), 2: (-11.0, 0.4, -2.5)}


class Cells(HTMLParser):
    """Rows of a table by their heading."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.scopes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "th":
            self.scopes.append(dict(attrs)["scope"])

    def handle_data(self, data):
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_the_table_holds_the_numbers_and_has_headings():
    found = Found(LINE, mle=point(LINE, "mle", -2.0), map=point(LINE, "map", -4.0, -1.5), posterior=posterior(LINE))
    read = Cells(table_of(found))
    assert read.scopes == ["col"] * 4 + ["row"] * 4
    assert read.rows[1:] == [
        ["log-likelihood", "−2.00", "−4.00", "−5.00"],
        ["log-prior", "−3.00", "−1.50", "−4.00"],
        ["their sum", "−5.00", "−5.50", "−9.00"],
        ["log evidence ± se", "", "", "−12.50 ± 0.25"],
    ]


def test_an_mle_that_does_not_exist_has_no_prior_and_names_are_escaped():
    found = Found(LINE, mle=point(LINE, "mle", 0.0, -7000.0, exists=False, heading="MLE: <b>at infinity"))
    read = Cells(table_of(found))
    assert read.rows[2][1:] == ["→ −∞", "–", "–"]
    assert "7" not in read.rows[2][1]
    assert "<b>" not in table_of(found)
    assert read.rows[0][1] == "MLE: <b>at infinity"


def test_bars_hold_the_evidence_and_mark_the_width():
    panel = NumbersPanel()
    panel.show(Found(LINE, widths=WIDTHS))
    data = panel.bars.data
    assert list(data["width"]) == [0, 1, 2]
    assert_array_equal(data["evidence"], [-12.5, -10.0, -11.0])
    assert_array_equal(data["upper"], np.add(data["evidence"], [0.1, 0.3, 0.4]))
    assert_array_equal(data["likelihood"], [-5.0, -3.0, -2.5])
    assert data["edge"][0] > data["edge"][1]
    assert data["alpha"][0] > data["alpha"][1]
    left, right = panel.figure.y_range, panel.figure.extra_y_ranges["likelihood"]
    assert left.end - left.start == pytest.approx(right.end - right.start)
    assert left.start < -12.5
    assert right.start < -5.0
    assert right.end > -2.5
    before = panel.figure.renderers[:]
    panel.repaint(True)
    panel.show(Found(LINE))
    assert panel.figure.renderers == before
    assert not len(panel.bars.data["width"])


def test_the_sentence_says_which_width_and_by_how_much():
    panel = NumbersPanel()
    said = panel.sentence(Found(LINE, widths=WIDTHS))
    assert "prefers 1 hidden unit, by 2.50 ± 0.32 nats over the 0 that are shown" in said
    assert "goes on rising, by 0.50 nats up to 2" in said
    shown = panel.sentence(Found(LINE.with_(hidden=1), widths=WIDTHS))
    assert "the 1 hidden unit that is shown, by 1.00 ± 0.50 nats over 2" in shown
    close = panel.sentence(Found(LINE, widths={0: (-10.3, 0.3, -5.0), 1: (-10.0, 0.3, -5.0), 2: (-30.0, 0.1, -5.0)}))
    assert "does not tell apart" in close
    assert "does not rise either" in close
    assert "being computed" in panel.sentence(Found(LINE))


def test_modes_are_counted_with_their_shares():
    x = grid_of(LINE)[:, 0]
    fields = {"shares": ((0.3, 0.02), (0.695, 0.02), (0.005, 0.001)), "mode_means": np.stack([x, 2 * x, 3 * x])}
    found = Found(LINE, posterior=posterior(LINE, **fields))
    panel = NumbersPanel()
    panel.show(found)
    said = panel.sentence(found)
    assert "2 modes of the function, with shares of 70 ± 2 %, 30 ± 2 %" in said.replace("69 ±", "70 ±")
    assert_array_equal(panel.modes[0].data["y"], 2 * x)
    assert_array_equal(panel.modes[1].data["y"], x)
    assert not len(panel.modes[2].data["y"])
    assert "Mode 2 of the function: 30 ± 2 %" in panel.words(found)
    one = Found(LINE, posterior=posterior(LINE))
    panel.show(one)
    assert "one mode" in panel.sentence(one)
    assert not len(panel.modes[0].data["y"])
    panel.show(Found(MOONS))


def test_what_is_unmet_is_said():
    found = Found(LINE, posterior=posterior(LINE, unmet="too few round trips"))
    assert "not to be relied on yet: too few round trips" in NumbersPanel().sentence(found)
