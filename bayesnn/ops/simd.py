"""Vectors of float64 in LLVM: arithmetic, elementary functions, and activations that are better written by hand.

The functions are written once on `Vec`, a vector of as many float64 as the machine's registers hold, and emitted into
the numba functions of `kernels` instruction by instruction. Nothing is left to LLVM's loop vectoriser, and no fast-math
flag can reorder a range reduction. Relative errors are a few units in the last place, also in the tails. `registers`
emits any formula in these terms.
"""

import os
from collections.abc import Sequence
from functools import reduce
from typing import Any

from llvmlite import binding, ir
from numba.core import cgutils

DOUBLE, INT, BIT = ir.DoubleType(), ir.IntType(64), ir.IntType(1)


def _lanes():
    """Count the float64 in the widest vector register of this machine; a test may ask for fewer."""
    if asked := os.environ.get("BAYESNN_LANES"):
        return int(asked)
    features = binding.get_host_cpu_features()
    return 8 if features.get("avx512f") else 4 if features.get("avx") else 2


LANES = _lanes()
"""Number of float64 in a vector; divides 8, the unit in which the kernels pad observations."""

VECTOR, INTS, MASK = (ir.VectorType(scalar, LANES) for scalar in (DOUBLE, INT, BIT))
ZERO = ir.Constant(VECTOR, [0.0] * LANES)


class Vec:
    """A vector of float64 while code is being emitted: operators append instructions to `builder`."""

    def __init__(self, builder, value):
        self.builder, self.value = builder, value

    def _of(self, other):
        """Broadcast a Python number, or pass a vector through."""
        return other.value if isinstance(other, Vec) else ir.Constant(VECTOR, [float(other)] * LANES)

    def _new(self, value):
        return Vec(self.builder, value)

    def __add__(self, other):
        return self._new(self.builder.fadd(self.value, self._of(other)))

    def __sub__(self, other):
        return self._new(self.builder.fsub(self.value, self._of(other)))

    def __mul__(self, other):
        return self._new(self.builder.fmul(self.value, self._of(other)))

    def __truediv__(self, other):
        return self._new(self.builder.fdiv(self.value, self._of(other)))

    def __rsub__(self, other):
        return self._new(self.builder.fsub(self._of(other), self.value))

    def __rtruediv__(self, other):
        return self._new(self.builder.fdiv(self._of(other), self.value))

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self):
        return self._new(self.builder.fneg(self.value))

    def compare(self, sign: Any, other: Any) -> ir.Value:
        """Compare lane by lane; with NaN only "!=" holds."""
        fcmp = self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered
        return fcmp(sign, self.value, self._of(other))

    def __lt__(self, other):
        return self.compare("<", other)

    def __gt__(self, other):
        return self.compare(">", other)

    def full(self, number: float) -> "Vec":
        """Broadcast a number to a vector like this one."""
        return self._new(self._of(number))

    def where(self, condition: ir.Value, other: Any) -> "Vec":
        """Take self where the condition holds, otherwise `other`."""
        return self._new(self.builder.select(condition, self.value, self._of(other)))

    def at_least(self, low: float) -> "Vec":
        """Raise to `low`; NaN stays NaN."""
        return self.full(low).where(self < low, self)

    def at_most(self, high: float) -> "Vec":
        """Lower to `high`; NaN stays NaN."""
        return self.full(high).where(self > high, self)

    def fma(self, times: Any, plus: Any) -> "Vec":
        """Self * times + plus, in one rounding where the machine can."""
        fn = declare(self.builder.module, f"llvm.fmuladd.v{LANES}f64", VECTOR, [VECTOR] * 3)
        return self._new(self.builder.call(fn, [self.value, self._of(times), self._of(plus)]))

    def intrinsic(self, name: str) -> "Vec":
        """Apply an intrinsic function of LLVM to the vector."""
        fn = declare(self.builder.module, f"llvm.{name}.v{LANES}f64", VECTOR, [VECTOR])
        return self._new(self.builder.call(fn, [self.value]))

    def each(self, name: str) -> "Vec":
        """Apply a function of the C library, one element at a time."""
        builder, out = self.builder, self.value
        fn = declare(builder.module, name, DOUBLE, [DOUBLE])
        for lane in range(LANES):
            at = ir.IntType(32)(lane)
            out = builder.insert_element(out, builder.call(fn, [builder.extract_element(self.value, at)]), at)
        return self._new(out)

    def poly(self, coefficients: Sequence[float]) -> "Vec":
        """Sum of coefficients[i] * self**i; even and odd powers apart, each by Horner's rule, to halve the wait."""
        square = self * self
        even, odd = (
            reduce(lambda acc, c: acc.fma(square, c), reversed(half[:-1]), self.full(half[-1]))
            for half in (coefficients[::2], coefficients[1::2])
        )
        return odd.fma(self, even)

    def bits(self) -> ir.Value:
        """Read the bit patterns as integers."""
        return self.builder.bitcast(self.value, INTS)

    def masked(self, mask: int) -> "Vec":
        """Keep the bits of `mask`."""
        return self._new(self.builder.bitcast(self.builder.and_(self.bits(), ints(mask)), VECTOR))

    def __abs__(self):
        return self.masked(2**63 - 1)

    def copysign(self, sign: Any) -> "Vec":
        """Self, which is not negative, with the sign of another vector."""
        return self.flip(sign.masked(2**63).bits())

    def flip(self, signs: ir.Value) -> "Vec":
        """Flip the sign where the top bit of `signs` is set; the other bits of `signs` are zero."""
        return self._new(self.builder.bitcast(self.builder.xor(self.bits(), signs), VECTOR))

    def lanewise(self, condition: ir.Value, name: str, x: "Vec") -> "Vec":
        """Where the condition holds replace self by the function `name` of x, one element at a time; a rare path."""
        builder = self.builder
        slot = cgutils.alloca_once(builder, VECTOR)
        builder.store(self.value, slot)
        fn = declare(builder.module, name, DOUBLE, [DOUBLE])
        lanes = ir.IntType(LANES)
        with builder.if_then(builder.icmp_unsigned("!=", builder.bitcast(condition, lanes), lanes(0)), likely=False):
            out = self.value
            for lane in range(LANES):
                at = ir.IntType(32)(lane)
                out = builder.insert_element(out, builder.call(fn, [builder.extract_element(x.value, at)]), at)
            builder.store(builder.select(condition, out, self.value), slot)
        return self._new(builder.load(slot, typ=VECTOR))


