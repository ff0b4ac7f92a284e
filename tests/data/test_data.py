"""Data: conversion and its errors, scaling, bundled and simulated sets, CSV files and DataFrames."""

import dataclasses
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine
from sklearn.preprocessing import StandardScaler

import bayesnn as bnn
from bayesnn.data import TASKS, Dataset, Scaling, as_array, check_rows, check_X
from bayesnn.errors import DataError, SpecError, UnknownNameError

SIMULATED = ["sine_gap", "neal", "two_moons", "separable_line"]
TEXTBOOK = ["coin", "three_points", "one_node", "one_node_separated", "two_weights"]
REAL = ["diabetes", "breast_cancer", "iris", "wine"]


def frame(n=30, seed=0):
    rng = np.random.default_rng(seed)
    height, weight = rng.normal(170, 10, n), rng.normal(70, 12, n)
    return pd.DataFrame({"height": height, "weight": weight, "price": height + rng.normal(0, 1, n)})


# Conversion


@pytest.mark.parametrize(
    "value",
    [
        [1, 2, 3],
        np.array([1, 2, 3], dtype=np.int8),
        np.array([1, 2, 3], dtype=np.float32),
        pd.Series([1, 2, 3], dtype="Int64"),
        pd.Series([1, 2, 3], dtype=object),
        np.ma.masked_array([1, 2, 3]),
        (1.0, 2, np.float32(3)),
    ],
)
def test_as_array_takes_every_container_of_numbers(value):
    array = as_array(value, "y")
    assert type(array) is np.ndarray
    assert array.dtype == np.float64
    assert array.tolist() == [1.0, 2.0, 3.0]


def test_as_array_takes_frames_of_mixed_types():
    mixed = pd.DataFrame({"a": [1, 2], "b": [True, False], "c": pd.array([0.5, 1.5], dtype="Float64")})
    assert as_array(mixed, "X").tolist() == [[1.0, 1.0, 0.5], [2.0, 0.0, 1.5]]


def test_as_array_does_not_copy_what_needs_no_conversion():
    y = np.arange(3.0)
    assert np.shares_memory(as_array(y, "y"), y)


NAMES = pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, 1.0]})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0, np.nan, 2.0], "missing value in Z at row 1; every value must be a finite number. Drop"),
        ([1.0, None], "missing value in Z at row 1"),
        (pd.Series([1, None], dtype="Int64"), "missing value in Z at row 1"),
        ([[1.0, 2.0], [3.0, -np.inf]], "infinite value in Z at row 1, column 1"),
        (NAMES.replace(2.0, np.inf), "infinite value in Z at row 1, column 'a'"),
        (np.full(9, np.nan), "row 0; row 1; row 2 and 6 more"),
        ([[1.0, 2.0], [3.0]], "Z with ragged rows; all rows must have the same length. Drop or complete"),
        ([], r"empty Z, shape \(0,\); it needs at least one value"),
        (np.zeros((0, 3)), r"empty Z, shape \(0, 3\)"),
        (
            ["1.5", "2.5"],
            "Z with .*1.5.*; the values must be real numbers or booleans. Encode .*get_dummies.*to_numeric",
        ),
        (pd.DataFrame({"a": [1.0, 2.0], "b": ["u", "v"]}), "'u' at row 0, column 'b'"),
        (["a", 1], "must be real numbers"),
        ("text", "Z with 'text'"),
        ({"a": 1}, "must be real numbers"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "dtype datetime64"),
        ([1 + 2j], "complex Z; the values must be real. Pass"),
        (np.zeros((2, 2, 2)), r"Z with 3 dimensions, shape \(2, 2, 2\); it must have 1 or 2. Reshape"),
        (3.0, "Z with 0 dimensions"),
        (np.ma.masked_array([1.0, 2.0], [True, False]), "Z as an array with masked values .1.; .* Drop"),
    ],
)
def test_as_array_says_what_it_got_and_the_remedy(value, message):
    with pytest.raises(DataError, match=message):
        as_array(value, "Z")


def test_as_array_keeps_to_the_dimensions_asked_for():
    with pytest.raises(DataError, match="it must have 1"):
        as_array(np.zeros((3, 1)), "y", ndim=(1,))


def test_check_X_makes_columns():
    assert check_X([1, 2, 3]).shape == (3, 1)
    assert check_X(NAMES).shape == (2, 2)
    assert check_X(np.zeros((4, 0)), allow_empty_features=True).shape == (4, 0)


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        (np.zeros((4, 0)), {}, "empty X"),
        (np.zeros((0, 0)), {"allow_empty_features": True}, "empty X"),
        (np.zeros((4, 0)), {"allow_empty_features": True, "n_features": 1}, r"X of shape \(4, 0\); the network has 1"),
        (np.eye(3), {"n_features": 2}, "X of shape .3, 3.; the network has 2 features. Pass the same columns"),
        ([1.0, 2.0], {"n_features": 2}, r"Write X\[None, :\] if this is a single row"),
        ([[1.0, 2.0], [1.0, 3.0]], {"check_constant": True}, "constant feature columns '0' in the 2 rows.* Drop"),
        (NAMES.assign(b=0.1), {"check_constant": True}, "constant feature columns 'b'"),
        (np.zeros((2, 2, 2)), {}, "X with 3 dimensions"),
        ([[1.0], [np.nan]], {}, "missing value in X at row 1, column 0"),
    ],
)
def test_check_X_refuses(X, options, message):
    with pytest.raises(DataError, match=message):
        check_X(X, **options)


