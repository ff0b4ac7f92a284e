"""MLE and MAP: many starts through one compiled gradient, an audit of every end point, the best finished by PyMC."""

import time
import warnings
from dataclasses import replace

import numpy as np

from bayesnn.errors import ConvergenceWarning, FitError, NoMAPError, NoMLEError, SpecError
from bayesnn.fitting.density import log_density
from bayesnn.fitting.existence import evidence_of, existence_of
from bayesnn.fitting.objective import Objective
from bayesnn.fitting.progress import announce, bar
from bayesnn.fitting.remedies import remedy_of
from bayesnn.model import model_of
from bayesnn.priors import Flat, Hierarchical
from bayesnn.tree import make_tree, prepare, to_dataset

SIGNATURES = ("minimum", "flat", "saddle", "kink")


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
            "scale, or a fixed scale, prior=bnn.Normal(1.0)."
        )
    return _fit_point("map", problem, restarts, random_seed, nonexistent, maxiter, progressbar)


def _fit_point(kind, problem, restarts, random_seed, nonexistent, maxiter, progressbar):
    if nonexistent not in ("raise", "flag"):
        raise SpecError(f"Got nonexistent={nonexistent!r}; it must be 'raise' or 'flag'.")
    if isinstance(restarts, bool) or int(restarts) != restarts or restarts < 1:
        raise SpecError(f"Got restarts={restarts!r}; it must be a positive integer. Twenty is a good start.")
    began = time.perf_counter()
    free = replace(problem, net=problem.net.flat) if kind == "mle" else problem
    unpenalised = isinstance(free.net.prior, Flat)
    existence = existence_of(free) if not free.net.prior.proper else None
    if existence is not None and existence.exists is False and nonexistent == "raise":
        raise _missing(kind, problem, existence)

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
    if existence is None or existence.exists is not False:
        existence = evidence_of(free, objective.unpack(ends[best]))
        separated = "smallest_margin" in existence.numbers
        if existence.exists is False and separated and not unpenalised:
            existence = replace(existence, exists=None)
    if existence.exists is False and nonexistent == "raise":
        raise _missing(kind, problem, existence)

    groups = {}
    if existence.exists is not False:
        ends[best], groups = _finish(free, objective, ends[best], kinks)
        (values[best],), audit_best = audit_ends(objective, ends[best : best + 1], kinks=kinks)
        for name in audit if audit["signature"][best] != "kink" else ("gradient_norm",):
            audit[name][best] = audit_best[name][0]
    message = _verdict(kind, existence, values, audit, iterations, maxiter, np.linalg.norm(ends[best]))
    params = objective.unpack(ends)
    point = {name: value[best][None, None] for name, value in params.items()}
    optima = to_dataset(params, problem, {"start": np.arange(len(ends))})
    loglik = problem.net.log_likelihood(params, problem.X, problem.y).sum(axis=-1)
    optima["log_likelihood"] = ("start", loglik)
    # An MLE has no learned scales at which a hierarchical prior could be evaluated.
    unknown = isinstance(problem.net.prior, Hierarchical)
    log_prior = np.nan if unknown else np.asarray(problem.net.log_prior(params))
    optima["log_prior"] = ("start", log_prior + np.zeros(len(ends)))
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
            "bayesnn_exists": int(existence.exists is not False),
            "bayesnn_message": message,
            "bayesnn_restarts": int(restarts),
            "sampling_time": time.perf_counter() - began,
        },
    )


def _missing(kind, problem, existence):
    error = NoMLEError if kind == "mle" else NoMAPError
    shown = ", ".join(f"{k} {v:.4g}" for k, v in existence.numbers.items() if np.ndim(v) == 0)
    return error(
        f"No {kind.upper()} exists: {existence.reason} ({shown}). {remedy_of(kind, problem, existence)} Or pass "
        "nonexistent='flag' to look at the last iterate.",
        reason=existence.reason,
        **existence.numbers,
    )


def _verdict(kind, existence, values, audit, iterations, maxiter, norm):
    """Say in words what the audit found, and warn where the estimate is not to be trusted."""
    good = values <= values.min() + 1e-6 * max(1.0, abs(values.min()))
    converged = audit["converged"]
    limited = int((iterations >= maxiter).sum())
    counts = ", ".join(f"{k} {s}" for s in SIGNATURES if (k := int((audit["signature"] == s).sum())))
    reached = f"{int(good.sum())} reached the best value."
    message = f"{int(converged.sum())} of {len(values)} starts converged ({counts}); {reached}"
    trouble = ""
    if existence.exists is False:
        trouble = f"No {kind.upper()} exists: {existence.reason}. What is returned is the last iterate."
    elif not converged[good].any():
        slope = audit["gradient_norm"][good].min()
        trouble = (
            f"The best of {len(values)} starts has not converged (gradient norm {slope:.2g}, parameter norm "
            f"{norm:.4g}; {limited} hit the limit of {maxiter} iterations). Large and growing weights mean a supremum "
            "that is only approached at infinity. Raise maxiter, or use a prior (fit_map)."
        )
    elif converged.sum() * 2 < len(values):
        trouble = f"Only {message} Raise maxiter."
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


