"""What a section of the report is made of; the template draws each kind."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from bayesnn.plots import picture
from bayesnn.reporting.graph import Graph

LONG = 24
"""Letters of a formula that fit on a telephone."""
_NUMERAL = re.compile(r"[-−+±\d.,%∞–\s]*(e[-−+]?\d+)?(\((exact|approximate)\))?")


@dataclass(frozen=True)
class Text:
    """A paragraph, or with a tone a note that stands out."""

    kind: ClassVar[str] = "text"
    words: str
    tone: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under a caption; the first cell of each row is its head, with what it means beneath."""

    kind: ClassVar[str] = "table"
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    meanings: Sequence[str] = ()

    @property
    def textual(self) -> list[bool]:
        """Which columns hold words, and not numbers."""
        return [any(not _NUMERAL.fullmatch(cell) for cell in column) for column in zip(*self.rows, strict=True)]


@dataclass(frozen=True)
class Figure:
    """A picture as a data address, with words for whoever can't see it."""

    kind: ClassVar[str] = "figure"
    src: str
    alt: str
    caption: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Maths:
    """A formula in MathML, which is markup already, and what it says."""

    kind: ClassVar[str] = "maths"
    markup: str
    words: str = ""

    @property
    def long(self) -> bool:
        """Whether it may be wider than a telephone, and must be reached to be moved."""
        return len(re.sub(r"<[^>]*>|&#\d+;", "", self.markup)) > LONG


@dataclass(frozen=True)
class Code:
    """Something to type."""

    kind: ClassVar[str] = "code"
    text: str
    label: str


@dataclass(frozen=True)
class Items:
    """A list: of terms with what they mean, or of steps."""

    kind: ClassVar[str] = "items"
    rows: Sequence[tuple[str, str]]
    ordered: bool = False


@dataclass(frozen=True)
class Drawing:
    """The network."""

    kind: ClassVar[str] = "drawing"
    graph: Graph
    caption: str


type Part = Text | Table | Figure | Maths | Code | Items | Drawing


@dataclass(frozen=True)
class Section:
    """A heading and its parts."""

    key: str
    title: str
    parts: list[Part] = field(default_factory=list)


def number(value: float, form: str = ".4g") -> str:
    """Write a number for readers: a true minus, an infinity, and a dash where there is none."""
    if value != value:
        return "–"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "−∞"
    text = format(value, form)
    # What rounds to zero has no sign.
    return text.removeprefix("-") if set(text) <= set("-0.%") else text.replace("-", "−")


def listed(words: Sequence[str], *, most: int = 6) -> str:
    """Write a list as English does: "a, b and c"; a long one is cut."""
    words = list(words)
    if len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} more"]
    return picture.listed(words) or "none"


def counted(n: int, noun: str, many: str = "") -> str:
    """Write a count with its noun: "1 row", "2 rows"."""
    return f"{n:,} {noun if n == 1 else many or noun + 's'}"
