"""Figures of a classifier: from labels and probabilities to numbers, on the items or on resamples.

Everything is a sum over items, so that a bootstrap resample, which is how often each item counts,
is a matrix product. As scikit-learn defines them; calibration error: Guo et al. 2017.

Shape legend: N items, C labels, B resamples of a block, K bins.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

__all__ = [
    "LabelCounts",
    "calibration_differences",
    "f_scores",
    "log_losses",
    "per_label",
    "roc_auc",
]

Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool_]

BINS = 15


class LabelCounts:
    """How often each label is right, given and due, on any weighting of the items.

    Args:
        found_NC: which labels each item was given.
        gold_NC: which labels it has.
    """

    def __init__(self, found_NC: Booleans, gold_NC: Booleans) -> None:
        self.labels = found_NC.shape[1]
        parts = (found_NC & gold_NC, found_NC, gold_NC)
        self._table = sparse.hstack([sparse.csr_matrix(part, dtype=np.float64) for part in parts])

    def __call__(self, counts_BN: Floats) -> Floats:
        """(B, 3, C): right, given and due, when item n counts `counts_BN[:, n]` times."""
        found: Floats = (self._table.T @ counts_BN.T).T
        return found.reshape(len(counts_BN), 3, self.labels)


def f_scores(counts_B3C: Floats, *, multi_label: bool) -> dict[str, Floats]:
    """Precision, recall and F1, averaged over the labels in three ways.

    Args:
        counts_B3C: right, given and due of each label, as `LabelCounts` gives them.
        multi_label: the macro mean is over all labels, as scikit-learn has it; else over those that
            occur or are given. The micro mean is told for several labels a text only: for one it is
            the accuracy.

    Returns:
        `macro_precision`, `macro_recall`, `macro_f1` (the mean of the labels' own), `weighted_f1`
        (by how many items have a label) and, for several labels, those of `micro_`; (B,) each. What
        would be 0/0 counts as 0.
    """
    right_BC, given_BC, due_BC = np.moveaxis(counts_B3C, 1, 0)
    precision_BC, recall_BC, f1_BC = _ratios(right_BC, given_BC, due_BC)
    used_BC = np.ones_like(due_BC) if multi_label else (given_BC + due_BC > 0).astype(np.float64)
    many_B = np.maximum(used_BC.sum(axis=1), 1.0)
    found = {
        "macro_f1": (f1_BC * used_BC).sum(axis=1) / many_B,
        "macro_precision": (precision_BC * used_BC).sum(axis=1) / many_B,
        "macro_recall": (recall_BC * used_BC).sum(axis=1) / many_B,
        "weighted_f1": _ratio((f1_BC * due_BC).sum(axis=1), due_BC.sum(axis=1)),
    }
    if multi_label:
        totals = (x.sum(axis=1) for x in (right_BC, given_BC, due_BC))
        names = ("micro_precision", "micro_recall", "micro_f1")
        found |= dict(zip(names, _ratios(*totals), strict=True))
    return found


def per_label(counts_3C: Floats) -> tuple[Floats, Floats, Floats]:
    """Precision, recall and F1 of each label, (C,) each, from right, given and due."""
    return _ratios(*counts_3C)


def log_losses(probabilities_NC: Floats, gold_NC: Booleans, *, multi_label: bool) -> Floats:
    """Minus the logarithm of the probability of what is so, (N,), in nats.

    For several labels a text the mean over its labels. Probabilities are kept from 0 and 1 by the
    precision of a double.
    """
    tiny = float(np.finfo(np.float64).eps)
    kept_NC = np.clip(probabilities_NC, tiny, 1.0 - tiny)
    if multi_label:
        losses: Floats = -np.where(gold_NC, np.log(kept_NC), np.log1p(-kept_NC)).mean(axis=1)
        return losses
    return -np.log(kept_NC[gold_NC])


def calibration_differences(
    confidence: Floats, right: Booleans, item: npt.NDArray[np.int64], items: int
) -> Any:
    """What an expected calibration error is the sum of, by item and bin.

    ::

        ECE = Σ_bins |Σ_{predictions in the bin} (right - confidence)| / predictions

    Confidences fall into 15 bins of equal width.

    Args:
        confidence: of each prediction, 0 to 1.
        right: whether it was right.
        item: which item each prediction is of.
        items: N.

    Returns:
        (N, K) sparse: right minus confidence, summed.
    """
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    return sparse.csr_matrix((right - confidence, (item, bins)), shape=(items, BINS))


def roc_auc(scores_N: Floats, positive_N: Booleans, counts_BN: Floats) -> Floats:
    """Area under the ROC curve: how often a positive item has a higher score than a negative one.

    Equal scores count half (the Mann-Whitney statistic).

    Args:
        scores_N: a score of each item.
        positive_N: which are positive.
        counts_BN: how often each item counts; ones for the figure itself.

    Returns:
        (B,), NaN where only one kind is left.
    """
    order = np.argsort(scores_N, kind="stable")
    starts = np.flatnonzero(np.diff(scores_N[order], prepend=-np.inf))
    weights_BN = counts_BN[:, order]
    kind_N = positive_N[order].astype(np.float64)
    positive_BG = np.add.reduceat(weights_BN * kind_N, starts, axis=1)
    negative_BG = np.add.reduceat(weights_BN * (1.0 - kind_N), starts, axis=1)
    below_BG = np.cumsum(negative_BG, axis=1) - 0.5 * negative_BG
    pairs_B = positive_BG.sum(axis=1) * negative_BG.sum(axis=1)
    won_B = (positive_BG * below_BG).sum(axis=1)
    return np.where(pairs_B > 0, won_B / np.where(pairs_B > 0, pairs_B, 1.0), np.nan)


def _ratios(right: Floats, given: Floats, due: Floats) -> tuple[Floats, Floats, Floats]:
    return _ratio(right, given), _ratio(right, due), _ratio(2.0 * right, given + due)


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), 0.0)
