"""The picture of a sampler against exact posteriors: what is drawn is what the table says."""

import numpy as np
import pandas as pd
import pytest

from bayesnn.errors import SpecError
from bayesnn.plots import plot_validation
from bayesnn.theory import Validation

NUMBERS = [("line", "E f(1)"), ("line", "sd f(1)"), ("line", "log evidence"), ("skewed", "E noise")]


def validation(z, ess=1000.0):
    index = pd.MultiIndex.from_tuples(NUMBERS, names=["reference", "number"])
    return Validation("mine", pd.DataFrame({"z": z, "ess": ess}, index=index), 4.8)


def marks(ax):
    return [line for line in ax.get_lines() if line.get_gid() == "z"]


def test_every_number_is_drawn_in_standard_errors():
    (ax,) = plot_validation(validation([0.5, -1.0, 2.0, 0.1]))
    assert [float(m.get_xdata()[0]) for m in marks(ax)] == [0.5, -1.0, 2.0, 0.1]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["line", "skewed"]
    assert [int(np.round(m.get_ydata()[0])) for m in marks(ax)] == [0, 0, 0, 1]
    assert "0 of 4 numbers" in ax.get_title()
    assert not ax.texts
    ax.figure.canvas.draw()


def test_what_is_far_off_stands_at_the_edge_with_its_value():
    (ax,) = plot_validation(validation([0.5, -170.0, np.inf, 0.1]))
    assert [t.get_text() for t in ax.texts] == ["2 at the edge, to inf"]
    low, high = ax.get_xlim()
    assert all(low < m.get_xdata()[0] < high for m in marks(ax))
    assert "2 of 4 numbers" in ax.get_title()
    ax.figure.canvas.draw()


def test_what_is_not_believed_is_open():
    (ax,) = plot_validation(validation([0.5, -1.0, 2.0, 0.1], [50, 1000, np.inf, 1000]))
    assert [m.get_markerfacecolor() == "white" for m in marks(ax)] == [True, False, False, False]
    assert "too few effective draws" in [t.get_text() for t in ax.figure.legends[0].get_texts()]


def test_other_things_are_refused():
    for other in (validation([0.5, -1.0, 2.0, 0.1]).table, 3):
        with pytest.raises(SpecError, match="validate_sampler"):
            plot_validation(other)
    with pytest.raises(SpecError, match="without numbers"):
        plot_validation(Validation("mine", validation([0.0] * 4).table.iloc[:0], 4.8))
