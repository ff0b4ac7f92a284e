"""The priors against scipy, quadrature and PyMC; their translations against scikit-learn and plain minimisation."""

import dataclasses
import json
import math
from types import SimpleNamespace

import numpy as np
import pymc as pm
import pytest
import sklearn.linear_model as lm
from numpy.testing import assert_allclose
from scipy import integrate, optimize, special, stats
from sklearn.neural_network import MLPClassifier, MLPRegressor

from bayesnn import losses
from bayesnn.errors import SpecError, UnknownNameError
from bayesnn.priors import (
    ElasticNet,
    Flat,
    HalfFlat,
    HalfNormal,
    Hierarchical,
    InverseGamma,
    Laplace,
    LogNormal,
    Normal,
    Penalty,
    Prior,
    StudentT,
    as_prior,
    penalty_table,
    prior_from_json,
    prior_to_json,
)

# PyTensor would compute these in float32 if they came as Python floats.
EXACT_IN_FLOAT32 = [Normal(3.0), Laplace(3.0), ElasticNet(3.0, 0.5), StudentT(3.0, 3.0), Hierarchical(3.0)]
PROPER = [Normal(0.7), Laplace(1.3), ElasticNet(0.8, 0.4), ElasticNet(30.0, 0.01), StudentT(3.0, 0.6)]
EVERY = [*PROPER, Flat(), Hierarchical(0.9), Normal(0.7, fan_in=True, bias=Flat()), Laplace(2.0, bias=StudentT())]


def spec(loss, prior, noise=None, hidden=(), bias=True):
    return SimpleNamespace(loss=losses.as_loss(loss), prior=prior, noise=noise, hidden=hidden, bias=bias)


# Densities


@pytest.mark.parametrize("prior", PROPER, ids=repr)
@pytest.mark.parametrize("factor", [1.0, 0.3])
def test_densities_integrate_to_one(prior, factor):
    def density(w):
        return np.exp(prior.elementwise_logp(w, factor))

    total = sum(integrate.quad(density, a, b, epsabs=1e-13, limit=200)[0] for a, b in ((0, 0.1), (0.1, 2), (2, np.inf)))
    assert 2 * total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("prior", "oracle"),
    [
        (Normal(0.7), stats.norm(scale=0.7)),
        (Laplace(1.3), stats.laplace(scale=1.3)),
        (StudentT(3.0, 0.6), stats.t(3.0, scale=0.6)),
        (StudentT(1e9, 0.6), stats.norm(scale=0.6)),
    ],
)
def test_densities_are_those_of_scipy(prior, oracle):
    w = np.array([-3.0, -0.2, 0.0, 1e-9, 0.5, 4.0])
    tolerance = 1e-12 if not isinstance(prior, StudentT) or prior.nu < 1e6 else 1e-6
    np.testing.assert_allclose(prior.elementwise_logp(w), oracle.logpdf(w), rtol=0, atol=tolerance)
    assert np.abs(prior.elementwise_logp(w, 2.0) - oracle.logpdf(w)).max() > 0.1


def test_elastic_net_is_a_folded_cut_normal():
    l1, l2 = 0.8, 0.4
    cut = stats.truncnorm(l1 / math.sqrt(2 * l2), np.inf, loc=-l1 / (2 * l2), scale=math.sqrt(0.5 / l2))
    w = np.array([0.01, 0.5, 3.0])
    for sign in (-1, 1):
        np.testing.assert_allclose(
            ElasticNet(l1, l2).elementwise_logp(sign * w), cut.logpdf(w) - math.log(2), rtol=1e-12
        )


@pytest.mark.parametrize(
    ("l1", "l2", "limit"),
    [(1e-9, 0.5, Normal(1.0)), (2.0, 1e-12, Laplace(0.5)), (1e-50, 1e50, Normal(math.sqrt(0.5e-50)))],
)
def test_elastic_net_is_stable_up_to_its_limits(l1, l2, limit):
    w = np.array([0.0, 1.0]) * (1.0 if l2 < 1 else 1e-25)
    np.testing.assert_allclose(ElasticNet(l1, l2).elementwise_logp(w), limit.elementwise_logp(w), rtol=1e-8, atol=1e-11)


NOISES = {
    HalfNormal(0.5): stats.halfnorm(scale=0.5),
    LogNormal(-1.2, 0.7): stats.lognorm(0.7, scale=math.exp(-1.2)),
    InverseGamma(3.5, 0.8): stats.invgamma(3.5, scale=0.8),
}


@pytest.mark.parametrize("prior", NOISES, ids=repr)
def test_noise_priors_are_those_of_scipy(prior):
    oracle = NOISES[prior]
    s = np.array([[-0.1, 0.0, 1e-8], [0.03, 0.4, 30.0]])
    np.testing.assert_allclose(prior.logp(s), oracle.logpdf(s), rtol=1e-12)
    assert prior.logp(0.4) == pytest.approx(oracle.logpdf(0.4), rel=1e-13)
    assert np.abs(prior.logp(s[1]) - stats.halfnorm(scale=0.6).logpdf(s[1])).max() > 0.1
    assert integrate.quad(lambda x: np.exp(prior.logp(x)), 0, np.inf)[0] == pytest.approx(1.0, abs=1e-7)
    rng = np.random.default_rng(1)
    draws = np.array([prior.sample(rng) for _ in range(4000)])
    assert stats.kstest(draws, oracle.cdf).pvalue > 0.01
    assert stats.kstest(1.2 * draws, oracle.cdf).pvalue < 1e-6


@pytest.mark.parametrize("prior", [*NOISES, HalfFlat()], ids=repr)
def test_noise_priors_in_a_model_are_pymcs_own(prior):
    with pm.Model() as model:
        noise = prior.rv("noise")
    assert isinstance(noise.owner.op, type(getattr(pm, type(prior).__name__).rv_op))
    for jacobian in (True, False):
        logp = model.compile_logp(jacobian=jacobian)
        for s in (1e-3, 0.4, 3.0):
            expected = prior.logp(s) + jacobian * math.log(s)
            assert logp({"noise_log__": np.log(s)}) == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert prior.proper == (prior != HalfFlat())


