"""What every prior of weights and biases can do."""

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.errors import SpecError, UnknownNameError
from bayesnn.formulas import Formula
from bayesnn.priors.noise import NoisePrior
from bayesnn.priors.translation import Translated

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

# The families by name, for files and messages. They are entered where all of them are known, in `bayesnn.priors`.
PRIORS: "dict[str, type[Prior]]" = {}


@dataclass(frozen=True, repr=False)
class Prior(Translated):
    r"""Base class of the priors; every element of every weight matrix and bias vector is independent.

    Parameters
    ----------
    fan_in : bool
        Divide the scale of a layer's weights by the square root of its fan-in, the number of units (or features)
        that feed it. Biases are not rescaled.
    bias : Prior, optional
        Another prior for the biases, such as ``Flat()`` to leave them unpenalised. None gives them the same prior
        as the weights.
    """

    fan_in: bool = field(default=False, kw_only=True)
    bias: "Prior | None" = field(default=None, kw_only=True)

    def __post_init__(self):
        if not isinstance(self.fan_in, bool | np.bool_):
            raise SpecError(f"Got fan_in={self.fan_in!r}; it must be True or False. Put the scale itself in the prior.")
        object.__setattr__(self, "fan_in", bool(self.fan_in))
        if self.bias is None:
            return
        sub = as_prior(self.bias)
        if sub.fan_in or sub.bias is not None:
            raise SpecError(
                f"Got bias={sub!r}; the prior of the biases may not have fan_in or bias set itself. "
                f"Write bias={dataclasses.replace(sub, fan_in=False, bias=None)!r}."
            )
        if sub.has_learned_scale:
            raise SpecError(
                f"Got bias={sub!r}; a learned scale belongs to a whole layer. Use Hierarchical for the weights, "
                "whose biases then share the scale, or a fixed scale such as bias=Normal(1.0)."
            )

    def __repr__(self):
        """Show the parameters, and fan_in and bias only where they are set."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        shown = [f"{k}={v!r}" for k, v in values.items() if k not in ("fan_in", "bias")]
        shown += ["fan_in=True"] * self.fan_in + [f"bias={self.bias!r}"] * (self.bias is not None)
        return f"{type(self).__name__}({', '.join(shown)})"

    @property
    def proper(self) -> bool:
        """Whether the prior integrates to one: False if the weights or the biases are flat."""
        return not self.flat and (self.bias is None or self.bias.proper)

    def rates(self, kind: Literal["weight", "bias"], fan_in: int) -> np.ndarray:
        r"""Numbers in the negative log density of an element.

        Parameters
        ----------
        kind : {"weight", "bias"}
            Which of the two priors applies.
        fan_in : int
            Number of units that feed the layer.

        Returns
        -------
        array (4,)
            :math:`l_1, l_2, a, s` of :math:`-\log p(w) = l_1 |w| + l_2 w^2 + a \log(1 + s w^2) + const`. A
            positive :math:`l_1` is a cusp at zero, where an optimiser finds weights that are exactly zero.

        Raises
        ------
        SpecError
            A learned scale, or a density of another form.

        Examples
        --------
        >>> import bayesnn as bnn
        >>> bnn.Normal(2.0, fan_in=True).rates("weight", fan_in=4)
        array([0. , 0.5, 0. , 0. ])
        """
        prior, factor = self._component(kind, fan_in, None)
        return np.array(prior._energy) / (factor, factor**2, 1.0, factor**2)

    def penalty(self, kind: Literal["weight", "bias"], fan_in: int) -> tuple[Formula, tuple[float, ...], float] | None:
        """Give the formula of the penalty of an element, where it is one that `rates` can't express.

        Parameters
        ----------
        kind, fan_in
            As for `rates`.

        Returns
        -------
        tuple or None
            The formula, the values of its parameters, and what a weight is multiplied by before it enters.
        """
        prior, factor = self._component(kind, fan_in, None)
        return None if prior.formula is None else (prior.formula, prior.values, 1.0 / (prior.scale * factor))

    def unscaled(self, kind: Literal["weight", "bias"], fan_in: int) -> float | None:
        r"""Give the rate of an element's normal prior at a learned scale of one; None where its scale is fixed.

        Parameters
        ----------
        kind, fan_in
            As for `rates`.

        Returns
        -------
        float or None
            :math:`l_2` of :math:`-\log p(w) = l_2 w^2 / s^2 + \log s + const`.
        """
        prior, factor = self._component(kind, fan_in, 1.0)
        return 0.5 / factor**2 if prior.has_learned_scale else None

    def kink(self, kind: Literal["weight", "bias"], fan_in: int) -> float:
        """Slope of the penalty of an element at zero: positive where an optimiser finds weights that are zero.

        Parameters
        ----------
        kind, fan_in
            As for `rates`.

        Returns
        -------
        float
            Zero for a penalty that is smooth there.
        """
        prior, factor = self._component(kind, fan_in, None)
        return prior._kink / factor

    def sample(
        self,
        rng: np.random.Generator,
        shape: tuple[int, ...],
        *,
        kind: Literal["weight", "bias"],
        fan_in: int,
        scale: float | np.ndarray | None = None,
    ) -> np.ndarray:
        """Draw weights or biases of one layer.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.
        shape : tuple of int
            Shape of the draws.
        kind, fan_in
            As for `rates`.
        scale : float or array, optional
            Learned scale of the layer, where the prior has one.

        Returns
        -------
        array
            Of that shape.

        Raises
        ------
        SpecError
            A flat prior, or a learned scale.

        Examples
        --------
        >>> import numpy as np, bayesnn as bnn
        >>> bnn.Normal(2.0).sample(np.random.default_rng(1), (2, 3), kind="weight", fan_in=2).shape
        (2, 3)
        """
        prior, factor = self._component(kind, fan_in, scale)
        if prior.has_learned_scale and scale is None:
            raise SpecError(f"Got {self!r}; its draws depend on a learned scale. Pass scale=.")
        return factor * prior._draw(rng, shape)

    def elementwise_logp(self, x: ArrayLike, scale_factor: ArrayLike = 1.0) -> np.ndarray:
        r"""Log density of each element, normalised.

        Parameters
        ----------
        x : array
            Weights or biases.
        scale_factor : float or array
            Factor that multiplies the scale of the prior: one over the square root of the fan-in, or the learned
            scale of a `Hierarchical` prior. It broadcasts against `x`.

        Returns
        -------
        array
            Natural logarithms, of the broadcast shape. Zero for a flat prior.

        Notes
        -----
        With `s` the scale factor and `p` the density: :math:`\log p(x / s) - \log s`.

        Examples
        --------
        >>> import bayesnn as bnn
        >>> bnn.Laplace(2.0).elementwise_logp([-2.0, 0.0, 2.0]).round(6)
        array([-2.386294, -1.386294, -2.386294])
        """
        return self._log_density(np.asarray(x, dtype=float) / scale_factor) - np.log(scale_factor)

    def _component(self, kind, fan_in, scale):
        """Prior of one variable and the factor of its scale, for NumPy and PyTensor alike."""
        if kind == "bias" and self.bias is not None:
            return self.bias, 1.0
        factor = 1.0 if scale is None else scale
        return self, factor / math.sqrt(fan_in) if kind == "weight" and self.fan_in else factor

    def _layer_scale_of(self, params, layer):
        """Learned scale of a layer, taken from the parameters; None for fixed scales."""
        return None

    def logp(self, params: Mapping[str, ArrayLike]) -> np.ndarray:
        r"""Log-prior of a weight vector, or of a whole batch of them.

        Parameters
        ----------
        params : dict of str to array
            ``W1`` (..., p, h1), ``b1`` (..., h1), ... with the same leading batch dimensions, and for `Hierarchical`
            ``scale1`` (...), ...; other names, such as ``noise``, are left out.

        Returns
        -------
        array (...,)
            Sum of the log densities of all weights, biases and learned scales; zero for flat ones.

        Raises
        ------
        SpecError
            A weight without two dimensions, a bias without one, or a learned scale that is missing.

        Examples
        --------
        >>> import numpy as np, bayesnn as bnn
        >>> params = {"W1": np.zeros((4, 1, 2)), "b1": np.zeros((4, 2))}
        >>> bnn.Normal(1.0).logp(params).round(6)
        array([-3.675754, -3.675754, -3.675754, -3.675754])
        """
        total: Any = np.float64(0.0)
        for name, value in params.items():
            match = re.fullmatch(r"([Wb])(\d+)", name)
            if not match:
                continue
            x = np.asarray(value, dtype=float)
            kind, core = ("weight", 2) if match[1] == "W" else ("bias", 1)
            if x.ndim < core:
                raise SpecError(
                    f"Got {name} of shape {x.shape}; a {kind} has {core} dimension(s) after those of the batch. "
                    "Use the shapes of net.shapes(...)."
                )
            scale = self._layer_scale_of(params, match[2])
            if scale is not None:
                scale = scale[(..., *[None] * core)]
            prior, factor = self._component(kind, x.shape[-2] if core == 2 else 1, scale)
            total = total + prior.elementwise_logp(x, factor).sum(axis=(-2, -1)[-core:])
        return total

    def layer_scale(self, layer: int) -> "TensorVariable | None":
        """Build the learned scale of a layer inside a PyMC model.

        Parameters
        ----------
        layer : int
            Number of the layer, counted from 1.

        Returns
        -------
        TensorVariable or None
            ``scale{layer}`` for a `Hierarchical` prior, None for the others. Pass it to `rv`.
        """
        return None

    # PyTensor makes float32 of a Python float that fits, such as 2.0, and takes its logarithm in float32: hence the
    # np.float64 around every number that enters a model.
    def rv(
        self,
        name: str,
        *,
        kind: Literal["weight", "bias"],
        fan_in: int,
        dims: tuple[str, ...],
        scale: "TensorVariable | None" = None,
    ) -> "TensorVariable":
        """Build the random variable of one weight matrix or bias vector inside a PyMC model.

        Parameters
        ----------
        name : str
            Name of the variable, such as ``"W1"``.
        kind : {"weight", "bias"}
            Which of the two priors applies.
        fan_in : int
            Number of units that feed the layer.
        dims : tuple of str
            Dimensions of the variable, known to the model.
        scale : TensorVariable, optional
            What `layer_scale` returned for this layer.

        Returns
        -------
        TensorVariable
            The variable, registered in the model.

        Examples
        --------
        >>> import pymc as pm, bayesnn as bnn
        >>> with pm.Model(coords={"feature": range(2), "hidden_1": range(3)}) as model:
        ...     W1 = bnn.Normal(1.0).rv("W1", kind="weight", fan_in=2, dims=("feature", "hidden_1"))
        >>> model.initial_point()["W1"].shape
        (2, 3)
        """
        if kind not in ("weight", "bias"):
            raise UnknownNameError("kind of variable", kind, ("weight", "bias"))
        prior, factor = self._component(kind, fan_in, scale)
        return prior._rv(name, factor, dims)


def as_prior(prior: Prior) -> Prior:
    """Check that a prior of the weights was given.

    Parameters
    ----------
    prior : Prior
        Such as ``Normal(1.0)``.

    Returns
    -------
    Prior
        The same.

    Raises
    ------
    SpecError
        Anything else: a number does not say of which density it is the scale, and ``Normal`` is a class.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.priors.as_prior(bnn.Laplace(2.0))
    Laplace(scale=2.0)
    """
    if isinstance(prior, Prior):
        return prior
    if isinstance(prior, Real) and not isinstance(prior, bool):
        remedy = f"Say which density it is the scale of: Normal({prior!r}) or Laplace({prior!r})."
    elif isinstance(prior, NoisePrior):
        remedy = "That is a prior of the noise: give it as noise=..."
    else:
        remedy = f"Make one, such as Normal(1.0); there are {', '.join(PRIORS)}."
    raise SpecError(f"Got {prior!r} as a prior; it must be a Prior. {remedy}")


def is_ours(prior: object) -> bool:
    """Say whether a prior is of one of this package's families: of others nothing is known but what they do.

    Parameters
    ----------
    prior : Prior
        The prior.

    Returns
    -------
    bool
        False for subclasses from outside, whatever name they carry.
    """
    return PRIORS.get(type(prior).__name__) is type(prior)
