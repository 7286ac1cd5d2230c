"""What a run is about to need, found out by trying a few of its batches."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

from tenor.training.memory import optimizer_bytes, peak_bytes

if TYPE_CHECKING:
    from tenor.training.trainer import Trainer

__all__ = ["probe", "tried_batches"]


def tried_batches(steps: int) -> int:
    """How many batches a run of so many steps tries before it starts, beside a first one."""
    return min(max(steps // 20, 1), 3)


def probe(trainer: Trainer, batches: int = 3) -> tuple[float, int]:
    """Try a few batches, forward and backward, without changing a weight.

    Args:
        trainer: has not begun to train.
        batches: how many are measured; one more, which builds kernels, comes first.

    Returns:
        Seconds a step takes, and the bytes this process will need at its height.
    """
    trainer.frozen.at(trainer.arguments.epochs - 1e-6)  # when most is trained
    trainer.model.train()
    times = []
    for index in range(min(batches + 1, len(trainer.plan))):
        start = time.perf_counter()
        loss = trainer.step(trainer.model, trainer.data.batch(trainer.plan.batch(0, index)))
        trainer.accelerator.backward(loss)
        times.append(time.perf_counter() - start)
    trainer.model.zero_grad()
    if trainer.objective is not None:
        trainer.objective.zero_grad()
    gc.collect()
    measured = times[1:] or times
    needed = peak_bytes() + optimizer_bytes(trainer.model)
    trainer.frozen.at(0.0)
    return sorted(measured)[len(measured) // 2], needed
