"""The picture of a singular study: what is drawn is what the table says."""

import numpy as np
import pytest

from bayesnn.errors import SpecError
from bayesnn.plots import plot_singular
from bayesnn.theory.singular import SingularStudy


def study(sizes=(20, 80), replicates=2):
    """A study whose numbers are given: nothing is fitted."""
    names = ("log_evidence_se", "wbic_se", "learning_coefficient_se", "pareto_k")
    return SingularStudy(
        tuple(
            {
                **dict.fromkeys(names, 0.1),
                "replicate": r,
                "n": n,
                "parameters": 10,
                "truth": 3.0 * n,
                "log_evidence": -3.0 * n - 2 * np.log(n) - r,
                "wbic": 3.0 * n + 1.9 * np.log(n),
                "bic": 3.0 * n + 5 * np.log(n),
                "waic": -3.0 * n - 2,
                "loo": -3.0 * n - 2.1,
                "learning_coefficient": 2.0 + r,
                "converged": True,
            }
            for r in range(replicates)
            for n in sizes
        ),
        False,
        {},
    )


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_the_criteria_stand_above_the_truth():
    axes = plot_singular(study())
    (evidence,) = [c for c in axes[0].containers if c.get_label() == "-log evidence"]
    assert evidence[0].get_ydata() == pytest.approx(2 * np.log([20, 80]) + 0.5)
    (bic,) = [c for c in axes[0].containers if c.get_label() == "BIC/2"]
    assert bic[0].get_ydata() == pytest.approx(5 * np.log([20, 80]))
    (loo,) = [c for c in axes[1].containers if c.get_label() == "-LOO elpd"]
    assert loo[0].get_ydata() == pytest.approx([2.1, 2.1])
    axes[0].figure.canvas.draw()


def test_both_slopes_begin_at_the_evidence():
    ax = plot_singular(study())[0]
    for label, slope in (("λ log n, λ = 2.50", 2.5), ("d/2 log n, d/2 = 5", 5.0)):
        line = lines(ax)[label]
        assert line.get_ydata()[0] == pytest.approx(2 * np.log(20) + 0.5)
        assert np.diff(line.get_ydata()) == pytest.approx(slope * np.diff(np.log(line.get_xdata())))


def test_one_size_of_one_replicate_is_drawn():
    axes = plot_singular(study((50,), 1))
    assert axes[2].get_ylim()[1] > 5
    axes[0].figure.canvas.draw()


def test_what_is_no_study_is_refused():
    with pytest.raises(SpecError, match="Got list; the picture is of what"):
        plot_singular([])
