"""Losses, activations and penalties of one's own: as right as built-in ones, on every door."""

import json
import os
import re
import subprocess
import sys
import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from numpy.testing import assert_allclose
from pytensor.compile.mode import Mode
from scipy import stats

import bayesnn as bnn
from bayesnn.errors import ImproperPriorError, SpecError
from bayesnn.fitting.density import FusedDensity, ModelDensity, has_kernels, log_density
from bayesnn.losses import Loss, ResidualLoss, SquaredError
from bayesnn.model import model_of
from bayesnn.priors import PenaltyPrior
from bayesnn.tree import prepare
from tests.conftest import X5, Y5, random_params

LOSSES = {
    "logcosh": ResidualLoss("logcosh", lambda u: pt.log(pt.cosh(u))),
    "cauchy": ResidualLoss("cauchy", lambda u: pt.log1p(u**2)),
    "power": ResidualLoss("power", lambda u, p: abs(u) ** p, p=1.5),
    "skewed": ResidualLoss("skewed", lambda u: u + 3 * pt.softplus(-u)),
}
UNITS = {
    "softsign": bnn.Activation("softsign", lambda z: z / (1 + abs(z))),
    "mish": bnn.Activation("mish", lambda z: z * pt.tanh(pt.softplus(z))),
    "bump": bnn.Activation("bump", lambda z: pt.exp(-(z**2))),
    "arctan": bnn.Activation("arctan", pt.arctan),
    "elu": bnn.Activation("elu", lambda z: pt.switch(z > 0, z, pt.expm1(z))),
}
PENALTIES = {
    "cauchyish": PenaltyPrior("cauchyish", lambda w: pt.log1p(w**2 / 4)),
    "bridge": PenaltyPrior("bridge", lambda w, p: abs(w) ** p, 2.0, {"p": 1.5}, fan_in=True, bias=bnn.Normal(2.0)),
    "biases": bnn.Laplace(1.0, bias=PenaltyPrior("soft", lambda w: pt.log(pt.cosh(w)), 0.7)),
    "lopsided": PenaltyPrior("lopsided", lambda w: w**2 / 2 + pt.softplus(3 * w)),
}
NETS = {
    **{name: bnn.MLP((3,), loss=loss) for name, loss in LOSSES.items()},
    **{name: bnn.MLP((3, 2), unit, noise=0.4) for name, unit in UNITS.items()},
    **{name: bnn.MLP((3,), prior=prior, noise=bnn.HalfNormal(0.5)) for name, prior in PENALTIES.items()},
    "all": bnn.MLP((2,), UNITS["mish"], loss=LOSSES["power"], prior=PENALTIES["bridge"]),
    "labels": bnn.MLP((3,), UNITS["bump"], loss="cross_entropy", prior=PENALTIES["cauchyish"]),
}


