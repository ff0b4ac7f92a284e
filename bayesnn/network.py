"""The frozen specification of a network, its layer shapes, and its forward pass in NumPy."""

import html
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.activations import Activation, as_activation
from bayesnn.arguments import SCALE, check_arguments, is_scale
from bayesnn.data.columns import LARGE, row_blocks
from bayesnn.errors import SpecError
from bayesnn.losses import Loss, as_loss, loss_from_json, loss_to_json
from bayesnn.priors import HalfFlat, HalfNormal, NoisePrior, Normal, Prior, prior_from_json, prior_to_json

type Params = dict[str, np.ndarray]
"""Weights, biases and the other parameters by name, with any leading batch dimensions."""

MOST_UNITS, MOST_WEIGHTS = 100_000, 100_000_000
"""Bounds of a network: ten times more than has any use here, and what memory still holds."""
_TEXT = str, bytes, bytearray
CUTPOINT_SD = 3.0
"""Standard deviation of the normal prior of the ordinal cutpoints: on the logit scale, 3 covers p = .05 to .95."""


def affine(h: Any, W: Any, b: Any = None) -> Any:
    """Multiply by a layer's weights and add its biases; for arrays and tensors, with leading batch dimensions."""
    z = h @ W
    return z if b is None else z + b[..., None, :]


def hidden_layers(h: Any, layers: Iterable[tuple[Any, Any]], phi: Callable[[Any], Any]) -> Any:
    """Evaluate hidden layers, pairs of weights and biases or None, for arrays and tensors.

    Parameters
    ----------
    h : array or TensorVariable (..., n, p)
        Inputs.
    layers : iterable of (W, b)
        Weights (..., q, m) and biases (..., m) or None.
    phi : callable
        The activation, for arrays or tensors.

    Returns
    -------
    array or TensorVariable (..., n, m)
        The last layer's activations.
    """
    for W, b in layers:
        h = phi(affine(h, W, b))
    return h


