"""Maximum likelihood, maximum a posteriori, and the posterior of one network."""

from bayesnn.fitting.approximate import deep_ensemble, fit_advi
from bayesnn.fitting.evidence import log_evidence
from bayesnn.fitting.existence import mle_exists
from bayesnn.fitting.laplace import fit_laplace
from bayesnn.fitting.point import fit_map, fit_mle
from bayesnn.fitting.posterior import fit_posterior

__all__ = [
    "deep_ensemble",
    "fit_advi",
    "fit_laplace",
    "fit_map",
    "fit_mle",
    "fit_posterior",
    "log_evidence",
    "mle_exists",
]
