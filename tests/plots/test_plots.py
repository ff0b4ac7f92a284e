"""Pictures of fits, optima and traces: every kind of data is drawn, and what is drawn is what was computed."""

import re
from dataclasses import replace

import arviz as az
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from numpy.testing import assert_allclose

import bayesnn as bnn
from bayesnn.errors import ConvergenceWarning, ImproperPriorError, SpecError
from bayesnn.plots import capacity_table
from bayesnn.symmetry.optima import same_optimum
from bayesnn.tree import KINDS, prepare
from tests.conftest import X5, Y5, random_params, tree_of


def drawn(net, X, y=None, *, draws=(2, 20), scaling=None, kind="posterior", seed=0):
    """A fit with given draws: nothing is compiled."""
    params = random_params(prepare(net, X, y, scaling=scaling), draws, seed=seed, scale=0.5)
    return tree_of(net, X, y, params, scaling=scaling, kind=kind)


def pair(net, X, y=None, **kwargs):
    return drawn(net, X, y, draws=(1, 1), kind="map", **kwargs), drawn(net, X, y, **kwargs)


def line_of(ax, label):
    """The line with a label, which there must be exactly once."""
    (line,) = [line for line in ax.get_lines() if line.get_label() == label]
    return line


def bands(ax):
    return [c for c in ax.collections if isinstance(c, PolyCollection)]


def texts(ax):
    return [t.get_text() for t in ax.texts]


def legend(axes):
    return [t.get_text() for t in axes[0].figure.legends[0].get_texts()]


def render(axes):
    np.ravel(axes)[0].figure.canvas.draw()


# Fits side by side


def test_curves_and_bands_are_the_predictions_in_the_users_units(sine):
    net = bnn.MLP(hidden=(2,))
    X, y = 100 + 10 * sine.X, -50 + 3 * np.asarray(sine.y)
    point, post = pair(net, X, y, scaling="standard")
    axes = bnn.plot_fits(point, post, prob=0.8)
    assert axes.shape == (2,)
    assert all(isinstance(ax, Axes) for ax in axes)
    assert [ax.get_title() for ax in axes] == ["MAP", "posterior"]
    for ax, fit, n_bands in ((axes[0], point, 1), (axes[1], post, 2)):
        grid, mean = line_of(ax, "mean").get_data()
        p = bnn.predict(fit, grid[:, None], prob=0.8)
        assert_allclose(mean, p["mean"][:, 0], rtol=1e-12)
        assert grid[0] < X.min() < X.max() < grid[-1]
        assert len(bands(ax)) == n_bands, "a point estimate is certain of its function"
        corners = bands(ax)[0].get_paths()[0].vertices[:, 1]
        assert corners.min() == pytest.approx(p.lower.min().item())
        assert corners.max() == pytest.approx(p.upper.max().item())
        shown = np.column_stack(line_of(ax, "data").get_data())
        assert_allclose(shown, np.column_stack([X, y]), rtol=1e-12)
    assert legend(axes) == ["80% of new y", "80% of the function", "mean", "data"]
    assert axes[0].get_xlabel() == "x1"
    assert axes[0].get_ylabel() == "target"
    assert axes[1].get_ylabel() == ""
    render(axes)


def test_the_truth_is_drawn_where_it_is_known(sine, sine_mle, sine_map, sine_post):
    axes = bnn.plot_fits(sine_mle, sine_map, sine_post, data=sine)
    assert [ax.get_title() for ax in axes] == ["MLE", "MAP", "posterior"]
    for ax in axes:
        x, truth = line_of(ax, "truth").get_data()
        assert_allclose(truth, np.sin(x + 1.2), rtol=1e-12)
        assert_allclose(x, sine.X_new[:, 0], rtol=1e-12)
    assert "truth" not in legend(bnn.plot_fits(sine_map))
    render(axes)


def test_several_targets_and_counts():
    Y = np.column_stack([Y5, X5**2])
    axes = bnn.plot_fits(*pair(bnn.MLP(hidden=()), X5, Y))
    assert line_of(axes[0], "mean target_0").get_linestyle() != line_of(axes[0], "mean target_1").get_linestyle()
    assert_allclose(line_of(axes[0], "data target_1").get_ydata(), X5**2)
    assert axes[0].get_ylabel() == "targets"
    axes = bnn.plot_fits(*pair(bnn.MLP(hidden=(), loss="poisson"), X5, [0, 1, 1, 3, 6]))
    assert axes[0].get_ylabel() == "target", "the mean is shown, not the output, which is its logarithm"
    assert axes[0].get_ylim()[0] > -1
    axes = bnn.plot_fits(*pair(bnn.MLP(hidden=(), loss="gaussian_nll"), X5, Y5))
    assert axes[0].get_ylabel() == "target"


@pytest.mark.parametrize(
    ("loss", "y", "curves"),
    [
        ("binary_cross_entropy", [0, 1, 0, 1, 1], ["p(1)"]),
        ("cross_entropy", [0, 1, 2, 1, 2], ["p(0)", "p(1)", "p(2)"]),
        ("ordinal", [0, 1, 2, 1, 2], ["p(0)", "p(1)", "p(2)"]),
    ],
)
def test_one_input_and_labels_show_probabilities(loss, y, curves):
    fits = pair(bnn.MLP(hidden=(2,), loss=loss), X5, y)
    axes = bnn.plot_fits(*fits)
    for ax, fit in zip(axes, fits, strict=True):
        for name in curves:
            x, p = line_of(ax, name).get_data()
            expected = bnn.predict(fit, x[:, None])["probability"].sel({"class": name[2:-1]})
            assert_allclose(p, expected, rtol=1e-12)
    assert legend(axes) == [*curves, "data, a row for each class"]
    if loss == "binary_cross_entropy":
        assert [line_of(ax, "p(1)").get_linestyle() for ax in axes] == ["-.", "-"], "each answer has its dashes"
    render(axes)


