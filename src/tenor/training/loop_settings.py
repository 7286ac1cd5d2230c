"""Our settings of the training loop as those of `transformers`, whose loop it is."""

from __future__ import annotations

import math
from pathlib import Path

import torch
import transformers

from tenor.training.arguments import TrainingArguments

__all__ = ["loop_settings", "total_steps"]

# By the names of `transformers`, whose "constant" knows no warm-up.
SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


def total_steps(arguments: TrainingArguments, steps: int) -> int:
    """How many steps there are in all.

    Args:
        arguments: the settings.
        steps: of an epoch.
    """
    most = steps * arguments.epochs
    return most if arguments.max_steps is None else min(arguments.max_steps, most)


def loop_settings(
    arguments: TrainingArguments,
    *,
    folder: Path,
    steps: int,
    device: torch.device,
    evaluates: bool,
    metric: str | None,
) -> transformers.TrainingArguments:
    """Translate the settings.

    Args:
        arguments: ours.
        folder: where checkpoints go.
        steps: of an epoch.
        device: where the model is.
        evaluates: whether there is an evaluation.
        metric: the figure that decides which weights are kept.
    """
    total = total_steps(arguments, steps)
    rising = arguments.warmup * total
    return transformers.TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=arguments.epochs,
        max_steps=-1 if arguments.max_steps is None else total,
        per_device_train_batch_size=arguments.batch_size,
        learning_rate=arguments.learning_rate,
        lr_scheduler_type=SCHEDULERS[arguments.schedule],
        # The first step of a warm-up has a rate of nought: in a run of a few that is a waste.
        warmup_steps=math.ceil(rising) if rising >= 1 else 0,
        weight_decay=arguments.weight_decay,
        max_grad_norm=arguments.max_grad_norm,
        seed=arguments.seed,
        logging_strategy="steps",
        logging_steps=min(arguments.log_every, total),
        logging_nan_inf_filter=False,
        eval_strategy="steps" if evaluates else "no",
        eval_steps=arguments.evaluate_every or min(steps, total),
        save_strategy="steps",
        save_steps=arguments.save_every or min(steps, total),
        metric_for_best_model=metric if evaluates else None,
        greater_is_better=True,
        report_to="none",
        disable_tqdm=True,
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=False,
        # Every step reaches every parameter that is trained: `BorrowedModel` leaves out the others.
        ddp_find_unused_parameters=False,
    )
