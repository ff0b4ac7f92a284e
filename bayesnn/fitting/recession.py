"""Directions of weights along which no observation's log-likelihood falls and some rise for ever."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from bayesnn.tree import Problem

REACH = 1e5
"""Largest weight of a direction, in units in which the largest feature is one and a rising row rises by one."""
SOME = (1000, 10_000)
"""Rows that are looked at first where there are many more."""


def some_rows_rule_it_out(problem: Problem, design: Callable[[Problem], np.ndarray]) -> bool:
    """Say whether a few of many rows already show that there is no direction of recession.

    A direction for all rows is one for any of them. If those have none, and their null space is no larger than that of
    all rows can be, there is none.

    Parameters
    ----------
    problem : Problem
        Labels or counts.
    design : callable
        From a problem to its design, as for `recession`.

    Returns
    -------
    bool
        False where that is not known.
    """
    y, rng = problem.y, np.random.default_rng(0)
    for count in SOME:
        if len(y) < 5 * count:
            return False
        # Every label occurs among them: a class that did not would have no cutpoint, or any weights.
        first = np.unique(y, return_index=True)[1] if problem.net.loss.task != "count" else np.zeros(0, dtype=int)
        rows = np.union1d(rng.choice(len(y), count, replace=False), first)
        few = replace(problem, X=problem.X[rows], y=y[rows])
        matrix = design(few)
        unit = np.abs(matrix).max(axis=0, initial=0.0)
        both = np.vstack(_rows(few, matrix / np.where(unit > 0, unit, 1.0)))
        shifts = matrix.shape[1] if problem.net.loss.task == "classes" else 0
        if both.size and np.linalg.matrix_rank(both) == both.shape[1] - shifts and recession(few, matrix) is None:
            return True
    return False


def recession(problem: Problem, design: np.ndarray) -> dict[str, Any] | None:
    """Search a direction of recession of a linear predictor, by a linear programme that finds every row that can rise.

    Parameters
    ----------
    problem : Problem
        Labels or counts.
    design : array (n, p)
        What the weights multiply, without those whose priors keep them finite.

    Returns
    -------
    dict or None
        ``reason`` in words, ``direction`` (weights, class by class; then cutpoints), how many rows (comparisons of
        classes) are ``rising``, the ``smallest_margin`` of all rows and the ``slowest`` of those that rise, and the
        ``extent`` of a vector of weights along the direction.

    References
    ----------
    A. Albert and J. A. Anderson, "On the existence of maximum likelihood estimates in logistic regression models",
    Biometrika 71 (1984). K. Konis, "Linear programming algorithms for detecting separated data in binary logistic
    regression models", thesis, University of Oxford (2007).
    """
    from scipy import sparse
    from scipy.optimize import linprog

    # Columns in units of their own size, so that the tolerances mean the same for all of them.
    unit = np.abs(design).max(axis=0, initial=0.0)
    unit[unit == 0] = 1.0
    rise, stay = _rows(problem, design / unit)
    n, k = rise.shape[1], len(rise)
    if n == 0:
        return None

    def solve(ahead, reach, extra, bound):
        """Maximise the sum of extra variables, each at most what some of the rows rise by."""
        equal = sparse.hstack([sparse.csr_array(stay), sparse.csr_array((len(stay), extra))])
        still = {"A_eq": equal, "b_eq": np.zeros(len(stay))} if len(stay) else {}
        cost = np.r_[np.zeros(n), -np.ones(extra)]
        bounds = [(-reach, reach)] * n + [(0.0, bound)] * extra
        upper = sparse.hstack([sparse.csr_array(-rise), sparse.csr_array(ahead)])
        found = linprog(cost, A_ub=upper, b_ub=np.zeros(k), bounds=bounds, method="highs", **still)
        return None if found.x is None else found.x[:n]

    # Each row may count for as much as it rises, but for no more than one: as many as possible will.
    direction = solve(sparse.eye_array(k), REACH, k, 1.0)
    if direction is None:
        # Nearly dependent features are beyond the solver within bounds that wide.
        direction = solve(sparse.eye_array(k), 1.0, k, None)
    if direction is None:
        return None
    rising = rise @ direction > 1e-9 * max(np.abs(direction).max(), 1.0)
    if not rising.any():
        return None
    # Of the directions that raise all of these, the one along which the slowest of them rises fastest.
    fastest = solve(rising[:, None].astype(float), 1.0, 1, None)
    if fastest is not None and (rise[rising] @ fastest).min() > 0:
        direction = fastest
    direction = direction / max(np.abs(direction).max(), 1.0)
    margins = rise @ direction
    if problem.net.loss.task == "count":
        reason = "a direction lowers the mean of observed zeros for ever and leaves every other count as it is"
        if "trials" in problem.net.loss.needed:
            reason = "a direction sends probabilities to 0 or 1 where nothing or all succeeded, and leaves others alone"
    elif rising.all():
        reason = "the classes are completely separated: every observation's likelihood rises to 1 along one direction"
    else:
        reason = (
            f"the classes are quasi-completely separated: along one direction {rising.sum()} of {k} comparisons "
            "rise for ever and none falls"
        )
    copies = len(problem.output_names) if problem.net.loss.task == "classes" else 1
    units = np.r_[np.tile(unit, copies), np.ones(n - copies * len(unit))]
    return {
        "reason": reason,
        "direction": direction / units,
        "smallest_margin": float(margins.min()),
        "slowest": float(margins[rising].min()),
        "rising": int(rising.sum()),
        "extent": lambda weights: float(np.min(rise[rising] @ (weights * units) / margins[rising])),
    }


def _rows(problem, design):
    """Rows whose product with a direction must not be negative, and rows whose product must vanish."""
    y, task = problem.y, problem.net.loss.task
    p = design.shape[1]
    if task in ("binary", "count"):
        sides = problem.net.loss.sides(y)
        return design[sides != 0] * sides[sides != 0, None], design[sides == 0]
    if task == "ordinal":
        # The directions are (weights, cutpoints): eta below the upper cutpoint, above the lower one.
        k = int(y.max())
        eye = np.eye(k)
        upper = [np.concatenate([-x, eye[c]]) for x, c in zip(design, y, strict=True) if c < k]
        lower = [np.concatenate([x, -eye[c - 1]]) for x, c in zip(design, y, strict=True) if c > 0]
        # Every class occurs, so its two rows together keep the cutpoints in order along the direction.
        return np.array(upper + lower), np.empty((0, p + k))
    classes = len(problem.output_names)
    rows = []
    for x, c in zip(design, y, strict=True):
        for other in set(range(classes)) - {int(c)}:
            row = np.zeros((classes, p))
            row[c], row[other] = x, -x
            rows.append(row.ravel())
    return np.array(rows), np.empty((0, classes * p))
