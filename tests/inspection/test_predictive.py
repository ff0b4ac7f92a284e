"""Predictive checks as numbers: p-values of SciPy's distributions, and misfits that were planted."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import bayesnn as bnn
from bayesnn.errors import SpecError
from bayesnn.losses import LOSSES
from tests.conftest import X5, tree_of
from tests.test_own import Exponential

RNG = np.random.default_rng(8)
N = 200
X = RNG.normal(size=(N, 1))


def constant(loss, y, *, noise=None, at=0.0, draws=1, spread=0.0, **params):
    """A fit whose outputs do not depend on the input."""
    net = bnn.MLP((), loss=loss, noise=noise)
    m = net.loss.n_outputs(y)
    shapes = net.shapes(1, m)
    params = {k: np.zeros((1, draws, *s)) for k, s in shapes.items()} | {
        k: np.broadcast_to(v, (1, draws, *np.shape(v))) for k, v in params.items()
    }
    if "b1" in params:
        params["b1"] = params["b1"] + np.asarray(at) + spread * RNG.normal(size=(1, draws, m))
    return tree_of(net, X, y, params, kind="map" if draws == 1 else "posterior")


def check(fit, **options):
    return bnn.posterior_predictive_check(fit, random_seed=1, **options)


def test_p_values_are_those_of_the_distributions_of_scipy():
    y = RNG.normal(0.1, 1.1, N)
    table = check(constant("squared_error", y, noise=1.0), draws=4000).table
    exact = {
        "mean": stats.norm.sf(y.mean(), 0, 1 / np.sqrt(N)),
        "max": 1 - stats.norm.cdf(y.max()) ** N,
        "min": stats.norm.sf(y.min()) ** N,
    }
    for name, p in exact.items():
        assert table.loc[name, "p"] == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 4000) + 1e-3)
    assert table.loc["mean", "observed"] == pytest.approx(y.mean())
    assert table.loc["residual kurtosis", "observed"] == pytest.approx(stats.kurtosis(y, fisher=False))
    assert table.loc["residual skewness", "observed"] == pytest.approx(stats.skew(y))
    assert_allclose(table.loc["residual kurtosis", "expected"], 3 * (N - 1) / (N + 1), rtol=0.01)


def test_a_gaussian_fitted_to_heavy_tails_is_flagged_and_a_student_t_is_not():
    y = stats.t.rvs(2.5, size=N, random_state=3)
    wrong = check(constant("squared_error", y, noise=float(y.std())))
    assert "residual kurtosis" in wrong.flagged
    assert "heavier tails" in wrong.message
    assert wrong.table.loc["residual kurtosis", "observed"] > 2 * wrong.table.loc["residual kurtosis", "upper"]
    assert check(constant(bnn.losses.StudentT(2.5), y, noise=1.0)).passed


def test_a_poisson_fitted_to_overdispersed_counts_is_flagged_and_one_that_is_right_is_not():
    y = stats.nbinom.rvs(2, 2 / (2 + 3.0), size=N, random_state=3)
    wrong = check(constant("poisson", y, at=np.log(y.mean()), draws=20, spread=0.02))
    assert {"dispersion", "zeros"} <= set(wrong.flagged)
    assert "overdispersed" in wrong.message
    assert "with more zeros" in wrong.message
    assert wrong.table.loc["dispersion", "observed"] == pytest.approx(y.var() / y.mean(), rel=0.05)
    assert wrong.table.loc["zeros", "observed"] == (y == 0).mean()
    assert check(constant("negative_binomial", y, at=np.log(y.mean()), noise=np.sqrt(0.5))).passed
    right = stats.poisson.rvs(3.0, size=N, random_state=3)
    assert check(constant("poisson", right, at=np.log(right.mean()))).passed


def test_labels_are_checked_by_shares_and_by_how_sure_the_fit_is():
    y = (np.arange(N) < 60).astype(int)
    good = check(constant("binary_cross_entropy", y, at=np.log(0.3 / 0.7)))
    assert good.passed
    assert good.table.loc["share of 1", "observed"] == pytest.approx(0.3)
    assert good.table.loc["log score", "observed"] == pytest.approx(0.3 * np.log(0.3) + 0.7 * np.log(0.7))
    assert check(constant("binary_cross_entropy", y, at=0.5)).flagged[0] == "share of 1"
    # Far too sure, with the right share: labels that do not depend on the input, given by its sign.
    net, split = bnn.MLP((), loss="binary_cross_entropy"), (X[:, 0] > np.median(X[:, 0])).astype(int)
    params = {"W1": np.full((1, 1, 1, 1), 20.0), "b1": np.full((1, 1, 1), -20.0 * np.median(X[:, 0]))}
    sure = check(tree_of(net, X, RNG.permutation(split), params, kind="mle"))
    assert sure.flagged == ("log score",)
    assert "too sure" in sure.message


def test_counts_are_compared_with_those_of_as_long_an_exposure():
    exposure = np.random.default_rng(2).uniform(0.5, 20, N)
    y = stats.poisson.rvs(exposure, random_state=3)
    found = check(constant("poisson", bnn.target(y, exposure=exposure)), statistics={"largest": np.max})
    assert found.passed, found.message
    assert found.table.loc["dispersion", "observed"] == pytest.approx(np.mean((y - exposure) ** 2 / exposure))
    assert found.table.loc["largest", "observed"] == y.max()
    assert "dispersion" in check(constant("poisson", y, at=np.log(y.mean()))).flagged, "without it they vary too much"


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_checked_and_one_that_is_right_passes(name):
    loss = LOSSES[name]
    task = loss.task
    f = np.zeros((N, 3 if task == "classes" else 2 if loss.scale_is_output else 1))
    args = ({"noise": 0.7} if loss.has_noise else {}) | (
        {"cutpoints": np.array([-1.0, 1.0])} if task == "ordinal" else {}
    )
    known = {"trials": np.full(N, 8.0)} if name == "binomial" else {}
    y = loss.sample(f, np.random.default_rng(5), **args, **known)
    y = bnn.target(y, **known) if known else y
    found = check(constant(loss, y, **args), prob=0.99)
    assert found.passed, found.message
    assert found.table.notna().all(axis=None)


def test_several_targets_in_the_users_units():
    Y = np.column_stack([RNG.normal(5, 1, N), 100 * stats.t.rvs(2.2, size=N, random_state=1)])
    net = bnn.MLP((), noise=1.0)
    params = {"W1": np.zeros((1, 1, 1, 2)), "b1": np.zeros((1, 1, 2))}
    fit = tree_of(net, X, Y, params, kind="map", scaling="standard")
    found = check(fit)
    assert found.table.loc["max of target_1", "observed"] == pytest.approx(Y[:, 1].max())
    assert "residual kurtosis of target_1" in found.flagged
    assert not [name for name in found.flagged if name.endswith("target_0")]


def test_held_out_rows_and_statistics_of_ones_own():
    data = bnn.load_data("sine_gap", random_seed=1)
    net = bnn.MLP((), noise=0.3)
    fit = tree_of(net, data.X, data.y, {"W1": np.zeros((1, 1, 1, 1)), "b1": np.zeros((1, 1, 1))}, kind="map")
    found = check(fit, data=data, statistics={"range": np.ptp})
    assert found.table.loc["range", "observed"] == pytest.approx(np.ptp(data.y_test))
    assert f"{len(data.y_test)} held-out rows" in found.message
    assert not found.passed
    assert "range" in repr(found)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"statistics": [np.median]}, "dict from names"),
        ({"statistics": {"all": lambda y: y}}, "gives no number"),
        ({"statistics": {"bad": lambda y: np.nan}}, "must be finite"),
        ({"prob": 0}, "between 0 and 1"),
        ({"rows": "test"}, "without a Dataset"),
    ],
)
def test_what_is_no_check_is_refused(options, words):
    with pytest.raises(SpecError, match=words):
        check(constant("squared_error", RNG.normal(size=N), noise=1.0), **options)


def test_a_loss_that_draws_nothing_is_refused():
    params = {"W1": np.zeros((1, 1, 1, 1)), "b1": np.zeros((1, 1, 1))}
    fit = tree_of(bnn.MLP((), loss=Exponential()), X5, X5**2 + 1, params, kind="map")
    with pytest.raises(SpecError, match="draws no targets"):
        check(fit)
