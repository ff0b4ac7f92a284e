"""The table of losses: by name, as JSON, and to look at."""

import dataclasses
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from bayesnn import foreign
from bayesnn.arguments import check_name
from bayesnn.errors import SpecError
from bayesnn.losses.base import Loss
from bayesnn.losses.beta import Beta
from bayesnn.losses.counts import Binomial, NegativeBinomial, Poisson
from bayesnn.losses.labels import BinaryCrossEntropy, CrossEntropy, Ordinal
from bayesnn.losses.regression import AbsoluteError, GaussianNLL, Huber, Quantile, SquaredError, StudentT
from bayesnn.losses.residual import ResidualLoss

if TYPE_CHECKING:
    import pandas as pd


LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        SquaredError(),
        AbsoluteError(),
        Huber(),
        Quantile(),
        StudentT(),
        GaussianNLL(),
        BinaryCrossEntropy(),
        CrossEntropy(),
        Ordinal(),
        Poisson(),
        NegativeBinomial(),
        Binomial(),
        Beta(),
    )
}
"""Name -> the loss with its default parameters."""

LOSS_OF_TASK = {
    "regression": "squared_error",
    "binary": "binary_cross_entropy",
    "classes": "cross_entropy",
    "ordinal": "ordinal",
    "count": "poisson",
}
"""What a target is -> name of the loss to begin with."""


def is_ours(loss: Loss) -> bool:
    """Say whether a loss is of one of this package's classes: of others nothing is known but what they do.

    Parameters
    ----------
    loss : Loss
        The loss.

    Returns
    -------
    bool
        False for subclasses from outside, whatever name they carry.
    """
    return type(loss) in {ResidualLoss, *map(type, LOSSES.values())}


def check_task(loss: Loss, task: str, target: str) -> None:
    """Refuse a loss that was asked for by its name, or left out, for a target of another kind.

    Labels take the losses for labels and counts the one for counts. An instance of a loss is taken at its word; so
    that a network need not remember how it got its loss, a name stands for the very object in `LOSSES`.

    Parameters
    ----------
    loss : Loss
        The loss of a network.
    task : str
        What the target is, as in a Dataset.
    target : str
        The target in words.

    Raises
    ------
    SpecError
        Such a loss; the message names the one to take.
    """
    labels = ("binary", "classes", "ordinal")
    fitting = task == "regression" or loss.task == task or (loss.task in labels and task in labels)
    if fitting or loss is not LOSSES.get(loss.name):
        return
    kind = {"regression": "numbers", "count": "counts"}.get(loss.task, "labels")
    raise SpecError(
        f"Got the loss {loss.name!r}, which is for {kind}, and {target}. Write MLP(..., loss={LOSS_OF_TASK[task]!r}); "
        f"or loss=bnn.losses.{type(loss).__name__}() to fit it all the same."
    )


def as_loss(loss: str | Loss) -> Loss:
    """Return the loss for a name, or a loss as it is.

    Parameters
    ----------
    loss : str or Loss
        A name in `LOSSES`, or a loss with its own parameters such as ``Huber(delta=2.0)``.

    Returns
    -------
    Loss

    Raises
    ------
    UnknownNameError
        If the name is not in `LOSSES`.
    SpecError
        If `loss` is neither a name nor a loss.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.losses.as_loss("huber")
    Huber(delta=1.345)
    """
    if isinstance(loss, Loss):
        return loss
    if not isinstance(loss, str):
        raise SpecError(
            f"Got loss={loss!r}; it must be a name or a loss. Write loss='squared_error', or loss=bnn.losses.Huber()."
        )
    check_name("loss", loss, LOSSES)
    return LOSSES[loss]


