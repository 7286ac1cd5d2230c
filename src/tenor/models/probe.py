"""What models are tried with: how an architecture can be run is found out, not looked up.

Shape legend: N texts, L tokens of a text, T tokens of the row, C labels.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tenor.tokens.packed import PackedBatch
from tenor.tokens.token_ids import TokenIds

__all__ = ["is_close", "one_length_at_a_time", "probe_batch", "unlike_texts"]

LENGTHS = (9, 14, 6, 11)  # of `probe_batch`; two of one length could hide a mistake


def is_close(found: Tensor, expected: Tensor, tolerance: float, *, least: float = 1.0) -> bool:
    """Whether two tensors differ no more than rounding explains.

    Args:
        found: what was computed; another shape is never close.
        expected: what it should be.
        tolerance: relative to the largest value expected.
        least: what counts for that value where all are smaller.

    >>> is_close(torch.tensor([1.0, 200.0]), torch.tensor([1.01, 200.0]), 1e-4)
    True
    """
    if found.shape != expected.shape:
        return False
    error = (found - expected).abs().max().item()
    return bool(error <= tolerance * max(least, expected.abs().max().item()))


def unlike_texts(lengths: Sequence[int], config: Any) -> TokenIds:
    """Texts whose tokens differ, none of them the padding token.

    Args:
        lengths: tokens of each text.
        config: the configuration of the `transformers` model.
    """
    padding = getattr(config, "pad_token_id", None) or 0
    texts: list[list[int]] = []
    token = 7
    for length in lengths:
        texts.append([])
        for _ in range(length):
            token = (token * 5 + 3) % config.vocab_size
            texts[-1].append(token if token != padding else 0 if token else 1)
    return TokenIds.of(texts)


def probe_batch(config: Any) -> PackedBatch:
    """Pairs to try a model with: unlike tokens and lengths; the second half of type 1, if any is.

    Args:
        config: the configuration of the `transformers` model.
    """
    ids = unlike_texts(LENGTHS, config)
    if (getattr(config, "type_vocab_size", None) or 0) > 1:
        types = np.concatenate([np.arange(length) >= length // 2 for length in LENGTHS])
        ids = TokenIds(ids.ids, ids.offsets, types.astype(np.int8))
    return PackedBatch.of(ids, rounded=False)


def one_length_at_a_time(whole: Any, batch: PackedBatch) -> Tensor:
    """The logits as `transformers` computes them, without packing or padding.

    Neighbouring texts of one length run together: slow, but right for any architecture.

    Args:
        whole: a `…ForSequenceClassification` or `…ForTokenClassification`.
        batch: N texts.

    Returns:
        (N, C) fp32 logits of the texts, or (T, C) of their tokens, in the order of the batch.
    """
    lengths = batch.lengths[: batch.texts]
    takes_types = "token_type_ids" in inspect.signature(whole.forward).parameters
    bounds = [0, *(np.flatnonzero(np.diff(lengths)) + 1).tolist(), len(lengths)]
    parts, start = [], 0
    for first, last in pairwise(bounds):
        shape = (last - first, int(lengths[first]))
        row = slice(start, start + shape[0] * shape[1])
        start = row.stop
        ids_NL = batch.token_ids[row].view(shape)
        inputs = {"input_ids": ids_NL, "attention_mask": torch.ones_like(ids_NL)}
        if takes_types and batch.type_ids is not None:
            inputs["token_type_ids"] = batch.type_ids[row].view(shape)
        parts.append(whole(**inputs).logits.flatten(0, -2).float())
    return torch.cat(parts)
