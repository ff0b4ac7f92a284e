"""MLE and MAP: many starts through one compiled gradient, an audit of every end point, the best finished by PyMC."""

import time
import warnings
from concurrent.futures import Executor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import Seed, call_of, check_arguments, rng_of
from bayesnn.data.columns import LARGE, mean_sd
from bayesnn.data.target import known_of
from bayesnn.errors import ConvergenceWarning, FitError, NoMAPError, NoMLEError
from bayesnn.fitting.climb import MANY_PARAMETERS, audit_ends, climb, newton, settle, unheld
from bayesnn.fitting.density import log_density, slowness
from bayesnn.fitting.existence import Existence, attained, evidence_of, existence_of, from_outside, judge
from bayesnn.fitting.expense import announce_search
from bayesnn.fitting.limits import outward, recede_from
from bayesnn.fitting.objective import Objective
from bayesnn.fitting.once import Once
from bayesnn.fitting.progress import announce, compiling, tell_once
from bayesnn.fitting.remedies import remedy_of
from bayesnn.fitting.tasks import check_executor, run_tasks
from bayesnn.model import model_of
from bayesnn.network import MLP
from bayesnn.symmetry.optima import compared_rows, mean_at, same_optimum
from bayesnn.tree import Inputs, Problem, ScalingChoice, make_tree, prepare, to_dataset

if TYPE_CHECKING:
    import xarray as xr


SIGNATURES = {name: name for name in ("minimum", "flat", "saddle", "kink")} | {"infinity": "on their way to infinity"}
"""How the signatures of end points are written."""


def fit_mle(
    net: MLP,
    X: Inputs,
    y: ArrayLike | None = None,
    *,
    restarts: int = 20,
    random_seed: Seed = None,
    scaling: ScalingChoice = None,
    nonexistent: Literal["raise", "flag"] = "raise",
    maxiter: int = 2000,
    finish: bool = True,
    executor: Executor | None = None,
    progressbar: bool = True,
) -> "xr.DataTree":
    r"""Maximise the likelihood, ignoring the network's priors.

    The estimate is :math:`\arg\max_\theta \sum_i \log p(y_i \mid x_i, \theta)`, found as `pm.find_MAP` finds it
    under flat priors. A learned noise scale is maximised with the weights, without Jacobian. A network's MLE is
    never unique: permuting hidden units gives another one, and all the others are listed by `bnn.orbit`.

    Parameters
    ----------
    net : MLP
        The network; its prior is kept in the tree for comparison but takes no part.
    X : array (n, p), DataFrame or Dataset
        Inputs. A Dataset brings its training targets, names and scaling.
    y : array (n,) or (n, K), optional
        Targets, plain or from `bnn.target`; left out when `X` is a Dataset.
    restarts : int
        Number of random starts.
    random_seed : int or numpy.random.Generator, optional
        Seed of the starts, or whatever else `numpy.random.default_rng` takes.
    scaling : None, "standard", False or Scaling
        None takes the Dataset's own (none for arrays), ``"standard"`` centres and scales by these rows, False
        works in the user's units.
    nonexistent : {"raise", "flag"}
        What to do where no MLE exists: raise `NoMLEError`, or warn and return the limit that the likelihood rises to
        (weights so far out that their function is the limit's to about eight digits), with the attribute
        ``bayesnn_exists`` set to 0 and the reason in ``bayesnn_message``, or shorter in ``bayesnn_brief``. Where the
        likelihood is unbounded there is no limit, and the last iterate is returned.
    maxiter : int
        Iterations of L-BFGS for each start.
    finish : bool
        Hand the best end point to `pm.find_MAP` and keep what it says, for which PyMC's model is compiled; False spares
        that time, most of that of a small fit, and the numbers agree to the digits that the search is for.
    executor : concurrent.futures.Executor, optional
        Where the starts are climbed from, such as ``ProcessPoolExecutor(2)``; it is left open. The numbers are the same
        with any.
    progressbar : bool
        Show progress on standard error.

    Returns
    -------
    xarray.DataTree
        ``posterior`` (the estimate, one chain and one draw), ``standard_error`` (from the inverse Hessian where
        it is definite, otherwise NaN; also NaN for more than 1,500 parameters), ``optima`` (the end point of every
        start with its log-likelihood, log-prior, gradient norm, Hessian signature and convergence flag), PyMC's
        ``fit`` and ``optimizer_result`` (with `finish`, and up to a million numbers in `X`), and the data.

    Raises
    ------
    NoMLEError
        Separated classes, or a fit without residuals while the noise is free; its numbers are attributes.
    SpecError, DataError
        An argument or data that break a rule, before anything is compiled.
    FitError
        No start has a finite likelihood.

    See Also
    --------
    fit_map : The same with the prior.
    mle_exists : The exact answer before the fit, without hidden layers.

    References
    ----------
    P. Petersen, M. Raslan and F. Voigtlaender, "Topological properties of the set of functions generated by neural
    networks of fixed size", Foundations of Computational Mathematics 21 (2021).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> node = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False)
    >>> mle = bnn.fit_mle(node, [-2, -1, 0.5, 1, 2], [0, 1, 0, 1, 1], restarts=3, random_seed=1, progressbar=False)
    >>> round(float(mle.posterior["W1"].squeeze()), 8), round(float(mle.standard_error["W1"].squeeze()), 8)
    (0.7954240..., 0.7872388)
    """
    return _fit_point(
        "mle", net, X, y, scaling, restarts, random_seed, nonexistent, maxiter, finish, executor, progressbar
    )


