"""Exact posteriors against scipy's quadrature, closed forms and values that were known before; and what is refused."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import scipy.integrate
from numpy.testing import assert_allclose
from scipy.special import gammaln
from scipy.stats import norm, poisson

import bayesnn as bnn
from bayesnn.errors import DataError, ImproperPriorError, SpecError
from bayesnn.fitting.density import log_density
from bayesnn.theory import exact_posterior, reference_posteriors
from bayesnn.theory.basins import basins, find_peaks
from bayesnn.theory.cubature import integrate
from bayesnn.theory.exact import _integrated
from bayesnn.tree import prepare
from tests.conftest import NINETY_SEVEN, X5, X_FLANKS, X_NODE, Y5, Y_NODE
from tests.test_own import Halved

# Typed from where they were found by other means, none of which is the cubature here.
KNOWN = {
    "line": {"log evidence": -3.66338304, "E |b1|^2": 0.01964637**2 + 0.01768173},
    "mirror images": {
        "log evidence": -1.43811849,
        "E f(1.5)": 0.89373583,
        "sd f(1.5)": 0.15533993,
        "E |W1|^2": 1.20704769,
        "E |W2|^2": 1.44097504,
    },
    "two functions, 80 to 20": {
        "log evidence": -42.9501706965,
        "E f(2.5)": 0.5382926643,
        "share 1": 0.2032535164,
    },
    "two functions, 97 to 3": {
        "log evidence": -40.9880831643,
        "E f(2.5)": 0.6606650391,
        "share 1": 0.0306835182,
    },
    "sigmoid node": {"log evidence": -3.55818300, "E |W1|^2": 0.59033729**2 + 0.60488093**2},
}


@pytest.fixture(scope="module")
def two_functions(flank_net):
    return exact_posterior(flank_net, X_FLANKS, NINETY_SEVEN, X_new=[2.5], quantiles=(0.1, 0.5))


@pytest.fixture(scope="module")
def computed():
    return {name: reference.compute() for name, reference in reference_posteriors().items()}


@pytest.mark.parametrize("name", reference_posteriors())
def test_a_reference_is_computed_again(name, computed):
    values = reference_posteriors()[name].values
    assert computed[name].keys() == values.keys()
    for number, (value, error) in computed[name].items():
        constant, its_error = values[number]
        assert abs(value - constant) <= error + its_error, number
        assert error < 1e-7, number


@pytest.mark.parametrize("name", KNOWN)
def test_a_reference_has_the_values_that_were_known(name):
    values = reference_posteriors()[name].values
    for number, truth in KNOWN[name].items():
        assert values[number][0] == pytest.approx(truth, abs=1.5e-8), number


def test_a_slightly_wider_prior_has_other_values():
    reference = reference_posteriors()["mirror images"]
    other = replace(reference, net=replace(reference.net, prior=bnn.Normal(1.0001))).compute()
    for number, (value, error) in other.items():
        assert abs(value - reference.values[number][0]) > error + reference.values[number][1], number


def test_references_are_of_every_kind():
    references = reference_posteriors().values()
    assert {r.net.loss.name for r in references} >= {
        "squared_error",
        "binary_cross_entropy",
        "cross_entropy",
        "poisson",
    }
    assert any(r.net.noise_prior for r in references)
    assert sum("share 1" in r.values for r in references) == 2


# --- against other integrals ----------------------------------------------------------------------------------------


def by_quadrature(log_likelihood, log_prior, reach):
    """Log evidence of v tanh(w x) by nested adaptive quadrature, for densities that are even in (w, v)."""

    def inner(w):
        middle = [0.0, *(np.array([-1, -0.3, 0, 0.3, 1]) + 1.5 / np.tanh(w * 2 + 1e-300)).clip(-reach, reach)]
        points = np.unique([-reach, *middle, reach])
        return sum(
            scipy.integrate.quad(
                lambda v: np.exp(log_likelihood(v, w) + log_prior(v) + log_prior(w)), a, b, epsabs=1e-16, epsrel=1e-9
            )[0]
            for a, b in pairwise(points)
        )

    edges = [0, 0.01, 0.03, 0.1, 0.3, 0.7, 1.5, 3, 6, reach]
    parts = [scipy.integrate.quad(inner, a, b, epsabs=1e-14, epsrel=1e-8)[0] for a, b in pairwise(edges)]
    return np.log(2 * sum(parts))


def test_the_evidence_of_counts():
    y = np.array([0, 1, 0, 2, 5])

    def likelihood(v, w):
        f = v * np.tanh(w * X5)
        return float(np.sum(y * f - np.exp(f) - gammaln(y + 1)))

    exact = exact_posterior(bnn.MLP((1,), loss="poisson", bias=False), X5, y, X_new=[1.5])
    truth = by_quadrature(likelihood, lambda u: -0.5 * u * u - 0.5 * np.log(2 * np.pi), 9.0)
    assert exact.log_evidence == pytest.approx(truth, abs=1e-8)
    assert not exact.collapsed


def test_the_evidence_under_a_prior_with_a_kink():
    net = bnn.MLP((1,), noise=0.3, bias=False, prior=bnn.Laplace(1.0))
    exact = exact_posterior(net, X5, Y5, quantiles=())
    # By nested quadrature with edges about the ridge, to 1e-10, which takes half a minute.
    assert exact.log_evidence == pytest.approx(-1.6813327379, abs=1e-8)
    assert exact.dimensions == 2


def test_a_spike_between_boxes_is_not_missed():
    """Of a learned noise a thousandth part lies where two weights are known to a hundredth: plain boxes miss it."""
    problem = prepare(bnn.MLP((1,), noise=bnn.HalfNormal(1.0)), X5, Y5)
    found = _integrated(log_density(problem, jacobian=True, collapse=True), 0.3)
    error = abs(found.fine.log_z - found.coarse.log_z)
    # On meshes of a third of the size, to 1e-9.
    assert abs(found.fine.log_z + 4.384355536) <= error < 1e-3


def test_both_ways_to_integrate_agree():
    """With a prior from outside nothing is integrated in closed form."""
    ours, theirs = (
        exact_posterior(bnn.MLP((), noise=0.3, prior=prior), X5[:3], Y5[:3], X_new=[1.5], tolerance=0.1)
        for prior in (bnn.Normal(0.5), Halved(1.0))
    )
    assert (ours.dimensions, theirs.dimensions) == (0, 2)
    assert theirs.log_evidence == pytest.approx(ours.log_evidence, abs=1e-7)
    assert_allclose(theirs.mean, ours.mean, atol=1e-7)
    assert_allclose(theirs.sd, ours.sd, atol=1e-7)
    assert_allclose(theirs.weights[["mean", "sd"]], ours.weights[["mean", "sd"]], atol=1e-7)
    assert_allclose(theirs.predictive.filter(regex="[^r]$"), ours.predictive.filter(regex="[^r]$"), atol=1e-7)


# --- predictions ----------------------------------------------------------------------------------------------------


def test_quantiles_of_a_line_are_normal():
    exact = exact_posterior(bnn.MLP((), noise=0.3), X5, Y5, X_new=[1.5], quantiles=(0.05, 0.9))
    row = exact.predictive.iloc[0]
    assert row["sd"] == pytest.approx(np.hypot(exact.sd.item(), 0.3), rel=1e-12)
    for p in (0.05, 0.9):
        assert row[f"quantile {p}"] == pytest.approx(norm.ppf(p, exact.mean.item(), row["sd"]), abs=1e-10)


def test_quantiles_of_two_functions_hold_their_probability(two_functions):
    exact = two_functions
    # A mixture of nearly normal functions, a share each.
    means, shares = exact.modes["mean[0]"], exact.modes["share"]
    within = float(np.sqrt(exact.predictive["sd"].iloc[0] ** 2 - shares @ means**2 + exact.mean.item() ** 2))
    for p in (0.1, 0.5):
        below = float(exact.predictive[f"quantile {p}"].iloc[0])
        assert shares @ norm.cdf(below, means, within) == pytest.approx(p, abs=0.005)
    assert means @ shares == pytest.approx(exact.mean.item(), abs=1e-8)


def test_a_likelihood_without_a_variance_has_quantiles():
    net = bnn.MLP((), loss=bnn.losses.StudentT(nu=1.5), noise=0.3, bias=False)
    exact = exact_posterior(net, X5, Y5, X_new=[1.5], quantiles=(0.1, 0.5, 0.9))
    low, middle, high = (exact.predictive[f"quantile {p}"].item() for p in (0.1, 0.5, 0.9))
    assert np.isinf(exact.predictive["sd"].item())
    assert low < exact.mean.item() - 0.5 < middle < exact.mean.item() + 0.5 < high


def test_quantiles_of_counts_are_counts():
    exact = exact_posterior(bnn.MLP((), loss="poisson"), [[0.0], [1.0]], [3, 4], quantiles=(0.5, 0.99))
    for (_, _), row in exact.predictive.iterrows():
        for p in (0.5, 0.99):
            assert row[f"quantile {p}"] == int(row[f"quantile {p}"])
        assert row["quantile 0.99"] >= poisson.ppf(0.99, row["mean"])


def test_everything_is_in_the_users_units():
    data = bnn.load_data("sine_gap", random_seed=1)
    net = bnn.MLP((), noise=0.3)
    exact = exact_posterior(net, data, scaling="standard", X_new=data.X[:3], quantiles=(0.5,))
    post = bnn.fit_posterior(
        net, data, scaling="standard", sampler="tempering", draws=4000, random_seed=1, progressbar=False
    )
    assert exact.log_evidence == pytest.approx(bnn.log_evidence(post).value, abs=1e-9)
    predicted = bnn.predict(post, data.X[:3])
    assert_allclose(exact.mean, predicted["mean"], atol=0.02)
    assert_allclose(exact.sd**2, predicted["variance_epistemic"], rtol=0.1)
    assert_allclose(exact.predictive["sd"], np.sqrt(predicted["variance_total"]).to_numpy().ravel(), rtol=0.05)
    assert_allclose(exact.predictive["quantile 0.5"], exact.mean.ravel(), atol=1e-9)


def test_the_evidence_of_ordered_labels_counts_one_order():
    """Without weights to speak of, cutpoints alone are a known integral: one of three classes each."""
    net = bnn.MLP((), loss="ordinal", prior=bnn.Normal(1e-6))
    exact = exact_posterior(net, [[0.0], [1.0], [2.0]], [0, 1, 2], tolerance=1.0)
    c = 3 * np.random.default_rng(1).normal(size=(200_000, 2))
    c.sort(axis=1)
    p = 1 / (1 + np.exp(-c))
    draws = p[:, 0] * (p[:, 1] - p[:, 0]) * (1 - p[:, 1])
    assert np.exp(exact.log_evidence) == pytest.approx(draws.mean(), abs=4 * draws.std() / np.sqrt(len(draws)))


# --- modes, words, refusals -----------------------------------------------------------------------------------------


def test_mirror_images_are_one_function(two_weights, two_functions):
    one = exact_posterior(two_weights, X5, Y5)
    assert len(one.modes) == 1
    assert one.modes["peaks"].item() == 2
    assert "1 mode in function space" in repr(one)
    assert two_functions.modes["peaks"].tolist() == [2, 2]
    assert "2 modes in function space (96.9316%, 3.06835%)" in two_functions.message


def test_the_words_say_what_was_integrated(node):
    exact = exact_posterior(node, X_NODE, Y_NODE, X_new=[1.5])
    assert exact.message.startswith("Exact posterior, 1 parameter by cubature: log evidence -3.558183")
    assert list(exact.table.index) == [
        "log evidence",
        "mean at x[0], 0",
        "sd at x[0], 0",
        "mean at x[0], 1",
        "sd at x[0], 1",
    ]
    assert "log evidence" in exact._repr_html_()
    assert "closed form" in exact_posterior(bnn.MLP((), noise=0.3), X5, Y5).message


def test_too_many_parameters_are_refused():
    with pytest.raises(SpecError, match=r"8 parameters.*at most 4.*sampler='tempering'"):
        exact_posterior(bnn.MLP((4,), noise=0.3), X5, Y5)
    with pytest.raises(SpecError, match=r"10 parameters; cubature"):
        exact_posterior(bnn.MLP((3,), noise=0.3, loss="absolute_error"), X5, Y5)
    with pytest.raises(ImproperPriorError):
        exact_posterior(bnn.MLP((), noise=0.3, prior=bnn.Flat()), X5, Y5)
    with pytest.raises(SpecError, match=r"quantiles=\(0.5, 1\)"):
        exact_posterior(bnn.MLP((), noise=0.3), X5, Y5, quantiles=(0.5, 1))
    with pytest.raises(SpecError, match="tolerance=0"):
        exact_posterior(bnn.MLP((), noise=0.3), X5, Y5, tolerance=0)
    with pytest.raises(DataError):
        exact_posterior(bnn.MLP((), noise=0.3), X5, Y5[:-1])


# --- the parts ------------------------------------------------------------------------------------------------------


def test_the_error_is_no_smaller_than_the_truth():
    """Two narrow modes apart, at tolerances from rough to fine."""
    one, places = np.ones(2), np.array([[3.0, -2.0], [-4.0, 1.0]])

    def density(x):
        return np.logaddexp.reduce([-0.5 * ((x - p) ** 2).sum(axis=1) / 0.02**2 for p in places])

    truth = np.log(4 * np.pi * 0.02**2)
    wide = {"peaks": places, "widths": np.full((2, 2), 0.02)}
    for tolerance in (1.0, 1e-1, 1e-2, 1e-4):
        found = integrate(density, 0 * one, one, tolerance=tolerance, **wide)
        error = abs(found.fine.log_z - found.coarse.log_z) + 1e-12
        assert abs(found.fine.log_z - truth) <= error
    assert error < 1e-9
    few = integrate(density, 0 * one, one, tolerance=1e-9, most=2000, **wide)
    assert not few.complete


def test_heavy_tails_are_followed():
    found = integrate(
        lambda x: -np.log1p(x[:, 0] ** 2), np.zeros(1), np.ones(1), peaks=np.zeros((1, 1)), widths=np.ones((1, 1))
    )
    assert np.exp(found.fine.log_z) == pytest.approx(np.pi, rel=1e-10)


def test_basins_need_a_valley():
    x = np.linspace(-6, 6, 400)[:, None]

    def labels(apart):
        return basins(x, np.logaddexp(-0.5 * (x[:, 0] - apart) ** 2, -0.5 * (x[:, 0] + apart) ** 2 - 0.1))

    assert labels(0.9).max() == 0
    assert labels(2.5).max() == 1
    assert (labels(2.5) == (x[:, 0] < 0)).mean() > 0.99


def test_every_peak_is_found_once(two_weights):
    density = log_density(prepare(two_weights, X5, Y5), jacobian=False)
    peaks, widths = find_peaks(density, np.random.default_rng(1).normal(size=(12, 2)), np.ones(2))
    assert_allclose(np.sort(peaks[:, 0]), [-0.75938992, 0.75938992], atol=1e-4)
    assert (widths < 0.5).all()
