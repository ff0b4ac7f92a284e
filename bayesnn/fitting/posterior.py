"""The posterior: NUTS on the model's density, by nutpie, PyMC or NumPyro; or tempering, which weighs its modes."""

import time
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import Seed, check_arguments, rng_of
from bayesnn.errors import ConvergenceWarning, ImproperPriorError, SpecError, UnknownNameError
from bayesnn.fitting.agreement import ROWS, function_rhat
from bayesnn.fitting.collapse import draw_output_layer
from bayesnn.fitting.density import has_kernels, log_density, slowness
from bayesnn.fitting.progress import announce, compiling, tell_once
from bayesnn.fitting.remedies import noises
from bayesnn.fitting.tempered import judge_tempered, temper
from bayesnn.model import collapsible, model_of
from bayesnn.network import MLP
from bayesnn.tree import Inputs, ScalingChoice, make_tree, params_of, prepare, to_dataset

if TYPE_CHECKING:
    import xarray as xr


SAMPLERS = ("nutpie", "pymc", "numpyro", "tempering")
ADAPTATIONS = ("diag", "low_rank")
TUNE = 1000
"""Draws of warm-up of NUTS."""
TARGETS = (0.8, 0.95, 0.99)
"""Acceptance probabilities that are tried one after the other while too many draws diverge."""
DIVERGENT_MAX = 1e-3
"""Largest share of divergent draws that does not make a run be repeated."""


