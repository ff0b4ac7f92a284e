"""Priors of the weights, and the table that says which penalty each of them is."""

import dataclasses
import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Integral, Real

import numpy as np
from scipy import special

from bayesnn.errors import SpecError, UnknownNameError
from bayesnn.losses import as_loss

LOG_2PI = math.log(2.0 * math.pi)


def _set_positive(spec, *names):
    """Convert the named fields of a frozen dataclass to floats that must be positive and finite."""
    for name in names:
        value = getattr(spec, name)
        if isinstance(value, bool | np.bool_) or not isinstance(value, Real) or not 0 < value < math.inf:
            raise SpecError(
                f"Got {type(spec).__name__}({name}={value!r}); {name} must be a positive finite number. "
                f"Write for example {type(spec).__name__}({name}=1.0)."
            )
        object.__setattr__(spec, name, float(value))


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

    def kink(self, kind, fan_in):
        """Slope at zero, from the right, of the negative log density: positive where the density has a cusp there.

        Parameters
        ----------
        kind : {"weight", "bias"}
            Which of the two priors applies.
        fan_in : int
            Number of units that feed the layer.

        Returns
        -------
        float
            Zero for densities that are smooth at zero. An optimiser needs it to find weights that are exactly zero.
        """
        prior, factor = self._component(kind, fan_in, None)
        return prior._cusp / factor

    @property
    def _cusp(self):
        """The kink before rescaling."""
        return 0.0

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
        target = _Target(library, loss, noise, n, reduction, n_outputs)
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
        target = _Target(library, loss, noise, n, reduction, n_outputs)
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

    def _log_density(self, z):
        return np.zeros_like(z)

    def _rv(self, name, factor, dims):
        import pymc as pm

        return pm.Flat(name, dims=dims)

    def _rates(self):
        return (_Term(0), _Term(0), _Term(0)), {}


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
        _set_positive(self, "sd")
        super().__post_init__()

    def _log_density(self, z):
        return -0.5 * (z / self.sd) ** 2 - math.log(self.sd) - 0.5 * LOG_2PI

    def _rv(self, name, factor, dims):
        import pymc as pm

        return pm.Normal(name, 0.0, np.float64(self.sd * factor), dims=dims)

    def _rates(self):
        return (_Term(0), _Term(Fraction(1, 2), sd=-2), _Term(sd=-2)), {"sd": self.sd}

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
        _set_positive(self, "scale")
        super().__post_init__()

    @property
    def _cusp(self):
        return 1.0 / self.scale

    def _log_density(self, z):
        return -np.abs(z) / self.scale - math.log(2.0 * self.scale)

    def _rv(self, name, factor, dims):
        import pymc as pm

        return pm.Laplace(name, 0.0, np.float64(self.scale * factor), dims=dims)

    def _rates(self):
        return (_Term(scale=-1), _Term(0), _Term(scale=-1)), {"scale": self.scale}

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
        _set_positive(self, "l1", "l2")
        super().__post_init__()

    @property
    def _cusp(self):
        return self.l1

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
        return (_Term(l1=1), _Term(l2=1), _Term(**{strength: 1})), numbers

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
        _set_positive(self, "nu", "scale")
        super().__post_init__()

    def _log_density(self, z):
        tail = 0.5 * (self.nu + 1.0) * np.log1p((z / self.scale) ** 2 / self.nu)
        return -tail - math.log(self.scale) - 0.5 * math.log(self.nu) - special.betaln(0.5 * self.nu, 0.5)

    def _rv(self, name, factor, dims):
        import pymc as pm

        return pm.StudentT(name, nu=np.float64(self.nu), mu=0.0, sigma=np.float64(self.scale * factor), dims=dims)


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
        _set_positive(self, "sd")
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

        return pm.HalfNormal(f"scale{layer}", sigma=np.float64(self.sd))

    def _rv(self, name, factor, dims):
        import pymc as pm

        return pm.Normal(name, 0.0, factor, dims=dims)


