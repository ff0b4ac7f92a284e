"""Maximum likelihood, maximum a posteriori, and the posterior of one network."""

from bayesnn.fitting.evidence import log_evidence
from bayesnn.fitting.existence import mle_exists
from bayesnn.fitting.point import fit_map, fit_mle
from bayesnn.fitting.posterior import fit_posterior

__all__ = ["fit_map", "fit_mle", "fit_posterior", "log_evidence", "mle_exists"]
