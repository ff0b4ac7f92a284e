"""A function of numbers that is written once and read three ways."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.formulas.program import Program


class Formula:
    """A function of numbers, written once: PyTensor takes it, NumPy evaluates it, vector registers walk it.

    Reading a function loads PyTensor, and waits until somebody asks for more than NumPy's values. Formulas are equal if
    their operations are, and travel to other processes and into files as a list of operations.

    Parameters
    ----------
    function : callable or Program
        Made of Python's operators and functions of ``pytensor.tensor``, such as ``lambda u: pt.log(pt.cosh(u))``; or
        what was read from one.
    arguments : tuple of str
        Names of its arguments.
    by : int
        Number of the argument by which it is differentiated.
    ours : bool
        Whether it calls the functions of `fn`, so that NumPy needs no reading.

    Raises
    ------
    SpecError
        Not a function, or, once it is read, one that does not work number by number.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> from bayesnn.formulas import Formula
    >>> log_cosh = Formula(lambda u: pt.log(pt.cosh(u)))
    >>> log_cosh(1000.0).round(6), log_cosh.slope(1000.0)
    (np.float64(999.306853), np.float64(1.0))
    >>> log_cosh == Formula(lambda x: pt.log(pt.cosh(x)))
    True
    """

    def __init__(
        self, function: Callable | Program, arguments: tuple[str, ...] = ("x",), *, by: int = 0, ours: bool = False
    ):
        self.by = by
        if isinstance(function, Program):
            self.program, self.arguments = function, function.arguments
            self._direct = None
            return
        if not callable(function):
            raise SpecError(f"Got {function!r} as a formula; it must be a function. Write lambda u: u**2, say.")
        self.arguments, self._function, self._direct = tuple(arguments), function, function if ours else None

    @cached_property
    def program(self) -> Program:
        """What the function does, as a list of operations."""
        from bayesnn.formulas.trace import trace

        return trace(self._function, self.arguments)

    @cached_property
    def stable(self) -> Program:
        """The program, rewritten so that it overflows later: this is what everybody evaluates."""
        from bayesnn.formulas.trace import stable

        return stable(self.program)

    @cached_property
    def with_slope(self) -> Program:
        """Value and derivative as one program, in which they share what they can."""
        return self.derivatives(1)

    def gradient(self, *by: int) -> Program:
        """Value and first derivatives by some arguments as one program."""
        from bayesnn.formulas.trace import with_gradient

        return with_gradient(self.stable, by)

    def derivatives(self, order: int) -> Program:
        """Value and derivatives up to an order as one program."""
        from bayesnn.formulas.trace import with_derivatives

        return with_derivatives(self.stable, self.by, order)

    def __call__(self, *arguments: Any) -> Any:
        """Evaluate with NumPy; arrays broadcast."""
        if self._direct is not None:
            with np.errstate(all="ignore"):
                return self._direct(*(np.asarray(a, dtype=float)[()] for a in arguments))
        return self.stable(*arguments)[0]

    def slope(self, *arguments: Any) -> Any:
        """Evaluate the derivative with NumPy."""
        return self.with_slope(*arguments)[1]

    def symbolic(self, *arguments: Any) -> Any:
        """Write it in PyTensor's operations on variables."""
        from bayesnn.formulas.trace import symbolic

        return symbolic(self.stable, list(arguments))[0]

    def text(self) -> str:
        """Write it as a line of mathematics, such as ``log(cosh(u))``."""
        from bayesnn.formulas.typeset import typeset

        return typeset(self.program)

    def __eq__(self, other: object) -> bool:
        """Whether the operations are the same."""
        if self is other:
            return True
        return isinstance(other, Formula) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self):
        return self.program.nodes, self.program.outputs, len(self.arguments), self.by

    def __reduce__(self):
        return _rebuild, (self.program, self.by)

    def __repr__(self) -> str:
        return f"Formula({', '.join(self.arguments)}: {self.text()})"


def _rebuild(program, by):
    return Formula(program, by=by)
