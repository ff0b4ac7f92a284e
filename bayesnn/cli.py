"""The command line: fit, compare, predict, and look at the tables."""

import os
import sys
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesnn.errors import BayesnnError, ConvergenceWarning, DataError, FitError, SpecError

if TYPE_CHECKING:
    import xarray as xr
    from rich.console import Console

    from bayesnn.data import Dataset
    from bayesnn.network import MLP


app = typer.Typer(
    help="One small neural network, three answers: maximum likelihood, maximum a posteriori, the full posterior.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_PICTURES = {
    "fits.png": "the three answers",
    "traces.png": "what the chains say",
    "optima-mle.png": "where the starts of the MLE ended",
    "optima-map.png": "where the starts of the MAP ended",
}
_WAIT = 20.0
"""Seconds that a tempered run may be expected to take, and may take, where nobody asked for one."""
_SOME_COPIES = 100
"""Copies to draw where there are too many to draw them all."""


class Kind(StrEnum):
    """The three answers."""

    mle = "mle"
    map = "map"
    posterior = "posterior"


class Sampler(StrEnum):
    """How a posterior is sampled."""

    nuts = "nuts"
    tempering = "tempering"
    both = "both"


Data = Annotated[str, typer.Option(help="Bundled name (see `bayesnn data`) or a CSV file.")]
Target = Annotated[str | None, typer.Option(help="Column of the CSV file to predict.")]
Task = Annotated[str | None, typer.Option(help="regression, binary, classes, count or ordinal; inferred if left out.")]
Loss = Annotated[str | None, typer.Option(help="Loss (see `bayesnn losses`); the task's own if left out.")]
Hidden = Annotated[str, typer.Option(help="Units of each hidden layer, as in 8 or 16,16; 0 for none.")]
Activation = Annotated[str, typer.Option(help="Activation of the hidden units.")]
PriorSd = Annotated[float, typer.Option(help="Standard deviation of the normal prior of all weights and biases.")]
Noise = Annotated[float | None, typer.Option(help="Known noise scale, in scaled units; learned if left out.")]
Restarts = Annotated[int, typer.Option(help="Random starts of MLE and MAP.")]
Draws = Annotated[int, typer.Option(help="Draws of each chain.")]
Tune = Annotated[int, typer.Option(help="Warm-up draws of each chain of NUTS.")]
Chains = Annotated[int, typer.Option(help="Number of chains.")]
MaxIter = Annotated[int, typer.Option("--maxiter", help="Iterations of each start of MLE and MAP.")]
TargetAccept = Annotated[
    float | None,
    typer.Option(help="Acceptance of NUTS; left out, a run that diverges is repeated at higher ones."),
]
Seed = Annotated[int, typer.Option(help="Seed of the split, the starts and the draws.")]


def main() -> None:
    """Run the command line; an error of the user's data or options is one message and exit code 1."""
    # Pictures go into files; matplotlib reads this when a command loads it, and opens no window.
    os.environ["MPLBACKEND"] = "agg"
    warnings.showwarning = _show_warning
    try:
        app()
    except BayesnnError as error:
        _console(stderr=True).print(f"[bold red]{type(error).__name__}[/bold red]: ", end="")
        _console(stderr=True).print(str(error), markup=False, highlight=False)
        sys.exit(1)


def _console(**kwargs):
    from rich.console import Console

    return Console(**kwargs)


def _show_warning(message, category, filename, lineno, file=None, line=None):
    console = _console(stderr=True)
    console.print(f"[bold yellow]{category.__name__}[/bold yellow]: ", end="")
    console.print(str(message), markup=False, highlight=False)


def _load(data, target, task, seed):
    from bayesnn.data import load_data

    looks_like_file = Path(data).suffix.lower() == ".csv" or Path(data).is_file()
    return load_data(Path(data) if looks_like_file else data, target=target, task=task, random_seed=seed)


def _option(name, value):
    """Write an argument as the command line has it."""
    return f"--{name.replace('_', '-')} {value}"


def _check_writable(path, given, *, option="--out"):
    """Refuse a file that can't be written, before anything is computed; what trying leaves behind is removed."""
    made = []
    try:
        new = not path.exists()
        for folder in reversed(path.parents):
            if not folder.exists():
                folder.mkdir()
                made.append(folder)
        path.open("ab").close()
        if new:
            path.unlink()
    except OSError as error:
        raise SpecError(
            f"Got {option} {given}; {path} can't be written ({error.strerror}). Name a "
            f"{'file in a folder' if given == path else 'folder'} that is there and may be written to, or can be made."
        ) from error
    finally:
        with suppress(OSError):
            for folder in reversed(made):
                folder.rmdir()


