"""A network that was trained elsewhere as a fit of this package, with the audit of where its training ended."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.arguments import check_name
from bayesnn.errors import DataError, SpecError
from bayesnn.exchange.keras import read_keras
from bayesnn.exchange.sklearn import read_sklearn
from bayesnn.exchange.torch import read_torch
from bayesnn.exchange.weights import TrainedWeights, finite
from bayesnn.fitting.climb import MANY_PARAMETERS, audit_ends
from bayesnn.fitting.objective import Objective
from bayesnn.fitting.point import objective_of
from bayesnn.network import MLP, Params
from bayesnn.tree import Inputs, Problem, ScalingChoice, make_tree, prepare, to_dataset

if TYPE_CHECKING:
    import xarray as xr

type Weights = TrainedWeights | Mapping[str, Any] | Sequence[Any]
"""What `from_weights` takes as weights; a fitted estimator of scientific Python's has no type here."""


def from_weights(
    net: MLP | None,
    X: Inputs,
    y: ArrayLike | None,
    weights: Any,
    *,
    kind: Literal["mle", "map"] | None = None,
    scaling: ScalingChoice = None,
) -> "xr.DataTree":
    r"""Take a network that was trained elsewhere as a fit, and audit the point where its training ended.

    Whatever takes an MLE or a MAP takes it too: `predict`, `compare`, `plot_fits`, `save_fit`. It is headed "trained
    elsewhere". `audit_weights` then answers whether it is an MLE (or a MAP), and how it lies to those found here.

    Parameters
    ----------
    net : MLP or None
        The network as this package writes it: the activation and the loss that it was trained with. None takes what
        scikit-learn's estimator says of itself.
    X : array (n, p), DataFrame or Dataset
        Inputs that it was trained on. A Dataset brings its training targets, names and scaling.
    y : array (n,) or (n, K), or None
        Targets; None where `X` is a Dataset. Labels of scikit-learn's classifiers may be given as they are.
    weights : dict, TrainedWeights, or what a reader takes
        ``{"W1": (p, h1), "b1": (h1,), ...}``, with ``noise`` and ``cutpoints`` where the network has them; or what
        `read_sklearn`, `read_torch` or `read_keras` returned; or a fitted estimator, a state dict or a list of arrays,
        which is given to these readers without a penalty.
    kind : {"mle", "map"}, optional
        What it is to be judged as. None is ``"map"`` if its library penalised the weights, otherwise ``"mle"``. Under
        ``"map"`` the prior is the penalty's translation (see the readers), or `net.prior` where no penalty is known.
    scaling : None, "standard", False or Scaling
        How the data were scaled before they came to the network: None takes the pipeline's or the Dataset's own,
        ``"standard"`` centres and scales by these rows, False says that they were not.

    Returns
    -------
    xarray.DataTree
        As of `fit_mle`: ``posterior`` (the weights; a learned noise at its best value given these), ``optima`` with the
        audit of the one point (log-likelihood, log-prior, gradient norm, Hessian signature, negative directions), the
        data; ``bayesnn_source``, ``bayesnn_message`` and ``bayesnn_notes``.

    Raises
    ------
    SpecError
        Weights that are not those of the network, with the shapes; a penalty that is no prior.
    DataError
        Data that break a rule, and residuals that are all zero while the noise is to be learned.

    Notes
    -----
    A softmax of two classes and one logit are the same likelihood: weights of the one become those of the other where
    `net.loss` asks for it. They are not the same penalty, so that for a MAP the network must have the outputs that it
    was trained with.

    See Also
    --------
    audit_weights : Is my trained network an MLE?

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> from sklearn.neural_network import MLPRegressor
    >>> X, y = np.linspace(-2, 2, 20)[:, None], np.sin(np.linspace(-2, 2, 20)) + 0.1 * np.cos(np.arange(20))
    >>> mlp = MLPRegressor(hidden_layer_sizes=(2,), activation="tanh", solver="lbfgs", alpha=0.01, random_state=1)
    >>> trained = bnn.from_weights(None, X, y, mlp.fit(X, y))
    >>> bnn.tree.heading(trained), bool(np.allclose(bnn.predict(trained)["mean"][:, 0], mlp.predict(X)))
    ('trained elsewhere', True)
    """
    if kind is not None:
        check_name("kind", kind, ("mle", "map"))
    weights = _as_weights(weights)
    net = _network(net, weights)
    if not hasattr(X, "target_names"):
        y = _coded(y, weights.classes)
    problem = prepare(net, X, y, scaling=weights.scaling if scaling is None else scaling)
    if weights.classes is not None and not hasattr(X, "target_names"):
        names = tuple(map(str, weights.classes))
        outputs = names if net.loss.task == "classes" else problem.output_names
        problem = replace(problem, class_names=names, output_names=outputs)
    kind = kind or ("map" if weights.decay else "mle")
    params, notes = _fitting(weights, problem, kind)
    if kind == "map" and net.prior.has_learned_scale and weights.decay is None:
        raise SpecError(
            f"Got prior={net.prior!r} with kind='map'; under a learned scale there is no MAP to compare with. Use a "
            "fixed scale, prior=bnn.Normal(1.0), or kind='mle'."
        )
    problem, params = _with_noise(problem, params, kind)
    if kind == "map" and weights.decay is not None:
        problem = _penalised(problem, params, weights)
    return _tree(kind, problem, params, weights.source, notes)


