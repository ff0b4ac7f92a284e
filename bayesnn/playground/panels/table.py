"""Small tables that a screen reader can walk through."""

from collections.abc import Iterable, Sequence
from html import escape


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table as HTML, with a header for each column and each row.

    Parameters
    ----------
    caption : str
        What the table tells.
    head : sequence of str
        Names of the columns; the first stands over those of the rows.
    rows : iterable of sequence of str
        Name of each row, and its cells.

    Returns
    -------
    str
        Text that may hold anything: it is escaped.

    Examples
    --------
    >>> from bayesnn.playground.panels.table import table
    >>> "<th scope='row' style='text-align:left;padding:.15em .6em .15em 0'>a &lt; b</th>" in table(
    ...     "numbers", ["", "x"], [["a < b", "1"]]
    ... )
    True
    """
    left, right = "text-align:left;padding:.15em .6em .15em 0", "text-align:right;padding:.15em 0 .15em .6em"
    top = "".join(f"<th scope='col' style='{right if i else left}'>{escape(name)}</th>" for i, name in enumerate(head))
    body = "".join(
        f"<tr style='border-top:1px solid rgba(128,128,128,.5)'><th scope='row' style='{left}'>{escape(name)}</th>"
        + "".join(f"<td style='{right}'>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for name, *cells in rows
    )
    style = "border-collapse:collapse;min-width:min(100%,22rem);font-size:.9rem;font-variant-numeric:tabular-nums"
    named = f"<caption style='text-align:left;padding-bottom:.2em'>{escape(caption)}</caption>"
    return f"<table style='{style}'>{named}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
