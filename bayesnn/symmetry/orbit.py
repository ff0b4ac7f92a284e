"""All weight vectors that a symmetry group makes of one, and how many of them are distinct."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import check_arguments
from bayesnn.data import check_rows, check_X
from bayesnn.errors import FitError, SpecError
from bayesnn.network import MLP, Params, check_net, check_params
from bayesnn.symmetry.group import (
    GroupElement,
    Keep,
    act,
    apply_symmetry,
    flip_level,
    flips,
    layer_orders,
    leaving,
    log_prior,
    numbered_elements,
    pick,
    written_order,
)
from bayesnn.tree import checked_target, params_of, problem_of

if TYPE_CHECKING:
    import xarray as xr


LARGEST = 100_000
"""Most elements that are held in memory at once."""


@dataclass(frozen=True, eq=False)
class OrbitPoint:
    """One of the equivalent weight vectors; the values are None for an orbit without data.

    Parameters
    ----------
    index : int
        Number of the group element; 0 is the identity.
    element : GroupElement
        What was applied to the first weight vector.
    params : dict of str to array
        The weight vector.
    log_prior : float
        Its log-prior.
    log_likelihood : float or None
        Its log-likelihood, summed over observations.
    f : array (n, m) or None
        The network's outputs.
    """

    index: int
    element: GroupElement = field(repr=False)
    params: Params = field(repr=False)
    log_prior: float
    log_likelihood: float | None
    f: np.ndarray | None = field(repr=False)


@dataclass(frozen=True, eq=False)
class Orbit(Sequence):
    """The equivalent weight vectors of a point, made when asked for.

    Parameters
    ----------
    net : MLP
        The network.
    params : dict of str to array
        The point.
    X, y : array or None
        Data in the units the model works in.
    keep : {"posterior", "likelihood"}
        The group.
    indices : range or tuple of int
        Numbers of the group elements.
    """

    net: MLP
    params: Params
    X: np.ndarray | None
    y: np.ndarray | None
    keep: Keep
    indices: range | tuple

    @property
    def order(self) -> int:
        """Number of elements of the group, of any size."""
        return math.prod(layer_orders(self.net, self.keep))

    @property
    def n_distinct(self) -> int:
        """Number of distinct weight vectors in the whole orbit: order / stabiliser."""
        return self.order // stabiliser_order(self.params, self.net, keep=self.keep)

    def __len__(self):
        """Count the weight vectors; Python's limit is 2**63 (``order`` has none)."""
        return len(self.indices)

    def __getitem__(self, k):
        """One `OrbitPoint`, or an Orbit for a slice."""
        if isinstance(k, slice):
            return replace(self, indices=self.indices[k])
        index = self.indices[k]
        element = numbered_elements(self.net, [index], self.keep)[0]
        params = apply_symmetry(self.params, element, self.net)
        f = loglik = None
        if self.X is not None:
            f = self.net.forward(params, self.X)
            loglik = float(self.net.log_likelihood(params, self.X, self.y).sum()) if self.y is not None else None
        return OrbitPoint(index, element, params, float(log_prior(params, self.net)), loglik, f)

    def _require_small(self, what):
        size = len(self.indices) if isinstance(self.indices, tuple) else _size(self.indices)
        if size > LARGEST:
            raise SpecError(
                f"Got an orbit of {written_order(size)} weight vectors; {what} holds all of them in memory and takes "
                f"at most {LARGEST}. Take a slice, such as orbit[:1000], or iterate."
            )

    def distinct(self) -> "Orbit":
        """Leave out weight vectors that occurred before.

        Returns
        -------
        Orbit
            One number for each distinct weight vector; the orbit itself if the stabiliser is trivial.

        Raises
        ------
        SpecError
            More than 100,000 elements and a stabiliser that is not trivial.
        """
        if stabiliser_order(self.params, self.net, keep=self.keep) == 1:
            return self
        self._require_small("distinct()")
        params = self._stacked()
        flat = np.concatenate([params[k].reshape(len(self), -1) for k in sorted(params) if k[0] in "Wb"], axis=1)
        # Sigmoid flips add and subtract; signed permutations are exact. Adding zero makes -0.0 equal to 0.0.
        flat = (flat if self.keep == "posterior" else np.round(flat, 9)) + 0.0
        _, first = np.unique(flat, axis=0, return_index=True)
        return replace(self, indices=tuple(self.indices[i] for i in np.sort(first)))

    def _stacked(self):
        batch = (len(self),)
        moved = apply_symmetry(self.params, numbered_elements(self.net, self.indices, self.keep), self.net)
        return {k: np.broadcast_to(v, batch + np.shape(self.params[k])) for k, v in moved.items()}

    def to_dataset(self) -> "xr.Dataset":
        """Gather all weight vectors.

        Returns
        -------
        xarray.Dataset
            Dimension ``copy``; variables ``W1, b1, ..., log_prior`` and, with data, ``log_likelihood`` and ``f``.

        Raises
        ------
        SpecError
            More than 100,000 weight vectors.
        """
        import xarray as xr

        self._require_small("to_dataset()")
        params, dims = self._stacked(), self.net.dims()
        out: dict[str, Any] = {k: (("copy", *dims.get(k, [f"{k}_dim"] * (v.ndim - 1))), v) for k, v in params.items()}
        out["log_prior"] = ("copy", np.broadcast_to(log_prior(params, self.net), len(self)))
        if self.X is not None:
            out["f"] = (("copy", "obs", "output"), self.net.forward(params, self.X))
        if self.y is not None:
            out["log_likelihood"] = ("copy", self.net.log_likelihood(params, self.X, self.y).sum(axis=-1))  # type: ignore[arg-type]  # y comes with X
        coords = {f"hidden_{i}": np.arange(1, m + 1) for i, m in enumerate(self.net.hidden, start=1)}
        return xr.Dataset(out, coords={"copy": list(self.indices), **coords})

    def __repr__(self):
        """Show the sizes in words."""
        copies = f"{written_order(self.n_distinct)} distinct of {written_order(self.order)} weight vectors"
        shown = f", {len(self.indices)} of them here" if isinstance(self.indices, tuple) else ""
        return f"Orbit: {copies} with the same {self.keep}{shown}"


