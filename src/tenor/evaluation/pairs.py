"""How good are the scores or labels that a cross-encoder gives to pairs of texts?

Shape legend: N pairs, C labels, Q anchors, K candidates of an anchor.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tenor.data.schema import PairTable
from tenor.errors import DataError, ModelError
from tenor.evaluation.correlation import correlations
from tenor.evaluation.intervals import bootstrap_correlations, percentile_interval
from tenor.evaluation.labels import label_intervals, label_metrics
from tenor.evaluation.pair_ranking import PairRanking
from tenor.evaluation.result import EvaluationResult
from tenor.evaluation.threshold_metrics import threshold_intervals, threshold_metrics

__all__ = ["LabelledPairScores", "PairLabels", "PairScores", "ScoresPairs", "pair_evaluation"]

PairMeasure = Callable[["ScoresPairs"], EvaluationResult]


class ScoresPairs(Protocol):
    """Anything that scores pairs of texts: a `CrossEncoder`, a stub."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels; one for a model that gives a single score."""

    def score_counted(self, pairs: Sequence[tuple[str, str]], /) -> tuple[Any, int]:
        """Scores (N,) for one label, (N, C) for several, and how many pairs were cut."""


def pair_evaluation(table: PairTable, *, seed: int = 0) -> tuple[PairMeasure, str]:
    """The evaluation of a cross-encoder that suits held-out rows, and its deciding figure.

    | rows | evaluation | figure |
    |---|---|---|
    | scored pairs | `PairScores` | spearman |
    | pairs labelled same or different | `LabelledPairScores` | average_precision |
    | pairs with several labels (NLI) | `PairLabels` | accuracy |
    | pairs, triplets | `PairRanking` | ndcg@10 |

    Args:
        table: the rows.
        seed: decides the random candidates of pairs and triplets.

    Raises:
        DataError: when the rows are no pairs, or cannot be evaluated on.
    """
    data = {"path": table.path, "sha256": table.sha256}
    if len(table) < 2:
        raise DataError("a single row is too little to evaluate on.", path=table.path)
    if table.kind == "scored":
        return PairScores(table, data=data), "spearman"
    if table.kind == "labelled_pairs":
        return LabelledPairScores(table, data=data), "average_precision"
    if table.kind == "nli":
        return PairLabels(table, data=data), "accuracy"
    if table.kind in ("pairs", "triplets"):
        return PairRanking(table, seed=seed, data=data), "ndcg@10"
    raise DataError(f"holds {table.kind}; a cross-encoder needs pairs of texts.", path=table.path)


class PairScores:
    """Pearson and Spearman correlation of a model's scores with gold scores.

    Args:
        table: scored pairs.
        data: path and hash, for the result.

    Raises:
        DataError: the gold scores are constant.
    """

    def __init__(self, table: PairTable, *, data: dict[str, Any] | None = None) -> None:
        assert table.target is not None
        self.pairs = _pairs(table)
        self.gold = np.asarray(table.target, dtype=np.float64)
        if float(np.ptp(self.gold)) == 0.0:
            raise DataError(
                "all gold scores are equal; no correlation is defined.", path=table.path
            )
        self.data = data or {"name": "scored pairs"}

    def __call__(self, model: ScoresPairs) -> EvaluationResult:
        """Evaluate a model; `per_item` holds `score` and `gold`."""
        start = time.perf_counter()
        scores, truncated = _single_scores(model, self.pairs)
        column = scores[:, None]
        (pearson,), (spearman,) = correlations(column, self.gold)
        resampled = bootstrap_correlations(column, self.gold)
        low_high = [percentile_interval(samples[:, 0]) for samples in resampled]
        return EvaluationResult(
            metrics={"pearson": float(pearson), "spearman": float(spearman)},
            intervals={"pearson": low_high[0], "spearman": low_high[1]},
            n=len(scores),
            truncated=truncated,
            seconds=time.perf_counter() - start,
            model={"name": type(model).__name__},
            data=self.data,
            per_item={"score": scores, "gold": self.gold},
        )