def test_a_constant_column_is_allowed_for_one_row_and_for_predictions():
    assert check_X([[1.0, 2.0]], check_constant=True).shape == (1, 2)
    assert check_X([[1.0, 2.0], [1.0, 3.0]]).shape == (2, 2)


def test_check_rows():
    check_rows(np.zeros((3, 2)), np.zeros(3))
    with pytest.raises(DataError, match=r"X with 3 rows and y with 2; each row of X needs its own target. Select"):
        check_rows(np.zeros((3, 2)), np.zeros(2))


# Scaling


def test_scaling_agrees_with_sklearn_and_is_undone():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(3, 5, (40, 3)), rng.normal(-2, 9, (40, 2))
    scaling = Scaling.fit(X, Y)
    np.testing.assert_allclose(scaling.transform_X(X), StandardScaler().fit_transform(X), atol=1e-14)
    np.testing.assert_allclose(scaling.transform_y(Y), StandardScaler().fit_transform(Y), atol=1e-14)
    np.testing.assert_allclose(scaling.inverse_y(scaling.transform_y(Y)), Y, atol=1e-13)
    batch = rng.normal(size=(4, 7, 40, 2))
    np.testing.assert_allclose(scaling.inverse_y(batch)[2, 3], scaling.inverse_y(batch[2, 3]))
    with pytest.raises(DataError, match="last axis must hold the 2 targets"):
        scaling.inverse_y(np.zeros((40, 3)))


def test_scaling_of_one_target_keeps_any_shape():
    scaling = Scaling.fit([1.0, 2.0, 3.0], [10.0, 20.0, 60.0])
    assert scaling.inverse_y(0.0) == pytest.approx(30.0)
    assert scaling.inverse_y(np.zeros((2, 5, 7))).shape == (2, 5, 7)


def test_log_y_sd_is_the_jacobian_of_the_log_density():
    y = np.array([[1.0, 200.0], [2.0, 500.0], [4.0, 100.0]])
    scaling = Scaling.fit(np.arange(3.0), y)
    mu, sd = np.array([2.0, 300.0]), np.array([0.5, 80.0])
    in_units = stats.norm.logpdf(y, mu, sd).sum(axis=1)
    scaled = stats.norm.logpdf(scaling.transform_y(y), scaling.transform_y(mu), sd / scaling.y_sd).sum(axis=1)
    np.testing.assert_allclose(scaled - scaling.log_y_sd, in_units, atol=1e-12)
    assert abs(scaling.log_y_sd) > 1  # so that leaving the Jacobian out would fail the line above


def test_labels_are_not_scaled():
    scaling = Scaling.fit([1.0, 2.0], [0, 1], scale_y=False)
    assert (scaling.y_mean, scaling.y_sd, scaling.log_y_sd) == (None, None, 0.0)
    assert scaling.transform_y([0, 1]).tolist() == scaling.inverse_y([0, 1]).tolist() == [0, 1]


def test_scaling_refuses_columns_without_spread():
    with pytest.raises(DataError, match=r"feature columns 'b' with standard deviation .* Drop the column"):
        Scaling.fit(pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": [0.1, 0.1, 0.1]}), [1.0, 2.0, 3.0])
    with pytest.raises(DataError, match="target columns '0' with standard deviation 0 in 2 rows"):
        Scaling.fit([1.0, 2.0], [5.0, 5.0])
    with pytest.raises(DataError, match="standard deviation inf"):
        Scaling.fit([1e200, -1e200], [1.0, 2.0])
    with pytest.raises(DataError, match="X with 2 rows and y with 3"):
        Scaling.fit([1.0, 2.0], [1.0, 2.0, 3.0])


def test_scaling_as_json():
    for scaling in (Scaling.fit(frame()[["height", "weight"]], frame()["price"]), Scaling((0.1,), (1 / 3,))):
        again = Scaling.from_json(scaling.to_json())
        assert again == scaling
        assert isinstance(again.x_mean, tuple)
    for text in (
        "{}",
        "[1]",
        "not json",
        None,
        '{"x_mean": ["a"], "x_sd": [1.0]}',
        '{"x_mean": [0], "x_sd": [1], "z": [1]}',
    ):
        with pytest.raises(DataError, match=r"not the JSON text of a scaling. Write it with to_json"):
            Scaling.from_json(text)


def test_scaling_is_fitted_on_training_rows_only():
    data = bnn.load_data(frame(), target="price", random_seed=3)
    np.testing.assert_allclose(data.scaling.x_mean, data.X.mean(axis=0))
    np.testing.assert_allclose(data.scaling.y_sd, data.y.std())

    changed = frame()
    test_rows = np.isin(changed["price"], data.y_test)
    assert test_rows.sum() == 6
    changed.loc[test_rows, ["height", "weight", "price"]] *= 1000.0
    assert bnn.load_data(changed, target="price", random_seed=3).scaling == data.scaling
    changed.loc[~test_rows, "height"] += 1.0
    assert bnn.load_data(changed, target="price", random_seed=3).scaling != data.scaling


# Bundled data


@pytest.mark.parametrize("name", SIMULATED + TEXTBOOK + REAL)
def test_every_bundled_set_is_complete(name):
    data = bnn.load_data(name)
    assert data.name == name
    assert data.task in TASKS
    assert data.description
    assert data.X.dtype == data.X_new.dtype == np.float64
    assert data.y.dtype == (np.float64 if data.task == "regression" else np.int64)
    assert len(data.feature_names) == data.X.shape[1] == data.X_new.shape[1]
    check_rows(data.X, data.y)
    assert (data.class_names is None) == (data.task == "regression")
    if data.class_names:
        assert sorted(np.unique(data.y)) == list(range(len(data.class_names)))
    for array in (data.X, data.y, data.X_test, data.y_test, data.X_new):
        if array is not None and array.size:
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        data.X = None
    assert name in repr(data)
    assert "<table>" in data._repr_html_()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data)).X, data.X)


