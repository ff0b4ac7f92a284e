"""From a fit and new inputs to means, intervals, the parts of the variance, and scores."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import check_arguments
from bayesnn.data import Dataset, check_rows
from bayesnn.data.target import check_known, known_of, values_of
from bayesnn.errors import SpecError
from bayesnn.network import MLP, Params
from bayesnn.tree import (
    Inputs,
    Problem,
    Rows,
    dataset_rows,
    is_unbounded,
    new_inputs,
    new_targets,
    params_of,
    problem_of,
)

if TYPE_CHECKING:
    import xarray as xr


_CHUNK = 1_000_000
"""Most numbers that one block of rows may take, draws included: 8 MB."""
_BESIDE = 50
"""Numbers of a row beside those of the draws, while its quantiles are searched for."""


def predict(
    fit: "xr.DataTree",
    X_new: Inputs | None = None,
    *,
    rows: Rows = None,
    prob: float | None = 0.9,
    exposure: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    precision: ArrayLike | None = None,
) -> "xr.Dataset":
    r"""Predict at new inputs, with what is uncertain and why.

    A point estimate predicts with one weight vector, a posterior with the mixture over its draws,
    :math:`p(y \mid x) = \frac1S \sum_s p(y \mid x, \theta_s)`. The total variance of a number splits into the mean
    of the likelihood's variance (aleatoric) and the variance of its mean over the draws (epistemic); the entropy
    of a label into the mean of the likelihood's entropy and the mutual information between label and weights.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit_mle`, `fit_map` or `fit_posterior`, or read back from a file.
    X_new : array (n, p), DataFrame or Dataset, optional
        Inputs in the user's units; a Dataset brings its held-out rows. Categories, booleans and missing values of a
        DataFrame are coded as those of the fit. None predicts at the inputs of the fit.
    rows : {"test", "train"}, optional
        Which rows of a Dataset; the held-out ones if left out.
    prob : float or None
        Probability of the equal-tailed intervals; None leaves them out, which take most of the time.
    exposure, trials, precision : array (n,) or float, optional
        What is known of new rows, as for `bnn.target`: 1 if not given, so that a count is predicted for one unit of
        exposure, and successes for one trial. At the inputs of the fit, or those of a Dataset, its own.

    Returns
    -------
    xarray.Dataset
        In the user's units. Numbers: ``mean``, ``lower`` and ``upper`` (interval of a new observation),
        ``mean_lower`` and ``mean_upper`` (interval of its expectation), ``variance_total``,
        ``variance_epistemic``, ``variance_aleatoric``, each (obs, output). Labels: ``probability``
        (obs, class), ``label``, ``entropy``, ``entropy_aleatoric``, ``mutual_information``, in nats.

        A likelihood without a mean, such as Cauchy's, has ``median``, ``median_lower`` and ``median_upper`` in place of
        ``mean``, ``mean_lower`` and ``mean_upper``, and infinite variances.

        A fit whose maximum is only approached at infinity predicts as its limit does; where the density grows
        without bound, as the point at which the search ended, which is arbitrary.

    Raises
    ------
    FitError
        Not a bayesnn fit.
    DataError
        Inputs that break a rule, or hold a level that was not fitted.
    SpecError
        A probability that is none, a Dataset without held-out rows, or `rows` without a Dataset.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> node = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False)
    >>> map_ = bnn.fit_map(node, [-2, -1, 0.5, 1, 2], [0, 1, 0, 1, 1], restarts=3, random_seed=1, progressbar=False)
    >>> bnn.predict(map_, [[1.5]]).probability.round(4).values
    array([[0.3156, 0.6844]])
    """
    import xarray as xr

    if prob is not None:
        check_arguments(prob=prob)
    problem = problem_of(fit)
    own = X_new is None and rows is None
    X = problem.X if own else new_inputs(problem, X_new, rows=rows)
    given = {"exposure": exposure, "trials": trials, "precision": precision}
    known = {name: check_known(name, values, len(X)) for name, values in given.items() if values is not None}
    problem.net.loss.check_given(known | dict.fromkeys(problem.net.loss.needed, np.ones(1)))
    if own:
        known = known_of(problem.y) | known
    elif isinstance(X_new, Dataset):
        known = known_of(dataset_rows(X_new, rows)[1]) | known
    params, forward = draws_of(fit, problem)
    one = _numbers if problem.net.loss.task in ("regression", "count") else _labels
    blocks = [
        one(problem, params, forward(X[rows]), prob, {name: values[rows] for name, values in known.items()})
        for rows in _rows(params, X)
    ]
    merged = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    coords: dict[str, Any] = {"obs": np.arange(len(X))}
    if one is _numbers:
        coords["output"] = list(problem.target_names)
        attrs = {} if prob is None else {"prob": prob}
        return xr.Dataset({k: (("obs", "output"), v) for k, v in merged.items()}, coords=coords, attrs=attrs)
    coords["class"] = list(problem.class_names)
    dims = {"probability": ("obs", "class")}
    return xr.Dataset({k: (dims.get(k, ("obs",)), v) for k, v in merged.items()}, coords=coords)


def score(
    fit: "xr.DataTree", X: Inputs | None = None, y: ArrayLike | None = None, *, rows: Rows = None
) -> dict[str, float]:
    r"""Score a fit on observations.

    The log pointwise predictive density of observation :math:`i` is
    :math:`\log \frac1S \sum_s p(y_i \mid x_i, \theta_s)`, by log-sum-exp over the draws; for a point estimate it is
    the log-likelihood.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit_mle`, `fit_map` or `fit_posterior`.
    X, y : array (n, p) and array (n,) or (n, K), optional
        Observations in the user's units; a Dataset as `X` brings its held-out rows with their targets. Without any,
        the rows of the fit are scored.
    rows : {"test", "train"}, optional
        Which rows of a Dataset; the held-out ones if left out.

    Returns
    -------
    dict of str to float
        ``n``; ``rmse`` or ``accuracy`` of the mean (the median, where the likelihood has none) or most probable
        label; ``lppd`` for each observation, in nats
        and for densities in the user's units, with its standard error ``lppd_se``; ``calibration_error``. For
        numbers that is the mean distance between nominal and empirical coverage of the central intervals at
        levels .1 to .9, with ``coverage_90`` beside it; for labels the expected calibration error over ten bins
        of the largest probability, with the Brier score ``brier``, summed over all classes, beside it.

    Raises
    ------
    FitError
        Not a bayesnn fit.
    DataError
        Observations that break a rule.
    SpecError
        Only one of `X` and `y`, a Dataset without held-out rows, or `rows` without a Dataset.

    Notes
    -----
    Where a fit maximised a density that grows without bound (``MLE: unbounded``) there is no function to score: the
    in-sample LPPD of numbers is infinite, all else is NaN.

    References
    ----------
    A. Gelman, J. Hwang and A. Vehtari, "Understanding predictive information criteria for Bayesian models",
    Statistics and Computing 24 (2014).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> line = bnn.MLP(hidden=(), noise=0.3)
    >>> mle = bnn.fit_mle(line, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0], restarts=3, random_seed=1,
    ...                   progressbar=False)
    >>> round(bnn.score(mle)["rmse"], 4)
    0.1407
    """
    if isinstance(X, Dataset):
        if y is not None:
            raise SpecError("Got a Dataset and y; a Dataset brings its own targets. Leave y out.")
        y = dataset_rows(X, rows)[1]
    elif (X is None) != (y is None):
        raise SpecError("Got only one of X and y; a score needs both. Leave both out for the rows of the fit.")
    problem = problem_of(fit)
    in_sample = X is None and rows is None
    if in_sample:
        X, y = problem.X, problem.y
    else:
        X, y = new_inputs(problem, X, rows=rows), new_targets(problem, y)
        check_rows(X, y)
    params, forward = draws_of(fit, problem)
    net, loss = problem.net, problem.net.loss
    log_density, outcome, certainty = [], [], []
    for rows in _rows(params, X):
        f = forward(X[rows])
        args = net.likelihood_args(params)
        log_density.append(log_mean_exp(loss.logp(y[rows], f, **args)))
        mean = loss.mean(f, **args, **known_of(y[rows])).mean(axis=0)
        outcome.append(mean)
        if loss.task in ("regression", "count"):
            certainty.append(_pit(loss, y[rows], f, args))
    log_density = np.concatenate(log_density) - problem.log_y_sd
    mean = np.concatenate(outcome)
    out: dict[str, float] = {"n": len(X)}
    if loss.task in ("regression", "count"):
        target = values_of(y)
        target = target if target.ndim == 2 else target[:, None]
        out["rmse"] = float(np.sqrt(np.mean(((mean - target) * problem.y_sd) ** 2)))
    else:
        out["accuracy"] = float(np.mean(mean.argmax(axis=1) == y))
    out["lppd"] = float(log_density.mean())
    out["lppd_se"] = float(log_density.std(ddof=1) / np.sqrt(len(log_density))) if len(log_density) > 1 else np.nan
    if loss.task in ("regression", "count"):
        distance = 2 * np.abs(np.concatenate(certainty) - 0.5)
        levels = np.arange(1, 10) / 10
        out["coverage_90"] = float(np.mean(distance <= 0.9))
        out["calibration_error"] = float(np.mean([abs(np.mean(distance <= p) - p) for p in levels]))
    else:
        out["brier"] = float(np.mean(np.sum((mean - np.eye(mean.shape[1])[y]) ** 2, axis=1)))
        out["calibration_error"] = _expected_calibration_error(mean, y)
    if is_unbounded(fit):
        # A probability, unlike a density, has a bound.
        sup = np.inf if in_sample and loss.task == "regression" else np.nan
        out = dict.fromkeys(out, np.nan) | {"n": len(X), "lppd": sup}
    return out


def log_likelihood_of(fit: "xr.DataTree") -> float:
    """Log-likelihood of the rows of a fit, of densities in the user's units.

    Parameters
    ----------
    fit : xarray.DataTree
        Any of the three answers.

    Returns
    -------
    float
        Of a posterior the mean over the draws; of a maximum at infinity that of the limit; infinite where the
        density of numbers is unbounded.
    """
    if is_unbounded(fit):
        return score(fit)["lppd"]
    if "limit" in fit:
        return fit["limit"]["log_likelihood"].item()
    return float(np.mean(problem_of(fit).log_likelihood(params_of(fit))))


def pointwise_log_likelihood(fit: "xr.DataTree") -> np.ndarray:
    """Log-likelihood of each row of a fit at each draw, of densities in the user's units.

    Parameters
    ----------
    fit : xarray.DataTree
        Any of the three answers.

    Returns
    -------
    array (chain, draw, obs)
        Natural logarithms.
    """
    problem = problem_of(fit)
    return problem.net.log_likelihood(params_of(fit), problem.X, problem.y) - problem.log_y_sd


def predictive_log_density(fit: "xr.DataTree", X: Inputs, y: ArrayLike) -> np.ndarray:
    """Log predictive density of each observation, over the draws of a fit: the terms of the LPPD.

    Two fits are compared row by row, since both find the same rows hard.

    Parameters
    ----------
    fit : xarray.DataTree
        Any of the three answers.
    X, y : array (n, p) and array (n,) or (n, K)
        Observations in the user's units.

    Returns
    -------
    array (n,)
        Natural logarithms, of densities in the user's units; NaN where a fit is unbounded, and has no function.
    """
    problem = problem_of(fit)
    X, y = new_inputs(problem, X), new_targets(problem, y)
    check_rows(X, y)
    if is_unbounded(fit):
        return np.full(len(X), np.nan)
    params, forward = draws_of(fit, problem)
    args = problem.net.likelihood_args(params)
    parts = [log_mean_exp(problem.net.loss.logp(y[rows], forward(X[rows]), **args)) for rows in _rows(params, X)]
    return np.concatenate(parts) - problem.log_y_sd


def centre_of(predictions: "xr.Dataset") -> str:
    """Name the variable of `predict` that says where a number is expected.

    Parameters
    ----------
    predictions : xarray.Dataset
        Of numbers.

    Returns
    -------
    {"mean", "median"}
        The median where the likelihood has no mean.
    """
    return "mean" if "mean" in predictions else "median"


def log_mean_exp(log_density: np.ndarray) -> np.ndarray:
    """Logarithm of the mean over the first axis of exponentials, without underflow.

    Parameters
    ----------
    log_density : array (S, ...)
        Natural logarithms.

    Returns
    -------
    array (...)
        Natural logarithms of the means.
    """
    return np.logaddexp.reduce(log_density, axis=0) - np.log(len(log_density))


def linearised(net: MLP, params: Params, centre: Params, X: ArrayLike) -> np.ndarray:
    """Evaluate a network's first-order expansion about other weights.

    Parameters
    ----------
    net : MLP
        The network.
    params, centre : dict of str to array
        Where to evaluate it, and about where to expand, as for `MLP.forward`.
    X : array (n, p)
        Inputs, in the units the model works in.

    Returns
    -------
    array (..., n, m)
        The network's outputs at `centre`, with the change to first order in the weights.
    """
    h, dh = np.asarray(X, dtype=float), 0.0
    for layer in range(1, net.n_layers + 1):
        W, b = centre[f"W{layer}"], f"b{layer}"
        h, dh = h @ W, h @ (params[f"W{layer}"] - W) + (dh @ W if layer > 1 else 0.0)
        if net.has_bias(layer):
            h, dh = h + centre[b][..., None, :], dh + (params[b] - centre[b])[..., None, :]
        if layer < net.n_layers:
            h, dh = net.phi(h), net.phi.formula.slope(h) * dh
    return h + dh


def draws_of(
    fit: "xr.DataTree", problem: Problem, *, at: np.ndarray | None = None
) -> tuple[Params, Callable[[np.ndarray], np.ndarray]]:
    """Draws of a fit, in one row, and how the network is evaluated at them.

    Parameters
    ----------
    fit : xarray.DataTree
        A fit.
    problem : Problem
        What was fitted.
    at : array of int, optional
        Which draws, counted through all chains; None takes all of them.

    Returns
    -------
    params : dict of str to array
        With one leading dimension.
    forward : callable
        From inputs (n, p), in the units the model works in, to outputs (draw, n, m).
    """
    if not fit.attrs.get("bayesnn_linearised"):
        params = _flat(params_of(fit), at)
        return params, lambda X: problem.net.forward(params, X)
    # The centres are copies of modes by the same symmetries as the draws, before any alignment.
    params = _flat(params_of(fit, group="posterior_raw" if "posterior_raw" in fit else "posterior"), at)
    centre = _flat(params_of(fit, group="centre"), at)
    return params, lambda X: linearised(problem.net, params, centre, X)


def some_draws(fit: "xr.DataTree", most: int) -> np.ndarray:
    """Choose up to `most` draws of a fit, evenly spread over all chains.

    Parameters
    ----------
    fit : xarray.DataTree
        A fit; a point is its only draw.
    most : int
        How many.

    Returns
    -------
    array of int
        Counted through all chains, as `draws_of` takes them.
    """
    sizes = fit["posterior"].sizes
    total = sizes["chain"] * sizes["draw"]
    return np.unique(np.linspace(0, total - 1, most).astype(int))


def replicates(
    fit: "xr.DataTree",
    X: np.ndarray,
    *,
    draws: int,
    rng: np.random.Generator,
    known: Mapping[str, np.ndarray] | None = None,
) -> np.ndarray:
    """Draw data sets from a fit: what it expects other observations of the same rows to be.

    Parameters
    ----------
    fit : xarray.DataTree
        A fit; a posterior gives each data set another draw, as far as there are enough.
    X : array (n, p)
        Inputs, in the units the model works in.
    draws : int
        How many data sets.
    rng : numpy.random.Generator
        Source of randomness.
    known : dict of str to array (n,), optional
        What is known of the rows, as of `known_of`.

    Returns
    -------
    array (draws, n) or (draws, n, K)
        Targets in the user's units.
    """
    problem = problem_of(fit)
    at = np.resize(some_draws(fit, draws), draws)
    params, forward = draws_of(fit, problem, at=at)
    y = problem.net.loss.sample(forward(X), rng, **problem.net.likelihood_args(params), **(known or {}))
    return y if problem.scaling is None else problem.scaling.inverse_y(y)


def pit_of(fit: "xr.DataTree", X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Evaluate the predictive distribution function at what was observed: uniform numbers, if the fit is right.

    Parameters
    ----------
    fit : xarray.DataTree
        A fit of numbers.
    X : array (n, p)
        Inputs, in the units the model works in.
    y : array (n,) or (n, K)
        What was observed, in these units.

    Returns
    -------
    array (n, K)
        Probability integral transforms; for counts the middle of the jump.
    """
    problem = problem_of(fit)
    params, forward = draws_of(fit, problem)
    args = problem.net.likelihood_args(params)
    return np.concatenate([_pit(problem.net.loss, y[r], forward(X[r]), args) for r in _rows(params, X)])


def _flat(params, at=None):
    """Chains and draws as one axis, and of it some."""
    flat = {k: v.reshape(v.shape[0] * v.shape[1], *v.shape[2:]) for k, v in params.items()}
    return flat if at is None else {k: v[at] for k, v in flat.items()}


def _rows(params, X):
    """Slices of rows for which all draws fit into memory."""
    draws = len(next(iter(params.values())))
    width = max(v.shape[-1] if v.ndim > 1 else 1 for v in params.values())
    size = max(1, _CHUNK // (draws * width + _BESIDE))
    return [slice(i, i + size) for i in range(0, len(X), size)]


def _numbers(problem, params, f, prob, known):
    loss = problem.net.loss
    args = problem.net.likelihood_args(params)
    mean = loss.mean(f, **args, **known)
    noise = {"noise": args["noise"]} if "noise" in args else {}
    aleatoric = loss.variance(f, **noise, **known).mean(axis=0) + np.zeros(mean.shape[1:])
    epistemic = mean.var(axis=0)
    centre, total = "mean" if loss.has_mean else "median", epistemic + aleatoric
    out = {centre: mean.mean(axis=0) if loss.has_mean else _quantile(loss, f, args, known, 0.5, mean, total)}
    if prob is not None:
        tails = [(1 - prob) / 2, (1 + prob) / 2]
        out["lower"], out["upper"] = (_quantile(loss, f, args, known, p, mean, total) for p in tails)
        out[f"{centre}_lower"], out[f"{centre}_upper"] = np.quantile(mean, tails, axis=0)
    variances = {
        "variance_total": epistemic + aleatoric,
        "variance_epistemic": epistemic,
        "variance_aleatoric": aleatoric,
    }
    if problem.scaling is not None and problem.scaling.y_sd is not None:
        out = {k: problem.scaling.inverse_y(v) for k, v in out.items()}
        variances = {k: v * np.square(problem.scaling.y_sd) for k, v in variances.items()}
    return out | variances


def _quantile(loss, f, args, known, p, mean, variance):
    """Quantile of the mixture over the draws: where its distribution function has this value."""

    def below(at):
        return loss.cdf(at, f, **args, **known).mean(axis=0) < p

    heavy = np.ptp(mean, axis=0) + np.max(args.get("noise", 1.0))
    width = np.where(np.isfinite(variance), np.sqrt(variance), heavy)
    low, high = mean.min(axis=0) - width, mean.max(axis=0) + width
    if loss.task == "count":
        low = np.full_like(low, -1.0)
    # A tail without variance may reach far beyond any multiple of the scale: widen until the quantile is inside.
    for _ in range(200):
        short, over = below(high), ~below(low)
        if not (short.any() or over.any()):
            break
        width = 2 * width
        low, high = np.where(over, low - width, low), np.where(short, high + width, high)
    if loss.task != "count":
        return _crossing(loss, f, args, known, p, low, high)
    while (high - low > 0.5).any():
        middle = (low + high) / 2
        left = below(middle)
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    return np.ceil(low) + 0.0


def _crossing(loss, f, args, known, p, low, high):
    """Find where the distribution function of the mixture crosses a value between two bounds."""
    from scipy.optimize.elementwise import find_root

    def above(at, k):
        rows, column = np.divmod(k.astype(int), low.shape[1])
        part = f[:, rows] if loss.scale_is_output else f[:, rows, column][..., None]
        here = {name: values[rows] for name, values in known.items()}
        return loss.cdf(at[:, None], part, **args, **here).mean(axis=0)[:, 0] - p

    return find_root(above, (low.ravel(), high.ravel()), args=(np.arange(low.size),)).x.reshape(low.shape)


def _pit(loss, y, f, args):
    """Distribution function of the mixture at the observations; for counts the middle of its jump."""
    known, y = known_of(y), values_of(y)
    at = y if y.ndim == 2 else y[:, None]
    pit = loss.cdf(at, f, **args, **known).mean(axis=0)
    if loss.task == "count":
        pit = (pit + loss.cdf(at - 1, f, **args, **known).mean(axis=0)) / 2
    return pit


def _labels(problem, params, f, prob, known):
    loss = problem.net.loss
    each = loss.mean(f, **problem.net.likelihood_args(params))
    probability = each.mean(axis=0)
    entropy, aleatoric = _entropy(probability), _entropy(each).mean(axis=0)
    return {
        "probability": probability,
        "label": probability.argmax(axis=1),
        "entropy": entropy,
        "entropy_aleatoric": aleatoric,
        "mutual_information": np.maximum(entropy - aleatoric, 0.0),
    }


def _entropy(probability):
    from scipy.special import entr

    return entr(probability).sum(axis=-1)


def _expected_calibration_error(probability, y, bins=10):
    top = probability.max(axis=1)
    right = probability.argmax(axis=1) == y
    bin_of = np.minimum((top * bins).astype(int), bins - 1)
    return float(
        sum(abs(right[bin_of == b].mean() - top[bin_of == b].mean()) * np.mean(bin_of == b) for b in np.unique(bin_of))
    )
