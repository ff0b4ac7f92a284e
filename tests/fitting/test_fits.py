"""MLE, MAP and posterior: their audits, errors and files against SciPy, PyMC and closed forms."""

import importlib
import math
import warnings

import arviz as az
import numba
import numpy as np
import pandas as pd
import pytensor
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy import stats
from scipy.optimize import minimize

import bayesnn as bnn
from bayesnn.arguments import rng_of
from bayesnn.errors import (
    ConvergenceWarning,
    DataError,
    FitError,
    ImproperPriorError,
    NoMAPError,
    SpecError,
    UnknownNameError,
)
from bayesnn.fitting.climb import audit_ends, climb
from bayesnn.fitting.density import ModelDensity, log_density
from bayesnn.fitting.objective import Objective, central_hessian
from bayesnn.fitting.progress import bar, compiling
from bayesnn.model import model_of
from bayesnn.tree import params_of, prepare
from tests.conftest import X5, X_NODE, Y5, Y_NODE, random_params
from tests.test_truths import close_to_mean

LINE = bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(1.0))
Y_COUNTS = np.array([0, 1, 1, 3, 6])


def fit(function, net, X, y=None, **kwargs):
    options = {"restarts": 3, "random_seed": 1, "progressbar": False} | kwargs
    return function(net, X, y, **options)


def objective_of(net, X, y):
    problem = prepare(net, X, y)
    return Objective(log_density(problem, jacobian=False)), problem


def no_kinks(objective):
    return np.zeros(objective.size)


# The audit of the end points


def test_optima_hold_the_audit_of_every_start(sine, sine_net, sine_map):
    optima = sine_map.optima.to_dataset()
    assert optima.sizes["start"] == 20
    params = params_of(sine_map, group="optima", batch=("start",))
    f = sine_net.forward(params, sine.X)[..., 0]
    assert_allclose(optima.log_likelihood, stats.norm(f, 0.2).logpdf(sine.y).sum(axis=1), rtol=1e-12)
    log_prior = sum(stats.norm(0, 1).logpdf(v).reshape(20, -1).sum(axis=1) for v in params.values())
    assert_allclose(optima.log_prior, log_prior, rtol=1e-12)
    joint = (optima.log_likelihood + optima.log_prior).to_numpy()
    best = optima.attrs["best"]
    assert joint[best] == pytest.approx(joint.max(), abs=1e-12)
    for name, value in sine_map.posterior.data_vars.items():
        assert_allclose(value.to_numpy()[0, 0], optima[name].to_numpy()[best], rtol=0, atol=0)
    assert (optima.iterations > 0).all()
    assert optima.converged.dtype == bool
    assert set(optima.signature.to_numpy()) <= {"minimum", "flat", "saddle"}
    done = optima.converged.to_numpy()
    assert (optima.gradient_norm.to_numpy()[done] < 1e-4).all()
    assert (optima.n_negative.to_numpy()[done] == 0).all()
    message = sine_map.attrs["bayesnn_message"]
    assert f"{done.sum()} of 20 starts converged" in message
    good = (joint >= joint.max() - 1e-6 * abs(joint.max())).sum()
    assert f"{good} reached the best value" in message


def test_the_map_of_two_tanh_units_is_what_scipy_finds(sine, sine_net, sine_map):
    x, y = sine.X[:, 0], sine.y

    def minus_log_joint(theta):
        w, b, v, c = theta[:2], theta[2:4], theta[4:6], theta[6]
        f = np.tanh(x[:, None] * w + b) @ v + c
        return 0.5 * np.sum(((y - f) / 0.2) ** 2) + 0.5 * theta @ theta

    rng = np.random.default_rng(3)
    found = min((minimize(minus_log_joint, rng.normal(size=7), method="BFGS") for _ in range(12)), key=lambda r: r.fun)
    constant = 40 * np.log(0.2 * np.sqrt(2 * np.pi)) + 7 * np.log(np.sqrt(2 * np.pi))
    joint = (sine_map.optima.log_likelihood + sine_map.optima.log_prior).to_numpy()
    assert joint.max() == pytest.approx(-found.fun - constant, abs=1e-6)
    assert (joint > joint.max() - 1e-6).sum() >= 5, "many starts reach it"
    best = {k: v.to_numpy()[0, 0] for k, v in sine_map.posterior.data_vars.items()}
    theta = np.concatenate([best["W1"].ravel(), best["b1"], best["W2"].ravel(), best["b2"]])
    assert_allclose(minus_log_joint(theta), found.fun, rtol=1e-8)
    units = sorted(np.abs(best["W1"].ravel()))
    assert_allclose(units, sorted(np.abs(found.x[:2])), rtol=1e-3)


