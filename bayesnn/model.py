"""From a network and its data to a plain PyMC model."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.data.target import known_of
from bayesnn.losses import is_ours as is_known
from bayesnn.network import CUTPOINT_SD, MLP, hidden_layers
from bayesnn.priors import is_ours
from bayesnn.tree import Inputs, Problem, ScalingChoice, prepare

if TYPE_CHECKING:
    import pymc as pm


def build_model(
    net: MLP, X: Inputs, y: ArrayLike | None = None, *, scaling: ScalingChoice = None, fused: bool = True
) -> "pm.Model":
    """Write the network as a PyMC model: priors, the network's output ``f``, and the observed node ``y``.

    The model is a plain `pymc.Model` with named dimensions and ``pm.Data`` nodes ``X`` and ``y``: whoever knows
    PyMC can sample it, extend it under ``with``, or change its data with ``pm.set_data``.

    Parameters
    ----------
    net : MLP
        The network. Flat priors make the model's MAP the MLE.
    X : array (n, p), DataFrame or Dataset
        Inputs.
    y : array (n,) or (n, K), optional
        Targets, plain or from `bnn.target`; left out when `X` is a Dataset.
    scaling : None, "standard", False or Scaling
        As for `fit_map`.
    fused : bool
        Evaluate the network in one compiled operation with its gradient (faster); False spells it out in
        PyTensor's own operations.

    Returns
    -------
    pymc.Model
        Variables ``W1, b1, W2, b2, ..., noise, f, y``; dimensions ``obs, feature, hidden_1, ..., output``.

    Raises
    ------
    DataError
        Data that break a rule.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> model = bnn.build_model(bnn.MLP(hidden=(2,), noise=0.2), data.X, data.y)
    >>> [rv.name for rv in model.basic_RVs]
    ['W1', 'b1', 'W2', 'b2', 'y']
    """
    return model_of(prepare(net, X, y, scaling=scaling), fused=fused)


def model_of(problem: Problem, *, fused: bool = True, collapse: bool = False) -> "pm.Model":
    """Write a checked problem as a PyMC model.

    Parameters
    ----------
    problem : Problem
        What is to be fitted.
    fused : bool
        As for `build_model`.
    collapse : bool
        Integrate the output layer out: the model then has the hidden layers and the noise alone, and the marginal
        density of the targets in place of the observed node.

    Returns
    -------
    pymc.Model
        The model.
    """
    import pymc as pm
    import pytensor
    import pytensor.tensor as pt

    from bayesnn.ops import mlp_forward
    from bayesnn.ops.forms import covered
    from bayesnn.ops.mlp import spell_out

    net, dims = problem.net, problem.net.dims()
    with pm.Model(coords=problem.coords) as model:
        X = pm.Data("X", problem.X, dims=("obs", "feature"))
        y_dims = ("obs",) if problem.values.ndim == 1 else ("obs", "output")
        y = pm.Data("y_data", problem.values, dims=y_dims)
        known = {name: pm.Data(name, values, dims="obs") for name, values in known_of(problem.y).items()}
        weights, biases = [], []
        for layer in range(1, net.n_layers + (not collapse)):
            fan_in = problem.shapes[f"W{layer}"][0]
            scale = net.prior.layer_scale(layer)
            W, b = f"W{layer}", f"b{layer}"
            weights.append(net.prior.rv(W, kind="weight", fan_in=fan_in, dims=dims[W], scale=scale))
            biases.append(
                net.prior.rv(b, kind="bias", fan_in=fan_in, dims=dims[b], scale=scale) if net.has_bias(layer) else None
            )
        args = {}
        if net.loss.has_noise:
            # As data and not as a constant: compiled code then serves every other noise too.
            args["noise"] = (
                pytensor.shared(net.noise, name="known_noise")
                if net.noise_prior is None
                else net.noise_prior.rv("noise")
            )
        if collapse:
            h = hidden_layers(X, zip(weights, biases, strict=True), net.phi.formula.symbolic)
            if net.has_bias(net.n_layers):
                h = pt.concatenate([h, pt.ones((h.shape[0], 1))], axis=1)
            targets = y if y.ndim == 2 else y[:, None]
            scales = pytensor.shared(output_scales(problem), name="output_scales")
            pm.Potential("y", _marginal(h, targets, scales, args["noise"]))
            return model
        if net.loss.task == "ordinal":
            args["cutpoints"] = _cutpoints(problem)
        if fused and (net.phi.builtin or covered(net.phi.formula)):
            f = mlp_forward(X, weights, biases, net.activation)
        else:
            f = spell_out(X, zip(weights, biases, strict=True), net.activation)
        f = pm.Deterministic("f", f, dims=("obs", "output"))
        net.loss.observe(f, y, dims=y_dims, **args, **known)
    return model


def collapsible(problem: Problem) -> bool:
    """Say whether the output layer can be integrated out exactly.

    Parameters
    ----------
    problem : Problem
        What is to be fitted.

    Returns
    -------
    bool
        True for squared error, of the same scale in all rows, with normal priors of fixed scale on the output layer.
    """
    net = problem.net
    priors = (net.prior, net.prior.bias or net.prior)
    normal = all(is_ours(prior) and prior.gaussian and not prior.has_learned_scale for prior in priors)
    return net.loss.name == "squared_error" and is_known(net.loss) and normal and not known_of(problem.y)


def output_scales(problem: Problem) -> np.ndarray:
    """Prior standard deviations of the output weights of one target, and of its bias.

    Parameters
    ----------
    problem : Problem
        What is to be fitted; `collapsible`.

    Returns
    -------
    array (k,)
        One for each unit of the last hidden layer (or feature), then one for the bias where there is one.
    """
    net, last = problem.net, problem.net.n_layers
    fan_in = problem.shapes[f"W{last}"][0]
    sd = net.prior.sd / (np.sqrt(fan_in) if net.prior.fan_in else 1.0)  # type: ignore[attr-defined]  # both priors are Normal
    bias = [(net.prior.bias or net.prior).sd] if net.has_bias(last) else []  # type: ignore[attr-defined]
    return np.concatenate([np.full(fan_in, sd), bias])


def _marginal(features, Y, scales, noise):
    """Log density of the targets with the output layer integrated out; the formulas are in `bayesnn.ops.density`."""
    import pytensor.tensor as pt

    (n, m), variance, P = Y.shape, noise**2, features * scales
    L = pt.linalg.cholesky(pt.diag(pt.ones_like(scales)) + P.T @ P / variance, lower=True)
    V = pt.linalg.cho_solve((L, True), P.T @ Y / variance)
    squares = ((Y - P @ V) ** 2).sum() / variance + (V**2).sum()
    return -0.5 * (m * (n * pt.log(2 * np.pi * variance) + 2 * pt.log(pt.diag(L)).sum()) + squares)


def _cutpoints(problem):
    """Ordered cutpoints, started evenly spaced so that the ordering holds."""
    import pymc as pm

    n = int(problem.y.max())
    start = np.linspace(-1.0, 1.0, n) if n > 1 else np.zeros(1)
    args = {"shape": n, "transform": pm.distributions.transforms.ordered, "initval": start}
    if problem.net.prior.proper:
        return pm.Normal("cutpoints", 0.0, np.float64(CUTPOINT_SD), **args)
    return pm.Flat("cutpoints", **args)
