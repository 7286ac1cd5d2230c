"""Training only the rows of the vocabulary that the data uses.

A batch touches a few hundred of some 30,000 word vectors, yet a dense gradient, its norm and AdamW
pass over all of them in every step. Rows that stand in no training text have a zero gradient, zero
moments and (without weight decay) never move; so the embedding matrix is cut down to the rows the
data uses while training, and put back whole for everything else. The result is exactly the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from tenor.training.batch import TrainingData

__all__ = ["UsedVocabulary"]


class UsedVocabulary:
    """Cuts an embedding matrix down to the rows that some data uses, in place.

    Args:
        embedding: the input embeddings; their `Parameter` stays the same object.
        data: the training data.
    """

    def __init__(self, embedding: nn.Embedding, data: TrainingData) -> None:
        used = np.unique(data.ids.ids)
        padding = [] if embedding.padding_idx is None else [embedding.padding_idx]
        self.rows = np.union1d(used, [*padding, data.filler_id]).astype(np.int64)
        self.embedding = embedding
        self.index = torch.from_numpy(self.rows).to(embedding.weight.device)
        self.full = embedding.weight.data
        self.padding_idx = embedding.padding_idx
        position = np.full(len(self.full), -1, dtype=np.int32)
        position[self.rows] = np.arange(len(self.rows), dtype=np.int32)
        ids = replace(data.ids, ids=position[data.ids.ids])
        self.data = replace(data, ids=ids, filler_id=int(position[data.filler_id]))
        self._compact_padding = None if not padding else int(position[padding[0]])
        self._cut()

    @staticmethod
    def applies(model: nn.Module, weight_decay: float) -> nn.Embedding | None:
        """The embedding matrix to cut down, or `None` where that would change the result.

        It would with weight decay, which moves every row; where the matrix also serves as another
        layer's weight, or the model says that it uses the `whole_vocabulary`; and where the encoder
        reads meaning from the ids themselves (padding).
        """
        encoder: Any = getattr(model, "encoder", None)
        if weight_decay or encoder is None or not encoder.packed:
            return None
        if getattr(model, "whole_vocabulary", False):
            return None
        found = encoder.transformer.get_input_embeddings()
        if type(found) is not nn.Embedding or not found.weight.requires_grad or found.sparse:
            return None
        holders = [
            module
            for module in model.modules()
            for parameter in module.parameters(recurse=False)
            if parameter is found.weight
        ]
        return found if len(holders) == 1 else None

    @contextmanager
    def whole(self) -> Iterator[None]:
        """The whole matrix, in its place: for evaluation, saving and loading."""
        weight = self.embedding.weight
        assert weight.grad is None, "between steps only"
        self.full[self.index] = weight.data
        weight.data = self.full
        self.embedding.padding_idx = self.padding_idx
        try:
            yield
        finally:
            self.full = weight.data
            self._cut()

    def restore(self) -> None:
        """Put the whole matrix back for good."""
        self.embedding.weight.grad = None
        self.full[self.index] = self.embedding.weight.data
        self.embedding.weight.data = self.full
        self.embedding.padding_idx = self.padding_idx

    def _cut(self) -> None:
        self.embedding.weight.data = self.full[self.index]
        self.embedding.padding_idx = self._compact_padding
