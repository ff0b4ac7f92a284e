"""The theory lab: what textbooks claim about the likelihoods of networks, each claim one call with its number.

Every result is a small dataclass that prints as words and a table, and has a picture in `bayesnn.plots`.
"""

from bayesnn.theory.approximations import Approximations, compare_approximations
from bayesnn.theory.barrier import MirrorBarrier, mirror_barrier
from bayesnn.theory.calibration import calibrate
from bayesnn.theory.conjugate import ConjugatePosterior, conjugate_posterior
from bayesnn.theory.consistency import Consistency, consistency_study
from bayesnn.theory.convex import Convexity, convexity
from bayesnn.theory.criteria import information_criteria
from bayesnn.theory.estimates import EstimateComparison, compare_estimates
from bayesnn.theory.exact import ExactPosterior, exact_posterior
from bayesnn.theory.identities import Identities, identities
from bayesnn.theory.information import Information, fisher_information
from bayesnn.theory.likelihoods import textbook_likelihood
from bayesnn.theory.prior_grid import prior_grid
from bayesnn.theory.racing import WeightRace, race_weights
from bayesnn.theory.ranks import Calibration
from bayesnn.theory.references import Reference, reference_posteriors
from bayesnn.theory.sensitivity import map_to_mle, power_sensitivity
from bayesnn.theory.singular import product_evidence, singular_study
from bayesnn.theory.textbook import TextbookLikelihood
from bayesnn.theory.underflow import Underflow, underflow
from bayesnn.theory.validate import Validation, validate_sampler
from bayesnn.theory.waic import waic
from bayesnn.theory.wide import prior_functions, wide_limit

__all__ = [
    "Approximations",
    "Calibration",
    "ConjugatePosterior",
    "Consistency",
    "Convexity",
    "EstimateComparison",
    "ExactPosterior",
    "Identities",
    "Information",
    "MirrorBarrier",
    "Reference",
    "TextbookLikelihood",
    "Underflow",
    "Validation",
    "WeightRace",
    "calibrate",
    "compare_approximations",
    "compare_estimates",
    "conjugate_posterior",
    "consistency_study",
    "convexity",
    "exact_posterior",
    "fisher_information",
    "identities",
    "information_criteria",
    "map_to_mle",
    "mirror_barrier",
    "power_sensitivity",
    "prior_functions",
    "prior_grid",
    "product_evidence",
    "race_weights",
    "reference_posteriors",
    "singular_study",
    "textbook_likelihood",
    "underflow",
    "validate_sampler",
    "waic",
    "wide_limit",
]