@pytest.mark.parametrize("prior", [*NOISES, HalfFlat()], ids=repr)
def test_only_densities_that_vanish_hold_a_power_of_the_noise(prior):
    s = np.array([1e-4, 1e-6, 1e-8, 1e-10])
    held = prior.logp(s) - 12 * np.log(s)
    assert prior.repels_zero == bool((np.diff(held) < 0).all()) == isinstance(prior, LogNormal | InverseGamma)
    assert (held[-1] < 0) == prior.repels_zero
    assert prior.logp(0.0) == (-np.inf if prior.repels_zero else prior.constant)


def test_a_flat_noise_has_no_draws():
    np.testing.assert_array_equal(HalfFlat().logp([-0.1, 0.0, 3.0]), [-np.inf, 0, 0])
    with pytest.raises(SpecError, match=r"nothing to draw from.*HalfNormal\(1.0\)"):
        HalfFlat().sample(np.random.default_rng(1))


# Whole weight vectors


def parameters(batch, rng, hierarchical):
    shapes = {"W1": (3, 4), "b1": (4,), "W2": (4, 2), "b2": (2,)}
    out = {name: rng.normal(size=batch + shape) for name, shape in shapes.items()}
    scales = {f"scale{layer}": rng.uniform(0.3, 2.0, size=batch) for layer in (1, 2)}
    return out | {"noise": np.full(batch, 0.1)} | (scales if hierarchical else {})


@pytest.mark.parametrize("batch", [(), (5,), (2, 3)])
def test_logp_keeps_the_batch_and_divides_by_the_root_of_the_fan_in(batch):
    params = parameters(batch, np.random.default_rng(1), False)
    got = Normal(0.8, fan_in=True, bias=Laplace(2.0)).logp(params)
    expected = np.zeros(batch)
    for name, fan_in in (("W1", 3), ("W2", 4)):
        expected += stats.norm.logpdf(params[name], scale=0.8 / math.sqrt(fan_in)).sum(axis=(-2, -1))
    for name in ("b1", "b2"):
        expected += stats.laplace.logpdf(params[name], scale=2.0).sum(axis=-1)
    assert np.shape(got) == batch
    np.testing.assert_allclose(got, expected, rtol=1e-13)
    assert not np.allclose(Normal(0.8, bias=Laplace(2.0)).logp(params), expected)


def test_logp_of_a_hierarchical_prior_counts_the_scales():
    params = parameters((6,), np.random.default_rng(2), True)
    expected = np.zeros(6)
    for layer, fan_in in ((1, 3), (2, 4)):
        s = params[f"scale{layer}"]
        expected += stats.halfnorm.logpdf(s, scale=0.9)
        expected += stats.norm.logpdf(params[f"W{layer}"], scale=s[:, None, None] / math.sqrt(fan_in)).sum((1, 2))
        expected += stats.norm.logpdf(params[f"b{layer}"], scale=s[:, None]).sum(1)
    np.testing.assert_allclose(Hierarchical(0.9, fan_in=True).logp(params), expected, rtol=1e-13)
    params["scale1"] = np.array([-1.0, 0.0, 1.0, 1.0, 1.0, 1.0])
    assert list(np.isfinite(Hierarchical(0.9).logp(params))) == [False, False, True, True, True, True]


def test_logp_refuses_what_it_cannot_read():
    with pytest.raises(SpecError, match="scale1"):
        Hierarchical().logp({"W1": np.ones((1, 1))})
    with pytest.raises(SpecError, match="2 dimension"):
        Normal().logp({"W1": np.ones(3)})
    assert Normal().logp({"noise": 1.0}) == 0.0


def test_flat_is_zero_in_every_batch_element():
    np.testing.assert_array_equal(Flat().logp(parameters((2, 3), np.random.default_rng(0), False)), np.zeros((2, 3)))


@pytest.mark.parametrize("prior", EVERY, ids=repr)
def test_priors_are_even(prior):
    params = parameters((4,), np.random.default_rng(3), isinstance(prior, Hierarchical))
    flipped = {name: value if name.startswith(("scale", "noise")) else -value for name, value in params.items()}
    np.testing.assert_array_equal(prior.logp(params), prior.logp(flipped))
    assert prior.even


# PyMC


def build(prior):
    coords = {"feature": range(3), "hidden_1": range(4), "output": range(2)}
    with pm.Model(coords=coords) as model:
        for layer, (fan_in, dims) in enumerate([(3, ("feature", "hidden_1")), (4, ("hidden_1", "output"))], start=1):
            scale = prior.layer_scale(layer)
            prior.rv(f"W{layer}", kind="weight", fan_in=fan_in, dims=dims, scale=scale)
            prior.rv(f"b{layer}", kind="bias", fan_in=fan_in, dims=dims[1:], scale=scale)
    return model


@pytest.mark.parametrize(
    "prior",
    [*EVERY, *EXACT_IN_FLOAT32, ElasticNet(0.8, 0.4, fan_in=True), Hierarchical(fan_in=True, bias=Flat())],
    ids=repr,
)
def test_pymc_has_the_same_density(prior):
    model = build(prior)
    params = parameters((), np.random.default_rng(4), isinstance(prior, Hierarchical))
    point = {
        model.rvs_to_values[rv].name: np.log(params[rv.name]) if rv.name.startswith("scale") else params[rv.name]
        for rv in model.free_RVs
    }
    assert model.compile_logp(jacobian=False)(point) == pytest.approx(prior.logp(params), rel=1e-12, abs=1e-12)
    assert {rv.name for rv in model.free_RVs} == set(params) - {"noise"}


