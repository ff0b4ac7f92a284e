"""From the numbers of a posterior to the verdict in words, the worst trouble first."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.diagnostics.chains import CHANCE_MAX, IDLE, half_rhats, idle_words, settled_modes
from bayesnn.diagnostics.diagnosis import RHAT_MAX, TRUSTED, worst_of
from bayesnn.diagnostics.phrases import big, chains_words, number, plural
from bayesnn.diagnostics.tempering import tempering_call, tempering_words, unfinished
from bayesnn.fitting.chains import DIVERGENT_MAX, TARGETS
from bayesnn.network import Params
from bayesnn.theory.identities import quick_identities
from bayesnn.tree import approximation_of

if TYPE_CHECKING:
    import xarray as xr

ESS_MIN = 400
"""Smallest effective sample size, bulk and tail, at which R-hat and errors can be relied on (Vehtari et al. 2021)."""
ESS_MIN_PER_CHAIN = 100
"""The same for each chain, where there are more than four (Stan and ArviZ)."""
BFMI_MIN = 0.3
"""Energy fraction of missing information below which tails are explored badly (Betancourt 2016; Stan)."""
SLOW = 0.05
"""Effective draws for each draw below which chains are slow rather than short; our choice."""
ONE_IMAGE = 0.95
"""Share of all draws in one mirror image from which the posterior as sampled has one mode; our choice."""


def judge(
    facts: dict[str, Any], raw: Params, function: np.ndarray, broken: np.ndarray, post: "xr.DataTree"
) -> dict[str, Any]:
    """Find verdict, message, remedy and notes, the worst trouble first.

    Parameters
    ----------
    facts : dict
        Numbers of the diagnosis.
    raw : dict of str to array
        Draws as sampled.
    function : array (chain, draw, quantity)
        What the likelihood sees.
    broken : array (chain, draw) of bool
        Draws that are not finite.
    post : xarray.DataTree
        The fit.

    Returns
    -------
    dict
        Fields of `Diagnosis`.
    """
    chains, draws = facts["chains"], facts["draws"]
    table, total = worst_of(facts["quantities"]), chains * draws
    rhat, ess = table["rhat"], float(table.loc["function", ["ess_bulk", "ess_tail"]].min())
    need = max(ESS_MIN, ESS_MIN_PER_CHAIN * chains)
    said = {space: f"R-hat {number(row.rhat, '.3f')} at {row.worst}" for space, row in table.iterrows()}
    counted = f"ESS {number(ess, '.0f')} at {table.loc['function', 'fewest']}"
    diverged = sum(facts["divergences"])
    idle = list(idle_words(raw, post))
    tempering, call = facts["tempering"], tempering_call(post)
    left = unfinished(post, rhat["function"], said["function"]) if tempering else []
    out = {}
    if broken.any():
        verdict, message, remedy = _words_not_finite(broken)
    elif approximation_of(post):
        verdict = "approximation"
        message = (
            f"The draws are those of a {approximation_of(post)}: that they agree, or not, says nothing of how far it "
            f"is from the posterior. {post.attrs.get('bayesnn_message', '')}"
        )
        remedy = f"Hold it against the posterior, {call}: bnn.theory.compare_approximations."
    elif idle:
        verdict, message = "stuck", " ".join(idle)
        remedy = (
            "Run again with another random_seed, a longer tune and target_accept=0.95; standardise the data "
            "(scaling='standard'). Chains that agree with each other do not vouch for one that is stuck."
        )
    elif draws < 4:
        verdict = "too_few_draws"
        message = (
            f"Got {chains} {plural(chains, 'chain')} of {draws} {plural(draws, 'draw')}; R-hat and ESS take at least 4."
        )
        remedy = "Draw 1,000 a chain: fit_posterior(..., draws=1000)."
    elif chains == 1:
        verdict, message, remedy = _words_one_chain(function, counted)
    elif left:
        verdict, message = "tempering_unfinished", f"{'; '.join(left)}."
        message = message[0].upper() + message[1:]
        remedy = (
            f"Give it more rounds, {tempering_call(post, more=True)}, or more systems (chains=8): each round is twice "
            "as long as the one before."
        )
    elif not tempering and not (rhat["function"] <= RHAT_MAX and ess >= need):
        out["chain_modes"] = settled_modes(function)
        if len(set(out["chain_modes"]) - {-1}) > 1:
            verdict, message, remedy = _words_modes(facts, out["chain_modes"], said, call)
        elif ess >= SLOW * total and not (ess >= need and rhat["function"] > CHANCE_MAX):
            verdict, out["chain_modes"] = "too_few_draws", (0,) * chains
            message = (
                f"The function has {said['function']}, and {counted}, of {total} draws. R-hat and Monte Carlo errors "
                f"can be relied on from ESS {need} on, and R-hat should then be at most {RHAT_MAX}."
            )
            remedy = f"Draw longer chains: fit_posterior(..., draws={_longer(draws, ess, need)})."
        else:
            verdict, message, remedy = _words_slow(function, said, counted, draws, ess, need, call)
    elif diverged > DIVERGENT_MAX * total:
        verdict = "divergences"
        message = (
            f"{diverged} of {total} draws diverged: the sampler missed a narrow region, and all chains may have missed "
            f"the same one. What they drew agrees about the function ({said['function']}; {counted}); raw weights have "
            f"{said['raw']}, aligned weights {said['aligned']}."
        )
        last = "take a narrower prior or fewer hidden units."
        higher = _higher(post)
        remedy = (
            f"Raise target_accept to {', then '.join(higher)}. If some stay, {last}" if higher else last.capitalize()
        )
    else:
        verdict, message, remedy = _words_agree(facts, rhat, said, counted)
    if tempering:
        message = f"{message} {tempering_words(tempering)}"
    notes = [*_notes(facts, table, verdict, diverged, need, _higher(post))]
    if not broken.any() and (failed := quick_identities(post).failed_words):
        notes.append(
            f"{failed} The draws may agree, and still not be from this posterior: bnn.theory.identities(post)."
        )
    return out | {"verdict": verdict, "message": message, "remedy": remedy, "notes": tuple(notes)}


def _words_not_finite(broken):
    where = [f"chain {c}: {row.sum()}, the first at draw {row.argmax()}" for c, row in enumerate(broken) if row.any()]
    message = (
        f"{broken.sum()} of {broken.size} draws have weights, a function or a log-likelihood that is not a finite "
        f"number ({'; '.join(where)}). Nothing can be said of a posterior with such draws."
    )
    remedy = (
        "Find out where they come from before leaving them out: a prior so wide that the function overflows, a noise "
        "near zero, data in odd units. Standardise the data (scaling='standard') and take a narrower prior."
    )
    return "not_finite", message, remedy


def _words_one_chain(function, counted):
    halves = half_rhats(function)[0]
    within = "agree" if halves <= CHANCE_MAX else "disagree" if halves > CHANCE_MAX else "are too short to compare"
    message = (
        "R-hat compares chains, and there is one: whether another would find the same function can't be known. Its "
        f"two halves {within} (R-hat {number(halves, '.3f')} between them), with {counted}; neither tells of modes "
        "that the chain never visited."
    )
    return "one_chain", message, "Run four: fit_posterior(..., chains=4)."


def _words_modes(facts, modes, said, call):
    levels = facts["chain_log_likelihood"]
    groups = []
    for mode in sorted(set(modes) - {-1}):
        members = [c for c, m in enumerate(modes) if m == mode]
        groups.append(f"{chains_words(members)} (log-likelihood {np.mean([levels[c] for c in members]):.4g})")
    loose = [c for c, m in enumerate(modes) if m == -1]
    message = (
        f"The chains have settled in {len(groups)} different modes of the function: {', '.join(groups)}"
        f"{f'; {chains_words(loose)} in none' if loose else ''}. The function has {said['function']}. That is real "
        "multimodality, not symmetry. How many chains are in a mode depends on where they started, not on how probable "
        "it is."
    )
    remedy = (
        f"Do not average these chains: weigh their modes by tempering, {call}. A narrower prior, fewer hidden units or "
        "more data leave fewer modes. Longer chains seldom help."
    )
    return "function_modes", message, remedy


def _words_slow(function, said, counted, draws, ess, need, call):
    halves = half_rhats(function)
    drifting = [c for c, r in enumerate(halves) if r > CHANCE_MAX]
    within = (
        f"In {chains_words(drifting)} the first and the second half disagree already (R-hat up to "
        f"{np.nanmax(halves):.2f} between them): drift, or a rare jump to another mode."
        if drifting
        else "Within each chain the two halves agree: the difference is between chains, and small."
    )
    message = f"The function has {said['function']}, and {counted}, of {function.shape[0] * draws} draws. {within}"
    longer = min(_longer(draws, ess, need), 10 * draws)
    remedy = (
        f"Draw longer chains (draws={longer}, tune={longer} to begin with), standardise the data (scaling='standard'), "
        "raise target_accept to 0.95. If chains that have settled still disagree, they are in different modes, which "
        f"tempering weighs: {call}."
    )
    return "slow_mixing", message, remedy


def _words_agree(facts, rhat, said, counted):
    order, images, switch = facts["group_order"], facts["images"], float(np.mean(facts["switch_rate"]))
    visited = f"{images:,} of {big(order)} mirror images were visited, and {switch:.1%} of the steps change the image"
    function = f"({said['function']}; {counted})"
    if not rhat["aligned"] <= RHAT_MAX:
        folded = "Even folded onto one mirror image, the" if order > 1 else "The"
        message = (
            f"{folded} weights disagree ({said['aligned']}; as sampled {said['raw']}), while the function agrees "
            f"{function}. Other weights give the same function: a ridge, twin or idle units; or the weights need more "
            "draws than the function."
        )
        remedy = (
            "None is needed for predictions. Do not interpret single weights; fewer hidden units or a narrower prior "
            "take the freedom away."
        )
        return "weights_ridge", message, remedy
    remedy = "None is needed for predictions. Look at single weights only in bnn.align(post)."
    if not rhat["raw"] <= RHAT_MAX:
        where = "visit the mirror images of one network in different shares"
        if switch < IDLE:
            where = "are in different mirror images of one network"
        message = (
            f"The weights as sampled disagree ({said['raw']}) because the chains {where}: {visited}. Folded onto one "
            f"image they agree ({said['aligned']}), and so does the function {function}. That is symmetry: harmless."
        )
        return "harmless_symmetry", message, remedy
    if images > 1 and facts["occupancy"].iloc[:, 0].mean() < ONE_IMAGE:
        message = (
            f"Function {function}, aligned weights ({said['aligned']}) and even the weights as sampled ({said['raw']}) "
            f"agree: {visited}. A single weight as sampled averages over the images and means nothing by itself."
        )
        return "mixed_symmetry", message, remedy
    where = "all in one mirror image" if order > 1 else "and the network has no mirror images"
    message = f"The chains agree about the weights ({said['raw']}), {where}, and about the function {function}."
    return "one_mode", message, "None is needed."


def _higher(post):
    """List the acceptance probabilities above the one that the run was tuned to."""
    return [f"{target:g}" for target in TARGETS[1:] if target > post.attrs.get("bayesnn_target_accept", TARGETS[0])]


def _notes(facts, table, verdict, diverged, need, higher):
    total = facts["chains"] * facts["draws"]
    if diverged and verdict != "divergences":
        few = ", fewer than 1 in 1,000" if diverged <= DIVERGENT_MAX * total else ""
        more = f"; raise target_accept to {higher[0]} to see if they go" if higher else ""
        yield f"{diverged} of {total} draws diverged{few}{more}."
    low = [c for c, e in enumerate(facts["e_bfmi"]) if e < BFMI_MIN]
    if low:
        where = f"{chains_words(low)} (least {min(facts['e_bfmi']):.2f})"
        yield f"E-BFMI is below {BFMI_MIN} in {where}: tails are explored slowly; draw more."
    if facts["max_tree_depth_share"] > 0:
        share, depth = facts["max_tree_depth_share"], facts["max_tree_depth"]
        yield f"{share:.1%} of the draws reached the largest tree depth, {depth:.0f}: slow, not wrong."
    if facts["tempering"] and verdict in TRUSTED and table.loc["function", "rhat"] > RHAT_MAX:
        yield (
            f"R-hat of the function is {table.loc['function', 'rhat']:.3f} at {table.loc['function', 'worst']}: a "
            "round more would say whether by chance."
        )
    if 1 < facts["chains"] < 4 and not facts["tempering"]:
        yield f"{facts['chains']} chains find fewer modes than the usual 4."
    ess = table.loc["aligned", ["ess_bulk", "ess_tail"]].min()
    if verdict in TRUSTED and ess < need:
        yield f"The aligned weights have ESS {ess:.0f} at {table.loc['aligned', 'fewest']}; they need {need}."


def _longer(draws, ess, need):
    """Draws for an ESS with some to spare, at least twice as many, rounded up to two digits."""
    target = draws * max(2.0, 1.2 * need / max(ess, 1.0))
    unit = 10 ** max(0, math.floor(math.log10(target)) - 1)
    return math.ceil(target / unit) * unit
