"""Formulas as lines of NumPy that anybody can read."""

from collections import Counter
from collections.abc import Sequence

from bayesnn.errors import SpecError
from bayesnn.formulas import Program

_INFIX = {
    "add": "+",
    "mul": "*",
    "sub": "-",
    "true_div": "/",
    "pow": "**",
    "lt": "<",
    "gt": ">",
    "le": "<=",
    "ge": ">=",
    "eq": "==",
    "neq": "!=",
}
_CALLS = {
    "abs": "np.abs({})",
    "neg": "(-{})",
    "sqr": "{}**2",
    "reciprocal": "(1.0 / {})",
    "sigmoid": "np.exp(-np.logaddexp(0.0, -({})))",
    "softplus": "np.logaddexp(0.0, {})",
    "switch": "np.where({}, {}, {})",
    "clip": "np.minimum(np.maximum({}, {}), {})",
    "round_half_to_even": "np.around({})",
    "and_": "np.logical_and({}, {})",
    "or_": "np.logical_or({}, {})",
    "xor": "np.logical_xor({}, {})",
    "invert": "np.logical_not({})",
    "cast": "(1.0 * {})",
    "erf": "erf({})",
    "erfc": "erfc({})",
    "gammaln": "gammaln({})",
}
_NUMPY = {
    *("sign", "sqrt", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "arcsin", "arccos"),
    *("arctan", "sinh", "cosh", "tanh", "arcsinh", "arccosh", "arctanh", "maximum", "minimum", "floor", "ceil"),
    *("trunc", "mod", "isnan", "isinf"),
}
HELPERS = {
    "expit": ["def expit(z):", "    return np.exp(-np.logaddexp(0.0, -z))"],
    "erf": ["erf = np.vectorize(math.erf, otypes=[float])"],
    "erfc": ["erfc = np.vectorize(math.erfc, otypes=[float])"],
    "gammaln": ["gammaln = np.vectorize(math.lgamma, otypes=[float])"],
}
"""Functions that NumPy lacks, by the names that formulas call them by."""


def written(program: Program, what: str, values: Sequence[float] = ()) -> list[str]:
    """Write a formula as the body of a function of its first argument.

    Parameters
    ----------
    program : Program
        Of one argument, and of parameters whose values are known.
    what : str
        What it is called in messages.
    values : sequence of float
        Of the parameters.

    Returns
    -------
    list of str
        Lines without indentation, the last of which returns the outputs.

    Raises
    ------
    SpecError
        An operation that has no line in NumPy.
    """
    first, *rest = program.arguments
    argument = "z" if first == "x" else first
    texts = [argument, *(repr(float(v)) for v in values)]
    if len(rest) != len(values):
        raise SpecError(f"Got {what} with the parameters {rest} and {len(values)} values; each has one. Give them all.")
    uses = Counter(place for operation, *inputs in program.nodes if operation != "constant" for place in inputs)
    uses.update(program.outputs)
    lines: list[str] = []
    for operation, *inputs in program.nodes:
        place = len(texts)
        if operation == "constant":
            texts.append(_number(inputs[0]))
            continue
        text = _operation(operation, [texts[i] for i in inputs], what)
        if uses[place] > 1:
            name = f"t{len(lines) + 1}"
            lines.append(f"{name} = {_bare(text)}")
            text = name
        texts.append(text)
    out = ", ".join(_bare(texts[place]) for place in program.outputs)
    return [*lines, f"return {out}"]


def helpers_of(lines: Sequence[str]) -> list[str]:
    """Name the functions beside NumPy's that some lines call."""
    return [name for name in HELPERS if any(f"{name}(" in line for line in lines)]


def _operation(operation, inputs, what):
    if operation in _INFIX:
        return f"({f' {_INFIX[operation]} '.join(inputs)})"
    if operation in _CALLS:
        return _CALLS[operation].format(*map(_bare, inputs) if "(" in _CALLS[operation][:-2] else inputs)
    if operation in _NUMPY:
        return f"np.{operation}({', '.join(map(_bare, inputs))})"
    raise SpecError(
        f"Got {what} with the operation {operation!r}, which has no line in plain NumPy. Write its formula without it, "
        "or predict with bnn.predict."
    )


def _number(value):
    value = float(value)
    if value != value or abs(value) == float("inf"):
        return f'float("{value}")'
    return repr(value) if value >= 0 else f"({value!r})"


def _bare(text):
    """Leave out parentheses around the whole."""
    if not (text.startswith("(") and text.endswith(")")):
        return text
    depth = 0
    for k, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0 and k < len(text) - 1:
            return text
    return text[1:-1]
