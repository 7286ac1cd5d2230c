"""Splitting rows so that nothing that is trained on is measured on: equal texts stay together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tenor.data.overlap import normalise
from tenor.data.prepare import take
from tenor.data.schema import PairTable
from tenor.data.tagging import TaggedTexts
from tenor.errors import DataError

__all__ = ["Rows", "known_rows", "row_texts", "split_off", "take_rows"]

Rows = PairTable | TaggedTexts
Integers = npt.NDArray[np.int64]


def row_texts(rows: Rows) -> list[tuple[str, ...]]:
    """The texts of each row, as `normalise` writes them."""
    columns = [rows.texts] if isinstance(rows, TaggedTexts) else list(rows.columns.values())
    normal = [[normalise(text) for text in column] for column in columns]
    return list(zip(*normal, strict=True))


def take_rows(rows: Rows, chosen: Integers) -> Rows:
    """Some rows, in the order given."""
    if isinstance(rows, TaggedTexts):
        return rows.take(chosen.tolist())
    return take(rows, chosen)


def known_rows(rows: Rows, others: Rows) -> npt.NDArray[np.bool_]:
    """Which rows give rows of another table away.

    A row does with all of its texts in one row of the other table, in any order: a text with a
    label, or a pair. A text alone of a pair's two says nothing of what belongs to it.

    Args:
        rows: that may be trained on.
        others: that are measured on.
    """
    seen = {frozenset(texts[:2]) for texts in row_texts(others)}
    return np.array([frozenset(texts[:2]) in seen for texts in row_texts(rows)], dtype=bool)


def split_off(rows: Rows, share: float, seed: int) -> tuple[Rows, Rows, bool]:
    """Split off a share of the rows; a text stands on one side only.

    Rows that share a text, directly or through others, go together. Of labelled texts each label
    gives its share, and never all of its texts. Where nearly all rows hang together, those that
    share their first text go together, and other texts may stand on both sides.

    Args:
        rows: all of them.
        share: about this share is split off, above 0 and below 1.
        seed: decides which.

    Returns:
        The rows that stay, those split off, and whether no text stands on both sides.

    Raises:
        DataError: when there are too few different texts.
    """
    texts = row_texts(rows)
    # What a triplet's negative is, tells nothing of the rows it stands in.
    group = _connected([each[:2] for each in texts])
    held = _drawn(group, _label_of(rows), share, seed)
    apart = held.sum() >= 0.5 * share * len(texts)
    if not apart:
        held = _drawn(_connected([each[:1] for each in texts]), _label_of(rows), share, seed)
    if held.sum() < 2 or held.all():
        raise DataError("too few different texts to hold some out.", path=rows.path)
    kept, out = np.flatnonzero(~held), np.flatnonzero(held)
    return take_rows(rows, kept), take_rows(rows, out), bool(apart)


def _connected(texts: Sequence[tuple[str, ...]]) -> Integers:
    """(rows,) a number for each row, the same for rows that hang together by equal texts."""
    parent = list(range(len(texts)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    first: dict[str, int] = {}
    for row, own in enumerate(texts):
        for text in own:
            one, other = root(first.setdefault(text, row)), root(row)
            parent[max(one, other)] = min(one, other)
    return np.array([root(row) for row in range(len(texts))], dtype=np.int64)


def _drawn(group: Integers, label: Integers, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """(rows,) which are split off: whole groups, of each label about its share."""
    numbers, first, sizes = np.unique(group, return_index=True, return_counts=True)
    held = np.zeros(len(numbers), dtype=bool)
    order = np.random.default_rng([seed, 7]).permutation(len(numbers))
    of_group = label[first]
    for each in np.unique(of_group):
        own = order[of_group[order] == each]
        room = share * sizes[own].sum()
        for place in own[:-1].tolist():  # one group of a label always stays
            # A group that would overshoot by more than half of itself is left where it is.
            if sizes[place] <= 2 * room:
                held[place] = True
                room -= sizes[place]
            if room < 0.5:
                break
    return np.isin(group, numbers[held])


def _label_of(rows: Rows) -> Integers:
    """(rows,) the label that a row is dealt by; 0 where there is none."""
    if not isinstance(rows, PairTable) or rows.kind == "scored" or rows.target is None:
        return np.zeros(len(rows), dtype=np.int64)
    target = np.asarray(rows.target)
    if target.ndim == 1:
        return np.asarray(target, dtype=np.int64)
    counts = target.sum(axis=0)
    rarest = np.where(target > 0, counts, np.inf).argmin(axis=1)
    return np.asarray(np.where(target.any(axis=1), rarest + 1, 0), dtype=np.int64)
