"""Approximate nearest neighbours: a graph that a search walks greedily (usearch, extra `search`).

Malkov & Yashunin 2018, Efficient and robust approximate nearest neighbor search using hierarchical
navigable small world graphs. The graph lies in one file and is mapped into memory. It refers to a
document by its key, which stays when rows move; what was deleted stays in the graph as a waypoint
and is left out of results, until so much is stale that the graph is built anew.

Shapes: Q queries, N documents, D dimensions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.errors import DataError, MissingExtraError
from tenor.search.vectors import Vectors, best_of

__all__ = ["Graph", "build_graph", "hnsw_library", "update_graph"]

log = logging.getLogger("tenor")

Keys = npt.NDArray[np.int64]

# Links a node, and nodes looked at when one is added or searched for. Of 15,809 medical answers,
# many of them nearly alike, these find 99.6 % of what exact search has among the first ten; the
# library's own (16, 128, 64) find 96.3 %.
LINKS, EXPANSION_ADD, EXPANSION_SEARCH = 32, 256, 192
STALE = 0.2  # share of a graph's nodes that may be of deleted documents
BLOCK = 16_384  # vectors added at a time
# Threads that add at once miss one another's nodes. In a small graph those are many, and some are
# then never found: of 3,000 vectors, four threads lost up to 2 % of the first ten in some builds,
# one thread none in any. So the first ones are added by one thread; of 20,000 nothing was lost.
FIRST_ALONE = 4_096


class Graph:
    """A graph over the vectors of an index.

    Args:
        path: file that `build_graph` wrote.
        vectors: of the documents, (N, D).
        keys: of the documents, (N,), rising.

    Raises:
        MissingExtraError: usearch is not installed.
        DataError: the file is missing or damaged.
    """

    def __init__(self, path: Path, vectors: Vectors, keys: Keys) -> None:
        self._graph = _restore(path, view=True)
        self._graph.expansion_search = EXPANSION_SEARCH
        self._vectors, self._keys = vectors, keys

    def search(
        self, queries_QD: npt.NDArray[np.float32], k: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        """Return nearly the k vectors with the highest dot product for each query, best first.

        Scores are computed from the index's own vectors, and equal ones are in the order of the
        rows, both as `Vectors.search` has it.

        Returns:
            Scores and rows, each of shape (Q, min(k, N)).
        """
        k = min(k, len(self._keys))
        scores_QK = np.empty((len(queries_QD), k), dtype=np.float32)
        rows_QK = np.empty((len(queries_QD), k), dtype=np.int64)
        for place, rows in enumerate(self._nearest(queries_QD, k)):
            scores = self._vectors.scores(queries_QD[place], rows)
            best_scores, best_rows = best_of(scores[None], rows[None], k)
            scores_QK[place], rows_QK[place] = best_scores[0], best_rows[0]
        return scores_QK, rows_QK

    def _nearest(self, queries_QD: npt.NDArray[np.float32], k: int) -> list[npt.NDArray[np.int64]]:
        """Rows of at least k documents a query; more are asked for where some are stale."""
        found = [np.empty(0, dtype=np.int64)] * len(queries_QD)
        missing, wanted = np.arange(len(queries_QD)), k
        while len(missing):
            matches = self._graph.search(queries_QD[missing], wanted)
            keys_QK = np.atleast_2d(np.asarray(matches.keys)).astype(np.int64)
            counts = np.full(1, len(matches)) if len(missing) == 1 else matches.counts
            for place, keys, count in zip(missing, keys_QK, counts, strict=True):
                found[place] = self._live(keys[:count])
            if wanted >= len(self._graph):
                # The walk did not reach all there is: so few documents can be searched exactly.
                return [rows if len(rows) >= k else np.arange(len(self._keys)) for rows in found]
            missing = np.array([p for p in missing if len(found[p]) < k], dtype=np.int64)
            wanted = min(2 * wanted, len(self._graph))
        return found

    def _live(self, keys: Keys) -> npt.NDArray[np.int64]:
        """Rows of the keys whose documents are still there."""
        rows = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.unique(rows[self._keys[rows] == keys])


def build_graph(path: Path, vectors: Vectors, keys: Keys) -> None:
    """Build the graph of some vectors (N, D) under their keys (N,), and write it.

    Raises:
        MissingExtraError: usearch is not installed.
    """
    graph = hnsw_library().Index(
        ndim=vectors.array.shape[1],
        metric="ip",
        dtype="f32",
        connectivity=LINKS,
        expansion_add=EXPANSION_ADD,
        expansion_search=EXPANSION_SEARCH,
    )
    _add(graph, vectors, keys, first=0)
    graph.save(str(path))


def update_graph(path: Path, old: Path, vectors: Vectors, keys: Keys, first: int) -> None:
    """Write a graph with the vectors from row `first` on added to those of an old graph.

    Where too many of its nodes would be stale, the graph is built anew.
    """
    graph = _restore(old, view=False)
    added = len(keys) - first
    if len(graph) - first > STALE * (len(graph) + added):
        build_graph(path, vectors, keys)
        return
    graph.expansion_add = EXPANSION_ADD
    _add(graph, vectors, keys, first=first)
    graph.save(str(path))


def _add(graph: Any, vectors: Vectors, keys: Keys, *, first: int) -> None:
    alone = min(len(keys), first + max(0, FIRST_ALONE - len(graph)))
    for start, end in [*_ranges(first, alone), *_ranges(alone, len(keys))]:
        part = np.ascontiguousarray(vectors.array[start:end], dtype=np.float32)
        threads = 1 if end <= alone else 0  # 0 is as many as there are cores
        graph.add(keys[start:end].astype(np.uint64), part, threads=threads)
        if end - first > BLOCK:
            log.info("HNSW graph: %d of %d vectors", end - first, len(keys) - first)


def _ranges(first: int, end: int) -> Iterator[tuple[int, int]]:
    for start in range(first, end, BLOCK):
        yield start, min(start + BLOCK, end)


def _restore(path: Path, *, view: bool) -> Any:
    index = hnsw_library().Index
    try:
        graph = index.restore(str(path), view=view)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"holds no HNSW graph ({error}).", path=path) from error
    if graph is None:
        raise DataError("holds no HNSW graph; build the index anew.", path=path)
    return graph


def hnsw_library() -> Any:
    """The library behind it.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import usearch.index
    except ImportError as error:
        raise MissingExtraError("search", "approximate search (HNSW)") from error
    return usearch.index
