"""Approximations of a posterior held against the exact one: what each gets wrong, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.data import Dataset
from bayesnn.errors import SpecError
from bayesnn.prediction import centre_of, draws_of, log_mean_exp, predict, score
from bayesnn.symmetry.align import spread
from bayesnn.theory.results import Result
from bayesnn.tree import dataset_rows, kind_of, new_inputs, new_targets, problem_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

EXACT = "exact"
INPUTS = 25
"""Most held-out inputs at which predictive distributions are compared."""
INSIDE, PLACES = 0.999, 201
"""Predictive densities of a number are compared at so many places across this interval of either; beyond, by the
probability of each tail."""


@dataclass(frozen=True, repr=False, eq=False)
class Approximations(Result):
    """What `compare_approximations` returns.

    Parameters
    ----------
    fits : dict of str to xarray.DataTree
        What was compared, by name; the exact one last, as ``exact``.
    data : Dataset
        Where.
    gap : tuple of float, or None
        Ends of the gap in the training inputs.
    numbers : pandas.DataFrame
        A row for each fit: ``held-out LPPD`` and ``calibration error`` of `score`, ``90% coverage`` (numbers only),
        ``width in the gap`` (one feature: mean width of the 90% interval of the function over the gap), ``distance``
        (total variation, see `compare_approximations`) and ``seconds``.
    """

    fits: "Mapping[str, xr.DataTree]"
    data: Dataset
    gap: tuple[float, float] | None
    numbers: "pd.DataFrame"

    @property
    def table(self) -> "pd.DataFrame":
        """One row for each fit."""
        return self.numbers

    @property
    def message(self) -> str:
        """Which is nearest to the exact one, and which predicts best."""
        others = self.numbers.drop(index=EXACT)
        near, far = others["distance"].idxmin(), others["distance"].idxmax()
        floor = self.numbers.loc[EXACT, "distance"]
        said = f"Nearest to the exact predictive is {near}, {others.loc[near, 'distance']:.3f} in total variation"
        if far != near:
            said += f"; furthest {far}, {others.loc[far, 'distance']:.3f}"
        said += f" (two halves of the exact draws differ by {floor:.3f})."
        lppd = self.numbers["held-out LPPD"]
        best = lppd.idxmax()
        said += f" Held-out LPPD is highest for {best}, {lppd[best]:.3f}"
        if best != EXACT:
            said += f", against {lppd[EXACT]:.3f} of the exact posterior: here being nearer is not predicting better"
        return f"{said}."


def compare_approximations(fits: "Mapping[str, xr.DataTree]", *, exact: "xr.DataTree", data: Dataset) -> Approximations:
    r"""Hold approximations of a posterior against the exact one, by what they predict.

    The distance is the total variation between the predictive distributions of a new observation,
    :math:`\tfrac12 \int |p(y \mid x) - q(y \mid x)|\, dy`, in the mean over up to 25 held-out inputs: the most by
    which the two can differ in the probability of any event. For labels the integral is a sum.

    Parameters
    ----------
    fits : dict of str to xarray.DataTree
        From `fit_laplace`, `deep_ensemble`, `fit_advi`, `fit_map`, ..., by name: of the same network and data.
    exact : xarray.DataTree
        From `fit_posterior`, best by tempering.
    data : Dataset
        Whose held-out rows are predicted.

    Returns
    -------
    Approximations
        Prints as words and a table with a row for each fit, the exact one last; its distance is that between two halves
        of its draws, the floor that Monte Carlo error sets for the others, and its ``width in the gap`` what theirs
        should be. `plot_approximations` draws it.

    Raises
    ------
    SpecError
        No fits, one called ``exact``, another likelihood, a Dataset without held-out rows, several targets, or an exact
        one that is a point.
    FitError
        Something else than a fit.

    References
    ----------
    Y. Yao, A. Vehtari, D. Simpson and A. Gelman, "Yes, but did it work? Evaluating variational inference", ICML 2018.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> line = bnn.MLP(hidden=(), noise=0.5, prior=bnn.Normal(1.0))
    >>> exact = bnn.fit_posterior(line, data, sampler="tempering", random_seed=1, progressbar=False)
    >>> map_ = bnn.fit_map(line, data, restarts=2, random_seed=1, progressbar=False)
    >>> laplace = bnn.fit_laplace(line, data, restarts=2, random_seed=2, progressbar=False)
    >>> found = bnn.theory.compare_approximations({"MAP": map_, "Laplace": laplace}, exact=exact, data=data)
    >>> found.table["distance"].round(2).to_dict()
    {'MAP': 0.01, 'Laplace': 0.0, 'exact': 0.0}
    """
    import pandas as pd

    _check(fits, exact, data)
    problem, X = problem_of(exact), dataset_rows(data)[0]
    X = X[spread(len(X), INPUTS)]
    gap = _gap(data.X[:, 0]) if problem.X.shape[1] == 1 else None
    every = {**fits, EXACT: exact}
    half = {k: exact.copy() for k in ("first", "second")}
    draws = exact["posterior"].sizes["draw"] // 2
    half["first"]["posterior"] = exact["posterior"].isel(draw=slice(None, draws))
    half["second"]["posterior"] = exact["posterior"].isel(draw=slice(draws, None))
    rows = {}
    for name, fit in every.items():
        scored = score(fit, data)
        row: dict[str, Any] = {"held-out LPPD": scored["lppd"], "calibration error": scored["calibration_error"]}
        if "coverage_90" in scored:
            row["90% coverage"] = scored["coverage_90"]
            if gap is not None:
                inside = predict(fit, np.linspace(gap[0], gap[1], 11)[:, None])
                lower, upper = (inside[f"{centre_of(inside)}_{end}"] for end in ("lower", "upper"))
                row["width in the gap"] = float((upper - lower).mean())
        pair = (half["first"], half["second"]) if name == EXACT else (fit, exact)
        row["distance"] = _total_variation(*pair, X)
        row["seconds"] = float(fit.attrs.get("sampling_time", np.nan))
        rows[name] = row
    return Approximations(every, data, gap, pd.DataFrame.from_dict(rows, orient="index"))


def _check(fits, exact, data):
    if not isinstance(data, Dataset):
        raise SpecError(
            f"Got data of type {type(data).__name__}; it must be a bnn.Dataset with held-out rows. Take bnn.load_data."
        )
    if not isinstance(fits, Mapping) or hasattr(fits, "attrs") or not fits or EXACT in fits:
        got = list(fits) if isinstance(fits, Mapping) and not hasattr(fits, "attrs") else type(fits).__name__
        raise SpecError(
            f"Got fits={got!r}; it must be a dict from names to fits, at least one, none called {EXACT!r}. Write "
            'fits={"Laplace": fit}.'
        )
    if kind_of(exact) != "posterior":
        raise SpecError(
            f"Got a {kind_of(exact)} fit as the exact one; it must be a posterior. Take "
            "bnn.fit_posterior(net, X, y, sampler='tempering')."
        )
    problem = problem_of(exact)
    if problem.net.loss.task in ("regression", "count") and len(problem.target_names) > 1:
        raise SpecError(
            f"Got {len(problem.target_names)} targets; predictive densities are compared for one. Fit one of them."
        )
    for name, fit in fits.items():
        other = problem_of(fit)
        if other.net.loss != problem.net.loss or not np.array_equal(other.y, problem.y):
            raise SpecError(f"Got {name!r}, a fit of another likelihood or other targets. Fit the same loss and data.")


def _gap(x):
    """Widest interval without a training input."""
    x = np.unique(x)
    widest = int(np.argmax(np.diff(x)))
    return float(x[widest]), float(x[widest + 1])


def _total_variation(fit, other, X):
    """Mean total variation between two predictive distributions of a new observation."""
    task = problem_of(fit).net.loss.task
    if task not in ("regression", "count"):
        p, q = (predict(one, X)["probability"].to_numpy() for one in (fit, other))
        return float(np.abs(p - q).sum(axis=1).mean() / 2)
    ends = [predict(one, X, prob=INSIDE) for one in (fit, other)]
    low = np.minimum(*(p["lower"].to_numpy()[:, 0] for p in ends))
    high = np.maximum(*(p["upper"].to_numpy()[:, 0] for p in ends))
    densities = [_density(one) for one in (fit, other)]
    apart = []
    for x, a, b in zip(X, low, high, strict=True):
        at = np.arange(a, b + 1) if task == "count" else np.linspace(a, b, PLACES)
        (p, below_p), (q, below_q) = (density(x[None], at) for density in densities)
        size = np.abs(p - q)
        inside = size.sum() if task == "count" else np.trapezoid(size, at)
        apart.append(inside + np.abs(below_p - below_q).sum())
    return float(np.mean(apart) / 2)


def _density(fit):
    """Make a function from an input and places to the predictive density there, and the probabilities of the tails."""
    problem = problem_of(fit)
    params, forward = draws_of(fit, problem)
    loss, args = problem.net.loss, problem.net.likelihood_args(params)

    def density(x, at):
        y = new_targets(problem, at)
        f = forward(new_inputs(problem, x))
        wide = np.broadcast_to(f, (len(f), len(y), f.shape[-1]))
        below, upto = (loss.cdf(end, f, **args).mean() for end in (y[:1] - (loss.task == "count"), y[-1:]))
        log_p = log_mean_exp(loss.logp(y, wide, **args)) - problem.log_y_sd
        return np.exp(log_p), np.array([below, 1.0 - upto])

    return density
