"""The command line: fit, compare, predict, and look at the tables."""

import os
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bayesnn.errors import BayesnnError, DataError, SpecError

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
_SOME_COPIES = 100
"""Copies to draw where there are too many to draw them all."""


class Kind(StrEnum):
    """The three answers."""

    mle = "mle"
    map = "map"
    posterior = "posterior"


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
Tune = Annotated[int, typer.Option(help="Warm-up draws of each chain.")]
Chains = Annotated[int, typer.Option(help="Number of chains.")]
MaxIter = Annotated[int, typer.Option("--maxiter", min=1, help="Iterations of each start of MLE and MAP.")]
TargetAccept = Annotated[
    float | None,
    typer.Option(
        callback=lambda value: _target(value),
        help="Acceptance of the sampler; left out, a run that diverges is repeated at higher ones.",
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of the split, the starts and the draws.")]


def main():
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


def _target(value):
    """Refuse a target before anything is fitted."""
    if value is not None:
        from bayesnn.fitting.posterior import check_target

        check_target(value)
    return value


def _widths(hidden):
    try:
        return tuple(int(h) for h in hidden.split(",") if h.strip() and int(h) != 0)
    except ValueError:
        raise SpecError(
            f"Got --hidden {hidden!r}; it must be whole numbers separated by commas. Write --hidden 16,16, or 0 for "
            "none."
        ) from None


def _network(task, loss, hidden, activation, prior_sd, noise):
    from bayesnn.losses.table import LOSS_OF_TASK
    from bayesnn.network import MLP
    from bayesnn.priors import Normal

    name = loss or LOSS_OF_TASK[task]
    return MLP(hidden=_widths(hidden), activation=activation, loss=name, noise=noise, prior=Normal(prior_sd))


def _save(tree, path, console):
    from bayesnn.tree import save_fit

    console.print(f"  saved {save_fit(tree, path)}")


def _draw(axes, what, *, path, console):
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        axes.flat[0].figure.savefig(path, dpi=150)
    except (ValueError, OSError) as error:
        raise SpecError(f"Got {path}, which can't be drawn ({error}). Write a file such as orbit.png.") from error
    console.print(f"  drew {path}: {what}", highlight=False)


def _fit(kind, net, data, *, seed, restarts, maxiter, **sampling):
    from bayesnn.fitting import fit_map, fit_mle, fit_posterior

    if kind == Kind.posterior:
        return fit_posterior(net, data, random_seed=seed, **sampling)
    fit = fit_mle if kind == Kind.mle else fit_map
    return fit(net, data, restarts=restarts, maxiter=maxiter, random_seed=seed, nonexistent="flag")


def _print_frame(frame, console, title):
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in frame.columns:
        table.add_column(str(name), justify="right")
    for label, row in frame.iterrows():
        table.add_row(str(label), *("" if v != v else f"{v:.4g}" if isinstance(v, float) else str(v) for v in row))
    console.print(table)


@app.command()
def compare(
    data: Data = "diabetes",
    target: Target = None,
    task: Task = None,
    loss: Loss = None,
    hidden: Hidden = "3",
    activation: Activation = "tanh",
    prior_sd: PriorSd = 1.0,
    noise: Noise = None,
    restarts: Restarts = 20,
    maxiter: MaxIter = 2000,
    draws: Draws = 1000,
    tune: Tune = 1000,
    chains: Chains = 4,
    target_accept: TargetAccept = None,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="Folder for fits, table and pictures.")] = Path("bayesnn-compare"),
):
    """Fit MLE, MAP and posterior to the same data, and compare them in a table and in pictures."""
    console = _console()
    dataset = _load(data, target, task, seed)
    net = _network(dataset.task, loss, hidden, activation, prior_sd, noise)
    console.print(repr(dataset), markup=False, highlight=False)
    console.print(repr(net), markup=False, highlight=False)
    console.print("The first run on a machine compiles for up to a minute before anything moves.", style="dim")
    settings = {"restarts": restarts, "maxiter": maxiter, "draws": draws, "tune": tune, "chains": chains}
    fits = []
    for kind in Kind:
        fits.append(_fit(kind, net, dataset, seed=seed, target_accept=target_accept, **settings))
        _save(fits[-1], out / f"{kind}.nc", console)

    from bayesnn.diagnostics import compare as table_of
    from bayesnn.tree import heading

    table = table_of(*fits, data=dataset if dataset.X_test is not None else None)
    table.to_csv(out / "comparison.csv")
    _print_frame(table, console, f"{dataset.name}: three answers")
    for fit in fits:
        console.print(f"{heading(fit)}: {fit.attrs['bayesnn_message']}", markup=False, highlight=False)

    from bayesnn.plots import plot_fits, plot_optima, plot_traces

    axes = {
        "fits.png": plot_fits(*fits, data=dataset),
        "traces.png": plot_traces(fits[2]),
        "optima-mle.png": plot_optima(fits[0]),
        "optima-map.png": plot_optima(fits[1]),
    }
    for name, drawn in axes.items():
        _draw(drawn, _PICTURES[name], path=out / name, console=console)


