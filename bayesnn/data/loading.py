"""One door for all data: by name, from a CSV file, from a DataFrame."""

import numbers
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.arguments import check_arguments, check_name, rng_of
from bayesnn.data.bundled import NAMES, load_bundled
from bayesnn.data.dataset import TASKS, Dataset
from bayesnn.data.files import read_table
from bayesnn.data.frames import from_frame
from bayesnn.errors import DataError, SpecError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd


def load_data(
    name_or_source: "str | Path | pd.DataFrame",
    *,
    target: str | list[str] | None = None,
    task: str | None = None,
    test_size: float = 0.2,
    random_seed: int | np.random.Generator | None = 0,
    scale: bool | None = None,
    sep: str | None = None,
    decimal: str | None = None,
) -> Dataset:
    r"""Load bundled data by name, or your own from a CSV file, a Parquet file or a DataFrame.

    Parameters
    ----------
    name_or_source : str, path or pandas.DataFrame
        One of the names below, the path of a CSV file with a header line or of a Parquet file (which needs pyarrow), or
        a DataFrame.
    target : str or list of str
        Column to predict, for a file or DataFrame; all other columns are features. A list is a regression with
        several targets.
    task : {"regression", "binary", "classes", "ordinal", "count"}, optional
        What the target is, for a file or DataFrame; None infers it as described below.
    test_size : float
        Share of the rows to hold out, from 0 to below 1; of each label apart. Simulated data come with test rows of
        their own, textbook samples have none.
    random_seed : int, numpy.random.Generator or None
        Seed of the split or of the simulation.
    scale : bool, optional
        Whether fits standardise features and a regression target. None is False for simulated data and textbook
        samples, True for all others.
    sep : str, optional
        What separates the values of a CSV file: ``","``, ``";"``, ``"\t"``, ``"|"`` or ``" "`` (any number of spaces).
        None takes what the header holds.
    decimal : {".", ","}, optional
        What stands before the decimals in a CSV file. None takes what the values show; values such as ``1,234``, which
        show nothing, are refused. The `description` of the data says what was found.

    Returns
    -------
    Dataset
        Arrays in the user's units; its `scaling` has the means and standard deviations of the training rows.

    Raises
    ------
    UnknownNameError
        A name or a task that does not exist.
    SpecError
        `test_size` out of range, `target` or `task` for bundled data, or `sep` or `decimal` for what is no CSV file.
    DataError
        A file or frame that breaks a rule: no such file, an empty one, one that can be read in two ways, unnamed or
        repeated columns, a target that is not there, columns that are not numbers, missing or infinite values, constant
        columns, a single class.

    Notes
    -----
    Simulated: ``sine_gap`` (40 + 100 rows), ``neal`` (100 + 100), ``two_moons`` (100 + 100), ``separable_line``
    (20 + 20). Textbook samples: ``coin`` and ``three_points`` (no features: X has shape (n, 0)), ``one_node``,
    ``one_node_separated``, ``two_weights``. Real, from scikit-learn: ``diabetes`` (in its original units),
    ``breast_cancer``, ``iris``, ``wine``.

    A target of strings, booleans or categories is ``binary`` with two labels and ``classes`` with more (``ordinal``
    for an ordered categorical). A target of whole numbers is ``binary`` with two distinct values, and a `task` is
    asked for with 3 to 10, since those may be labels, ranks, counts or measurements. All else is ``regression``.
    Labels are coded 0, 1, ... in sorted order (a categorical: in the order of its categories).

    References
    ----------
    R. M. Neal, Software for Flexible Bayesian Modeling, "a simple regression problem" (the curve of ``neal``).
    F. Pedregosa et al. (2011), Scikit-learn: Machine Learning in Python, JMLR 12, 2825-2830 (the real data).

    Examples
    --------
    >>> import bayesnn as bnn
    >>> data = bnn.load_data("sine_gap", random_seed=1)
    >>> data.X.shape, data.X_test.shape, data.noise
    ((40, 1), (100, 1), 0.2)
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"dose": [1.0, 2.0, 3.0, 4.0], "died": ["no", "no", "yes", "yes"]})
    >>> bnn.load_data(frame, target="died", test_size=0)
    Dataset 'data' (binary): 4 training rows, 0 test rows
      features: 'dose'
      target:   'died', labels 'no', 'yes'
      scaling:  standardised by the training rows
    """
    check_arguments(scale=scale, sep=sep, decimal=decimal)
    random_seed = rng_of(random_seed)
    if isinstance(test_size, bool) or not isinstance(test_size, numbers.Real) or not 0 <= test_size < 1:
        raise SpecError(f"Got test_size={test_size!r}; it must be a share of the rows, from 0 to below 1. Write 0.2.")
    if task is not None:
        check_name("task", task, TASKS)
    split = {"test_size": test_size, "random_seed": random_seed, "scale": scale is None or bool(scale)}
    source = name_or_source
    as_text = {name: value for name, value in (("sep", sep), ("decimal", decimal)) if value is not None}
    if isinstance(source, str | Path) and source not in NAMES:
        if isinstance(source, str) and not Path(source).suffix and not Path(source).exists():
            raise UnknownNameError("data set", source, NAMES)
        found = list(read_table(Path(source), **as_text))
        # The table is held by nobody here, not even by a tuple of arguments, so that it can go when it was copied.
        return from_frame(
            found.pop(0),
            target,
            task,
            name=Path(source).stem,
            description=f"Read from {found.pop()}.",
            test_size=test_size,
            random_seed=random_seed,
            scale=scale is None or scale,
        )
    if as_text:
        name, value = next(iter(as_text.items()))
        raise SpecError(f"Got {name}={value!r} without a CSV file, which it is about. Leave {name} out.")
    if not isinstance(source, str | Path):
        # Names of bundled data do not need pandas, which takes longer to load than all else.
        import pandas as pd

        if isinstance(source, pd.DataFrame):
            return from_frame(source, target, task, name="data", description="A pandas DataFrame.", **split)
        raise DataError(
            f"Got a {type(source).__name__} as data; it must be a name, the path of a file or a DataFrame. Put "
            "arrays in a pandas.DataFrame, or give them to the fitting functions as they are."
        )
    if target is not None or task is not None:
        raise SpecError(
            f"Got target={target!r}, task={task!r} with the bundled data {source!r}, which has its own. Leave both "
            f"out, or pass load_data({source!r}).to_frame() as a DataFrame."
        )
    return load_bundled(str(source), test_size=test_size, random_seed=random_seed, scale=scale)
