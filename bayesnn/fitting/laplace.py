"""The Laplace approximation: a Gaussian at every distinct mode of the posterior, and how far it is off."""

import time
import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import Seed, check_arguments, check_name, rng_of
from bayesnn.errors import ConvergenceWarning, SpecError
from bayesnn.fitting.density import log_density
from bayesnn.fitting.evidence import evidence_shift
from bayesnn.fitting.expense import check_memory
from bayesnn.fitting.objective import Objective
from bayesnn.fitting.peaks import find_peaks, range_of, weigh
from bayesnn.fitting.point import fit_map
from bayesnn.fitting.posterior import add_log_densities, check_proper
from bayesnn.network import MLP
from bayesnn.symmetry import apply_symmetry, random_symmetry
from bayesnn.tree import Inputs, ScalingChoice, make_tree, prepare, problem_of, to_dataset

if TYPE_CHECKING:
    import xarray as xr

COPIES = ("all", "one")
PARETO_MAX = 0.7
"""Largest Pareto k at which importance weights can be relied on (Vehtari et al. 2024)."""
OFF = 0.5
"""Nats by which the evidence may be off before it is warned of; our choice."""


def fit_laplace(
    net: MLP,
    X: Inputs,
    y: ArrayLike | None = None,
    *,
    draws: int = 1000,
    chains: int = 4,
    restarts: int = 20,
    copies: Literal["all", "one"] = "all",
    linearised: bool = False,
    maxiter: int = 2000,
    random_seed: Seed = None,
    scaling: ScalingChoice = None,
    log_likelihood: bool = False,
    log_prior: bool = False,
    progressbar: bool = True,
) -> "xr.DataTree":
    r"""Approximate the posterior by a Gaussian at each of its distinct modes.

    With the modes :math:`\theta_k`, the Hessian :math:`H_k` of the negative log joint density at each, and its number
    of distinct symmetric copies :math:`c_k` (group order / stabiliser), the evidence is approximated by

    .. math:: p(y) \approx \sum_k c_k\, p(y, \theta_k)\, (2\pi)^{d/2}\, |H_k|^{-1/2} ,

    whose terms, divided by their sum, are the weights of the modes. It is exact for a linear network with squared
    error, fixed noise and normal priors, and an approximation of unknown error for all else; how far it is off,
    importance weights tell.

    Parameters
    ----------
    net : MLP
        The network, with a proper prior.
    X : array (n, p), DataFrame or Dataset
        Inputs. A Dataset brings its training targets, names and scaling.
    y : array (n,) or (n, K), optional
        Targets, plain or from `bnn.target`; left out when `X` is a Dataset.
    draws, chains : int
        Independent draws to make, in rows of `draws`.
    restarts, maxiter : int
        As for `fit_map`, whose distinct optima the modes are found from.
    copies : {"all", "one"}
        Spread the draws over all symmetric copies of each mode, as the posterior is, or keep to one of each. Evidence
        and predictions are the same.
    linearised : bool
        Predict with the network's output linearised about the mode of each draw,
        :math:`f(x, \theta_k) + J(x, \theta_k)(\theta - \theta_k)` [1]_, in `predict` and all that is made of it. It
        avoids the wild functions of weights far from the mode.
    random_seed : int or numpy.random.Generator, optional
        Seed of starts and draws.
    scaling : None, "standard", False or Scaling
        As for `fit_mle`.
    log_likelihood, log_prior : bool
        As for `fit_posterior`.
    progressbar : bool
        Show progress on standard error.

    Returns
    -------
    xarray.DataTree
        A posterior, as `fit_posterior` gives it, with ``bayesnn_sampler`` "laplace". ``sample_stats`` has the ``mode``
        of each draw. ``laplace`` has for each mode, the best first: its parameters, ``log_joint`` (with Jacobians),
        ``eigenvalue`` of the Hessian, ``copies``, ``weight``, ``log_evidence`` (with all copies). The attributes:
        ``bayesnn_log_evidence``; ``bayesnn_log_evidence_se`` (0 where the approximation is exact, otherwise NaN: its
        error is no Monte Carlo error); ``bayesnn_log_evidence_weighted`` and ``..._weighted_se``, corrected by
        importance weights; ``bayesnn_pareto_k``, above 0.7 where these can't be relied on, nor the approximation;
        ``bayesnn_unmet``, why it is not to be trusted, empty where nothing is known against it; ``bayesnn_message``.

    Raises
    ------
    ImproperPriorError
        A flat prior.
    NoMAPError
        No mode exists, see `fit_map`.
    FitError
        No mode has a definite Hessian; its eigenvalues are in the message.
    SpecError, DataError
        An argument or data that break a rule.

    Warns
    -----
    ConvergenceWarning
        Importance weights by which the evidence is off, or which show the Gaussians to miss part of the posterior, with
        the eigenvalues of the flattest; modes that are left out because a direction is flat.

    See Also
    --------
    fit_posterior : With ``sampler="tempering"``, draws and evidence without this approximation.

    Notes
    -----
    The Gaussians are in unconstrained coordinates: weights and biases as they are, the logarithm of a learned noise,
    and of the steps between cutpoints. Modes are those of the density that is integrated there, Jacobian included, so
    that a learned noise is not at its MAP. Second derivatives are fourth-order differences of the exact gradient, right
    to about eleven digits.

    Importance weights are the posterior's density over that of Student-t densities (3 degrees of freedom) in place of
    the Gaussians, with all copies where the group has up to 400 elements, at 10,000 draws. Their mean estimates the
    evidence without bias; their Pareto k [2]_ says whether it can be trusted. They can't tell of a mode that no start
    has found.

    References
    ----------
    D. J. C. MacKay, "A practical Bayesian framework for backpropagation networks", Neural Computation 4 (1992).

    .. [1] A. Immer, M. Korzepa and M. Bauer, "Improving predictions of Bayesian neural nets via local linearization",
       AISTATS 2021.
    .. [2] A. Vehtari, D. Simpson, A. Gelman, Y. Yao and J. Gabry, "Pareto smoothed importance sampling", Journal of
       Machine Learning Research 25 (2024).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> net = bnn.MLP(hidden=(1,), bias=False, noise=0.3, prior=bnn.Normal(1.0))
    >>> X, y = [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0]
    >>> fit = bnn.fit_laplace(net, X, y, restarts=5, random_seed=1, progressbar=False)
    >>> bnn.log_evidence(fit).value
    -1.503712...
    """
    check_arguments(
        draws=draws,
        chains=chains,
        restarts=restarts,
        maxiter=maxiter,
        log_likelihood=log_likelihood,
        log_prior=log_prior,
        progressbar=progressbar,
    )
    check_name("copies", copies, COPIES)
    if not isinstance(linearised, bool | np.bool_):
        raise SpecError(
            f"Got linearised={linearised!r}; it must be True or False. Write linearised=True, or leave it out."
        )
    rng = rng_of(random_seed)
    problem = prepare(net, X, y, scaling=scaling)
    check_memory(problem, int(chains) * int(draws), log_likelihood=log_likelihood)
    check_proper(net)
    # The search prepares the data again: two copies of them at a time are one too many.
    del problem
    began = time.perf_counter()
    map_ = fit_map(
        net, X, y, restarts=restarts, random_seed=rng, scaling=scaling, maxiter=maxiter, progressbar=progressbar
    )
    problem = replace(problem_of(map_), net=net)
    objective = Objective(log_density(problem, jacobian=True))
    peaks, left = find_peaks(problem, objective, map_, int(maxiter))
    mode = rng.choice(len(peaks.height), p=peaks.weights, size=(int(chains), int(draws)))
    theta = peaks.draw(mode, rng)
    weighted = weigh(problem, objective, peaks, theta, rng)
    shift = evidence_shift(problem)
    exact = weighted["pareto_k"] == -np.inf
    unmet = "; ".join(_trouble(peaks, left, weighted))
    evidence = float(np.logaddexp.reduce(peaks.log_masses))
    attrs = {
        "bayesnn_sampler": "laplace",
        "bayesnn_linearised": int(linearised),
        "bayesnn_log_evidence": evidence + shift,
        "bayesnn_log_evidence_se": 0.0 if exact else np.nan,
        "bayesnn_log_evidence_weighted": weighted["value"] + shift,
        "bayesnn_log_evidence_weighted_se": weighted["se"],
        "bayesnn_pareto_k": weighted["pareto_k"],
        "bayesnn_unmet": unmet,
        "bayesnn_message": _words(peaks, weighted, shift),
        "sampling_time": time.perf_counter() - began,
    }
    tree = _tree(problem, objective, peaks, mode, theta, attrs, shift, rng if copies == "all" else None)
    add_log_densities(tree, problem, log_likelihood=log_likelihood, log_prior=log_prior)
    if unmet:
        warnings.warn(
            f"The Laplace approximation is not to be trusted: {unmet}. Take "
            "bnn.fit_posterior(net, X, y, sampler='tempering'), or fewer hidden units.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return tree


def _tree(problem, objective, peaks, mode, theta, attrs, shift, rng):
    """Write draws, spread over the copies if there is a generator for that, and the modes."""
    import xarray as xr

    net, batch = problem.net, {"chain": np.arange(mode.shape[0]), "draw": np.arange(mode.shape[1])}
    params, centre = objective.unpack(theta), objective.unpack(peaks.centre[mode])
    if rng is not None and net.hidden:
        element = random_symmetry(net, rng, batch=mode.shape)
        params, centre = (apply_symmetry(p, element, net) for p in (params, centre))
    lp = objective.density.many(theta.reshape(-1, objective.size))[0].reshape(mode.shape)
    stats = xr.Dataset({"mode": (("chain", "draw"), mode), "lp": (("chain", "draw"), lp)}, coords=batch)
    laplace = to_dataset(objective.unpack(peaks.centre), problem, {"mode": np.arange(len(peaks.height))})
    laplace = laplace.assign(
        log_joint=("mode", peaks.height + shift),
        eigenvalue=(("mode", "coordinate"), peaks.eigenvalue),
        copies=("mode", peaks.copies),
        weight=("mode", peaks.weights),
        log_evidence=("mode", peaks.log_masses + shift),
    )
    groups = {"sample_stats": stats, "laplace": laplace}
    if attrs["bayesnn_linearised"]:
        groups["centre"] = to_dataset(centre, problem, batch)
    return make_tree("posterior", problem, to_dataset(params, problem, batch), groups=groups, attrs=attrs)


def _words(peaks, weighted, shift):
    k, best = len(peaks.height), float(peaks.copies[0])
    modes = f"{k} distinct mode{'s' if k > 1 else ''}, {best:.0f} cop{'ies' if best > 1 else 'y'} of the heaviest"
    if peaks.why[0]:
        modes += f" ({peaks.why[0]})"
    value = float(np.logaddexp.reduce(peaks.log_masses)) + shift
    found = f"Laplace approximation: {modes}, eigenvalues {range_of(peaks.eigenvalue[0])}; log evidence {value:.4f}"
    if weighted["pareto_k"] == -np.inf:
        return f"{found}, exact: the posterior is Gaussian."
    again = f"Importance weights give {weighted['value'] + shift:.3f} ± {weighted['se']:.3f}"
    sound = "about the modes that were found" if weighted["pareto_k"] <= PARETO_MAX else "which is no more reliable"
    return f"{found}, an approximation. {again} (Pareto k {weighted['pareto_k']:.2f}), {sound}."


def _trouble(peaks, left, weighted):
    trouble = []
    if left:
        trouble.append(
            f"{len(left)} mode{'s are' if len(left) > 1 else ' is'} left out, without a definite Hessian "
            f"({'; '.join(left[:3])})"
        )
    worst = int(np.argmin(peaks.eigenvalue[:, 0]))
    twins = f", where {peaks.why[worst]}" if peaks.why[worst] else ""
    flattest = f"the flattest mode has eigenvalues {range_of(peaks.eigenvalue[worst])}{twins}"
    off = float(np.logaddexp.reduce(peaks.log_masses)) - weighted["value"]
    if weighted["pareto_k"] > PARETO_MAX:
        trouble.append(
            f"the Gaussians miss part of the posterior (Pareto k of importance weights {weighted['pareto_k']:.2f}, "
            f"above {PARETO_MAX:g}; {flattest})"
        )
    elif abs(off) > OFF + 3 * weighted["se"]:
        trouble.append(
            f"its log evidence is off by {off:+.2f} ± {weighted['se']:.2f}, by importance weights ({flattest})"
        )
    return trouble
