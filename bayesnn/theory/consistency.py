"""Is the MLE of a network consistent, normal and efficient? Data drawn again and again, and what is estimated."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from bayesnn.arguments import Seed, check_arguments, rng_of
from bayesnn.errors import FitError, SpecError
from bayesnn.fitting.progress import compiling
from bayesnn.fitting.store import lines_of
from bayesnn.fitting.tasks import check_executor, run_tasks
from bayesnn.network import MLP, Params, check_net
from bayesnn.theory.information import Information, fisher_information
from bayesnn.theory.replicate import fit_one, nearest
from bayesnn.theory.results import Result
from bayesnn.theory.truth import make_truth

if TYPE_CHECKING:
    import pandas as pd


FALLS = 0.25
"""Power of 1 / n from which on something is said to fall; theory has a half."""
LEVEL = 0.95
"""Of the intervals and regions whose coverage is counted."""


@dataclass(frozen=True, repr=False, eq=False)
class Consistency(Result):
    """What `consistency_study` returns.

    Parameters
    ----------
    net : MLP
        The network that was fitted.
    point : dict of str to array
        True weights, or pseudo-true ones; distances are to these.
    known : bool
        Whether the network has the function that data were drawn from.
    information : Information
        Expected information at that point, of the rows that stand for the distribution of the inputs.
    expected : float
        Limit of the scaled error; NaN where the truth is not regular.
    replicates : DataFrame
        A row for each data set, with the index (n, replicate): distances ``raw`` and ``aligned``, ``function error``,
        ``scaled error`` (times the root of n, in units of the standard error of one observation), ``likelihood ratio``,
        ``squared distance`` (in the metric of the expected information of n observations), ``Wald`` and ``sandwich``
        (the share of parameters that their intervals hold), ``starts`` (of the random starts, how many reached the
        best) and ``minimum`` (whether that is a proper one).
    failed : dict
        From (n, replicate) to what was raised.
    interrupted : bool
        Whether there would have been more.
    """

    net: MLP
    point: Params
    known: bool
    information: Information
    expected: float
    replicates: "pd.DataFrame"
    failed: dict[tuple[int, int], Exception]
    interrupted: bool

    @property
    def singular(self) -> bool:
        """Whether the information has not full rank at the truth."""
        return self.information.rank < self.information.size

    @cached_property
    def table(self) -> "pd.DataFrame":
        """A row for each n: medians of distances, root mean square of scaled errors, coverage, and efficiency."""
        import pandas as pd

        rows, d = {}, self.information.size
        chi2 = stats.chi2(d)
        for n, found in self.replicates.groupby(level="n"):
            ratio, distance = found["likelihood ratio"], found["squared distance"]
            rows[n] = {
                "data sets": len(found),
                "raw": found["raw"].median(),
                "aligned": found["aligned"].median(),
                "function error": found["function error"].median(),
                "scaled error": np.sqrt(np.mean(found["scaled error"] ** 2)),
                "Wald": found["Wald"].mean(),
                "sandwich": found["sandwich"].mean(),
                "likelihood ratio": (ratio <= chi2.ppf(LEVEL)).mean(),
                "mean ratio": ratio.mean(),
                # The mean hangs on the few data sets in which a parameter can hardly be told.
                "efficiency": chi2.median() / distance.median() if self.known and not self.singular else np.nan,
                "starts": found["starts"].mean(),
                "no minimum": int((~found["minimum"].astype(bool)).sum()),
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("n")

    @property
    def slopes(self) -> "dict[str, float]":
        """Powers of n with which the aligned distance and the function error change."""
        table = self.table
        if len(table) < 2:
            return {}
        log_n = np.log(table.index.to_numpy(dtype=float))
        names = ("aligned", "function error")
        return {name: float(np.polyfit(log_n, np.log(table[name].to_numpy()), 1)[0]) for name in names}

    @property
    def message(self) -> str:
        """The verdict in words."""
        table, d = self.table, self.information.size
        if not len(table):
            return f"No data set was fitted; {len(self.failed)} failed."
        last = table.iloc[-1]
        slopes = self.slopes
        falls = (
            f" From n = {table.index[0]} to {table.index[-1]} the aligned distance goes as n^{slopes['aligned']:.2f} "
            f"and the function error as n^{slopes['function error']:.2f}; the raw distance ends at {last['raw']:.3g}."
            if slopes
            else ""
        )
        intervals = (
            f"Wald's intervals cover {last['Wald']:.3f}, those of the sandwich {last['sandwich']:.3f}"
            if last["no minimum"] < last["data sets"]
            else "no data set has a proper minimum, and none intervals"
        )
        covers = f" At n = {table.index[-1]} {intervals}; the likelihood ratio has the mean {last['mean ratio']:.2f}"
        covers += (
            f" ({d} in a regular truth)."
            if self.singular or not self.known
            else (
                f" (theory {d}); the scaled error is {last['scaled error']:.3f} (theory {self.expected:.3f}), the "
                f"efficiency {last['efficiency']:.2f}."
            )
        )
        lost = f" {len(self.failed)} data sets failed." if self.failed else ""
        return f"{self._kind()}{falls}{covers}{lost}{' It was interrupted.' if self.interrupted else ''}"

    def _kind(self):
        """Say what kind of truth it is, and whether it was found."""
        slopes, last, d = self.slopes, self.table.iloc[-1], self.information.size
        found = {name: slope < -FALLS for name, slope in slopes.items()}
        if self.singular:
            kind = f"The truth is singular (rank {self.information.rank} of {d})"
            lost = found.get("function error") and not found["aligned"]
            return f"{kind}{': the function is found, the weights are not' if lost else ''}."
        if not self.known:
            return (
                "The truth is a function: distances are to the pseudo-true weights, and the covariance of the MLE is "
                "the sandwich, not the inverse of the information."
            )
        if not found.get("aligned"):
            return f"The truth is regular (rank {d} of {d})."
        mirrored = last["raw"] > 3 * last["aligned"]
        return f"The MLE goes to the truth{' modulo symmetry; the raw weights do not' if mirrored else ''}."


def consistency_study(
    net: MLP,
    truth: "Params | Callable[[np.ndarray], Any]",
    n_values: Sequence[int] = (100, 400, 1600, 6400),
    replicates: int = 60,
    *,
    inputs: Any,
    noise: float | None = None,
    restarts: int = 10,
    executor: Executor | None = None,
    path: str | Path | None = None,
    random_seed: Seed = None,
    progressbar: bool = True,
) -> Consistency:
    r"""Draw data sets of growing size, fit the MLE to each, and compare it with the truth and with theory.

    Parameters
    ----------
    net : MLP
        The network that is fitted; its prior takes no part.
    truth : dict of str to array, or callable
        Weights that data are drawn from; with fewer units than the network has, units without weights are added. Or a
        function from inputs (n, p) to outputs, which the network need not have: distances are then to the pseudo-true
        weights, whose expected log-likelihood is the largest.
    n_values : sequence of int
        Sizes of data sets.
    replicates : int
        Data sets of each size.
    inputs : frozen distribution of SciPy or callable
        What inputs are drawn from, such as ``scipy.stats.uniform(-3, 6)``, independently for each feature; or a
        function from a generator and n to inputs (n, p).
    noise : float, optional
        Scale of the likelihood that data are drawn from, where the truth is a function. None is the network's own.
    restarts : int
        Random starts of each fit, beside one at the truth.
    executor : concurrent.futures.Executor, optional
        Where data sets are fitted. With processes a truth or inputs that are functions belong to a module.
    path : path, optional
        File to which each data set's numbers are written as they come, and from which they are read the next time.
    random_seed : int or numpy.random.Generator, optional
        Seed. Each data set has its own, which does not depend on what else is asked for.
    progressbar : bool
        Show progress on standard error.

    Returns
    -------
    Consistency
        With ``message``, ``table``, ``replicates``, ``slopes`` and ``information``. Interrupted by the keyboard, with
        what there is.

    Raises
    ------
    SpecError
        An argument that breaks a rule, weights that are not the network's, or a file of another study.
    FitError
        Every data set failed.

    See Also
    --------
    fisher_information

    Notes
    -----
    Of each data set the likelihood is climbed from the truth and from random starts; the MLE is the highest end. In
    small data sets, and where the truth is singular, it may be one that few starts reach, such as a step between two
    rows: the column ``starts`` tells, and more of them find more.

    The raw distance is that of the highest end of random starts, and the aligned one that of the MLE's nearest
    symmetric copy. In a regular truth the scaled error :math:`(n E \|I_f^{1/2}(\hat f - f)\|^2)^{1/2}` tends to
    :math:`\sqrt d`, and both the likelihood ratio and :math:`n (\hat\theta - \theta)^\top I (\hat\theta - \theta)` to
    :math:`\chi^2_d`: efficiency is the median of this limit divided by the median of the latter. Wald's intervals take
    the inverse of the observed information :math:`H`, the sandwich :math:`H^{-1} \sum_i s_i s_i^\top H^{-1}` with the
    scores :math:`s_i`, which holds under a wrong model too; data sets without a proper minimum have none. With
    kinks Wald's intervals take the expected information, and there is no sandwich.

    References
    ----------
    .. [1] H. White, "Maximum likelihood estimation of misspecified models", Econometrica 50 (1982).
    .. [2] A. W. van der Vaart, "Asymptotic Statistics", chapter 5, Cambridge University Press (1998).

    Examples
    --------
    >>> import bayesnn as bnn, scipy.stats
    >>> from bayesnn.theory import consistency_study
    >>> net = bnn.MLP(hidden=(1,), noise=0.2)
    >>> truth = {"W1": [[1.5]], "b1": [0.5], "W2": [[1.0]], "b2": [0.2]}
    >>> study = consistency_study(net, truth, (50, 200), 5, inputs=scipy.stats.uniform(-3, 6), restarts=2,
    ...                           random_seed=1, progressbar=False)
    >>> study.information.rank, round(study.expected, 6), list(study.table.index)
    (4, 2.0, [50, 200])
    """
    check_arguments(restarts=restarts, progressbar=progressbar)
    check_executor(executor)
    if path is not None:
        check_arguments(path=path)
    sizes = _checked(net, n_values, replicates)
    seed = int(rng_of(random_seed).integers(2**32))
    source = make_truth(net, truth, inputs, noise, seed)
    source.draw(np.random.default_rng(seed), 2)
    settings = {
        "net": net.to_json(),
        "truth": _written(source.given),
        "inputs": _written(inputs),
        "noise": noise,
        "restarts": int(restarts),
        "random_seed": None if random_seed is None else seed,
    }
    with compiling(show=progressbar):
        at = source.point
        information = fisher_information(net, at, source.population)
        # What can't be aligned is refused before data are drawn.
        nearest(at, at, net)
        tasks: dict[Any, tuple[Any, ...]] = {
            (n, i): (fit_one, net, source, at, n, [seed, n, i], int(restarts), {})
            for n in sizes
            for i in range(int(replicates))
        }
        ran = run_tasks(
            tasks,
            executor,
            label="data sets",
            progressbar=progressbar,
            kept=lines_of(path, settings),
        )
    if not ran.done and ran.failed:
        raise FitError(f"All {len(ran.failed)} data sets failed, the first with: {next(iter(ran.failed.values()))}")
    regular = source.known and information.rank == information.size
    expected = _expected(net, information) if regular else np.nan
    frame = _frame(ran.done, information, len(source.population))
    return Consistency(net, at, source.known, information, expected, frame, ran.failed, ran.interrupted)


def _checked(net, n_values, replicates):
    """Refuse sizes and counts that are none."""
    check_net(net)
    if not isinstance(replicates, int | np.integer) or isinstance(replicates, bool) or replicates < 1:
        raise SpecError(f"Got replicates={replicates!r}; it must be a positive integer. Write replicates=60.")
    sizes = list(n_values) if isinstance(n_values, Sequence | np.ndarray) else []
    if not sizes or any(not isinstance(n, int | np.integer) or n < 2 for n in sizes) or len(set(sizes)) < len(sizes):
        raise SpecError(
            f"Got n_values={n_values!r}; it must be different sizes of data sets, each at least 2. Write "
            "n_values=(100, 400, 1600)."
        )
    return sorted(map(int, sizes))


def _written(given):
    """Write what a study depends on as JSON: weights, or the name of a function or distribution."""
    if isinstance(given, dict):
        return {name: np.asarray(value).tolist() for name, value in given.items()}
    if hasattr(given, "dist"):
        return f"{given.dist.name}{given.args}{given.kwds}"
    return f"{getattr(given, '__module__', '')}.{getattr(given, '__qualname__', type(given).__qualname__)}"


def _expected(net, information):
    """Limit of the scaled error: what the weights' share of the inverse information makes of the outputs'."""
    weights = sum(name[0] in "Wb" for name in information.names)
    inside = information.matrix[:weights, :weights] @ information.bound[:weights, :weights]
    return float(np.sqrt(np.trace(inside)))


def _frame(done, information, rows):
    """Gather what the data sets gave."""
    import pandas as pd

    reach = stats.norm.ppf((1 + LEVEL) / 2)
    found = []
    for (n, _), numbers in done.items():
        row = {k: v for k, v in numbers.items() if not isinstance(v, list)}
        error = np.array(numbers["error"])
        row["squared distance"] = n * float(error @ information.matrix @ error) / rows
        for name in ("Wald", "sandwich"):
            unknown = np.isnan(numbers[name]).any()
            row[name] = np.nan if unknown else float(np.mean(np.abs(numbers[name]) <= reach))
        found.append(row)
    return pd.DataFrame(found, index=pd.MultiIndex.from_tuples(list(done), names=["n", "replicate"]))
