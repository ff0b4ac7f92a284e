"""A sampler against exact posteriors: each number in its own standard errors."""

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.plots.functions import counted
from bayesnn.plots.picture import Picture
from bayesnn.plots.style import CHAINS, GREY, INK, PALE, Panels, Size, add_legend, new_axes
from bayesnn.theory.validate import LEAST_ESS, Validation

_KINDS = {
    "E f": ("mean of the function", "o", CHAINS[0]),
    "sd": ("its standard deviation", "s", CHAINS[1]),
    "E |": ("squares of weights, noise", "^", CHAINS[2]),
    "log": ("log evidence", "D", CHAINS[3]),
}
_WIDEST = 12.0
"""Standard errors beyond which numbers are drawn at the edge."""


def plot_validation(validation: Validation, *, ax: Panels | None = None, figsize: Size | None = None) -> Picture:
    """Draw how many of its standard errors each number of a sampler is from the exact one, a row for each reference.

    Right samplers scatter about zero, two thirds of their numbers within one standard error. Open marks have too few
    effective draws for their error to be believed; numbers off the axis stand at its edge with their value.

    Parameters
    ----------
    validation : Validation
        From `bnn.theory.validate_sampler`.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.

    Returns
    -------
    Picture (1,) of matplotlib.axes.Axes
        The axes.

    Raises
    ------
    SpecError
        Something else than a validation, or one without numbers.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> from bayesnn.plots import plot_validation
    >>> check = bnn.theory.validate_sampler(sampler="tempering", references=["line"], random_seed=1, progressbar=False)
    >>> plot_validation(check)[0].get_xlabel()
    'distance from the exact value, in standard errors'
    """
    if not isinstance(validation, Validation) or not len(validation.table):
        raise SpecError(
            f"Got {type(validation).__name__}{' without numbers' if isinstance(validation, Validation) else ''}; the "
            "picture needs what bnn.theory.validate_sampler returns. Pass that."
        )
    table, limit = validation.table, validation.limit
    names = list(table.index.unique("reference"))
    axes = new_axes(1, 1, ax=ax, figsize=figsize, width=8.0, height=1.3 + 0.36 * len(names))[0]
    ax = axes[0]
    ax.axvspan(-1, 1, color=PALE, alpha=0.5, lw=0)
    ax.axvline(0, color=INK, lw=0.8)
    for side in (-limit, limit):
        ax.axvline(side, color=GREY, lw=1, ls=(0, (4, 2)))
    finite = np.abs(table["z"][np.isfinite(table["z"])]).max()
    edge = min(max(finite, limit) + 0.8, _WIDEST)
    for row, name in enumerate(names):
        _row(ax, row, table.loc[name], edge)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(-edge - 0.3, edge + 0.3)
    ax.grid(axis="y", color="0.92")
    ax.set_axisbelow(True)
    ax.set_xlabel("distance from the exact value, in standard errors")
    wrong = len(validation.wrong)
    ax.set_title(
        f"{validation.sampler}: {wrong} of {len(table)} numbers beyond what chance leaves (dashed)", fontsize=10
    )
    _legend(axes, table)
    far = table["z"].abs().idxmax()
    return Picture(
        axes,
        f"{len(table)} numbers of {validation.sampler} over {counted(len(names), 'posterior', 'posteriors')}, each in "
        f"its standard errors from the exact value: {(table['z'].abs() <= 1).mean():.0%} within one, {wrong} beyond "
        f"{limit:.1f}; the farthest is {far[1]} of {far[0]}, {table['z'][far]:.1f}.",
    )


def _kind(number):
    if number == "E noise":
        return _KINDS["E |"]
    return next((look for start, look in _KINDS.items() if number.startswith(start)), _KINDS["E f"])


def _row(ax, row, numbers, edge):
    places = row + np.linspace(-0.27, 0.27, len(numbers) + 2)[1:-1]
    for place, (name, number) in zip(places, numbers.iterrows(), strict=True):
        _, marker, colour = _kind(name)
        face = colour if number["ess"] >= LEAST_ESS else "white"
        z = np.clip(number["z"], -edge, edge)
        ax.plot(z, place, marker, color=colour, mfc=face, ms=5, gid="z", zorder=3)
    off = numbers["z"][numbers["z"].abs() > edge]
    if len(off):
        # On the left are the names.
        said = f"{len(off)} at the edge, to {max(off, key=abs):.0f}"
        ax.text(1.01, row, said, transform=ax.get_yaxis_transform(), va="center", fontsize=8, color=INK)


def _legend(axes, table):
    from matplotlib.lines import Line2D

    used = {_kind(number) for number in table.index.get_level_values("number")}
    marks = [
        Line2D([], [], ls="", marker=marker, color=colour, ms=5, label=label)
        for label, marker, colour in _KINDS.values()
        if (label, marker, colour) in used
    ]
    if (table["ess"] < LEAST_ESS).any():
        marks.append(Line2D([], [], ls="", marker="o", color=INK, mfc="white", ms=5, label="too few effective draws"))
    add_legend(axes, marks, [mark.get_label() for mark in marks], ncols=3)
