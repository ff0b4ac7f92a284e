"""Commands that fit, and that read fits: compare, fit, predict, effects, check, diagnose."""

import shlex
import sys
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesnn.cli.app import app
from bayesnn.cli.console import console_of, print_frame, save_picture, tell_fit, tell_saved
from bayesnn.cli.options import (
    Decimal,
    Exposure,
    Kind,
    Precision,
    Run,
    Sampler,
    Sep,
    Sheet,
    Trials,
    as_option,
    check_writable,
    takes,
)
from bayesnn.errors import DataError, SpecError
from bayesnn.files import written_whole

if TYPE_CHECKING:
    import xarray as xr

_PICTURES = {
    "fits.png": "the three answers",
    "traces.png": "what the chains say",
    "optima-mle.png": "where the starts of the MLE ended",
    "optima-map.png": "where the starts of the MAP ended",
}
_WAIT = 20.0
"""Seconds that a tempered run may be expected to take, and may take, where nobody asked for one."""


@app.command()
@takes(Run)
def compare(
    run: Run,
    sampler: Annotated[
        Sampler | None,
        typer.Option(help="How the posterior is sampled; left out, by both where tempering is expected to be quick."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for fits, table, verdict, pictures and report.")] = (
        Path("bayesnn-compare")
    ),
    report: Annotated[bool, typer.Option(help="Write report.html: all of it on one page, for a browser.")] = True,
) -> None:
    """Fit MLE, MAP and posterior to the same data, and compare them in a table, in words, in pictures and a report."""
    console = console_of()
    paths = {kind: out / f"{kind}.nc" for kind in Kind}
    tempered_path, table_path, verdict_path = out / "tempered.nc", out / "comparison.csv", out / "diagnosis.txt"
    report_path = out / "report.html"
    files = [*paths.values(), tempered_path, table_path, verdict_path, *(out / name for name in _PICTURES)]
    files += [report_path] * report
    dataset, net = run.load(out, files)
    console.print(repr(dataset), markup=False, highlight=False)
    console.print(repr(net), markup=False, highlight=False)

    from bayesnn.diagnostics import compare as table_of
    from bayesnn.diagnostics.answer import answer_of
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
    answer, verdict = answer_of(posteriors)
    named = {heading(fit): fit for fit in points} | posteriors
    table = table_of(named, data=dataset if dataset.X_test is not None else None)
    print_frame(table, console, f"{dataset.name}: three answers")
    for fit in points:
        tell_fit(fit, console)
    head, *rest = verdict.brief
    console.print(f"posterior: {head}", style="green" if verdict.trustworthy else "red", markup=False, highlight=False)
    console.print("\n".join(rest), markup=False, highlight=False)
    missed, error = verdict.missed
    if missed == missed:
        found = f"{missed:.1%} ± {error:.1%} of the posterior" if missed else "no mode of the function"
        console.print(f"By the tempered fit the chains missed {found}.", highlight=False)
    if "tempered" in posteriors:
        tell_fit(posteriors["tempered"], console, name="tempered")
    if len(posteriors) > 1:
        console.print(f"Predictions and pictures are those of the fit in {answer}.nc.", highlight=False)
    with written_whole(table_path) as part:
        table.to_csv(part)
    tell_saved(table_path, console)
    words = [fill(f"{name}: {fit.attrs['bayesnn_message']}", 100) for name, fit in named.items()]
    with written_whole(verdict_path) as part:
        part.write_text("\n\n".join([*words, repr(verdict)]) + "\n", encoding="utf-8")
    tell_saved(verdict_path, console)

    from bayesnn.plots import plot_fits, plot_optima, plot_traces

    axes = {
        "fits.png": plot_fits(*points, posteriors[answer], data=dataset),
        "traces.png": plot_traces(posteriors),
        "optima-mle.png": plot_optima(points[0]),
        "optima-map.png": plot_optima(points[1]),
    }
    for name, drawn in axes.items():
        save_picture(drawn, _PICTURES[name], path=out / name, console=console)
    if report:
        from bayesnn.reporting import report as report_of

        page = report_of(named, data=dataset, verdict=verdict, command=shlex.join(["bayesnn", *sys.argv[1:]]))
        page.save(report_path)
        console.print(f"  wrote {report_path}: all of this on one page, for a browser", highlight=False)


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


@app.command()
@takes(Run)
def fit(
    run: Run,
    kind: Annotated[Kind, typer.Argument(help="Which of the three answers.")],
    sampler: Annotated[Sampler, typer.Option(help="How a posterior is sampled: nuts or tempering.")] = Sampler.nuts,
    out: Annotated[Path | None, typer.Option(help="File for the fit; KIND.nc if left out.")] = None,
) -> None:
    """Fit one of the three answers and write it to a netCDF file."""
    console = console_of()
    path = out or Path(f"{kind}.nc")
    if sampler == Sampler.both or (sampler == Sampler.tempering and kind != Kind.posterior):
        raise SpecError(
            f"Got --sampler {sampler} for {kind}; one fit is by one sampler, and only a posterior is sampled. Write "
            "bayesnn fit posterior --sampler tempering, or take bayesnn compare."
        )
    dataset, net = run.load(path, [path])
    if dataset.coding is not None:
        console.print(repr(dataset), markup=False, highlight=False)

    from bayesnn.prediction import score

    if sampler == Sampler.tempering:
        tree = run.temper(net, dataset, path, console)
    else:
        tree = run.fit(kind, net, dataset, path, console)
    tell_fit(tree, console)
    for where, rows in (("in-sample", ()), ("held-out", (dataset.X_test, dataset.y_test))):
        if where == "in-sample" or dataset.X_test is not None:
            figures = ", ".join(f"{k} {v:.4g}" for k, v in score(tree, *rows).items())
            console.print(f"{where}: {figures}", highlight=False)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="A fit written by `bayesnn fit` or `bayesnn compare`.")],
    data: Annotated[Path, typer.Option(help="CSV, Parquet or Excel file with the fit's feature columns.")],
    out: Annotated[Path, typer.Option(help="CSV file for the predictions.")] = Path("predictions.csv"),
    prob: Annotated[float, typer.Option(help="Probability of the intervals.")] = 0.9,
    sep: Sep = None,
    decimal: Decimal = None,
    sheet: Sheet = None,
    exposure: Exposure = None,
    trials: Trials = None,
    precision: Precision = None,
) -> None:
    """Predict the rows of a file with a fit; counts for an exposure of 1, or one trial, unless a column says else."""
    from bayesnn.arguments import check_arguments

    check_arguments(as_option, prob=prob, sep=sep, decimal=decimal)
    check_writable(out, out)

    import pandas as pd

    from bayesnn.prediction import predict as predictions_of
    from bayesnn.tree import load_fit, problem_of

    tree = load_fit(run)
    problem = problem_of(tree)
    columns = {"exposure": exposure, "trials": trials, "precision": precision}
    columns = {name: column for name, column in columns.items() if column is not None}
    frame, said = _rows_of(problem, data, sep, decimal, sheet, tuple(columns.values()))
    found = predictions_of(tree, frame, prob=prob, **{name: frame[column] for name, column in columns.items()})
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
    with written_whole(out) as part:
        pd.DataFrame(wide).to_csv(part, index=False)
    if said != data.name:
        console_of().print(f"Read from {said}.", markup=False, highlight=False)
    console_of().print(f"wrote {len(frame)} predictions to {out}")