@pytest.mark.parametrize("name", SIMULATED + TEXTBOOK)
def test_simulated_data_are_used_in_their_own_units(name):
    assert bnn.load_data(name).scaling is None


@pytest.mark.parametrize(
    ("name", "loader", "shape", "task"),
    [
        ("diabetes", load_diabetes, (442, 10), "regression"),
        ("breast_cancer", load_breast_cancer, (569, 30), "binary"),
        ("iris", load_iris, (150, 4), "classes"),
        ("wine", load_wine, (178, 13), "classes"),
    ],
)
def test_real_data_are_those_of_sklearn(name, loader, shape, task):
    data = bnn.load_data(name)
    bunch = loader(scaled=False) if name == "diabetes" else loader()
    X = np.vstack([data.X, data.X_test])
    assert X.shape == shape
    assert data.task == task
    assert list(data.feature_names) == list(bunch.feature_names)
    np.testing.assert_allclose(X.mean(axis=0), bunch.data.mean(axis=0))
    rows = {tuple(x): y for x, y in zip(bunch.data, bunch.target, strict=True)}
    assert all(rows[tuple(x)] == y for x, y in zip(X, np.concatenate([data.y, data.y_test]), strict=True))
    assert not {tuple(x) for x in data.X} & {tuple(x) for x in data.X_test} or name == "iris"  # iris repeats a flower
    if task != "regression":
        assert list(data.class_names) == list(bunch.target_names)
        np.testing.assert_allclose(np.bincount(data.y_test) / np.bincount(bunch.target), 0.2, atol=0.02)
    np.testing.assert_allclose(data.scaling.transform_X(data.X).mean(axis=0), 0.0, atol=1e-10)
    np.testing.assert_allclose(data.scaling.transform_X(data.X).std(axis=0), 1.0)
    assert (data.scaling.y_sd is None) == (task != "regression")


def test_known_means_of_the_real_data():
    diabetes = bnn.load_data("diabetes", test_size=0)
    assert diabetes.y.mean() == pytest.approx(152.13348416)
    assert diabetes.X[:, 0].mean() == pytest.approx(48.5181, abs=1e-4)  # age in years: not the scaled columns
    iris = bnn.load_data("iris", test_size=0)
    np.testing.assert_allclose(iris.X.mean(axis=0), [5.8433, 3.0573, 3.7580, 1.1993], atol=1e-4)
    assert np.bincount(bnn.load_data("breast_cancer", test_size=0).y).tolist() == [212, 357]
    assert np.bincount(bnn.load_data("wine", test_size=0).y).tolist() == [59, 71, 48]


def test_textbook_samples():
    coin, three = bnn.load_data("coin"), bnn.load_data("three_points")
    assert coin.X.shape == (5, 0)
    assert coin.y.tolist() == [0, 0, 0, 1, 0]
    assert -stats.bernoulli.logpmf(coin.y, coin.y.mean()).sum() == pytest.approx(2.5020121177)
    assert three.X.shape == (3, 0)
    assert -stats.norm.logpdf(three.y, three.y.mean(), three.y.std()).sum() == pytest.approx(3.6486179375)
    node, separated, two = (bnn.load_data(n) for n in ("one_node", "one_node_separated", "two_weights"))
    assert node.X.ravel().tolist() == separated.X.ravel().tolist() == [-2.0, -1.0, 0.5, 1.0, 2.0]
    w = 0.7954240126
    p = 1 / (1 + np.exp(-w * node.X[:, 0]))
    assert -stats.bernoulli.logpmf(node.y, p).sum() == pytest.approx(2.8230011987)
    assert separated.y.tolist() == [0, 0, 1, 1, 1]
    f = 1.1456439237 * np.tanh(0.7833996185 * two.X[:, 0])
    slope = ((two.y - f) * two.X[:, 0] * (1 - np.tanh(0.7833996185 * two.X[:, 0]) ** 2)).sum()
    assert slope == pytest.approx(0.0, abs=1e-8)  # the published MLE is stationary on these data
    assert two.noise == 0.3