@pytest.mark.parametrize("classes", [2, 3])
def test_two_inputs_and_labels_show_a_surface(classes):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 2)), np.arange(30) % classes
    loss = "binary_cross_entropy" if classes == 2 else "cross_entropy"
    axes = bnn.plot_fits(*pair(bnn.MLP(hidden=(2,), loss=loss), X, y))
    for ax in axes:
        assert len(ax.collections) == 2, "the shades and the border"
        for k in range(classes):
            assert_allclose(np.column_stack(line_of(ax, str(k)).get_data()), X[y == k])
    assert legend(axes) == [str(k) for k in range(classes)]
    bars = [ax for ax in axes[0].figure.axes if ax not in list(axes)]
    assert [bar.get_ylabel() for bar in bars] == ["p(1)" if classes == 2 else "largest probability"]
    assert axes[0].get_xlabel() == "x1"
    assert axes[0].get_ylabel() == "x2"
    render(axes)


def test_many_inputs_show_held_out_rows_against_what_was_observed():
    data = bnn.load_data("diabetes", random_seed=1)
    fits = pair(bnn.MLP(hidden=(3,)), data)
    axes = bnn.plot_fits(*fits, data=data)
    for ax, fit in zip(axes, fits, strict=True):
        mean, observed = line_of(ax, "held-out row").get_data()
        assert_allclose(observed, data.y_test)
        assert_allclose(mean, bnn.predict(fit, data.X_test)["mean"][:, 0], rtol=1e-12)
        mean, observed = line_of(ax, "training row").get_data()
        assert_allclose(observed, data.y)
        assert_allclose(mean, bnn.predict(fit, data.X)["mean"][:, 0], rtol=1e-12)
        (said,) = [re.fullmatch(r"RMSE: training (\S+), held-out (\S+)", text) for text in texts(ax) if "RMSE" in text]
        assert float(said[1]) == pytest.approx(bnn.score(fit, data.X, data.y)["rmse"], rel=5e-3)
        assert float(said[2]) == pytest.approx(bnn.score(fit, data.X_test, data.y_test)["rmse"], rel=5e-3)
    looks = {(line.get_markerfacecolor(), line.get_markeredgecolor()) for line in axes[0].get_lines()[:2]}
    assert len(looks) == 2
    assert axes[0].get_ylabel() == "observed disease progression"
    alone = bnn.plot_fits(fits[0])[0]
    assert any(re.fullmatch(r"RMSE: training \S+", text) for text in texts(alone))
    render(axes)


def test_one_wild_prediction_does_not_squeeze_the_others():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    X[0] *= 100
    net = bnn.MLP(hidden=())
    params = {"W1": np.ones((1, 1, 3, 1)), "b1": np.zeros((1, 1, 1)), "noise": np.ones((1, 1))}
    y = np.clip(X.sum(axis=1), -3, 3)
    (ax,) = bnn.plot_fits(tree_of(net, X, y, params, kind="map"))
    assert np.abs(X[0].sum()) > 50 > np.abs(ax.get_xlim()).max()
    assert "some predictions leave the frame" in texts(ax)
    tame = {k: v / 1000 if k == "W1" else v for k, v in params.items()}
    assert "some predictions leave the frame" not in texts(bnn.plot_fits(tree_of(net, X, y, tame, kind="map"))[0])


def test_many_inputs_and_classes_show_the_probability_of_the_truth():
    data = bnn.load_data("iris", random_seed=1)
    fits = pair(bnn.MLP(hidden=(2,), loss="cross_entropy"), data)
    axes = bnn.plot_fits(*fits, data=data)
    for ax, fit in zip(axes, fits, strict=True):
        found = bnn.predict(fit, data.X_test)["probability"].to_numpy()[np.arange(30), data.y_test]
        shown = np.concatenate([line_of(ax, name).get_ydata() for name in data.class_names])
        assert_allclose(np.sort(shown), np.sort(found), rtol=1e-12)
        accuracy = bnn.score(fit, data.X_test, data.y_test)["accuracy"]
        seen = bnn.score(fit, data.X, data.y)["accuracy"]
        assert f"accuracy: training {seen:.3f}, held-out {accuracy:.3f}" in texts(ax)
        own = bnn.predict(fit, data.X)["probability"].to_numpy()[np.arange(120), data.y]
        assert_allclose(line_of(ax, "training rows").get_ydata(), np.sort(own), rtol=1e-12)
    assert legend(axes) == ["training rows", *data.class_names]
    render(axes)


@pytest.mark.parametrize(("name", "loss"), [("coin", "binary_cross_entropy"), ("three_points", "squared_error")])
def test_data_without_features_are_drawn_too(name, loss):
    data = bnn.load_data(name)
    fits = pair(bnn.MLP(hidden=(), loss=loss), data)
    render(bnn.plot_fits(*fits, data=data))
    render(bnn.plot_traces(fits[1]))


def test_held_out_rows_have_a_mark_of_their_own(sine, sine_map):
    (ax,) = bnn.plot_fits(sine_map, data=sine)
    seen, held_out = line_of(ax, "data"), line_of(ax, "held-out data")
    assert_allclose(np.column_stack(held_out.get_data()), np.column_stack([sine.X_test, sine.y_test]))
    assert seen.get_markerfacecolor() != held_out.get_markerfacecolor()
    low, high = ax.get_ylim()
    assert low < sine.y_test.min() < sine.y_test.max() < high
    line = bnn.load_data("separable_line")
    node = drawn(bnn.MLP(hidden=(), loss="binary_cross_entropy"), line.X, line.y)
    (ax,) = bnn.plot_fits(node, data=line)
    x, up = line_of(ax, "held-out data").get_data()
    assert_allclose(x, line.X_test[:, 0])
    assert_allclose(np.round(up), line.y_test)
    moons = bnn.load_data("two_moons")
    surface = drawn(bnn.MLP(hidden=(2,), loss="binary_cross_entropy"), moons.X, moons.y)
    (ax,) = bnn.plot_fits(surface, data=moons)
    for k in (0, 1):
        shown = line_of(ax, f"{k}, held out")
        assert_allclose(np.column_stack(shown.get_data()), moons.X_test[moons.y_test == k])
        own = line_of(ax, str(k))
        assert shown.get_marker() != own.get_marker()
        faces = {own.get_markerfacecolor(), own.get_markeredgecolor()}
        assert faces == {"white", "#000000"}, "a mark has a light and a dark part, for light and dark grounds"


