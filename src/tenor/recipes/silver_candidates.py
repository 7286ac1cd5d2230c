"""The candidate pairs that get silver labels, and the chunks in which they are labelled.

candidates.parquet  the pairs, with what proposed them

Shape legend: C candidate pairs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tenor.data.candidates import CandidatePairs
from tenor.data.pool import Pool
from tenor.formats.table_writer import write_parquet

__all__ = [
    "CANDIDATES", "Pairs", "chunk_rows", "pair_lengths", "pending_pairs", "read_candidates",
    "write_candidates",
]  # fmt: skip

CANDIDATES = "candidates.parquet"
CHUNK = 2_048  # pairs that are labelled and written together: seconds of work
PROBE = 512  # pairs of all lengths that are labelled first and timed

Pairs = list[tuple[str, str]]


def write_candidates(folder: str | Path, pool: Pool, candidates: CandidatePairs) -> None:
    """Write candidates.parquet, whole."""
    left = [pool.texts[row] for row in candidates.left.tolist()]
    right = [pool.texts[row] for row in candidates.right.tolist()]
    table = pa.table(
        {
            "sentence1": left,
            "sentence2": right,
            "source": candidates.source.tolist(),
            "rank": pa.array(candidates.rank, pa.int32()),
            "retrieval_score": pa.array(candidates.score, from_pandas=True),
        }
    )
    write_parquet(Path(folder) / CANDIDATES, table)


def read_candidates(folder: str | Path) -> pa.Table:
    """What `write_candidates` wrote."""
    return pq.read_table(Path(folder) / CANDIDATES)


def pair_lengths(pairs: pa.Table) -> npt.NDArray[np.int64]:
    """(C,) characters of both texts of each pair."""
    sides = (pc.utf8_length(pairs[name]).to_numpy() for name in ("sentence1", "sentence2"))
    return np.asarray(sum(sides), dtype=np.int64)


def chunk_rows(pairs: pa.Table) -> list[npt.NDArray[np.int64]]:
    """Rows of each chunk: some of every length, then all others, longest first."""
    order = np.argsort(-pair_lengths(pairs), kind="stable")
    step = max(1, len(order) // PROBE)
    probe = order[step // 2 :: step][:PROBE]
    rest = order[~np.isin(order, probe)]
    return [probe, *(rest[start : start + CHUNK] for start in range(0, len(rest), CHUNK))]


def pending_pairs(folder: str | Path, numbers: Iterable[int]) -> Iterator[tuple[int, Pairs]]:
    """The pairs of some chunks, one chunk after the other."""
    table = read_candidates(folder)
    chunks = chunk_rows(table)
    for number in numbers:
        part = table.select(["sentence1", "sentence2"]).take(chunks[number])
        left, right = (column.to_pylist() for column in part.columns)
        yield number, list(zip(left, right, strict=True))
