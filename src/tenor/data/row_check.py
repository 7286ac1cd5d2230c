"""Whether every row can be used: its texts, and its score or its label."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

import numpy as np

from tenor.data.problems import RowProblems
from tenor.data.roles import label_name
from tenor.errors import DataError

__all__ = ["RowCheck", "ScoreRange"]

ScoreRange = Literal["auto"] | tuple[float, float]


class RowCheck:
    """Collects the first fault of each row, to report them in the order of the file."""

    def __init__(self, lines: np.ndarray) -> None:
        self.lines = lines
        self.faults: dict[int, tuple[str, str]] = {}

    def add(self, row: int, reason: str, column: str) -> None:
        """Remembers a fault of a row, unless it has one already."""
        self.faults.setdefault(row, (reason, column))

    def texts(self, column: str, values: Sequence[Any]) -> None:
        """Finds the values that are no text, or an empty one."""
        for row, value in enumerate(values):
            if not isinstance(value, str):
                missing = "the text is missing." if value is None else f"{value!r} is not a text."
                self.add(row, missing, column)
            elif not value or value.isspace():
                self.add(row, "the text is empty.", column)

    def scores(
        self, column: str, values: Sequence[Any], score_range: ScoreRange, path: str
    ) -> tuple[np.ndarray, tuple[float, float]]:
        """Scores scaled to 0..1, and the range they were scaled from."""
        scores = np.full(len(values), np.nan)
        for row, value in enumerate(values):
            with suppress(TypeError, ValueError):
                scores[row] = float(value)
            if not math.isfinite(scores[row]):
                scores[row] = np.nan
                self.add(row, f"the score {value!r} is not a number.", column)
        numbers = scores[~np.isnan(scores)]
        if score_range != "auto":
            low, high = score_range
        elif len(numbers) == 0:
            low, high = 0.0, 1.0
        else:
            low, high = _guess_range(float(numbers.min()), float(numbers.max()), path, column)
        for row in np.flatnonzero((scores < low) | (scores > high)).tolist():
            reason = f"the score {values[row]!r} is outside the range {low:g} to {high:g}."
            self.add(row, reason, column)
        return ((scores - low) / (high - low)).astype(np.float32), (low, high)

    def pair_labels(self, column: str, values: Sequence[Any], names: tuple[str, ...]) -> np.ndarray:
        """The index of each row's label in `names`, whatever its case, or the index as it is."""
        index = {str(number): number for number in range(len(names))} if len(names) == 3 else {}
        index |= {name: number for number, name in enumerate(names)}
        allowed = ", ".join(names[:-1]) + " or " + names[-1]
        labels = np.zeros(len(values), dtype=np.int64)
        for row, value in enumerate(values):
            number = index.get(label_name(value).lower())
            if number is None:
                self.add(row, f"the label {value!r} is unknown: it must be {allowed}.", column)
            else:
                labels[row] = number
        return labels

    def classes(self, column: str, values: Sequence[Any]) -> tuple[np.ndarray, tuple[str, ...]]:
        """The index of each row's class, and the names: numbers in their order, else sorted."""
        named = [label_name(value) for value in values]
        for row, name in enumerate(named):
            if isinstance(values[row], list | tuple):
                reason = "it is a list; only a classifier takes any number of labels a text."
                self.add(row, reason, column)
            elif not name:
                self.add(row, "the label is missing.", column)
        found = {name for row, name in enumerate(named) if row not in self.faults}
        numeric = all(re.fullmatch(r"-?[0-9]+", name) for name in found)
        names = tuple(sorted(found, key=int) if numeric else sorted(found))
        index = {name: number for number, name in enumerate(names)}
        return np.array([index.get(name, 0) for name in named], dtype=np.int64), names

    def report(self, problems: RowProblems) -> np.ndarray:
        """Hands the faults over in the order of the rows; returns the rows without one."""
        for row in sorted(self.faults):
            reason, column = self.faults[row]
            problems.report(int(self.lines[row]), reason, column)
        sound = np.ones(len(self.lines), dtype=bool)
        sound[list(self.faults)] = False
        return np.flatnonzero(sound)


def _guess_range(lowest: float, highest: float, path: str, column: str) -> tuple[float, float]:
    if lowest < 0:
        if lowest >= -1 and highest <= 1:
            return -1.0, 1.0
    elif highest <= 1:
        return 0.0, 1.0
    elif highest <= 5:
        return 0.0, 5.0
    raise DataError(
        f"the scores go from {lowest:g} to {highest:g}. Say which score means nothing in common "
        "and which the same: score_range, e.g. 0 and 10.",
        path=path,
        column=column,
    )
