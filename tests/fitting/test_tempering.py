"""Tempering: exact evidences and moments, errors that are right, marks that are checked, and what is refused."""

import re
import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal

import bayesnn as bnn
from bayesnn.errors import ConvergenceWarning, FitError, ImproperPriorError, SpecError
from bayesnn.fitting import tempered
from bayesnn.fitting.agreement import function_values
from bayesnn.fitting.density import has_kernels, log_density
from bayesnn.fitting.evidence import bridge
from bayesnn.fitting.tempering import Ladder, System
from bayesnn.tree import params_of, prepare
from tests.conftest import X5, X_NODE, Y5, Y_NODE
from tests.test_own import Halved
from tests.test_truths import close_to_mean

QUIET = {"sampler": "tempering", "progressbar": False}


def short(net, X=X5, y=Y5, **options):
    """A run that is not asked to reach its marks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return bnn.fit_posterior(net, X, y, **QUIET, **{"rounds": 1, "draws": 200, "chains": 2, **options})


@pytest.fixture(scope="module")
def two_weights():
    return bnn.MLP((1,), bias=False, noise=0.3, prior=bnn.Normal(1.0))


@pytest.fixture(scope="module")
def tempered_weights(two_weights):
    return bnn.fit_posterior(two_weights, X5, Y5, random_seed=1, **QUIET)


@pytest.mark.parametrize("collapse", [None, False])
def test_evidence_and_moments_by_quadrature(two_weights, collapse):
    post = bnn.fit_posterior(two_weights, X5, Y5, random_seed=2, collapse=collapse, **QUIET)
    evidence = bnn.log_evidence(post)
    # As in tests/test_truths.py.
    assert evidence.se < 0.05
    assert abs(evidence.value + 1.43811849) < 3 * evidence.se
    f = two_weights.forward(params_of(post), np.array([[1.5]]))[..., 0, 0]
    assert close_to_mean(f, 0.89373583)
    assert close_to_mean(post.posterior["W1"].to_numpy()[..., 0, 0] ** 2, 1.20704769)
    assert close_to_mean(post.posterior["W2"].to_numpy()[..., 0, 0] ** 2, 1.44097504)
    assert not close_to_mean(f + 0.05, 0.89373583)


def test_evidence_of_a_sigmoid_node(node):
    post = bnn.fit_posterior(node, X_NODE, Y_NODE, random_seed=1, **QUIET)
    evidence = bnn.log_evidence(post)
    assert abs(evidence.value + 3.55818300) < 3 * evidence.se < 0.06
    assert close_to_mean(post.posterior["W1"].to_numpy()[..., 0, 0], 0.59033729)


def test_the_evidence_of_a_linear_model_is_exact(tmp_path):
    line = bnn.MLP((), noise=0.3, prior=bnn.Normal(1.0))
    post = bnn.fit_posterior(line, X5, Y5, draws=50, random_seed=1, **QUIET)
    assert bnn.log_evidence(post).value == pytest.approx(-3.66338304, abs=5e-9)
    assert bnn.log_evidence(post).se == 0.0
    assert "exact" in post.attrs["bayesnn_message"]
    assert bnn.log_evidence(bnn.load_fit(bnn.save_fit(post, tmp_path / "post.nc"))) == bnn.log_evidence(post)
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    several = bnn.fit_posterior(bnn.MLP((), noise=0.7, prior=bnn.Normal(0.5)), X, y, draws=10, random_seed=1, **QUIET)
    features = np.column_stack([X, np.ones(12)])
    covariance = 0.7**2 * np.eye(12) + 0.5**2 * features @ features.T
    expected = sum(multivariate_normal.logpdf(y[:, k], cov=covariance) for k in range(2))
    assert bnn.log_evidence(several).value == pytest.approx(expected, rel=1e-12)


def test_the_evidence_is_in_the_users_units():
    data = bnn.load_data("sine_gap", random_seed=1)
    net = bnn.MLP((), noise=0.3, prior=bnn.Normal(1.0))
    plain = prepare(net, data, scaling=False)
    scaled = bnn.fit_posterior(net, data, scaling="standard", draws=10, random_seed=1, **QUIET)
    sd = np.std(plain.y)
    X = (plain.X - plain.X.mean()) / plain.X.std()
    features = np.column_stack([X, np.ones(len(X))])
    covariance = sd**2 * (0.3**2 * np.eye(len(X)) + features @ features.T)
    expected = multivariate_normal.logpdf(plain.y, mean=np.full(len(X), plain.y.mean()), cov=covariance)
    assert bnn.log_evidence(scaled).value == pytest.approx(expected, rel=1e-9)


def test_standard_errors_are_right(two_weights, node):
    z = []
    for seed in range(30):
        for net, X, y, truth in ((two_weights, X5, Y5, -1.43811849), (node, X_NODE, Y_NODE, -3.55818300)):
            evidence = bnn.log_evidence(short(net, X, y, chains=4, random_seed=seed))
            z.append((evidence.value - truth) / evidence.se)
    assert 0.75 < np.std(z) < 1.3
    assert abs(np.mean(z)) < 0.5


def test_the_same_seed_gives_the_same_draws_with_any_number_of_cores(sine, sine_net):
    one, two = (short(sine_net, sine.X, sine.y, chains=3, random_seed=5, cores=cores) for cores in (1, 3))
    assert_array_equal(one.posterior["W1"], two.posterior["W1"])
    assert one.attrs["bayesnn_log_evidence"] == two.attrs["bayesnn_log_evidence"]
    other = short(sine_net, sine.X, sine.y, chains=3, random_seed=6)
    assert not np.array_equal(one.posterior["W1"], other.posterior["W1"])


def test_the_tree_tells_every_round(tempered_weights, two_weights):
    group = tempered_weights["tempering"]
    assert set(group.sizes) == {"chain", "round", "temperature"}
    iterations = group["iterations"].to_numpy()
    assert list(iterations[-1:]) == [1000]
    assert np.all(np.diff(iterations) > 0)
    last = group.isel(round=-1)
    betas = last["inverse_temperature"].to_numpy()
    for chain, known in enumerate(np.isfinite(betas).sum(axis=1)):
        assert betas[chain, 0] == 0.0
        assert betas[chain, known - 1] == 1.0
        assert np.all(np.diff(betas[chain, :known]) > 0)
        rejected = last["swap_rejection"].to_numpy()[chain, : known - 1]
        assert float(last["barrier"][chain]) == pytest.approx(rejected.sum())
    assert_allclose(last["log_evidence"].mean(), bnn.log_evidence(tempered_weights).value, atol=1e-9)
    assert int(last["round_trips"].min()) > 50
    assert 0.6 < float(last["acceptance_rate"].mean()) < 0.9
    assert set(tempered_weights["sample_stats"].data_vars) == {"lp", "log_likelihood", "state"}
    assert tempered_weights.attrs["bayesnn_unmet"] == ""
    density = log_density(prepare(two_weights, X5, Y5), jacobian=True, collapse=True)
    first = density.pack({"W1": tempered_weights.posterior["W1"].to_numpy()[0, 0]})
    assert density(first)[0] == pytest.approx(float(tempered_weights["sample_stats"]["lp"][0, 0]), rel=1e-12)


def test_rounds_double(two_weights):
    post = short(two_weights, rounds=3, draws=100, random_seed=1)
    assert list(post["tempering"]["iterations"].to_numpy()[-3:]) == [100, 200, 400]
    assert post.posterior.sizes["draw"] == 100


def test_what_was_not_reached_is_said(sine, sine_net):
    options = {"chains": 2, "draws": 30, "tune": 20, "max_rounds": 1, "random_seed": 1}
    with pytest.warns(ConvergenceWarning, match="standard error of the log evidence is .*Take more rounds"):
        post = bnn.fit_posterior(sine_net, sine.X, sine.y, **options, **QUIET)
    assert "above 0.2" in post.attrs["bayesnn_unmet"]
    with pytest.warns(ConvergenceWarning, match="Raise max_seconds"):
        post = bnn.fit_posterior(sine_net, sine.X, sine.y, **{**options, "max_rounds": 9, "max_seconds": 0.01}, **QUIET)
    assert post["tempering"].sizes["round"] == 1


def test_interrupted_it_keeps_the_last_whole_round(sine, sine_net, monkeypatch):
    run = System.run

    def interrupted(self, iterations, draws):
        if iterations == 400:
            raise KeyboardInterrupt
        return run(self, iterations, draws)

    monkeypatch.setattr(System, "run", interrupted)
    with pytest.warns(ConvergenceWarning, match="interrupted: its last whole round is kept, of 200 iterations"):
        post = bnn.fit_posterior(sine_net, sine.X, sine.y, rounds=3, draws=200, chains=2, random_seed=1, **QUIET)
    assert post["tempering"]["iterations"].to_numpy()[-1] == 200
    assert np.isfinite(post.posterior["W1"]).all()


def test_a_round_is_not_waited_for(sine, sine_net, monkeypatch):
    """A key that is pressed while the compiled loop runs ends it within a chunk."""
    import _thread

    def press(*args, run=System.run, **kwargs):
        if args[1] > 100_000:
            threading.Timer(0.1, _thread.interrupt_main).start()
        return run(*args, **kwargs)

    monkeypatch.setattr(System, "run", press)
    with pytest.warns(ConvergenceWarning, match="interrupted: its last whole round is kept"):
        bnn.fit_posterior(sine_net, sine.X, sine.y, rounds=11, draws=200, chains=1, tune=20, random_seed=1, **QUIET)


def test_a_class_from_outside_is_tempered():
    net, ours = (bnn.MLP((), prior=prior, noise=0.3) for prior in (Halved(1.0), bnn.Normal(0.5)))
    assert not has_kernels(net)
    evidence = bnn.log_evidence(short(net, chains=4, random_seed=1))
    exact = bnn.log_evidence(bnn.fit_posterior(ours, X5, Y5, draws=10, random_seed=1, **QUIET))
    assert abs(evidence.value - exact.value) < 4 * evidence.se < 0.3


def test_what_is_refused(two_weights, tempered_weights):
    def fit(net=two_weights, **options):
        return bnn.fit_posterior(net, X5, Y5, **{"progressbar": False, **options})

    with pytest.raises(SpecError, match="adaptation='diag' with sampler='tempering'"):
        fit(sampler="tempering", adaptation="diag")
    with pytest.raises(SpecError, match=r"target_accept=1\.5"):
        fit(sampler="tempering", target_accept=1.5)
    for name in ("rounds", "max_rounds", "max_seconds"):
        with pytest.raises(SpecError, match=f"{name}=3 with sampler='nutpie', which has no rounds"):
            fit(**{name: 3})
        with pytest.raises(SpecError, match=f"{name}=0"):
            fit(sampler="tempering", **{name: 0})
    with pytest.raises(SpecError, match="rounds=2 and max_rounds=3"):
        fit(sampler="tempering", rounds=2, max_rounds=3)
    with pytest.raises(ImproperPriorError, match="does not integrate to one"):
        fit(bnn.MLP((1,), prior=bnn.Flat()), sampler="tempering")
    with pytest.raises(FitError, match=r"does not estimate the evidence.*sampler='tempering'"):
        bnn.log_evidence(fit(draws=50, tune=50, chains=1, random_seed=1))
    assert re.fullmatch(r"-1\.\d\d ± 0\.0\d", str(bnn.log_evidence(tempered_weights)))


def test_the_bridge_of_a_normal_likelihood():
    # Prior N(0, 1), likelihood N(x | 2, 1): at inverse temperature b the normaliser is known.
    rng = np.random.default_rng(1)
    betas = np.linspace(0.0, 1.0, 5)
    draws = rng.normal(2 * betas / (1 + betas), 1 / np.sqrt(1 + betas), size=(20_000, 5))
    found = bridge(-0.5 * (draws - 2.0) ** 2, betas)
    truth = -0.5 * np.log(2.0) - 1.0
    se = np.std(found.series) / np.sqrt(len(found.series))
    assert se < 0.01
    assert abs(found.combined - truth) < 4 * se
    assert np.mean(found.series) == pytest.approx(found.combined, abs=1e-9)
    assert abs(found.forward - found.backward) < 4 * np.std(found.gap) / np.sqrt(len(found.gap))
    # It is the optimum of both: no worse than either.
    assert se < np.std(found.gap) / np.sqrt(len(found.gap))
    wrong = bridge(-0.5 * (draws + 0.5 - 2.0) ** 2, betas)
    assert abs(wrong.combined - truth) > 4 * se
    assert np.isfinite(bridge(np.where(draws > 3.5, -np.inf, -0.5 * (draws - 2.0) ** 2)[:50], betas).forward)


def test_a_ladder_is_spaced_by_its_rejections():
    betas = np.array([0.0, 0.1, 0.2, 1.0])
    ladder = Ladder(betas, np.full(4, 0.3), np.ones((4, 2)), np.array([0.0, 2.0, 2.2, 2.4]))
    spaced, nearest = ladder.spaced()
    assert spaced.betas[[0, -1]].tolist() == [0.0, 1.0]
    assert np.all(np.diff(spaced.betas) > 0)
    assert np.sum(spaced.betas < 0.1) > len(spaced.betas) / 2
    assert nearest[0] == 0
    assert nearest[-1] == 3


def test_a_ladder_keeps_the_rungs_that_were_asked_for():
    ladder = Ladder(np.array([0.0, 0.3, 1.0]), np.full(3, 0.3), np.ones((3, 2)), np.array([0.0, 1.0, 1.5]), (0.4, 0.7))
    without = replace(ladder, rungs=()).spaced()[0]
    spaced, nearest = ladder.spaced()
    assert {0.4, 0.7} < set(spaced.betas)
    assert_array_equal(np.setdiff1d(spaced.betas, [0.4, 0.7]), without.betas)
    assert np.all(np.diff(spaced.barrier) > 0)
    assert len(nearest) == len(spaced.betas)
    # They are not counted when it is asked how many others are needed.
    assert_allclose(spaced.spaced()[0].betas[[0, -1]], [0, 1])
    assert len(spaced.spaced()[0].betas) == len(spaced.betas)


@pytest.mark.parametrize(
    ("collapse", "truths"), [(False, (-0.31105177, -0.62013361)), (True, (1.28298261, 1.22919657))]
)
def test_rungs_have_the_log_likelihood_of_their_temperatures(two_weights, collapse, truths):
    betas = (1 / np.log(5), 1.5 / np.log(5))
    post = short(two_weights, draws=6000, chains=4, collapse=collapse, rungs=betas[::-1], random_seed=3)
    group = post["rungs"]["log_likelihood"]
    assert_array_equal(group["inverse_temperature"], betas)
    for beta, truth in zip(betas, truths, strict=True):
        assert -expected_log_likelihood(beta, collapse) == pytest.approx(truth, abs=1e-8)
        assert close_to_mean(-group.sel(inverse_temperature=beta).to_numpy(), truth)
        assert not close_to_mean(-group.sel(inverse_temperature=beta).to_numpy(), truth + 0.1)


def expected_log_likelihood(beta, collapse):
    """Of the two-weight network, by a rule on a grid that is exact to rounding: the density is analytic and decays."""
    w, v = np.linspace(-9, 9, 721)[:, None], np.linspace(-9, 9, 721)
    h = np.tanh(w * X5)
    if collapse:
        log = np.array([multivariate_normal.logpdf(Y5, cov=0.09 * np.eye(5) + np.outer(u, u)) for u in h])
        density = np.exp(beta * log - w[:, 0] ** 2 / 2)
    else:
        residual = (h**2).sum(axis=1)[:, None] * v**2 - 2 * (h @ Y5)[:, None] * v + Y5 @ Y5
        log = -residual / (2 * 0.09) - 5 * np.log(0.3 * np.sqrt(2 * np.pi))
        density = np.exp(beta * log - (w**2 + v**2) / 2)
    return (density * log).sum() / density.sum()


def test_rungs_of_a_collapsed_linear_model_are_the_evidence():
    line = bnn.MLP((), noise=0.3, prior=bnn.Normal(1.0))
    rungs = short(line, rungs=[0.5])["rungs"]["log_likelihood"]
    assert_allclose(rungs, -3.66338304, atol=5e-9)
    # The full posterior at half the inverse temperature is that with twice the variance of the noise.
    full = short(line, draws=3000, chains=4, collapse=False, rungs=[0.5], random_seed=1)["rungs"]["log_likelihood"]
    A = np.column_stack([np.ones(5), X5])
    covariance = np.linalg.inv(A.T @ A / 0.18 + np.eye(2))
    mean = covariance @ A.T @ Y5 / 0.18
    loss = (((Y5 - A @ mean) ** 2).sum() + np.trace(A.T @ A @ covariance)) / 0.18
    assert close_to_mean(full.to_numpy()[..., 0], -loss - 5 * np.log(0.3 * np.sqrt(2 * np.pi)))


def test_rungs_are_refused_outside_a_ladder(two_weights):
    for options in ({"rungs": [0.5]}, {"rungs": [1.0], **QUIET}, {"rungs": 0.5, **QUIET}, {"rungs": ["a"], **QUIET}):
        with pytest.raises(SpecError, match=r"rungs=.*Write sampler='tempering', rungs=\[0\.5\]"):
            bnn.fit_posterior(two_weights, X5, Y5, **options)


def test_marks_are_those_of_the_function(sine, sine_net):
    problem = prepare(sine_net, sine.X, sine.y)
    net_params = params_of(short(sine_net, sine.X, sine.y, chains=4, draws=400, random_seed=1))
    moved = {k: v.copy() for k, v in net_params.items()}
    moved["b2"][0] += 1.0
    assert tempered._rhat_of(function_values(problem, net_params)) < 1.05
    assert tempered._rhat_of(function_values(problem, moved)) > 1.5
