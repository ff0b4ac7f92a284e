"""The fused network against mpmath, plain PyTensor, finite differences, and itself in other shapes."""

from functools import cache
from itertools import pairwise

import mpmath as mp
import numba
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode
from pytensor.graph.replace import vectorize_graph
from pytensor.link.numba.dispatch.basic import numba_funcify_and_cache_key

from bayesnn.activations import ACTIVATIONS
from bayesnn.errors import SpecError, UnknownNameError
from bayesnn.ops import mlp_forward
from bayesnn.ops.callback import VERSION, version_of
from bayesnn.ops.forms import form_of
from bayesnn.ops.kernels import activation, passes
from bayesnn.ops.mlp import MLPBackward, MLPForward
from bayesnn.ops.simd import SLOPES

NAMES = sorted(ACTIVATIONS)
PYTHON = Mode(linker="py", optimizer=None)
BIAS = (True, False, True)

PLAIN = {
    "tanh": pt.tanh,
    "sigmoid": pt.sigmoid,
    "relu": lambda z: pt.maximum(z, 0.0),
    "identity": lambda z: z,
    "gelu": lambda z: z * 0.5 * (1.0 + pt.erf(z / np.sqrt(2.0))),
    "silu": lambda z: z * pt.sigmoid(z),
    "softplus": pt.softplus,
    "erf": pt.erf,
    "sin": pt.sin,
}

EXACT = {
    "tanh": (mp.tanh, None),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), None),
    "relu": (lambda x: max(x, mp.mpf(0)), None),
    "identity": (lambda x: x, None),
    "gelu": (
        lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
        lambda x: mp.erfc(-x / mp.sqrt(2)) / 2 + x * mp.npdf(x),
    ),
    "silu": (
        lambda x: x / (1 + mp.exp(-x)),
        lambda x: (1 + x / (1 + mp.exp(x))) / (1 + mp.exp(-x)),
    ),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), lambda x: 1 / (1 + mp.exp(-x))),
    "erf": (mp.erf, lambda x: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)),
    "sin": (mp.sin, mp.cos),
}


# --- the activations, element by element -------------------------------------------------------------------------


@cache
def elementwise(name):
    activate = activation(form_of(ACTIVATIONS[name])[0])

    @numba.njit
    def run(x):
        a = np.empty(2 * x.size)
        a[: x.size] = x
        activate(a, 0, x.size, x.size)
        return a[: x.size], a[x.size :]

    return run


def grid():
    rng = np.random.default_rng(1)
    size = np.concatenate([10.0 ** np.linspace(-320, 2.6, 60), rng.uniform(0, 5, 60), rng.uniform(0, 45, 60)])
    ends = [0.5, 0.34657, 0.41421, 0.88137, 1.0, 6.0, 19.06, 22.0, 26.6, 37.5, 38.5, 700.0, 709.0, 720.0, 744.0, 745.2]
    multiples = np.pi * np.array([1.0, 2.0, 17.0, 1e4, 3e7])
    size = np.concatenate([size, ends, multiples, np.nextafter(0.5, [0, 1]), [1e5, 1e9, 1e300]])
    x = np.concatenate([size, -size])
    return np.resize(x, -(-x.size // 8) * 8)


def worst_error(x, got, exact, floor):
    """Largest |got - exact| / max(|exact|, floor); steps of the smallest denormals count as nothing."""
    with mp.workdps(50):
        truth = [exact(mp.mpf(v)) for v in x]
        errors = [abs(mp.mpf(g) - t) for g, t in zip(got, truth, strict=True)]
        return float(max(e / max(abs(t), floor) for e, t in zip(errors, truth, strict=True) if e > mp.mpf("4e-321")))


def errors_of(name, value, slope):
    x = grid()
    if name not in ("sin", "tanh", "sigmoid", "erf"):
        x = np.where(abs(x) < 1e5, x, 1.0)
    out = [worst_error(x, value(x), EXACT[name][0], mp.mpf(0))] if name not in ("identity", "relu") else [0.0]
    if EXACT[name][1] is not None:
        crosses_zero = name in ("gelu", "silu", "sin")
        out.append(worst_error(x, slope(x), EXACT[name][1], mp.mpf(1 if crosses_zero else 0)))
    return out


@pytest.mark.parametrize("name", NAMES)
def test_activation_is_accurate_over_the_whole_range(name):
    run = elementwise(name)
    assert max(errors_of(name, lambda x: run(x)[0], lambda x: run(x)[1])) < 2e-15


def test_accuracy_check_fires():
    assert errors_of("tanh", lambda x: 1 - 2 / (np.exp(np.minimum(2 * x, 700)) + 1), None)[0] > 1e-3
    assert errors_of("sigmoid", lambda x: 0.5 + 0.5 * np.tanh(x / 2), None)[0] > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_activation_at_infinity_nan_and_zero(name):
    x = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0, 5e-324, -5e-324, 1e-310])
    value, slope = elementwise(name)(x)
    odd = {"tanh": 1.0, "erf": 1.0, "sin": np.nan, "identity": np.inf}
    top, bottom = (odd[name], -odd[name]) if name in odd else (1.0 if name == "sigmoid" else np.inf, 0.0)
    np.testing.assert_array_equal(value[:3], [top, bottom, np.nan])
    if name in odd:
        np.testing.assert_array_equal(np.signbit(value[3:]), [False, True, False, True, False])
    expected = {"sigmoid": [0.5] * 3, "softplus": [np.log(2)] * 3, "gelu": [0, 5e-311, 0], "silu": [0, 5e-311, 0]}
    scale = 2 / np.sqrt(np.pi) if name == "erf" else 1.0
    near_zero = expected.get(name, [0.0, scale * 1e-310, 5e-324])
    np.testing.assert_allclose(value[[3, 7, 5]], near_zero, rtol=1e-12, atol=5e-324 if name in ("gelu", "silu") else 0)
    if name not in SLOPES:
        limits = {"erf": [0, 0], "sin": [np.nan] * 2}.get(name, [1, 0])
        np.testing.assert_array_equal(slope[:3], [*limits, np.nan])


