"""The classifier on top of an encoder, whatever the architecture, on packed texts.

Shape legend: T tokens of the row, N texts, L tokens of the longest, W width, C labels.
"""

from __future__ import annotations

import copy
import inspect
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenor.models.precision import set_precision
from tenor.tokens.packed import PackedBatch
from tenor.tokens.token_ids import TokenIds

__all__ = ["SequenceHead", "one_length_at_a_time", "probe_batch"]


class SequenceHead(nn.Module):
    """The head of a `…ForSequenceClassification` of `transformers`, run on an encoder's output.

    No head is written anew: the architecture's own forward runs, and where it calls its encoder it
    gets the vectors that it handed in as `inputs_embeds`. Its layers are those of `classifier`
    itself, not copies.

    Args:
        classifier: the `transformers` model; not changed.
        reads: which of a text's vectors the head is given: `"first"` or `"all"`.
    """

    def __init__(self, classifier: Any, reads: str = "first") -> None:
        super().__init__()
        layers = copy.copy(classifier)
        given = _Given(classifier.base_model)
        layers.__dict__["_modules"] = {**classifier._modules, classifier.base_model_prefix: given}
        self.layers = layers
        self.reads = reads

    def forward(self, hidden_TW: Tensor, batch: PackedBatch) -> Tensor:
        """Classify packed texts.

        Args:
            hidden_TW: the encoder's output.
            batch: the batch it came from.

        Returns:
            (N, C) fp32 logits, in the order of the batch.
        """
        lengths = torch.as_tensor(batch.lengths[: batch.texts], device=hidden_TW.device)
        if self.reads == "first":
            starts = torch.cumsum(lengths, 0) - lengths
            block_NLW = F.embedding(starts, hidden_TW)[:, None]  # faster backward than indexing
            mask_NL = torch.ones(block_NLW.shape[:2], dtype=torch.long, device=hidden_TW.device)
        else:
            places = torch.arange(int(batch.lengths.max()), device=hidden_TW.device)
            inside_NL = places < lengths[:, None]
            block_NLW = hidden_TW.new_zeros(*inside_NL.shape, hidden_TW.shape[1])
            block_NLW[inside_NL] = hidden_TW[: int(lengths.sum())]
            mask_NL = inside_NL.long()
        found = self.layers(inputs_embeds=block_NLW.float(), attention_mask=mask_NL)
        logits: Tensor = found.logits.float()
        return logits


class _Given(nn.Module):
    """Stands in an encoder's place and gives back the vectors that come as `inputs_embeds`."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        pooler = getattr(encoder, "pooler", None)
        if pooler is not None:
            # The same parameters in layers of their own, which stay in fp32 whatever the encoder
            # works in: with one vector a text, precision costs nothing here.
            shared = {id(parameter): parameter for parameter in pooler.parameters()}
            pooler = copy.deepcopy(pooler, shared)
            set_precision(pooler, torch.float32)
        # In a tuple: its parameters belong to the encoder.
        self._pooler: tuple[Any, Any] = (pooler, getattr(encoder, "pooler_activation", None))

    def forward(self, *args: Any, inputs_embeds: Tensor, **kwargs: Any) -> Any:
        """The vectors (N, L, W) as an encoder's output, with a pooled one if it has a pooler."""
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        return BaseModelOutputWithPooling(
            last_hidden_state=inputs_embeds, pooler_output=self._pooled(inputs_embeds)
        )

    def _pooled(self, hidden_NLW: Tensor) -> Any:
        pooler, activation = self._pooler
        if pooler is None:
            return None
        if isinstance(pooler, nn.Linear):  # ALBERT keeps the activation beside it
            return activation(pooler(hidden_NLW[:, 0]))
        return pooler(hidden_NLW)


def one_length_at_a_time(classifier: Any, batch: PackedBatch) -> Tensor:
    """The logits as `transformers` computes them, without packing or padding.

    Neighbouring texts of one length run together: slow, but right for any architecture.

    Args:
        classifier: a `…ForSequenceClassification`.
        batch: N texts.

    Returns:
        (N, C) fp32 logits, in the order of the batch.
    """
    lengths = batch.lengths[: batch.texts]
    takes_types = "token_type_ids" in inspect.signature(classifier.forward).parameters
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
        parts.append(classifier(**inputs).logits.float())
    return torch.cat(parts)


def probe_batch(config: Any) -> PackedBatch:
    """Pairs to try a model with: unlike tokens and lengths; the second half of type 1, if any is.

    Args:
        config: the configuration of the `transformers` model.
    """
    lengths = (9, 14, 6, 11)
    padding = getattr(config, "pad_token_id", None)
    texts: list[list[int]] = []
    token = 7
    for length in lengths:
        texts.append([])
        while len(texts[-1]) < length:
            token = (token * 5 + 3) % config.vocab_size
            texts[-1].append(token if token != padding else token + 1 if token == 0 else token - 1)
    ids = TokenIds.of(texts)
    if (getattr(config, "type_vocab_size", None) or 0) > 1:
        types = np.concatenate([np.arange(length) >= length // 2 for length in lengths])
        ids = TokenIds(ids.ids, ids.offsets, types.astype(np.int8))
    return PackedBatch.of(ids, rounded=False)
