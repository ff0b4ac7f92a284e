"""Priors of the weights, and the table that says which penalty each of them is."""

from bayesnn.priors.families import (
    NOISE_PRIORS,
    PRIORS,
    ElasticNet,
    Flat,
    HalfFlat,
    HalfNormal,
    Hierarchical,
    Laplace,
    Normal,
    Penalty,
    Prior,
    StudentT,
    as_prior,
)
from bayesnn.priors.json import prior_from_json, prior_to_json
from bayesnn.priors.penalties import penalty_table

__all__ = [
    "NOISE_PRIORS",
    "PRIORS",
    "ElasticNet",
    "Flat",
    "HalfFlat",
    "HalfNormal",
    "Hierarchical",
    "Laplace",
    "Normal",
    "Penalty",
    "Prior",
    "StudentT",
    "as_prior",
    "penalty_table",
    "prior_from_json",
    "prior_to_json",
]