def climb(objective, start, *, kinks, smooth, maxiter):
    """Minimise from one start by L-BFGS, then by Newton steps while they help.

    Under an L1 penalty each weight is written as the difference of two bounded ones, which makes the function
    smooth and finds weights that are exactly zero. Where the loss or the activation has kinks, a search that ends
    at one is restarted until it no longer improves, and a small problem is finished by Nelder and Mead's simplex,
    which needs no gradient.

    Parameters
    ----------
    objective : Objective
        The negative log density.
    start : array (size,)
        Where to begin.
    kinks : array (size,)
        Slope of the penalty at zero.
    smooth : bool
        Whether loss and activation have a gradient everywhere.
    maxiter : int
        Iterations of L-BFGS.

    Returns
    -------
    array (size,)
        The end point.
    int
        Iterations used.
    bool
        Whether the search ended by itself, and not at a limit.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    size = objective.size
    if size == 0:
        return start, 0, True
    options = {"maxiter": maxiter, "maxfun": 2 * maxiter, "maxcor": 30, "ftol": 1e-13, "gtol": 1e-7}
    sharp = np.flatnonzero(kinks)

    def split(z):
        x = z[:size].copy()
        x[sharp] -= z[size:]
        value, gradient = objective(x)
        value += kinks[sharp] @ (z[sharp] + z[size:] - np.abs(x[sharp]))
        smooth = gradient[sharp] - kinks[sharp] * np.sign(x[sharp])
        gradient[sharp] = smooth + kinks[sharp]
        return value, np.concatenate([gradient, kinks[sharp] - smooth])

    # Threaded BLAS collapses on vectors this short when another process is running.
    with threadpool_limits(1), np.errstate(all="ignore"):
        if not len(sharp):
            # Newton's steps end a search sooner than L-BFGS does, wherever the Hessian is definite.
            result = minimize(objective, start, jac=True, method="L-BFGS-B", options={**options, "ftol": 1e-9})
            x, iterations = _newton(objective, result.x, kinks), result.nit
            if np.abs(objective(x)[1]).max() < 1e-7 or iterations >= maxiter:
                return x, iterations, iterations < maxiter
            result = minimize(objective, x, jac=True, method="L-BFGS-B", options=options)
            iterations += result.nit
            x = _newton(objective, result.x, kinks)
            if smooth or np.abs(objective(x)[1]).max() < 1e-7:
                return x, iterations, result.success
            x, more, settled = _restart(objective, x, options)
            return x, iterations + more, settled
        bounds = [(0.0, None) if kinks[j] else (None, None) for j in range(size)] + [(0.0, None)] * len(sharp)
        z = np.concatenate([start, np.maximum(-start[sharp], 0.0)])
        z[sharp] = np.maximum(start[sharp], 0.0)
        result = minimize(split, z, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        x = result.x[:size].copy()
        x[sharp] -= result.x[size:]
        if smooth:
            return _newton(objective, x, kinks), result.nit, result.success
        x, more, settled = _restart(objective, x, options)
        return _settle(objective, x, kinks), result.nit + more, settled


def _restart(objective, x, options):
    """Search on from a kink, where L-BFGS stops early, until a restart brings nothing."""
    from scipy.optimize import minimize

    value, iterations, idle = objective(x)[0], 0, 0
    for attempt in range(30):
        result = minimize(objective, x, jac=True, method="L-BFGS-B", options=options)
        if objective.size <= 12:
            # A simplex can collapse beside the optimum: three sizes must fail before it counts as found.
            corners = np.vstack([np.zeros(objective.size), 0.1 ** (1 + attempt % 3) * np.eye(objective.size)])
            limits = {"xatol": 1e-11, "fatol": 1e-13, "maxiter": 400 * objective.size, "adaptive": True}
            limits["initial_simplex"] = result.x + corners
            result = minimize(lambda x: objective(x)[0], result.x, method="Nelder-Mead", options=limits)
        iterations += result.nit
        gain = value - result.fun
        if gain > 0:
            x, value = result.x, result.fun
        idle = idle + 1 if gain <= 1e-10 * max(1.0, abs(value)) else 0
        if idle == (3 if objective.size <= 12 else 1):
            return x, iterations, True
    return x, iterations, False


def _settle(objective, x, kinks):
    """Put weights that an L1 penalty holds near zero at zero, where that is no worse."""
    rounded = np.where((kinks > 0) & (np.abs(x) < 1e-6), 0.0, x)
    return rounded if objective(rounded)[0] <= objective(x)[0] else x


def _free(x, kinks):
    """Elements that are not held at the kink of their penalty."""
    return ~((kinks > 0) & (x == 0))


def _slope(gradient, x, kinks):
    """Gradient, or where a weight sits at the kink of its penalty, what exceeds the slopes on either side."""
    held = np.sign(gradient) * np.maximum(np.abs(gradient) - kinks, 0.0)
    return np.where(_free(x, kinks), gradient, held)


def _newton(objective, x, kinks, *, steps=8):
    """Sharpen a minimum to rounding error, in the directions in which the Hessian is definite."""
    value, gradient = objective(x)
    for _ in range(steps):
        free = _free(x, kinks)
        if not np.isfinite(value) or not free.any() or np.abs(gradient[free]).max() < 1e-13:
            break
        hessian = objective.hessian(x)[np.ix_(free, free)]
        if not np.isfinite(hessian).all():
            break
        eigenvalues, vectors = np.linalg.eigh(hessian)
        if eigenvalues.min() < -1e-6 * eigenvalues.max():
            break
        curved = eigenvalues > 1e-9 * eigenvalues.max()
        new = x.copy()
        new[free] -= vectors[:, curved] @ ((vectors[:, curved].T @ gradient[free]) / eigenvalues[curved])
        new_value, new_gradient = objective(new)
        # Far from the minimum the value falls while the gradient may rise; near it only the gradient tells.
        rounding = 1e-12 * max(1.0, abs(value))
        flatter = np.abs(new_gradient[free]).max() < np.abs(gradient[free]).max()
        if not (new_value < value - rounding or (flatter and new_value <= value + rounding)):
            break
        x, value, gradient = new, new_value, new_gradient
    return x


def audit_ends(objective, ends, *, kinks):
    """Value, gradient norm, Hessian signature and convergence flag of each end point.

    Parameters
    ----------
    objective : Objective
        The negative log density.
    ends : array (n, size)
        Where the starts ended.
    kinks : array (size,)
        Slope of the penalty at zero; weights that are exactly zero under an L1 penalty are left out of the
        Hessian.

    Returns
    -------
    array (n,)
        Negative log densities.
    dict of str to array (n,)
        ``gradient_norm``, ``converged``, ``signature`` (minimum: all eigenvalues positive; flat: some vanish;
        saddle: some negative; kink: the loss has no second derivatives), ``n_negative`` and ``n_zero`` eigenvalues.
    """
    n = len(ends)
    values = np.full(n, np.inf)
    audit = {
        "gradient_norm": np.full(n, np.nan),
        "converged": np.zeros(n, dtype=bool),
        "signature": np.full(n, "flat", dtype="<U7"),
        "n_negative": np.zeros(n, dtype=int),
        "n_zero": np.zeros(n, dtype=int),
    }
    for i, x in enumerate(ends):
        values[i], gradient = objective(x)
        norm = float(np.linalg.norm(_slope(gradient, x, kinks)))
        if not np.isfinite(values[i]):
            continue
        audit["gradient_norm"][i] = norm
        free = _free(x, kinks)
        hessian = objective.hessian(x)[np.ix_(free, free)]
        if np.isfinite(hessian).all():
            eigenvalues = np.linalg.eigvalsh(hessian) if free.any() else np.ones(1)
            zero = 1e-8 * np.abs(eigenvalues).max()
            audit["n_negative"][i] = int((eigenvalues < -zero).sum())
            audit["n_zero"][i] = int((np.abs(eigenvalues) <= zero).sum())
            audit["signature"][i] = "saddle" if audit["n_negative"][i] else "flat" if audit["n_zero"][i] else "minimum"
            small = norm <= 1e-6 * max(1.0, abs(values[i])) ** 0.5
            audit["converged"][i] = small and audit["n_negative"][i] == 0
    return values, audit


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
    polished = _settle(objective, _newton(objective, objective.pack(params), kinks), kinks)
    better = polished if objective(polished)[0] < objective(best)[0] else best
    return better, {name: found[name].to_dataset() for name in ("fit", "optimizer_result")}


def _standard_errors(problem, objective, x, kinks, regular):
    """Square roots of the inverse Hessian's diagonal in the parameters' own units; NaN where it is not definite."""
    covariance = np.full((objective.size, objective.size), np.nan)
    hessian = objective.hessian(x) if objective.size else np.zeros((0, 0))
    definite = False
    regular = regular and problem.net.loss.smooth and _free(x, kinks).all()
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
