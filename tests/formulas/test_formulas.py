"""Formulas against mpmath, SciPy, finite differences, and themselves read another way."""

import json
import pickle
import subprocess
import sys

import mpmath as mp
import numpy as np
import pytensor.tensor as pt
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import bayesnn as bnn
from bayesnn.activations import ACTIVATIONS
from bayesnn.errors import FormulaWarning, SpecError
from bayesnn.formulas import Formula, Program, UnitDensity, fn
from bayesnn.formulas.program import NUMPY
from bayesnn.formulas.shape import broken, check_finite, is_smooth, kinks, symmetries, tail_index
from bayesnn.formulas.trace import _scalar_names

SAMPLES = {
    "logcosh": (lambda u: pt.log(pt.cosh(u)), lambda u: mp.log(mp.cosh(u))),
    "lse": (lambda u: pt.log(pt.exp(u) + 3 * pt.exp(-2 * u)), lambda u: mp.log(mp.exp(u) + 3 * mp.exp(-2 * u))),
    "lse of three": (
        lambda u: pt.log(1 + pt.exp(u) + pt.exp(-u) / 2),
        lambda u: mp.log(1 + mp.exp(u) + mp.exp(-u) / 2),
    ),
    "logaddexp": (lambda u: pt.logaddexp(u, 1.0), lambda u: mp.log(mp.exp(u) + mp.e)),
    "softplus": (lambda u: pt.log(1 + pt.exp(u)), lambda u: mp.log(1 + mp.exp(u))),
    "cauchy": (lambda u: pt.log1p(u**2), lambda u: mp.log(1 + u * u)),
    "power": (lambda u: abs(u) ** 1.5, lambda u: abs(u) ** mp.mpf(1.5)),
    "cube": (lambda u: abs(u) ** 3, lambda u: abs(u) ** 3),
    "constant": (lambda u: pt.log(2) * u**2, lambda u: mp.log(2) * u * u),
    "mish": (lambda z: z * pt.tanh(pt.softplus(z)), lambda z: z * mp.tanh(mp.log(1 + mp.exp(z)))),
    "softsign": (lambda z: z / (1 + abs(z)), lambda z: z / (1 + abs(z))),
    "bump": (lambda z: pt.exp(-(z**2)), lambda z: mp.exp(-z * z)),
    "arctan": (lambda z: pt.arctan(z), lambda z: mp.atan(z)),
    "elu": (lambda z: pt.switch(z > 0, z, pt.expm1(z)), lambda z: z if z > 0 else mp.expm1(z)),
}


def points(reach=30.0):
    size = np.concatenate([np.geomspace(1e-3, reach, 40), [1.0, 0.5]])
    return np.concatenate([-size, size])


@pytest.mark.parametrize("name", SAMPLES)
def test_value_and_slope_are_the_functions(name):
    ours, exact = SAMPLES[name]
    formula, z = Formula(ours), points()
    with mp.workdps(40):
        values = [float(exact(mp.mpf(float(v)))) for v in z]
        slopes = [float(mp.diff(exact, mp.mpf(float(v)))) for v in z]
    assert_allclose(formula(z), values, rtol=1e-13, atol=2e-16)
    assert_allclose(formula.slope(z), slopes, rtol=1e-10, atol=1e-15)
    assert_allclose(formula.symbolic(pt.as_tensor(z)).eval(), formula(z), rtol=1e-14, atol=3e-16)


@pytest.mark.parametrize("name", ["logcosh", "lse", "lse of three", "logaddexp", "softplus"])
def test_logarithms_of_sums_of_exponentials_do_not_overflow(name):
    ours, exact = SAMPLES[name]
    for u in (-800.0, 800.0, -2e4, 2e4):
        with mp.workdps(40):
            assert Formula(ours)(u) == pytest.approx(float(exact(mp.mpf(u))), rel=1e-14, abs=1e-300)
        assert np.isfinite(Formula(ours).slope(u))
    # Without the rewrite they do.
    assert not np.isfinite(Formula(SAMPLES["logcosh"][0]).program(800.0)[0])


def test_constants_are_in_double_precision():
    assert Formula(SAMPLES["constant"][0])(1.0) == np.log(2.0)
    # PyTensor's own reading is off by 2e-9.
    assert abs(float(pt.log(2).eval()) - np.log(2.0)) > 1e-9


def test_parameters_are_arguments():
    power = Formula(lambda u, p: abs(u) ** p, ("u", "p"))
    for p in (0.7, 1.0, 1.5, 2.0, 3.0):
        assert_allclose(power(points(), p), np.abs(points()) ** p, rtol=1e-14)
        assert_allclose(power.slope(points(), p), p * np.abs(points()) ** (p - 1) * np.sign(points()), rtol=1e-13)


