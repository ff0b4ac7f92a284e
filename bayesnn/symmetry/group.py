"""The group of changes of the weights that leave a network's likelihood, and its prior, as they are."""

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import Seed, check_arguments, rng_of
from bayesnn.errors import SpecError
from bayesnn.network import MLP, Params, check_net, check_params
from bayesnn.tree import Inputs, prepare

if TYPE_CHECKING:
    import pandas as pd
    import pymc as pm


type Keep = Literal["posterior", "likelihood"]
"""What a change of the weights is to keep."""


@dataclass(frozen=True, eq=False)
class GroupElement:
    """A permutation and signs for every hidden layer; new unit i is ``signs[i]`` times old unit ``permutations[i]``.

    The sign is that of all weights of the unit, and for an even activation that of what enters it.

    Parameters
    ----------
    permutations : tuple of int array (..., m_l)
        For each hidden layer the old units, counted from 0, in their new order.
    signs : tuple of int array (..., m_l)
        For each hidden layer the signs, +1 or -1, of the units in their new order.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> from bayesnn.symmetry import GroupElement
    >>> g = GroupElement(([1, 2, 0],), ([1, -1, 1],))
    >>> g, g.inverse(), g @ g.inverse()
    (GroupElement(+2 -3 +1), GroupElement(+3 +1 -2), GroupElement(+1 +2 +3))
    """

    permutations: tuple
    signs: tuple

    def __post_init__(self):
        try:
            for name in ("permutations", "signs"):
                object.__setattr__(self, name, tuple(np.asarray(a, dtype=np.int64) for a in getattr(self, name)))
        except (TypeError, ValueError, OverflowError) as error:
            raise SpecError(
                f"Got {name}={getattr(self, name)!r}, which are no whole numbers ({error}); there must be an array for "
                "each layer. Start from bnn.symmetry.random_symmetry."
            ) from error
        if len(self.permutations) != len(self.signs):
            raise SpecError(
                f"Got {len(self.permutations)} permutations and {len(self.signs)} signs; each layer has one of both. "
                "Start from bnn.symmetry.random_symmetry."
            )
        for p, s in zip(self.permutations, self.signs, strict=True):
            valid = p.ndim and p.shape[-1:] == s.shape[-1:] and (np.sort(p, axis=-1) == np.arange(p.shape[-1])).all()
            if not valid or (s**2 != 1).any():
                raise SpecError(
                    f"Got permutation {p} with signs {s}; a permutation of m units holds 0 to m - 1 once each, and the "
                    "m signs are +1 or -1. Start from bnn.symmetry.random_symmetry."
                )

    @classmethod
    def identity(cls, net: MLP, batch: tuple[int, ...] = ()) -> Self:
        """Build the element that changes nothing, for batch dimensions of shape `batch`."""
        shapes = [(*batch, m) for m in net.hidden]
        return cls(tuple(np.broadcast_to(np.arange(s[-1]), s) for s in shapes), tuple(np.ones(s, int) for s in shapes))

    def __matmul__(self, first):
        """Composition: ``(g @ h)`` does h first and then g."""
        pairs = [np.broadcast_arrays(p, q) for p, q in zip(self.permutations, first.permutations, strict=True)]
        signs = zip(self.signs, first.signs, pairs, strict=True)
        return GroupElement(
            tuple(np.take_along_axis(q, p, -1) for p, q in pairs),
            tuple(s * np.take_along_axis(np.broadcast_to(t, p.shape), p, -1) for s, t, (p, _) in signs),
        )

    def inverse(self) -> "GroupElement":
        """Build the element that undoes this one."""
        back = tuple(np.argsort(p, axis=-1) for p in self.permutations)
        return GroupElement(back, tuple(np.take_along_axis(s, p, -1) for s, p in zip(self.signs, back, strict=True)))

    def __getitem__(self, index):
        """Elements at an index of the batch dimensions."""
        return GroupElement(tuple(p[index] for p in self.permutations), tuple(s[index] for s in self.signs))

    def __eq__(self, other):
        """Whether all permutations and signs are the same."""
        if not isinstance(other, GroupElement):
            return NotImplemented
        mine, theirs = self.permutations + self.signs, other.permutations + other.signs
        return len(mine) == len(theirs) and all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))

    def __repr__(self):
        """One signed number a unit, counted from 1; layers are separated by bars."""
        if any(p.ndim > 1 for p in self.permutations):
            return f"GroupElement(batch {self.permutations[0].shape[:-1]})"
        layers = [s * (p + 1) for p, s in zip(self.permutations, self.signs, strict=True)]
        return f"GroupElement({' | '.join(' '.join(f'{unit:+d}' for unit in layer) for layer in layers)})"


