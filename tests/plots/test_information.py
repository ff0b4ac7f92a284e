"""The picture of eigenvalues: those that are there, and a line for those that are not."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayesnn as bnn
from bayesnn.errors import SpecError
from bayesnn.plots import plot_information
from bayesnn.theory import fisher_information

TRUTH = {"W1": [[2.0, 1.5]], "b1": [1.5, -2.0], "W2": [[1.0], [-1.5]], "b2": [0.2]}


def information(**changed):
    return fisher_information(bnn.MLP((2,), noise=0.2), TRUTH | changed, np.linspace(-3, 3, 20))


def test_eigenvalues_are_drawn_and_those_that_are_zero_apart():
    found = {"regular": information(), "no way out": information(W2=[[1.0], [0.0]])}
    (ax,) = plot_information(found)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["regular: rank 7 of 7", "no way out: rank 5 of 7"]
    full, known, empty = ax.get_lines()[:3]
    assert_allclose(full.get_ydata(), found["regular"].eigenvalues)
    assert_allclose(known.get_ydata(), found["no way out"].eigenvalues[:5])
    assert len(empty.get_ydata()) == 2
    assert empty.get_ydata().max() < min(full.get_ydata().min(), known.get_ydata().min())
    assert [t.get_text() for t in ax.texts] == ["no information"]
    ax.figure.canvas.draw()


def test_where_everything_is_known_there_is_no_such_line():
    (ax,) = plot_information(information())
    assert not len(ax.texts)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["rank 7 of 7"]


@pytest.mark.parametrize("other", [[1.0], {}, {"a": 1}])
def test_other_things_are_refused(other):
    with pytest.raises(SpecError, match="what fisher_information returns"):
        plot_information(other)
