"""Textbook likelihoods held to closed forms, quadrature, scipy's laws and a finer arithmetic."""

import mpmath as mp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, stats

from bayesnn.errors import DataError, NoMLEError, SpecError, UnknownNameError
from bayesnn.theory import textbook_likelihood, underflow
from bayesnn.theory.likelihoods import FAMILIES

COIN = [0, 0, 0, 1, 0]
SAMPLES = {
    "bernoulli": textbook_likelihood("bernoulli", COIN),
    "binomial": textbook_likelihood("binomial", [3, 4, 1], trials=5),
    "poisson": textbook_likelihood("poisson", [0, 2, 3, 1]),
    "normal": textbook_likelihood("normal", [-1.3, 0.2, 0.9, 2.0]),
    "mean": textbook_likelihood("normal", [-1.3, 0.2, 0.9, 2.0], sigma=0.7),
}
LAWS = {
    "bernoulli": stats.bernoulli,
    "binomial": lambda p: stats.binom(5, p),
    "poisson": stats.poisson,
    "normal": stats.norm,
    "mean": lambda mu: stats.norm(mu, 0.7),
}
POINTS = {"bernoulli": (0.37,), "binomial": (0.6,), "poisson": (2.2,), "normal": (0.4, 1.7), "mean": (0.4,)}
every = pytest.mark.parametrize("name", SAMPLES)
DROP = stats.chi2.ppf(0.95, 1) / 2


def test_the_coin_is_that_of_the_textbook():
    coin, p = SAMPLES["bernoulli"], np.linspace(0, 1, 11)
    assert_allclose(coin.likelihood(p), p * (1 - p) ** 4, rtol=1e-14)
    assert coin.mle == {"p": 0.2}
    assert coin.nll(0.2) == pytest.approx(2.5020121177, abs=1e-10)
    assert np.exp(coin.log_over_parameters) == pytest.approx(1 / 30, rel=1e-14)
    assert coin.information[0, 0] == pytest.approx(5 / (0.2 * 0.8), rel=1e-14)
    assert "over p it integrates to 0.0333333" in repr(coin)


def test_the_three_points_are_those_of_the_textbook():
    three = textbook_likelihood("normal", [-1, 0, 1])
    assert list(three.mle.values()) == pytest.approx([0, np.sqrt(2 / 3)], abs=1e-15)
    assert three.nll(0, np.sqrt(2 / 3)) == pytest.approx(3.6486179375, abs=1e-10)
    assert np.exp(three.log_over_parameters) == pytest.approx(1 / (4 * np.sqrt(3 * np.pi)), rel=1e-13)
    # Two numbers leave a tail like 1 / sigma.
    assert textbook_likelihood("normal", [0, 1]).log_over_parameters == np.inf


@every
def test_it_is_the_density_of_all_the_data(name):
    of, theta = SAMPLES[name], POINTS[name]
    law = LAWS[name](*theta)
    log_density = law.logpmf if name in ("bernoulli", "binomial", "poisson") else law.logpdf
    assert of.log_likelihood(*theta) == pytest.approx(log_density(of.data).sum(), rel=1e-12)
    assert_allclose(of.density(of.data, *theta), np.exp(log_density(of.data)), rtol=1e-12)
    assert of.over_data(*theta) == pytest.approx(1, abs=1e-12)


def test_over_data_is_the_sum_over_every_data_set():
    coin = SAMPLES["bernoulli"]
    sets = [textbook_likelihood("bernoulli", [int(b) for b in f"{k:05b}"]).likelihood(0.3) for k in range(32)]
    assert sum(sets) == pytest.approx(coin.over_data(0.3), abs=1e-14)


@every
def test_over_parameters_is_what_quadrature_finds(name):
    of = SAMPLES[name]
    if name == "normal":
        # Over mu = mean + sigma z and log sigma, where the tails are short.
        found = integrate.dblquad(
            lambda z, t: float(of.likelihood(of.data.mean() + np.exp(t) * z, np.exp(t))) * np.exp(2 * t), -3, 16, -9, 9
        )[0]
        assert np.exp(of.log_over_parameters) == pytest.approx(found, rel=1e-8)
        return
    (low, high), at = of.bounds[of.names[0]], of.mle[of.names[0]]
    ends = max(low, at - 30), min(high, at + 30)
    found = integrate.quad(lambda t: float(of.likelihood(t)), *ends, epsabs=1e-16, epsrel=1e-12, points=[at])[0]
    assert np.exp(of.log_over_parameters) == pytest.approx(found, rel=1e-10)
    assert abs(found - 1) > 0.9, "it is no density of the parameter"


