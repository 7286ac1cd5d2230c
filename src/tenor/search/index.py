"""A search index: documents, their vectors, and what finds them by meaning, by words or by both.

Shapes: Q queries, N documents, D dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tenor.errors import ConfigError
from tenor.models.embedder import Embedder
from tenor.search.changes import (
    IndexChange,
    Source,
    add_documents,
    build_index,
    delete_documents,
    rebuild_index,
)
from tenor.search.filters import Where, matching_documents
from tenor.search.generation import Generation
from tenor.search.hits import Hit, find
from tenor.search.index_folder import opened_index
from tenor.search.rerank import ScoresPairs
from tenor.search.vectors import normalised

__all__ = ["SearchIndex"]

QUERIES = 256  # searched at a time


class SearchIndex:
    """Documents in a folder, to be searched by meaning, by words, or by both.

    Make one with `build`, or `load` one. Vectors are mapped into memory and texts read for the hits
    only, so that an index may be larger than memory. A change (`add`, `delete`, `rebuild`) counts
    as a whole or not at all; other processes that have the index open go on with what they opened.

    Args:
        folder: of the index.
        model: its embedder; loaded by the stored name when first needed if left out.
        device: where to load that.
        dtype: of the model's products: "auto", "bf16" or "fp32".
    """

    def __init__(
        self,
        folder: Path,
        model: Embedder | str | Path | None,
        *,
        device: str | None = None,
        dtype: str = "auto",
    ) -> None:
        self.folder = folder
        self.change: IndexChange | None = None
        self._device, self._dtype = device, dtype
        self._open()
        self._model: Embedder | None = None
        if isinstance(model, Embedder):
            self.description.model.check(model)
            self._model = model
        elif model is not None:
            self._model = self._load_model(model)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        model: Embedder | str | Path | None = None,
        *,
        device: str | None = None,
        dtype: str = "auto",
    ) -> SearchIndex:
        """Open an index.

        Args:
            folder: of the index.
            model: its embedder, or the place where that lies now. Left out, it is loaded by the
                name it had, when it is first needed.
            device: where to load it; the best there is by default.
            dtype: of its products: "auto", "bf16" or "fp32".

        Raises:
            DataError: the folder holds no index, or a damaged one.
            ModelError: the model is not the one whose vectors the index holds.
            MissingExtraError: the index has a part whose extra is not installed.
        """
        return cls(Path(folder), model, device=device, dtype=dtype)

    @classmethod
    def build(
        cls,
        folder: str | Path,
        model: Embedder,
        documents: Source,
        *,
        approximate: bool = False,
        lexical: bool = False,
        similarity: str | None = None,
        vector_dtype: str = "float32",
        query_prompt_name: str | None = None,
        document_prompt_name: str | None = None,
        tokens_per_batch: int | None = None,
        progress: bool | None = None,
    ) -> SearchIndex:
        """Index documents; an index that stood in the folder is replaced when all is done.

        Args:
            folder: of the new index.
            model: an embedder that was loaded from a folder.
            documents: a `Corpus`; or a file or an iterable of mappings, with columns `id` (if there
                are ids), `text` and any others.
            approximate: build an HNSW graph beside the vectors (extra `search`): quicker on
                collections from some 100,000 documents on.
            lexical: count words too (extra `bm25`), for hybrid search.
            similarity: "cosine" or "dot"; the model's own by default.
            vector_dtype: "float32", or "float16" for half the disk and slightly rounded scores.
            query_prompt_name: name of the model's prompt for queries; "query" where it has one.
            document_prompt_name: the same for documents: "document", "passage" or "corpus".
            tokens_per_batch: tokens encoded at a time.
            progress: show a progress bar on stderr; by default for long work on a terminal.

        Raises:
            DataError: a document cannot be used, an id stands there twice, or the folder holds
                something else.
            ConfigError: a setting has a value it cannot have.
            MissingExtraError: an extra is not installed.
        """
        change = build_index(
            Path(folder),
            model,
            documents,
            approximate=approximate,
            lexical=lexical,
            similarity=similarity,
            vector_dtype=vector_dtype,
            query_prompt_name=query_prompt_name,
            document_prompt_name=document_prompt_name,
            tokens_per_batch=tokens_per_batch,
            progress=progress,
        )
        index = cls(Path(folder), model)
        index.change = change
        return index

    def __len__(self) -> int:
        return self.description.documents

    @property
    def model(self) -> Embedder:
        """The embedder, loaded when first needed.

        Raises:
            ModelError: it cannot be loaded, or is another one now.
        """
        if self._model is None:
            self._model = self._load_model(None)
        return self._model

    @property
    def metadata_columns(self) -> list[str]:
        """Columns that searches can filter by."""
        return self._data.documents.metadata_columns

    def search(
        self,
        queries: str | Sequence[str],
        k: int = 10,
        *,
        hybrid: bool = False,
        rerank: ScoresPairs | None = None,
        candidates: int = 100,
        where: Where | None = None,
    ) -> list[list[Hit]]:
        """Find the k best documents for each query, best first.

        Args:
            queries: Q texts, or one.
            k: hits a query; fewer come back when fewer match.
            hybrid: search by words too, and fuse both rankings (reciprocal rank fusion).
            rerank: a cross-encoder, which orders the best candidates anew.
            candidates: documents of each ranking that are fused, and that are re-ranked.
            where: metadata column to a value, or to a list of values of which any will do. With
                it the search is exact.

        Returns:
            A list of hits for each query, also for a single one.

        Raises:
            ConfigError: k or candidates is below 1, a query is blank, a column or value of `where`
                is not possible, or the index has no BM25 for `hybrid`.
        """
        for field, value in (("k", k), ("candidates", candidates)):
            if value < 1:
                raise ConfigError(field, value, "at least 1")
        texts = [queries] if isinstance(queries, str) else list(queries)
        for place, query in enumerate(texts):
            if not isinstance(query, str) or not query.strip():
                raise ConfigError(f"queries[{place}]", query, "a text that is not blank")
        if hybrid and self._data.bm25 is None:
            raise ConfigError(
                "hybrid",
                hybrid,
                f"left out: {self.folder} was built without BM25. Add it without encoding anew: "
                "tenor index rebuild INDEX --lexical",
            )
        allowed = matching_documents(self._data.documents, where) if where else None
        vectors_QD = self._encode_queries(texts)
        found: list[list[Hit]] = []
        for first in range(0, len(texts), QUERIES):
            part = slice(first, first + QUERIES)
            found += find(
                self._data,
                texts[part],
                vectors_QD[part],
                k,
                hybrid=hybrid,
                reranker=rerank,
                candidates=candidates,
                allowed=allowed,
            )
        return found

    def add(
        self,
        documents: Source,
        *,
        tokens_per_batch: int | None = None,
        progress: bool | None = None,
    ) -> IndexChange:
        """Add documents; one with the id of a document that is there takes its place.

        Vectors are copied and a graph is extended; BM25, whose every weight depends on all
        documents, is counted anew.

        Args:
            documents: as in `build`. Without ids, they are numbered on from the highest number.
            tokens_per_batch: tokens encoded at a time.
            progress: show a progress bar on stderr; by default for long work on a terminal.

        Raises:
            DataError: a document cannot be used, or an id stands there twice; the index is as it
                was.
            ModelError: the model is not the one whose vectors the index holds.
        """
        change = add_documents(
            self.folder,
            self.model,
            documents,
            tokens_per_batch=tokens_per_batch,
            progress=progress,
        )
        return self._changed(change)

    def delete(self, ids: Iterable[str]) -> IndexChange:
        """Delete documents by id.

        Raises:
            DataError: the index has no document of an id, or would have none left; it is as it was.
        """
        names = [ids] if isinstance(ids, str) else list(ids)
        return self._changed(delete_documents(self.folder, names))

    def rebuild(
        self, *, approximate: bool | None = None, lexical: bool | None = None
    ) -> IndexChange:
        """Write the index anew, with or without its HNSW graph and BM25; nothing is encoded.

        Args:
            approximate: whether to have a graph; as it was if left out. It is built anew.
            lexical: whether to have BM25; as it was if left out.

        Raises:
            MissingExtraError: an extra is not installed.
        """
        change = rebuild_index(self.folder, approximate=approximate, lexical=lexical)
        return self._changed(change)

    def _open(self) -> None:
        self.description, self._data = opened_index(self.folder, Generation.open)

    def _load_model(self, name: str | Path | None) -> Embedder:
        return self.description.model.load(name, device=self._device, dtype=self._dtype)

    def _encode_queries(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors_QD = self.model.encode(texts, prompt=self.description.prompts["query"])
        return normalised(vectors_QD) if self.description.similarity == "cosine" else vectors_QD

    def _changed(self, change: IndexChange) -> IndexChange:
        self._open()
        self.change = change
        return change
