"""How fast the log evidence of a network is had: tempering against every other estimator, in the same run.

Run ``python -m tests.benchmarks.compare_evidence`` (hours on two quiet cores, most of them the peers'), with
``--quick`` for a look. Each run of each estimator is a fresh process; the estimators take turns, and results.json is
written after each of them, from which ``--resume`` goes on.

The figure is time x MSE: the mean of the seconds of sampling, times the mean squared error of the log evidence about
a reference, so that bias is paid for. It does not depend on how long a run is, as long as the error is one of chance.
The reference is the mean of long runs of ours, up to eight times as long as the others, with seeds of their own; its
standard error is shown, and "agrees" says whether an estimator's own mean lies within five standard errors of it,
so that a reference that is wrong itself would show. Time x variance, about an estimator's own mean, is shown beside it.
The interval of a ratio is that of an F distribution, 90 %, as if both errors were normal.

A peer whose first run fails or is too slow is not repeated, nor is a peer whose tuning fails; tuning is not counted.
"""

import importlib.util
from functools import cache

import numpy as np
from rich.table import Table

from tests.benchmarks import posteriors
from tests.benchmarks.evidence import NEEDS, NESTED_MOST, SAMPLERS
from tests.benchmarks.runs import COLOURS, MARKERS, Results, command_line, console, plain_ticks

NAMES = (*posteriors.NAMES, "energy")
PEERS = ("blackjax", "pymc_smc", "dynesty", "ultranest")
NESTED = ("dynesty", "ultranest")
REFERENCE, REFERENCES = "ours_long", 2
LEVEL, MCSES = 0.9, 5
STUDIES = {
    "lppd": "held-out density by tempering and by NUTS against the published table",
    "occam": "evidence and held-out density of 0 to 6 units, on data of a network of two",
    "calibration": "errors of 100 runs over their standard errors, where the evidence is known exactly",
    "loop": "wall time against what the gradients alone cost",
}


def references(runs):
    """Log evidence of each posterior and its standard error: of the long runs, or of ours where there are none."""
    found = {}
    for name in dict.fromkeys(run["posterior"] for run in runs):
        for sampler in (REFERENCE, "ours"):
            here = [r for r in runs if r["posterior"] == name and r["sampler"] == sampler and "error" not in r]
            if here:
                se = np.sqrt(np.sum([run["se"] ** 2 for run in here])) / len(here)
                found[name] = (float(np.mean([run["log_evidence"] for run in here])), float(se))
                break
    return found


def errors(values, reference):
    """Bias, variance about the own mean and mean squared error about a reference; no variance of a single value."""
    values = np.asarray(values, dtype=float)
    return {
        "bias": float(values.mean() - reference),
        "variance": float(values.var(ddof=1)) if values.size > 1 else None,
        "mse": float(np.mean((values - reference) ** 2)),
    }


def interval(ratio, ours, peer, level=LEVEL):
    """Interval of a ratio of mean squared errors, from this many values of each."""
    from scipy.stats import f

    low, high = f.ppf([(1 - level) / 2, (1 + level) / 2], peer, ours)
    return float(ratio / high), float(ratio / low)


def agrees(values, reference, se):
    """Say whether estimates have a mean within five standard errors of the reference; None for a single one."""
    if len(values) < 2:
        return None
    spread = np.var(values, ddof=1) / len(values)
    return bool(abs(np.mean(values) - reference) < MCSES * np.sqrt(spread + se**2))