@dataclass(frozen=True)
class HalfNormal:
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

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.HalfNormal(1.0).logp([-1.0, 1.0]).round(6)
    array([     -inf, -0.725791])
    """

    sd: float = 1.0

    def __post_init__(self):
        _set_positive(self, "sd")

    @property
    def proper(self):
        """Whether the prior integrates to one: True."""
        return True

    def logp(self, noise):
        """Log density of a noise scale.

        Parameters
        ----------
        noise : float or array (...,)
            The scale, in the units the model works in.

        Returns
        -------
        array (...,)
            Natural logarithms; minus infinity below zero.
        """
        noise = np.asarray(noise, dtype=float)
        inside = 0.5 * math.log(2.0 / math.pi) - math.log(self.sd) - 0.5 * (noise / self.sd) ** 2
        return np.where(noise >= 0, inside, -np.inf)[()]

    def rv(self, name):
        """Build the random variable inside a PyMC model.

        Parameters
        ----------
        name : str
            Name of the variable, ``"noise"``.

        Returns
        -------
        TensorVariable
            The variable, registered in the model.
        """
        import pymc as pm

        return pm.HalfNormal(name, sigma=np.float64(self.sd))


@dataclass(frozen=True)
class HalfFlat:
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
    def proper(self):
        """Whether the prior integrates to one: False."""
        return False

    def logp(self, noise):
        """Log density of a noise scale: zero, and minus infinity below zero; see `HalfNormal.logp`."""
        return np.where(np.asarray(noise, dtype=float) >= 0, 0.0, -np.inf)[()]

    def rv(self, name):
        """Build the random variable inside a PyMC model; see `HalfNormal.rv`."""
        import pymc as pm

        return pm.HalfFlat(name)


PRIORS = {cls.__name__: cls for cls in (Flat, Normal, Laplace, ElasticNet, StudentT, Hierarchical)}
NOISE_PRIORS = {cls.__name__: cls for cls in (HalfNormal, HalfFlat)}


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
    elif isinstance(prior, HalfNormal | HalfFlat):
        remedy = "That is a prior of the noise: give it as noise=..."
    else:
        remedy = f"Make one, such as Normal(1.0); there are {', '.join(PRIORS)}."
    raise SpecError(f"Got {prior!r} as a prior; it must be a Prior. {remedy}")


def prior_to_json(prior):
    """Write a prior as a dictionary that JSON can hold.

    Parameters
    ----------
    prior : Prior, HalfNormal or HalfFlat
        A prior of weights or of the noise.

    Returns
    -------
    dict
        ``family`` and the parameters.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.priors.prior_to_json(bnn.HalfNormal(0.5))
    {'family': 'HalfNormal', 'sd': 0.5}
    """
    if not isinstance(prior, HalfNormal | HalfFlat):
        as_prior(prior)
    values = {f.name: getattr(prior, f.name) for f in dataclasses.fields(prior)}
    if values.get("bias") is not None:
        values["bias"] = prior_to_json(values["bias"])
    return {"family": type(prior).__name__, **values}


def prior_from_json(spec):
    """Read a prior that `prior_to_json` wrote.

    Parameters
    ----------
    spec : dict
        ``family`` and the parameters.

    Returns
    -------
    Prior, HalfNormal or HalfFlat
        Equal to the prior that was written.

    Raises
    ------
    SpecError
        Something else than a dictionary, or parameters that are missing or that the family does not have.
    UnknownNameError
        A family that does not exist.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.priors.prior_from_json({"family": "HalfNormal", "sd": 0.5})
    HalfNormal(sd=0.5)
    """
    if not isinstance(spec, dict) or "family" not in spec:
        raise SpecError(f"Got {spec!r}; a prior is a dictionary with a family. Write it with prior_to_json.")
    families = PRIORS | NOISE_PRIORS
    if spec["family"] not in families:
        raise UnknownNameError("prior family", spec["family"], families)
    cls = families[spec["family"]]
    values = {k: v for k, v in spec.items() if k != "family"}
    known = {f.name for f in dataclasses.fields(cls)}
    if set(values) != known:
        raise SpecError(
            f"Got {spec['family']} with {sorted(values)}; it has exactly {sorted(known)}. Write it with prior_to_json."
        )
    if values.get("bias") is not None:
        values["bias"] = prior_from_json(values["bias"])
    return cls(**values)


class _Term:
    """A product of powers, such as noise**2 / (n * sd**2): one source for the formula and for its number."""

    def __init__(self, coefficient=1, **powers):
        self.coefficient = Fraction(coefficient)
        self.powers = {k: p for k, p in powers.items() if p} if coefficient else {}

    def __mul__(self, other):
        powers = {k: self.powers.get(k, 0) + other.powers.get(k, 0) for k in self.powers | other.powers}
        return _Term(self.coefficient * other.coefficient, **powers)

    def __pow__(self, power):
        if not self:
            return _Term(inf=1)
        return _Term(self.coefficient**power, **{k: p * power for k, p in self.powers.items()})

    def __bool__(self):
        return self.coefficient != 0

    def __str__(self):
        def side(number, powers):
            factors = [str(number)] * (number != 1) + [k if p == 1 else f"{k}**{p}" for k, p in powers]
            return factors or ["1"]

        ordered = sorted(self.powers.items())
        top = side(self.coefficient.numerator, [(k, p) for k, p in ordered if p > 0])
        bottom = side(self.coefficient.denominator, [(k, -p) for k, p in ordered if p < 0])
        if not self:
            return "0"
        below = bottom[0] if len(bottom) == 1 else f"({' * '.join(bottom)})"
        return " * ".join(top) + (f" / {below}" if bottom != ["1"] else "")

    def value(self, numbers):
        """Evaluate with a number for each name."""
        return float(self.coefficient) * math.prod(
            ({"inf": math.inf} | numbers)[k] ** p for k, p in self.powers.items()
        )


# One over the factor a of -log p = a * loss + b, for the losses of the table.
_INVERSE_A = {
    "squared_error": _Term(2, noise=2),
    "absolute_error": _Term(1, noise=1),
    "binary_cross_entropy": _Term(),
    "cross_entropy": _Term(),
    "poisson": _Term(),
}
_CLASS_LOSSES = ("binary_cross_entropy", "cross_entropy")
_MEAN, _HALF_MEAN = _Term(n=-1), _Term(Fraction(1, 2), n=-1)


@dataclass(frozen=True)
class _Library:
    """What a library minimises: share * sum(loss) + strength * (ratio |w|_1 + (1 - ratio) / 2 |w|^2)."""

    parameter: str
    penalty: str
    shares: dict[str, _Term | None]  # by loss; None where the reduction decides
    kinds: tuple[str, ...] = ("l2",)  # the penalties it knows
    unit: _Term = field(default_factory=_Term)  # the strength when the parameter is 1
    inverse: bool = False
    linear: bool = True
    penalises_biases: bool = False


_BOTH = ("l1", "l2", "both")
_L1_RATIO = "(l1_ratio * |w|_1 + (1 - l1_ratio) / 2 * |w|^2)"
_LIBRARIES = {
    "sklearn.Ridge": _Library("alpha", "alpha * |w|^2", {"squared_error": _Term()}, unit=_Term(2)),
    "sklearn.Lasso": _Library("alpha", "alpha * |w|_1", {"squared_error": _HALF_MEAN}, ("l1",)),
    "sklearn.ElasticNet": _Library("alpha", f"alpha * {_L1_RATIO}", {"squared_error": _HALF_MEAN}, _BOTH),
    "sklearn.LogisticRegression": _Library(
        "C", f"1 / C * {_L1_RATIO}", dict.fromkeys(_CLASS_LOSSES, _Term()), _BOTH, inverse=True
    ),
    "sklearn.PoissonRegressor": _Library("alpha", "alpha / 2 * |w|^2", {"poisson": _MEAN}),
    "sklearn.MLPRegressor": _Library(
        "alpha", "alpha / (2 * n) * |w|^2", {"squared_error": _HALF_MEAN, "poisson": _MEAN}, unit=_MEAN, linear=False
    ),
    "sklearn.MLPClassifier": _Library(
        "alpha", "alpha / (2 * n) * |w|^2", dict.fromkeys(_CLASS_LOSSES, _MEAN), unit=_MEAN, linear=False
    ),
    "torch": _Library(
        "weight_decay",
        "weight_decay / 2 * |w|^2",
        dict.fromkeys(_INVERSE_A),
        linear=False,
        penalises_biases=True,
    ),
    "keras": _Library("", "l1 * |w|_1 + l2 * |w|^2", dict.fromkeys(_INVERSE_A), _BOTH, linear=False),
}


class _Target:
    """A library with a loss and a data size: turns rates of penalties into its parameters and back."""

    def __init__(self, library, loss, noise, n, reduction, n_outputs):
        if library not in _LIBRARIES:
            raise UnknownNameError("library", library, _LIBRARIES)
        self.library, self.spec = library, _LIBRARIES[library]
        chosen = library in ("torch", "keras")
        if loss is None and chosen:
            raise SpecError(f"Got no loss; {library} leaves it open. Write for example loss='squared_error'.")
        self.loss = next(iter(self.spec.shares)) if loss is None else as_loss(loss).name
        if self.loss not in self.spec.shares:
            raise SpecError(
                f"Got loss {self.loss!r} with {library}, for which there is a translation of "
                f"{', '.join(map(repr, self.spec.shares))} only. Take one of these, or another library."
            )
        if not chosen and reduction is not None:
            raise SpecError(f"Got reduction={reduction!r}; {library} has its own. Leave reduction out.")
        self.reduction = (reduction or "mean") if chosen else None
        if self.reduction not in (None, "mean", "sum"):
            raise UnknownNameError("reduction", reduction, ("mean", "sum"))
        self.numbers = self._checked(noise, n, n_outputs)
        share = self.spec.shares[self.loss]
        if share is None:
            over_outputs = self.loss not in _CLASS_LOSSES and (self.reduction == "mean" or library == "keras")
            share = _Term(n=-(self.reduction == "mean"), n_outputs=-over_outputs)
        self.share = share
        # Penalties in the library are those of the prior times this: c / a in the notation of to_penalty.
        self.factor = share * _INVERSE_A[self.loss]

    def _checked(self, noise, n, n_outputs):
        """Validate the numbers that were given; a missing one matters only when a formula needs it."""
        if noise is not None:
            if "noise" not in _INVERSE_A[self.loss].powers:
                raise SpecError(f"Got noise={noise!r}; the likelihood of {self.loss!r} has no scale. Leave noise out.")
            if isinstance(noise, bool | np.bool_) or not isinstance(noise, Real) or not 0 < noise < math.inf:
                raise SpecError(
                    f"Got noise={noise!r}; the translation needs a known positive scale. "
                    "Give a number, for example the noise of a fit."
                )
            noise = float(noise)
        for name, value in (("n", n), ("n_outputs", n_outputs)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, Integral) or value < 1):
                raise SpecError(f"Got {name}={value!r}; it must be a positive integer. For data X, y: n=len(X).")
        if self.loss in _CLASS_LOSSES and n_outputs != 1:
            raise SpecError(
                f"Got n_outputs={n_outputs!r} with {self.loss!r}; it counts target columns, not classes. Leave it out."
            )
        if self.library == "sklearn.MLPRegressor" and self.loss == "squared_error" and n_outputs != 1:
            raise SpecError(
                f"Got n_outputs={n_outputs!r}; MLPRegressor averages its squared error over the outputs but not the "
                "gradient, so its minimum is not defined. Fit each output by itself, or use torch or keras."
            )
        return {"noise": noise, "n": n, "n_outputs": n_outputs}

    @property
    def objective(self):
        """Text of the function that is minimised."""
        share = "" if str(self.share) == "1" else f"{self.share} * "
        return f"{share}sum(loss) + {self.spec.penalty}"

    def _evaluate(self, term, numbers=()):
        """Value of a term, or an error that names the number that is missing."""
        for name in term.powers:
            if name in self.numbers and self.numbers[name] is None:
                what = "a known scale, such as noise=0.2" if name == "noise" else "the number of observations, n=len(X)"
                raise SpecError(
                    f"Got no {name}; the penalty of {self.library} with {self.loss!r} needs it. Give {what}."
                )
        return term.value(self.numbers | dict(numbers))

    def terms_of(self, prior):
        """Formulas of the library's parameters as terms, and the numbers of the prior in them."""
        if prior.fan_in:
            raise SpecError(
                f"Got {prior!r}; with fan_in every layer has a penalty of its own. Translate each layer by itself, "
                "with fan_in=False and the scale divided by sqrt(fan-in): in torch as a parameter group, in keras as a "
                "regularizer."
            )
        (l1, l2, strength), numbers = prior._rates()
        kind = "both" if l1 and l2 else "l1" if l1 else "l2"
        if kind not in self.spec.kinds:
            raise SpecError(
                f"Got {prior!r} with {self.library}, which minimises {self.objective}. "
                f"Use {'Normal' if 'l2' in self.spec.kinds else 'Laplace'}, or another library."
            )
        if not self.spec.parameter:
            rates = {"l1": l1 * self.factor, "l2": l2 * self.factor}
            return {name: rates[name] for name in (("l1", "l2") if kind == "both" else (kind,))}, numbers
        value = strength * self.factor * self.spec.unit**-1
        terms = {self.spec.parameter: value**-1 if self.spec.inverse else value}
        if "both" in self.spec.kinds:
            terms["l1_ratio"] = l1 * strength**-1 if l1 else _Term(0)
        return terms, numbers

    def parameters_of(self, prior):
        """Formulas and values of the library's parameters."""
        terms, numbers = self.terms_of(prior)
        values = {name: self._evaluate(term, numbers) for name, term in terms.items()}
        return {name: str(term) for name, term in terms.items()}, values

    def rates_of(self, cls, value):
        """Rates l1, l2 of a prior of class `cls`, from the parameters of the library."""
        separate = not self.spec.parameter
        main = self.spec.parameter or ("l1" if cls is Laplace else "l2")
        both = "both" in self.spec.kinds
        known = {"l1", "l2"} if separate else {main, "l1_ratio"} if both else {main}
        given = dict(value) if isinstance(value, dict) else {main: value}
        needed = known if cls is ElasticNet else {main}
        if not needed <= set(given) <= known:
            raise SpecError(
                f"Got value={value!r} for {cls.__name__}.from_penalty; {self.library} has {', '.join(sorted(known))}, "
                f"of which it needs {', '.join(sorted(needed))}. Give a dict, or a number where one is enough."
            )
        for name, number in given.items():
            valid = isinstance(number, Real) and not isinstance(number, bool | np.bool_) and number >= 0
            if not valid or (name == "l1_ratio" and number > 1) or (self.spec.inverse and name == main and number == 0):
                raise SpecError(
                    f"Got {name}={number!r}; a penalty is a number that is not negative, C is positive, and l1_ratio "
                    "is from 0 (all L2) to 1 (all L1). Give the number that the library was fitted with."
                )
        if separate:
            factor = self._evaluate(self.factor)
            return given.get("l1", 0.0) / factor, given.get("l2", 0.0) / factor
        l1_ratio = given.get("l1_ratio", float(cls is Laplace if both else self.spec.kinds == ("l1",)))
        number = 1.0 / given[main] if self.spec.inverse else given[main]
        strength = number * self._evaluate(self.spec.unit * self.factor**-1)
        return l1_ratio * strength, 0.5 * (1.0 - l1_ratio) * strength

    def note_on_biases(self, prior):
        """Say what is left to do so that the biases are treated as the prior says."""
        weights = dataclasses.replace(prior, bias=None)
        biases = prior.bias or weights
        if biases == (weights if self.spec.penalises_biases else Flat()):
            return ""
        if self.library.startswith("sklearn"):
            return f"{self.library} leaves the biases unpenalised: exact with bias=Flat() in the prior."
        try:
            self.terms_of(biases)
        except SpecError:
            return f"No argument of {self.library} gives the biases the prior {biases!r}."
        values = ", ".join(f"{name}={number!r}" for name, number in self.parameters_of(biases)[1].items())
        if self.library == "torch":
            return f"Put the biases in a parameter group of their own, with {values}."
        return f"Give bias_regularizer too, with {values}."