def fit_posterior(
    net: MLP,
    X: Inputs,
    y: ArrayLike | None = None,
    *,
    draws: int = 1000,
    tune: int | None = None,
    chains: int = 4,
    cores: int | None = None,
    sampler: Literal["nutpie", "pymc", "numpyro", "tempering"] = "nutpie",
    random_seed: Seed = None,
    target_accept: float | None = None,
    adaptation: Literal["diag", "low_rank"] | None = None,
    rounds: int | None = None,
    max_rounds: int | None = None,
    max_seconds: float | None = None,
    scaling: ScalingChoice = None,
    collapse: bool | None = None,
    log_likelihood: bool = False,
    log_prior: bool = False,
    progressbar: bool = True,
) -> "xr.DataTree":
    r"""Draw from the posterior, :math:`p(\theta \mid y) \propto p(y \mid \theta)\, p(\theta)`, by NUTS.

    A network's posterior has at least as many modes as its symmetry group has elements. Chains that settle in
    different mirror images disagree about the weights (R-hat far above 1) and agree about the function:
    `bnn.diagnose` tells that case from a failure. This function warns only if the chains disagree about the
    function itself, or diverge.

    Parameters
    ----------
    net : MLP
        The network, with a proper prior.
    X : array (n, p), DataFrame or Dataset
        Inputs. A Dataset brings its training targets, names and scaling.
    y : array (n,) or (n, K), optional
        Targets; left out when `X` is a Dataset.
    draws, tune : int
        Draws to keep and to warm up with, for each chain.
    chains : int
        Number of chains, each started from its own draw from the prior.
    cores : int, optional
        Chains run at a time; None takes as many as the machine has.
    sampler : {"nutpie", "pymc", "numpyro"}
        Which implementation of NUTS to use.
    random_seed : int or numpy.random.Generator, optional
        Seed of starts and draws, or whatever else `numpy.random.default_rng` takes.
    target_accept : float, optional
        Mean acceptance probability that the step size is tuned to: the higher, the shorter and the more costly the
        steps, and the narrower the regions that they enter. None starts at 0.8 and, where more than 1 draw in 1,000
        diverges, samples again at 0.95 and then at 0.99, and keeps the run with the fewest divergences;
        ``bayesnn_message`` says so. A number is obeyed.
    adaptation : {"diag", "low_rank"}
        Form of the mass matrix. ``"low_rank"`` (nutpie only) learns correlations too. Where a chain stays in one
        mirror image of a few units it needs several times fewer gradients; where it wanders from one image to
        another it is slower. Its longer steps diverge now and then: give it a `target_accept` of 0.97.
    scaling : None, "standard", False or Scaling
        As for `fit_mle`.
    collapse : bool, optional
        Integrate the output layer out, sample the rest, and draw the output layer from its exact normal
        distribution given the rest: the same posterior, from far fewer gradients. It is exact for squared error
        under normal priors of fixed scale, where None chooses it. The attribute ``bayesnn_collapsed`` says what was
        done; ``lp`` and ``energy`` are then those of the marginal density.
    log_likelihood : bool
        Keep each observation's log-likelihood, for `arviz.loo`: of densities in the user's units, as `score` has them.
    log_prior : bool
        Keep each draw's log-prior, for `arviz.psense_summary`.
    progressbar : bool
        Show progress.

    Returns
    -------
    xarray.DataTree
        ``posterior``, ``sample_stats``, ``observed_data``, ``constant_data``; interrupted by the keyboard, the
        draws so far, and in a repetition the whole run before it. The attributes ``bayesnn_target_accept``,
        ``bayesnn_divergences``, ``bayesnn_function_rhat`` and ``bayesnn_message`` say how the run went that is kept.
        ``lp`` and ``energy`` in ``sample_stats`` are the sampler's own: of scaled data, and of the logarithm of the
        noise.

    Raises
    ------
    ImproperPriorError
        A flat prior: its posterior need not be a distribution.
    SpecError, DataError
        An argument or data that break a rule, before anything is compiled.

    Warns
    -----
    ConvergenceWarning
        Divergent transitions, or an R-hat of the function above 1.05.

    References
    ----------
    M. D. Hoffman and A. Gelman, "The No-U-Turn Sampler", Journal of Machine Learning Research 15 (2014).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> net = bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(1.0))
    >>> post = bnn.fit_posterior(net, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0], random_seed=1, progressbar=False)
    >>> dict(post.posterior["W1"].sizes)
    {'chain': 4, 'draw': 1000, 'feature': 1, 'output': 1}
    """
    import xarray as xr

    if sampler not in SAMPLERS:
        raise UnknownNameError("sampler", sampler, SAMPLERS)
    check_arguments(
        draws=draws,
        tune=tune,
        chains=chains,
        cores=cores,
        target_accept=target_accept,
        rounds=rounds,
        max_rounds=max_rounds,
        max_seconds=max_seconds,
        collapse=collapse,
        log_likelihood=log_likelihood,
        log_prior=log_prior,
        progressbar=progressbar,
    )
    rng = rng_of(random_seed)
    _check_meant(sampler, adaptation=adaptation, rounds=rounds, max_rounds=max_rounds, max_seconds=max_seconds)
    problem = prepare(net, X, y, scaling=scaling)
    check_proper(net)
    if collapse is None:
        collapse = collapsible(net) and has_kernels(net)
    elif collapse and not (collapsible(net) and has_kernels(net)):
        raise SpecError(
            f"Got collapse=True with loss {net.loss.name!r}, prior {net.prior!r}; the output layer can be integrated "
            "out for squared error under Normal priors only. Leave collapse out."
        )
    began = time.perf_counter()
    seed = int(rng.integers(2**31))
    draws, chains, cores = int(draws), int(chains), None if cores is None else int(cores)
    target = None if target_accept is None else float(target_accept)
    groups, attrs, tempered = {}, {}, None
    if sampler == "tempering":
        tempered = temper(
            problem,
            collapse=collapse,
            draws=draws,
            tune=None if tune is None else int(tune),
            chains=chains,
            cores=cores,
            seed=seed,
            target=target,
            rounds=None if rounds is None else int(rounds),
            max_rounds=None if max_rounds is None else int(max_rounds),
            max_seconds=max_seconds,
            progressbar=progressbar,
        )
        params, stats, kept_at, tried = tempered.params, tempered.stats, None, {}
        groups, attrs = {"tempering": tempered.group}, tempered.attrs
    else:
        attrs = {"bayesnn_tune": TUNE if tune is None else int(tune), "bayesnn_adaptation": adaptation or "diag"}
        params, stats, kept_at, tried = {}, xr.Dataset(), None, {}
        # Otherwise nothing is left to sample: the exact draws below are independent.
        if net.hidden or net.noise_prior is not None or not collapse:
            options: dict[str, Any] = {"draws": draws, "tune": attrs["bayesnn_tune"], "chains": chains, "cores": cores}
            if sampler == "nutpie":
                options["adaptation"] = attrs["bayesnn_adaptation"]
            with compiling(show=progressbar):
                start = _nutpie if sampler == "nutpie" else _pymc
                sample = start(problem, collapse, sampler, seed, progressbar, options)
                params, stats, kept_at, tried = _repeat(
                    sample, draws, TARGETS if target is None else (target,), progressbar
                )
        if collapse:
            kept = next(iter(params.values())).shape[1] if params else draws
            params = draw_output_layer(problem, params, (chains, kept), rng)
    batch = {"chain": np.arange(chains), "draw": np.arange(next(iter(params.values())).shape[1])}
    tree = make_tree(
        "posterior",
        problem,
        to_dataset({name: params[name] for name in _order(params)}, problem, batch),
        groups={"sample_stats": stats.assign_coords(batch), **groups},
        attrs={
            "bayesnn_sampler": sampler,
            "bayesnn_collapsed": int(collapse),
            "sampling_time": time.perf_counter() - began,
            **attrs,
        },
    )
    _add_log_densities(tree, problem, log_likelihood=log_likelihood, log_prior=log_prior)
    if tempered is not None:
        judge_tempered(tree, problem, tempered)
    else:
        _judge(tree, problem, kept_at, tried, repeats=target_accept is None)
    return tree


