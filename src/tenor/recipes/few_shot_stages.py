"""The parts of a few-shot run: contrastive training, and a head on the vectors.

Shape legend: N texts, D dimensions, C labels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.data.labelled_split import folds_by_label
from tenor.data.prepare import take
from tenor.data.shots import count_texts
from tenor.evaluation.result import EvaluationResult
from tenor.formats.classifier import LinearClassifier
from tenor.models.embedder import Embedder
from tenor.models.embedding_classifier import EmbeddingClassifier
from tenor.recipes.embedder_fit import EmbedderFit, embedder_of
from tenor.recipes.few_shot import FEWEST, MOST, PASSES, FewShotConfig
from tenor.recipes.few_shot_data import FewShotData
from tenor.recipes.fit_data import Evaluation, Source
from tenor.recipes.logistic_regression import choose_regularization, fit_logistic
from tenor.recipes.soft_logistic import fit_linear_head, fit_soft_logistic, probabilities_from
from tenor.recipes.tell import tell
from tenor.tokens.balanced_plan import ClassBalancedPlan
from tenor.training.batch import TrainingData
from tenor.training.few_shot_objectives import make_few_shot_objective

__all__ = [
    "HeadSettings",
    "announce_pairs",
    "choose_head",
    "contrastive_loss",
    "load_start",
    "make_plan",
    "measured",
    "pair_counts",
    "train_contrastive_stage",
    "with_head",
]

FOLDS = 5
UNCHOSEN = 10.0  # C where there are too few texts to choose it


@dataclass(frozen=True)
class HeadSettings:
    """How a head is fitted.

    Attributes:
        kind: logistic or linear.
        inverse_regularization: C of logistic regression.
        tried: what cross-validation gave.
    """

    kind: str
    inverse_regularization: float | None = None
    tried: tuple[dict[str, float], ...] = ()

    @property
    def facts(self) -> dict[str, Any]:
        """For whoever reads the classifier's file."""
        if self.kind == "linear":
            return {"method": "linear layer"}
        value = self.inverse_regularization
        return {"method": "logistic regression", "inverse_regularization": value}


def load_start(config: FewShotConfig, name: str, *, fresh: bool) -> Embedder:
    """Load an embedder to train; `fresh` for one that no stage has made."""
    import torch

    torch.manual_seed(config.seed)
    return embedder_of(config, name, pooling=config.pooling if fresh else None)


def choose_head(
    config: FewShotConfig, data: FewShotData, vectors_ND: npt.NDArray[np.float32]
) -> HeadSettings:
    """Settings of the heads, chosen on the vectors of the untouched embedder.

    After contrastive training the same choice would be blind: its vectors of a held-out fold were
    trained to be told apart.
    """
    if config.head == "linear":
        return HeadSettings("linear")
    if config.inverse_regularization is not None:
        return HeadSettings("logistic", config.inverse_regularization)
    table = take(data.table, np.arange(data.given))
    if not data.given or int(count_texts(table).min()) < 2:
        table = data.table  # with the texts made of names, which are all too easy to tell apart
    fewest = int(count_texts(table).min())
    if fewest < 2:
        tell(f"C = {UNCHOSEN:g}: a label with {fewest} text leaves nothing to cross-validate")
        return HeadSettings("logistic", UNCHOSEN)
    folds = min(FOLDS, len(set(table.columns["text"])))
    value, tried = choose_regularization(
        vectors_ND[: len(table)],
        np.asarray(table.target),
        len(data.names),
        folds_by_label(table, folds, config.seed),
    )
    tell(f"C = {value:g}: the lowest log loss in {folds}-fold cross-validation, before training")
    return HeadSettings("logistic", value, tuple(tried))


def with_head(
    embedder: Embedder,
    vectors_ND: npt.NDArray[np.float32],
    target: npt.NDArray[Any],
    names: tuple[str, ...],
    head: HeadSettings,
    *,
    multi_label: bool,
) -> EmbeddingClassifier:
    """Fit a head on vectors and put it on their embedder.

    Args:
        embedder: what made the vectors.
        vectors_ND: of the texts.
        target: (N,) labels, (N, C) of 0 and 1, or (N, C) probabilities.
        names: of the labels.
        head: its settings.
        multi_label: whether a text may have any number of labels.
    """
    probabilities = probabilities_from(target, len(names))
    if head.kind == "linear":
        weight, bias = fit_linear_head(vectors_ND, probabilities, multi_label=multi_label)
    else:
        assert head.inverse_regularization is not None
        if ((probabilities == 0) | (probabilities == 1)).all():
            known = probabilities if multi_label else probabilities.argmax(axis=1)
            weight, bias = fit_logistic(vectors_ND, known, len(names), head.inverse_regularization)
        else:
            weight, bias = fit_soft_logistic(
                vectors_ND, probabilities, head.inverse_regularization, multi_label=multi_label
            )
    linear = LinearClassifier(
        labels=names, multi_label=multi_label, weight=weight, bias=bias, facts=head.facts
    )
    return EmbeddingClassifier(embedder, linear)


def measured(
    model: EmbeddingClassifier, evaluation: Evaluation | None, name: str
) -> EvaluationResult | None:
    """Measure a classifier and say its figure; `None` without data to measure on."""
    if evaluation is None:
        return None
    found = replace(evaluation.measure(model), model={"name": name, "sha256": ""})
    metric = evaluation.metric
    low, high = found.intervals[metric]
    tell(f"{name}: {metric} {found.metrics[metric]:.4f} [{low:.4f}, {high:.4f}], n = {found.n:,}")
    return found


