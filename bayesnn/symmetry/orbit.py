"""All weight vectors that a symmetry group makes of one, and how many of them are distinct."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bayesnn.errors import FitError, SpecError
from bayesnn.network import MLP
from bayesnn.symmetry.group import (
    GroupElement,
    act,
    apply_symmetry,
    flips,
    layer_orders,
    log_prior,
    numbered_elements,
    pick,
)
from bayesnn.tree import params_of, problem_of

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
    params: dict = field(repr=False)
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
    params: dict
    X: np.ndarray | None
    y: np.ndarray | None
    keep: str
    indices: range | tuple

    @property
    def order(self):
        """Number of elements of the group, of any size."""
        return math.prod(layer_orders(self.net, self.keep))

    @property
    def n_distinct(self):
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
        if len(self) > LARGEST:
            raise SpecError(
                f"Got an orbit of {len(self)} weight vectors; {what} holds all of them in memory and takes at most "
                f"{LARGEST}. Take a slice, such as orbit[:1000], or iterate."
            )

    def distinct(self):
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

    def to_dataset(self):
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
        out = {k: (("copy", *dims.get(k, [f"{k}_dim"] * (v.ndim - 1))), v) for k, v in params.items()}
        out["log_prior"] = ("copy", np.broadcast_to(log_prior(params, self.net), len(self)))
        if self.X is not None:
            out["f"] = (("copy", "obs", "output"), self.net.forward(params, self.X))
        if self.y is not None:
            out["log_likelihood"] = ("copy", self.net.log_likelihood(params, self.X, self.y).sum(axis=-1))
        coords = {f"hidden_{i}": np.arange(1, m + 1) for i, m in enumerate(self.net.hidden, start=1)}
        return xr.Dataset(out, coords={"copy": list(self.indices), **coords})

    def __repr__(self):
        """Show the sizes in words."""
        copies = f"{self.n_distinct} distinct of {self.order} weight vectors"
        shown = f", {len(self.indices)} of them here" if isinstance(self.indices, tuple) else ""
        return f"Orbit: {copies} with the same {self.keep}{shown}"


def orbit(point, net=None, X=None, y=None, *, keep="posterior"):
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
        The group: permutations and, for odd activations, sign flips; ``"likelihood"`` adds the flips of sigmoid units.

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


def point_of(point, net, X=None, y=None):
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
    params = {k: np.asarray(v, dtype=float) for k, v in point.items()}
    if any(v.ndim != {"W": 2, "b": 1}[k[0]] for k, v in params.items() if k in net.dims()):
        raise SpecError("Got a batch of parameters; one weight vector is needed. Pick one, such as v[0] of each array.")
    return params, net, X, y


def units(params, layer, permutations=None, signs=None):
    """Units as columns: incoming weights, bias, outgoing weights, with the layers before and after put in order."""
    W, V = params[f"W{layer}"], params[f"W{layer + 1}"]
    if permutations is not None and layer > 1:
        W = pick(W, permutations[layer - 2], -2) * signs[layer - 2][..., :, None]
    if permutations is not None and layer < len(permutations):
        V = pick(V, permutations[layer], -1) * signs[layer][..., None, :]
    bias = [params[f"b{layer}"][..., None, :]] if f"b{layer}" in params else []
    return np.concatenate([W, *bias, np.swapaxes(V, -1, -2)], axis=-2)


def stabiliser_order(params, net, *, keep="posterior", tolerance=0.0):
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
    k units that are equal (up to sign, where signs may flip) contribute k!, and k units whose weights are all zero
    contribute k! 2^k. Equal units are then merged, and what is left, elements that move several layers at once, is
    counted by a search over the layers. The count is exact for any depth.

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> net = bnn.MLP(hidden=(3,), bias=False)
    >>> twins = {"W1": np.array([[1.0, -1.0, 2.0]]), "W2": np.array([[3.0], [-3.0], [1.0]])}
    >>> bnn.symmetry.stabiliser_order(twins, net)
    2
    """
    signed, count = flips(net, keep), 1
    families, params = _families(params, net, signed, tolerance)
    for twins, dead in families:
        count *= (
            math.prod(math.factorial(len(members)) for members in twins) * math.factorial(len(dead)) * 2 ** len(dead)
        )
    kept = [np.array([members[0] for members in twins], dtype=int) for twins, _ in families]
    sizes = [np.array([len(members) for members in twins]) for twins, _ in families]
    layers = range(1, net.n_layers + 1)
    rows, columns = [slice(None), *kept], [*kept, slice(None)]
    weights = [params[f"W{i}"][rows[i - 1]][:, columns[i - 1]] for i in layers]
    biases = [params.get(f"b{i}", np.zeros(params[f"W{i}"].shape[1]))[columns[i - 1]] for i in layers]
    shifting = net.phi.level if net.phi.shifts else 0.0

    def search(layer, W, b):
        """Count the ways to bring layer `layer`, whose inputs have been moved, and all later ones back into place."""
        if layer == len(weights) - 1:
            return int(_close(W, weights[layer], tolerance) and _close(b, biases[layer], tolerance))
        now, then, out = np.vstack([W, b]), np.vstack([weights[layer], biases[layer]]), weights[layer + 1]
        shape = np.sort(np.abs(out) if any(signed) else out, axis=1)
        signs = (1, -1) if signed[layer] else (1,)
        options = [
            [
                (j, s) for j in range(then.shape[1]) for s in signs
                if sizes[layer][i] == sizes[layer][j] and _close(s * now[:, j], then[:, i], tolerance)
                and _close(shape[j], shape[i], tolerance)
                and (layer < len(weights) - 2 or _close(s * out[j], out[i], tolerance))
            ]
            for i in range(then.shape[1])
        ]  # fmt: skip
        total = 0
        for choice in _matchings(options):
            p, s = np.array(choice, dtype=int).reshape(-1, 2).T
            moved = out[p]
            shift = shifting * (sizes[layer] * (s < 0)) @ moved
            total += search(layer + 1, moved * s[:, None], biases[layer + 1] + shift)
        return total

    return count * search(0, weights[0], biases[0])


