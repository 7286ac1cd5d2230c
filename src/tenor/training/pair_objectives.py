"""Objectives of a cross-encoder: from the logits of a batch's distinct pairs to one loss.

Shape legend: U distinct pairs of the batch, B rows, C labels, K candidates of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tenor.data.roles import Kind
from tenor.errors import ConfigError
from tenor.losses.binary_cross_entropy import binary_cross_entropy
from tenor.losses.cross_entropy import cross_entropy
from tenor.losses.listwise import listwise
from tenor.losses.mean_squared_error import mean_squared_error
from tenor.tokens.text_check import check_texts
from tenor.tokens.tokenizer import Tokenizer
from tenor.training.batch import TrainingBatch, TrainingData
from tenor.training.objectives import Objective

__all__ = ["LOSSES", "choose_pair_loss", "make_pair_objective", "pair_data"]

_LOSSES: Mapping[str, frozenset[Kind]] = {
    "bce": frozenset(["scored", "labelled_pairs", "pairs", "triplets"]),
    "mse": frozenset(["scored", "labelled_pairs"]),
    "cross-entropy": frozenset(["nli", "labelled_pairs"]),
    "mnr": frozenset(["pairs", "triplets", "nli", "scored", "labelled_pairs"]),
}
LOSSES = tuple(_LOSSES)
_CHOICES: Mapping[Kind, tuple[str, str]] = {
    "scored": ("bce", "scored pairs: the score is to be as probable as the data says"),
    "labelled_pairs": ("bce", "pairs labelled same or different: one score tells them apart"),
    "nli": ("cross-entropy", "pairs with several labels: each gets a score"),
    "pairs": ("mnr", "positive pairs: the positive is to rank first among random other texts"),
    "triplets": ("mnr", "triplets: the positive is to rank first among its negatives and others"),
}


def choose_pair_loss(asked: str, kind: Kind) -> tuple[str, str]:
    """The loss a kind of data is trained on, and why, in words for the log.

    Args:
        asked: auto, or one of `LOSSES`.
        kind: of the data.

    Raises:
        ConfigError: there is no such loss, or it cannot be trained on this data.

    >>> choose_pair_loss("auto", "nli")[0]
    'cross-entropy'
    """
    if asked == "auto":
        if kind not in _CHOICES:
            raise ConfigError("loss", asked, f"used with pairs of texts, and the data is {kind}")
        return _CHOICES[kind]
    if asked not in _LOSSES:
        raise ConfigError("loss", asked, f"one of auto, {', '.join(LOSSES)}")
    if kind not in _LOSSES[asked]:
        fitting = ", ".join(name for name, kinds in _LOSSES.items() if kind in kinds)
        raise ConfigError("loss", asked, f"a loss for {kind}, which the data is: {fitting or None}")
    return asked, "as asked"


def make_pair_objective(name: str, *, scale: float = 10.0) -> Objective:
    """Make the objective of a loss by its name.

    Args:
        name: one of `LOSSES`. `bce` and `mse` take a score or a label 0 or 1 of each pair,
            `cross-entropy` a label; `mnr` takes lists of candidates, the positive first, and `bce`
            takes them, too: 1 for the positive, 0 for the others.
        scale: factor of the scores in `mnr`.

    Raises:
        ConfigError: for a loss that does not exist.
    """
    pointwise: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "bce": binary_cross_entropy,
        "mse": mean_squared_error,
    }
    if name == "mnr":
        return Objective(lambda logits, batch: _listwise(logits, batch, scale))
    if name == "cross-entropy":
        return Objective(
            lambda logits, batch: cross_entropy(
                _rows(logits, batch.columns["pair"]), _target(batch, logits)
            )
        )
    if name not in pointwise:
        raise ConfigError("loss", name, f"one of auto, {', '.join(LOSSES)}")
    loss = pointwise[name]
    return Objective(lambda logits, batch: _pointwise(logits, batch, loss))


def pair_data(
    columns: Mapping[str, Sequence[str]],
    target: npt.NDArray[np.generic] | None,
    tokenizer: Tokenizer,
) -> TrainingData:
    """Tokenise each distinct pair once: its one column, `pair`, says which stands in a row.

    Args:
        columns: the two texts of each row.
        target: its score or label.
        tokenizer: the model's.

    Raises:
        DataError: for something that is no text; it names row and column.
    """
    for name, texts in columns.items():
        check_texts(texts, column=name)
    distinct: dict[tuple[str, str], int] = {}
    rows = list(zip(*columns.values(), strict=True))
    places = np.fromiter(
        (distinct.setdefault(pair, len(distinct)) for pair in rows), np.int64, len(rows)
    )
    ids = tokenizer.pairs([left for left, _ in distinct], [right for _, right in distinct])
    return TrainingData(ids, {"pair": places}, target, tokenizer.filler_id)


def _listwise(logits_UC: Tensor, batch: TrainingBatch, scale: float) -> Tensor:
    logits_BK, excluded_BK = _candidates(logits_UC, batch)
    return listwise(logits_BK, excluded_BK=excluded_BK, scale=scale)


def _pointwise(
    logits_UC: Tensor, batch: TrainingBatch, loss: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    if "pair" in batch.columns:
        logits_B = _rows(logits_UC, batch.columns["pair"])[:, 0]
        return loss(logits_B, _target(batch, logits_UC))
    logits_BK, excluded_BK = _candidates(logits_UC, batch)
    targets_BK = torch.zeros_like(logits_BK)
    targets_BK[:, 0] = 1.0
    return loss(logits_BK[~excluded_BK], targets_BK[~excluded_BK])


def _candidates(logits_UC: Tensor, batch: TrainingBatch) -> tuple[Tensor, Tensor]:
    """Logits of each row's candidates, the positive first, and which do not count.

    A candidate that is the positive again only fills the row up.
    """
    index_BK = torch.stack(list(batch.columns.values()), dim=1)
    excluded_BK = index_BK == index_BK[:, :1]
    excluded_BK[:, 0] = False
    logits_BK = _rows(logits_UC, index_BK)[..., 0]
    return logits_BK, excluded_BK.to(logits_BK.device)


def _rows(logits_UC: Tensor, index: Tensor) -> Tensor:
    return torch.nn.functional.embedding(index.to(logits_UC.device), logits_UC)


def _target(batch: TrainingBatch, like: Tensor) -> Tensor:
    if batch.target is None:
        raise ValueError("this loss needs scores or labels")
    return batch.target.to(like.device)
