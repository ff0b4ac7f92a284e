"""A posterior by tempering: what is asked of it, and how it is written into a tree."""

import warnings
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np

from bayesnn.errors import ConvergenceWarning
from bayesnn.fitting.agreement import function_ess, function_rhat, function_values
from bayesnn.fitting.collapse import draw_output_layer
from bayesnn.fitting.density import collapses, log_density, slowness
from bayesnn.fitting.evidence import log_evidence
from bayesnn.fitting.expense import announce_tempering, seconds_of_gradient
from bayesnn.fitting.idle import idle_cores
from bayesnn.fitting.progress import compiling, status, tell_once
from bayesnn.fitting.rounds import Systems, run_rounds
from bayesnn.fitting.sampled import Sampled
from bayesnn.fitting.store import Kept
from bayesnn.fitting.tasks import at_once
from bayesnn.fitting.tempering import LEAPS, SETTLING, TARGET, Round
from bayesnn.tree import Problem, params_of

TUNE = 500
"""Iterations in which the ladder is tuned."""
ROUNDS = 5
"""Rounds of sampling at most, unless a number is given."""
EVIDENCE_SE, FUNCTION_RHAT, FUNCTION_ESS = 0.2, 1.01, 400
"""What a run is to reach: standard error of the log evidence, R-hat and effective sample size of the function."""
START, TEMPERATURES = 30_000, 10
"""Gradients of the SMC run, and temperatures, of a posterior that is easy: for a guess of the time."""
GAP, GAP_SES = 0.3, 3.0
"""Difference between forward and backward evidence that is none, in nats or in its standard errors."""


def temper(
    problem: Problem,
    *,
    collapse: bool,
    draws: int,
    tune: int | None,
    chains: int,
    cores: int | None,
    rng: np.random.Generator,
    target: float | None,
    rounds: int | None,
    max_rounds: int | None,
    max_seconds: float | None,
    rungs: tuple[float, ...],
    progressbar: bool,
    executor: Executor | None = None,
    kept: Kept | None = None,
) -> Sampled:
    """Sample a posterior by tempering; see `fit_posterior`.

    Parameters
    ----------
    problem : Problem
        What is to be fitted, with a proper prior.
    collapse, draws, tune, chains, cores, rng, target, rounds, max_rounds, max_seconds, rungs, progressbar, executor
        As for `fit_posterior`, checked.
    kept : Kept, optional
        Keeps each round of each system.

    Returns
    -------
    Sampled
        Draws, statistics and evidence.
    """
    from bayesnn.ops.threads import threads_of

    tell_once(slowness(problem.net), show=progressbar)
    tune = TUNE if tune is None else tune
    # An executor of the user's is left open.
    where = nullcontext(executor) if executor else ThreadPoolExecutor(at_once(chains, cores))
    # One of the user's has as many workers as cores.
    threads = 1 if executor else min(threads_of(chains, cores), idle_cores())
    with compiling(show=progressbar), status("Tempering", show=progressbar) as tell, where as pool:
        systems = Systems(problem, collapse, threads, target=target or TARGET, rungs=rungs, executor=pool, kept=kept)
        density = systems.once.get()[0]
        if not density.size:
            return _exact(problem, density, draws, chains, rng, rungs)
        if max_seconds is None and executor is None:
            expected = _expected(density, draws=draws, chains=chains, cores=cores)
            announce_tempering(problem, expected, show=progressbar)
        streams = np.random.SeedSequence(int(rng.integers(2**31))).spawn(chains + 1)
        systems.states = list(streams[:chains])

        def complete(here):
            theta = np.stack([r.draws for r in here])
            params = density.unpack(theta)
            if not collapse:
                return params
            return draw_output_layer(problem, params, theta.shape[:2], np.random.default_rng(streams[chains]))

        rhats: dict[int, float] = {}

        def unmet(here):
            if left := _unmet(here):
                return left
            f = function_values(problem, complete(here))
            rhats[len(systems.rounds)] = _rhat_of(f)
            return _unmet_by_function(f, rhats[len(systems.rounds)])

        ended, left = run_rounds(
            systems,
            draws=draws,
            tune=tune,
            rounds=rounds or max_rounds or ROUNDS,
            seconds=np.inf if max_seconds is None else max_seconds,
            least=rounds or 1,
            unmet=unmet,
            tell=tell,
        )
        here = systems.rounds[-1]
        params = complete(here)
    value, se = evidence_of(here)
    attrs = {
        "bayesnn_log_evidence": value - problem.log_units,
        "bayesnn_log_evidence_se": se,
        "bayesnn_rounds": len(systems.rounds),
        "bayesnn_gradients": systems.gradients,
        "bayesnn_tune": tune,
        "bayesnn_target_accept": target or TARGET,
    }
    groups = {"tempering": _group(systems.rounds, problem.log_units)}
    if rungs:
        groups["rungs"] = _rungs(rungs, np.stack([r.at_rungs for r in here]) - problem.log_units)
    return Sampled(
        params=params,
        stats=_statistics(here),
        attrs=attrs,
        judge=lambda tree: _judge(tree, problem, left, ended, rhats.get(len(systems.rounds))),
        groups=groups,
    )


