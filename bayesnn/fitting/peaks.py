"""The modes of a posterior with a Gaussian at each, and how far these are from it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.errors import FitError
from bayesnn.fitting.climb import audit_ends, climb, newton
from bayesnn.fitting.objective import Objective
from bayesnn.symmetry import apply_symmetry, count_modes, symmetry_group
from bayesnn.symmetry.group import numbered_elements
from bayesnn.symmetry.optima import compared_rows, mean_at, same_optimum
from bayesnn.tree import Problem, params_of

if TYPE_CHECKING:
    import xarray as xr

WEIGHED, TAILS, ORDER_MAX = 10_000, 3.0, 400
"""Draws from Student-t densities about the modes whose importance weights are computed, the degrees of freedom, and the
largest group whose overlapping copies are counted for that."""
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


def find_peaks(problem: Problem, objective: Objective, map_: "xr.DataTree", maxiter: int) -> tuple[Peaks, list[str]]:
    """Modes near the distinct optima of a MAP fit, and what is left out because it has no Gaussian."""
    found = count_modes(map_).dataset
    optima = params_of(map_, group="optima", batch=("start",))
    net, kinks = problem.net, objective.kinks(problem.net.prior)
    smooth = net.smooth
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
    kept: list[int] = []
    left: list[str] = []
    functions = mean_at(net, objective.unpack(np.reshape(centres, (-1, objective.size))), compared_rows(problem.X))
    for k in order:
        if np.any(same_optimum(-values, functions, k)[kept]):
            continue
        held = ((kinks > 0) & (centres[k] == 0)).any()
        sound = audit["converged"][k] and audit["signature"][k] == "minimum" and not held
        if sound and np.isfinite(copies[k]):
            kept.append(int(k))
            continue
        eigenvalues = np.linalg.eigvalsh(objective.hessian(centres[k]))
        reason = "a weight at the kink of its penalty" if held else f"eigenvalues {range_of(eigenvalues)}"
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


def weigh(
    problem: Problem, objective: Objective, peaks: Peaks, theta: np.ndarray, rng: np.random.Generator
) -> dict[str, float]:
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


def range_of(eigenvalues: np.ndarray) -> str:
    """Write the smallest and the largest."""
    return f"{eigenvalues.min():.2g} to {eigenvalues.max():.2g}"
