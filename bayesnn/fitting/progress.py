"""Progress on standard error: an announcement before a wait, and a bar while something is counted."""

from contextlib import contextmanager


def announce(text, *, show=True):
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


@contextmanager
def bar(description, total, *, show=True):
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
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(description, total=total)
        yield lambda: progress.advance(task)
