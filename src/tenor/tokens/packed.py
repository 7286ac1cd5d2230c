"""Texts packed end to end in one flat row of tokens, with no padding.

Shape legend: T tokens of the batch, N texts, L tokens of the longest text of a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tenor.tokens.token_ids import TokenIds
from tenor.tokens.token_states import TokenStates

__all__ = ["Group", "Layout", "PackedBatch", "round_up"]

# A group is the unit of attention and pooling: neighbouring texts of similar length, padded to one
# length for these two operations only. Its limits keep the scores of one group inside the cache.
GROUP_SCORES = 1 << 17  # texts x length^2, a head
GROUP_STEP = 8  # lengths within a group differ by less than this (or by an eighth of the length)
# Or by more, where padding costs fewer scores a head than this: on short texts the dozens of small
# operations that a group of its own needs cost more, in training and in encoding.
GROUP_WASTE = 1 << 14

# Fillers round the number of tokens up, because oneDNN builds a kernel for every new shape.
ROUND_TOKENS = 64


def round_up(tokens: int, step: int = ROUND_TOKENS) -> int:
    """The number of tokens of the bucket that holds `tokens`.

    Up to eight steps the buckets are one step wide; beyond, an eighth to a sixteenth of the number,
    so that a few dozen shapes cover every batch and less than 13 % is filler.

    >>> round_up(1), round_up(65), round_up(1000), round_up(5000)
    (64, 128, 1024, 5120)
    """
    if tokens > 8 * step:
        step = max(step, 1 << (tokens.bit_length() - 4))
        step = min(step, 512)
    return -(-tokens // step) * step


@dataclass(frozen=True)
class Group:
    """Neighbouring texts that attention and pooling treat together, as a (texts, length) block.

    Attributes:
        first: index of the first text.
        texts: number of texts N.
        start: index of the first token.
        stop: index behind the last token.
        length: tokens L of the block; no text of the group is longer.
        slots: (stop - start,) position of each token in the flattened (N · L) block, or `None`
            when every text has exactly L tokens.
        padding: (N, L) bool, `True` where the block holds no token; `None` like `slots`.
    """

    first: int
    texts: int
    start: int
    stop: int
    length: int
    slots: Tensor | None = None
    padding: Tensor | None = None

    def to(self, device: torch.device | str) -> Group:
        """The same group with its tensors on `device`."""
        if self.slots is None or self.padding is None:
            return self
        return replace(self, slots=self.slots.to(device), padding=self.padding.to(device))

    def pad(self, tokens: Tensor) -> Tensor:
        """Lay the group's tokens (stop - start, …) out as a block (N, L, …), zeros where empty."""
        if self.slots is None:
            return tokens.reshape(self.texts, self.length, *tokens.shape[1:])
        block = tokens.new_zeros(self.texts * self.length, *tokens.shape[1:])
        block = block.index_copy(0, self.slots, tokens)
        return block.view(self.texts, self.length, *tokens.shape[1:])

    def unpad(self, block: Tensor) -> Tensor:
        """The tokens (stop - start, …) of a block (N, L, …): the inverse of `pad`."""
        flat = block.reshape(self.texts * self.length, *block.shape[2:])
        return flat if self.slots is None else flat.index_select(0, self.slots)


