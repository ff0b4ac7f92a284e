"""What PyTensor compiles for the operations on its numba backend: parameters packed, kernels called, gradients cut out."""

import numpy as np
from pytensor.link.numba.cache import compile_numba_function_src
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

from bayesnn.ops.kernels import passes
from bayesnn.ops.mlp import MLPBackward, MLPForward


@numba_njit(fastmath=False)
def _pack(theta, start, fan_in, W, b):
    """Copy a layer's weights, and below them its biases (a vector or 0.0), to theta[start:]; return where they end."""
    if W.shape[0] != fan_in:
        raise ValueError("The rows of a weight matrix are not as many as the units of the layer before.")
    h = W.shape[1]
    for i in range(fan_in):
        for j in range(h):
            theta[start + i * h + j] = W[i, j]
    start += fan_in * h
    theta[start : start + h] = b
    return start + h


@numba_njit(fastmath=False)
def _n_parameters(widths):
    """Length of the packed parameters."""
    total = 0
    for i in range(len(widths) - 1):
        total += (widths[i] + 1) * widths[i + 1]
    return total


def _lines(op):
    """Code that both functions share, for the number of layers and the biases of an operation."""
    n = len(op.bias)
    names = [f"W{i}" for i in range(n)] + [f"b{i}" for i in range(n) if op.bias[i]]
    lines = [f"widths = (X.shape[1], {', '.join(f'W{i}.shape[1]' for i in range(n))})"]
    lines += ["theta = np.empty(n_parameters(widths))", "end = 0"]
    lines += [f"end = pack(theta, end, widths[{i}], W{i}, {f'b{i}' if op.bias[i] else '0.0'})" for i in range(n)]
    return ", ".join(names), lines


def _function(name, arguments, lines, **names):
    """Compile-ready function from lines of source."""
    source = "\n    ".join([f"def {name}({arguments}):", *lines])
    env = {"np": np, "pack": _pack, "n_parameters": _n_parameters, **names}
    return numba_njit(compile_numba_function_src(source, name, env), fastmath=False)


@register_funcify_default_op_cache_key(MLPForward)
def numba_forward(op, node=None, **kwargs):
    """Numba function of (X, *parameters)."""
    names, lines = _lines(op)
    run, _ = passes(op.activation)
    return _function("mlp_forward", f"X, {names}", [*lines, "return run(X, theta, widths)"], run=run)


@register_funcify_default_op_cache_key(MLPBackward)
def numba_backward(op, node=None, **kwargs):
    """Numba function of (g, saved, X, *parameters)."""
    names, lines = _lines(op)
    _, run = passes(op.activation)
    lines += ["grad = run(g, saved, theta, widths)", "end = 0"]
    for i, has_bias in enumerate(op.bias):
        lines += [f"start, end = end, end + widths[{i}] * widths[{i + 1}]"]
        lines += [f"gW{i} = grad[start:end].reshape(widths[{i}], widths[{i + 1}])"]
        lines += [f"start, end = end, end + widths[{i + 1}]"]
        lines += [f"gb{i} = grad[start:end]"] * has_bias
    returned = ", ".join(f"g{name}" for name in names.split(", "))
    return _function("mlp_backward", f"g, saved, X, {names}", [*lines, f"return {returned}"], run=run)
