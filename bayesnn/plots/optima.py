"""Where the starts of an optimisation ended: how high, and with which function."""

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.plots.orbit import along
from bayesnn.plots.style import COLOURS, GREY, INK, new_axes
from bayesnn.tree import kind_of, params_of, problem_of

_LOOK = {
    "minimum": ("o", "minimum of -log density"),
    "flat": ("s", "flat in some direction"),
    "saddle": ("X", "saddle"),
    "kink": ("D", "kink"),
}


def plot_optima(fit):
    """Draw every end point of a multi-start fit: its log density as a dot, and its function as a curve.

    Starts that end at the same height usually ended in mirror images of one optimum, with identical curves.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit_mle` or `fit_map`.

    Returns
    -------
    array of matplotlib.axes.Axes
        Dots on the left; on the right the functions, or for several inputs the fitted values by row.

    Raises
    ------
    SpecError
        A fit without the group ``optima``.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> line = bnn.MLP(hidden=(), noise=0.3)
    >>> mle = bnn.fit_mle(line, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0], restarts=3, random_seed=1,
    ...                   progressbar=False)
    >>> len(bnn.plot_optima(mle))
    2
    """
    if "optima" not in fit:
        raise SpecError(f"Got a {kind_of(fit)} fit without optima; they come with fit_mle and fit_map.")
    problem, optima = problem_of(fit), fit["optima"].to_dataset()
    height = optima["log_likelihood"].to_numpy().copy()
    label = "log-likelihood"
    if kind_of(fit) == "map":
        height = height + optima["log_prior"].to_numpy()
        label = "log-likelihood + log-prior"
    order = np.argsort(-height)
    left, right = new_axes(1, 2, width=4.0, height=3.0)[0]
    rank = np.arange(1, len(order) + 1)
    signature, converged = optima["signature"].to_numpy()[order], optima["converged"].to_numpy().astype(bool)[order]
    for name, (marker, words) in _LOOK.items():
        for done in (True, False):
            rows = (signature == name) & (converged == done)
            if rows.any():
                face = COLOURS[kind_of(fit)] if done else "white"
                text = words if done else f"{words}, not converged"
                left.plot(rank[rows], height[order][rows], marker, mfc=face, mec=INK, mew=0.6, ms=6, ls="", label=text)
    left.set(xlabel="start, best first", ylabel=label, title=f"{len(order)} starts")
    left.ticklabel_format(axis="y", useOffset=False)
    shown = height[np.isfinite(height)]
    if np.ptp(shown) < 0.1:
        # All at one height: not a picture of rounding errors.
        left.set_ylim(shown.mean() - 0.5, shown.mean() + 0.5)
    left.legend(fontsize=7, frameon=False, loc="lower left")

    params = params_of(fit, group="optima", batch=("start",))
    near = height >= np.nanmax(height) - 1e-6 * max(1.0, abs(np.nanmax(height)))
    best = problem.net.forward({k: v[order[0]] for k, v in params.items()}, problem.X)[:, 0]
    name = problem.feature_names[0] if problem.feature_names else ""
    X, x, xlabel = along(problem.X, best, name, problem.scaling is not None)
    f = problem.net.forward(params, X)[..., 0]
    for k in order[::-1]:
        colour, width = (COLOURS[kind_of(fit)], 1.6) if near[k] else (GREY, 0.8)
        right.plot(x, f[k], color=colour, lw=width, alpha=0.8 if near[k] else 0.5, zorder=2 + near[k])
    right.set(xlabel=xlabel, ylabel="network output f", title=f"{int(near.sum())} of {len(order)} share the best curve")
    return np.array([left, right])
