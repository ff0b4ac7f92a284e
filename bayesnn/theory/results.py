"""What the results of the theory lab have in common: words and a table, in a terminal and in a notebook."""

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


class Result:
    """Base of results: a dataclass with `message`, in words, and `table`.

    Declare subclasses with ``@dataclass(frozen=True, repr=False, eq=False)``, so that they print as below.
    """

    @property
    def message(self) -> str:
        """What was found, in a few sentences."""
        raise NotImplementedError

    @property
    def table(self) -> "pd.DataFrame":
        """The numbers."""
        raise NotImplementedError

    @property
    def shown(self) -> "pd.DataFrame":
        """The table as it is printed."""
        return self.table

    def __repr__(self):
        """Show the words and the table as text."""
        return f"{self.message}\n\n{self.shown.to_string(float_format=_short)}"

    def _repr_html_(self):
        """Show the words and the table in Jupyter."""
        return f"<p>{html.escape(self.message)}</p>{self.shown.to_html(float_format=_short)}"


def _short(value):
    return f"{value:.5g}"
