"""Predictions and scores of given draws against sums over the draws, sampling and quadrature."""

import dataclasses
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import integrate, stats
from scipy.special import expit, logsumexp

import bayesnn as bnn
from bayesnn.errors import DataError, SpecError
from bayesnn.losses import (
    AbsoluteError,
    BinaryCrossEntropy,
    CrossEntropy,
    GaussianNLL,
    Huber,
    Ordinal,
    Poisson,
    Quantile,
    SquaredError,
    StudentT,
)
from bayesnn.tree import params_of, prepare
from tests.conftest import X5, Y5, random_params, tree_of

LOCATION = [SquaredError(), AbsoluteError(), Huber(), Huber(0.4), Quantile(0.2), StudentT(), StudentT(2.5)]
NUMBERS = [*LOCATION, GaussianNLL(), Poisson()]
COUNTS = np.array([0, 1, 1, 3, 6])


def name_of(loss):
    return repr(loss)


def drawn(loss, *, y=None, draws=(2, 30), seed=0, scaling=None, hidden=(), **spec):
    """A posterior of a small network with given draws, and those draws."""
    net = bnn.MLP(hidden=hidden, loss=loss, **spec)
    y = {"count": COUNTS, "binary": [0, 1, 0, 1, 1], "classes": [0, 1, 2, 1, 0], "ordinal": [0, 1, 2, 1, 0]}.get(
        net.loss.task, Y5 if y is None else y
    )
    params = random_params(prepare(net, X5, y), draws, seed=seed, scale=0.4)
    return tree_of(net, X5, y, params, scaling=scaling), params


# The distribution functions of the losses


@pytest.mark.parametrize("loss", [*LOCATION, Huber(3.0), Quantile(0.9), StudentT(1.0), GaussianNLL()], ids=name_of)
def test_cdf_is_the_integral_of_the_density(loss):
    f = np.array([[0.4, -0.3]]) if loss.name == "gaussian_nll" else np.array([[0.4]])
    noise = None if loss.name == "gaussian_nll" else 0.7
    scale = np.exp(-0.3) if noise is None else noise

    def density(t):
        return np.exp(loss.logp(np.array([t]), f, noise=noise))[0]

    for y in (-6.0, -1.0, 0.0, 0.4, 0.9, 3.0, 20.0):
        # Split where the densities have their kinks; the tail by itself, for the heavy ones.
        edges = [e for e in (0.4 - 3 * scale, 0.4 - scale, 0.4 - 0.4 * scale, 0.4, 0.4 + 0.4 * scale) if e < y]
        edges = [*edges, y] if edges else [y]
        expected = integrate.quad(density, -np.inf, edges[0], epsabs=1e-12)[0]
        expected += sum(integrate.quad(density, a, b, epsabs=1e-12, limit=200)[0] for a, b in pairwise(edges))
        assert loss.cdf(np.array([y]), f, noise=noise)[0, 0] == pytest.approx(expected, abs=1e-8)
    assert abs(loss.cdf(np.array([0.9]), f + 0.1, noise=noise) - loss.cdf(np.array([0.9]), f, noise=noise)) > 1e-3


@pytest.mark.parametrize("loss", [*LOCATION, GaussianNLL()], ids=name_of)
def test_cdf_keeps_its_accuracy_in_the_tails_and_never_warns(loss):
    f = np.zeros((5, 2 if loss.name == "gaussian_nll" else 1))
    noise = None if loss.name == "gaussian_nll" else 1.0
    p = loss.cdf(np.array([-1e300, -50.0, 0.0, 50.0, 1e300]), f, noise=noise)[:, 0]
    assert (np.diff(p) >= 0).all()
    assert p[0] == pytest.approx(0, abs=1e-12)
    assert p[-1] == pytest.approx(1, abs=1e-12)
    if loss.name == "absolute_error":
        assert p[1] == pytest.approx(0.5 * np.exp(-50.0), rel=1e-12)


def test_cdf_of_counts_is_the_sum_of_their_masses():
    loss, f = Poisson(), np.log([[0.5], [2.0], [30.0]])
    for k in (0, 1, 4, 35):
        mass = np.exp([loss.logp(np.full(3, j), f) for j in range(k + 1)]).sum(axis=0)
        assert_allclose(loss.cdf(np.full(3, k), f)[:, 0], mass, rtol=1e-12)
        assert_allclose(loss.cdf(np.full(3, k + 0.5), f)[:, 0], mass, rtol=1e-12)
    assert (loss.cdf(np.full(3, -1), f) == 0).all()


