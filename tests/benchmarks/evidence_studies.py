"""What the log evidence is good for, how honest its standard error is, and where tempering's time goes."""

import os
import time
import warnings

import numpy as np
from rich.table import Table

import bayesnn as bnn
from tests.benchmarks.posteriors import missing, posterior
from tests.benchmarks.runs import COLOURS, MARKERS, console, machine, write

WIDTHS, SIZES, SEEDS, TEST = range(7), (40, 160, 640), 4, 500
NEAR = 3.0
"""Log evidence that is strong: odds of 20. Units that are not needed cost little of it: each can be any of the units,
which makes up for most of what its prior takes away, so that the curve has an edge and no sharp peak."""
CORES = min(2, os.cpu_count())


def temper(net, X, y, seed, **more):
    """Sample by tempering, as all studies do; a run that ended early says so in its attributes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bnn.errors.ConvergenceWarning)
        options = {"chains": 4, "cores": CORES, "random_seed": seed, "progressbar": False, **more}
        return bnn.fit_posterior(net, X, y, sampler="tempering", **options)


def two_units(n, seed):
    """Rows of a network of two tanh units: a hill of 1.7 on a plain of -1, with noise of 0.2."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3.0, 3.0, n)
    f = 1.5 * np.tanh(1.5 * x + 1.5) - 1.5 * np.tanh(1.5 * x - 1.5) - 1.0
    return x[:, None], f + 0.2 * rng.normal(size=n)


def occam(args):
    """Log evidence and held-out LPPD of networks of 0 to 6 units, on data of a network of two."""
    from bayesnn.prediction import log_mean_exp
    from bayesnn.tree import params_of

    sizes, seeds = (SIZES[:1], 1) if args.quick else (SIZES, SEEDS)
    X_test, y_test = two_units(TEST, 999)
    rows = []
    for n in sizes:
        for seed in range(seeds):
            X, y = two_units(n, seed)
            for width in WIDTHS:
                net = bnn.MLP(hidden=(width,) if width else ())
                began = time.perf_counter()
                tree = temper(net, X, y, seed)
                seconds, found = time.perf_counter() - began, bnn.log_evidence(tree)
                logp = net.log_likelihood(params_of(tree), X_test, y_test)
                lppd = float(log_mean_exp(logp.reshape(-1, TEST)).mean())
                rows.append(
                    {"n": n, "seed": seed, "width": width, "log_evidence": found.value, "se": found.se, "lppd": lppd}
                    | {"seconds": seconds, "unmet": tree.attrs["bayesnn_unmet"]}
                )
                write(args.out / "occam.json", {"machine": machine(), "rows": rows})
            console.print(f"{n} rows, seed {seed}: most evidence for {peak(rows, n, seed)} units", highlight=False)
    table = Table(title="log evidence less the best width's, and held-out LPPD, means over data sets; data of 2 units")
    table.add_column("rows", justify="right")
    table.add_column("figure")
    for width in WIDTHS:
        table.add_column(f"{width} units", justify="right")
    table.add_column("most, of each data set")
    table.add_column(f"fewest units within {NEAR:g} nats")
    for n in sizes:
        for figure, form in (("log_evidence", ".1f"), ("lppd", ".3f")):
            curves = np.array([[r[figure] for r in rows if (r["n"], r["seed"]) == (n, s)] for s in range(seeds)])
            if figure == "log_evidence":
                curves = curves - curves.max(axis=1, keepdims=True)
            peaks = ", ".join(str(peak(rows, n, s, figure)) for s in range(seeds))
            fewest = ", ".join(str(elbow(rows, n, s)) for s in range(seeds)) if figure == "log_evidence" else ""
            table.add_row(str(n), figure, *[format(v, form) for v in curves.mean(axis=0)], peaks, fewest)
    console.print(table)
    _draw_occam(rows, args.out / "occam.png")


def peak(rows, n, seed, figure="log_evidence"):
    """Width that has most of a figure, on one data set."""
    return max((r for r in rows if (r["n"], r["seed"]) == (n, seed)), key=lambda r: r[figure])["width"]


def elbow(rows, n, seed):
    """Fewest units whose evidence is hardly less than the best width's."""
    here = [r for r in rows if (r["n"], r["seed"]) == (n, seed)]
    best = max(r["log_evidence"] for r in here)
    return min(r["width"] for r in here if r["log_evidence"] > best - NEAR)


