"""Count what is left when symmetry is taken away: distinct optima of a fit, clusters of a posterior."""

import html
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.arguments import check_arguments
from bayesnn.errors import FitError
from bayesnn.symmetry.align import alignment_element, density_of_some
from bayesnn.symmetry.clusters import clusters, function_modes, share_error, share_words, some_draws
from bayesnn.symmetry.group import apply_symmetry, layer_orders, symmetry_group, written_order
from bayesnn.symmetry.optima import TOLERANCE, compared_rows, function_labels, mean_at, same_optimum
from bayesnn.symmetry.orbit import stabiliser_order, stabiliser_words
from bayesnn.tree import Inputs, kind_of, new_inputs, params_of, problem_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True, eq=False)
class Modes:
    """What `count_modes` returns.

    Parameters
    ----------
    kind : {"mle", "map", "posterior"}
        What was counted: optima of starts, or clusters of draws.
    dataset : xarray.Dataset
        Of optima (dimension ``optimum``, best first): ``starts`` and ``frequency`` of its basin, ``log_likelihood``,
        ``log_prior``, ``log_density``, ``stabiliser``, ``copies`` (distinct symmetric copies), ``why`` (which units
        are twins or dead, where there are fewer copies than elements of the group), ``function`` (label of the
        function), ``signature`` of the Hessian, ``best_start``; and of starts, ``label`` and ``function_label``
        (-1 for those that did not converge). Of a posterior: ``function_label`` and ``weight_label`` of each draw
        and, for functions and for weights, the ``occupancy`` of each
        mode in each chain, its ``share`` of all draws and the standard error ``share_se`` of that.
    n_modes : int
        Distinct optima modulo symmetry, or clusters of aligned draws.
    n_functions : int
        Distinct functions.
    order : int or float
        Order of the group.
    """

    kind: str
    dataset: "xr.Dataset"
    n_modes: int
    n_functions: int
    order: int | float

    @property
    def table(self) -> "pd.DataFrame":
        """One row for each optimum, or for each mode of the function with its share of all draws and of each chain."""
        if self.kind == "posterior":
            found = self.dataset[["function_share", "function_share_se"]].to_dataframe()
            found.columns = ["share", "se"]
            return found.join(self.dataset["function_occupancy"].to_pandas().T.add_prefix("chain "))
        return self.dataset.drop_dims("start").to_dataframe()

    def __repr__(self):
        """Show the counts in words."""
        if self.kind == "posterior":
            return self._posterior_words()
        # Where there is no maximum, the best that converged is not the best there is.
        below = "No maximum: " if self.dataset.attrs.get("exists", 1) == 0 else ""
        if not self.n_modes:
            return f"{below}0 distinct optima: no start converged"
        best, n = self.dataset.isel(optimum=0), self.dataset.sizes["start"]
        optima = "1 distinct optimum" if self.n_modes == 1 else f"{self.n_modes} distinct optima"
        copies, why = _copies(float(best["copies"])), best["why"].item()
        if self.n_modes > 1:
            copies += f" of {written_order(self.order)} for the best" if why else " of the best"
        elif why:
            copies += f" of {written_order(self.order)}"
        lost = int((self.dataset["label"] < 0).sum())
        return below + (
            f"{optima}, {copies}{f': {why}' if why else ''}; {_count(self.n_functions, 'function')}; "
            f"{int(best['starts'])} of {n} starts reached {'it' if self.n_modes == 1 else 'the best'}"
            f"{f', {lost} did not converge' if lost else ''}"
        )

    def _posterior_words(self):
        label, shares = self.dataset["function_label"], self.table[["share", "se"]].to_numpy()
        tempered = self.dataset.attrs["sampler"] == "tempering"
        held = f" ({', '.join(share_words(*pair) for pair in shares)})" if self.n_functions > 1 else ""
        words = (
            f"{label.sizes['chain']} {'systems' if tempered else 'chains'}, {label.sizes['draw']} draws of each: "
            f"{_count(self.n_functions, 'mode')} in function space{held}, {_count(self.n_modes, 'cluster')} of aligned "
            f"weights, with {_copies(self.order)}"
        )
        if tempered or self.n_functions == 1:
            return words
        changes = (label.diff("draw") != 0).sum("draw").to_numpy()
        return (
            f"{words}. The chains change the mode {changes.min()} to {changes.max()} times each: shares of chains that "
            'stay where they began are no weights of modes, which sampler="tempering" finds'
        )

    def _repr_html_(self):
        """Show the words and the table in Jupyter."""
        return f"<p>{html.escape(repr(self))}</p>{self.table.to_html()}"


