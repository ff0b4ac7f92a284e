"""Posterior predictive checks: whether the data that were seen could have come from the fit."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayesnn.arguments import Seed, check_arguments, rng_of
from bayesnn.data import Dataset
from bayesnn.data.target import known_of, values_of
from bayesnn.errors import SpecError
from bayesnn.plots.fits import title_each
from bayesnn.plots.functions import original_y, short
from bayesnn.plots.picture import Picture, listed
from bayesnn.plots.style import (
    ANSWERS,
    COLOURS,
    DASHES,
    GREY,
    INK,
    PALE,
    Panels,
    Size,
    add_legend,
    line_of,
    mark_of,
    new_axes,
)
from bayesnn.prediction import pit_of, replicates
from bayesnn.symmetry.align import spread
from bayesnn.theory.ranks import band, how
from bayesnn.tree import Fits, Problem, Rows, kind_of, named_fits, observed_rows, problem_of

if TYPE_CHECKING:
    import xarray as xr


MOST = 1000
"""Most rows whose PIT is drawn; the band of more would take long, and be no wider than its line."""
BARS = 25
"""Most bars; counts that reach further share them."""


def plot_ppc(
    *fits: Fits,
    data: Dataset | None = None,
    rows: Rows = None,
    kind: Literal["bars", "pit", "ordered"] | None = None,
    draws: int = 1000,
    prob: float = 0.9,
    random_seed: Seed = None,
    ax: Panels | None = None,
    figsize: Size | None = None,
    **named: "xr.DataTree",
) -> Picture:
    r"""Check whether the data could have come from each fit, one panel each.

    Parameters
    ----------
    *fits : xarray.DataTree
        From `fit_mle`, `fit_map`, `fit_posterior`; or one dict or list of them.
    data : Dataset, optional
        Its held-out rows are checked; None takes the rows of the fit, which it has seen.
    rows : {"test", "train"}, optional
        Which rows of a Dataset; the held-out ones if left out.
    kind : {"bars", "pit", "ordered"}, optional
        Labels and counts: how many rows have each class or number (bars). Numbers: the distribution of the probability
        integral transform (PIT), or targets in their order (ordered, also for counts). None takes the first that
        suits.
    draws : int
        Data sets that are drawn from each fit, for bars and ordered targets.
    prob : float
        Probability of the intervals, and of the band of the PIT as a whole.
    random_seed : int, optional
        Seed of these data sets.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.
    **named : xarray.DataTree
        Fits with names, which become the titles.

    Returns
    -------
    Picture of matplotlib.axes.Axes
        One for each fit. What was observed is black, what the fit expects has its colour. The PIT is drawn as its
        distribution function less that of uniform numbers: where it rises on the left and falls on the right, the
        predictions are too narrow.

    Raises
    ------
    SpecError
        No fits, a kind that does not suit the loss, ordered targets of several at once, or a probability that is none.

    See Also
    --------
    bayesnn.posterior_predictive_check : The same question as test statistics, with predictive p-values.
    bayesnn.score : Coverage and calibration error as numbers.
    plot_prior : The check before the data.

    Notes
    -----
    The PIT of observation :math:`i` is :math:`\frac1S \sum_s p(y < y_i \mid x_i, \theta_s)`. Of rows that the fit has
    not seen it is uniform if the fit is right, and all of its distribution function stays in the band with
    probability `prob` [1]_, if rows are independent. They are not where the function itself is uncertain: it is off at
    neighbouring rows together, and the curve may leave the band on one side although each interval is as wide as it
    should be. Rows that the fit has seen were fitted: they look better than they should.

    References
    ----------
    .. [1] T. Säilynoja, P.-C. Bürkner and A. Vehtari, "Graphical test for discrete uniformity and its applications in
       goodness-of-fit evaluation and multiple sample comparison", Statistics and Computing 32 (2022).
    .. [2] A. Gelman, X.-L. Meng and H. Stern, "Posterior predictive assessment of model fitness via realized
       discrepancies", Statistica Sinica 6 (1996).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> line = bnn.MLP(hidden=(), noise=0.2)
    >>> mle = bnn.fit_mle(line, data, restarts=2, random_seed=1, progressbar=False)
    >>> print(bnn.plot_ppc(mle, data=data).alt_text)
    PIT of 100 held-out rows against uniform numbers. MLE leaves the 90% band: ...
    """
    check_arguments(prob=prob)
    check_arguments(draws=draws)
    rng = rng_of(random_seed)
    shown = named_fits(fits, named)
    first = problem_of(next(iter(shown.values())))
    kind = _kind(first, kind)
    which = (
        "rows of the fit"
        if data is None
        else "training rows"
        if isinstance(rows, str) and rows == "train"
        else "held-out rows"
    )
    size: dict[str, Any] = {"width": {1: 4.6, 2: 4.2}.get(len(shown), 3.2), "height": 3.2}
    axes = new_axes(1, len(shown), ax=ax, figsize=figsize, sharex=True, sharey=True, **size)[0]
    said = []
    for ax, (name, fit) in zip(axes, shown.items(), strict=True):
        problem = problem_of(fit)
        X, y = observed_rows(problem, data, rows)
        if kind == "pit":
            words = _pit(ax, fit, problem, X, y, prob)
        else:
            repeated = replicates(fit, X, draws=int(draws), rng=rng, known=known_of(y))
            observed, repeated = original_y(problem, values_of(y)), repeated.reshape(len(repeated), len(X), -1)[..., 0]
            draw = _bars if kind == "bars" else _ordered
            words = draw(ax, fit, problem, observed.reshape(len(X), -1)[:, 0], repeated, prob)
        said.append(f"{name} {words}")
    title_each(axes, shown)
    n = min(len(X), MOST) if kind == "pit" else len(X)
    what = {
        "pit": "PIT of {} against uniform numbers",
        "bars": "How many of {} have each value",
        "ordered": "{}, ordered",
    }
    number = f"{n} {which}" if n == len(X) else f"{n} of {len(X)} {which}"
    labels = {
        "pit": ("PIT", "share below − PIT"),
        "bars": ("class" if first.class_names else first.target_names[0], f"number of {which}"),
        "ordered": (f"{which}, the lowest first", first.target_names[0]),
    }[kind]
    for one in axes:
        one.set_xlabel(labels[0])
    axes[0].set_ylabel(labels[1])
    entries: dict[str, Any] = {}
    for one in axes[::-1]:
        entries |= {k: v for v, k in zip(*one.get_legend_handles_labels(), strict=True) if k not in entries}
    add_legend(axes, entries.values(), entries.keys(), ncols=3)
    return Picture(axes, f"{what[kind].format(number)}. {'; '.join(said)}.")


def _kind(problem: Problem, kind: str | None) -> str:
    """Choose what suits the loss, or refuse what does not."""
    task, name = problem.net.loss.task, problem.net.loss.name
    suits = {"regression": ("pit", "ordered"), "count": ("bars", "ordered")}.get(task, ("bars",))
    if kind is None:
        return suits[0]
    if not isinstance(kind, str) or kind not in suits:
        raise SpecError(
            f"Got kind={kind!r} with the loss {name!r}; its check is {' or '.join(map(repr, suits))}. Leave kind out."
        )
    if kind == "ordered" and len(problem.target_names) > 1:
        raise SpecError(f"Got kind='ordered' with {len(problem.target_names)} targets; it takes one. Use kind='pit'.")
    return kind


def _pit(ax, fit, problem, X, y, prob):
    """Draw the distribution function of the PIT, less that of uniform numbers, in its band."""
    some = spread(len(X), MOST)
    pit = pit_of(fit, X[some], y[some])
    points, lower, upper = band(len(some), prob)
    ax.fill_between(
        points, lower - points, upper - points, color=PALE, alpha=0.7, lw=0, label=f"{100 * prob:.0f}% band"
    )
    ax.axhline(0.0, color=GREY, lw=0.8)
    kind, said = kind_of(fit), []
    for k, u in enumerate(pit.T):
        below = np.searchsorted(np.sort(u), points, side="right") / len(u)
        name = "" if pit.shape[1] == 1 else f" of {problem.target_names[k]}"
        dashes = ANSWERS[kind][0] if pit.shape[1] == 1 else DASHES[k % len(DASHES)]
        ax.plot(points, below - points, color=COLOURS[kind], ls=dashes, lw=1.8, label=f"PIT{name}")
        out = (below < lower) | (below > upper)
        far = np.abs(below - points).max()
        verdict = how(u).replace("draws", "predictions") if out.any() else ""
        words = f"leaves the {100 * prob:.0f}% band: {verdict}" if out.any() else f"stays in the {100 * prob:.0f}% band"
        said.append(f"{words}, at most {far:.2f} from uniform{name}")
        if pit.shape[1] == 1:
            _note(ax, verdict or "within the band")
    return listed(said)


def _note(ax, words):
    """Write a verdict at the bottom of a panel."""
    box = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1}
    ax.annotate(words, (0.5, 0.03), xycoords="axes fraction", ha="center", fontsize=8, color=INK, bbox=box, zorder=6)


def _bars(ax, fit, problem, observed, repeated, prob):
    """Draw how many rows have each value, and how many the fit expects."""
    labels = list(problem.class_names)
    if labels:
        low, step = 0, 1
        bins = len(labels)
    else:
        low = int(min(observed.min(), repeated.min()))
        high = int(max(observed.max(), np.quantile(repeated, 0.999)))
        step = -(-(high - low + 1) // BARS)
        bins = -(-(high - low + 1) // step)
        starts = low + step * np.arange(bins)
        labels = [f"{k}" if step == 1 else f"{k}–{k + step - 1}" for k in starts]
    place = np.arange(bins)

    def count(values):
        return np.bincount(np.clip((values - low) // step, 0, bins - 1).astype(int), minlength=bins)

    seen, expected = count(observed), np.array([count(one) for one in repeated])
    ends = np.quantile(expected, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
    mean, kind = expected.mean(axis=0), kind_of(fit)
    ax.bar(place, seen, width=0.7, color=PALE, ec=INK, lw=0.8, label="observed")
    look = mark_of(kind) | {"ms": 6, "mec": "white", "ls": ""}
    bars = np.maximum([mean - ends[0], ends[1] - mean], 0)
    ax.errorbar(
        place, mean, bars, capsize=3, elinewidth=1.8, label=f"expected, with {100 * prob:.0f}% of data sets", **look
    )
    every = max(1, -(-bins // 13))
    ax.set_xticks(place[::every], labels[::every])
    if max(map(len, labels)) * len(labels[::every]) > 40:
        ax.tick_params(axis="x", rotation=30 if step == 1 else 90)
    outside = (seen < ends[0]) | (seen > ends[1])
    worst = int(np.argmax(np.abs(seen - mean)))
    chance = f"by chance {short((1 - prob) * bins)} at most, on average"
    return (
        f"has {outside.sum()} of {bins} outside its {100 * prob:.0f}% interval ({chance}); "
        f"farthest off is {labels[worst]}: {seen[worst]} observed, {short(mean[worst])} expected"
    )


def _ordered(ax, fit, problem, observed, repeated, prob):
    """Draw targets in their order within the band of those of other data sets."""
    rank, kind = np.arange(1, len(observed) + 1), kind_of(fit)
    ordered = np.sort(repeated, axis=1)
    lower, middle, upper = np.quantile(ordered, [(1 - prob) / 2, 0.5, (1 + prob) / 2], axis=0)
    seen = np.sort(observed)
    label = f"{100 * prob:.0f}% of data sets"
    ax.fill_between(rank, lower, upper, color=COLOURS[kind], alpha=0.25, lw=0, label=label)
    ax.plot(rank, middle, lw=1.6, label="expected", **line_of(kind))
    ax.plot(rank, seen, ".", color=INK, ms=4, label="observed", zorder=3)
    outside = ((seen < lower) | (seen > upper)).mean()
    return f"has {outside:.0%} of them outside the band of {label}, from {short(lower.min())} to {short(upper.max())}"
