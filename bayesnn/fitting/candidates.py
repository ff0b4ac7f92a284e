"""Which units of a network may be on their way to which limit: the pieces that `limits.follow` tries."""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from scipy.optimize import linprog

from bayesnn.fitting.closure import Closure, Piece
from bayesnn.network import Params

type Option = tuple[Piece, Callable[[Params], None]]
"""A piece, and what it changes in the parameters."""
type Start = tuple[tuple[Piece, ...], np.ndarray]
"""All pieces of a closure, and where to begin."""

CLOSE = 0.5
"""Difference of two units' activations, relative to their spread, below which they may be on their way to a jet."""


def proposals(closure: Closure, x: np.ndarray) -> list[Start]:
    """List what units may be on their way to.

    Parameters
    ----------
    closure : Closure
        A network with or without units at a limit.
    x : array (size,)
        Its flat vector.

    Returns
    -------
    list of (tuple of Piece, array (size,))
        All pieces of a further closure, with its start.
    """
    net, free = closure.problem.net, []
    for layer in range(1, net.n_layers):
        taken = {u for piece in closure.pieces if piece.layer == layer for u in piece.units}
        H, Z = closure.arguments(x, layer)
        units = [u for u in range(net.hidden[layer - 1]) if u not in taken]
        steps = [p for u in units if (p := _steps(closure, layer, u, H, Z[:, u]))]
        if len(steps) > 1:
            free.append(join(closure, x, [options[0] for options in steps]))
        free += [join(closure, x, [option]) for options in steps for option in options]
        for u in units:
            free += [join(closure, x, [p]) for p in _single(closure, layer, u, H, Z[:, u])]
        free += _several(closure, x, layer, units, Z)
    return free


def join(closure: Closure, x: np.ndarray, options: Sequence[Option]) -> Start:
    """Add pieces to those of a closure.

    Parameters
    ----------
    closure : Closure
        With its pieces.
    x : array (size,)
        Its flat vector.
    options : sequence of (Piece, callable)
        New pieces, and what each changes in the parameters.

    Returns
    -------
    tuple of Piece, array (size,)
        All pieces, and the start.
    """
    params = {k: np.array(v) for k, v in closure.unpack(x).items()}
    for _, change in options:
        change(params)
    return (*closure.pieces, *(piece for piece, _ in options)), closure.pack(params)


def _biased(closure, layer):
    return closure.problem.net.has_bias(layer)


def _steps(closure, layer, unit, H, z):
    """List the steps that a unit may be on its way to: the hyperplane beside the rows, or through the nearest."""
    net = closure.problem.net
    if net.phi.ends is None or np.mean(np.abs(z) > 2.0) < 0.5:
        return []
    side, size, out = np.sign(z), np.abs(z), []
    for reach in (3.0, 1.0, 0.0):
        on = size <= reach
        if out and any(np.array_equal(on, piece.side == 0) for piece, _ in out):
            continue
        option = step(closure, layer, unit, H, np.where(on, 0.0, side), z)
        out += [option] if option is not None else []
    return out


def step(closure: Closure, layer: int, unit: int, H: np.ndarray, side: np.ndarray, z: np.ndarray) -> Option | None:
    """Make a step with given sides.

    Parameters
    ----------
    closure : Closure
        The network.
    layer, unit : int
        Layer, counted from 1, and unit, counted from 0.
    H : array (n, q)
        Inputs of the layer.
    side : array (n,)
        -1 or 1 for each row, 0 on the hyperplane.
    z : array (n,)
        Arguments of the unit, of which those on the hyperplane are a start.

    Returns
    -------
    tuple or None
        The piece, and what it changes in the parameters; None where no hyperplane has these sides.
    """
    direction = _hyperplane(closure, layer, H, side)
    if direction is None:
        return None
    biased, on = _biased(closure, layer), side == 0
    design = np.column_stack([H, np.ones(len(H))]) if biased else H
    inner = np.linalg.lstsq(design[on], np.clip(z[on], -6, 6), rcond=None)[0] if on.any() else np.zeros(design.shape[1])

    def change(params):
        params[f"W{layer}"][:, unit] = inner[: H.shape[1]]
        if biased:
            params[f"b{layer}"][unit] = inner[-1]

    low, high = closure.problem.net.phi.ends
    ends = np.where(side < 0, low, high)
    return Piece("step", layer, (unit,), side=side, direction=direction, ends=ends), change


