"""Tempered fits: what they say of themselves, and of chains that missed a mode whose share quadrature knows."""

import dataclasses
import json
import re

import numpy as np
import pytest

import bayesnn as bnn
from bayesnn.diagnostics import diagnose
from bayesnn.diagnostics.tempering import tempering_call
from bayesnn.errors import ConvergenceWarning, FitError, SpecError
from tests.conftest import EIGHTY, NINETY_SEVEN, X5, X_FLANKS, Y5, tree_of

SHARE = 0.2032535164
"""Of the smaller mode; see tests/symmetry/test_function_modes.py."""


def words(found):
    return " ".join(repr(found).split())


# --- tempered fits --------------------------------------------------------------------------------------------------


def test_a_tempered_fit_tells_its_barrier_trips_and_evidence(flank_tempered):
    found = diagnose(flank_tempered)
    last = flank_tempered["tempering"].isel(round=-1)
    assert found.trustworthy
    assert "bayesnn_unmet" in flank_tempered.attrs
    assert found.tempering["barrier"] == pytest.approx(float(last["barrier"].mean()))
    assert found.tempering["round_trips"] == int(last["round_trips"].sum())
    gap = np.abs(last["log_evidence_forward"] - last["log_evidence_backward"]).max()
    assert found.tempering["gap"] == pytest.approx(float(gap))
    evidence = bnn.log_evidence(flank_tempered)
    said = words(found)
    for piece in (
        f"barrier {float(last['barrier'].mean()):.1f}",
        f"log evidence {evidence.value:.2f} ± {evidence.se:.2f}",
        f"forward {float(last['log_evidence_forward'].mean()):.2f}",
        f"{int(last['round_trips'].min())} to {int(last['round_trips'].max())} round trips",
    ):
        assert piece in said
    assert "divergences" not in said
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["tempering"]["systems"] == 4


def test_chains_of_tempering_in_mirror_images_are_explained_by_symmetry(flank_tempered):
    turned = flank_tempered.copy(deep=True)
    sign = np.sign(turned["posterior"]["W1"].to_numpy()) * np.array([1, 1, -1, -1])[:, None, None, None]
    for name in ("W1", "b1", "W2"):
        turned["posterior"][name].values *= sign.reshape(turned["posterior"][name].shape)
    found = diagnose(turned)
    assert found.verdict == "harmless_symmetry"
    assert found.rhat_raw > 1.5


@pytest.mark.parametrize("rhat", [1.0, 1.2])
def test_marks_that_were_not_reached_are_not_trusted(flank_tempered, rhat):
    short = flank_tempered.copy(deep=True)
    short.attrs["bayesnn_unmet"] = "" if rhat > 1.01 else "the standard error of the log evidence is 0.5, above 0.2"
    short.attrs["bayesnn_function_rhat"] = rhat
    found = diagnose(short)
    assert (found.verdict, found.trustworthy) == ("tempering_unfinished", False)
    assert ("systems disagree" if rhat > 1.01 else "The standard error of the log evidence is 0.5") in words(found)
    sampled = int(np.log2(float(short["tempering"]["iterations"][-1]) / 1000)) + 1
    assert f'sampler="tempering", max_rounds={sampled + 2})' in found.remedy


def test_systems_in_different_modes_are_not_trusted(flank_tempered, flank_chains):
    stuck = flank_tempered.copy(deep=True)
    for name, values in flank_chains[1]["posterior"].data_vars.items():
        stuck["posterior"][name].values[:] = values
    found = diagnose(stuck)
    assert found.verdict == "tempering_unfinished"
    assert f"R-hat {found.rhat_function:.3f}" in found.message


def test_a_run_that_is_too_short_says_so(flank_net):
    options = {"sampler": "tempering", "rounds": 1, "tune": 7, "draws": 8, "random_seed": 1, "progressbar": False}
    with pytest.warns(ConvergenceWarning, match="before its marks"):
        short = bnn.fit_posterior(flank_net, X_FLANKS, EIGHTY, **options)
    found = diagnose(short)
    assert not found.trustworthy
    assert short.attrs["bayesnn_unmet"][1:] in words(found)


def test_a_fit_with_nothing_to_sample_is_exact():
    line = bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(1.0))
    found = diagnose(bnn.fit_posterior(line, X5, Y5, sampler="tempering", random_seed=1, progressbar=False))
    assert found.trustworthy
    assert "log evidence, -3.6634, are exact" in words(found)
    assert "round trips" not in words(found)


# --- how tempering is asked for -------------------------------------------------------------------------------------


def test_what_is_advised_where_chains_disagree_is_done_to_the_letter(flank_net, flank_chains):
    found = diagnose(flank_chains[1])
    assert found.verdict == "function_modes"
    (call,) = re.findall(r"bnn\.fit_posterior\(.*?\)", found.remedy)
    assert call == 'bnn.fit_posterior(net, X, y, sampler="tempering")'
    names = {"bnn": bnn, "net": flank_net, "X": X_FLANKS, "y": EIGHTY}
    tempered = eval(f"{call[:-1]}, random_seed=3, progressbar=False)", names)
    assert diagnose(tempered).trustworthy
    assert call in found.brief[2]


