"""Bootstrap intervals: how far a figure would move on another sample of the same kind of data.

Items are drawn with replacement as often as there are items, the figure is computed anew on each
resample, and the middle 95 % of these values are the percentile interval (Efron & Tibshirani 1993,
An Introduction to the Bootstrap, chapter 13; the tests of a difference: chapter 16).

A resample is kept as counts: how often each item was drawn. Means and correlations are then
weighted sums.

Shapes: N items, M columns of scores, R resamples, B resamples in a block.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tenor.errors import ConfigError, DataError
from tenor.evaluation.correlation import Correlate, correlations
from tenor.evaluation.values import Floats, Values, finite, require_same_length

__all__ = [
    "PairedDifference",
    "bootstrap_correlations",
    "bootstrap_mean",
    "paired_bootstrap",
    "paired_bootstrap_spearman",
    "paired_difference",
    "percentile_interval",
    "resample_counts",
]

_BLOCK_ELEMENTS = 1 << 20
"""Counts held at once: 8 MiB an array, whatever the number of items and resamples."""


class PairedDifference(NamedTuple):
    """How much the left side is above the right one, on the same items.

    Attributes:
        difference: left minus right, on the items as they are.
        low: lower end of its interval.
        high: upper end of its interval.
        p: two-sided p value of "there is no difference", at least 1 / (resamples + 1).
    """

    difference: float
    low: float
    high: float
    p: float


def bootstrap_mean(
    values: Values, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return the bootstrap interval of the mean of `values`.

    Args:
        values: one a item, shape (N,).
        resamples: at least 1; 1,000 fixes the ends to about a tenth of the interval's width.
        level: share of the resamples inside the interval, between 0 and 1.
        seed: the same seed gives the same interval.

    Raises:
        DataError: there is no value, or one that is not finite.

    >>> bootstrap_mean([0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0])
    (0.25, 0.875)
    """
    values_N = finite("values", values)
    return percentile_interval(_resampled_means(values_N, resamples, seed), level)


def paired_bootstrap(
    left: Values, right: Values, *, resamples: int = 1000, level: float = 0.95, seed: int = 0
) -> PairedDifference:
    """Compare the means of two systems on the same items, resampling the items.

    p is the share of resamples whose difference lies at least as far from the observed one as zero
    does: the bootstrap test on differences shifted to a mean of zero.

    Args:
        left: values of one system, shape (N,).
        right: values of the other, of the same items in the same order.
        resamples: at least 1.
        level: share of the resamples inside the interval, between 0 and 1.
        seed: the same seed gives the same answer.

    Raises:
        DataError: the lengths differ, or a value is not finite.
    """
    left_N, right_N = finite("left values", left), finite("right values", right)
    require_same_length("left values", left_N, "right values", right_N)
    differences_N = left_N - right_N
    return paired_difference(
        float(differences_N.mean()), _resampled_means(differences_N, resamples, seed), level
    )


def paired_bootstrap_spearman(
    scores_a: Values,
    scores_b: Values,
    gold: Values,
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Compare the Spearman correlations of two systems with the same gold scores.

    Args:
        scores_a: scores of one system, shape (N,).
        scores_b: scores of the other, of the same pairs in the same order.
        gold: gold scores, shape (N,).
        resamples: at least 1.
        level: share of the resamples inside the interval, between 0 and 1.
        seed: the same seed gives the same answer.

    Raises:
        DataError: lengths differ, a value is not finite, or a column is constant.
    """
    a_N, b_N = finite("scores a", scores_a), finite("scores b", scores_b)
    require_same_length("scores a", a_N, "scores b", b_N)
    columns_NM = np.stack([a_N, b_N], axis=1)
    _, observed_M = correlations(columns_NM, gold)
    _, spearman_RM = bootstrap_correlations(columns_NM, gold, resamples=resamples, seed=seed)
    return paired_difference(
        float(observed_M[0] - observed_M[1]), spearman_RM[:, 0] - spearman_RM[:, 1], level
    )


def bootstrap_correlations(
    columns_NM: npt.ArrayLike, gold: Values, *, resamples: int = 1000, seed: int = 0
) -> tuple[Floats, Floats]:
    """Return Pearson and Spearman correlations of columns with gold on each resample.

    All columns see the same resamples, so that differences and maxima over columns can be taken
    row by row. A resample in which a column or the gold is constant has no correlation: NaN, which
    `percentile_interval` leaves out.

    Args:
        columns_NM: scores to be judged, one column a system.
        gold: gold scores, shape (N,).
        resamples: R, at least 1.
        seed: the same seed gives the same resamples.

    Returns:
        Pearson and Spearman, each of shape (R, M).

    Raises:
        DataError: lengths differ, a value is not finite, or a column is constant.
    """
    correlate = Correlate(columns_NM, gold)
    blocks = [
        correlate(counts_BN) for counts_BN in resample_counts(correlate.items, resamples, seed)
    ]
    return np.concatenate([pearson for pearson, _ in blocks]), np.concatenate(
        [spearman for _, spearman in blocks]
    )


def percentile_interval(samples: npt.ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """Return the ends of the middle `level` share of the resampled values, NaN left out.

    Args:
        samples: one value a resample, shape (R,).
        level: between 0 and 1.

    Raises:
        ConfigError: the level is not between 0 and 1.
        DataError: there is no value that is not NaN.
    """
    if not 0.0 < level < 1.0:
        raise ConfigError("level", level, "between 0 and 1, as 0.95")
    samples_R = np.asarray(samples, dtype=np.float64)
    samples_R = samples_R[~np.isnan(samples_R)]
    if not len(samples_R):
        raise DataError("no resample has a value; give more items.")
    low, high = np.quantile(samples_R, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def resample_counts(items: int, resamples: int, seed: int) -> Iterator[Floats]:
    """Yield how often each item is drawn in each resample, in blocks of shape (B, N).

    Args:
        items: N.
        resamples: R, at least 1.
        seed: the same seed gives the same resamples.
    """
    if resamples < 1:
        raise ConfigError("resamples", resamples, "at least 1")
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK_ELEMENTS // items)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn_BN = generator.integers(0, items, size=(rows, items))
        drawn_BN += np.arange(rows)[:, None] * items
        counts = np.bincount(drawn_BN.ravel(), minlength=rows * items)
        yield counts.reshape(rows, items).astype(np.float64)


def _resampled_means(values_N: Floats, resamples: int, seed: int) -> Floats:
    blocks = [counts_BN @ values_N for counts_BN in resample_counts(len(values_N), resamples, seed)]
    # A mean lies among its values; rounding must not put the mean of equal values beside them.
    return np.clip(np.concatenate(blocks) / len(values_N), values_N.min(), values_N.max())


def paired_difference(observed: float, samples_R: Floats, level: float = 0.95) -> PairedDifference:
    """Return a difference with its interval and p value, from the same difference on resamples.

    Args:
        observed: the difference on the items as they are.
        samples_R: the difference on each resample, NaN where it is not defined.
        level: share of the resamples inside the interval, between 0 and 1.
    """
    low, high = percentile_interval(samples_R, level)
    samples_R = samples_R[~np.isnan(samples_R)]
    # The tolerance keeps exact ties, usual with zero-one values, from depending on rounding.
    far = np.abs(samples_R - observed) >= abs(observed) - 1e-12
    return PairedDifference(observed, low, high, (1.0 + far.sum()) / (1.0 + len(samples_R)))
