"""Fits side by side: curves with bands, decision surfaces, or predictions against what was observed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.arguments import check_arguments
from bayesnn.data import Dataset
from bayesnn.data.target import joined, known_of, rates_of, values_of
from bayesnn.plots.functions import (
    clip_to_observed,
    counted,
    frame_of,
    grid_of,
    mark_leaving,
    original,
    original_y,
    short,
    target_label,
)
from bayesnn.plots.picture import Picture, listed
from bayesnn.plots.style import (
    ANSWERS,
    CHAINS,
    CLASSES,
    COLOURS,
    GREY,
    INK,
    MARKERS,
    Panels,
    Size,
    add_legend,
    new_axes,
)
from bayesnn.prediction import centre_of, predict
from bayesnn.tree import Fits, check_dataset, heading, kind_of, named_fits, problem_of

if TYPE_CHECKING:
    import xarray as xr


_LINES = ("-", "--", ":", "-.")
RHAT_MAX = 1.05
"""Largest R-hat of the function that a posterior's panel doesn't mention; above it `fit_posterior` warns."""


def plot_fits(
    *fits: Fits,
    data: Dataset | None = None,
    prob: float = 0.9,
    ax: Panels | None = None,
    figsize: Size | None = None,
    **named: "xr.DataTree",
) -> Picture:
    """Draw fits of the same data side by side, one panel each on common axes.

    One input: the fitted mean with the interval of its expectation (dark) and of a new observation (light), or
    the probability of each class. Two inputs and labels: the decision surface. More inputs: predictions against what
    was observed, or the probability given to the true class. Held-out rows have a mark of their own, so that a fit
    that is better on the rows it has seen than on others is seen to be.

    Parameters
    ----------
    *fits : xarray.DataTree
        From `fit_mle`, `fit_map`, `fit_posterior`; or one dict or list of them.
    data : Dataset, optional
        Brings held-out rows, the grid and, for simulated data, the truth; None draws the training rows alone.
    prob : float
        Probability of the intervals.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.
    **named : xarray.DataTree
        Fits with names, which become the titles: ``plot_fits(narrow=a, wide=b, data=data)``.

    Returns
    -------
    Picture of matplotlib.axes.Axes
        One for each fit. Under the title stands what a reader must know of the fit: which answer it is, if the title
        is a name; that it has no maximum; chains that disagree about the function (R-hat above 1.05); divergences.

    Raises
    ------
    SpecError
        No fits, or a name twice.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> line = bnn.MLP(hidden=(), noise=0.2)
    >>> mle = bnn.fit_mle(line, data, restarts=2, random_seed=1, progressbar=False)
    >>> [ax.get_title() for ax in bnn.plot_fits(mle, data=data)], [ax.get_title() for ax in bnn.plot_fits(line=mle)]
    (['MLE'], ['line'])
    """
    check_arguments(prob=prob)
    fits = named_fits(fits, named)
    problem = problem_of(next(iter(fits.values())))
    if data is not None:
        check_dataset(data)
    inputs, numbers = problem.X.shape[1], problem.net.loss.task in ("regression", "count")
    if inputs == 1:
        draw = _curve if numbers else _probability
    elif inputs == 2 and not numbers:
        draw = _surface
    else:
        draw = _against_observed if numbers else _sorted_labels
    notes = {name: _notes(name, fit) for name, fit in fits.items()}
    lines = max(map(len, notes.values()))
    height = (3.0 if draw is not _against_observed else 3.4) + 0.15 * lines
    # Three panels are as wide as a notebook; one or two may be wider each.
    width = {1: 4.6, 2: 4.2}.get(len(fits), 3.2)
    size: dict[str, Any] = {"height": height, "width": width}
    axes = new_axes(1, len(fits), ax=ax, figsize=figsize, sharex=True, sharey=True, **size)[0]
    said = []
    for ax, (name, fit) in zip(axes, fits.items(), strict=True):
        said.append(": ".join([name, ", ".join([*notes[name], draw(ax, fit, problem_of(fit), data, prob)])]))
    title_each(axes, fits)
    for ax in axes[1:]:
        ax.set_ylabel("")
    entries: dict[str, Any] = {}
    for ax in axes[::-1]:
        entries |= {k: v for v, k in zip(*ax.get_legend_handles_labels(), strict=True) if k not in entries}
    if draw is _surface:
        _colour_bar(axes[-1], problem)
    add_legend(axes, entries.values(), entries.keys(), ncols=min(6, 2 * len(fits)))
    what = (
        target_label(problem)
        if numbers and len(problem.target_names) == 1
        else "the targets"
        if numbers
        else ("the probability of a class")
    )
    over = f"{what} over {listed(list(problem.feature_names))}" if 0 < inputs < 3 else what
    return Picture(axes, f"{counted(len(fits), 'fit', 'fits')} of {over}. {'. '.join(said)}.")


def title_each(axes: np.ndarray, fits: "Mapping[str, xr.DataTree]") -> None:
    """Head each panel with its fit, and with what a reader must know of it.

    Parameters
    ----------
    axes : array of matplotlib.axes.Axes
        One for each fit.
    fits : dict of str to xarray.DataTree
        By their names, which become the titles, in the colours of the answers.
    """
    notes = {name: _notes(name, fit) for name, fit in fits.items()}
    lines = max(map(len, notes.values()))
    text = {"ha": "center", "va": "bottom", "fontsize": 8, "color": INK}
    for ax, (name, fit) in zip(axes, fits.items(), strict=True):
        ax.set_title(name, color=COLOURS[kind_of(fit)], fontweight="bold", fontsize=11, pad=6 + 11 * lines)
        ax.annotate(
            "\n".join([*notes[name], *[""] * (lines - len(notes[name]))]),
            (0.5, 1),
            (0, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            **text,
        )


def _notes(name, fit):
    """Lines that a panel must carry."""
    notes, title = [], heading(fit)
    if not name.startswith(title):
        notes.append(title)
    rhat, diverged = fit.attrs.get("bayesnn_function_rhat", 1.0), fit.attrs.get("bayesnn_divergences", 0)
    if rhat > RHAT_MAX:
        notes.append(f"chains disagree about the function (R-hat {rhat:.2f})")
    if diverged:
        sizes = fit["posterior"].sizes
        notes.append(f"{diverged} of {sizes['chain'] * sizes['draw']} draws diverged")
    return notes


def _held_out(data):
    """Held-out rows in the user's units; None where there are none."""
    if data is None or data.X_test is None:
        return None
    return np.asarray(data.X_test), np.asarray(rates_of(data.y_test))


