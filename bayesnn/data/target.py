"""Targets with what is known of each row: how long was counted, how often was tried, how precise a number is."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bayesnn.data.checks import as_array
from bayesnn.errors import DataError, SpecError

KNOWN = ("exposure", "trials", "precision")
"""What may be known of each row beside its target, by name."""
MOST_ROWS = 10_000_000
"""Most rows that repeated ones may become."""


def target(
    y: ArrayLike,
    *,
    exposure: ArrayLike | None = None,
    trials: ArrayLike | None = None,
    precision: ArrayLike | None = None,
    repeats: ArrayLike | None = None,
    weights: Any = None,
) -> np.ndarray:
    r"""Join a target to what is known of each of its rows, so that they stay together wherever rows are chosen.

    A "case weight" has several meanings, and they are different likelihoods. Each has its own name here.

    Parameters
    ----------
    y : array (n,) or (n, K)
        The target, as a loss takes it.
    exposure : array (n,) or float, optional
        For counts (``"poisson"``, ``"negative_binomial"``): time, area or number at risk in which was counted. The
        mean of :math:`y_i` is :math:`e_i \exp f(x_i)`; :math:`\log e_i` is what other programs call the offset.
    trials : array (n,) or int, optional
        For ``"binomial"``: how often was tried; y counts the successes.
    precision : array (n,) or float, optional
        For a loss with a noise scale: the scale of row i is :math:`s / \sqrt{w_i}`. A mean of :math:`w_i`
        measurements has this precision; so have measurements with known relative standard errors
        :math:`1 / \sqrt{w_i}`. Elsewhere: analytic, or inverse-variance, weights.
    repeats : array (n,) of int, optional
        How many rows each row stands for, all alike; zero drops it. A fit repeats them. Elsewhere: frequency weights.
    weights : None
        Not taken, as it does not say which of these it is.

    Returns
    -------
    array (n,)
        A structured array with the fields ``y`` and those that were given. Rows are chosen as of any array,
        ``t[rows]``, and ``t["y"]`` is the target alone.

    Raises
    ------
    DataError
        Another number of rows, or numbers that can't be what they are called.
    SpecError
        ``weights``.

    Notes
    -----
    A survey (sampling, probability) weight says how many people of the population a respondent stands for. Raising
    each likelihood to that power gives an estimate, but it is no likelihood: nobody was observed that often, and a
    posterior made of it is too narrow by as much as the weights are large. Put what the weights were made of (strata,
    age, region) among the inputs, and weight the predictions instead.

    References
    ----------
    A. Gelman, "Struggles with survey weighting and regression modeling", Statistical Science 22 (2007).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> accidents = bnn.target([2, 0, 5], exposure=[1.0, 0.5, 2.0])
    >>> accidents[1:]["exposure"]
    array([0.5, 2. ])
    """
    if weights is not None:
        raise SpecError(
            "Got weights, which may mean several things. Write repeats= for rows that stand for several alike, "
            "precision= for a noise of variance noise**2 / precision, trials= or exposure= for counts. A survey weight "
            "is no likelihood: put what it was made of among the inputs, and weight the predictions."
        )
    fields: dict[str, Any] = {"y": as_array(y, "y", ndim=(1, 2))}
    n = len(fields["y"])
    for name, values in {"exposure": exposure, "trials": trials, "precision": precision, "repeats": repeats}.items():
        if values is not None:
            fields[name] = check_known(name, values, n)
    if len(fields) == 1:
        raise SpecError(
            "Got a target without exposure, trials, precision or repeats; something must be known of its rows. Pass y "
            "as it is."
        )
    return joined(fields)


def check_known(name: str, values: ArrayLike, n: int) -> np.ndarray:
    """Turn what is known of rows into an array, or raise where it can't be what it is called.

    Parameters
    ----------
    name : str
        An argument of `target`.
    values : array (n,) or float
        From a user.
    n : int
        Number of rows.

    Returns
    -------
    array (n,)
        float64.

    Raises
    ------
    DataError
        Another number of rows, or numbers that break the rule of their name.
    """
    array = as_array(np.broadcast_to(values, (n,)) if np.ndim(values) == 0 else values, name, ndim=(1,))
    if len(array) != n:
        raise DataError(f"Got {name} of {len(array)} rows where there are {n}; each row has its own. Pass as many.")
    whole, least = name in ("trials", "repeats"), 0.0 if name == "repeats" else np.finfo(float).tiny
    wrong = (array < least) | (whole & (array % 1 != 0))
    if wrong.any():
        rule = {
            "exposure": "positive. Drop rows in which nothing could be counted",
            "trials": "the integers 1, 2, ... Drop rows without trials",
            "precision": "positive. Drop rows of which nothing is known",
            "repeats": "the integers 0, 1, 2, ... For a known variance write precision=",
        }[name]
        at = int(np.argmax(wrong))
        raise DataError(f"Got {name} {array[at]:g} at row {at}; they must be {rule}.")
    if name == "repeats" and not 1 <= array.sum() <= MOST_ROWS:
        raise DataError(
            f"Got repeats that add up to {array.sum():g}; there must be a row, and {MOST_ROWS:,} at most. Of labels "
            "and counts write sums: loss='binomial' with trials=, loss='poisson' with exposure=."
        )
    return array


def joined(fields: dict[str, np.ndarray]) -> np.ndarray:
    """Make a structured array of a target and what is known of its rows.

    Parameters
    ----------
    fields : dict of str to array (n, ...)
        ``y`` and any of `KNOWN`; nothing but ``y`` is returned as it is.

    Returns
    -------
    array
        (n,) with these fields.
    """
    if len(fields) == 1:
        return fields["y"]
    out = np.empty(len(fields["y"]), dtype=[(name, a.dtype, a.shape[1:]) for name, a in fields.items()])
    for name, values in fields.items():
        out[name] = values
    return out


def values_of(y: Any) -> Any:
    """Take the target alone.

    Parameters
    ----------
    y : array
        From `target`, or any other, which is returned as it is.

    Returns
    -------
    array (n,) or (n, K)
        The target.
    """
    return y["y"] if is_joined(y) else y


def known_of(y: Any) -> dict[str, np.ndarray]:
    """Take what is known of each row.

    Parameters
    ----------
    y : array
        From `target`, or any other.

    Returns
    -------
    dict of str to array (n,)
        By name; empty for a plain target.
    """
    return {name: y[name] for name in y.dtype.names if name != "y"} if is_joined(y) else {}


def rates_of(y: np.ndarray) -> np.ndarray:
    """Divide counts by their exposure or trials.

    Parameters
    ----------
    y : array
        From `target`, or any other.

    Returns
    -------
    array (n,) or (n, K)
        What outputs predict for one unit of exposure, or one trial.
    """
    known = known_of(y)
    for name in ("exposure", "trials"):
        if name in known:
            return values_of(y) / known[name]
    return values_of(y)


def is_joined(y: Any) -> bool:
    """Whether an array comes from `target`."""
    return isinstance(y, np.ndarray) and y.dtype.names is not None and y.dtype.names[0] == "y"


def repeated(X: Any, y: np.ndarray) -> tuple[Any, np.ndarray]:
    """Repeat rows as often as their target says.

    Parameters
    ----------
    X : array (n, p)
        Inputs.
    y : array
        From `target`, or any other.

    Returns
    -------
    X, y : array
        All rows, with what else is known of them.
    """
    known = known_of(y)
    if "repeats" not in known:
        return X, y
    counts = known.pop("repeats").astype(np.int64)
    y = joined({"y": values_of(y), **known})
    return np.repeat(X, counts, axis=0), np.repeat(y, counts, axis=0)
