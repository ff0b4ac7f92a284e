"""The integrated-out output layer against scipy's normal density, the full model, and quadrature."""

import arviz as az
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from scipy.stats import multivariate_normal

import bayesnn as bnn
from bayesnn.errors import SpecError
from bayesnn.fitting.collapse import draw_output_layer
from bayesnn.model import collapsible, model_of, output_scales
from bayesnn.ops.collapsed import CollapsedNormal, solve
from bayesnn.tree import params_of, prepare
from tests.conftest import X5, Y5
from tests.test_truths import close_to_mean


@pytest.fixture(scope="module")
def density():
    inputs = pt.dmatrix("features"), pt.dmatrix("Y"), pt.dvector("scales"), pt.dscalar("sigma")

    def compiled(bias, mode):
        value = CollapsedNormal(bias)(*inputs)[0]
        return pytensor.function(inputs, [value, *pytensor.grad(value, [inputs[0], inputs[3]])], mode=mode)

    return {bias: [compiled(bias, mode) for mode in ("NUMBA", "FAST_COMPILE")] for bias in (True, False)}


def problem(n, h, m, *, bias, rng):
    scales = rng.uniform(0.5, 2.0, size=h + bias)
    return rng.normal(size=(n, h)), rng.normal(size=(n, m)), scales, rng.uniform(0.2, 1.0)


def reference(features, Y, scales, sigma):
    design = np.column_stack([features, np.ones((len(Y), len(scales) - features.shape[1]))])
    covariance = sigma**2 * np.eye(len(Y)) + design * scales**2 @ design.T
    return multivariate_normal(np.zeros(len(Y)), covariance).logpdf(Y.T).sum()


@pytest.mark.parametrize("size", [(1, 1, 1, True), (7, 3, 1, False), (40, 8, 3, True), (203, 17, 2, True)])
def test_marginal_density_and_slopes(density, size):
    *shape, bias = size
    features, Y, scales, sigma = problem(*shape, bias=bias, rng=np.random.default_rng(0))
    for run in density[bias]:
        value, by_features, by_sigma = run(features, Y, scales, sigma)
        assert value == pytest.approx(reference(features, Y, scales, sigma), rel=1e-11)
        step = 1e-6
        shift = np.zeros_like(features)
        shift[-1, -1] = step
        up, down = (reference(features + s * shift, Y, scales, sigma) for s in (1, -1))
        assert by_features[-1, -1] == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-6)
        up, down = (reference(features, Y, scales, sigma + s * step) for s in (1, -1))
        assert by_sigma == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-6)


def test_compiled_and_reference_agree_where_the_noise_is_small(density):
    features, Y, scales, _ = problem(50, 4, 1, bias=True, rng=np.random.default_rng(1))
    exact = features @ np.ones((4, 1)) + 0.3
    first, second = (run(features, exact + 1e-4 * Y, scales, 1e-4) for run in density[True])
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6 * np.abs(b).max())


@pytest.mark.parametrize("bias", [True, False])
def test_jax_gives_the_same(bias):
    pytest.importorskip("jax")
    features, Y, scales, sigma = problem(20, 3, 2, bias=bias, rng=np.random.default_rng(2))
    H, s = pt.dmatrix("features"), pt.dscalar("sigma")
    value = CollapsedNormal(bias)(H, Y, scales, s)[0]
    run = pytensor.function([H, s], [value, *pytensor.grad(value, [H, s])], mode="JAX")
    got = run(features, sigma)
    assert float(got[0]) == pytest.approx(reference(features, Y, scales, sigma), rel=1e-10)
    shift = 1e-6
    up, down = (reference(features, Y, scales, sigma + k * shift) for k in (1, -1))
    assert float(got[2]) == pytest.approx((up - down) / (2 * shift), rel=1e-6)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("prior", [bnn.Normal(0.7), bnn.Normal(1.3, fan_in=True, bias=bnn.Normal(2.0))])
def test_marginal_times_conditional_is_the_joint_density(prior, bias):
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(15, 2)), rng.normal(size=(15, 2))
    net = bnn.MLP(hidden=(4, 3), prior=prior, bias=bias)
    what = prepare(net, X, y)
    params = {k: rng.normal(size=s) for k, s in what.shapes.items()} | {"noise": np.array(0.4)}
    model = model_of(what, collapse=True)
    values = {v.name: np.asarray(params[v.name.removesuffix("_log__")]) for v in model.value_vars}
    values["noise_log__"] = np.log(params["noise"])
    collapsed = float(model.compile_logp(jacobian=False)(values))

    scales = output_scales(what)
    _, L, V = solve(net.features(params, X), y, scales, params["noise"])
    covariance = scales[:, None] * np.linalg.inv(L @ L.T) * scales
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
            draws=3000,
            target_accept=0.95,
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
        assert not collapsible(net)
        with pytest.raises(SpecError, match="integrated out"):
            bnn.fit_posterior(net, X5, Y5, collapse=True)
