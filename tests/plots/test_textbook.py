"""Pictures of textbook likelihoods and of the convex contrast: what is drawn is what the results say."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import bayesnn as bnn
from bayesnn.errors import SpecError
from bayesnn.plots import plot_convexity, plot_estimates, plot_likelihood, plot_race
from bayesnn.theory import compare_estimates, convexity, race_weights, textbook_likelihood
from tests.conftest import X5, X_NODE, Y5

COIN = textbook_likelihood("bernoulli", [0, 0, 0, 1, 0])
NODE = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False, prior=bnn.Normal(1.0))
SEPARATED = [0, 0, 1, 1, 1]


def line(ax, label):
    (found,) = [one for one in ax.get_lines() if str(one.get_label()).startswith(label)]
    return np.array(found.get_xdata()), np.array(found.get_ydata())


def legend(axes):
    return [t.get_text() for t in axes[0].figure.legends[0].get_texts()]


def test_the_likelihood_has_its_peak_its_parabola_and_its_intervals():
    data, left, right = plot_likelihood(COIN)
    (bars,) = data.collections
    assert_allclose([s[1] for s in bars.get_segments()], [[0, 0.8], [1, 0.2]])
    assert_allclose(line(data, "observations")[0], COIN.data)
    assert data.get_title() == "of the data: sums to 1"
    p, values = left.get_lines()[0].get_data()
    inside = (p > 0) & (p < 1)
    assert_allclose(values[inside], (p * (1 - p) ** 4)[inside], rtol=1e-12)
    assert_allclose(line(left, "MLE")[0], 0.2)
    assert_allclose(line(left, "Wald")[0], COIN.wald()[0])
    assert_allclose(line(left, "likelihood ratio 95%")[0], COIN.likelihood_ratio()[0])
    p, parabola = line(right, "parabola")
    assert_allclose(parabola, -2.5020121177 - (p - 0.2) ** 2 * 5 / 0.16 / 2, atol=1e-9)
    cut = -2.5020121177 - stats.chi2.ppf(0.95, 1) / 2
    assert_allclose(line(right, "_ends")[1], cut, atol=1e-9)
    assert left.get_title() == "of p: integrates to 0.0333"
    left.figure.canvas.draw()


def test_at_the_border_there_is_no_parabola_and_wald_is_a_point():
    _, left, right = plot_likelihood(textbook_likelihood("poisson", [0, 0, 0]))
    assert "Wald 95%: a point" in legend([left])
    assert not [one for one in right.get_lines() if str(one.get_label()).startswith("parabola")]
    assert len(line(right, "_ends")[0]) == 1, "the other end is the border"


def test_the_surface_peaks_at_the_mle_and_profiles_end_at_the_intervals():
    three = textbook_likelihood("normal", [-1, 0, 1])
    left, right = plot_likelihood(three, prob=0.8)
    assert_allclose(line(left, "MLE"), [[0], [np.sqrt(2 / 3)]], atol=1e-12)
    sigma, profile = line(right, "profile of sigma")
    assert_allclose(profile, three.log_likelihood(0, sigma) + 3.6486179375, atol=1e-9)
    ends = [one.get_xdata() for one in right.get_lines() if one.get_marker() == "o"]
    assert_allclose(ends, three.likelihood_ratio(0.8))
    low, high = left.get_ylim()
    assert 0 < low < three.likelihood_ratio(0.8)[1, 0]
    assert high > three.likelihood_ratio(0.8)[1, 1]


def test_the_density_of_a_number_is_a_curve():
    known = textbook_likelihood("normal", [-1, 0, 1], sigma=2.0)
    y, density = plot_likelihood(known)[0].get_lines()[0].get_data()
    assert_allclose(density, stats.norm(0, 2).pdf(y), rtol=1e-12)
    assert y.min() < -4 < 4 < y.max()


def test_estimates_have_a_panel_for_each_prior():
    found = compare_estimates(COIN, priors=[(1, 1), (5, 5), (2, 8), (0.5, 0.5)], copies=(1, 4, 16))
    axes = plot_estimates(found)
    assert len(axes) == 4
    for ax in axes:
        rows = found.table.loc[ax.get_title()]
        for name in ("MLE", "MAP", "mean"):
            (drawn,) = [one for one in ax.get_lines() if one.get_label() == name]
            assert_allclose(drawn.get_xydata(), np.column_stack([[5, 20, 80], rows[name]]))
    assert legend(axes) == ["95% of the posterior", "MLE", "MAP", "mean", "mean by logit"]


def test_a_valley_is_a_line_and_a_bowl_has_a_point():
    found = convexity(bnn.MLP((), noise=1.0, prior=bnn.Normal(1.0)), np.column_stack([X5, 2 * X5]), Y5)
    axes = plot_convexity(found)
    assert [ax.get_title() for ax in axes] == ["NLL: a valley", "NLL + penalty: one optimum"]
    assert axes[0].get_lines()[0].get_ydata() == [0, 0]
    # From the point of the valley that is nearest to zero the MAP lies along the steepest direction and the bias only.
    (x,), _ = axes[1].get_lines()[0].get_data()
    assert x == pytest.approx(0, abs=1e-9)
    bowl = plot_convexity(convexity(bnn.MLP((), noise=0.3, prior=bnn.Normal(1.0)), X5, Y5))
    assert [len(ax.get_lines()) for ax in bowl if ax.get_title()] == [1, 1]


def test_a_separated_node_has_no_point_without_a_prior():
    found = convexity(NODE, X_NODE, SEPARATED)
    left, right = plot_convexity(found)
    assert [ax.get_title() for ax in (left, right)] == ["NLL: no optimum", "NLL + penalty: one optimum"]
    assert len(left.get_lines()) == 1
    curve, point = right.get_lines()
    assert_allclose(point.get_xdata(), [1.0913832], atol=1e-7)
    assert curve.get_ydata().min() >= point.get_ydata()[0] - 1e-12


def test_a_race_has_its_paths_and_the_optima_that_exist():
    held = {"X_new": [[-0.5], [1.0]], "y_new": [1, 1]}
    race = race_weights(NODE, X_NODE, SEPARATED, steps=300, prior_sds=(1, 10), progressbar=False, **held)
    left, right = plot_race(race)
    assert legend([left]) == ["Flat()", "Normal(1)", "Normal(10)", "optimum"]
    assert_allclose(line(left, "Flat()"), [race.steps[1:], race.norm[0, 1:]])
    optima = [one.get_ydata()[0] for one in left.get_lines() if one.get_label() == "_optimum"]
    assert_allclose(optima, [1.0913832, 5.0366772], atol=1e-7)
    drawn = [one.get_ydata() for one in right.get_lines() if len(one.get_xdata()) > 1]
    assert_allclose(drawn[::2], race.held_out[:, 1:])
    assert_allclose(drawn[1::2], race.train[:, 1:])


@pytest.mark.parametrize("plot", [plot_likelihood, plot_estimates, plot_convexity, plot_race])
def test_other_things_are_refused(plot):
    with pytest.raises(SpecError, match=r"Got list; the picture is of .*bnn\.theory"):
        plot([0, 1])
