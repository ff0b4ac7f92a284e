"""What every `plot_*` returns: its Axes, as an array, with words for whoever can't see them."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure


class Picture(np.ndarray):
    """An array of Axes that says in words what is drawn.

    Parameters
    ----------
    axes : array of matplotlib.axes.Axes
        The panels.
    alt_text : str
        What is drawn and what is to be seen, in one or two sentences with their numbers.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from bayesnn.plots.picture import Picture
    >>> _, axes = plt.subplots(1, 2)
    >>> picture = Picture(axes, "Two empty frames.")
    >>> picture
    <2 Axes: Two empty frames.>
    >>> left, right = picture
    >>> picture.shape, picture.figure is left.figure
    ((2,), True)
    """

    alt_text: str

    def __new__(cls, axes: Any, alt_text: str) -> "Picture":
        """Keep the shape of the array, and what it says."""
        picture = np.asarray(axes, dtype=object).view(cls)
        picture.alt_text = alt_text
        return picture

    def __array_finalize__(self, obj: Any) -> None:
        """Let a reshaped picture, and a part of one, keep its words."""
        self.alt_text = getattr(obj, "alt_text", "")

    def __repr__(self) -> str:
        return f"<{self.size} Axes: {self.alt_text}>"

    __str__ = __repr__

    @property
    def figure(self) -> "Figure | SubFigure":
        """The figure that the panels belong to."""
        return self.flat[0].figure


def listed(words: "list[str]") -> str:
    """Write a list with commas and "and"."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)
