"""The tree of a fit: how it is made, and how its network, data and parameters are read back from it."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

import bayesnn
from bayesnn.data import Coding, Scaling
from bayesnn.data.target import KNOWN, joined, known_of
from bayesnn.errors import FitError
from bayesnn.network import MLP, Params
from bayesnn.tree.problem import Problem

if TYPE_CHECKING:
    import xarray as xr

KINDS = {"mle": "MLE", "map": "MAP", "posterior": "posterior"}
"""The three answers, and how they are written."""


def _dims(net):
    extra = {"noise": (), "cutpoints": ("cutpoint",)}
    return {**net.dims(), **extra, **{f"scale{layer}": () for layer in range(1, net.n_layers + 1)}}


def to_dataset(params: Mapping[str, ArrayLike], problem: Problem, batch: Mapping[str, ArrayLike]) -> "xr.Dataset":
    """Give the arrays of a parameter dictionary their names of dimensions and coordinates.

    Parameters
    ----------
    params : dict of str to array
        Parameters with leading batch dimensions.
    problem : Problem
        What was fitted.
    batch : dict of str to array
        Names and coordinates of the batch dimensions, such as ``{"chain": [0], "draw": [0]}``.

    Returns
    -------
    xarray.Dataset
        One variable a parameter.
    """
    import xarray as xr

    dims = _dims(problem.net)
    used = {d for name in params for d in dims[name]}
    coords = {**batch, **{d: c for d, c in problem.coords.items() if d in used}}
    if "cutpoint" in used:
        coords["cutpoint"] = np.arange(1, np.shape(params["cutpoints"])[-1] + 1)
    return xr.Dataset({k: ((*batch, *dims[k]), np.asarray(v)) for k, v in params.items()}, coords=coords)


def make_tree(
    kind: str,
    problem: Problem,
    posterior: "xr.Dataset",
    *,
    groups: "dict[str, xr.Dataset] | None" = None,
    attrs: dict[str, Any] | None = None,
) -> "xr.DataTree":
    """Assemble the tree of a fit.

    Parameters
    ----------
    kind : {"mle", "map", "posterior"}
        Which of the three answers it is.
    problem : Problem
        What was fitted.
    posterior : xarray.Dataset
        Parameters with dimensions ``chain`` and ``draw`` (1 x 1 for a point).
    groups : dict of str to xarray.Dataset, optional
        Further groups.
    attrs : dict, optional
        Further attributes of the root: str, int or float.

    Returns
    -------
    xarray.DataTree
        With ``observed_data`` and ``constant_data`` in the units the model works in.
    """
    import xarray as xr

    obs = np.arange(problem.X.shape[0])
    y_dims = ("obs",) if problem.values.ndim == 1 else ("obs", "output")
    observed = xr.Dataset({"y": (y_dims, problem.values)}, coords={"obs": obs})
    known = {name: ("obs", values) for name, values in known_of(problem.y).items()}
    constant = xr.Dataset(
        {"X": (("obs", "feature"), problem.X), **known}, coords={"obs": obs, "feature": list(problem.feature_names)}
    )
    tree = xr.DataTree.from_dict(
        {"posterior": posterior, **(groups or {}), "observed_data": observed, "constant_data": constant}
    )
    tree.attrs.update(
        {
            "bayesnn_version": bayesnn.__version__,
            "bayesnn_kind": kind,
            "bayesnn_network": problem.net.to_json(),
            "bayesnn_scaling": problem.scaling.to_json() if problem.scaling is not None else "",
            "bayesnn_names": json.dumps(
                {"feature": problem.feature_names, "output": problem.output_names, "class": problem.class_names}
            ),
            **({"bayesnn_coding": problem.coding.to_json()} if problem.coding is not None else {}),
            **(attrs or {}),
        }
    )
    return tree


def kind_of(tree: "xr.DataTree") -> str:
    """Which of the three answers a tree holds.

    Parameters
    ----------
    tree : xarray.DataTree
        A fit.

    Returns
    -------
    {"mle", "map", "posterior"}
        As its attribute ``bayesnn_kind`` says.

    Raises
    ------
    FitError
        Not a bayesnn fit.
    """
    attrs = getattr(tree, "attrs", {})
    if attrs.get("bayesnn_kind") not in KINDS:
        raise FitError(
            f"Got {type(tree).__name__} without bayesnn's attributes; a fit is a DataTree from fit_mle, fit_map or "
            "fit_posterior, or one read with xarray.open_datatree. Pass the whole tree, not one of its groups."
        )
    return attrs["bayesnn_kind"]


def problem_of(tree: "xr.DataTree") -> Problem:
    """Network, data, scaling and names of a fit, read from the tree alone.

    Parameters
    ----------
    tree : xarray.DataTree
        A fit.

    Returns
    -------
    Problem
        Equal to the one that was fitted.

    Raises
    ------
    FitError
        Not a bayesnn fit.
    """
    kind_of(tree)
    try:
        names = json.loads(tree.attrs["bayesnn_names"])
        scaling = tree.attrs["bayesnn_scaling"]
        # Fits of numbers alone, and those of versions that knew no other columns, have none.
        coding = tree.attrs.get("bayesnn_coding", "")
        return Problem(
            net=MLP.from_json(tree.attrs["bayesnn_network"]),
            X=tree["constant_data"]["X"].to_numpy(),
            y=joined(
                {"y": tree["observed_data"]["y"].to_numpy()}
                | {name: tree["constant_data"][name].to_numpy() for name in KNOWN if name in tree["constant_data"]}
            ),
            scaling=Scaling.from_json(scaling) if scaling else None,
            feature_names=tuple(names["feature"]),
            output_names=tuple(names["output"]),
            class_names=tuple(names["class"]),
            coding=Coding.from_json(coding) if coding else None,
        )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise FitError(
            f"Got a fit of bayesnn {tree.attrs.get('bayesnn_version', '?')} without a part that it needs "
            f"({type(error).__name__}: {error}); network, data and names must all be in it. Pass the tree as a fit "
            "returned it, or fit again."
        ) from error


def params_of(tree: "xr.DataTree", *, group: str = "posterior", batch: tuple[str, ...] = ("chain", "draw")) -> Params:
    """Parameters of a fit as NumPy arrays with leading batch dimensions.

    Parameters
    ----------
    tree : xarray.DataTree
        A fit.
    group : str
        The group to read.
    batch : tuple of str
        Dimensions to put first.

    Returns
    -------
    dict of str to array
        As `MLP.forward` takes them.

    Raises
    ------
    FitError
        Not a bayesnn fit, or no such group.
    """
    net = problem_of(tree).net
    if group not in tree:
        raise FitError(f"Got a fit without the group {group!r}; it has {', '.join(tree.children)}. Name one of these.")
    known = _dims(net)
    return {
        str(name): var.transpose(*batch, ...).to_numpy() for name, var in tree[group].data_vars.items() if name in known
    }
