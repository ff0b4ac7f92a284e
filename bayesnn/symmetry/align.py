"""Undo a network's symmetries in draws: canonical form, alignment to a reference, and the reverse, symmetrising."""

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from bayesnn.arguments import Seed, check_arguments
from bayesnn.errors import FitError, SpecError
from bayesnn.network import MLP, Params, check_net, check_params
from bayesnn.symmetry.group import (
    GroupElement,
    Keep,
    act,
    apply_symmetry,
    flips,
    layer_orders,
    leaving,
    log_prior,
    numbered_elements,
    random_symmetry,
)
from bayesnn.symmetry.orbit import units
from bayesnn.tree import Problem, kind_of, params_of, problem_of

if TYPE_CHECKING:
    import xarray as xr


ENUMERATED = 100
"""Most elements of every other layer that are tried one by one; beyond it, several layers are matched in turn."""
SETTLED = 2e-4
"""Relative decrease of the sum of squares about the reference below which the reference is kept."""


def canonical_element(params: Params, net: MLP, *, keep: Keep = "posterior") -> GroupElement:
    """Group elements that bring weight vectors into canonical form; see `canonicalize`.

    Parameters
    ----------
    params : dict of str to array
        Parameters with any leading batch dimensions.
    net : MLP
        The network.
    keep : {"posterior", "likelihood"}
        The group, as for `orbit`.

    Returns
    -------
    GroupElement
        With the batch dimensions of `params`.
    """
    flat, batch = _flatten(params, net)
    n, signed, moved = len(flat["W1"]), flips(net, keep), flat
    permutations, signs, tied = [], [], np.zeros(n, dtype=bool)
    for layer in range(1, net.n_layers):
        keys, sign, unclear = _sorting_keys(moved, layer, net, signed)
        order = np.lexsort(np.moveaxis(keys, -2, 0)[::-1], axis=-1)
        ordered = np.take_along_axis(keys, order[:, None, :], -1)
        if layer < net.n_layers - 1:
            tied |= (ordered[..., 1:] == ordered[..., :-1]).all(axis=-2).any(axis=-1) | unclear.any(axis=-1)
        permutations.append(order)
        signs.append(np.take_along_axis(sign, order, -1))
        moved = act(moved, layer, permutations[-1], signs[-1], net)
    for i in np.flatnonzero(tied):
        _, choices = _smallest({k: v[i] for k, v in flat.items()}, 1, net, signed)
        for layer, (order, sign) in enumerate(choices):
            permutations[layer][i], signs[layer][i] = order, sign
    return _reshape(GroupElement(tuple(permutations), tuple(signs)), batch)


def _sorting_keys(params, layer, net, signed):
    """Give what units are sorted by, after flipping; the signs; and where nothing that enters decides on the sign.

    A unit is known by what enters it, and in the last hidden layer also by what leaves it: the outputs stay in place.
    In earlier layers what leaves it counts only up to the order and signs of the next layer's units. The sign is that
    of the first number that is known and that a flip turns.
    """
    columns, turned = units(params, layer, net)
    last = layer == net.n_layers - 1
    n_known = len(turned) - (0 if last else params[f"W{layer + 1}"].shape[-1])
    decides = columns[..., :n_known, :][..., turned[:n_known], :]
    first = np.take_along_axis(decides, (decides != 0).argmax(axis=-2)[..., None, :], -2)[..., 0, :]
    sign = np.where((first < 0) & signed[layer - 1], -1, 1)
    columns = columns * np.where(turned[:, None], sign[..., None, :], 1)
    known, rest = columns[..., :n_known, :], columns[..., n_known:, :]
    shape = np.sort(np.abs(rest) if any(signed) else rest, axis=-2)
    unclear = signed[layer - 1] & (first == 0) & (rest[..., turned[n_known:], :] != 0).any(axis=-2)
    return np.concatenate([known, shape], axis=-2), sign, unclear


