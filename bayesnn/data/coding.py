"""How the columns of a table become the numbers that a network reads: it travels with the fit."""

import json
import reprlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from bayesnn.data.checks import as_array, check_names, columns_of, places, some
from bayesnn.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from bayesnn.data.scaling import Scaling

MOST = 6
"""Columns whose coding is put in words."""
KINDS = ("number", "boolean", "category", "ordinal")
"""What a column can be."""


@dataclass(frozen=True)
class Column:
    """How one column of a table is coded.

    Parameters
    ----------
    name : str
        Of the column.
    kind : {"number", "boolean", "category", "ordinal"}
        A number is left as it is; a boolean is 1 for True; a category has a column of zeros and ones for each level
        but the reference; an ordinal is the place of its level, from 0 on.
    levels : tuple of str
        Of a category, the reference first; of an ordinal, in their order.
    missing : bool
        Whether values may be missing, which then has a column of zeros and ones of its own.
    fill : float or None
        What stands for a missing number: the mean of the training rows.
    """

    name: str
    kind: str
    levels: tuple[str, ...] = ()
    missing: bool = False
    fill: float | None = None

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that it becomes."""
        own = tuple(f"{self.name}[{level}]" for level in self.levels[1:]) if self.kind == "category" else (self.name,)
        return (*own, *[f"{self.name}[missing]"] * self.missing)

    @property
    def flags(self) -> tuple[bool, ...]:
        """Which of these hold zeros and ones."""
        own = len(self.feature_names) - self.missing
        return (*[self.kind in ("boolean", "category")] * own, *[True] * self.missing)

    @property
    def said(self) -> str:
        """The coding in words; empty for a number without missing values."""
        words = {
            "number": "",
            "boolean": f"{self.name!r} is 1 where True",
            "category": f"{self.name!r} against {self.levels[0]!r}" if self.levels else "",
            "ordinal": f"{self.name!r} counts " + " < ".join(map(repr, self.levels)),
        }[self.kind]
        if not self.missing:
            return words
        where = f"{self.name}[missing]"
        gap = f"{where!r} is 1 where {self.name!r} is missing"
        if self.fill is not None:
            gap += f", which then is {self.fill:.4g}, its mean"
        return f"{words}; {gap}" if words else gap

    def code(self, values: "pd.Series") -> np.ndarray:
        """Turn values (n,) into numbers (n, k), or say which of them can't be coded."""
        from bayesnn.data.kinds import as_levels, as_numbers

        gaps = values.isna().to_numpy(dtype=bool)
        if gaps.any() and not self.missing:
            raise DataError(
                f"Got missing values in {self.name!r} at {places(gaps)}; the rows that were fitted have none there, so "
                "that nothing stands for one. Fill them or leave these rows out, or fit with missing='indicator', "
                "which learns from them (rows count from 0)."
            )
        if self.kind in ("category", "ordinal"):
            codes = self._places(as_levels(values), gaps)
            if self.kind == "category":
                own = np.zeros((len(values), len(self.levels) - 1))
                rows = np.flatnonzero(codes > 0)
                own[rows, codes[rows] - 1] = 1.0
            else:
                own = np.where(gaps, self.fill or 0.0, codes)[:, None]
        else:
            own = as_numbers(values, self.name, boolean=self.kind == "boolean")[:, None]
            if gaps.any():
                own = np.where(gaps[:, None], self.fill or 0.0, own)
        return np.column_stack([own, gaps]) if self.missing else own

    def _places(self, levels, gaps):
        """Find each level among those that are known; 0 where there is none."""
        import pandas as pd

        codes = np.where(gaps, 0, pd.Index(self.levels).get_indexer(pd.Index(levels, dtype=object)))
        if (codes < 0).any():
            row = int(np.flatnonzero(codes < 0)[0])
            raise DataError(
                f"Got {levels[row]!r} in {self.name!r} at row {row}, a level that was not fitted; known are "
                f"{some(self.levels, 10)}. Check its spelling, leave these rows out, or fit again with rows that "
                "have it (rows count from 0)."
            )
        return codes

    def filled(self, values: "pd.Series", rows: np.ndarray) -> Self:
        """Let the mean of some rows (a mask) stand for missing values."""
        if not self.missing or self.kind == "category":
            return self
        return replace(self, fill=float(self.code(values[rows & values.notna().to_numpy(dtype=bool)])[:, 0].mean()))

    def strata(self, values: "pd.Series") -> list[np.ndarray]:
        """Rows (n,) of each level that there is, and of the missing values."""
        from bayesnn.data.kinds import as_levels

        gaps = values.isna().to_numpy(dtype=bool)
        rows = [gaps] * bool(gaps.any())
        if self.levels:
            codes = np.where(gaps, -1, self._places(as_levels(values), gaps))
            rows += [codes == k for k in np.unique(codes[~gaps])]
        return rows

    def decode(self, X: np.ndarray) -> Any:
        """Turn numbers (n, k) back into values (n,)."""
        import pandas as pd

        gaps = X[:, -1] > 0.5 if self.missing else np.zeros(len(X), dtype=bool)
        own = X[:, : X.shape[1] - self.missing]
        if self.kind in ("category", "ordinal"):
            codes = own @ np.arange(1, own.shape[1] + 1) if self.kind == "category" else own[:, 0]
            codes = np.where(gaps, -1, np.rint(codes)).astype(np.int64)
            return pd.Categorical.from_codes(codes, list(self.levels), ordered=self.kind == "ordinal")
        values = np.where(gaps, np.nan, own[:, 0])
        if self.kind == "boolean":
            return pd.array([None if gap else bool(v) for v, gap in zip(values, gaps, strict=True)], dtype="boolean")
        return values


