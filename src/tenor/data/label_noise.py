"""Labels that are probably wrong, by the probabilities of a model that never saw them.

Shape legend: N texts, C labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["LabelSuspect", "suspicious_labels"]


@dataclass(frozen=True)
class LabelSuspect:
    """A text whose label a model disagrees with.

    Attributes:
        row: of the text, from 0.
        given: number of the label it has.
        likely: number of the label the model would give.
        margin: how much more probable that one is, 0 to 1.
    """

    row: int
    given: int
    likely: int
    margin: float


def suspicious_labels(
    probabilities_NC: npt.NDArray[Any], target_N: npt.NDArray[np.int64], *, margin: float = 0.5
) -> list[LabelSuspect]:
    """The texts whose label is probably another one, the most doubtful first.

    Confident learning (Northcutt et al. 2021, https://arxiv.org/abs/1911.00068): a text labelled i
    is a suspect of j where p_j is at least the mean of p_j over the texts labelled j, so that a
    label the model is generally unsure of needs less to be believed. Of these only those are
    returned where p_j - p_i reaches a margin.

    Args:
        probabilities_NC: of each label, by a model that was not fitted on the text.
        target_N: the labels given.
        margin: how far apart both probabilities have to be.

    >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.95, 0.05]])
    >>> [each.row for each in suspicious_labels(probabilities, np.array([0, 0, 1, 1]))]
    [3]
    """
    labels = probabilities_NC.shape[1]
    own = probabilities_NC[np.arange(len(target_N)), target_N]
    counts = np.bincount(target_N, minlength=labels)
    sums = np.bincount(target_N, weights=own, minlength=labels)
    # A label without a text has no threshold that could be reached.
    threshold = np.divide(sums, counts, out=np.full(labels, np.inf), where=counts > 0)
    believed = np.where(probabilities_NC >= threshold, probabilities_NC, -np.inf)
    likely = believed.argmax(axis=1)
    best = believed[np.arange(len(target_N)), likely]
    apart = np.where(likely == target_N, -np.inf, best - own)
    rows = np.flatnonzero(apart >= margin)
    rows = rows[np.argsort(-apart[rows], kind="stable")]
    return [
        LabelSuspect(row, int(target_N[row]), int(likely[row]), float(apart[row]))
        for row in rows.tolist()
    ]