@every
def test_the_slope_vanishes_at_the_mle_and_the_curvature_is_the_information(name):
    of = SAMPLES[name]
    at = [mp.mpf(v) for v in of.mle.values()]

    def log_likelihood(*theta):
        logs = {
            "bernoulli": lambda y, p: mp.log(p if y else 1 - p),
            "binomial": lambda y, p: mp.log(p) * y + mp.log(1 - p) * (5 - y),
            "poisson": lambda y, r: y * mp.log(r) - r,
            "normal": lambda y, m, s: -mp.log(s) - (y - m) ** 2 / (2 * s**2),
            "mean": lambda y, m: -((y - m) ** 2) / (2 * mp.mpf(0.7) ** 2),
        }
        return mp.fsum(logs[name](mp.mpf(y), *theta) for y in of.data)

    k = len(at)
    units = np.eye(k, dtype=int)
    with mp.workdps(40):
        slope = [mp.diff(log_likelihood, at, tuple(int(v) for v in u)) for u in units]
        curve = [[-mp.diff(log_likelihood, at, tuple(int(v) for v in u + w)) for w in units] for u in units]
    assert_allclose([float(s) for s in slope], 0, atol=1e-13)
    assert_allclose(of.information, np.array(curve, dtype=float), rtol=1e-10, atol=1e-10)
    assert_allclose(of.standard_error, np.sqrt(np.diag(np.linalg.inv(of.information))), rtol=1e-14)


@every
def test_intervals_end_where_they_should(name):
    of = SAMPLES[name]
    z, best = stats.norm.ppf(0.975), float(of.log_likelihood(*of.mle.values()))
    at, se = np.array(list(of.mle.values())), of.standard_error
    assert_allclose(of.wald(), np.column_stack([at - z * se, at + z * se]), rtol=1e-14)
    for which, ends in zip(of.names, of.likelihood_ratio(), strict=True):
        assert [of.profile(which, end) for end in ends] == pytest.approx([best - DROP] * 2, abs=1e-11)
        assert ends[0] < of.mle[which] < ends[1]
    assert (of.likelihood_ratio(0.5)[:, 1] < of.likelihood_ratio(0.95)[:, 1]).all()


def test_likelihood_ratio_intervals_have_closed_forms():
    of = SAMPLES["normal"]
    mean, sd = of.mle.values()
    half = sd * np.sqrt(np.expm1(2 * DROP / of.n))
    assert_allclose(of.likelihood_ratio()[0], [mean - half, mean + half], rtol=1e-13)
    zeros = textbook_likelihood("bernoulli", [0] * 7)
    assert_allclose(zeros.likelihood_ratio(), [[0, -np.expm1(-DROP / 7)]], rtol=1e-13)
    assert_allclose(textbook_likelihood("bernoulli", [1] * 7).likelihood_ratio(), [[np.exp(-DROP / 7), 1]], rtol=1e-13)
    assert_allclose(textbook_likelihood("poisson", [0, 0]).likelihood_ratio(), [[0, DROP / 2]], rtol=1e-13)


def test_profiles_are_maxima_over_the_other_parameter():
    of = SAMPLES["normal"]
    fine = np.linspace(0.01, 6, 60_001)
    assert of.profile("mu", 1.1) == pytest.approx(of.log_likelihood(1.1, fine).max(), abs=1e-7)
    assert of.profile("sigma", 1.1) == pytest.approx(of.log_likelihood(fine - 3, 1.1).max(), abs=1e-7)


def test_a_wald_interval_depends_on_the_scale_and_leaves_the_bounds():
    coin = SAMPLES["bernoulli"]
    assert coin.wald()[0, 0] < 0
    z, half = np.log(0.25), stats.norm.ppf(0.975) / np.sqrt(0.8)
    assert_allclose(coin.wald(transformed=True)[0], 1 / (1 + np.exp([half - z, -half - z])), rtol=1e-13)
    shifted = SAMPLES["mean"]
    assert_allclose(shifted.wald(transformed=True), shifted.wald(), rtol=1e-14)
    assert_allclose(shifted.likelihood_ratio(), shifted.wald(), rtol=1e-12)


@pytest.mark.parametrize("family", ["bernoulli", "poisson"])
def test_all_zeros_have_their_mle_at_the_border(family):
    of = textbook_likelihood(family, [0, 0, 0])
    assert of.at_border
    assert list(of.mle.values()) == [0.0]
    assert of.information == np.inf
    assert_allclose(of.wald(), [[0, 0]])
    assert np.isnan(of.wald(transformed=True)).all()
    assert "at the border: the Wald interval is a point" in repr(of)
    assert "at the border" not in repr(SAMPLES[family])


