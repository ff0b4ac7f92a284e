"""Chains of NUTS, by nutpie, PyMC or NumPyro: repeated while too many draws diverge, and judged."""

import threading
import warnings
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any

import numpy as np

from bayesnn.errors import ConvergenceWarning
from bayesnn.fitting.agreement import ROWS, function_rhat, function_values
from bayesnn.fitting.collapse import draw_output_layer
from bayesnn.fitting.density import log_density, slowness
from bayesnn.fitting.expense import announce_chains
from bayesnn.fitting.idle import idle_cores
from bayesnn.fitting.nuts import unknown
from bayesnn.fitting.once import Once
from bayesnn.fitting.progress import announce, compiling, tell_once
from bayesnn.fitting.remedies import noises
from bayesnn.fitting.sampled import Sampled
from bayesnn.fitting.store import Arrays, Kept
from bayesnn.fitting.tasks import LOOK, at_once, run_tasks
from bayesnn.model import model_of
from bayesnn.tree import Problem, params_of

TUNE = 1000
"""Draws of warm-up."""
TARGETS = (0.8, 0.95, 0.99)
"""Acceptance probabilities that are tried one after the other while too many draws diverge."""
DIVERGENT_MAX = 1e-3
"""Largest share of divergent draws that does not make a run be repeated."""


def sample_chains(
    problem: Problem,
    *,
    sampler: str,
    collapse: bool,
    draws: int,
    tune: int | None,
    chains: int,
    cores: int | None,
    rng: np.random.Generator,
    target: float | None,
    adaptation: str | None,
    progressbar: bool,
    executor: Executor | None = None,
    kept: Kept | None = None,
) -> Sampled:
    """Sample a posterior by NUTS; see `fit_posterior`.

    Parameters
    ----------
    problem : Problem
        What is to be fitted, with a proper prior.
    sampler, collapse, draws, tune, chains, cores, rng, target, adaptation, progressbar, executor
        As for `fit_posterior`, checked.
    kept : Kept, optional
        Keeps each chain.

    Returns
    -------
    Sampled
        Draws and statistics.
    """
    import xarray as xr

    from bayesnn.ops.threads import threads_of

    seed = int(rng.integers(2**31))
    tune, adaptation = TUNE if tune is None else tune, adaptation or "diag"
    params: dict[str, np.ndarray] = {}
    stats, kept_at, tried, ended = xr.Dataset(), None, {}, "draws"
    # Otherwise nothing is left to sample: the exact draws below are independent.
    if problem.net.hidden or problem.net.noise_prior is not None or not collapse:
        options: dict[str, Any] = {"draws": draws, "tune": tune}
        if sampler == "nutpie":
            options["adaptation"] = adaptation
        targets = TARGETS if target is None else (target,)
        with compiling(show=progressbar):
            for line in (slowness(problem.net), unknown()) if sampler == "nutpie" else ():
                tell_once(line, show=progressbar)
            # A user's executor has as many workers as cores.
            threads = min(threads_of(chains, cores), idle_cores()) if executor is None else 1
            once = Once(_ready, problem, collapse, sampler, threads)
            if executor is None:
                _announce(problem, once.get()[0], draws + tune, chains, cores, progressbar)
            if executor is None and kept is None:
                options |= {"seed": seed, "chains": chains, "cores": cores, "progressbar": progressbar}
                sample = partial(once.get()[0], **options)
            else:
                seeds = np.random.default_rng(seed).integers(2**31, size=chains).tolist()
                apart = {"executor": executor, "cores": cores, "kept": kept, "progressbar": progressbar}
                sample = partial(_chain_by_chain, once, seeds, options, **apart)
            params, stats, kept_at, tried, ended = _repeat(sample, draws, chains, targets, progressbar)
    if collapse:
        known = next(iter(params.values())).shape[:2] if params else (chains, draws)
        params = draw_output_layer(problem, params, known, rng)
    return Sampled(
        params=params,
        stats=stats,
        attrs={"bayesnn_adaptation": adaptation, "bayesnn_tune": tune, "bayesnn_ended": ended},
        judge=lambda tree: _judge(tree, problem, kept_at, tried, repeats=target is None),
    )