def test_cdf_of_a_batch_and_of_several_targets():
    rng = np.random.default_rng(0)
    f, noise, y = rng.normal(size=(2, 3, 4, 2)), rng.uniform(0.5, 2, size=(2, 3)), rng.normal(size=(4, 2))
    expected = stats.norm(f, noise[..., None, None]).cdf(y)
    assert_allclose(SquaredError().cdf(y, f, noise=noise), expected, rtol=1e-12)


@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), CrossEntropy(), Ordinal()], ids=name_of)
def test_labels_have_no_distribution_function(loss):
    with pytest.raises(SpecError, match="labels"):
        loss.cdf(np.array([0]), np.zeros((1, 1)))
    with pytest.raises(SpecError, match="labels"):
        bnn.losses.Loss.cdf(loss, np.array([0]), np.zeros((1, 1)))


# Numbers: parts of the variance and intervals


def frozen(loss, f, noise):
    """The scipy.stats distribution of y for each draw (draws, n)."""
    mean = f[..., 0]
    if loss.name == "gaussian_nll":
        return stats.norm(mean, np.exp(f[..., 1]))
    if loss.name == "poisson":
        return stats.poisson(np.exp(mean))
    s = noise[:, None]
    return {
        "squared_error": lambda: stats.norm(mean, s),
        "absolute_error": lambda: stats.laplace(mean, s),
        "student_t": lambda: stats.t(loss.nu, mean, s),
        "quantile": lambda: stats.laplace_asymmetric(
            np.sqrt(loss.q / (1 - loss.q)), mean, s / np.sqrt(loss.q * (1 - loss.q))
        ),
    }[loss.name]()


def flat(params):
    return {k: v.reshape(v.shape[0] * v.shape[1], *v.shape[2:]) for k, v in params.items()}


@pytest.mark.parametrize("loss", [k for k in NUMBERS if k.name != "huber"], ids=name_of)
def test_the_variance_splits_into_its_two_parts(loss):
    tree, params = drawn(loss)
    one = flat(params)
    f = X5[:, None] @ one["W1"] + one["b1"][:, None, :]
    of_draws = frozen(loss, f, one.get("noise"))
    p = bnn.predict(tree, X5)
    assert_allclose(p["mean"][:, 0], of_draws.mean().mean(axis=0), rtol=1e-10)
    assert_allclose(p.variance_epistemic[:, 0], of_draws.mean().var(axis=0), rtol=1e-10)
    assert_allclose(p.variance_aleatoric[:, 0], of_draws.var().mean(axis=0), rtol=1e-10)
    assert_allclose(p.variance_total, p.variance_epistemic + p.variance_aleatoric, rtol=1e-14)
    bounds = np.quantile(of_draws.mean(), [0.05, 0.95], axis=0)
    assert_allclose(np.stack([p.mean_lower[:, 0], p.mean_upper[:, 0]]), bounds, rtol=1e-10)
    assert (p.variance_epistemic > 1e-6).all()


@pytest.mark.parametrize("loss", NUMBERS, ids=name_of)
def test_intervals_are_the_quantiles_of_the_mixture(loss):
    tree, params = drawn(loss, draws=(2, 20))
    p = bnn.predict(tree, X5, prob=0.8)
    rng, one = np.random.default_rng(1), flat(params)
    f = X5[:, None] @ one["W1"] + one["b1"][:, None, :]
    extra = {"noise": one["noise"]} if "noise" in one else {}
    y = np.concatenate([loss.sample(f, rng, **extra) for _ in range(4000)])
    margin = 4 * np.sqrt(0.1 * 0.9 / len(y))
    for bound, level in ((p.lower, 0.1), (p.upper, 0.9)):
        q = bound.to_numpy()[:, 0]
        if loss.name == "poisson":
            assert (np.mean(y <= q, axis=0) > level - margin).all()
            assert (np.mean(y < q, axis=0) < level + margin).all()
            assert (q == np.round(q)).all()
            assert not np.signbit(q).any()
        else:
            assert_allclose(np.mean(y <= q, axis=0), level, atol=margin)
            shift = 0.05 * (p.upper - p.lower).to_numpy()[:, 0]
            assert (np.abs(np.mean(y <= q + shift, axis=0) - level) > margin).all(), "a shifted bound is found out"


