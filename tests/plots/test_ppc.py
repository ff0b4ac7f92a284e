"""Predictive checks and partial dependence: what is drawn is what SciPy and scikit-learn say."""

import numpy as np
import pytensor.tensor as pt
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import partial_dependence

import bayesnn as bnn
from bayesnn.errors import SpecError
from bayesnn.losses import LOSSES
from tests.conftest import X5, Y5, tree_of
from tests.test_own import Exponential

RNG = np.random.default_rng(2)
X = RNG.normal(size=(60, 2))
LINE = {"W1": [[1.5], [-0.5]], "b1": [0.3]}


def fit_of(loss, y, *, draws=1, spread=0.0, X=X, noise=None, **params):
    """A made-up fit: one weight vector, or draws about it."""
    net = bnn.MLP((), loss=loss, noise=noise)
    params = {k: np.asarray(v, dtype=float) for k, v in (LINE | params).items()}
    params = {k: v + spread * RNG.normal(size=(2, draws, *v.shape)) for k, v in params.items()}
    if draws == 1:
        params = {k: v[:1] for k, v in params.items()}
    return tree_of(net, X, y, params, kind="map" if draws == 1 else "posterior")


def linear(X=X):
    return X @ np.array([1.5, -0.5]) + 0.3


NUMBERS = linear() + 0.4 * RNG.normal(size=60)
LABELS = (RNG.random(60) < 1 / (1 + np.exp(-linear()))).astype(int)
COUNTS = RNG.poisson(np.exp(0.3 * linear()))


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


# PIT


@pytest.mark.parametrize("noise", [0.4, 0.1])
def test_the_pit_of_a_point_is_the_normal_distribution_function(noise):
    fit = fit_of("squared_error", NUMBERS, noise=noise)
    picture = bnn.plot_ppc(fit)
    x, excess = lines(picture[0])["PIT"].get_data()
    pit = stats.norm.cdf(NUMBERS, linear(), noise)
    assert_allclose(excess, stats.ecdf(pit).cdf.evaluate(x) - x, atol=1e-12)
    words = "within the band" if noise == 0.4 else "predictions too narrow"
    assert [t.get_text() for t in picture[0].texts if t.get_text()] == [words]
    assert ("leaves the 90% band" in picture.alt_text) == (noise == 0.1)
    distance = stats.kstest(pit, "uniform").statistic
    assert float(picture.alt_text.split("at most ")[1].split()[0]) == pytest.approx(distance, abs=0.03)


def test_the_pit_of_a_posterior_is_that_of_its_mixture_on_the_rows_that_are_asked_for():
    data = bnn.load_data("sine_gap", random_seed=1)
    net, params = bnn.MLP((), noise=0.3), {"W1": RNG.normal(size=(2, 30, 1, 1)), "b1": RNG.normal(size=(2, 30, 1))}
    post = tree_of(net, data.X, data.y, params)
    for rows, inputs, y in ((None, data.X_test, data.y_test), ("train", data.X, data.y)):
        picture = bnn.plot_ppc(post, data=data, rows=rows)
        f = params["W1"].reshape(-1, 1) * np.ravel(inputs) + params["b1"].reshape(-1, 1)
        pit = stats.norm.cdf(y, f, 0.3).mean(axis=0)
        x, excess = lines(picture[0])["PIT"].get_data()
        assert_allclose(excess, stats.ecdf(pit).cdf.evaluate(x) - x, atol=1e-12)
        assert f"PIT of {len(y)} {'training' if rows else 'held-out'} rows" in picture.alt_text


def test_the_pit_stays_in_its_band_as_often_as_it_says():
    net, inside = bnn.MLP((), noise=1.0), 0
    params = {"W1": np.zeros((1, 1, 1, 1)), "b1": np.zeros((1, 1, 1))}
    for y in np.random.default_rng(5).normal(size=(100, 30)):
        picture = bnn.plot_ppc(tree_of(net, np.arange(30.0), y, params, kind="map"), prob=0.5)
        inside += "stays in the 50% band" in picture.alt_text
        picture.figure.clear()
    assert stats.binomtest(inside, 100, 0.5).pvalue > 1e-3


