"""A program as a line of mathematics."""

from bayesnn.formulas.program import Program

_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(5)
_COMPARISONS = {"lt": "<", "gt": ">", "le": "≤", "ge": "≥", "eq": "=", "neq": "≠", "and_": "and", "or_": "or"}
_NAMES = {"sigmoid": "σ", "gammaln": "lgamma", "maximum": "max", "minimum": "min", "sign": "sign"}


def typeset(program: Program) -> str:
    """Write the first output of a program in the style of the tables.

    Examples
    --------
    >>> import pytensor.tensor as pt
    >>> from bayesnn.formulas import Formula
    >>> Formula(lambda u, p: abs(u) ** p - pt.log1p(u**2 / 4) * 2, ("u", "p")).text()
    '|u|^p - log1p(u²/4) 2'
    """

    def wrap(part, least):
        text, binding = part
        return text if binding >= least else f"({text})"

    def apply(operation, *parts):
        if operation in ("add", "sub"):
            first, *rest = (wrap(part, _SUM) for part in parts)
            for part, text in zip(parts[1:], rest, strict=True):
                if operation == "sub":
                    first += f" - {wrap(part, _PRODUCT)}"
                else:
                    first += f" - {text[1:]}" if text.startswith("-") else f" + {text}"
            return first, _SUM
        if operation == "mul":
            return " ".join(wrap(part, _SIGN if i else _PRODUCT) for i, part in enumerate(parts)), _PRODUCT
        if operation == "true_div":
            return f"{wrap(parts[0], _PRODUCT)}/{wrap(parts[1], _POWER)}", _PRODUCT
        if operation == "neg":
            return f"-{wrap(parts[0], _PRODUCT)}", _SIGN
        if operation == "sqr" or (operation == "pow" and parts[1][0] == "2"):
            return f"{wrap(parts[0], _ATOM)}²", _POWER
        if operation == "pow":
            return f"{wrap(parts[0], _ATOM)}^{wrap(parts[1], _ATOM)}", _POWER
        if operation == "abs":
            return f"|{parts[0][0]}|", _ATOM
        if operation in _COMPARISONS:
            return f" {_COMPARISONS[operation]} ".join(wrap(part, _SUM) for part in parts), _SUM
        if operation == "switch":
            return f"({parts[1][0]} if {parts[0][0]} else {parts[2][0]})", _ATOM
        if operation == "cast":
            return parts[0]
        return f"{_NAMES.get(operation, operation)}({', '.join(text for text, _ in parts)})", _ATOM

    def constant(number):
        return f"{number:.6g}", _ATOM if number >= 0 else _SIGN

    return program.walk([(name, _ATOM) for name in program.arguments], constant, apply)[0][0]
