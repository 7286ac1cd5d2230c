"""When training stops before its last step: the time is over, or it is not getting anywhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from transformers import TrainerCallback

from tenor.training.arguments import TrainingArguments

__all__ = ["StopEarly"]


class StopEarly(TrainerCallback):  # type: ignore[misc]
    """Stops at the time limit, and where the figure will not come to what it must reach.

    That is asked from the middle of the steps on: the best figure so far, and another gain as large
    as the last evaluation's, stay below it.

    At the time limit the weights are evaluated once more, where there is an evaluation, so that
    they can be kept if they are the best.

    Args:
        arguments: for `max_minutes`, `stop_below` and `patience`.
        metric: the figure that decides.
        tell: gets a line of text when training stops.

    Attributes:
        reason: the setting that stopped it; `None` where none did.
    """

    def __init__(
        self, arguments: TrainingArguments, metric: str | None, tell: Callable[[str], None]
    ) -> None:
        self.minutes, self.floor = arguments.max_minutes, arguments.stop_below
        self.patience = arguments.patience
        self.metric, self.tell = metric, tell
        self.reason: str | None = None
        self._started = 0.0
        self._best = float("-inf")

    def out_of_patience(self, state: Any) -> bool:
        """Whether as many evaluations as `patience` have passed since the best one; said if so."""
        since = [
            entry
            for entry in state.log_history
            if entry["step"] > (state.best_global_step or 0)
            and any(name.startswith("eval_") for name in entry)
        ]
        if not self.patience or len(since) < self.patience:
            return False
        self.reason = "patience"
        self.tell(f"no better figure in {len(since)} evaluations: stopping early.")
        return True

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look at the clock."""
        if self.minutes is None or state.global_step >= state.max_steps:
            return
        if _any_process(time.monotonic() - self._started >= 60 * self.minutes):
            self.reason = "max_minutes"
            self.tell(
                f"stopping at step {state.global_step} of {state.max_steps}: the time is over "
                f"(max_minutes = {self.minutes:g})"
            )
            control.should_training_stop = True
            control.should_evaluate = str(args.eval_strategy).rsplit(".", 1)[-1].lower() != "no"

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Compare the best figure so far with the one to reach, from the middle on."""
        if self.floor is None or self.metric is None:
            return
        before = self._best
        self._best = max(before, float((metrics or {})[f"eval_{self.metric}"]))
        hoped = self._best + (self._best - before)  # infinite after the first evaluation
        if 2 * state.global_step >= state.max_steps > state.global_step and hoped < self.floor:
            self.reason = "stop_below"
            self.tell(
                f"stopping at step {state.global_step} of {state.max_steps}: {self.metric} came "
                f"to {self._best:.4f} at best and will not reach {self.floor:.4f} (stop_below)"
            )
            control.should_training_stop = True


def _any_process(over: bool) -> bool:
    """Whether it is so in any process: all must stop at the same step."""
    if not (dist.is_available() and dist.is_initialized()):
        return over
    flag = torch.tensor(float(over))
    if dist.get_backend() == "nccl":
        flag = flag.cuda()
    dist.all_reduce(flag, op=dist.ReduceOp.MAX)
    return bool(flag.item())
