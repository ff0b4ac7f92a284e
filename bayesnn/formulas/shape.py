"""What a formula does not say of itself, found numerically: where it fails, its symmetry, its kinks, how it grows.

Each answer is for a grid of points and holds to rounding there. What is not found is not claimed.
"""

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from bayesnn.arguments import LARGEST
from bayesnn.errors import FormulaWarning, SpecError
from bayesnn.formulas.formula import Formula

REACH, FAR = 30.0, 1e6
"""Arguments up to which a formula must be finite, and up to which it is looked at."""


def grid(reach: float = REACH, n: int = 300) -> np.ndarray:
    """Positive points from the smallest numbers to `reach`, dense where formulas bend, and none of them round."""
    return np.unique(np.concatenate([np.geomspace(1e-12, reach, n), np.linspace(0.0137, reach, n)]))


def check_named(kind: str, name: object, parameters: Mapping[str, Any] = MappingProxyType({})) -> dict[str, float]:
    """Refuse a name that is none, and parameters that are no numbers.

    Parameters
    ----------
    kind : str
        What is named, such as "a loss".
    name : str
        Its name.
    parameters : dict of str to float
        Values of the formula's parameters.

    Returns
    -------
    dict of str to float
        The parameters as floats.

    Raises
    ------
    SpecError
        With what was got.
    """
    if not isinstance(name, str) or not name:
        raise SpecError(f"Got name={name!r}; {kind} needs a name, for tables and messages. Write a str.")
    for key, value in parameters.items():
        if not key.isidentifier():
            raise SpecError(f"Got the parameter {key!r} of {name!r}; it must be a name of Python's. Write p, say.")
        number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
        if not number or not -LARGEST <= value <= LARGEST:
            raise SpecError(
                f"Got {key}={value!r} for {name!r}; a parameter must be a number from -1e50 to 1e50. Write "
                f"{key}=1.5, say."
            )
    return {key: float(value) for key, value in parameters.items()}


def check_finite(formula: Formula, what: str, *parameters: float) -> None:
    """Refuse a formula that is no number up to 30, and warn where it is none further out.

    Parameters
    ----------
    formula : Formula
        Of one argument and its parameters.
    what : str
        What it is, for the message.
    *parameters : float
        Values of its parameters.

    Raises
    ------
    SpecError
        With the first point.

    Warns
    -----
    FormulaWarning
        With the first point beyond 30.
    """
    near = np.concatenate([[0.0], grid()])
    for points, fatal in ((near, True), (np.geomspace(REACH, FAR, 200), False)):
        points = np.concatenate([points, -points])
        for values, which in zip(formula.with_slope(points, *parameters), ("", "the slope of "), strict=True):
            bad = points[~np.isfinite(values)]
            if not bad.size:
                continue
            at = bad[np.argmin(np.abs(bad))]
            value = formula.with_slope(at, *parameters)[bool(which)]
            if fatal:
                raise SpecError(
                    f"Got {what}, of which {which}the formula is {value} at {at:.6g}; it must be finite from "
                    f"-{REACH:g} to {REACH:g}. Write it so that it does not overflow, such as with pt.softplus."
                )
            warnings.warn(
                f"{what}: {which}the formula is {value} at {at:.6g} and beyond; keep arguments smaller than that.",
                FormulaWarning,
                stacklevel=4,
            )
            break


def symmetries(function: Callable) -> tuple[str, ...]:
    """Find which of the symmetries of `SYMMETRIES` an elementwise function has.

    Parameters
    ----------
    function : callable
        Of an array.

    Returns
    -------
    tuple of str
        In the order of the table; a line is only that, and a function that is zero has none.
    """
    found = tuple(name for name in SYMMETRIES if broken(name, function) is None)
    return ("identity",) if "identity" in found else found


def broken(name: str, function: Callable) -> tuple[float, float, float] | None:
    """Point at which a symmetry does not hold, with the values that should be equal; None where it holds.

    Parameters
    ----------
    name : str
        A key of `SYMMETRIES`.
    function : callable
        Of an array.
    """
    z, got, wanted = SYMMETRIES[name][1](function, grid())
    size = np.maximum(np.abs(got), np.abs(wanted))
    gap = np.where(got == wanted, 0.0, np.abs(got - wanted) - 1e-14 * np.max(size)) / np.maximum(size, 1e-300)
    worst = int(np.argmax(np.where(np.isnan(gap), np.inf, gap)))
    if not np.any(function(z)) or not gap[worst] < 1e-10:
        return float(z[worst]), float(got[worst]), float(wanted[worst])
    return None


