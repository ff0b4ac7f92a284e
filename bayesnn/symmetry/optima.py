"""When two end points of an optimisation are the same optimum: one rule for messages, tables and pictures."""

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.network import MLP, Params

TOLERANCE = 1e-3
"""Most by which the log densities of one optimum differ, in nats, and its functions, relative to their size."""


def function_at(net: MLP, params: Params, X: ArrayLike) -> np.ndarray:
    """Evaluate a network as its likelihood sees it, so that functions can be compared.

    Parameters
    ----------
    net : MLP
        The network.
    params : dict of str to array
        Parameters with leading batch dimensions, as for `MLP.forward`.
    X : array (n, p)
        Inputs, in the units the model works in.

    Returns
    -------
    array (..., n, m)
        The network's outputs; for classes the logits less their mean, since a common shift moves no probability; for
        ordered labels the cumulative logits, cutpoints less output.
    """
    f = net.forward(params, X)
    if net.loss.task == "classes":
        return f - f.mean(axis=-1, keepdims=True)
    return params["cutpoints"][..., None, :] - f if "cutpoints" in params else f


COMPARED = 10_000
"""Most training inputs at which functions are compared."""


def compared_rows(X: np.ndarray) -> np.ndarray:
    """Choose the training inputs at which functions are compared.

    Parameters
    ----------
    X : array (n, p)
        Inputs.

    Returns
    -------
    array (m, p)
        All of them, or evenly spaced ones of many.
    """
    return X if len(X) <= COMPARED else X[np.linspace(0, len(X) - 1, COMPARED).astype(int)]


def mean_at(net: MLP, params: Params, X: ArrayLike) -> np.ndarray:
    """Evaluate what end points of an optimisation are compared by: outputs, probabilities of labels, means of counts.

    Logits that run off to infinity differ for ever, while their probabilities agree.

    Parameters
    ----------
    net, params, X
        As for `function_at`.

    Returns
    -------
    array (..., n, k)
        One column for each output or class.
    """
    f = net.forward(params, X)
    with np.errstate(over="ignore"):
        return f if net.loss.support == "real" else net.loss.mean(f, **net.likelihood_args(params))


def same_function(f: np.ndarray, other: np.ndarray, *, tolerance: float = TOLERANCE) -> np.ndarray:
    """Which of several functions equal another, relative to its size.

    Parameters
    ----------
    f : array (s, ...)
        Functions at the same inputs.
    other : array (...)
        One more.
    tolerance : float
        Largest difference, relative to one plus the largest absolute value.

    Returns
    -------
    array (s,) of bool
        True for the equal ones.
    """
    differences = np.abs(f - other).max(axis=tuple(range(1, f.ndim)), initial=0.0)
    return differences <= tolerance * (1 + np.abs(other).max(initial=0.0))


def function_labels(f: np.ndarray, *, tolerance: float = TOLERANCE) -> np.ndarray:
    """Give equal functions the same number, in the order in which they come.

    Parameters
    ----------
    f : array (s, ...)
        Functions at the same inputs.
    tolerance : float
        As for `same_function`; the first function of each number is what others are held against.

    Returns
    -------
    array (s,) of int
        From 0.
    """
    labels = np.empty(len(f), dtype=int)
    known: list[int] = []
    for i in range(len(f)):
        same = np.flatnonzero(same_function(f[known], f[i], tolerance=tolerance))
        labels[i] = same[0] if len(same) else len(known)
        known += [] if len(same) else [i]
    return labels


def same_optimum(
    density: np.ndarray, f: np.ndarray, k: int | np.integer, *, tolerance: float = TOLERANCE
) -> np.ndarray:
    """Which end points are the same optimum as number `k`: as high, with the same function.

    Weights are not compared: symmetry and ridges give one function many of them.

    Parameters
    ----------
    density : array (s,)
        Log densities of the end points.
    f : array (s, n, m)
        Their functions at the training inputs, from `mean_at`.
    k : int
        The end point to compare with.
    tolerance : float
        Most by which log densities may differ, in nats, and functions, relative to their size.

    Returns
    -------
    array (s,) of bool
        True for `k` itself and its equals.
    """
    near = np.abs(density - density[k]) <= tolerance
    near[near] = same_function(f[near], f[k], tolerance=tolerance)
    return near
