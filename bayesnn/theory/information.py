"""Fisher's information of a network, and what can't be known about its weights however many observations there are."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.data import check_X
from bayesnn.errors import SpecError
from bayesnn.losses import is_ours
from bayesnn.losses.regression import Location
from bayesnn.network import MLP, Params
from bayesnn.symmetry.group import flips
from bayesnn.symmetry.orbit import point_of
from bayesnn.theory.results import Result
from bayesnn.theory.scores import information_root, output_jacobian

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


@dataclass(frozen=True, repr=False, eq=False)
class Information(Result):
    """What `fisher_information` returns.

    Parameters
    ----------
    net : MLP
        The network.
    n : int
        Number of rows whose information is added up.
    names : tuple of str
        Names of the d parameters, units counted from 1, such as ``"W1[1,2]"``.
    matrix : array (d, d)
        The expected information, in the parameters' own units.
    eigenvalues : array (d,)
        Largest first; those beyond the rank are zero exactly.
    directions : array (d, d)
        Eigenvectors, in columns.
    rank : int
        Number of directions that the data say anything about.
    reasons : tuple of (str, int)
        Why there is no information, in words, with the number of directions that each explains.
    tolerance : float
        Of the rank.
    """

    net: MLP
    n: int
    names: tuple[str, ...]
    matrix: np.ndarray
    eigenvalues: np.ndarray
    directions: np.ndarray
    rank: int
    reasons: tuple[tuple[str, int], ...]
    tolerance: float

    @property
    def size(self) -> int:
        """Number d of parameters."""
        return len(self.names)

    @property
    def condition(self) -> float:
        """Largest eigenvalue divided by the smallest; infinite where that is zero."""
        return float(self.eigenvalues[0] / self.eigenvalues[-1]) if self.rank == self.size else np.inf

    @property
    def log_jeffreys(self) -> float:
        """Log density of Jeffreys' prior, up to a constant: half the log determinant; minus infinity if singular."""
        return float(np.log(self.eigenvalues).sum() / 2) if self.rank == self.size else -np.inf

    @property
    def bound(self) -> np.ndarray:
        """Cramér and Rao's bound on the covariance of unbiased estimates (d, d); infinite where it is singular."""
        if self.rank < self.size:
            return np.full_like(self.matrix, np.inf)
        return (self.directions / self.eigenvalues) @ self.directions.T

    @property
    def message(self) -> str:
        """Rank, the directions without information, and Jeffreys' prior, in words."""
        d, lost = self.size, self.size - self.rank
        if not lost:
            words = f"Rank {d} of {d}, condition {self.condition:.3g}: all can be known here, up to symmetry."
        else:
            why = "; ".join(f"{words} ({_directions(k)})" for words, k in self.reasons)
            words = f"Rank {self.rank} of {d}: there is no information in {_directions(lost)}: {why}."
        return f"{words} {self._jeffreys()}"

    def _jeffreys(self):
        net, improper = self.net, ""
        if is_ours(net.loss) and isinstance(net.loss, Location):
            entering = sum(name.startswith((f"W{net.n_layers - 1}[", f"b{net.n_layers - 1}[")) for name in self.names)
            power = entering // net.hidden[-1] if net.hidden else 0
            grows = f"grows with the power {power} of the weights that leave a hidden unit" if power else "is constant"
            improper = f" It is improper: in the weights it {grows}."
        if self.rank < self.size:
            return f"Jeffreys' prior, the root of the determinant, is zero here.{improper}"
        return f"Jeffreys' prior has the log density {self.log_jeffreys:.4g} here, up to a constant.{improper}"

    @property
    def table(self) -> "pd.DataFrame":
        """A row for each eigenvalue, with the least standard deviation in its direction and what moves along it."""
        import pandas as pd

        with np.errstate(divide="ignore"):
            sd = 1 / np.sqrt(self.eigenvalues)
        moves = [self._moves(column) for column in self.directions.T]
        columns = {"eigenvalue": self.eigenvalues, "least sd": sd, "direction": moves}
        return pd.DataFrame(columns, index=pd.RangeIndex(1, self.size + 1, name="direction number"))

    def _moves(self, column):
        largest = np.argsort(-np.abs(column), kind="stable")[:3]
        sign = np.sign(column[largest[0]])
        shown = [i for i in largest if abs(column[i]) > 0.05]
        more = " ..." if np.count_nonzero(np.abs(column) > 0.05) > 3 else ""
        return " ".join(f"{sign * column[i]:+.2f} {self.names[i]}" for i in shown) + more