def _size(indices):
    """Count the numbers of a range; `len` can't where they are more than 2**63."""
    return max(0, -((indices.start - indices.stop) // indices.step))


def orbit(
    point: "xr.DataTree | Params",
    net: MLP | None = None,
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    keep: Keep = "posterior",
) -> Orbit:
    """All weight vectors that are equivalent to one, made when asked for.

    Parameters
    ----------
    point : DataTree or dict of str to array
        An MLE or MAP fit, or one weight vector without batch dimensions.
    net : MLP, optional
        The network; a fit brings its own.
    X, y : array, optional
        Data in the units the model works in, for the log-likelihood and the function; a fit brings its own.
    keep : {"posterior", "likelihood"}
        The group: permutations and, for odd and even activations under even priors, sign flips; ``"likelihood"`` adds
        those that the prior sees: of sigmoid units, and under other priors.

    Returns
    -------
    Orbit
        A sequence of `OrbitPoint`, with ``order``, ``n_distinct``, ``distinct()`` and ``to_dataset()``.

    Raises
    ------
    SpecError
        A weight vector without its network, or several of them.
    FitError
        A tree that is not a fit of a single point.

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> net = bnn.MLP(hidden=(2,), bias=False, noise=1.0)
    >>> params = {"W1": np.array([[1.0, 2.0]]), "W2": np.array([[3.0], [4.0]])}
    >>> copies = bnn.symmetry.orbit(params, net, X=np.array([[1.0]]), y=np.array([6.0]))
    >>> copies
    Orbit: 8 distinct of 8 weight vectors with the same posterior
    >>> {round(p.log_likelihood, 6) for p in copies}
    {-0.928864}
    """
    params, net, X, y = point_of(point, net, X, y)
    return Orbit(net, params, X, y, keep, range(math.prod(layer_orders(net, keep))))


def point_of(
    point: "xr.DataTree | Params", net: MLP | None, X: ArrayLike | None = None, y: ArrayLike | None = None
) -> tuple[Params, MLP, Any, Any]:
    """One weight vector, its network and its data, from a fit or a dictionary."""
    if not isinstance(point, dict):
        problem, params = problem_of(point), params_of(point)
        if any(v.shape[:2] != (1, 1) for v in params.values()):
            raise FitError(
                "Got many draws; one weight vector is needed. Pass an MLE or MAP fit, or one draw's parameters."
            )
        return {k: v[0, 0] for k, v in params.items()}, problem.net, problem.X, problem.y
    if net is None:
        raise SpecError("Got parameters without a network; their symmetries depend on it. Pass net=.")
    check_params(point, check_net(net))
    params = {k: np.asarray(v, dtype=float) for k, v in point.items()}
    if X is None and y is not None:
        raise SpecError("Got y without X; the likelihood of a copy needs both. Pass X, y.")
    if X is not None:
        X = check_X(X, allow_empty_features=True, n_features=params["W1"].shape[-2])
        y = None if y is None else checked_target(net.loss, y)
        if y is not None:
            check_rows(X, y)
    if any(v.ndim != {"W": 2, "b": 1}[k[0]] for k, v in params.items() if k in net.dims()):
        raise SpecError("Got a batch of parameters; one weight vector is needed. Pick one, such as v[0] of each array.")
    return params, net, X, y


def units(
    params: Params,
    layer: int,
    net: MLP,
    permutations: Sequence[np.ndarray] | None = None,
    signs: Any = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Units as columns: incoming weights, bias, outgoing weights; and which of these rows a flip turns.

    Permutations and signs put the layers before and after in order.
    """
    W, V = params[f"W{layer}"], params[f"W{layer + 1}"]
    if permutations is not None and layer > 1:
        W = pick(W, permutations[layer - 2], -2) * leaving(net, signs[layer - 2])[..., :, None]
    if permutations is not None and layer < len(permutations):
        V = pick(V, permutations[layer], -1) * signs[layer][..., None, :]
    bias = [params[f"b{layer}"][..., None, :]] if f"b{layer}" in params else []
    columns, n_out = np.concatenate([W, *bias, np.swapaxes(V, -1, -2)], axis=-2), V.shape[-1]
    return columns, np.repeat([True, not net.phi.even], [columns.shape[-2] - n_out, n_out])


def stabiliser_order(params: Params, net: MLP, *, keep: Keep = "posterior", tolerance: float = 0.0) -> int:
    """Count the group elements that leave every weight of one weight vector as it is.

    Parameters
    ----------
    params : dict of str to array
        One weight vector.
    net : MLP
        The network.
    keep : {"posterior", "likelihood"}
        The group, as for `orbit`.
    tolerance : float
        Largest absolute difference of weights that count as equal.

    Returns
    -------
    int
        Order of the stabiliser; the number of distinct copies is the group's order divided by it.

    Notes
    -----
    k units that are equal (up to the sign of what a flip turns, where signs may flip) contribute k!, and each unit
    that its flip leaves as it is, for all that the flip turns is zero, another 2. A flip turns all weights of a unit
    whose activation is odd, and of an even one only what enters it. Equal units are then merged, and what is left,
    elements that move several layers at once, is counted by a search over the layers. The count is exact for any depth.

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> net = bnn.MLP(hidden=(3,), bias=False)
    >>> twins = {"W1": np.array([[1.0, -1.0, 2.0]]), "W2": np.array([[3.0], [-3.0], [1.0]])}
    >>> bnn.symmetry.stabiliser_order(twins, net)
    2
    """
    check_params(params, check_net(net))
    check_arguments(tolerance=tolerance)
    signed = flips(net, keep)
    families, params = _families(params, net, signed, tolerance)
    kept = [np.array([members[0] for members, _ in layer]) for layer in families]
    kinds = [[(len(members), dead) for members, dead in layer] for layer in families]
    layers = range(1, net.n_layers + 1)
    rows, columns = [slice(None), *kept], [*kept, slice(None)]
    weights = [params[f"W{i}"][rows[i - 1]][:, columns[i - 1]] for i in layers]
    biases = [params.get(f"b{i}", np.zeros(params[f"W{i}"].shape[1]))[columns[i - 1]] for i in layers]

    def search(layer, W, b):
        """Count the ways to bring layer `layer`, whose inputs have been moved, and all later ones back into place."""
        if layer == len(weights) - 1:
            return int(_close(W, weights[layer], tolerance) and _close(b, biases[layer], tolerance))
        now, then, out = np.vstack([W, b]), np.vstack([weights[layer], biases[layer]]), weights[layer + 1]
        shape = np.sort(np.abs(out) if any(signed) else out, axis=1)
        options = [
            [
                (j, s) for j, (_, dead) in enumerate(kinds[layer]) for s in _signs(signed[layer] and not dead)
                if kinds[layer][i] == kinds[layer][j] and _close(s * now[:, j], then[:, i], tolerance)
                and _close(shape[j], shape[i], tolerance)
                and (layer < len(weights) - 2 or _close(leaving(net, s) * out[j], out[i], tolerance))
            ]
            for i in range(then.shape[1])
        ]  # fmt: skip
        total, sizes = 0, np.array([size for size, _ in kinds[layer]])
        for choice in _matchings(options):
            p, s = np.array(choice, dtype=int).reshape(-1, 2).T
            moved = out[p]
            b = biases[layer + 1] + flip_level(net) * (sizes * (s < 0)) @ moved
            total += search(layer + 1, moved * leaving(net, s)[:, None], b)
        return total

    return _order_of(families) * search(0, weights[0], biases[0])


def _order_of(families):
    """Count the ways to exchange equal units and to flip dead ones."""
    return math.prod(math.factorial(len(k)) * 2 ** (len(k) * dead) for layer in families for k, dead in layer)


def _families(params, net, signed, tolerance):
    """Equal units of each layer, up to sign where signs may flip, and if they are dead; params with signs aligned.

    A dead unit is one that its flip leaves as it is.
    """
    params = {k: np.asarray(v, dtype=float) for k, v in params.items()}
    found = []
    for layer, m in enumerate(net.hidden, start=1):
        columns, turned = units(params, layer, net)
        dead = signed[layer - 1] & (np.abs(columns[turned]).max(axis=0) <= tolerance)
        columns, twins, sign = np.where(turned[:, None] & dead, 0.0, columns).T, [], np.ones(m, dtype=int)
        for j, u in enumerate(columns):
            same = [(members, s) for members in twins for s in _signs(signed[layer - 1])
                    if _close(np.where(turned, s, 1) * columns[members[0]], u, tolerance)]  # fmt: skip
            if same:
                same[0][0].append(j)
                sign[j] = same[0][1]
            else:
                twins.append([j])
        found.append([(members, bool(dead[members[0]])) for members in twins])
        params = act(params, layer, np.arange(m), sign, net)
    return found, params


def _signs(signed):
    return (1, -1) if signed else (1,)


def stabiliser_words(params: Params, net: MLP, *, keep: Keep = "posterior", tolerance: float = 0.0) -> str:
    """Say why a weight vector has fewer copies than the group has elements: which units are twins, which are dead.

    Parameters
    ----------
    params, net, keep, tolerance
        As for `stabiliser_order`.

    Returns
    -------
    str
        Empty where the stabiliser is trivial.

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> from bayesnn.symmetry.orbit import stabiliser_words
    >>> net = bnn.MLP(hidden=(3,), bias=False)
    >>> stabiliser_words({"W1": np.array([[1.0, 2.0, -1.0]]), "W2": np.array([[3.0], [1.0], [-3.0]])}, net)
    'hidden units 1 and 3 are twins'
    """
    signed = flips(net, keep)
    families, _ = _families(params, net, signed, tolerance)
    words = []
    for layer, found in enumerate(families, start=1):
        equal = "equal up to sign" if signed[layer - 1] else "equal"
        where = f" of layer {layer}" if len(net.hidden) > 1 else ""
        for members, dead in found:
            # Dead units whose activation is odd have nothing in which they could differ.
            if len(members) > 1 and (net.phi.even or not dead):
                words.append(f"hidden {_numbered(members)}{where} are {'twins' if len(members) == 2 else equal}")
        silent = sorted(j for members, dead in found if dead for j in members)
        if silent:
            are, their = ("is", "its") if len(silent) == 1 else ("are", "their")
            zero = "all that enters is" if net.phi.even else f"all {their} weights are"
            words.append(f"hidden {_numbered(silent)}{where} {are} dead ({zero} zero)")
    if stabiliser_order(params, net, keep=keep, tolerance=tolerance) > _order_of(families):
        words.append("units of several layers can change places together")
    return ", ".join(words)


def _numbered(members):
    names = [str(j + 1) for j in members]
    return f"unit {names[0]}" if len(names) == 1 else f"units {', '.join(names[:-1])} and {names[-1]}"


def _close(a, b, tolerance):
    return a.size == 0 or np.abs(a - b).max() <= tolerance


def _matchings(options, used=frozenset()):
    """All ways to choose one option for each place without using a unit twice."""
    if not options:
        yield []
        return
    for j, s in options[0]:
        if j not in used:
            yield from ([(j, s), *rest] for rest in _matchings(options[1:], used | {j}))