def _rows_of(problem, data, sep, decimal, sheet, beside=()):
    """Read the inputs of a fit from a file, and columns beside them, and say how it was read."""
    from bayesnn.data import read_table

    coding = problem.coding
    text = coding.text_columns if coding is not None else ()
    frame, said = read_table(data, sep=sep, decimal=decimal, sheet=sheet, text_columns=text)
    needed = coding.names if coding is not None else problem.feature_names
    missing = [c for c in (*needed, *beside) if c not in frame.columns]
    if missing:
        raise DataError(
            f"Got columns {list(frame.columns)} in {data}; the fit needs {missing} as well. Name the columns as in the "
            "data that were fitted."
        )
    return frame, said


@app.command()
def effects(
    run: Annotated[Path, typer.Argument(help="A fit written by `bayesnn fit` or `bayesnn compare`.")],
    data: Annotated[
        Path | None,
        typer.Option(help="CSV, Parquet or Excel file with rows to average over; those of the fit if left out."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="CSV file for the table.")] = None,
    draw: Annotated[Path | None, typer.Option(help="Picture to write: the mean along each input.")] = None,
    prob: Annotated[float, typer.Option(help="Probability of the intervals.")] = 0.9,
    sep: Sep = None,
    decimal: Decimal = None,
    sheet: Sheet = None,
) -> None:
    """Tabulate what each input does to the mean, on average: slopes, and changes by a standard deviation."""
    from bayesnn.arguments import check_arguments

    check_arguments(as_option, prob=prob, sep=sep, decimal=decimal)
    for path, option in ((out, "--out"), (draw, "--draw")):
        if path is not None:
            check_writable(path, path, option=option)

    from bayesnn.inspection import marginal_effects
    from bayesnn.tree import load_fit, problem_of

    tree, console = load_fit(run), console_of()
    frame, said = (None, "") if data is None else _rows_of(problem_of(tree), data, sep, decimal, sheet)
    found = marginal_effects(tree, data=frame, prob=prob)
    if data is not None and said != data.name:
        console.print(f"Read from {said}.", markup=False, highlight=False)
    print_frame(_flat(found.shown), console, run.name)
    console.print(found.message, markup=False, highlight=False)
    if out is not None:
        with written_whole(out) as part:
            found.table.to_csv(part)
        tell_saved(out, console)
    if draw is not None:
        from bayesnn.plots import plot_partial_dependence

        save_picture(
            plot_partial_dependence(tree, data=frame, prob=prob),
            "the mean along each input, the others as they were seen",
            path=draw,
            console=console,
        )


