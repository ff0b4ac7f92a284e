"""Does the maximum of the likelihood exist? Exact answers where there are any, and evidence otherwise."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.data.columns import CHUNK, LARGE, row_blocks
from bayesnn.data.target import values_of
from bayesnn.fitting.density import outsiders
from bayesnn.fitting.limits import TOO_MANY, Limit, is_strict, slack, without_hidden
from bayesnn.fitting.recession import recession, some_rows_rule_it_out
from bayesnn.network import MLP, Params
from bayesnn.priors import Flat
from bayesnn.tree import Inputs, Problem, ScalingChoice, prepare


@dataclass(frozen=True)
class Existence:
    """Whether an MLE exists, and why; true in a condition if and only if it does.

    Parameters
    ----------
    exists : bool or None
        True: known exactly, or a strict local maximum that no limit found beats. False: a limit is higher than every
        finite weight vector, or the density grows for ever. None: not known.
    reason : str
        In words.
    numbers : dict
        The evidence: a separating direction and its margins, the supremum, the best finite log-likelihood.
    limit : Limit, optional
        The function that the supremum belongs to, with finite weights on the path to it.
    """

    exists: bool | None
    reason: str
    numbers: dict
    limit: Limit | None = field(default=None, repr=False)

    @property
    def bounded(self) -> bool:
        """Whether the last iterate stands for a limit that no finite parameters reach: a noise of zero."""
        return self.exists is False and "overdispersion" in self.numbers

    def __bool__(self):
        if self.exists is None:
            raise TypeError("Whether a maximum exists is not known; test `.exists is None`.")
        return self.exists


def mle_exists(net: MLP, X: Inputs, y: ArrayLike | None = None, *, scaling: ScalingChoice = None) -> Existence:
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
        Targets, plain or from `bnn.target`.
    scaling : None, "standard", False or Scaling
        As for `fit_mle`.

    Returns
    -------
    Existence
        With ``exists``, ``reason``, ``numbers`` and, for labels and counts without a maximum, the ``limit``: its
        ``log_likelihood``, and finite ``weights(scale)`` on the path to it.

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


def existence_of(problem: Problem) -> Existence:
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
    if from_outside(net):
        return Existence(None, from_outside(net), {})
    if net.hidden:
        return _closed(problem) or Existence(None, "with hidden layers only the end of a fit can tell", {})
    if net.loss.task == "regression":
        return _residuals(problem)
    priors = (net.prior, net.prior.bias or net.prior)

    def design(problem):
        blocks = (problem.X, np.ones((len(problem.X), int(net.has_bias(1)))))
        return np.column_stack([b for prior, b in zip(priors, blocks, strict=True) if isinstance(prior, Flat)])

    found = None if some_rows_rule_it_out(problem, design) else recession(problem, design(problem))
    if found is None and _may_vanish(net):
        return Existence(None, "whether the counts vary more than Poisson's only the end of a fit can tell", {})
    if found is None:
        grow = "there are no weights that could grow"
        columns = (problem.X.shape[1], net.has_bias(1))
        free = any(isinstance(prior, Flat) and k for prior, k in zip(priors, columns, strict=True))
        free = free or net.loss.task == "ordinal"
        return Existence(True, "no direction of weights raises the likelihood for ever" if free else grow, {})
    limit = without_hidden(problem, found)
    evidence = {name: found[name] for name in ("direction", "smallest_margin", "rising")}
    return Existence(False, found["reason"], evidence | {"supremum": limit.log_likelihood}, limit)


def from_outside(net: MLP) -> str:
    """Say what of a network is of a class from outside, about which nothing is known but its numbers.

    Parameters
    ----------
    net : MLP
        The network.

    Returns
    -------
    str
        Empty where loss and priors are of this package's classes.
    """
    unknown = outsiders(net)
    if not unknown:
        return ""
    what = f"loss {net.loss.name!r}" if unknown[0] is net.loss else f"prior {unknown[0]!r}"
    return f"nothing is known of the {what} but its values"


def _closed(problem):
    """Networks whose functions at given rows are a closed set: a loss of a location with a known scale has a minimum.

    A unit that scales, phi(c z) = c phi(z) as ReLU does, times its output weight is a diagonal of slopes times a linear
    function with weights in a polyhedral cone; sums of images of such cones are a finite union of closed cones. Layers
    of identities are linear maps of bounded rank. For ReLU see L.-H. Lim, M. Michalek and Y. Qi, "Best k-layer neural
    network approximations", Constructive Approximation 55 (2022).
    """
    net, one = problem.net, problem.values.ndim == 1
    if not isinstance(net.prior, Flat) or net.prior.bias is not None or net.loss.task != "regression":
        return None
    if net.loss.scale_is_output or net.noise_prior is not None or not net.loss.tail_index > 1:
        return None
    if net.phi.scales and len(net.hidden) == 1 and one:
        return Existence(True, "the functions of one layer of such units are a closed set at any rows", {})
    if net.phi.linear:
        return Existence(True, "linear maps of bounded rank are a closed set", {})
    return None


def _may_vanish(net):
    """Whether a learned noise may shrink to zero because the counts vary no more than Poisson's."""
    return net.loss.noise_is_shape and net.loss.task == "count" and net.noise_prior is not None


