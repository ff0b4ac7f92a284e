"""Approximations that stand in for a posterior: the end points of many starts, and variational inference.

Monte Carlo dropout is not among them: its spread is set by the dropout rate, does not shrink as data come, and belongs
to a prior that is not the network's.
"""

import time
import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import Seed, check_arguments, check_name, rng_of
from bayesnn.errors import ConvergenceWarning, FitError, SpecError
from bayesnn.fitting.density import log_density
from bayesnn.fitting.expense import check_memory
from bayesnn.fitting.posterior import add_log_densities, check_proper
from bayesnn.model import model_of
from bayesnn.network import MLP
from bayesnn.symmetry.optima import compared_rows, function_labels, mean_at
from bayesnn.tree import Inputs, ScalingChoice, kind_of, make_tree, params_of, prepare, problem_of, to_dataset

if TYPE_CHECKING:
    import xarray as xr

WEIGHTS = ("equal", "likelihood")
METHODS = ("advi", "fullrank_advi")
REPEATED = 1000
"""Draws among which the members of a weighted ensemble are repeated, each by its weight."""
RATE = 0.05
"""Learning rate of Adam in units of the unconstrained parameters; in the second half it falls to a thousandth."""
DRIFT, DRIFT_SES = 0.1, 4.0
"""Change of the lower bound, in nats and in standard errors, above which it is still rising."""


def deep_ensemble(fit: "xr.DataTree", *, weights: Literal["equal", "likelihood"] = "equal") -> "xr.DataTree":
    r"""Take the end points of many starts for draws from a posterior: a deep ensemble.

    Its spread is that of the optima which random starts happen to reach. How often each is reached depends on where
    starts are drawn, not on how probable it is, and within a mode there is no spread at all.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit_mle` or `fit_map`: each start is a member.
    weights : {"equal", "likelihood"}
        Each member once, or each in proportion to its likelihood, :math:`p(y \mid \theta_k)`, by repeating it among
        1,000 draws.

    Returns
    -------
    xarray.DataTree
        A posterior of one chain, whose draws are the starts that converged. ``sample_stats`` has the ``start`` of each
        draw; ``ensemble`` the ``weight`` and ``log_likelihood`` of each start; ``bayesnn_message`` says how many
        functions there are.

    Raises
    ------
    SpecError
        A posterior, which needs no ensemble.
    FitError
        Not a fit, or one of which no start has converged.
    UnknownNameError
        Other weights.

    References
    ----------
    B. Lakshminarayanan, A. Pritzel and C. Blundell, "Simple and scalable predictive uncertainty estimation using deep
    ensembles", NeurIPS 2017.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> map_ = bnn.fit_map(bnn.MLP((2,), noise=0.2), data.X, data.y, restarts=6, random_seed=1, progressbar=False)
    >>> bnn.deep_ensemble(map_).posterior.sizes["draw"]
    6
    """
    import xarray as xr

    check_name("weights", weights, WEIGHTS)
    kind, problem = kind_of(fit), problem_of(fit)
    if kind == "posterior":
        raise SpecError("Got a posterior; an ensemble is made of starts. Pass the tree of fit_mle or fit_map.")
    params, optima = params_of(fit, group="optima", batch=("start",)), fit["optima"].to_dataset()
    log_likelihood = optima["log_likelihood"].to_numpy()
    sound = optima["converged"].to_numpy().astype(bool) & np.isfinite(log_likelihood)
    if not sound.any():
        raise FitError(
            f"Got {len(sound)} starts, none of which has converged; an ensemble needs one at least. Raise maxiter, or "
            "use a prior (fit_map)."
        )
    share = np.where(sound, 1.0, 0.0)
    if weights == "likelihood":
        share[sound] = np.exp(log_likelihood[sound] - log_likelihood[sound].max())
    share /= share.sum()
    member = np.repeat(np.arange(len(share)), _times(share)) if weights == "likelihood" else np.flatnonzero(sound)
    functions = mean_at(problem.net, {k: v[sound] for k, v in params.items()}, compared_rows(problem.X))
    distinct = 1 + int(function_labels(functions).max())
    batch = {"chain": np.arange(1), "draw": np.arange(len(member))}
    stats = xr.Dataset({"start": (("chain", "draw"), optima["start"].to_numpy()[member][None])}, coords=batch)
    ensemble = xr.Dataset(
        {"weight": ("start", share), "log_likelihood": optima["log_likelihood"]}, coords={"start": optima["start"]}
    )
    return make_tree(
        "posterior",
        problem,
        to_dataset({k: v[member][None] for k, v in params.items()}, problem, batch),
        groups={"sample_stats": stats, "ensemble": ensemble},
        attrs={
            "bayesnn_sampler": "ensemble",
            "bayesnn_message": (
                f"Deep ensemble, weights {weights}: {int(sound.sum())} of {len(sound)} starts converged, to {distinct} "
                f"function{'s' if distinct > 1 else ''}; its effective number of members is "
                f"{1 / np.sum(share**2):.1f}. An approximation of unknown error."
            ),
            "sampling_time": float(fit.attrs.get("sampling_time", np.nan)),
        },
    )


def _times(share):
    """How often each member is repeated: by its weight, the largest remainders rounded up."""
    ideal = REPEATED * share
    times = np.floor(ideal).astype(int)
    times[np.argsort(times - ideal, kind="stable")[: REPEATED - times.sum()]] += 1
    return times