def test_intervals_of_counts_are_exact():
    net = bnn.MLP(hidden=(), loss="poisson", bias=False)
    tree = tree_of(net, X5, COUNTS, {"W1": np.array([[[[0.5]]]])})
    p = bnn.predict(tree, [[-4.0], [0.0], [4.0]], prob=0.9)
    rates = np.exp([-2.0, 0.0, 2.0])
    assert_allclose(p.lower[:, 0], stats.poisson(rates).ppf(0.05), rtol=0, atol=0)
    assert_allclose(p.upper[:, 0], stats.poisson(rates).ppf(0.95), rtol=0, atol=0)


@pytest.mark.parametrize("nu", [0.7, 1.0, 1.5, 3.0])
@pytest.mark.parametrize("unit", [1e-7, 1.0, 1e7])
def test_intervals_of_heavy_tails_in_any_unit(nu, unit):
    net = bnn.MLP(hidden=(), loss=StudentT(nu), noise=unit, bias=False)
    tree = tree_of(net, X5, Y5, {"W1": np.array([[[[0.0]]]])})
    for prob in (0.5, 0.999):
        p = bnn.predict(tree, [[1.0]], prob=prob)
        assert p.upper.item() == pytest.approx(unit * stats.t(nu).ppf((1 + prob) / 2), rel=1e-6)
        assert p.lower.item() == pytest.approx(-p.upper.item(), rel=1e-6)
    assert np.isinf(p.variance_total.item()) == (nu <= 2)


def test_a_far_draw_does_not_blur_the_interval():
    net = bnn.MLP(hidden=(), noise=1e-3, bias=False)
    tree = tree_of(net, X5, Y5, {"W1": np.array([[[[0.0]]] * 99 + [[[1e6]]]])})
    p = bnn.predict(tree, [[1.0]], prob=0.9)
    expected = 1e-3 * stats.norm.ppf(0.95 / 0.99)
    assert p.upper.item() == pytest.approx(expected, rel=1e-4)


def test_predictions_are_in_the_users_units():
    net = bnn.MLP(hidden=(2,))
    y = 40 + 8 * Y5
    params = random_params(prepare(net, X5, y), (2, 15), seed=1)
    tree = tree_of(net, X5, y, params, scaling="standard")
    p = bnn.predict(tree, [[0.3], [1.7]])
    f = net.forward(flat(params), (np.array([[0.3], [1.7]]) - X5.mean()) / X5.std())[..., 0]
    centre, noise = y.mean() + y.std() * f, y.std() * flat(params)["noise"]
    assert_allclose(p["mean"][:, 0], centre.mean(axis=0), rtol=1e-12)
    assert_allclose(p.variance_epistemic[:, 0], centre.var(axis=0), rtol=1e-12)
    assert_allclose(p.variance_aleatoric[:, 0], np.mean(noise**2), rtol=1e-12)
    for bound, level in ((p.lower, 0.05), (p.upper, 0.95)):
        mixture = stats.norm(centre, noise[:, None]).cdf(bound.to_numpy()[:, 0]).mean(axis=0)
        assert_allclose(mixture, level, atol=1e-9)


def test_several_targets_keep_their_own_units():
    net = bnn.MLP(hidden=())
    Y = np.column_stack([40 + 8 * Y5, 0.01 * X5**2])
    params = random_params(prepare(net, X5, Y), (1, 12), seed=1)
    tree = tree_of(net, X5, Y, params, scaling="standard")
    p, found = bnn.predict(tree), bnn.score(tree)
    assert p["mean"].dims == ("obs", "output")
    assert p["mean"].shape == (5, 2)
    f = net.forward(flat(params), (X5[:, None] - X5.mean()) / X5.std())
    centre, noise = Y.mean(axis=0) + Y.std(axis=0) * f, flat(params)["noise"][:, None, None] * Y.std(axis=0)
    assert_allclose(p["mean"], centre.mean(axis=0), rtol=1e-10)
    log_density = logsumexp(stats.norm(centre, noise).logpdf(Y).sum(axis=2), axis=0) - np.log(12)
    assert found["lppd"] == pytest.approx(log_density.mean(), rel=1e-10)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((centre.mean(axis=0) - Y) ** 2)), rel=1e-10)