def test_a_bias_alone_represents_the_samples_without_features():
    coin = bnn.load_data("coin")
    net = bnn.MLP(hidden=(), loss="binary_cross_entropy")
    params = {"W1": np.zeros((0, 1)), "b1": np.array([np.log(0.25)])}
    assert -net.log_likelihood(params, coin.X, coin.y).sum() == pytest.approx(2.5020121177)
    assert net.forward(params, coin.X_new).shape == (1, 1)


def test_sizes_and_gap_of_the_simulated_sets():
    data = bnn.load_data("sine_gap", random_seed=1)
    assert data.X.shape == (40, 1)
    assert np.all((np.abs(data.X) >= 1) & (np.abs(data.X) <= 3))
    assert np.any(np.abs(data.X_test) < 0.3)
    assert {n: (len(d.X), len(d.X_test)) for n in SIMULATED for d in [bnn.load_data(n)]} == {
        "sine_gap": (40, 100),
        "neal": (100, 100),
        "two_moons": (100, 100),
        "separable_line": (20, 20),
    }


def test_two_tanh_units_fit_sine_gap_with_weights_of_order_one():
    from scipy.optimize import least_squares

    data = bnn.load_data("sine_gap", random_seed=1)
    x = np.linspace(-3, 3, 101)[:, None]
    net = bnn.MLP(hidden=(2,))

    def residuals(w):
        return (net.forward({"W1": w[None, :2], "b1": w[2:4], "W2": w[4:6, None], "b2": w[6:]}, x)[:, 0]) - data.truth(
            x
        )

    fit = least_squares(residuals, [1.0, 1.0, 3.0, -1.0, 1.0, -1.0, -0.5])
    assert np.sqrt(np.mean(fit.fun**2)) < data.noise / 4
    assert np.abs(fit.x).max() < 5


def test_points_for_drawing():
    data = bnn.load_data("one_node")
    assert data.X_new.shape == (200, 1)
    assert (data.X_new.min(), data.X_new.max()) == pytest.approx((-2.8, 2.8))
    assert bnn.load_data("iris").X_new.shape == (30, 4)
    assert bnn.load_data("iris", test_size=0).X_new.shape == (150, 4)


def test_scale_overrides_the_habit_of_each_set():
    assert bnn.load_data("iris", scale=False).scaling is None
    data = bnn.load_data("neal", scale=True)
    assert data.scaling == Scaling.fit(data.X, data.y)
    assert bnn.load_data("two_moons", scale=True).scaling.y_sd is None


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name_or_source": "sin_gap"}, UnknownNameError, "data set 'sin_gap'.* Did you mean 'sine_gap'"),
        (
            {"name_or_source": "iris", "task": "squared_error"},
            UnknownNameError,
            "task 'squared_error'; known are 'regression'",
        ),
        (
            {"name_or_source": "iris", "target": "species"},
            SpecError,
            "bundled data 'iris', which have their own columns and target. Leave that out",
        ),
        ({"name_or_source": "iris", "test_size": 1.0}, SpecError, "test_size=1.0; it must be a share"),
        ({"name_or_source": "iris", "test_size": 30}, SpecError, "test_size=30"),
        ({"name_or_source": "iris", "test_size": True}, SpecError, "test_size=True"),
        ({"name_or_source": np.zeros((3, 2))}, DataError, "Got a ndarray as data; .* pandas.DataFrame"),
    ],
)
def test_load_data_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        bnn.load_data(**arguments)


# Simulation


@pytest.mark.parametrize("name", SIMULATED)
def test_the_same_seed_gives_the_same_data(name):
    one, two, other = (bnn.load_data(name, random_seed=s) for s in (5, 5, 6))
    for field in ("X", "y", "X_test", "y_test", "X_new"):
        np.testing.assert_array_equal(getattr(one, field), getattr(two, field))
    assert not np.array_equal(one.X, other.X)
    drawn = bnn.simulate(name, len(one.X), random_seed=5)
    np.testing.assert_array_equal(drawn.X, one.X)
    np.testing.assert_array_equal(drawn.y, one.y)


@pytest.mark.parametrize("name", REAL)
def test_the_split_follows_the_seed(name):
    one, two, other = (bnn.load_data(name, random_seed=s) for s in (5, 5, 6))
    np.testing.assert_array_equal(one.X_test, two.X_test)
    assert not np.array_equal(one.X_test, other.X_test)


@pytest.mark.parametrize("name", ["sine_gap", "neal"])
@pytest.mark.parametrize("noise", [None, 0.5])
def test_the_noise_is_normal_with_the_stated_sd(name, noise):
    data = bnn.simulate(name, 20_000, noise=noise, random_seed=2)
    assert data.noise == (noise or {"sine_gap": 0.2, "neal": 0.1}[name])
    z = (data.y - data.truth(data.X)) / data.noise
    # n * variance is chi squared with n degrees of freedom; the 1e-4 interval
    low, high = stats.chi2.ppf([5e-5, 1 - 5e-5], len(z))
    assert low < (z**2).sum() < high
    assert not low < ((1.05 * z) ** 2).sum() < high  # a standard deviation 5 % off would be seen
    assert stats.kstest(z, "norm").pvalue > 1e-4


