"""The integrated-out output layer against scipy's normal density, the full model, and quadrature."""

import arviz as az
import mpmath as mp
import numpy as np
import pytensor
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

import bayesnn as bnn
from bayesnn.errors import SpecError
from bayesnn.fitting.collapse import draw_output_layer
from bayesnn.fitting.density import log_density
from bayesnn.model import collapsible, model_of, output_scales
from bayesnn.tree import params_of, prepare
from tests.conftest import X5, Y5
from tests.test_truths import close_to_mean


def reference(what, params):
    """The marginal log density of the targets, and the priors of what is left."""
    net, scales = what.net, output_scales(what)
    features = net.features(params, what.X)
    design = np.column_stack([features, np.ones((len(what.X), len(scales) - features.shape[1]))])
    noise = params.get("noise", net.noise)
    covariance = noise**2 * np.eye(len(what.X)) + design * scales**2 @ design.T
    y = what.y if what.y.ndim == 2 else what.y[:, None]
    return multivariate_normal(np.zeros(len(y)), covariance).logpdf(y.T).sum() + net.log_prior(params)


def hidden(what, rng, size=0.7):
    """Random parameters of the hidden layers, and of the noise where it is learned."""
    shapes = {k: s for k, s in what.shapes.items() if int(k[1:]) < what.net.n_layers}
    params = {k: size * rng.normal(size=s) for k, s in shapes.items()}
    return params | ({"noise": np.array(rng.uniform(0.2, 1.0))} if what.net.noise_prior else {})


PRIOR = bnn.Normal(1.3, fan_in=True, bias=bnn.Normal(2.0))
CASES = [
    (1, 1, 1, bnn.MLP((1,))),
    (7, 2, 1, bnn.MLP((3,), bias=False, prior=bnn.Normal(0.7))),
    (40, 1, 3, bnn.MLP((8,), prior=PRIOR, noise=0.3)),
    (203, 3, 2, bnn.MLP((5, 17), prior=PRIOR)),
    (1100, 3, 1, bnn.MLP((4,), "gelu", prior=PRIOR)),
    (130, 2, 2, bnn.MLP((3, 33), "softplus", noise=0.2)),
    (203, 4, 2, bnn.MLP((), prior=PRIOR)),
    (40, 1, 2, bnn.MLP((3,), noise=bnn.LogNormal(-1.0, 0.6))),
    (23, 2, 1, bnn.MLP((3,), noise=bnn.InverseGamma(3.0, 0.5))),
]


@pytest.mark.parametrize(("n", "p", "m", "net"), CASES)
def test_marginal_density_and_slopes(n, p, m, net):
    rng = np.random.default_rng(0)
    what = prepare(net, rng.normal(size=(n, p)), np.squeeze(rng.normal(size=(n, m)), axis=1 if m == 1 else ()))
    density = log_density(what, jacobian=False, collapse=True)
    params = hidden(what, rng)
    x = density.pack(params)
    value, gradient = density(x)
    assert value == pytest.approx(reference(what, params), rel=1e-11)
    for j in rng.permutation(len(x))[:12]:
        step = 1e-5 * np.eye(len(x))[j]
        up, down = (reference(what, density.unpack(x + s * step)) for s in (1, -1))
        assert gradient[j] == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-7 * abs(value) + 1e-6)
    with_jacobian = log_density(what, jacobian=True, collapse=True)(x)[0]
    assert with_jacobian == pytest.approx(value + np.log(params.get("noise", 1.0)), rel=1e-12)


def test_the_marginal_density_stays_exact_where_the_noise_is_small():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(50, 2))
    params = {"W1": rng.normal(size=(2, 4)), "b1": rng.normal(size=4)}
    y = np.tanh(X @ params["W1"] + params["b1"]).sum(axis=1) + 0.3 + 1e-4 * rng.normal(size=50)
    what = prepare(bnn.MLP((4,), noise=1e-4), X, y)
    density = log_density(what, jacobian=False, collapse=True)

    def exact(W1):
        with mp.workdps(60):
            rows = [[mp.tanh(mp.fdot(x, w) + b) for w, b in zip(W1.T, params["b1"], strict=True)] + [1] for x in X]
            P, Y = mp.matrix(rows), mp.matrix(y.tolist())
            variance = mp.mpf(1e-4) ** 2
            A = mp.eye(5) + P.T * P / variance
            V = mp.lu_solve(A, P.T * Y / variance)
            R = Y - P * V
            squares = sum(r**2 for r in R) / variance + sum(v**2 for v in V)
            return -(50 * mp.log(2 * mp.pi * variance) + mp.log(mp.det(A)) + squares) / 2

    value, gradient = density(density.pack(params))
    prior = what.net.prior.logp(params)
    assert value == pytest.approx(float(exact(params["W1"])) + prior, rel=1e-10)
    step = 1e-12 * np.eye(1, 8, 3).reshape(2, 4)
    slope = float((exact(params["W1"] + step) - exact(params["W1"] - step)) / mp.mpf(2e-12))
    assert gradient[3] == pytest.approx(slope - params["W1"][0, 3], rel=1e-3)


