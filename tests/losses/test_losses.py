"""The loss <-> likelihood table against scipy.stats, PyMC, quadrature and minimisation."""

import dataclasses
import itertools
import json
import math
import re
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats as st
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.special import expit

import bayesnn as bnn
from bayesnn.errors import DataError, SpecError, UnknownNameError
from bayesnn.losses import (
    LOSSES,
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    GaussianNLL,
    Huber,
    Loss,
    Ordinal,
    Poisson,
    Quantile,
    SquaredError,
    StudentT,
    as_loss,
    loss_from_json,
    loss_table,
    loss_to_json,
    verify_loss,
)
from bayesnn.tree import prepare

LOCATION = [
    SquaredError(),
    AbsoluteError(),
    Huber(),
    Huber(delta=0.3),
    Quantile(),
    Quantile(q=0.9),
    Quantile(q=0.1),
    StudentT(),
    StudentT(nu=1.5),
]
ALL = [*LOCATION, GaussianNLL(), BinaryCrossEntropy(), CrossEntropy(), Ordinal(), Poisson()]
CUTPOINTS = np.array([-1.0, 0.2, 1.5])


def name_of(loss):
    return repr(loss)


def frozen(loss, mu, s):
    """The scipy.stats distribution of y for a loss; none for Huber."""
    return {
        "squared_error": lambda: st.norm(mu, s),
        "absolute_error": lambda: st.laplace(mu, s),
        "student_t": lambda: st.t(getattr(loss, "nu", 1), mu, s),
        "quantile": lambda: st.laplace_asymmetric(
            math.sqrt(loss.q / (1 - loss.q)), mu, s / math.sqrt(loss.q * (1 - loss.q))
        ),
    }[loss.name]()


def example(loss, rng, n=12, extreme=False):
    """A target, outputs and extra arguments for a loss."""
    m = 3 if loss.task == "classes" else loss.n_outputs([0, 1])
    f = rng.normal(0, 1.5, (n, m))
    if extreme:
        f[:8, 0] = [-1000, -700, -40, -5, 5, 40, 700, 1000]
    classes = {"binary": 2, "classes": 3, "ordinal": 4, "count": 6}.get(loss.task)
    y = np.arange(n) % classes if classes else rng.normal(0, 2, n)
    extra = {"noise": 0.7} if loss.has_noise else {}
    if loss.task == "ordinal":
        extra["cutpoints"] = CUTPOINTS
    return y, f, extra


def node_logp(loss, y, f, *, mode="py", grad=False, **extra):
    """Log density of each row (and the gradient of the sum in f) from the PyMC node."""
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt

    if mode == "py":
        mode = pytensor.compile.mode.Mode(linker="py", optimizer="fast_run")
    out = pt.dmatrix("f")
    extra = {key: value if np.ndim(value) == 0 else pt.as_tensor(value) for key, value in extra.items()}
    dims = ("obs",) if np.ndim(y) == 1 else ("obs", "output")
    coords = {"obs": np.arange(len(y)), "output": np.arange(f.shape[1])}
    with pm.Model(coords=coords) as model:
        node = loss.observe(out, pm.Data("target", y, dims=dims), dims=dims, **extra)
    assert node.name == "y"
    assert model.observed_RVs == [node]
    logp = model.logp(vars=[node], jacobian=False, sum=False)[0]
    wanted = [logp, pt.grad(logp.sum(), out)] if grad else logp
    return pytensor.function([out], wanted, mode=mode)(f)


# ------------------------------------------------------------------------------------------------ densities and masses
@pytest.mark.parametrize("loss", [loss for loss in LOCATION if loss.name != "huber"], ids=name_of)
def test_logp_is_that_of_scipy_with_batches_and_several_targets(loss):
    rng = np.random.default_rng(0)
    y, f, noise = rng.normal(size=7), rng.normal(size=(2, 3, 7, 1)), rng.uniform(0.2, 3, (2, 3))
    expected = frozen(loss, f[..., 0], noise[..., None]).logpdf(y)
    assert_allclose(loss.logp(y, f, noise=noise), expected, rtol=1e-12)
    y, f = rng.normal(size=(7, 2)), rng.normal(size=(2, 3, 7, 2))
    expected = frozen(loss, f, noise[..., None, None]).logpdf(y).sum(axis=-1)
    assert_allclose(loss.logp(y, f, noise=noise), expected, rtol=1e-12)


def test_labels_counts_and_two_heads_are_those_of_scipy():
    rng = np.random.default_rng(1)
    f = rng.normal(size=(4, 6, 3))
    y = np.array([0, 1, 2, 2, 1, 0])
    p = np.exp(f) / np.exp(f).sum(axis=-1, keepdims=True)
    assert_allclose(CrossEntropy().logp(y, f), np.log(p[:, np.arange(6), y]), rtol=1e-12)
    assert_allclose(CrossEntropy().mean(f), p, rtol=1e-12)
    expected = st.bernoulli(expit(f[..., 0])).logpmf(y > 0)
    assert_allclose(BinaryCrossEntropy().logp((y > 0).astype(int), f[..., :1]), expected, rtol=1e-12)
    assert_allclose(Poisson().logp(y, f[..., :1]), st.poisson(np.exp(f[..., 0])).logpmf(y), rtol=1e-12)
    expected = st.norm(f[..., 0], np.exp(f[..., 1])).logpdf(y)
    assert_allclose(GaussianNLL().logp(y, f[..., :2]), expected, rtol=1e-12)
    cutpoints = np.sort(rng.normal(size=(4, 2)), axis=-1)
    cdf = st.logistic.cdf(
        np.concatenate([np.full((4, 1), -np.inf), cutpoints, np.full((4, 1), np.inf)], 1)[:, None] - f[..., :1]
    )
    p = np.diff(cdf, axis=-1)
    assert_allclose(Ordinal().logp(y, f[..., :1], cutpoints=cutpoints), np.log(p[:, np.arange(6), y]), rtol=1e-10)
    assert_allclose(Ordinal().mean(f[..., :1], cutpoints=cutpoints), p, rtol=1e-10)


