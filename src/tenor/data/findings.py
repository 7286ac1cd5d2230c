"""What is noteworthy about a user's data: one finding each, in words and in figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["SEVERITIES", "Example", "Finding", "Severity", "shortened"]

Severity = Literal["problem", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("problem", "warning", "note")


@dataclass(frozen=True)
class Example:
    """A row that shows what is meant.

    Attributes:
        line: of the file, counted from 1.
        text: of the row, shortened.
        note: what is the matter with it.
    """

    line: int
    text: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something a user wants to know of before training.

    Attributes:
        code: what it is, in one word that programs can look for.
        severity: problem: results would mean nothing, or nothing could be trained; warning:
            quality is lost; note: good to know.
        path: the file.
        message: what was found, and what to do about it.
        figures: the counts and shares behind it, by name.
        examples: the first rows, or the worst ones.
    """

    code: str
    severity: Severity
    path: str
    message: str
    figures: Mapping[str, Any] = field(default_factory=dict)
    examples: tuple[Example, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "examples": [asdict(each) for each in self.examples]}


def shortened(text: str, length: int = 60) -> str:
    """A text on one line, cut where it is longer.

    >>> shortened("a\\nlong story", 8)
    'a lon...'
    """
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 3] + "..."
