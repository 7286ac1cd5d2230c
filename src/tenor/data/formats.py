"""Readers, one a format: each yields blocks of the rows of a file or a hub data set.

A reader takes the open file, a function that picks the columns to read from those found (or
raises), what to do with bad rows, and the most rows a block may have.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Callable, Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from tenor.data.json_formats import json_blocks, json_line_blocks
from tenor.data.lines import NOT_UTF8, Block, Lines, is_text, row_blocks
from tenor.data.problems import RowProblems
from tenor.errors import DataError

__all__ = ["LONGEST_FIELD", "READERS", "hub_blocks"]

# Long documents pass the csv module's own limit of 131,072 characters a field; beyond this one a
# quote was left open, and the rest of the file would be read into one field.
LONGEST_FIELD = 2**24


def _csv_reader(delimiter: str) -> Callable[..., Iterator[Block]]:
    def blocks(
        file: IO[bytes], choose: Callable[..., list[str]], problems: RowProblems, size: int
    ) -> Iterator[Block]:
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_FIELD))
        rows = _csv_rows(Lines(file), delimiter, problems)
        _, header = next(rows, (0, []))
        if not header:
            raise DataError("the file is empty.", path=problems.path)
        keys = {name: header.index(name) for name in choose(header)}
        yield from row_blocks(rows, keys, size)

    return blocks


def _csv_rows(
    lines: Lines, delimiter: str, problems: RowProblems
) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    strict = RowProblems(problems.path)
    while True:
        first = lines.start_row()
        report = (strict if header is None else problems).report
        try:
            row = next(reader, None)
        except csv.Error as error:
            hint = "a quote inside a quoted field is written twice; is one left open?"
            report(first, f"not a valid row ({error}): {hint}")
            # A stray quote can swallow good rows up to the next one: read those again.
            lines.give_back()
            continue
        if row is None:
            return
        if not row:
            continue
        if lines.is_broken(first):
            names = header or []
            bad = (name for name, value in zip(names, row, strict=False) if not is_text(value))
            report(first, NOT_UTF8, next(bad, None))
        elif header is not None and len(row) != len(header):
            counts = f"the number of fields is {len(row)}, but {len(header)} in the header"
            report(first, f"{counts}; quote a field that contains the separator.")
        else:
            header = header or row
            yield first, row


def _text_blocks(
    file: IO[bytes], choose: Callable[..., list[str]], problems: RowProblems, size: int
) -> Iterator[Block]:
    keys = dict.fromkeys(choose(["text"]), 0)

    def rows() -> Iterator[tuple[int, tuple[str]]]:
        lines = Lines(file)
        for text in lines:
            lines.start_row()
            if lines.number in lines.broken:
                problems.report(lines.number, NOT_UTF8, "text")
            else:
                yield lines.number, (text.removesuffix("\n").removesuffix("\r"),)

    yield from row_blocks(rows(), keys, size)


def _parquet_blocks(
    file: Any, choose: Callable[..., list[str]], problems: RowProblems, size: int
) -> Iterator[Block]:
    # Parquet is read from its end, and going back in a gzip stream means reading it anew.
    seekable = io.BytesIO(file.read()) if isinstance(file, gzip.GzipFile) else file
    parquet = pq.ParquetFile(seekable, pre_buffer=False)
    wanted = choose(parquet.schema_arrow.names)
    row = 1
    for batch in parquet.iter_batches(batch_size=size, columns=wanted):
        lines = list(range(row, row + batch.num_rows))
        row += batch.num_rows
        try:
            yield {name: batch.column(name).to_pylist() for name in wanted}, lines
        except UnicodeDecodeError:
            yield _decodable(batch, lines, problems)


def _decodable(batch: Any, lines: list[int], problems: RowProblems) -> Block:
    """The rows of a batch without those that are not UTF-8, found one by one."""
    kept: list[int] = []
    for index, line in enumerate(lines):
        name = ""
        try:
            for name in batch.schema.names:
                batch.column(name)[index].as_py()
            kept.append(index)
        except UnicodeDecodeError:
            problems.report(line, NOT_UTF8, name)
    return batch.take(pa.array(kept, pa.int64())).to_pydict(), [lines[index] for index in kept]


def hub_blocks(
    hub: re.Match[str],
    choose: Callable[..., list[str]],
    problems: RowProblems,
    size: int,
    split: str,
) -> Iterator[Block]:
    """Reads a split of a hub data set, class labels by their names; runs no code of it."""
    import datasets

    try:
        dataset = datasets.load_dataset(hub["name"], hub["config"], split=split)
    except Exception as error:  # the hub client raises errors of four libraries
        file = "" if hub.string.startswith("hf://") else "there is no such file, and "
        cause = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        reason = f"{file}it cannot be reached as a hub data set{' either' if file else ''}"
        raise DataError(f"{reason}, split {split!r} ({cause}).", path=hub.string) from error
    wanted = choose(dataset.column_names)
    names = {
        name: feature.names
        for name, feature in dataset.features.items()
        if isinstance(feature, datasets.ClassLabel)
    }
    row = 1
    for batch in dataset.select_columns(wanted).iter(batch_size=size):
        count = len(batch[wanted[0]])
        for name in names.keys() & batch.keys():
            # -1 and None stand for "no label" and have no name.
            batch[name] = [
                names[name][value] if value is not None and value >= 0 else value
                for value in batch[name]
            ]
        yield dict(batch), list(range(row, row + count))
        row += count


READERS: dict[str, Callable[..., Iterator[Block]]] = {
    ".csv": _csv_reader(","),
    ".tsv": _csv_reader("\t"),
    ".jsonl": json_line_blocks,
    ".ndjson": json_line_blocks,
    ".json": json_blocks,
    ".parquet": _parquet_blocks,
    ".txt": _text_blocks,
}