def loss_to_json(loss: str | Loss) -> dict[str, Any]:
    """Return the loss as a dictionary that `json` can write.

    Parameters
    ----------
    loss : str or Loss
        The loss.

    Returns
    -------
    dict
        The name under ``"name"`` and the loss's parameters.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.losses.loss_to_json("huber")
    {'name': 'huber', 'delta': 1.345}
    """
    loss = as_loss(loss)
    if isinstance(loss, ResidualLoss):
        return loss.to_json()
    if not is_ours(loss):
        return {"name": loss.name, **foreign.to_json(loss)}
    return {"name": loss.name, **dataclasses.asdict(loss)}


def loss_from_json(d: dict[str, Any]) -> Loss:
    """Return the loss that `loss_to_json` wrote.

    Parameters
    ----------
    d : dict
        The name under ``"name"`` and the loss's parameters; missing parameters take their defaults.

    Returns
    -------
    Loss

    Raises
    ------
    UnknownNameError
        If the name is not in `LOSSES`.
    SpecError
        If the name is missing or a parameter is not one of the loss's.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.losses.loss_from_json({"name": "quantile", "q": 0.9})
    Quantile(q=0.9)
    """
    if not isinstance(d, dict) or "name" not in d:
        raise SpecError(f"Got {d!r}; a loss in JSON is a dictionary with the key 'name'. Write it with loss_to_json.")
    if "formula" in d:
        return ResidualLoss.from_json(d)
    if "class" in d:
        return foreign.from_json(d, Loss)
    kind = type(as_loss(d["name"]))
    parameters = {key: value for key, value in d.items() if key != "name"}
    known = [field.name for field in dataclasses.fields(kind)]
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise SpecError(f"Got {unknown} for the loss {d['name']!r}; its parameters are {known}. Remove the others.")
    return kind(**parameters)


@dataclass(frozen=True, repr=False)
class LossTable:
    """The loss <-> likelihood table: readable in a terminal and a notebook, `to_frame()` for pandas."""

    rows: tuple[tuple[str, ...], ...]
    columns: ClassVar[tuple[str, ...]] = ("loss", "formula", "likelihood", "a", "b", "noise MLE")

    def to_frame(self) -> "pd.DataFrame":
        """Return the table as a pandas DataFrame.

        Returns
        -------
        pandas.DataFrame
            One row for each loss.
        """
        import pandas as pd

        return pd.DataFrame(self.rows, columns=list(self.columns))

    def __rich__(self):
        from rich.table import Table

        table = Table(title="-log p(y | f, s) = a * loss + b", show_lines=True)
        for column in self.columns:
            table.add_column(column, overflow="fold", no_wrap=column in ("loss", "likelihood"))
        for row in self.rows:
            table.add_row(*row)
        return table

    def __str__(self):
        import shutil

        from rich.console import Console

        console = Console(force_jupyter=False, file=io.StringIO(), width=shutil.get_terminal_size((120, 24)).columns)
        console.print(self.__rich__())
        return console.file.getvalue().rstrip()

    __repr__ = __str__

    def _repr_html_(self):
        import pandas as pd

        with pd.option_context("display.max_colwidth", None):
            return self.to_frame().to_html(index=False)


def loss_table(*losses: str | Loss) -> LossTable:
    """Return the table of losses and the likelihoods they belong to.

    Parameters
    ----------
    *losses : str or Loss
        Losses to show below the built-in ones: with parameters of your own, or a `ResidualLoss`.

    Returns
    -------
    LossTable
        One row for each loss: its formula, the likelihood, a and b of -log p = a * loss + b for one observation and
        one target, and the noise scale s that maximises the likelihood for a fixed network.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> frame = bnn.losses.loss_table().to_frame()
    >>> frame.loc[frame["loss"] == "squared_error", ["likelihood", "a", "b"]].values.tolist()
    [['Normal', '1/(2s²)', 'log(s) + log(2π)/2']]
    """
    return LossTable(
        tuple(
            (loss.name, formula, loss.likelihood, a, b, mle)
            for loss in (*LOSSES.values(), *map(as_loss, losses))
            for formula, a, b, mle in [loss._table]
        )
    )
