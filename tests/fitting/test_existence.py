"""Whether a maximum exists: the linear programme against sorting, ridges and its own certificate; what fits say."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import bayesnn as bnn
from bayesnn.errors import ConvergenceWarning, DataError, NoMAPError, NoMLEError
from bayesnn.tree import prepare
from tests.conftest import X5, X_NODE, Y5, Y_NODE

LOGIT = bnn.MLP(hidden=(), loss="binary_cross_entropy")
NODE = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False)
SOFTMAX = bnn.MLP(hidden=(), loss="cross_entropy")
COUNTS = bnn.MLP(hidden=(), loss="poisson")
GRADES = bnn.MLP(hidden=(), loss="ordinal")
SEPARATED = [0, 0, 1, 1, 1]

few = {"max_examples": 150, "deadline": None}
small = st.integers(-3, 3).map(float)


def fit(function, net, X, y, **kwargs):
    options = {"restarts": 3, "random_seed": 1, "progressbar": False} | kwargs
    return function(net, X, y, **options)


@pytest.mark.parametrize(
    ("net", "X", "y", "exists", "words"),
    [
        (NODE, X_NODE, Y_NODE, True, "no direction"),
        (NODE, X_NODE, SEPARATED, False, "completely separated"),
        (LOGIT, [-2, -1, 1, 2], [0, 0, 1, 1], False, "completely separated"),
        (LOGIT, [-2, -1, 0, 0, 1, 2], [0, 0, 0, 1, 1, 1], False, "quasi-completely"),
        (LOGIT, [-2, -1, 0, 0.5, 1, 2], [0, 0, 1, 0, 1, 1], True, "no direction"),
        (LOGIT, np.zeros((5, 0)), [0, 0, 0, 1, 0], True, "no direction"),
        (NODE, np.zeros((5, 0)), [0, 0, 0, 1, 0], True, "no weights"),
        (LOGIT, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0], True, "no direction"),
        (LOGIT, [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 0, 0, 1], False, "completely separated"),
        (SOFTMAX, [-2, -1, 0, 1, 2, 3], [0, 0, 1, 1, 2, 2], False, "completely separated"),
        (SOFTMAX, [-2, -1, 0, -1.5, 2, 0.5], [0, 1, 2, 1, 2, 0], True, "no direction"),
        (SOFTMAX, [-2, -1, -2, -1, 2, 3], [0, 1, 1, 0, 2, 2], False, "quasi-completely"),
        (SOFTMAX, np.zeros((4, 0)), [0, 1, 2, 0], True, "no direction"),
        (GRADES, [-2, -1, 0, 1, 2, 3], [0, 0, 1, 1, 2, 2], False, "completely separated"),
        (GRADES, [-2, -1, 0, 0, 2, 3], [0, 0, 0, 1, 1, 2], False, "quasi-completely"),
        (GRADES, [-3, -2, 0, 1, 0.5, 1.5], [0, 0, 1, 1, 2, 2], True, "no direction"),
        (COUNTS, [0, 1, 2, 3], [1, 0, 2, 1], True, "no direction"),
        (COUNTS, [0, 0, 1, 1], [2, 1, 0, 0], False, "zeros"),
        (COUNTS, np.zeros((3, 0)), [0, 0, 0], False, "zeros"),
        (COUNTS, np.zeros((3, 0)), [0, 0, 1], True, "no direction"),
    ],
)
def test_known_cases(net, X, y, exists, words):
    found = bnn.mle_exists(net, X, y)
    assert found.exists is exists
    assert bool(found) is exists
    assert words in found.reason


def test_a_single_label_is_refused_before_any_question_of_existence():
    with pytest.raises(DataError, match="two classes"):
        bnn.mle_exists(LOGIT, np.zeros((3, 0)), [1, 1, 1])


def test_hidden_layers_are_undecided():
    found = bnn.mle_exists(bnn.MLP(hidden=(2,), loss="binary_cross_entropy"), X_NODE, SEPARATED)
    assert found.exists is None
    with pytest.raises(TypeError, match="exists is None"):
        bool(found)


@given(st.lists(st.tuples(small, st.integers(0, 1)), min_size=3, max_size=10))
@settings(**few)
def test_one_feature_separates_if_and_only_if_the_sorted_classes_do_not_overlap(rows):
    x, y = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    assume(len(set(y)) == 2)
    assume(len(set(x)) > 1)
    zero, one = x[y == 0], x[y == 1]
    overlap = zero.max() > one.min() and one.max() > zero.min()
    assert bnn.mle_exists(LOGIT, x, y).exists == overlap
    signs = x * np.where(y == 1, 1, -1)
    assert bnn.mle_exists(NODE, x, y).exists == ((signs > 0).any() and (signs < 0).any())


@given(st.lists(st.tuples(small, st.integers(0, 2)), min_size=3, max_size=10))
@settings(**few)
def test_counts_lack_a_maximum_if_and_only_if_all_positive_ones_share_an_input_that_bounds_the_zeros(rows):
    x, y = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    assume(len(set(x)) > 1)
    positive, zeros = set(x[y > 0]), x[y == 0]
    if len(positive) != 1 or not zeros.size:
        exists = len(positive) > 0
    else:
        (at,) = positive
        exists = zeros.min() < at < zeros.max()
    assert bnn.mle_exists(COUNTS, x, y).exists == exists


@given(st.lists(st.tuples(small, st.integers(0, 2)), min_size=4, max_size=10))
@settings(**few)
def test_grades_lack_a_maximum_if_and_only_if_they_are_sorted_by_the_feature(rows):
    x, y = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    assume(set(y) == {0, 1, 2})
    assume(len(set(x)) > 1)
    rises = all(x[y <= k].max() <= x[y > k].min() for k in (0, 1))
    falls = all(x[y <= k].min() >= x[y > k].max() for k in (0, 1))
    assert bnn.mle_exists(GRADES, x, y).exists == (not (rises or falls))


@pytest.mark.parametrize("seed", range(12))
def test_softmax_weights_grow_without_bound_as_a_ridge_vanishes_if_and_only_if_there_is_no_maximum(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.integers(-2, 3, size=(9, 1)).astype(float), np.arange(9) % 3
    design = np.column_stack([x, np.ones(9)])

    def objective(theta, ridge):
        f = design @ theta.reshape(2, 3)
        p = np.exp(f - f.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        value = -np.log(p[np.arange(9), y]).sum() + ridge * theta @ theta
        return value, (design.T @ (p - np.eye(3)[y])).ravel() + 2 * ridge * theta

    norms, theta = [], np.zeros(6)
    for ridge in (1e-3, 1e-5, 1e-7):
        theta = minimize(objective, theta, (ridge,), jac=True, method="BFGS", options={"gtol": 1e-9}).x
        norms.append(np.linalg.norm(theta))
    assert bnn.mle_exists(SOFTMAX, x, y).exists == (norms[2] < 1.05 * norms[1])


def test_the_twelve_softmax_samples_have_both_answers():
    answers = set()
    for seed in range(12):
        x = np.random.default_rng(seed).integers(-2, 3, size=(9, 1)).astype(float)
        answers.add(bnn.mle_exists(SOFTMAX, x, np.arange(9) % 3).exists)
    assert answers == {True, False}


def along(net, direction, t, X, y):
    """Log-likelihood at t times a direction of recession."""
    X = np.asarray(X, dtype=float).reshape(len(y), -1)
    p, k = X.shape[1], max(y)
    if net.loss.name == "cross_entropy":
        both = direction.reshape(k + 1, p + 1).T
        params = {"W1": t * both[:p], "b1": t * both[p]}
    elif net.loss.name == "ordinal":
        # The cutpoints of the direction may coincide: the increasing ones of a start keep them apart.
        params = {"W1": t * direction[:p, None], "cutpoints": t * direction[p:] + np.arange(k)}
    else:
        params = {"W1": t * direction[:p, None], "b1": t * direction[p:]}
    return net.log_likelihood(params, X, np.asarray(y)).sum()


@pytest.mark.parametrize(
    ("net", "X", "y", "supremum"),
    [
        (LOGIT, [-2, -1, 1, 2], [0, 0, 1, 1], 0.0),
        (LOGIT, [-2, -1, 0, 0, 1, 2], [0, 0, 0, 1, 1, 1], -2 * np.log(2)),
        (SOFTMAX, [-2, -1, 0, 1, 2, 3], [0, 0, 1, 1, 2, 2], 0.0),
        (SOFTMAX, [-2, -1, -2, -1, 2, 3], [0, 1, 1, 0, 2, 2], -4 * np.log(2)),
        (GRADES, [-2, -1, 0, 1, 2, 3], [0, 0, 1, 1, 2, 2], 0.0),
        (COUNTS, [0, 0, 1, 1], [1, 1, 0, 0], -2.0),
    ],
)
def test_the_direction_certifies_that_there_is_no_maximum(net, X, y, supremum):
    found = bnn.mle_exists(net, X, y)
    assert found.limit.log_likelihood == pytest.approx(supremum, abs=1e-12)
    assert found.numbers["supremum"] == found.limit.log_likelihood
    problem = prepare(net, X, y)
    far = net.log_likelihood(found.limit.weights(40.0), problem.X, problem.y).sum()
    near = net.log_likelihood(found.limit.weights(2.0), problem.X, problem.y).sum()
    assert near < far - 1e-3
    assert far == pytest.approx(supremum, abs=1e-10)
    direction = found.numbers["direction"]
    values = [along(net, direction, t, X, y) for t in (0.0, 1.0, 10.0, 100.0, 1000.0)]
    assert all(b >= a - 1e-9 for a, b in pairwise(values))
    assert values[-1] == pytest.approx(supremum, abs=1e-6)
    wrong = -direction if net is not GRADES else np.r_[-direction[:1], direction[1:]]
    assert along(net, wrong, 100.0, X, y) < values[0] - 10


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_units_change_no_answer(unit):
    rng = np.random.default_rng(0)
    noise = rng.normal(size=12)
    sorting = np.linspace(-1, 1, 12)
    y = (sorting > 0).astype(int)
    separated = np.column_stack([noise / unit, sorting * unit])
    assert not bnn.mle_exists(LOGIT, separated, y)
    direction = bnn.mle_exists(LOGIT, separated, y).numbers["direction"]
    along_rows = (separated @ direction[:2] + direction[2]) * np.where(y == 1, 1, -1)
    assert along_rows.min() > -1e-9 * np.abs(along_rows).max()
    y[[0, -1]] = 1, 0
    assert bnn.mle_exists(LOGIT, separated, y)


def test_a_line_through_all_points_leaves_no_free_noise():
    line = bnn.MLP(hidden=())
    x, y = np.array([0.0, 1.0, 2.0, 4.0]), np.array([1.0, 3.0, 5.0, 9.0])
    found = bnn.mle_exists(line, x, y)
    assert found.exists is False
    assert found.numbers["largest_residual"] < 1e-12
    assert bnn.mle_exists(bnn.MLP(hidden=(), noise=0.1), x, y).exists is True
    y[0] += 1e-3
    assert bnn.mle_exists(line, x, y).exists is True
    assert bnn.mle_exists(line, x[:2], y[:2]).exists is False, "two points are always on a line"
    both = np.column_stack([y, 1 + 2 * x])
    assert bnn.mle_exists(line, x, both).exists is True, "one noise for both targets, one of which is not fitted"
    assert bnn.mle_exists(bnn.MLP(hidden=(), loss="gaussian_nll"), x, y).exists is None


def test_a_heavy_tailed_noise_can_collapse_onto_a_part_of_the_rows():
    x, y = np.arange(10.0), 2 * np.arange(10.0) + 1
    y[3] += 5
    loss = bnn.losses.StudentT(nu=2.0)
    at = {"W1": np.array([[2.0]]), "b1": np.array([1.0])}
    values = [bnn.MLP(hidden=(), loss=loss, noise=s).log_likelihood(at, x[:, None], y).sum() for s in (1, 1e-3, 1e-6)]
    assert values[2] > values[1] + 40 > values[0] + 80, "nine of ten rows on a line: the density is unbounded"
    assert bnn.mle_exists(bnn.MLP(hidden=(), loss=loss), x, y).exists is None
    assert bnn.mle_exists(bnn.MLP(hidden=(), loss="absolute_error"), x, y).exists is True
    with pytest.raises(NoMLEError, match="passes through the data"):
        fit(bnn.fit_mle, bnn.MLP(hidden=(), loss=loss), x, y)


def test_separated_data_have_no_mle_but_a_map():
    with pytest.raises(NoMLEError, match=r"completely separated.*proper prior \(fit_map\)") as caught:
        fit(bnn.fit_mle, NODE, X_NODE, SEPARATED)
    margins = X_NODE * np.array([-1, -1, 1, 1, 1]) * caught.value.direction
    assert caught.value.smallest_margin == pytest.approx(margins.min(), rel=1e-12)
    assert margins.min() > 0
    assert caught.value.numbers["rising"] == caught.value.rising == 5
    assert fit(bnn.fit_map, NODE, X_NODE, SEPARATED).attrs["bayesnn_exists"] == 1


def test_a_flat_prior_has_no_map_where_there_is_no_mle():
    flat = bnn.MLP(hidden=(), loss="binary_cross_entropy", bias=False, prior=bnn.Flat())
    with pytest.raises(NoMAPError, match="No MAP exists"):
        fit(bnn.fit_map, flat, X_NODE, SEPARATED)


def test_a_flat_prior_of_the_biases_alone_leaves_a_map_of_separated_classes():
    prior = bnn.Normal(1.0, bias=bnn.Flat())
    net = bnn.MLP(hidden=(), loss="binary_cross_entropy", prior=prior)
    tree = fit(bnn.fit_map, net, X_NODE, SEPARATED)
    from sklearn.linear_model import LogisticRegression

    oracle = LogisticRegression(C=1.0, tol=1e-10).fit(X_NODE[:, None], SEPARATED)
    assert tree.posterior.W1.item() == pytest.approx(oracle.coef_.item(), abs=1e-5)
    assert tree.posterior.b1.item() == pytest.approx(oracle.intercept_.item(), abs=1e-5)
    counts = bnn.MLP(hidden=(), loss="poisson", prior=prior)
    with pytest.raises(NoMAPError, match="zeros"):
        fit(bnn.fit_map, counts, X5, [0, 0, 0, 0, 0])


def test_a_hidden_layer_that_separates_is_found_at_the_end_of_the_fit():
    net = bnn.MLP(hidden=(2,), loss="binary_cross_entropy")
    with pytest.raises(NoMLEError, match="separates the classes strictly") as caught:
        fit(bnn.fit_mle, net, X_NODE, SEPARATED)
    assert caught.value.smallest_margin > 0
    assert caught.value.weight_norm > 1
    assert fit(bnn.fit_map, net, X_NODE, SEPARATED).attrs["bayesnn_exists"] == 1


@pytest.mark.parametrize(
    ("loss", "y"), [("cross_entropy", [0, 0, 1, 1, 2]), ("ordinal", [0, 0, 1, 1, 2])], ids=["classes", "grades"]
)
def test_separated_classes_and_grades_with_a_hidden_layer(loss, y):
    with pytest.raises(NoMLEError, match="strictly") as caught:
        fit(bnn.fit_mle, bnn.MLP(hidden=(2,), loss=loss), X_NODE, y)
    assert caught.value.smallest_margin > 0


def test_a_network_through_all_points_leaves_no_free_noise():
    net = bnn.MLP(hidden=(8,))
    with pytest.raises(NoMLEError, match="passes through the data") as caught:
        fit(bnn.fit_mle, net, X5, Y5)
    assert caught.value.relative_noise < 1e-5
    assert fit(bnn.fit_mle, bnn.MLP(hidden=(1,)), X5, Y5).attrs["bayesnn_exists"] == 1


@pytest.mark.parametrize("noise", [None, bnn.HalfFlat()], ids=["half-normal", "half-flat"])
def test_a_prior_on_the_weights_does_not_save_a_free_noise(noise):
    net = bnn.MLP(hidden=(8,), noise=noise, prior=bnn.Normal(3.0))
    with pytest.raises(NoMAPError, match="passes through the data") as caught:
        fit(bnn.fit_map, net, X5, Y5)
    assert caught.value.relative_noise < 1e-5
    assert fit(bnn.fit_map, bnn.MLP(hidden=(8,), noise=0.1, prior=bnn.Normal(3.0)), X5, Y5).attrs["bayesnn_exists"] == 1


def test_flagged_fits_come_with_a_warning_and_no_standard_errors():
    with pytest.warns(ConvergenceWarning, match="No MLE exists: the classes are completely separated"):
        tree = fit(bnn.fit_mle, NODE, X_NODE, SEPARATED, nonexistent="flag")
    assert tree.attrs["bayesnn_exists"] == 0
    assert "What is returned is the limit" in tree.attrs["bayesnn_message"]
    assert tree.limit.log_likelihood.item() == 0.0
    assert abs(tree.posterior.W1.item()) > 10
    assert np.isnan(tree.standard_error.W1.item())
    table = bnn.diagnostics.compare(tree)
    assert list(table.columns) == ["MLE: at infinity"]
    assert table.loc["log-likelihood"].item() == 0.0
    assert table.loc["weight norm"].item() == np.inf
    with pytest.warns(ConvergenceWarning, match="passes through the data"):
        tree = fit(bnn.fit_mle, bnn.MLP(hidden=(8,)), X5, Y5, nonexistent="flag")
    assert tree.attrs["bayesnn_exists"] == 0
    assert all(np.isnan(v).all() for v in tree.standard_error.data_vars.values())


def test_an_unknown_choice_is_refused():
    with pytest.raises(bnn.errors.SpecError, match="'raise' or 'flag'"):
        fit(bnn.fit_mle, NODE, X_NODE, Y_NODE, nonexistent="ignore")
