"""Shares of the modes of a function, against quadrature of a posterior that has two; and clusters that are planted."""

import arviz as az
import numpy as np
import pytest

import bayesnn as bnn
from bayesnn.symmetry import count_modes
from bayesnn.symmetry.clusters import clusters, function_modes, share_error, share_words
from bayesnn.tree import params_of, problem_of
from tests.conftest import EIGHTY, NINETY_SEVEN, X_FLANKS

AT = 2.5
"""Where the two modes differ most."""


def quadrature(y, *, noise=0.15, sd=2.0, half=16.0, step=0.1):
    """Share of the mode that falls on the right, log evidence, and mean and sd of the function at `AT`.

    Given weight w and bias b of the unit, the output layer is normal and integrated out in closed form; what is left is
    smooth on the plane of (w, b), where the trapezoidal rule converges faster than any power of the step.
    """
    g = np.arange(-half, half + step / 2, step)
    w, b = np.meshgrid(g, g, indexing="ij")
    n, h = len(y), np.tanh(w[..., None] * X_FLANKS + b[..., None])
    a, c, d = (h * h).sum(-1) / noise**2 + sd**-2, h.sum(-1) / noise**2, n / noise**2 + sd**-2
    p, q = h @ y / noise**2, y.sum() / noise**2
    det = a * d - c**2
    v, o = (d * p - c * q) / det, (a * q - c * p) / det
    log = -0.5 * (n * np.log(2 * np.pi * noise**2) + y @ y / noise**2 - p * v - q * o + np.log(det))
    log += -np.log(sd**2) - np.log(2 * np.pi * sd**2) - 0.5 * (w**2 + b**2) / sd**2 + 2 * np.log(step)
    weight = np.exp(log - log.max())
    evidence = log.max() + np.log(weight.sum())
    weight /= weight.sum()
    t = np.tanh(w * AT + b)
    mean = v * t + o
    return {
        "share": weight[b * w < 0].sum(),
        "log_evidence": evidence,
        "mean": (weight * mean).sum(),
        "between": weight[np.abs(b) < 0.25 * np.abs(w)].sum() + weight[np.abs(w) < 0.2].sum(),
    }


TRUTHS = {
    "80/20": (EIGHTY, {"share": 0.2032535164, "log_evidence": -42.9501706965, "mean": 0.5382926643}),
    "97/3": (NINETY_SEVEN, {"share": 0.0306835182, "log_evidence": -40.9880831643, "mean": 0.6606650391}),
}


def values_at(post):
    return problem_of(post).net.forward(params_of(post), np.array([[AT]]))[..., 0, 0]


@pytest.mark.parametrize("which", TRUTHS)
def test_the_integrals_have_converged_and_the_modes_are_apart(which):
    y, truth = TRUTHS[which]
    found = quadrature(y)
    assert {k: found[k] for k in truth} == pytest.approx(truth, rel=1e-8)
    finer = quadrature(y, step=0.08, half=18.0)
    assert {k: finer[k] for k in truth} == pytest.approx(truth, rel=1e-8)
    assert found["between"] < 1e-6


def holds(post, truth):
    """Check a tempered fit against the integrals, within three of its own standard errors."""
    modes = count_modes(post)
    assert modes.n_functions == 2
    small = modes.table.loc[1]
    assert abs(small["share"] - truth["share"]) < 3 * small["se"] < 0.2
    f = values_at(post)
    assert abs(f.mean() - truth["mean"]) < 3 * float(az.mcse(f))
    evidence = bnn.log_evidence(post)
    assert abs(evidence.value - truth["log_evidence"]) < 3 * evidence.se
    return modes


def test_tempering_weighs_two_modes_as_the_integrals_do(flank_tempered, flank_net):
    modes = holds(flank_tempered, TRUTHS["80/20"][1])
    said = repr(modes)
    assert said.startswith("4 systems, 1000 draws of each: 2 modes in function space (")
    assert f"{share_words(*modes.table.loc[1, ['share', 'se']])})" in said
    assert "no weights" not in said
    for y, truth, options in ((*TRUTHS["97/3"], {}), (*TRUTHS["80/20"], {"collapse": False})):
        options |= {"sampler": "tempering", "random_seed": 2, "progressbar": False}
        holds(bnn.fit_posterior(flank_net, X_FLANKS, y, **options), truth)


