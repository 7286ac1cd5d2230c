"""Objectives of a classifier: from the logits of a batch's distinct texts to one loss.

Shape legend: R rows of the data, U distinct texts of the batch, B rows, C labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from tenor.errors import ConfigError
from tenor.losses.cross_entropy import cross_entropy
from tenor.losses.multi_label_cross_entropy import multi_label_cross_entropy
from tenor.training.batch import TrainingBatch
from tenor.training.objectives import Objective

__all__ = [
    "LOSSES",
    "balanced_weights",
    "choose_classification_loss",
    "make_classification_objective",
]

LOSSES = ("cross-entropy", "bce")


def choose_classification_loss(asked: str, multi_label: bool) -> tuple[str, str]:
    """The loss that labelled texts are trained on, and why, in words for the log.

    Args:
        asked: auto, or one of `LOSSES`.
        multi_label: whether a text may have any number of labels.

    Raises:
        ConfigError: there is no such loss, or it takes one label a text and there are several.

    >>> choose_classification_loss("auto", multi_label=False)[0]
    'cross-entropy'
    """
    if asked == "auto":
        if multi_label:
            return "bce", "a text may have any number of labels: each is told by itself"
        return "cross-entropy", "a text has one label"
    if asked not in LOSSES:
        raise ConfigError("loss", asked, f"one of auto, {', '.join(LOSSES)}")
    if asked == "cross-entropy" and multi_label:
        raise ConfigError("loss", asked, "bce, because a text may have any number of labels")
    return asked, "as asked"


def balanced_weights(target: npt.NDArray[np.generic], classes: int) -> npt.NDArray[np.float32]:
    """Weights with which rare labels count as much as frequent ones.

    One label a text: R / (C · texts of the label), as scikit-learn's `balanced`. Any number of
    labels: texts without the label / texts with it, for the texts that have it.

    Args:
        target: (R,) labels, or (R, C) of 0 and 1.
        classes: C.

    Returns:
        (C,); a label that no text has, or every text, gets 1.

    >>> balanced_weights(np.array([0, 0, 0, 1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    rows = len(target)
    if target.ndim == 1:
        counts = np.bincount(target.astype(np.int64), minlength=classes).astype(np.float64)
        weights = rows / (classes * np.maximum(counts, 1))
        return np.where(counts > 0, weights, 1.0).astype(np.float32)
    counts = target.sum(axis=0, dtype=np.float64)
    usable = (counts > 0) & (counts < rows)
    return np.where(usable, (rows - counts) / np.maximum(counts, 1), 1.0).astype(np.float32)


def make_classification_objective(
    name: str,
    *,
    weights: npt.NDArray[np.float32] | None = None,
    label_smoothing: float = 0.0,
) -> Objective:
    """Make the objective of a loss by its name.

    Args:
        name: one of `LOSSES`. `cross-entropy` takes (R,) labels, `bce` (R, C) of 0 and 1.
        weights: (C,) weight of each label; with `bce`, of the texts that have it.
        label_smoothing: share of each label that is spread over all, from 0 up to 1; with `bce`,
            over whether the label applies and whether it does not.

    Raises:
        ConfigError: for a loss that does not exist.
    """
    weights_C = None if weights is None else torch.from_numpy(weights)
    if name == "cross-entropy":
        return Objective(
            lambda logits, batch: cross_entropy(
                _rows(logits, batch),
                _target(batch, logits),
                weights_C=weights_C,
                label_smoothing=label_smoothing,
            )
        )
    if name != "bce":
        raise ConfigError("loss", name, f"one of auto, {', '.join(LOSSES)}")
    return Objective(
        lambda logits, batch: multi_label_cross_entropy(
            _rows(logits, batch),
            _target(batch, logits) * (1.0 - label_smoothing) + label_smoothing / 2,
            positive_weights_C=weights_C,
        )
    )


def _rows(logits_UC: Tensor, batch: TrainingBatch) -> Tensor:
    # An embedding look-up is indexing with a fast backward.
    return F.embedding(batch.columns["text"].to(logits_UC.device), logits_UC)


def _target(batch: TrainingBatch, like: Tensor) -> Tensor:
    if batch.target is None:
        raise ValueError("this loss needs labels")
    return batch.target.to(like.device)
