"""Formulas: functions of numbers that are written once, and read by PyTensor, by NumPy and by the vector registers.

A loss, an activation or a penalty from outside is one line of PyTensor. `trace` reads it into a `Program`, a list of
operations that NumPy evaluates, that JSON holds, and that `bayesnn.ops` emits into vector registers; the derivative is
PyTensor's own. `Formula` is what the tables of losses and activations hold. `UnitDensity` makes a density of a penalty
by quadrature, and `shape` looks for what a formula does not say of itself: kinks, convexity, tails, symmetry.
"""

from bayesnn.formulas.formula import Formula
from bayesnn.formulas.program import Program, fn
from bayesnn.formulas.quadrature import UnitDensity, density_of

__all__ = ["Formula", "Program", "UnitDensity", "density_of", "fn"]
