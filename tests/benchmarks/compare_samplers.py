"""How fast a network's posterior is had: ours against every other sampler, on the same posteriors, in the same run.

Run ``python -m tests.benchmarks.compare_samplers`` (about twenty minutes on two quiet cores), with ``--quick`` for a
look. Each run of each sampler is a fresh process; the samplers take turns, and results.json is written after each of
them, from which ``--resume`` goes on.

The figure is the effective sample size (ESS) of the function: the smallest bulk ESS of the network's output at 21
inputs (of the log-probabilities, for classes). A run whose chains disagree about the function (R-hat above 1.05), or
whose ESS is below 50, gets no ratio. Where no sampler brings its chains together, because the posterior has several
modes in function space, the ESS within the chains (each chain's own, summed, under the same rule for the halves of
each chain) is compared instead, and says so.

A second of sampling includes warm-up, and neither compilation nor turning draws into trees. Gradients are leapfrog
steps, warm-up included. Total wall time includes compilation with its disk caches warm: that of the second and later
repetitions. A peer that reaches less than a third of the best peer's ESS per second at first is not repeated.
"""

import importlib.util
from statistics import median

import numpy as np
from rich.table import Table

from tests.benchmarks import posteriors
from tests.benchmarks.runs import COLOURS, MARKERS, Results, command_line, console, plain_ticks
from tests.benchmarks.samplers import JAX, SAMPLERS

RHAT, ESS, MCSES = 1.05, 50, 5
DEEP = "airfoil-16-16-16"
PEERS = ("nutpie", "pymc", "numpyro", "numpyro_native", "blackjax")
METRICS = {
    "ess_per_second": ("ess", "sampling_seconds"),
    "ess_per_gradient": ("ess", "gradients"),
    "ess_per_wall_second": ("ess", "wall_seconds"),
    "within_per_second": ("ess_within", "sampling_seconds"),
    "within_per_gradient": ("ess_within", "gradients"),
}


def sound(run, metric="ess_per_second"):
    """Say whether a run's chains agree well enough for its ESS to mean something."""
    if "error" in run:
        return False
    suffix = "_within" if metric.startswith("within") else ""
    return run["rhat" + suffix] <= RHAT and run["ess" + suffix] >= ESS


def value(run, metric):
    """Figure of a run; None where it isn't sound, or includes a compilation whose caches may have been cold."""
    if not sound(run, metric) or (metric == "ess_per_wall_second" and run["repetition"] == 0):
        return None
    above, below = METRICS[metric]
    return run[above] / run[below]


def ratio(ours, peer, metric):
    """Median over the repetitions that both have of ours over the peer's; None where there is no sound pair."""
    theirs = {run["repetition"]: value(run, metric) for run in peer}
    pairs = [(value(run, metric), theirs.get(run["repetition"])) for run in ours]
    ratios = [a / b for a, b in pairs if a is not None and b is not None]
    return median(ratios) if ratios else None


def agrees(runs, others):
    """Say whether sound runs give the function's means that the others give, within five standard errors."""
    groups = [[run for run in group if sound(run)] for group in (runs, others)]
    if not all(groups):
        return None
    means = [np.mean([run["mean"] for run in group], axis=0) for group in groups]
    variances = [np.sum(np.square([run["mcse"] for run in group]), axis=0) / len(group) ** 2 for group in groups]
    return bool(np.all(np.abs(means[0] - means[1]) < MCSES * np.sqrt(variances[0] + variances[1])))


def summarise(runs):
    """Medians, ratios of ours to it, and a word of warning, for each posterior and sampler."""
    rows = []
    for name in dict.fromkeys(run["posterior"] for run in runs):
        here = [run for run in runs if run["posterior"] == name]
        ours = [run for run in here if run["sampler"] == "ours"]
        block = []
        for sampler in dict.fromkeys(run["sampler"] for run in here):
            mine = [run for run in here if run["sampler"] == sampler]
            done = [run for run in mine if "error" not in run]
            row = {"posterior": name, "sampler": sampler, "runs": len(mine), "sound": sum(map(sound, mine))}
            row["note"] = "; ".join(dict.fromkeys(run["error"] for run in mine if "error" in run))
            block.append(row)
            if not done:
                continue
            row |= {
                k: median(run[k] for run in done) for k in ("compile_seconds", "sampling_seconds", "gradients", "ess")
            }
            row |= {k: max(run[k] for run in done) for k in ("rhat", "rhat_within", "divergences")}
            row["wall_seconds"] = median(run["wall_seconds"] for run in done if run["repetition"] or len(done) == 1)
            for metric in METRICS:
                known = [v for v in (value(run, metric) for run in done) if v is not None]
                row[metric] = median(known) if known else None
            row["ratio"] = {metric: ratio(ours, mine, metric) for metric in METRICS}
            row["agrees"] = agrees(done, [run for run in here if run["sampler"] != sampler])
            row["microseconds_per_gradient"] = median(1e6 * run["sampling_seconds"] / run["gradients"] for run in done)
            failed = {f"R-hat > {RHAT}": row["rhat"] > RHAT, f"ESS < {ESS}": min(run["ess"] for run in done) < ESS}
            row["note"] = "; ".join(
                [*filter(None, [row["note"]]), *[reason for reason, is_so in failed.items() if is_so]]
            )
        for metric in METRICS:
            peers = [row for row in block if row["sampler"] in PEERS and row.get(metric) is not None]
            for row in block:
                row.setdefault("best_peer", {})[metric] = bool(peers) and row is max(peers, key=lambda row: row[metric])
        rows += block
    return rows


