"""Does the MLE go to the truth as data grow? Distances, coverage, and the likelihood ratio against its theory."""

from collections.abc import Mapping

import numpy as np
from scipy import stats

from bayesnn.errors import SpecError
from bayesnn.plots.picture import Picture
from bayesnn.plots.style import GREY, INK, PALE, RATIO, WALD, Panels, Size, add_legend, new_axes
from bayesnn.theory.consistency import LEVEL, Consistency

_DISTANCES = {
    "raw": ("raw distance of weights", GREY, "s"),
    "aligned": ("aligned distance of weights", INK, "o"),
    "function error": ("error of the function", WALD, "^"),
}
_COVERAGES = {
    "Wald": ("Wald's intervals", WALD, "D"),
    "sandwich": ("intervals of the sandwich", GREY, "v"),
    "likelihood ratio": ("region of the likelihood ratio", RATIO, "P"),
}


def plot_consistency(
    study: Consistency | Mapping[str, Consistency], *, ax: Panels | None = None, figsize: Size | None = None
) -> Picture:
    """Draw what a study found: distances against n, coverage against n, the likelihood ratio against chi-squared.

    Parameters
    ----------
    study : Consistency or dict of str to Consistency
        What `consistency_study` returned; several by name have a row each.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.

    Returns
    -------
    Picture (rows, 3) of matplotlib.axes.Axes
        Medians with 10% and 90% quantiles of data sets, and a dashed line that falls as the inverse root of n; the
        share of 95% intervals and regions that hold the truth, with the band in which that of the likelihood ratio is
        expected; quantiles of the likelihood ratio at the largest n against those of its chi-squared limit.

    Raises
    ------
    SpecError
        Something else, or a study without data sets.

    Examples
    --------
    >>> import bayesnn as bnn, scipy.stats
    >>> from bayesnn.plots import plot_consistency
    >>> line = bnn.MLP(hidden=(), noise=0.2)
    >>> study = bnn.theory.consistency_study(line, {"W1": [[1.0]], "b1": [0.0]}, (20, 80), 10, random_seed=1,
    ...                                      inputs=scipy.stats.norm(), restarts=1, progressbar=False)
    >>> plot_consistency(study).shape
    (1, 3)
    """
    several = isinstance(study, Mapping)
    found = dict(study) if isinstance(study, Mapping) else {"": study}
    if not found or not all(isinstance(one, Consistency) and len(one.replicates) for one in found.values()):
        raise SpecError(
            f"Got {type(study).__name__}; the picture needs what consistency_study returns, with data sets that were "
            "fitted, or a dictionary of such. Write plot_consistency(consistency_study(net, truth, inputs=...))."
        )
    axes = new_axes(len(found), 3, ax=ax, figsize=figsize, width=3.1, height=2.9)
    for row, (name, one) in zip(axes, found.items(), strict=True):
        _distances(row[0], one)
        _coverage(row[1], one)
        _ratio(row[2], one)
        for ax, title in zip(row, ("distance to the truth", "coverage of 95%", "likelihood ratio"), strict=True):
            ax.set_title(f"{name}: {title}" if several and ax is row[0] else title, fontsize=10)
    handles = [*axes[0, 0].get_legend_handles_labels()[0], *axes[0, 1].get_legend_handles_labels()[0]]
    labels = [handle.get_label() for handle in handles]
    add_legend(axes, handles, labels, ncols=2)
    return Picture(axes, " ".join(_words(name, one) for name, one in found.items()))


def _words(name, study):
    """Say how the distances fall, and what holds the truth at the largest n."""
    table = study.table
    first, last = table.iloc[0], table.iloc[-1]
    return (
        f"{name + ': from' if name else 'From'} n = {table.index[0]} to {table.index[-1]} the aligned distance to the "
        f"truth goes from {first['aligned']:.3g} to {last['aligned']:.3g} (raw {last['raw']:.3g}) and the error of the "
        f"function from {first['function error']:.3g} to {last['function error']:.3g}; at the largest n Wald's 95% "
        f"intervals hold the truth in {last['Wald']:.0%}, the region of the likelihood ratio in "
        f"{last['likelihood ratio']:.0%} of {last['data sets']:.0f} data sets."
    )


def _distances(ax, study):
    grouped = study.replicates.groupby(level="n")
    n = study.table.index.to_numpy(dtype=float)
    for column, (label, colour, marker) in _DISTANCES.items():
        low, middle, high = (grouped[column].quantile(q).to_numpy() for q in (0.1, 0.5, 0.9))
        bars = np.maximum([middle - low, high - middle], 0.0)
        # Raw and aligned ones may coincide.
        size = 8 if column == "raw" else 5
        ax.errorbar(n, middle, bars, color=colour, marker=marker, ms=size, lw=1.4, capsize=2, elinewidth=1, label=label)
    anchor = float(grouped["function error"].median().iloc[-1])
    ax.plot(n, anchor * np.sqrt(n[-1] / n) * 0.55, color=GREY, ls="--", lw=1.2, label="falls as 1/√n")
    ax.set_xscale("log")
    ax.set_yscale("log")
    _sizes(ax, n)


def _coverage(ax, study):
    table, n = study.table, study.table.index.to_numpy(dtype=float)
    spread = 1.96 * np.sqrt(LEVEL * (1 - LEVEL) / table["data sets"].to_numpy())
    ax.fill_between(n, LEVEL - spread, np.minimum(LEVEL + spread, 1.0), color=PALE, alpha=0.5, lw=0)
    ax.axhline(LEVEL, color=GREY, lw=1, ls="--")
    for column, (label, colour, marker) in _COVERAGES.items():
        ax.plot(n, table[column], color=colour, marker=marker, ms=5, lw=1.4, label=label)
    ax.set_xscale("log")
    ax.set_ylim(top=1.02)
    _sizes(ax, n)


def _ratio(ax, study):
    n = study.table.index[-1]
    ratio = np.sort(study.replicates.xs(n, level="n")["likelihood ratio"].to_numpy())
    d = study.information.size
    theory = stats.chi2(d).ppf((np.arange(len(ratio)) + 0.5) / len(ratio))
    ax.plot(theory, ratio, ".", color=INK, ms=5)
    ends = np.array([0.0, theory[-1]])
    ax.plot(ends, ends, color=GREY, lw=1, ls="--")
    ax.set_xlabel(f"quantile of χ² with {d} degrees")
    ax.set_ylabel(f"found at n = {n}")


def _sizes(ax, n):
    ax.set_xticks(n, [f"{int(k)}" for k in n])
    ax.minorticks_off()
    ax.set_xlabel("n")