def _curve(ax, fit, problem, data, prob):
    X, y = original(problem)
    grid = grid_of(X[:, 0]) if data is None or data.X_new is None else np.asarray(data.X_new)[:, 0]
    p = predict(fit, grid[:, None], prob=prob)
    centre = centre_of(p)
    colour = COLOURS[kind_of(fit)]
    percent = f"{100 * prob:.0f}%"
    for k in range(p.sizes["output"]):
        lower, upper, middle = (p[v].to_numpy()[:, k] for v in ("lower", "upper", centre))
        ax.fill_between(
            grid, lower, upper, color=colour, alpha=0.18, lw=0, label=f"{percent} of new y" if not k else None
        )
        if kind_of(fit) == "posterior":
            inner = (p[f"{centre}_{v}"].to_numpy()[:, k] for v in ("lower", "upper"))
            label = f"{percent} of the function" if not k else None
            ax.fill_between(grid, *inner, color=colour, alpha=0.40, lw=0, label=label)
        name = f" {problem.target_names[k]}" if p.sizes["output"] > 1 else ""
        dashes = ANSWERS[kind_of(fit)][0] if p.sizes["output"] == 1 else _LINES[k % len(_LINES)]
        ax.plot(grid, middle, color=colour, lw=1.8, ls=dashes, label=f"{centre}{name}")
    if data is not None and getattr(data, "truth", None) is not None:
        ax.plot(grid, np.ravel(data.truth(grid[:, None])), color=INK, ls=":", lw=1.3, label="truth")
    target, held_out = y.reshape(len(y), -1), _held_out(data)
    if held_out is not None:
        held_out = held_out[0][:, 0], held_out[1].reshape(len(held_out[0]), -1)
    for k in range(target.shape[1]):
        name = f" {problem.target_names[k]}" if target.shape[1] > 1 else ""
        marker = MARKERS[k % len(MARKERS)]
        if held_out is not None:
            look = {"mfc": "white", "mec": INK, "mew": 0.6, "ms": 3.4, "alpha": 0.75, "ls": "", "zorder": 2.5}
            ax.plot(held_out[0], held_out[1][:, k], marker, **look, label=f"held-out data{name}")
        look = {"color": INK, "ms": 3.6, "alpha": 0.85, "ls": "", "zorder": 3}
        ax.plot(X[:, 0], target[:, k], marker, **look, label=f"data{name}")
    ax.set_ylim(frame_of(target if held_out is None else np.vstack([target, held_out[1]]), problem.net.loss.task))
    mark_leaving(ax, grid, p[centre].to_numpy().T)
    ax.set_xlabel(problem.feature_names[0])
    ax.set_ylabel(target_label(problem) if target.shape[1] == 1 else "targets")
    middle, wide = p[centre].to_numpy(), np.subtract(p["upper"], p["lower"]).to_numpy()
    words = f"{centre} from {short(middle.min())} to {short(middle.max())}"
    words += f", {percent} of new y up to {short(wide.max())} wide"
    if kind_of(fit) == "posterior":
        inner = np.subtract(p[f"{centre}_upper"], p[f"{centre}_lower"]).to_numpy()
        words += f", {percent} of the function {short(inner.min())} to {short(inner.max())}"
    return words