def test_the_best_start_is_finished_by_pymc(sine_mle, sine_map):
    for tree in (sine_mle, sine_map):
        assert tree.fit.mean_vector.size == 7
        assert {"fit", "optimizer_result", "observed_data", "constant_data"} <= set(tree.children)
        assert "success" in tree.optimizer_result.data_vars
        moved = abs(tree.optima.log_likelihood.to_numpy()[tree.optima.attrs["best"]])
        assert np.isfinite(moved)


def test_without_pymcs_search_the_numbers_are_the_same(sine, sine_net, sine_map):
    plain = bnn.fit_map(sine_net, sine.X, sine.y, restarts=20, random_seed=1, finish=False, progressbar=False)
    assert not {"fit", "optimizer_result"} & set(plain.children)
    assert_allclose(plain.posterior["W1"], sine_map.posterior["W1"], rtol=1e-6)
    assert "finish=False" in plain.attrs["bayesnn_call"]


def test_mle_has_the_higher_likelihood_and_map_the_higher_joint(sine_mle, sine_map):
    def at(tree):
        best = tree.optima.attrs["best"]
        return float(tree.optima.log_likelihood[best]), float(tree.optima.log_prior[best])

    (mle, mle_prior), (map_, map_prior) = at(sine_mle), at(sine_map)
    assert mle > map_
    assert mle + mle_prior < map_ + map_prior


def test_zero_weights_are_found_out_as_a_saddle(two_weights):
    objective, _ = objective_of(two_weights, X5, Y5)
    values, audit = audit_ends(objective, np.zeros((1, 2)), kinks=no_kinks(objective))
    assert audit["gradient_norm"][0] == 0, "the gradient alone would have passed"
    assert audit["signature"][0] == "saddle"
    assert audit["n_negative"][0] == 1
    assert not audit["converged"][0]
    best, *_ = climb(objective, np.array([0.5, 0.5]), kinks=no_kinks(objective), smooth=True, maxiter=200)
    values, audit = audit_ends(objective, np.vstack([best, best + 0.1]), kinks=no_kinks(objective))
    assert audit["signature"][0] == "minimum"
    assert audit["converged"].tolist() == [True, False]
    assert values[0] < values[1]


def test_relu_without_prior_is_flat_along_its_rescaling():
    relu = bnn.MLP(hidden=(1,), activation="relu", bias=False, noise=0.3)
    mle = fit(bnn.fit_mle, relu, X5, Y5)
    assert mle.optima.signature.to_numpy().tolist() == ["flat"] * 3
    assert mle.optima.n_zero.to_numpy().tolist() == [1] * 3
    assert mle.standard_error.attrs["definite"] == 0
    assert np.isnan(mle.standard_error.W1.item())
    # With x = (1, 2) on the active side: the least squares slope, split in any way between the two weights.
    active = X5 * np.sign(mle.posterior.W1.item()) > 0
    slope = (X5[active] @ Y5[active]) / (X5[active] @ X5[active])
    assert mle.posterior.W1.item() * mle.posterior.W2.item() == pytest.approx(slope, abs=1e-8)
    assert fit(bnn.fit_map, relu, X5, Y5).optima.signature.to_numpy()[0] == "minimum"


# Standard errors


def test_standard_errors_of_a_line_are_those_of_least_squares():
    mle = fit(bnn.fit_mle, LINE, X5, Y5)
    design = np.column_stack([X5, np.ones(5)])
    covariance = 0.3**2 * np.linalg.inv(design.T @ design)
    found = [mle.standard_error.W1.item(), mle.standard_error.b1.item()]
    assert_allclose(found, np.sqrt(np.diag(covariance)), rtol=1e-8)
    map_ = fit(bnn.fit_map, LINE, X5, Y5)
    covariance = np.linalg.inv(design.T @ design / 0.3**2 + np.eye(2))
    found = [map_.standard_error.W1.item(), map_.standard_error.b1.item()]
    assert_allclose(found, np.sqrt(np.diag(covariance)), rtol=1e-8)


def test_learned_noise_is_the_root_mean_square_residual_with_its_textbook_standard_error():
    mle = fit(bnn.fit_mle, bnn.MLP(hidden=()), X5, Y5)
    slope, intercept = np.polyfit(X5, Y5, 1)
    sigma = np.sqrt(np.mean((Y5 - slope * X5 - intercept) ** 2))
    assert mle.posterior.noise.item() == pytest.approx(sigma, rel=1e-9)
    assert mle.posterior.W1.item() == pytest.approx(slope, abs=1e-9)
    assert mle.standard_error.noise.item() == pytest.approx(sigma / np.sqrt(2 * 5), rel=1e-6)