def problem_of(net, n=23, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3 if net.loss.task == "classes" else 2 * rng.normal(size=n)
    return prepare(net, rng.normal(size=(n, 2)), y)


def reference(problem):
    """Log density and gradient of the PyMC model at a flat vector, in Python: no compiler is waited for."""
    model = model_of(problem, fused=False)
    logp = model.logp()
    outputs = [logp, *pytensor.grad(logp, model.value_vars)]
    function = pytensor.function(model.value_vars, outputs, mode=Mode(linker="py", optimizer=None))
    layout = log_density(problem, jacobian=True)
    names = [model.values_to_rvs[v].name for v in model.value_vars]
    assert names == layout.names

    def density(x):
        pieces = [x[layout.offsets[i] : layout.offsets[i + 1]].reshape(s) for i, s in enumerate(layout.shapes)]
        value, *gradient = function(*pieces)
        return float(value), np.concatenate([np.ravel(g) for g in gradient])

    return density


@pytest.mark.parametrize("name", NETS)
def test_density_and_gradient_are_those_of_the_pymc_model(name):
    problem = problem_of(NETS[name])
    ours, theirs = log_density(problem, jacobian=True), reference(problem)
    assert isinstance(ours, FusedDensity)
    for seed, size in enumerate((0.1, 1.0, 3.0)):
        x = size * np.random.default_rng(seed).normal(size=ours.size)
        (value, gradient), (expected, slopes) = ours(x), theirs(x)
        assert value == pytest.approx(expected, rel=1e-12)
        assert_allclose(gradient, slopes, rtol=1e-10, atol=1e-12 * np.abs(slopes).max())
        params = ours.unpack(x)
        log_noise = x[-1] if NETS[name].noise_prior else 0.0
        numpy = NETS[name].log_likelihood(params, problem.X, problem.y).sum() + NETS[name].log_prior(params) + log_noise
        assert value == pytest.approx(float(numpy), rel=1e-12)


_LANES = """
import json, numpy as np
from bayesnn.fitting.density import log_density
from bayesnn.ops.simd import LANES
from tests.test_own import NETS, problem_of
out = {"lanes": LANES}
for name, net in NETS.items():
    density = log_density(problem_of(net), jacobian=True)
    value, gradient = density(np.random.default_rng(3).normal(size=density.size))
    out[name] = [value, *gradient]
print(json.dumps(out))
"""


@pytest.mark.parametrize("lanes", ["2", "4"])
def test_narrower_vectors_give_the_same(lanes):
    environment = {**os.environ, "BAYESNN_LANES": lanes}
    done = subprocess.run([sys.executable, "-c", _LANES], env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("lanes") == int(lanes)
    for name, numbers in found.items():
        density = log_density(problem_of(NETS[name]), jacobian=True)
        value, gradient = density(np.random.default_rng(3).normal(size=density.size))
        assert_allclose(numbers, [value, *gradient], rtol=1e-12, atol=1e-12 * np.abs(gradient).max())


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("logcosh", stats.hypsecant),
        ("cauchy", stats.cauchy),
        ("power", stats.gennorm(1.5)),
        ("skewed", stats.genlogistic(2)),
    ],
)
def test_likelihoods_are_scipys(name, exact):
    loss, rng = LOSSES[name], np.random.default_rng(1)
    y, f, s = rng.normal(size=9), rng.normal(size=(9, 1)), 0.6
    u = (y - f[:, 0]) / s
    assert_allclose(loss.logp(y, f, noise=s), exact.logpdf(u) - np.log(s), rtol=1e-12)
    assert_allclose(loss.cdf(y, f, noise=s)[:, 0], exact.cdf(u), rtol=1e-11)
    a, b = loss.coefficients(noise=s)
    assert_allclose(loss.logp(y, f, noise=s), -(a * loss.loss(y, f, noise=s) + b), rtol=1e-13)
    assert bool(bnn.verify_loss(loss))
    assert loss.has_mean == (name != "cauchy")
    centre = exact.median() if name == "cauchy" else exact.mean()
    assert_allclose(loss.mean(f, noise=s)[:, 0], f[:, 0] + s * centre, atol=1e-9)
    assert loss.variance(f, noise=s)[0, 0] == pytest.approx(s**2 * exact.var(), rel=1e-9) or name == "cauchy"