def fit_map(
    net: MLP,
    X: Inputs,
    y: ArrayLike | None = None,
    *,
    restarts: int = 20,
    random_seed: Seed = None,
    scaling: ScalingChoice = None,
    nonexistent: Literal["raise", "flag"] = "raise",
    maxiter: int = 2000,
    finish: bool = True,
    executor: Executor | None = None,
    progressbar: bool = True,
) -> "xr.DataTree":
    r"""Maximise likelihood times prior: the peak of the posterior density.

    The estimate is :math:`\arg\max_\theta \sum_i \log p(y_i \mid x_i, \theta) + \log p(\theta)`, the minimum of
    loss plus penalty. It is a mode in the parameters' own units: no Jacobian enters for a learned noise scale.

    Parameters
    ----------
    net : MLP
        The network. Under flat priors the MAP is the MLE.
    X : array (n, p), DataFrame or Dataset
        Inputs. A Dataset brings its training targets, names and scaling.
    y : array (n,) or (n, K), optional
        Targets, plain or from `bnn.target`; left out when `X` is a Dataset.
    restarts : int
        Number of random starts.
    random_seed : int or numpy.random.Generator, optional
        Seed of the starts, or whatever else `numpy.random.default_rng` takes.
    scaling : None, "standard", False or Scaling
        As for `fit_mle`.
    nonexistent : {"raise", "flag"}
        What to do where the density has no maximum.
    maxiter : int
        Iterations of L-BFGS for each start.
    finish : bool
        As for `fit_mle`.
    executor : concurrent.futures.Executor, optional
        Where the starts are climbed from, such as ``ProcessPoolExecutor(2)``; it is left open. The numbers are the same
        with any.
    progressbar : bool
        Show progress on standard error.

    Returns
    -------
    xarray.DataTree
        As `fit_mle`.

    Raises
    ------
    NoMAPError
        A `Hierarchical` prior, whose density grows without bound as a layer's scale and weights shrink
        together; or a fit without residuals while the noise is free.
    SpecError, DataError
        An argument or data that break a rule, before anything is compiled.
    FitError
        No start has a finite density.

    See Also
    --------
    fit_mle : The same without the prior.
    fit_posterior : The whole density instead of its peak.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> node = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False, prior=bnn.Normal(1.0))
    >>> map_ = bnn.fit_map(node, [-2, -1, 0.5, 1, 2], [0, 1, 0, 1, 1], restarts=3, random_seed=1, progressbar=False)
    >>> round(float(map_.posterior["W1"].squeeze()), 8)
    0.51609418
    """
    return _fit_point(
        "map", net, X, y, scaling, restarts, random_seed, nonexistent, maxiter, finish, executor, progressbar
    )


