"""Identities: expectations by quadrature, values by other arithmetic, and each fails on draws that are wrong."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import log_softmax

import bayesnn as bnn
from bayesnn.errors import ConvergenceWarning, SpecError
from bayesnn.symmetry import align
from bayesnn.theory import identities
from bayesnn.tree import params_of, problem_of
from tests.conftest import X5, Y5, tree_of

NOISE, SD = 0.5, 1.5
X2 = np.array([[-2.0, 0.5], [-1.0, -1.0], [0.5, 1.5], [1.0, 0.0], [2.0, -0.5]])
LABELS = np.array([0, 2, 1, 1, 2])
GRID = np.linspace(-9.0, 9.0, 361)


def relu(z):
    return np.maximum(z, 0.0)


def same(z):
    return z


def moments(hidden_of, n_out):
    """E[a a'] and E[v v'] of a network with two numbers a before its output layer v, which is normal given them."""
    a = np.stack(np.meshgrid(GRID, GRID, indexing="ij"), axis=-1).reshape(-1, 2)
    H = hidden_of(a)
    precision = H.mT @ H / NOISE**2 + np.eye(n_out) / SD**2
    covariance = np.linalg.inv(precision)
    mean = covariance @ (H.mT @ Y5)[..., None] / NOISE**2
    fit = (mean.mT @ precision @ mean)[:, 0, 0]
    log_p = fit / 2 - np.linalg.slogdet(precision)[1] / 2 - (a**2).sum(axis=1) / SD**2 / 2
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    second = mean @ mean.mT + covariance
    return np.einsum("g,gi,gj->ij", p, a, a), np.einsum("g,gij->ij", p, second)


@pytest.mark.parametrize(
    ("phi", "at", "units", "value", "expected"),
    [
        (relu, lambda a: (a @ X2.T)[..., None], 1, lambda a, v: np.trace(a) - v[0, 0], 2 - 1),
        (relu, lambda a: (a[:, :1] * X5 + a[:, 1:])[..., None], 1, lambda a, v: np.trace(a) - v[0, 0], 1 + 1 - 1),
        (same, lambda a: (a @ X2.T)[..., None], 1, lambda a, v: np.trace(a) - v[0, 0], 2 - 1),
        (same, lambda a: (a[:, :1] * X5 + a[:, 1:])[..., None], 1, lambda a, v: np.trace(a) - v[0, 0], 1 + 1 - 1),
        (same, lambda a: X5[:, None] * a[:, None, :], 2, lambda a, v: a - v, np.zeros((2, 2))),
    ],
    ids=["relu", "relu with bias", "linear", "linear with bias", "two linear units"],
)
def test_the_balance_of_weights_is_the_count_of_them(phi, at, units, value, expected):
    incoming, outgoing = moments(lambda a: phi(at(a)), units)
    assert_allclose(value(incoming, outgoing) / SD**2, expected, atol=2e-4)
    # The data count: without the balance each side depends on them.
    assert abs(np.trace(outgoing) / SD**2 - units) > 0.05


def test_the_class_mean_keeps_its_prior():
    axis = np.linspace(-8.0, 8.0, 61)
    W = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    log_p = -(W**2).sum(axis=1) / SD**2 / 2
    for x, label in zip(X5, LABELS, strict=True):
        log_p = log_p + log_softmax(x * W, axis=1)[:, label]
    p = np.exp(log_p - log_p.max())
    p /= p.sum()
    assert_allclose(p @ W.mean(axis=1) ** 2 / SD**2, 1 / 3, rtol=1e-4)
    assert abs(p @ W[:, 0] ** 2 / SD**2 - 1) > 0.02


def test_stretching_takes_one_from_each_dimension_and_needs_the_jacobian():
    w, log_s = np.meshgrid(np.linspace(-4, 4, 801), np.linspace(-5, 2.5, 1501), indexing="ij")
    s, n = np.exp(log_s), len(X5)
    squares = (Y5 @ Y5) - 2 * w * (X5 @ Y5) + w**2 * (X5 @ X5)
    log_p = -n * log_s - squares / s**2 / 2 - w**2 / 2 - s**2 / 2
    slope_w = (X5 @ Y5 - w * (X5 @ X5)) / s**2 - w
    slope_s = -n + squares / s**2 - s**2
    p = np.exp(log_p + log_s - np.max(log_p + log_s))
    p /= p.sum()
    assert_allclose(np.sum(p * (w * slope_w + log_s * (slope_s + 1))), -2, rtol=1e-6)
    assert abs(np.sum(p * (w * slope_w + log_s * slope_s)) + 2) > 0.1


NETS = {
    "relu": (
        bnn.MLP((2,), activation="relu", noise=0.3, prior=bnn.Normal(SD, fan_in=True, bias=bnn.Normal(0.7))),
        X2,
        Y5,
    ),
    "linear": (bnn.MLP((2,), activation="identity", bias=False, noise=0.3), X2, Y5),
    "learned": (bnn.MLP((1,), activation="relu", prior=bnn.Hierarchical(1.0)), X5, Y5),
    "softmax": (bnn.MLP((1,), loss="cross_entropy", prior=bnn.Normal(SD)), X5, LABELS),
    "heavy": (bnn.MLP((1,), activation="relu", noise=0.3, prior=bnn.StudentT(2.0)), X5, Y5),
}
EXPECTED = {
    "relu": [-9, 2, 2],
    "linear": [-6, 1, 0, 1],
    "learned": [-7, 1],
    "softmax": [-8, 1 / 3, 1 / 3],
    "heavy": [-4],
}


@pytest.fixture(scope="module")
def posts():
    options = {"draws": 1000, "target_accept": 0.97, "random_seed": 1, "progressbar": False}
    with warnings.catch_warnings():
        # Scales that are learned make a funnel, in which a few draws diverge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return {name: bnn.fit_posterior(*of, **options) for name, of in NETS.items()}


@pytest.mark.parametrize("name", NETS)
def test_a_right_posterior_obeys_what_its_network_implies(posts, name):
    found = identities(posts[name])
    assert_allclose(found.table["expectation"], EXPECTED[name], rtol=1e-12)
    assert found.table["z"].notna().all()
    assert found.failed == ()
    assert ("identity holds" if len(found.table) == 1 else "identities hold") in found.message


@pytest.mark.parametrize("name", NETS)
def test_the_first_value_is_the_slope_along_the_ray(posts, name):
    problem, params = problem_of(posts[name]), params_of(posts[name])

    def log_density(stretch):
        moved = {k: np.exp(stretch * np.log(v)) if k[0] in "ns" else stretch * v for k, v in params.items()}
        value = problem.net.log_likelihood(moved, problem.X, problem.y).sum(axis=-1) + problem.net.log_prior(moved)
        return value + sum(np.log(v) for k, v in moved.items() if k[0] in "ns")

    h = 1e-5
    slope = (log_density(1 + h) - log_density(1 - h)) / (2 * h)
    assert_allclose(identities(posts[name]).table["value"].iloc[0], slope.mean(), rtol=1e-5)


def test_the_balances_are_those_of_the_formula(posts):
    p = params_of(posts["relu"])
    unit = (p["W1"][..., 0] ** 2).sum(axis=-1) / (SD**2 / 2) + p["b1"][..., 0] ** 2 / 0.7**2
    unit -= p["W2"][..., 0, 0] ** 2 / (SD**2 / 2)
    assert_allclose(identities(posts["relu"]).table.loc["balance of relu unit 1 of layer 1", "value"], unit.mean())
    p = params_of(posts["learned"])
    unit = (p["W1"][..., 0, 0] ** 2 + p["b1"][..., 0] ** 2) / p["scale1"] ** 2 - p["W2"][..., 0, 0] ** 2 / p[
        "scale2"
    ] ** 2
    assert_allclose(identities(posts["learned"]).table["value"].iloc[1], unit.mean())
    p = params_of(posts["linear"])
    cross = (p["W1"][..., 0] * p["W1"][..., 1]).sum(axis=-1) - p["W2"][..., 0, 0] * p["W2"][..., 1, 0]
    found = identities(posts["linear"]).table
    assert_allclose(found.loc["balance of linear units 1 and 2 of layer 1", "value"], cross.mean())
    mean = params_of(posts["softmax"])["W2"][..., 0, :].mean(axis=-1)
    assert_allclose(identities(posts["softmax"]).table["value"].iloc[1], (mean**2).mean() / SD**2)


def relabelled(post, **changes):
    """The same draws, said to be from another posterior."""
    other = post.copy()
    other.attrs["bayesnn_network"] = replace(problem_of(post).net, **changes).to_json()
    return other


@pytest.mark.parametrize("name", ["relu", "linear", "softmax"])
def test_draws_of_another_prior_fail(posts, name):
    found = identities(relabelled(posts[name], prior=bnn.Normal(0.7)))
    assert found.failed
    assert found.failed[0] in found.message
    assert "not draws from this posterior" in found.message


def test_draws_of_another_noise_fail_by_the_likelihood_alone(posts):
    found = identities(relabelled(posts["relu"], noise=0.4))
    assert found.failed == ("E[theta . grad log posterior]",)


def test_too_few_effective_draws_get_no_verdict(posts):
    post = relabelled(posts["relu"], prior=bnn.Normal(0.3))
    few = tree_of(problem_of(post).net, X2, Y5, {k: v[:, :40] for k, v in params_of(post).items()})
    found = identities(few)
    assert found.failed == ()
    assert "No verdict" in found.message
    # A chain that never moves leaves hardly an effective draw.
    params = {k: v.copy() for k, v in params_of(post).items()}
    for value in params.values():
        value[0] = value[0, :1]
    stuck = identities(tree_of(problem_of(post).net, X2, Y5, params))
    assert stuck.table["z"].isna().all()


def test_draws_that_are_not_finite_get_no_verdict(posts):
    params = {k: v.copy() for k, v in params_of(posts["heavy"]).items()}
    params["W2"][0, 3] = np.nan
    found = identities(tree_of(NETS["heavy"][0], X5, Y5, params))
    assert found.failed == ()
    assert "not finite" in repr(found)


def test_an_aligned_posterior_is_judged_as_it_was_sampled(posts):
    assert_allclose(identities(align(posts["relu"])).table, identities(posts["relu"]).table, rtol=1e-12)


def test_a_point_has_no_identities(posts):
    point = {k: v[:1, :1] for k, v in params_of(posts["heavy"]).items()}
    with pytest.raises(SpecError, match="identities are of a posterior"):
        identities(tree_of(NETS["heavy"][0], X5, Y5, point, kind="map"))