def test_textbook_values():
    y = np.array([0, 0, 0, 1, 0])
    nll = minimize_scalar(lambda logit: BinaryCrossEntropy().loss(y, np.full((5, 1), logit)).sum())
    assert expit(nll.x) == pytest.approx(0.2, abs=1e-6)
    assert nll.fun == pytest.approx(2.5020121177, abs=1e-10)
    y, f = np.array([-1.0, 0.0, 1.0]), np.zeros((3, 1))
    s = SquaredError().noise_mle(y, f)
    assert s == pytest.approx(math.sqrt(2 / 3), rel=1e-15)
    assert -SquaredError().logp(y, f, noise=s).sum() == pytest.approx(3.6486179375, abs=1e-10)


@pytest.mark.parametrize("loss", ALL, ids=name_of)
def test_pymc_node_has_the_same_log_density(loss):
    y, f, extra = example(loss, np.random.default_rng(2))
    assert_allclose(node_logp(loss, y, f, **extra), loss.logp(y, f, **extra), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("loss", LOCATION, ids=name_of)
def test_pymc_node_with_several_targets(loss):
    rng = np.random.default_rng(3)
    y, f = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    node = node_logp(loss, y, f, noise=2.0)
    assert node.shape == (5, 3)
    assert_allclose(node.sum(axis=1), loss.logp(y, f, noise=2.0), rtol=1e-12)


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), CrossEntropy(), Ordinal()], ids=name_of)
def test_extreme_outputs_stay_exact_and_have_finite_gradients(loss):
    y, f, extra = example(loss, np.random.default_rng(4), n=16, extreme=True)
    f[8:, 0] = f[:8, 0]
    y[8:] = (y.max() - y[:8]) % (y.max() + 1)
    expected = loss.logp(y, f, **extra)
    assert np.isfinite(expected).all()
    assert expected.min() < -900
    value, gradient = node_logp(loss, y, f, mode=None, grad=True, **extra)
    assert_allclose(value, expected, rtol=1e-12, atol=1e-14)
    # A Bernoulli has a finite gradient everywhere, a Categorical until the softmax underflows beyond 700.
    near = slice(None) if loss.task == "binary" else np.abs(f[:, 0]) <= 700
    assert np.isfinite(gradient[near]).all()
    # Far out the derivative of a log-probability in its logit is -1, 0 or 1.
    assert np.abs(gradient[near]).max() == pytest.approx(1, abs=1e-9)
    step = 1e-6
    for k in range(f.shape[1]):
        shift = step * np.eye(f.shape[1])[k]
        slope = (loss.logp(y, f + shift, **extra) - loss.logp(y, f - shift, **extra)) / (2 * step)
        assert_allclose(gradient[near, k], slope[near], atol=1e-6)


def test_ordered_logistic_of_pymc_would_have_failed_where_ours_is_finite():
    import pymc as pm
    import pytensor.tensor as pt

    f, y = np.array([[-40.0], [40.0]]), np.array([2, 1])
    theirs = pm.logp(pm.OrderedLogistic.dist(eta=pt.as_tensor(f[:, 0]), cutpoints=CUTPOINTS), y).eval()
    assert not np.isfinite(theirs).all()
    # The exact value: for eta = -40 the middle mass is exp(eta - c_1) - exp(eta - c_2) to 17 digits.
    exact = -40 + math.log(math.exp(-CUTPOINTS[1]) - math.exp(-CUTPOINTS[2]))
    assert Ordinal().logp(y, f, cutpoints=CUTPOINTS)[0] == pytest.approx(exact, rel=1e-14)


def test_poisson_far_out():
    y, f = np.array([0, 3, 2]), np.array([[-1000.0], [-700.0], [1000.0]])
    assert_allclose(Poisson().logp(y, f), [0, -2100 - math.log(6), -np.inf])


@pytest.mark.parametrize("noise", [0.5, 3, np.float32(3.0), 0.2])
def test_a_plain_number_as_noise_is_not_rounded_to_single_precision(noise):
    import pymc as pm

    y, f = np.zeros(1), np.zeros((1, 1))
    for loss in (SquaredError(), AbsoluteError(), StudentT(), Huber(), Quantile(q=0.1)):
        assert_allclose(node_logp(loss, y, f, noise=noise), loss.logp(y, f, noise=noise), rtol=1e-14)
    plain = pm.logp(pm.Normal.dist(0.0, 3.0), y).eval()
    assert abs(plain - SquaredError().logp(y, f, noise=3.0)) > 1e-9


