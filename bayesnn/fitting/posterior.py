"""The posterior: NUTS on the model's density, by nutpie, PyMC or NumPyro; or tempering, which weighs its modes."""

import time
from collections.abc import Sequence
from concurrent.futures import Executor
from importlib.util import find_spec
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

import bayesnn
from bayesnn.arguments import Seed, call_of, check_arguments, check_name, rng_of
from bayesnn.errors import ImproperPriorError, SpecError
from bayesnn.fitting import chains as nuts
from bayesnn.fitting.density import collapses
from bayesnn.fitting.expense import check_memory
from bayesnn.fitting.store import Store, fingerprint, seed_of
from bayesnn.fitting.tasks import check_executor
from bayesnn.fitting.tempered import temper
from bayesnn.network import MLP
from bayesnn.tree import Inputs, Problem, ScalingChoice, make_tree, params_of, prepare, save_fit, to_dataset

if TYPE_CHECKING:
    import xarray as xr


SAMPLERS = (*nuts.SAMPLERS, "tempering")
ADAPTATIONS = ("diag", "low_rank")


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
    rungs: Sequence[float] = (),
    scaling: ScalingChoice = None,
    collapse: bool | None = None,
    log_likelihood: bool = False,
    log_prior: bool = False,
    store: str | Path | None = None,
    executor: Executor | None = None,
    progressbar: bool = True,
) -> "xr.DataTree":
    r"""Draw from the posterior, :math:`p(\theta \mid y) \propto p(y \mid \theta)\, p(\theta)`, by NUTS or by tempering.

    A network's posterior has at least as many modes as its symmetry group has elements. Chains that settle in
    different mirror images disagree about the weights (R-hat far above 1) and agree about the function:
    `bnn.diagnose` tells that case from a failure. This function warns only if the chains disagree about the
    function itself, or diverge.

    Chains of NUTS cannot weigh modes of the function that they don't cross, nor tell of a mode that none of them has
    found. Tempering can, and estimates the evidence :math:`p(y)` on the way: `bnn.log_evidence`.

    Parameters
    ----------
    net : MLP
        The network, with a proper prior.
    X : array (n, p), DataFrame or Dataset
        Inputs. A Dataset brings its training targets, names and scaling.
    y : array (n,) or (n, K), optional
        Targets, plain or from `bnn.target`; left out when `X` is a Dataset.
    draws : int
        Draws to keep of each chain.
    tune : int, optional
        Draws to warm up with, for each chain: None takes 1,000 for NUTS, and 500 iterations for tempering.
    chains : int
        Number of chains, each started from its own draw from the prior. Of tempering each is the cold end of its own
        system of temperatures.
    cores : int, optional
        Chains run at a time; None takes as many as the machine has.
    sampler : {"nutpie", "pymc", "numpyro", "tempering"}
        Which implementation of NUTS to use, or non-reversible parallel tempering.
    random_seed : int or numpy.random.Generator, optional
        Seed of starts and draws, or whatever else `numpy.random.default_rng` takes.
    target_accept : float, optional
        Mean acceptance probability that the step size is tuned to: the higher, the shorter and the more costly the
        steps, and the narrower the regions that they enter. None starts at 0.8 and, where more than 1 draw in 1,000
        diverges, samples again at 0.95 and then at 0.99, and keeps the run with the fewest divergences;
        ``bayesnn_message`` says so. A number is obeyed. For tempering None means 0.75.
    adaptation : {"diag", "low_rank"}, optional
        Form of the mass matrix of NUTS; None means ``"diag"``. ``"low_rank"`` (nutpie only) learns correlations too.
        Where a chain stays in one mirror image of a few units it needs several times fewer gradients; where it wanders
        from one image to another it is slower. Its longer steps diverge now and then: give it a `target_accept` of
        0.97.
    rounds : int, optional
        Rounds of tempering: the first has as many iterations as `draws`, each further one twice as many as the one
        before, and the draws are those of the last, evenly spaced. None adds rounds until, for each system, forward
        and backward log evidence agree (within 0.3, or 3 standard errors), the standard error of the log evidence is
        at most 0.2, R-hat of the function at most 1.01 and its effective sample size at least 400.
    max_rounds : int, optional
        At most so many rounds are added; None means 5. What was not reached by then is said.
    max_seconds : float, optional
        A round that would end later than this is not begun; the last takes the time that is left.
    rungs : sequence of float, optional
        Inverse temperatures between 0 and 1 that every ladder of tempering is to have, beside those that it finds: the
        log-likelihood of each iteration there is kept.
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
    store : path, optional
        Folder in which each finished chain of NUTS, or round of each system of tempering, is kept at once. Stopped,
        by the keyboard or otherwise, and called again, the fit takes up what is missing, and its draws are those of a
        run that nothing disturbed. The fit itself is kept there as ``fit.nc``, for `load_fit`.
    executor : concurrent.futures.Executor, optional
        Where chains or systems run, such as ``ProcessPoolExecutor(2)``, or ``client.get_executor()`` of a Dask
        cluster; it is left open. The draws are the same with any number of workers. With an executor or a store each
        chain of NUTS has a seed of its own; without them the chains share one, and their draws are others.
    progressbar : bool
        Show progress.

    Returns
    -------
    xarray.DataTree
        ``posterior``, ``sample_stats``, ``observed_data``, ``constant_data``; interrupted by the keyboard, the
        draws so far, in a repetition the whole run before it, and of tempering the last whole round. The attributes
        ``bayesnn_target_accept``, ``bayesnn_divergences``, ``bayesnn_function_rhat`` and ``bayesnn_message`` say how
        the run went that is kept.
        ``lp`` and ``energy`` in ``sample_stats`` are the sampler's own: of scaled data, and of the logarithm of the
        noise. Tempering adds ``tempering``, with the dimensions chain, round and temperature: inverse temperature,
        rejection of swaps with the next colder temperature, acceptance, step size, mean log-likelihood; barrier (the
        sum of the rejections), round trips between prior and posterior, and the log evidence forward, backward and
        combined. The attributes ``bayesnn_log_evidence``, ``bayesnn_log_evidence_se`` are in the user's units, and
        ``bayesnn_unmet`` says what the run was to reach and did not. With `rungs` there is a group ``rungs``, with
        ``log_likelihood`` (chain, iteration, inverse_temperature) in the user's units, of the last round; where the
        output layer is collapsed, it is that of the collapsed model.

    Raises
    ------
    ImproperPriorError
        A flat prior: its posterior need not be a distribution.
    SpecError, DataError
        An argument or data that break a rule, before anything is compiled; a store of another network, other data or
        other arguments.
    FileError
        A store that can't be written or read.
    WorkerError
        The executor was lost. What was finished is in the store.

    Warns
    -----
    ConvergenceWarning
        Divergent transitions, or an R-hat of the function above 1.05; tempering that ends before its marks.

    References
    ----------
    S. Syed, A. Bouchard-Côté, G. Deligiannidis and A. Doucet, "Non-reversible parallel tempering: a scalable highly
    parallel MCMC scheme", Journal of the Royal Statistical Society B 84 (2022).

    H.-D. Dau and N. Chopin, "Waste-free sequential Monte Carlo", Journal of the Royal Statistical Society B 84 (2022).

    M. D. Hoffman and A. Gelman, "The No-U-Turn Sampler", Journal of Machine Learning Research 15 (2014).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> net = bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(1.0))
    >>> post = bnn.fit_posterior(net, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0], random_seed=1, progressbar=False)
    >>> dict(post.posterior["W1"].sizes)
    {'chain': 4, 'draw': 1000, 'feature': 1, 'output': 1}
    """
    check_name("sampler", sampler, SAMPLERS)
    _check_installed(sampler)
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
        store=store,
        progressbar=progressbar,
    )
    rng = rng_of(random_seed)
    _check_meant(sampler, adaptation=adaptation, rounds=rounds, max_rounds=max_rounds, max_seconds=max_seconds)
    at = _check_rungs(sampler, rungs)
    problem = prepare(net, X, y, scaling=scaling)
    check_memory(problem, int(chains) * int(draws), log_likelihood=log_likelihood)
    check_proper(net)
    given_collapse = collapse
    if collapse is None:
        collapse = collapses(problem)
    elif collapse and not collapses(problem):
        raise SpecError(
            f"Got collapse=True with loss {net.loss.name!r}, prior {net.prior!r}; the output layer can be integrated "
            "out for squared error of one noise under Normal priors only. Leave collapse out."
        )
    check_executor(executor)
    kept = None
    if store is not None:
        known = {
            "bayesnn": bayesnn.__version__,
            "problem": fingerprint(problem),
            "network": repr(net),
            "sampler": sampler,
            "draws": int(draws),
            "tune": tune,
            "chains": int(chains),
            "target_accept": target_accept,
            "adaptation": adaptation,
            "collapse": bool(collapse),
            "rounds": rounds,
            "max_rounds": max_rounds,
            "rungs": at,
            "random_seed": seed_of(random_seed),
        }
        kept = Store(store, known)
        random_seed = kept.settings["random_seed"]
        rng = rng_of(random_seed)
    # What changes no number is left out: progress, and cores.
    call = call_of(
        fit_posterior,
        X,
        draws=draws,
        tune=tune,
        chains=chains,
        sampler=sampler,
        target_accept=target_accept,
        adaptation=adaptation,
        rounds=rounds,
        max_rounds=max_rounds,
        max_seconds=max_seconds,
        rungs=rungs,
        scaling=scaling,
        collapse=given_collapse,
        random_seed=random_seed,
    )
    began = time.perf_counter()
    options: dict[str, Any] = {
        "collapse": collapse,
        "draws": int(draws),
        "tune": None if tune is None else int(tune),
        "chains": int(chains),
        "cores": None if cores is None else int(cores),
        "rng": rng,
        "target": None if target_accept is None else float(target_accept),
        "progressbar": progressbar,
        "executor": executor,
        "kept": kept,
    }
    if sampler == "tempering":
        sampled = temper(
            problem,
            rounds=None if rounds is None else int(rounds),
            max_rounds=None if max_rounds is None else int(max_rounds),
            max_seconds=max_seconds,
            rungs=at,
            **options,
        )
    else:
        sampled = nuts.sample_chains(problem, sampler=sampler, adaptation=adaptation, **options)
    params = sampled.params
    # An interruption leaves fewer of them.
    sizes = next(iter(params.values())).shape[:2]
    batch = {"chain": np.arange(sizes[0]), "draw": np.arange(sizes[1])}
    tree = make_tree(
        "posterior",
        problem,
        to_dataset({name: params[name] for name in _order(params)}, problem, batch),
        groups={"sample_stats": sampled.stats.assign_coords(batch), **sampled.groups},
        attrs={
            "bayesnn_sampler": sampler,
            "bayesnn_collapsed": int(collapse),
            "bayesnn_call": call,
            "sampling_time": time.perf_counter() - began,
            **sampled.attrs,
        },
    )
    add_log_densities(tree, problem, log_likelihood=log_likelihood, log_prior=log_prior)
    sampled.judge(tree)
    if kept is not None and tree.attrs["bayesnn_ended"] != "interrupted":
        save_fit(tree, kept.path / "fit.nc")
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


