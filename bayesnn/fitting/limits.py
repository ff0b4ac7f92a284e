"""Where an optimisation that runs off to infinity is going: end points followed to the limits they tend to."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize

from bayesnn.fitting.blas import single_threaded
from bayesnn.fitting.candidates import join, proposals, step
from bayesnn.fitting.climb import audit_ends, climb, newton
from bayesnn.fitting.closure import WORDS, Closure
from bayesnn.fitting.objective import Objective
from bayesnn.fitting.recession import recession
from bayesnn.network import MLP, Params
from bayesnn.symmetry.optima import compared_rows, mean_at, same_function, same_optimum
from bayesnn.tree import Problem

ROUNDS = 6
"""Most times that a limit is itself followed on."""
DETOURS = 8
"""Most times that a limit is left for finite weights that are better."""
ROUGH = 1e-5
"""Most that a search which is not finished may lack, in nats, of where it will end."""
MOVES = 40
"""Most rows that the hyperplanes of steps are moved over."""
LARGE = 20.0
"""Spread of a unit's arguments, or of the terms of an output relative to their sum, from which weights are large."""
NEARBY = 0.02
"""Distance from a limit, in nats and of functions relative to their size, of what is on its way there."""
COST = 1.0
"""Most that the log density may lose, in nats, where a unit is put at a limit and the output layer refitted."""
TRIED = 3
"""Most units (or groups of them) whose limits are tried at a time."""
NEAREST = 4
"""Rows nearest to a step's hyperplane that are tried in between."""
GONE = 800.0
"""Margin at which a probability differs from its limit by less than the smallest number."""
FOLLOWED = (2, 12, 12_000)
"""Fewest and most different end points that are followed outward, the highest first; and of how many numbers, rows
times parameters, as many as that are."""
TOO_MANY = 50_000
"""Rows times parameters from which following takes minutes, and is left."""
STEPS = (1.5, 30.0)
"""Scales at which a limit is compared with finite weights whose other parameters are optimised."""


@dataclass(frozen=True, eq=False, repr=False)
class Limit:
    """A function that a network tends to and does not reach.

    Parameters
    ----------
    closure : Closure
        The network with the units that are at a limit.
    x : array (size,)
        Its flat vector.
    value : float
        Negative log density of the limit, in the units the model works in.
    direction : dict of str to array, optional
        Of the output layer (and the cutpoints), where its weights grow as well.
    """

    closure: Closure
    x: np.ndarray
    value: float
    direction: dict | None = None

    def __repr__(self):
        """Show what it is made of, and how high it is."""
        return f"Limit({self.describe()}; log-likelihood {self.log_likelihood:.10g})"

    @property
    def log_likelihood(self) -> float:
        """Log-likelihood of the limit, for densities in the user's units."""
        offset = {name: GONE * by for name, by in (self.direction or {}).items()}
        at_limit = self.closure.having(self.closure.pieces, offset=offset).log_likelihood(self.x)
        return at_limit - self.closure.problem.log_units

    def weights(self, scale: float) -> Params:
        """Finite weights on the path to the limit: the larger the scale, the nearer.

        Parameters
        ----------
        scale : float
            Above 1: of a jet the inverse of the distance between its units, of a step the argument of the row that is
            nearest to it, of an output layer how far it has gone along its direction.

        Returns
        -------
        dict of str to array
            Parameters, as `MLP.forward` takes them.
        """
        if self.direction is None:
            return self.closure.weights(self.x, scale)
        offset = {name: min(scale, 1e3) * by for name, by in self.direction.items()}
        return self.closure.having(self.closure.pieces, offset=offset).weights(self.x, scale)

    def path(self) -> tuple[np.ndarray, np.ndarray]:
        """Log density along the path.

        Returns
        -------
        scales : array (s,)
            From 2 to 10^10.
        values : array (s,)
            Log densities at the finite weights of these scales, of densities in the user's units; without a prior
            they are log-likelihoods, and tend to `log_likelihood`.
        """
        scales = 10.0 ** np.arange(0.25, 10.01, 0.25)
        values = np.array([self.closure.density_at(self.weights(scale)) for scale in scales])
        return scales, values - self.closure.problem.log_units

    @property
    def is_reachable(self) -> bool:
        """Whether finite weights on the path have a density at all: doubles may overflow before they come near."""
        with np.errstate(all="ignore"):
            return bool(np.isfinite(self.path()[1]).any())

    def nearest(self) -> float:
        """Scale at which finite weights come closest to the limit; beyond it rounding grows."""
        scales, values = self.path()
        gap = np.abs(values + self.closure.problem.log_units + self.value)
        return scales[np.flatnonzero(gap <= max(2 * np.nanmin(gap), slack(self.value)))[0]]

    def describe(self) -> str:
        """Say what the function is made of."""
        pieces, net = self.closure.pieces, self.closure.problem.net
        words = [piece.describe(self.closure.problem) for piece in pieces]
        parts = []
        for piece, word in zip(pieces, words, strict=True):
            count, (one, several) = words.count(word), WORDS[piece.kind]
            parts.append(word if count == 1 else f"{count} {word.replace(one, several)}")
        ordinary = sum(net.hidden) - sum(len(piece.units) for piece in pieces)
        if ordinary and pieces:
            parts.append("an ordinary unit" if ordinary == 1 else f"{ordinary} ordinary units")
        text = " and ".join(dict.fromkeys(parts))
        if self.direction is not None:
            text += f"{' with ' if text else ''}output weights that grow along one direction"
        return text