def test_the_training_inputs_are_the_default_and_rows_do_not_depend_on_blocks(monkeypatch):
    tree, _ = drawn(SquaredError(), scaling="standard")
    whole, found = bnn.predict(tree), bnn.score(tree)
    assert whole.identical(bnn.predict(tree, X5))
    monkeypatch.setattr(sys.modules["bayesnn.prediction"], "_CHUNK", 100)
    blocks = bnn.predict(tree)
    assert blocks.sizes["obs"] == 5
    for name in whole.data_vars:
        assert_allclose(blocks[name], whole[name], rtol=1e-12)
    assert bnn.score(tree) == pytest.approx(found, rel=1e-12)


# Rows of a Dataset


@pytest.mark.parametrize("name", ["diabetes", "iris"])
def test_a_dataset_stands_for_its_held_out_rows(name):
    data = bnn.load_data(name, random_seed=0)
    net = bnn.MLP(hidden=(), loss="cross_entropy" if name == "iris" else "squared_error")
    tree = tree_of(net, data, None, random_params(prepare(net, data), (2, 4), seed=0))
    held_out, train = bnn.predict(tree, data.X_test), bnn.predict(tree, data.X)
    assert held_out.sizes != train.sizes
    assert bnn.predict(tree, data).identical(held_out)
    assert bnn.predict(tree, data, rows="test").identical(held_out)
    assert bnn.predict(tree, data, rows="train").identical(train)
    for rows, expected in ((None, (data.X_test, data.y_test)), ("train", (data.X, data.y))):
        assert bnn.score(tree, data, rows=rows) == bnn.score(tree, *expected)
    assert bnn.score(tree, data, rows="train") == pytest.approx(bnn.score(tree))
    table = bnn.compare(tree, data=data)["posterior"]
    assert table["held-out LPPD"] == bnn.score(tree, data)["lppd"]
    assert table["in-sample LPPD"] == bnn.score(tree)["lppd"]


def test_columns_of_a_dataset_are_found_by_their_names():
    data = bnn.load_data("diabetes", random_seed=0)
    net = bnn.MLP(hidden=())
    tree = tree_of(net, data, None, random_params(prepare(net, data), (1, 4), seed=0))
    turned = dataclasses.replace(data, X_test=data.X_test[:, ::-1], feature_names=data.feature_names[::-1])
    assert bnn.predict(tree, turned).identical(bnn.predict(tree, data))
    other = dataclasses.replace(data, feature_names=tuple("abcdefghij"))
    with pytest.raises(DataError, match="the fit needs"):
        bnn.predict(tree, other)


def test_rows_that_are_not_there_are_refused():
    tree, _ = drawn(SquaredError())
    two = bnn.load_data("two_weights")
    for apply in (bnn.predict, bnn.score):
        with pytest.raises(SpecError, match=r"'two_weights', which has no held-out rows.*rows='train'"):
            apply(tree, two)
        assert apply(tree, two, rows="train")
        with pytest.raises(SpecError, match=r"'test'.*'train'"):
            apply(tree, two, rows="all")
        for X in ((), (X5, Y5)[: 1 + (apply is bnn.score)]):
            with pytest.raises(SpecError, match="without a Dataset"):
                apply(tree, *X, rows="train")
    with pytest.raises(SpecError, match="brings its own targets"):
        bnn.score(tree, two, Y5)


# Labels


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "cross_entropy", "ordinal"])
def test_uncertainty_of_labels(loss):
    tree, params = drawn(loss)
    one = flat(params)
    f = X5[:, None] @ one["W1"] + (one["b1"][:, None, :] if "b1" in one else 0)
    if loss == "binary_cross_entropy":
        each = np.concatenate([1 - expit(f), expit(f)], axis=-1)
    elif loss == "cross_entropy":
        each = np.exp(f) / np.exp(f).sum(axis=-1, keepdims=True)
    else:
        below = expit(one["cutpoints"][:, None, :] - f)
        each = np.diff(below, axis=-1, prepend=0.0, append=1.0)
    mean = each.mean(axis=0)
    p = bnn.predict(tree)
    assert_allclose(p.probability, mean, rtol=1e-10)
    assert (p.label == mean.argmax(axis=1)).all()
    assert_allclose(p.entropy, -(mean * np.log(mean)).sum(axis=1), rtol=1e-10)
    inside = -(each * np.log(each)).sum(axis=-1).mean(axis=0)
    assert_allclose(p.entropy_aleatoric, inside, rtol=1e-10)
    # Mutual information as the mean divergence of each draw's probabilities from the mixture's.
    divergence = (each * np.log(each / mean)).sum(axis=-1).mean(axis=0)
    assert_allclose(p.mutual_information, divergence, rtol=1e-7)
    assert (p.mutual_information > 1e-4).all()


