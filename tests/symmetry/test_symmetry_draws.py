"""Canonical form, alignment, symmetrising and counting modes, against enumeration and planted answers."""

import itertools
import math
import re
import time

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesnn as bnn
from bayesnn.errors import FitError, SpecError
from bayesnn.symmetry import (
    GroupElement,
    align,
    alignment_element,
    apply_symmetry,
    canonical_element,
    canonicalize,
    count_modes,
    element_of,
    orbit,
    random_symmetry,
    stabiliser_order,
    symmetrize,
)
from bayesnn.symmetry.align import _require_same, assign
from bayesnn.symmetry.clusters import clusters
from bayesnn.symmetry.group import numbered_elements
from bayesnn.symmetry.optima import same_optimum
from bayesnn.symmetry.orbit import stabiliser_words
from bayesnn.tree import make_tree, params_of, prepare, problem_of, to_dataset

X = np.linspace(-2, 2, 9)[:, None]
Y = np.sin(X[:, 0])


def random_params(net, rng, *, p=1, m=1, batch=(), scale=1.0):
    return {k: scale * rng.normal(size=(*batch, *shape)) for k, shape in net.shapes(p, m).items()}


def flat(params, batch=0):
    return np.concatenate([v.reshape(*v.shape[:batch], -1) for _, v in sorted(params.items())], axis=-1) + 0.0


def posterior(net, params, y=Y, x=X):
    problem = prepare(net, x, y)
    chains, draws = params["W1"].shape[:2]
    batch = {"chain": np.arange(chains), "draw": np.arange(draws)}
    return make_tree("posterior", problem, to_dataset(params, problem, batch))


def scattered(net, rng, *, chains=2, draws=50, jitter=0.1, m=1):
    """Draws about one point, before and after a random group element each."""
    base = random_params(net, rng, m=m)
    params = {k: v + jitter * rng.normal(size=(chains, draws, *v.shape)) for k, v in base.items()}
    if net.noise_prior is not None:
        params["noise"] = rng.uniform(0.5, 1.0, size=(chains, draws))
    return params, apply_symmetry(params, random_symmetry(net, rng, batch=(chains, draws)), net)


def fit_tree(kind, net, params, *, converged=None, y=Y):
    """An MLE or MAP tree whose starts ended at these points."""
    problem, n = prepare(net, X, y), len(params["W1"])
    optima = to_dataset(params, problem, {"start": np.arange(n)})
    columns = {
        "log_likelihood": net.log_likelihood(params, X, problem.y).sum(axis=-1),
        "log_prior": net.log_prior(params) + np.zeros(n),
        "gradient_norm": np.zeros(n),
        "converged": np.ones(n, dtype=bool) if converged is None else converged,
        "signature": np.full(n, "minimum"),
    }
    optima = optima.assign({k: ("start", v) for k, v in columns.items()})
    point = {k: v[:1, None] for k, v in params.items()}
    error = {k: np.abs(v[0]) for k, v in params.items()}
    groups = {"optima": optima, "standard_error": to_dataset(error, problem, {})}
    return make_tree(kind, problem, to_dataset(point, problem, {"chain": [0], "draw": [0]}), groups=groups)


# --- canonical form -------------------------------------------------------------------------------------------------

NETS = [
    bnn.MLP(hidden, activation, bias=bias, noise=1.0)
    for hidden, activation, bias in [
        ((), "tanh", True),
        ((1,), "tanh", True),
        ((3,), "tanh", False),
        ((3,), "relu", True),
        ((2, 2), "tanh", False),
        ((2, 2), "tanh", True),
        ((3, 2), "relu", False),
        ((2, 2, 2), "tanh", False),
        ((2, 2, 2), "gelu", False),
        ((2, 3), "relu", True),
    ]
]


