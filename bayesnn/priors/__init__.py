"""Priors of the weights and of the noise, and the table that says which penalty each of them is."""

from bayesnn.priors.base import PRIORS, Prior, as_prior, is_ours
from bayesnn.priors.elastic_net import ElasticNet
from bayesnn.priors.families import Flat, Laplace, Normal, StudentT
from bayesnn.priors.hierarchical import Hierarchical
from bayesnn.priors.json import prior_from_json, prior_to_json
from bayesnn.priors.noise import NOISE_PRIORS, HalfFlat, HalfNormal, InverseGamma, LogNormal, NoisePrior
from bayesnn.priors.penalties import penalty_table
from bayesnn.priors.penalty_prior import PenaltyPrior
from bayesnn.priors.translation import Penalty

__all__ = [
    "NOISE_PRIORS",
    "PRIORS",
    "ElasticNet",
    "Flat",
    "HalfFlat",
    "HalfNormal",
    "Hierarchical",
    "InverseGamma",
    "Laplace",
    "LogNormal",
    "NoisePrior",
    "Normal",
    "Penalty",
    "PenaltyPrior",
    "Prior",
    "StudentT",
    "as_prior",
    "is_ours",
    "penalty_table",
    "prior_from_json",
    "prior_to_json",
]

PRIORS.update({cls.__name__: cls for cls in (Flat, Normal, Laplace, ElasticNet, StudentT, Hierarchical, PenaltyPrior)})
