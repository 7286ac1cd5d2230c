"""Pearson and Spearman correlation, also where each item counts several times.

How often each item counts is what a bootstrap resample is, kept as counts; then the sums of a
correlation are weighted sums. Ranks under counts need no sorting: over the values in ascending
order, an item drawn c times whose running count is C has the average rank C - (c - 1) / 2, and
items with equal values share their counts.

Shapes: N items, M columns of scores, B resamples in a block, G distinct values.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tenor.errors import DataError
from tenor.evaluation.values import (
    Floats,
    Values,
    finite,
    require_same_length,
    require_variation,
)

__all__ = ["Correlate", "correlations"]


def correlations(columns_NM: npt.ArrayLike, gold: Values) -> tuple[Floats, Floats]:
    """Return the Pearson and the Spearman correlation, each of shape (M,), of columns with gold.

    Ties get their average rank.

    Args:
        columns_NM: scores to be judged, one column a system.
        gold: gold scores, shape (N,).

    Raises:
        DataError: lengths differ, a value is not finite, or a column is constant.

    >>> pearson, spearman = correlations([[1.0], [2.0], [4.0]], [0.1, 0.2, 0.3])
    >>> pearson.round(3).tolist(), spearman.round(3).tolist()
    ([0.982], [1.0])
    """
    correlate = Correlate(columns_NM, gold)
    pearson_1M, spearman_1M = correlate(np.ones((1, correlate.items)))
    return pearson_1M[0], spearman_1M[0]


class Correlate:
    """Correlations of fixed columns with fixed gold scores, under any counts of the items.

    Args:
        columns_NM: scores to be judged, one column a system.
        gold: gold scores, shape (N,).

    Raises:
        DataError: lengths differ, a value is not finite, or a column is constant.
    """

    def __init__(self, columns_NM: npt.ArrayLike, gold: Values) -> None:
        columns = np.asarray(columns_NM, dtype=np.float64)
        gold_N = finite("gold scores", gold)
        if columns.ndim != 2:
            raise DataError(f"scores have the shape {columns.shape}; it must be (items, columns).")
        for column_N in columns.T:
            require_same_length("scores", finite("scores", column_N), "gold scores", gold_N)
            require_variation("scores", column_N)
        require_variation("gold scores", gold_N)
        self.items = len(gold_N)
        # Standardised, the weighted sums of squares below lose no digits to a large mean.
        self.columns_NM = (columns - columns.mean(axis=0)) / columns.std(axis=0)
        self.gold_N = (gold_N - gold_N.mean()) / gold_N.std()
        self.column_ranks = [_WeightedRanks(column_N) for column_N in columns.T]
        self.gold_ranks = _WeightedRanks(gold_N)

    def __call__(self, counts_BN: Floats) -> tuple[Floats, Floats]:
        """Return Pearson and Spearman correlations, each of shape (B, M).

        NaN stands where a column or the gold does not vary among the items that count.

        Args:
            counts_BN: how often each item counts; every row sums to N.
        """
        return self.pearson(counts_BN), self.spearman(counts_BN)

    def pearson(self, counts_BN: Floats) -> Floats:
        """Only the Pearson correlations, (B, M)."""
        x_NM, y_N1 = self.columns_NM, self.gold_N[:, None]
        x_BM, y_B1 = counts_BN @ x_NM / self.items, counts_BN @ y_N1 / self.items
        covariance_BM = counts_BN @ (x_NM * y_N1) / self.items - x_BM * y_B1
        variance_x_BM = counts_BN @ x_NM**2 / self.items - x_BM**2
        variance_y_B1 = counts_BN @ y_N1**2 / self.items - y_B1**2
        return _ratio(covariance_BM, variance_x_BM, variance_y_B1)

    def spearman(self, counts_BN: Floats) -> Floats:
        """Only the Spearman correlations, (B, M)."""
        gold_BN, gold_variance_B = self.gold_ranks(counts_BN)
        weighted_gold_BN = counts_BN * gold_BN
        spearman_BM = np.empty((len(counts_BN), len(self.column_ranks)))
        for column, ranks in enumerate(self.column_ranks):
            ranks_BN, variance_B = ranks(counts_BN)
            covariance_B = np.einsum("bn,bn->b", weighted_gold_BN, ranks_BN) / self.items
            spearman_BM[:, column] = _ratio(covariance_B, variance_B, gold_variance_B)
        return spearman_BM


class _WeightedRanks:
    """Average ranks, minus their mean, of fixed values under any counts of the items."""

    def __init__(self, values_N: Floats) -> None:
        self.items = len(values_N)
        _, starts_G, group_N = np.unique(np.sort(values_N), return_index=True, return_inverse=True)
        self.order_N = np.argsort(values_N, kind="stable")
        self.starts_G = starts_G
        self.group_N = np.empty_like(group_N)
        self.group_N[self.order_N] = group_N

    def __call__(self, counts_BN: Floats) -> tuple[Floats, Floats]:
        counts_BG = np.add.reduceat(counts_BN[:, self.order_N], self.starts_G, axis=1)
        ranks_BG = np.cumsum(counts_BG, axis=1) - (counts_BG - 1.0) / 2.0 - (self.items + 1) / 2.0
        variance_B = np.einsum("bg,bg->b", counts_BG, ranks_BG**2) / self.items
        return ranks_BG[:, self.group_N], variance_B


def _ratio(covariance: Floats, variance_x: Floats, variance_y: Floats) -> Floats:
    # The values are standardised or ranks: a true variance is far above the rounding it is cut at.
    scale = np.sqrt(np.maximum(variance_x, 0.0)) * np.sqrt(np.maximum(variance_y, 0.0))
    undefined = (variance_x <= 1e-12) | (variance_y <= 1e-12)
    scale[undefined] = np.nan
    return np.asarray(np.clip(covariance / scale, -1.0, 1.0))