@given(st.sampled_from(NETS), st.lists(st.integers(-1, 1), min_size=1, max_size=14), st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_canonical_form_is_the_same_on_an_orbit(net, numbers, seed):
    it = itertools.cycle(numbers)
    params = {
        k: np.array([float(next(it)) for _ in range(math.prod(s))]).reshape(s) for k, s in net.shapes(2, 2).items()
    }
    form = canonicalize(params, net)
    moved = apply_symmetry(params, random_symmetry(net, seed, batch=(6,)), net)
    assert (flat(canonicalize(moved, net), batch=1 if net.hidden else 0) == flat(form)).all()
    assert (flat(canonicalize(form, net)) == flat(form)).all()
    members = {tuple(flat(apply_symmetry(params, p.element, net))) for p in orbit(params, net)[:400]}
    if len(orbit(params, net)) <= 400:
        assert tuple(flat(form)) in members


@given(st.sampled_from(NETS), st.integers(0, 10**6))
@settings(max_examples=40, deadline=None)
def test_canonical_form_tells_orbits_apart(net, seed):
    rng = np.random.default_rng(seed)
    params = random_params(net, rng, p=2, m=2, batch=(5,))
    forms = flat(canonicalize(params, net), batch=1)
    assert len(np.unique(forms, axis=0)) == 5
    moved = apply_symmetry(params, random_symmetry(net, rng, batch=(5,)), net)
    np.testing.assert_array_equal(flat(canonicalize(moved, net), batch=1), forms)
    first = forms if not net.hidden else canonicalize(params, net)["W1"][:, 0, :]
    if net.activation == "tanh" and net.hidden:
        assert (first > 0).all()
    if net.hidden:
        assert (np.diff(first, axis=-1) >= 0).all()


def test_canonical_form_of_many_twins_is_quick():
    net = bnn.MLP((12, 2))
    params = {k: np.ones(s) for k, s in net.shapes(1, 1).items()}
    began = time.perf_counter()
    np.testing.assert_array_equal(flat(canonicalize(params, net)), flat(params))
    assert time.perf_counter() - began < 2


def test_canonical_form_needs_flips_that_are_symmetries():
    params = {"W1": np.array([[-1.0, -2.0]]), "W2": np.array([[1.0], [1.0]])}
    np.testing.assert_array_equal(canonicalize(params, bnn.MLP((2,), "softplus", bias=False))["W1"], [[-2.0, -1.0]])
    np.testing.assert_array_equal(canonicalize(params, bnn.MLP((2,), "erf", bias=False))["W1"], [[1.0, 2.0]])
    with pytest.raises(SpecError, match="without a network"):
        canonicalize(params)


# --- alignment ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hidden", "activation"),
    [
        ((1,), "tanh"),
        ((2,), "erf"),
        ((3,), "tanh"),
        ((4,), "tanh"),
        ((5,), "tanh"),
        ((5,), "relu"),
        ((7,), "gelu"),
        ((2, 2), "tanh"),
        ((3, 2), "tanh"),
        ((2, 3), "sin"),
        ((3, 3), "tanh"),
        ((4, 3), "relu"),
        ((5, 4), "relu"),
        ((2, 2, 2), "tanh"),
        ((2, 3, 2), "relu"),
        ((3, 2, 3), "sigmoid"),
        ((2, 2, 2, 2), "tanh"),
    ],
)
def test_alignment_is_the_nearest_member_of_the_orbit(hidden, activation):
    rng = np.random.default_rng(11)
    net = bnn.MLP(hidden, activation, noise=1.0)
    reference, draws = random_params(net, rng, m=2), random_params(net, rng, m=2, batch=(4,))
    element, _ = alignment_element(draws, net, reference=reference)
    found = ((flat(apply_symmetry(draws, element, net), batch=1) - flat(reference)) ** 2).sum(axis=1)
    for i in range(4):
        one = {k: v[i] for k, v in draws.items()}
        everything = orbit(one, net)
        assert len(everything) <= 10_000
        moved = flat(apply_symmetry(one, numbered_elements(net, range(len(everything))), net), batch=1)
        nearest = ((moved - flat(reference)) ** 2).sum(axis=1).min()
        assert found[i] == pytest.approx(nearest, rel=1e-10)