# -------------------------------------------------------------------------------------------------- a, b and the table
@pytest.mark.parametrize("loss", ALL, ids=name_of)
def test_logp_is_a_times_loss_plus_b(loss):
    y, f, extra = example(loss, np.random.default_rng(5))
    noise = extra.get("noise")
    a, b = loss.coefficients(noise=noise)
    b = b(y) if callable(b) else b
    assert_allclose(-loss.logp(y, f, **extra), a * loss.loss(y, f, **extra) + b, rtol=1e-13)
    assert_allclose(loss.b_of_y(y, noise=noise), b + np.zeros(len(y)), rtol=1e-13)


def test_the_losses_are_the_ones_that_practitioners_minimise():
    y, f = np.array([1.0, -2.0]), np.array([[0.5], [1.0]])
    assert_allclose(SquaredError().loss(y, f), [0.25, 9])
    assert_allclose(AbsoluteError().loss(y, f), [0.5, 3])
    assert_allclose(Huber(delta=1.0).loss(y, f), [0.125, 2.5])
    assert_allclose(Huber(delta=1.0).loss(y, f, noise=0.25), [1.5, 11.5])
    assert_allclose(Quantile(q=0.9).loss(y, f), [0.45, 0.3])
    assert_allclose(StudentT(nu=2.0).loss(y, f, noise=2.0), np.log1p(np.array([0.25, 9]) / 8))
    two = np.array([[0.5, 0.0], [1.0, math.log(3)]])
    assert_allclose(GaussianNLL().loss(y, two), [0.125, math.log(3) + 0.5])
    assert_allclose(SquaredError().loss(np.stack([y, y], 1), two * 0), [2, 8])


@pytest.mark.parametrize("loss", [*LOCATION, GaussianNLL(), Poisson()], ids=name_of)
def test_the_printed_a_and_b_are_the_numbers(loss):
    frame = loss_table().to_frame().set_index("loss")

    def number(text):
        text = text.replace("²", "**2").replace("y!", "factorial(y)").replace("lgamma", "LG")
        text = re.sub(r"(\d|ν)([πs])(?![a-z])", r"\1*\2", text)
        text = re.sub(r"(\d|\)|q) (erf|exp|\()", r"\1*\2", text)
        names = {"log": math.log, "LG": math.lgamma, "sqrt": math.sqrt, "erf": math.erf, "exp": math.exp}
        names |= {"π": math.pi, "s": 0.7, "y": 4, "factorial": math.factorial}
        names |= {"δ": getattr(loss, "delta", 0), "ν": getattr(loss, "nu", 0), "q": getattr(loss, "q", 0)}
        return eval(text, {}, names)

    a, b = loss.coefficients(noise=0.7)
    b = b(4) if callable(b) else b
    assert number(frame.loc[loss.name, "a"]) == pytest.approx(a, rel=1e-14)
    assert number(frame.loc[loss.name, "b"]) == pytest.approx(b, rel=1e-14)