def test_the_curves_of_the_simulated_sets():
    x = np.array([[-1.0], [0.0], [2.0]])
    np.testing.assert_allclose(bnn.load_data("sine_gap").truth(x), np.sin([0.2, 1.2, 3.2]), atol=1e-15)
    neal = [0.3 - 0.4 - 0.5 * np.sin(2.7) + 0.55, 1.4, 1.1 + 0.5 * np.sin(5.4) + 0.22]
    np.testing.assert_allclose(bnn.load_data("neal").truth(x), neal, atol=1e-14)
    still = bnn.simulate("neal", 50, noise=0.0)
    np.testing.assert_array_equal(still.y, still.truth(still.X))


def test_the_inputs_of_the_simulated_sets():
    assert stats.kstest(bnn.simulate("neal", 5000, random_seed=4).X[:, 0], "norm").pvalue > 1e-4
    sine = bnn.simulate("sine_gap", 5000, random_seed=4).X[:, 0]
    assert stats.kstest(np.abs(sine), "uniform", args=(1, 2)).pvalue > 1e-4
    assert stats.binomtest(int((sine > 0).sum()), 5000).pvalue > 1e-4


def test_two_moons_are_half_circles():
    data = bnn.simulate("two_moons", 500, noise=0.0)
    centre = np.where(data.y[:, None] == 1, [1.0, 0.5], [0.0, 0.0])
    np.testing.assert_allclose(np.linalg.norm(data.X - centre, axis=1), 1.0, atol=1e-12)
    assert np.all(((data.X - centre)[:, 1] <= 0) == (data.y == 1))
    assert np.bincount(data.y).tolist() == [250, 250]
    noisy = bnn.simulate("two_moons", 20_000, random_seed=1)
    radius = np.linalg.norm(noisy.X - np.where(noisy.y[:, None] == 1, [1.0, 0.5], [0.0, 0.0]), axis=1)
    assert radius.std() == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_separable_line_is_separable_with_a_margin(seed):
    data = bnn.load_data("separable_line", random_seed=seed)
    for X, y in ((data.X, data.y), (data.X_test, data.y_test)):
        assert X[y == 1].min() - X[y == 0].max() >= 1.0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("iris", 10), UnknownNameError, "simulated data set 'iris'; known are 'sine_gap'"),
        (("neal", 0), SpecError, "n=0; 'neal' needs a whole number of rows, at least 1. Write n=100"),
        (("neal", 2.5), SpecError, "n=2.5"),
        (("neal", True), SpecError, "n=True"),
        (("two_moons", 1), SpecError, "at least 2"),
        (("neal", 5, -1.0), SpecError, "noise=-1.0; it must be a finite number, zero or more"),
        (("neal", 5, np.nan), SpecError, "noise=nan"),
        (("neal", 5, "much"), SpecError, "noise='much'"),
        (("separable_line", 5, 0.1), SpecError, "'separable_line' has no noise"),
    ],
)
def test_simulate_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        bnn.simulate(*arguments[:2], **({"noise": arguments[2]} if len(arguments) == 3 else {}))


# Files and frames


def test_a_csv_file_and_a_frame_give_the_same_data(tmp_path):
    source = frame().assign(kind=["tall" if h > 170 else "short" for h in frame()["height"]])
    source.to_csv(tmp_path / "people.csv", index=False)
    by_path = bnn.load_data(tmp_path / "people.csv", target="kind")
    by_text = bnn.load_data(str(tmp_path / "people.csv"), target="kind")
    by_frame = bnn.load_data(source, target="kind")
    assert by_path.name == "people"
    assert by_frame.name == "data"
    for data in (by_path, by_text, by_frame):
        assert data.feature_names == ("height", "weight", "price")
        assert data.target_names == ("kind",)
        assert data.class_names == ("short", "tall")
        assert data.task == "binary"
        np.testing.assert_allclose(data.X, by_frame.X)
        np.testing.assert_array_equal(data.y, (data.X[:, 0] > 170).astype(int))
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(by_frame.y, (by_frame.X[:, 0] <= 170).astype(int))


def test_the_source_frame_is_not_changed():
    source, before = frame(), frame()
    bnn.load_data(source, target="price")
    pd.testing.assert_frame_equal(source, before)


def test_every_row_is_in_training_or_test_once():
    source = frame().assign(row=np.arange(30.0))
    data = bnn.load_data(source, target="price", test_size=0.3)
    rows = np.concatenate([data.X[:, 2], data.X_test[:, 2]])
    assert sorted(rows) == list(range(30))
    assert len(data.X_test) == 9
    none = bnn.load_data(source, target="price", test_size=0)
    assert none.X_test is None
    assert none.y_test is None
    assert none.X_new.shape == (30, 4 - 1)


def test_the_split_keeps_every_class_in_training():
    source = pd.DataFrame({"x": np.arange(23.0), "k": ["a"] * 20 + ["b"] * 2 + ["c"]})
    data = bnn.load_data(source, target="k", test_size=0.9)
    assert np.bincount(data.y).tolist() == [2, 1, 1]
    assert np.bincount(data.y_test).tolist() == [18, 1]


def test_several_targets_and_columns_that_are_numbers():
    data = bnn.load_data(frame(), target=["weight", "price"])
    assert data.y.shape == (24, 2)
    assert data.target_names == ("weight", "price")
    assert len(data.scaling.y_sd) == 2
    numbered = bnn.load_data(pd.DataFrame(np.random.default_rng(0).normal(size=(9, 3))), target=2)
    assert numbered.feature_names == ("0", "1")
    with pytest.raises(DataError, match="2 targets with task='classes'; several targets are a regression"):
        bnn.load_data(frame(), target=["weight", "price"], task="classes")


