"""Peaks of a density, and basins: which of many points climb to the same peak."""

from typing import Any

import numpy as np

VALLEY = 0.5
"""Two peaks are one unless the density between them falls to this share of the lower, as for clusters of draws."""
POINTS = 20_000
"""Most points that are joined to their neighbours; others go with the nearest of these."""


def basins(points: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Label points by the peak that they climb to, the highest first.

    Parameters
    ----------
    points : array (s, d)
        Where the density is known.
    logs : array (s,)
        Its logarithm there.

    Returns
    -------
    array (s,) of int
        Labels from 0 on, in the order of the peaks' heights.

    Notes
    -----
    From the highest point down, each joins the basin of its highest neighbour, and where basins meet they are one if
    the lower has not risen far enough above that point: clustering by persistence [1]_, with the density itself.

    References
    ----------
    .. [1] F. Chazal, L. Guibas, S. Oudot and P. Skraba, "Persistence-based clustering in Riemannian manifolds",
       Journal of the ACM 60 (2013).

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(-4, 4, 81)[:, None]
    >>> np.bincount(basins(x, np.logaddexp(-(x[:, 0] - 2) ** 2, 0.1 - (x[:, 0] + 2) ** 2))).tolist()
    [41, 40]
    """
    from scipy.spatial import KDTree

    size = points.shape[1]
    if not size or len(points) == 1:
        return np.zeros(len(points), dtype=int)
    spread = np.ptp(points, axis=0)
    scaled = points / np.where(spread > 0, spread, 1.0)
    some = np.arange(len(points))
    if len(points) > POINTS:
        some = np.sort(np.random.default_rng(0).choice(len(points), POINTS, replace=False))
    some = some[np.argsort(-logs[some], kind="stable")]
    tree, height = KDTree(scaled[some]), logs[some]
    near = tree.query(scaled[some], k=min(1 + 6 * size, len(some)))[1]
    beside: list[set[int]] = [set() for _ in some]
    for i, others in enumerate(near.tolist()):
        for j in others:
            # The lower of the two looks at the higher, whichever found the other.
            if i != j:
                beside[max(i, j)].add(min(i, j))
    peak = list(range(len(some)))

    def root(i):
        while peak[i] != i:
            peak[i] = peak[peak[i]]
            i = peak[i]
        return i

    for i, higher in enumerate(beside):
        if not higher:
            continue
        peak[i] = root(min(higher))
        for j in {root(j) for j in higher}:
            here = root(i)
            low, high = max(here, j), min(here, j)
            if low != high and height[low] - height[i] < -np.log(VALLEY):
                peak[low] = high
    roots = np.array([root(i) for i in range(len(some))])
    _, label = np.unique(roots, return_inverse=True)
    return label[tree.query(scaled)[1]]


def climb(density: Any, start: np.ndarray) -> np.ndarray:
    """Climb to a peak of a log density with a gradient.

    Parameters
    ----------
    density : callable
        From a flat vector to value and gradient.
    start : array (d,)
        Where to begin.

    Returns
    -------
    array (d,)
        Where L-BFGS ends.
    """
    from scipy.optimize import minimize

    def negative(x):
        value, gradient = density(x)
        return (-value, -gradient) if np.isfinite(value) else (1e300, np.zeros_like(x))

    with np.errstate(over="ignore", invalid="ignore"):
        return minimize(negative, start, jac=True, method="L-BFGS-B").x


def find_peaks(density: Any, starts: np.ndarray, scales: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the peaks that are climbed to from some starts, and how wide they are along the axes.

    Parameters
    ----------
    density : callable
        From a flat vector to value and gradient.
    starts : array (s, d)
        Where to begin.
    scales : array (d,)
        No peak is wider; differences are taken over 1e-4 of these.

    Returns
    -------
    peaks, widths : array (p, d)
        Each peak once; a width is the inverse square root of the curvature along an axis. Where no climb ends, the
        first start.
    """
    found: list[np.ndarray] = []
    widths: list[np.ndarray] = []
    for start in starts:
        at = climb(density, start)
        steps = np.diag(1e-4 * scales)
        rise = [(density(at + h)[1][k] - density(at - h)[1][k]) / (2 * h[k]) for k, h in enumerate(steps)]
        curvature = -np.nan_to_num(np.array(rise))
        width = np.minimum(scales, 1 / np.sqrt(np.maximum(curvature, 1e-300)))
        if np.isfinite(at).all() and not any((np.abs(at - other) < 0.1 * width).all() for other in found):
            found.append(at)
            widths.append(width)
    return (np.array(found), np.array(widths)) if found else (starts[:1], scales[None])


def distinct(ends: np.ndarray) -> int:
    """Count the ends of climbs that are apart.

    Parameters
    ----------
    ends : array (s, d)
        As `climb` gives them.

    Returns
    -------
    int
        Ends that differ by 1% of their size are one.
    """
    kept: list[np.ndarray] = []
    for end in ends:
        if not any(np.allclose(end, other, rtol=1e-2, atol=1e-2) for other in kept):
            kept.append(end)
    return len(kept)
