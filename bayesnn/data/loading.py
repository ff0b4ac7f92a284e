"""One door for all data: by name, from a CSV file, from a DataFrame."""

import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.arguments import check_arguments, check_name, rng_of
from bayesnn.data.bundled import NAMES, load_bundled
from bayesnn.data.choices import Choices
from bayesnn.data.dataset import TASKS, Dataset
from bayesnn.data.files import read_table
from bayesnn.data.frames import from_frame
from bayesnn.data.tables import as_frame, is_frame
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
    sheet: str | None = None,
    categorical: Sequence[str] = (),
    ordinal: Mapping[str, Sequence[Any]] | Sequence[str] = (),
    reference: Mapping[str, Any] | None = None,
    missing: str = "error",
    exclude: Sequence[str] = (),
    exposure: str | None = None,
    trials: str | None = None,
    precision: str | None = None,
    repeats: str | None = None,
) -> Dataset:
    r"""Load bundled data by name, or your own from a CSV, Parquet or Excel file or a DataFrame.

    Parameters
    ----------
    name_or_source : str, path or DataFrame
        One of the names below, the path of a CSV file with a header line, of a Parquet file (which needs pyarrow) or of
        an Excel workbook (openpyxl), or a data frame of pandas, Polars, PyArrow or another that narwhals reads.
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
    sheet : str, optional
        Which sheet of an Excel workbook. None takes the first, and the `description` says so where there are more.
    categorical : sequence of str
        Columns that are categories although they look like numbers or dates, such as postcodes. Text is one by itself.
    ordinal : dict of str to sequence, or sequence of str
        Columns that are coded 0, 1, ... by the order of their levels, as in ``{"size": ["S", "M", "L"]}``; of an
        ordered categorical, or of numbers, a name is enough.
    reference : dict of str to level, optional
        The level of a category to which the others are compared, where it is not to be the first.
    missing : {"error", "drop", "indicator"}
        What is done about missing values: they are refused; their rows are left out, and counted; or a number is
        replaced by its mean in the training rows, and a column of zeros and ones, such as ``x[missing]``, tells where.
        Of a category "missing" then is a level. Rows without a target are never used.
    exclude : sequence of str
        Columns to leave out, such as identifiers.
    exposure, trials, precision, repeats : str, optional
        Column that holds what is known of each row beside its target, as for `bnn.target`: the targets of the Dataset
        bring it along. With an exposure or trials the target is a count unless `task` says otherwise.

    Returns
    -------
    Dataset
        Arrays in the user's units; its `scaling` has the means and standard deviations of the training rows.

    Raises
    ------
    UnknownNameError
        A name or a task that does not exist.
    SpecError
        `test_size` out of range, what is about a table for bundled data, `sep` or `decimal` for what is no CSV file, or
        a choice about a column that has no such.
    DataError
        A file or frame that breaks a rule: no such file, an empty one, one that can be read in two ways, unnamed or
        repeated columns, a target that is not there, columns that can't be coded, missing or infinite values, constant
        columns, a single class.

    Warns
    -----
    DataWarning
        Levels of a single row, or that differ in capitals or spaces alone; rows that were kept for training since no
        other had their level.

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

    A feature of strings or categories becomes a column of zeros and ones for each level but the first in this order,
    its reference; a boolean is 1 where it is true. The Dataset's `coding` says which, and goes with a fit: at `predict`
    and `score` a table is coded alike, and a level that was not fitted is refused. Dates, durations and text that holds
    numbers are refused with what to do about them.

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
    check_arguments(scale=scale, sep=sep, decimal=decimal, missing=missing)
    random_seed = rng_of(random_seed)
    if isinstance(test_size, bool) or not isinstance(test_size, numbers.Real) or not 0 <= test_size < 1:
        raise SpecError(f"Got test_size={test_size!r}; it must be a share of the rows, from 0 to below 1. Write 0.2.")
    if task is not None:
        check_name("task", task, TASKS)
    known = {"exposure": exposure, "trials": trials, "precision": precision, "repeats": repeats}
    beside = {name: column for name, column in known.items() if column is not None}
    if task is None and beside.keys() & {"exposure", "trials"}:
        task = "count"
    choices = Choices(categorical, ordinal, {} if reference is None else reference, missing, exclude, beside)
    split = {"test_size": test_size, "random_seed": random_seed, "scale": scale is None or bool(scale)}
    source = name_or_source
    reading = {"sep": sep, "decimal": decimal, "sheet": sheet}
    as_text = {name: value for name, value in reading.items() if value is not None}
    if isinstance(source, str | Path) and source not in NAMES:
        if isinstance(source, str) and not Path(source).suffix and not Path(source).exists():
            raise UnknownNameError("data set", source, NAMES)
        found = list(read_table(Path(source), text_columns=choices.text_columns, **as_text))
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
            choices=choices,
        )
    if as_text:
        name, value = next(iter(as_text.items()))
        kind = "an Excel" if name == "sheet" else "a CSV"
        raise SpecError(f"Got {name}={value!r} without {kind} file, which it is about. Leave {name} out.")
    if not isinstance(source, str | Path):
        if is_frame(source):
            library = type(source).__module__.partition(".")[0]
            description = f"A {library} {type(source).__name__}."
            return from_frame(
                as_frame(source), target, task, name="data", description=description, choices=choices, **split
            )
        raise DataError(
            f"Got a {type(source).__name__} as data; it must be a name, the path of a file or a data frame. Put "
            "arrays in a pandas.DataFrame, or give them to the fitting functions as they are."
        )
    about = {"target": target, "task": task, **choices.given, **beside}
    if said := ", ".join(f"{name}={value!r}" for name, value in about.items() if value is not None):
        raise SpecError(
            f"Got {said} with the bundled data {source!r}, which have their own columns and target. Leave that out, or "
            f"pass load_data({source!r}).to_frame() as a DataFrame."
        )
    return load_bundled(str(source), test_size=test_size, random_seed=random_seed, scale=scale)