def test_a_fit_without_a_maximum_is_headed_so(sine_mle):
    ghost = at_infinity(sine_mle, 21.5)
    assert bnn.plot_fits(ghost)[0].get_title() == "MLE: at infinity"
    assert "MLE: at infinity" in texts(bnn.plot_fits(steep=ghost)[0])[0]


def test_names_are_titles(sine_map, sine_mle):
    named = bnn.plot_fits(narrow=sine_map, wide=sine_mle)
    assert [ax.get_title() for ax in named] == ["narrow", "wide"]
    assert [texts(ax)[0].strip() for ax in named] == ["MAP", "MLE"], "which answer it is"
    assert [ax.get_title() for ax in bnn.plot_fits({"a": sine_map})] == ["a"]
    several = bnn.plot_fits([sine_map, sine_map])
    assert [ax.get_title() for ax in several] == ["MAP 1", "MAP 2"]
    assert [texts(ax)[0].strip() for ax in several] == ["", ""]
    with pytest.raises(SpecError, match="twice"):
        bnn.plot_fits({"a": sine_map}, a=sine_mle)


def test_a_posterior_whose_chains_disagree_carries_that(sine_post):
    good = sine_post.copy()
    good.attrs |= {"bayesnn_function_rhat": 1.01, "bayesnn_divergences": 0}
    assert not "".join(texts(bnn.plot_fits(good)[0]))
    bad = sine_post.copy()
    bad.attrs |= {"bayesnn_function_rhat": 1.312, "bayesnn_divergences": 43}
    axes = bnn.plot_fits(bad, good)
    assert texts(axes[0])[0] == "chains disagree about the function (R-hat 1.31)\n43 of 4000 draws diverged"
    render(axes)


def test_a_mean_that_leaves_the_frame_is_marked(sine, sine_map):
    wild = sine_map.copy(deep=True)
    wild["posterior"]["W2"][:] *= 40
    (ax,) = bnn.plot_fits(wild, data=sine)
    mean = line_of(ax, "mean").get_ydata()
    top = [text for text in texts(ax) if "leaves" in text]
    assert f"leaves, to {mean.max():.3g}" in top
    assert {line.get_marker() for line in ax.get_lines() if line.get_label() == "_leaves"} >= {"^"}
    assert not any("leaves" in text for text in texts(bnn.plot_fits(sine_map, data=sine)[0]))


def test_the_legend_has_what_any_panel_shows(sine_map, sine_post):
    assert "90% of the function" in legend(bnn.plot_fits(sine_post, sine_map))


def test_no_fits_are_no_picture():
    with pytest.raises(SpecError, match="no fits"):
        bnn.plot_fits()


# Where the starts ended


def test_optima_show_every_start_and_its_function(sine, sine_net, sine_map):
    left, right = bnn.plot_optima(sine_map)
    joint = np.sort(sine_map.optima.log_likelihood + sine_map.optima.log_prior)[::-1]
    shown = np.concatenate([line.get_ydata() for line in left.get_lines()])
    assert_allclose(np.sort(shown)[::-1], joint, rtol=1e-12)
    assert left.get_title() == "MAP: 20 starts"
    assert left.get_ylabel() == "log-likelihood + log-prior"
    assert all(float(t).is_integer() for t in left.get_xticks())
    best = line_of(right, "best optimum")
    params = {k: v.to_numpy()[0, 0] for k, v in sine_map.posterior.data_vars.items()}
    assert_allclose(best.get_ydata(), sine_net.forward(params, best.get_xdata()[:, None])[:, 0], atol=1e-12)
    assert_allclose(np.column_stack(line_of(right, "data").get_data()), np.column_stack([sine.X, sine.y]))
    assert line_of(right, "data").get_zorder() > best.get_zorder()
    render(left)


def with_optima(fit, **columns):
    """The fit with other columns in its group of end points."""
    changed = fit.copy()
    new = {k: (fit["optima"][k].dims, v) for k, v in columns.items()}
    changed["optima"] = xr.DataTree(fit["optima"].to_dataset().assign(new))
    changed["optima"].attrs.update(fit["optima"].attrs)
    return changed


def shares(fit):
    """What the picture says of how many starts share the best optimum, and the number of its filled dots."""
    left, right = bnn.plot_optima(fit)
    filled = [line for line in left.get_lines() if line.get_label().endswith("the best")]
    said = re.fullmatch(r"(\d+) of 20 starts reached the best optimum", right.get_title())
    return int(said[1]), sum(line.get_xdata().size for line in filled)


