"""Word-level tokenizers: lower-cased words of any script, and phrases, as one `tokenizers` file.

The same file reads the corpus in training and all texts after it, here and in
sentence-transformers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["UNKNOWN", "PhraseCounts", "count_words", "document_frequencies", "word_tokenizer"]

UNKNOWN = "[UNK]"
# Letters, marks and digits, with an apostrophe inside: don't, l'eau.
WORD = r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*(?:'[\p{L}\p{N}][\p{L}\p{M}\p{N}]*)*"


def word_tokenizer(
    words: Sequence[str], phrases: Sequence[str] = (), *, lower_case: bool = True
) -> Any:
    """A tokenizer whose tokens are words, and phrases of several words.

    Text is normalised (NFKC, lower case, one form of apostrophe and of white space) and cut into
    words; everything else falls away, and an unknown word becomes `[UNK]`, id 0.

    Args:
        words: ids follow their order, from 1.
        phrases: words with one space between; ids go on. The longest that fits is taken.
        lower_case: whether upper and lower case are the same.

    Returns:
        A `tokenizers.Tokenizer`.

    >>> tokenizer = word_tokenizer(["the", "heart", "attack"], ["heart attack"])
    >>> tokenizer.encode("The HEART attack: the heart.").tokens
    ['the', 'heart attack', 'the', 'heart']
    """
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.models import WordLevel

    vocabulary = {UNKNOWN: 0}
    for word in (*words, *phrases):
        vocabulary.setdefault(word, len(vocabulary))
    tokenizer = _with_words(Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN)), lower_case)
    if phrases:
        tokenizer.add_tokens(
            [AddedToken(phrase, single_word=True, normalized=True) for phrase in phrases]
        )
    return tokenizer


def count_words(
    texts: Iterable[str], *, min_count: int, most: int | None = None, lower_case: bool = True
) -> list[str]:
    """The words of a corpus, commonest first; of equally common ones the first in the alphabet.

    Args:
        texts: the corpus; streamed.
        min_count: how often a word must stand in it.
        most: how many words to keep.
        lower_case: whether upper and lower case are the same.
    """
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.trainers import WordLevelTrainer

    tokenizer = _with_words(Tokenizer(WordLevel(unk_token=UNKNOWN)), lower_case)
    trainer = WordLevelTrainer(
        min_frequency=min_count, vocab_size=most or (1 << 31) - 1, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    found: dict[str, int] = tokenizer.get_vocab()
    return sorted(found, key=found.__getitem__)


class PhraseCounts:
    """Which neighbouring words belong together (Mikolov et al. 2013, section 4).

    Two words a, b that stand next to each other, with nothing but white space between, score

        (count(a b) − δ) / (count(a) · count(b)) · tokens of the corpus

    with δ the least count, so that pairs of rare words are no phrases. https://arxiv.org/abs/1310.4546

    Args:
        tokenizer: of `word_tokenizer`; its phrases count as words, so that phrases grow.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.size = tokenizer.get_vocab_size(with_added_tokens=True)
        self.words = np.zeros(self.size, dtype=np.int64)
        self._pairs = np.zeros(0, dtype=np.int64)
        self._counts = np.zeros(0, dtype=np.int64)

    def add(self, texts: list[str]) -> None:
        """Count the words and pairs of some texts."""
        found = []
        for text, encoding in zip(texts, self.tokenizer.encode_batch(texts), strict=True):
            ids = np.array(encoding.ids, dtype=np.int64)
            self.words += np.bincount(ids, minlength=self.size)
            spans = encoding.offsets
            beside = np.fromiter(
                (
                    end + 1 == start and text[end].isspace()
                    for (_, end), (start, _) in pairwise(spans)
                ),
                dtype=bool,
                count=max(len(spans) - 1, 0),
            )
            left, right = ids[:-1][beside], ids[1:][beside]
            known = (left > 0) & (right > 0)
            found.append(left[known] * self.size + right[known])
        pairs, counts = np.unique(np.concatenate(found), return_counts=True)
        merged = np.concatenate([self._pairs, pairs])
        self._pairs, places = np.unique(merged, return_inverse=True)
        weights = np.concatenate([self._counts, counts])
        self._counts = np.bincount(places, weights=weights).astype(np.int64)

    def phrases(self, *, min_count: int, threshold: float) -> list[str]:
        """The phrases that were found, best first.

        Args:
            min_count: how often the words must stand together; also δ.
            threshold: the lowest score of a phrase.
        """
        enough = self._counts >= min_count
        pairs, counts = self._pairs[enough], self._counts[enough]
        left, right = pairs // self.size, pairs % self.size
        scores = (counts - min_count) / (self.words[left] * self.words[right]) * self.words.sum()
        order = np.argsort(-scores, kind="stable")
        token = self.tokenizer.id_to_token
        return [
            f"{token(int(left[i]))} {token(int(right[i]))}"
            for i in order[: int((scores > threshold).sum())]
        ]


def document_frequencies(
    ids: npt.NDArray[np.int32], offsets: npt.NDArray[np.int64], size: int
) -> npt.NDArray[np.int64]:
    """(size,) in how many of some texts each token stands.

    Args:
        ids: (T,) of all texts, end to end.
        offsets: (N + 1,) where each text begins.
        size: tokens of the vocabulary.

    >>> document_frequencies(np.array([1, 1, 2, 1]), np.array([0, 3, 4]), 3).tolist()
    [0, 2, 1]
    """
    texts = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    distinct = np.unique(texts * size + ids)
    return np.bincount(distinct % size, minlength=size)


def _with_words(tokenizer: Any, lower_case: bool) -> Any:
    from tokenizers import Regex
    from tokenizers.normalizers import NFKC, Lowercase, Replace, Sequence, Strip
    from tokenizers.pre_tokenizers import Split

    steps: list[Any] = [NFKC(), *([Lowercase()] if lower_case else [])]
    steps += [Replace("’", "'"), Replace(Regex(r"\s+"), " "), Strip()]
    tokenizer.normalizer = Sequence(steps)
    # Inverted and "removed": what the pattern does not match is removed.
    tokenizer.pre_tokenizer = Split(Regex(WORD), behavior="removed", invert=True)
    return tokenizer
