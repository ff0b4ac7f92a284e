"""Growth with size, held-out density against published figures, optima by restarts, and seconds to the first result."""

import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from itertools import product

import numpy as np
from rich.table import Table

from tests.benchmarks.posteriors import PUBLISHED, SHARED, posterior
from tests.benchmarks.runs import COLOURS, MARKERS, console, machine, plain_ticks, run_one, write

AXES = {
    "observations": [(n, 8) for n in (100, 500, 2000, 20_000)],
    "width": [(500, h) for h in (2, 8, 32, 64)],
    "depth": [(500, *[8] * depth) for depth in (1, 2, 3)],
}


def grow(args):
    """Microseconds a gradient and ESS a second of ours and of nutpie on the plain model, in short runs."""
    path, done = args.out / "growth.json", {}
    for axis, sizes in AXES.items():
        for size in sizes[:2] if args.quick else sizes:
            for sampler in ("ours", "ours_fused", "nutpie"):
                if (size, sampler) in done:
                    continue
                draws = 50 if args.quick or size[0] > 5000 else 100
                name = "growth-" + "-".join(map(str, size))
                run = run_one(name, sampler, limit=args.limit, draws=draws, tune=draws, chains=2, seed=100)
                run = {"size": size, "sampler": sampler, **run}
                if "error" not in run:
                    at_once = min(2, os.cpu_count())
                    run["microseconds_per_gradient"] = 1e6 * at_once * run["sampling_seconds"] / run["gradients"]
                    run["within_per_second"] = run["ess_within"] / run["sampling_seconds"]
                    said = "{microseconds_per_gradient:.1f} us a gradient, {within_per_second:.1f} ESS/s".format(**run)
                done[size, sampler] = run
                write(path, {"machine": machine(), "runs": list(done.values())})
                console.print(f"{axis} {size} {sampler}: {run.get('error') or said}", highlight=False)
    _draw_growth(done, args.out / "growth.png")


def _draw_growth(done, path):
    import matplotlib.pyplot as plt

    samplers = {"ours": "ours", "ours_fused": "ours, nothing integrated out", "nutpie": "nutpie on the plain model"}
    fig, axes = plt.subplots(2, 3, figsize=(11, 6), layout="constrained", sharey="row")
    figures = {
        "microseconds_per_gradient": "microseconds a gradient\nand core",
        "within_per_second": "ESS a second of sampling\nwithin chains",
    }
    for row, (figure, label) in zip(axes, figures.items(), strict=True):
        for ax, (axis, sizes) in zip(row, AXES.items(), strict=True):
            for k, (sampler, name) in enumerate(samplers.items()):
                runs = [(size, done[size, sampler]) for size in sizes if figure in done.get((size, sampler), {})]
                x = [{"observations": size[0], "width": size[-1], "depth": len(size) - 1}[axis] for size, _ in runs]
                y = [run[figure] for _, run in runs]
                ax.plot(x, y, color=COLOURS[k], marker=MARKERS[k], label=name)
            ax.set(yscale="log", xscale="linear" if axis == "depth" else "log", xlabel=axis)
            plain_ticks(ax.yaxis)
            if axis != "depth":
                plain_ticks(ax.xaxis)
            ax.grid(color="#DDDDDD", lw=0.6)
            ax.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel(label)
    for ax, fixed in zip(axes[0], ("8 units", "500 observations", "500 observations, 8 units a layer"), strict=True):
        ax.set_title(fixed, fontsize=10)
    for ax in axes[:, 2]:
        ax.set_xticks([1, 2, 3])
    axes[0, 0].legend(frameon=False, fontsize=9)
    fig.savefig(path, dpi=150)
    plt.close(fig)


