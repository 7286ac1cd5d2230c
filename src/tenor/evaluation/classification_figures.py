"""All figures of a classifier, on the texts as they are and on bootstrap resamples of them.

Shape legend: N texts, C labels, B resamples of a block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.errors import DataError
from tenor.evaluation.classification_metrics import (
    LabelCounts,
    calibration_differences,
    f_scores,
    log_losses,
    per_label,
    roc_auc,
)
from tenor.evaluation.intervals import PairedDifference, paired_difference, resample_counts
from tenor.evaluation.result import EvaluationResult

__all__ = ["ClassificationFigures", "paired_f_score"]

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

RESAMPLES = 1000
AUC_RESAMPLES = 200  # a ranking has to be gone through for each


class ClassificationFigures:
    """All figures of a classifier as functions of how often each text counts.

    Args:
        probabilities_NC: of each label.
        found_NC: which labels each text was given.
        gold_NC: which labels it has.
        multi_label: whether a text may have any number of labels.

    Attributes:
        exact_match: name of the share of texts that are right altogether.
    """

    def __init__(
        self,
        probabilities_NC: Floats,
        found_NC: Booleans,
        gold_NC: Booleans,
        *,
        multi_label: bool,
    ) -> None:
        items, labels = gold_NC.shape
        self.items, self.multi_label = items, multi_label
        self.exact_match = "subset_accuracy" if multi_label else "accuracy"
        self._right_N = (found_NC == gold_NC).all(axis=1).astype(np.float64)
        self._counts = LabelCounts(found_NC, gold_NC)
        self._losses_N = log_losses(probabilities_NC, gold_NC, multi_label=multi_label)
        if multi_label:
            confidence, right, each = probabilities_NC.ravel(), gold_NC.ravel(), labels
        else:
            confidence, right, each = probabilities_NC.max(axis=1), self._right_N > 0, 1
        self._calibration = calibration_differences(
            confidence, right, np.repeat(np.arange(items), each), items
        )
        self._predictions = each
        one = labels == 2 and not multi_label
        self._ranked = [
            (probabilities_NC[:, label], gold_NC[:, label])
            for label in ([1] if one else range(labels))
            if 0 < gold_NC[:, label].sum() < items
        ]
        self._binary = one

    def label_counts(self) -> Floats:
        """(3, C) how often each label was right, given and due."""
        counts_3C: Floats = self._counts(np.ones((1, self.items)))[0]
        return counts_3C

    def exact(self) -> dict[str, Floats]:
        """The figures themselves, as arrays of one value."""
        ones = np.ones((1, self.items))
        return self._sums(ones) | self._areas(ones)

    def resampled(self, seed: int) -> dict[str, Floats]:
        """The figures on bootstrap resamples; the same seed gives the same."""
        blocks = [self._sums(counts) for counts in resample_counts(self.items, RESAMPLES, seed)]
        areas = [self._areas(counts) for counts in resample_counts(self.items, AUC_RESAMPLES, seed)]
        return {
            name: np.concatenate([block[name] for block in several])
            for several in (blocks, areas)
            for name in several[0]
        }

    def _sums(self, counts_BN: Floats) -> dict[str, Floats]:
        counts_B3C = self._counts(counts_BN)
        off_BK = np.abs(self._calibration.T @ counts_BN.T).sum(axis=0)
        found = {self.exact_match: counts_BN @ self._right_N / self.items}
        if self._binary:
            values = per_label(np.moveaxis(counts_B3C, 0, 1))
            names = ("precision", "recall", "f1")
            found |= {name: value[:, 1] for name, value in zip(names, values, strict=True)}
        found |= f_scores(counts_B3C, multi_label=self.multi_label)
        found["log_loss"] = counts_BN @ self._losses_N / self.items
        found["expected_calibration_error"] = off_BK / (self.items * self._predictions)
        return found

    def _areas(self, counts_BN: Floats) -> dict[str, Floats]:
        if not self._ranked:
            return {}
        total, many = np.zeros(len(counts_BN)), np.zeros(len(counts_BN))
        for scores_N, positive_N in self._ranked:
            area_B = roc_auc(scores_N, positive_N, counts_BN)
            defined = ~np.isnan(area_B)
            total[defined] += area_B[defined]
            many += defined
        return {"roc_auc": np.where(many > 0, total / np.maximum(many, 1), np.nan)}


def paired_f_score(
    left: EvaluationResult, right: EvaluationResult, metric: str, *, seed: int = 0
) -> PairedDifference:
    """Compare two classifiers' precision, recall or F1 on the same texts, resampling the texts.

    Args:
        left: what `Classification` gave for one model.
        right: and for the other, with the same labels, on the same texts.
        metric: one of the names that `f_scores` gives.
        seed: the same seed gives the same answer.

    Raises:
        DataError: the texts are not the same.
    """
    gold = left.per_item["gold"]
    if not np.array_equal(gold, right.per_item["gold"]):
        raise DataError("two models can be compared on the same labelled texts only.")
    multi_label = gold.ndim == 2
    classes = max(int(side.per_item[name].max()) for side in (left, right) for name in _NUMBERS) + 1
    tables = [
        LabelCounts(*(_as_booleans(side.per_item[name], classes) for name in _NUMBERS))
        for side in (left, right)
    ]

    def difference(counts_BN: Floats) -> Floats:
        one, other = (f_scores(t(counts_BN), multi_label=multi_label)[metric] for t in tables)
        return one - other

    observed = difference(np.ones((1, len(gold))))[0]
    samples = [difference(counts) for counts in resample_counts(len(gold), RESAMPLES, seed)]
    return paired_difference(float(observed), np.concatenate(samples))


_NUMBERS = ("label", "gold")


def _as_booleans(labels: npt.NDArray[Any], classes: int) -> Booleans:
    if labels.ndim == 2:
        return labels.astype(bool)
    found: Booleans = labels[:, None] == np.arange(classes)
    return found