def expected_seconds(problem: Problem, *, draws: int, chains: int, cores: int | None = None) -> float:
    """Guess how long tempering takes where the posterior is an easy one, from the time of a gradient.

    Parameters
    ----------
    problem : Problem
        What is to be fitted, with a proper prior.
    draws, chains, cores
        As for `fit_posterior`.

    Returns
    -------
    float
        Seconds: a posterior with several modes of the function takes ten times as long and more.
    """
    density = log_density(problem, jacobian=True, collapse=collapses(problem), split=True)
    return _expected(density, draws=draws, chains=chains, cores=cores)


def _expected(density, *, draws, chains, cores):
    if not density.size:
        return 0.0
    of_gradient = seconds_of_gradient(density, density.prior_draws(np.random.default_rng(1), 20))
    iterations = (draws + TUNE) * (1 + 1 / SETTLING)
    gradients = START + iterations * TEMPERATURES * (1 + LEAPS) / 2
    return of_gradient * gradients * chains / at_once(chains, cores)


def evidence_of(rounds: Sequence[Round]) -> tuple[float, float]:
    """Mean log evidence of the systems, and its standard error.

    Parameters
    ----------
    rounds : sequence of Round
        The same round of each system.

    Returns
    -------
    value, se : float
        The error is that of the mean of autocorrelated series, one for each system, so that it grows where systems
        disagree.
    """
    import arviz as az

    series = np.stack([r.evidence.series for r in rounds])
    return float(series.mean()), float(az.mcse(series))


def _judge(tree, problem, unmet, ended, rhat):
    """Say how a run went, and warn of what it was to reach and did not."""
    attrs, last = tree.attrs, tree["tempering"].isel(round=-1)
    attrs["bayesnn_function_rhat"] = _rhat_of(function_values(problem, params_of(tree))) if rhat is None else rhat
    attrs["bayesnn_unmet"], attrs["bayesnn_ended"] = "; ".join(unmet), ended
    iterations, trips = int(last["iterations"]), last["round_trips"].to_numpy()
    attrs["bayesnn_message"] = (
        f"{attrs['bayesnn_rounds']} rounds, the last of {iterations} iterations; barrier "
        f"{float(last['barrier'].mean()):.1f}, {trips.min()} to {trips.max()} round trips; "
        f"log evidence {log_evidence(tree)}."
    )
    if ended == "interrupted":
        said = f"Tempering was interrupted: its last whole round is kept, of {iterations} iterations."
        warnings.warn(said, ConvergenceWarning, stacklevel=4)
    elif unmet:
        longer = {"rounds": " Take more rounds.", "seconds": " Raise max_seconds."}.get(ended, "")
        said = f"Tempering ended before its marks: {attrs['bayesnn_unmet']}.{longer}"
        warnings.warn(said, ConvergenceWarning, stacklevel=4)


def _rhat_of(f):
    return function_rhat(f) if f.shape[0] > 1 and f.shape[1] >= 4 else np.nan


def _unmet(rounds):
    """List what the evidence is to reach and has not reached."""
    import arviz as az

    left = []
    gaps = [abs(r.evidence.forward - r.evidence.backward) for r in rounds]
    allowed = [max(GAP, GAP_SES * float(az.mcse(r.evidence.gap[None]))) for r in rounds]
    apart = [gap for gap, most in zip(gaps, allowed, strict=True) if gap > most]
    if apart:
        left.append(f"forward and backward log evidence of {len(apart)} systems differ by up to {max(apart):.2f}")
    se = evidence_of(rounds)[1]
    if not se <= EVIDENCE_SE:
        left.append(f"the standard error of the log evidence is {se:.2g}, above {EVIDENCE_SE:g}")
    return left