# --- the network ---------------------------------------------------------------------------------------------------


def plain_forward(X, weights, biases, activation):
    h = X
    for i, (W, b) in enumerate(zip(weights, biases, strict=True)):
        h = h @ W if b is None else h @ W + b
        if i < len(weights) - 1:
            h = PLAIN[activation](h)
    return h


def symbols(bias, dtype="float64"):
    X = pt.matrix("X", dtype=dtype)
    weights = [pt.matrix(f"W{i}", dtype=dtype) for i in range(len(bias))]
    biases = [pt.vector(f"b{i}", dtype=dtype) if present else None for i, present in enumerate(bias)]
    return X, weights, biases, weights + [b for b in biases if b is not None]


@cache
def compiled(build, activation, bias, mode):
    """Function (g, X, *parameters) -> [f, gradient of sum(g f) for each parameter]."""
    X, weights, biases, parameters = symbols(bias)
    g = pt.matrix("g")
    f = build(X, weights, biases, activation)
    return pytensor.function([g, X, *parameters], [f, *pt.grad((g * f).sum(), parameters)], mode=mode)


def values(n, widths, bias, seed=0):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=pair) for pair in pairwise(widths)]
    biases = [rng.normal(size=h) for h, present in zip(widths[1:], bias, strict=True) if present]
    return [rng.normal(size=(n, widths[-1])), rng.normal(size=(n, widths[0])), *weights, *biases]


@cache
def kernels(activation):
    """As `compiled`, for three layers with BIAS, from the bare kernels: these compile in half the time."""
    start, forward, backward = passes(*form_of(ACTIVATIONS[activation])[:2])

    @numba.njit
    def run(g, X, theta, widths):
        saved = start(X, widths)
        for i in range(theta.size):
            saved[i] = theta[i]
        return forward(X, saved, widths), backward(g, saved, widths)

    def function(g, X, W0, W1, W2, b0, b2):
        layers = [np.vstack([W0, b0]), np.vstack([W1, np.zeros(W1.shape[1])]), np.vstack([W2, b2])]
        widths = (X.shape[1], W0.shape[1], W1.shape[1], W2.shape[1])
        f, grad = run(g, X, np.concatenate([layer.ravel() for layer in layers]), widths)
        parts = np.split(grad, np.cumsum([layer.size for layer in layers]))
        grads = [part.reshape(layer.shape) for part, layer in zip(parts, layers, strict=False)]
        return [f, *(d[:-1] for d in grads), grads[0][-1], grads[2][-1]]

    return function


def assert_equal(got, expected, tolerance=1e-12):
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(1.0, abs(b).max()))


@pytest.mark.parametrize("name", NAMES)
def test_forward_and_gradient_equal_the_plain_graph(name):
    fused, plain = kernels(name), compiled(plain_forward, name, BIAS, PYTHON)
    for n, widths in ((1, (1, 2, 3, 1)), (8, (9, 1, 1, 2)), (203, (3, 6, 5, 1)), (1501, (10, 17, 24, 3))):
        args = values(n, widths, BIAS)
        assert_equal(fused(*args), plain(*args))


