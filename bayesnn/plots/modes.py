"""Functions by mode: what is left to tell apart when symmetry is taken away, and how often each was found."""

import numpy as np

from bayesnn.plots.orbit import along
from bayesnn.plots.style import CHAINS, GREY, INK, new_axes
from bayesnn.symmetry import count_modes
from bayesnn.tree import kind_of, params_of, problem_of

MOST = 7
"""Most modes with a colour of their own; the others share grey."""
CURVES = 100
"""About how many draws are shown."""
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 1)))
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo")


def plot_modes(fit):
    """Draw the functions of the modes modulo symmetry, each with its colour, as wide as it is common.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit_mle`, `fit_map` or `fit_posterior`.

    Returns
    -------
    array (2,) of matplotlib.axes.Axes
        Functions on the left: one curve for each distinct optimum, or draws and the mean of each mode; for several
        inputs the fitted values by row. On the right, for an MLE or MAP the share of starts that ended in each basin,
        for a posterior the share of each chain's draws in each mode.

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
    modes, problem = count_modes(fit), problem_of(fit)
    left, right = new_axes(1, 2, width=4.4, height=3.4, width_ratios=[1.25, 1])[0]
    draw = _of_draws if kind_of(fit) == "posterior" else _of_optima
    draw(left, right, fit, modes.dataset, problem)
    if problem.X.shape[1] == 1 and problem.net.loss.task in ("regression", "count"):
        y = problem.y.reshape(len(problem.y), -1)[:, 0]
        left.plot(problem.X[:, 0], y, "o", color=INK, ms=3, alpha=0.5, zorder=1, label="_data")
    several = len(problem.output_names) > 1
    left.set_ylabel(f"network output f[{problem.output_names[0]}]" if several else "network output f")
    return np.array([left, right])


def _look(k):
    """Colour, dashes and hatching of mode k."""
    return (CHAINS[k], DASHES[k], HATCHES[k]) if k < MOST else (GREY, "-", "")


def _count(n, one, many):
    return f"{n} {one if n == 1 else many}"


def _of_optima(left, right, fit, found, problem):
    """Draw one curve and one bar for each basin."""
    params = params_of(fit, group="optima", batch=("start",))
    n, starts = found.sizes["optimum"], found["starts"].to_numpy()
    total, share = found.sizes["start"], found["frequency"].to_numpy()
    place = {int(s): i for i, s in enumerate(fit["optima"]["start"].to_numpy())}
    rows = [place[int(s)] for s in found["best_start"].to_numpy()]
    net, few = problem.net, {k: v[rows] for k, v in params.items()}
    left.set_title(f"{_count(n, 'distinct optimum', 'distinct optima')} modulo symmetry", fontsize=10)
    right.set_title(f"basins of {total} starts", fontsize=10)
    names, height = [], 0
    if n:
        best = net.forward({k: v[0] for k, v in few.items()}, problem.X)[:, 0]
        X, x, label = along(problem.X, best, problem.feature_names[0], problem.scaling is not None)
        left.set_xlabel(label)
        for k, f in reversed(list(enumerate(net.forward(few, X)[..., 0]))):
            colour, dashes, _ = _look(k)
            left.plot(x, f, color=colour, ls=dashes, lw=1 + 3 * share[k], alpha=0.9, zorder=3 - k / (n + 1))
    density, copies = found["log_density"].to_numpy(), found["copies"].to_numpy()
    for k in range(min(n, MOST)):
        colour, _, hatch = _look(k)
        right.barh(k, starts[k], color=colour, hatch=hatch, ec="white", lw=0)
        many = "∞ copies" if np.isinf(copies[k]) else _count(int(copies[k]), "copy", "copies")
        names.append(f"log density {density[k]:.4g}\n{many}")
    height = len(names)
    for words, count in (("others", starts[MOST:].sum()), ("not converged", int((found["label"] < 0).sum()))):
        if count:
            right.barh(height, count, color=GREY if words == "others" else "white", ec=GREY)
            names.append(words)
            height += 1
    for bar in right.patches:
        right.annotate(
            f"{bar.get_width():.0f}",
            (bar.get_width(), bar.get_y() + bar.get_height() / 2),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    right.set_yticks(range(height), names)
    right.set_ylim(max(height, 3) - 0.4, -0.6)
    right.margins(x=0.12)
    right.xaxis.get_major_locator().set_params(integer=True)
    right.set(xlabel="starts that ended there")


def _of_draws(left, right, post, found, problem):
    """Draw curves of some draws, the mean of each mode, and one stacked bar for each chain."""
    net, label = problem.net, found["function_label"].to_numpy()
    params = params_of(post)
    draws = np.isin(post["posterior"]["draw"].to_numpy(), found["draw"].to_numpy())
    few = {k: v[:, draws].reshape(-1, *v.shape[2:]) for k, v in params.items()}
    label, share = label.ravel(), found["function_occupancy"].to_numpy()
    n, mean = share.shape[1], net.forward(few, problem.X)[..., 0].mean(axis=0)
    X, x, xlabel = along(problem.X, mean, problem.feature_names[0], problem.scaling is not None)
    f = net.forward(few, X)[..., 0]
    step = max(1, len(f) // CURVES)
    for values, k in zip(f[::step], label[::step], strict=True):
        left.plot(x, values, color=_look(k)[0], lw=0.5, alpha=0.25, zorder=2, label="_draw")
    total, bottom = share.mean(axis=0), np.zeros(len(share))
    for k in range(n):
        colour, dashes, hatch = _look(k)
        name = f"mode {k + 1}: {total[k]:.0%} of the draws"
        middle = f[label == k].mean(axis=0)
        left.plot(x, middle, color="white", lw=2.4 + 3 * total[k], zorder=3)
        left.plot(x, middle, color=colour, ls=dashes, lw=1 + 3 * total[k], zorder=4, label=name)
        chains = np.arange(len(share))
        right.bar(chains, share[:, k], bottom=bottom, color=colour, hatch=hatch, ec="white", lw=0)
        bottom += share[:, k]
    left.legend(fontsize=8, frameon=False)
    left.set_xlabel(xlabel)
    left.set_title(f"{_count(n, 'mode', 'modes')} in function space", fontsize=10)
    right.set_xticks(range(len(share)), found["chain"].to_numpy())
    right.set(xlabel="chain", ylabel="share of its draws", ylim=(0, 1.02))
    right.set_title("modes by chain", fontsize=10)
