import re

import numpy as np
import pytest
import xarray as xr

import bayesnn as bnn
from bayesnn.errors import FitError, SpecError
from bayesnn.plots import plot_barrier, plot_mirrors, plot_modes, plot_orbit, plot_rhat, plot_strips
from bayesnn.symmetry import GroupElement, apply_symmetry, orbit
from bayesnn.tree import params_of, prepare, to_dataset
from tests.conftest import X5, Y5, random_params, tree_of

RNG = np.random.default_rng(4)
X30 = np.linspace(-3, 3, 30)
Y30 = np.sin(X30) + 0.2 * RNG.normal(size=30)


def point(hidden, *, kind="map", seed=3, X=X30, y=Y30, **kwargs):
    """A made-up optimum."""
    net = bnn.MLP(hidden=hidden, noise=kwargs.pop("noise", 0.2), **kwargs)
    return tree_of(net, X, y, random_params(prepare(net, X, y), (1, 1), seed=seed), kind=kind)


def chains(elements, *, net=None, modes=(0, 0, 0, 0), spread=0.1, draws=100):
    """Four made-up chains about one of two weight vectors, each moved by its own group element."""
    net = bnn.MLP(hidden=(2,), noise=0.2) if net is None else net
    centres = random_params(prepare(net, X30, Y30), (2,), seed=3, scale=1.2)
    rng = np.random.default_rng(0)
    params = {
        k: v[list(modes)][:, None] + spread * rng.normal(size=(4, draws, *v.shape[1:])) for k, v in centres.items()
    }
    order, sign = (np.repeat(np.array(a)[:, None], draws, axis=1) for a in zip(*elements, strict=True))
    return tree_of(net, X30, Y30, apply_symmetry(params, GroupElement((order,), (sign,)), net))


ALL_ONE = [([0, 1], [1, 1])] * 4
MIRRORED = [([0, 1], [1, 1]), ([1, 0], [1, 1]), ([0, 1], [-1, 1]), ([1, 0], [-1, -1])]


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def rhats(axes, column):
    return [float(ax.get_title(loc="left").split("R-hat ")[1]) for ax in axes[:, column]]


# strips


def test_strips_show_each_unit_before_and_after(sine_post):
    axes = plot_strips(sine_post)
    assert axes.shape == (2, 2)
    raw, aligned = params_of(sine_post)["W1"], params_of(bnn.align(sine_post))["W1"]
    for u in range(2):
        for ax, values in zip(axes[u], (raw, aligned), strict=True):
            for chain, line in enumerate(ax.get_lines()):
                assert np.array_equal(line.get_ydata(), values[chain, :, 0, u])
        assert axes[u, 0].get_ylabel() == f"unit {u + 1}"
    assert max(rhats(axes, 0)) > 1.3
    assert max(rhats(axes, 1)) < 1.05


def test_strips_improve_only_where_symmetry_was_to_blame():
    mirrored = plot_strips(chains(MIRRORED))
    assert min(rhats(mirrored, 0)) > 1.5
    assert max(rhats(mirrored, 1)) < 1.1
    other_modes = plot_strips(chains(MIRRORED, modes=(0, 0, 1, 1)))
    assert min(rhats(other_modes, 1)) > 1.5
    harmless = plot_strips(chains(ALL_ONE))
    assert max(rhats(harmless, 0)) < 1.1


def test_strips_of_an_aligned_tree_are_the_same():
    post = chains(MIRRORED)
    for a, b in zip(plot_strips(post).flat, plot_strips(bnn.align(post)).flat, strict=True):
        assert a.get_title(loc="left") == b.get_title(loc="left")
        assert np.array_equal(a.get_lines()[2].get_ydata(), b.get_lines()[2].get_ydata())
    assert plot_strips(bnn.symmetrize(post))[0, 0].get_title(loc="left").startswith("symmetrized W1")


@pytest.mark.parametrize(
    ("options", "name", "values"),
    [
        ({"weight": "bias", "units": [2]}, "raw b1[2]", lambda p: p["b1"][..., 1]),
        ({"weight": "out", "units": [1]}, "raw W2[1, target]", lambda p: p["W2"][..., 0, 0]),
        ({"weight": "in", "units": [2]}, "raw W1[x1, 2]", lambda p: p["W1"][..., 0, 1]),
    ],
)
def test_strips_of_a_chosen_weight(options, name, values):
    post = chains(MIRRORED)
    axes = plot_strips(post, **options)
    assert axes.shape == (1, 2)
    assert axes[0, 0].get_title(loc="left").startswith(name + ":")
    assert np.array_equal(axes[0, 0].get_lines()[3].get_ydata(), values(params_of(post))[3])


