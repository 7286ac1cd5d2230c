"""The folder of an index: one generation of data, and index.json, which says which one counts.

A change writes a whole new generation beside the old one and then replaces index.json, which is one
rename: whoever dies before it leaves the old index, whoever dies after it the new one. Readers keep
the files of the generation they opened.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tenor.errors import DataError, ModelError
from tenor.formats.atomic import replaced_folder, write_text
from tenor.formats.json_files import read_object
from tenor.search.description import IndexDescription

__all__ = ["Change", "changed_index", "opened_index", "read_description"]

INDEX, LOCK = "index.json", ".lock"
_GENERATION = re.compile(r"data-([0-9]+)")
_OURS = re.compile(r"\.lock|\.?index\.json(\.part)?|\.?data-[0-9]+(-\w+)?")

Opened = TypeVar("Opened")


class Change:
    """A change of an index under way.

    Attributes:
        data: folder to write the new generation into.
        name: what it will be called.
        old: the index as it is, and the folder of its data; `None` where there is none, or the
            new one takes its place.
        description: of the new index; to be set before the change ends.
    """

    def __init__(self, data: Path, name: str, old: tuple[IndexDescription, Path] | None) -> None:
        self.data, self.name, self.old = data, name, old
        self.description: IndexDescription | None = None


def read_description(folder: Path) -> IndexDescription:
    """Read index.json.

    Raises:
        DataError: the folder holds no index.
    """
    path = folder / INDEX
    if not path.is_file():
        raise DataError("holds no index; build one with `tenor index MODEL CORPUS --out INDEX`.",
                        path=folder)  # fmt: skip
    try:
        return IndexDescription.from_json(read_object(path), path)
    except ModelError as error:
        raise DataError(f"{error} Build the index anew.", path=path) from error


def opened_index(
    folder: Path, open_data: Callable[[Path, IndexDescription], Opened]
) -> tuple[IndexDescription, Opened]:
    """Open the generation that counts; once more if a change took it away meanwhile.

    Raises:
        DataError: the folder holds no index, or a damaged one.
    """
    description = read_description(folder)
    while True:
        try:
            return description, open_data(folder / description.data, description)
        except (DataError, OSError):
            before, description = description, read_description(folder)
            if description.data == before.data:
                raise


@contextmanager
def changed_index(folder: Path, *, anew: bool) -> Iterator[Change]:
    """Change an index: what the body writes counts when the body is done, and not before.

    Args:
        folder: of the index.
        anew: make a new index, which takes the place of one that is there.

    Raises:
        DataError: the folder holds something else (or, not `anew`, nothing), or another process
            is changing the index.
    """
    existed = folder.is_dir()
    if anew:
        _check_replaceable(folder)
        folder.mkdir(parents=True, exist_ok=True)
    old = None if anew else read_description(folder)
    with _locked(folder):
        if old is not None:
            old = read_description(folder)  # it may have changed until the lock was ours
        keep = _current(folder)
        _remove_all_but(folder, keep)
        number = 1 + max((_number(path.name) for path in folder.iterdir()), default=0)
        name = f"data-{number}"
        try:
            with replaced_folder(folder / name) as scratch:
                change = Change(scratch, name, None if old is None else (old, folder / old.data))
                yield change
                assert change.description is not None, "a change ends with a description"
            text = json.dumps(change.description.to_json(), indent=2, ensure_ascii=False) + "\n"
            write_text(folder / INDEX, text)
        except BaseException:
            if not existed and _current(folder) is None:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        _remove_all_but(folder, name)


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise DataError("is a file; name a folder for the index.", path=folder)
    others = sorted(path.name for path in folder.iterdir() if not _OURS.fullmatch(path.name))
    if others:
        raise DataError(
            f"exists and holds more than an index ({', '.join(others[:5])}); it is not "
            "overwritten. Name a new folder.",
            path=folder,
        )
    if (folder / INDEX).exists() and read_object(folder / INDEX).get("format") is None:
        raise DataError("is not an index.json of ours; name a new folder.", path=folder / INDEX)


def _current(folder: Path) -> str | None:
    """Name of the generation that counts, if there is any."""
    if not (folder / INDEX).is_file():
        return None
    data = read_object(folder / INDEX).get("data")
    return data if isinstance(data, str) else None


def _remove_all_but(folder: Path, keep: str | None) -> None:
    """Remove the generations that do not count: old ones, and those of changes that were killed."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != keep and _OURS.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def _number(name: str) -> int:
    match = _GENERATION.fullmatch(name)
    return int(match[1]) if match else 0


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One change at a time; the lock of a process that dies is gone with it."""
    with open(folder / LOCK, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(
                "another process is changing this index; wait until it is done.", path=folder
            ) from error
        yield
