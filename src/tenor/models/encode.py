"""Bulk encoding: distinct texts once, sorted by length, in batches of so many tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from tenor.models.bulk import (
    BLOCK,
    cut_in_blocks,
    evaluating,
    give_back_freed_memory,
    progress_bar,
    run_distinct,
)
from tenor.tokens.packed import PackedBatch
from tenor.tokens.text_check import check_texts
from tenor.tokens.token_ids import TokenIds

if TYPE_CHECKING:
    from rich.progress import Progress

    from tenor.models.embedder import Embedder

__all__ = ["EncodeOptions", "encode_all", "encode_blocks", "join_blocks", "width_of"]


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
    blocks = [list(texts)] if known is not None else cut_in_blocks(texts, BLOCK)
    found = encode_blocks(model, blocks, options, total=known)
    return join_blocks(found, width_of(model, options.truncate_dim))


def join_blocks(
    blocks: Iterable[tuple[npt.NDArray[np.float32], int]], width: int
) -> tuple[npt.NDArray[np.float32], int]:
    """One array (N, W) of the vectors of all blocks, and how many texts were truncated.

    Args:
        blocks: the vectors of each block, and how many of its texts were truncated.
        width: W, for the array where there is no block.
    """
    parts, truncated = [], 0
    for vectors, cut in blocks:
        parts.append(vectors)
        truncated += cut
    if not parts:
        return np.zeros((0, width), dtype=np.float32), 0
    return (parts[0] if len(parts) == 1 else np.concatenate(parts)), truncated


def width_of(model: Embedder, truncate_dim: int | None) -> int:
    """Dimensions of the vectors of a call that asks for no more than `truncate_dim`."""
    return min(model.dimensions, truncate_dim or model.dimensions)


def encode_blocks(
    model: Embedder,
    blocks: Iterable[Sequence[str]],
    options: EncodeOptions,
    *,
    total: int | None = None,
) -> Iterator[tuple[npt.NDArray[np.float32], int]]:
    """Encode block after block; only one block's texts and vectors stand in memory.

    Raises:
        DataError: for something that is no text; it names its row.
    """
    done = 0
    with (
        evaluating(model, model.encoder, options.dtype),
        progress_bar(options.progress, total, "encoding") as bar,
    ):
        for block in blocks:
            if done:
                give_back_freed_memory()
            check_texts(block, before=done)
            done += len(block)
            yield _encode_block(model, block, options, bar)


def _encode_block(
    model: Embedder, texts: Sequence[str], options: EncodeOptions, bar: Progress | None
) -> tuple[npt.NDArray[np.float32], int]:
    width = width_of(model, options.truncate_dim)

    def tokenise(distinct: list[str]) -> TokenIds:
        return model.tokenizer(options.prompt + text for text in distinct)

    def forward(batch: PackedBatch) -> Tensor:
        found = model(batch, options.skip, options.normalize)[:, :width]
        return F.normalize(found, dim=1) if options.normalize else found

    return run_distinct(
        forward,
        texts,
        tokenise,
        width=width,
        device=model.device,
        filler_id=model.tokenizer.filler_id,
        tokens_per_batch=options.tokens_per_batch,
        bar=bar,
    )