def test_map_of_the_noise_has_no_jacobian():
    net = bnn.MLP(hidden=(), noise=bnn.HalfNormal(0.2), bias=False)
    found = fit(bnn.fit_map, net, X5, Y5)

    def minus_log_joint(theta):
        return -(
            stats.norm(theta[0] * X5, theta[1]).logpdf(Y5).sum()
            + stats.norm(0, 1).logpdf(theta[0])
            + stats.halfnorm(0, 0.2).logpdf(theta[1])
        )

    oracle = minimize(minus_log_joint, [0.5, 0.2], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12})
    assert_allclose([found.posterior.W1.item(), found.posterior.noise.item()], oracle.x, rtol=1e-6)


def test_standard_errors_are_missing_where_the_optimum_has_none():
    softmax = fit(bnn.fit_mle, bnn.MLP(hidden=(), loss="cross_entropy"), X5, [0, 1, 0, 1, 0])
    assert softmax.optima.signature.to_numpy()[0] == "flat", "a number can be added to all logits"
    lasso = fit(bnn.fit_map, bnn.MLP(hidden=(), noise=0.3, prior=bnn.Laplace(0.01)), X5, Y5)
    assert lasso.posterior.b1.item() == 0.0
    median = fit(bnn.fit_mle, bnn.MLP(hidden=(), loss="absolute_error", noise=0.3), X5, Y5)
    assert set(median.optima.signature.to_numpy()) == {"kink"}
    for tree in (softmax, lasso, median):
        assert tree.standard_error.attrs["definite"] == 0
        assert all(np.isnan(v).all() for v in tree.standard_error.data_vars.values())


# The compiled objective

OBJECTIVES = [
    (bnn.MLP((2,), "tanh", "ordinal", None, bnn.Normal(1.0)), X5, [0, 1, 2, 3, 1]),
    (bnn.MLP((2,), "tanh", "squared_error", None, bnn.Hierarchical(1.0)), X5, Y5),
]


@pytest.mark.parametrize(("net", "X", "y"), OBJECTIVES, ids=["ordinal", "hierarchical"])
def test_the_flat_vector_is_that_of_pymc(net, X, y):
    objective, problem = objective_of(net, X, y)
    params = random_params(problem, (3,), seed=4)
    flat = objective.pack(params)
    assert flat.shape == (3, objective.size)
    back = objective.unpack(flat)
    assert set(back) == set(params)
    for name, value in params.items():
        assert_allclose(back[name], value, rtol=1e-13, atol=1e-14)

    model = model_of(problem)
    assert sorted(model.values_to_rvs[var].name for var in model.value_vars) == sorted(objective.names)
    for var in model.value_vars:
        rv = model.values_to_rvs[var]
        i = objective.names.index(rv.name)
        piece = flat[0, objective.offsets[i] : objective.offsets[i + 1]].reshape(objective.shapes[i])
        transform = model.rvs_to_transforms[rv]
        if transform is not None:
            piece = transform.backward(pytensor.tensor.constant(piece), *rv.owner.inputs).eval()
        assert_allclose(back[rv.name][0], piece, rtol=1e-12)

    # Value against NumPy's density; gradient, slopes and Hessian against central differences.
    x, step = flat[0], 1e-6
    value, gradient = objective(x)
    one = {k: v[0] for k, v in params.items()}
    expected = net.log_likelihood(one, problem.X, problem.y).sum() + net.log_prior(one)
    assert value == pytest.approx(-expected, rel=1e-11)
    slopes, hessian = objective.slopes(x), objective.hessian(x)
    for j in range(objective.size):
        shift = step * np.eye(objective.size)[j]
        up, down = objective(x + shift), objective(x - shift)
        assert gradient[j] == pytest.approx((up[0] - down[0]) / (2 * step), rel=1e-6, abs=1e-6)
        assert_allclose(hessian[:, j], (up[1] - down[1]) / (2 * step), rtol=1e-5, atol=1e-5)
        moved = [
            np.concatenate([np.ravel(objective.unpack(x + s * shift)[n]) for n in objective.names]) for s in (1, -1)
        ]
        assert_allclose(slopes[:, j], (moved[0] - moved[1]) / (2 * step), rtol=1e-6, atol=1e-8)
    assert not np.allclose(slopes, np.eye(objective.size)), "some parameters are transformed"


def test_the_hessian_of_a_line_is_exact():
    objective, _ = objective_of(LINE, X5, Y5)
    design = np.column_stack([X5, np.ones(5)])
    assert_allclose(objective.hessian(np.array([0.3, -0.2])), design.T @ design / 0.09 + np.eye(2), atol=1e-9)


