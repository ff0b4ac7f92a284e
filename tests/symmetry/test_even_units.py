"""Units whose flip leaves what leaves them, levels other than one, and priors that are not even, by enumeration."""

import itertools
import math

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesnn as bnn
from bayesnn.errors import SpecError
from bayesnn.priors import PRIORS
from bayesnn.symmetry import (
    GroupElement,
    align,
    alignment_element,
    apply_symmetry,
    canonical_element,
    canonicalize,
    check_symmetry,
    count_modes,
    element_of,
    orbit,
    random_symmetry,
    stabiliser_order,
    symmetrize,
    symmetry_group,
)
from bayesnn.symmetry.align import assign
from bayesnn.symmetry.group import numbered_elements
from bayesnn.symmetry.orbit import stabiliser_words
from bayesnn.tree import params_of
from tests.symmetry.test_symmetry import X, Y, elements_by_hand, flat, integer_params, random_params
from tests.symmetry.test_symmetry_draws import ends, fit_tree, posterior, scattered
from tests.symmetry.test_symmetry_draws import flat as flat_rows

BUMP = bnn.Activation("bump", lambda z: pt.exp(-(z**2)))
ABS = bnn.Activation("abs", lambda z: abs(z))
RAISED = bnn.Activation("raised", lambda z: 1 + 3 * pt.sigmoid(z))
CONSTANT = bnn.Activation("constant", lambda z: 2.0 + 0.0 * z)
BY_HAND = {
    "bump": lambda a: math.exp(-a * a),
    "abs": abs,
    "raised": lambda a: 1 + 3 / (1 + math.exp(-a)),
    "tanh": math.tanh,
}


class Leaning(bnn.Normal):
    """A normal density around a half: not even."""

    even = gaussian = False

    def _log_density(self, z):
        return super()._log_density(z - 0.5)

    def _rv(self, name, factor, dims):
        return pm.Normal(name, np.float64(0.5) * factor, np.float64(self.sd) * factor, dims=dims)


def act_by_hand(params, element, out=1, level=0.0):
    """Move units one number at a time; a flip multiplies what leaves by `out` and adds `level` times it to a bias."""
    new = {k: v.copy() for k, v in params.items()}
    for layer, units in enumerate(element, start=1):
        old = {k: v.copy() for k, v in new.items()}
        for place, (j, s) in enumerate(units):
            new[f"W{layer}"][:, place] = s * old[f"W{layer}"][:, j]
            new[f"W{layer + 1}"][place] = (out if s < 0 else 1) * old[f"W{layer + 1}"][j]
            if f"b{layer}" in new:
                new[f"b{layer}"][place] = s * old[f"b{layer}"][j]
            if level and s < 0:
                new[f"b{layer + 1}"] += level * old[f"W{layer + 1}"][j]
    return new


def forward_by_hand(net, params, x):
    h = list(x)
    for layer in range(1, net.n_layers + 1):
        W, b = params[f"W{layer}"], params.get(f"b{layer}", np.zeros(params[f"W{layer}"].shape[1]))
        a = [sum(h[i] * W[i, j] for i in range(len(h))) + b[j] for j in range(W.shape[1])]
        h = a if layer == net.n_layers else [BY_HAND[net.phi.name](v) for v in a]
    return np.array(h)


def element_from(pairs):
    return GroupElement(*(tuple([unit[i] for unit in layer] for layer in pairs) for i in (0, 1)))


# --- the group ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m", [1, 2, 3, 4])
@pytest.mark.parametrize("activation", [BUMP, CONSTANT])
def test_order_of_even_units(m, activation):
    group = symmetry_group(bnn.MLP((m,), activation))
    assert group.order == group.finite_order == group.likelihood_order == math.factorial(m) * 2**m
    flip = group.symmetries[-1]
    assert (flip.kind, flip.order, flip.keeps_prior) == ("sign flip", 2**m, True)
    assert flip.words == "flip the sign of a unit's incoming weights and its bias"
    flip = symmetry_group(bnn.MLP((m,), activation, bias=False)).symmetries[-1]
    assert flip.words == "flip the sign of a unit's incoming weights"