def _directions(k):
    return f"{k} direction{'' if k == 1 else 's'}"


def fisher_information(
    net: "MLP | xr.DataTree", params: Params | None = None, X: ArrayLike | None = None, *, tolerance: float = 1e-8
) -> Information:
    r"""Add up the expected information of rows about a network's parameters, and name what it does not see.

    Parameters
    ----------
    net : MLP or DataTree
        The network; or an MLE or MAP fit, which brings the other two.
    params : dict of str to array
        One weight vector, with ``noise`` where the network learns it and ``cutpoints`` of ordered labels.
    X : array (n, p)
        Inputs, in the units the model works in.
    tolerance : float
        Singular values of the root of the information, each of whose columns is scaled to length one, count as zero
        below this part of the largest. Rounding makes about 1e-15; weights of a fit are good to about 1e-9.

    Returns
    -------
    Information
        With ``matrix``, ``eigenvalues``, ``rank``, ``condition``, ``bound``, ``reasons``, ``log_jeffreys``,
        ``message`` and ``table``.

    Raises
    ------
    SpecError
        Parameters that are missing, of another shape or several at once, a tolerance that is none, or a loss from
        outside whose information is not known.
    DataError
        Inputs that break a rule.

    Notes
    -----
    :math:`I = \sum_i J_i^\top I_f(x_i) J_i` with the Jacobian :math:`J_i` of outputs, noise and cutpoints by the
    parameters in their own units, and the likelihood's information :math:`I_f` in closed form (a loss of one's own: by
    quadrature). At a singular point the MLE is neither normal nor at a distance of order :math:`1 / \sqrt n`, and the
    evidence falls more slowly than BIC has it.

    Directions are named by looking for such ones as move only what belongs to a unit, then to two units, to the output
    layer, to the first; each is checked to hold no information.

    References
    ----------
    .. [1] S. Watanabe, "Algebraic Geometry and Statistical Learning Theory", Cambridge University Press (2009).
    .. [2] K. Fukumizu, "A regularity condition of the information matrix of a multilayer perceptron network", Neural
       Networks 9 (1996).

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> from bayesnn.theory import fisher_information
    >>> net = bnn.MLP(hidden=(2,), noise=0.2)
    >>> params = {"W1": [[2.0, 1.5]], "b1": [1.5, -2.0], "W2": [[1.0], [-1.5]], "b2": [0.2]}
    >>> X = np.linspace(-3, 3, 50)
    >>> fisher_information(net, params, X).rank
    7
    >>> print(fisher_information(net, params | {"W2": [[1.0], [0.0]]}, X).message)
    Rank 5 of 7: there is no information in 2 directions: what leaves hidden unit 2 is zero (2 directions). Jeffreys'
    prior, the root of the determinant, is zero here. It is improper: in the weights it grows with the power 2 of the
    weights that leave a hidden unit.
    """
    if not isinstance(net, MLP):
        if params is not None or X is not None:
            raise SpecError("Got a fit with parameters or inputs; it brings its own. Write fisher_information(fit).")
        at, net, X, _ = point_of(net, None)
    else:
        if params is None or X is None:
            raise SpecError("Got a network without parameters or inputs. Write fisher_information(net, params, X).")
        at, _, X, _ = point_of(params, net, X)
    if not (isinstance(tolerance, Real) and 0 < tolerance < 1):
        raise SpecError(f"Got tolerance={tolerance!r}; it must be a number between 0 and 1. Write tolerance=1e-8.")
    X = check_X(X, allow_empty_features=not net.hidden, check_constant=False)
    names = check_params(net, at, X.shape[1])
    root = parameter_root(net, at, X)
    size = np.linalg.norm(root, axis=0)
    size = np.where(size > 0, size, 1.0)
    # The triangle has the singular values of the whole, and all d directions even where there are fewer rows.
    triangle = np.linalg.qr(root, mode="r")
    singular = np.linalg.svd(triangle / size, compute_uv=False)
    rank = int((singular > tolerance * singular[0]).sum()) if singular.size and singular[0] > 0 else 0
    _, values, vectors = np.linalg.svd(triangle, full_matrices=True)
    eigenvalues = np.zeros(len(names))
    eigenvalues[:rank] = values[:rank] ** 2
    reasons = tuple(_reasons(net, at, triangle / size, names, rank, tolerance)) if rank < len(names) else ()
    return Information(net, len(X), names, root.T @ root, eigenvalues, vectors.T, rank, reasons, tolerance)


