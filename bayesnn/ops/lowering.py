"""The operations on PyTensor's numba backend: parameters are packed, kernels called, gradients cut out."""

from collections.abc import Callable
from functools import cache
from typing import Any

from pytensor.link.numba.cache import compile_numba_function_src
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

from bayesnn.ops.forms import form_of
from bayesnn.ops.kernels import passes
from bayesnn.ops.mlp import MLPBackward, MLPForward


@numba_njit(fastmath=False)
def _pack_weights(saved, at, fan_in, W):
    """Copy a layer's weights to saved[at:], and zeros for its biases below them; return where the biases start."""
    h = W.shape[1]
    if W.shape[0] != fan_in:
        raise ValueError("The rows of a weight matrix are not as many as the units of the layer before.")
    for i in range(fan_in):
        for j in range(h):
            saved[at + i * h + j] = W[i, j]
    at += fan_in * h
    for j in range(h):
        saved[at + j] = 0.0
    return at


@numba_njit(fastmath=False)
def _pack_bias(saved, at, h, b):
    """Copy a layer's biases to saved[at:]."""
    if b.shape[0] != h:
        raise ValueError("The elements of a bias are not as many as the columns of its weight matrix.")
    for j in range(h):
        saved[at + j] = b[j]


def _function(op, name, extra, body, **names):
    """Compile-ready function of (*extra, X, *parameters) from lines of source; `widths` is there for the body."""
    parameters = [f"W{i}" for i in range(len(op.bias))] + [f"b{i}" for i, present in enumerate(op.bias) if present]
    widths = ", ".join(["X.shape[1]", *(f"W{i}.shape[1]" for i in range(len(op.bias)))])
    lines = [f"def {name}({', '.join([*extra, 'X', *parameters])}):", f"widths = ({widths})", *body]
    source = "\n    ".join([*lines, ""])
    return numba_njit(compile_numba_function_src(source, name, names), fastmath=False)


@cache
def _passes(phi):
    form, slope, _ = form_of(phi)
    return passes(form, slope)


@register_funcify_default_op_cache_key(MLPForward)
def numba_forward(op: MLPForward, node: Any = None, **kwargs: Any) -> Callable:
    """Numba function of (X, *parameters)."""
    start, forward, _ = _passes(op.activation)
    body = ["saved, at = start(X, widths), 0"]
    for i, present in enumerate(op.bias):
        body += [f"at = pack_weights(saved, at, widths[{i}], W{i})"]
        body += [f"pack_bias(saved, at, widths[{i + 1}], b{i})"] * present
        body += [f"at += widths[{i + 1}]"]
    body += ["return forward(X, saved, widths), saved"]
    names = {"start": start, "forward": forward, "pack_weights": _pack_weights, "pack_bias": _pack_bias}
    return _function(op, "mlp_forward", [], body, **names)


@register_funcify_default_op_cache_key(MLPBackward)
def numba_backward(op: MLPBackward, node: Any = None, **kwargs: Any) -> Callable:
    """Numba function of (g, saved, X, *parameters)."""
    _, _, backward = _passes(op.activation)
    body = ["grad, at = backward(g, saved, widths), 0"]
    for i in range(len(op.bias)):
        body += [f"q, h = widths[{i}], widths[{i + 1}]"]
        body += [f"gW{i} = grad[at : at + q * h].reshape(q, h)", f"gb{i} = grad[at + q * h : at + q * h + h]"]
        body += ["at += (q + 1) * h"]
    grads = [f"gW{i}" for i in range(len(op.bias))] + [f"gb{i}" for i, present in enumerate(op.bias) if present]
    body += [f"return {', '.join(grads)}"]
    return _function(op, "mlp_backward", ["g", "saved"], body, backward=backward)
