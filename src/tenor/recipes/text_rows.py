"""Rows of a file on their way through a model: their texts go ahead, and their columns wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tenor.data.problems import RowProblems
from tenor.data.read import read_blocks
from tenor.errors import ConfigError, DataError

__all__ = ["TextRows", "check_other_file"]


class TextRows:
    """The rows of a file, handed on as texts; their columns wait until the results are there.

    Args:
        source: the file or hub data set.
        names: columns that may hold the texts; the first there is.
        problems: takes the rows without a text.
        block: rows that stand in memory at a time.
        what: what the column holds, for the message where there is none.

    Attributes:
        columns: names of the source's columns, once the first block was read.
        column: that of the texts, from then on.
        waiting: the values of each block whose results are not there yet, by column.
    """

    def __init__(
        self,
        source: str | Path,
        names: Sequence[str],
        problems: RowProblems,
        block: int,
        *,
        what: str = "texts",
    ) -> None:
        self.source, self.names, self.problems, self.block = source, names, problems, block
        self.what = what
        self.columns: list[str] = []
        self.column = ""
        self.waiting: deque[dict[str, list[Any]]] = deque()

    def texts(self) -> Iterator[list[Any]]:
        """Block after block of texts; rows without one are left out, if that is allowed."""
        for values, lines in read_blocks(self.source, self._pick, self.problems, self.block, None):
            texts = values[self.column]
            sound = []
            for row, (text, line) in enumerate(zip(texts, lines, strict=True)):
                fault = "the text is missing." if text is None else self.fault(text)
                if fault is None:
                    sound.append(row)
                else:
                    self.problems.report(line, fault, self.column)
            if len(sound) < len(texts):
                values = {name: [each[row] for row in sound] for name, each in values.items()}
            if sound:
                self.waiting.append(values)
                yield values[self.column]

    def fault(self, text: Any) -> str | None:
        """What is wrong with a value that is no text, in words."""
        return None if isinstance(text, str) else f"{text!r} is not a text."

    def _pick(self, found: Sequence[str]) -> Sequence[str]:
        chosen = next((name for name in self.names if name in found), None)
        if chosen is None:
            listed = ", ".join(map(repr, found))
            raise DataError(
                f"there is no such column; found: {listed}. Name the one with the {self.what} "
                "with --column.",
                path=self.source,
                column=" or ".join(self.names),
            )
        self.column, self.columns = chosen, list(found)
        return self.columns


def check_other_file(source: str | Path, out: str | Path) -> None:
    """Raise `ConfigError` for an output that is the file that is read."""
    target = Path(out)
    if target.exists() and Path(source).exists() and target.samefile(source):
        raise ConfigError("out", str(out), "another file than the one that is read")
