"""Does the maximum of the likelihood exist? Exact answers where there are any, and evidence otherwise."""

from dataclasses import dataclass, replace

import numpy as np

from bayesnn.priors import Flat
from bayesnn.tree import prepare


@dataclass(frozen=True)
class Existence:
    """Whether an MLE exists, and why; true in a condition if and only if it does.

    Parameters
    ----------
    exists : bool or None
        None when no exact answer is known before the fit.
    reason : str
        In words.
    numbers : dict
        The evidence: a separating direction and its margins.
    """

    exists: bool | None
    reason: str
    numbers: dict

    def __bool__(self):
        if self.exists is None:
            raise TypeError("No exact answer is known before the fit; test `.exists is None`.")
        return self.exists


def mle_exists(net, X, y=None, *, scaling=None):
    r"""Decide before any fit whether the likelihood of these data has a maximum.

    Without hidden layers the answer is exact. For labels and counts the maximum is missing if and only if there
    is a direction of weights along which no observation's log-likelihood falls and at least one rises, which is
    a linear programme: complete or quasi-complete separation. For a scale that is learned it is missing if and
    only if the model fits the targets without residuals, so that the density grows without bound as the scale
    shrinks. With hidden layers only the end of a fit can tell, and the result is undecided.

    Parameters
    ----------
    net : MLP
        The network.
    X : array (n, p), DataFrame or Dataset
        Inputs.
    y : array (n,) or (n, K), optional
        Targets.
    scaling : None, "standard", False or Scaling
        As for `fit_mle`.

    Returns
    -------
    Existence
        With ``exists``, ``reason`` and ``numbers``.

    Raises
    ------
    DataError
        Data that break a rule.

    References
    ----------
    A. Albert and J. A. Anderson, "On the existence of maximum likelihood estimates in logistic regression
    models", Biometrika 71 (1984).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> node = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False)
    >>> bnn.mle_exists(node, [-2, -1, 0.5, 1, 2], [0, 1, 0, 1, 1]).exists
    True
    >>> print(bnn.mle_exists(node, [-2, -1, 0.5, 1, 2], [0, 0, 1, 1, 1]).reason)
    the classes are completely separated: every observation's likelihood rises to 1 along one direction
    """
    problem = prepare(net, X, y, scaling=scaling)
    return existence_of(replace(problem, net=problem.net.flat))


def existence_of(problem):
    """Decide for a checked problem; only parameters with flat priors can grow without bound.

    Parameters
    ----------
    problem : Problem
        What is to be fitted.

    Returns
    -------
    Existence
        As `mle_exists`.
    """
    net = problem.net
    if net.hidden:
        return Existence(None, "with hidden layers only the end of a fit can tell", {})
    ones = np.ones((len(problem.X), int(net.has_bias(1))))
    if net.loss.task == "regression":
        return _residuals(problem, np.column_stack([problem.X, ones]))
    blocks = ((net.prior, problem.X), (net.prior.bias or net.prior, ones))
    return _recession(problem, np.column_stack([block for prior, block in blocks if isinstance(prior, Flat)]))


def _residuals(problem, design):
    if problem.net.loss.name == "gaussian_nll":
        return Existence(None, "a scale that depends on the inputs: only the end of a fit can tell", {})
    if problem.net.noise_prior is None or problem.net.noise_prior.repels_zero:
        return Existence(True, "a convex loss has a minimum where its scale is known, or kept from zero", {})
    y = problem.y if problem.y.ndim == 2 else problem.y[:, None]
    fitted = design @ np.linalg.lstsq(design, y, rcond=None)[0] if design.shape[1] else np.zeros_like(y)
    residual = float(np.abs(y - fitted).max())
    if residual <= 1e-12 * max(1.0, float(np.abs(y).max())):
        return Existence(
            False,
            "the model fits every target exactly, so the density grows without bound as the noise shrinks",
            {"largest_residual": residual},
        )
    if problem.net.loss.name == "student_t":
        return Existence(
            None, "a heavy-tailed scale may shrink onto some of the rows: only the end of a fit can tell", {}
        )
    return Existence(True, "the targets are not fitted exactly", {"largest_residual": residual})


