"""What single chains do: stand still, settle in a mode of the function, drift."""

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.network import Params

if TYPE_CHECKING:
    import xarray as xr


SETTLED = 10
"""Effective draws within a chain from which its mean and error are worth comparing; our choice."""
APART = 5.0
"""Standard errors between the means of two settled chains beyond which they are in different modes; our choice."""
CHANCE_MAX = 1.05
"""Largest R-hat that chance explains: of the halves of a chain, or of chains a little short of draws; our choice."""
IDLE = 0.01
"""Share of steps that move, or of proposals accepted, below which a chain counts as stuck; our choice."""


def idle_words(raw: Params, post: "xr.DataTree") -> Iterator[str]:
    """Say of each chain that hardly moves, accepts hardly anything, or is another one once more."""
    flat = np.concatenate([v.reshape(*v.shape[:2], -1) for v in raw.values()], axis=-1)
    if flat.shape[1] < 2:
        return
    accepted = np.ones(len(flat))
    if "sample_stats" in post and "acceptance_rate" in post["sample_stats"]:
        accepted = post["sample_stats"]["acceptance_rate"].transpose("chain", "draw").to_numpy().mean(axis=1)
    moves = (np.diff(flat, axis=1) != 0).any(axis=-1).mean(axis=1)
    for chain, (moved, accepting) in enumerate(zip(moves, accepted, strict=True)):
        if moved == 0:
            yield f"Chain {chain} never moves: its {flat.shape[1]} draws are all the same."
        elif moved < IDLE:
            yield f"Chain {chain} moves at only {moved:.1%} of its steps."
        elif accepting < IDLE:
            yield f"Chain {chain} accepts only {accepting:.1%} of its proposals."
    for one, other in combinations(np.flatnonzero(moves), 2):
        if np.array_equal(flat[one], flat[other]):
            yield f"Chains {one} and {other} hold the same draws, which count once: their seeds were the same."


def settled_modes(function: np.ndarray) -> tuple[int, ...]:
    """Group settled chains by their functions; -1 for chains that have not settled."""
    import arviz as az
    from scipy.sparse.csgraph import connected_components

    function = function[..., np.ptp(function, axis=(0, 1)) > 0]
    mean, sd = function.mean(axis=1), function.std(axis=1, ddof=1)
    with np.errstate(all="ignore"):
        ess = np.stack([az.ess(chain[None], method="mean") for chain in function])
        error = sd / np.sqrt(ess)
        settled = np.flatnonzero(np.median(ess, axis=1) >= SETTLED)
        a, b = settled[:, None], settled[None, :]
        gap = np.abs(mean[a] - mean[b])
        far = (gap > APART * np.hypot(error[a], error[b])) & (gap > np.maximum(sd[a], sd[b]))
        far &= np.minimum(ess[a], ess[b]) >= SETTLED
    out = np.full(len(function), -1)
    if len(settled):
        out[settled] = connected_components(~far.any(axis=-1), directed=False)[1]
    return tuple(map(int, out))


def half_rhats(function: np.ndarray) -> np.ndarray:
    """Largest R-hat between the first and the second half of each chain."""
    import arviz as az

    half = function.shape[1] // 2
    if half < 4:
        return np.full(len(function), np.nan)
    function = function[..., (np.ptp(function, axis=1) > 0).all(axis=0)]
    with np.errstate(all="ignore"):
        return np.array([np.max(az.rhat(np.stack([c[:half], c[-half:]])), initial=1.0) for c in function])
