"""What calibration looks at: quantities of a network's parameters and data, and the rank of a truth among draws."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from bayesnn.errors import SpecError, UnknownNameError
from bayesnn.network import MLP, Params
from bayesnn.symmetry import apply_symmetry
from bayesnn.symmetry.align import canonical_element, spread
from bayesnn.symmetry.optima import function_at
from bayesnn.tree import Problem

type Quantity = str | Callable[[Params, np.ndarray, np.ndarray], np.ndarray]
"""A name of `QUANTITIES`, or a function of parameters, inputs and targets."""

QUANTITIES = ("function", "log_likelihood", "noise", "sum_of_squares", "canonical")


def check_quantities(net: MLP, quantities: Sequence[Quantity] | None) -> tuple[Quantity, ...]:
    """Check quantities; those that apply where none are given."""
    fixed = net.noise_prior is None
    if quantities is None:
        return tuple(name for name in QUANTITIES if not (name == "noise" and fixed))
    wanted = (quantities,) if isinstance(quantities, str) or callable(quantities) else tuple(quantities)
    for name in wanted:
        if not callable(name) and name not in QUANTITIES:
            raise UnknownNameError("quantity", name, QUANTITIES)
    if not wanted or ("noise" in wanted and fixed):
        got = "'noise' among the quantities of a network that learns none" if wanted else "no quantities"
        raise SpecError(f"Got {got}; there is nothing to rank. Write quantities=('function', 'log_likelihood').")
    return wanted


def measure(
    problem: Problem, params: Params, y: np.ndarray, grid: np.ndarray, wanted: Sequence[Quantity]
) -> Iterator[tuple[str, np.ndarray]]:
    """Find quantities of draws.

    Parameters
    ----------
    problem : Problem
        Network and inputs.
    params : dict of str to array (chain, draw, ...)
        The draws.
    y : array (n,) or (n, K)
        Targets.
    grid : array (m, p)
        Inputs at which the function is followed.
    wanted : sequence of str and callable
        As `check_quantities` returns them.

    Yields
    ------
    str, array (chain, draw)
        A label and its values.
    """
    net, X = problem.net, problem.X
    batch = next(iter(params.values())).shape[:2]
    for quantity in wanted:
        if callable(quantity):
            value = np.asarray(quantity(params, X, y), dtype=float)
            name = getattr(quantity, "__name__", repr(quantity))
            if value.shape != batch:
                raise SpecError(
                    f"Got the quantity {name}, which returns shape {value.shape} for parameters of {batch[0]} chains "
                    f"of {batch[1]} draws; it must return {batch}. Sum over all but the first two dimensions."
                )
            yield name, value
        elif quantity == "function":
            f = function_at(net, params, grid)
            for i, k in np.ndindex(f.shape[2:]):
                at = f"{problem.feature_names[0]}={grid[i, 0]:.3g}" if grid.shape[1] == 1 else f"input {i}"
                yield f"f[{at}, {k}]" if f.shape[-1] > 1 else f"f[{at}]", f[..., i, k]
        elif quantity == "log_likelihood":
            yield "log-likelihood", net.log_likelihood(params, X, y).sum(axis=-1)
        elif quantity == "noise":
            yield "noise", params["noise"]
        elif quantity == "sum_of_squares":
            squares = [np.square(v).reshape(*batch, -1).sum(axis=-1) for k, v in params.items() if k[0] in "Wb"]
            yield "sum of squares", np.sum(squares, axis=0)
        else:
            for name, value in apply_symmetry(params, canonical_element(params, net), net).items():
                for index in np.ndindex(value.shape[2:]) if name != "noise" else ():
                    place = ", ".join(str(i + 1) for i in index)
                    yield f"canonical {name}[{place}]" if place else name, value[(..., *index)]


def rank(truth: np.ndarray, drawn: np.ndarray, rng: np.random.Generator) -> tuple[list[float], list[int]]:
    """Rank truths among about as many draws as are independent.

    Parameters
    ----------
    truth : array (q,)
        Values of quantities.
    drawn : array (chain, draw, q)
        The same of draws; NaN counts as below all.
    rng : numpy.random.Generator
        Breaks ties.

    Returns
    -------
    shares, draws : list
        Ranks in (0, 1), uniform if truth and draws are from one distribution, and among how many draws each was taken.
    """
    import arviz as az

    drawn = np.where(np.isnan(drawn), -np.inf, drawn)
    ess = np.ones(len(truth))
    with np.errstate(all="ignore"):
        usable = np.isfinite(drawn).all(axis=(0, 1)) & (np.ptp(drawn, axis=(0, 1)) > 0) & (drawn.shape[1] >= 4)
        if usable.any():
            bulk = az.ess(drawn[..., usable], method="bulk")
            ess[usable] = np.fmin(bulk, az.ess(drawn[..., usable], method="tail", prob=(0.05, 0.95)))
    total = drawn.shape[0] * drawn.shape[1]
    count = np.clip(np.nan_to_num(ess, nan=1.0), 1, total).astype(int)
    share = []
    for value, draws, kept in zip(truth, drawn.reshape(total, -1).T, count, strict=True):
        some = draws[spread(total, kept)]
        equal = int((some == value).sum())
        share.append(float(((some < value).sum() + rng.random() * (equal + 1)) / (len(some) + 1)))
    return share, count.tolist()
