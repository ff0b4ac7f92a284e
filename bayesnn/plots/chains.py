"""What pictures of draws share: the look of a chain, its traces, R-hat in a title, and one legend."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.plots.style import CHAINS, add_legend
from bayesnn.tree import Fits, kind_of, named_fits

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def check_draws(post: "xr.DataTree") -> None:
    """Refuse a point."""
    if kind_of(post) != "posterior":
        raise SpecError(f"Got a {kind_of(post)} fit; this picture needs draws. Pass the tree of fit_posterior.")


def draws_and_points(
    fits: "Iterable[Fits]", named: "dict[str, xr.DataTree]"
) -> "tuple[xr.DataTree, dict[str, xr.DataTree]]":
    """Tell the one posterior whose draws are shown from the points that are marked in them.

    Parameters
    ----------
    fits, named
        As `named_fits` takes them.

    Returns
    -------
    post : xarray.DataTree
        The fit with draws.
    points : dict of str to xarray.DataTree
        MLE and MAP fits, by name.

    Raises
    ------
    SpecError
        No fit with draws, or several.
    """
    shown = named_fits(fits, named)
    posts = [fit for fit in shown.values() if kind_of(fit) == "posterior"]
    if not posts:
        check_draws(next(iter(shown.values())))
    if len(posts) > 1:
        raise SpecError(
            f"Got {len(posts)} fits with draws; this picture shows one, and points beside it. Draw each in a picture "
            "of its own."
        )
    return posts[0], {name: fit for name, fit in shown.items() if kind_of(fit) != "posterior"}


def comparable(chains: int, draws: int) -> bool:
    """Whether there are enough chains and draws for R-hat, which compares the halves of several chains."""
    return chains >= 2 and draws >= 4


def chain_look(chain: int) -> dict[str, Any]:
    """Colour and label of a chain, the same in every picture."""
    return {"color": CHAINS[chain % len(CHAINS)], "label": f"chain {chain}"}


def draw_traces(ax: "Axes", name: str, draws: np.ndarray) -> None:
    """Draw the trace of each chain of a quantity (chain, draw), under its name with its R-hat."""
    for chain, values in enumerate(draws):
        ax.plot(values, lw=0.5, alpha=0.85, **chain_look(chain))
    ax.set_title(titled(name, draws), loc="left", fontsize=10)


def titled(name: str, draws: np.ndarray) -> str:
    """Write a quantity's name with the R-hat of its draws (chain, draw), or that it is constant."""
    if np.ptp(draws) == 0:
        return f"{name}: constant"
    return f"{name}: R-hat {rhat_of(draws):.2f}" if comparable(*draws.shape) else name


def rhat_of(draws: np.ndarray) -> float:
    """R-hat of draws (chain, draw); NaN where they are constant, or too few."""
    import arviz as az

    if np.ptp(draws) == 0 or not comparable(*draws.shape):
        return np.nan
    with np.errstate(divide="ignore", invalid="ignore"):  # a chain that never moves
        return float(az.rhat(draws))


def chain_legend(axes: np.ndarray) -> None:
    """Put one legend of the chains, and of points among them, below a whole picture."""
    handles, labels = axes.flat[0].get_legend_handles_labels()
    legend = add_legend(axes, handles, labels, ncols=8)
    for handle, label in zip(legend.legend_handles, labels, strict=True):
        if label.startswith("chain "):
            handle.set(alpha=1, linewidth=2, markersize=6)
