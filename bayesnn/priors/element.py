"""What a family of priors says about itself."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.formulas import Formula
from bayesnn.formulas.shape import grid
from bayesnn.priors.terms import Term

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


_ANSWERS = (
    *("_penalty_kind", "flat", "gaussian", "has_learned_scale", "even", "formula", "values", "has_rates"),
    *("_kink", "_energy", "_draw", "_rates", "_from_rates"),
)
"""What a density says of itself in `Element`."""


class Element(ABC):
    """The density of one weight or bias, before its scale is divided by the fan-in.

    A family must give `_log_density` and `_rv`. The rest is a no unless it says otherwise: the package asks these
    questions and never which family it has, so that one from outside answers for itself.
    """

    def __init_subclass__(cls, **kwargs):
        """Let a family with a density of its own inherit no answer of the family that it derives from."""
        super().__init_subclass__(**kwargs)
        if "_log_density" in vars(cls):
            for name in _ANSWERS:
                own, plain = vars(cls), vars(Element)[name]
                if name not in own and any(vars(base).get(name, plain) is not plain for base in cls.__mro__):
                    setattr(cls, name, plain)

    # Which penalty `from_penalty` reads as this family: a library's numbers mean different ones of them.
    _penalty_kind: ClassVar[Literal["l1", "l2", "both"] | None] = None

    @property
    def flat(self) -> bool:
        """Whether the density is constant, so that nothing keeps a weight finite.

        Like the other properties but `proper` it leaves out biases that have a prior of their own.
        """
        return False

    @property
    def gaussian(self) -> bool:
        """Whether the density is normal around zero, given the learned scale if there is one.

        Of all densities only these and the flat ones stay the same when weights are rotated. Where the scale is not
        learned, the standard deviation is the attribute `sd`.
        """
        return False

    @property
    def has_learned_scale(self) -> bool:
        """Whether every layer has a scale that is a parameter, without which the prior has no density of a weight."""
        return False

    @cached_property
    def even(self) -> bool:
        """Whether the density is the same for a weight and its negative, so that sign flips leave it unchanged.

        Found numerically, whatever the family.
        """
        z = grid()
        with np.errstate(all="ignore"):
            right, left = self._log_density(z), self._log_density(-z)
        return bool(np.allclose(right, left, rtol=1e-10, atol=1e-10, equal_nan=True))

    formula: ClassVar[Formula | None] = None
    """The penalty of a weight in units of the attribute `scale`, where it is one that `rates` can't express."""

    values: ClassVar[tuple[float, ...]] = ()
    """Values of the parameters of `formula`."""

    @property
    def has_rates(self) -> bool:
        """Whether the density is of the form that `Prior.rates` describes."""
        try:
            self._energy  # noqa: B018
        except SpecError:
            return False
        return True

    @property
    def _kink(self) -> float:
        """Slope of the penalty at zero, before rescaling: positive where an optimiser finds weights that are zero."""
        if self.has_rates:
            return self._energy[0]
        h = np.array([1e-6, -1e-6, 1e-7, -1e-7])
        slopes = (self._log_density(np.zeros(4)) - self._log_density(h)) / np.abs(h)
        return float(slopes[2:].mean()) if slopes.min() > 0 and np.ptp(slopes) < 0.01 * slopes.max() else 0.0

    @property
    def _energy(self) -> tuple[float, float, float, float]:
        """The numbers of `Prior.rates` before rescaling."""
        raise SpecError(
            f"Got {type(self).__name__}; its density is not of the form that has rates. Use its log density, logp."
        )

    def _draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw elements before rescaling."""
        raise SpecError(
            f"Got {type(self).__name__}; there is nothing to draw from. Use a prior of fixed, finite scale."
        )

    @abstractmethod
    def _log_density(self, z: np.ndarray) -> np.ndarray:
        """Log density of each element before rescaling."""

    @abstractmethod
    def _rv(self, name: str, factor: "float | TensorVariable", dims: tuple[str, ...]) -> "TensorVariable":
        """Build the PyMC variable of `factor` times an element with this density."""

    def _to_json(self) -> dict[str, Any]:
        """Fields that JSON can't hold as they are, in a form in which it can."""
        return {}

    @staticmethod
    def _from_json(values: dict[str, Any]) -> dict[str, Any]:
        """Arguments from the fields that JSON held."""
        return values

    def _rates(self) -> tuple[tuple[Term, Term, Term], dict[str, float]]:
        """Terms of l1, l2 and l1 + 2 l2 in the penalty l1 |w| + l2 w^2, and the numbers in them."""
        raise SpecError(
            f"Got {type(self).__name__}; its penalty is not of the form l1 |w| + l2 w^2 that libraries know. "
            "Use Normal, Laplace or ElasticNet, or minimise -prior.logp(params) yourself."
        )

    @classmethod
    def _from_rates(cls, l1: float, l2: float, *, free_biases: bool) -> Self:
        """Build the prior whose penalty is l1 |w| + l2 w^2, with a flat one for the biases if they are free."""
        raise SpecError(
            f"Got {cls.__name__}.from_penalty; only Normal (L2), Laplace (L1) and ElasticNet (both) have one. "
            "Without a penalty the prior is Flat()."
        )
