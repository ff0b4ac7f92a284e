"""The copy of one weight vector that lies nearest to another: distance modulo symmetry."""

from dataclasses import replace

import numpy as np

from bayesnn.network import MLP, Params
from bayesnn.symmetry.align import alignment_element
from bayesnn.symmetry.group import GroupElement, Keep, apply_symmetry, flips


def nearest_copy(params: Params, to: Params, net: MLP, *, keep: Keep = "posterior") -> tuple[Params, Params, float]:
    """Bring a weight vector as close as its symmetries allow to another one.

    Parameters
    ----------
    params, to : dict of str to array
        One weight vector each.
    net : MLP
        The network.
    keep : {"posterior", "likelihood"}
        The group: what is to stay unchanged. Under ``"likelihood"`` units that scale are first balanced, so that what
        enters each of them is as long as what leaves it, and logits that a common shift leaves alone are centred (as
        their biases are wherever these have a flat prior); both weight vectors are.

    Returns
    -------
    copy : dict of str to array
        Of `params`, with the same function.
    origin : dict of str to array
        What it lies near: `to` itself, or balanced as the copy is.
    distance : float
        Euclidean distance of all weights and biases.
    """
    moved, fixed = params, to
    if keep == "likelihood":
        moved, fixed = _balanced(params, net), _balanced(to, net)
    elif net.prior.bias is not None and net.prior.bias.flat:
        # Under flat biases the prior does not see a common shift of the logits either.
        moved, fixed = (_centred(p, net, (f"b{net.n_layers}",)) for p in (params, to))
    element = _element(moved, fixed, net, keep)
    moved = apply_symmetry(moved, element, net, keep=keep)
    distance = float(np.sqrt(sum(np.sum((moved[k] - fixed[k]) ** 2) for k in fixed if k in net.dims())))
    return moved, fixed, distance


def _element(params, to, net, keep):
    """Group element that brings the weights nearest; signs of sigmoids are matched as those of the tanh they are."""
    weights = [{k: v for k, v in p.items() if k in net.dims()} for p in (params, to)]
    like = replace(net, prior=net.flat.prior) if keep == "likelihood" else net
    if keep == "likelihood" and net.phi.name == "sigmoid" and any(flips(net, keep)):
        like = replace(like, activation="tanh")
        weights = [_as_tanh(p, net) for p in weights]
    batch = {k: np.asarray(v)[None] for k, v in weights[0].items()}
    element, _ = alignment_element(batch, like, reference=weights[1])
    return GroupElement(tuple(p[0] for p in element.permutations), tuple(s[0] for s in element.signs))


def _as_tanh(params, net):
    """Weights of the tanh network with the same function: sigmoid(z) = (1 + tanh(z / 2)) / 2."""
    out = {}
    for layer in range(1, net.n_layers + 1):
        W, b, inner = params[f"W{layer}"], params.get(f"b{layer}"), layer < net.n_layers
        if b is not None:
            b = b + (W.sum(axis=-2) / 2 if layer > 1 else 0.0)
            out[f"b{layer}"] = b / 2 if inner else b
        out[f"W{layer}"] = W / (1 + (layer > 1)) / (1 + inner)
    return out


def _balanced(params, net):
    out = {k: np.asarray(v, dtype=float) for k, v in params.items()}
    # With several layers the balance of one moves that of the next.
    for _ in range(net.phi.scales * (1 if len(net.hidden) == 1 else 30)):
        for layer in range(1, net.n_layers):
            W, b, V = f"W{layer}", f"b{layer}", f"W{layer + 1}"
            enters = np.sum(out[W] ** 2, axis=0) + (out[b] ** 2 if b in out else 0.0)
            leaves = np.sum(out[V] ** 2, axis=1)
            alive = (enters > 0) & (leaves > 0)
            factor = np.where(alive, leaves / np.where(alive, enters, 1.0), 1.0) ** 0.25
            out[W], out[V] = out[W] * factor, out[V] / factor[:, None]
            if b in out:
                out[b] = out[b] * factor
    return _centred(out, net, (f"W{net.n_layers}", f"b{net.n_layers}"))


def _centred(params, net, names):
    """Take the mean off what enters logits, where a common shift of these changes nothing."""
    if not net.loss.ignores_shift(np.shape(params[f"W{net.n_layers}"])[-1]):
        return params
    moved = {k: params[k] - np.mean(params[k], axis=-1, keepdims=True) for k in names if k in params}
    return {**params, **moved}
