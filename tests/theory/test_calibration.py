"""Calibration: a right model passes, and each broken one is found out by the quantity that should see it."""

import itertools
import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import comb

import numpy as np
import pandas as pd
import pytest
from arviz_stats.ecdf_utils import get_pointwise_confidence_band
from numpy.testing import assert_allclose

import bayesnn as bnn
from bayesnn.errors import DataError, ImproperPriorError, SpecError, UnknownNameError
from bayesnn.theory import Calibration, calibrate
from bayesnn.theory.calibration import _template, _truth, replicate
from bayesnn.theory.quantities import rank
from bayesnn.theory.ranks import _counts, _tail, band, how, p_value, stays
from tests.conftest import tree_of

LINE = bnn.MLP(hidden=(), noise=1.0)
NOISY = bnn.MLP(hidden=(), bias=False)
WAVE = bnn.MLP(hidden=(1,), activation="sin", bias=False, noise=0.3, prior=bnn.Normal(3.0))
X_LINE = np.linspace(-1, 1, 6)[:, None]
X_WAVE = np.array([[1.0], [2.0], [3.0]])
DRAWS = 99


def exact_line(net, X, y, random_seed, *, sd=1.0, rows=None):
    """Exact draws of a linear network's posterior, of a prior and rows that may be wrong."""
    rng = np.random.default_rng(random_seed)
    A = np.column_stack([X, np.ones(len(X))])
    kept = slice(rows)
    covariance = np.linalg.inv(A[kept].T @ A[kept] / net.noise**2 + np.eye(A.shape[1]) / sd**2)
    draws = rng.multivariate_normal(covariance @ A[kept].T @ y[kept] / net.noise**2, covariance, size=(1, DRAWS))
    return tree_of(net, X, y, {"W1": draws[..., :-1, None], "b1": draws[..., -1:]})


def exact_noise(net, X, y, random_seed, *, jacobian=True):
    """Exact draws of slope and noise, the noise on a grid of its logarithm; the density there has a Jacobian."""
    rng = np.random.default_rng(random_seed)
    grid = np.linspace(np.log(1e-3), np.log(10.0), 4000)
    s, x = np.exp(grid), X[:, 0]
    precision = 1 + (x**2).sum() / s**2
    mean = (x @ y) / s**2 / precision
    log_p = -len(y) * grid - (y @ y) / s**2 / 2 + precision * mean**2 / 2 - np.log(precision) / 2 - s**2 / 2
    log_p = log_p + grid * jacobian
    p = np.exp(log_p - log_p.max())
    at = rng.choice(len(grid), size=(1, DRAWS), p=p / p.sum())
    noise = s[at] * np.exp(rng.uniform(-0.5, 0.5, at.shape) * (grid[1] - grid[0]))
    W = mean[at] + rng.normal(size=at.shape) / np.sqrt(precision[at])
    return tree_of(net, X, y, {"W1": W[..., None, None], "noise": noise})


def exact_wave(net, X, y, random_seed, *, modes=True):
    """Exact draws of v sin(w x): w on a grid, v normal given w. At whole x the likelihood has the period 2 pi in w."""
    rng = np.random.default_rng(random_seed)
    grid = np.arange(-12.0, 12.0, 0.002) if modes else np.arange(-np.pi, np.pi, 0.002)
    sd = net.prior.sd
    H = np.sin(grid[:, None] * X[:, 0])
    precision = 1 / sd**2 + (H**2).sum(axis=1) / net.noise**2
    mean = H @ y / net.noise**2 / precision
    log_p = precision * mean**2 / 2 - np.log(precision) / 2 - grid**2 / sd**2 / 2
    p = np.exp(log_p - log_p.max())
    at = rng.choice(len(grid), size=(1, DRAWS), p=p / p.sum())
    w = grid[at] + rng.uniform(-0.001, 0.001, at.shape)
    v = mean[at] + rng.normal(size=at.shape) / np.sqrt(precision[at])
    return tree_of(net, X, y, {"W1": w[..., None, None], "W2": v[..., None, None]})


def run(net, X, posterior, *, replicates=100, **options):
    options = {"random_seed": 1, "progressbar": False} | options
    return calibrate(net, X, posterior=posterior, replicates=replicates, **options)


