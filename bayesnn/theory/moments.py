"""Moments of weights and of the function, and quantiles, from the nodes of a cubature."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesnn.model import output_scales
from bayesnn.theory.basins import basins
from bayesnn.theory.cubature import Nodes
from bayesnn.tree import Problem

LEAST = 1e-9
"""Share of the posterior that is in no mode: its points are too far out to be joined to others."""
_CHUNK = 2_000_000
"""Most numbers of the function in one block of nodes."""


@dataclass(frozen=True)
class Function:
    """The function at some inputs, given what was integrated numerically.

    Parameters
    ----------
    mean, variance : array (s, n, K)
        Of what the network expects of the targets; the variance is that of an output layer that was integrated out.
    noise : array (s, n, K)
        Variance of a new observation about that.
    outputs : array (s, n, m) or None
        The network's outputs, where no layer was integrated out.
    args : dict
        What the likelihood needs beside them.
    """

    mean: np.ndarray
    variance: np.ndarray
    noise: np.ndarray
    outputs: np.ndarray | None
    args: dict[str, Any]


@dataclass(frozen=True)
class Moments:
    """What nodes and weights say, in the units that the model works in.

    Parameters
    ----------
    mean, sd, predictive_sd : array (n, K)
        Of the function, and of a new observation.
    quantiles : array (q, n, K)
        Of a new observation; empty for labels.
    weight_mean, weight_sd : dict of str to array
        Of each parameter.
    shares : array (b,)
        Of the basins, the highest peak first.
    peaks : array (b, d)
        Highest node of each.
    mode_means : array (b, n, K)
        Mean of the function in each.
    """

    mean: np.ndarray
    sd: np.ndarray
    predictive_sd: np.ndarray
    quantiles: np.ndarray
    weight_mean: dict[str, np.ndarray]
    weight_sd: dict[str, np.ndarray]
    shares: np.ndarray
    peaks: np.ndarray
    mode_means: np.ndarray


def moments(
    problem: Problem, density: Any, nodes: Nodes, X: np.ndarray, probabilities: tuple[float, ...], *, collapse: bool
) -> Moments:
    """Sum over the nodes.

    Parameters
    ----------
    problem : Problem
        Network and data.
    density : FusedDensity or ModelDensity
        That was integrated.
    nodes : Nodes
        Of its cubature.
    X : array (n, p)
        Inputs in the units the model works in.
    probabilities : tuple of float
        Of the quantiles.
    collapse : bool
        Whether the density is without the output layer.

    Returns
    -------
    Moments
        Means, standard deviations, quantiles and shares.
    """
    inside, label, peaks = _basins(nodes)
    count = len(peaks)
    by_mode = np.zeros((len(nodes.weights), count + 1))
    by_mode[:, 0] = nodes.weights
    by_mode[inside, 1 + label] = nodes.weights[inside]
    shares = by_mode[:, 1:].sum(axis=0)
    centre = function_of(problem, density, peaks[:1], X, collapse=collapse).mean[0]
    first: Any = 0.0
    second: Any = 0.0
    total: Any = 0.0
    for rows, at in _blocks(problem, density, nodes, X, collapse):
        away = at.mean - centre
        first = first + np.tensordot(by_mode[rows].T, away, axes=1)
        second = second + np.tensordot(nodes.weights[rows], away**2 + at.variance, axes=1)
        total = total + np.tensordot(nodes.weights[rows], at.noise, axes=1)
    sd2 = np.maximum(second - first[0] ** 2, 0.0)
    weight_mean, weight_sd = _weights(problem, density, nodes, collapse)
    return Moments(
        mean=centre + first[0],
        sd=np.sqrt(sd2),
        predictive_sd=np.sqrt(sd2 + total),
        quantiles=_quantiles(problem, density, nodes, X, probabilities, collapse),
        weight_mean=weight_mean,
        weight_sd=weight_sd,
        shares=shares / shares.sum(),
        peaks=peaks,
        mode_means=centre + first[1:] / shares[:, None, None],
    )


def _basins(nodes):
    rank = np.argsort(-nodes.weights)
    inside = np.sort(rank[: 1 + np.searchsorted(np.cumsum(nodes.weights[rank]), 1 - LEAST)])
    label = basins(nodes.points[inside], nodes.logs[inside])
    best = [inside[label == k][np.argmax(nodes.logs[inside[label == k]])] for k in range(label.max() + 1)]
    return inside, label, nodes.points[best]


def _output_layer(problem, density, points):
    """Means (s, k, K) and covariances (s, k, k) of an output layer that was integrated out."""
    scales = output_scales(problem)
    k = len(scales)
    covariance, mean = density.density.output_layer(points)
    return scales[:, None] * mean[:, :k], np.outer(scales, scales) * covariance[:, :k, :k]


def function_of(problem: Problem, density: Any, points: np.ndarray, X: np.ndarray, *, collapse: bool) -> Function:
    """Evaluate the function at some points of what is integrated.

    Parameters
    ----------
    problem, density, X, collapse
        As for `moments`.
    points : array (s, d)
        Flat vectors.

    Returns
    -------
    Function
        Means and variances.
    """
    net, loss = problem.net, problem.net.loss
    params = density.unpack(points)
    args = net.likelihood_args(params)
    if collapse:
        h = net.features(params, X)
        h = np.broadcast_to(h, (len(points), *h.shape[-2:]))
        if net.has_bias(net.n_layers):
            h = np.concatenate([h, np.ones((*h.shape[:2], 1))], axis=2)
        mean, covariance = _output_layer(problem, density, points)
        variance = np.maximum(((h @ covariance) * h).sum(axis=2), 0.0)[..., None]
        noise = np.broadcast_to(np.square(args["noise"]), len(points))[:, None, None]
        f = h @ mean
        return Function(f, variance + 0 * f, noise + 0 * f, None, args)
    f = net.forward(params, X)
    mean = loss.mean(f, **args)
    spread = np.zeros(mean.shape)
    if loss.task in ("regression", "count"):
        spread = loss.variance(f, **{k: v for k, v in args.items() if k == "noise"}) + spread
    return Function(mean, np.zeros(mean.shape), spread, f, args)


def _blocks(problem, density, nodes, X, collapse) -> Iterator[tuple[slice, Function]]:
    width = max(problem.net.sizes(X.shape[1], len(problem.output_names))[1:])
    size = max(1, _CHUNK // (max(1, len(X)) * width))
    for start in range(0, len(nodes.weights), size):
        rows = slice(start, start + size)
        yield rows, function_of(problem, density, nodes.points[rows], X, collapse=collapse)


def _weights(problem, density, nodes, collapse):
    """Mean and standard deviation of each parameter."""
    params, w = density.unpack(nodes.points), nodes.weights
    mean = {k: np.tensordot(w, v, axes=1) for k, v in params.items()}
    sd = {k: np.sqrt(np.tensordot(w, (v - mean[k]) ** 2, axes=1)) for k, v in params.items()}
    if collapse:
        m, covariance = _output_layer(problem, density, nodes.points)
        centre = np.tensordot(w, m, axes=1)
        spread = (m - centre) ** 2 + np.diagonal(covariance, axis1=1, axis2=2)[..., None]
        spread = np.sqrt(np.tensordot(w, spread, axes=1))
        last, units = problem.net.n_layers, problem.shapes[f"W{problem.net.n_layers}"][0]
        mean[f"W{last}"], sd[f"W{last}"] = centre[:units], spread[:units]
        if problem.net.has_bias(last):
            mean[f"b{last}"], sd[f"b{last}"] = centre[units], spread[units]
    return mean, sd


def _quantiles(problem, density, nodes, X, probabilities, collapse):
    """Roots of the distribution function of a new observation, a mixture over the nodes."""
    from scipy.special import ndtr

    loss = problem.net.loss
    if loss.task not in ("regression", "count"):
        return np.empty((len(probabilities), 0, 0))
    peak = function_of(problem, density, nodes.points[[np.argmax(nodes.logs)]], X, collapse=collapse)
    scale = np.sqrt(np.where(np.isfinite(peak.noise[0]), peak.noise[0], 1.0))
    found = np.empty((len(probabilities), *scale.shape))
    for i in range(len(X) if len(probabilities) else 0):
        blocks = list(_blocks(problem, density, nodes, X[i : i + 1], collapse))
        for k in range(scale.shape[1]):

            def below(at, k=k, blocks=blocks):
                total = 0.0
                for rows, f in blocks:
                    if collapse:
                        cdf = ndtr((at - f.mean[:, 0, k]) / np.sqrt(f.variance[:, 0, k] + f.noise[:, 0, k]))
                    else:
                        cdf = loss.cdf(np.full((1, scale.shape[1]), at), f.outputs, **f.args)[:, 0, k]
                    total += nodes.weights[rows] @ cdf
                return total

            for q, p in enumerate(probabilities):
                find = _count_at if loss.task == "count" else _number_at
                found[q, i, k] = find(lambda at, p=p, below=below: below(at) - p, peak.mean[0, i, k], scale[i, k])
    return found


def _number_at(excess, start, scale):
    from scipy.optimize import brentq

    low, high = start - scale, start + scale
    while excess(low) > 0:
        low, scale = low - scale, 2 * scale
    while excess(high) < 0:
        high, scale = high + scale, 2 * scale
    return brentq(excess, low, high, xtol=1e-13 * scale, rtol=1e-14)


def _count_at(excess, start, scale):
    """Find the smallest count up to which there is enough probability."""
    low, high = -1, 1 + int(start)
    while excess(float(high)) < 0:
        low, high = high, 2 * high + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if excess(float(middle)) < 0 else (low, middle)
    return float(high)
