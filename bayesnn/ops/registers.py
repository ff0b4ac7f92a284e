"""Any formula on vector registers: its operations emitted one by one, in terms of `simd`."""

import operator
from functools import reduce

from bayesnn.formulas.program import Program
from bayesnn.ops import simd
from bayesnn.ops.simd import VECTOR, Vec, ir


def _as_vec(value, like):
    """Make numbers of a comparison: 1 where it holds, 0 where it does not."""
    return value if isinstance(value, Vec) else like.full(1.0).where(value, 0.0)


def _as_mask(value):
    """Make a comparison of numbers: whether they are not zero."""
    return value.compare("!=", 0.0) if isinstance(value, Vec) else value


def _log1mexp(x):
    """log(1 - exp(x)) for x < 0, without cancellation on either side of -log 2."""
    return simd.log(-simd.expm1(x)).where(x > -0.6931471805599453, simd.log1p(-simd.exp(x)))


def _sinh(x):
    t = simd.expm1(abs(x))
    return ((t + t / (t + 1.0)) * 0.5).where(t < float("inf"), t).copysign(x)


def _cosh(x):
    e = simd.exp(abs(x))
    return (e + 1.0 / e) * 0.5


def _sign(x):
    return x.full(1.0).copysign(x).where(abs(x) > 0.0, x)


def _maximum(a, b):
    return a.where(a > b, b).where(b.compare("==", b), b).where(a.compare("==", a), a)


def _minimum(a, b):
    return a.where(a < b, b).where(b.compare("==", b), b).where(a.compare("==", a), a)


def _power(x, p, log):
    """x**p as C has it; `log` is the logarithm of abs(x)."""
    size = simd.exp(log * p).where(p.compare("!=", 0.0), 1.0)
    whole = p.intrinsic("floor").compare("==", p)
    half = p * 0.5
    odd = half.intrinsic("floor").compare("!=", half)
    below = (-size).where(odd, size).where(whole, float("nan")).where(p.compare("!=", 0.0), 1.0)
    return below.where(x < 0.0, size)


FORMS = {
    "add": lambda *terms: reduce(operator.add, terms),
    "mul": lambda *factors: reduce(operator.mul, factors),
    "sub": operator.sub,
    "true_div": operator.truediv,
    "neg": operator.neg,
    "abs": abs,
    "sign": _sign,
    "sqr": lambda x: x * x,
    "sqrt": lambda x: x.intrinsic("sqrt"),
    "reciprocal": lambda x: 1.0 / x,
    "exp": simd.exp,
    "expm1": simd.expm1,
    "log": simd.log,
    "log1p": simd.log1p,
    "log1mexp": _log1mexp,
    "sin": lambda x: simd.sin(x)[0],
    "cos": lambda x: simd.sin(x)[1],
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": lambda x: simd.tanh(x)[0],
    "sigmoid": lambda x: simd.sigmoid(x)[0],
    "softplus": lambda x: simd.softplus(x)[0],
    "erf": lambda x: simd.erf(x)[0],
    "erfc": simd.erfc,
    "maximum": _maximum,
    "minimum": _minimum,
    "clip": lambda x, low, high: _minimum(_maximum(x, low), high),
    "floor": lambda x: x.intrinsic("floor"),
    "ceil": lambda x: x.intrinsic("ceil"),
    "trunc": lambda x: x.intrinsic("trunc"),
    "round_half_to_even": lambda x: x.intrinsic("rint"),
    "cast": lambda x: x,
}
"""Operation -> function from vectors to a vector."""

SIGNS = {"lt": "<", "gt": ">", "le": "<=", "ge": ">=", "eq": "==", "neq": "!="}
LOGICAL = {"and_": "and_", "or_": "or_", "xor": "xor"}

LIBRARY = {
    "tan": "tan",
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "exp2": "exp2",
    "log2": "log2",
    "log10": "log10",
    "gammaln": "lgamma",
}
"""Operation without a form on vectors -> the C library's function, which is called for one element at a time."""


def covers(program: Program) -> bool:
    """Whether every operation of a program has a form here."""
    return program.operations <= {*FORMS, *SIGNS, *LOGICAL, *LIBRARY, "pow", "switch", "invert", "isnan", "isinf"}


def emit(program: Program, arguments: list[Vec]) -> list[Vec]:
    """Emit a program that is covered.

    Parameters
    ----------
    program : Program
        Of a formula, with or without its derivative.
    arguments : list of Vec
        Its inputs.

    Returns
    -------
    list of Vec
        Its outputs.
    """
    like = arguments[0]
    builder, logs = like.builder, {}

    def apply(operation, *inputs):
        if operation == "switch":
            return _as_vec(inputs[1], like).where(_as_mask(inputs[0]), _as_vec(inputs[2], like))
        if operation in LOGICAL:
            return getattr(builder, LOGICAL[operation])(*map(_as_mask, inputs))
        if operation == "invert":
            return builder.not_(_as_mask(inputs[0]))
        inputs = [_as_vec(x, like) for x in inputs]
        if operation in SIGNS:
            return inputs[0].compare(SIGNS[operation], inputs[1])
        if operation == "isnan":
            return inputs[0].compare("!=", inputs[0])
        if operation == "isinf":
            return abs(inputs[0]).compare("==", float("inf"))
        if operation == "pow":
            # A power and its derivative share the logarithm.
            base = inputs[0]
            if id(base) not in logs:
                logs[id(base)] = base, simd.log(abs(base))
            return _power(*inputs, logs[id(base)][1])
        return inputs[0].each(LIBRARY[operation]) if operation in LIBRARY else FORMS[operation](*inputs)

    def constant(number):
        return Vec(builder, ir.Constant(VECTOR, [number] * simd.LANES))

    return [_as_vec(out, like) for out in program.walk(arguments, constant, apply)]
