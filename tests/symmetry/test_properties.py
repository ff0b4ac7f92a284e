"""Any element of any network's group: it is undone by its inverse, and nobody who sees no weights sees it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

import bayesnn as bnn
from bayesnn.symmetry import GroupElement, apply_symmetry, random_symmetry
from bayesnn.tree import prepare
from tests.conftest import X5, Y5, random_params

PRIORS = (
    bnn.Normal(1.5),
    bnn.Laplace(0.7),
    bnn.StudentT(3.0, 2.0),
    bnn.Normal(1.0, fan_in=True),
    bnn.Hierarchical(1.0),
    bnn.Normal(1.0, bias=bnn.Laplace(2.0)),
)
NETS = st.builds(
    lambda hidden, activation, prior, bias: bnn.MLP(tuple(hidden), activation, noise=0.4, prior=prior, bias=bias),
    st.lists(st.integers(1, 5), min_size=1, max_size=3),
    st.sampled_from(("tanh", "sigmoid", "relu", "erf", "sin", "softplus", "gelu", "identity")),
    st.sampled_from(PRIORS),
    st.booleans(),
)


@given(NETS, st.sampled_from(("posterior", "likelihood")), st.integers(0, 10**6))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_an_element_is_undone_and_seen_by_nobody(net, keep, seed):
    problem = prepare(net, X5, Y5)
    params = random_params(problem, (4,), seed=seed)
    element = random_symmetry(net, seed, batch=(4,), keep=keep)
    moved = apply_symmetry(params, element, net, keep=keep)
    assert_allclose(problem.log_likelihood(moved), problem.log_likelihood(params), rtol=1e-9)
    assert_allclose(net.forward(moved, problem.X), net.forward(params, problem.X), rtol=1e-9, atol=1e-10)
    if keep == "posterior":
        assert_allclose(net.log_prior(moved), net.log_prior(params), rtol=1e-10)
    back = apply_symmetry(moved, element.inverse(), net, keep=keep)
    for name, value in params.items():
        assert_allclose(back[name], value, rtol=1e-12, atol=1e-13)
    assert element.inverse().inverse() == element
    assert element @ element.inverse() == GroupElement.identity(net, (4,))


def test_what_is_no_symmetry_is_seen():
    net = bnn.MLP((3,), noise=0.4)
    problem = prepare(net, X5, Y5)
    params = random_params(problem, (4,), seed=1)
    moved = {**params, "b1": np.roll(params["b1"], 1, axis=-1)}
    with pytest.raises(AssertionError):
        assert_allclose(problem.log_likelihood(moved), problem.log_likelihood(params), rtol=1e-9)