def test_a_wrong_assignment_would_be_noticed():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(200, 4, 4))
    every = list(itertools.permutations(range(4)))
    best = np.max([scores[:, range(4), p].sum(axis=1) for p in every], axis=0)
    chosen = np.take_along_axis(scores, assign(scores)[..., None], -1).sum(axis=(1, 2))
    np.testing.assert_allclose(chosen, best)
    greedy = scores.max(axis=-1).sum(axis=-1)
    assert (greedy > best + 1e-9).mean() > 0.5
    large = rng.normal(size=(30, 7, 7))
    chosen = np.take_along_axis(large, assign(large)[..., None], -1).sum(axis=(1, 2))
    best = np.max([large[:, range(7), p].sum(axis=1) for p in itertools.permutations(range(7))], axis=0)
    np.testing.assert_allclose(chosen, best)


@pytest.mark.parametrize(
    ("hidden", "activation"),
    [((2,), "tanh"), ((6,), "tanh"), ((6,), "sigmoid"), ((3, 3), "tanh"), ((6, 5), "tanh"), ((8, 8), "relu")],
)
def test_align_undoes_planted_elements(hidden, activation):
    rng = np.random.default_rng(2)
    net = bnn.MLP(hidden, activation)
    params, moved = scattered(net, rng)
    post = posterior(net, moved)
    aligned = align(post)
    got = params_of(aligned)
    planted, found = (sum(p[name].var(axis=(0, 1)).sum() for name in net.dims()) for p in (params, got))
    assert found <= planted * (1 + 1e-9)
    assert found > 0.9 * planted
    raw_spread = params_of(aligned, group="posterior_raw")["W1"].std(axis=(0, 1)).max()
    assert raw_spread > 3 * got["W1"].std(axis=(0, 1)).max()


def test_align_returns_a_new_tree_and_keeps_what_was_sampled():
    rng = np.random.default_rng(4)
    net = bnn.MLP((3, 2))
    _, moved = scattered(net, rng)
    post = posterior(net, moved)
    before = post["posterior"].to_dataset().copy(deep=True)
    aligned = align(post)
    xr.testing.assert_identical(post["posterior"].to_dataset(), before)
    xr.testing.assert_identical(aligned["posterior_raw"].to_dataset(), before)
    xr.testing.assert_identical(aligned["posterior"]["noise"], before["noise"])
    assert "symmetry" not in post
    assert list(aligned["symmetry"].data_vars) == ["permutation_1", "sign_1", "permutation_2", "sign_2"]
    assert aligned["symmetry"]["permutation_2"].dims == ("chain", "draw", "hidden_2")
    assert set(np.unique(aligned["symmetry"]["permutation_1"])) == {1, 2, 3}
    assert set(np.unique(aligned["symmetry"]["sign_1"])) == {-1, 1}
    back = apply_symmetry(params_of(aligned), element_of(aligned).inverse(), net)
    for name, value in back.items():
        np.testing.assert_array_equal(value, moved[name])
    again = align(symmetrize(aligned, random_seed=1))
    xr.testing.assert_identical(again["posterior_raw"].to_dataset(), before)
    forth = apply_symmetry(moved, element_of(again), net)
    for name, value in params_of(again).items():
        np.testing.assert_array_equal(value, forth[name])
    with pytest.raises(FitError, match="symmetry"):
        element_of(post)


def test_align_changes_neither_density_nor_predictions():
    rng = np.random.default_rng(5)
    net = bnn.MLP((4,), "tanh", "cross_entropy")
    y = np.array([0, 1, 2, 0, 1, 2, 2, 1, 0])
    _, moved = scattered(net, rng, m=3)
    aligned = params_of(align(posterior(net, moved, y)))
    for quantity in (lambda p: net.forward(p, X), lambda p: net.log_likelihood(p, X, y), net.log_prior):
        np.testing.assert_allclose(quantity(aligned), quantity(moved), rtol=1e-10, atol=1e-10)


