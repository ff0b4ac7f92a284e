"""The theory lab: what textbooks claim about the likelihoods of networks, each claim one call with its number.

Every result is a small dataclass that prints as words and a table, and has a picture in `bayesnn.plots`.
"""

from bayesnn.theory.calibration import calibrate
from bayesnn.theory.consistency import Consistency, consistency_study
from bayesnn.theory.identities import Identities, identities
from bayesnn.theory.information import Information, fisher_information
from bayesnn.theory.ranks import Calibration

__all__ = [
    "Calibration",
    "Consistency",
    "Identities",
    "Information",
    "calibrate",
    "consistency_study",
    "fisher_information",
    "identities",
]
