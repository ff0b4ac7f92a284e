"""The log density of a network's parameters and its gradient, as a function of one flat vector."""

from collections.abc import Iterable, Mapping
from copy import copy
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayesnn import losses
from bayesnn.data.target import known_of
from bayesnn.fitting.idle import idle_cores
from bayesnn.fitting.prior import prior_draws_of
from bayesnn.fitting.selfcheck import check_density, few_rows
from bayesnn.formulas import Formula
from bayesnn.losses.counts import log_rising
from bayesnn.model import collapsible, model_of, output_scales
from bayesnn.network import CUTPOINT_SD, MLP, Params
from bayesnn.priors import Prior, is_ours
from bayesnn.tree import Problem


def log_density(
    problem: Problem, *, jacobian: bool, collapse: bool = False, split: bool = False, threads: int | None = None
) -> "FusedDensity | ModelDensity":
    """Compile the log density of a problem: by our own kernels wherever they know it, otherwise from its PyMC model.

    Parameters
    ----------
    problem : Problem
        What is to be fitted.
    jacobian : bool
        Whether to take the density of the transformed parameters, which a sampler needs, or of the parameters in
        their own units, whose mode is the MAP.
    collapse : bool
        Integrate the output layer out.
    split : bool
        Give log-likelihood and log-prior apart, for tempering.
    threads : int, optional
        Most threads that our own kernels share the rows among, where there are many; None takes the cores that are
        idle at that moment. No number depends on it.

    Returns
    -------
    FusedDensity or ModelDensity
        Called with a flat vector it gives the log density and the gradient; a split one gives log-likelihood and
        log-prior (2,), and their gradients one after the other (2 size,).

    Raises
    ------
    DensityError
        The compiled numbers are not NumPy's, see `selfcheck`.
    """
    if not has_kernels(problem.net):
        model = ModelDensity(model_of(problem, collapse=collapse), jacobian=jacobian, split=split)
        named = ", ".join(map(repr, outsiders(problem.net))) or "the formulas"
        remedy = f"Make what {named} tells PyMC (_rv, observe) and NumPy (_log_density, loss) the same density."
        check_density(model, problem, jacobian=jacobian, collapse=collapse, remedy=remedy)
        return model
    density = FusedDensity(problem, jacobian=jacobian, collapse=collapse, split=split, threads=threads)
    few = few_rows(problem)
    parts = copy(density) if few is problem else FusedDensity(few, jacobian=jacobian, collapse=collapse)
    parts.split = True
    check_density(parts, few, jacobian=jacobian, collapse=collapse, remedy=_remove_cache())
    return density


def _remove_cache():
    from pytensor.link.numba.cache import NUMBA_CACHE_PATH

    return f"Delete {NUMBA_CACHE_PATH}, where compiled code is kept, and run again; if it stays, please report it."


def has_kernels(net: MLP) -> bool:
    """Say whether our own kernels know the density of a network's parameters; otherwise it comes from the PyMC model.

    Parameters
    ----------
    net : MLP
        The network.

    Returns
    -------
    bool
        False for classes of losses and priors from outside, and for formulas with an operation that vector registers
        lack.
    """
    from bayesnn.ops.forms import covered, knows

    biases = net.prior.bias or net.prior
    penalties = [prior.formula for prior in (net.prior, biases) if prior.formula is not None]
    units = not net.hidden or net.phi.builtin or covered(net.phi.formula)
    return not outsiders(net) and units and all(map(covered, penalties)) and knows(net.loss)


def collapses(problem: Problem) -> bool:
    """Say whether the output layer can be integrated out, exactly and by our own kernels.

    Parameters
    ----------
    problem : Problem
        What is to be fitted.

    Returns
    -------
    bool
        As of `collapsible`, where there are kernels.
    """
    return collapsible(problem) and has_kernels(problem.net)


def outsiders(net: MLP) -> list[Any]:
    """List what of a network is of a class from outside, about which nothing is known but its numbers.

    Parameters
    ----------
    net : MLP
        The network.

    Returns
    -------
    list of Loss and Prior
        Empty where loss and priors are of this package's classes.
    """
    loss = [] if losses.is_ours(net.loss) else [net.loss]
    return loss + [prior for prior in (net.prior, net.prior.bias) if prior is not None and not is_ours(prior)]


