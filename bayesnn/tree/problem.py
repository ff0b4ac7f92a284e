"""A network with its data, checked, scaled and named: the input of every fit."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.data import Coding, Dataset, Scaling, check_rows, check_size, check_X
from bayesnn.data.coding import needs_coding
from bayesnn.data.columns import is_large, read_large
from bayesnn.data.tables import as_frame, is_frame
from bayesnn.data.target import joined, known_of, repeated, values_of
from bayesnn.errors import SpecError
from bayesnn.losses import Loss
from bayesnn.losses.table import check_task
from bayesnn.network import MLP, Params, check_net

if TYPE_CHECKING:
    import pandas as pd

type Inputs = ArrayLike | pd.DataFrame | Dataset
"""What a function takes as X."""
type ScalingChoice = Scaling | Literal["standard", False] | None
"""What a function takes as scaling."""


@dataclass(frozen=True, eq=False)
class Problem:
    """A network and the data it is to fit, checked, scaled and named: the input of every fit.

    Parameters
    ----------
    net : MLP
        The network.
    X : array (n, p)
        Inputs in the units the model works in.
    y : array (n,) or (n, K)
        Targets in the units the model works in; with what is known of each row a structured array, as of `bnn.target`.
    scaling : Scaling or None
        How `X` and `y` were obtained from the user's units; None when they are the same.
    feature_names, output_names : tuple of str
        Coordinates of the ``feature`` and ``output`` dimensions.
    class_names : tuple of str
        Names of the labels 0, 1, ...; empty for numbers.
    coding : Coding or None
        How `X`, in the user's units, came of the columns of a table; None where these were numbers.
    """

    net: MLP
    X: np.ndarray
    y: np.ndarray
    scaling: Scaling | None
    feature_names: tuple[str, ...]
    output_names: tuple[str, ...]
    class_names: tuple[str, ...] = ()
    coding: Coding | None = None

    @property
    def values(self) -> np.ndarray:
        """Targets (n,) or (n, K) without what else is known of their rows."""
        return values_of(self.y)

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the numbers that are predicted: an output may be the logarithm of one, or a scale beside it."""
        y = self.values
        if y.ndim == 1 and self.output_names == tuple(self.net.loss.output_names(y)):
            return ("target",)
        return self.output_names[: 1 if y.ndim == 1 else y.shape[1]]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the weights and biases."""
        return self.net.shapes(self.X.shape[1], len(self.output_names))

    @property
    def coords(self) -> dict[str, Any]:
        """Coordinates of every dimension but ``obs``."""
        hidden = {f"hidden_{i}": np.arange(1, h + 1) for i, h in enumerate(self.net.hidden, start=1)}
        return {"feature": list(self.feature_names), **hidden, "output": list(self.output_names)}

    def log_likelihood(self, params: Params) -> np.ndarray:
        """Log-likelihood (...) of all rows at weights with those leading dimensions, in the user's units."""
        blocks = self.net.row_blocks(params, len(self.X))
        parts = [self.net.log_likelihood(params, self.X[rows], self.y[rows]).sum(axis=-1) for rows in blocks]
        return sum(parts[1:], start=parts[0]) - self.log_units

    def elements(self, name: str, shape: tuple[int, ...]) -> list[str]:
        """Names of the elements of a parameter, such as ``"W1[x1, 2]"``, by their coordinates or counted from 1."""
        dims, coords = self.net.dims(), self.coords
        labels = [coords[d] for d in dims[name]] if name in dims else [range(1, k + 1) for k in shape]
        places = (", ".join(str(axis[i]) for axis, i in zip(labels, at, strict=True)) for at in np.ndindex(shape))
        return [f"{name}[{place}]" if place else name for place in places]

    @property
    def log_y_sd(self) -> float:
        """Sum over the targets of log standard deviations, by which log densities are larger in scaled units."""
        return self.scaling.log_y_sd if self.scaling is not None else 0.0

    @property
    def log_units(self) -> float:
        """What the log-likelihood of all rows is larger by than in the user's units."""
        return len(self.X) * self.log_y_sd

    @property
    def y_sd(self) -> np.ndarray:
        """Standard deviations (K,) by which scaled targets are multiplied; ones where they are not scaled."""
        if self.scaling is not None and self.scaling.y_sd is not None:
            return np.array(self.scaling.y_sd)
        return np.ones(1 if self.values.ndim == 1 else self.values.shape[1])


def column_names(X: Any) -> tuple[str, ...] | None:
    """Names of the columns of a frame; None for an array."""
    columns = getattr(X, "columns", None)
    return tuple(str(c) for c in columns) if columns is not None else None


def numbered(n: int) -> tuple[str, ...]:
    """Names of n columns that have none."""
    return tuple(f"x{i + 1}" for i in range(n))


