"""Activations: each a formula, the symmetry that it gives to a layer, and how it behaves far out."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from bayesnn.arguments import check_name
from bayesnn.errors import SpecError, UnknownNameError
from bayesnn.formulas import Formula, Program, fn
from bayesnn.formulas.shape import SYMMETRIES, broken, check_finite, check_named, grid, is_smooth, kinks, symmetries


class Activation:
    """An activation function and the symmetry that it gives to a layer of hidden units.

    Parameters
    ----------
    name : str
        How it is called; not that of a built-in one.
    function : callable
        One line of PyTensor, ``lambda z: z / (1 + abs(z))``.
    symmetry : str or tuple of str, optional
        What leaves a unit's function unchanged beyond permuting units: ``"odd"`` (flipping the signs of incoming and
        outgoing weights), ``"even"`` (flipping those of incoming weights alone), ``"sigmoid"`` (flipping both, with a
        shift of the next bias), ``"relu"`` (positive rescaling), ``"identity"`` (any invertible matrix), ``"none"``.
        None finds it numerically.

    Raises
    ------
    SpecError
        A formula that can't be read, or is not finite from -30 to 30; a symmetry that does not hold, with the point and
        both values.

    Warns
    -----
    FormulaWarning
        A formula that is not finite further out.

    Notes
    -----
    The formula is read by PyTensor in the model, by NumPy in predictions, and emitted into vector registers for fits.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> softsign = bnn.Activation("softsign", lambda z: z / (1 + abs(z)))
    >>> softsign.symmetry, float(softsign(1.0))
    (('odd',), 0.5)
    >>> bnn.symmetry_group(bnn.MLP(hidden=(2,), activation=softsign)).order
    8
    """

    def __init__(
        self, name: str, function: Callable | Formula, symmetry: str | tuple[str, ...] | None = None, **known: Any
    ):
        check_named("an activation", name)
        self.name = name
        self.formula = function if isinstance(function, Formula) else Formula(function, ("z",))
        self.__dict__.update(known)
        if known.get("builtin"):
            self.symmetry = symmetry  # type: ignore[assignment]  # a tuple
            return
        if name in ACTIVATIONS:
            raise SpecError(f"Got name={name!r}, which is a built-in activation. Choose another name.")
        check_finite(self.formula, f"the activation {name!r}")
        self.symmetry = symmetries(self) if symmetry is None else self._claimed(symmetry)

    builtin = False
    symmetry: tuple[str, ...]
    tail: tuple[float, float, float] | None = None
    """L, a, k of phi(z) = L + a exp(k z) far to the left; None where it is not known."""
    period: float | None = None
    """Half a period, by which the function changes its sign; None where it is not known to have one."""

    def _claimed(self, symmetry):
        names = (symmetry,) if isinstance(symmetry, str) else tuple(symmetry)
        names = () if names == ("none",) else names
        for name in names:
            if not isinstance(name, str) or name not in SYMMETRIES:
                raise UnknownNameError("symmetry", name, (*SYMMETRIES, "none"))
            found = broken(name, self)
            if found is not None:
                z, got, wanted = found
                raise SpecError(
                    f"Got symmetry={name!r} for the activation {self.name!r}; it means {SYMMETRIES[name][0]}, and at "
                    f"z = {z:.6g} the two sides are {got:.6g} and {wanted:.6g}. Leave symmetry out to have it found."
                )
        return names

    def __call__(self, z: Any) -> Any:
        """Evaluate with NumPy."""
        return self.formula(z)

    @property
    def odd(self) -> bool:
        """Whether phi(-z) = -phi(z)."""
        return bool({"odd", "identity"} & set(self.symmetry))

    @property
    def even(self) -> bool:
        """Whether phi(-z) = phi(z)."""
        return "even" in self.symmetry

    @property
    def shifts(self) -> bool:
        """Whether phi(-z) = 2 phi(0) - phi(z) with phi(0) not zero: a flip that shifts the next bias."""
        return "sigmoid" in self.symmetry

    @property
    def scales(self) -> bool:
        """Whether phi(c z) = c phi(z) for c > 0 and phi is no straight line."""
        return "relu" in self.symmetry

    @property
    def linear(self) -> bool:
        """Whether phi(z) = a z."""
        return "identity" in self.symmetry

    @cached_property
    def kinks(self) -> np.ndarray:
        """Points at which the slope jumps."""
        return kinks(self.formula, self.formula.slope)

    @cached_property
    def smooth(self) -> bool:
        """Whether there are two derivatives, as far as is looked."""
        return is_smooth(self.formula, self.formula.slope)

    @cached_property
    def ends(self) -> tuple[float, float] | None:
        """Limits far to the left and far to the right, where both are reached to the last digit by -40 and 40."""
        z = np.array([40.0, 60.0, 1e3, 1e5])
        sides = [self(side * z) for side in (-1, 1)]
        level = [float(values[-1]) for values in sides]
        if level[0] == level[1] or any(np.ptp(values) > 1e-15 * max(1.0, abs(values[-1])) for values in sides):
            return None
        return level[0], level[1]

    @cached_property
    def ramp(self) -> bool:
        """Whether phi(c z) / c tends to max(z, 0) for a growing c, and phi is smooth."""
        z = np.array([40.0, 1e3, 1e5])
        return bool(self.smooth and np.ptp([self(z) - z, self(-z)]) < 1e-12)

    @cached_property
    def level(self) -> float:
        """Twice the value at zero: what a unit and its flipped twin add up to, where flips shift the next bias."""
        return float(2 * self(0.0))

    @cached_property
    def bounded(self) -> bool:
        """Whether the function stays within bounds, as far as a million."""
        z = np.concatenate([np.linspace(0.0, 30.0, 301), np.geomspace(30.0, 1e6, 200)])
        size = np.maximum(np.abs(self(z)), np.abs(self(-z)))
        return bool(size.max() <= 1.1 * size[z <= 1e3].max())

    @cached_property
    def straight(self) -> float:
        """Where the function is straightest: far out on a ramp, otherwise where it is steepest."""
        if self.ramp:
            return 40.0
        z = np.linspace(-3.0, 3.0, 601).round(2)
        return 1.0 if self.scales else float(z[np.argmax(np.abs(self.formula.slope(z)))])

    def derivatives(self, z: np.ndarray) -> tuple[np.ndarray, ...]:
        """Value and first three derivatives, by PyTensor's differentiation."""
        return tuple(np.broadcast_to(d, np.shape(z)) for d in self._derivatives(z))

    @cached_property
    def _derivatives(self):
        return self.formula.derivatives(3)

    def __eq__(self, other: object) -> bool:
        """Whether name, formula and symmetry are the same."""
        if not isinstance(other, Activation):
            return NotImplemented
        if self.builtin or other.builtin:
            return self.name == other.name
        return (self.name, self.symmetry, self.formula) == (other.name, other.symmetry, other.formula)

    def __hash__(self) -> int:
        return hash(self.name)

    def __reduce__(self):
        return as_activation, (self.to_json(),)

    def __repr__(self) -> str:
        """Show name and symmetry."""
        return f"Activation({self.name!r}, symmetry={self.symmetry!r})"

    def to_json(self) -> str | dict[str, Any]:
        """Write it as something that JSON can hold: the name of a built-in one, or name, formula and symmetry."""
        if self.builtin:
            return self.name
        return {"name": self.name, "formula": self.formula.program.to_json(), "symmetry": list(self.symmetry)}