def test_strips_of_the_second_layer_name_the_first_layers_units():
    net = bnn.MLP(hidden=(3, 2), noise=0.2)
    post = tree_of(net, X30, Y30, random_params(prepare(net, X30, Y30), (2, 20), seed=1))
    ax = plot_strips(post, layer=2, number=3)[1, 0]
    assert ax.get_title(loc="left").startswith("raw W2[3, 2]")
    assert np.array_equal(ax.get_lines()[0].get_ydata(), params_of(post)["W2"][0, :, 2, 1])


def test_strips_of_many_units_show_the_first_eight():
    net = bnn.MLP(hidden=(10,), noise=0.2)
    post = tree_of(net, X30, Y30, random_params(prepare(net, X30, Y30), (2, 20), seed=1))
    assert plot_strips(post).shape == (8, 2)
    assert plot_strips(post, units=range(1, 11)).shape == (10, 2)


def test_strips_of_one_chain_have_no_rhat():
    net = bnn.MLP(hidden=(2,), noise=0.2)
    post = tree_of(net, X30, Y30, random_params(prepare(net, X30, Y30), (1, 20), seed=1))
    assert "R-hat" not in plot_strips(post)[0, 0].get_title(loc="left")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layer": 2}, "layers 1 to 1"),
        ({"weight": "w"}, "'in', 'bias' or 'out'"),
        ({"number": 2}, "1 such weights"),
        ({"units": [3]}, "units 1 to 2"),
        ({"units": []}, "units 1 to 2"),
    ],
)
def test_strips_refuse_what_is_not_there(options, words):
    with pytest.raises(SpecError, match=words):
        plot_strips(chains(MIRRORED), **options)


@pytest.mark.parametrize("plot", [plot_strips, plot_mirrors])
def test_draws_and_hidden_units_are_needed(plot, line_post):
    with pytest.raises(SpecError, match="needs draws"):
        plot(point((2,)))
    with pytest.raises(SpecError, match="no mirror images"):
        plot(line_post)
    with pytest.raises(FitError):
        plot(1)


def test_bias_of_a_network_without_biases():
    net = bnn.MLP(hidden=(2,), noise=0.2, bias=False)
    post = tree_of(net, X30, Y30, random_params(prepare(net, X30, Y30), (2, 20), seed=1))
    with pytest.raises(SpecError, match="have none"):
        plot_strips(post, weight="bias")


# mirrors