def _hyperplane(closure, layer, H, side):
    """Direction (u, c) with u.h + c of the given sign at every row, zero where it is zero; None if there is none."""
    biased = _biased(closure, layer) and not _penalised(closure)
    design = np.column_stack([H, np.ones(len(H))]) if biased else H
    unit = np.abs(design).max(axis=0)
    unit[unit == 0] = 1.0
    scaled, on = design / unit, side == 0
    if on.all() or (on.any() and np.linalg.matrix_rank(scaled[on]) >= scaled.shape[1]):
        return None
    q = scaled.shape[1]
    above = np.unique(scaled[~on] * side[~on, None], axis=0)
    equal = {"A_eq": np.column_stack([scaled[on], np.zeros(on.sum())]), "b_eq": np.zeros(on.sum())} if on.any() else {}
    found = linprog(
        np.r_[np.zeros(q), -1.0],
        A_ub=np.column_stack([-above, np.ones(len(above))]),
        b_ub=np.zeros(len(above)),
        bounds=[(-1.0, 1.0)] * q + [(None, 1.0)],
        method="highs",
        **equal,
    )
    if found.x is None or found.x[-1] < 1e-6:
        return None
    direction = found.x[:-1] / unit
    if on.any():
        # The solver's zeros are good to 1e-9 only.
        _, _, basis = np.linalg.svd(design[on])
        null = basis[np.linalg.matrix_rank(design[on]) :]
        direction = null.T @ (null @ direction)
    margins = (design @ direction)[~on] * side[~on]
    if margins.min() <= 0:
        return None
    direction = direction / margins.min()
    return direction if biased else np.r_[direction, 0.0]


def _penalised(closure):
    """Whether biases have a prior that keeps them finite, while weights have none."""
    return not closure.unpenalised


def _single(closure, layer, unit, H, z):
    """List the exponential, straight line or kink that a unit may be on its way to."""
    net, out = closure.problem.net, []
    n_in, biased, next_bias = H.shape[1], _biased(closure, layer), _biased(closure, layer + 1)
    centre = H.mean(axis=0)
    derivatives = net.phi.derivatives
    saturated = np.abs(z).min() > 0.7 and np.ptp(np.sign(z)) == 0
    if saturated and net.phi.tail is not None and biased and not _penalised(closure):
        low, a, k = net.phi.tail
        right = z[0] > 0
        if (next_bias or low == 0) and (not right or net.phi.odd or net.phi.shifts):

            def tail(params):
                W, V = params[f"W{layer}"], params[f"W{layer + 1}"]
                if right:
                    _flip(params, layer, unit, net)
                at = params[f"b{layer}"][unit] + centre @ W[:, unit]
                if next_bias:
                    params[f"b{layer + 1}"] += low * V[unit]
                V[unit] *= a * np.exp(k * at)
                W[:, unit] *= k
                params[f"b{layer}"][unit] = 0.0

            out.append((Piece("tail", layer, (unit,), centre=centre if layer == 1 else np.zeros(n_in)), tail))
    spread = np.ptp(z)
    if (
        0 < spread < 2.0
        and not net.phi.linear
        # The constant part of any other unit has to go into the next bias, which a prior would keep.
        and (net.phi.odd or (next_bias and not _penalised(closure)))
    ):

        def line(params):
            V = params[f"W{layer + 1}"]
            value, slope, *_ = (float(v) for v in derivatives(np.array(z.mean())))
            if next_bias:
                params[f"b{layer + 1}"] += (value - slope * (centre @ params[f"W{layer}"][:, unit])) * V[unit]
            V[unit] *= slope * spread
            params[f"W{layer}"][:, unit] /= spread
            if biased:
                params[f"b{layer}"][unit] = 0.0

        out.append((Piece("line", layer, (unit,)), line))
    if net.phi.ramp and np.mean(np.abs(z) > 3.0) > 0.7:
        size = np.abs(z).max()

        def kink(params):
            params[f"W{layer}"][:, unit] /= size
            if biased:
                params[f"b{layer}"][unit] /= size
            params[f"W{layer + 1}"][unit] *= size

        out.append((Piece("kink", layer, (unit,)), kink))
    return out


def _flip(params, layer, unit, net):
    """Turn a unit round: the same function from the opposite weights."""
    params[f"W{layer}"][:, unit] *= -1
    if f"b{layer}" in params:
        params[f"b{layer}"][unit] *= -1
    if net.phi.shifts and f"b{layer + 1}" in params:
        params[f"b{layer + 1}"] += net.phi.level * params[f"W{layer + 1}"][unit]
    params[f"W{layer + 1}"][unit] *= -1


