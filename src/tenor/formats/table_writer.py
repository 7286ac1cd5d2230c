"""Tables written block by block, as Parquet, CSV or JSON lines, whole or not at all."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from tenor.errors import DataError
from tenor.formats.atomic import sync

__all__ = ["WritesRows", "write_parquet", "written_table"]


class WritesRows(Protocol):
    """Takes the next rows of a table."""

    def write(self, columns: Sequence[Any], /) -> None:
        """Append rows, given as one sequence (or array) a column, in the schema's order."""


class _Parquet:
    def __init__(self, writer: Any, schema: pa.Schema) -> None:
        self.writer, self.schema = writer, schema

    def write(self, columns: Sequence[Any], /) -> None:
        arrays = [
            pa.array(values, type=field.type)
            for values, field in zip(columns, self.schema, strict=True)
        ]
        self.writer.write_table(pa.table(arrays, schema=self.schema))


class _Csv:
    def __init__(self, file: IO[str], schema: pa.Schema, delimiter: str) -> None:
        self.writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        self.writer.writerow(schema.names)

    def write(self, columns: Sequence[Any], /) -> None:
        self.writer.writerows(zip(*map(_plain, columns), strict=True))


class _JsonLines:
    def __init__(self, file: IO[str], schema: pa.Schema) -> None:
        self.file, self.names = file, schema.names

    def write(self, columns: Sequence[Any], /) -> None:
        for row in zip(*map(_plain, columns), strict=True):
            line = json.dumps(dict(zip(self.names, row, strict=True)), ensure_ascii=False)
            self.file.write(line + "\n")


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table whole or not at all, on the disk when this returns.

    Args:
        path: of the file; its folder is made if it does not exist.
        table: the rows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.part")
    pq.write_table(table, scratch, compression="zstd")
    sync(scratch)
    scratch.replace(path)


@contextmanager
def written_table(path: str | Path, schema: pa.Schema) -> Iterator[WritesRows]:
    """A table to append rows to; the file appears under its name when all went well.

    Args:
        path: its suffix says the format: .parquet, .csv, .tsv or .jsonl.
        schema: names and types of the columns.

    Raises:
        DataError: the suffix is another, or the file cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in (".parquet", ".csv", ".tsv", ".jsonl"):
        raise DataError("cannot be written: name a .parquet, .csv, .tsv or .jsonl file.", path=path)
    scratch = target.with_name(f".{target.name}.part")
    with _named_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _named_errors(target):
            if suffix == ".parquet":
                with pq.ParquetWriter(scratch, schema, compression="zstd") as writer:
                    yield _Parquet(writer, schema)
            else:
                with open(scratch, "w", encoding="utf-8", newline="") as file:
                    if suffix == ".jsonl":
                        yield _JsonLines(file, schema)
                    else:
                        yield _Csv(file, schema, "," if suffix == ".csv" else "\t")
            scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot be written: {error.strerror or error}.", path=path) from error


def _plain(values: Any) -> Any:
    """As Python's own values; an array's float32 as the shortest decimal that means it."""
    if getattr(values, "dtype", None) is not None and values.dtype.kind == "f":
        return [float(str(value)) for value in values]
    return values.tolist() if hasattr(values, "tolist") else values