def lppd(args, samplers=("nutpie",)):
    """Held-out log pointwise predictive density on the published splits, one chain and all, beside the published."""
    import bayesnn as bnn
    from bayesnn.prediction import log_mean_exp
    from bayesnn.tree import params_of

    chains, draws, rows = 8, 100 if args.quick else 1000, []
    table = Table(title=f"held-out LPPD: mean of {chains} chains one by one, and all their draws together")
    for heading in (
        "data",
        "hidden",
        "sampler",
        "one chain",
        "published",
        "all chains",
        "published",
        "R-hat",
        "seconds",
    ):
        table.add_column(heading, justify="right")
    names = [name + hidden for hidden in ("", *(("-16-16-16",) if args.deep else ())) for name in PUBLISHED]
    for name, sampler in product(names if SHARED.exists() else (), samplers):
        target = posterior(name)
        p, data = target.problem, name.split("-")[0]
        began = time.perf_counter()
        with warnings.catch_warnings():
            # The table has the R-hat.
            warnings.simplefilter("ignore", bnn.errors.ConvergenceWarning)
            options = {"chains": chains, "draws": draws, "random_seed": 1, "progressbar": False}
            if sampler != "tempering":
                options["tune"] = draws
            tree = bnn.fit_posterior(p.net, p.X, p.y, sampler=sampler, **options)
        seconds = time.perf_counter() - began
        logp = p.net.log_likelihood(params_of(tree), *target.test)
        each = np.array([log_mean_exp(chain) for chain in logp])
        pooled = log_mean_exp(each)
        error = pooled.std(ddof=1) / np.sqrt(pooled.size)
        one, many = PUBLISHED[data][2:] if "-" in name else PUBLISHED[data][:2]
        rows.append(
            {
                "data": data,
                "hidden": list(p.net.hidden),
                "sampler": sampler,
                "one_chain": each.mean(),
                "chains": each.mean(axis=1).tolist(),
                "all_chains": pooled.mean(),
                "standard_error": error,
                "published_one_chain": one,
                "published_many_chains": many,
                "function_rhat": tree.attrs["bayesnn_function_rhat"],
                "seconds": seconds,
            }
        )
        table.add_row(
            data,
            str(p.net.hidden),
            sampler,
            f"{each.mean():.2f}",
            f"{one:.2f}",
            f"{pooled.mean():.2f} ({error:.2f})",
            f"{many:.2f}",
            f"{tree.attrs['bayesnn_function_rhat']:.2f}",
            f"{seconds:.0f}",
        )
        write(args.out / "lppd.json", {"machine": machine(), "rows": rows})
    console.print(table if rows else "The published data are not beside the repository.")


def optima(args):
    """Time many restarts of the 8-unit network: `bnn.fit_map`, PyMC's find_MAP, and JAX's L-BFGS on all at once."""
    import pymc as pm

    import bayesnn as bnn
    from bayesnn.model import model_of

    p = posterior("sine").problem
    restarts = 20 if args.quick else 200
    options = {"random_seed": 1, "progressbar": False}
    bnn.fit_map(p.net, p.X, p.y, restarts=1, **options)
    began = time.perf_counter()
    ends = bnn.fit_map(p.net, p.X, p.y, restarts=restarts, **options)["optima"]
    results = {
        "fit_map": {"seconds": time.perf_counter() - began, **_values(-ends["log_likelihood"] - ends["log_prior"])}
    }

    model, values = model_of(p, fused=False), []
    for seed in range(4):
        # The first call fills the caches and is not counted.
        if seed == 1:
            began = time.perf_counter()
        options = {"jitter": True, "random_seed": seed, "progressbar": False, "return_inferencedata": True}
        found = pm.find_MAP(model=model, maxiter=20_000, **options)
        values.append(float(found["optimizer_result"]["fun"]))
    seconds = (time.perf_counter() - began) / 3 * restarts
    results["find_MAP"] = {"seconds": seconds, "extrapolated from": 3, **_values(values[1:])}
    try:
        results["jax"] = _jax_optima(model, restarts)
    except ImportError as missing:
        console.print(f"JAX left out: {missing}")
    write(args.out / "optima.json", {"machine": machine(), "restarts": restarts, "results": results})
    table = Table(title=f"{restarts} restarts of a network of 8 units; fit_map alone also audits each end point")
    for heading in ("by", "seconds", "times fit_map's", "lowest loss", "median loss"):
        table.add_column(heading, justify="right")
    for name, r in results.items():
        times = r["seconds"] / results["fit_map"]["seconds"]
        table.add_row(name, f"{r['seconds']:.2f}", f"{times:.2f}", f"{r['best']:.4f}", f"{r['median']:.4f}")
    console.print(table)


