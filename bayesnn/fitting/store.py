"""Results that are kept as they come: a second run takes them from there, and refuses those of other settings."""

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Hashable, Iterable, Mapping
from numbers import Integral
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bayesnn.arguments import Seed, check_arguments, rng_of
from bayesnn.errors import FileError, SpecError
from bayesnn.files import written_whole
from bayesnn.tree import Problem, load_fit, save_fit

type Arrays = Mapping[str, np.ndarray]


class Kept(Protocol):
    """What keeps the results of tasks."""

    def read(self, keys: Iterable[Hashable]) -> dict[Any, Any]:
        """Give the results that there are already."""

    def keep(self, key: Hashable, value: Any) -> None:
        """Add one."""


class Lines:
    """A file of results, a line of JSON each: of a run that is killed, every whole line counts.

    Parameters
    ----------
    path : path
        The file.
    settings : dict
        What the results depend on, besides their keys; the first line of the file.

    Raises
    ------
    SpecError
        A file of results of other settings.
    FileError
        A file of something else.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any]):
        check_arguments(path=path)
        self.path, wanted = Path(path), json.loads(json.dumps(dict(settings)))
        if not self.path.exists():
            with written_whole(self.path) as part:
                part.write_text(json.dumps(wanted) + "\n", encoding="utf-8")
        try:
            text = self.path.read_text(encoding="utf-8")
            head, *self.lines = text.splitlines()
            known = dict(json.loads(head))
        except (OSError, ValueError, TypeError):
            raise FileError(
                f"Got path={str(path)!r}, which is no file of results; it is one that an earlier run has written, or "
                "not there yet. Write another path."
            ) from None
        _check_same(known, wanted, f"path={str(path)!r}, a file", "Write another path.")
        if not text.endswith("\n"):
            # Of a run that was killed while it wrote.
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n")

    def read(self, keys: Iterable[Hashable]) -> dict[Any, Any]:
        """Give the results that there are already."""
        by_name, done = {json.dumps(key): key for key in keys}, {}
        for line in self.lines:
            try:
                key, value = json.loads(line)
            except ValueError:
                continue
            if json.dumps(key) in by_name:
                done[by_name[json.dumps(key)]] = value
        return done

    def keep(self, key: Hashable, value: Any) -> None:
        """Add a line."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([key, value]) + "\n")
            file.flush()
            os.fsync(file.fileno())


def lines_of(path: str | Path | None, settings: Mapping[str, Any]) -> Lines | None:
    """Open the file of results that was named, if one was."""
    return None if path is None else Lines(path, settings)


