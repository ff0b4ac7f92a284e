"""What pictures of draws share: the look of a chain, its traces, R-hat in a title, and one legend."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.plots.style import CHAINS
from bayesnn.tree import kind_of

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


def check_draws(post: "xr.DataTree") -> None:
    """Refuse a point."""
    if kind_of(post) != "posterior":
        raise SpecError(f"Got a {kind_of(post)} fit; this picture needs draws. Pass the tree of fit_posterior.")


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
    import arviz as az

    if np.ptp(draws) == 0:
        return f"{name}: constant"
    if not comparable(*draws.shape):
        return name
    with np.errstate(divide="ignore", invalid="ignore"):  # a chain that never moves
        return f"{name}: R-hat {float(az.rhat(draws)):.2f}"


def chain_legend(axes: np.ndarray) -> None:
    """Put one legend of the chains below a whole figure."""
    handles, labels = axes.flat[0].get_legend_handles_labels()
    legend = axes.flat[0].figure.legend(
        handles, labels, loc="outside lower center", ncols=min(8, len(labels)), fontsize=8, frameon=False
    )
    for handle in legend.legend_handles:
        handle.set(alpha=1, linewidth=2, markersize=6)
