"""The options that commands share, and what is refused before anything is loaded or computed."""

import errno
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from inspect import Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayesnn.cli.console import console_of, tell_saved
from bayesnn.errors import ConvergenceWarning, SpecError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    import xarray as xr
    from rich.console import Console

    from bayesnn.data import Dataset
    from bayesnn.network import MLP


PATIENCE = 5
"""Seconds in which a scheduler has to answer."""


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


def _spelled(sep: str | None) -> str | None:
    """Read the words for separators that are hard to type."""
    return {"tab": "\t", "\\t": "\t", "space": " "}.get(sep, sep) if sep is not None else None


Data = Annotated[str, typer.Option(help="Bundled name (see `bayesnn data`), a CSV, Parquet or Excel file.")]
Target = Annotated[str | None, typer.Option(help="Column of the file to predict.")]
Sep = Annotated[
    str | None,
    typer.Option(
        callback=_spelled, help="What separates the values of a CSV file: , ; | tab or space; inferred if left out."
    ),
]
Decimal = Annotated[
    str | None, typer.Option(help="What stands before the decimals in a CSV file: . or , (inferred if left out).")
]
Sheet = Annotated[str | None, typer.Option(help="Sheet of an Excel workbook; the first if left out.")]
Categorical = Annotated[
    list[str], typer.Option(help="Column that is a category although it looks like numbers; again for each.")
]
Ordinal = Annotated[
    list[str], typer.Option(help="Column that counts its levels in this order, as in size=S,M,L; again for each.")
]
Reference = Annotated[
    list[str], typer.Option(help="Level that others are compared to, as in species=Gentoo; again for each.")
]
Missing = Annotated[
    str, typer.Option(help="Missing values: error, drop (their rows), or indicator (mean and a column).")
]
Exclude = Annotated[list[str], typer.Option(help="Column to leave out, such as an identifier; again for each.")]
Exposure = Annotated[str | None, typer.Option(help="Column with the time, area or people in which was counted.")]
Trials = Annotated[str | None, typer.Option(help="Column with the trials, of which the target counts successes.")]
Precision = Annotated[
    str | None, typer.Option(help="Column with the precision of each row: variances are noise^2 / it.")
]
Repeats = Annotated[str | None, typer.Option(help="Column with how many rows each row stands for.")]
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
Store = Annotated[
    Path | None,
    typer.Option(help="Folder that keeps what is finished; stopped and called again, the command goes on from there."),
]
Seed = Annotated[int, typer.Option(help="Seed of the split, the starts and the draws.")]


def as_option(name: str, value: object) -> str:
    """Write an argument as the command line has it."""
    return f"--{name.replace('_', '-')} {value}"


def check_writable(path: Path, given: Path, *, option: str = "--out") -> None:
    """Refuse a file that can't be written, before anything is computed; what trying leaves behind is removed."""
    made: list[Path] = []
    try:
        new = not path.exists()
        if not new and not path.is_file() and not path.is_dir():
            raise OSError(errno.EINVAL, "it is a device")
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


@contextmanager
def workers(cluster: str | None) -> "Iterator[Executor | None]":
    """Give the workers of a Dask scheduler, or none where none is named."""
    if cluster is None:
        yield None
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise SpecError(
            f"Got --cluster {cluster}, which needs Dask; it is not installed. Install the extra dask, or leave "
            "--cluster out."
        ) from error
    # What it says of a lost scheduler is a traceback; the command says it in a line.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(cluster, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise SpecError(
            f"Got --cluster {cluster}, where no Dask scheduler answers within {PATIENCE} s; its address is that which "
            "`dask scheduler` prints. Start one, or leave --cluster out."
        ) from error
    try:
        yield client.get_executor()
    finally:
        client.close(timeout=1)


def widths_of(hidden: str) -> tuple[int, ...]:
    """Read the widths of the hidden layers."""
    try:
        widths = tuple(int(h) for h in hidden.split(",") if h.strip())
    except ValueError:
        widths = ()
    if min(widths, default=-1) < 0:
        raise SpecError(
            f"Got --hidden {hidden!r}; it must be positive integers separated by commas. Write --hidden 16,16, or 0 "
            "for none."
        )
    return tuple(h for h in widths if h)


