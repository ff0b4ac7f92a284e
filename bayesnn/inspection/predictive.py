"""Posterior predictive checks as numbers: test statistics of the data against those of data from the fit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.arguments import Seed, check_arguments, rng_of
from bayesnn.data import Dataset
from bayesnn.data.target import known_of, values_of
from bayesnn.errors import SpecError
from bayesnn.prediction import draws_of, some_draws
from bayesnn.theory.results import Result
from bayesnn.tree import Problem, Rows, check_dataset, heading, observed_rows, problem_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


CHUNK = 2_000_000
"""Most numbers of data sets that are held at once."""
type Statistic = Callable[[np.ndarray], float]
_WORDS = {
    "mean": ("higher on average", "lower on average"),
    "sd": ("more spread out", "less spread out"),
    "min": ("with a higher minimum", "with a lower minimum"),
    "max": ("with a higher maximum", "with a lower maximum"),
    "zeros": ("with more zeros", "with fewer zeros"),
    "dispersion": ("overdispersed: more variable about the mean", "underdispersed: less variable about the mean"),
    "residual skewness": ("with residuals more skewed to the right", "with residuals more skewed to the left"),
    "residual kurtosis": ("with residuals of heavier tails", "with residuals of lighter tails"),
    "log score": ("more predictable: the fit is not sure enough", "less predictable: the fit is too sure"),
}
"""What data are like, beside those of the fit, whose statistic is too high, and too low."""


@dataclass(frozen=True, repr=False, eq=False)
class PredictiveCheck(Result):
    """What `posterior_predictive_check` returns.

    Parameters
    ----------
    fit : str
        Which answer was checked.
    observed : dict of str to array (draws,)
        Each statistic of the data; the same number throughout, unless it depends on the weights.
    repeated : dict of str to array (draws,)
        The same statistic of data sets from the fit.
    rows : int
        How many rows were checked.
    which : str
        Which rows these are.
    prob : float
        Probability that nothing is flagged if the fit is right.
    """

    fit: str
    observed: dict[str, np.ndarray]
    repeated: dict[str, np.ndarray]
    rows: int
    which: str
    prob: float

    @property
    def level(self) -> float:
        """Probability that one statistic is not flagged; the rest is shared out by Bonferroni."""
        return 1 - (1 - self.prob) / len(self.observed)

    @property
    def table(self) -> "pd.DataFrame":
        """One row a statistic: ``observed``, ``expected`` with ``lower`` and ``upper``, ``p`` and whether ``flagged``.

        The predictive p-value is the share of data sets from the fit whose statistic is above that of the data, ties
        counted half: near 0 or 1 the data are unlike them. Bounds hold `level` of the data sets.
        """
        import pandas as pd

        rows = {}
        for name, seen in self.observed.items():
            fresh = self.repeated[name]
            p = float(np.mean((fresh > seen) + 0.5 * (fresh == seen)))
            lower, upper = np.quantile(fresh, [(1 - self.level) / 2, (1 + self.level) / 2])
            rows[name] = {
                "observed": float(seen.mean()),
                "expected": float(fresh.mean()),
                "lower": float(lower),
                "upper": float(upper),
                "p": p,
                "flagged": min(p, 1 - p) < (1 - self.level) / 2,
            }
        return pd.DataFrame.from_dict(rows, orient="index")

    @property
    def flagged(self) -> tuple[str, ...]:
        """Names of the statistics that tell the data from those of the fit, the farthest out first."""
        table = self.table
        p = table["p"].where(table["p"] < 0.5, 1 - table["p"])
        return tuple(p[table["flagged"]].sort_values(kind="stable").index)

    @property
    def passed(self) -> bool:
        """Whether nothing is flagged."""
        return not self.flagged

    @property
    def message(self) -> str:
        """The verdict in words, with the numbers of what is off."""
        sets = len(next(iter(self.repeated.values())))
        table = self.table
        where = f"{self.rows} {self.which}, {sets:,} data sets from the {self.fit}"
        if self.passed:
            n = len(table)
            return f"Nothing tells the data from those of the fit: {n} of {n} statistics are usual ({where})."
        said = []
        for name in self.flagged:
            row = table.loc[name]
            statistic, _, of = name.partition(" of ")
            high, low = _WORDS.get(statistic, ("with a higher value", "with a lower value"))
            words = high if row["p"] < 0.5 else low
            said.append(
                f"{f'{of}: ' if of else ''}{words} ({statistic} {row['observed']:.3g}, expected {row['expected']:.3g}, "
                f"{self.level:.1%} of data sets from {row['lower']:.3g} to {row['upper']:.3g})"
            )
        return f"The data are unlike those of the fit ({where}). They are {'; '.join(said)}."


def posterior_predictive_check(
    fit: "xr.DataTree",
    *,
    data: Dataset | None = None,
    rows: Rows = None,
    statistics: Mapping[str, Statistic] | None = None,
    draws: int = 1000,
    prob: float = 0.95,
    random_seed: Seed = None,
) -> PredictiveCheck:
    r"""Check whether the data could have come from a fit, by test statistics with predictive p-values.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit_mle`, `fit_map` or `fit_posterior`.
    data : Dataset, optional
        Its held-out rows are checked; None takes the rows of the fit, which it has seen.
    rows : {"test", "train"}, optional
        Which rows of a Dataset; the held-out ones if left out.
    statistics : dict of str to callable, optional
        More statistics: functions from targets (n,), in the user's units, to a number. Labels are 0, 1, ....
    draws : int
        Data sets that are drawn from the fit; a posterior gives each another draw, as far as there are enough.
    prob : float
        Probability that nothing is flagged if the fit is right: Bonferroni shares the rest out over the statistics.
    random_seed : int, optional
        Seed of the data sets.

    Returns
    -------
    PredictiveCheck
        Prints as words and a table. The statistics of numbers: mean, standard deviation, minimum, maximum, and skewness
        and kurtosis of the quantile residuals (0 and 3 if the likelihood is right). Of counts: mean, standard
        deviation, maximum, share of zeros, and dispersion, :math:`\frac1n \sum_i (y_i - \mu_i)^2 / \sigma_i^2`, 1 if
        right. Of labels: the share of each class and the mean log score of the labels.

    Raises
    ------
    SpecError
        A probability that is none, or a statistic that gives no number.
    FitError
        Not a bayesnn fit.

    See Also
    --------
    bayesnn.plot_ppc : The same question as a picture.
    bayesnn.score : How good predictions are.

    Notes
    -----
    With a data set :math:`y^{rep}` from each draw :math:`\theta_s` the predictive p-value is
    :math:`P(T(y^{rep}, \theta) > T(y, \theta))` over the draws [1]_. Rows that the fit has seen were fitted: a
    p-value of these is closer to 1/2 than a uniform number would be, and a misfit shows less. The quantile residual of
    a row is :math:`\Phi^{-1}(F(y_i \mid x_i, \theta_s))` [2]_, a standard normal number if the likelihood is right
    whatever it is.

    References
    ----------
    .. [1] A. Gelman, X.-L. Meng and H. Stern, "Posterior predictive assessment of model fitness via realized
       discrepancies", Statistica Sinica 6 (1996).
    .. [2] P. K. Dunn and G. K. Smyth, "Randomized quantile residuals", Journal of Computational and Graphical
       Statistics 5 (1996).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> net = bnn.MLP(hidden=(), loss="poisson")
    >>> X, y = [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]], [0, 12, 0, 15, 0, 21]
    >>> mle = bnn.fit_mle(net, X, y, restarts=2, random_seed=1, progressbar=False)
    >>> bnn.posterior_predictive_check(mle, random_seed=1).flagged
    ('zeros', 'dispersion', 'sd')
    """
    check_arguments(draws=draws, prob=prob)
    rng = rng_of(random_seed)
    problem = problem_of(fit)
    own = _own(statistics)
    if data is not None:
        check_dataset(data)
    X, y = observed_rows(problem, data, rows)
    which = "training rows" if rows == "train" else "held-out rows"
    if data is None and rows is None:
        which = "rows of the fit"
    at = np.resize(some_draws(fit, int(draws)), int(draws))
    size = max(1, CHUNK // max(1, len(X) * max(problem.net.hidden, default=1)))
    parts = [_statistics(fit, problem, X, y, at[i : i + size], own, rng) for i in range(0, len(at), size)]
    observed, repeated = ({k: np.concatenate([part[i][k] for part in parts]) for k in parts[0][i]} for i in (0, 1))
    return PredictiveCheck(heading(fit), observed, repeated, len(X), which, prob)


def _own(statistics: Any) -> dict[str, Statistic]:
    """Statistics of the user's."""
    if statistics is None:
        return {}
    if not isinstance(statistics, Mapping) or not all(map(callable, statistics.values())):
        raise SpecError(
            f"Got statistics={statistics!r}; it must be a dict from names to functions of the targets. Write "
            "statistics={'range': np.ptp}."
        )
    return {str(name): function for name, function in statistics.items()}


def _statistics(fit, problem: Problem, X, y, at, own, rng):
    """Statistics of the data and of one data set from each draw."""
    params, forward = draws_of(fit, problem, at=at)
    loss, args = problem.net.loss, problem.net.likelihood_args(params)
    f, known, y = forward(X), known_of(y), values_of(y)
    try:
        fresh = loss.sample(f, rng, **args, **known)
    except NotImplementedError as error:
        raise SpecError(
            f"Got the loss {loss.name!r}, which draws no targets; a check compares with such draws. Give the class of "
            "the loss a method sample(f, rng)."
        ) from error
    task = loss.task
    observed: dict[str, np.ndarray] = {}
    repeated: dict[str, np.ndarray] = {}

    def both(name, statistic):
        observed[name], repeated[name] = np.broadcast_to(statistic(y[None]), len(at)), statistic(fresh)

    if task in ("binary", "classes", "ordinal"):
        for k, name in enumerate(problem.class_names):
            if k or len(problem.class_names) > 2:
                both(f"share of {name}", lambda v, k=k: (v == k).mean(axis=1))
        log_p = np.log(np.maximum(loss.mean(f, **args), 1e-300))
        observed["log score"] = np.take_along_axis(log_p, np.broadcast_to(y, fresh.shape)[..., None], -1).mean((1, 2))
        repeated["log score"] = np.take_along_axis(log_p, fresh[..., None], -1).mean((1, 2))
    else:
        y, fresh = y.reshape(len(X), -1), fresh.reshape(len(at), len(X), -1)
        for k, target in enumerate(problem.target_names):
            of = f" of {target}" if len(problem.target_names) > 1 else ""
            _numbers(problem, f, args, known, y[None, :, k], fresh[..., k], k, of, observed, repeated, rng)
    values, seen = (v if problem.scaling is None else problem.scaling.inverse_y(v) for v in (fresh, y))
    for name, function in own.items():
        seen_one = _called(name, function, seen)
        observed[name] = np.full(len(at), seen_one)
        repeated[name] = np.array([_called(name, function, one) for one in values])
    return observed, repeated


def _called(name, function, y):
    """Apply a statistic of the user's to targets (n,), or (n, K) of several."""
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    try:
        value = float(function(y))
    except (TypeError, ValueError) as error:
        raise SpecError(
            f"Got the statistic {name!r}, which gives no number for targets of shape {y.shape} ({error}). Write a "
            "function such as np.median."
        ) from error
    if not np.isfinite(value):
        raise SpecError(
            f"Got the statistic {name!r}, which gives {value} for targets of shape {y.shape}; it must be finite. "
            "Write a function such as np.median."
        )
    return value


def _numbers(problem, f, args, known, y, fresh, k, of, observed, repeated, rng):
    """Statistics of one target: of numbers or counts."""
    loss, sets = problem.net.loss, len(fresh)
    shift, unit = 0.0, 1.0
    if problem.scaling is not None and problem.scaling.y_sd is not None:
        shift, unit = problem.scaling.y_mean[k], problem.scaling.y_sd[k]
    simple = {"mean": np.mean, "sd": np.std, "min": np.min, "max": np.max}
    if loss.task == "count":
        simple["zeros"] = lambda v, axis: (v == 0).mean(axis=axis)
        # Of counts the least is zero more often than not.
        del simple["min"]
    for name, statistic in simple.items():
        observed[name + of] = np.full(sets, statistic(shift + unit * y, axis=1)[0])
        repeated[name + of] = statistic(shift + unit * fresh, axis=1)
    if loss.task == "count":
        noise = {"noise": args["noise"]} if "noise" in args else {}
        mean, variance = loss.mean(f, **args, **known)[..., k], loss.variance(f, **noise, **known)[..., k]
        for where, values in ((observed, y), (repeated, fresh)):
            where[f"dispersion{of}"] = ((values - mean) ** 2 / variance).mean(axis=1)
        return
    from scipy.special import ndtri

    whole = np.zeros((y.shape[1], len(problem.target_names)))
    whole[:, k] = y[0]
    below = loss.cdf(whole, f, **args, **known)[..., k]
    # What rounds to 0 or 1 has a residual of about eight, which is far out enough.
    residual = ndtri(np.clip(below, 1e-16, 1 - 1e-16))
    # Those of a data set from the draw are standard normal numbers, exactly.
    usual = rng.standard_normal(residual.shape)
    for name, power in (("residual skewness", 3), ("residual kurtosis", 4)):
        for where, z in ((observed, residual), (repeated, usual)):
            z = z - z.mean(axis=1, keepdims=True)
            # Where all residuals are equally far out, or there is one, they have no shape.
            z = z / np.maximum(z.std(axis=1, keepdims=True), 1e-12)
            where[name + of] = (z**power).mean(axis=1)
