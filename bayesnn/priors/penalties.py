"""The table of the penalties of a network in other libraries."""

import functools
import io
import math
import shutil
from numbers import Real
from typing import TYPE_CHECKING, Any

from bayesnn.errors import SpecError
from bayesnn.losses import as_loss
from bayesnn.priors.base import as_prior
from bayesnn.priors.libraries import LIBRARIES, Target

if TYPE_CHECKING:
    import pandas as pd


@functools.cache
def _table_class():
    """Class of the table; made on first use, since pandas is loaded only then."""
    import pandas as pd

    class PenaltyTable(pd.DataFrame):
        """A DataFrame that prints its numbers first, and its notes below them, in the width of the terminal."""

        def __rich__(self):
            from rich.console import Group
            from rich.table import Table

            table = Table("library", "reduction", "parameter", "value", "formula")
            for row in self.to_dict("records"):
                value = "?" if math.isnan(row["value"]) else f"{row['value']:.6g}"
                table.add_row(row["library"], row["reduction"], row["parameter"], value, row["formula"])
            for column in table.columns[:4]:
                column.no_wrap = True
            table.columns[3].justify = "right"
            return Group(table, *self._notes())

        def _notes(self):
            """Say each note once, with the libraries that it is about."""
            noted = {}
            for row in self.to_dict("records"):
                name = f"{row['library']} ({row['reduction']})" if row["reduction"] else row["library"]
                noted.setdefault(row["note"].replace(f"{row['library']} leaves", "Leaves"), {})[name] = None
            return [f"{', '.join(names)}: {note}" for note, names in noted.items() if note]

        def __repr__(self):
            from rich.console import Console

            if not {"library", "reduction", "parameter", "value", "formula", "note"} <= set(self.columns):
                return super().__repr__()
            width = shutil.get_terminal_size((80, 24)).columns
            console = Console(force_jupyter=False, file=io.StringIO(), width=width)
            console.print(self.__rich__(), markup=False, highlight=False)
            return console.file.getvalue().rstrip()

        def __reduce__(self):
            return pd.DataFrame, (pd.DataFrame(self),)

    return PenaltyTable


def _by_hand(net, prior, loss, noise, n, n_outputs):
    """Rows for a penalty that no library has: what to multiply it by where it is added to the loss by hand."""
    known = noise is not None or not loss.has_noise
    penalty = f"{prior.formula.text()}, w in units of {prior.scale:g}"
    note = f"Biases: {prior.bias!r}." if net.bias and prior.bias is not None else ""
    for reduction in ("mean", "sum"):
        target = Target("torch", loss, noise, n, reduction, n_outputs)
        yield {
            "library": "by hand",
            "reduction": reduction,
            "parameter": "factor",
            "value": target.evaluate(target.factor, {}) if known else math.nan,
            "formula": f"{target.factor}, of the sum of {penalty}",
            "objective": f"{target.share} * sum(loss) + factor * sum(penalty)",
            "penalises_biases": True,
            "note": note if known else "Needs a known noise: MLP(noise=...).",
        }


def penalty_table(net: Any, *, n: int, n_outputs: int = 1) -> "pd.DataFrame":
    """Tabulate the penalties that give the MAP of a network in other libraries.

    Parameters
    ----------
    net : MLP
        The network; its prior, loss and noise are translated. Linear estimators are listed only without hidden layers.
    n : int
        Number of observations.
    n_outputs : int
        Number of target columns; 1 for classes.

    Returns
    -------
    DataFrame
        One row for each library, reduction and parameter; columns ``library, reduction, parameter, value, formula,
        objective, penalises_biases, note``; the reduction is empty where the library has its own. With a learned
        noise the values are NaN, and the note says so. For a `PenaltyPrior`, which no library has, the value is what
        its sum is multiplied by where it is added to the loss by hand. It prints as a table of the values with the
        notes below it.

    Raises
    ------
    SpecError
        A loss or prior for which no library has a penalty.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> net = bnn.MLP(hidden=(), noise=0.5, prior=bnn.Normal(1.0, bias=bnn.Flat()))
    >>> bnn.penalty_table(net, n=10)[["library", "reduction", "parameter", "value"]].round(6).head(2)
                  library reduction parameter  value
    0       sklearn.Ridge               alpha  0.250
    1  sklearn.ElasticNet               alpha  0.025
    """
    if not (hasattr(net, "prior") and hasattr(net, "loss")):
        raise SpecError(
            f"Got a network of type {type(net).__name__}; the network must be a bnn.MLP. Write bnn.MLP(hidden=(3,))."
        )
    prior, loss = as_prior(net.prior), as_loss(net.loss)
    noise: Any = net.noise if isinstance(net.noise, Real) else None
    if prior.formula is not None:
        return _table_class()(_by_hand(net, prior, loss, noise, n, n_outputs))
    # keras knows every penalty and loss of the table: what it refuses has no translation at all.
    Target("keras", loss, noise, n, None, n_outputs).terms_of(prior)
    rows = []
    for library, spec in LIBRARIES.items():
        if loss.name not in spec.shares or (spec.linear and net.hidden):
            continue
        for reduction in ("mean", "sum") if library in ("torch", "keras") else (None,):
            row = {"library": library, "reduction": reduction or ""}
            try:
                target = Target(library, loss, noise, n, reduction, n_outputs)
                terms, numbers = target.terms_of(prior)
            except SpecError:
                continue
            known = noise is not None or not loss.has_noise
            note = (
                (target.note_on_biases(prior) if net.bias else "") if known else "Needs a known noise: MLP(noise=...)."
            )
            rows += [
                {
                    **row,
                    "parameter": name,
                    "value": target.evaluate(term, numbers) if known else math.nan,
                    "formula": str(term),
                    "objective": target.objective,
                    "penalises_biases": spec.penalises_biases,
                    "note": note,
                }
                for name, term in terms.items()
            ]
    return _table_class()(rows)
