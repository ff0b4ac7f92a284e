"""Occam's razor: the evidence of networks beside their likelihood."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.diagnostics import NetworkComparison
from bayesnn.diagnostics.networks import names_of
from bayesnn.errors import SpecError
from bayesnn.plots.functions import mark_leaving
from bayesnn.plots.picture import Picture
from bayesnn.plots.style import (
    ANSWERS,
    CHAINS,
    COLOURS,
    GREY,
    INK,
    MARKERS,
    Panels,
    Size,
    add_legend,
    mark_of,
    new_axes,
)

if TYPE_CHECKING:
    import pandas as pd


SHALLOWEST, DEEPEST = 10.0, 50.0
"""How far an axis reaches at least and at most, in nats: differences of one nat are to be seen."""
_PANELS = {"log evidence": "likelihood averaged over the prior", "MAP log-likelihood": "likelihood at its best"}


def plot_evidence(
    table: "pd.DataFrame", *, depth: float | None = None, ax: Panels | None = None, figsize: Size | None = None
) -> Picture:
    """Draw the log evidence of networks, with the log-likelihood of each beside it.

    The likelihood of the best weights can only rise with the number of units; the evidence rises while units are
    needed, and falls when they only spread the prior over more functions.

    Parameters
    ----------
    table : DataFrame
        What `compare_networks` returned, or some of its rows.
    depth : float, optional
        How far below its best value each axis reaches, in nats; what is lower is marked as leaving. None reaches the
        best network of every line, within bounds.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.

    Returns
    -------
    Picture (2,) of matplotlib.axes.Axes
        Log evidence with its standard error, log-likelihood at the MAP and, where it is known, of the MLE. Where
        networks differ in their hidden units these are on the horizontal axis, with a line for each prior, loss and so
        on; otherwise each network has a line of its own, by name. Open marks are networks whose tempering has not
        reached its marks.

    Raises
    ------
    SpecError
        Another table, or a depth that is no positive number.

    References
    ----------
    C. E. Rasmussen and Z. Ghahramani, "Occam's razor", Advances in Neural Information Processing Systems 13 (2001).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> nets = [bnn.MLP(hidden=h, noise=0.3, prior=bnn.Normal(1.0)) for h in [(), (1,)]]
    >>> X, y = [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0]
    >>> table = bnn.compare_networks(nets, X, y, restarts=2, draws=200, random_seed=1, progressbar=False)
    >>> [ax.get_title() for ax in bnn.plot_evidence(table)]
    ['likelihood averaged over the prior', 'likelihood at its best']
    """
    if not isinstance(table, NetworkComparison) or table.networks is None or not {*_PANELS, "converged"} <= set(table):
        raise SpecError(
            f"Got {type(table).__name__} with the columns {list(getattr(table, 'columns', []))}; the picture needs a "
            "table from bnn.compare_networks. Pass that."
        )
    if depth is not None and not (isinstance(depth, int | float) and depth > 0):
        raise SpecError(f"Got depth={depth!r}; it must be a positive number of nats. Write depth=15, or leave it out.")
    groups = _groups(table)
    by_width = max(map(len, groups.values())) > 1
    # Names need room where each has a line of its own.
    size: dict[str, Any] = {"width": 4.0, "height": 3.4 if by_width else 1.2 + 0.3 * len(table)}
    axes = new_axes(1, 2, ax=ax, figsize=figsize, sharey=not by_width, **size)[0]
    if by_width:
        _lines(axes, table, groups, depth)
    else:
        _rows(axes, table)
    for ax, title in zip(axes, _PANELS.values(), strict=True):
        ax.set_title(title, fontsize=10)
    if not table["converged"].all():
        axes[0].plot([], [], "o", mfc="white", mec=INK, mew=1.5, label="open: the fit has not reached its marks")
    entries: dict[str, Any] = {}
    for ax in axes:
        entries |= {k: v for v, k in zip(*ax.get_legend_handles_labels(), strict=True) if k not in entries}
    entries = {k: v for k, v in entries.items() if k}
    if entries:
        add_legend(axes, entries.values(), entries.keys())
    return Picture(axes, _words(table))


def _words(table):
    """Say which networks evidence and likelihood prefer."""
    evidence, likelihood = (table[column].astype(float) for column in _PANELS)
    error = table["log evidence se"].get(evidence.idxmax(), np.nan)
    return (
        f"Log evidence and log-likelihood of {len(table)} networks. The evidence prefers {evidence.idxmax()} "
        f"({evidence.max():.2f} ± {error:.2f} nats; the lowest is {evidence.idxmin()}, {evidence.min():.2f}), the "
        f"likelihood at its best {likelihood.idxmax()} ({likelihood.max():.2f})."
    )


def _groups(table):
    """Rows of networks that differ in their hidden units only, by a name of the rest."""
    nets = [table.networks[name] for name in table.index]
    rest = [replace(net, hidden=()) for net in nets]
    firsts = [net for i, net in enumerate(rest) if net not in rest[:i]]
    names = names_of(firsts, layers=False)
    return {name: [i for i, net in enumerate(rest) if net == first] for name, first in zip(names, firsts, strict=True)}


def _lines(axes, table, groups, depth):
    """Draw values against hidden units, a line a group."""
    layers = [table.networks[name].hidden for name in table.index]
    keys = sorted(set(layers), key=lambda h: (len(h), h))
    at = np.array([keys.index(h) for h in layers], dtype=float)
    sound = table["converged"].to_numpy(dtype=bool)
    several = len(groups) > 1
    for ax, column in zip(axes, _PANELS, strict=True):
        error = table["log evidence se"].to_numpy() if column == "log evidence" else None
        value = table[column].to_numpy(dtype=float)
        for k, (name, rows) in enumerate(groups.items()):
            order = sorted(rows, key=lambda i: at[i])
            single = "posterior" if column == "log evidence" else "map"
            colour = CHAINS[k % len(CHAINS)] if several else COLOURS[single]
            label = name if several else ("log evidence ± its error" if single == "posterior" else "at the MAP")
            look = {"color": colour, "lw": 1.6, "ms": 5.5, "capsize": 2.5, "elinewidth": 1.4, "zorder": 3}
            ax.errorbar(
                at[order],
                value[order],
                None if error is None else error[order],
                marker=MARKERS[k % len(MARKERS)] if several else ANSWERS[single][1],
                ls="-" if several else ANSWERS[single][0],
                label=label,
                **look,
            )
            for i in order:
                if not sound[i] and column == "log evidence":
                    ax.plot(at[i], value[i], "o", mfc="white", mec=colour, mew=1.5, ms=6, zorder=4, label="_open")
        if column != "log evidence" and "MLE log-likelihood" in table:
            best = table["MLE log-likelihood"].groupby(at).max()
            look = {"color": GREY if several else COLOURS["mle"], "lw": 1.4, "ls": ANSWERS["mle"][0], "zorder": 2}
            marker = "." if several else ANSWERS["mle"][1]
            label = "MLE, whatever the prior" if several else "MLE"
            ax.plot(best.index, best.to_numpy(), marker=marker, ms=5, label=label, **look)
            value = np.append(value, best.to_numpy())
        ax.set_xticks(range(len(keys)), [",".join(map(str, h)) or "0" for h in keys])
        ax.set_xlim(-0.4, len(keys) - 0.6)
        ax.set_xlabel("hidden units")
        places = np.append(at, best.index) if len(value) > len(at) else at
        _deepen(ax, places, value, groups.values(), depth)
    axes[0].set_ylabel("log evidence, nats")
    axes[1].set_ylabel("log-likelihood, nats")


def _deepen(ax, at, value, groups, depth):
    """End the axis below what can be told apart, and say what leaves it."""
    if not np.isfinite(value).any():
        return
    best = value[np.isfinite(value)].max()
    if depth is None:
        tops = [max((v for v in value[rows] if np.isfinite(v)), default=best) for rows in groups]
        depth = np.clip(1.2 * (best - min(tops)), SHALLOWEST, DEEPEST)
    if best - value[np.isfinite(value)].min() > depth:
        ax.set_ylim(best - depth, best + 0.06 * depth)
        mark_leaving(ax, at, value)


def _rows(axes, table):
    """Draw a row for each network, the first at the top."""
    place = np.arange(len(table))
    for ax, column in zip(axes, _PANELS, strict=True):
        answer = "posterior" if column == "log evidence" else "map"
        colour = COLOURS[answer]
        error = table["log evidence se"].to_numpy() if column == "log evidence" else None
        label = "log evidence ± its error" if error is not None else "at the MAP"
        look = {"color": colour, "ms": 6, "capsize": 2.5, "elinewidth": 1.4, "ls": "", "zorder": 3}
        ax.errorbar(table[column], place, xerr=error, marker=ANSWERS[answer][1], label=label, **look)
        if error is not None:
            for i in np.flatnonzero(~table["converged"].to_numpy(dtype=bool)):
                ax.plot(table[column].iloc[i], i, "o", mfc="white", mec=colour, mew=1.5, ms=6, zorder=4, label="_open")
        elif "MLE log-likelihood" in table:
            ax.plot(table["MLE log-likelihood"], place, ms=4, ls="", label="MLE", zorder=2, **mark_of("mle"))
        ax.grid(axis="y", color="0.92")
        ax.set_axisbelow(True)
    axes[0].set_yticks(place, list(table.index))
    axes[0].set_ylim(len(table) - 0.5, -0.5)
    axes[0].set_xlabel("log evidence, nats")
    axes[1].set_xlabel("log-likelihood, nats")