def test_table_reads_in_terminal_notebook_and_pandas(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    table = loss_table()
    frame = table.to_frame()
    assert frame["loss"].tolist() == list(LOSSES)
    assert list(frame.columns) == ["loss", "formula", "likelihood", "a", "b", "noise MLE"]
    for text in (str(table), repr(table), table._repr_html_()):
        assert all(name in text for name in LOSSES)
        assert "1/(2s²)" in text
    assert max(map(len, str(table).splitlines())) <= 120
    assert "..." not in table._repr_html_()
    assert frame["likelihood"].tolist() == [loss.likelihood for loss in LOSSES.values()]


# ----------------------------------------------------------------------------------------------------------- noise MLE
@pytest.mark.parametrize("loss", LOCATION, ids=name_of)
@pytest.mark.parametrize("targets", [1, 2])
def test_noise_mle_is_where_a_minimiser_ends(loss, targets):
    rng = np.random.default_rng(6)
    y = st.t(2).rvs((40, targets), random_state=rng)[:, 0 if targets == 1 else slice(None)]
    f = rng.normal(0, 0.1, (40, targets))
    s = loss.noise_mle(y, f)
    best = minimize_scalar(
        lambda log_s: -loss.logp(y, f, noise=np.exp(log_s)).sum(),
        bounds=(-5, 5),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert isinstance(s, float)
    assert s == pytest.approx(np.exp(best.x), rel=1e-6)
    nll = [-loss.logp(y, f, noise=t).sum() for t in (s * (1 - 1e-3), s, s * (1 + 1e-3))]
    assert nll[1] < min(nll[0], nll[2])


@pytest.mark.parametrize("loss", LOCATION, ids=name_of)
@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_noise_mle_scales_with_y(loss, unit):
    y, f = np.array([0.1, -2.0, 0.5, 7.0]), np.zeros((4, 1))
    assert loss.noise_mle(unit * y, f) == pytest.approx(unit * loss.noise_mle(y, f), rel=1e-10)


def test_noise_mle_without_scale_or_without_residuals():
    for loss in (GaussianNLL(), BinaryCrossEntropy(), CrossEntropy(), Ordinal(), Poisson()):
        assert loss.noise_mle(np.array([0, 1]), np.zeros((2, 1))) is None
    for loss in LOCATION:
        assert loss.noise_mle(np.ones(3), np.ones((3, 1))) == 0.0
    # A t with nu = 4 collapses onto the zeros when at most one residual in five differs from zero.
    y, f = np.array([0.0, 0, 0, 0, 1]), np.zeros((5, 1))
    assert StudentT().noise_mle(y, f) == 0.0
    assert StudentT().noise_mle(y[1:], f[1:]) > 0
    assert Huber().noise_mle(np.array([2.0]), np.zeros((1, 1))) == pytest.approx(2.0)


# ------------------------------------------------------------------------------------------------ mean, variance, draws
@pytest.mark.parametrize("loss", [*LOCATION, GaussianNLL()], ids=name_of)
def test_mean_and_variance_are_the_integrals_of_the_density(loss):
    f = np.array([[0.8, math.log(0.6)]])[:, : loss.n_outputs([0.0, 1.0])]
    noise = 0.6 if loss.has_noise else None

    def moment(power, centre):
        parts = [-np.inf, 0.8 - 1, 0.8, 0.8 + 1, np.inf]

        def integrand(v):
            return (v - centre) ** power * np.exp(loss.logp([v], f, noise=noise)[0])

        return sum(quad(integrand, low, high, epsrel=1e-10)[0] for low, high in itertools.pairwise(parts))

    assert moment(0, 0.0) == pytest.approx(1, rel=1e-8)
    mean = loss.mean(f, noise=noise)
    assert mean.shape == loss.variance(f, noise=noise).shape == (1, 1)
    assert moment(1, 0.0) == pytest.approx(mean[0, 0], rel=1e-7)
    if loss == StudentT(nu=1.5):
        assert loss.variance(f, noise=noise)[0, 0] == np.inf
    else:
        assert moment(2, mean[0, 0]) == pytest.approx(loss.variance(f, noise=noise)[0, 0], rel=1e-7)


@pytest.mark.parametrize("loss", LOCATION, ids=name_of)
def test_regression_draws_follow_the_density(loss):
    rng = np.random.default_rng(7)
    draws = loss.sample(np.full((20, 300, 1), 0.8), rng, noise=np.full(20, 0.6))
    assert draws.shape == (20, 300)

    def cdf(v):
        if loss.name != "huber":
            return frozen(loss, 0.8, 0.6).cdf(v)
        grid = np.linspace(-40, 40, 400_001)
        density = np.exp(loss.logp(grid, np.full((grid.size, 1), 0.8), noise=0.6))
        return np.interp(v, grid, np.cumsum(density) * (grid[1] - grid[0]))

    assert st.kstest(draws.ravel(), cdf).pvalue > 1e-3
    assert st.kstest(1.1 * draws.ravel() + 0.2, cdf).pvalue < 1e-3


def test_draws_of_labels_and_counts_follow_their_probabilities():
    rng = np.random.default_rng(8)
    n = 4000
    for loss in (BinaryCrossEntropy(), CrossEntropy(), Ordinal()):
        _, f, extra = example(loss, rng, n=1)
        draws = loss.sample(np.repeat(f, n, axis=0), rng, **extra)
        assert draws.shape == (n,)
        assert draws.dtype == np.int64
        p = loss.mean(f, **extra)[0]
        assert p.sum() == pytest.approx(1, abs=1e-14)
        assert st.chisquare(np.bincount(draws, minlength=p.size), n * p).pvalue > 1e-3
    f = np.full((n, 1), math.log(2.5))
    draws = Poisson().sample(f, rng)
    assert draws.mean() == pytest.approx(2.5, abs=0.1)
    assert draws.var() == pytest.approx(2.5, abs=0.2)
    assert_allclose(Poisson().mean(f)[0], Poisson().variance(f)[0])
    two = np.tile([1.0, math.log(2.0)], (n, 1))
    assert st.kstest(GaussianNLL().sample(two, rng), st.norm(1, 2).cdf).pvalue > 1e-3
    with pytest.raises(DataError, match="log-rate of 50"):
        Poisson().sample(np.array([[50.0]]), rng)


@pytest.mark.parametrize("loss", ALL, ids=name_of)
def test_shapes_over_chains_and_draws(loss):
    rng = np.random.default_rng(9)
    y, f, extra = example(loss, rng, n=4)
    batch = np.broadcast_to(f, (2, 3, *f.shape)) + rng.normal(size=(2, 3, 1, 1))
    many = {key: np.broadcast_to(value, (2, 3, *np.shape(value))) for key, value in extra.items()}
    width = {"binary": 2, "classes": 3, "ordinal": 4}.get(loss.task, 1)
    assert loss.logp(y, batch, **many).shape == (2, 3, 4)
    assert loss.loss(y, batch, **many).shape == (2, 3, 4)
    assert loss.mean(batch, **many).shape == (2, 3, 4, width)
    assert loss.sample(batch, rng, **many).shape == (2, 3, 4)
    assert_allclose(loss.logp(y, batch, **many)[1, 2], loss.logp(y, batch[1, 2], **extra))
    assert_allclose(loss.mean(batch, **many)[1, 2], loss.mean(batch[1, 2], **extra))
    if width == 1:
        noise = {key: value for key, value in many.items() if key == "noise"}
        assert loss.variance(batch, **noise).shape == (2, 3, 4, 1)
    else:
        with pytest.raises(SpecError, match="labels have no variance"):
            loss.variance(batch)
    if loss.has_noise:
        several = np.concatenate([batch, batch], axis=-1)
        assert loss.sample(several, rng, **many).shape == loss.mean(several, **many).shape == (2, 3, 4, 2)


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (SquaredError(), 1),
        (SquaredError(), 2),
        (Huber(), 1),
        (Quantile(q=0.9), 1),
        (BinaryCrossEntropy(), 1),
        (CrossEntropy(), 1),
        (Ordinal(), 1),
    ],
    ids=str,
)
def test_predictive_draws_of_another_size(loss, targets):
    import pymc as pm
    import xarray as xr

    rng = np.random.default_rng(10)
    y, f, extra = example(loss, rng, n=5)
    m = 2 if targets == 2 else f.shape[1]
    y = rng.normal(size=(5, 2)) if targets == 2 else y
    dims = ("obs", "output") if targets == 2 else ("obs",)
    with pm.Model(coords={"obs": np.arange(5), "output": np.arange(m)}) as model:
        X = pm.Data("X", np.linspace(-1, 1, 5)[:, None], dims=("obs", "feature"))
        target = pm.Data("target", y, dims=dims)
        w = pm.Normal("w", shape=(1, m))
        noise = pm.HalfNormal("noise") if loss.has_noise else None
        loss.observe(X @ w, target, noise=noise, dims=dims, **{k: v for k, v in extra.items() if k != "noise"})
    weights = np.full((1, 400, 1, m), 0.7) * (1 + np.arange(m))
    posterior = xr.Dataset({"w": (("chain", "draw", "w_0", "w_1"), weights)})
    if loss.has_noise:
        posterior["noise"] = (("chain", "draw"), np.full((1, 400), 0.6))
    X_new = np.linspace(-2, 2, 3)[:, None]
    with model:
        pm.set_data(
            {"X": X_new, "target": np.zeros((3, 2) if targets == 2 else 3, dtype=y.dtype)}, coords={"obs": range(3)}
        )
        draws = (
            pm.sample_posterior_predictive(posterior, random_seed=1, progressbar=False).posterior_predictive["y"].values
        )
    assert draws.shape == ((1, 400, 3, 2) if targets == 2 else (1, 400, 3))
    f_new = X_new @ weights[0, 0]
    if loss.task == "regression":
        error = np.sqrt(loss.variance(f_new, noise=0.6)[0, 0] / 400)
        mean = draws.mean(axis=(0, 1)).reshape(3, -1)
        assert_allclose(mean, loss.mean(f_new, noise=0.6), atol=4.5 * error)
        assert_allclose(draws.std(axis=(0, 1)).ravel(), error * 20, rtol=0.15)
    else:
        p = loss.mean(f_new, **extra)
        found = np.stack([(draws[0] == k).mean(axis=0) for k in range(p.shape[-1])], axis=-1)
        assert_allclose(found, p, atol=4.5 * 0.5 / 20)


