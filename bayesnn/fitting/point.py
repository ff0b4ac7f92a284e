"""MLE and MAP: many starts through one compiled gradient, an audit of every end point, the best finished by PyMC."""

import time
import warnings
from dataclasses import replace

import numpy as np

from bayesnn.errors import ConvergenceWarning, FitError, NoMAPError, NoMLEError, SpecError
from bayesnn.fitting.climb import audit_ends, climb, newton, settle, unheld
from bayesnn.fitting.density import log_density
from bayesnn.fitting.existence import Existence, attained, evidence_of, existence_of, judge
from bayesnn.fitting.limits import outward, recede, start_of
from bayesnn.fitting.objective import Objective
from bayesnn.fitting.optima import compared, same_optimum
from bayesnn.fitting.progress import announce, bar
from bayesnn.model import model_of
from bayesnn.priors import Hierarchical
from bayesnn.tree import make_tree, prepare, to_dataset

SIGNATURES = ("minimum", "flat", "saddle", "kink", "infinity")


def fit_mle(
    net,
    X,
    y=None,
    *,
    restarts=20,
    random_seed=None,
    scaling=None,
    nonexistent="raise",
    maxiter=2000,
    progressbar=True,
):
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
        Targets; left out when `X` is a Dataset.
    restarts : int
        Number of random starts.
    random_seed : int, optional
        Seed of the starts.
    scaling : None, "standard", False or Scaling
        None takes the Dataset's own (none for arrays), ``"standard"`` centres and scales by these rows, False
        works in the user's units.
    nonexistent : {"raise", "flag"}
        What to do where no MLE exists: raise `NoMLEError`, or warn and return the last iterate with the
        attribute ``bayesnn_exists`` set to 0 and the reason in ``bayesnn_message``.
    maxiter : int
        Iterations of L-BFGS for each start.
    progressbar : bool
        Show progress on standard error.

    Returns
    -------
    xarray.DataTree
        ``posterior`` (the estimate, one chain and one draw), ``standard_error`` (from the inverse Hessian where
        it is definite, otherwise NaN), ``optima`` (the end point of every start with its log-likelihood,
        log-prior, gradient norm, Hessian signature and convergence flag), PyMC's ``fit`` and
        ``optimizer_result``, and the data.

    Raises
    ------
    NoMLEError
        Separated classes, or a fit without residuals while the noise is free; its numbers are attributes.
    DataError
        Data that break a rule, before anything is compiled.
    FitError
        No start has a finite likelihood.

    See Also
    --------
    fit_map : The same with the prior.
    mle_exists : The exact answer before the fit, without hidden layers.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> node = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False)
    >>> mle = bnn.fit_mle(node, [-2, -1, 0.5, 1, 2], [0, 1, 0, 1, 1], restarts=3, random_seed=1, progressbar=False)
    >>> round(float(mle.posterior["W1"].squeeze()), 8), round(float(mle.standard_error["W1"].squeeze()), 8)
    (0.7954240..., 0.7872388)
    """
    problem = prepare(net, X, y, scaling=scaling)
    return _fit_point("mle", problem, restarts, random_seed, nonexistent, maxiter, progressbar)


def fit_map(
    net,
    X,
    y=None,
    *,
    restarts=20,
    random_seed=None,
    scaling=None,
    nonexistent="raise",
    maxiter=2000,
    progressbar=True,
):
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
        Targets; left out when `X` is a Dataset.
    restarts : int
        Number of random starts.
    random_seed : int, optional
        Seed of the starts.
    scaling : None, "standard", False or Scaling
        As for `fit_mle`.
    nonexistent : {"raise", "flag"}
        What to do where the density has no maximum.
    maxiter : int
        Iterations of L-BFGS for each start.
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
    DataError
        Data that break a rule, before anything is compiled.
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
    problem = prepare(net, X, y, scaling=scaling)
    if isinstance(net.prior, Hierarchical):
        raise NoMAPError(
            f"Got prior={net.prior!r}: with a learned scale the joint density grows without bound as a layer's scale "
            "and weights shrink to zero together, so it has no peak. Use fit_posterior, which integrates over the "
            "scale, or a fixed scale such as bnn.Normal(1.0)."
        )
    return _fit_point("map", problem, restarts, random_seed, nonexistent, maxiter, progressbar)


def _fit_point(kind, problem, restarts, random_seed, nonexistent, maxiter, progressbar):
    if nonexistent not in ("raise", "flag"):
        raise SpecError(f"Got nonexistent={nonexistent!r}; it must be 'raise' or 'flag'.")
    if isinstance(restarts, bool) or int(restarts) != restarts or restarts < 1:
        raise SpecError(f"Got restarts={restarts!r}; it must be a positive integer. Twenty is a good start.")
    began = time.perf_counter()
    free = replace(problem, net=problem.net.flat) if kind == "mle" else problem
    proper = free.net.prior.proper
    existence = existence_of(free) if not proper else Existence(None, "only the end of a fit can tell", {})
    if existence.exists is False and nonexistent == "raise":
        raise _missing(kind, existence)

    announce("Compiling the gradient; the first time on a machine this takes up to a minute.", show=progressbar)
    objective = Objective(log_density(free, jacobian=False))
    rng = np.random.default_rng(random_seed)
    first = starts(free, objective, int(restarts), rng)
    ends = np.empty_like(first)
    iterations, settled = np.zeros(len(first), dtype=int), np.zeros(len(first), dtype=bool)
    # Slope of the penalty at zero: positive under L1 penalties.
    kinks = objective.rates(free.net.prior)[0]
    smooth = free.net.loss.smooth and not (free.net.hidden and free.net.activation == "relu")
    with bar(f"{kind.upper()}: {restarts} starts", len(first), show=progressbar) as step:
        for i, start in enumerate(first):
            ends[i], iterations[i], settled[i] = climb(objective, start, kinks=kinks, smooth=smooth, maxiter=maxiter)
            step()
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
        existence = replace(existence, limit=recede(start_of(free, objective, ends[best])))
        audit["signature"][:], audit["converged"][:] = "infinity", False
    else:
        found = evidence_of(free, objective.unpack(ends[best]))
        if found.exists is False and "smallest_margin" in found.numbers:
            # Growing output weights are penalised where they have a prior.
            limit = recede(start_of(free, objective, ends[best])) if not proper else None
            found = replace(found, exists=False if limit else None, limit=limit)
        if found.exists is False:
            existence = found
            lost = [evidence_of(free, objective.unpack(end)).exists is False for end in ends]
            audit["signature"][lost], audit["converged"][lost] = "infinity", False
        elif existence.exists is None and not proper:
            limits = outward(free, objective, ends, audit, kinks=kinks, smooth=smooth)
            existence = judge(free, audit, limits)
            best = int(np.argmin(audit["value"]))
        elif existence.exists is None:
            existence = attained(free, audit, objective.size)
    if existence.exists is False and nonexistent == "raise":
        raise _missing(kind, existence)

    groups = {}
    if existence.exists is not False:
        ends[best], groups = _finish(free, objective, ends[best], kinks)
        (audit["value"][best],), audit_best = audit_ends(objective, ends[best : best + 1], kinks=kinks)
        for name in audit_best if audit["signature"][best] != "kink" else ("gradient_norm",):
            audit[name][best] = audit_best[name][0]
    params = objective.unpack(ends)
    functions = compared(problem.net, params, problem.X)
    alike = same_optimum(-audit["value"], functions, best) & audit["converged"]
    message = _verdict(kind, existence, audit, alike, iterations, maxiter, np.linalg.norm(ends[best]))
    point = {name: value[best][None, None] for name, value in params.items()}
    if existence.limit is not None:
        point = {k: v[None, None] for k, v in existence.limit.weights(existence.limit.nearest()).items()}
        groups["limit"] = _limit_group(problem, existence.limit)
    optima = to_dataset(params, problem, {"start": np.arange(len(ends))})
    loglik = problem.net.log_likelihood(params, problem.X, problem.y).sum(axis=-1)
    optima["log_likelihood"] = ("start", loglik - len(problem.X) * problem.log_y_sd)
    # An MLE has no learned scales at which a hierarchical prior could be evaluated.
    unknown = isinstance(problem.net.prior, Hierarchical)
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
            "bayesnn_limit": existence.limit.describe() if existence.limit is not None else "",
            "bayesnn_message": message,
            "bayesnn_restarts": int(restarts),
            "sampling_time": time.perf_counter() - began,
        },
    )


def _limit_group(problem, limit):
    """Keep the limit's log-likelihood, and the path to it: finite weights and theirs, the scale rising."""
    scales = np.geomspace(2.0, max(limit.nearest(), 4.0), 12)
    points = [limit.weights(scale) for scale in scales]
    params = {name: np.stack([point[name] for point in points]) for name in points[0]}
    group = to_dataset(params, problem, {"scale": scales})
    jacobian = len(problem.X) * problem.log_y_sd
    along = problem.net.log_likelihood(params, problem.X, problem.y).sum(axis=-1) - jacobian
    group["path_log_likelihood"] = ("scale", along)
    group["log_likelihood"] = limit.log_likelihood
    return group


