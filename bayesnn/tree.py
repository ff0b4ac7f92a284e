"""What every fit returns: an xarray DataTree that carries its network, scaling and names, and how to read one back."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

import bayesnn
from bayesnn.arguments import check_arguments
from bayesnn.data import Dataset, Scaling, as_array, check_rows, check_size, check_X
from bayesnn.data.columns import is_large, read_large
from bayesnn.errors import DataError, FitError, SpecError
from bayesnn.files import written_whole
from bayesnn.losses.table import check_task
from bayesnn.network import MLP, Params, check_net

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


type Inputs = ArrayLike | pd.DataFrame | Dataset
"""What a function takes as X."""
type ScalingChoice = Scaling | Literal["standard", False] | None
"""What a function takes as scaling."""
type Rows = Literal["test", "train"] | None
"""What a function takes as rows."""
type Fits = xr.DataTree | Mapping[str, xr.DataTree] | Sequence[xr.DataTree]
"""What a function of several fits takes, each time: one fit, or some of them."""

KINDS = {"mle": "MLE", "map": "MAP", "posterior": "posterior"}
"""The three answers, and how they are written."""
APPROXIMATIONS = {
    "laplace": "Laplace approximation",
    "ensemble": "deep ensemble",
    "advi": "mean-field ADVI",
    "fullrank_advi": "full-rank ADVI",
}
"""Samplers whose draws are not those of the posterior, and how their fits are written."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A network and the data it is to fit, checked, scaled and named: the input of every fit.

    Parameters
    ----------
    net : MLP
        The network.
    X : array (n, p)
        Inputs in the units the model works in.
    y : array (n,) or (n, K)
        Targets in the units the model works in.
    scaling : Scaling or None
        How `X` and `y` were obtained from the user's units; None when they are the same.
    feature_names, output_names : tuple of str
        Coordinates of the ``feature`` and ``output`` dimensions.
    class_names : tuple of str
        Names of the labels 0, 1, ...; empty for numbers.
    """

    net: MLP
    X: np.ndarray
    y: np.ndarray
    scaling: Scaling | None
    feature_names: tuple[str, ...]
    output_names: tuple[str, ...]
    class_names: tuple[str, ...] = ()

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the numbers that are predicted: an output may be the logarithm of one, or a scale beside it."""
        if self.y.ndim == 1 and self.output_names == tuple(self.net.loss.output_names(self.y)):
            return ("target",)
        return self.output_names[: 1 if self.y.ndim == 1 else self.y.shape[1]]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights and biases."""
        return self.net.shapes(self.X.shape[1], len(self.output_names))

    @property
    def coords(self) -> dict[str, Any]:
        """Coordinates of every dimension but ``obs``."""
        hidden = {f"hidden_{i}": np.arange(1, h + 1) for i, h in enumerate(self.net.hidden, start=1)}
        return {"feature": list(self.feature_names), **hidden, "output": list(self.output_names)}

    def log_likelihood(self, params: Params) -> np.ndarray:
        """Log-likelihood (...) of all rows at weights with those leading dimensions, in the user's units."""
        blocks = self.net.row_blocks(params, len(self.X))
        parts = [self.net.log_likelihood(params, self.X[rows], self.y[rows]).sum(axis=-1) for rows in blocks]
        return sum(parts[1:], start=parts[0]) - self.log_units

    def elements(self, name: str, shape: tuple[int, ...]) -> list[str]:
        """Names of the elements of a parameter, such as ``"W1[x1, 2]"``, by their coordinates or counted from 1."""
        dims, coords = self.net.dims(), self.coords
        labels = [coords[d] for d in dims[name]] if name in dims else [range(1, k + 1) for k in shape]
        places = (", ".join(str(axis[i]) for axis, i in zip(labels, at, strict=True)) for at in np.ndindex(shape))
        return [f"{name}[{place}]" if place else name for place in places]

    @property
    def log_y_sd(self) -> float:
        """Sum over the targets of log standard deviations, by which log densities are larger in scaled units."""
        return self.scaling.log_y_sd if self.scaling is not None else 0.0

    @property
    def log_units(self) -> float:
        """What the log-likelihood of all rows is larger by than in the user's units."""
        return len(self.X) * self.log_y_sd

    @property
    def y_sd(self) -> np.ndarray:
        """Standard deviations (K,) by which scaled targets are multiplied; ones where they are not scaled."""
        if self.scaling is not None and self.scaling.y_sd is not None:
            return np.array(self.scaling.y_sd)
        return np.ones(1 if self.y.ndim == 1 else self.y.shape[1])


