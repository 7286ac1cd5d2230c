"""One generation of an index's data: opened for search, or written as a whole.

Files: `documents.parquet` (ids, texts, metadata), `vectors.npy`, `keys.npy` (a number for each
document that never changes, rising with the rows), and where asked for `hnsw.usearch` and `bm25/`.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tenor.data.problems import RowProblems
from tenor.errors import DataError
from tenor.search.bm25 import BM25
from tenor.search.corpus import Corpus
from tenor.search.description import IndexDescription
from tenor.search.document_store import (
    DocumentStore,
    DocumentWriter,
    are_among,
    first_repeated,
)
from tenor.search.hnsw import Graph, build_graph, update_graph
from tenor.search.vectors import Vectors, VectorWriter

__all__ = ["Generation", "Incoming", "read_incoming", "rows_with_ids", "write_generation"]

log = logging.getLogger("tenor")

DOCUMENTS, VECTORS, KEYS = "documents.parquet", "vectors.npy", "keys.npy"
GRAPH, LEXICAL, INCOMING = "hnsw.usearch", "bm25", "incoming.parquet"

Encode = Callable[[DocumentStore], Iterator[npt.NDArray[np.float32]]]


@dataclass(frozen=True, kw_only=True)
class Generation:
    """The open files of a generation; they stay readable when a change removes their names.

    Attributes:
        folder: where they lie.
        documents: N of them.
        vectors: (N, D).
        keys: (N,).
        graph: for approximate search, where the index has one.
        bm25: for lexical search, where the index has one.
    """

    folder: Path
    documents: DocumentStore
    vectors: Vectors
    keys: npt.NDArray[np.int64]
    graph: Graph | None
    bm25: BM25 | None

    @classmethod
    def open(cls, folder: Path, description: IndexDescription) -> Generation:
        """Open what a description says there is.

        Raises:
            DataError: a file is missing or damaged, or they do not belong together.
            MissingExtraError: the index was built with an extra that is not installed.
        """
        documents = DocumentStore(folder / DOCUMENTS)
        vectors = Vectors(folder / VECTORS)
        keys = _read_keys(folder / KEYS)
        counts = {len(documents), len(vectors), len(keys), description.documents}
        if len(counts) > 1 or vectors.array.shape[1:] != (description.model.dimensions,):
            raise DataError(
                f"is damaged: {len(documents)} documents, {len(keys)} keys and vectors of shape "
                f"{vectors.array.shape}. Build the index anew.",
                path=folder,
            )
        return cls(
            folder=folder,
            documents=documents,
            vectors=vectors,
            keys=keys,
            graph=Graph(folder / GRAPH, vectors, keys) if description.approximate else None,
            bm25=BM25.load(folder / LEXICAL) if description.lexical else None,
        )


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """Documents that wait to be encoded, checked and on disk.

    Attributes:
        documents: of them.
        numbered: whether they came without ids.
        skipped: rows left out because they were bad.
    """

    documents: DocumentStore
    numbered: bool
    skipped: int


def read_incoming(corpus: Corpus, folder: Path, *, first_number: int) -> Incoming:
    """Write the documents of a corpus into a folder: all errors come before anything is encoded.

    Args:
        corpus: the documents.
        folder: scratch folder of the new generation.
        first_number: the id of the first document where they have none.

    Raises:
        DataError: a row is bad, an id stands there twice, or there are no documents.
    """
    path = folder / INCOMING
    problems = RowProblems(corpus.path, corpus.on_bad_row)
    lines: list[npt.NDArray[np.int64]] = []
    numbered: bool | None = None
    with DocumentWriter(path, corpus.path) as writer:
        for block in corpus.blocks(problems):
            if numbered not in (None, block.ids is None):
                raise DataError("some documents have ids and some have none.", path=corpus.path)
            numbered = block.ids is None
            first = first_number + writer.rows
            ids = block.ids or [str(first + row) for row in range(len(block.texts))]
            writer.add(block, ids)
            lines.append(np.array(block.lines, dtype=np.int64))
        problems.require_rows(writer.rows)
    documents = DocumentStore(path)
    repeated = first_repeated(documents.ids())
    if repeated is not None:
        name, first, second = repeated
        line = np.concatenate(lines)
        raise DataError(
            f"the id {name!r} stands in line {line[first]} already; give each document its own.",
            path=corpus.path,
            line=int(line[second]),
            column=corpus.id_column,
        )
    if numbered:
        log.info("%s has no column of ids: documents are numbered from %d", corpus.path,
                 first_number)  # fmt: skip
    return Incoming(documents=documents, numbered=bool(numbered), skipped=len(problems.skipped))


def write_generation(
    folder: Path,
    description: IndexDescription,
    *,
    old: Generation | None = None,
    kept: npt.NDArray[np.bool_] | None = None,
    incoming: DocumentStore | None = None,
    encode: Encode | None = None,
) -> int:
    """Write all the files of a generation: old documents that are kept, then new ones.

    Args:
        folder: to write into.
        description: what there shall be; its count of documents is not read.
        old: the generation before, if there is one.
        kept: (old documents,) which of them stay; all if left out.
        incoming: new documents, if there are any.
        encode: gives their vectors, block by block.

    Returns:
        How many documents the generation has.
    """
    if kept is None:
        kept = np.ones(0 if old is None else len(old.documents), dtype=np.bool_)
    staying = int(kept.sum())
    added = 0 if incoming is None else len(incoming)
    first_key = description.next_key - added
    keys = np.arange(first_key, description.next_key, dtype=np.int64)
    with DocumentWriter(folder / DOCUMENTS, "the index") as writer:
        # Both schemas first: the old rows are written once, in a schema with room for the new.
        if old is not None and incoming is not None:
            writer.widen(old.documents.schema)
            writer.widen(incoming.schema)
        if old is not None:
            position = 0
            for table in old.documents.tables():
                stays = pa.array(kept[position : position + table.num_rows])
                writer.add_table(table.filter(stays))
                position += table.num_rows
            keys = np.concatenate([old.keys[kept], keys])
        if incoming is not None:
            for table in incoming.tables():
                writer.add_table(table)
    np.save(folder / KEYS, keys)
    width = description.model.dimensions
    vectors = VectorWriter(folder / VECTORS, staying + added, width, description.dtype)
    if old is not None:
        vectors.copy(old.vectors, kept)
    if incoming is not None and encode is not None:
        vectors.add_all(encode(incoming))
        (folder / INCOMING).unlink()
    vectors.close()
    if description.approximate:
        _write_graph(folder, old, staying, keys)
    if description.lexical:
        same = staying == len(kept) == len(keys)
        _write_words(folder, old if same else None)
    return staying + added


def rows_with_ids(store: DocumentStore, ids: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which documents have one of these ids: (N,) bool."""
    return are_among(store.ids(), ids)


def _write_graph(
    folder: Path, old: Generation | None, staying: int, keys: npt.NDArray[np.int64]
) -> None:
    vectors = Vectors(folder / VECTORS)
    if old is None or old.graph is None:
        log.info("building the HNSW graph of %d vectors", len(keys))
        build_graph(folder / GRAPH, vectors, keys)
    else:
        update_graph(folder / GRAPH, old.folder / GRAPH, vectors, keys, staying)


def _write_words(folder: Path, same: Generation | None) -> None:
    """Write BM25; copied where a generation has the same documents."""
    if same is not None and same.bm25 is not None:
        shutil.copytree(same.folder / LEXICAL, folder / LEXICAL)
        return
    store = DocumentStore(folder / DOCUMENTS)
    log.info("counting the words of %d documents for BM25", len(store))
    BM25.build(text for block in store.texts() for text in block).save(folder / LEXICAL)


def _read_keys(path: Path) -> npt.NDArray[np.int64]:
    try:
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.int64)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"cannot be read ({error}).", path=path) from error
