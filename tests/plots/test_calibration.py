"""The picture of ranks: what is drawn is how far they are from uniform, and what leaves its band stands out."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import bayesnn as bnn
from bayesnn.errors import SpecError
from bayesnn.plots.style import INK, PRIOR
from bayesnn.theory import Calibration

U = np.random.default_rng(1).random((60, 18))


def found(**ranks):
    ranks = pd.DataFrame(ranks)
    return Calibration(ranks, ranks.assign(**dict.fromkeys(ranks, 50)), 0.95, {}, (), False)


def test_curves_are_the_excess_of_the_ranks_and_those_outside_stand_out():
    shown = found(right=U[:, 0], low=U[:, 1] ** 0.3)
    axes = bnn.plots.plot_calibration(shown)
    assert [ax.get_title() for ax in axes] == ["right", "low"]
    points, lower, upper = shown.band
    for ax, name in zip(axes, shown.ranks, strict=True):
        curve = ax.get_lines()[-1]
        share = [(shown.ranks[name] <= t).mean() for t in points]
        assert_allclose(curve.get_ydata(), share - points, atol=1e-12)
        (area,) = ax.collections
        assert_allclose([area.get_datalim(ax.transData).y0, area.get_datalim(ax.transData).y1],
                        [min(lower - points), max(upper - points)])  # fmt: skip
    assert [mpl.colors.to_hex(ax.get_lines()[-1].get_color()).upper() for ax in axes] == [
        INK,
        PRIOR,
    ]
    assert [[t.get_text() for t in ax.texts] for ax in axes] == [[], ["draws too low"]]
    axes[0].figure.canvas.draw()


def test_of_many_quantities_the_least_uniform_are_shown():
    shown = found(**{f"q{k}": U[:, k] for k in range(17)}, narrow=np.round(U[:, 17]) * 0.98 + 0.01)
    axes = bnn.plots.plot_calibration(shown)
    assert len(axes) == 16
    assert "narrow" in [ax.get_title() for ax in axes]
    assert "16 of 18 quantities" in axes[0].figure.get_suptitle()


def test_a_picture_needs_ranks():
    with pytest.raises(SpecError, match=r"bnn\.theory\.calibrate"):
        bnn.plots.plot_calibration(U)
    with pytest.raises(SpecError, match="at least 2"):
        bnn.plots.plot_calibration(found(noise=U[:1, 0]))
