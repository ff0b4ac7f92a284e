"""CSV, Parquet and Excel files of the user become a table, held in memory once."""

import codecs
import os
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesnn.arguments import check_arguments
from bayesnn.data.checks import some
from bayesnn.data.dialect import SEPARATORS, Dialect, dialect_of
from bayesnn.errors import BayesnnError, DataError, SpecError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

EXCEL = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
"""Endings of files that pandas reads as workbooks."""
_SAMPLE = 2**18
_CHUNK = 2**16
_BINARY = {
    b"PK\x03\x04": "a spreadsheet or an archive",
    b"\x1f\x8b": "compressed",
    b"\x89HDF": "netCDF",
    b"CDF": "netCDF",
}


def read_table(
    path: Path,
    *,
    sep: str | None = None,
    decimal: str | None = None,
    sheet: str | None = None,
    text_columns: Collection[str] = (),
) -> "tuple[pd.DataFrame, str]":
    """Read a CSV file with a header line, a Parquet file or a sheet of an Excel workbook.

    Parameters
    ----------
    path : Path
        The file; what begins with the bytes of Parquet is read as such, all else as text in UTF-8.
    sep : str, optional
        What separates the values of a text file: a comma, semicolon, tab, bar or (any number of) spaces. Left out, it
        is what the header holds.
    decimal : {".", ","}, optional
        What stands before decimals in a text file. Left out, it is what the values show.
    sheet : str, optional
        Which sheet of a workbook. Left out, it is the first.
    text_columns : collection of str
        Columns of a text file or a workbook that are kept as they are written, such as postcodes with leading zeros.

    Returns
    -------
    frame : pandas.DataFrame
        The table.
    said : str
        The name of the file, and how it was read where that is not as an English CSV file.

    Raises
    ------
    DataError
        What is no such file, is not UTF-8, has no header, lines of several lengths, or can be read in two ways.
    SpecError
        `sep` or `decimal` that is none, or for a file that is no text; `sheet` for a file that has none.
    """
    check_arguments(sep=sep, decimal=decimal)
    if not os.path.isfile(path):  # a name that is too long is no file either
        raise DataError(
            f"Got {str(path)!r}, where there is no file; the path of a CSV or Parquet file is needed. Check its "
            "spelling."
        )
    try:
        with path.open("rb") as file:
            start = file.read(_SAMPLE)
    except OSError as error:
        raise DataError(
            f"Got {str(path)!r}, which can't be read ({error.strerror}). Check that it is yours to read."
        ) from error
    kind = "Parquet" if start.startswith(b"PAR1") or path.suffix.lower() == ".parquet" else "CSV"
    kind = "Excel" if path.suffix.lower() in EXCEL else kind
    given = {"sep": sep, "decimal": decimal} if kind != "CSV" else {}
    given |= {"sheet": sheet} if kind != "Excel" else {}
    for name, value in given.items():
        if value is not None:
            what = "has no sheets" if name == "sheet" else "is no text"
            raise SpecError(f"Got {name}={value!r} for {path.name!r}; {kind} {what}. Leave {name} out.")
    if kind == "Parquet":
        return _read_parquet(path), path.name
    if kind == "Excel":
        return read_excel(path, sheet, text_columns)
    dialect = dialect_of(_decoded(start, path), path.name, sep, decimal)
    return _read_csv(path, dialect, text_columns), ", ".join([path.name, *[dialect.said] * bool(dialect.said)])


def _decoded(start, path):
    """Make text of the first bytes, or say at which place they are none."""
    for magic, what in _BINARY.items():
        if start.startswith(magic):
            raise DataError(
                f"Got {path.name!r}, which is {what}; a CSV file is text. Export the table as CSV or Parquet (or call "
                "a workbook .xlsx), or read it with pandas and pass the DataFrame."
            )
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(start, final=len(start) < _SAMPLE)
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    if "\0" in text:
        raise DataError(
            f"Got {path.name!r}, whose line {text.partition(chr(0))[0].count(chr(10)) + 1} holds the byte 0x00; a CSV "
            "file is text. Export the table as CSV or Parquet, or read it with pandas and pass the DataFrame."
        )
    # The last line of a part of a file is a part of a line.
    return text if len(start) < _SAMPLE else text[: text.rfind("\n") + 1]


def _not_utf8(path):
    """Name the first place that is not UTF-8."""
    encoding = "latin-1"
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if number == 1 and line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                what, encoding = "which is UTF-16", "utf-16"
                break
            try:
                line.decode()
            except UnicodeDecodeError as error:
                byte = line[error.start]
                what = (
                    f"whose line {number} holds the byte 0x{byte:02X} ({bytes([byte]).decode('latin-1')!r} in latin-1)"
                )
                break
        else:
            what = "which is not"
    return DataError(
        f"Got {path.name!r}, {what}, so that it does not read as CSV; it must be UTF-8 text. Save it as UTF-8 (iconv "
        f"-f {encoding} -t utf-8), or read it with pandas.read_csv(..., encoding={encoding!r}) and pass the DataFrame."
    )