def _announce(problem, sample, draws, chains, cores, show):
    """Say that the chains will take hours, if that is known."""
    from bayesnn.ops.threads import cores as available

    density = getattr(sample, "density", None)
    if density is not None and show:
        most = min(chains, cores or available())
        announce_chains(problem, density, draws=draws, chains=chains, at_once=most, show=show)


def _repeat(sample, draws, chains, targets, progressbar):
    """Sample at the first target, and at the next while too many draws diverge; keep the run with the fewest.

    An interruption ends it: of the first run it leaves the draws so far, of a repetition the runs before.

    Parameters
    ----------
    sample : callable
        From a target to parameters and statistics; draws that an interruption has left empty are NaN, and chains that
        it has left out are missing.
    draws, chains : int
        Draws of each chain, and chains, that were asked for.
    targets : sequence of float
        Acceptance probabilities.
    progressbar : bool
        Whether to say that a run is repeated.

    Returns
    -------
    params, stats, target
        Of the run that is kept.
    dict of float to int
        Number of divergences at each target.
    ended : str
        "draws", or "interrupted".
    """
    best, tried, ended = None, {}, "draws"
    for again, target in enumerate(targets):
        try:
            params, stats, kept = _complete(*sample(target))
            here = stats.sizes["chain"]
        except KeyboardInterrupt:
            if best is None:
                raise
            kept = here = 0
        cut = kept < draws or here < chains
        if cut:
            ended = "interrupted"
            some = f"{here} of {chains} chains" if here < chains else f"{kept} of {draws} draws of each chain"
            left = f"{some} are kept" if best is None else "the run before it is kept"
            what = f"The repetition at target_accept={target:g}" if again else "Sampling"
            warnings.warn(f"{what} was interrupted: {left}.", ConvergenceWarning, stacklevel=4)
            if best is not None:
                break
        diverged, total = int(stats["diverging"].sum()), stats["diverging"].size
        if best is None or diverged <= tried[best[0]]:
            best = target, params, stats
        tried[target] = diverged
        if cut or diverged <= DIVERGENT_MAX * total:
            break
        if again + 1 < len(targets):
            announce(
                f"{diverged} of {total} draws diverged at target_accept={target:g}: sampling again at "
                f"{targets[again + 1]:g}.",
                show=progressbar,
            )
    target, params, stats = best
    return params, stats, target, tried, ended


def _complete(params, stats):
    """Keep the draws that every chain has, and count them: an interrupted sampler leaves others empty."""
    first = next(iter(params.values()))
    complete = ~np.isnan(first).any(axis=(0, *range(2, first.ndim)))
    stats = _statistics(stats.isel(draw=np.flatnonzero(complete)))
    return {k: v[:, complete] for k, v in params.items()}, stats, int(complete.sum())


def _statistics(stats):
    """Pick the statistics that every sampler has, under one name each."""
    import xarray as xr

    names = {
        "diverging": ("diverging",),
        "energy": ("energy",),
        "lp": ("lp", "logp"),
        "tree_depth": ("tree_depth", "depth"),
        "reached_max_treedepth": ("reached_max_treedepth", "maxdepth_reached"),
        "n_steps": ("n_steps",),
        "step_size": ("step_size",),
        "acceptance_rate": ("acceptance_rate", "mean_tree_accept"),
    }
    found = {name: next((stats[k] for k in known if k in stats), None) for name, known in names.items()}
    return xr.Dataset(
        {k: (("chain", "draw"), v.transpose("chain", "draw").to_numpy()) for k, v in found.items() if v is not None}
    )