def _recession(problem, design):
    """Search a direction of recession: rows that may only rise, rows that must stay, by a linear programme."""
    from scipy.optimize import linprog

    # Columns in units of their own size, so that the tolerances mean the same for all of them.
    unit = np.abs(design).max(axis=0)
    unit[unit == 0] = 1.0
    rise, stay = _rows(problem, design / unit)
    n = rise.shape[1]
    if n == 0:
        return Existence(True, "there are no weights that could grow", {})
    equal = {"A_eq": stay, "b_eq": np.zeros(len(stay))} if len(stay) else {}
    options = {"b_ub": np.zeros(len(rise)), "method": "highs"}
    found = linprog(-rise.sum(axis=0), A_ub=-rise, bounds=[(-1.0, 1.0)] * n, **equal, **options)
    direction = found.x
    rising = int((rise @ direction > 1e-9).sum())
    if not rising:
        return Existence(True, "no direction of weights raises the likelihood for ever", {})
    if problem.net.loss.task == "count":
        reason = "a direction lowers the mean of observed zeros for ever and leaves every other count as it is"
    else:
        # The largest smallest margin: positive if one direction raises every row.
        strict = linprog(
            np.r_[np.zeros(n), -1.0],
            A_ub=np.column_stack([-rise, np.ones(len(rise))]),
            bounds=[(-1.0, 1.0)] * n + [(None, 1.0)],
            **options,
        )
        if strict.x[-1] > 1e-9:
            direction, rising = strict.x[:-1], len(rise)
            reason = (
                "the classes are completely separated: every observation's likelihood rises to 1 along one direction"
            )
        else:
            reason = (
                f"the classes are quasi-completely separated: along one direction {rising} of {len(rise)} comparisons "
                "rise for ever and none falls"
            )
    margins = rise @ direction
    copies = len(problem.output_names) if problem.net.loss.task == "classes" else 1
    units = np.r_[np.tile(unit, copies), np.ones(n - copies * len(unit))]
    return Existence(
        False, reason, {"direction": direction / units, "smallest_margin": float(margins.min()), "rising": rising}
    )


def _rows(problem, design):
    """Rows whose product with a direction must not be negative, and rows whose product must vanish."""
    y, task = problem.y, problem.net.loss.task
    p = design.shape[1]
    if task == "count":
        return -design[y == 0], design[y > 0]
    if task == "binary":
        return design * np.where(y == 1, 1.0, -1.0)[:, None], np.empty((0, p))
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


def evidence_of(problem, params):
    """Judge from the end of a fit whether the likelihood has a maximum.

    Strict margins are a proof: multiplying the output layer by a growing factor then sends the likelihood to 1,
    which no finite weights reach. A vanishing scale is a proof up to rounding.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    params : dict of str to array
        The best end point, without batch dimensions.

    Returns
    -------
    Existence
        ``exists`` is False, or None where nothing speaks against it.
    """
    net, y = problem.net, problem.y
    f = net.forward(params, problem.X)
    norm = float(np.sqrt(sum(np.sum(np.square(v)) for k, v in params.items() if k[0] in "Wb")))
    task = net.loss.task
    if task in ("binary", "classes", "ordinal"):
        if task == "binary":
            margins = np.where(y == 1, f[:, 0], -f[:, 0])
        elif task == "classes":
            own = np.take_along_axis(f, y[:, None].astype(int), axis=1)
            others = f.copy()
            np.put_along_axis(others, y[:, None].astype(int), -np.inf, axis=1)
            margins = own[:, 0] - others.max(axis=1)
        else:
            ends = np.concatenate([[-np.inf], params["cutpoints"], [np.inf]])
            margins = np.minimum(f[:, 0] - ends[y], ends[y + 1] - f[:, 0])
        if margins.min() > 0:
            return Existence(
                False,
                "the network separates the classes strictly, so growing output weights send the likelihood to 1, "
                "which no finite weights reach",
                {"smallest_margin": float(margins.min()), "weight_norm": norm},
            )
    if task == "regression":
        if net.loss.name == "gaussian_nll":
            scale = np.exp(f[:, 1]).min()
        else:
            scale = params["noise"] if net.noise_prior is not None and not net.noise_prior.repels_zero else np.inf
        relative = float(scale / max(np.std(y), np.finfo(float).tiny))
        if relative < 1e-5:
            return Existence(
                False,
                "the network passes through the data and the noise is free, so the density grows without bound as "
                "the noise shrinks",
                {"relative_noise": relative, "weight_norm": norm},
            )
    return Existence(None, "nothing speaks against it", {"weight_norm": norm})
