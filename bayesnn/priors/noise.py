"""The priors of a noise scale."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.errors import SpecError
from bayesnn.priors.settings import set_logarithm, set_positive, setting

if TYPE_CHECKING:
    from pytensor.tensor import TensorVariable

LOG_2PI = math.log(2.0 * math.pi)


@dataclass(frozen=True)
class NoisePrior(ABC):
    r"""Base class of the priors of a noise scale `s`, in the units the model works in.

    Their log densities have one form, so that one formula serves NumPy and the compiled density alike:

    .. math:: \log p(s) = c - a \log s - r s^2 - q (\log s - m)^2 - \frac{d}{s}, \qquad s > 0

    A family gives the numbers: `constant` is `c`, `rates` are `a, r, q, m, d`.
    """

    @property
    def proper(self) -> bool:
        """Whether the prior integrates to one."""
        return True

    @property
    def repels_zero(self) -> bool:
        r"""Whether the density at `s` falls faster than any power of `s` as `s` goes to zero.

        Where a network passes through all of its targets, the likelihood grows as :math:`s^{-n}`: only under such a
        prior does the density of the noise then have a maximum.
        """
        rates = self.rates
        return bool(rates[2] > 0 or rates[4] > 0)

    @property
    @abstractmethod
    def constant(self) -> float:
        """What the log density has beside the terms of `rates`."""

    @property
    @abstractmethod
    def rates(self) -> np.ndarray:
        """Numbers (5,) in the log density: `a, r, q, m, d` of the class's formula."""

    @abstractmethod
    def rv(self, name: str) -> "TensorVariable":
        """Build the random variable inside a PyMC model.

        Parameters
        ----------
        name : str
            Name of the variable, ``"noise"``.

        Returns
        -------
        TensorVariable
            The variable, registered in the model: PyMC's own distribution.
        """

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...] = ()) -> np.ndarray:
        """Draw noise scales.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.
        shape : tuple of int
            Shape of the draws.

        Returns
        -------
        array
            Of that shape.

        Raises
        ------
        SpecError
            A prior that does not integrate to one.
        """
        raise SpecError(
            f"Got {self!r}; there is nothing to draw from. Use a proper prior of the noise such as HalfNormal(1.0)."
        )

    def logp(self, noise: ArrayLike) -> np.ndarray:
        """Log density of a noise scale.

        Parameters
        ----------
        noise : float or array (...,)
            The scale, in the units the model works in.

        Returns
        -------
        array (...,)
            Natural logarithms; minus infinity below zero, and at zero the limit from above.
        """
        noise = np.asarray(noise, dtype=float)
        a, r, q, m, d = self.rates
        # The smallest number stands in for zero, where only the limits of the logarithm and the inverse are wrong.
        s = np.where(noise > 0, noise, np.finfo(float).tiny)
        log_s = np.log(s)
        with np.errstate(over="ignore"):
            inside = self.constant - a * log_s - r * s**2 - q * (log_s - m) ** 2 - d / s
        edge = -math.inf if self.repels_zero else self.constant
        return np.where(noise > 0, inside, np.where(noise == 0, edge, -np.inf))[()]


@dataclass(frozen=True)
class HalfNormal(NoisePrior):
    r"""Half-normal prior of a noise scale.

    Parameters
    ----------
    sd : float
        Standard deviation of the normal density that is cut off at zero, in the units of the noise.

    Raises
    ------
    SpecError
        A standard deviation that is not positive and finite.

    Notes
    -----
    .. math:: \log p(s) = \tfrac12 \log \frac{2}{\pi} - \log sd - \frac{s^2}{2 sd^2}, \qquad s \ge 0

    The density at zero is positive: a network that passes through all of its targets then has no MAP, because the
    likelihood grows without bound as the noise shrinks. `InverseGamma` and `LogNormal` prevent that.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.HalfNormal(1.0).logp([-1.0, 1.0]).round(6)
    array([     -inf, -0.725791])
    """

    sd: float = 1.0

    def __post_init__(self):
        set_positive(self, "sd")

    @property
    def constant(self) -> float:
        """See `NoisePrior.constant`."""
        return 0.5 * math.log(2.0 / math.pi) - math.log(self.sd)

    @property
    def rates(self) -> np.ndarray:
        """See `NoisePrior.rates`."""
        return np.array([0.0, 0.5 / self.sd**2, 0.0, 0.0, 0.0])

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...] = ()) -> np.ndarray:
        """Draw noise scales; see `NoisePrior.sample`."""
        return np.abs(self.sd * rng.normal(size=shape))

    def rv(self, name: str) -> "TensorVariable":
        """Build the random variable inside a PyMC model; see `NoisePrior.rv`."""
        import pymc as pm

        return pm.HalfNormal(name, sigma=setting(f"{name}_sd", self.sd))


@dataclass(frozen=True)
class HalfFlat(NoisePrior):
    """Improper prior of a noise scale: constant density above zero, for the MLE of the noise.

    Notes
    -----
    No Jacobian enters: the MAP of the noise under this prior is its MLE.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.HalfFlat().logp([-1.0, 1.0])
    array([-inf,   0.])
    """

    @property
    def proper(self) -> bool:
        """Whether the prior integrates to one: False."""
        return False

    @property
    def constant(self) -> float:
        """See `NoisePrior.constant`."""
        return 0.0

    @property
    def rates(self) -> np.ndarray:
        """See `NoisePrior.rates`."""
        return np.zeros(5)

    def rv(self, name: str) -> "TensorVariable":
        """Build the random variable inside a PyMC model; see `NoisePrior.rv`."""
        import pymc as pm

        return pm.HalfFlat(name)