def worth_repeating(runs, name, sampler):
    """Say no to a peer that reached less than a third of the best peer's ESS per second at first, by either ESS."""

    def figures(run):
        return (
            np.array([run["ess"], run["ess_within"]]) / run["sampling_seconds"] if "error" not in run else np.zeros(2)
        )

    first = {run["sampler"]: figures(run) for run in runs if run["posterior"] == name and run["repetition"] == 0}
    if sampler == "ours" or sampler not in first:
        return True
    best = np.max([v for k, v in first.items() if k in PEERS] or [np.zeros(2)], axis=0)
    return bool(np.any(first[sampler] > best / 3))


def plan(names, samplers, repetitions):
    """Posterior, sampler and repetition of each run, in an order that takes turns and starts elsewhere each time."""
    for repetition in range(repetitions):
        for name in names:
            turn = [s for s in samplers if s != "ours_fused" or name not in ("breast_cancer", "iris")]
            at = repetition % len(turn)
            yield from ((name, sampler, repetition) for sampler in turn[at:] + turn[:at])


def compare(args):
    """Measure, and write results.json and ratios.png."""
    results = Results(args, summarise)
    runs = results.runs

    def measure(name, sampler, repetition, **options):
        results.measure(name, sampler, repetition, say, seed=100 + repetition, **options)

    def say(run):
        return "ESS {ess:.0f} in {sampling_seconds:.2f} s, R-hat {rhat:.3f}, {gradients} gradients".format(**run)

    for name, sampler, repetition in plan(args.posteriors, args.samplers, args.repetitions):
        if posteriors.missing(name):
            if repetition == 0 and sampler == args.samplers[0]:
                console.print(f"{name} left out: its data are not beside the repository.")
        elif repetition == 0 or worth_repeating(runs, name, sampler):
            draws = 100 if args.quick else posteriors.DRAWS[name]
            measure(name, sampler, repetition, draws=draws, tune=draws, chains=4)
    if not args.quick and {"airfoil", "ours"} <= {*args.posteriors, *args.samplers} and posteriors.SHARED.exists():
        here = [r for r in runs if r["posterior"] == "airfoil" and r["sampler"] in PEERS and "error" not in r]
        fastest = sorted(here, key=lambda run: -run["gradients"] / run["sampling_seconds"])
        for sampler in ("ours", *[*dict.fromkeys(run["sampler"] for run in fastest)][:2]):
            measure(DEEP, sampler, 0, draws=100, tune=100, chains=2)
    rows = summarise(runs)
    show(rows)
    draw(rows, args.out / "ratios.png")
    console.print(f"Written to {args.out}.")