def _as_weights(weights):
    if isinstance(weights, TrainedWeights):
        return weights
    if hasattr(weights, "coefs_") or hasattr(weights, "steps") or hasattr(weights, "hidden_layer_sizes"):
        return read_sklearn(weights)
    if hasattr(weights, "regressor_"):
        return read_sklearn(weights)
    if isinstance(weights, Mapping):
        if any(str(key).rpartition(".")[2] in ("weight", "bias") for key in weights):
            return replace(read_torch(weights), decay=None)
        return _plain(weights)
    if isinstance(weights, Sequence) and not isinstance(weights, str | bytes):
        return replace(read_keras(weights), decay=None)
    raise SpecError(
        f"Got weights of type {type(weights).__name__}; they are a dict such as {{'W1': ..., 'b1': ...}}, a fitted "
        "MLPRegressor or MLPClassifier, a state dict of PyTorch or the list of model.get_weights(). Pass one of these."
    )


def _plain(weights):
    params = {str(name): finite(value, f"{name} of the weights") for name, value in weights.items()}
    layers = 1
    while f"W{layers + 1}" in params:
        layers += 1
    hidden = tuple(params[f"W{k}"].shape[-1] for k in range(1, layers) if f"W{k}" in params and params[f"W{k}"].ndim)
    return TrainedWeights(params, "a dictionary", hidden, any(name[0] == "b" for name in params))


def _network(net, weights):
    if net is None:
        if weights.net is None:
            raise SpecError(
                f"Got no network with weights from {weights.source}, which do not say what their activation and their "
                "loss are. Write it: bnn.MLP(hidden=(8,), activation='tanh', loss='squared_error')."
            )
        return weights.net
    if not isinstance(net, MLP):
        raise SpecError(
            f"Got a network of type {type(net).__name__}; the network must be a bnn.MLP. Write bnn.MLP(hidden=(3,))."
        )
    if net.hidden != weights.hidden:
        raise SpecError(
            f"Got weights of a network with hidden layers of {weights.hidden} units and a bnn.MLP with {net.hidden}; "
            f"they must be the same. Write bnn.MLP(hidden={weights.hidden})."
        )
    if weights.net is not None and net.hidden and net.phi != weights.net.phi:
        raise SpecError(
            f"Got weights that were trained with the activation {weights.net.phi.name!r} and a bnn.MLP with "
            f"{net.phi.name!r}, which is another function. Write activation={weights.net.phi.name!r}."
        )
    return net


def _coded(y, classes):
    """Labels as numbers from 0, where they are the names of classes."""
    if classes is None or y is None:
        return y
    given = np.asarray(y).ravel()
    unknown = ~np.isin(given, classes)
    if unknown.any():
        if given.dtype.kind in "iufb" and np.isin(given, np.arange(len(classes))).all():
            return y
        raise DataError(
            f"Got the label {str(given[unknown][0])!r}; the network was trained on {', '.join(map(str, classes))}. "
            "Pass the targets that it was trained on."
        )
    return np.searchsorted(classes, given)


