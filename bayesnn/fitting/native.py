"""The private seam to nutpie: its sampler on our compiled density, called from compiled code.

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

from bayesnn.fitting.callbacks import callback_of
from bayesnn.fitting.density import FusedDensity, Layout, ModelDensity
from bayesnn.ops.callback import DOUBLES, c_function

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
            _lib.LogpFunc(logp, address, self),
            _lib.ExpandFunc(self.n_dim, self.n_dim, expand, address, self),
            _lib.PyVariable.new_variables(["theta"], ["float64"], [(self.n_dim,)], sizes, self.dims),
            self.n_dim,
            sizes,
            self.coords,
            self.initial_point,
            None,
        )

    def _make_sampler(self, settings, init_mean, cores, progress_type, *rest):
        return _lib.PySampler.from_pymc(settings, cores, self._make_model(init_mean), progress_type, *rest)


SIGNATURES = {
    "PyMcModel": "(density, expand, variables, dim, dim_sizes, coords, init_func, transform_adapter)",
    "LogpFunc": "(ptr, user_data_ptr, keep_alive)",
    "ExpandFunc": "(dim, expanded_dim, ptr, user_data_ptr, keep_alive)",
    "PyVariable.new_variables": "($cls, names, item_types, shapes, dim_sizes, dims)",
    "PySampler.from_pymc": "(settings, cores, model, progress_type, ",
}
"""What of nutpie is called, each with how its arguments begin."""


def changed() -> list[str]:
    """List what of nutpie is not what it was when this was written.

    Returns
    -------
    list of str
        Names in nutpie's compiled library; empty if all of it is as it was.
    """
    return [name for name, known in SIGNATURES.items() if not _signature(name).startswith(known)]


def _signature(name):
    found: Any = _lib
    for part in name.split("."):
        found = getattr(found, part, None)
    return getattr(found, "__text_signature__", None) or ""


def compile_native(density: FusedDensity | ModelDensity) -> FlatModel:
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
    logp = callback_of(density)
    copy = c_function(_COPY, "copy", (types.uint64, types.uint64, DOUBLES, DOUBLES, types.voidptr), {}, "")
    return FlatModel(
        dims={"theta": ("element",)},
        density=density,
        callbacks=(logp.address, copy.address),
        table=logp.table,
        data=(logp, copy),
        initial_point=density.prior_draw,
    )