def test_a_changed_density_is_an_error():
    rng = np.random.default_rng(6)
    net = bnn.MLP((2,), "softplus", noise=0.3)
    params, _ = scattered(net, rng)
    problem = prepare(net, X, Y)
    _require_same(params, apply_symmetry(params, GroupElement(([1, 0],), ([1, 1],)), net), problem)
    flipped = params | {"W1": -params["W1"], "b1": -params["b1"], "W2": -params["W2"]}
    with pytest.raises(FitError, match="100 of 100 draws changed"):
        _require_same(params, flipped, problem)
    slightly = params | {"W2": params["W2"] * (1 + 1e-8)}
    with pytest.raises(FitError, match="changed"):
        _require_same(params, slightly, problem)


def test_alignment_shortens_the_sum_of_squares_step_by_step():
    rng = np.random.default_rng(8)
    net = bnn.MLP((5,))
    _, moved = scattered(net, rng, chains=1, draws=400, jitter=0.7)
    moved = {k: v for k, v in moved.items() if k != "noise"}
    reference, spreads = {k: v[0, 0] for k, v in moved.items()}, []
    for _ in range(6):
        element, _ = alignment_element(moved, net, reference=reference)
        aligned = apply_symmetry(moved, element, net)
        spreads.append(((flat(aligned, batch=2) - flat(reference)) ** 2).sum())
        reference = {k: v.mean(axis=(0, 1)) for k, v in aligned.items()}
        spreads.append(((flat(aligned, batch=2) - flat(reference)) ** 2).sum())
    assert (np.diff(spreads) <= 1e-9).all()
    element, mean = alignment_element(moved, net)
    ours = ((flat(apply_symmetry(moved, element, net), batch=2) - flat(mean)) ** 2).sum()
    assert ours < 1.02 * spreads[-1]


def test_align_to_a_reference():
    rng = np.random.default_rng(9)
    net = bnn.MLP((3,), noise=0.5)
    params, moved = scattered(net, rng)
    target = {k: v[0, 0] for k, v in params.items()}
    point = {k: v[None, None] for k, v in target.items()}
    for reference in (target, posterior(net, point)):
        got = params_of(align(posterior(net, moved), reference=reference))
        np.testing.assert_array_equal(got["W1"], params["W1"])
    with pytest.raises(SpecError, match="shape"):
        align(posterior(net, moved), reference=random_params(bnn.MLP((2,)), rng))


@pytest.mark.parametrize("net", [bnn.MLP(()), bnn.MLP((1,)), bnn.MLP((2,), "relu", bias=False)])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3)])
def test_small_cases(net, shape):
    params = random_params(net, np.random.default_rng(1), batch=shape) | {"noise": np.ones(shape)}
    post = posterior(net, params)
    for tree in (align(post), canonicalize(post), symmetrize(post, random_seed=1)):
        assert tree["posterior"].sizes["draw"] == shape[1]
        back = apply_symmetry(params_of(tree), element_of(tree).inverse(), net)
        np.testing.assert_array_equal(back["W1"], params["W1"])
        if not net.hidden:
            np.testing.assert_array_equal(params_of(tree)["W1"], params["W1"])
    assert canonicalize(post).attrs["bayesnn_symmetry"] == "canonical"


