"""Re-ranking: a slower, better scorer orders the candidates that a quick search found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tenor.errors import ModelError

__all__ = ["ScoresPairs", "rerank"]


class ScoresPairs(Protocol):
    """What a re-ranker must do; a `CrossEncoder` with one label does."""

    def score(self, pairs: Sequence[tuple[str, str]], /) -> Any:
        """One score a pair of query and text, shape (pairs,); higher is better."""
        ...


def rerank(
    model: ScoresPairs, queries: Sequence[str], candidates: Sequence[Sequence[str]]
) -> list[tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]]:
    """Order the candidates of each query by the model's score of (query, text).

    Each distinct pair is scored once, and the pairs of all queries in one call, which a model that
    sorts by length can batch best.

    Args:
        model: scores pairs of texts.
        queries: Q queries.
        candidates: texts that each query found, best first.

    Returns:
        For each query the scores, best first, and the places in its candidates that they belong
        to. Equal scores keep the order of the candidates.

    Raises:
        ModelError: the model gives several scores a pair, or one that is no number.

    >>> class Overlap:
    ...     def score(self, pairs):
    ...         return [len(set(query) & set(text)) for query, text in pairs]
    >>> [(scores, places)] = rerank(Overlap(), ["cat"], [["dog", "act", "at"]])
    >>> places.tolist()
    [1, 2, 0]
    """
    pairs: dict[tuple[str, str], int] = {}
    places = [
        np.array([pairs.setdefault((query, text), len(pairs)) for text in texts], dtype=np.int64)
        for query, texts in zip(queries, candidates, strict=True)
    ]
    scores = np.empty(0, dtype=np.float32)
    if pairs:
        scores = np.asarray(model.score(list(pairs)), dtype=np.float32)
        _check_scores(scores, list(pairs))
    ranked = []
    for place in places:
        order = np.argsort(-scores[place], kind="stable")
        ranked.append((scores[place][order], order))
    return ranked


def _check_scores(scores: npt.NDArray[np.float32], pairs: Sequence[tuple[str, str]]) -> None:
    if scores.shape != (len(pairs),):
        raise ModelError(
            f"the re-ranker gave scores of shape {scores.shape} for {len(pairs)} pairs; a model "
            "that re-ranks gives one score a pair: name a cross-encoder with a single label."
        )
    finite = np.isfinite(scores)
    if not finite.all():
        query, text = pairs[int(np.argmin(finite))]
        raise ModelError(
            f"the re-ranker gives NaN or infinity for the query {query[:60]!r} and the text "
            f"{text[:60]!r}: its weights are damaged, or it needs fp32."
        )