def _fit_point(kind, net, X, y, scaling, restarts, random_seed, nonexistent, maxiter, finish, executor, progressbar):
    check_arguments(restarts=restarts, maxiter=maxiter, nonexistent=nonexistent, finish=finish, progressbar=progressbar)
    check_executor(executor)
    rng = rng_of(random_seed)
    problem = prepare(net, X, y, scaling=scaling)
    call = call_of(
        fit_mle if kind == "mle" else fit_map,
        X,
        restarts=restarts,
        maxiter=maxiter,
        finish=finish,
        scaling=scaling,
        nonexistent=nonexistent,
        random_seed=random_seed,
    )
    if kind == "map" and net.prior.has_learned_scale:
        raise NoMAPError(
            f"Got prior={net.prior!r}: with a learned scale the joint density grows without bound as a layer's scale "
            "and weights shrink to zero together, so it has no peak. Use fit_posterior, which integrates over the "
            "scale, or a fixed scale, prior=bnn.Normal(1.0)."
        )
    with compiling(show=progressbar):
        tree = _maximise(kind, problem, rng, int(restarts), nonexistent, int(maxiter), finish, executor, progressbar)
    tree.attrs["bayesnn_call"] = call
    return tree


def fit_problem(
    kind: str,
    problem: Problem,
    *,
    restarts: int = 20,
    random_seed: Seed = None,
    maxiter: int = 2000,
    progressbar: bool = True,
) -> "xr.DataTree":
    """Fit what `prepare` has checked, as `fit_mle` and `fit_map` do; where no maximum exists the limit is given.

    Parameters
    ----------
    kind : {"mle", "map"}
        Which of the two.
    problem : Problem
        Network and data.
    restarts, random_seed, maxiter, progressbar
        As for `fit_mle`.

    Returns
    -------
    xarray.DataTree
        As `fit_mle`.
    """
    check_arguments(restarts=restarts, maxiter=maxiter, progressbar=progressbar)
    rng = rng_of(random_seed)
    with compiling(show=progressbar):
        return _maximise(kind, problem, rng, int(restarts), "flag", int(maxiter), True, None, progressbar)