def check_dataset(data: Any) -> Dataset:
    """Refuse what is no Dataset.

    Parameters
    ----------
    data : Dataset
        From a user.

    Returns
    -------
    Dataset
        The same.

    Raises
    ------
    SpecError
        Anything else.
    """
    if not isinstance(data, Dataset):
        raise SpecError(
            f"Got data of type {type(data).__name__}; it must be a Dataset. Make one with bnn.load_data, or leave it "
            "out."
        )
    return data


def dataset_rows(data: Dataset, rows: Rows = None) -> tuple[np.ndarray, np.ndarray]:
    """Choose the rows that a Dataset stands for where a fit is applied.

    Parameters
    ----------
    data : Dataset
        The data.
    rows : {"test", "train"}, optional
        Held-out rows, which is what None means, or training rows.

    Returns
    -------
    X, y : array (n, p) and array (n,) or (n, K)
        In the user's units.

    Raises
    ------
    SpecError
        Held-out rows of a Dataset that has none, or another word.
    """
    if not isinstance(data, Dataset):
        raise SpecError(
            f"Got rows={rows!r} without a Dataset, whose rows it chooses. Leave rows out, or pass a Dataset."
        )
    if rows is not None and not (isinstance(rows, str) and rows in ("test", "train")):
        raise SpecError(
            f"Got rows={rows!r}; it must be 'test' (the held-out rows) or 'train' (the training rows). Write "
            "rows='train', or leave it out."
        )
    if rows == "train":
        return data.X, data.y
    if data.X_test is None:
        raise SpecError(
            f"Got the Dataset {data.name!r}, which has no held-out rows. Take its training rows: rows='train' where "
            "a function has it, otherwise data.X and data.y."
        )
    return data.X_test, data.y_test  # type: ignore[return-value]


def _names(X):
    columns = getattr(X, "columns", None)
    return tuple(str(c) for c in columns) if columns is not None else None


def _numbered(n):
    return tuple(f"x{i + 1}" for i in range(n))


def _target_words(data):
    if data.class_names is None:
        return data.task
    more = ", ..." if len(data.class_names) > 3 else ""
    return f"label ({', '.join(map(str, data.class_names[:3]))}{more})"


