"""Commands that show what is known without a posterior: symmetries, penalties, data, losses; and Occam's razor."""

from pathlib import Path
from typing import Annotated

import typer

from bayesnn.cli.app import app
from bayesnn.cli.console import console_of, print_frame, save_picture, tell_saved
from bayesnn.cli.options import (
    Activation,
    Chains,
    Draws,
    Hidden,
    Loss,
    Noise,
    PriorSd,
    Reading,
    Restarts,
    Seed,
    Store,
    as_option,
    check_writable,
    grid_of,
    network_of,
    takes,
    widths_of,
    workers,
)
from bayesnn.errors import SpecError
from bayesnn.files import written_whole

_SOME_COPIES = 100
"""Copies to draw where there are too many to draw them all."""


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

    check_arguments(as_option, inputs=inputs, outputs=outputs)
    if draw is not None:
        check_writable(draw, draw, option="--draw")

    from bayesnn.network import MLP
    from bayesnn.symmetry import symmetry_group
    from bayesnn.tree import load_fit, problem_of

    fit = None
    if run is not None:
        fit = load_fit(run)
        problem = problem_of(fit)
        net, inputs, outputs = problem.net, len(problem.feature_names), len(problem.output_names)
    else:
        net = MLP(hidden=widths_of(hidden), activation=activation, noise=1.0)
    group = symmetry_group(net, inputs, outputs)
    console = console_of()
    console.print(repr(group), markup=False, highlight=False)
    print_frame(group.table, console, "what keeps the likelihood, and what the prior too")
    if draw is not None:
        save_picture(*_copies(fit, net, inputs, outputs), path=draw, console=console)


def _copies(fit, net, inputs, outputs):
    """Draw the mirror images of a posterior, or the copies of a point, and say what is drawn."""
    import random
    from dataclasses import replace

    import numpy as np

    from bayesnn.plots import plot_mirrors, plot_orbit
    from bayesnn.symmetry import orbit
    from bayesnn.symmetry.group import written_order
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
    return plot_orbit(some), f"{len(some)} of {written_order(members.order)} copies of {of}"


@app.command()
@takes(Reading, data="sine_gap")
def occam(
    reading: Reading,
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
    store: Store = None,
    cluster: Annotated[
        str | None, typer.Option(help="Dask scheduler whose workers run the networks, such as tcp://host:8786.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for table and picture.")] = Path("bayesnn-occam"),
) -> None:
    """Compare networks of several widths and priors by their evidence, beside their likelihood: Occam's razor."""
    from bayesnn.arguments import check_arguments

    options = {"restarts": restarts, "draws": draws, "chains": chains, "max_seconds": max_seconds}
    check_arguments(as_option, **options, noise=noise, seed=seed)
    reading.check()
    widths, sds = grid_of(hidden, prior_sd)
    table_path, picture_path = out / "evidence.csv", out / "evidence.png"
    for path in (table_path, picture_path):
        check_writable(path, out)
    grid = [(str(h), sd) for sd in sds for h in widths]
    # Data take seconds to load, and a network whose loss is not known yet can break the same rules.
    network_of("regression", loss, hidden, activation, sds[0], noise)
    dataset = reading.read(seed)
    nets = [network_of(dataset.task, loss, h, activation, sd, noise, reading.trials) for h, sd in grid]
    console = console_of()
    console.print(repr(dataset), markup=False, highlight=False)

    from bayesnn.diagnostics import compare_networks
    from bayesnn.fitting.progress import compiling

    with workers(cluster) as executor, compiling():
        table = compare_networks(
            nets,
            dataset,
            mle=mle,
            random_seed=seed,
            store=store,
            executor=executor,
            **options,  # type: ignore[arg-type]
        )
    print_frame(table.shown(), console, f"{dataset.name}: {len(table)} networks")
    console.print(table.message, markup=False, highlight=False)
    with written_whole(table_path) as part:
        table.to_csv(part)
    tell_saved(table_path, console)

    from bayesnn.plots import plot_evidence

    save_picture(
        plot_evidence(table), "what the evidence prefers, and the likelihood", path=picture_path, console=console
    )


@app.command()
@takes(Reading, data=None)
def penalties(
    reading: Reading,
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

    check_arguments(as_option, outputs=outputs, prior_sd=prior_sd, noise=noise, seed=seed)
    data: str | None = reading.data
    if (data is None) == (n is None):
        raise SpecError(
            f"Got {'no data and no n' if n is None else 'data and n'}; penalties depend on the number of training "
            "rows. Write --n 100, or --data with a bundled name or CSV file."
        )

    from bayesnn.data.target import values_of
    from bayesnn.priors import penalty_table

    console = console_of()
    dataset = None if data is None else reading.read(seed)
    if dataset is not None:
        y = values_of(dataset.y)
        n, outputs = len(dataset.X), 1 if y.ndim == 1 else y.shape[1]
    task = "regression" if dataset is None else dataset.task
    net = network_of(task, loss, hidden, activation, prior_sd, noise, reading.trials)
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

    console = console_of()
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

    console = console_of()
    console.print(loss_table())
    if verify:
        for loss in LOSSES.values():
            console.print(repr(verify_loss(loss)), highlight=False, markup=False)
