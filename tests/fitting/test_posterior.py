"""A run that diverges is repeated, an interrupted one leaves what there is."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytensor
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from scipy.special import logsumexp

import bayesnn as bnn
from bayesnn.errors import ConvergenceWarning
from bayesnn.fitting import chains as nuts
from bayesnn.fitting.chains import TARGETS, _repeat
from bayesnn.fitting.density import ModelDensity
from bayesnn.model import model_of
from bayesnn.tree import prepare
from tests.conftest import X5, Y5
from tests.test_truths import close_to_mean

OPTIONS = {"random_seed": 1, "progressbar": False}
CALM = {"target_accept": 0.97, **OPTIONS}


def sampler(counts, *, total=4000, kept=None):
    """Stand in for a sampler: as many divergences as given for each run, and draws that say at which target."""

    def sample(target):
        diverged = counts[TARGETS.index(target)]
        if diverged is None:
            raise KeyboardInterrupt
        draws = np.full((2, total // 2, 1), target)
        if kept is not None and target != TARGETS[0]:
            draws[1, kept:] = np.nan
        diverging = np.arange(total).reshape(2, -1, order="F") < diverged
        return {"b1": draws}, xr.Dataset({"diverging": (("chain", "draw"), diverging)})

    return sample


@pytest.mark.parametrize(
    ("counts", "kept", "tried"),
    [
        ([0], 0.8, {0.8: 0}),
        ([4], 0.8, {0.8: 4}),
        ([5, 0], 0.95, {0.8: 5, 0.95: 0}),
        ([43, 9, 2], 0.99, {0.8: 43, 0.95: 9, 0.99: 2}),
        ([43, 12, 20], 0.95, {0.8: 43, 0.95: 12, 0.99: 20}),
        ([43, 60, 50], 0.8, {0.8: 43, 0.95: 60, 0.99: 50}),
        ([43, 43, 50], 0.95, {0.8: 43, 0.95: 43, 0.99: 50}),
    ],
)
def test_more_than_one_divergence_in_a_thousand_makes_a_repetition(counts, kept, tried):
    params, stats, target, found, _ = _repeat(sampler(counts), 2000, 2, TARGETS, False)
    assert (params["b1"] == kept).all()
    assert (target, found) == (kept, tried)
    assert int(stats.diverging.sum()) == tried[kept]


def test_a_target_that_was_asked_for_is_not_exceeded():
    params, _, target, tried, ended = _repeat(sampler([43]), 2000, 2, TARGETS[:1], False)
    assert (target, tried, ended) == (0.8, {0.8: 43}, "draws")
    assert (params["b1"] == 0.8).all()


@pytest.mark.parametrize("sample", [sampler([43, None]), sampler([43, 0], kept=10)], ids=["raised", "partial"])
def test_an_interrupted_repetition_leaves_the_run_before_it(sample):
    with pytest.warns(ConvergenceWarning, match="repetition at target_accept=0.95 was interrupted: the run before it"):
        params, stats, target, tried, ended = _repeat(sample, 2000, 2, TARGETS, False)
    assert params["b1"].shape == (2, 2000, 1)
    assert (target, tried, ended) == (0.8, {0.8: 43}, "interrupted")
    assert stats.sizes["draw"] == 2000


def test_an_interrupted_first_run_leaves_the_draws_that_every_chain_has():
    def sample(target):
        draws = np.arange(12.0).reshape(2, 6, 1)
        draws[1, 4:] = np.nan
        return {"b1": draws}, xr.Dataset({"diverging": (("chain", "draw"), np.ones((2, 6), dtype=bool))})

    with pytest.warns(ConvergenceWarning, match="4 of 6 draws"):
        params, stats, target, tried, ended = _repeat(sample, 6, 2, TARGETS, False)
    assert_allclose(params["b1"], sample(0.8)[0]["b1"][:, :4])
    assert stats.sizes["draw"] == 4
    assert (target, tried, ended) == (0.8, {0.8: 8}, "interrupted")
    with pytest.raises(KeyboardInterrupt):
        _repeat(sampler([None]), 2000, 2, TARGETS, False)


def test_an_interrupted_first_run_leaves_the_chains_that_are_whole():
    with pytest.warns(ConvergenceWarning, match="Sampling was interrupted: 2 of 5 chains are kept"):
        params, _, _, _, ended = _repeat(sampler([43]), 2000, 5, TARGETS, False)
    assert params["b1"].shape == (2, 2000, 1)
    assert ended == "interrupted"


@pytest.fixture(scope="module")
def smallest():
    return bnn.MLP((1,), bias=False, noise=0.3), bnn.load_data("two_weights")


def test_the_smallest_network_is_sampled_again_by_itself(smallest, monkeypatch, capsys):
    net, data = smallest
    with pytest.warns(ConvergenceWarning, match="or leave it out: the run is then repeated") as told:
        first = bnn.fit_posterior(net, data, target_accept=0.8, **OPTIONS)
    diverged = first.attrs["bayesnn_divergences"]
    assert diverged > 4
    assert f"{diverged} of 4000 draws diverged at target_accept=0.8: the sampler missed" in str(told[0].message)
    post = bnn.fit_posterior(net, data, random_seed=1)
    assert f"{diverged} of 4000 draws diverged at target_accept=0.8: sampling again at 0.95." in " ".join(
        capsys.readouterr().err.split()
    )
    assert post.attrs["bayesnn_target_accept"] == 0.95
    assert post.attrs["bayesnn_divergences"] == int(post.sample_stats.diverging.sum()) == 0
    assert post.attrs["bayesnn_message"] == (
        f"{diverged} of 4000 draws diverged at target_accept=0.8, 0 at 0.95; the run at 0.95 is kept."
    )
    assert bnn.diagnose(post).trustworthy
    f = net.forward({k: post.posterior[k].to_numpy() for k in ("W1", "W2")}, np.array([[1.5]]))[..., 0, 0]
    assert close_to_mean(f, 0.89373583)

    # Ctrl-C in the repetition.
    compiled = nuts.SAMPLERS["nutpie"]

    def interruptible(*args):
        sample = compiled(*args)

        def run(target, **options):
            if target > 0.8:
                raise KeyboardInterrupt
            return sample(target, **options)

        return run

    monkeypatch.setitem(nuts.SAMPLERS, "nutpie", interruptible)
    with pytest.warns(ConvergenceWarning) as told:
        kept = bnn.fit_posterior(net, data, **OPTIONS)
    assert "the run before it is kept" in str(told[0].message)
    assert str(told[1].message).endswith("Raise it to target_accept=0.95.")
    xr.testing.assert_identical(kept.posterior.to_dataset(), first.posterior.to_dataset())
    assert kept.attrs["bayesnn_target_accept"] == 0.8


def test_chains_that_start_at_once_leave_pytensor_as_it_was():
    density = ModelDensity(model_of(prepare(bnn.MLP((2,), prior=bnn.Hierarchical()), X5, Y5)), jacobian=True)
    before = pytensor.config.mode
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(density.prior_draw, [1, 2, 3, 4, 1, 2, 3, 4]))
    assert pytensor.config.mode == before
    np.testing.assert_array_equal(found[:4], found[4:])
    assert len({tuple(x) for x in found}) == 4


def test_a_run_without_divergences_is_that_of_the_first_target(sine, sine_net):
    short = {"draws": 50, "tune": 200, **OPTIONS}
    default, asked = (bnn.fit_posterior(sine_net, sine.X, sine.y, target_accept=t, **short) for t in (None, 0.8))
    assert default.attrs["bayesnn_message"] == "0 of 200 draws diverged at target_accept=0.8."
    xr.testing.assert_identical(default.posterior.to_dataset(), asked.posterior.to_dataset())


@pytest.mark.parametrize(
    ("data", "net"),
    [
        (bnn.load_data("diabetes", random_seed=1), bnn.MLP(hidden=(2,))),
        (bnn.load_data("diabetes", random_seed=1), bnn.MLP(hidden=(), loss="absolute_error")),
        (bnn.load_data("iris"), bnn.MLP(hidden=(), loss="cross_entropy")),
    ],
    ids=["integrated out", "whole", "classes"],
)
def test_pointwise_log_densities_are_those_of_the_score(data, net):
    post = bnn.fit_posterior(net, data, draws=250, tune=300, log_likelihood=True, **CALM)
    assert post.attrs["bayesnn_scaling"]
    pointwise = logsumexp(post.log_likelihood.y, axis=(0, 1)) - np.log(1000)
    assert pointwise.mean() == pytest.approx(bnn.score(post)["lppd"], rel=1e-10)


def test_pointwise_log_densities_follow_the_units_of_several_targets():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 1))
    Y = np.column_stack([X[:, 0], -2 * X[:, 0]]) + rng.normal(size=(30, 2))
    plain, other = (
        bnn.fit_posterior(
            bnn.MLP(hidden=(), noise=0.7), X, Y * unit, scaling="standard", draws=20, log_likelihood=True, **OPTIONS
        ).log_likelihood.y
        for unit in ([1.0, 1.0], [1e3, 0.25])
    )
    assert_allclose(other, plain - np.log(250.0), rtol=1e-9)
