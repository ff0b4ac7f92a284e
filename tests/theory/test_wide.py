"""The wide limit: closed forms against quadrature and draws."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import dblquad
from scipy.special import erf, roots_hermitenorm
from scipy.stats import multivariate_normal

import bayesnn as bnn
from bayesnn.errors import ImproperPriorError, SpecError, UnknownNameError
from bayesnn.theory import prior_functions, wide_limit
from bayesnn.theory.wide import MOMENTS

X = np.array([[-2.0, 0.5], [-0.3, 1.0], [0.0, 0.0], [1.5, -1.0]])
PRIOR = bnn.Normal(1.2, fan_in=True, bias=bnn.Normal(0.7))
COVARIANCE = np.array([[1.3, -0.4], [-0.4, 0.6]])
NODES, WEIGHTS = roots_hermitenorm(150)


def by_nodes(function, covariance):
    """E function(u) function(v) of smooth functions, by a product of Gauss and Hermite's rules."""
    root = np.linalg.cholesky(covariance)
    u, v = root[0, 0] * NODES[:, None], root[1, 0] * NODES[:, None] + root[1, 1] * NODES
    return WEIGHTS @ (function(u) * function(v)) @ WEIGHTS / (2 * np.pi)


@pytest.mark.parametrize(("name", "function"), [("erf", erf), ("sin", np.sin), ("identity", lambda z: z)])
def test_moments_of_smooth_units(name, function):
    truth = by_nodes(function, COVARIANCE)
    found = MOMENTS[name](np.diag(COVARIANCE), COVARIANCE)
    assert found[0, 1] == pytest.approx(truth, abs=1e-9)
    assert found[0, 0] == pytest.approx(WEIGHTS @ function(np.sqrt(1.3) * NODES) ** 2 / np.sqrt(2 * np.pi), abs=1e-9)
    assert found[0, 1] != pytest.approx(by_nodes(function, 1.01 * COVARIANCE), abs=1e-9)


def test_moments_of_rectified_units():
    density = multivariate_normal(cov=COVARIANCE).pdf
    truth = dblquad(lambda v, u: u * v * density([u, v]), 0, 10, 0, 10, epsabs=1e-10)[0]
    found = MOMENTS["relu"](np.diag(COVARIANCE), COVARIANCE)
    assert found[0, 1] == pytest.approx(truth, abs=1e-8)
    assert_allclose(np.diag(found), [0.65, 0.3], rtol=1e-12)
    # A unit whose input is always zero.
    assert np.array_equal(MOMENTS["relu"](np.zeros(2), np.zeros((2, 2))), np.zeros((2, 2)))


@pytest.mark.parametrize("name", ["erf", "relu"])
@pytest.mark.parametrize("fan_in", [True, False])
def test_the_covariance_of_one_layer_is_that_of_draws_at_any_width(name, fan_in):
    prior = bnn.Normal(1.2, fan_in=fan_in, bias=bnn.Normal(0.7))
    net, n, rng = bnn.MLP((3,), activation=name, prior=prior), 200_000, np.random.default_rng(1)
    scale = np.sqrt([2, 3]) if fan_in else np.ones(2)
    W1, b1 = 1.2 / scale[0] * rng.normal(size=(n, 2, 3)), 0.7 * rng.normal(size=(n, 1, 3))
    h = X @ W1 + b1
    h = erf(h) if name == "erf" else np.maximum(h, 0)
    f = (h @ (1.2 / scale[1] * rng.normal(size=(n, 3, 1))))[..., 0] + 0.7 * rng.normal(size=(n, 1))
    products = f[:, :, None] * f[:, None, :]
    error = products.std(axis=0) / np.sqrt(n)
    z = (products.mean(axis=0) - wide_limit(net, X)) / error
    assert np.abs(z).max() < 4
    assert np.abs((products.mean(axis=0) - 1.05 * wide_limit(net, X)) / error).max() > 4


def test_several_layers_are_one_after_the_other():
    # Linear units: the covariance of a product of independent matrices.
    net = bnn.MLP((4, 7), activation="identity", prior=bnn.Normal(1.5, fan_in=True), bias=False)
    assert_allclose(wide_limit(net, X), 1.5**6 * X @ X.T / 2, rtol=1e-12)
    deep, shallow = (bnn.MLP(h, activation="erf", prior=PRIOR) for h in ((5, 5), (5,)))
    first = wide_limit(shallow, X)
    pair = first[np.ix_([0, 3], [0, 3])]
    assert wide_limit(deep, X)[0, 3] == pytest.approx(0.49 + 1.44 * by_nodes(erf, pair), abs=1e-9)
    line = bnn.MLP((), prior=PRIOR)
    assert_allclose(wide_limit(line, X), 0.49 + 0.72 * X @ X.T)


def test_functions_are_normal_in_the_limit_only():
    # Excess kurtosis 3 s^4 Var(phi^2) / (H Var(f)^2), without biases; phi^2 by a rule in one dimension.
    net = bnn.MLP((1,), activation="erf", prior=bnn.Normal(1.0, fan_in=True), bias=False)
    found = prior_functions(net, [[1.0]], widths=[1, 2, 200], draws=100_000, random_seed=1)
    square, fourth = (WEIGHTS @ erf(NODES) ** k / np.sqrt(2 * np.pi) for k in (2, 4))
    for cell in found.cells:
        truth = 3 * (fourth - square**2) / (cell["width"] * square**2)
        # Four standard errors of the widest.
        assert cell["kurtosis"][0] == pytest.approx(truth, abs=0.25)
        assert cell["limit_sd"][0] == pytest.approx(np.sqrt(square), rel=1e-9)
        assert cell["sd"][0] == pytest.approx(np.sqrt(square), rel=0.01)
    table = found.table
    assert table.loc["Normal(sd=1.0, fan_in=True)", "excess kurtosis"].is_monotonic_decreasing
    assert "at width 1" in found.message


def test_every_prior_and_width_has_its_cell():
    priors = [bnn.Laplace(1.0), bnn.StudentT(3.0), bnn.Hierarchical(1.0), bnn.Normal(1.0)]
    found = prior_functions(bnn.MLP((2,)), X[:, :1], priors=priors, widths=[1, 3], draws=50, curves=5, random_seed=1)
    assert [(cell["prior"], cell["width"]) for cell in found.cells] == [(p, w) for p in priors for w in (1, 3)]
    assert all(cell["limit_sd"] is None for cell in found.cells)
    assert all(cell["curves"].shape == (5, 4) for cell in found.cells)
    assert (found.cells[0]["lower"] < found.cells[0]["upper"]).all()


def test_what_has_no_limit_is_refused():
    with pytest.raises(UnknownNameError, match=r"'tanh'; known are 'erf'"):
        wide_limit(bnn.MLP((2,)), X)
    for prior in (bnn.Laplace(1.0), bnn.Hierarchical(1.0), bnn.Flat(), bnn.Normal(1.0, bias=bnn.Laplace(1.0))):
        with pytest.raises(SpecError, match=r"normal priors with fixed scales"):
            wide_limit(bnn.MLP((2,), activation="erf", prior=prior), X)
    with pytest.raises(ImproperPriorError):
        prior_functions(bnn.MLP((2,)), X, priors=[bnn.Flat()])
    with pytest.raises(SpecError, match="nothing to widen"):
        prior_functions(bnn.MLP(()), X)
    with pytest.raises(SpecError, match="prob=1"):
        prior_functions(bnn.MLP((2,)), X, prob=1)
