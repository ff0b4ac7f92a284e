"""Approximations of a posterior over the exact one: where their bands are too narrow, too wide, or elsewhere."""

from bayesnn.errors import SpecError
from bayesnn.plots.functions import counted, frame_of, grid_of, original
from bayesnn.plots.picture import Picture
from bayesnn.plots.style import GREY, INK, PALE, Panels, Size, add_legend, line_of, new_axes
from bayesnn.prediction import centre_of, predict
from bayesnn.theory.approximations import EXACT, Approximations
from bayesnn.tree import kind_of, problem_of

COLUMNS = 3


def plot_approximations(
    found: Approximations, *, prob: float = 0.9, ax: Panels | None = None, figsize: Size | None = None
) -> Picture:
    """Draw each approximation's function and its band over those of the exact posterior.

    Parameters
    ----------
    found : Approximations
        What `compare_approximations` returned, for a number and one feature.
    prob : float
        Probability of the bands, which are of the function and not of a new observation.
    ax : matplotlib.axes.Axes or array of them, optional
        Where to draw, one for each panel; a new figure if left out.
    figsize : tuple of float, optional
        Width and height of the new figure, in inches.

    Returns
    -------
    Picture of matplotlib.axes.Axes
        One for each approximation, with its distance from the exact predictive and its held-out LPPD under its name;
        the exact band is grey, and the gap in the inputs is shaded.

    Raises
    ------
    SpecError
        Something else, labels, or more than one feature.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> line = bnn.MLP(hidden=(), noise=0.5, prior=bnn.Normal(1.0))
    >>> exact = bnn.fit_posterior(line, data, sampler="tempering", random_seed=1, progressbar=False)
    >>> map_ = bnn.fit_map(line, data, restarts=2, random_seed=1, progressbar=False)
    >>> found = bnn.theory.compare_approximations({"MAP": map_}, exact=exact, data=data)
    >>> bnn.plots.plot_approximations(found)[0].get_title().splitlines()[0]
    'MAP'
    """
    if not isinstance(found, Approximations) or "width in the gap" not in found.numbers:
        raise SpecError(
            f"Got {type(found).__name__}; the picture needs what bnn.theory.compare_approximations returns, for "
            "a number and one feature. Pass that."
        )
    problem = problem_of(found.fits[EXACT])
    X, y = original(problem)
    grid = grid_of(X[:, 0])
    names = [name for name in found.fits if name != EXACT]
    rows, columns = -(-len(names) // COLUMNS), min(COLUMNS, len(names))
    size = {"width": 8.4 / max(columns, 2), "height": 2.7}
    axes = new_axes(rows, columns, ax=ax, figsize=figsize, panels=len(names), sharex=True, sharey=True, **size)
    bands = {name: predict(fit, grid[:, None], prob=prob) for name, fit in found.fits.items()}
    low, high = frame_of(y, problem.net.loss.task)
    for i, (ax, name) in enumerate(zip(axes, names, strict=True)):
        percent, own = f"{100 * prob:.0f}%", line_of(kind_of(found.fits[name]))
        for which, colour, alpha, label in ((EXACT, GREY, 0.45, "exact"), (name, own["color"], 0.35, "approximation")):
            p = bands[which]
            centre = centre_of(p)
            ends = [p[f"{centre}_{end}"].to_numpy()[:, 0] for end in ("lower", "upper")]
            ax.fill_between(grid, *ends, color=colour, alpha=alpha, lw=0, label=f"{percent} of the function, {label}")
            dashes = ":" if which == EXACT else own["ls"]
            ax.plot(grid, p[centre].to_numpy()[:, 0], color=INK if which == EXACT else colour, lw=1.4, ls=dashes,
                    label=f"{centre}, {label}")  # fmt: skip
        ax.plot(X[:, 0], y, ".", color=INK, ms=3.5, alpha=0.8, label="data")
        if found.gap is not None:
            ax.axvspan(*found.gap, color=PALE, alpha=0.35, lw=0, zorder=0, label="gap in the inputs")
        row = found.numbers.loc[name]
        numbers = f"distance {row['distance']:.3f}, LPPD {row['held-out LPPD']:.3f}"
        ax.set_title(f"{name}\n{numbers}", fontsize=9)
        ax.set_ylim(low, high)
        if i % columns == 0:
            ax.set_ylabel(problem.target_names[0])
        if i + columns >= len(names):
            ax.set_xlabel(problem.feature_names[0])
            ax.tick_params(labelbottom=True)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    add_legend(axes, handles, labels, ncols=3)
    each = [
        f"{name} is {row['distance']:.3f} away from it and {row['width in the gap']:.2f} wide in the gap"
        if found.gap is not None
        else f"{name} is {row['distance']:.3f} away from it"
        for name, row in found.numbers.loc[names].iterrows()
    ]
    exact = found.numbers.loc[EXACT]
    words = (
        f"{100 * prob:.0f}% bands of {counted(len(names), 'approximation', 'approximations')} over that of the exact "
        f"posterior, whose held-out LPPD is {exact['held-out LPPD']:.3f}"
        + (f" and which is {exact['width in the gap']:.2f} wide in the gap" if found.gap is not None else "")
    )
    return Picture(axes, f"{words}. {'; '.join(each)}.")
