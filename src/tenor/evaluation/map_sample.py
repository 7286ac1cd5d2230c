"""Which texts of an evaluation stand on the map of embeddings, and the file of their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from tenor.errors import DataError
from tenor.evaluation.result import Encodes, encode_texts
from tenor.evaluation.retrieval import Retrieval
from tenor.evaluation.similarity import EmbeddingSimilarity
from tenor.evaluation.validation import LabelledPairs, NearestNeighbours
from tenor.formats.table_writer import write_parquet

__all__ = [
    "MAP",
    "MapSample",
    "SketchedMap",
    "StoredMap",
    "map_sample",
    "read_map",
    "sample_vectors",
    "write_map",
]

MAP = "map.parquet"  # in the run's folder
TEXTS, PAIRS = 400, 120
ALIKE = 0.75  # of the range of gold scores: pairs from there on belong together


@dataclass(frozen=True)
class MapSample:
    """Texts for a map.

    Attributes:
        texts: a few hundred.
        groups: of each, what decides its colour.
        links: pairs of texts, by number, that belong together.
    """

    texts: list[str]
    groups: list[str]
    links: list[tuple[int, int]]


@dataclass(frozen=True)
class StoredMap:
    """Texts with their vectors.

    Attributes:
        sample: the texts.
        before: (N, D) vectors of the model before training; `None` where it was not there.
        after: (N, D) vectors of the model after.
    """

    sample: MapSample
    before: npt.NDArray[np.float32] | None
    after: npt.NDArray[np.float32]


@dataclass(frozen=True)
class SketchedMap:
    """A map of a model that is about to be trained.

    Attributes:
        sample: the texts.
        embedder: the model.
        before: (N, D) its vectors as it was.
    """

    sample: MapSample
    embedder: Encodes
    before: npt.NDArray[np.float32]

    @classmethod
    def of(cls, model: Any, evaluation: Any) -> SketchedMap | None:
        """Of an embedder, or of a model that holds one; `None` where there is nothing to map.

        Args:
            model: before its training.
            evaluation: what it is measured with.
        """
        embedder = getattr(model, "embedder", model)
        sample = map_sample(evaluation) if hasattr(embedder, "encode_counted") else None
        if sample is None:
            return None
        return cls(sample, embedder, sample_vectors(embedder, sample))

    def write(self, folder: Path) -> None:
        """Add the vectors of the model as it is now, and write map.parquet."""
        after = sample_vectors(self.embedder, self.sample)
        write_map(folder, StoredMap(self.sample, self.before, after))


@singledispatch
def map_sample(evaluation: Any, seed: int = 0) -> MapSample | None:
    """Draw the texts of a map from an evaluation; `None` for one that is not about embeddings.

    Args:
        evaluation: what is measured with.
        seed: decides which.
    """
    return None


@map_sample.register
def _(evaluation: Retrieval, seed: int = 0) -> MapSample:
    rows = _drawn(len(evaluation.queries), PAIRS, seed)
    right = evaluation.right_documents
    texts = [evaluation.queries[row] for row in rows]
    places = list(dict.fromkeys(int(right[row]) for row in rows))
    links = [(n, len(texts) + places.index(int(right[row]))) for n, row in enumerate(rows)]
    groups = ["right documents"] * len(places)
    texts += [evaluation.documents[place] for place in places]
    return MapSample(texts, ["queries"] * len(rows) + groups, links)


@map_sample.register
def _(evaluation: EmbeddingSimilarity, seed: int = 0) -> MapSample:
    gold = np.asarray(evaluation.scores)
    alike = gold >= gold.min() + ALIKE * np.ptp(gold)
    return _of_pairs(evaluation.sentences1, evaluation.sentences2, alike, seed)


@map_sample.register
def _(evaluation: LabelledPairs, seed: int = 0) -> MapSample:
    return _of_pairs(evaluation.left, evaluation.right, evaluation.labels, seed)


@map_sample.register
def _(evaluation: NearestNeighbours, seed: int = 0) -> MapSample:
    rows = _drawn(len(evaluation.texts), TEXTS, seed)
    names = evaluation.names
    groups = [names[int(evaluation.labels[row])] for row in rows]
    return MapSample([evaluation.texts[row] for row in rows], groups, [])


def sample_vectors(model: Encodes, sample: MapSample) -> npt.NDArray[np.float32]:
    """(N, D) vectors of the texts, as the model gives them without a prompt."""
    return encode_texts(model, sample.texts)[0]


def write_map(folder: str | Path, stored: StoredMap) -> None:
    """Write map.parquet: text, group, link (numbers of texts) and the vectors, in half precision.

    Args:
        folder: of the run.
        stored: what to write.
    """
    links: list[list[int]] = [[] for _ in stored.sample.texts]
    for one, other in stored.sample.links:
        links[one].append(other)
    table = pa.table(
        {
            "text": stored.sample.texts,
            "group": stored.sample.groups,
            "link": pa.array(links, pa.list_(pa.int32())),
            "before": _halves(stored.before, len(links)),
            "after": _halves(stored.after, len(links)),
        }
    )
    write_parquet(Path(folder) / MAP, table)


def read_map(folder: str | Path) -> StoredMap | None:
    """What `write_map` wrote; `None` where there is no such file.

    Raises:
        DataError: the file cannot be read.
    """
    path = Path(folder) / MAP
    if not path.exists():
        return None
    try:
        table = pq.read_table(path)
        links = [(row, other) for row, own in enumerate(table["link"].to_pylist()) for other in own]
        sample = MapSample(table["text"].to_pylist(), table["group"].to_pylist(), links)
        after = _matrix(table["after"])
        assert after is not None
        return StoredMap(sample, _matrix(table["before"]), after)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataError(
            f"cannot be read ({error}); delete it, or train again.", path=path
        ) from None


def _of_pairs(left: Sequence[str], right: Sequence[str], alike: Any, seed: int) -> MapSample:
    """Pairs, half of them alike; only those have a line."""
    rows = [
        int(row)
        for wanted in (True, False)
        for row in _of(np.flatnonzero(np.asarray(alike) == wanted), PAIRS // 2, seed)
    ]
    texts = [text for row in rows for text in (left[row], right[row])]
    groups = ["pairs alike" if alike[row] else "other pairs" for row in rows for _ in "12"]
    links = [(2 * n, 2 * n + 1) for n, row in enumerate(rows) if alike[row]]
    return MapSample(texts, groups, links)


def _drawn(rows: int, most: int, seed: int) -> list[int]:
    return [int(row) for row in _of(np.arange(rows), most, seed)]


def _of(rows: npt.NDArray[np.int64], most: int, seed: int) -> npt.NDArray[np.int64]:
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])


def _halves(vectors: npt.NDArray[np.float32] | None, rows: int) -> Any:
    if vectors is None:
        return pa.nulls(rows)
    flat = pa.array(np.asarray(vectors, dtype=np.float16).ravel())
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])


def _matrix(column: Any) -> npt.NDArray[np.float32] | None:
    if pa.types.is_null(column.type):
        return None
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float32).reshape(len(column), -1)
