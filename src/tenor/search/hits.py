"""From queries to hits: candidates by meaning and by words, fused, re-ranked, and their texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.search.fusion import fuse_rankings
from tenor.search.generation import Generation
from tenor.search.rerank import ScoresPairs, rerank

__all__ = ["Hit", "find"]

Scores = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A document that a query found.

    Attributes:
        rank: from 1.
        id: of the document.
        score: by which hits are ordered: the similarity, the fused score of a hybrid search, or the
            re-ranker's.
        text: of the document.
        metadata: its other columns.
        scores: what each part of the search gave it: "similarity", "bm25", "fused", "reranked".
            One that did not have it among its candidates is missing.
    """

    rank: int
    id: str
    score: float
    text: str
    metadata: Mapping[str, Any]
    scores: Mapping[str, float]


@dataclass
class _Ranking:
    """The candidates of one query, best first, and the scores that each part gave them."""

    scores: Scores
    rows: Rows
    parts: dict[str, dict[int, float]] = field(default_factory=dict)

    def order(self, name: str, scores: Scores, rows: Rows) -> None:
        """Order the candidates by another part's scores."""
        self.scores, self.rows = scores, rows
        self.parts[name] = dict(zip(rows.tolist(), scores.tolist(), strict=True))


def find(
    data: Generation,
    queries: Sequence[str],
    vectors_QD: Scores,
    k: int,
    *,
    hybrid: bool,
    reranker: ScoresPairs | None,
    candidates: int,
    allowed: npt.NDArray[np.bool_] | None,
) -> list[list[Hit]]:
    """Search for Q queries with the vectors (Q, D); see `SearchIndex.search`."""
    depth = max(k, candidates) if hybrid or reranker is not None else k
    if data.graph is None or allowed is not None:
        scores_QK, rows_QK = data.vectors.search(vectors_QD, depth, allowed=allowed)
    else:
        scores_QK, rows_QK = data.graph.search(vectors_QD, depth)
    rankings = [_Ranking(scores, rows) for scores, rows in zip(scores_QK, rows_QK, strict=True)]
    for ranking in rankings:
        ranking.order("similarity", ranking.scores, ranking.rows)
    if hybrid:
        _fuse(data, queries, rankings, depth, allowed)
    if reranker is not None:
        _rerank(data, queries, rankings, reranker, max(k, candidates))
    return _hits(data, rankings, k)


def _fuse(
    data: Generation,
    queries: Sequence[str],
    rankings: Sequence[_Ranking],
    depth: int,
    allowed: npt.NDArray[np.bool_] | None,
) -> None:
    assert data.bm25 is not None
    scores_QK, rows_QK = data.bm25.search(queries, depth, allowed=allowed)
    for ranking, scores, rows in zip(rankings, scores_QK, rows_QK, strict=True):
        shares_words = scores > 0
        by_meaning = ranking.rows
        ranking.order("bm25", scores[shares_words], rows[shares_words])
        ranking.order("fused", *fuse_rankings([by_meaning, ranking.rows]))


def _rerank(
    data: Generation,
    queries: Sequence[str],
    rankings: Sequence[_Ranking],
    reranker: ScoresPairs,
    depth: int,
) -> None:
    rows = [ranking.rows[:depth] for ranking in rankings]
    texts = data.documents.take(np.concatenate(rows), texts_only=True)["text"].to_pylist()
    ends = np.cumsum([len(part) for part in rows]).tolist()
    candidates = [texts[end - len(part) : end] for part, end in zip(rows, ends, strict=True)]
    found = rerank(reranker, queries, candidates)
    for ranking, part, (scores, places) in zip(rankings, rows, found, strict=True):
        ranking.order("reranked", scores, part[places])


def _hits(data: Generation, rankings: Sequence[_Ranking], k: int) -> list[list[Hit]]:
    rows = np.concatenate([ranking.rows[:k] for ranking in rankings])
    documents = iter(data.documents.documents(rows))
    hits = []
    for ranking in rankings:
        best = zip(ranking.rows[:k].tolist(), ranking.scores[:k].tolist(), strict=True)
        hits.append([
            _hit(rank, row, score, next(documents), ranking)
            for rank, (row, score) in enumerate(best, start=1)
        ])  # fmt: skip
    return hits


def _hit(
    rank: int,
    row: int,
    score: float,
    document: tuple[str, str, dict[str, Any]],
    ranking: _Ranking,
) -> Hit:
    name, text, metadata = document
    return Hit(
        rank=rank,
        id=name,
        score=score,
        text=text,
        metadata=metadata,
        scores={part: found[row] for part, found in ranking.parts.items() if row in found},
    )
