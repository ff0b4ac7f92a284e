"""The posteriors that samplers are compared on, and the inputs where their functions are."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import log_softmax

import bayesnn as bnn
from bayesnn.tree import Problem, prepare

SHARED = Path(__file__).parents[3] / "shared" / "data"
ROWS = 21
NAMES = ("sine", "sine_gap", "airfoil", "concrete", "breast_cancer", "iris")
DRAWS = {"sine": 500, "sine_gap": 1000, "airfoil": 500, "concrete": 500, "breast_cancer": 500, "iris": 1000}
PUBLISHED = {
    "airfoil": (-0.80, -0.74, 0.72, 0.92),
    "concrete": (-0.44, -0.41, 0.25, 0.26),
    "diabetes": (-1.20, -1.20, -1.22, -1.18),
    "energy": (0.69, 0.92, 2.38, 2.07),
    "sinusoidal": (-0.56, -0.53, -0.59, -0.59),
}
"""Published test LPPD of hidden (3) by one chain and by many, and of hidden (16, 16, 16) by one chain and by many."""


class MissingData(Exception):
    """The published data sets are not beside the repository."""


def missing(name):
    """Say whether a posterior's data should be beside the repository, and are not."""
    return name in PUBLISHED and not (SHARED / f"{name}.data").exists()


@dataclass(frozen=True)
class Posterior:
    """A network and its data, checked, and the inputs at which its function is looked at."""

    problem: Problem
    rows: np.ndarray
    test: tuple | None = None

    def function(self, params):
        """Outputs at the rows, (chain, draw, value): log-probabilities where the outputs are those of classes."""
        f = self.problem.net.forward(params, self.rows)
        if self.problem.net.loss.name == "cross_entropy":
            f = log_softmax(f, axis=-1)
        return f.reshape(*f.shape[:2], -1)


def published(name):
    """Training and test rows of a published split, standardised on the whole data set."""
    path = SHARED / f"{name}.data"
    if not path.exists():
        raise MissingData(f"no {name}.data in ../shared/data")
    table = np.loadtxt(path)
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    split = json.loads((SHARED / "splits.json").read_text())[name]
    return [(table[split[part], :-1], table[split[part], -1]) for part in ("train", "test")]


def simulated(n, hidden, n_features=1):
    """A wave in the mean of the features, its noise learned."""
    rng = np.random.default_rng(1)
    X = rng.uniform(-2.0, 2.0, size=(n, n_features))
    y = np.sin(2.0 * X.mean(axis=1)) + 0.2 * rng.normal(size=n)
    problem = prepare(bnn.MLP(hidden=hidden), X, y)
    return Posterior(problem, np.linspace(-2.0, 2.0, ROWS)[:, None].repeat(n_features, axis=1))


def posterior(name):
    """Posterior of a name in `NAMES`, "airfoil-16-16-16", "growth-N-WIDTH-WIDTH..." of N
    simulated observations, or "own-NAME" of `own`."""
    name, *sizes = name.split("-")
    if name == "own":
        from tests.benchmarks import own

        return own.posterior(sizes[0])
    sizes = tuple(map(int, sizes))
    if name == "growth":
        return simulated(sizes[0], sizes[1:])
    if name == "sine":
        return simulated(200, (8,))
    if name == "sine_gap":
        data = bnn.load_data("sine_gap", random_seed=1)
        problem = prepare(bnn.MLP(hidden=(2,), noise=0.2), data)
        return Posterior(problem, np.linspace(data.X.min(), data.X.max(), ROWS)[:, None])
    if name in PUBLISHED:
        (X, y), test = published(name)
        return Posterior(prepare(bnn.MLP(hidden=sizes or (3,)), X, y), test[0][:ROWS], test)
    loss, hidden = {"breast_cancer": ("binary_cross_entropy", (4,)), "iris": ("cross_entropy", (5,))}[name]
    data = bnn.load_data(name)
    problem = prepare(bnn.MLP(hidden=hidden, loss=loss), data)
    return Posterior(problem, data.scaling.transform_X(data.X_test[:ROWS]))
