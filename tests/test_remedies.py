"""What an error advises is done to the letter, and the fit then succeeds."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize_scalar

import bayesnn as bnn
from bayesnn.tree import params_of, problem_of
from tests.conftest import X5, Y5


def fit(function, net, X, y, **kwargs):
    options = {"restarts": 3, "random_seed": 1, "progressbar": False} | kwargs
    return function(net, X, y, **options)


@pytest.mark.parametrize("noise", [bnn.LogNormal(-1.5, 0.5), bnn.InverseGamma(3.0, 0.3)], ids=repr)
def test_a_noise_prior_that_vanishes_at_zero_leaves_every_answer(noise, tmp_path):
    net = bnn.MLP(hidden=(3,), noise=noise)
    map_ = fit(bnn.fit_map, net, X5, Y5, restarts=6)
    assert map_.attrs["bayesnn_exists"] == 1
    assert "6 of 6 starts converged (6 minimum)" in map_.attrs["bayesnn_message"]
    # Given the residuals, the best noise solves one equation in one unknown.
    r = Y5 - net.forward(params_of(map_), X5[:, None])[0, 0, :, 0]
    oracle = (
        stats.lognorm(0.5, scale=np.exp(-1.5)) if isinstance(noise, bnn.LogNormal) else stats.invgamma(3, scale=0.3)
    )
    u = minimize_scalar(
        lambda u: -(stats.norm(0, np.exp(u)).logpdf(r).sum() + oracle.logpdf(np.exp(u))),
        bounds=(-6, 1),
        options={"xatol": 1e-10},
    ).x
    assert map_.posterior.noise.item() == pytest.approx(np.exp(u), rel=1e-6)
    post = bnn.fit_posterior(net, X5, Y5, draws=300, tune=500, target_accept=0.97, random_seed=1, progressbar=False)
    assert post.posterior.noise.to_numpy().min() > 0.01
    table = bnn.compare(map_, post)
    assert np.isfinite(table.loc[["log-likelihood", "log-prior", "noise"]].to_numpy()).all()
    for tree in (map_, post):
        back = bnn.load_fit(bnn.save_fit(tree, tmp_path / "fit.nc"))
        assert problem_of(back).net == net
        assert bnn.score(back) == bnn.score(tree)
