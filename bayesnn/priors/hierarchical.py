"""The prior whose scale is learned."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.errors import SpecError
from bayesnn.priors.base import Prior
from bayesnn.priors.noise import LOG_2PI, HalfNormal
from bayesnn.priors.settings import set_positive, setting

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable


@dataclass(frozen=True, repr=False)
class Hierarchical(Prior):
    r"""Normal weights whose standard deviation is learned, one for each layer.

    Parameters
    ----------
    sd : float
        Standard deviation of the half-normal prior of the scales.
    fan_in : bool
        Divide the learned scale by the square root of the fan-in, for weights.
    bias : Prior, optional
        Another prior for the biases; None means that they share the learned scale of their layer.

    Raises
    ------
    SpecError
        A standard deviation that is not positive and finite.

    Notes
    -----
    For layer `l`, with the variable ``scale{l}``:

    .. math:: s_l \sim \mathrm{HalfNormal}(sd), \qquad W_l, b_l \sim \mathrm{Normal}(0, s_l)

    The density grows without bound where a scale and its weights go to zero together, so there is no MAP; the
    posterior exists.

    References
    ----------
    .. [1] MacKay, A practical Bayesian framework for backpropagation networks, Neural Computation 4, 1992.

    Examples
    --------
    >>> import numpy as np, bayesnn as bnn
    >>> prior = bnn.Hierarchical(sd=1.0)
    >>> prior.logp({"W1": np.ones((1, 1)), "scale1": np.array(1.0)}).round(6)
    np.float64(-2.14473)
    """

    sd: float = 1.0

    def __post_init__(self):
        set_positive(self, "sd")
        super().__post_init__()

    @property
    def gaussian(self) -> bool:
        """Whether the density is normal around zero, given the scales: True."""
        return True

    @property
    def has_learned_scale(self) -> bool:
        """Whether every layer has a scale that is a parameter: True."""
        return True

    @property
    def _energy(self):
        raise SpecError(f"Got {type(self).__name__}; the scale of its density is a parameter. Use log_prior.")

    def _draw(self, rng, shape):
        return rng.normal(size=shape)

    def _log_density(self, z):
        return -0.5 * z**2 - 0.5 * LOG_2PI

    def _layer_scale_of(self, params, layer):
        if f"scale{layer}" not in params:
            raise SpecError(
                f"Got no scale{layer}; a Hierarchical prior has one scale for each layer. Add scale{layer} to params."
            )
        scale = np.asarray(params[f"scale{layer}"], dtype=float)
        # A stand-in where there is no density, so that the arithmetic stays silent; logp is -inf there.
        return np.where(scale > 0, scale, 1.0)

    def logp(self, params: Mapping[str, ArrayLike]) -> np.ndarray:
        """Log-prior of weights, biases and scales; see `Prior.logp`. Minus infinity unless all scales are positive."""
        total = super().logp(params)
        for layer in sorted({name[1:] for name in params if re.fullmatch(r"[Wb]\d+", name)}):
            scale = np.asarray(params[f"scale{layer}"], dtype=float)
            total = total + np.where(scale > 0, HalfNormal(self.sd).logp(scale), -np.inf)
        return total

    def layer_scale(self, layer: int) -> "TensorVariable":
        """Build ``scale{layer}`` inside a PyMC model; see `Prior.layer_scale`."""
        import pymc as pm

        return pm.HalfNormal(f"scale{layer}", sigma=setting(f"scale{layer}_sd", self.sd))

    def _rv(self, name, factor, dims):
        import pymc as pm

        return pm.Normal(name, 0.0, factor, dims=dims)
