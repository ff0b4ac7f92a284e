"""Formulas of the tables as MathML."""

import xml.etree.ElementTree as ET

import pytest

import bayesnn as bnn
from bayesnn.reporting.mathml import mathml

FORMULAS = sorted({cell for row in bnn.loss_table().rows for cell in (row[1], *row[3:])})


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("(y - f)²", "<msup><mrow><mo>(</mo><mi>y</mi><mo>−</mo><mi>f</mi><mo>)</mo></mrow><mn>2</mn></msup>"),
        (
            "1/(2s²)",
            "<mfrac><mn>1</mn><mrow><mn>2</mn><mo>&#8290;</mo><msup><mi>s</mi><mn>2</mn></msup></mrow></mfrac>",
        ),
        ("x_(k-1)", "<msub><mi>x</mi><mrow><mi>k</mi><mo>−</mo><mn>1</mn></mrow></msub>"),
        ("sqrt(v)", "<msqrt><mrow><mi>v</mi></mrow></msqrt>"),
    ],
)
def test_a_formula_is_built_as_it_is_read(text, markup):
    assert mathml(text) == f"<math>{markup}</math>"


@pytest.mark.parametrize("text", [*FORMULAS, "<script>alert(1)</script>", "a & b", "((", "^", "1/", "|", "a_", ""])
def test_what_comes_out_is_well_formed_and_holds_no_other_markup(text):
    tags = {element.tag for element in ET.fromstring(mathml(text)).iter()}
    assert tags <= {"math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msup", "msub", "msqrt"}


@pytest.mark.parametrize("text", FORMULAS)
def test_no_letter_or_number_of_a_formula_is_lost(text):
    def signs(said):
        return sorted(c for c in said.replace("sqrt", "").replace("²", "2") if c.isalnum())

    assert signs("".join(ET.fromstring(mathml(text)).itertext()).replace("∑", "Σ")) == signs(text)