@pytest.mark.parametrize("prior", [ElasticNet(0.8, 0.4), ElasticNet(30.0, 0.01), ElasticNet(1e5, 1e-5)], ids=repr)
def test_elastic_net_draws_follow_its_density(prior):
    with pm.Model(coords={"feature": range(100), "hidden_1": range(40)}) as model:
        W = prior.rv("W1", kind="weight", fan_in=100, dims=("feature", "hidden_1"))
    draws = pm.draw(W, random_seed=1)
    assert draws.shape == (100, 40)
    # Distribution function by integration of the density itself on a fine grid.
    grid = np.linspace(0, np.abs(draws).max() * 3, 400_001)
    half = integrate.cumulative_trapezoid(np.exp(prior.elementwise_logp(grid)), grid, initial=0)

    def cdf(w):
        return 0.5 + np.sign(w) * np.interp(np.abs(w), grid, half)

    assert stats.kstest(draws.ravel(), cdf).pvalue > 0.01
    assert stats.kstest(2.0 * draws.ravel(), cdf).pvalue < 1e-6
    with model:
        predictive = pm.sample_prior_predictive(draws=3, random_seed=1)
    assert predictive.prior["W1"].shape == (1, 3, 100, 40)


def test_rv_draws_have_the_scale_of_the_fan_in():
    with pm.Model(coords={"feature": range(100), "hidden_1": range(40)}):
        W = Normal(2.0, fan_in=True).rv("W1", kind="weight", fan_in=100, dims=("feature", "hidden_1"))
    assert stats.kstest(pm.draw(W, random_seed=1).ravel(), stats.norm(scale=0.2).cdf).pvalue > 0.01
    with pytest.raises(UnknownNameError, match="weight"):
        Normal().rv("W1", kind="weights", fan_in=1, dims=())


# Specification


@pytest.mark.parametrize("cls", [Normal, Laplace, StudentT, Hierarchical, HalfNormal, InverseGamma])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, "1", None, True, 1e-300, 1e300])
def test_scales_must_be_positive(cls, value):
    with pytest.raises(SpecError, match="positive finite"):
        cls(value)


@pytest.mark.parametrize(
    ("make", "remedy"),
    [
        (lambda: ElasticNet(0.0, 1.0), "Normal"),
        (lambda: ElasticNet(1.0, 0.0), "Laplace"),
        (lambda: ElasticNet(1.0, -1.0), "positive"),
        (lambda: ElasticNet(1.0, 1e-300), "from 1e-50 to 1e50"),
        (lambda: LogNormal(math.inf), "finite number.*mu=1.0"),
        (lambda: LogNormal(-1e300), "from -115 to 115"),
        (lambda: LogNormal(0.0, 0.0), "positive finite"),
        (lambda: LogNormal(0.0, 1e-300), "positive finite"),
        (lambda: InverseGamma(1.0, -1.0), "positive finite"),
        (lambda: Normal(bias=1.0), "Normal\\(1.0\\)"),
        (lambda: Normal(bias=Normal(fan_in=True)), "bias=Normal\\(sd=1.0\\)"),
        (lambda: Normal(bias=Normal(bias=Flat())), "bias=Normal\\(sd=1.0\\)"),
        (lambda: Normal(bias=Hierarchical()), "share the scale"),
        (lambda: Normal(fan_in=1), "True or False"),
        (lambda: as_prior(0.5), "Normal\\(0.5\\)"),
        (lambda: as_prior(HalfNormal()), "noise"),
        (lambda: as_prior(InverseGamma()), "noise"),
        (lambda: as_prior(Normal), "Make one"),
    ],
)
def test_wrong_specifications_name_the_remedy(make, remedy):
    with pytest.raises(SpecError, match=remedy):
        make()


@pytest.mark.parametrize(("scale", "other"), [(1e-50, 1e50), (1e50, 1e-50)])
def test_all_numbers_of_a_prior_at_the_bounds_of_its_scale_are_finite(scale, other):
    weights = [Normal(scale), Laplace(scale), ElasticNet(scale, other), ElasticNet(scale, scale)]
    weights += [StudentT(scale, scale), StudentT(4.0, scale), StudentT(scale, 1.0)]
    for prior in weights:
        assert np.isfinite(prior.rates("weight", 10_000)).all(), prior
        assert np.isfinite(prior.elementwise_logp([0.0, scale])).all(), prior
    for noise in (HalfNormal(scale), LogNormal(math.trunc(math.log(scale)), scale), InverseGamma(scale, scale)):
        assert np.isfinite([noise.constant, *noise.rates]).all(), noise
    for noise in (scale, other):
        assert np.isfinite(penalty_table(spec("squared_error", Normal(scale), noise), n=10**6)["value"]).all()


def test_prior_is_abstract_and_frozen():
    with pytest.raises(TypeError):
        Prior()
    with pytest.raises(AttributeError):
        Normal().sd = 2.0
    assert hash(Normal(1)) == hash(Normal(1.0))


