"""The command line: fit, compare, predict, and look at the tables."""

import os
import sys
import warnings

from bayesnn.cli import explore, fits, notebooks, tables  # noqa: F401 (what is imported declares its commands)
from bayesnn.cli.app import app
from bayesnn.cli.console import console_of, show_warning
from bayesnn.errors import BayesnnError

__all__ = ["app", "main"]

INTERRUPTED = 130
"""Exit code of a command that Ctrl-C has ended, as shells have it."""


def main() -> None:
    """Run the command line.

    The exit code is 0, or 1 with one message where data or options break a rule or the unexpected happened; 2 where
    the command itself can't be read, and 130 after Ctrl-C.
    """
    # Pictures go into files; matplotlib reads this when a command loads it, and opens no window.
    os.environ["MPLBACKEND"] = "agg"
    warnings.showwarning = show_warning
    words = [word for word in sys.argv[1:] if word != "--traceback"]
    try:
        app(args=words)
    except (SystemExit, KeyboardInterrupt) as end:
        code = end.code if isinstance(end, SystemExit) else INTERRUPTED
        if code == INTERRUPTED:
            _tell("Interrupted", "what was saved before is whole.")
        sys.exit(code)
    except Exception as error:
        if len(words) < len(sys.argv) - 1:
            raise
        if isinstance(error, BayesnnError):
            _tell(type(error).__name__, str(error))
        elif isinstance(error, MemoryError):
            _tell("MemoryError", f"{error or 'no more memory'}. Take fewer rows, draws or units.")
        else:
            said = " ".join(str(error).split())[:300]
            _tell(
                "Unexpected",
                f"{type(error).__name__}{f': {said}' if said else ''}. This is a fault of bayesnn: please report it "
                "with the output of the same command and --traceback.",
            )
        sys.exit(1)


def _tell(kind, text):
    console = console_of(stderr=True)
    console.print(f"[bold red]{kind}[/bold red]: ", end="")
    console.print(text, markup=False, highlight=False)
