"""Rows that cannot be used: reported at once, or skipped and counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tenor.errors import ConfigError, DataError

__all__ = ["BadRow", "OnBadRow", "RowProblems"]

OnBadRow = Literal["error", "skip"]


@dataclass(frozen=True)
class BadRow:
    """A row that was left out: its line, the column at fault where one is, and the reason."""

    line: int
    reason: str
    column: str | None = None


@dataclass
class RowProblems:
    """What happens to a bad row: `report` raises a `DataError`, or with "skip" counts the row."""

    path: str
    on_bad_row: OnBadRow = "error"
    skipped: list[BadRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.on_bad_row not in ("error", "skip"):
            raise ConfigError("on_bad_row", self.on_bad_row, "'error' or 'skip'")

    def report(self, line: int, reason: str, column: str | None = None) -> None:
        """Raises `DataError` for the row that starts at `line`, or remembers it as skipped."""
        if self.on_bad_row == "error":
            raise DataError(reason, path=self.path, line=line, column=column)
        self.skipped.append(BadRow(line, reason, column))

    def require_rows(self, count: int) -> None:
        """Raises `DataError` where no row is left to work with."""
        if count:
            return
        if self.skipped:
            first = self.skipped[0]
            reason = (
                f"none of its {len(self.skipped):,} rows can be used; the first: {first.reason}"
            )
            raise DataError(reason, path=self.path, line=first.line, column=first.column)
        raise DataError("it holds no rows. Is it the right file?", path=self.path)
