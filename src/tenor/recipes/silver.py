"""Silver labels: what a cross-encoder says of candidate pairs, each distinct pair labelled once.

candidates.parquet  the pairs: see `tenor.recipes.silver_candidates`
labels/part-*       scores of one chunk of pairs each: what a resumed run goes on from
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tenor.errors import TrainingError
from tenor.formats.table_writer import write_parquet
from tenor.models.bulk import duration, progress_bar
from tenor.recipes.silver_candidates import (
    Pairs,
    chunk_rows,
    pair_lengths,
    pending_pairs,
    read_candidates,
)

__all__ = ["Chunk", "Labeller", "Labels", "SilverLabels", "label_chunks"]

log = logging.getLogger("tenor")


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
        write_parquet(
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
                    log.info("about %s for all of them", duration(spent / share))
                elif share * 10 >= tenth and share < 1:
                    tenth = int(share * 10) + 1
                    log.info("labelled %.0f %%, %s left", 100 * share, duration(left))
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
