"""Columns that say what is known of each row, from table to fit."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayesnn as bnn
from bayesnn.data.target import known_of, rates_of, values_of
from bayesnn.tree import prepare

RNG = np.random.default_rng(2)
FRAME = pd.DataFrame(
    {
        "age": RNG.uniform(20, 70, 50),
        "region": RNG.choice(["north", "south"], 50),
        "years": RNG.uniform(0.5, 8, 50),
        "claims": RNG.poisson(3.0, 50),
        "asked": RNG.integers(3, 9, 50),
        "yes": RNG.integers(0, 4, 50),
        "size": RNG.normal(size=50),
        "times": RNG.integers(0, 3, 50),
    }
)
OTHERS = {"claims": ["yes", "asked", "size", "times"], "yes": ["claims", "years", "size", "times"]}


def test_an_exposure_goes_with_its_rows_through_split_and_fit():
    data = bnn.load_data(FRAME, target="claims", exposure="years", exclude=OTHERS["claims"], random_seed=3)
    assert data.task == "count"
    assert data.feature_names == ("age", "region[south]")
    assert "exposure" in repr(data)
    for X, y in ((data.X, data.y), (data.X_test, data.y_test)):
        rows = [int(np.flatnonzero(FRAME["age"] == age)[0]) for age in X[:, 0]]
        assert_allclose(y["exposure"], FRAME["years"][rows])
        assert_allclose(y["y"], FRAME["claims"][rows])
    net = bnn.MLP((), loss="poisson", prior=bnn.Normal(1.0))
    fit = bnn.fit_map(net, data, restarts=2, random_seed=1, progressbar=False)
    p = bnn.predict(fit, data)
    assert_allclose(p["mean"][:, 0], data.y_test["exposure"] * bnn.predict(fit, data.X_test)["mean"][:, 0])
    assert bnn.score(fit, data)["n"] == 10
    again = data.to_frame().loc["train"]
    assert_allclose(again["exposure"], data.y["exposure"])


def test_trials_precision_and_repeats_by_column():
    trials = bnn.load_data(FRAME, target="yes", trials="asked", exclude=OTHERS["yes"], test_size=0)
    assert_allclose(rates_of(trials.y), FRAME["yes"] / FRAME["asked"])
    spare = ["claims", "years", "yes", "asked", "region"]
    precise = bnn.load_data(FRAME, target="size", precision="years", exclude=[*spare[:1], *spare[2:], "times"])
    assert precise.task == "regression"
    assert set(known_of(precise.y)) == {"precision"}
    assert precise.scaling.y_mean[0] == pytest.approx(values_of(precise.y).mean())
    repeats = bnn.load_data(FRAME, target="size", repeats="times", exclude=spare, test_size=0)
    assert len(repeats.X) == FRAME["times"].sum()
    assert known_of(repeats.y) == {}


def test_a_scaling_of_the_target_is_not_for_proportions():
    frame = FRAME.assign(share=RNG.uniform(0.1, 0.9, 50))[["age", "share"]]
    data = bnn.load_data(frame, target="share")
    assert data.scaling.y_sd is not None
    problem = prepare(bnn.MLP((), loss="beta"), data)
    assert problem.scaling.y_sd is None
    assert problem.log_y_sd == 0.0
    assert_allclose(problem.y, data.y)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"exposure": "hours"}, "hours"),
        ({"exposure": "claims"}, "which is the target"),
        ({"exposure": 3}, "name of a column"),
        ({"exposure": "years", "categorical": ["years"]}, "no feature"),
        ({"exposure": "region"}, "exposure"),
        ({"exposure": "size"}, "positive"),
        ({"exposure": "years", "exclude": [c for c in FRAME if c not in ("claims", "years")]}, "leaves none"),
    ],
)
def test_bad_columns_are_named(options, words):
    with pytest.raises(bnn.BayesnnError, match=words):
        bnn.load_data(FRAME, target="claims", **options)


def test_missing_exposures_are_missing_values():
    frame = FRAME.copy()
    frame.loc[4, "years"] = np.nan
    with pytest.raises(bnn.DataError, match="years"):
        bnn.load_data(frame, target="claims", exposure="years")
    assert len(bnn.load_data(frame, target="claims", exposure="years", missing="indicator", test_size=0).X) == 49
    with pytest.raises(bnn.SpecError, match="bundled"):
        bnn.load_data("iris", exposure="years")
