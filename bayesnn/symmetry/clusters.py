"""Clusters of draws: which are in one mode of the function, and what share of the posterior a mode holds."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.network import Params
from bayesnn.symmetry.align import spread
from bayesnn.symmetry.optima import function_at
from bayesnn.tree import params_of, problem_of

if TYPE_CHECKING:
    import xarray as xr

DRAWS = 4000
"""About the most draws of a fit that are clustered."""
ROWS = 500
"""Most training inputs at which their functions are compared."""
LEAST = 400
"""A cluster has at least one draw in so many, so that a mode with 1% of the posterior is not lost by chance."""
NEIGHBOURS = 10
"""Draws that make a neighbourhood, and the smallest cluster."""
VALLEY = 0.5
"""Two clusters are one unless the density between them falls to this share of its lower peak; our choice."""
BINS = np.linspace(-0.5, 1.5, 162)
"""Edges along the line between two centres, which are at 0 and at 1."""


def some_draws(post: "xr.DataTree") -> tuple[Params, np.ndarray]:
    """Take evenly spaced draws of each chain, as many as are clustered.

    Parameters
    ----------
    post : xarray.DataTree
        A posterior.

    Returns
    -------
    params : dict of str to array
        With leading dimensions chain and draw.
    kept : array of int
        Which draws of a chain they are.
    """
    params = params_of(post)
    chains, draws = params["W1"].shape[:2]
    kept = np.arange(0, draws, max(1, math.ceil(chains * draws / DRAWS)))
    return {k: v[:, kept] for k, v in params.items()}, kept


def function_modes(posts: "Sequence[xr.DataTree]", inputs: np.ndarray | None = None) -> list[np.ndarray]:
    """Cluster the functions of one posterior, or of several of one network and data together.

    Parameters
    ----------
    posts : sequence of xarray.DataTree
        Posteriors.
    inputs : array (n, p), optional
        Where functions are compared, in the units the model works in; None takes training inputs.

    Returns
    -------
    list of array (chain, draw) of int
        Mode of each draw of `some_draws`, for each posterior; the largest is 0.
    """
    problem = problem_of(posts[0])
    inputs = problem.X[spread(len(problem.X), ROWS)] if inputs is None else inputs
    functions = [function_at(problem.net, some_draws(post)[0], inputs) for post in posts]
    sizes = [f.shape[:2] for f in functions]
    label = clusters(np.concatenate([f.reshape(math.prod(size), -1) for f, size in zip(functions, sizes, strict=True)]))
    ends = np.cumsum([math.prod(size) for size in sizes])
    return [part.reshape(size) for part, size in zip(np.split(label, ends[:-1]), sizes, strict=True)]


def clusters(vectors: np.ndarray) -> np.ndarray:
    """Label the clusters of draws, the largest first; one cluster where nothing stands apart.

    Parameters
    ----------
    vectors : array (draws, k)
        Functions, or aligned weights.

    Returns
    -------
    array (draws,) of int
        Labels from 0 on.

    Notes
    -----
    HDBSCAN finds small clusters, and where there are none finds them in noise too. The draws that it leaves out go to
    their nearest neighbour's cluster, and clusters without a valley between them are joined, those least apart first.

    Examples
    --------
    >>> import numpy as np
    >>> draws = np.random.default_rng(1).normal(size=(1000, 2))
    >>> draws[:30] += 9
    >>> np.bincount(clusters(draws)).tolist(), np.bincount(clusters(draws[30:])).tolist()
    ([970, 30], [970])
    """
    from sklearn.cluster import HDBSCAN
    from sklearn.decomposition import PCA
    from sklearn.neighbors import KNeighborsClassifier

    n = len(vectors)
    one = np.zeros(n, dtype=int)
    if n < 4 * NEIGHBOURS or np.ptp(vectors, axis=0).max(initial=0.0) == 0:
        return one
    points = PCA(min(5, *vectors.shape), random_state=0).fit_transform(vectors)
    found = HDBSCAN(min_cluster_size=max(NEIGHBOURS, n // LEAST), min_samples=NEIGHBOURS, copy=True)
    label = found.fit_predict(points)
    inside = label >= 0
    if label.max() < 1:
        return one
    label = KNeighborsClassifier(1).fit(points[inside], label[inside]).predict(points)
    names = list(np.unique(label))

    def apart(i, j):
        return _valley(points[label == i], points[label == j])

    depth = {(i, j): apart(i, j) for k, i in enumerate(names) for j in names[k + 1 :]}
    while depth and max(depth.values()) > VALLEY:
        kept, joined = max(depth, key=lambda pair: depth[pair])
        label[label == joined] = kept
        names.remove(joined)
        depth = {pair: value for pair, value in depth.items() if joined not in pair}
        depth |= {(min(kept, k), max(kept, k)): apart(kept, k) for k in names if k != kept}
    _, rank, sizes = np.unique(label, return_inverse=True, return_counts=True)
    return np.argsort(np.argsort(-sizes, kind="stable"), kind="stable")[rank]


def _valley(a, b):
    """Lowest density between the centres of two clusters, along their line, relative to the lower of its peaks."""
    from scipy.ndimage import gaussian_filter1d

    axis = b.mean(axis=0) - a.mean(axis=0)
    along = (np.concatenate([a, b]) - a.mean(axis=0)) @ axis / (axis @ axis)
    width = 1.06 * along.std() * len(along) ** -0.2 / (BINS[1] - BINS[0])
    density = gaussian_filter1d(np.histogram(along, BINS)[0].astype(float), max(width, 0.5), mode="constant")
    peak = np.minimum(np.maximum.accumulate(density), np.maximum.accumulate(density[::-1])[::-1])
    between = (BINS[:-1] >= 0) & (BINS[1:] <= 1)
    return (density[between] / np.maximum(peak[between], 1e-300)).min()


def share_error(inside: np.ndarray) -> float:
    """Monte Carlo standard error of the share of draws that are in a mode.

    Parameters
    ----------
    inside : array (chain, draw) of bool
        Whether each draw is.

    Returns
    -------
    float
        NaN where all draws are or none is, since such draws know nothing of how far off they may be.

    Notes
    -----
    The effective sample size of the indicator knows both how chains differ and how long each stays, so that chains
    whose shares agree by chance have an error still. Two visits and two absences are added to the share, as Agresti and
    Coull do, without which the error of a small share is too small whenever the share is.

    References
    ----------
    A. Agresti and B. A. Coull, "Approximate is better than exact for interval estimation of binomial proportions", The
    American Statistician 52 (1998).
    """
    import arviz as az

    share = inside.mean()
    if share in (0.0, 1.0) or inside.shape[1] < 4:
        return float("nan")
    ess = min(float(az.ess(inside.astype(float), method="mean")), inside.size)
    share = (share * ess + 2) / (ess + 4)
    return float(np.sqrt(share * (1 - share) / ess))


def share_words(share: float, se: float) -> str:
    """Write a share of the posterior in percent, with its standard error where there is one."""
    percent = 100 * share
    if np.isnan(se):
        return f"{percent:.3g}%"
    places = 1 if se >= 0.001 else 2
    return f"{percent:.{places}f}% ± {100 * se:.{places}f}%"
