"""The verdict on chains whose trouble is known because it was built in, and the numbers against other sources."""

import dataclasses
import io
import json
import math
import re

import arviz as az
import numpy as np
import pytest
import xarray as xr
from rich.console import Console
from scipy import stats
from scipy.signal import lfilter

import bayesnn as bnn
from bayesnn.diagnostics import diagnose
from bayesnn.diagnostics.diagnosis import RHAT_MAX, TRUSTED
from bayesnn.diagnostics.verdict import ESS_MIN
from bayesnn.errors import FitError, SpecError
from bayesnn.symmetry import GroupElement, align, apply_symmetry, symmetrize
from bayesnn.tree import make_tree, prepare, to_dataset

# Two tanh units on the sine data, one optimum and its mirror images.
NET = bnn.MLP(hidden=(2,), activation="tanh", noise=0.2)
MAP = np.array([0.7405, 0.8782, -1.3254, 0.9567, -1.5622, 1.4183, -1.3105])
# One steep unit on a bump: it fits the rising or the falling flank, two optima that no symmetry connects.
FLANK = bnn.MLP(hidden=(1,), noise=0.3, prior=bnn.Normal(3.0))
X_BUMP = np.array([-3, -2.5, -2.0, -0.5, 0, 0.5, 2, 2.5])
OPTIMA = np.array([[1.46, 2.17, 0.32, 0.28], [-1.37, 2.19, 0.28, 0.21]])


@pytest.fixture(scope="module")
def sine_problem():
    data = bnn.load_data("sine_gap", random_seed=1)
    return prepare(NET, data.X, data.y)


@pytest.fixture(scope="module")
def bump_problem():
    return prepare(FLANK, X_BUMP, np.where(abs(X_BUMP) < 1, 1.0, 0.0))


def unravel(vectors, problem):
    """Weight vectors (..., k) as parameters."""
    sizes = [math.prod(s) for s in problem.shapes.values()]
    parts = np.split(vectors, np.cumsum(sizes)[:-1], axis=-1)
    return {k: v.reshape(*vectors.shape[:-1], *s) for (k, s), v in zip(problem.shapes.items(), parts, strict=True)}


def tree_of(problem, params, *, kind="posterior", **stats):
    chains, draws = next(iter(params.values())).shape[:2]
    batch = {"chain": np.arange(chains), "draw": np.arange(draws)}
    groups = {"sample_stats": xr.Dataset({k: (("chain", "draw"), v) for k, v in stats.items()}, coords=batch)}
    return make_tree(kind, problem, to_dataset(params, problem, batch), groups=groups if stats else None)


