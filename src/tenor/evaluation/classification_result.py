"""What an evaluation of a classifier gives beside its figures: a table of labels, and confusions.

Shape legend: N texts, C labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.evaluation.classification_metrics import per_label
from tenor.evaluation.result import EvaluationResult

__all__ = ["ClassificationResult", "confusions", "label_table"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ClassificationResult(EvaluationResult):
    """Figures of a classifier, with a table of its labels and what it takes for what.

    Args:
        labels: the model's labels, in order.
        per_label: for each label its name, `precision`, `recall`, `f1`, `texts` that have it and
            `given`, how many texts it was given to.
        confusion: for one label a text: `gold`, `found` and `count` of every combination that
            occurs, the most frequent first.
    """

    labels: tuple[str, ...] = ()
    per_label: list[dict[str, Any]] = field(default_factory=list)
    confusion: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return super().to_json() | {
            "labels": list(self.labels),
            "per_label": self.per_label,
            "confusion": self.confusion,
        }

    @property
    def confusion_matrix(self) -> npt.NDArray[np.int64]:
        """(C, C) how many texts of the label of a row were given the label of a column."""
        place = {label: number for number, label in enumerate(self.labels)}
        matrix = np.zeros((len(place), len(place)), dtype=np.int64)
        for cell in self.confusion:
            matrix[place[cell["gold"]], place[cell["found"]]] = cell["count"]
        return matrix


def label_table(counts_3C: Floats, labels: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each label: precision, recall, F1, texts that have it, texts it was given to.

    Args:
        counts_3C: right, given and due, as `LabelCounts` gives them.
        labels: C names.
    """
    columns = zip(labels, *per_label(counts_3C), counts_3C[2], counts_3C[1], strict=True)
    return [
        {
            "label": label,
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(f1),
            "texts": int(due),
            "given": int(given),
        }
        for label, precision, recall, f1, due, given in columns
    ]


def confusions(
    found_N: npt.NDArray[Any], gold_N: npt.NDArray[Any], labels: Sequence[str]
) -> list[dict[str, Any]]:
    """How often a text of one label was given another, or the same, the most frequent first.

    Args:
        found_N: the label that each text was given.
        gold_N: the label that it has.
        labels: their names.
    """
    codes, counts = np.unique(gold_N * len(labels) + found_N, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    return [
        {
            "gold": labels[int(codes[place]) // len(labels)],
            "found": labels[int(codes[place]) % len(labels)],
            "count": int(counts[place]),
        }
        for place in order.tolist()
    ]
