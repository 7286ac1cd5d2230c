"""Words and spans of words of a text, in any script."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

__all__ = ["count_words", "crop", "cut_words", "passages", "word_spans"]

# Scripts without spaces between words: a character is what comes nearest to a word there.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
_WIDE_MARKS = "\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
_BETWEEN = rf"\s{_UNSPACED}{_WIDE_MARKS}"
_WORD = re.compile(
    rf"[{_UNSPACED}]|(?<![^{_BETWEEN}])(?:[^\w{_BETWEEN}]|_)*+[^\W_{_UNSPACED}][^{_BETWEEN}]*"
)


def word_spans(text: str) -> list[tuple[int, int]]:
    """First character, and the one behind the last, of each word.

    A word is what stands between white space, if it holds a letter or a digit; in scripts written
    without spaces it is a character.

    >>> [text[a:b] for text in ["A cat -- well, 猫です。"] for a, b in word_spans(text)]
    ['A', 'cat', 'well,', '猫', 'で', 'す']
    """
    return [word.span() for word in _WORD.finditer(text)]


def count_words(text: str) -> int:
    """Number of words.

    >>> count_words("| --- | two words")
    2
    """
    return sum(1 for _ in _WORD.finditer(text))


def cut_words(text: str, most: int) -> str:
    """The first `most` words of a text, and all of it where it has no more.

    >>> cut_words("one two three", 2)
    'one two'
    """
    spans = word_spans(text)
    return text if len(spans) <= most else text[: spans[most - 1][1]]


def passages(sentences: Sequence[str], most: int) -> list[range]:
    """Cut a document into passages of whole sentences.

    Args:
        sentences: the document's.
        most: words of a passage; a single longer sentence is a passage of its own.

    Returns:
        The numbers of each passage's sentences.

    >>> passages(["One two.", "Three.", "Four five six."], 3)
    [range(0, 2), range(2, 3)]
    """
    found: list[range] = []
    start = words = 0
    for number, sentence in enumerate(sentences):
        count = count_words(sentence)
        if number > start and words + count > most:
            found.append(range(start, number))
            start, words = number, 0
        words += count
    if start < len(sentences):
        found.append(range(start, len(sentences)))
    return found


def crop(text: str, generator: np.random.Generator, *, least: int) -> str | None:
    """A random span of words: 10 to 50 % of a text, at any place of it.

    The independent cropping of Izacard et al. 2022, https://arxiv.org/abs/2112.09118.

    Args:
        text: what is cropped.
        generator: decides where and how long.
        least: words of a span.

    Returns:
        The span, or `None` where the text has fewer than twice the words of the shortest one.
    """
    spans = word_spans(text)
    if len(spans) < 2 * least:
        return None
    shortest = max(least, round(0.1 * len(spans)))
    length = int(generator.integers(shortest, max(shortest, len(spans) // 2) + 1))
    first = int(generator.integers(0, len(spans) - length + 1))
    return text[spans[first][0] : spans[first + length - 1][1]]
