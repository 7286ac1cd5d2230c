"""Vectors on disk, memory-mapped, and searched exactly, block by block.

Shapes: Q queries, N documents, D dimensions, K documents kept a query.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tenor.errors import DataError, ModelError
from tenor.evaluation.exact_search import search_exact

__all__ = ["VectorWriter", "Vectors", "normalised"]

Floats = npt.NDArray[np.floating]
Rows = npt.NDArray[np.int64]

GATHER = 32_768  # vectors gathered at a time when only some may be found
COPY = 65_536  # vectors copied at a time


class Vectors:
    """The vectors of an index, (N, D), mapped into memory rather than read.

    Args:
        path: a .npy file that a `VectorWriter` wrote.

    Raises:
        DataError: the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            # Copy on write: torch takes no array that cannot be written to. None ever is.
            self.array = np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"cannot be read ({error}).", path=path) from error

    def __len__(self) -> int:
        return len(self.array)

    def search(
        self, queries_QD: Floats, k: int, *, allowed: npt.NDArray[np.bool_] | None = None
    ) -> tuple[npt.NDArray[np.float32], Rows]:
        """Return the k vectors with the highest dot product for each query, best first.

        Equal scores are in the order of the rows.

        Args:
            queries_QD: query vectors.
            k: vectors a query; fewer come back when there are fewer.
            allowed: shape (N,); which vectors may be found. All of them if left out.

        Returns:
            Scores and rows, each of shape (Q, min(k, vectors allowed)).
        """
        if allowed is None:
            return search_exact(queries_QD, self.array, k)
        rows = np.flatnonzero(allowed)
        best_scores = np.empty((len(queries_QD), 0), dtype=np.float32)
        best_rows = np.empty((len(queries_QD), 0), dtype=np.int64)
        for first in range(0, len(rows), GATHER):
            part = rows[first : first + GATHER]
            scores, places = search_exact(queries_QD, self.array[part], k)
            best_scores, best_rows = best_of(
                np.concatenate([best_scores, scores], axis=1),
                np.concatenate([best_rows, part[places]], axis=1),
                k,
            )
        return best_scores, best_rows

    def scores(self, query_D: Floats, rows: Rows) -> npt.NDArray[np.float32]:
        """Dot products of one query (D,) with the vectors of some rows, in their order."""
        return np.asarray(self.array[rows].astype(np.float32) @ query_D.astype(np.float32))


class VectorWriter:
    """A .npy file of N vectors, written from the first to the last.

    Args:
        path: of the file.
        count: N.
        width: D.
        dtype: "float32" or "float16".
    """

    def __init__(self, path: Path, count: int, width: int, dtype: str) -> None:
        shape = (count, width)
        self._array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(dtype), shape=shape)
        self.written = 0

    def add(self, vectors: Floats) -> None:
        """Write the next vectors.

        Raises:
            ModelError: a vector has a NaN, or a value too large for the file's dtype.
        """
        end = self.written + len(vectors)
        with np.errstate(over="ignore"):
            self._array[self.written : end] = vectors
        finite = np.isfinite(self._array[self.written : end]).all(axis=1)
        if not finite.all():
            raise ModelError(
                f"the model gives NaN or values too large for {self._array.dtype} for document "
                f"{self.written + int(np.argmin(finite)) + 1}: its weights are damaged, or it "
                "needs fp32."
            )
        self.written = end

    def copy(self, source: Vectors, kept: npt.NDArray[np.bool_]) -> None:
        """Write the vectors of another file that are to be kept, in their order."""
        for first in range(0, len(source), COPY):
            part = source.array[first : first + COPY][kept[first : first + COPY]]
            end = self.written + len(part)
            self._array[self.written : end] = part
            self.written = end

    def add_all(self, blocks: Iterable[Floats]) -> None:
        """Write block after block."""
        for vectors in blocks:
            self.add(vectors)

    def close(self) -> None:
        """Hand everything to the disk."""
        assert self.written == len(self._array), "fewer vectors than announced"
        self._array.flush()


def best_of(
    scores_QN: npt.NDArray[np.float32], rows_QN: Rows, k: int
) -> tuple[npt.NDArray[np.float32], Rows]:
    """The k best of some candidates a query, best first, equal scores in the order of the rows."""
    order_QK = np.lexsort((rows_QN, -scores_QN), axis=1)[:, :k]
    scores = np.take_along_axis(scores_QN, order_QK, axis=1)
    return scores, np.take_along_axis(rows_QN, order_QK, axis=1)


def normalised(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Vectors of length 1, so that their dot product is the cosine; zeros stay zeros."""
    norms = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))[:, None]
    return np.divide(vectors, np.where(norms > 0.0, norms, 1.0), dtype=np.float32)
