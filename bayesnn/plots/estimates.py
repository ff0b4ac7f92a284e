"""MLE, MAP and mean side by side: they meet as n grows, whatever the prior."""

from bayesnn.errors import SpecError
from bayesnn.plots.picture import Picture
from bayesnn.plots.style import INK, PALE, Panels, Size, add_legend, line_of, mark_of, new_axes
from bayesnn.theory import EstimateComparison


def plot_estimates(comparison: EstimateComparison, *, ax: Panels | None = None, figsize: Size | None = None) -> Picture:
    """Draw estimates against n, a panel for each prior.

    Parameters
    ----------
    comparison : EstimateComparison
        From `bayesnn.theory.compare_estimates`.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.

    Returns
    -------
    Picture (p,) of matplotlib.axes.Axes
        MLE, MAP, mean, the mean by way of the other scale, and the band between the posterior's outer quantiles.

    Raises
    ------
    SpecError
        Something else.

    Examples
    --------
    >>> from bayesnn.plots import plot_estimates
    >>> from bayesnn.theory import compare_estimates, textbook_likelihood
    >>> coin = textbook_likelihood("bernoulli", [0, 0, 0, 1, 0])
    >>> [ax.get_title() for ax in plot_estimates(compare_estimates(coin, priors=[(1, 1), (5, 5)]))]
    ['Beta(1, 1)', 'Beta(5, 5)']
    """
    if not isinstance(comparison, EstimateComparison):
        raise SpecError(
            f"Got {type(comparison).__name__}; the picture is of what bnn.theory.compare_estimates returns. Pass that."
        )
    table, first = comparison.table, comparison.posteriors[0]
    priors = list(dict.fromkeys(table.index.get_level_values("prior")))
    across = min(len(priors), 3)
    size = {"width": 8.2 / max(across, 2), "height": 3.0}
    rows = -(-len(priors) // across)
    axes = new_axes(rows, across, ax=ax, figsize=figsize, panels=len(priors), sharey=True, sharex=True, **size)
    looks = {
        "MLE": line_of("mle") | mark_of("mle"),
        "MAP": line_of("map") | mark_of("map"),
        "mean": line_of("posterior") | mark_of("posterior"),
        f"mean by {first.link}": {"color": INK, "marker": "D", "ls": ":", "mfc": "white"},
    }
    for ax, prior in zip(axes, priors, strict=True):
        rows = table.loc[prior]
        ax.fill_between(
            rows.index, rows["lower"], rows["upper"], color=PALE, alpha=0.7, lw=0, label="95% of the posterior"
        )
        for name, look in looks.items():
            ax.plot(rows.index, rows[name], lw=1.5, ms=5, label=name, **look)
        ax.set_xscale("log")
        ax.set_xticks(rows.index, [str(n) for n in rows.index])
        ax.minorticks_off()
        ax.set_title(prior, fontsize=10)
        ax.set_xlabel("n")
    for ax in axes[::across]:
        ax.set_ylabel(first.name)
    handles, labels = axes[0].get_legend_handles_labels()
    add_legend(axes, handles, labels, ncols=5)
    sizes = table.index.get_level_values("n").unique()
    ends = []
    for prior in priors:
        few, many = (table.loc[(prior, n)] for n in (sizes[0], sizes[-1]))
        ends.append(
            f"under {prior} MAP and mean are {few['MAP']:.3g} and {few['mean']:.3g}, and {many['MAP']:.3g} and "
            f"{many['mean']:.3g} in the end"
        )
    mle = table["MLE"].iloc[0]
    words = f"Estimates of {first.name} against n, from {sizes[0]} to {sizes[-1]}: the MLE is {mle:.3g} throughout"
    return Picture(axes, f"{words}; {'; '.join(ends)}.")