def _smallest(params, layer, net, signed):
    """Among the orders and signs that the sorting leaves open, those with the lexicographically smallest weights."""
    if layer == net.n_layers:
        return tuple(np.concatenate([v.ravel() for k, v in sorted(params.items()) if k[0] in "Wb"])), []
    keys, sign, unclear = _sorting_keys(params, layer, net, signed)
    order = np.lexsort(keys[::-1])
    blocks = [list(g) for _, g in itertools.groupby(order, key=lambda j: tuple(keys[:, j]))]
    out, best = params[f"W{layer + 1}"] * leaving(net, sign)[:, None], None
    if layer == net.n_layers - 1:
        arrangements = [[(j, 1) for j in order]]
    else:
        per_block = [list(_arrangements([(j, tuple(out[j])) for j in block], unclear)) for block in blocks]
        arrangements = (list(itertools.chain(*parts)) for parts in itertools.product(*per_block))
    for arrangement in arrangements:
        p, s = np.array(arrangement).T
        s = s * sign[p]
        key, rest = _smallest(act(params, layer, p, s, net), layer + 1, net, signed)
        if best is None or key < best[0]:
            best = key, [(p, s), *rest]
    return best


def _arrangements(members, unclear):
    """List orders (and signs, where unclear) of tied units, each pattern of outgoing weights once."""
    if not members:
        yield []
        return
    seen = set()
    for i, (j, row) in enumerate(members):
        for s in (1, -1) if unclear[j] else (1,):
            pattern = tuple(s * v + 0.0 for v in row)
            if pattern not in seen:
                seen.add(pattern)
                yield from ([(j, s), *rest] for rest in _arrangements(members[:i] + members[i + 1 :], unclear))


