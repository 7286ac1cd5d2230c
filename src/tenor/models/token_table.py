"""The vectors of a vocabulary, in the place where an embedder has its encoder.

Shape legend: V tokens of the vocabulary, D dimensions, N texts, T tokens of all texts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenor.errors import ConfigError

__all__ = ["TokenTable"]


class TokenTable(nn.Module):
    """The vectors of a vocabulary, where an `Embedder` has its encoder.

    Args:
        vectors: (V, D) float32, a row for each token id. Whatever weights tokens have are part of
            their rows.

    Raises:
        ConfigError: when the vectors are no matrix.
    """

    packed = True
    max_positions = None
    dtype = torch.float32

    def __init__(self, vectors: npt.NDArray[np.float32] | Tensor) -> None:
        super().__init__()
        table = torch.as_tensor(vectors, dtype=torch.float32).clone()
        if table.dim() != 2 or not table.numel():
            shape = f"of the shape {tuple(table.shape)}"
            raise ConfigError("vectors", shape, "a matrix: a row for each token")
        self.words = nn.Embedding(len(table), table.shape[1], _weight=table)

    @property
    def width(self) -> int:
        """Dimensions D of a vector."""
        return self.words.embedding_dim

    @property
    def device(self) -> torch.device:
        """Where the vectors are."""
        return self.words.weight.device

    @property
    def transformer(self) -> TokenTable:
        """What stands where an encoder has its layers: the table itself."""
        return self

    def get_input_embeddings(self) -> nn.Embedding:
        """The vectors, so that training touches only the rows that its data uses."""
        return self.words

    def set_dtype(self, dtype: torch.dtype) -> None:
        """Does nothing: there are no products, and sums are taken in fp32."""

    def forward(self, token_ids: Tensor, offsets: Tensor) -> Tensor:
        """The mean vector of each text, zeros for one without tokens.

        Args:
            token_ids: (T,) of all texts, end to end.
            offsets: (N + 1,) where each text begins; the last is T.

        Returns:
            (N, D) fp32.
        """
        return F.embedding_bag(
            token_ids, self.words.weight, offsets, mode="mean", include_last_offset=True
        )
