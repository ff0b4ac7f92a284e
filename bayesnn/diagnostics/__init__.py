"""What the fits say about each other, and what the chains of a posterior say about themselves."""

from bayesnn.diagnostics.compare import compare
from bayesnn.diagnostics.diagnose import diagnose
from bayesnn.diagnostics.diagnosis import Diagnosis
from bayesnn.diagnostics.networks import NetworkComparison, compare_networks

__all__ = ["Diagnosis", "NetworkComparison", "compare", "compare_networks", "diagnose"]
