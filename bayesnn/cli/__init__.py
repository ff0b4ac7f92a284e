"""The command line: fit, compare, predict, and look at the tables."""

import os
import sys
import warnings

from bayesnn.cli import explore, fits, notebooks, tables  # noqa: F401 (what is imported declares its commands)
from bayesnn.cli.app import app
from bayesnn.cli.console import console_of, show_warning
from bayesnn.errors import BayesnnError

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; an error of the user's data or options is one message and exit code 1."""
    # Pictures go into files; matplotlib reads this when a command loads it, and opens no window.
    os.environ["MPLBACKEND"] = "agg"
    warnings.showwarning = show_warning
    try:
        app()
    except BayesnnError as error:
        console_of(stderr=True).print(f"[bold red]{type(error).__name__}[/bold red]: ", end="")
        console_of(stderr=True).print(str(error), markup=False, highlight=False)
        sys.exit(1)
