"""Candidate pairs among the texts of a pool, and which of them to keep once they have scores.

Augmented SBERT (Thakur et al. 2021, https://arxiv.org/abs/2010.08240): which unlabelled pairs are
labelled decides how much they teach. Shape legend: N texts, K neighbours, C candidate pairs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tenor.data.overlap import normalise
from tenor.data.pool import Pool
from tenor.data.schema import PairTable
from tenor.errors import ConfigError

__all__ = [
    "CandidatePairs",
    "keep_class_ratio",
    "keep_gold_density",
    "labelled_pair_codes",
    "random_pairs",
    "ranked_pairs",
]

Integers = npt.NDArray[np.int64]
_GRID = 1_025  # points at which densities are computed
_NAME = "<U32"


@dataclass(frozen=True, eq=False)
class CandidatePairs:
    """Distinct unordered pairs of N texts, none of a text with itself.

    Args:
        texts: N.
        codes: (C,) ascending, `left * N + right` with left < right.
        source: (C,) what proposed a pair: semantic, bm25, random, or several joined by "+".
        rank: (C,) the better of the places of one text among the other's neighbours, from 1;
            0 for random pairs.
        score: (C,) float32 retrieval score; NaN for random pairs.
    """

    texts: int
    codes: Integers
    source: npt.NDArray[np.str_]
    rank: Integers
    score: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def left(self) -> Integers:
        """(C,) row of the first text."""
        return self.codes // self.texts

    @property
    def right(self) -> Integers:
        """(C,) row of the second text."""
        return self.codes % self.texts

    def take(self, chosen: npt.NDArray[np.bool_] | Integers) -> CandidatePairs:
        """Some of the pairs, by a mask or by ascending places."""
        return CandidatePairs(
            self.texts,
            self.codes[chosen],
            self.source[chosen],
            self.rank[chosen],
            self.score[chosen],
        )

    def without(self, codes: Integers) -> CandidatePairs:
        """All but the pairs with these codes."""
        return self.take(~np.isin(self.codes, codes))

    def sample(self, count: int, generator: np.random.Generator) -> CandidatePairs:
        """At most `count` of the pairs, drawn without replacement."""
        if count >= len(self):
            return self
        return self.take(np.sort(generator.choice(len(self), count, replace=False)))

    def joined(self, other: CandidatePairs) -> CandidatePairs:
        """The pairs of either; of one that both propose, this side's rank and score stand."""
        codes = np.union1d(self.codes, other.codes)
        mine, theirs = np.isin(codes, self.codes), np.isin(codes, other.codes)
        names = np.full((2, len(codes)), "", dtype=_NAME)
        names[0, mine], names[1, theirs] = self.source, other.source
        plus = np.where(mine & theirs, "+", "")
        source = np.char.add(np.char.add(names[0], plus), names[1])
        rank = np.zeros(len(codes), dtype=np.int64)
        score = np.full(len(codes), np.nan, dtype=np.float32)
        rank[theirs], score[theirs] = other.rank, other.score
        rank[mine], score[mine] = self.rank, self.score
        return CandidatePairs(self.texts, codes, source, rank, score)


def random_pairs(
    texts: int, count: int, generator: np.random.Generator, *, source: str = "random"
) -> CandidatePairs:
    """Draw distinct pairs with equal probability, without replacement.

    Args:
        texts: N, at least 2.
        count: how many; all N (N - 1) / 2 where there are not so many.
        generator: of random numbers.
        source: what to call them.
    """
    possible = texts * (texts - 1) // 2
    if count >= possible // 2:
        left, right = np.triu_indices(texts, 1)
        drawn = left.astype(np.int64) * texts + right
        if count < possible:
            drawn = generator.choice(drawn, count, replace=False)
    else:
        # Fewer than half of all pairs: drawing again what was met twice ends quickly, in memory
        # that depends on the pairs drawn only.
        drawn = np.empty(0, dtype=np.int64)
        while len(drawn) < count:
            missing = count - len(drawn)
            pairs = generator.integers(0, texts, (2 * missing + 16, 2))
            pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
            fresh = np.concatenate([drawn, pairs[:, 0] * texts + pairs[:, 1]])
            _, first = np.unique(fresh, return_index=True)
            drawn = fresh[np.sort(first)][:count]
    codes = np.sort(drawn)
    return CandidatePairs(
        texts,
        codes,
        np.full(len(codes), source, dtype=_NAME),
        np.zeros(len(codes), dtype=np.int64),
        np.full(len(codes), np.nan, dtype=np.float32),
    )


