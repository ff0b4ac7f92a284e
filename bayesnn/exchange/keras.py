"""Weights of Keras: the list that a stack of dense layers gives."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from bayesnn.arguments import check_name
from bayesnn.errors import SpecError
from bayesnn.exchange.weights import Decay, TrainedWeights, layered, not_negative


def read_keras(
    weights: Sequence[Any], *, l1: float = 0.0, l2: float = 0.0, reduction: Literal["mean", "sum"] = "mean"
) -> TrainedWeights:
    r"""Read the list of weights of a Keras model that is a stack of `Dense` layers.

    Parameters
    ----------
    weights : list of array
        ``model.get_weights()``: kernel (in, out), bias (out,), kernel, ...; layers with ``use_bias=False`` have none.
    l1, l2 : float
        The kernel regulariser of the layers, ``L1``, ``L2`` or ``L1L2``, which leaves biases alone.
    reduction : {"mean", "sum"}
        How the loss added up the rows; ``"mean"`` is Keras' own.

    Returns
    -------
    TrainedWeights
        The list holds neither activation nor loss: these come with the network that is given to `from_weights`.

    Raises
    ------
    SpecError
        Other layers (normalisation, convolution), matrices that do not follow on each other, or what is not finite.

    Notes
    -----
    The regulariser adds :math:`l_1 |W|_1 + l_2 |W|^2` to the loss that is minimised. For the mean squared error of K
    targets the prior is, for ``l2``, normal with :math:`sd^2 = \sigma^2 / (n K l_2)` (without K where it sums over
    them), and for a mean cross-entropy :math:`sd^2 = 1 / (2 n l_2)`; biases are flat.

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> bnn.read_keras([np.ones((2, 3)), np.zeros(3), np.ones((3, 1)), np.zeros(1)], l2=1e-4)
    TrainedWeights from Keras: W1 (2, 3), b1 (3,), W2 (3, 1), b2 (1,); penalty {'l1': 0.0, 'l2': 0.0001}
    """
    check_name("reduction", reduction, ("mean", "sum"))
    decay = Decay("keras", {"l1": not_negative("l1", l1), "l2": not_negative("l2", l2)}, reduction)
    if isinstance(weights, str | bytes | dict) or not isinstance(weights, Sequence):
        raise SpecError(
            f"Got a {type(weights).__name__}; weights of Keras are read from a list of arrays. Pass "
            "model.get_weights()."
        )
    layers: list[list[Any]] = []
    for k, value in enumerate(weights):
        if np.ndim(value) == 2:
            layers.append([value, None])
        elif np.ndim(value) == 1 and layers and layers[-1][1] is None:
            layers[-1][1] = value
        else:
            raise SpecError(
                f"Got weights[{k}] of shape {tuple(np.shape(value))} where the kernel (in, out) of a Dense layer "
                "should be, or its only bias. Normalisation, convolution and embedding are not read: fold a "
                "BatchNormalization into the next Dense layer, give a Normalization as scaling=, or train without."
            )
    pairs = [(W, b) for W, b in layers]
    return layered(pairs, [f"dense layer {k}" for k in range(1, len(pairs) + 1)], "Keras", decay=decay)