def test_optima_count_what_is_the_same_by_one_rule(sine, sine_net, sine_map):
    """Same height and same function; neither alone."""
    optima = sine_map.optima
    density = (optima.log_likelihood + optima.log_prior).to_numpy()
    f = sine_net.forward({k: optima[k].to_numpy() for k in ("W1", "b1", "W2", "b2")}, sine.X)
    converged = optima.converged.to_numpy().astype(bool)
    best = int(optima.attrs["best"])
    same = int((same_optimum(density, f, best) & converged).sum())
    assert shares(sine_map) == (same, same)
    assert same == 20
    # Five other functions at the same height, four of the same function that stand lower, one that did not converge.
    others = np.setdiff1d(np.arange(20), [best])
    b2, height = optima.b2.to_numpy().copy(), optima.log_likelihood.to_numpy().copy()
    done = converged.copy()
    b2[others[:5]] += 0.3
    height[others[5:9]] -= 2
    done[others[9]] = False
    # Not above the best by its rounding.
    height[others[9]] -= 1e-9
    assert shares(with_optima(sine_map, b2=b2, log_likelihood=height, converged=done)) == (10, 10)


def test_a_start_that_is_higher_and_did_not_converge_is_named(sine_map):
    done = np.ones(20, dtype=bool)
    done[sine_map.optima.attrs["best"]] = False
    height = sine_map.optima.log_likelihood.to_numpy().copy()
    height[sine_map.optima.attrs["best"]] += 1
    left, right = bnn.plot_optima(with_optima(sine_map, converged=done, log_likelihood=height))
    assert right.get_title() == (
        "the highest start did not converge;\n19 of 20 starts reached the best optimum that did"
    )
    assert line_of(left, "local maximum: the best that converged").get_xdata().size == 19
    assert line_of(left, "local maximum, not converged").get_ydata() == height.max() + float(
        sine_map.optima.log_prior[sine_map.optima.attrs["best"]]
    )
    _, right = bnn.plot_optima(with_optima(sine_map, converged=np.zeros(20, dtype=bool)))
    assert right.get_title() == "none of 20 starts converged"


def test_optima_at_one_height_are_no_picture_of_rounding_errors(sine_map):
    together = sine_map.isel(start=[sine_map.optima.attrs["best"]] * 3)
    together.optima.attrs["best"] = 0
    left, _ = bnn.plot_optima(together)
    assert np.ptp(left.get_ylim()) >= 0.5
    render(left)
    assert left.yaxis.get_offset_text().get_text() == ""


def test_optima_tell_maxima_from_saddles_and_from_starts_that_did_not_converge(sine_mle):
    signature, converged = np.full(20, "minimum", dtype="<U7"), np.ones(20, dtype=bool)
    signature[:2], converged[1:4] = "saddle", False
    left, _ = bnn.plot_optima(with_optima(sine_mle, signature=signature, converged=converged))
    found = {line.get_label(): line.get_xdata().size for line in left.get_lines()}
    assert sum(found.values()) == 20
    assert found["saddle, not converged"] == 1
    assert found["local maximum, not converged"] == 2
    assert not any("minimum" in name for name in found), "the highest dots are maxima of what the axis shows"
    assert left.get_ylabel() == "log-likelihood"
    looks = {(line.get_marker(), line.get_markerfacecolor()) for line in left.get_lines()}
    assert len(looks) == len(found)


def test_optima_of_many_inputs_are_fitted_against_observed():
    data = bnn.load_data("diabetes", random_seed=1)
    tree = bnn.fit_map(bnn.MLP(hidden=(), noise=0.7), data, restarts=2, random_seed=1, progressbar=False)
    _, right = bnn.plot_optima(tree)
    fitted, observed = line_of(right, "best optimum").get_data()
    assert_allclose(fitted, bnn.predict(tree)["mean"][:, 0], rtol=1e-9)
    assert_allclose(observed, data.y)
    assert right.get_xlabel() == "fitted disease progression"
    assert len(right.get_lines()) == 2, "the rows and the diagonal: no curve through rows"


def test_optima_of_many_functions_are_a_range_and_not_hair(sine):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 3))
    data = bnn.MLP(hidden=(3,), noise=0.1, prior=bnn.Normal(3.0))
    tree = bnn.fit_map(data, X, np.sin(2 * X).sum(axis=1), restarts=8, random_seed=1, progressbar=False)
    left, right = bnn.plot_optima(tree)
    n = bnn.count_modes(tree).n_modes
    assert n > 2
    (bars,) = right.collections
    assert bars.get_label() == f"range over {n} optima"
    converged = np.flatnonzero(tree.optima.converged)
    params = {k: tree.optima[k].to_numpy()[converged] for k in ("W1", "b1", "W2", "b2")}
    f = data.forward(params, X)[..., 0]
    ends = np.array([segment[:, 0] for segment in bars.get_segments()])
    assert_allclose(ends, np.column_stack([f.min(axis=0), f.max(axis=0)]), atol=2e-3)
    assert len(right.get_lines()) == 2
    assert "local maximum: another optimum" in {line.get_label() for line in left.get_lines()}
    render(left)


def test_optima_of_labels_are_probabilities():
    data = bnn.load_data("iris", random_seed=1)
    net = bnn.MLP(hidden=(), loss="cross_entropy")
    tree = bnn.fit_map(net, data, restarts=2, random_seed=1, progressbar=False)
    _, right = bnn.plot_optima(tree)
    own = bnn.predict(tree)["probability"].to_numpy()[np.arange(len(data.y)), data.y]
    assert_allclose(line_of(right, "best optimum").get_ydata(), np.sort(own), rtol=1e-9)
    node = bnn.fit_map(replace(net, loss="binary_cross_entropy"), X5, [0, 1, 0, 1, 1], restarts=2, progressbar=False)
    _, right = bnn.plot_optima(node)
    x, p = line_of(right, "best optimum").get_data()
    assert_allclose(p, bnn.predict(node, x[:, None])["probability"][:, 1], rtol=1e-9)


def at_infinity(fit, log_likelihood):
    """The fit as one whose maximum lies at infinity."""
    ghost = fit.copy()
    ghost.attrs |= {"bayesnn_exists": 0, "bayesnn_limit": "unit 1 becomes a step at x = 0"}
    ghost["limit"] = xr.DataTree(xr.Dataset({"log_likelihood": log_likelihood}))
    return ghost


