"""The buttons of the network graph do what they claim, and the sentence tells it with the numbers."""

import numpy as np
import pytest

pytest.importorskip("panel")

from bayesnn.playground.moves import Moves
from bayesnn.playground.panels.graph import GraphPanel
from bayesnn.playground.settings import Settings
from tests.playground.made import found, point, weights_of

TANH, SIGMOID, RELU = (Settings(hidden=3, activation=name) for name in ("tanh", "sigmoid", "relu"))
TWO = Settings().with_(data="two_moons", hidden=3, second=2)


def moves(settings):
    return Moves(settings, weights_of(settings))


def reference(settings, weights):
    """Log-likelihood, log-prior and outputs, straight from the network."""
    net = settings.net
    likelihood = net.log_likelihood(weights, settings.X, settings.y).sum()
    return likelihood, net.log_prior(weights), net.forward(weights, settings.X)


@pytest.mark.parametrize("settings", [TANH, SIGMOID, RELU, TWO], ids=["tanh", "sigmoid", "relu", "two inputs"])
def test_permuting_changes_nothing(settings):
    some = moves(settings)
    for _ in range(4):
        some.permute()
        assert not all(np.array_equal(some.weights[name], value) for name, value in some.start.items())
        for now, before in zip(reference(settings, some.weights), reference(settings, some.start), strict=True):
            np.testing.assert_allclose(now, before, rtol=1e-10, atol=1e-10)
        last = some.last
        assert last.same_likelihood
        assert last.same_prior
        assert last.same_curve


@pytest.mark.parametrize("settings", [TANH, TWO], ids=["tanh", "two inputs"])
def test_a_flip_of_tanh_changes_nothing(settings):
    some = moves(settings)
    for _ in range(4):
        some.flip()
        assert not all(np.array_equal(some.weights[name], value) for name, value in some.start.items())
        for now, before in zip(reference(settings, some.weights), reference(settings, some.start), strict=True):
            np.testing.assert_allclose(now, before, rtol=1e-10, atol=1e-10)


def test_a_flip_of_a_sigmoid_keeps_the_likelihood_and_changes_the_prior():
    some = moves(SIGMOID)
    assert "next bias" in some.flip()
    likelihood, prior, f = (
        np.abs(a - b).max()
        for a, b in zip(reference(SIGMOID, some.weights), reference(SIGMOID, some.start), strict=True)
    )
    assert likelihood < 1e-10
    assert f < 1e-10
    assert prior > 1e-3
    assert some.last.same_likelihood
    assert not some.last.same_prior


@pytest.mark.parametrize("settings", [RELU, Settings(hidden=2, activation="sigmoid", bias=False)])
def test_a_flip_that_is_no_symmetry_changes_the_function(settings):
    some = moves(settings)
    assert "next bias" not in some.flip()
    assert some.last.curve > 1e-3
    assert some.last.same_prior
    assert not some.last.same_likelihood


@pytest.mark.parametrize("settings", [TANH, SIGMOID, RELU, TWO])
def test_flipping_one_side_changes_the_function_and_twice_nothing(settings):
    some = moves(settings)
    some.flip_one_side()
    assert some.last.curve > 1e-3
    assert some.last.same_prior
    for _ in range(2 * sum(settings.net.hidden) - 1):
        some.flip_one_side()
    assert all(np.array_equal(some.weights[name], value) for name, value in some.start.items())


def test_a_scaled_target_is_told_in_its_own_units():
    rows = tuple((float(x), float(10 * np.sin(x) + 100)) for x in range(6))
    settings = Settings(data="own", points=rows, scaled=True)
    some = moves(settings)
    assert 60 < some.now.curve.mean() < 140
    some.permute()
    assert some.last.same_curve


def test_the_panel_waits_and_then_draws():
    panel, empty = GraphPanel(), found(TANH)
    panel.show(empty)
    assert "as soon as" in panel.sentence(empty)
    assert panel.buttons["permute"].disabled
    there = found(TANH, map=point(TANH))
    panel.show(there)
    W = there.map.weights["W1"].ravel().tolist() + there.map.weights["W2"].ravel().tolist()
    for sign, values in (("positive", [w for w in W if w >= 0]), ("negative", [w for w in W if w < 0])):
        assert panel.sources[sign].data["value"] == pytest.approx(values)
    assert len(panel.sources["nodes"].data["x"]) == 5
    assert not panel.buttons["permute"].disabled
    assert "48 arrangements" in panel.sentence(there)
    assert f"{there.map.log_likelihood:.2f}" in panel.sentence(there)
    assert f"W1[x1, 1] = {there.map.weights['W1'][0, 0]:.3g}" in panel.words(there)


def test_sentences_follow_the_buttons():
    panel, there, told = GraphPanel(), found(SIGMOID, map=point(SIGMOID)), []
    panel.on_change = lambda: told.append(panel.sentence(there))
    panel.show(there)
    for name in ("permute", "flip", "flip_one_side", "back"):
        panel.press(name)
    permuted, flipped, one_side, back = told
    assert permuted.startswith("Units 1 and 2 have changed places: likelihood, prior and function are as before")
    assert "log-prior" in flipped
    assert "likelihood and function are as before" in flipped
    assert "no symmetry" in one_side
    assert "6 arrangements" in back
    assert "48 with the same likelihood alone" in back


def test_a_click_presses_the_button():
    panel, there = GraphPanel(), found(TANH, map=point(TANH))
    panel.show(there)
    panel.buttons["permute"].clicks += 1
    assert "changed places" in panel.sentence(there)
    assert panel.sources["nodes"].data["text"][1:3] == ["2", "1"]
    panel.buttons["flip"].clicks += 1
    assert panel.sources["nodes"].data["text"][1:3] == ["2", "−1"]


def test_a_new_map_undoes_the_buttons_and_the_same_one_does_not():
    panel, there = GraphPanel(), found(TANH, map=point(TANH))
    panel.show(there)
    panel.press("flip_one_side")
    panel.show(there)
    assert "no symmetry" in panel.sentence(there)
    there.map = point(TANH, weights=weights_of(TANH, seed=5))
    panel.show(there)
    assert "no symmetry" not in panel.sentence(there)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(hidden=0),
        Settings(hidden=1, bias=False),
        Settings(hidden=8, second=4, noise=0.0),
        Settings().with_(data="two_moons", hidden=0),
        TWO,
        Settings(data="own", points=((0.0, 1), (1.0, 3), (2.0, 9)), task="count", loss="poisson", hidden=1),
    ],
)
@pytest.mark.parametrize("dark", [False, True])
def test_all_networks_are_drawn(settings, dark):
    panel, there = GraphPanel(dark), found(settings, map=point(settings))
    panel.show(there)
    for name, button in panel.buttons.items():
        if not button.disabled:
            panel.press(name)
            assert panel.sentence(there).endswith(".")
    panel.repaint(not dark)
    weights = sum(v.size for name, v in there.map.weights.items() if name[0] == "W")
    assert sum(len(panel.sources[sign].data["x0"]) for sign in ("positive", "negative")) == weights
    assert "<table" in panel.numbers.object


def test_figures_are_made_once():
    panel, there = GraphPanel(), found(TANH, map=point(TANH))
    before = list(map(id, (panel.graph, panel.curve, *panel.graph.renderers, *panel.curve.renderers)))
    panel.show(there)
    panel.press("permute")
    panel.show(found(TWO, map=point(TWO)))
    assert list(map(id, (panel.graph, panel.curve, *panel.graph.renderers, *panel.curve.renderers))) == before
    assert panel.lines["pairs"].visible
    assert not panel.lines["after"].visible
