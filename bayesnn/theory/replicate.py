"""One data set of a study: drawn, fitted, and compared with the truth."""

import math
from typing import Any

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.fitting.climb import audit_ends, climb
from bayesnn.fitting.density import log_density
from bayesnn.fitting.objective import Objective
from bayesnn.fitting.point import starts
from bayesnn.network import MLP, Params
from bayesnn.symmetry.align import alignment_element
from bayesnn.symmetry.group import apply_symmetry, flips, layer_orders, numbered_elements, written_order
from bayesnn.theory.information import fisher_information
from bayesnn.theory.scores import information_root, output_jacobian, output_scores
from bayesnn.theory.truth import Truth
from bayesnn.tree import prepare

SAME = 1e-6
"""Nats within which two searches have reached the same height."""


def fit_one(net: MLP, source: Truth, at: Params, n: int, seed: list[int], restarts: int) -> dict[str, Any]:
    """Draw and fit one data set; numbers and lists only."""
    rng = np.random.default_rng(seed)
    problem = prepare(net.flat, *source.draw(rng, n))
    objective = Objective(log_density(problem, jacobian=False))
    smooth, kinks = net.smooth, np.zeros(objective.size)
    first = [objective.pack(at), *starts(problem, objective, restarts, rng)]
    climbed = [climb(objective, start, kinks=kinks, smooth=smooth, maxiter=1000) for start in first]
    ends = [end for end, _, _ in climbed]
    heights = np.array([objective(end)[0] for end in ends])
    highest = 1 + int(np.argmin(heights[1:]))
    # A random start counts where it is as high as the one at the truth but for rounding.
    best = highest if heights[highest] <= heights[0] + SAME else 0
    mle = nearest(objective.unpack(ends[best]), at, net)
    error = _flat(mle, net) - _flat(at, net)
    if smooth:
        _, audit = audit_ends(objective, [objective.pack(mle)], kinks=kinks)
        minimum = bool(audit["converged"][0]) and audit["signature"][0] == "minimum"
    else:
        minimum = climbed[best][2]
    standardised = (
        _standardised(net, problem, objective, mle, error, smooth) if minimum else (np.full_like(error, np.nan),) * 2
    )
    change = net.forward(mle, source.population) - net.forward(at, source.population)
    root = _function_root(net, at, source.population)
    return {
        "raw": float(np.linalg.norm(_flat(objective.unpack(ends[highest]), net) - _flat(at, net))),
        "aligned": float(np.linalg.norm(error)),
        "function error": float(np.sqrt(np.mean(change**2))),
        "scaled error": float(np.sqrt(n * np.mean(np.sum((root @ change[:, :, None]) ** 2, axis=(1, 2))))),
        "likelihood ratio": 2 * float(objective(objective.pack(at))[0] - heights[best]),
        "starts": float(np.mean(heights[1:] <= heights.min() + SAME)),
        "minimum": minimum,
        "error": error.tolist(),
        "Wald": standardised[0].tolist(),
        "sandwich": standardised[1].tolist(),
    }


def _standardised(net, problem, objective, mle, error, smooth):
    """Errors in units of their standard errors, from the observed information and from the sandwich."""
    if not smooth:
        # The likelihood is made of straight pieces, which have no curvature.
        bound = fisher_information(net, mle, problem.X).bound
        return error / np.sqrt(np.diag(bound)), np.full_like(error, np.nan)
    x = objective.pack(mle)
    slopes = objective.slopes(x)
    covariance = slopes @ np.linalg.inv(objective.hessian(x)) @ slopes.T
    jacobian, args = output_jacobian(net, mle, problem.X), net.likelihood_args(mle)
    by_output = output_scores(net.loss, problem.y, net.forward(mle, problem.X), **args)
    m, d = jacobian.shape[1:]
    scores = np.einsum("nm,nmd->nd", by_output[:, :m], jacobian)
    if len(error) > d:
        scores = np.hstack([scores, by_output[:, m:]])
    robust = covariance @ scores.T @ scores @ covariance
    return error / np.sqrt(np.diag(covariance)), error / np.sqrt(np.diag(robust))


def nearest(params: Params, at: Params, net: MLP) -> Params:
    """Choose the symmetric copy, of those with the same likelihood, that is nearest to a weight vector.

    Parameters
    ----------
    params, at : dict of str to array
        One weight vector, and the one to come near.
    net : MLP
        The network.

    Returns
    -------
    dict of str to array
        By alignment; by trying all copies where a flip shifts the next bias too, as that of a sigmoid unit does.
    """
    if not net.hidden:
        return params
    flat = net.flat
    if flips(flat, "likelihood") == flips(flat):
        element, _ = alignment_element({k: v[None] for k, v in params.items()}, flat, reference=at)
        return apply_symmetry(params, element[0], flat)
    order = math.prod(layer_orders(net, "likelihood"))
    if order > 100_000:
        raise SpecError(
            f"Got a network with {written_order(order)} symmetric copies, all of which are tried. Take fewer hidden "
            "units."
        )
    moved = apply_symmetry(params, numbered_elements(net, range(order), "likelihood"), net)
    distance = sum(((v - at[k]) ** 2).reshape(order, -1).sum(axis=1) for k, v in moved.items() if k in net.dims())
    return {k: v[int(np.argmin(distance))] for k, v in moved.items()}


def _flat(params, net):
    """One vector of all parameters in their own units, in the order of `fisher_information`."""
    return np.concatenate([np.ravel(params[k]) for k in (*net.dims(), "noise", "cutpoints") if k in params])


def _function_root(net, at, X):
    """Root of the information about the outputs alone, at each row."""
    f = net.forward(at, X)
    return information_root(net.loss, f, **net.likelihood_args(at))[:, :, : f.shape[1]]