def test_optima_of_a_maximum_at_infinity_show_the_limit(sine_mle):
    ghost = at_infinity(sine_mle, 21.5)
    left, right = bnn.plot_optima(ghost)
    assert left.get_title() == "MLE: at infinity, 20 starts"
    assert_allclose(line_of(left, "limit").get_ydata(), 21.5)
    assert left.get_ylim()[1] > 21.5
    assert "best" not in " ".join(line.get_label() for line in left.get_lines()), "an end point is no optimum"
    x, curve = line_of(right, "limit").get_data()
    assert_allclose(curve, bnn.predict(ghost, x[:, None])["mean"][:, 0], rtol=1e-9)
    assert right.get_title() == "the limit, and where the starts stopped"
    assert left.figure.get_supxlabel() == "limit: unit 1 becomes a step at x = 0"
    for exists, name in ((0, "MLE: unbounded"), (-1, "MLE: undecided")):
        other = sine_mle.copy()
        other.attrs["bayesnn_exists"] = exists
        left, right = bnn.plot_optima(other)
        assert left.get_title() == f"{name}, 20 starts"
        assert "reached" not in right.get_title()
        assert line_of(right, "highest end point")


@pytest.mark.parametrize("inputs", [1, 2])
def test_rates_beyond_every_number_are_drawn_all_the_same(inputs):
    """End points on the way to infinity: exp(f) overflows for some of them."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, inputs)), np.arange(12)
    net = bnn.MLP(hidden=(), loss="poisson")
    fit = bnn.fit_mle(net, X, y, restarts=3, random_seed=1, progressbar=False)
    W1 = fit.optima.W1.to_numpy().copy()
    other = (fit.optima.attrs["best"] + 1) % 3
    W1[other] = 2000.0
    axes = bnn.plot_optima(with_optima(fit, W1=W1, converged=np.arange(3) != other))
    assert any("leave" in text for text in texts(axes[1]))
    render(axes)


def test_a_curve_that_leaves_the_frame_is_marked(sine_map):
    b2 = sine_map.optima.b2.to_numpy().copy()
    other = (sine_map.optima.attrs["best"] + 1) % 20
    _, right = bnn.plot_optima(sine_map)
    assert not texts(right)
    b2[other] += 1234
    _, right = bnn.plot_optima(with_optima(sine_map, b2=b2))
    (mark,) = [line for line in right.get_lines() if line.get_label() == "_leaves"]
    assert mark.get_ydata() == right.get_ylim()[1]
    assert mark.get_marker() == "^"
    top = max(line.get_ydata().max() for line in right.get_lines())
    assert texts(right) == [f"leaves, to {top:,.0f}"]
    assert 1234 < top < 1237


def test_a_posterior_has_no_optima(sine_post):
    with pytest.raises(SpecError, match="fit_mle and fit_map"):
        bnn.plot_optima(sine_post)


# Functions drawn from the prior


def band_of(ax, share):
    """Ends of a band: x, lower and upper."""
    (band,) = [c for c in bands(ax) if c.get_label() == f"{share}% of the functions"]
    corners = np.unique(band.get_paths()[0].vertices, axis=0)
    x = np.unique(corners[:, 0])
    ends = [(corners[corners[:, 0] == at, 1].min(), corners[corners[:, 0] == at, 1].max()) for at in x]
    return x, np.array(ends).T


def test_bands_of_the_prior_are_those_of_its_exact_distribution():
    """A line's functions are normal at every input, with variance sd^2 (1 + x^2)."""
    line = bnn.MLP(hidden=(), prior=bnn.Normal(2.0))
    (ax,) = bnn.plot_prior(line, X5, Y5, draws=40_000, curves=7, random_seed=1)
    for share, z in ((90, 1.6448536), (50, 0.6744898)):
        x, (lower, upper) = band_of(ax, share)
        assert_allclose(upper, z * 2 * np.sqrt(1 + x**2), rtol=0.03)
        assert_allclose(lower, -z * 2 * np.sqrt(1 + x**2), rtol=0.03)
    assert len([line for line in ax.get_lines() if line.get_label() in ("7 draws", "_draw")]) == 7
    assert_allclose(np.column_stack(line_of(ax, "data").get_data()), np.column_stack([X5, Y5]))
    assert ax.figure.get_suptitle() == "prior Normal(sd=2.0): 7 of 40000 functions"
    render(ax)


def test_the_prior_is_shown_in_the_users_units():
    line = bnn.MLP(hidden=(), prior=bnn.Normal(1.0))
    X, y = 100 + 10 * X5, 50 + 7 * Y5
    (ax,) = bnn.plot_prior(line, X, y, scaling="standard", draws=40_000, random_seed=1)
    x, (lower, upper) = band_of(ax, 90)
    half = 1.6448536 * y.std() * np.sqrt(1 + ((x - X.mean()) / X.std()) ** 2)
    assert_allclose([lower, upper], [y.mean() - half, y.mean() + half], rtol=0.03)
    assert x[0] < X.min() < X.max() < x[-1]
    assert_allclose(np.column_stack(line_of(ax, "data").get_data()), np.column_stack([X, y]))


