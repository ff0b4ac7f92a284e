r"""Non-reversible parallel tempering: every mode of a posterior by its weight, and the evidence.

A system is a ladder of inverse temperatures :math:`0 = \beta_0 < \dots < \beta_K = 1` with one state each, of density
proportional to prior times likelihood to the power :math:`\beta`. Each iteration moves every state by one trajectory of
Hamiltonian Monte Carlo, the hottest by a new draw from the prior, and then exchanges neighbours, even and odd pairs in
turn (Syed, Bouchard-Côté, Deligiannidis and Doucet 2022): a mode that is found where the likelihood counts little
reaches the cold end by exchanges. After each round the ladder is spaced anew, so that exchanges are rejected alike
everywhere; the sum of the rejections is the barrier, which says how many temperatures are needed.

A system starts from a sequential Monte Carlo run, waste-free (Dau and Chopin 2022): few chains, each as long as they
need to agree.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Event

import numpy as np

from bayesnn.fitting.callbacks import Callback
from bayesnn.fitting.density import FusedDensity, ModelDensity
from bayesnn.fitting.evidence import Bridge, bridge

TARGET = 0.75
"""Acceptance probability that step sizes are tuned to."""
LEAPS = 8
"""Largest number of leaps of a trajectory; each takes from one to as many, at random."""
RATE = 0.3
"""How fast step sizes are tuned at first."""
PER_BARRIER = 2.0
"""Temperatures for each unit of the barrier: the round trips per gradient are then most (Syed et al., section 4)."""
FEWEST, MOST = 4, 100
"""Bounds of the number of temperatures."""
SETTLING = 8
"""Each round starts with this part of its iterations for tuning step sizes, which are not counted."""
CHUNK = 128
"""Iterations between two looks at whether to stop."""
ANCESTORS, BLOCK, LONGEST, PATIENCE, RESTARTS = 16, 16, 128, 4, 3
"""Chains of a stage of SMC, how much longer they get at a time, how long they may get at first, how many times longer
the next run may make them where the systems' runs disagree, and how often."""
SHARE = 1 / 3
"""Part of the time that there is which these runs may take."""
ROOM = 0.9
"""Part of the time that is left which the last round may take: the ladder that it spaces anew may be longer."""
STAGE_RHAT = 1.2
"""R-hat of the log-likelihood, over the second halves of a stage's chains, at which they are long enough."""
STAGE_ESS = 0.5
"""Share of draws that are left, by their weights, at the next temperature."""
SMC_SD = 4.0
"""Standard deviation between systems of the log evidence by SMC up to which tempering corrects what is left: beyond it
some have lost the modes that others have."""


class Stopped(Exception):
    """Somebody does not want to wait for the end of a round."""


@dataclass(frozen=True)
class Ladder:
    """Temperatures, and what was learned at each.

    Parameters
    ----------
    betas : array (k,)
        Inverse temperatures, ascending.
    steps : array (k,)
        Step sizes.
    scales : array (k, size)
        What the step size is multiplied by for each element: the inverse root of the mean squared slope, which unlike
        the standard deviation does not grow with the distance between modes.
    barrier : array (k,)
        Sum of the rejections of exchanges below each temperature.
    rungs : tuple of float
        Inverse temperatures that every spacing keeps, in ascending order.
    """

    betas: np.ndarray
    steps: np.ndarray
    scales: np.ndarray
    barrier: np.ndarray
    rungs: tuple[float, ...] = ()

    def spaced(self) -> tuple["Ladder", np.ndarray]:
        """Ladder whose exchanges are rejected alike everywhere, and the nearest old temperature of each new one."""
        from scipy.interpolate import PchipInterpolator

        k = len(np.setdiff1d(self.betas, self.rungs))
        wanted = int(np.clip(np.ceil(PER_BARRIER * self.barrier[-1]) + 2, FEWEST, MOST))
        wanted = k if abs(wanted - k) <= 1 else wanted
        known = self.barrier + 1e-9 * np.arange(len(self.betas))
        at = np.linspace(0.0, known[-1], wanted)
        even = PchipInterpolator(known, self.betas)(at)
        even[0], even[-1] = 0.0, 1.0
        betas = np.union1d(even, self.rungs)
        at = np.interp(betas, even, at)
        steps = np.exp(np.interp(at, known, np.log(self.steps)))
        scales = np.exp(np.stack([np.interp(at, known, np.log(scale)) for scale in self.scales.T], axis=1))
        return Ladder(betas, steps, scales, at, self.rungs), np.abs(known[:, None] - at).argmin(axis=0)

    def rescaled(self, scales: np.ndarray) -> "Ladder":
        """Ladder with other scales, and steps as long as before."""
        return replace(self, scales=scales, steps=self.steps * np.exp(np.log(self.scales / scales).mean(axis=1)))


