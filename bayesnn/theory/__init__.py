"""The theory lab: what textbooks claim about the likelihoods of networks, each claim one call with its number.

Every result is a small dataclass that prints as words and a table, and has a picture in `bayesnn.plots`.
"""

from bayesnn.theory.criteria import information_criteria
from bayesnn.theory.prior_grid import prior_grid
from bayesnn.theory.sensitivity import map_to_mle, power_sensitivity
from bayesnn.theory.singular import product_evidence, singular_study
from bayesnn.theory.waic import waic
from bayesnn.theory.wide import prior_functions, wide_limit

__all__ = [
    "information_criteria",
    "map_to_mle",
    "power_sensitivity",
    "prior_functions",
    "prior_grid",
    "product_evidence",
    "singular_study",
    "waic",
    "wide_limit",
]
