"""A picture in a notebook, with words for whoever can't see it."""

from typing import Any

import numpy as np


def show(picture: Any, alt_text: str = "") -> None:
    """Show a picture with its alternative text, and close it.

    Parameters
    ----------
    picture : matplotlib.figure.Figure, Axes or array of Axes
        As `plot_*` or Matplotlib return it.
    alt_text : str
        What is to be seen, for readers who hear the page. Left out, the picture's own ``alt_text``.

    Raises
    ------
    SpecError
        A picture without words.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> import bayesnn as bnn
    >>> _, ax = plt.subplots()
    >>> bnn.plots.show(ax, "An empty frame.")
    <IPython.core.display.Image object>
    """
    import matplotlib.pyplot as plt

    from bayesnn.errors import SpecError

    try:
        from IPython.display import Image, display
    except ImportError:
        raise SpecError("Got no notebook to show a picture in. Write matplotlib.pyplot.show() instead.") from None
    alt_text = alt_text or getattr(picture, "alt_text", "")
    if not alt_text:
        raise SpecError(
            "Got a picture without words; say in one sentence what is to be seen. Write show(picture, '...')."
        )
    first = np.ravel(picture)[0] if isinstance(picture, np.ndarray) else picture
    figure = getattr(first, "figure", None) or first
    display(Image(_png(figure), format="png"), metadata={"image/png": {"alt": alt_text}})
    plt.close(figure)


def _png(figure):
    """Write a figure with a palette of its own: a third of the bytes, for pictures have few colours."""
    from io import BytesIO

    from PIL import Image

    drawn, small = BytesIO(), BytesIO()
    figure.savefig(drawn, format="png", dpi=figure.dpi, bbox_inches="tight")
    few = Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE)
    few.save(small, format="png", optimize=True)
    return small.getvalue()