def test_chains_that_agree_are_wrong_by_many_of_their_own_errors(flank_chains):
    agree, disagree = flank_chains
    f, truth = values_at(agree), TRUTHS["80/20"][1]
    assert float(az.rhat(f)) < 1.01
    assert abs(f.mean() - truth["mean"]) > 50 * float(az.mcse(f))
    assert count_modes(agree).n_functions == 1
    modes = count_modes(disagree)
    assert modes.n_functions == 2
    assert modes.table["se"].min() > 0.1
    assert "shares of chains that stay where they began are no weights" in repr(modes)


# --- errors of shares -----------------------------------------------------------------------------------------------


def two_states(rng, share, rate, *, chains=4, draws=1000):
    """Chains that forget where they are at each step with probability `rate`."""
    fresh = rng.random((chains, draws)) < share
    moved = rng.random((chains, draws)) < rate
    moved[:, 0] = True
    last = np.maximum.accumulate(np.where(moved, np.arange(draws), 0), axis=1)
    return np.take_along_axis(fresh, last, axis=1)


@pytest.mark.parametrize(("share", "rate"), [(0.2, 0.3), (0.2, 0.03), (0.03, 0.5)])
def test_the_error_of_a_share_is_as_large_as_it_says(share, rate):
    rng = np.random.default_rng(1)
    z = []
    for _ in range(300):
        inside = two_states(rng, share, rate)
        z.append((inside.mean() - share) / share_error(inside))
    assert 0.85 < np.std(z) < 1.15
    assert (np.abs(z) > 3).mean() < 0.02


def test_shares_that_agree_by_chance_have_an_error():
    inside = np.zeros((4, 1000), bool)
    inside[:, 300:500] = True
    assert inside.mean(axis=1).std() == 0
    assert share_error(inside) > 0.1
    stuck = np.repeat([[True], [True], [False], [False]], 1000, axis=1)
    assert share_error(stuck) > 0.15
    assert np.isnan(share_error(np.ones((4, 1000), bool)))
    assert np.isnan(share_error(np.zeros((4, 1000), bool)))


@pytest.mark.parametrize(
    ("share", "se", "words"),
    [(0.78025, 0.01937, "78.0% ± 1.9%"), (0.0301, 0.0004, "3.01% ± 0.04%"), (1.0, np.nan, "100%"), (0, np.nan, "0%")],
)
def test_shares_in_words(share, se, words):
    assert share_words(share, se) == words


# --- clusters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shares", "scales"),
    [([0.8, 0.2], [1, 1]), ([0.99, 0.01], [1, 1]), ([0.98, 0.02], [1, 0.2]), ([0.5, 0.3, 0.17, 0.03], [1, 0.5, 2, 1])],
)
def test_modes_down_to_one_percent_are_found(shares, scales):
    rng = np.random.default_rng(2)
    planted = np.sort(rng.choice(len(shares), size=4000, p=shares))
    draws = 11 * np.eye(4)[planted] + np.array(scales)[planted][:, None] * rng.normal(size=(4000, 4))
    assert (clusters(draws) == planted).mean() > 0.999


def test_nothing_is_found_where_nothing_is():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2000, 1))
    walk = 0.1 * rng.normal(size=(4, 1000, 3)).cumsum(axis=1)
    for one in (
        x,
        rng.standard_t(2, size=(2000, 3)),
        rng.exponential(size=(2000, 2)),
        np.hstack([x, x**2 + 0.2 * rng.normal(size=x.shape)]),
        x[:39] + 9 * (np.arange(39)[:, None] > 20),
        np.ones((2000, 2)),
    ):
        assert clusters(one).max() == 0
    assert clusters(np.concatenate([walk[0], walk[1] + 50])).max() >= 1


def test_modes_of_two_fits_are_the_same_modes(flank_tempered, flank_chains):
    tempered, agree = function_modes([flank_tempered, flank_chains[0]])
    alone = function_modes([flank_tempered])[0]
    assert (tempered == alone).all() or (tempered == 1 - alone).all()
    (mode,) = np.unique(agree)
    f = values_at(flank_tempered)
    near = np.abs(f - values_at(flank_chains[0]).mean()) < 0.3
    assert ((tempered == mode) == near).mean() > 0.99
