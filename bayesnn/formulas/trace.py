"""From a function of PyTensor variables to a program, from a program to PyTensor, and PyTensor's derivative of it."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from bayesnn.errors import SpecError
from bayesnn.formulas.program import Program, numpy_of


class _Builder:
    """Nodes of a program while it grows, each kept once.

    Where it simplifies, constants are folded in double precision, powers by known numbers are written as what costs
    less, and logarithms of sums of exponentials so that nothing overflows.
    """

    def __init__(self, arguments, *, simplifies):
        self.arguments, self.nodes, self.places, self.simplifies = tuple(arguments), [], {}, simplifies

    def add(self, operation, *inputs):
        """Place of a node, which is made unless there is one like it."""
        node = (operation, *inputs)
        if operation != "constant" and self.simplifies:
            known = [self.constant(place) for place in inputs]
            if None not in known:
                with np.errstate(all="ignore"):
                    return self.add("constant", float(numpy_of(operation)(*map(np.float64, known))))
            node = self._simple(operation, *inputs)
            if isinstance(node, int):
                return node
        elif operation == "constant" and inputs[0] == 0:
            node = ("constant", 0.0)
        if node not in self.places:
            self.places[node] = len(self.arguments) + len(self.nodes)
            self.nodes.append(node)
        return self.places[node]

    def constant(self, place):
        """Value of a place that is a constant, otherwise None."""
        node = self.node(place)
        return node[1] if node and node[0] == "constant" else None

    def node(self, place):
        """Node at a place; None for an argument."""
        return self.nodes[place - len(self.arguments)] if place >= len(self.arguments) else None

    def _simple(self, operation, *inputs):
        if operation == "pow":
            base, power = inputs[0], self.constant(inputs[1])
            if power == 1:
                return base
            if power == 3:
                return ("mul", base, self.add("sqr", base))
            name = {2: "sqr", 0.5: "sqrt", -1: "reciprocal"}.get(power)
            return (name, base) if name else (operation, *inputs)
        if operation == "mul" and len(inputs) == 2 and inputs[0] == inputs[1]:
            return ("sqr", inputs[0])
        if operation == "log":
            terms = self._exponentials(inputs[0])
            if terms is not None and len(terms) > 1:
                return self._log_sum(terms)
        return (operation, *inputs)

    def _exponentials(self, place):
        """Write a place as a sum of c exp(a), as pairs (log c, place of a or None for 0); None if it is not one."""
        number, node = self.constant(place), self.node(place)
        if number is not None:
            return [(math.log(number), None)] if number > 0 else None
        if node is None:
            return None
        operation, *inputs = node
        if operation == "exp":
            return [(0.0, inputs[0])]
        if operation == "cosh":
            return [(-math.log(2), inputs[0]), (-math.log(2), self.add("neg", inputs[0]))]
        if operation == "add":
            parts = [self._exponentials(place) for place in inputs]
            return None if None in parts else [term for part in parts for term in part]
        if operation in ("mul", "true_div"):
            factors = [self.constant(place) for place in inputs]
            rest = [place for place, factor in zip(inputs, factors, strict=True) if factor is None]
            known = [factor for factor in factors if factor is not None]
            if operation == "true_div" and (factors[1] is None or len(rest) != 1):
                return None
            by = math.prod(known) if operation == "mul" else 1 / factors[1] if factors[1] else 0.0
            terms = self._exponentials(rest[0]) if len(rest) == 1 and by > 0 else None
            return None if terms is None else [(log_c + math.log(by), a) for log_c, a in terms]
        return None

    def _log_sum(self, terms):
        """Log of a sum of exponentials, one by one: log(exp(a) + exp(b)) = a + softplus(b - a)."""
        total = None
        for log_c, a in terms:
            parts = [a] * (a is not None) + [self.add("constant", log_c)] * (log_c != 0 or a is None)
            term = parts[0] if len(parts) == 1 else self.add("add", *parts)
            if total is None:
                total = term
            else:
                total = self.add("add", total, self.add("softplus", self.add("sub", term, total)))
        return total

    def program(self, outputs):
        """Program of some places, without nodes that they do not need."""
        n, needed = len(self.arguments), set()
        stack = list(outputs)
        while stack:
            place = stack.pop()
            if place >= n and place not in needed:
                needed.add(place)
                operation, *inputs = self.node(place)
                stack += inputs if operation != "constant" else []
        moved = {i: i for i in range(n)} | {place: n + i for i, place in enumerate(sorted(needed))}
        nodes = []
        for place in sorted(needed):
            operation, *inputs = self.node(place)
            nodes.append((operation, *(inputs if operation == "constant" else [moved[i] for i in inputs])))
        return Program(self.arguments, tuple(nodes), tuple(moved[place] for place in outputs))


@cache
def _scalar_names():
    """Scalar operation of PyTensor -> its name there, but for casts."""
    import pytensor.scalar as ps

    found = {}
    for name, op in vars(ps).items():
        if isinstance(op, ps.ScalarOp) and not isinstance(op, ps.Cast):
            found.setdefault(type(op), name)
    return found


def _read(builder, variable, places):
    """Place of a PyTensor variable that holds one number."""
    import pytensor.scalar as ps
    from pytensor.compile.builders import OpFromGraph
    from pytensor.tensor.basic import ScalarFromTensor, TensorFromScalar
    from pytensor.tensor.elemwise import DimShuffle, Elemwise
    from pytensor.tensor.special import LogAddExp

    if variable in places:
        return places[variable]
    node = variable.owner
    if node is None:
        if not hasattr(variable, "data") or np.size(variable.data) != 1:
            raise SpecError(f"it depends on {variable}, which is none of its arguments; pass parameters by name")
        place = builder.add("constant", float(np.ravel(variable.data)[0]))
    else:
        op, inputs = node.op, node.inputs
        if isinstance(op, DimShuffle | TensorFromScalar | ScalarFromTensor):
            place = _read(builder, inputs[0], places)
        elif isinstance(op, LogAddExp):
            terms = [builder.add("exp", _read(builder, i, places)) for i in inputs]
            place = builder.add("log", builder.add("add", *terms))
        elif isinstance(op, OpFromGraph):
            inner = {i: _read(builder, outer, places) for i, outer in zip(op.fgraph.inputs, inputs, strict=True)}
            place = _read(builder, op.fgraph.outputs[node.outputs.index(variable)], inner)
        else:
            scalar = op.scalar_op if isinstance(op, Elemwise) else op
            if isinstance(scalar, ps.Composite):
                read = [_read(builder, i, places) for i in inputs]
                inner = dict(zip(scalar.inputs, read, strict=True))
                place = _read(builder, scalar.outputs[node.outputs.index(variable)], inner)
            elif isinstance(scalar, ps.Cast | ps.Identity):
                place = _read(builder, inputs[0], places)
                if isinstance(scalar, ps.Cast) and inputs[0].dtype == "bool":
                    place = builder.add("cast", place)
            elif isinstance(scalar, ps.Second):
                place = _read(builder, inputs[1], places)
            elif isinstance(scalar, ps.ScalarOp) and type(scalar) in _scalar_names():
                place = builder.add(_scalar_names()[type(scalar)], *(_read(builder, i, places) for i in inputs))
            else:
                raise SpecError(f"it calls {op}, which does not work number by number")
    places[variable] = place
    return place


def trace(function: Callable, arguments: tuple[str, ...]) -> Program:
    """Read a function of PyTensor variables, in double precision whatever PyTensor makes of its constants.

    Parameters
    ----------
    function : callable
        Takes a PyTensor variable for each argument and returns one.
    arguments : tuple of str
        Names.

    Returns
    -------
    Program
        With one output.

    Raises
    ------
    SpecError
        A function that fails, or that is not made of operations on single numbers.
    """
    import pytensor.tensor as pt

    inputs = [pt.dscalar(name) for name in arguments]
    builder = _Builder(arguments, simplifies=False)
    try:
        out = function(*inputs)
        if isinstance(out, np.ndarray) and out.dtype == object and out.size == 1:
            out = out.item()
        out = pt.as_tensor_variable(out)
        if out.ndim:
            raise SpecError(f"it returns an array of {out.ndim} dimensions")
        place = _read(builder, out, {variable: i for i, variable in enumerate(inputs)})
    except Exception as error:
        raise SpecError(
            f"Got a formula that can't be read ({error}); it takes {', '.join(arguments)} and returns one number, made "
            "of Python's operators and functions of pytensor.tensor (pt.log, not np.log; pt.switch, not if). Write "
            f"lambda {', '.join(arguments)}: {arguments[0]}**2, say."
        ) from error
    return builder.program([place])


def stable(program: Program) -> Program:
    """Rewrite a program so that it costs less and overflows later: see `_Builder`.

    PyTensor stabilises log(1 + exp(x)), but no rewrite of its makes log(cosh(x)) or other logarithms of sums of
    exponentials finite at 800.
    """
    builder = _Builder(program.arguments, simplifies=True)
    values = program.walk(list(range(len(program.arguments))), lambda c: builder.add("constant", c), builder.add)
    return builder.program(values)


def symbolic(program: Program, arguments: list) -> list:
    """Write a program in PyTensor's operations.

    Parameters
    ----------
    program : Program
        What was traced.
    arguments : list of TensorVariable or float
        They broadcast.

    Returns
    -------
    list of TensorVariable
        The outputs.
    """
    import pytensor.scalar as ps
    import pytensor.tensor as pt
    from pytensor.tensor.elemwise import Elemwise

    def apply(operation, *inputs):
        return pt.cast(inputs[0], "float64") if operation == "cast" else Elemwise(getattr(ps, operation))(*inputs)

    inputs = [a if hasattr(a, "owner") else pt.constant(np.float64(a)) for a in arguments]
    return program.walk(inputs, lambda number: pt.constant(np.float64(number)), apply)


def with_derivatives(program: Program, by: int, order: int) -> Program:
    """Differentiate by PyTensor, and apply its rewrites for simplicity and stability.

    Parameters
    ----------
    program : Program
        With one output.
    by : int
        Number of the argument.
    order : int
        Of the highest derivative.

    Returns
    -------
    Program
        Its outputs are the value and the derivatives up to `order`.
    """
    inputs, value = _value_of(program)
    values = [value]
    for _ in range(order):
        values.append(_slope_of(values[-1], inputs[by]))
    return _rewritten(program, inputs, values)


def with_gradient(program: Program, by: tuple[int, ...]) -> Program:
    """Differentiate by several arguments, as `with_derivatives` does by one.

    Parameters
    ----------
    program : Program
        With one output.
    by : tuple of int
        Numbers of the arguments.

    Returns
    -------
    Program
        Its outputs are the value and the first derivatives.
    """
    inputs, value = _value_of(program)
    return _rewritten(program, inputs, [value, *(_slope_of(value, inputs[k]) for k in by)])


def _value_of(program):
    """Variables for the arguments of a program, and what it makes of them."""
    import pytensor.tensor as pt

    inputs = [pt.dscalar(name) for name in program.arguments]
    return inputs, pt.as_tensor_variable(symbolic(program, inputs)[0]).astype("float64")


def _slope_of(value, variable):
    import pytensor

    return pytensor.grad(value, variable, disconnected_inputs="ignore", return_disconnected="zero")


def _rewritten(program, inputs, values):
    """Apply PyTensor's rewrites for simplicity and stability, and read the outcome as a program."""
    from pytensor.graph.rewriting.utils import rewrite_graph

    # Rewriting clones nothing unless asked to, and each derivative is wanted as it was differentiated.
    rewritten: Any = rewrite_graph(values, include=("canonicalize", "stabilize"))
    builder = _Builder(program.arguments, simplifies=True)
    places = {variable: i for i, variable in enumerate(inputs)}
    return builder.program([_read(builder, value, places) for value in rewritten])