# ------------------------------------------------------------------------------------------------------------- targets
def test_good_targets_are_converted():
    assert SquaredError().check_target([[1], [2]]).shape == (2,)
    assert SquaredError().check_target(np.ones((3, 2))).shape == (3, 2)
    assert SquaredError().check_target([1, 2]).dtype == np.float64
    for loss in (BinaryCrossEntropy(), CrossEntropy(), Ordinal()):
        for y in ([0, 1, 1], [0.0, 1.0, 1.0], [[0], [1], [1]], [False, True, True]):
            checked = loss.check_target(y)
            assert checked.dtype == np.int64
            assert checked.tolist() == [0, 1, 1]
    assert Poisson().check_target([0, 0, 7.0]).tolist() == [0, 0, 7]


def test_new_rows_need_not_hold_every_class():
    for loss in (CrossEntropy(), Ordinal()):
        assert loss.check_target([2, 2], classes=3).tolist() == [2, 2]
        with pytest.raises(DataError, match=r"there are 3 classes, 0\.\.2"):
            loss.check_target([0, 3], classes=3)
    assert BinaryCrossEntropy().check_target([1], classes=2).tolist() == [1]


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("cross_entropy", [0, 2, 2], r"Got labels 0, 2; the classes 0\.\.2 must all occur.*return_inverse"),
        ("cross_entropy", [1, 2, 1], r"the classes 0\.\.2 must all occur"),
        ("cross_entropy", [0, 0], "only the label 0"),
        ("binary_cross_entropy", [1, 1], "only the label 1"),
        ("binary_cross_entropy", [-1, 1], r"Use \(y \+ 1\) / 2"),
        ("binary_cross_entropy", [0, 1, 2], "More than two classes need loss='cross_entropy'"),
        ("binary_cross_entropy", [0.3, 1], r"must be integers 0\.\.K-1"),
        ("cross_entropy", [-1, 0, 1], "must be integers"),
        ("cross_entropy", ["cat", "dog"], "Got labels such as 'cat'.*return_inverse"),
        ("ordinal", np.array(["low", "high"], dtype=object), "Got labels such as 'low'"),
        ("ordinal", [0, 1, 3], "must all occur"),
        ("cross_entropy", np.eye(3), "argmax"),
        ("gaussian_nll", np.ones((3, 2)), "takes one target"),
        ("poisson", [0, -1], "Got the count -1"),
        ("poisson", [0, 1.5], "Got the count 1.5"),
        ("poisson", np.ones((3, 2)), "takes one target"),
        ("cross_entropy", [0, 1, np.nan], "missing"),
        ("squared_error", ["a", "b"], "y"),
        ("squared_error", np.ones((2, 2, 2)), "dimensions"),
    ],
)
def test_bad_targets_are_refused_with_a_remedy(loss, y, message):
    with pytest.raises(DataError, match=message):
        LOSSES[loss].check_target(y)


