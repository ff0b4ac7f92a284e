"""The Laplace approximation: a Gaussian at every distinct mode of the posterior, and how far it is off."""

import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import Seed, check_arguments, rng_of
from bayesnn.errors import ConvergenceWarning, FitError, SpecError, UnknownNameError
from bayesnn.fitting.climb import audit_ends, climb, newton
from bayesnn.fitting.density import log_density
from bayesnn.fitting.objective import Objective
from bayesnn.fitting.point import fit_map
from bayesnn.fitting.posterior import add_log_densities, check_proper
from bayesnn.network import MLP
from bayesnn.symmetry import apply_symmetry, count_modes, random_symmetry, symmetry_group
from bayesnn.symmetry.group import numbered_elements
from bayesnn.symmetry.optima import mean_at, same_optimum
from bayesnn.tree import Inputs, ScalingChoice, make_tree, params_of, prepare, to_dataset

if TYPE_CHECKING:
    import xarray as xr

COPIES = ("all", "one")
PARETO_MAX = 0.7
"""Largest Pareto k at which importance weights can be relied on (Vehtari et al. 2024)."""
WEIGHED, TAILS, ORDER_MAX = 10_000, 3.0, 400
"""Draws from Student-t densities about the modes whose importance weights are computed, the degrees of freedom, and the
largest group whose overlapping copies are counted for that."""
OFF = 0.5
"""Nats by which the evidence may be off before it is warned of; our choice."""
EXACT = 1e-8
"""Log densities whose ratio varies by less, in nats, differ by rounding: the posterior is the Gaussian itself."""


@dataclass(frozen=True)
class Peaks:
    """Modes of a posterior in unconstrained coordinates, the highest first, each with its Gaussian.

    Parameters
    ----------
    centre : array (k, size)
        Where.
    height : array (k,)
        Log joint density there, with Jacobians.
    eigenvalue : array (k, size)
        Of the Hessian of its negative, ascending.
    vectors : array (k, size, size)
        Eigenvectors, as columns.
    copies : array (k,)
        Distinct symmetric copies.
    why : tuple of str
        Which units are twins or dead, where there are fewer copies than elements of the group.
    """

    centre: np.ndarray
    height: np.ndarray
    eigenvalue: np.ndarray
    vectors: np.ndarray
    copies: np.ndarray
    why: tuple[str, ...]

    @property
    def log_masses(self) -> np.ndarray:
        """Logarithms of the integrals of the Gaussians, all copies together."""
        size = self.centre.shape[1]
        logdet = np.log(self.eigenvalue).sum(axis=1)
        return self.height + size / 2 * np.log(2 * np.pi) - logdet / 2 + np.log(self.copies)

    @property
    def weights(self) -> np.ndarray:
        """Share of each mode."""
        return np.exp(self.log_masses - np.logaddexp.reduce(self.log_masses))

    def draw(self, mode: np.ndarray, rng: np.random.Generator, tails: float = np.inf) -> np.ndarray:
        """Draw from the Gaussians whose numbers are given, or from Student-t densities of the same scales."""
        z = rng.normal(size=(*mode.shape, self.centre.shape[1]))
        if np.isfinite(tails):
            z *= np.sqrt(tails / rng.chisquare(tails, size=mode.shape))[..., None]
        return self.centre[mode] + np.einsum("...ij,...j->...i", self.vectors[mode], z / np.sqrt(self.eigenvalue[mode]))

    def log_density(self, x: np.ndarray, tails: float = np.inf) -> np.ndarray:
        """Log density of the mixture of one copy of each, at points (..., size)."""
        from scipy.special import gammaln

        size, parts = self.centre.shape[1], []
        for k, weight in enumerate(self.weights):
            squares = (((x - self.centre[k]) @ self.vectors[k]) ** 2 * self.eigenvalue[k]).sum(axis=-1)
            if np.isfinite(tails):
                scale = gammaln((tails + size) / 2) - gammaln(tails / 2) - size / 2 * np.log(tails * np.pi)
                shape = -(tails + size) / 2 * np.log1p(squares / tails)
            else:
                scale, shape = -size / 2 * np.log(2 * np.pi), -squares / 2
            parts.append(np.log(weight) + scale + np.log(self.eigenvalue[k]).sum() / 2 + shape)
        return np.logaddexp.reduce(parts, axis=0)


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
        Targets; left out when `X` is a Dataset.
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
    if copies not in COPIES:
        raise UnknownNameError("copies", copies, COPIES)
    if not isinstance(linearised, bool | np.bool_):
        raise SpecError(
            f"Got linearised={linearised!r}; it must be True or False. Write linearised=True, or leave it out."
        )
    rng = rng_of(random_seed)
    problem = prepare(net, X, y, scaling=scaling)
    check_proper(net)
    began = time.perf_counter()
    map_ = fit_map(
        net, X, y, restarts=restarts, random_seed=rng, scaling=scaling, maxiter=maxiter, progressbar=progressbar
    )
    objective = Objective(log_density(problem, jacobian=True))
    peaks, left = _peaks(problem, objective, map_, int(maxiter))
    mode = rng.choice(len(peaks.height), p=peaks.weights, size=(int(chains), int(draws)))
    theta = peaks.draw(mode, rng)
    weighted = _weigh(problem, objective, peaks, theta, rng)
    shift = -len(problem.y) * problem.log_y_sd
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


