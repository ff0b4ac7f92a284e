"""Weights of PyTorch: the state dict of a stack of linear layers."""

import re
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from bayesnn.arguments import check_name
from bayesnn.errors import SpecError
from bayesnn.exchange.weights import Decay, TrainedWeights, finite, layered, not_negative

_ONLY = "Linear layers with activations between them are read"


def read_torch(
    state_dict: Mapping[str, Any], *, weight_decay: float = 0.0, reduction: Literal["mean", "sum"] = "mean"
) -> TrainedWeights:
    r"""Read the state dict of a PyTorch network that is a stack of `nn.Linear`.

    Parameters
    ----------
    state_dict : mapping of str to tensor or array
        ``model.state_dict()``: ``"0.weight"`` (out, in), ``"0.bias"`` (out,), ``"2.weight"``, ..., under any prefix.
        Numbered layers are put in the order of their numbers, others stay in that of the dictionary.
    weight_decay : float
        What SGD or Adam was given. AdamW's is the gradient of no penalty: leave it out.
    reduction : {"mean", "sum"}
        How the loss added up the rows.

    Returns
    -------
    TrainedWeights
        Transposed into this package's orientation. A state dict holds neither activation nor loss: these come with the
        network that is given to `from_weights`.

    Raises
    ------
    SpecError
        Other layers (normalisation, convolution, recurrence), matrices that do not follow on each other, or what is not
        finite.

    Notes
    -----
    The decay adds :math:`\lambda / 2 |w|^2` of weights and biases to the loss that is minimised. For ``MSELoss`` of K
    targets :math:`\frac{1}{nK} \sum (y - f)^2 + \frac{\lambda}{2} |w|^2` times :math:`nK / (2 \sigma^2)` is minus the
    log posterior under

    .. math:: w \sim N(0, sd^2), \quad sd^2 = \frac{2 \sigma^2}{n K \lambda},

    and for a mean cross-entropy :math:`sd^2 = 1 / (n \lambda)`. Where a step sees a batch, the gradient that it follows
    on average is the same.

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> state = {"net.0.weight": np.ones((3, 2)), "net.0.bias": np.zeros(3), "net.2.weight": np.ones((1, 3)),
    ...          "net.2.bias": np.zeros(1)}
    >>> bnn.read_torch(state, weight_decay=1e-4)
    TrainedWeights from PyTorch: W1 (2, 3), b1 (3,), W2 (3, 1), b2 (1,); penalty {'weight_decay': 0.0001}
    """
    check_name("reduction", reduction, ("mean", "sum"))
    decay = Decay("torch", {"weight_decay": not_negative("weight_decay", weight_decay)}, reduction)
    if not isinstance(state_dict, Mapping):
        raise SpecError(
            f"Got a {type(state_dict).__name__}; weights of PyTorch are read from a state dict. Pass "
            "model.state_dict()."
        )
    found: dict[str, dict[str, Any]] = {}
    for key, value in state_dict.items():
        match = re.fullmatch(r"(?:(.*)\.)?(weight|bias)", str(key))
        if match is None:
            raise SpecError(f"Got the entry {key!r} in a state dict. {_ONLY}. {_remedy(str(key))}")
        found.setdefault(match[1] or "", {})[match[2]] = value
    for name, entry in found.items():
        ndim = np.ndim(entry["weight"]) if "weight" in entry else 0
        if ndim != 2:
            got = f"of shape {tuple(np.shape(entry['weight']))}" if ndim else "missing"
            raise SpecError(f"Got {_key(name, 'weight')} {got}, which is no matrix. {_ONLY}. {_remedy('norm')}")
    names = sorted(found, key=_number) if all(_number(name) is not None for name in found) else list(found)
    if len({name.rpartition(".")[0] for name in names}) > 1:
        names = list(found)
    layers = [(_transposed(found[name]["weight"]), found[name].get("bias")) for name in names]
    return layered(layers, [f"{name or 'the layer'!r}" for name in names], "PyTorch", decay=decay)


def _number(name):
    last = name.rpartition(".")[2]
    return int(last) if last.isdigit() else None


def _key(name, what):
    return repr(f"{name}.{what}" if name else what)


def _transposed(weight):
    return finite(weight, "weights").T


def _remedy(key):
    if any(word in key for word in ("running_", "num_batches", "norm")):
        return "Fold a normalisation (in eval mode a scale and a shift) into the next Linear layer, or train without."
    return "Pass the state dict of the nn.Sequential alone."