def _maximise(kind, problem, rng, restarts, nonexistent, maxiter, finish, executor, progressbar):
    began = time.perf_counter()
    free = replace(problem, net=problem.net.flat) if kind == "mle" else problem
    proper = free.net.prior.proper
    existence = existence_of(free) if not proper else Existence(None, "only the end of a fit can tell", {})
    if existence.exists is False and nonexistent == "raise":
        raise _missing(kind, problem, existence)

    tell_once(slowness(free.net), show=progressbar)
    once = Once(objective_of, free)
    objective = once.get()
    # Slope of the penalty at zero: positive under L1 penalties.
    kinks = objective.kinks(free.net.prior)
    smooth = free.net.smooth
    options = {"kinks": kinks, "smooth": smooth, "maxiter": maxiter}
    first = starts(free, objective, restarts, rng)
    announce_search(free, objective, first, maxiter, show=progressbar and executor is None)
    tasks = {i: (climb_from, once, x, options) for i, x in enumerate(first)}
    ran = run_tasks(tasks, executor, label=f"{kind.upper()}: {restarts} starts", progressbar=progressbar)
    if ran.failed or not ran.done:
        ran.give_up()
    if ran.interrupted:
        said = f"The search was interrupted: {len(ran.done)} of {restarts} starts are kept."
        warnings.warn(said, ConvergenceWarning, stacklevel=4)
        restarts = len(ran.done)
    ends, iterations, settled = map(np.array, zip(*ran.done.values(), strict=True))
    values, audit = audit_ends(objective, ends, kinks=kinks)
    audit["value"] = values
    if not smooth:
        # The gradient does not vanish at a kink; that the search can't improve is all there is to know there.
        at_kink = settled & ~audit["converged"]
        audit["converged"] |= at_kink
        audit["signature"][at_kink] = "kink"
    if not np.isfinite(values).any():
        raise FitError(
            f"Got no finite log density at any of {restarts} starts; the data or the scales are too extreme for the "
            "network. Scale the data (scaling='standard') or check the noise."
        )
    best = int(np.argmin(values))
    if existence.exists is False:
        audit["signature"][:], audit["converged"][:] = "infinity", False
    else:
        found = evidence_of(free, objective.unpack(ends[best]))
        if found.exists is False and "smallest_margin" in found.numbers:
            # Growing output weights are penalised where they have a prior.
            limit = recede_from(free, objective, ends[best]) if not proper else None
            found = replace(found, exists=False if limit else None, limit=limit)
        if found.exists is False:
            existence = found
            lost = [evidence_of(free, objective.unpack(end)).exists is False for end in ends]
            audit["signature"][lost], audit["converged"][lost] = "infinity", False
        elif existence.exists is None and not proper and _describable(free.net):
            announce("Following the end points outward.", show=progressbar)
            limits = outward(free, objective, ends, audit, kinks=kinks, smooth=smooth)
            existence = judge(free, audit, limits)
            best = int(np.argmin(audit["value"]))
        elif existence.exists is None:
            existence = attained(free, audit, objective.size)
    if existence.exists is False and nonexistent == "raise":
        raise _missing(kind, problem, existence)

    groups = {}
    if existence.exists is not False and finish:
        ends[best], groups = _finish(free, objective, ends[best], kinks)
        (audit["value"][best],), audit_best = audit_ends(objective, ends[best : best + 1], kinks=kinks)
        for name in audit_best if audit["signature"][best] != "kink" else ("gradient_norm",):
            audit[name][best] = audit_best[name][0]
    if existence.exists is False and existence.limit is None and "noise" in objective.names:
        # Below that rounding decides what the residuals are, and squares underflow.
        ends[:, -1] = np.maximum(ends[:, -1], np.log(1e-14 * _size(problem)))
    params = objective.unpack(ends)
    functions = mean_at(problem.net, params, compared_rows(problem.X))
    alike = same_optimum(-audit["value"], functions, best) & audit["converged"]
    message, brief = _verdict(kind, existence, audit, alike, iterations, maxiter, np.linalg.norm(ends[best]))
    point = {name: value[best][None, None] for name, value in params.items()}
    if existence.limit is not None:
        point = {k: v[None, None] for k, v in existence.limit.weights(existence.limit.nearest()).items()}
        groups["limit"] = _limit_group(problem, existence.limit)
    optima = to_dataset(params, problem, {"start": np.arange(len(ends))})
    optima["log_likelihood"] = ("start", problem.log_likelihood(params))
    # An MLE has no learned scales at which a hierarchical prior could be evaluated.
    unknown = problem.net.prior.has_learned_scale
    log_prior = np.nan if unknown else np.asarray(problem.net.log_prior(params))
    optima["log_prior"] = ("start", log_prior + np.zeros(len(ends)))
    del audit["value"]
    for name, value in (*audit.items(), ("iterations", iterations)):
        optima[name] = ("start", value)
    optima.attrs["best"] = best
    groups["optima"] = optima
    regular = existence.exists is not False and audit["converged"][best] and audit["signature"][best] != "kink"
    groups["standard_error"] = _standard_errors(problem, objective, ends[best], kinks, regular)
    return make_tree(
        kind,
        problem,
        to_dataset(point, problem, {"chain": [0], "draw": [0]}),
        groups=groups,
        attrs={
            "bayesnn_exists": {True: 1, False: 0, None: -1}[existence.exists],
            "bayesnn_existence": existence.reason,
            **({"bayesnn_bounded": 1} if existence.bounded else {}),
            "bayesnn_limit": existence.limit.describe() if existence.limit is not None else "",
            "bayesnn_message": message,
            "bayesnn_brief": brief,
            "bayesnn_restarts": restarts,
            "sampling_time": time.perf_counter() - began,
        },
    )


def objective_of(problem: Problem) -> Objective:
    """Compile the negative log density that a search minimises."""
    return Objective(log_density(problem, jacobian=False))


def climb_from(once: Once, start: np.ndarray, **options: Any) -> tuple[np.ndarray, int, bool]:
    """Climb from one start, in any process; see `climb`."""
    return climb(once.get(), start, **options)


def _describable(net):
    """Whether end points can be followed outward: the limits' densities know priors by their rates."""
    return not from_outside(net) and all(p.has_rates for p in (net.prior, net.prior.bias or net.prior))