def _count(n, noun):
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _copies(n):
    if n == math.inf:
        return "a continuum of equivalent copies"
    return "1 symmetric copy" if n == 1 else f"{written_order(n)} symmetric copies"


def count_modes(fit: "xr.DataTree", *, X: Inputs | None = None, tolerance: float = TOLERANCE) -> Modes:
    """Count distinct optima of many starts, or clusters of draws, modulo symmetry.

    Parameters
    ----------
    fit : DataTree
        An MLE or MAP fit with its group ``optima``, or a posterior.
    X : array (n, p), DataFrame or Dataset, optional
        Inputs in the user's units at which functions are compared; a Dataset brings its held-out rows. None takes the
        training inputs (up to 500 of them for a posterior).
    tolerance : float
        Optima are the same if their log densities differ by no more, in nats, and their functions by no more, relative
        to one plus their size.

    Returns
    -------
    Modes
        With attributes ``n_modes``, ``n_functions``, ``order``, ``dataset`` and ``table``.

    Raises
    ------
    FitError
        Not a fit, or a point without the group ``optima``.

    Notes
    -----
    Two end points are the same optimum if they are as high and have the same function, by the rule that messages and
    pictures of fits follow too. Weights are not compared: copies, and the points of a ridge, have one function. An
    optimum has order / stabiliser distinct copies (see `stabiliser_order`): twin and dead units have fewer. The group
    is that of the posterior for a MAP and that of the likelihood for an MLE.

    The clusters of a posterior are those of HDBSCAN [1]_ on the leading principal components of the functions and of
    the aligned weights, of about 4,000 draws, with at least 1 draw in 400 (and 10) each: modes with 1% of the draws are
    found where they stand apart. Two clusters are one unless the density on the line between their centres falls to
    half of its lower peak. Draws of tempering visit modes by their weights, so that the share of a mode's draws is its
    share of the posterior, with a Monte Carlo error; draws of NUTS chains that stay where they began do not.

    References
    ----------
    .. [1] R. Campello, D. Moulavi and J. Sander, "Density-based clustering based on hierarchical density estimates",
       PAKDD 2013.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> map_ = bnn.fit_map(bnn.MLP((1,), noise=0.2), data.X, data.y, restarts=8, random_seed=1, progressbar=False)
    >>> bnn.symmetry.count_modes(map_).order
    2
    """
    kind, problem = kind_of(fit), problem_of(fit)
    check_arguments(tolerance=tolerance)
    inputs = compared_rows(problem.X) if X is None else new_inputs(problem, X)
    if kind == "posterior":
        return _of_draws(fit, problem, None if X is None else inputs)
    if "optima" not in fit:
        raise FitError(
            "Got a point without the group 'optima', the end of each start. Pass the tree of a fit as it is."
        )
    return _of_optima(fit, kind, problem, inputs, tolerance)