def test_logcosh_is_the_hyperbolic_secant():
    b = LOSSES["logcosh"].coefficients(noise=0.5)[1]
    assert b == pytest.approx(np.log(np.pi * 0.5), abs=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_the_noise_mle_is_a_root_of_its_equation(name):
    loss, rng = LOSSES[name], np.random.default_rng(2)
    y, f = rng.normal(size=40), np.zeros((40, 1))
    s = loss.noise_mle(y, f)
    here = loss.logp(y, f, noise=s).sum()
    assert all(loss.logp(y, f, noise=s * by).sum() < here for by in (0.97, 1.03))
    u = y / s
    assert np.mean(u * loss.formula.slope(u, *loss.parameters)) == pytest.approx(1.0, abs=1e-5)
    assert loss.noise_mle(np.zeros(3), np.zeros((3, 1))) == 0.0


@pytest.mark.parametrize("name", LOSSES)
def test_draws_of_the_model_have_the_density(name):
    loss = LOSSES[name]
    with pm.Model(coords={"obs": range(4000)}):
        loss.observe(pt.zeros((4000, 1)), np.zeros(4000), noise=0.5, dims=("obs",))
        draws = pm.draw(pm.modelcontext(None)["y"], random_seed=1, mode=Mode(linker="py", optimizer=None))
    assert stats.kstest(draws / 0.5, loss.density.cdf).pvalue > 1e-3
    ours = loss.sample(np.zeros((4000, 1)), np.random.default_rng(1), noise=0.5)
    assert stats.kstest(ours / 0.5, loss.density.cdf).pvalue > 1e-3


def test_parameters_are_data():
    first = log_density(prepare(bnn.MLP((2,), loss=LOSSES["power"]), X5, Y5), jacobian=True)
    other = ResidualLoss("power", lambda u, p: abs(u) ** p, p=1.2)
    second = log_density(prepare(bnn.MLP((2,), loss=other), X5, Y5), jacobian=True)
    assert (first.density.forms[:3] == second.density.forms[:3]).all()
    assert first(np.ones(first.size))[0] != second(np.ones(second.size))[0]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: ResidualLoss("hinge", lambda u: pt.maximum(0.0, 1 - u)), "NOT a negative log-likelihood"),
        (lambda: ResidualLoss("bounded", lambda u: u**2 / (1 + u**2)), "grows on both sides"),
        (lambda: ResidualLoss("squared_error", lambda u: u**2), "built-in loss"),
        (lambda: ResidualLoss("x", lambda u, p: abs(u) ** p, p="2"), "must be a number"),
        (lambda: ResidualLoss("x", lambda u: pt.exp(u**2)), "finite from"),
        (lambda: bnn.Activation("tanh", pt.tanh), "built-in activation"),
        (lambda: bnn.Activation("x", lambda z: pt.log(z)), "finite from"),
        (lambda: bnn.Activation("x", lambda z: z / (1 + abs(z)), "even"), "the two sides are"),
        (lambda: bnn.Activation("x", pt.tanh, "mirror"), "known are"),
        (lambda: PenaltyPrior("x", lambda w: w**2, scale=0.0), "scale must be"),
        (lambda: PenaltyPrior("x", lambda w: pt.sum(pt.stack([w, w]))), "number by number"),
    ],
)
def test_what_can_not_be_is_refused_with_the_reason(make, why):
    with pytest.raises(SpecError, match=why):
        make()


@pytest.mark.parametrize("name", NETS)
def test_specs_travel_as_json(name):
    net = NETS[name]
    again = bnn.MLP.from_json(net.to_json())
    assert again == net
    assert hash(again.loss) == hash(net.loss)
    assert again.to_json() == net.to_json()
    assert "lambda" not in net.to_json()


def test_penalties_are_priors():
    prior = PENALTIES["cauchyish"]
    exact = stats.cauchy(scale=2.0)
    w = np.linspace(-5, 5, 11)
    assert_allclose(prior.elementwise_logp(w), exact.logpdf(w), rtol=1e-12)
    assert_allclose(prior.elementwise_logp(w, 0.5), stats.cauchy(scale=1.0).logpdf(w), rtol=1e-12)
    draws = prior.sample(np.random.default_rng(1), (4000,), kind="weight", fan_in=3)
    assert stats.kstest(draws, exact.cdf).pvalue > 1e-3
    assert [PENALTIES[name].even for name in ("cauchyish", "lopsided")] == [True, False]
    assert bnn.symmetry_group(bnn.MLP((3,), prior=PENALTIES["lopsided"])).order == 6
    assert bnn.symmetry_group(bnn.MLP((3,), prior=prior)).order == 48


def test_an_l1_penalty_as_a_formula_has_the_same_zeros():
    rng = np.random.default_rng(5)
    X, y = rng.normal(size=(30, 6)), rng.normal(size=30)
    own = PenaltyPrior("l1", lambda w: abs(w), scale=0.05)
    maps = [
        bnn.fit_map(bnn.MLP((), noise=1.0, prior=prior), X, y, restarts=2, random_seed=1, progressbar=False)
        for prior in (own, bnn.Laplace(0.05))
    ]
    weights = [fit.posterior["W1"].to_numpy() for fit in maps]
    assert (weights[0] == 0).any()
    assert_allclose(weights[0], weights[1], atol=1e-8)


def test_an_improper_penalty_has_a_map_and_no_posterior():
    prior = PenaltyPrior("log", lambda w: 0.5 * pt.log1p(w**2))
    assert not prior.proper
    net = bnn.MLP((), noise=0.5, prior=prior)
    assert bnn.fit_map(net, X5, Y5, restarts=2, random_seed=1, progressbar=False).attrs["bayesnn_kind"] == "map"
    with pytest.raises(ImproperPriorError):
        bnn.fit_posterior(net, X5, Y5, progressbar=False)
    with pytest.raises(ImproperPriorError):
        prior.sample(np.random.default_rng(1), (3,), kind="weight", fan_in=1)


