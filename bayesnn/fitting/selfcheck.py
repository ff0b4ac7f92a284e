"""Every compiled log density, held against NumPy's before anything relies on it.

The compiled code and NumPy's share the specification and nothing else. A binary that is older than its source, a
machine for which it was compiled wrongly, a prior of one's own that says one density to PyMC and another to NumPy, a
gradient that is not that of the value: nobody would see these in a fit.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.errors import DensityError
from bayesnn.network import Params
from bayesnn.tree import Problem

if TYPE_CHECKING:
    from bayesnn.fitting.density import FusedDensity, ModelDensity

ROWS = 4096
"""Observations at most that are looked at; our choice."""
POINTS = 3
"""Points that must all disagree: at one of them a derivative may be taken across a kink."""
VALUE, SLOPE = 1e-6, 1e-4
"""Relative errors that rounding, also to single precision, and differences of values leave; our choice."""


def few_rows(problem: Problem) -> Problem:
    """Spread at most `ROWS` observations over the data, the largest label among them."""
    n = len(problem.X)
    if n <= ROWS:
        return problem
    rows = np.linspace(0, n - 1, ROWS).astype(int)
    if problem.values.ndim == 1:
        rows[-1] = int(np.argmax(problem.values))
    return replace(problem, X=np.asarray(problem.X[rows], dtype=float), y=problem.y[rows])


def check_density(
    density: "FusedDensity | ModelDensity", problem: Problem, *, jacobian: bool, collapse: bool, remedy: str
) -> None:
    """Refuse a log density that is not NumPy's, or whose gradient is not its own.

    Parameters
    ----------
    density : FusedDensity or ModelDensity
        Compiled, of the rows of `problem`; one that is split is checked part by part.
    problem : Problem
        What is to be fitted.
    jacobian, collapse : bool
        As for `log_density`.
    remedy : str
        What is to be done about it.

    Raises
    ------
    DensityError
        With both numbers.
    """
    rng = np.random.default_rng(20)
    for _ in range(POINTS if density.size else 1):
        x = _point(density, problem, rng)
        trouble = _trouble(density, problem, x, rng, jacobian=jacobian, collapse=collapse)
        if not trouble:
            return
    raise DensityError(f"{trouble} {remedy}")


def _trouble(density, problem, x, rng, *, jacobian, collapse):
    """Say what is wrong at a point; empty where nothing is."""
    params = density.unpack(x)
    with np.errstate(all="ignore"):
        rows = _marginal(params, problem) if collapse else problem.net.log_likelihood(params, problem.X, problem.y)
        log_prior = float(problem.net.log_prior(params)) + (density.log_jacobian(x) if jacobian else 0.0)
    wanted = np.array([np.sum(rows), log_prior])
    if not np.isfinite(wanted).all():
        return ""
    # Each parameter by a share of itself: they may be of any size.
    step = 1e-5 * x * rng.choice([-1.0, 1.0], size=x.size)
    values, gradients = density.many(x + np.array([0.0, 1.0, -1.0, 2.0, -2.0])[:, None] * step)
    size, names = np.array([np.abs(rows).sum(), abs(log_prior) + x.size]) + 1.0, ("log-likelihood", "log-prior")
    if values.ndim == 1:
        names, values = ("log density",), values[:, None]
        wanted, size = wanted.sum(keepdims=True), size.sum(keepdims=True)
    got, slopes = values[0], gradients[0].reshape(len(names), -1) * step
    with np.errstate(all="ignore"):
        differences = (8 * (values[1] - values[2]) - (values[3] - values[4])) / 12
        # Differences of values lose what rounding of the values is.
        room = SLOPE * np.abs(slopes).max(axis=-1, initial=0.0) + 1e-13 * size
    for i, what in enumerate(names):
        if not abs(got[i] - wanted[i]) <= VALUE * size[i]:
            return (
                f"Got a compiled {what} of {got[i]:.10g} where NumPy's formula has {wanted[i]:.10g}, at the same "
                "parameters; they must be one number."
            )
        if np.isfinite(differences[i]) and not abs(slopes[i].sum() - differences[i]) <= room[i]:
            return (
                f"Got a compiled gradient of the {what} that is {slopes[i].sum():.6g} along a step on which its value "
                f"changes by {differences[i]:.6g}; they must be one number."
            )
    return ""


def _point(density, problem, rng):
    """Draw a flat vector at which the network is neither saturated nor flat, whatever the units of the data."""
    largest = np.clip(np.abs(problem.X).max(axis=0, initial=0.0), 1e-30, 1e30)
    params = {}
    for name, shape in zip(density.names, density.shapes, strict=True):
        if name[0] == "W":
            scale = 1.0 / np.sqrt(max(shape[0], 1))
            params[name] = rng.normal(size=shape) * (scale / largest[:, None] if name == "W1" else scale)
        elif name == "cutpoints":
            params[name] = rng.normal() + np.cumsum(rng.uniform(0.3, 1.0, size=shape))
        else:
            params[name] = rng.uniform(0.5, 1.5, size=shape)
    return density.pack(params) if params else np.empty(0)


def _marginal(params: Params, problem: Problem) -> np.ndarray:
    """Log densities (K,) of the targets, with the output layer integrated out, as normals of n dimensions.

    The other form, of k dimensions, is that of `bayesnn.ops.density`; this one is taken by the eigenvalues of the
    covariance that features and priors make, and those outside their span are the noise alone.
    """
    from bayesnn.model import output_scales

    net, Y = problem.net, problem.values.reshape(len(problem.X), -1)
    features = net.features(params, problem.X)
    if net.has_bias(net.n_layers):
        features = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    noise = net.noise if isinstance(net.noise, float) else float(params["noise"])
    axes, singular, _ = np.linalg.svd(features * output_scales(problem), full_matrices=False)
    along = axes.T @ Y
    rest = ((Y - axes @ along) ** 2).sum(axis=0) / noise**2
    variance = singular**2 + noise**2
    log_det = np.log(variance).sum() + (len(Y) - len(singular)) * 2 * np.log(noise)
    return -0.5 * ((along**2 / variance[:, None]).sum(axis=0) + rest + log_det + len(Y) * np.log(2 * np.pi))
