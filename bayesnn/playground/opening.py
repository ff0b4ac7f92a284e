"""What a page begins with, where a command or a notebook names data."""

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from bayesnn.data import Dataset
from bayesnn.errors import DataError, SpecError
from bayesnn.playground.settings import BUNDLED, LOSSES, MOST_ROWS, OWN, Settings


def settings_of(
    data: "str | Path | Dataset | None" = None, *, sep: str | None = None, decimal: str | None = None, **settings: Any
) -> Settings:
    """Make the first state of a page.

    Parameters
    ----------
    data : str, Path or Dataset, optional
        A bundled name, a CSV file whose last column is the target, or data with one or two inputs.
    sep, decimal : str, optional
        What separates the values of a CSV file and what stands before their decimals, as for `load_data`.
    **settings
        Of `Settings`.

    Returns
    -------
    Settings
        The state.

    Raises
    ------
    DataError
        Data of which the page has no picture.
    SpecError
        A setting that is none, or out of bounds.
    """
    unknown = sorted(set(settings) - set(Settings.__dataclass_fields__))
    if unknown:
        known = ", ".join(Settings.__dataclass_fields__)
        raise SpecError(f"Got {unknown[0]}=, which is no setting of the page. Known are {known}. Leave it out.")
    if data is None:
        return Settings().with_(**settings)
    if isinstance(data, Dataset):
        return _of_points(_rows(data), settings)
    if not isinstance(data, str | PathLike):
        raise DataError(
            f"Got data of type {type(data).__name__}; it must be a name, the path of a file or a Dataset. Make one "
            "with bnn.load_data."
        )
    path = Path(data)
    if str(data) in BUNDLED:
        return Settings().with_(data=str(data), **settings)
    if path.suffix.lower() == ".csv" or path.is_file():
        return _of_points(_file(path, sep, decimal), settings)
    raise DataError(
        f"Got data {str(data)!r}; the page shows {', '.join(BUNDLED)}, or a CSV file with one or two inputs. Write "
        f"{BUNDLED[0]!r}, or the path of a file."
    )


def _of_points(found, settings):
    points, task = found
    own = {"data": OWN, "task": task, "points": points, "scaled": task == "regression", **settings}
    return replace(Settings(), loss=own.pop("loss", LOSSES[task][0]), **own)


def _file(path, sep, decimal):
    from bayesnn.playground.upload import read_upload

    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"Got {str(path)!r}, which can't be read ({error.strerror}). Check its spelling.") from error
    upload = read_upload(content, path.name, sep=sep, decimal=decimal)
    if upload.trouble:
        raise DataError(upload.trouble)
    return upload.points, upload.task


def _rows(data):
    X, y = np.asarray(data.X, dtype=float), np.asarray(data.y, dtype=float)
    if data.task not in LOSSES or X.shape[1] not in (1, 2) or y.ndim != 1:
        raise DataError(
            f"Got data with {X.shape[1]} inputs and a target of task {data.task}; the page draws one or two inputs and "
            f"one target of {', '.join(LOSSES)}. Choose columns."
        )
    if data.task == "binary" and not np.isin(y, (0, 1)).all():
        raise DataError("Got labels that are not 0 and 1; the page shows two classes. Recode them.")
    return tuple((*map(float, x), float(t)) for x, t in zip(X[:MOST_ROWS], y[:MOST_ROWS], strict=True)), data.task