def check_proper(net: MLP) -> None:
    """Refuse a network whose priors do not integrate to one.

    Parameters
    ----------
    net : MLP
        The network.

    Raises
    ------
    ImproperPriorError
        Its weights, its biases or its noise have a flat prior.
    """
    if net.proper:
        return
    flat: dict[str, Any] = {"prior": net.prior} if not net.prior.proper else {}
    if net.noise_prior is not None and not net.noise_prior.proper:
        flat["noise"] = net.noise_prior
    proper = {"prior": "prior=bnn.Normal(1.0)", "noise": "noise=bnn.HalfNormal(1.0)"}
    raise ImproperPriorError(
        f"Got {', '.join(f'{name}={value!r}' for name, value in flat.items())}: a flat prior does not integrate to "
        f"one, and the posterior need not either. Use {' and '.join(proper[name] for name in flat)}; or fit_map, "
        "which needs a maximum only."
    )


def _check_meant(sampler, *, adaptation, **of_tempering):
    """Refuse arguments of another sampler."""
    if adaptation is not None and adaptation not in ADAPTATIONS:
        raise UnknownNameError("adaptation", adaptation, ADAPTATIONS)
    if sampler == "tempering" and adaptation is not None:
        raise SpecError(
            f"Got adaptation={adaptation!r} with sampler='tempering', which has no mass matrix to choose. Leave it out."
        )
    if adaptation == "low_rank" and sampler != "nutpie":
        raise SpecError(f"Got adaptation='low_rank' with sampler={sampler!r}; only nutpie has it. Leave sampler out.")
    for name, value in of_tempering.items():
        if sampler != "tempering" and value is not None:
            raise SpecError(
                f"Got {name}={value!r} with sampler={sampler!r}, which has no rounds. Leave it out, or take "
                "sampler='tempering'."
            )
    if of_tempering["rounds"] is not None and of_tempering["max_rounds"] is not None:
        raise SpecError(
            f"Got rounds={of_tempering['rounds']} and max_rounds={of_tempering['max_rounds']}; rounds is their number, "
            "max_rounds a bound where the run itself says when it is done. Leave one out."
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
    """
    best, tried = None, {}
    for again, target in enumerate(targets):
        try:
            params, stats, kept = _complete(*sample(target))
        except KeyboardInterrupt:
            if best is None:
                raise
            kept = 0
        if kept < draws:
            left = f"{kept} of {draws} draws of each chain are kept" if best is None else "the run before it is kept"
            what = f"The repetition at target_accept={target:g}" if again else "Sampling"
            warnings.warn(f"{what} was interrupted: {left}.", ConvergenceWarning, stacklevel=3)
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
    return params, stats, target, tried


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


def _order(params):
    """Layer by layer, then the rest."""
    return sorted(params, key=lambda k: (0, int(k[1:]), k[0]) if k[0] in "Wb" else (1, 0, k))


def _nutpie(problem, collapse, sampler, seed, progressbar, options):
    """Compile for nutpie; the value samples at a target and gives parameters and statistics."""
    import nutpie

    from bayesnn.fitting.nuts import compile_flat

    tell_once(slowness(problem.net), show=progressbar)
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


def _add_log_densities(tree, problem, *, log_likelihood, log_prior):
    import xarray as xr

    params = params_of(tree)
    batch = {k: tree["posterior"][k] for k in ("chain", "draw")}
    if log_likelihood:
        values = problem.net.log_likelihood(params, problem.X, problem.y) - problem.log_y_sd
        obs = tree["observed_data"]["obs"]
        tree["log_likelihood"] = xr.DataTree(
            xr.Dataset({"y": (("chain", "draw", "obs"), values)}, coords={**batch, "obs": obs})
        )
    if log_prior:
        values = problem.net.log_prior(params)
        tree["log_prior"] = xr.DataTree(xr.Dataset({"parameters": (("chain", "draw"), values)}, coords=batch))


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
        warnings.warn(f"{said}: the sampler missed a narrow region. {remedy}", ConvergenceWarning, stacklevel=3)
    if tree["posterior"].sizes["chain"] < 2 or tree["posterior"].sizes["draw"] < 4:
        return
    rhat = function_rhat(problem, params_of(tree))
    tree.attrs["bayesnn_function_rhat"] = rhat
    longer = max(1000, 4 * tree["posterior"].sizes["draw"])
    if rhat > 1.05:
        warnings.warn(
            f"The chains disagree about the function (R-hat {rhat:.2f} at the worst of {min(ROWS, len(problem.X))} "
            f"training inputs): predictions are not to be trusted. Take draws={longer} and tune={longer}; chains that still disagree are "
            "in different modes, see bnn.diagnose(post).",
            ConvergenceWarning,
            stacklevel=3,
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