def declare(module: ir.Module, name: str, result: ir.Type, arguments: list[ir.Type]) -> ir.Function:
    """Declare an LLVM intrinsic once in a module."""
    return module.globals.get(name) or ir.Function(module, ir.FunctionType(result, arguments), name)


def ints(value: int) -> ir.Constant:
    """Broadcast a Python integer."""
    return ir.Constant(INTS, [value - 2**64 if value >= 2**63 else value] * LANES)


# The polynomials below interpolate at Chebyshev nodes in 50-digit arithmetic; the error stated is their own.
_LOG2E, _LN2 = 1.4426950408889634, 0.6931471805599453
# ln 2 in two parts, the first with 21 trailing zeros so that its product with an exponent is exact.
_LN2_HI, _LN2_LO = 0.6931471803691238, 1.9082149292705877e-10
# Adding 1.5 * 2**52 rounds to an integer and leaves it in the low bits.
_ROUND = 6755399441055744.0
# (expm1(r) - r) / r**2 for |r| <= ln(2)/2; error 4e-17 of expm1.
_EXPM1 = (
    0.5000000000000001, 0.16666666666666669, 0.04166666666662413, 0.008333333333330062, 0.0013888888917213717,
    0.00019841269863053618, 2.4801521295954376e-05, 2.7557268459997064e-06, 2.7620088445409746e-07,
    2.510038549551032e-08,
)  # fmt: skip
# (atanh(s)/s - 1) / s**2 in s**2 for |s| <= 0.1716; error 5e-18 of atanh.
_ATANH = (
    0.3333333333333335, 0.19999999999949347, 0.1428571431317109, 0.11111105537487315, 0.09091446740423,
    0.07665788458337919, 0.07309118432915249,
)  # fmt: skip
# erf(x)/x in x**2 for |x| < 0.5; error 2e-17.
_ERF = (
    1.1283791670955126, -0.37612638903183476, 0.11283791670925353, -0.026866170632887928, 0.00522397737302147,
    -0.0008548297753674966, 0.00012053335124353741, -1.4845849259707869e-05, 1.4725865480556744e-06,
)  # fmt: skip
# (1 + 2x) exp(x**2) erfc(x) in (x - 3.5)/(x + 3.5) for 0 <= x <= 28; error 3e-17.
_ERFCX = (
    1.2423492448711544, -0.14000918013761918, -0.010555596332217197, 0.09751909515323177, -0.11508959816027325,
    0.08798315382577677, -0.04882332582557376, 0.019099330928185578, -0.004215019941554783, -0.0003022677554488155,
    0.0005643847001631641, -0.00012151304999803909, -4.278368859461763e-05, 2.426296402702804e-05,
    2.333087862389511e-06, -3.8185382143633075e-06, -5.420742258854508e-08, 6.053756679898891e-07,
    4.881061288811602e-09, -9.669745086054674e-08, -8.671480931172854e-09, 1.1511685566222093e-08,
    2.8667193609491106e-09,
)  # fmt: skip
# pi in four parts, the first three of 28 bits: their products with integers up to 2**25 are exact.
_PI = (3.141592651605606, 1.9841871479187034e-09, 1.144237741932715e-17, 3.2892513872648515e-26)
# (sin(r)/r - 1) / r**2 and ((cos(r) - 1)/r**2 + 1/2) / r**2 in r**2 for |r| <= pi/2; errors 4e-17 and 7e-17.
_SIN = (
    -0.16666666666666666, 0.008333333333333316, -0.00019841269841254955, 2.755731921915843e-06,
    -2.5052107616384595e-08, 1.6058977272815506e-10, -7.643969031052769e-13, 2.731428986122616e-15,
)  # fmt: skip
_COS = (
    0.04166666666666666, -0.0013888888888884763, 2.4801587298910888e-05, -2.7557318572848315e-07,
    2.0876681513907184e-09, -1.1466250478536745e-11, 4.64640971522779e-14,
)  # fmt: skip