def test_proper():
    assert [p.proper for p in (Normal(), Flat(), Normal(bias=Flat()), Flat(bias=Normal()))] == [
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize("prior", [*EVERY, *NOISES, HalfFlat()], ids=repr)
def test_json_and_repr_round_trip(prior):
    assert prior_from_json(json.loads(json.dumps(prior_to_json(prior)))) == prior
    assert eval(repr(prior)) == prior
    assert type(prior_to_json(prior)) is dict


@pytest.mark.parametrize(
    "wrong",
    [
        {"family": "Gauss"},
        {"family": "Normal", "sd": 1.0, "fan_in": False, "bias": None, "mu": 0.0},
        {"family": "Normal", "sd": 1.0},
        {"sd": 1.0},
        "Normal",
    ],
)
def test_wrong_json_is_refused(wrong):
    with pytest.raises(SpecError):
        prior_from_json(wrong)
    with pytest.raises(SpecError):
        prior_to_json("Normal")


# Penalties: the fit of scikit-learn is the MAP, found here by minimising -(log-likelihood + log-prior) in NumPy

N, P, NOISE = 40, 3, 0.7
rng = np.random.default_rng(11)
X = rng.normal(size=(N, P)) * [1.0, 2.0, 0.5]
ETA = X @ [1.0, -0.5, 0.05] + 0.4
Y = {
    "squared_error": ETA + NOISE * rng.normal(size=N),
    "binary_cross_entropy": (rng.random(N) < special.expit(ETA)).astype(int),
    "poisson": rng.poisson(np.exp(0.5 * ETA)).astype(float),
    "cross_entropy": rng.integers(0, 3, size=N),
}
LOG_LIKELIHOOD = {
    "squared_error": lambda f, y: stats.norm.logpdf(y, f, NOISE).sum(),
    "absolute_error": lambda f, y: stats.laplace.logpdf(y, f, NOISE).sum(),
    "binary_cross_entropy": lambda f, y: (y * special.log_expit(f) + (1 - y) * special.log_expit(-f)).sum(),
    "poisson": lambda f, y: stats.poisson.logpmf(y, np.exp(f)).sum(),
    "cross_entropy": lambda f, y: special.log_softmax(f, axis=1)[np.arange(len(f)), y].sum(),
}
LOG_PRIOR = {
    Normal: lambda w, p: stats.norm.logpdf(w, scale=p.sd).sum(),
    Laplace: lambda w, p: stats.laplace.logpdf(w, scale=p.scale).sum(),
    ElasticNet: lambda w, p: -(p.l1 * np.abs(w) + p.l2 * w**2).sum(),
    Flat: lambda w, p: 0.0,
}


def map_of_linear_model(loss, prior, outputs=1):
    """MAP of coefficients (P, outputs) and intercepts; kinks are removed by writing w as a difference."""
    size = P * outputs

    def split(v):
        return v[:size] - v[size : 2 * size], v[2 * size :]

    def negative(v):
        w, b = split(v)
        f = X @ w.reshape(P, outputs) + b
        # |w| as the sum of both parts is the smooth form of the same problem.
        lasso = stats.laplace.logpdf(v[: 2 * size], scale=prior.scale).sum() if isinstance(prior, Laplace) else None
        if isinstance(prior, ElasticNet):
            lasso = -prior.l1 * v[: 2 * size].sum() - prior.l2 * (w**2).sum()
        logp = LOG_PRIOR[type(prior)](w, prior) if lasso is None else lasso
        return -LOG_LIKELIHOOD[loss](f[:, 0] if outputs == 1 else f, Y[loss]) - logp

    start = np.r_[np.full(2 * size, 0.5), np.zeros(outputs)]
    bounds = [(0, None)] * (2 * size) + [(None, None)] * outputs
    options = {"maxiter": 5000, "maxfun": 10**6, "ftol": 1e-15, "gtol": 1e-9}
    best = optimize.minimize(negative, start, jac="3-point", method="L-BFGS-B", bounds=bounds, options=options).x
    w, b = split(best)
    return np.r_[w.reshape(P, outputs).T.ravel(), b]


CASES = [
    ("sklearn.Ridge", lm.Ridge, "squared_error", Normal(0.4), {"tol": 1e-12}),
    ("sklearn.Lasso", lm.Lasso, "squared_error", Laplace(0.06), {"tol": 1e-12}),
    ("sklearn.ElasticNet", lm.ElasticNet, "squared_error", ElasticNet(9.0, 6.0), {"tol": 1e-12}),
    ("sklearn.ElasticNet", lm.ElasticNet, "squared_error", Laplace(0.06), {"tol": 1e-12}),
    ("sklearn.LogisticRegression", lm.LogisticRegression, "binary_cross_entropy", Normal(0.4), {"tol": 1e-10}),
    (
        "sklearn.LogisticRegression",
        lm.LogisticRegression,
        "binary_cross_entropy",
        Laplace(0.3),
        {"solver": "saga", "tol": 1e-12, "max_iter": 20000, "random_state": 0},
    ),
    (
        "sklearn.LogisticRegression",
        lm.LogisticRegression,
        "binary_cross_entropy",
        ElasticNet(2.0, 0.7),
        {"solver": "saga", "tol": 1e-12, "max_iter": 20000, "random_state": 0},
    ),
    ("sklearn.LogisticRegression", lm.LogisticRegression, "cross_entropy", Normal(0.4), {"tol": 1e-10}),
    ("sklearn.PoissonRegressor", lm.PoissonRegressor, "poisson", Normal(0.2), {"tol": 1e-10, "max_iter": 1000}),
]


@pytest.mark.parametrize(("library", "estimator", "loss", "prior", "options"), CASES, ids=lambda x: str(x)[:40])
def test_sklearn_fit_is_the_map(library, estimator, loss, prior, options):
    penalty = prior.to_penalty(library=library, loss=loss, noise=NOISE if loss == "squared_error" else None, n=N)
    assert isinstance(penalty, Penalty)
    expected = map_of_linear_model(loss, prior, outputs=3 if loss == "cross_entropy" else 1)

    def fit(factor=1.0):
        arguments = penalty.parameters | {k: v * factor for k, v in penalty.parameters.items() if k in ("alpha", "C")}
        model = estimator(**arguments, **options).fit(X, Y[loss])
        return np.r_[np.ravel(model.coef_), np.ravel(model.intercept_)]

    got = fit()
    if loss == "cross_entropy":  # a common shift of the unpenalised intercepts changes nothing
        got[-3:] -= got[-3:].mean()
        expected[-3:] -= expected[-3:].mean()
    np.testing.assert_allclose(got, expected, atol=2e-5)
    assert np.abs(fit(2.0) - expected).max() > 5e-3
    assert np.abs(fit(0.5) - expected).max() > 5e-3


def central_gradient(function, v, step=1e-5):
    return np.array([(function(v + e) - function(v - e)) / (2 * step) for e in step * np.eye(v.size)])


@pytest.mark.parametrize(
    ("estimator", "loss", "outputs"),
    [
        (MLPRegressor, "squared_error", 1),
        (MLPRegressor, "poisson", 1),
        (MLPClassifier, "binary_cross_entropy", 1),
        (MLPClassifier, "cross_entropy", 3),
    ],
)
def test_sklearn_network_fit_is_a_map(estimator, loss, outputs):
    prior = Normal(0.8, bias=Flat())
    noise = NOISE if loss == "squared_error" else None
    penalty = prior.to_penalty(library=f"sklearn.{estimator.__name__}", loss=loss, noise=noise, n=N)
    assert penalty.note == ""
    extra = {"loss": loss} if estimator is MLPRegressor else {}
    shapes = [(P, 2), (2,), (2, outputs), (outputs,)]

    def negative(v):
        parts = np.split(v, np.cumsum([math.prod(s) for s in shapes])[:-1])
        W1, b1, W2, b2 = (part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))
        f = np.tanh(X @ W1 + b1) @ W2 + b2
        likelihood = LOG_LIKELIHOOD[loss](f[:, 0] if outputs == 1 else f, Y[loss])
        return -likelihood - sum(stats.norm.logpdf(W, scale=prior.sd).sum() for W in (W1, W2))

    def gradient_at_fit(factor):
        model = estimator(
            hidden_layer_sizes=(2,), activation="tanh", solver="lbfgs", tol=1e-14, max_iter=5000, random_state=0,
            alpha=factor * penalty.parameters["alpha"], **extra,
        )  # fmt: skip
        model.max_fun = 10**6
        model.fit(X, Y[loss])
        v = np.concatenate(
            [part.ravel() for pair in zip(model.coefs_, model.intercepts_, strict=True) for part in pair]
        )
        return np.abs(central_gradient(negative, v)).max()

    assert gradient_at_fit(1.0) < 2e-3
    assert gradient_at_fit(2.0) > 0.1


