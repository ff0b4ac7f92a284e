"""Is a network that was trained elsewhere an MLE? Against SciPy, NumPy's own Hessian, and scikit-learn's training."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import optimize, special, stats
from sklearn.neural_network import MLPClassifier, MLPRegressor

import bayesnn as bnn
from bayesnn.errors import DataError, SpecError
from bayesnn.tree import heading, params_of, problem_of
from tests.conftest import X5, Y5

TIGHT = {
    "solver": "lbfgs",
    "max_iter": 100_000,
    "max_fun": 200_000,
    "tol": 1e-15,
    "random_state": 1,
    "warm_start": True,
}


def trained_to_the_end(mlp, X, y):
    """SciPy's L-BFGS stops where the loss falls by no more than 2e-9 of itself; started again, it goes on."""
    for _ in range(6):
        mlp.fit(X, y)
    return mlp


def weights_of(fit):
    return {name: value[0, 0] for name, value in params_of(fit).items()}


def trained_at(fit, kind, **changed):
    problem = problem_of(fit)
    return bnn.from_weights(problem.net, problem.X, problem.y, weights_of(fit) | changed, kind=kind)


def gradient_by_differences(function, params, step=1e-5):
    names = list(params)
    flat = np.concatenate([params[name].ravel() for name in names])

    def at(x):
        ends = np.cumsum([params[name].size for name in names])[:-1]
        return function({n: v.reshape(params[n].shape) for n, v in zip(names, np.split(x, ends), strict=True)})

    return np.array([(at(flat + e) - at(flat - e)) / (2 * step) for e in step * np.eye(len(flat))]), at, flat


def log_posterior(params, X, y, sd, noise):
    """Of a tanh network with flat biases, in SciPy's densities."""
    f = np.tanh(X @ params["W1"] + params["b1"]) @ params["W2"] + params["b2"]
    prior = sum(stats.norm.logpdf(params[name], 0, sd).sum() for name in ("W1", "W2"))
    return stats.norm.logpdf(y, f[:, 0], noise).sum() + prior


@pytest.fixture(scope="module")
def ridge(sine):
    """A network that scikit-learn has trained to the end, with a penalty."""
    mlp = MLPRegressor(hidden_layer_sizes=(2,), activation="tanh", alpha=0.05, **TIGHT)
    trained_to_the_end(mlp, sine.X, sine.y)
    return mlp, bnn.from_weights(None, sine.X, sine.y, mlp)


def test_scikit_learns_minimum_is_a_map_under_the_translated_prior(sine, ridge):
    _mlp, trained = ridge
    problem, params = problem_of(trained), weights_of(trained)
    assert heading(trained) == "trained elsewhere"
    assert float(trained.optima["gradient_norm"][0]) < 0.02
    noise = float(params.pop("noise"))
    assert problem.net.prior == bnn.Normal(problem.net.prior.sd, bias=bnn.Flat())
    assert problem.net.prior.sd == pytest.approx(noise / np.sqrt(0.05))
    sd = noise / np.sqrt(0.05)
    gradient, _, _ = gradient_by_differences(lambda p: log_posterior(p, sine.X, sine.y, sd, noise), params)
    assert np.linalg.norm(gradient) < 0.02
    # Under another translation, such as n times or half the penalty, the same weights are on a slope.
    for wrong in (sd / np.sqrt(len(sine.X)), sd * np.sqrt(2)):
        slope, _, _ = gradient_by_differences(lambda p, s=wrong: log_posterior(p, sine.X, sine.y, s, noise), params)
        assert np.linalg.norm(slope) > 1.0


def test_the_numbers_of_a_trained_network_are_scipys(sine, ridge):
    _, trained = ridge
    params, audit = weights_of(trained), bnn.audit_weights(trained, restarts=5, random_seed=1, progressbar=False)
    f = np.tanh(sine.X @ params["W1"] + params["b1"]) @ params["W2"] + params["b2"]
    point, noise, sd = audit.points["trained"], float(params["noise"]), problem_of(trained).net.prior.sd
    assert point["log_likelihood"] == pytest.approx(stats.norm.logpdf(sine.y, f[:, 0], noise).sum(), rel=1e-10)
    weights = np.concatenate([params["W1"].ravel(), params["W2"].ravel()])
    by_hand = stats.norm.logpdf(weights, 0, sd).sum() + stats.halfnorm.logpdf(noise)
    assert point["log_prior"] == pytest.approx(by_hand, rel=1e-10)
    assert audit.is_optimum
    assert audit.kind == "map"
    assert audit.points["nearest"]["distance"] < 1e-3
    assert "Is my trained network a MAP? Yes" in repr(audit)
    assert "log-likelihood" in repr(audit)
    assert "<table" in audit._repr_html_()