def _scaled(phi, z):
    """Compare phi(c z) and c phi(z) for two c > 0, on both sides of zero."""
    z = np.concatenate([z, -z, z, -z])
    c = np.repeat([0.3, 2.7], len(z) // 2)
    return z, phi(c * z), c * phi(z)


def _shifted(phi, z):
    level = 2 * phi(np.zeros(1))
    return z, phi(-z), level - phi(z) if level[0] else np.full_like(z, np.nan)


def _straight(phi, z):
    z = np.concatenate([z, -z])
    return z, phi(z), phi(np.ones(1)) * z


SYMMETRIES = {
    "odd": ("phi(-z) = -phi(z)", lambda phi, z: (z, phi(-z), -phi(z))),
    "even": ("phi(-z) = phi(z)", lambda phi, z: (z, phi(-z), phi(z))),
    "sigmoid": ("phi(-z) = 2 phi(0) - phi(z), with phi(0) not zero", _shifted),
    "relu": ("phi(c z) = c phi(z) for c > 0", _scaled),
    "identity": ("phi(z) = a z", _straight),
}
"""Name of a symmetry of an activation -> its equation, and points with its two sides, from phi and z > 0."""


def kinks(function: Callable, slope: Callable) -> np.ndarray:
    """Points from -30 to 30 at which the slope of a continuous function jumps.

    Parameters
    ----------
    function, slope : callable
        Of an array.

    Returns
    -------
    array
        Sorted; empty for a smooth function.
    """
    points = np.concatenate([-grid()[::-1], [0.0], grid()])
    left, right = points[:-1], points[1:]
    jump = np.abs(np.diff(slope(points)))
    # Where a slope changes by much between neighbours, halve: it goes on changing by as much at a kink alone.
    for _ in range(60):
        middle = (left + right) / 2
        a, b, c = slope(left), slope(middle), slope(right)
        into_left = np.abs(b - a) >= np.abs(c - b)
        left, right = np.where(into_left, left, middle), np.where(into_left, middle, right)
    still = np.abs(slope(right) - slope(left))
    found = (still > 1e-6 * np.maximum(1.0, np.abs(slope(left)))) & (still > 0.1 * jump)
    at = np.round(((left + right) / 2)[found], 12) + 0.0
    return np.unique(at)


def is_smooth(function: Callable, slope: Callable) -> bool:
    """Whether a function has first derivatives everywhere and a second one at zero, where powers may have none.

    Parameters
    ----------
    function, slope : callable
        Of an array.
    """
    h = np.array([1e-3, 1e-12])
    with np.errstate(all="ignore"):
        bends = [np.abs(slope(side * h) - slope(np.zeros(2))) / h for side in (1, -1)]
    return not len(kinks(function, slope)) and all(near <= 2 * far + 1e-6 for far, near in bends)


def tail_index(slope: Callable) -> float:
    r"""Index :math:`k` of the tails :math:`|u|^{-k}` of the density :math:`\exp(-\rho(u))`, the heavier of the two.

    It is the limit of :math:`u \rho'(u)`: 2 for a Cauchy density, infinite where the density falls faster than any
    power, NaN where the limit is not seen.

    Parameters
    ----------
    slope : callable
        Derivative of rho, of an array.
    """
    u = np.array([1e4, 1e6, 1e8])
    sides = []
    with np.errstate(all="ignore"):
        for sign in (1, -1):
            k = sign * u * slope(sign * u)
            if np.isnan(k).any():
                return np.nan
            if k[0] <= 0 or k[1] <= 0 or (k[2] < k[1] < k[0] and k[2] < 0.9):
                sides.append(max(float(k[2]), 0.0))
            elif k[1] >= 1.5 * k[0] and (k[2] >= 1.5 * k[1] or np.isinf(k[2])):
                sides.append(np.inf)
            elif abs(k[1] - k[0]) <= 1e-3 * k[1] and abs(k[2] - k[1]) <= 1e-5 * k[2]:
                sides.append(float(k[2]))
            else:
                return np.nan
    return min(sides)
