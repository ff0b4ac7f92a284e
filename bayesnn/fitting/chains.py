"""Chains of NUTS, by nutpie, PyMC or NumPyro: repeated while too many draws diverge, and judged."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.errors import ConvergenceWarning
from bayesnn.fitting.agreement import ROWS, function_rhat, function_values
from bayesnn.fitting.collapse import draw_output_layer
from bayesnn.fitting.density import log_density, slowness
from bayesnn.fitting.progress import announce, compiling, tell_once
from bayesnn.fitting.remedies import noises
from bayesnn.fitting.sampled import Sampled
from bayesnn.model import model_of
from bayesnn.tree import Problem, params_of

if TYPE_CHECKING:
    pass

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
) -> Sampled:
    """Sample a posterior by NUTS; see `fit_posterior`.

    Parameters
    ----------
    problem : Problem
        What is to be fitted, with a proper prior.
    sampler, collapse, draws, tune, chains, cores, rng, target, adaptation, progressbar
        As for `fit_posterior`, checked.

    Returns
    -------
    Sampled
        Draws and statistics.
    """
    import xarray as xr

    seed = int(rng.integers(2**31))
    tune, adaptation = TUNE if tune is None else tune, adaptation or "diag"
    params: dict[str, np.ndarray] = {}
    stats, kept_at, tried, ended = xr.Dataset(), None, {}, "draws"
    # Otherwise nothing is left to sample: the exact draws below are independent.
    if problem.net.hidden or problem.net.noise_prior is not None or not collapse:
        options: dict[str, Any] = {"draws": draws, "tune": tune, "chains": chains, "cores": cores}
        if sampler == "nutpie":
            options["adaptation"] = adaptation
        with compiling(show=progressbar):
            sample = SAMPLERS[sampler](problem, collapse, sampler, seed, progressbar, options)
            targets = TARGETS if target is None else (target,)
            params, stats, kept_at, tried, ended = _repeat(sample, draws, targets, progressbar)
    if collapse:
        kept = next(iter(params.values())).shape[1] if params else draws
        params = draw_output_layer(problem, params, (chains, kept), rng)
    return Sampled(
        params=params,
        stats=stats,
        attrs={"bayesnn_adaptation": adaptation, "bayesnn_tune": tune, "bayesnn_ended": ended},
        judge=lambda tree: _judge(tree, problem, kept_at, tried, repeats=target is None),
    )


def _repeat(sample, draws, targets, progressbar):
    """Sample at the first target, and at the next while too many draws diverge; keep the run with the fewest.

    An interruption ends it: of the first run it leaves the draws so far, of a repetition the runs before.

    Parameters
    ----------
    sample : callable
        From a target to parameters and statistics; draws that an interruption has left empty are NaN.
    draws : int
        Draws of each chain that were asked for.
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
        except KeyboardInterrupt:
            if best is None:
                raise
            kept = 0
        if kept < draws:
            ended = "interrupted"
            left = f"{kept} of {draws} draws of each chain are kept" if best is None else "the run before it is kept"
            what = f"The repetition at target_accept={target:g}" if again else "Sampling"
            warnings.warn(f"{what} was interrupted: {left}.", ConvergenceWarning, stacklevel=4)
            if best is not None:
                break
        diverged, total = int(stats["diverging"].sum()), stats["diverging"].size
        if best is None or diverged <= tried[best[0]]:
            best = target, params, stats
        tried[target] = diverged
        if kept < draws or diverged <= DIVERGENT_MAX * total:
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


def _nutpie(problem, collapse, sampler, seed, progressbar, options):
    """Compile for nutpie; the value samples at a target and gives parameters and statistics."""
    import nutpie

    from bayesnn.fitting.nuts import compile_flat, unknown

    tell_once(slowness(problem.net), show=progressbar)
    tell_once(unknown(), show=progressbar)
    density = log_density(problem, jacobian=True, collapse=collapse)
    compiled = compile_flat(density)

    def sample(target):
        found = nutpie.sample(
            compiled, seed=seed, target_accept=target, save_warmup=False, progress_bar=progressbar, **options
        )
        theta = found["posterior"]["theta"].transpose("chain", "draw", ...).to_numpy()
        return density.unpack(theta), found["sample_stats"].to_dataset()

    return sample


def _pymc(problem, collapse, sampler, seed, progressbar, options):
    """Build the model for PyMC or NumPyro; the value is as that of `_nutpie`."""
    import pymc as pm

    model, nuts = model_of(problem, collapse=collapse), {}
    if sampler == "numpyro":
        import jax

        # JAX counts its devices once: with fewer of them than chains, the chains run side by side on one.
        nuts["chain_method"] = "parallel" if jax.local_device_count() >= options["chains"] else "vectorized"

    def sample(target):
        found = pm.sample(
            model=model,
            nuts_sampler=sampler,
            nuts={**nuts, "target_accept": target},
            random_seed=seed,
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
