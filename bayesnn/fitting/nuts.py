"""The seam to nutpie: its sampler on our compiled density.

nutpie's own compiler builds a C callback around the density for each model and cannot keep it on disk, which takes
seconds in every process. Here the callback finds its data through one table of addresses, so that it holds nothing
of a model but its code, and numba's cache serves it to every later model of the same architecture.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import types
from nutpie import _lib
from nutpie.sample import CompiledModel
from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS

from bayesnn.fitting.density import FusedDensity, Layout, ModelDensity
from bayesnn.ops.callback import DENSITY, DOUBLES, c_function

_LOGP = """
def density(dim, x_, out_, value_, table_):
    table = carray(table_, ({size},), np.int64)
    try:
        value, gradient = inner(carray(x_, (dim,)){arguments})
    except Exception:
        return 1
    out = carray(out_, (dim,))
    carray(value_, (1,))[0] = value.item()
    for i in range(dim):
        out[i] = gradient[i]
        if not np.isfinite(out[i]):
            return 3
    return 0 if np.isfinite(value.item()) else 4
"""

_COPY = """
def copy(dim, size, x_, out_, table_):
    x, out = carray(x_, (dim,)), carray(out_, (size,))
    for i in range(dim):
        out[i] = x[i]
    return 0
"""


@dataclass(frozen=True)
class FlatModel(CompiledModel):
    """What nutpie samples: one flat vector, ``theta``."""

    density: Layout
    callbacks: tuple
    table: np.ndarray
    data: Any
    initial_point: Any

    @property
    def n_dim(self) -> int:
        """Length of the flat vector."""
        return self.density.size

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of the only variable."""
        return {"theta": (self.n_dim,)}

    @property
    def coords(self) -> dict[str, np.ndarray]:
        """Numbers of the elements."""
        return {"element": np.arange(self.n_dim)}

    def _make_model(self, init_mean):
        logp, expand = self.callbacks
        address, sizes = self.table.ctypes.data, {"element": self.n_dim}
        return _lib.PyMcModel(
            _lib.LogpFunc(logp.address, address, self),
            _lib.ExpandFunc(self.n_dim, self.n_dim, expand.address, address, self),
            _lib.PyVariable.new_variables(["theta"], ["float64"], [(self.n_dim,)], sizes, self.dims),
            self.n_dim,
            sizes,
            self.coords,
            self.initial_point,
            None,
        )

    def _make_sampler(self, settings, init_mean, cores, progress_type, callback, callback_rate, store):
        model = self._make_model(init_mean)
        return _lib.PySampler.from_pymc(settings, cores, model, progress_type, callback, callback_rate, store)


def compile_flat(density: FusedDensity | ModelDensity) -> FlatModel:
    """Make a log density one that nutpie samples.

    Parameters
    ----------
    density : FusedDensity or ModelDensity
        With Jacobians; its `prior_draw` is where a chain starts.

    Returns
    -------
    FlatModel
        For `nutpie.sample`.
    """
    if isinstance(density, FusedDensity):
        logp, table, kept = density.density.callback, density.density.table, density
    else:
        logp, table, kept = _callback_of(density)
    copy = c_function(_COPY, "copy", (types.uint64, types.uint64, DOUBLES, DOUBLES, types.voidptr), {}, "")
    return FlatModel(
        dims={"theta": ("element",)},
        density=density,
        callbacks=(logp, copy),
        table=table,
        data=kept,
        initial_point=density.prior_draw,
    )


def _callback_of(density):
    """C function of a PyMC model's density, the table of addresses that it reads, and the arrays that these are of."""
    inner = density.function.vm.jit_fn
    data = tuple(np.array(s.get_value(), order="C") for s in density.function.get_shared())
    table, arguments = [], ""
    for array in data:
        at = len(table)
        table += [array.ctypes.data, *array.shape]
        shape = "".join(f"table[{at + 1 + k}]," for k in range(array.ndim))
        arguments += f", carray(pointer(table[{at}]), ({shape}), np.{array.dtype})"
    table = np.array([*table, 0], dtype=np.int64)
    source = _LOGP.format(size=len(table), arguments=arguments)
    key = CACHED_SRC_FUNCTIONS.get(inner.py_func)
    return c_function(source, "density", DENSITY, {"inner": inner}, key), table, data
