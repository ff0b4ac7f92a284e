"""The widely applicable information criterion, beside leave-one-out by importance sampling."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.errors import FitError
from bayesnn.prediction import log_mean_exp, pointwise_log_likelihood
from bayesnn.theory.results import Result
from bayesnn.tree import kind_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

STEEP = 0.4
"""Variance of a row's log-likelihood beyond which WAIC is not to be trusted (Vehtari, Gelman and Gabry 2017)."""


@dataclass(frozen=True, repr=False, eq=False)
class WAIC(Result):
    """What `waic` returns.

    Parameters
    ----------
    elpd, se : float
        Expected log predictive density of as many new rows, in nats, and its standard error over the rows.
    p : float
        Effective number of parameters.
    pointwise : array (n, 2)
        What each row adds to both.
    """

    elpd: float
    se: float
    p: float
    pointwise: np.ndarray

    @property
    def message(self) -> str:
        """The estimate, and how many rows spoil it."""
        steep = int((self.pointwise[:, 1] > STEEP).sum())
        said = f"elpd {self.elpd:.2f} ± {self.se:.2f} nats by WAIC, {self.p:.2f} effective parameters."
        return said + (
            f" The log-likelihood of {steep} of {len(self.pointwise)} rows has a variance above {STEEP:g}: take "
            "leave-one-out, arviz.loo, instead."
            if steep
            else ""
        )

    @property
    def table(self) -> "pd.DataFrame":
        """A row for each observation."""
        import pandas as pd

        return pd.DataFrame(self.pointwise, columns=["elpd", "p"])


def waic(fit: "xr.DataTree") -> WAIC:
    r"""Estimate how well a posterior predicts new rows, by the widely applicable information criterion.

    Parameters
    ----------
    fit : xarray.DataTree
        A posterior from `fit_posterior`; the log-likelihood of its rows need not have been kept.

    Returns
    -------
    WAIC
        With ``.elpd``, ``.se``, ``.p`` and ``.pointwise``, in nats, of densities in the user's units.

    Raises
    ------
    FitError
        A fit of a single draw.

    See Also
    --------
    bayesnn.theory.information_criteria : WAIC beside the other criteria and the evidence.

    Notes
    -----
    .. math:: \mathrm{elpd} = \sum_i \log \mathrm{E}\, p(y_i \mid \theta) - \sum_i \mathrm{Var} \log p(y_i \mid \theta),

    mean and variance over the posterior. Unlike AIC and BIC it stays right where the posterior is singular.

    References
    ----------
    S. Watanabe, "Asymptotic equivalence of Bayes cross validation and widely applicable information criterion in
    singular learning theory", Journal of Machine Learning Research 11 (2010).

    A. Vehtari, A. Gelman and J. Gabry, "Practical Bayesian model evaluation using leave-one-out cross-validation and
    WAIC", Statistics and Computing 27 (2017).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> from bayesnn.theory import waic
    >>> line = bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(1.0))
    >>> X, y = [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0]
    >>> found = waic(bnn.fit_posterior(line, X, y, sampler="tempering", random_seed=1, progressbar=False))
    >>> round(found.elpd, 1), round(found.p, 1)
    (-0.6, 0.9)
    """
    values = pointwise_log_likelihood(fit)
    flat = values.reshape(-1, values.shape[-1])
    if len(flat) < 2:
        raise FitError(
            f"Got {kind_of(fit)!r}, of one draw; WAIC is an expectation over a posterior. Take "
            "bnn.fit_posterior(net, X, y)."
        )
    p = flat.var(axis=0, ddof=1)
    elpd = log_mean_exp(flat) - p
    se = float(np.sqrt(len(elpd)) * elpd.std(ddof=1)) if len(elpd) > 1 else np.nan
    return WAIC(float(elpd.sum()), se, float(p.sum()), np.stack([elpd, p], axis=1))
