"""The network as a drawing of lines and circles, without a script: where everything stands."""

from dataclasses import dataclass

import numpy as np

from bayesnn.network import Params
from bayesnn.tree import Problem

MOST_UNITS = 10
"""Units that a layer shows; a wider one shows its first and its last, and says how many are between."""
APART, ACROSS, RADIUS, MARGIN = 46, 210, 15, 26
"""Distances, in pixels."""
THIN, THICK = 0.6, 7.0
"""Widths of lines, of a weight of zero and of the largest one."""
LETTERS = 16
"""Letters of a name that fit beside a circle."""


@dataclass(frozen=True)
class Line:
    """A weight: its ends, its width, its sign (empty where it is not known), and its number in words."""

    x0: float
    y0: float
    x1: float
    y1: float
    width: float
    sign: str
    words: str


@dataclass(frozen=True)
class Node:
    """A unit, or the gap that stands for several: where, what is written in it and beside it."""

    x: float
    y: float
    text: str
    name: str
    side: str


@dataclass(frozen=True)
class Graph:
    """The drawing: its size, lines, nodes, titles of layers, and all of it in words."""

    width: float
    height: float
    lines: tuple[Line, ...]
    nodes: tuple[Node, ...]
    titles: tuple[tuple[float, str], ...]
    words: str
    weighted: bool


def graph_of(problem: Problem, params: Params | None) -> Graph:
    """Lay a network out from left to right.

    Parameters
    ----------
    problem : Problem
        The network, with the names of inputs and outputs.
    params : dict of str to array, optional
        Weights (without batch dimensions) for the widths of the lines; None draws all lines alike.

    Returns
    -------
    Graph
        For the template.
    """
    net = problem.net
    sizes = [len(problem.feature_names), *net.hidden, len(problem.output_names)]
    shown = [_shown(n) for n in sizes]
    height = max(max(map(len, shown)), 2) * APART + 2 * MARGIN
    names = {0: problem.feature_names, len(sizes) - 1: problem.output_names}
    left = 150.0
    places: list[dict[int, tuple[float, float]]] = []
    nodes: list[Node] = []
    for layer, units in enumerate(shown):
        x = left + ACROSS * layer
        top = (height + MARGIN) / 2 - (len(units) - 1) * APART / 2
        places.append({})
        for k, unit in enumerate(units):
            y = top + k * APART
            if unit is None:
                nodes.append(Node(x, y, "⋮", f"{sizes[layer] - len(units) + 1} more", "middle"))
                continue
            places[-1][unit] = x, y
            name = _short(names[layer][unit]) if layer in names else ""
            side = "left" if layer == 0 else "right" if layer == len(sizes) - 1 else ""
            nodes.append(Node(x, y, "" if layer in names else str(unit + 1), name, side))
    largest = 0.0 if params is None else max(np.abs(params[f"W{k}"]).max(initial=0) for k in range(1, net.n_layers + 1))
    lines: list[Line] = []
    for layer in range(1, net.n_layers + 1):
        W = None if params is None else params[f"W{layer}"]
        labels = problem.elements(f"W{layer}", problem.shapes[f"W{layer}"])
        for i, (x0, y0) in places[layer - 1].items():
            for j, (x1, y1) in places[layer].items():
                value = None if W is None else float(W[i, j])
                width = 1.0 if value is None else THIN + (THICK - THIN) * abs(value) / (largest or 1.0)
                sign = "" if value is None else "negative" if value < 0 else "positive"
                said = labels[i * sizes[layer] + j] + ("" if value is None else f" = {value:.3g}")
                lines.append(Line(x0 + RADIUS, y0, x1 - RADIUS, y1, round(width, 2), sign, said))
    last = len(sizes) - 1
    titles = [(left, "inputs")]
    titles += [(left + ACROSS * k, f"layer {k}: {net.phi.name}") for k in range(1, last)]
    titles.append((left + ACROSS * last, "output" if sizes[-1] == 1 else "outputs"))
    words = f"A network with {' then '.join(f'{n} {_layer(k, last, n)}' for k, n in enumerate(sizes))}."
    return Graph(left + ACROSS * last + 150, height, tuple(lines), tuple(nodes), tuple(titles), words, bool(largest))


def _shown(n):
    """Units that are drawn; None stands for those between."""
    return list(range(n)) if n <= MOST_UNITS else [*range(MOST_UNITS - 2), None, n - 1]


def _layer(k, last, n):
    kind = "input" if k == 0 else "output" if k == last else "hidden unit"
    return kind if n == 1 else f"{kind}s"


def _short(name):
    name = str(name)
    return name if len(name) <= LETTERS else f"{name[: LETTERS - 1]}…"
