"""What nutpie samples: our density by the private seam, where this version of nutpie has it, otherwise in public."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from bayesnn.errors import FitError
from bayesnn.fitting.density import FusedDensity, ModelDensity

NEWEST = (0, 16)
"""Of nutpie, the newest series whose private part was tried: a C function that is called wrongly raises nothing.

To be raised when the tests of samplers have passed with the next one.
"""


class OutsideError(ArithmeticError):
    """A point at which the density is not finite: for nutpie a divergence, and not the end of the chain."""

    is_recoverable = True


def compile_flat(density: FusedDensity | ModelDensity) -> Any:
    """Make a log density one that nutpie samples.

    Parameters
    ----------
    density : FusedDensity or ModelDensity
        With Jacobians; its `prior_draw` is where a chain starts.

    Returns
    -------
    nutpie.sample.CompiledModel
        For `nutpie.sample`; one flat vector, ``theta``.

    Raises
    ------
    FitError
        A nutpie that lacks its public interface, too.
    """
    if not unknown():
        from bayesnn.fitting.native import compile_native

        return compile_native(density)
    try:
        return _compile_public(density)
    except (ImportError, AttributeError, TypeError) as error:
        raise FitError(
            f"Got nutpie {_version()}, which can't be given a density ({error}); up to "
            f"{'.'.join(map(str, NEWEST))} it can. Install that one, or write sampler='pymc'."
        ) from error


def unknown() -> str:
    """Say why nutpie is used by its public interface, in a line for whoever waits.

    Returns
    -------
    str
        Empty where our compiled density is called directly.
    """
    found = _unknown()
    return found and (
        f"{found}: its public interface is used, which takes about ten times as long. "
        f"nutpie {'.'.join(map(str, NEWEST))} is faster."
    )


@cache
def _unknown():
    version = _version()
    if _series(version) > NEWEST:
        return f"nutpie {version} is newer than this version of bayesnn knows"
    try:
        from bayesnn.fitting.native import changed
    except ImportError as error:
        return f"nutpie {version} lacks what this version of bayesnn calls ({error})"
    if names := changed():
        return f"nutpie {version} has changed what this version of bayesnn calls ({', '.join(names)})"
    return ""


def _version():
    import nutpie

    return nutpie.__version__


def _series(version):
    return tuple(map(int, re.findall(r"\d+", version)[:2]))


def _compile_public(density):
    # nutpie's own compiler would make each gradient cheaper, but first takes half a minute for every model.
    from nutpie.compiled_pyfunc import from_pyfunc

    return from_pyfunc(
        density.size,
        lambda: _log_density(density),
        lambda *seeds: _expand,
        [np.dtype("float64")],
        [(density.size,)],
        ["theta"],
        coords={"element": np.arange(density.size)},
        dims={"theta": ("element",)},
        make_initial_point_fn=density.prior_draw,
    )


def _log_density(density) -> Callable:
    # Every chain has its thread, and a function of PyTensor's one place for its inputs.
    lock = getattr(density, "lock", None)

    def evaluate(x, **nothing):
        if lock is None:
            value, gradient = density(x)
        else:
            with lock:
                value, gradient = density(x)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            raise OutsideError
        return float(value), gradient

    return evaluate


def _expand(x, **nothing):
    return {"theta": x}