def summarise(runs):
    """Time x MSE and its ratio to that of ours, for each posterior and estimator."""
    known, rows = references(runs), []
    for name in dict.fromkeys(run["posterior"] for run in runs):
        here, block = [run for run in runs if run["posterior"] == name], []
        for sampler in dict.fromkeys(run["sampler"] for run in here):
            mine = [run for run in here if run["sampler"] == sampler]
            done = [run for run in mine if "log_evidence" in run]
            row = {"posterior": name, "sampler": sampler, "runs": len(done)}
            row["note"] = "; ".join(dict.fromkeys(run["error"] for run in mine if "error" in run))
            if sampler != "blackjax_pilots":
                block.append(row)
            if not done:
                continue
            values = [run["log_evidence"] for run in done]
            row["seconds"] = float(np.mean([run["sampling_seconds"] for run in done]))
            row["log_evidence"] = float(np.mean(values))
            if "evaluations" in done[0]:
                row["evaluations"] = float(np.mean([run["evaluations"] for run in done]))
            tuning = [
                r["tuning_seconds"] for r in here if r["sampler"] == f"{sampler}_pilots" and "tuning_seconds" in r
            ]
            row["tuning_seconds"] = sum(tuning)
            if name not in known:
                continue
            reference, se = known[name]
            row |= {"reference": reference, "reference_se": se, **errors(values, reference)}
            row["time_x_mse"] = row["seconds"] * row["mse"]
            row["time_x_variance"] = None if row["variance"] is None else row["seconds"] * row["variance"]
            row["agrees"] = agrees(values, reference, se)
            if "se" in done[0]:
                z = [(run["log_evidence"] - reference) / np.hypot(run["se"], se) for run in done]
                row["rms_z"] = float(np.sqrt(np.mean(np.square(z))))
        ours = next((row for row in block if row["sampler"] == "ours" and row.get("time_x_mse")), None)
        for row in block if ours else ():
            if "time_x_mse" in row and row["sampler"] != REFERENCE:
                row["ratio"] = row["time_x_mse"] / ours["time_x_mse"]
                if row is not ours:
                    row["interval"] = interval(row["ratio"], ours["runs"], row["runs"])
        rows += block
    return rows


def plan(names, samplers, repetitions):
    """Posterior, estimator and repetition of each run, in an order that takes turns and starts elsewhere each time."""
    for repetition in range(repetitions):
        for name in names:
            turn = [s for s in samplers if s not in NESTED or dimensions(name) <= NESTED_MOST]
            at = repetition % len(turn) if turn else 0
            yield from ((name, sampler, repetition) for sampler in turn[at:] + turn[:at])


@cache
def dimensions(name):
    """Count the free parameters of a posterior."""
    problem = posteriors.posterior(name).problem
    return sum(int(np.prod(s)) for s in problem.shapes.values()) + (problem.net.noise_prior is not None)


def compare(args):
    """Measure, and write results.json and evidence.png."""
    results = Results(args, summarise)

    def say(run):
        if "log_evidence" not in run:
            return "{pilots} pilots in {tuning_seconds:.1f} s, worst acceptance {worst:.2f} away".format(**run)
        se = f" +- {run['se']:.3f}" if "se" in run else ""
        return f"log evidence {run['log_evidence']:.3f}{se} in {run['sampling_seconds']:.2f} s"

    def measure(name, sampler, repetition, **options):
        options = {"module": "tests.benchmarks.evidence", "chains": 4, "seed": 100 + repetition, **options}
        return results.measure(name, sampler, repetition, say, **options)

    names = []
    for name in args.posteriors:
        if posteriors.missing(name):
            console.print(f"{name} left out: its data are not beside the repository.")
        else:
            names.append(name)
    # The short runs of --quick are as right as the others, and have larger errors.
    short = {"blackjax": {"particles": 200}, "pymc_smc": {"draws": 200}} if args.quick else {}
    short["ours"] = {"max_seconds": 0.5 * args.limit}
    for name in names:
        for repetition in range(1 if args.quick else REFERENCES):
            measure(name, REFERENCE, repetition, seed=900 + repetition, times=8.0, max_seconds=4.0 * args.limit)
    for name, sampler, repetition in plan(names, args.samplers, args.repetitions):
        options = dict(short.get(sampler, {}))
        first = results.find(name, sampler, 0)
        if sampler != "ours" and repetition and first is not None and "error" in first:
            continue
        if sampler == "blackjax":
            tuned = measure(name, "blackjax_pilots", 0, times=4.0)
            if "error" in tuned:
                continue
            options |= {k: tuned[k] for k in ("log_steps", "leapfrogs")}
        measure(name, sampler, repetition, **options)
    rows = summarise(results.runs)
    show(rows)
    draw(rows, args.out / "evidence.png")
    console.print(f"Written to {args.out}.")


