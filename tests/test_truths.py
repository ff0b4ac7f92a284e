"""Textbook closed forms and quadrature values, which nothing in the package has produced."""

import arviz as az
import numpy as np
import pytest
from scipy import integrate

import bayesnn as bnn
from tests.conftest import X5, X_NODE, Y5, Y_NODE


def point(fit):
    return {k: np.squeeze(v.to_numpy()) for k, v in fit.posterior.data_vars.items()}


def fit(function, net, X, y, **kwargs):
    return function(net, X, y, restarts=5, random_seed=1, progressbar=False, **kwargs)


def close_to_mean(draws, truth):
    """Whether the mean of the draws (chain, draw) lies within four Monte Carlo standard errors of the truth."""
    return abs(draws.mean() - truth) < 4 * float(az.mcse(draws, method="mean"))


def test_bernoulli_sample():
    coin = bnn.load_data("coin")
    mle = fit(bnn.fit_mle, bnn.MLP(hidden=(), loss="binary_cross_entropy"), coin.X, coin.y)
    assert bnn.predict(mle).probability[0, 1].item() == pytest.approx(1 / 5, abs=1e-12)
    assert -mle.optima.log_likelihood.max().item() == pytest.approx(2.5020121177, abs=1e-10)


def test_normal_sample():
    sample = bnn.load_data("three_points")
    mle = point(found := fit(bnn.fit_mle, bnn.MLP(hidden=()), sample.X, sample.y))
    assert mle["b1"] == pytest.approx(0, abs=1e-12)
    assert mle["noise"] == pytest.approx(np.sqrt(2 / 3), abs=1e-12)
    assert -found.optima.log_likelihood.max().item() == pytest.approx(3.6486179375, abs=1e-10)


def test_one_node_mle_and_map(node):
    mle = fit(bnn.fit_mle, node, X_NODE, Y_NODE)
    assert point(mle)["W1"] == pytest.approx(0.7954240126, abs=1e-10)
    assert mle.standard_error.W1.item() == pytest.approx(0.7872388020, abs=1e-9)
    assert -mle.optima.log_likelihood.max().item() == pytest.approx(2.8230011987, abs=1e-10)
    assert point(fit(bnn.fit_map, node, X_NODE, Y_NODE))["W1"] == pytest.approx(0.51609418, abs=1e-8)


def test_one_node_evidence(node):
    def density(w):
        params = {"W1": np.array([[w]])}
        return np.exp(node.log_likelihood(params, X_NODE[:, None], Y_NODE).sum() + node.log_prior(params))

    evidence = integrate.quad(density, -12, 12, epsabs=1e-14)[0]
    assert np.log(evidence) == pytest.approx(-3.55818300, abs=1e-8)


def test_one_node_posterior(node_post):
    w = node_post.posterior.W1.to_numpy()[:, :, 0, 0]
    assert close_to_mean(w, 0.59033729)
    assert close_to_mean((w - 0.59033729) ** 2, 0.60488093**2)
    assert not close_to_mean(w + 0.1, 0.59033729)


@pytest.mark.parametrize(("sd", "truth"), [(1, 1.0913832), (10, 5.0366772), (100, 12.0676651)])
def test_separated_map_follows_the_prior(sd, truth):
    net = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False, prior=bnn.Normal(sd))
    assert point(fit(bnn.fit_map, net, X_NODE, [0, 0, 1, 1, 1]))["W1"] == pytest.approx(truth, abs=1e-7)


def test_two_weights_mle_and_map(two_weights):
    for function, w, v in ((bnn.fit_mle, 0.7833996185, 1.1456439237), (bnn.fit_map, 0.75938992, 1.11990633)):
        found = bnn.fit_map if function is bnn.fit_map else bnn.fit_mle
        tree = found(two_weights, X5, Y5, restarts=20, random_seed=1, progressbar=False)
        at = point(tree)
        assert abs(at["W1"]) == pytest.approx(w, abs=1e-8)
        assert at["W2"] / at["W1"] == pytest.approx(v / w, abs=1e-7)
        signs = np.sign(tree.optima.W1.to_numpy().ravel())
        assert set(signs) == {-1.0, 1.0}, "the starts find both mirror images"
    joint = tree.optima.log_likelihood + tree.optima.log_prior
    assert joint.max().item() == pytest.approx(-1.46274863, abs=1e-8)


def test_two_weights_evidence(two_weights):
    def density(v, w):
        params = {"W1": np.array([[w]]), "W2": np.array([[v]])}
        return np.exp(two_weights.log_likelihood(params, X5[:, None], Y5).sum() + two_weights.log_prior(params))

    # One mirror half, twice: the density is symmetric under (w, v) -> (-w, -v).
    half = integrate.dblquad(density, 0, 7, 0, 7, epsabs=1e-10)[0]
    other = integrate.dblquad(density, 0, 7, -7, 0, epsabs=1e-10)[0]
    assert np.log(2 * (half + other)) == pytest.approx(-1.43811849, abs=1e-7)


def test_two_weights_posterior(two_weights, two_weights_post):
    params = {k: v.to_numpy() for k, v in two_weights_post.posterior.data_vars.items()}
    f = two_weights.forward(params, np.array([[1.5]]))[..., 0, 0]
    assert close_to_mean(f, 0.89373583)
    assert close_to_mean((f - 0.89373583) ** 2, 0.15533993**2)
    assert close_to_mean(params["W1"][..., 0, 0] ** 2, 1.20704769)
    assert close_to_mean(params["W2"][..., 0, 0] ** 2, 1.44097504)


def test_line_posterior_and_evidence(line_post):
    slope, intercept = (line_post.posterior[k].to_numpy().reshape(4, -1) for k in ("W1", "b1"))
    assert close_to_mean(intercept, 0.01964637)
    assert close_to_mean(slope, 0.56491576)
    assert close_to_mean((intercept - 0.01964637) ** 2, 0.01768173)
    assert close_to_mean((slope - 0.56491576) ** 2, 0.00891972)
    design = np.column_stack([np.ones(5), X5])
    covariance = 0.3**2 * np.eye(5) + design @ design.T
    log_evidence = -0.5 * (Y5 @ np.linalg.solve(covariance, Y5) + np.linalg.slogdet(2 * np.pi * covariance)[1])
    assert log_evidence == pytest.approx(-3.66338304, abs=1e-8)


def test_line_map_is_the_posterior_mean():
    line = bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(1.0))
    at = point(fit(bnn.fit_map, line, X5, Y5))
    assert at["b1"] == pytest.approx(0.01964637, abs=1e-8)
    assert at["W1"] == pytest.approx(0.56491576, abs=1e-8)