@pytest.mark.parametrize(
    ("values", "task", "expected", "names", "codes"),
    [
        (["no", "yes"], None, "binary", ("no", "yes"), [0, 1]),
        ([True, False], None, "binary", ("False", "True"), [1, 0]),
        ([-1, 1], None, "binary", ("-1", "1"), [0, 1]),
        ([1.0, 0.0], None, "binary", ("0", "1"), [1, 0]),
        (["c", "a", "b"], None, "classes", ("a", "b", "c"), [2, 0, 1]),
        ([5, 3, 10], "classes", "classes", ("3", "5", "10"), [1, 0, 2]),
        ([5, 3, 10], "ordinal", "ordinal", ("3", "5", "10"), [1, 0, 2]),
        ([5, 3, 10], "count", "count", None, [5, 3, 10]),
        ([5, 3, 10], "regression", "regression", None, [5, 3, 10]),
        ([0, 1], "classes", "classes", ("0", "1"), [0, 1]),
        ([0, 1], "count", "count", None, [0, 1]),
        ([0.5, 1.5], None, "regression", None, [0.5, 1.5]),
        (range(12), None, "regression", None, list(range(12))),
        (
            pd.Categorical(["lo", "mid", "hi"], ["lo", "mid", "hi"], ordered=True),
            None,
            "ordinal",
            ("lo", "mid", "hi"),
            [0, 1, 2],
        ),
        (pd.Categorical(["b", "a"], ["b", "unused", "a"]), None, "binary", ("b", "a"), [0, 1]),
        (pd.array([0, 1], dtype="Int64"), None, "binary", ("0", "1"), [0, 1]),
    ],
)
def test_the_task_and_the_labels_of_a_target(values, task, expected, names, codes):
    source = pd.DataFrame({"x": np.arange(len(values), dtype=float), "y": values})
    data = bnn.load_data(source, target="y", task=task, test_size=0)
    assert data.task == expected
    assert data.class_names == names
    assert data.y.tolist() == codes
    assert data.y.dtype == (np.float64 if expected == "regression" else np.int64)
    assert (data.scaling.y_sd is not None) == (expected == "regression")


def targets(values):
    return pd.DataFrame({"x": np.arange(len(values), dtype=float), "y": values})


@pytest.mark.parametrize(
    ("source", "arguments", "message"),
    [
        (frame(), {}, "Got no target; .* Pass target= one of 'height', 'weight', 'price'"),
        (frame(), {"target": []}, "Got no target"),
        (frame(), {"target": "prize"}, "target 'prize', which is not a column; .* Did you mean 'price'"),
        (frame(), {"target": "zzz"}, "The columns are 'height', 'weight', 'price'"),
        (frame()[["price"]], {"target": "price"}, "no columns besides the target 'price'.*coin"),
        (frame().head(0), {"target": "price"}, "data with 0 rows and 3 columns"),
        (pd.DataFrame(), {"target": "price"}, "data with 0 rows and 0 columns"),
        (
            frame().set_axis(["a", "a", "price"], axis=1),
            {"target": "price"},
            "more than one column named 'a'; each name must be unique. Rename",
        ),
        (frame().assign(sex="f"), {"target": "price"}, "constant feature columns 'sex' in the 30 rows"),
        (frame().assign(when=pd.Timestamp("2020-01-01")), {"target": "price"}, "dates or times in 'when'"),
        (
            frame().assign(weight=lambda f: f["weight"].where(f.index > 0)),
            {"target": "price"},
            "missing values in 'weight': row 0, column 'weight'; .*missing='drop' .*missing='indicator' .*fillna",
        ),
        (
            frame().assign(price=lambda f: f["price"].where(f.index > 4)),
            {"target": "price"},
            "missing values in 'price': row 0, column 'price'; row 1, column 'price'; row 2, column 'price' and 2 more",
        ),
        (targets(["a", None, "b"]), {"target": "y"}, "missing values in 'y': row 1, column 'y'"),
        (frame().assign(weight=np.inf), {"target": "price"}, "infinite value in X at row 0, column 'weight'"),
        (frame().assign(price=[np.inf, *range(29)]), {"target": "price"}, "infinite value in target 'price' at row 0"),
        (frame().assign(one=1.0, two=2), {"target": "price"}, "constant feature columns 'one', 'two' in the 30 rows"),
        (frame().assign(weight=1j), {"target": "price"}, "complex 'weight'"),
        (frame().assign(price=3.0), {"target": "price"}, "target 'price' with the single value 3.0"),
        (targets(["a", "a"]), {"target": "y"}, "single value 'a'; a fit needs two"),
        (
            targets([0, 1, 2, 3]),
            {"target": "y"},
            "4 distinct whole numbers, which may be labels, .* Pass task='classes'",
        ),
        (
            targets(["a", "b"]),
            {"target": "y", "task": "regression"},
            "with 'a' and task='regression', which needs numbers",
        ),
        (targets([0.5, 1.0]), {"target": "y", "task": "classes"}, "with 0.5 and task='classes'"),
        (
            targets([0.5, 1.0]),
            {"target": "y", "task": "count"},
            "with 0.5 and task='count', which needs whole numbers from 0",
        ),
        (targets([-1, 1]), {"target": "y", "task": "count"}, "with -1 and task='count'"),
        (targets(["a", "b", "c"]), {"target": "y", "task": "binary"}, "3 labels and task='binary', which needs two"),
        (
            targets(["a", "b", "c"]),
            {"target": "y", "task": "ordinal"},
            "needs their order. Make it an ordered pandas.Categ",
        ),
        (targets(["a", 1, "b"]), {"target": "y"}, "labels of several types, 'int', 'str'; .*astype"),
        (targets([str(i / 7) for i in range(20)]), {"target": "y"}, "20 labels in 20 rows, .* pandas.to_numeric"),
        (targets([1 + 1j, 2]), {"target": "y"}, "complex target 'y'"),
    ],
)
def test_a_frame_that_breaks_a_rule(source, arguments, message):
    with pytest.raises(DataError, match=message):
        bnn.load_data(source, **arguments)


