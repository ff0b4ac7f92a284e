"""Weights that race: their norm and the held-out NLL along gradient descent, without a prior and with several."""

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.plots.functions import short
from bayesnn.plots.picture import Picture
from bayesnn.plots.style import CHAINS, DASHES, GREY, Panels, Size, add_legend, line_of, new_axes
from bayesnn.theory import WeightRace


def plot_race(race: WeightRace, *, ax: Panels | None = None, figsize: Size | None = None) -> Picture:
    """Draw norm and NLL along the paths of gradient descent.

    Parameters
    ----------
    race : WeightRace
        From `bayesnn.theory.race_weights`.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.

    Returns
    -------
    Picture (2,) of matplotlib.axes.Axes
        The norm of the weights, with the optima that the paths lead to, and the held-out NLL, with that of the
        training rows as thin lines.

    Raises
    ------
    SpecError
        Something else.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data, node = bnn.load_data("one_node_separated"), bnn.MLP((), loss="binary_cross_entropy", bias=False)
    >>> held = {"X_new": [[-0.5], [1.0]], "y_new": [1, 1]}
    >>> race = bnn.theory.race_weights(node, data.X, data.y, steps=100, progressbar=False, **held)
    >>> [ax.get_ylabel() for ax in bnn.plots.plot_race(race)]
    ['norm of the weights', 'NLL per observation']
    """
    if not isinstance(race, WeightRace):
        raise SpecError(
            f"Got {type(race).__name__}; the picture is of what bnn.theory.race_weights returns. Pass that."
        )
    left, right = axes = new_axes(1, 2, ax=ax, figsize=figsize, width=4.1, height=3.6)[0]
    # Without a prior the path leads to the MLE, or would; with the first, to a MAP.
    answers = [line_of("mle"), line_of("map")]
    others = [c for c in CHAINS if c not in {answer["color"] for answer in answers}]
    looks = answers + [
        {"color": colour, "ls": dashes} for colour, dashes in zip(others, ("-", *DASHES[3:]), strict=False)
    ]
    for k, name in enumerate(race.names):
        look = looks[k % len(looks)]
        left.plot(race.steps[1:], race.norm[k, 1:], lw=2, label=name, **look)
        right.plot(race.steps[1:], race.held_out[k, 1:], lw=2, **look)
        right.plot(race.steps[1:], race.train[k, 1:], lw=0.8, **look)
        if np.isfinite(race.optimum[k]):
            left.plot(race.steps[-1] * 1.3, race.optimum[k], "o", color=look["color"], ms=6, label="_optimum")
    left.plot([], [], "o", color=GREY, ms=6, ls="", label="optimum")
    right.plot([], [], color=GREY, lw=2, label="held out")
    right.plot([], [], color=GREY, lw=0.8, label="training")
    for ax in axes:
        ax.set(xscale="log", xlabel="steps of gradient descent")
    left.set_ylabel("norm of the weights")
    right.set_ylabel("NLL per observation")
    right.legend(fontsize=8, frameon=False, loc="upper left")
    add_legend(axes, *left.get_legend_handles_labels(), ncols=5, handlelength=3)
    each = [
        f"{name} ends at norm {race.norm[k, -1]:.3g}"
        + (f" (optimum {race.optimum[k]:.3g})" if np.isfinite(race.optimum[k]) else " and has no optimum")
        + f" with a held-out NLL of {race.held_out[k, -1]:.3g}"
        for k, name in enumerate(race.names)
    ]
    words = (
        f"Norm of the weights and NLL per observation along {short(float(race.steps[-1]))} steps of gradient descent"
    )
    return Picture(axes, f"{words}: {'; '.join(each)}.")
