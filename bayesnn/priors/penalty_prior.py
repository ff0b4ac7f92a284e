"""A penalty of one's own, as a prior: a formula of a weight in units of its scale."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.errors import ImproperPriorError
from bayesnn.formulas import Formula, Program, UnitDensity, density_of
from bayesnn.formulas.shape import broken, check_finite, check_named
from bayesnn.priors.base import Prior
from bayesnn.priors.settings import set_positive, setting


@dataclass(frozen=True, repr=False, eq=False)
class PenaltyPrior(Prior):
    r"""Prior whose penalty is a formula: :math:`-\log p(w) = \rho(w / scale) + \log(scale \, Z)`.

    Parameters
    ----------
    name : str
        How it is called.
    formula : callable
        One line of PyTensor, ``lambda w: pt.log1p(w**2 / 4)``. Parameters follow the weight.
    scale : float
        Scale of a weight.
    parameters : dict of str to float, optional
        Values of the formula's parameters, by name.
    fan_in : bool
        Divide `scale` by the square root of the fan-in, for weights.
    bias : Prior, optional
        Another prior for the biases.

    Raises
    ------
    SpecError
        A formula that can't be read or is not finite from -30 to 30; a scale that is not positive and finite.

    Warns
    -----
    FormulaWarning
        A formula that is not finite further out.

    Notes
    -----
    The normaliser and quantiles come by quadrature, to about 1e-12. A penalty whose integral diverges is improper: it
    has a MAP, as `Flat` has, and `fit_posterior` refuses it. Whether the penalty is even, and flips of units keep it,
    is found numerically.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> import bayesnn as bnn
    >>> cauchyish = bnn.priors.PenaltyPrior("cauchyish", lambda w: pt.log1p(w**2 / 4), scale=1.0)
    >>> cauchyish, cauchyish.proper, cauchyish.even
    (PenaltyPrior('cauchyish', scale=1.0), True, True)
    >>> bnn.StudentT(nu=1.0, scale=2.0).elementwise_logp(3.0) - cauchyish.elementwise_logp(3.0) < 1e-12
    np.True_
    """

    name: str
    formula: Callable | Formula  # type: ignore[misc, assignment]  # a function becomes a Formula
    scale: float = 1.0
    parameters: dict[str, float] = None  # type: ignore[assignment]  # None becomes an empty one

    def __post_init__(self):
        set_positive(self, "scale")
        values = check_named("a prior", self.name, self.parameters or {})
        object.__setattr__(self, "parameters", values)
        if not isinstance(self.formula, Formula):
            object.__setattr__(self, "formula", Formula(self.formula, ("w", *values)))
            check_finite(self.formula, f"the penalty {self.name!r}", *self.values)
        super().__post_init__()

    @property
    def values(self) -> tuple[float, ...]:
        """Values of the parameters."""
        return tuple(self.parameters.values())

    def _rho(self, z):
        return self.formula(z, *self.values)

    def _slope(self, z):
        return self.formula.slope(z, *self.values)

    @cached_property
    def density(self) -> UnitDensity | None:
        """The density of w / scale, by quadrature; None where the integral diverges."""
        try:
            return density_of(self.formula, self.values)
        except ArithmeticError:
            return None

    @property
    def proper(self) -> bool:
        """Whether the prior integrates to one."""
        return self.density is not None and super().proper

    @cached_property
    def even(self) -> bool:
        """Whether the penalty is the same for a weight and its negative, found numerically."""
        return broken("even", self._rho) is None

    @property
    def _kink(self):
        # Slopes of a power beyond the first differ on both sides too, but less and less.
        far, near = (float(self._slope(np.array(h)) - self._slope(np.array(-h))) for h in (1e-9, 1e-13))
        return near / 2 / self.scale if near > max(1e-6, 0.9 * far) else 0.0

    def _draw(self, rng, shape):
        if self.density is None:
            raise ImproperPriorError(
                f"Got {self!r}, whose integral diverges; there is nothing to draw from. Take one that grows faster."
            )
        return self.scale * self.density.sample(rng, shape)

    @property
    def _log_constant(self):
        return 0.0 if self.density is None else math.log(self.scale) + self.density.log_z

    def _log_density(self, z):
        return -self._rho(z / self.scale) - self._log_constant

    def elementwise_logp(self, x: ArrayLike, scale_factor: ArrayLike = 1.0) -> np.ndarray:
        """Log density of each element; that of an improper penalty is minus the penalty. See `Prior`."""
        if self.density is not None:
            return super().elementwise_logp(x, scale_factor)
        return -self._rho(np.asarray(x, dtype=float) / scale_factor / self.scale)

    def _rv(self, name, factor, dims):
        import pymc as pm
        import pytensor
        import pytensor.tensor as pt

        density = self.density
        scale = setting(f"{name}_scale", self.scale * factor)
        constant = setting(
            f"{name}_constant", 0.0 if density is None else density.log_z + math.log(self.scale * factor)
        )
        numbers = [pytensor.shared(np.float64(v), name=f"{name}_{k}") for k, v in self.parameters.items()]

        def logp(value, scale, constant, *numbers):
            return -self.formula.symbolic(value / scale, *numbers) - constant

        def dist(scale, constant, *numbers_and_size):
            size = numbers_and_size[-1]
            return scale * (pm.Flat.dist(size=size) if density is None else density.symbolic_sample(size))

        def start(rv, size, *parameters):
            return pt.zeros(size)

        return pm.CustomDist(name, scale, constant, *numbers, logp=logp, dist=dist, support_point=start,
                             class_name="PenaltyPrior", dims=dims)  # fmt: skip

    def __repr__(self) -> str:
        """Show the name, the scale, and what else is set."""
        shown = [repr(self.name), f"scale={self.scale!r}", *(f"{k}={v!r}" for k, v in self.parameters.items())]
        shown += ["fan_in=True"] * self.fan_in + [f"bias={self.bias!r}"] * (self.bias is not None)
        return f"PenaltyPrior({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        """Whether all fields are the same, formulas by their operations."""
        if not isinstance(other, PenaltyPrior):
            return NotImplemented
        return self._fields == other._fields and self.formula == other.formula

    def __hash__(self) -> int:
        return hash((self.name, self.scale, self.values, self.fan_in, self.bias))

    @property
    def _fields(self):
        return self.name, self.scale, self.parameters, self.fan_in, self.bias

    def _to_json(self) -> dict[str, Any]:
        return {"formula": self.formula.program.to_json()}  # type: ignore[union-attr]

    @staticmethod
    def _from_json(values: dict[str, Any]) -> dict[str, Any]:
        return values | {"formula": Formula(Program.from_json(values["formula"]))}
