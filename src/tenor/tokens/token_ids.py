"""Tokenised texts as flat arrays: one array of ids and one of offsets, no Python lists."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from tenor.tokens.token_states import TokenStates

__all__ = ["TokenIds"]


@dataclass(frozen=True, eq=False)
class TokenIds:
    """The token ids of many texts, end to end.

    Attributes:
        ids: (all tokens,) int32, in memory or memory-mapped.
        offsets: (texts + 1,) int64; text i is `ids[offsets[i]:offsets[i + 1]]`.
        types: (all tokens,) int8 token type of each token (second text of a pair: 1), or `None`
            when all are 0.
        cut: (texts,) bool, which texts lost tokens to the length limit; `None` for none.
        states: what an encoder's frozen blocks made of all tokens; `None` where they are to run.
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]
    types: npt.NDArray[np.int8] | None = None
    cut: npt.NDArray[np.bool_] | None = None
    states: TokenStates | None = None

    @classmethod
    def of(cls, texts: list[list[int]]) -> Self:
        """From one list of ids a text.

        >>> TokenIds.of([[5, 6], [7]])[1].tolist()
        [7]
        """
        lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        flat = (token for text in texts for token in text)
        return cls(np.fromiter(flat, dtype=np.int32, count=int(offsets[-1])), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> npt.NDArray[np.int32]:
        return self.ids[self.offsets[index] : self.offsets[index + 1]]

    @property
    def truncated(self) -> int:
        """How many texts lost tokens to the length limit."""
        return 0 if self.cut is None else int(self.cut.sum())

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """(texts,) tokens of each text."""
        return np.diff(self.offsets)