class LabelledPairScores:
    """Average precision, best F1 and best accuracy of telling the same from the different.

    Args:
        table: labelled pairs; label 1 means the same.
        data: path and hash, for the result.

    Raises:
        DataError: all pairs have the same label.
    """

    def __init__(self, table: PairTable, *, data: dict[str, Any] | None = None) -> None:
        assert table.target is not None
        self.pairs = _pairs(table)
        self.same = np.asarray(table.target) == 1
        if self.same.all() or not self.same.any():
            raise DataError("all pairs have the same label; both are needed.", path=table.path)
        self.data = data or {"name": "labelled pairs"}

    def __call__(self, model: ScoresPairs) -> EvaluationResult:
        """Evaluate a model; `per_item` holds `score` and `label`.

        Of a model with two labels the score is that of the second minus that of the first.
        """
        start = time.perf_counter()
        if len(model.labels) == 2:
            found, truncated = model.score_counted(self.pairs)
            scores = _finite(np.asarray(found, dtype=np.float64))
            scores = scores[:, 1] - scores[:, 0]
        else:
            scores, truncated = _single_scores(model, self.pairs)
        metrics, threshold = threshold_metrics(scores, self.same)
        return EvaluationResult(
            metrics=metrics,
            intervals=threshold_intervals(scores, self.same),
            n=len(scores),
            truncated=truncated,
            seconds=time.perf_counter() - start,
            model={"name": type(model).__name__},
            data=self.data,
            notes={"best_f1_from_score": f"{threshold:.4g}"},
            per_item={"score": scores, "label": self.same},
        )


class PairLabels:
    """Accuracy and macro F1 of the labels a model gives to pairs.

    Labels are matched by name where the model has the names of the data in any order (NLI models
    order theirs differently), else by number.

    Args:
        table: pairs with labels.
        data: path and hash, for the result.
    """

    def __init__(self, table: PairTable, *, data: dict[str, Any] | None = None) -> None:
        assert table.target is not None and table.label_names is not None
        self.pairs = _pairs(table)
        self.gold = np.asarray(table.target, dtype=np.int64)
        self.names = table.label_names
        self.data = data or {"name": "pairs with labels"}

    def __call__(self, model: ScoresPairs) -> EvaluationResult:
        """Evaluate a model; `per_item` holds `accuracy` (0 or 1), `label` and `gold`.

        Raises:
            ModelError: the model gives other labels than the data has.
        """
        start = time.perf_counter()
        order = self._columns(model.labels)
        found, truncated = model.score_counted(self.pairs)
        labels = _finite(np.asarray(found, dtype=np.float64))[:, order].argmax(axis=1)
        right = (labels == self.gold).astype(np.float64)
        return EvaluationResult(
            metrics=label_metrics(labels, self.gold),
            intervals=label_intervals(labels, self.gold),
            n=len(right),
            truncated=truncated,
            seconds=time.perf_counter() - start,
            model={"name": type(model).__name__},
            data=self.data,
            per_item={"accuracy": right, "label": labels, "gold": self.gold},
        )

    def _columns(self, labels: tuple[str, ...]) -> list[int]:
        """Which of the model's scores is that of each of the data's labels."""
        theirs = [label.lower() for label in labels]
        ours = [name.lower() for name in self.names]
        if sorted(theirs) == sorted(ours):
            return [theirs.index(name) for name in ours]
        unnamed = theirs == [f"label_{number}" for number in range(len(ours))]
        if not unnamed:
            raise ModelError(
                f"the model gives {_listed(labels)}, and the data has {_listed(self.names)}; "
                "evaluate a model that was trained on these labels."
            )
        return list(range(len(ours)))


def _listed(labels: Sequence[str]) -> str:
    return "a single score" if len(labels) == 1 else f"the labels {', '.join(labels)}"


def _pairs(table: PairTable) -> list[tuple[str, str]]:
    left, right = table.columns.values()
    return list(zip(left, right, strict=True))


def _single_scores(
    model: ScoresPairs, pairs: Sequence[tuple[str, str]]
) -> tuple[npt.NDArray[np.float64], int]:
    """(N,) scores of a model with one label, and how many pairs were cut."""
    if len(model.labels) != 1:
        raise ModelError(
            f"the model gives {_listed(model.labels)}, and this data needs a single score; "
            "evaluate a model that was trained to give one."
        )
    found, truncated = model.score_counted(pairs)
    return _finite(np.asarray(found, dtype=np.float64)), int(truncated)


def _finite(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    if not np.isfinite(scores).all():
        raise ModelError("the model gives NaN or infinite scores: its weights are damaged.")
    return scores
