"""Texts without labels: the few-shot model labels them, and a student learns from both.

Distillation as SetFit has it (Tunstall et al. 2022), but what the teacher passes on of two texts is
not their cosine: it is the probability that they share a label, so that texts whose labels are
known teach exactly these.

Shape legend: N texts, C labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.models.embedder import Embedder
from tenor.models.embedding_classifier import EmbeddingClassifier
from tenor.models.static import StaticEmbedder
from tenor.recipes.embedder_fit import EmbedderFit
from tenor.recipes.few_shot import (
    STUDENT_FEWEST,
    STUDENT_LEARNING_RATE,
    STUDENT_PASSES,
    FewShotConfig,
)
from tenor.recipes.few_shot_data import FewShotData
from tenor.recipes.few_shot_stages import (
    HeadSettings,
    announce_pairs,
    load_start,
    make_plan,
    pair_counts,
    with_head,
)
from tenor.recipes.fit_data import Source
from tenor.recipes.soft_logistic import probabilities_from
from tenor.recipes.tell import tell
from tenor.training.batch import TrainingData
from tenor.training.few_shot_objectives import make_soft_objective

__all__ = ["train_student"]

STATIC_LEARNING_RATE = 1e-2  # of a table of vectors, whose rows few texts reach


def train_student(
    config: FewShotConfig,
    data: FewShotData,
    teacher: EmbeddingClassifier,
    head: HeadSettings,
    folder: Path,
    start: Callable[[], Embedder],
) -> tuple[EmbeddingClassifier, dict[str, Any]]:
    """Train a student on labelled texts and on those that the teacher labels.

    Args:
        config: the settings.
        data: with texts without labels.
        teacher: the few-shot model.
        head: settings of the student's head.
        folder: of the stage's run.
        start: gives the few-shot model's embedder anew: where the student starts, if the settings
            name no other.

    Returns:
        The student, and what the stage's result.json holds.
    """
    given = data.table.columns["text"]
    found = teacher.predict_proba(data.unlabelled)
    target_NC = np.concatenate(
        [probabilities_from(np.asarray(data.table.target), len(data.names)), found]
    )
    tell(_describe(found, multi_label=data.multi_label))
    texts = [*given, *data.unlabelled]
    fit = EmbedderFit(config, folder, resume=config.resume)
    finished = fit.finished
    if finished is not None:
        student = load_start(config, str(folder / "model"), fresh=False)
    elif config.student is not None:
        student = load_start(config, config.student, fresh=False)
    else:
        student = start()
    if config.student is None:
        student.name, student.sha256 = teacher.embedder.name, teacher.embedder.sha256
    else:
        student.name = config.student
    result = finished
    if finished is None:
        result = _train(config, data, fit, student, texts, target_NC)
    assert result is not None
    vectors = student.encode(texts)
    model = with_head(student, vectors, target_NC, data.names, head, multi_label=data.multi_label)
    return model, result


def _train(
    config: FewShotConfig,
    data: FewShotData,
    fit: EmbedderFit,
    student: Embedder,
    texts: list[str],
    target_NC: npt.NDArray[np.float32],
) -> dict[str, Any]:
    labels = target_NC >= 0.5 if data.multi_label else target_NC.argmax(axis=1)
    plan = make_plan(config, labels, config.student_steps, STUDENT_PASSES, STUDENT_FEWEST)
    counts = pair_counts(plan, labels)
    announce_pairs(plan, counts, "student")
    rate = config.student_learning_rate
    if rate is None:
        static = isinstance(student, StaticEmbedder)
        rate = STATIC_LEARNING_RATE if static else config.learning_rate or STUDENT_LEARNING_RATE
    arguments = config.arguments(len(plan), rows=plan.batch_size, learning_rate=rate)
    path = str(config.unlabelled)
    result = fit.train(
        student,
        make_soft_objective(multi_label=data.multi_label).to(student.device),
        TrainingData.of({"text": texts}, target_NC, student.tokenizer),
        loss="cosine-pairs, labels of the teacher",
        source=Source(len(texts), 0, path, data.hashes[path]),
        evaluation=None,
        arguments=replace(arguments, evaluate_every=0, patience=0),
        plan=plan,
        card=lambda result: fit.card_of(student, result),
    )
    return {**result, "pairs": counts}


def _describe(found_NC: npt.NDArray[np.float32], *, multi_label: bool) -> str:
    """How sure the teacher is, in words."""
    if multi_label:
        each = float((found_NC >= 0.5).sum(axis=1).mean())
        return f"the teacher gives {len(found_NC):,} texts {each:.2f} labels each"
    top = found_NC.max(axis=1)
    classes = len(np.unique(found_NC.argmax(axis=1)))
    return (
        f"the teacher labels {len(found_NC):,} texts: {classes:,} of {found_NC.shape[1]:,} labels "
        f"occur, of the median text it is {float(np.median(top)):.0%} sure"
    )
