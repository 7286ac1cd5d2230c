"""BM25: ranking by the words that query and document share (Robertson & Zaragoza 2009).

A document's score is the sum, over the words of the query, of
idf · tf / (tf + k1 · (1 - b + b · length / mean length)), with
idf = ln(1 + (N - df + 1/2) / (df + 1/2)), as Lucene has it. The library bm25s (extra `bm25`)
computes these once and keeps them as a sparse matrix, which lies on disk and is memory-mapped.

Shapes: Q queries, N documents, K documents kept a query.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.errors import ConfigError, DataError, MissingExtraError

__all__ = ["BM25", "bm25_library", "words_of"]

Scores = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

# Scripts that put no space between words: each sign counts as a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+")


def words_of(text: str) -> list[str]:
    """The words of a text, without regard to case; a Chinese or Japanese sign is a word.

    >>> words_of("Vitamin C: 90 mg/day")
    ['vitamin', 'c', '90', 'mg', 'day']
    """
    return _WORD.findall(text.casefold())


class BM25:
    """A BM25 index of texts; make one with `build`, or `load` a saved one.

    Args:
        index: of the library bm25s.
    """

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def build(cls, texts: Iterable[str], *, k1: float = 1.2, b: float = 0.75) -> BM25:
        """Count the words of all texts; the texts themselves are not kept.

        Args:
            texts: in the order of the rows.
            k1: how much a repeated word adds, at least 0.
            b: how much long texts are held back, 0 to 1.

        Raises:
            MissingExtraError: bm25s is not installed.
            ConfigError: k1 or b is out of range.
            DataError: there are no texts.
        """
        library = bm25_library()
        if k1 < 0:
            raise ConfigError("k1", k1, "at least 0")
        if not 0 <= b <= 1:
            raise ConfigError("b", b, "from 0 to 1")
        vocabulary: dict[str, int] = {}
        ids = [
            # An array: four bytes a word, where a list of many words would take eight and more.
            array("i", [vocabulary.setdefault(word, len(vocabulary)) for word in words_of(text)])
            for text in texts
        ]
        if not ids:
            raise DataError("there are no texts to search in: give at least one.")
        if not vocabulary:
            raise DataError(f"none of the {len(ids):,} texts has a word, only signs and spaces.")
        index = library.BM25(k1=k1, b=b, method="lucene")
        index.index((ids, vocabulary), show_progress=False)
        return cls(index)

    def __len__(self) -> int:
        return int(self._index.scores["num_docs"])

    def search(
        self, queries: Sequence[str], k: int, *, allowed: npt.NDArray[np.bool_] | None = None
    ) -> tuple[Scores, Rows]:
        """Return the k documents with the highest score for each query, best first.

        Equal scores are in the order of the rows. A document that shares no word with the query
        scores 0, and fills up what is left.

        Args:
            queries: Q texts.
            k: documents a query; fewer come back when there are fewer.
            allowed: shape (N,); which documents may be found. All of them if left out.

        Returns:
            Scores and rows, each of shape (Q, min(k, documents allowed)).

        Raises:
            ConfigError: k is below 1.
        """
        if k < 1:
            raise ConfigError("k", k, "at least 1")
        among = None if allowed is None else np.flatnonzero(allowed)
        k = min(k, len(self) if among is None else len(among))
        scores_QK = np.empty((len(queries), k), dtype=np.float32)
        rows_QK = np.empty((len(queries), k), dtype=np.int64)
        for place, query in enumerate(queries):
            scores_N = self._scores(query)
            if among is not None:
                scores_N = scores_N[among]
            best = _best(scores_N, k)
            scores_QK[place] = scores_N[best]
            rows_QK[place] = best if among is None else among[best]
        return scores_QK, rows_QK

    def save(self, folder: str | Path) -> None:
        """Write the index into a folder."""
        self._index.save(str(folder), show_progress=False)

    @classmethod
    def load(cls, folder: str | Path) -> BM25:
        """Map a saved index into memory.

        Raises:
            MissingExtraError: bm25s is not installed.
            DataError: the folder holds no such index.
        """
        library = bm25_library()
        try:
            return cls(library.BM25.load(str(folder), mmap=True))
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"holds no BM25 index ({error}).", path=folder) from error

    def _scores(self, query: str) -> Scores:
        known = self._index.vocab_dict
        ids = [known[word] for word in words_of(query) if word in known]
        if not ids:
            return np.zeros(len(self), dtype=np.float32)
        return np.asarray(self._index.get_scores_from_ids(ids), dtype=np.float32)


def _best(scores_N: Scores, k: int) -> Rows:
    """Rows of the k highest scores, best first, equal ones in the order of the rows."""
    if k == 0:
        return np.empty(0, dtype=np.int64)
    rows = np.arange(len(scores_N))
    if k < len(scores_N):
        last = np.partition(scores_N, len(scores_N) - k)[len(scores_N) - k]
        above = np.flatnonzero(scores_N > last)
        level = np.flatnonzero(scores_N == last)[: k - len(above)]
        rows = np.concatenate([above, level])
    return rows[np.argsort(-scores_N[rows], kind="stable")].astype(np.int64)


def bm25_library() -> Any:
    """The library behind it.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import bm25s
    except ImportError as error:
        raise MissingExtraError("bm25", "BM25") from error
    return bm25s
