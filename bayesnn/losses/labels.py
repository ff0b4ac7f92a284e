"""Losses of labels, and the likelihoods that they are."""

from typing import TYPE_CHECKING, Any, override

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, log_expit, log_softmax, softmax

from bayesnn.errors import DataError
from bayesnn.formulas import Formula, fn
from bayesnn.losses.base import Loss, _column, _pair, _pick, _thresholds

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


class _Labels(Loss):
    """Integer labels 0..K-1; the loss is the negative log-probability of the observed label."""

    def _log_probs(self, f, cutpoints):
        """Return the log-probability of each class, shape (..., n, classes)."""
        raise NotImplementedError

    @override
    def check_target(self, y, *, classes=None):
        y = _column(self, y, "labels")
        found = np.unique(y)
        shown = ", ".join(f"{value:g}" for value in found[:6]) + (", ..." if found.size > 6 else "")
        if self.task == "binary" and np.array_equal(found, [-1, 1]):
            raise DataError(f"Got labels {shown}; binary labels must be 0 and 1. Use (y + 1) / 2.")
        encode = "Encode labels, as load_data does: names, y = np.unique(y, return_inverse=True)."
        if np.any(found % 1 != 0) or found[0] < 0:
            raise DataError(f"Got labels {shown}; labels must be integers 0..K-1. {encode}")
        limit = 2 if self.task == "binary" else classes
        if limit is not None and found[-1] >= limit:
            remedy = "More than two classes need loss='cross_entropy'. " if self.task == "binary" else ""
            raise DataError(f"Got labels {shown}; there are {limit} classes, 0..{limit - 1}. {remedy}{encode}")
        if classes is None and found.size == 1:
            raise DataError(f"Got only the label {shown}; a fit needs at least two classes. Check how y was selected.")
        if classes is None and found.size != found[-1] + 1:
            raise DataError(f"Got labels {shown}; the classes 0..{found[-1]:g} must all occur. {encode}")
        return y.astype(np.int64)

    @override
    def loss(self, y, f, *, noise=None, cutpoints=None):
        _, f = _pair(y, f, np.shape(f)[-1] if self.task == "classes" else 1)
        return -_pick(self._log_probs(f, cutpoints), y)

    @override
    def mean(self, f, *, noise=None, cutpoints=None):
        return np.exp(self._log_probs(np.asarray(f, dtype=float), cutpoints))


class BinaryCrossEntropy(_Labels):
    r"""Binary cross-entropy from a logit, the loss of a Bernoulli likelihood.

    Notes
    -----
    loss = log(1 + exp(f)) - y f for y in {0, 1}, a = 1, b = 0. f is the log odds of y = 1.

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, section 4.3.2. Springer.

    Examples
    --------
    Labels 0, 0, 0, 1, 0 at their maximum likelihood p = 1/5:

    >>> import numpy as np
    >>> import bayesnn as bnn
    >>> y, f = np.array([0, 0, 0, 1, 0]), np.full((5, 1), np.log(0.2 / 0.8))
    >>> print(f"{bnn.losses.BinaryCrossEntropy().loss(y, f).sum():.6f}")
    2.502012
    """

    name = "binary_cross_entropy"
    likelihood = "Bernoulli"
    task = "binary"
    formula = Formula(lambda y, f: fn.softplus(f) - y * f, ("y", "f"), by=1, ours=True)
    _table = ("log(1 + exp(f)) - y f", "1", "0", "no scale")

    @override
    def output_names(self, y: ArrayLike) -> list[str]:
        return ["logit"]

    @override
    def sides(self, y: np.ndarray) -> np.ndarray:
        return np.where(y == 1, 1, -1)

    @override
    def _log_probs(self, f, cutpoints):
        return log_expit(np.concatenate([-f, f], axis=-1))

    @override
    def mean(self, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None) -> np.ndarray:
        f = np.asarray(f, dtype=float)
        return expit(np.concatenate([-f, f], axis=-1))

    @override
    def sample(
        self,
        f: np.ndarray,
        rng: np.random.Generator,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
    ) -> np.ndarray:
        f = np.asarray(f, dtype=float)[..., 0]
        return (rng.logistic(size=f.shape) < f).astype(np.int64)

    @override
    def observe(
        self,
        f: "TensorVariable",
        y: Any,
        *,
        noise: Any = None,
        cutpoints: Any = None,
        dims: tuple[str, ...],
    ) -> "TensorVariable":
        import pymc as pm

        return pm.Bernoulli("y", logit_p=f[:, 0], observed=y, dims=dims)


