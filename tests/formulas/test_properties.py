"""Any formula, written at random: its value is NumPy's, and its slope is that of a step along the imaginary axis."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor.tensor as pt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from bayesnn.formulas import Formula, Program

Z = np.array([-2.5, -1.0, -0.3, 0.0, 0.2, 0.9, 1.7, 3.0])
STEP = 1e-30
# What all of these take stays small, so that nothing overflows.
ONE = {
    "tanh": (pt.tanh, np.tanh),
    "sin": (pt.sin, np.sin),
    "cos": (pt.cos, np.cos),
    "exp": (lambda a: pt.exp(pt.sin(a)), lambda a: np.exp(np.sin(a))),
    "root": (lambda a: pt.sqrt(1.5 + pt.sin(a)), lambda a: np.sqrt(1.5 + np.sin(a))),
    "log": (lambda a: pt.log(2.5 + pt.cos(a)), lambda a: np.log(2.5 + np.cos(a))),
    "softplus": (lambda a: pt.softplus(pt.tanh(a)), lambda a: np.log(1 + np.exp(np.tanh(a)))),
    "sigmoid": (pt.sigmoid, lambda a: 1 / (1 + np.exp(-a))),
    "minus": (lambda a: -a, lambda a: -a),
    "square": (lambda a: pt.tanh(a) ** 2, lambda a: np.tanh(a) ** 2),
}
TWO = {
    "+": (lambda a, b: a + b, lambda a, b: a + b),
    "-": (lambda a, b: a - b, lambda a, b: a - b),
    "*": (lambda a, b: pt.tanh(a) * b, lambda a, b: np.tanh(a) * b),
    "/": (lambda a, b: a / (2.0 + pt.sin(b)), lambda a, b: a / (2.0 + np.sin(b))),
    "switch": (lambda a, b: pt.switch(pt.gt(b, 0.25), a, b), lambda a, b: np.where(np.real(b) > 0.25, a, b)),
}


@dataclass(frozen=True)
class Tree:
    """A formula by its operation and what that takes."""

    name: str
    parts: tuple[Any, ...] = ()
    value: float = 0.0

    def read(self, which, z):
        if self.name == "z":
            return z
        if self.name == "number":
            return self.value
        function = (ONE | TWO)[self.name][which]
        return function(*(part.read(which, z) for part in self.parts))

    @property
    def text(self):
        return self.name if not self.parts else f"{self.name}({', '.join(part.text for part in self.parts)})"


LEAVES = st.one_of(st.just(Tree("z")), st.builds(lambda v: Tree("number", value=v), st.floats(-3.0, 3.0)))
TREES = st.recursive(
    LEAVES,
    lambda part: st.one_of(
        st.builds(lambda name, a: Tree(name, (a,)), st.sampled_from(tuple(ONE)), part),
        st.builds(lambda name, a, b: Tree(name, (a, b)), st.sampled_from(tuple(TWO)), part, part),
    ),
    max_leaves=6,
).filter(lambda tree: "z" in tree.text.replace("size", ""))


@given(TREES)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_value_and_slope_are_those_of_another_reading(tree):
    formula = Formula(lambda z: tree.read(0, z) + 0.0 * z)
    value = tree.read(1, Z)
    slope = np.imag(tree.read(1, Z + 1j * STEP)) / STEP
    assert_allclose(formula(Z), np.broadcast_to(value, Z.shape), rtol=1e-11, atol=1e-12)
    assert_allclose(formula.slope(Z), np.broadcast_to(slope, Z.shape), rtol=1e-9, atol=1e-10)
    again = Formula(Program.from_json(formula.program.to_json()))
    assert again == formula
    np.testing.assert_array_equal(again(Z), formula(Z))


def test_the_other_reading_fires_on_another_formula():
    tree = Tree("tanh", (Tree("z"),))
    slope = np.imag(tree.read(1, Z + 1j * STEP)) / STEP
    with pytest.raises(AssertionError):
        assert_allclose(Formula(lambda z: pt.tanh(1.001 * z)).slope(Z), slope, rtol=1e-9)