def written_order(n: int | float) -> str:
    """Write the number of elements of a group, a huge one by its power of ten: no float holds that of 200 units.

    Parameters
    ----------
    n : int or float
        The order; infinite for a continuum.

    Returns
    -------
    str
        In words or digits.

    Examples
    --------
    >>> from bayesnn.symmetry.group import written_order
    >>> written_order(48), written_order(2**2000)
    ('48', 'about 10^602')
    """
    if isinstance(n, float) and math.isinf(n):
        return "infinitely many"
    return str(int(n)) if n < 10**15 else f"about 10^{int(math.log10(n))}"


def _shown(n):
    """Keep a number that pandas can write."""
    return written_order(n) if isinstance(n, int) and n >= 10**300 else n


def flips(net: MLP, keep: Keep = "posterior") -> tuple[bool, ...]:
    """Say for each hidden layer whether its units may flip: odd and even ones under even priors, or under any priors.

    Sigmoids with a next bias to shift may for the likelihood alone.
    """
    check_arguments(keep=keep)
    layers, plain = range(1, net.n_layers), net.phi.odd or net.phi.even
    if keep == "posterior":
        return tuple(plain and _even_priors(net, layer) for layer in layers)
    return tuple(plain or (net.phi.shifts and _absorbs(net, layer + 1)) for layer in layers)


def leaving(net: MLP, sign: np.ndarray) -> np.ndarray:
    """Signs that what leaves units takes when what enters them takes `sign`: the same, or none if phi is even."""
    return np.ones_like(sign) if net.phi.even else sign


def flip_level(net: MLP) -> float:
    """Give the multiple of its outgoing weights that the next layer must take up when a unit is flipped."""
    return net.phi.level if net.phi.shifts and not net.phi.even else 0.0


def _even_priors(net, layer):
    """Whether the priors of weights and of a layer's biases see no sign."""
    return net.prior.even and (not net.has_bias(layer) or (net.prior.bias or net.prior).even)


def _absorbs(net, layer):
    """Whether layer `layer` can take up a constant: in its biases, or in the cutpoints."""
    return net.has_bias(layer) or (layer == net.n_layers and net.loss.task == "ordinal")


def layer_orders(net: MLP, keep: Keep = "posterior") -> tuple[int, ...]:
    """Count permutations times sign patterns, for each hidden layer."""
    return tuple(math.factorial(m) * 2 ** (m * flip) for m, flip in zip(net.hidden, flips(net, keep), strict=True))


def pick(a: np.ndarray, permutation: np.ndarray, axis: int) -> np.ndarray:
    """Reorder the columns (axis -1) or rows (axis -2) of a batch of matrices by a batch of permutations."""
    batch = np.broadcast_shapes(a.shape[:-2], permutation.shape[:-1])
    index = np.broadcast_to(permutation, (*batch, permutation.shape[-1]))
    return np.take_along_axis(
        np.broadcast_to(a, (*batch, *a.shape[-2:])), index[..., None, :] if axis == -1 else index[..., :, None], axis
    )


def act(params: Params, layer: int, permutation: np.ndarray, sign: np.ndarray, net: MLP) -> Params:
    """Apply one layer's permutation and signs; a flipped sigmoid unit moves its outgoing weights into the next bias."""
    out = {name: np.asarray(value) for name, value in params.items()}
    W, b, V = f"W{layer}", f"b{layer}", f"W{layer + 1}"
    out[W] = pick(out[W], permutation, -1) * sign[..., None, :]
    if b in out:
        out[b] = pick(out[b][..., None, :], permutation, -1)[..., 0, :] * sign
    rows = pick(out[V], permutation, -2)
    out[V] = rows * leaving(net, sign)[..., :, None]
    if flip_level(net) and _absorbs(net, layer + 1) and (sign < 0).any():
        # v phi(a) = v level - v phi(-a)
        _shift(out, layer + 1, flip_level(net) * np.where(sign[..., :, None] < 0, rows, 0.0).sum(axis=-2))
    return out


