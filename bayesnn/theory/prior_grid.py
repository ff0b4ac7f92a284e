"""MLE, MAP and posterior of the same data under narrow and wide priors, with few rows and many."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import SCALE, Seed, as_list, check_arguments, is_scale, rng_of
from bayesnn.errors import DataError, SpecError
from bayesnn.fitting import fit_map, fit_mle, fit_posterior
from bayesnn.fitting.store import lines_of
from bayesnn.fitting.tasks import check_executor, complete, quiet, run_tasks
from bayesnn.network import MLP, check_net
from bayesnn.prediction import log_likelihood_of
from bayesnn.priors import Normal
from bayesnn.theory.results import Result
from bayesnn.tree import Inputs, params_of, prepare, problem_of

if TYPE_CHECKING:
    import pandas as pd

PLACES = 81
"""Inputs at which functions are kept."""


@dataclass(frozen=True, repr=False, eq=False)
class PriorGrid(Result):
    """What `prior_grid` returns.

    Parameters
    ----------
    x : array (m,)
        Inputs at which functions are kept.
    X, y : array (n,)
        The data, in the order in which rows are added.
    prob : float
        Probability of the bands.
    mle : dict
        From numbers of rows to ``f`` (m,) and ``log_likelihood`` of the MLE, or of the limit where there is none, which
        ``exists`` says.
    cells : dict
        From (standard deviation of the prior, number of rows) to ``map`` (m,), to ``mean``, ``lower`` and ``upper``
        (m,) of the posterior's functions, to ``log_likelihood`` of the MAP, and ``log_evidence``.
    interrupted : bool
        Whether that is not all because somebody pressed Ctrl-C.
    failed : dict
        What went wrong, by the same keys.
    """

    x: np.ndarray
    X: np.ndarray
    y: np.ndarray
    prob: float
    mle: dict[int, dict[str, Any]]
    cells: dict[tuple[float, int], dict[str, Any]]
    interrupted: bool
    failed: dict[Any, Exception]

    @property
    def message(self) -> str:
        """How far the MAP is from the MLE with the fewest and the most rows."""
        table = self.table
        few, many = (table.xs(n, level="n")["MAP - MLE"] for n in (min(self.mle), max(self.mle)))
        said = (
            f"MAP and MLE are {few.min():.2g} to {few.max():.2g} apart with {min(self.mle)} rows, by the prior's "
            f"standard deviation, and {many.min():.2g} to {many.max():.2g} with {max(self.mle)}."
        )
        without = [str(n) for n, found in self.mle.items() if not found["exists"]]
        said += f" With {', '.join(without)} rows no MLE was found, and what is shown is its limit." if without else ""
        said += f" {len(self.failed)} fits failed." if self.failed else ""
        return f"{said} Interrupted." if self.interrupted else said

    @property
    def table(self) -> "pd.DataFrame":
        """A row for each prior and number of rows; distances are root mean squares over `x`."""
        import pandas as pd

        rows = [
            {
                "prior sd": sd,
                "n": n,
                "MLE log-likelihood": self.mle[n]["log_likelihood"],
                "MAP log-likelihood": cell["log_likelihood"],
                "log evidence": cell["log_evidence"],
                "MAP - MLE": _distance(cell["map"], self.mle[n]["f"]),
                "posterior mean - MAP": _distance(cell["mean"], cell["map"]),
                "width of the band": float(np.mean(np.subtract(cell["upper"], cell["lower"]))),
            }
            for (sd, n), cell in self.cells.items()
            if n in self.mle
        ]
        return pd.DataFrame(rows).set_index(["prior sd", "n"])


def prior_grid(
    net: MLP,
    X: Inputs,
    y: ArrayLike | None = None,
    *,
    prior_sds: Sequence[float] = (0.3, 1.0, 3.0),
    n_values: Sequence[int] = (5, 20, 80),
    prob: float = 0.9,
    restarts: int = 20,
    draws: int = 1000,
    chains: int = 4,
    cores: int | None = None,
    max_rounds: int | None = None,
    max_seconds: float | None = None,
    executor: Executor | None = None,
    path: str | Path | None = None,
    random_seed: Seed = None,
    progressbar: bool = True,
) -> PriorGrid:
    r"""Fit MLE, MAP and posterior under several priors, with few rows and many.

    The MLE sees no prior. The MAP goes to it as rows are added, whatever the prior; and with few rows the posterior's
    band is as wide as the prior leaves it.

    Parameters
    ----------
    net : MLP
        With a `Normal` prior, whose standard deviation is varied.
    X : array (n, 1), DataFrame or Dataset
        Inputs, in whose units the networks work.
    y : array (n,), optional
        Targets: numbers or two classes; left out when `X` is a Dataset.
    prior_sds : sequence of float
        Standard deviations of the prior.
    n_values : sequence of int
        Numbers of rows: each takes the first of the same random order.
    prob : float
        Probability of the posterior's bands.
    restarts, draws, chains, cores, max_rounds, max_seconds
        As for `fit_mle`, `fit_map` and `fit_posterior` with ``sampler="tempering"``.
    executor : concurrent.futures.Executor, optional
        Where the fits are run; with ``cores=1`` they do not compete. The numbers are the same with any and with none.
    path : path, optional
        File in which results are kept as they come, and from which a run is resumed.
    random_seed : int or numpy.random.Generator, optional
        Seed of the order and of the fits.
    progressbar : bool
        Show progress on standard error.

    Returns
    -------
    PriorGrid
        With ``.table``, ``.message``, ``.mle`` and ``.cells``; interrupted by the keyboard, those done so far.

    Raises
    ------
    SpecError
        Another prior, several features or outputs, or an argument that breaks its rule.
    DataError
        Fewer rows than are asked for, or data that break a rule.

    See Also
    --------
    bayesnn.plots.plot_prior_grid : The picture, as small multiples.
    bayesnn.theory.map_to_mle : The rate at which the MAP goes to the MLE.

    References
    ----------
    D. J. C. MacKay, "Bayesian interpolation", Neural Computation 4 (1992).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> from bayesnn.theory import prior_grid
    >>> line, data = bnn.MLP(hidden=(), noise=0.5), bnn.load_data("sine_gap", random_seed=1)
    >>> grid = prior_grid(line, data, prior_sds=[0.1, 1.0], n_values=[5, 40], restarts=2, random_seed=1,
    ...                   progressbar=False)
    >>> bool(grid.table.loc[(0.1, 40), "MAP - MLE"] < grid.table.loc[(0.1, 5), "MAP - MLE"])
    True
    """
    check_arguments(
        restarts=restarts,
        draws=draws,
        chains=chains,
        cores=cores,
        max_rounds=max_rounds,
        max_seconds=max_seconds,
        progressbar=progressbar,
    )
    check_executor(executor)
    if path is not None:
        check_arguments(path=path)
    check_arguments(prob=prob)
    check_net(net)
    if not isinstance(net.prior, Normal):
        raise SpecError(f"Got prior={net.prior!r}; it is a Normal's sd that is varied. Write prior=bnn.Normal(1.0).")
    if not all(map(is_scale, as_list("prior_sds", prior_sds, [0.3, 1.0, 3.0]))):
        raise SpecError(f"Got prior_sds={prior_sds!r}; each must be {SCALE}. Write prior_sds=[0.3, 1.0, 3.0].")
    problem = prepare(net, X, y, scaling=False)
    if problem.X.shape[1] != 1 or problem.y.ndim > 1 or net.loss.task not in ("regression", "binary", "count"):
        raise SpecError(
            f"Got {problem.X.shape[1]} features and the loss {net.loss.name!r}; functions are kept of one feature and "
            "one output. Pass one column, and numbers or two classes."
        )
    values = as_list("n_values", n_values, [5, 20, 80])
    known: Any = np.unique(values) if all(isinstance(n, int | np.integer) for n in values) else np.zeros(0)
    sizes = known.tolist() if known.dtype.kind in "iu" else []
    if not sizes or not 1 <= sizes[0] <= sizes[-1] <= len(problem.X):
        raise DataError(
            f"Got n_values={n_values!r} of {len(problem.X)} rows; they lie between 1 and that. Write "
            f"n_values=[{len(problem.X)}]."
        )
    seed = int(rng_of(random_seed).integers(2**31))
    order = np.random.default_rng(seed).permutation(len(problem.X))
    inputs, targets = problem.X[order], problem.y[order]
    x = np.linspace(inputs.min(), inputs.max(), PLACES)
    search = {"restarts": restarts}
    sampling = {"draws": draws, "chains": chains, "max_rounds": max_rounds, "max_seconds": max_seconds}
    seeds = np.random.SeedSequence(seed).generate_state(len(sizes) * (1 + len(prior_sds))).tolist()
    tasks: dict[tuple[Any, int], tuple[Any, ...]] = {}
    for n in sizes:
        data = (inputs[:n], targets[:n], x, int(net.loss.task == "binary"))
        tasks["mle", n] = (_mle, net, *data, seeds.pop(), search)
        for sd in map(float, prior_sds):
            one = replace(net, prior=replace(net.prior, sd=sd))
            options = {**search, "prob": prob, "cores": cores, "sampling": sampling}
            tasks[sd, n] = (_cell, one, *data, seeds.pop(), options)
    settings = {
        **search,
        **sampling,
        "net": net.to_json(),
        "seed": seed,
        "prob": prob,
        "n_values": sizes,
        "prior_sds": list(map(float, prior_sds)),
        "x": inputs[:, 0].tolist(),
        "y": targets.tolist(),
    }
    with quiet():
        ran = run_tasks(
            tasks,
            executor,
            label="fits",
            progressbar=progressbar,
            kept=lines_of(path, settings),
        )
    mle = {n: found for (kind, n), found in ran.done.items() if kind == "mle"}
    cells = {key: found for key, found in ran.done.items() if key[0] != "mle" and key[1] in mle}
    if not cells:
        ran.give_up()
    return PriorGrid(x, inputs[:, 0], targets, prob, mle, cells, ran.interrupted, ran.failed)


def _distance(a, b):
    return float(np.sqrt(np.mean(np.square(np.subtract(a, b)))))


def _functions(fit, x, output):
    """Means (draws, m) that a fit gives, or probabilities of the second class."""
    net, params = problem_of(fit).net, params_of(fit)
    return net.loss.mean(net.forward(params, x[:, None]), **net.likelihood_args(params))[..., output].reshape(
        -1, len(x)
    )


def _mle(net, X, y, x, output, seed, *, restarts):
    with quiet():
        fit = fit_mle(net, X, y, restarts=restarts, random_seed=seed, nonexistent="flag", progressbar=False)
    found = {"f": _functions(fit, x, output)[0].tolist(), "log_likelihood": log_likelihood_of(fit)}
    return {**found, "exists": bool(fit.attrs["bayesnn_exists"])}


def _cell(net, X, y, x, output, seed, *, restarts, prob, cores, sampling):
    with quiet():
        options = {"random_seed": seed, "progressbar": False}
        peak = fit_map(net, X, y, restarts=restarts, nonexistent="flag", **options)
        fit = complete(fit_posterior(net, X, y, sampler="tempering", cores=cores, **sampling, **options))
    f = _functions(fit, x, output)
    lower, upper = np.quantile(f, [(1 - prob) / 2, (1 + prob) / 2], axis=0).tolist()
    return {
        "map": _functions(peak, x, output)[0].tolist(),
        "log_likelihood": log_likelihood_of(peak),
        "mean": f.mean(axis=0).tolist(),
        "lower": lower,
        "upper": upper,
        "log_evidence": fit.attrs["bayesnn_log_evidence"],
    }
