"""Rows of a file written out again with something added: types of their columns, and values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tenor.errors import DataError

__all__ = ["changed_type", "column_types", "writable"]


def column_types(source: str | Path, columns: dict[str, list[Any]]) -> list[pa.Field]:
    """Types of a source's columns: as Parquet has them, else as its first rows show.

    Args:
        source: the file or hub data set.
        columns: values of its first rows, by name.
    """
    path = Path(source)
    if path.is_file() and path.suffix.lower() == ".parquet":
        stored = pq.read_schema(path)
        return [stored.field(name) for name in columns]
    fields = []
    for name, values in columns.items():
        try:
            kind = pa.array(values).type
        except pa.ArrowException:
            kind = pa.string()  # of no one type; only Parquet would mind, and says so then
        fields.append(pa.field(name, pa.string() if pa.types.is_null(kind) else kind))
    return fields


def writable(values: list[Any], suffix: str) -> list[Any]:
    """Values as a format takes them: lists as JSON in csv; dates and the like as text.

    Args:
        values: of one column.
        suffix: of the file to write, `.csv`.

    >>> writable([["a", 1], "b", None], ".csv")
    ['["a", 1]', 'b', None]
    """
    if suffix.lower() == ".parquet":
        return values
    plain = (str, int, float, type(None))
    if all(isinstance(value, plain) for value in values):
        return values
    if suffix.lower() == ".jsonl":
        return [json.loads(json.dumps(value, default=str)) for value in values]
    return [
        value if isinstance(value, plain) else json.dumps(value, ensure_ascii=False, default=str)
        for value in values
    ]


def changed_type(
    source: str | Path, schema: pa.Schema, columns: Sequence[Any], problem: object
) -> DataError:
    """What to raise where Parquet cannot hold further rows: names the column.

    Args:
        source: the file that is read.
        schema: of the file that is written.
        columns: the values that do not fit.
        problem: what pyarrow says.
    """
    name = None
    for field, values in zip(schema, columns, strict=True):
        try:
            pa.array(values, type=field.type)
        except pa.ArrowException:
            name = str(field.name)
            break
    return DataError(
        f"its values change their type on the way ({problem}); name a .jsonl file as output, "
        "which takes any.",
        path=source,
        column=name,
    )
