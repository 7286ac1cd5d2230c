"""How long a recipe's steps take here: a few real ones, on the user's own rows, thrown away after.

Forward, backward and optimiser, by the one trainer, with the recipe's own model, objective and
batches. Of batches that are too large to try for long, two parts of different size are tried: time
and memory grow with the tokens, from a part that does not (the optimiser, the weights).
"""

from __future__ import annotations

import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from transformers import TrainerCallback

from tenor.tokens.plan import TrainingPlan
from tenor.training.arguments import TrainingArguments
from tenor.training.batch import TrainingData
from tenor.training.memory import keep_freed_memory, peak_bytes, restart_peak
from tenor.training.steps import Step, make_step
from tenor.training.trainer import Trainer

__all__ = ["MOST_STEPS", "Pace", "time_steps"]

FEWEST_STEPS, MOST_STEPS = 2, 16
TRIED_TOKENS = 2_048  # of a step; larger ones are told from parts of them
ENDLESS = 1_000_000
MOST_HELD = 0.9  # largest share of memory that does not grow with the batch


@dataclass(frozen=True)
class Pace:
    """What a step takes.

    Attributes:
        seconds: a step.
        steps: how many were measured, beside those that build kernels.
        bytes: the most memory that the process, or the GPU, holds meanwhile.
        rows: that the recipe makes of the whole source, to train on.
    """

    seconds: float
    steps: int
    bytes: int
    rows: int


@dataclass(frozen=True)
class _Trial:
    """Steps of one size: tokens, seconds and bytes of one, and how many there were."""

    tokens: float
    seconds: float
    bytes: int
    steps: int


def time_steps(
    model: nn.Module,
    objective: nn.Module,
    data: TrainingData,
    arguments: TrainingArguments,
    *,
    step: Step | None = None,
    plan: TrainingPlan | None = None,
    seconds: float = 6.0,
    rows: int | None = None,
) -> Pace:
    """Train for a few steps and look at the clock; the model is spoilt afterwards.

    Args:
        model: what is trained.
        objective: from its output for a batch, and the batch, to the loss.
        data: some of the rows, enough for several batches.
        arguments: the recipe's settings of the loop.
        step: the recipe's own, where it is not the objective of the model's output.
        plan: the recipe's own batches of these rows.
        seconds: to go on for, after the second step; at most so many steps as `MOST_STEPS`.
        rows: of the whole source, if `data` is a sample of it.
    """
    plan = plan or TrainingPlan(len(data), arguments.batch_size, arguments.seed)
    if step is None:
        step = make_step(objective, arguments.chunk_tokens)
    keep_freed_memory()

    def trial(part: TrainingPlan, share: float) -> _Trial:
        return _try(model, objective, step, data, part, arguments, seconds * share)

    total = len(data) if rows is None else rows
    whole, largest = _tokens(data, plan), len(plan.batch(0, 0))
    if whole <= TRIED_TOKENS or largest < 4:
        made = trial(plan, 1.0)
        return Pace(made.seconds, made.steps, made.bytes, total)
    kept = max(int(largest * TRIED_TOKENS / whole), 2)
    small, large = trial(_Part(plan, max(kept // 2, 1)), 0.4), trial(_Part(plan, kept), 0.6)
    return Pace(
        _extrapolated(small.tokens, small.seconds, large.tokens, large.seconds, whole),
        small.steps + large.steps,
        int(_extrapolated(small.tokens, small.bytes, large.tokens, large.bytes, whole, MOST_HELD)),
        total,
    )


def _extrapolated(
    few: float, at_few: float, many: float, at_many: float, wanted: float, fixed: float = 0.3
) -> float:
    """A cost at `wanted` tokens, from what it was at few and at many.

    A part of it is fixed, and the rest grows with the tokens.

    Args:
        few: tokens.
        at_few: the cost there.
        many: tokens.
        at_many: the cost there.
        wanted: tokens.
        fixed: largest share of the cost at `many` that can be fixed, whatever noise says.

    >>> _extrapolated(1000, 2.0, 2000, 3.0, 10_000, fixed=0.5)
    11.0
    """
    slope = (at_many - at_few) / max(many - few, 1.0)
    still = min(max(at_many - slope * many, 0.0), fixed * at_many)
    return still + (at_many - still) * wanted / many


class _Part(TrainingPlan):
    """The first rows of every batch of a plan."""

    def __init__(self, whole: TrainingPlan, rows: int) -> None:
        super().__init__(whole.rows, rows, whole.seed)
        self.whole = whole

    def __len__(self) -> int:
        return len(self.whole)

    def batch(self, epoch: int, index: int) -> npt.NDArray[np.int64]:
        """Of one batch of one epoch."""
        return self.whole.batch(epoch, index)[: self.batch_size]


def _tokens(data: TrainingData, plan: TrainingPlan) -> float:
    """Tokens of a batch, in the mean."""
    count = min(len(plan), MOST_STEPS)
    return sum(data.batch(plan.batch(0, index)).tokens for index in range(count)) / count


def _try(
    model: nn.Module,
    objective: nn.Module,
    step: Step,
    data: TrainingData,
    plan: TrainingPlan,
    arguments: TrainingArguments,
    seconds: float,
) -> _Trial:
    restart_peak()
    device = next(model.parameters()).device
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    endless = replace(
        arguments,
        epochs=ENDLESS,
        save_every=ENDLESS,
        log_every=ENDLESS,
        evaluate_every=0,
        patience=0,
    )
    watch = _Stopwatch(seconds)
    with (
        tempfile.TemporaryDirectory(prefix="tenor-plan-") as folder,
        Trainer(
            model, step, data, endless, folder, objective=objective, plan=plan, callbacks=[watch]
        ) as trainer,
    ):
        trainer.train()
    held = int(torch.cuda.max_memory_allocated(device)) if device.type == "cuda" else peak_bytes()
    middle = statistics.median(watch.times)
    return _Trial(_tokens(data, plan), middle, held, len(watch.times))


class _Stopwatch(TrainerCallback):  # type: ignore[misc]
    """Times steps from end to end, and stops when there are enough."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.times: list[float] = []
        self._started = self._ended = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note how long the step took, but for the first one, which builds kernels."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        if self._ended:
            self.times.append(now - self._ended)
        self._ended = now
        enough = len(self.times) >= FEWEST_STEPS and now - self._started > self.seconds
        if enough or len(self.times) >= MOST_STEPS:
            control.should_training_stop = True