# --- right and broken models ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "X", "posterior"),
    [(LINE, X_LINE, exact_line), (NOISY, X_LINE, exact_noise), (WAVE, X_WAVE, exact_wave)],
    ids=["line", "noise", "wave"],
)
def test_a_right_model_is_calibrated(net, X, posterior):
    found = run(net, X, posterior, grid=[[0.5], [1.0]])
    assert found.calibrated
    assert found.outside == ()
    assert found.message.startswith("Calibrated")
    assert (found.table["verdict"] == "").all()
    # About independent, as they were drawn.
    assert found.draws.median().min() > 0.6 * DRAWS


@pytest.mark.parametrize(("sd", "said"), [(0.8, "draws too low"), (1.2, "draws too high")])
def test_a_prior_sd_that_is_off_by_a_fifth_is_seen_by_the_sum_of_squares(sd, said):
    # Two rows say little about five weights: the posterior is mostly prior.
    X = np.random.default_rng(1).normal(size=(2, 4))
    found = run(LINE, X, partial(exact_line, sd=sd), quantities=("log_likelihood", "sum_of_squares"))
    assert found.outside[0] == "sum of squares"
    assert found.table.loc["sum of squares", "verdict"] == said
    assert f"sum of squares ({said})" in found.message


def test_a_jacobian_that_is_left_out_is_seen_by_the_noise():
    found = run(NOISY, X_LINE[:3], partial(exact_noise, jacobian=False), grid=[[0.5]])
    assert found.outside[0] == "noise"
    assert found.table.loc["noise", "verdict"] == "draws too low"


def test_half_of_the_data_is_seen_by_the_log_likelihood_alone():
    found = run(LINE, X_LINE, partial(exact_line, rows=3), grid=[[0.5]])
    assert found.outside == ("log-likelihood",)
    assert found.table.loc["log-likelihood", "verdict"] == "draws too low"


def test_a_mode_that_is_lost_is_seen_where_the_functions_differ():
    found = run(WAVE, X_WAVE, partial(exact_wave, modes=False), grid=[[0.5], [1.0]])
    assert {"f[x1=0.5]", "sum of squares", "canonical W1[1, 1]"} <= set(found.outside)
    # There all modes have the same function.
    assert not {"f[x1=1]", "log-likelihood"} & set(found.outside)
    assert "Not calibrated" in found.message
    assert found.calibrated is False


def test_the_posterior_of_a_fit_is_calibrated_for_classes_and_for_two_targets():
    X = np.array([[-1.0], [0.0], [0.5], [1.0], [2.0]])
    options = {"replicates": 20, "random_seed": 1, "progressbar": False, "draws": 50, "chains": 1, "tune": 100}
    shares = calibrate(bnn.MLP((), loss="cross_entropy"), X, outputs=3, grid=[[0.0]], **options)
    assert list(shares.ranks)[:4] == ["f[x1=0, 0]", "f[x1=0, 1]", "f[x1=0, 2]", "log-likelihood"]
    assert shares.calibrated
    assert shares.ranks.shape == (20, 11)
    two = calibrate(LINE, X, outputs=2, quantities="function", grid=[[0.0]], **options)
    assert list(two.ranks) == ["f[x1=0, 0]", "f[x1=0, 1]"]


def test_every_data_set_has_every_class():
    problem = _template(bnn.MLP((), loss="cross_entropy", prior=bnn.Normal(3.0)), np.arange(4.0)[:, None], 3)
    rng = np.random.default_rng(1)
    seen = {tuple(np.unique(_truth(problem, rng)[1])) for _ in range(50)}
    assert seen == {(0, 1, 2)}


# --- bands and ranks ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", [([0, 1], [3, 3]), ([1, 1], [2, 3]), ([0, 2], [1, 2]), ([0, 0], [3, 3])])
def test_the_probability_of_staying_inside_is_that_of_enumeration(bounds):
    # Each of three numbers falls into one of three thirds.
    count = np.array([[sum(c <= k for c in cells) for k in (0, 1)] for cells in itertools.product(range(3), repeat=3)])
    inside = ((count >= bounds[0]) & (count <= bounds[1])).all(axis=1)
    assert_allclose(stays(3, *map(np.array, bounds)), inside.mean(), rtol=1e-12)


