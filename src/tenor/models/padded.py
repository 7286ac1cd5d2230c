"""Texts of a packed row as padded rows, for encoders that do not run packed.

Shape legend: T tokens of the row, N texts, L tokens of the longest, W width of a block.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tenor.tokens.packed import PackedBatch

__all__ = ["PaddedTexts", "pad_texts"]


class PaddedTexts(NamedTuple):
    """Some texts, a row each.

    Attributes:
        inputs: `input_ids` and `attention_mask` (N, L), and `token_type_ids` if there are any.
        mask: (N, L) where there is a token; indexing with it gives the packed row again.
        states: (N, L, W) what earlier blocks made of the texts, where the batch brings that along.
    """

    inputs: dict[str, Tensor]
    mask: Tensor
    states: Tensor | None


def pad_texts(
    batch: PackedBatch, padding_id: int, *, with_types: bool, one_length: bool
) -> Iterator[PaddedTexts]:
    """Pad the texts of a batch, in their order.

    Args:
        batch: the texts; its filler counts as one.
        padding_id: token that stands where there is none.
        with_types: whether the encoder takes token types.
        one_length: take neighbouring texts of one length at a time, so that there is no padding;
            else all texts at once.
    """
    edges = np.flatnonzero(np.diff(batch.lengths)) + 1 if one_length else np.zeros(0, np.int64)
    starts = np.concatenate([[0], np.cumsum(batch.lengths)])
    for first, last in pairwise([0, *edges.tolist(), len(batch.lengths)]):
        row = slice(int(starts[first]), int(starts[last]))
        yield _pad(batch, batch.lengths[first:last], row, padding_id, with_types)


def _pad(
    batch: PackedBatch,
    lengths: np.ndarray[tuple[int], np.dtype[np.int64]],
    row: slice,
    padding_id: int,
    with_types: bool,
) -> PaddedTexts:
    counts_N = torch.as_tensor(lengths, device=batch.device)
    mask_NL = torch.arange(int(counts_N.max()), device=batch.device) < counts_N[:, None]
    ids_NL = torch.full(mask_NL.shape, padding_id, device=batch.device)
    ids_NL[mask_NL] = batch.token_ids[row]
    inputs = {"input_ids": ids_NL, "attention_mask": mask_NL.long()}
    if with_types and batch.type_ids is not None:
        types_NL = torch.zeros_like(ids_NL)
        types_NL[mask_NL] = batch.type_ids[row]
        inputs["token_type_ids"] = types_NL
    if batch.states is None:
        return PaddedTexts(inputs, mask_NL, None)
    given = batch.states.vectors
    states_NLW = given.new_zeros(*mask_NL.shape, given.shape[1])
    states_NLW[mask_NL] = given[row]
    return PaddedTexts(inputs, mask_NL, states_NLW)