def test_a_hessian_of_gradients_without_bound_is_no_number_and_no_warning():
    assert np.isinf(central_hessian(lambda points: np.sign(points) * 1e307, np.zeros(1))).all()


def test_the_objective_is_infinite_where_the_density_underflows():
    objective, _ = objective_of(LINE, X5, Y5)
    value, gradient = objective(np.array([1e200, 0.0]))
    assert value == np.inf
    assert (gradient == 0).all()


def test_the_compiled_graph_knows_no_sizes():
    X = np.random.default_rng(0).normal(size=(29, 11))
    density = ModelDensity(model_of(prepare(bnn.MLP(hidden=(37,), noise=0.3), X, X[:, 0])), jacobian=True)
    assert density.size == 11 * 37 + 37 + 37 + 1
    sizes = {11, 37, 29, *density.offsets[1:].tolist()}
    constants = [
        v.data
        for node in density.function.maker.fgraph.apply_nodes
        for v in node.inputs
        if isinstance(v, pytensor.graph.basic.Constant) and isinstance(v.data, np.ndarray | np.number | int)
    ]
    assert constants
    assert not [c for c in constants if set(np.ravel(c).tolist()) & sizes]


# What goes wrong, and how it is said


def test_too_few_iterations_are_reported(sine, sine_net):
    with pytest.warns(ConvergenceWarning, match="Raise maxiter"):
        tree = fit(bnn.fit_map, bnn.MLP(hidden=(6,), noise=0.05), sine.X, sine.y, maxiter=1)
    assert "converged" in tree.attrs["bayesnn_message"]
    assert tree.optima.iterations.to_numpy().max() == 1
    assert not tree.optima.converged.all()


def test_no_finite_start_is_an_error():
    y = np.array([1e140, -1e140, 1e140, 2e140, -1e140])
    with pytest.raises(FitError, match="no finite log density at any of 3 starts"):
        fit(bnn.fit_mle, bnn.MLP(hidden=(), noise=1e-30), X5, y)


def test_a_hierarchical_prior_has_no_map_but_an_mle():
    net = bnn.MLP(hidden=(), noise=0.3, prior=bnn.Hierarchical())
    with pytest.raises(NoMAPError, match="no peak"):
        fit(bnn.fit_map, net, X5, Y5)
    mle = fit(bnn.fit_mle, net, X5, Y5)
    assert mle.posterior.W1.item() == pytest.approx(np.polyfit(X5, Y5, 1)[0], abs=1e-9)
    assert np.isnan(mle.optima.log_prior).all(), "the scales are no part of an MLE"
    assert np.isnan(bnn.compare(mle).loc["log-prior"].item())


@pytest.mark.parametrize(
    ("spec", "remedy"),
    [
        ({"prior": bnn.Flat(), "noise": 0.3}, "prior=bnn.Normal"),
        ({"prior": bnn.Normal(1.0, bias=bnn.Flat()), "noise": 0.3}, "prior=bnn.Normal"),
        ({"noise": bnn.HalfFlat()}, "noise=bnn.HalfNormal"),
    ],
)
def test_a_posterior_needs_a_proper_prior(spec, remedy):
    with pytest.raises(ImproperPriorError, match=rf"does not integrate.*Use {remedy}"):
        bnn.fit_posterior(bnn.MLP(hidden=(), **spec), X5, Y5, progressbar=False)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"sampler": "nutpi"}, UnknownNameError, "Did you mean 'nutpie'"),
        ({"scaling": "minmax"}, SpecError, "'minmax'"),
    ],
)
def test_wrong_arguments_of_a_posterior(arguments, error, words):
    with pytest.raises(error, match=words):
        bnn.fit_posterior(LINE, X5, Y5, progressbar=False, **arguments)


SEED = "an integer from 0 on, or what else numpy.random.default_rng takes. Write {name}=1"
COUNT, SWITCH = "a positive integer. Write {name}=", "True or False. Write {name}=False"
BAD = {
    "random_seed": ((-1, 1.5, "one", True, [1, -2]), SEED),
    "progressbar": ((1, None, "yes"), SWITCH),
}
BAD_POINT = BAD | {
    "finish": ((None,), "True or False. Write finish=True"),
    "restarts": ((0, -3, 1.5, True, "many", None, math.nan, math.inf, np.float64("inf")), COUNT),
    "maxiter": ((0, 2.5, [100]), COUNT),
    "nonexistent": (("no", None, ["flag"]), "'raise' or 'flag'. Write nonexistent='flag'"),
}
BAD_POSTERIOR = BAD | {
    "draws": ((0, 10.5, True, "many"), COUNT),
    "tune": ((0, -1), "a positive integer, since without warm-up the sampler has no step size. Write tune=1000"),
    "chains": ((0, True, None), COUNT),
    "cores": ((0, 1.5), COUNT),
    "target_accept": ((0, 1.0, "high", math.nan), "a number between 0 and 1. Write target_accept=0.95"),
    "collapse": ((0, "yes"), SWITCH),
    "log_likelihood": ((1, None), SWITCH),
    "log_prior": ((0,), SWITCH),
}