@pytest.mark.parametrize("bias", [(True,), BIAS, (False, True, True, True)])
def test_every_depth_and_bias_pattern(bias):
    fused, plain = compiled(mlp_forward, "tanh", bias, "NUMBA"), compiled(plain_forward, "tanh", bias, PYTHON)
    for n, widths in ((1, (1, 3, 2, 5)), (37, (4, 7, 2, 1)), (600, (30, 64, 9, 10))):
        args = values(n, (*widths[: len(bias)], 1 + n % 3), bias)
        assert_equal(fused(*args), plain(*args))


@pytest.mark.parametrize("name", NAMES)
def test_gradient_equals_finite_differences(name):
    fused = kernels(name)
    g, X, *parameters = values(11, (2, 3, 2, 2), BIAS, seed=3)
    gradient = fused(g, X, *parameters)[1:]

    def difference(i, index, step=1e-5):
        both = []
        for sign in (1, -1):
            moved = [p.copy() for p in parameters]
            moved[i][index] += sign * step
            both.append((g * fused(g, X, *moved)[0]).sum())
        return (both[0] - both[1]) / (2 * step)

    numeric = [np.zeros_like(p) for p in parameters]
    for i, d in enumerate(numeric):
        for index in np.ndindex(d.shape):
            d[index] = difference(i, index)
    assert_equal(gradient, numeric, 1e-8)
    with pytest.raises(AssertionError):
        assert_equal([grad * (1 + 1e-6) for grad in gradient], numeric, 1e-8)


def test_zero_weights_are_a_saddle_of_tanh():
    g, X, *parameters = values(20, (2, 3, 2, 1), BIAS)
    _, *gradient = compiled(mlp_forward, "tanh", BIAS, "NUMBA")(g, X, *[0 * p for p in parameters])
    for grad in gradient[:4]:
        assert not grad.any()
    np.testing.assert_allclose(gradient[-1], g.sum(axis=0), rtol=1e-13)


@pytest.mark.parametrize("name", NAMES)
def test_numpy_implementation(name):
    args = values(13, (2, 5, 4, 3), BIAS)
    assert_equal(compiled(mlp_forward, name, BIAS, PYTHON)(*args), compiled(plain_forward, name, BIAS, PYTHON)(*args))


def second_derivative(build, activation, bias, mode, tied=False):
    """Function (g, X, *parameters) -> pullback of the gradient, and of f to X, along fixed directions."""
    X, weights, biases, parameters = symbols(bias)
    g = pt.matrix("g")
    if tied:
        weights = [weights[0], pt.tanh(weights[0]).T, *weights[2:]]
        parameters = [p for i, p in enumerate(parameters) if i != 1]
    f = build(X, weights, biases, activation)
    cost = (g * f**2).sum()
    first = pt.grad(cost, [X, *parameters])
    scalar = sum((d * pt.sin(1.0 + d)).sum() for d in first)
    out = [*first, *pt.grad(scalar, [g, X, *parameters])]
    return pytensor.function([g, X, *parameters], out, mode=mode)


@pytest.mark.parametrize("name", NAMES)
def test_second_derivatives(name):
    args = values(9, (2, 3, 2, 2), BIAS)
    got, expected = (second_derivative(build, name, BIAS, PYTHON)(*args) for build in (mlp_forward, plain_forward))
    assert_equal(got, expected)


def test_second_derivatives_when_weights_depend_on_one_another():
    args = values(9, (2, 3, 2, 2), BIAS)
    del args[3]
    fused = second_derivative(mlp_forward, "tanh", BIAS, PYTHON, tied=True)
    plain = second_derivative(plain_forward, "tanh", BIAS, PYTHON, tied=True)
    assert_equal(fused(*args), plain(*args))


def test_hessian_of_a_log_density_in_numba():
    theta, direction = pt.vector("theta"), pt.vector("direction")
    _, X, *_ = values(50, (1, 2, 1, 1), BIAS)

    def product(build, mode):
        weights = [theta[:2].reshape((1, 2)), theta[2:4].reshape((2, 1)), theta[4:5].reshape((1, 1))]
        f = build(pt.as_tensor(X), weights, [theta[5:7], None, theta[7:8]], "tanh")
        gradient = pt.grad(-((f[:, 0] - np.sin(X[:, 0])) ** 2).sum() - (theta**2).sum() / 2, theta)
        return pytensor.function([theta, direction], pt.grad((gradient * direction).sum(), theta), mode=mode)

    def hessian(build, mode):
        fn, at = product(build, mode), np.random.default_rng(2).normal(size=8)
        return np.array([fn(at, unit) for unit in np.eye(8)])

    got = hessian(mlp_forward, "NUMBA")
    np.testing.assert_allclose(got, hessian(plain_forward, PYTHON), atol=1e-11)
    np.testing.assert_allclose(got, got.T, atol=1e-11)


