"""A loss of one's own: a formula of the residual in units of the noise."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, override

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.errors import SpecError
from bayesnn.formulas import Formula, Program, UnitDensity, density_of
from bayesnn.formulas.shape import check_finite, check_named, is_smooth, tail_index
from bayesnn.losses.base import _scale
from bayesnn.losses.regression import Location


class ResidualLoss(Location):
    r"""Regression loss :math:`\rho(u)` of :math:`u = (y - f) / s`, brought from outside as one line of PyTensor.

    Its likelihood has the density :math:`p(y) = \exp(-\rho(u)) / (s Z)`, whose normaliser :math:`Z`, moments,
    distribution function and quantiles are found by quadrature. It does all that a built-in regression loss does.

    Parameters
    ----------
    name : str
        How it is called; not that of a built-in one.
    rho : callable
        The formula, such as ``lambda u: pt.log(pt.cosh(u))``. Parameters follow the residual.
    **parameters : float
        Values of the formula's parameters, by name. They are data: another value compiles nothing anew.

    Raises
    ------
    SpecError
        A formula that can't be read or is not finite from -30 to 30, parameters that it does not have, and a formula
        that belongs to no density because its integral diverges; `verify_loss` says so of any loss.

    Warns
    -----
    FormulaWarning
        A formula that is not finite further out.

    Notes
    -----
    -log p = loss + log(s) + log(Z): a = 1, b = log(s Z), and the noise MLE solves mean(u rho'(u)) = 1. Integrals are
    good to about 1e-12, quantiles to 1e-10. A density without a mean (Cauchy) is predicted by its median.

    Examples
    --------
    log-cosh is the loss of the hyperbolic secant density, whose normaliser is pi:

    >>> import numpy as np, pytensor.tensor as pt
    >>> import bayesnn as bnn
    >>> log_cosh = bnn.losses.ResidualLoss("logcosh", lambda u: pt.log(pt.cosh(u)))
    >>> float(np.exp(log_cosh.coefficients(noise=1.0)[1])).__round__(10)
    3.1415926536
    >>> bnn.losses.ResidualLoss("power", lambda u, p: abs(u) ** p, p=1.5)
    ResidualLoss('power', p=1.5)
    """

    @property
    @override
    def likelihood(self) -> str:
        return f"exp(-{self.name})"

    in_noise = True
    _values: dict[str, float]

    def __init__(self, name: str, rho: Callable | Formula, **parameters: float):
        self.__dict__.update(name=name, _values=check_named("a loss", name, parameters))
        self.__dict__["formula"] = rho if isinstance(rho, Formula) else Formula(rho, ("u", *parameters))
        self._check()

    def _check(self):
        from bayesnn.losses.table import LOSSES

        if self.name in LOSSES:
            raise SpecError(f"Got name={self.name!r}, which is a built-in loss. Choose another name.")
        check_finite(self.formula, f"the loss {self.name!r}", *self.parameters)
        try:
            self.density  # noqa: B018
        except ArithmeticError:
            from bayesnn.losses.verify import verify_loss

            found = verify_loss(lambda y, f: self.rho(y - f))
            raise SpecError(
                f"Got the loss {self.name!r}: {found.message if not found else 'its integral does not converge.'} A "
                "likelihood needs a loss that grows on both sides, faster than log|u|. Change its formula."
            ) from None

    def __setattr__(self, name, value):
        raise AttributeError(f"Got {name}={value!r}; a loss does not change. Make another one.")

    @property
    @override
    def parameters(self) -> tuple[float, ...]:
        return tuple(self._values.values())

    @cached_property
    def smooth(self) -> bool:
        """Whether the loss has two derivatives, found numerically."""
        return is_smooth(self.rho, self._slope)

    def _slope(self, u):
        return self.formula.slope(u, *self.parameters)

    @property
    @override
    def mode(self) -> float:
        return self.density.mode

    @cached_property
    def tail_index(self) -> float:
        """Index of the tails of the density, found numerically."""
        return tail_index(self._slope)

    @cached_property
    def density(self) -> UnitDensity:
        """The density of u, by quadrature."""
        return density_of(self.formula, self.parameters)

    @property
    @override
    def has_mean(self) -> bool:
        return not np.isnan(self.density.mean)

    @property
    def _unit_mean(self):
        return self.density.mean if self.has_mean else float(self.density.quantile(np.array(0.5)))

    @override
    def coefficients(self, *, noise: ArrayLike | None = None) -> tuple[Any, Any]:
        s = _scale(self, noise)
        return np.ones_like(s)[()], np.log(s) + self.density.log_z

    @override
    def noise_mle(self, y: ArrayLike, f: np.ndarray) -> float | None:
        from scipy.optimize import minimize_scalar

        r = self._residual(y, f).ravel()
        if not r.any():
            return 0.0

        def nll(log_s):
            return float(np.sum(self.rho(r * np.exp(-log_s))) + r.size * log_s)

        centre = np.log(np.sqrt(np.mean(r**2)))
        grid = centre + np.linspace(-40.0, 6.0, 461)
        values = np.array([nll(at) for at in grid])
        best = int(np.argmin(values))
        if best == 0 or not np.isfinite(values[best]):
            return 0.0
        found = minimize_scalar(nll, bounds=(grid[best - 1], grid[min(best + 1, 460)]), method="bounded",
                                options={"xatol": 1e-12})  # fmt: skip
        return float(np.exp(found.x))

    @override
    def _unit_variance(self):
        return self.density.variance

    @override
    def _unit_cdf(self, u):
        return self.density.cdf(u)

    @override
    def _unit_sample(self, rng, size):
        return self.density.sample(rng, size)

    @override
    def _node(self, mu, noise, **kwargs):
        import pymc as pm
        import pytensor
        import pytensor.tensor as pt

        density = self.density
        # As data and not as constants: compiled code then serves every other value too.
        numbers = [pytensor.shared(np.float64(v), name=f"{self.name}_{k}") for k, v in self._values.items()]
        log_z = pytensor.shared(np.float64(density.log_z), name=f"{self.name}_log_z")

        def logp(value, mu, scale, log_z, *numbers):
            return -self.formula.symbolic((value - mu) / scale, *numbers) - pt.log(scale) - log_z

        def dist(mu, scale, log_z, *numbers_and_size):
            return mu + scale * density.symbolic_sample(numbers_and_size[-1])

        signature = f"{','.join(['()'] * (3 + len(numbers)))}->()"
        return pm.CustomDist("y", mu, noise, log_z, *numbers, logp=logp, dist=dist, signature=signature,
                             class_name="ResidualLoss", **kwargs)  # fmt: skip

    @property
    def _table(self):
        shift = f"log(s) + {self.density.log_z:.6g}"
        return self.formula_text, "1", shift, "root s of mean u ρ'(u) = 1"

    @property
    def formula_text(self) -> str:
        """The formula in plain text, with the values of its parameters below it."""
        return self.formula.text() + "".join(f", {k} = {v:g}" for k, v in self._values.items()) + ", u = (y - f)/s"

    def __eq__(self, other: object) -> bool:
        """Whether name, formula and parameters are the same."""
        if not isinstance(other, ResidualLoss):
            return NotImplemented
        return (self.name, self._values, self.formula) == (other.name, other._values, other.formula)

    def __hash__(self) -> int:
        return hash((self.name, self.parameters))

    def __reduce__(self):
        return ResidualLoss.from_json, (self.to_json(),)

    def __repr__(self) -> str:
        """Show name and parameters."""
        return f"ResidualLoss({', '.join([repr(self.name), *(f'{k}={v!r}' for k, v in self._values.items())])})"

    def to_json(self) -> dict[str, Any]:
        """Write it as a dictionary that JSON can hold."""
        return {"name": self.name, "formula": self.formula.program.to_json(), "parameters": dict(self._values)}

    @classmethod
    def from_json(cls, d: dict[str, Any]) -> "ResidualLoss":
        """Read what `to_json` wrote, without PyTensor."""
        out = object.__new__(cls)
        program = Program.from_json(d["formula"])
        values = check_named("a loss", d["name"], d["parameters"])
        if len(program.arguments) != 1 + len(values):
            raise SpecError(f"Got {str(d)[:80]} as a loss; its formula has other parameters. Write it with to_json.")
        out.__dict__.update(name=d["name"], _values=values, formula=Formula(program))
        return out