@pytest.mark.parametrize(
    ("function", "name", "value", "rule"),
    [
        (function, name, value, rule)
        for function, bad in ((bnn.fit_mle, BAD_POINT), (bnn.fit_map, BAD_POINT), (bnn.fit_posterior, BAD_POSTERIOR))
        for name, (values, rule) in bad.items()
        for value in values
    ],
)
def test_wrong_arguments_are_refused_before_the_data_are_looked_at(function, name, value, rule):
    # Not even the network is one.
    with pytest.raises(SpecError) as caught:
        function("net", X5, Y5, **{name: value})
    assert str(caught.value).startswith(f"Got {name}={value!r}; it must be {rule.format(name=name)}")
    assert "or leave it out" in str(caught.value)


def test_whatever_numpy_takes_is_a_seed():
    for seed in (None, 3, np.int64(3), [1, 2], np.random.SeedSequence(3), np.random.PCG64(3)):
        assert isinstance(rng_of(seed), np.random.Generator)
    rng = np.random.default_rng(3)
    assert rng_of(rng) is rng, "a generator goes on where it is"
    ends = [
        fit(bnn.fit_mle, LINE, X5, Y5, random_seed=seed).optima.W1
        for seed in (3, np.random.default_rng(3), np.random.SeedSequence(3))
    ]
    for again in ends[1:]:
        assert_allclose(again, ends[0], rtol=0, atol=0)


@pytest.mark.parametrize(
    "call",
    [
        lambda seed: bnn.load_data("coin", random_seed=seed),
        lambda seed: bnn.load_data("iris", random_seed=seed),
        lambda seed: bnn.simulate("neal", 10, random_seed=seed),
        lambda seed: bnn.plot_prior(LINE, X5, Y5, random_seed=seed),
        lambda seed: bnn.random_symmetry(LINE, seed),
        lambda seed: bnn.check_symmetry(LINE, X5, Y5, random_seed=seed),
    ],
)
def test_every_seed_has_the_same_rule(call):
    with pytest.raises(SpecError, match="Got random_seed=-1; it must be an integer from 0 on"):
        call(-1)


def test_whole_numbers_may_be_floats():
    post = bnn.fit_posterior(
        LINE, X5, Y5, draws=50.0, tune=np.float64(60), chains=2.0, random_seed=1, progressbar=False
    )
    assert dict(post.posterior.sizes)["draw"] == 50
    assert fit(bnn.fit_mle, LINE, X5, Y5, restarts=2.0, maxiter=1e3).attrs["bayesnn_restarts"] == 2


def test_wrong_inputs_are_refused_before_anything_is_compiled(sine):
    with pytest.raises(SpecError, match=r"bnn\.MLP"):
        fit(bnn.fit_map, "net", X5, Y5)
    with pytest.raises(SpecError, match="Leave y out"):
        fit(bnn.fit_map, LINE, sine, sine.y)
    with pytest.raises(SpecError, match="no y"):
        fit(bnn.fit_map, LINE, X5)
    with pytest.raises(DataError, match="rows"):
        fit(bnn.fit_map, LINE, X5, Y5[:4])


# The posterior


@pytest.mark.parametrize("sampler", ["nutpie", "pymc", "numpyro"])
def test_every_sampler_draws_the_exact_posterior_of_a_line(sampler):
    post = bnn.fit_posterior(
        LINE,
        X5,
        Y5,
        draws=1000,
        tune=500,
        chains=2,
        sampler=sampler,
        collapse=False,
        random_seed=1,
        progressbar=False,
    )
    assert post.attrs["bayesnn_sampler"] == sampler
    assert dict(post.posterior.sizes) == {"chain": 2, "draw": 1000, "feature": 1, "output": 1}
    slope, intercept = (post.posterior[k].to_numpy().reshape(2, -1) for k in ("W1", "b1"))
    assert close_to_mean(slope, 0.56491576)
    assert close_to_mean(intercept, 0.01964637)
    assert close_to_mean((slope - 0.56491576) ** 2, 0.00891972)
    assert not close_to_mean(slope + 0.05, 0.56491576)
    statistics = post.sample_stats.to_dataset()
    assert {"diverging", "energy", "lp", "tree_depth", "n_steps", "step_size", "acceptance_rate"} <= set(statistics)
    params = params_of(post)
    joint = LINE.log_likelihood(params, X5[:, None], Y5).sum(axis=-1) + LINE.log_prior(params)
    assert_allclose(statistics.lp, joint, atol=1e-8)
    assert not statistics.diverging.any()


