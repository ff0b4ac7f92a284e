"""Threads of the compiled log density: how many there may be, and the C functions that start one and wait for it.

A thread is started for each evaluation that is long enough and ends with it. Starting one takes some microseconds; in
return there is no pool that a fork would lose, and a thread of any library may ask for helpers.
"""

import ctypes
import os
from functools import cache

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from bayesnn.ops.simd import INT


def cores() -> int:
    """Count the cores that this process may use.

    Returns
    -------
    int
        No more than the environment variable ``OMP_NUM_THREADS`` allows, by which those who start several processes
        on one machine share it out.
    """
    known = getattr(os, "sched_getaffinity", None)
    count = len(known(0)) if known else os.cpu_count() or 1
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(count, int(asked))) if asked.isdigit() else count


def threads_of(chains: int, at_most: int | None = None) -> int:
    """Share the cores out among chains that run side by side.

    Parameters
    ----------
    chains : int
        How many there are.
    at_most : int, optional
        Cores that they may take together; None means all.

    Returns
    -------
    int
        Threads for each: one, unless there are fewer chains than cores.
    """
    return max(1, (cores() if at_most is None else min(at_most, cores())) // max(chains, 1))


@cache
def starters() -> tuple[int, int]:
    """Give the addresses of ``pthread_create`` and ``pthread_join``; zeros where a system has none, as Windows."""
    try:
        library = ctypes.CDLL(None)
        pair = library.pthread_create, library.pthread_join
    except (TypeError, OSError, AttributeError):
        return 0, 0
    create, join = (ctypes.cast(function, ctypes.c_void_p).value or 0 for function in pair)
    return create, join


def _data(context, builder, kind, array):
    return context.make_array(kind)(context, builder, array).data


@intrinsic
def start_thread(typingctx, create, entry, argument, identity):
    """Start a thread on a C function with the address of an array; write its identity to an array, and return 0."""

    def generate(context, builder, signature, arguments):
        address, entry, argument, identity = arguments
        pointer = ir.PointerType()
        kind = ir.FunctionType(ir.IntType(32), [pointer] * 4)
        target = builder.inttoptr(address, kind.as_pointer())
        places = [
            _data(context, builder, signature.args[3], identity),
            ir.Constant(INT, 0),
            entry,
            _data(context, builder, signature.args[2], argument),
        ]
        as_pointers = [
            builder.inttoptr(v, pointer) if v.type == INT else v if v.type == pointer else builder.bitcast(v, pointer)
            for v in places
        ]
        return builder.call(target, as_pointers)

    return types.int32(create, entry, argument, identity), generate


@intrinsic
def wait_for(typingctx, join, identity):
    """Wait for a thread to end."""

    def generate(context, builder, signature, arguments):
        address, identity = arguments
        pointer = ir.PointerType()
        kind = ir.FunctionType(ir.IntType(32), [INT, pointer])
        nothing = builder.inttoptr(ir.Constant(INT, 0), pointer)
        return builder.call(builder.inttoptr(address, kind.as_pointer()), [identity, nothing])

    return types.int32(join, identity), generate


@intrinsic
def claim(typingctx, counter):
    """Take the next number from the first element of an array, which no other thread gets then."""

    def generate(context, builder, signature, arguments):
        place = _data(context, builder, signature.args[0], arguments[0])
        place = builder.bitcast(place, INT.as_pointer()) if place.type != INT.as_pointer() else place
        return builder.atomic_rmw("add", place, ir.Constant(INT, 1), "seq_cst")

    return types.int64(counter), generate