# Bars


def test_bars_of_labels_are_the_binomial_distribution():
    fit = fit_of("binary_cross_entropy", LABELS, W1=[[0.0], [0.0]], b1=[0.4])
    picture = bnn.plot_ppc(fit, draws=4000, random_seed=1)
    (ax,) = picture
    observed, expected = ax.containers
    assert [bar.get_height() for bar in observed] == list(np.bincount(LABELS))
    p = 1 / (1 + np.exp(-0.4))
    mean = expected.lines[0].get_ydata()
    assert_allclose(mean, [60 * (1 - p), 60 * p], atol=4 * np.sqrt(60 * p * (1 - p) / 4000))
    (bars,) = expected.lines[2]
    low, high = np.array([segment[:, 1] for segment in bars.get_segments()])[1]
    assert_allclose([low, high], stats.binom.interval(0.9, 60, p), atol=1)
    assert f"{LABELS.sum()} observed" in picture.alt_text or f"{60 - LABELS.sum()} observed" in picture.alt_text


def test_bars_of_counts_are_the_poisson_distribution():
    fit = fit_of("poisson", COUNTS, W1=[[0.0], [0.0]], b1=[0.2])
    (ax,) = bnn.plot_ppc(fit, draws=4000, random_seed=1)
    observed, expected = ax.containers
    assert [bar.get_height() for bar in observed][: COUNTS.max() + 1] == list(np.bincount(COUNTS))
    assert sum(bar.get_height() for bar in observed) == 60
    mean = expected.lines[0].get_ydata()
    pmf = stats.poisson.pmf(np.arange(len(mean) - 1), np.exp(0.2))
    assert_allclose(mean[:-1], 60 * pmf, atol=4 * np.sqrt(60 * pmf.max() / 4000))
    wrong = fit_of("poisson", COUNTS, W1=[[0.0], [0.0]], b1=[2.0])
    assert "has 0 of" not in bnn.plot_ppc(wrong, draws=500, random_seed=1).alt_text, "it fires on a wrong mean"


def test_large_counts_share_bars_and_every_row_is_in_one():
    y = RNG.poisson(300, 60)
    (ax,) = bnn.plot_ppc(fit_of("poisson", y, W1=[[0.0], [0.0]], b1=[np.log(300)]), random_seed=1)
    heights = [bar.get_height() for bar in ax.containers[0]]
    assert len(heights) <= 25
    assert sum(heights) == 60


# Ordered


def test_ordered_targets_lie_among_the_order_statistics():
    net, y = bnn.MLP((), noise=1.0), np.sort(RNG.normal(size=41))
    fit = tree_of(net, np.arange(41.0), y, {"W1": np.zeros((1, 1, 1, 1)), "b1": np.zeros((1, 1, 1))}, kind="map")
    (ax,) = bnn.plot_ppc(fit, kind="ordered", draws=3000, random_seed=1)
    assert_allclose(lines(ax)["observed"].get_ydata(), y)
    rank = np.arange(1, 42)
    middle = stats.norm.ppf(stats.beta.ppf(0.5, rank, 42 - rank))
    assert_allclose(lines(ax)["expected"].get_ydata(), middle, atol=0.08)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"kind": "bars"}, "'pit' or 'ordered'"), ({"prob": 1}, "between 0 and 1"), ({"draws": 0}, "positive integer")],
)
def test_a_check_that_does_not_suit_is_refused(options, words):
    with pytest.raises(SpecError, match=words):
        bnn.plot_ppc(fit_of("squared_error", NUMBERS, noise=0.4), **options)