def test_numbers_of_outputs_and_their_names():
    y2 = np.ones((4, 2))
    assert SquaredError().n_outputs([0.5, 1]) == 1
    assert SquaredError().n_outputs(y2) == 2
    assert GaussianNLL().n_outputs([0.5, 1]) == 2
    assert CrossEntropy().n_outputs([0, 1, 2, 2]) == 3
    for loss, y in [
        *[(loss, [0, 1, 1]) for loss in ALL],
        (Huber(), y2),
        (CrossEntropy(), [0, 1, 2]),
    ]:
        names = loss.output_names(y)
        assert len(names) == len(set(names)) == loss.n_outputs(y)
    assert [loss.name for loss in ALL if not loss.output_bias] == ["ordinal"]
    with pytest.raises(DataError, match="must all occur"):
        CrossEntropy().n_outputs([0, 2])


def test_rows_and_outputs_must_fit_together():
    y = np.array([0.0, 1.0, 1.0])
    for loss, f in [
        (SquaredError(), np.zeros((3, 2))),
        (SquaredError(), np.zeros((2, 1))),
        (SquaredError(), np.zeros(3)),
        (GaussianNLL(), np.zeros((3, 1))),
        (BinaryCrossEntropy(), np.zeros((3, 2))),
        (CrossEntropy(), np.zeros((1, 2))),
        (Poisson(), np.zeros((3, 2))),
    ]:
        with pytest.raises(DataError, match="network output f of shape"):
            loss.logp(y, f, noise=1.0)
    for bad in ([0, 1, 2], [-1, 0, 1], [0.5, 0, 1]):
        with pytest.raises(DataError, match=r"must be integers 0\.\.1"):
            BinaryCrossEntropy().logp(np.array(bad), np.zeros((3, 1)))


def test_noise_and_cutpoints_are_needed_and_checked():
    y, f = np.array([0.0, 1.0]), np.zeros((2, 1))
    for loss in LOCATION:
        with pytest.raises(SpecError, match="Got no noise"):
            loss.logp(y, f)
        with pytest.raises(SpecError, match="Got no noise"):
            loss.observe(f, y, dims=("obs",))
        for bad in (0.0, -1.0, np.nan, np.inf):
            with pytest.raises(SpecError, match="positive and finite"):
                loss.logp(y, f, noise=bad)
    rng = np.random.default_rng(0)
    for call in (
        lambda: Ordinal().logp(y, f),
        lambda: Ordinal().sample(f, rng),
        lambda: Ordinal().observe(f, y, dims=("obs",)),
    ):
        with pytest.raises(SpecError, match="Got no cutpoints"):
            call()
    with pytest.raises(SpecError, match="must increase"):
        Ordinal().logp(y, f, cutpoints=[0.0, 0.0])


# ------------------------------------------------------------------------------------------------- names and parameters
@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (Huber, [0, -1, np.inf, np.nan, "1", True]),
        (Quantile, [0, 1, -0.1, 1.5, np.nan]),
        (StudentT, [0, -4, np.inf, None]),
    ],
)
def test_parameters_are_validated(kind, values):
    for value in values:
        with pytest.raises(SpecError, match=rf"Got {kind.__name__}\("):
            kind(value)
    assert isinstance(dataclasses.astuple(StudentT(nu=np.int64(3)))[0], float)
    with pytest.raises(dataclasses.FrozenInstanceError):
        kind().name = "other"


def test_names_and_json():
    assert list(LOSSES) == [
        *("squared_error", "absolute_error", "huber", "quantile", "student_t", "gaussian_nll"),
        *("binary_cross_entropy", "cross_entropy", "ordinal", "poisson"),
        *("negative_binomial", "binomial", "beta"),
    ]
    assert as_loss("huber") == Huber()
    assert as_loss(Huber(2.0)) == Huber(2.0) != Huber()
    assert SquaredError() == SquaredError() != AbsoluteError()
    assert len({SquaredError(), SquaredError(), Huber(), Huber(2.0)}) == 3
    with pytest.raises(UnknownNameError, match="Did you mean 'squared_error'"):
        as_loss("square_error")
    for bad in (SquaredError, None, 3):
        with pytest.raises(SpecError, match="must be a name"):
            as_loss(bad)
    for loss in ALL:
        assert loss_from_json(json.loads(json.dumps(loss_to_json(loss)))) == loss
    with pytest.raises(SpecError, match="Got \\['delta'\\]"):
        loss_from_json({"name": "quantile", "delta": 1})
    with pytest.raises(SpecError, match="key 'name'"):
        loss_from_json({"delta": 1})
    with pytest.raises(UnknownNameError):
        loss_from_json({"name": "mse"})


def test_importing_the_losses_imports_no_pymc():
    code = "import sys, bayesnn.losses; print([m for m in ('pymc', 'pytensor', 'pandas', 'arviz') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


# -------------------------------------------------------------------------------------------------------- verification
@pytest.mark.parametrize("loss", [*ALL, StudentT(nu=0.5), Huber(delta=30.0)], ids=name_of)
def test_every_loss_of_the_table_is_verified(loss):
    check = verify_loss(loss)
    assert check
    assert check.max_error < 1e-10
    assert_allclose(list(check.normaliser.values()), 1, rtol=1e-10)
    assert loss.likelihood in repr(check)


