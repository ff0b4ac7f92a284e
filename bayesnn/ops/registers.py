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


# Coefficients of 1/z, 1/z**3, ... in log Gamma(z) of Stirling's series: to rounding from _STIRLING_FROM on.
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)
_STIRLING_FROM = 10


def _raised(x):
    """Raise x > 0 above _STIRLING_FROM: return z, the product of what was passed, and its logarithmic derivative."""
    small = x < float(_STIRLING_FROM)
    product, derivative = x, x.full(1.0)
    for k in range(1, _STIRLING_FROM):
        term = x + float(k)
        derivative = derivative.fma(term, product)
        product = product * term
    one = x.full(1.0)
    return (
        (x + float(_STIRLING_FROM)).where(small, x),
        product.where(small, one),
        (derivative / product).where(small, x.full(0.0)),
    )


def _gammaln(x):
    """Logarithm of Gamma(x) for x > 0; below, the C library's."""
    z, product, _ = _raised(x)
    inverse = 1.0 / z
    series = (inverse * inverse).poly(_STIRLING) * inverse
    out = (z - 0.5) * simd.log(z) - z + 0.9189385332046727 + series - simd.log(product)
    return out.lanewise(x.builder.not_(x.builder.and_(x > 0.0, x < 1e300)), "lgamma", x)


def _psi(x):
    """Differentiate log Gamma(x) for x > 0; NaN below."""
    z, _, passed = _raised(x)
    inverse = 1.0 / z
    square = inverse * inverse
    # Of the series term by term.
    slopes = tuple(-(2 * k + 1) * c for k, c in enumerate(_STIRLING))
    out = simd.log(z) - inverse * 0.5 + square.poly(slopes) * square - passed
    return out.where(x > 0.0, x.full(float("nan")))


FORMS = {
    "add": lambda *terms: reduce(operator.add, terms),
    "mul": lambda *factors: reduce(operator.mul, factors),
    "sub": operator.sub,
    "neg": operator.neg,
    "abs": abs,
    "sign": _sign,
    "sqrt": lambda x: x.intrinsic("sqrt"),
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
    "erf": lambda x: simd.erf(x)[0],
    "erfc": simd.erfc,
    "gammaln": _gammaln,
    "psi": _psi,
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

SPECIAL = {"pow", "switch", "invert", "isnan", "isinf", "softplus", "sigmoid", "true_div", "reciprocal", "sqr"}
"""Operations that `emit` writes itself."""

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
}
"""Operation without a form on vectors -> the C library's function, which is called for one element at a time."""


def covers(program: Program) -> bool:
    """Whether every operation of a program has a form here."""
    return program.operations <= {*FORMS, *SIGNS, *LOGICAL, *LIBRARY, *SPECIAL}


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
    # What a value and its derivative share though no node of the program says so; the keys are kept from being reused.
    builder, shared, kept = like.builder, {}, []

    def once(what, x, make):
        key = what, id(x)
        if key not in shared:
            kept.append(x)
            shared[key] = make(x)
        return shared[key]

    def inverse(x):
        if ("root", id(x)) not in shared:
            return once("inverse", x, lambda x: 1.0 / x)
        root = inverse(shared["root", id(x)])
        return once("inverse", x, lambda x: root * root)

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
            return _power(*inputs, once("log", inputs[0], lambda x: simd.log(abs(x))))
        if operation in ("softplus", "sigmoid"):
            return once("softplus", inputs[0], simd.softplus)[operation == "sigmoid"]
        if operation == "true_div":
            return inputs[0] * inverse(inputs[1])
        if operation == "reciprocal":
            return inverse(inputs[0])
        if operation == "sqr":
            square = inputs[0] * inputs[0]
            kept.append(square)
            shared["root", id(square)] = inputs[0]
            return square
        return inputs[0].each(LIBRARY[operation]) if operation in LIBRARY else FORMS[operation](*inputs)

    def constant(number):
        return Vec(builder, ir.Constant(VECTOR, [number] * simd.LANES))

    return [_as_vec(out, like) for out in program.walk(arguments, constant, apply)]
