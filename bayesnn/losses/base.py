"""What every loss is: a likelihood, and the checks that the losses share."""

import numbers
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.data import as_array
from bayesnn.data.target import KNOWN, values_of
from bayesnn.errors import DataError, SpecError
from bayesnn.formulas import Formula

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


def _set_parameter(loss, name, upper, remedy):
    """Store a loss's parameter as a float, or raise when it is not a number between 0 and `upper`."""
    value = getattr(loss, name)
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 < value < upper:
        rule = "a positive finite number" if np.isinf(upper) else f"a number between 0 and {upper:g}, ends excluded"
        raise SpecError(f"Got {type(loss).__name__}({name}={value!r}); {name} must be {rule}. {remedy}")
    object.__setattr__(loss, name, float(value))


def _scale(loss, noise):
    """Return the noise scale as an array, or raise when it is missing or not positive and finite."""
    if noise is None:
        raise SpecError(
            f"Got no noise for the loss {loss.name!r}; its {loss.likelihood} likelihood has a scale. Pass noise=."
        )
    scale = np.asarray(noise, dtype=float)
    if not np.all((scale > 0) & (scale < np.inf)):
        raise SpecError(f"Got noise={noise!r}; a noise scale must be positive and finite. Give the scale, not its log.")
    return scale


def best_noise(log_likelihood: Callable[[float], float]) -> float:
    """Find the noise at which a log-likelihood is highest; zero where it rises towards that."""
    from scipy.optimize import minimize_scalar

    grid = np.linspace(-9.0, 8.0, 69)
    values = np.array([-log_likelihood(float(np.exp(at))) for at in grid])
    best = int(np.nanargmin(values))
    ends = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(
        lambda at: -log_likelihood(float(np.exp(at))), bounds=ends, method="bounded", options={"xatol": 1e-12}
    )
    # Rounding of the sum hides any noise below.
    rises = values[best] < values[0] - 1e-12 * max(1.0, abs(values[0]))
    return float(np.exp(found.x)) if rises and best > 0 else 0.0


def _thresholds(cutpoints):
    """Return cutpoints as an array (..., 1, K - 1), or raise when they are missing or do not increase."""
    if cutpoints is None:
        raise SpecError("Got no cutpoints; the loss 'ordinal' with K classes needs K - 1 of them. Pass cutpoints=.")
    c = np.asarray(cutpoints, dtype=float)[..., None, :]
    if not np.all(np.diff(c) > 0):
        raise SpecError(f"Got cutpoints {cutpoints}; they must increase. Sort them, and drop equal ones.")
    return c


def _exp(x: ArrayLike) -> np.ndarray:
    """Exponential that is infinite, without a warning, where it is no double."""
    with np.errstate(over="ignore"):
        return np.exp(np.asarray(x, dtype=float))