class WrongConstant(SquaredError):
    def coefficients(self, *, noise=None):
        a, b = super().coefficients(noise=noise)
        return a, b + math.log(2)


class WrongFactor(AbsoluteError):
    def coefficients(self, *, noise=None):
        a, b = super().coefficients(noise=noise)
        return 2 * a, b


class WrongNode(SquaredError):
    def observe(self, f, y, *, noise=None, cutpoints=None, dims):
        return super().observe(f, y, noise=1.001 * noise, dims=dims)


class WrongLogp(Poisson):
    def logp(self, y, f, *, noise=None, cutpoints=None):
        return -self.loss(y, f)


def test_a_wrong_loss_is_found_out():
    check = verify_loss(WrongConstant())
    assert not check
    assert check.max_error >= 0.5
    assert_allclose(list(check.normaliser.values()), 0.5)
    assert "integrates to 0.5, not 1" in check.message
    assert not verify_loss(WrongFactor())
    assert "PyMC node" in verify_loss(WrongNode()).message
    assert not verify_loss(WrongNode())
    assert not verify_loss(WrongLogp())


def hinge(y, f):
    return max(0.0, 1 - y * f)


def focal(y, f):
    p = expit(f if y == 1 else -f)
    return -((1 - p) ** 2) * np.log(p)


def class_weighted(y, f):
    return (1.0, 2.0, 5.0)[y] * (np.log(np.exp(f).sum()) - f[y])


def weighted_binary(y, f):
    return (3.0 if y else 1.0) * np.logaddexp(0, (1 - 2 * y) * f)


def tukey(y, f):
    return 1 - max(0.0, 1 - (y - f) ** 2) ** 3


@pytest.mark.parametrize(
    ("loss", "support", "z"),
    [
        (hinge, "signs", {0.0: 2 / math.e, 1.0: 1 + math.exp(-2)}),
        (focal, "binary", {0.0: 2 * 0.5**0.25}),
        (weighted_binary, "binary", {0.0: 0.5 + 0.125}),
        (class_weighted, 3, {}),
        (lambda y, f: (y - expit(f)) ** 2, "binary", {0.0: 2 * math.exp(-0.25)}),
        (lambda y, f: ((y - f) / (1 + f**2)) ** 2, "real", {0.0: math.sqrt(math.pi), 1.0: 2 * math.sqrt(math.pi)}),
        (tukey, "real", {0.0: np.inf}),
        (lambda y, f: y - f, "real", {0.0: np.inf}),
        (lambda y, f: np.nan, "real", {0.0: np.nan}),
        (lambda y, f: np.exp(f) - y * f, "counts", {0.0: np.inf}),
    ],
)
def test_losses_that_are_no_likelihoods(loss, support, z):
    check = verify_loss(loss, support=support)
    assert not check
    assert check.is_likelihood is False
    assert "NOT a negative log-likelihood" in check.message
    for f, value in z.items():
        assert check.normaliser[f] == pytest.approx(value, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize(
    ("loss", "support", "z"),
    [
        (lambda y, f: (y - f) ** 2, "real", math.sqrt(math.pi)),
        (lambda y, f: np.log(np.cosh(y - f)), "real", math.pi),
        (
            lambda y, f: 0.5 * (y - f) ** 2 if abs(y - f) < 1 else abs(y - f) - 0.5,
            "real",
            math.sqrt(2 * math.pi) * math.erf(0.5**0.5) + 2 * math.exp(-0.5),
        ),
        (lambda y, f: np.log1p((y - f) ** 2), "real", math.pi),
        (lambda y, f: max(0.0, abs(y - f) - 0.5), "real", 3.0),
        (lambda y, f: (y - f**2 - 50) ** 2 / 2e-4, "real", 0.01 * math.sqrt(2 * math.pi)),
        (lambda y, f: y * np.exp(-f) + f if y > 0 else np.inf, "real", 1.0),
        (lambda y, f: np.logaddexp(0, -y * f), "signs", 1.0),
        (lambda y, f: np.log(np.exp(f).sum()) - f[y], 4, 1.0),
        (lambda y, f: y * np.logaddexp(0, f) + np.logaddexp(0, -f), "counts", 1.0),
    ],
)
def test_losses_that_are_likelihoods(loss, support, z):
    check = verify_loss(loss, support=support)
    assert check, check
    assert_allclose(list(check.normaliser.values()), z, rtol=1e-7)
    assert "a likelihood" in check.message


def test_terms_in_y_alone():
    def poisson(y, f):
        return np.exp(f) - y * f

    assert "pass it as b=" in verify_loss(poisson, support="counts").message
    assert verify_loss(poisson, support="counts", b=lambda y: math.lgamma(y + 1))
    check = verify_loss(lambda y, f: np.logaddexp(0, (1 - 2 * y) * f) + 2 * y, support="binary")
    assert check
    assert "b(0) = 0, b(1) = -2" in check.message
    # Offsets beyond the range of exp only move the constant.
    for offset in (-2000, 2000):
        check = verify_loss(lambda y, f, offset=offset: (y - f) ** 2 + offset)
        assert check
        assert f"{0.5 * math.log(math.pi) - offset:.6g}" in check.message


def test_verify_refuses_what_it_cannot_check():
    with pytest.raises(UnknownNameError):
        verify_loss("mse")
    with pytest.raises(SpecError, match="must be a name"):
        verify_loss(3)
    for support in ("labels", 1, None):
        with pytest.raises(SpecError, match="Got support="):
            verify_loss(hinge, support=support)
    with pytest.raises(SpecError, match="different outputs f"):
        verify_loss(hinge, support="signs", f=[0.0, 1.0, 1.0])
    assert verify_loss(lambda y, f: (y - f) ** 2, f=[0.0, 10.0, 1e3]).normaliser.keys() == {0.0, 10.0, 1e3}


def test_the_base_class_names_what_is_missing():
    with pytest.raises(NotImplementedError):
        Loss().loss([0.0], [[0.0]])


# A loss that does not go with the target of a Dataset


def counts():
    return bnn.data.Dataset(
        np.arange(6.0)[:, None], np.array([0, 1, 1, 3, 2, 4]), None, None, np.zeros((1, 1)), ("x",), ("n",), None,
        "visits", "count",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "loss", "remedy"),
    [
        ("iris", "squared_error", "cross_entropy"),
        ("iris", "poisson", "cross_entropy"),
        ("two_moons", "huber", "binary_cross_entropy"),
        (counts, "squared_error", "poisson"),
        (counts, "cross_entropy", "poisson"),
    ],
)
def test_labels_and_counts_refuse_the_name_of_a_loss_for_other_targets(data, loss, remedy):
    data = data() if callable(data) else bnn.load_data(data, random_seed=0)
    net = bnn.MLP(hidden=(1,), loss=loss)
    with pytest.raises(SpecError, match=rf"Got the loss '{loss}'.*Write MLP\(\.\.\., loss='{remedy}'\)") as caught:
        prepare(net, data)
    with pytest.raises(SpecError, match="Got the loss"):
        prepare(dataclasses.replace(net, hidden=(2,)), data)
    assert prepare(bnn.MLP(hidden=(1,), loss=remedy), data).net.loss.name == remedy, "the remedy works"
    instance = type(net.loss)()
    assert f"loss=bnn.losses.{type(instance).__name__}()" in str(caught.value)
    assert instance == net.loss
    assert prepare(bnn.MLP(hidden=(1,), loss=instance), data).net.loss == instance, "so does the other one"


