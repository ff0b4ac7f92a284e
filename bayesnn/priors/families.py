"""The families of priors of weights and biases."""

import dataclasses
import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Real

import numpy as np
from scipy import special

from bayesnn.errors import SpecError, UnknownNameError
from bayesnn.priors.noise import LOG_2PI, HalfNormal, NoisePrior
from bayesnn.priors.settings import set_positive, setting
from bayesnn.priors.terms import Term


@dataclass(frozen=True)
class Penalty:
    r"""The penalty of a library that has the same minimum as a prior has its MAP; made by `Prior.to_penalty`.

    Parameters
    ----------
    library : str
        Such as ``"sklearn.Ridge"``.
    loss : str
        Name of the loss that the library minimises.
    reduction : str or None
        ``"mean"`` or ``"sum"`` where the library lets one choose.
    parameters : dict of str to float
        The library's arguments.
    formulas : dict of str to str
        How each number follows from the prior, such as ``"noise**2 / sd**2"``.
    objective : str
        What the library minimises; ``loss`` is the loss of one observation, without a factor 1/2.
    penalises_biases : bool
        Whether the penalty acts on the biases too.
    note : str
        What is left to do for the biases; empty when the library already treats them as the prior does.
    """

    library: str
    loss: str
    reduction: str | None
    parameters: dict[str, float]
    formulas: dict[str, str]
    objective: str
    penalises_biases: bool
    note: str = ""


