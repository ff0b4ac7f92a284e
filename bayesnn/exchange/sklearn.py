"""Weights of scikit-learn's MLPRegressor and MLPClassifier, as they are or at the end of a pipeline."""

from typing import Any

import numpy as np

from bayesnn.data import Scaling
from bayesnn.errors import SpecError
from bayesnn.exchange.weights import Decay, TrainedWeights, layered
from bayesnn.network import MLP

_ACTIVATIONS = {"identity": "identity", "logistic": "sigmoid", "tanh": "tanh", "relu": "relu"}
_LOSSES = {
    "identity": "squared_error",
    "exp": "poisson",
    "logistic": "binary_cross_entropy",
    "softmax": "cross_entropy",
}


def read_sklearn(estimator: Any) -> TrainedWeights:
    r"""Read the weights of a fitted `MLPRegressor` or `MLPClassifier` of scikit-learn.

    Parameters
    ----------
    estimator : object
        A fitted MLP, a `Pipeline` of a `StandardScaler` and an MLP, or a `TransformedTargetRegressor` about either with
        a `StandardScaler` of its target. Only attributes are read.

    Returns
    -------
    TrainedWeights
        With the network, the penalty, the labels, and the scaling of a pipeline.

    Raises
    ------
    SpecError
        Anything else: not fitted, other steps in the pipeline, several labels a row.

    Notes
    -----
    With n rows scikit-learn minimises

    .. math:: \frac{1}{2n} \sum_i |y_i - f(x_i)|^2 + \frac{\alpha}{2n} |W|^2

    or the mean of the cross-entropy plus the same penalty, of the weights without the biases. Times
    :math:`n / \sigma^2`, or n for a cross-entropy, that is minus the log-likelihood and the log-prior under

    .. math:: W \sim N(0, sd^2), \quad sd = \sigma / \sqrt{\alpha} \quad \text{or} \quad sd = 1 / \sqrt{\alpha},

    and flat biases. The solvers ``adam`` and ``sgd`` divide alpha by the rows of a batch, and not by n: with batches of
    B rows :math:`\alpha n / B` takes the place of :math:`\alpha`.

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> from sklearn.neural_network import MLPRegressor
    >>> X, y = np.linspace(-2, 2, 20)[:, None], np.sin(np.linspace(-2, 2, 20))
    >>> mlp = MLPRegressor(hidden_layer_sizes=(3,), activation="tanh", solver="lbfgs", alpha=0.01, random_state=1)
    >>> bnn.read_sklearn(mlp.fit(X, y))
    TrainedWeights from scikit-learn: W1 (1, 3), b1 (3,), W2 (3, 1), b2 (1,); penalty {'alpha': 0.01}
    """
    mlp, x_scaler, y_scaler = _parts(estimator)
    missing = [name for name in ("coefs_", "intercepts_", "out_activation_", "activation") if not hasattr(mlp, name)]
    if missing:
        said = "that is not fitted" if hasattr(mlp, "hidden_layer_sizes") else f"without {missing[0]}"
        raise SpecError(
            f"Got a {type(mlp).__name__} {said}; weights are read from a fitted MLPRegressor or MLPClassifier. Call "
            "its fit(X, y) first."
        )
    n_outputs = np.shape(mlp.coefs_[-1])[1]
    if mlp.out_activation_ == "logistic" and n_outputs > 1:
        raise SpecError(
            f"Got a {type(mlp).__name__} of {n_outputs} labels a row; the classes of this package exclude each other. "
            "Train one network for each label."
        )
    if mlp.activation not in _ACTIVATIONS or mlp.out_activation_ not in _LOSSES:
        raise SpecError(
            f"Got a {type(mlp).__name__} with activation {mlp.activation!r} and outputs {mlp.out_activation_!r}; known "
            f"are {', '.join(_ACTIVATIONS)} and {', '.join(_LOSSES)}. Take one of these."
        )
    classes = getattr(mlp, "classes_", None)
    loss = _LOSSES[mlp.out_activation_]
    batch = None
    if mlp.solver != "lbfgs":
        batch = 200 if mlp.batch_size == "auto" else int(mlp.batch_size)
    library = f"sklearn.{'MLPRegressor' if classes is None else 'MLPClassifier'}"
    return layered(
        list(zip(mlp.coefs_, mlp.intercepts_, strict=True)),
        [f"layer {k}" for k in range(1, len(mlp.coefs_) + 1)],
        "scikit-learn",
        net=MLP(tuple(np.shape(W)[1] for W in mlp.coefs_[:-1]), _ACTIVATIONS[mlp.activation], loss),
        decay=Decay(library, {"alpha": float(mlp.alpha)}, batch=batch),
        scaling=_scaling(x_scaler, y_scaler, mlp),
        classes=None if classes is None else np.asarray(classes),
    )


def _parts(estimator):
    """Take apart the network, and the scalers of its inputs and of its target or None."""
    y_scaler = None
    if hasattr(estimator, "regressor_") and hasattr(estimator, "transformer_"):
        y_scaler, estimator = _scaler(estimator.transformer_), estimator.regressor_
    steps = [step for _, step in getattr(estimator, "steps", ()) if step not in (None, "passthrough")]
    if not steps:
        return estimator, None, y_scaler
    *before, mlp = steps
    if len(before) > 1:
        raise SpecError(
            f"Got a pipeline of {', '.join(type(s).__name__ for s in steps)}; one StandardScaler may stand before the "
            "network. Transform X by the other steps yourself, and pass the network alone."
        )
    return mlp, _scaler(before[0]) if before else None, y_scaler


def _scaler(step):
    if not hasattr(step, "mean_") or not hasattr(step, "scale_") or type(step).__name__ != "StandardScaler":
        raise SpecError(
            f"Got a {type(step).__name__} beside the network; a fitted StandardScaler is known here. Transform the "
            "data by it yourself, and pass the network alone."
        )
    return step


def _scaling(x_scaler, y_scaler, mlp):
    if x_scaler is None and y_scaler is None:
        return None
    p = np.shape(mlp.coefs_[0])[0]

    def pair(scaler, size):
        mean = scaler.mean_ if scaler is not None and scaler.with_mean else np.zeros(size)
        sd = scaler.scale_ if scaler is not None and scaler.with_std else np.ones(size)
        return tuple(np.ravel(mean).tolist()), tuple(np.ravel(sd).tolist())

    y = (None, None) if y_scaler is None else pair(y_scaler, np.shape(mlp.coefs_[-1])[1])
    return Scaling(*pair(x_scaler, p), *y)