def _pair(y: ArrayLike, f: ArrayLike, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return y and f as arrays after checking that f is (..., n, width) for the n rows of y."""
    y, f = np.asarray(y), np.asarray(f, dtype=float)
    if y.ndim not in (1, 2) or f.ndim < 2 or f.shape[-2:] != (y.shape[0], width):
        raise DataError(
            f"Got y of shape {y.shape} and network output f of shape {f.shape}; f must be (..., n, {width}) for the n "
            "rows of y, with one column for each output. A single output needs f[..., None]."
        )
    return y, f


def _pick(log_probs, y):
    """Return each row's log-probability of its label; labels outside the table are an error, not a wrap-around."""
    y = np.asarray(y)
    classes = log_probs.shape[-1]
    if y.ndim != 1 or np.any((y < 0) | (y >= classes) | (y % 1 != 0)):
        raise DataError(
            f"Got labels {np.unique(y)}; they must be integers 0..{classes - 1}. Use check_target(y) first."
        )
    return log_probs[..., np.arange(y.size), y.astype(np.int64)]


def _column(loss, y, what):
    """Return y as one finite float column (n,), or raise with the remedy that fits the loss."""
    try:
        values = np.asarray(y)
    except ValueError:
        # Ragged rows, of which `as_array` has the words.
        values = np.zeros(0)
    if values.dtype.kind in "SUO" and any(isinstance(value, str | bytes) for value in values.ravel()):
        raise DataError(
            f"Got {what} such as {str(values.ravel()[0])!r} for the loss {loss.name!r}; they must be numbers. "
            "Encode labels, as load_data does: names, y = np.unique(y, return_inverse=True)."
        )
    y = as_array(y, "y", ndim=(1, 2))
    if y.ndim == 2 and y.shape[1] > 1:
        remedy = (
            "One-hot rows become labels by y.argmax(axis=1)."
            if loss.task in ("binary", "classes", "ordinal")
            else "Fit one at a time."
        )
        raise DataError(f"Got y of shape {y.shape}; the loss {loss.name!r} takes one target, (n,). {remedy}")
    return y.reshape(-1)


@dataclass(frozen=True)
class Loss:
    r"""A loss with its likelihood: -log p(y | f) = a * loss + b for each observation and target.

    Base class of the losses in this module. `y` is (n,) for one target, counts or labels and (n, K) for several
    regression targets. The network output `f` is (..., n, m); the leading axes (chain, draw) are a batch, and `noise`
    and `cutpoints` carry the same leading axes: (...,) and (..., K - 1).

    Attributes
    ----------
    name, likelihood : str
        Names of the loss and of the distribution that it belongs to.
    task : {"regression", "binary", "classes", "count", "ordinal"}
        What kind of target it takes.
    has_noise : bool
        Whether one scale `noise`, in units of y, belongs to the likelihood.
    output_bias : bool
        Whether the network's output layer has a bias (only ordinal has none: its cutpoints do that job).
    smooth : bool
        Whether the loss has a gradient everywhere.
    formula : Formula or None
        The part of -log p that depends on the network: for a loss with a noise scale :math:`\rho(u)` of
        :math:`u = (y - f) / s`, otherwise a function of y and f, target by target; its parameters follow. None where a
        target takes several outputs.
    scale_is_output : bool
        Whether an output of the network is the logarithm of a scale.
    tail_index : float
        Of a loss with a noise scale: index k of the heavier of the tails :math:`|u|^{-k}` of its density, infinite
        where it falls faster, NaN where that is not known.
    has_mean : bool
        Whether the target has a mean; one without is predicted by its median.
    noise_is_shape : bool
        Whether the noise is a number in the formula, behind y, f and what is `needed`, and not a scale of y - f.
    given, needed : tuple of str
        What may, and what must, be known of each row beside its target, as `bnn.target` names it. The methods `mean`,
        `variance`, `sample`, `cdf` and `observe` take it by that name.
    """

    name: ClassVar[str]
    likelihood: ClassVar[str]
    task: ClassVar[str]
    has_noise: ClassVar[bool] = False
    output_bias: ClassVar[bool] = True
    smooth: ClassVar[bool] = True
    formula: ClassVar[Formula | None] = None
    scale_is_output: ClassVar[bool] = False
    tail_index: ClassVar[float] = np.nan
    has_mean: ClassVar[bool] = True
    noise_is_shape: ClassVar[bool] = False
    given: ClassVar[tuple[str, ...]] = ()
    needed: ClassVar[tuple[str, ...]] = ()
    _table: ClassVar[tuple[str, str, str, str]]

    @property
    def parameters(self) -> tuple[float, ...]:
        """The loss's own parameters, such as Huber's delta, in the order in which its formula takes them."""
        return tuple(getattr(self, field.name) for field in fields(self))

    @property
    def support(self) -> str:
        """Where a target lives: "real", "unit" (between 0 and 1), or "counts", which labels are too."""
        return "real" if self.task == "regression" else "counts"

    @property
    def scaled(self) -> bool:
        """Whether y = f + noise u, with u of one density."""
        return self.has_noise and not self.noise_is_shape

    def check_given(self, known: dict[str, np.ndarray]) -> None:
        """Refuse what a loss has no use for, and what it can't do without.

        Parameters
        ----------
        known : dict of str to array (n,)
            What is known of each row beside its target.

        Raises
        ------
        SpecError
            Which of them, and what to write instead.
        """
        spare = [name for name in known if name in KNOWN and name not in self.given]
        if spare:
            own = f"it takes {', '.join(self.given)}" if self.given else "it takes none of these"
            losses = {"exposure": "'poisson'", "trials": "'binomial'", "precision": "'squared_error'"}
            raise SpecError(
                f"Got a target with {spare[0]} for the loss {self.name!r}; {own}. Leave it out, or take another loss: "
                f"{losses[spare[0]]}, say."
            )
        missing = [name for name in self.needed if name not in known]
        if missing:
            raise SpecError(
                f"Got a target without {missing[0]} for the loss {self.name!r}, which needs it. Write "
                f"bnn.target(y, {missing[0]}=...)."
            )

    def check_known(self, y: np.ndarray, known: dict[str, np.ndarray]) -> None:
        """Refuse a target that does not go with what is known of its row.

        Parameters
        ----------
        y : array
            As `check_target` returns it.
        known : dict of str to array (n,)
            As `check_given` lets it pass.

        Raises
        ------
        DataError
            Where, and what to do.
        """

    def sides(self, y: np.ndarray) -> np.ndarray:
        """Say on which side an output may go to infinity while the likelihood of its row rises.

        Parameters
        ----------
        y : array (n,)
            Targets, of counts or of two classes.

        Returns
        -------
        array (n,) of int
            1 or -1, and 0 where the likelihood falls on both sides.
        """
        return np.zeros(len(y), dtype=np.int64)

    def saturated(self, y: np.ndarray, *, noise: float | None = None) -> float:
        """Return the log-likelihood that no outputs can exceed; infinite where that is not known.

        Parameters
        ----------
        y : array
            Targets.
        noise : float, optional
            A known noise, of losses that have one.

        Returns
        -------
        float
            Of all rows together.
        """
        return 0.0 if self.task in ("binary", "classes", "ordinal") else np.inf

    def _noise_of(self, noise):
        """Return a noise for a node: PyTensor keeps a Python 0.5 or 3.0 as float32, and takes its logarithm so."""
        return np.float64(_scale(self, noise)) if noise is None or isinstance(noise, numbers.Real) else noise

    def ignores_shift(self, m: int) -> bool:
        """Say whether one number added to all m logits of a row changes nothing, found numerically.

        Parameters
        ----------
        m : int
            Number of outputs.

        Returns
        -------
        bool
            False where an output is no logit of its label.
        """
        if self.task != "classes":
            return False
        m = max(m, 2)
        f = np.random.default_rng(0).normal(0, 2, (m, m))
        try:
            here, there = (self.logp(np.arange(m), f + by) for by in (0.0, 0.7))
        except (ValueError, IndexError):
            # A loss from outside may be of one number of classes.
            return False
        return bool(np.allclose(here, there, rtol=1e-10, atol=1e-12))

    def n_outputs(self, y: ArrayLike) -> int:
        """Return how many outputs m the network needs for this target.

        Parameters
        ----------
        y : array, shape (n,) or (n, K)
            The training target.

        Returns
        -------
        int
            K for K regression targets, the number of classes for cross-entropy, 2 for the Gaussian NLL, else 1.
        """
        return 1

    def output_names(self, y: ArrayLike) -> list[str]:
        """Return a name for each of the `n_outputs(y)` outputs.

        Parameters
        ----------
        y : array, shape (n,) or (n, K)
            The training target.

        Returns
        -------
        list of str
        """
        raise NotImplementedError

    def check_target(self, y: ArrayLike, *, classes: int | None = None) -> np.ndarray:
        """Return the target validated and converted.

        Parameters
        ----------
        y : array, shape (n,), (n, 1) or (n, K)
            The target; a single column becomes (n,).
        classes : int, optional
            For labels: the number of classes, when a fit has already fixed it. New data need not hold every class, so
            only the range 0..classes - 1 is checked then.

        Returns
        -------
        ndarray
            float64 for regression, int64 for labels and counts.

        Raises
        ------
        DataError
            If y has the wrong shape or type, or labels or counts outside their range.
        """
        raise NotImplementedError

    def loss(
        self, y: ArrayLike, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None
    ) -> np.ndarray:
        """Return the loss that a practitioner minimises, for each observation, summed over targets.

        Parameters
        ----------
        y : array, shape (n,) or (n, K)
            The target.
        f : array, shape (..., n, m)
            The network output.
        noise : array, shape (...,), optional
            The scale, used by `huber` and `student_t` only: their losses are in units of it (1 if not given).
        cutpoints : array, shape (..., K - 1), optional
            Increasing thresholds, for `ordinal` only.

        Returns
        -------
        ndarray, shape (..., n)
        """
        raise NotImplementedError

    def coefficients(self, *, noise: ArrayLike | None = None) -> tuple[Any, Any]:
        """Return a and b of -log p = a * loss + b, for one observation and one target.

        Parameters
        ----------
        noise : float or array, optional
            The scale, in units of y; needed when `has_noise`.

        Returns
        -------
        a, b : float or ndarray
            For counts b depends on y alone: b is then the function `b_of_y`.
        """
        return 1.0, 0.0

    def b_of_y(self, y: ArrayLike, *, noise: ArrayLike | None = None) -> np.ndarray:
        """Return the constant b of each observation, summed over targets.

        Parameters
        ----------
        y : array, shape (n,) or (n, K)
            The target.
        noise : array, shape (...,), optional
            The scale; needed when `has_noise`.

        Returns
        -------
        ndarray, shape (..., n)
        """
        y = np.asarray(values_of(y))
        _, b = self.coefficients(noise=noise)
        return np.asarray(b)[..., None] * (1 if y.ndim == 1 else y.shape[1]) + np.zeros(y.shape[0])

    def logp(
        self, y: ArrayLike, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None
    ) -> np.ndarray:
        """Return the log density or log mass of each observation, -(a * loss + b).

        Parameters
        ----------
        y : array, shape (n,) or (n, K)
            The target.
        f : array, shape (..., n, m)
            The network output.
        noise : array, shape (...,), optional
            The scale; needed when `has_noise`.
        cutpoints : array, shape (..., K - 1), optional
            Increasing thresholds; needed for `ordinal`.

        Returns
        -------
        ndarray, shape (..., n)
        """
        a, _ = self.coefficients(noise=noise)
        loss = self.loss(y, f, noise=noise, cutpoints=cutpoints)
        return -(np.asarray(a)[..., None] * loss + self.b_of_y(y, noise=noise))

    def noise_mle(self, y: ArrayLike, f: np.ndarray) -> float | None:
        """Return the noise scale that maximises the likelihood while f stays fixed.

        Parameters
        ----------
        y : array, shape (n,) or (n, K)
            The target.
        f : array, shape (n, m)
            The network output.

        Returns
        -------
        float or None
            None without a noise scale. 0.0 means that the likelihood grows without bound as the scale goes to zero
            (f passes through the data): there is no MLE then.
        """
        return None

    def mean(self, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None) -> np.ndarray:
        """Return the mean of y given the network output.

        Parameters
        ----------
        f : array, shape (..., n, m)
            The network output.
        noise : array, shape (...,), optional
            The scale; needed for `quantile`, whose mean is not f.
        cutpoints : array, shape (..., K - 1), optional
            Increasing thresholds; needed for `ordinal`.

        Returns
        -------
        ndarray
            Regression and counts: (..., n, K) in units of y. Labels: the class probabilities (..., n, classes), two
            columns for a binary target.
        """
        raise NotImplementedError

    def variance(self, f: np.ndarray, *, noise: ArrayLike | None = None) -> np.ndarray:
        """Return the aleatoric variance: that of y given the network output.

        Parameters
        ----------
        f : array, shape (..., n, m)
            The network output.
        noise : array, shape (...,), optional
            The scale; needed when `has_noise`.

        Returns
        -------
        ndarray, shape (..., n, K)
            In squared units of y.

        Raises
        ------
        SpecError
            For labels, which have no variance.
        """
        raise SpecError(f"Got the loss {self.name!r}; labels have no variance. Use the probabilities from mean().")

    def sample(
        self,
        f: np.ndarray,
        rng: np.random.Generator,
        *,
        noise: ArrayLike | None = None,
        cutpoints: ArrayLike | None = None,
    ) -> np.ndarray:
        """Return predictive draws of y given the network output, one for each batch element and row.

        Parameters
        ----------
        f : array, shape (..., n, m)
            The network output.
        rng : numpy.random.Generator
            The source of randomness.
        noise : array, shape (...,), optional
            The scale; needed when `has_noise`.
        cutpoints : array, shape (..., K - 1), optional
            Increasing thresholds; needed for `ordinal`.

        Returns
        -------
        ndarray, shape (..., n) or (..., n, K)
            The second form for several regression targets.
        """
        raise NotImplementedError

    def cdf(
        self, y: ArrayLike, f: np.ndarray, *, noise: ArrayLike | None = None, cutpoints: ArrayLike | None = None
    ) -> np.ndarray:
        """Probability that a new number is at most `y`, target by target.

        Parameters
        ----------
        y : array (n,) or (n, K)
            Values.
        f : array (..., n, m)
            Outputs of the network, with leading batch dimensions.
        noise : float or array (...,), optional
            Scale of the likelihood, where it has one.
        cutpoints : None
            Not used.

        Returns
        -------
        array (..., n, K)
            Probabilities.

        Raises
        ------
        SpecError
            Labels, which have no order to accumulate.
        """
        raise SpecError(f"Got loss {self.name!r}; labels have no distribution function. Use mean() for probabilities.")

    def observe(
        self,
        f: "TensorVariable",
        y: Any,
        *,
        noise: Any = None,
        cutpoints: Any = None,
        dims: tuple[str, ...],
    ) -> "TensorVariable":
        """Add the observed node "y" to the open `pm.Model`: the likelihood that matches the loss.

        Parameters
        ----------
        f : TensorVariable, shape (n, m)
            The network output.
        y : pm.Data or array, shape (n,) or (n, K)
            The target, as `check_target` returns it.
        noise : float or TensorVariable, optional
            The scale; needed when `has_noise`.
        cutpoints : TensorVariable, shape (K - 1,), optional
            Increasing thresholds; needed for `ordinal`.
        dims : tuple of str
            Names of the node's axes, ``("obs",)`` or ``("obs", "output")``. They let the node change its size with
            `pm.set_data`.

        Returns
        -------
        TensorVariable
        """
        raise NotImplementedError
