"""Gradients of the likelihoods of counts, proportions and weighted rows, beside PyMC's own density of the same model.

Run as ``python -m tests.benchmarks.counts``; both take turns on the same points, in one process.
"""

import time
from statistics import median

import numpy as np
from rich.table import Table

import bayesnn as bnn
from bayesnn.fitting.density import ModelDensity, log_density
from bayesnn.model import model_of
from bayesnn.tree import prepare
from tests.benchmarks.runs import console, machine

ROWS, REPETITIONS, CALLS = 2000, 7, 100


def cases():
    """Loss -> targets."""
    rng = np.random.default_rng(1)
    counts, exposure = rng.poisson(3.0, ROWS), rng.uniform(0.5, 3.0, ROWS)
    trials = rng.integers(3, 12, ROWS)
    yield "squared_error", rng.normal(size=ROWS)
    yield "squared_error", bnn.target(rng.normal(size=ROWS), precision=exposure)
    yield "poisson", counts
    yield "poisson", bnn.target(counts, exposure=exposure)
    yield "negative_binomial", counts
    yield "negative_binomial", bnn.target(counts, exposure=exposure)
    yield "binomial", bnn.target(rng.integers(0, 3, ROWS), trials=trials)
    yield "beta", rng.uniform(0.05, 0.95, ROWS)


def seconds(density, x):
    """Seconds of one evaluation, of value and gradient."""
    began = time.perf_counter()
    for _ in range(CALLS):
        density(x)
    return (time.perf_counter() - began) / CALLS


def main():
    """Print microseconds a gradient, and the ratio."""
    table = Table(title=f"value and gradient, {ROWS} rows, 4 units; {machine()['processor']}")
    for heading in ("loss", "known", "ours, us", "PyMC's, us", "ratio"):
        table.add_column(heading)
    for loss, y in cases():
        rng = np.random.default_rng(2)
        problem = prepare(bnn.MLP((4,), loss=loss), rng.normal(size=(ROWS, 2)), y)
        ours = log_density(problem, jacobian=True)
        theirs = ModelDensity(model_of(problem, fused=False), jacobian=True)
        x = rng.normal(size=ours.size) * 0.3
        seconds(ours, x), seconds(theirs, x)
        runs = [(seconds(ours, x), seconds(theirs, x)) for _ in range(REPETITIONS)]
        a, b = (1e6 * median(run[k] for run in runs) for k in (0, 1))
        known = next(iter(y.dtype.names[1:]), "") if y.dtype.names else ""
        table.add_row(loss, known, f"{a:.2f}", f"{b:.2f}", f"{b / a:.1f}")
    console.print(table)


if __name__ == "__main__":
    main()
