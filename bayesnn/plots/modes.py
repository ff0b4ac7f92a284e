"""Functions by mode: what is left to tell apart when symmetry is taken away, and how often each was found."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.plots.functions import canvas_of, counted, legend_below, range_of
from bayesnn.plots.picture import Picture, listed
from bayesnn.plots.rows import row_each
from bayesnn.plots.style import CHAINS, DASHES, GREY, MARKERS, Panels, Size, line_of
from bayesnn.symmetry import count_modes
from bayesnn.symmetry.align import spread
from bayesnn.symmetry.clusters import share_words
from bayesnn.tree import KINDS, Fits, heading, kind_of, named_fits, params_of, problem_of

if TYPE_CHECKING:
    import xarray as xr


MOST = 7
"""Most modes with a colour of their own; the others share grey."""
ROWS = 150
"""Most rows at which several modes are shown beside each other."""
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")


def plot_modes(*fits: Fits, ax: Panels | None = None, figsize: Size | None = None, **named: "xr.DataTree") -> Picture:
    """Draw the functions of the modes modulo symmetry, each with its colour, as wide as it is common.

    Parameters
    ----------
    *fits : xarray.DataTree
        From `fit_mle`, `fit_map` or `fit_posterior`; of several, each has a row.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.
    **named : xarray.DataTree
        Fits with names.

    Returns
    -------
    Picture (2,) or (fits, 2) of matplotlib.axes.Axes
        Functions on the left, in the user's units and with the data: one curve for each distinct optimum, or for each
        mode its median, the band of 90% of its draws, and in the legend its share with a standard error; for several
        inputs the fitted values against the observed ones, or the probability of each row's own class. On the right,
        for an MLE or MAP the number of starts that ended in each basin, for a posterior the share of each chain's draws
        in each mode. That share is the mode's probability for draws of tempering, and for others only if the chains
        move freely between the modes: a chain that stays where it started says nothing about the others.

    Raises
    ------
    FitError
        Not a fit, or a point without the group ``optima``.

    See Also
    --------
    bayesnn.symmetry.count_modes : How modes are told apart.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> line = bnn.MLP(hidden=(), noise=0.3)
    >>> mle = bnn.fit_mle(line, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0], restarts=3, random_seed=1,
    ...                   progressbar=False)
    >>> [ax.get_title() for ax in bnn.plots.plot_modes(mle)]
    ['1 distinct optimum modulo symmetry', 'basins of 3 starts']
    """
    shown = named_fits(fits, named)
    return row_each(shown, _draw, 2, ax=ax, figsize=figsize, width=4.4, height=3.7, width_ratios=[1.25, 1])


def _draw(axes, fit):
    """Draw one fit, and say what is to be seen."""
    found, canvas = count_modes(fit).dataset, canvas_of(problem_of(fit))
    left, right = axes
    draw = _of_draws if kind_of(fit) == "posterior" else _of_optima
    draw(left, right, fit, found, canvas)
    legend_below(left)
    if kind_of(fit) == "posterior":
        share, error = found["function_share"].to_numpy(), found["function_share_se"].to_numpy()
        each = [share_words(a, b) for a, b in zip(share[:MOST], error[:MOST], strict=False)]
        whole = "of the posterior" if found.attrs["sampler"] == "tempering" else "of the draws"
        return f"Functions of {counted(len(share), 'mode', 'modes')}, with {listed(each)} {whole}."
    starts, density = found["starts"].to_numpy()[:MOST], found["log_density"].to_numpy()[:MOST]
    each = [f"{counted(int(k), 'start', 'starts')} at {d:.6g}" for k, d in zip(starts, density, strict=True)]
    basins = f"; basins by log density: {listed(each)}" if each else ""
    return f"Functions of the {KINDS[kind_of(fit)]}'s end points, {left.get_title()}{basins}."


def _look(k, n, kind):
    """Colour, dashes and hatching of mode k of n; a single one looks like the answer that it is."""
    if n == 1:
        return *line_of(kind).values(), ""
    return (CHAINS[k], DASHES[k], HATCHES[k]) if k < MOST else (GREY, "-", "")


def _of_optima(left, right, fit, found, canvas):
    """Draw one curve and one bar for each basin."""
    n, starts, total = found.sizes["optimum"], found["starts"].to_numpy(), found.sizes["start"]
    place = {int(s): i for i, s in enumerate(fit["optima"]["start"].to_numpy())}
    rows = [place[int(s)] for s in found["best_start"].to_numpy()]
    values = canvas.values(params_of(fit, group="optima", batch=("start",)))
    own, kind, exists = canvas.values(params_of(fit))[0, 0], kind_of(fit), fit.attrs.get("bayesnn_exists", 1)
    curves = canvas.form == "curve"
    if n and (curves or exists != 0):
        shown = values[rows]
        if curves:
            noun = "optimum" if exists == 1 else "end point"
            for k in range(n):
                colour, dashes, _ = _look(k, n, kind)
                look = {
                    "lw": 2.2 if n == 1 else 1 + 3 * starts[k] / total,
                    "ls": dashes,
                    "color": colour,
                    "zorder": 3 - k / (n + 1),
                }
                canvas.draw(left, shown[k], label=_number(k, n, noun), **look)
        else:
            look = {"label": f"range over {n} optima"}
            canvas.draw(
                left,
                shown[0],
                spread=range_of(shown),
                spread_look=look,
                color=_look(0, n, kind)[0],
                zorder=3,
                label="optimum 1",
            )
    if exists == 0 or not n:
        name = "limit" if "limit" in fit else "highest end point"
        canvas.draw(left, own, lw=2.2, zorder=4, label=name, **line_of(kind))
    canvas.finish(left, np.vstack([own, values[rows]]) if curves else None)

    names, density, copies = [], found["log_density"].to_numpy(), found["copies"].to_numpy()
    for k in range(min(n, MOST)):
        # Colours are those of the curves; rows of several inputs show the first one only.
        colour, _, hatch = _look(k, n, kind) if curves or k == 0 else (GREY, "-", "")
        right.barh(k, starts[k], color=colour, hatch=hatch, ec="white", lw=0)
        many = "∞ copies" if np.isinf(copies[k]) else counted(int(copies[k]), "copy", "copies")
        names.append(f"{k + 1}: {density[k]:.6g}, {many}")
    for words, count in (("others", starts[MOST:].sum()), ("not converged", int((found["label"] < 0).sum()))):
        if count:
            right.barh(len(names), count, color=GREY if words == "others" else "white", ec=GREY)
            names.append(words)
    for bar in right.patches:
        at = bar.get_width(), bar.get_y() + bar.get_height() / 2
        right.annotate(f"{bar.get_width():.0f}", at, (3, 0), textcoords="offset points", va="center", fontsize=8)
    right.set_yticks(range(len(names)), names)
    right.set_ylim(max(len(names), 3) - 0.4, -0.6)
    right.margins(x=0.12)
    right.xaxis.get_major_locator().set_params(integer=True)
    right.set(xlabel="starts that ended there", ylabel="log density, symmetric copies" if n else "")
    right.set_title(f"basins of {counted(total, 'start', 'starts')}", fontsize=10)
    words = f"{counted(n, 'distinct optimum', 'distinct optima')} modulo symmetry"
    if not n:
        words = "no start converged"
    elif exists != 1:
        words = f"{counted(n, 'end point', 'end points')} modulo symmetry"
    left.set_title(words if exists == 1 and n else f"{heading(fit)}; {words}", fontsize=10)


def _number(k, n, noun):
    """Label of mode k, or nothing where many share a look."""
    if k < MOST:
        return f"{noun} {k + 1}"
    return f"{n - MOST} others" if k == MOST else "_other"


def _of_draws(left, right, post, found, canvas):
    """Draw median and band of each mode, and one stacked bar for each chain."""
    label, share = found["function_label"].to_numpy().ravel(), found["function_occupancy"].to_numpy()
    total, error = found["function_share"].to_numpy(), found["function_share_se"].to_numpy()
    draws = np.isin(post["posterior"]["draw"].to_numpy(), found["draw"].to_numpy())
    rows = len(canvas.X)
    if canvas.form == "observed" and share.shape[1] > 1 and rows > ROWS:
        some = spread(rows, ROWS)
        canvas = replace(canvas, X=canvas.X[some], x=canvas.x[some])
    f = canvas.values({k: v[:, draws].reshape(-1, *v.shape[2:]) for k, v in params_of(post).items()})
    n, bottom, tempered = share.shape[1], np.zeros(len(share)), found.attrs["sampler"] == "tempering"
    curves, order, drawn = canvas.form == "curve", np.argsort(f.mean(axis=0)), []
    for k in range(n):
        colour, dashes, hatch = _look(k, n, "posterior")
        middle, band = np.median(f[label == k], axis=0), np.quantile(f[label == k], [0.05, 0.95], axis=0)
        whole = f"{share_words(total[k], error[k])} of the {'posterior' if tempered else 'draws'}"
        name = _number(k, n, "mode")
        name = name if k >= MOST else f"{name}: {whole}" if n > 1 else "median of all draws"
        if curves:
            width, place = 1.4 + 2 * total[k], 4 - k / (n + 1)
            left.fill_between(canvas.x, *band, color=colour, alpha=0.2, lw=0, zorder=2, label="_band")
            canvas.draw(left, middle, color="white", lw=width + 1.4, zorder=place - 0.5 / (n + 1), label="_edge")
            canvas.draw(left, middle, color=colour, ls=dashes, lw=width, zorder=place, label=name)
            drawn += [middle, *band]
        else:
            look = {"color": colour, "label": "90% of its draws" if n > 1 else "90% of the draws"}
            dots = {"color": colour, "marker": MARKERS[k % len(MARKERS)], "zorder": 3, "label": name}
            canvas.draw(left, middle, spread=band, spread_look=look, order=order, **dots)
        right.bar(np.arange(len(share)), share[:, k], bottom=bottom, color=colour, hatch=hatch, ec="white", lw=0)
        bottom += share[:, k]
    canvas.finish(left, np.array(drawn) if curves else None)
    shown = ", 90% bands" if curves else f", {len(canvas.X)} of {rows} rows" if len(canvas.X) < rows else ""
    left.set_title(f"{counted(n, 'mode', 'modes')} in function space{shown}", fontsize=10)
    right.set_xticks(range(len(share)), found["chain"].to_numpy())
    right.set(xlabel="system" if tempered else "chain", ylabel="share of its draws", ylim=(0, 1.02))
    right.set_title(f"modes by {'system of temperatures' if tempered else 'chain'}", fontsize=10)
    if n > 1 and not tempered:
        words = "Shares of draws are not probabilities of modes\nunless every chain visits every mode often."
        right.annotate(words, (0.5, -0.2), xycoords="axes fraction", ha="center", va="top", fontsize=8)
