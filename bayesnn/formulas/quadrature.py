r"""A density from a penalty: :math:`p(u) = \exp(-\rho(u)) / Z` with its moments, distribution function and draws."""

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, logit

from bayesnn.formulas.formula import Formula
from bayesnn.formulas.shape import kinks, tail_index

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_FARTHEST = 1e150
"""How far out tails like a power are followed: the square of a larger number would overflow."""
_TABLE = np.linspace(-36.0, 36.0, 6001)
"""Log odds at which quantiles are tabulated: to both ends of the probabilities that differ from 0 and 1."""


class UnitDensity:
    r"""The density :math:`\exp(-\rho(u)) / Z`, by Gauss and Legendre's rule on panels.

    Panels end at kinks, widen geometrically into the tails, and are halved until the rule agrees with that on both
    halves to 1e-13 of the whole.

    Parameters
    ----------
    rho : callable
        Of an array.
    kinks : array
        Points at which its slope jumps.
    tail : float
        Index of the tails, :math:`|u|^{-k}`, as `shape.tail_index` finds it.

    Raises
    ------
    ArithmeticError
        The integral does not converge.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesnn.formulas import UnitDensity
    >>> normal = UnitDensity(lambda u: u**2 / 2, np.empty(0), np.inf)
    >>> float(np.exp(2 * normal.log_z) / np.pi).__round__(10), normal.variance.__round__(10)
    (2.0, 1.0)
    >>> normal.cdf(np.array([-1.0])).round(10), normal.quantile(np.array([0.975])).round(9)
    (array([0.15865525]), array([1.95996398]))
    """

    def __init__(self, rho: Callable, kinks: np.ndarray, tail: float):
        self.rho, self.tail = rho, tail
        grid = np.concatenate([[0.0], np.geomspace(1e-6, 1e4, 2000)])
        grid = np.concatenate([-grid[:0:-1], grid, kinks])
        values = rho(grid)
        grid, values = grid[np.argsort(grid)], values[np.argsort(grid)]
        best = int(np.nanargmin(values))
        self.mode, self._low = float(grid[best]), float(values[best])
        if 0 < best < len(grid) - 1:
            from scipy.optimize import minimize_scalar

            found = minimize_scalar(lambda u: float(rho(u)), bounds=(grid[best - 1], grid[best + 1]), method="bounded",
                                    options={"xatol": 1e-12})  # fmt: skip
            if found.fun < self._low:
                self.mode, self._low = float(found.x), float(found.fun)
        if not np.isfinite(self._low) or not tail > 1.0:
            raise ArithmeticError("the integral does not converge")
        self._panels(kinks)

    def _density(self, u):
        """Density before it is normalised, at most about one."""
        with np.errstate(all="ignore"):
            return np.exp(self._low - self.rho(u))

    def _integrals(self, low, high):
        """Integrals of the density, and of it times u and u^2, over many panels; and between their nodes."""
        half = (high - low) / 2
        u = low[:, None] + half[:, None] * (1 + _NODES)
        weight = _WEIGHTS * self._density(u) * half[:, None]
        with np.errstate(all="ignore"):
            return np.stack([weight.sum(axis=1), (weight * u).sum(axis=1), (weight * u**2).sum(axis=1)])

    def _panels(self, kinks):
        steps = [0.0]
        size = 1e-3
        while size < _FARTHEST:
            steps.append(size)
            # The second moment gathers further out than the density does.
            with np.errstate(all="ignore"):
                ends = self._density(self.mode + np.array([size, -size])) * size * (size**2 if self.tail > 3.0 else 1.0)
            if size > 1.0 and size > 2 * np.max(np.abs(kinks - self.mode), initial=0.0) and np.all(ends < 1e-19):
                break
            size *= 1.6
        steps = np.array(steps)
        edges = np.unique(np.concatenate([self.mode - steps, self.mode + steps, kinks]))
        total = self._integrals(edges[:-1], edges[1:])[0].sum()
        low, high, kept = edges[:-1], edges[1:], []
        for _ in range(40):
            middle = low + (high - low) / 2
            whole, left, right = (self._integrals(*ends) for ends in ((low, high), (low, middle), (middle, high)))
            fine = np.abs(left[0] + right[0] - whole[0]) <= 1e-14 * total
            kept.append(np.stack([low, high])[:, fine])
            low, high = (
                np.concatenate([low, middle])[~np.tile(fine, 2)],
                np.concatenate([middle, high])[~np.tile(fine, 2)],
            )
            if not low.size:
                break
        kept = np.concatenate([*kept, np.stack([low, high])], axis=1)
        self._edges = np.unique(kept)
        parts = self._integrals(self._edges[:-1], self._edges[1:])
        self._parts = parts[0]
        self._total = float(parts[0].sum())
        far = max(parts[0][0], parts[0][-1]) if np.isinf(self.tail) else 0.0
        if not np.isfinite(self._total) or self._total <= 0 or far > 1e-6 * self._total:
            raise ArithmeticError("the integral does not converge")
        self.log_z = float(np.log(self._total) - self._low)
        mean = float(parts[1].sum() / self._total)
        self.mean = mean if self.tail > 2.0 + 1e-9 else np.nan
        spread = float(parts[2].sum() / self._total - mean**2)
        self.variance = spread if self.tail > 3.0 + 1e-9 else np.inf
        self._left = np.concatenate([[0.0], np.cumsum(self._parts)])
        self._right = np.concatenate([np.cumsum(self._parts[::-1])[::-1], [0.0]])

    def expect(self, function: Callable[[np.ndarray], np.ndarray]) -> float:
        """Integrate a function that is smooth between the kinks, and that falls when multiplied by the density."""
        half = (self._edges[1:] - self._edges[:-1])[:, None] / 2
        u = self._edges[:-1, None] + half * (1 + _NODES)
        return float(np.sum(_WEIGHTS * half * self._density(u) * function(u)) / self._total)

    def _both(self, u):
        """Probabilities below and above u, each exact to rounding of itself."""
        u = np.clip(np.asarray(u, dtype=float), self._edges[0], self._edges[-1])
        at = np.clip(np.searchsorted(self._edges, u, side="right") - 1, 0, len(self._parts) - 1)
        half = (u - self._edges[at]) / 2
        nodes = self._edges[at][..., None] + half[..., None] * (1 + _NODES)
        inside = (self._density(nodes) * _WEIGHTS).sum(axis=-1) * half
        above = np.maximum(self._parts[at] - inside, 0.0)
        return (self._left[at] + inside) / self._total, (self._right[at + 1] + above) / self._total

    def cdf(self, u: np.ndarray) -> np.ndarray:
        """Distribution function, to about 1e-13; NaN stays NaN."""
        u = np.asarray(u, dtype=float)
        out = np.empty(u.shape)
        for i in range(0, u.size, 100_000):
            out.flat[i : i + 100_000] = self._both(u.flat[i : i + 100_000])[0]
        return np.where(np.isnan(u), np.nan, out)

    @cached_property
    def table(self) -> tuple[np.ndarray, np.ndarray]:
        """Quantiles at the log odds of a fixed grid, and their derivatives there."""
        below = _TABLE <= 0
        wanted = expit(-np.abs(_TABLE))
        left, right = self._left / self._total, self._right / self._total
        from_right = len(right) - np.searchsorted(right[::-1], wanted)
        at = np.where(below, np.searchsorted(left, wanted), from_right)
        low, high = (self._edges[np.clip(place, 0, len(self._edges) - 1)] for place in (at - 1, at))
        u = (low + high) / 2
        for _ in range(200):
            both = self._both(u)
            excess = np.where(below, both[0] - wanted, wanted - both[1])
            low, high = np.where(excess < 0, u, low), np.where(excess < 0, high, u)
            with np.errstate(all="ignore"):
                new = u - excess * self._total / self._density(u)
            new = np.where((new > low) & (new < high), new, (low + high) / 2)
            if np.all(np.abs(new - u) <= 1e-15 * np.abs(u) + 1e-300):
                break
            u = new
        with np.errstate(all="ignore"):
            slope = wanted * expit(np.abs(_TABLE)) * self._total / self._density(u)
        return u, np.where(np.isfinite(slope), slope, 0.0)

    def quantile(self, p: np.ndarray) -> np.ndarray:
        """Inverse of the distribution function, to 1e-10: the table, interpolated and then sharpened by Newton."""
        p = np.asarray(p, dtype=float)
        u = self._interpolated(logit(p))
        for _ in range(2):
            both = self._both(u)
            with np.errstate(all="ignore"):
                step = np.where(p <= 0.5, both[0] - p, (1 - p) - both[1]) * self._total / self._density(u)
            u = u - np.where(np.isfinite(step) & (np.abs(step) <= 0.1 * (1 + np.abs(u))), step, 0.0)
        return u

    def _interpolated(self, odds):
        """Quantiles at some log odds: cubics with the table's values and slopes."""
        u, slope = self.table
        step = _TABLE[1] - _TABLE[0]
        odds = np.clip(odds, _TABLE[0], _TABLE[-1])
        at = np.clip(((odds - _TABLE[0]) / step).astype(int), 0, len(u) - 2)
        t = (odds - _TABLE[at]) / step
        return hermite(t, u[at], u[at + 1], step * slope[at], step * slope[at + 1])

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> np.ndarray:
        """Draw, by the interpolated table of quantiles."""
        return self._interpolated(rng.logistic(size=size))

    def symbolic_sample(self, size: Any) -> "TensorVariable":
        """Draw in PyTensor, by the same table."""
        import pymc as pm
        import pytensor.tensor as pt

        u, slope = (pt.constant(values) for values in self.table)
        step = float(_TABLE[1] - _TABLE[0])
        odds = pt.clip(pm.Logistic.dist(np.float64(0.0), np.float64(1.0), size=size), _TABLE[0], _TABLE[-1])
        place = (odds - _TABLE[0]) / step
        at = pt.clip(pt.cast(pt.floor(place), "int64"), 0, len(_TABLE) - 2)
        return hermite(place - at, u[at], u[at + 1], step * slope[at], step * slope[at + 1])


@lru_cache(maxsize=128)
def density_of(formula: Formula, values: tuple[float, ...]) -> UnitDensity:
    """Make the density of a formula, once for all losses and priors that a file is read into again.

    Parameters
    ----------
    formula : Formula
        Of one number and its parameters.
    values : tuple of float
        Of the parameters.

    Raises
    ------
    ArithmeticError
        The integral does not converge.
    """

    def rho(u):
        return formula(u, *values)

    def slope(u):
        return formula.slope(u, *values)

    tail = tail_index(slope)
    return UnitDensity(rho, kinks(rho, slope), np.inf if np.isnan(tail) else tail)


def hermite(t: Any, left: Any, right: Any, slope_left: Any, slope_right: Any) -> Any:
    """Cubic from 0 to 1 with given values and slopes at both ends, for arrays and tensors."""
    s = 1 - t
    return s**2 * ((1 + 2 * t) * left + t * slope_left) + t**2 * ((1 + 2 * s) * right - s * slope_right)