@dataclass(frozen=True)
class MLP:
    r"""A feed-forward network, the loss it is trained with, and the prior on its weights.

    With :math:`h_0 = x` the network is :math:`h_l = \phi(h_{l-1} W_l + b_l)` for each hidden layer and
    :math:`f(x) = h_L W_{L+1} + b_{L+1}` at the output, which is always linear: for classes, `f` are logits.

    Parameters
    ----------
    hidden : tuple of int
        Units in each hidden layer. ``()`` has no hidden layer: the linear, logistic or Poisson regression.
    activation : str or Activation
        One of ``tanh, sigmoid, relu, identity, gelu, silu, softplus, erf, sin``, or a `bnn.Activation` of yours.
    loss : str or Loss
        A name in ``bnn.LOSSES`` or an instance such as ``bnn.losses.Huber(delta=2.0)``.
    noise : float, NoisePrior or None
        Scale of the likelihood, for losses that have one, in the units the model works in (scaled units when a
        fit scales its data). A number is a known scale; a noise prior (`HalfNormal`, `HalfFlat`, `LogNormal`,
        `InverseGamma`) makes it a parameter; None means ``HalfNormal(1.0)``. Where a network can pass through all
        targets, only the last two leave a MAP.
    prior : Prior
        Prior of the weights and biases.
    bias : bool
        Whether the layers have biases.

    Raises
    ------
    SpecError
        A width that is not a positive integer, a noise that is not positive, a noise for a loss that has none.
    UnknownNameError
        An activation or loss that does not exist; the message has the nearest known name.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> net = bnn.MLP(hidden=(2,), activation="tanh", loss="squared_error", noise=0.2, prior=bnn.Normal(1.0))
    >>> net
    MLP(hidden=(2,), activation='tanh', loss=SquaredError(), noise=0.2, prior=Normal(sd=1.0), bias=True)
    >>> net.shapes(n_features=1, n_outputs=1)
    {'W1': (1, 2), 'b1': (2,), 'W2': (2, 1), 'b2': (1,)}
    >>> bnn.MLP.from_json(net.to_json()) == net
    True
    """

    hidden: tuple[int, ...] = (3,)
    activation: str | Activation = "tanh"
    loss: Loss = "squared_error"  # type: ignore[assignment]  # a name becomes the loss it stands for
    noise: float | NoisePrior | None = None
    prior: Prior = field(default_factory=Normal)
    bias: bool = True

    if TYPE_CHECKING:
        # More is taken than the fields hold afterwards.
        def __init__(
            self,
            hidden: int | Sequence[int] = (3,),
            activation: str | Activation = "tanh",
            loss: str | Loss = "squared_error",
            noise: float | NoisePrior | None = None,
            prior: Prior = ...,
            bias: bool = True,
        ) -> None: ...

    def __post_init__(self):
        hidden = (self.hidden,) if isinstance(self.hidden, int | np.integer) else self.hidden
        try:
            # Text, bytes, sets and mappings can be iterated over too, and their order means nothing.
            widths = (
                tuple(hidden) if isinstance(hidden, Sequence | np.ndarray) and not isinstance(hidden, _TEXT) else ("",)
            )
            valid = all(int(h) == h and h > 0 and not isinstance(h, bool) for h in widths)
        except (TypeError, ValueError, OverflowError):
            valid = False
        if not valid:
            raise SpecError(
                f"Got hidden={self.hidden!r}; it must be a tuple of positive integers, one for each hidden layer. "
                "Write hidden=(8,) for one layer of 8 units, hidden=() for none."
            )
        object.__setattr__(self, "hidden", tuple(int(h) for h in widths))
        if sum(self.hidden) > MOST_UNITS or sum(a * b for a, b in pairwise(self.hidden)) > MOST_WEIGHTS:
            raise SpecError(
                f"Got hidden={self.hidden!r}; a network has {MOST_UNITS:,} units and {MOST_WEIGHTS:,} weights between "
                "hidden layers at most, or memory ends before a fit does. Write hidden=(64, 64), or fewer units."
            )
        phi = as_activation(self.activation)
        object.__setattr__(self, "activation", phi.name if phi.builtin else phi)
        object.__setattr__(self, "loss", as_loss(self.loss))
        if not isinstance(self.prior, Prior):
            raise SpecError(
                f"Got prior={self.prior!r}; it must be a prior. Write prior=bnn.Normal(1.0), prior=bnn.Laplace(1.0) "
                "or prior=bnn.Flat()."
            )
        if not isinstance(self.bias, bool | np.bool_):
            raise SpecError(f"Got bias={self.bias!r}; it must be True or False. Set the biases' prior in `prior`.")
        self._check_noise()

    def _check_noise(self):
        noise = self.noise
        if noise is None:
            return
        if not self.loss.has_noise:
            raise SpecError(
                f"Got noise={noise!r} with loss {self.loss.name!r}, whose likelihood ({self.loss.likelihood}) has no "
                "separate scale. Leave noise out."
            )
        if isinstance(noise, NoisePrior):
            return
        if not is_scale(noise):
            raise SpecError(
                f"Got noise={noise!r}; a known noise scale must be {SCALE}, and a learned one a noise prior. Write "
                "noise=0.2, noise=bnn.HalfNormal(1.0), or leave it out to learn it."
            )
        object.__setattr__(self, "noise", float(noise))

    @property
    def noise_prior(self) -> NoisePrior | None:
        """Prior of the noise scale when it is a parameter, otherwise None."""
        if not self.loss.has_noise or isinstance(self.noise, float):
            return None
        return self.noise or HalfNormal(1.0)

    @property
    def phi(self) -> Activation:
        """The activation."""
        return as_activation(self.activation)

    @property
    def smooth(self) -> bool:
        """Whether loss and activation have a gradient everywhere."""
        return self.loss.smooth and (not self.hidden or self.phi.smooth)

    @property
    def proper(self) -> bool:
        """Whether every prior integrates to one, so that there is a posterior whatever the data."""
        return self.prior.proper and (self.noise_prior is None or self.noise_prior.proper)

    @property
    def flat(self) -> "MLP":
        """The same network under flat priors: its MAP is this network's MLE."""
        from bayesnn.priors import Flat

        return replace(self, prior=Flat(), noise=HalfFlat() if self.noise_prior else self.noise)

    @property
    def n_layers(self) -> int:
        """Number of weight matrices: hidden layers plus the output layer."""
        return len(self.hidden) + 1

    def sizes(self, n_features: int, n_outputs: int) -> tuple[int, ...]:
        """Width of each layer from the inputs to the outputs.

        Parameters
        ----------
        n_features, n_outputs : int
            Columns of `X` and of the network's output.

        Returns
        -------
        tuple of int
            ``(n_features, *hidden, n_outputs)``.
        """
        check_arguments(n_features=n_features, n_outputs=n_outputs)
        return (int(n_features), *self.hidden, int(n_outputs))

    def has_bias(self, layer: int) -> bool:
        """Whether layer `layer` (1 is the first) has biases; cutpoints take the place of the last ones.

        Parameters
        ----------
        layer : int
            Number of the layer, counted from 1 as in ``W1``.

        Returns
        -------
        bool
            True if there is a variable ``b{layer}``.
        """
        return bool(self.bias) and (layer < self.n_layers or self.loss.output_bias)

    def shapes(self, n_features: int, n_outputs: int) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the weights and biases, in the order of the layers.

        Parameters
        ----------
        n_features, n_outputs : int
            Columns of `X` and of the network's output.

        Returns
        -------
        dict of str to tuple of int
            ``{"W1": (n_features, h1), "b1": (h1,), ...}``.
        """
        sizes = self.sizes(n_features, n_outputs)
        out: dict[str, tuple[int, ...]] = {}
        for layer, (fan_in, fan_out) in enumerate(pairwise(sizes), start=1):
            out[f"W{layer}"] = (fan_in, fan_out)
            if self.has_bias(layer):
                out[f"b{layer}"] = (fan_out,)
        return out

    def dims(self) -> dict[str, tuple[str, ...]]:
        """Names of the dimensions of every parameter.

        Returns
        -------
        dict of str to tuple of str
            ``{"W1": ("feature", "hidden_1"), "b1": ("hidden_1",), ...}``.
        """
        sides = ("feature", *(f"hidden_{i}" for i in range(1, self.n_layers)), "output")
        return {
            name: (sides[layer - 1], sides[layer]) if name[0] == "W" else (sides[layer],)
            for name in self.shapes(1, 1)
            for layer in [int(name[1:])]
        }

    def forward(self, params: Params, X: ArrayLike) -> np.ndarray:
        """Evaluate the network, for one weight vector or a whole batch of them.

        Parameters
        ----------
        params : dict of str to array
            ``W1`` (..., p, h1), ``b1`` (..., h1), ... with the same leading batch dimensions.
        X : array (n, p)
            Inputs, in the units the model works in.

        Returns
        -------
        array (..., n, m)
            The network's outputs.

        Examples
        --------
        >>> import numpy as np, bayesnn as bnn
        >>> net = bnn.MLP(hidden=(1,), bias=False)
        >>> net.forward({"W1": np.array([[0.5]]), "W2": np.array([[2.0]])}, np.array([[1.0], [2.0]])).round(6)
        array([[0.924234],
               [1.523188]])
        """
        return affine(self.features(params, X), *self._layer(params, self.n_layers))

    def _layer(self, params, layer):
        """Weights of a layer, and its biases or None."""
        return np.asarray(params[f"W{layer}"]), np.asarray(params[f"b{layer}"]) if self.has_bias(layer) else None

    def features(self, params: Params, X: ArrayLike) -> np.ndarray:
        """Activations of the last hidden layer: what the linear output layer sees.

        Parameters
        ----------
        params : dict of str to array
            As for `forward`; the output layer may be missing.
        X : array (n, p)
            Inputs, in the units the model works in.

        Returns
        -------
        array (..., n, h)
            The inputs themselves for a network without hidden layers.
        """
        layers = (self._layer(params, layer) for layer in range(1, self.n_layers))
        return hidden_layers(np.asarray(X, dtype=float), layers, self.phi)

    def likelihood_args(self, params: Params) -> dict[str, Any]:
        """Parameters of the likelihood beside the network's output.

        Parameters
        ----------
        params : dict of str to array
            As for `forward`; may hold ``noise`` and ``cutpoints``.

        Returns
        -------
        dict
            Keyword arguments for the methods of the loss: ``noise`` and, for ordinal targets, ``cutpoints``.
        """
        args = (
            {"noise": self.noise if isinstance(self.noise, float) else params["noise"]} if self.loss.has_noise else {}
        )
        if "cutpoints" in params:
            args["cutpoints"] = params["cutpoints"]
        return args

    def log_likelihood(self, params: Params, X: ArrayLike, y: ArrayLike) -> np.ndarray:
        """Log-likelihood of each observation.

        Parameters
        ----------
        params : dict of str to array
            As for `forward`, with ``noise`` when it is learned.
        X : array (n, p)
            Inputs.
        y : array (n,) or (n, K)
            Targets.

        Returns
        -------
        array (..., n)
            Natural logarithms of densities (or probabilities), summed over targets.
        """
        X, y, args = np.asarray(X), np.asarray(y), self.likelihood_args(params)
        blocks = self.row_blocks(params, len(X))
        if len(blocks) < 2 or len(y) != len(X):
            return self.loss.logp(y, self.forward(params, X), **args)
        out = None
        for rows in blocks:
            part = self.loss.logp(y[rows], self.forward(params, X[rows]), **args)
            out = np.empty((*part.shape[:-1], len(X))) if out is None else out
            out[..., rows] = part
        return out  # type: ignore[return-value]  # there are blocks

    def row_blocks(self, params: Params, n: int) -> list[slice]:
        """Divide rows so that the hidden units of some of them, at all weight vectors, take little memory.

        Parameters
        ----------
        params : dict of str to array
            As for `forward`.
        n : int
            Number of rows.

        Returns
        -------
        list of slice
            All rows in their order, as a single slice unless they are many.
        """
        batch = np.shape(params["W1"])[:-2]
        width = math.prod(batch) * max(np.shape(params[f"W{layer}"])[-1] for layer in range(1, self.n_layers + 1))
        return row_blocks(n, width) if n * width > LARGE else [slice(0, n)]

    def log_prior(self, params: Params, *, noise: bool = True) -> np.ndarray:
        """Log density of all priors: weights, biases, their scales, cutpoints and noise.

        Parameters
        ----------
        params : dict of str to array
            As for `forward`, with ``noise``, ``cutpoints`` and ``scale1, ...`` where the model has them.
        noise : bool
            Whether to include the prior of a learned noise.

        Returns
        -------
        array (...,)
            Zero for every flat component; the order of the cutpoints adds no normalising constant.
        """
        out = self.prior.logp(params)
        if noise and self.noise_prior is not None:
            out = out + self.noise_prior.logp(params["noise"])
        if "cutpoints" in params and self.prior.proper:
            z = np.asarray(params["cutpoints"]) / CUTPOINT_SD
            out = out - np.sum(0.5 * z**2 + np.log(CUTPOINT_SD * np.sqrt(2 * np.pi)), axis=-1)
        return out

    def to_json(self) -> str:
        """Write the specification as JSON text.

        Returns
        -------
        str
            Read back by `MLP.from_json`.
        """
        noise = self.noise
        if isinstance(noise, NoisePrior):
            noise = prior_to_json(noise)
        return json.dumps(
            {
                "hidden": list(self.hidden),
                "activation": self.phi.to_json(),
                "loss": loss_to_json(self.loss),
                "noise": noise,
                "prior": prior_to_json(self.prior),
                "bias": bool(self.bias),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a specification that `to_json` wrote.

        Parameters
        ----------
        text : str
            The JSON text.

        Returns
        -------
        MLP
            Equal to the network that was written.

        Raises
        ------
        SpecError
            Text that is not such JSON, or keys that are missing or unknown.
        """
        try:
            spec = json.loads(text)
            keys = set(spec)
        except (ValueError, TypeError, RecursionError) as error:
            raise SpecError(
                f"Got {str(text)[:60]!r}, which is not the JSON text of a network. Write it with to_json()."
            ) from error
        known = {"hidden", "activation", "loss", "noise", "prior", "bias"}
        if keys != known:
            raise SpecError(f"Got keys {sorted(keys)}; a network has exactly {sorted(known)}. Write it with to_json().")
        noise = spec["noise"]
        return cls(
            hidden=spec["hidden"],
            activation=spec["activation"],
            loss=loss_from_json(spec["loss"]),
            noise=prior_from_json(noise) if isinstance(noise, dict) else noise,  # type: ignore[arg-type]
            prior=prior_from_json(spec["prior"]),  # type: ignore[arg-type]
            bias=spec["bias"],
        )

    def to_mermaid(
        self,
        n_features: int = 1,
        n_outputs: int = 1,
        *,
        feature_names: Sequence[str] | None = None,
        output_names: Sequence[str] | None = None,
        max_units: int = 8,
    ) -> str:
        """Draw the network layer by layer as a Mermaid graph.

        Parameters
        ----------
        n_features, n_outputs : int
            Number of inputs and outputs to draw.
        feature_names, output_names : sequence of str, optional
            Labels in place of ``x1, x2, ...`` and ``f1, f2, ...``; their number overrides `n_features`, `n_outputs`.
        max_units : int
            Layers wider than this show their first units, an ellipsis, and their last unit.

        Returns
        -------
        str
            A ``graph LR``: inputs on the left, hidden units, outputs on the right.

        Raises
        ------
        SpecError
            `max_units` below 2.

        Examples
        --------
        >>> import bayesnn as bnn
        >>> print(bnn.MLP(hidden=(1,)).to_mermaid())
        graph LR
          subgraph inputs
            l0_1(("x1"))
          end
          subgraph hidden_1["hidden 1: tanh"]
            l1_1(("h1"))
          end
          subgraph outputs["outputs: squared_error, Normal"]
            l2_1(("f1"))
          end
          l0_1 --> l1_1
          l1_1 --> l2_1
        """
        check_arguments(n_features=n_features, n_outputs=n_outputs)
        if not isinstance(max_units, int) or max_units < 2:
            raise SpecError(
                f"Got max_units={max_units!r}; a shortened layer shows its last unit and an ellipsis. Use 2 or more."
            )
        labels = {0: list(feature_names) if feature_names is not None else [f"x{i + 1}" for i in range(n_features)]}
        for layer, width in enumerate(self.hidden, start=1):
            labels[layer] = [f"h{i + 1}" for i in range(width)]
        labels[self.n_layers] = (
            list(output_names) if output_names is not None else [f"f{i + 1}" for i in range(n_outputs)]
        )
        titles = {
            0: "inputs",
            **{i: f'hidden_{i}["hidden {i}: {self.phi.name}"]' for i in range(1, self.n_layers)},
            self.n_layers: f'outputs["outputs: {self.loss.name}, {self.loss.likelihood}"]',
        }
        lines, nodes = ["graph LR"], {}
        for layer, names in labels.items():
            shown = list(enumerate(names, start=1))
            if len(shown) > max_units:
                shown = [*shown[: max_units - 2], ("more", f"... {len(names) - max_units + 1} more"), shown[-1]]
            nodes[layer] = [f"l{layer}_{i}" for i, _ in shown]
            lines.append(f"  subgraph {titles[layer]}")
            lines += [
                f'    {node}(("{" ".join(str(label).split()).replace(chr(34), chr(39))}"))'
                for node, (_, label) in zip(nodes[layer], shown, strict=True)
            ]
            lines.append("  end")
        lines += [f"  {a} --> {b}" for i in range(self.n_layers) for a in nodes[i] for b in nodes[i + 1]]
        return "\n".join(lines)

    def _rows(self):
        """Put the specification into words, one row a part."""
        if self.noise_prior is not None:
            noise = f"learned, prior {self.noise_prior!r}"
        else:
            noise = f"known, {self.noise}" if self.loss.has_noise else "none in this likelihood"
        layers = " → ".join(["inputs", *(f"{h} {self.phi.name}" for h in self.hidden), "outputs (linear)"])
        return [
            ("network", layers + ("" if self.bias else ", no biases")),
            ("loss", repr(self.loss)),
            ("likelihood", self.loss.likelihood),
            ("noise", noise),
            ("prior", repr(self.prior)),
        ]

    def _repr_html_(self):
        """Show the specification as a table in Jupyter."""
        rows = "".join(
            f"<tr><th style='text-align:left'>{k}</th><td style='text-align:left'>{html.escape(v)}</td></tr>"
            for k, v in self._rows()
        )
        return f"<table><caption>bayesnn.MLP</caption>{rows}</table>"