def test_a_column_that_is_constant_in_the_training_rows_alone():
    source = targets([0.5, 1.5, 2.5, 3.7, 4.1, 5.3, 6.9, 7.2, 8.8, 9.6])
    plain = bnn.load_data(source, target="y", test_size=0.2)
    source["rare"] = np.isin(source["x"], plain.X_test[:, 0]).astype(float)
    with pytest.raises(DataError, match="feature columns 'rare' with standard deviation 0 in 8 rows"):
        bnn.load_data(source, target="y", test_size=0.2)
    assert bnn.load_data(source, target="y", test_size=0).X.shape == (10, 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not read as CSV .*No columns"),
        ("a,b,y\n", "data with 0 rows and 3 columns"),
        ("a,b,y\n1,2,3\n1,2,3,4,5\n", "does not read as CSV .* same number of commas"),
        ("a,b,y\n1,2,3,4\n2,3,4,5\n", "does not read as CSV .*Expected 3 fields in line 2, saw 4"),
        (",a,y\n0,1.5,2\n1,2.5,3\n", "without a name for column 0; .* index=False"),
        ("a,a,y\n1,2,0.5\n2,5,1.5\n", "more than one column named 'a'"),
        ("1.5,2,3\n4,5,6\n", "with the first line '1.5', '2', '3'; it must hold the names"),
        ("a b y\n1 2 3\n2 3 4\n", "A single column was read: separate the values by commas, or say by what they are"),
        ("a,y\n1,0.5\n?,1.5\n", "'a' with both numbers and text, such as .\\?.; .*categorical"),
        ("a,y\n1,0.5\n,1.5\n", "missing values in 'a': row 1"),
    ],
)
def test_a_file_that_breaks_a_rule(tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        bnn.load_data(path, target="y")


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(DataError, match=r"where there is no file; the path of a CSV or Parquet file is needed. Check"):
        bnn.load_data(tmp_path / "none.csv", target="y")
    with pytest.raises(DataError, match="no file"):
        bnn.load_data("none.csv", target="y")
    (tmp_path / "latin.csv").write_bytes("größe,y\n1,2\n".encode("latin-1"))
    with pytest.raises(DataError, match="it must be UTF-8"):
        bnn.load_data(tmp_path / "latin.csv", target="y")


@pytest.mark.parametrize("name", ["neal", "iris", "coin"])
def test_to_frame_has_all_rows_and_can_be_loaded_again(name):
    data = bnn.load_data(name)
    table = data.to_frame()
    assert list(table.columns) == [*data.feature_names, *data.target_names]
    np.testing.assert_array_equal(table.loc["train"][list(data.feature_names)], data.X)
    if name == "coin":
        assert table.index.unique("split").tolist() == ["train"]
        return
    np.testing.assert_array_equal(table.loc["test"][list(data.feature_names)], data.X_test)
    again = bnn.load_data(table.loc["train"], target=data.target_names[0], test_size=0)
    np.testing.assert_array_equal(again.y, data.y)
    assert (again.task, again.class_names) == (data.task, data.class_names)


def test_repr_names_everything():
    text = repr(bnn.load_data("sine_gap", random_seed=1))
    assert text.splitlines() == [
        "Dataset 'sine_gap' (regression): 40 training rows, 100 test rows",
        "  features: 'x'",
        "  target:   'y'",
        "  scaling:  none",
        "  noise:    standard deviation 0.2",
    ]
    assert "and 25 more" in repr(bnn.load_data("breast_cancer"))
    risky = bnn.load_data(frame().rename(columns={"height": "<script>"}), target="price")
    assert "<script>" not in risky._repr_html_()
    assert re.search("&lt;script&gt;", risky._repr_html_())


def test_a_dataset_copies_its_arrays():
    X = np.zeros((2, 1))
    data = Dataset(X, X[:, 0], None, None, X, ("x",), ("y",), None, "mine", "regression")
    X[0] = 9.0
    assert data.X[0] == 0.0


def test_importing_the_module_is_cheap():
    code = "import sys, bayesnn.data; print({'pandas', 'sklearn', 'pymc', 'scipy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


ROWS = [(0.5, 1.25, -3.5), (1.5, -0.125, 2.25), (1234.5678, 1e-3, 0.75), (4.0, 7.5, 1e6)]


def written(rows, sep=",", decimal="."):
    lines = [sep.join(("a", "b", "y")), *(sep.join(repr(v).replace(".", decimal) for v in row) for row in rows)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("sep", "decimal", "said"),
    [
        (",", ".", ""),
        (";", ".", ", separated by semicolons"),
        (";", ",", ", separated by semicolons, decimal comma"),
        ("\t", ",", ", separated by tabs, decimal comma"),
        ("|", ".", ", separated by bars"),
    ],
)
@pytest.mark.parametrize("told", [True, False])
def test_separators_and_decimals_are_found_and_said(tmp_path, sep, decimal, said, told):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"\xef\xbb\xbf" + written(ROWS, sep, decimal).encode())
    options = {"sep": sep, "decimal": decimal} if told else {}
    data = bnn.load_data(path, target="y", test_size=0, **options)
    assert data.description == f"Read from rows.csv{said}."
    np.testing.assert_array_equal(np.column_stack([data.X, data.y]), np.array(ROWS))


