"""Systems of tempering, run side by side: started, tuned, and given rounds until nothing is left to wish for."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from threading import Event
from typing import Any

import numpy as np

from bayesnn.fitting.callbacks import callback_of
from bayesnn.fitting.density import log_density
from bayesnn.fitting.once import Once
from bayesnn.fitting.store import Arrays, Kept
from bayesnn.fitting.tasks import run_tasks
from bayesnn.fitting.tempering import Round, Stopped, System
from bayesnn.tree import Problem

LONGEST, PATIENCE, RESTARTS = 128, 4, 3
"""How long the chains of a stage of SMC may get at first, how many times longer the next run may make them where the
systems' runs disagree, and how often."""
SHARE = 1 / 3
"""Part of the time that there is which these runs may take."""
ROOM = 0.9
"""Part of the time that is left which the last round may take: the ladder that it spaces anew may be longer."""
SMC_SD = 4.0
"""Standard deviation between systems of the log evidence by SMC up to which tempering corrects what is left: beyond it
some have lost the modes that others have."""


class Systems:
    """The systems of one run, in any executor; what each has finished is kept.

    Parameters
    ----------
    problem : Problem
        What is fitted.
    collapse : bool
        As for `fit_posterior`.
    threads : int
        Of each density.
    target : float
        Acceptance probability.
    rungs : tuple of float
        As for `System`.
    executor : concurrent.futures.Executor
        Where they run.
    kept : Kept, optional
        Keeps every step.
    """

    def __init__(
        self,
        problem: Problem,
        collapse: bool,
        threads: int,
        *,
        target: float,
        rungs: tuple[float, ...],
        executor: Executor,
        kept: Kept | None = None,
    ):
        self.once, self.options = Once(_ready, problem, collapse, threads), {"target": target, "rungs": rungs}
        self.executor, self.kept = executor, kept
        self.states: list[Any] = []
        self.rounds: list[list[Round]] = []

    def start(self, again: int, longest: int) -> np.ndarray:
        """Run sequential Monte Carlo in each system, and give their log evidences."""
        return np.array([each["log_evidence"].item() for each in self._each(("start", again), longest)])

    def run(self, iterations: int, draws: int) -> list[Round]:
        """Run a round of each system."""
        number = len(self.rounds) + 1
        self.rounds.append([Round.of(each) for each in self._each(("round", number), iterations, draws)])
        return self.rounds[-1]

    def known(self) -> int | None:
        """Give the iterations of the next round where a system has run it before, in another process."""
        keys = [("round", len(self.rounds) + 1, i) for i in range(len(self.states))]
        found = self.kept.read(keys) if self.kept is not None else {}
        return int(next(iter(found.values()))["iterations"]) if found else None

    @property
    def gradients(self) -> int:
        """Number of gradients so far."""
        return sum(int(state["gradients"]) for state in self.states)

    def _each(self, step, *arguments):
        """Run a step of every system, and give what they returned; all or nothing."""
        tasks: dict[Any, tuple[Any, ...]] = {
            (*step, i): (advance, self.once, state, step[0], arguments, self.options)
            for i, state in enumerate(self.states)
        }
        ran = run_tasks(tasks, self.executor, label=step[0], progressbar=False, kept=self.kept)
        # Pressed while the last of them ended, a key still ends the run.
        if ran.interrupted or len(ran.done) < len(tasks):
            self.once.get()[2].set()
            ran.give_up()
        self.states = list(ran.done.values())
        return self.states


def _ready(problem, collapse, threads):
    """Compile what every system of a process needs."""
    density = log_density(problem, jacobian=True, collapse=collapse, split=True, threads=threads)
    return density, callback_of(density), Event()