def _shift(params, layer, amount):
    """Add a constant to the input of a layer, in place: through its bias or, for ordinal targets, the cutpoints."""
    name, amount = (f"b{layer}", amount) if f"b{layer}" in params else ("cutpoints", -amount)
    params[name] = params[name] + amount


def log_prior(params: Params, net: MLP) -> np.ndarray:
    """Log-prior, zero where the scales of a hierarchical prior are missing, as they are from an MLE."""
    missing = net.prior.has_learned_scale and "scale1" not in params
    return (net.flat if missing else net).log_prior(params)


def apply_symmetry(params: Params, element: GroupElement, net: MLP, *, keep: Keep = "likelihood") -> Params:
    """Permute hidden units and flip their signs; the network's function stays the same.

    Parameters
    ----------
    params : dict of str to array
        Parameters with leading batch dimensions, as for `MLP.forward`. Others than weights and biases are kept.
    element : GroupElement
        What to do; its batch dimensions are broadcast against those of `params`.
    net : MLP
        The network.
    keep : {"likelihood", "posterior"}
        Which flips are allowed: ``"posterior"`` refuses those that only the likelihood ignores, of sigmoid units and
        of weights whose prior is not even.

    Returns
    -------
    dict of str to array
        New parameters. Signed permutations are exact: the inverse element gives back every bit.

    Raises
    ------
    SpecError
        Widths that are not the network's, or a sign flip of a unit whose activation or prior has none.

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> from bayesnn.symmetry import GroupElement, apply_symmetry
    >>> net = bnn.MLP(hidden=(2,), bias=False)
    >>> params = {"W1": np.array([[1.0, 2.0]]), "W2": np.array([[3.0], [4.0]])}
    >>> moved = apply_symmetry(params, GroupElement(([1, 0],), ([-1, 1],)), net)
    >>> moved["W1"], moved["W2"].ravel()
    (array([[-2.,  1.]]), array([-4.,  3.]))
    """
    if not isinstance(element, GroupElement):
        raise SpecError(
            f"Got a {type(element).__name__} to apply; it must be a GroupElement. Take one from "
            "bnn.random_symmetry(net)."
        )
    check_params(params, check_net(net), finite=False)
    widths = tuple(p.shape[-1] for p in element.permutations)
    if widths != net.hidden:
        raise SpecError(
            f"Got an element for layers of {widths} units; the network has {net.hidden}. Build it for this network."
        )
    for layer, (sign, allowed) in enumerate(zip(element.signs, flips(net, keep), strict=True), start=1):
        if not allowed and (sign < 0).any():
            raise SpecError(
                f"Got a sign flip in hidden layer {layer}; {net.phi.name} units of this network have none that keeps "
                f"the {keep}. Set the signs to +1."
            )
    return _apply(params, element, net)


def _apply(params, element, net):
    for layer, (permutation, sign) in enumerate(zip(element.permutations, element.signs, strict=True), start=1):
        if layer == 1 and permutation.ndim > 1:
            params = _spread_over(params, permutation.shape[:-1])
        params = act(params, layer, permutation, sign, net)
    return params


def _spread_over(params, shape):
    """Broadcast all parameters against further batch dimensions."""
    params = {k: np.asarray(v) for k, v in params.items()}
    old = params["W1"].shape[:-2]
    batch = np.broadcast_shapes(old, shape)
    return params if batch == old else {k: np.broadcast_to(v, batch + v.shape[len(old) :]) for k, v in params.items()}


def random_symmetry(
    net: MLP, random_seed: Seed = None, *, batch: tuple[int, ...] = (), keep: Keep = "posterior"
) -> GroupElement:
    """Draw uniformly from the finite group of permutations and sign flips.

    Parameters
    ----------
    net : MLP
        The network.
    random_seed : int or numpy.random.Generator, optional
        Source of randomness.
    batch : tuple of int
        Shape of the batch of independent elements.
    keep : {"posterior", "likelihood"}
        ``"likelihood"`` adds the flips that the prior sees, as for `orbit`.

    Returns
    -------
    GroupElement
        With leading dimensions `batch`.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.symmetry.random_symmetry(bnn.MLP(hidden=(3,)), random_seed=2)
    GroupElement(-3 -1 -2)
    """
    check_net(net)
    check_arguments(keep=keep)
    sizes = list(batch) if isinstance(batch, Sequence) and not isinstance(batch, str | bytes) else [-1]
    if not all(isinstance(size, int | np.integer) and not isinstance(size, bool) and size >= 0 for size in sizes):
        raise SpecError(f"Got batch={batch!r}; it must be a tuple of whole numbers, a shape. Write batch=(4, 1000).")
    rng = rng_of(random_seed)
    start = GroupElement.identity(net, batch)
    permutations = tuple(rng.permuted(p, axis=-1) for p in start.permutations)
    signs = zip(start.signs, flips(net, keep), strict=True)
    return GroupElement(permutations, tuple(rng.choice([-1, 1], s.shape) if flip else s for s, flip in signs))