def test_the_seed_fixes_the_draws(line_post):
    again = [bnn.fit_posterior(LINE, X5, Y5, draws=2000, random_seed=s, progressbar=False) for s in (1, 2)]
    assert_allclose(again[0].posterior.W1, line_post.posterior.W1, rtol=0, atol=0)
    assert not np.allclose(again[1].posterior.W1, line_post.posterior.W1)


def test_log_densities_on_request_serve_arviz():
    net = bnn.MLP(hidden=(), noise=0.3)
    x = np.linspace(-2, 2, 20)
    y = 0.5 * x + 0.3 * np.random.default_rng(0).normal(size=20)
    arguments = {"draws": 2000, "random_seed": 1, "log_likelihood": True, "log_prior": True, "progressbar": False}
    post = bnn.fit_posterior(net, x, y, **arguments)
    params = params_of(post)
    f = params["W1"][..., 0] * x + params["b1"]
    assert_allclose(post.log_likelihood.y, stats.norm(f, 0.3).logpdf(y), rtol=1e-12, atol=1e-12)
    expected = stats.norm(0, 1).logpdf(params["W1"][..., 0, 0]) + stats.norm(0, 1).logpdf(params["b1"][..., 0])
    assert_allclose(post.log_prior.parameters, expected, rtol=1e-12)

    # Leave-one-out in closed form: y is normal with covariance K, and K^-1 gives each conditional.
    design = np.column_stack([x, np.ones(20)])
    precision = np.linalg.inv(0.09 * np.eye(20) + design @ design.T)
    variance = 1 / np.diag(precision)
    exact = stats.norm(y - variance * (precision @ y), np.sqrt(variance)).logpdf(y).sum()
    assert az.loo(post).elpd == pytest.approx(exact, abs=0.05)
    assert abs(post.log_likelihood.y.mean(("chain", "draw")).sum().item() - exact) > 0.5
    assert "log_prior" in post.children
    assert len(az.psense_summary(post)) == 2
    plain = bnn.fit_posterior(net, x, y, draws=200, random_seed=1, progressbar=False)
    assert not {"log_likelihood", "log_prior"} & set(plain.children)


def test_chains_that_disagree_about_the_function_are_reported(two_weights):
    with pytest.warns(ConvergenceWarning) as caught:
        post = bnn.fit_posterior(two_weights, X5, Y5, draws=8, tune=1, chains=4, random_seed=3, progressbar=False)
    assert any("disagree about the function" in str(w.message) for w in caught)
    assert post.attrs["bayesnn_function_rhat"] > 1.05


def test_mirror_images_alone_are_no_reason_for_a_warning(two_weights_post):
    w = two_weights_post.posterior.W1.to_numpy()[:, :, 0, 0]
    assert (w > 0).any()
    assert (w < 0).any()
    assert two_weights_post.attrs["bayesnn_function_rhat"] < 1.05


# Files and inputs


def reread(tree, path):
    """The tree from its netCDF file; the file is closed."""
    tree.to_netcdf(path)
    with xr.open_datatree(path) as opened:
        opened.load()
    return opened


def test_every_kind_of_fit_survives_a_file(tmp_path, sine, sine_mle, sine_map, sine_post, node_post):
    flagged = _flagged()
    for i, tree in enumerate((sine_mle, sine_map, sine_post, node_post, flagged)):
        back = reread(tree, tmp_path / f"{i}.nc")
        for before, after in zip(_answers(tree), _answers(back), strict=True):
            xr.testing.assert_identical(before, after)
        assert bnn.score(back) == bnn.score(tree)
        assert back.attrs["bayesnn_network"] == tree.attrs["bayesnn_network"]
        assert set(back.children) == set(tree.children)


def _answers(tree):
    return bnn.predict(tree), bnn.predict(tree, np.array([[-0.5], [1.5]]))


def _flagged():
    node = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return fit(bnn.fit_mle, node, X_NODE, [0, 0, 1, 1, 1], nonexistent="flag")


def test_a_group_or_another_tree_is_no_fit(sine_map):
    for wrong in (sine_map["posterior"], xr.DataTree(), None):
        with pytest.raises(FitError, match="whole tree"):
            bnn.predict(wrong)


