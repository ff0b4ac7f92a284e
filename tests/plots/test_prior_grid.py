"""The small multiples of priors and numbers of rows."""

import numpy as np
import pytest

from bayesnn.errors import SpecError
from bayesnn.plots import plot_prior_grid
from bayesnn.theory.prior_grid import PriorGrid


def test_each_panel_has_its_answers_and_its_rows():
    x, X, y = np.linspace(0, 1, 5), np.array([0.1, 0.9, 0.5]), np.array([0.0, 1.0, 0.4])
    cells = {
        (sd, n): {
            "map": [sd] * 5,
            "mean": [n] * 5,
            "lower": [-1.0] * 5,
            "upper": [100.0] * 5,
            "log_likelihood": -1.0,
            "log_evidence": -2.0,
        }
        for sd in (0.5, 2.0)
        for n in (1, 3)
    }
    mle = {n: {"f": [10.0 * n] * 5, "log_likelihood": 0.0, "exists": True} for n in (1, 3)}
    axes = plot_prior_grid(PriorGrid(x, X, y, 0.9, mle, cells, False, {}))
    assert axes.shape == (2, 2)
    lines = {line.get_label(): line for line in axes[1, 0].get_lines()}
    assert np.array_equal(lines["MAP"].get_ydata(), [2.0] * 5)
    assert np.array_equal(lines["MLE"].get_ydata(), [10.0] * 5)
    assert np.array_equal(lines["posterior mean"].get_ydata(), [1.0] * 5)
    assert np.array_equal(lines["data"].get_xdata(), [0.1])
    assert len({line.get_label(): line for line in axes[0, 1].get_lines()}["data"].get_xdata()) == 3
    assert axes[0, 1].get_title() == "3 rows"
    assert axes[1, 0].get_ylabel() == "y, prior sd 2"
    assert axes[0, 0].get_ylim()[1] < 10, "a band without bounds does not hide the rest"
    axes[0, 0].figure.canvas.draw()


def test_what_is_no_grid_is_refused():
    with pytest.raises(SpecError, match="Got dict; the picture is of what"):
        plot_prior_grid({})