def test_an_activation_may_have_several_symmetries():
    kept = {s.kind: s.keeps_prior for s in symmetry_group(bnn.MLP((2,), ABS)).symmetries}
    assert kept == {"permutation": True, "sign flip": True, "rescaling": False}
    flat_prior = symmetry_group(bnn.MLP((2,), ABS, prior=bnn.Flat()))
    assert all(s.keeps_prior for s in flat_prior.symmetries)
    assert (flat_prior.order, flat_prior.finite_order) == (math.inf, 8)


def test_the_level_is_said():
    words = {s.kind: s.words for s in symmetry_group(bnn.MLP((2,), RAISED)).symmetries}
    assert words["flip with shift"] == "flip a unit's weights and add its old outgoing weights times 5 to the next bias"


NETS_TO_CHECK = [
    bnn.MLP((2,), BUMP),
    bnn.MLP((2,), BUMP, bias=False),
    bnn.MLP((2, 3), BUMP, prior=bnn.Hierarchical(1.0)),
    bnn.MLP((2,), ABS),
    bnn.MLP((2,), ABS, prior=bnn.Flat()),
    bnn.MLP((2, 2), RAISED),
    bnn.MLP((2,), RAISED, prior=bnn.Normal(1.0, bias=bnn.Flat())),
    bnn.MLP((2,), "tanh", prior=Leaning(1.0)),
    bnn.MLP((2,), "sin", prior=Leaning(1.0, bias=bnn.Flat())),
    bnn.MLP((2,), "identity", prior=Leaning(1.0)),
    bnn.MLP((2, 2), BUMP, prior=bnn.Normal(1.0, bias=Leaning(1.0))),
    bnn.MLP((2,), BUMP, bias=False, prior=bnn.Normal(1.0, bias=Leaning(1.0))),
    bnn.MLP((2,), RAISED, prior=Leaning(1.0, bias=bnn.Flat())),
]


@pytest.mark.parametrize("net", NETS_TO_CHECK)
def test_the_compiled_model_agrees(net):
    check = check_symmetry(net, X, Y, random_seed=1)
    assert check.ok, check
    assert len(check.rows) == len(symmetry_group(net).symmetries)


def test_the_compiled_model_refutes_the_rule_of_odd_units():
    def flip(out):
        return lambda p: act_by_hand(p, [[(0, -1), (1, 1)]], out=out)

    claims = {"as an odd unit": flip(-1), "as an even unit": flip(1)}
    check = check_symmetry(bnn.MLP((2,), BUMP, noise=0.5), X, Y, random_seed=1, claims=claims)
    assert {row[0]: row[-1] for row in check.rows[-2:]} == {"as an odd unit": False, "as an even unit": True}


