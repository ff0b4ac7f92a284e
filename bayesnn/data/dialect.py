"""How a text file separates its values and writes its decimals: as it was told, or as the file shows beyond doubt."""

import csv
import io
import re
from dataclasses import dataclass
from itertools import islice

from bayesnn.arguments import check_arguments
from bayesnn.errors import DataError

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
"""What may stand between values, and how it is called; spaces are never inferred, since names hold them."""
_ROWS = 200  # enough to see a comma that is no thousands separator, where there is one

_COMMA = re.compile(r"[+-]?\d+(,\d+)+([eE][+-]?\d+)?")
_POINT = re.compile(r"[+-]?(\d+\.\d*|\.\d+)([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")


@dataclass(frozen=True)
class Dialect:
    """How a file is to be read.

    Parameters
    ----------
    sep : str
        One of `SEPARATORS`.
    decimal : {".", ","}
        What stands before the decimals.
    """

    sep: str
    decimal: str

    @property
    def said(self) -> str:
        """What differs from an English CSV file, in words; empty if nothing does."""
        parts = [f"separated by {SEPARATORS[self.sep]}"] * (self.sep != ",") + ["decimal comma"] * (self.decimal == ",")
        return ", ".join(parts)


def dialect_of(text: str, name: str, sep: str | None = None, decimal: str | None = None) -> Dialect:
    r"""Find how a file is to be read from its first lines.

    Parameters
    ----------
    text : str
        The beginning of the file.
    name : str
        Of the file, for messages.
    sep, decimal : str, optional
        What is known already.

    Returns
    -------
    Dialect
        What was told, completed by what the lines show.

    Raises
    ------
    SpecError
        A separator or a decimal sign that is none.
    DataError
        Lines that can be read in two ways.

    Examples
    --------
    >>> from bayesnn.data.dialect import dialect_of
    >>> dialect_of("x;y\n1,5;2\n", "rows.csv")
    Dialect(sep=';', decimal=',')
    """
    check_arguments(sep=sep, decimal=decimal)
    try:
        if sep is None:
            sep = _separator(text, name)
        return Dialect(sep, _decimal(text, sep, name) if decimal is None else decimal)
    except csv.Error as error:
        raise DataError(
            f"Got {name!r}, which does not read as CSV ({error}); it must be text with a header line. Mend it, or read "
            "it with pandas and pass the DataFrame."
        ) from error


def _rows(text, sep):
    """Cut the first lines into values, quotes respected."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=sep, skipinitialspace=True)
    return list(islice(filter(None, rows), _ROWS))


def _separator(text, name):
    """Choose what the header holds; of several, the one that cuts all lines into as many values."""
    cut = {sep: [len(row) for row in _rows(text, sep)] for sep in SEPARATORS if sep != " "}
    likely = [sep for sep, sizes in cut.items() if sizes and sizes[0] > 1]
    even = [sep for sep in likely if len(set(cut[sep])) == 1]
    if len(likely) > 1 and len(even) != 1:
        words = " and ".join(SEPARATORS[sep] for sep in likely)
        raise DataError(
            f"Got {name!r}, whose first line holds {words}; its other lines do not tell which of them separate the "
            f"values. Pass sep={likely[0]!r} or sep={likely[1]!r} (--sep on the command line)."
        )
    return (even or likely or [","])[0]


def _decimal(text, sep, name):
    """Tell a decimal comma from a point, where any value shows it."""
    values = [value.strip() for row in _rows(text, sep)[1:] for value in row]
    commas = [value for value in values if _COMMA.fullmatch(value)]
    if not commas:
        return "."
    points = [value for value in values if _POINT.fullmatch(value)]
    if points:
        raise DataError(
            f"Got {name!r} with {commas[0]!r} and with {points[0]!r}; a file must write all its decimals alike. Pass "
            "decimal=',' or decimal='.' (--decimal on the command line) to say which are numbers."
        )
    decisive = [value for value in commas if not _THOUSANDS.fullmatch(value) and value.count(",") == 1]
    if not decisive or any(value.count(",") > 1 for value in commas):
        raise DataError(
            f"Got {name!r} with values such as {commas[0]!r}, whose comma may come before decimals or after thousands; "
            "it must be known which. Pass decimal=',' (--decimal , on the command line) for decimals, or remove the "
            "commas."
        )
    return ","