def _fitting(weights, problem, kind):
    """Parameters of the problem from the weights: outputs as its loss has them, and every shape looked at."""
    params, notes = dict(weights.params), list(weights.notes)
    shapes, net = problem.shapes, problem.net
    last = net.n_layers
    got, wanted = params.get(f"W{last}", np.empty((0, 0))).shape[-1:], shapes[f"W{last}"][1:]
    if (got, wanted) in (((2,), (1,)), ((1,), (2,))) and net.loss.task in ("binary", "classes"):
        if kind == "map":
            loss = "cross_entropy" if got == (2,) else "binary_cross_entropy"
            raise SpecError(
                f"Got weights of {got[0]} outputs, a bnn.MLP with the loss {net.loss.name!r} and kind='map'; two "
                f"logits and one are the same likelihood, but not the same penalty. Write loss={loss!r}, or kind='mle'."
            )
        for name in (f"W{last}", f"b{last}"):
            if name in params:
                value = params[name]
                params[name] = (
                    value[..., 1:] - value[..., :1]
                    if got == (2,)
                    else np.concatenate([np.zeros_like(value), value], axis=-1)
                )
        said = (
            "two logits were read as their difference" if got == (2,) else "one logit was read as two, the first zero"
        )
        notes.append(said)
    wanted = dict(shapes)
    if net.loss.has_noise and "noise" in params and net.noise_prior is not None:
        wanted["noise"] = ()
    if net.loss.task == "ordinal":
        wanted["cutpoints"] = (int(problem.y.max()),)
    for name, shape in wanted.items():
        _check_shape(name, params.get(name), shape, net, weights)
    extra = set(params) - set(wanted)
    if extra:
        surplus = sorted(extra)
        remedy = "Write bias=True" if all(name[0] == "b" for name in surplus) else "Leave them out"
        raise SpecError(f"Got {', '.join(surplus)} among the weights; this network has {', '.join(wanted)}. {remedy}.")
    return {name: params[name] for name in wanted}, notes


def _check_shape(name, value, shape, net, weights):
    if value is None:
        if name[0] == "b" and not weights.bias:
            remedy = "The weights have no biases: write bnn.MLP(..., bias=False)."
        elif name == "cutpoints":
            remedy = "Ordered labels have cutpoints: give them, increasing."
        else:
            remedy = "Give every layer, numbered from 1."
        raise SpecError(f"Got no {name} among the weights from {weights.source}; it has shape {shape} here. {remedy}")
    if value.shape == shape:
        return
    remedy = "Check the order of the layers."
    if value.shape == shape[::-1]:
        remedy = f"It is transposed: PyTorch keeps (out, in). Use bnn.read_torch(state_dict), or pass {name}.T."
    elif name == "W1":
        remedy = "Pass the columns of X that it was trained on, in their order."
    elif name == f"W{net.n_layers}":
        remedy = f"The loss {net.loss.name!r} takes {shape[-1]} outputs for this y: check loss and y."
    raise SpecError(f"Got {name} of shape {value.shape} from {weights.source}; it has shape {shape} here. {remedy}")


def _with_noise(problem, params, kind):
    """Give a learned noise its best value at these weights, of the likelihood or, for a MAP, with its prior."""
    net = problem.net
    if net.noise_prior is None or "noise" in params:
        return problem, params
    f = net.forward(params, problem.X)
    found = net.loss.noise_mle(problem.y, f)
    if found == 0.0:
        raise DataError(
            "Got weights whose network passes through the data; with a learned noise the likelihood has no bound "
            "there. Give the noise: bnn.MLP(noise=0.1)."
        )
    if found is None or kind == "map":
        found = _best_noise(problem, params, found or float(np.std(problem.values)))
    return problem, {**params, "noise": np.array(found)}


