"""Pictures of the package as addresses that hold all of their data."""

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np

from bayesnn.errors import BayesnnError
from bayesnn.reporting.parts import Figure, Text

LARGEST_SVG = 260_000
"""Bytes from which dots are smaller as pixels than as shapes."""
PIXELS_PER_INCH = 160
SHOWN = 96
"""Pixels of the page in an inch."""


def figure(draw: Callable[[], np.ndarray], alt: str, caption: str) -> Figure | Text:
    """Draw a picture and close it.

    Parameters
    ----------
    draw : callable
        One of the `plot_*`, with its arguments.
    alt : str
        What is to be seen, for a picture that does not say it itself.
    caption : str
        What to look for.

    Returns
    -------
    Figure or Text
        Why there is no picture, where it was refused.
    """
    import matplotlib.pyplot as plt

    try:
        axes = draw()
    except BayesnnError as error:
        return Text(f"Not drawn: {error}", "note")
    drawn: Any = np.ravel(axes)[0].figure
    try:
        return Figure(_address(drawn), getattr(axes, "alt_text", "") or alt, caption, _size(drawn))
    finally:
        plt.close(drawn)


def _size(drawn):
    width, height = drawn.get_size_inches() * SHOWN
    return round(width), round(height)


def _address(drawn):
    """Write a picture as SVG, or as PNG where that is much smaller."""
    import matplotlib as mpl

    # The same fits give the same page.
    with mpl.rc_context({"svg.hashsalt": "bayesnn"}):
        svg = io.BytesIO()
        drawn.savefig(svg, format="svg", metadata={"Date": None})
    if svg.tell() <= LARGEST_SVG:
        return _data("image/svg+xml", svg)
    png = io.BytesIO()
    drawn.savefig(png, format="png", dpi=PIXELS_PER_INCH, metadata={"Software": None})
    return _data("image/png", png)


def _data(kind, stream):
    return f"data:{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
