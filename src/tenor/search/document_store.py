"""Documents on disk: ids, texts and metadata in one Parquet file, read for the hits only.

Row groups are small, so that the few rows of a search's hits cost little reading.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tenor.errors import DataError
from tenor.search.corpus import Documents

__all__ = ["DocumentStore", "DocumentWriter", "are_among", "first_repeated"]

GROUP = 256  # rows of a row group
BLOCK = 16_384  # rows read at a time when all are
METADATA = "metadata."  # before the names of metadata columns, which may be "id" and "text" too
_FIXED = pa.schema([("id", pa.string()), ("text", pa.string())])


class DocumentStore:
    """The documents of an index, opened once and read by row.

    Args:
        path: file that a `DocumentWriter` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = pq.ParquetFile(path, pre_buffer=False)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"cannot be read ({error}).", path=path) from error
        counts = (self._file.metadata.row_group(i).num_rows for i in range(self._groups))
        self._starts = [0, *accumulate(counts)]
        self._columns: dict[str, pa.ChunkedArray] = {}

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def schema(self) -> pa.Schema:
        """Columns as they are stored."""
        return self._file.schema_arrow

    @property
    def metadata_columns(self) -> list[str]:
        """Names of the columns beside id and text."""
        names = self.schema.names[len(_FIXED) :]
        return [name.removeprefix(METADATA) for name in names]

    def ids(self) -> pa.ChunkedArray:
        """The id of every document."""
        return self._file.read(columns=["id"])["id"]

    def column(self, name: str) -> pa.ChunkedArray:
        """A metadata column of every document, kept in memory once read."""
        if name not in self._columns:
            self._columns[name] = self._file.read(columns=[METADATA + name])[METADATA + name]
        return self._columns[name]

    def texts(self) -> Iterator[list[str]]:
        """All texts, in blocks."""
        for batch in self._file.iter_batches(batch_size=BLOCK, columns=["text"]):
            yield batch["text"].to_pylist()

    def tables(self) -> Iterator[pa.Table]:
        """All documents, in blocks."""
        for batch in self._file.iter_batches(batch_size=BLOCK):
            yield pa.Table.from_batches([batch])

    def take(self, rows: npt.NDArray[np.int64], *, texts_only: bool = False) -> pa.Table:
        """Some documents, in the order of the rows asked for; a row may come twice.

        Args:
            rows: any number of them, from 0.
            texts_only: read no more than the texts.
        """
        columns = ["text"] if texts_only else self.schema.names
        distinct, places = np.unique(rows, return_inverse=True)
        parts = [pa.schema([self.schema.field(name) for name in columns]).empty_table()]
        position = 0
        while position < len(distinct):
            group = bisect.bisect_right(self._starts, int(distinct[position])) - 1
            end = int(np.searchsorted(distinct, self._starts[group + 1]))
            local = distinct[position:end] - self._starts[group]
            read = self._file.read_row_group(group, columns=columns, use_threads=False)
            parts.append(read.select(columns).take(pa.array(local)))
            position = end
        return pa.concat_tables(parts).take(pa.array(places))

    def documents(self, rows: npt.NDArray[np.int64]) -> list[tuple[str, str, dict[str, Any]]]:
        """Id, text and metadata of some documents, in the order of the rows asked for."""
        table = self.take(rows)
        ids, texts = table["id"].to_pylist(), table["text"].to_pylist()
        values = [table[METADATA + name].to_pylist() for name in self.metadata_columns]
        metadata = (
            [
                dict(zip(self.metadata_columns, row, strict=True))
                for row in zip(*values, strict=True)
            ]
            if values
            else [{} for _ in ids]
        )
        return list(zip(ids, texts, metadata, strict=True))

    @property
    def _groups(self) -> int:
        return int(self._file.metadata.num_row_groups)


