"""What a run trains on and is measured by, as its record names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tenor.data.schema import PairTable
from tenor.evaluation.result import EvaluationResult

__all__ = ["Evaluation", "Source"]


@dataclass(frozen=True)
class Evaluation:
    """How to measure a model.

    Attributes:
        measure: from the model to figures.
        metric: the figure that decides; higher is better.
        overlap: what is known of evaluation texts that stand in the training data, in words.
        behind: the evaluation that `measure` runs, where it is not that itself; its items are what
            predictions.parquet tells of.
    """

    measure: Callable[[Any], EvaluationResult]
    metric: str
    overlap: str | None = None
    behind: Any = None

    @property
    def items(self) -> Any:
        """The evaluation whose items predictions.parquet tells of."""
        return self.measure if self.behind is None else self.behind


@dataclass(frozen=True)
class Source:
    """Where training rows came from, for the record.

    Attributes:
        rows: how many there are.
        skipped: bad rows that were left out.
        path: the file or data set.
        sha256: of the file.
        unit: what a row of token ids stands for: texts or pairs.
        notes: what else a reader of the result should know of the rows, a sentence each.
    """

    rows: int
    skipped: int
    path: str
    sha256: str
    unit: str = "texts"
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: PairTable, unit: str = "texts", notes: tuple[str, ...] = ()) -> Source:
        """Of a table that was read."""
        return cls(len(table), len(table.skipped), table.path, table.sha256, unit, notes)