def test_points_optima_and_standard_errors():
    rng = np.random.default_rng(3)
    net = bnn.MLP((3,), noise=0.3)
    base = random_params(net, rng)
    params = apply_symmetry(base, random_symmetry(net, rng, batch=(5,)), net)
    fit = fit_tree("map", net, params)
    canonical = canonicalize(canonicalize(fit, group="optima"))
    form = canonicalize(base, net)
    for k in range(5):
        np.testing.assert_array_equal(canonical["optima"]["W1"][k], form["W1"])
    np.testing.assert_array_equal(canonical["posterior"]["W1"][0, 0], form["W1"])
    np.testing.assert_array_equal(canonical["optima_raw"]["W1"], params["W1"])
    np.testing.assert_array_equal(canonical["standard_error"]["W1"], np.abs(form["W1"]))
    np.testing.assert_array_equal(canonical["standard_error"]["b1"], np.abs(form["b1"]))
    assert canonical["symmetry_optima"]["sign_1"].dims == ("start", "hidden_1")
    np.testing.assert_allclose(align(fit, group="optima")["optima"]["W2"].std("start"), np.zeros((3, 1)), atol=1e-12)


def test_a_tree_read_from_disk_aligns(tmp_path):
    net = bnn.MLP((2,))
    _, moved = scattered(net, np.random.default_rng(1))
    aligned = align(posterior(net, moved))
    aligned.to_netcdf(tmp_path / "fit.nc")
    with xr.open_datatree(tmp_path / "fit.nc") as read:
        again = symmetrize(read, random_seed=1)
        np.testing.assert_array_equal(again["posterior_raw"]["W1"], moved["W1"])


def test_align_is_fast_enough():
    rng = np.random.default_rng(1)
    net = bnn.MLP((16,), noise=0.2)
    _, moved = scattered(net, rng, chains=4, draws=2000, jitter=0.3)
    post = posterior(net, moved)
    began = time.perf_counter()
    align(post)
    assert time.perf_counter() - began < 6  # about 1 second on an idle core


def test_symmetrize_visits_all_mirror_images_equally():
    rng = np.random.default_rng(2)
    net = bnn.MLP((2,), noise=0.5)
    params, _ = scattered(net, rng, chains=2, draws=2000)
    post = posterior(net, params)
    full = symmetrize(post, random_seed=3)
    g = element_of(full)
    code = (g.permutations[0][..., 0] * 4 + (g.signs[0] > 0) @ [1, 2]).ravel()
    assert ((np.bincount(code, minlength=8) - 500) ** 2 / 500).sum() < 24.3
    drawn = params_of(full)
    for name in ("W1", "b1", "W2"):
        assert np.abs(drawn[name].mean(axis=(0, 1))).max() < 0.15
    np.testing.assert_array_equal(drawn["b2"], params["b2"])
    np.testing.assert_allclose(net.log_prior(drawn), net.log_prior(params))
    assert full.identical(symmetrize(post, random_seed=3))
    np.testing.assert_allclose(
        params_of(align(full))["W1"].std(axis=(0, 1)), params_of(align(post))["W1"].std(axis=(0, 1)), rtol=1e-6
    )


# --- modes ----------------------------------------------------------------------------------------------------------


def ends(net, bases, counts, rng, wobble=1e-9):
    """End points of starts: copies of some optima under random group elements, and rounding."""
    parts = [
        apply_symmetry(base, random_symmetry(net, rng, batch=(n,)), net) if net.hidden else base
        for base, n in zip(bases, counts, strict=True)
    ]
    full = [
        {k: np.broadcast_to(v, (n, *bases[0][k].shape)) for k, v in p.items()}
        for p, n in zip(parts, counts, strict=True)
    ]
    joined = {k: np.concatenate([p[k] for p in full]) for k in full[0]}
    return {k: v + wobble * rng.normal(size=v.shape) for k, v in joined.items()}


def test_one_optimum_of_three_tanh_units_has_48_copies():
    rng = np.random.default_rng(1)
    net = bnn.MLP((3,), noise=0.3)
    modes = count_modes(fit_tree("map", net, ends(net, [random_params(net, rng)], [20], rng)))
    assert repr(modes) == "1 distinct optimum, 48 symmetric copies; 1 function; 20 of 20 starts reached it"
    assert (modes.n_modes, modes.n_functions, modes.order) == (1, 1, 48)
    assert modes.table["copies"].tolist() == [48]
    assert "<table" in modes._repr_html_()


