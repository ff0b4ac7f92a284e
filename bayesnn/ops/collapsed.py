r"""The Normal likelihood with a linear output layer integrated out exactly.

With features :math:`\Phi` (n, k), targets :math:`Y` (n, m), weights :math:`w_{ij} \sim N(0, s_i^2)` and noise
:math:`\sigma`, every column of :math:`Y` is normal with covariance
:math:`C = \sigma^2 I + \Phi S \Phi^\top`. With :math:`P = \Phi S^{1/2}` and the Cholesky factor of
:math:`A = I + P^\top P / \sigma^2`, of size k and shared by all targets,

.. math::
   \log p(Y) = -\tfrac{m}{2} (n \log 2\pi\sigma^2 + \log |A|)
               - \tfrac12 (\|R\|^2 / \sigma^2 + \|V\|^2),
   \qquad V = A^{-1} P^\top Y / \sigma^2, \quad R = Y - P V .

The quadratic form is written as a sum of squares, which does not cancel when the noise is small.
"""

import numpy as np
import pytensor.tensor as pt
from pytensor.compile import optdb
from pytensor.gradient import DisconnectedType, disconnected_type
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op
from pytensor.graph.rewriting.basic import dfs_rewriter, node_rewriter
from pytensor.link.numba.dispatch.basic import numba_njit, register_funcify_default_op_cache_key

from bayesnn.ops.mlp import VERSION

LOG_2PI = float(np.log(2 * np.pi))


def solve(features, Y, scales, sigma):
    """Posterior of the scaled output weights given the features, in NumPy.

    Parameters
    ----------
    features : array (..., n, h)
        Activations of the last hidden layer.
    Y : array (n, m)
        Targets.
    scales : array (k,)
        Prior standard deviations of the output weights of one target: k is h, or h + 1 with a bias.
    sigma : array (...,)
        Noise.

    Returns
    -------
    P : array (..., n, k)
        Features times scales.
    L : array (..., k, k)
        Lower Cholesky factor of A.
    V : array (..., k, m)
        Mean of the weights, in units of their scales.
    """
    ones = np.ones((*features.shape[:-1], len(scales) - features.shape[-1]))
    P = np.concatenate([features, ones], axis=-1) * scales
    variance = np.square(np.asarray(sigma))[..., None, None]
    A = np.eye(len(scales)) + np.swapaxes(P, -1, -2) @ P / variance
    V = np.linalg.solve(A, np.swapaxes(P, -1, -2) @ Y / variance)
    return P, np.linalg.cholesky(A), V


class CollapsedNormal(Op):
    """Log marginal density of the targets, with its derivatives by the features and by the noise.

    Parameters
    ----------
    bias : bool
        Whether the output layer has biases; the last prior scale is then theirs.
    version : str
        Part of the key under which numba keeps the compiled kernel.
    """

    __props__ = ("bias", "version")

    def __init__(self, bias, version=VERSION):
        self.bias, self.version = bool(bias), version

    def make_node(self, features, Y, scales, sigma):
        """Take features (n, h), targets (n, m), prior scales (k,) and the noise, all float64."""
        inputs = [pt.as_tensor(v).astype("float64") for v in (features, Y, scales, sigma)]
        if [v.ndim for v in inputs] != [2, 2, 1, 0]:
            raise TypeError(f"Got {[v.ndim for v in inputs]} dimensions; they must be 2, 2, 1 and 0.")
        return Apply(self, inputs, [pt.dscalar(), pt.dmatrix(), pt.dscalar()])

    def infer_shape(self, node, shapes):
        """Shape of the gradient: that of the features."""
        return [(), shapes[0], ()]

    def perform(self, node, inputs, outputs):
        """Evaluate in NumPy: the reference."""
        features, Y, scales, sigma = inputs
        n, m = Y.shape
        P, L, V = solve(features, Y, scales, sigma)
        R = Y - P @ V
        inverse = np.linalg.inv(L)
        inverse = inverse.T @ inverse
        variance = float(sigma) ** 2
        squares = np.sum(R * R)
        value = -0.5 * (m * (n * (LOG_2PI + np.log(variance)) + 2 * np.log(np.diag(L)).sum()))
        value -= 0.5 * (squares / variance + np.sum(V * V))
        by_features = ((R @ V.T - m * P @ inverse) * scales)[:, : features.shape[1]] / variance
        by_sigma = (squares / variance - m * (n - len(scales) + np.trace(inverse))) / float(sigma)
        for out, got in zip(outputs, (value, by_features, by_sigma), strict=True):
            out[0] = np.asarray(got)

    def connection_pattern(self, node):
        """Only the density is differentiated, by the features and by the noise."""
        return [[True, False, False], [False] * 3, [False] * 3, [True, False, False]]

    def pullback(self, inputs, outputs, cotangents):
        """Scale the derivatives that the forward pass has already computed."""
        if isinstance(cotangents[0].type, DisconnectedType):
            return [disconnected_type() for _ in inputs]
        by_features, by_sigma = cotangents[0] * outputs[1], cotangents[0] * outputs[2]
        return [by_features, disconnected_type(), disconnected_type(), by_sigma]