def _values(values):
    """Best and median negative log density of end points."""
    values = np.asarray(values, dtype=float)
    return {"best": float(np.nanmin(values)), "median": float(np.nanmedian(values))}


def _jax_optima(model, restarts):
    """Optax's L-BFGS, all starts in lockstep until each has a small gradient or has taken 2000 steps."""
    import jax
    import optax
    from jax import numpy as jnp
    from jax.flatten_util import ravel_pytree
    from pymc.sampling.jax import get_jaxified_graph

    logp = get_jaxified_graph(inputs=model.value_vars, outputs=[model.logp(jacobian=False)])
    point = model.initial_point()
    first, unravel = ravel_pytree([jnp.asarray(point[v.name]) for v in model.value_vars])

    def loss(x):
        return -logp(*unravel(x))[0]

    solver = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(loss)

    def moving(carry):
        _, _, gradient, step = carry
        return (step < 2000) & (jnp.linalg.norm(gradient) > 1e-5)

    def advance(carry):
        x, state, _, step = carry
        value, gradient = value_and_grad(x, state=state)
        update, state = solver.update(gradient, state, x, value=value, grad=gradient, value_fn=loss)
        return optax.apply_updates(x, update), state, gradient, step + 1

    def climb(x):
        x, *_ = jax.lax.while_loop(moving, advance, (x, solver.init(x), jax.grad(loss)(x), 0))
        return loss(x)

    starts = first + jax.random.normal(jax.random.PRNGKey(1), (restarts, len(first)))
    began = time.perf_counter()
    run = jax.jit(jax.vmap(climb)).lower(starts).compile()
    middle = time.perf_counter()
    values = np.asarray(run(starts))
    return {"seconds": time.perf_counter() - middle, "compile_seconds": middle - began, **_values(values)}


_FIRSTS = """
import json, sys, time
marks = {}
def mark(name):
    marks[name] = time.time() - float(sys.argv[1])
import bayesnn as bnn
mark("import bayesnn")
data = bnn.load_data("sine_gap", random_seed=1)
net = bnn.MLP(hidden=(2,), noise=0.2)
map_ = bnn.fit_map(net, data, random_seed=1, progressbar=False)
mark("first MAP")
post = bnn.fit_posterior(net, data, random_seed=1, progressbar=False)
mark("first posterior")
import matplotlib
matplotlib.use("agg")
bnn.plot_fits(map_, post, data=data)[0].figure.savefig(sys.argv[2])
mark("first picture")
print(json.dumps(marks))
"""


def startup(args):
    """Seconds from the start of a process to its first results, with an empty and with a full compilation cache."""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "PYTENSOR_FLAGS": f"base_compiledir={folder}"}
        for name in ("cold", "warm"):
            command = [sys.executable, "-W", "ignore", "-c", _FIRSTS, str(time.time()), f"{folder}/fits.png"]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
            results[name] = json.loads(done.stdout.splitlines()[-1])
    write(args.out / "startup.json", {"machine": machine(), "seconds": results})
    table = Table(title="seconds from the start of the process")
    for heading in ("cache", *results["cold"]):
        table.add_column(heading, justify="right")
    for name, marks in results.items():
        table.add_row(name, *[f"{seconds:.2f}" for seconds in marks.values()])
    console.print(table)
