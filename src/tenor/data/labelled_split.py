"""Holding labelled texts out so that every label is represented on both sides."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tenor.data.prepare import take
from tenor.data.schema import PairTable
from tenor.errors import DataError

__all__ = ["folds_by_label", "hold_out_by_label"]

Integers = npt.NDArray[np.int64]


def hold_out_by_label(table: PairTable, share: float, seed: int) -> tuple[PairTable, PairTable]:
    """Split off texts for validation, about the same share of every label.

    Rows of the same text stay together, and of no label all texts are held out.

    Args:
        table: labelled texts; of one with several labels its rarest counts.
        share: about this share of the texts is held out, above 0 and below 1.
        seed: decides which.

    Returns:
        The rows to train on and those held out.

    Raises:
        DataError: when nothing would be left on one side.
    """
    group, label = _groups(table)
    generator = np.random.default_rng([seed, 1])
    order = generator.permutation(len(label))
    order = order[np.argsort(label[order], kind="stable")]
    # Every 1/share-th text in the order of the labels: each gets its part, to within one text.
    edges = np.floor((np.arange(len(order) + 1) + generator.random()) * share)
    chosen = order[np.diff(edges) > 0]
    labels, firsts = np.unique(label[chosen], return_index=True)
    whole = np.bincount(label[chosen])[labels] == np.bincount(label)[labels]
    held = np.isin(group, np.delete(chosen, firsts[whole]))
    if not held.any() or held.all():
        raise DataError("too few different texts to hold some out.", path=table.path)
    return take(table, np.flatnonzero(~held)), take(table, np.flatnonzero(held))


def folds_by_label(table: PairTable, folds: int, seed: int) -> Integers:
    """Deal the rows out to folds for cross-validation, each label evenly.

    Args:
        table: labelled texts; of one with several labels its rarest counts.
        folds: how many.
        seed: decides which rows go where.

    Returns:
        (rows,) the fold of each row, from 0; rows of the same text are in the same one.
    """
    group, label = _groups(table)
    order = np.random.default_rng([seed, 2]).permutation(len(label))
    order = order[np.argsort(label[order], kind="stable")]
    fold = np.empty(len(label), dtype=np.int64)
    fold[order] = np.arange(len(order)) % folds
    return fold[group]


def _groups(table: PairTable) -> tuple[Integers, Integers]:
    """(rows,) which distinct text stands in a row, and (texts,) the label that it is dealt by."""
    assert table.target is not None
    target = table.target
    if target.ndim == 2:
        counts = target.sum(axis=0)
        rarest = np.where(target > 0, counts, np.inf).argmin(axis=1)
        target = np.where(target.any(axis=1), rarest + 1, 0)
    texts: dict[str, int] = {}
    group = np.fromiter(
        (texts.setdefault(text, len(texts)) for text in table.columns["text"]),
        dtype=np.int64,
        count=len(table),
    )
    label = np.empty(len(texts), dtype=np.int64)
    label[group[::-1]] = target[::-1]  # of a text that stands there twice, the first
    return group, label
