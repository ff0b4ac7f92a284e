"""What MLE and MAP minimise: the negative log density, with its Hessian."""

from collections.abc import Callable

import numpy as np

from bayesnn.fitting.density import Layout, kind_of_parameter


class Objective(Layout):
    """Negative log density of the parameters in their own units.

    Parameters
    ----------
    density : FusedDensity or ModelDensity
        A log density without Jacobians.
    """

    def __init__(self, density):
        super().__init__(dict(zip(density.names, density.shapes, strict=True)))
        self.density = density

    def __call__(self, x):
        """Value and gradient at `x`; where the density underflows, a value that a line search backs away from."""
        value, gradient = self.density(np.asarray(x, dtype=float))
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return np.inf, np.zeros(self.size)
        return -value, -gradient

    def hessian(self, x: np.ndarray) -> np.ndarray:
        """Matrix of second derivatives at `x` by fourth-order central differences of the exact gradient."""

        def gradients(points):
            values, slopes = self.density.many(points)
            # Where the density underflows there are no derivatives.
            fine = np.isfinite(values) & np.isfinite(slopes).all(axis=1)
            return np.where(fine[:, None], -slopes, 0.0)

        return central_hessian(gradients, x)

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Diagonal of the derivative of `unpack` for parameters that are transformed one by one.

        Parameters
        ----------
        x : array (size,)
            Flat vector.

        Returns
        -------
        array (size, size)
            Jacobian matrix of the parameters in their own units, raveled in the order of `names`.
        """
        jacobian = np.eye(self.size)
        for i, name in enumerate(self.names):
            rows = slice(self.offsets[i], self.offsets[i + 1])
            if kind_of_parameter(name) == "positive":
                jacobian[rows, rows] = np.diag(np.exp(x[rows]))
            elif kind_of_parameter(name) == "ordered":
                block = np.tril(np.broadcast_to(np.exp(x[rows]), (len(x[rows]),) * 2)).copy()
                block[:, 0] = 1.0
                jacobian[rows, rows] = block
        return jacobian


def central_hessian(
    gradients: Callable[[np.ndarray], np.ndarray], x: np.ndarray, *, free: np.ndarray | None = None
) -> np.ndarray:
    """Matrix of second derivatives by fourth-order central differences.

    Parameters
    ----------
    gradients : callable
        From points (s, size) to gradients (s, size).
    x : array (size,)
        Where.
    free : array (size,) of bool, optional
        Elements that may move; the rows and columns of the others are zero.

    Returns
    -------
    array (size, size)
        Symmetric.
    """
    # A step of 1e-3 balances the two errors, step^4 of the truncation and eps/step of the rounding, near 1e-12.
    x = np.asarray(x, dtype=float)
    at = np.arange(x.size) if free is None else np.flatnonzero(free)
    steps = 1e-3 * np.maximum(1.0, np.abs(x[at]))
    points = x + np.array([1, -1, 2, -2])[:, None, None] * (np.eye(x.size)[at] * steps[:, None])
    g = gradients(points.reshape(4 * len(at), x.size)).reshape(4, len(at), x.size)[:, :, at]
    # Where there is no maximum, gradients may be as large as a double: no number then, as whoever asks looks for.
    with np.errstate(over="ignore", invalid="ignore"):
        columns = (8 * (g[0] - g[1]) - (g[2] - g[3])) / (12 * steps)[:, None]
    out = np.zeros((x.size, x.size))
    out[np.ix_(at, at)] = (columns + columns.T) / 2
    return out