def test_several_targets_have_a_curve_each():
    Y = np.column_stack([Y5, X5])
    params = {"W1": np.ones((1, 1, 1, 2)), "b1": np.zeros((1, 1, 2))}
    fit = tree_of(bnn.MLP((), noise=0.3), X5, Y, params, kind="map")
    assert [k for k in lines(bnn.plot_ppc(fit)[0]) if k.startswith("PIT")] == ["PIT of target_0", "PIT of target_1"]
    with pytest.raises(SpecError, match="2 targets; it takes one"):
        bnn.plot_ppc(fit, kind="ordered")


# Every loss, right and wrong

OWN = {
    "logcosh": bnn.losses.ResidualLoss("logcosh", lambda u: pt.log(pt.cosh(u))),
    "cauchy": bnn.losses.ResidualLoss("cauchy", lambda u: pt.log1p(u**2)),
    "exponential": Exponential(),
}


def constant(loss, y, b=0.0, **params):
    """A point whose outputs do not depend on the input."""
    net = bnn.MLP((), loss=loss, noise=params.pop("noise", None))
    shapes = net.shapes(1, net.loss.n_outputs(y))
    params = {k: np.full(s, b if k == "b1" else 0.0) for k, s in shapes.items()} | params
    params = {k: np.asarray(v)[None, None] for k, v in params.items()}
    return tree_of(net, np.arange(float(len(y)))[:, None], y, params, kind="mle")


@pytest.mark.parametrize("name", [*LOSSES, *OWN])
def test_every_loss_has_its_picture_and_data_that_are_right_are_not_flagged(name):
    loss, n, rng = (LOSSES | OWN)[name], 150, np.random.default_rng(11)
    args = {"noise": 0.7} if loss.has_noise else {}
    args |= {"cutpoints": np.array([-1.0, 1.0])} if loss.task == "ordinal" else {}
    f = np.zeros((n, 3 if loss.task == "classes" else 2 if loss.scale_is_output else 1))
    known = {"trials": np.full(n, 8.0)} if name == "binomial" else {}
    y = rng.exponential(size=n) if name == "exponential" else loss.sample(f, rng, **args, **known)
    y = bnn.target(y, **known) if known else y
    picture = bnn.plot_ppc(constant(loss, y, **args), random_seed=1, prob=0.99)
    if loss.task == "regression":
        assert f"PIT of {n} rows of the fit against uniform numbers. MLE stays in the 99% band" in picture.alt_text
    else:
        assert "MLE has 0 of " in picture.alt_text
        assert picture[0].get_xlabel() == ("target" if loss.task == "count" else "class")
        assert sum(bar.get_height() for bar in picture[0].containers[0]) == n


def test_a_misfit_shows_in_the_numbers_of_the_picture():
    heavy = stats.t.rvs(2.0, size=300, random_state=1)
    assert (
        "leaves the 90% band: predictions too wide"
        in bnn.plot_ppc(constant("squared_error", heavy, noise=heavy.std())).alt_text
    )
    spread = stats.nbinom.rvs(1, 1 / 4, size=300, random_state=1)
    said = bnn.plot_ppc(constant("poisson", spread, np.log(spread.mean())), random_seed=1).alt_text
    assert int(said.split("MLE has ")[1].split()[0]) > 4
    assert f"farthest off is 0: {np.sum(spread == 0)} observed" in said


# Partial dependence


class Fitted(RegressorMixin, BaseEstimator):
    """A fit, as scikit-learn sees it."""

    def __init__(self, fit=None, value="mean"):
        self.fit_, self.value = fit, value

    def fit(self, X, y):
        return self

    def predict(self, X):
        return bnn.predict(self.fit_, X, prob=None)[self.value].to_numpy()[:, -1]

    def __sklearn_is_fitted__(self):
        return True


@pytest.mark.parametrize(("loss", "y", "value"), [("squared_error", NUMBERS, "mean"), ("poisson", COUNTS, "mean"),
                                                  ("binary_cross_entropy", LABELS, "probability")])  # fmt: skip
