"""What a column of a table is: a number, a boolean, a category; or nothing that can be an input, and then why."""

import datetime
import decimal
import numbers
import re
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from bayesnn.data.checks import places, refuse_constant, some
from bayesnn.data.choices import Choices
from bayesnn.data.coding import Column
from bayesnn.errors import DataError, DataWarning, SpecError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}|\d{1,2}:\d{2}(:\d{2})?$")
"""How dates and times of the day begin."""
MOST_LEVELS = 1000
"""Columns of zeros and ones that one category may become."""
FEW = 10
"""Up to this many levels a column may have in however few rows."""


def columns_of_frame(frame: "pd.DataFrame", names: list[str], choices: Choices) -> tuple[Column, ...]:
    """Find how each column of a frame is to be coded.

    Parameters
    ----------
    frame : pandas.DataFrame
        The table, whose columns have names that are text.
    names : list of str
        Of the features.
    choices : Choices
        What was said of them.

    Returns
    -------
    tuple of Column
        One for each; what stands for missing numbers is the mean of all rows.

    Raises
    ------
    DataError
        A column that can't be coded.
    SpecError
        A choice that does not suit its column.
    """
    columns = tuple(_column(frame[name], choices) for name in names)
    found = [name for column in columns for name in column.feature_names]
    if twice := [name for name in dict.fromkeys(found) if found.count(name) > 1]:
        raise DataError(
            f"Got more than one column that is called {some(twice)} when it is coded; each name must be unique. Rename "
            "the columns, or their levels."
        )
    return columns


def as_levels(values: "pd.Series") -> np.ndarray:
    """Write each value of a category as text; whole numbers without decimals, whatever holds them."""
    import pandas as pd

    # As objects: old pandas would look for a double in an integer that is too large for one.
    codes, found = pd.factorize(np.asarray(values, dtype=object))
    return np.array([*map(_level, found), ""], dtype=object)[codes]


def as_numbers(values: "pd.Series", name: str, *, boolean: bool = False) -> np.ndarray:
    """Give the values of a column of numbers or booleans, NaN where one is missing."""
    kind = kind_of(values, name)
    if kind == "category" or (kind == "empty" and not values.isna().all()):
        raise DataError(
            f"Got {_first(values)!r} in {name!r}, which was fitted as a {'boolean' if boolean else 'number'}; it must "
            f"be {'True or False' if boolean else 'one'} again. Read numbers kept as text with pandas.to_numeric."
        )
    if values.dtype == object:
        values = values.map(lambda v: float(v) if isinstance(v, decimal.Decimal) else v)
    try:
        found = values.to_numpy(dtype=float, na_value=np.nan)
    except OverflowError:
        raise DataError(
            f"Got {name!r} with an integer that no float holds; every value must be a finite number. Change the unit, "
            "such as to thousands."
        ) from None
    if boolean and not np.isin(found[~np.isnan(found)], (0.0, 1.0)).all():
        odd = found[~np.isnan(found) & ~np.isin(found, (0.0, 1.0))][0]
        raise DataError(
            f"Got {odd:g} in {name!r}, which was fitted as a boolean; it must be True or False, or 1 or 0. Change it."
        )
    return found