@dataclass(frozen=True, repr=False)
class Prior(ABC):
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
        if isinstance(sub, Hierarchical):
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
    def proper(self):
        """Whether the prior integrates to one: False if the weights or the biases are flat."""
        return not isinstance(self, Flat) and not isinstance(self.bias, Flat)

    @property
    def even(self):
        """Whether the density is the same for a weight and its negative, so that sign flips leave it unchanged."""
        return True

    def rates(self, kind, fan_in):
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
            A learned scale.

        Examples
        --------
        >>> import bayesnn as bnn
        >>> bnn.Normal(2.0, fan_in=True).rates("weight", fan_in=4)
        array([0. , 0.5, 0. , 0. ])
        """
        prior, factor = self._component(kind, fan_in, None)
        return np.array(prior._energy) / (factor, factor**2, 1.0, factor**2)

    def sample(self, rng, shape, *, kind, fan_in):
        """Draw weights or biases of one layer.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness.
        shape : tuple of int
            Shape of the draws.
        kind, fan_in
            As for `rates`.

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
        prior, factor = self._component(kind, fan_in, None)
        return factor * prior._draw(rng, shape)

    def _draw(self, rng, shape):
        """Draw elements before rescaling."""
        raise SpecError(
            f"Got {type(self).__name__}; there is nothing to draw from. Use a prior of fixed, finite scale."
        )

    @property
    def _energy(self):
        """The rates before rescaling."""
        raise SpecError(f"Got {type(self).__name__}; the scale of its density is a parameter. Use log_prior.")

    @abstractmethod
    def _log_density(self, z):
        """Log density of each element before rescaling."""

    @abstractmethod
    def _rv(self, name, factor, dims):
        """Build the PyMC variable of `factor` times an element with this density."""

    def _rates(self):
        """Terms of l1, l2 and l1 + 2 l2 in the penalty l1 |w| + l2 w^2, and the numbers in them."""
        raise SpecError(
            f"Got {type(self).__name__}; its penalty is not of the form l1 |w| + l2 w^2 that libraries know. "
            "Use Normal, Laplace or ElasticNet, or minimise -prior.logp(params) yourself."
        )

    @classmethod
    def _from_rates(cls, l1, l2, bias):
        """Build the prior whose penalty is l1 |w| + l2 w^2."""
        raise SpecError(
            f"Got {cls.__name__}.from_penalty; only Normal (L2), Laplace (L1) and ElasticNet (both) have one. "
            "Without a penalty the prior is Flat()."
        )

    def elementwise_logp(self, x, scale_factor=1.0):
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

    def logp(self, params):
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
        total = np.float64(0.0)
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

    def layer_scale(self, layer):
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
    def rv(self, name, *, kind, fan_in, dims, scale=None):
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

    def to_penalty(self, *, library, loss=None, noise=None, n=None, reduction=None, n_outputs=1):
        r"""Translate the prior into the penalty of a library, so that its fit is the MAP.

        Parameters
        ----------
        library : str
            ``"torch"``, ``"keras"``, or one of ``sklearn.Ridge, sklearn.Lasso, sklearn.ElasticNet,
            sklearn.LogisticRegression, sklearn.PoissonRegressor, sklearn.MLPRegressor, sklearn.MLPClassifier``.
        loss : str or Loss, optional
            The loss that is minimised. May be left out for sklearn, where the estimator has one (``squared_error``
            for ``MLPRegressor``).
        noise : float, optional
            Known scale of the likelihood: needed for ``squared_error`` (the standard deviation) and
            ``absolute_error`` (the scale of the Laplace density).
        n : int, optional
            Number of observations: needed where the objective is a mean.
        reduction : {"mean", "sum"}, optional
            How torch and keras add up the losses; None means ``"mean"``, their default. Not for sklearn.
        n_outputs : int
            Number of target columns; 1 for classes.

        Returns
        -------
        Penalty
            The library's arguments, how they follow from the prior, and what is left to do for the biases.

        Raises
        ------
        SpecError
            A prior that is not such a penalty, a loss that the library does not minimise, a number that is missing.
        UnknownNameError
            A library or loss that does not exist; the message has the nearest known name.

        Notes
        -----
        With :math:`-\log p(y_i | w) = a \, \mathrm{loss}_i + b` and
        :math:`-\log p(w) = \lambda_1 |w|_1 + \lambda_2 |w|^2 + \mathrm{const}`, a library that minimises
        :math:`c \sum_i \mathrm{loss}_i + P(w)` finds the MAP if

        .. math:: P(w) = \frac{c}{a} \left( \lambda_1 |w|_1 + \lambda_2 |w|^2 \right).

        ``squared_error`` is :math:`(y - f)^2` with :math:`a = 1 / (2 \sigma^2)`, ``absolute_error`` is
        :math:`|y - f|` with :math:`a = 1 / \sigma`; for the other losses :math:`a = 1`. ``Normal(sd)`` has
        :math:`\lambda_2 = 1 / (2 sd^2)`, ``Laplace(scale)`` has :math:`\lambda_1 = 1 / scale`.

        - scikit-learn never penalises intercepts (``liblinear`` does: take another solver). ``LogisticRegression``
          takes ``l1_ratio`` instead of a named penalty from version 1.8 on; with two classes it is the
          ``binary_cross_entropy`` with one output. ``MLP*`` divides ``alpha`` by the size of the mini-batch: the
          number here is for ``solver="lbfgs"``; with batches of size B use ``alpha * B / n``.
        - torch: ``weight_decay`` of SGD or Adam adds ``weight_decay / 2 |w|^2`` for all parameters handed to the
          optimiser. The decoupled decay of AdamW is not the gradient of a penalty, hence no prior; ``LBFGS`` has no
          ``weight_decay``: add the term to the loss. ``MSELoss``, ``L1Loss`` and ``PoissonNLLLoss`` average over
          the n * n_outputs elements.
        - keras: ``L1``, ``L2`` or ``L1L2`` as ``kernel_regularizer`` of every layer; its losses average over outputs
          before they are summed over observations. Its ``AdamW`` is no prior either.
        - ``"sum"`` in torch and keras is meant over all the data, not over mini-batches.

        References
        ----------
        .. [1] Hastie, Tibshirani and Friedman, The Elements of Statistical Learning, 2nd ed., section 3.4.
        .. [2] Loshchilov and Hutter, Decoupled weight decay regularization, ICLR 2019.

        Examples
        --------
        >>> import bayesnn as bnn
        >>> ridge = bnn.Normal(2.0, bias=bnn.Flat()).to_penalty(library="sklearn.Ridge", noise=0.2)
        >>> round(ridge.parameters["alpha"], 12), ridge.formulas["alpha"], ridge.note
        (0.01, 'noise**2 / sd**2', '')
        >>> decay = bnn.Normal(2.0).to_penalty(library="torch", loss="cross_entropy", n=100)
        >>> decay.parameters, decay.formulas
        ({'weight_decay': 0.0025}, {'weight_decay': '1 / (n * sd**2)'})
        """
        from bayesnn.priors.penalties import Target

        target = Target(library, loss, noise, n, reduction, n_outputs)
        formulas, parameters = target.parameters_of(self)
        return Penalty(
            library=library,
            loss=target.loss,
            reduction=target.reduction,
            parameters=parameters,
            formulas=formulas,
            objective=target.objective,
            penalises_biases=target.spec.penalises_biases,
            note=target.note_on_biases(self),
        )

    @classmethod
    def from_penalty(cls, *, library, value, loss=None, noise=None, n=None, reduction=None, n_outputs=1):
        r"""Read the penalty of a library as a prior: the inverse of `to_penalty`.

        Parameters
        ----------
        library : str
            As for `to_penalty`.
        value : float or dict of str to float
            The library's number (``alpha``, ``C``, ``weight_decay``, ``l1`` or ``l2``), or its numbers by name.
            `ElasticNet` needs two: ``{"alpha": 0.1, "l1_ratio": 0.5}`` or, for keras, ``{"l1": 0.1, "l2": 0.2}``.
        loss, noise, n, reduction, n_outputs : optional
            As for `to_penalty`.

        Returns
        -------
        Prior
            Of this class, with ``bias=Flat()`` where the library does not penalise the biases.

        Raises
        ------
        SpecError
            A value that is not positive, or a penalty that is not of this class.

        Examples
        --------
        >>> import bayesnn as bnn
        >>> bnn.Normal.from_penalty(library="sklearn.LogisticRegression", value=4.0)
        Normal(sd=2.0, bias=Flat())
        >>> bnn.Normal.from_penalty(library="torch", value=0.01, loss="binary_cross_entropy", n=25)
        Normal(sd=2.0)
        """
        from bayesnn.priors.penalties import Target

        target = Target(library, loss, noise, n, reduction, n_outputs)
        return cls._from_rates(*target.rates_of(cls, value), bias=None if target.spec.penalises_biases else Flat())


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

    def elementwise_logp(self, x, scale_factor=1.0):
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

    def __post_init__(self):
        set_positive(self, "sd")
        super().__post_init__()

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
    def _from_rates(cls, l1, l2, bias):
        _require_rates(cls, l1 == 0 < l2, l1, l2)
        return cls(math.sqrt(0.5 / l2), bias=bias)


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
    def _from_rates(cls, l1, l2, bias):
        _require_rates(cls, l2 == 0 < l1, l1, l2)
        return cls(1.0 / l1, bias=bias)


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

    def __post_init__(self):
        for name, other in (("l1", "Normal(sd=(2 * l2) ** -0.5)"), ("l2", "Laplace(scale=1 / l1)")):
            if getattr(self, name) == 0:
                raise SpecError(f"Got ElasticNet({name}=0); both rates must be positive. Use {other} instead.")
        set_positive(self, "l1", "l2")
        super().__post_init__()

    @property
    def _energy(self):
        return self.l1, self.l2, 0.0, 0.0

    def _draw(self, rng, shape):
        # As in `_elastic_net_dist`.
        k, log_u = self.l1 / math.sqrt(2.0 * self.l2), np.log(rng.uniform(size=shape))
        cut_normal = (-special.ndtri_exp(log_u + special.log_ndtr(-k)) - k) / math.sqrt(2.0 * self.l2)
        return rng.choice([-1.0, 1.0], size=shape) * (cut_normal if k < 1e4 else -log_u / self.l1)

    def _log_density(self, z):
        return -self.l1 * np.abs(z) - self.l2 * z**2 - _elastic_net_log_constant(self.l1, self.l2)

    def _rv(self, name, factor, dims):
        import pymc as pm

        l1, l2 = np.float64(self.l1 / factor), np.float64(self.l2 / factor**2)
        return pm.CustomDist(
            name,
            l1,
            l2,
            np.float64(_elastic_net_log_constant(l1, l2)),
            logp=_elastic_net_logp,
            dist=_elastic_net_dist,
            support_point=_elastic_net_start,
            class_name="ElasticNet",
            dims=dims,
        )

    def _rates(self):
        strength = "(l1 + 2 * l2)"
        numbers = {"l1": self.l1, "l2": self.l2, strength: self.l1 + 2.0 * self.l2}
        return (Term(l1=1), Term(l2=1), Term(**{strength: 1})), numbers

    @classmethod
    def _from_rates(cls, l1, l2, bias):
        _require_rates(cls, l1 > 0 and l2 > 0, l1, l2)
        return cls(l1, l2, bias=bias)


