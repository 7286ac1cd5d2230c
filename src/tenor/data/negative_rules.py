"""Which candidates may become hard negatives, as settings."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tenor.errors import ConfigError

__all__ = ["DROPPED_BY", "NegativeRules"]

# Why a candidate is dropped, in the order in which the rules are asked.
DROPPED_BY = (
    "known_positive", "skip", "margin", "relative_margin", "max_score", "min_score",
    "cross_encoder",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class NegativeRules:
    """Rules of choosing hard negatives among the texts that are nearest to an anchor.

    Never chosen, whatever the rules: the anchor itself, its positives, and texts whose positive
    the anchor is. Scores are the bi-encoder's similarity of a candidate and the anchor, also for
    candidates that BM25 proposed. Of an anchor with several positives the lowest counts.

    The margins are those of NV-Retriever (Moreira et al. 2024, https://arxiv.org/abs/2407.15831):
    `relative_margin` is its TopK-PercPos, a negative having a score below
    positive − relative_margin · |positive|; `margin` its TopK-MarginPos, below positive − margin.

    Attributes:
        negatives: negatives a row.
        skip: ranks at the top that are left out, the anchor's positives not counted: texts this
            near are often answers that nobody marked.
        margin: how far below the positive's score a negative has to stay; none by default.
        relative_margin: the same as a share of the positive's score; `None` (on the command line
            none) for no such limit.
        max_score: the highest score a negative may have.
        min_score: the lowest score a negative may have.
        sampling: top for the hardest that are left, or random among them.
        too_few: what becomes of rows with too few hard negatives: fill them up with random texts
            that keep the same rules, or drop them. Both are counted.
        seed: of the random choices.
    """

    negatives: int = 5
    skip: int = 0
    margin: float | None = None
    relative_margin: float | None = 0.05
    max_score: float | None = None
    min_score: float | None = None
    sampling: str = "top"
    too_few: str = "fill"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.negatives < 1:
            raise ConfigError("negatives", self.negatives, "at least 1")
        if self.skip < 0:
            raise ConfigError("skip", self.skip, "0 or more")
        if self.relative_margin is not None and not 0 <= self.relative_margin < 1:
            raise ConfigError("relative_margin", self.relative_margin, "a share from 0 up to 1")
        for name in ("margin", "max_score", "min_score"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ConfigError(name, value, "a number")
        low, high = self.min_score, self.max_score
        if low is not None and high is not None and high < low:
            raise ConfigError("max_score", high, f"at least min_score, {low}")
        if self.sampling not in ("top", "random"):
            raise ConfigError("sampling", self.sampling, "top or random")
        if self.too_few not in ("fill", "drop"):
            raise ConfigError("too_few", self.too_few, "fill or drop")
        if not 0 <= self.seed < 1 << 32:
            raise ConfigError("seed", self.seed, "from 0 up to 2^32 - 1")