def show(rows):
    """Print the table: what each estimator found, and how many times ours its time x MSE is."""
    table = Table(title="time x MSE of the log evidence; its / ours = how many times as good ours is")
    for heading in ("posterior", "reference", "estimator", "runs", "log evidence", "bias", "sd", "seconds"):
        table.add_column(heading, justify="left" if heading in ("posterior", "estimator") else "right")
    for heading in ("tuning s", "time x variance", "time x MSE", "its / ours", "from - to", "rms z"):
        table.add_column(heading, justify="right")
    table.add_column("agrees")
    table.add_column("note")
    last = None

    def text(row, key, form):
        return "-" if row.get(key) is None else format(row[key], form)

    for row in rows:
        name = row["posterior"] if row["posterior"] != last else ""
        last = row["posterior"]
        if "log_evidence" not in row:
            table.add_row(name, "", row["sampler"], "0", *[""] * 11, row["note"])
            continue
        reference = f"{row['reference']:.3f} ({row['reference_se']:.3f})" if name and "reference" in row else ""
        sd = "-" if row.get("variance") is None else f"{np.sqrt(row['variance']):.3f}"
        table.add_row(
            name,
            reference,
            row["sampler"],
            str(row["runs"]),
            f"{row['log_evidence']:.3f}",
            text(row, "bias", ".3f"),
            sd,
            f"{row['seconds']:.2f}",
            f"{row['tuning_seconds']:.0f}" if row["tuning_seconds"] else "",
            text(row, "time_x_variance", ".3g"),
            text(row, "time_x_mse", ".3g"),
            text(row, "ratio", ".3g"),
            "{:.2g} - {:.2g}".format(*row["interval"]) if "interval" in row else "",
            text(row, "rms_z", ".2f"),
            {True: "yes", False: "NO", None: "-"}[row.get("agrees")],
            row["note"],
        )
    console.print(table)


def draw(rows, path):
    """Plot time x MSE: one line a posterior, one marker an estimator."""
    import matplotlib.pyplot as plt
    from scipy.stats import chi2

    shown = [row for row in rows if row.get("time_x_mse") and row["sampler"] != REFERENCE]
    if not shown:
        return
    names = list(dict.fromkeys(row["posterior"] for row in shown))[::-1]
    samplers = [s for s in ("ours", *PEERS) if any(row["sampler"] == s for row in shown)]
    fig, ax = plt.subplots(figsize=(9, 1.8 + 0.6 * len(names)), layout="constrained")
    for row in shown:
        k = ("ours", *PEERS).index(row["sampler"])
        y = names.index(row["posterior"]) - 0.12 * (samplers.index(row["sampler"]) - (len(samplers) - 1) / 2)
        ends = row["time_x_mse"] * row["runs"] / chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], row["runs"])
        ax.plot(ends, [y, y], color=COLOURS[k], lw=1.2)
        ax.plot(row["time_x_mse"], y, MARKERS[k], color=COLOURS[k], ms=8)
    ax.set(xscale="log", xlabel="seconds of sampling x mean squared error of the log evidence: left is better")
    plain_ticks(ax.xaxis)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(-0.5, len(names) - 0.5)
    ax.grid(axis="x", color="#DDDDDD", lw=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    labels = {"ours": "ours: tempering", "blackjax": "BlackJAX: tempered SMC, HMC", "pymc_smc": "PyMC: sample_smc"}
    labels |= {"dynesty": "dynesty", "ultranest": "UltraNest"}
    keys = [
        plt.Line2D([], [], marker=MARKERS[k], color=COLOURS[k], lw=1.2, ms=8, label=labels[s])
        for k, s in enumerate(("ours", *PEERS))
        if s in samplers
    ]
    fig.legend(handles=keys, loc="outside lower center", ncols=3, frameon=False)
    ax.set_title(f"lines: {LEVEL:.0%} intervals, as if errors were normal", fontsize=10)
    fig.savefig(path, dpi=150)
    plt.close(fig)


def installed(sampler):
    """Say whether an estimator's packages are there."""
    return all(importlib.util.find_spec(package) for package in NEEDS.get(sampler, ()))


def main(argv=None):
    """Read the command line."""
    args = command_line(
        argv,
        __doc__,
        repetitions=6,
        limit=180,
        names=NAMES,
        samplers=tuple(s for s in SAMPLERS if s not in (REFERENCE, "blackjax_pilots")),
        default=("ours", *PEERS),
        studies=STUDIES | {"deep": "with --lppd: hidden (16, 16, 16) too"},
        installed=installed,
    )
    asked = [study for study in STUDIES if getattr(args, study)]
    if not asked:
        return compare(args)
    from tests.benchmarks import evidence_studies, studies

    for study in asked:
        if study == "lppd":
            studies.lppd(args, samplers=("nutpie", "tempering"))
        else:
            getattr(evidence_studies, study)(args)


if __name__ == "__main__":
    main()