def _probability(ax, fit, problem, data, prob):
    (X, y), held_out = original(problem), _held_out(data)
    grid = grid_of(X[:, 0])
    p = predict(fit, grid[:, None])["probability"].to_numpy()
    shown = [1] if p.shape[1] == 2 else range(p.shape[1])
    for i, k in enumerate(shown):
        dashes = ANSWERS[kind_of(fit)][0] if len(shown) == 1 else _LINES[i % len(_LINES)]
        ax.plot(grid, p[:, k], color=COLOURS[kind_of(fit)], ls=dashes, lw=1.8, label=f"p({problem.class_names[k]})")
    top = max(1, len(problem.class_names) - 1)
    ax.plot(X[:, 0], y / top, "|", color=INK, ms=9, label="data, a row for each class")
    if held_out is not None:
        # Beside the training rows, on the inner side of the outer classes.
        at = held_out[1] / top
        look = {"mfc": "white", "mec": INK, "mew": 0.6, "ms": 3.6, "ls": ""}
        ax.plot(held_out[0][:, 0], at + np.where(at > 0.5, -0.05, 0.05), MARKERS[3], **look, label="held-out data")
    ax.set_ylim(-0.06, 1.06)
    ax.set_xlabel(problem.feature_names[0])
    ax.set_ylabel("probability")
    return ", ".join(f"p({problem.class_names[k]}) from {p[:, k].min():.2f} to {p[:, k].max():.2f}" for k in shown)


def _surface(ax, fit, problem, data, prob):
    (X, y), held_out = original(problem), _held_out(data)
    a, b = np.meshgrid(grid_of(X[:, 0]), grid_of(X[:, 1]))
    p = predict(fit, np.column_stack([a.ravel(), b.ravel()]))["probability"].to_numpy()
    if p.shape[1] == 2:
        shade = p[:, 1].reshape(a.shape)
        ax.contourf(a, b, shade, **_shades(problem))
        ax.contour(a, b, shade, levels=[0.5], colors=[INK], linewidths=1.2)
    else:
        ax.contourf(a, b, p.max(axis=1).reshape(a.shape), **_shades(problem))
        ax.contour(a, b, p.argmax(axis=1).reshape(a.shape), levels=np.arange(p.shape[1] - 1) + 0.5, colors=[INK])
    for k in np.unique(y):
        face, edge = CLASSES[k % len(CLASSES)]
        look = {"mfc": face, "mec": edge, "mew": 0.9, "ls": ""}
        marker = MARKERS[k % len(MARKERS)]
        ax.plot(*X[y == k].T, marker, **look, ms=4.6, zorder=3, label=problem.class_names[k])
        if held_out is not None:
            rows, small = held_out[1] == k, look | {"mew": 0.5, "ms": 4.4}
            ax.plot(*held_out[0][rows].T, "X", **small, zorder=2.5, label=f"{problem.class_names[k]}, held out")
    ax.set(xlim=(a.min(), a.max()), ylim=(b.min(), b.max()))
    ax.set_xlabel(problem.feature_names[0])
    ax.set_ylabel(problem.feature_names[1])
    shares = np.bincount(p.argmax(axis=1), minlength=p.shape[1]) / len(p)
    each = [f"{share:.0%} to {name}" for share, name in zip(shares, problem.class_names, strict=True)]
    return f"of the plane {listed(each)}, with a probability above 0.9 in {(p.max(axis=1) > 0.9).mean():.0%} of it"


