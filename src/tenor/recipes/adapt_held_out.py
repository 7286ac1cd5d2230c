"""The target's held-out data, and how much of it stands in what an adaptation learns from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from tenor.data.overlap import normalise, overlap
from tenor.data.prepare import take
from tenor.data.schema import PairTable, read_pairs
from tenor.errors import DataError
from tenor.evaluation.beir import read_beir
from tenor.evaluation.retrieval import Retrieval
from tenor.evaluation.validation import Measure, validation

__all__ = ["HeldOut"]


class HeldOut:
    """Data that every model is measured on, and whose labels none may learn.

    Args:
        given: a file that `validation` knows, or a folder with a retrieval task.
        columns: role = column of a file, where columns are not named as usual.
        on_bad_row: error or skip.

    Attributes:
        measure: from a model to figures.
        metric: the one that decides.
        sha256: of the data.

    Raises:
        DataError: it cannot be read or measured on.
    """

    measure: Measure
    metric: str

    def __init__(
        self, given: str, columns: Mapping[str, str] | None = None, on_bad_row: str = "error"
    ) -> None:
        self.path = given
        self.task: Retrieval | None = None
        self.table: PairTable | None = None
        if Path(given).is_dir():
            self.task = read_beir(given)
            self.measure, self.metric = self.task, "ndcg@10"
            self.sha256 = str(self.task.data["sha256"])
        else:
            self.table = read_pairs(given, columns=columns, on_bad_row=on_bad_row)  # type: ignore[arg-type]
            self.measure, self.metric = validation(self.table)
            self.sha256 = self.table.sha256

    def describe(self) -> str:
        """What it is, for a log."""
        if self.task is not None:
            size = f"{len(self.task.queries):,} queries, {len(self.task.documents):,} documents"
        else:
            assert self.table is not None
            size = f"{len(self.table):,} rows of kind {self.table.kind}"
        return f"{self.metric} on {self.path} ({size})"

    def seen_unlabelled(self, texts: Sequence[str]) -> str:
        """How much of it stands in raw text, in words."""
        if self.task is not None:
            parts = {
                "evaluation documents": overlap(texts, self.task.documents),
                "evaluation queries": overlap(texts, self.task.queries),
            }
        else:
            assert self.table is not None
            parts = {"evaluation texts": overlap(texts, self.table)}
        found = [
            f"{part.shared_texts:,} of {part.texts:,} {what} ({part.share:.1%})"
            for what, part in parts.items()
            if part.shared_texts
        ]
        if not found:
            return f"None of the {' or '.join(parts)} stands in the raw text."
        return (
            f"{' and '.join(found)} stand in the raw text, without labels: a model trained on "
            "it knows these texts, and its figures are those for texts it knows (transductive)."
        )

    def seen_labelled(self, table: PairTable) -> str:
        """How many of its texts stand in labelled rows, in words; of a task, its queries."""
        if self.task is not None:
            return overlap(table, self.task.queries).describe()
        assert self.table is not None
        return overlap(table, self.table).describe()

    def without(self, table: PairTable) -> tuple[PairTable, int]:
        """Leave out the labelled rows that give an evaluation row away.

        These are the pairs, in either order, of an evaluation query and an evaluation document, or
        those that are a pair of the evaluation file; and texts that stand there with a label.

        Returns:
            The rows that are left, and how many were left out.

        Raises:
            DataError: no row is left.
        """
        gives_away = self._gives_away(table)
        kept = [not gives_away(*texts) for texts in zip(*table.columns.values(), strict=True)]
        count = len(kept) - sum(kept)
        if count == len(kept):
            raise DataError(
                f"every row of it stands in the evaluation data, {self.path}: a model would be "
                "measured on what it learnt. Split your labelled rows into two files.",
                path=table.path,
            )
        return (take(table, np.flatnonzero(kept)), count) if count else (table, 0)

    def _gives_away(self, table: PairTable) -> Callable[..., bool]:
        if self.task is not None:
            return _asked_and_answered(self.task.queries, self.task.documents)
        assert self.table is not None
        if (table.kind == "labelled_texts") != (self.table.kind == "labelled_texts"):
            return lambda *texts: False
        if table.kind == "labelled_texts":
            known = {normalise(text) for text in self.table.columns["text"]}
            return lambda text: normalise(text) in known
        left, right, *_ = self.table.columns.values()
        pairs = {_unordered(*texts) for texts in zip(left, right, strict=True)}
        return lambda first, second, *others: _unordered(first, second) in pairs


def _asked_and_answered(queries: Iterable[str], documents: Iterable[str]) -> Callable[..., bool]:
    asked, answers = ({normalise(text) for text in texts} for texts in (queries, documents))

    def found(first: str, *others: str) -> bool:
        if not others:
            return False
        left, right = normalise(first), normalise(others[0])
        return (left in asked and right in answers) or (right in asked and left in answers)

    return found


def _unordered(first: str, second: str) -> tuple[str, str]:
    left, right = normalise(first), normalise(second)
    return (left, right) if left <= right else (right, left)