def follow(problem: Problem, objective: Objective, end: np.ndarray, *, smooth: bool) -> Limit | None:
    """Follow an end point outward to the limit that it tends to.

    Parameters
    ----------
    problem : Problem
        What is fitted; its weights have flat priors.
    objective : Objective
        The negative log density of the finite network.
    end : array (size,)
        The end point.
    smooth : bool
        Whether loss and activation have a gradient everywhere.

    Returns
    -------
    Limit or None
        None where nothing tends to a limit that is at least as high as the end point.
    """
    state = start_of(problem, objective, end)
    separated = recede(state)
    if separated is not None and separated.value <= slack(0.0):
        # Every row's likelihood tends to 1: there is nothing above that.
        return separated
    states = [state]
    for _ in range(ROUNDS):
        state = states[-1]
        starts = [(state.closure.having(pieces), x) for pieces, x in proposals(state.closure, state.x)]
        found = _refit(starts, worst=state.value)
        found = found and _move_steps(found)
        if found is None or found.value > state.value + ROUGH:
            break
        states.append(found)
    for found in states[:0:-1]:
        found = _polish(found, smooth)
        if found.value <= min(state.value for state in states) + slack(found.value):
            return recede(found) or found
    return recede(states[0])


def outward(
    problem: Problem,
    objective: Objective,
    ends: np.ndarray,
    audit: dict[str, np.ndarray],
    *,
    kinks: np.ndarray,
    smooth: bool,
) -> list[Limit]:
    """Follow end points that are flat, large or not converged, and say which of them are on their way to a limit.

    Parameters
    ----------
    problem : Problem
        What is fitted.
    objective : Objective
        Its negative log density.
    ends : array (n, size)
        End points; better ones that are found on the way take their places.
    audit : dict of str to array (n,)
        As `audit_ends` gives it, with ``value``; changed in place: an end point on its way to a limit has the signature
        "infinity" and has not converged, and one that is none of the first few that were followed has not either.
    kinks, smooth
        As for `climb`.

    Returns
    -------
    list of Limit
        Of the end points that were followed.
    """
    limits, followed, grow = [], 0, flat_parts(problem.net)["W"]
    fewest, most, numbers = FOLLOWED
    size = len(problem.X) * max(objective.size, 1)
    most = min(most, max(fewest, numbers // size)) if size <= TOO_MANY else 0
    f = mean_at(problem.net, objective.unpack(ends), compared_rows(problem.X))
    open_ = np.isfinite(audit["value"])
    strict = is_strict(problem, audit)
    with single_threaded():
        while open_.any():
            i = int(np.argmin(np.where(open_, audit["value"], np.inf)))
            alike = open_ & same_optimum(-audit["value"], f, i)
            open_ &= ~alike
            settled = strict[i] and not _large(problem, objective, ends[i])
            if settled and (not most or recede_from(problem, objective, ends[i]) is None):
                continue
            if followed == most:
                audit["converged"][alike & ~strict] = False
                continue
            followed += 1
            limit, end = recede_from(problem, objective, ends[i]), None
            if grow:
                limit, end = _follow_and_check(problem, objective, ends[i], kinks, smooth)
            if end is not None:
                ends[i] = end
                values, again = audit_ends(objective, end[None], kinks=kinks)
                audit["value"][i] = values[0]
                for name in again:
                    audit[name][i] = again[name][0]
            if limit is not None:
                limits.append(limit)
                # Others that are not there yet are lower, with a function that is not quite the same.
                at_limit = mean_at(problem.net, limit.weights(limit.nearest()), compared_rows(problem.X))
                near = open_ & ~strict & (audit["value"] < limit.value + NEARBY)
                near[near] = same_function(f[near], at_limit, tolerance=NEARBY)
                open_ &= ~near
                alike |= near
                audit["signature"][alike] = "infinity"
                audit["converged"][alike] = False
    # Better end points may have come to where others are on their way to infinity.
    f, strict = mean_at(problem.net, objective.unpack(ends), compared_rows(problem.X)), is_strict(problem, audit)
    for i in np.flatnonzero(audit["signature"] == "infinity"):
        alike = same_optimum(-audit["value"], f, i) & ~strict
        audit["signature"][alike], audit["converged"][alike] = "infinity", False
    return limits


def is_strict(problem: Problem, audit: dict[str, np.ndarray]) -> np.ndarray:
    """Which end points are strict local maxima, but for the directions that change no function."""
    return audit["converged"] & (audit["n_negative"] == 0) & (audit["n_zero"] <= _idle(problem))


def _idle(problem):
    """Dimension of the continuous symmetry of the network's function at a regular point."""
    net, shapes = problem.net, problem.shapes
    if net.hidden and net.phi.scales:
        return sum(net.hidden)
    if net.hidden and net.phi.linear:
        return sum(h**2 for h in net.hidden)
    last = net.n_layers
    return shapes[f"W{last}"][0] + net.has_bias(last) if net.loss.name == "cross_entropy" else 0


def _large(problem, objective, end):
    """Whether hidden units are nearly steps, or output weights cancel each other."""
    net, params = problem.net, objective.unpack(end)
    if not net.hidden:
        return False
    H, last = compared_rows(problem.X), net.n_layers
    for layer in range(1, last):
        Z = H @ params[f"W{layer}"] + params.get(f"b{layer}", 0.0)
        if np.ptp(Z, axis=0).max() > LARGE:
            return True
        H = net.phi(Z)
    parts = H[:, :, None] * params[f"W{last}"]
    return bool((np.std(parts, axis=0).sum(axis=0) > LARGE * np.std(parts.sum(axis=1), axis=0)).any())


def _follow_and_check(problem, objective, end, kinks, smooth):
    """Limit of an end point, unless finite weights reach or exceed it; then these weights, where they are better."""
    better = None
    for _ in range(DETOURS):
        limit = follow(problem, objective, end, smooth=smooth)
        if limit is None:
            break
        highest, attained = None, False
        for scale in STEPS:
            held, value = _hold(limit, objective, scale)
            # Far out rounding makes the two equal: only weights of moderate size can show that they reach the limit.
            attained |= scale == STEPS[0] and value <= limit.value + slack(limit.value)
            x, _, _ = climb(objective, held, kinks=kinks, smooth=smooth, maxiter=2000)
            if highest is None or objective(x)[0] < objective(highest)[0]:
                highest = x
        beaten = objective(highest)[0] < limit.value - slack(limit.value)
        if not beaten:
            return (None if attained else limit), better
        # Weights that are finite, or at least nearer, are better: perhaps they tend to something higher still.
        end = better = highest
    return None, better


def _hold(limit, objective, scale):
    """Optimise everything but the weights that grow, which stay on the path at a scale."""
    closure, held = limit.closure, {}
    params = limit.weights(scale)
    x = objective.pack(params)
    for name, shape in zip(objective.names, objective.shapes, strict=True):
        held[name] = np.zeros(shape, dtype=bool)
        for piece in closure.pieces:
            if name in (f"W{piece.layer}", f"b{piece.layer}"):
                held[name][..., list(piece.units)] = True
            if piece.kind == "kink" and name == f"W{piece.layer + 1}":
                held[name][list(piece.units)] = True
        if limit.direction is not None and name in limit.direction:
            held[name] |= limit.direction[name] != 0
    fixed = np.concatenate([np.ravel(held[name]) for name in objective.names])
    if fixed.all():
        return x, objective(x)[0]

    def partly(part):
        value, gradient = objective(np.where(fixed, x, part))
        return value, np.where(fixed, 0.0, gradient)

    found = minimize(partly, x, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "maxcor": 30, "ftol": 1e-14})
    return np.where(fixed, x, found.x), float(found.fun)


def start_of(problem: Problem, objective: Objective, end: np.ndarray) -> Limit:
    """Begin with a network none of whose units is at a limit."""
    closure = Closure(problem, (), dict(zip(objective.names, objective.shapes, strict=True)))
    return Limit(closure, np.array(end, dtype=float), float(closure(end)[0]))


def without_hidden(problem: Problem, found: dict[str, Any]) -> Limit:
    """Limit of a network without hidden layers along a direction of recession.

    Parameters
    ----------
    problem : Problem
        Labels or counts.
    found : dict
        What `recession` says of the inputs.

    Returns
    -------
    Limit
        With the weights that the direction leaves free at their best.
    """
    params = {name: np.zeros(shape) for name, shape in problem.shapes.items()}
    if problem.net.loss.task == "ordinal":
        params["cutpoints"] = np.arange(float(problem.y.max()))
    closure = Closure(problem, (), {name: np.shape(value) for name, value in params.items()})
    x = closure.pack(params)
    return recede(Limit(closure, x, float(closure(x)[0])), found)  # type: ignore[return-value]  # there is a direction


def recede_from(problem: Problem, objective: Objective, end: np.ndarray) -> Limit | None:
    """Let the output layer of an end point grow, as `recede` does; None for regression."""
    return None if problem.net.loss.task == "regression" else recede(start_of(problem, objective, end))


def recede(state: Limit, found: dict[str, Any] | None = None) -> Limit | None:
    """Let the output layer grow along a direction in which no row's log-likelihood falls and some rise for ever.

    The features of the last hidden layer are a design matrix, and whether there is such a direction is a linear
    programme: for these features its answer is exact.

    Parameters
    ----------
    state : Limit
        A network with or without units at a limit.
    found : dict, optional
        What `recession` says of its features, where that is known.

    Returns
    -------
    Limit or None
        None for regression, or where there is no such direction.
    """
    closure, problem = state.closure, state.closure.problem
    net, last = problem.net, problem.net.n_layers
    if net.loss.task == "regression":
        return None
    grows = flat_parts(net)
    features = closure.outputs(state.x)[1]
    ones = np.ones((len(features), int(net.has_bias(last) and grows["b"])))
    design = np.column_stack([features[:, : features.shape[1] * grows["W"]], ones])
    found = found or recession(problem, design)
    if found is None:
        return None
    direction, by = {}, found["direction"]
    outputs = len(problem.output_names) if net.loss.task == "classes" else 1
    coefficients = by[: design.shape[1] * outputs].reshape(outputs, -1).T
    if grows["W"]:
        direction[f"W{last}"] = coefficients[: features.shape[1]]
    if ones.shape[1]:
        direction[f"b{last}"] = coefficients[-1]
    if net.loss.task == "ordinal":
        direction["cutpoints"] = by[design.shape[1] :]
    # In units in which the slowest rising row's margin is the scale, measured from where it is zero.
    direction = {name: value / found["slowest"] for name, value in direction.items()}
    params = closure.unpack(state.x)
    parts = [params[f"W{last}"]] if grows["W"] else []
    parts += [params[f"b{last}"][None]] if ones.shape[1] else []
    gone = found["extent"](np.r_[np.vstack(parts).T.ravel(), params.get("cutpoints", ())]) * found["slowest"]
    if "cutpoints" in direction:
        # They must stay in order.
        gaps, by = np.diff(params["cutpoints"]), np.diff(direction["cutpoints"])
        gone = min([gone, *(0.9 * gaps[by > 0] / by[by > 0])])
    start = closure.pack({name: value - gone * direction.get(name, 0.0) for name, value in params.items()})
    far = closure.having(closure.pieces, layers=[last], offset={k: GONE * v for k, v in direction.items()})
    x, _, _ = climb(far, start, kinks=np.zeros(far.size), smooth=net.loss.smooth, maxiter=500)
    return Limit(closure, x, float(far(x)[0]), direction)


def flat_parts(net: MLP) -> dict[str, bool]:
    """Whether the weights and the biases have flat priors, and may grow without bound."""
    return {"W": net.prior.flat, "b": (net.prior.bias or net.prior).flat}


def slack(value: float) -> float:
    """Difference of two log densities that rounding may make."""
    return 1e-12 * (10 + abs(value))


def _refit(starts, *, worst):
    """Optimise closures from their starts: the output layer of each, then everything in the most promising ones."""
    ready = []
    for closure, start in starts:
        outer = closure.having(closure.pieces, layers=[closure.problem.net.n_layers])
        x = newton(outer, _descend(outer, start, 20), np.zeros(outer.size))
        value = closure(x)[0]
        # A limit that an end point is close to costs little before anything but the output layer is refitted.
        if np.isfinite(value) and value <= worst + COST:
            ready.append((value, closure, x))
    # A few steps tell which of them lead somewhere.
    ready = [(closure, _descend(closure, x, 40)) for _, closure, x in sorted(ready, key=lambda one: one[0])[:TRIED]]
    for closure, x in sorted(ready, key=lambda one: one[0](one[1])[0]):
        x = _descend(closure, x, 300)
        value = closure(x)[0]
        if np.isfinite(value):
            return Limit(closure, x, float(value))
    return None


def _descend(objective, x, maxiter):
    options = {"maxiter": maxiter, "maxcor": 30, "ftol": 1e-13, "gtol": 1e-7}
    return minimize(objective, x, jac=True, method="L-BFGS-B", options=options).x


def _polish(limit, smooth):
    """Optimise a limit to the last digit."""
    closure = limit.closure
    x, _, _ = climb(closure, limit.x, kinks=np.zeros(closure.size), smooth=smooth, maxiter=500)
    return replace(limit, x=x, value=float(closure(x)[0]))


def _move_steps(limit):
    """Move the hyperplanes of steps over rows that are better off on the other side or in between."""
    for _ in range(MOVES):
        better = next(_neighbours(limit), None)
        if better is None:
            return limit
        limit = better
    return limit


def _neighbours(limit):
    """Better limits whose steps differ at one row (or several equal ones)."""
    closure, x = limit.closure, limit.x
    for place, piece in enumerate(closure.pieces):
        if piece.kind != "step":
            continue
        unit = piece.units[0]
        H, Z = closure.arguments(x, piece.layer)
        z = Z[:, unit]
        sides = []
        gone = (piece.side == 0) & (np.abs(z) > 6.0)
        if gone.any():
            sides.append(np.where(gone, np.sign(z), piece.side))
        if piece.layer == closure.problem.net.n_layers - 1:
            # What the likelihood gains as a row's activation leaves its limit; only the nearest rows can do so first.
            pull = closure.pulls(x, piece)[:, 0] * piece.side
            distance = np.abs(H @ piece.direction[:-1] + piece.direction[-1])
            willing = np.flatnonzero(pull < -1e-7 * (1 + np.abs(pull).max()))
            for row in willing[np.argsort(distance[willing])][:NEAREST]:
                sides.append(np.where((H[row] == H).all(axis=1), 0.0, piece.side))
        for side in sides:
            at = np.where((side == 0) & (piece.side != 0), 2.5 * piece.side, z)
            option = step(closure, piece.layer, unit, H, side, at)
            if option is None:
                continue
            rest = closure.having([p for i, p in enumerate(closure.pieces) if i != place])
            pieces, start = join(rest, x, [option])
            tried = _refit([(rest.having(pieces), start)], worst=limit.value)
            if tried is not None and tried.value < limit.value - slack(limit.value):
                yield tried
