"""Tables of effects: coefficients, statsmodels' margins, and sums over rows by hand."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from scipy.special import softmax

import bayesnn as bnn
from bayesnn.errors import SpecError, UnknownNameError
from tests.conftest import tree_of

RNG = np.random.default_rng(4)
X = np.column_stack([RNG.normal(10, 3, 50), RNG.integers(0, 2, 50), RNG.uniform(-1, 1, 50)])
FRAME = pd.DataFrame(X, columns=["age", "smoker", "dose"])
NUMBERS = 2 + 0.3 * X[:, 0] - X[:, 1] + RNG.normal(size=50)
LABELS = (RNG.random(50) < 1 / (1 + np.exp(-(X[:, 1] + 2 * X[:, 2])))).astype(int)
CLASSES = np.arange(50) % 3


def draws_of(net, outputs, draws=(2, 15), seed=0):
    rng = np.random.default_rng(seed)
    return {k: 0.5 * rng.normal(size=(*draws, *s)) for k, s in net.shapes(3, outputs).items()}


def scaled(params, y):
    """Coefficients of a line in the user's units."""
    return y.std() * params["W1"][..., 0].reshape(-1, 3) / X.std(axis=0)


def test_effects_of_a_line_are_its_coefficients_in_the_users_units():
    net = bnn.MLP((), noise=0.4)
    params = draws_of(net, 1)
    post = tree_of(net, FRAME, NUMBERS, params, scaling="standard")
    found = bnn.marginal_effects(post, contrasts=["slope", "sd", "iqr"], prob=0.8)
    slope = scaled(params, NUMBERS)
    change = {"slope": 1.0, "sd": X[:, 0].std(), "iqr": np.ptp(np.quantile(X[:, 0], [0.25, 0.75]))}
    for contrast, by in change.items():
        row = found.table.loc["posterior", "target", "age", contrast]
        assert row["effect"] == pytest.approx((by * slope[:, 0]).mean(), rel=1e-9)
        assert row["sd"] == pytest.approx((by * slope[:, 0]).std(ddof=1), rel=1e-9)
        assert_allclose(row[["lower", "upper"]].astype(float), np.quantile(by * slope[:, 0], [0.1, 0.9]), rtol=1e-9)
        assert row["over_rows"] == pytest.approx(0, abs=1e-9)
        assert contrast == "slope" or row["change"] == pytest.approx(by)
    smoker = found.table.loc["posterior", "target", "smoker"]
    assert list(smoker.index) == ["0 to 1"], "two values have one contrast"
    assert smoker["effect"].item() == pytest.approx(slope[:, 1].mean(), rel=1e-9)
    assert "acts differently" not in found.message


def test_effects_of_a_logistic_regression_are_those_of_statsmodels():
    design = sm.add_constant(X)
    other = sm.Logit(LABELS, design).fit(disp=0)
    params = {"W1": other.params[1:].reshape(1, 1, 3, 1), "b1": other.params[:1].reshape(1, 1, 1)}
    mle = tree_of(bnn.MLP((), loss="binary_cross_entropy"), FRAME, LABELS, params, kind="mle")
    table = bnn.marginal_effects(mle).table
    margins = other.get_margeff(dummy=True).margeff
    wanted = [("age", "slope"), ("smoker", "0 to 1"), ("dose", "slope")]
    got = [table.loc["MLE", "1", name, contrast]["effect"] for name, contrast in wanted]
    assert_allclose(got, margins, rtol=1e-8)
    assert table[["sd", "lower", "upper"]].isna().all(axis=None), "a point has no interval"
    assert (table["over_rows"] > 0).all(), "a probability bends"


