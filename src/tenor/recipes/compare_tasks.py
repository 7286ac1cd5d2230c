"""One model on one task of a comparison: the figure that decides, and the value of every item.

| task | embedder | cross-encoder | classifier |
|---|---|---|---|
| sts | Spearman correlation of the cosine | of the score | |
| pair classification | average precision of the cosine | of the score | |
| retrieval, ranking | nDCG@10 | | |
| classification | accuracy of logistic regression on embeddings | | accuracy of its own labels |

Shape legend: N texts, D dimensions.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.data.labelled_split import folds_by_label
from tenor.data.prepare import take
from tenor.data.schema import PairTable
from tenor.evaluation.classification import Classification
from tenor.evaluation.local_tasks import KINDS, TaskKind
from tenor.evaluation.pairs import pair_evaluation
from tenor.evaluation.result import EvaluationResult, encode_texts
from tenor.evaluation.validation import validation
from tenor.formats.model_kind import ModelKind
from tenor.models.classifier import TextClassifier, probabilities_of
from tenor.models.cross_encoder import CrossEncoder
from tenor.models.embedder import Embedder
from tenor.recipes.compare_data import TaskData
from tenor.recipes.logistic_regression import choose_regularization, fit_logistic

__all__ = ["FIGURES", "MEASURED", "Measured", "can_measure", "measure_task"]

# How the deciding figure follows from the items, by its name; the mean of their values otherwise.
FIGURES = {
    "spearman_cosine": "spearman",
    "spearman": "spearman",
    "average_precision": "average_precision",
}
MEASURED: dict[ModelKind, tuple[TaskKind, ...]] = {
    "embedder": KINDS,
    "embedding classifier": KINDS,
    "classifier": ("classification",),
    "cross-encoder": ("sts", "pair classification"),
    "tagger": (),
}
FITTED = 2_000  # texts of the training file by which the regularisation is chosen
FOLDS = 3

AnyModel = Embedder | CrossEncoder | TextClassifier


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one model gave on one task.

    Args:
        result: all figures with their intervals.
        metric: name of the one that decides.
        items: columns of one value an item: `id`, `text`, `text_2`, `gold`, `gold_value`, `found`,
            `value`, `rank`. `value` is what the metric is made of: the similarity of a pair, or
            the metric of a query or a text itself; `gold_value` a pair's score or label; `rank`
            that of a query's first relevant document, 0 where none is near.
    """

    result: EvaluationResult
    metric: str
    items: dict[str, list[Any]] = field(repr=False)


def can_measure(model: ModelKind, task: TaskKind) -> bool:
    """Whether there is a figure for a model of this kind on a task of this kind."""
    return task in MEASURED[model]


def measure_task(model: AnyModel, data: TaskData, *, seed: int = 0) -> Measured:
    """Measure a model on a task; every distinct text, or pair, is encoded once.

    Args:
        model: of a kind that `can_measure` agrees to; of an embedding classifier its embedder,
            unless its own labels count.
        data: the task.
        seed: of the bootstrap, and of how training texts are dealt out to folds.

    Raises:
        ModelError: the model gives something that cannot be measured.
        DataError: it gives everything the same.
    """
    if data.search is not None:
        found = _search(model, data)
    elif data.task.kind == "classification":
        found = _classification(model, data, seed)
    else:
        found = _pairs(model, data)
    named = {"name": str(model.name), "sha256": model.sha256 or ""}
    return replace(found, result=replace(found.result, model=named, data=data.description))


def _pairs(model: AnyModel, data: TaskData) -> Measured:
    table = data.table
    assert table is not None and table.target is not None
    if isinstance(model, CrossEncoder):
        measure, metric = pair_evaluation(table)
        result = measure(model)
        values = result.per_item["score"]
    else:
        of_embeddings, metric = validation(table)
        assert isinstance(model, Embedder)
        result = of_embeddings(model)
        values = result.per_item["cosine"]
    left, right = table.columns.values()
    gold = [float(value) for value in table.target.tolist()]
    items = _items(
        id=_lines(table), text=left, text_2=right, gold_value=gold, value=_floats(values)
    )
    return Measured(result=result, metric=metric, items=items)


