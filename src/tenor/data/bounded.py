"""Counting and sampling texts in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tenor.data.documents import digest

__all__ = ["PairSample", "TextFrequencies"]


class TextFrequencies:
    """In how many documents a text stands, at least that many: memory does not grow with texts.

    A count-min sketch (Cormode & Muthukrishnan 2005) of two rows.
    """

    SLOTS = 1 << 22

    def __init__(self) -> None:
        self.counts = np.zeros((2, self.SLOTS), dtype=np.uint32)
        self.documents = 0

    def add(self, texts: Iterable[str]) -> None:
        """Count the texts of one document, each once."""
        self.documents += 1
        keys = list({digest(text) for text in texts})
        for row, slots in enumerate(zip(*map(self._slots, keys), strict=True)):
            np.add.at(self.counts[row], np.array(slots), 1)

    def of(self, text: str) -> int:
        """How many documents hold a text; seldom too high, never too low."""
        first, second = self._slots(digest(text))
        return int(min(self.counts[0, first], self.counts[1, second]))

    def _slots(self, key: int) -> tuple[int, int]:
        return key % self.SLOTS, (key >> 32) % self.SLOTS


class PairSample:
    """A uniform sample of the distinct pairs offered (Vitter 1985, algorithm R).

    Args:
        most: how many are kept.
        seed: decides which.
    """

    def __init__(self, most: int, seed: int) -> None:
        self.most, self.offered = most, 0
        self.generator = np.random.default_rng([seed, 2])
        self.kept: list[tuple[int, int, str, str]] = []
        self.keys: list[int] = []
        self.known: set[int] = set()

    def add(self, anchor: str, positive: str, line: int) -> bool:
        """Offer a pair, in either order; whether it is another than those kept."""
        key = hash(tuple(sorted((digest(anchor), digest(positive)))))
        if key in self.known:
            return False
        row = (line, self.offered, anchor, positive)
        self.offered += 1
        if len(self.kept) < self.most:
            self.kept.append(row)
            self.keys.append(key)
            self.known.add(key)
            return True
        place = int(self.generator.integers(self.offered))
        if place < self.most:
            self.known.remove(self.keys[place])
            self.kept[place], self.keys[place] = row, key
            self.known.add(key)
        return True