def advance(
    once: Once,
    state: Arrays | np.random.SeedSequence,
    what: str,
    arguments: Sequence[int],
    *,
    target: float,
    rungs: tuple[float, ...],
) -> Arrays:
    """Take up a system where it rests, start it or run a round, and let it rest again.

    Parameters
    ----------
    once : Once
        Makes the density.
    state : dict of str to array, or numpy.random.SeedSequence
        Of a system that rests, or the source of randomness of a new one.
    what : {"start", "round"}
        What to do.
    arguments : sequence of int
        Of `System.start` or `System.run`.
    target, rungs
        As for `System`.

    Returns
    -------
    dict of str to array
        The system at rest, and beside it ``log_evidence`` or the round.
    """
    density, callback, stop = once.get()
    seed = state if isinstance(state, np.random.SeedSequence) else 0
    system = System(density, callback, np.random.default_rng(seed), target, stop, rungs)
    if not isinstance(state, np.random.SeedSequence):
        system.wake(state)
    if what == "start":
        return {"log_evidence": np.array(system.start(*arguments)), **system.rest()}
    return {**system.run(*arguments).arrays(), **system.rest()}


def start_systems(systems: Systems, *, seconds: float = np.inf) -> None:
    """Start systems from SMC; where their runs disagree, from longer ones.

    Parameters
    ----------
    systems : Systems
        To start.
    seconds : float
        A run that would end later is not started.
    """
    began = last = time.perf_counter()
    for again in range(RESTARTS + 1):
        found = systems.start(again, LONGEST * PATIENCE**again)
        now = time.perf_counter()
        late = now - began + PATIENCE * (now - last) > seconds
        if len(found) < 2 or late or np.std(found, ddof=1) <= SMC_SD:
            return
        last = now


def run_rounds(
    systems: Systems,
    *,
    draws: int,
    tune: int,
    rounds: int,
    seconds: float,
    least: int,
    unmet: Callable[[Sequence[Round]], Sequence[str]],
    tell: Callable[[str], None],
) -> tuple[str, Sequence[str]]:
    """Start systems, tune them, and run rounds that double until nothing is left to wish for.

    Parameters
    ----------
    systems : Systems
        Of one density.
    draws : int
        Iterations of the first round of sampling, and draws that are kept of each.
    tune : int
        Iterations of the rounds before, each twice as long as the one before it.
    rounds : int
        Rounds of sampling at most.
    seconds : float
        A round that would end later is not started, and the last that there is time for takes what is left.
    least : int
        Rounds of sampling at least.
    unmet : callable
        From the systems' last rounds to what is left to wish for.
    tell : callable
        Says how far it is.

    Returns
    -------
    ended : str
        Why no further round was run: "met", "rounds", "seconds" or "interrupted".
    sequence of str
        What `unmet` said last.

    Raises
    ------
    KeyboardInterrupt
        Before the first round was whole.
    """
    began = last = time.perf_counter()
    ran = 0
    short = [max(tune * 2**r // 7, 1) for r in range(3)] if tune >= 7 else []
    lengths = [*short, *(draws * 2**r for r in range(rounds))]
    left: Sequence[str] = ["no round of sampling was run"]
    try:
        tell("sequential Monte Carlo")
        start_systems(systems, seconds=SHARE * seconds)
        for number, length in enumerate(lengths):
            before = time.perf_counter()
            if (known := systems.known()) is not None:
                length = known
            elif number and ran:
                room = (seconds - (before - began)) / (before - last) * ran
                if room < length:
                    return "seconds", left
                # The last round that there is time for takes all of it.
                if number >= len(short) and ROOM * room < 3 * length:
                    length = max(length, int(ROOM * room))
            here = systems.run(length, draws)
            last, ran = before, length
            evidence = [r.evidence.combined for r in here]
            tell(
                f"{length} iterations, barrier {np.mean([r.ladder.barrier[-1] for r in here]):.1f}, "
                f"log evidence {np.mean(evidence):.2f}, {np.ptp(evidence):.2f} between systems"
            )
            if number >= len(short):
                left = unmet(here)
                if not left and number + 1 - len(short) >= least:
                    return "met", left
    except (KeyboardInterrupt, Stopped):
        if not systems.rounds:
            raise KeyboardInterrupt from None
        return "interrupted", left
    return "rounds", left
