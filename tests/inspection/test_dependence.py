"""Partial dependence as numbers: scikit-learn's averages, and bands by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.inspection import partial_dependence

import bayesnn as bnn
from bayesnn.errors import SpecError
from tests.conftest import tree_of
from tests.inspection.test_effects import CLASSES, FRAME, NUMBERS, X, draws_of
from tests.plots.test_ppc import Fitted


def tanh(draws=(1, 20)):
    net = bnn.MLP((3,), noise=0.4)
    params = draws_of(net, 1, draws=draws)
    kind = "map" if draws == (1, 1) else "posterior"
    return net, params, tree_of(net, FRAME, NUMBERS, params, kind=kind, scaling="standard")


def test_a_pair_is_that_of_scikit_learn():
    _, _, fit = tanh((1, 1))
    found = bnn.partial_dependence(fit, ["dose", "smoker"], grid_resolution=6)
    assert dict(found["average"].sizes) == {"output": 1, "dose": 6, "smoker": 2}
    grid = {2: found["dose"].to_numpy(), 1: found["smoker"].to_numpy()}
    own = partial_dependence(Fitted(fit, "mean"), X, [2, 1], method="brute", custom_values=grid)
    assert_allclose(found["average"][0], own["average"][0], rtol=1e-10)
    assert "individual" not in found


@pytest.mark.parametrize("centred", [False, True])
def test_averages_and_curves_with_their_bands_by_hand(centred):
    net, params, fit = tanh()
    found = bnn.partial_dependence(fit, "age", grid_resolution=5, prob=0.8, centred=centred)
    f = []
    for age in found["age"].to_numpy():
        z = X.copy()
        z[:, 0] = age
        z = (z - X.mean(axis=0)) / X.std(axis=0)
        f.append(NUMBERS.mean() + NUMBERS.std() * net.forward({k: v[0] for k, v in params.items()}, z)[..., 0])
    f = np.moveaxis(f, 0, -1)
    f = f - f[..., :1] * centred
    ends = np.quantile(f.mean(axis=1), [0.1, 0.9], axis=0)
    assert_allclose(found["average"][0], f.mean(axis=(0, 1)), rtol=1e-9, atol=1e-12)
    assert_allclose([found["average_lower"][0], found["average_upper"][0]], ends, rtol=1e-9, atol=1e-12)
    assert_allclose(found["individual"][:, 0], f.mean(axis=0), rtol=1e-9, atol=1e-12)
    each = np.quantile(f, [0.1, 0.9], axis=0)
    assert_allclose([found["individual_lower"][:, 0], found["individual_upper"][:, 0]], each, rtol=1e-9, atol=1e-12)
    assert (found["average"][0, 0].item() == 0) == centred


def test_every_class_has_its_probability():
    net = bnn.MLP((2,), loss="cross_entropy")
    fit = tree_of(net, FRAME, CLASSES, draws_of(net, 3))
    found = bnn.partial_dependence(fit, 1, grid_resolution=4)
    assert list(found["output"].to_numpy()) == ["0", "1", "2"]
    assert_allclose(found["average"].sum("output"), 1, rtol=1e-12)
    assert found.attrs["of"] == ["p(0)", "p(1)", "p(2)"]


def test_an_input_whose_name_is_taken_has_another():
    net = bnn.MLP((), noise=0.4)
    fit = tree_of(net, FRAME.rename(columns={"age": "row"}), NUMBERS, draws_of(net, 1))
    assert "row_" in bnn.partial_dependence(fit, "row").coords


@pytest.mark.parametrize(
    ("features", "options", "words"),
    [
        (["age", "age"], {}, "a pair of two"),
        (["age", "dose", "smoker"], {}, "a pair of two"),
        ("weight", {}, "there are age"),
        ("age", {"grid_resolution": True}, "2 or more"),
        ("age", {"percentiles": 3}, "must rise"),
        ("age", {"centred": "yes"}, "True or False"),
    ],
)
def test_what_there_is_not_is_refused(features, options, words):
    with pytest.raises(SpecError, match=words):
        bnn.partial_dependence(tanh((1, 1))[2], features, **options)
