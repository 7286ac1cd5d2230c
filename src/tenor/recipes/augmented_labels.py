"""What a silver score is: the cross-encoder's, or the mean of it and the teacher's cosine.

Two models that read a pair differently, one both texts at once and one each alone, err in different
places; where neither is much the better, their mean is nearer to the truth than both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.evaluation.pairs import pair_evaluation
from tenor.models.cross_encoder import CrossEncoder
from tenor.models.embedder import Embedder
from tenor.recipes.augmented import AugmentedConfig
from tenor.recipes.augmented_data import AugmentedData
from tenor.recipes.augmented_stages import LabellerModel, teacher
from tenor.recipes.settings import device_of, split_seed_of
from tenor.recipes.silver_scores import cosines, scaled
from tenor.recipes.tell import tell
from tenor.training.run import Run

__all__ = ["MeanLabeller", "SilverScores", "silver_scores"]

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MeanLabeller:
    """A cross-encoder and a bi-encoder that label together.

    Args:
        cross_encoder: gives one score a pair.
        teacher: a bi-encoder whose cosines are on the scale of the labels.
    """

    cross_encoder: CrossEncoder
    teacher: Embedder

    @property
    def labels(self) -> tuple[str, ...]:
        """One score."""
        return ("score",)

    def score_counted(self, pairs: Sequence[tuple[str, str]], /) -> tuple[Scores, int]:
        """(N,) the mean of both, and how many pairs the cross-encoder cut."""
        scores, truncated = self.cross_encoder.score_counted(pairs, progress=False)
        left, right = zip(*pairs, strict=True)
        return _mean(scaled(scores)[0], cosines(self.teacher, left, right)), truncated


@dataclass(frozen=True, eq=False)
class SilverScores:
    """The scores of the candidates.

    Args:
        scores: (C,) what is trained on, on 0 to 1.
        parts: (C,) scores they are made of, by the name of their column in silver.parquet.
        labeller: hash of what labelled; two, joined by a plus, for the mean of two models.
        notes: what result.json says of it.
    """

    scores: Scores
    parts: dict[str, Scores]
    labeller: str
    notes: dict[str, Any]


def silver_scores(
    config: AugmentedConfig,
    data: AugmentedData,
    run: Run,
    labeller: LabellerModel,
    scores: Scores,
    pairs: tuple[Sequence[str], Sequence[str]],
) -> SilverScores:
    """Decide what labels, by the validation pairs where that is left open, and give the scores.

    Args:
        config: the settings.
        data: all that was read.
        run: of the whole.
        labeller: the cross-encoder.
        scores: (C,) what it gave the candidates, on 0 to 1.
        pairs: left and right texts of the candidates.
    """
    parts, notes = {"cross_encoder_score": scores}, {"label_with": "cross-encoder"}
    if config.label_with == "cross-encoder":
        return SilverScores(scores, parts, labeller.sha256, notes)
    bi_encoder = teacher(config, data, run)
    if config.label_with == "auto":
        notes |= _compared(config, data, labeller, bi_encoder)
        if notes["label_with"] == "cross-encoder":
            return SilverScores(scores, parts, labeller.sha256, notes)
    notes["label_with"] = "mean"
    parts["teacher_score"] = cosines(bi_encoder, *pairs)
    both = f"{labeller.sha256}+{bi_encoder.sha256}"
    return SilverScores(_mean(*parts.values()), parts, both, notes)


def _compared(
    config: AugmentedConfig, data: AugmentedData, labeller: LabellerModel, bi_encoder: Embedder
) -> dict[str, Any]:
    """How near the cross-encoder and the mean come to the labels of the validation pairs."""
    measure, metric = pair_evaluation(data.validation, seed=split_seed_of(config))
    cross_encoder = CrossEncoder.load(labeller.name, device=device_of(config), dtype=config.dtype)
    both = MeanLabeller(cross_encoder, bi_encoder)
    figures = {
        "cross-encoder": measure(cross_encoder).metrics[metric],
        "mean": measure(both).metrics[metric],
    }
    best = max(figures, key=figures.__getitem__)
    tell(
        f"labels on the validation pairs: {metric} {figures['cross-encoder']:.4f} by the "
        f"cross-encoder, {figures['mean']:.4f} by the mean of it and the teacher: labelling with "
        f"the {best}"
    )
    return {"label_with": best, "labels_on_validation": {"metric": metric, **figures}}


def _mean(one: Scores, other: Scores) -> Scores:
    return np.asarray((one + other) / 2, dtype=np.float32)
