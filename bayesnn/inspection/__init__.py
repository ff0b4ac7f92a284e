"""Reading a fit: what each input does to the mean, on average and row by row, and whether the data suit the fit."""

from bayesnn.inspection.dependence import partial_dependence
from bayesnn.inspection.effects import MarginalEffects, marginal_effects
from bayesnn.inspection.predictive import PredictiveCheck, posterior_predictive_check

__all__ = [
    "MarginalEffects",
    "PredictiveCheck",
    "marginal_effects",
    "partial_dependence",
    "posterior_predictive_check",
]
