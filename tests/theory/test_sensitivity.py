"""Prior against likelihood: limits in closed form, ArviZ's numbers, and grids that any executor fills alike."""

import logging
from concurrent.futures import ThreadPoolExecutor

import arviz as az
import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayesnn as bnn
from bayesnn.errors import DataError, FitError, NoMLEError, SpecError
from bayesnn.plots import plot_sensitivity
from bayesnn.theory import map_to_mle, power_sensitivity, prior_grid
from tests.conftest import X5, X_NODE, Y5, Y_NODE

QUIET = {"progressbar": False, "random_seed": 1}
A = np.column_stack([X5, np.ones(5)])


def test_the_map_of_a_node_goes_to_its_mle_as_one_over_n(node):
    found = map_to_mle(node, X_NODE, Y_NODE, copies=[1, 100, 10_000], restarts=3, **QUIET)
    # Of a standard normal prior: minus n times squared standard error times MLE.
    limit = -5 * 0.7872388020**2 * 0.7954240126
    assert found.limit == pytest.approx([limit], abs=1e-8)
    assert found.mle == pytest.approx([0.7954240126], abs=1e-9)
    assert found.map[0] == pytest.approx([0.51609418], abs=1e-8)
    far = np.abs(found.scaled[:, 0] - limit)
    assert far[2] < 1e-3
    assert far[1] / far[2] == pytest.approx(100, rel=0.1), "the next term is of order 1 / n"
    assert f"tends to {-limit:.6g}" in found.message
    assert list(found.table.index) == ["W1[0][0]"]


def test_the_map_of_a_linear_model_is_ridge_regression():
    line = bnn.MLP((), noise=0.3, prior=bnn.Normal(0.5))
    found = map_to_mle(line, X5, Y5, copies=[1, 3, 10], restarts=3, **QUIET)
    best = np.linalg.lstsq(A, Y5)[0]
    ridge = [np.linalg.solve(k * A.T @ A / 0.09 + 4 * np.eye(2), k * A.T @ Y5 / 0.09) for k in (1, 3, 10)]
    assert_allclose(found.map, ridge, atol=1e-9)
    assert_allclose(found.limit, -5 * np.linalg.solve(A.T @ A / 0.09, 4 * best), rtol=1e-6)
    assert_allclose(found.scaled[2], 50 * (ridge[2] - best), atol=1e-7)


def test_the_map_of_a_network_is_the_one_beside_its_mle(two_weights):
    found = map_to_mle(two_weights, X5, Y5, copies=[1, 50, 200], restarts=10, **QUIET)
    assert np.abs(found.mle) == pytest.approx([0.7833996185, 1.1456439237], abs=1e-7)
    assert_allclose(found.map[0], np.sign(found.mle) * [0.75938992, 1.11990633], atol=1e-7)
    # The Hessian by SciPy's differences of the closed form.
    from scipy.optimize import approx_fprime

    def slope(at):
        h = np.tanh(at[0] * X5)
        residual = Y5 - at[1] * h
        return -np.array([residual @ (at[1] * X5 * (1 - h**2)), residual @ h]) / 0.09

    limit = -5 * np.linalg.solve(approx_fprime(found.mle, slope), found.mle)
    assert_allclose(found.limit, limit, rtol=1e-4)
    far = np.linalg.norm(found.scaled - found.limit, axis=1)
    assert far[1] / far[2] == pytest.approx(4, rel=0.1)


def test_a_learned_noise_is_in_its_own_units():
    line = bnn.MLP((), prior=bnn.Normal(1.0), noise=bnn.HalfNormal(0.5))
    found = map_to_mle(line, X5, Y5, copies=[1, 400], restarts=3, **QUIET)
    best = np.linalg.lstsq(A, Y5)[0]
    sigma = np.sqrt(np.mean((Y5 - A @ best) ** 2))
    # Curvature 2 n / sigma^2, slope of the log-prior -sigma / sd^2.
    assert found.limit[-1] == pytest.approx(-(sigma**3) / (2 * 0.25), rel=1e-6)
    assert found.scaled[-1] == pytest.approx(found.limit, rel=0.02)
    assert found.names[-1] == "noise"


