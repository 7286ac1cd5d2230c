"""Objectives of few-shot training: all pairs of a batch's texts, each text encoded once.

Shape legend: U distinct texts of the batch, B rows, D dimensions, C labels.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from tenor.errors import ConfigError
from tenor.losses.cosine_pairs import cosine_pairs
from tenor.losses.multi_label_contrastive import multi_label_contrastive
from tenor.losses.supervised_contrastive import supervised_contrastive
from tenor.training.batch import TrainingBatch
from tenor.training.objectives import Objective

__all__ = ["LOSSES", "make_few_shot_objective", "make_soft_objective"]

LOSSES = ("supervised-contrastive", "cosine-pairs")


def make_few_shot_objective(name: str, *, temperature: float = 0.05) -> Objective:
    """Make the objective of a loss by its name, for a batch with the column `text`.

    The target is (B,) classes, or (B, C) of 0 and 1; then two texts are positives of each other
    when they share a label, and two texts without any are no pair. A text that stands in two rows
    is no pair with itself.

    Args:
        name: one of `LOSSES`.
        temperature: of supervised-contrastive.

    Raises:
        ConfigError: for a loss that does not exist.
    """
    if name == "cosine-pairs":
        return Objective(_over_rows(_hard_pairs))
    if name != "supervised-contrastive":
        raise ConfigError("loss", name, f"one of {', '.join(LOSSES)}")

    def contrastive(rows_BD: Tensor, target: Tensor, same_BB: Tensor) -> Tensor:
        if target.ndim == 1:
            return supervised_contrastive(
                rows_BD, target, temperature=temperature, excluded_UU=same_BB
            )
        none_B = target.sum(dim=1) == 0
        return multi_label_contrastive(
            rows_BD,
            target,
            temperature=temperature,
            excluded_UU=same_BB | (none_B[:, None] & none_B[None, :]),
        )

    return Objective(_over_rows(contrastive))


def make_soft_objective(*, multi_label: bool) -> Objective:
    """Cosine loss of all pairs whose labels are only probable: the mean over what they may be.

    The target is (B, C) probabilities p, 0 and 1 for a text whose labels are known. Two texts are
    a positive pair with the probability that they share a label: Σ_c p_ic p_jc, or with any number
    of labels a text 1 - Π_c (1 - p_ic p_jc).

    A contrastive loss of a low temperature would take its hardest negatives from the texts that
    are labelled wrongly; a squared error bears with them.

    Args:
        multi_label: whether a text may have any number of labels.
    """

    def soft(rows_BD: Tensor, target_BC: Tensor, same_BB: Tensor) -> Tensor:
        share_BC = target_BC.float()
        if multi_label:
            both_BBC = share_BC[:, None, :] * share_BC[None, :, :]
            likeness_BB = 1.0 - (1.0 - both_BBC).prod(dim=2)
        else:
            likeness_BB = (share_BC @ share_BC.T).clamp(0.0, 1.0)
        return cosine_pairs(rows_BD, likeness_BB, excluded_UU=same_BB)

    return Objective(_over_rows(soft))


def _hard_pairs(rows_BD: Tensor, target: Tensor, same_BB: Tensor) -> Tensor:
    if target.ndim == 1:
        return cosine_pairs(rows_BD, target[:, None] == target[None, :], excluded_UU=same_BB)
    none_B = target.sum(dim=1) == 0
    return cosine_pairs(
        rows_BD,
        (target @ target.T) > 0,
        excluded_UU=same_BB | (none_B[:, None] & none_B[None, :]),
    )


def _over_rows(
    function: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Callable[[Tensor, TrainingBatch], Tensor]:
    """Hands a loss the embedding of every row, its target, and which rows are the same text."""

    def loss(embeddings_UD: Tensor, batch: TrainingBatch) -> Tensor:
        if batch.target is None:
            raise ValueError("this loss needs labels")
        index_B = batch.columns["text"].to(embeddings_UD.device)
        target = batch.target.to(embeddings_UD.device)
        same_BB: Tensor = torch.eq(index_B[:, None], index_B[None, :])
        # An embedding look-up is indexing with a fast backward.
        return function(F.embedding(index_B, embeddings_UD), target, same_BB)

    return loss