def test_the_prior_of_labels_is_one_of_probabilities():
    iris = bnn.load_data("iris", random_seed=1)
    axes = bnn.plot_prior(bnn.MLP((3,), loss="cross_entropy"), iris, feature="petal width (cm)", draws=400)
    assert [ax.get_ylabel() for ax in axes] == [f"p({name})" for name in iris.class_names]
    assert {ax.get_xlabel() for ax in axes} == {"petal width (cm)"}
    assert "the other features at their means" in axes[0].figure.get_suptitle()
    curves = [np.array([line.get_ydata() for line in ax.get_lines() if "draw" in line.get_label()]) for ax in axes]
    assert_allclose(np.sum(curves, axis=0), 1, rtol=1e-12)
    for k, ax in enumerate(axes):
        x, has = line_of(ax, "data").get_data()
        assert_allclose(x, iris.X[:, 3])
        assert_allclose(has, iris.y == k)
    (ax,) = bnn.plot_prior(bnn.MLP((2,), loss="binary_cross_entropy"), X5, random_seed=1)
    assert ax.get_ylabel() == "p(1)"
    assert not [line for line in ax.get_lines() if line.get_label() == "data"], "none were given"
    (ax,) = bnn.plot_prior(bnn.MLP((), loss="binary_cross_entropy"), bnn.load_data("coin"), draws=40_000, random_seed=1)
    inside = sum(p.get_width() * p.get_height() for p in ax.patches if p.get_x() + p.get_width() / 2 > 0.76)
    assert inside == pytest.approx(0.124, abs=0.01), "P(logit > log(.76 / .24)) for a standard normal logit"
    for axes in (bnn.plot_prior(bnn.MLP((2,), loss=loss), X5, [0, 1, 2, 1, 2]) for loss in ("poisson", "ordinal")):
        render(axes)


def test_draws_from_the_prior_have_its_moments():
    from bayesnn.fitting.prior import prior_draws

    n, rng = 20_000, np.random.default_rng(1)
    problem = prepare(bnn.MLP((4,), prior=bnn.Normal(2.0, fan_in=True, bias=bnn.Laplace(3.0))), X5, Y5)
    params = prior_draws(problem, n, rng)
    assert params["W2"].std() == pytest.approx(2 / np.sqrt(4), rel=0.02)
    assert np.abs(params["b1"]).mean() == pytest.approx(3.0, rel=0.02)
    assert params["noise"].std() == pytest.approx(np.sqrt(1 - 2 / np.pi), rel=0.03)
    # Learned scales: E w^2 = E s^2 = sd^2, E w^4 = 3 E s^4 = 9 sd^4, and a layer's weights share their scale.
    shared = prior_draws(prepare(bnn.MLP((2,), noise=1.0, prior=bnn.Hierarchical(2.0)), X5, Y5), n, rng)
    w = shared["W1"].reshape(n, -1)
    assert np.mean(w**2) == pytest.approx(4, rel=0.05)
    assert np.mean(w[:, 0] ** 2 * w[:, 1] ** 2) == pytest.approx(48, rel=0.25), "E s^4 = 3 sd^4; 16 without sharing"
    ordinal = prior_draws(prepare(bnn.MLP((2,), loss="ordinal"), X5, [0, 1, 2, 1, 2]), n, rng)
    assert (np.diff(ordinal["cutpoints"], axis=-1) >= 0).all()


def test_the_prior_refuses():
    net, y3 = bnn.MLP((2,)), [0, 1, 2, 1, 2]
    with pytest.raises(ImproperPriorError, match="Normal"):
        bnn.plot_prior(bnn.MLP((2,), prior=bnn.Flat()), X5, Y5)
    for args, options, words in (
        ((net, X5, Y5), {"feature": 2}, "the data have x1"),
        ((net, X5, Y5), {"feature": "hours"}, "'hours'"),
        ((net, X5, Y5), {"prob": 1}, "between 0 and 1"),
        ((net, X5, Y5), {"draws": 0}, "positive integer"),
        ((net, X5), {"scaling": "standard"}, "without y"),
        ((bnn.MLP((2,), loss="cross_entropy"), X5), {}, "needs labels"),
    ):
        with pytest.raises(SpecError, match=words):
            bnn.plot_prior(*args, **options)
    render(bnn.plot_prior(bnn.MLP((2,), loss="cross_entropy"), X5, y3))


# Error against capacity


@pytest.fixture(scope="module")
def capacity(sine):
    """Two capacities of every answer, on the data that the session's fits are of."""
    net = bnn.MLP(noise=0.2, prior=bnn.Normal(1.0))
    return capacity_table(
        net, sine, hidden=[0, (2,)], restarts=20, draws=60, tune=60, chains=2, random_seed=1, progressbar=False
    )


def test_the_table_of_capacities_has_the_fits_scores(capacity, sine, sine_mle, sine_map):
    assert list(capacity["answer"]) == ["mle", "map", "posterior"] * 2
    assert list(capacity["hidden"]) == ["0"] * 3 + ["2"] * 3
    for answer, fit in (("mle", sine_mle), ("map", sine_map)):
        row = capacity[(capacity.answer == answer) & (capacity.hidden == "2")].iloc[0]
        seen, unseen = bnn.score(fit, sine.X, sine.y), bnn.score(fit, sine.X_test, sine.y_test)
        found = row[["training RMSE", "held-out RMSE", "training LPPD", "held-out LPPD"]].to_numpy(dtype=float)
        assert_allclose(found, [seen["rmse"], unseen["rmse"], seen["lppd"], unseen["lppd"]], rtol=1e-6)
        assert row["sound"]
        assert row["heading"] == KINDS[answer]
    mle = capacity[capacity.answer == "mle"]
    assert mle["training LPPD"].is_monotonic_increasing, "a small network is a larger one with units at zero"


def test_capacity_shows_the_table(capacity):
    left, right = bnn.plot_capacity(capacity)
    assert (left.get_title(), right.get_title()) == ("training rows", "held-out rows")
    assert left.get_ylabel() == "RMSE"
    assert left.get_xlabel() == "hidden units"
    assert [t.get_text() for t in left.get_xticklabels()] == ["0", "2"]
    for ax, where in ((left, "training"), (right, "held-out")):
        for answer, name in KINDS.items():
            shown = capacity.loc[capacity.answer == answer, f"{where} RMSE"]
            assert_allclose(line_of(ax, name).get_ydata(), shown)
    assert bnn.plot_capacity(capacity, measure="lppd")[0].get_ylabel() == "LPPD, nats for each row"
    render(left)


