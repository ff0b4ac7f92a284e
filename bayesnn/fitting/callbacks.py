"""Log densities as C functions with a table of what they read: for samplers whose loop is compiled."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS

from bayesnn.fitting.density import FusedDensity, ModelDensity
from bayesnn.ops.callback import DENSITY, c_function

_LOGP = """
def density(dim, x_, out_, value_, table_):
    table = carray(table_, ({size},), np.int64)
    try:
        values, gradients = inner(carray(x_, (dim,)){arguments})
    except Exception:
        return 1
    out, value = carray(out_, ({parts} * dim,)), carray(value_, ({parts},))
    code = 0
    for i in range({parts}):
        value[i] = values[i]
        if not np.isfinite(value[i]):
            code = 4
    for i in range({parts} * dim):
        out[i] = gradients[i]
        if not np.isfinite(out[i]):
            code = 3
    return code
"""


@dataclass(frozen=True)
class Callback:
    """A log density for compiled loops.

    Parameters
    ----------
    address : int
        Of the C function; see `bayesnn.ops.callback.DENSITY`.
    table : array of int
        What it reads as its last argument.
    kept : object
        What must stay alive for the addresses to mean something.
    """

    address: int
    table: np.ndarray
    kept: Any


def callback_of(density: FusedDensity | ModelDensity) -> Callback:
    """C function of a density; of a split one it gives log-likelihood and log-prior apart, and both gradients.

    Parameters
    ----------
    density : FusedDensity or ModelDensity
        With Jacobians.

    Returns
    -------
    Callback
        Address and table.
    """
    if isinstance(density, FusedDensity):
        inner = density.density
        return Callback(inner.callback.address, inner.split_table if density.split else inner.table, density)
    inner = density.function.vm.jit_fn
    data = tuple(np.array(s.get_value(), order="C") for s in density.function.get_shared())
    places: list[int] = []
    arguments = ""
    for array in data:
        at = len(places)
        places += [array.ctypes.data, *array.shape]
        shape = "".join(f"table[{at + 1 + k}]," for k in range(array.ndim))
        arguments += f", carray(pointer(table[{at}]), ({shape}), np.{array.dtype})"
    table = np.array([*places, 0], dtype=np.int64)
    source = _LOGP.format(size=len(table), arguments=arguments, parts=2 if density.split else 1)
    key = CACHED_SRC_FUNCTIONS.get(inner.py_func)
    function = c_function(source, "density", DENSITY, {"inner": inner}, key)
    return Callback(function.address, table, (density, data, function))
