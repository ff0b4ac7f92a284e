"""The log density of a PyMC model and its gradient, compiled once for a flat vector of parameters."""

import numpy as np


class FlatDensity:
    """A model's log density as a function of one flat vector, with its gradient.

    The sizes of the layers enter as data, so that PyTensor's cache serves every width of the same architecture.

    Parameters
    ----------
    model : pymc.Model
        A model of `bayesnn.model.model_of`.
    sign : int
        1 for the log density, -1 for its negative.
    jacobian : bool
        Whether to take the density of the transformed parameters, which a sampler needs, or of the parameters in
        their own units, whose mode is the MAP.
    """

    def __init__(self, model, *, sign, jacobian):
        import pymc as pm
        import pytensor
        import pytensor.tensor as pt
        from pytensor.graph.replace import graph_replace

        point = model.initial_point(0)
        self.names = [model.values_to_rvs[v].name for v in model.value_vars]
        self.shapes = [np.shape(point[v.name]) for v in model.value_vars]
        self.offsets = np.concatenate([[0], np.cumsum([int(np.prod(s)) for s in self.shapes])]).astype("int64")
        self.size = int(self.offsets[-1])

        flat = pt.dvector("theta")
        offsets = pytensor.shared(self.offsets, name="offsets")
        pieces = {}
        for i, (var, shape) in enumerate(zip(model.value_vars, self.shapes, strict=True)):
            piece = flat[offsets[i] : offsets[i + 1]]
            if shape:
                sizes = pytensor.shared(np.array(shape, dtype="int64"), name=f"shape_{var.name}")
                pieces[var] = piece.reshape([sizes[k] for k in range(len(shape))])
            else:
                pieces[var] = piece[0]
        value = graph_replace(sign * model.logp(jacobian=jacobian), pieces)
        self.function = pm.compile([flat], [value, pytensor.grad(value, flat)], trust_input=True)

    def unpack(self, x):
        """Parameters, in their own units, of one flat vector or a batch of them.

        Parameters
        ----------
        x : array (..., size)
            Flat vectors.

        Returns
        -------
        dict of str to array
            As `MLP.forward` takes them.
        """
        x = np.asarray(x, dtype=float)
        out = {}
        for i, (name, shape) in enumerate(zip(self.names, self.shapes, strict=True)):
            value = x[..., self.offsets[i] : self.offsets[i + 1]].reshape(x.shape[:-1] + shape)
            out[name] = _CONSTRAIN[_kind(name)](value)
        return out

    def pack(self, params):
        """Flat vector of a dictionary of parameters: the inverse of `unpack`.

        Parameters
        ----------
        params : dict of str to array
            Parameters in their own units.

        Returns
        -------
        array (..., size)
            Flat vectors.
        """
        pieces = []
        for name, shape in zip(self.names, self.shapes, strict=True):
            value = _UNCONSTRAIN[_kind(name)](np.asarray(params[name], dtype=float))
            pieces.append(value.reshape(*value.shape[: value.ndim - len(shape)], -1))
        return np.concatenate(pieces, axis=-1)


class Objective(FlatDensity):
    """Negative log density without Jacobians: what MLE and MAP minimise.

    Parameters
    ----------
    model : pymc.Model
        A model of `bayesnn.model.model_of`.
    """

    def __init__(self, model):
        super().__init__(model, sign=-1, jacobian=False)
        self.evaluations = 0

    def __call__(self, x):
        """Value and gradient at `x`; where the density underflows, a value that a line search backs away from."""
        self.evaluations += 1
        value, gradient = self.function(np.asarray(x, dtype=float))
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return np.inf, np.zeros(self.size)
        return float(value), np.asarray(gradient)

    def hessian(self, x):
        """Matrix of second derivatives at `x` by fourth-order central differences of the exact gradient."""
        # A step of 1e-3 balances the two errors, step^4 of the truncation and eps/step of the rounding, near 1e-12.
        x = np.asarray(x, dtype=float)
        columns = np.empty((self.size, self.size))
        for j in range(self.size):
            step = 1e-3 * max(1.0, abs(x[j]))
            g = []
            for k in (1, -1, 2, -2):
                shifted = x.copy()
                shifted[j] += k * step
                g.append(self(shifted)[1])
            columns[j] = (8 * (g[0] - g[1]) - (g[2] - g[3])) / (12 * step)
        return (columns + columns.T) / 2

    def slopes(self, x):
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
            if _kind(name) == "positive":
                jacobian[rows, rows] = np.diag(np.exp(x[rows]))
            elif _kind(name) == "ordered":
                block = np.tril(np.broadcast_to(np.exp(x[rows]), (len(x[rows]),) * 2)).copy()
                block[:, 0] = 1.0
                jacobian[rows, rows] = block
        return jacobian


def _kind(name):
    if name == "cutpoints":
        return "ordered"
    return "positive" if name == "noise" or name.startswith("scale") else "real"


def _cumulate(value):
    return np.cumsum(np.concatenate([value[..., :1], np.exp(value[..., 1:])], axis=-1), axis=-1)


def _differences(value):
    return np.concatenate([value[..., :1], np.log(np.diff(value, axis=-1))], axis=-1)


_CONSTRAIN = {"real": lambda v: v, "positive": np.exp, "ordered": _cumulate}
_UNCONSTRAIN = {"real": lambda v: v, "positive": np.log, "ordered": _differences}
