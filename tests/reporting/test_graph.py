"""Where circles and lines of the network stand."""

import numpy as np
import pytest

import bayesnn as bnn
from bayesnn.reporting.graph import MOST_UNITS, THICK, THIN, graph_of
from bayesnn.tree import prepare
from tests.conftest import X5, Y5, random_params


def test_every_weight_is_a_line_as_wide_as_it_is_large():
    problem = prepare(bnn.MLP((2, 3), noise=0.3), X5, Y5)
    params = random_params(problem, (), seed=1)
    graph = graph_of(problem, params)
    weights = np.concatenate([params[f"W{k}"].ravel() for k in (1, 2, 3)])
    assert len(graph.lines) == weights.size == 2 + 6 + 3
    width = THIN + (THICK - THIN) * np.abs(weights) / np.abs(weights).max()
    assert [line.width for line in graph.lines] == pytest.approx(width, abs=0.006)
    assert [line.sign == "negative" for line in graph.lines] == (weights < 0).tolist()
    assert graph.lines[0].words == f"W1[x1, 1] = {params['W1'][0, 0]:.3g}"
    assert graph.words == "A network with 1 input then 2 hidden units then 3 hidden units then 1 output."


def test_a_wide_layer_is_shortened():
    graph = graph_of(prepare(bnn.MLP((25,), noise=0.3), X5, Y5), None)
    assert len(graph.lines) == 2 * (MOST_UNITS - 1)
    assert [node.name for node in graph.nodes if node.text == "⋮"] == ["16 more"]
    assert {line.sign for line in graph.lines} == {""}
    assert len({(node.x, node.y) for node in graph.nodes}) == len(graph.nodes)