def _widths(hidden):
    try:
        widths = tuple(int(h) for h in hidden.split(",") if h.strip())
    except ValueError:
        widths = (-1,)
    if min(widths, default=0) < 0:
        raise SpecError(
            f"Got --hidden {hidden!r}; it must be positive integers separated by commas. Write --hidden 16,16, or 0 "
            "for none."
        )
    return tuple(h for h in widths if h)


def _grid(hidden, prior_sd):
    """Read the widths and the standard deviations of a grid of networks, each value once."""
    from bayesnn.arguments import check_arguments

    _widths(hidden)
    widths = [int(h) for h in hidden.split(",") if h.strip()]
    try:
        sds = [float(sd) for sd in prior_sd.split(",") if sd.strip()]
    except ValueError:
        sds = []
    for sd in sds:
        check_arguments(_option, prior_sd=sd)
    for option, got, known, usual in (("hidden", hidden, widths, "0,1,2,3"), ("prior-sd", prior_sd, sds, "0.3,1,3")):
        if not known:
            raise SpecError(
                f"Got --{option} {got!r}; it must be numbers separated by commas. Write --{option} {usual}."
            )
    return list(dict.fromkeys(widths)), list(dict.fromkeys(sds))


def _network(task, loss, hidden, activation, prior_sd, noise):
    from bayesnn.losses.table import LOSS_OF_TASK
    from bayesnn.network import MLP
    from bayesnn.priors import Normal

    name = loss or LOSS_OF_TASK[task]
    return MLP(hidden=_widths(hidden), activation=activation, loss=name, noise=noise, prior=Normal(prior_sd))


def _draw(axes, what, *, path, console):
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        axes.flat[0].figure.savefig(path, dpi=150)
    except (ValueError, OSError) as error:
        raise SpecError(f"Got {path}, which can't be drawn ({error}). Write a file such as orbit.png.") from error
    console.print(f"  drew {path}: {what}", highlight=False)


def _print_frame(frame, console, title):
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in frame.columns:
        table.add_column(str(name), justify="right")
    for label, row in frame.iterrows():
        table.add_row(str(label), *("" if v != v else f"{v:.4g}" if isinstance(v, float) else str(v) for v in row))
    console.print(table)


@dataclass(frozen=True)
class Run:
    """What `compare` and `fit` have in common: their options, and what is made of them."""

    data: Data = "diabetes"
    target: Target = None
    task: Task = None
    loss: Loss = None
    hidden: Hidden = "3"
    activation: Activation = "tanh"
    prior_sd: PriorSd = 1.0
    noise: Noise = None
    restarts: Restarts = 20
    maxiter: MaxIter = 2000
    draws: Draws = 1000
    tune: Tune = 1000
    chains: Chains = 4
    target_accept: TargetAccept = None
    seed: Seed = 0

    def load(self, out: Path, files: Iterable[Path | str]) -> "tuple[Dataset, MLP]":
        """Refuse options that can be refused, the quickest first; give the data and the network."""
        from bayesnn.arguments import check_arguments

        unchecked = ("data", "target", "task", "loss", "hidden", "activation")
        check_arguments(_option, **{name: value for name, value in vars(self).items() if name not in unchecked})
        _widths(self.hidden)
        for file in files:
            _check_writable(file, out)
        # Data take seconds to load, and a network whose loss is not known yet can break the same rules.
        self._network("regression")
        dataset = _load(self.data, self.target, self.task, self.seed)
        net = self._network(dataset.task)

        from bayesnn.tree import prepare

        prepare(net, dataset)
        return dataset, net

    def _network(self, task):
        return _network(task, self.loss, self.hidden, self.activation, self.prior_sd, self.noise)

    def fit(self, kind: Kind, net: "MLP", dataset: "Dataset", path: Path, console: "Console") -> "xr.DataTree":
        """Fit one of the three answers, the posterior by NUTS, and write it to a file."""
        from bayesnn.fitting import fit_map, fit_mle, fit_posterior
        from bayesnn.tree import save_fit

        if kind == Kind.posterior:
            sampling = {name: getattr(self, name) for name in ("draws", "tune", "chains", "target_accept")}
            tree = fit_posterior(net, dataset, random_seed=self.seed, **sampling)
        else:
            search = {name: getattr(self, name) for name in ("restarts", "maxiter")}
            with warnings.catch_warnings():
                # The command says it, once, when all is done.
                warnings.simplefilter("ignore", ConvergenceWarning)
                fit = fit_mle if kind == Kind.mle else fit_map
                tree = fit(net, dataset, random_seed=self.seed, nonexistent="flag", **search)
        _tell_saved(save_fit(tree, path), console)
        return tree

    def temper(
        self, net: "MLP", dataset: "Dataset", path: Path, console: "Console", *, max_seconds: float | None = None
    ) -> "xr.DataTree":
        """Sample the posterior by tempering, and write it to a file."""
        from bayesnn.fitting import fit_posterior
        from bayesnn.tree import save_fit

        sampling: dict[str, Any] = {"draws": self.draws, "chains": self.chains, "max_seconds": max_seconds}
        tree = fit_posterior(net, dataset, sampler="tempering", random_seed=self.seed, **sampling)
        _tell_saved(save_fit(tree, path), console)
        return tree