def _read_csv(path: Path, dialect: Dialect, text_columns: Collection[str] = ()) -> "pd.DataFrame":
    """Read text, after a look at the header that pandas would repair silently."""
    import pandas as pd

    options: dict[str, Any] = {
        "sep": r"\s+" if dialect.sep == " " else dialect.sep,
        "decimal": dialect.decimal,
        "skipinitialspace": True,
    }
    try:
        header = pd.read_csv(path, header=None, nrows=2, dtype=str, **options).iloc[0]
        options["dtype"] = {name: str for name in header if name in text_columns}
        frame = _in_chunks(path, len(header), options)
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        commas = " Where commas are decimal, separate the values by semicolons." if dialect.sep == "," else ""
        raise DataError(
            f"Got {path.name!r}, which does not read as CSV ({str(error).strip()}); it must be UTF-8 text with a "
            f"header line and the same number of {SEPARATORS[dialect.sep]} in every line.{commas} Mend the line, or "
            "read it with pandas and pass the DataFrame."
        ) from error
    check_header(header, path)
    return frame.set_axis(list(header), axis=1)


def check_header(header: "pd.Series", path: Path) -> None:
    """Refuse a first line with gaps, or of numbers."""
    import pandas as pd

    if header.isna().any():
        raise DataError(
            f"Got {path.name!r} without a name for column {np.flatnonzero(header.isna())[0]}; every column needs one. "
            "Name it, or write the file with index=False if it holds row numbers."
        )
    if pd.to_numeric(header, errors="coerce").notna().all():
        raise DataError(
            f"Got {path.name!r} with the first line {some(header)}; it must hold the names of the columns. "
            "Add a header line."
        )


def read_excel(path: Path, sheet: str | None, text_columns: Collection[str]) -> "tuple[pd.DataFrame, str]":
    """Read one sheet of a workbook, and say which where there are several."""
    import pandas as pd

    try:
        with pd.ExcelFile(path) as book:
            sheets = list(map(str, book.sheet_names))
            if sheet is not None and sheet not in sheets:
                raise UnknownNameError("sheet", sheet, sheets)
            chosen = sheets[0] if sheet is None else sheet
            header = pd.read_excel(book, sheet_name=chosen, header=None, nrows=1, dtype=object)
            if header.empty:
                raise DataError(
                    f"Got {path.name!r}, whose sheet {chosen!r} is empty; it must hold a table. Name another."
                )
            check_header(header.iloc[0], path)
            names = list(map(str, header.iloc[0]))
            kinds = {k: str for k, name in enumerate(names) if name in text_columns}
            frame = pd.read_excel(book, sheet_name=chosen, header=None, skiprows=1, dtype=kinds).infer_objects()
    except ImportError as error:
        package = str(error).partition("dependency '")[2].partition("'")[0] or "openpyxl"
        raise DataError(
            f"Got {path.name!r}; to read Excel, {package} must be installed. Install it (pip install {package}), or "
            "export the table as CSV."
        ) from error
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        if isinstance(error, BayesnnError):
            raise
        raise DataError(
            f"Got {path.name!r}, which does not read as an Excel workbook ({error}); it must be a whole one. Save it "
            "again, or export the table as CSV."
        ) from error
    frame = frame.reindex(columns=range(len(names))).set_axis(names, axis=1)
    if len(sheets) == 1:
        return frame, path.name
    return frame, f"{path.name}, sheet {chosen!r} of {some(sheets)}"


def _in_chunks(path, width, options):
    """Read many rows at a time and join each column by itself, so that there is no second table in memory."""
    import pandas as pd

    pieces: list[list[Any]] = [[] for _ in range(width)]
    with pd.read_csv(path, chunksize=_CHUNK, **options) as chunks:
        for chunk in chunks:
            if not isinstance(chunk.index, pd.RangeIndex) or chunk.shape[1] != width:
                raise pd.errors.ParserError("lines hold more values than the header")
            for k, parts in enumerate(pieces):
                parts.append(chunk.iloc[:, k].copy())
    if any(len({"iuf".find(part.dtype.kind) < 0 for part in parts}) > 1 for parts in pieces):
        # Labels that look like numbers for many rows must all be read as text.
        return pd.read_csv(path, low_memory=False, **options)
    columns = {k: pd.concat(parts, ignore_index=True) for k, parts in _let_go(pieces)}
    return pd.DataFrame(columns, copy=False)


def _let_go(pieces):
    """Give the lists with their numbers, and empty each when it has been used."""
    for k, parts in enumerate(pieces):
        yield k, parts
        parts.clear()


def _read_parquet(path):
    """Read a Parquet file column by column."""
    import pandas as pd

    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise DataError(
            f"Got {path.name!r}; to read Parquet, pyarrow must be installed. Install it (pip install "
            "pyarrow), or write the table as CSV."
        ) from error
    try:
        file = pq.ParquetFile(path)
        index = (file.schema_arrow.pandas_metadata or {}).get("index_columns", [])
        names = [name for name in file.schema_arrow.names if name not in index]
        columns = {}
        for name in names:
            columns[name] = file.read(columns=[name]).to_pandas()[name].copy()
            pa.default_memory_pool().release_unused()
        return pd.DataFrame(columns, copy=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"Got {path.name!r}, which does not read as Parquet ({str(error).strip().splitlines()[0]}); it must be a "
            "whole Parquet file. Write it again, or pass a DataFrame."
        ) from error
