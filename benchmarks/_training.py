"""What training benchmarks share: our trainer and the peer's told the same, and turns of both."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from typing import Any

from benchmarks._sides import Side, quality_rows, serve, speed_rows

# From seed and number of steps (0: all rows once) to seconds, rows, and what the model does.
Train = Callable[[int, int], tuple[float, int, Any]]


def run_ours(
    model: Any, step: Any, data: Any, *, start: float, objective: Any = None, **settings: Any
) -> float:
    """Train without a checkpoint, as the peer is told to; seconds since `start`.

    Args:
        model: trained in place.
        step: from the model and a batch to the loss.
        data: the tokenised rows.
        start: when the work began, by `time.perf_counter`.
        objective: the module inside `step`, if there is one.
        **settings: of `TrainingArguments`.
    """
    from tenor.training.arguments import TrainingArguments
    from tenor.training.trainer import Trainer

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(epochs=1, save_every=1_000_000, **settings)
        trainer = Trainer(model, step, data, arguments, folder, objective=objective)
        trainer._save_checkpoint = lambda *_: None  # type: ignore[method-assign]
        trainer.train()
        seconds = time.perf_counter() - start
        trainer.finish()
    return seconds


def run_theirs(
    kind: Any, arguments: Any, *, batch: int, start: float, settings: dict[str, Any], **parts: Any
) -> tuple[float, Any]:
    """Train with a trainer made of `transformers`' one: one epoch, no checkpoint, no logging.

    Args:
        kind: the trainer's class.
        arguments: the class of its arguments.
        batch: rows a step.
        start: when the work began, by `time.perf_counter`.
        settings: further arguments.
        **parts: model, data and loss, as the trainer takes them.

    Returns:
        Seconds since `start`, and the trainer.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = arguments(
            output_dir=folder, num_train_epochs=1, per_device_train_batch_size=batch, use_cpu=True,
            save_strategy="no", report_to="none", disable_tqdm=True, logging_strategy="no",
            dataloader_pin_memory=False, **settings,
        )  # fmt: skip
        trainer = kind(args=told, **parts)
        trainer.train()
        return time.perf_counter() - start, trainer


def in_our_order(rows: int, batch: int, seed: int) -> Any:
    """A sampler for sentence-transformers' trainers that takes rows in the order of ours."""
    from sentence_transformers.base.sampler import DefaultBatchSampler

    from tenor.tokens.plan import TrainingPlan

    order = TrainingPlan(rows, batch, seed).order(0).tolist()

    def sampler(dataset: Any, **options: Any) -> Any:
        return DefaultBatchSampler(order, **options)  # type: ignore[arg-type]

    return sampler


def serve_training(train: Train, quality: Callable[[Any], float]) -> None:
    """Train what is asked for, after a few steps to warm up; a side's main loop.

    Args:
        train: the side.
        quality: from what the trained model does to Spearman on STS-B test.
    """
    train(0, 4)

    def turn(request: dict[str, Any]) -> dict[str, Any]:
        seconds, rows, trained = train(request["seed"], request["steps"])
        answer = {"seconds": seconds, "rows": rows, "rate": rows / seconds}
        if request.get("quality"):
            answer["stsb_test_spearman"] = quality(trained)
        return answer

    serve({}, turn)


def time_in_turns(
    sides: list[Side], turns: int, steps: int, unit: str, facts: Callable[[Side], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Measure the speed of sides in turns; a row a side, with what else is to be said of it."""
    for number in range(turns):
        for one in sides:
            rate = one.turn({"seed": number, "steps": steps})["rate"]
            print(f"turn {number + 1}: {one.name}: {rate:.1f} {unit}/s", flush=True)
    rows = [{**row, **facts(one)} for row, one in zip(speed_rows(sides), sides, strict=True)]
    return _closed(sides, rows)


def compare_quality(sides: list[Side], seeds: int, steps: int) -> list[dict[str, Any]]:
    """Measure the quality of sides over several seeds; a row a side."""
    for seed in range(seeds):
        for one in sides:
            found = one.turn({"seed": seed, "steps": steps, "quality": True})
            print(f"seed {seed}: {one.name}: {found}", flush=True)
    return _closed(sides, quality_rows(sides))


def _closed(sides: list[Side], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for row, one in zip(rows, sides, strict=True):
        one.close()
        print(row)
    return rows