def alignment_element(
    params: Params,
    net: MLP,
    *,
    reference: Params | None = None,
    iterations: int = 50,
    log_density: np.ndarray | None = None,
) -> tuple[GroupElement, Params]:
    """Group elements that bring weight vectors as close as possible to a reference; see `align`.

    Parameters
    ----------
    params : dict of str to array
        Parameters with any leading batch dimensions.
    net : MLP
        The network.
    reference : dict of str to array, optional
        One weight vector. None starts from a draw and iterates to the aligned mean.
    iterations : int
        Most times that the reference is replaced by the aligned mean; not used with a given reference.
    log_density : array, optional
        Log densities of the draws, so that one of the starts is the highest.

    Returns
    -------
    GroupElement
        With the batch dimensions of `params`.
    dict of str to array
        The reference.
    """
    check_arguments(iterations=iterations)
    flat, batch = _flatten(params, net)
    identity, layers = GroupElement.identity(net, (len(flat["W1"]),)), list(range(1, net.n_layers))
    if reference is not None:
        check_params(reference, net)
        reference = {k: np.asarray(v, dtype=float) for k, v in reference.items()}
        for name, value in flat.items():
            if np.shape(reference.get(name, 0.0)) != value.shape[1:]:
                raise SpecError(
                    f"Got a reference whose {name} has shape {np.shape(reference.get(name, 0.0))}; it must be one "
                    f"weight vector of the same network, with {name} of shape {value.shape[1:]}. Take one draw of a "
                    "fit."
                )
        return _reshape(_match(flat, reference, net, identity, layers), batch), reference
    some = spread(len(flat["W1"]), 300)
    best = some[0] if log_density is None else int(np.nanargmax(np.ravel(log_density)))
    few = {k: v[some] for k, v in flat.items()}
    found = []
    for start in dict.fromkeys([best, *some[:: max(1, len(some) // 3)]]):
        _, mean, squares = _iterate(few, {k: v[start] for k, v in flat.items()}, net, iterations)
        found.append((squares, mean))
    element, reference, _ = _iterate(flat, min(found, key=lambda x: x[0])[1], net, iterations)
    last = canonical_element(reference, net)
    return _reshape(last @ element, batch), apply_symmetry(reference, last, net)


def spread(n: int, most: int) -> np.ndarray:
    """Up to `most` of n draws, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, most).astype(int))


def _iterate(params, reference, net, iterations):
    """Match to the reference, take the mean, and again: each step shortens the sum of squares about the mean."""
    element, layers = GroupElement.identity(net, (len(params["W1"]),)), list(range(1, net.n_layers))
    total = sum(float((v**2).sum()) for v in params.values()) / len(params["W1"])
    squares, thorough = math.inf, True
    for _ in range(max(1, iterations)):
        match = _match if thorough else _sweep
        element = match(params, reference, net, element, layers)
        moved = apply_symmetry(params, element, net)
        reference = {k: v.mean(axis=0) for k, v in moved.items()}
        # Lengths never change, so the spread about the mean is what the mean's length leaves of the total.
        before, squares = squares, total - sum(float((v**2).sum()) for v in reference.values())
        still = before - squares <= SETTLED * abs(before) + 1e-12 * total if before < math.inf else False
        if still and (thorough or len(layers) == 1):
            break
        thorough = still
    return element, reference, squares


def _match(params, reference, net, element, layers):
    """Find the best elements for a fixed reference: exactly if every other layer can be enumerated."""
    n, orders = len(params["W1"]), layer_orders(net)
    sides = [[i for i in layers if i % 2 == parity] for parity in (0, 1)]
    tried = min(sides, key=lambda side: math.prod(orders[i - 1] for i in side))
    if not tried:
        return _sweep(params, reference, net, element, layers)
    identity = GroupElement.identity(net, (n,))
    if math.prod(orders[i - 1] for i in tried) <= ENUMERATED:
        free = [i for i in layers if i not in tried]
        choices = itertools.product(*(_elements(net, i) for i in tried))
        candidates = (_sweep(params, reference, net, _with(identity, tried, c), free) for c in choices)
    else:
        rng = np.random.default_rng(0)
        starts = [element, *(_greedy(params, reference, net, order) for order in (layers, layers[::-1]))]
        starts += [random_symmetry(net, rng, batch=(n,)) for _ in range(2)]
        candidates = (_cycle(params, reference, net, start, layers) for start in starts)
    best, top = None, np.full(n, -np.inf)
    for candidate in candidates:
        moved = apply_symmetry(params, candidate, net)
        score = sum((v * reference[k]).reshape(n, -1).sum(axis=1) for k, v in moved.items())
        best = candidate if best is None else _where(score > top, candidate, best)
        top = np.maximum(score, top)
    return best


def _cycle(params, reference, net, element, layers):
    """Match layer after layer, going on with the draws that still move."""
    arrays, depth = [a.copy() for a in element.permutations + element.signs], len(layers)
    active = np.arange(len(params["W1"]))
    for _ in range(50):
        now = GroupElement(tuple(a[active] for a in arrays[:depth]), tuple(a[active] for a in arrays[depth:]))
        new = _sweep({k: v[active] for k, v in params.items()}, reference, net, now, layers)
        changed = np.zeros(len(active), dtype=bool)
        for mine, found in zip(arrays, new.permutations + new.signs, strict=True):
            changed |= (mine[active] != found).any(axis=-1)
            mine[active] = found
        active = active[changed]
        if not len(active):
            break
    return GroupElement(tuple(arrays[:depth]), tuple(arrays[depth:]))


def _where(mask, a, b):
    """Elements of `a` where the mask is true, else of `b`."""

    def choose(x, y):
        return tuple(np.where(mask[..., None], u, v) for u, v in zip(x, y, strict=True))

    return GroupElement(choose(a.permutations, b.permutations), choose(a.signs, b.signs))


def _elements(net, layer):
    """All permutations and signs of one layer."""
    orders = layer_orders(net)
    every = numbered_elements(net, [k * math.prod(orders[: layer - 1]) for k in range(orders[layer - 1])])
    return list(zip(every.permutations[layer - 1], every.signs[layer - 1], strict=True))


def _with(element, layers, choices):
    """Set the permutations and signs of some layers, the same for all draws."""
    permutations, signs = list(element.permutations), list(element.signs)
    for layer, (p, s) in zip(layers, choices, strict=True):
        shape = permutations[layer - 1].shape
        permutations[layer - 1], signs[layer - 1] = np.broadcast_to(p, shape), np.broadcast_to(s, shape)
    return GroupElement(tuple(permutations), tuple(signs))


def _sweep(params, reference, net, element, layers):
    """Match each of some layers to the reference while the others stay as they are."""
    permutations, signs = list(element.permutations), list(element.signs)
    for layer in layers:
        (theirs, turned), (mine, _) = units(reference, layer, net), units(params, layer, net, permutations, signs)
        permutations[layer - 1], signs[layer - 1] = _take(*_products(theirs, mine, turned), flips(net)[layer - 1])
    return GroupElement(tuple(permutations), tuple(signs))


def _products(theirs, mine, turned):
    """Inner products of units: of the rows that a flip turns, and of the others."""
    if turned.all():
        return theirs.T @ mine, 0.0
    return theirs[turned].T @ mine[..., turned, :], theirs[~turned].T @ mine[..., ~turned, :]


def _take(inner, extra, signed):
    """Assign units by inner products (by their size, where signs may flip) plus a further score."""
    p = assign((np.abs(inner) if signed else inner) + extra)
    taken = np.take_along_axis(inner, p[..., None], -1)[..., 0]
    return p, np.where((taken < 0) & signed, -1, 1)


def _greedy(params, reference, net, layers):
    """Match layer after layer by what the layers before have settled, and by the sizes of what they have not."""
    element, signed = GroupElement.identity(net, (len(params["W1"]),)), flips(net)
    permutations, signs = list(element.permutations), list(element.signs)

    def split(arrays, layer, *moved):
        (columns, turned), n_in = units(arrays, layer, net, *moved), arrays[f"W{layer}"].shape[-2]
        n_out = arrays[f"W{layer + 1}"].shape[-1]
        forward = layers[0] == 1
        settled = slice(None, -n_out) if forward else slice(n_in, None)
        shape = columns[..., slice(-n_out, None) if forward else slice(None, n_in), :]
        return columns[..., settled, :], np.sort(np.abs(shape) if any(signed) else shape, axis=-2), turned[settled]

    for layer in layers:
        (mine, shape, turned), (theirs, other, _) = split(params, layer, permutations, signs), split(reference, layer)
        inner, extra = _products(theirs, mine, turned)
        permutations[layer - 1], signs[layer - 1] = _take(inner, extra + other.T @ shape, signed[layer - 1])
    return GroupElement(tuple(permutations), tuple(signs))


def assign(scores: np.ndarray) -> np.ndarray:
    """Column for each row, without repeats, with the largest sum, for a stack of square matrices."""
    best = scores.argmax(axis=-1)
    m = scores.shape[-1]
    # Rows whose largest entries lie in different columns attain the upper bound: nothing is left to solve.
    open_ = np.flatnonzero((np.sort(best, axis=-1) != np.arange(m)).any(axis=-1))
    if m <= 4:
        every = np.array(list(itertools.permutations(range(m))))
        sums = scores[open_][:, np.arange(m), every].sum(axis=-1)
        best[open_] = every[sums.argmax(axis=-1)]
    else:
        for i in open_:
            best[i] = linear_sum_assignment(scores[i], maximize=True)[1]
    return best


def _flatten(params, net):
    """Weights and biases with one batch dimension, and the shape of the batch."""
    known = check_net(net).dims()
    check_params(params, net, finite=False)
    arrays = {k: np.asarray(v, dtype=float) for k, v in params.items() if k in known}
    batch = arrays["W1"].shape[:-2]
    # Not -1: a network may have no inputs, and then a matrix without elements.
    return {k: v.reshape(math.prod(batch), *v.shape[len(batch) :]) for k, v in arrays.items()}, batch


def _reshape(element, batch):
    def back(arrays):
        return tuple(a.reshape(*batch, a.shape[-1]) for a in arrays)

    return GroupElement(back(element.permutations), back(element.signs))


def canonicalize(
    tree_or_params: "xr.DataTree | Params", net: MLP | None = None, *, group: str = "posterior"
) -> "xr.DataTree | Params":
    """Pick one weight vector out of each orbit: flip units to a fixed sign and sort them.

    Parameters
    ----------
    tree_or_params : DataTree or dict of str to array
        A fit, or parameters with any leading batch dimensions.
    net : MLP, optional
        The network; a fit brings its own.
    group : str
        Group of the tree to work on: ``"posterior"``, or ``"optima"`` of an MLE or MAP fit.

    Returns
    -------
    DataTree or dict of str to array
        A new tree as `align` returns it, or new parameters.

    Raises
    ------
    SpecError
        Parameters without a network.
    FitError
        Not a fit, or the log density changed.

    Notes
    -----
    Layer by layer from the input, units that may flip are flipped so that the first number that is not zero among
    incoming weights, bias (and, in the last hidden layer of an odd activation, outgoing weights) is positive: what
    enters a unit alone decides on its sign where the activation is even. Then the units are sorted lexicographically
    by what enters (and, in the last hidden layer, leaves) them. In earlier layers, units with the same incoming
    weights are told apart by the sizes of what leaves them, and by the lexicographically smallest result where that
    leaves a choice. The result is the same for all members of an orbit, ties included. It cuts the space of weights
    along hyperplanes: draws on both sides of one land far apart. `align` is for trace plots, this function for
    comparing points.

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> net = bnn.MLP(hidden=(2,), bias=False)
    >>> bnn.symmetry.canonicalize({"W1": np.array([[2.0, -1.0]]), "W2": np.array([[3.0], [4.0]])}, net)
    {'W1': array([[1., 2.]]), 'W2': array([[-4.],
           [ 3.]])}
    """
    if isinstance(tree_or_params, dict):
        if net is None:
            raise SpecError("Got parameters without a network; their symmetries depend on it. Pass net=.")
        check_params(tree_or_params, check_net(net))
        return apply_symmetry(tree_or_params, canonical_element(tree_or_params, net), net)
    params, own = _params(tree_or_params, group), problem_of(tree_or_params).net
    if net is not None and check_net(net) != own:
        raise SpecError(f"Got a fit and another network, {net!r}; a fit has its own. Leave net out.")
    net = own
    return _transformed(tree_or_params, canonical_element(params, net), group, "canonical")


def align(
    post: "xr.DataTree",
    *,
    reference: "xr.DataTree | Params | None" = None,
    iterations: int = 50,
    group: str = "posterior",
) -> "xr.DataTree":
    r"""Fold the mirror images of a posterior onto one: permute and flip units draw by draw to match a reference.

    Parameters
    ----------
    post : DataTree
        A fit.
    reference : DataTree or dict of str to array, optional
        What to match: one weight vector, or a fit, whose mean is taken. None starts from the draw of highest log
        density (and a few others) and replaces it by the mean of the aligned draws until the sum of squares about it
        falls by less than 2 in 10,000; the last one is brought into canonical form.
    iterations : int
        Most times that the reference is replaced; not used with a given reference.
    group : str
        Group of the tree to work on: ``"posterior"``, or ``"optima"`` of an MLE or MAP fit.

    Returns
    -------
    DataTree
        A new tree: the aligned draws in ``posterior``, the draws as they were sampled in ``posterior_raw``, and in
        ``symmetry`` the variables ``permutation_1`` (labels, from 1, of the raw units in their new order) and
        ``sign_1``, ... for each hidden layer. Noise, cutpoints and scales are as they were. Aligning an aligned tree
        keeps the raw draws.

    Raises
    ------
    FitError
        Not a fit, or the log density or the function changed by more than rounding.

    See Also
    --------
    canonicalize, symmetrize

    Notes
    -----
    For units :math:`r_i` of the reference and :math:`u_j` of a draw (incoming weights, bias and outgoing weights) the
    signed permutation with the smallest :math:`\sum_i \|r_i - s_i u_{p_i}\|^2` maximises
    :math:`\sum_i |\langle r_i, u_{p_i}\rangle|`, a linear assignment; without sign flips,
    :math:`\sum_i \langle r_i, u_{p_i}\rangle`. For an even activation, whose flips turn only what enters a unit, it is
    the sum of the absolute inner products of what enters and of the inner products of what leaves, and the sign is
    that of the former. This is exact for one hidden layer. For several it is exact if every other layer together has
    at most 100 elements, which are tried one by one while those between are assigned; otherwise layers take turns from
    five starts until none moves, which finds a local optimum.

    References
    ----------
    .. [1] M. Stephens, "Dealing with label switching in mixture models", JRSS B 62 (2000).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> map_ = bnn.fit_map(bnn.MLP((2,), noise=0.2), data.X, data.y, restarts=5, random_seed=1, progressbar=False)
    >>> list(bnn.symmetry.align(map_)["symmetry"].data_vars)
    ['permutation_1', 'sign_1']
    """
    problem, params = problem_of(post), _params(post, group)
    net, density = problem.net, None
    if reference is None:
        density = density_of_some(params, problem)
    elif not isinstance(reference, dict):
        batch = ("chain", "draw")
        reference = {k: v.mean(axis=tuple(range(len(batch)))) for k, v in params_of(reference, batch=batch).items()}
    element, _ = alignment_element(params, net, reference=reference, iterations=iterations, log_density=density)
    return _transformed(post, element, group, "aligned")


def symmetrize(post: "xr.DataTree", *, random_seed: Seed = None, group: str = "posterior") -> "xr.DataTree":
    """Apply to each draw its own random group element: draws from the full, symmetric posterior.

    Chains that stay in one mirror image sample the posterior folded; uniform group elements unfold it exactly.

    Parameters
    ----------
    post : DataTree
        A fit.
    random_seed : int, optional
        Seed of the group elements.
    group : str
        Group of the tree to work on.

    Returns
    -------
    DataTree
        As `align` returns it.

    Raises
    ------
    FitError
        Not a fit, or the log density changed.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> map_ = bnn.fit_map(bnn.MLP((2,), noise=0.2), data.X, data.y, restarts=5, random_seed=1, progressbar=False)
    >>> bnn.symmetry.symmetrize(map_, random_seed=1).attrs["bayesnn_symmetry"]
    'symmetrized'
    """
    net, params = problem_of(post).net, _params(post, group)
    batch = params["W1"].shape[:-2]
    return _transformed(post, random_symmetry(net, random_seed, batch=batch), group, "symmetrized")


def element_of(tree: "xr.DataTree", *, group: str = "posterior") -> GroupElement:
    """Read the group elements that led from the raw draws to those of a tree.

    Parameters
    ----------
    tree : DataTree
        What `align`, `canonicalize` or `symmetrize` returned.
    group : str
        The group that they worked on.

    Returns
    -------
    GroupElement
        Its inverse brings the draws back, to the bit.

    Raises
    ------
    FitError
        A tree that has not been through one of these functions.
    """
    kind_of(tree)
    check_arguments(group=group)
    name = _symmetry_group_name(group)
    if name not in tree:
        raise FitError(
            f"Got a fit without the group {name!r}, which align, canonicalize and symmetrize write. Call one first."
        )
    layers = range(1, problem_of(tree).net.n_layers)
    found = tree[name].to_dataset()
    return GroupElement(
        tuple(found[f"permutation_{i}"].to_numpy() - 1 for i in layers),
        tuple(found[f"sign_{i}"].to_numpy() for i in layers),
    )


def _symmetry_group_name(group):
    return "symmetry" if group == "posterior" else f"symmetry_{group}"


def _batch(group):
    return ("start",) if group.startswith("optima") else ("chain", "draw")


def _params(tree, group):
    check_arguments(group=group)
    return params_of(tree, group=group, batch=_batch(group))


def _transformed(tree, step, group, how):
    """Copy the tree, apply an element to each draw, keep what was sampled beside it, and check the density."""
    import xarray as xr

    problem, before = problem_of(tree), _params(tree, group)
    net, batch = problem.net, _batch(group)
    after = apply_symmetry(before, step, net)
    _require_same(before, after, problem)
    new, name = tree.copy(), _symmetry_group_name(group)
    element = step @ element_of(tree, group=group) if name in tree else step
    if name not in tree:
        new[f"{group}_raw"] = xr.DataTree(tree[group].to_dataset())
    dims = net.dims()
    dataset = tree[group].to_dataset()
    new[group] = xr.DataTree(dataset.assign({k: ((*batch, *dims[k]), v) for k, v in after.items() if k in dims}))
    coords = {d: dataset[d] for d in batch} | {k: v for k, v in problem.coords.items() if k.startswith("hidden")}
    variables = {}
    for layer, (p, s) in enumerate(zip(element.permutations, element.signs, strict=True), start=1):
        variables[f"permutation_{layer}"] = ((*batch, f"hidden_{layer}"), p + 1)
        variables[f"sign_{layer}"] = ((*batch, f"hidden_{layer}"), s)
    new[name] = xr.DataTree(xr.Dataset(variables, coords=coords))
    if group == "posterior" and "standard_error" in tree:
        errors = {str(k): v.to_numpy() for k, v in tree["standard_error"].data_vars.items() if k in dims}
        unsigned = GroupElement(step.permutations, tuple(np.ones_like(s) for s in step.signs))[(0,) * len(batch)]
        moved = apply_symmetry(errors, unsigned, net)
        new["standard_error"] = xr.DataTree(
            tree["standard_error"].to_dataset().assign({k: (dims[k], v) for k, v in moved.items()})
        )
    new.attrs["bayesnn_symmetry"] = how
    return new


def _some_draws(params, problem):
    """Up to 1,000 draws, fewer for large data, with one batch dimension; which they are; and of how many."""
    batch = params["W1"].shape[:-2]
    widest = max(*problem.net.sizes(problem.X.shape[1], len(problem.output_names)), 1)
    n, most = math.prod(batch), 20_000_000 // (len(problem.X) * widest)
    rows = spread(n, min(1000, max(20, most)))
    return {k: v.reshape(n, *v.shape[len(batch) :])[rows] for k, v in params.items()}, rows, n


def density_of_some(params: Params, problem: Problem) -> np.ndarray:
    """Log densities of evenly spaced draws, flattened; minus infinity for the others."""
    few, rows, n = _some_draws(params, problem)
    density = np.full(n, -np.inf)
    density[rows] = _log_density(few, problem.net.forward(few, problem.X), problem)
    return density


def _log_density(params, f, problem):
    """Log-likelihood plus log-prior of each weight vector with outputs f."""
    net = problem.net
    return net.loss.logp(problem.y, f, **net.likelihood_args(params)).sum(axis=-1) + log_prior(params, net)


def _require_same(before, after, problem):
    """Raise unless function and log density are those from before, up to rounding, at up to 1,000 of the draws."""
    net = problem.net
    few = [_some_draws(params, problem)[0] for params in (before, after)]
    last = np.abs(few[0][f"W{net.n_layers}"]).sum(axis=(-2, -1))
    f, g = (net.forward(params, problem.X) for params in few)
    old, new = _log_density(few[0], f, problem), _log_density(few[1], g, problem)
    noise = net.likelihood_args(few[0]).get("noise", 1.0)
    with np.errstate(invalid="ignore"):
        moved = np.abs(f - g).max(axis=(-2, -1)) > 1e-10 * (1 + last)
        # A noise scale far below one magnifies rounding in the function by its inverse.
        changed = np.abs(old - new) > 1e-10 * (len(problem.X) + np.abs(old)) * np.maximum(1, last / noise)
    if moved.any() or changed.any():
        raise FitError(
            f"The function or the log density of {int((moved | changed).sum())} of {len(last)} draws changed, by up to "
            f"{np.nanmax(np.abs(f - g)):.2g} and {np.nanmax(np.abs(old - new)):.2g}; symmetries must not change them. "
            "The tree's attributes may not belong to its draws: pass the tree as the fit returned it."
        )