def slowness(net: MLP) -> str:
    """Say why a density is not one of our own kernels, in a line for whoever waits.

    Parameters
    ----------
    net : MLP
        The network.

    Returns
    -------
    str
        Empty where it is.
    """
    if has_kernels(net):
        return ""
    what = ", ".join(map(repr, outsiders(net))) or "a formula with an operation without vector form"
    return f"{what}: the density is the PyMC model's own, several times slower than a formula's would be."


class Layout:
    """Where each parameter stands in a flat vector, and how it is transformed to be free of bounds.

    Parameters
    ----------
    shapes : dict of str to tuple of int
        Shapes of the parameters, in their order.
    """

    def __init__(self, shapes):
        self.names, self.shapes = list(shapes), list(shapes.values())
        self.offsets = np.concatenate([[0], np.cumsum([int(np.prod(s)) for s in self.shapes])]).astype("int64")
        self.size = int(self.offsets[-1])

    def unpack(self, x: np.ndarray) -> Params:
        """Parameters, in their own units, of one flat vector or a batch of them.

        Parameters
        ----------
        x : array (..., size)
            Flat vectors.

        Returns
        -------
        dict of str to array
            As `MLP.forward` takes them.
        """
        x = np.asarray(x, dtype=float)
        out = {}
        for i, (name, shape) in enumerate(zip(self.names, self.shapes, strict=True)):
            value = x[..., self.offsets[i] : self.offsets[i + 1]].reshape(x.shape[:-1] + shape)
            out[name] = _CONSTRAIN[kind_of_parameter(name)](value)
        return out

    def pack(self, params: Mapping[str, ArrayLike]) -> np.ndarray:
        """Flat vector of a dictionary of parameters: the inverse of `unpack`.

        Parameters
        ----------
        params : dict of str to array
            Parameters in their own units.

        Returns
        -------
        array (..., size)
            Flat vectors.
        """
        pieces = []
        for name, shape in zip(self.names, self.shapes, strict=True):
            value = _UNCONSTRAIN[kind_of_parameter(name)](np.asarray(params[name], dtype=float))
            pieces.append(value.reshape(*value.shape[: value.ndim - len(shape)], -1))
        return np.concatenate(pieces, axis=-1)

    def log_jacobian(self, x: np.ndarray) -> float:
        """Logarithm of the determinant of the derivative of `unpack` at a flat vector (size,)."""
        total = 0.0
        for i, name in enumerate(self.names):
            piece = x[self.offsets[i] : self.offsets[i + 1]]
            total += {"real": 0.0, "positive": piece.sum(), "ordered": piece[1:].sum()}[kind_of_parameter(name)]
        return float(total)

    def rates(self, prior: Prior) -> np.ndarray:
        """Rates of a prior for each element of the flat vector; zero for what is no weight and no bias.

        Parameters
        ----------
        prior : Prior
            Of fixed scale.

        Returns
        -------
        array (4, size)
            As `Prior.rates`.
        """
        rates = np.zeros((4, self.size))
        for kind, fan_in, columns in self._elements():
            if prior.penalty(kind, fan_in) is None and prior.unscaled(kind, fan_in) is None:
                rates[:, columns] = prior.rates(kind, fan_in)[:, None]
        return rates

    def unscaled(self, prior: Prior) -> np.ndarray:
        """Rates of a prior with learned scales at scales of one, for each element of the flat vector.

        Parameters
        ----------
        prior : Prior
            Any.

        Returns
        -------
        array (size,)
            As `Prior.unscaled`; zero for elements of another prior.
        """
        rates = np.zeros(self.size)
        for kind, fan_in, columns in self._elements():
            rates[columns] = prior.unscaled(kind, fan_in) or 0.0
        return rates

    def kinks(self, prior: Prior) -> np.ndarray:
        """Slopes of a prior's penalty at zero for each element of the flat vector.

        Parameters
        ----------
        prior : Prior
            Of fixed scale.

        Returns
        -------
        array (size,)
            As `Prior.kink`.
        """
        kinks = np.zeros(self.size)
        for kind, fan_in, columns in self._elements():
            kinks[columns] = prior.kink(kind, fan_in)
        return kinks

    def penalties(self, prior: Prior) -> list[tuple[Formula, tuple[float, ...], np.ndarray]]:
        """Formulas in a prior, for weights and for biases.

        Parameters
        ----------
        prior : Prior
            Of fixed scale.

        Returns
        -------
        list of (Formula, tuple of float, array (size,))
            Each with its parameters and what every element of the flat vector is multiplied by, zero for those that
            have another prior.
        """
        found: dict[Any, np.ndarray] = {}
        for kind, fan_in, columns in self._elements():
            known = prior.penalty(kind, fan_in)
            if known is not None:
                formula, parameters, inverse = known
                factors = found.setdefault((formula, parameters), np.zeros(self.size))
                factors[columns] = inverse
        return [(formula, parameters, factors) for (formula, parameters), factors in found.items()]

    def _elements(self):
        """Kind, fan-in and places of each weight matrix and bias vector."""
        for i, (name, shape) in enumerate(zip(self.names, self.shapes, strict=True)):
            if name[0] in _KINDS:
                yield _KINDS[name[0]], shape[0], slice(self.offsets[i], self.offsets[i + 1])