def kind_of(values: "pd.Series", name: str) -> str:
    """Tell "number", "boolean" and "category" apart, "empty" without any value; refuse what is none of them."""
    import pandas as pd

    kind, types = values.dtype, pd.api.types
    if isinstance(kind, pd.CategoricalDtype):
        return "category"
    if types.is_bool_dtype(kind):
        return "boolean"
    if types.is_complex_dtype(kind):
        raise DataError(f"Got complex {name!r}; the values must be real. Pass real and imaginary parts as two columns.")
    if types.is_datetime64_any_dtype(kind) or isinstance(kind, pd.PeriodDtype):
        raise _no_date(name, _first(values))
    if types.is_timedelta64_dtype(kind):
        raise _no_duration(name, _first(values))
    if types.is_numeric_dtype(kind):
        return "number"
    found = values.dropna()
    if found.empty:
        return "empty"
    if isinstance(kind, pd.StringDtype):
        return "category"
    # The first value of each type stands for all of them.
    some_of = list({type(value): value for value in reversed(found.to_list())}.values())
    if all(isinstance(v, bool | np.bool_) for v in some_of):
        return "boolean"
    if all(isinstance(v, numbers.Real | decimal.Decimal) for v in some_of):
        return "number"
    for value in some_of:
        if isinstance(value, datetime.date | datetime.time):
            raise _no_date(name, value)
        if isinstance(value, datetime.timedelta):
            raise _no_duration(name, value)
        if isinstance(value, complex) and not isinstance(value, numbers.Real):
            raise DataError(
                f"Got complex {name!r}; the values must be real. Pass real and imaginary parts as two columns."
            )
        if isinstance(value, bytes) or np.ndim(value) or isinstance(value, Mapping | set | frozenset):
            raise DataError(
                f"Got {name!r} with {value!r}; a cell must hold one number or name. Make a column of each of its "
                f"parts, or {_leave_out(name)}."
            )
    return "category"


def _column(values, choices):
    """Find the coding of one column."""
    name, orders = str(values.name), choices.orders
    chosen = name in orders or name in map(str, choices.categorical)
    kind = "category" if chosen else kind_of(values, name)
    gaps = values.isna().to_numpy(dtype=bool)
    if gaps.all():
        raise DataError(f"Got {name!r} without any value; a column must have some. Fill it, or {_leave_out(name)}.")
    if gaps.any() and choices.missing != "indicator":
        raise missing_values(f"in {name!r}: {places(gaps)}")
    if name in choices.references and (kind != "category" or name in orders):
        raise SpecError(
            f"Got reference={{{name!r}: {choices.references[name]!r}}}, a column that is no category. Leave it out, or "
            f"pass categorical=[{name!r}]."
        )
    if kind != "category":
        column = Column(name, kind)
    else:
        levels = _levels_of(values, name, chosen, choices)
        if gaps.any() and "missing" in levels:
            raise DataError(
                f"Got {name!r} with the level 'missing' and with missing values; these would be called alike. Rename "
                "the level."
            )
        column = Column(name, "ordinal" if name in orders else "category", levels)
    return replace(column, missing=True).filled(values, np.ones(len(values), dtype=bool)) if gaps.any() else column


def _levels_of(values, name, chosen, choices):
    """Levels in their order, the reference first; after a look at whether they are any."""
    import pandas as pd

    present = values.dropna()
    texts = pd.Series(as_levels(present), dtype=object)
    counts = texts.value_counts()
    if not chosen and not isinstance(values.dtype, pd.CategoricalDtype):
        _check_names(list(texts.unique()), name)
    if len(counts) == 1 and len(texts) == len(values) > 1:
        refuse_constant([name], len(values))
    if len(counts) == len(texts) > 1 or len(counts) > max(FEW, len(texts) / 2):
        raise DataError(
            f"Got {name!r} with {len(counts)} levels in {len(texts)} rows, such as {texts[0]!r}; a level must come "
            f"back in other rows, or nothing is learnt of it. Combine levels, or {_leave_out(name)}."
        )
    if len(counts) > MOST_LEVELS:
        raise DataError(
            f"Got {name!r} with {len(counts):,} levels, each a column; {MOST_LEVELS:,} is the most. Combine levels, or "
            f"{_leave_out(name)}."
        )
    _warn(name, counts)
    if name in choices.orders:
        return _in_order(values, name, counts, choices.orders[name])
    levels = _sorted(present)
    if name in choices.references:
        first = _level(choices.references[name])
        if first not in levels:
            raise UnknownNameError(f"reference of {name!r}", first, levels)
        levels = [first, *(level for level in levels if level != first)]
    return tuple(levels)


