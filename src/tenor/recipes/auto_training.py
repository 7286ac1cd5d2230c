"""A candidate is trained by its recipe, and any model measured as its recipe measures it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tenor.data.schema import PairTable
from tenor.recipes.auto_data import LABELLED, AutoData
from tenor.recipes.classifier import ClassifierConfig, train_classifier
from tenor.recipes.contrastive import ContrastiveConfig, train_contrastive
from tenor.recipes.few_shot import FewShotConfig, train_few_shot
from tenor.recipes.fit_data import Evaluation
from tenor.recipes.plan_sources import Source
from tenor.recipes.tagger import TaggerConfig, train_tagger

__all__ = ["evaluation_of", "load_trained", "train"]


def train(config: Any) -> dict[str, Any]:
    """Train by the recipe that settings belong to; a run that was begun goes on.

    Returns:
        What its result.json holds.
    """
    from dataclasses import replace

    config = replace(config, resume=Path(config.out).exists())
    if isinstance(config, ClassifierConfig):
        return train_classifier(config)
    if isinstance(config, FewShotConfig):
        return train_few_shot(config)
    if isinstance(config, TaggerConfig):
        return train_tagger(config)
    assert isinstance(config, ContrastiveConfig)
    return train_contrastive(config)


def evaluation_of(data: AutoData, source: Source) -> Evaluation:
    """How models are measured on some of the data."""
    if data.train.shape in LABELLED:
        from tenor.evaluation.classification import Classification, classification_metric

        assert source.table is not None
        several = data.train.shape == "multi_labelled_texts"
        return Evaluation(Classification(source.table), classification_metric(several))
    if source.tagged is not None:
        from tenor.evaluation.tagging import SpanEvaluation

        return Evaluation(SpanEvaluation(source.tagged), "f1")
    if source.task is not None:
        return Evaluation(source.task, "ndcg@10")
    from tenor.evaluation.validation import validation

    table = source.table
    assert isinstance(table, PairTable)
    measure, metric = validation(table)
    return Evaluation(measure, metric)


def load_trained(
    data: AutoData, folder: str, *, device: str, dtype: str, max_seq_length: int | None = None
) -> Any:
    """Load a model as it is measured and used."""
    chosen: dict[str, Any] = {
        "device": None if device == "auto" else device,
        "dtype": dtype,
        "max_seq_length": max_seq_length,
    }
    if data.train.shape in LABELLED:
        from tenor.models.classifier import TextClassifier

        return TextClassifier.load(folder, **chosen)
    if data.train.tagged is not None:
        from tenor.models.tagger import Tagger

        return Tagger.load(folder, **chosen)
    from tenor.models.embedder import Embedder

    return Embedder.load(folder, **chosen)
