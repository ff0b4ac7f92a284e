"""How much each quantity would move if the prior, or the likelihood, counted a little more."""

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.plots.functions import counted
from bayesnn.plots.picture import Picture, listed
from bayesnn.plots.style import COLOURS, GREY, PALE, PRIOR, Panels, Size, add_legend, new_axes
from bayesnn.theory.sensitivity import SENSITIVE, PowerSensitivity

TALLEST = 40
"""Quantities that a picture can name."""


def plot_sensitivity(
    sensitivity: PowerSensitivity, *, ax: Panels | None = None, figsize: Size | None = None
) -> Picture:
    """Draw the sensitivity of each quantity to the power of the prior and to that of the likelihood.

    Parameters
    ----------
    sensitivity : PowerSensitivity
        From `power_sensitivity`.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.

    Returns
    -------
    Picture (1,) of matplotlib.axes.Axes
        A line for each quantity, and the threshold from which ArviZ speaks of sensitivity.

    Raises
    ------
    SpecError
        Something else, or more quantities than can be read.

    References
    ----------
    N. Kallioinen, T. Paananen, P.-C. Bürkner and A. Vehtari, "Detecting and diagnosing prior and likelihood sensitivity
    with power-scaling", Statistics and Computing 34 (2024).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> from bayesnn.plots import plot_sensitivity
    >>> from bayesnn.theory import power_sensitivity
    >>> line = bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(1.0))
    >>> X, y = [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0]
    >>> post = bnn.fit_posterior(line, X, y, sampler="tempering", random_seed=1, progressbar=False)
    >>> ax, = plot_sensitivity(power_sensitivity(post))
    >>> ax.get_xlabel()
    'sensitivity'
    """
    if not isinstance(sensitivity, PowerSensitivity):
        raise SpecError(
            f"Got {type(sensitivity).__name__}; the picture is of what bayesnn.theory.power_sensitivity returns. "
            "Pass that."
        )
    table = sensitivity.table
    if len(table) > TALLEST:
        raise SpecError(f"Got {len(table)} quantities; a picture names {TALLEST}. Pass fewer inputs, X=...")
    axes = new_axes(1, 1, ax=ax, figsize=figsize, width=6.4, height=1.6 + 0.28 * len(table))[0]
    ax, rows = axes[0], np.arange(len(table))
    looks = {"likelihood": ("D", COLOURS["posterior"]), "prior": ("o", PRIOR)}
    values = {name: table[name].to_numpy(dtype=float) for name in looks}
    ax.hlines(rows, values["prior"], values["likelihood"], color=PALE, lw=2, zorder=1)
    for name, (marker, colour) in looks.items():
        ax.plot(values[name], rows, marker, color=colour, ms=6, label=f"to the {name}")
    ax.axvline(SENSITIVE, color=GREY, ls="--", lw=1, label=f"{SENSITIVE:g}: it counts from here on")
    ax.set_yticks(rows, list(table.index))
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlim(left=0)
    ax.set(xlabel="sensitivity", ylabel="quantity")
    add_legend(axes, *ax.get_legend_handles_labels(), ncols=3)
    most = {name: table[name].astype(float).idxmax() for name in looks}
    each = [
        f"{(values[name] > SENSITIVE).sum()} to the {name} (most: {most[name]}, {values[name].max():.2f})"
        for name in looks
    ]
    return Picture(axes, f"Of {counted(len(table), 'quantity', 'quantities')}, above {SENSITIVE:g}: {listed(each)}.")