def test_what_has_no_point_to_go_to_is_refused(node):
    with pytest.raises(NoMLEError):
        map_to_mle(node, X_NODE, [0, 0, 1, 1, 1], restarts=2, **QUIET)
    valley = bnn.MLP((1,), activation="identity", bias=False, noise=0.3)
    with pytest.raises(FitError, match=r"eigenvalues.*the prior alone decides"):
        map_to_mle(valley, X5, Y5, restarts=3, **QUIET)
    for prior in (bnn.Flat(), bnn.Hierarchical(1.0)):
        with pytest.raises(SpecError, match="prior of fixed scale"):
            map_to_mle(bnn.MLP((), noise=0.3, prior=prior), X5, Y5)
    for kinked in ({"loss": "absolute_error"}, {"hidden": (1,), "activation": "relu"}):
        with pytest.raises(SpecError, match="has kinks"):
            map_to_mle(bnn.MLP(**{"hidden": (), "noise": 0.3, **kinked}), X5, Y5)
    for copies in ([0], [1.5], []):
        with pytest.raises(SpecError, match="copies="):
            map_to_mle(node, X_NODE, Y_NODE, copies=copies)


def line_post(sd, noise, y=Y5, **options):
    line = bnn.MLP((), noise=noise, prior=bnn.Normal(sd))
    return bnn.fit_posterior(line, X5, y, sampler="tempering", **QUIET, **options)


def test_power_scaling_is_arvizs():
    post = line_post(0.3, 0.3, log_likelihood=True, log_prior=True)
    found = power_sensitivity(post, X=[[0.0]])
    tree = az.from_dict(
        {
            "posterior": {"b1": post["posterior"]["b1"].to_numpy()},
            "log_likelihood": {"y": post["log_likelihood"]["y"].to_numpy()},
            "log_prior": {"parameters": post["log_prior"]["parameters"].to_numpy()},
        }
    )
    known = az.psense_summary(tree, round_to=6)
    assert_allclose(found.table[["prior", "likelihood"]].to_numpy(), known[["prior", "likelihood"]].to_numpy())
    assert len(power_sensitivity(post).table) == 5


def test_verdicts_tell_a_strong_prior_from_a_conflict(caplog):
    assert "None of 5 quantities" in power_sensitivity(line_post(3.0, 0.3)).message
    conflict = power_sensitivity(line_post(0.2, 0.3, 5 + 10 * Y5), X=[[0.0], [2.0]])
    assert conflict.message.startswith("2 of 2 quantities depend on the prior and on the likelihood")
    assert set(conflict.table["diagnosis"]) == {"potential prior-data conflict"}
    # ArviZ would tell the same to standard error, where a notebook shows it in red; others may ask for that.
    assert not caplog.records
    assert not logging.getLogger("arviz_stats.psense").disabled
    strong = power_sensitivity(line_post(1.0, 30.0))
    (ax,) = plot_sensitivity(strong)
    drawn = {line.get_label(): line.get_xdata() for line in ax.get_lines()}
    assert (drawn["to the prior"] >= 0.05).all()
    assert (drawn["to the likelihood"] < 0.05).all()
    assert [label.get_text() for label in ax.get_yticklabels()] == list(strong.table.index)
    with pytest.raises(SpecError, match="Got DataFrame; the picture is of what"):
        plot_sensitivity(strong.table)
    assert strong.message.startswith("5 of 5 quantities depend on the prior and hardly on the likelihood")
    with pytest.raises(FitError, match="of one draw"):
        power_sensitivity(bnn.fit_mle(bnn.MLP((), noise=0.3), X5, Y5, restarts=2, **QUIET))


def test_a_learned_noise_is_a_quantity():
    line = bnn.MLP((), noise=bnn.HalfNormal(1.0), prior=bnn.Normal(1.0))
    post = bnn.fit_posterior(line, X5, Y5, draws=200, chains=2, tune=300, target_accept=0.95, **QUIET)
    assert "noise" in power_sensitivity(post).table.index


LINE = bnn.MLP((), noise=0.3, prior=bnn.Normal(1.0))


