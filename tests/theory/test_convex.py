"""The convex contrast and racing weights, held to closed forms, to scikit-learn and to a descent written out."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

import bayesnn as bnn
from bayesnn.errors import SpecError
from bayesnn.theory import convexity, mirror_barrier, race_weights
from tests.conftest import X5, X_NODE, Y5, Y_NODE

SEPARATED = np.array([0, 0, 1, 1, 1])
NODE = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False, prior=bnn.Normal(1.0))
LINE = bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(1.0))
NET = bnn.MLP(hidden=(1,), bias=False, prior=bnn.Normal(1.0), noise=0.3)
HELD = {"X_new": np.array([-0.5, 1.0]), "y_new": [1, 1]}


def fit(function, net, X=X5, y=Y5):
    return function(net, X, y, restarts=6, random_seed=1, progressbar=False)


def test_least_squares_of_full_rank_is_strictly_convex():
    found = convexity(LINE, X5, Y5)
    design = np.column_stack([X5, np.ones(5)])
    assert found.strict
    assert_allclose(found.hessian, design.T @ design / 0.09, rtol=1e-14)
    assert_allclose(found.penalised, found.hessian + np.eye(2), rtol=1e-14)
    assert_allclose(found.mle, np.linalg.lstsq(design, Y5)[0], atol=1e-12)
    assert_allclose(found.map, [0.56491576, 0.01964637], atol=1e-8)
    assert found.names == ("W1[x1, target]", "b1[target]")
    assert found.table["optima"].to_list() == ["one", "one"]
    # A chord lies above the function by the curvature alone.
    a, b = np.array([3.0, -1.0]), np.array([-2.0, 2.0])
    gap = (found.nll(a) + found.nll(b)) / 2 - found.nll((a + b) / 2)
    assert gap == pytest.approx((a - b) @ found.hessian @ (a - b) / 8, rel=1e-12)


def test_rank_deficient_least_squares_has_a_flat_valley_and_ridge_one_optimum():
    X = np.column_stack([X5, 2 * X5, X5**2])
    net = bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(2.0))
    found = convexity(net, X, Y5)
    assert not found.strict
    assert_allclose(found.null_directions, np.array([[2, -1, 0, 0]]).T / np.sqrt(5), atol=1e-14)
    assert found.directions == ["+0.894 W1[x1, target] -0.447 W1[x2, target]"]
    far = found.mle + np.array([-300.0, 5.0, 700.0])[:, None] * found.null_directions.T
    assert_allclose(found.nll(far), found.nll(found.mle), rtol=1e-11)
    assert (found.nll(far, penalty=True) > found.nll(found.mle, penalty=True) + 1).all()
    design = np.column_stack([X, np.ones(5)])
    assert_allclose(found.mle, np.linalg.pinv(design) @ Y5, atol=1e-9)
    ridge = np.linalg.solve(design.T @ design / 0.09 + np.eye(4) / 4, design.T @ Y5 / 0.09)
    assert_allclose(found.map, ridge, atol=1e-9)
    assert found.penalised_strict
    table = found.table
    assert table["optima"].to_list() == ["a valley", "one"]
    assert table["flat directions"].to_list() == [1, 0]
    assert table["smallest curvature"].to_list() == pytest.approx([0, 0.25], rel=1e-10)
    assert "flat valley along +0.894" in repr(found)
    nearly = X + np.array([[0, 1e-3, 0]]) * (X5**3)[:, None]
    assert convexity(net, nearly, Y5).strict, "a rank that is nearly deficient is not"


def test_a_flat_prior_leaves_the_valley_and_so_does_one_beside_it():
    X = np.column_stack([X5, 2 * X5])
    flat = convexity(bnn.MLP(hidden=(), noise=0.3, prior=bnn.Flat()), X, Y5)
    assert not flat.penalised_strict
    assert flat.map is None
    assert "it adds nothing" in repr(flat)
    # Two inputs that add up to one repeat the bias: a prior of the weights alone closes the valley.
    group = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 1, 1]]).T
    beside = convexity(bnn.MLP(hidden=(), noise=0.3, prior=bnn.Normal(1.0, bias=bnn.Flat())), group, Y5)
    assert_allclose(np.abs(beside.null_directions), 3**-0.5, rtol=1e-12)
    assert beside.penalised_strict
    means = np.array([Y5[:2].mean(), Y5[2:].mean()])
    assert_allclose(group @ beside.mle[:2] + beside.mle[2], group @ means, atol=1e-10)
    # A bias without a prior has no residual of its own.
    assert np.sum(Y5 - group @ beside.map[:2] - beside.map[2]) == pytest.approx(0, abs=1e-9)


def test_one_logistic_node_has_one_optimum():
    found = convexity(NODE, X_NODE, Y_NODE)
    assert_allclose(found.mle, [0.7954240126], atol=1e-10)
    assert_allclose(found.map, [0.51609418], atol=1e-8)
    assert found.hessian.item() == pytest.approx((X_NODE**2).sum() / 4, rel=1e-14)
    assert found.nll(found.mle) == pytest.approx(2.8230011987, abs=1e-10)
    assert found.table["optima"].to_list() == ["one", "one"]
    coin = convexity(replace(NODE, bias=True), np.zeros((5, 0)), [0, 0, 0, 1, 0])
    assert_allclose(coin.mle, [np.log(0.25)], atol=1e-10)
    w = np.linspace(-30, 30, 1001)
    assert (np.diff(found.nll(w[:, None]), 2) > 0).all()


def test_a_separated_node_has_none_without_a_prior():
    found = convexity(NODE, X_NODE, SEPARATED)
    assert found.strict
    assert found.mle is None
    assert_allclose(found.map, [1.0913832], atol=1e-7)
    assert found.table["optima"].to_list() == ["none", "one"]
    assert "no optimum: the classes are completely separated" in repr(found)


def test_softmax_has_a_valley_for_each_common_shift():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(30, 2)), rng.integers(3, size=30)
    found = convexity(bnn.MLP(hidden=(), loss="cross_entropy", prior=bnn.Normal(1.0)), X, y)
    assert found.null_directions.shape == (9, 3)
    assert_allclose(found.hessian @ found.null_directions, 0, atol=1e-13)
    assert np.linalg.matrix_rank(found.hessian) == 6
    layout = found.null_directions.reshape(3, 3, 3)
    assert_allclose(layout - layout.mean(axis=1, keepdims=True), 0, atol=1e-12)
    shifted = found.mle + 50 * found.null_directions.sum(axis=1)
    assert found.nll(shifted) == pytest.approx(float(found.nll(found.mle)), rel=1e-12)
    assert found.penalised_strict
    # sklearn leaves its own intercept without a penalty: it is the column of ones that has one.
    intercept = LogisticRegression(C=1.0, tol=1e-10, max_iter=2000, fit_intercept=False)
    oracle = intercept.fit(np.column_stack([X, np.ones(30)]), y)
    assert_allclose(found.map.reshape(3, 3), oracle.coef_.T, atol=1e-6)


@pytest.mark.parametrize(("noise", "posterior"), [(0.3, 17.561), (1.0, 0.9227)])
def test_the_barrier_between_the_mirror_optima_of_two_weights(noise, posterior):
    net = replace(NET, noise=noise)
    # Two weights fit the two odd parts (0.75 and 1.05) without residual: 3.35 - 0.02 of the sum of squares is theirs.
    assert mirror_barrier(fit(bnn.fit_mle, net)).barrier == pytest.approx([3.33 / (2 * noise**2)], rel=1e-12)
    found = mirror_barrier(tree := fit(bnn.fit_map, net))
    assert found.barrier == pytest.approx([posterior], abs=5e-4 if posterior > 1 else 5e-5)
    # Halfway both weights are zero, and so is the function.
    w, v = (tree.posterior[k].item() for k in ("W1", "W2"))
    fall = (Y5 @ Y5 - np.sum((Y5 - v * np.tanh(w * X5)) ** 2)) / (2 * noise**2)
    assert found.barrier[0] == pytest.approx(fall - (w**2 + v**2) / 2, rel=1e-12)
    assert_allclose(found.loss, found.loss[:, ::-1], rtol=1e-12)
    assert found.table["highest at t"].to_list() == [0.5]
    assert "its prior does not make it so" in repr(found)


def test_a_network_has_no_convexity_and_a_node_no_barrier():
    with pytest.raises(SpecError, match="mirror_barrier"):
        convexity(NET, X5, Y5)
    with pytest.raises(SpecError, match="hidden units"):
        mirror_barrier(fit(bnn.fit_map, LINE))


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"loss": "student_t"}, "loss=StudentT"),
        ({"noise": None}, "noise that is learned"),
        ({"prior": bnn.Laplace(1.0)}, "prior=Laplace"),
        ({"prior": bnn.StudentT(3.0)}, "prior=StudentT"),
        ({"prior": bnn.Hierarchical(1.0)}, "prior=Hierarchical"),
    ],
)
def test_what_is_not_known_to_be_convex_is_refused(spec, words):
    with pytest.raises(SpecError, match=words):
        convexity(replace(LINE, **spec), X5, Y5)


@pytest.fixture(scope="module")
def race():
    return race_weights(NODE, X_NODE, SEPARATED, steps=20_000, progressbar=False, **HELD)


def test_the_map_of_separated_data_follows_the_prior(race):
    assert_allclose(race.optimum[1:], [1.0913832, 5.0366772, 12.0676651], atol=1e-7)
    assert race.optimum[0] == np.inf
    further = race_weights(NODE, X_NODE, SEPARATED, prior_sds=(1e3, 1e6), steps=1, progressbar=False, **HELD)
    for sd, w in zip((1e3, 1e6), further.optimum[1:], strict=True):
        # Where the slopes of likelihood and penalty meet.
        x = np.abs(X_NODE)
        assert np.sum(x * expit(-w * x)) == pytest.approx(w / sd**2, rel=1e-9)
    assert further.optimum[2] > further.optimum[1] > race.optimum[3]


def test_the_path_is_that_of_gradient_descent(race):
    x, rate = np.abs(X_NODE), 4 / (X_NODE @ X_NODE + 4)
    for row, precision in enumerate((0.0, 1.0, 1e-2, 1e-4)):
        w, path = 0.0, {0: 0.0}
        for step in range(1, 401):
            w += rate * (np.sum(x * expit(-w * x)) - precision * w)
            path[step] = w
        early = race.steps <= 400
        assert_allclose(race.norm[row, early], [path[int(s)] for s in race.steps[early]], rtol=1e-9)


def test_without_a_prior_the_norm_races_and_the_held_out_nll_rises(race):
    assert (np.diff(race.norm[0]) > 0).all()
    # The smallest margin is 0.5: its inverse is the pace in the end.
    assert race.pace[0] == pytest.approx(2, rel=0.04)
    assert race.pace[1] == pytest.approx(0, abs=1e-9)
    w = race.norm
    held = (np.logaddexp(0, 0.5 * w) + np.logaddexp(0, -w)) / 2
    assert_allclose(race.held_out, held, rtol=1e-12)
    assert_allclose(race.train, np.logaddexp(0, -np.abs(X_NODE)[:, None, None] * w).mean(axis=0), rtol=1e-11)
    assert race.train[0, -1] < 1e-3 < 1 < race.held_out[0, -1]
    assert race.held_out[1, -1] < race.held_out[0, -1]
    assert_allclose(race.norm[1, -1], race.optimum[1], rtol=1e-10)
    assert "has no end (the classes are completely separated" in repr(race)


def test_where_there_is_an_mle_nothing_races():
    race = race_weights(NODE, X_NODE, Y_NODE, prior_sds=(1,), steps=500, progressbar=False, **HELD)
    assert_allclose(race.optimum, [0.7954240126, 0.51609418], atol=1e-8)
    assert_allclose(race.norm[:, -1], race.optimum, rtol=1e-9)
    assert race.pace[0] == pytest.approx(0, abs=1e-6)
    assert "has no end" not in repr(race)


def test_a_dataset_brings_its_rows_and_hidden_units_race_too():
    net = bnn.MLP(hidden=(2,), loss="binary_cross_entropy")
    data = bnn.load_data("breast_cancer")
    options = {"prior_sds": (1,), "steps": 60, "random_seed": 1, "progressbar": False}
    race = race_weights(net, data, **options)
    again = race_weights(net, data, **options)
    assert_allclose(race.norm, again.norm, rtol=0)
    assert np.isnan(race.optimum[0])
    assert race.norm[0, 0] == race.norm[1, 0] > 0
    assert race.norm[0, -1] > race.norm[1, -1]
    assert (np.diff(race.train[0]) <= 1e-12).all()


def test_what_is_learned_besides_weights_has_no_race():
    with pytest.raises(SpecError, match="learns noise"):
        race_weights(bnn.MLP(hidden=()), X5, Y5, X_new=X5, y_new=Y5, progressbar=False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"prior_sds": ()}, "at least one"),
        ({"prior_sds": (1, -1)}, "positive numbers"),
        ({"steps": 0}, "steps=0"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0"),
        ({"random_seed": -1}, "random_seed=-1"),
        ({"X_new": None}, "without a Dataset"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(options, words):
    with pytest.raises(SpecError, match=words):
        race_weights(NODE, X_NODE, SEPARATED, **{"progressbar": False, **HELD, **options})
