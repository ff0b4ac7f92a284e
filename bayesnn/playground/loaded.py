"""What workers have loaded before they are asked for anything."""

import arviz  # noqa: F401
import nutpie  # noqa: F401
import pymc  # noqa: F401

import bayesnn.diagnostics
import bayesnn.fitting
import bayesnn.playground.answers
import bayesnn.prediction
import bayesnn.symmetry  # noqa: F401