def _families(params, net, signed, tolerance):
    """Units of each layer that are equal, up to sign where signs may flip, and dead ones; params with signs aligned."""
    params = {k: np.asarray(v, dtype=float) for k, v in params.items()}
    found = []
    for layer, m in enumerate(net.hidden, start=1):
        columns, twins, dead, sign = units(params, layer).T, [], [], np.ones(m, dtype=int)
        for j, u in enumerate(columns):
            if signed[layer - 1] and np.abs(u).max() <= tolerance:
                dead.append(j)
                continue
            same = [(members, s) for members in twins for s in ((1, -1) if signed[layer - 1] else (1,))
                    if np.abs(u - s * sign[members[0]] * columns[members[0]]).max() <= tolerance]  # fmt: skip
            if same:
                same[0][0].append(j)
                sign[j] = same[0][1]
            else:
                twins.append([j])
        found.append((twins, dead))
        params = act(params, layer, np.arange(m), sign, net)
    return found, params


def stabiliser_words(params, net, *, keep="posterior", tolerance=0.0):
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
    words, explained = [], 1
    for layer, (twins, dead) in enumerate(families, start=1):
        equal = "equal up to sign" if signed[layer - 1] else "equal"
        where = f" of layer {layer}" if len(net.hidden) > 1 else ""
        for members in twins:
            if len(members) > 1:
                explained *= math.factorial(len(members))
                words.append(f"hidden {_numbered(members)}{where} are {'twins' if len(members) == 2 else equal}")
        if dead:
            explained *= math.factorial(len(dead)) * 2 ** len(dead)
            are = "is dead (all its weights are" if len(dead) == 1 else "are dead (all their weights are"
            words.append(f"hidden {_numbered(dead)}{where} {are} zero)")
    if stabiliser_order(params, net, keep=keep, tolerance=tolerance) > explained:
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
