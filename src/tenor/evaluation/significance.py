"""Many models on the same items: intervals of each, and which differences are real.

Items are drawn with replacement, the same ones for all models; a figure is computed anew for each
model on each resample. Two models differ by what is left of the difference over the resamples, and
as many differences are looked at, p values are corrected by Holm's step-down procedure (Holm 1979,
A simple sequentially rejective multiple test procedure): of K hypotheses the smallest p value is
multiplied by K, the next by K - 1, and so on, and none becomes smaller than one before it. The
chance that any of the differences called real is none stays below the level.

Shapes: N items, M models, R resamples, B resamples in a block, K comparisons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tenor.errors import DataError
from tenor.evaluation.correlation import Correlate
from tenor.evaluation.intervals import paired_difference, percentile_interval, resample_counts
from tenor.evaluation.values import Floats, Values, finite, require_same_length

__all__ = [
    "LEVEL",
    "Difference",
    "Resampled",
    "enough_resamples",
    "holm",
    "pairwise_differences",
    "resampled_figure",
]

LEVEL = 0.05  # of the chance to call any difference real that is none
MOST = 20_000  # resamples, which take memory and time


class Resampled(NamedTuple):
    """A figure of several models on the items as they are, and on each resample of them.

    Attributes:
        observed: the figure itself, shape (M,).
        samples: on each resample, shape (R, M); NaN where it is not defined.
    """

    observed: Floats
    samples: Floats

    def interval(self, model: int) -> tuple[float, float]:
        """The 95 % interval of one model's figure."""
        return percentile_interval(self.samples[:, model])


class Difference(NamedTuple):
    """How much one model is above another.

    Attributes:
        left: number of one model.
        right: and of the other.
        difference: left minus right.
        low: lower end of its 95 % interval, not corrected for other comparisons.
        high: upper end.
        p: two-sided p value of "there is no difference", not corrected.
    """

    left: int
    right: int
    difference: float
    low: float
    high: float
    p: float


def enough_resamples(comparisons: int) -> int:
    """How many resamples it takes for the corrected p value of a clear difference to be small.

    No p value is below 1 / (R + 1), and Holm's correction multiplies it by up to the number of
    comparisons.

    Args:
        comparisons: K.

    >>> enough_resamples(3), enough_resamples(50)
    (2000, 10000)
    """
    return min(MOST, max(2000, 200 * comparisons))


def resampled_figure(
    figure: str,
    values_NM: npt.ArrayLike,
    gold: Values | None = None,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Resampled:
    """A figure of several models, with the same resamples of the items for all.

    Args:
        figure: `mean` of the values; `spearman` of them with the gold scores; or
            `average_precision` of finding the items whose gold is 1 by them.
        values_NM: one column a model.
        gold: of each item, shape (N,), but for `mean`.
        resamples: R.
        seed: the same seed gives the same resamples.

    Raises:
        DataError: lengths differ, a value is not finite, or the figure is not defined.

    >>> found = resampled_figure("mean", [[1.0, 0.0], [1.0, 1.0]], resamples=10)
    >>> found.observed.tolist(), found.interval(0)
    ([1.0, 0.5], (1.0, 1.0))
    """
    values = np.asarray(values_NM, dtype=np.float64)
    if values.ndim != 2:
        raise DataError(f"values have the shape {values.shape}; it must be (items, models).")
    for column in values.T:
        finite("values", column)
    items = len(values)
    if figure == "mean":
        observed = values.mean(axis=0)
        blocks = [counts @ values / items for counts in resample_counts(items, resamples, seed)]
        return Resampled(observed, np.concatenate(blocks))
    assert gold is not None
    gold_N = finite("gold values", gold)
    require_same_length("values", values[:, 0], "gold values", gold_N)
    of_all: Callable[[Floats], Floats]
    if figure == "spearman":
        of_all = Correlate(values, gold_N).spearman
    else:
        of_all = _average_precisions(values, gold_N > 0.5)
    blocks = [of_all(counts) for counts in resample_counts(items, resamples, seed)]
    return Resampled(of_all(np.ones((1, items)))[0], np.concatenate(blocks))


def pairwise_differences(figure: Resampled) -> list[Difference]:
    """Every model against every later one.

    Args:
        figure: of M models.

    Returns:
        M (M - 1) / 2 differences.
    """
    models = len(figure.observed)
    found = []
    for left in range(models):
        for right in range(left + 1, models):
            observed = float(figure.observed[left] - figure.observed[right])
            samples_R = figure.samples[:, left] - figure.samples[:, right]
            found.append(Difference(left, right, *paired_difference(observed, samples_R)))
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for being several, by Holm's procedure.

    Args:
        p_values: K of them, in any order.

    Returns:
        The corrected ones, in the same order, at most 1.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.arange(len(p_values), 0, -1) * np.asarray(p_values, dtype=np.float64)[order]
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps)) if len(steps) else steps
    return [float(value) for value in corrected]


def _average_precisions(
    values_NM: Floats, positive_N: npt.NDArray[np.bool_]
) -> Callable[[Floats], Floats]:
    precisions = [_AveragePrecision(column_N, positive_N) for column_N in values_NM.T]

    def of_all(counts_BN: Floats) -> Floats:
        return np.stack([precision(counts_BN) for precision in precisions], axis=1)

    return of_all


class _AveragePrecision:
    """Average precision of fixed scores under any counts of the items; ties share a threshold."""

    def __init__(self, scores_N: Floats, positive_N: npt.NDArray[np.bool_]) -> None:
        if positive_N.all() or not positive_N.any():
            raise DataError("all pairs have the same label; both are needed.")
        self.order_N = np.argsort(-scores_N, kind="stable")
        self.positive_N = positive_N[self.order_N].astype(np.float64)
        self.last_G = np.flatnonzero(np.append(np.diff(scores_N[self.order_N]) != 0, True))

    def __call__(self, counts_BN: Floats) -> Floats:
        """(B,) average precision; NaN where no positive item is drawn."""
        sorted_BN = counts_BN[:, self.order_N]
        given_BG = np.cumsum(sorted_BN, axis=1)[:, self.last_G]
        hits_BG = np.cumsum(sorted_BN * self.positive_N, axis=1)[:, self.last_G]
        gained_BG = np.diff(hits_BG, axis=1, prepend=0.0)
        sums_B = (gained_BG * hits_BG / np.maximum(given_BG, 1.0)).sum(axis=1)
        positives_B = hits_BG[:, -1]
        return np.where(positives_B > 0, sums_B / np.maximum(positives_B, 1.0), np.nan)