@app.command()
def fit(
    kind: Annotated[Kind, typer.Argument(help="Which of the three answers.")],
    data: Data = "diabetes",
    target: Target = None,
    task: Task = None,
    loss: Loss = None,
    hidden: Hidden = "3",
    activation: Activation = "tanh",
    prior_sd: PriorSd = 1.0,
    noise: Noise = None,
    restarts: Restarts = 20,
    maxiter: MaxIter = 2000,
    draws: Draws = 1000,
    tune: Tune = 1000,
    chains: Chains = 4,
    target_accept: TargetAccept = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="File for the fit; KIND.nc if left out.")] = None,
):
    """Fit one of the three answers and write it to a netCDF file."""
    from bayesnn.prediction import score
    from bayesnn.tree import heading

    console = _console()
    dataset = _load(data, target, task, seed)
    net = _network(dataset.task, loss, hidden, activation, prior_sd, noise)
    settings = {"restarts": restarts, "maxiter": maxiter, "draws": draws, "tune": tune, "chains": chains}
    tree = _fit(kind, net, dataset, seed=seed, target_accept=target_accept, **settings)
    _save(tree, out or Path(f"{kind}.nc"), console)
    console.print(f"{heading(tree)}: {tree.attrs['bayesnn_message']}", markup=False, highlight=False)
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
):
    """Predict the rows of a CSV file with a fit."""
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
    wide = {}
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
def diagnose(run: Annotated[Path, typer.Argument(help="A posterior written by `bayesnn fit` or `bayesnn compare`.")]):
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
):
    """Show which rearrangements of a network leave its likelihood and its prior unchanged."""
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
):
    """Show which penalties of other libraries have the MAP of a network as their minimum."""
    from bayesnn.priors import penalty_table

    if (data is None) == (n is None):
        raise SpecError(
            f"Got {'no data and no n' if n is None else 'data and n'}; penalties depend on the number of training "
            "rows. Write --n 100, or --data with a bundled name or CSV file."
        )
    console = _console()
    dataset = None if data is None else _load(data, target, task, seed)
    if dataset is not None:
        n, outputs = len(dataset.X), 1 if dataset.y.ndim == 1 else dataset.y.shape[1]
    net = _network("regression" if dataset is None else dataset.task, loss, hidden, activation, prior_sd, noise)
    console.print(f"{net!r}, {n} training rows", markup=False, highlight=False)
    console.print(penalty_table(net, n=n, n_outputs=outputs), highlight=False)
    if dataset is not None and dataset.scaling is not None:
        console.print("For data standardised by their training rows, as the fits standardise them.")


@app.command(name="data")
def data_command(
    name: Annotated[str | None, typer.Argument(help="A bundled data set; all are listed if left out.")] = None,
):
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
):
    """Show the table of losses and the likelihoods that they are."""
    from bayesnn.losses import LOSSES, loss_table, verify_loss

    console = _console()
    console.print(loss_table())
    if verify:
        for loss in LOSSES.values():
            console.print(repr(verify_loss(loss)), highlight=False, markup=False)


if __name__ == "__main__":
    main()
