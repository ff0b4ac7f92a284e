"""Where the starts of an optimisation ended: how high, and with which function."""

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.plots.functions import canvas_of, counted, legend_below, range_of, short
from bayesnn.plots.picture import Picture
from bayesnn.plots.rows import row_each
from bayesnn.plots.style import COLOURS, GREY, INK, PALE, Panels, Size, add_footnote, line_of
from bayesnn.symmetry import count_modes
from bayesnn.tree import Fits, heading, kind_of, named_fits, params_of, problem_of

if TYPE_CHECKING:
    import xarray as xr


_LOOK = {
    "minimum": ("o", "local maximum"),
    "flat": ("s", "flat in some direction"),
    "saddle": ("X", "saddle"),
    "kink": ("D", "kink"),
    "infinity": ("P", "on its way to infinity"),
}


def plot_optima(*fits: Fits, ax: Panels | None = None, figsize: Size | None = None, **named: "xr.DataTree") -> Picture:
    """Draw every end point of a multi-start fit: its log density as a dot, and its function as a curve.

    Starts that end at one optimum usually ended in mirror images of it, with identical curves. Two end points are the
    same optimum if they are as high and have the same function, as `count_modes` counts them; equal height alone is
    not enough.

    Parameters
    ----------
    *fits : xarray.DataTree
        From `fit_mle` or `fit_map`; of several, each has a row.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.
    **named : xarray.DataTree
        Fits with names.

    Returns
    -------
    Picture (2,) or (fits, 2) of matplotlib.axes.Axes
        Dots on the left: filled with the fit's colour if they reached the best optimum, pale if they reached another
        one, white if they did not converge. A maximum that lies at infinity is a horizontal line at its height. On
        the right the functions in the user's units, with the data: one curve for each distinct optimum, or the
        probability of the second class; for several inputs the fitted values against the observed ones, or the
        probability of each row's own class, with bars from the lowest to the highest of the other functions.

    Raises
    ------
    SpecError
        A fit without the group ``optima``.

    See Also
    --------
    plot_modes : Distinct optima only, each with its share of the starts.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> line = bnn.MLP(hidden=(), noise=0.3)
    >>> mle = bnn.fit_mle(line, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0], restarts=3, random_seed=1,
    ...                   progressbar=False)
    >>> [ax.get_title() for ax in bnn.plot_optima(mle)]
    ['MLE: 3 starts', '3 of 3 starts reached the best optimum']
    """
    shown = named_fits(fits, named)
    for fit in shown.values():
        _check(fit)
    return row_each(shown, _draw, 2, ax=ax, figsize=figsize, width=4.4, height=3.7)


def _check(fit):
    """Refuse a fit without end points."""
    if "optima" not in fit:
        raise SpecError(
            f"Got a {kind_of(fit)} fit without optima; they come with fit_mle and fit_map. Pass such a fit."
        )


def _draw(axes, fit):
    """Draw one fit, and say what is to be seen."""
    left, right = axes
    group = count_modes(fit).dataset["label"].to_numpy()
    _heights(left, fit, group)
    _functions(right, fit, group)
    for ax in (left, right):
        legend_below(ax)
    if limit := fit.attrs.get("bayesnn_limit"):
        add_footnote(left, textwrap.fill(f"limit: {limit}", 130))
    height, label = heights(fit)
    ends = height[np.isfinite(height)]
    span = f"from {short(ends.min())} to {short(ends.max())}" if ends.size else "not finite anywhere"
    verdict, starts = " ".join(right.get_title().split()), counted(len(height), "start", "starts")
    return f"{heading(fit)}: end points of {starts}, {label} {span}; {verdict}."


def heights(fit: "xr.DataTree") -> tuple[np.ndarray, str]:
    """Log density of every end point in the user's units, and what it is called."""
    height = fit["optima"]["log_likelihood"].to_numpy()
    if kind_of(fit) == "mle":
        return height, "log-likelihood"
    return height + fit["optima"]["log_prior"].to_numpy(), "log-likelihood + log-prior"


def limit_height(fit: "xr.DataTree") -> float | None:
    """Log density of the limit, for a maximum that lies at infinity; None for every other fit."""
    if "limit" not in fit:
        return None
    height = float(fit["limit"]["log_likelihood"])
    return height if kind_of(fit) == "mle" else height + float(problem_of(fit).net.log_prior(params_of(fit))[0, 0])


