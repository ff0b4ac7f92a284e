"""The seam to nutpie: its sampler on our compiled density.

nutpie's own compiler builds a C callback around the density for each model and cannot keep it on disk, which takes
seconds in every process. Here the callback finds its data through one table of addresses, so that it holds nothing
of a model but its code, and numba's cache serves it to every later model of the same architecture.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from nutpie import _lib
from nutpie.sample import CompiledModel

from bayesnn.fitting.objective import FlatDensity

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

    density: FlatDensity
    callbacks: tuple
    table: np.ndarray
    data: tuple
    initial_point: Any

    @property
    def n_dim(self):
        """Length of the flat vector."""
        return self.density.size

    @property
    def shapes(self):
        """Shape of the only variable."""
        return {"theta": (self.n_dim,)}

    @property
    def coords(self):
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


def compile_flat(model):
    """Compile a PyMC model for nutpie.

    Parameters
    ----------
    model : pymc.Model
        A model of `bayesnn.model.model_of`.

    Returns
    -------
    FlatModel
        For `nutpie.sample`. Chains start from draws from the prior.
    """
    import numba
    from numba import types
    from nutpie.compile_pymc import address_as_void_pointer
    from pymc.initial_point import make_initial_point_fn
    from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS, compile_numba_function_src

    density = FlatDensity(model, sign=1, jacobian=True)
    inner = density.function.vm.jit_fn
    data = tuple(np.array(s.get_value(), order="C") for s in density.function.get_shared())
    table, arguments = [], ""
    for array in data:
        at = len(table)
        table += [array.ctypes.data, *array.shape]
        shape = "".join(f"table[{at + 1 + k}]," for k in range(array.ndim))
        arguments += f", carray(address_as_void_pointer(table[{at}]), ({shape}), np.{array.dtype})"
    table = np.array([*table, 0], dtype=np.int64)

    def callback(source, name, result, arguments, key):
        env = {
            "__name__": __name__,
            "np": np,
            "carray": numba.carray,
            "address_as_void_pointer": address_as_void_pointer,
            "inner": inner,
        }
        key = sha256((__name__ + source + key).encode()).hexdigest() if key is not None else None
        function = compile_numba_function_src(source, name, env, cache_key=key)
        return numba.cfunc(result(*arguments), cache=key is not None)(function)

    doubles, size = types.CPointer(types.float64), types.uint64
    key = CACHED_SRC_FUNCTIONS.get(inner.py_func)
    source = _LOGP.format(size=len(table), arguments=arguments)
    logp = callback(source, "density", types.int64, (size, doubles, doubles, doubles, types.voidptr), key)
    copy = callback(_COPY, "copy", types.int64, (size, size, doubles, doubles, types.voidptr), "")

    start = make_initial_point_fn(model=model, default_strategy="prior", jitter_rvs=set(), return_transformed=True)
    order = [v.name for v in model.value_vars]

    def initial_point(seed):
        point = start(seed)
        return np.concatenate([np.ravel(point[name]) for name in order]).astype(np.float64)

    return FlatModel(
        dims={"theta": ("element",)},
        density=density,
        callbacks=(logp, copy),
        table=table,
        data=data,
        initial_point=initial_point,
    )
