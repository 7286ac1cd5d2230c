"""Pairs of texts as one sequence each, put together of texts that were tokenised once.

Shape legend: N texts, P pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from tenor.errors import ModelError
from tenor.tokens.token_ids import TokenIds

__all__ = ["PairTemplate", "PairTokens"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PairTemplate:
    """What a tokenizer puts around the two texts of a pair, and how it cuts them.

    Attributes:
        pieces: special tokens before, between and behind the two texts.
        types: token types of these.
        text_types: token type of the first and of the second text; `None` for a tokenizer whose
            model takes no types.
        from_left: whether texts lose their beginning instead of their end.
        odd_to_longer: whether, of two texts cut down to half an odd number of tokens, the longer
            gets one token more; else the first.
    """

    pieces: tuple[list[int], list[int], list[int]]
    types: tuple[list[int], list[int], list[int]]
    text_types: tuple[int, int] | None
    from_left: bool
    odd_to_longer: bool

    @classmethod
    def of(cls, tokenizer: Any) -> Self:
        """Find out, by a pair of short texts, what a `transformers` tokenizer does.

        Raises:
            ModelError: when it puts more than special tokens around two texts in their order.
        """
        ids, types, owners = _fast_example(tokenizer) if tokenizer.is_fast else _example(tokenizer)
        pieces: tuple[list[int], list[int], list[int]] = ([], [], [])
        piece_types: tuple[list[int], list[int], list[int]] = ([], [], [])
        found: dict[int, int] = {}
        for token, kind, owner in zip(ids, types, owners, strict=True):
            if owner is None:
                pieces[len(found)].append(token)
                piece_types[len(found)].append(kind)
            elif owner < len(found) - 1:
                break
            else:
                found.setdefault(owner, kind)
        if list(found) != [0, 1] or len(ids) != sum(map(len, pieces)) + sum(
            owner is not None for owner in owners
        ):
            raise ModelError(
                f"{type(tokenizer).__name__} puts pairs of texts together in a way that is not "
                "supported; use a model with a tokenizer that joins them in their order."
            )
        takes_types = "token_type_ids" in tokenizer.model_input_names
        return cls(
            pieces=pieces,
            types=piece_types,
            text_types=(found[0], found[1]) if takes_types else None,
            from_left=tokenizer.truncation_side == "left",
            odd_to_longer=tokenizer.is_fast,
        )

    @property
    def special(self) -> int:
        """Number of special tokens of a pair."""
        return sum(map(len, self.pieces))


@dataclass(frozen=True, eq=False)
class PairTokens:
    """Tokenised texts, any two of which can be put together to a sequence.

    The special tokens of a pair stand in the same array, behind the last text, so that whatever
    renumbers the tokens of the texts renumbers them, too.

    Attributes:
        ids: the N texts, without special tokens of their own; of a text longer than the limit only
            the tokens that can count. Behind them the special pieces.
        lengths: (N,) tokens of each text, however long.
        limit: tokens of a pair, special tokens included.
        template: how two texts are put together.
    """

    ids: TokenIds
    lengths: Integers
    limit: int
    template: PairTemplate

    def __len__(self) -> int:
        return len(self.lengths)

    def __call__(self, left: Integers, right: Integers) -> TokenIds:
        """Put texts together, cutting from the longer one first where a pair is too long.

        Args:
            left: (P,) first text of each pair.
            right: (P,) second text of each pair.

        Returns:
            The pairs, with token types where the tokenizer gives them.
        """
        kept_left, kept_right = self._kept(left, right)
        special = np.array([len(piece) for piece in self.template.pieces], dtype=np.int64)
        lengths = np.empty((len(left), 5), dtype=np.int64)
        lengths[:, ::2] = special
        lengths[:, 1], lengths[:, 3] = kept_left, kept_right
        starts = np.empty_like(lengths)
        starts[:, ::2] = self.ids.offsets[-1] + np.cumsum(special) - special
        for place, texts in ((1, left), (3, right)):
            starts[:, place] = self.ids.offsets[texts]
            if self.template.from_left:
                starts[:, place] += self.ids.lengths[texts] - lengths[:, place]
        pieces = lengths.ravel()
        before = np.cumsum(pieces) - pieces
        tokens = np.arange(int(pieces.sum())) + np.repeat(starts.ravel() - before, pieces)
        second = np.repeat(np.tile(np.arange(5) == 3, len(left)), pieces)
        return TokenIds(
            ids=np.asarray(self.ids.ids[tokens]),
            offsets=np.concatenate([[0], np.cumsum(lengths.sum(axis=1))]),
            types=self._types(tokens, second),
            cut=self.cut(left, right),
        )

    def cut(self, left: Integers, right: Integers) -> npt.NDArray[np.bool_]:
        """(P,) whether a pair loses tokens to the limit."""
        room = self.limit - self.template.special
        return np.asarray(self.lengths[left] + self.lengths[right] > room)

    def _kept(self, left: Integers, right: Integers) -> tuple[Integers, Integers]:
        """How many tokens of each text stay: (P,) and (P,)."""
        room = self.limit - self.template.special
        one, other = self.lengths[left], self.lengths[right]
        half, odd = divmod(room, 2)
        # Of an odd number of tokens the longer text gets one more (of equal ones the second) from
        # fast tokenizers, the first from slow ones.
        more = (one > other) | (not self.template.odd_to_longer)
        half_left = half + odd * more
        both_long = 2 * np.minimum(one, other) > room
        kept_left = np.where(one <= other, one, np.minimum(one, room - other))
        kept_right = np.where(other <= one, other, np.minimum(other, room - one))
        return (
            np.where(both_long, half_left, kept_left),
            np.where(both_long, room - half_left, kept_right),
        )

    def _types(
        self, tokens: Integers, second: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.int8] | None:
        """Types of tokens, by their places in `ids` and whether they are the second text's."""
        if self.template.text_types is None:
            return None
        of_special = np.array([kind for piece in self.template.types for kind in piece], np.int8)
        types = np.full(len(tokens), self.template.text_types[0], dtype=np.int8)
        types[second] = self.template.text_types[1]
        special = tokens >= self.ids.offsets[-1]
        types[special] = of_special[tokens[special] - self.ids.offsets[-1]]
        return types


def _fast_example(tokenizer: Any) -> tuple[list[int], list[int], list[int | None]]:
    """Ids, types and owners (0, 1 or `None` for special) of the tokens of a short pair."""
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    texts = ("a", "1", *tokenizer.get_vocab())
    text = next((t for t in texts if backend.encode(t, add_special_tokens=False).ids), None)
    if text is None:
        raise ModelError(f"{type(tokenizer).__name__} makes no tokens of any text.")
    encoding = backend.encode(text, text, add_special_tokens=True)
    return encoding.ids, encoding.type_ids, encoding.sequence_ids


def _example(tokenizer: Any) -> tuple[list[int], list[int], list[int | None]]:
    """The same of a slow tokenizer; -1 and -2 stand for the texts."""
    ids = tokenizer.build_inputs_with_special_tokens([-1], [-2])
    types = tokenizer.create_token_type_ids_from_sequences([-1], [-2])
    return ids, types, [{-1: 0, -2: 1}.get(token) for token in ids]