# --- orbits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", ["posterior", "likelihood"])
@pytest.mark.parametrize(("activation", "bias"), [(BUMP, True), (BUMP, False), (ABS, True)])
@pytest.mark.parametrize("hidden", [(1,), (3,), (2, 2), (2, 1, 2)])
def test_orbit_is_what_enumeration_gives(hidden, activation, bias, keep):
    rng = np.random.default_rng(7)
    net = bnn.MLP(hidden, activation, bias=bias, noise=0.3)
    params, x = random_params(net, rng, p=2, m=2), rng.normal(size=(5, 2))
    y = rng.normal(size=(5, 2))
    expected = [forward_by_hand(net, params, row) for row in x]
    by_hand = [act_by_hand(params, g) for g in elements_by_hand(net, True)]
    copies = orbit(params, net, x, y, keep=keep)
    assert len(copies) == copies.order == copies.n_distinct == len(by_hand)
    assert {tuple(flat(c.params)) for c in copies} == {tuple(flat(p)) for p in by_hand}
    for c in copies:
        assert c.log_likelihood == pytest.approx(copies[0].log_likelihood, rel=1e-12)
        assert c.log_prior == pytest.approx(copies[0].log_prior, rel=1e-12)
    for p in by_hand[:: 1 + len(by_hand) // 8]:
        np.testing.assert_allclose([forward_by_hand(net, p, row) for row in x], expected, rtol=1e-12, atol=1e-12)
    # Without biases the next even layer may not notice; the outputs always do.
    flipped = [g for g in elements_by_hand(net, True) if any(s < 0 for _, s in g[-1])]
    wrong = [net.forward(act_by_hand(params, g, out=-1), x) for g in flipped]
    assert min(np.abs(f - expected).max() for f in wrong) > 1e-3, "the rule of odd units is another function"


@pytest.mark.parametrize("hidden", [(1,), (3,), (2, 2), (2, 1, 2)])
def test_flips_with_any_level_keep_the_likelihood(hidden):
    rng = np.random.default_rng(3)
    net = bnn.MLP(hidden, RAISED, noise=0.3)
    params = random_params(net, rng)
    expected = net.log_likelihood(params, X, Y).sum()
    elements = elements_by_hand(net, True)
    copies = orbit(params, net, X, Y, keep="likelihood")
    assert len(copies) == copies.n_distinct == len(copies.distinct()) == len(elements)
    ours = {tuple(flat(c.params).round(9) + 0.0) for c in copies}
    assert ours == {tuple(flat(act_by_hand(params, g, -1, 5.0)).round(9) + 0.0) for g in elements}
    for c in copies:
        assert c.log_likelihood == pytest.approx(expected, rel=1e-10)
    assert np.ptp([c.log_prior for c in copies]) > 0.01
    moved = act_by_hand(params, elements[-1], -1, 1.0)
    assert np.abs(net.forward(moved, X) - net.forward(params, X)).max() > 1e-3, "the sigmoid's level is not this one's"
    assert orbit(params, net).order == math.prod(math.factorial(m) for m in hidden)


NETS = [
    bnn.MLP(hidden, BUMP, bias=bias, noise=1.0)
    for hidden, bias in [
        ((1,), True),
        ((3,), False),
        ((3,), True),
        ((2, 2), False),
        ((2, 2), True),
        ((3, 2), False),
        ((2, 3), True),
        ((2, 2, 2), False),
        ((1, 2, 1), True),
    ]
]
NUMBERS = st.lists(st.integers(-1, 1), min_size=1, max_size=14)


@given(st.sampled_from(NETS), NUMBERS)
@settings(max_examples=120, deadline=None)
def test_stabiliser_is_what_enumeration_counts(net, numbers):
    params = integer_params(net, numbers)
    moved = [tuple(flat(act_by_hand(params, g))) for g in elements_by_hand(net, True)]
    fixed = sum(m == tuple(flat(params)) for m in moved)
    assert stabiliser_order(params, net) == fixed
    copies = orbit(params, net)
    assert copies.n_distinct == len(set(moved)) == len(moved) // fixed
    assert {tuple(flat(c.params)) for c in copies.distinct()} == set(moved)
    assert len(copies.distinct()) == len(set(moved))


@given(st.sampled_from([(1,), (3,), (2, 2), (2, 1, 2)]), NUMBERS)
@settings(max_examples=60, deadline=None)
def test_stabiliser_with_any_level(hidden, numbers):
    net = bnn.MLP(hidden, RAISED, noise=1.0)
    params = integer_params(net, numbers)
    moved = [tuple(flat(act_by_hand(params, g, -1, 5.0))) for g in elements_by_hand(net, True)]
    assert stabiliser_order(params, net, keep="likelihood") == sum(m == tuple(flat(params)) for m in moved)
    copies = orbit(params, net, keep="likelihood")
    assert copies.n_distinct == len(copies.distinct()) == len(set(moved))


@pytest.mark.parametrize(
    ("entering", "leaving", "even", "odd", "words"),
    [
        ([1, -1, 2], [3, 3, 1], 2, 1, "hidden units 1 and 2 are twins"),
        ([1, -1, 2], [3, -3, 1], 1, 2, ""),
        ([0, 1, 2], [5, 1, 1], 2, 1, "hidden unit 1 is dead (all that enters is zero)"),
        ([0, 0, 2], [5, 1, 1], 4, 1, "hidden units 1 and 2 are dead (all that enters is zero)"),
        (
            [0, 0, 2], [5, 5, 1], 8, 2,
            "hidden units 1 and 2 are twins, hidden units 1 and 2 are dead (all that enters is zero)",
        ),
        ([1, -1, 1], [2, 2, 2], 6, 2, "hidden units 1, 2 and 3 are equal up to sign"),
        ([0, 0, 0], [0, 0, 0], 48, 48, "hidden units 1, 2 and 3 are equal up to sign, "
         "hidden units 1, 2 and 3 are dead (all that enters is zero)"),
    ],
)  # fmt: skip
def test_twins_and_dead_units(entering, leaving, even, odd, words):
    params = {"W1": np.array([entering], dtype=float), "W2": np.array(leaving, dtype=float)[:, None]}
    net = bnn.MLP((3,), BUMP, bias=False)
    assert (stabiliser_order(params, net), stabiliser_order(params, bnn.MLP((3,), bias=False))) == (even, odd)
    assert stabiliser_words(params, net) == words
    almost = {k: v + 1e-8 * np.arange(1.0, 4.0).reshape(v.shape) for k, v in params.items()}
    assert stabiliser_order(almost, net) == 1
    assert stabiliser_order(almost, net, tolerance=1e-6) == even
    biased = bnn.MLP((3,), BUMP)
    assert stabiliser_order(params | {"b1": np.zeros(3), "b2": np.ones(1)}, biased) == even
    assert stabiliser_order(params | {"b1": np.arange(1.0, 4.0), "b2": np.ones(1)}, biased) == 1


def test_units_of_several_layers_change_places_together():
    net = bnn.MLP((2, 2), BUMP, bias=False)
    params = {"W1": np.array([[1.0, -1.0]]), "W2": np.array([[1.0, 2.0], [2.0, 1.0]]), "W3": np.array([[1.0], [1.0]])}
    assert stabiliser_order(params, net) == 2
    assert stabiliser_words(params, net) == "units of several layers can change places together"
    net = bnn.MLP((2, 3), BUMP, bias=False)
    # Two of the second layer's units can't take the place of one.
    params = {"W1": params["W1"], "W2": np.array([[1.0, 1.0, 2.0], [2.0, 2.0, 1.0]]), "W3": np.ones((3, 1))}
    moved = [flat(act_by_hand(params, g)) for g in elements_by_hand(net, True)]
    assert stabiliser_order(params, net) == sum((m == flat(params)).all() for m in moved) == 2


def test_dead_units_are_dead_within_the_tolerance():
    params = {"W1": np.array([[8e-7, -8e-7]]), "W2": np.array([[1.0], [1.0]])}
    assert stabiliser_order(params, bnn.MLP((2,), BUMP, bias=False), tolerance=1e-6) == 8
    params["W2"] = np.array([[8e-7], [8e-7]])
    assert stabiliser_order(params, bnn.MLP((2,), bias=False), tolerance=1e-6) == 8


# --- canonical form and alignment -----------------------------------------------------------------------------------


@given(st.sampled_from(NETS), NUMBERS, st.integers(0, 10**6))
@settings(max_examples=150, deadline=None)
def test_canonical_form_is_the_same_on_an_orbit(net, numbers, seed):
    params = integer_params(net, numbers, p=2, m=2)
    form = flat(canonicalize(params, net))
    moved = apply_symmetry(params, random_symmetry(net, seed, batch=(6,)), net)
    assert (flat_rows(canonicalize(moved, net), batch=1) == form).all()
    by_hand = {tuple(flat(act_by_hand(params, g))) for g in elements_by_hand(net, True)}
    assert tuple(form) in by_hand


def test_what_enters_decides_on_the_sign():
    params = {"W1": np.array([[0.0, -2.0, 1.0]]), "W2": np.array([[-3.0], [4.0], [-5.0]])}
    form = canonicalize(params, bnn.MLP((3,), BUMP, bias=False))
    np.testing.assert_array_equal(form["W1"], [[0.0, 1.0, 2.0]])
    np.testing.assert_array_equal(form["W2"].ravel(), [-3.0, -5.0, 4.0])
    assert canonical_element(params, bnn.MLP((3,), BUMP, bias=False)).signs[0].tolist() == [1, 1, -1]
    assert canonicalize(params, bnn.MLP((3,), bias=False))["W2"].ravel().tolist() == [3.0, -5.0, -4.0]


def test_dead_units_whose_outgoing_weights_are_opposite_have_one_canonical_form():
    net = bnn.MLP((2, 2), BUMP, noise=1.0)
    params = {k: np.zeros(s) for k, s in net.shapes(1, 1).items()}
    params |= {"W2": np.array([[1.0, 2.0], [-1.0, -2.0]]), "b2": np.array([1.0, 1.0]), "W3": np.array([[1.0], [2.0]])}
    assert len({tuple(flat(canonicalize(p.params, net))) for p in orbit(params, net)}) == 1


@given(st.sampled_from(NETS), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_canonical_form_tells_orbits_apart(net, seed):
    rng = np.random.default_rng(seed)
    params = random_params(net, rng, p=2, m=2, batch=(5,))
    forms = canonicalize(params, net)
    assert len(np.unique(flat_rows(forms, batch=1), axis=0)) == 5
    assert (forms["W1"][:, 0] > 0).all()
    # The rule of odd units leads into another orbit, for it is another function.
    last = len(net.hidden)
    wrong = params | {name: -params[name] for name in (f"W{last}", f"b{last}", f"W{last + 1}") if name in params}
    assert (flat_rows(canonicalize(wrong, net), batch=1) != flat_rows(forms, batch=1)).any(axis=1).all()


@pytest.mark.parametrize("hidden", [(1,), (2,), (6,), (2, 2), (3, 3), (5, 4), (2, 2, 2)])
@pytest.mark.parametrize("activation", [BUMP, ABS])
def test_alignment_undoes_a_random_element_exactly(hidden, activation):
    rng = np.random.default_rng(2)
    net = bnn.MLP(hidden, activation)
    params = random_params(net, rng, p=2, m=2)
    planted = random_symmetry(net, rng, batch=(20,))
    found, _ = alignment_element(apply_symmetry(params, planted, net), net, reference=params)
    assert found @ planted == GroupElement.identity(net, (20,))
    assert any((s < 0).any() for s in planted.signs)
    for name, value in apply_symmetry(apply_symmetry(params, planted, net), found, net).items():
        np.testing.assert_array_equal(value, np.broadcast_to(params[name], value.shape))


@pytest.mark.parametrize("hidden", [(1,), (3,), (5,), (2, 2), (3, 2), (2, 3), (2, 2, 2), (3, 2, 2)])
def test_alignment_is_the_nearest_member_of_the_orbit(hidden):
    rng = np.random.default_rng(11)
    net = bnn.MLP(hidden, BUMP, noise=1.0)
    reference, draws = random_params(net, rng, m=2), random_params(net, rng, m=2, batch=(4,))
    element, _ = alignment_element(draws, net, reference=reference)
    found = ((flat_rows(apply_symmetry(draws, element, net), batch=1) - flat(reference)) ** 2).sum(axis=1)
    for i in range(4):
        one = {k: v[i] for k, v in draws.items()}
        moved = apply_symmetry(one, numbered_elements(net, range(orbit(one, net).order)), net)
        nearest = ((flat_rows(moved, batch=1) - flat(reference)) ** 2).sum(axis=1).min()
        assert found[i] == pytest.approx(nearest, rel=1e-10)


def test_signs_from_all_weights_together_would_be_noticed():
    rng = np.random.default_rng(0)
    net = bnn.MLP((3,), BUMP, bias=False)
    reference, draws = random_params(net, rng), random_params(net, rng, batch=(50,))
    best, _ = alignment_element(draws, net, reference=reference)
    columns = [np.concatenate([p["W1"], np.swapaxes(p["W2"], -1, -2)], axis=-2) for p in (reference, draws)]
    inner = columns[0].T @ columns[1]
    p = assign(np.abs(inner))
    s = np.where(np.take_along_axis(inner, p[..., None], -1)[..., 0] < 0, -1, 1)
    near, far = (
        ((flat_rows(apply_symmetry(draws, g, net), batch=1) - flat(reference)) ** 2).sum(axis=1)
        for g in (best, GroupElement((p,), (s,)))
    )
    assert (near <= far + 1e-12).all()
    assert (near < far - 1e-3).mean() > 0.3


@pytest.mark.parametrize("hidden", [(2,), (6,), (3, 3), (6, 5)])
def test_draws_of_a_posterior_are_aligned_and_unfolded(hidden):
    rng = np.random.default_rng(2)
    net = bnn.MLP(hidden, BUMP)
    params, moved = scattered(net, rng)
    aligned = align(posterior(net, moved))
    got = params_of(aligned)
    planted, found = (sum(p[name].var(axis=(0, 1)).sum() for name in net.dims()) for p in (params, got))
    assert 0.9 * planted < found <= planted * (1 + 1e-9)
    np.testing.assert_allclose(net.forward(got, X), net.forward(moved, X), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(net.log_prior(got), net.log_prior(moved), rtol=1e-12)
    again = params_of(align(symmetrize(aligned, random_seed=1)))
    assert sum(again[name].var(axis=(0, 1)).sum() for name in net.dims()) == pytest.approx(found, rel=1e-6)
    for tree in (aligned, canonicalize(posterior(net, moved)), symmetrize(posterior(net, moved), random_seed=1)):
        back = apply_symmetry(params_of(tree), element_of(tree).inverse(), net)
        for name in net.dims():
            np.testing.assert_array_equal(back[name], moved[name])


def test_unfolding_turns_what_enters_alone():
    rng = np.random.default_rng(2)
    net = bnn.MLP((2,), BUMP, noise=0.5)
    params, _ = scattered(net, rng, chains=2, draws=2000)
    full = symmetrize(posterior(net, params), random_seed=3)
    g, drawn = element_of(full), params_of(full)
    code = (g.permutations[0][..., 0] * 4 + (g.signs[0] > 0) @ [1, 2]).ravel()
    assert ((np.bincount(code, minlength=8) - 500) ** 2 / 500).sum() < 24.3  # 0.999 quantile, 7 degrees of freedom
    for name in ("W1", "b1"):
        assert np.abs(drawn[name].mean(axis=(0, 1))).max() < 0.15
    np.testing.assert_array_equal(np.sort(drawn["W2"], axis=-2), np.sort(params["W2"], axis=-2))


# --- modes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mle", "map"])
def test_copies_of_an_optimum(kind):
    rng = np.random.default_rng(1)
    net = bnn.MLP((3,), BUMP, noise=0.3)
    base = random_params(net, rng)
    twins = {k: v.copy() for k, v in base.items()}
    twins["W1"][:, 1], twins["b1"][1], twins["W2"][1] = -twins["W1"][:, 0], -twins["b1"][0], twins["W2"][0]
    dead = {k: v.copy() for k, v in base.items()}
    dead["W1"][:, 2] = dead["b1"][2] = 0.0
    for point, copies, why in ((base, 48, ""), (twins, 24, "twins"), (dead, 24, "all that enters is zero")):
        modes = count_modes(fit_tree(kind, net, ends(net, [point], [12], rng)))
        assert (modes.n_modes, modes.order, modes.table["copies"].tolist()) == (1, 48, [copies])
        assert why in modes.table["why"].iloc[0]
        assert f"{copies} symmetric copies" in repr(modes)


def test_modes_of_draws():
    rng = np.random.default_rng(6)
    net = bnn.MLP((2,), BUMP, noise=0.3)
    _, moved = scattered(net, rng, draws=200, jitter=0.03)
    modes = count_modes(posterior(net, moved))
    assert (modes.n_functions, modes.n_modes, modes.order) == (1, 1, 8)


# --- priors that are not even ---------------------------------------------------------------------------------------

LEANING = [
    (bnn.MLP((2,), "tanh", noise=0.3, prior=Leaning(1.0)), -1),
    (bnn.MLP((2,), "tanh", noise=0.3, prior=bnn.Normal(1.0, bias=Leaning(1.0))), -1),
    (bnn.MLP((2,), BUMP, noise=0.3, prior=Leaning(1.0, bias=bnn.Normal(1.0))), 1),
    (bnn.MLP((2,), BUMP, bias=False, noise=0.3, prior=Leaning(1.0)), 1),
]


@pytest.mark.parametrize(("net", "out"), LEANING)
def test_a_prior_that_is_not_even_breaks_flips(net, out):
    params = random_params(net, np.random.default_rng(4))
    group = symmetry_group(net)
    assert {s.kind: s.keeps_prior for s in group.symmetries} == {"permutation": True, "sign flip": False}
    assert (group.order, group.finite_order, group.likelihood_order) == (2, 2, 8)
    by_hand = [act_by_hand(params, g, out) for g in elements_by_hand(net, True)]
    kept = [p for p in by_hand if abs(net.log_prior(p) - net.log_prior(params)) < 1e-12]
    mine, all_ = orbit(params, net, X, Y), orbit(params, net, X, Y, keep="likelihood")
    assert (len(mine), mine.n_distinct, len(all_), all_.n_distinct) == (2, len(kept), 8, len(by_hand))
    assert {tuple(flat(c.params)) for c in mine} == {tuple(flat(p)) for p in kept}
    for c in all_:
        assert c.log_likelihood == pytest.approx(all_[0].log_likelihood, rel=1e-12)
    assert np.ptp([c.log_prior for c in all_]) > 0.01

    flip = GroupElement(([0, 1],), ([-1, 1],))
    with pytest.raises(SpecError, match="none that keeps the posterior"):
        apply_symmetry(params, flip, net, keep="posterior")
    assert flat(apply_symmetry(params, flip, net)).tolist() == flat(by_hand[2]).tolist()
    assert (random_symmetry(net, 1, batch=(50,)).signs[0] == 1).all()
    assert (random_symmetry(net, 1, batch=(50,), keep="likelihood").signs[0] < 0).any()
    element, _ = alignment_element({k: v[None] for k, v in params.items()}, net, reference=by_hand[3])
    assert (element.signs[0] == 1).all()


def test_a_prior_of_biases_that_are_not_there_breaks_nothing():
    net = bnn.MLP((2,), "tanh", bias=False, prior=bnn.Normal(1.0, bias=Leaning(1.0)))
    assert symmetry_group(net).order == 8


def test_an_mle_is_counted_modulo_flips_that_the_prior_breaks(monkeypatch):
    monkeypatch.setitem(PRIORS, "Leaning", Leaning)
    rng = np.random.default_rng(1)
    net = bnn.MLP((2,), "tanh", noise=0.3, prior=Leaning(1.0))
    base = random_params(net, rng)
    moved = apply_symmetry(base, random_symmetry(net, rng, batch=(12,), keep="likelihood"), net)
    modes = count_modes(fit_tree("mle", net, moved))
    assert (modes.n_modes, modes.order, modes.table["copies"].tolist()) == (1, 8, [8])
    modes = count_modes(fit_tree("map", net, moved))
    assert modes.n_modes > 1
    assert modes.order == 2


# --- the hand-made action is what it claims to be -------------------------------------------------------------------


@pytest.mark.parametrize(("activation", "out", "level"), [(BUMP, 1, 0.0), ("tanh", -1, 0.0), (RAISED, -1, 5.0)])
def test_the_action_by_hand_keeps_the_function_by_hand(activation, out, level):
    rng = np.random.default_rng(5)
    net = bnn.MLP((2, 2), activation)
    params, x = random_params(net, rng), rng.normal(size=(3, 1))
    expected = [forward_by_hand(net, params, row) for row in x]
    np.testing.assert_allclose(net.forward(params, x), expected, rtol=1e-12)
    for element in itertools.islice(elements_by_hand(net, True), 0, None, 5):
        moved = act_by_hand(params, element, out, level)
        np.testing.assert_allclose([forward_by_hand(net, moved, row) for row in x], expected, atol=1e-12)
        ours = apply_symmetry(params, element_from(element), net)
        np.testing.assert_allclose(flat(ours), flat(moved), atol=1e-13)
