"""Silver scores: on one scale, from a bi-encoder's cosines too, and as files.

Shape legend: C candidate pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tenor.formats.table_writer import write_parquet
from tenor.models.embedder import Embedder
from tenor.recipes.silver_candidates import read_candidates

__all__ = ["cosines", "scaled", "write_cosines", "write_silver"]

PARTS = ("cross_encoder_score", "teacher_score")  # columns of silver.parquet
BLOCK = 2_048  # pairs whose vectors are multiplied at a time


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


def cosines(model: Embedder, left: Sequence[str], right: Sequence[str]) -> npt.NDArray[np.float32]:
    """(C,) the cosine of each pair, 0 for one below 0; each distinct text is encoded once."""
    place: dict[str, int] = {}
    sides = [
        np.array([place.setdefault(text, len(place)) for text in texts], dtype=np.int64)
        for texts in (left, right)
    ]
    vectors = model.encode(list(place), normalize=True)
    scores = np.empty(len(sides[0]), dtype=np.float32)
    for start in range(0, len(scores), BLOCK):
        part = slice(start, start + BLOCK)
        a, b = (vectors[rows[part]] for rows in sides)
        scores[part] = np.clip(np.einsum("nd,nd->n", a, b), 0, 1)
    return scores


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
    write_parquet(path, table)


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
    write_parquet(path, pairs.append_column("score", pa.array(scores, pa.float32())))
