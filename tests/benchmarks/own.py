"""Losses, activations and penalties of one's own beside the nearest built-in ones, in the same run.

Some are built-in ones by another name, so that the posterior is the same and the ratio is that of the code alone.
"""

from functools import cache
from statistics import median

import numpy as np
from rich.table import Table

import bayesnn as bnn
from bayesnn.tree import prepare
from tests.benchmarks.posteriors import Posterior
from tests.benchmarks.runs import console, machine, run_one, write

BUILT_IN = {
    "logcosh": "huber",
    "cauchy": "student_t_1",
    "power": "huber",
    "tanh_by_formula": "tanh",
    "softsign": "tanh",
    "mish": "silu",
    "bump": "tanh",
    "cauchyish": "student_t_prior",
}
"""Own -> the nearest built-in; "cauchy", "tanh_by_formula" and "cauchyish" are the same posterior."""


@cache
def _settings():
    import pytensor.tensor as pt

    residual, penalty = bnn.losses.ResidualLoss, bnn.priors.PenaltyPrior
    return {
        "logcosh": {"loss": residual("logcosh", lambda u: pt.log(pt.cosh(u)))},
        "huber": {"loss": "huber"},
        "cauchy": {"loss": residual("cauchy", lambda u: pt.log1p(u**2))},
        "student_t_1": {"loss": bnn.losses.StudentT(1.0)},
        "power": {"loss": residual("power", lambda u, p: abs(u) ** p, p=1.5)},
        "tanh_by_formula": {"activation": bnn.Activation("own_tanh", pt.tanh)},
        "tanh": {},
        "softsign": {"activation": bnn.Activation("softsign", lambda z: z / (1 + abs(z)))},
        "mish": {"activation": bnn.Activation("mish", lambda z: z * pt.tanh(pt.softplus(z)))},
        "silu": {"activation": "silu"},
        "bump": {"activation": bnn.Activation("bump", lambda z: pt.exp(-(z**2)))},
        "cauchyish": {"prior": penalty("cauchyish", lambda w: pt.log1p(w**2 / 4))},
        "student_t_prior": {"prior": bnn.StudentT(1.0, 2.0)},
    }


def posterior(name):
    """Four units on a wave of 200 points, with one thing of one's own or its built-in neighbour."""
    rng = np.random.default_rng(1)
    X = rng.uniform(-2.0, 2.0, size=(200, 1))
    y = np.sin(2.0 * X[:, 0]) + 0.2 * rng.normal(size=200)
    problem = prepare(bnn.MLP((4,), **_settings()[name]), X, y)
    return Posterior(problem, np.linspace(-2.0, 2.0, 21)[:, None])


def own(args):
    """Print ESS a second and microseconds a gradient, own and built-in, medians of repetitions that take turns."""
    draws, runs = (100 if args.quick else 500), {}
    for repetition in range(args.repetitions):
        for name in dict.fromkeys([*BUILT_IN, *BUILT_IN.values()]):
            run = run_one(f"own-{name}", "ours", limit=args.limit, draws=draws, tune=draws, chains=4,
                          seed=100 + repetition)  # fmt: skip
            runs.setdefault(name, []).append(run)
            write(args.out / "own.json", {"machine": machine(), "runs": runs})
    table = Table(title="own formulas against the nearest built-in: ratios of medians")
    for heading in ("own", "built-in", "ESS/s", "its ESS/s", "ratio", "us/gradient", "its", "R-hat"):
        table.add_column(heading)
    for name, twin in BUILT_IN.items():
        figures = []
        for which in (name, twin):
            fine = [run for run in runs[which] if "error" not in run]
            rate = median(run["ess"] / run["sampling_seconds"] for run in fine)
            figures.append((rate, median(1e6 * run["sampling_seconds"] / run["gradients"] for run in fine),
                            max(run["rhat"] for run in fine)))  # fmt: skip
        (a, ua, ra), (b, ub, rb) = figures
        table.add_row(
            name, twin, f"{a:.0f}", f"{b:.0f}", f"{a / b:.2f}", f"{ua:.2f}", f"{ub:.2f}", f"{ra:.3f} {rb:.3f}"
        )
    console.print(table)