def test_gradient_is_two_operations():
    ops = [node.op for node in compiled(mlp_forward, "tanh", BIAS, "NUMBA").maker.fgraph.apply_nodes]
    assert sum(isinstance(op, MLPForward) for op in ops) == sum(isinstance(op, MLPBackward) for op in ops) == 1
    assert not any("dot" in str(op).lower() for op in ops)


def test_float32_in_float32_out():
    bias = (True,)
    X, weights, biases, parameters = symbols(bias, "float32")
    f = mlp_forward(X, weights, biases, "tanh")
    assert f.dtype == "float32"
    assert mlp_forward(X, [weights[0].astype("float64")], biases, "tanh").dtype == "float64"
    fused = pytensor.function([X, *parameters], [f, *pt.grad(f.sum(), parameters)], mode="NUMBA")
    args = [v.astype("float32") for v in values(21, (2, 1), bias)][1:]
    got = fused(*args)
    assert got[0].dtype == "float32"
    assert_equal(got, compiled(plain_forward, "tanh", bias, PYTHON)(np.ones((21, 1)), *args), 1e-6)


def test_jax():
    pytest.importorskip("jax")
    for name in ("tanh", "gelu"):
        fused, plain = compiled(mlp_forward, name, BIAS, "JAX"), compiled(plain_forward, name, BIAS, PYTHON)
        args = values(23, (2, 3, 4, 2), BIAS)
        assert_equal([np.asarray(v) for v in fused(*args)], plain(*args))


def test_batch_of_parameters():
    X, weights, biases, parameters = symbols(BIAS)
    f = mlp_forward(X, weights, biases, "tanh")
    outputs = [f, *pt.grad((f**2).sum(), parameters)]
    batched = [pt.tensor(shape=(None,) * (p.ndim + 1), dtype="float64") for p in parameters]
    vectorized = vectorize_graph(outputs, dict(zip(parameters, batched, strict=True)))
    many = pytensor.function([X, *batched], vectorized, mode=PYTHON)
    one = pytensor.function([X, *parameters], outputs, mode=PYTHON)
    draws = [values(6, (2, 3, 4, 1), BIAS, seed=seed)[2:] for seed in range(3)]
    inputs = values(6, (2, 3, 4, 1), BIAS)[1]
    got = many(inputs, *(np.stack(arrays) for arrays in zip(*draws, strict=True)))
    for i, draw in enumerate(draws):
        assert_equal([v[i] for v in got], one(inputs, *draw))


def test_layouts_of_memory():
    fused = compiled(mlp_forward, "tanh", (True,), "NUMBA")
    g, X, W, b = values(203, (3, 2), (True,))
    strided = np.repeat(np.repeat(W, 2, axis=0), 3, axis=1)[::2, ::3]
    got = fused(np.asfortranarray(g), np.asfortranarray(X), strided, b[::-1].copy()[::-1])
    assert_equal(got, fused(g, X, W, b), 1e-15)


# --- errors, and the cache of compiled code ------------------------------------------------------------------------


def test_wrong_arguments():
    X, W, b = np.ones((4, 2)), np.ones((2, 3)), np.ones(3)
    with pytest.raises(UnknownNameError, match="tanh"):
        mlp_forward(X, [W], [b], "tahn")
    with pytest.raises(SpecError, match="2 biases"):
        mlp_forward(X, [W], [b, b], "tanh")
    with pytest.raises(SpecError, match="vectors"):
        mlp_forward(X, [W], [W], "tanh")
    g, X, *parameters = values(8, (2, 3, 4, 1), BIAS)
    with pytest.raises(ValueError, match="rows of a weight matrix"):
        compiled(mlp_forward, "tanh", BIAS, "NUMBA")(g, X[:, :1].copy(), *parameters)
    with pytest.raises(ValueError, match="bias"):
        compiled(mlp_forward, "tanh", BIAS, "NUMBA")(g, X, *parameters[:3], np.ones(2), *parameters[4:])


def test_cache_key_follows_version_activation_and_biases():
    def keys(*args):
        return [numba_funcify_and_cache_key(op(*args))[1] for op in (MLPForward, MLPBackward)]

    base = keys("tanh", (True, True), VERSION)
    assert base == keys("tanh", (True, True))
    for other in (("tanh", (True, True), "edited"), ("sin", (True, True)), ("tanh", (True, False)), ("tanh", (True,))):
        assert set(base).isdisjoint(keys(*other))


def test_version_changes_with_the_source(tmp_path):
    files = [tmp_path / "a.py", tmp_path / "b.py"]
    for file in files:
        file.write_text("x = 1\n")
    before = version_of(files)
    assert before == version_of(files)
    files[1].write_text("x = 2\n")
    assert before != version_of(files)