def _best_noise(problem, params, guess):
    from scipy.optimize import brentq

    # Other priors than the noise's own do not move its derivative.
    objective = objective_of(problem)
    place = objective.names.index("noise")
    at = objective.offsets[place]
    x = objective.pack({**params, "noise": np.array(guess)})

    def slope(log_noise):
        x[at] = log_noise
        return objective(x)[1][at]

    low = high = np.log(guess)
    for _ in range(60):
        low -= 0.5 * (slope(low) > 0)
        high += 0.5 * (slope(high) < 0)
        if slope(low) <= 0 <= slope(high):
            return float(np.exp(low if low == high else brentq(slope, low, high, xtol=1e-14)))
    raise DataError(
        f"Got residuals of about {guess:.3g} for which no noise scale is the best one; its prior is "
        f"{problem.net.noise_prior!r}. Give the noise: bnn.MLP(noise={guess:.3g})."
    )


def _penalised(problem, params, weights):
    """Give the problem the prior that the penalty is."""
    net = problem.net
    loss = net.loss if weights.net is None else weights.net.loss
    if loss != net.loss:
        raise SpecError(
            f"Got weights that were trained with the loss {loss.name!r} and a penalty, and a bnn.MLP with "
            f"{net.loss.name!r}; under another loss the penalty is no prior. Write loss={loss.name!r}, or kind='mle'."
        )
    noise = net.likelihood_args(params).get("noise")
    n_outputs = 1 if problem.values.ndim == 1 else problem.values.shape[1]
    prior = weights.decay.prior(
        net.loss, n=len(problem.X), noise=None if noise is None else float(noise), n_outputs=n_outputs
    )
    return replace(problem, net=replace(net, prior=prior))


def objective_for(kind: str, problem: Problem) -> Objective:
    """Compile what an MLE or a MAP minimises."""
    return objective_of(replace(problem, net=problem.net.flat) if kind == "mle" else problem)


def _tree(kind, problem: Problem, params: Params, source: str, notes: list[str]) -> "xr.DataTree":
    objective = objective_for(kind, problem)
    x = objective.pack(params)
    kinks = objective.kinks(problem.net.flat.prior if kind == "mle" else problem.net.prior)
    (value,), audit = audit_ends(objective, [x], kinks=kinks)
    if not np.isfinite(value):
        raise DataError(
            f"Got weights from {source} at which the likelihood of the data is zero in floating point. Pass the data "
            "in the units that the network was trained on, or scaling= as it was scaled."
        )
    batch = {name: np.asarray(v)[None] for name, v in params.items()}
    optima = to_dataset(batch, problem, {"start": [0]})
    optima["log_likelihood"] = ("start", problem.log_likelihood(batch))
    unknown = problem.net.prior.has_learned_scale
    optima["log_prior"] = ("start", np.full(1, np.nan) if unknown else np.zeros(1) + problem.net.log_prior(batch))
    for name, column in (*audit.items(), ("iterations", np.zeros(1, dtype=int))):
        optima[name] = ("start", column)
    optima.attrs["best"] = 0
    message = point_words(audit, objective.size, smooth=problem.net.smooth)
    return make_tree(
        kind,
        problem,
        to_dataset({name: v[None] for name, v in batch.items()}, problem, {"chain": [0], "draw": [0]}),
        groups={"optima": optima},
        attrs={
            "bayesnn_source": source,
            "bayesnn_message": f"Trained elsewhere ({source}): {message}.",
            "bayesnn_brief": f"trained elsewhere ({source}): {message}",
            "bayesnn_notes": "; ".join(notes),
        },
    )


def point_words(audit: dict[str, np.ndarray], size: int, *, smooth: bool = True) -> str:
    """Say what the audit of a single point has found."""
    negative, norm = int(audit["n_negative"][0]), float(audit["gradient_norm"][0])
    shape = f"gradient norm {norm:.3g}"
    if negative and not smooth and norm < 0.1:
        return f"near a kink, where the Hessian does not tell whether it is a maximum ({shape})"
    if negative:
        least = "at least " if size > MANY_PARAMETERS else ""
        plural = "s" if negative > 1 else ""
        return f"not a maximum: {least}{negative} negative direction{plural} of {size} ({shape})"
    if audit["converged"][0]:
        return f"a maximum, at least locally ({shape})"
    return f"no negative direction, but the slope is not zero ({shape})"
