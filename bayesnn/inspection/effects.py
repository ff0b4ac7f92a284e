"""A table of effects: what a change of each input does to the mean, averaged over rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.arguments import as_list, check_arguments, check_name
from bayesnn.inspection.means import (
    Input,
    given_input,
    label_of,
    listed_inputs,
    means_of,
    outputs_of,
    placed,
    rows_of,
    training_inputs,
)
from bayesnn.symmetry.align import spread
from bayesnn.theory.results import Result
from bayesnn.tree import Fits, Inputs, Problem, Rows, named_fits, problem_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


MOST = 1000
"""Most rows that are averaged over; of more, these are spread evenly."""
STEP = 1e-3
"""Of the difference quotient, in standard deviations; its error is of the fourth order."""
SEEN, BENT = 0.05, 0.25
"""Standard deviation over the rows from which it is spoken of, beside the largest effect and beside the effect itself;
our choice."""
CONTRASTS = ("slope", "sd", "iqr")
type Key = tuple[str, str, str, str]
"""Fit, target or class, input, contrast."""


@dataclass(frozen=True, repr=False, eq=False)
class MarginalEffects(Result):
    """What `marginal_effects` returns.

    Parameters
    ----------
    averages : dict
        From fit, target or class, input and contrast to the average over the rows at each draw, an array (draw,).
    individual : dict
        From the same to the effect for each row, averaged over the draws, an array (row,).
    changes : dict of (str, str) to float
        From input and contrast to the change of the input, in its unit; NaN for slopes.
    labels : dict of str to str
        From target or class to what is changed, such as ``"mean of price"``.
    rows : int
        How many rows were averaged over.
    total : int
        Of how many.
    prob : float
        Probability of the intervals.
    """

    averages: dict[Key, np.ndarray]
    individual: dict[Key, np.ndarray]
    changes: dict[tuple[str, str], float]
    labels: dict[str, str]
    rows: int
    total: int
    prob: float

    @property
    def table(self) -> "pd.DataFrame":
        """One row for each fit, target or class, input and contrast.

        ``change`` of the input; ``effect``; ``sd``, ``lower`` and ``upper`` over the draws, empty for points;
        ``over_rows``, the standard deviation of the effect from row to row: zero where the input acts alone and along
        a straight line.
        """
        import pandas as pd

        tails = [(1 - self.prob) / 2, (1 + self.prob) / 2]
        rows = []
        for key, draws in self.averages.items():
            drawn = len(draws) > 1
            lower, upper = np.quantile(draws, tails) if drawn else (np.nan, np.nan)
            rows.append(
                {
                    "change": self.changes[key[2:]],
                    "effect": draws.mean(),
                    "sd": draws.std(ddof=1) if drawn else np.nan,
                    "lower": lower,
                    "upper": upper,
                    "over_rows": self.individual[key].std(),
                }
            )
        # Levels in the order of the rows: pandas finds parts of an index that is sorted by its levels at once.
        levels = [list(dict.fromkeys(key[i] for key in self.averages)) for i in range(4)]
        codes = [[level.index(key[i]) for key in self.averages] for i, level in enumerate(levels)]
        index = pd.MultiIndex(levels=levels, codes=codes, names=["fit", "output", "input", "contrast"])
        return pd.DataFrame(rows, index=index)

    @property
    def shown(self) -> "pd.DataFrame":
        """The table without columns that are empty: a point has no interval."""
        return self.table.dropna(axis=1, how="all")

    @property
    def message(self) -> str:
        """Which input matters most, by how much, and which acts differently from row to row."""
        over = f"{self.rows} rows" if self.rows == self.total else f"{self.rows} of {self.total} rows"
        words = [f"Average effects on the mean, over {over}." if len(self.labels) > 1 else ""]
        if len(self.labels) == 1:
            (label,) = self.labels.values()
            words = [f"Average effects on {label if label.startswith('p(') else f'the {label}'}, over {over}."]
        table = self.table
        # A slope is in units of its own, and can't be compared.
        finite = table[table.index.get_level_values("contrast") != "slope"]
        for fit in dict.fromkeys(key[0] for key in self.averages):
            if fit not in finite.index.get_level_values("fit"):
                continue
            mine = finite.loc[[fit]]
            key = mine["effect"].abs().idxmax()
            row = mine.loc[key]
            band = "" if np.isnan(row["lower"]) else f" ({self.prob:.0%}: {row['lower']:.3g} to {row['upper']:.3g})"
            of = f" on {self.labels[key[1]]}" if len(self.labels) > 1 else ""
            words.append(f"{fit}: largest{of}, {_words(key, row['change'])}: {row['effect']:+.3g}{band}.")
            bent = mine["over_rows"]
            bent = bent[(bent > SEEN * abs(row["effect"])) & (bent > BENT * mine["effect"].abs())]
            if len(bent):
                first = bent.idxmax()
                sd = f"standard deviation {bent[first]:.3g}"
                words.append(
                    f"{first[2]} acts differently from row to row ({sd}): it bends, or depends on other inputs; see "
                    "plot_partial_dependence."
                )
        return " ".join(words)


def _words(key: Key, change: float) -> str:
    """Say what is changed, and by how much."""
    _, _, name, contrast = key
    what = {"sd": "one standard deviation", "iqr": "from the lower to the upper quartile"}.get(contrast)
    return f"{name} from {contrast}" if what is None else f"{name} by +{change:.3g} ({what})"


def marginal_effects(
    *fits: Fits,
    features: Sequence[int | str] | int | str | None = None,
    contrasts: Sequence[str] = ("slope", "sd"),
    data: Inputs | None = None,
    rows: Rows = None,
    draws: int = 500,
    prob: float = 0.9,
    **named: "xr.DataTree",
) -> MarginalEffects:
    r"""Tabulate what a change of each input does to the mean, averaged over rows: average marginal effects.

    Parameters
    ----------
    *fits : xarray.DataTree
        From `fit_mle`, `fit_map`, `fit_posterior`, of the same data; or one dict or list of them.
    features : int, str or sequence of them, optional
        Inputs, counted from 1 or by name; None takes all.
    contrasts : sequence of {"slope", "sd", "iqr"}
        Of inputs with more than two values: the average slope; the average effect of a change by one standard
        deviation, from half of it below to half of it above each row's own value; the average effect of a change from
        the lower to the upper quartile. An input with two values has one contrast, from the lower to the higher; a
        category one for each level, from the reference to it.
    data : array (n, p), DataFrame or Dataset, optional
        Rows to average over, of a Dataset the held-out ones; None takes the rows of the fit. Of more than 1000, so
        many, evenly spread. Standard deviations and quartiles are those of the rows of the fit.
    rows : {"test", "train"}, optional
        Which rows of a Dataset; the held-out ones if left out.
    draws : int
        Most draws of a posterior that are used, evenly spread.
    prob : float
        Probability of the equal-tailed intervals.
    **named : xarray.DataTree
        Fits with names.

    Returns
    -------
    MarginalEffects
        Prints as words and a table; ``.table`` is a DataFrame, ``.averages`` the draws of each effect. Effects are in
        the user's units: of the mean of each target, or of the probability of each class; of two classes, of the
        second.

    Raises
    ------
    SpecError
        No fits, no inputs, an input or contrast that there is not, or a probability that is none.
    DataError
        Rows that break a rule.

    See Also
    --------
    partial_dependence : The mean along each input, in place of one number.

    Notes
    -----
    The average slope is :math:`\frac1n \sum_i \partial E[y \mid x_i, \theta] / \partial x_{ij}`, a difference quotient
    of the fourth order; the average predictive comparison of two values :math:`u` and :math:`v` of an input is
    :math:`\frac1n \sum_i E[y \mid x_j = v, x_{i,-j}, \theta] - E[y \mid x_j = u, x_{i,-j}, \theta]`. A posterior has
    one for each draw: its standard deviation and interval say what is not known about the average over these rows. An
    effect here is one of the fitted function. It is causal only if the inputs are.

    References
    ----------
    A. Gelman and I. Pardoe, "Average predictive comparisons for models with nonlinearity, interactions, and variance
    components", Sociological Methodology 37 (2007).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> line = bnn.MLP(hidden=(), noise=1.0)
    >>> X, y = [[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]], [1.0, 2.0, 5.0, 6.0]
    >>> mle = bnn.fit_mle(line, X, y, restarts=2, random_seed=1, progressbar=False)
    >>> bnn.marginal_effects(mle).table["effect"].round(4)
    fit  output  input  contrast
    MLE  target  x1     slope       2.0000
                        sd          2.2361
                 x2     0 to 1      1.0000
    Name: effect, dtype: float64
    """
    check_arguments(draws=draws, prob=prob)
    contrasts = [check_name("contrast", one, CONTRASTS) for one in as_list("contrasts", contrasts, ["slope", "sd"])]
    shown = named_fits(fits, named)
    averages: dict[Key, np.ndarray] = {}
    individual: dict[Key, np.ndarray] = {}
    changes: dict[tuple[str, str], float] = {}
    labels: dict[str, str] = {}
    for name, fit in shown.items():
        problem = problem_of(fit)
        inputs = list(dict.fromkeys(given_input(problem, one) for one in listed_inputs(problem, features)))
        X = rows_of(problem, data, rows)
        some = X[spread(len(X), MOST)]
        means, outputs = means_of(fit, draws=int(draws)), outputs_of(problem)
        shown_outputs = [1] if problem.net.loss.task == "binary" else range(len(outputs))
        labels |= {outputs[k]: label_of(problem, k) for k in shown_outputs}
        found: dict[Key, Any] = {}
        for one in inputs:
            for contrast, change, weights in _contrasts(problem, one, contrasts, some):
                effect = sum(weight * means(moved) for weight, moved in weights)
                changes[one.name, contrast] = change
                for k in shown_outputs:
                    key = name, outputs[k], one.name, contrast
                    found[key] = effect[..., k].mean(axis=1), effect[..., k].mean(axis=0)
        # Targets first, and then the inputs of each.
        for k in shown_outputs:
            for key in (key for key in found if key[1] == outputs[k]):
                averages[key], individual[key] = found[key]
    return MarginalEffects(averages, individual, changes, labels, len(some), len(X), prob)


def _contrasts(problem: Problem, one: Input, contrasts: Sequence[str], X: np.ndarray) -> Any:
    """Contrasts of an input: name, change in the user's units, and weights of the means at changed rows."""

    def at(values):
        return placed(problem, X, one, values)

    if one.levels:
        reference, *others = one.codes
        for level, code in zip(one.levels[1:], others, strict=True):
            yield f"{one.levels[0]} to {level}", np.nan, [(1.0, at(code)), (-1.0, at(reference))]
        return
    (j,) = one.columns
    seen = training_inputs(problem)[:, j]
    values = np.unique(seen)
    if len(values) == 2:
        low, high = values
        yield f"{low:g} to {high:g}", float(high - low), [(1.0, at(high)), (-1.0, at(low))]
        return
    sd = float(seen.std())
    own = X[:, j] if problem.scaling is None else X[:, j] * problem.scaling.x_sd[j] + problem.scaling.x_mean[j]
    for contrast in contrasts:
        if contrast == "slope":
            h = STEP * (sd or 1.0)
            stencil = ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12))
            yield "slope", np.nan, [(w / h, at(own + k * h)) for k, w in stencil]
        elif contrast == "sd":
            yield "sd", sd, [(1.0, at(own + sd / 2)), (-1.0, at(own - sd / 2))]
        else:
            low, high = np.quantile(seen, [0.25, 0.75])
            yield "iqr", float(high - low), [(1.0, at(high)), (-1.0, at(low))]
