"""The convex contrast: without hidden units the loss is a bowl, or a flat valley."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import null_space

from bayesnn import losses
from bayesnn.errors import SpecError
from bayesnn.fitting.climb import climb, newton
from bayesnn.fitting.density import Layout, log_density
from bayesnn.fitting.existence import existence_of
from bayesnn.fitting.objective import Objective
from bayesnn.network import MLP
from bayesnn.theory.results import Result
from bayesnn.tree import Inputs, Problem, ScalingChoice, prepare

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False, eq=False)
class Convexity(Result):
    """The shape of the loss of a network without hidden layers, from `convexity`.

    Parameters
    ----------
    problem : Problem
        The network and its data.
    names : tuple of str
        Names of the parameters (d,), in the order of all that follows.
    hessian, penalised : array (d, d)
        Second derivatives at zero of the NLL, and of the NLL plus the penalty of the prior.
    null_directions : array (d, k)
        Orthonormal columns along which the NLL never changes.
    mle, map : array (d,) or None
        Optima: of the valley the point nearest to zero; None where there is none.
    reason : str
        Why there is an MLE, or none.
    """

    problem: Problem
    names: tuple[str, ...]
    hessian: np.ndarray
    penalised: np.ndarray
    null_directions: np.ndarray
    mle: np.ndarray | None
    map: np.ndarray | None
    reason: str

    @property
    def strict(self) -> bool:
        """Whether the NLL is strictly convex, so that it has one optimum at most."""
        return not self.null_directions.shape[1]

    @property
    def penalised_strict(self) -> bool:
        """Whether NLL plus penalty is strictly convex."""
        null = self.null_directions
        extra = null.T @ (self.penalised - self.hessian) @ null
        return self.strict or bool(np.linalg.eigvalsh(extra).min() > 1e-12 * np.abs(self.penalised).max())

    def nll(self, weights: ArrayLike, *, penalty: bool = False) -> np.ndarray:
        """Negative log-likelihood at weights, in the order of `names`.

        Parameters
        ----------
        weights : array (..., d)
            Flat vectors.
        penalty : bool
            Take the negative log-prior to it.

        Returns
        -------
        array (...)
            In nats.
        """
        net, problem = self.problem.net, self.problem
        params = Layout(problem.shapes).unpack(np.asarray(weights, dtype=float))
        nll = -problem.log_likelihood(params)
        return nll - net.log_prior(params) if penalty else nll

    @property
    def directions(self) -> list[str]:
        """The null directions in words."""
        return [
            " ".join(f"{v:+.3g} {name}" for name, v in zip(self.names, column, strict=True) if abs(v) > 1e-9)
            for column in self.null_directions.T
        ]

    @cached_property
    def table(self) -> "pd.DataFrame":
        """Curvature at zero, flat directions and optima, without and with the penalty."""
        import pandas as pd

        k = self.null_directions.shape[1]
        rows = []
        for hessian, strict, at in (
            (self.hessian, self.strict, self.mle),
            (self.penalised, self.penalised_strict, self.map),
        ):
            eigenvalues = np.linalg.eigvalsh(hessian)
            flat = 0 if strict else k
            low = 0.0 if flat else float(eigenvalues[0])
            penalty = hessian is self.penalised
            rows.append(
                {
                    "flat directions": flat,
                    "smallest curvature": low,
                    "largest curvature": float(eigenvalues[-1]),
                    "optima": "none" if at is None else "a valley" if flat else "one",
                    "norm": np.nan if at is None else float(np.linalg.norm(at)),
                    "value": np.nan if at is None else float(self.nll(at, penalty=penalty)),
                }
            )
        return pd.DataFrame(rows, index=["NLL", "NLL + penalty"])

    @property
    def message(self) -> str:
        """How many optima there are, and why."""
        d, k = self.null_directions.shape
        if self.strict:
            first = f"The {d} parameter{'s are' if d > 1 else ' is'} all seen by the data: the NLL is strictly convex"
        else:
            shown = "; ".join(self.directions[:3]) + ("; ..." if k > 3 else "")
            first = (
                f"The data see {d - k} of {d} directions of the parameters: the NLL is convex with a flat valley along "
                f"{shown}"
            )
        optima = "" if self.mle is None else " and has one optimum" if self.strict else ", whose points are all optima"
        missing = f" It has no optimum: {self.reason}." if self.mle is None else ""
        if (self.penalised == self.hessian).all():
            return f"{first}{optima}.{missing} The prior is flat: it adds nothing."
        second = "is strictly convex" if self.penalised_strict else "has a valley still"
        one = ", with no optimum" if self.map is None else ", with one optimum" if self.penalised_strict else ""
        return f"{first}{optima}.{missing} With the penalty of {self.problem.net.prior!r} it {second}{one}."


def convexity(net: MLP, X: Inputs, y: ArrayLike | None = None, *, scaling: ScalingChoice = None) -> Convexity:
    r"""Say how many optima a network without hidden layers has, without and with its prior.

    The NLL is a sum of convex functions of :math:`x_i^\top W + b`. It is strictly convex if and only if no direction
    of the parameters leaves all outputs where they are: if the design has full rank, for softmax besides the common
    shift of all classes, which no probability sees. Otherwise these directions make a flat valley. A Gaussian prior
    of standard deviation s adds :math:`1/s^2` to every curvature (ridge), so that one optimum is left. A network with
    hidden units has no such guarantee: see `mirror_barrier`.

    Parameters
    ----------
    net : MLP
        Without hidden layers; squared error with known noise, binary or softmax cross-entropy, or Poisson; a
        Flat, Normal or ElasticNet prior.
    X : array (n, p), DataFrame or Dataset
        Inputs.
    y : array (n,) or (n, K), optional
        Targets; left out when `X` is a Dataset.
    scaling : None, "standard", False or Scaling
        As for `bnn.fit_mle`.

    Returns
    -------
    Convexity
        With ``strict``, ``null_directions``, ``hessian`` and ``penalised`` (at zero weights, exact), ``mle``, ``map``.

    Raises
    ------
    SpecError
        Hidden layers, or a loss, noise or prior of which convexity is not known.
    DataError
        Data that break a rule.

    References
    ----------
    S. Boyd and L. Vandenberghe, "Convex Optimization", Cambridge University Press (2004), chapters 3 and 7.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> X, y = [[1, 2], [2, 4], [3, 6]], [1, 2, 2]
    >>> ols = bnn.MLP(hidden=(), noise=1.0, bias=False, prior=bnn.Normal(2.0))
    >>> found = bnn.theory.convexity(ols, X, y)
    >>> found.strict, found.directions
    (False, ['+0.894 W1[x1, target] -0.447 W1[x2, target]'])
    >>> found.table[["smallest curvature", "optima"]]
                   smallest curvature    optima
    NLL                          0.00  a valley
    NLL + penalty                0.25       one
    """
    problem = prepare(net, X, y, scaling=scaling)
    curvature = _curvature(problem)
    layout = Layout(problem.shapes)
    design = np.column_stack([problem.X, np.ones((len(problem.X), int(net.has_bias(1))))])
    # A flat vector has the weights of one input after those of another, then the biases.
    hessian = np.kron(design.T @ design, curvature)
    null = np.kron(null_space(design), np.eye(len(curvature)))
    if losses.CrossEntropy.name == net.loss.name:
        seen = np.eye(design.shape[1]) - (basis := null_space(design)) @ basis.T
        shift = np.full((len(curvature), 1), len(curvature) ** -0.5)
        null = np.column_stack([null, np.kron(_basis_of(seen), shift)])
    # Signs of null vectors are arbitrary: the largest entry is positive.
    null = null * np.sign(np.take_along_axis(null, np.abs(null).argmax(axis=0, keepdims=True), axis=0))
    ridge = 2 * layout.rates(net.prior)[1]
    free = replace(problem, net=net.flat)
    exists = existence_of(free)
    return Convexity(
        problem,
        tuple(e for name, shape in problem.shapes.items() for e in problem.elements(name, shape)),
        hessian,
        hessian + np.diag(ridge),
        null,
        _optimum(free) if exists else None,
        _optimum(problem) if net.prior.proper or (ridge.any() and existence_of(problem)) else None,
        exists.reason,
    )


def _curvature(problem):
    """Second derivatives (K, K) of one observation's loss in the outputs where these are zero."""
    net, k = problem.net, len(problem.output_names)
    if net.hidden:
        raise SpecError(
            f"Got hidden={net.hidden}; the loss of a network with hidden units is not convex. Use "
            "bnn.theory.mirror_barrier(fit), which measures it, or hidden=()."
        )
    known = losses.is_ours(net.loss) and net.loss.name in _CURVATURE
    if not known:
        raise SpecError(
            f"Got loss={net.loss!r}; strictly convex and smooth are {', '.join(map(repr, _CURVATURE))}. Write one of "
            "them."
        )
    if net.noise_prior is not None:
        raise SpecError("Got a noise that is learned; the NLL is not convex in it. Write noise=1.0.")
    rates = None if net.prior.has_learned_scale else Layout(problem.shapes).rates(net.prior)
    if rates is None or net.prior.formula is not None or rates[2].any() or ((rates[0] > 0) & (rates[1] == 0)).any():
        raise SpecError(
            f"Got prior={net.prior!r}; it must be Flat, Normal or ElasticNet, whose penalties are strictly convex or "
            "zero. Write prior=bnn.Normal(1.0)."
        )
    return _CURVATURE[net.loss.name](k, net.noise)


_CURVATURE = {
    "squared_error": lambda k, noise: np.eye(k) / noise**2,
    "binary_cross_entropy": lambda k, noise: np.full((1, 1), 0.25),
    "cross_entropy": lambda k, noise: np.eye(k) / k - 1 / k**2,
    "poisson": lambda k, noise: np.eye(k),
}


def _basis_of(projection):
    """Orthonormal columns that span what a projection leaves."""
    values, vectors = np.linalg.eigh(projection)
    return vectors[:, values > 0.5]


def _optimum(problem):
    """Find the optimum that is reached from zero, along no null direction."""
    objective = Objective(log_density(problem, jacobian=False))
    kinks = objective.kinks(problem.net.prior)
    end, _, _ = climb(objective, np.zeros(objective.size), kinks=kinks, smooth=True, maxiter=2000)
    return newton(objective, end, kinks)
