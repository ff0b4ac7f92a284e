"""How time and memory grow with the number of rows: python -m tests.benchmarks.rows [--quick].

Nine columns, four tanh units and squared error; inputs are simulated. For each number of rows and each kind of fit a
process of its own says how long a gradient takes, with one thread and with all, how long the fit takes (few iterations
or draws: what is of interest is what one of them costs), and by how much its memory exceeded the inputs at its peak, as
a multiple of theirs. A straight line through the logarithms has slope one where a cost is linear.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
from rich.table import Table

from tests.benchmarks.runs import console, end_workers, machine, serve, write

COLUMNS = 9
SIZES = {
    "map": (10**3, 10**4, 10**5, 10**6, 10**7),
    "nuts": (10**3, 10**4, 10**5, 10**6),
    "tempering": (10**3, 10**4, 10**5, 10**6),
    "binary_cross_entropy": (10**6,),
    "cross_entropy": (10**6,),
    "poisson": (10**6,),
}
"""Kind of fit, or loss of a MAP fit -> numbers of rows."""


def simulate(n, loss, dtype):
    """Inputs and targets of a smooth function of two of the columns."""
    rng = np.random.default_rng(1)
    X = np.empty((n, COLUMNS), dtype=dtype)
    for start in range(0, n, 10**5):
        X[start : start + 10**5] = rng.normal(size=(min(10**5, n - start), COLUMNS))
    y = np.sin(2.0 * X[:, 0].astype(float)) + X[:, 1] / 2
    if loss == "binary_cross_entropy":
        return X, (rng.random(n) < 1 / (1 + np.exp(-3 * y))).astype(int)
    if loss == "cross_entropy":
        return X, np.digitize(y + 0.3 * rng.normal(size=n), (-0.5, 0.5))
    if loss == "poisson":
        return X, rng.poisson(np.exp(y))
    return X, y + 0.3 * rng.normal(size=n)


def gradients(problem, *, collapse, seconds=0.5):
    """Seconds of a gradient, with one thread and with as many as there are cores."""
    from bayesnn.fitting.density import log_density

    times = []
    for threads in (1, None):
        density = log_density(problem, jacobian=True, collapse=collapse, threads=threads)
        x, best, began = density.prior_draw(1), np.inf, time.perf_counter()
        density(x)
        while time.perf_counter() - began < seconds or not np.isfinite(best):
            before = time.perf_counter()
            density(x)
            best = min(best, time.perf_counter() - before)
        times.append(best)
        del density
    return times


class Memory:
    """Largest resident memory while a block runs, in bytes; memory that is mapped from files does not count."""

    def __enter__(self):
        self.peak, self.running = self._now(), True
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.running = False
        self.thread.join()

    def _watch(self):
        while self.running:
            self.peak = max(self.peak, self._now())
            time.sleep(0.005)

    @staticmethod
    def _now():
        status = Path("/proc/self/status")
        if not status.exists():
            # The high water of the whole process: there is no looking back to before the block.
            return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        lines = status.read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def fit(kind, net, X, y, quick):
    """Make a short fit."""
    import bayesnn as bnn

    settings = {"random_seed": 1, "scaling": "standard", "progressbar": False}
    short = {"draws": 5, "tune": 5} if quick else {"draws": 20, "tune": 20}
    if kind == "nuts":
        return bnn.fit_posterior(net, X, y, chains=2, target_accept=0.8, **short, **settings)
    if kind == "tempering":
        short = {"draws": 4, "tune": 7, "rounds": 1}
        return bnn.fit_posterior(net, X, y, chains=1, sampler="tempering", **short, **settings)
    return bnn.fit_map(net, X, y, restarts=1, maxiter=5 if quick else 20, **settings)


def measure(name, sampler, *, n, dtype="float64", memmap=False, quick=False):
    """Time and memory of one kind of fit, the sampler, for n rows; the name is that of the loss."""
    import bayesnn as bnn
    from bayesnn.tree import prepare

    net = bnn.MLP((4,), loss=name)
    X, y = simulate(n, name, dtype)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if memmap:
            mapped = np.memmap(Path(folder) / "X", dtype=X.dtype, mode="w+", shape=X.shape)
            mapped[:] = X
            X = mapped
        # What is loaded and compiled is no matter of the rows.
        fit(sampler, net, np.array(X[:200]), y[:200], quick)
        times = gradients(prepare(net, X, y, scaling="standard"), collapse=sampler != "map" and net.loss.has_noise)
        before, began = Memory._now(), time.perf_counter()
        with Memory() as memory:
            tree = fit(sampler, net, X, y, quick)
        seconds = time.perf_counter() - began
    count = tree.attrs.get("bayesnn_gradients")
    if "n_steps" in tree.get("sample_stats", {}):
        count = int(tree["sample_stats"]["n_steps"].sum())
    return {
        "gradient": times[0],
        "threaded": times[1],
        "seconds": seconds,
        "gradients": None if count is None else int(count),
        "inputs": n * COLUMNS * 8,
        "peak": (memory.peak - before) / (n * COLUMNS * 8),
    }


def run(kind, n, *, limit, **options):
    """Measure in a process of its own, with all cores."""
    loss, sampler = ("squared_error", kind) if kind in ("map", "nuts", "tempering") else (kind, "map")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run.json"
        spec = json.dumps({"name": loss, "sampler": sampler, "n": n, **options})
        command = [sys.executable, "-m", "tests.benchmarks.rows", str(out), spec]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return {"error": f"took more than {limit:g} s"}
        if done.returncode or not out.exists():
            return {"error": (done.stderr.strip().splitlines() or ["ended"])[-1][:200]}
        return json.loads(out.read_text())


def slope(sizes, costs):
    """Slope of the logarithm of a cost by that of the number of rows, from 10^5 rows on or the last two sizes."""
    pairs = [(n, cost) for n, cost in zip(sizes, costs, strict=True) if cost]
    pairs = [pair for pair in pairs if pair[0] >= 10**5] if sum(n >= 10**5 for n, _ in pairs) > 1 else pairs[-2:]
    if len(pairs) < 2:
        return float("nan")
    return float(np.polyfit(*np.log(np.array(pairs)).T, 1)[0])


def main(argv=None):
    """Measure and print tables; see the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="up to 10^5 rows, and shorter fits")
    parser.add_argument("--kinds", type=lambda text: text.split(","), default=list(SIZES), help=",".join(SIZES))
    parser.add_argument(
        "--sizes", type=lambda text: [int(float(s)) for s in text.split(",")], help="instead of its own"
    )
    parser.add_argument("--limit", type=float, default=600.0, help="seconds that one run may take")
    parser.add_argument("--dtype", default="float64", help="of the inputs")
    parser.add_argument("--memmap", action="store_true", help="inputs in a file")
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"), help="folder for what is written")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    options = {"dtype": args.dtype, "memmap": args.memmap, "quick": args.quick}
    runs = {}
    for kind in args.kinds:
        sizes = args.sizes or [n for n in SIZES[kind] if not args.quick or n <= 10**5]
        table = Table(title=f"{kind}, {args.dtype}{' in a file' if args.memmap else ''}")
        for heading in ("rows", "ms/gradient", "threaded", "ns/row", "fit, s", "gradients", "peak x inputs"):
            table.add_column(heading, justify="right")
        runs[kind] = {}
        for n in sizes:
            found = runs[kind][n] = run(kind, n, limit=args.limit, **options)
            write(args.out / "rows.json", {"machine": machine(), "options": options, "runs": runs})
            if "error" in found:
                table.add_row(f"{n:,}", found["error"])
                continue
            one, many = 1e3 * found["gradient"], 1e3 * found["threaded"]
            cells = (f"{one:.4g}", f"{many:.4g}", f"{1e6 * one / n:.3g}", f"{found['seconds']:.3g}")
            table.add_row(f"{n:,}", *cells, str(found["gradients"] or ""), f"{found['peak']:.2f}")
        for name in ("gradient", "threaded", "seconds"):
            costs = [runs[kind][n].get(name) for n in sizes]
            table.caption = f"{table.caption or 'slopes:'} {name} {slope(sizes, costs):.2f}"
        console.print(table)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[2].startswith("{"):
        serve(measure)
    else:
        end_workers()
        main()