def _residuals(problem):
    loss = problem.net.loss
    if loss.support == "unit":
        y = problem.values
        problem = replace(problem, y=np.log(y) - np.log1p(-y))
    if loss.scale_is_output:
        return Existence(None, "a scale that depends on the inputs: only the end of a fit can tell", {})
    if loss.scaled and not loss.tail_index > 1:
        return Existence(None, f"how the loss {loss.name!r} grows is not known", {})
    if problem.net.noise_prior is None or problem.net.noise_prior.repels_zero:
        return Existence(True, "a loss that grows has a minimum where its scale is known, or kept from zero", {})
    y = problem.values if problem.values.ndim == 2 else problem.values[:, None]
    residual = _largest_residual(problem, y)
    if residual <= 1e-12 * max(1.0, float(np.abs(y).max())):
        return Existence(
            False,
            "the model fits every target exactly, so the density grows without bound as the noise shrinks",
            {"largest_residual": residual},
        )
    if _may_shrink(problem.net):
        return Existence(None, _may_shrink(problem.net), {})
    return Existence(True, "the targets are not fitted exactly", {"largest_residual": residual})


def _largest_residual(problem, y):
    """Largest residual of the least squares fit, from the triangular factor of some rows at a time."""
    bias, (n, p) = int(problem.net.has_bias(1)), problem.X.shape
    blocks = row_blocks(n, p + bias, CHUNK if problem.X.size > LARGE else LARGE)
    design = lambda rows: np.column_stack([problem.X[rows], np.ones((rows.stop - rows.start, bias))])  # noqa: E731
    if p + bias == 0:
        return float(np.abs(y).max())
    if len(blocks) == 1:
        A, B = design(blocks[0]), y
    else:
        factor = np.zeros((0, p + bias + y.shape[1]))
        for rows in blocks:
            factor = np.linalg.qr(np.vstack([factor, np.column_stack([design(rows), y[rows]])]), mode="r")
        A, B = factor[:, : p + bias], factor[:, p + bias :]
    weights = np.linalg.lstsq(A, B, rcond=None)[0]
    return max(float(np.abs(y[rows] - design(rows) @ weights).max()) for rows in blocks)


def _may_shrink(net):
    """Say why a free noise may shrink onto some of the rows: where the loss grows no faster than a logarithm.

    With m of n residuals that are not zero, n log s + sum rho(r / s) falls for ever with s if rho grows like k log|u|
    and k m < n; if it grows faster than that, it can't.
    """
    free = net.loss.scaled and net.noise_prior is not None and not net.noise_prior.repels_zero
    if free and not np.isinf(net.loss.tail_index):
        return "a heavy-tailed scale may shrink onto some of the rows, and no search can rule that out"
    return ""


def evidence_of(problem: Problem, params: Params) -> Existence:
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
    norm = float(np.sqrt(sum(np.sum(np.square(v)) for k, v in params.items() if k[0] in "Wb")))
    if from_outside(net):
        return Existence(None, from_outside(net), {"weight_norm": norm})
    task = net.loss.task
    if task in ("binary", "classes", "ordinal"):
        least = _least(problem, params, lambda f, y: _margins(task, params, f, y))
        if least > 0:
            return Existence(
                False,
                "the network separates the classes strictly, so growing output weights send the likelihood to 1, "
                "which no finite weights reach",
                {"smallest_margin": least, "weight_norm": norm},
            )
    if task == "regression":
        if net.loss.scale_is_output:
            scale = np.inf if _held(net) else _least(problem, params, lambda f, y: np.exp(f[:, 1]))
        else:
            scale = params["noise"] if net.noise_prior is not None and not net.noise_prior.repels_zero else np.inf
        size = np.std(values_of(y)) if net.loss.support == "real" else 1.0
        relative = float(scale / max(size, np.finfo(float).tiny))
        if relative < 1e-5:
            return Existence(
                False,
                "the network passes through the data and the noise is free, so the density grows without bound as "
                "the noise shrinks",
                {"relative_noise": relative, "weight_norm": norm},
            )
    if _may_vanish(net) and net.noise_prior is not None and not net.noise_prior.repels_zero:
        excess = float(params["noise"]) ** 2 * float(np.mean(values_of(y)))
        if excess < 1e-6:
            return Existence(
                False,
                "the counts vary no more than Poisson's, so the likelihood rises as the noise shrinks to zero, where "
                "it is the Poisson likelihood",
                {"overdispersion": excess, "weight_norm": norm},
            )
    return Existence(None, "nothing speaks against it", {"weight_norm": norm})


def _least(problem, params, of):
    """Smallest of what is computed from outputs and targets, some rows at a time."""
    net, X, y = problem.net, problem.X, problem.y
    return min(float(of(net.forward(params, X[rows]), y[rows]).min()) for rows in net.row_blocks(params, len(X)))