def test_averages_and_curves_are_those_of_scikit_learn(loss, y, value):
    fit = fit_of(loss, y, noise=0.4 if loss == "squared_error" else None)
    picture = bnn.plot_partial_dependence(fit, kind="both", curves=60, grid_resolution=12)
    for j, ax in enumerate(picture):
        grid, mean = lines(ax)["MAP"].get_data()
        assert len(grid) == 12
        assert_allclose(grid[[0, -1]], np.quantile(X[:, j], [0.05, 0.95]))
        own = partial_dependence(
            Fitted(fit, value), X, [j], kind="both", method="brute", custom_values={j: np.array(grid)}
        )
        assert_allclose(mean, own["average"][0], rtol=1e-10)
        single = [line.get_ydata() for line in ax.get_lines() if line.get_linewidth() == 0.7]
        assert_allclose(single, own["individual"][0], rtol=1e-10)
    assert picture[0].get_ylabel() == ("p(1)" if value == "probability" else "mean of target")


def test_the_band_holds_the_averages_of_the_draws_in_the_users_units():
    net, far = bnn.MLP((), noise=0.4), 100 + 10 * X
    params = {"W1": RNG.normal(size=(2, 30, 2, 1)), "b1": RNG.normal(size=(2, 30, 1))}
    post = tree_of(net, far, 5 + 3 * NUMBERS, params, scaling="standard")
    (ax,) = bnn.plot_partial_dependence(post, features="x2", prob=0.8, percentiles=(0, 1))
    grid, mean = lines(ax)["posterior"].get_data()
    # Of a line the other inputs are at their means, which are zero in scaled units.
    z = (grid - far[:, 1].mean()) / far[:, 1].std()
    f = params["W1"][..., 1, :].reshape(-1, 1) * z + params["b1"].reshape(-1, 1)
    f = (5 + 3 * NUMBERS).mean() + (3 * NUMBERS).std() * f
    assert_allclose(mean, f.mean(axis=0), rtol=1e-9)
    corners = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert_allclose([corners.min(), corners.max()],
                    [np.quantile(f, 0.1, axis=0).min(), np.quantile(f, 0.9, axis=0).max()])  # fmt: skip


def test_an_input_of_few_values_is_shown_at_these():
    few = np.column_stack([X[:, 0], np.arange(60) % 3])
    _, ax = bnn.plot_partial_dependence(fit_of("squared_error", NUMBERS, X=few, noise=0.4))
    assert list(lines(ax)["MAP"].get_xdata()) == [0, 1, 2]


def test_few_values_are_dots_with_bars_and_the_share_of_the_rows():
    few = np.column_stack([X[:, 0], np.arange(60) % 3 == 0])
    params = {"W1": RNG.normal(size=(2, 30, 2, 1)), "b1": np.zeros((2, 30, 1))}
    post = tree_of(bnn.MLP((), noise=0.4), few, NUMBERS, params)
    (ax,) = bnn.plot_partial_dependence(post, features=2, prob=0.8)
    dots = lines(ax)["posterior"]
    assert dots.get_linestyle() == "None"
    assert dots.get_marker() == "o"
    f = params["W1"].reshape(60, 2)
    (bars,) = ax.collections
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    own = [np.quantile(f @ [few[:, 0].mean(), v], [0.1, 0.9]) for v in (0, 1)]
    assert_allclose(ends, own, rtol=1e-9)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0\n(67%)", "1\n(33%)"]


def test_a_pair_is_a_surface_for_each_fit_with_how_well_it_is_known():
    params = {"W1": np.array([1.5, -0.5])[:, None] + 0.1 * RNG.normal(size=(2, 30, 2, 1)), "b1": np.zeros((2, 30, 1))}
    post = tree_of(bnn.MLP((), noise=0.4), X, NUMBERS, params)
    point = fit_of("squared_error", NUMBERS, noise=0.4, b1=[0.0])
    picture = bnn.plot_partial_dependence(point, post, features=[(1, 2)], grid_resolution=24)
    assert [ax.get_title() for ax in picture] == ["MAP", "posterior"]
    assert [ax.get_ylabel() for ax in picture] == ["x2", "x2"]
    assert [len(ax.collections) for ax in picture] == [1, 2], "a band has its width, a point has none"
    filled = picture[0].collections[0].get_array()
    u, v = (np.quantile(X[:, j], [0.05, 0.95]) for j in (0, 1))
    assert filled.min() <= 1.5 * u[0] - 0.5 * v[1]
    assert filled.max() >= 1.5 * u[1] - 0.5 * v[0] - (filled[1] - filled[0])
    reach = float(1.5 * np.ptp(u) + 0.5 * np.ptp(v))
    assert float(picture.alt_text.split("MAP: ")[1].split()[0]) == pytest.approx(reach, rel=0.01)