def numbered_elements(net: MLP, indices: Sequence[int] | np.ndarray, keep: Keep = "posterior") -> GroupElement:
    """Build group elements by number: mixed radix over layers, then signs, then the factorial number system."""
    permutations = [np.empty((len(indices), m), dtype=int) for m in net.hidden]
    signs = [np.ones((len(indices), m), dtype=int) for m in net.hidden]
    for row, index in enumerate(indices):
        for layer, (m, flip) in enumerate(zip(net.hidden, flips(net, keep), strict=True)):
            if flip:
                index, pattern = divmod(index, 2**m)
                signs[layer][row] = [-1 if pattern >> i & 1 else 1 for i in range(m)]
            index, code = divmod(index, math.factorial(m))
            left = list(range(m))
            for i in range(m):
                digit, code = divmod(code, math.factorial(m - 1 - i))
                permutations[layer][row, i] = left.pop(digit)
    return GroupElement(tuple(permutations), tuple(signs))


@dataclass(frozen=True)
class Symmetry:
    """One family of changes that keep the likelihood.

    Parameters
    ----------
    kind : str
        Permutation, sign flip, flip with shift, shift by pi, rescaling, rotation, linear map, shift, or a shift of
        logits (in the biases, or in the weights).
    layer : int
        Hidden layer that it acts on, counted from 1; for shifts of logits the output layer.
    words : str
        What it does.
    order : int or float
        Number of its elements; infinite for continuous ones.
    keeps_prior : bool
        Whether it keeps the prior, and with it the posterior, too.
    """

    kind: str
    layer: int
    words: str
    order: int | float
    keeps_prior: bool


@dataclass(frozen=True)
class SymmetryGroup:
    """What `symmetry_group` returns: the families of symmetries of a network.

    Parameters
    ----------
    net : MLP
        The network.
    n_weights : int
        Number of weights and biases.
    symmetries : tuple of Symmetry
        The families that generate the group.
    """

    net: MLP
    n_weights: int
    symmetries: tuple[Symmetry, ...]

    @property
    def order(self) -> int | float:
        """Number of elements that keep likelihood and prior; infinite if there is a continuum of them."""
        return _product(s.order for s in self.symmetries if s.keeps_prior)

    @property
    def likelihood_order(self) -> int | float:
        """Number of elements that keep the likelihood."""
        return _product(s.order for s in self.symmetries)

    @property
    def finite_order(self) -> int:
        """Number of permutations and sign flips: those that `align`, `canonicalize` and `orbit` work with."""
        return math.prod(layer_orders(self.net))

    @property
    def table(self) -> "pd.DataFrame":
        """The families as a pandas DataFrame, one row each."""
        import pandas as pd

        columns = ["hidden layer", "symmetry", "what it does", "elements", "keeps likelihood", "keeps prior"]
        return pd.DataFrame(
            [(s.layer, s.kind, s.words, _shown(s.order), True, s.keeps_prior) for s in self.symmetries],
            columns=columns,
        )

    def __repr__(self):
        """Show the order, then a line a family."""
        count = {1: "no two equivalent weight vectors", math.inf: "a continuum of equivalent weight vectors"}
        head = count.get(self.order, f"{written_order(self.order)} equivalent weight vectors")
        broken = {True: "", False: " (the prior breaks it)"}
        lines = [f"  layer {s.layer}: {s.words}{broken[s.keeps_prior]}" for s in self.symmetries]
        return "\n".join([f"SymmetryGroup: {head} in the posterior, of {self.n_weights} weights", *lines])

    def _repr_html_(self):
        """Show the table in Jupyter."""
        return f"<p>{html.escape(repr(self).splitlines()[0])}</p>{self.table.to_html(index=False)}"