@pytest.mark.parametrize("hidden", [(), (2,)])
def test_standardised_fits_do_not_depend_on_units(hidden, sine):
    net = bnn.MLP(hidden=hidden, noise=0.3)
    X, y = np.column_stack([sine.X, np.cos(7 * sine.X)]), np.asarray(sine.y)
    plain = fit(bnn.fit_map, net, X, y, scaling="standard", restarts=6)
    other = fit(bnn.fit_map, net, X * [1e3, 1e-4] + [5e3, -2.0], 40 * y - 300, scaling="standard", restarts=6)
    p, q = bnn.predict(plain, X[:9]), bnn.predict(other, X[:9] * [1e3, 1e-4] + [5e3, -2.0])
    for name in ("mean", "lower", "upper"):
        assert_allclose(q[name], 40 * p[name] - 300, rtol=1e-5)
    assert_allclose(q.variance_total, 1600 * p.variance_total, rtol=1e-5)
    raw = bnn.score(plain, X, y), bnn.score(other, X * [1e3, 1e-4] + [5e3, -2.0], 40 * y - 300)
    assert raw[1]["rmse"] == pytest.approx(40 * raw[0]["rmse"], rel=1e-5)
    assert raw[1]["lppd"] == pytest.approx(raw[0]["lppd"] - np.log(40), rel=1e-5)
    if hidden:
        unscaled = fit(bnn.fit_map, net, X, y, restarts=6)
        assert not np.allclose(bnn.predict(unscaled, X[:9])["mean"], p["mean"], rtol=1e-3)


def test_exact_posterior_draws_do_not_depend_on_units_either():
    arguments = {"draws": 50, "random_seed": 1, "scaling": "standard", "progressbar": False}
    plain = bnn.fit_posterior(LINE, X5, Y5, **arguments)
    other = bnn.fit_posterior(LINE, 10 * X5 + 3, 7 * Y5 - 1, **arguments)
    assert_allclose(bnn.predict(other, 10 * X5 + 3)["lower"], 7 * bnn.predict(plain, X5)["lower"] - 1, rtol=1e-8)


def test_frames_are_read_by_the_names_of_their_columns():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(20, 2)), columns=["size", "age"])
    y = frame["size"] - 2 * frame["age"] + 0.1 * rng.normal(size=20)
    tree = fit(bnn.fit_map, LINE, frame, y)
    assert tree.posterior.feature.to_numpy().tolist() == ["size", "age"]
    swapped = frame[["age", "size"]].assign(more=1.0)
    xr.testing.assert_identical(bnn.predict(tree, swapped), bnn.predict(tree, frame))
    assert not np.allclose(bnn.predict(tree, swapped[["age", "size"]].to_numpy())["mean"], bnn.predict(tree)["mean"])
    for wrong in (frame[["size"]], frame.rename(columns={"age": "Age"})):
        with pytest.raises(DataError, match=r"needs \['age'\] as well"):
            bnn.predict(tree, wrong)


def test_frames_with_numbers_for_names_and_fits_of_arrays():
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 2)))
    y = frame[0] - 2 * frame[1]
    named, plain = (fit(bnn.fit_map, LINE, X, y) for X in (frame, frame.to_numpy()))
    assert_allclose(bnn.predict(named, frame[[1, 0]])["mean"], bnn.predict(named)["mean"])
    assert_allclose(bnn.predict(plain, frame.rename(columns={0: "a", 1: "b"}))["mean"], bnn.predict(plain)["mean"])


def test_a_dataset_is_its_arrays_names_and_scaling():
    data = bnn.load_data("diabetes", random_seed=2)
    net = bnn.MLP(hidden=(), noise=0.7)
    whole = fit(bnn.fit_map, net, data)
    parts = fit(bnn.fit_map, net, data.X, data.y, scaling="standard")
    assert whole.posterior.feature.to_numpy().tolist() == list(data.feature_names)
    assert whole.posterior.output.item() == data.target_names[0]
    assert_allclose(whole.posterior.W1, parts.posterior.W1, rtol=1e-8, atol=1e-10)
    assert_allclose(bnn.predict(whole, data, rows="train")["mean"], bnn.predict(parts, data.X)["mean"], rtol=1e-8)
    unscaled = fit(bnn.fit_map, bnn.MLP(hidden=(), noise=50.0), data, scaling=False)
    assert unscaled.attrs["bayesnn_scaling"] == ""


