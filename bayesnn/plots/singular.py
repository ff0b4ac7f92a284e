"""A network with units to spare: criteria beside the evidence as rows are added."""

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.plots.functions import short
from bayesnn.plots.picture import Picture, listed
from bayesnn.plots.style import CHAINS, GREY, INK, Panels, Size, new_axes
from bayesnn.theory.singular import SingularStudy

_PAID = {"-log evidence": "o-", "WBIC": "s--", "BIC/2": "^:"}
_PREDICTED = {"-WAIC elpd": "s--", "-LOO elpd": "o-"}


def plot_singular(study: SingularStudy, *, ax: Panels | None = None, figsize: Size | None = None) -> Picture:
    r"""Draw what the evidence pays for parameters as rows are added, and what BIC and WBIC say that it does.

    Parameters
    ----------
    study : SingularStudy
        From `singular_study`.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.

    Returns
    -------
    Picture (3,) of matplotlib.axes.Axes
        In nats above the negative log-likelihood of the truth: the evidence with the criteria that stand for it, and
        lines that rise by :math:`\lambda \log n` and :math:`\tfrac d2 \log n`; WAIC and leave-one-out. And the learning
        coefficient beside d/2. Pale marks are replicates, lines their
        means.

    Raises
    ------
    SpecError
        Something else.

    References
    ----------
    S. Watanabe, "A widely applicable Bayesian information criterion", Journal of Machine Learning Research 14 (2013).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> from bayesnn.plots import plot_singular
    >>> from bayesnn.theory import singular_study
    >>> net = bnn.MLP(hidden=(2,), bias=False, noise=1.0, prior=bnn.Normal(1.0))
    >>> zero = {"W1": [[0.0]], "W2": [[0.0]]}
    >>> study = singular_study(net, zero, [20, 80], draws=200, max_rounds=1, restarts=3, random_seed=1,
    ...                        progressbar=False)
    >>> [ax.get_title() for ax in plot_singular(study)]
    ['the evidence and its stand-ins', 'prediction of new rows', 'learning coefficient']
    """
    if not isinstance(study, SingularStudy):
        raise SpecError(
            f"Got {type(study).__name__}; the picture is of what bayesnn.theory.singular_study returns. Pass that."
        )
    table, each = study.table, study.relative
    n, half = table.index.to_numpy(dtype=float), study.records[0]["parameters"] / 2
    paid, predicted, coefficient = axes = new_axes(1, 3, ax=ax, figsize=figsize, width=3.0, height=3.3)[0]
    for ax, marks in ((paid, _PAID), (predicted, _PREDICTED), (coefficient, {"learning coefficient": "o-"})):
        for (name, mark), colour in zip(marks.items(), CHAINS, strict=False):
            if len(each) > len(table):
                ax.plot(each["n"], each[name], mark[0], color=colour, ms=3, alpha=0.35, mew=0)
            error = table.get(f"{name} se")
            ax.errorbar(n, table[name], yerr=error, fmt=mark, color=colour, ms=4.5, lw=1.5, capsize=2, label=name)
    # Both lines begin at the evidence of the fewest rows, so that their slopes can be seen against its own.
    first, rate = table["-log evidence"].iloc[0], table["learning coefficient"].iloc[-1]
    along = np.geomspace(n[0], n[-1] if len(n) > 1 else 2 * n[0], 50)
    for slope, name, style in ((rate, f"λ log n, λ = {rate:.2f}", "-"), (half, f"d/2 log n, d/2 = {half:g}", "--")):
        paid.plot(along, first + slope * np.log(along / n[0]), ls=style, color=GREY, lw=1, zorder=1, label=name)
    coefficient.axhline(half, color=GREY, ls="--", lw=1, label=f"d/2 = {half:g}")
    coefficient.set_ylim(0, 1.12 * max(half, float(each["learning coefficient"].max())))
    predicted.axhline(0, color=GREY, lw=1, label="the truth itself")
    for ax, title in zip(axes, ("the evidence and its stand-ins", "prediction of new rows", "learning coefficient"),
                         strict=True):  # fmt: skip
        ax.set(xscale="log", xlabel="rows n")
        ax.set_title(title, fontsize=10)
        ax.set_xticks(n, [f"{k:g}" for k in n])
        ax.minorticks_off()
        ax.legend(fontsize=7, frameon=False, labelcolor=INK)
    paid.set_ylabel("nats above the loss of the truth")
    predicted.set_ylabel("nats above the loss of the truth")
    last = table.iloc[-1]
    ends = [f"{name} {short(float(table[name].iloc[0]))} to {short(float(last[name]))}" for name in _PAID]
    return Picture(
        axes,
        f"What parameters cost from n = {n[0]:g} to {n[-1]:g}, in nats: {listed(ends)}. The learning coefficient is "
        f"{last['learning coefficient']:.2f} at the last n, half the number of parameters {half:g}.",
    )
