"""Products of powers, which print as formulas and evaluate as numbers."""

import math
from fractions import Fraction


class Term:
    """A product of powers, such as noise**2 / (n * sd**2): one source for the formula and for its number."""

    def __init__(self, coefficient: Fraction | int = 1, **powers: int):
        self.coefficient = Fraction(coefficient)
        self.powers = {k: p for k, p in powers.items() if p} if coefficient else {}

    def __mul__(self, other: "Term") -> "Term":
        powers = {k: self.powers.get(k, 0) + other.powers.get(k, 0) for k in self.powers | other.powers}
        return Term(self.coefficient * other.coefficient, **powers)

    def __pow__(self, power: int) -> "Term":
        if not self:
            return Term(inf=1)
        return Term(self.coefficient**power, **{k: p * power for k, p in self.powers.items()})

    def __bool__(self) -> bool:
        return self.coefficient != 0

    def __str__(self) -> str:
        def side(number, powers):
            factors = [str(number)] * (number != 1) + [k if p == 1 else f"{k}**{p}" for k, p in powers]
            return factors or ["1"]

        ordered = sorted(self.powers.items())
        top = side(self.coefficient.numerator, [(k, p) for k, p in ordered if p > 0])
        bottom = side(self.coefficient.denominator, [(k, -p) for k, p in ordered if p < 0])
        if not self:
            return "0"
        below = bottom[0] if len(bottom) == 1 else f"({' * '.join(bottom)})"
        return " * ".join(top) + (f" / {below}" if bottom != ["1"] else "")

    def value(self, numbers: dict[str, float]) -> float:
        """Evaluate with a number for each name."""
        return float(self.coefficient) * math.prod(
            ({"inf": math.inf} | numbers)[k] ** p for k, p in self.powers.items()
        )