def _flat(table):
    """Give the rows of a table of effects one name each, with what is the same in all of them left out."""
    shown = [name for name in ("output", "input", "contrast") if name == "input" or table.index.unique(name).size > 1]
    names = table.index.to_frame()[shown].astype(str).agg(", ".join, axis=1)
    return table.set_axis(list(names))


@app.command()
def check(
    run: Annotated[Path, typer.Argument(help="A fit written by `bayesnn fit` or `bayesnn compare`.")],
    draw: Annotated[Path | None, typer.Option(help="Picture to write: bars of counts and labels, PIT of numbers.")] = (
        None
    ),
    draws: Annotated[int, typer.Option(help="Data sets from the fit.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of these data sets.")] = 0,
) -> None:
    """Say whether the data that were fitted could have come from a fit: test statistics with predictive p-values."""
    from bayesnn.arguments import check_arguments

    check_arguments(as_option, draws=draws, seed=seed)
    if draw is not None:
        check_writable(draw, draw, option="--draw")

    from bayesnn.inspection import posterior_predictive_check
    from bayesnn.tree import load_fit

    tree, console = load_fit(run), console_of()
    found = posterior_predictive_check(tree, draws=draws, random_seed=seed)
    table = found.table.assign(flagged=["*" if one else "" for one in found.table["flagged"]])
    print_frame(table, console, run.name)
    console.print(found.message, style="green" if found.passed else "red", markup=False, highlight=False)
    if draw is not None:
        from bayesnn.plots import plot_ppc

        picture = plot_ppc(tree, draws=draws, random_seed=seed)
        save_picture(picture, "what was observed beside what the fit expects", path=draw, console=console)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A fit written by `bayesnn fit` or `bayesnn compare`.")],
    out: Annotated[Path, typer.Option(help="Python file to write.")] = Path("my_network.py"),
    draws: Annotated[int | None, typer.Option(help="Most draws of a posterior that are written; all if left out.")] = (
        None
    ),
) -> None:
    """Write the predictions of a fit as a module of plain NumPy that anybody can read and run."""
    from bayesnn.arguments import check_arguments

    if draws is not None:
        check_arguments(as_option, draws=draws)
    check_writable(out, out)

    from bayesnn.exchange import export_module
    from bayesnn.tree import load_fit

    path = export_module(load_fit(run), out, draws=draws)
    beside = path.with_suffix(".npz")
    weights = f", weights in {beside}" if "np.load(" in path.read_text(encoding="utf-8") else ""
    console_of().print(f"wrote {path}{weights}", markup=False, highlight=False)


@app.command()
def diagnose(
    run: Annotated[Path, typer.Argument(help="A posterior written by `bayesnn fit` or `bayesnn compare`.")],
) -> None:
    """Say in words what the chains of a posterior agree and disagree about."""
    from bayesnn.diagnostics import diagnose as diagnosis_of
    from bayesnn.tree import load_fit

    console_of().print(diagnosis_of(load_fit(run)))
