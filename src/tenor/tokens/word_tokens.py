"""Texts as words, and words as tokens: where in the text each word and each token stands.

Shape legend: N texts, W words of all texts, T tokens of all texts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.errors import ModelError
from tenor.tokens.text_check import check_texts
from tenor.tokens.token_ids import TokenIds
from tenor.tokens.tokenizer import Tokenizer

__all__ = ["WordTokenizer", "WordTokens"]

Integers = npt.NDArray[np.int64]
Places = Sequence[tuple[int, int]]

BLOCK = 2048  # texts tokenised at a time: bounds the Python objects that stand at once
# Scripts without spaces between words: there every token may begin a word.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)


@dataclass(frozen=True, eq=False)
class WordTokens:
    """Tokenised texts without special tokens, however long, and their words.

    Attributes:
        ids: the tokens of the N texts.
        word: (T,) which word each token is of, counted over all texts; -1 for one of no word.
        offsets: (N + 1,) words of text i are `offsets[i]` to `offsets[i + 1]`.
        starts: (W,) first character of each word in its text.
        ends: (W,) the character behind its last.
    """

    ids: TokenIds
    word: Integers
    offsets: Integers
    starts: Integers
    ends: Integers

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def words(self) -> int:
        """Number of words W of all texts."""
        return len(self.starts)

    def text_of_word(self) -> Integers:
        """(W,) which text each word is in."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))


class WordTokenizer:
    """Tokenises texts as they stand, and tells which tokens make a word.

    Words that are given keep their places; those of a plain text are what the tokenizer cuts it
    into before it looks for tokens, cut further, between tokens, where white space, punctuation
    or scripts without spaces say so: a SentencePiece tokenizer takes "Berlin." for one word.

    Given words are tokenised as parts of their text, not one by one: a byte-level tokenizer has
    other tokens for a word behind a space.

    Args:
        tokenizer: with a fast (Rust) tokenizer inside.

    Raises:
        ModelError: the tokenizer is slow and cannot say where its tokens stand.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        raw = tokenizer.tokenizer
        if not raw.is_fast:
            raise ModelError(
                f"{type(raw).__name__} is a slow tokenizer, which does not say where in a text its "
                "tokens stand; start from a model with a fast tokenizer (tokenizer.json)."
            )
        self._backend = raw.backend_tokenizer

    def frame(self) -> tuple[list[int], list[int]]:
        """The special tokens before and behind every text."""
        self._plain()
        encoded = self._backend.encode("a")
        special = encoded.special_tokens_mask
        inside = [place for place, flag in enumerate(special) if not flag]
        first, last = (inside[0], inside[-1] + 1) if inside else (len(special), len(special))
        return encoded.ids[:first], encoded.ids[last:]

    def __call__(self, texts: Sequence[str], words: Sequence[Places | None]) -> WordTokens:
        """Tokenise texts.

        Args:
            texts: N texts.
            words: of each text, the first character of each word and the one behind its last, in
                order and without overlap; `None` where the tokenizer shall find the words.

        Raises:
            DataError: for something that is no text; it names its row.
        """
        self._plain()
        rows: list[list[int]] = []
        word_of: list[Integers] = []
        places: list[Integers] = []
        counts = np.zeros(len(texts) + 1, dtype=np.int64)
        for first in range(0, len(texts), BLOCK):
            block = list(texts[first : first + BLOCK])
            check_texts(block, before=first)
            encoded = self._backend.encode_batch(block, add_special_tokens=False)
            for row, (text, one) in enumerate(zip(block, encoded, strict=True), start=first):
                spans = np.array(one.offsets, dtype=np.int64).reshape(-1, 2)
                given = words[row]
                if given is None:
                    found, place = _find_words(text, spans, one.word_ids)
                else:
                    place = np.array(given, dtype=np.int64).reshape(-1, 2)
                    found = _word_of(spans, place)
                rows.append(one.ids)
                word_of.append(np.where(found >= 0, found + counts[row], -1))
                places.append(place)
                counts[row + 1] = counts[row] + len(place)
        joined = np.concatenate(places) if places else np.zeros((0, 2), dtype=np.int64)
        return WordTokens(
            ids=TokenIds.of(rows),
            word=np.concatenate(word_of) if word_of else np.zeros(0, dtype=np.int64),
            offsets=counts,
            starts=joined[:, 0],
            ends=joined[:, 1],
        )

    def _plain(self) -> None:
        self._backend.no_truncation()
        self._backend.no_padding()


def _word_of(spans: Integers, words: Integers) -> Integers:
    """(tokens,) the given word that each token's last character is in, -1 for none.

    A token that is nothing but the space before a word belongs to that word.
    """
    if not len(words):
        return np.full(len(spans), -1, dtype=np.int64)
    last = spans[:, 1] - 1
    found = np.searchsorted(words[:, 0], last, side="right") - 1
    inside = (found >= 0) & (last < words[np.maximum(found, 0), 1])
    following = np.minimum(found + 1, len(words) - 1)
    touches = (found + 1 < len(words)) & (words[following, 0] <= spans[:, 1])
    return np.asarray(np.where(inside, found, np.where(touches, following, -1)))


def _find_words(text: str, spans: Integers, groups: Iterable[Any]) -> tuple[Integers, Integers]:
    """The word of each token, and the words' places, of a text whose words are not given."""
    count = len(spans)
    if not count:
        return np.zeros(0, dtype=np.int64), np.zeros((0, 2), dtype=np.int64)
    starts, ends = spans[:, 0].tolist(), spans[:, 1].tolist()
    for token in range(count):  # some tokenizers count the space before a word in
        while starts[token] < ends[token] and text[starts[token]].isspace():
            starts[token] += 1
        while starts[token] < ends[token] and text[ends[token] - 1].isspace():
            ends[token] -= 1
    group = [-1 if number is None else number for number in groups]
    word = -1
    found = np.empty(count, dtype=np.int64)
    for token in range(count):
        before = token - 1
        begins = token == 0 or (
            starts[before] < ends[before]  # a lone space goes with what follows it
            and (
                starts[token] >= ends[token]
                or group[token] != group[before]
                or starts[token] > ends[before]
                or (
                    starts[token] == ends[before]
                    and (_parts(text[ends[before] - 1]) or _parts(text[starts[token]]))
                )
            )
        )
        word += begins
        found[token] = word
    first = np.full(word + 1, len(text), dtype=np.int64)
    last = np.zeros(word + 1, dtype=np.int64)
    real = np.array(starts) < np.array(ends)
    np.minimum.at(first, found[real], np.array(starts)[real])
    np.maximum.at(last, found[real], np.array(ends)[real])
    kept = first < last  # not what is white space alone
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    return number[found], np.stack([first[kept], last[kept]], axis=1)


@lru_cache(maxsize=65_536)
def _parts(character: str) -> bool:
    """Whether a character parts words: punctuation, a symbol, or of a script without spaces."""
    if _UNSPACED.match(character):
        return True
    return unicodedata.category(character)[0] not in "LMN"