def grid_of(hidden: str, prior_sd: str) -> tuple[list[int], list[float]]:
    """Read the widths and the standard deviations of a grid of networks, each value once."""
    from bayesnn.arguments import check_arguments

    if hidden.strip(", "):
        widths_of(hidden)
    widths = [int(h) for h in hidden.split(",") if h.strip()]
    try:
        sds = [float(sd) for sd in prior_sd.split(",") if sd.strip()]
    except ValueError:
        sds = []
    for sd in sds:
        check_arguments(as_option, prior_sd=sd)
    for option, got, known, usual in (("hidden", hidden, widths, "0,1,2,3"), ("prior-sd", prior_sd, sds, "0.3,1,3")):
        if not known:
            raise SpecError(
                f"Got --{option} {got!r}; it must be numbers separated by commas. Write --{option} {usual}."
            )
    return list(dict.fromkeys(widths)), list(dict.fromkeys(sds))


def network_of(
    task: str,
    loss: str | None,
    hidden: str,
    activation: str,
    prior_sd: float,
    noise: float | None,
    trials: str | None = None,
) -> "MLP":
    """Make the network that options stand for, with the task's own loss where none is named."""
    from bayesnn.losses.table import LOSS_OF_TASK
    from bayesnn.network import MLP
    from bayesnn.priors import Normal

    name = loss or (LOSS_OF_TASK[task] if trials is None else "binomial")
    return MLP(hidden=widths_of(hidden), activation=activation, loss=name, noise=noise, prior=Normal(prior_sd))


@dataclass(frozen=True)
class Reading:
    """Which data a command takes, and how they are read."""

    data: Data = "diabetes"
    target: Target = None
    task: Task = None
    sep: Sep = None
    decimal: Decimal = None
    sheet: Sheet = None
    categorical: Categorical = ()  # type: ignore[assignment]
    ordinal: Ordinal = ()  # type: ignore[assignment]
    reference: Reference = ()  # type: ignore[assignment]
    missing: Missing = "error"
    exclude: Exclude = ()  # type: ignore[assignment]
    exposure: Exposure = None
    trials: Trials = None
    precision: Precision = None
    repeats: Repeats = None

    def check(self) -> None:
        """Refuse what can be refused before anything is read."""
        from bayesnn.arguments import check_arguments

        check_arguments(as_option, sep=self.sep, decimal=self.decimal, missing=self.missing)
        self._orders()
        self._references()

    def read(self, seed: int) -> "Dataset":
        """Load bundled data or a file; where one was not read as an English CSV file, say how."""
        from bayesnn.data import load_data

        self.check()
        file = Path(self.data)
        is_file = file.suffix.lower() in (".csv", ".parquet", ".xlsx") or file.is_file()
        dataset = load_data(
            file if is_file else self.data,
            target=self.target,
            task=self.task,
            random_seed=seed,
            sep=self.sep,
            decimal=self.decimal,
            sheet=self.sheet,
            categorical=list(self.categorical),
            ordinal=self._orders(),
            reference=self._references(),
            missing=self.missing,
            exclude=list(self.exclude),
            **{name: getattr(self, name) for name in ("exposure", "trials", "precision", "repeats")},
        )
        if is_file and dataset.description != f"Read from {file.name}.":
            console_of().print(dataset.description, markup=False, highlight=False)
        return dataset

    def _orders(self):
        """Columns with their levels in order; those without levels have their own order."""
        pairs = [(name, levels) for name, sign, levels in (o.partition("=") for o in self.ordinal) if sign]
        plain = [name for name in self.ordinal if "=" not in name]
        if pairs and plain:
            raise SpecError(
                f"Got --ordinal {plain[0]} beside --ordinal {pairs[0][0]}={pairs[0][1]}; levels must be written for "
                f"all or for none. Write --ordinal {plain[0]}= and its levels, separated by commas."
            )
        return plain or {name: [level.strip() for level in levels.split(",")] for name, levels in pairs}

    def _references(self):
        for one in self.reference:
            if "=" not in one:
                raise SpecError(
                    f"Got --reference {one}; it must be a column and its level. Write --reference {one}=LEVEL, or "
                    "leave it out."
                )
        return {name: level for name, _, level in (one.partition("=") for one in self.reference)}


