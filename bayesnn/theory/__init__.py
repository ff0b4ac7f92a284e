"""The theory lab: what textbooks claim about the likelihoods of networks, each claim one call with its number.

Every result is a small dataclass that prints as words and a table, and has a picture in `bayesnn.plots`.
"""

from bayesnn.theory.exact import ExactPosterior, exact_posterior
from bayesnn.theory.references import Reference, reference_posteriors
from bayesnn.theory.validate import Validation, validate_sampler

__all__ = [
    "ExactPosterior",
    "Reference",
    "Validation",
    "exact_posterior",
    "reference_posteriors",
    "validate_sampler",
]