def _draw_occam(rows, path):
    import matplotlib.pyplot as plt

    fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    labels = {"log_evidence": "log evidence less the best width's", "lppd": f"LPPD of {TEST} other rows"}
    for ax, (figure, label) in zip(axes, labels.items(), strict=True):
        for k, n in enumerate(dict.fromkeys(r["n"] for r in rows)):
            seeds = dict.fromkeys(r["seed"] for r in rows if r["n"] == n)
            curves = np.array([[r[figure] for r in rows if (r["n"], r["seed"]) == (n, s)] for s in seeds])
            if figure == "log_evidence":
                curves = curves - curves.max(axis=1, keepdims=True)
            ax.plot(WIDTHS, curves.mean(axis=0), color=COLOURS[k], marker=MARKERS[k], label=f"{n} rows")
        ax.axvline(2, color="#8A8A8A", lw=1, zorder=0)
        ax.set(xlabel="hidden units (the data are of 2)", ylabel=label)
        if figure == "log_evidence":
            ax.set_ylim(-15, 1)
        ax.grid(color="#DDDDDD", lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    axes[1].legend(frameon=False)
    fig.savefig(path, dpi=150)
    plt.close(fig)


def _known():
    """Networks whose log evidence is known by quadrature, in `tests/test_truths.py`."""
    from tests.conftest import X5, X_NODE, Y5, Y_NODE

    prior = bnn.Normal(1.0)
    curve = bnn.MLP(hidden=(1,), noise=0.3, bias=False, prior=prior)
    node = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False, prior=prior)
    return {
        "two weights": (curve, X5[:, None], Y5, -1.43811849),
        "one node": (node, X_NODE[:, None], Y_NODE, -3.55818300),
    }


def calibration(args):
    """Errors of the log evidence over their standard errors: 100 runs of two posteriors whose evidence is known."""
    from scipy.stats import chi2

    count, results = 10 if args.quick else 100, {}
    table = Table(title=f"z = error of the log evidence / its standard error, {count} runs; 1.0 is honest")
    for heading in (
        "posterior",
        "truth",
        "mean",
        "sd",
        "mean se",
        "mean z",
        "sd of z",
        "95 % of a true 1",
        "|z| > 1.96",
    ):
        table.add_column(heading, justify="right")
    low, high = np.sqrt(chi2.ppf([0.025, 0.975], count - 1) / (count - 1))
    for name, (net, X, y, truth) in _known().items():
        found = [bnn.log_evidence(temper(net, X, y, seed)) for seed in range(count)]
        values, ses = np.array([e.value for e in found]), np.array([e.se for e in found])
        z = (values - truth) / ses
        results[name] = {"truth": truth, "values": values.tolist(), "ses": ses.tolist(), "sd_of_z": z.std(ddof=1)}
        write(args.out / "calibration.json", {"machine": machine(), "results": results})
        cells = [f"{v:.4f}" for v in (truth, values.mean(), values.std(ddof=1), ses.mean())]
        cells += [f"{z.mean():.2f}", f"{z.std(ddof=1):.2f}", f"{low:.2f} - {high:.2f}", f"{np.mean(abs(z) > 1.96):.0%}"]
        table.add_row(name, *cells)
    console.print(table)


def loop(args):
    """Wall time of tempering over what its gradients alone would take, shared out evenly among the cores."""
    from bayesnn.fitting.density import log_density

    table = Table(title=f"wall time of tempering against its gradients on {CORES} cores")
    headings = ("posterior", "wall s", "gradients", "us/gradient", "gradients alone s", "wall / gradients alone")
    for heading in headings:
        table.add_column(heading, justify="right")
    rows = []
    for name in args.posteriors:
        if missing(name):
            continue
        p = posterior(name).problem
        temper(p.net, p.X, p.y, 0, draws=4, tune=10, rounds=1)
        tree = temper(p.net, p.X, p.y, 1, max_seconds=0.5 * args.limit)
        attrs = tree.attrs
        density = log_density(p, jacobian=True, split=True, collapse=bool(attrs["bayesnn_collapsed"]))
        # At draws of the posterior: what is far out may take other branches.
        x = density.pack({k: tree["posterior"][k].to_numpy().reshape(-1, *s) for k, s in _shapes(density)})[:2000]
        density.many(x)
        began = time.perf_counter()
        for _ in range(5):
            density.many(x)
        each = (time.perf_counter() - began) / (5 * len(x))
        alone = attrs["bayesnn_gradients"] * each / CORES
        rows.append(
            {"posterior": name, "wall_seconds": attrs["sampling_time"], "gradients": int(attrs["bayesnn_gradients"])}
        )
        rows[-1] |= {"microseconds_per_gradient": 1e6 * each, "ratio": attrs["sampling_time"] / alone}
        write(args.out / "loop.json", {"machine": machine(), "rows": rows})
        table.add_row(
            name,
            f"{attrs['sampling_time']:.2f}",
            str(attrs["bayesnn_gradients"]),
            f"{1e6 * each:.2f}",
            f"{alone:.2f}",
            f"{rows[-1]['ratio']:.2f}",
        )
    console.print(table)


def _shapes(density):
    return zip(density.names, density.shapes, strict=True)