@register_funcify_default_op_cache_key(CollapsedNormal)
def _numba_collapsed(op, node, **kwargs):
    @numba_njit(fastmath={"reassoc", "contract", "nsz"}, error_model="numpy", inline="never")
    def gram(P, Y, A, B, n, k, m):
        for i in range(k):
            for j in range(i + 1):
                total = 0.0
                for t in range(n):
                    total += P[i, t] * P[j, t]
                A[i, j] = total
            for j in range(m):
                total = 0.0
                for t in range(n):
                    total += P[i, t] * Y[j, t]
                B[i, j] = total

    @numba_njit(fastmath={"reassoc", "contract", "nsz"}, error_model="numpy", inline="never")
    def residual(P, Y, V, R, n, k, m):
        squares = 0.0
        for j in range(m):
            for t in range(n):
                R[j, t] = Y[j, t]
            for i in range(k):
                for t in range(n):
                    R[j, t] -= V[i, j] * P[i, t]
            for t in range(n):
                squares += R[j, t] * R[j, t]
        return squares

    @numba_njit(fastmath={"contract"}, error_model="numpy", inline="never")
    def slopes(P, R, V, inverse, scales, G, n, h, k, m, variance):
        for i in range(h):
            c = scales[i] / variance
            for t in range(n):
                G[i, t] = 0.0
            for j in range(m):
                for t in range(n):
                    G[i, t] += c * V[i, j] * R[j, t]
            for j in range(k):
                d = c * m * inverse[i, j]
                for t in range(n):
                    G[i, t] -= d * P[j, t]

    @numba_njit(fastmath=False, error_model="numpy")
    def collapsed(features, Y, scales, sigma):
        n, h = features.shape
        k, m = len(scales), Y.shape[1]
        s = sigma.item()
        variance = s * s
        P = np.empty((k, n))
        for i in range(h):
            for t in range(n):
                P[i, t] = features[t, i] * scales[i]
        for i in range(h, k):
            P[i, :] = scales[i]
        Yt = np.empty((m, n))
        for j in range(m):
            for t in range(n):
                Yt[j, t] = Y[t, j]
        A, V, R = np.empty((k, k)), np.empty((k, m)), np.empty((m, n))
        gram(P, Yt, A, V, n, k, m)

        # Cholesky in place, then the inverse of the factor, both lower triangular.
        log_det = 0.0
        for i in range(k):
            for j in range(i + 1):
                total = A[i, j] / variance + (1.0 if i == j else 0.0)
                for q in range(j):
                    total -= A[i, q] * A[j, q]
                A[i, j] = np.sqrt(total) if i == j else total / A[j, j]
            log_det += 2.0 * np.log(A[i, i])
        factor = np.zeros((k, k))
        for j in range(k):
            factor[j, j] = 1.0 / A[j, j]
            for i in range(j + 1, k):
                total = 0.0
                for q in range(j, i):
                    total -= A[i, q] * factor[q, j]
                factor[i, j] = total / A[i, i]
        inverse = np.empty((k, k))
        trace = 0.0
        for i in range(k):
            for j in range(i + 1):
                total = 0.0
                for q in range(i, k):
                    total += factor[q, i] * factor[q, j]
                inverse[i, j] = total
                inverse[j, i] = total
            trace += inverse[i, i]
        weights = np.empty((k, m))
        size = 0.0
        for i in range(k):
            for j in range(m):
                total = 0.0
                for q in range(k):
                    total += inverse[i, q] * V[q, j]
                weights[i, j] = total / variance
                size += weights[i, j] * weights[i, j]

        squares = residual(P, Yt, weights, R, n, k, m)
        value = -0.5 * (m * (n * (LOG_2PI + np.log(variance)) + log_det) + squares / variance + size)
        G = np.empty((h, n))
        slopes(P, R, weights, inverse, scales, G, n, h, k, m, variance)
        by_sigma = (squares / variance - m * (n - k + trace)) / s
        return np.array(value), G.T, np.array(by_sigma)

    return collapsed


@node_rewriter([CollapsedNormal])
def _as_plain_operations(fgraph, node):
    """Replace the operation by what it stands for: JAX compiles and differentiates that itself."""
    features, Y, scales, sigma = node.inputs
    n, m = Y.shape
    k, units = scales.shape[0], slice(None, -1) if node.op.bias else slice(None)
    variance = sigma**2
    design = pt.concatenate([features, pt.ones((n, 1))], axis=1) if node.op.bias else features
    P = design * scales
    L = pt.linalg.cholesky(pt.diag(pt.ones_like(scales)) + P.T @ P / variance, lower=True)
    V = pt.linalg.cho_solve((L, True), P.T @ Y / variance)
    inverse = pt.linalg.cho_solve((L, True), pt.diag(pt.ones_like(scales)))
    R = Y - P @ V
    squares = (R**2).sum()
    value = -0.5 * m * (n * (LOG_2PI + pt.log(variance)) + 2 * pt.log(pt.diag(L)).sum())
    value -= 0.5 * (squares / variance + (V**2).sum())
    by_features = ((R @ V.T - m * P @ inverse) * scales)[:, units] / variance
    return [value, by_features, (squares / variance - m * (n - k + pt.trace(inverse))) / sigma]


optdb.register("bayesnn_collapsed_as_plain_operations", dfs_rewriter(_as_plain_operations), "jax", position=0.1)