def test_mirrors_show_all_draws_and_all_lines(sine_post):
    raw, aligned = plot_mirrors(sine_post)
    half = raw.get_xlim()[1]
    for ax in (raw, aligned):
        found = lines(ax)
        for name, slope in (("_$w_1 = w_2$", 1), ("_$w_1 = -w_2$", -1), ("_$w_2 = 0$", 0)):
            x, y = found[name].get_data()
            assert np.array_equal(x, [-half, half])
            assert np.array_equal(y, slope * x)
        x, y = found["_$w_1 = 0$"].get_data()
        assert not np.any(x)
        assert np.array_equal(y, [-half, half])
        assert {f"chain {c}" for c in range(4)} <= set(found)
    W = params_of(sine_post)["W1"]
    step = -(-W.shape[1] // 500)
    x, y = lines(raw)["chain 2"].get_data()
    assert np.array_equal(np.stack([x, y]), W[2, ::step, 0].T)
    assert half > np.abs(W).max()


def test_mirrors_aligned_panel_holds_one_image():
    raw, aligned = plot_mirrors(chains(MIRRORED))

    def gap(ax):
        means = [np.mean(line.get_data(), axis=1) for name, line in lines(ax).items() if name.startswith("chain")]
        return np.ptp(means, axis=0).max()

    assert gap(aligned) < 0.1 < 1 < gap(raw)


def test_an_aligned_cloud_that_crosses_a_mirror_is_explained(sine_post):
    _, aligned = plot_mirrors(sine_post)
    a, b = np.moveaxis(params_of(bnn.align(sine_post))["W1"][:, :, 0], -1, 0)
    share = min((a > b).mean(), (a < b).mean())
    assert share > 0.05
    words = aligned.figure.get_suptitle()
    assert words.startswith(f"{share:.0%} of the aligned draws are across $w_1 = w_2$ from the others")
    assert "all their weights together" in words
    centre, _ = np.meshgrid([1.0, 2.0], np.arange(100))
    net = bnn.MLP(hidden=(2,), bias=False, noise=0.3)
    apart = {"W1": np.stack([centre] * 2)[:, :, None], "W2": np.ones((2, 100, 2, 1))}
    apart["W1"] = apart["W1"] + 0.01 * RNG.normal(size=apart["W1"].shape)
    assert not plot_mirrors(tree_of(net, X5, Y5, apart))[0].figure.get_suptitle(), "nothing to explain"


def test_mirrors_without_sign_flips_have_one_line():
    net = bnn.MLP(hidden=(2,), activation="sigmoid", noise=0.2)
    swapped = [([0, 1], [1, 1]), ([1, 0], [1, 1])] * 2
    found = lines(plot_mirrors(chains(swapped, net=net))[0])
    assert {name for name in found if name.startswith("_")} == {"_$w_1 = w_2$"}


def test_mirrors_need_two_units():
    net = bnn.MLP(hidden=(1,), noise=0.2)
    post = tree_of(net, X30, Y30, random_params(prepare(net, X30, Y30), (2, 20), seed=1))
    with pytest.raises(SpecError, match="1 unit; the mirrors lie between two"):
        plot_mirrors(post)
    for units in ((1, 1), (1, 2, 1), (2,)):
        with pytest.raises(SpecError, match="two different units"):
            plot_mirrors(chains(MIRRORED), units=units)


# orbit


def dots(ax):
    """Places that were drawn, with the number of members in each."""
    return {
        tuple(np.round(np.ravel(line.get_data()), 8) + 0.0): int(line.get_label()[1:].split()[0])
        for line in ax.get_lines()
        if line.get_label().endswith("members")
    }


def test_orbit_of_the_map_has_eight_dots_and_one_curve(sine_map):
    left, right = plot_orbit(sine_map)
    a, b = params_of(sine_map)["W1"][0, 0, 0]
    expected = {(s * p, t * q) for p, q in ((a, b), (b, a)) for s in (1, -1) for t in (1, -1)}
    assert set(dots(left)) == {tuple(np.round(place, 8)) for place in expected}
    assert set(dots(left).values()) == {1}
    curves = np.array([line.get_ydata() for line in right.get_lines() if line.get_label() != "_data"])
    assert curves.shape == (8, 201)
    assert np.ptp(curves, axis=0).max() < 1e-12
    names = {text.get_text() for text in left.texts}
    assert {"+1 +2", "-2 +1"} <= names
    stars = [line for line in left.get_lines() if line.get_marker() == "*"]
    assert len(stars) == 1
    assert np.allclose(np.ravel(stars[0].get_data()), [a, b])


@pytest.mark.parametrize(("hidden", "places", "each"), [((3,), 24, 2), ((4,), 48, 8), ((2, 2), 8, 8)])
def test_coinciding_members_share_a_dot(hidden, places, each):
    found = dots(plot_orbit(point(hidden))[0])
    assert len(found) == places
    assert set(found.values()) == {each}


def test_twins_have_a_smaller_orbit():
    net = bnn.MLP(hidden=(3,), bias=False, noise=0.2)
    params = {"W1": np.array([[1.0, -1.0, 2.0]]), "W2": np.array([[3.0], [-3.0], [1.0]])}
    left, _ = plot_orbit(orbit(params, net, X=X30[:, None], y=Y30))
    assert left.get_title() == "24 equivalent weight vectors, 2 in each dot"
    found = dots(left)
    assert sum(found.values()) == 24
    assert found[1.0, 1.0] == 2
    assert found[1.0, 2.0] == 2


def test_unequal_dots_carry_their_numbers():
    net = bnn.MLP(hidden=(3,), bias=False, noise=0.2)
    params = {"W1": np.array([[1.0, 0.0, 2.0]]), "W2": np.array([[3.0], [4.0], [1.0]])}
    left, _ = plot_orbit(orbit(params, net, X=X30[:, None], y=Y30))
    found = dots(left)
    assert sum(found.values()) == 48
    assert found[1.0, 2.0] == 2
    assert found[1.0, 0.0] == 4
    assert sorted(text.get_text() for text in left.texts if "×" in text.get_text()) == ["×2"] * 8 + ["×4"] * 8


def test_orbit_of_one_unit_is_shown_by_what_enters_and_what_leaves():
    fit = point((1,))
    left, _ = plot_orbit(fit)
    p = params_of(fit)
    place = np.round([p["W1"].item(), p["W2"].item()], 8)
    assert set(dots(left)) == {tuple(place), tuple(-place)}
    assert (left.get_xlabel(), left.get_ylabel()) == ("W1[x1, 1]", "W2[1, target]")


def test_orbit_of_the_likelihood_has_the_flips_of_sigmoid_units():
    fit = point((2,), activation="sigmoid")
    assert len(dots(plot_orbit(fit)[0])) == 2
    left, right = plot_orbit(fit, keep="likelihood")
    assert len(dots(left)) == 8
    assert float(right.get_title().split()[-1]) < 1e-12


def test_orbit_of_several_inputs_is_drawn_by_row():
    X = RNG.normal(size=(20, 2))
    _, right = plot_orbit(point((2,), X=X, y=X[:, 0]))
    curve = right.get_lines()[0].get_ydata()
    assert len(curve) == 20
    assert (np.diff(curve) >= 0).all()


def test_part_of_a_large_orbit_and_orbits_without_data():
    net = bnn.MLP(hidden=(9,), noise=0.2)
    params = random_params(prepare(net, X30, Y30), (), seed=1)
    members = orbit(params, net)
    axes = plot_orbit(members[:500])
    assert len(axes) == 1
    assert sum(dots(axes[0]).values()) == 500
    with pytest.raises(SpecError, match="slice"):
        plot_orbit(members)


def test_orbit_refuses(sine_post):
    with pytest.raises(FitError, match="many draws"):
        plot_orbit(sine_post)
    with pytest.raises(SpecError, match="one point"):
        plot_orbit(point(()))
    with pytest.raises(SpecError, match="units 1 to 2"):
        plot_orbit(point((2,)), units=(1, 3))


# barrier


def density(fit, params):
    net = bnn.MLP.from_json(fit.attrs["bayesnn_network"])
    X, y = fit["constant_data"]["X"].to_numpy(), fit["observed_data"]["y"].to_numpy()
    return net.log_likelihood(params, X, y).sum(axis=-1) + net.log_prior(params)


def test_paths_have_equal_ends_and_a_lower_middle(sine_map):
    left, right = plot_barrier(sine_map)
    paths = {name.split(":")[0]: line.get_ydata() for name, line in lines(left).items() if name[0] != "_"}
    assert list(paths) == ["flip unit 1", "swap units 1 and 2", "both"]
    params = {k: v[0, 0] for k, v in params_of(sine_map).items()}
    top = density(sine_map, params)
    for values in paths.values():
        assert np.allclose(values[[0, -1]], top, rtol=0, atol=1e-9)
        assert values[100] < top - 10
    without = {k: v.copy() for k, v in params.items()}
    without["W1"][:, 0] = without["b1"][0] = without["W2"][0] = 0
    assert np.isclose(paths["flip unit 1"][100], density(sine_map, without), rtol=0, atol=1e-9)
    twins = {"W1": params["W1"].mean() * np.ones((1, 2)), "b1": params["b1"].mean() * np.ones(2)}
    twins |= {"W2": params["W2"].mean() * np.ones((2, 1)), "b2": params["b2"]}
    assert np.isclose(paths["swap units 1 and 2"][100], density(sine_map, twins), rtol=0, atol=1e-9)
    assert f"falls by {top - paths['flip unit 1'].min():.0f}" in next(iter(lines(left)))
    assert [t.get_text() for t in right.texts] == ["optimum", "flip unit 1", "swap units 1 and 2"]


def test_third_path_is_the_third_edge_of_the_plane():
    fit = point((2,))
    params = {k: v[0, 0] for k, v in params_of(fit).items()}
    net = bnn.MLP(hidden=(2,), noise=0.2)
    flipped = apply_symmetry(params, GroupElement(([0, 1],), ([-1, 1],)), net)
    swapped = apply_symmetry(params, GroupElement(([1, 0],), ([1, 1],)), net)
    t = np.linspace(0, 1, 201)
    edge = [density(fit, {k: (1 - a) * flipped[k] + a * swapped[k] for k in params}) for a in t]
    left, right = plot_barrier(fit)
    both = next(line for name, line in lines(left).items() if name.startswith("both"))
    assert np.allclose(both.get_ydata(), edge)
    corners = np.transpose(lines(right)["_modes"].get_data())

    def apart(a, b):
        return np.sqrt(sum(np.sum((a[k] - b[k]) ** 2) for k in params))

    expected = [apart(params, flipped), apart(params, swapped), apart(flipped, swapped)]
    found = [np.linalg.norm(corners[i] - corners[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert np.allclose(found, expected)


def test_contours_are_those_of_the_density():
    fit = point((2,))
    _, right = plot_barrier(fit)
    params = {k: v[0, 0] for k, v in params_of(fit).items()}
    net, contours = bnn.MLP(hidden=(2,), noise=0.2), right.collections[1]
    flipped = apply_symmetry(params, GroupElement(([0, 1],), ([-1, 1],)), net)
    swapped = apply_symmetry(params, GroupElement(([1, 0],), ([1, 1],)), net)
    corners = np.transpose(lines(right)["_modes"].get_data())
    vectors = np.stack([np.concatenate([np.ravel(end[k]) for k in params]) for end in (params, flipped, swapped)])
    checked = 0
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        for place in path.vertices[::40]:
            a, b = np.linalg.solve(corners[1:].T, place)
            theta = vectors[0] + a * (vectors[1] - vectors[0]) + b * (vectors[2] - vectors[0])
            shapes = {k: np.shape(v) for k, v in params.items()}
            ends = np.cumsum([np.prod(s, dtype=int) for s in shapes.values()])
            parts = np.split(theta, ends[:-1])
            there = {k: v.reshape(s) for (k, s), v in zip(shapes.items(), parts, strict=True)}
            if level >= 30:
                assert np.isclose(density(fit, params) - density(fit, there), level, rtol=0.1)
                checked += 1
    assert checked > 5


def test_networks_with_fewer_symmetries():
    assert [len(plot_barrier(point((1,)))), len(plot_barrier(point((2,), activation="relu")))] == [1, 1]
    left, right = plot_barrier(point((3,), activation="gelu", noise=None))
    names = [name.split(":")[0] for name in lines(left) if name[0] != "_"]
    assert names == ["swap units 1 and 2", "swap units 2 and 3", "rotate all three"]
    for name, line in lines(left).items():
        if name[0] != "_":
            assert np.isclose(*line.get_ydata()[[0, -1]])
    assert right.get_title() == "plane through three mirror modes"


def test_barrier_of_an_mle_is_that_of_the_likelihood():
    left, _ = plot_barrier(point((2,), activation="sigmoid", kind="mle"))
    assert left.get_ylabel() == "log-likelihood,\nbelow the optimum"
    flip = next(line for name, line in lines(left).items() if name.startswith("flip unit 1"))
    assert np.isclose(*flip.get_ydata()[[0, -1]], rtol=0, atol=1e-9)


def test_heights_are_in_the_users_units_and_deep_paths_on_a_logarithmic_axis():
    net = bnn.MLP(hidden=(2,), noise=0.2)
    fit = bnn.fit_map(net, X30, 7 * Y30, scaling="standard", restarts=5, random_seed=1, progressbar=False)
    left, _ = plot_barrier(fit)
    one = {k: v[0, 0] for k, v in params_of(fit).items()}
    problem = prepare(net, X30, 7 * Y30, scaling="standard")
    scaled = net.log_likelihood(one, problem.X, problem.y).sum() + net.log_prior(one)
    top = lines(left)["_modes"].get_ydata()[0]
    assert np.isclose(top, scaled - 30 * np.log(np.std(7 * Y30)))
    assert left.get_yscale() == "function"
    ticks = {label.get_text(): at for at, label in zip(left.get_yticks(), left.get_yticklabels(), strict=True)}
    assert np.isclose(ticks["0"], top)
    assert np.isclose(ticks["-100"], top - 100)
    place = left.transData.transform([(0, ticks[name]) for name in ("-10", "-100", "-1,000")])[:, 1]
    assert np.isclose(place[0] - place[1], place[1] - place[2], rtol=0.05), "ten times deeper is one step lower"
    shallow = plot_barrier(point((1,), noise=20.0, kind="mle"))[0]
    assert shallow.get_yscale() == "linear"
    assert shallow.get_yticklabels()[0].get_text() == "0"


def test_no_barrier_between_end_points_that_are_no_optimum(sine_mle):
    plot_barrier(sine_mle)
    lost = sine_mle.copy()
    optima = sine_mle["optima"].to_dataset().assign(converged=("start", np.zeros(20, bool)))
    lost["optima"] = xr.DataTree(optima)
    with pytest.raises(SpecError, match=r"not converged .*fit_map"):
        plot_barrier(lost)
    undecided, infinite = sine_mle.copy(), sine_mle.copy()
    undecided.attrs["bayesnn_exists"], infinite.attrs["bayesnn_exists"] = -1, 0
    with pytest.raises(SpecError, match=r"'MLE: unbounded'.*no optimum"):
        plot_barrier(infinite)
    title = plot_barrier(undecided)[0].figure.get_suptitle()
    assert title == "MLE: undecided: an end point that may be no optimum"


def boxes(ax):
    """Where the texts of a panel are drawn."""
    ax.figure.canvas.draw()
    return [text.get_window_extent() for text in ax.texts]


@pytest.mark.parametrize("stretch", [0.05, 1.0, 20.0])
def test_names_in_the_plane_do_not_cover_one_another(stretch):
    """Also where the triangle is narrow or flat."""
    net = bnn.MLP(hidden=(2,), noise=0.2, bias=False)
    params = {"W1": np.array([[[[1.0 * stretch, 3.0]]]]), "W2": np.array([[[[0.5 * stretch], [2.0]]]])}
    _, right = plot_barrier(tree_of(net, X30, Y30, params, kind="map"))
    found = boxes(right)
    assert len(found) == 3
    for a, one in enumerate(found):
        assert not any(one.overlaps(other) for other in found[a + 1 :])


def test_barrier_refuses(sine_post):
    with pytest.raises(FitError, match="many draws"):
        plot_barrier(sine_post)
    for fit, options, words in (
        (point(()), {}, "0 hidden layers"),
        (point((2,)), {"layer": 2}, "1 hidden layers"),
        (point((1,), activation="gelu"), {}, "no mirror image"),
        (point((2,)), {"units": (1, 3)}, "units 1 to 2"),
        (point((2,)), {"units": (1, 1)}, "two different"),
    ):
        with pytest.raises(SpecError, match=words):
            plot_barrier(fit, **options)
    net = bnn.MLP(hidden=(2,), noise=0.2, bias=False)
    twins = {"W1": np.ones((1, 1, 1, 2)), "W2": np.ones((1, 1, 2, 1))}
    with pytest.raises(SpecError, match="stays where it is under 'swap units 1 and 2'"):
        plot_barrier(tree_of(net, X30, Y30, twins, kind="map"))


# R-hats


def test_three_rhats_are_those_of_arviz(sine_post):
    import arviz as az

    axes = plot_rhat(sine_post)
    aligned = bnn.align(sine_post)
    raw = np.concatenate([np.ravel(az.rhat(v)) for v in params_of(sine_post).values()])
    shown = np.concatenate([line.get_ydata() for name, line in lines(axes[0]).items() if name[0] != "_"])
    assert np.allclose(np.sort(shown), np.sort(np.clip(raw - 1, 1e-4, None)))
    for ax in axes:
        assert np.allclose(lines(ax)["_threshold"].get_ydata(), 0.01)
    worst = [float(re.search(r"[\d.]+$", ax.texts[0].get_text())[0]) for ax in axes]
    assert worst[0] == pytest.approx(raw.max(), abs=1e-3)
    assert worst[0] > 1.3
    assert worst[1] < 1.05
    assert worst[2] < 1.05
    for ax, where in zip(axes, (boxes(ax) for ax in axes), strict=True):
        drawn = np.concatenate([line.get_xydata() for line in ax.get_lines() if "_threshold" not in line.get_label()])
        places = np.vstack([ax.transData.transform(drawn), ax.transData.transform([(x, 0.01) for x in ax.get_xlim()])])
        assert not any(box.contains(*place) for box in where for place in places), "no name is struck through"
    again = [ax.get_title() for ax in plot_rhat(aligned)]
    assert again == [ax.get_title() for ax in axes]


def test_rhats_above_the_line_have_another_marker():
    fit = chains(MIRRORED, modes=(0, 0, 1, 1), draws=200)
    for ax in plot_rhat(fit):
        found = lines(ax)
        good, bad = found["at most 1.01"].get_ydata(), found["above 1.01"].get_ydata()
        assert len(bad) > len(good)
        assert bad.min() > 0.01
        assert (good <= 0.01).all()
        assert found["above 1.01"].get_marker() != found["at most 1.01"].get_marker()
    harmless = plot_rhat(chains(MIRRORED, draws=400))
    assert harmless[0].get_title() == "raw weights: 6 of 7 above 1.01"
    assert harmless[1].get_title().startswith("aligned weights: 0 of 7 "), "seven weights; the log-prior is none"
    assert "hollow: log-prior" in [text.get_text() for text in harmless[1].texts]
    hollow = [line for line in harmless[1].get_lines() if line.get_label().startswith("_beside")]
    assert sum(line.get_xdata().size for line in hollow) == 1
    assert {line.get_markerfacecolor() for line in hollow} == {"white"}
    assert all(np.median(lines(ax)["at most 1.01"].get_ydata()) < 0.01 for ax in harmless[1:])


def test_rhat_needs_chains():
    net = bnn.MLP(hidden=(2,), noise=0.2)
    for shape in ((1, 50), (4, 3)):
        post = tree_of(net, X30, Y30, random_params(prepare(net, X30, Y30), shape, seed=1))
        with pytest.raises(SpecError, match=f"Got {shape[0]} chains of {shape[1]} draws"):
            plot_rhat(post)
    with pytest.raises(SpecError, match="map"):
        plot_rhat(point((2,)))


# modes


def test_modes_of_starts(sine_map):
    left, right = plot_modes(sine_map)
    found = bnn.count_modes(sine_map)
    starts = found.dataset["starts"].to_numpy()
    curves = [line for line in left.get_lines() if line.get_label().startswith("optimum")]
    assert len(curves) == found.n_modes
    widths = [bar.get_width() for bar in right.patches]
    assert widths[: found.n_modes] == list(starts)
    assert sum(widths) == 20
    assert right.get_yticklabels()[0].get_text().endswith("8 copies")
    best = sine_map["optima"].to_dataset().isel(start=int(found.dataset["best_start"][0]))
    grid = lines(left)["optimum 1"].get_xdata()
    net = bnn.MLP(hidden=(2,), noise=0.2)
    f = net.forward({k: best[k].to_numpy() for k in ("W1", "b1", "W2", "b2")}, grid[:, None])[:, 0]
    assert np.allclose(lines(left)["optimum 1"].get_ydata(), f)
    assert lines(left)["data"].get_zorder() > max(line.get_zorder() for line in curves)


def made_optima(fit, heights, **columns):
    """The fit with end points of its own, each another function unless said otherwise."""
    n = len(heights)
    params = {k: np.repeat(v[0], n, axis=0) for k, v in params_of(fit).items()}
    params["b2"] = params["b2"] + np.arange(n)[:, None]
    problem = prepare(bnn.MLP.from_json(fit.attrs["bayesnn_network"]), X30, Y30)
    optima = to_dataset(params, problem, {"start": np.arange(n)})
    base = {"log_likelihood": heights, "log_prior": np.zeros(n), "converged": np.ones(n, bool)}
    base |= {"signature": np.full(n, "minimum"), **columns}
    out = fit.copy()
    out["optima"] = xr.DataTree(optima.assign({k: ("start", v) for k, v in base.items()}))
    out["optima"].attrs["best"] = int(np.argmax(heights))
    return out


def test_bars_of_equal_height_are_told_apart():
    _, right = plot_modes(made_optima(point((2,)), [5.0, 5.0, 5.0, 1.0]))
    names = [label.get_text() for label in right.get_yticklabels()]
    assert names == ["1: 5, 8 copies", "2: 5, 8 copies", "3: 5, 8 copies", "4: 1, 8 copies"]
    assert right.get_ylabel() == "log density, symmetric copies"


def test_without_a_converged_start_there_is_a_curve_still():
    fit = made_optima(point((2,)), [5.0, 4.0], converged=np.zeros(2, bool))
    left, right = plot_modes(fit)
    assert left.get_title() == "MAP; no start converged"
    curve = lines(left)["highest end point"]
    assert np.allclose(curve.get_ydata(), bnn.predict(fit, curve.get_xdata()[:, None])["mean"][:, 0])
    assert [label.get_text() for label in right.get_yticklabels()] == ["not converged"]


def test_modes_of_a_maximum_at_infinity_show_the_limit():
    fit = made_optima(point((2,), kind="mle"), [5.0, 4.0])
    fit["limit"] = xr.DataTree(xr.Dataset({"log_likelihood": 6.0}))
    fit.attrs["bayesnn_exists"] = 0
    left, _ = plot_modes(fit)
    assert left.get_title() == "MLE: at infinity; 2 end points modulo symmetry"
    assert {"limit", "end point 1", "end point 2"} <= set(lines(left))


def test_the_share_of_the_draws_is_no_probability():
    _, right = plot_modes(chains(MIRRORED, modes=(0, 0, 0, 1)))
    (words,) = [text.get_text() for text in right.texts]
    assert "not probabilities" in words
    assert not plot_modes(chains(MIRRORED))[1].texts, "one mode needs no share"


def test_modes_of_a_posterior_by_colour_and_chain():
    left, right = plot_modes(chains(MIRRORED, modes=(0, 0, 0, 1)))
    shown = [line for line in left.get_lines() if line.get_label().startswith("mode")]
    names = [line.get_label() for line in shown]
    assert [name[:13] for name in names] == ["mode 1: 75.0%", "mode 2: 25.0%"]
    assert all(re.fullmatch(r"mode \d: \d+\.0% ± \d+\.\d% of the draws", name) for name in names)
    assert shown[0].get_linewidth() > shown[1].get_linewidth()
    assert shown[0].get_color() != shown[1].get_color()
    assert shown[0].get_linestyle() != shown[1].get_linestyle()
    heights = np.reshape([bar.get_height() for bar in right.patches], (2, 4))
    assert np.array_equal(heights, [[1, 1, 1, 0], [0, 0, 0, 1]])
    f = np.array([line.get_ydata() for line in shown])
    bands = [band.get_paths()[0].vertices[:, 1] for band in left.collections]
    assert len(bands) == 2
    assert all(band.min() <= y.min() and band.max() >= y.max() for band, y in zip(bands, f, strict=True))
    assert plot_modes(chains(MIRRORED))[0].get_title().startswith("1 mode in function space")


def test_modes_of_a_tempered_fit_have_shares_of_the_posterior(flank_tempered):
    left, right = plot_modes(flank_tempered)
    table = bnn.count_modes(flank_tempered).table
    names = [line.get_label() for line in left.get_lines() if line.get_label().startswith("mode")]
    assert names == [
        f"mode {k + 1}: {100 * row['share']:.1f}% ± {100 * row['se']:.1f}% of the posterior"
        for k, row in table.iterrows()
    ]
    assert left.get_title() == "2 modes in function space, 90% bands"
    assert not right.texts
    assert (right.get_title(), right.get_xlabel()) == ("modes by system of temperatures", "system")


def test_several_modes_of_many_rows_show_some():
    X = RNG.normal(size=(400, 2))
    net = bnn.MLP(hidden=(1,), noise=0.2)
    rng = np.random.default_rng(0)
    params = {
        k: 0.05 * rng.normal(size=(2, 100, *v.shape[2:]))
        for k, v in random_params(prepare(net, X, X[:, 0]), (2, 100), seed=1).items()
    }
    params["b2"][1] += 1.0
    left, _ = plot_modes(tree_of(net, X, X[:, 0], params))
    assert left.get_title() == "2 modes in function space, 150 of 400 rows"
    assert all(len(bars.get_segments()) == 150 for bars in left.collections)


def test_modes_of_several_inputs_and_of_a_line():
    X = RNG.normal(size=(20, 2))
    net = bnn.MLP(hidden=(2,), noise=0.2)
    post = tree_of(net, X, X[:, 0], random_params(prepare(net, X, X[:, 0]), (2, 30), seed=1))
    left, _ = plot_modes(post)
    assert left.get_xlabel() == "fitted target"
    fitted, observed = lines(left)["median of all draws"].get_data()
    assert np.allclose(observed, X[:, 0])
    (bars,) = left.collections
    f = net.forward({k: v.reshape(-1, *v.shape[2:]) for k, v in params_of(post).items()}, X)[..., 0]
    assert np.allclose(fitted, np.median(f, axis=0))
    ends = np.array([segment[:, 0] for segment in bars.get_segments()])
    assert np.allclose(ends, np.quantile(f, [0.05, 0.95], axis=0).T)
    line = bnn.MLP(hidden=(), noise=0.3)
    post = tree_of(line, X5, Y5, random_params(prepare(line, X5, Y5), (2, 30), seed=1))
    assert plot_modes(post)[0].get_title().startswith("1 mode in function space")


def test_modes_refuse():
    with pytest.raises(FitError, match="optima"):
        plot_modes(point((2,)))
    with pytest.raises(FitError):
        plot_modes(1)


def test_pictures_can_be_saved(tmp_path):
    made = [
        plot_strips(chains(MIRRORED)),
        plot_mirrors(chains(MIRRORED)),
        plot_orbit(point((2,))),
        plot_barrier(point((2,))),
        plot_rhat(chains(MIRRORED)),
        plot_modes(chains(MIRRORED)),
    ]
    for k, axes in enumerate(made):
        figure = axes.flat[0].figure
        figure.savefig(tmp_path / f"{k}.png")
        assert (tmp_path / f"{k}.png").stat().st_size > 5000
        assert figure.get_size_inches()[0] <= 10