def _takes_run(command):
    """Give a command the options of `Run`, which it gets as its first argument."""
    own, shared = list(signature(command).parameters.values())[1:], signature(Run).parameters

    @wraps(command)
    def wrapper(**given):
        return command(Run(**{name: given.pop(name) for name in shared}), **given)

    needed = [p for p in own if p.default is p.empty]
    wrapper.__signature__ = Signature([*needed, *shared.values(), *own[len(needed) :]])
    return wrapper


def _tell_saved(path, console):
    console.print(f"  saved {path}", markup=False, highlight=False)


def _tell_fit(fit, console, *, name=None):
    from bayesnn.tree import heading

    said = fit.attrs.get("bayesnn_brief", fit.attrs["bayesnn_message"])
    console.print(f"{name or heading(fit)}: {said}", markup=False, highlight=False)


@app.command()
@_takes_run
def compare(
    run: Run,
    sampler: Annotated[
        Sampler | None,
        typer.Option(help="How the posterior is sampled; left out, by both where tempering is expected to be quick."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for fits, table, verdict and pictures.")] = Path("bayesnn-compare"),
) -> None:
    """Fit MLE, MAP and posterior to the same data, and compare them in a table, in words and in pictures."""
    console = _console()
    paths = {kind: out / f"{kind}.nc" for kind in Kind}
    tempered_path, table_path, verdict_path = out / "tempered.nc", out / "comparison.csv", out / "diagnosis.txt"
    files = [*paths.values(), tempered_path, table_path, verdict_path, *(out / name for name in _PICTURES)]
    dataset, net = run.load(out, files)
    console.print(repr(dataset), markup=False, highlight=False)
    console.print(repr(net), markup=False, highlight=False)

    from bayesnn.diagnostics import compare as table_of
    from bayesnn.fitting.progress import compiling
    from bayesnn.tree import heading

    points: list[xr.DataTree] = []
    posteriors: dict[str, xr.DataTree] = {}
    with compiling():
        for kind in (Kind.mle, Kind.map):
            points.append(run.fit(kind, net, dataset, paths[kind], console))
        if sampler != Sampler.tempering:
            posteriors["posterior"] = run.fit(Kind.posterior, net, dataset, paths[Kind.posterior], console)
        if sampler in (Sampler.tempering, Sampler.both) or (sampler is None and _is_quick(run, net, dataset, console)):
            seconds = _WAIT if sampler is None else None
            posteriors["tempered"] = run.temper(net, dataset, tempered_path, console, max_seconds=seconds)
    answer, verdict = _judged(posteriors)
    named = {heading(fit): fit for fit in points} | posteriors
    table = table_of(named, data=dataset if dataset.X_test is not None else None)
    _print_frame(table, console, f"{dataset.name}: three answers")
    for fit in points:
        _tell_fit(fit, console)
    head, *rest = verdict.brief
    console.print(f"posterior: {head}", style="green" if verdict.trustworthy else "red", markup=False, highlight=False)
    console.print("\n".join(rest), markup=False, highlight=False)
    missed, error = verdict.missed
    if missed == missed:
        found = f"{missed:.1%} ± {error:.1%} of the posterior" if missed else "no mode of the function"
        console.print(f"By the tempered fit the chains missed {found}.", highlight=False)
    if "tempered" in posteriors:
        _tell_fit(posteriors["tempered"], console, name="tempered")
    if len(posteriors) > 1:
        console.print(f"Predictions and pictures are those of the fit in {answer}.nc.", highlight=False)
    table.to_csv(table_path)
    _tell_saved(table_path, console)
    words = [fill(f"{name}: {fit.attrs['bayesnn_message']}", 100) for name, fit in named.items()]
    verdict_path.write_text("\n\n".join([*words, repr(verdict)]) + "\n", encoding="utf-8")
    _tell_saved(verdict_path, console)

    from bayesnn.plots import plot_fits, plot_optima, plot_traces

    axes = {
        "fits.png": plot_fits(*points, posteriors[answer], data=dataset),
        "traces.png": plot_traces(posteriors),
        "optima-mle.png": plot_optima(points[0]),
        "optima-map.png": plot_optima(points[1]),
    }
    for name, drawn in axes.items():
        _draw(drawn, _PICTURES[name], path=out / name, console=console)


def _is_quick(run, net, dataset, console):
    """Whether tempering is expected to end in time; otherwise say how to ask for it."""
    from bayesnn.fitting.tempered import expected_seconds
    from bayesnn.tree import prepare

    seconds = expected_seconds(prepare(net, dataset), draws=run.draws, chains=run.chains)
    if seconds > _WAIT:
        console.print(
            f"Tempering, which weighs modes that the chains don't cross, would take about {seconds:.0f} s or more: ask "
            "for it with --sampler both.",
            highlight=False,
        )
    return seconds <= _WAIT


def _judged(posteriors):
    """Which of the posteriors is the answer, and what is to be said of it: the tempered one where chains fail it."""
    from bayesnn.diagnostics import diagnose as diagnosis_of

    if len(posteriors) == 1:
        return next((name, diagnosis_of(fit)) for name, fit in posteriors.items())
    try:
        verdict = diagnosis_of(posteriors["posterior"], reference=posteriors["tempered"])
    except FitError:
        # The tempered fit is not to be trusted itself.
        return "posterior", diagnosis_of(posteriors["posterior"])
    return "posterior" if verdict.trustworthy else "tempered", verdict


@app.command()
@_takes_run
def fit(
    run: Run,
    kind: Annotated[Kind, typer.Argument(help="Which of the three answers.")],
    sampler: Annotated[Sampler, typer.Option(help="How a posterior is sampled: nuts or tempering.")] = Sampler.nuts,
    out: Annotated[Path | None, typer.Option(help="File for the fit; KIND.nc if left out.")] = None,
) -> None:
    """Fit one of the three answers and write it to a netCDF file."""
    console = _console()
    path = out or Path(f"{kind}.nc")
    if sampler == Sampler.both or (sampler == Sampler.tempering and kind != Kind.posterior):
        raise SpecError(
            f"Got --sampler {sampler} for {kind}; one fit is by one sampler, and only a posterior is sampled. Write "
            "bayesnn fit posterior --sampler tempering, or take bayesnn compare."
        )
    dataset, net = run.load(path, [path])

    from bayesnn.prediction import score

    if sampler == Sampler.tempering:
        tree = run.temper(net, dataset, path, console)
    else:
        tree = run.fit(kind, net, dataset, path, console)
    _tell_fit(tree, console)
    for where, rows in (("in-sample", ()), ("held-out", (dataset.X_test, dataset.y_test))):
        if where == "in-sample" or dataset.X_test is not None:
            figures = ", ".join(f"{k} {v:.4g}" for k, v in score(tree, *rows).items())
            console.print(f"{where}: {figures}", highlight=False)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="A fit written by `bayesnn fit` or `bayesnn compare`.")],
    data: Annotated[Path, typer.Option(help="CSV file with the fit's feature columns.")],
    out: Annotated[Path, typer.Option(help="CSV file for the predictions.")] = Path("predictions.csv"),
    prob: Annotated[float, typer.Option(help="Probability of the intervals.")] = 0.9,
) -> None:
    """Predict the rows of a CSV file with a fit."""
    _check_writable(out, out)

    import pandas as pd

    from bayesnn.data import read_csv
    from bayesnn.prediction import predict as predictions_of
    from bayesnn.tree import load_fit, problem_of

    tree = load_fit(run)
    problem = problem_of(tree)
    frame = read_csv(data)
    missing = [c for c in problem.feature_names if c not in frame.columns]
    if missing:
        raise DataError(
            f"Got columns {list(frame.columns)} in {data}; the fit needs {missing} as well. Name the columns as in the "
            "data that were fitted."
        )
    found = predictions_of(tree, frame, prob=prob)
    wide: dict[Any, Any] = {}
    for name, var in found.data_vars.items():
        if name == "label":
            wide[name] = [problem.class_names[k] for k in var.to_numpy()]
        elif var.ndim == 1:
            wide[name] = var.to_numpy()
        else:
            many = var.shape[1] > 1
            wide |= {
                f"{name}_{c}" if many else name: var.to_numpy()[:, k] for k, c in enumerate(var[var.dims[1]].values)
            }
    out.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(wide).to_csv(out, index=False)
    _console().print(f"wrote {len(frame)} predictions to {out}")


