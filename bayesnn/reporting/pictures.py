"""Pictures of the package as addresses that hold all of their data."""

import base64
import io
from collections.abc import Callable
from typing import Any

from bayesnn.errors import BayesnnError
from bayesnn.plots.picture import Picture
from bayesnn.reporting.parts import Figure, Text

PIXELS_PER_INCH = 150
"""Of the picture: enough for paper. Shapes (SVG) would take twice the time, and for many dots twice the room."""
SHOWN = 96
"""Of the page."""


def figure(draw: Callable[[], Picture], caption: str) -> Figure | Text:
    """Draw a picture and close it.

    Parameters
    ----------
    draw : callable
        One of the `plot_*`, with its arguments.
    caption : str
        What to look for.

    Returns
    -------
    Figure or Text
        Why there is no picture, where it was refused.
    """
    import matplotlib.pyplot as plt

    try:
        picture = draw()
    except BayesnnError as error:
        return Text(f"Not drawn: {error}", "note")
    drawn: Any = picture.figure
    try:
        return Figure(_address(drawn), picture.alt_text, caption, _size(drawn))
    finally:
        plt.close(drawn)


def _size(drawn):
    width, height = drawn.get_size_inches() * SHOWN
    return round(width), round(height)


def _address(drawn):
    stream = io.BytesIO()
    drawn.savefig(stream, format="png", dpi=PIXELS_PER_INCH)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
