"""What the benchmarks share: a run in a process of its own, a file of results that grows, and how both are shown."""

import argparse
import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

from rich.console import Console

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
MARKERS = "os^DvPX"
console = Console(width=None if sys.stdout.isatty() else 200)


def run_one(name, sampler, *, limit, module="tests.benchmarks.samplers", **options):
    """Run a sampler in a process of its own, which writes what it found; where it fails or is slow, an error."""
    cache = Path(tempfile.gettempdir()) / "bayesnn-benchmark-jax"
    settings = {
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        # A device for each chain, even with fewer cores, is the fastest of JAX's ways to run chains.
        "XLA_FLAGS": f"--xla_force_host_platform_device_count={options['chains']}",
    }
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run.json"
        spec = json.dumps({"name": name, "sampler": sampler, **options})
        command = [sys.executable, "-m", module, str(out), spec]
        # A session of its own, so that its workers end with it.
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
        process = subprocess.Popen(command, env={**os.environ, **settings}, **options)
        try:
            _, said = process.communicate(timeout=limit)
        except BaseException as reason:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            if isinstance(reason, subprocess.TimeoutExpired):
                return {"error": f"took more than {limit:g} s"}
            raise
        if process.returncode or not out.exists():
            last = [line for line in said.splitlines() if line.strip()]
            return {"error": last[-1][:200] if last else f"ended with {process.returncode}"}
        return json.loads(out.read_text())


def machine():
    """Processor, cores and versions."""
    model = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    packages = (
        "bayesnn",
        "pymc",
        "pytensor",
        "numba",
        "nutpie",
        "arviz",
        "numpyro",
        "blackjax",
        "jax",
        "numpy",
        "sklearn",
        "dynesty",
        "ultranest",
    )
    names = {"bayesnn": "bayesnn-pymc", "sklearn": "scikit-learn"}
    known = {p: metadata.version(names.get(p, p)) for p in packages if importlib.util.find_spec(p)}
    date = time.strftime("%Y-%m-%d %H:%M")
    return {"processor": model, "cores": os.cpu_count(), "python": platform.python_version(), "date": date, **known}


def end_workers():
    """Make a benchmark that is told to end also end the run that it waits for."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def write(path, data):
    """Replace a JSON file in one step, so that an interruption leaves the old one."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(data, indent=1))
    part.replace(path)


class Results:
    """Runs that results.json has, and the file they are written to after each.

    Parameters
    ----------
    args : argparse.Namespace
        Of `arguments`.
    summarise : callable
        What to write beside the runs.
    """

    def __init__(self, args, summarise):
        self.path, self.limit, self.summarise = args.out / "results.json", args.limit, summarise
        self.runs = json.loads(self.path.read_text())["runs"] if args.resume and self.path.exists() else []

    def find(self, name, sampler, repetition):
        """Return a run that was made already, or None."""
        at = (name, sampler, repetition)
        return next((r for r in self.runs if (r["posterior"], r["sampler"], r["repetition"]) == at), None)

    def measure(self, name, sampler, repetition, say, *, seed, times=1.0, **options):
        """Make a run unless it is known, write it, and tell of it; it may take the limit, or that many times it."""
        if (known := self.find(name, sampler, repetition)) is not None:
            return known
        run = run_one(name, sampler, limit=times * self.limit, seed=seed, **options)
        run = {"posterior": name, "sampler": sampler, "repetition": repetition, "options": options, **run}
        self.runs.append(run)
        write(self.path, {"machine": machine(), "runs": self.runs, "summary": self.summarise(self.runs)})
        said = run.get("error") or say(run)
        console.print(f"{time.strftime('%H:%M:%S')} {name} {sampler} {repetition + 1}: {said}", highlight=False)
        return run


def serve(measure):
    """Make the run that a process was started for by `run_one`."""
    out, spec = sys.argv[1:]
    Path(out).write_text(json.dumps(measure(**json.loads(spec))))


def command_line(argv, description, *, repetitions, limit, names, samplers, default, studies, installed):
    """Read the command line.

    Parameters
    ----------
    argv : list of str or None
        What was typed.
    description : str
        What the benchmark does.
    repetitions : int
        Default number of them.
    limit : float
        Default for the seconds that one run may take.
    names, samplers : sequence of str
        Posteriors and samplers there are.
    default : sequence of str
        Samplers that are compared unless others are asked for.
    studies : dict of str to str
        Flags beside the comparison, and what they do.
    installed : callable
        Whether a sampler's packages are there.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    split = lambda text: text.split(",")  # noqa: E731
    parser.add_argument("--quick", action="store_true", help="one repetition, short runs, short studies")
    parser.add_argument("--repetitions", type=int, help=f"default: {repetitions} (1 with --quick)")
    parser.add_argument("--posteriors", type=split, default=names, help="of " + ",".join(names))
    parser.add_argument("--samplers", type=split, default=default, help="of " + ",".join(samplers))
    parser.add_argument("--out", type=Path, default=Path("benchmark-results"), help="folder for what is written")
    parser.add_argument("--limit", type=float, default=limit, help="seconds that one run may take")
    parser.add_argument("--resume", action="store_true", help="keep the runs that results.json has")
    for study, what in studies.items():
        parser.add_argument(f"--{study}", action="store_true", help=what)
    args = parser.parse_args(argv)
    for given, known in ((args.posteriors, names), (args.samplers, samplers)):
        if unknown := set(given) - set(known):
            parser.error(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    args.repetitions = args.repetitions or (1 if args.quick else repetitions)
    args.samplers = [s for s in args.samplers if installed(s)]
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def plain_ticks(axis):
    """Label a logarithmic axis 0.5, 1, 2, 5 and so on."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 500 * low else (1,)))
    axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())