def _product(orders):
    orders = list(orders)
    return math.inf if math.inf in orders else math.prod(orders)


def symmetry_group(net: MLP, n_features: int = 1, n_outputs: int = 1) -> SymmetryGroup:
    r"""List the changes of the weights that no data can see, and say which of them the prior sees.

    Parameters
    ----------
    net : MLP
        The network.
    n_features, n_outputs : int
        Columns of `X` and of the network's output.

    Returns
    -------
    SymmetryGroup
        With attributes ``order``, ``likelihood_order``, ``finite_order``, ``symmetries`` and ``table``.

    See Also
    --------
    check_symmetry : Verify the list on a compiled model, also on one whose prior you have changed.

    Notes
    -----
    With layers of :math:`m_l` units the order is :math:`\prod_l m_l!\,2^{m_l}` for odd and even activations and
    :math:`\prod_l m_l!` otherwise: a flip turns what enters a unit and, if :math:`\phi(-a) = -\phi(a)`, what leaves
    it, but nothing that leaves it if :math:`\phi(-a) = \phi(a)`. Within a layer all priors treat units alike, so
    permutations keep them; flips do if the priors of what they turn are even. What else keeps the likelihood:
    :math:`\phi(-a) = 2 \phi(0) - \phi(a)`, as of a sigmoid, flips a unit if the next bias takes up the constant;
    :math:`\sin(a + \pi) = -\sin a`; a ReLU unit may be rescaled; identity units may be mixed by any invertible matrix;
    softmax ignores a common shift of the logits. A flat prior keeps them all. An activation may have several of
    these: the absolute value is even and may be rescaled.

    References
    ----------
    .. [1] H. J. Sussmann, "Uniqueness of the weights for minimal feedforward nets with a given input-output map",
       Neural Networks 5 (1992).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.symmetry.symmetry_group(bnn.MLP(hidden=(2,), activation="tanh"))
    SymmetryGroup: 8 equivalent weight vectors in the posterior, of 7 weights
      layer 1: reorder the 2 units
      layer 1: flip the sign of a unit's incoming and outgoing weights and its bias
    >>> bnn.symmetry.symmetry_group(bnn.MLP(hidden=(2,), activation="sigmoid")).order
    2
    """
    check_net(net)
    check_arguments(n_features=n_features, n_outputs=n_outputs)
    priors = (net.prior, net.prior.bias or net.prior)
    flat_weights, flat_biases = (prior.flat for prior in priors)
    rows: list[tuple[str, int, str, int | float, bool]] = []
    activation = net.phi
    for layer, m in enumerate(net.hidden, start=1):
        biased, absorbs = net.has_bias(layer), _absorbs(net, layer + 1)
        flat_next = flat_biases if net.has_bias(layer + 1) else not net.prior.proper
        flat_layer = flat_weights and (flat_biases or not biased)
        even_layer = _even_priors(net, layer)
        if m > 1:
            rows.append(("permutation", layer, f"reorder the {m} units", math.factorial(m), True))
        if activation.odd or activation.even:
            turned = "incoming weights" if activation.even else "incoming and outgoing weights"
            words = f"flip the sign of a unit's {turned}{' and its bias' if biased else ''}"
            rows.append(("sign flip", layer, words, 2**m, even_layer))
        if activation.period is not None and biased:
            words = "add pi to a unit's bias and flip its outgoing weights; twice: add 2 pi"
            rows.append(("shift by pi", layer, words, math.inf, flat_biases and net.prior.even))
        if flip_level(net) and absorbs:
            times = "" if flip_level(net) == 1 else f" times {flip_level(net):g}"
            words = f"flip a unit's weights and add its old outgoing weights{times} to the next bias"
            rows.append(("flip with shift", layer, words, 2**m, flat_next and even_layer))
        if activation.scales:
            words = "multiply what enters a unit by c > 0 and divide what leaves it by c"
            rows.append(("rescaling", layer, words, math.inf, flat_layer))
        if activation.linear:
            # Of densities with independent elements only these are the same in all directions (Maxwell).
            rotatable = all(prior.flat or prior.gaussian for prior in priors)
            if m > 1:
                rows.append(("rotation", layer, f"rotate the {m} units: O({m})", math.inf, rotatable))
            words = f"mix the {m} units by any invertible matrix: GL({m})"
            rows.append(("linear map", layer, words, math.inf, flat_layer))
            if biased and absorbs:
                words = "add a constant to a unit's bias and take its effect from the next bias"
                rows.append(("shift", layer, words, math.inf, flat_biases and flat_next))
    if net.loss.ignores_shift(n_outputs):
        last = net.n_layers
        if net.has_bias(last):
            rows.append(("shift of logits (biases)", last, "add a constant to all logits", math.inf, flat_biases))
        words = "add the same vector to the weights of all logits"
        rows.append(("shift of logits (weights)", last, words, math.inf, flat_weights))
    n_weights = sum(math.prod(shape) for shape in net.shapes(n_features, n_outputs).values())
    return SymmetryGroup(net, n_weights, tuple(Symmetry(*row) for row in rows))


