"""Contours over two weights: sources hold the plane, sentences its numbers, and copies are told from shadows."""

import numpy as np
import pytest

pytest.importorskip("panel")

from bayesnn.playground.panels.weights import FLOOR, LEVELS, PALETTE, WeightsPanel, copies_in_plane
from bayesnn.playground.settings import Settings
from tests.playground.made import found, plane, point, posterior, weights_of

ONE = Settings(data="two_weights", hidden=1, bias=False, noise=0.3)
"""f = v tanh(w x): the plane holds all weights."""
TWO = Settings()


def at(settings, first, second):
    """Weights with two of them set."""
    weights = weights_of(settings)
    weights["W1"][0, 0], weights["W2"][0, 0] = first, second
    return weights


def shown(settings=ONE, first=1.0, second=1.0, **parts):
    panel, there = WeightsPanel(), found(settings, map=point(settings, weights=at(settings, first, second)), **parts)
    panel.show(there)
    return panel, there


def xy(panel, name):
    data = panel.sources[name].data
    return sorted(zip(np.asarray(data["x"]).tolist(), np.asarray(data["y"]).tolist(), strict=True))


def test_there_is_a_colour_between_each_two_levels():
    assert len(PALETTE) == len(LEVELS) - 1
    assert list(LEVELS) == sorted(LEVELS)


def test_the_panel_waits_with_empty_figures():
    panel, there = WeightsPanel(), found(TWO)
    panel.show(there)
    assert panel.sentence(there) == "Waiting for MLE and MAP."
    there.map = point(TWO)
    assert "over this plane" in panel.sentence(there)
    there.troubles["plane"] = "No plane."
    assert panel.words(there) == "No plane."
    assert all(len(source.data["x"]) == 0 for source in panel.sources.values())


def test_one_weight_has_no_plane():
    settings = Settings(data="one_node_separated", hidden=0, bias=False, loss="binary_cross_entropy")
    panel, there = WeightsPanel(), found(settings, map=point(settings))
    panel.show(there)
    assert "two" in panel.sentence(there)
    assert panel.pair is None
    assert panel.selects[0].disabled


def test_both_copies_of_a_network_of_two_weights_lie_in_the_plane():
    panel, there = shown(plane=plane(map=((1, 1), (-1, -1)), mle=((1.5, 1.2), (-1.5, -1.2)), copies=2))
    assert xy(panel, "map") == [(-1, -1), (1, 1)]
    assert xy(panel, "map_shadow") == []
    assert xy(panel, "mle") == [(-1.5, -1.2), (1.5, 1.2)]
    sentence = panel.sentence(there)
    assert "pulls W1[x1, 1] from 1.50" in sentence
    assert "to 1.00 (MAP)" in sentence
    assert "All 2 mirror copies of the MAP lie in this plane, which holds all weights" in sentence


def test_a_copy_whose_other_weights_differ_is_a_shadow():
    some = plane(map=((1, 1), (-1, -1)), copies=8)
    panel, there = shown(TWO, plane=some)
    assert xy(panel, "map") == [(1, 1)]
    assert xy(panel, "map_shadow") == [(-1, -1)]
    assert "Of the 8 mirror copies of the MAP 2 are distinct here and 1 lies in this plane" in panel.sentence(there)
    inside = copies_in_plane(TWO, some.names, some.map, there.map.weights)
    assert inside.tolist() == [True, False]


def test_many_copies_are_not_counted():
    rng = np.random.default_rng(0)
    panel, there = shown(TWO, plane=plane(map=rng.normal(size=(60, 2)), copies=10321920))
    assert "10,321,920 copies, of which some are drawn" in panel.sentence(there)
    assert xy(panel, "map") == [(1, 1)]
    assert not panel.marks["map_shadow"][0][0].visible
    panel.show(found(TWO, map=there.map, plane=plane(copies=float("inf"))))
    assert panel.marks["map_shadow"][0][0].visible
    assert "a continuum of copies" in panel.sentence(found(TWO, map=there.map, plane=plane(copies=float("inf"))))


@pytest.mark.parametrize(
    ("peak", "words"), [((9, 1), "still rises at the edge"), ((0.5, 1), "shows in other directions")]
)
def test_a_likelihood_without_a_maximum(peak, words):
    panel, there = shown(plane=plane(mle=None, peak=peak))
    sentence = panel.sentence(there)
    assert words in sentence
    assert "W1[x1, 1] = 1.00, W2[1, target] = 1.00" in sentence
    assert xy(panel, "mle") == []
    assert "MLE" not in panel.keys.object


def test_contours_hold_the_levels_in_place():
    panel, there = shown(plane=plane())
    figures = list(map(id, panel.figures.values()))
    contours = list(map(id, panel.contours.values()))
    for contour in panel.contours.values():
        assert contour.fill_renderer.data_source.data["fill_color"] == list(PALETTE)
        assert any(len(x) for x in contour.fill_renderer.data_source.data["xs"])
    # 0.5 nats below the top of a normal density is one standard deviation.
    rings = panel.contours["prior"].line_renderer.data_source.data
    assert np.nanmax(rings["xs"][LEVELS.index(-0.5)]) == pytest.approx(1.0, abs=0.02)
    panel.show(found(ONE, map=there.map, plane=plane(peak=(0, 0))))
    panel.show(found(ONE))
    assert [id(figure) for figure in panel.figures.values()] == figures
    assert [id(contour) for contour in panel.contours.values()] == contours
    assert not any(len(x) for x in panel.contours["product"].fill_renderer.data_source.data["xs"])


def test_densities_that_are_not_finite_are_drawn_as_nothing():
    some = plane()
    some.log_likelihood[0, 0], some.log_likelihood[1, 1] = -np.inf, -10 * FLOOR
    panel, there = shown(plane=some)
    assert "highest near (1.00, 1.00)" in panel.words(there)


def test_draws_are_those_of_the_two_weights():
    samples = {"W1[x1, 1]": np.array([1.0, 2.0]), "W2[1, target]": np.array([3.0, 4.0])}
    panel, there = shown(plane=plane(), posterior=posterior(ONE, samples=samples))
    assert xy(panel, "draws") == [(1, 3), (2, 4)]
    assert "2 draws" in panel.words(there)


def test_another_choice_is_told():
    panel, _ = shown(TWO, plane=plane())
    assert panel.pair == ("W1[x1, 1]", "W2[1, target]")
    told = []
    panel.on_weights = told.append
    panel.selects[0].value = "b1[2]"
    assert told == [("b1[2]", "W2[1, target]")]
    # The same weight twice: they change places.
    panel.selects[0].value = "W2[1, target]"
    assert told[-1] == ("W2[1, target]", "b1[2]")


def test_a_choice_is_kept_where_the_network_still_has_it():
    panel, _ = shown(TWO, plane=plane())
    told = []
    panel.on_weights = told.append
    panel.selects[0].value = "W1[x1, 2]"
    assert panel.offer(Settings(hidden=3)) == ("W1[x1, 2]", "W2[1, target]")
    assert panel.offer(Settings(hidden=1)) == ("W1[x1, 1]", "W2[1, target]")
    assert len(told) == 1


def test_repaint():
    panel, _ = shown(plane=plane())
    panel.repaint(True)
    assert panel.figures["prior"].xaxis.axis_label_text_color == "#E8E8E8"
