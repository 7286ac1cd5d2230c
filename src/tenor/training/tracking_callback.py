"""Hands the figures of a run on to its tracker, by the trainer's callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from tenor.training.tracking import Tracker, open_tracker, tracked_name

__all__ = ["TrackingCallback"]


class TrackingCallback(TrainerCallback):  # type: ignore[misc]
    """Hands what is logged on to a tracker.

    Args:
        track: which.
        folder: of the run.
        settings: of the run.
    """

    def __init__(self, track: str, folder: Path, settings: Mapping[str, Any]) -> None:
        self.track, self.folder, self.settings = track, folder, settings
        self.tracker: Tracker | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Begin, or go on from the step that the run goes on from."""
        if state.is_world_process_zero:
            self.tracker = open_tracker(
                self.track, self.folder, self.settings, first_step=state.global_step
            )

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Hand the figures on."""
        if self.tracker is None or not logs or "train_runtime" in logs:
            return
        figures = {
            tracked_name(name): float(value)
            for name, value in logs.items()
            if isinstance(value, int | float)
        }
        self.tracker.write(state.global_step, figures)

    def close(self) -> None:
        """Write what is not on the disk yet, however the run ended."""
        if self.tracker is not None:
            self.tracker.close()
            self.tracker = None
