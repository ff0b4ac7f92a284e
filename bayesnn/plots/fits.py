"""The three answers side by side: curves with bands, decision surfaces, or held-out predictions."""

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.plots.style import COLOURS, GREY, INK, MARKERS, new_axes
from bayesnn.prediction import predict
from bayesnn.tree import KINDS, kind_of, problem_of

_LINES = ("-", "--", ":", "-.")


def plot_fits(*fits, data=None, prob=0.9):
    """Draw fits of the same data side by side, one panel each on common axes.

    One input: the fitted mean with the interval of its expectation (dark) and of a new observation (light), or
    the probability of each class. Two inputs and labels: the decision surface. More inputs: predictions of the
    held-out rows (the training rows where there are none) against what was observed.

    Parameters
    ----------
    *fits : xarray.DataTree
        From `fit_mle`, `fit_map`, `fit_posterior`.
    data : Dataset, optional
        Brings held-out rows, the grid and, for simulated data, the truth; None draws the training rows alone.
    prob : float
        Probability of the intervals.

    Returns
    -------
    array of matplotlib.axes.Axes
        One for each fit.

    Raises
    ------
    SpecError
        No fits.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> line = bnn.MLP(hidden=(), noise=0.2)
    >>> mle = bnn.fit_mle(line, data, restarts=2, random_seed=1, progressbar=False)
    >>> axes = bnn.plot_fits(mle, data=data)
    >>> axes[0].get_title()
    'MLE'
    """
    if not fits:
        raise SpecError("Got no fits; a picture needs at least one. Write plot_fits(mle, map_, post, data=data).")
    problem = problem_of(fits[0])
    inputs, numbers = problem.X.shape[1], problem.net.loss.task in ("regression", "count")
    if inputs == 1:
        draw = _curve if numbers else _probability
    elif inputs == 2 and not numbers:
        draw = _surface
    else:
        draw = _against_observed if numbers else _sorted_labels
    height = 3.0 if draw is not _against_observed else 3.4
    axes = new_axes(1, len(fits), height=height, sharex=draw is not _sorted_labels, sharey=True)[0]
    for ax, fit in zip(axes, fits, strict=True):
        kind = kind_of(fit)
        title = KINDS[kind]
        if not fit.attrs.get("bayesnn_exists", 1):
            title += " does not exist: last iterate"
        ax.set_title(title, color=COLOURS[kind], fontweight="bold")
        draw(ax, fit, problem_of(fit), data, prob)
    for ax in axes[1:]:
        ax.set_ylabel("")
    handles, labels = axes[-1].get_legend_handles_labels()
    if handles:
        columns = min(6, 2 * len(fits))
        axes[0].figure.legend(handles, labels, loc="outside lower center", ncols=columns, fontsize=8, frameon=False)
    return axes


def _original(problem):
    """Training rows in the user's units."""
    scaling = problem.scaling
    if scaling is None:
        return problem.X, problem.y
    return scaling.inverse_X(problem.X), scaling.inverse_y(problem.y)


def _grid(x):
    margin = 0.15 * (x.max() - x.min())
    return np.linspace(x.min() - margin, x.max() + margin, 201)


def _curve(ax, fit, problem, data, prob):
    X, y = _original(problem)
    grid = _grid(X[:, 0]) if data is None or data.X_new is None else np.asarray(data.X_new)[:, 0]
    p = predict(fit, grid[:, None], prob=prob)
    colour = COLOURS[kind_of(fit)]
    percent = f"{100 * prob:.0f}%"
    for k in range(p.sizes["output"]):
        lower, upper, middle = (p[v].to_numpy()[:, k] for v in ("lower", "upper", "mean"))
        ax.fill_between(
            grid, lower, upper, color=colour, alpha=0.18, lw=0, label=f"{percent} of new y" if not k else None
        )
        if kind_of(fit) == "posterior":
            inner = (p[v].to_numpy()[:, k] for v in ("mean_lower", "mean_upper"))
            label = f"{percent} of the function" if not k else None
            ax.fill_between(grid, *inner, color=colour, alpha=0.40, lw=0, label=label)
        name = f" {problem.target_names[k]}" if p.sizes["output"] > 1 else ""
        ax.plot(grid, middle, color=colour, lw=1.8, ls=_LINES[k % len(_LINES)], label=f"mean{name}")
    if data is not None and getattr(data, "truth", None) is not None:
        ax.plot(grid, np.ravel(data.truth(grid[:, None])), color=INK, ls=(0, (4, 2)), lw=1.1, label="truth")
    target = y.reshape(len(y), -1)
    for k in range(target.shape[1]):
        name = f" {problem.target_names[k]}" if target.shape[1] > 1 else ""
        marker = MARKERS[k % len(MARKERS)]
        ax.plot(X[:, 0], target[:, k], marker, color=INK, ms=3.2, alpha=0.7, ls="", label=f"data{name}")
    low, high = target.min(), target.max()
    below = 0.35 if problem.net.loss.task != "count" else 0.05
    ax.set_ylim(low - below * (high - low), high + 0.35 * (high - low))
    ax.set_xlabel(problem.feature_names[0])
    ax.set_ylabel(problem.target_names[0] if target.shape[1] == 1 else "targets")