@app.command()
def diagnose(
    run: Annotated[Path, typer.Argument(help="A posterior written by `bayesnn fit` or `bayesnn compare`.")],
) -> None:
    """Say in words what the chains of a posterior agree and disagree about."""
    from bayesnn.diagnostics import diagnose as diagnosis_of
    from bayesnn.tree import load_fit

    _console().print(diagnosis_of(load_fit(run)))


@app.command()
def symmetry(
    run: Annotated[Path | None, typer.Argument(help="A saved fit, in place of the options.")] = None,
    hidden: Hidden = "3",
    activation: Activation = "tanh",
    inputs: Annotated[int, typer.Option(help="Number of inputs.")] = 1,
    outputs: Annotated[int, typer.Option(help="Number of outputs.")] = 1,
    draw: Annotated[
        Path | None, typer.Option(help="Picture to write: all copies of the fit, or of weights drawn at random.")
    ] = None,
) -> None:
    """Show which rearrangements of a network leave its likelihood and its prior unchanged."""
    from bayesnn.arguments import check_arguments

    check_arguments(_option, inputs=inputs, outputs=outputs)
    if draw is not None:
        _check_writable(draw, draw, option="--draw")

    from bayesnn.network import MLP
    from bayesnn.symmetry import symmetry_group
    from bayesnn.tree import load_fit, problem_of

    fit = None
    if run is not None:
        fit = load_fit(run)
        problem = problem_of(fit)
        net, inputs, outputs = problem.net, len(problem.feature_names), len(problem.output_names)
    else:
        net = MLP(hidden=_widths(hidden), activation=activation, noise=1.0)
    group = symmetry_group(net, inputs, outputs)
    console = _console()
    console.print(repr(group), markup=False, highlight=False)
    _print_frame(group.table, console, "what keeps the likelihood, and what the prior too")
    if draw is not None:
        _draw(*_copies(fit, net, inputs, outputs), path=draw, console=console)


