"""Many rows: how often inputs are held in memory, and what is said or refused before a fit that would take too much."""

import tracemalloc
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayesnn as bnn
from bayesnn.data.columns import LARGE, columns_under, is_large, mean_sd
from bayesnn.errors import DataError, SpecError
from bayesnn.fitting import expense
from bayesnn.fitting.existence import evidence_of
from bayesnn.fitting.idle import idle_cores
from bayesnn.tree import prepare, problem_of

N, P = 200_000, 9
NET = bnn.MLP((1,), noise=0.5)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    X = rng.normal(2.0, 3.0, size=(N, P))
    return X, np.sin(X[:, 0]) + 0.3 * rng.normal(size=N)


def given(X, kind, folder):
    """The same inputs in another container."""
    if kind == "memmap":
        X.tofile(folder / "X")
        return np.memmap(folder / "X", dtype=float, mode="r", shape=X.shape)
    if kind == "frame":
        import pandas as pd

        return pd.DataFrame(X, columns=[f"x{j + 1}" for j in range(P)])
    return X.astype(kind)


def short(fit, *args, **settings):
    """A fit that ends before it has converged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bnn.ConvergenceWarning)
        return fit(*args, random_seed=1, progressbar=False, **settings)


@pytest.mark.parametrize("kind", ["float64", "float32", "memmap", "frame"])
def test_inputs_are_held_once_as_given_and_once_as_the_density_needs_them(kind, rows, tmp_path):
    X, y = rows
    theirs = given(X, kind, tmp_path)
    fit = lambda X, y: short(bnn.fit_map, NET, X, y, restarts=1, maxiter=1, scaling="standard")  # noqa: E731
    fit(X[:50], y[:50])
    before = np.array(theirs)
    tracemalloc.start()
    try:
        tree = fit(theirs, y)
        peak = tracemalloc.get_traced_memory()[1]
        inputs = problem_of(tree).X
        # A copy more would show.
        copy = inputs.copy()
        with_copy = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Beside the inputs and their column of ones there are five vectors as long as the targets.
    assert peak < 1.9 * copy.nbytes < with_copy
    assert columns_under(inputs) is not None
    assert_allclose(inputs, (X - X.mean(axis=0)) / X.std(axis=0), atol=1e-5 if kind == "float32" else 1e-12)
    np.testing.assert_array_equal(np.array(theirs), before)


def test_what_is_wrong_with_large_inputs_is_named_as_with_small_ones(rows):
    X, y = rows
    assert is_large(X)
    assert not is_large(X[: LARGE // P - 1])
    wrong = X.astype(np.float32)
    wrong[100_123, 4] = np.nan
    with pytest.raises(DataError, match="missing value in X at row 100123, column 4"):
        prepare(NET, wrong, y)
    wrong[100_123, 4] = np.inf
    with pytest.raises(DataError, match="infinite value in X at row 100123"):
        prepare(NET, wrong, y)
    wrong[:, 4] = 0.5
    with pytest.raises(DataError, match=r"constant feature columns '4'"):
        prepare(NET, wrong, y)
    with pytest.raises(DataError, match="200000 rows and y with 199999"):
        prepare(NET, X, y[1:])


def test_means_and_deviations_of_many_rows(rows):
    mean, sd = mean_sd(rows[0])
    assert_allclose(mean, rows[0].mean(axis=0), rtol=1e-14)
    assert_allclose(sd, rows[0].std(axis=0), rtol=1e-12)
    few = rows[0][:999]
    np.testing.assert_array_equal(mean_sd(few), (few.mean(axis=0), few.std(axis=0)))


def test_log_likelihoods_of_many_rows_are_those_of_some_at_a_time(rows):
    X, y = rows
    problem = prepare(NET, X, y)
    rng = np.random.default_rng(2)
    params = {name: rng.normal(size=(7, *shape)) for name, shape in problem.shapes.items()}
    each = problem.net.log_likelihood(params, X, y)
    part = slice(60_000, 60_100)
    assert_allclose(each[:, part], NET.loss.logp(y[part], NET.forward(params, X[part]), noise=0.5), rtol=1e-12)
    assert each.shape == (7, N)
    assert_allclose(problem.log_likelihood(params), each.sum(axis=-1), rtol=1e-12)


def test_margins_of_many_rows(rows):
    X = rows[0]
    y = (X @ np.arange(1.0, P + 1) > 60.0).astype(int)
    net = bnn.MLP((), loss="binary_cross_entropy").flat
    params = {"W1": np.arange(1.0, P + 1)[:, None], "b1": np.array([-60.0])}
    found = evidence_of(prepare(net, X, y), params)
    assert found.exists is False
    assert found.numbers["smallest_margin"] == pytest.approx(np.abs(X @ params["W1"][:, 0] - 60.0).min(), rel=1e-9)
    y[70_000] = 1 - y[70_000]
    assert evidence_of(prepare(net, X, y), params).exists is None


def separable(loss, n, noise):
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 2))
    f = X[:, 0] - X[:, 1] + noise * rng.normal(size=n)
    return X, (f > 0).astype(int) if loss == "binary_cross_entropy" else np.digitize(f, (-0.5, 0.5))


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "cross_entropy", "ordinal"])
def test_existence_is_decided_for_many_rows(loss):
    # Dense, the linear programme of all rows would take gigabytes.
    net = bnn.MLP((), loss=loss)
    assert bnn.mle_exists(net, *separable(loss, 200_000, 0.3)).exists is True
    separated = bnn.mle_exists(net, *separable(loss, 6_000, 0.0))
    assert separated.exists is False
    assert "completely separated" in separated.reason


def test_an_exact_fit_of_many_rows_is_found():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(LARGE // 2 + 1, 2))
    y = X @ [1.0, -2.0] + 3.0
    line = bnn.MLP(())
    assert bnn.mle_exists(line, X, y).exists is False
    y[123_456] += 1e-3
    found = bnn.mle_exists(line, X, y)
    assert found.exists is True
    assert found.numbers["largest_residual"] == pytest.approx(1e-3, rel=1e-3)


def test_a_log_likelihood_that_does_not_fit_into_memory_is_refused_before_the_fit(rows, monkeypatch):
    monkeypatch.setattr(expense, "available_memory", lambda: 8.0 * N * 10)
    for fit in (bnn.fit_posterior, bnn.fit_laplace):
        with pytest.raises(SpecError, match=r"log_likelihood=True with 4,000 draws of 200,000 rows.*at most 10 draws"):
            fit(NET, *rows, draws=1000, chains=4, log_likelihood=True, progressbar=False)
    problem = prepare(NET, *rows)
    expense.check_memory(problem, 10, log_likelihood=True)
    expense.check_memory(problem, 4000, log_likelihood=False)
    monkeypatch.undo()
    assert expense.available_memory() > 1e6


def test_what_will_take_hours_is_said_before_it_begins(monkeypatch, capsys):
    X, y = [-2.0, -1.0, 0.0, 1.0, 2.0], [-1.1, -0.7, 0.1, 0.8, 1.0]

    def say():
        options = {"random_seed": 1, "collapse": False}
        for settings in ({"chains": 4, "cores": 2}, {"sampler": "tempering", "chains": 2, "rounds": 1}):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", bnn.ConvergenceWarning)
                bnn.fit_posterior(NET, X, y, draws=8, tune=8, progressbar=True, **settings, **options)
        return " ".join(capsys.readouterr().err.split())

    assert "over 5 rows" not in say()
    monkeypatch.setattr(expense, "seconds_of_gradient", lambda density, points: 120.0)
    monkeypatch.setattr("bayesnn.fitting.tempered.seconds_of_gradient", lambda density, points: 120.0)
    said = say()
    # 4 chains of 16 draws of 60 gradients, two at a time: 230,400 s.
    assert "A gradient over 5 rows takes 2 min: 4 chains of 16 draws" in said
    assert "take about 3 days" in said
    assert "bnn.fit_laplace" in said
    assert "Over 5 rows tempering takes" in said


def test_the_expected_time_of_a_search_is_said(monkeypatch, capsys):
    monkeypatch.setattr(expense, "seconds_of_gradient", lambda density, points: 120.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bnn.ConvergenceWarning)
        bnn.fit_map(NET, [-1.0, 0.0, 1.0], [0.1, 0.3, 0.2], restarts=2, random_seed=1)
    said = " ".join(capsys.readouterr().err.split())
    assert "A gradient over 3 rows takes 2 min: 2 starts may take" in said


def test_a_gradient_is_timed():
    calls = []
    assert 0.0 < expense.seconds_of_gradient(lambda x: calls.append(x), np.zeros((3, 2))) < 0.1
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.0123, "0.012 s"), (40.2, "40 s"), (150.0, "2 min"), (33_000.0, "9 h"), (1e6, "12 days")]
)
def test_durations(seconds, words):
    assert expense.duration(seconds) == words


def test_only_idle_cores_get_threads(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for running, cores in ((1, 8), (3, 6), (8, 1), (40, 1), (0, 8)):
        monkeypatch.setattr("bayesnn.fitting.idle._running", lambda running=running: running)
        assert idle_cores() == cores
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr("bayesnn.fitting.idle._running", lambda: 1)
    assert idle_cores() == 2
