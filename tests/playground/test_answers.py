"""What is computed for a state of the page, against fits that are made by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayesnn as bnn
from bayesnn.playground import answers
from bayesnn.playground.answers import compile_pair, first_look, fit_chains, fit_point, fit_posterior, grid_of, plane
from bayesnn.playground.settings import Settings

TWO = Settings(data="two_weights", hidden=1, bias=False, noise=0.3)
"""Its posterior is known exactly: MLE, MAP and log evidence stand among the ground truths."""
SCALED = Settings(data="own", points=((10, 200), (20, 300), (30, 310), (40, 330)), hidden=1, scaled=True)


@pytest.fixture(scope="module")
def points():
    return {kind: fit_point(TWO, kind, 5) for kind in ("mle", "map")}


def test_points_are_those_that_are_known(points):
    for kind, w, v in (("mle", 0.7833996185, 1.1456439237), ("map", 0.75938992, 1.11990633)):
        found = points[kind]
        assert_allclose(np.abs([found.weights["W1"].item(), found.weights["W2"].item()]), [w, v], rtol=1e-6)
        assert found.exists
        assert "2 symmetric copies" in found.modes
        f = v * np.tanh(w * grid_of(TWO)[:, 0])
        assert_allclose(found.mean, f, atol=1e-6)
        assert_allclose((found.upper - found.lower) / 2, 0.3 * 1.6448536, rtol=1e-5)
    assert points["map"].log_likelihood + points["map"].log_prior == pytest.approx(-1.46274863, abs=1e-7)


def test_a_first_look_finds_the_same(points):
    for kind, full in points.items():
        quick = first_look(TWO, kind)
        assert quick.log_likelihood == pytest.approx(full.log_likelihood, abs=1e-5)
        assert_allclose(quick.mean, full.mean, atol=1e-3)


def test_the_posterior_is_the_exact_one():
    found = fit_posterior(TWO, 20.0, 1)
    assert abs(found.evidence - -1.43811849) < 4 * found.evidence_se < 0.2
    at = np.argmin(np.abs(grid_of(TWO)[:, 0] - 1.5))
    exact = bnn.theory.exact_posterior(TWO.net, TWO.X, TWO.y, X_new=grid_of(TWO)[[at]])
    assert found.mean[at] == pytest.approx(exact.mean.item(), abs=0.02)
    band = exact.mean.item() + np.array([-1.7, 1.7]) * exact.sd.item()
    assert_allclose([found.f_lower[at], found.f_upper[at]], band, atol=0.06)
    assert found.shares[0][0] == 1
    assert found.trusted
    assert not found.unmet
    assert found.functions.shape == (25, 160)
    assert found.functions.std(axis=0)[at] == pytest.approx(exact.sd.item(), rel=0.5)
    drawn = found.samples["W1[x1, 1]"]
    assert abs((drawn > 0).mean() - 0.5) < 0.1, "mirror images have equal weights"
    assert {values.shape[0] for values in found.traces.values()} == {4}


def test_chains_are_shown_as_sampled_and_aligned():
    found = fit_chains(TWO, 1)
    assert found.raw.shape == found.aligned.shape == found.function.shape == (4, 400)
    assert np.abs(found.aligned) == pytest.approx(np.abs(found.raw)), "one unit has only a sign to lose"
    assert set(found.rhats) == {"raw", "aligned", "function"}
    assert found.rhats["function"] < 1.02


def test_a_plane_is_likelihood_and_prior_over_two_weights(points):
    found = plane(TWO, ("W1[x1, 1]", "W2[1, target]"), points["mle"], points["map"], size=31)
    i, j = 20, 5
    params = {"W1": np.array([[found.x[j]]]), "W2": np.array([[found.y[i]]])}
    known = TWO.net.log_likelihood(params, TWO.X, TWO.y).sum()
    assert found.log_likelihood[i, j] == pytest.approx(known, rel=1e-12)
    assert found.log_prior[i, j] == pytest.approx(float(TWO.net.log_prior(params)), rel=1e-12)
    assert found.copies == 2
    assert_allclose(np.abs(found.map), [[0.75938992, 1.11990633]] * 2, rtol=1e-6)
    assert_allclose(found.mle.sum(axis=0), 0, atol=1e-9)
    assert answers.weight_names(TWO) == ["W1[x1, 1]", "W2[1, target]"]


def test_no_maximum_is_said():
    settings = Settings().with_(data="one_node_separated", hidden=0, bias=False)
    mle, map_ = fit_point(settings, "mle", 3), fit_point(settings, "map", 3)
    assert not mle.exists
    assert mle.heading == "MLE: at infinity"
    assert map_.weights["W1"].item() == pytest.approx(1.0913832, abs=1e-6)
    names = answers.weight_names(settings)
    assert plane(settings, (names[0], names[0]), mle, map_, size=5).mle is None


def test_two_inputs_have_a_surface():
    settings = Settings(n=30, hidden=1).with_(data="two_moons", n=30)
    found = fit_posterior(settings, 20.0, 1)
    assert found.mean.shape == found.epistemic.shape == (36 * 36,)
    assert ((found.mean >= 0) & (found.mean <= 1)).all()
    assert (found.epistemic >= 0).all()
    corner, middle = found.epistemic.reshape(36, 36)[0, 0], found.epistemic.reshape(36, 36)[18, 18]
    assert np.isfinite([corner, middle]).all()
    assert found.lower is None


def test_scaled_data_are_shown_in_their_own_units():
    found = fit_point(SCALED, "map", 3)
    assert 150 < found.mean.min() < found.mean.max() < 400
    posterior = fit_posterior(SCALED, 20.0, 1)
    assert 150 < posterior.functions.mean() < 400
    fit = bnn.fit_map(SCALED.net, SCALED.X, SCALED.y, scaling="standard", restarts=3, random_seed=1, progressbar=False)
    assert found.mean == pytest.approx(bnn.predict(fit, grid_of(SCALED))["mean"].to_numpy()[:, 0])


def test_a_pair_is_compiled():
    assert compile_pair("tanh", "squared_error")