def test_a_classifier_of_scikit_learn_is_a_map_too():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(40, 2))
    y = np.array(["a", "b", "c"])[np.digitize(X[:, 0] * X[:, 1] + 0.3 * rng.normal(size=40), [-0.4, 0.4])]
    for labels in (y, y == "b"):
        mlp = MLPClassifier(hidden_layer_sizes=(2,), activation="logistic", alpha=0.3, **TIGHT)
        trained_to_the_end(mlp, X, labels)
        trained = bnn.from_weights(None, X, labels, mlp)
        assert problem_of(trained).net.prior.sd == pytest.approx(0.3**-0.5)
        assert float(trained.optima["gradient_norm"][0]) < 0.01


@pytest.mark.parametrize("library", ["torch", "keras"])
@pytest.mark.parametrize("loss", ["squared_error", "cross_entropy"])
def test_the_minimum_of_pytorch_and_of_keras_is_a_map_under_the_translated_prior(library, loss):
    """Their objectives as documented (MSELoss or its like, as a mean; the decay), minimised by SciPy."""
    rng = np.random.default_rng(4)
    X, decay = rng.normal(size=(30, 2)), 0.02
    sizes = ((2, 3), (3,), (3, 2), (2,))
    y = np.stack([np.sin(X[:, 0]), X[:, 1]], axis=1) + 0.3 * rng.normal(size=(30, 2))
    y = y if loss == "squared_error" else (y[:, 0] > 0).astype(int)

    def split(x):
        parts = np.split(x, np.cumsum([int(np.prod(s)) for s in sizes])[:-1])
        return [part.reshape(s) for part, s in zip(parts, sizes, strict=True)]

    def objective(x):
        W1, b1, W2, b2 = split(x)
        f = np.tanh(X @ W1 + b1) @ W2 + b2
        if loss == "squared_error":
            mean = np.mean((f - y) ** 2)
        else:
            mean = np.mean(special.logsumexp(f, axis=1) - f[np.arange(30), y])
        return mean + (decay / 2 * np.sum(x**2) if library == "torch" else decay * (np.sum(W1**2) + np.sum(W2**2)))

    x = 0.5 * rng.normal(size=17)
    for _ in range(3):
        x = optimize.minimize(objective, x, method="BFGS", jac="3-point", options={"gtol": 1e-9}).x
    W1, b1, W2, b2 = split(x)
    if library == "torch":
        weights = bnn.read_torch({"0.weight": W1.T, "0.bias": b1, "2.weight": W2.T, "2.bias": b2}, weight_decay=decay)
    else:
        weights = bnn.read_keras([W1, b1, W2, b2], l2=decay)
    trained = bnn.from_weights(bnn.MLP((3,), "tanh", loss), X, y, weights)
    assert problem_of(trained).net.prior.bias == (None if library == "torch" else bnn.Flat())
    assert float(trained.optima["gradient_norm"][0]) < 1e-3