def check_params(net: MLP, params: Params, n_features: int) -> tuple[str, ...]:
    """Name the elements of one weight vector with what else is a parameter, or refuse what is missing or misshapen."""
    last = np.shape(params.get(f"W{net.n_layers}", 0))
    shapes: dict[str, tuple[int, ...]] = net.shapes(n_features, last[-1] if last else 1)
    if net.noise_prior is not None:
        shapes["noise"] = ()
    if net.loss.task == "ordinal":
        shapes["cutpoints"] = np.shape(params.get("cutpoints", [0.0]))
    for name, shape in shapes.items():
        got = np.shape(params[name]) if name in params else None
        if got != shape:
            raise SpecError(
                f"Got {'no ' + name if got is None else f'{name} of shape {got}'}; the network with {n_features} "
                f"inputs has {name} of shape {shape}. Pass one weight vector, such as a fit's."
            )
    return tuple(
        f"{name}[{','.join(str(i + 1) for i in index)}]" if shape else name
        for name, shape in shapes.items()
        for index in np.ndindex(shape)
    )


def parameter_root(net: MLP, params: Params, X: np.ndarray) -> np.ndarray:
    """Root (rows, d) of the expected information about the parameters in their own units."""
    jacobian, args = output_jacobian(net, params, X), net.likelihood_args(params)
    m = jacobian.shape[1]
    root = information_root(net.loss, net.forward(params, X), **args)
    pieces = [root[:, :, :m] @ jacobian]
    if net.noise_prior is not None or "cutpoints" in args:
        pieces.append(root[:, :, m:])
    rows = np.concatenate(pieces, axis=-1).reshape(root.shape[0] * root.shape[1], -1)
    # A noise that is known leaves its own rows empty.
    return rows[rows.any(axis=1)]


def _reasons(net, params, root, names, rank, tolerance):
    """Explain the directions without information, those of the fewest parameters first."""
    if len(root) < len(names):
        return [("there are fewer numbers in the data than parameters", len(names) - rank)]
    found, limit, gathered = np.zeros((len(names), 0)), tolerance * np.linalg.norm(root, 2), {}
    for columns, words in _candidates(net, params, names):
        if found.shape[1] == len(names) - rank:
            break
        _, values, vectors = np.linalg.svd(root[:, columns], full_matrices=True)
        values = np.concatenate([values, np.zeros(len(columns) - len(values))])
        here = np.zeros((len(names), int((values <= limit).sum())))
        here[columns] = vectors[values <= limit].T
        both, sizes, _ = np.linalg.svd(np.hstack([found, here]), full_matrices=False)
        new = int((sizes > 1e-6).sum()) - found.shape[1]
        if new:
            found = both[:, : found.shape[1] + new]
            gathered[words] = gathered.get(words, 0) + new
    return list(gathered.items())


