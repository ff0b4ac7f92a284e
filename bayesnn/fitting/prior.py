"""Draws from the prior of a network's parameters."""

from collections.abc import Mapping
from typing import Literal

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.network import CUTPOINT_SD, MLP, Params
from bayesnn.priors import is_ours
from bayesnn.tree import Problem


def prior_draws(problem: Problem, draws: int, rng: np.random.Generator) -> Params:
    """Draw parameters from the prior of a network.

    Parameters
    ----------
    problem : Problem
        Network and shapes.
    draws : int
        How many.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of str to array (draws, ...)
        As `MLP.forward` takes them.
    """
    net = problem.net
    beyond: dict[str, tuple[int, ...]] = {"noise": ()} if net.noise_prior is not None else {}
    if net.loss.task == "ordinal":
        beyond["cutpoints"] = (int(problem.y.max()),)
    learned = net.prior.has_learned_scale and is_ours(net.prior)
    scales = [f"scale{layer}" for layer in range(1, net.n_layers + 1)] if learned else []
    try:
        return prior_draws_of(net, {**problem.shapes, **dict.fromkeys(scales, ()), **beyond}, draws, rng)
    except SpecError:
        # A prior from outside that knows only how to be a random variable.
        return _pymc_draws(problem, draws, rng) | prior_draws_of(net, beyond, draws, rng)


def prior_draws_of(net: MLP, shapes: Mapping[str, tuple[int, ...]], draws: int, rng: np.random.Generator) -> Params:
    """Draw some of the parameters of a network.

    Parameters
    ----------
    net : MLP
        The network.
    shapes : dict of str to tuple of int
        Shapes of the parameters, in the order in which they are drawn; learned scales come before all.
    draws : int
        How many.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of str to array (draws, ...)
        By the same names.

    Raises
    ------
    SpecError
        A prior that can't be drawn from without PyMC.
    """
    batch, sd = (draws,), getattr(net.prior, "sd", 1.0)
    params: Params = {name: np.abs(sd * rng.normal(size=batch)) for name in shapes if name.startswith("scale")}
    for name, shape in shapes.items():
        if name == "noise" and net.noise_prior is not None:
            params[name] = net.noise_prior.sample(rng, batch)
        elif name == "cutpoints":
            params[name] = np.sort(CUTPOINT_SD * rng.normal(size=batch + shape))
        elif name[0] in "Wb":
            kind: Literal["weight", "bias"] = "weight" if name[0] == "W" else "bias"
            scale = params.get(f"scale{name[1:]}")
            if scale is not None:
                scale = scale.reshape(-1, *[1] * len(shape))
            params[name] = net.prior.sample(rng, batch + shape, kind=kind, fan_in=shape[0], scale=scale)
    return params


def _pymc_draws(problem, draws, rng):
    """Draw the weights from the PyMC model."""
    import pymc as pm

    from bayesnn.model import model_of

    model = model_of(problem)
    names = [rv.name for rv in model.free_RVs if rv.name in problem.shapes]
    found = pm.draw([model[name] for name in names], draws=draws, random_seed=int(rng.integers(2**31)))
    return {name: np.reshape(value, (draws, *problem.shapes[name])) for name, value in zip(names, found, strict=True)}
