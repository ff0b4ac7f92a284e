"""What comes from other libraries and goes out of this one: trained weights, audited, and predictions as a module."""

from bayesnn.exchange.audit import WeightsAudit, audit_weights
from bayesnn.exchange.export import export_module
from bayesnn.exchange.keras import read_keras
from bayesnn.exchange.sklearn import read_sklearn
from bayesnn.exchange.torch import read_torch
from bayesnn.exchange.trained import from_weights
from bayesnn.exchange.weights import Decay, TrainedWeights

__all__ = [
    "Decay",
    "TrainedWeights",
    "WeightsAudit",
    "audit_weights",
    "export_module",
    "from_weights",
    "read_keras",
    "read_sklearn",
    "read_torch",
]
