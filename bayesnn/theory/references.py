"""Posteriors whose every number is known, for samplers to be held against: unimodal, mirrored, ridged, skewed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesnn.losses import SquaredError
from bayesnn.network import MLP
from bayesnn.priors import HalfNormal, Normal
from bayesnn.theory.exact import ExactPosterior, exact_posterior
from bayesnn.theory.reference_values import VALUES

_LINE_X, _LINE_Y = (-2.0, -1.0, 0.0, 1.0, 2.0), (-1.1, -0.7, 0.1, 0.8, 1.0)
_NODE_X = (-2.0, -1.0, 0.5, 1.0, 2.0)
_FLANK_X = (-3.0, -2.5, -2.0, -0.8, -0.48, -0.16, 0.16, 0.48, 0.8, 2.0, 2.5, 3.0)
_FLANKS = MLP((1,), noise=0.15, prior=Normal(2.0))


@dataclass(frozen=True, eq=False)
class Reference:
    """A posterior whose numbers are known.

    Parameters
    ----------
    name : str
        What is hard about it.
    net : MLP
        The network.
    X, y : array (n, 1) and array (n,)
        The data.
    X_new : array (k, 1)
        Where the function is known.
    values : dict of str to (float, float)
        Exact values with their errors: ``log evidence``; ``E f(x)`` and ``sd f(x)`` of what is expected of the target
        at x (of the probability of class k: ``p<k>``); ``E |W1|^2``, ``E |b1|^2``, ... of sums of squares, which no
        symmetry changes; ``E noise``; and ``share k`` of each mode in function space, where there are several.
    """

    name: str
    net: MLP
    X: np.ndarray
    y: np.ndarray
    X_new: np.ndarray
    values: Mapping[str, tuple[float, float]]

    def compute(self) -> dict[str, tuple[float, float]]:
        """Compute the values anew, by `exact_posterior`."""
        return values_of(exact_posterior(self.net, self.X, self.y, X_new=self.X_new, quantiles=()), self.X_new)


def values_of(exact: ExactPosterior, X_new: np.ndarray) -> dict[str, tuple[float, float]]:
    """Name the numbers of an exact posterior that a reference keeps.

    Parameters
    ----------
    exact : ExactPosterior
        At those inputs.
    X_new : array (k, 1)
        Inputs.

    Returns
    -------
    dict of str to (float, float)
        As `Reference.values`.
    """
    out = {"log evidence": (exact.log_evidence, exact.log_evidence_error)}
    for i, k, name in functions(exact.net, exact.mean.shape[1], X_new):
        out[f"E {name}"] = (exact.mean[i, k], exact.mean_error[i, k])
        out[f"sd {name}"] = (exact.sd[i, k], exact.sd_error[i, k])
    table = exact.weights
    kinds = [name.partition("[")[0] for name in table.index]
    for kind in dict.fromkeys(kinds):
        rows = table[[k == kind for k in kinds]]
        mean, sd = rows["mean"], rows["sd"]
        if kind == "noise":
            out["E noise"] = (mean.iloc[0], rows["mean error"].iloc[0])
            continue
        error = 2 * (mean.abs() * rows["mean error"] + sd * rows["sd error"]).sum()
        out[f"E |{kind}|^2"] = ((mean**2 + sd**2).sum(), error)
    if len(exact.modes) > 1:
        out |= {f"share {k}": (row["share"], row["error"]) for k, row in exact.modes.iterrows()}
    return {name: (float(value), float(error)) for name, (value, error) in out.items()}


def functions(net: MLP, columns: int, X_new: np.ndarray) -> list[tuple[int, int, str]]:
    """Name what is known of the function at some inputs.

    Parameters
    ----------
    net : MLP
        The network.
    columns : int
        Number of targets or classes.
    X_new : array (k, 1)
        Inputs.

    Returns
    -------
    list of (int, int, str)
        Row, column and name of each; the probability of the first class follows from the others.
    """
    labels = net.loss.task in ("binary", "classes", "ordinal")
    return [
        (i, k, f"{f'p{k}' if labels else 'f'}({x:g})")
        for i, x in enumerate(np.asarray(X_new)[:, 0])
        for k in range(1 if labels else 0, columns)
    ]


_SPECS: dict[str, tuple[MLP, tuple[float, ...], tuple[float, ...], tuple[float, ...]]] = {
    "line": (MLP((), noise=0.3), _LINE_X, _LINE_Y, (1.5,)),
    "mirror images": (MLP((1,), bias=False, noise=0.3), _LINE_X, _LINE_Y, (1.5,)),
    "eight mirror images": (MLP((2,), bias=False, noise=0.3), _LINE_X, _LINE_Y, (1.5,)),
    "two functions, 80 to 20": (_FLANKS, _FLANK_X, (0.0,) * 3 + (1.0,) * 6 + (0.016,) * 3, (-2.5, 2.5)),
    "two functions, 97 to 3": (_FLANKS, _FLANK_X, (0.0,) * 3 + (1.0,) * 6 + (0.041,) * 3, (-2.5, 2.5)),
    "ridge of a deep line": (MLP((1,), activation="identity", bias=False, noise=0.3), _LINE_X, _LINE_Y, (1.5,)),
    "ridge of a rectified unit": (
        MLP((1,), activation="relu", bias=False, noise=0.3, prior=Normal(2.0)),
        _LINE_X,
        (0.1, -0.2, 0.1, 0.8, 1.9),
        (1.5,),
    ),
    "sigmoid node": (MLP((), loss="binary_cross_entropy", bias=False), _NODE_X, (0, 1, 0, 1, 1), (1.5,)),
    "skewed": (MLP((), loss="binary_cross_entropy", bias=False, prior=Normal(10.0)), _NODE_X, (0, 0, 1, 1, 1), (0.1,)),
    "learned noise": (MLP((1,), bias=False, noise=HalfNormal(1.0)), _LINE_X, _LINE_Y, (1.5,)),
    "three classes": (MLP((), loss="cross_entropy", bias=False), _LINE_X, (0, 0, 1, 2, 1), (-1.5, 1.5)),
    "counts": (MLP((1,), loss="poisson", bias=False), _LINE_X, (0, 1, 0, 2, 5), (-1.5, 1.5)),
}


def reference_posteriors() -> dict[str, Reference]:
    """Give the posteriors that are known: spec, data, exact values and their errors.

    Returns
    -------
    dict of str to Reference
        By name. The values are constants, computed by `exact_posterior`; `Reference.compute` does so again.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> references = bnn.theory.reference_posteriors()
    >>> len(references)
    12
    >>> round(references["two functions, 80 to 20"].values["share 1"][0], 8)
    0.20325351
    """
    out: dict[str, Any] = {}
    for name, (net, X, y, X_new) in _SPECS.items():
        target = np.array(y) if net.loss.name == SquaredError().name else np.array(y, dtype=int)
        out[name] = Reference(name, net, np.array(X)[:, None], target, np.array(X_new)[:, None], VALUES[name])
    return out