@pytest.mark.parametrize("hidden", [(3,), (2, 2), (4, 4)])
def test_distinct_optima_are_told_apart(hidden):
    rng = np.random.default_rng(2)
    net = bnn.MLP(hidden, noise=2.0)
    bases = [random_params(net, rng) for _ in range(3)]
    params = ends(net, bases, [5, 9, 4], rng)
    converged = np.ones(18, dtype=bool)
    converged[-1] = False
    modes = count_modes(fit_tree("map", net, params, converged=converged))
    density = [net.log_likelihood(b, X, Y).sum() + net.log_prior(b) for b in bases]
    order = np.argsort(density)[::-1]
    assert modes.n_modes == modes.n_functions == 3
    assert modes.dataset["starts"].to_numpy().tolist() == np.array([5, 9, 3])[order].tolist()
    np.testing.assert_allclose(modes.dataset["log_density"], np.array(density)[order], atol=1e-6)
    assert int(modes.dataset["label"][-1]) == -1
    assert "1 did not converge" in repr(modes)
    assert "3 distinct optima" in repr(modes)


def test_twins_and_dead_units_have_fewer_copies():
    rng = np.random.default_rng(3)
    net = bnn.MLP((3,), noise=1.0)
    base = random_params(net, rng)
    twins = {k: v.copy() for k, v in base.items()}
    twins["W1"][:, 1], twins["b1"][1], twins["W2"][1] = -twins["W1"][:, 0], -twins["b1"][0], -twins["W2"][0]
    dead = {k: v.copy() for k, v in base.items()}
    dead["W1"][:, 2] = dead["b1"][2] = dead["W2"][2] = 0.0
    for point, copies, words in (
        (base, 48, r"48 symmetric copies;"),
        (twins, 24, r"24 symmetric copies of 48: hidden units \d and \d are twins;"),
        (dead, 24, r"24 symmetric copies of 48: hidden unit \d is dead \(all its weights are zero\);"),
    ):
        params = ends(net, [point], [12], rng)
        modes = count_modes(fit_tree("map", net, params))
        assert modes.n_modes == 1
        assert modes.table["copies"].tolist() == [copies]
        said = re.search(words, repr(modes))
        assert said, repr(modes)
        units = np.concatenate([params["W1"], params["b1"][:, None, :], np.swapaxes(params["W2"], 1, 2)], axis=1)
        named = [int(k) - 1 for k in re.findall(r"units? (\d)(?: and (\d))?", said[0])[0] if k] if copies == 24 else []
        shown = units[int(modes.table["best_start"].iloc[0])][:, named]
        assert np.abs(np.abs(shown).T - np.abs(shown[:, :1]).T).max(initial=0) < 1e-6, "the units that it names"


def test_units_of_several_layers_that_change_places_together_are_explained():
    net = bnn.MLP((2, 2), bias=False, noise=1.0)
    params = {"W1": np.array([[1.0, 1.0]]), "W2": np.array([[1.0, 2.0], [2.0, 1.0]]), "W3": np.array([[1.0], [1.0]])}
    assert stabiliser_order(params, net) == 2
    assert stabiliser_words(params, net) == "units of several layers can change places together"
    twins = {"W1": np.array([[1.0, 2.0]]), "W2": np.array([[1.0, -1.0], [2.0, -2.0]]), "W3": np.array([[1.0], [-1.0]])}
    assert stabiliser_words(twins, net) == "hidden units 1 and 2 of layer 2 are twins"
    dead = {"W1": np.zeros((1, 4)), "W2": np.zeros((4, 1))}
    assert stabiliser_words(dead, bnn.MLP((4,), bias=False)) == (
        "hidden units 1, 2, 3 and 4 are dead (all their weights are zero)"
    )


