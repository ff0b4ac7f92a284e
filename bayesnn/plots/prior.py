"""Functions drawn from the prior: what a network says before it has seen data."""

import textwrap
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import Seed, check_arguments, rng_of
from bayesnn.data import Dataset
from bayesnn.errors import ImproperPriorError, SpecError
from bayesnn.fitting.prior import prior_draws
from bayesnn.network import MLP
from bayesnn.plots.functions import counted, frame_of, grid_of, mark_leaving, original, original_y, short
from bayesnn.plots.picture import Picture, listed
from bayesnn.plots.style import GREY, INK, PRIOR, Panels, Size, add_headline, add_legend, new_axes
from bayesnn.tree import Inputs, ScalingChoice, prepare

MOST = 4
"""Most outputs that are shown, a panel each."""


def plot_prior(
    net: MLP,
    X: Inputs,
    y: ArrayLike | None = None,
    *,
    feature: int | str = 1,
    draws: int = 1000,
    curves: int = 20,
    prob: float = 0.9,
    scaling: ScalingChoice = None,
    random_seed: Seed = None,
    ax: Panels | None = None,
    figsize: Size | None = None,
) -> Picture:
    r"""Draw functions from the prior, with bands that hold a share of them at each input.

    A draw takes every weight and bias from its prior, and shows the mean that the network then gives, in the user's
    units: the number, or the probability of a class. Where the bands are far wider than any target could be, or all
    probabilities near 0 and 1, the prior says what its author did not mean.

    Parameters
    ----------
    net : MLP
        The network, with proper priors.
    X : array (n, p), DataFrame or Dataset
        Inputs, whose range is drawn. A Dataset brings targets, names and scaling.
    y : array (n,) or (n, K), optional
        Targets, drawn as dots; they give a scaling its units, and labels their number.
    feature : int or str
        Which of several features to vary, counted from 1, or its name; the others stay at their means.
    draws : int
        Functions that the bands are made of.
    curves : int
        Functions that are drawn.
    prob : float
        Probability of the outer band; the inner one holds half of the functions.
    scaling : None, "standard", False or Scaling
        As for `fit_mle`.
    random_seed : int, optional
        Seed of the draws.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.

    Returns
    -------
    Picture of matplotlib.axes.Axes
        One for each of up to four targets or classes; of two classes the second. Without features, histograms.

    Raises
    ------
    ImproperPriorError
        A flat prior, from which nothing can be drawn.
    SpecError
        No such feature; labels of more than two classes, or a scaling to be fitted, without `y`.
    DataError
        Data that break a rule.

    See Also
    --------
    plot_fits : The same pictures after the data.

    Notes
    -----
    At an input :math:`x` the bands hold :math:`\mathrm{E}[y \mid x, \theta]` for :math:`\theta \sim p(\theta)` with
    equal tails. They are those of the function: the noise of an observation is not in them.

    References
    ----------
    .. [1] R. M. Neal, "Bayesian Learning for Neural Networks", chapter 2, Springer (1996).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> axes = bnn.plot_prior(bnn.MLP(hidden=(2,), prior=bnn.Normal(1.0)), data, random_seed=1)
    >>> axes[0].figure.get_suptitle()
    'prior Normal(sd=1.0): 20 of 1000 functions'
    """
    check_arguments(prob=prob)
    check_arguments(draws=draws, curves=curves)
    rng = rng_of(random_seed)
    problem, known = _problem(net, X, y, scaling)
    if not net.proper:
        raise ImproperPriorError(
            f"Got prior={net.prior!r}, noise={net.noise_prior or net.noise!r}: nothing can be drawn from a flat prior. "
            "Use a proper prior such as bnn.Normal(1.0)."
        )
    column = _column(problem, feature)
    params = prior_draws(problem, int(draws), rng)
    rows, _ = original(problem)
    inputs, x = np.zeros((1, 0)), None
    if column is not None:
        given = X.X_new if isinstance(X, Dataset) and X.X.shape[1] == 1 else None
        x = grid_of(rows[:, column]) if given is None else np.asarray(given)[:, 0]
        inputs = np.repeat(rows.mean(axis=0, keepdims=True), len(x), axis=0)
        inputs[:, column] = x
        inputs = inputs if problem.scaling is None else problem.scaling.transform_X(inputs)
    f, labels = _means(problem, params, inputs)
    size: dict[str, Any] = {"width": max(3.2, 5.2 / len(labels)), "height": 3.5}
    axes = new_axes(1, len(labels), ax=ax, figsize=figsize, sharey=problem.class_names != (), **size)[0]
    for k, (ax, label) in enumerate(zip(axes, labels, strict=True)):
        if x is None:
            _histogram(ax, f[:, 0, k], label, problem)
            continue
        _bands(ax, x, f[..., k], prob, min(int(curves), len(f)))
        target = _targets(problem, k) if known else None
        if target is not None:
            mark = {"marker": "|", "ms": 9} if problem.class_names else {"marker": "o", "ms": 3.4}
            ax.plot(rows[:, column], target, color=INK, ls="", zorder=5, label="data", **mark)
        inside = np.quantile(f[..., k], [(1 - prob) / 2, (1 + prob) / 2], axis=0)
        if problem.class_names:
            ax.set_ylim(-0.06, 1.06)
        else:
            seen = np.append(inside, [] if target is None else target)
            ax.set_ylim(frame_of(seen, net.loss.task))
            mark_leaving(ax, x, f[: int(curves), :, k])
        ax.set(xlabel=problem.feature_names[column], ylabel=label)
    words = f"prior {net.prior!r}: {min(int(curves), len(f))} of {len(f)} functions"
    if x is None:
        words = f"prior {net.prior!r}: {counted(len(f), 'draw', 'draws')}"
    if len(problem.feature_names) > 1:
        words += ", the other features at their means"
    add_headline(axes, textwrap.fill(words, 60 if len(axes) == 1 else 110), fontsize=10)
    handles, names = axes[0].get_legend_handles_labels()
    add_legend(axes, handles, names)
    said = []
    for k, label in enumerate(labels):
        middle = f[:, f.shape[1] // 2, k]
        low, high = np.quantile(middle, [(1 - prob) / 2, (1 + prob) / 2])
        said.append(f"{label} between {short(low)} and {short(high)}")
    place = "" if x is None else f"at {problem.feature_names[column]} = {short(x[len(x) // 2])} "
    return Picture(axes, f"Draws from the {words}. Of these, {place}{100 * prob:.0f}% have {listed(said)}.")


def _problem(net, X, y, scaling):
    """Find the data to draw over, and whether their targets are known: where none are given, there are stand-ins."""
    if y is not None or isinstance(X, Dataset):
        return prepare(net, X, y, scaling=scaling), True
    task = net.loss.task
    if task in ("classes", "ordinal"):
        raise SpecError(f"Got no y; the loss {net.loss.name!r} needs labels to know their number. Pass X, y.")
    if isinstance(scaling, str):
        raise SpecError(f"Got scaling={scaling!r} without y; a scaling is fitted to both. Pass X, y.")
    n = len(X)
    return prepare(net, X, np.arange(n) % 2 if task == "binary" else np.arange(n), scaling=scaling), False


def _column(problem, feature):
    """Which column is varied; None without features."""
    names = problem.feature_names
    if not names:
        return None
    if isinstance(feature, str) and feature in names:
        return names.index(feature)
    if isinstance(feature, bool) or not isinstance(feature, int | np.integer) or not 1 <= feature <= len(names):
        raise SpecError(f"Got feature={feature!r}; the data have {', '.join(names)}. Give a name, or a number from 1.")
    return int(feature) - 1


def _means(problem, params, inputs):
    """Means in the user's units (draws, n, panels), and what each is."""
    net = problem.net
    mean = net.loss.mean(net.forward(params, inputs), **net.likelihood_args(params))
    if net.loss.task in ("regression", "count"):
        return original_y(problem, mean)[..., :MOST], problem.target_names[:MOST]
    names = [f"p({name})" for name in problem.class_names]
    return (mean[..., 1:], names[1:]) if len(names) == 2 else (mean[..., :MOST], names[:MOST])


def _targets(problem, k):
    """Targets of panel k: numbers, or whether a row has the class."""
    y = original(problem)[1]
    if problem.class_names:
        return (y == (k + 1 if len(problem.class_names) == 2 else k)).astype(float)
    return y.reshape(len(y), -1)[:, k]


def _bands(ax, x, f, prob, curves):
    """Draw two bands and some of the functions."""
    for share, alpha in ((prob, 0.22), (0.5, 0.35)):
        if share == 0.5 and prob <= 0.5:
            continue
        ends = np.quantile(f, [(1 - share) / 2, (1 + share) / 2], axis=0)
        ax.fill_between(x, *ends, color=PRIOR, alpha=alpha, lw=0, label=f"{100 * share:.0f}% of the functions")
    for k, values in enumerate(f[:curves]):
        label = counted(curves, "draw", "draws") if not k else "_draw"
        ax.plot(x, values, color=GREY, lw=0.8, alpha=0.8, zorder=3, label=label)


def _histogram(ax, values, label, problem):
    """Show the prior of a number that depends on no input."""
    bins = np.linspace(0, 1, 26) if problem.class_names else 25
    ax.hist(values, bins=bins, density=True, color=PRIOR, alpha=0.6, label="draws")
    ax.set(xlabel=label, ylabel="density")
    ax.set_xlim((0, 1) if problem.class_names else None)
