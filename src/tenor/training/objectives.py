"""Objectives: from the embeddings of a batch's distinct texts to one loss.

Shape legend: U distinct texts of the batch, B rows, D dimensions, C candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenor import losses
from tenor.errors import ConfigError
from tenor.training.batch import TrainingBatch

__all__ = ["LOSSES", "Objective", "make_objective"]


class Objective(nn.Module):
    """A loss of a batch's embeddings; may hold parameters of its own.

    Args:
        function: from (U, D) embeddings and the batch to a scalar.
        matryoshka: dimensions at which the loss is also computed (Kusupati et al. 2022).

    Attributes:
        normalize: whether it wants embeddings scaled to length 1; as the model does by default.
    """

    normalize: bool | None = None

    def __init__(
        self,
        function: Callable[[Tensor, TrainingBatch], Tensor],
        matryoshka: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.function = function
        self.matryoshka = list(matryoshka) if matryoshka else None

    def forward(self, embeddings_UD: Tensor, batch: TrainingBatch) -> Tensor:
        """The loss of a batch, from the embeddings of its distinct texts."""
        if self.matryoshka is None:
            return self.function(embeddings_UD, batch)
        width = embeddings_UD.shape[1]
        dimensions = sorted({width, *self.matryoshka}, reverse=True)
        wrapped = losses.matryoshka(lambda x: self.function(x, batch), dimensions)
        return wrapped(embeddings_UD)


def make_objective(
    name: str,
    *,
    dimensions: int,
    classes: int = 0,
    scale: float = 20.0,
    margin: float | None = None,
    distance: str | None = None,
    temperature: float = 0.05,
    symmetric: bool = False,
    matryoshka: Sequence[int] | None = None,
) -> Objective:
    """Make the objective of a loss by its name.

    Args:
        name: one of `LOSSES`.
        dimensions: of the embeddings.
        classes: number of labels, for softmax.
        scale: inverse temperature of multiple negatives ranking and CoSENT.
        margin: of contrastive (0.5), online contrastive (0.5) and triplet (5.0).
        distance: of these: cosine, euclidean or manhattan; each loss's own default otherwise.
        temperature: of supervised contrastive.
        symmetric: whether ranking also ranks anchors for each positive.
        matryoshka: dimensions at which the loss is also computed.

    Raises:
        ConfigError: for a loss that does not exist.
    """
    if matryoshka and not all(0 < d <= dimensions for d in matryoshka):
        raise ConfigError("matryoshka", list(matryoshka), f"dimensions from 1 to {dimensions}")
    if matryoshka and name == "softmax":
        raise ConfigError("matryoshka", list(matryoshka), "left out with softmax: it fixes a width")
    options = {"margin": margin, "distance": distance}
    given = {key: value for key, value in options.items() if value is not None}
    if name == "mnr":
        return Objective(_ranking(scale, symmetric), matryoshka)
    if name == "softmax":
        if classes < 2:
            raise ConfigError("loss", name, "used with labelled pairs of at least two classes")
        return SoftmaxObjective(dimensions, classes)
    if name == "supervised-contrastive":
        return Objective(
            lambda x, batch: losses.supervised_contrastive(
                _rows(x, batch.columns["text"]), _target(batch, x), temperature=temperature
            ),
            matryoshka,
        )
    if name == "triplet":
        return Objective(
            lambda x, batch: losses.triplet(
                *(_rows(x, batch.columns[c]) for c in ("anchor", "positive", "negative")),
                **given,  # type: ignore[arg-type]
            ),
            matryoshka,
        )
    pairwise: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
        "cosine": losses.cosine_similarity,
        "contrastive": lambda u, v, y: losses.contrastive(u, v, y, **given),  # type: ignore[arg-type]
        "online-contrastive": lambda u, v, y: losses.online_contrastive(u, v, y, **given),  # type: ignore[arg-type]
        "cosent": lambda u, v, y: losses.cosent(u, v, y, scale=scale),
    }
    if name not in pairwise:
        raise ConfigError("loss", name, f"one of auto, {', '.join(LOSSES)}")
    loss = pairwise[name]
    return Objective(lambda x, batch: loss(*_pair(x, batch), _target(batch, x)), matryoshka)


LOSSES = (
    "mnr",
    "cosine",
    "softmax",
    "contrastive",
    "online-contrastive",
    "triplet",
    "cosent",
    "supervised-contrastive",
)


class SoftmaxObjective(Objective):
    """Softmax over (u, v, |u - v|) with a classifier of its own (Reimers & Gurevych 2019).

    Embeddings are not scaled to length 1, whatever the model does otherwise: of numbers as small
    as theirs a linear layer learns next to nothing, and the encoder is pulled about by its noise.
    """

    normalize = False

    def __init__(self, dimensions: int, classes: int) -> None:
        super().__init__(self._loss)
        self.classifier = nn.Linear(3 * dimensions, classes)

    def _loss(self, embeddings_UD: Tensor, batch: TrainingBatch) -> Tensor:
        u, v = _pair(embeddings_UD, batch)
        labels = _target(batch, u)
        return losses.softmax(u, v, labels, self.classifier.weight, self.classifier.bias)


def _ranking(scale: float, symmetric: bool) -> Callable[[Tensor, TrainingBatch], Tensor]:
    def loss(embeddings_UD: Tensor, batch: TrainingBatch) -> Tensor:
        anchors = batch.columns["anchor"]
        negatives = [
            index for name, index in batch.columns.items() if name not in ("anchor", "positive")
        ]
        # Every text of the batch that stands as a positive or a negative is one candidate.
        candidates, places = torch.unique(
            torch.cat([batch.columns["positive"], *negatives]), return_inverse=True
        )
        positives = places[: len(anchors)]
        excluded = losses.exclusions(anchors, candidates, positives)
        if batch.groups is not None:
            # A group is like an anchor that its rows share; no text has a number below 0.
            excluded |= losses.exclusions(-1 - batch.groups, candidates, positives)
        device = embeddings_UD.device
        return losses.multiple_negatives_ranking(
            _rows(embeddings_UD, anchors),
            _rows(embeddings_UD, candidates),
            positives.to(device),
            excluded_BC=excluded.to(device),
            scale=scale,
            symmetric=symmetric,
        )

    return loss


def _rows(embeddings_UD: Tensor, index: Tensor) -> Tensor:
    # Indexing by a tensor has a slow backward on the CPU; an embedding look-up is the same, fast.
    return F.embedding(index.to(embeddings_UD.device), embeddings_UD)


def _pair(embeddings_UD: Tensor, batch: TrainingBatch) -> tuple[Tensor, Tensor]:
    left, right = batch.columns.values()
    return _rows(embeddings_UD, left), _rows(embeddings_UD, right)


def _target(batch: TrainingBatch, like: Tensor) -> Tensor:
    if batch.target is None:
        raise ValueError("this loss needs scores or labels")
    return batch.target.to(like.device)
