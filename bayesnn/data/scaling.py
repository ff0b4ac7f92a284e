"""Means and standard deviations of the training rows, by which a fit standardises its data."""

import json
import math
import reprlib
from dataclasses import dataclass
from numbers import Real
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.data.checks import as_array, check_rows, check_X, columns_of, some
from bayesnn.data.columns import mean_sd
from bayesnn.errors import DataError


def _mean_sd(values, names, what):
    """Column means and standard deviations (divisor n); an unusable standard deviation raises."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean, sd = mean_sd(values)
    unusable = ~((sd > 0) & np.isfinite(sd)) | (np.ptp(values, axis=0) == 0)
    if unusable.any():
        raise DataError(
            f"Got {what} {some(np.asarray(names, dtype=object)[unusable])} with standard deviation "
            f"{sd[unusable][0]:.3g} in {len(values)} rows; scaling needs one that is positive and finite. Drop the "
            "column, change its unit, or pass scale=False."
        )
    return tuple(mean.tolist()), tuple(sd.tolist())


def _are_numbers(values):
    return isinstance(values, tuple) and all(isinstance(v, Real) and math.isfinite(v) for v in values)


@dataclass(frozen=True)
class Scaling:
    r"""Means and standard deviations of the training rows, by which a fit standardises its data.

    In scaled units :math:`\tilde x = (x - \bar x) / s_x` and :math:`\tilde y = (y - \bar y) / s_y`; labels and counts
    are left as they are.

    Parameters
    ----------
    x_mean, x_sd : tuple of float
        One number for each feature, in its unit.
    y_mean, y_sd : tuple of float or None
        One number for each target, in its unit; None where the target is not scaled.

    Notes
    -----
    The standard deviation has divisor n. A density changes with its unit:
    :math:`\log p(y) = \log p(\tilde y) - \sum_k \log s_{y,k}`.

    Examples
    --------
    >>> from bayesnn.data import Scaling
    >>> scaling = Scaling.fit([[0.0], [10.0]], [1.0, 5.0])
    >>> scaling
    Scaling(x_mean=(5.0,), x_sd=(5.0,), y_mean=(3.0,), y_sd=(2.0,))
    >>> scaling.transform_y([1.0, 5.0])
    array([-1.,  1.])
    >>> Scaling.from_json(scaling.to_json()) == scaling
    True
    """

    x_mean: tuple[float, ...]
    x_sd: tuple[float, ...]
    y_mean: tuple[float, ...] | None = None
    y_sd: tuple[float, ...] | None = None

    def __post_init__(self):
        for mean, sd in (("x_mean", "x_sd"), ("y_mean", "y_sd")):
            pair = getattr(self, mean), getattr(self, sd)
            if mean == "y_mean" and pair == (None, None):
                continue
            sizes = {len(values) if _are_numbers(values) else -1 for values in pair}
            if len(sizes) > 1 or -1 in sizes or min(pair[1], default=1.0) <= 0:
                raise DataError(
                    f"Got {mean}={pair[0]!r}, {sd}={pair[1]!r}; they must be tuples of as many finite numbers, and "
                    "standard deviations positive. Write Scaling.fit(X, y)."
                )

    @classmethod
    def fit(cls, X: ArrayLike, y: ArrayLike, scale_y: bool = True) -> Self:
        """Take means and standard deviations from the rows given: pass the training rows only.

        Parameters
        ----------
        X : array_like (n, p)
            Inputs.
        y : array_like (n,) or (n, K)
            Targets.
        scale_y : bool
            False for labels and counts.

        Returns
        -------
        Scaling
            The scaling of these rows.

        Raises
        ------
        DataError
            What `check_X` refuses, rows that differ in number, or a column that is constant.
        """
        names, y_names = columns_of(X), columns_of(y)
        X, y = check_X(X, allow_empty_features=True), as_array(y, "y")
        check_rows(X, y)
        x = _mean_sd(X, names or range(X.shape[1]), "feature columns")
        if not scale_y:
            return cls(*x)
        y = y.reshape(len(X), -1)
        return cls(*x, *_mean_sd(y, y_names or range(y.shape[1]), "target columns"))

    def transform_X(self, X: ArrayLike, *, out: np.ndarray | None = None) -> np.ndarray:
        """Bring inputs to scaled units.

        Parameters
        ----------
        X : array_like (n, p)
            Inputs in the user's units.
        out : array (n, p), optional
            Where to write them, which may be `X` itself; None makes an array.

        Returns
        -------
        array (n, p)
            Inputs in scaled units.
        """
        X = check_X(X, n_features=len(self.x_mean), allow_empty_features=True)
        out = np.subtract(X, np.array(self.x_mean), out=out)
        out /= np.array(self.x_sd)
        return out

    def inverse_X(self, X: np.ndarray) -> np.ndarray:
        """Bring inputs back to the user's units.

        Parameters
        ----------
        X : array (n, p)
            Inputs in scaled units.

        Returns
        -------
        array (n, p)
            Inputs in the user's units.
        """
        return X * np.array(self.x_sd) + np.array(self.x_mean)

    def transform_y(self, y: ArrayLike) -> np.ndarray:
        """Bring targets to scaled units.

        Parameters
        ----------
        y : array_like (...) for one target, (..., K) for K of them
            Targets in the user's units.

        Returns
        -------
        array
            Of the same shape, in scaled units; `y` itself where the target is not scaled.
        """
        y = np.asarray(y)
        return y if self.y_sd is None else (y - self._per_target(self.y_mean, y)) / self._per_target(self.y_sd, y)

    def inverse_y(self, y: ArrayLike) -> np.ndarray:
        """Bring targets or their predictions back to the user's units.

        Parameters
        ----------
        y : array_like (...) for one target, (..., K) for K of them
            Targets in scaled units.

        Returns
        -------
        array
            Of the same shape, in the user's units; `y` itself where the target is not scaled.
        """
        y = np.asarray(y)
        return y if self.y_sd is None else y * self._per_target(self.y_sd, y) + self._per_target(self.y_mean, y)

    @staticmethod
    def _per_target(values, y):
        """One number for a single target, else a vector along the last axis of y."""
        if len(values) == 1:
            return values[0]
        if y.ndim == 0 or y.shape[-1] != len(values):
            raise DataError(
                f"Got targets of shape {y.shape}; the last axis must hold the {len(values)} targets of the scaling. "
                "Move the targets to the last axis."
            )
        return np.array(values)

    @property
    def log_y_sd(self) -> float:
        """Sum of log standard deviations of the targets: subtract it from a log density in scaled units."""
        return 0.0 if self.y_sd is None else float(np.log(self.y_sd).sum())

    def to_json(self) -> str:
        """Write the scaling as JSON text.

        Returns
        -------
        str
            Read back by `Scaling.from_json`.
        """
        return json.dumps({"x_mean": self.x_mean, "x_sd": self.x_sd, "y_mean": self.y_mean, "y_sd": self.y_sd})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a scaling that `to_json` wrote.

        Parameters
        ----------
        text : str
            The JSON text.

        Returns
        -------
        Scaling
            Equal to the scaling that was written.

        Raises
        ------
        DataError
            Text that is not the JSON of a scaling.
        """
        try:
            fields = json.loads(text)
            return cls(**{name: None if v is None else tuple(map(float, v)) for name, v in fields.items()})  # type: ignore[arg-type]
        except (TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"Got {reprlib.repr(text)}, which is not the JSON text of a scaling. Write it with to_json()."
            ) from error