@dataclass(frozen=True)
class Run(Reading):
    """What `compare` and `fit` have in common: their options, and what is made of them."""

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
    store: Store = None

    def load(self, out: Path, files: Iterable[Path]) -> "tuple[Dataset, MLP]":
        """Refuse options that can be refused, the quickest first; give the data and the network."""
        from bayesnn.arguments import check_arguments

        unchecked = ("loss", "hidden", "activation", "store", *Reading.__dataclass_fields__)
        check_arguments(as_option, **{name: value for name, value in vars(self).items() if name not in unchecked})
        self.check()
        widths_of(self.hidden)
        for file in files:
            check_writable(file, out)
        # Data take seconds to load, and a network whose loss is not known yet can break the same rules.
        self._network("regression")
        dataset = self.read(self.seed)
        net = self._network(dataset.task)

        from bayesnn.tree import prepare

        prepare(net, dataset)
        return dataset, net

    def _kept(self, sampler):
        """Each sampler has a folder of its own."""
        return None if self.store is None else self.store / sampler

    def _network(self, task):
        return network_of(task, self.loss, self.hidden, self.activation, self.prior_sd, self.noise, self.trials)

    def fit(self, kind: Kind, net: "MLP", dataset: "Dataset", path: Path, console: "Console") -> "xr.DataTree":
        """Fit one of the three answers, the posterior by NUTS, and write it to a file."""
        from bayesnn.fitting import fit_map, fit_mle, fit_posterior
        from bayesnn.tree import save_fit

        if kind == Kind.posterior:
            sampling = {name: getattr(self, name) for name in ("draws", "tune", "chains", "target_accept")}
            tree = fit_posterior(net, dataset, random_seed=self.seed, store=self._kept("nuts"), **sampling)
        else:
            search = {name: getattr(self, name) for name in ("restarts", "maxiter")}
            with warnings.catch_warnings():
                # The command says it, once, when all is done.
                warnings.simplefilter("ignore", ConvergenceWarning)
                fit = fit_mle if kind == Kind.mle else fit_map
                tree = fit(net, dataset, random_seed=self.seed, nonexistent="flag", **search)
        tell_saved(save_fit(tree, path), console)
        return tree

    def temper(
        self, net: "MLP", dataset: "Dataset", path: Path, console: "Console", *, max_seconds: float | None = None
    ) -> "xr.DataTree":
        """Sample the posterior by tempering, and write it to a file."""
        from bayesnn.fitting import fit_posterior
        from bayesnn.tree import save_fit

        sampling: dict[str, Any] = {"draws": self.draws, "chains": self.chains, "max_seconds": max_seconds}
        sampling["store"] = self._kept("tempering")
        tree = fit_posterior(net, dataset, sampler="tempering", random_seed=self.seed, **sampling)
        tell_saved(save_fit(tree, path), console)
        return tree


def takes(options: type, **defaults: Any) -> Any:
    """Give a command the options of a class such as `Run`, which it gets as its first argument.

    Parameters
    ----------
    options : type
        A dataclass of options.
    **defaults
        What is taken where an option is left out, if not what the class says.

    Returns
    -------
    callable
        A decorator.
    """

    def decorate(command):
        own, known = list(signature(command).parameters.values())[1:], signature(options).parameters
        shared = [p.replace(default=defaults.get(p.name, p.default)) for p in known.values()]

        @wraps(command)
        def wrapper(**given):
            return command(options(**{p.name: given.pop(p.name) for p in shared}), **given)

        needed = [p for p in own if p.default is p.empty]
        wrapper.__signature__ = Signature([*needed, *shared, *own[len(needed) :]])
        return wrapper

    return decorate
