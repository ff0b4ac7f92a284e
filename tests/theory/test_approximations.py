"""Ensembles, variational inference, and the table that holds approximations against the exact posterior."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

import bayesnn as bnn
from bayesnn.errors import ConvergenceWarning, FitError, SpecError, UnknownNameError
from bayesnn.fitting.approximate import fit_advi
from bayesnn.plots import plot_approximations
from bayesnn.theory import compare_approximations
from tests.conftest import X5, X_FLANKS, Y5, tree_of, y_flanks

LINE = bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(1.0))
HELD_OUT = np.array([-1.5, 0.5, 2.5])


@pytest.fixture(scope="module")
def data():
    made = bnn.load_data("sine_gap", random_seed=1)
    return replace(made, X=X5[:, None], y=Y5, X_test=HELD_OUT[:, None], y_test=0.56 * HELD_OUT)


def point(slope, noise=0.3):
    return tree_of(replace(LINE, noise=noise), X5, Y5, {"W1": np.full((1, 1, 1, 1), slope), "b1": np.zeros((1, 1, 1))})


@pytest.fixture(scope="module")
def line_laplace():
    return bnn.fit_laplace(LINE, X5, Y5, restarts=2, random_seed=1, progressbar=False)


@pytest.fixture(scope="module")
def flanks(flank_net):
    return bnn.fit_map(flank_net, X_FLANKS, y_flanks(0.3), restarts=12, random_seed=1, progressbar=False)


def test_the_distance_is_the_total_variation(data):
    exact = tree_of(LINE, X5, Y5, {"W1": np.full((1, 2, 1, 1), 0.5), "b1": np.zeros((1, 2, 1))})
    found = compare_approximations({"same": point(0.5), "other": point(0.7)}, exact=exact, data=data)
    apart = [2 * stats.norm.cdf(abs(0.2 * x) / 0.6) - 1 for x in HELD_OUT]
    assert found.table.loc["other", "distance"] == pytest.approx(np.mean(apart), abs=1e-4)
    assert found.table.loc["same", "distance"] == pytest.approx(0, abs=1e-12)
    assert found.table.loc["exact", "distance"] == pytest.approx(0, abs=1e-12)
    assert "Nearest to the exact predictive is same" in repr(found)


def test_the_distance_is_that_of_mixtures(data):
    slopes = np.array([[0.2, 0.9]])
    exact = tree_of(LINE, X5, Y5, {"W1": slopes[..., None, None], "b1": np.zeros((1, 2, 1))})
    found = compare_approximations({"one": point(0.5)}, exact=exact, data=data).table.loc["one", "distance"]

    def apart(y, x):
        return abs(stats.norm.pdf(y, 0.5 * x, 0.3) - stats.norm.pdf(y, slopes[0] * x, 0.3).mean()) / 2

    truth = [integrate.quad(apart, -4, 6, args=(x,), limit=300)[0] for x in HELD_OUT]
    assert found == pytest.approx(np.mean(truth), abs=1e-3)


def test_laplace_of_a_line_is_nearer_than_its_peak(data, line_post, line_laplace):
    map_ = bnn.fit_map(LINE, X5, Y5, restarts=2, random_seed=1, progressbar=False)
    found = compare_approximations({"MAP": map_, "Laplace": line_laplace}, exact=line_post, data=data)
    distance, width = found.table["distance"], found.table["width in the gap"]
    assert distance["Laplace"] < 0.02 < distance["MAP"]
    assert width["Laplace"] == pytest.approx(width["exact"], rel=0.05)
    assert width["MAP"] == 0
    axes = plot_approximations(found)
    assert [ax.get_title().splitlines()[0] for ax in axes] == ["MAP", "Laplace"]
    assert f"{distance['MAP']:.3f}" in axes[0].get_title()
    axes[0].figure.canvas.draw()


def test_an_ensemble_of_wrong_modes_predicts_better_where_the_noise_is_wrong(flank_net, flanks):
    """One unit climbs or falls, the data do both, and normal noise of 0.15 leaves no doubt about which."""
    post = bnn.fit_posterior(
        flank_net, X_FLANKS, y_flanks(0.3), sampler="tempering", draws=500, chains=2, random_seed=1, progressbar=False
    )
    x = np.linspace(-3, 3, 61)
    x = x[(np.abs(x) <= 0.8) | (np.abs(x) >= 2)]
    clean = np.where(np.abs(x) < 1, 1.0, np.where(x > 0, 0.3, 0.0))
    y = clean + 0.15 * np.random.default_rng(1).normal(size=len(x))
    wrong = bnn.score(bnn.deep_ensemble(flanks), x[:, None], y)["lppd"]
    exact = bnn.score(post, x[:, None], y)["lppd"]
    assert wrong == pytest.approx(-0.249, abs=0.01)
    assert exact == pytest.approx(-0.968, abs=0.1)
    weighted = bnn.score(bnn.deep_ensemble(flanks, weights="likelihood"), x[:, None], y)["lppd"]
    assert weighted < exact


def test_members_are_the_starts(flanks):
    found = bnn.deep_ensemble(flanks)
    assert found["sample_stats"]["start"].values[0].tolist() == list(range(12))
    assert np.array_equal(found.posterior["W1"].values[0], flanks["optima"]["W1"].values)
    assert "12 of 12 starts converged, to 2 functions" in found.attrs["bayesnn_message"]
    assert next(iter(bnn.compare(found))) == "deep ensemble"


def test_weights_are_likelihoods(flanks):
    found = bnn.deep_ensemble(flanks, weights="likelihood")
    log_likelihood = flanks["optima"]["log_likelihood"].values
    share = np.exp(log_likelihood - log_likelihood.max())
    assert found["ensemble"]["weight"].values == pytest.approx(share / share.sum(), abs=1e-12)
    times = np.bincount(found["sample_stats"]["start"].values[0], minlength=12)
    assert times.sum() == 1000
    assert np.abs(times - 1000 * share / share.sum()).max() <= 1


def test_an_ensemble_needs_starts_that_converged(flanks, line_post):
    with pytest.raises(SpecError, match="starts"):
        bnn.deep_ensemble(line_post)
    with pytest.raises(UnknownNameError, match="weights"):
        bnn.deep_ensemble(flanks, weights="posterior")
    lost = flanks.copy(deep=True)
    lost["optima"]["converged"] = lost["optima"]["converged"] & False
    with pytest.raises(FitError, match="none of which has converged"):
        bnn.deep_ensemble(lost)


def test_advi_of_a_line_finds_the_exact_posterior():
    fit = fit_advi(LINE, X5, Y5, iterations=4000, random_seed=1, progressbar=False)
    assert fit.attrs["bayesnn_elbo"] == pytest.approx(-3.66338304, abs=0.02)
    for name, mean, variance in (("b1", 0.01964637, 0.01768173), ("W1", 0.56491576, 0.00891972)):
        draws = fit.posterior[name].values
        assert draws.mean() == pytest.approx(mean, abs=0.02)
        assert draws.var() == pytest.approx(variance, rel=0.2)
    assert bnn.diagnose(fit).verdict == "approximation"
    with pytest.raises(FitError, match="evidence"):
        bnn.log_evidence(fit)


def test_advi_that_is_still_rising_says_so():
    with pytest.warns(ConvergenceWarning, match="still rising"):
        fit_advi(LINE, X5, 30 * Y5, iterations=200, random_seed=1, progressbar=False)
    with pytest.raises(UnknownNameError, match="method"):
        fit_advi(LINE, X5, Y5, method="svgd")


@pytest.mark.parametrize("fits", [{}, {"exact": 1}, [1]])
def test_fits_have_names(fits, data, line_post):
    with pytest.raises(SpecError, match="dict from names to fits"):
        compare_approximations(fits, exact=line_post, data=data)


def test_the_exact_one_is_a_posterior_of_the_same_data(data, line_post, line_laplace):
    draws = {"W1": np.ones((1, 1, 1, 1)), "b1": np.ones((1, 1, 1))}
    peak = tree_of(LINE, X5, Y5, draws, kind="map")
    with pytest.raises(SpecError, match="must be a posterior"):
        compare_approximations({"a": line_laplace}, exact=peak, data=data)
    with pytest.raises(SpecError, match="another likelihood"):
        compare_approximations({"a": tree_of(LINE, X5, -Y5, draws)}, exact=line_post, data=data)
    with pytest.raises(SpecError, match="compare_approximations"):
        plot_approximations(line_post)