def test_one_count_is_binomial():
    assert_allclose(stays(2, np.array([1]), np.array([1])), comb(2, 1) / 4, rtol=1e-12)
    # Both below one half: the count is 2, whose upper tail is 1/4, as is the lower tail of 0.
    assert_allclose(p_value(np.array([0.1, 0.3])), 1 / 2, rtol=1e-12)
    assert_allclose(p_value(np.array([0.1, 0.7])), 1.0, rtol=1e-12)


def test_the_band_is_that_of_arviz_at_the_level_that_it_needs():
    n, level = 100, 0.9
    points, lower, upper = band(n, level)
    tail = _tail(n, level)
    for ours, theirs in zip((lower, upper), get_pointwise_confidence_band(1 - 2 * tail, n, points[1:-1]), strict=True):
        assert_allclose(ours[1:-1], theirs, rtol=1e-12)
    exact = stays(n, *_counts(n, tail))
    assert level <= exact < level + 0.02
    assert stays(n, *_counts(n, 1.05 * tail)) < exact
    u = np.random.default_rng(1).random((4000, n))
    share = (u[..., None] <= points).mean(axis=1)
    inside = ((share >= lower) & (share <= upper)).all(axis=1)
    assert abs(inside.mean() - exact) < 4 * np.sqrt(exact * (1 - exact) / len(u))
    # The p-value and the band agree about every one of them.
    assert [p_value(row) >= 1 - exact - 1e-9 for row in u[:200]] == inside[:200].tolist()


def test_what_is_wrong_is_said_of_therank():
    u = (np.arange(100) + 0.5) / 100
    assert how(u**2) == "draws too high"
    assert how(np.sqrt(u)) == "draws too low"
    assert how(0.5 + np.sign(u - 0.5) * np.abs(2 * u - 1) ** 0.3 / 2) == "draws too narrow"
    assert how(0.5 + np.sign(u - 0.5) * np.abs(2 * u - 1) ** 3 / 2) == "draws too wide"


def test_repeated_draws_count_once_and_ties_are_broken_at_random():
    rng = np.random.default_rng(1)
    once = rng.normal(size=(2, 100, 1))
    _, (count,) = rank(np.zeros(1), once, rng)
    _, (repeated,) = rank(np.zeros(1), np.repeat(once, 10, axis=1), rng)
    assert 0.5 < repeated / count < 2
    u = np.array([rank(np.ones(1), np.ones((1, 50, 1)), rng)[0][0] for _ in range(400)])
    assert p_value(u) > 0.01
    # A single draw that is left says little, and nothing wrong.
    assert rank(np.ones(1), np.full((1, 50, 1), np.nan), rng)[0][0] > 0.5


def test_few_replicates_have_no_verdict():
    ranks = pd.DataFrame({"noise": [0.01] * 5})
    found = Calibration(ranks, ranks, 0.95, {7: "FitError: gone"}, (3,), True)
    assert found.calibrated is None
    assert found.outside == ()
    for words in ("No verdict", "1 of 6 replicates failed, the first (7): FitError: gone", "disagreed", "Interrupted"):
        assert words in repr(found)


# --- replicates -----------------------------------------------------------------------------------------------------

QUICK = {"replicates": 20, "quantities": "log_likelihood"}


def test_the_ranks_are_the_same_whoever_finds_them():
    here = run(LINE, X_LINE, exact_line, **QUICK)
    with ThreadPoolExecutor(2) as pool:
        there = run(LINE, X_LINE, exact_line, executor=pool, **QUICK)
    pd.testing.assert_frame_equal(there.ranks, here.ranks)
    # What a process is sent, and what it sends back.
    problem = _template(LINE, X_LINE, None)
    task = partial(replicate, problem, X_LINE, ("log_likelihood", "function"), exact_line, {}, seed=3)
    sent = pickle.loads(pickle.dumps(task))
    assert json.loads(json.dumps(sent())) == task()


