"""A CSV file from the visitor: read by a worker, whose libraries are loaded, so that the page's process stays light."""

import re
import tempfile
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from bayesnn.errors import BayesnnError, DataError, DataWarning
from bayesnn.playground.settings import LOSSES, MOST_ROWS

LARGEST = 200_000
"""Bytes of a file."""
MOST_INPUTS = 2
TEXT = ("", ".csv", ".tsv", ".txt")
"""Endings of files that are read. By others, such as .gz, pandas would unpack a file to a thousand times its size."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What was read, or why it could not be.

    Parameters
    ----------
    name : str
        Of the file, as it may be shown.
    columns, inputs : tuple of str
        All columns that can be chosen, and those that are.
    target : str
        Column that is predicted.
    task : str
        Of the target.
    points : tuple of tuple of float
        Inputs and target of the rows that are used.
    rows : int
        Rows of the file.
    read_as : str
        The name, and how it was read where that is not as an English CSV file.
    notes : str
        What zeros and ones stand for, and what may be an oversight.
    trouble : str
        What is wrong with it; empty if nothing.
    """

    name: str
    columns: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    target: str = ""
    task: str = "regression"
    points: tuple[tuple[float, ...], ...] = ()
    rows: int = 0
    read_as: str = ""
    notes: str = ""
    trouble: str = ""

    @property
    def said(self) -> str:
        """What there is to say of it."""
        if self.trouble:
            return self.trouble
        used = f"the first {len(self.points)} of {self.rows}" if self.rows > len(self.points) else f"all {self.rows}"
        return f"{self.read_as or self.name}: {used} rows, {self.target} from {' and '.join(self.inputs)}.{self.notes}"


def read_upload(
    content: bytes,
    name: str,
    inputs: tuple[str, ...] | None = None,
    target: str | None = None,
    *,
    sep: str | None = None,
    decimal: str | None = None,
) -> Upload:
    """Read a file; errors come back as words, so that they can travel.

    Parameters
    ----------
    content : bytes
        Of the file.
    name : str
        Of the file.
    inputs, target : optional
        Columns; left out, the first numeric ones (without any, the first with two values) and the last one.
    sep, decimal : str, optional
        As for `load_data`; left out, they are inferred.

    Returns
    -------
    Upload
        The rows, or the trouble.
    """
    shown = re.sub(r"[^\w .()-]", "_", Path(name or "file").name)[-60:] or "file"
    columns: tuple[str, ...] = ()
    try:
        if len(content) > LARGEST:
            raise DataError(
                f"Got a file of {len(content) / 1000:.0f} kB; the page takes {LARGEST // 1000} kB. Take fewer rows."
            )
        if Path(shown).suffix.lower() not in TEXT:
            raise DataError(f"Got {shown}, which is no text by its name; the page takes CSV. Save it as a .csv file.")
        frame, read_as = _frame(content, shown, sep, decimal)
        columns = tuple(map(str, frame.columns))
        return replace(_chosen(frame, shown, columns, inputs, target), read_as=read_as)
    except BayesnnError as error:
        return Upload(name=shown, columns=columns, trouble=str(error))


def _frame(content, name, sep, decimal):
    from bayesnn.data.files import read_table

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return read_table(path, sep=sep, decimal=decimal)


def _chosen(frame, name, columns, inputs, target):
    from bayesnn.data.frames import from_frame

    if len(columns) < 2:
        raise DataError(
            f"Got {name} with one column; inputs and a target are needed. Separate the values by commas or semicolons."
        )
    target = target if target in columns else columns[-1]
    numeric = [c for c in frame.columns if c != target and frame[c].dtype.kind in "iufb"]
    numeric = numeric or [c for c in frame.columns if c != target and frame[c].nunique() == 2]
    inputs = tuple(c for c in inputs or () if c in columns and c != target) or tuple(numeric[:MOST_INPUTS])
    if not inputs:
        raise DataError(
            f"Got {name} without a numeric column besides {target}, or one of two values; an input must be one. Choose "
            "a target."
        )
    rows = len(frame)
    used = frame[[*inputs[:MOST_INPUTS], target]].head(MOST_ROWS)
    options = {"name": name, "description": "", "test_size": 0.0, "random_seed": 0, "scale": False}
    # What a few whole numbers mean can't be asked here: 0 and 1 are labels, others are measurements.
    number = used[target].dtype.kind in "iuf"
    task = None if not number else "binary" if used[target].isin([0, 1]).all() else "regression"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", DataWarning)
        data = from_frame(used, target, task, **options)
    if data.task not in LOSSES:
        raise DataError(
            f"Got target {target} with task {data.task}; the page shows numbers, counts and two classes. "
            "Choose another target."
        )
    coded = data.coding.columns if data.coding is not None else ()
    if many := [column for column in coded if len(column.feature_names) > 1]:
        raise DataError(
            f"Got {many[0].name} with {len(many[0].levels)} levels; the page draws an input that is a number, or one "
            "of two levels. Choose another column, or fit them all: bayesnn compare --data FILE --target "
            f"{target} on the command line."
        )
    pairs = [(c.name, c.levels or ("False", "True")) for c in coded if c.kind != "number"]
    notes = [f"{column} is 1 for {one}, 0 for {zero}." for column, (zero, one) in pairs]
    points = tuple((*map(float, x), float(y)) for x, y in zip(data.X, data.y, strict=True))
    return Upload(
        name=name,
        columns=columns,
        inputs=inputs[:MOST_INPUTS],
        target=target,
        task=data.task,
        points=points,
        rows=rows,
        notes="".join(f" {note}" for note in (*notes, *(str(w.message) for w in said))),
    )
