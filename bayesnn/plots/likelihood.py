"""A likelihood of a textbook: its curve or surface, the estimate, and where its intervals end."""

from typing import Any

import numpy as np

from bayesnn.arguments import check_arguments
from bayesnn.errors import SpecError
from bayesnn.plots.functions import counted
from bayesnn.plots.picture import Picture
from bayesnn.plots.style import (
    CHAINS,
    COLOURS,
    DASHES,
    GREY,
    INK,
    PALE,
    RATIO,
    WALD,
    Panels,
    Size,
    add_legend,
    mark_of,
    new_axes,
)
from bayesnn.theory import TextbookLikelihood

LEVELS = (0.001, 0.01, 0.05, 0.147, 0.3, 0.6, 0.9)
"""Contours of the surface, relative to its peak; 0.147 bounds the 95% likelihood ratio interval of either parameter."""
KINDS = {"wald": ("Wald", WALD), "likelihood_ratio": ("likelihood ratio", RATIO)}


def plot_likelihood(
    likelihood: TextbookLikelihood, *, prob: float = 0.95, ax: Panels | None = None, figsize: Size | None = None
) -> Picture:
    """Draw a likelihood as a function of its parameters, the data fixed, beside the density of the data.

    Parameters
    ----------
    likelihood : TextbookLikelihood
        From `bayesnn.theory.textbook_likelihood`.
    prob : float
        Probability of the intervals.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.

    Returns
    -------
    Picture (3,) or (2,) of matplotlib.axes.Axes
        Of one parameter the density of an observation at the MLE, which sums or integrates to one; the likelihood with
        its integral; the log-likelihood with the parabola of its curvature, which the Wald interval is read off, and
        the level of the likelihood ratio. Of mean and standard deviation the surface, and both profiles.

    Raises
    ------
    SpecError
        Something else, or a probability that is none.

    Examples
    --------
    >>> from bayesnn.plots import plot_likelihood
    >>> from bayesnn.theory import textbook_likelihood
    >>> axes = plot_likelihood(textbook_likelihood("bernoulli", [0, 0, 0, 1, 0]))
    >>> [ax.get_title() for ax in axes]
    ['of the data: sums to 1', 'of p: integrates to 0.0333', 'log-likelihood']
    """
    if not isinstance(likelihood, TextbookLikelihood):
        raise SpecError(
            f"Got {type(likelihood).__name__}; the picture is of bnn.theory.textbook_likelihood('normal', [-1, 0, "
            "1]). Pass that."
        )
    check_arguments(prob=prob)
    if len(likelihood.names) == 2:
        axes = new_axes(1, 2, ax=ax, figsize=figsize, width=4.1, height=3.6)[0]
        _surface(axes, likelihood, prob)
    else:
        axes = new_axes(1, 3, ax=ax, figsize=figsize, width=2.85, height=3.1)[0]
        _data(axes[0], likelihood)
        _curves(axes[1:], likelihood, prob)
    handles: dict[str, Any] = {}
    for ax in axes:
        handles |= {v: k for k, v in zip(*ax.get_legend_handles_labels(), strict=True)}
    add_legend(axes, handles.values(), handles.keys())
    return Picture(axes, _words(likelihood, prob))


def _words(likelihood, prob):
    """Say where the peak is and where the intervals end."""
    wald, ratio = likelihood.wald(prob), likelihood.likelihood_ratio(prob)
    each = [
        f"{name} has its MLE at {at:.4g}, Wald's {prob:.0%} interval from {wald[k, 0]:.3g} to {wald[k, 1]:.3g} and "
        f"that of the likelihood ratio from {ratio[k, 0]:.3g} to {ratio[k, 1]:.3g}"
        for k, (name, at) in enumerate(likelihood.mle.items())
    ]
    whole = ""
    if len(each) == 1:
        over = likelihood.over_data(*likelihood.mle.values()), np.exp(likelihood.log_over_parameters)
        whole = f" Over the data it comes to {over[0]:.3g}, over the parameter to {over[1]:.3g}."
    return f"Likelihood of {counted(likelihood.n, 'observation', 'observations')}: {'; '.join(each)}.{whole}"


def _range(likelihood, prob):
    """Choose the ends (k, 2) of the axes: wide enough for all intervals, within the bounds."""
    ends = np.concatenate([likelihood.wald(prob), likelihood.likelihood_ratio(prob)], axis=1)
    low, high = ends.min(axis=1), ends.max(axis=1)
    bounds, margin = np.array(list(likelihood.bounds.values())), 0.6 * (high - low)
    return np.column_stack([np.maximum(low - margin, bounds[:, 0]), np.minimum(high + margin, bounds[:, 1])])


def _data(ax, likelihood):
    """Draw the density of one observation while the parameter is at its estimate, and the observations."""
    at, y = tuple(likelihood.mle.values()), likelihood.data
    whole = likelihood.discrete
    if whole:
        places = likelihood.support(*at)
        probability = likelihood.density(places, *at)
        shown = places <= max(y.max(), places[probability > 1e-3 * probability.max()].max())
        ax.vlines(places[shown], 0, probability[shown], color=INK, lw=4)
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.set_xlim(places[shown].min() - 0.6, places[shown].max() + 0.6)
    else:
        sd = likelihood.standard_error[0] * np.sqrt(likelihood.n)
        places = np.linspace(min(y.min(), at[0]) - 2.5 * sd, max(y.max(), at[0]) + 2.5 * sd, 401)
        ax.fill_between(places, likelihood.density(places, *at), color=PALE, alpha=0.6, lw=0)
        ax.plot(places, likelihood.density(places, *at), color=INK, lw=2)
    ax.plot(y, np.zeros(len(y)), "x", color=INK, ms=7, mew=1.5, clip_on=False, label="observations", zorder=4)
    ax.set(xlabel="y", ylabel="density at the MLE" if not whole else "probability at the MLE")
    ax.set_ylim(0, None)
    ax.set_title(f"of the data: {'sums' if whole else 'integrates'} to {likelihood.over_data(*at):.3g}", fontsize=10)


