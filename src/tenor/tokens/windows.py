"""Texts longer than a model reads, cut in windows that overlap; each word counts in one of them.

Shape legend: N texts, V windows, T tokens of all windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from tenor.errors import ConfigError
from tenor.tokens.token_ids import TokenIds
from tenor.tokens.word_tokens import WordTokens

__all__ = ["Windows", "cut_windows"]

Integers = npt.NDArray[np.int64]
Frame = tuple[list[int], list[int]]


@dataclass(frozen=True, eq=False)
class Windows:
    """Texts, or pieces of them, as a model reads them.

    Attributes:
        ids: the tokens of the V windows, special tokens included; `cut` tells which of them end
            before their text does, the rest of which is lost.
        text: (V,) which text each window is of.
        word: (T,) the word that a token counts for, over all texts; -1 for special tokens, and for
            words that another window has more of the text around.
        first: (T,) whether it is the first token of that word.
        split: how many texts were cut in several windows.
    """

    ids: TokenIds
    text: Integers
    word: Integers
    first: npt.NDArray[np.bool_]
    split: int


def cut_windows(
    tokens: WordTokens, frame: Frame, limit: int, *, overlap: int = 64, split: bool = True
) -> Windows:
    """Frame texts with special tokens, and cut those that are too long.

    Windows begin and end between words and overlap; a word counts in the window with most of the
    text around it, and nowhere else. Texts without a token get no window.

    Args:
        tokens: the texts.
        frame: special tokens before and behind every window.
        limit: tokens of a window, special tokens included.
        overlap: tokens that neighbouring windows share, at most half of a window.
        split: cut long texts in windows; else what is beyond the limit is lost.

    Raises:
        ConfigError: there is no room for a token, or the overlap is negative.
    """
    room = limit - len(frame[0]) - len(frame[1])
    if room < 1:
        raise ConfigError("max_seq_length", limit, f"above {limit - room}, for special tokens")
    if overlap < 0:
        raise ConfigError("overlap", overlap, "0 or more")
    lengths, offsets = tokens.ids.lengths, tokens.ids.offsets
    short = np.flatnonzero((lengths > 0) & ((lengths <= room) | (not split)))
    begin, end = offsets[short], offsets[short] + np.minimum(lengths[short], room)
    long = np.flatnonzero(lengths > room) if split else np.zeros(0, dtype=np.int64)
    parts = [np.stack([short, begin, end, begin, end], axis=1)]
    for text in long.tolist():
        first = int(offsets[text])
        own = _begins(tokens.word[first : int(offsets[text + 1])])
        cuts = _cuts(own, int(lengths[text]), room, min(overlap, room // 2))
        parts.append(np.array([[text, *(first + place for place in cut)] for cut in cuts]))
    table = np.concatenate(parts)
    table = table[np.argsort(table[:, 0], kind="stable")]
    return _build(tokens, frame, table, cut=lengths > room if not split else None, split=len(long))


def _begins(word: Integers) -> Integers:
    """Where in a text each word begins, and 0."""
    return np.union1d(0, np.flatnonzero(np.diff(word, prepend=-2) != 0)).astype(np.int64)


def _cuts(begins: Integers, count: int, room: int, overlap: int) -> list[tuple[int, int, int, int]]:
    """Windows of a text: begin, end, and the part of it whose words count there.

    Args:
        begins: the tokens at which a word begins.
        count: tokens of the text.
        room: tokens of a window.
        overlap: that two windows share at most.
    """
    windows: list[tuple[int, int]] = []
    start = 0
    while True:
        if start + room >= count:  # the last one reaches back as far as it can
            start = int(begins[np.searchsorted(begins, count - room)])
            windows.append((start, count))
            break
        end = int(begins[np.searchsorted(begins, start + room, side="right") - 1])
        following = max(end - overlap, start + 1)
        if end <= start:  # one word, longer than a window
            end, following = start + room, start + 1
        windows.append((start, end))
        place = int(np.searchsorted(begins, following))
        if place == len(begins):
            break
        start = int(begins[place])
    borders = [0]
    for (_, end), (start, _) in pairwise(windows):
        shared = begins[(begins >= start) & (begins < end)]
        behind = np.minimum(np.append(shared[1:], end), end)
        # The word goes to the later window where that has more text before it than this behind.
        later = shared[shared - start > end - behind]
        borders.append(int(later[0]) if len(later) else max(start, end))
    borders.append(count)
    return [
        (start, end, borders[number], borders[number + 1])
        for number, (start, end) in enumerate(windows)
    ]


def _build(
    tokens: WordTokens,
    frame: Frame,
    table: Integers,
    *,
    cut: npt.NDArray[np.bool_] | None,
    split: int,
) -> Windows:
    """Gather the tokens of windows given as rows of text, begin, end, and what counts."""
    text, begin, end, own_begin, own_end = table.T
    before, behind = frame
    inner = end - begin
    lengths = inner + len(before) + len(behind)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    total = int(starts[-1])
    ids = np.empty(total, dtype=np.int32)
    word = np.full(total, -1, dtype=np.int64)
    first = np.zeros(total, dtype=np.bool_)
    ranks = np.arange(int(inner.sum())) - np.repeat(np.cumsum(inner) - inner, inner)
    source = ranks + np.repeat(begin, inner)
    target = ranks + np.repeat(starts[:-1] + len(before), inner)
    ids[target] = tokens.ids.ids[source]
    for place, token in enumerate(before):
        ids[starts[:-1] + place] = token
    for place, token in enumerate(behind):
        ids[starts[1:] - len(behind) + place] = token
    counts = (source >= np.repeat(own_begin, inner)) & (source < np.repeat(own_end, inner))
    word[target] = np.where(counts, tokens.word[source], -1)
    is_first = np.zeros(len(tokens.word), dtype=np.bool_)
    is_first[np.unique(tokens.word, return_index=True)[1]] = True
    first[target] = is_first[source] & (word[target] >= 0)
    return Windows(
        ids=TokenIds(ids, starts, cut=None if cut is None else cut[text]),
        text=text,
        word=word,
        first=first,
        split=split,
    )