# Penalties: torch and keras, whose documented objectives are written out here

K = 2
Y2 = {
    "squared_error": rng.normal(size=(N, K)),
    "absolute_error": rng.normal(size=(N, K)),
    "poisson": rng.poisson(2.0, size=(N, K)).astype(float),
    "binary_cross_entropy": rng.integers(0, 2, size=(N, 1)),
    "cross_entropy": rng.integers(0, K, size=N),
}
PER_ELEMENT = {
    "squared_error": lambda f, y: (y - f) ** 2,
    "absolute_error": lambda f, y: np.abs(y - f),
    "poisson": lambda f, y: np.exp(f) - y * f,
    "binary_cross_entropy": lambda f, y: np.logaddexp(0, f) - y * f,
    "cross_entropy": lambda f, y: -special.log_softmax(f, axis=1)[np.arange(len(f)), y][:, None],
}


def torch_objective(loss, reduction, parameters, f, W, b):
    losses_ = PER_ELEMENT[loss](f, Y2[loss])
    total = losses_.mean() if reduction == "mean" else losses_.sum()
    return total + parameters["weight_decay"] / 2 * ((W**2).sum() + (b**2).sum())


def keras_objective(loss, reduction, parameters, f, W, b):
    per_observation = PER_ELEMENT[loss](f, Y2[loss]).mean(axis=-1)
    total = per_observation.mean() if reduction == "mean" else per_observation.sum()
    return total + parameters.get("l1", 0.0) * np.abs(W).sum() + parameters.get("l2", 0.0) * (W**2).sum()


FRAMEWORKS = [
    ("torch", torch_objective, Normal(0.6)),
    ("keras", keras_objective, Normal(0.6, bias=Flat())),
    ("keras", keras_objective, Laplace(0.6, bias=Flat())),
    ("keras", keras_objective, ElasticNet(0.7, 1.9, bias=Flat())),
]


@pytest.mark.parametrize(
    ("library", "objective", "prior"), FRAMEWORKS, ids=lambda v: getattr(v, "__name__", None) or str(v)
)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("loss", list(PER_ELEMENT))
def test_framework_objective_is_a_multiple_of_minus_log_posterior(library, objective, prior, reduction, loss):
    """If every difference has the same ratio, the two functions have the same minima, kinks or not."""
    m = 1 if loss == "binary_cross_entropy" else K
    noise = NOISE if loss.endswith("_error") else None
    targets = 1 if "cross_entropy" in loss else K
    penalty = prior.to_penalty(library=library, loss=loss, noise=noise, n=N, reduction=reduction, n_outputs=targets)
    assert penalty.note == ""
    assert penalty.penalises_biases == (library == "torch")
    draw = np.random.default_rng(5)
    points = [(draw.normal(size=(P, m)) * s, draw.normal(size=m)) for s in np.geomspace(0.05, 3.0, 12)]

    def ratios(factor):
        scaled = {k: factor * v for k, v in penalty.parameters.items()}
        theirs = np.array([objective(loss, reduction, scaled, X @ W + b, W, b) for W, b in points])
        ours = []
        for W, b in points:
            log_prior = LOG_PRIOR[type(prior)](W, prior) + LOG_PRIOR[type(prior.bias or prior)](b, prior)
            ours.append(-LOG_LIKELIHOOD[loss](X @ W + b, Y2[loss]) - log_prior)
        return np.diff(theirs) / np.diff(ours)

    np.testing.assert_allclose(ratios(1.0), ratios(1.0)[0], rtol=1e-9)
    assert np.ptp(ratios(2.0)) / np.abs(ratios(2.0)).max() > 1e-3


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradient_of_the_torch_objective_vanishes_at_the_map_of_a_network(reduction):
    prior = Normal(0.8)
    penalty = prior.to_penalty(
        library="torch", loss="squared_error", noise=NOISE, n=N, reduction=reduction, n_outputs=K
    )
    sizes = np.cumsum([P * 2, 2, 2 * K])

    def unpack(v):
        W1, b1, W2, b2 = np.split(v, sizes)
        return W1.reshape(P, 2), b1, W2.reshape(2, K), b2

    def output(v):
        W1, b1, W2, b2 = unpack(v)
        return np.tanh(X @ W1 + b1) @ W2 + b2

    def negative(v):
        log_prior = prior.logp(dict(zip(("W1", "b1", "W2", "b2"), unpack(v), strict=True)))
        return -LOG_LIKELIHOOD["squared_error"](output(v), Y2["squared_error"]) - log_prior

    start = np.random.default_rng(0).normal(size=sizes[-1] + K)
    best = optimize.minimize(negative, start, jac="3-point", method="BFGS", options={"gtol": 1e-6}).x

    def gradient(factor):
        decay = {"weight_decay": factor * penalty.parameters["weight_decay"]}
        return np.abs(
            central_gradient(
                lambda v: torch_objective("squared_error", reduction, decay, output(v), v, np.zeros(1)), best
            )
        ).max()

    assert gradient(1.0) < 1e-4 * gradient(2.0)


