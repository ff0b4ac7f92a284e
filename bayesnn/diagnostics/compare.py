"""One table of the three answers, in-sample and held-out."""

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.prediction import score
from bayesnn.priors import Hierarchical
from bayesnn.tree import KINDS, kind_of, params_of, problem_of

_UNITS = {
    "rmse": "RMSE",
    "accuracy": "accuracy",
    "lppd": "LPPD",
    "lppd_se": "LPPD standard error",
    "coverage_90": "90% coverage",
    "brier": "Brier score",
    "calibration_error": "calibration error",
}


def compare(*fits, data=None, X=None, y=None):
    """Compare fits of the same data in one table, in-sample and held-out.

    Parameters
    ----------
    *fits : xarray.DataTree
        From `fit_mle`, `fit_map`, `fit_posterior`, of the same data.
    data : Dataset, optional
        Brings the held-out rows.
    X, y : array (n, p) and array (n,) or (n, K), optional
        Held-out rows, in the user's units, in place of `data`. Without any, only in-sample figures are given.

    Returns
    -------
    pandas.DataFrame
        One column a fit. ``log-likelihood`` and ``log-prior`` are summed over observations and parameters (for a
        posterior: their means over the draws), the log-likelihood for densities in the user's units; ``weight
        norm`` is the Euclidean norm of all weights and biases (posterior: the mean). Then RMSE or accuracy, LPPD
        for each observation in nats, coverage and calibration, see `score`.

    Raises
    ------
    SpecError
        No fits, or fits of different data.

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
    import pandas as pd

    if not fits:
        raise SpecError("Got no fits; a table needs at least one. Write compare(mle, map_, post, data=data).")
    first = problem_of(fits[0])
    for fit in fits[1:]:
        other = problem_of(fit)
        if other.X.shape != first.X.shape or not (
            np.array_equal(other.y, first.y) and np.array_equal(other.X, first.X)
        ):
            raise SpecError(
                "Got fits of different data; their log-likelihoods can't be compared. Fit the same X and y."
            )
    if data is not None:
        X, y = data.X_test, data.y_test
    columns = {}
    for fit in fits:
        name = KINDS[kind_of(fit)]
        if not fit.attrs.get("bayesnn_exists", 1):
            name += " (none: last iterate)"
        while name in columns:
            name += "'"
        columns[name] = _column(fit, X, y)
    return pd.DataFrame(columns)


def _column(fit, X, y):
    problem, params = problem_of(fit), params_of(fit)
    net = problem.net
    weights = [v.reshape(*v.shape[:2], -1) for k, v in params.items() if k[0] in "Wb"]
    loglik = net.log_likelihood(params, problem.X, problem.y).sum(axis=-1) - len(problem.X) * problem.log_y_sd
    # An MLE has no learned scales at which a hierarchical prior could be evaluated.
    unknown = isinstance(net.prior, Hierarchical) and "scale1" not in params
    rows = {
        "log-likelihood": np.mean(loglik),
        "log-prior": np.mean(net.log_prior(params)) if net.proper and not unknown else np.nan,
        "weight norm": np.mean(np.sqrt(sum(np.square(w).sum(axis=-1) for w in weights))),
    }
    if "noise" in params:
        rows["noise"] = np.mean(params["noise"])
    for where, args in (("in-sample", ()), ("held-out", (X, y))):
        if where == "held-out" and X is None:
            continue
        found = score(fit, *args)
        rows |= {f"{where} {_UNITS[k]}": v for k, v in found.items() if k in _UNITS}
    return {k: float(v) for k, v in rows.items()}