def test_a_pair_with_few_values_has_a_line_for_each():
    few = np.column_stack([X[:, 0], np.arange(60) % 2])
    (ax,) = bnn.plot_partial_dependence(fit_of("squared_error", NUMBERS, X=few, noise=0.4), features=[(2, 1)])
    assert ax.get_xlabel() == "x1"
    zero, one = (lines(ax)[f"x2 = {v}"].get_ydata() for v in (0, 1))
    assert_allclose(one - zero, -0.5)


def test_several_classes_have_panels_and_single_rows_bands():
    y = np.arange(60) % 3
    params = {"W1": RNG.normal(size=(2, 30, 2, 3)), "b1": np.zeros((2, 30, 3))}
    post = tree_of(bnn.MLP((), loss="cross_entropy"), X, y, params)
    picture = bnn.plot_partial_dependence(post, target=[1, 2, 3], features=[1, 2], kind="individual", curves=2)
    assert len(picture) == 6
    assert [ax.get_ylabel() for ax in picture] == ["p(0)", "", "p(1)", "", "p(2)", ""]
    assert [len(ax.collections) for ax in picture] == [2] * 6
    for k in (0, 1):
        heights = [np.array([line.get_ydata() for line in ax.get_lines()[:2]]) for ax in picture[k::2]]
        assert_allclose(sum(heights), 1, rtol=1e-12)


def test_centred_curves_of_a_line_lie_on_each_other():
    ax = bnn.plot_partial_dependence(fit_of("squared_error", NUMBERS, noise=0.4), kind="both", centred=True)[0]
    curves = np.array([line.get_ydata() for line in ax.get_lines() if line.get_linewidth() == 0.7])
    assert len(curves) == 20
    assert_allclose(curves - curves[0], 0, atol=1e-12)
    assert ax.get_ylabel() == "change of mean of target"


def test_two_fits_of_a_kind_are_told_apart():
    fit = fit_of("squared_error", NUMBERS, noise=0.4)
    ax = bnn.plot_partial_dependence(one=fit, two=fit, features=1)[0]
    assert lines(ax)["one"].get_linestyle() != lines(ax)["two"].get_linestyle()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"features": 3}, "there are x1, x2"),
        ({"features": []}, "Give some"),
        ({"features": [(1, 2, 3)]}, "there are x1, x2"),
        ({"features": [(1, 1)]}, "a pair of two"),
        ({"target": []}, "there are target"),
        ({"centred": 1}, "True or False"),
        ({"target": "z"}, "there are target"),
        ({"kind": "mean"}, "'average', 'individual' or 'both'"),
        ({"percentiles": (0.9, 0.1)}, "must rise"),
        ({"grid_resolution": 1}, "2 or more"),
        ({"prob": 0}, "between 0 and 1"),
    ],
)
def test_what_there_is_not_is_refused(options, words):
    with pytest.raises(SpecError, match=words):
        bnn.plot_partial_dependence(fit_of("squared_error", NUMBERS, noise=0.4), **options)


def test_a_fit_without_inputs_depends_on_none():
    net = bnn.MLP((), noise=0.3)
    fit = tree_of(net, np.zeros((5, 0)), Y5, {"W1": np.zeros((1, 1, 0, 1)), "b1": np.zeros((1, 1, 1))}, kind="map")
    with pytest.raises(SpecError, match="without inputs"):
        bnn.plot_partial_dependence(fit)