def test_the_arguments_of_the_fit_are_kept():
    rng = np.random.default_rng(1)
    net = bnn.MLP(hidden=(1,), noise=0.3)
    params = {"W1": (1, 1), "b1": (1,), "W2": (1, 1), "b2": (1,)}
    draws = {k: rng.normal(size=(8, 50, *shape)) for k, shape in params.items()}
    post = tree_of(net, 10 * X5, Y5, draws, scaling="standard")
    post.attrs["bayesnn_collapsed"] = 0
    call = 'bnn.fit_posterior(net, X, y, sampler="tempering", draws=50, chains=8, scaling="standard", collapse=False)'
    assert tempering_call(post) == call
    post.attrs["bayesnn_collapsed"] = 1
    assert "collapse" not in tempering_call(post)


# --- chains against a reference -------------------------------------------------------------------------------------


def test_the_mode_that_chains_missed_is_named_with_its_share(flank_tempered, flank_chains):
    agree = flank_chains[0]
    assert diagnose(agree).trustworthy, "chains alone can't know"
    found = diagnose(agree, reference=flank_tempered)
    assert (found.verdict, found.trustworthy) == ("modes_misweighed", False)
    share, se = found.missed
    truth = SHARE if share < 0.5 else 1 - SHARE
    assert abs(share - truth) < 3 * se < 0.1
    said = words(found)
    assert f"missed 1 of 2 modes of the function: mode {2 if share < 0.5 else 1}, with {100 * share:.1f}% ±" in said
    assert found.remedy.startswith("Predict with the tempered fit")
    assert list(found.modes) == ["share", "se", "chains", "chains_se", "log_density"]
    assert sorted(found.modes["chains"]) == [0, 1]
    assert found.modes["share"].sum() == pytest.approx(1)
    assert found._repr_html_().count("<table") == diagnose(agree)._repr_html_().count("<table") + 1
    json.dumps(found.to_dict(), allow_nan=False)


def test_chains_in_all_modes_miss_none_and_are_not_trusted_still(flank_tempered, flank_chains):
    found = diagnose(flank_chains[1], reference=flank_tempered)
    assert found.verdict == "function_modes"
    assert found.missed == (0.0, pytest.approx(np.nan, nan_ok=True))
    assert "missed no mode" in words(found)
    assert "of the chains' draws are in the wrong mode" in words(found)


def test_another_tempered_fit_misses_nothing(flank_net, flank_tempered):
    other = bnn.fit_posterior(flank_net, X_FLANKS, EIGHTY, sampler="tempering", random_seed=5, progressbar=False)
    found = diagnose(other, reference=flank_tempered)
    assert found.trustworthy
    assert "missed no mode" in words(found)


def test_a_mode_without_mass_is_told_by_its_density(flank_tempered, flank_chains):
    far = flank_chains[0].copy(deep=True)
    far["posterior"]["b2"].values[:2] += 3.0
    found = diagnose(far, reference=flank_tempered)
    empty = found.modes[found.modes["share"] == 0]
    assert len(empty) == 1
    assert empty["chains"].item() == pytest.approx(0.5)
    trips = diagnose(flank_tempered).tempering["round_trips"]
    said = words(found)
    below = found.modes["log_density"].iloc[0] - empty["log_density"].item()
    assert f"holds no draw of tempering, less than {3 / trips:.1%} with 95% confidence" in said
    assert f"mean log density lies {below:.3g} nats below that of mode 1" in said


REFUSED = {
    "another network": {"hidden": (2,)},
    "another prior": {"prior": bnn.Normal(2.5)},
    "another likelihood": {"noise": 0.16},
}


@pytest.mark.parametrize("which", REFUSED)
def test_references_of_another_network_are_refused(which, flank_net, flank_chains, flank_tempered):
    other = flank_tempered.copy()
    other.attrs["bayesnn_network"] = dataclasses.replace(flank_net, **REFUSED[which]).to_json()
    with pytest.raises(SpecError, match=r"Got a reference with another network.*of the same posterior.*Take ref"):
        diagnose(flank_chains[0], reference=other)


def test_references_of_other_data_are_refused(flank_net, flank_chains, flank_tempered):
    for X, y, more, said in (
        (X_FLANKS + 0.1, EIGHTY, {}, "other inputs"),
        (X_FLANKS, NINETY_SEVEN, {}, "other targets"),
        (X_FLANKS, EIGHTY, {"scaling": "standard"}, "other inputs and other targets and another scaling"),
    ):
        other = tree_of(flank_net, X, y, {k: v.to_numpy() for k, v in flank_tempered.posterior.items()}, **more)
        other.attrs["bayesnn_sampler"] = "tempering"
        with pytest.raises(SpecError, match=f"Got a reference with {said}; it must be of the same posterior"):
            diagnose(flank_chains[0], reference=other)


def test_what_was_not_tempered_is_no_reference(flank_net, flank_chains):
    with pytest.raises(SpecError, match=r"Got a reference by 'nutpie'; only tempering weighs.*sampler=\"tempering\""):
        diagnose(flank_chains[0], reference=flank_chains[1])
    map_ = bnn.fit_map(flank_net, X_FLANKS, EIGHTY, restarts=4, random_seed=1, progressbar=False)
    with pytest.raises(SpecError, match="Got a reference by 'map'"):
        diagnose(flank_chains[0], reference=map_)
    with pytest.raises(FitError):
        diagnose(flank_chains[0], reference={})


def test_a_reference_that_is_not_trusted_is_refused_loudly(flank_tempered, flank_chains):
    bad = flank_tempered.copy()
    bad.attrs["bayesnn_unmet"] = "the standard error of the log evidence is 0.5, above 0.2"
    with pytest.raises(FitError, match=r"NOT TO BE TRUSTED itself.*0.5, above 0.2.*max_rounds="):
        diagnose(flank_chains[0], reference=bad)