def test_formulas_compare_by_their_operations_and_travel():
    first, same, other = (
        Formula(f) for f in (lambda u: pt.tanh(u) * 2, lambda x: pt.tanh(x) * 2, lambda u: pt.tanh(u))
    )
    assert first == same != other
    assert hash(first) == hash(same)
    for again in (
        pickle.loads(pickle.dumps(first)),
        Formula(Program.from_json(json.loads(json.dumps(first.program.to_json())))),
    ):
        assert again == first
        assert again(0.3) == first(0.3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"arguments": ["u"], "nodes": [["eval", 0]], "outputs": [1]},
        {"arguments": ["u"], "nodes": [["tanh", 1]], "outputs": [1]},
        {"arguments": ["u"], "nodes": [["tanh", "__import__('os')"]], "outputs": [1]},
        {"arguments": ["u"], "nodes": [["constant", "1"]], "outputs": [1]},
        {"arguments": ["u"], "nodes": [["tanh", 0]], "outputs": [2]},
        {"arguments": ["u"], "nodes": [["tanh", 0]]},
        {"arguments": ["u"], "nodes": [["__class__", 0]], "outputs": [1]},
        "tanh(u)",
    ],
)
def test_a_file_holds_known_operations_only(wrong):
    with pytest.raises(SpecError, match="must be a list of operations"):
        Program.from_json(wrong)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (lambda z: z if z > 0 else 0, "not if"),
        (lambda z: pt.sum(pt.stack([z, z])), "number by number"),
        (lambda z: pt.dscalar("q") + z, "none of its arguments"),
        (lambda z: pt.stack([z, z]), "array of 1 dimensions"),
        (lambda z: undefined(z), "undefined"),  # noqa: F821
    ],
)
def test_what_is_no_formula_says_why(wrong, why):
    with pytest.raises(SpecError, match=why):
        Formula(wrong).program  # noqa: B018


def test_operations_without_an_entry_are_pytensors_own():
    formula = Formula(lambda z: pt.gammainc(2.0, abs(z)) + pt.i0(z))
    from scipy import special

    assert_allclose(formula(points(3.0)), special.gammainc(2, abs(points(3.0))) + special.i0(points(3.0)), rtol=1e-14)


def test_every_entry_is_an_operation_of_pytensor():
    known = set(_scalar_names().values()) | {"cast"}
    assert set(NUMPY) <= known


