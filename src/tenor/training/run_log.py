"""The log of a run, by the trainer's callbacks: log.jsonl, and lines for a person."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from tenor.formats.atomic import write_text
from tenor.models.bulk import duration

__all__ = ["RunLog"]


class RunLog(TrainerCallback):  # type: ignore[misc]
    """Writes log.jsonl, and tells a person how far the run is.

    Args:
        path: the log.
        tell: gets a line of text about every ten per cent, and at every evaluation.
    """

    def __init__(self, path: Path, tell: Any) -> None:
        self.path, self.tell = path, tell
        self.started = time.perf_counter()
        self.first = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Drop lines of steps that will be done again."""
        self.started, self.first = time.perf_counter(), state.global_step
        if not state.is_world_process_zero or not self.path.exists():
            return
        lines = self.path.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if _step_of(line) <= state.global_step]
        write_text(self.path, "".join(line + "\n" for line in kept))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """One line of JSON; one of text where it is time."""
        if not state.is_world_process_zero or logs is None or "train_runtime" in logs:
            return
        entry = {"step": state.global_step, **logs}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        done, total = state.global_step, state.max_steps
        if any(name.startswith("eval_") for name in logs):
            figures = ", ".join(
                f"{name.removeprefix('eval_')} {value:.4f}"
                for name, value in logs.items()
                if name.startswith("eval_")
            )
            self.tell(f"step {done}/{total}: {figures}")
        elif "loss" in logs and _crosses_tenth(done, args.logging_steps, total):
            pace = (time.perf_counter() - self.started) / max(done - self.first, 1)
            left = pace * (total - done)
            self.tell(f"step {done}/{total}: loss {logs['loss']:.4f}, {duration(left)} left")


def _crosses_tenth(done: int, every: int, total: int) -> bool:
    tenth = max(total / 10, 1)
    return int(done / tenth) > int((done - every) / tenth) or done == total


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError):
        return float("inf")  # a line that was being written when the run was killed
