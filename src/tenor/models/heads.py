"""The classifier on top of an encoder, whatever the architecture, on packed texts.

No head is written anew: the architecture's own forward runs, and where it calls its encoder it gets
the vectors that it handed in as `inputs_embeds`.

Shape legend: T tokens of the row, P places in it, N texts, L tokens of the longest, W width, C
labels.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenor.models.precision import set_precision
from tenor.tokens.packed import PackedBatch

__all__ = ["GivenVectors", "SequenceHead", "TokenHead", "without_encoder"]


class GivenVectors(nn.Module):
    """Stands in an encoder's place and gives back the vectors that come as `inputs_embeds`.

    Args:
        encoder: a `transformers` encoder, for its pooler.
    """

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


def without_encoder(classifier: Any) -> Any:
    """A `transformers` model whose encoder gives back the vectors that it is given.

    Args:
        classifier: a `…For…Classification`; not changed, and its layers are shared.
    """
    layers = copy.copy(classifier)
    given = GivenVectors(classifier.base_model)
    layers.__dict__["_modules"] = {**classifier._modules, classifier.base_model_prefix: given}
    return layers


class SequenceHead(nn.Module):
    """The head of a `…ForSequenceClassification`, run on an encoder's output.

    Args:
        classifier: the `transformers` model; not changed.
        reads: which of a text's vectors the head is given: `"first"` or `"all"`. `"nothing"` says
            that it cannot be run without its encoder, and so is not run here.
    """

    def __init__(self, classifier: Any, reads: str = "first") -> None:
        super().__init__()
        self.layers = without_encoder(classifier)
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


class TokenHead(nn.Module):
    """The head of a `…ForTokenClassification`, run on single vectors of an encoder's output.

    Args:
        classifier: the `transformers` model; its encoder is not changed.
    """

    def __init__(self, classifier: Any) -> None:
        super().__init__()
        self.layers = without_encoder(classifier)
        for name, layer in classifier.named_children():
            if name != classifier.base_model_prefix:
                set_precision(layer, torch.float32)

    def forward(self, hidden_PW: Tensor) -> Tensor:
        """Classify vectors of tokens: (P, W) to (P, C) fp32 logits."""
        logits: Tensor = self.layers(inputs_embeds=hidden_PW[None].float()).logits
        return logits[0].float()