def _candidates(net: MLP, params: Params, names: tuple[str, ...]) -> Iterator[tuple[np.ndarray, str]]:
    """List sets of parameters in which information may be missing, small ones first, and what that would mean."""
    place, units = {name: i for i, name in enumerate(names)}, {}
    for layer, width in enumerate(net.hidden, start=1):
        W, V = params[f"W{layer}"], params[f"W{layer + 1}"]
        shift = [place[f"b{layer + 1}[{k + 1}]"] for k in range(V.shape[1])] if net.has_bias(layer + 1) else []
        shift = shift or [i for name, i in place.items() if name.startswith("cutpoints") and layer == len(net.hidden)]
        for j in range(width):
            into = [place[f"W{layer}[{i + 1},{j + 1}]"] for i in range(len(W))]
            into += [place[f"b{layer}[{j + 1}]"]] if net.has_bias(layer) else []
            out = [place[f"W{layer + 1}[{j + 1},{k + 1}]"] for k in range(V.shape[1])]
            units[layer, j] = (into, out, shift)
    # From the last layer: what twins or dead units of a layer do not let pass is not to be told of the one before.
    for layer in range(len(net.hidden), 0, -1):
        of = f" of layer {layer}" if len(net.hidden) > 1 else ""
        for j in range(net.hidden[layer - 1]):
            yield from _of_unit(net, params, layer, j, f"hidden unit {j + 1}{of}", *units[layer, j])
        for i, j in itertools.combinations(range(net.hidden[layer - 1]), 2):
            both = f"hidden units {i + 1} and {j + 1}{of}"
            same = f"{both} are twins" if _twins(net, params, layer, i, j) else f"{both} can stand in for each other"
            (into, out, shift), (also_into, also_out, _) = units[layer, i], units[layer, j]
            yield np.array([*into, *also_into, *out, *also_out, *shift]), same
    if net.loss.task == "classes" and not net.hidden:
        for at in (*(f"W1[{i + 1}," for i in range(len(params["W1"]))), "b1["):
            row = [i for name, i in place.items() if name.startswith(at)]
            yield np.array(row, dtype=int), "a number can be added to the outputs of all classes"
    first = [i for name, i in place.items() if name.startswith(("W1[", "b1["))]
    yield np.array(first), "the inputs are collinear"
    yield np.arange(len(names)), "several units together"


def _of_unit(net, params, layer, j, unit, into, out, shift):
    """List the sets of parameters of one unit."""
    W, V = params[f"W{layer}"][:, j], params[f"W{layer + 1}"][j]
    still = not W.any() and not (net.has_bias(layer) and params[f"b{layer}"][j])
    if still and not V.any():
        yield np.array(into + out), f"{unit} is dead (all its weights are zero)"
    if net.loss.task == "classes" and layer == len(net.hidden):
        yield np.array(out), "a number can be added to the outputs of all classes"
        yield np.array(shift, dtype=int), "a number can be added to the outputs of all classes"
    yield np.array(into), f"what leaves {unit} is zero" if not V.any() else f"{unit} is flat at every row"
    yield np.array(out), f"what enters {unit} is zero" if still else f"{unit} is zero at every row"
    yield np.array(out + shift), f"{unit} is constant, as the bias after it is"
    yield np.array(into + out + shift), f"what enters {unit} can be exchanged for what leaves it"


def _twins(net, params, layer, i, j):
    """Whether the same enters two units, up to sign where that is a symmetry of the likelihood."""
    W, b = params[f"W{layer}"], params.get(f"b{layer}", np.zeros(params[f"W{layer}"].shape[1]))
    one, two = np.append(W[:, i], b[i]), np.append(W[:, j], b[j])
    signs = (1, -1) if flips(net, "likelihood")[layer - 1] else (1,)
    return any(np.allclose(one, s * two, rtol=1e-6, atol=1e-12) for s in signs)
