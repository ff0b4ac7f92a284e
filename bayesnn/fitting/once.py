"""What is made once in each process that tasks run in, such as a compiled density."""

import secrets
from collections.abc import Callable
from threading import Lock
from typing import Any

_LOCK = Lock()
_MADE: dict[str, Any] = {}
"""What tasks from elsewhere have made in this process: the last one, for the next of its tasks."""


class Once:
    """A function of fixed arguments that is called once in each process; sent elsewhere, it leaves its value behind.

    Parameters
    ----------
    make : callable
        Of a module, so that other processes find it.
    *arguments
        What it is called with.

    Examples
    --------
    >>> from bayesnn.fitting.once import Once
    >>> once = Once(list, "ab")
    >>> once.get() is once.get()
    True
    """

    def __init__(self, make: Callable[..., Any], *arguments: Any):
        self.make, self.arguments, self.token = make, arguments, secrets.token_hex(8)
        self.here: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave the value behind."""
        return {**self.__dict__, "here": None}

    def get(self) -> Any:
        """Give the value, which is made if it is not there yet."""
        with _LOCK:
            made = _MADE if self.here is None else self.here
            if self.token not in made:
                made.clear()
                made[self.token] = self.make(*self.arguments)
            return made[self.token]
