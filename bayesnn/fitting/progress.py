"""Progress on standard error: what a wait is for, and a bar while something is counted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

_watched = False
"""Whether somebody listens for compilations already."""


def announce(text: str, *, show: bool = True) -> None:
    """Say at once what the wait is for.

    Parameters
    ----------
    text : str
        One line.
    show : bool
        False says nothing.
    """
    if show:
        from rich.console import Console

        Console(stderr=True).print(f"[dim]{text}[/dim]")


@cache
def _once(text):
    announce(text)


def tell_once(text: str, *, show: bool = True) -> None:
    """Say something the first time that it is to be said in a process.

    Parameters
    ----------
    text : str
        One line; nothing is said if it is empty.
    show : bool
        False says nothing.
    """
    if show and text:
        _once(text)


@contextmanager
def compiling(*, show: bool = True) -> Iterator[None]:
    """Say that something is being compiled as soon as it is: once, and not where it is read from disk.

    Within another such block there is nothing to say: that one speaks for all.

    Parameters
    ----------
    show : bool
        False says nothing.
    """
    global _watched
    if _watched or not show:
        yield
        return
    from numba.core import event

    class Listener(event.Listener):
        told = False

        def on_start(self, event):
            if not self.told:
                self.told = True
                announce("Compiling; the first time on a machine this takes up to a minute.")

        def on_end(self, event):
            pass

    _watched = True
    try:
        # Sent where numba's caches on disk do not have a function, whether it is one of ours or PyTensor's.
        with event.install_listener("numba:compile", Listener()):
            yield
    finally:
        _watched = False


@contextmanager
def bar(description: str, total: int, *, show: bool = True) -> Iterator[Callable[[], None]]:
    """Show a progress bar; the value is a function to call after each step.

    Parameters
    ----------
    description : str
        Left of the bar.
    total : int
        Number of steps.
    show : bool
        False shows nothing.

    Yields
    ------
    callable
        Call it without arguments after each step.
    """
    if not show:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    # Where nothing can be drawn over, a bar would leave an empty line.
    drawn = console.is_terminal or console.is_jupyter
    with Progress(*columns, console=console, transient=True, disable=not drawn) as progress:
        task = progress.add_task(description, total=total)
        yield lambda: progress.advance(task)


@contextmanager
def status(description: str, *, show: bool = True) -> Iterator[Callable[[str], None]]:
    """Show one line that says how far something is; the value is a function to call with news.

    Parameters
    ----------
    description : str
        Start of the line.
    show : bool
        False shows nothing.

    Yields
    ------
    callable
        Call it with the rest of the line.
    """
    if not show:
        yield lambda text: None
        return
    from rich.console import Console

    with Console(stderr=True).status(f"{description} ...") as line:
        yield lambda text: line.update(f"{description}: {text}")
