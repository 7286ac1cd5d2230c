"""Noise on token ids: words deleted, masked, replaced or swapped, for a decoder to repair.

Tensor names end in their shape: T tokens of all texts, N texts, V tokens of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tenor.errors import ConfigError

__all__ = ["NOISES", "Noise", "VocabularyFacts", "words_of"]

NOISES = ("delete", "mask", "replace", "swap")
LEVELS = ("token", "word")

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class VocabularyFacts:
    """What noise and masking must know of a vocabulary.

    Attributes:
        special: (V,) bool, the special tokens: never touched, never drawn.
        continues: (V,) bool, the tokens that continue the word of the token before.
        mask_id: the mask token, or `None` where there is none.
    """

    special: npt.NDArray[np.bool_]
    continues: npt.NDArray[np.bool_]
    mask_id: int | None

    @classmethod
    def of(
        cls, tokens: Sequence[str | None], special: Sequence[int], mask_id: int | None
    ) -> VocabularyFacts:
        """From the vocabulary's own writing of where words begin.

        WordPiece marks the tokens that continue a word (`##`), SentencePiece (`▁`) and byte-level
        BPE (`Ġ`) those that begin one; a vocabulary with none of these marks has one-token words.

        Args:
            tokens: the token of each id, `None` where an id has none.
            special: ids of the special tokens.
            mask_id: id of the mask token.

        >>> facts = VocabularyFacts.of(["[CLS]", "play", "##ing", "."], [0], None)
        >>> facts.continues.tolist()
        [False, False, True, False]
        """
        untouched = np.fromiter((token is None for token in tokens), bool, len(tokens))
        untouched[list(special)] = True
        ordinary = ["" if skip else t or "" for t, skip in zip(tokens, untouched, strict=True)]
        continues = np.fromiter((t.startswith("##") for t in ordinary), bool, len(ordinary))
        if not continues.any():
            begins = np.fromiter((t[:1] in ("▁", "Ġ") for t in ordinary), bool, len(ordinary))
            if begins.any():
                continues = ~begins
        return cls(untouched, continues & ~untouched, mask_id)


def words_of(
    ids_T: Integers, lengths_N: Integers, facts: VocabularyFacts, level: str
) -> npt.NDArray[np.bool_]:
    """(T,) bool, the tokens that begin a word; every special token is a word of its own.

    Args:
        ids_T: the texts' tokens, end to end.
        lengths_N: tokens of each text.
        facts: of the vocabulary.
        level: `"token"` makes every token a word.
    """
    if level == "token":
        return np.ones(len(ids_T), dtype=bool)
    special_T = facts.special[ids_T]
    begins_T = ~facts.continues[ids_T]
    begins_T[(np.cumsum(lengths_N) - lengths_N)[lengths_N > 0]] = True
    begins_T[1:] |= special_T[:-1]
    return begins_T


@dataclass(frozen=True, kw_only=True)
class Noise:
    """A kind of noise and how much of it.

    Sequential denoising as in TSDAE (Wang et al. 2021, https://arxiv.org/abs/2104.06979), whose
    best was deletion with ratio 0.6.

    Attributes:
        kind: `delete` removes the chosen words; `mask` puts the mask token in place of each of
            their tokens, `replace` a random ordinary token; `swap` lets the chosen words of a text
            change places at random.
        ratio: probability of each word to be chosen, 0 up to 1.
        level: `word`, or `token` to take every token for a word.

    Raises:
        ConfigError: for a kind, ratio or level that does not exist.
    """

    kind: str = "delete"
    ratio: float = 0.6
    level: str = "word"

    def __post_init__(self) -> None:
        if self.kind not in NOISES:
            raise ConfigError("noise", self.kind, f"one of {', '.join(NOISES)}")
        if not 0 <= self.ratio < 1:
            raise ConfigError("noise_ratio", self.ratio, "a share from 0 up to 1")
        if self.level not in LEVELS:
            raise ConfigError("level", self.level, "word or token")

    def __call__(
        self,
        ids_T: Integers,
        lengths_N: Integers,
        facts: VocabularyFacts,
        generator: np.random.Generator,
    ) -> tuple[Integers, Integers]:
        """Damage texts; special tokens stay, and at least one word of each text does.

        Args:
            ids_T: the texts' tokens, end to end.
            lengths_N: tokens of each text.
            facts: of the vocabulary.
            generator: decides everything; the same state gives the same noise.

        Returns:
            The damaged texts' tokens, end to end, and the tokens of each text.

        Raises:
            ConfigError: when tokens shall be masked and the vocabulary has no mask token.
        """
        begins_T = words_of(ids_T, lengths_N, facts, self.level)
        first_of_word = np.flatnonzero(begins_T)
        text_of_word = np.repeat(np.arange(len(lengths_N)), lengths_N)[first_of_word]
        ordinary = ~facts.special[ids_T[first_of_word]]
        draws = generator.random(len(first_of_word))
        chosen = ordinary & (draws < self.ratio)
        if self.kind == "swap":
            return self._swapped(ids_T, begins_T, text_of_word, chosen, generator), lengths_N
        # Where all words were chosen, the one with the highest draw is let go.
        draws[~ordinary] = -1.0
        highest = np.zeros(len(lengths_N))
        np.maximum.at(highest, text_of_word, draws)
        all_chosen = highest < self.ratio
        chosen &= ~(all_chosen[text_of_word] & (draws == highest[text_of_word]))
        word_of_token = np.cumsum(begins_T) - 1
        chosen_T = chosen[word_of_token]
        if self.kind == "delete":
            text_of_token = np.repeat(np.arange(len(lengths_N)), lengths_N)
            kept = np.bincount(text_of_token[~chosen_T], minlength=len(lengths_N))
            return ids_T[~chosen_T], kept.astype(np.int64)
        damaged = ids_T.copy()
        if self.kind == "replace":
            candidates = np.flatnonzero(~facts.special)
            damaged[chosen_T] = generator.choice(candidates, int(chosen_T.sum()))
        elif facts.mask_id is None:
            raise ConfigError("noise", "mask", "another: this vocabulary has no mask token")
        else:
            damaged[chosen_T] = facts.mask_id
        return damaged, lengths_N

    @staticmethod
    def _swapped(
        ids_T: Integers,
        begins_T: npt.NDArray[np.bool_],
        text_of_word: Integers,
        chosen: npt.NDArray[np.bool_],
        generator: np.random.Generator,
    ) -> Integers:
        """The tokens with each text's chosen words in a random order among their places."""
        order = np.arange(len(text_of_word))
        places = np.flatnonzero(chosen)  # in the order of the texts
        order[places] = places[np.lexsort((generator.random(len(places)), text_of_word[places]))]
        starts = np.flatnonzero(begins_T)
        sizes = np.diff([*starts, len(ids_T)])[order]
        offsets = np.repeat(starts[order] - (np.cumsum(sizes) - sizes), sizes)
        return ids_T[offsets + np.arange(len(ids_T))]
