"""Bulk scoring: distinct pairs once, sorted by length, in batches of so many tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tenor.models.bulk import BLOCK, cut_in_blocks, evaluating, progress_bar, run_distinct
from tenor.tokens.text_check import check_pairs
from tenor.tokens.token_ids import TokenIds

if TYPE_CHECKING:
    from rich.progress import Progress

    from tenor.models.cross_encoder import CrossEncoder

__all__ = ["score_all"]


def score_all(
    model: CrossEncoder,
    pairs: Iterable[tuple[str, str]],
    *,
    tokens_per_batch: int | None = None,
    progress: bool | None = None,
) -> tuple[npt.NDArray[np.float32], int]:
    """The logits of all pairs in one array (N, C), and how many pairs were cut.

    Pairs are taken block by block; what stands in memory beside the logits is one block's.

    Raises:
        DataError: for something that is no pair of texts; it names its row.
    """
    total = len(pairs) if isinstance(pairs, Sized) else None
    parts = [np.zeros((0, model.classes), dtype=np.float32)]
    truncated = done = 0
    with evaluating(model, model.encoder), progress_bar(progress, total, "scoring") as bar:
        for block in cut_in_blocks(pairs, BLOCK):
            logits, cut = _score_block(model, block, done, tokens_per_batch, bar)
            parts.append(logits)
            truncated += cut
            done += len(block)
    return np.concatenate(parts), truncated


def _score_block(
    model: CrossEncoder,
    pairs: Sequence[Any],
    before: int,
    tokens_per_batch: int | None,
    bar: Progress | None,
) -> tuple[npt.NDArray[np.float32], int]:
    """Logits of some pairs, behind so many others."""
    check_pairs(pairs, before=before)

    def tokenise(distinct: list[tuple[str, str]]) -> TokenIds:
        return model.tokenizer.pairs(
            [left for left, _ in distinct], [right for _, right in distinct]
        )

    return run_distinct(
        model,
        [(pair[0], pair[1]) for pair in pairs],
        tokenise,
        width=model.classes,
        device=model.device,
        filler_id=model.tokenizer.filler_id,
        tokens_per_batch=tokens_per_batch,
        bar=bar,
    )
