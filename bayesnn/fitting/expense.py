"""What a fit will cost: said before it begins where it takes hours, refused where there is not the memory for it."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.fitting.progress import announce
from bayesnn.tree import Problem

if TYPE_CHECKING:
    from bayesnn.fitting.density import FusedDensity, ModelDensity
    from bayesnn.fitting.objective import Objective


LENGTHY = 3600.0
"""Seconds of a fit that are announced."""
TREE = 60
"""Gradients of a draw of NUTS: on posteriors of networks with many rows trees have 31 to 127."""
CLIMB, HESSIANS = 1500, 6
"""Gradients, and matrices of second derivatives, of one start of a search, as seen with 4 to 8 units."""


def seconds_of_gradient(density: "FusedDensity | ModelDensity | Objective", points: np.ndarray) -> float:
    """Time the gradient of a log density.

    Parameters
    ----------
    density : callable
        From a flat vector to value and gradient.
    points : array (s, size)
        Where: as many of them as a tenth of a second allows, but at least one.

    Returns
    -------
    float
        The shortest time, in seconds.
    """
    best, began = np.inf, time.perf_counter()
    for point in points:
        before = time.perf_counter()
        density(point)
        now = time.perf_counter()
        best = min(best, now - before)
        if now - began > 0.1:
            break
    return best


def duration(seconds: float) -> str:
    """Write a time by its largest unit.

    Parameters
    ----------
    seconds : float
        How long.

    Returns
    -------
    str
        Such as ``"9 h"``.

    Examples
    --------
    >>> from bayesnn.fitting.expense import duration
    >>> duration(40.2), duration(33_000), duration(1e6)
    ('40 s', '9 h', '12 days')
    """
    for unit, name in ((86_400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.0f} s"


def announce_search(problem: Problem, objective: "Objective", starts: np.ndarray, maxiter: int, *, show: bool) -> None:
    """Say that a search will take hours, if it will.

    Parameters
    ----------
    problem : Problem
        What is fitted.
    objective : Objective
        The negative log density.
    starts : array (n, size)
        Where it starts.
    maxiter : int
        Iterations of L-BFGS for each.
    show : bool
        False says nothing.
    """
    if not objective.size:
        return
    each = seconds_of_gradient(objective, starts)
    seconds = each * len(starts) * (min(CLIMB, maxiter) + 4 * objective.size * HESSIANS)
    if seconds > LENGTHY:
        announce(
            f"A gradient over {len(problem.X):,} rows takes {duration(each)}: {len(starts)} starts may take "
            f"{duration(seconds)}. Fewer restarts, or some of the rows, take less.",
            show=show,
        )


def announce_chains(
    problem: Problem, density: "FusedDensity | ModelDensity", *, draws: int, chains: int, at_once: int, show: bool
) -> None:
    """Say that chains of NUTS will take hours, if they will.

    Parameters
    ----------
    problem : Problem
        What is sampled.
    density : FusedDensity or ModelDensity
        With Jacobians.
    draws : int
        Of each chain, with those of its warm-up.
    chains, at_once : int
        How many, and how many of them at a time.
    show : bool
        False says nothing.
    """
    each = seconds_of_gradient(density, np.stack([density.prior_draw(seed) for seed in range(3)]))
    seconds = each * draws * TREE * -(-chains // at_once)
    if seconds > LENGTHY:
        announce(
            f"A gradient over {len(problem.X):,} rows takes {duration(each)}: {chains} chains of {draws:,} draws, "
            f"warm-up included, at some {TREE} gradients a draw, take about {duration(seconds)}. With so many rows for "
            "its weights a posterior is often near to normal about each mode: bnn.fit_laplace takes far fewer "
            "gradients, and says how far from normal it is (bayesnn_pareto_k). Or take some of the rows.",
            show=show,
        )


def announce_tempering(problem: Problem, seconds: float, *, show: bool) -> None:
    """Say that tempering will take hours, if it will.

    Parameters
    ----------
    problem : Problem
        What is sampled.
    seconds : float
        Expected.
    show : bool
        False says nothing.
    """
    if seconds > LENGTHY:
        announce(
            f"Over {len(problem.X):,} rows tempering takes {duration(seconds)} where the posterior is an easy one, and "
            "longer where it is not. max_seconds bounds it; some of the rows take less.",
            show=show,
        )


def check_memory(problem: Problem, draws: int, *, log_likelihood: bool) -> None:
    """Refuse to keep a log-likelihood for each draw and row that there is no memory for.

    Parameters
    ----------
    problem : Problem
        What is to be fitted.
    draws : int
        Of all chains.
    log_likelihood : bool
        Whether it is asked for.

    Raises
    ------
    SpecError
        Before anything is fitted.
    """
    needed, free = 8 * draws * len(problem.X), available_memory()
    if log_likelihood and needed > free:
        raise SpecError(
            f"Got log_likelihood=True with {draws:,} draws of {len(problem.X):,} rows, a number for each pair: "
            f"{needed / 1e9:.3g} GB, of which {free / 1e9:.3g} GB are free. Leave it out (bnn.score has the log "
            f"predictive density without keeping it), or take at most {int(free // (8 * len(problem.X))):,} draws."
        )


def available_memory() -> float:
    """Count the bytes that a process may still have.

    Returns
    -------
    float
        What the system says is available, or less where a container is limited to that; infinite where that can't be
        asked.
    """
    free = np.inf
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            free = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    try:
        most, used = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
        free = min(free, float(max(most - used, 0)))
    except (OSError, ValueError):
        # No limit, or none of that kind.
        pass
    return free
