"""How functions of one network are shown, in the user's units: as curves, against the observed, or row by row."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.data.target import known_of, rates_of
from bayesnn.network import Params
from bayesnn.plots.style import GREY, INK
from bayesnn.tree import Problem

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class Canvas:
    """Where and how the functions of one network are drawn; made by `canvas_of`.

    Parameters
    ----------
    problem : Problem
        Network, data and scaling.
    form : {"curve", "observed", "rows"}
        One input: curves of the mean, or of the probability of the second class. More inputs: the fitted values
        against the observed ones, or the probability of each row's own class.
    X : array (n, p)
        Where functions are evaluated, in the units the model works in.
    x : array (n,)
        The same places on the axis: inputs in the user's units, observed values, or row numbers.
    """

    problem: Problem
    form: str
    X: np.ndarray
    x: np.ndarray

    def values(self, params: Params) -> np.ndarray:
        """Evaluate functions in the user's units.

        Parameters
        ----------
        params : dict of str to array
            Weights, with any leading batch dimensions.

        Returns
        -------
        array (..., n)
            Means of the first target, or probabilities.
        """
        net, problem = self.problem.net, self.problem
        with np.errstate(over="ignore", invalid="ignore"):
            # On the way to infinity a rate may be beyond every number.
            mean = net.loss.mean(net.forward(params, self.X), **net.likelihood_args(params))
        if net.loss.task in ("regression", "count"):
            return original_y(problem, mean)[..., 0]
        return mean[..., 1] if self.form == "curve" else mean[..., np.arange(len(self.X)), problem.y]

    def draw(
        self,
        ax: "Axes",
        values: np.ndarray,
        *,
        spread: np.ndarray | None = None,
        spread_look: dict[str, Any] | None = None,
        order: np.ndarray | None = None,
        marker: str = "o",
        lw: float = 1.8,
        ls: str = "-",
        **look: Any,
    ) -> None:
        """Draw one function, and the range of others about it.

        Parameters
        ----------
        ax : matplotlib.axes.Axes
            Where.
        values : array (n,)
            From `values`.
        spread : array (2, n), optional
            Ends of a bar at each row, where functions are not curves.
        spread_look : dict, optional
            Colour and label of the bars.
        order : array (n,) of int, optional
            Order of the rows along the axis; None sorts by `values`.
        marker, lw, ls
            Marks of rows; width and dashes of curves.
        **look
            ``color``, ``label``, ``zorder``, ``alpha``.
        """
        if self.form == "curve":
            ax.plot(self.x, values, lw=lw, ls=ls, **look)
            return
        order = np.argsort(values) if order is None else order
        across, up = (values, self.x) if self.form == "observed" else (self.x, values[order])
        if spread is not None:
            if self.form == "observed":
                # Far outside is as good as infinite, and can be drawn.
                far = 2 * (np.ptp(self.x) or 1.0)
                spread = np.clip(spread, self.x.min() - far, self.x.max() + far)
            # Rows that are sorted stand at their place in the order.
            bars, low, high = (ax.hlines, *spread) if self.form == "observed" else (ax.vlines, *spread[:, order])
            bars(self.x, low, high, alpha=0.4, lw=1.2, zorder=1.5, **{"color": GREY} | (spread_look or {}))
        ax.plot(across, up, marker, ms=3.2, mec="white", mew=0.3, ls="", **look)

    def finish(self, ax: "Axes", curves: np.ndarray | None = None) -> None:
        """Add the data, the frame and the labels.

        Parameters
        ----------
        ax : matplotlib.axes.Axes
            Where.
        curves : array (..., n), optional
            All curves that were drawn, so that those which leave the frame can be marked.
        """
        problem, task = self.problem, self.problem.net.loss.task
        X, y = original(problem)
        target = target_label(problem) if task in ("regression", "count") else None
        if self.form == "curve":
            if target is None:
                ax.plot(X[:, 0], y, "|", color=INK, ms=9, zorder=6, label="data")
                ax.set_ylim(-0.06, 1.06)
            else:
                y = y.reshape(len(y), -1)[:, 0]
                ax.plot(X[:, 0], y, "o", color=INK, ms=3.2, alpha=0.8, ls="", zorder=6, label="data")
                ax.set_ylim(frame_of(y, task))
            ax.set(xlabel=problem.feature_names[0], ylabel=target or f"p({problem.class_names[1]})")
            if curves is not None:
                mark_leaving(ax, self.x, curves)
        elif self.form == "observed":
            ends = [self.x.min(), self.x.max()]
            ax.plot(ends, ends, color=INK, lw=1, ls=(0, (4, 2)), zorder=4, label="observed = fitted")
            ax.set(xlabel=f"fitted {target}", ylabel=f"observed {target}")
            clip_to_observed(ax, self.x)
        else:
            ax.axhline(0.5, color=GREY, lw=0.8, ls=(0, (4, 2)), label="_half")
            ax.set(ylim=(-0.03, 1.03), xlabel="training rows, worst first", ylabel="probability of the true class")


def canvas_of(problem: Problem) -> Canvas:
    """Choose how the functions of a network are shown.

    Parameters
    ----------
    problem : Problem
        What was fitted.

    Returns
    -------
    Canvas
        Curves for one input, rows for more.
    """
    numbers = problem.net.loss.task in ("regression", "count")
    if problem.X.shape[1] == 1 and (numbers or problem.net.loss.task == "binary"):
        x = grid_of(original(problem)[0][:, 0])
        X = x[:, None] if problem.scaling is None else problem.scaling.transform_X(x[:, None])
        return Canvas(problem, "curve", X, x)
    if numbers:
        return Canvas(problem, "observed", problem.X, original(problem)[1].reshape(len(problem.X), -1)[:, 0])
    return Canvas(problem, "rows", problem.X, np.arange(1, len(problem.X) + 1))


def original(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Training rows in the user's units; counts for one unit of exposure, or one trial."""
    X = problem.X if problem.scaling is None else problem.scaling.inverse_X(problem.X)
    return X, original_y(problem, rates_of(problem.y))