def test_a_few_steps_of_adam_are_no_maximum(sine, sine_net, sine_mle):
    mlp = MLPRegressor(hidden_layer_sizes=(2,), activation="tanh", alpha=0.0, max_iter=200, random_state=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlp.fit(sine.X, sine.y)
    trained = bnn.from_weights(sine_net, sine.X, sine.y, mlp)
    audit = bnn.audit_weights(trained, sine_mle)
    assert audit.kind == "mle"
    assert not audit.is_optimum
    by_hand = stats.norm.logpdf(sine.y, mlp.predict(sine.X), 0.2).sum()
    best = stats.norm.logpdf(sine.y, bnn.predict(sine_mle, sine.X)["mean"].values[:, 0], 0.2).sum()
    assert audit.lacking == pytest.approx(best - by_hand, rel=1e-8)
    assert "No, it is not a maximum" in audit.message
    assert f"{audit.lacking:.3g} nats" in audit.message
    assert "trained elsewhere" in bnn.compare(trained, sine_mle)


def test_hidden_units_in_another_order_and_flipped_are_the_same_optimum(sine, sine_net, sine_map, tmp_path):
    moved = bnn.apply_symmetry(weights_of(sine_map), bnn.random_symmetry(sine_net, 3), sine_net)
    assert not np.allclose(moved["W1"], weights_of(sine_map)["W1"], atol=0.1)
    trained = bnn.from_weights(sine_net, sine.X, sine.y, moved, kind="map")
    audit = bnn.audit_weights(trained, sine_map)
    assert audit.is_optimum
    assert audit.nearest == audit.own == 1
    assert audit.points["nearest"]["distance"] < 1e-6
    assert audit.barrier < 1e-9
    path = bnn.save_fit(trained, tmp_path / "trained.nc")
    assert heading(bnn.load_fit(path)) == "trained elsewhere"
    assert_allclose(bnn.predict(bnn.load_fit(path))["mean"], bnn.predict(sine_map)["mean"], atol=1e-9)


@pytest.mark.parametrize(
    ("activation", "loss"), [("sigmoid", "squared_error"), ("relu", "squared_error"), ("tanh", "cross_entropy")]
)
def test_what_the_likelihood_does_not_see_adds_no_distance(activation, loss):
    """Flips that shift a bias, scaled units and shifted logits: for an MLE they are symmetries, to rounding."""
    from bayesnn.symmetry.nearest import nearest_copy

    rng = np.random.default_rng(5)
    m = 3 if loss == "cross_entropy" else 1
    net = bnn.MLP((4, 3), activation, loss, noise=None if m == 3 else 0.3)
    point = {name: rng.normal(size=shape) for name, shape in net.shapes(2, m).items()}
    moved = bnn.apply_symmetry(point, bnn.random_symmetry(net, 1, keep="likelihood"), net, keep="likelihood")
    if activation == "relu":
        c = rng.uniform(0.2, 5.0, size=4)
        moved |= {"W1": moved["W1"] * c, "b1": moved["b1"] * c, "W2": moved["W2"] / c[:, None]}
    if m == 3:
        moved |= {"b3": moved["b3"] + 1.7, "W3": moved["W3"] + rng.normal(size=(3, 1))}
    X = rng.normal(size=(6, 2))
    f, g = (net.loss.mean(net.forward(p, X), **net.likelihood_args(p)) for p in (point, moved))
    assert_allclose(f, g, atol=1e-12)
    plain = np.sqrt(sum(np.sum((moved[k] - point[k]) ** 2) for k in point))
    assert plain > 1.0
    copy, _origin, distance = nearest_copy(moved, point, net, keep="likelihood")
    assert distance < 1e-7
    assert_allclose(net.loss.mean(net.forward(copy, X), **net.likelihood_args(copy)), f, atol=1e-9)
    # A unit that is really another one is at a distance.
    other = point | {"W1": point["W1"] + np.array([[0.5, 0, 0, 0], [0, 0, 0, 0]])}
    assert nearest_copy(moved, other, net, keep="likelihood")[2] > 0.1


def test_under_flat_biases_shifted_logits_are_no_other_map():
    from bayesnn.symmetry.nearest import nearest_copy

    net = bnn.MLP((3,), "relu", "cross_entropy", prior=bnn.Normal(1.0, bias=bnn.Flat()))
    point = {name: np.random.default_rng(6).normal(size=shape) for name, shape in net.shapes(2, 3).items()}
    shifted = point | {"b2": point["b2"] + 40.0}
    assert nearest_copy(shifted, point, net)[2] < 1e-9
    assert nearest_copy(point | {"W2": point["W2"] + 1.0}, point, net)[2] == pytest.approx(3.0)


def test_a_climb_tells_where_a_kink_has_no_hessian():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(30, 1))
    y = np.maximum(X[:, 0], 0.0) + 0.2 * rng.normal(size=30)
    net = bnn.MLP((1,), "relu", noise=0.2)
    map_ = bnn.fit_map(net, X, y, restarts=2, random_seed=1, progressbar=False)
    audit = bnn.audit_weights(bnn.from_weights(net, X, y, weights_of(map_), kind="map"), map_)
    assert audit.is_optimum


