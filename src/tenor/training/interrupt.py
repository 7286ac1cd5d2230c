"""Ctrl-C and SIGTERM end a run at the next step, with a checkpoint."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from transformers import TrainerCallback

__all__ = ["SaveOnInterrupt"]


class SaveOnInterrupt(TrainerCallback):  # type: ignore[misc]
    """Turns the first SIGINT or SIGTERM into "save and stop"; a second one ends the process.

    Args:
        tell: gets a line of text when the signal arrives.
    """

    def __init__(self, tell: Any) -> None:
        self.tell = tell
        self.interrupted = False
        self._before: dict[int, Any] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Listen; only the main thread may."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._on_signal)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Stop here, with a checkpoint, if asked to."""
        if self.interrupted and state.global_step < state.max_steps:
            control.should_save = True
            control.should_training_stop = True

    def stop_listening(self) -> None:
        """Give the signals back to whoever had them."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.interrupted:
            self.stop_listening()
            raise KeyboardInterrupt
        self.interrupted = True
        self.tell("stopping after this step, with a checkpoint; once more to stop at once ...")