def _margins(task, params, f, y):
    """How far each output is on the side of its label."""
    if task == "binary":
        return np.where(y == 1, f[:, 0], -f[:, 0])
    if task == "classes":
        own = np.take_along_axis(f, y[:, None].astype(int), axis=1)
        others = f.copy()
        np.put_along_axis(others, y[:, None].astype(int), -np.inf, axis=1)
        return own[:, 0] - others.max(axis=1)
    ends = np.concatenate([[-np.inf], params["cutpoints"], [np.inf]])
    return np.minimum(f[:, 0] - ends[y], ends[y + 1] - f[:, 0])


def _held(net):
    """Whether a scale that depends on the inputs is kept from zero by the weights' prior.

    Its logarithm is bounded by a multiple of the output weights where the activation is bounded, and so the log density
    by a linear function of them less the square that the prior takes away.
    """
    squares = [net.prior.rates(kind, 1)[1] > 0 for kind in ("weight", "bias")]
    return all(squares) and (not net.hidden or net.phi.bounded)


def judge(problem: Problem, audit: dict[str, np.ndarray], limits: Sequence[Limit]) -> Existence:
    """Decide from the end points of a fit and the limits that some of them tend to.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    audit : dict of str to array (n,)
        Of the end points, with ``value``, as `limits.outward` leaves it.
    limits : list of Limit
        That were found.

    Returns
    -------
    Existence
        True for a strict local maximum that no limit found beats, or one that no function can exceed; False with the
        highest limit where that is higher than every end point (or as high, while no finite weights reach it);
        otherwise None.
    """
    net, best = problem.net, int(np.argmin(audit["value"]))
    value = float(audit["value"][best])
    # The highest that a finite network can show to come near.
    limit = next((limit for limit in sorted(limits, key=lambda limit: limit.value) if limit.is_reachable), None)
    if limit is not None:
        tied = limit.value <= value + slack(value) and audit["signature"][best] == "infinity"
        if tied or limit.value < value - slack(value):
            kind = "log-likelihood" if limit.closure.unpenalised else "log density"
            numbers = {"supremum": -limit.value - problem.log_units, "best_finite": -value - problem.log_units}
            gap = value - limit.value
            above = f"{gap:.2g} above" if gap > slack(value) else "no lower than"
            reason = (
                f"the {kind} rises towards {numbers['supremum']:.10g} as weights grow without bound, {above} the "
                f"highest end point; the limit, the highest that was found, is {limit.describe()}"
            )
            return Existence(False, reason, numbers, limit)
    if value <= lowest(problem) + slack(value):
        return Existence(True, "no function has a higher likelihood", {})
    if _may_shrink(net):
        return Existence(None, _may_shrink(net), {})
    if net.hidden and net.phi.period is not None:
        return Existence(None, "sine units of ever higher frequency may come as near to the targets as one likes", {})
    if net.hidden and not net.phi.builtin:
        return Existence(None, f"what {net.phi.name} units may tend to is not known well enough", {})
    if is_strict(problem, audit)[best]:
        return Existence(True, "a strict local maximum, and no limit that was found is higher", {})
    size = len(problem.X) * sum(int(np.prod(shape)) for shape in problem.shapes.values())
    why = "no limit is known" if size <= TOO_MANY else "the data are too many for following it outward"
    return Existence(None, f"the best end point is no strict local maximum, and {why}", {})


def lowest(problem: Problem) -> float:
    """Negative log-likelihood that no function can undercut; minus infinity for a learned noise."""
    net, y = problem.net, problem.y
    if net.noise_prior is not None:
        return 0.0 if net.loss.support == "counts" else -np.inf
    return -net.loss.saturated(y, noise=net.noise if isinstance(net.noise, float) else None)


def attained(problem: Problem, audit: dict[str, np.ndarray], size: int) -> Existence:
    """Decide for proper priors of the weights: only a noise that shrinks to zero can send the density to infinity.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    audit : dict of str to array (n,)
        Of the end points.
    size : int
        Number of parameters.

    Returns
    -------
    Existence
        True or None.
    """
    net, n = problem.net, problem.values.size
    if from_outside(net):
        return Existence(None, from_outside(net), {})
    if _may_shrink(net):
        return Existence(None, _may_shrink(net), {})
    known = net.noise_prior is None or net.noise_prior.repels_zero
    if _held(net) if net.loss.scale_is_output else known:
        return Existence(True, "likelihood times prior is bounded and vanishes at infinity", {})
    if is_strict(problem, audit)[int(np.argmin(audit["value"]))]:
        return Existence(True, "a strict local maximum, and the noise does not shrink there", {})
    if net.loss.support != "counts" and not net.loss.scale_is_output and n >= size:
        return Existence(True, "a network with fewer parameters than targets does not pass through them all", {})
    return Existence(None, "the best end point is no strict local maximum, and the noise is free", {})