def show(rows):
    """Print the table: figures of each sampler, and how many times as good ours is."""
    table = Table(title="ESS of the function; ours / its = how many times as good ours is; * the best peer")
    for heading in (
        "posterior",
        "sampler",
        "sound",
        "R-hat",
        "ESS/s",
        "ours / its",
        "ESS/1000 gradients",
        "ours / its",
    ):
        table.add_column(heading, justify="left" if heading in ("posterior", "sampler") else "right")
    for heading in ("wall s", "ours / its", "within chains: ESS/s", "ours / its", "us/gradient"):
        table.add_column(heading, justify="right")
    table.add_column("agrees")
    table.add_column("note")
    last = None
    for row in rows:
        if "ess" not in row:
            table.add_row(row["posterior"], row["sampler"], *[""] * 12, row["note"])
            continue
        cells = [f"{row['sound']}/{row['runs']}", f"{row['rhat']:.3f}"]
        for metric in ("ess_per_second", "ess_per_gradient", "ess_per_wall_second", "within_per_second"):
            figure = row["wall_seconds"] if metric == "ess_per_wall_second" else row[metric]
            figure = figure * 1000 if figure is not None and metric == "ess_per_gradient" else figure
            star = "*" if row["best_peer"][metric] else ""
            r = row["ratio"][metric]
            cells += ["-" if figure is None else f"{figure:.3g}", "-" if r is None else f"{r:.2f}{star}"]
        table.add_row(
            row["posterior"] if row["posterior"] != last else "",
            row["sampler"],
            *cells,
            f"{row['microseconds_per_gradient']:.2f}",
            {True: "yes", False: "NO", None: "-"}[row["agrees"]],
            row["note"],
        )
        last = row["posterior"]
    console.print(table)


def draw(rows, path):
    """Plot the ratios of ours to each peer: three panels, one line a posterior."""
    import matplotlib.pyplot as plt

    panels = {"ess_per_second": "ESS per second of sampling", "ess_per_gradient": "ESS per gradient"}
    panels["ess_per_wall_second"] = "ESS per second, compilation (warm) included"
    compared = [row for row in rows if any(row.get("ratio", {}).get(m) for m in METRICS) and row["sampler"] != "ours"]
    if not compared:
        return
    names = list(dict.fromkeys(row["posterior"] for row in compared))[::-1]
    peers = [s for s in SAMPLERS if s != "ours" and any(row["sampler"] == s for row in rows)]
    fig, axes = plt.subplots(1, 3, figsize=(13, 1.5 + 0.55 * len(names)), sharey=True, layout="constrained")
    for ax, (metric, title) in zip(axes, panels.items(), strict=True):
        for row in rows:
            r, peer = row.get("ratio", {}).get(metric), row["sampler"]
            within = r is None and metric != "ess_per_wall_second"
            if within:
                r = row.get("ratio", {}).get(metric.replace("ess", "within"))
            if r is None or peer not in peers:
                continue
            k = peers.index(peer)
            colour = COLOURS[k % len(COLOURS)]
            y = names.index(row["posterior"]) + 0.1 * (k - (len(peers) - 1) / 2)
            ax.plot(r, y, MARKERS[k % len(MARKERS)], color=colour, markerfacecolor="none" if within else colour, ms=7)
        ax.axvline(1.0, color="#8A8A8A", lw=1, zorder=0)
        ax.set(xscale="log", title=title, xlabel="ours / peer: right of the line ours is better")
        plain_ticks(ax.xaxis)
        ax.set_yticks(range(len(names)), names)
        ax.set_ylim(-0.5, len(names) - 0.5)
        ax.grid(axis="x", color="#DDDDDD", lw=0.6)
        ax.spines[["top", "right"]].set_visible(False)
    keys = [
        plt.Line2D([], [], ls="", marker=MARKERS[k % len(MARKERS)], color=COLOURS[k % len(COLOURS)], label=peer)
        for k, peer in enumerate(peers)
    ]
    keys.append(plt.Line2D([], [], ls="", marker="o", color="#222222", mfc="none", label="open: within chains"))
    fig.legend(handles=keys, loc="outside lower center", ncols=len(keys), frameon=False)
    fig.savefig(path, dpi=150)
    plt.close(fig)


STUDIES = {
    "grow": "cost against observations, width and depth",
    "lppd": "held-out density against the published table",
    "optima": "200 restarts against find_MAP and JAX's L-BFGS",
    "own": "formulas of one's own against the nearest built-in",
    "startup": "seconds to the first fit, cold and warm",
}


def main(argv=None):
    """Read the command line."""
    args = command_line(
        argv,
        __doc__,
        repetitions=3,
        limit=240,
        names=posteriors.NAMES,
        samplers=SAMPLERS,
        default=("ours", "ours_fused", "ours_low_rank", *PEERS),
        studies=STUDIES | {"deep": "with --lppd: hidden (16, 16, 16) too"},
        installed=installed,
    )
    asked = [study for study in STUDIES if getattr(args, study)]
    if not asked:
        return compare(args)
    from tests.benchmarks import own, studies

    for study in asked:
        getattr(own if study == "own" else studies, study)(args)


def installed(sampler):
    """Say whether a sampler's packages are there."""
    needed = ("jax", sampler.split("_")[0]) if sampler in JAX else ()
    return all(importlib.util.find_spec(package) for package in needed)


if __name__ == "__main__":
    main()
