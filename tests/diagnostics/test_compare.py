"""The table of several fits: names, units, limits, and how it prints."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import bayesnn as bnn
from bayesnn.errors import FitError, SpecError
from bayesnn.tree import prepare
from tests.conftest import X5, Y5, random_params, tree_of

LINE = bnn.MLP(hidden=())
Y_USER = 40 + 8 * Y5


def drawn(net=LINE, y=Y_USER, *, draws=(2, 10), scaling="standard", kind="posterior"):
    """A fit with given draws, and those draws as one axis."""
    params = random_params(prepare(net, X5, y), draws, seed=3)
    flat = {k: v.reshape(v.shape[0] * v.shape[1], *v.shape[2:]) for k, v in params.items()}
    return tree_of(net, X5, y, params, scaling=scaling, kind=kind), flat


def point(net=LINE, y=Y_USER, *, kind="mle", exists=1, limit=None, scaling="standard"):
    """A point with given weights; with what became of its maximum."""
    tree, params = drawn(net, y, draws=(1, 1), scaling=scaling, kind=kind)
    tree.attrs["bayesnn_exists"] = exists
    if limit is not None:
        tree["limit"] = xr.Dataset({"log_likelihood": limit})
    return tree, params


@pytest.mark.parametrize("scaling", [None, "standard"])
def test_rows_are_what_the_draws_give_and_say_their_unit(scaling):
    tree, params = drawn(scaling=scaling)
    table = bnn.compare(tree, X=X5[:2], y=Y_USER[:2])["posterior"]
    (a, b, c, d) = (X5.mean(), X5.std(), Y_USER.mean(), Y_USER.std()) if scaling else (0, 1, 0, 1)
    units = " (scaled units)" if scaling else ""
    f = c + d * LINE.forward(params, (X5[:, None] - a) / b)[..., 0]
    sd = d * params["noise"]
    assert table["log-likelihood"] == pytest.approx(stats.norm(f, sd[:, None]).logpdf(Y_USER).sum(axis=1).mean())
    assert table["noise"] == pytest.approx(sd.mean()), "in the unit of the RMSE below it"
    weights = np.stack([params["W1"][:, 0, 0], params["b1"][:, 0]])
    assert table[f"weight norm{units}"] == pytest.approx(np.linalg.norm(weights, axis=0).mean())
    log_prior = stats.norm.logpdf(weights).sum(axis=0) + stats.halfnorm.logpdf(params["noise"])
    assert table[f"log-prior{units}"] == pytest.approx(log_prior.mean())
    assert table["held-out LPPD"] == pytest.approx(bnn.score(tree, X5[:2], Y_USER[:2])["lppd"])
    assert list(table.index)[:4] == ["log-likelihood", f"log-prior{units}", f"weight norm{units}", "noise"]
    assert not [row for row in bnn.compare(tree).index if row.startswith("held-out")]


def test_a_learned_noise_equals_the_rmse_that_it_is():
    mle = bnn.fit_mle(LINE, X5, Y_USER, scaling="standard", restarts=2, random_seed=1, progressbar=False)
    table = bnn.compare(mle)["MLE"]
    assert table["noise"] == pytest.approx(table["in-sample RMSE"], rel=1e-6), "as loss_table() says"
    residual = Y_USER - np.polyval(np.polyfit(X5, Y_USER, 1), X5)
    assert table["noise"] == pytest.approx(residual.std(), rel=1e-6)
    assert table["log-likelihood"] == pytest.approx(5 * table["in-sample LPPD"], rel=1e-9)


def test_several_targets_have_a_noise_each():
    Y = np.column_stack([Y_USER, 0.01 * X5**2])
    tree, params = drawn(y=Y)
    table = bnn.compare(tree)["posterior"]
    assert "noise" not in table
    for k, name in enumerate(("target_0", "target_1")):
        assert table[f"noise[{name}]"] == pytest.approx(params["noise"].mean() * Y[:, k].std())
    assert bnn.compare(drawn(y=Y, scaling=None)[0]).loc["noise"].item() == pytest.approx(params["noise"].mean())


def test_scaled_and_unscaled_fits_of_the_same_data_stand_in_one_table():
    scaled, plain = drawn()[0], drawn(scaling=None)[0]
    table = bnn.compare(scaled=scaled, plain=plain)
    order = ["log-likelihood", "log-prior (scaled units)", "log-prior", "weight norm (scaled units)", "weight norm"]
    assert list(table.index)[:5] == order
    assert table.loc["log-prior"].isna().tolist() == [True, False]
    assert table.loc["noise"].notna().all()


# Names


def test_fits_have_names():
    post, map_ = drawn()[0], point(kind="map")[0]
    assert list(bnn.compare(map_, post, map_)) == ["MAP 1", "posterior", "MAP 2"]
    assert list(bnn.compare(narrow=map_, wide=map_)) == ["narrow", "wide"]
    assert list(bnn.compare({"a b": map_, "X": post})) == ["a b", "X"]
    assert list(bnn.compare([map_, post], wide=map_)) == ["MAP", "posterior", "wide"]
    assert bnn.compare({"data": map_})["data"].equals(bnn.compare(map_)["MAP"].rename("data"))


def test_wrong_fits_and_rows_are_refused():
    tree = drawn()[0]
    other = drawn(y=Y_USER + np.array([0, 0, 0, 0, 1e-6]))[0]
    with pytest.raises(SpecError, match=r"different data \('wide' and 'narrow'\)"):
        bnn.compare(narrow=tree, wide=other)
    with pytest.raises(SpecError, match="no fits"):
        bnn.compare()
    with pytest.raises(SpecError, match="'posterior' twice"):
        bnn.compare(tree, posterior=tree)
    with pytest.raises(SpecError, match=r"it must be a bnn\.Dataset.*in a dict"):
        bnn.compare(tree, data=tree)
    with pytest.raises(FitError):
        bnn.compare(narrow=3)
    with pytest.raises(SpecError, match=r"no held-out rows.*data\.X and data\.y"):
        bnn.compare(tree, data=bnn.load_data("two_weights"))
    with pytest.raises(SpecError, match="Leave one out"):
        bnn.compare(tree, data=bnn.load_data("sine_gap"), X=X5, y=Y_USER)


# Fits without a maximum


def test_a_maximum_at_infinity_is_headed_so_and_has_the_numbers_of_the_limit():
    tree, _ = point(exists=0, limit=-3.25)
    table = bnn.compare(tree, drawn()[0])
    assert list(table) == ["MLE: at infinity", "posterior"]
    column = table["MLE: at infinity"]
    assert column["log-likelihood"] == -3.25
    assert column["weight norm (scaled units)"] == np.inf
    assert column["log-prior (scaled units)"] == -np.inf
    assert column["in-sample RMSE"] == pytest.approx(bnn.score(tree)["rmse"])
    assert np.isfinite(table["posterior"]).all()
    flat = point(bnn.MLP(hidden=(), prior=bnn.Flat()), exists=0, limit=-3.25)[0]
    assert np.isnan(bnn.compare(flat).loc["log-prior (scaled units)"].item())


def test_an_unbounded_likelihood_has_no_numbers_but_its_bounds():
    column = bnn.compare(point(exists=0)[0], X=X5, y=Y_USER)["MLE: unbounded"]
    infinite = ["log-likelihood", "in-sample LPPD"]
    assert (column[infinite] == np.inf).all()
    assert column["noise"] == 0
    assert column.drop([*infinite, "noise"]).isna().all()
    found = bnn.score(point(exists=0)[0])
    assert found.pop("n") == 5
    assert found.pop("lppd") == np.inf
    assert np.isnan(list(found.values())).all()
    node = bnn.MLP(hidden=(), loss="binary_cross_entropy")
    assert bnn.compare(point(node, [0, 0, 1, 1, 1], exists=0, scaling=None)[0]).isna().all(axis=None)


def test_an_undecided_maximum_keeps_its_numbers():
    tree, _ = point(exists=-1)
    assert bnn.compare(tree)["MLE: undecided"].equals(bnn.compare(point()[0])["MLE"].rename("MLE: undecided"))


# How it prints


def test_a_large_number_leaves_the_others_of_its_column_alone():
    plain = bnn.compare(drawn()[0], drawn(scaling=None)[0])
    table = plain.copy()
    table.loc["weight norm", "posterior 2"] = 1.23456e12
    table.loc["in-sample RMSE", "posterior 2"] = 7.7e-9
    for text in (repr(table.round(4)), table.round(4)._repr_html_()):
        assert "1.235e+12" in text
        assert f"{plain.loc['noise', 'posterior 2']:.4f}" in text
    assert "7.700e-09" in repr(table)
    assert "e+" not in repr(plain.round(4))
    assert "e+00" in pd.DataFrame(table).to_string(), "what pandas does by itself"
    table.loc["weight norm", "posterior 2"] = np.inf
    assert " inf" in repr(table)
    assert "NaN" in repr(table)


def test_the_table_stays_one_through_selection_and_rounding():
    table = bnn.compare(drawn()[0], point()[0])
    for other in (table.loc[["noise"]], table.round(2), table.T, table.rename(index=str.upper), table.astype(str)):
        assert type(other) is type(table)
        assert repr(other)
    assert isinstance(table, pd.DataFrame)
    assert isinstance(table["MLE"], pd.Series)
    ordinary = pd.DataFrame(table).round(3)
    assert repr(table.round(3)).split() == ordinary.to_string().split(), "ordinary numbers print as pandas prints them"
