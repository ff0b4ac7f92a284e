"""The picture of priors at several widths."""

import numpy as np
import pytest
from scipy.stats import norm

import bayesnn as bnn
from bayesnn.errors import SpecError
from bayesnn.plots import plot_prior_functions
from bayesnn.theory import prior_functions, wide_limit

X = np.linspace(-2, 2, 9)


def test_bands_and_the_wide_limit_are_those_of_the_cells():
    net = bnn.MLP((1,), activation="erf", prior=bnn.Normal(1.0, fan_in=True))
    priors = [net.prior, bnn.Laplace(1.0)]
    found = prior_functions(net, X[::-1], priors=priors, widths=[1, 5], draws=80, curves=3, random_seed=1)
    axes = plot_prior_functions(found)
    assert axes.shape == (2, 2)
    dashed = [line for line in axes[0, 1].get_lines() if line.get_linestyle() == "--"]
    sd = np.sqrt(np.diag(wide_limit(net, X)))
    assert dashed[0].get_ydata() == pytest.approx(norm.ppf(0.95) * sd)
    assert dashed[1].get_ydata() == pytest.approx(-norm.ppf(0.95) * sd)
    assert not [line for line in axes[1, 0].get_lines() if line.get_linestyle() == "--"], "of Laplace none is known"
    assert np.array_equal(axes[0, 0].get_lines()[0].get_xdata(), X)
    assert np.array_equal(axes[0, 0].get_lines()[0].get_ydata(), found.cells[0]["curves"][0][::-1])
    assert axes[0, 0].get_ylim() == axes[0, 1].get_ylim()
    assert axes[0, 1].get_title() == "5 units"
    axes[0, 0].figure.canvas.draw()


def test_several_features_are_refused():
    with pytest.raises(SpecError, match="Got 2 features"):
        plot_prior_functions(prior_functions(bnn.MLP((1,)), np.ones((3, 2)), draws=5))
    with pytest.raises(SpecError, match="Got int"):
        plot_prior_functions(1)