def _limit_group(problem, limit):
    """Keep the limit's log-likelihood, and the path to it: finite weights and theirs, the scale rising."""
    along, values = limit.path()
    # From where the path has come within ten nats: what is further off says nothing about the limit.
    begin = along[int(np.argmax(values > values.max() - 10.0))]
    scales = np.geomspace(begin, max(limit.nearest(), 2 * begin), 12)
    points = [limit.weights(scale) for scale in scales]
    params = {name: np.stack([point[name] for point in points]) for name in points[0]}
    group = to_dataset(params, problem, {"scale": scales})
    group["path_log_likelihood"] = ("scale", problem.log_likelihood(params))
    group["log_likelihood"] = limit.log_likelihood
    words = {
        "scale": "how far out on the path to the limit",
        "path_log_likelihood": "log-likelihood of the finite weights at each scale, in the user's units",
        "log_likelihood": "log-likelihood of the limit, in the user's units",
    }
    for name, long_name in words.items():
        group[name].attrs["long_name"] = long_name
    group.attrs["limit"] = limit.describe()
    return group


def _missing(kind, problem, existence):
    error = NoMLEError if kind == "mle" else NoMAPError
    shown = ", ".join(f"{k} {v:.4g}" for k, v in existence.numbers.items() if np.ndim(v) == 0)
    # With a best finite value the supremum is in the reason, to the digits that matter.
    shown = f" ({shown})" if shown and "best_finite" not in existence.numbers else ""
    numbers = existence.numbers | ({"limit": existence.limit} if existence.limit is not None else {})
    return error(
        f"No {kind.upper()} exists: {existence.reason}{shown}. {remedy_of(kind, problem, existence)} Or pass "
        f"nonexistent='flag' to look at {'the limit' if existence.limit is not None else 'the last iterate'}.",
        reason=existence.reason,
        **numbers,
    )


def _verdict(kind, existence, audit, alike, iterations, maxiter, norm):
    """Say in words what the audit found, at length and in short; warn where the estimate is not to be trusted."""
    converged, n = audit["converged"], len(alike)
    limited = int((iterations >= maxiter).sum())
    counts = ", ".join(f"{k} {w}" for s, w in SIGNATURES.items() if (k := int((audit["signature"] == s).sum())))
    message = f"{int(converged.sum())} of {n} starts converged; {int(alike.sum())} reached the best value ({counts})."
    trouble, brief = "", None
    if existence.exists is False:
        returned = "the limit" if existence.limit is not None else "the last iterate"
        trouble = f"No {kind.upper()} exists: {existence.reason}. What is returned is {returned}."
        # The heading says that there is no maximum; what the limit is made of can be long.
        brief = f"{existence.reason.partition(';')[0]}."
    elif not alike.any():
        slope = audit["gradient_norm"].min()
        trouble = (
            f"The best of {n} starts has not converged (gradient norm {slope:.2g}, parameter norm "
            f"{norm:.4g}; {limited} hit the limit of {maxiter} iterations). "
        )
        if existence.exists is None:
            trouble += f"Whether a maximum exists is not known: {existence.reason}. "
        # More iterations help those alone that were cut off.
        remedy = "Raise maxiter" if limited else "Scale the data (scaling='standard')"
        remedy += ", or use a prior (fit_map)." if kind == "mle" else "."
        trouble += remedy
        brief = f"the best of {n} starts has not converged ({limited} hit the limit of {maxiter} iterations). {remedy}"
    elif converged.sum() * 2 < n:
        trouble = f"Only {message} Raise maxiter."
    elif existence.exists is None:
        message += f" Whether a maximum exists is not known: {existence.reason}."
    if trouble:
        warnings.warn(trouble, ConvergenceWarning, stacklevel=5)
    full = f"{trouble} {message}".strip() if trouble and message not in trouble else trouble or message
    return full, brief or full