def _missing(kind, existence):
    error = NoMLEError if kind == "mle" else NoMAPError
    shown = ", ".join(f"{k} {v:.4g}" for k, v in existence.numbers.items() if np.ndim(v) == 0)
    numbers = existence.numbers | ({"limit": existence.limit} if existence.limit is not None else {})
    return error(
        f"No {kind.upper()} exists: {existence.reason} ({shown}). Give the weights a proper prior (fit_map) or the "
        "noise a known value; or pass nonexistent='flag' to look at "
        f"{'the limit' if existence.limit is not None else 'the last iterate'}.",
        reason=existence.reason,
        **numbers,
    )


def _verdict(kind, existence, audit, alike, iterations, maxiter, norm):
    """Say in words what the audit found, and warn where the estimate is not to be trusted."""
    converged, n = audit["converged"], len(alike)
    limited = int((iterations >= maxiter).sum())
    counts = ", ".join(f"{k} {s}" for s in SIGNATURES if (k := int((audit["signature"] == s).sum())))
    message = f"{int(converged.sum())} of {n} starts converged ({counts}); {int(alike.sum())} reached the best value."
    trouble = ""
    if existence.exists is False:
        returned = "the limit" if existence.limit is not None else "the last iterate"
        trouble = f"No {kind.upper()} exists: {existence.reason}. What is returned is {returned}."
    elif not alike.any():
        slope = audit["gradient_norm"].min()
        trouble = (
            f"The best of {n} starts has not converged (gradient norm {slope:.2g}, parameter norm "
            f"{norm:.4g}; {limited} hit the limit of {maxiter} iterations), and whether a maximum exists is not known: "
            f"{existence.reason}. Raise maxiter, or use a prior (fit_map)."
        )
    elif converged.sum() * 2 < n:
        trouble = f"Only {message} Raise maxiter."
    elif existence.exists is None:
        message += f" Whether a maximum exists is not known: {existence.reason}."
    if trouble:
        warnings.warn(trouble, ConvergenceWarning, stacklevel=4)
    return f"{trouble} {message}".strip() if trouble and message not in trouble else trouble or message