def check_net(net: Any) -> MLP:
    """Refuse what is no network.

    Parameters
    ----------
    net : MLP
        From a user.

    Returns
    -------
    MLP
        The same.

    Raises
    ------
    SpecError
        Anything else.
    """
    if not isinstance(net, MLP):
        raise SpecError(
            f"Got a network of type {type(net).__name__}; the network must be a bnn.MLP. Write bnn.MLP(hidden=(3,))."
        )
    return net


def check_params(params: Any, net: MLP, *, finite: bool = True) -> None:
    """Refuse weights that are not those of a network.

    Parameters
    ----------
    params : dict of str to array
        From a user.
    net : MLP
        The network.
    finite : bool
        Whether to look at every number, which takes time where there are many.

    Raises
    ------
    SpecError
        No dictionary, a variable that is missing or has another shape, or what is no finite number.
    """
    remedy = "Pass one array for each, such as params_of(fit) has."
    names = list(net.dims())
    if not isinstance(params, Mapping):
        raise SpecError(
            f"Got a {type(params).__name__} as parameters; those of this network are {', '.join(names)}. {remedy}"
        )
    width = {0: None} | dict(enumerate(net.hidden, start=1))
    ends: dict[str, int] = {}
    for name in names:
        layer, ndim = int(name[1:]), 2 if name[0] == "W" else 1
        wanted = (width.get(layer - 1), width.get(layer))[-ndim:]
        shape = ", ".join("any" if w is None else str(w) for w in wanted)
        if name not in params:
            raise SpecError(f"Got no {name} among the parameters; this network has {name} of shape ({shape}). {remedy}")
        try:
            value = np.asarray(params[name], dtype=float)
        except (TypeError, ValueError) as error:
            raise SpecError(f"Got {name} that is no array of numbers ({error}); it must be one. {remedy}") from error
        fits = value.ndim >= ndim and all(
            w in (None, size) for w, size in zip(wanted, value.shape[-ndim:], strict=True)
        )
        if fits and layer == net.n_layers:
            fits = ends.setdefault("out", value.shape[-1]) == value.shape[-1]
        if not fits:
            raise SpecError(f"Got {name} of shape {value.shape}; in this network it has shape (..., {shape}). {remedy}")
        if finite and not np.isfinite(value).all():
            raise SpecError(f"Got {name} with numbers that are not finite; weights must be. {remedy}")
