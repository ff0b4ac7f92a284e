"""Weights of scikit-learn, PyTorch and Keras as they lay them out, against forward passes written as theirs are."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, softmax
from sklearn.compose import TransformedTargetRegressor
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import bayesnn as bnn
from bayesnn.errors import DataError, SpecError

RNG = np.random.default_rng(3)
X = RNG.normal(size=(12, 2))
Y = np.sin(X[:, 0]) + 0.3 * X[:, 1]
LABELS = np.array(["no", "yes", "maybe"])[np.argsort(np.argsort(Y)) // 4]


class Tensor:
    """As much of a tensor of PyTorch as there is without it: no NumPy array until it is detached and on the CPU."""

    def __init__(self, value, *, grad=True, device="cuda"):
        self.value, self.grad, self.device = np.asarray(value, dtype=np.float32), grad, device
        self.shape, self.ndim = self.value.shape, self.value.ndim

    def detach(self):
        return Tensor(self.value, grad=False, device=self.device)

    def cpu(self):
        return Tensor(self.value, grad=self.grad, device="cpu")

    def numpy(self):
        if self.grad or self.device != "cpu":
            raise RuntimeError("Can't call numpy() on Tensor that requires grad, or that is not on the CPU.")
        return self.value

    def __array__(self, *args, **kwargs):
        raise TypeError("can't convert cuda device type tensor to numpy.")


def torch_state(widths, *, prefix="", numbers=None, bias=True):
    numbers = numbers or range(0, 2 * len(widths), 2)
    state = {}
    for k, fan_in, fan_out in zip(numbers, widths[:-1], widths[1:], strict=False):
        state[f"{prefix}{k}.weight"] = RNG.normal(size=(fan_out, fan_in)).astype(np.float32)
        if bias:
            state[f"{prefix}{k}.bias"] = RNG.normal(size=fan_out).astype(np.float32)
    return state


def torch_forward(state, X, phi):
    """y = x A^T + b, as nn.Linear documents it."""
    h, stems = X, [key.removesuffix(".weight") for key in state if key.endswith("weight")]
    for stem in stems:
        h = h @ np.asarray(state[f"{stem}.weight"], dtype=float).T + np.asarray(
            state.get(f"{stem}.bias", 0.0), dtype=float
        )
        h = h if stem == stems[-1] else phi(h)
    return h


@pytest.mark.parametrize("prefix", ["", "net.", "module._orig_mod.layers."])
@pytest.mark.parametrize("bias", [True, False])
def test_a_state_dict_gives_the_function_that_pytorch_has(prefix, bias):
    state = torch_state((2, 4, 3, 1), prefix=prefix, bias=bias)
    net = bnn.MLP((4, 3), "relu", noise=0.5, bias=bias)
    trained = bnn.from_weights(net, X, Y, state)
    wanted = torch_forward(state, X, lambda z: np.maximum(z, 0.0))
    assert_allclose(bnn.predict(trained, X, prob=None)["mean"], wanted, rtol=1e-12)
    assert_array_equal(bnn.read_torch(state).params["W1"], state[f"{prefix}0.weight"].T)


def test_tensors_on_a_device_are_read():
    state = torch_state((2, 3, 1))
    read = bnn.read_torch({k: Tensor(v) for k, v in state.items()}).params
    assert_array_equal(read["W2"], state["2.weight"].T)


def test_numbered_layers_come_in_the_order_of_their_numbers():
    state = torch_state((2, 3, 3, 1), numbers=(0, 2, 10))
    by_name = {key: state[key] for key in sorted(state)}
    assert list(by_name)[2].startswith("10.")
    assert_array_equal(bnn.read_torch(by_name).params["W3"], state["10.weight"].T)


def test_named_layers_stay_in_the_order_of_the_dictionary():
    state = {"second.weight": np.ones((3, 2)), "first.weight": np.ones((1, 3))}
    assert bnn.read_torch(state).params["W1"].shape == (2, 3)


def test_a_list_of_keras_gives_the_function_that_keras_has():
    W1, b1, W2 = RNG.normal(size=(2, 3)), RNG.normal(size=3), RNG.normal(size=(3, 1))
    trained = bnn.from_weights(bnn.MLP((3,), noise=0.5), X, Y, [W1, b1, W2])
    assert_allclose(bnn.predict(trained, X, prob=None)["mean"], np.tanh(X @ W1 + b1) @ W2, rtol=1e-12)
    assert "dense layer 2 has no biases" in trained.attrs["bayesnn_notes"]


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_a_regressor_of_scikit_learn_gives_its_own_predictions(activation):
    mlp = MLPRegressor(hidden_layer_sizes=(4, 3), activation=activation, solver="lbfgs", max_iter=8, random_state=1)
    mlp.n_iter_no_change, mlp.tol = 8, 10.0
    mlp.fit(X, Y)
    trained = bnn.from_weights(None, X, Y, mlp)
    assert_allclose(bnn.predict(trained, X, prob=None)["mean"][:, 0], mlp.predict(X), rtol=1e-10)


@pytest.mark.parametrize("labels", [LABELS, LABELS == "yes", np.where(LABELS == "yes", 7, 3)])
def test_a_classifier_gives_its_own_probabilities_and_names(labels):
    mlp = MLPClassifier(hidden_layer_sizes=(3,), solver="lbfgs", tol=10.0, random_state=1).fit(X, labels)
    trained = bnn.from_weights(None, X, labels, mlp)
    found = bnn.predict(trained, X)["probability"]
    assert_allclose(found, mlp.predict_proba(X), rtol=1e-10)
    assert list(found["class"].values) == [str(c) for c in mlp.classes_]
    assert_array_equal(bnn.tree.problem_of(trained).y, np.searchsorted(mlp.classes_, labels))


def test_counts_of_scikit_learn_have_a_log_rate():
    y = np.round(np.exp(Y))
    mlp = MLPRegressor(loss="poisson", hidden_layer_sizes=(3,), solver="lbfgs", tol=10.0, random_state=1).fit(X, y)
    trained = bnn.from_weights(None, X, y, mlp)
    assert_allclose(bnn.predict(trained, X, prob=None)["mean"][:, 0], mlp.predict(X), rtol=1e-10)


def test_a_pipeline_brings_its_scaling():
    mlp = MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", tol=10.0, random_state=1)
    whole = TransformedTargetRegressor(make_pipeline(StandardScaler(), mlp), transformer=StandardScaler())
    whole.fit(10 * X + 3, 5 * Y - 2)
    trained = bnn.from_weights(None, 10 * X + 3, 5 * Y - 2, whole)
    new = RNG.normal(size=(5, 2))
    assert_allclose(bnn.predict(trained, new, prob=None)["mean"][:, 0], whole.predict(new), rtol=1e-10)


def test_two_logits_and_one_are_the_same_likelihood():
    y = (Y > 0).astype(int)
    two = torch_state((2, 3, 2))
    f = torch_forward(two, X, np.tanh)
    as_one = bnn.from_weights(bnn.MLP((3,), loss="binary_cross_entropy"), X, y, two)
    as_two = bnn.from_weights(bnn.MLP((3,), loss="cross_entropy"), X, y, two)
    for trained in (as_one, as_two):
        assert_allclose(bnn.predict(trained, X)["probability"], softmax(f, axis=1), rtol=1e-10)
    assert "difference" in as_one.attrs["bayesnn_notes"]
    one = torch_state((2, 3, 1))
    back = bnn.from_weights(bnn.MLP((3,), loss="cross_entropy"), X, y, one)
    assert_allclose(bnn.predict(back, X)["probability"][:, 1], expit(torch_forward(one, X, np.tanh)[:, 0]), rtol=1e-10)
    with pytest.raises(SpecError, match="not the same penalty"):
        bnn.from_weights(bnn.MLP((3,), loss="binary_cross_entropy"), X, y, bnn.read_torch(two, weight_decay=0.1))


def test_each_library_says_what_prior_its_penalty_is():
    """Against the objectives as the libraries document them, differentiated by hand."""
    n, noise, K = 10, 0.4, 3
    for decay, by_hand in (
        (bnn.read_torch(torch_state((2, 1)), weight_decay=0.2).decay, 0.2 * n * K / (2 * noise**2)),
        (bnn.read_keras([np.ones((2, 1))], l2=0.2).decay, 2 * 0.2 * n * K / (2 * noise**2)),
    ):
        prior = decay.prior(bnn.LOSSES["squared_error"], n=n, noise=noise, n_outputs=K)
        assert 1 / prior.sd**2 == pytest.approx(by_hand, rel=1e-12)
        assert (prior.bias is None) == (decay.library == "torch")
    both = bnn.read_keras([np.ones((2, 1))], l1=0.1, l2=0.2).decay
    assert isinstance(both.prior(bnn.LOSSES["cross_entropy"], n=n, noise=None, n_outputs=1), bnn.ElasticNet)
    batches = MLPRegressor(batch_size=5, alpha=0.1, hidden_layer_sizes=(1,), max_iter=9, tol=1e9, n_iter_no_change=1)
    batches.fit(X, Y)
    prior = bnn.read_sklearn(batches).decay.prior(bnn.LOSSES["squared_error"], n=12, noise=0.4, n_outputs=1)
    assert prior.sd == pytest.approx(0.4 / np.sqrt(0.1 * 12 / 5))


NET = bnn.MLP((3,), noise=0.5)
STATE = torch_state((2, 3, 1))


def state_with(**entries):
    return STATE | {key.replace("_", ".", 1): value for key, value in entries.items()}


def fitted_with(**fields):
    mlp = MLPRegressor(hidden_layer_sizes=(3,), solver="lbfgs", tol=10.0, random_state=1).fit(X, Y)
    for name, value in fields.items():
        setattr(mlp, name, value)
    return mlp


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (state_with(**{"1_running_mean": np.ones(3)}), "running_mean.*Fold a normalisation"),
        (state_with(**{"1_weight": np.ones(3)}), "no matrix.*normalisation"),
        (state_with(**{"1_weight": np.ones((4, 1, 2, 2))}), "no matrix"),
        ({k: v for k, v in STATE.items() if k != "0.weight"}, "0.weight.*missing"),
        ({"0.weight": STATE["2.weight"], "2.weight": STATE["0.weight"]}, "for 2 inputs after a layer of 1"),
        (state_with(**{"2_bias": np.ones(2)}), r"shape \(2,\) for 1 units"),
        (state_with(**{"2_bias": np.array([np.nan])}), "1 numbers that are not finite"),
        (torch_state((2, 4, 1)), r"\(4,\) units.*hidden=\(4,\)"),
        (torch_state((5, 3, 1)), r"W1 of shape \(5, 3\).*columns of X"),
        (torch_state((2, 3, 2)), r"W2 of shape \(3, 2\).*takes 1 outputs"),
        (torch_state((2, 3, 1), bias=False), "no b1.*bias=False"),
        ([np.ones((2, 3)), np.ones(3), np.ones(3), np.ones(3), np.ones(3), np.ones((3, 1))], "BatchNormalization"),
        ([np.ones(2), np.ones(2), np.ones(()), np.ones((2, 3))], r"weights\[0\] of shape \(2,\)"),
        ([], "no layers"),
        ({"W1": np.ones((3, 2)), "b1": np.ones(3), "W2": np.ones((3, 1)), "b2": np.ones(1)}, r"layers of \(2,\)"),
        ({"W1": np.ones((2, 3)), "b1": np.ones(3), "W2": np.ones((1, 3)), "b2": np.ones(1)}, r"transposed.*W2\.T"),
        ({"W1": np.ones((2, 3)), "W2": np.ones((3, 1)), "b2": np.ones(1)}, "no b1 among"),
        ({"W1": np.ones((2, 3)), "b1": np.ones(3), "W2": np.ones((3, 1)), "b2": np.ones(1), "q": 1.0}, "Got q among"),
        ({"W1": "many"}, "no array of numbers"),
        (3.0, "weights of type float"),
        (MLPRegressor(hidden_layer_sizes=(3,)), "not fitted"),
        (fitted_with(activation="swish"), "activation 'swish'"),
        (make_pipeline(MinMaxScaler(), fitted_with()), "MinMaxScaler beside the network"),
    ],
)  # fmt: skip
def test_weights_that_are_not_those_of_the_network_are_refused_by_name(weights, said):
    with pytest.raises(SpecError, match=f"(?s){said}"):
        bnn.from_weights(NET, X, Y, weights)


def test_arguments_are_refused_by_name():
    with pytest.raises(SpecError, match="no network with weights from PyTorch"):
        bnn.from_weights(None, X, Y, STATE)
    with pytest.raises(SpecError, match="weight_decay=-1"):
        bnn.read_torch(STATE, weight_decay=-1)
    with pytest.raises(SpecError, match="read from a state dict"):
        bnn.read_torch([1])
    with pytest.raises(SpecError, match="read from a list"):
        bnn.read_keras({"a": 1})
    with pytest.raises(bnn.UnknownNameError, match="'mape'"):
        bnn.from_weights(NET, X, Y, STATE, kind="mape")
    with pytest.raises(SpecError, match="activation 'relu' and a bnn"):
        bnn.from_weights(NET, X, Y, fitted_with())
    with pytest.raises(SpecError, match="loss 'squared_error' and a penalty"):
        bnn.from_weights(bnn.MLP((3,), "relu", "absolute_error"), X, Y, fitted_with())
    several = MLPClassifier(hidden_layer_sizes=(2,), solver="lbfgs", tol=10.0).fit(X, (X > 0).astype(int))
    with pytest.raises(SpecError, match="2 labels a row"):
        bnn.read_sklearn(several)
    mlp = MLPClassifier(hidden_layer_sizes=(2,), solver="lbfgs", tol=10.0).fit(X, LABELS)
    with pytest.raises(DataError, match="label 'perhaps'"):
        bnn.from_weights(None, X, np.where(LABELS == "no", "perhaps", LABELS), mlp)
    through = {"W1": np.ones((2, 1)), "b1": np.zeros(1)}
    with pytest.raises(DataError, match="passes through the data"):
        bnn.from_weights(bnn.MLP(()), X, X.sum(axis=1), through)
