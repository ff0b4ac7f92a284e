"""Simulated data, of which any number of rows can be drawn."""

import numbers
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bayesnn.arguments import MOST, check_name, rng_of
from bayesnn.data.dataset import LABELLED, Dataset, make_dataset
from bayesnn.errors import SpecError


@dataclass(frozen=True)
class Process:
    """How to draw rows: `draw(rng, n, noise, test)` gives X and y."""

    draw: Callable
    task: str
    sizes: tuple[int, int]
    noise: float | None
    truth: Callable | None
    description: str


def _sine(X):
    """Noise-free curve of "sine_gap"."""
    return np.sin(X[:, 0] + 1.2)


def _neal(X):
    """Noise-free curve of "neal"."""
    x = X[:, 0]
    return 0.3 + 0.4 * x + 0.5 * np.sin(2.7 * x) + 1.1 / (1.0 + x**2)


def _draw_sine_gap(rng, n, noise, test):
    """Draw "sine_gap": training rows leave the gap, test rows do not."""
    x = rng.uniform(-3.0, 3.0, n) if test else rng.choice([-1.0, 1.0], n) * rng.uniform(1.0, 3.0, n)
    return x[:, None], _sine(x[:, None]) + noise * rng.standard_normal(n)


def _draw_neal(rng, n, noise, test):
    """Draw "neal": a smooth curve, denser near 0."""
    X = rng.standard_normal((n, 1))
    return X, _neal(X) + noise * rng.standard_normal(n)


def _draw_two_moons(rng, n, noise, test):
    """Draw "two_moons": as many rows of each class, alternating."""
    y = np.arange(n) % 2
    angle = rng.uniform(0.0, np.pi, n)
    X = np.column_stack(
        [np.where(y, 1.0 - np.cos(angle), np.cos(angle)), np.where(y, 0.5, 0.0) + (1 - 2 * y) * np.sin(angle)]
    )
    return X + noise * rng.standard_normal((n, 2)), y


def _draw_separable_line(rng, n, noise, test):
    """Draw "separable_line": as many rows of each class, alternating."""
    y = np.arange(n) % 2
    return ((2 * y - 1) * rng.uniform(0.5, 2.0, n))[:, None], y


# The phase 1.2 leaves one rising and one falling flank in [-3, 3], which two tanh units fit with weights of order 1;
# with three flanks (phase 0) the two units cancel each other and the likelihood has its maximum at infinity.
PROCESSES = {
    "sine_gap": Process(
        _draw_sine_gap,
        "regression",
        (40, 100),
        0.2,
        _sine,
        "y = sin(x + 1.2) + N(0, 0.2²), training x uniform on [-3, -1] and [1, 3]: no data in the gap between; "
        "test x uniform on all of [-3, 3].",
    ),
    "neal": Process(
        _draw_neal,
        "regression",
        (100, 100),
        0.1,
        _neal,
        "y = 0.3 + 0.4 x + 0.5 sin(2.7 x) + 1.1 / (1 + x²) + N(0, 0.1²) with x ~ N(0, 1), the simple "
        "regression problem of R. M. Neal's Software for Flexible Bayesian Modeling.",
    ),
    "two_moons": Process(
        _draw_two_moons,
        "binary",
        (100, 100),
        0.2,
        None,
        "Two interleaving half circles of radius 1, one for each class, with N(0, 0.2²) added to both coordinates.",
    ),
    "separable_line": Process(
        _draw_separable_line,
        "binary",
        (20, 20),
        None,
        None,
        "One feature, uniform on [-2, -0.5] in class 0 and on [0.5, 2] in class 1: any cut in between separates them, "
        "so the maximum likelihood estimate does not exist.",
    ),
}


def simulate(
    name: str, n: int, *, noise: float | None = None, random_seed: int | np.random.Generator | None = 0
) -> Dataset:
    """Draw any number of rows from a simulated data set.

    Parameters
    ----------
    name : {"sine_gap", "neal", "two_moons", "separable_line"}
        The process; `load_data` describes each.
    n : int
        Number of training rows; at least 2 for labels.
    noise : float, optional
        Standard deviation of the noise: of y, or of both coordinates of "two_moons". None is the usual one of the
        data set. "separable_line" has none.
    random_seed : int, numpy.random.Generator or None
        Seed of the draws.

    Returns
    -------
    Dataset
        With `n` training rows and no test rows, without scaling.

    Raises
    ------
    UnknownNameError
        A name that is not simulated.
    SpecError
        A number of rows or a noise that makes no sense.

    Examples
    --------
    >>> import bayesnn as bnn
    >>> bnn.simulate("neal", 1000, noise=0.05, random_seed=1)
    Dataset 'neal' (regression): 1000 training rows, 0 test rows
      features: 'x'
      target:   'y'
      scaling:  none
      noise:    standard deviation 0.05
    """
    check_name("simulated data set", name, PROCESSES)
    process = PROCESSES[name]
    least = 2 if process.task in LABELLED else 1
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or not least <= n <= MOST:
        raise SpecError(
            f"Got n={n!r}; {name!r} needs a whole number of rows, at least {least}. Write n={process.sizes[0]}."
        )
    if noise is not None and process.noise is None:
        raise SpecError(f"Got noise={noise!r}; {name!r} has no noise, or its margin would be lost. Leave noise out.")
    if noise is not None and (not isinstance(noise, numbers.Real) or not 0 <= noise < np.inf):
        raise SpecError(f"Got noise={noise!r}; it must be a finite number, zero or more. Write noise={process.noise}.")
    return draw_rows(name, n, 0, process.noise if noise is None else float(noise), random_seed)


def draw_rows(
    name: str, n: int, n_test: int, noise: float | None, random_seed: int | np.random.Generator | None
) -> Dataset:
    """Simulate training and test rows, the training rows first."""
    process = PROCESSES[name]
    rng = rng_of(random_seed)
    X, y = process.draw(rng, n, noise, False)
    X_test, y_test = process.draw(rng, n_test, noise, True) if n_test else (None, None)
    return make_dataset(
        X,
        y,
        X_test,
        y_test,
        name=name,
        task=process.task,
        feature_names=("x",) if X.shape[1] == 1 else ("x1", "x2"),
        noise=noise,
        truth=process.truth,
        description=process.description,
    )
