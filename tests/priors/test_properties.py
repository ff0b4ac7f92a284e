"""Priors of any scales: their densities are SciPy's, and their penalties have the same minimum."""

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

import bayesnn as bnn

SCALES = st.floats(1e-3, 1e3)
FACTORS = st.floats(0.05, 20.0)
POINTS = st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=20)
ALL = settings(max_examples=60, deadline=None, derandomize=True)


@given(SCALES, st.floats(0.5, 50.0), FACTORS, POINTS)
@ALL
def test_densities_of_weights_are_scipys(scale, nu, factor, points):
    z = np.array(points)
    known = (
        (bnn.Normal(scale), stats.norm(0, scale * factor)),
        # SciPy's own Laplace takes the logarithm of a density that underflows.
        (bnn.Laplace(scale), stats.gennorm(1.0, 0, scale * factor)),
        (bnn.StudentT(nu, scale), stats.t(nu, 0, scale * factor)),
    )
    for prior, oracle in known:
        assert_allclose(prior.elementwise_logp(z, factor), oracle.logpdf(z), rtol=1e-10, atol=1e-9)


@given(SCALES, st.floats(-5.0, 5.0), st.floats(0.2, 5.0), st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=20))
@ALL
def test_densities_of_noises_are_scipys(scale, mu, sigma, points):
    z = np.array(points)
    known = (
        (bnn.HalfNormal(scale), stats.halfnorm(0, scale)),
        (bnn.LogNormal(mu, sigma), stats.lognorm(sigma, scale=np.exp(mu))),
        (bnn.InverseGamma(sigma, scale), stats.invgamma(sigma, scale=scale)),
    )
    for prior, oracle in known:
        assert_allclose(prior.logp(z), oracle.logpdf(z), rtol=1e-9, atol=1e-9)


@given(st.floats(0.05, 20.0), st.floats(0.05, 20.0))
@ALL
def test_an_elastic_net_integrates_to_one(l1, l2):
    prior, t = bnn.ElasticNet(l1, l2), np.linspace(-12.0, 12.0, 20_001)
    width = min(1 / l1, 1 / np.sqrt(l2))
    mass = np.sum(np.exp(prior.elementwise_logp(width * np.sinh(t))) * width * np.cosh(t)) * (t[1] - t[0])
    assert_allclose(mass, 1.0, rtol=1e-6)


def objective(text, loss, w, values):
    """Evaluate what a library minimises, as the table writes it."""
    words = text.replace("sum(loss)", "loss").replace("|w|^2", "squares").replace("|w|_1", "sizes")
    assert not re.search(r"[|^]", words)
    known = {"l1": 0.0, "l2": 0.0, "n_outputs": 1} | values
    return eval(words, known | {"loss": loss, "squares": float(w @ w), "sizes": float(np.abs(w).sum())})


PRIORS = st.one_of(
    st.builds(lambda sd: bnn.Normal(sd, bias=bnn.Flat()), st.floats(0.05, 20.0)),
    st.builds(lambda scale: bnn.Laplace(scale, bias=bnn.Flat()), st.floats(0.05, 20.0)),
    st.builds(lambda a, b: bnn.ElasticNet(a, b, bias=bnn.Flat()), st.floats(0.05, 20.0), st.floats(0.05, 20.0)),
)


@given(PRIORS, st.floats(0.05, 20.0), st.integers(2, 50), st.integers(0, 10**6))
@ALL
def test_every_penalty_is_the_prior_but_for_a_factor(prior, noise, n, seed):
    rng = np.random.default_rng(seed)
    net = bnn.MLP(hidden=(), noise=noise, prior=prior)
    table = bnn.penalty_table(net, n=n)
    W, losses = rng.normal(size=(3, 4)), rng.uniform(1.0, 5.0, size=3)
    negative = [loss / (2 * noise**2) - prior.elementwise_logp(w).sum() for w, loss in zip(W, losses, strict=True)]
    assert len(table)
    for (_, _), group in table.fillna({"reduction": ""}).groupby(["library", "reduction"]):
        values = dict(zip(group["parameter"], group["value"], strict=True)) | {"n": n}
        text = group["objective"].iloc[0]
        found = [objective(text, loss, w, values) for w, loss in zip(W, losses, strict=True)]
        assert_allclose(
            (found[1] - found[0]) * (negative[2] - negative[0]),
            (found[2] - found[0]) * (negative[1] - negative[0]),
            rtol=1e-7,
            atol=1e-9 * abs(found[0] * negative[0]),
        )
