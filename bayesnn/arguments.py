"""Arguments that many functions share: one rule and one remedy each, told before anything long is started."""

from collections.abc import Callable, Collection, Iterable
from inspect import signature
from numbers import Integral, Real
from os import PathLike
from typing import TYPE_CHECKING, Any

from bayesnn.errors import SpecError, UnknownNameError

if TYPE_CHECKING:
    import numpy as np

type Seed = int | np.random.Generator | None
"""What random numbers start from; None: another start each time."""

SMALLEST, LARGEST = 1e-50, 1e50
"""Bounds of a scale: its square, its inverse and the ratio of two squares are then numbers that a float holds."""
SCALE = "a positive finite number, from 1e-50 to 1e50"
"""The rule of `is_scale` in words."""


def is_scale(value: Any) -> bool:
    """Say whether a value can be a scale or a rate."""
    return isinstance(value, Real) and not isinstance(value, bool) and SMALLEST <= value <= LARGEST  # type: ignore[operator]


def check_arguments(written: Callable[[str, Any], str] = "{}={!r}".format, /, **given: object) -> None:
    """Refuse arguments that break their rule.

    Parameters
    ----------
    written : callable
        From a name and a value to how the user writes them.
    **given
        Values of arguments, all of which have a rule here.

    Raises
    ------
    SpecError
        The first value that breaks its rule.

    Examples
    --------
    >>> from bayesnn.arguments import check_arguments
    >>> check_arguments(draws=0)
    Traceback (most recent call last):
        ...
    bayesnn.errors.SpecError: Got draws=0; it must be a positive integer. Write draws=1000, or leave it out.
    """
    for name, value in given.items():
        valid, rule, usual, *more = _RULES[name]
        if not valid(value):
            # A count that is refused although it is one, is too large.
            rule = f"{MOST:,} at most" if isinstance(value, Integral) and int(value) > MOST else rule
            raise SpecError(
                f"Got {written(name, value)}; it must be {rule}. Write {written(name, usual)}, or leave it out"
                f"{''.join(more)}."
            )


def is_number_of(value: Any, most: int) -> bool:
    """Say whether a value counts one of some things, from 1 on."""
    return isinstance(value, Integral) and not isinstance(value, bool) and 1 <= int(value) <= most


def as_list(name: str, value: Any, usual: object) -> list[Any]:
    """Make a list of several values, of which there is at least one.

    Parameters
    ----------
    name : str
        The argument.
    value : iterable
        What was given; text is no list of its letters.
    usual : object
        What it may look like.

    Returns
    -------
    list
        The values.

    Raises
    ------
    SpecError
        What is no list, or an empty one.
    """
    several = isinstance(value, Iterable) and not isinstance(value, str | bytes) and getattr(value, "ndim", 1) > 0
    found = list(value) if several else []
    if not found:
        raise SpecError(f"Got {name}={value!r}; it must be a list of at least one. Write {name}={usual!r}.")
    return found


def check_name(kind: str, got: object, known: Collection[str]) -> str:
    """Refuse what is none of the names that exist, of whatever type it is.

    Parameters
    ----------
    kind : str
        What the name stands for, such as ``"sampler"``.
    got : object
        What was given.
    known : collection of str
        The names that exist.

    Returns
    -------
    str
        What was given, which is one of them.

    Raises
    ------
    UnknownNameError
        With the names, and the one that is probably meant.

    Examples
    --------
    >>> from bayesnn.arguments import check_name
    >>> check_name("sampler", "nutpi", ("nutpie", "pymc"))
    Traceback (most recent call last):
        ...
    bayesnn.errors.UnknownNameError: Got sampler 'nutpi'; known are 'nutpie', 'pymc'. Did you mean 'nutpie'?
    """
    if not isinstance(got, str) or got not in known:
        raise UnknownNameError(kind, got, known)
    return got


def rng_of(random_seed: Any) -> "np.random.Generator":
    """Make the generator that a seed stands for.

    Parameters
    ----------
    random_seed : int, numpy.random.Generator or None
        Or anything else that `numpy.random.default_rng` takes.

    Returns
    -------
    numpy.random.Generator
        A generator that was given is passed on.

    Raises
    ------
    SpecError
        A negative number, or what is no seed at all.
    """
    import numpy as np

    check_arguments(random_seed=random_seed)
    return np.random.default_rng(random_seed)


def call_of(function: Callable[..., Any], X: Any, /, **given: object) -> str:
    """Write the call of a fit, so that it can be repeated.

    Parameters
    ----------
    function : callable
        What was called.
    X : array, DataFrame or Dataset
        What it was called with: a Dataset stands for inputs and targets.
    **given
        Its other arguments; those that are as they are when left out are not written, but for the seed.

    Returns
    -------
    str
        Python. What has no short form is written as a name: ``scaling=scaling``, ``random_seed=rng``.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> from bayesnn.arguments import call_of
    >>> call_of(bnn.fit_map, [1, 2], restarts=5, maxiter=2000, random_seed=1)
    'bnn.fit_map(net, X, y, restarts=5, random_seed=1)'
    """
    usual = signature(function).parameters
    parts = ["net", "data" if hasattr(X, "target_names") else "X, y"]
    for name, value in given.items():
        if name != "random_seed" and (value is usual[name].default or value == usual[name].default):
            continue
        plain = value is None or isinstance(value, str | Real | list | tuple)
        parts.append(f"{name}={value!r}" if plain else f"{name}={'rng' if name == 'random_seed' else name}")
    return f"bnn.{function.__name__}({', '.join(parts)})"