# Penalties: the table and the way back


def translations():
    for loss in PER_ELEMENT:
        for library in ("sklearn.Ridge", "sklearn.Lasso", "sklearn.ElasticNet", "sklearn.LogisticRegression",
                        "sklearn.PoissonRegressor", "sklearn.MLPRegressor", "sklearn.MLPClassifier"):  # fmt: skip
            yield library, loss, None
        for reduction in ("mean", "sum"):
            yield "torch", loss, reduction
            yield "keras", loss, reduction


def test_round_trips_formulas_and_coefficients():
    """from_penalty undoes to_penalty, and each formula evaluates to its value."""
    seen = set()
    for library, loss, reduction in translations():
        noise = NOISE if loss.endswith("_error") else None
        n_outputs = K if library in ("torch", "keras") and "cross" not in loss else 1
        known = {"loss": loss, "noise": noise, "n": N, "reduction": reduction, "n_outputs": n_outputs}
        for prior in (Normal(0.6), Laplace(0.6), ElasticNet(0.7, 1.9)):
            try:
                penalty = prior.to_penalty(library=library, **known)
            except SpecError:
                continue
            seen.add((library, type(prior).__name__))
            symbols = {**vars(prior), "noise": noise, "n": N, "n_outputs": n_outputs}
            for name, formula in penalty.formulas.items():
                assert eval(formula, {}, symbols) == pytest.approx(penalty.parameters[name], rel=1e-14)
            back = type(prior).from_penalty(library=library, value=penalty.parameters, **known)
            assert back.bias == (None if library == "torch" else Flat())
            for name in set(vars(prior)) - {"bias", "fan_in"}:
                assert getattr(back, name) == pytest.approx(getattr(prior, name), rel=1e-13)
            if not isinstance(prior, ElasticNet):
                main = next(iter(penalty.parameters.values()))
                assert type(prior).from_penalty(library=library, value=main, **known) == back
    assert len(seen) == 15


def test_the_factor_a_is_that_of_the_losses():
    for loss in PER_ELEMENT:
        noise = NOISE if loss.endswith("_error") else None
        a, _ = losses.as_loss(loss).coefficients(noise=noise)
        decay = (
            Normal(0.6).to_penalty(library="torch", loss=loss, noise=noise, reduction="sum").parameters["weight_decay"]
        )
        assert decay == pytest.approx(1 / 0.6**2 / a, rel=1e-14)


def test_textbook_numbers():
    assert Normal(2.0).to_penalty(library="sklearn.Ridge", noise=0.2).parameters == {"alpha": pytest.approx(0.01)}
    assert Laplace(0.5).to_penalty(library="sklearn.Lasso", noise=1.0, n=10).parameters == {"alpha": pytest.approx(0.2)}
    got = Normal(3.0).to_penalty(library="sklearn.LogisticRegression").parameters
    assert got == {"C": pytest.approx(9.0), "l1_ratio": 0.0}
    got = Laplace(3.0).to_penalty(library="sklearn.LogisticRegression").parameters
    assert got == {"C": pytest.approx(3.0), "l1_ratio": 1.0}
    assert Flat().to_penalty(library="sklearn.LogisticRegression").parameters == {"C": math.inf, "l1_ratio": 0.0}
    assert Flat().to_penalty(library="torch", loss="squared_error").parameters == {"weight_decay": 0.0}


