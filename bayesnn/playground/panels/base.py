"""What all panels of the page have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from bayesnn.playground.found import Found


class PagePanel(ABC):
    """One picture of the page, its sentence and its explanation.

    Bokeh figures are made once and updated in place.

    Parameters
    ----------
    dark : bool
        Whether the page is dark.
    """

    key: ClassVar[str]
    """Its name in addresses and style sheets: one word."""
    title: ClassVar[str]
    """Its heading, a question or a noun."""
    why: ClassVar[str]
    """Three sentences that explain what is to be seen."""
    notebook: ClassVar[str]
    """The notebook that goes on from there."""
    view: Any
    """What is shown: a Panel object."""
    on_change: Callable[[], None] | None = None
    """Called when a control of the panel's own has changed what its sentence says."""

    def __init__(self, dark: bool = False):
        self.dark = dark

    @abstractmethod
    def show(self, found: Found) -> None:
        """Bring the picture up to date; parts that are not there yet are left empty."""

    @abstractmethod
    def sentence(self, found: Found) -> str:
        """Say in one sentence what is to be seen now, with its numbers."""

    @abstractmethod
    def words(self, found: Found) -> str:
        """Describe the picture for who does not see it."""

    def repaint(self, dark: bool) -> None:
        """Change the colours to those of a dark or a light page."""
        self.dark = dark
