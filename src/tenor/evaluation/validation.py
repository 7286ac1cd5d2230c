"""What to measure on held-out rows of each kind of data, and which figure decides."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tenor.data.pairs import triplets_from_nli
from tenor.data.schema import PairTable
from tenor.errors import DataError
from tenor.evaluation.intervals import PairedDifference, bootstrap_mean, percentile_interval
from tenor.evaluation.result import Encodes, EvaluationResult, encode_texts
from tenor.evaluation.retrieval import Retrieval
from tenor.evaluation.similarity import EmbeddingSimilarity
from tenor.evaluation.threshold_metrics import threshold_intervals, threshold_metrics

__all__ = ["LabelledPairs", "NearestNeighbours", "paired_average_precision", "validation"]

Measure = Callable[[Encodes], EvaluationResult]


def validation(table: PairTable) -> tuple[Measure, str]:
    """The evaluation that suits held-out rows, and the name of its deciding figure.

    | rows | evaluation | figure |
    |---|---|---|
    | scored pairs | `EmbeddingSimilarity` | spearman_cosine |
    | pairs, triplets | `Retrieval`: anchors search all positives and negatives | ndcg@10 |
    | NLI | the same, on the triplets made of it | ndcg@10 |
    | labelled pairs | `LabelledPairs` | average_precision |
    | labelled texts | `NearestNeighbours` | accuracy |

    Raises:
        DataError: when the rows cannot be evaluated on, such as a single one.
    """
    data = {"path": table.path, "sha256": table.sha256}
    if table.kind == "nli":
        table = triplets_from_nli(table)
    if len(table) < 2:
        raise DataError("a single row is too little to evaluate on.", path=table.path)
    if table.kind == "scored":
        assert table.target is not None
        left, right = table.columns.values()
        return EmbeddingSimilarity(left, right, table.target, data=data), "spearman_cosine"
    if table.kind in ("pairs", "triplets"):
        return _ranking(table, data), "ndcg@10"
    if table.kind == "labelled_pairs":
        return LabelledPairs(table, data=data), "average_precision"
    return NearestNeighbours(table, data=data), "accuracy"


def _ranking(table: PairTable, data: dict[str, Any]) -> Retrieval:
    """Every distinct anchor is a query; every distinct other text is a document."""
    names = [name for name in table.columns if name != "anchor"]
    documents = dict.fromkeys(text for name in names for text in table.columns[name])
    place = {text: str(number) for number, text in enumerate(documents)}
    queries = {text: f"q{n}" for n, text in enumerate(dict.fromkeys(table.columns["anchor"]))}
    qrels: dict[str, dict[str, float]] = {}
    for anchor, positive in zip(table.columns["anchor"], table.columns["positive"], strict=True):
        qrels.setdefault(queries[anchor], {})[place[positive]] = 1.0
    return Retrieval(
        {number: text for text, number in place.items()},
        {number: text for text, number in queries.items()},
        qrels,
        name="validation",
        drop_self=False,
        data=data,
    )


class LabelledPairs:
    """Average precision, best F1 and best accuracy of telling the same from the different.

    F1 and accuracy are those of the best threshold on these very rows, so they are optimistic;
    average precision needs no threshold.

    Args:
        table: labelled pairs; label 1 means the same.
        data: path and hash, for the result.
    """

    def __init__(self, table: PairTable, *, data: dict[str, Any] | None = None) -> None:
        assert table.target is not None
        self.left, self.right = table.columns.values()
        self.labels = np.asarray(table.target) == 1
        if self.labels.all() or not self.labels.any():
            raise DataError("all pairs have the same label; both are needed.", path=table.path)
        self.data = data or {"name": "labelled pairs"}

    def __call__(self, model: Encodes) -> EvaluationResult:
        """Evaluate a model."""
        start = time.perf_counter()
        vectors, truncated = encode_texts(model, [*self.left, *self.right])
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        half = len(self.left)
        scores = np.einsum("nd,nd->n", vectors[:half], vectors[half:])
        metrics, _ = threshold_metrics(scores, self.labels)
        return EvaluationResult(
            metrics=metrics,
            intervals=threshold_intervals(scores, self.labels),
            n=half,
            truncated=truncated,
            seconds=time.perf_counter() - start,
            model={"name": type(model).__name__},
            data=self.data,
            per_item={"cosine": scores, "label": self.labels},
        )


def paired_average_precision(
    left: EvaluationResult, right: EvaluationResult, *, resamples: int = 200, seed: int = 0
) -> PairedDifference:
    """Compare two models' average precision on the same labelled pairs, resampling the pairs.

    Args:
        left: what `LabelledPairs` gave for one model.
        right: and for the other, on the same rows.
        resamples: those in which all pairs have one label are left out.
        seed: the same seed gives the same answer.
    """
    labels = left.per_item["label"]
    scores = "score" if "score" in left.per_item else "cosine"

    def difference(rows: Any) -> float:
        one, other = (
            threshold_metrics(side.per_item[scores][rows], labels[rows])[0]["average_precision"]
            for side in (left, right)
        )
        return one - other

    generator = np.random.default_rng(seed)
    drawn = (generator.integers(0, len(labels), len(labels)) for _ in range(resamples))
    samples = np.array([difference(rows) for rows in drawn if np.ptp(labels[rows].astype(int))])
    observed = difference(np.arange(len(labels)))
    far = np.abs(samples - observed) >= abs(observed) - 1e-12
    low, high = percentile_interval(samples)
    return PairedDifference(observed, low, high, (1.0 + far.sum()) / (1.0 + len(samples)))


class NearestNeighbours:
    """Accuracy of giving each text the majority label of its nearest other texts.

    Args:
        table: labelled texts.
        neighbours: how many vote.
        data: path and hash, for the result.
    """

    def __init__(
        self, table: PairTable, *, neighbours: int = 5, data: dict[str, Any] | None = None
    ) -> None:
        assert table.target is not None
        self.texts, self.labels = table.columns["text"], np.asarray(table.target)
        self.names = table.label_names or [str(n) for n in range(int(self.labels.max()) + 1)]
        self.neighbours = min(neighbours, len(self.texts) - 1)
        self.data = data or {"name": "labelled texts"}

    def __call__(self, model: Encodes) -> EvaluationResult:
        """Evaluate a model."""
        from tenor.evaluation.exact_search import search_exact

        start = time.perf_counter()
        vectors, truncated = encode_texts(model, self.texts)
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        _, found = search_exact(vectors, vectors, self.neighbours + 1)
        rows = np.arange(len(found))[:, None]
        # A text is its own nearest neighbour; where a copy of it ranks before, the last goes.
        others = found != rows
        others[others.all(1), -1] = False
        votes = self.labels[found[others].reshape(len(found), self.neighbours)]
        right = np.empty(len(found))
        for row, labels in enumerate(votes):
            names, counts = np.unique(labels, return_counts=True)
            winners = names[counts == counts.max()]
            nearest = next(label for label in labels if label in winners)
            right[row] = nearest == self.labels[row]
        return EvaluationResult(
            metrics={"accuracy": float(right.mean())},
            intervals={"accuracy": bootstrap_mean(right)},
            n=len(right),
            truncated=truncated,
            seconds=time.perf_counter() - start,
            model={"name": type(model).__name__},
            data=self.data,
            per_item={"accuracy": right},
        )