def _curves(axes, likelihood, prob):
    (name,), ((low, high),) = likelihood.names, _range(likelihood, prob)
    theta, at = np.linspace(low, high, 801), likelihood.mle[name]
    values, best = likelihood.log_likelihood(theta), float(likelihood.log_likelihood(at))
    level = {kind: getattr(likelihood, kind)(prob)[0] for kind in KINDS}
    cut = likelihood.profile(name, level["likelihood_ratio"][1])
    left, right = axes
    left.fill_between(theta, np.exp(values), color=PALE, alpha=0.6, lw=0)
    left.plot(theta, np.exp(values), color=INK, lw=2, label="likelihood")
    right.plot(theta, values, color=INK, lw=2, label="likelihood")
    if not likelihood.at_border:
        parabola = best - likelihood.information[0, 0] * (theta - at) ** 2 / 2
        right.plot(theta, parabola, color=KINDS["wald"][1], lw=1.8, ls="--", label="parabola of its curvature")
    depth = 2.2 * (best - cut)
    right.set_ylim(best - depth, best + 0.12 * depth)
    right.axhline(cut, color=GREY, lw=1, ls=":", label=f"{best - cut:.3g} below the peak")
    for ax, top, foot in ((left, np.exp(best), 0.0), (right, best, best - depth)):
        ax.plot([at, at], [foot, top], color=COLOURS["mle"], lw=1, ls=":")
        ax.plot(at, top, ms=7, ls="", label=f"MLE, {name} = {at:.4g}", zorder=4, clip_on=False, **mark_of("mle"))
        ax.set_xlabel(name)
        wide = min(low, *level["wald"]), max(high, *level["wald"])
        ax.set_xlim(wide[0] - 0.02 * np.ptp(wide), wide[1])
    for k, (kind, (words, colour)) in enumerate(KINDS.items()):
        place = np.exp(best) * (0.09 + 0.09 * k)
        look = {"color": colour, "lw": 2.5, "ls": "--" if kind == "wald" else "-", "marker": "|", "ms": 10, "mew": 2}
        point = ": a point" if level[kind][0] == level[kind][1] else ""
        left.plot(level[kind], [place, place], **look, label=f"{words} {prob:.0%}{point}")
    ends = level["likelihood_ratio"][[likelihood.profile(name, e) < best - 1e-9 for e in level["likelihood_ratio"]]]
    look = {"mfc": "white", "mec": KINDS["likelihood_ratio"][1], "mew": 1.6, "ms": 6, "ls": "", "label": "_ends"}
    right.plot(ends, np.full(len(ends), cut), "o", zorder=4, **look)
    over = np.exp(likelihood.log_over_parameters)
    left.set_ylim(0, None)
    left.set_ylabel("likelihood")
    right.set_ylabel("log-likelihood")
    left.set_title(f"of {name}: integrates to {over:.3g}", fontsize=10)
    right.set_title("log-likelihood", fontsize=10)


def _surface(axes, likelihood, prob):
    names, ends, at = likelihood.names, _range(likelihood, prob), list(likelihood.mle.values())
    # Near sigma = 0 there is nothing to be seen.
    ends[1, 0] = max(ends[1, 0], 0.15 * at[1])
    u, v = (np.linspace(*e, 301) for e in ends)
    best = float(likelihood.log_likelihood(*at))
    height = np.exp(likelihood.log_likelihood(*np.meshgrid(u, v)) - best)
    left, right = axes
    drawn = left.contourf(u, v, height, levels=np.linspace(0, 1, 21), cmap="cividis")
    left.contour(u, v, height, levels=LEVELS, colors="white", linewidths=0.7)
    left.figure.colorbar(drawn, ax=left, label="likelihood, relative to its peak", ticks=[0, 0.25, 0.5, 0.75, 1])
    left.plot(*at, mec="white", ms=8, label=f"MLE ({at[0]:.4g}, {at[1]:.4g})", ls="", **mark_of("mle"))
    left.set(xlabel=names[0], ylabel=names[1])
    left.set_title("likelihood of both", fontsize=10)
    level = likelihood.likelihood_ratio(prob)
    cut = likelihood.profile(names[0], level[0, 1]) - best
    for k, (name, place) in enumerate(zip(names, (u, v), strict=True)):
        profile = np.array([likelihood.profile(name, value) for value in place]) - best
        right.plot(place, profile, color=CHAINS[k], ls=DASHES[k], lw=2, label=f"profile of {name}")
        right.plot(level[k], [cut, cut], "o", mfc="white", mec=CHAINS[k], mew=1.6, ms=6, zorder=4)
    right.axhline(cut, color=GREY, lw=1, ls=":", label=f"likelihood ratio {prob:.0%}")
    right.set_ylim(2.2 * cut, -0.12 * cut)
    right.set(xlabel=" or ".join(names), ylabel="log-likelihood below its peak")
    right.set_title("the other at its best", fontsize=10)
