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

import json
from dataclasses import dataclass, fields, replace
from threading import Event
from typing import Any

import numpy as np

from bayesnn.fitting.callbacks import Callback
from bayesnn.fitting.density import FusedDensity, ModelDensity
from bayesnn.fitting.evidence import Bridge, bridge
from bayesnn.fitting.store import Arrays

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
ANCESTORS, BLOCK = 16, 16
"""Chains of a stage of SMC, and how much longer they get at a time."""
STAGE_RHAT = 1.2
"""R-hat of the log-likelihood, over the second halves of a stage's chains, at which they are long enough."""
STAGE_ESS = 0.5
"""Share of draws that are left, by their weights, at the next temperature."""


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

    @classmethod
    def of(cls, arrays: Arrays) -> "Ladder":
        """Read a ladder from the arrays of `Round.arrays` or `System.rest`."""
        known: dict[str, Any] = {f.name: arrays[f"ladder.{f.name}"] for f in fields(cls)}
        return cls(**{**known, "rungs": tuple(known["rungs"].tolist())})

    def arrays(self) -> Arrays:
        """Write the ladder as arrays with names."""
        return {f"ladder.{f.name}": np.array(getattr(self, f.name)) for f in fields(self)}

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

    @classmethod
    def of(cls, arrays: Arrays) -> "Round":
        """Read a round from the arrays that `arrays` gives."""
        known: dict[str, Any] = {f.name: arrays[f.name] for f in fields(cls) if f.name in arrays}
        whole = {name: int(known[name]) for name in ("iterations", "round_trips")}
        evidence: dict[str, Any] = {f.name: arrays[f"evidence.{f.name}"] for f in fields(Bridge)}
        evidence = {name: value if value.ndim else float(value) for name, value in evidence.items()}
        return cls(**{**known, **whole, "ladder": Ladder.of(arrays), "evidence": Bridge(**evidence)})

    def arrays(self) -> Arrays:
        """Write the round as arrays with names, for a file or another process."""
        nested = ("ladder", "evidence")
        plain = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self) if f.name not in nested}
        evidence = {f"evidence.{f.name}": np.asarray(getattr(self.evidence, f.name)) for f in fields(Bridge)}
        return {**plain, **self.ladder.arrays(), **evidence}


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
        self.gradients, self.ran = 0, 0
        self.ladder: Ladder | None = None
        self.states: tuple[np.ndarray, ...] = ()

    def rest(self) -> Arrays:
        """Write what the next round depends on as arrays with names, for a file or another process."""
        ladder = self.ladder.arrays() if self.ladder is not None else {}
        states = dict(zip(("state.theta", "state.values", "state.gradients"), self.states, strict=False))
        counts = {"gradients": np.array(self.gradients), "ran": np.array(self.ran)}
        return {**ladder, **states, **counts, "rng": np.array(json.dumps(self.rng.bit_generator.state))}

    def wake(self, arrays: Arrays) -> "System":
        """Take up what another system of the same kind has written by `rest`."""
        self.rng = np.random.default_rng()
        self.rng.bit_generator.state = json.loads(arrays["rng"].item())
        self.gradients, self.ran = int(arrays["gradients"]), int(arrays["ran"])
        if "ladder.betas" in arrays:
            self.ladder = Ladder.of(arrays)
            self.states = tuple(np.array(arrays[f"state.{k}"]) for k in ("theta", "values", "gradients"))
        return self

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

    def run(self, iterations: int, draws: int) -> Round:
        """Run a round; from the second on, space the ladder anew first.

        Parameters
        ----------
        iterations : int
            That count.
        draws : int
            To keep at the cold end.

        Returns
        -------
        Round
            What it gave.
        """
        from bayesnn.ops.tempering import ACCEPTED, REJECTED

        assert self.ladder is not None, "start comes first"
        if self.ran:
            self.ladder, nearest = self.ladder.spaced()
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
        steps, self.ladder = self.ladder.steps, replace(self.ladder.rescaled(scales), barrier=barrier)
        self.ran += 1
        kept = kept[-draws:, 0]
        return Round(
            ladder=self.ladder,
            iterations=iterations,
            steps=steps,
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
