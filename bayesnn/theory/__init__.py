"""The theory lab: what textbooks claim about the likelihoods of networks, each claim one call with its number.

Every result is a small dataclass that prints as words and a table, and has a picture in `bayesnn.plots`.
"""

from bayesnn.theory.consistency import Consistency, consistency_study
from bayesnn.theory.information import Information, fisher_information

__all__ = ["Consistency", "Information", "consistency_study", "fisher_information"]
