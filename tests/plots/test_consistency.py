"""The picture of a study: what is drawn is what its table says."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import bayesnn as bnn
from bayesnn.errors import SpecError
from bayesnn.plots import plot_consistency
from bayesnn.theory import consistency_study


@pytest.fixture(scope="module")
def study():
    line, truth = bnn.MLP((), noise=0.2), {"W1": [[1.0]], "b1": [0.5]}
    return consistency_study(
        line, truth, (20, 80), 10, inputs=stats.norm(), restarts=1, random_seed=1, progressbar=False
    )


def test_distances_coverage_and_ratios_are_those_of_the_table(study):
    ((distances, coverage, ratio),) = plot_consistency(study)
    lines = {line.get_label(): line.get_ydata() for line in coverage.get_lines()}
    assert_allclose(lines["Wald's intervals"], study.table["Wald"])
    assert_allclose(lines["region of the likelihood ratio"], study.table["likelihood ratio"])
    drawn = [container.lines[0].get_ydata() for container in distances.containers]
    for values, column in zip(drawn, ("raw", "aligned", "function error"), strict=True):
        assert_allclose(values, study.table[column])
    points = ratio.get_lines()[0]
    assert_allclose(points.get_ydata(), np.sort(study.replicates.xs(80, level="n")["likelihood ratio"]))
    assert_allclose(points.get_xdata()[0], stats.chi2(2).ppf(0.05))
    distances.figure.canvas.draw()


def test_several_studies_have_a_row_each(study):
    axes = plot_consistency({"one": study, "two": study})
    assert axes.shape == (2, 3)
    assert axes[1, 0].get_title() == "two: distance to the truth"


@pytest.mark.parametrize("other", [1, {}, {"a": 1}])
def test_other_things_are_refused(other):
    with pytest.raises(SpecError, match="what consistency_study returns"):
        plot_consistency(other)