def starts(problem, objective, n, rng):
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
    net, X, y = problem.net, problem.X, problem.y
    spread = np.where(X.std(axis=0) > 0, X.std(axis=0), 1.0)
    params = {}
    for name, shape in problem.shapes.items():
        layer, last = int(name[1:]), int(name[1:]) == net.n_layers
        if name[0] == "W":
            scale = 1.0 / np.sqrt(max(shape[0], 1))
            scale = scale / spread[:, None] if layer == 1 else scale
            if last and net.loss.task == "regression" and net.loss.name != "gaussian_nll":
                scale = scale * max(np.std(y), 1e-8)
            params[name] = rng.normal(size=(n, *shape)) * scale * (1.0 if last else 1.5)
        elif last:
            params[name] = np.zeros((n, *shape)) + _level(net, y, shape[0])
        else:
            params[name] = 0.5 * rng.normal(size=(n, *shape))
            if layer == 1:
                rows = X[rng.integers(len(X), size=(n, shape[0]))]
                params[name] -= np.einsum("shp,sph->sh", rows, params["W1"])
    if "noise" in objective.names:
        params["noise"] = np.full(n, max(np.std(y), 1e-8)) * rng.uniform(0.3, 1.0, size=n)
    if "cutpoints" in objective.names:
        below = np.cumsum(np.bincount(y))[:-1] / len(y)
        params["cutpoints"] = np.broadcast_to(np.log(below / (1 - below)), (n, len(below)))
    return objective.pack(params)


def _level(net, y, m):
    """Output bias at which the network starts: the level of the targets."""
    if net.loss.name == "gaussian_nll":
        return np.array([np.mean(y), np.log(max(np.std(y), 1e-8))])
    if net.loss.task == "regression":
        return np.mean(y, axis=0)
    if net.loss.task == "count":
        return np.log(max(np.mean(y), 0.1))
    return np.zeros(m)


def _finish(problem, objective, best, kinks):
    """Hand the best end point to `pm.find_MAP`; keep whichever point is higher, and PyMC's own record."""
    import pymc as pm

    if objective.size == 0:
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
    covariance = np.full((objective.size, objective.size), np.nan)
    hessian = objective.hessian(x) if objective.size else np.zeros((0, 0))
    definite = False
    regular = regular and problem.net.loss.smooth and unheld(x, kinks).all()
    if objective.size and regular and np.isfinite(hessian).all():
        eigenvalues = np.linalg.eigvalsh(hessian)
        definite = bool(eigenvalues.min() > 1e-8 * eigenvalues.max())
    if definite:
        slopes = objective.slopes(x)
        covariance = slopes @ np.linalg.inv(hessian) @ slopes.T
    flat = np.sqrt(np.diag(covariance))
    errors = {
        name: flat[objective.offsets[i] : objective.offsets[i + 1]].reshape(shape)
        for i, (name, shape) in enumerate(zip(objective.names, objective.shapes, strict=True))
    }
    out = to_dataset(errors, problem, {})
    out.attrs["definite"] = int(definite)
    return out