def test_quoted_decimal_commas_and_spaces_are_read(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('a,y\n"1,5","2,25"\n"3,5",4\n')
    data = bnn.load_data(path, target="y", test_size=0)
    assert (data.X[:, 0].tolist(), data.y.tolist()) == ([1.5, 3.5], [2.25, 4.0])
    path.write_text("a   y\n1 2.5\n 3  4.25\n")
    assert bnn.load_data(path, target="y", test_size=0, sep=" ").y.tolist() == [2.5, 4.25]


def test_what_shows_nothing_is_read_as_it_is_told(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("a;y\n1,234;1,5\n1,235;2,5\n")
    assert bnn.load_data(path, target="y", test_size=0).X[:, 0].tolist() == [1.234, 1.235]
    path.write_text("a;y\n1,234;1\n1,235;2\n1,236;30\n")
    with pytest.raises(DataError, match=r"'1,234', whose comma may come before decimals or after thousands"):
        bnn.load_data(path, target="y", test_size=0)
    told = bnn.load_data(path, target="y", test_size=0, decimal=",", task="regression")
    assert told.X[:, 0].tolist() == [1.234, 1.235, 1.236]


@pytest.mark.parametrize(("late", "kind"), [("x", "classes"), ("2", "classes"), ("2.5", "regression")])
def test_labels_that_look_like_numbers_for_many_rows_are_labels(tmp_path, late, kind):
    path = tmp_path / "long.csv"
    path.write_text("a,y\n" + "".join(f"{i},{i % 2}\n" for i in range(2**16)) + f"1,{late}\n")
    data = bnn.load_data(path, target="y", test_size=0, task=kind)
    assert len(data.y) == 2**16 + 1
    if kind == "classes":
        assert data.class_names == ("0", "1", late)
        assert data.y[-1] == 2
    else:
        assert data.y[-1] == 2.5


def test_parquet_and_csv_give_the_same_data(tmp_path):
    pytest.importorskip("pyarrow")
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    table["kind"] = pd.Categorical.from_codes(rng.integers(3, size=300), ["low", "mid", "high"], ordered=True)
    table.to_parquet(tmp_path / "rows.parquet")
    found = bnn.load_data(tmp_path / "rows.parquet", target="kind")
    frame = bnn.load_data(table, target="kind")
    assert (found.task, found.class_names, found.scaling) == ("ordinal", ("low", "mid", "high"), frame.scaling)
    for name in ("X", "y", "X_test", "y_test"):
        np.testing.assert_array_equal(getattr(found, name), getattr(frame, name))
    table.drop(columns="kind").set_index("a").to_parquet(tmp_path / "indexed.parquet")
    assert bnn.load_data(tmp_path / "indexed.parquet", target="b").feature_names == ("c",)


def test_a_large_table_is_in_memory_once_beside_its_arrays(tmp_path):
    n, p = 400_000, 6
    rng = np.random.default_rng(1)
    path = tmp_path / "large.csv"
    block = "".join(",".join(map("{:.4f}".format, row)) + "\n" for row in rng.normal(size=(n // 40, p)))
    path.write_text(",".join(map("c{}".format, range(p))) + "\n" + 40 * block)
    code = (
        "import sys, bayesnn as bnn\n"
        "def kb(key): return next(int(line.split()[1]) for line in open('/proc/self/status') if key in line)\n"
        "bnn.load_data(sys.argv[2], target='c0')\n"
        "open('/proc/self/clear_refs', 'w').write('5')\n"
        "before = kb('VmRSS')\n"
        "data = bnn.load_data(sys.argv[1], target='c0')\n"
        "print((kb('VmHWM') - before) * 1024)"
    )
    small = tmp_path / "small.csv"
    small.write_text("\n".join(path.read_text().split("\n", 100)[:100]) + "\n")
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of memory is read from Linux' /proc")
    ran = subprocess.run([sys.executable, "-c", code, path, small], capture_output=True, text=True, check=True)
    # The table and the arrays are 8 n p bytes each.
    assert int(ran.stdout) < 2.6 * 8 * n * p
