"""The families of priors with one scale."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from bayesnn.priors.base import Prior
from bayesnn.priors.noise import LOG_2PI
from bayesnn.priors.settings import set_positive, setting
from bayesnn.priors.terms import Term
from bayesnn.priors.translation import require_rates


@dataclass(frozen=True, repr=False)
class Flat(Prior):
    """The improper prior of constant density: no penalty, and the MAP is the MLE.

    Parameters
    ----------
    bias : Prior, optional
        Another prior for the biases.

    Notes
    -----
    The density is 1, its logarithm 0. There need not be a posterior.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.Flat().proper
    False
    """

    @property
    def flat(self) -> bool:
        """Whether the density is constant: True."""
        return True

    def elementwise_logp(self, x: ArrayLike, scale_factor: ArrayLike = 1.0) -> np.ndarray:
        """Log density of each element, which is zero; see `Prior.elementwise_logp`."""
        return np.zeros_like(np.asarray(x, dtype=float))

    @property
    def _energy(self):
        return 0.0, 0.0, 0.0, 0.0

    def _log_density(self, z):
        return np.zeros_like(z)

    def _rv(self, name, factor, dims):
        import pymc as pm

        return pm.Flat(name, dims=dims)

    def _rates(self):
        return (Term(0), Term(0), Term(0)), {}


@dataclass(frozen=True, repr=False)
class Normal(Prior):
    r"""Normal density around zero: the L2 penalty, ridge, weight decay.

    Parameters
    ----------
    sd : float
        Standard deviation of a weight.
    fan_in : bool
        Divide `sd` by the square root of the fan-in, for weights.
    bias : Prior, optional
        Another prior for the biases.

    Raises
    ------
    SpecError
        A standard deviation that is not positive and finite.

    Notes
    -----
    .. math:: -\log p(w) = \frac{w^2}{2 sd^2} + \log sd + \tfrac12 \log 2 \pi

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.Normal(0.5, fan_in=True, bias=bnn.Flat())
    Normal(sd=0.5, fan_in=True, bias=Flat())
    """

    sd: float = 1.0
    _penalty_kind = "l2"

    def __post_init__(self):
        set_positive(self, "sd")
        super().__post_init__()

    @property
    def gaussian(self) -> bool:
        """Whether the density is normal around zero: True."""
        return True

    @property
    def _energy(self):
        return 0.0, 0.5 / self.sd**2, 0.0, 0.0

    def _draw(self, rng, shape):
        return self.sd * rng.normal(size=shape)

    def _log_density(self, z):
        return -0.5 * (z / self.sd) ** 2 - math.log(self.sd) - 0.5 * LOG_2PI

    def _rv(self, name, factor, dims):
        import pymc as pm

        return pm.Normal(name, 0.0, setting(f"{name}_sd", self.sd * factor), dims=dims)

    def _rates(self):
        return (Term(0), Term(Fraction(1, 2), sd=-2), Term(sd=-2)), {"sd": self.sd}

    @classmethod
    def _from_rates(cls, l1, l2, *, free_biases):
        require_rates(cls, l1 == 0 < l2, l1, l2)
        return cls(math.sqrt(0.5 / l2), bias=Flat() if free_biases else None)


@dataclass(frozen=True, repr=False)
class Laplace(Prior):
    r"""Laplace (double exponential) density around zero: the L1 penalty, lasso.

    Parameters
    ----------
    scale : float
        Mean of the absolute value of a weight.
    fan_in : bool
        Divide `scale` by the square root of the fan-in, for weights.
    bias : Prior, optional
        Another prior for the biases.

    Raises
    ------
    SpecError
        A scale that is not positive and finite.

    Notes
    -----
    .. math:: -\log p(w) = \frac{|w|}{scale} + \log (2 \, scale)

    The MAP has weights that are exactly zero; the posterior has none.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.Laplace(0.5).to_penalty(library="sklearn.Lasso", noise=1.0, n=10).formulas
    {'alpha': 'noise**2 / (n * scale)'}
    """

    scale: float = 1.0
    _penalty_kind = "l1"

    def __post_init__(self):
        set_positive(self, "scale")
        super().__post_init__()

    @property
    def _energy(self):
        return 1.0 / self.scale, 0.0, 0.0, 0.0

    def _draw(self, rng, shape):
        return self.scale * rng.laplace(size=shape)

    def _log_density(self, z):
        return -np.abs(z) / self.scale - math.log(2.0 * self.scale)

    def _rv(self, name, factor, dims):
        import pymc as pm

        return pm.Laplace(name, 0.0, setting(f"{name}_scale", self.scale * factor), dims=dims)

    def _rates(self):
        return (Term(scale=-1), Term(0), Term(scale=-1)), {"scale": self.scale}

    @classmethod
    def _from_rates(cls, l1, l2, *, free_biases):
        require_rates(cls, l2 == 0 < l1, l1, l2)
        return cls(1.0 / l1, bias=Flat() if free_biases else None)


@dataclass(frozen=True, repr=False)
class StudentT(Prior):
    r"""Student's t density around zero: most weights small, a few may be large.

    Parameters
    ----------
    nu : float
        Degrees of freedom: 1 is the Cauchy density, infinity the normal.
    scale : float
        Scale of a weight; the standard deviation is ``scale * sqrt(nu / (nu - 2))`` for ``nu > 2``.
    fan_in : bool
        Divide `scale` by the square root of the fan-in, for weights.
    bias : Prior, optional
        Another prior for the biases.

    Raises
    ------
    SpecError
        Degrees of freedom or a scale that are not positive and finite.

    Notes
    -----
    .. math:: -\log p(w) = \frac{\nu + 1}{2} \log \left(1 + \frac{w^2}{\nu \, scale^2} \right)
              + \log \left( scale \sqrt{\nu} \, B(\tfrac{\nu}{2}, \tfrac12) \right)

    The penalty is not convex: there may be several MAPs even in a linear model.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.StudentT(nu=1.0).elementwise_logp([0.0]).round(6)
    array([-1.14473])
    """

    nu: float = 4.0
    scale: float = 1.0

    def __post_init__(self):
        set_positive(self, "nu", "scale")
        super().__post_init__()

    @property
    def _energy(self):
        return 0.0, 0.0, 0.5 * (self.nu + 1.0), 1.0 / (self.nu * self.scale**2)

    def _draw(self, rng, shape):
        return self.scale * rng.standard_t(self.nu, size=shape)

    def _log_density(self, z):
        tail = 0.5 * (self.nu + 1.0) * np.log1p((z / self.scale) ** 2 / self.nu)
        return -tail - math.log(self.scale) - 0.5 * math.log(self.nu) - special.betaln(0.5 * self.nu, 0.5)

    def _rv(self, name, factor, dims):
        import pymc as pm

        return pm.StudentT(
            name, nu=np.float64(self.nu), mu=0.0, sigma=setting(f"{name}_scale", self.scale * factor), dims=dims
        )