def cluster(centre, *, chains=4, draws=1000, sd=0.1, rho=0.0, seed=1):
    """Stationary Gaussian draws about a point, with autocorrelation rho."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(chains, draws, np.shape(centre)[-1]))
    noise[:, 1:] *= np.sqrt(1 - rho**2)
    return centre + sd * lfilter([1], [1, -rho], noise, axis=1)


def mirrored(params, problem, permutations, signs):
    """Give each chain its own mirror image."""
    element = GroupElement((np.array(permutations)[:, None],), (np.array(signs)[:, None],))
    draws = next(iter(params.values())).shape[1]
    element = GroupElement(
        *(tuple(np.repeat(a, draws, axis=1) for a in part) for part in (element.permutations, element.signs))
    )
    return apply_symmetry(params, element, problem.net)


FOUR_IMAGES = {"permutations": [[0, 1], [0, 1], [1, 0], [1, 0]], "signs": [[1, 1], [-1, 1], [1, -1], [-1, -1]]}


def four_images(problem, **kwargs):
    return mirrored(unravel(cluster(MAP, **kwargs), problem), problem, **FOUR_IMAGES)


# --- harmless, and only then ----------------------------------------------------------------------------------------


def test_four_chains_in_four_mirror_images_are_harmless(sine_problem):
    found = diagnose(tree_of(sine_problem, four_images(sine_problem)))
    assert found.verdict == "harmless_symmetry"
    assert found.trustworthy
    assert "harmless" in str(found)
    assert found.rhat_raw > 1.7
    assert max(found.rhat_aligned, found.rhat_function) <= RHAT_MAX
    assert found.images == 4
    assert found.group_order == 8
    np.testing.assert_array_equal(np.sort(found.occupancy.to_numpy(), axis=1), [[0, 0, 0, 1]] * 4)
    assert found.switch_rate == (0.0,) * 4
    assert found.chain_modes == (0,) * 4


def test_a_real_posterior_of_two_units_is_harmless(sine_post):
    found = diagnose(sine_post)
    assert found.verdict == "harmless_symmetry"
    assert 1.5 < found.rhat_raw < 2.1
    assert max(found.rhat_aligned, found.rhat_function) <= RHAT_MAX
    assert found.ess_function >= ESS_MIN
    assert 1 < found.images <= 8


def test_one_mode_and_its_unit_are_told_from_images_that_mix(sine_problem):
    params = unravel(cluster(MAP), sine_problem)
    found = diagnose(tree_of(sine_problem, params))
    assert (found.verdict, found.images, found.trustworthy) == ("one_mode", 1, True)
    mixed = symmetrize(tree_of(sine_problem, params), random_seed=1)["posterior"]
    found = diagnose(tree_of(sine_problem, {k: v.to_numpy() for k, v in mixed.data_vars.items()}))
    assert (found.verdict, found.images, found.trustworthy) == ("mixed_symmetry", 8, True)
    np.testing.assert_allclose(found.switch_rate, 7 / 8, atol=0.04)
    np.testing.assert_allclose(found.occupancy, 1 / 8, atol=0.05)
    assert "harmless" not in str(found)


def test_images_visited_in_different_shares_are_harmless_too(sine_problem):
    rng = np.random.default_rng(1)
    signs = np.where(rng.random((4, 1000)) < np.array([0.1, 0.3, 0.7, 0.9])[:, None], 1, -1)
    params = unravel(cluster(MAP), sine_problem)
    element = GroupElement((np.broadcast_to([0, 1], (4, 1000, 2)),), (np.stack([signs, signs], axis=-1),))
    found = diagnose(tree_of(sine_problem, apply_symmetry(params, element, NET)))
    assert found.verdict == "harmless_symmetry"
    assert "in different shares" in found.message
    np.testing.assert_allclose(found.switch_rate, (np.diff(signs, axis=1) != 0).mean(axis=1))
    np.testing.assert_allclose(np.sort(found.occupancy, axis=1)[:, 1], np.abs(signs.mean(axis=1)) / 2 + 0.5)


def slow(problem):
    return unravel(cluster(MAP, rho=0.999), problem)


def stuck(problem):
    params = four_images(problem)
    return {k: np.concatenate([v[:3], np.broadcast_to(v[3:, :1], v[3:].shape)]) for k, v in params.items()}


def short(problem):
    return four_images(problem, draws=50)


def one_chain(problem):
    return unravel(cluster(MAP, chains=1, draws=4000), problem)


def not_a_number(problem):
    params = four_images(problem)
    params["W1"][2, 17, 0, 0] = np.nan
    return params


def three_draws(problem):
    return four_images(problem, draws=3)


BAD = {
    "slow_mixing": slow,
    "stuck": stuck,
    "too_few_draws": short,
    "one_chain": one_chain,
    "not_finite": not_a_number,
}


@pytest.mark.parametrize("verdict", BAD)
def test_bad_chains_are_told_apart_and_never_harmless(sine_problem, verdict):
    found = diagnose(tree_of(sine_problem, BAD[verdict](sine_problem)))
    assert found.verdict == verdict
    assert not found.trustworthy
    assert "harmless" not in str(found)
    assert "do not trust the predictions" in str(found)
    assert found.message
    assert found.remedy


@pytest.mark.parametrize("rho", [0.0, 0.9])
@pytest.mark.parametrize("where", [[0, 1, 0, 0], [0, 1, 0, 1]])
def test_different_functions_are_not_symmetry(bump_problem, where, rho):
    params = unravel(cluster(OPTIMA[where][:, None], rho=rho), bump_problem)
    found = diagnose(tree_of(bump_problem, params))
    assert found.verdict == "function_modes"
    assert not found.trustworthy
    assert "harmless" not in str(found)
    assert found.chain_modes == tuple(where)
    assert found.rhat_function > 1.5
    level = FLANK.log_likelihood(params, bump_problem.X, bump_problem.y).sum(axis=-1).mean(axis=1)
    np.testing.assert_allclose(found.chain_log_likelihood, level)
    assert f"{level[1]:.4g}" in found.message or f"{np.mean(level[[1, 3]]):.4g}" in found.message


def test_different_functions_in_mirror_images_are_not_harmless_either(bump_problem):
    signed = unravel(cluster(OPTIMA[[0, 1, 0, 1]][:, None]), bump_problem)
    flip = np.array([1, 1, -1, -1])
    params = {k: v * flip.reshape(-1, *[1] * (v.ndim - 1)) if k != "b2" else v for k, v in signed.items()}
    assert diagnose(tree_of(bump_problem, params)).verdict == "function_modes"


def test_draws_that_wander_are_not_called_modes(sine_problem):
    for seed in range(5):
        found = diagnose(tree_of(sine_problem, unravel(cluster(MAP, rho=0.999, seed=seed), sine_problem)))
        assert found.verdict == "slow_mixing"
        assert "halves" in found.message or "half" in found.message


@pytest.mark.parametrize("draws", [10, 20, 100])
def test_few_independent_draws_are_neither_slow_nor_modes(sine_problem, draws):
    for seed in range(3):
        found = diagnose(tree_of(sine_problem, unravel(cluster(MAP, draws=draws, seed=seed), sine_problem)))
        assert found.verdict == "too_few_draws"
    needed = int(re.search(r"draws=(\d+)", found.remedy)[1])
    again = diagnose(tree_of(sine_problem, unravel(cluster(MAP, draws=max(needed, 1000)), sine_problem)))
    assert again.verdict == "one_mode"


def test_three_draws_are_too_few_for_any_number(sine_problem):
    found = diagnose(tree_of(sine_problem, three_draws(sine_problem)))
    assert found.verdict == "too_few_draws"
    assert math.isnan(found.rhat_function)


def test_more_chains_need_more_effective_draws(sine_problem):
    vectors = cluster(MAP, chains=8, draws=1000, rho=0.8)
    found = diagnose(tree_of(sine_problem, unravel(vectors, sine_problem)))
    assert ESS_MIN < found.ess_function < 800 * 1.6
    assert found.verdict in ("too_few_draws", "one_mode")
    assert (found.verdict == "one_mode") == (found.ess_function >= 800 and found.rhat_function <= RHAT_MAX)


def test_one_chain_says_what_can_not_be_known(sine_problem):
    found = diagnose(tree_of(sine_problem, one_chain(sine_problem)))
    assert math.isnan(found.rhat_raw)
    assert math.isnan(found.rhat_function)
    assert "can't be known" in found.message
    assert "chains=4" in found.remedy
    drifting = unravel(cluster(MAP, chains=1) + 0.5 * np.linspace(0, 1, 1000)[:, None], sine_problem)
    assert "halves disagree" in diagnose(tree_of(sine_problem, drifting)).message


def test_the_stuck_chain_is_named(sine_problem):
    assert "Chain 3 never moves" in diagnose(tree_of(sine_problem, stuck(sine_problem))).message
    same = unravel(np.broadcast_to(MAP, (4, 100, 7)).copy(), sine_problem)
    found = diagnose(tree_of(sine_problem, same))
    assert found.verdict == "stuck"
    assert all(f"Chain {c}" in found.message for c in range(4))
    accepted = np.full((4, 1000), 0.8)
    accepted[1] = 1e-4
    found = diagnose(tree_of(sine_problem, four_images(sine_problem), acceptance_rate=accepted))
    assert found.verdict == "stuck"
    assert "Chain 1 accepts only 0.0%" in found.message


def test_the_draw_that_is_not_finite_is_named(sine_problem):
    found = diagnose(tree_of(sine_problem, not_a_number(sine_problem)))
    assert "1 of 4000 draws" in found.message
    assert "chain 2: 1, the first at draw 17" in found.message
    json.dumps(found.to_dict(), allow_nan=False)


# --- other equivalent weights ---------------------------------------------------------------------------------------


def rotated(angles):
    """Two identity units, mixed by a rotation of its own in each chain."""
    net = bnn.MLP(hidden=(2,), activation="identity", noise=0.5)
    problem = prepare(net, np.linspace(-2, 2, 9), np.linspace(-2, 2, 9))
    params = unravel(cluster(np.array([0.9, 0.1, 0.1, -0.2, 0.8, 0.2, 0.1]), sd=0.05), problem)
    c, s = np.cos(angles), np.sin(angles)
    turn = np.array([[c, -s], [s, c]]).transpose(2, 0, 1)[:, None]
    return tree_of(
        problem,
        {
            "W1": params["W1"] @ turn,
            "b1": (params["b1"][..., None, :] @ turn)[..., 0, :],
            "W2": np.swapaxes(turn, -1, -2) @ params["W2"],
            "b2": params["b2"],
        },
    )


def test_a_ridge_is_no_symmetry_of_the_group_yet_the_function_is_safe():
    found = diagnose(rotated(np.array([0.0, 0.25, 0.5, 0.7])))
    assert found.verdict == "weights_ridge"
    assert found.trustworthy
    assert found.rhat_aligned > 1.5
    assert found.rhat_function <= RHAT_MAX
    assert "harmless" not in str(found)
    assert diagnose(rotated(np.zeros(4))).verdict == "one_mode"


def test_twin_units_share_their_weight_at_will(sine_problem):
    rng = np.random.default_rng(1)
    share = np.array([0.5, 0.65, 0.8, 0.95])[:, None] + 0.02 * rng.normal(size=(4, 1000))
    a, b, v, c = (m + 0.05 * rng.normal(size=(4, 1000)) for m in (1.0, 0.3, 2.0, 0.1))
    params = {
        "W1": np.stack([a, a], axis=-1)[..., None, :],
        "b1": np.stack([b, b], axis=-1),
        "W2": np.stack([share * v, (1 - share) * v], axis=-1)[..., None],
        "b2": c[..., None],
    }
    found = diagnose(tree_of(sine_problem, params))
    assert found.verdict == "weights_ridge"
    assert found.to_frame().query("space == 'aligned'").set_index("quantity")["rhat"]["W2[1, target]"] > 1.5


# --- what the sampler says ------------------------------------------------------------------------------------------


def test_divergences_are_a_verdict_unless_they_are_rare(sine_problem):
    params, diverging = four_images(sine_problem), np.zeros((4, 1000), bool)
    diverging[0, :40] = True
    found = diagnose(tree_of(sine_problem, params, diverging=diverging))
    assert (found.verdict, found.trustworthy, found.divergences) == ("divergences", False, (40, 0, 0, 0))
    assert "40 of 4000" in found.message
    assert "target_accept" in found.remedy
    assert "harmless" not in str(found)
    diverging[0, 2:] = False
    found = diagnose(tree_of(sine_problem, params, diverging=diverging))
    assert found.verdict == "harmless_symmetry"
    assert any("2 of 4000 draws diverged" in note for note in found.notes)


def test_divergences_do_not_hide_a_worse_verdict(sine_problem):
    diverging = np.ones((4, 50), bool)
    found = diagnose(tree_of(sine_problem, short(sine_problem), diverging=diverging))
    assert found.verdict == "too_few_draws"
    assert any("200 of 200" in note for note in found.notes)


def test_energy_and_tree_depth_are_noted(sine_problem):
    rng, limit = np.random.default_rng(1), np.zeros((4, 1000), bool)
    limit[1, :100] = True
    energy = rng.normal(size=(4, 1000))
    energy[2] = lfilter([1], [1, -0.99], rng.normal(size=1000))
    depth = np.where(limit, 10, 4)
    tree = tree_of(
        sine_problem, four_images(sine_problem), energy=energy, tree_depth=depth, reached_max_treedepth=limit
    )
    found = diagnose(tree)
    np.testing.assert_allclose(found.e_bfmi, az.bfmi(tree["sample_stats"].to_dataset())["energy"])
    assert (found.max_tree_depth, found.max_tree_depth_share) == (10, 0.025)
    assert any("E-BFMI is below 0.3 in chain 2" in note for note in found.notes)
    assert any("2.5% of the draws" in note for note in found.notes)
    assert found.verdict == "harmless_symmetry"


# --- the numbers ----------------------------------------------------------------------------------------------------


def rank_rhat(share):
    """R-hat of chains stuck in modes far apart, by the truncated normal: `share` of the chains in each mode."""
    from scipy.stats import norm

    edges = norm.ppf(np.concatenate([[0], np.cumsum(share) / sum(share)]))
    p = np.diff(norm.cdf(edges))
    low, high = edges[:-1], edges[1:]
    mean = (norm.pdf(low) - norm.pdf(high)) / p
    tails = [np.nan_to_num(e, posinf=0, neginf=0) * norm.pdf(e) for e in (low, high)]
    variance = 1 + (tails[0] - tails[1]) / p - mean**2
    halves = np.repeat(mean, 2 * np.array(share))
    within = np.repeat(variance, 2 * np.array(share)).mean()
    return math.sqrt(1 + halves.var(ddof=1) / within)


@pytest.mark.parametrize(("share", "value"), [([2, 2], 1.733), ([1, 3], 1.528), ([1, 1, 1, 1], 2.838)])
def test_rhat_of_chains_stuck_in_modes_has_a_closed_form(sine_problem, share, value):
    assert rank_rhat(share) == pytest.approx(value, abs=1e-3)
    levels = np.repeat([1.0, -1.0, 2.0, -2.0][: len(share)], share)
    params = unravel(cluster(MAP, draws=4000, sd=0.01), sine_problem)
    params["b2"] = levels[:, None, None] + 0.01 * np.random.default_rng(2).normal(size=(4, 4000, 1))
    frame = diagnose(tree_of(sine_problem, params)).to_frame().query("space == 'raw'").set_index("quantity")
    assert frame["rhat"]["b2[target]"] == pytest.approx(value, abs=5e-3)
    classical = float(az.rhat(params["b2"][..., 0], method="identity"))
    assert classical > 10 * value


def test_numbers_are_arviz_numbers(sine_problem):
    tree = tree_of(sine_problem, four_images(sine_problem))
    frame = diagnose(tree).to_frame()
    for space, data in (("raw", tree["posterior"]), ("aligned", align(tree)["posterior"])):
        mine = frame[frame["space"] == space].set_index("quantity")
        w = data["W1"].isel(feature=0, hidden_1=1)
        row = mine.loc["W1[x1, 2]"]
        assert row["rhat"] == pytest.approx(float(az.rhat(w)))
        assert row["ess_bulk"] == pytest.approx(float(az.ess(w)))
        assert row["ess_tail"] == pytest.approx(float(az.ess(w, method="tail", prob=(0.05, 0.95))))
        assert row["mcse"] == pytest.approx(float(az.mcse(w)))
        assert row["mean"] == pytest.approx(float(w.mean()))
    assert "log-prior" in set(frame.query("space == 'aligned'")["quantity"])


def test_the_function_is_followed_where_it_is_asked_for(sine_problem):
    params = four_images(sine_problem)
    frame = diagnose(tree_of(sine_problem, params), grid=[[-1.0], [2.5]]).to_frame().query("space == 'function'")
    assert list(frame["quantity"]) == ["f[x1=-1]", "f[x1=2.5]", "log-likelihood"]
    f = NET.forward(params, np.array([[-1.0], [2.5]]))
    np.testing.assert_allclose(frame["mean"][:2], f.mean(axis=(0, 1))[:, 0])
    default = diagnose(tree_of(sine_problem, params)).to_frame().query("space == 'function'")
    assert len(default) == 51
    assert f"f[x1={sine_problem.X.min():.3g}]" in set(default["quantity"])


def test_functions_that_differ_only_between_the_training_inputs_are_seen(sine_problem):
    x = np.sort(sine_problem.X[:, 0])
    k = np.diff(x).argmax()
    a, b = x[k] + 0.3, x[k + 1] - 0.3
    up = np.array([40.0, 40.0, -40 * a, -40 * b, 0.5, -0.5, 0.0])
    params = unravel(cluster(np.stack([up, up, up * [1, 1, 1, 1, -1, -1, 1], up])[:, None], sd=0.001), sine_problem)
    tree = tree_of(sine_problem, params)
    assert diagnose(tree).verdict == "function_modes"
    assert diagnose(tree).chain_modes == (0, 0, 1, 0)
    frame = diagnose(tree, grid=sine_problem.X).to_frame().query("space == 'function'")
    assert frame["rhat"].max() <= RHAT_MAX


def test_a_grid_in_a_data_frame_and_of_two_features():
    import pandas as pd

    rng = np.random.default_rng(1)
    X = pd.DataFrame(rng.normal(size=(80, 2)), columns=["dose", "age"])
    problem = prepare(bnn.MLP(hidden=(), noise=0.5), X, X["dose"].to_numpy())
    tree = tree_of(problem, unravel(cluster(np.array([1.0, 0.0, 0.0])), problem))
    frame = diagnose(tree).to_frame().query("space == 'function'")
    assert list(frame["quantity"][:1]) == ["f[row 0]"]
    assert len(frame) == 51
    frame = diagnose(tree, grid=X[["age", "dose"]][:3]).to_frame().query("space == 'function'")
    assert list(frame["quantity"]) == ["f[input 0]", "f[input 1]", "f[input 2]", "log-likelihood"]


def test_errors_of_the_function_are_in_the_units_of_the_user():
    x = np.linspace(0, 100, 30)
    net = bnn.MLP(hidden=(), noise=0.5)
    vectors = cluster(np.array([1.0, 0.0]))
    frames = []
    for unit in (1.0, 1000.0):
        problem = prepare(net, x, unit * x, scaling="standard")
        frames.append(diagnose(tree_of(problem, unravel(vectors, problem)), grid=[[50.0], [100.0]]).to_frame())
    one, thousand = (f.query("space == 'function'").reset_index() for f in frames)
    assert list(one["quantity"][:2]) == ["f[x1=50]", "f[x1=100]"]
    np.testing.assert_allclose(thousand["mcse"][:2], 1000 * one["mcse"][:2])
    np.testing.assert_allclose(one["mean"][:2], [50, 100], atol=1)
    np.testing.assert_allclose(thousand["rhat"], one["rhat"], rtol=1e-5)


def test_noise_and_log_likelihood_are_in_the_units_of_the_user():
    x = np.linspace(0, 100, 30)
    y = 1000 * x + 300 * np.sin(x)
    noise = 0.5 * np.exp(0.1 * np.random.default_rng(2).normal(size=(4, 1000)))

    def means(y, loss="squared_error"):
        problem = prepare(bnn.MLP(hidden=(), loss=loss), x, y, scaling="standard")
        params = unravel(cluster(np.array([1.0, 0.0] if np.ndim(y) == 1 else [1.0, 0.9, 0.0, 0.1])), problem)
        params["noise"] = noise
        found = diagnose(tree_of(problem, params), grid=[[50.0]])
        return found, found.to_frame().query("space == 'function'").set_index("quantity")["mean"], problem, params

    found, mean, problem, params = means(y)
    assert mean["noise"] == pytest.approx(y.std() * noise.mean())
    f = y.mean() + y.std() * problem.net.forward(params, problem.X)[..., 0]
    level = stats.norm(f, y.std() * noise[..., None]).logpdf(y).sum(axis=-1)
    assert mean["log-likelihood"] == pytest.approx(level.mean())
    np.testing.assert_allclose(found.chain_log_likelihood, level.mean(axis=1))
    assert "noise (scaled units)" in means(np.column_stack([y, x**2]))[1]


def test_a_log_scale_that_the_network_puts_out_is_in_the_units_of_the_user():
    x = np.linspace(0, 100, 30)
    frames = []
    for unit in (1.0, 1000.0):
        problem = prepare(bnn.MLP(hidden=(), loss="gaussian_nll"), x, unit * x, scaling="standard")
        tree = tree_of(problem, unravel(cluster(np.array([1.0, 0.1, 0.0, -0.2]), sd=0.02), problem))
        frames.append(diagnose(tree, grid=[[50.0]]).to_frame().set_index("quantity")["mean"])
    gap = frames[1]["f[x1=50, log_scale]"] - frames[0]["f[x1=50, log_scale]"]
    assert gap == pytest.approx(np.log(1000))


def test_a_constant_value_is_left_out_without_a_warning():
    net = bnn.MLP(hidden=(1,), bias=False, noise=0.3)
    problem = prepare(net, [-2.0, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0])
    vectors = cluster(np.array([0.76, 1.12])) * np.array([1, 1, -1, -1])[:, None, None]
    found = diagnose(tree_of(problem, unravel(vectors, problem)), grid=[[0.0], [1.0]])
    assert list(found.to_frame().query("space == 'function'")["quantity"]) == ["f[x1=1]", "log-likelihood"]
    assert found.verdict == "harmless_symmetry"
    assert found.rhat_raw == pytest.approx(1.733, abs=0.01)


def test_learned_noise_belongs_to_the_function():
    net = bnn.MLP(hidden=(), prior=bnn.Normal(1.0))
    problem = prepare(net, np.linspace(-2, 2, 9), np.linspace(-2, 2, 9))
    params = unravel(cluster(np.array([1.0, 0.0]), sd=0.05), problem)
    params["noise"] = 0.5 * np.exp(0.1 * np.random.default_rng(2).normal(size=(4, 1000)))
    assert diagnose(tree_of(problem, params)).verdict == "one_mode"
    params["noise"] = params["noise"] * np.array([1, 1, 1, 3.0])[:, None]
    found = diagnose(tree_of(problem, params))
    assert found.verdict == "function_modes"
    assert found.chain_modes == (0, 0, 0, 1)
    assert "noise" in set(found.to_frame().query("space == 'function'")["quantity"])


def test_a_common_shift_of_logits_is_not_the_function():
    net = bnn.MLP(hidden=(), loss="cross_entropy")
    rng = np.random.default_rng(1)
    problem = prepare(net, rng.normal(size=(30, 2)), np.arange(30) % 3)
    params = unravel(cluster(np.zeros(9)), problem)
    params["b1"] = params["b1"] + np.array([0, 1.0, 2.0, 3.0])[:, None, None]
    found = diagnose(tree_of(problem, params))
    assert found.verdict == "weights_ridge"
    assert found.rhat_function <= RHAT_MAX
    assert "logit[row 0, 2]" in set(found.to_frame()["quantity"])
    params["b1"] = params["b1"] + np.array([0, 0, 0, 1.0])[:, None, None] * np.array([1.0, 0, 0])
    assert diagnose(tree_of(problem, params)).verdict == "function_modes"


def test_ordered_labels_are_followed_by_their_cumulative_logits():
    net = bnn.MLP(hidden=(), loss="ordinal")
    x = np.linspace(-2, 2, 12)
    problem = prepare(net, x, np.repeat([0, 1, 2], 4))
    params = unravel(cluster(np.array([1.0])), problem)
    gap = np.exp(0.1 * np.random.default_rng(2).normal(size=(4, 1000)))
    params["cutpoints"] = np.stack([-gap, gap], axis=-1)
    found = diagnose(tree_of(problem, params), grid=[[2.0]])
    frame = found.to_frame().query("space == 'function'").set_index("quantity")
    assert frame["mean"]["cumulative logit[x1=2, 1]"] == pytest.approx((gap - 2 * params["W1"][..., 0, 0]).mean())
    assert found.verdict == "one_mode"
    assert "no mirror images" in found.message


@pytest.mark.parametrize("loss", ["gaussian_nll", "binary_cross_entropy", "poisson"])
def test_every_kind_of_output_has_a_verdict(loss):
    net = bnn.MLP(hidden=(2,), loss=loss)
    rng = np.random.default_rng(1)
    problem = prepare(net, rng.normal(size=(20, 2)), np.arange(20) % 2)
    size = sum(math.prod(s) for s in problem.shapes.values())
    found = diagnose(tree_of(problem, unravel(cluster(rng.normal(size=size)), problem)))
    assert found.verdict in TRUSTED
    json.dumps(found.to_dict(), allow_nan=False)


# --- trees in and words out -----------------------------------------------------------------------------------------


def test_an_aligned_tree_has_the_same_diagnosis_and_none_is_changed(sine_problem):
    tree = tree_of(sine_problem, four_images(sine_problem))
    before, aligned = tree.copy(deep=True), align(tree)
    first, second = diagnose(tree), diagnose(aligned)
    assert (first.verdict, first.images) == (second.verdict, second.images)
    np.testing.assert_allclose([first.rhat_raw, first.rhat_aligned], [second.rhat_raw, second.rhat_aligned])
    xr.testing.assert_identical(tree, before)


def test_points_and_other_trees_are_refused(sine_problem):
    point = unravel(MAP[None, None], sine_problem)
    for kind in ("mle", "map"):
        with pytest.raises(SpecError, match="Use fit_posterior"):
            diagnose(tree_of(sine_problem, point, kind=kind))
    with pytest.raises(FitError):
        diagnose(xr.DataTree())


def test_chains_that_agree_on_another_posterior_are_noted(sine_post):
    assert not [note for note in diagnose(sine_post).notes if "identity" in note]
    wider = sine_post.copy()
    wider.attrs["bayesnn_network"] = dataclasses.replace(NET, prior=bnn.Normal(1.2)).to_json()
    found = diagnose(wider)
    assert found.trustworthy
    (note,) = [note for note in found.notes if "identity" in note]
    assert "must be -7" in note
    assert "bnn.theory.identities(post)" in str(found)


def test_every_form_says_the_same(sine_problem):
    found = diagnose(tree_of(sine_problem, four_images(sine_problem), diverging=np.zeros((4, 1000), bool)))
    console = Console(record=True, width=150, file=io.StringIO())
    console.print(found)
    html = found._repr_html_()
    for text in (str(found), repr(found), console.export_text(), html):
        flat = " ".join(text.split())
        assert "harmless" in flat
        assert "the predictions may be trusted" in flat
        assert f"{found.rhat_raw:.3f}" in flat
        assert f"{found.rhat_aligned:.3f}" in flat
        assert f"{found.rhat_function:.3f}" in flat
        assert "4 of 8 mirror images" in flat
    assert html.count("<table") == html.count("</table>") == 2
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert (data["verdict"], data["trustworthy"], data["images"]) == ("harmless_symmetry", True, 4)
    assert data["table"]["function"]["rhat"] == found.rhat_function
    frame = found.to_frame()
    assert set(frame["space"]) == {"raw", "aligned", "function"}
    assert frame.query("space == 'raw'")["rhat"].max() == found.rhat_raw
    with pytest.raises(AttributeError):
        found.verdict = "one_mode"


@pytest.mark.parametrize("make", [slow, stuck, short, one_chain, not_a_number, three_draws, four_images])
def test_in_short_it_is_head_reason_and_remedy(sine_problem, make):
    found = diagnose(tree_of(sine_problem, make(sine_problem)))
    head, reason, remedy = found.brief
    assert f"{found.verdict}: {head};" in " ".join(repr(found).split())
    assert max(len(f"posterior: {head}"), len(reason)) <= 80
    shown = [format(r, ".3f") for r in (found.rhat_raw, found.rhat_aligned, found.rhat_function)]
    assert f"R-hat raw / aligned / function {' / '.join(shown).replace('nan', '-')}; ESS " in reason
    trust = "Predictions may be trusted" if make is four_images else "Do not trust the predictions"
    assert remedy.startswith(f"{trust}. Remedy: ")
    assert found.remedy.startswith(remedy.partition("Remedy: ")[2].removesuffix("."))


def test_a_network_without_inputs_has_a_verdict():
    problem = prepare(bnn.MLP((), loss="binary_cross_entropy"), bnn.load_data("coin"))
    draws = np.random.default_rng(1).normal(-1.0, 0.7, size=(4, 1000, 1))
    found = diagnose(tree_of(problem, {"W1": np.zeros((4, 1000, 0, 1)), "b1": draws}))
    assert found.verdict == "one_mode"


def test_the_table_names_the_worst(sine_problem):
    params = unravel(cluster(MAP, sd=0.01), sine_problem)
    params["b1"][3, :, 1] += 0.05
    found = diagnose(tree_of(sine_problem, params))
    assert found.table.loc["raw", "worst"] == "b1[2]"
    assert found.table.loc["raw", "fewest"] == "b1[2]"


def test_twenty_units_take_little_time():
    import time

    net = bnn.MLP(hidden=(20,), noise=0.2)
    data = bnn.load_data("sine_gap", random_seed=1)
    problem = prepare(net, data.X, data.y)
    vectors = cluster(np.random.default_rng(1).normal(size=61))
    tree = tree_of(problem, unravel(vectors, problem))
    began = time.process_time()
    diagnose(tree)
    assert time.process_time() - began < 6
