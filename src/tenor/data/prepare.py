"""The rows that a loss trains on, made of the rows a user has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tenor.data.pairs import positives_from_scored, triplets_from_nli
from tenor.data.roles import NLI_LABELS
from tenor.data.schema import PairTable
from tenor.errors import DataError

__all__ = ["hold_out", "positive_pairs", "prepare", "take"]


def prepare(table: PairTable, loss: str, *, threshold: float = 0.8, seed: int = 0) -> PairTable:
    """The rows of `table` as a loss takes them.

    Multiple negatives ranking and triplet loss take triplets out of NLI labels; ranking takes the
    pairs of at least `threshold` out of scored pairs, and the pairs labelled the same out of
    labelled ones. Everything else goes as it is.

    Args:
        table: rows of a kind that the loss accepts.
        loss: name of the loss.
        threshold: the lowest score (on 0 to 1) that makes a positive pair.
        seed: decides which negative goes with which positive.

    Raises:
        DataError: when not a single row is left.
    """
    if loss in ("mnr", "triplet") and table.kind == "nli":
        return triplets_from_nli(table, seed=seed)
    if loss == "mnr" and table.kind == "scored":
        return positives_from_scored(table, threshold)
    if loss == "mnr" and table.kind == "labelled_pairs":
        assert table.target is not None
        same = np.flatnonzero(np.asarray(table.target) == 1)
        if not len(same):
            raise DataError(
                "no pair is labelled the same, and ranking needs some.", path=table.path
            )
        chosen = take(table, same)
        left, right = chosen.columns.values()
        return replace(
            chosen, kind="pairs", columns={"anchor": left, "positive": right}, target=None
        )
    if loss == "triplet" and table.kind == "triplets":
        return replace(
            table, columns={name: table.columns[name] for name in list(table.columns)[:3]}
        )
    return table


def take(table: PairTable, rows: np.ndarray) -> PairTable:
    """Some rows of a table, in the order given."""
    chosen = rows.tolist()
    return replace(
        table,
        columns={name: [texts[row] for row in chosen] for name, texts in table.columns.items()},
        target=None if table.target is None else table.target[rows],
        lines=table.lines[rows],
    )


def hold_out(table: PairTable, share: float, seed: int) -> tuple[PairTable, PairTable]:
    """Split off rows for validation; rows that share their first text stay together.

    Args:
        table: all rows.
        share: about this share of the rows is held out.
        seed: decides which.

    Returns:
        The rows to train on and those held out.

    Raises:
        DataError: when nothing would be left on one side.
    """
    first = next(iter(table.columns.values()))
    groups: dict[str, int] = {}
    group = np.fromiter((groups.setdefault(t, len(groups)) for t in first), np.int64, len(first))
    order = np.random.default_rng([seed, 1]).permutation(len(groups))
    held = np.isin(group, order[: max(1, round(share * len(groups)))])
    if held.all() or len(groups) < 2:
        raise DataError("too few different texts to hold some out.", path=table.path)
    return take(table, np.flatnonzero(~held)), take(table, np.flatnonzero(held))


def positive_pairs(table: PairTable, *, threshold: float) -> PairTable:
    """The pairs of a table that belong together: for mining.

    Args:
        table: pairs, triplets, scored or labelled pairs.
        threshold: of scored pairs, the lowest score (0 to 1) of a positive pair.

    Raises:
        DataError: there is none.
    """
    if table.kind == "labelled_texts":
        raise DataError(
            "holds labelled texts; mining needs pairs: anchor and positive.", path=table.path
        )
    if table.kind != "nli":
        return prepare(table, "mnr", threshold=threshold)
    assert table.target is not None
    entailed = take(table, np.flatnonzero(table.target == NLI_LABELS.index("entailment")))
    if not len(entailed):
        raise DataError("no pair is labelled entailment.", path=table.path)
    left, right = entailed.columns.values()
    columns = {"anchor": left, "positive": right}
    return replace(entailed, kind="pairs", columns=columns, target=None, label_names=None)