class Store:
    """A folder of results, each a file of arrays that is written whole or not at all.

    Several processes may work in one folder: what they write is the same.

    Parameters
    ----------
    path : path
        The folder; it is made where it is missing.
    settings : dict
        What the results depend on, besides their keys; kept in ``settings.json``. A seed of None takes the one that
        the folder has.

    Raises
    ------
    SpecError
        A folder of results of other settings.
    FileError
        A path that is no folder, or a folder of something else.
    """

    def __init__(self, path: str | Path, settings: Mapping[str, Any]):
        self.path = Path(path)
        known, wanted = self.path / "settings.json", json.loads(json.dumps(dict(settings)))
        if known.exists():
            try:
                self.settings = json.loads(known.read_text(encoding="utf-8"))
            except ValueError:
                raise FileError(
                    f"Got store={str(path)!r}, whose settings.json does not read as JSON; a store is a folder that a "
                    "fit has made. Name another folder."
                ) from None
            if wanted.get("random_seed", "") is None:
                wanted["random_seed"] = self.settings.get("random_seed")
            _check_same(self.settings, wanted, f"store={str(path)!r}, a folder", "Name another folder.")
            return
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise FileError(
                f"Got store={str(path)!r}, which is {'a folder of something else' if self.path.is_dir() else 'a file'};"
                " a store is a folder of its own. Name one that is empty or not there yet."
            )
        if wanted.get("random_seed", "") is None:
            wanted["random_seed"] = int(np.random.default_rng().integers(2**31))
        self.settings = wanted
        with written_whole(known) as part:
            part.write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")

    def read(self, keys: Iterable[Hashable]) -> dict[Any, Any]:
        """Give the results that there are already."""
        return {key: value for key in keys if (value := self.get(key)) is not None}

    def get(self, key: Hashable) -> Arrays | None:
        """Give one result, or None where it is not there."""
        file = self._file(key)
        if not file.exists():
            return None
        try:
            # Arrays of numbers and text only: a file from elsewhere runs no code.
            # numpy leaves a file open that it can't read.
            with file.open("rb") as handle, np.load(handle, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            raise FileError(
                f"Got the store {str(self.path)!r}, whose {file.name} can't be read ({error}); it was changed or "
                "damaged since it was written. Remove that file, and it is computed again."
            ) from error

    def keep(self, key: Hashable, value: Arrays) -> None:
        """Add a result."""
        with written_whole(self._file(key)) as part, part.open("wb") as file:
            arrays: dict[str, Any] = {name: np.asarray(array) for name, array in value.items()}
            np.savez(file, **arrays)

    def _file(self, key, suffix=".npz"):
        name = "-".join(map(str, key if isinstance(key, tuple) else (key,)))
        plain = re.sub(r"[^\w.-]+", "_", name)
        # Two names may become one.
        return self.path / f"{plain if plain == name else f'{plain}-{digest_of(name)[:6]}'}{suffix}"


class FitStore(Store):
    """A folder of fits, each with a row of figures about it, and of single numbers."""

    def get(self, key: Hashable) -> Any:
        """Give one result, or None where it is not there."""
        file = self._file(key, ".nc")
        if not file.exists():
            return None if (arrays := super().get(key)) is None else arrays["value"].item()
        fit = load_fit(file)
        return json.loads(fit.attrs.pop("bayesnn_row")), fit

    def keep(self, key: Hashable, value: Any) -> None:
        """Add a result."""
        if not isinstance(value, tuple):
            super().keep(key, {"value": value})
            return
        row, fit = value
        fit = fit.copy(deep=False)
        fit.attrs["bayesnn_row"] = json.dumps(row)
        save_fit(fit, self._file(key, ".nc"))


def seed_of(random_seed: Seed) -> int | None:
    """Give the number that a file can keep in place of a seed.

    Parameters
    ----------
    random_seed : int, numpy.random.Generator or None
        As for `fit_posterior`.

    Returns
    -------
    int or None
        The seed, a number drawn from a generator, or None where there is none.
    """
    if random_seed is None or isinstance(random_seed, Integral):
        return None if random_seed is None else int(random_seed)
    return int(rng_of(random_seed).integers(2**31))


def fingerprint(problem: Problem) -> str:
    """Write a network and its data as one short text that tells them from all others.

    Parameters
    ----------
    problem : Problem
        What is to be fitted.

    Returns
    -------
    str
        As of `digest_of`.
    """
    scaling = problem.scaling.to_json() if problem.scaling is not None else ""
    names = [problem.feature_names, problem.output_names, problem.class_names]
    # Data without a coding keep the text that they had before there was any.
    coding = [problem.coding.to_json()] if problem.coding is not None else []
    return digest_of(json.dumps([problem.net.to_json(), scaling, names, *coding]), problem.X, problem.y)


def digest_of(*parts: str | np.ndarray) -> str:
    """Write texts and arrays as one short text that tells them from all others.

    Parameters
    ----------
    *parts : str or array
        In their order.

    Returns
    -------
    str
        The first 16 hexadecimal digits of a SHA-256.
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            digest.update(part.encode())
            continue
        digest.update(f"{part.dtype} {part.shape}".encode())
        # Byte by byte as they lie in memory, row after row.
        digest.update(np.ascontiguousarray(part).view(np.uint8).data)
    return digest.hexdigest()[:16]


def _check_same(known, wanted, where, remedy):
    """Refuse results of other settings."""
    other = [name for name in {**known, **wanted} if known.get(name) != wanted.get(name)]
    if other:
        name = other[0]
        raise SpecError(
            f"Got {where} of results for {name}={known.get(name)!r}, where {name}={wanted.get(name)!r} is asked for; "
            f"results of other settings can't be mixed. {remedy}"
        )
