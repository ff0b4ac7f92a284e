"""A bowl or a valley: the loss of a network without hidden layers, without and with its prior."""

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.plots.functions import short
from bayesnn.plots.picture import Picture, listed
from bayesnn.plots.style import Panels, Size, line_of, mark_of, new_axes
from bayesnn.theory import Convexity

LEVELS = np.array([0.0, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64])
"""How far above the optimum the contours lie, in nats."""


def plot_convexity(found: Convexity, *, ax: Panels | None = None, figsize: Size | None = None) -> Picture:
    """Draw NLL, and NLL plus penalty, through an optimum, along the flattest and the steepest direction.

    Parameters
    ----------
    found : Convexity
        From `bayesnn.theory.convexity`.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.

    Returns
    -------
    Picture (2,) of matplotlib.axes.Axes
        Contours, in nats above the lowest point that is shown; of a single parameter the curves. A flat valley has
        open contours. The optimum is marked where there is one, a valley of optima is a line.

    Raises
    ------
    SpecError
        Something else.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> X, y = [[1, 2], [2, 4], [3, 6]], [1, 2, 2]
    >>> found = bnn.theory.convexity(bnn.MLP(hidden=(), noise=1.0, bias=False), X, y)
    >>> [ax.get_title() for ax in bnn.plots.plot_convexity(found)]
    ['NLL: a valley', 'NLL + penalty: one optimum']
    """
    if not isinstance(found, Convexity):
        raise SpecError(f"Got {type(found).__name__}; the picture is of what bnn.theory.convexity returns. Pass that.")
    share = {"sharex": True, "sharey": len(found.names) > 1}
    axes = new_axes(1, 2, ax=ax, figsize=figsize, width=4.1, height=3.6, **share)[0]
    centre = next((at for at in (found.mle, found.map) if at is not None), np.zeros(len(found.names)))
    values, vectors = np.linalg.eigh(found.hessian)
    flat = vectors[:, 0] if found.strict else found.null_directions[:, 0]
    reach = max(
        2.5, 1.4 * max((np.linalg.norm(at - centre) for at in (found.mle, found.map) if at is not None), default=0)
    )
    for ax, penalty, kind in zip(axes, (False, True), found.table["optima"], strict=True):
        at = found.map if penalty else found.mle
        answer = "map" if penalty else "mle"
        if len(found.names) == 1:
            low, high = _ends(found, centre, values[0])
            w = np.linspace(low, high, 401)
            ax.plot(w, found.nll(w[:, None], penalty=penalty), lw=2, **line_of(answer))
            if at is not None:
                ax.plot(at, found.nll(at[None], penalty=penalty), mec="white", ms=8, **mark_of(answer))
            ax.set(xlabel=found.names[0], ylabel="nats")
        else:
            _contours(ax, found, centre, flat, vectors[:, -1], reach, penalty, at, answer)
        what = {"one": "one optimum", "none": "no optimum"}.get(kind, kind)
        ax.set_title(f"NLL{' + penalty' * penalty}: {what}", fontsize=10)
    curvatures = [np.linalg.eigvalsh(matrix) for matrix in (found.hessian, found.penalised)]
    each = [
        f"{ax.get_title()}, curvature from {short(abs(c[0]) if abs(c[0]) < 1e-9 else c[0])} to {short(c[-1])}"
        for ax, c in zip(axes, curvatures, strict=True)
    ]
    what = f"of {listed(list(found.names))}" if len(found.names) < 5 else f"of {len(found.names)} weights"
    return Picture(axes, f"Loss surfaces {what}, without and with the penalty. {'; '.join(each)}.")


def _ends(found, centre, curvature):
    """Choose the ends of the axis of a single parameter: beyond both optima."""
    marked = [0.0, centre[0], *(at[0] for at in (found.mle, found.map) if at is not None)]
    half = max(np.ptp(marked), 4 / np.sqrt(curvature))
    return min(marked) - half, max(marked) + half


def _contours(ax, found, centre, flat, steep, reach, penalty, at, answer):
    from matplotlib.colors import BoundaryNorm

    marked = [abs(steep @ (one - centre)) for one in (found.mle, found.map) if one is not None]
    # A steep valley would be a line: its own axis reaches as far as the colours do.
    narrow = min(
        reach, max(np.sqrt(2 * LEVELS[-1] / np.linalg.eigvalsh(found.hessian)[-1]), 1.4 * max(marked, default=0))
    )
    side, up = np.linspace(-reach, reach, 161), np.linspace(-narrow, narrow, 161)
    grid = centre + side[None, :, None] * flat + up[:, None, None] * steep
    height = found.nll(grid, penalty=penalty)
    height = height - height.min()
    levels = LEVELS[: max(4, int(np.searchsorted(LEVELS, height.max())) + 1)]
    drawn = ax.contourf(side, up, height, levels=levels, norm=BoundaryNorm(levels, 256), cmap="viridis_r", extend="max")
    ax.contour(side, up, height, levels=levels[1:], colors="white", linewidths=0.5)
    ax.figure.colorbar(drawn, ax=ax, label="nats above the lowest", ticks=levels, shrink=0.9, format="%g")
    if at is not None and not penalty and not found.strict:
        ax.axhline(0, lw=2.5, **line_of(answer))
    elif at is not None:
        ax.plot(flat @ (at - centre), steep @ (at - centre), mec="white", ms=9, zorder=4, **mark_of(answer))
    ax.set(xlabel="along the flattest direction", ylabel="along the steepest direction")