def make_plan(
    config: FewShotConfig,
    target: npt.NDArray[Any],
    steps: int | None,
    passes: int = PASSES,
    fewest: int = FEWEST,
) -> ClassBalancedPlan:
    """Class-balanced batches, and how many of them.

    Args:
        config: the settings.
        target: (N,) labels, or (N, C) of 0 and 1.
        steps: so many; by the number of texts if `None`.
        passes: over the texts, where their number decides.
        fewest: steps, the same.
    """
    counts = np.bincount(target.astype(np.int64)) if target.ndim == 1 else (target > 0).sum(axis=0)
    counts = counts[counts > 0]
    classes = max(len(counts), 1)
    most = int(counts.max(initial=1))
    texts = config.texts_per_class or max(4, min(config.batch_size // classes, math.ceil(most / 2)))
    texts = max(min(texts, most), 1)
    together = max(config.batch_size // texts, 2)
    rows = min(together, classes) * texts
    if steps is None:
        steps = min(max(fewest, math.ceil(passes * len(target) / rows)), MOST)
    return ClassBalancedPlan(target, steps, classes=together, texts=texts, seed=config.seed)


def pair_counts(plan: ClassBalancedPlan, target: npt.NDArray[Any]) -> dict[str, int]:
    """How many pairs a plan's steps compare: in all, with a label in common, and different ones.

    Returns:
        `compared`, `positive`: in all steps; `encoded`: texts encoded in all steps; `distinct`:
        pairs that the texts have.
    """
    compared = positive = encoded = 0
    for index in range(len(plan)):
        rows = plan.batch(0, index)
        drawn = target[rows]
        same = (
            drawn[:, None] == drawn[None, :]
            if drawn.ndim == 1
            else np.asarray(drawn, dtype=np.float32) @ np.asarray(drawn, dtype=np.float32).T > 0
        )
        compared += len(rows) * (len(rows) - 1) // 2
        positive += int(np.triu(same, k=1).sum())
        encoded += len(rows)
    texts = len(target)
    return {
        "compared": compared,
        "positive": positive,
        "encoded": encoded,
        "distinct": texts * (texts - 1) // 2,
    }


def contrastive_loss(
    config: FewShotConfig, plan: ClassBalancedPlan, target: npt.NDArray[Any]
) -> str:
    """The contrastive loss: of few classes the pairs' cosines, of many the ranking of classmates.

    On TREC (6 classes) the former was better by 0.03, on Banking77 (77) the latter by as much.

    Args:
        config: the settings.
        plan: the batches.
        target: (N,) labels, or (N, C) of 0 and 1.
    """
    if config.loss != "auto":
        return config.loss
    together = target.ndim == 1 and len(np.unique(target)) <= plan.classes
    return "cosine-pairs" if together else "supervised-contrastive"


def announce_pairs(plan: ClassBalancedPlan, counts: dict[str, int], loss: str) -> None:
    """Say what the stage is about to compare."""
    tell(
        f"{loss}: {len(plan):,} steps of {plan.classes} classes with up to {plan.texts} texts each"
    )
    tell(
        f"{counts['compared']:,} pairs will be compared, {counts['positive']:,} of them positive, "
        f"by encoding {counts['encoded']:,} texts (there are {counts['distinct']:,} different "
        "pairs)"
    )


def train_contrastive_stage(
    config: FewShotConfig,
    data: FewShotData,
    embedder: Embedder,
    head: HeadSettings,
    folder: Path,
) -> tuple[Embedder, dict[str, Any] | None]:
    """Train the embedder on all pairs of class-balanced batches; an ordinary run in its folder.

    Returns:
        The trained embedder, and what the stage's result.json holds; the embedder as it was and
        `None` where no two texts have a label in common.
    """
    target = np.asarray(data.table.target)
    plan = make_plan(config, target, config.steps)
    counts = pair_counts(plan, target)
    loss = contrastive_loss(config, plan, target)
    announce_pairs(plan, counts, loss)
    if not counts["positive"]:
        tell("no two texts have a label in common: there is nothing to train on but a head")
        return embedder, None
    fit = EmbedderFit(config, folder, resume=config.resume)
    if (finished := fit.finished) is not None:
        trained = load_start(config, str(folder / "model"), fresh=False)
        trained.name, trained.sha256 = embedder.name, embedder.sha256
        return trained, {**finished, "pairs": counts}
    table = data.table

    def measure(model: Embedder) -> EvaluationResult:
        assert data.evaluation is not None
        vectors = model.encode(table.columns["text"], progress=False)
        classifier = with_head(
            model, vectors, target, data.names, head, multi_label=data.multi_label
        )
        return data.evaluation.measure(classifier)

    evaluation = None
    if config.evaluate_every and data.evaluation is not None:
        evaluation = replace(data.evaluation, measure=measure)
    result = fit.train(
        embedder,
        make_few_shot_objective(loss, temperature=config.temperature).to(embedder.device),
        TrainingData.of(table.columns, target, embedder.tokenizer),
        loss=loss,
        source=Source.of(table),
        evaluation=evaluation,
        arguments=config.arguments(
            len(plan), rows=plan.batch_size, learning_rate=config.rate_for(embedder.dimensions)
        ),
        plan=plan,
        card=lambda result: fit.card_of(embedder, result),
    )
    return embedder, {**result, "pairs": counts}
