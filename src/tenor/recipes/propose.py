"""Proposing pairs of a pool's texts that are worth a label."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from tenor.data.candidates import CandidatePairs, random_pairs, ranked_pairs
from tenor.data.pool import Pool
from tenor.errors import DataError
from tenor.models.embedder import Embedder

__all__ = ["propose"]

log = logging.getLogger("tenor")


def propose(
    pool: Pool,
    strategy: str,
    top_k: int,
    *,
    retriever: Callable[[], Embedder],
    known: np.ndarray,
    random_share: float = 0.0,
    max_pairs: int = 0,
    seed: int = 0,
) -> tuple[CandidatePairs, dict[str, int]]:
    """Candidate pairs of a pool, each distinct unordered pair once.

    Args:
        pool: the texts.
        strategy: semantic (nearest neighbours by a bi-encoder), bm25, both, or random (as many
            pairs as there are texts times `top_k`).
        top_k: neighbours of each text that make a pair with it.
        retriever: loads the bi-encoder; called where one is needed.
        known: codes of pairs that must not be proposed (`labelled_pair_codes`).
        random_share: share of the candidates that are random pairs, beside those found by search,
            which all have something in common.
        max_pairs: draw at most so many at random; 0 for all.
        seed: of the random choices.

    Returns:
        The pairs, and counts of what was found and left out.

    Raises:
        DataError: when no pair is left.
        MissingExtraError: without the extra bm25, where it is needed.
    """
    generator = np.random.default_rng([seed, 2])
    found: CandidatePairs | None = None
    if strategy in ("semantic", "both"):
        found = _semantic(pool, top_k, retriever())
    if strategy in ("bm25", "both"):
        lexical = _lexical(pool, top_k)
        found = lexical if found is None else found.joined(lexical)
    if found is None:
        # Those that must not be proposed are drawn too, and left out after.
        found = random_pairs(len(pool), top_k * len(pool) + len(known), generator)
    elif random_share:
        count = round(len(found) * random_share / (1 - random_share))
        found = found.joined(random_pairs(len(pool), count, generator))
    fresh = found.without(known)
    notes = {"found": len(found), "already_labelled": len(found) - len(fresh)}
    if strategy == "random":
        fresh = fresh.sample(top_k * len(pool), generator)
    if max_pairs:
        fresh = fresh.sample(max_pairs, generator)
    if not len(fresh):
        raise DataError(
            f"{strategy} search proposes no pair that is not among the labelled ones: give a "
            "larger pool.",
            path=pool.path,
        )
    names, counts = np.unique(fresh.source, return_counts=True)
    notes |= {str(name): int(count) for name, count in zip(names, counts, strict=True)}
    return fresh, notes | {"candidates": len(fresh)}


def _semantic(pool: Pool, top_k: int, retriever: Embedder) -> CandidatePairs:
    from tenor.evaluation.exact_search import search_exact

    log.info("searching %s texts by meaning with %s", f"{len(pool):,}", retriever.name)
    vectors = retriever.encode(pool.texts, normalize=True)
    scores, rows = search_exact(vectors, vectors, top_k + 1)
    return ranked_pairs(rows, scores, top_k, "semantic")


def _lexical(pool: Pool, top_k: int) -> CandidatePairs:
    from tenor.search.bm25 import BM25

    log.info("searching %s texts by BM25", f"{len(pool):,}")
    scores, rows = BM25.build(pool.texts).search(pool.texts, top_k + 1)
    return ranked_pairs(rows, scores, top_k, "bm25", above=0.0)  # 0: not a word in common
