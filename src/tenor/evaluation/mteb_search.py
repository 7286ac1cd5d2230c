"""Search and re-ranking together, as mteb's `SearchProtocol`."""

from __future__ import annotations

from typing import Any

from tenor.errors import ConfigError
from tenor.evaluation.mteb_models import MtebCrossEncoder, MtebEmbedder

__all__ = ["MtebSearcher"]


class MtebSearcher:
    """Search by an embedder, then re-ranking by a cross-encoder, as mteb's `SearchProtocol`.

    Of each query's documents the first `candidates` are ordered anew; the others follow them in
    the embedder's order.

    Args:
        embedder: ranks the whole corpus.
        reranker: orders the best documents anew.
        candidates: how many, at least 1.
    """

    def __init__(
        self, embedder: MtebEmbedder, reranker: MtebCrossEncoder, *, candidates: int = 100
    ) -> None:
        from mteb.models import SearchCrossEncoderWrapper, SearchEncoderWrapper

        if candidates < 1:
            raise ConfigError("candidates", candidates, "at least 1")
        self.candidates = candidates
        self.embedder, self.reranker = embedder, reranker
        self._first = SearchEncoderWrapper(embedder)
        self._second = SearchCrossEncoderWrapper(reranker)
        first, second = embedder.mteb_model_meta, reranker.mteb_model_meta
        self._meta = first.model_copy(
            update={
                "name": f"{first.name}+{second.name.partition('/')[2]}",
                "revision": f"{first.revision[:16]}-{second.revision[:16]}-{candidates}",
                "n_parameters": first.n_parameters + second.n_parameters,
                "n_embedding_parameters": None,
                "memory_usage_mb": first.memory_usage_mb + second.memory_usage_mb,
                "model_type": ["dense", "cross-encoder"],
            }
        )

    @property
    def mteb_model_meta(self) -> Any:
        """The `ModelMeta` of both models together."""
        return self._meta

    @property
    def truncated(self) -> int:
        """Texts and pairs so far that were longer than the models read."""
        return self.embedder.truncated + self.reranker.truncated

    def index(self, corpus: Any, **options: Any) -> None:
        """Take a corpus; see `SearchProtocol.index`."""
        self._first.index(corpus, **options)
        self._second.index(corpus, **options)

    def search(
        self, queries: Any, *, top_k: int, top_ranked: Any = None, **options: Any
    ) -> dict[str, dict[str, float]]:
        """Rank the corpus for each query; see `SearchProtocol.search`.

        Returns:
            For each query the scores of its documents: those of the cross-encoder, and lower ones
            that go down step by step for the documents that it has not read.
        """
        found = self._first.search(queries, top_k=top_k, top_ranked=top_ranked, **options)
        ordered = {
            query: [document for document, _ in sorted(scores.items(), key=lambda one: -one[1])]
            for query, scores in found.items()
        }
        best = {query: documents[: self.candidates] for query, documents in ordered.items()}
        scored: dict[str, dict[str, float]] = self._second.search(
            queries, top_k=self.candidates, top_ranked=best, **options
        )
        for query, documents in ordered.items():
            lowest = min(scored[query].values(), default=0.0)
            rest = documents[self.candidates :]
            scored[query] |= {document: lowest - rank for rank, document in enumerate(rest, 1)}
        return scored