@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_effects_of_a_tanh_network_are_sums_over_rows(loss):
    classes = loss == "cross_entropy"
    net = bnn.MLP((4,), loss=loss, noise=None if classes else 0.4)
    params = draws_of(net, 3 if classes else 1, draws=(1, 6))
    fit = tree_of(net, FRAME, CLASSES if classes else NUMBERS, params)
    table = bnn.marginal_effects(fit, contrasts=["slope", "sd"], features=["dose", 2]).table

    def mean(x, s):
        h = np.tanh(x @ params["W1"][0, s] + params["b1"][0, s])
        f = h @ params["W2"][0, s] + params["b2"][0, s]
        return softmax(f, axis=1) if classes else f

    def slope(x, s):
        h = np.tanh(x @ params["W1"][0, s] + params["b1"][0, s])
        df = ((1 - h**2) * params["W1"][0, s][2]) @ params["W2"][0, s]
        p = mean(x, s)
        return p * (df - (p * df).sum(axis=1, keepdims=True)) if classes else df

    def shifted(by):
        return X + by * np.eye(3)[2]

    sd = X[:, 2].std()
    by_hand = {
        ("dose", "slope"): [slope(X, s) for s in range(6)],
        ("dose", "sd"): [mean(shifted(sd / 2), s) - mean(shifted(-sd / 2), s) for s in range(6)],
        ("smoker", "0 to 1"): [
            mean(np.where([0, 1, 0], 1.0, X), s) - mean(np.where([0, 1, 0], 0.0, X), s) for s in range(6)
        ],
    }
    assert len(table) == (9 if classes else 3)
    for (name, contrast), each in by_hand.items():
        each = np.array(each)
        for k, output in enumerate(["0", "1", "2"] if classes else ["target"]):
            row = table.loc["posterior", output, name, contrast]
            assert row["effect"] == pytest.approx(each[..., k].mean(), rel=1e-8)
            assert row["sd"] == pytest.approx(each[..., k].mean(axis=1).std(ddof=1), rel=1e-7)
            assert row["over_rows"] == pytest.approx(each[..., k].mean(axis=0).std(), rel=1e-7)
    if classes:
        assert_allclose(table.groupby(["input", "contrast"])["effect"].sum(), 0, atol=1e-9)


def test_effects_on_counts_are_for_one_unit_of_exposure():
    y = bnn.target(np.arange(50) % 4, exposure=np.linspace(1, 9, 50))
    params = {"W1": np.array([[0.02], [0.3], [0.1]]), "b1": np.array([0.2])}
    fit = tree_of(bnn.MLP((), loss="poisson"), FRAME, y, {k: v[None, None] for k, v in params.items()}, kind="map")
    found = bnn.marginal_effects(fit, features="dose", contrasts=["slope"])
    rate = np.exp(X @ params["W1"] + params["b1"])
    assert found.table["effect"].item() == pytest.approx(0.1 * rate.mean(), rel=1e-9)
    assert found.labels == {"target": "rate of target"}


def test_words_name_the_largest_effect_and_what_bends():
    net = bnn.MLP((1,), noise=0.4)
    params = {"W1": [[0.0], [0.0], [3.0]], "b1": [3.0], "W2": [[5.0]], "b2": [0.0]}
    params = {k: np.array(v)[None, None] for k, v in params.items()}
    fit = tree_of(net, FRAME, NUMBERS, params, kind="map")
    said = bnn.marginal_effects(fit).message
    assert said.startswith("Average effects on the mean of target, over 50 rows. MAP: largest, dose by +")
    assert f"dose by +{X[:, 2].std():.3g} (one standard deviation): +" in said
    assert "dose acts differently from row to row" in said
    both = bnn.marginal_effects({"one": fit, "two": fit}, features=1)
    assert set(both.table.index.get_level_values("fit")) == {"one", "two"}
    assert "one: " in repr(both)


def test_rows_are_those_that_are_asked_for():
    net = bnn.MLP((1,), noise=0.4)
    fit = tree_of(net, FRAME, NUMBERS, draws_of(net, 1, draws=(1, 1)), kind="map")
    half, whole = (bnn.marginal_effects(fit, data=rows).table["effect"] for rows in (FRAME[:25], FRAME))
    rest = bnn.marginal_effects(fit, data=FRAME[25:]).table["effect"]
    assert_allclose((half + rest) / 2, whole, rtol=1e-9)
    assert_allclose(whole, bnn.marginal_effects(fit).table["effect"])
    assert "1000 of 2000 rows" in bnn.marginal_effects(fit, data=pd.concat([FRAME] * 40)).message


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"contrasts": ["slopes"]}, UnknownNameError, "Did you mean 'slope'"),
        ({"contrasts": "slope"}, SpecError, "must be a list"),
        ({"features": "weight"}, SpecError, "there are age, smoker, dose"),
        ({"features": []}, SpecError, "Give some"),
        ({"prob": 1.5}, SpecError, "between 0 and 1"),
        ({"draws": 0}, SpecError, "positive integer"),
    ],
)
def test_what_there_is_not_is_refused(options, error, words):
    net = bnn.MLP((), noise=0.4)
    fit = tree_of(net, FRAME, NUMBERS, draws_of(net, 1, draws=(1, 1)), kind="map")
    with pytest.raises(error, match=words):
        bnn.marginal_effects(fit, **options)
