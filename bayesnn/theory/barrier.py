"""The convex contrast: with hidden units the loss rises between optima that are equally good."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.symmetry.paths import MirrorPaths, mirror_paths
from bayesnn.theory.results import Result

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True, repr=False, eq=False)
class MirrorBarrier(Result):
    """The loss along straight paths between mirror optima, from `mirror_barrier`.

    Parameters
    ----------
    paths : MirrorPaths
        The optimum and its images.
    t : array (T,)
        Shares of the way.
    loss : array (k, T)
        NLL, or NLL plus penalty, along the path to each image.
    barrier : array (k,)
        How far the highest point of each path lies above the optimum, in nats.
    """

    paths: MirrorPaths
    t: np.ndarray
    loss: np.ndarray
    barrier: np.ndarray

    @cached_property
    def table(self) -> "pd.DataFrame":
        """A row for each path: the loss at both ends, the barrier, and where it is highest."""
        import pandas as pd

        return pd.DataFrame(
            {
                "loss at the optimum": self.loss[:, 0],
                "loss at its image": self.loss[:, -1],
                "barrier": self.barrier,
                "highest at t": self.t[np.argmax(self.loss, axis=1)],
            },
            index=list(self.paths.names),
        )

    @property
    def message(self) -> str:
        """Why the loss is not convex."""
        what = "NLL + penalty" if self.paths.prior else "NLL"
        return (
            f"On the straight path between two optima of equal {what} it rises by {self.barrier.max():.6g} nats. A "
            "convex function could not rise there at all: the loss of this network is not convex"
            f"{', and its prior does not make it so' if self.paths.prior else ''}."
        )


def mirror_barrier(fit: "xr.DataTree", *, layer: int = 1, units: tuple[int, int] = (1, 2)) -> MirrorBarrier:
    r"""Measure the loss on the straight paths from an optimum to its mirror images.

    A convex function lies nowhere above its chords. An optimum and its image have the same loss, so that any rise
    between them shows that the loss is not convex, and the highest point is the barrier of that path; a way around
    may be lower.

    Parameters
    ----------
    fit : xarray.DataTree
        An MLE fit, for the NLL, or a MAP fit, for NLL plus penalty.
    layer : int
        Hidden layer, counted from 1.
    units : tuple of int
        The unit that is flipped and the one that it is exchanged with, counted from 1.

    Returns
    -------
    MirrorBarrier
        With ``barrier``, in nats, and the ``loss`` along each path; `bnn.plot_barrier` draws the same paths.

    Raises
    ------
    SpecError
        An end point that is no optimum, or a layer without mirror images.
    FitError
        A fit of many draws.

    See Also
    --------
    convexity : The network without hidden units.

    References
    ----------
    J. Brea, B. Simsek, B. Illing and W. Gerstner, "Weight-space symmetry in deep networks gives rise to permutation
    saddles, connected by equal-loss valleys across the loss landscape", arXiv:1907.02911 (2019).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data, net = bnn.load_data("two_weights"), bnn.MLP(hidden=(1,), bias=False, noise=0.3)
    >>> map_ = bnn.fit_map(net, data.X, data.y, restarts=5, random_seed=1, progressbar=False)
    >>> bnn.theory.mirror_barrier(map_).barrier.round(3)
    array([17.561])
    """
    from scipy.optimize import minimize_scalar

    paths = mirror_paths(fit, layer=layer, units=units)
    t = np.linspace(0.0, 1.0, 201)
    loss = np.array([-paths.along(k, t) for k in range(len(paths.names))])
    barrier = np.empty(len(loss))
    for k, values in enumerate(loss):
        best = int(np.argmax(values))
        ends = t[max(best - 1, 0)], t[min(best + 1, len(t) - 1)]
        found = minimize_scalar(lambda s, k=k: float(paths.along(k, s)), bounds=ends, method="bounded")
        barrier[k] = max(values.max(), -found.fun) - values[0]
    return MirrorBarrier(paths, t, loss, barrier)
