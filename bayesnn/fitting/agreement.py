"""How well chains agree about the function of the network: what their weights never need to."""

import numpy as np

from bayesnn.network import Params
from bayesnn.tree import Problem

ROWS = 20
"""Training inputs at which the function is looked at."""


def function_values(problem: Problem, params: Params) -> np.ndarray:
    """Evaluate the outputs at some training inputs, without those that do not move.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    params : dict of str to array
        With leading dimensions chain and draw.

    Returns
    -------
    array (chain, draw, value)
        For classes less their mean, since a common shift of all logits changes no probability.
    """
    rows = np.unique(np.linspace(0, len(problem.X) - 1, ROWS).astype(int))
    f = problem.net.forward(params, problem.X[rows])
    if problem.net.loss.task == "classes":
        f = f - f.mean(axis=-1, keepdims=True)
    f = f.reshape(*f.shape[:2], -1)
    return f[:, :, np.ptp(f, axis=(0, 1)) > 0]


def function_rhat(f: np.ndarray) -> float:
    """Worst rank-normalised split R-hat of the values of `function_values`; 1.0 where none moves."""
    import arviz as az

    return max((float(az.rhat(f[:, :, k])) for k in range(f.shape[2])), default=1.0)


def function_ess(f: np.ndarray) -> float:
    """Smallest bulk effective sample size of the values of `function_values`; all draws where none moves."""
    import arviz as az

    return min((float(az.ess(f[:, :, k])) for k in range(f.shape[2])), default=float(f.shape[0] * f.shape[1]))
