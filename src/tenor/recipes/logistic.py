"""Logistic regression on the embeddings of a frozen embedder: the baseline, in seconds."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tenor.data.labelled_split import folds_by_label
from tenor.data.schema import PairTable
from tenor.evaluation.predictions import write_predictions
from tenor.formats.classifier import LinearClassifier
from tenor.formats.locate import hash_model
from tenor.models.embedder import Embedder
from tenor.models.embedding_classifier import EmbeddingClassifier
from tenor.recipes.fit import Fit
from tenor.recipes.fit_data import Evaluation
from tenor.recipes.logistic_regression import choose_regularization, fit_logistic
from tenor.recipes.settings import device_of
from tenor.recipes.tell import tell
from tenor.training.run import machine, versions

if TYPE_CHECKING:
    from tenor.recipes.classifier import ClassifierConfig

__all__ = ["train_logistic"]

FOLDS = 5


def train_logistic(
    fit: Fit,
    config: ClassifierConfig,
    table: PairTable,
    evaluation: Evaluation | None,
    notes: tuple[str, ...] = (),
) -> tuple[dict[str, Any], EmbeddingClassifier]:
    """Fit a linear classifier on embeddings, evaluate and save it.

    Every distinct text is embedded once; cross-validation and the fit share the vectors.

    Args:
        fit: the run.
        config: the settings.
        table: labelled texts to train on.
        evaluation: how to measure; `None` measures nothing.
        notes: what a reader of the result should know of the texts.

    Returns:
        What result.json holds, and the model.
    """
    import sklearn

    assert table.target is not None and table.label_names is not None
    fit.run.check_data({table.path: table.sha256})
    embedder = Embedder.load(
        config.model,
        device=device_of(config),
        dtype=config.dtype,
        max_seq_length=config.max_seq_length,
    )
    target, classes = np.asarray(table.target), len(table.label_names)
    vectors, truncated = embedder.encode_counted(table.columns["text"])
    distinct = len(set(table.columns["text"]))
    tell(f"{distinct:,} distinct texts embedded, {truncated:,} of {len(table):,} rows cut")
    balanced = config.class_weights == "balanced"
    value = config.inverse_regularization
    tried: list[dict[str, float]] = []
    folds = min(FOLDS, distinct)
    if value is None and folds < 2:
        value = 1.0
    elif value is None:
        value, tried = choose_regularization(
            vectors,
            target,
            classes,
            folds_by_label(table, folds, config.seed),
            balanced=balanced,
            tell=tell,
        )
        tell(f"C = {value:g}: the lowest log loss in {folds}-fold cross-validation")
    weight, bias = fit_logistic(vectors, target, classes, value, balanced=balanced)
    linear = LinearClassifier(
        labels=table.label_names,
        multi_label=target.ndim == 2,
        weight=weight,
        bias=bias,
        facts={"method": "logistic regression", "inverse_regularization": value},
    )
    model = EmbeddingClassifier(embedder, linear)
    after = None
    if evaluation is not None:
        found = evaluation.measure(model)
        after = replace(found, model={"name": fit.run.folder.name, "sha256": ""})
    result: dict[str, Any] = {
        "loss": "logistic regression",
        "rows": len(table),
        "skipped": len(table.skipped),
        "distinct_texts": distinct,
        "truncated": truncated,
        "inverse_regularization": value,
        "cross_validation": tried,
        "metric": None if evaluation is None else evaluation.metric,
        "before": None,
        "after": None if after is None else after.to_json(),
        "difference": None,
        "overlap": None if evaluation is None else evaluation.overlap,
        "notes": list(notes),
        "base_model": {"name": embedder.name, "sha256": embedder.sha256},
        "data": {"path": table.path, "sha256": table.sha256},
        "versions": {**versions(), "scikit-learn": sklearn.__version__},
        "machine": machine(),
        "dtype": str(embedder.encoder.dtype).removeprefix("torch."),
        "seconds": time.perf_counter() - fit.start,
    }
    if fit.main:
        if evaluation is not None:
            write_predictions(fit.run.folder, evaluation.items, None, after)
        _save(fit, model, result)
    return result, model


def _save(fit: Fit, model: EmbeddingClassifier, result: dict[str, Any]) -> None:
    run = fit.run
    model.save(run.model, card=model.card(**run.card_facts(result)))
    result["model"] = {"path": str(run.model), "sha256": hash_model(run.model)}
    run.write_result(result)
    metric = result["metric"]
    if metric:
        value = result["after"]["metrics"][metric]
        low, high = result["after"]["intervals"][metric]
        tell(f"after: {metric} {value:.4f} [{low:.4f}, {high:.4f}], n = {result['after']['n']:,}")
    tell(f"saved {run.model}, {result['seconds']:.1f} s")
