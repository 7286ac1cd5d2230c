"""How quickly a machine embeds a user's texts, and the vectors of a sample of them.

Shape legend: N rows, D dimensions.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tenor.models.embedder import Embedder
from tenor.recipes.plan_sources import Source

__all__ = ["EncodingPace", "embed_sample", "encoding_pace"]

MOST = 2_000  # rows that are embedded
CHUNK = 128  # texts embedded at a time


@dataclass(frozen=True)
class EncodingPace:
    """How quickly this machine embeds these texts.

    Attributes:
        tokens: embedded in a second.
        texts: the same in texts.
        measured: texts that this rests on.
    """

    tokens: float
    texts: float
    measured: int


def encoding_pace(
    source: Source, embedder: Embedder, *, seconds: float, seed: int = 0
) -> EncodingPace | None:
    """How quickly this machine embeds a source, from a sample of its texts.

    Args:
        source: what is to be embedded.
        embedder: the model.
        seconds: about how long to try.
        seed: decides which rows.
    """
    return embed_sample(source, embedder, seconds=seconds, seed=seed)[2]


def embed_sample(
    source: Source, embedder: Embedder, *, seconds: float, seed: int = 0
) -> tuple[dict[str, npt.NDArray[np.float32]], npt.NDArray[np.int64], EncodingPace | None]:
    """Embed rows of a source in random order, as far as the time goes.

    Args:
        source: what is to be embedded.
        embedder: the model.
        seconds: to embed for; the sample is as large as fits.
        seed: decides which rows.

    Returns:
        Unit vectors (N, D) column by column, the N rows they are of, and the pace, where enough
        was embedded to tell.
    """
    columns = {"text": source.texts} if source.task is not None else source.columns
    number_of_rows = len(next(iter(columns.values())))
    rows = np.random.default_rng([seed, 6]).permutation(number_of_rows)[:MOST]
    texts = {name: [column[row] for row in rows.tolist()] for name, column in columns.items()}
    found: dict[str, list[npt.NDArray[np.float32]]] = {name: [] for name in texts}
    spent: list[tuple[float, int, int]] = []
    start, size = time.perf_counter(), max(CHUNK // len(texts), 1)
    for first in range(0, len(rows), size):
        chunk = {name: column[first : first + size] for name, column in texts.items()}
        flat = [text for part in chunk.values() for text in part]
        began = time.perf_counter()
        vectors = embedder.encode(flat, normalize=True, progress=False)
        took = time.perf_counter() - began
        tokens = int(embedder.tokenizer(dict.fromkeys(flat)).lengths.sum())
        spent.append((took, tokens, len(set(flat))))
        count = len(next(iter(chunk.values())))
        for place, name in enumerate(chunk):
            found[name].append(vectors[place * count : (place + 1) * count])
        if time.perf_counter() - start > seconds:
            break
    measured = spent[1:] or spent  # the first builds kernels
    took, total, number = (sum(column) for column in zip(*measured, strict=True))
    pace = EncodingPace(total / took, number / took, int(number)) if took > 0 else None
    embedded = {name: np.concatenate(parts) for name, parts in found.items()}
    return embedded, rows[: len(next(iter(embedded.values())))], pace