def prepare(net: MLP, X: Inputs, y: ArrayLike | None = None, *, scaling: ScalingChoice = None) -> Problem:
    """Check and scale the data of a fit; nothing is compiled before this has passed.

    Parameters
    ----------
    net : MLP
        The network.
    X : array (n, p), DataFrame or Dataset
        Inputs. A Dataset brings its own training targets, names and scaling.
    y : array (n,) or (n, K), optional
        Targets; left out when `X` is a Dataset.
    scaling : None, "standard", False or Scaling
        None takes the Dataset's own (none for arrays), ``"standard"`` centres and scales by these rows, False
        works in the user's units.

    Returns
    -------
    Problem
        Everything that a fit needs.

    Raises
    ------
    DataError
        Data that break a rule.
    SpecError
        A network or scaling that is not one; labels or counts with a loss for other targets, unless that was given
        as an instance such as ``SquaredError()``.
    """
    check_net(net)
    class_names = target_names = None
    if isinstance(X, Dataset):
        if y is not None:
            raise SpecError(
                "Got a Dataset and y; a Dataset brings its own targets. Leave y out, or pass data.X, data.y."
            )
        data = X
        check_task(net.loss, data.task, f"the Dataset {data.name!r}, whose target is a {_target_words(data)}")
        X, y, names = data.X, data.y, tuple(data.feature_names)
        class_names, target_names = data.class_names, data.target_names
        scaling = data.scaling if scaling is None else scaling
    else:
        names = _names(X)
        if y is None:
            raise SpecError("Got no y; inputs that are not a Dataset need their targets. Pass X, y.")
    large = is_large(X)
    if large:
        X = read_large(X, check_constant=bool(net.bias))
    else:
        X = check_X(X, allow_empty_features=not net.hidden, check_constant=net.bias)
    y = net.loss.check_target(y)
    check_rows(X, y)
    if isinstance(scaling, str) and scaling == "standard":
        scaling = Scaling.fit(X, y, scale_y=net.loss.task == "regression")
    elif scaling is False:
        scaling = None
    elif scaling is not None and not isinstance(scaling, Scaling):
        raise SpecError(
            f"Got scaling={scaling!r}; it must be None, 'standard', False or a bnn.Scaling. Write "
            "scaling='standard', or leave it out."
        )
    if scaling is not None:
        X = scaling.transform_X(X, out=X if large else None)
        y = scaling.transform_y(y) if net.loss.task == "regression" else y
    check_size(X, "X", names or _numbered(X.shape[1]))
    check_size(y, "y")
    outputs = net.loss.output_names(y)
    labels = ()
    if net.loss.task in ("binary", "classes", "ordinal"):
        labels = tuple(str(c) for c in class_names) if class_names is not None else tuple(map(str, range(y.max() + 1)))
        outputs = labels if net.loss.task == "classes" else outputs
    elif target_names is not None and net.loss.task in ("regression", "count"):
        outputs = (*target_names, *outputs[len(target_names) :])
    names = names or _numbered(X.shape[1])
    return Problem(net, X, y, scaling, names, tuple(str(o) for o in outputs), labels)


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
    y_dims = ("obs",) if problem.y.ndim == 1 else ("obs", "output")
    observed = xr.Dataset({"y": (y_dims, problem.y)}, coords={"obs": obs})
    constant = xr.Dataset(
        {"X": (("obs", "feature"), problem.X)}, coords={"obs": obs, "feature": list(problem.feature_names)}
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
        is not known. An approximation of the posterior is called by its name, such as ``"deep ensemble"``.

    Raises
    ------
    FitError
        Not a bayesnn fit.
    """
    kind = KINDS[kind_of(tree)]
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
    return tree.attrs.get("bayesnn_exists", 1) == 0 and "limit" not in tree


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


def save_fit(fit: "xr.DataTree", path: str | Path) -> Path:
    """Write a fit to a netCDF file, from which `load_fit` reads it back.

    Parameters
    ----------
    fit : xarray.DataTree
        From `fit_mle`, `fit_map` or `fit_posterior`.
    path : path
        File to write; its folder is made where it is missing.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    FitError
        Not a bayesnn fit.
    FileError
        Nothing can be written there. What the file held before is unchanged, whenever the writing stops.

    Examples
    --------
    >>> import tempfile, bayesnn as bnn
    >>> line = bnn.MLP(hidden=(), noise=0.3)
    >>> mle = bnn.fit_mle(line, [-2, -1, 0, 1, 2], [-1.1, -0.7, 0.1, 0.8, 1.0], restarts=2, random_seed=1,
    ...                   progressbar=False)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = bnn.load_fit(bnn.save_fit(mle, folder + "/mle.nc"))
    >>> again.identical(mle)
    True
    """
    kind_of(fit)
    check_arguments(path=path)
    path = Path(path)
    with written_whole(path) as part:
        try:
            fit.to_netcdf(part)
        except RuntimeError as error:
            # What netCDF says of a full disk.
            raise OSError(str(error)) from error
    return path


def load_fit(path: str | Path) -> "xr.DataTree":
    """Read a fit that `save_fit` or the command line wrote.

    Parameters
    ----------
    path : path
        A netCDF file.

    Returns
    -------
    xarray.DataTree
        The fit, in memory.

    Raises
    ------
    FitError
        No such file, or not a fit; one that a newer version wrote, or of which a part is missing.
    """
    import xarray as xr

    check_arguments(path=path)
    try:
        # By netCDF alone and from a file: what else xarray opens by its name fetches addresses, or runs what a zarr
        # store says its objects are pickled with.
        with xr.open_datatree(Path(path).resolve(strict=True), engine="netcdf4") as tree:
            tree.load()
    except (OSError, ValueError) as error:
        raise FitError(
            f"Got {path}, which can't be read as netCDF ({error}). Write one with bnn.save_fit or `bayesnn fit`."
        ) from error
    try:
        kind_of(tree)
        _check_whole(tree, path)
    except FitError as error:
        if str(error).startswith(f"Got {path},"):
            raise
        raise FitError(f"Got {path}, which holds no fit that can be read. {error}") from error
    return tree


def _check_whole(tree, path):
    """Refuse a fit of a newer version, one without its parts, and weights that are not those of its network."""
    written, here = (str(v) for v in (tree.attrs.get("bayesnn_version", "0"), bayesnn.__version__))
    if _release(written) > _release(here):
        raise FitError(
            f"Got {path}, written by bayesnn {written}; this is {here}, which can't know what has changed. Upgrade it: "
            "pip install -U bayesnn-pymc."
        )
    missing = [name for name in ("posterior", "observed_data", "constant_data") if name not in tree]
    missing += [name for name in ("network", "names", "scaling") if f"bayesnn_{name}" not in tree.attrs]
    if missing:
        raise FitError(
            f"Got {path}, a fit by bayesnn {written} without {', '.join(missing)}; all of a fit is needed to read it. "
            "Save it again with bnn.save_fit, or run it again."
        )
    wanted = problem_of(tree).shapes
    # An output layer that was integrated out is there all the same.
    held = {name: tree["posterior"][name].sizes for name in wanted if name in tree["posterior"]}
    got = {k: tuple(n for dim, n in sizes.items() if dim not in ("chain", "draw")) for k, sizes in held.items()}
    if got != wanted:
        raise FitError(
            f"Got {path}, with weights of the shapes {got} for a network whose weights are {wanted}; they must be the "
            "same. Run it again: it is not the fit of this network."
        )


def _release(version):
    """First two numbers of a version."""
    return tuple(int(number) for number in re.findall(r"\d+", version)[:2])


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
        return Problem(
            net=MLP.from_json(tree.attrs["bayesnn_network"]),
            X=tree["constant_data"]["X"].to_numpy(),
            y=tree["observed_data"]["y"].to_numpy(),
            scaling=Scaling.from_json(scaling) if scaling else None,
            feature_names=tuple(names["feature"]),
            output_names=tuple(names["output"]),
            class_names=tuple(names["class"]),
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


def new_inputs(problem: Problem, X: Any, *, rows: Rows = None) -> np.ndarray:
    """Check inputs for a prediction and bring them into the units the model works in.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    X : array (n, p), DataFrame or Dataset
        Inputs in the user's units; a DataFrame or Dataset with the fit's column names may have them in any order.
    rows : {"test", "train"}, optional
        Which rows of a Dataset, as for `dataset_rows`.

    Returns
    -------
    array (n, p)
        Inputs for `MLP.forward`.

    Raises
    ------
    DataError
        Data that break a rule, or another number of columns.
    SpecError
        A Dataset without held-out rows, or `rows` without a Dataset.
    """
    if isinstance(X, Dataset) or rows is not None:
        import pandas as pd

        X = pd.DataFrame(dataset_rows(X, rows)[0], columns=list(X.feature_names))
    names, p = _names(X), len(problem.feature_names)
    if names is not None and set(problem.feature_names) <= set(names):
        X = X[[X.columns[names.index(name)] for name in problem.feature_names]]
    elif names is not None and problem.feature_names != _numbered(p):
        missing = [name for name in problem.feature_names if name not in names]
        raise DataError(
            f"Got a frame with the columns {list(names)}; the fit needs {missing} as well. Name the columns as in the "
            "data that were fitted, or pass an array with the columns in their order."
        )
    # Rows first in memory, whatever held them: products of matrices then round alike.
    X = np.ascontiguousarray(check_X(X, n_features=p, allow_empty_features=p == 0))
    return problem.scaling.transform_X(X) if problem.scaling is not None else X


def new_targets(problem: Problem, y: Any) -> np.ndarray:
    """Check targets to score against and bring them into the units the model works in.

    Parameters
    ----------
    problem : Problem
        What was fitted.
    y : array (n,) or (n, K)
        Targets in the user's units.

    Returns
    -------
    array (n,) or (n, K)
        Targets for `MLP.log_likelihood`.

    Raises
    ------
    DataError
        Data that break a rule, or labels that the fit has not seen.
    """
    loss = problem.net.loss
    if loss.task in ("binary", "classes", "ordinal"):
        values = as_array(y, "y", ndim=(1,))
        top = len(problem.class_names) - 1
        bad = ~np.isin(values, np.arange(top + 1))
        if bad.any():
            raise DataError(
                f"Got label {values[bad][0]:g}; the fit knows the classes 0 to {top}. Encode labels as in its data."
            )
        return values.astype(np.int64)
    y = loss.check_target(y)
    if problem.scaling is not None and loss.task == "regression":
        y = problem.scaling.transform_y(y)
    return y