def _require_rates(cls, valid, l1, l2):
    """Refuse rates that belong to another prior."""
    if not valid or not math.isfinite(l1 + l2):
        right = "ElasticNet" if l1 and l2 else "Laplace" if l1 else "Normal" if l2 else "Flat()"
        raise SpecError(
            f"Got a penalty with rates l1={l1:g}, l2={l2:g} for {cls.__name__}; that penalty is the prior {right}. "
            f"Use {right}{'.from_penalty' if l1 or l2 else ', which is no penalty'}."
        )


def penalty_table(net, *, n, n_outputs=1):
    """Tabulate the penalties that give the MAP of a network in other libraries.

    Parameters
    ----------
    net : MLP
        The network; its prior, loss and noise are translated. Linear estimators are listed only without hidden layers.
    n : int
        Number of observations.
    n_outputs : int
        Number of target columns; 1 for classes.

    Returns
    -------
    DataFrame
        One row for each library, reduction and parameter; columns ``library, reduction, parameter, value, formula,
        objective, penalises_biases, note``; the reduction is empty where the library has its own. With a learned
        noise the values are NaN, and the note says so.

    Raises
    ------
    SpecError
        A loss or prior for which no library has a penalty.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> net = bnn.MLP(hidden=(), noise=0.5, prior=bnn.Normal(1.0, bias=bnn.Flat()))
    >>> bnn.penalty_table(net, n=10)[["library", "reduction", "parameter", "value"]].round(6).head(2)
                  library reduction parameter  value
    0       sklearn.Ridge               alpha  0.250
    1  sklearn.ElasticNet               alpha  0.025
    """
    import pandas as pd

    prior, loss = as_prior(net.prior), as_loss(net.loss)
    noise = net.noise if isinstance(net.noise, Real) else None
    # keras knows every penalty and loss of the table: what it refuses has no translation at all.
    _Target("keras", loss, noise, n, None, n_outputs).terms_of(prior)
    rows = []
    for library, spec in _LIBRARIES.items():
        if loss.name not in spec.shares or (spec.linear and net.hidden):
            continue
        for reduction in ("mean", "sum") if library in ("torch", "keras") else (None,):
            row = {"library": library, "reduction": reduction or ""}
            try:
                target = _Target(library, loss, noise, n, reduction, n_outputs)
                terms, numbers = target.terms_of(prior)
            except SpecError:
                continue
            known = noise is not None or not loss.has_noise
            note = (
                (target.note_on_biases(prior) if net.bias else "") if known else "Needs a known noise: MLP(noise=...)."
            )
            rows += [
                {
                    **row,
                    "parameter": name,
                    "value": target._evaluate(term, numbers) if known else math.nan,
                    "formula": str(term),
                    "objective": target.objective,
                    "penalises_biases": spec.penalises_biases,
                    "note": note,
                }
                for name, term in terms.items()
            ]
    return pd.DataFrame(rows)
