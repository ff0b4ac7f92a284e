"""Where simulated data come from: a network's own function, or one that it can't have, at inputs that are drawn."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from bayesnn.arguments import check_arguments
from bayesnn.errors import DataError, SpecError
from bayesnn.fitting.climb import climb
from bayesnn.fitting.density import log_density
from bayesnn.fitting.objective import Objective, central_hessian
from bayesnn.fitting.point import starts
from bayesnn.network import MLP, Params
from bayesnn.theory.information import check_params
from bayesnn.theory.scores import output_jacobian
from bayesnn.tree import Problem

GRID, DRAWN = 2000, 10_000
"""Rows that stand for the distribution of the inputs: quantiles of one input, or draws of several."""
STARTS = 30
"""From which the pseudo-true weights are sought."""
_BY_MEAN = ("squared_error", "binary_cross_entropy", "poisson")
"""Losses that are linear in y, or in y and its square: their expectation needs only the mean and the variance of y."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What data are drawn from; it travels to other processes.

    Parameters
    ----------
    net : MLP
        The network that is to be fitted.
    given : dict of str to array or callable
        Weights of the network, or a function from inputs (n, p) to outputs.
    inputs : frozen distribution of SciPy or callable
        Of one input, or of several independent ones; or a function from a generator and n to inputs (n, p).
    noise : float or None
        Scale of the likelihood that data are drawn from.
    seed : int
        Of the rows that stand for the distribution of the inputs, and of the search for pseudo-true weights.
    """

    net: MLP
    given: Params | Callable[[np.ndarray], Any]
    inputs: Any
    noise: float | None
    seed: int

    @property
    def known(self) -> bool:
        """Whether the network has the function that data are drawn from."""
        return isinstance(self.given, dict)

    @property
    def n_features(self) -> int:
        """Number of inputs."""
        if isinstance(self.given, dict):
            return len(self.given["W1"])
        return 1 if hasattr(self.inputs, "rvs") else self.draw_inputs(np.random.default_rng(0), 2).shape[1]

    def draw_inputs(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """Draw inputs (n, p)."""
        if hasattr(self.inputs, "rvs"):
            return self.inputs.rvs(size=(n, self.n_features), random_state=rng)
        try:
            X = np.asarray(self.inputs(rng, n), dtype=float)
        except TypeError as error:
            raise SpecError(
                f"Got inputs={self.inputs!r}, which can't be called with (rng, n) ({error}). Write "
                "inputs=lambda rng, n: rng.uniform(-3, 3, (n, 1))."
            ) from error
        X = X[:, None] if X.ndim == 1 else X
        if X.ndim != 2 or len(X) != n:
            raise DataError(
                f"Got inputs of shape {X.shape} from inputs(rng, {n}); they must be (n, p). Write "
                "inputs=lambda rng, n: rng.uniform(-3, 3, (n, 1))."
            )
        return X

    def outputs(self, X: np.ndarray) -> np.ndarray:
        """Compute the outputs (n, m) that data are drawn around."""
        if isinstance(self.given, dict):
            return self.net.forward(self.given, X)
        f = np.asarray(self.given(X), dtype=float)
        f = f[:, None] if f.ndim == 1 else f
        if f.ndim != 2 or len(f) != len(X) or not np.isfinite(f).all():
            raise DataError(
                f"Got outputs of shape {f.shape} from truth(X) for {len(X)} rows; they must be finite, (n,) or (n, m). "
                "Write truth=lambda X: np.sin(X[:, 0])."
            )
        return f

    def draw(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw inputs and targets."""
        X = self.draw_inputs(rng, n)
        args: dict[str, Any] = {"noise": self.noise} if self.noise is not None else {}
        if isinstance(self.given, dict) and "cutpoints" in self.given:
            args["cutpoints"] = self.given["cutpoints"]
        return X, self.net.loss.sample(self.outputs(X), rng, **args)

    @cached_property
    def population(self) -> np.ndarray:
        """Rows (N, p), each of the same weight, that stand for the distribution of the inputs."""
        if hasattr(self.inputs, "ppf") and self.n_features == 1:
            return np.asarray(self.inputs.ppf((np.arange(GRID) + 0.5) / GRID))[:, None]
        return self.draw_inputs(np.random.default_rng([self.seed, 0]), DRAWN)

    @cached_property
    def point(self) -> Params:
        """The true weights, or the pseudo-true ones, whose expected log-likelihood is the largest."""
        return self.given if isinstance(self.given, dict) else self._pseudo()

    def _pseudo(self):
        """Maximise the expected log-likelihood."""
        net, X, f = self.net.flat, self.population, self.outputs(self.population)
        y = f if self.noise is not None else net.loss.mean(f)[:, -1:]
        if self.noise is not None:
            # Two targets that have the mean and the variance of all.
            X, y = np.concatenate([X, X]), np.concatenate([y - self.noise, y + self.noise])
        y = y[:, 0] if y.shape[1] == 1 else y
        features = tuple(f"x{i + 1}" for i in range(X.shape[1]))
        problem = Problem(net, X, y, None, features, tuple(f"f{i + 1}" for i in range(f.shape[1])))
        if self.noise is not None:
            objective = Objective(log_density(problem, jacobian=False))
        else:
            # No density takes means for labels: what it gives here is where each weight stands.
            objective = _OfMeans(problem, log_density(replace(problem, y=np.rint(y).astype(int)), jacobian=False))
        smooth, kinks = not net.hidden or net.phi.smooth, np.zeros(objective.size)
        first = starts(problem, objective, STARTS, np.random.default_rng([self.seed, 1]))
        ends = [climb(objective, start, kinks=kinks, smooth=smooth, maxiter=2000)[0] for start in first]
        return objective.unpack(min(ends, key=lambda x: objective(x)[0]))