def starts(problem: Problem, objective: Objective, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw starting points that spread over the data: each unit's kink at a training row.

    Parameters
    ----------
    problem : Problem
        What is to be fitted.
    objective : Objective
        Its compiled density, for the layout.
    n : int
        Number of starts.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    array (n, size)
        Flat vectors.
    """
    net, X = problem.net, problem.X
    sd = mean_sd(X)[1]
    spread = np.where(sd > 0, sd, 1.0)
    params = {}
    for name, shape in problem.shapes.items():
        layer, last = int(name[1:]), int(name[1:]) == net.n_layers
        if name[0] == "W":
            scale = 1.0 / np.sqrt(max(shape[0], 1))
            scale = scale / spread[:, None] if layer == 1 else scale
            if last and not net.loss.scale_is_output:
                scale = scale * _size(problem)
            params[name] = rng.normal(size=(n, *shape)) * scale * (1.0 if last else 1.5)
        elif last:
            params[name] = np.zeros((n, *shape)) + _level(problem, shape[0])
        else:
            params[name] = 0.5 * rng.normal(size=(n, *shape))
            if layer == 1:
                rows = X[rng.integers(len(X), size=(n, shape[0]))]
                params[name] -= np.einsum("shp,sph->sh", rows, params["W1"])
    if "noise" in objective.names:
        params["noise"] = np.full(n, _size(problem)) * rng.uniform(0.3, 1.0, size=n)
    if "cutpoints" in objective.names:
        below = np.cumsum(np.bincount(problem.y))[:-1] / len(X)
        params["cutpoints"] = np.broadcast_to(np.log(below / (1 - below)), (n, len(below)))
    return objective.pack(params)


def _size(problem):
    """Take the unit of outputs and noise: the standard deviation of targets, or one."""
    return max(float(np.std(problem.values)), 1e-8) if problem.net.loss.support == "real" else 1.0


def _level(problem, m):
    """Output bias at which the network starts: the level of the targets."""
    loss, y, known = problem.net.loss, problem.values, known_of(problem.y)
    if loss.scale_is_output:
        return np.array([np.mean(y), np.log(_size(problem))])
    if loss.support == "real":
        return np.mean(y, axis=0)
    if loss.support == "unit" or "trials" in known:
        share = np.clip(y.sum() / (known["trials"].sum() if known else len(y)), 0.01, 0.99)
        return np.log(share / (1.0 - share))
    if loss.task == "count":
        return np.log(max(np.mean(y), 0.1) / np.mean(known.get("exposure", 1.0)))
    return np.zeros(m)


def _finish(problem, objective, best, kinks):
    """Hand the best end point to `pm.find_MAP`; keep whichever point is higher, and PyMC's own record."""
    import pymc as pm

    # PyMC's model holds the data, and every unit's activations at all rows, several times over.
    if objective.size == 0 or problem.X.size > LARGE:
        return best, {}
    point = objective.unpack(best)
    with warnings.catch_warnings():
        # Convergence is judged by our own audit, from the gradient and the Hessian.
        warnings.simplefilter("ignore")
        found = pm.find_MAP(
            model=model_of(problem),
            initvals=point,
            jitter=False,
            progressbar=False,
            return_inferencedata=True,
            maxiter=200,
        )
    params = {name: found.posterior[name].to_numpy()[0, 0] for name in objective.names}
    polished = settle(objective, newton(objective, objective.pack(params), kinks), kinks)
    better = polished if objective(polished)[0] < objective(best)[0] else best
    return better, {name: found[name].to_dataset() for name in ("fit", "optimizer_result")}


def _standard_errors(problem, objective, x, kinks, regular):
    """Square roots of the inverse Hessian's diagonal in the parameters' own units; NaN where it is not definite."""
    variance, definite = np.full(objective.size, np.nan), False
    if 0 < objective.size <= MANY_PARAMETERS and regular and problem.net.loss.smooth and unheld(x, kinks).all():
        hessian = objective.hessian(x)
        if np.isfinite(hessian).all():
            eigenvalues = np.linalg.eigvalsh(hessian)
            definite = bool(eigenvalues.min() > 1e-8 * eigenvalues.max())
    if definite:
        slopes = objective.slopes(x)
        variance = np.diag(slopes @ np.linalg.inv(hessian) @ slopes.T)
    flat = np.sqrt(variance)
    errors = {
        name: flat[objective.offsets[i] : objective.offsets[i + 1]].reshape(shape)
        for i, (name, shape) in enumerate(zip(objective.names, objective.shapes, strict=True))
    }
    out = to_dataset(errors, problem, {})
    out.attrs["definite"] = int(definite)
    return out
