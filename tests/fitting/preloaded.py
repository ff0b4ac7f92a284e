"""Imported once, by the server that forks processes for `test_store`: what a fit loads when it is first needed."""

import contextlib
import importlib

from numba.core.registry import cpu_target

import tests.fitting.test_store  # noqa: F401

for name in ("arviz", "bayesnn.fitting.nuts", "bayesnn.ops.tempering", "cffi", "dask.array", "jax", "pyarrow"):
    # Some are not ours: xarray and nutpie look whether they are there.
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
cpu_target.target_context.refresh()
