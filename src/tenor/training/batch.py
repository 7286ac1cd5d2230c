"""Rows of training data and the batches made of them: each distinct text tokenised and kept once.

Shape legend: R rows of the data, B rows of a batch, U distinct texts of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tenor.tokens.distinct_texts import distinct_texts
from tenor.tokens.packed import PackedBatch
from tenor.tokens.plan import batches_by_length
from tenor.tokens.token_ids import TokenIds
from tenor.tokens.tokenizer import Tokenizer

__all__ = ["TrainingBatch", "TrainingData"]


@dataclass(frozen=True, eq=False)
class TrainingBatch:
    """Some rows of training data, as indices into the batch's distinct texts.

    Attributes:
        rows: (B,) rows of the data.
        columns: for each text column, (B,) int64 index into the distinct texts, on the CPU.
        target: (B,) scores or labels, or `None`.
        texts: (U,) which tokenised texts, sorted by length, longest first; one stands there twice
            only where the columns are kept apart.
        ids: all tokenised texts of the data.
        filler_id: token to fill a row of tokens up with.
        groups: (B,) a number for each row, or `None`; rows of one number are no negatives of each
            other.
    """

    rows: npt.NDArray[np.int64]
    columns: Mapping[str, Tensor]
    target: Tensor | None
    texts: npt.NDArray[np.int64] = field(repr=False)
    ids: TokenIds = field(repr=False)
    filler_id: int = 0
    groups: Tensor | None = None

    @property
    def tokens(self) -> int:
        """Tokens of the distinct texts."""
        return int(self.ids.lengths[self.texts].sum())

    def share(self, process: int, processes: int) -> npt.NDArray[np.int64]:
        """Positions among the distinct texts that one of several processes encodes.

        Every `processes`-th text in the order of length, so that all have about the same work.
        """
        return np.arange(process, len(self.texts), processes)

    def packed(self, positions: npt.NDArray[np.int64] | None = None) -> PackedBatch:
        """The distinct texts, or those at some positions among them, packed."""
        texts = self.texts if positions is None else self.texts[positions]
        return PackedBatch.of(self.ids, texts, filler_id=self.filler_id)

    def chunks(
        self, tokens: int, positions: npt.NDArray[np.int64]
    ) -> Iterator[npt.NDArray[np.int64]]:
        """Cut positions among the distinct texts into pieces of at most `tokens` tokens."""
        lengths = self.ids.lengths[self.texts[positions]]
        for piece in batches_by_length(lengths, tokens):
            yield positions[piece]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """All rows of training data over one set of tokenised distinct texts.

    Attributes:
        ids: the tokenised distinct texts.
        columns: for each text column, (R,) which distinct text stands there.
        target: (R,) float32 scores or int64 labels, or `None`.
        filler_id: token to fill a row of tokens up with.
        groups: (R,) which group each row is of, such as its document, or `None`; rows of one group
            are no negatives of each other.
        columns_apart: encode a text that stands in several columns once for each of them, not once
            altogether: dropout then makes the encodings differ, which SimCSE learns from.
    """

    ids: TokenIds
    columns: Mapping[str, npt.NDArray[np.int64]]
    target: npt.NDArray[Any] | None
    filler_id: int = 0
    groups: npt.NDArray[np.int64] | None = None
    columns_apart: bool = False

    @classmethod
    def of(
        cls,
        columns: Mapping[str, Sequence[str]],
        target: npt.NDArray[Any] | None,
        tokenizer: Tokenizer,
    ) -> TrainingData:
        """Tokenise every distinct text of the columns once.

        Raises:
            DataError: for something that is no text; it names row and column.
        """
        texts, places = distinct_texts(columns)
        return cls(tokenizer(texts), places, target, tokenizer.filler_id)

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    @property
    def reads_ids_as_they_are(self) -> bool:
        """Whether batches are of `ids`: then what was made of these once holds in every epoch."""
        return True

    def batch(self, rows: npt.NDArray[np.int64]) -> TrainingBatch:
        """Make the batch of some rows."""
        apart = len(self.ids) if self.columns_apart else 0
        stacked = np.concatenate(
            [column[rows] + n * apart for n, column in enumerate(self.columns.values())]
        )
        texts, inverse = np.unique(stacked, return_inverse=True)
        if apart:
            texts %= apart
        order = np.argsort(-self.ids.lengths[texts], kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        split = np.split(rank[inverse], len(self.columns))
        target = None if self.target is None else torch.from_numpy(self.target[rows])
        return TrainingBatch(
            rows=rows,
            columns={
                name: torch.from_numpy(np.ascontiguousarray(part))
                for name, part in zip(self.columns, split, strict=True)
            },
            target=target,
            texts=texts[order],
            ids=self.ids,
            filler_id=self.filler_id,
            groups=None if self.groups is None else torch.from_numpy(self.groups[rows]),
        )
