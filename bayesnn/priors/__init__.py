"""Priors of the weights and of the noise, and the table that says which penalty each of them is."""

from bayesnn.priors.families import (
    PRIORS,
    ElasticNet,
    Flat,
    Hierarchical,
    Laplace,
    Normal,
    Penalty,
    Prior,
    StudentT,
    as_prior,
)
from bayesnn.priors.json import prior_from_json, prior_to_json
from bayesnn.priors.noise import NOISE_PRIORS, HalfFlat, HalfNormal, InverseGamma, LogNormal, NoisePrior
from bayesnn.priors.penalties import penalty_table

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
    "Prior",
    "StudentT",
    "as_prior",
    "penalty_table",
    "prior_from_json",
    "prior_to_json",
]
