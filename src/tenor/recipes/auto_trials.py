"""What became of each candidate, kept on disk so that a next start knows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenor.formats.atomic import write_text

__all__ = ["Trial", "Trials"]


@dataclass(frozen=True)
class Trial:
    """What became of a candidate.

    Attributes:
        name: of it.
        title: in words.
        status: running, done, failed or skipped.
        settings: that were chosen for the time there was.
        metric: the figure that decides.
        value: of it, on the validation data.
        interval: 95 %.
        steps: done.
        stopped: the setting that ended its training early.
        seconds: it took, in its last start.
        expected_seconds: with all of its steps, as told before.
        why: it failed, or was left out.
    """

    name: str
    title: str
    status: str
    settings: dict[str, Any]
    metric: str | None = None
    value: float | None = None
    interval: list[float] | None = None
    steps: int = 0
    stopped: str | None = None
    seconds: float | None = None
    expected_seconds: float | None = None
    why: str = ""

    def describe(self) -> str:
        """Its figure, in words."""
        assert self.value is not None and self.interval is not None
        low, high = self.interval
        return f"{self.name}: {self.metric} {self.value:.4f} [{low:.4f}, {high:.4f}]"


class Trials:
    """All of them, by name, in the order they were begun.

    Args:
        path: the file in which they are kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._by_name: dict[str, Trial] = {}
        if path.exists():
            stored = json.loads(path.read_text(encoding="utf-8"))
            self._by_name = {name: Trial(**each) for name, each in stored.items()}

    def get(self, name: str) -> Trial | None:
        """One of them, if it was begun."""
        return self._by_name.get(name)

    def remember(self, trial: Trial) -> None:
        """Note what became of a candidate."""
        self._by_name[trial.name] = trial
        values = {name: vars(each) for name, each in self._by_name.items()}
        write_text(self.path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")

    @property
    def all(self) -> list[Trial]:
        """Every one."""
        return list(self._by_name.values())

    @property
    def done(self) -> list[Trial]:
        """Those with a figure."""
        return [each for each in self.all if each.status == "done"]

    @property
    def leader(self) -> Trial | None:
        """The best so far; of equal ones the first, which took less."""
        return max(self.done, key=lambda each: each.value or 0.0, default=None)