def test_points_of_a_ridge_are_one_optimum():
    rng = np.random.default_rng(9)
    net = bnn.MLP((2,), "identity", noise=1.0, bias=False)
    base = random_params(net, rng)
    q = np.linalg.qr(rng.normal(size=(6, 2, 2)))[0]
    turned = {"W1": base["W1"] @ q, "W2": np.swapaxes(q, 1, 2) @ base["W2"]}
    modes = count_modes(fit_tree("map", net, turned))
    assert (modes.n_modes, modes.order) == (1, math.inf)
    wide = bnn.MLP((2,), noise=1.0, bias=False)
    scale = 40 + np.arange(6.0)[:, None, None]  # saturated on every row: the function no longer moves
    steep = {"W1": scale * np.array([[1.0, 2.0]]), "W2": np.broadcast_to([[1.0], [0.5]], (6, 2, 1))}
    assert count_modes(fit_tree("mle", wide, steep)).n_modes == 1


def test_one_rule_for_the_same_optimum():
    rng = np.random.default_rng(5)
    net = bnn.MLP((2,), noise=1.0)
    tree = fit_tree("map", net, ends(net, [random_params(net, rng)] * 2, [6, 3], rng, wobble=1e-5))
    level, height = tree["optima"]["log_likelihood"], float(tree["optima"]["log_likelihood"][0])
    level[:] = height + np.array([0, 1e-4, -2e-4, 5e-4, -4e-4, 3e-4, -2e-3, -5e-3, -8e-3])
    found = count_modes(tree)
    assert found.n_functions == 1
    assert found.dataset["starts"].to_numpy().tolist()[0] == 6, "as high, to a thousandth of a nat"
    density = (tree["optima"]["log_likelihood"] + tree["optima"]["log_prior"]).to_numpy()
    params = params_of(tree, group="optima", batch=("start",))
    best = same_optimum(density, net.forward(params, problem_of(tree).X), int(density.argmax()))
    assert best.sum() == found.dataset["starts"][0]
    params = ends(net, [random_params(net, rng), random_params(net, rng)], [6, 3], rng)
    tree = fit_tree("map", net, params)
    tree["optima"]["log_likelihood"][:] = -tree["optima"]["log_prior"]
    assert count_modes(tree).n_modes == 2, "as high, with other functions"
    assert count_modes(tree, X=[[0.0]], tolerance=50.0).n_modes == 1, "another rule by request"


def test_an_mle_is_counted_modulo_the_symmetries_of_the_likelihood():
    rng = np.random.default_rng(4)
    net = bnn.MLP((2,), "sigmoid", noise=1.0)
    base = random_params(net, rng)
    flipped = apply_symmetry(base, random_symmetry(net, rng, batch=(10,), keep="likelihood"), net)
    assert np.unique(flipped["b2"].round(6)).size > 1
    modes = count_modes(fit_tree("mle", net, flipped))
    assert (modes.n_modes, modes.table["copies"].tolist()) == (1, [8.0])
    assert count_modes(fit_tree("map", net, flipped)).n_modes > 1

    net = bnn.MLP((2, 2), "relu", noise=1.0)
    base = random_params(net, rng)
    c1, c2 = np.exp(rng.normal(size=(2, 10, 2)))
    scaled = {
        "W1": base["W1"] * c1[:, None, :], "b1": base["b1"] * c1, "W2": base["W2"] / c1[:, :, None] * c2[:, None, :],
        "b2": base["b2"] * c2, "W3": base["W3"] / c2[:, :, None], "b3": np.broadcast_to(base["b3"], (10, 1)),
    }  # fmt: skip
    modes = count_modes(fit_tree("mle", net, scaled))
    assert (modes.n_modes, modes.n_functions) == (1, 1)
    assert "a continuum of equivalent copies" in repr(modes)
    assert count_modes(fit_tree("map", net, scaled)).n_modes == 10

    net = bnn.MLP((2,), "tanh", "cross_entropy")
    base = random_params(net, rng, m=3)
    shifts = rng.normal(size=(10, 3))
    shifted = {k: np.broadcast_to(v, (10, *v.shape)) for k, v in base.items()}
    shifted |= {"W2": shifted["W2"] + shifts[:, :2, None], "b2": shifted["b2"] + shifts[:, 2:]}
    y = np.array([0, 1, 2, 0, 1, 2, 2, 1, 0])
    assert count_modes(fit_tree("mle", net, shifted, y=y)).n_modes == 1

    net = bnn.MLP((2,), "sin", noise=1.0)
    base = random_params(net, rng)
    turns = rng.integers(-3, 4, size=(10, 2))
    turned = {k: np.broadcast_to(v, (10, *v.shape)) for k, v in base.items()}
    turned |= {"b1": base["b1"] + np.pi * turns, "W2": base["W2"] * np.where(turns % 2, -1, 1)[..., None]}
    assert count_modes(fit_tree("mle", net, turned)).n_modes == 1


