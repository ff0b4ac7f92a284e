"""The operations: a network's forward pass that keeps its activations, and the backward pass that reuses them."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytensor.tensor as pt
from pytensor.compile import optdb
from pytensor.gradient import DisconnectedType, disconnected_type, pullback
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.replace import _vectorize_node, clone_replace, vectorize_graph
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.scalar import upcast

from bayesnn.activations import Activation, as_activation
from bayesnn.errors import SpecError
from bayesnn.network import affine, hidden_layers
from bayesnn.ops.callback import VERSION

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


def mlp_forward(
    X: Any, weights: Sequence[Any], biases: Sequence[Any], activation: str | Activation
) -> "TensorVariable":
    """Output of a multilayer perceptron, compiled as one operation whose gradient is one more.

    Parameters
    ----------
    X : tensor (n, p)
        Inputs.
    weights : sequence of tensors
        Matrices (p, h1), (h1, h2), ..., (hL, m); a single one is the linear model.
    biases : sequence of tensors or None
        For each matrix a vector as long as it has columns, or None for no bias.
    activation : str or Activation
        Of the hidden layers; the output layer is linear.

    Returns
    -------
    TensorVariable (n, m)
        The output; float32 if all arguments are, otherwise float64. It is computed in float64 either way.

    Raises
    ------
    UnknownNameError
        An activation that does not exist.
    SpecError
        As many biases as weights, or the number of dimensions of an argument, do not fit.

    Notes
    -----
    All sizes are symbolic: compiled code serves any number of observations and any widths. Second derivatives are
    right, by way of plain PyTensor operations.

    Examples
    --------
    >>> import numpy as np, pytensor.tensor as pt
    >>> from bayesnn.ops import mlp_forward
    >>> f = mlp_forward(np.array([[0.5], [1.0]]), [np.array([[1.0]]), np.array([[2.0]])], [None, None], "tanh")
    >>> f.eval().round(6)
    array([[0.924234],
           [1.523188]])
    """
    phi = as_activation(activation)
    if not weights or len(weights) != len(biases):
        raise SpecError(
            f"Got {len(weights)} weights and {len(biases)} biases; there must be at least one matrix, and for each "
            "matrix a bias or None."
        )
    bias = tuple(b is not None for b in biases)
    inputs = [pt.as_tensor_variable(v) for v in (X, *weights, *(b for b in biases if b is not None))]
    f: Any = MLPForward(phi, bias)(*inputs)
    return f.astype(upcast(*(v.dtype for v in inputs)))


def spell_out(X: Any, layers: Iterable[tuple[Any, Any]], activation: str | Activation) -> "TensorVariable":
    """Write the network in plain PyTensor operations; leading batch dimensions of any argument are allowed."""
    *hidden, last = layers
    return affine(hidden_layers(X, hidden, as_activation(activation).formula.symbolic), *last)


def _spell_out_gradient(op, g, X, *parameters):
    """Write the gradient of sum(g * f) with respect to the parameters in plain PyTensor operations."""
    return pullback(op.plain(X, *parameters), list(parameters), g)


def _disconnected(v):
    """Whether a cotangent says that nothing depends on an output."""
    return isinstance(v.type, DisconnectedType)


def _pulled_back(build, inputs, cotangents):
    """Pull cotangents back through the graph that `build` makes of `inputs`, which may depend on one another."""
    copies = [v.type() for v in inputs]
    pairs = [pair for pair in zip(build(*copies), cotangents, strict=True) if not _disconnected(pair[1])]
    outs, given = ([list(side) for side in zip(*pairs, strict=True)]) if pairs else ([], [])
    grads = pullback(outs, copies, given, disconnected_inputs="ignore", return_disconnected="zero")
    return clone_replace(grads, dict(zip(copies, inputs, strict=True)))


class _MLPOp(Op):
    """What the two operations share: activation, which layers have a bias, version of the code."""

    __props__ = ("activation", "bias", "version")

    def __init__(self, activation, bias, version=VERSION):
        self.activation, self.bias, self.version = as_activation(activation), tuple(bias), version

    def layers(self, parameters):
        """Sort the parameters, all weights and then the biases that exist, into (weights, bias or None)."""
        weights, biases = parameters[: len(self.bias)], iter(parameters[len(self.bias) :])
        return [(W, next(biases) if b else None) for W, b in zip(weights, self.bias, strict=True)]

    def plain(self, X, *parameters):
        """Write the network in plain operations."""
        return spell_out(X, self.layers(parameters), self.activation)

    def tensors(self, *inputs):
        """Check the number of dimensions of X and the parameters, and make all float64."""
        ndims = (2,) * (1 + len(self.bias)) + (1,) * sum(self.bias)
        tensors = [pt.as_tensor_variable(v) for v in inputs]
        if tuple(v.ndim for v in tensors) != ndims:
            raise SpecError(
                f"Got arguments of {[v.ndim for v in tensors]} dimensions; X and weights must be matrices and biases "
                f"vectors, {list(ndims)}."
            )
        return [v.astype("float64") for v in tensors]


class MLPForward(_MLPOp):
    """Output of the network, and a buffer of activations that only `MLPBackward` reads."""

    default_output = 0

    def make_node(self, X: Any, *parameters: Any) -> Apply:
        """Take X, weights and biases; give f and the buffer."""
        X, *parameters = self.tensors(X, *parameters)
        shape = (X.type.shape[0], parameters[len(self.bias) - 1].type.shape[1])
        return Apply(self, [X, *parameters], [pt.tensor(dtype="float64", shape=shape), pt.dvector()])

    def infer_shape(self, node: Any, shapes: list) -> list:
        """Shape of f from the inputs'; that of the buffer is known to the compiled code only."""
        return [(shapes[0][0], shapes[len(self.bias)][1]), tuple(node.outputs[1].shape)]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Nothing is differentiated through the buffer."""
        return [[True, False] for _ in node.inputs]

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: list[list[Any]]) -> None:
        """Compute in NumPy: the reference."""
        h, *parameters = inputs
        layers, kept = self.layers(parameters), []
        for layer, (W, b) in enumerate(layers, start=1):
            z = h @ W if b is None else h @ W + b
            if layer == len(layers):
                break
            h, slopes = self.activation.formula.with_slope(z)
            kept += [h.ravel(), slopes.ravel()]
        outputs[0][0], outputs[1][0] = z, np.concatenate([np.empty(0), *kept])

    def pullback(self, inputs: Sequence[Any], outputs: Sequence[Any], cotangents: Sequence[Any]) -> list:
        """One `MLPBackward` for the parameters; plain operations for X, which vanish unless asked for."""
        g = cotangents[0]
        if _disconnected(g):
            return [disconnected_type() for _ in inputs]
        backward: Any = MLPBackward(*self._props())  # type: ignore[attr-defined]  # from PyTensor, for __props__
        gX = _pulled_back(lambda *copies: [self.plain(*copies)], inputs, [g])[0]
        return [gX, *backward(g, outputs[1], *inputs, return_list=True)]


class MLPBackward(_MLPOp):
    """Gradient of sum(g * f) with respect to each weight matrix and bias."""

    def make_node(self, g: Any, saved: Any, X: Any, *parameters: Any) -> Apply:
        """Take the cotangent of f, the buffer and the inputs of `MLPForward`; give a gradient for each parameter."""
        g, (X, *parameters) = pt.as_tensor_variable(g).astype("float64"), self.tensors(X, *parameters)
        return Apply(self, [g, saved, X, *parameters], [v.type() for v in parameters])

    def infer_shape(self, node: Apply, shapes: list) -> list:
        """Shapes of the parameters."""
        return shapes[3:]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Leave the buffer out: it is a function of the other inputs, and derivatives run through those alone."""
        return [[i != 1] * len(node.outputs) for i in range(len(node.inputs))]

    def perform(self, node: Apply, inputs: Sequence[Any], outputs: list[list[Any]]) -> None:
        """Compute in NumPy: the reference."""
        delta, saved, X, *parameters = inputs
        layers = self.layers(parameters)
        a, slopes, at = [X], [None], 0
        for W, _ in layers[:-1]:
            size = len(X) * W.shape[1]
            a.append(saved[at : at + size].reshape(len(X), -1))
            slopes.append(saved[at + size : at + 2 * size].reshape(len(X), -1))
            at += 2 * size
        of_weights: list[Any] = []
        of_biases: list[Any] = []
        for i in reversed(range(len(layers))):
            W, b = layers[i]
            of_weights.insert(0, a[i].T @ delta)
            if b is not None:
                of_biases.insert(0, delta.sum(axis=0))
            if i > 0:
                delta = delta @ W.T * slopes[i]
        for storage, grad in zip(outputs, of_weights + of_biases, strict=True):
            storage[0] = grad

    def pullback(self, inputs: Sequence[Any], outputs: Sequence[Any], cotangents: Sequence[Any]) -> list:
        """Second derivatives, in plain operations."""
        grads = _pulled_back(lambda *copies: _spell_out_gradient(self, *copies), [inputs[0], *inputs[2:]], cotangents)
        return [grads[0], disconnected_type(), *grads[1:]]


@node_rewriter([MLPForward, MLPBackward])
def _as_plain_operations(fgraph, node):
    """Replace the operations by what they stand for."""
    if isinstance(node.op, MLPForward):
        return {node.outputs[0]: node.op.plain(*node.inputs)}
    return _spell_out_gradient(node.op, node.inputs[0], *node.inputs[2:])


# JAX compiles and fuses the plain operations itself; a rewrite, unlike a JAX dispatch, needs no import of JAX.
optdb.register("bayesnn_mlp_as_plain_operations", dfs_rewriter(_as_plain_operations), "jax", position=0.1)


@_vectorize_node.register(MLPForward)
def _batch_forward(op, node, *inputs):
    """Batch over plain operations; the buffer, which nothing reads then, is stood in for by f."""
    f = op.plain(*inputs)
    return [f, f]


@_vectorize_node.register(MLPBackward)
def _batch_backward(op, node, g, saved, *inputs):
    """Batch over plain operations."""
    copies = [v.type() for v in (node.inputs[0], *node.inputs[2:])]
    return vectorize_graph(_spell_out_gradient(op, *copies), dict(zip(copies, (g, *inputs), strict=True)))