def test_a_point_estimate_has_no_epistemic_part():
    net = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False)
    tree = tree_of(net, X5, [0, 0, 1, 1, 1], {"W1": np.array([[[[30.0]]]])})
    p = bnn.predict(tree)
    assert (p.mutual_information == 0).all()
    assert np.isfinite(p.entropy).all(), "a probability of zero adds no entropy"
    numbers, _ = drawn(SquaredError(), draws=(1, 1))
    assert (bnn.predict(numbers).variance_epistemic == 0).all()


# Scores


def test_lppd_is_finite_where_densities_underflow():
    net = bnn.MLP(hidden=(), noise=0.1, bias=False)
    slopes = np.array([0.5, 0.6, 0.7])
    tree = tree_of(net, X5, Y5, {"W1": slopes.reshape(1, 3, 1, 1)})
    x, y = np.array([[1.0]]), np.array([6.6])
    density = stats.norm(slopes, 0.1).pdf(6.6)
    assert density.max() == 0, "60 standard deviations away the density is too small for a float"
    expected = logsumexp(-0.5 * ((6.6 - slopes) / 0.1) ** 2) - np.log(3) - np.log(0.1 * np.sqrt(2 * np.pi))
    found = bnn.score(tree, x, y)
    assert found["lppd"] == pytest.approx(expected, rel=1e-12)
    assert np.isnan(found["lppd_se"]), "one observation has no standard error"


@pytest.mark.parametrize("scaling", [None, "standard"])
def test_scores_are_in_the_users_units(scaling):
    net = bnn.MLP(hidden=(1,))
    y = 40 + 8 * Y5
    params = random_params(prepare(net, X5, y), (2, 10), seed=2)
    tree = tree_of(net, X5, y, params, scaling=scaling)
    x_new, y_new = np.array([-1.5, 0.4, 1.1]), np.array([30.0, 42.0, 47.0])
    (a, b, c, d) = (X5.mean(), X5.std(), y.mean(), y.std()) if scaling else (0, 1, 0, 1)
    one = flat(params)
    centre = c + d * net.forward(one, ((x_new - a) / b)[:, None])[..., 0]
    log_density = logsumexp(stats.norm(centre, d * one["noise"][:, None]).logpdf(y_new), axis=0) - np.log(20)
    found = bnn.score(tree, x_new, y_new)
    assert found["n"] == 3
    assert found["lppd"] == pytest.approx(log_density.mean(), rel=1e-10)
    assert found["lppd_se"] == pytest.approx(log_density.std(ddof=1) / np.sqrt(3), rel=1e-10)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((centre.mean(axis=0) - y_new) ** 2)), rel=1e-10)