def _peaks(problem, objective, map_, maxiter):
    """Modes near the distinct optima of a MAP fit, and what is left out because it has no Gaussian."""
    found = count_modes(map_).dataset
    optima = params_of(map_, group="optima", batch=("start",))
    net, kinks = problem.net, objective.kinks(problem.net.prior)
    smooth = net.loss.smooth and (not net.hidden or net.phi.smooth)
    centres, copies, why = [], [], []
    for k in range(found.sizes["optimum"]):
        at, row = found.isel(optimum=k), int(found["best_start"][k])
        x = newton(objective, objective.pack({name: v[row] for name, v in optima.items()}), kinks)
        if not audit_ends(objective, [x], kinks=kinks)[1]["converged"][0]:
            x = climb(objective, x, kinks=kinks, smooth=smooth, maxiter=maxiter)[0]
        centres.append(x)
        copies.append(float(at["copies"]))
        why.append(str(at["why"].item()))
    values, audit = audit_ends(objective, centres, kinks=kinks)
    order = np.argsort(values, kind="stable")
    kept, left = [], []
    functions = mean_at(net, objective.unpack(np.reshape(centres, (-1, objective.size))), problem.X)
    for k in order:
        if np.any(same_optimum(-values, functions, k)[kept]):
            continue
        held = ((kinks > 0) & (centres[k] == 0)).any()
        sound = audit["converged"][k] and audit["signature"][k] == "minimum" and not held
        if sound and np.isfinite(copies[k]):
            kept.append(int(k))
            continue
        eigenvalues = np.linalg.eigvalsh(objective.hessian(centres[k]))
        reason = "a weight at the kink of its penalty" if held else f"eigenvalues {_range(eigenvalues)}"
        if not smooth and not held:
            reason = f"at or near a kink of the loss or of the activation, {reason}"
        if np.isinf(copies[k]):
            reason = f"a continuum of equivalent copies ({reason})"
        left.append(f"{-values[k]:.2f} nats high, {reason}")
    if not kept:
        raise FitError(
            f"Got no mode with a definite Hessian of the negative log joint density; {len(left)} without: "
            f"{'; '.join(left[:3]) or 'no start converged'}. A Gaussian needs one. Take "
            "bnn.fit_posterior(net, X, y, sampler='tempering'), a smooth prior, fewer hidden units, or more restarts."
        )
    at = np.array([centres[k] for k in kept])
    spectra = [np.linalg.eigh(objective.hessian(x)) for x in at]
    peaks = Peaks(
        centre=at,
        height=-values[kept],
        eigenvalue=np.array([e for e, _ in spectra]),
        vectors=np.array([v for _, v in spectra]),
        copies=np.array([copies[k] for k in kept]),
        why=tuple(why[k] for k in kept),
    )
    order = np.argsort(-peaks.log_masses, kind="stable")
    fields = {name: getattr(peaks, name)[order] for name in ("centre", "height", "eigenvalue", "vectors", "copies")}
    return Peaks(**fields, why=tuple(peaks.why[k] for k in order)), left