def test_negative_directions_of_a_saddle_are_counted(sine, sine_net):
    """Two equal units at the optimum of one: a saddle, whose Hessian NumPy's differences count as well."""
    one = bnn.fit_mle(bnn.MLP((1,), noise=0.2), sine.X, sine.y, restarts=5, random_seed=1, progressbar=False)
    w = weights_of(one)
    twins = {
        "W1": np.repeat(w["W1"], 2, axis=1), "b1": np.repeat(w["b1"], 2), "W2": np.repeat(w["W2"], 2, axis=0) / 2,
        "b2": w["b2"],
    }  # fmt: skip
    trained = bnn.from_weights(sine_net, sine.X, sine.y, twins)

    def nll(p):
        f = np.tanh(sine.X @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"]
        return np.sum((sine.y - f[:, 0]) ** 2) / (2 * 0.2**2)

    gradient, at, flat = gradient_by_differences(nll, twins)
    assert np.linalg.norm(gradient) < 1e-3
    h = 1e-4 * np.eye(len(flat))
    hessian = np.array([[(at(flat + a + b) - at(flat + a - b) - at(flat - a + b) + at(flat - a - b)) / 4e-8
                         for b in h] for a in h])  # fmt: skip
    eigenvalues = np.linalg.eigvalsh(hessian)
    negative = int((eigenvalues < -1e-4 * eigenvalues.max()).sum())
    assert negative > 0
    assert int(trained.optima["n_negative"][0]) == negative
    assert f"{negative} negative direction" in trained.attrs["bayesnn_message"]
    audit = bnn.audit_weights(trained, restarts=5, random_seed=1, progressbar=False)
    assert not audit.is_optimum
    assert f"{negative} negative direction" in audit.message


def test_where_no_mle_exists_training_has_only_stopped_on_the_way():
    x, y = np.array([-2.0, -1.0, 1.0, 2.0])[:, None], np.array([0, 0, 1, 1])
    net = bnn.MLP((), loss="binary_cross_entropy")
    trained = bnn.from_weights(net, x, y, [np.array([[3.0]]), np.zeros(1)])
    audit = bnn.audit_weights(trained, restarts=2, random_seed=1, progressbar=False)
    assert not audit.is_optimum
    assert "none exists" in audit.message
    assert audit.lacking == pytest.approx(2 * np.log1p(np.exp(-3)) + 2 * np.log1p(np.exp(-6)))


def test_a_higher_point_than_ours_is_told(sine, sine_net, sine_map):
    """Ours stands for a search that found a lower optimum only."""
    lower = sine_map.copy(deep=True)
    for name in ("W2", "b2"):
        lower["optima"][name] = lower["optima"][name] * 0.98
    lower["optima"]["log_likelihood"] = lower["optima"]["log_likelihood"] - 0.4
    audit = bnn.audit_weights(trained_at(sine_map, "map"), lower)
    assert audit.beyond > 0.01
    assert "higher than the best of ours" in audit.message


def test_a_learned_noise_is_the_best_one_at_the_weights(sine):
    """Under its prior, for a MAP; where the slope of both, by hand, is zero."""
    params = {"W1": np.array([[1.0]]), "b1": np.zeros(1), "W2": np.array([[1.0]]), "b2": np.zeros(1)}
    residual = sine.y - np.tanh(sine.X[:, 0])
    net = bnn.MLP((1,), noise=bnn.HalfNormal(0.1))
    found = {
        k: float(params_of(bnn.from_weights(net, sine.X, sine.y, params, kind=k))["noise"].item())
        for k in ("mle", "map")
    }
    assert found["mle"] == pytest.approx(np.sqrt(np.mean(residual**2)), rel=1e-10)
    s = found["map"]
    assert np.sum(residual**2) / s**3 - len(residual) / s - s / 0.1**2 == pytest.approx(0.0, abs=1e-5)


def test_what_can_not_be_audited_is_refused_by_name(sine, sine_net, sine_mle, sine_map):
    with pytest.raises(SpecError, match="not trained elsewhere"):
        bnn.audit_weights(sine_mle)
    trained = trained_at(sine_mle, "mle")
    with pytest.raises(SpecError, match="Got a MAP to compare with"):
        bnn.audit_weights(trained, sine_map)
    other = trained_at(sine_map, "map")
    with pytest.raises(SpecError, match="they must be the same"):
        bnn.audit_weights(
            bnn.from_weights(bnn.MLP((2,), noise=0.3), sine.X, sine.y, weights_of(sine_map), kind="map"), sine_map
        )
    with pytest.raises(SpecError, match="other data"):
        bnn.audit_weights(bnn.from_weights(sine_net, X5[:, None], Y5, weights_of(sine_map), kind="map"), sine_map)
    with pytest.raises(SpecError, match="learned scale"):
        bnn.from_weights(bnn.MLP((2,), noise=0.2, prior=bnn.Hierarchical()), X5, Y5, weights_of(other), kind="map")
    huge = {name: 1e200 * value for name, value in weights_of(sine_map).items()}
    with pytest.raises(DataError, match="zero in floating point"):
        bnn.from_weights(sine_net, sine.X, sine.y, huge)
