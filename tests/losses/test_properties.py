"""Likelihoods at any outputs and scales: they sum or integrate to one, and have the moments that they state."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from bayesnn import losses

OUTPUTS = st.floats(-8.0, 8.0)
SCALES = st.floats(0.01, 100.0)
ALL = settings(max_examples=40, deadline=None, derandomize=True)
REACH = np.linspace(-12.0, 12.0, 40_001)


def integral(density, centre, scale, power=0):
    """Integrate over the real line: y = centre + scale sinh(t) reaches far, and halves meet at a kink in the centre."""
    y, weight = centre + scale * np.sinh(REACH), scale * np.cosh(REACH) * (REACH[1] - REACH[0])
    return float(np.sum(density(y) * weight * (y - centre) ** power))


def density_of(loss, f, noise):
    def density(y):
        outputs = np.broadcast_to(np.atleast_1d(f), (len(y), np.size(f)))
        scale = {"noise": np.float64(noise)} if loss.has_noise else {}
        return np.exp(loss.logp(y, outputs, **scale))

    return density


RESIDUAL = st.one_of(
    st.sampled_from((losses.SquaredError(), losses.AbsoluteError())),
    st.builds(losses.Huber, st.floats(0.1, 10.0)),
    st.builds(losses.Quantile, st.floats(0.05, 0.95)),
    st.builds(losses.StudentT, st.floats(3.0, 30.0)),
)


@given(RESIDUAL, OUTPUTS, SCALES)
@ALL
def test_densities_integrate_to_one_and_have_their_moments(loss, f, noise):
    density = density_of(loss, f, noise)
    assert_allclose(integral(density, f, noise), 1.0, rtol=1e-6)
    outputs = np.array([[f]])
    mean = float(np.squeeze(loss.mean(outputs, noise=np.float64(noise))))
    assert_allclose(mean - f, integral(density, f, noise, 1), rtol=1e-4, atol=1e-4 * noise)
    if not isinstance(loss, losses.StudentT) or loss.nu > 6:
        variance = integral(density, f, noise, 2) - integral(density, f, noise, 1) ** 2
        assert_allclose(np.squeeze(loss.variance(outputs, noise=np.float64(noise))), variance, rtol=1e-3)


@given(OUTPUTS, st.floats(-4.0, 4.0))
@ALL
def test_a_density_with_a_scale_of_its_own_integrates_to_one(f, log_scale):
    density = density_of(losses.GaussianNLL(), (f, log_scale), 1.0)
    assert_allclose(integral(density, f, np.exp(log_scale)), 1.0, rtol=1e-6)


@given(st.lists(OUTPUTS, min_size=2, max_size=6))
@ALL
def test_probabilities_of_labels_sum_to_one(f):
    labels = np.arange(len(f))
    outputs = np.broadcast_to(f, (len(f), len(f)))
    logp = losses.CrossEntropy().logp(labels, outputs)
    assert_allclose(np.exp(logp).sum(), 1.0, rtol=1e-12)
    assert_allclose(np.exp(logp), losses.CrossEntropy().mean(np.array([f]))[0], rtol=1e-12)
    two = losses.BinaryCrossEntropy().logp(np.array([0, 1]), np.full((2, 1), f[0]))
    assert_allclose(np.exp(two).sum(), 1.0, rtol=1e-12)


@given(OUTPUTS, st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=5, unique=True))
@ALL
def test_probabilities_of_grades_sum_to_one(f, cutpoints):
    cuts = np.sort(cutpoints)
    grades = np.arange(len(cuts) + 1)
    logp = losses.Ordinal().logp(grades, np.full((len(grades), 1), f), cutpoints=cuts)
    assert_allclose(np.exp(logp).sum(), 1.0, rtol=1e-9)


@given(st.floats(-5.0, 5.0))
@ALL
def test_probabilities_of_counts_sum_to_one(f):
    counts = np.arange(2000)
    loss = losses.Poisson()
    p = np.exp(loss.logp(counts, np.full((len(counts), 1), f)))
    assert_allclose(p.sum(), 1.0, rtol=1e-9)
    assert_allclose(np.squeeze(loss.mean(np.array([[f]]))), (p * counts).sum(), rtol=1e-8)
    assert_allclose(np.squeeze(loss.variance(np.array([[f]]))), (p * (counts - np.exp(f)) ** 2).sum(), rtol=1e-7)


def test_the_integral_fires_on_a_density_that_has_another_scale():
    density = density_of(losses.SquaredError(), 1.0, 2.0)
    with pytest.raises(AssertionError):
        assert_allclose(integral(lambda y: 1.001 * density(y), 1.0, 2.0), 1.0, rtol=1e-6)