def _several(closure, x, layer, units, Z):
    """Jets of units that come close to each other, and quadratics of units that come close to constants."""
    net, out = closure.problem.net, []
    if net.phi.linear:
        return out
    turn = net.phi.odd or (net.phi.shifts and _biased(closure, layer + 1))
    phi = net.phi.derivatives
    lines = [p.units[0] for p in closure.pieces if p.layer == layer and p.kind == "line"]
    flat = [u for u in units if np.ptp(Z[:, u]) < 2.0] + lines
    if _biased(closure, layer + 1) and net.phi.smooth and not _penalised(closure):
        for pair in combinations(flat, 2):
            out.append(_quadratic(closure, x, layer, pair, Z))
    jets = [p for p in closure.pieces if p.layer == layer and p.kind == "jet"]
    found = []
    for i, j in combinations(units, 2):
        for sign in (1, -1) if turn else (1,):
            a, b = phi(Z[:, i])[0], phi(sign * Z[:, j])[0]
            gap = np.sqrt(np.mean((a - b) ** 2)) / max(np.std(a), np.std(b), 1e-300)
            found.append((gap, (i, j), (1, sign)))
    found = sorted(f for f in found if f[0] < CLOSE)[:4]
    out += [_jet(closure, x, layer, pair, signs) for _, pair, signs in found]
    for (_, a, s), (_, b, t) in combinations(found, 2):
        if a[0] == b[0]:
            out.append(_jet(closure, x, layer, (*a, b[1]), (*s, t[1])))
    if not net.phi.smooth:
        return out
    for piece in jets:
        first = piece.units[0]
        for u in units:
            for sign in (1, -1) if turn else (1,):
                a, b = phi(Z[:, first])[0], phi(sign * Z[:, u])[0]
                if np.sqrt(np.mean((a - b) ** 2)) < 2 * CLOSE * max(np.std(a), np.std(b)):
                    out.append(_jet(closure, x, layer, (*piece.units, u), (1, 1, sign)))
    return out


def _jet(closure, x, layer, units, signs):
    """Units about their mean, in the direction in which they differ most; a jet takes one more unit in."""
    kept = tuple(p for p in closure.pieces if p.layer != layer or not set(p.units) & set(units))
    known = len(kept) < len(closure.pieces)
    params = {k: np.array(v) for k, v in closure.unpack(x).items()}
    for unit, sign in zip(units, signs, strict=True):
        if sign < 0:
            _flip(params, layer, unit, closure.problem.net)
    W, b, V = params[f"W{layer}"], params.get(f"b{layer}"), params[f"W{layer + 1}"]
    curve = W[:, units] if b is None else np.vstack([W[:, units], b[list(units)]])
    if known:
        curve = np.column_stack([curve[:, :2], np.zeros(len(curve))])
        V[units[2]] = 0.0
    else:
        middle, rows = curve.mean(axis=1), V[list(units)]
        apart = curve - middle[:, None]
        left, spread, right = np.linalg.svd(apart, full_matrices=False)
        k = int(np.abs(rows).max(axis=0).argmax())
        first, moments = left[:, 0], apart @ rows
        V[list(units)] = 0.0
        V[units[0]] = rows.sum(axis=0)
        if len(units) == 2:
            V[units[1]] = (spread[0] * right[0]) @ rows
            curve = np.column_stack([middle, first])
        else:
            # Sums of the output weights times powers of how far each unit is along the curve.
            V[units[2]] = (spread[0] * right[0]) ** 2 @ rows
            bend = V[units[2], k] if V[units[2], k] else 1.0
            curve = np.column_stack([middle, first, moments[:, k] / bend])
    W[:, units] = curve[: len(W)]
    if b is not None:
        b[list(units)] = curve[-1]
    piece = Piece("jet" if len(units) == 2 else "jet3", layer, tuple(units))
    return (*kept, piece), closure.pack(params)


def _quadratic(closure, x, layer, units, Z):
    """Two units with vanishing weights: the steeper one gives the direction of the square."""
    kept = tuple(p for p in closure.pieces if p.layer != layer or not set(p.units) & set(units))
    params = {k: np.array(v) for k, v in closure.unpack(x).items()}
    W, V = params[f"W{layer}"], params[f"W{layer + 1}"]
    first = max(units, key=lambda u: np.ptp(Z[:, u]))
    second = next(u for u in units if u != first)
    W[:, first] /= max(np.ptp(Z[:, first]), 1e-12)
    W[:, second] = 0.0
    V[[first, second]] = 1e-3
    if f"b{layer}" in params:
        params[f"b{layer}"][[first, second]] = 0.0
    return (*kept, Piece("quadratic", layer, (first, second))), closure.pack(params)