def _copies(fit, net, inputs, outputs):
    """Draw the mirror images of a posterior, or the copies of a point, and say what is drawn."""
    import random
    from dataclasses import replace

    import numpy as np

    from bayesnn.plots import plot_mirrors, plot_orbit
    from bayesnn.symmetry import orbit
    from bayesnn.symmetry.orbit import LARGEST
    from bayesnn.tree import kind_of

    if fit is not None and kind_of(fit) == "posterior":
        return plot_mirrors(fit), "the draws of two units' weights, as sampled and aligned"
    if fit is not None:
        members, of = orbit(fit), "the optimum"
    else:
        rng = np.random.default_rng(1)
        params = {name: rng.normal(size=shape) for name, shape in net.shapes(inputs, outputs).items()}
        # Units that stand apart in the picture.
        params["W1"][:1] = np.linspace(0.5, 2.0, params["W1"].shape[1])
        X = np.linspace(-3, 3, 101)[:, None] if inputs == 1 else rng.normal(size=(50, inputs))
        members, of = orbit(params, net, X), "weights drawn at random"
    if members.order <= LARGEST:
        return plot_orbit(members if fit is None else fit), f"all {members.n_distinct} copies of {of}"
    pick = random.Random(1)
    some = replace(members, indices=(0, *sorted({pick.randrange(1, members.order) for _ in range(_SOME_COPIES - 1)})))
    return plot_orbit(some), f"{len(some)} of {members.order} copies of {of}"


