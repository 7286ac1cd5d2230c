"""Silver labels: what a cross-encoder says of candidate pairs, each distinct pair labelled once.

candidates.parquet  the pairs, with what proposed them
labels/part-*       scores of one chunk of pairs each: what a resumed run goes on from
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tenor.data.candidates import CandidatePairs
from tenor.data.pool import Pool
from tenor.errors import TrainingError
from tenor.models.bulk import progress_bar
from tenor.models.embedder import Embedder

__all__ = [
    "Chunk", "Labeller", "Labels", "SilverLabels", "cosines", "scaled", "write_cosines",
    "write_silver",
]  # fmt: skip

log = logging.getLogger("tenor")

CANDIDATES = "candidates.parquet"
PARTS = ("cross_encoder_score", "teacher_score")  # columns of silver.parquet
CHUNK = 2_048  # pairs that are labelled and written together: seconds of work
PROBE = 512  # pairs of all lengths that are labelled first and timed

Pairs = list[tuple[str, str]]


class Labeller(Protocol):
    """What labels: a `CrossEncoder`, or anything that scores pairs as it does."""

    name: str
    sha256: str | None

    def score_counted(
        self, pairs: Sequence[tuple[str, str]], /, *, progress: bool | None = None
    ) -> tuple[npt.NDArray[np.float32], int]:
        """(N,) scores, and how many of the pairs were truncated."""


@dataclass(frozen=True, eq=False)
class Chunk:
    """Scores of some candidate pairs.

    Args:
        number: of the chunk.
        scores: one a pair, in the order of the chunk.
        truncated: pairs that were longer than the labeller reads.
    """

    number: int
    scores: npt.NDArray[np.float32]
    truncated: int


@dataclass(frozen=True, eq=False)
class Labels:
    """What the labeller said.

    Args:
        scores: (C,) as the labeller gave them, in the order of the candidates.
        truncated: pairs that were longer than the labeller reads.
        labelled: pairs labelled now; the others were labelled before the run was resumed.
        seconds: that this took.
    """

    scores: npt.NDArray[np.float32]
    truncated: int
    labelled: int
    seconds: float


class SilverLabels:
    """Candidate pairs in a folder, and their labels as they come.

    Pairs are cut into chunks: first some of every length, which also tell how long the rest will
    take, then all others, longest first. The chunks depend on the pairs alone, so that a run which
    was killed and resumed gives the very labels of one that nobody touched.

    Args:
        folder: made if it does not exist.
        labeller: hash of the model that labels; labels of another one are refused.

    Raises:
        TrainingError: when the folder holds labels of another model.
    """

    def __init__(self, folder: str | Path, labeller: str) -> None:
        self.folder, self.labeller = Path(folder), labeller
        self.pairs = read_candidates(self.folder)
        self.chunks = chunk_rows(self.pairs)
        self.parts = self.folder / "labels"
        self.parts.mkdir(exist_ok=True)
        for scratch in self.parts.glob(".*"):
            scratch.unlink()  # was being written when a run was killed

    def done(self) -> dict[int, Chunk]:
        """The chunks that are labelled."""
        found = {}
        for path in sorted(self.parts.glob("part-*.parquet")):
            table = pq.read_table(path)
            stored = table.schema.metadata
            if stored[b"labeller"].decode() != self.labeller:
                raise TrainingError(
                    f"{self.parts} holds labels of another model ({stored[b'labeller'].decode()}, "
                    f"not {self.labeller}): start a new run, or delete this folder."
                )
            chunk = Chunk(
                int(path.stem.rpartition("-")[2]),
                table["score"].to_numpy(),
                int(stored[b"truncated"]),
            )
            if len(chunk.scores) != len(self.chunks[chunk.number]):
                raise TrainingError(f"{path} belongs to other pairs: start a new run.")
            found[chunk.number] = chunk
        return found

    def pending(self) -> list[int]:
        """Numbers of the chunks that are not labelled yet, in order."""
        done = {int(path.stem.rpartition("-")[2]) for path in self.parts.glob("part-*.parquet")}
        return [number for number in range(len(self.chunks)) if number not in done]

    def add(self, chunk: Chunk) -> None:
        """Write the labels of a chunk, whole."""
        rows = self.chunks[chunk.number]
        if len(chunk.scores) != len(rows) or not np.isfinite(chunk.scores).all():
            raise TrainingError(
                "the cross-encoder gave a score that is not finite, or too few of them: its "
                "weights are damaged, or it needs --dtype fp32."
            )
        table = pa.table({"row": rows, "score": np.asarray(chunk.scores, dtype=np.float32)})
        stored = {"labeller": self.labeller, "truncated": str(chunk.truncated)}
        _write(
            self.parts / f"part-{chunk.number:06d}.parquet", table.replace_schema_metadata(stored)
        )

    def collect(self) -> tuple[npt.NDArray[np.float32], int]:
        """All labels, in the order of the candidates, and how many pairs were truncated."""
        done = self.done()
        scores = np.full(self.pairs.num_rows, np.nan, dtype=np.float32)
        for number, chunk in done.items():
            scores[self.chunks[number]] = chunk.scores
        assert not np.isnan(scores).any()
        return scores, sum(chunk.truncated for chunk in done.values())

    def run(self, results: Iterable[Chunk]) -> Labels:
        """Label what is pending, telling how far it is.

        Args:
            results: yields the chunks of `pending`, in that order or another.
        """
        start = time.perf_counter()
        lengths = pair_lengths(self.pairs)
        pending = self.pending()
        work = {number: int(lengths[self.chunks[number]].sum()) for number in pending}
        total, count = sum(work.values()), sum(len(self.chunks[number]) for number in pending)
        before = self.pairs.num_rows - count
        again = f" ({before:,} were labelled before)" if before else ""
        if count:
            log.info("labelling %s candidate pairs%s", f"{count:,}", again)
        else:
            log.info("all %s candidate pairs were labelled before", f"{before:,}")
        finished, tenth = 0, 1
        with progress_bar(sys.stderr.isatty(), total, "labelling") as bar:
            for place, chunk in enumerate(results):
                self.add(chunk)
                finished += work[chunk.number]
                if bar is not None:
                    bar.advance(bar.task_ids[0], work[chunk.number])
                share = finished / total
                spent = time.perf_counter() - start
                left = spent * (1 / share - 1)
                if place == 0 and len(pending) > 1:
                    log.info("about %s for all of them", _duration(spent / share))
                elif share * 10 >= tenth and share < 1:
                    tenth = int(share * 10) + 1
                    log.info("labelled %.0f %%, %s left", 100 * share, _duration(left))
        scores, truncated = self.collect()
        return Labels(scores, truncated, count, time.perf_counter() - start)

    def label(self, labeller: Labeller) -> Labels:
        """Label what is pending in this process."""
        return self.run(label_chunks(labeller, pending_pairs(self.folder, self.pending())))


def label_chunks(labeller: Labeller, chunks: Iterable[tuple[int, Pairs]]) -> Iterator[Chunk]:
    """Score chunk after chunk."""
    for number, pairs in chunks:
        scores, truncated = labeller.score_counted(pairs, progress=False)
        yield Chunk(number, np.asarray(scores, dtype=np.float32), truncated)


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
    Path(folder).mkdir(parents=True, exist_ok=True)
    _write(Path(folder) / CANDIDATES, table)


def read_candidates(folder: str | Path) -> pa.Table:
    """What `write_candidates` wrote."""
    return pq.read_table(Path(folder) / CANDIDATES)


def pair_lengths(pairs: pa.Table) -> npt.NDArray[np.int64]:
    """(C,) characters of both texts of each pair."""
    import pyarrow.compute as pc

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


def scaled(scores: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], bool]:
    """Scores on 0 to 1: as they are, or through the logistic function where they are logits.

    Returns:
        (C,) scores, and whether they were logits.

    >>> scaled(np.array([0.25, 1.0], dtype=np.float32))[0].tolist()
    [0.25, 1.0]
    """
    if not len(scores) or (scores.min() >= 0 and scores.max() <= 1):
        return scores, False
    return (1 / (1 + np.exp(-scores.astype(np.float64)))).astype(np.float32), True


def write_silver(
    path: Path, folder: Path, scores: npt.NDArray[np.float32], kept: npt.NDArray[np.bool_],
    labeller: str, parts: Mapping[str, npt.NDArray[np.float32]],
) -> None:  # fmt: skip
    """Write silver.parquet: every labelled pair, where it came from and who labelled it.

    Args:
        path: the file.
        folder: where candidates.parquet is.
        scores: (C,) on 0 to 1.
        kept: (C,) which pairs are trained on; the others were left out by re-sampling.
        labeller: hash of what labelled.
        parts: (C,) scores of each model that labelled, by column; a column that is missing is null.
    """
    pairs = read_candidates(folder)
    unknown = pa.nulls(len(scores), pa.float32())
    table = pa.table(
        {
            "sentence1": pairs["sentence1"],
            "sentence2": pairs["sentence2"],
            "score": pa.array(scores, pa.float32()),
            **{name: parts.get(name, unknown) for name in PARTS},
            "source": pairs["source"],
            "rank": pairs["rank"],
            "retrieval_score": pairs["retrieval_score"],
            "kept": pa.array(kept),
            "labeller": pa.array([labeller]).take(pa.array(np.zeros(len(scores), dtype=np.int64))),
        }
    )
    _write(path, table)


def write_cosines(path: Path, folder: Path, model: Embedder, count: int, seed: int) -> None:
    """Write candidate pairs with a bi-encoder's own similarity as their score.

    Args:
        path: Parquet file: sentence1, sentence2, score.
        folder: where candidates.parquet is.
        model: the bi-encoder; a cosine below 0 counts as 0.
        count: at most so many pairs, drawn at random.
        seed: of the choice.
    """
    pairs = read_candidates(folder).select(["sentence1", "sentence2"])
    if count < pairs.num_rows:
        generator = np.random.default_rng([seed, 4])
        pairs = pairs.take(np.sort(generator.choice(pairs.num_rows, count, replace=False)))
    scores = cosines(model, *(column.to_pylist() for column in pairs.columns))
    _write(path, pairs.append_column("score", pa.array(scores, pa.float32())))


def cosines(model: Embedder, left: Sequence[str], right: Sequence[str]) -> npt.NDArray[np.float32]:
    """(C,) the cosine of each pair, 0 for one below 0; each distinct text is encoded once."""
    place: dict[str, int] = {}
    sides = [
        np.array([place.setdefault(text, len(place)) for text in texts], dtype=np.int64)
        for texts in (left, right)
    ]
    vectors = model.encode(list(place), normalize=True)
    scores = np.empty(len(sides[0]), dtype=np.float32)
    for start in range(0, len(scores), CHUNK):
        part = slice(start, start + CHUNK)
        a, b = (vectors[rows[part]] for rows in sides)
        scores[part] = np.clip(np.einsum("nd,nd->n", a, b), 0, 1)
    return scores


def _write(path: Path, table: pa.Table) -> None:
    """Write a Parquet file whole or not at all."""
    scratch = path.with_name(f".{path.name}.part")
    with scratch.open("wb") as file:
        pq.write_table(table, file, compression="zstd")
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