class CrossEntropy(_Labels):
    r"""Cross-entropy from logits, the loss of a categorical likelihood.

    Notes
    -----
    loss = log sum_k exp(f_k) - f_y, a = 1, b = 0. One output for each class; adding one number to all the outputs of a
    row changes nothing, so only the prior determines them in that direction. The log density of the PyMC node is exact
    for any outputs, its gradient for outputs that differ by up to 700 (beyond, PyMC's softmax underflows).

    References
    ----------
    Bishop, C. M. (2006). Pattern Recognition and Machine Learning, section 4.3.4. Springer.

    Examples
    --------
    >>> import numpy as np
    >>> import bayesnn as bnn
    >>> loss = bnn.losses.CrossEntropy()
    >>> loss.n_outputs([0, 2, 1, 1])
    3
    >>> print(f"{loss.loss(np.array([2]), np.zeros((1, 3)))[0]:.6f}")
    1.098612
    """

    name = "cross_entropy"
    likelihood = "Categorical"
    task = "classes"
    _table = ("log Σ exp(f_k) - f_y", "1", "0", "no scale")

    @override
    def n_outputs(self, y: ArrayLike) -> int:
        return int(self.check_target(y).max()) + 1

    @override
    def output_names(self, y: ArrayLike) -> list[str]:
        return [f"class_{k}" for k in range(self.n_outputs(y))]

    @override
    def _log_probs(self, f, cutpoints):
        return log_softmax(f, axis=-1)

    @override
    def mean(self, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None) -> np.ndarray:
        return softmax(np.asarray(f, dtype=float), axis=-1)

    @override
    def sample(
        self,
        f: np.ndarray,
        rng: np.random.Generator,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
    ) -> np.ndarray:
        # The largest of logits plus Gumbel noise has exactly the softmax probabilities.
        return np.argmax(f + rng.gumbel(size=np.shape(f)), axis=-1)

    @override
    def observe(
        self,
        f: "TensorVariable",
        y: Any,
        *,
        noise: Any = None,
        cutpoints: Any = None,
        dims: tuple[str, ...],
    ) -> "TensorVariable":
        import pymc as pm

        return pm.Categorical("y", logit_p=f, observed=y, dims=dims)


class Ordinal(_Labels):
    r"""Cumulative-logit loss for ordered labels, with cutpoints in place of an output bias.

    Notes
    -----
    P(y <= k) = sigmoid(c_k - f) for increasing cutpoints c_0 < ... < c_(K-2); loss = -log P(y), a = 1, b = 0. The
    difference of two sigmoids is computed as sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - exp(-(u - l))): its
    logarithm stays finite for outputs as large as +-1000. The PyMC node is a `pm.Categorical` of these
    log-probabilities.

    References
    ----------
    McCullagh, P. (1980). Regression models for ordinal data. Journal of the Royal Statistical Society B 42, 109-142.

    Examples
    --------
    >>> import numpy as np
    >>> import bayesnn as bnn
    >>> loss = bnn.losses.Ordinal()
    >>> loss.mean(np.array([[0.0]]), cutpoints=np.array([-np.log(3), np.log(3)])).round(6)
    array([[0.25, 0.5 , 0.25]])
    """

    name = "ordinal"
    likelihood = "OrderedLogistic"
    task = "ordinal"
    output_bias = False
    _table = ("-log(σ(c_y - f) - σ(c_(y-1) - f))", "1", "0", "no scale")

    @override
    def output_names(self, y: ArrayLike) -> list[str]:
        return ["score"]

    @override
    def _log_probs(self, f, cutpoints):
        c = _thresholds(cutpoints)
        gap = np.diff(c)
        upper = c - f
        middle = log_expit(upper[..., 1:]) + log_expit(-upper[..., :-1]) + np.log(-np.expm1(-gap))
        return np.concatenate([log_expit(upper[..., :1]), middle, log_expit(-upper[..., -1:])], axis=-1)

    @override
    def sample(
        self,
        f: np.ndarray,
        rng: np.random.Generator,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
    ) -> np.ndarray:
        # A logistic variable around f falls between two cutpoints with exactly the class's probability.
        f, c = np.asarray(f, dtype=float), _thresholds(cutpoints)
        shape = np.broadcast_shapes(f.shape[:-1], c.shape[:-1])
        return np.sum(c < f + rng.logistic(size=shape)[..., None], axis=-1)

    @override
    def observe(
        self,
        f: "TensorVariable",
        y: Any,
        *,
        noise: Any = None,
        cutpoints: Any = None,
        dims: tuple[str, ...],
    ) -> "TensorVariable":
        import pymc as pm
        import pytensor.tensor as pt

        if cutpoints is None:
            _thresholds(cutpoints)
        upper = cutpoints - f[:, 0][:, None]
        gap = pt.log(-pt.expm1(cutpoints[:-1] - cutpoints[1:]))
        middle = gap - pt.softplus(-upper[:, 1:]) - pt.softplus(upper[:, :-1])
        log_probs = pt.concatenate([-pt.softplus(-upper[:, :1]), middle, -pt.softplus(upper[:, -1:])], axis=1)
        return pm.Categorical("y", logit_p=log_probs, observed=y, dims=dims)