def _generate(row, params, net, rng):
    """Apply a random member of a family of symmetries."""
    layer, W, b, V = row.layer, f"W{row.layer}", f"b{row.layer}", f"W{row.layer + 1}"
    out = dict(params)
    if row.kind == "shift of logits (weights)":
        out[W] = out[W] + rng.normal(size=(len(out[W]), 1))
    elif row.kind == "shift of logits (biases)":
        out[b] = out[b] + rng.normal()
    elif row.kind == "shift":
        amount = rng.normal(size=out[b].shape)
        out[b] = out[b] + amount
        _shift(out, layer + 1, -amount @ out[V])
    elif row.kind in ("rescaling", "rotation", "linear map"):
        m = net.hidden[layer - 1]
        A = np.diag(np.exp(rng.normal(size=m))) if row.kind == "rescaling" else rng.normal(size=(m, m)) + 2 * np.eye(m)
        A = np.linalg.qr(A)[0] if row.kind == "rotation" else A
        out |= {W: out[W] @ A, V: np.linalg.solve(A, out[V])} | ({b: out[b] @ A} if b in out else {})
    else:
        m = net.hidden[layer - 1]
        order = np.roll(np.arange(m), 1) if row.kind == "permutation" else np.arange(m)
        sign = np.where((np.arange(m) == rng.integers(m)) & (row.kind != "permutation"), -1, 1)
        if row.kind == "shift by pi":
            out |= {b: out[b] + np.pi * (sign < 0), V: out[V] * sign[:, None]}
        else:
            out = act(out, layer, order, sign, net)
    return out


@dataclass(frozen=True)
class SymmetryCheck:
    """What `check_symmetry` returns: for each family the largest changes that were measured.

    Parameters
    ----------
    rows : tuple of tuple
        Name, whether the prior should be kept, largest absolute change of log-likelihood, of log-prior and of the
        function, and whether what was found is what was claimed.
    """

    rows: tuple[tuple, ...]

    @property
    def ok(self) -> bool:
        """Whether every claim holds."""
        return all(row[-1] for row in self.rows)

    @property
    def table(self) -> "pd.DataFrame":
        """The rows as a pandas DataFrame."""
        import pandas as pd

        changes = [f"{what} changes by" for what in ("log-likelihood", "log-prior", "f")]
        return pd.DataFrame(list(self.rows), columns=["symmetry", "keeps prior", *changes, "as claimed"])

    def __repr__(self):
        """Show the verdict, then a line a family."""
        words = {True: "as claimed", False: "NOT as claimed"}
        lines = [
            f"  {name}: log-likelihood {loglik:.1e}, log-prior {logprior:.1e}, f {f:.1e}: {words[ok]}"
            for name, _, loglik, logprior, f, ok in self.rows
        ]
        return "\n".join([f"SymmetryCheck: {'all as claimed' if self.ok else 'NOT ALL AS CLAIMED'}", *lines])

    def _repr_html_(self):
        """Show the table in Jupyter."""
        return self.table.to_html(index=False)


