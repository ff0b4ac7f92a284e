"""What a sampler gives, whichever it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bayesnn.network import Params

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Sampled:
    """Draws from a posterior.

    Parameters
    ----------
    params : dict of str to array
        With leading dimensions chain and draw.
    stats : xarray.Dataset
        Statistics of the draws.
    attrs : dict of str
        Attributes for the tree.
    judge : callable
        Writes into the tree how the run went, and warns of what makes it untrustworthy.
    groups : dict of str to xarray.Dataset
        Further groups for the tree.
    """

    params: Params
    stats: "xr.Dataset"
    attrs: Mapping[str, Any]
    judge: Callable[["xr.DataTree"], None]
    groups: Mapping[str, "xr.Dataset"] = field(default_factory=dict)