def test_notes_on_biases():
    def note(prior, library):
        return prior.to_penalty(library=library, loss="squared_error", noise=1.0, n=10, reduction=None).note

    assert note(Normal(bias=Flat()), "sklearn.Ridge") == ""
    assert "unpenalised" in note(Normal(), "sklearn.Ridge")
    assert note(Normal(), "torch") == note(Normal(bias=Normal(1.0)), "torch") == ""
    assert "weight_decay=0.0" in note(Normal(bias=Flat()), "torch")
    assert "weight_decay=0.05" in note(Normal(bias=Normal(2.0)), "torch")
    assert "No argument" in note(Normal(bias=Laplace()), "torch")
    assert "l2=0.1" in note(Normal(), "keras")
    assert "l1=0.2" in note(Normal(bias=Laplace()), "keras")
    assert note(Laplace(bias=Flat()), "keras") == ""
    assert "No argument" in note(Normal(bias=StudentT()), "keras")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Normal().to_penalty(library="sklearn.Ridge"), "noise=0.2"),
        (lambda: Normal().to_penalty(library="sklearn.Ridge", noise=HalfNormal()), "noise of a fit"),
        (lambda: Normal().to_penalty(library="sklearn.Ridge", noise=-1.0), "positive"),
        (lambda: Normal().to_penalty(library="sklearn.Ridge", noise=1.0, reduction="sum"), "Leave reduction out"),
        (lambda: Normal().to_penalty(library="sklearn.LogisticRegression", noise=1.0), "Leave noise out"),
        (lambda: Normal().to_penalty(library="sklearn.Lasso", noise=1.0, n=5), "Use Laplace"),
        (lambda: Laplace().to_penalty(library="torch", loss="poisson", n=5), "Use Normal"),
        (lambda: Laplace().to_penalty(library="sklearn.Lasso", noise=1.0), "n=len"),
        (lambda: Laplace().to_penalty(library="sklearn.Lasso", noise=1.0, n=0.5), "positive integer"),
        (lambda: Normal().to_penalty(library="torch", n=3), "Got no loss"),
        (lambda: Normal().to_penalty(library="torch", loss="huber", n=3), "huber"),
        (lambda: Normal().to_penalty(library="torch", loss="poisson", n=3, reduction="total"), "reduction"),
        (lambda: Normal().to_penalty(library="torch", loss="cross_entropy", n=3, n_outputs=3), "not classes"),
        (lambda: Normal().to_penalty(library="sklearn.MLPRegressor", noise=1.0, n_outputs=2), "each output"),
        (lambda: Normal().to_penalty(library="sklearn.ridge"), "Did you mean"),
        (lambda: Normal(fan_in=True).to_penalty(library="sklearn.Ridge", noise=1.0), "each layer"),
        (lambda: StudentT().to_penalty(library="torch", loss="poisson", n=3), "StudentT"),
        (lambda: Hierarchical().to_penalty(library="torch", loss="poisson", n=3), "Hierarchical"),
        (lambda: Flat.from_penalty(library="sklearn.Ridge", value=0.0, noise=1.0), "Flat"),
        (lambda: Normal.from_penalty(library="sklearn.Ridge", value=0.0, noise=1.0), "Use Flat"),
        (lambda: Normal.from_penalty(library="sklearn.LogisticRegression", value=math.inf), "Use Flat"),
        (lambda: Normal.from_penalty(library="sklearn.LogisticRegression", value=0.0), "C is positive"),
        (lambda: Normal.from_penalty(library="sklearn.Ridge", value=-1.0, noise=1.0), "not negative"),
        (lambda: Normal.from_penalty(library="sklearn.Ridge", value=math.nan, noise=1.0), "not negative"),
        (lambda: Normal.from_penalty(library="sklearn.Lasso", value=1.0, noise=1.0, n=4), "Use Laplace"),
        (lambda: Laplace.from_penalty(library="sklearn.Ridge", value=1.0, noise=1.0), "Use Normal"),
        (lambda: Normal.from_penalty(library="sklearn.Ridge", value={"C": 1.0}, noise=1.0), "alpha"),
        (lambda: ElasticNet.from_penalty(library="sklearn.ElasticNet", value=1.0, noise=1.0, n=4), "l1_ratio"),
        (lambda: ElasticNet.from_penalty(library="sklearn.Ridge", value=1.0, noise=1.0), "Use Normal"),
        (
            lambda: ElasticNet.from_penalty(
                library="sklearn.ElasticNet", value={"alpha": 1.0, "l1_ratio": 1.5}, noise=1.0, n=4
            ),
            "from 0",
        ),
    ],
)
def test_translations_refuse_what_has_no_answer(call, message):
    with pytest.raises(SpecError, match=message):
        call()


def test_table_of_a_linear_model():
    table = penalty_table(spec("squared_error", Normal(2.0, bias=Flat()), 0.5), n=10, n_outputs=1)
    values = table.set_index(["library", "reduction", "parameter"])["value"]
    assert values["sklearn.Ridge", "", "alpha"] == pytest.approx(0.0625)
    assert values["torch", "mean", "weight_decay"] == pytest.approx(0.0125)
    assert values["keras", "sum", "l2"] == pytest.approx(0.0625)
    assert set(table["library"]) == {"sklearn.Ridge", "sklearn.ElasticNet", "sklearn.MLPRegressor", "torch", "keras"}
    assert list(table.columns) == [
        "library", "reduction", "parameter", "value", "formula", "objective", "penalises_biases", "note",
    ]  # fmt: skip


def test_table_leaves_out_what_does_not_apply():
    deep = penalty_table(spec("squared_error", Normal(), 0.5, hidden=(2,)), n=10)
    assert set(deep["library"]) == {"sklearn.MLPRegressor", "torch", "keras"}
    lasso = penalty_table(spec("squared_error", Laplace(), 0.5), n=10)
    assert set(lasso["library"]) == {"sklearn.Lasso", "sklearn.ElasticNet", "keras"}
    several = penalty_table(spec("squared_error", Normal(), 0.5, hidden=(2,)), n=10, n_outputs=2)
    assert set(several["library"]) == {"torch", "keras"}
    assert (penalty_table(spec("squared_error", Normal(), 0.5, bias=False), n=10)["note"] == "").all()


@pytest.mark.parametrize("hidden", [(), (3,)])
@pytest.mark.parametrize("noise", [0.5, None])
def test_the_printed_table_shows_its_numbers_in_80_columns(monkeypatch, hidden, noise):
    monkeypatch.setenv("COLUMNS", "80")
    table = penalty_table(spec("squared_error", Normal(3.0), noise, hidden=hidden), n=7)
    lines = str(table).splitlines()
    assert max(map(len, lines)) <= 80
    rows = [[c.strip() for c in line.split("│")[1:-1]] for line in lines if "sklearn" in line or " sum " in line]
    shown = {tuple(row[:3]): row[3] for row in rows if len(row) == 5}
    for row in table.to_dict("records"):
        if row["reduction"] != "mean":
            text = "?" if noise is None else f"{row['value']:.6g}"
            assert shown[row["library"], row["reduction"], row["parameter"]] == text
    notes = " ".join(" ".join(lines).split())
    assert ("Needs a known noise" in notes) == (noise is None)
    assert ("keras (sum): Give bias_regularizer too" in notes) == (noise is not None)


def test_the_table_is_a_data_frame():
    import copy
    import pickle

    import pandas as pd

    table = penalty_table(spec("squared_error", Normal(3.0), 0.5), n=7)
    plain = pd.DataFrame(table)
    for other in (table.copy(), copy.deepcopy(table), pickle.loads(pickle.dumps(table)), table.head(99)):
        pd.testing.assert_frame_equal(pd.DataFrame(other), plain)
    assert "value" in str(table[["library", "value"]]).split()
    del table["note"]
    assert str(table) == str(plain.drop(columns="note"))


