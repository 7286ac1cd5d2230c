"""How to train: every setting of the loop itself, checked."""

from __future__ import annotations

from dataclasses import dataclass

from tenor.errors import ConfigError
from tenor.training.tracking import check_tracker

__all__ = ["SCHEDULES", "TrainingArguments"]

SCHEDULES = ("linear", "cosine", "constant")


@dataclass(frozen=True, kw_only=True)
class TrainingArguments:
    """Settings of the training loop.

    Attributes:
        epochs: passes over the data.
        max_steps: steps at most, if fewer than the epochs make; the learning rate falls over them.
        max_minutes: training stops after so many minutes; of several starts of a run each counts by
            itself.
        stop_below: training stops, from the middle of the steps on, where the deciding figure is
            below this and another gain like its last one would not take it there.
        batch_size: rows a step, over all processes together.
        learning_rate: the highest, reached after warm-up.
        warmup: share of all steps in which the learning rate rises.
        schedule: how it falls after: linear, cosine or constant.
        weight_decay: of AdamW; biases and norms are left out.
        max_grad_norm: gradients are scaled down to this norm; 0 for never.
        seed: decides the batches, the dropout and new layers.
        dtype: dtype of the products: auto, bf16 or fp32.
        chunk_tokens: with gradient caching, tokens encoded at a time; 0 for no caching.
        evaluate_every: steps between evaluations; 0 for once an epoch.
        save_every: steps between checkpoints; 0 for once an epoch.
        log_every: steps between lines in the log.
        patience: evaluations without a better figure before training stops; 0 for never.
        keep: how many checkpoints to keep.
        track: hand the figures on to tensorboard or trackio, too (extras of these names), which
            write them into the run's folder.
    """

    epochs: int = 1
    max_steps: int | None = None
    max_minutes: float | None = None
    stop_below: float | None = None
    batch_size: int = 64
    learning_rate: float = 2e-5
    warmup: float = 0.1
    schedule: str = "linear"
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    seed: int = 0
    dtype: str = "auto"
    chunk_tokens: int = 0
    evaluate_every: int = 0
    save_every: int = 0
    log_every: int = 10
    patience: int = 0
    keep: int = 2
    track: str | None = None

    def __post_init__(self) -> None:
        _check("epochs", self.epochs, self.epochs >= 1, "at least 1")
        for name in ("max_steps", "max_minutes"):
            value = getattr(self, name)
            _check(name, value, value is None or value > 0, "above 0")
        _check("batch_size", self.batch_size, self.batch_size >= 1, "at least 1")
        rate: float | None = self.learning_rate
        chosen = rate is None and type(self).learning_rate is None  # by a recipe that does so
        holds = chosen or (rate is not None and 0 < rate < 1)
        _check("learning_rate", rate, holds, "between 0 and 1")
        _check("warmup", self.warmup, 0 <= self.warmup <= 1, "a share between 0 and 1")
        _check("schedule", self.schedule, self.schedule in SCHEDULES, f"one of {SCHEDULES}")
        _check("weight_decay", self.weight_decay, self.weight_decay >= 0, "0 or more")
        _check("max_grad_norm", self.max_grad_norm, self.max_grad_norm >= 0, "0 or more")
        _check("seed", self.seed, 0 <= self.seed < 1 << 32, "from 0 up to 2^32 - 1")
        _check("dtype", self.dtype, self.dtype in ("auto", "bf16", "fp32"), "auto, bf16 or fp32")
        _check("log_every", self.log_every, self.log_every >= 1, "at least 1")
        _check("keep", self.keep, self.keep >= 1, "at least 1")
        check_tracker(self.track)
        for name in ("chunk_tokens", "evaluate_every", "save_every", "patience"):
            _check(name, getattr(self, name), getattr(self, name) >= 0, "0 or more")


def _check(field: str, value: object, holds: bool, allowed: str) -> None:
    if not holds:
        raise ConfigError(field, value, allowed)