def _heights(ax, fit, group):
    """Draw the log density of every end point, the highest first."""
    kind, limit, known = kind_of(fit), limit_height(fit), fit.attrs.get("bayesnn_exists", 1) == 1
    height, label = heights(fit)
    order = np.argsort(-height, kind="stable")
    rank, height, group = np.arange(1, len(order) + 1), height[order], group[order]
    shown, signature = np.isfinite(height), fit["optima"]["signature"].to_numpy()[order]
    best = ": the best" if group[0] == 0 else ": the best that converged"
    status = np.where(group < 0, 2, np.where((group == 0) & known, 0, 1))
    words = (best, ": another optimum" if known else "", ", not converged")
    for name in dict.fromkeys([*_LOOK, *signature]):
        marker, text = _LOOK[name]
        for k, face in enumerate((COLOURS[kind], PALE, "white")):
            rows = (signature == name) & (status == k) & shown
            if rows.any():
                look = {"mfc": face, "mec": INK, "mew": 0.7, "ms": 6, "ls": ""}
                said = text if name == "infinity" else text + words[k]
                ax.plot(rank[rows], height[rows], marker, label=said, **look)
    if limit is not None:
        ax.axhline(limit, color=COLOURS[kind], lw=1.6, ls=":", zorder=1, label="limit")
    lost = "" if shown.all() else f", {(~shown).sum()} without a finite density"
    title = heading(fit)
    ax.set_title(f"{title}{', ' if ':' in title else ': '}{counted(len(order), 'start', 'starts')}{lost}", fontsize=10)
    ax.set(xlabel="start, best first", ylabel=label, xlim=(0.2, len(order) + 0.8))
    ax.ticklabel_format(axis="y", useOffset=False)
    ax.xaxis.get_major_locator().set_params(integer=True)
    values = np.append(height[shown], [] if limit is None else limit)
    if np.ptp(values) < 0.1:
        # All at one height: not a picture of rounding errors.
        ax.set_ylim(values.mean() - 0.5, values.mean() + 0.5)


def _functions(ax, fit, group):
    """Draw the fit's own function, and those of the other end points behind it."""
    canvas, colour, best = (
        canvas_of(problem_of(fit)),
        COLOURS[kind_of(fit)],
        int(fit["optima"].attrs.get("best", np.nanargmax(heights(fit)[0]))),
    )
    own = canvas.values(params_of(fit))[0, 0]
    ends = canvas.values(params_of(fit, group="optima", batch=("start",)))
    exists, at_limit = fit.attrs.get("bayesnn_exists", 1), "limit" in fit
    name = "limit" if at_limit else "best optimum" if exists == 1 and group[best] == 0 else "highest end point"
    first = [int(np.flatnonzero(group == k)[0]) for k in np.unique(group[group >= 0]) if at_limit or k != group[best]]
    lost = [int(k) for k in np.flatnonzero(group < 0) if at_limit or k != best]
    if canvas.form == "curve":
        for rows, one, many, style in (
            (lost, "start that did not converge", "starts that did not converge", ":"),
            (
                first,
                "other optimum" if exists == 1 else "end point",
                "other optima" if exists == 1 else "end points",
                "-",
            ),
        ):
            for k in reversed(rows):
                label = counted(len(rows), one, many) if k == rows[0] else "_end"
                canvas.draw(ax, ends[k], lw=0.9, ls=style, color=GREY, zorder=2, label=label)
        canvas.draw(ax, own, lw=2.2, zorder=4, label=name, **line_of(kind_of(fit)))
        canvas.finish(ax, np.vstack([own, ends[first], ends[lost]]))
    else:
        rows = first if exists == 1 and first else [*first, *lost]
        words = "optima" if rows is first and group[best] == 0 else "end points"
        spread = range_of(np.vstack([own, ends[rows]]))
        look = {"label": f"range over {len(rows) + 1} {words}"}
        canvas.draw(ax, own, spread=spread, spread_look=look, color=colour, zorder=3, label=name)
        canvas.finish(ax)
    ax.set_title(_verdict(fit, group, best), fontsize=10)


def _verdict(fit, group, best):
    """Say how many starts reached the best optimum, where there is one."""
    exists, n = fit.attrs.get("bayesnn_exists", 1), counted(len(group), "start", "starts")
    if exists == 0:
        return "the limit, and where the starts stopped" if "limit" in fit else "no maximum: where the starts stopped"
    if (group < 0).all():
        return f"none of {n} converged"
    if exists != 1:
        return "whether this is a maximum is undecided"
    k = (group == 0).sum()
    if group[best] != 0:
        return f"the highest start did not converge;\n{k} of {n} reached the best optimum that did"
    return f"{k} of {n} reached the best optimum"