class _OfMeans(Objective):
    """Expected negative log density of labels or counts, whose means are no labels and no counts themselves."""

    def __init__(self, problem, density):
        super().__init__(density)
        self.problem = problem

    def __call__(self, x):
        """Value, up to a constant, and gradient."""
        net, X, y = self.problem.net, self.problem.X, self.problem.y
        params = self.unpack(x)
        f = net.forward(params, X)
        value = float(np.sum(net.loss.formula(y, f[:, 0])))
        return value, (net.loss.mean(f)[:, -1] - y) @ output_jacobian(net, params, X)[:, 0]

    def hessian(self, x):
        return central_hessian(lambda points: np.stack([self(point)[1] for point in points]), x)


def make_truth(net: MLP, truth: Any, inputs: Any, noise: float | None, seed: int) -> Truth:
    """Check where data come from, and give a truth of fewer units the widths of the network."""
    if not (callable(inputs) or hasattr(inputs, "rvs")):
        raise SpecError(
            f"Got inputs={inputs!r}; it must be a frozen distribution of SciPy or a function of a generator and n. "
            "Write inputs=scipy.stats.uniform(-3, 6) for inputs from -3 to 3."
        )
    check_arguments(noise=noise)
    if isinstance(truth, dict):
        if noise is not None:
            raise SpecError(f"Got noise={noise!r} beside true weights, which have their own. Leave noise out.")
        truth = _widened({k: np.asarray(v, dtype=float) for k, v in truth.items()}, net)
        if "W1" not in truth or truth["W1"].ndim != 2:
            raise SpecError("Got a truth without W1 of shape (p, h). Pass all weights, such as a fit's.")
        check_params(net, truth, len(truth["W1"]))
        known = {*net.dims(), *(["noise"] if net.noise_prior is not None else []), "cutpoints"}
        truth = {name: value for name, value in truth.items() if name in known}
        return Truth(net, truth, inputs, net.likelihood_args(truth).get("noise"), seed)
    if not callable(truth):
        raise SpecError(f"Got truth={truth!r}; it must be a dictionary of weights, or a function of inputs (n, p).")
    if net.loss.name not in _BY_MEAN:
        raise SpecError(
            f"Got a function as the truth with loss {net.loss.name!r}; the weights that are nearest to a function are "
            f"found for {', '.join(map(repr, _BY_MEAN))}. Use one of these, or pass true weights."
        )
    noise = net.noise if noise is None and isinstance(net.noise, float) else noise
    if net.loss.has_noise and noise is None:
        raise SpecError("Got no noise to draw data with, where the network learns it. Write noise=0.2.")
    if noise is not None and not net.loss.has_noise:
        raise SpecError(f"Got noise={noise!r} with loss {net.loss.name!r}, which has no scale. Leave noise out.")
    return Truth(net, truth, inputs, noise, seed)


def _widened(params: Params, net: MLP) -> Params:
    """Add units without any weights, which change nothing."""
    out = dict(params)
    for layer, width in enumerate(net.hidden, start=1):
        for name, axis in ((f"W{layer}", -1), (f"b{layer}", -1), (f"W{layer + 1}", 0)):
            if name in out and out[name].ndim and out[name].shape[axis] < width:
                more = [(0, 0)] * out[name].ndim
                more[axis] = (0, width - out[name].shape[axis])
                out[name] = np.pad(out[name], more)
    return out