def _unmet_by_function(f, rhat):
    """List what the function is to reach and has not reached, from its values and their R-hat."""
    left, (chains, draws) = [], f.shape[:2]
    if rhat > FUNCTION_RHAT:
        left.append(f"R-hat of the function is {rhat:.3f}, above {FUNCTION_RHAT:g}")
    if draws >= 4:
        ess, least = function_ess(f), min(FUNCTION_ESS, chains * draws // 4)
        if ess < least:
            left.append(f"the effective sample size of the function is {ess:.0f}, below {least}")
    return left


def _exact(problem, density, draws, chains, rng, rungs):
    """Nothing is left to sample: the output layer's draws are independent, and the evidence is known."""
    import xarray as xr

    value = float(density.many(np.empty((1, 0)))[0].sum()) - problem.log_units
    attrs = {"bayesnn_log_evidence": value, "bayesnn_log_evidence_se": 0.0, "bayesnn_gradients": 0, "bayesnn_tune": 0}

    def judge(tree):
        tree.attrs["bayesnn_unmet"], tree.attrs["bayesnn_ended"] = "", "met"
        tree.attrs["bayesnn_message"] = f"Exact draws and evidence; log evidence {log_evidence(tree)}."

    params = draw_output_layer(problem, {}, (chains, draws), rng)
    # With nothing left to vary, the collapsed likelihood is the evidence at any temperature.
    groups = {"rungs": _rungs(rungs, np.full((chains, draws, len(rungs)), value))} if rungs else {}
    return Sampled(params=params, stats=xr.Dataset(), attrs=attrs, judge=judge, groups=groups)


def _rungs(rungs, values):
    """Write the log-likelihoods (chain, iteration, rung) at the temperatures that were asked for."""
    import xarray as xr

    return xr.Dataset(
        {"log_likelihood": (("chain", "iteration", "inverse_temperature"), values)},
        coords={"chain": np.arange(len(values)), "inverse_temperature": list(rungs)},
    )


def _statistics(rounds):
    """Statistics of the draws that are kept."""
    import xarray as xr

    likelihood, prior = (np.stack([getattr(r, k) for r in rounds]) for k in ("log_likelihoods", "log_priors"))
    dims = ("chain", "draw")
    return xr.Dataset(
        {
            "lp": (dims, likelihood + prior),
            "log_likelihood": (dims, likelihood),
            "state": (dims, np.stack([r.states for r in rounds])),
        }
    )


def _group(rounds, log_units):
    """Write every round of every system, padded with NaN where a ladder has fewer temperatures."""
    import xarray as xr

    count, chains = len(rounds), len(rounds[0])
    most = max(len(r.ladder.betas) for here in rounds for r in here)
    of_temperature = {
        "inverse_temperature": lambda r: r.ladder.betas,
        "swap_rejection": lambda r: r.rejection[:-1],
        "acceptance_rate": lambda r: r.acceptance,
        "step_size": lambda r: r.steps,
        "log_likelihood": lambda r: r.log_likelihood,
    }
    of_round = {
        "barrier": lambda r: r.ladder.barrier[-1],
        "round_trips": lambda r: r.round_trips,
        "log_evidence_forward": lambda r: r.evidence.forward - log_units,
        "log_evidence_backward": lambda r: r.evidence.backward - log_units,
        "log_evidence": lambda r: r.evidence.combined - log_units,
    }
    data = {}
    for name, read in of_temperature.items():
        values = np.full((chains, count, most), np.nan)
        for j, here in enumerate(rounds):
            for i, r in enumerate(here):
                known = read(r)
                values[i, j, : len(known)] = known
        data[name] = (("chain", "round", "temperature"), values)
    for name, read in of_round.items():
        data[name] = (("chain", "round"), np.array([[read(r) for r in here] for here in rounds]).T)
    data["iterations"] = (("round",), np.array([here[0].iterations for here in rounds]))
    coords = {
        "chain": np.arange(chains),
        "round": np.arange(1, count + 1),
        "temperature": np.arange(most),
    }
    return xr.Dataset(data, coords=coords)
