"""The theory lab: what textbooks claim about the likelihoods of networks, each claim one call with its number.

Every result is a small dataclass that prints as words and a table, and has a picture in `bayesnn.plots`.
"""

from bayesnn.theory.approximations import Approximations, compare_approximations

__all__ = ["Approximations", "compare_approximations"]