def test_a_loss_that_was_left_out_is_squared_error_for_numbers_only():
    with pytest.raises(SpecError, match=r"label \(setosa, versicolor, virginica\).*loss='cross_entropy'"):
        bnn.fit_mle(bnn.MLP((5,)), bnn.load_data("iris"))
    assert prepare(bnn.MLP((5,)), bnn.load_data("sine_gap")).net.loss.name == "squared_error"
    assert prepare(bnn.MLP((5,)), [0.0, 1.0, 2.0], [0, 1, 1]).net.loss.name == "squared_error", "arrays are numbers"


def test_labels_take_every_loss_for_labels():
    data = bnn.load_data("two_moons", random_seed=0)
    for loss in ("binary_cross_entropy", "cross_entropy", "ordinal"):
        assert prepare(bnn.MLP(loss=loss), data).net.loss.name == loss


def test_noise_mle_of_an_own_loss_far_from_one_and_without_bound():
    import pytensor.tensor as pt

    cauchy = bnn.losses.ResidualLoss("cauchy", lambda u: pt.log1p(u**2))
    y = st.cauchy.rvs(size=50, random_state=np.random.default_rng(1))
    # Outliers put the start of the search far above the scale.
    y[0] = 1e9
    _, scale = st.cauchy.fit(y, floc=0.0)
    assert cauchy.noise_mle(y, np.zeros((50, 1))) == pytest.approx(scale, rel=1e-3)
    # More than half of the residuals vanish: the smaller the scale, the better, though not all of them do.
    assert cauchy.noise_mle(np.r_[np.zeros(9), 1.0], np.zeros((10, 1))) == 0.0


def test_distribution_function_of_a_scale_that_is_an_output():
    f = np.array([[0.5, np.log(2.0)], [-1.0, np.log(0.3)]])
    found = GaussianNLL().cdf([1.0, -0.8], f)
    assert found.shape == (2, 1)
    assert_allclose(found[:, 0], st.norm([0.5, -1.0], [2.0, 0.3]).cdf([1.0, -0.8]), rtol=1e-14)


def test_an_own_loss_does_not_change_and_is_its_formula():
    import pytensor.tensor as pt

    power = bnn.losses.ResidualLoss("power", lambda u, p: abs(u) ** p, p=1.5)
    with pytest.raises(AttributeError, match="a loss does not change"):
        power.name = "other"
    assert power == bnn.losses.ResidualLoss("power", lambda v, q: abs(v) ** q, p=1.5)
    assert power != bnn.losses.ResidualLoss("power", lambda u, p: abs(u) ** p, p=1.4)
    assert power != bnn.losses.ResidualLoss("power", lambda u, p: abs(u) ** p + pt.abs(u), p=1.5)
    assert power != "power"
    assert repr(power) == "ResidualLoss('power', p=1.5)"
    assert power.mode == pytest.approx(0.0, abs=1e-8)
    with pytest.raises(SpecError, match="its formula has other parameters"):
        bnn.losses.ResidualLoss.from_json(power.to_json() | {"parameters": {}})