class ModelDensity(Layout):
    """Log density of a PyMC model, compiled by PyTensor.

    The sizes of the layers enter as data, so that PyTensor's cache serves every width of the same architecture.

    Parameters
    ----------
    model : pymc.Model
        A model of `bayesnn.model.model_of`.
    jacobian, split : bool
        As for `log_density`.
    """

    def __init__(self, model, *, jacobian, split=False):
        import pymc as pm
        import pytensor
        import pytensor.tensor as pt
        from pytensor.graph.replace import graph_replace

        point = model.initial_point(0)
        super().__init__({model.values_to_rvs[v].name: np.shape(point[v.name]) for v in model.value_vars})
        self.model = model
        flat = pt.dvector("theta")
        offsets = pytensor.shared(self.offsets, name="offsets")
        pieces = {}
        for i, (var, shape) in enumerate(zip(model.value_vars, self.shapes, strict=True)):
            piece = flat[offsets[i] : offsets[i + 1]]
            if shape:
                sizes = pytensor.shared(np.array(shape, dtype="int64"), name=f"shape_{var.name}")
                pieces[var] = piece.reshape([sizes[k] for k in range(len(shape))])
            else:
                pieces[var] = piece[0]
        self.lock, self.start, self.split = Lock(), None, split
        parts = [[*model.observed_RVs, *model.potentials], model.free_RVs] if split else [None]
        values = graph_replace([model.logp(vars=part, jacobian=jacobian) for part in parts], pieces)
        gradients = [pytensor.grad(value, flat, disconnected_inputs="ignore") for value in values]
        self.function = pm.compile([flat], [pt.stack(values), pt.concatenate(gradients)], trust_input=True)

    def __call__(self, x):
        """Log density and gradient at a flat vector."""
        value, gradient = map(np.asarray, self.function(x))
        return value if self.split else value.item(), gradient

    def many(self, x: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Log densities and gradients at flat vectors (s, size)."""
        values, gradients = zip(*map(self, x), strict=True)
        return np.array(values), np.array(gradients)

    def prior_draws(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw flat vectors (count, size) from the prior."""
        return np.array([self.prior_draw(int(seed)) for seed in rng.integers(2**31, size=count)]).reshape(-1, self.size)

    def prior_draw(self, seed: int) -> np.ndarray:
        """Draw a flat vector from the prior."""
        from pymc.initial_point import make_initial_point_fn

        options = {"default_strategy": "prior", "jitter_rvs": set(), "return_transformed": True}
        # A sampler asks from a thread for each chain, and PyTensor's compiler changes its settings while it works:
        # two at a time leave them changed for ever.
        with self.lock:
            if self.start is None:
                self.start = make_initial_point_fn(model=self.model, **options)
            point = self.start(seed)
        return np.concatenate([np.ravel(point[v.name]) for v in self.model.value_vars]).astype(float)


class FusedDensity(Layout):
    """Log density of a network's parameters, by our own kernels: the same as that of the PyMC model.

    Parameters
    ----------
    problem : Problem
        What is to be fitted; its network `has_kernels`.
    jacobian, collapse, split, threads
        As for `log_density`.
    """

    def __init__(self, problem, *, jacobian, collapse=False, split=False, threads=None):
        from bayesnn.ops.density import Density
        from bayesnn.ops.rising import rising_table

        net, loss, prior, noise = problem.net, problem.net.loss, problem.net.prior, problem.net.noise_prior
        widths = net.sizes(problem.X.shape[1], len(problem.output_names))
        shapes = {k: s for k, s in problem.shapes.items() if not collapse or int(k[1:]) < net.n_layers}
        cuts = int(problem.y.max()) if loss.task == "ordinal" else 0
        learned = {f"scale{layer}": () for layer in range(1, net.n_layers + 1)} if prior.has_learned_scale else {}
        beyond = ({"noise": ()} if noise is not None else {}) | ({"cutpoints": (cuts,)} if cuts else {})
        super().__init__(shapes | learned | beyond)
        self.net, self.split = net, split
        penalties = self.penalties(prior)
        zeros = {name: np.zeros(s) for name, s in shapes.items()} | dict.fromkeys(learned, np.ones(()))
        if cuts:
            zeros["cutpoints"] = np.zeros(cuts)
        scale_rate = 0.5 / prior.sd**2 if learned else 0.0
        constant = float(net.log_prior(zeros, noise=False)) + scale_rate * len(learned)
        constant += (noise.constant if noise is not None else 0.0) + sum(
            float(formula(0.0, *values)) * np.count_nonzero(by) for formula, values, by in penalties
        )

        y = np.eye(widths[-1])[problem.y] if loss.task == "classes" else problem.values
        y = np.asarray(y if y.ndim == 2 else y[:, None], dtype=float)
        known = known_of(problem.y)
        if known:
            # Each loss takes one of them.
            ((beside, values),) = known.items()
            y = np.column_stack([y, _READ_AS[beside](values)])
        scales = None
        if collapse:
            scales = output_scales(problem)
            scales = np.concatenate([scales, np.zeros(widths[-2] + 1 - len(scales))])
        noise_at = 1.0
        if loss.has_noise:
            noise_at = net.noise if noise is None else None
        # The table has the rest of the constant at every noise.
        rising = rising_table(problem.values) if loss.name == "negative_binomial" else ()
        rises = float(log_rising(problem.values, 1.0).sum()) if rising else 0.0
        self.density = Density(
            net.phi,
            loss,
            problem.X,
            y,
            widths=widths,
            biased=[net.has_bias(layer) for layer in range(1, net.n_layers + 1)],
            rates=self.rates(prior),
            penalties=penalties,
            known=next(iter(known), ""),
            constant=-float(loss.b_of_y(problem.y, noise=1.0 if loss.has_noise else None).sum()) - rises,
            rising=rising,
            prior_constant=constant,
            noise=noise_at,
            noise_rates=noise.rates if noise is not None else np.zeros(5),
            jacobian=jacobian,
            parameters=np.bincount(problem.y) if cuts else loss.parameters,
            cuts=cuts,
            cut_rate=0.5 / CUTPOINT_SD**2 if prior.proper else 0.0,
            unscaled=self.unscaled(prior) if learned else None,
            scale_rate=scale_rate,
            scales=scales,
            threads=idle_cores() if threads is None else threads,
        )

    def __call__(self, x):
        """Log density and gradient at a flat vector."""
        if self.split:
            values, gradients = self.many(x[None])
            return values[0], gradients[0]
        return self.density(x)

    def many(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Log densities and gradients at flat vectors (s, size)."""
        return self.density.many(x, split=self.split)

    def prior_draws(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Draw flat vectors (count, size) from the prior."""
        params = prior_draws_of(self.net, dict(zip(self.names, self.shapes, strict=True)), count, rng)
        return self.pack(params) if params else np.empty((count, 0))

    def prior_draw(self, seed: int) -> np.ndarray:
        """Draw a flat vector from the prior."""
        return self.prior_draws(np.random.default_rng(seed), 1)[0]


_READ_AS = {"exposure": np.log, "trials": np.asarray, "precision": np.sqrt}
"""What is known of the rows -> what kernels read."""


def kind_of_parameter(name: str) -> str:
    """Say how a parameter is transformed: "real" (not at all), "positive" (its logarithm) or "ordered"."""
    if name == "cutpoints":
        return "ordered"
    return "positive" if name == "noise" or name.startswith("scale") else "real"


def _cumulate(value):
    return np.cumsum(np.concatenate([value[..., :1], np.exp(value[..., 1:])], axis=-1), axis=-1)


def _differences(value):
    return np.concatenate([value[..., :1], np.log(np.diff(value, axis=-1))], axis=-1)


_KINDS = {"W": "weight", "b": "bias"}
_CONSTRAIN: dict[str, Any] = {"real": lambda v: v, "positive": np.exp, "ordered": _cumulate}
_UNCONSTRAIN: dict[str, Any] = {"real": lambda v: v, "positive": np.log, "ordered": _differences}