def test_the_mle_of_an_own_loss_is_scipys():
    rng = np.random.default_rng(3)
    y = stats.hypsecant.rvs(loc=1.3, scale=0.4, size=60, random_state=rng)
    mle = bnn.fit_mle(
        bnn.MLP((), loss=LOSSES["logcosh"]), np.zeros((60, 0)), y, restarts=3, random_seed=1, progressbar=False
    )
    loc, scale = stats.hypsecant.fit(y)
    assert float(mle.posterior["b1"].squeeze()) == pytest.approx(loc, abs=1e-4)
    assert float(mle.posterior["noise"].squeeze()) == pytest.approx(scale, abs=1e-4)
    assert mle.attrs["bayesnn_exists"] == 1


def test_a_cauchy_by_another_name_with_free_noise_is_not_said_to_have_an_mle():
    for net in (bnn.MLP((), loss=LOSSES["cauchy"]), bnn.MLP((), loss=bnn.losses.StudentT(1.0))):
        assert bnn.mle_exists(net, X5, Y5).exists is None
    assert bnn.mle_exists(bnn.MLP((), loss=LOSSES["cauchy"], noise=0.5), X5, Y5).exists is True
    assert bnn.mle_exists(bnn.MLP((), loss=LOSSES["logcosh"]), X5, Y5).exists is True


@pytest.fixture(scope="module")
def own_post():
    net = bnn.MLP((2,), UNITS["bump"], loss=LOSSES["cauchy"], prior=PENALTIES["cauchyish"])
    with warnings.catch_warnings():
        # A few draws of a posterior with heavy tails: what matters here is that they travel.
        warnings.simplefilter("ignore", bnn.ConvergenceWarning)
        return bnn.fit_posterior(net, X5, Y5, draws=300, tune=300, chains=2, random_seed=1, progressbar=False)


