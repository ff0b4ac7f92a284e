"""What the fits say about each other, and what the chains of a posterior say about themselves."""

from bayesnn.diagnostics.compare import compare
from bayesnn.diagnostics.diagnose import diagnose
from bayesnn.diagnostics.diagnosis import Diagnosis

__all__ = ["Diagnosis", "compare", "diagnose"]
