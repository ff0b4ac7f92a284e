"""The picture of the three answers: what it shows and says, and the points that are edited in it."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from bayesnn.errors import SpecError
from bayesnn.playground.answers import grid_of
from bayesnn.playground.found import Found
from bayesnn.playground.settings import Settings
from tests.playground.handmade import LINE, MOONS, point, posterior

pytest.importorskip("panel")

from bayesnn.playground.panels import look
from bayesnn.playground.panels.fits import FitsPanel
from bayesnn.playground.panels.points import read_points, write_points
from bayesnn.plots.style import COLOURS


@pytest.fixture
def panel():
    return FitsPanel()


def everything(settings=LINE, **fields):
    return Found(
        settings,
        mle=point(settings, "mle", -2.0),
        map=point(settings, "map", -5.2),
        posterior=posterior(settings, **fields),
    )


def test_the_colours_are_those_of_all_pictures():
    assert {kind: of.colour for kind, of in look.LOOKS.items()} == COLOURS


def test_the_sources_hold_what_was_given(panel):
    found = everything()
    panel.show(found)
    x, curves = grid_of(LINE)[:, 0], panel.curves
    for name in ("mle", "map", "posterior"):
        assert_array_equal(curves.lines[name].data["x"], x)
        assert_array_equal(curves.lines[name].data["y"], found.posterior.mean)
    assert_array_equal(curves.bands["new"].data["lower"], found.posterior.lower)
    assert_array_equal(curves.bands["function"].data["upper"], found.posterior.f_upper)
    assert len(curves.draws.data["ys"]) == 2
    assert panel.points.source.data["x"] == [0, 1, 2, 3, 10]
    assert not len(curves.lines["truth"].data["x"])
    panel.show(Found(LINE))
    assert not len(curves.lines["mle"].data["x"])
    assert not len(curves.bands["new"].data["x"])


def test_only_the_rows_that_are_shown_are_there_and_the_truth_is(panel):
    sine = Settings(n=7)
    panel.show(Found(sine))
    assert_array_equal(panel.points.source.data["y"], sine.y)
    assert len(sine.y) == 7
    grid = grid_of(sine)
    assert_array_equal(panel.curves.lines["truth"].data["y"], np.ravel(sine.dataset.truth(grid)))


def test_a_line_that_runs_off_does_not_move_the_axis(panel):
    panel.show(everything())
    before = panel.curves.figure.y_range.start, panel.curves.figure.y_range.end
    far = point(LINE, "mle", -2.0, mean=1e6 * grid_of(LINE)[:, 0])
    panel.show(Found(LINE, mle=far, posterior=posterior(LINE)))
    assert (panel.curves.figure.y_range.start, panel.curves.figure.y_range.end) == before
    assert before[0] <= -2
    assert before[1] >= 9


def test_an_update_makes_no_new_figure(panel):
    figure, drawn = panel.curves.figure, list(panel.curves.figure.renderers)
    panel.show(everything())
    panel.show(Found(MOONS))
    panel.repaint(True)
    panel.show(everything())
    assert panel.curves.figure is figure
    assert figure.renderers == drawn


def test_two_inputs_have_surfaces(panel):
    found = Found(MOONS, map=point(MOONS, "map", -5.0))
    grid = grid_of(MOONS)
    p = 1 / (1 + np.exp(-grid[:, 0]))
    found.posterior = posterior(MOONS, mean=p, lower=None, upper=None, epistemic=p * (1 - p))
    panel.show(found)
    one, other = panel.surfaces.images
    assert_array_equal(np.ravel(one.data["image"][0]), p)
    assert_array_equal(np.ravel(other.data["image"][0]), p * (1 - p))
    # Where the probability is one half, x1 is zero.
    assert max(abs(np.concatenate(panel.surfaces.contour.data["xs"]))) < 0.05
    assert "posterior" in panel.surfaces.figures[0].title.text
    panel.choice.value = "map"
    assert_array_equal(np.ravel(one.data["image"][0]), found.map.mean)
    assert set(panel.points.source.data["marker"]) == {"circle", "square"}


def test_sentences_change_with_the_numbers(panel):
    said = panel.sentence(everything())
    assert "3.2 nats better than the MAP" in said
    assert "in the gap from 3 to 10" in said
    assert "x = 6" in said
    same = Found(LINE, mle=point(LINE, "mle", -5.0), map=point(LINE, "map", -5.01))
    assert "the same" in panel.sentence(same)
    assert "better" not in panel.sentence(same)
    worse = Found(LINE, mle=point(LINE, "mle", -9.0), map=point(LINE, "map", -5.0))
    assert "not found yet" in panel.sentence(worse)
    gone = Found(LINE, mle=point(LINE, "mle", 0.0, exists=False, message="the classes are separable."))
    assert panel.sentence(gone) == "No MLE exists: the classes are separable."
    doubtful = everything(trusted=False, unmet="R-hat of the function is 1.2")
    assert "not to be trusted yet: R-hat of the function is 1.2" in panel.sentence(doubtful)
    assert "widest" not in panel.sentence(doubtful)
    assert "being computed" in panel.sentence(Found(LINE))
    assert "no room" in panel.sentence(Found(LINE, troubles={"posterior": "no room"}))


def test_overfit_is_said_only_of_what_is_farther_from_the_truth(panel):
    sine = Settings()
    truth = np.ravel(sine.dataset.truth(grid_of(sine)))

    def said(mle, map_):
        mle, map_ = (point(sine, k, v, mean=truth + d) for k, v, d in (("mle", -1.0, mle), ("map", -4.0, map_)))
        return panel.sentence(Found(sine, mle=mle, map=map_))

    assert "0.4 against 0.1): it overfits" in said(0.4, 0.1)
    assert "overfits" not in said(0.1, 0.4)
    assert "nearer to the truth" in said(0.1, 0.4)


def test_words_have_the_numbers(panel):
    said = panel.words(everything())
    assert "5 points, x from 0 to 10" in said
    assert "MLE: mean -2.5 at x = -2.5" in said


def test_points_are_handed_on_when_the_user_changes_them_and_only_then(panel):
    calls = []
    panel.on_points = calls.append
    panel.show(everything())
    panel.show(Found(Settings()))
    panel.show(everything())
    panel.repaint(True)
    assert not calls
    source = panel.points.source
    data = {name: [*values, values[-1]] for name, values in source.data.items()}
    data["x"][-1], data["y"][-1] = 4.0, 3.5
    source.data = data
    assert calls == [(*LINE.points, (4.0, 3.5))]
    # A page that does not take them over keeps what was there.
    assert source.data["x"] == [0, 1, 2, 3, 10]


def test_a_selected_point_is_deleted(panel):
    calls = []
    panel.on_points = calls.append
    panel.show(everything())
    panel.points.remove.clicks += 1
    assert not calls
    assert "No point is selected" in panel.points.status.object
    panel.points.source.selected.indices = [1]
    panel.points.remove.clicks += 1
    assert calls == [tuple(row for row in LINE.points if row[0] != 1)]


def test_labels_snap(panel):
    calls = []
    panel.on_points = calls.append
    labels = Settings(data="own", task="binary", loss="binary_cross_entropy", points=((0, 0), (1, 1)))
    panel.show(Found(labels))
    data = {name: list(values) for name, values in panel.points.source.data.items()}
    data["y"] = [0.8, 0.7]
    panel.points.source.data = data
    assert calls == [((0.0, 1.0), (1.0, 1.0))]
    counts = Settings(data="own", task="count", loss="poisson", points=((0, 0), (1, 1)))
    panel.show(Found(counts))
    panel.points.source.data = data | {"y": [-3.0, 2.6]}
    assert calls[1:] == [((0.0, 0.0), (1.0, 3.0))]


def test_added_points_of_two_inputs_have_the_label_that_was_chosen(panel):
    panel.show(Found(MOONS))
    panel.points.label.value = 0
    (*_, (_, tool)) = panel.points._tools
    assert tool.default_overrides == {"target": 0.0, "marker": "circle", "face": "#FFFFFF", "edge": "#000000"}


def test_points_are_edited_as_text_and_refused_in_words(panel):
    calls = []
    panel.on_points = calls.append
    panel.show(everything())
    assert read_points(panel.points.text.value) == LINE.points

    def apply(text):
        panel.points.text.value = panel.points.text.value_input = text
        panel.points.apply.clicks += 1
        return panel.points.status.object

    assert "on line 2" in apply("0, 1\n<b>, 2")
    assert "&lt;b&gt;" in panel.points.status.object
    assert "different lengths" in apply("0, 1\n1, 2, 3")
    assert "takes 1 to" in apply("")
    assert "not finite" in apply("0, nan")
    assert not calls
    apply("0 1\n2;3")
    assert calls == [((0.0, 1.0), (2.0, 3.0))]


def test_what_the_page_refuses_is_said_too(panel):
    def refuse(rows):
        raise SpecError("Got <too> much.")

    panel.on_points = refuse
    panel.show(everything())
    panel.points.text.value_input = "0, 1"
    panel.points.apply.clicks += 1
    assert "Got &lt;too&gt; much." in panel.points.status.object


def test_lines_of_points_come_back():
    rows = ((0.5, -1.25), (1e-7, 3.0))
    assert read_points(write_points(rows)) == rows
    for text in ("1", "1, 2, 3, 4", "a, b", "0, 1\n" * 201):
        with pytest.raises(SpecError):
            read_points(text)


def test_a_finger_scrolls_until_points_are_edited(panel):
    toolbar = panel.curves.figure.toolbar
    assert toolbar.active_multi is None
    assert toolbar.active_drag is None
    panel.points.switch.value = True
    assert toolbar.active_multi is toolbar.tools[0]
    panel.points.switch.value = False
    assert toolbar.active_multi is None