def fit_advi(
    net: MLP,
    X: Inputs,
    y: ArrayLike | None = None,
    *,
    method: Literal["advi", "fullrank_advi"] = "advi",
    iterations: int = 20_000,
    draws: int = 1000,
    chains: int = 4,
    random_seed: Seed = None,
    scaling: ScalingChoice = None,
    log_likelihood: bool = False,
    log_prior: bool = False,
    progressbar: bool = True,
) -> "xr.DataTree":
    r"""Approximate the posterior by one Gaussian that is as close to it as it can be: PyMC's ADVI.

    The Gaussian, of unconstrained coordinates, maximises the evidence lower bound
    :math:`E_q[\log p(y, \theta) - \log q(\theta)] \le \log p(y)`. It keeps to one copy of one mode, and a mean-field
    one has no correlations and is too narrow where weights are correlated.

    Parameters
    ----------
    net : MLP
        The network, with a proper prior.
    X : array (n, p), DataFrame or Dataset
        Inputs. A Dataset brings its training targets, names and scaling.
    y : array (n,) or (n, K), optional
        Targets, plain or from `bnn.target`; left out when `X` is a Dataset.
    method : {"advi", "fullrank_advi"}
        A Gaussian with a variance for each coordinate, or with all covariances.
    iterations : int
        Steps of Adam, each from one draw.
    draws, chains : int
        Independent draws to make, in rows of `draws`.
    random_seed : int or numpy.random.Generator, optional
        Seed of start, steps and draws.
    scaling : None, "standard", False or Scaling
        As for `fit_mle`.
    log_likelihood, log_prior : bool
        As for `fit_posterior`.
    progressbar : bool
        Show progress.

    Returns
    -------
    xarray.DataTree
        A posterior; ``bayesnn_elbo``, ``bayesnn_elbo_se`` are the lower bound on the log evidence, in the user's units,
        over the last tenth of the iterations; ``variational`` has the bound's noisy value at each iteration.

    Raises
    ------
    ImproperPriorError
        A flat prior.
    SpecError, DataError
        An argument or data that break a rule.

    Warns
    -----
    ConvergenceWarning
        The bound was still rising.

    References
    ----------
    A. Kucukelbir, D. Tran, R. Ranganath, A. Gelman and D. M. Blei, "Automatic differentiation variational inference",
    Journal of Machine Learning Research 18 (2017).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> line = bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(1.0))
    >>> X, y = [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0]
    >>> fit = bnn.fitting.fit_advi(line, X, y, random_seed=1, iterations=5000, progressbar=False)
    >>> round(fit.attrs["bayesnn_elbo"], 1)  # the log evidence is -3.66
    -3.7
    """
    import pymc as pm
    import pytensor
    import xarray as xr

    check_name("method", method, METHODS)
    check_arguments(
        iterations=iterations,
        draws=draws,
        chains=chains,
        log_likelihood=log_likelihood,
        log_prior=log_prior,
        progressbar=progressbar,
    )
    rng = rng_of(random_seed)
    problem = prepare(net, X, y, scaling=scaling)
    check_memory(problem, int(chains) * int(draws), log_likelihood=log_likelihood)
    check_proper(net)
    began = time.perf_counter()
    layout = log_density(problem, jacobian=True)
    # At its own initial point, all zeros, a network of odd units is at a saddle.
    start = layout.unpack(layout.prior_draw(int(rng.integers(2**31))))
    rate = pytensor.shared(RATE, name="rate")

    def slow_down(_approximation, _losses, i):
        # With a constant rate the noise of the gradients keeps the Gaussian away from its optimum.
        rate.set_value(RATE * 1e-3 ** max(0.0, 2 * i / iterations - 1))

    # A fused network has no rule for a batch of draws, by which ADVI replicates the model.
    found = pm.fit(
        int(iterations),
        method=method,
        model=model_of(problem, fused=False),
        random_seed=int(rng.integers(2**31)),
        start=start,
        obj_optimizer=pm.adam(learning_rate=rate),
        callbacks=[slow_down],
        progressbar=progressbar,
    )
    sample = found.sample(int(draws) * int(chains), random_seed=int(rng.integers(2**31)))["posterior"]
    batch = {"chain": np.arange(int(chains)), "draw": np.arange(int(draws))}
    params = {}
    for name in layout.names:
        value = sample[name].to_numpy()[0]
        params[name] = value.reshape(int(chains), int(draws), *value.shape[1:])
    bound = -problem.log_units - np.asarray(found.hist, dtype=float)
    parts = np.array_split(bound, 10)
    mean, error = ([f(part) for part in parts] for f in (np.mean, lambda part: part.std() / np.sqrt(len(part))))
    elbo, se = float(mean[-1]), float(error[-1])
    # At the end it stands still, for the steps are short by then.
    rise = float(mean[4] - mean[3])
    rising = rise > max(DRIFT, DRIFT_SES * float(np.hypot(error[3], error[4])))
    said = f"; it was still rising before the steps were shortened, by {rise:.2g}. Raise iterations" if rising else ""
    name = {"advi": "Mean-field ADVI", "fullrank_advi": "Full-rank ADVI"}[method]
    tree = make_tree(
        "posterior",
        problem,
        to_dataset(params, problem, batch),
        groups={"variational": xr.Dataset({"elbo": ("iteration", bound)})},
        attrs={
            "bayesnn_sampler": method,
            "bayesnn_elbo": elbo,
            "bayesnn_elbo_se": se,
            "bayesnn_message": f"{name}: one Gaussian about one copy of one mode, an approximation of unknown error; "
            f"evidence lower bound {elbo:.2f} ± {se:.2f}{said}.",
            "sampling_time": time.perf_counter() - began,
        },
    )
    add_log_densities(tree, problem, log_likelihood=log_likelihood, log_prior=log_prior)
    if rising:
        warnings.warn(tree.attrs["bayesnn_message"], ConvergenceWarning, stacklevel=2)
    return tree
