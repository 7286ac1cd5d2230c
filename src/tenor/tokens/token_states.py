"""What an encoder's first blocks made of tokens, so that they need not run again.

Shape legend: T tokens, W width of a block's output.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

__all__ = ["TokenStates"]


@dataclass(frozen=True, eq=False)
class TokenStates:
    """The output of the first blocks of an encoder, for tokens in a row.

    Attributes:
        depth: how many blocks were run; with 0, the embeddings alone.
        vectors: (T, W), in memory or memory-mapped, in whatever dtype they came.
    """

    depth: int
    vectors: Tensor

    def take(self, tokens: npt.NDArray[np.int64], filler: int = 0) -> Self:
        """Those of some tokens, and zeros behind them.

        Args:
            tokens: which, in the order wanted.
            filler: how many rows of zeros follow: what a filler text makes counts for nothing.
        """
        rows = self.vectors.new_zeros(len(tokens) + filler, self.vectors.shape[1])
        index = torch.from_numpy(tokens).to(self.vectors.device)
        torch.index_select(self.vectors, 0, index, out=rows[: len(tokens)])
        return replace(self, vectors=rows)

    def to(self, device: torch.device | str) -> Self:
        """The same on another device."""
        return replace(self, vectors=self.vectors.to(device, non_blocking=True))