def target_label(problem: Problem) -> str:
    """Name of the first target, and of what it is counted in, as `original` and predictions of new rows have it."""
    known = known_of(problem.y)
    beside = {"exposure": " for an exposure of 1", "trials": " as a share of trials"}
    return problem.target_names[0] + "".join(words for name, words in beside.items() if name in known)


def original_y(problem: Problem, y: np.ndarray) -> np.ndarray:
    """Targets, or their means, in the user's units."""
    return y if problem.scaling is None else problem.scaling.inverse_y(y)


def grid_of(x: np.ndarray) -> np.ndarray:
    """Places between the data, and a little beyond."""
    margin = 0.15 * (np.ptp(x) or 1.0)
    return np.linspace(x.min() - margin, x.max() + margin, 201)


def frame_of(y: np.ndarray, task: str) -> tuple[float, float]:
    """Limits of an axis of targets, with room for bands."""
    low, high = float(np.min(y)), float(np.max(y))
    size = (high - low) or 1.0
    return low - (0.05 if task == "count" else 0.35) * size, high + 0.35 * size


def clip_to_observed(ax: "Axes", observed: np.ndarray) -> None:
    """Keep a wild prediction from squeezing all the others on the horizontal axis, and say so."""
    (low, high), size = ax.get_xlim(), 0.6 * (np.ptp(observed) or 1.0)
    frame = observed.min() - size, observed.max() + size
    if low < frame[0] or high > frame[1]:
        ax.set_xlim(max(low, frame[0]), min(high, frame[1]))
        box = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1}
        words = "some predictions leave the frame"
        ax.annotate(words, (0.98, 0.1), xycoords="axes fraction", ha="right", fontsize=8, zorder=6, bbox=box)


def mark_leaving(ax: "Axes", x: np.ndarray, curves: np.ndarray) -> None:
    """Say, where curves leave the frame, that they do and how far.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        With its limits set.
    x : array (n,)
        Places on the axis.
    curves : array (..., n)
        Values at them.
    """
    curves = np.asarray(curves, dtype=float).reshape(-1, len(x))
    low, high = ax.get_ylim()
    left, right = ax.get_xlim()
    seen = (x >= left) & (x <= right)
    for edge, marker, sign in ((high, "^", 1), (low, "v", -1)):
        away = sign * np.where(np.isnan(curves), -sign * np.inf, curves)[:, seen]
        if not away.size or away.max() <= sign * edge:
            continue
        # The last place inside counts as the exit where a whole stretch is outside.
        at = x[seen][np.unravel_index(np.argmax(away), away.shape)[1]]
        share = (at - left) / (right - left)
        ha = "left" if share < 0.3 else "right" if share > 0.7 else "center"
        ax.plot(at, edge, marker, color=INK, ms=6, clip_on=False, zorder=7, label="_leaves")
        ax.annotate(
            f"leaves, to {short(sign * away.max())}",
            (at, edge),
            (0, -7 * sign),
            textcoords="offset points",
            ha=ha,
            va="top" if sign > 0 else "bottom",
            fontsize=7.5,
            zorder=7,
            bbox={"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.5},
        )


def range_of(functions: np.ndarray) -> np.ndarray | None:
    """Lowest and highest of several functions; None for one."""
    return np.stack([functions.min(axis=0), functions.max(axis=0)]) if len(functions) > 1 else None


def short(value: float) -> str:
    """Write a number in three digits, large ones without an exponent."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"


def counted(n: int, one: str, many: str) -> str:
    """Write a number with its noun."""
    return f"{n} {one if n == 1 else many}"


def legend_below(ax: "Axes", *, columns: int = 2) -> None:
    """Put the legend of one panel under it, where it covers nothing."""
    handles, labels = ax.get_legend_handles_labels()
    if handles:
        look = {"fontsize": 7.5, "frameon": False, "columnspacing": 1.2, "handletextpad": 0.5}
        ax.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.19), ncols=columns, **look)