def _chain_by_chain(once, seeds, options, target, *, executor, cores, kept, progressbar):
    """Sample chains that do not know of each other, anywhere, with a seed each; give those that are there."""
    import xarray as xr

    tasks: dict[Any, tuple[Any, ...]] = {
        ("chain", f"{target:g}", k): (sample_chain, once, seed, target, options) for k, seed in enumerate(seeds)
    }
    # Other samplers than nutpie can't be stopped in a thread.
    threads = executor is None and once.arguments[2] == "nutpie"
    with ThreadPoolExecutor(at_once(len(seeds), cores)) if threads else nullcontext(executor) as pool:
        ran = run_tasks(tasks, pool, label=f"{len(seeds)} chains", progressbar=progressbar, kept=kept)
        if threads and len(ran.done) < len(tasks):
            once.get()[1].set()
    if ran.failed or not ran.done:
        ran.give_up()
    chains = list(ran.done.values())
    parts = {name: np.stack([chain[name] for chain in chains]) for name in chains[0]}
    params = {name.removeprefix("param."): v for name, v in parts.items() if name.startswith("param.")}
    stats = {name.removeprefix("stat."): v for name, v in parts.items() if name.startswith("stat.")}
    return params, xr.Dataset({name: (("chain", "draw"), v) for name, v in stats.items()})


def sample_chain(once: Once, seed: int, target: float, **options: Any) -> Arrays:
    """Sample one chain of NUTS, in any process.

    Parameters
    ----------
    once : Once
        Makes the function that samples.
    seed : int
        Of this chain.
    target : float
        Acceptance probability.
    **options
        Draws, warm-up, and what else the sampler takes.

    Returns
    -------
    dict of str to array (draw, ...)
        Parameters and statistics, ``param.W1``, ``stat.energy``.

    Raises
    ------
    KeyboardInterrupt
        It was cut short.
    """
    sample, stop = once.get()
    alone = {"chains": 1, "cores": 1, "progressbar": False, "stop": stop}
    params, stats, kept = _complete(*sample(target, seed=seed, **alone, **options))
    if kept < options["draws"]:
        raise KeyboardInterrupt
    return {f"param.{name}": value[0] for name, value in params.items()} | {
        f"stat.{name}": value.to_numpy()[0] for name, value in stats.items()
    }


def _ready(problem, collapse, sampler, threads):
    """Make what every chain of a process needs: the function that samples, and what stops it."""
    return SAMPLERS[sampler](problem, collapse, sampler, threads), threading.Event()


def _nutpie(problem, collapse, sampler, threads):
    """Compile for nutpie; the value samples at a target and gives parameters and statistics."""
    import nutpie

    from bayesnn.fitting.nuts import compile_flat

    density = log_density(problem, jacobian=True, collapse=collapse, threads=threads)
    compiled = compile_flat(density)

    def sample(target, *, progressbar, stop=None, **options):
        options |= {"target_accept": target, "save_warmup": False, "progress_bar": progressbar}
        if stop is None or threading.current_thread() is threading.main_thread():
            found = nutpie.sample(compiled, **options)
        else:
            # Nobody's key ends a sampler in another thread.
            running = nutpie.sample(compiled, blocking=False, **options)
            found = None
            while found is None:
                if stop.is_set():
                    running.cancel()
                    raise KeyboardInterrupt
                with suppress(TimeoutError):
                    found = running.wait(timeout=LOOK)
        theta = found["posterior"]["theta"].transpose("chain", "draw", ...).to_numpy()
        return density.unpack(theta), found["sample_stats"].to_dataset()

    sample.density = density
    return sample


