"""The picture of Occam's razor: what is drawn is what the table says."""

import numpy as np
import pandas as pd
import pytest

import bayesnn as bnn
from bayesnn.diagnostics import NetworkComparison
from bayesnn.errors import SpecError


def table_of(nets, evidence, likelihood, **more):
    """A table whose numbers are given: nothing is fitted."""
    table = NetworkComparison({"log evidence": evidence, "MAP log-likelihood": likelihood}, index=list(nets))
    table = table.assign(**{"log evidence se": 0.1, "converged": True, **more})
    table.networks = nets
    return table


def grid(sds=(1.0,), widths=(0, 1, 2, 4), **more):
    nets = {
        f"{sd} {h}": bnn.MLP(hidden=(h,) if h else (), noise=0.2, prior=bnn.Normal(sd)) for sd in sds for h in widths
    }
    k = np.arange(len(nets), dtype=float)
    return table_of(nets, -(k**2), k, **more)


def legend(axes):
    return [t.get_text() for t in axes[0].figure.legends[0].get_texts()]


def line_at(ax, places):
    """Values of the lines with marks at these places."""
    return [line.get_ydata() for line in ax.get_lines() if np.array_equal(line.get_xdata(), places)]


def test_widths_are_on_the_axis_with_errors_and_likelihood():
    table = grid()
    axes = bnn.plot_evidence(table)
    assert axes.shape == (2,)
    assert [t.get_text() for t in axes[0].get_xticklabels()] == ["0", "1", "2", "4"]
    assert np.array_equal(line_at(axes[0], range(4))[0], table["log evidence"])
    assert np.array_equal(line_at(axes[1], range(4))[0], table["MAP log-likelihood"])
    (bars,) = [c for c in axes[0].collections if len(c.get_segments()) == 4]
    assert [np.ptp(s[:, 1]) for s in bars.get_segments()] == pytest.approx(4 * [0.2])
    assert axes[0].get_xlabel() == "hidden units"
    assert legend(axes) == ["log evidence ± its error", "at the MAP"]
    axes[0].figure.canvas.draw()


def test_each_prior_has_a_line_and_the_mle_one_for_all():
    mle = [5.0, 6.0, 7.0, 8.0] * 2
    axes = bnn.plot_evidence(grid((1.0, 3.0), **{"MLE log-likelihood": mle}))
    assert legend(axes) == ["Normal(1.0)", "Normal(3.0)", "MLE, whatever the prior"]
    assert any(np.array_equal(found, mle[:4]) for found in line_at(axes[1], range(4)))
    assert {found[0] for found in line_at(axes[0], range(4))} >= {0.0, -16.0}


def test_what_is_far_below_is_marked_and_every_line_is_seen():
    table = table_of(grid().networks, [-300.0, -60.0, -5.0, -6.0], [-290.0, -50.0, 2.0, 3.0])
    axes = bnn.plot_evidence(table)
    assert axes[0].get_ylim()[0] == pytest.approx(-15)
    assert [t.get_text() for t in axes[0].texts] == ["leaves, to -300"]
    assert not len(bnn.plot_evidence(table, depth=500)[0].texts)
    table = grid((1.0, 3.0))
    table["log evidence"] = [-90, -50, -5, -6, -90, -60, -25, -26]
    assert bnn.plot_evidence(table)[0].get_ylim()[0] == pytest.approx(-5 - 1.2 * 20)


def test_networks_that_differ_otherwise_have_their_names():
    nets = {loss: bnn.MLP((2,), loss=loss, noise=0.2) for loss in ("squared_error", "absolute_error", "student_t")}
    mle = {"MLE log-likelihood": [4.0, 5.0, np.inf]}
    axes = bnn.plot_evidence(table_of(nets, [-1.0, -2.0, -3.0], [3.0, np.nan, 1.0], **mle))
    assert [t.get_text() for t in axes[0].get_yticklabels()] == list(nets)
    assert axes[0].get_ylim()[0] > axes[0].get_ylim()[1], "the first is on top"
    assert axes[0].get_xlabel() == "log evidence, nats"
    axes[0].figure.canvas.draw()


@pytest.mark.parametrize("widths", [(0, 1, 2), (2,)])
def test_what_has_not_converged_is_open(widths):
    axes = bnn.plot_evidence(grid(widths=widths, converged=False))
    assert sum(line.get_label() == "_open" for line in axes[0].get_lines()) == len(widths)
    assert "open: the fit has not reached its marks" in legend(axes)


def test_other_tables_and_depths_are_refused():
    table = grid()
    for other in (pd.DataFrame(table), table[["log evidence"]], [1, 2]):
        with pytest.raises(SpecError, match=r"needs a table from bnn\.compare_networks"):
            bnn.plot_evidence(other)
    for depth in (0, -1, "deep"):
        with pytest.raises(SpecError, match="positive number of nats"):
            bnn.plot_evidence(table, depth=depth)
