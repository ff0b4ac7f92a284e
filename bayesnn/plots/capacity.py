"""Error against capacity: how training and held-out error change with hidden units, or with the width of the prior."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import fields, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayesnn.arguments import as_list, check_name
from bayesnn.data import Dataset
from bayesnn.errors import ConvergenceWarning, ImproperPriorError, SpecError
from bayesnn.fitting import fit_map, fit_mle, fit_posterior
from bayesnn.fitting.progress import bar
from bayesnn.network import MLP, check_net
from bayesnn.plots.fits import RHAT_MAX
from bayesnn.plots.functions import mark_leaving
from bayesnn.plots.picture import Picture
from bayesnn.plots.style import ANSWERS, COLOURS, INK, Panels, Size, add_legend, line_of, mark_of, new_axes
from bayesnn.prediction import score
from bayesnn.tree import KINDS, heading

if TYPE_CHECKING:
    import pandas as pd


_AXES = {"hidden": "hidden units", "prior_sd": "standard deviation of the prior"}
_SIZE = {"mle": 6, "map": 7.5, "posterior": 4.5}
"""Of marks: the last one is smaller, since MAP and posterior often coincide."""
DEEPEST = 10.0
"""How far below the best LPPD, in nats for each row, the axis reaches; what is lower is marked as leaving."""
_WHERE = ("training", "held-out")


def capacity_table(
    net: MLP,
    data: Dataset,
    *,
    hidden: Sequence[int | tuple[int, ...]] | None = None,
    prior_sd: Sequence[float] | None = None,
    answers: Sequence[str] = ("mle", "map", "posterior"),
    restarts: int = 20,
    draws: int = 500,
    tune: int = 500,
    chains: int = 4,
    cores: int | None = None,
    random_seed: int = 0,
    table: "pd.DataFrame | None" = None,
    progressbar: bool = True,
) -> "pd.DataFrame":
    """Fit one network at several capacities, and score every fit on the rows it has seen and on others.

    Parameters
    ----------
    net : MLP
        The network that is varied.
    data : Dataset
        With held-out rows.
    hidden : sequence of int or of tuples, optional
        Units of the hidden layer, or of each; 0 for none.
    prior_sd : sequence of float, optional
        Standard deviations of the prior, in place of `hidden`. The MLE, which has none, is fitted once.
    answers : sequence of {"mle", "map", "posterior"}
        Which to fit.
    restarts : int
        Random starts of MLE and MAP.
    draws, tune, chains, cores
        As for `fit_posterior`.
    random_seed : int
        Seed of every fit.
    table : DataFrame, optional
        What an earlier call returned: fits that are in it are not made again.
    progressbar : bool
        Show progress on standard error.

    Returns
    -------
    pandas.DataFrame
        One row a fit: ``answer``, ``hidden`` or ``prior_sd``, ``training`` and ``held-out RMSE`` (in the user's units)
        or ``error rate``, ``training`` and ``held-out LPPD`` (see `score`), ``heading`` (whether there is a maximum),
        ``sound`` (False for a maximum that lies at infinity or is undecided, for a best start that did not converge,
        and for chains that disagree about the function or diverge), and ``seconds``. Interrupted by the keyboard,
        the fits so far.

    Raises
    ------
    SpecError
        Not a Dataset, or one without held-out rows; both or none of `hidden` and `prior_sd`; an unknown answer.
    ImproperPriorError
        A posterior of a flat prior.

    See Also
    --------
    plot_capacity : Its picture.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> table = bnn.plots.capacity_table(bnn.MLP(noise=0.2), data, hidden=[0], answers=["mle"], restarts=2,
    ...                                  progressbar=False)
    >>> table[["answer", "hidden", "training RMSE", "held-out RMSE", "sound"]].round(3)
      answer hidden  training RMSE  held-out RMSE  sound
    0    mle      0          0.514           0.88   True
    """
    import pandas as pd

    check_net(net)
    if not isinstance(data, Dataset) or data.X_test is None:
        what = "a Dataset without held-out rows" if isinstance(data, Dataset) else f"{type(data).__name__}"
        raise SpecError(f"Got {what}; the held-out error needs a Dataset with test rows. Use bnn.load_data(...).")
    for answer in as_list("answers", answers, ("mle", "map")):
        check_name("answer", answer, KINDS)
    name, nets = _variants(net, hidden, prior_sd)
    bad = [n for n in nets.values() if not n.proper]
    if "posterior" in answers and bad:
        raise ImproperPriorError(
            f"Got prior={bad[0].prior!r}, noise={bad[0].noise_prior or bad[0].noise!r}: a flat prior has no posterior. "
            "Use a proper prior such as bnn.Normal(1.0), or answers=('mle',)."
        )
    known = {} if table is None else {(r["answer"], str(r[name])): r for r in table.to_dict("records")}
    rows: list[dict[str, Any]] = []
    wanted = [(key, answer) for key in nets for answer in answers]
    options = {"draws": draws, "tune": tune, "chains": chains, "cores": cores}
    try:
        with bar("fits", len(wanted), show=progressbar) as step:
            for key, answer in wanted:
                same = next((r for r in rows if r["answer"] == answer), None) if answer == "mle" else None
                if (answer, key) in known:
                    rows.append(known[answer, key])
                elif name == "prior_sd" and same is not None:
                    rows.append(same | {name: _value(name, key), "seconds": 0.0})
                else:
                    more = options if answer == "posterior" else {"restarts": restarts}
                    found = _row(answer, nets[key], data, random_seed, more)
                    rows.append({"answer": answer, name: _value(name, key), **found})
                step()
    except KeyboardInterrupt:
        if not rows:
            raise
        warnings.warn(
            f"Interrupted: {len(rows)} of {len(wanted)} fits are kept. Pass them as table= to go on from there.",
            ConvergenceWarning,
            stacklevel=2,
        )
    return pd.DataFrame(rows)


def _variants(net, hidden, prior_sd):
    """Name of what varies, and the networks by its value, written as text."""
    if (hidden is None) == (prior_sd is None):
        got = "neither hidden nor prior_sd" if hidden is None else "both hidden and prior_sd"
        raise SpecError(f"Got {got}; one of them is varied. Write hidden=[1, 2, 4, 8], or prior_sd=[0.1, 1, 10].")
    if hidden is not None:
        layers = [tuple(np.atleast_1d(h)) if np.ndim(h) or h else () for h in as_list("hidden", hidden, [1, 2, 4, 8])]
        nets = {",".join(map(str, h)) or "0": replace(net, hidden=h) for h in layers}
    else:
        if "sd" not in {f.name for f in fields(net.prior)}:
            raise SpecError(
                f"Got prior_sd with prior={net.prior!r}, which has no standard deviation. Use prior=bnn.Normal(1.0)."
            )
        nets = {
            f"{float(sd) if isinstance(sd, Real) else sd}": replace(net, prior=replace(net.prior, sd=sd))
            for sd in as_list("prior_sd", prior_sd, [0.1, 1, 10])
        }
    return ("prior_sd" if hidden is None else "hidden"), nets


def _value(name, key):
    return float(key) if name == "prior_sd" else key


def _row(answer, net, data, random_seed, options):
    """Fit once, and score."""
    began = time.perf_counter()
    with warnings.catch_warnings():
        # What the warnings say is in the row: whether the fit is sound.
        warnings.simplefilter("ignore", ConvergenceWarning)
        if answer == "posterior":
            fit = fit_posterior(net, data, random_seed=random_seed, progressbar=False, **options)
        else:
            options = options | {"nonexistent": "flag"}
            fit = {"mle": fit_mle, "map": fit_map}[answer](
                net, data, random_seed=random_seed, progressbar=False, **options
            )
    scores = [score(fit, X, y) for X, y in ((data.X, data.y), (data.X_test, data.y_test))]
    wrong = "RMSE" if "rmse" in scores[0] else "error rate"
    row = {
        f"{where} {wrong}": s["rmse"] if "rmse" in s else 1 - s["accuracy"]
        for where, s in zip(_WHERE, scores, strict=True)
    }
    row |= {f"{where} LPPD": s["lppd"] for where, s in zip(_WHERE, scores, strict=True)}
    return row | {"heading": heading(fit), "sound": _sound(fit), "seconds": time.perf_counter() - began}


def _sound(fit):
    """Whether a fit is what its name says."""
    if "optima" in fit:
        optima = fit["optima"].to_dataset()
        done = bool(optima["converged"].to_numpy()[int(optima.attrs["best"])])
        return fit.attrs["bayesnn_exists"] == 1 and done
    return fit.attrs.get("bayesnn_function_rhat", 1.0) <= RHAT_MAX and not fit.attrs.get("bayesnn_divergences", 0)


def plot_capacity(
    net: "MLP | pd.DataFrame",
    data: Dataset | None = None,
    *,
    measure: Literal["error", "lppd"] = "error",
    ax: Panels | None = None,
    figsize: Size | None = None,
    **options: Any,
) -> Picture:
    """Draw training and held-out error against hidden units, or against the width of the prior.

    More units can only raise the likelihood of the MLE, for a small network is a larger one with units at zero; the
    held-out error rises from where the noise is fitted. Under a prior units that are too many usually do less harm.

    Parameters
    ----------
    net : MLP or DataFrame
        The network that is varied; or what `bnn.plots.capacity_table` returned, which then need not be computed again.
    data : Dataset, optional
        With held-out rows; left out for a DataFrame.
    measure : {"error", "lppd"}
        RMSE or error rate, or the log pointwise predictive density of a row, where overconfidence shows.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.
    **options
        ``hidden`` or ``prior_sd``, ``answers``, ``restarts``, ``draws`` and so on: see `bnn.plots.capacity_table`.

    Returns
    -------
    Picture (2,) of matplotlib.axes.Axes
        Training rows, held-out rows. Open marks are fits that are not what their name says: a maximum that lies at
        infinity or is undecided, chains that disagree about the function or diverge.

    Raises
    ------
    SpecError
        Another measure, a DataFrame of something else, or as `bnn.plots.capacity_table`.

    Examples
    --------
    Compute once and keep the numbers, draw as often as you like:

    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> table = bnn.plots.capacity_table(bnn.MLP(noise=0.2), data, hidden=[0, 1], answers=["mle"], restarts=5,
    ...                                  progressbar=False)
    >>> [ax.get_title() for ax in bnn.plot_capacity(table)]
    ['training rows', 'held-out rows']
    """
    import pandas as pd
    from matplotlib.ticker import LogLocator, NullLocator

    check_name("measure", measure, ("error", "lppd"))
    if isinstance(net, pd.DataFrame):
        if data is not None or options:
            raise SpecError("Got a table together with data or options; it has its numbers. Pass the table alone.")
        table = net
    else:
        table = capacity_table(net, data, **options)  # type: ignore[arg-type]  # which needs data, and says so
    name, label = _columns(table, measure)
    keys = list(dict.fromkeys(table[name]))
    place = keys if name == "prior_sd" else range(len(keys))
    at = dict(zip(keys, place, strict=True))

    axes = new_axes(1, 2, ax=ax, figsize=figsize, width=4.3, height=3.6, sharey=True, sharex=True)[0]
    for ax, where in zip(axes, _WHERE, strict=True):
        for answer in [a for a in KINDS if a in set(table["answer"])]:
            rows = table[table["answer"] == answer]
            x, value = rows[name].map(at).to_numpy(dtype=float), rows[f"{where} {label}"].to_numpy(dtype=float)
            order, sound, colour = np.argsort(x), rows["sound"].to_numpy(dtype=bool), COLOURS[answer]
            size, look = _SIZE[answer], line_of(answer) | mark_of(answer)
            ax.plot(x[order], value[order], ms=size, lw=1.6, zorder=2, label=KINDS[answer], **look)
            look = {"mfc": "white", "mec": colour, "mew": 1.5, "ms": size, "ls": "", "zorder": 3}
            ax.plot(x[~sound], value[~sound], ANSWERS[answer][1], label=f"_open {answer}", **look)
        ax.set_title(f"{where} rows", fontsize=10)
        ax.set_xlabel(_AXES[name])
    values = table[[f"{where} {label}" for where in _WHERE]].to_numpy(dtype=float)
    if name == "prior_sd":
        axes[0].set_xscale("log")
        axes[0].set_xticks(keys, [f"{k:g}" for k in keys])
        axes[0].minorticks_off()
    else:
        axes[0].set_xticks(list(place), [str(k) for k in keys])
    if label == "RMSE" and values.min() > 0 and values.max() > 20 * values.min():
        # One wild fit would flatten all the others.
        axes[0].set_yscale("log")
        axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes[0].yaxis.set_major_formatter(lambda v, _: f"{v:g}")
        axes[0].yaxis.set_minor_locator(NullLocator())
    elif measure == "lppd" and np.ptp(values) > DEEPEST:
        axes[0].set_ylim(values.max() - DEEPEST, values.max() + 0.05 * DEEPEST)
        for ax, where in zip(axes, _WHERE, strict=True):
            lines = table.pivot_table(index=name, columns="answer", values=f"{where} {label}", sort=False)
            mark_leaving(ax, np.array([at[k] for k in lines.index], dtype=float), lines.to_numpy().T)
    axes[0].set_ylabel(f"{label}, nats for each row" if measure == "lppd" else label)
    entries = dict(zip(*reversed(axes[0].get_legend_handles_labels()), strict=True))
    if not table["sound"].all():
        (mark,) = axes[0].plot([], [], "o", mfc="white", mec=INK, mew=1.5, label="_open")
        entries["open: no maximum, undecided, or chains that disagree"] = mark
    add_legend(axes, entries.values(), entries.keys(), ncols=len(entries))
    return Picture(axes, _words(table, name, label))


def _words(table, name, label):
    """Say where each answer is best on held-out rows, and how it ends."""
    column, pick = f"held-out {label}", (lambda v: v.idxmax()) if label == "LPPD" else (lambda v: v.idxmin())
    said = []
    for answer in [a for a in KINDS if a in set(table["answer"])]:
        rows = table[table["answer"] == answer]
        best = rows.loc[pick(rows[column])]
        said.append(
            f"{KINDS[answer]} best at {best[name]} ({best[column]:.3g}), {rows[column].iloc[-1]:.3g} at the last"
        )
    ends = f"{table[name].iloc[0]} to {table[name].iloc[-1]}"
    what = "the logarithm of the predictive density" if label == "LPPD" else label
    return f"Training and held-out {what} against {_AXES[name]}, from {ends}. On held-out rows: {'; '.join(said)}."


def _columns(table, measure):
    """Name of what varies, and of the measure."""
    name = next((n for n in _AXES if n in table), None)
    known = ("LPPD",) if measure == "lppd" else ("RMSE", "error rate")
    label = next((k for k in known if f"held-out {k}" in table), None)
    if name is None or label is None or not {"answer", "sound"} <= set(table):
        raise SpecError(
            f"Got a table with the columns {list(table)}; the picture needs one from bnn.plots.capacity_table."
        )
    return name, label