def _reduce(y):
    """Split exp(y) = 2**k (1 + p): return k as integer bits (low 12) and as float, and p."""
    t = y.fma(_LOG2E, _ROUND)
    k = t - _ROUND
    r = k.fma(-_LN2_LO, k.fma(-_LN2_HI, y))
    return t.bits(), k, (r * r).fma(r.poly(_EXPM1), r)


def _power2(y, k):
    """2**k from the low bits of an integer vector."""
    b = y.builder
    return y._new(b.bitcast(b.shl(b.add(k, ints(1023)), ints(52)), VECTOR))


def _exp(y):
    """exp(y) for y <= 0, also where the result is denormal: the scale is applied in two halves."""
    bits, k, p = _reduce(y.at_least(-746.0))
    half = k.fma(0.5, _ROUND).bits()
    scale = _power2(y, half)
    return scale.fma(p, scale) * _power2(y, y.builder.sub(bits, half))


def exp(x: Vec) -> Vec:
    """exp(x) over the whole range."""
    return _exp(x.at_most(710.0))


def _split(y):
    """Split a positive normal y = 2**k (1 + f) with 1 + f from sqrt(1/2) to sqrt(2): return k and f."""
    b = y.builder
    k = b.ashr(b.sub(y.bits(), ints(0x3FE6A09E667F3BCD)), ints(52))
    mantissa = y._new(b.bitcast(b.sub(y.bits(), b.shl(k, ints(52))), VECTOR))
    # An integer, added to the low bits of 1.5 * 2**52, is read as a number.
    return y._new(b.bitcast(b.add(k, ints(0x4338000000000000)), VECTOR)) - _ROUND, mantissa - 1.0


def _near_one(f):
    """log(1 + f) for 1 + f from sqrt(1/2) to sqrt(2), as 2 atanh."""
    s = f / (f + 2.0)
    twice = s + s
    return (twice * (s * s)).fma((s * s).poly(_ATANH), twice)


def _beyond(y, out):
    """Of a logarithm: minus infinity at 0, NaN below, and whatever y is where that is infinite or NaN."""
    at_zero = y.full(float("-inf")).where(y.compare("==", 0.0), float("nan"))
    return out.where(y > 0.0, at_zero).where(y < float("inf"), y.where(y > 0.0, y - y))


def log(y: Vec) -> Vec:
    """Natural logarithm; denormal numbers are scaled up first."""
    small = y < 2.2250738585072014e-308
    k, f = _split((y * 2.0**54).where(small, y))
    k = (k - 54.0).where(small, k)
    return _beyond(y, k.fma(_LN2_HI, k.fma(_LN2_LO, _near_one(f))))


def log1p(x: Vec) -> Vec:
    """log(1 + x): the exponent apart, and what rounding took from 1 + x given back."""
    y = x + 1.0
    k, f = _split(y)
    out = k.fma(_LN2_HI, k.fma(_LN2_LO, _near_one(f) + (x - (y - 1.0)) / y))
    return _beyond(y, out)


def _log1p(e):
    """log(1 + e) for 0 <= e <= 1, reduced by log 2 above sqrt(2) - 1."""
    big = e > 0.41421356
    s = (e - 1.0).where(big, e) / (e + 3.0).where(big, e + 2.0)
    twice = s + s
    out = (twice * (s * s)).fma((s * s).poly(_ATANH), twice)
    return (out + _LN2).where(big, out)


def expm1(x: Vec) -> Vec:
    """exp(x) - 1, exact to rounding near 0 too."""
    bits, _, p = _reduce(x.at_least(-746.0).at_most(708.0))
    scale = _power2(x, bits)
    return exp(x).where(abs(x) > 700.0, scale.fma(p, scale - 1.0))