def test_formulas_of_ours_need_no_pytensor():
    code = (
        "import sys, numpy as np, bayesnn as bnn\n"
        "net = bnn.MLP((2,), 'gelu', loss='huber')\n"
        "p = {k: np.ones(s) for k, s in net.shapes(1, 1).items()} | {'noise': np.array(1.0)}\n"
        "net.log_likelihood(p, np.ones((3, 1)), np.zeros(3))\n"
        "print(bool({'pytensor', 'pymc'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    with pytest.raises(AttributeError):
        fn.import_module  # noqa: B018


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_what_built_in_activations_state_is_what_is_found(name):
    stated = ACTIVATIONS[name]
    found = bnn.Activation(f"my_{name}", stated.formula)
    assert set(found.symmetry) == set(stated.symmetry)
    assert (found.ends, found.ramp, found.bounded) == (stated.ends, stated.ramp, stated.bounded)
    assert_allclose(found.kinks, stated.kinks)
    if stated.tail is not None:
        low, a, k = stated.tail
        z = np.array([-12.0, -15.0])
        assert_allclose(stated(z) - low, a * np.exp(k * z), rtol=1e-3)
    if stated.period is not None:
        assert_allclose(stated(points() + stated.period), -stated(points()), atol=1e-13)
    # Formulas that NumPy evaluates as they stand, and as they were read.
    assert_allclose(stated.formula(points()), stated.formula.stable(points())[0], rtol=1e-14, atol=1e-300)


def test_symmetries_that_are_found():
    shapes = {
        "odd": lambda z: np.arctan(z),
        "even": lambda z: np.exp(-(z**2)),
        "sigmoid": lambda z: 1 + 3 / (1 + np.exp(-z)),
        "relu": lambda z: np.where(z > 0, z, 0.1 * z),
        "identity": lambda z: -2.0 * z,
    }
    for name, function in shapes.items():
        assert symmetries(function) == (name,)
        for other in set(shapes) - {name}:
            assert (broken(other, function) is None) == (name == "identity" and other in ("odd", "relu"))
    assert symmetries(np.abs) == ("even", "relu")
    assert symmetries(lambda z: z + 1e-8 * z**2) == ()
    assert symmetries(lambda z: 0 * z) == ()


def test_kinks_and_tails_that_are_found():
    def of(function):
        formula = Formula(function)
        return kinks(formula, formula.slope).tolist(), tail_index(formula.slope)

    assert of(lambda u: u**2) == ([], np.inf)
    assert of(abs) == ([0.0], np.inf)
    assert of(lambda u: pt.switch(abs(u) <= 1.345, u**2 / 2, 1.345 * (abs(u) - 0.6725))) == ([], np.inf)
    assert of(lambda u: pt.clip(u, -1.25, 2.0) ** 2) == ([-1.25, 2.0], 0.0)
    assert of(lambda u: pt.log1p(u**2)) == ([], pytest.approx(2.0))
    assert of(lambda u: 2.5 * pt.log1p(u**2 / 4)) == ([], pytest.approx(5.0))
    assert of(lambda u: pt.sqrt(pt.sqrt(1 + u**2))) == ([], np.inf)
    assert np.isnan(tail_index(lambda u: np.full_like(u, np.nan)))


def test_a_power_below_two_has_no_second_derivative_at_zero():
    for power, smooth in ((1.0, False), (1.5, False), (1.9, False), (2.0, True), (3.0, True)):
        formula = Formula(lambda u, power=power: abs(u) ** power)
        assert is_smooth(formula, formula.slope) == smooth
    softsign = Formula(lambda z: z / (1 + abs(z)))
    assert is_smooth(softsign, softsign.slope)


def test_a_formula_that_fails_nearby_is_refused_and_one_far_out_is_said():
    with pytest.raises(SpecError, match=r"inf at 26\.6"):
        check_finite(Formula(lambda u: pt.exp(u**2)), "it")
    with pytest.raises(SpecError, match=r"the slope of the formula is .* at 0"):
        check_finite(Formula(lambda u: pt.sqrt(abs(u))), "it")
    with pytest.warns(FormulaWarning, match=r"inf at 7\d\d"):
        check_finite(Formula(lambda u: pt.cosh(u)), "it")
    check_finite(Formula(lambda u: pt.log(pt.cosh(u))), "it")


DENSITIES = {
    "normal": (lambda u: u**2 / 2, stats.norm()),
    "laplace": (abs, stats.laplace()),
    "cauchy": (lambda u: pt.log1p(u**2), stats.cauchy()),
    "hyperbolic secant": (lambda u: pt.log(pt.cosh(u)), stats.hypsecant()),
    "t, 4": (lambda u: 2.5 * pt.log1p(u**2 / 4), stats.t(4)),
    "t, 1.2": (lambda u: 1.1 * pt.log1p(u**2 / 1.2), stats.t(1.2)),
    "power 1.5": (lambda u: abs(u) ** 1.5, stats.gennorm(1.5)),
    "power 4": (lambda u: u**4, stats.gennorm(4)),
    "logistic": (lambda u: u + 2 * pt.softplus(-u), stats.logistic()),
    "gumbel": (lambda u: u + pt.exp(-u), stats.gumbel_r()),
    "elsewhere": (lambda u: (u - 3) ** 2 / 2, stats.norm(3)),
}


@pytest.mark.parametrize("name", DENSITIES)
def test_densities_by_quadrature_are_scipys(name):
    formula, exact = Formula(DENSITIES[name][0]), DENSITIES[name][1]
    ours = UnitDensity(formula, kinks(formula, formula.slope), tail_index(formula.slope))
    u = points(300.0)
    assert ours.log_z == pytest.approx(-exact.logpdf(1.3) - formula(1.3), abs=1e-12)
    assert_allclose(ours.cdf(u), exact.cdf(u), rtol=1e-11, atol=1e-13)
    p = np.concatenate([np.geomspace(1e-9, 0.5, 30), 1 - np.geomspace(1e-6, 0.4, 30)])
    assert_allclose(exact.cdf(ours.quantile(p)), p, rtol=1e-10)
    assert ours.mode == pytest.approx(float(exact.median()) if name not in ("gumbel",) else 0.0, abs=1e-6)
    if name in ("cauchy",):
        assert np.isnan(ours.mean)
    else:
        assert ours.mean == pytest.approx(exact.mean(), abs=1e-9)
    finite = np.isfinite(exact.var())
    assert ours.variance == (pytest.approx(exact.var(), rel=1e-9) if finite else np.inf)
    draws = ours.sample(np.random.default_rng(1), 20_000)
    assert stats.kstest(draws, exact.cdf).pvalue > 1e-3
    assert stats.kstest(draws + 0.05 * np.abs(draws).mean(), exact.cdf).pvalue < 1e-3 or name in ("cauchy", "t, 1.2")


def test_what_has_no_integral_is_no_density():
    for function in (lambda u: pt.maximum(0.0, 1 - u), lambda u: 0.5 * pt.log1p(abs(u)), lambda u: u**2 / (1 + u**2)):
        formula = Formula(function)
        with pytest.raises(ArithmeticError):
            UnitDensity(formula, kinks(formula, formula.slope), tail_index(formula.slope))


def test_typesetting():
    def text(function, *names):
        return Formula(function, names or ("u",)).text()

    assert text(lambda u: pt.log(pt.cosh(u))) == "log(cosh(u))"
    assert text(lambda u, p: abs(u) ** p, "u", "p") == "|u|^p"
    assert text(lambda u: -((u + 1) ** 2) / (2 * u)) == "-(u + 1)²/(2 u)"
    assert text(lambda u: pt.switch(u > 0, u, -u)) == "(u if u > 0 else -u)"
