"""The prior of the elastic net."""

import math
from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy import special

from bayesnn.errors import SpecError
from bayesnn.priors.base import Prior
from bayesnn.priors.families import Flat
from bayesnn.priors.settings import set_positive
from bayesnn.priors.terms import Term
from bayesnn.priors.translation import require_rates


@dataclass(frozen=True, repr=False)
class ElasticNet(Prior):
    r"""Density of the elastic net: both penalties at once.

    Parameters
    ----------
    l1, l2 : float
        Rates of the two penalties.
    fan_in : bool
        Divide the scale by the square root of the fan-in, for weights: `l1` is multiplied by it, `l2` by its square.
    bias : Prior, optional
        Another prior for the biases.

    Raises
    ------
    SpecError
        A rate that is not positive and finite; with one penalty only it is `Laplace` or `Normal`.

    Notes
    -----
    .. math:: p(w) = \frac{\exp(-l_1 |w| - l_2 w^2)}{\sqrt{\pi / l_2} \, \mathrm{erfcx}(l_1 / (2 \sqrt{l_2}))}

    with :math:`\mathrm{erfcx}(t) = e^{t^2} \mathrm{erfc}(t)`. The absolute value is a normal variable of mean
    :math:`-l_1 / (2 l_2)` and variance :math:`1 / (2 l_2)`, cut off at zero.

    References
    ----------
    .. [1] Zou and Hastie, Regularization and variable selection via the elastic net, JRSS B 67, 2005.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.ElasticNet(l1=1.0, l2=0.5).elementwise_logp([0.0, 1.0]).round(6)
    array([-0.271064, -1.771064])
    """

    l1: float = 1.0
    l2: float = 0.5
    _penalty_kind = "both"

    def __post_init__(self):
        for name, other in (("l1", "Normal(sd=(2 * l2) ** -0.5)"), ("l2", "Laplace(scale=1 / l1)")):
            rate = getattr(self, name)
            if isinstance(rate, Real) and rate == 0:
                raise SpecError(f"Got ElasticNet({name}=0); both rates must be positive. Use {other} instead.")
        set_positive(self, "l1", "l2")
        super().__post_init__()

    @property
    def _energy(self):
        return self.l1, self.l2, 0.0, 0.0

    def _draw(self, rng, shape):
        # As in `_dist`.
        k, log_u = self.l1 / math.sqrt(2.0 * self.l2), np.log(rng.uniform(size=shape))
        cut_normal = (-special.ndtri_exp(log_u + special.log_ndtr(-k)) - k) / math.sqrt(2.0 * self.l2)
        return rng.choice([-1.0, 1.0], size=shape) * (cut_normal if k < 1e4 else -log_u / self.l1)

    def _log_density(self, z):
        return -self.l1 * np.abs(z) - self.l2 * z**2 - _log_constant(self.l1, self.l2)

    def _rv(self, name, factor, dims):
        import pymc as pm

        l1, l2 = np.float64(self.l1 / factor), np.float64(self.l2 / factor**2)
        return pm.CustomDist(
            name,
            l1,
            l2,
            np.float64(_log_constant(l1, l2)),
            logp=_logp,
            dist=_dist,
            support_point=_start,
            class_name="ElasticNet",
            dims=dims,
        )

    def _rates(self):
        strength = "(l1 + 2 * l2)"
        numbers = {"l1": self.l1, "l2": self.l2, strength: self.l1 + 2.0 * self.l2}
        return (Term(l1=1), Term(l2=1), Term(**{strength: 1})), numbers

    @classmethod
    def _from_rates(cls, l1, l2, *, free_biases):
        require_rates(cls, l1 > 0 and l2 > 0, l1, l2)
        return cls(l1, l2, bias=Flat() if free_biases else None)


def _log_constant(l1, l2):
    """Log of the integral of exp(-l1 |w| - l2 w^2); erfcx neither overflows nor vanishes."""
    return 0.5 * (math.log(math.pi) - math.log(l2)) + math.log(special.erfcx(0.5 * l1 / math.sqrt(l2)))


def _logp(value, l1, l2, log_constant):
    """Log density in PyTensor."""
    import pytensor.tensor as pt

    return -l1 * pt.abs(value) - l2 * value**2 - log_constant


def _dist(l1, l2, log_constant, size):
    """Draw in PyTensor, by the inverse distribution function of a normal tail and a random sign."""
    import pymc as pm
    import pytensor.tensor as pt

    log_u = pt.log(pm.Uniform.dist(0.0, 1.0, size=size))
    sign = 2.0 * pm.Bernoulli.dist(0.5, size=size) - 1.0
    k = l1 / pt.sqrt(2.0 * l2)
    log_tail = pt.log(0.5 * pt.erfcx(k / math.sqrt(2.0))) - 0.5 * k**2
    cut_normal = (-pt.ndtri_exp(log_u + log_tail) - k) / pt.sqrt(2.0 * l2)
    # Far in the tail the difference cancels, and exponential and cut normal agree to 1 / k**2.
    return sign * pt.switch(k < 1e4, cut_normal, -log_u / l1)


def _start(rv, size, *parameters):
    """Start at the mode, as the other priors do."""
    import pytensor.tensor as pt

    return pt.zeros(size)
