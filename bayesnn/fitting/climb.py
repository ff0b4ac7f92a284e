"""The climb from one start to an end point, and the audit of where it ended."""

from collections.abc import Sequence

import numpy as np

from bayesnn.fitting.blas import single_threaded
from bayesnn.fitting.closure import Closure
from bayesnn.fitting.objective import Objective

ROUNDING = 3e-11
"""Eigenvalues of the Hessian, in units of the weights' own size and of the largest, that rounding may make."""
MANY_PARAMETERS = 1500
"""Parameters beyond which no Hessian is written down, as its spectrum would take minutes; our choice."""
LANCZOS = 80
"""Products of vectors with the Hessian by which its extreme curvatures are found where it is not written down."""
NEAR = 1e-3
"""Longest Newton step, in units of the weights' own size, from a point that has converged."""


def climb(
    objective: Objective | Closure, start: np.ndarray, *, kinks: np.ndarray, smooth: bool, maxiter: int
) -> tuple[np.ndarray, int, bool]:
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

    with single_threaded(), np.errstate(all="ignore"):
        if not len(sharp):
            # Newton's steps end a search sooner than L-BFGS does, wherever the Hessian is definite.
            result = minimize(objective, start, jac=True, method="L-BFGS-B", options={**options, "ftol": 1e-9})
            x, iterations = newton(objective, result.x, kinks), result.nit
            if np.abs(objective(x)[1]).max() < 1e-7 or iterations >= maxiter:
                return x, iterations, iterations < maxiter
            result = minimize(objective, x, jac=True, method="L-BFGS-B", options=options)
            iterations += result.nit
            x = newton(objective, result.x, kinks)
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
            return newton(objective, x, kinks), result.nit, result.success
        x, more, settled = _restart(objective, x, options)
        return settle(objective, x, kinks), result.nit + more, settled


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


def settle(objective: Objective | Closure, x: np.ndarray, kinks: np.ndarray) -> np.ndarray:
    """Put weights that an L1 penalty holds near zero at zero, where that is no worse."""
    rounded = np.where((kinks > 0) & (np.abs(x) < 1e-6), 0.0, x)
    return rounded if objective(rounded)[0] <= objective(x)[0] else x


def unheld(x: np.ndarray, kinks: np.ndarray) -> np.ndarray:
    """Elements that are not held at the kink of their penalty."""
    return ~((kinks > 0) & (x == 0))


def _slope(gradient, x, kinks):
    """Gradient, or where a weight sits at the kink of its penalty, what exceeds the slopes on either side."""
    held = np.sign(gradient) * np.maximum(np.abs(gradient) - kinks, 0.0)
    return np.where(unheld(x, kinks), gradient, held)


def newton(objective: Objective | Closure, x: np.ndarray, kinks: np.ndarray, *, steps: int = 8) -> np.ndarray:
    """Sharpen a minimum to rounding error, in the directions in which the Hessian is definite."""
    if objective.size > MANY_PARAMETERS:
        return _newton_by_products(objective, x, steps)
    value, gradient = objective(x)
    for _ in range(steps):
        free = unheld(x, kinks)
        if not np.isfinite(value) or not free.any() or np.abs(gradient[free]).max() < 1e-13:
            break
        hessian = objective.hessian(x)[np.ix_(free, free)]
        if not np.isfinite(hessian).all():
            break
        eigenvalues, vectors = np.linalg.eigh(hessian)
        if eigenvalues.min() < -1e-6 * eigenvalues.max():
            break
        curved = eigenvalues > 1e-9 * eigenvalues.max()
        step = np.zeros_like(x)
        step[free] = vectors[:, curved] @ ((vectors[:, curved].T @ gradient[free]) / eigenvalues[curved])
        # Where two optima are about to part the minimum is of fourth order, and whole steps along the flat direction
        # leave a bent valley.
        for part in (1.0, 0.5, 0.25, 0.125):
            new = x - part * step
            new_value, new_gradient = objective(new)
            # Far from the minimum the value falls while the gradient may rise; near it only the gradient tells.
            rounding = 1e-12 * max(1.0, abs(value))
            flatter = np.abs(new_gradient[free]).max() < np.abs(gradient[free]).max()
            if new_value < value - rounding or (flatter and new_value <= value + rounding):
                break
        else:
            break
        x, value, gradient = new, new_value, new_gradient
    return x


