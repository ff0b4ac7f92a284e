"""Draws of an output layer that was integrated out, from its exact normal distribution given the rest."""

import numpy as np

from bayesnn.fitting.density import FusedDensity
from bayesnn.model import output_scales
from bayesnn.network import Params
from bayesnn.tree import Problem


def draw_output_layer(problem: Problem, params: Params, batch: tuple[int, ...], rng: np.random.Generator) -> Params:
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
    density, scales = FusedDensity(problem, jacobian=False, collapse=True), output_scales(problem)
    thetas = density.pack(params).reshape(-1, density.size) if params else np.empty((batch[0] * batch[1], 0))
    covariance, mean = density.density.output_layer(thetas)
    k = len(scales)
    weights = mean[:, :k] + np.linalg.cholesky(covariance[:, :k, :k]) @ rng.normal(size=mean[:, :k].shape)
    weights = (scales[:, None] * weights).reshape(*batch, k, -1)
    last = problem.net.n_layers
    units = problem.shapes[f"W{last}"][0]
    out = {**params, f"W{last}": weights[..., :units, :]}
    if problem.net.has_bias(last):
        out[f"b{last}"] = weights[..., units, :]
    return out
