"""Which weights of hidden units a picture shows: one of each unit, raw and aligned, or those of two units."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.arguments import check_arguments, is_number_of
from bayesnn.errors import SpecError
from bayesnn.network import MLP, Params
from bayesnn.plots.chains import check_draws
from bayesnn.symmetry.align import align
from bayesnn.symmetry.paths import check_units
from bayesnn.tree import params_of, problem_of

if TYPE_CHECKING:
    import xarray as xr


def raw_and_aligned(
    post: "xr.DataTree", layer: int, weight: str, number: int, points: "Mapping[str, xr.DataTree]"
) -> tuple[str, np.ndarray, np.ndarray, list[str], dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Choose one weight of each unit, of the draws of a posterior and of points beside it.

    Parameters
    ----------
    post : xarray.DataTree
        A fit with draws.
    layer, weight, number
        Which weight, as for `unit_weights`.
    points : dict of str to xarray.DataTree
        MLE and MAP fits by name; they are aligned to the mean of the aligned draws.

    Returns
    -------
    how : str
        The form in which the draws are: raw, if nothing was done to them.
    before, after : array (chain, draw, units)
        The weight in that form, and aligned.
    labels : list of str
        Names of the weights.
    marks : dict of str to tuple of arrays (units,)
        The weight of each point, as it was found and aligned.

    Raises
    ------
    SpecError
        Draws or hidden units that are missing, or a weight that there is not.
    """
    check_draws(post)
    problem = problem_of(post)
    if not problem.net.hidden:
        raise SpecError("Got a network without hidden units; it has no mirror images. Use hidden=(2,) or plot_traces.")
    how = post.attrs.get("bayesnn_symmetry", "raw")
    if how == "aligned":
        how, before, after = "raw", params_of(post, group="posterior_raw"), params_of(post)
    else:
        before, after = params_of(post), params_of(align(post))
    centre = {k: v.mean(axis=(0, 1)) for k, v in after.items()}
    names = problem.feature_names, problem.output_names
    before, labels = unit_weights(before, problem.net, names, layer, weight, number)
    after, _ = unit_weights(after, problem.net, names, layer, weight, number)
    marks = {}
    for name, fit in points.items():
        both = params_of(fit), params_of(align(fit, reference=centre))
        first, second = (unit_weights(one, problem.net, names, layer, weight, number)[0][0, 0] for one in both)
        marks[name] = first, second
    return how, before, after, labels, marks


def unit_weights(
    params: Params, net: MLP, names: tuple[Sequence[str], Sequence[str]], layer: int, weight: str, number: int
) -> tuple[np.ndarray, list[str]]:
    """One weight of each unit of a layer, with the units last, and its names."""
    if not is_number_of(layer, len(net.hidden)):
        raise SpecError(f"Got layer={layer!r}; the network has hidden layers 1 to {len(net.hidden)}. Choose one.")
    check_arguments(weight=weight)
    units = range(1, net.hidden[layer - 1] + 1)
    if weight == "bias":
        if f"b{layer}" not in params:
            raise SpecError(f"Got weight='bias'; the units of layer {layer} have none. Use 'in' or 'out'.")
        return params[f"b{layer}"], [f"b{layer}[{u}]" for u in units]
    if weight == "in":
        name, ends = f"W{layer}", names[0] if layer == 1 else range(1, net.hidden[layer - 2] + 1)
    else:
        name, ends = f"W{layer + 1}", names[1] if layer == len(net.hidden) else range(1, net.hidden[layer] + 1)
    if not is_number_of(number, len(ends)):
        raise SpecError(f"Got number={number!r}; each unit has {len(ends)} such weights, counted from 1. Choose one.")
    end = ends[number - 1]
    if weight == "in":
        return params[name][..., number - 1, :], [f"{name}[{end}, {u}]" for u in units]
    return params[name][..., number - 1], [f"{name}[{u}, {end}]" for u in units]


def check_pair(units: Iterable[int], n: int) -> list[int]:
    """Two different units of a layer."""
    if n < 2:
        raise SpecError(f"Got a layer of {n} unit; the mirrors lie between two. Use a wider layer, or plot_strips.")
    units = check_units(units, n)
    if len(set(units)) != 2 or len(units) != 2:
        raise SpecError(f"Got units={units}; the picture has two axes. Choose two different units, such as (1, 2).")
    return units