@pytest.mark.parametrize("noise", [None, HalfNormal(1.0), HalfFlat()])
def test_table_says_that_a_learned_noise_is_missing(noise):
    table = penalty_table(spec("squared_error", Normal(), noise), n=10)
    assert table["value"].isna().all()
    assert table["note"].str.contains("known noise").all()
    assert not penalty_table(spec("poisson", Normal()), n=10)["value"].isna().any()


@pytest.mark.parametrize(
    ("loss", "prior"), [("ordinal", Normal()), ("poisson", StudentT()), ("poisson", Normal(fan_in=True))]
)
def test_table_refuses_what_no_library_has(loss, prior):
    with pytest.raises(SpecError):
        penalty_table(spec(loss, prior), n=10)


@pytest.mark.parametrize("prior", [Normal(0.7), Laplace(1.5), ElasticNet(2.0, 0.4), StudentT(3.0, 0.5)])
@pytest.mark.parametrize("fan_in", [False, True])
def test_draws_have_the_density(prior, fan_in):
    prior = dataclasses.replace(prior, fan_in=fan_in)
    draws = np.sort(prior.sample(np.random.default_rng(1), (20_000,), kind="weight", fan_in=4))
    x = np.linspace(-60.0, 60.0, 400_001)
    density = np.exp(prior.elementwise_logp(x, 0.5 if fan_in else 1.0))
    below = np.interp(draws, x, np.cumsum(density) * (x[1] - x[0]))
    # Kolmogorov's distance, whose 99.9% point is 1.95 / sqrt(n).
    assert np.abs(below - (np.arange(20_000) + 0.5) / 20_000).max() < 1.95 / np.sqrt(20_000)
    other = np.interp(1.1 * draws, x, np.cumsum(density) * (x[1] - x[0]))
    assert np.abs(other - (np.arange(20_000) + 0.5) / 20_000).max() > 1.95 / np.sqrt(20_000)


@pytest.mark.parametrize("prior", [Flat(), Hierarchical(1.0)])
def test_what_cannot_be_drawn_is_refused(prior):
    with pytest.raises(SpecError, match=r"nothing to draw|depend on a learned scale"):
        prior.sample(np.random.default_rng(1), (2,), kind="bias", fan_in=1)
    if isinstance(prior, Hierarchical):
        with pytest.raises(SpecError, match="is a parameter"):
            prior.rates("weight", 1)


@pytest.mark.parametrize(
    "prior", [Flat(), Normal(0.7), Laplace(1.3), ElasticNet(0.8, 0.4), StudentT(3.0, 0.6)], ids=repr
)
@pytest.mark.parametrize(("kind", "factor"), [("weight", 0.5), ("bias", 1.0)])
def test_rates_are_the_negative_log_density_of_an_element(prior, kind, factor):
    w = np.array([-2.0, -0.3, 0.1, 1.7])
    wide = dataclasses.replace(prior, fan_in=True)
    l1, l2, a, s = wide.rates(kind, fan_in=4)
    at_zero = prior.elementwise_logp(0.0, factor)
    assert_allclose(at_zero - prior.elementwise_logp(w, factor), l1 * abs(w) + l2 * w**2 + a * np.log1p(s * w**2))
    assert wide.kink(kind, fan_in=4) == pytest.approx(l1)
    assert prior.flat == isinstance(prior, Flat)


def test_a_penalty_with_parameters_and_a_scale_is_the_same_for_numpy_and_pymc():
    import pymc as pm
    import pytensor.tensor as pt

    from bayesnn.priors import PenaltyPrior

    power = PenaltyPrior("power", lambda w, p: abs(w) ** p, scale=0.4, parameters={"p": 1.5}, fan_in=True)
    assert power.values == (1.5,)
    assert power.penalty("weight", 3)[1:] == ((1.5,), pytest.approx(np.sqrt(3) / 0.4))
    assert power.penalty("bias", 3)[2] == pytest.approx(1 / 0.4)
    z, factor = np.array([[-1.0, 0.2], [0.7, 2.0]]), 1 / np.sqrt(3)
    exact = stats.gennorm(1.5, scale=0.4 * factor)
    assert_allclose(power.elementwise_logp(z, factor), exact.logpdf(z), rtol=1e-11)
    with pm.Model(coords={"a": range(2), "b": range(2)}) as model:
        W = power.rv("W1", kind="weight", fan_in=3, dims=("a", "b"))
    mode = pytensor_mode()
    value = model.rvs_to_values[W]
    logp = model.compile_fn(model.logp(sum=False)[0], inputs=[value], mode=mode, point_fn=False)
    assert_allclose(logp(z), exact.logpdf(z), rtol=1e-11)
    draws = pm.draw(pm.modelcontext(model)["W1"], draws=500, random_seed=1, mode=mode)
    assert stats.kstest(draws.ravel(), exact.cdf).pvalue > 1e-3
    assert prior_from_json(prior_to_json(power)) == power
    # Its kink is that of its slope on both sides of zero, in units of the scale.
    assert PenaltyPrior("l1", lambda w: 3 * abs(w), scale=0.5).kink("weight", 4) == pytest.approx(6.0)
    assert power.kink("weight", 4) == 0.0
    improper = PenaltyPrior("log", lambda w: pt.log1p(abs(w)) / 2, scale=2.0)
    assert improper.elementwise_logp(4.0) == pytest.approx(-np.log1p(2.0) / 2)


def pytensor_mode():
    from pytensor.compile.mode import Mode

    return Mode(linker="py", optimizer="fast_run")


def test_a_learned_scale_multiplies_what_the_fan_in_divides():
    wide = Hierarchical(1.0, fan_in=True)
    # -log p = w^2 / (2 (s / 2)^2) at s = 1.
    assert (wide.unscaled("weight", 4), wide.unscaled("bias", 4)) == (2.0, 0.5)
    assert Normal(1.0).unscaled("weight", 4) is None
