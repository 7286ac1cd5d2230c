"""Clusters of texts from the pairs of them that are similar.

Shape legend: N texts, P pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["Components", "communities", "number_by_size"]

Rows = npt.NDArray[np.int64]
_WAITING = 1 << 20  # pairs that are joined at a time


class Components:
    """Connected components: texts that a chain of pairs joins are in one.

    Args:
        texts: N.

    >>> components = Components(4)
    >>> components.join(np.array([0, 1]), np.array([1, 3]))
    >>> components.labels().tolist()
    [0, 0, 1, 0]
    """

    def __init__(self, texts: int) -> None:
        self._labels = np.arange(texts, dtype=np.int64)
        self._pairs: list[tuple[Rows, Rows]] = []
        self._waiting = 0

    def join(self, rows1: Rows, rows2: Rows) -> None:
        """Join the two texts of each pair."""
        if not len(rows1):
            return
        self._pairs.append((rows1, rows2))
        self._waiting += len(rows1)
        if self._waiting >= _WAITING:
            self._fold()

    def labels(self) -> Rows:
        """(N,) component of each text; components are numbered by their first text."""
        self._fold()
        return self._labels

    def _fold(self) -> None:
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        if not self._pairs:
            return
        rows1, rows2 = (np.concatenate(side) for side in zip(*self._pairs, strict=True))
        self._pairs, self._waiting = [], 0
        size = len(self._labels)
        left, right = self._labels[rows1], self._labels[rows2]
        edges = coo_array((np.ones(len(left), dtype=np.int8), (left, right)), shape=(size, size))
        _, joined = connected_components(edges, directed=False)
        _, first, place = np.unique(joined[self._labels], return_index=True, return_inverse=True)
        self._labels = np.argsort(np.argsort(first))[place].astype(np.int64)


def communities(texts: int, rows1: Rows, rows2: Rows) -> Rows:
    """Star-shaped clusters: every text is similar to the centre of its cluster.

    Texts with the most similar ones become centres first (of equal ones the lower row) and take
    what no earlier centre took: the fast clustering of sentence-transformers'
    `community_detection`. Where components chain A to C by way of a B between them, these do not.

    Args:
        texts: N.
        rows1: (P,) one text of each pair that is similar.
        rows2: (P,) the other one.

    Returns:
        (N,) cluster of each text, numbered by the centre's turn; -1 for texts in none.

    >>> communities(4, np.array([0, 1, 2]), np.array([1, 2, 3])).tolist()
    [0, 0, 0, -1]
    """
    left, right = np.concatenate([rows1, rows2]), np.concatenate([rows2, rows1])
    order = np.argsort(left, kind="stable")
    neighbours = right[order]
    starts = np.searchsorted(left[order], np.arange(texts + 1))
    degree = np.diff(starts)
    labels = np.full(texts, -1, dtype=np.int64)
    count = 0
    for centre in np.argsort(-degree, kind="stable").tolist():
        if degree[centre] == 0:
            break
        if labels[centre] >= 0:
            continue
        around = neighbours[starts[centre] : starts[centre + 1]]
        free = around[labels[around] < 0]
        if len(free):
            labels[centre] = labels[free] = count
            count += 1
    return labels


def number_by_size(labels: Sequence[int] | Rows) -> Rows:
    """Number clusters by size, the largest 0; of equal ones, that with the lower first text.

    Args:
        labels: (N,) cluster of each text, -1 for none.

    Returns:
        (N,) numbers; -1 for texts in no cluster, or alone in one.

    >>> number_by_size([5, 2, 2, -1, 3, 3, 3]).tolist()
    [-1, 1, 1, -1, 0, 0, 0]
    """
    given = np.asarray(labels, dtype=np.int64)
    distinct, first, place, counts = np.unique(
        given, return_index=True, return_inverse=True, return_counts=True
    )
    counts = np.where(distinct < 0, 0, counts)
    order = np.lexsort((first, -counts))
    number = np.empty(len(distinct), dtype=np.int64)
    number[order] = np.arange(len(distinct))
    return np.where(counts[place] > 1, number[place], -1)