def _of_optima(fit, kind, problem, inputs, tolerance):
    import xarray as xr

    net, optima = problem.net, fit["optima"].to_dataset()
    params = params_of(fit, group="optima", batch=("start",))
    n, group = optima.sizes["start"], symmetry_group(net, problem.X.shape[1], len(problem.output_names))
    active = [s for s in group.symmetries if kind == "mle" or s.keeps_prior]
    names = {s.kind for s in active}
    keep = "likelihood" if kind == "mle" or "flip with shift" in names else "posterior"
    order = math.inf if any(math.isinf(s.order) for s in active) else math.prod(layer_orders(net, keep))

    values = {name: optima[name].to_numpy() for name in ("log_likelihood", "log_prior")}
    density = values["log_likelihood"] + (values["log_prior"] if kind == "map" else 0.0)
    converged = optima["converged"].to_numpy().astype(bool) & np.isfinite(density)
    # One start at a time: hidden units of all of them, at many inputs, would fill the memory.
    f = np.stack([mean_at(net, {k: v[i] for k, v in params.items()}, inputs) for i in range(n)])
    signature = optima["signature"].to_numpy()
    label, function, first = np.full(n, -1), np.full(n, -1), []
    by_height = np.flatnonzero(converged)[np.argsort(-density[converged], kind="stable")]
    function[by_height] = function_labels(f[by_height], tolerance=tolerance)
    for i in by_height:
        if label[i] < 0:
            label[converged & (label < 0) & same_optimum(density, f, i, tolerance=tolerance)] = len(first)
            first.append(i)
    index = np.array(first, dtype=int)
    starts = np.array([(label == k).sum() for k in range(len(first))], dtype=int)
    best = [{k: v[i] for k, v in params.items()} for i in first]
    # Equal units of an end point are equal but for what the search left undone.
    size = [tolerance * (1 + np.median(np.abs(_vectors({k: v[None] for k, v in p.items()})))) for p in best]
    stabiliser = [stabiliser_order(p, net, keep=keep, tolerance=t) for p, t in zip(best, size, strict=True)]
    why = [
        stabiliser_words(p, net, keep=keep, tolerance=t) if k > 1 and math.isfinite(order) else ""
        for p, t, k in zip(best, size, stabiliser, strict=True)
    ]
    columns = {
        "starts": starts,
        "frequency": starts / n,
        **{name: value[index] for name, value in values.items()},
        "log_density": density[index],
        "stabiliser": np.array(stabiliser, dtype=float),
        "copies": np.array([order if math.isinf(order) else float(order // s) for s in stabiliser], dtype=float),
        "why": np.array(why, dtype=object),
        "function": function[index],
        "signature": signature[index],
        "best_start": optima["start"].to_numpy()[index],
    }
    dataset = xr.Dataset(
        {
            **{k: ("optimum", v) for k, v in columns.items()},
            "label": ("start", label),
            "function_label": ("start", function),
        },
        coords={"optimum": np.arange(len(first)), "start": optima["start"].to_numpy()},
    )
    dataset.attrs["exists"] = int(fit.attrs.get("bayesnn_exists", 1))
    return Modes(kind, dataset, len(first), 1 + int(function.max(initial=-1)), order)


def _vectors(params):
    n = len(params["W1"])
    return np.concatenate([np.asarray(v, dtype=float).reshape(n, -1) for _, v in sorted(params.items())], axis=1)


def _of_draws(post, problem, inputs):
    import xarray as xr

    net, (params, kept) = problem.net, some_draws(post)
    batch = params["W1"].shape[:2]
    few = {k: v.reshape(-1, *v.shape[2:]) for k, v in params.items()}
    element, _ = alignment_element(few, net, log_density=density_of_some(few, problem))
    aligned = apply_symmetry(few, element, net)
    weights = clusters(_vectors({k: v for k, v in aligned.items() if k in net.dims()})).reshape(batch)
    variables, n = {}, {}
    for name, label in {"function": function_modes([post], inputs)[0], "weight": weights}.items():
        n[name] = int(label.max()) + 1
        inside = label == np.arange(n[name])[:, None, None]
        variables |= {
            f"{name}_label": (("chain", "draw"), label),
            f"{name}_occupancy": (("chain", f"{name}_mode"), inside.mean(axis=2).T),
            f"{name}_share": (f"{name}_mode", inside.mean(axis=(1, 2))),
            f"{name}_share_se": (f"{name}_mode", np.array([share_error(one) for one in inside])),
        }
    coords = {"chain": post["posterior"]["chain"].to_numpy(), "draw": post["posterior"]["draw"].to_numpy()[kept]}
    dataset = xr.Dataset(variables, coords=coords)
    dataset.attrs["sampler"] = post.attrs.get("bayesnn_sampler", "")
    return Modes("posterior", dataset, n["weight"], n["function"], symmetry_group(net).order)
