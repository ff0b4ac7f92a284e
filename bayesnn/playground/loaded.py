"""What workers have loaded before they are asked for anything, compiled code too: it is imported before they begin.

A first fit that has to wait for all that would run out of its time.
"""

import arviz  # noqa: F401
import nutpie  # noqa: F401
import pymc  # noqa: F401
import threadpoolctl

import bayesnn.diagnostics
import bayesnn.fitting
import bayesnn.prediction
import bayesnn.symmetry  # noqa: F401
from bayesnn.playground.answers import compile_pair

# Workers are as many as cores, and arrays short.
threadpoolctl.threadpool_limits(1, user_api="blas")
# Processes that are forked from this one have no other thread of it, so it must not have any.
compile_pair("tanh", "squared_error", nuts=False)
