"""How good are the labels, and the probabilities, that a classifier gives to texts?

Shape legend: N texts, C labels, B resamples of a block.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tenor.data.class_labels import match_labels
from tenor.data.schema import PairTable
from tenor.errors import DataError, ModelError
from tenor.evaluation.classification_figures import ClassificationFigures
from tenor.evaluation.classification_result import (
    ClassificationResult,
    confusions,
    label_table,
)
from tenor.evaluation.intervals import percentile_interval

__all__ = [
    "Classification",
    "PredictsLabels",
    "classification_metric",
]

Booleans = npt.NDArray[np.bool_]


class PredictsLabels(Protocol):
    """Anything that gives labels to texts: a `TextClassifier`, a stub."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels, in the order of the probabilities."""

    @property
    def multi_label(self) -> bool:
        """Whether a text may have any number of labels."""

    def predict_proba_counted(self, texts: Sequence[str], /) -> tuple[Any, int]:
        """Probabilities (N, C), and how many texts were cut."""


def classification_metric(multi_label: bool) -> str:
    """The figure by which the best weights are chosen; higher is better.

    Macro F1 for one label a text, so that rare labels count as much as frequent ones; micro F1 for
    several, where a label that hardly any text has would make the macro mean jump.
    """
    return "micro_f1" if multi_label else "macro_f1"


class Classification:
    """Accuracy, F1, ROC-AUC, calibration and log loss of a classifier on labelled texts.

    | | one label a text | any number of labels |
    |---|---|---|
    | right altogether | accuracy | subset_accuracy |
    | F1 | macro_f1, weighted_f1; f1 of the second of two labels | micro_f1, macro_f1, weighted_f1 |
    | precision, recall | macro_…; those of the second of two labels | micro_…, macro_… |
    | ranking | roc_auc: of the second of two labels, else one against the rest, macro | macro |
    | probabilities | expected_calibration_error of the given label, log_loss | of every label |

    Labels that stand in no text, or in all, have no ROC curve and are left out of its mean.

    Args:
        table: labelled texts.
        threshold: probability from which a label is given, where a text may have several.
        data: path and hash, for the result.
        seed: of the bootstrap.

    Raises:
        DataError: the rows are no labelled texts.
    """

    def __init__(
        self,
        table: PairTable,
        *,
        threshold: float = 0.5,
        data: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        if table.target is None or table.label_names is None or "text" not in table.columns:
            raise DataError(
                f"holds {table.kind}; labelled texts are needed: text, label.", path=table.path
            )
        self.texts, self.names = table.columns["text"], table.label_names
        self.target = np.asarray(table.target)
        self.multi_label = self.target.ndim == 2
        self.threshold, self.seed = threshold, seed
        self.data = data or {"path": table.path, "sha256": table.sha256}

    def __call__(self, model: PredictsLabels) -> ClassificationResult:
        """Evaluate a model.

        `per_item` holds `accuracy` (or `subset_accuracy`; 0 or 1), `label` and `gold` (numbers, or
        (N, C) booleans) and `probability` (N, C).

        Raises:
            ModelError: the model does not know a label of the data, or gives one label a text where
                the data has several or the other way round.
        """
        start = time.perf_counter()
        gold_NC = self._gold(model)
        found, truncated = model.predict_proba_counted(self.texts)
        probabilities_NC = np.asarray(found, dtype=np.float64)
        if not np.isfinite(probabilities_NC).all():
            raise ModelError("the model gives NaN or infinite values: its weights are damaged.")
        if self.multi_label:
            found_NC = probabilities_NC >= self.threshold
        else:
            found_NC = np.zeros_like(gold_NC)
            found_NC[np.arange(len(gold_NC)), probabilities_NC.argmax(axis=1)] = True
        figures = ClassificationFigures(
            probabilities_NC, found_NC, gold_NC, multi_label=self.multi_label
        )
        metrics = {name: float(value[0]) for name, value in figures.exact().items()}
        samples = figures.resampled(self.seed)
        exactly = (found_NC == gold_NC).all(axis=1).astype(np.float64)
        numbers = (found_NC, gold_NC)
        if not self.multi_label:
            numbers = (found_NC.argmax(axis=1), gold_NC.argmax(axis=1))
        return ClassificationResult(
            metrics=metrics,
            intervals={name: percentile_interval(samples[name]) for name in metrics},
            n=len(exactly),
            truncated=int(truncated),
            seconds=time.perf_counter() - start,
            model={"name": type(model).__name__},
            data=self.data,
            notes=self._notes(gold_NC, model.labels, metrics),
            per_item={
                figures.exact_match: exactly,
                "label": numbers[0],
                "gold": numbers[1],
                "probability": probabilities_NC,
            },
            labels=tuple(model.labels),
            per_label=label_table(figures.label_counts(), model.labels),
            confusion=[] if self.multi_label else confusions(*numbers, model.labels),
        )

    def _gold(self, model: PredictsLabels) -> Booleans:
        """(N, C) which of the model's labels each text has."""
        if model.multi_label != self.multi_label:
            gives, has = ("several", "one") if model.multi_label else ("one", "several")
            raise ModelError(
                f"the model gives {gives} label{'s' if gives == 'several' else ''} a text, and the "
                f"data has {has}; evaluate a model that was trained on data of the same kind."
            )
        place = match_labels(self.names, model.labels)
        missing = [name for name in self.names if name not in place]
        if missing:
            raise ModelError(
                f"the model does not know the label{'s' if len(missing) > 1 else ''} "
                f"{', '.join(missing[:8])} of the data; it has {', '.join(model.labels[:8])}"
                f"{', …' if len(model.labels) > 8 else ''}."
            )
        columns = np.array([place[name] for name in self.names])
        gold_NC = np.zeros((len(self.texts), len(model.labels)), dtype=bool)
        if self.multi_label:
            gold_NC[:, columns] = self.target > 0.5
        else:
            gold_NC[np.arange(len(self.texts)), columns[self.target]] = True
        return gold_NC

    def _notes(
        self, gold_NC: Booleans, labels: Sequence[str], metrics: dict[str, float]
    ) -> dict[str, int | str]:
        shares = gold_NC.mean(axis=0)
        most = int(shares.argmax())
        notes: dict[str, int | str] = {
            "most_frequent_label": f"{labels[most]}, of {shares[most]:.1%} of the texts"
        }
        if "f1" in metrics:
            notes["f1_is_of"] = labels[1]
        if "roc_auc" not in metrics:
            notes["roc_auc"] = "not defined: no label stands in some texts and not in others"
        return notes
