"""What fits are called in tables and pictures."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bayesnn.errors import SpecError
from bayesnn.tree.fit import KINDS, kind_of

if TYPE_CHECKING:
    import xarray as xr

type Fits = xr.DataTree | Mapping[str, xr.DataTree] | Sequence[xr.DataTree]
"""What a function of several fits takes, each time: one fit, or some of them."""
APPROXIMATIONS = {
    "laplace": "Laplace approximation",
    "ensemble": "deep ensemble",
    "advi": "mean-field ADVI",
    "fullrank_advi": "full-rank ADVI",
}
"""Samplers whose draws are not those of the posterior, and how their fits are written."""
TRAINED = "trained elsewhere"
"""How a point is written whose weights come from another library, and are no estimate of ours."""


def heading(tree: "xr.DataTree") -> str:
    """Write which answer a tree holds, and what became of its maximum.

    Parameters
    ----------
    tree : xarray.DataTree
        A fit.

    Returns
    -------
    str
        ``"MLE"``, ``"MAP"`` or ``"posterior"``; where there is no maximum ``"MLE: at infinity"`` (the numbers are
        those of the limit) or ``"MLE: unbounded"`` (the density grows for ever), and ``"MLE: undecided"`` where that
        is not known. An approximation of the posterior is called by its name, such as ``"deep ensemble"``, and weights
        of another library are ``"trained elsewhere"``.

    Raises
    ------
    FitError
        Not a bayesnn fit.
    """
    kind = KINDS[kind_of(tree)]
    if is_trained(tree):
        return TRAINED
    name, exists = approximation_of(tree) or kind, tree.attrs.get("bayesnn_exists", 1)
    if exists == 0:
        return f"{name}: {'unbounded' if is_unbounded(tree) else 'at infinity'}"
    return name if exists == 1 else f"{name}: undecided"


def approximation_of(tree: "xr.DataTree") -> str:
    """Name the approximation whose draws a tree holds.

    Parameters
    ----------
    tree : xarray.DataTree
        A fit.

    Returns
    -------
    str
        Such as ``"deep ensemble"``; empty for a point, and for draws that converge to the posterior.
    """
    return APPROXIMATIONS.get(tree.attrs.get("bayesnn_sampler", ""), "")


def is_trained(tree: "xr.DataTree") -> bool:
    """Whether a tree holds weights that another library has trained.

    Parameters
    ----------
    tree : xarray.DataTree
        A fit.

    Returns
    -------
    bool
        True for what `from_weights` returns.
    """
    return bool(tree.attrs.get("bayesnn_source", ""))


def is_unbounded(tree: "xr.DataTree") -> bool:
    """Whether the density that a fit maximised grows without bound, so that there is no function to give numbers of.

    Parameters
    ----------
    tree : xarray.DataTree
        A fit.

    Returns
    -------
    bool
        False also where a maximum is only approached at infinity, but has a limit.
    """
    without_limit = tree.attrs.get("bayesnn_exists", 1) == 0 and "limit" not in tree
    return without_limit and not tree.attrs.get("bayesnn_bounded", 0)


def named_fits(fits: Iterable[Any], named: "dict[str, xr.DataTree]") -> "dict[str, xr.DataTree]":
    """Give every fit of a table or picture a name.

    Parameters
    ----------
    fits : sequence
        Fits, or a single dict or list of them.
    named : dict of str to xarray.DataTree
        Fits given with a name.

    Returns
    -------
    dict of str to xarray.DataTree
        Fits without a name get their `heading`, numbered where there are several of a kind.

    Raises
    ------
    SpecError
        No fits, or a name twice.
    FitError
        Something else than a fit.
    """
    out: dict[str, Any] = {}
    unnamed: list[tuple[Any, Any]] = []
    for fit in fits:
        if isinstance(fit, Mapping):
            unnamed += [(None, fit)] if hasattr(fit, "attrs") else fit.items()
        else:
            unnamed += [(None, one) for one in fit] if isinstance(fit, list | tuple) else [(None, fit)]
    pairs = [*unnamed, *named.items()]
    if not pairs:
        raise SpecError("Got no fits; at least one is needed. Write (mle, map_, post), or narrow=fit, wide=other.")
    headings = [heading(fit) for _, fit in pairs]
    total = Counter(h for h, (name, _) in zip(headings, pairs, strict=True) if name is None)
    seen: Counter[str] = Counter()
    for title, (name, fit) in zip(headings, pairs, strict=True):
        if name is None:
            seen[title] += 1
            name = f"{title} {seen[title]}" if total[title] > 1 else title
        if name in out:
            raise SpecError(f"Got the name {name!r} twice; every fit needs its own. Write narrow=fit, wide=other.")
        out[str(name)] = fit
    return out