def _entry(name, function, *symmetry, **known):
    known = {"tail": None, "ends": None, "ramp": False, "kinks": np.empty(0)} | known
    known["smooth"] = not len(known["kinks"])
    return Activation(name, Formula(function, ("z",), ours=True), symmetry, builtin=True, **known)


ACTIVATIONS: dict[str, Activation] = {}
ACTIVATIONS |= {
    a.name: a
    for a in (
        _entry("tanh", fn.tanh, "odd", ends=(-1.0, 1.0), tail=(-1.0, 2.0, 2.0)),
        _entry("sigmoid", fn.sigmoid, "sigmoid", ends=(0.0, 1.0), tail=(0.0, 1.0, 1.0)),
        _entry("relu", lambda z: fn.switch(z <= 0.0, 0.0, z), "relu", kinks=np.zeros(1)),
        _entry("identity", lambda z: z, "identity"),
        _entry("gelu", lambda z: 0.5 * z * fn.erfc(z * -(0.5**0.5)), ramp=True),
        _entry("silu", lambda z: z * fn.sigmoid(z), ramp=True),
        _entry("softplus", fn.softplus, tail=(0.0, 1.0, 1.0), ramp=True),
        _entry("erf", fn.erf, "odd", ends=(-1.0, 1.0)),
        _entry("sin", fn.sin, "odd", period=np.pi),
    )
}
"""Name -> activation. The only place where the formulas of the built-in activations stand."""


def as_activation(activation: str | dict | Activation) -> Activation:
    """Return the activation for a name, for what `Activation.to_json` wrote, or as it is.

    Parameters
    ----------
    activation : str, dict or Activation
        Such as ``"tanh"``.

    Returns
    -------
    Activation

    Raises
    ------
    UnknownNameError
        A name that is not in `ACTIVATIONS`; the message has the nearest known one.
    SpecError
        Anything else.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.activations.as_activation("tanh").symmetry
    ('odd',)
    """
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, dict) and {"name", "formula", "symmetry"} == set(activation):
        # That it is finite was seen when it was made; what it claims is looked at again, for which NumPy is enough.
        out = object.__new__(Activation)
        out.name, out.symmetry = str(activation["name"]), tuple(map(str, activation["symmetry"]))
        out.formula = Formula(Program.from_json(activation["formula"]))
        if out.name in ACTIVATIONS or not set(out.symmetry) <= set(SYMMETRIES):
            raise SpecError(f"Got {str(activation)[:80]} as an activation. Write one with Activation.to_json.")
        for symmetry in out.symmetry:
            with np.errstate(all="ignore"):
                _, got, wanted = SYMMETRIES[symmetry][1](lambda z: out.formula.program(z)[0], grid())
                apart = np.abs(got - wanted) > 1e-9 * np.maximum(1.0, np.abs(wanted))
            if apart.any():
                raise SpecError(
                    f"Got the activation {out.name!r} with symmetry={symmetry!r}, which its formula does not have. "
                    "Write it with Activation.to_json, and leave symmetry out to have it found."
                )
        return out
    return ACTIVATIONS[check_name("activation", activation, ACTIVATIONS)]