def check_symmetry(
    net: MLP,
    X: Inputs,
    y: ArrayLike | None = None,
    *,
    random_seed: Seed = None,
    n_points: int = 3,
    claims: dict[str, GroupElement | Callable[[Params], Params]] | None = None,
    model: "pm.Model | None" = None,
) -> SymmetryCheck:
    """Measure each family of symmetries on the compiled log-likelihood, log-prior and function of a model.

    Parameters
    ----------
    net : MLP
        The network.
    X : array (n, p), DataFrame or Dataset
        Inputs.
    y : array (n,) or (n, K), optional
        Targets; left out when `X` is a Dataset.
    random_seed : int, optional
        Seed of the random points and group elements.
    n_points : int
        Number of random weight vectors.
    claims : dict of str to GroupElement or callable, optional
        Further changes of the parameters that are claimed to keep likelihood and prior. A callable takes and returns
        a dictionary of parameters.
    model : pymc.Model, optional
        The model to measure instead of the network's own: one with the same variables whose prior you have changed,
        such as units of unequal scales, which break permutations.

    Returns
    -------
    SymmetryCheck
        With attributes ``ok``, ``rows`` and ``table``. A change counts as none up to 1e-8 relative.

    Raises
    ------
    DataError
        Data that break a rule.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> net = bnn.MLP(hidden=(2,), noise=0.2)
    >>> check = bnn.symmetry.check_symmetry(net, [-1.0, 0.0, 1.0], [0.5, 0.1, -0.4], random_seed=1)
    >>> check.ok, len(check.rows)
    (True, 2)
    """
    import pymc as pm

    from bayesnn.model import model_of

    check_arguments(n_points=n_points)
    if claims is not None and not isinstance(claims, dict):
        raise SpecError(f"Got claims={claims!r}; it must be a dict of names and elements. Write {{'name': element}}.")
    if model is not None and not isinstance(model, pm.Model):
        raise SpecError(
            f"Got model={model!r}; it must be a PyMC model. Take bnn.build_model(net, X, y), or leave it out."
        )
    problem = prepare(net, X, y)
    names, compiled = _compile(model_of(problem) if model is None else model)
    shapes = {**net.shapes(problem.X.shape[1], len(problem.output_names)), "cutpoints": (int(np.max(problem.values)),)}
    rng = rng_of(random_seed)
    group = symmetry_group(net, problem.X.shape[1], len(problem.output_names))
    families: list[tuple[str, bool, Any]] = [(f"layer {s.layer}: {s.kind}", s.keeps_prior, s) for s in group.symmetries]
    families += [(name, True, claim) for name, claim in (claims or {}).items()]

    def move(what, point):
        if isinstance(what, Symmetry):
            return _generate(what, point, net, rng)
        return _apply(point, what, net) if isinstance(what, GroupElement) else what(point)

    changes: dict[str, list] = {name: [] for name, *_ in families}
    for _ in range(n_points):
        point = {name: _random_value(name, shapes.get(name, ()), rng) for name in names}
        before = compiled(*(point[name] for name in names))
        for name, _, what in families:
            moved = move(what, point)
            after = compiled(*(np.asarray(moved[name], dtype=float) for name in names))
            pairs = zip(after, before, strict=True)
            changes[name].append([np.max(np.abs(a - b)) / (1 + np.max(np.abs(b))) for a, b in pairs])
    rows = []
    for name, keeps_prior, _ in families:
        largest = [float(v) for v in np.max(changes[name], axis=0)]
        rows.append((name, keeps_prior, *largest, bool(largest[0] < 1e-8 and (largest[1] < 1e-8) == keeps_prior)))
    return SymmetryCheck(tuple(rows))


def _compile(model):
    """Names of a model's parameters, and its log-likelihood, log-prior and function of their values, untransformed."""
    import pymc as pm
    from pytensor.graph.replace import graph_replace

    outputs = [model.logp(vars=rvs, jacobian=False) for rvs in (model.observed_RVs, model.free_RVs)]
    outputs += model.replace_rvs_by_values([model["f"]])
    inputs, values = [rv.type(rv.name) for rv in model.free_RVs], {}
    for rv, x in zip(model.free_RVs, inputs, strict=True):
        transform = model.rvs_to_transforms[rv]
        values[model.rvs_to_values[rv]] = x if transform is None else transform.forward(x, *rv.owner.inputs)
    # A handful of evaluations is not worth the time that full compilation takes.
    compiled = pm.compile(
        inputs, graph_replace(outputs, values, strict=False), mode="FAST_COMPILE", on_unused_input="ignore"
    )
    return [rv.name for rv in model.free_RVs], compiled


def _random_value(name, shape, rng):
    z = rng.normal(size=shape)
    if name == "noise" or name.startswith("scale"):
        return np.exp(0.3 * z)
    return np.sort(z) if name == "cutpoints" else z