def _is_count(value):
    whole = isinstance(value, Integral) or (isinstance(value, float) and value.is_integer())
    return whole and not isinstance(value, bool) and 1 <= value <= MOST


def _is_size(value):
    return isinstance(value, Integral) and not isinstance(value, bool) and 0 <= value <= 10**6


def _is_tolerance(value):
    return isinstance(value, Real) and not isinstance(value, bool) and 0 <= value < float("inf")


def _is_seed(value):
    import numpy as np

    try:
        np.random.default_rng(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, bool)


def _is_probability(value):
    return isinstance(value, Real) and 0 < value < 1


def _is_positive(value):
    return isinstance(value, Real) and not isinstance(value, bool) and value > 0


def _is_switch(value):
    import numpy as np

    return isinstance(value, bool | np.bool_)


def _one_of(*names):
    return lambda value: isinstance(value, str) and value in names


def _or_none(valid):
    return lambda value: value is None or valid(value)


MOST = 10**9
"""What no count of anything may exceed."""
_COUNT, _SWITCH = "a positive integer", "True or False"
_RULES: dict[str, Any] = {
    "restarts": (_is_count, _COUNT, 20),
    "replicates": (_is_count, _COUNT, 20),
    "maxiter": (_is_count, _COUNT, 2000),
    "iterations": (_is_count, _COUNT, 1000),
    "draws": (_is_count, _COUNT, 1000),
    "tune": (_or_none(_is_count), f"{_COUNT}, since without warm-up the sampler has no step size", 1000),
    "chains": (_is_count, _COUNT, 4),
    "cores": (_or_none(_is_count), _COUNT, 2),
    "rounds": (_or_none(_is_count), _COUNT, 3, ": rounds are then added until the marks are met"),
    "max_rounds": (_or_none(_is_count), _COUNT, 5),
    "max_seconds": (
        _or_none(_is_positive),
        "a positive number of seconds",
        60,
    ),
    "store": (_or_none(lambda value: isinstance(value, str | PathLike)), "the path of a folder", "my-fit"),
    "curves": (_is_count, _COUNT, 20),
    "inputs": (_is_count, _COUNT, 1),
    "outputs": (_is_count, _COUNT, 1),
    "prior_sd": (is_scale, SCALE, 1.0),
    "noise": (_or_none(is_scale), SCALE, 0.2, " to learn it"),
    "path": (lambda value: isinstance(value, str | PathLike) and bool(str(value)), "the path of a file", "fit.nc"),
    "seed": (_is_seed, "an integer from 0 on", 1),
    "random_seed": (_is_seed, "an integer from 0 on, or what else numpy.random.default_rng takes", 1),
    "target_accept": (
        _or_none(_is_probability),
        "a number between 0 and 1",
        0.95,
        ": a run with divergences is then repeated at higher ones",
    ),
    "prob": (_is_probability, "a number between 0 and 1", 0.95),
    "collapse": (_or_none(_is_switch), _SWITCH, False),
    "log_likelihood": (_is_switch, _SWITCH, False),
    "log_prior": (_is_switch, _SWITCH, False),
    "mle": (_is_switch, _SWITCH, True),
    "finish": (_is_switch, _SWITCH, True),
    "progressbar": (_is_switch, _SWITCH, False),
    "centred": (_is_switch, _SWITCH, True),
    "scale": (_or_none(_is_switch), _SWITCH, True),
    "sep": (
        _or_none(_one_of(",", ";", "\t", "|", " ")),
        "',', ';', '\\t' (a tab), '|' or ' ' (spaces)",
        ";",
        " to have it inferred",
    ),
    "decimal": (_or_none(_one_of(".", ",")), "'.' or ','", ",", " to have it inferred"),
    "missing": (_one_of("error", "drop", "indicator"), "'error', 'drop' or 'indicator'", "drop"),
    "keep": (_one_of("posterior", "likelihood"), "'posterior' or 'likelihood': what is to stay unchanged", "posterior"),
    "weight": (_one_of("in", "bias", "out"), "'in', 'bias' or 'out': what enters a unit, or leaves it", "in"),
    "kind": (_one_of("average", "individual", "both"), "'average', 'individual' or 'both'", "both"),
    "group": (lambda value: isinstance(value, str), "the name of a group of the fit", "posterior"),
    "tolerance": (_is_tolerance, "a finite number from 0 on", 1e-8),
    "n_features": (_is_size, "a whole number from 0 on", 1),
    "n_outputs": (lambda value: _is_size(value) and value > 0, _COUNT, 1),
    "n_points": (_is_count, _COUNT, 3),
    "nonexistent": (_one_of("raise", "flag"), "'raise' or 'flag'", "flag"),
}
"""For each name what is valid, the rule in words, a usual value, and what more is to be said of leaving it out."""