@pytest.mark.parametrize(
    ("bias", "noise"), [(True, None), (False, bnn.LogNormal(-1.0, 0.6)), (True, bnn.InverseGamma(3.0, 0.5))]
)
def test_the_model_without_its_output_layer_has_the_same_density(bias, noise):
    rng = np.random.default_rng(2)
    what = prepare(
        bnn.MLP((3,), bias=bias, prior=PRIOR, noise=noise), rng.normal(size=(20, 2)), rng.normal(size=(20, 2))
    )
    model = model_of(what, collapse=True)
    density = log_density(what, jacobian=True, collapse=True)
    params = hidden(what, rng)
    values = [np.log(params["noise"]) if v.name == "noise_log__" else params[v.name] for v in model.value_vars]
    expected, gradient = density(density.pack(params))
    value = model.logp()
    run = pytensor.function(model.value_vars, [value, *pytensor.grad(value, model.value_vars)], mode="FAST_COMPILE")
    got, *slopes = run(*values)
    assert float(got) == pytest.approx(expected, rel=1e-11)
    assert_allclose(np.concatenate([np.ravel(s) for s in slopes]), gradient, rtol=1e-8, atol=1e-9)

    jax = pytest.importorskip("jax")
    from pymc.sampling.jax import get_jaxified_logp

    # With negative_logp=False it is the negative that one gets.
    got, slopes = jax.value_and_grad(get_jaxified_logp(model, negative_logp=False))(values)
    assert -float(got) == pytest.approx(expected, rel=1e-11)
    assert_allclose(np.concatenate([-np.ravel(s) for s in slopes]), gradient, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("prior", [bnn.Normal(0.7), bnn.Normal(1.3, fan_in=True, bias=bnn.Normal(2.0))])
def test_marginal_times_conditional_is_the_joint_density(prior, bias):
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(15, 2)), rng.normal(size=(15, 2))
    net = bnn.MLP(hidden=(4, 3), prior=prior, bias=bias)
    what = prepare(net, X, y)
    params = {k: rng.normal(size=s) for k, s in what.shapes.items()} | {"noise": np.array(0.4)}
    density = log_density(what, jacobian=False, collapse=True)
    collapsed, _ = density(density.pack(params))

    scales = output_scales(what)
    features = net.features(params, X)
    P = np.column_stack([features, np.ones((len(X), len(scales) - features.shape[1]))]) * scales
    A = np.eye(len(scales)) + P.T @ P / params["noise"] ** 2
    V = np.linalg.solve(A, P.T @ y / params["noise"] ** 2)
    covariance = scales[:, None] * np.linalg.inv(A) * scales
    weights = np.concatenate([params["W3"], params["b3"][None]]) if bias else params["W3"]
    conditional = sum(
        multivariate_normal(scales * V[:, k], covariance).logpdf(weights[:, k]) for k in range(y.shape[1])
    )
    joint = net.log_likelihood(params, X, y).sum() + net.log_prior(params)
    assert collapsed + conditional == pytest.approx(float(joint), abs=1e-9)
    assert collapsed + conditional + 0.01 != pytest.approx(float(joint), abs=1e-9)


def test_drawn_output_layer_has_the_conditional_moments():
    rng = np.random.default_rng(4)
    what = prepare(bnn.MLP(hidden=(2,), noise=0.3), X5, Y5)
    one = {"W1": rng.normal(size=(1, 2)), "b1": rng.normal(size=2)}
    many = {k: np.broadcast_to(v, (4, 5000, *v.shape)) for k, v in one.items()}
    draws = draw_output_layer(what, many, (4, 5000), rng)
    weights = np.concatenate([draws["W2"][..., 0], draws["b2"]], axis=-1).reshape(-1, 3)
    design = np.column_stack([np.tanh(X5[:, None] @ one["W1"] + one["b1"]), np.ones(5)])
    precision = np.eye(3) + design.T @ design / 0.09
    np.testing.assert_allclose(np.cov(weights.T), np.linalg.inv(precision), atol=0.03)
    np.testing.assert_allclose(weights.mean(0), np.linalg.solve(precision, design.T @ Y5 / 0.09), atol=0.03)


def test_both_ways_give_the_quadrature_posterior(two_weights):
    for collapse in (True, False):
        post = bnn.fit_posterior(
            two_weights,
            X5,
            Y5,
            draws=4000,
            target_accept=0.97,
            collapse=collapse,
            random_seed=3,
            progressbar=False,
        )
        assert post.attrs["bayesnn_collapsed"] == int(collapse)
        params = params_of(post)
        f = two_weights.forward(params, np.array([[1.5]]))[..., 0, 0]
        assert close_to_mean(f, 0.89373583)
        assert close_to_mean((f - 0.89373583) ** 2, 0.15533993**2)
        assert close_to_mean(params["W1"][..., 0, 0] ** 2, 1.20704769)
        assert close_to_mean(params["W2"][..., 0, 0] ** 2, 1.44097504)


def test_a_line_with_known_noise_is_drawn_without_a_sampler():
    post = bnn.fit_posterior(bnn.MLP(hidden=(), noise=0.3), X5, Y5, random_seed=1, progressbar=False)
    slope = post.posterior["W1"].to_numpy()[..., 0, 0]
    assert float(az.ess(slope)) > 3000
    assert close_to_mean(slope, 0.56491576)


def test_collapse_is_refused_where_it_is_not_exact():
    for net in (
        bnn.MLP(hidden=(2,), prior=bnn.Laplace(1.0)),
        bnn.MLP(hidden=(2,), prior=bnn.Hierarchical(1.0)),
        bnn.MLP(hidden=(2,), prior=bnn.Normal(1.0, bias=bnn.StudentT())),
        bnn.MLP(hidden=(2,), loss="absolute_error"),
    ):
        assert not collapsible(prepare(net, X5, Y5))
        with pytest.raises(SpecError, match="integrated out"):
            bnn.fit_posterior(net, X5, Y5, collapse=True)