@dataclass(frozen=True)
class Layout:
    """Where each text of a flat row of tokens begins and ends, and how texts are grouped.

    Attributes:
        lengths: (N,) tokens of each text, in the order of the row.
        groups: the texts in consecutive groups of similar length.
    """

    lengths: npt.NDArray[np.int64]
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, lengths: npt.NDArray[np.int64], device: torch.device | str = "cpu") -> Self:
        """Group neighbouring texts; best when the lengths are sorted."""
        ends = np.cumsum(lengths)
        groups = []
        first = 0
        while first < len(lengths):
            last, low, high = first, int(lengths[first]), int(lengths[first])
            squares = low**2
            while last + 1 < len(lengths):
                length = int(lengths[last + 1])
                low_next, high_next, squares = (
                    min(low, length),
                    max(high, length),
                    squares + length**2,
                )
                scores = (last + 2 - first) * high_next**2
                is_near = high_next - low_next < max(GROUP_STEP, high_next // 8)
                if scores > GROUP_SCORES or not (is_near or scores - squares < GROUP_WASTE):
                    break
                last, low, high = last + 1, low_next, high_next
            start = int(ends[first] - lengths[first])
            group = Group(first, last + 1 - first, start, int(ends[last]), high)
            if low != high:
                inside = lengths[first : last + 1]
                padding = np.arange(high)[None, :] >= inside[:, None]
                slots = torch.from_numpy(np.flatnonzero(~padding))
                group = replace(group, slots=slots, padding=torch.from_numpy(padding))
            groups.append(group.to(device))
            first = last + 1
        return cls(lengths, tuple(groups))


@dataclass(frozen=True)
class PackedBatch:
    """Texts packed end to end in one row of tokens; the contract between data and models.

    The last text may be a filler that rounds the number of tokens up; it is an ordinary text to the
    encoder and `texts` does not count it.

    Attributes:
        token_ids: (T,) int64.
        position_ids: (T,) int64, from 0 within each text.
        type_ids: (T,) int64, or `None` when all are 0.
        lengths: (N,) tokens of each text, the filler included, on the CPU.
        texts: number of texts without the filler.
        states: what the encoder's first blocks made of the tokens, or `None` when they are to run.
    """

    token_ids: Tensor
    position_ids: Tensor
    type_ids: Tensor | None
    lengths: npt.NDArray[np.int64] = field(repr=False)
    texts: int
    states: TokenStates | None = field(default=None, repr=False)

    @classmethod
    def of(
        cls,
        ids: TokenIds,
        rows: Sequence[int] | npt.NDArray[np.int64] | None = None,
        *,
        filler_id: int = 0,
        rounded: bool = True,
    ) -> Self:
        """Pack some rows of tokenised texts, in the order given.

        Args:
            ids: the tokenised texts.
            rows: which of them; all by default. Sorted by length they attend fastest.
            filler_id: token of the filler text.
            rounded: whether a filler text rounds the number of tokens up to a bucket.
        """
        chosen = np.arange(len(ids)) if rows is None else np.asarray(rows, dtype=np.int64)
        starts, lengths = ids.offsets[chosen], ids.lengths[chosen]
        total = int(lengths.sum())
        # No encoder takes a row without a token, so texts that have none get a filler, too.
        filler = round_up(max(total, 1)) - total if rounded and len(chosen) else 0
        positions = _ranges(lengths)
        places = positions + np.repeat(starts, lengths)
        flat = ids.ids[places].astype(np.int64)
        types = None if ids.types is None else ids.types[places].astype(np.int64)
        states = None if ids.states is None else ids.states.take(places, filler)
        # A filler longer than a model has positions would be an invalid text: cut it in pieces.
        pieces = _pieces(filler, max(int(lengths.max(initial=1)), 1))
        if filler:
            flat = np.concatenate([flat, np.full(filler, filler_id, dtype=np.int64)])
            positions = np.concatenate([positions, _ranges(pieces)])
            lengths = np.concatenate([lengths, pieces])
            if types is not None:
                types = np.concatenate([types, np.zeros(filler, dtype=np.int64)])
        return cls(
            token_ids=torch.from_numpy(flat),
            position_ids=torch.from_numpy(positions),
            type_ids=None if types is None else torch.from_numpy(types),
            lengths=lengths,
            texts=len(chosen),
            states=states,
        )

    @property
    def tokens(self) -> int:
        """Number of tokens T, the filler included."""
        return len(self.token_ids)

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.token_ids.device

    @cached_property
    def layout(self) -> Layout:
        """The groups of texts, computed once for all layers."""
        return Layout.of(self.lengths, self.device)

    def to(self, device: torch.device | str) -> PackedBatch:
        """The same batch on another device."""
        if torch.device(device) == self.device:
            return self
        return replace(
            self,
            token_ids=self.token_ids.to(device, non_blocking=True),
            position_ids=self.position_ids.to(device, non_blocking=True),
            type_ids=None if self.type_ids is None else self.type_ids.to(device, non_blocking=True),
            states=None if self.states is None else self.states.to(device),
        )


def _ranges(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0 … length-1 of every length, one after the other."""
    total = int(lengths.sum())
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.arange(total, dtype=np.int64) - starts


def _pieces(total: int, longest: int) -> npt.NDArray[np.int64]:
    """`total` cut into pieces of at most `longest`."""
    full, rest = divmod(total, longest)
    return np.array([longest] * full + ([rest] if rest else []), dtype=np.int64)
