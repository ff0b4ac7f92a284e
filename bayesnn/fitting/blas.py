"""One thread of BLAS: threads collapse on arrays as short as ours when another process is running."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


@cache
def _libraries() -> ThreadpoolController:
    # Looking for them takes milliseconds, as long as a whole climb.
    return ThreadpoolController()


def single_threaded() -> AbstractContextManager[Any]:
    """Hold the BLAS that is loaded to one thread.

    Returns
    -------
    context manager
        Of which the number of threads is what it was, at the end.

    Examples
    --------
    >>> from bayesnn.fitting.blas import single_threaded
    >>> with single_threaded():
    ...     pass
    """
    return _libraries().limit(limits=1)