def test_several_targets_share_one_noise():
    rng = np.random.default_rng(0)
    Y = np.column_stack([Y5, X5**2]) + 0.1 * rng.normal(size=(5, 2))
    mle = fit(bnn.fit_mle, bnn.MLP(hidden=()), X5, Y)
    design = np.column_stack([X5, np.ones(5)])
    coefficients, rss, *_ = np.linalg.lstsq(design, Y, rcond=None)
    assert_allclose(mle.posterior.W1.to_numpy()[0, 0], coefficients[:1], atol=1e-8)
    assert mle.posterior.noise.item() == pytest.approx(np.sqrt(rss.sum() / 10), rel=1e-8)


def test_a_fit_leaves_its_inputs_alone():
    X, y = X5[:, None].copy(), Y5.copy()
    fit(bnn.fit_map, LINE, X, y, scaling="standard")
    assert_allclose(X[:, 0], X5, rtol=0, atol=0)
    assert_allclose(y, Y5, rtol=0, atol=0)


def test_progress_is_announced_on_standard_error_only(capsys):
    fit(bnn.fit_map, LINE, X5, Y5, progressbar=True)
    assert capsys.readouterr().out == ""
    fit(bnn.fit_map, LINE, X5, Y5)
    assert capsys.readouterr().err == ""


def compiled_anew():
    """Let numba compile what no cache has."""
    return numba.njit(lambda x: x + 1.0)(1.0)


def test_compiling_is_said_once_and_only_where_something_is_compiled(capsys):
    said = "Compiling; the first time on a machine this takes up to a minute.\n"
    with compiling():
        pass
    known = numba.njit(lambda x: 2.0 * x)
    known(1.0)
    with compiling():
        known(2.0)
    assert capsys.readouterr().err == ""
    with compiling():
        compiled_anew()
        with compiling():
            compiled_anew()
        compiled_anew()
    assert capsys.readouterr().err == said
    with compiling(show=False):
        compiled_anew()
    compiled_anew()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("function", [bnn.fit_mle, bnn.fit_map, bnn.fit_posterior])
def test_every_fit_says_that_it_compiles(function, monkeypatch, capsys):
    nuts = "bayesnn.fitting.chains"
    module = importlib.import_module(nuts if function is bnn.fit_posterior else function.__module__)

    def anew(*args, log_density=module.log_density, **kwargs):
        compiled_anew()
        return log_density(*args, **kwargs)

    monkeypatch.setattr(module, "log_density", anew)
    net = bnn.MLP(hidden=(1,), noise=0.3)
    options = {"draws": 20, "tune": 50} if function is bnn.fit_posterior else {"restarts": 2}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for progressbar in (True, False):
            function(net, X5, Y5, random_seed=1, progressbar=progressbar, **options)
            assert capsys.readouterr().err.count("Compiling") == progressbar


def test_a_bar_that_cannot_be_drawn_over_leaves_no_line(capsys):
    with bar("starts", 2) as step:
        step()
        step()
    assert capsys.readouterr().err == ""


def test_the_same_seed_finds_the_same_ends(node):
    first, second, third = (fit(bnn.fit_map, node, X_NODE, Y_NODE, random_seed=s) for s in (1, 1, 2))
    assert_allclose(first.optima.W1, second.optima.W1, rtol=0, atol=0)
    assert first.optima.iterations.to_numpy().tolist() != [0, 0, 0]
    assert_allclose(first.posterior.W1, third.posterior.W1, rtol=1e-9)


def test_the_mass_matrix_may_learn_correlations(sine, sine_net):
    options = {"random_seed": 2, "target_accept": 0.97, "progressbar": False}
    posts = {a: bnn.fit_posterior(sine_net, sine.X, sine.y, adaptation=a, **options) for a in ("diag", "low_rank")}
    rows = np.linspace(-2.0, 2.0, 9)[:, None]
    f = {a: sine_net.forward(params_of(post), rows)[..., 0] for a, post in posts.items()}
    for k in range(len(rows)):
        error = np.hypot(*(float(az.mcse(f[a][..., k], method="mean")) for a in f))
        assert abs(f["diag"][..., k].mean() - f["low_rank"][..., k].mean()) < 4 * error
    steps = {a: int(post.sample_stats["n_steps"].sum()) for a, post in posts.items()}
    assert steps["low_rank"] < 0.8 * steps["diag"]
    assert posts["low_rank"].attrs["bayesnn_adaptation"] == "low_rank"


def test_adaptations_are_checked():
    with pytest.raises(UnknownNameError, match="low_rank"):
        bnn.fit_posterior(LINE, X5, Y5, adaptation="low_rnk")
    with pytest.raises(SpecError, match="only nutpie"):
        bnn.fit_posterior(LINE, X5, Y5, adaptation="low_rank", sampler="pymc")