@dataclass(frozen=True)
class Round:
    """What one system's round gave.

    Parameters
    ----------
    ladder : Ladder
        The temperatures, with the steps and the rejections of this round.
    iterations : int
        Of which its numbers are.
    steps, rejection, acceptance, log_likelihood : arrays (k,)
        Step sizes, mean probabilities that an exchange with the next colder temperature is rejected and that a
        trajectory is accepted, and mean log-likelihood.
    round_trips : int
        How often a state came back to the prior after it had been at the posterior.
    evidence : Bridge
        Log evidence.
    draws : array (draws, size)
        Positions at the cold end.
    log_likelihoods, log_priors, states : arrays (draws,)
        Of the draws, and which of the states was at the cold end.
    at_rungs : array (iterations, rungs)
        Log-likelihoods at the temperatures that were asked for.
    """

    ladder: Ladder
    iterations: int
    steps: np.ndarray
    rejection: np.ndarray
    acceptance: np.ndarray
    log_likelihood: np.ndarray
    round_trips: int
    evidence: Bridge
    draws: np.ndarray
    log_likelihoods: np.ndarray
    log_priors: np.ndarray
    states: np.ndarray
    at_rungs: np.ndarray


class System:
    """One ladder of temperatures with its states: an independent chain of the sampler.

    Parameters
    ----------
    density : FusedDensity or ModelDensity
        Split.
    callback : Callback
        Of the density.
    rng : numpy.random.Generator
        Its own source of randomness.
    target : float
        Acceptance probability.
    stop : threading.Event
        Set when nobody waits any more.
    rungs : tuple of float
        Inverse temperatures that the ladder is to have, in ascending order.
    """

    def __init__(
        self,
        density: FusedDensity | ModelDensity,
        callback: Callback,
        rng: np.random.Generator,
        target: float,
        stop: Event,
        rungs: tuple[float, ...] = (),
    ):
        self.density, self.callback, self.rng, self.target, self.stop = density, callback, rng, target, stop
        self.rungs = rungs
        self.gradients = 0
        self.rounds: list[Round] = []

    def start(self, longest: int) -> float:
        """Run sequential Monte Carlo from the prior to the posterior, and take a first ladder and states from it.

        Parameters
        ----------
        longest : int
            Iterations that the chains of a stage may take.

        Returns
        -------
        float
            Log evidence.
        """
        from scipy.optimize import brentq

        positions = self.density.prior_draws(self.rng, ANCESTORS * BLOCK)
        values = self._at(positions)[0][:, 0]
        beta, step, evidence = 0.0, np.array([0.5]), 0.0
        stages = [(beta, step[0], np.ones(self.density.size), positions, values)]
        while beta < 1.0:
            values = np.where(np.isfinite(values), values, -np.inf)

            below = values - values.max()

            def excess(rise, below=below):
                weights = np.exp(rise * below)
                return weights.sum() ** 2 / (weights @ weights) / len(below) - STAGE_ESS

            rise = 1.0 - beta
            rise = brentq(excess, 0.0, rise) if excess(rise) < 0 else rise
            weights = np.exp(rise * below)
            evidence += rise * values.max() + np.log(weights.mean())
            weights /= weights.sum()
            beta = beta + rise if rise < 1.0 - beta else 1.0
            places = (self.rng.random() + np.arange(ANCESTORS)) / ANCESTORS
            ancestors = np.searchsorted(np.cumsum(weights), places).clip(max=len(weights) - 1)
            spread = np.sqrt(np.maximum(weights @ positions**2 - (weights @ positions) ** 2, 1e-12))
            step, scale, kept = self._stage(positions[ancestors], beta, step, spread, longest)
            positions, values = kept[:, :-3], kept[:, -3]
            stages.append((beta, step[0], scale, positions, values))
        self._climb_from(stages)
        return float(evidence)

    def _stage(self, start, beta, step, scale, longest):
        """Run chains at one temperature until they agree; return the step, the scale and all draws."""
        values, gradients = self._at(start)
        states, parts = (start.copy(), values, gradients), []
        while True:
            ladder = Ladder(np.full(ANCESTORS, beta), step, scale[None], np.zeros(0))
            kept, _, scales, *_ = self._walk(states, np.arange(ANCESTORS), ladder, BLOCK, RATE, keep=ANCESTORS)
            parts.append(kept)
            fresh = scales.mean(axis=0)
            if len(parts) == 1:
                step, scale = step * np.exp(np.log(scale / fresh).mean()), fresh
            likelihoods = np.concatenate(parts)[:, :, -3]
            if len(parts) * BLOCK >= longest or _rhat(likelihoods[len(likelihoods) // 2 :]) < STAGE_RHAT:
                return step, fresh, np.concatenate(parts).reshape(-1, self.density.size + 3)

    def _climb_from(self, stages):
        """Take temperatures by the rejections between stages, and a state for each from the nearest stage."""
        betas, steps, scales, positions, values = zip(*stages, strict=True)
        rejections = []
        for k in range(len(betas) - 1):
            a, b = (self.rng.choice(values[j], max(map(len, values[k : k + 2]))) for j in (k, k + 1))
            rejections.append(1.0 - np.exp(np.minimum(0.0, (betas[k + 1] - betas[k]) * (a - b))).mean())
        barrier = np.concatenate([[0.0], np.cumsum(rejections)])
        ladder = Ladder(np.array(betas), np.array(steps), np.stack(scales), barrier, self.rungs)
        self.ladder, nearest = ladder.spaced()
        theta = np.stack([positions[k][self.rng.integers(len(positions[k]))] for k in nearest])
        self.states = (theta, *self._at(theta))

    def run(self, iterations: int, draws: int) -> None:
        """Run a round and keep what it gave; from the second on, space the ladder anew first.

        Parameters
        ----------
        iterations : int
            That count.
        draws : int
            To keep at the cold end.
        """
        from bayesnn.ops.tempering import ACCEPTED, REJECTED

        if self.rounds:
            self.ladder, nearest = self.rounds[-1].ladder.spaced()
            self.states = tuple(array[nearest].copy() for array in self.states)
        k = len(self.ladder.betas)
        slot = np.arange(k)
        self._walk(self.states, slot, self.ladder, max(iterations // SETTLING, 8), RATE)
        thin = max(iterations // draws, 1)
        kept, logs, scales, stats, trips = self._walk(
            self.states, slot, self.ladder, iterations, 0.0, thin=thin, keep=1
        )
        self.states = tuple(array[slot].copy() for array in self.states)
        pairs = (iterations + 1 - np.arange(k) % 2) // 2
        rejection = stats[:, REJECTED] / np.maximum(pairs, 1)
        barrier = np.concatenate([[0.0], np.cumsum(rejection[:-1])])
        ladder = replace(self.ladder.rescaled(scales), barrier=barrier)
        kept = kept[-draws:, 0]
        self.rounds.append(
            Round(
                ladder=ladder,
                iterations=iterations,
                steps=self.ladder.steps,
                rejection=rejection,
                acceptance=stats[:, ACCEPTED] / iterations,
                log_likelihood=logs.mean(axis=0),
                round_trips=trips,
                evidence=bridge(logs, self.ladder.betas),
                draws=kept[:, :-3],
                log_likelihoods=kept[:, -3],
                log_priors=kept[:, -2],
                states=kept[:, -1].astype(int),
                at_rungs=logs[:, np.searchsorted(self.ladder.betas, self.rungs)],
            )
        )

    def _at(self, positions):
        """Values and gradients at positions."""
        self.gradients += len(positions)
        return self.density.many(positions)

    def _walk(self, states, slot, ladder, iterations, rate, *, thin=1, keep=0):
        """Walk in chunks, changing states, slot and steps; return draws, log-likelihoods, scales, sums, round trips."""
        from bayesnn.ops.tempering import GRADIENTS, STATISTICS, compiled

        m, size = states[0].shape
        climbing = len(ladder.steps) == m
        kept, logs = np.empty((iterations // thin, keep, size + 3)), np.empty((iterations, m))
        slopes, stats = np.zeros((m, size)), np.zeros((m, STATISTICS))
        trips, leaps = np.zeros(m + 1, dtype=np.int64), np.full(len(ladder.steps), LEAPS)
        chunk = -(-CHUNK // thin) * thin
        for begin in range(0, iterations, chunk):
            if self.stop.is_set():
                raise Stopped
            end = min(begin + chunk, iterations)
            fresh = self.density.prior_draws(self.rng, end - begin) if climbing else np.empty((0, size))
            compiled()(
                self.rng, self.callback.address, self.callback.table, *states, slot, trips, ladder.betas,
                ladder.steps, ladder.scales, leaps, fresh, begin, rate, self.target, thin,
                kept[begin // thin : end // thin], logs[begin:end], slopes, stats,
            )  # fmt: skip
        self.gradients += int(stats[:, GRADIENTS].sum())
        scales = 1.0 / np.sqrt(np.maximum(slopes / iterations, 1e-12))
        return kept, logs, scales, stats, int(trips[m])


def _rhat(values):
    """R-hat of chains (draw, chain)."""
    within = values.var(axis=0, ddof=1).mean()
    return np.sqrt(1.0 + values.mean(axis=0).var(ddof=1) / within - 1.0 / len(values)) if within > 0 else np.inf


def start_systems(systems: Sequence[System], each: Callable, *, seconds: float = np.inf) -> None:
    """Start systems from SMC; where their runs disagree, from longer ones.

    Parameters
    ----------
    systems : sequence of System
        To start.
    each : callable
        Runs a function of a system for all of them, and gives the list of what it returned.
    seconds : float
        A run that would end later is not started.
    """
    began = last = time.perf_counter()
    for restart in range(RESTARTS + 1):
        found = np.array(each(lambda system, restart=restart: system.start(LONGEST * PATIENCE**restart)))
        now = time.perf_counter()
        late = now - began + PATIENCE * (now - last) > seconds
        if len(systems) < 2 or late or np.std(found, ddof=1) <= SMC_SD:
            return
        last = now


def run_rounds(
    systems: Sequence[System],
    cores: int,
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
    systems : sequence of System
        Of one density.
    cores : int
        Systems run at a time.
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
    began, stop = time.perf_counter(), systems[0].stop
    last, ran = began, 0
    short = [max(tune * 2**r // 7, 1) for r in range(3)] if tune >= 7 else []
    lengths = [*short, *(draws * 2**r for r in range(rounds))]
    left: Sequence[str] = ["no round of sampling was run"]
    with ThreadPoolExecutor(min(cores, len(systems))) as pool:

        def each(function):
            futures = [pool.submit(function, system) for system in systems]
            try:
                return [future.result() for future in futures]
            except BaseException:
                stop.set()
                raise

        try:
            tell("sequential Monte Carlo")
            start_systems(systems, each, seconds=SHARE * seconds)
            for number, length in enumerate(lengths):
                before = time.perf_counter()
                if number:
                    room = (seconds - (before - began)) / (before - last) * ran
                    if room < length:
                        return "seconds", left
                    # The last round that there is time for takes all of it.
                    if number >= len(short) and ROOM * room < 3 * length:
                        length = max(length, int(ROOM * room))
                each(lambda system, length=length: system.run(length, draws))
                last, ran = before, length
                here = [system.rounds[number] for system in systems]
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
            if not all(system.rounds for system in systems):
                raise KeyboardInterrupt from None
            whole = min(len(system.rounds) for system in systems)
            for system in systems:
                del system.rounds[whole:]
            return "interrupted", left
    return "rounds", left