def test_an_interruption_loses_nothing_that_is_done(tmp_path):
    path, made = tmp_path / "ranks.jsonl", []
    stops = {15}

    def exact(net, X, y, random_seed):
        if len(made) in stops:
            raise KeyboardInterrupt
        made.append(random_seed)
        return exact_line(net, X, y, random_seed)

    first = run(LINE, X_LINE, exact, path=path, **QUICK)
    assert first.interrupted
    assert len(first.ranks) == 15
    assert first.calibrated is None
    stops.clear()
    whole = run(LINE, X_LINE, exact, path=path, **QUICK | {"replicates": 25})
    assert len(made) == 25
    pd.testing.assert_frame_equal(whole.ranks, run(LINE, X_LINE, exact_line, **QUICK | {"replicates": 25}).ranks)
    with pytest.raises(SpecError, match=r"random_seed.*another path"):
        run(LINE, X_LINE, exact, path=path, **QUICK, random_seed=2)


def test_what_fails_is_counted_and_nothing_but_failures_is_raised():
    def some(net, X, y, random_seed):
        if random_seed % 3 == 0:
            raise ValueError("no luck")
        return exact_line(net, X, y, random_seed)

    found = run(LINE, X_LINE, some, **QUICK)
    assert len(found.failed) + len(found.ranks) == 20
    assert 0 < len(found.failed) < 20
    assert "ValueError: no luck" in found.message

    def none(net, X, y, random_seed):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(LINE, X_LINE, none, **QUICK)


def test_a_quantity_of_ones_own_is_ranked_and_held_to_its_shape():
    def slope(params, X, y):
        return params["W1"][..., 0, 0]

    found = run(LINE, X_LINE, exact_line, replicates=20, quantities=(slope, "canonical"))
    assert list(found.ranks) == ["slope", "canonical W1[1, 1]", "canonical b1[1]"]
    assert_allclose(found.ranks["slope"], found.ranks["canonical W1[1, 1]"], atol=1 / 30)
    with pytest.raises(SpecError, match=r"quantity <lambda>, which returns shape \(1, 1, 1, 1\)"):
        run(LINE, X_LINE, exact_line, quantities=lambda params, X, y: params["W1"])


@pytest.mark.parametrize(
    ("net", "changes", "error", "words"),
    [
        ("line", {}, SpecError, "must be a bnn.MLP"),
        (bnn.MLP((), noise=1.0, prior=bnn.Flat()), {}, ImproperPriorError, "flat prior"),
        (LINE, {"replicates": 19}, SpecError, "from 20 on"),
        (LINE, {"prob": 1.0}, SpecError, "between 0 and 1"),
        (LINE, {"path": "x", "random_seed": None}, SpecError, "Add random_seed=1"),
        (LINE, {"quantities": ("weights",)}, UnknownNameError, "known are 'function'"),
        (LINE, {"quantities": ("noise",)}, SpecError, "learns none"),
        (LINE, {"quantities": ()}, SpecError, "no quantities"),
        (LINE, {"posterior": 3}, SpecError, "posterior=3"),
        (LINE, {"posterior": exact_line, "draws": 50}, SpecError, "draws beside posterior="),
        (LINE, {"drawz": 50}, UnknownNameError, "Did you mean 'draws'"),
        (LINE, {"draws": 0}, SpecError, "draws=0"),
        (LINE, {"grid": [[0.0, 1.0]]}, DataError, "the network has 1 features"),
        (LINE, {"sampler": "gibbs"}, UnknownNameError, "sampler 'gibbs'"),
        (LINE, {"executor": 2}, SpecError, "ProcessPoolExecutor"),
        (bnn.MLP((), loss="cross_entropy"), {}, SpecError, "number of classes"),
        (bnn.MLP((), loss="poisson"), {"outputs": 2}, SpecError, "one target"),
        (bnn.MLP((), loss="ordinal", prior=bnn.Normal(50.0)), {"outputs": 6}, DataError, "all 6 classes"),
    ],
)
def test_what_can_not_be_calibrated_is_refused_at_once(net, changes, error, words):
    options = {"replicates": 20, "random_seed": 1, "progressbar": False} | changes
    with pytest.raises(error, match=words):
        calibrate(net, X_LINE, **options)
