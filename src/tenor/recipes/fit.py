"""What every recipe that trains shares: evaluate, train, evaluate again, save."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import nn

from tenor.errors import RunInterruptedError
from tenor.evaluation.compare import difference
from tenor.evaluation.map_sample import SketchedMap
from tenor.evaluation.predictions import write_predictions
from tenor.evaluation.result import EvaluationResult
from tenor.formats.locate import hash_model
from tenor.models.bulk import KERNELS, TRAINING_KERNELS, duration, keep_few_kernels
from tenor.recipes.fit_data import Evaluation, Source
from tenor.recipes.settings import chosen
from tenor.recipes.tell import tell, tell_done
from tenor.recipes.trainable import Trainable
from tenor.tokens.plan import TrainingPlan
from tenor.training.arguments import TrainingArguments
from tenor.training.batch import TrainingData
from tenor.training.interrupt import SaveOnInterrupt
from tenor.training.memory import keep_freed_memory
from tenor.training.probe import probe, tried_batches
from tenor.training.processes import is_first_process, leave_processes
from tenor.training.run import Run, machine, versions
from tenor.training.run_log import RunLog
from tenor.training.steps import Step, make_step
from tenor.training.tracking_callback import TrackingCallback
from tenor.training.trainer import Trainer

__all__ = ["Fit"]


class Fit:
    """One training run in its folder.

    Args:
        config: the recipe's settings, a dataclass.
        out: the folder.
        resume: go on with an earlier run of the same settings.

    Attributes:
        start: when it was made, by `time.perf_counter`.
        main: whether this process writes and speaks.
        run: the folder's files.
    """

    def __init__(self, config: Any, out: str | Path, *, resume: bool = False) -> None:
        self.start = time.perf_counter()
        chunked = getattr(config, "chunk_tokens", 0)  # hardly a chunk has another's shape
        keep_few_kernels(KERNELS if chunked else TRAINING_KERNELS)
        self.main = is_first_process()
        self.config = config
        self.run = Run(out, config, resume=resume, main=self.main)
        self.resume = resume

    @property
    def finished(self) -> dict[str, Any] | None:
        """The result, if the run was done before."""
        return self.run.finished if self.resume else None

    def done(self) -> dict[str, Any] | None:
        """The result, if the run was done before, which is said."""
        result = self.finished
        if result is not None:
            tell_done(self.config.out)
        return result

    def train(
        self,
        model: Trainable,
        objective: nn.Module,
        data: TrainingData,
        *,
        loss: str,
        source: Source,
        evaluation: Evaluation | None,
        arguments: TrainingArguments,
        plan: TrainingPlan | None = None,
        card: Callable[[dict[str, Any]], str] | None = None,
        step: Step | None = None,
    ) -> dict[str, Any]:
        """Evaluate any model, train it, evaluate it again and save it.

        Args:
            model: where to start; trained in place.
            objective: from the model's output for a batch, and the batch, to the loss.
            data: the tokenised rows.
            loss: its name, for the record.
            source: where the rows came from, for the record.
            evaluation: how to measure; `None` measures nothing.
            arguments: settings of the loop.
            plan: the batches; random ones over all rows by default.
            card: from the result to the model card; the model writes its own by default.
            step: from the model and a batch to the loss; the objective of the model's output for
                the whole batch by default.

        Returns:
            What result.json holds.

        Raises:
            RunInterruptedError: when it was interrupted (a checkpoint was saved).
        """
        assert isinstance(model, nn.Module)
        keep_freed_memory()
        self.run.check_data({source.path: source.sha256})
        if data.ids.truncated:
            share = data.ids.truncated / len(data.ids)
            tell(
                f"{data.ids.truncated:,} of {len(data.ids):,} distinct {source.unit} ({share:.1%}) "
                f"are longer than {model.max_seq_length} tokens and were cut"
            )
        metric = None if evaluation is None else evaluation.metric
        before = _measured(model, evaluation)
        if before is not None:
            tell(f"before: {_figure(before, metric)}")
        sketch = SketchedMap.of(model, evaluation.items) if self.main and evaluation else None
        if step is None:
            step = make_step(objective, arguments.chunk_tokens)
        interrupt = SaveOnInterrupt(tell)
        callbacks = [RunLog(self.run.log_path, tell), interrupt]
        tracking = None
        if arguments.track is not None:
            settings = {**asdict(self.config), **chosen(self.config, arguments)}
            tracking = TrackingCallback(arguments.track, self.run.folder, settings)
            callbacks.append(tracking)
        meanwhile: dict[int, EvaluationResult] = {}  # by the step after which it was measured

        def measure(trained: nn.Module) -> dict[str, float]:
            assert evaluation is not None
            found = evaluation.measure(trained)
            best = meanwhile.get(trainer.state.best_global_step or 0)
            meanwhile.clear()  # of all earlier ones only the best can be kept in the end
            if best is not None:
                meanwhile[int(trainer.state.best_global_step)] = best
            meanwhile[int(trainer.state.global_step)] = found
            return found.metrics

        started = time.perf_counter()
        with Trainer(
            model,
            step,
            data,
            arguments,
            self.run.folder,
            objective=objective,
            plan=plan,
            evaluator=None if evaluation is None else measure,
            metric=metric,
            callbacks=callbacks,
        ) as trainer:
            at = trainer.latest_checkpoint() if self.resume else None
            self._announce(trainer, source, at)
            try:
                trainer.train(resume_from_checkpoint=at)
            except KeyboardInterrupt:
                interrupt.interrupted = True
            finally:
                interrupt.stop_listening()
                if tracking is not None:
                    tracking.close()
            if interrupt.interrupted and trainer.state.global_step < trainer.state.max_steps:
                raise RunInterruptedError(
                    f"interrupted at step {trainer.state.global_step} of "
                    f"{trainer.state.max_steps}; run the same again, with --resume, to go on from "
                    f"the last checkpoint in {self.run.folder}"
                )
            trained, stopped = trainer.trained_parameters, trainer.stopping.reason
            kept = trainer.finish()
        train_seconds = time.perf_counter() - started
        # The weights that are kept were measured when they were made, but for an earlier start.
        after = _measured(model, evaluation, meanwhile.get(kept))
        result = {
            "loss": loss,
            "chosen": chosen(self.config, arguments),
            "rows": source.rows,
            "skipped": source.skipped,
            f"distinct_{source.unit}": len(data.ids),
            "truncated": data.ids.truncated,
            "steps": trainer.state.global_step,
            "best_step": trainer.state.best_global_step,
            "stopped": stopped,
            "train_loss": _last(trainer.state.log_history, "train_loss"),
            "metric": metric,
            "before": None if before is None else before.to_json(),
            "after": None if after is None else after.to_json(),
            "difference": difference(before, after, metric),
            "overlap": None if evaluation is None else evaluation.overlap,
            "notes": list(source.notes),
            "base_model": {"name": model.name, "sha256": model.sha256},
            "data": {"path": source.path, "sha256": source.sha256},
            "versions": versions(),
            "machine": machine(),
            "dtype": str(model.encoder.dtype).removeprefix("torch."),
            "trained_parameters": trained,
            "prefix_cache": trainer.prefix_cache,
            "train_seconds": train_seconds,
            "seconds": time.perf_counter() - self.start,
        }
        if self.main:
            if evaluation is not None:
                write_predictions(self.run.folder, evaluation.items, before, after)
            if sketch is not None:
                sketch.write(self.run.folder)
            self._save(model, result, card)
        leave_processes()
        return result

    def _announce(self, trainer: Trainer, source: Source, at: str | None) -> None:
        """Say what the run is about to need, from a short trial on this machine."""
        steps = trainer.total_steps
        seconds, needed = probe(trainer, tried_batches(steps))
        done = 0 if at is None else int(at.rsplit("-", 1)[-1])
        resumed = f"; going on from step {done}" if done else ""
        tell(
            f"{source.rows:,} rows, {steps:,} steps of {trainer.arguments.batch_size} rows at "
            f"{seconds:.2f} s: about {duration(seconds * (steps - done))} and "
            f"{needed / 2**30:.1f} GiB{resumed}"
        )

    def _save(
        self,
        model: Trainable,
        result: dict[str, Any],
        card: Callable[[dict[str, Any]], str] | None,
    ) -> None:
        model.save(self.run.model, card=None if card is None else card(result))
        result["model"] = {"path": str(self.run.model), "sha256": hash_model(self.run.model)}
        self.run.write_result(result)
        metric = result["metric"]
        if metric:
            change = result["difference"]
            tell(
                f"after: {metric} {result['after']['metrics'][metric]:.4f}, "
                f"{change['value']:+.4f} [{change['low']:+.4f}, {change['high']:+.4f}] "
                f"against before ({change['verdict']})"
            )
        tell(f"saved {self.run.model}")


def _measured(
    model: Trainable, evaluation: Evaluation | None, found: EvaluationResult | None = None
) -> EvaluationResult | None:
    if evaluation is None:
        return None
    if found is None:
        found = evaluation.measure(model)
    return replace(found, model={"name": model.name, "sha256": model.sha256 or ""})


def _figure(result: EvaluationResult, metric: str | None) -> str:
    assert metric is not None
    low, high = result.intervals[metric]
    return f"{metric} {result.metrics[metric]:.4f} [{low:.4f}, {high:.4f}], n = {result.n:,}"


def _last(history: list[dict[str, Any]], name: str) -> Any:
    return next((entry[name] for entry in reversed(history) if name in entry), None)
