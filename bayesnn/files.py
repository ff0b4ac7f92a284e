"""Files that are written whole or not at all, whenever the process or the machine stops."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bayesnn.errors import FileError


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Give a path to write to, and put what was written there in the place of a file, at once.

    Whoever reads the file sees what was there before, or all that was written; never a part.

    Parameters
    ----------
    path : path
        The file that is meant; its folder is made where it is missing.

    Yields
    ------
    pathlib.Path
        A path beside it, of the same suffix, to write to.

    Raises
    ------
    FileError
        Nothing can be written there, or the disk is full. What was there before is unchanged.

    Examples
    --------
    >>> import tempfile
    >>> from bayesnn.files import written_whole
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with written_whole(folder + "/deep/down.txt") as part:
    ...         _ = part.write_text("all of it")
    ...     Path(folder, "deep", "down.txt").read_text()
    'all of it'
    """
    # A link stays one, and what it leads to is written.
    try:
        path = Path(os.path.realpath(path))
    except ValueError as error:
        raise FileError(f"Got {str(path)!r}, which no file can be called ({error}). Name another.") from error
    if path.exists() and not path.is_file():
        raise FileError(
            f"Got {path}, which is a {'folder' if path.is_dir() else 'device'}; it must be a file, since it is "
            "replaced. Name a file."
        )
    part = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        _to_disk(part)
        part.replace(path)
        # The new name is an entry of the folder, which can be opened everywhere but on Windows.
        with suppress(OSError):
            _to_disk(path.parent)
    except OSError as error:
        raise FileError(
            f"Got {path}, which can't be written ({error.strerror or error}); what was there before is unchanged. "
            "Make room, or name a file in a folder that may be written to."
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _to_disk(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