def test_capacity_survives_a_file_and_marks_what_is_no_maximum(capacity, tmp_path):
    marked = capacity.copy()
    marked.loc[3, ["sound", "heading"]] = False, "MLE: at infinity"
    marked.to_csv(tmp_path / "capacity.csv", index=False)
    axes = bnn.plot_capacity(pd.read_csv(tmp_path / "capacity.csv"))
    for ax, where in zip(axes, ("training", "held-out"), strict=True):
        unsound = line_of(ax, "_open mle")
        assert_allclose(unsound.get_ydata(), capacity.loc[[3], f"{where} RMSE"])
        assert unsound.get_markerfacecolor() == "white"
    assert [t.get_text() for t in axes[0].get_xticklabels()] == ["0", "2"]
    assert any(text.startswith("open: no maximum") for text in legend(axes))
    whole = bnn.plot_capacity(capacity.assign(sound=True))
    assert legend(whole) == list(KINDS.values())


def test_wild_fits_do_not_flatten_the_others(capacity):
    wild = capacity.copy()
    wild.loc[3, ["held-out RMSE", "held-out LPPD"]] = 1000.0, -600.0
    assert bnn.plot_capacity(capacity)[0].get_yscale() == "linear"
    assert bnn.plot_capacity(wild)[0].get_yscale() == "log"
    left, right = bnn.plot_capacity(wild, measure="lppd")
    assert np.ptp(right.get_ylim()) < 12
    assert "leaves, to -600" in texts(right)
    render(left)


def test_fits_that_are_known_are_not_made_again(capacity, sine, monkeypatch):
    from bayesnn.plots import capacity as module

    net, made = bnn.MLP(noise=0.2), []
    monkeypatch.setattr(module, "_row", lambda *args: made.append(args[0]) or dict(capacity.iloc[0, 2:]))
    again = capacity_table(net, sine, hidden=[0, 2, 5], table=capacity, progressbar=False)
    assert made == ["mle", "map", "posterior"], "only those of five units"
    pd.testing.assert_frame_equal(again.iloc[:6], capacity)
    made.clear()
    widths = capacity_table(net, sine, prior_sd=[0.1, 1, 10], progressbar=False)
    assert made == ["mle", "map", "posterior", "map", "posterior", "map", "posterior"], "the MLE has no prior"
    assert list(widths["prior_sd"]) == [0.1] * 3 + [1.0] * 3 + [10.0] * 3
    left, _ = bnn.plot_capacity(widths)
    assert left.get_xscale() == "log"
    assert left.get_xlabel() == "standard deviation of the prior"

    def stop(*args):
        if made:
            raise KeyboardInterrupt
        return made.append(1) or dict(capacity.iloc[0, 2:])

    made.clear()
    monkeypatch.setattr(module, "_row", stop)
    with pytest.warns(ConvergenceWarning, match="1 of 6 fits are kept"):
        kept = capacity_table(net, sine, hidden=[1, 2], progressbar=False)
    assert len(kept) == 1


def test_what_is_unsound(sine, sine_mle, sine_post):
    from bayesnn.plots.capacity import _sound

    best = int(sine_mle.optima.attrs["best"])
    done = np.ones(20, dtype=bool)
    done[best] = False
    undecided, rhat, divergent = sine_mle.copy(), sine_post.copy(), sine_post.copy()
    undecided.attrs["bayesnn_exists"] = -1
    rhat.attrs |= {"bayesnn_function_rhat": 1.06, "bayesnn_divergences": 0}
    divergent.attrs |= {"bayesnn_function_rhat": 1.0, "bayesnn_divergences": 3}
    assert _sound(sine_mle)
    lost = with_optima(sine_mle, converged=done)
    assert not any(_sound(fit) for fit in (undecided, at_infinity(sine_mle, 21.5), rhat, divergent, lost))


def test_error_rates_of_labels_and_a_maximum_that_does_not_exist():
    line = bnn.load_data("separable_line")
    net = bnn.MLP(loss="binary_cross_entropy")
    left, right = bnn.plot_capacity(net, line, hidden=[0], answers=["mle", "map"], restarts=3, progressbar=False)
    assert left.get_ylabel() == "error rate"
    assert_allclose(line_of(left, "MLE").get_ydata(), 0)
    assert line_of(right, "_open mle").get_xdata().size == 1, "the classes are separated: there is no MLE"
    assert line_of(right, "_open map").get_xdata().size == 0


def test_capacity_refuses_before_anything_long(sine, monkeypatch):
    from bayesnn.plots import capacity as module

    monkeypatch.setattr(module, "_row", lambda *args: pytest.fail("a fit was made"))
    net = bnn.MLP(noise=0.2)
    for args, options, words in (
        ((net, sine), {}, "neither hidden nor prior_sd"),
        ((net, sine), {"hidden": [1], "prior_sd": [1.0]}, "both"),
        ((net, sine), {"hidden": []}, "at least one"),
        ((net, sine), {"hidden": [1], "answers": ["mcmc"]}, "'posterior'"),
        ((net, replace(sine, X_test=None, y_test=None)), {"hidden": [1]}, "held-out"),
        ((net, sine.X), {"hidden": [1]}, "ndarray"),
        ((net, sine), {"hidden": [-1]}, "positive integers"),
        ((replace(net, prior=bnn.Laplace(1.0)), sine), {"prior_sd": [1.0]}, "no standard deviation"),
        ((replace(net, prior=bnn.Flat()), sine), {"hidden": [1]}, "no posterior"),
    ):
        with pytest.raises(SpecError, match=words):
            capacity_table(*args, progressbar=False, **options)
    for args, options, words in (
        ((pd.DataFrame({"a": [1]}),), {}, "capacity_table"),
        ((pd.DataFrame({"a": [1]}),), {"hidden": [1]}, "the table alone"),
        ((net, sine), {"measure": "loss"}, "'lppd'"),
    ):
        with pytest.raises(SpecError, match=words):
            bnn.plot_capacity(*args, **options)


