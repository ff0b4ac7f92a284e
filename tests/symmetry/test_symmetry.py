"""The group, its elements, orbits and stabilisers, against enumeration by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesnn as bnn
from bayesnn.errors import FitError, SpecError
from bayesnn.symmetry import (
    GroupElement,
    apply_symmetry,
    check_symmetry,
    orbit,
    random_symmetry,
    stabiliser_order,
    symmetry_group,
)
from bayesnn.tree import make_tree, prepare, to_dataset

X = np.linspace(-2, 2, 7)[:, None]
Y = np.sin(X[:, 0])
ODD = ("tanh", "erf", "sin", "identity")


def random_params(net, rng, *, p=1, m=1, batch=()):
    return {k: rng.normal(size=(*batch, *shape)) for k, shape in net.shapes(p, m).items()}


def integer_params(net, numbers, *, p=1, m=1):
    """Small integers from a list: many ties, and exact arithmetic."""
    it = itertools.cycle(numbers)
    return {k: np.array([float(next(it)) for _ in range(math.prod(s))]).reshape(s) for k, s in net.shapes(p, m).items()}


def elements_by_hand(net, signed):
    """All group elements as nested lists of (old unit, sign), by itertools alone."""
    layers = []
    for m in net.hidden:
        signs = list(itertools.product((1, -1), repeat=m)) if signed else [(1,) * m]
        layers.append([list(zip(p, s, strict=True)) for p in itertools.permutations(range(m)) for s in signs])
    return list(itertools.product(*layers))


def act_by_hand(params, element, shift=False):
    """Move units one number at a time; `shift` is the rule of sigmoid units."""
    out = {k: v.copy() for k, v in params.items()}
    for layer, units in enumerate(element, start=1):
        old = {k: v.copy() for k, v in out.items()}
        for new, (j, s) in enumerate(units):
            out[f"W{layer}"][:, new] = s * old[f"W{layer}"][:, j]
            out[f"W{layer + 1}"][new] = s * old[f"W{layer + 1}"][j]
            if f"b{layer}" in out:
                out[f"b{layer}"][new] = s * old[f"b{layer}"][j]
            if shift and s < 0:
                out[f"b{layer + 1}"] += old[f"W{layer + 1}"][j]
    return out


def flat(params):
    return np.concatenate([np.ravel(params[k]) for k in sorted(params)]) + 0.0


def forward_by_hand(net, params, x):
    phi = {"tanh": math.tanh, "sigmoid": lambda a: 1 / (1 + math.exp(-a)), "relu": lambda a: max(a, 0.0)}[
        net.activation
    ]
    h = list(x)
    for layer in range(1, net.n_layers + 1):
        W, b = params[f"W{layer}"], params.get(f"b{layer}", np.zeros(params[f"W{layer}"].shape[1]))
        a = [sum(h[i] * W[i, j] for i in range(len(h))) + b[j] for j in range(W.shape[1])]
        h = a if layer == net.n_layers else [phi(v) for v in a]
    return np.array(h)


def point_tree(net, params, *, m=1, kind="map"):
    problem = prepare(net, X, Y if m == 1 else np.zeros((len(X), m)))
    return make_tree(kind, problem, to_dataset({k: v[None, None] for k, v in params.items()}, problem, CHAIN))


CHAIN = {"chain": [0], "draw": [0]}


# --- the group ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [*bnn.ACTIVATIONS])
@pytest.mark.parametrize(
    ("hidden", "permuted", "flipped"), [((), 1, 1), ((1,), 1, 2), ((3,), 6, 48), ((2, 3), 12, 384)]
)
def test_finite_order_is_the_product_of_factorials_and_powers_of_two(activation, hidden, permuted, flipped):
    group = symmetry_group(bnn.MLP(hidden, activation))
    assert group.finite_order == (flipped if activation in ODD else permuted)
    if activation != "identity" or hidden in ((), (1,)):
        assert group.order == group.finite_order
    else:
        assert group.order == math.inf


CLAIMS = [
    (bnn.MLP((2,), "sigmoid"), {"permutation": True, "flip with shift": False}),
    (bnn.MLP((2,), "sigmoid", prior=bnn.Normal(1.0, bias=bnn.Flat())), {"permutation": True, "flip with shift": True}),
    (bnn.MLP((2,), "sigmoid", bias=False), {"permutation": True}),
    (bnn.MLP((2,), "sigmoid", "ordinal", bias=False), {"permutation": True, "flip with shift": False}),
    (bnn.MLP((2,), "relu"), {"permutation": True, "rescaling": False}),
    (bnn.MLP((2,), "relu", prior=bnn.Flat()), {"permutation": True, "rescaling": True}),
    (bnn.MLP((2,), "relu", prior=bnn.Normal(1.0, bias=bnn.Flat())), {"permutation": True, "rescaling": False}),
    (bnn.MLP((2,), "sin"), {"permutation": True, "sign flip": True, "shift by pi": False}),
    (bnn.MLP((2,), "sin", bias=False), {"permutation": True, "sign flip": True}),
    (bnn.MLP((1,), "tanh", prior=bnn.Laplace(1.0)), {"sign flip": True}),
    (bnn.MLP((2,), "tanh", prior=bnn.Hierarchical(1.0, fan_in=True)), {"permutation": True, "sign flip": True}),
    (bnn.MLP((2,), "erf", prior=bnn.StudentT(4.0, 1.0)), {"permutation": True, "sign flip": True}),
    (bnn.MLP((2,), "gelu", prior=bnn.ElasticNet(1.0, 0.5)), {"permutation": True}),
    (bnn.MLP((2,), "softplus", prior=bnn.Flat()), {"permutation": True}),
    (
        bnn.MLP((2,), "identity"),
        {"permutation": True, "sign flip": True, "rotation": True, "linear map": False, "shift": False},
    ),
    (
        bnn.MLP((2,), "identity", prior=bnn.Normal(1.0, bias=bnn.Laplace(1.0))),
        {"permutation": True, "sign flip": True, "rotation": False, "linear map": False, "shift": False},
    ),
    (
        bnn.MLP((2,), "identity", prior=bnn.Flat()),
        {"permutation": True, "sign flip": True, "rotation": True, "linear map": True, "shift": True},
    ),
    (
        bnn.MLP((2,), "silu", "cross_entropy", prior=bnn.Normal(1.0, bias=bnn.Flat())),
        {"permutation": True, "shift of logits (biases)": True, "shift of logits (weights)": False},
    ),
]


@pytest.mark.parametrize(("net", "claims"), CLAIMS)
def test_which_symmetries_keep_the_prior(net, claims):
    assert {s.kind: s.keeps_prior for s in symmetry_group(net).symmetries} == claims


TARGETS = {"cross_entropy": [0, 1, 2, 0, 1, 2, 2], "ordinal": [0, 0, 1, 2, 1, 2, 2]}


@pytest.mark.parametrize(("net", "claims"), CLAIMS)
def test_the_compiled_model_agrees(net, claims):
    check = check_symmetry(net, X, TARGETS.get(net.loss.name, Y), random_seed=1)
    assert check.ok, check
    assert len(check.rows) == len(claims)
    assert check.table["as claimed"].all()


def test_the_compiled_model_agrees_for_two_layers():
    net = bnn.MLP((2, 3), "sigmoid", prior=bnn.Hierarchical(1.0))
    assert check_symmetry(net, X, Y, random_seed=1).ok


def test_check_fires_on_wrong_claims():
    net = bnn.MLP((2,), "gelu", noise=0.5)
    claims = {
        "flip": GroupElement(([0, 1],), ([-1, 1],)),
        "swap": GroupElement(([1, 0],), ([1, 1],)),
        "half a swap": lambda p: p | {"W1": p["W1"][:, ::-1]},
    }
    check = check_symmetry(net, X, Y, random_seed=1, claims=claims)
    verdict = {row[0]: row[-1] for row in check.rows}
    assert verdict == {"layer 1: permutation": True, "flip": False, "swap": True, "half a swap": False}
    assert not check.ok
    assert "NOT ALL AS CLAIMED" in repr(check)
    f_changes = {row[0]: row[4] for row in check.rows}
    assert f_changes["flip"] > 1e-3
    assert f_changes["swap"] < 1e-12


def test_check_finds_units_of_unequal_scale():
    import pymc as pm

    net = bnn.MLP((2,), bias=False, noise=0.5)
    with pm.Model() as model:
        W1 = pm.Normal("W1", 0.0, np.array([[1.0, 2.0]]), shape=(1, 2))
        W2 = pm.Normal("W2", 0.0, 1.0, shape=(2, 1))
        f = pm.Deterministic("f", pm.math.tanh(X @ W1) @ W2)
        pm.Normal("y", f[:, 0], 0.5, observed=Y)
    check = check_symmetry(net, X, Y, random_seed=1, model=model)
    assert {row[0]: row[-1] for row in check.rows} == {"layer 1: permutation": False, "layer 1: sign flip": True}


def test_group_says_what_it_is():
    group = symmetry_group(bnn.MLP((3,), "sigmoid"))
    assert repr(group).startswith("SymmetryGroup: 6 equivalent weight vectors in the posterior, of 10 weights")
    assert (group.order, group.likelihood_order) == (6, 48)
    assert list(group.table["keeps prior"]) == [True, False]
    assert "<table" in group._repr_html_()
    assert symmetry_group(bnn.MLP((200, 200), "sin")).likelihood_order == math.inf


# --- elements -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_elements_form_a_group_that_acts(seed):
    rng = np.random.default_rng(seed)
    net = bnn.MLP((3, 2), "tanh")
    params = random_params(net, rng, p=2, m=2, batch=(4,))
    g, h, k = (random_symmetry(net, rng, batch=(4,)) for _ in range(3))
    one = GroupElement.identity(net, (4,))
    assert g @ (h @ k) == (g @ h) @ k
    assert g @ g.inverse() == one == g.inverse() @ g
    both, steps = apply_symmetry(params, g @ h, net), apply_symmetry(apply_symmetry(params, h, net), g, net)
    back = apply_symmetry(apply_symmetry(params, g, net), g.inverse(), net)
    for name in params:
        np.testing.assert_array_equal(both[name], steps[name])
        np.testing.assert_array_equal(back[name], params[name])


@pytest.mark.parametrize(("activation", "bias"), [("tanh", True), ("tanh", False), ("sigmoid", True), ("relu", True)])
@pytest.mark.parametrize("hidden", [(1,), (3,), (2, 2)])
def test_elements_keep_the_function_and_match_the_hand_made_action(activation, bias, hidden):
    rng = np.random.default_rng(3)
    net = bnn.MLP(hidden, activation, bias=bias, noise=1.0)
    params = random_params(net, rng, p=2, m=2)
    x = rng.normal(size=(3, 2))
    expected = [forward_by_hand(net, params, row) for row in x]
    for element in elements_by_hand(net, activation != "relu")[:: 1 + len(hidden)]:
        p, s = (tuple([u[i] for u in layer] for layer in element) for i in (0, 1))
        moved = apply_symmetry(params, GroupElement(p, s), net)
        np.testing.assert_allclose(flat(moved), flat(act_by_hand(params, element, activation == "sigmoid")), atol=1e-14)
        np.testing.assert_allclose([forward_by_hand(net, moved, row) for row in x], expected, atol=1e-12)
        if activation != "sigmoid":
            assert net.log_prior(moved) == pytest.approx(net.log_prior(params), abs=1e-12)


def test_flips_are_refused_where_they_change_the_function():
    rng = np.random.default_rng(0)
    flip = GroupElement(([0, 1],), ([-1, 1],))
    for net in (bnn.MLP((2,), "relu"), bnn.MLP((2,), "softplus"), bnn.MLP((2,), "sigmoid", bias=False)):
        params = random_params(net, rng)
        with pytest.raises(SpecError, match="sign flip"):
            apply_symmetry(params, flip, net)
        raw = act_by_hand(params, [[(0, -1), (1, 1)]])
        assert np.abs(net.forward(raw, X) - net.forward(params, X)).max() > 1e-3
    with pytest.raises(SpecError, match="sign flip"):
        apply_symmetry(random_params(bnn.MLP((2,), "sigmoid"), rng), flip, bnn.MLP((2,), "sigmoid"), keep="posterior")
    with pytest.raises(SpecError, match="layers of"):
        apply_symmetry(random_params(bnn.MLP((3,)), rng), flip, bnn.MLP((3,)))
    with pytest.raises(SpecError, match="once each"):
        GroupElement(([0, 0],), ([1, 1],))
    with pytest.raises(SpecError, match="keep="):
        random_symmetry(bnn.MLP((2,)), keep="everything")


def test_ordinal_sigmoid_flips_move_the_cutpoints():
    rng = np.random.default_rng(5)
    net = bnn.MLP((2,), "sigmoid", "ordinal")
    y = np.array([0, 1, 2, 2, 1, 0, 1])
    params = random_params(net, rng) | {"cutpoints": np.array([-0.5, 0.7])}
    moved = apply_symmetry(params, GroupElement(([1, 0],), ([-1, 1],)), net)
    assert not np.allclose(moved["cutpoints"], params["cutpoints"])
    np.testing.assert_allclose(net.log_likelihood(moved, X, y), net.log_likelihood(params, X, y), atol=1e-12)


def test_random_elements_are_uniform():
    net = bnn.MLP((2,))
    g = random_symmetry(net, 1, batch=(8000,))
    code = g.permutations[0][:, 0] * 4 + (g.signs[0] > 0) @ [1, 2]
    counts = np.bincount(code, minlength=8)
    assert len(counts) == 8
    assert ((counts - 1000) ** 2 / 1000).sum() < 24.3  # 0.999 quantile of chi-squared with 7 degrees of freedom
    assert (random_symmetry(bnn.MLP((4,), "relu"), 1, batch=(50,)).signs[0] == 1).all()


# --- orbits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "hidden", "keep"),
    [
        ("tanh", (), "posterior"),
        ("tanh", (3,), "posterior"),
        ("relu", (3,), "posterior"),
        ("tanh", (2, 2), "posterior"),
        ("sigmoid", (2,), "posterior"),
        ("sigmoid", (2, 2), "likelihood"),
    ],
)
def test_orbit_is_what_enumeration_gives(activation, hidden, keep):
    rng = np.random.default_rng(7)
    net = bnn.MLP(hidden, activation, noise=0.3)
    params = random_params(net, rng)
    signed = activation == "tanh" or keep == "likelihood"
    by_hand = [flat(act_by_hand(params, g, activation == "sigmoid")) for g in elements_by_hand(net, signed)]
    copies = orbit(params, net, X, Y, keep=keep)
    assert len(copies) == copies.order == copies.n_distinct == len(by_hand)
    ours = np.array([flat(c.params) for c in copies])
    assert len({tuple(row) for row in ours.round(10)} & {tuple(row) for row in np.round(by_hand, 10)}) == len(by_hand)
    first = copies[0]
    np.testing.assert_array_equal(flat(first.params), flat(params))
    for c in copies:
        assert c.log_likelihood == pytest.approx(first.log_likelihood, rel=1e-10)
        np.testing.assert_allclose(c.f, first.f, atol=1e-10)
    spread = np.ptp([c.log_prior for c in copies])
    assert spread > 0.01 if keep == "likelihood" else spread < 1e-10
    dataset = copies.to_dataset()
    assert dataset.sizes["copy"] == len(copies)
    assert np.ptp(dataset["log_likelihood"].to_numpy()) < 1e-9


def test_orbit_counts_without_making_large_groups():
    net = bnn.MLP((20, 20), noise=1.0)
    copies = orbit(random_params(net, np.random.default_rng(0)), net)
    assert copies.order == math.factorial(20) ** 2 * 2**40 == copies.n_distinct
    np.testing.assert_allclose(copies[copies.order - 1].log_prior, copies[0].log_prior)
    assert copies[0].f is None
    assert copies[0].log_likelihood is None
    assert len(copies[5:10]) == 5
    assert copies[5:10][0].index == 5
    assert copies.distinct() is copies
    wide = bnn.MLP((7,), noise=1.0)
    with pytest.raises(SpecError, match="645120"):
        orbit(random_params(wide, np.random.default_rng(0)), wide).to_dataset()


def test_orbit_of_a_fit():
    net = bnn.MLP((2,), noise=0.3)
    params = random_params(net, np.random.default_rng(0))
    copies = orbit(point_tree(net, params))
    assert copies[3].log_likelihood == pytest.approx(net.log_likelihood(params, X, Y).sum())
    problem = prepare(net, X, Y)
    many = to_dataset({k: np.stack([v, v])[None] for k, v in params.items()}, problem, {"chain": [0], "draw": [0, 1]})
    with pytest.raises(FitError, match="many draws"):
        orbit(make_tree("posterior", problem, many))
    with pytest.raises(SpecError, match="without a network"):
        orbit(params)
    with pytest.raises(SpecError, match="batch"):
        orbit({k: v[None] for k, v in params.items()}, net)


NETS = [
    bnn.MLP(hidden, activation, bias=bias, noise=1.0)
    for hidden, activation, bias in [
        ((1,), "tanh", True),
        ((3,), "tanh", False),
        ((3,), "relu", True),
        ((2, 2), "tanh", False),
        ((3, 2), "relu", False),
        ((2, 3), "tanh", False),
        ((2, 2, 2), "relu", False),
        ((1, 2, 1), "tanh", True),
    ]
]


@given(st.sampled_from(NETS), st.lists(st.integers(-1, 1), min_size=1, max_size=12))
@settings(max_examples=120, deadline=None)
def test_stabiliser_is_what_enumeration_counts(net, numbers):
    params = integer_params(net, numbers)
    elements = elements_by_hand(net, net.activation == "tanh")
    moved = [tuple(flat(act_by_hand(params, g))) for g in elements]
    fixed = sum(m == tuple(flat(params)) for m in moved)
    assert stabiliser_order(params, net) == fixed
    copies = orbit(params, net)
    assert copies.n_distinct == len(set(moved)) == len(elements) // fixed
    assert {tuple(flat(c.params)) for c in copies.distinct()} == set(moved)
    assert len(copies.distinct()) == len(set(moved))


@given(st.sampled_from([(2,), (3,), (2, 2)]), st.lists(st.integers(-1, 1), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_stabiliser_with_sigmoid_flips(hidden, numbers):
    net = bnn.MLP(hidden, "sigmoid", noise=1.0)
    params = integer_params(net, numbers)
    moved = [tuple(flat(act_by_hand(params, g, shift=True))) for g in elements_by_hand(net, True)]
    assert stabiliser_order(params, net, keep="likelihood") == sum(m == tuple(flat(params)) for m in moved)
    assert orbit(params, net, keep="likelihood").n_distinct == len(set(moved))
    assert len(orbit(params, net, keep="likelihood").distinct()) == len(set(moved))


def test_stabiliser_of_twins_and_dead_units():
    net = bnn.MLP((4,), bias=False)
    twins = {"W1": np.array([[1.0, -1.0, 2.0, 0.0]]), "W2": np.array([[3.0], [-3.0], [1.0], [0.0]])}
    assert stabiliser_order(twins, net) == 2 * 2
    assert stabiliser_order({"W1": np.zeros((1, 4)), "W2": np.zeros((4, 1))}, net) == 384
    almost = {k: v + 1e-8 * np.arange(4.0).reshape(v.shape) for k, v in twins.items()}
    assert stabiliser_order(almost, net) == 1
    assert stabiliser_order(almost, net, tolerance=1e-6) == 4


def test_wide_priors_give_neals_data_several_functional_modes():
    data = bnn.load_data("neal", random_seed=1)
    wide = bnn.MLP(hidden=(8,), noise=0.1, prior=bnn.Normal(3.0))
    found = bnn.count_modes(bnn.fit_map(wide, data, restarts=40, random_seed=1, progressbar=False))
    assert found.n_functions > 1
    narrow = bnn.MLP(hidden=(8,), noise=0.1, prior=bnn.Normal(1.0))
    assert bnn.count_modes(bnn.fit_map(narrow, data, restarts=10, random_seed=1, progressbar=False)).n_functions == 1
