"""One table of the answers, in-sample and held-out."""

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayesnn.data import Dataset
from bayesnn.data.target import known_of
from bayesnn.errors import SpecError
from bayesnn.fitting.evidence import log_evidence
from bayesnn.prediction import log_likelihood_of, score
from bayesnn.tree import Fits, Inputs, Rows, dataset_rows, is_unbounded, named_fits, params_of, problem_of

if TYPE_CHECKING:
    import xarray as xr


_UNITS = {
    "rmse": "RMSE",
    "accuracy": "accuracy",
    "lppd": "LPPD",
    "lppd_se": "LPPD standard error",
    "coverage_90": "90% coverage",
    "brier": "Brier score",
    "calibration_error": "calibration error",
}
_ORDER = ("log-likelihood", "log-prior", "log evidence", "weight norm", "noise", "in-sample", "held-out")
_LARGE, _SMALL = 1e6, 1e-4
"""Sizes from which, and below which, a number is printed as a power of ten."""


class Comparison(pd.DataFrame):
    """What `compare` returns: a DataFrame that prints each number by itself.

    A very large or very small number is written as a power of ten, and leaves the others of its column alone.
    """

    @property
    def _constructor(self):
        return Comparison

    def _formatters(self):
        return [
            _formatter(column.to_numpy()) if column.dtype.kind == "f" else None
            for column in (self.iloc[:, k] for k in range(self.shape[1]))
        ]

    def __repr__(self):
        """Show the table as text."""
        return self.to_string(formatters=self._formatters(), line_width=shutil.get_terminal_size((80, 24)).columns)

    def _repr_html_(self):
        """Show the table in Jupyter."""
        return self.to_html(formatters=self._formatters())


def _formatter(values):
    """Write numbers with the decimals that the ordinary ones among them need, at most six."""
    usual = [v for v in values if _usual(v)]
    decimals = max((len(f"{v:.6f}".rstrip("0").partition(".")[2]) for v in usual), default=1) or 1
    # A place for the sign, as pandas leaves it.
    return lambda v: f"{v: .{decimals}f}" if _usual(v) or not np.isfinite(v) else f"{v: .3e}"


def _usual(v):
    return v == 0 or _SMALL <= abs(v) < _LARGE


def compare(
    *fits: Fits,
    data: Dataset | None = None,
    X: Inputs | None = None,
    y: ArrayLike | None = None,
    rows: Rows = None,
    **named: "xr.DataTree",
) -> "pd.DataFrame":
    """Compare fits of the same data in one table, in-sample and held-out.

    Parameters
    ----------
    *fits : xarray.DataTree
        From `fit_mle`, `fit_map`, `fit_posterior`, of the same data; or a list of them, or a dict from names to fits.
    data : Dataset, optional
        Brings the held-out rows.
    X, y : array (n, p) and array (n,) or (n, K), optional
        Held-out rows, in the user's units, in place of `data`. Without any, only in-sample figures are given.
    rows : {"test", "train"}, optional
        Which rows of `data`: the held-out ones if left out; with ``"train"`` only in-sample figures are given.
    **named : xarray.DataTree
        Fits with their names, as in ``compare(narrow=fit, wide=other)``. The names ``data``, ``X``, ``y`` and ``rows``
        are taken: give such a fit in a dict.

    Returns
    -------
    pandas.DataFrame
        One column a fit, headed by its name, or by ``MLE``, ``MAP`` or ``posterior``; and a row each for

        - ``log-likelihood``: the sum over the observations, of densities in the user's units (posterior: the mean
          over the draws, as in the next rows);
        - ``log-prior``: the sum over weights, biases, their scales and the noise. Where the fit scaled its data,
          parameters have other units than the user's, and the row is called ``log-prior (scaled units)``;
        - ``log evidence``, ``log evidence standard error``: of a posterior by tempering, see `log_evidence`;
        - ``weight norm``: the Euclidean length of all weights and biases; ``weight norm (scaled units)`` likewise;
        - ``noise``: where it was learned, in the user's units; with several scaled targets a row for each;
        - RMSE or accuracy, LPPD for each observation in nats, coverage and calibration, see `score`.

    Raises
    ------
    SpecError
        No fits, a name twice, fits of different data, or a Dataset without held-out rows.
    FitError
        Something else than a fit.

    Notes
    -----
    A fit whose maximum is only approached at infinity is headed ``MLE: at infinity``: its log-likelihood is that of
    the limit, its weight norm infinite, its log-prior minus infinity, and its scores are those of the limit. Where the
    density grows without bound, ``MLE: unbounded``, there is no function to give numbers of: log-likelihood and
    in-sample LPPD are infinite, the noise is zero, and the rest is NaN.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> line = bnn.MLP(hidden=(), noise=0.3)
    >>> x, y = [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0]
    >>> mle = bnn.fit_mle(line, x, y, restarts=2, random_seed=1, progressbar=False)
    >>> map_ = bnn.fit_map(line, x, y, restarts=2, random_seed=1, progressbar=False)
    >>> bnn.compare(mle, map_).loc[["log-likelihood", "log-prior", "weight norm"]].round(4)
                       MLE     MAP
    log-likelihood  0.8752  0.8737
    log-prior      -2.0005 -1.9976
    weight norm     0.5704  0.5653
    """
    if data is not None:
        if not isinstance(data, Dataset):
            raise SpecError(
                f"Got data of type {type(data).__name__}; it must be a bnn.Dataset. Pass arrays as X= and y=, and a "
                "fit that is called 'data' in a dict."
            )
        if X is not None or y is not None:
            raise SpecError("Got data and X or y; both bring held-out rows. Leave one out.")
        X, y = dataset_rows(data, rows)
        X = None if rows == "train" else X
    elif rows is not None:
        raise SpecError(
            f"Got rows={rows!r} without data; rows are chosen from a Dataset. Pass data=, or leave rows out."
        )
    elif y is not None and X is None:
        raise SpecError("Got y without X; a row has both. Pass X and y, or leave y out.")
    fits = named_fits(fits, named)
    first = _data(next(iter(fits.values())))
    for name, fit in fits.items():
        mine = _data(fit)
        if len(mine) != len(first) or not all(map(_equal, mine, first)):
            raise SpecError(
                f"Got fits of different data ({name!r} and {next(iter(fits))!r}); their log-likelihoods can't be "
                "compared. Fit the same X and y."
            )
    table = Comparison({name: _column(fit, X, y) for name, fit in fits.items()})
    return table.loc[sorted(table.index, key=lambda row: next(i for i, k in enumerate(_ORDER) if row.startswith(k)))]


