"""Pieces of sentences that verdicts are made of."""

import math
from collections.abc import Sequence

from bayesnn.symmetry.group import written_order


def chains_words(members: Sequence[int]) -> str:
    """Name chains: "chains 0, 1 and 3"."""
    names = [str(c) for c in members]
    return f"chain {names[0]}" if len(names) == 1 else f"chains {', '.join(names[:-1])} and {names[-1]}"


def plural(n: int, noun: str) -> str:
    """Write a noun as its number wants it."""
    return noun if n == 1 else f"{noun}s"


def big(n: float) -> str:
    """Write a count, a huge one in two digits."""
    return f"{n:,}" if n < 10**7 else f"{n:.2g}" if n < 1e300 else written_order(n)


def number(x: float, form: str) -> str:
    """Write a number, or a dash where there is none."""
    return "-" if math.isnan(x) else format(x, form)


def trips_words(tempering: dict[str, float]) -> str:
    """Write how often the states of each system went from the prior to the posterior and back."""
    least, most = int(tempering["least_round_trips"]), int(tempering["most_round_trips"])
    return f"{least if least == most else f'{least} to {most}'} round trips"
