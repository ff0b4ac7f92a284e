"""The numbers of a prior: checked, and handed to a model as data."""

import math
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.arguments import LARGEST, SCALE, is_scale
from bayesnn.errors import SpecError

if TYPE_CHECKING:
    from pytensor.tensor.sharedvar import TensorSharedVariable


def setting(name: str, value: float) -> "TensorSharedVariable":
    """Hand a number to a model as data and not as a constant: compiled code then serves every other value too."""
    import pytensor

    return pytensor.shared(np.float64(value), name=name)


def set_positive(spec: Any, *names: str) -> None:
    """Convert the named fields of a frozen dataclass to floats that must be scales or rates."""
    _set(spec, names, SCALE, is_scale)


def set_logarithm(spec: Any, *names: str) -> None:
    """Convert the named fields of a frozen dataclass to floats that must be logarithms of scales."""
    most = math.floor(math.log(LARGEST))
    rule = f"a finite number, from {-most} to {most}: it is the logarithm of a scale"
    _set(spec, names, rule, lambda value: -most <= value <= most)


def _set(spec, names, rule, valid):
    for name in names:
        value = getattr(spec, name)
        if isinstance(value, bool | np.bool_) or not isinstance(value, Real) or not valid(value):
            raise SpecError(
                f"Got {type(spec).__name__}({name}={value!r}); {name} must be {rule}. "
                f"Write for example {type(spec).__name__}({name}=1.0)."
            )
        object.__setattr__(spec, name, float(value))