def ranked_pairs(
    rows_NK: Integers,
    scores_NK: npt.NDArray[np.float32],
    top_k: int,
    source: str,
    *,
    above: float = -np.inf,
) -> CandidatePairs:
    """Pair each text with its nearest neighbours among the others.

    Args:
        rows_NK: for each text rows of its neighbours, best first; itself may be one of them.
        scores_NK: how near they are.
        top_k: neighbours a text, itself not counted.
        source: what found them.
        above: a neighbour must have more than this score.

    >>> rows = np.array([[0, 1, 2], [1, 2, 0], [2, 1, 0]])
    >>> found = ranked_pairs(rows, np.ones((3, 3), dtype=np.float32), 1, "semantic")
    >>> list(zip(found.left.tolist(), found.right.tolist(), found.rank.tolist()))
    [(0, 1, 1), (1, 2, 1)]
    """
    if top_k < 1:
        raise ConfigError("top_k", top_k, "at least 1")
    texts = len(rows_NK)
    others = rows_NK != np.arange(texts)[:, None]
    rank_NK = np.cumsum(others, axis=1)
    kept = others & (rank_NK <= top_k) & (scores_NK > above)
    text = np.broadcast_to(np.arange(texts)[:, None], rows_NK.shape)[kept]
    neighbour, rank, score = rows_NK[kept], rank_NK[kept], scores_NK[kept]
    codes = np.minimum(text, neighbour) * texts + np.maximum(text, neighbour)
    order = np.lexsort((-score, rank, codes))  # of a pair met from both sides the better rank
    _, first = np.unique(codes[order], return_index=True)
    chosen = order[first]
    return CandidatePairs(
        texts,
        codes[chosen].astype(np.int64),
        np.full(len(chosen), source, dtype=_NAME),
        rank[chosen].astype(np.int64),
        score[chosen].astype(np.float32),
    )


def labelled_pair_codes(pool: Pool, tables: Iterable[PairTable]) -> Integers:
    """Codes of the pairs of a pool that tables already hold, in either order.

    Texts are the same where `normalise` makes them so. In a table with negatives, the anchor makes
    a pair with each other text of its row.

    Args:
        pool: the texts.
        tables: of pairs; a table of single texts holds none.

    Returns:
        Ascending codes, as in `CandidatePairs`.
    """
    place = {normalise(text): row for row, text in enumerate(pool.texts)}
    codes: set[int] = set()
    for table in tables:
        first, *rest = table.columns.values()
        rows = [place.get(normalise(text)) for text in first]
        for column in rest:
            for left, text in zip(rows, column, strict=True):
                right = None if left is None else place.get(normalise(text))
                if left is not None and right is not None and left != right:
                    codes.add(min(left, right) * len(pool) + max(left, right))
    return np.array(sorted(codes), dtype=np.int64)


def keep_gold_density(
    silver: npt.NDArray[np.float32],
    gold: npt.NDArray[np.float32],
    generator: np.random.Generator,
) -> npt.NDArray[np.bool_]:
    """Choose silver pairs so that their scores are spread as the gold ones are.

    With the densities F of the scores, estimated by Gaussian kernels (Scott's bandwidth, mirrored
    at 0 and 1 so that none of the mass is lost there), a pair of silver score s is kept with
    probability

        Q(s) = min(1, F_gold(s) / F_silver(s))

    as in Thakur et al. 2021, section 3.1 (https://arxiv.org/abs/2010.08240).

    Args:
        silver: (C,) scores on 0 to 1.
        gold: (G,) scores on 0 to 1.
        generator: of random numbers.

    Returns:
        (C,) which pairs to keep.
    """
    grid = np.linspace(0.0, 1.0, _GRID)
    ratio = _density(gold, grid) / np.maximum(_density(silver, grid), 1e-12)
    return generator.random(len(silver)) < np.interp(silver, grid, ratio)


def keep_class_ratio(
    silver: npt.NDArray[np.float32],
    gold: npt.NDArray[np.float32],
    generator: np.random.Generator,
) -> npt.NDArray[np.bool_]:
    """Choose silver pairs so that the two classes stand in the ratio of the gold labels.

    Random pairs are nearly all different: all pairs of the rarer class are kept and the others
    drawn (Thakur et al. 2021, section 3.1, https://arxiv.org/abs/2010.08240).

    Args:
        silver: (C,) scores on 0 to 1; from 0.5 a pair counts as the same.
        gold: (G,) labels 0 and 1.
        generator: of random numbers.

    Returns:
        (C,) which pairs to keep.
    """
    same = silver >= 0.5
    share = float(np.clip(np.mean(np.asarray(gold) >= 0.5), 1e-6, 1 - 1e-6))
    positives, negatives = int(same.sum()), int((~same).sum())
    wanted_negatives = round(positives * (1 - share) / share)
    wanted_positives = round(negatives * share / (1 - share))
    kept = np.ones(len(silver), dtype=bool)
    for side, count, wanted in (
        (~same, negatives, wanted_negatives),
        (same, positives, wanted_positives),
    ):
        if wanted < count:
            places = np.flatnonzero(side)
            kept[generator.choice(places, count - wanted, replace=False)] = False
    return kept


def _density(
    scores: npt.NDArray[np.float32], grid: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Kernel density on [0, 1]: a histogram smoothed by a Gaussian, mirrored at both ends."""
    values = np.asarray(scores, dtype=np.float64)
    step = grid[1] - grid[0]
    width = max(float(values.std()) * len(values) ** -0.2, step)
    places = np.clip(np.rint(values / step).astype(np.int64), 0, len(grid) - 1)
    counts = np.bincount(places, minlength=len(grid)).astype(np.float64)
    counts[[0, -1]] *= 2  # what lies at an end is its own mirror image
    mirrored = np.concatenate([counts[:0:-1], counts, counts[-2::-1]])
    reach = min(int(np.ceil(5 * width / step)), len(grid) - 1)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
    smooth = np.convolve(mirrored, kernel / kernel.sum(), mode="same")
    middle = smooth[len(grid) - 1 : 2 * len(grid) - 1]
    return np.asarray(middle / (middle.sum() * step))