def _shades(problem):
    """Levels and colours of a surface: from one class to the other, or from doubt to certainty."""
    two = len(problem.class_names) == 2
    return {"levels": np.linspace(0, 1, 11), "cmap": "RdBu" if two else "Greys", "alpha": 0.75 if two else 0.6}


def _colour_bar(ax, problem):
    """Explain the shades beside the last panel."""
    label = f"p({problem.class_names[1]})" if len(problem.class_names) == 2 else "largest probability"
    ax.figure.colorbar(ax.collections[0], ax=ax, label=label, shrink=0.85)


def _rows_shown(problem, data):
    """Names, inputs and targets of the rows to show: the training rows, and the held-out ones where there are any."""
    y = joined({"y": original_y(problem, problem.values), **known_of(problem.y)})
    rows = [("training", original(problem)[0], y)]
    return rows if data is None or data.X_test is None else [*rows, ("held-out", data.X_test, data.y_test)]


def _against_observed(ax, fit, problem, data, prob):
    colour, rows = COLOURS[kind_of(fit)], _rows_shown(problem, data)
    words, seen = [], np.concatenate([values_of(y).ravel() for _, _, y in rows])
    for which, X, y in rows:
        last = which == rows[-1][0]
        p = predict(fit, X, prob=prob if last else None, **known_of(y))
        y = values_of(y).reshape(len(y), -1)
        for k in range(y.shape[1]):
            mean = p[centre_of(p)].to_numpy()[:, k]
            marker, name = MARKERS[k % len(MARKERS)], f"{which} row" if not k else None
            if last:
                interval = f"{100 * prob:.0f}% interval" if not k else None
                ends = p["lower"].to_numpy()[:, k], p["upper"].to_numpy()[:, k]
                ax.vlines(mean, *ends, color=colour, alpha=0.25, lw=1.2, label=interval, zorder=1)
                look = {"color": colour, "mec": "white", "mew": 0.3, "ms": 3.8, "zorder": 3}
            else:
                look = {"mfc": "none", "mec": GREY, "mew": 0.6, "ms": 3.2, "zorder": 2}
            ax.plot(mean, y[:, k], marker, ls="", label=name, **look)
        words.append(f"{which} {np.sqrt(np.mean((p['mean'].to_numpy() - y) ** 2)):.3g}")
    ends = [seen.min(), seen.max()]
    ax.plot(ends, ends, color=INK, lw=1, ls=(0, (4, 2)), label="observed = predicted", zorder=4)
    text = {"xycoords": "axes fraction", "fontsize": 8, "bbox": {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1}}
    ax.annotate(f"RMSE: {', '.join(words)}", (0.98, 0.02), ha="right", zorder=5, **text)
    clip_to_observed(ax, seen)
    ax.set_xlabel("predicted mean")
    ax.set_ylabel(f"observed {problem.target_names[0] if len(problem.target_names) == 1 else 'targets'}")
    return f"RMSE {listed(words)}"


def _sorted_labels(ax, fit, problem, data, prob):
    words, rows = [], _rows_shown(problem, data)
    ax.axhline(0.5, color=GREY, lw=0.8, ls=(0, (4, 2)))
    for which, X, y in rows:
        p = predict(fit, X)
        own = p["probability"].to_numpy()[np.arange(len(y)), y]
        order = np.argsort(own)
        share = 100 * (np.arange(len(y)) + 0.5) / len(y)
        if which == rows[-1][0]:
            for k, name in enumerate(problem.class_names):
                of = y[order] == k
                look = {"color": CHAINS[k % len(CHAINS)], "ms": 4, "alpha": 0.85, "ls": ""}
                ax.plot(share[of], own[order][of], MARKERS[k % len(MARKERS)], label=str(name), **look)
        else:
            ax.plot(share, own[order], color=GREY, lw=1.2, drawstyle="steps-mid", label=f"{which} rows")
        words.append(f"{which} {np.mean(p['label'].to_numpy() == y):.3f}")
    text = {"xycoords": "axes fraction", "fontsize": 8, "bbox": {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1}}
    ax.annotate(f"accuracy: {', '.join(words)}", (0.98, 0.06), ha="right", **text)
    ax.set_ylim(-0.03, 1.03)
    ax.set_xlabel(f"% of the {rows[-1][0]} rows, worst first")
    ax.set_ylabel("probability given to the true class")
    return f"accuracy {listed(words)}"
