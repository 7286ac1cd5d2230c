"""Class-balanced batches: so many classes, so many texts of each, from the seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.tokens.plan import TrainingPlan

__all__ = ["ClassBalancedPlan"]

Integers = npt.NDArray[np.int64]


class ClassBalancedPlan(TrainingPlan):
    """A fixed number of batches, each of some classes and some texts of each of these.

    Classes are dealt like cards, and so are the texts of a class: none comes again before all have
    come. A class with fewer texts than a batch takes of it gives all it has. Every batch follows
    from seed, epoch and number alone.

    Args:
        target: (rows,) the class of each row, or (rows, C) which labels it has; rows without a
            label count as a class of their own. A row that is drawn for two labels stands in the
            batch once.
        steps: batches of an epoch.
        classes: classes of a batch.
        texts: texts of each class in a batch.
        seed: any non-negative integer.
    """

    def __init__(
        self, target: npt.NDArray[Any], steps: int, *, classes: int, texts: int, seed: int
    ) -> None:
        members = _members(target)
        self.classes, self.texts = min(classes, len(members)), texts
        super().__init__(len(target), self.classes * texts, seed)
        self.steps, self._members = steps, members
        self._epoch: tuple[int, list[Integers]] | None = None

    def __len__(self) -> int:
        return self.steps

    def batch(self, epoch: int, index: int) -> Integers:
        """The rows of one batch of one epoch."""
        if self._epoch is None or self._epoch[0] != epoch:
            self._epoch = (epoch, list(self._batches(epoch)))
        return self._epoch[1][index]

    def order(self, epoch: int) -> Integers:
        """All rows of an epoch's batches, one after another."""
        return np.concatenate([self.batch(epoch, index) for index in range(self.steps)])

    def _batches(self, epoch: int) -> Iterator[Integers]:
        generator = np.random.default_rng([self.seed, epoch])
        deck = _Deck(np.arange(len(self._members)), generator)
        decks = [_Deck(rows, generator) for rows in self._members]
        for _ in range(self.steps):
            drawn = [decks[place].draw(self.texts) for place in deck.draw(self.classes)]
            yield np.array(list(dict.fromkeys(np.concatenate(drawn).tolist())), dtype=np.int64)


class _Deck:
    """Deals distinct cards; what was dealt comes again when all were."""

    def __init__(self, cards: Integers, generator: np.random.Generator) -> None:
        self.cards, self.generator = cards, generator
        self.left = generator.permutation(cards)

    def draw(self, count: int) -> Integers:
        count = min(count, len(self.cards))
        hand, self.left = self.left[:count], self.left[count:]
        if len(hand) < count:
            fresh = self.generator.permutation(self.cards)
            # A card that is in the hand already goes to the end of the fresh deck.
            again = np.isin(fresh, hand)
            fresh = np.concatenate([fresh[~again], fresh[again]])
            missing = count - len(hand)
            hand, self.left = np.concatenate([hand, fresh[:missing]]), fresh[missing:]
        return hand


def _members(target: npt.NDArray[Any]) -> list[Integers]:
    """The rows of each class that has any."""
    if target.ndim == 1:
        return [np.flatnonzero(target == label) for label in np.unique(target)]
    has = target > 0
    columns = [*has.T, ~has.any(axis=1)]
    return [rows for column in columns if len(rows := np.flatnonzero(column))]