# Traces


def test_traces_show_the_draws_and_their_rhat(sine_net, sine_post):
    axes = bnn.plot_traces(sine_post, weights=2, inputs=1)
    assert axes.shape == (3, 2)
    w = sine_post.posterior.W1.to_numpy()
    for row in range(2):
        ax = axes[row, 0]
        assert_allclose([line.get_ydata() for line in ax.get_lines()], w[:, :, 0, row])
        assert ax.get_title(loc="left") == f"W1, unit {row + 1}: R-hat {float(az.rhat(w[:, :, 0, row])):.2f}"
        assert len(axes[row, 1].get_lines()) == 4
    title = axes[2, 0].get_title(loc="left")
    x = sine_post.constant_data.X.to_numpy()
    i = np.argmin(np.abs(x[:, 0] - float(re.match(r"f at x1 = (\S+):", title)[1])))
    params = {k: v.to_numpy() for k, v in sine_post.posterior.data_vars.items()}
    f = sine_net.forward(params, x[[i]])[:, :, 0, 0]
    assert_allclose([line.get_ydata() for line in axes[2, 0].get_lines()], f)
    assert title.endswith(f"R-hat {float(az.rhat(f)):.2f}")
    render(axes)


def test_densities_of_the_traces_integrate_to_one(node_post):
    axes = bnn.plot_traces(node_post)
    for line in axes[0, 1].get_lines():
        assert np.trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx(1, abs=0.02)


def test_traces_of_one_chain_of_noise_and_of_constant_draws():
    net = bnn.MLP(hidden=(1,))
    axes = bnn.plot_traces(drawn(net, X5, Y5, draws=(1, 30)))
    assert [ax.get_title(loc="left") for ax in axes[:2, 0]] == ["W1, unit 1", "noise"], "one chain has no R-hat"
    still = {k: np.ones_like(v) for k, v in random_params(prepare(net, X5, Y5), (2, 10), seed=0).items()}
    axes = bnn.plot_traces(tree_of(net, X5, Y5, still))
    assert axes[0, 0].get_title(loc="left") == "W1, unit 1: constant"
    assert texts(axes[0, 1]) == ["constant: 1"], "an empty panel says why it is empty"
    render(axes)


def test_traces_are_in_the_users_units():
    net = bnn.MLP(hidden=(1,))
    post = drawn(net, 100 + 10 * X5, 50 + 7 * Y5, scaling="standard", draws=(2, 30))
    axes = bnn.plot_traces(post, inputs=1)
    assert [ax.get_title(loc="left").split(":")[0] for ax in axes[:, 0]] == [
        "W1, unit 1 (scaled)",
        "noise",
        "f at x1 = 100",
    ]
    shown = [np.concatenate([line.get_ydata() for line in ax.get_lines()]) for ax in axes[:, 0]]
    assert_allclose(shown[1], np.std(7 * Y5) * post.posterior.noise.to_numpy().ravel())
    assert shown[2].mean() == pytest.approx(bnn.predict(post, [[100.0]])["mean"].item(), rel=1e-9)


def test_traces_of_stuck_chains_stand_beside_those_that_jump(flank_net, flank_chains, flank_tempered):
    axes = bnn.plot_traces(NUTS=flank_chains[1], tempering=flank_tempered, weights=1, at=[[2.5]])
    assert axes.shape == (2, 3)
    jumps = []
    for column, (name, post) in enumerate({"NUTS": flank_chains[1], "tempering": flank_tempered}.items()):
        params = {k: v.to_numpy() for k, v in post.posterior.data_vars.items()}
        f = flank_net.forward(params, np.array([[2.5]]))[..., 0, 0]
        ax = axes[1, column]
        assert_allclose([line.get_ydata() for line in ax.get_lines()], f)
        assert ax.get_title(loc="left") == f"{name}\nf at x1 = 2.5: R-hat {float(az.rhat(f)):.2f}"
        jumps.append((np.diff(f > 0.35, axis=1)).sum(axis=1))
    assert jumps[0].max() <= 10
    assert jumps[1].min() > 30
    assert axes[1, 0].get_ylim() == axes[1, 1].get_ylim()
    densities = axes[1, 2].get_lines()
    assert [line.get_label() for line in densities] == ["NUTS", "tempering"]
    assert densities[0].get_linestyle() != densities[1].get_linestyle()
    assert [text.get_text() for text in axes[0, 2].get_legend().get_texts()] == ["NUTS", "tempering"]
    render(axes)


def test_traces_side_by_side_are_of_one_network(flank_tempered, sine_post):
    with pytest.raises(SpecError, match=r"different quantities.*one network"):
        bnn.plot_traces(flank_tempered, sine_post)


def test_traces_need_draws(sine_map):
    with pytest.raises(SpecError, match="fit_posterior"):
        bnn.plot_traces(sine_map)


def test_colours_can_be_told_apart_by_everyone():
    from bayesnn.plots.style import CHAINS, COLOURS

    # Okabe and Ito's palette.
    known = {"#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7"}
    assert set(COLOURS.values()) <= known
    assert set(CHAINS) == known
    assert len(set(COLOURS.values())) == len(KINDS) == 3


def test_pictures_do_not_change_the_fit(sine, sine_map):
    before = sine_map.copy(deep=True)
    bnn.plot_fits(sine_map, data=replace(sine, truth=None))
    bnn.plot_optima(sine_map)
    assert before.identical(sine_map)