@dataclass(frozen=True)
class LogNormal(NoisePrior):
    r"""Log-normal prior of a noise scale: its logarithm is normal.

    Parameters
    ----------
    mu : float
        Mean of the logarithm of the scale: the median of the scale is :math:`e^{mu}`, in the units of the noise.
    sigma : float
        Standard deviation of that logarithm: two thirds of the prior's mass lie within a factor :math:`e^{sigma}`
        of the median.

    Raises
    ------
    SpecError
        A mean that is not finite, or a standard deviation that is not positive and finite.

    Notes
    -----
    .. math:: \log p(s) = -\log s - \log sigma - \tfrac12 \log 2\pi - \frac{(\log s - mu)^2}{2 sigma^2}, \qquad s > 0

    It vanishes at zero faster than any power of the scale, so that a MAP exists even where a network passes through
    all of its `n` targets. Without residuals that MAP is small, :math:`e^{mu - (n + 1) sigma^2}`; under `InverseGamma`
    it falls only as 1/n.

    References
    ----------
    .. [1] Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1, 2nd edition, Wiley 1994,
       chapter 14.

    Examples
    --------
    A noise of about 0.2, up to a factor of 1.6:

    >>> import numpy as np, bayesnn as bnn
    >>> bnn.LogNormal(mu=np.log(0.2), sigma=0.5).logp([-1.0, 0.2]).round(6)
    array([    -inf, 1.383647])
    """

    mu: float = 0.0
    sigma: float = 1.0

    def __post_init__(self):
        set_logarithm(self, "mu")
        set_positive(self, "sigma")

    @property
    def constant(self) -> float:
        """See `NoisePrior.constant`."""
        return -math.log(self.sigma) - 0.5 * LOG_2PI

    @property
    def rates(self) -> np.ndarray:
        """See `NoisePrior.rates`."""
        return np.array([1.0, 0.0, 0.5 / self.sigma**2, self.mu, 0.0])

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...] = ()) -> np.ndarray:
        """Draw noise scales; see `NoisePrior.sample`."""
        return np.exp(self.mu + self.sigma * rng.normal(size=shape))

    def rv(self, name: str) -> "TensorVariable":
        """Build the random variable inside a PyMC model; see `NoisePrior.rv`."""
        import pymc as pm

        return pm.LogNormal(name, mu=setting(f"{name}_mu", self.mu), sigma=setting(f"{name}_sigma", self.sigma))


@dataclass(frozen=True)
class InverseGamma(NoisePrior):
    r"""Inverse-gamma prior of a noise scale (of the standard deviation itself, not of its square).

    Parameters
    ----------
    alpha : float
        Shape: the density falls as :math:`s^{-alpha - 1}` for large scales; the larger, the narrower.
    beta : float
        Scale, in the units of the noise: the density is highest at :math:`beta / (alpha + 1)`, and its mean is
        :math:`beta / (alpha - 1)` for a shape above 1.

    Raises
    ------
    SpecError
        A number that is not positive and finite.

    Notes
    -----
    .. math:: \log p(s) = alpha \log beta - \log \Gamma(alpha) - (alpha + 1) \log s - \frac{beta}{s}, \qquad s > 0

    It vanishes at zero faster than any power of the scale, so that a MAP exists even where a network passes through
    all of its `n` targets: without residuals that MAP is :math:`beta / (alpha + 1 + n)`.

    References
    ----------
    .. [1] Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, volume 1, 2nd edition, Wiley 1994,
       chapter 17.

    Examples
    --------
    A noise of about 0.1:

    >>> import bayesnn as bnn
    >>> bnn.InverseGamma(alpha=3.0, beta=0.4).logp([-1.0, 0.1]).round(6)
    array([    -inf, 1.768321])
    """

    alpha: float = 1.0
    beta: float = 1.0

    def __post_init__(self):
        set_positive(self, "alpha", "beta")

    @property
    def constant(self) -> float:
        """See `NoisePrior.constant`."""
        return self.alpha * math.log(self.beta) - math.lgamma(self.alpha)

    @property
    def rates(self) -> np.ndarray:
        """See `NoisePrior.rates`."""
        return np.array([self.alpha + 1.0, 0.0, 0.0, 0.0, self.beta])

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...] = ()) -> np.ndarray:
        """Draw noise scales; see `NoisePrior.sample`."""
        return self.beta / rng.gamma(self.alpha, size=shape)

    def rv(self, name: str) -> "TensorVariable":
        """Build the random variable inside a PyMC model; see `NoisePrior.rv`."""
        import pymc as pm

        return pm.InverseGamma(
            name, alpha=setting(f"{name}_alpha", self.alpha), beta=setting(f"{name}_beta", self.beta)
        )


NOISE_PRIORS = {cls.__name__: cls for cls in (HalfNormal, HalfFlat, LogNormal, InverseGamma)}