def _probability(ax, fit, problem, data, prob):
    X, y = _original(problem)
    grid = _grid(X[:, 0])
    p = predict(fit, grid[:, None])["probability"].to_numpy()
    shown = [1] if p.shape[1] == 2 else range(p.shape[1])
    for i, k in enumerate(shown):
        look = {"color": COLOURS[kind_of(fit)], "ls": _LINES[i % len(_LINES)], "lw": 1.8}
        ax.plot(grid, p[:, k], **look, label=f"p({problem.class_names[k]})")
    ax.plot(X[:, 0], y / max(1, y.max()), "|", color=INK, ms=9, label="data, a row for each class")
    ax.set_ylim(-0.05, 1.05)
    ax.set_xlabel(problem.feature_names[0])
    ax.set_ylabel("probability")


def _surface(ax, fit, problem, data, prob):
    X, y = _original(problem)
    a, b = np.meshgrid(_grid(X[:, 0]), _grid(X[:, 1]))
    p = predict(fit, np.column_stack([a.ravel(), b.ravel()]))["probability"].to_numpy()
    if p.shape[1] == 2:
        shade = p[:, 1].reshape(a.shape)
        drawn = ax.contourf(a, b, shade, levels=np.linspace(0, 1, 11), cmap="RdBu", alpha=0.75)
        ax.contour(a, b, shade, levels=[0.5], colors=[INK], linewidths=1.2)
        label = f"p({problem.class_names[1]})"
    else:
        drawn = ax.contourf(a, b, p.max(axis=1).reshape(a.shape), levels=np.linspace(0, 1, 11), cmap="Greys", alpha=0.6)
        ax.contour(a, b, p.argmax(axis=1).reshape(a.shape), levels=np.arange(p.shape[1] - 1) + 0.5, colors=[INK])
        label = "largest probability"
    if ax.get_subplotspec().is_last_col():
        ax.figure.colorbar(drawn, ax=ax, label=label, shrink=0.85)
    for k in np.unique(y):
        rows = y == k
        look = {"mec": INK, "mew": 0.6, "mfc": ("white", GREY, INK)[k % 3], "ms": 3.5, "ls": ""}
        ax.plot(*X[rows].T, MARKERS[k % len(MARKERS)], **look, label=problem.class_names[k])
    ax.set_xlabel(problem.feature_names[0])
    ax.set_ylabel(problem.feature_names[1])


def _rows_shown(problem, data):
    """Held-out rows where there are any, otherwise the training rows, with their name."""
    if data is not None and data.X_test is not None:
        return np.asarray(data.X_test), np.asarray(data.y_test), "held-out"
    return *_original(problem), "training"


def _against_observed(ax, fit, problem, data, prob):
    X, y, which = _rows_shown(problem, data)
    p = predict(fit, X, prob=prob)
    y = y.reshape(len(y), -1)
    colour = COLOURS[kind_of(fit)]
    for k in range(y.shape[1]):
        mean, lower, upper = (p[v].to_numpy()[:, k] for v in ("mean", "lower", "upper"))
        ax.vlines(
            mean, lower, upper, color=colour, alpha=0.25, lw=1.2, label=f"{100 * prob:.0f}% interval" if not k else None
        )
        ax.plot(
            mean,
            y[:, k],
            MARKERS[k % len(MARKERS)],
            color=colour,
            ms=3.5,
            mec="white",
            mew=0.3,
            label=f"{which} row" if not k else None,
        )
    ends = [y.min(), y.max()]
    ax.plot(ends, ends, color=INK, lw=1, ls=(0, (4, 2)), label="observed = predicted")
    rmse = np.sqrt(np.mean((p["mean"].to_numpy() - y) ** 2))
    ax.annotate(f"{which} RMSE {rmse:.3g}", (0.98, 0.02), xycoords="axes fraction", fontsize=8, ha="right")
    ax.set_xlabel("predicted mean")
    ax.set_ylabel(f"observed {problem.target_names[0] if y.shape[1] == 1 else 'targets'}")


def _sorted_labels(ax, fit, problem, data, prob):
    X, y, which = _rows_shown(problem, data)
    p = predict(fit, X)
    own = p["probability"].to_numpy()[np.arange(len(y)), y]
    order = np.argsort(own)
    rank = np.arange(1, len(y) + 1)
    ax.axhline(0.5, color=GREY, lw=0.8, ls=(0, (4, 2)))
    for k, name in enumerate(problem.class_names):
        rows = y[order] == k
        ax.plot(
            rank[rows],
            own[order][rows],
            MARKERS[k % len(MARKERS)],
            ms=4,
            alpha=0.8,
            ls="",
            label=str(name),
            color=(COLOURS["map"], "#E69F00", COLOURS["posterior"], "#CC79A7")[k % 4],
        )
    accuracy = np.mean(p["label"].to_numpy() == y)
    ax.annotate(f"accuracy {accuracy:.3f}", (0.98, 0.06), xycoords="axes fraction", fontsize=8, ha="right")
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlabel(f"{which} rows, worst first")
    ax.set_ylabel("probability given to the true class")
