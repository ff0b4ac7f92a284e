"""What libraries minimise, and their parameters for the rates of a penalty."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from numbers import Integral, Real
from typing import Any

import numpy as np

from bayesnn.arguments import SCALE, check_name, is_scale
from bayesnn.errors import SpecError
from bayesnn.losses import Loss, as_loss
from bayesnn.priors.terms import Term

# One over the factor a of -log p = a * loss + b, for the losses of the table.
_INVERSE_A = {
    "squared_error": Term(2, noise=2),
    "absolute_error": Term(1, noise=1),
    "binary_cross_entropy": Term(),
    "cross_entropy": Term(),
    "poisson": Term(),
}
_CLASS_LOSSES = ("binary_cross_entropy", "cross_entropy")
_MEAN, _HALF_MEAN = Term(n=-1), Term(Fraction(1, 2), n=-1)


@dataclass(frozen=True)
class _Library:
    """What a library minimises: share * sum(loss) + strength * (ratio |w|_1 + (1 - ratio) / 2 |w|^2)."""

    parameter: str
    penalty: str
    shares: dict[str, Term | None]  # by loss; None where the reduction decides
    kinds: tuple[str, ...] = ("l2",)  # the penalties it knows
    unit: Term = field(default_factory=Term)  # the strength when the parameter is 1
    inverse: bool = False
    linear: bool = True
    penalises_biases: bool = False


_BOTH = ("l1", "l2", "both")
_L1_RATIO = "(l1_ratio * |w|_1 + (1 - l1_ratio) / 2 * |w|^2)"
LIBRARIES = {
    "sklearn.Ridge": _Library("alpha", "alpha * |w|^2", {"squared_error": Term()}, unit=Term(2)),
    "sklearn.Lasso": _Library("alpha", "alpha * |w|_1", {"squared_error": _HALF_MEAN}, ("l1",)),
    "sklearn.ElasticNet": _Library("alpha", f"alpha * {_L1_RATIO}", {"squared_error": _HALF_MEAN}, _BOTH),
    "sklearn.LogisticRegression": _Library(
        "C", f"1 / C * {_L1_RATIO}", dict.fromkeys(_CLASS_LOSSES, Term()), _BOTH, inverse=True
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


class Target:
    """A library with a loss and a data size: turns rates of penalties into its parameters and back."""

    def __init__(
        self,
        library: str,
        loss: str | Loss | None,
        noise: float | None,
        n: int | None,
        reduction: str | None,
        n_outputs: int,
    ):
        check_name("library", library, LIBRARIES)
        self.library, self.spec = library, LIBRARIES[library]
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
        self.reduction = ("mean" if reduction is None else reduction) if chosen else None
        if self.reduction is not None:
            check_name("reduction", self.reduction, ("mean", "sum"))
        self.numbers = self._checked(noise, n, n_outputs)
        share = self.spec.shares[self.loss]
        if share is None:
            over_outputs = self.loss not in _CLASS_LOSSES and (self.reduction == "mean" or library == "keras")
            share = Term(n=-(self.reduction == "mean"), n_outputs=-over_outputs)
        self.share = share
        # Penalties in the library are those of the prior times this: c / a in the notation of to_penalty.
        self.factor = share * _INVERSE_A[self.loss]

    def _checked(self, noise, n, n_outputs):
        """Validate the numbers that were given; a missing one matters only when a formula needs it."""
        if noise is not None:
            if "noise" not in _INVERSE_A[self.loss].powers:
                raise SpecError(f"Got noise={noise!r}; the likelihood of {self.loss!r} has no scale. Leave noise out.")
            if not is_scale(noise):
                raise SpecError(
                    f"Got noise={noise!r}; the translation needs a known scale, {SCALE}. "
                    "Give a number, for example the noise of a fit."
                )
            noise = float(noise)
        for name, value, usual in (("n", n, "n=len(X)"), ("n_outputs", n_outputs, "n_outputs=1")):
            if value is not None and (isinstance(value, bool) or not isinstance(value, Integral) or value < 1):
                raise SpecError(f"Got {name}={value!r}; it must be a positive integer. Write {usual}.")
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
    def objective(self) -> str:
        """Text of the function that is minimised."""
        share = "" if str(self.share) == "1" else f"{self.share} * "
        return f"{share}sum(loss) + {self.spec.penalty}"

    def evaluate(self, term: Term, numbers: Mapping[str, float] | None = None) -> float:
        """Value of a term, or an error that names the number that is missing."""
        for name in term.powers:
            if name in self.numbers and self.numbers[name] is None:
                what = "a known scale, such as noise=0.2" if name == "noise" else "the number of observations, n=len(X)"
                raise SpecError(
                    f"Got no {name}; the penalty of {self.library} with {self.loss!r} needs it. Give {what}."
                )
        return term.value(self.numbers | dict(numbers or {}))

    def terms_of(self, prior: Any) -> tuple[dict[str, Term], dict[str, float]]:
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
            terms["l1_ratio"] = l1 * strength**-1 if l1 else Term(0)
        return terms, numbers

    def parameters_of(self, prior: Any) -> tuple[dict[str, str], dict[str, float]]:
        """Formulas and values of the library's parameters."""
        terms, numbers = self.terms_of(prior)
        values = {name: self.evaluate(term, numbers) for name, term in terms.items()}
        return {name: str(term) for name, term in terms.items()}, values

    def rates_of(self, value: float | dict[str, float], kind: str | None, family: str) -> tuple[float, float]:
        """Rates l1, l2 of a penalty of this kind, from the parameters of the library; the family is for messages."""
        separate = not self.spec.parameter
        main = self.spec.parameter or ("l1" if kind == "l1" else "l2")
        both = "both" in self.spec.kinds
        known = {"l1", "l2"} if separate else {main, "l1_ratio"} if both else {main}
        given = dict(value) if isinstance(value, dict) else {main: value}
        needed = known if kind == "both" else {main}
        if not needed <= set(given) <= known:
            raise SpecError(
                f"Got value={value!r} for {family}.from_penalty; {self.library} has {', '.join(sorted(known))}, "
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
            factor = self.evaluate(self.factor)
            return given.get("l1", 0.0) / factor, given.get("l2", 0.0) / factor
        l1_ratio = given.get("l1_ratio", float(kind == "l1" if both else self.spec.kinds == ("l1",)))
        number = 1.0 / given[main] if self.spec.inverse else given[main]
        strength = number * self.evaluate(self.spec.unit * self.factor**-1)
        return l1_ratio * strength, 0.5 * (1.0 - l1_ratio) * strength

    def note_on_biases(self, prior: Any) -> str:
        """Say what is left to do so that the biases are treated as the prior says."""
        weights = dataclasses.replace(prior, bias=None)
        biases = prior.bias or weights
        if biases == weights if self.spec.penalises_biases else biases.flat:
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