def test_no_hidden_layer_and_no_convergence():
    rng = np.random.default_rng(5)
    net = bnn.MLP((), noise=1.0)
    params = ends(net, [random_params(net, rng)], [4], rng)
    modes = count_modes(fit_tree("mle", net, params))
    assert repr(modes) == "1 distinct optimum, 1 symmetric copy; 1 function; 4 of 4 starts reached it"
    none = count_modes(fit_tree("mle", net, params, converged=np.zeros(4, dtype=bool)))
    assert repr(none) == "0 distinct optima: no start converged"
    tree = fit_tree("mle", net, params)
    del tree["optima"]
    with pytest.raises(FitError, match="optima"):
        count_modes(tree)


def test_functional_modes_of_a_posterior_and_who_visits_them():
    rng = np.random.default_rng(6)
    net = bnn.MLP((3,), noise=0.3)
    here, there = random_params(net, rng), random_params(net, rng)
    draws = [{k: v + 0.05 * rng.normal(size=(300, *v.shape)) for k, v in base.items()} for base in (here, here, there)]
    params = {k: np.stack([d[k] for d in draws]) for k in here}
    params = apply_symmetry(params, random_symmetry(net, rng, batch=(3, 300)), net)
    modes = count_modes(posterior(net, params))
    assert (modes.n_functions, modes.n_modes, modes.order) == (2, 2, 48)
    occupancy = modes.dataset["function_occupancy"].to_numpy()
    assert occupancy[:2, 0].min() > 0.9
    assert occupancy[2, 1] > 0.9
    assert occupancy[2, 0] == 0
    assert "2 modes in function space" in repr(modes)
    assert modes.table.shape == (2, 3)
    one = count_modes(posterior(net, {k: v[:2] for k, v in params.items()}), X=[[0.0], [0.5]])
    assert (one.n_functions, one.n_modes) == (1, 1)
    assert (
        repr(one) == "2 chains, 300 draws of each: 1 mode in function space, 1 cluster of aligned weights, "
        "with 48 symmetric copies"
    )


def test_clusters_are_seen_where_they_are_and_only_there():
    rng = np.random.default_rng(8)
    x = rng.normal(size=(1000, 1))
    for one in (x, rng.standard_t(4, size=(1000, 6)), np.hstack([x, x**2 + 0.2 * rng.normal(size=(1000, 1))])):
        assert clusters(one).max() == 0
    planted = (rng.random(1000) < 0.3).astype(int)
    found = clusters(rng.normal(size=(1000, 4)) + 6 * planted[:, None] * [1, 0, 0, 0])
    assert (found == planted).mean() > 0.98


def test_canonical_elements_of_sigmoid_flips():
    rng = np.random.default_rng(7)
    net = bnn.MLP((3, 2), "sigmoid", noise=1.0)
    base = random_params(net, rng)
    moved = apply_symmetry(base, random_symmetry(net, rng, batch=(20,), keep="likelihood"), net)
    forms = flat(apply_symmetry(moved, canonical_element(moved, net, keep="likelihood"), net), batch=1)
    np.testing.assert_allclose(forms - forms[0], 0.0, atol=1e-12)