def _data(fit):
    """Training rows in the user's units, and what is known of them."""
    problem = problem_of(fit)
    X, y, known = problem.X, problem.values, known_of(problem.y).values()
    if problem.scaling is None:
        return X, y, *known
    return problem.scaling.inverse_X(X), problem.scaling.inverse_y(y), *known


def _equal(a, b):
    """Whether arrays are the same but for the rounding of a scaling."""
    return a.shape == b.shape and np.allclose(a, b, rtol=0, atol=1e-9 * np.abs(b).max(initial=0.0))


def _column(fit, X, y):
    problem, params = problem_of(fit), params_of(fit)
    net = problem.net
    at_infinity = fit.attrs.get("bayesnn_exists", 1) == 0 and not is_unbounded(fit)
    units = "" if problem.scaling is None else " (scaled units)"
    weights = [v.reshape(*v.shape[:2], -1) for k, v in params.items() if k[0] in "Wb"]
    # An MLE has no learned scales at which a hierarchical prior could be evaluated.
    unknown = net.prior.has_learned_scale and "scale1" not in params
    rows = {
        "log-likelihood": log_likelihood_of(fit),
        f"log-prior{units}": np.mean(net.log_prior(params)) if net.proper and not unknown else np.nan,
        f"weight norm{units}": np.mean(np.sqrt(sum(np.square(w).sum(axis=-1) for w in weights))),
    }
    if "bayesnn_log_evidence" in fit.attrs:
        evidence = log_evidence(fit)
        rows |= {"log evidence": evidence.value, "log evidence standard error": evidence.se}
    if at_infinity:
        rows[f"weight norm{units}"] = np.inf
        rows[f"log-prior{units}"] -= np.inf
    if is_unbounded(fit):
        rows = dict.fromkeys(rows, np.nan) | {"log-likelihood": log_likelihood_of(fit)}
    if "noise" in params:
        noise = np.mean(params["noise"]) * problem.y_sd * (not is_unbounded(fit))
        names = [f"noise[{name}]" for name in problem.target_names] if np.ptp(noise) > 0 else ["noise"]
        rows |= dict(zip(names, noise, strict=False))
    for where, args in (("in-sample", ()), ("held-out", (X, y))):
        if where == "held-out" and X is None:
            continue
        found = score(fit, *args)
        rows |= {f"{where} {_UNITS[k]}": v for k, v in found.items() if k in _UNITS}
    return {k: float(v) for k, v in rows.items()}