def synthetic(loss, noise, wrong, n=20_000):
    """Score of one weight vector on observations drawn from it, with the noise multiplied by `wrong`."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 1))
    net = bnn.MLP(hidden=(), loss=loss, bias=False, noise=noise and noise * wrong)
    extra = {"noise": noise} if noise else {}
    y = net.loss.sample(1.5 * X + (2 if noise is None else 0), rng, **extra)
    net = bnn.MLP(hidden=(), loss=loss, noise=noise and noise * wrong)
    return bnn.score(
        tree_of(net, X, y, {"W1": np.full((1, 1, 1, 1), 1.5), "b1": np.full((1, 1, 1), 0.0 if noise else 2.0)})
    )


@pytest.mark.parametrize("loss", LOCATION, ids=name_of)
def test_calibration_is_right_for_the_right_noise_alone(loss):
    right, wide, narrow = (synthetic(loss, 0.8, wrong) for wrong in (1.0, 3.0, 1 / 3))
    assert right["calibration_error"] < 0.01
    assert right["coverage_90"] == pytest.approx(0.9, abs=0.01)
    assert wide["calibration_error"] > 0.1
    assert narrow["calibration_error"] > 0.1
    assert wide["coverage_90"] > 0.95
    assert narrow["coverage_90"] < 0.75


def test_counts_are_calibrated_up_to_their_jumps():
    assert synthetic("poisson", None, 1.0)["calibration_error"] < 0.02
    rng = np.random.default_rng(0)
    X = rng.normal(size=(5000, 1))
    y = rng.negative_binomial(1, 1 / (1 + np.exp(X[:, 0] + 2)))
    net = bnn.MLP(hidden=(), loss="poisson")
    tree = tree_of(net, X, y, {"W1": np.full((1, 1, 1, 1), 1.0), "b1": np.full((1, 1, 1), 2.0)})
    assert bnn.score(tree)["calibration_error"] > 0.15, "overdispersed"


def logits(values, y):
    """A point estimate whose logit at row i is values[i]."""
    net = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False)
    return tree_of(net, np.asarray(values)[:, None], y, {"W1": np.ones((1, 1, 1, 1))})


def test_expected_calibration_error_by_hand():
    # Confidences .75 (right), .75 (wrong), .95 (right), .95 (right): |.5 - .75| / 2 + |1 - .95| / 2.
    values = np.log([0.75 / 0.25, 0.25 / 0.75, 0.95 / 0.05, 0.05 / 0.95])
    found = bnn.score(logits(values, [1, 1, 1, 0]))
    assert found["calibration_error"] == pytest.approx(0.5 * 0.25 + 0.5 * 0.05, rel=1e-12)
    assert found["accuracy"] == 0.75
    squares = [2 * 0.25**2, 2 * 0.75**2, 2 * 0.05**2, 2 * 0.05**2]
    assert found["brier"] == pytest.approx(np.mean(squares), rel=1e-12)
    assert found["lppd"] == pytest.approx(np.log([0.75, 0.25, 0.95, 0.95]).mean(), rel=1e-12)


def test_expected_calibration_error_of_calibrated_and_overconfident_labels():
    rng = np.random.default_rng(0)
    values = rng.normal(0, 2, size=20_000)
    y = (rng.random(20_000) < expit(values)).astype(int)
    assert bnn.score(logits(values, y))["calibration_error"] < 0.01
    assert bnn.score(logits(3 * values, y))["calibration_error"] > 0.08
    assert bnn.score(logits(np.full(4, 800.0), [1, 1, 1, 0]))["calibration_error"] == pytest.approx(0.25)


def test_scores_refuse_labels_that_the_fit_has_not_seen():
    tree, _ = drawn("cross_entropy")
    assert bnn.score(tree, [[0.0], [1.0]], [1, 1])["n"] == 2, "not every class need occur"
    for wrong in ([0, 3], [0, -1], [0, 0.5]):
        with pytest.raises(DataError, match=r"fit knows the classes 0 to 2"):
            bnn.score(tree, [[0.0], [1.0]], wrong)
    binary, _ = drawn("binary_cross_entropy")
    with pytest.raises(DataError, match="Got label 2"):
        bnn.score(binary, [[0.0]], [2])
    counts, _ = drawn("poisson")
    with pytest.raises(DataError, match="counts"):
        bnn.score(counts, [[0.0]], [-1])


def test_wrong_arguments_are_refused():
    tree, _ = drawn(SquaredError())
    with pytest.raises(SpecError, match="only one of X and y"):
        bnn.score(tree, X5)
    with pytest.raises(DataError, match="rows"):
        bnn.score(tree, X5, Y5[:3])
    with pytest.raises(DataError, match="1 features"):
        bnn.predict(tree, np.zeros((3, 2)))
    for prob in (0, 1, 90):
        with pytest.raises(SpecError, match=r"between 0 and 1.*prob=0\.9"):
            bnn.predict(tree, X5, prob=prob)


def test_names_of_classes_and_targets_are_coordinates():
    data = bnn.load_data("iris", random_seed=0)
    net = bnn.MLP(hidden=(), loss="cross_entropy")
    params = random_params(prepare(net, data), (1, 4), seed=0)
    p = bnn.predict(tree_of(net, data, None, params), data.X_test)
    assert p["class"].to_numpy().tolist() == list(data.class_names)
    assert p.sizes == {"obs": 30, "class": 3}


def test_the_function_predict_is_not_hidden_by_the_module_of_that_name():
    code = "import bayesnn as bnn, bayesnn.diagnostics; print(callable(bnn.predict), callable(bnn.compare))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["True", "True"]


def test_the_group_of_parameters_must_be_there():
    tree, params = drawn(SquaredError())
    assert_allclose(params_of(tree)["W1"], params["W1"])
    with pytest.raises(bnn.errors.FitError, match="without the group 'aligned'"):
        params_of(tree, group="aligned")