def _newton_by_products(objective, x, steps):
    """Sharpen a minimum where the Hessian is not written down: conjugate gradients solve for each step."""
    from scipy.optimize import minimize

    def times(x, v):
        h = 1e-4 / max(np.abs(v).max(), 1e-300)
        return (objective(x + h * v)[1] - objective(x - h * v)[1]) / (2 * h)

    value, gradient = objective(x)
    if not np.isfinite(value):
        return x
    options = {"maxiter": steps, "xtol": 1e-12}
    result = minimize(objective, x, jac=True, hessp=times, method="Newton-CG", options=options)
    flatter = np.abs(result.jac).max() < np.abs(gradient).max()
    return result.x if flatter and result.fun <= value + 1e-12 * max(1.0, abs(value)) else x


def audit_ends(
    objective: Objective | Closure, ends: Sequence[np.ndarray] | np.ndarray, *, kinks: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
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
        saddle: some negative; kink: the loss has no second derivatives; infinity: see `limits.outward`),
        ``n_negative`` and ``n_zero`` eigenvalues. Of more than `MANY_PARAMETERS` parameters only the extreme
        ones are known.
    """
    n = len(ends)
    values = np.full(n, np.inf)
    audit = {
        "gradient_norm": np.full(n, np.nan),
        "converged": np.zeros(n, dtype=bool),
        "signature": np.full(n, "flat", dtype="<U8"),
        "n_negative": np.zeros(n, dtype=int),
        "n_zero": np.zeros(n, dtype=int),
    }
    for i, x in enumerate(ends):
        values[i], gradient = objective(x)
        norm = float(np.linalg.norm(_slope(gradient, x, kinks)))
        if not np.isfinite(values[i]):
            continue
        audit["gradient_norm"][i] = norm
        free = unheld(x, kinks)
        if objective.size > MANY_PARAMETERS:
            lowest, highest = extreme_curvatures(objective, x, free)
            audit["n_negative"][i] = lowest < -1e-6 * highest
            audit["n_zero"][i] = abs(lowest) <= 1e-6 * highest
            audit["signature"][i] = "saddle" if audit["n_negative"][i] else "flat" if audit["n_zero"][i] else "minimum"
            audit["converged"][i] = norm <= 1e-6 * max(1.0, abs(values[i])) ** 0.5 and not audit["n_negative"][i]
            continue
        hessian = objective.hessian(x)[np.ix_(free, free)]
        if np.isfinite(hessian).all():
            # In units of their own size: a large weight's curvature is small, and no less a curvature.
            size = np.maximum(1.0, np.abs(x[free]))
            step = 0.0
            eigenvalues, vectors = np.linalg.eigh(hessian * size * size[:, None]) if free.any() else (np.ones(1), None)
            zero = ROUNDING * np.abs(eigenvalues).max()
            if free.any():
                curved = np.abs(eigenvalues) > zero
                slope = vectors[:, curved].T @ (_slope(gradient, x, kinks)[free] * size)  # type: ignore[index]
                step = float(np.linalg.norm(slope / eigenvalues[curved]))
            audit["n_negative"][i] = int((eigenvalues < -zero).sum())
            audit["n_zero"][i] = int((np.abs(eigenvalues) <= zero).sum())
            audit["signature"][i] = "saddle" if audit["n_negative"][i] else "flat" if audit["n_zero"][i] else "minimum"
            # Far out on a slope that flattens for ever the gradient is small as well, but the next step is not.
            small = norm <= 1e-6 * max(1.0, abs(values[i])) ** 0.5 and step <= NEAR * np.sqrt(free.sum())
            audit["converged"][i] = small and audit["n_negative"][i] == 0
    return values, audit


def extreme_curvatures(objective: Objective | Closure, x: np.ndarray, free: np.ndarray) -> tuple[float, float]:
    """Smallest and largest curvature at a point as Lanczos' method finds them, in units of the parameters' own size.

    Parameters
    ----------
    objective : Objective
        The negative log density.
    x : array (size,)
        Where.
    free : array (size,) of bool
        Elements that may move.

    Returns
    -------
    lowest, highest : float
        Of the Hessian on a subspace of `LANCZOS` dimensions, so that a negative one is one of the whole Hessian too.
    """
    scale = np.where(free, np.maximum(1.0, np.abs(x)), 0.0)
    q = np.random.default_rng(1).normal(size=x.size) * free
    basis, image = np.zeros((0, x.size)), np.zeros((0, x.size))
    for _ in range(min(LANCZOS, int(free.sum()))):
        q -= basis.T @ (basis @ q)
        q -= basis.T @ (basis @ q)
        size = np.linalg.norm(q)
        if size < 1e-10:
            break
        q /= size
        step = 1e-3 * scale * q
        up, down = objective(x + step)[1], objective(x - step)[1]
        basis = np.vstack([basis, q])
        q = scale * (up - down) / 2e-3
        image = np.vstack([image, q])
    small = basis @ image.T
    values = np.linalg.eigvalsh((small + small.T) / 2)
    return float(values[0]), float(values[-1])
