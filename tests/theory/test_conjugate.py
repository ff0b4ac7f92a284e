"""Conjugate posteriors held to the numbers of the textbook, to quadrature and to a change of variable by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, optimize, stats

from bayesnn.errors import SpecError
from bayesnn.theory import compare_estimates, conjugate_posterior, textbook_likelihood

COIN = textbook_likelihood("bernoulli", [0, 0, 0, 1, 0])
CASES = {
    "beta": (textbook_likelihood("binomial", [3, 1], trials=6), (2.5, 1.5), stats.beta(2.5, 1.5), (0, 1)),
    "gamma": (textbook_likelihood("poisson", [0, 2, 3, 1]), (1.7, 0.6), stats.gamma(1.7, scale=1 / 0.6), (0, 30)),
    "normal": (textbook_likelihood("normal", [0.3, -0.4, 1.9], sigma=0.8), (0.5, 1.2), stats.norm(0.5, 1.2), (-9, 9)),
}
every = pytest.mark.parametrize("case", CASES)
BACK = {"beta": (lambda z: 1 / (1 + np.exp(-z)), (-9, 9)), "gamma": (np.exp, (-8, 4)), "normal": (np.log, (1e-6, 40))}


def test_map_and_mean_of_a_coin_depend_on_the_scale():
    found = conjugate_posterior(COIN, prior=(1, 1)).estimates()
    own, back = found["p"], found["p by way of logit"]
    assert own["MLE"] == back["MLE"] == pytest.approx(1 / 5, abs=1e-15)
    assert own["MAP"] == pytest.approx(1 / 5, abs=1e-15)
    assert back["MAP"] == pytest.approx(2 / 7, abs=1e-15)
    assert own["mean"] == pytest.approx(2 / 7, abs=1e-15)
    assert back["mean"] == pytest.approx(1 / (1 + np.exp(13 / 12)), abs=1e-15)
    assert round(back["mean"], 4) == 0.2529
    assert_allclose(own[["median", "lower", "upper"]], back[["median", "lower", "upper"]], rtol=1e-14)
    # The distribution function of Beta(2, 5).
    p = own["median"]
    assert 1 - (1 - p) ** 6 - 6 * p * (1 - p) ** 5 == pytest.approx(0.5, abs=1e-14)


def test_a_uniform_priors_evidence_is_the_integral_over_the_parameter():
    found = conjugate_posterior(COIN, prior=(1, 1))
    assert found.log_evidence == pytest.approx(-np.log(30), abs=1e-13)
    assert found.log_evidence == pytest.approx(COIN.log_over_parameters, abs=1e-13)


@every
def test_the_posterior_is_likelihood_times_prior(case):
    likelihood, prior, law, ends = CASES[case]
    found = conjugate_posterior(likelihood, prior=prior)

    def joint(t):
        return float(likelihood.likelihood(t) * law.pdf(t))

    z, first, second = (
        integrate.quad(lambda t, k=k: joint(t) * t**k, *ends, epsabs=1e-16, epsrel=1e-11, limit=200)[0]
        for k in range(3)
    )
    assert found.log_evidence == pytest.approx(np.log(z), abs=1e-8)
    assert found.law.mean() == pytest.approx(first / z, rel=1e-8)
    assert found.law.var() == pytest.approx(second / z - (first / z) ** 2, rel=1e-7)
    peak = optimize.minimize_scalar(lambda t: -np.log(joint(t)), bounds=ends, method="bounded", options={"xatol": 1e-9})
    assert found.map == pytest.approx(peak.x, abs=1e-6)
    low, high = found.estimates(0.8).iloc[-2:, 0]
    assert integrate.quad(joint, low, high)[0] / z == pytest.approx(0.8, abs=1e-7)


@every
def test_estimates_by_way_of_another_scale_are_those_of_the_density_there(case):
    likelihood, prior, _, _ = CASES[case]
    found = conjugate_posterior(likelihood, prior=prior)
    back, ends = BACK[case]
    grid = np.linspace(*ends, 400_001)
    slope = np.gradient(back(grid), grid)
    density = found.law.pdf(back(grid)) * slope
    _, peak, mean = found.estimates()[f"{found.link} {found.name}"].iloc[:3]
    assert peak == pytest.approx(grid[np.argmax(density)], abs=2e-4)
    assert mean == pytest.approx(integrate.trapezoid(density * grid, grid), rel=1e-4)
    assert abs(found.estimates().iloc[1, 0] - found.estimates().iloc[1, 2]) > 0.01, "the scale matters"


def test_a_map_may_be_at_the_border():
    def beta(data, *prior):
        return conjugate_posterior(textbook_likelihood("bernoulli", data), prior=prior)

    assert beta([0, 0], 1, 1).map == 0
    assert beta([1, 1], 1, 1).map == 1
    assert beta([0, 0], 0.5, 0.5).map == 0
    assert beta([1, 1], 0.5, 0.5).map == 1
    assert "at the border" in repr(beta([0, 0], 0.5, 0.5))
    assert beta([1], 0.2, 0.75).map == 1
    assert beta([0], 0.2, 0.75).map == 0
    assert "at the border" not in repr(beta([0, 1], 1, 1))
    zero = conjugate_posterior(textbook_likelihood("poisson", [0]), prior=(0.5, 1))
    assert zero.map == 0
    assert conjugate_posterior(textbook_likelihood("poisson", [0]), prior=(3, 1)).map == 1


def test_estimates_meet_as_n_grows():
    found = compare_estimates(COIN, priors=[(1, 1), (5, 5)], copies=(400, 1))
    table = found.table
    assert list(table.index) == [("Beta(1, 1)", 5), ("Beta(1, 1)", 2000), ("Beta(5, 5)", 5), ("Beta(5, 5)", 2000)]
    assert_allclose(table["MLE"], 0.2, rtol=1e-14)
    assert_allclose(table["MAP"], [1 / 5, 1 / 5, 5 / 13, 404 / 2008], rtol=1e-14)
    assert_allclose(table["mean"], [2 / 7, 401 / 2002, 6 / 15, 405 / 2010], rtol=1e-14)
    # The limit is (a - 1) - p (a + b - 2).
    assert table["n (MAP - MLE)"].iloc[-1] == pytest.approx(4 - 0.2 * 8, rel=0.01)
    assert "0.2 at n = 5" in repr(found)


def test_what_has_no_conjugate_prior_is_refused():
    with pytest.raises(SpecError, match="known sigma"):
        conjugate_posterior(textbook_likelihood("normal", [0, 1]), prior=(0, 1))
    with pytest.raises(SpecError, match="list"):
        compare_estimates([0, 1], priors=[(1, 1)])
    for prior in ((0, 1), (1, -1), (1,), 1, (1, np.inf), "11"):
        with pytest.raises(SpecError, match="two positive numbers"):
            conjugate_posterior(COIN, prior=prior)
    with pytest.raises(SpecError, match=r"Write priors=\[\(1, 1\)\]"):
        compare_estimates(COIN, priors=[])
    for copies in ((), (0,), (1.5,)):
        with pytest.raises(SpecError, match="positive integers" if copies else "at least one"):
            compare_estimates(COIN, priors=[(1, 1)], copies=copies)