def grid_of(**options):
    options = {"prior_sds": [0.5], "n_values": [2, 5], "restarts": 2, "draws": 2000, **QUIET, **options}
    return prior_grid(LINE, X5, Y5, **options)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A grid, and the file that it was kept in."""
    path = tmp_path_factory.mktemp("grid") / "grid.jsonl"
    return grid_of(path=path), path


def test_the_grid_is_that_of_ridge_regression(kept):
    found = kept[0]
    for (sd, n), cell in found.cells.items():
        X, y = np.column_stack([found.X[:n], np.ones(n)]), found.y[:n]
        at = np.column_stack([found.x, np.ones_like(found.x)])
        precision = X.T @ X / 0.09 + np.eye(2) / sd**2
        mean = np.linalg.solve(precision, X.T @ y / 0.09)
        assert_allclose(cell["map"], at @ mean, atol=1e-7)
        spread = 1.6448536 * np.sqrt(np.einsum("ij,jk,ik->i", at, np.linalg.inv(precision), at))
        assert_allclose(cell["upper"], at @ mean + spread, atol=0.05)
        assert_allclose(cell["lower"], at @ mean - spread, atol=0.05)
        assert_allclose(found.mle[n]["f"], at @ np.linalg.lstsq(X, y)[0], atol=1e-7)
        distance = np.sqrt(np.mean((np.array(cell["map"]) - found.mle[n]["f"]) ** 2))
        assert found.table.loc[(sd, n), "MAP - MLE"] == pytest.approx(distance)
    assert sorted(found.X) == sorted(X5)
    assert "with 2 rows" in found.message


def test_the_grid_is_the_same_with_any_executor_and_is_resumed(kept):
    here, path = kept
    with ThreadPoolExecutor(2) as pool:
        there = grid_of(executor=pool)
    assert here.cells == there.cells
    assert here.mle == there.mle
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:4]) + "\n")
    assert grid_of(path=path).cells == here.cells
    assert path.read_text().splitlines() == lines
    with pytest.raises(SpecError, match="another path"):
        grid_of(path=path, draws=101)


def test_the_grid_of_two_classes_is_of_probabilities():
    net = bnn.MLP((), loss="binary_cross_entropy", prior=bnn.Normal(1.0))
    options = {"restarts": 2, "draws": 100, "chains": 2, "max_rounds": 1, **QUIET}
    found = prior_grid(net, X_NODE, Y_NODE, prior_sds=[1.0], n_values=[2], **options)
    cell, n = found.cells[1.0, 2], [list(X_NODE).index(at) for at in found.X[:2]]
    map_ = bnn.fit_map(net, X_NODE[n], Y_NODE[n], restarts=2, **QUIET)
    W1, b1 = (map_.posterior[k].to_numpy().item() for k in ("W1", "b1"))
    assert_allclose(cell["map"], 1 / (1 + np.exp(-W1 * found.x - b1)), atol=1e-6)
    assert not found.mle[2]["exists"]
    assert "With 2 rows no MLE was found" in found.message


def test_what_is_no_grid_is_refused_before_it_begins():
    for options, error, words in (
        ({"prior_sds": [0.0]}, SpecError, "prior_sds"),
        ({"prior_sds": []}, SpecError, "prior_sds"),
        ({"n_values": [6]}, DataError, "of 5 rows"),
        ({"n_values": [0]}, DataError, "of 5 rows"),
        ({"n_values": ["five"]}, DataError, "of 5 rows"),
        ({"prob": 1.0}, SpecError, "prob=1"),
        ({"draws": 0}, SpecError, "draws=0"),
        ({"executor": 2}, SpecError, "ProcessPoolExecutor"),
    ):
        with pytest.raises(error, match=words):
            grid_of(**options)
    with pytest.raises(SpecError, match="Normal's sd"):
        prior_grid(bnn.MLP((), noise=0.3, prior=bnn.Laplace(1.0)), X5, Y5)
    with pytest.raises(SpecError, match="Got 2 features"):
        prior_grid(LINE, np.ones((5, 2)) * X5[:, None], Y5, n_values=[5])