def _search(model: AnyModel, data: TaskData) -> Measured:
    assert data.search is not None and isinstance(model, Embedder)
    result, rankings = data.search.run(model)
    items = _items(
        id=list(rankings.query_ids),
        text=list(data.search.queries),
        found=[str(top[0]) for top in rankings.top],
        value=_floats(result.per_item["ndcg@10"]),
        rank=rankings.first_relevant_rank.tolist(),
    )
    return Measured(result=result, metric="ndcg@10", items=items)


def _classification(model: AnyModel, data: TaskData, seed: int) -> Measured:
    table = data.table
    assert table is not None
    start = time.perf_counter()
    measured = _fitted(model, data, seed) if isinstance(model, Embedder) else model
    assert not isinstance(measured, CrossEncoder)
    result: EvaluationResult = Classification(table, seed=seed)(measured)
    metric = "subset_accuracy" if measured.multi_label else "accuracy"
    names = tuple(measured.labels)
    notes = {**result.notes, **getattr(measured, "notes", {})}
    items = _items(
        id=_lines(table),
        text=table.columns["text"],
        gold=_named(result.per_item["gold"], names),
        found=_named(result.per_item["label"], names),
        value=_floats(result.per_item[metric]),
    )
    result = replace(result, notes=notes, seconds=time.perf_counter() - start)
    return Measured(result=result, metric=metric, items=items)


@dataclass(frozen=True)
class _Fitted:
    """Labels from logistic regression on embeddings that were made before."""

    labels: tuple[str, ...]
    multi_label: bool
    probabilities: npt.NDArray[np.float32]
    truncated: int
    notes: dict[str, int | str]

    def predict_proba_counted(self, texts: Sequence[str], /) -> tuple[Any, int]:
        """Of the test texts, whichever are asked for: there are no others."""
        assert len(texts) == len(self.probabilities)
        return self.probabilities, self.truncated


def _fitted(model: Embedder, data: TaskData, seed: int) -> _Fitted:
    train, test = data.train, data.table
    assert train is not None and test is not None
    assert train.target is not None and train.label_names is not None
    texts = [*train.columns["text"], *test.columns["text"]]
    vectors_ND, truncated = encode_texts(model, texts)
    train_ND, test_ND = vectors_ND[: len(train)], vectors_ND[len(train) :]
    target, labels = np.asarray(train.target), train.label_names
    value = _regularization(train_ND, train, seed)
    weight, bias = fit_logistic(train_ND, target, len(labels), value)
    several = target.ndim == 2
    return _Fitted(
        labels=tuple(labels),
        multi_label=several,
        probabilities=probabilities_of(test_ND @ weight.T + bias, several),
        truncated=truncated,
        notes={"inverse_regularization": f"{value:g}", "training_texts": len(train)},
    )


def _regularization(train_ND: npt.NDArray[np.float32], train: PairTable, seed: int) -> float:
    """Chosen on a part of a large training file: what is best there is close to it on the whole."""
    rows = np.arange(len(train))
    if len(train) > FITTED:
        rows = np.sort(np.random.default_rng([seed, 3]).permutation(len(train))[:FITTED])
        train = take(train, rows)
    folds = min(FOLDS, len(set(train.columns["text"])))
    if folds < 2:
        return 1.0
    assert train.target is not None and train.label_names is not None
    value, _ = choose_regularization(
        train_ND[rows],
        np.asarray(train.target),
        len(train.label_names),
        folds_by_label(train, folds, seed),
    )
    return value


def _items(**columns: list[Any]) -> dict[str, list[Any]]:
    """All columns of items; those that a task has not hold nothing."""
    count = len(columns["value"])
    names = ("id", "text", "text_2", "gold", "gold_value", "found", "value", "rank")
    return {name: columns.get(name, [None] * count) for name in names}


def _lines(table: PairTable) -> list[str]:
    return [str(line) for line in table.lines.tolist()]


def _floats(values: npt.NDArray[Any]) -> list[float]:
    return [float(value) for value in values]


def _named(labels: npt.NDArray[Any], names: Sequence[str]) -> list[str]:
    if labels.ndim == 1:
        return [names[label] for label in labels.tolist()]
    return ["|".join(names[place] for place in np.flatnonzero(row).tolist()) for row in labels]