def _weigh(problem, objective, peaks, theta, rng):
    """Weigh draws with heavier tails: the evidence without bias, its error, and whether it can be trusted."""
    from arviz_stats.base import array_stats

    few, net = theta.reshape(-1, objective.size)[:100], problem.net
    ratio = objective.density.many(few)[0] - peaks.log_density(few)
    if np.ptp(ratio) < EXACT * max(1.0, np.abs(ratio).max()):
        return {"value": float(ratio.mean()), "se": 0.0, "pareto_k": -np.inf}
    x = peaks.draw(rng.choice(len(peaks.height), p=peaks.weights, size=WEIGHED), rng, TAILS)
    log_joint = objective.density.many(x)[0]
    order = symmetry_group(net, problem.X.shape[1], len(problem.output_names)).finite_order
    if 1 < order <= ORDER_MAX:
        params, parts = objective.unpack(x), []
        for g in range(order):
            element = numbered_elements(net, [g])[(0,)]
            parts.append(peaks.log_density(objective.pack(apply_symmetry(params, element, net)), TAILS))
        log_q = np.logaddexp.reduce(parts, axis=0) - np.log(order)
    else:
        # Draws stand for one copy of each mode: the density of all copies is as much lower, if these are far apart.
        log_q = peaks.log_density(x, TAILS) - np.log(order)
    log_weight = np.where(np.isfinite(log_joint), log_joint, -np.inf) - log_q
    top = log_weight.max()
    weight = np.exp(log_weight - top)
    return {
        "value": float(top + np.log(weight.mean())),
        "se": float(weight.std() / weight.mean() / np.sqrt(len(weight))),
        "pareto_k": float(array_stats.psislw(-log_weight)[1]),
    }


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


def _range(eigenvalues):
    return f"{eigenvalues.min():.2g} to {eigenvalues.max():.2g}"


def _words(peaks, weighted, shift):
    k, best = len(peaks.height), float(peaks.copies[0])
    modes = f"{k} distinct mode{'s' if k > 1 else ''}, {best:.0f} cop{'ies' if best > 1 else 'y'} of the heaviest"
    if peaks.why[0]:
        modes += f" ({peaks.why[0]})"
    value = float(np.logaddexp.reduce(peaks.log_masses)) + shift
    found = f"Laplace approximation: {modes}, eigenvalues {_range(peaks.eigenvalue[0])}; log evidence {value:.4f}"
    if weighted["pareto_k"] == -np.inf:
        return f"{found}, exact: the posterior is Gaussian."
    again = f"Importance weights give {weighted['value'] + shift:.3f} ± {weighted['se']:.3f}"
    sound = "can be relied on" if weighted["pareto_k"] <= PARETO_MAX else "can't be relied on either"
    return f"{found}, an approximation. {again}, which with a Pareto k of {weighted['pareto_k']:.2f} {sound}."


def _trouble(peaks, left, weighted):
    trouble = []
    if left:
        trouble.append(
            f"{len(left)} mode{'s are' if len(left) > 1 else ' is'} left out, without a definite Hessian "
            f"({'; '.join(left[:3])})"
        )
    worst = int(np.argmin(peaks.eigenvalue[:, 0]))
    twins = f", where {peaks.why[worst]}" if peaks.why[worst] else ""
    flattest = f"the flattest mode has eigenvalues {_range(peaks.eigenvalue[worst])}{twins}"
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