def _target_words(data):
    if data.class_names is None:
        return data.task
    more = ", ..." if len(data.class_names) > 3 else ""
    return f"label ({', '.join(map(str, data.class_names[:3]))}{more})"


def prepare(net: MLP, X: Inputs, y: ArrayLike | None = None, *, scaling: ScalingChoice = None) -> Problem:
    """Check and scale the data of a fit; nothing is compiled before this has passed.

    Parameters
    ----------
    net : MLP
        The network.
    X : array (n, p), DataFrame or Dataset
        Inputs. A Dataset brings its own training targets, names, coding and scaling; text and booleans of a DataFrame
        are coded as `Coding.fit` says.
    y : array (n,) or (n, K), optional
        Targets, plain or from `bnn.target`; left out when `X` is a Dataset.
    scaling : None, "standard", False or Scaling
        None takes the Dataset's own (none for arrays), ``"standard"`` centres and scales by these rows, False
        works in the user's units.

    Returns
    -------
    Problem
        Everything that a fit needs.

    Raises
    ------
    DataError
        Data that break a rule.
    SpecError
        A network or scaling that is not one; labels or counts with a loss for other targets, unless that was given
        as an instance such as ``SquaredError()``.
    """
    check_net(net)
    class_names = target_names = coding = None
    if isinstance(X, Dataset):
        if y is not None:
            raise SpecError(
                "Got a Dataset and y; a Dataset brings its own targets. Leave y out, or pass data.X, data.y."
            )
        data = X
        check_task(net.loss, data.task, f"the Dataset {data.name!r}, whose target is a {_target_words(data)}")
        X, y, names = data.X, data.y, tuple(data.feature_names)
        class_names, target_names, coding = data.class_names, data.target_names, data.coding
        scaling = data.scaling if scaling is None else scaling
    else:
        if is_frame(X):
            X = as_frame(X)
            if needs_coding(X):
                X, coding = _coded(X)
        names = column_names(X)
        if y is None:
            raise SpecError("Got no y; inputs that are not a Dataset need their targets. Pass X, y.")
    large = is_large(X)
    if large:
        X = read_large(X, check_constant=bool(net.bias))
    else:
        X = check_X(X, allow_empty_features=not net.hidden, check_constant=net.bias)
    y = checked_target(net.loss, y)
    check_rows(X, y)
    X, y = repeated(X, y)
    known, y = known_of(y), values_of(y)
    if isinstance(scaling, str) and scaling == "standard":
        scaling = Scaling.fit(X, y, scale_y=net.loss.support == "real")
        scaling = scaling if coding is None else coding.keep_units(scaling)
    elif scaling is False:
        scaling = None
    elif scaling is not None and not isinstance(scaling, Scaling):
        raise SpecError(
            f"Got scaling={scaling!r}; it must be None, 'standard', False or a bnn.Scaling. Write "
            "scaling='standard', or leave it out."
        )
    if scaling is not None and net.loss.support != "real":
        # A number that this loss takes as it is.
        scaling = replace(scaling, y_mean=None, y_sd=None)
    if scaling is not None:
        X = scaling.transform_X(X, out=X if large else None)
        y = scaling.transform_y(y) if net.loss.support == "real" else y
    check_size(X, "X", names or numbered(X.shape[1]))
    check_size(y, "y")
    outputs = net.loss.output_names(y)
    labels = ()
    if net.loss.task in ("binary", "classes", "ordinal"):
        labels = tuple(str(c) for c in class_names) if class_names is not None else tuple(map(str, range(y.max() + 1)))
        outputs = labels if net.loss.task == "classes" else outputs
    elif target_names is not None and net.loss.task in ("regression", "count"):
        outputs = (*target_names, *outputs[len(target_names) :])
    names = names or numbered(X.shape[1])
    y = joined({"y": y, **known})
    return Problem(net, X, y, scaling, names, tuple(str(o) for o in outputs), labels, coding)


def checked_target(loss: Loss, y: Any) -> np.ndarray:
    """Check a target, and what is known of its rows, against the loss that is to take it.

    Parameters
    ----------
    loss : Loss
        Of a network.
    y : array
        From a user: plain, or from `bnn.target`.

    Returns
    -------
    array (n,) or (n, K)
        Of the type that the loss works with, and with the same fields.

    Raises
    ------
    DataError
        Targets that break a rule.
    SpecError
        Something that the loss has no use for, or can't do without.
    """
    known = known_of(y)
    loss.check_given(known)
    values = loss.check_target(values_of(y))
    loss.check_known(values, known)
    return joined({"y": values, **known})


def _coded(frame):
    """Numbers of a frame that has other columns, by name, and how they were made."""
    import pandas as pd

    coding = Coding.fit(frame)
    X = pd.DataFrame(coding.transform(frame), columns=list(coding.feature_names), copy=False)
    return X, None if coding.is_plain else coding
