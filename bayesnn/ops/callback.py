"""C functions that are kept on disk: what is called with addresses in place of arrays."""

from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic
from pytensor.link.numba.cache import compile_numba_function_src


def version_of(files: Iterable[Path]) -> str:
    """Hash source files."""
    return sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


VERSION = version_of(sorted(Path(__file__).parent.glob("*.py")))
"""Hash of this folder's source. Caches on disk are keyed by it: edited code is never run from an old binary."""

DOUBLES = types.CPointer(types.float64)
DENSITY = (types.uint64, DOUBLES, DOUBLES, DOUBLES, types.voidptr)
"""Arguments of a log density: size, flat vector, gradient, value, and the table of addresses that it reads."""


@intrinsic
def pointer(typingctx, address):
    """Read an integer as an address."""

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(types.voidptr))

    return types.voidptr(address), generate


def c_function(source: str, name: str, arguments: tuple, names: dict[str, Any], key: str | None) -> Any:
    """Compile source to a C function that returns an integer.

    Parameters
    ----------
    source, name : str
        Source of a Python function, and its name; `np`, `carray` and `pointer` are there for it.
    arguments : tuple
        Numba types of its arguments.
    names : dict
        What else the source refers to.
    key : str or None
        Identity of what `names` refer to: with the source it says which compiled function on disk is this one. None
        keeps nothing on disk.

    Returns
    -------
    numba.core.ccallback.CFunc
        With its address.
    """
    names = {"__name__": __name__, "np": np, "carray": numba.carray, "pointer": pointer, **names}
    key = sha256((__name__ + source + key).encode()).hexdigest() if key is not None else None
    function = compile_numba_function_src(source, name, names, cache_key=key)
    return numba.cfunc(types.int64(*arguments), cache=key is not None, error_model="numpy")(function)