class DocumentWriter:
    """Writes documents block by block; a metadata column's type widens where later rows need it.

    Args:
        path: of the Parquet file.
        source: name of what is read, for messages.

    Raises:
        DataError: values of a metadata column do not go together; names the column.
    """

    def __init__(self, path: Path, source: str) -> None:
        self.path, self.source = path, source
        self.rows = 0
        self._writer: pq.ParquetWriter | None = None
        self._schema = _FIXED

    def __enter__(self) -> DocumentWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    def add(self, documents: Documents, ids: Sequence[str]) -> None:
        """Write a block of documents under some ids."""
        columns = {"id": pa.array(ids, pa.string()), "text": pa.array(documents.texts, pa.string())}
        for name, values in documents.metadata.items():
            columns[METADATA + name] = self._array(name, values, documents.lines)
        self.add_table(pa.table(columns))

    def add_table(self, table: pa.Table) -> None:
        """Write a block of rows that has `id`, `text` and metadata columns."""
        if not table.num_rows:
            return
        self.widen(table.schema)
        try:
            if self._writer is None:
                self._writer = self._open(self.path)
            self._writer.write_table(self._fitted(table), row_group_size=GROUP)
        except pa.ArrowException as error:
            raise DataError(
                f"a metadata column cannot be stored as Parquet ({error}); leave it out of the "
                "metadata columns.",
                path=self.source,
            ) from error
        self.rows += table.num_rows

    def widen(self, schema: pa.Schema) -> None:
        """Make room for the columns and types of another schema."""
        try:
            wider = pa.unify_schemas([self._schema, schema], promote_options="permissive")
        except pa.ArrowException as error:
            raise DataError(
                f"a metadata column changes its type on the way ({error}); make its values alike, "
                "or leave it out of the metadata columns.",
                path=self.source,
            ) from error
        changed, self._schema = not wider.equals(self._schema), wider
        if changed and self._writer is not None:
            self._rewrite()

    def _rewrite(self) -> None:
        """Write what was written so far once more, in the wider schema."""
        assert self._writer is not None
        self._writer.close()
        narrow = self.path.with_name(self.path.name + ".narrow")
        self.path.rename(narrow)
        self._writer = self._open(self.path)
        with pq.ParquetFile(narrow) as file:
            for batch in file.iter_batches(batch_size=BLOCK):
                table = self._fitted(pa.Table.from_batches([batch]))
                self._writer.write_table(table, row_group_size=GROUP)
        narrow.unlink()

    def _open(self, path: Path) -> pq.ParquetWriter:
        kept = [name for name in self._schema.names if name.startswith(METADATA)]
        return pq.ParquetWriter(
            path, self._schema, compression="zstd", use_dictionary=kept, write_statistics=False
        )

    def _fitted(self, table: pa.Table) -> pa.Table:
        """The table with every column of the schema, missing ones null."""
        columns = [
            table[field.name].cast(field.type)
            if field.name in table.schema.names
            else pa.nulls(table.num_rows, field.type)
            for field in self._schema
        ]
        return pa.Table.from_arrays(columns, schema=self._schema)

    def _array(self, name: str, values: Sequence[Any], lines: Sequence[int]) -> pa.Array:
        try:
            return pa.array(values)
        except (pa.ArrowException, OverflowError):
            pass
        good, bad = 0, len(values)  # so many leading values go together, so many do not
        cause: Exception | None = None
        while bad - good > 1:
            middle = (good + bad) // 2
            try:
                pa.array(values[:middle])
                good = middle
            except (pa.ArrowException, OverflowError) as error:
                bad, cause = middle, error
        raise DataError(
            f"{values[good]!r:.80} does not go with the values before it; make them alike, or "
            "leave the column out of the metadata columns.",
            path=self.source,
            line=lines[good],
            column=name,
        ) from cause


def first_repeated(ids: pa.ChunkedArray) -> tuple[str, int, int] | None:
    """The first id that stands there twice, and the rows of both, or `None`."""
    codes = ids.combine_chunks().dictionary_encode().indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    again = order[1:][codes[order][1:] == codes[order][:-1]]
    if not len(again):
        return None
    second = int(again.min())
    first = int(np.flatnonzero(codes == codes[second])[0])
    return ids[second].as_py(), first, second


def are_among(ids: pa.ChunkedArray, wanted: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which of the ids are among the wanted ones: (rows,) bool."""
    found = pc.is_in(ids, value_set=pa.array(wanted, pa.string()))
    return np.asarray(found.to_numpy())
