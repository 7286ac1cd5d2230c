"""Building an index and changing it; each counts as a whole or not at all."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tenor.errors import ConfigError, DataError
from tenor.models.embedder import Embedder
from tenor.search.bm25 import bm25_library
from tenor.search.corpus import Corpus
from tenor.search.description import (
    IndexDescription,
    IndexedModel,
    resolve_prompts,
    resolve_similarity,
)
from tenor.search.document_store import DocumentStore
from tenor.search.generation import (
    Generation,
    read_incoming,
    rows_with_ids,
    write_generation,
)
from tenor.search.hnsw import hnsw_library
from tenor.search.index_folder import Change, changed_index
from tenor.search.vectors import normalised

__all__ = [
    "IndexChange",
    "Source",
    "add_documents",
    "build_index",
    "delete_documents",
    "rebuild_index",
]

log = logging.getLogger("tenor")

Source = Corpus | str | Path | Iterable[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class IndexChange:
    """What a build, an addition or a deletion did.

    Attributes:
        documents: how many the index has now.
        added: new ones.
        replaced: new ones that took the place of one with the same id.
        deleted: ones that are gone.
        skipped: rows of the corpus left out because they were bad.
        truncated: new ones longer than the model reads.
        seconds: that it took.
    """

    documents: int
    added: int = 0
    replaced: int = 0
    deleted: int = 0
    skipped: int = 0
    truncated: int = 0
    seconds: float = 0.0


def build_index(
    folder: Path,
    model: Embedder,
    documents: Source,
    *,
    approximate: bool,
    lexical: bool,
    similarity: str | None,
    vector_dtype: str,
    query_prompt_name: str | None,
    document_prompt_name: str | None,
    **options: Any,
) -> IndexChange:
    """See `SearchIndex.build`; options go to `Embedder.encode_blocks`."""
    start = time.perf_counter()
    if vector_dtype not in ("float32", "float16"):
        raise ConfigError("vector_dtype", vector_dtype, "float32 or float16")
    _require_libraries(approximate=approximate, lexical=lexical)
    corpus = _corpus(documents)
    described = IndexedModel.of(model)
    similarity = resolve_similarity(model, similarity)
    prompts = resolve_prompts(model, query_prompt_name, document_prompt_name)
    with changed_index(folder, anew=True) as change:
        incoming = read_incoming(corpus, change.data, first_number=1)
        count = len(incoming.documents)
        change.description = IndexDescription(
            model=described,
            similarity=similarity,
            dtype=vector_dtype,
            prompts=prompts,
            columns={
                "text": corpus.column,
                "id": corpus.id_column,
                "metadata": _listed(corpus.metadata_columns),
            },
            documents=count,
            next_key=count,
            approximate=approximate,
            lexical=lexical,
            data=change.name,
        )
        encoder = _DocumentEncoder(model, change.description, options)
        write_generation(
            change.data,
            change.description,
            incoming=incoming.documents,
            encode=encoder,
        )
    return _reported(
        folder,
        start,
        documents=count,
        added=count,
        skipped=incoming.skipped,
        truncated=encoder.truncated,
    )


def add_documents(folder: Path, model: Embedder, documents: Source, **options: Any) -> IndexChange:
    """See `SearchIndex.add`; options go to `Embedder.encode_blocks`."""
    start, corpus = time.perf_counter(), _corpus(documents)
    with changed_index(folder, anew=False) as change:
        before, old = _opened(change)
        before.model.check(model)
        incoming = read_incoming(corpus, change.data, first_number=before.next_key + 1)
        replaced = rows_with_ids(old.documents, incoming.documents.ids().to_pylist())
        if incoming.numbered and replaced.any():
            taken = old.documents.ids()[int(np.argmax(replaced))].as_py()
            raise DataError(
                f"its documents have no ids, and the number {taken} is the id of another "
                "document already; give them ids.",
                path=corpus.path,
            )
        added = len(incoming.documents)
        after = replace(before, data=change.name, next_key=before.next_key + added)
        encoder = _DocumentEncoder(model, after, options)
        count = write_generation(
            change.data,
            after,
            old=old,
            kept=~replaced,
            incoming=incoming.documents,
            encode=encoder,
        )
        change.description = replace(after, documents=count)
    return _reported(
        folder,
        start,
        documents=count,
        added=added - int(replaced.sum()),
        replaced=int(replaced.sum()),
        skipped=incoming.skipped,
        truncated=encoder.truncated,
    )


def delete_documents(folder: Path, ids: Sequence[str]) -> IndexChange:
    """See `SearchIndex.delete`."""
    start = time.perf_counter()
    with changed_index(folder, anew=False) as change:
        before, old = _opened(change)
        gone = _rows_to_delete(old.documents, ids, folder)
        after = replace(before, data=change.name)
        count = write_generation(change.data, after, old=old, kept=~gone)
        change.description = replace(after, documents=count)
    return _reported(folder, start, documents=count, deleted=int(gone.sum()))


def rebuild_index(folder: Path, *, approximate: bool | None, lexical: bool | None) -> IndexChange:
    """See `SearchIndex.rebuild`."""
    start = time.perf_counter()
    with changed_index(folder, anew=False) as change:
        before, old = _opened(change)
        after = replace(
            before,
            data=change.name,
            approximate=before.approximate if approximate is None else approximate,
            lexical=before.lexical if lexical is None else lexical,
        )
        _require_libraries(approximate=after.approximate, lexical=after.lexical)
        # Without its old graph: the new one is free of documents that are gone.
        old = replace(old, graph=None)
        write_generation(change.data, after, old=old)
        change.description = after
    return _reported(folder, start, documents=before.documents)


class _DocumentEncoder:
    """Encodes documents for an index, and counts the truncated ones."""

    def __init__(
        self, model: Embedder, description: IndexDescription, options: Mapping[str, Any]
    ) -> None:
        self.model, self.description, self.options = model, description, options
        self.truncated = 0

    def __call__(self, documents: DocumentStore) -> Iterator[npt.NDArray[np.float32]]:
        total, done = len(documents), 0
        prompt = self.description.prompts["document"]
        for vectors, cut in self.model.encode_blocks(
            documents.texts(), total=total, prompt=prompt, **self.options
        ):
            self.truncated += cut
            done += len(vectors)
            if total > len(vectors):
                log.info("encoded %s of %s documents", f"{done:,}", f"{total:,}")
            yield normalised(vectors) if self.description.similarity == "cosine" else vectors


def _corpus(documents: Source) -> Corpus:
    return documents if isinstance(documents, Corpus) else Corpus(source=documents)


def _listed(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else list(names)


def _opened(change: Change) -> tuple[IndexDescription, Generation]:
    assert change.old is not None
    description, folder = change.old
    return description, Generation.open(folder, description)


def _require_libraries(*, approximate: bool, lexical: bool) -> None:
    """Raise for a missing extra now rather than after the encoding."""
    if approximate:
        hnsw_library()
    if lexical:
        bm25_library()


def _rows_to_delete(
    store: DocumentStore, ids: Sequence[str], folder: Path
) -> npt.NDArray[np.bool_]:
    gone = rows_with_ids(store, ids)
    if int(gone.sum()) < len(set(ids)):
        there = set(store.ids().filter(pa.array(gone)).to_pylist())
        missing = [name for name in dict.fromkeys(ids) if name not in there]
        shown = ", ".join(map(repr, missing[:5])) + (", …" if len(missing) > 5 else "")
        raise DataError(f"has no document with the id {shown}; nothing was deleted.", path=folder)
    if ids and gone.all():
        raise DataError("would be left without a document; remove the folder instead.", path=folder)
    return gone


def _reported(folder: Path, start: float, **counts: int) -> IndexChange:
    change = IndexChange(seconds=time.perf_counter() - start, **counts)
    documents = counts.pop("documents")
    said = ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    log.info(
        "%s: %s; %s documents, %.1f s",
        folder, said or "written anew", f"{documents:,}", change.seconds,
    )  # fmt: skip
    return change
