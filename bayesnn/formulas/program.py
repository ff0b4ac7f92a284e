"""What a formula is once it has been read: a list of operations that NumPy evaluates and that JSON holds."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from inspect import Parameter, signature
from typing import Any

import numpy as np
from scipy import special

from bayesnn.errors import SpecError


def _log1mexp(x):
    """log(1 - exp(x)) for x < 0, without cancellation on either side of -log 2."""
    return np.where(x > -np.log(2.0), np.log(-np.expm1(x)), np.log1p(-np.exp(x)))


NUMPY: dict[str, Callable] = {
    "add": lambda *terms: reduce(np.add, terms),
    "mul": lambda *factors: reduce(np.multiply, factors),
    "sub": np.subtract,
    "true_div": np.true_divide,
    "pow": np.power,
    "neg": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "sqr": np.square,
    "sqrt": np.sqrt,
    "reciprocal": np.reciprocal,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "log1mexp": _log1mexp,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "arcsinh": np.arcsinh,
    "arccosh": np.arccosh,
    "arctanh": np.arctanh,
    "sigmoid": special.expit,
    "softplus": lambda x: np.logaddexp(0.0, x),
    "erf": special.erf,
    "erfc": special.erfc,
    "erfcx": special.erfcx,
    "gammaln": special.gammaln,
    "psi": special.psi,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round_half_to_even": lambda x: np.around(x),
    "mod": np.mod,
    "switch": np.where,
    "lt": np.less,
    "gt": np.greater,
    "le": np.less_equal,
    "ge": np.greater_equal,
    "eq": np.equal,
    "neq": np.not_equal,
    "and_": np.logical_and,
    "or_": np.logical_or,
    "xor": np.logical_xor,
    "invert": np.logical_not,
    "isnan": np.isnan,
    "isinf": np.isinf,
    "cast": lambda x: np.asarray(x, dtype=float),
}
"""Operation, by PyTensor's name of the scalar operation -> NumPy's function."""


class _Functions:
    """Functions for formulas of our own, which need no PyTensor until a model is built: ``fn.tanh(z)``.

    Given arrays they are NumPy's, given tensors PyTensor's.
    """

    def __getattr__(self, name: str) -> Callable:
        if name not in NUMPY:
            raise AttributeError(name)

        def function(*arguments: Any) -> Any:
            if any(hasattr(argument, "owner") for argument in arguments):
                import pytensor.tensor as pt

                return getattr(pt, name)(*arguments)
            return NUMPY[name](*arguments)

        return function


fn = _Functions()


@dataclass(frozen=True)
class Program:
    """A list of operations on numbers.

    Parameters
    ----------
    arguments : tuple of str
        Names of the inputs.
    nodes : tuple of tuple
        Each ``("constant", number)``, or an operation by its name in PyTensor's scalar operations and the places of its
        inputs. Places count the arguments first and then the nodes, which stand behind what they use.
    outputs : tuple of int
        Places of the results.

    Examples
    --------
    >>> from bayesnn.formulas import Program
    >>> half_square = Program(("u",), (("sqr", 0), ("constant", 0.5), ("mul", 1, 2)), (3,))
    >>> half_square(3.0)
    (np.float64(4.5),)
    >>> Program.from_json(half_square.to_json()) == half_square
    True
    """

    arguments: tuple[str, ...]
    nodes: tuple[tuple, ...]
    outputs: tuple[int, ...]

    def walk(self, values: list, constant: Callable, apply: Callable) -> list:
        """Evaluate with anything that has operations.

        Parameters
        ----------
        values : list
            One for each argument.
        constant : callable
            From a float to a value.
        apply : callable
            From the name of an operation and values to a value.

        Returns
        -------
        list
            The outputs.
        """
        values = list(values)
        for operation, *inputs in self.nodes:
            if operation == "constant":
                values.append(constant(inputs[0]))
            else:
                values.append(apply(operation, *(values[place] for place in inputs)))
        return [values[place] for place in self.outputs]

    def __call__(self, *arguments: Any) -> tuple:
        """Evaluate with NumPy; arrays broadcast."""
        with np.errstate(all="ignore"):
            values = [np.asarray(argument, dtype=float)[()] for argument in arguments]
            shape = np.broadcast_shapes(*map(np.shape, values))
            outputs = self.walk(values, np.float64, lambda name, *inputs: numpy_of(name)(*inputs))
        # A constant derivative is one number, whatever it was asked at.
        return tuple(out if np.shape(out) == shape else np.broadcast_to(out, shape) for out in outputs)

    @property
    def operations(self) -> set[str]:
        """Names of the operations."""
        return {operation for operation, *_ in self.nodes} - {"constant"}

    def to_json(self) -> dict[str, Any]:
        """Write it as a dictionary that JSON can hold; `from_json` reads it back."""
        return {
            "arguments": list(self.arguments),
            "nodes": [list(node) for node in self.nodes],
            "outputs": list(self.outputs),
        }

    @classmethod
    def from_json(cls, d: dict[str, Any]) -> "Program":
        """Read what `to_json` wrote; nothing but known operations on places before them is taken.

        Raises
        ------
        SpecError
            Anything else.
        """
        try:
            arguments, nodes = tuple(d["arguments"]), tuple(tuple(node) for node in d["nodes"])
            outputs, known = tuple(d["outputs"]), len(arguments)
            for operation, *inputs in nodes:
                if operation == "constant":
                    fine = len(inputs) == 1 and isinstance(inputs[0], int | float)
                else:
                    fine = all(type(place) is int and 0 <= place < known for place in inputs)
                    # One input too many is where NumPy writes its output: into the data of whoever evaluates it.
                    fine &= len(inputs) == count if (count := inputs_of(operation)) is not None else bool(inputs)
                if not fine:
                    raise TypeError(f"{operation} of {inputs}")
                known += 1
            if not all(type(place) is int and 0 <= place < known for place in outputs) or not outputs:
                raise TypeError(f"outputs {outputs}")
        except (KeyError, TypeError, ValueError) as error:
            raise SpecError(
                f"Got {str(d)[:80]} as a formula ({error}); it must be a list of operations. Write it with to_json()."
            ) from error
        return cls(arguments, nodes, outputs)


def inputs_of(operation: str) -> int | None:
    """Count the inputs of an operation; None where it takes any number of them.

    Raises
    ------
    SpecError
        No scalar operation of PyTensor.
    """
    if operation not in NUMPY:
        count = _scalar_op(operation).nin
        return None if count < 0 else count
    function = NUMPY[operation]
    if isinstance(function, np.ufunc):
        return function.nin
    kinds = [parameter.kind for parameter in signature(function).parameters.values()]
    return None if Parameter.VAR_POSITIONAL in kinds else len(kinds)


def numpy_of(operation: str) -> Callable:
    """NumPy's function for an operation; what the table lacks is asked of PyTensor's scalar operation itself.

    Raises
    ------
    SpecError
        No scalar operation of PyTensor.
    """
    if operation in NUMPY:
        return NUMPY[operation]
    op = _scalar_op(operation)
    if spec := getattr(op, "nfunc_spec", None):
        name = spec[0]
        return getattr(special if name.startswith("scipy.special.") else np, name.rpartition(".")[2])
    return np.vectorize(op.impl, otypes=[float])


def _scalar_op(operation: str) -> Any:
    import pytensor.scalar as ps

    op = vars(ps).get(operation) if isinstance(operation, str) else None
    if not isinstance(op, ps.ScalarOp):
        raise SpecError(f"Got the operation {operation!r}, which PyTensor's scalar operations lack. Use one of theirs.")
    return op
