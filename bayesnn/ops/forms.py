"""What of a network is compiled for itself: its activation, its likelihood, its penalty, each a C function.

The walk over blocks of observations is compiled once for all networks, and calls these by their addresses. A formula
that was never seen on a machine therefore costs a second, and is read from disk from then on.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from numba import types

from bayesnn.activations import Activation
from bayesnn.formulas import Formula
from bayesnn.losses import Loss, is_ours
from bayesnn.ops import registers
from bayesnn.ops.callback import DOUBLES, VERSION, c_function
from bayesnn.ops.kernels import activation, product
from bayesnn.ops.likelihoods import ROWS, elementwise, penalised
from bayesnn.ops.simd import BY_HAND, LANES, SLOPES

I64, F64 = types.int64, types.float64
ACTIVATE = (DOUBLES, I64, I64, I64)
"""Arguments of an activation's C function: activations, where they and the derivatives start, how many they are."""
PULL = (DOUBLES, I64, DOUBLES, I64, DOUBLES, *[I64] * 7)
"""Arguments of a backward product's C function, as of `product` without the name."""
LIKELIHOOD = (DOUBLES, I64, I64, I64, DOUBLES, I64, DOUBLES, I64, I64, I64, F64, DOUBLES)
"""Arguments of a likelihood's C function, as of `elementwise`."""
PENALTY = (DOUBLES, DOUBLES, DOUBLES, I64, DOUBLES, DOUBLES)
"""Arguments of a penalty's C function, as of `penalised`."""


def _compiled(name, kernel, arguments, key, lead=()):
    """Compile a kernel to a C function of its own, or read it from disk."""
    names = [f"a{i}" for i in range(len(arguments))]
    source = f"def {name}({', '.join(names)}):\n    kernel({', '.join([*map(repr, lead), *names])})\n    return 0\n"
    return c_function(source, name, arguments, {"kernel": kernel}, f"{key}-{LANES}-{VERSION}")


@cache
def covered(formula: Formula | None) -> bool:
    """Whether a formula and its derivative have a form on vector registers."""
    return formula is not None and registers.covers(formula.with_slope)


def form_of(phi: Activation) -> tuple[Callable, str, str]:
    """Vector form of an activation: by hand where there is one, otherwise of its formula.

    Parameters
    ----------
    phi : Activation
        Covered.

    Returns
    -------
    form : callable
        From a vector to the activation and its derivative, or None where it follows from the activation.
    slope : str
        Name in `SLOPES`, or "kept".
    key : str
        Identity of the form.
    """
    if phi.builtin and phi.name in BY_HAND:
        return BY_HAND[phi.name], phi.name if phi.name in SLOPES else "kept", phi.name
    program = phi.formula.with_slope
    return lambda x: registers.emit(program, [x]), "kept", repr(program)


@cache
def activation_of(phi: Activation) -> tuple[Any, Any, bool]:
    """C functions of an activation: forward, and the backward product; and whether derivatives are kept."""
    form, slope, key = form_of(phi)
    act = _compiled("activate", activation(form), ACTIVATE, f"activation-{key}")
    return act, _pull(slope), slope == "kept"


@cache
def _pull(slope):
    return _compiled("pull", product, PULL, f"pull-{slope}", lead=(slope,))


def knows(loss: Loss) -> bool:
    """Whether a likelihood has a kernel: one by hand, or of its formula; a class from outside may mean anything."""
    return is_ours(loss) and (loss.name in ROWS or covered(loss.formula))


def likelihood_of(loss: Loss, known: str = "") -> Any:
    """C function of a likelihood; `known` is the name of what is known of the rows, if something is."""
    if loss.name in ROWS:
        return _by_hand(loss.name)
    return _elementwise(loss.formula, "" if not loss.has_noise else "scale" if loss.scaled else "shape", known)


@cache
def _by_hand(name):
    return _compiled("likelihood", ROWS[name], LIKELIHOOD, f"likelihood-{name}")


@cache
def _elementwise(formula, noise, known):
    program = formula.with_slope
    before = 1 if noise == "scale" else 2 + (known == "trials") + (noise == "shape")
    if noise == "shape":
        program = formula.gradient(formula.by, before - 1)
    kernel = elementwise(partial(registers.emit, program), len(program.arguments) - before, noise, known)
    return _compiled("likelihood", kernel, LIKELIHOOD, f"likelihood-{program!r}-{noise}-{known}")


@cache
def penalty_of(formula: Formula) -> Any:
    """C function of a penalty."""
    program = formula.with_slope
    kernel = penalised(partial(registers.emit, program), len(program.arguments) - 1)
    return _compiled("penalty", kernel, PENALTY, f"penalty-{program!r}")