@app.command()
def occam(
    data: Data = "sine_gap",
    target: Target = None,
    task: Task = None,
    loss: Loss = None,
    hidden: Annotated[str, typer.Option(help="Widths to try, one hidden layer each; 0 for none.")] = "0,1,2,3,4,6",
    activation: Activation = "tanh",
    prior_sd: Annotated[str, typer.Option(help="Standard deviations of the normal prior to try.")] = "0.3,1,3",
    noise: Noise = None,
    mle: Annotated[bool, typer.Option("--mle", help="Maximise the likelihood too; slow for wide networks.")] = False,
    restarts: Restarts = 20,
    draws: Draws = 1000,
    chains: Chains = 4,
    max_seconds: Annotated[float | None, typer.Option(help="Sampling time of each network, at most.")] = None,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="Folder for table and picture.")] = Path("bayesnn-occam"),
) -> None:
    """Compare networks of several widths and priors by their evidence, beside their likelihood: Occam's razor."""
    from bayesnn.arguments import check_arguments

    options = {"restarts": restarts, "draws": draws, "chains": chains, "max_seconds": max_seconds}
    check_arguments(_option, **options, noise=noise, seed=seed)
    widths, sds = _grid(hidden, prior_sd)
    table_path, picture_path = out / "evidence.csv", out / "evidence.png"
    for path in (table_path, picture_path):
        _check_writable(path, out)
    grid = [(str(h), sd) for sd in sds for h in widths]
    # Data take seconds to load, and a network whose loss is not known yet can break the same rules.
    _network("regression", loss, hidden, activation, sds[0], noise)
    dataset = _load(data, target, task, seed)
    nets = [_network(dataset.task, loss, h, activation, sd, noise) for h, sd in grid]
    console = _console()
    console.print(repr(dataset), markup=False, highlight=False)

    from bayesnn.diagnostics import compare_networks
    from bayesnn.fitting.progress import compiling

    with compiling():
        table = compare_networks(nets, dataset, mle=mle, random_seed=seed, **options)  # type: ignore[arg-type]
    _print_frame(table.shown(), console, f"{dataset.name}: {len(table)} networks")
    console.print(table.message, markup=False, highlight=False)
    out.mkdir(parents=True, exist_ok=True)
    table.to_csv(table_path)
    _tell_saved(table_path, console)

    from bayesnn.plots import plot_evidence

    _draw(plot_evidence(table), "what the evidence prefers, and the likelihood", path=picture_path, console=console)


@app.command()
def penalties(
    data: Annotated[str | None, typer.Option(help="Bundled name or CSV file, for the number of rows and the loss.")] = (
        None
    ),
    target: Target = None,
    task: Task = None,
    n: Annotated[int | None, typer.Option("--n", help="Number of training rows, where no data are given.")] = None,
    outputs: Annotated[int, typer.Option(help="Number of target columns, where no data are given.")] = 1,
    loss: Loss = None,
    hidden: Hidden = "3",
    activation: Activation = "tanh",
    prior_sd: PriorSd = 1.0,
    noise: Noise = None,
    seed: Seed = 0,
) -> None:
    """Show which penalties of other libraries have the MAP of a network as their minimum."""
    from bayesnn.arguments import check_arguments

    check_arguments(_option, outputs=outputs, prior_sd=prior_sd, noise=noise, seed=seed)
    if (data is None) == (n is None):
        raise SpecError(
            f"Got {'no data and no n' if n is None else 'data and n'}; penalties depend on the number of training "
            "rows. Write --n 100, or --data with a bundled name or CSV file."
        )

    from bayesnn.priors import penalty_table

    console = _console()
    dataset = None if data is None else _load(data, target, task, seed)
    if dataset is not None:
        n, outputs = len(dataset.X), 1 if dataset.y.ndim == 1 else dataset.y.shape[1]
    net = _network("regression" if dataset is None else dataset.task, loss, hidden, activation, prior_sd, noise)
    console.print(f"{net!r}, {n} training rows", markup=False, highlight=False)
    console.print(penalty_table(net, n=n, n_outputs=outputs), highlight=False)  # type: ignore[arg-type]
    if dataset is not None and dataset.scaling is not None:
        console.print("For data standardised by their training rows, as the fits standardise them.")


@app.command(name="data")
def data_command(
    name: Annotated[str | None, typer.Argument(help="A bundled data set; all are listed if left out.")] = None,
) -> None:
    """List the bundled data sets, or describe one."""
    from bayesnn.data import NAMES, load_data

    console = _console()
    for known in [name] if name else NAMES:
        dataset = load_data(known)
        console.print(repr(dataset), markup=False, highlight=False)
        console.print(f"  {dataset.description}", style="dim", markup=False, highlight=False)


@app.command()
def losses(
    verify: Annotated[bool, typer.Option("--verify", help="Check every row numerically.")] = False,
) -> None:
    """Show the table of losses and the likelihoods that they are."""
    from bayesnn.losses import LOSSES, loss_table, verify_loss

    console = _console()
    console.print(loss_table())
    if verify:
        for loss in LOSSES.values():
            console.print(repr(verify_loss(loss)), highlight=False, markup=False)


if __name__ == "__main__":
    main()
