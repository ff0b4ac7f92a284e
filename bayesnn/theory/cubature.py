"""Cubature of a density with narrow modes: Gauss and Legendre's rule on boxes that are halved where it fails."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product
from typing import Any

import numpy as np

ORDER = (24, 24, 16, 10, 6)
"""Nodes along an axis, by the number of dimensions."""
TOLERANCE = (1e-7, 1e-7, 1e-4, 1e-2, 0.3)
"""Share of the density that polynomials may miss; the rule, exact to twice their degree, misses about its square."""
NEGLIGIBLE = 1e-14
"""Share of the mass, and of the second moments, that outermost boxes may hold before more are put around them."""
FIRST = 4.0, 2.7
"""Size of the boxes about the centre, in scales, of both meshes; those further out are twice as large each."""
LOOSER = 5.0
"""Tolerance of the second mesh, in those of the first."""
WIDE = 4.0
"""How far a peak reaches, and how large boxes there may be at first, in its widths."""
_FARTHEST = 60
"""Most steps from the centre: the last ends at 1e18 scales."""
_CHUNK = 50_000
"""Points that are evaluated at a time."""


@dataclass(frozen=True)
class Nodes:
    """A density on points that integrate smooth functions against it.

    Parameters
    ----------
    points : array (s, d)
        Nodes of the rule.
    weights : array (s,)
        Their shares of the integral: they add up to one.
    logs : array (s,)
        Log density at the nodes.
    log_z : float
        Log of the integral.
    """

    points: np.ndarray
    weights: np.ndarray
    logs: np.ndarray
    log_z: float


@dataclass(frozen=True)
class Cubature:
    """What `integrate` found.

    Parameters
    ----------
    fine, coarse : Nodes
        On two meshes with no edge in common but those at the centre, the second with a looser tolerance: what differs
        is about the error of the second, and a bound on that of the first.
    evaluations : int
        Of the density.
    complete : bool
        Whether the boxes are as small as the tolerance asks, and not as many as there may be.
    """

    fine: Nodes
    coarse: Nodes
    evaluations: int
    complete: bool


class _Boxes:
    """Boxes with the density at their nodes; `size` of them axes, all arrays with the boxes first."""

    def __init__(self, density, size, offset, tolerance, most):
        self.density, self.size, self.offset, self.tolerance, self.most = density, size, offset, tolerance, most
        self.order, self.evaluations, self.complete = ORDER[size], 0, True
        self.low = self.high = np.empty((0, size))
        self.logs = np.empty((0, self.order**size))

    def add(self, low, high):
        """Halve new boxes until the density on each is a polynomial, and keep them."""
        shape = (-1, *[self.order] * self.size)
        total = self._masses(self.low, self.high, self.logs).sum()
        kept = [(self.low, self.high, self.logs)]
        while len(low):
            logs = self.evaluate(low, high)
            masses = self._masses(low, high, logs)
            errors = _missed(np.exp(logs - self.offset).reshape(shape)) * np.prod(high - low, axis=1)[:, None]
            total += masses.sum()
            missed = errors.sum(axis=1)
            split = missed > self.tolerance * np.maximum(masses, 1e-5 * total)
            if split.any() and self.evaluations >= self.most:
                self.complete, split = False, np.zeros(len(low), bool)
            kept.append((low[~split], high[~split], logs[~split]))
            total -= masses[split].sum()
            low, high = _halve(low[split], high[split], errors[split].argmax(axis=1))
        self.low, self.high, self.logs = map(np.concatenate, zip(*kept, strict=True))

    def evaluate(self, low, high):
        """Log density at the nodes of boxes (b, order^d)."""
        points = _points(low, high, self.order).reshape(-1, self.size)
        self.evaluations += len(points)
        parts = [self.density(points[i : i + _CHUNK]) for i in range(0, len(points), _CHUNK)]
        logs = np.concatenate(parts) if parts else np.empty(0)
        return np.where(np.isnan(logs), -np.inf, logs).reshape(len(low), -1)

    def _masses(self, low, high, logs):
        return np.exp(logs - self.offset) @ _rule(self.order, self.size)[1] * np.prod(high - low, axis=1)

    def short(self, outer_low, outer_high):
        """Say at which faces of the region, lower ones first, there is density that is not negligible."""
        masses = self._masses(self.low, self.high, self.logs)
        squares = masses[:, None] * np.maximum(self.low**2, self.high**2)
        ends = np.stack([self.low <= outer_low, self.high >= outer_high])
        share = np.einsum("eba,b->ea", ends, masses) / masses.sum()
        moment = np.einsum("eba,ba->ea", ends, squares) / squares.sum(axis=0)
        return np.maximum(share, moment) > NEGLIGIBLE

    def nodes(self):
        """Lay the rule on all boxes."""
        sizes = np.prod(self.high - self.low, axis=1)[:, None] * _rule(self.order, self.size)[1]
        weights = (sizes * np.exp(self.logs - self.offset)).ravel()
        total = weights.sum()
        weights /= total
        # So many that hold nothing in all are left out of every sum that follows.
        rank = np.argsort(weights)
        kept = np.sort(rank[np.searchsorted(np.cumsum(weights[rank]), 1e-14) :])
        points = _points(self.low, self.high, self.order).reshape(-1, self.size)[kept]
        return Nodes(points, weights[kept], self.logs.ravel()[kept], float(self.offset + np.log(total)))


def integrate(
    density: Callable[[np.ndarray], np.ndarray],
    centre: np.ndarray,
    scales: np.ndarray,
    *,
    peaks: np.ndarray,
    widths: np.ndarray,
    tolerance: float | None = None,
    most: int = 6_000_000,
) -> Cubature:
    """Integrate a density over all of space.

    Parameters
    ----------
    density : callable
        From points (s, d) to log densities (s,).
    centre, scales : array (d,)
        About where, and on which scales, the density lives: boxes are laid outwards until nothing is left.
    peaks, widths : array (p, d)
        Where modes are, and how wide they are along the axes: the boxes there begin no larger.
    tolerance : float, optional
        Instead of `TOLERANCE`.
    most : int
        About the most evaluations.

    Returns
    -------
    Cubature
        Nodes and weights, with what a coarser rule gives.

    Notes
    -----
    The density at the nodes of a box is turned into coefficients of Legendre polynomials along each axis. The last two
    tell what the polynomial misses: a box is halved along the axis of the largest until that is small against what
    the box holds, or against all. Boxes end at the centre, where penalties, and rectified units without a bias, have
    their kinks.
    `scipy.integrate.cubature` adapts too, but halves along all axes at once, box by box, and keeps no nodes, with which
    moments, quantiles and the shares of modes are sums.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones(2)
    >>> def normal(x):
    ...     return -0.5 * ((x - 3.0) ** 2).sum(axis=1) / 0.01
    >>> found = integrate(normal, 0 * one, one, peaks=3 * one[None], widths=0.1 * one[None])
    >>> round(float(np.exp(found.fine.log_z) / (2 * np.pi * 0.01)), 12)
    1.0
    """
    tolerance = TOLERANCE[len(centre)] if tolerance is None else tolerance
    offset = float(np.max(density(peaks)))
    meshes = [
        _mesh(_Boxes(density, len(centre), offset, tol, most), centre, first * scales, peaks, widths)
        for first, tol in zip(FIRST, (tolerance, LOOSER * tolerance), strict=True)
    ]
    fine, coarse = (mesh.nodes() for mesh in meshes)
    return Cubature(fine, coarse, sum(m.evaluations for m in meshes), all(m.complete for m in meshes))


def _mesh(boxes, centre, step, peaks, widths):
    """Lay boxes about the centre, and further out until nothing is left there."""
    # How far out the region goes, in steps of an axis that double, below and above.
    reach = np.full((2, len(centre)), 2)
    boxes.add(*_narrowed(*_laid(centre, step, -reach[0], reach[1]), peaks, widths))
    for _ in range(_FARTHEST):
        ends = [centre + sign * step * 2.0 ** (reach[i] - 1) for i, sign in enumerate((-1.0, 1.0))]
        faces = np.argwhere(boxes.short(*ends))
        if not len(faces):
            return boxes
        for upper, axis in faces:
            first, last = -reach[0], reach[1].copy()
            reach[upper, axis] += 1
            if upper:
                first[axis], last[axis] = last[axis], last[axis] + 1
            else:
                first[axis], last[axis] = first[axis] - 1, first[axis]
            boxes.add(*_narrowed(*_laid(centre, step, first, last), peaks, widths))
    boxes.complete = False
    return boxes


def _laid(centre, step, first, last):
    """Boxes between edges of each axis: number 0 is the centre, the next are a step away, two, four."""
    edges = []
    for k in range(len(centre)):
        at = np.arange(first[k], last[k] + 1)
        edges.append(centre[k] + step[k] * np.sign(at) * 2.0 ** (np.abs(at) - 1))
    boxes = np.array(list(product(*(list(pairwise(e)) for e in edges)))).reshape(-1, len(centre), 2)
    return boxes[..., 0], boxes[..., 1]


def _narrowed(low, high, peaks, widths):
    """Halve boxes in which a peak is, or comes from beside, until they are not much larger than it is wide."""
    for peak, width in zip(peaks, widths, strict=True):
        while True:
            ratio = (high - low) / (WIDE * width)
            near = ((low <= peak + WIDE * width) & (peak - WIDE * width <= high)).all(axis=1)
            wide = near & (ratio > 1).any(axis=1)
            if not wide.any():
                break
            halves = _halve(low[wide], high[wide], ratio[wide].argmax(axis=1))
            low, high = (np.concatenate([old[~wide], new]) for old, new in zip((low, high), halves, strict=True))
    return low, high


def _halve(low, high, axis):
    rows = np.arange(len(low))
    middle = (low[rows, axis] + high[rows, axis]) / 2
    low, high = np.concatenate([low, low]), np.concatenate([high, high])
    high[rows, axis] = low[len(rows) + rows, axis] = middle
    return low, high


@cache
def _rule(order: int, size: int) -> tuple[Any, Any]:
    """Nodes (order^size, size) and weights of the unit box."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    grid = np.stack(np.meshgrid(*[(nodes + 1) / 2] * size, indexing="ij"), axis=-1).reshape(-1, size)
    return grid, np.prod(np.stack(np.meshgrid(*[weights / 2] * size, indexing="ij")), axis=0).ravel()


def _points(low, high, order):
    return low[:, None] + (high - low)[:, None] * _rule(order, low.shape[1])[0]


@cache
def _last(order: int) -> Any:
    """From values at the nodes to the last two Legendre coefficients (2, order)."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    degrees = np.arange(order - 2, order)
    return (degrees[:, None] + 0.5) * weights * np.polynomial.legendre.legvander(nodes, order - 1).T[degrees]


def _missed(values):
    """Estimate what polynomials miss of densities (b, order, ...) along each axis, in the mean over the box."""
    size, order = values.ndim - 1, values.shape[1]
    found = []
    for axis in range(1, size + 1):
        last = np.abs(np.tensordot(values, _last(order), axes=(axis, 1))).max(axis=-1)
        found.append(last.reshape(len(values), -1) @ _rule(order, size - 1)[1] if size > 1 else last)
    return np.stack(found, axis=1)
