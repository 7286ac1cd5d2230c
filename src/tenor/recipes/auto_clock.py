"""The time that a budget leaves, counted over all starts of a run."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tenor.formats.atomic import write_text

__all__ = ["BudgetClock"]

EVERY = 2.0  # seconds between notes: what a kill can make forget


class BudgetClock:
    """Counts what was used of a budget, and notes it on disk while it runs.

    Args:
        path: where it is noted; what stands there already counts.
        seconds: the budget.
        started: when this start began, by `time.monotonic`.
    """

    def __init__(self, path: Path, seconds: float, *, started: float | None = None) -> None:
        self.path, self.seconds = path, seconds
        self._started = time.monotonic() if started is None else started
        self.before = 0.0
        if path.exists():
            self.before = float(json.loads(path.read_text(encoding="utf-8"))["used_seconds"])
        self._done = threading.Event()
        self._noting = threading.Lock()
        self._thread = threading.Thread(target=self._note_often, name="budget", daemon=True)

    @property
    def used(self) -> float:
        """Seconds, those of earlier starts included."""
        return self.before + time.monotonic() - self._started

    @property
    def left(self) -> float:
        """Seconds; below 0 when the budget is spent."""
        return self.seconds - self.used

    def note(self) -> None:
        """Write down what was used so far."""
        with self._noting:
            write_text(self.path, json.dumps({"used_seconds": self.used}) + "\n")

    def __enter__(self) -> Self:
        self.note()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        self.note()

    def _note_often(self) -> None:
        while not self._done.wait(EVERY):
            self.note()