def _in_order(values, name, counts, order):
    """Levels of an ordinal column in the order that was given, or is its own."""
    import pandas as pd

    if order is None:
        if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered:
            return tuple(dict.fromkeys(map(_level, values.cat.categories)))
        if not pd.api.types.is_numeric_dtype(values.dtype):
            raise SpecError(
                f"Got ordinal=[{name!r}], whose levels have no order; it must be known. Write ordinal={{{name!r}: "
                f"{sorted(counts.index)[:3]!r}}} with all levels in their order."
            )
        return tuple(_sorted(values.dropna()))
    levels = tuple(map(_level, order))
    unknown = [level for level in counts.index if level not in levels]
    if unknown or len(set(levels)) < len(levels) or len(levels) < 2:
        got = f"without {some(unknown)}, which the column has" if unknown else "with less than two levels, or one twice"
        raise SpecError(
            f"Got ordinal={{{name!r}: {list(order)!r}}} {got}; each level must be in it once. Add or remove some."
        )
    return levels


def _sorted(present):
    """Levels in the order of a categorical, of numbers, or of text."""
    import pandas as pd

    if isinstance(present.dtype, pd.CategoricalDtype):
        return list(dict.fromkeys(map(_level, present.cat.remove_unused_categories().cat.categories)))
    found = present.unique()
    if all(isinstance(v, numbers.Real | decimal.Decimal) for v in found):
        return list(dict.fromkeys(map(_level, sorted(found))))
    return sorted(set(map(_level, found)))


def _level(value):
    """Write a level as text."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _check_names(levels, name):
    """Refuse text that is numbers or dates in disguise."""
    for level in levels:
        if DATE.match(level):
            raise _no_date(name, level)
    names = [level for level in levels if not _is_number(level)]
    if len(names) < len(levels):
        got = (
            f"both numbers and text, such as {names[0]!r}" if names else f"numbers kept as text, such as {levels[0]!r}"
        )
        raise DataError(
            f"Got {name!r} with {got}; a column is of one kind. Read numbers with pandas.to_numeric and correct the "
            f"cells that are none, or pass categorical=[{name!r}] (--categorical {name} on the command line) if they "
            "are names."
        )


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _warn(name, counts):
    """Say what levels may be an oversight."""
    once = sorted(counts.index[counts == 1])
    if once:
        warnings.warn(
            f"Got {name!r} with levels of a single row: {some(once)}; what is learnt of such a level is that row "
            "alone. Combine them with others, or leave these rows out.",
            DataWarning,
            stacklevel=2,
        )
    alike: dict[str, list[str]] = {}
    for level in sorted(counts.index):
        alike.setdefault(" ".join(level.casefold().split()), []).append(level)
    if twice := [levels for levels in alike.values() if len(levels) > 1]:
        warnings.warn(
            f"Got {name!r} with levels that differ in capitals or spaces alone: {some(twice[0])}; they are taken as "
            "several. Spell them alike if they are one.",
            DataWarning,
            stacklevel=2,
        )


def missing_values(where: str) -> DataError:
    """Say what can be done about missing values."""
    return DataError(
        f"Got missing values {where}; every value must be there, or it must be said what is done without. Pass "
        "missing='drop' to load_data (--missing drop on the command line) to leave these rows out, or "
        "missing='indicator' to learn from them; or fill them with DataFrame.fillna (rows count from 0)."
    )


def _leave_out(name):
    return f"leave the column out (exclude=[{name!r}] of load_data, --exclude {name} on the command line)"


def _no_date(name, value):
    names = f", pass categorical=[{name!r}] if they are names" if isinstance(value, str) else ""
    return DataError(
        f"Got dates or times in {name!r}, such as {str(value)!r}; every feature must be a number or a category. Count "
        f"them from a day on, such as (pandas.to_datetime(frame[{name!r}]) - start).dt.days{names}, or "
        f"{_leave_out(name)}."
    )


def _no_duration(name, value):
    return DataError(
        f"Got durations in {name!r}, such as {str(value)!r}; every feature must be a number or a category. Make "
        f"numbers of them, such as frame[{name!r}].dt.total_seconds(), or {_leave_out(name)}."
    )


def _first(values):
    present = values.dropna()
    return present.iloc[0] if len(present) else None
