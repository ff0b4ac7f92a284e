"""The theory lab: what textbooks claim about the likelihoods of networks, each claim one call with its number.

Every result is a small dataclass that prints as words and a table, and has a picture in `bayesnn.plots`.
"""

from bayesnn.theory.barrier import MirrorBarrier, mirror_barrier
from bayesnn.theory.conjugate import ConjugatePosterior, conjugate_posterior
from bayesnn.theory.convex import Convexity, convexity
from bayesnn.theory.estimates import EstimateComparison, compare_estimates
from bayesnn.theory.likelihoods import textbook_likelihood
from bayesnn.theory.racing import WeightRace, race_weights
from bayesnn.theory.textbook import TextbookLikelihood
from bayesnn.theory.underflow import Underflow, underflow

__all__ = [
    "ConjugatePosterior",
    "Convexity",
    "EstimateComparison",
    "MirrorBarrier",
    "TextbookLikelihood",
    "Underflow",
    "WeightRace",
    "compare_estimates",
    "conjugate_posterior",
    "convexity",
    "mirror_barrier",
    "race_weights",
    "textbook_likelihood",
    "underflow",
]