def _check_installed(sampler):
    """Refuse a sampler whose library is left to the user and is not there."""
    missing = [name for name in {"numpyro": ("numpyro", "jax")}.get(sampler, ()) if not _is_there(name)]
    if missing:
        raise SpecError(
            f"Got sampler={sampler!r}, for which {' and '.join(missing)} must be installed. Install it: pip install "
            f"{' '.join(missing)}; or leave sampler out."
        )


def _is_there(name):
    """Whether a library can be loaded; one that others load lazily is loaded by the look, and may lack its own."""
    try:
        return find_spec(name) is not None
    except ImportError:
        return False


def _check_meant(sampler, *, adaptation, **of_tempering):
    """Refuse arguments of another sampler."""
    if adaptation is not None:
        check_name("adaptation", adaptation, ADAPTATIONS)
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


def _check_rungs(sampler, rungs):
    """Give the inverse temperatures that a ladder is to have, in ascending order."""
    valid = np.iterable(rungs) and all(isinstance(b, Real) and 0 < b < 1 for b in rungs)
    if not valid or (rungs and sampler != "tempering"):
        rule = "they are inverse temperatures between 0 and 1" if not valid else "only tempering has temperatures"
        raise SpecError(
            f"Got rungs={rungs!r} with sampler={sampler!r}; {rule}. Write sampler='tempering', rungs=[0.5], or leave "
            "them out."
        )
    return tuple(sorted({float(b) for b in rungs}))


def _order(params):
    """Layer by layer, then the rest."""
    return sorted(params, key=lambda k: (0, int(k[1:]), k[0]) if k[0] in "Wb" else (1, 0, k))


def add_log_densities(tree: "xr.DataTree", problem: Problem, *, log_likelihood: bool, log_prior: bool) -> None:
    """Write the log-likelihood of each observation, and the log-prior, of each draw into a tree.

    Parameters
    ----------
    tree : xarray.DataTree
        A posterior.
    problem : Problem
        What was fitted.
    log_likelihood, log_prior : bool
        Which of them.
    """
    import xarray as xr

    params = params_of(tree)
    batch = {k: tree["posterior"][k] for k in ("chain", "draw")}
    if log_likelihood:
        values = problem.net.log_likelihood(params, problem.X, problem.y)
        values -= problem.log_y_sd
        obs = tree["observed_data"]["obs"]
        tree["log_likelihood"] = xr.DataTree(
            xr.Dataset({"y": (("chain", "draw", "obs"), values)}, coords={**batch, "obs": obs})
        )
    if log_prior:
        values = problem.net.log_prior(params)
        tree["log_prior"] = xr.DataTree(xr.Dataset({"parameters": (("chain", "draw"), values)}, coords=batch))