@dataclass(frozen=True)
class Coding:
    """How the columns of a table become the numbers that a network reads; made from the training rows, kept in the fit.

    A category is coded by columns of zeros and ones, one for each level but the *reference*, such as
    ``species[Gentoo]``: the reference is where all of them are zero, so that the bias stands for it. A boolean is 1
    where it is True.

    Parameters
    ----------
    columns : tuple of Column
        In their order.
    dropped : int
        Rows that were left out because a value of them was missing.

    Notes
    -----
    A fit that standardises its data centres columns of zeros and ones, and does not divide them: the step from a level
    to the reference then is one unit for each level, rare or not, and the prior of its weight means the same for each.
    All else is divided by its standard deviation.

    References
    ----------
    A. Gelman, A. Jakulin, M. G. Pittau and Y.-S. Su, "A weakly informative default prior distribution for logistic and
    other regression models", Annals of Applied Statistics 2 (2008), section 2.2: binary inputs are shifted only.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayesnn.data import Coding
    >>> birds = pd.DataFrame({"kind": ["owl", "rook", "rook", "owl", "kite", "kite"], "mass": [3, 1, 1, 2, 4, 5]})
    >>> coding = Coding.fit(birds)
    >>> coding
    Coding('kind' against 'kite')
    >>> coding.feature_names
    ('kind[owl]', 'kind[rook]', 'mass')
    >>> coding.transform(birds.tail(3))
    array([[1., 0., 2.],
           [0., 0., 4.],
           [0., 0., 5.]])
    >>> Coding.from_json(coding.to_json()) == coding
    True
    """

    columns: tuple[Column, ...]
    dropped: int = 0

    def __repr__(self):
        return f"Coding({self.said})"

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of the table."""
        return tuple(column.name for column in self.columns)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that the network reads."""
        return tuple(name for column in self.columns for name in column.feature_names)

    @property
    def said(self) -> str:
        """The coding in a line."""
        rows = [f"{self.dropped} row{'s' * (self.dropped > 1)} with missing values dropped"] * bool(self.dropped)
        parts = [column.said for column in self.columns if column.said]
        more = [f"and {len(parts) - MOST} more"] * (len(parts) > MOST)
        return "; ".join([*rows, *parts[:MOST], *more])

    @property
    def has_flags(self) -> bool:
        """Whether there are columns of zeros and ones."""
        return any(flag for column in self.columns for flag in column.flags)

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Names of the columns that a file holds as text, whatever they look like."""
        return tuple(
            column.name
            for column in self.columns
            if column.kind == "category" or not all(level.lstrip("-").isdigit() for level in column.levels)
        )

    @property
    def is_plain(self) -> bool:
        """Whether every column is a number that is always there, and no row was dropped: nothing is coded."""
        return not self.dropped and all(c.kind == "number" and not c.missing for c in self.columns)

    @classmethod
    def fit(
        cls,
        frame: Any,
        *,
        categorical: Sequence[str] = (),
        ordinal: Mapping[str, Sequence[Any]] | Sequence[str] = (),
        reference: Mapping[str, Any] | None = None,
        missing: str = "error",
        rows: np.ndarray | None = None,
    ) -> Self:
        """Find how each column of a table is to be coded.

        Parameters
        ----------
        frame : DataFrame
            Of pandas, or another that narwhals reads.
        categorical : sequence of str
            Columns that are categories although they look like numbers or dates, such as postcodes.
        ordinal : dict of str to sequence, or sequence of str
            Columns whose levels count 0, 1, ... in this order; that of an ordered categorical need not be given.
        reference : dict of str to level, optional
            The reference of a category, where it is not to be the first: in sorted order, or of a categorical in its
            own.
        missing : {"error", "drop", "indicator"}
            What is done with missing values; "drop" is for whoever has dropped them.
        rows : array of bool, optional
            The training rows, from which means are taken; None: all.

        Returns
        -------
        Coding
            Of these columns.

        Raises
        ------
        DataError
            A column that can't be coded: dates, durations, complex or nested values, numbers mixed with text, a level
            for every row; missing values where `missing` is "error".
        SpecError
            A choice for a column that is not there.

        Warns
        -----
        DataWarning
            Levels of a single row, or such as differ in capitals or spaces alone.
        """
        from bayesnn.data.choices import Choices
        from bayesnn.data.kinds import columns_of_frame

        choices = Choices(categorical, ordinal, {} if reference is None else reference, missing)
        frame = _named(frame)
        names = choices.features(list(frame.columns))
        columns = columns_of_frame(frame, names, choices)
        return cls(columns if rows is None else tuple(c.filled(frame[c.name], rows) for c in columns))

    def transform(self, frame: Any) -> np.ndarray:
        """Code a table.

        Parameters
        ----------
        frame : DataFrame
            With the columns of the coding, in any order, and perhaps others.

        Returns
        -------
        array (n, p)
            One column for each of `feature_names`.

        Raises
        ------
        DataError
            A column that is missing, a level that is not known, or a missing value where there was none before.
        """
        frame = _named(frame)
        absent = [name for name in self.names if name not in frame.columns]
        if absent:
            raise DataError(
                f"Got a frame with the columns {list(frame.columns)}; the fit needs {absent} as well. Name the columns "
                "as in the data that were fitted."
            )
        out = np.empty((len(frame), len(self.feature_names)))
        for _, at, part in self.parts(frame):
            out[:, at] = part
        return out

    def parts(self, frame: "pd.DataFrame") -> Iterator[tuple[str, slice, np.ndarray]]:
        """Code a table column by column: the name, where its numbers belong, and these."""
        import pandas as pd

        start = 0
        for column in self.columns:
            part = column.code(frame[column.name])
            if part.size:
                part = as_array(pd.DataFrame(part, columns=list(column.feature_names), copy=False), "X")
            yield column.name, slice(start, start + part.shape[1]), part
            start += part.shape[1]

    def inverse(self, X: np.ndarray) -> "pd.DataFrame":
        """Give coded numbers as the table that they were coded from.

        Parameters
        ----------
        X : array (n, p)
            One column for each of `feature_names`.

        Returns
        -------
        pandas.DataFrame
            Categories as categoricals, missing values as such.
        """
        import pandas as pd

        found, start = {}, 0
        for column in self.columns:
            stop = start + len(column.feature_names)
            found[column.name] = column.decode(X[:, start:stop])
            start = stop
        return pd.DataFrame(found)

    def keep_units(self, scaling: "Scaling") -> "Scaling":
        """Leave zeros and ones undivided in a scaling.

        Parameters
        ----------
        scaling : Scaling
            Of the coded columns.

        Returns
        -------
        Scaling
            Columns of zeros and ones are centred only.
        """
        flags = [flag for column in self.columns for flag in column.flags]
        return replace(scaling, x_sd=tuple(1.0 if f else sd for f, sd in zip(flags, scaling.x_sd, strict=True)))

    def to_json(self) -> str:
        """Write the coding as JSON text.

        Returns
        -------
        str
            Read back by `Coding.from_json`.
        """
        return json.dumps({"columns": [vars(column) for column in self.columns], "dropped": self.dropped})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a coding that `to_json` wrote.

        Parameters
        ----------
        text : str
            The JSON text.

        Returns
        -------
        Coding
            Equal to the coding that was written.

        Raises
        ------
        DataError
            Text that is not the JSON of a coding.
        """
        try:
            fields = json.loads(text)
            columns = tuple(
                Column(
                    str(f["name"]),
                    f["kind"],
                    tuple(map(str, f["levels"])),
                    bool(f["missing"]),
                    None if f["fill"] is None else float(f["fill"]),
                )
                for f in fields["columns"]
            )
            if not all(c.kind in KINDS for c in columns):
                raise ValueError
            return cls(columns, int(fields["dropped"]))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise DataError(
                f"Got {reprlib.repr(text)}, which is not the JSON text of a coding. Write it with to_json()."
            ) from error


def _named(frame):
    """Give a pandas DataFrame with rows, and with names that are text, each of its own."""
    from bayesnn.data.tables import as_frame

    frame = as_frame(frame)
    check_names(columns_of(frame) or [])
    if not len(frame):
        as_array(np.zeros(frame.shape), "X")
    return frame.set_axis(columns_of(frame), axis=1)


def needs_coding(frame: Any, chosen: Collection[str] = ()) -> bool:
    """Whether a pandas DataFrame has columns besides plain numbers, or some that were chosen to be coded."""
    kinds = [kind.kind if isinstance(kind, np.dtype) else "O" for kind in frame.dtypes]
    return bool(chosen) or not set(kinds) <= set("iuf")
