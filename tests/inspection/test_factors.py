"""Categories as one input: each level against the reference, with all of its columns."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayesnn as bnn
from bayesnn.errors import SpecError
from tests.conftest import tree_of

RNG = np.random.default_rng(6)
KIND = np.array(["owl", "rook", "kite"])[np.arange(45) % 3]
BIRDS = pd.DataFrame({"mass": RNG.normal(3, 1, 45), "kind": KIND, "tame": RNG.random(45) < 0.4})
SONGS = BIRDS["mass"] + (KIND == "owl") + RNG.normal(size=45)
NET = bnn.MLP((3,), noise=0.4)


def draws(n=6):
    return {k: RNG.normal(size=(1, n, *s)) for k, s in NET.shapes(4, 1).items()}


@pytest.fixture(scope="module")
def made():
    params = draws()
    return params, tree_of(NET, BIRDS, SONGS, params, scaling="standard")


def mean_at(params, made, kind):
    """Mean of each row and draw, if all rows were of one kind."""
    frame = BIRDS.assign(kind=pd.Categorical([kind] * 45, categories=["kite", "owl", "rook"]))
    X = np.column_stack([frame["mass"], kind == np.array(["owl"] * 45), kind == np.array(["rook"] * 45), frame["tame"]])
    own = np.column_stack([BIRDS["mass"], KIND == "owl", KIND == "rook", BIRDS["tame"]]).astype(float)
    sd = np.where([True, False, False, False], own.std(axis=0), 1.0)
    z = (X.astype(float) - own.mean(axis=0)) / sd
    f = NET.forward({k: v[0] for k, v in params.items()}, z)[..., 0]
    return SONGS.mean() + SONGS.std(ddof=0) * f


def test_effects_are_those_of_each_level_against_the_reference(made):
    params, fit = made
    found = bnn.marginal_effects(fit, contrasts=["sd"])
    table = found.table.loc["posterior", "target"]
    assert list(table.index) == [("mass", "sd"), ("kind", "kite to owl"), ("kind", "kite to rook"), ("tame", "0 to 1")]
    reference = mean_at(params, made, "kite")
    for kind in ("owl", "rook"):
        effect = (mean_at(params, made, kind) - reference).mean(axis=1)
        row = table.loc[("kind", f"kite to {kind}")]
        assert row["effect"] == pytest.approx(effect.mean(), rel=1e-9)
        assert row["sd"] == pytest.approx(effect.std(ddof=1), rel=1e-9)
    assert found.table.equals(bnn.marginal_effects(fit, data=BIRDS, contrasts=["sd"]).table)
    one = bnn.marginal_effects(fit, features="kind[owl]", contrasts=["sd"]).table
    assert list(one.index.unique("input")) == ["kind"]


def test_partial_dependence_is_that_at_each_level(made):
    params, fit = made
    found = bnn.partial_dependence(fit, "kind")
    assert list(found["kind"].to_numpy()) == ["kite", "owl", "rook"]
    own = [mean_at(params, made, kind).mean() for kind in ("kite", "owl", "rook")]
    assert_allclose(found["average"][0], own, rtol=1e-9)
    pair = bnn.partial_dependence(fit, ("kind", "mass"), grid_resolution=4)
    assert dict(pair["average"].sizes) == {"output": 1, "kind": 3, "mass": 4}


def test_a_category_is_drawn_as_dots_at_its_levels(made):
    _, fit = made
    picture = bnn.plot_partial_dependence(fit, features=["kind", ("mass", "kind")])
    assert [t.get_text() for t in picture[0].get_xticklabels()] == ["kite\n(33%)", "owl\n(33%)", "rook\n(33%)"]
    (dots,) = [line for line in picture[0].get_lines() if line.get_label() == "posterior"]
    assert_allclose(dots.get_ydata(), bnn.partial_dependence(fit, "kind")["average"][0])
    assert [line.get_label() for line in picture[1].get_lines()] == ["kind = kite", "kind = owl", "kind = rook"]


def test_inputs_are_counted_as_columns_of_the_table(made):
    _, fit = made
    assert list(bnn.marginal_effects(fit, features=3).table.index.unique("input")) == ["tame"]
    with pytest.raises(SpecError, match="there are mass, kind, tame"):
        bnn.marginal_effects(fit, features=4)
