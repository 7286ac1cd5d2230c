"""Tables from files and hub data sets, each row with the line it stands on.

`read_table` reads a whole file, `iterate_texts` streams one column of it in flat memory. Both go
through the same readers, one a format, which yield blocks of rows; a row that cannot be used goes
to `RowProblems`, which raises or counts it.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tenor.data.formats import READERS, hub_blocks
from tenor.data.lines import Block
from tenor.data.problems import BadRow, OnBadRow, RowProblems
from tenor.errors import ConfigError, DataError

__all__ = ["Table", "count_rows", "iterate_texts", "read_blocks", "read_table"]

Columns = Sequence[str] | Callable[[Sequence[str]], Sequence[str]]

_HUB_NAME = re.compile(
    r"(?:hf://datasets/)?(?P<name>[\w][\w.-]*/[\w.-]+|(?<=hf://datasets/)[\w.-]+)(?::(?P<config>[\w.-]+))?"
)


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, with the line each row came from.

    Args:
        columns: name to values, in the order of the file. Values are Python objects as the format
            has them: csv, tsv and txt give `str` only.
        lines: `(rows,)` int64; the line of the file where the row starts, from 1 with the header
            counted. For Parquet and hub data sets the number of the row, from 1.
        path: the file or the name of the hub data set.
        skipped: the rows left out under `on_bad_row="skip"`.
    """

    columns: dict[str, list[Any]]
    lines: np.ndarray
    path: str
    skipped: list[BadRow]

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self.columns:
            raise _missing_column(name, list(self.columns), self.path)
        return self.columns[name]

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file as it lies on disk; of the values read, for a hub data set."""
        if Path(self.path).is_file():
            with open(self.path, "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        for name, values in self.columns.items():
            for value in (name, *values):
                digest.update(json.dumps(value, default=str).encode() + b"\n")
        return digest.hexdigest()


def read_table(
    source: str | Path,
    *,
    columns: Columns | None = None,
    on_bad_row: OnBadRow = "error",
    split: str | None = None,
) -> Table:
    """Reads a csv, tsv, jsonl (ndjson), json, parquet or txt file, or a hub data set.

    Args:
        source: a file, its format told by the suffix, with or without `.gz`; or a data set on the
            Hugging Face hub as `owner/name`, `owner/name:configuration` or with `hf://datasets/`
            before it. json is a list of objects; txt gives one column `text`, a row a line, empty
            lines included. The text is UTF-8, a byte-order mark is ignored. Blank lines of csv, tsv
            and jsonl are not rows. No code of a hub data set is ever run.
        columns: the columns to read, or a function that picks them from the names found. All of
            them if left out; for jsonl and json those of the first object.
        on_bad_row: "error" stops at the first row that cannot be read (fields that do not match
            the header, broken UTF-8, invalid JSON, a key that is missing); "skip" leaves it out and
            lists it in `Table.skipped`.
        split: which split of a hub data set; "train" if left out. Files have none.

    Raises:
        DataError: the file, a column or a row cannot be used; names path, line and column.
        ConfigError: `on_bad_row` is neither, or `split` is given for a file.
    """
    problems = RowProblems(str(source), on_bad_row)
    values: dict[str, list[Any]] = {}
    lines: list[int] = []
    for block, block_lines in read_blocks(source, columns, problems, 10_000, split):
        lines += block_lines
        for name, block_values in block.items():
            values.setdefault(name, []).extend(block_values)
    problems.require_rows(len(lines))
    return Table(values, np.array(lines, dtype=np.int64), problems.path, problems.skipped)


def iterate_texts(
    source: str | Path, column: str = "text", block: int = 10_000, *, split: str | None = None
) -> Iterator[list[str]]:
    """Streams the texts of one column, at most `block` at a time, in memory that stays flat.

    Takes what `read_table` takes; only a `.json` file, being one value, is parsed as a whole.

    Raises:
        DataError: as `read_table`, or a value that is not a text.
    """
    if block < 1:
        raise ConfigError("block", block, "at least 1")
    problems = RowProblems(str(source))
    count = 0
    for values, lines in read_blocks(source, [column], problems, block, split):
        texts = values[column]
        for text, line in zip(texts, lines, strict=True):
            if not isinstance(text, str):
                problems.report(line, f"{text!r} is not a text.", column)
        count += len(texts)
        if texts:
            yield texts
    problems.require_rows(count)


def count_rows(source: str | Path) -> int | None:
    """Number of rows where the file says so without being read (Parquet), else `None`."""
    path = Path(source)
    if path.suffix.lower() != ".parquet" or not path.is_file():
        return None
    with _named_errors(str(source)):
        return int(pq.read_metadata(path).num_rows)


def read_blocks(
    source: str | Path,
    columns: Columns | None,
    problems: RowProblems,
    size: int,
    split: str | None,
) -> Iterator[Block]:
    """The rows of a file or hub data set, at most `size` at a time, as columns and line numbers.

    Args:
        source: file or name of a hub data set.
        columns: names to read, or what chooses them from those that are there; `None` for all.
        problems: takes what is wrong with single rows, and raises or counts it.
        size: rows of a block.
        split: of a hub data set; "train" by default.

    Raises:
        DataError: the source is not there, cannot be read, or lacks a column.
    """
    path = Path(source)
    choose = _chooser(columns, problems.path)
    name = path.name.lower().removesuffix(".gz")
    reader = READERS.get(Path(name).suffix)
    if not path.exists():
        hub = None if reader else _HUB_NAME.fullmatch(str(source))
        if hub is None:
            raise DataError("there is no such file.", path=source)
        yield from hub_blocks(hub, choose, problems, size, split or "train")
        return
    if path.is_dir():
        raise DataError("this is a folder; name a file in it.", path=source)
    if reader is None:
        known = ", ".join(READERS)
        raise DataError(f"unknown suffix: it must be one of {known}, or one with .gz.", path=source)
    if split is not None:
        raise ConfigError("split", split, f"left out for a file such as {source}")
    if path.stat().st_size == 0:
        raise DataError("the file is empty.", path=source)
    opener: Callable[..., Any] = gzip.open if path.suffix.lower() == ".gz" else open
    with _named_errors(problems.path), opener(path, "rb") as file:
        yield from reader(file, choose, problems, size)


@contextmanager
def _named_errors(path: str) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"damaged or cut short as a gzip file ({error}).", path=path) from error
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot be read: {error}", path=path) from error


def _missing_column(name: str, found: Sequence[str], path: str) -> DataError:
    listed = ", ".join(map(repr, found)) or "none"
    return DataError(f"there is no such column; found: {listed}.", path=path, column=name)


def _chooser(columns: Columns | None, path: str) -> Callable[[Sequence[str]], list[str]]:
    def choose(found: Sequence[str]) -> list[str]:
        wanted = list(
            found if columns is None else columns(found) if callable(columns) else columns
        )
        for name in wanted:
            if name not in found:
                raise _missing_column(name, found, path)
            if list(found).count(name) > 1:
                raise DataError("this column stands there twice.", path=path, column=name)
        return wanted

    return choose
