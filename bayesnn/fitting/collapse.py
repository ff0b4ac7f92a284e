"""Draws of an output layer that was integrated out, from its exact normal distribution given the rest."""

import numpy as np

from bayesnn.model import output_scales

_CHUNK = 8_000_000
"""Most numbers that the features of one chunk of draws may take: 64 MB."""


def solve(features, Y, scales, sigma):
    """Posterior of the scaled output weights given the features, in NumPy.

    Parameters
    ----------
    features : array (..., n, h)
        Activations of the last hidden layer.
    Y : array (n, m)
        Targets.
    scales : array (k,)
        Prior standard deviations of the output weights of one target: k is h, or h + 1 with a bias.
    sigma : array (...,)
        Noise.

    Returns
    -------
    P : array (..., n, k)
        Features times scales.
    L : array (..., k, k)
        Lower Cholesky factor of A.
    V : array (..., k, m)
        Mean of the weights, in units of their scales.
    """
    ones = np.ones((*features.shape[:-1], len(scales) - features.shape[-1]))
    P = np.concatenate([features, ones], axis=-1) * scales
    variance = np.square(np.asarray(sigma))[..., None, None]
    A = np.eye(len(scales)) + np.swapaxes(P, -1, -2) @ P / variance
    V = np.linalg.solve(A, np.swapaxes(P, -1, -2) @ Y / variance)
    return P, np.linalg.cholesky(A), V


def draw_output_layer(problem, params, batch, rng):
    """Complete draws of the hidden layers by exact draws of the output layer.

    Given the hidden layers and the noise, each target's output weights are normal, with the mean and covariance of
    a Bayesian linear regression on the features.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    params : dict of str to array
        Draws of the hidden layers, and of the noise where it is learned, with leading dimensions chain and draw.
    batch : tuple of int
        Numbers of chains and draws.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of str to array
        The parameters, with those of the output layer.
    """
    net, scales = problem.net, output_scales(problem)
    y = problem.y if problem.y.ndim == 2 else problem.y[:, None]
    flat = {k: v.reshape(-1, *v.shape[2:]) for k, v in params.items()}
    total = batch[0] * batch[1]
    noise = flat.get("noise", np.full(total, net.noise))
    weights = np.empty((total, len(scales), y.shape[1]))
    size = max(1, _CHUNK // (len(y) * len(scales)))
    for start in range(0, total, size):
        rows = slice(start, min(start + size, total))
        features = net.features({k: v[rows] for k, v in flat.items()}, problem.X)
        features = np.broadcast_to(features, (rows.stop - rows.start, *features.shape[-2:]))
        _, L, V = solve(features, y, scales, noise[rows])
        z = rng.normal(size=V.shape)
        weights[rows] = scales[:, None] * (V + np.linalg.solve(np.swapaxes(L, -1, -2), z))
    weights = weights.reshape(*batch, *weights.shape[1:])
    last = net.n_layers
    units = problem.shapes[f"W{last}"][0]
    out = {**params, f"W{last}": weights[..., :units, :]}
    if net.has_bias(last):
        out[f"b{last}"] = weights[..., units, :]
    return out