def erfc(x: Vec) -> Vec:
    """Complementary error function, also in its tail."""
    a = abs(x).at_most(28.0)
    tail = _gauss(a, 1.0) * _erfcx(a)
    return (2.0 - tail).where(x < 0.0, tail)


def _gauss(x, rate):
    """exp(-rate x**2) for x >= 0: the square is split so that the large part is exact."""
    high = x.masked(2**64 - 2**27)
    low = (x - high) * (x + high) * rate
    series = low.fma(low.fma(low.fma(-1 / 6, 0.5), -1.0), 1.0)
    return _exp(high * high * -rate) * series


def _erfcx(x):
    """exp(x**2) erfc(x) for 0 <= x <= 28."""
    return ((x - 3.5) / (x + 3.5)).poly(_ERFCX) / x.fma(2.0, 1.0)


def tanh(x: Vec) -> tuple[Vec, Any]:
    """expm1(2|x|) / (expm1(2|x|) + 2), exact to rounding near 0 too."""
    a = abs(x)
    bits, _, p = _reduce((a + a).at_most(44.0))
    scale = _power2(x, bits)
    e = scale.fma(p, scale - 1.0)
    return (e / (e + 2.0)).copysign(x), None


def sigmoid(x: Vec) -> tuple[Vec, Any]:
    """1 / (1 + exp(-x)), in the form that does not overflow."""
    e = _exp(abs(x) * -1.0)
    return e.where(x < 0.0, 1.0) / (e + 1.0), None


def relu(x: Vec) -> tuple[Vec, Any]:
    """max(x, 0)."""
    return x.at_least(0.0), None


def identity(x: Vec) -> tuple[Vec, Any]:
    """Leave x as it is."""
    return x, None


def silu(x: Vec) -> tuple[Vec, Any]:
    """Multiply x by sigmoid(x); derivative s + x s (1 - s)."""
    e = _exp(abs(x) * -1.0)
    inverse = 1.0 / (e + 1.0)
    other = e * inverse
    s = other.where(x < 0.0, inverse)
    x = x.at_least(-750.0)
    return x * s, s.fma(x.at_most(750.0) * inverse.where(x < 0.0, other), s)


def softplus(x: Vec) -> tuple[Vec, Any]:
    """log(1 + exp(x)); derivative sigmoid(x)."""
    e = _exp(abs(x) * -1.0)
    return x.at_least(0.0) + _log1p(e), e.where(x < 0.0, 1.0) / (e + 1.0)


def gelu(x: Vec) -> tuple[Vec, Any]:
    """Multiply x by Phi(x), the exact normal distribution function; derivative Phi + x phi."""
    a = abs(x).at_most(39.0)
    g = _gauss(a, 0.5)
    tail = g * _erfcx(a * 0.7071067811865476) * 0.5
    cdf = tail.where(x < 0.0, 1.0 - tail)
    x = x.at_least(-39.0)
    return x * cdf, (g * 0.3989422804014327).fma(x.at_most(39.0), cdf)


def erf(x: Vec) -> tuple[Vec, Any]:
    """Error function; derivative 2/sqrt(pi) exp(-x**2)."""
    a = abs(x).at_most(28.0)
    g = _gauss(a, 1.0)
    large = (1.0 - g * _erfcx(a)).copysign(x)
    small = x * (x * x).poly(_ERF)
    return small.where(a < 0.5, large), g * 1.1283791670955126


def sin(x: Vec) -> tuple[Vec, Any]:
    """Sine, reduced by multiples of pi; derivative cosine. Beyond 1e8 libm takes over."""
    b = x.builder
    t = x.fma(0.3183098861837907, _ROUND)
    k = t - _ROUND
    r = reduce(lambda r, part: k.fma(-part, r), _PI, x)
    odd = b.shl(t.bits(), ints(63))
    z = r * r
    sine = (r * z.fma(z.poly(_SIN), 1.0)).flip(odd)
    cosine = (z * z).fma(z.poly(_COS), z.fma(-0.5, 1.0)).flip(odd)
    far = abs(x) > 1e8
    return sine.lanewise(far, "llvm.sin.f64", x), cosine.lanewise(far, "llvm.cos.f64", x)


BY_HAND = {f.__name__: f for f in (tanh, sigmoid, relu, identity, gelu, silu, softplus, erf, sin)}
"""Activation -> function from z to the activation a and its derivative, or None where `SLOPES` has it from a alone.

An extra for built-in activations, whose formulas stand elsewhere: faster, or right in tails where the formula is not.
"""

SLOPES = {
    "tanh": lambda a: 1.0 - a * a,
    "sigmoid": lambda a: a * (1.0 - a),
    "relu": lambda a: a.full(1.0).where(a > 0.0, 0.0),
    "identity": lambda a: a.full(1.0),
}
"""Derivative as a function of the activation, for those where it is one: nothing else need be kept."""
