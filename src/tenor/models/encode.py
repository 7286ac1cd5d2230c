"""Bulk encoding: distinct texts once, sorted by length, in batches of so many tokens."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from tenor.errors import ConfigError
from tenor.tokens.packed import PackedBatch
from tenor.tokens.plan import batches_by_length

if TYPE_CHECKING:
    from rich.progress import Progress

    from tenor.models.embedder import Embedder

__all__ = ["EncodeOptions", "encode_all", "encode_blocks"]

BLOCK = 65_536  # texts of an iterator that are sorted and encoded together
TOKENS_PER_BATCH = {"cpu": 3_072, "mps": 8_192, "cuda": 32_768}
LONG_WORK = 2_000  # texts from which a terminal gets a progress bar


@dataclass(frozen=True, kw_only=True)
class EncodeOptions:
    """How to encode; see `Embedder.encode`."""

    prompt: str = ""
    skip: int = 0
    normalize: bool | None = None
    dtype: torch.dtype | None = None
    truncate_dim: int | None = None
    tokens_per_batch: int | None = None
    progress: bool | None = None


def encode_all(
    model: Embedder, texts: Iterable[str], options: EncodeOptions
) -> tuple[npt.NDArray[np.float32], int]:
    """Encode all texts into one array (N, D), and count the truncated ones."""
    known = len(texts) if isinstance(texts, Sequence) else None
    blocks = [list(texts)] if known is not None else _blocks(texts)
    vectors, truncated = [], 0
    for part, cut in encode_blocks(model, blocks, options, total=known):
        vectors.append(part)
        truncated += cut
    if not vectors:
        width = min(model.dimensions, options.truncate_dim or model.dimensions)
        return np.zeros((0, width), dtype=np.float32), 0
    return (vectors[0] if len(vectors) == 1 else np.concatenate(vectors)), truncated


def encode_blocks(
    model: Embedder,
    blocks: Iterable[Sequence[str]],
    options: EncodeOptions,
    *,
    total: int | None = None,
) -> Iterator[tuple[npt.NDArray[np.float32], int]]:
    """Encode block after block; only one block's texts and vectors stand in memory."""
    training, before = model.training, model.encoder.dtype
    model.eval()
    if options.dtype is not None:
        model.encoder.set_dtype(options.dtype)
    try:
        with _bar(options.progress, total) as bar:
            for block in blocks:
                yield _encode_block(model, block, options, bar)
    finally:
        model.encoder.set_dtype(before)
        model.train(training)


def _encode_block(
    model: Embedder, texts: Sequence[str], options: EncodeOptions, bar: Progress | None
) -> tuple[npt.NDArray[np.float32], int]:
    distinct: dict[str, int] = {}
    places = np.empty(len(texts), dtype=np.int64)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise ConfigError(f"texts[{row}]", text, "a string")
        places[row] = distinct.setdefault(text, len(distinct))
    ids = model.tokenizer(options.prompt + text for text in distinct)
    repeats = np.bincount(places, minlength=len(distinct))
    device = model.device
    budget = options.tokens_per_batch or TOKENS_PER_BATCH.get(device.type, 8_192)
    width = min(model.dimensions, options.truncate_dim or model.dimensions)
    vectors = np.empty((len(distinct), width), dtype=np.float32)
    for rows in batches_by_length(ids.lengths, budget):
        batch = PackedBatch.of(ids, rows, filler_id=model.tokenizer.filler_id).to(device)
        with torch.inference_mode():
            found = model(batch, options.skip, options.normalize)[:, :width]
            if options.normalize:
                found = F.normalize(found, dim=1)
        vectors[rows] = found.cpu().numpy()
        if bar is not None:
            bar.advance(bar.task_ids[0], int(repeats[rows].sum()))
    if len(distinct) == len(texts):
        return vectors, ids.truncated
    truncated = 0 if ids.cut is None else int(repeats[ids.cut].sum())
    return vectors[places], truncated


def _blocks(texts: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(texts)
    while block := list(islice(remaining, BLOCK)):
        yield block


@contextmanager
def _bar(wanted: bool | None, total: int | None) -> Iterator[Progress | None]:
    """A progress bar on stderr, if wanted; by default for long work on a terminal."""
    if wanted is None:
        wanted = sys.stderr.isatty() and (total is None or total >= LONG_WORK)
    if not wanted:
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        bar.add_task("encoding", total=total)
        yield bar
