"""BIC, WBIC, WAIC and leave-one-out of one network and its data, beside the evidence."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import Seed, check_arguments, rng_of
from bayesnn.errors import DataError
from bayesnn.fitting import fit_mle, fit_posterior, log_evidence
from bayesnn.fitting.posterior import check_proper
from bayesnn.fitting.tasks import complete, quiet
from bayesnn.network import MLP
from bayesnn.prediction import log_likelihood_of, pointwise_log_likelihood
from bayesnn.theory.results import Result
from bayesnn.theory.waic import waic
from bayesnn.tree import Inputs, ScalingChoice, params_of, prepare

if TYPE_CHECKING:
    import pandas as pd

SECOND = 1.5
"""The second inverse temperature, in units of the first, 1 / log n."""
FEWEST = 5
"""Rows at which the second is still below one."""


@dataclass(frozen=True, repr=False, eq=False)
class Criteria(Result):
    """What `information_criteria` returns; all in nats, of densities in the user's units.

    Parameters
    ----------
    n, parameters : int
        Rows, and numbers that the network has to learn.
    log_evidence, log_evidence_se : float
        By tempering.
    wbic, wbic_se : float
        Mean negative log-likelihood at the inverse temperature 1 / log n.
    bic : float
        Half of what is often called so: negative log-likelihood of the MLE and d / 2 log n. Negative infinity where
        the likelihood is unbounded.
    learning_coefficient, learning_coefficient_se : float
        By two temperatures.
    waic, loo : float
        Expected log predictive densities of as many new rows.
    pareto_k : float
        Greatest shape of a tail in `loo`, which is to be below 0.7.
    converged : bool
        Whether tempering reached its marks.
    """

    n: int
    parameters: int
    log_evidence: float
    log_evidence_se: float
    wbic: float
    wbic_se: float
    bic: float
    learning_coefficient: float
    learning_coefficient_se: float
    waic: float
    loo: float
    pareto_k: float
    converged: bool

    @property
    def message(self) -> str:
        """How far the criteria are from the evidence, and the learning coefficient."""
        said = (
            f"{self.n} rows, {self.parameters} parameters: -log evidence {-self.log_evidence:.2f} ± "
            f"{self.log_evidence_se:.2f}; WBIC is {self.wbic + self.log_evidence:+.2f} ± {self.wbic_se:.2f} nats from "
            f"it, BIC/2 {self.bic + self.log_evidence:+.2f}. Learning coefficient {self.learning_coefficient:.2f} ± "
            f"{self.learning_coefficient_se:.2f}, where d/2 is {self.parameters / 2:g}."
        )
        return said if self.converged else f"{said} Tempering has not reached its marks."

    @property
    def table(self) -> "pd.DataFrame":
        """A row for each number, with its Monte Carlo standard error."""
        import pandas as pd

        values = {
            "-log evidence": (-self.log_evidence, self.log_evidence_se),
            "WBIC": (self.wbic, self.wbic_se),
            "BIC/2": (self.bic, 0.0),
            "-WAIC elpd": (-self.waic, np.nan),
            "-LOO elpd": (-self.loo, np.nan),
            "learning coefficient": (self.learning_coefficient, self.learning_coefficient_se),
            "d/2": (self.parameters / 2, 0.0),
        }
        return pd.DataFrame.from_dict(values, orient="index", columns=["value", "se"])


def information_criteria(
    net: MLP,
    X: Inputs,
    y: ArrayLike | None = None,
    *,
    restarts: int = 20,
    draws: int = 1000,
    tune: int | None = None,
    chains: int = 4,
    cores: int | None = None,
    max_rounds: int | None = None,
    max_seconds: float | None = None,
    scaling: ScalingChoice = None,
    random_seed: Seed = None,
    progressbar: bool = True,
) -> Criteria:
    r"""Compute BIC, WBIC, WAIC and PSIS-LOO beside the evidence that the first two stand for.

    Parameters
    ----------
    net : MLP
        The network, with proper priors.
    X : array (n, p), DataFrame or Dataset
        At least five rows.
    y : array (n,) or (n, K), optional
        Targets; left out when `X` is a Dataset.
    restarts : int
        Random starts of the MLE.
    draws, tune, chains, cores, max_rounds, max_seconds
        As for `fit_posterior` with ``sampler="tempering"``.
    scaling : None, "standard", False or Scaling
        As for `fit_mle`.
    random_seed : int or numpy.random.Generator, optional
        Seed of both fits.
    progressbar : bool
        Show progress on standard error.

    Returns
    -------
    Criteria
        The numbers, their errors, and the learning coefficient beside d/2.

    Raises
    ------
    DataError
        Fewer than five rows, or data that break a rule.
    ImproperPriorError
        A flat prior, under which there is no evidence.
    KeyboardInterrupt
        From the keyboard: criteria of a run that was cut short would look like others.

    See Also
    --------
    bayesnn.theory.singular_study : The same as rows are added.

    Notes
    -----
    WBIC is :math:`\mathrm{E}_\beta[-\log p(y \mid \theta)]` over the density proportional to prior times likelihood to
    the power :math:`\beta = 1 / \log n`, of all parameters: with the output layer integrated out it would be of another
    likelihood. Tempering's ladder is given rungs of its own at :math:`\beta` and :math:`1.5 \beta`, so that nothing is
    interpolated, and the states there have gone through the whole ladder. With :math:`E_1, E_2` at the two, the
    learning coefficient is estimated by

    .. math:: \hat\lambda = \frac{E_1 - E_2}{1/\beta_1 - 1/\beta_2} .

    References
    ----------
    S. Watanabe, "A widely applicable Bayesian information criterion", Journal of Machine Learning Research 14 (2013);
    the last formula is its corollary 3.

    A. Vehtari, A. Gelman and J. Gabry, "Practical Bayesian model evaluation using leave-one-out cross-validation and
    WAIC", Statistics and Computing 27 (2017).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> from bayesnn.theory import information_criteria
    >>> net = bnn.MLP(hidden=(1,), bias=False, noise=0.3, prior=bnn.Normal(1.0))
    >>> X, y = [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0]
    >>> found = information_criteria(net, X, y, random_seed=1, progressbar=False)
    >>> round(found.wbic, 1), round(found.bic, 1)   # by quadrature -0.311; from the MLE 0.295
    (-0.3, 0.3)
    """
    check_arguments(
        restarts=restarts,
        draws=draws,
        tune=tune,
        chains=chains,
        cores=cores,
        max_rounds=max_rounds,
        max_seconds=max_seconds,
        progressbar=progressbar,
    )
    problem = prepare(net, X, y, scaling=scaling)
    check_proper(net)
    n = len(problem.X)
    if n < FEWEST:
        raise DataError(f"Got {n} rows; criteria for large n need {FEWEST} at least. Add rows.")
    seeds = rng_of(random_seed).integers(2**31, size=2)
    beta = 1 / np.log(n)
    with quiet():
        mle = fit_mle(
            net,
            X,
            y,
            restarts=restarts,
            random_seed=int(seeds[0]),
            scaling=scaling,
            nonexistent="flag",
            progressbar=progressbar,
        )
        fit = fit_posterior(
            net,
            X,
            y,
            draws=draws,
            tune=tune,
            chains=chains,
            cores=cores,
            sampler="tempering",
            random_seed=int(seeds[1]),
            max_rounds=max_rounds,
            max_seconds=max_seconds,
            rungs=(beta, SECOND * beta),
            collapse=False,
            scaling=scaling,
            progressbar=progressbar,
        )
        loo, pareto_k = _loo(complete(fit))
    evidence = log_evidence(fit)
    size = sum(values[0, 0].size for values in params_of(fit).values())
    return Criteria(
        n=n,
        parameters=size,
        log_evidence=evidence.value,
        log_evidence_se=evidence.se,
        bic=float(size / 2 * np.log(n) - log_likelihood_of(mle)),
        waic=waic(fit).elpd,
        loo=loo,
        pareto_k=pareto_k,
        converged=not fit.attrs["bayesnn_unmet"],
        **_of_rungs(fit),
    )


def _of_rungs(fit):
    """WBIC and learning coefficient, with their errors, from the log-likelihoods at two temperatures."""
    import arviz as az

    log = fit["rungs"]["log_likelihood"].to_numpy()
    betas = fit["rungs"]["inverse_temperature"].to_numpy()
    slopes = (log[..., 1] - log[..., 0]) / (1 / betas[0] - 1 / betas[1])
    return {
        "wbic": -float(log[..., 0].mean()),
        "wbic_se": float(az.mcse(log[..., 0])),
        "learning_coefficient": float(slopes.mean()),
        "learning_coefficient_se": float(az.mcse(slopes)),
    }


def _loo(fit):
    """Leave-one-out by importance sampling: the sum, and the greatest shape of a tail."""
    import arviz as az

    values = pointwise_log_likelihood(fit)
    # Where all draws agree nothing is to be weighted, and there is no tail.
    alike = np.ptp(values, axis=(0, 1)) == 0
    exact = float(values[0, 0, alike].sum())
    if alike.all():
        return exact, -np.inf
    values = values[..., ~alike]
    groups = {"posterior": {"likelihood": np.exp(values - values.max(axis=(0, 1)))}, "log_likelihood": {"y": values}}
    found = az.loo(az.from_dict(groups), pointwise=True)
    return exact + float(found.elpd), float(found.pareto_k.max())
