"""From ranked candidates to the negatives of a block of anchors.

Shape legend: A anchors of the block, K candidates an anchor, M negatives wanted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from tenor.data import mine
from tenor.data.negative_rules import NegativeRules

if TYPE_CHECKING:
    from tenor.recipes.miner import Miner

__all__ = ["MiningBlock", "ScoresPairs"]

FILLERS = 8  # random texts looked at for each negative that may be missing

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


class ScoresPairs(Protocol):
    """What drops false negatives: a `CrossEncoder` with one label."""

    labels: Any

    def score(self, pairs: Sequence[tuple[str, str]], *, progress: bool | None = None) -> Any:
        """One score a pair, shape (pairs,); higher is more alike."""


class MiningBlock:
    """Some anchors on their way to negatives.

    Args:
        miner: what they are mined from.
        rules: which candidates may be negatives.
        part: (A,) numbers of the anchors, one after the other.
        cross_encoder: drops false negatives.
        cross_margin: how far below the positive's score a negative's has to stay.

    Attributes:
        candidates: texts that were looked at.
        dropped: of them, by rule, and the known positives met.
    """

    def __init__(
        self,
        miner: Miner,
        rules: NegativeRules,
        part: Rows,
        cross_encoder: ScoresPairs | None,
        cross_margin: float,
    ) -> None:
        self.miner, self.rules, self.part = miner, rules, part
        self.cross_encoder, self.cross_margin = cross_encoder, cross_margin
        self.dropped: Counter[str] = Counter()
        self.candidates = 0
        self._skipped = np.empty((len(part), 0), dtype=np.int64)

    def hard(self, rows_AK: Rows, depth: int) -> tuple[Rows, Scores]:
        """Negatives among ranked candidates."""
        known_AK = self.miner.is_known(self.part, rows_AK)
        self.dropped["known_positive"] += int((known_AK & (rows_AK >= 0)).sum())
        rows_AK = mine.leftmost((rows_AK >= 0) & ~known_AK, rows_AK, -1, depth)
        self._skipped = rows_AK[:, : self.rules.skip]
        self.candidates += int((rows_AK >= 0).sum())
        scores_AK = self.miner.similarity(self.part, rows_AK)
        kept_AK, dropped = mine.judge_candidates(
            self.rules, rows_AK, scores_AK, self.miner.lowest_A[self.part]
        )
        self.dropped.update(dropped)
        return self._take(rows_AK, scores_AK, kept_AK, self.part, self.rules.negatives)

    def fill(self, rows_AM: Rows, scores_AM: Scores) -> Rows:
        """Random texts, which keep the same rules, in the places left empty; how many they are."""
        short = self.part[(rows_AM[self.part] < 0).any(axis=1)]
        added_A = np.zeros(len(self.part), dtype=np.int64)
        if not len(short):
            return added_A
        wanted = self.rules.negatives
        drawn = mine.draw_rows(self.rules, short, FILLERS * wanted, self.miner.size)
        taken = np.concatenate([rows_AM[short], self._skipped[short - self.part[0]]], axis=1)
        there = (drawn[:, :, None] == taken[:, None, :]).any(axis=2)
        fresh = (drawn >= 0) & ~there & ~self.miner.is_known(short, drawn)
        scores = self.miner.similarity(short, drawn)
        lowest = self.miner.lowest_A[short]
        kept, _ = mine.judge_candidates(self.rules, drawn, scores, lowest, skip=0)
        before = (rows_AM[short] >= 0).sum(axis=1)
        found, similar = self._take(drawn, scores, kept & fresh, short, wanted - before)
        rows = np.concatenate([rows_AM[short], found], axis=1)
        both = np.concatenate([scores_AM[short], similar], axis=1)
        rows_AM[short] = mine.leftmost(rows >= 0, rows, -1, wanted)
        scores_AM[short] = mine.leftmost(rows >= 0, both, -np.inf, wanted)
        added_A[short - self.part[0]] = (rows_AM[short] >= 0).sum(axis=1) - before
        return added_A

    def _take(
        self, rows_AK: Rows, scores_AK: Scores, kept_AK: Mask, anchors_A: Rows, wanted: Any
    ) -> tuple[Rows, Scores]:
        wanted_A = np.broadcast_to(np.asarray(wanted, dtype=np.int64), (len(anchors_A),))
        accept = None if self.cross_encoder is None else _CrossCheck(self, anchors_A)
        taken_AK, refused = mine.choose_negatives(
            self.rules, rows_AK, kept_AK, anchors_A, wanted_A, accept
        )
        self.dropped["cross_encoder"] += refused
        width = self.rules.negatives
        rows = mine.leftmost(taken_AK, rows_AK, -1, width)
        scores = mine.leftmost(taken_AK, scores_AK, -np.inf, width)
        order = np.argsort(-scores, axis=1, kind="stable")  # rankings that took turns are in none
        return np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)


class _CrossCheck:
    """Whether a cross-encoder scores candidates clearly below the anchor's positives."""

    def __init__(self, block: MiningBlock, anchors_A: Rows) -> None:
        assert block.cross_encoder is not None
        self.model, self.miner, self.anchors_A = block.cross_encoder, block.miner, anchors_A
        rows = self.miner.rows_of(anchors_A)
        place_of = {anchor: place for place, anchor in enumerate(anchors_A.tolist())}
        places = np.array([place_of[anchor] for anchor in self.miner.anchor_R[rows].tolist()])
        scores = self._scores(places, self.miner.positive_R[rows])
        lowest_A = np.full(len(anchors_A), np.inf)
        np.minimum.at(lowest_A, places, scores)
        self.ceiling_A = lowest_A - block.cross_margin

    def __call__(self, places: Rows, rows: Rows) -> Mask:
        below: Mask = self._scores(places, rows) < self.ceiling_A[places]
        return below

    def _scores(self, places: Rows, rows: Rows) -> npt.NDArray[np.float64]:
        anchors = self.miner.anchors.texts(self.anchors_A[places].tolist())
        texts = self.miner.texts.texts(rows.tolist())
        pairs = list(zip(anchors, texts, strict=True))
        return np.asarray(self.model.score(pairs, progress=False), dtype=np.float64)
