"""Maxima at infinity: limits against independent calculations, maxima that exist against the same, and the path."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import least_squares

import bayesnn as bnn
from bayesnn.activations import ACTIVATIONS
from bayesnn.fitting.closure import Closure, Piece
from bayesnn.fitting.existence import judge
from bayesnn.fitting.limits import start_of
from bayesnn.tree import heading, prepare
from tests.conftest import X5, Y5

X = np.linspace(-2.0, 2.0, 11)
RNG = np.random.default_rng(7)
NOISY = np.sin(2 * X) + 0.3 * np.random.default_rng(0).normal(size=11)
STEP_Y = np.sign(X - 0.3) + 0.1 * np.random.default_rng(0).normal(size=11)
NEARLY_STEP_Y = np.sign(X - 0.3) + 0.1 * np.random.default_rng(3).normal(size=11)


def flagged(function, net, X, y, **kwargs):
    options = {"restarts": 8, "random_seed": 1, "progressbar": False, "nonexistent": "flag"} | kwargs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bnn.ConvergenceWarning)
        return function(net, X, y, **options)


def normal(residuals, noise=None):
    """Log-likelihood of residuals, at a known noise or at the best one."""
    n, squares = len(residuals), float(np.sum(np.square(residuals)))
    variance = squares / n if noise is None else noise**2
    return -0.5 * (n * np.log(2 * np.pi * variance) + squares / variance)


def best_of(residuals, starts):
    """Least sum of squares of a family, by Levenberg and Marquardt from many starts."""
    found = [least_squares(residuals, start, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15) for start in starts]
    return min(found, key=lambda r: r.cost).fun


def step_residuals(x, y):
    """Best two levels with one row in between: every cut of the sorted rows, every row that may lie on the cut."""
    best = None
    for k in range(1, len(x)):
        for on in (None, k - 1, k):
            rows = np.arange(len(x)) != (-1 if on is None else on)
            left, right = rows & (x < x[k]), rows & (x >= x[k])
            if not left.any() or not right.any():
                continue
            fit = np.where(x < x[k], y[left].mean(), y[right].mean())
            if on is not None:
                fit[on] = np.clip(y[on], *sorted((y[left].mean(), y[right].mean())))
            if best is None or np.sum((y - fit) ** 2) < np.sum(best**2):
                best = y - fit
    return best


def jet(x, t):
    """A tanh unit and its derivative, with a constant."""
    z = t[0] * x + t[1]
    return t[2] * np.tanh(z) + (1 - np.tanh(z) ** 2) * (t[3] * x + t[4]) + t[5]


def sup_of_the_jet(y):
    starts = np.random.default_rng(1).normal(size=(40, 6))
    return normal(best_of(lambda t: y - jet(X, t), starts))


def sup_of_the_exponential(y, noise):
    starts = [[w, 1.0, 0.0] for w in (-3.0, -1.0, 1.0, 3.0)]
    return normal(best_of(lambda t: y - t[1] * np.exp(t[0] * X) - t[2], starts), noise)


EXPONENTIAL_Y = np.exp(X) + 0.05 * np.random.default_rng(0).normal(size=11)
NEARLY_EXPONENTIAL_Y = np.exp(X) + 0.05 * np.random.default_rng(5).normal(size=11)
SECH = 1 / np.cosh(1.3 * X) ** 2
MORE_X = np.linspace(-2.5, 2.5, 15)
T = np.tanh(2 * MORE_X + 0.5)
COUNTS_X, COUNTS = np.array([-2.0, -1, 0, 1, 2, 3]), np.array([0, 0, 0, 2, 4, 3])

AT_INFINITY = {
    "labels on both sides of two that disagree": (
        bnn.MLP((1,), loss="binary_cross_entropy"),
        [-2, -1, 0, 0, 1, 2],
        [0, 0, 0, 1, 1, 1],
        -2 * np.log(2),
        "a step at x1 = 0",
    ),
    "classes of which two cannot be told apart": (
        bnn.MLP((1,), loss="cross_entropy"),
        [-2, -1, -2, -1, 2, 3],
        [0, 1, 1, 0, 2, 2],
        -4 * np.log(2),
        "grow along one direction",
    ),
    "grades that meet": (
        bnn.MLP((1,), loss="ordinal"),
        [-2, -1, 0, 0, 2, 3],
        [0, 0, 0, 1, 1, 2],
        -2 * np.log(2),
        "grow along one direction",
    ),
    "zeros on one side, counts on the other": (
        bnn.MLP((1,), loss="poisson"),
        COUNTS_X,
        COUNTS,
        # The means of the positive counts: 2 alone, and 3.5 for the two beyond the step.
        2 * np.log(2) - 2 - np.log(2) + 7 * np.log(3.5) - 7 - np.log(24) - np.log(6),
        "step",
    ),
    "a step fits better than any slope": (
        bnn.MLP((1,), noise=0.3),
        X,
        STEP_Y,
        normal(step_residuals(X, STEP_Y), 0.3),
        "a step",
    ),
    "an exponential": (
        bnn.MLP((1,), noise=0.1),
        X,
        EXPONENTIAL_Y,
        sup_of_the_exponential(EXPONENTIAL_Y, 0.1),
        "an exponential",
    ),
    "an exponential, by sigmoid": (
        bnn.MLP((1,), activation="sigmoid", noise=0.1),
        X,
        EXPONENTIAL_Y,
        sup_of_the_exponential(EXPONENTIAL_Y, 0.1),
        "an exponential",
    ),
    "a straight line": (bnn.MLP((1,), noise=0.1), X, 0.5 - 2 * X, normal(np.zeros(11), 0.1), "a straight line"),
    "a parabola": (bnn.MLP((2,), noise=0.1), X, X**2 - X, normal(np.zeros(11), 0.1), "quadratic"),
    "a derivative": (
        bnn.MLP((2,), noise=0.1),
        X,
        SECH * (X + 0.5),
        normal(np.zeros(11), 0.1),
        "a unit with its derivative",
    ),
    "a second derivative": (
        bnn.MLP((3,), noise=0.05),
        MORE_X,
        T + (1 - T**2) * MORE_X - 4 * T * (1 - T**2) * MORE_X**2,
        normal(np.zeros(15), 0.05),
        "first two derivatives",
    ),
    "eleven rows, learned noise": (bnn.MLP((2,)), X, NOISY, sup_of_the_jet(NOISY), "a unit with its derivative"),
    "a kink": (
        bnn.MLP((1,), activation="softplus", noise=0.1),
        X,
        np.maximum(X - 0.2, 0.0),
        normal(np.zeros(11), 0.1),
        "a kink",
    ),
}


@pytest.fixture(scope="module")
def fits():
    """Fit each case once."""
    made = {}

    def fit(name):
        if name not in made:
            net, x, y, *_ = AT_INFINITY[name]
            made[name] = flagged(bnn.fit_mle, net, x, y)
        return made[name]

    return fit


@pytest.mark.parametrize("name", AT_INFINITY)
def test_the_limit_is_what_an_independent_calculation_finds(fits, name):
    _, _, _, supremum, words = AT_INFINITY[name]
    mle = fits(name)
    assert mle.attrs["bayesnn_exists"] == 0
    assert mle.limit.log_likelihood.item() == pytest.approx(supremum, abs=2e-8)
    assert words in mle.attrs["bayesnn_limit"]
    assert heading(mle) == "MLE: at infinity"
    assert "What is returned is the limit" in mle.attrs["bayesnn_message"]


@pytest.mark.parametrize("name", AT_INFINITY)
def test_no_end_point_reaches_the_limit_and_none_is_called_converged_on_its_way(fits, name):
    optima = fits(name).optima.to_dataset()
    gap = fits(name).limit.log_likelihood.item() - optima.log_likelihood.to_numpy()
    assert (gap > -1e-10).all()
    lost = optima.signature.to_numpy() == "infinity"
    assert lost.any()
    assert not optima.converged.to_numpy()[lost].any()
    # What is no part of the limit's basin lies lower.
    assert (gap[optima.converged.to_numpy()] > 1e-4).all()


@pytest.mark.parametrize("name", AT_INFINITY)
def test_the_path_of_finite_weights_leads_to_the_limit(fits, name):
    net, x, y, *_ = AT_INFINITY[name]
    mle = fits(name)
    below = mle.limit.log_likelihood.item() - mle.limit.path_log_likelihood.to_numpy()
    assert below[0] > 1e-6, "moderate weights fall short"
    assert abs(below[-1]) < 1e-6 * below[0] + 1e-7
    last = {k: v.to_numpy()[-1] for k, v in mle.limit.data_vars.items() if k[0] in "Wbnc"}
    problem = prepare(net, x, y)
    at_last = net.log_likelihood(last, problem.X, problem.y).sum()
    assert at_last == pytest.approx(mle.limit.path_log_likelihood.to_numpy()[-1], abs=1e-12)
    # The fit itself stands at the end of the path: what is read from it are the limit's numbers.
    assert bnn.score(mle)["lppd"] * len(y) == pytest.approx(mle.limit.log_likelihood.item(), abs=1e-6)


EXISTING = {
    "two weights": (bnn.MLP((1,), bias=False, noise=0.3), X5, Y5),
    "a tanh unit": (bnn.MLP((1,), noise=0.3), X, np.tanh(1.5 * X) + 0.2 * np.sin(5 * X)),
    "nearly a step": (bnn.MLP((1,), noise=0.3), X, NEARLY_STEP_Y),
    "nearly an exponential": (bnn.MLP((1,), noise=0.1), X, NEARLY_EXPONENTIAL_Y),
    "a unit on labels": (
        bnn.MLP((1,), loss="binary_cross_entropy"),
        np.repeat([-2, -1, 0, 1, 2], 10),
        [k < ones for ones in (1, 2, 5, 8, 9) for k in range(10)],
    ),
    "ReLU units": (bnn.MLP((2,), activation="relu", noise=0.3), X, NOISY),
    "identities": (bnn.MLP((2,), activation="identity", noise=0.3), X, NOISY),
    "a network through all points, known noise": (bnn.MLP((8,), noise=0.3), X5, Y5),
    "counts": (bnn.MLP((1,), loss="poisson"), [-2, -1, 0, 1, 2, 3, 4, 5], [0, 1, 0, 2, 3, 5, 4, 6]),
}


@pytest.mark.parametrize("name", EXISTING)
def test_an_mle_that_exists_is_not_accused(name):
    mle = flagged(bnn.fit_mle, *EXISTING[name])
    assert mle.attrs["bayesnn_exists"] == 1, mle.attrs["bayesnn_message"]
    assert "limit" not in mle
    assert heading(mle) == "MLE"


def test_the_tanh_unit_is_above_every_step_line_and_exponential():
    net, x, y = EXISTING["a tanh unit"]
    mle = flagged(bnn.fit_mle, net, x, y)
    found = mle.optima.log_likelihood.to_numpy()[mle.optima.attrs["best"]]
    line = np.polynomial.Polynomial.fit(x, y, 1)(x)
    assert found > normal(step_residuals(x, y), 0.3) + 0.1
    assert found > normal(y - line, 0.3) + 0.1
    assert found > sup_of_the_exponential(y, 0.3) + 0.1


def test_an_error_carries_the_limit_and_what_it_is_worth():
    net, x, y, supremum, _ = AT_INFINITY["labels on both sides of two that disagree"]
    with pytest.raises(bnn.NoMLEError, match=r"rises towards -1\.386294361 as weights grow without bound") as caught:
        bnn.fit_mle(net, x, y, restarts=4, random_seed=1, progressbar=False)
    error = caught.value
    assert error.supremum == pytest.approx(supremum, abs=1e-12)
    assert error.best_finite < error.supremum
    assert error.limit.describe().startswith("a step at x1 = 0")
    _, values = error.limit.path()
    assert values[0] < values[-1] <= supremum + 1e-12
    problem = prepare(net, x, y)
    far = net.log_likelihood(error.limit.weights(30.0), problem.X, problem.y).sum()
    assert far == pytest.approx(supremum, abs=1e-9)


def test_the_limit_is_in_the_units_of_the_user():
    scaled = flagged(bnn.fit_mle, bnn.MLP((2,)), 10 * X + 3, 100 * NOISY, scaling="standard")
    assert scaled.limit.log_likelihood.item() == pytest.approx(sup_of_the_jet(NOISY) - 11 * np.log(100), abs=1e-7)
    assert scaled.optima.log_likelihood.to_numpy().max() < scaled.limit.log_likelihood.item()
    assert bnn.score(scaled)["lppd"] * 11 == pytest.approx(scaled.limit.log_likelihood.item(), abs=1e-6)


def test_flat_weights_under_proper_biases_have_no_map_either():
    prior = bnn.Flat(bias=bnn.Normal(1.0))
    net = bnn.MLP((1,), noise=0.1, prior=prior)
    map_ = flagged(bnn.fit_map, net, X, -2 * X)
    assert map_.attrs["bayesnn_exists"] == 0
    assert heading(map_) == "MAP: at infinity"
    assert "straight line" in map_.attrs["bayesnn_limit"]
    with pytest.raises(bnn.NoMAPError, match="log density rises towards"):
        bnn.fit_map(net, X, -2 * X, restarts=4, random_seed=1, progressbar=False)
    assert flagged(bnn.fit_map, bnn.MLP((1,), noise=0.1), X, -2 * X).attrs["bayesnn_exists"] == 1


def test_weights_with_a_prior_do_not_grow_whatever_the_biases_may():
    prior = bnn.Normal(1.0, bias=bnn.Flat())
    for loss, y in (("squared_error", -2 * X), ("binary_cross_entropy", X > 0.3)):
        noise = 0.1 if loss == "squared_error" else None
        map_ = flagged(bnn.fit_map, bnn.MLP((1,), loss=loss, noise=noise, prior=prior), X, y)
        assert map_.attrs["bayesnn_exists"] == 1


def test_sine_units_leave_the_question_open():
    sine = flagged(bnn.fit_mle, bnn.MLP((1,), activation="sin", noise=0.3), X, NOISY)
    assert sine.attrs["bayesnn_exists"] == -1
    assert heading(sine) == "MLE: undecided"
    assert "not known" in sine.attrs["bayesnn_message"]


# The closure itself


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_derivatives_are_those_of_the_activation(activation):
    z = np.linspace(-4, 4, 41) + 1e-3
    values = ACTIVATIONS[activation].derivatives(z)
    np.testing.assert_allclose(values[0], ACTIVATIONS[activation](z), rtol=1e-12, atol=1e-14)
    h = 1e-5
    after, before = (ACTIVATIONS[activation].derivatives(z + step) for step in (h, -h))
    for k in range(3):
        numeric = (after[k] - before[k]) / (2 * h)
        np.testing.assert_allclose(values[k + 1], numeric, atol=1e-8)


LAYERS = {
    "plain": (),
    "jet and line": (Piece("jet", 1, (0, 2)), Piece("line", 1, (3,))),
    "second derivative above a quadratic": (Piece("jet3", 2, (2, 0, 1)), Piece("quadratic", 1, (1, 0))),
    "exponential and kink": (Piece("tail", 1, (1,), centre=np.array([0.1, -0.2])), Piece("kink", 2, (0,))),
}


@pytest.mark.parametrize("pieces", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize("loss", ["squared_error", "student_t", "cross_entropy", "poisson", "gaussian_nll", "ordinal"])
def test_the_gradient_of_a_closure_and_its_path(loss, pieces):
    rng = np.random.default_rng(2)
    y = {"cross_entropy": np.arange(15) % 3, "ordinal": np.arange(15) % 3, "poisson": rng.poisson(2, 15)}
    # Tails are exponentials of tanh as well; kinks are softplus units only.
    kinks = any(piece.kind == "kink" for piece in pieces)
    net = bnn.MLP((4, 3), loss=loss, activation="softplus" if kinks else "tanh").flat
    problem = prepare(net, rng.normal(size=(15, 2)), y.get(loss, rng.normal(size=15)))
    shapes = problem.shapes | ({"noise": ()} if net.noise_prior else {})
    shapes |= {"cutpoints": (2,)} if loss == "ordinal" else {}
    closure = Closure(problem, pieces, shapes)
    x = np.where(closure.fixed, 0.0, 0.7 * rng.normal(size=closure.size))
    _, gradient = closure(x)
    numeric = [(closure(x + 1e-5 * e)[0] - closure(x - 1e-5 * e)[0]) / 2e-5 for e in np.eye(closure.size)]
    np.testing.assert_allclose(
        gradient, np.where(closure.fixed, 0.0, numeric), atol=1e-6 * (1 + np.abs(gradient).max())
    )
    f, _ = closure.outputs(x)
    gaps = [np.abs(net.forward(closure.weights(x, scale), problem.X) - f).max() for scale in (10.0, 1000.0)]
    assert gaps[1] < gaps[0] / 20 or gaps[1] < 1e-10


def test_a_step_keeps_its_sides_and_lets_the_rows_on_it_move():
    net = bnn.MLP((1,), noise=0.3).flat
    problem = prepare(net, X, STEP_Y)
    side = np.sign(X)
    step = Piece("step", 1, (0,), side=side, direction=np.array([2.5, 0.0]), ends=side)
    closure = Closure(problem, [step], problem.shapes)
    x = closure.pack({"W1": [[0.3]], "b1": [0.4], "W2": [[2.0]], "b2": [0.5]})
    f, features = closure.outputs(x)
    np.testing.assert_allclose(features[:, 0], np.where(side == 0, np.tanh(0.4), side))
    far = net.forward(closure.weights(x, 40.0), problem.X)
    np.testing.assert_allclose(far, f, atol=1e-12)


def test_an_end_point_is_a_closure_without_pieces():
    problem = prepare(bnn.MLP((2,), noise=0.3).flat, X, NOISY)
    from bayesnn.fitting.density import log_density
    from bayesnn.fitting.objective import Objective

    objective = Objective(log_density(problem, jacobian=False))
    x = np.random.default_rng(0).normal(size=objective.size)
    value, gradient = start_of(problem, objective, x).closure(x)
    assert value == pytest.approx(objective(x)[0], rel=1e-13)
    np.testing.assert_allclose(gradient, objective(x)[1], rtol=1e-8, atol=1e-8)


def test_a_limit_that_doubles_never_come_near_proves_nothing():
    problem = prepare(bnn.MLP((1,), noise=0.3), X, NOISY)
    audit = {"value": np.array([9.0]), "signature": np.array(["infinity"]), "converged": np.array([False])}
    audit |= {"n_negative": np.array([0]), "n_zero": np.array([0])}

    def limit(value, *, reachable):
        closure = SimpleNamespace(unpenalised=True)
        return SimpleNamespace(value=value, is_reachable=reachable, closure=closure, describe=lambda: f"at {value}")

    far, near = limit(5.0, reachable=False), limit(7.0, reachable=True)
    assert judge(problem, audit, [far]).exists is None
    found = judge(problem, audit, [near, far])
    assert found.exists is False
    assert found.limit is near
