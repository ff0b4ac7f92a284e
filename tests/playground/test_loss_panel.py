"""The loss beside the density that it is."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from bayesnn.playground.found import Found
from bayesnn.playground.settings import Settings
from tests.playground.handmade import LINE, point

pytest.importorskip("panel")

from bayesnn.playground.panels.loss import LossPanel, noise_of, worst_of

WEIGHTS = {"W1": np.array([[1.0]]), "b1": np.array([0.0])}
COUNTS = Settings(data="own", task="count", loss="poisson", points=((0, 1), (1, 0), (2, 3)), hidden=0)
LABELS = Settings(data="own", task="binary", loss="binary_cross_entropy", points=((-2, 1), (1, 1), (2, 0)), hidden=0)


def with_map(settings, **more):
    return Found(settings, map=point(settings, "map", -3.0, weights=WEIGHTS | more))


@pytest.mark.parametrize(
    ("loss", "law"),
    [
        ("squared_error", stats.norm(scale=0.5)),
        ("absolute_error", stats.laplace(scale=0.5)),
        ("student_t", stats.t(4.0, scale=0.5)),
    ],
)
def test_the_density_is_that_of_the_likelihood(loss, law):
    panel = LossPanel()
    panel.show(Found(LINE.with_(loss=loss)))
    (curve, *_), (density, *_) = panel.curves
    x = density.data["x"]
    if loss == "student_t":
        law = stats.t(LINE.with_(loss=loss).net.loss.parameters[0], scale=0.5)
    assert_allclose(density.data["y"], law.pdf(x), rtol=1e-10)
    # -log p is a straight line over the loss.
    slope, *_ = np.polyfit(curve.data["y"], -np.log(density.data["y"]), 1)
    assert slope == pytest.approx(LINE.with_(loss=loss).net.loss.coefficients(noise=0.5)[0])


def test_the_row_that_pays_most_is_marked_and_told():
    panel, found = LossPanel(), with_map(LINE)
    panel.show(found)
    # y = 9 at x = 10, where f = 10: a residual of -1, and 1 / (2 * 0.5**2) = 2 nats.
    assert [mark.data["x"] for mark in panel.marks] == [[-1.0], [-1.0]]
    assert panel.marks[0].data["y"] == [1.0]
    assert_allclose(panel.marks[1].data["y"], stats.norm.pdf(-1.0, scale=0.5))
    said = panel.sentence(found)
    assert said.startswith("−log p = 2 × squared error + 0.23: the largest residual of the MAP, −1, pays 2.00 nats of")
    assert "of the 2.00 that all 5 rows pay" in said
    narrow = panel.sentence(with_map(LINE.with_(noise=0.2)))
    assert "12.5 × squared error − 0.69" in narrow
    assert "12.50 nats" in narrow
    assert panel.sentence(Found(LINE)) == "−log p = 2 × squared error + 0.23."
    panel.show(Found(LINE))
    assert panel.marks[0].data["x"] == []


def test_a_learned_noise_is_that_of_the_map():
    learned = LINE.with_(noise=0.0)
    assert noise_of(with_map(learned, noise=np.array(0.25))) == 0.25
    assert noise_of(Found(learned)) == 1.0
    assert noise_of(Found(LABELS)) is None


def test_labels_have_a_curve_each():
    panel, found = LossPanel(), with_map(LABELS)
    panel.show(found)
    zero, one, none = panel.curves[1]
    assert_allclose(np.add(zero.data["y"], one.data["y"]), 1.0)
    assert_allclose(one.data["y"], 1 / (1 + np.exp(-one.data["x"])))
    assert not len(none.data["x"])
    worst = worst_of(found)
    # Label 1 at f = -2 and label 0 at f = 2 pay the same: the first is taken.
    assert (worst.x, worst.target) == (-2.0, 1.0)
    assert worst.nats == pytest.approx(np.log1p(np.exp(2.0)))
    assert "cross-entropy: the row that the MAP expects least, y = 1 at f = −2," in panel.sentence(found)


def test_counts_pay_what_is_above_their_least():
    panel, found = LossPanel(), with_map(COUNTS)
    panel.show(found)
    worst = worst_of(found)
    # y = 0 at f = 1 pays e, y = 3 at f = 2 pays exp(2) - 6 less the least, 3 - 3 log 3.
    least = 3 - 3 * np.log(3)
    pays = [1 - 1, np.e, np.exp(2) - 6 - least]
    assert worst.nats == pytest.approx(max(pays))
    assert worst.all == pytest.approx(sum(pays))
    curve = panel.curves[1][0]
    assert_allclose(curve.data["y"], stats.poisson.pmf(0, np.exp(curve.data["x"])))
    assert "log y!" in panel.sentence(found)
    assert "above its least" in panel.sentence(found)


def test_an_update_makes_no_new_figure():
    panel = LossPanel()
    drawn = [list(figure.renderers) for figure in panel.figures]
    for settings in (LINE, COUNTS, LABELS):
        panel.show(Found(settings))
        panel.repaint(True)
        assert "loss" in panel.words(Found(settings))
    assert [list(figure.renderers) for figure in panel.figures] == drawn