def test_large_samples_are_told_without_underflow():
    many = textbook_likelihood("bernoulli", [0, 1] * 50_000)
    assert "it integrates to exp(-69320" in repr(many)
    with mp.workdps(40):
        exact = mp.log(mp.beta(50_001, 50_001))
    assert many.log_over_parameters == pytest.approx(float(exact), rel=1e-13)
    assert many.likelihood(0.5) == 0


def test_out_of_bounds_the_likelihood_is_zero():
    assert_allclose(SAMPLES["bernoulli"].likelihood([-0.1, 0.0, 1.0, 1.1]), 0)
    assert SAMPLES["normal"].likelihood(0, -1) == 0
    assert SAMPLES["poisson"].log_likelihood(-1.0) == -np.inf


def first_below(factors, limit):
    """Fewest factors whose exact product, rounded, is at most a power of two."""
    total, n = mp.mpf(1), 0
    while total > limit:
        total, n = total * mp.mpf(factors[n % len(factors)]), n + 1
    return n


def test_a_fair_coin_underflows_at_1075_tosses():
    found = underflow(textbook_likelihood("bernoulli", [0, 1]))
    assert (found.n, found.n_inexact, found.product) == (1075, 1023, 0.0)
    assert found.log_likelihood == pytest.approx(-1075 * np.log(2), rel=1e-15)
    assert 0.5**1074 > 0 == 0.5**1075


@pytest.mark.parametrize(("name", "theta"), [("bernoulli", ()), ("poisson", ()), ("normal", (0.5, 1.3)), ("mean", ())])
def test_the_product_underflows_where_a_finer_arithmetic_says(name, theta):
    of = SAMPLES[name]
    found = underflow(of, *theta)
    factors = of.density(of.data, *(theta or of.mle.values()))
    with mp.workdps(40):
        assert found.n_inexact == first_below(factors, mp.mpf(2) ** -1022)
        # Among the last digits rounding may bring zero nearer or delay it.
        assert abs(found.n - first_below(factors, mp.mpf(2) ** -1075)) <= 2
        exact = mp.fsum(mp.log(mp.mpf(factors[i % of.n])) for i in range(found.n))
    assert found.log_likelihood == pytest.approx(float(exact), rel=1e-13)
    assert found.product == 0


def test_products_that_stay_or_overflow_are_told():
    stays = underflow(textbook_likelihood("bernoulli", [1]), 0.9)
    assert stays.n is None
    assert stays.product == 5 * 2.0**-1074
    assert "never becomes 0: it stays at 2.47" in repr(stays)
    over = underflow(textbook_likelihood("normal", [-0.001, 0.0, 0.001]))
    assert over.product == np.inf
    assert over.log_likelihood > np.log(np.finfo(float).max)
    assert underflow(textbook_likelihood("bernoulli", [1, 1])).product == 1.0


def test_what_is_no_sample_is_refused():
    with pytest.raises(UnknownNameError, match="Did you mean 'poisson'"):
        textbook_likelihood("poison", [1])
    for family, data in [("bernoulli", [0, 2]), ("poisson", [-1]), ("poisson", [0.5]), ("bernoulli", [])]:
        with pytest.raises(DataError, match="Got"):
            textbook_likelihood(family, data)
    with pytest.raises(DataError, match="NaN or infinity"):
        textbook_likelihood("normal", [0, np.nan])
    with pytest.raises(DataError, match="0 to 3"):
        textbook_likelihood("binomial", [4], trials=3)
    for trials in (None, 0, 2.5, True):
        with pytest.raises(SpecError, match="positive integer"):
            textbook_likelihood("binomial", [1], trials=trials)
    with pytest.raises(SpecError, match="Leave it out"):
        textbook_likelihood("poisson", [1], sigma=1.0)
    with pytest.raises(SpecError, match="sigma=0"):
        textbook_likelihood("normal", [1], sigma=0)
    with pytest.raises(NoMLEError, match="2 equal numbers") as caught:
        textbook_likelihood("normal", [0.5, 0.5])
    assert caught.value.mu == 0.5
    assert set(FAMILIES) == {"bernoulli", "binomial", "normal", "poisson"}


def test_arguments_that_make_no_sense_are_refused():
    with pytest.raises(SpecError, match="mu, sigma"):
        SAMPLES["normal"].log_likelihood(0.0)
    for prob in (0, 1, 95):
        with pytest.raises(SpecError, match=f"prob={prob}"):
            SAMPLES["normal"].wald(prob)
    with pytest.raises(SpecError, match="under which the data are possible"):
        underflow(SAMPLES["bernoulli"], 0.0)
    with pytest.raises(SpecError, match="after 10,000,000 factors"):
        underflow(textbook_likelihood("bernoulli", [1]), 1 - 1e-9)
    with pytest.raises(SpecError, match="textbook_likelihood"):
        underflow([0, 1])