def test_a_file_is_read_in_a_process_that_never_saw_the_formulas(own_post, tmp_path):
    path = bnn.save_fit(own_post, tmp_path / "own.nc")
    code = (
        "import sys, json, bayesnn as bnn; fit = bnn.load_fit(sys.argv[1]); found = bnn.predict(fit, [[0.5], [1.5]]);"
        "bnn.align(fit); print(json.dumps([sorted(found.data_vars), found['median'].values.ravel().tolist()]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    names, median = json.loads(done.stdout)
    here = bnn.predict(own_post, [[0.5], [1.5]])
    assert names == sorted(here.data_vars)
    assert "mean" not in names
    assert_allclose(median, here["median"].values.ravel(), rtol=1e-12)
    assert np.isinf(here["variance_total"]).all()


def test_a_cauchy_likelihood_and_prior_are_students_t_with_one_degree_of_freedom():
    own, twin = (
        log_density(prepare(bnn.MLP((2,), UNITS["bump"], loss=loss, prior=prior), X5, Y5), jacobian=True)
        for loss, prior in (
            (LOSSES["cauchy"], PENALTIES["cauchyish"]),
            (bnn.losses.StudentT(1.0), bnn.StudentT(1.0, 2.0)),
        )
    )
    x = np.random.default_rng(1).normal(size=own.size)
    assert own(x)[0] == pytest.approx(twin(x)[0], rel=1e-12)
    assert_allclose(own(x)[1], twin(x)[1], rtol=1e-11)


# --- classes from outside, of which nothing is known but what they do


class Welsch(SquaredError):
    """A subclass that keeps a built-in name and means something else."""

    def coefficients(self, *, noise=None):
        return 2 * super().coefficients(noise=noise)[0], super().coefficients(noise=noise)[1] - 0.5 * np.log(2)

    def observe(self, f, y, *, noise=None, cutpoints=None, dims):
        return pm.Normal("y", mu=f[:, 0], sigma=noise / 2**0.5, observed=y, dims=dims)


class Halved(bnn.Normal):
    """A prior from outside."""

    def _log_density(self, z):
        return stats.norm.logpdf(z, scale=self.sd / 2)

    def _rv(self, name, factor, dims):
        return pm.Normal(name, 0.0, np.float64(self.sd / 2 * factor), dims=dims)


@dataclass(frozen=True)
class Exponential(Loss):
    """A loss of positive targets with a log-mean as output, written from nothing."""

    name: ClassVar[str] = "exponential"
    likelihood: ClassVar[str] = "Exponential"
    task: ClassVar[str] = "regression"
    _table = ("f + y exp(-f)", "1", "0", "no scale")

    def output_names(self, y):
        return ["log_mean"]

    def check_target(self, y, *, classes=None):
        return np.asarray(y, dtype=float)

    def loss(self, y, f, *, noise=None, cutpoints=None):
        return f[..., 0] + y * np.exp(-f[..., 0])

    def mean(self, f, *, noise=None, cutpoints=None):
        return np.exp(f)

    def variance(self, f, *, noise=None):
        return np.exp(2 * f)

    def cdf(self, y, f, *, noise=None, cutpoints=None):
        return -np.expm1(-np.reshape(y, (-1, 1)) * np.exp(-f))

    def observe(self, f, y, *, noise=None, cutpoints=None, dims):
        return pm.Exponential("y", lam=pm.math.exp(-f[:, 0]), observed=y, dims=dims)


@pytest.mark.parametrize(
    "net",
    [bnn.MLP((2,), loss=Welsch()), bnn.MLP((2,), prior=Halved(1.0), noise=0.3), bnn.MLP((), loss=Exponential())],
    ids=["loss with a built-in name", "prior", "loss from nothing"],
)
def test_a_class_from_outside_runs_on_the_models_density(net):
    y = np.abs(Y5) if net.loss.name == "exponential" else Y5
    problem = prepare(net, X5, y)
    assert not has_kernels(net)
    density = log_density(problem, jacobian=False)
    assert isinstance(density, ModelDensity)
    params = random_params(problem, (), seed=1)
    x = density.pack(params)
    expected = net.log_likelihood(params, problem.X, problem.y).sum() + net.log_prior(params)
    assert density(x)[0] == pytest.approx(float(expected), rel=1e-10)


def test_a_loss_from_outside_is_fitted_and_nothing_is_claimed(capsys):
    y = np.array([0.2, 0.5, 1.5, 0.9, 2.5])
    net = bnn.MLP((), loss=Exponential())
    assert bnn.mle_exists(net, X5, y).exists is None
    mle = bnn.fit_mle(net, X5, y, restarts=3, random_seed=1)
    assert mle.attrs["bayesnn_exists"] == -1
    assert capsys.readouterr().err.count("several times slower") == 1
    bnn.fit_mle(net, X5, y, restarts=1, random_seed=1)
    assert "several times slower" not in capsys.readouterr().err
    import statsmodels.api as sm

    family = sm.families.Gamma(link=sm.families.links.Log())
    twin = sm.GLM(y, sm.add_constant(X5), family=family).fit()
    assert_allclose(
        [float(mle.posterior["b1"].squeeze()), float(mle.posterior["W1"].squeeze())], twin.params, atol=1e-6
    )
    predicted = bnn.predict(mle, [[0.0]])
    assert float(predicted["mean"].squeeze()) == pytest.approx(np.exp(twin.params[0]), rel=1e-6)


def test_a_file_of_a_class_from_outside_names_it():
    for net in (bnn.MLP((), loss=Exponential()), bnn.MLP((), prior=Halved(2.0, bias=bnn.Laplace(0.5)))):
        assert bnn.MLP.from_json(net.to_json()) == net
        code = "import sys, bayesnn as bnn; bnn.MLP.from_json(sys.argv[1])"
        done = subprocess.run([sys.executable, "-c", code, net.to_json()], capture_output=True, text=True, check=False)
        assert re.search("SpecError: Got a fit with the class (Exponential|Halved) of the module", done.stderr)


def test_the_table_has_rows_for_ones_own():
    frame = bnn.loss_table(LOSSES["logcosh"], LOSSES["power"]).to_frame()
    rows = frame[frame["loss"].isin(["logcosh", "power"])].set_index("loss")
    assert rows.loc["logcosh", "formula"].startswith("log(cosh(u))")
    assert "1.14473" in rows.loc["logcosh", "b"]
    assert rows.loc["power", "formula"].startswith("|u|^p, p = 1.5")
    assert len(frame) == len(bnn.LOSSES) + 2


def test_penalty_table_of_ones_own():
    net = bnn.MLP((2,), noise=0.5, prior=PENALTIES["cauchyish"])
    table = bnn.penalty_table(net, n=10)
    row = table[(table["library"] == "by hand") & (table["reduction"] == "sum")].iloc[0]
    # sum (y - f)^2 + value * sum(penalty) is proportional to -log posterior.
    assert row["value"] == pytest.approx(2 * 0.5**2)
    assert "log1p" in row["formula"]
