"""What one may do to the units of a network, and what that does to likelihood, prior and function: in NumPy."""

from dataclasses import dataclass

import numpy as np

from bayesnn.network import Params
from bayesnn.playground.answers import function_at, grid_of
from bayesnn.playground.settings import Settings
from bayesnn.symmetry.group import act, flip_level, symmetry_group
from bayesnn.tree import prepare

SAME = 1e-9
"""Changes up to this, relative to 1 or to the number if that is larger, are rounding."""


@dataclass(frozen=True)
class Levels:
    """What weights are worth.

    Parameters
    ----------
    log_likelihood, log_prior : float
        At these weights, in the user's units.
    curve : array (m,)
        The function at `grid_of` the settings for one input, at the rows for two.
    """

    log_likelihood: float
    log_prior: float
    curve: np.ndarray


@dataclass(frozen=True)
class Changes:
    """What a move has changed, each number positive where it has grown.

    Parameters
    ----------
    log_likelihood, log_prior : float
        Differences.
    curve : float
        Largest absolute difference.
    same_likelihood, same_prior, same_curve : bool
        Whether that is no more than rounding.
    """

    log_likelihood: float
    log_prior: float
    curve: float
    same_likelihood: bool
    same_prior: bool
    same_curve: bool

    @property
    def largest(self) -> float:
        """Largest absolute change of the three."""
        return max(abs(self.log_likelihood), abs(self.log_prior), self.curve)


class Moves:
    """Weights whose units are permuted and flipped.

    Parameters
    ----------
    settings : Settings
        State of the page.
    weights : dict of str to array
        Where one starts.

    Examples
    --------
    >>> import numpy as np
    >>> from bayesnn.playground.moves import Moves
    >>> from bayesnn.playground.settings import Settings
    >>> weights = {"W1": [[1.0, -2.0]], "b1": [0.5, 0.0], "W2": [[1.5], [0.3]], "b2": [0.1]}
    >>> moves = Moves(Settings(), {name: np.array(value) for name, value in weights.items()})
    >>> moves.permute()
    'Units 1 and 2 have changed places'
    >>> moves.weights["W1"]
    array([[-2.,  1.]])
    >>> moves.last.same_likelihood, moves.last.same_prior, moves.order
    (True, True, 8)
    """

    def __init__(self, settings: Settings, weights: Params):
        self.settings, self.net = settings, settings.net
        self.problem = prepare(self.net, settings.X, settings.y, scaling=settings.scaling)
        group = symmetry_group(self.net, settings.X.shape[1], len(self.problem.output_names))
        self.order, self.likelihood_order = group.order, group.likelihood_order
        """How many arrangements keep likelihood and prior, and how many the likelihood."""
        self.start = {name: np.asarray(value, dtype=float) for name, value in weights.items()}
        self.at_start = self._levels(self.start)
        self.back()

    def back(self) -> None:
        """Go back to the weights that one started from."""
        self.weights = self.start
        self.now = self.before = self.at_start
        self.units = [list(range(m)) for m in self.net.hidden]
        """For each layer which of its first units stands where."""
        self.incoming, self.outgoing = ([np.ones(m, dtype=int) for m in self.net.hidden] for _ in range(2))
        """Signs that each of its first units has taken, of what enters it and of what leaves it."""
        self._pairs, self._next = 0, 0

    @property
    def last(self) -> Changes:
        """What the last move has changed."""
        return changes(self.before, self.now)

    @property
    def all(self) -> Changes:
        """What all moves have changed since the start."""
        return changes(self.at_start, self.now)

    @property
    def may_permute(self) -> bool:
        """Whether there are two units in a layer."""
        return any(m > 1 for m in self.net.hidden)

    def permute(self) -> str:
        """Let two neighbours change places, the next pair each time.

        Returns
        -------
        str
            What has been done.
        """
        pairs = [(layer, i) for layer, m in enumerate(self.net.hidden) for i in range(m - 1)]
        layer, i = pairs[self._pairs % len(pairs)]
        self._pairs += 1
        order = np.arange(self.net.hidden[layer])
        order[[i, i + 1]] = i + 1, i
        self._move(act(self.weights, layer + 1, order, np.ones_like(order), self.net))
        units = self.units[layer]
        units[i], units[i + 1] = units[i + 1], units[i]
        first, second = sorted(units[i : i + 2])
        return f"Units {first + 1} and {second + 1}{self._of(layer)} have changed places"

    def flip(self) -> str:
        """Flip the signs of what enters the next unit and of what leaves it.

        A sigmoid's next bias takes up the constant. Where the activation has no such symmetry, both signs are
        flipped all the same.

        Returns
        -------
        str
            What has been done.
        """
        layer, unit, sign = self._next_unit()
        self._move(act(self.weights, layer + 1, np.arange(len(sign)), sign, self.net))
        self.incoming[layer][unit] *= -1
        if not self.net.phi.even:
            self.outgoing[layer][unit] *= -1
        shifted = flip_level(self.net) and self.net.has_bias(layer + 2)
        more = ", and the next bias has taken up the constant" if shifted else ""
        both = "all its incoming signs" if self.net.phi.even else "its incoming and outgoing signs"
        return f"Unit {unit + 1}{self._of(layer)} has flipped {both}{more}"

    def flip_one_side(self) -> str:
        """Flip the signs of what enters the next unit, and leave what leaves it.

        Returns
        -------
        str
            What has been done.
        """
        layer, unit, sign = self._next_unit()
        W, b = f"W{layer + 1}", f"b{layer + 1}"
        moved = dict(self.weights)
        moved[W] = moved[W] * sign
        if self.net.has_bias(layer + 1):
            moved[b] = moved[b] * sign
        self._move(moved)
        self.incoming[layer][unit] *= -1
        return f"Unit {unit + 1}{self._of(layer)} has flipped the signs of what enters it alone"

    def _next_unit(self):
        """Layer, name and sign pattern of the unit whose turn it is, by the names that units have at the start."""
        named = [(layer, unit) for layer, m in enumerate(self.net.hidden) for unit in range(m)]
        layer, unit = named[self._next % len(named)]
        self._next += 1
        return layer, unit, np.where(np.array(self.units[layer]) == unit, -1, 1)

    def _of(self, layer):
        return f" of layer {layer + 1}" if len(self.net.hidden) > 1 else ""

    def _move(self, weights):
        self.before, self.weights = self.now, weights
        self.now = self._levels(weights)

    def _levels(self, weights):
        X = grid_of(self.settings) if self.settings.X.shape[1] == 1 else self.settings.X
        return Levels(
            float(self.problem.log_likelihood(weights)),
            float(self.net.log_prior(weights)),
            function_at(self.problem, weights, X),
        )


def changes(before: Levels, after: Levels) -> Changes:
    """Compare what two weight vectors are worth.

    Parameters
    ----------
    before, after : Levels
        Of one network and data.

    Returns
    -------
    Changes
        From the first to the second.
    """
    likelihood, prior = after.log_likelihood - before.log_likelihood, after.log_prior - before.log_prior
    curve = float(np.abs(after.curve - before.curve).max())
    return Changes(
        likelihood,
        prior,
        curve,
        abs(likelihood) <= SAME * max(1.0, abs(before.log_likelihood)),
        abs(prior) <= SAME * max(1.0, abs(before.log_prior)),
        curve <= SAME * max(1.0, float(np.abs(before.curve).max())),
    )