def _pymc(problem, collapse, sampler, threads):
    """Build the model for PyMC or NumPyro; the value is as that of `_nutpie`."""
    import pymc as pm

    model = model_of(problem, collapse=collapse)

    def sample(target, *, seed, chains, progressbar, stop=None, **options):
        nuts = {}
        if sampler == "numpyro":
            import jax

            # JAX counts its devices once: with fewer of them than chains, the chains run side by side on one.
            nuts["chain_method"] = "parallel" if jax.local_device_count() >= chains else "vectorized"
        found = pm.sample(
            model=model,
            nuts_sampler=sampler,
            nuts={**nuts, "target_accept": target},
            random_seed=seed,
            chains=chains,
            progressbar=progressbar,
            quiet=not progressbar,
            var_names=[rv.name for rv in model.free_RVs],
            compute_convergence_checks=False,
            **options,
        )
        posterior = found["posterior"].to_dataset()
        params = {str(k): v.transpose("chain", "draw", ...).to_numpy() for k, v in posterior.data_vars.items()}
        stats = found["sample_stats"].to_dataset()
        # NumPyro's lp is the potential energy, the negative of everyone else's.
        return params, stats.assign(lp=-stats["lp"]) if sampler == "numpyro" else stats

    return sample


def _judge(tree, problem, target, tried, *, repeats):
    """Say how the run went, and warn of what makes the function itself untrustworthy.

    Disagreement about the weights alone is symmetry.
    """
    total = tree["posterior"].sizes["chain"] * tree["posterior"].sizes["draw"]
    diverging = tried.get(target, 0)
    tree.attrs["bayesnn_divergences"] = diverging
    said = f"{diverging} of {total} draws diverged"
    if tried:
        tree.attrs["bayesnn_target_accept"] = target
        first, *others = tried.items()
        said = f"{first[1]} of {total} draws diverged at target_accept={first[0]:g}"
        said += "".join(f", {count} at {other:g}" for other, count in others)
        said += f"; the run at {target:g} is kept" if others else ""
    tree.attrs["bayesnn_message"] = f"{said}."
    if diverging:
        higher = [t for t in TARGETS if t > max(tried)]
        if not higher:
            remedy = _calmer(problem)
        elif not repeats:
            remedy = f"Raise it to target_accept={higher[0]:g}, or leave it out: the run is then repeated by itself."
        elif diverging <= DIVERGENT_MAX * total:
            remedy = f"So few make no repetition; target_accept={higher[0]:g} shows whether they go."
        else:
            remedy = f"Raise it to target_accept={higher[0]:g}."
        warnings.warn(f"{said}: the sampler missed a narrow region. {remedy}", ConvergenceWarning, stacklevel=4)
    if tree["posterior"].sizes["chain"] < 2 or tree["posterior"].sizes["draw"] < 4:
        return
    rhat = function_rhat(function_values(problem, params_of(tree)))
    tree.attrs["bayesnn_function_rhat"] = rhat
    longer = max(1000, 4 * tree["posterior"].sizes["draw"])
    if rhat > 1.05:
        rows = min(ROWS, len(problem.X))
        warnings.warn(
            f"The chains disagree about the function (R-hat {rhat:.2f} at the worst of {rows} training inputs): "
            f"predictions are not to be trusted. Take draws={longer} and tune={longer}; chains that still disagree are "
            "in different modes, which sampler='tempering' weighs, see bnn.diagnose(post).",
            ConvergenceWarning,
            stacklevel=4,
        )


def _calmer(problem):
    """Say what makes a posterior without the narrow region in which draws diverge at every target."""
    net, ways = problem.net, []
    if net.noise_prior is not None and not net.noise_prior.repels_zero:
        ways.append(f"keep the noise from zero, {' or '.join(noises(problem))}")
    if net.prior.has_learned_scale:
        ways.append("fix the prior's scale, prior=bnn.Normal(1.0)")
    remedy = "; and ".join(ways) or "use a narrower prior"
    return f"{remedy[0].upper()}{remedy[1:]}."


SAMPLERS: dict[str, Callable] = {"nutpie": _nutpie, "pymc": _pymc, "numpyro": _pymc}
"""Each takes what is to be sampled, and gives a function from a target to parameters and statistics."""