def _elastic_net_log_constant(l1, l2):
    """Log of the integral of exp(-l1 |w| - l2 w^2); erfcx neither overflows nor vanishes."""
    return 0.5 * (math.log(math.pi) - math.log(l2)) + math.log(special.erfcx(0.5 * l1 / math.sqrt(l2)))


def _elastic_net_logp(value, l1, l2, log_constant):
    """Log density in PyTensor."""
    import pytensor.tensor as pt

    return -l1 * pt.abs(value) - l2 * value**2 - log_constant


def _elastic_net_dist(l1, l2, log_constant, size):
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


def _elastic_net_start(rv, size, *parameters):
    """Start at the mode, as the other priors do."""
    import pytensor.tensor as pt

    return pt.zeros(size)


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

    def logp(self, params):
        """Log-prior of weights, biases and scales; see `Prior.logp`. Minus infinity unless all scales are positive."""
        total = super().logp(params)
        for layer in sorted({name[1:] for name in params if re.fullmatch(r"[Wb]\d+", name)}):
            scale = np.asarray(params[f"scale{layer}"], dtype=float)
            total = total + np.where(scale > 0, HalfNormal(self.sd).logp(scale), -np.inf)
        return total

    def layer_scale(self, layer):
        """Build ``scale{layer}`` inside a PyMC model; see `Prior.layer_scale`."""
        import pymc as pm

        return pm.HalfNormal(f"scale{layer}", sigma=setting(f"scale{layer}_sd", self.sd))

    def _rv(self, name, factor, dims):
        import pymc as pm

        return pm.Normal(name, 0.0, factor, dims=dims)


def _require_rates(cls, valid, l1, l2):
    """Refuse rates that belong to another prior."""
    if not valid or not math.isfinite(l1 + l2):
        right = "ElasticNet" if l1 and l2 else "Laplace" if l1 else "Normal" if l2 else "Flat()"
        raise SpecError(
            f"Got a penalty with rates l1={l1:g}, l2={l2:g} for {cls.__name__}; that penalty is the prior {right}. "
            f"Use {right}{'.from_penalty' if l1 or l2 else ', which is no penalty'}."
        )


PRIORS = {cls.__name__: cls for cls in (Flat, Normal, Laplace, ElasticNet, StudentT, Hierarchical)}


def as_prior(prior):
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
