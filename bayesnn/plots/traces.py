"""Traces of some weights above traces of the function: what the chains disagree about, and what not."""

from typing import TYPE_CHECKING

import numpy as np

from bayesnn.plots.chains import chain_legend, chain_look, check_draws, draw_traces
from bayesnn.plots.functions import original, original_y
from bayesnn.plots.style import new_axes
from bayesnn.tree import params_of, problem_of

if TYPE_CHECKING:
    import xarray as xr


def plot_traces(post: "xr.DataTree", *, weights: int = 3, inputs: int = 2) -> np.ndarray:
    """Draw the traces and densities of a few weights, of the noise, and of the function at a few inputs.

    Parameters
    ----------
    post : xarray.DataTree
        From `fit_posterior`.
    weights : int
        How many weights to show: one for each of the first hidden units, otherwise the first inputs'.
    inputs : int
        At how many training inputs to show the function; they are spread over the first feature.

    Returns
    -------
    array (rows, 2) of matplotlib.axes.Axes
        Traces on the left, densities on the right, a colour for each chain; each row's title has its R-hat, or says
        that the quantity is constant. Numbers that the network outputs, and the noise, are in the user's units; what
        is not says "scaled".

    Raises
    ------
    SpecError
        A fit without draws.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> net = bnn.MLP(hidden=(), noise=0.3)
    >>> post = bnn.fit_posterior(net, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0], random_seed=1, progressbar=False)
    >>> bnn.plot_traces(post, weights=1, inputs=1).shape
    (2, 2)
    """
    from scipy.stats import gaussian_kde

    check_draws(post)
    problem, params = problem_of(post), params_of(post)
    first = params["W1"]
    along = first[:, :, 0, :] if problem.net.hidden else first[..., 0]
    end = "unit" if problem.net.hidden else "input"
    scaling = problem.scaling
    scaled = " (scaled)" if scaling is not None else ""
    rows = {f"W1, {end} {k + 1}{scaled}": along[..., k] for k in range(min(weights, along.shape[-1]))}
    if "noise" in params:
        # One noise scale for several targets has the units of none.
        one = scaling is None or scaling.y_sd is None or len(set(scaling.y_sd)) == 1
        rows["noise" if one else "noise (scaled)"] = params["noise"] * (
            scaling.y_sd[0] if one and scaling is not None and scaling.y_sd is not None else 1.0
        )
    order = np.argsort(problem.X[:, 0]) if problem.X.shape[1] else np.arange(len(problem.X))
    chosen = order[np.linspace(0, len(order) - 1, inputs + 2).astype(int)[1:-1]]
    f = problem.net.forward(params, problem.X[chosen])
    if problem.net.loss.task == "regression":
        f = original_y(problem, f[..., : len(problem.target_names)])
    where = [f"training row {i + 1}" for i in chosen]
    if problem.X.shape[1] == 1:
        where = [f"{problem.feature_names[0]} = {x:.3g}" for x in original(problem)[0][chosen, 0]]
    rows |= {f"f at {at}": f[:, :, k, 0] for k, at in enumerate(where)}

    axes = new_axes(len(rows), 2, width=3.6, height=1.5, width_ratios=[2.6, 1])
    for (left, right), (name, draws) in zip(axes, rows.items(), strict=True):
        draw_traces(left, name, draws)
        for chain, values in enumerate(draws):
            if np.ptp(values) > 0:
                grid = np.linspace(draws.min(), draws.max(), 200)
                right.plot(grid, gaussian_kde(values)(grid), color=chain_look(chain)["color"], lw=1.2)
        if np.ptp(draws) == 0:
            right.annotate(
                f"constant: {draws.flat[0]:.4g}", (0.5, 0.5), xycoords="axes fraction", ha="center", fontsize=9
            )
            right.set_xticks([])
        right.set_yticks([])
        right.set_xlabel("")
    axes[-1, 0].set_xlabel("draw")
    axes[-1, 1].set_xlabel("value")
    chain_legend(axes)
    return axes
