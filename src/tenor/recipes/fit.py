"""What every recipe that trains an embedder shares: evaluate, train, evaluate again, save."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tenor.data.overlap import overlap
from tenor.data.schema import PairTable, read_pairs
from tenor.errors import TrainingError
from tenor.evaluation.beir import read_beir
from tenor.evaluation.intervals import paired_bootstrap, paired_bootstrap_spearman
from tenor.evaluation.result import EvaluationResult
from tenor.evaluation.retrieval import Retrieval
from tenor.evaluation.validation import Measure, paired_average_precision, validation
from tenor.formats.locate import hash_model
from tenor.formats.model_card import model_card
from tenor.models.embedder import Embedder
from tenor.tokens.plan import TrainingPlan
from tenor.training.arguments import TrainingArguments
from tenor.training.batch import TrainingData
from tenor.training.interrupt import SaveOnInterrupt
from tenor.training.memory import keep_freed_memory
from tenor.training.objectives import Objective
from tenor.training.run import Run, RunLog, machine, versions
from tenor.training.steps import GradCache, Plain
from tenor.training.trainer import Trainer

__all__ = ["Fit", "announce_table", "difference", "tell"]

log = logging.getLogger("tenor")


def tell(line: str) -> None:
    """Say something to the person who waits, once a run."""
    if int(os.environ.get("RANK", "0")) == 0:
        log.info(line)


def announce_table(table: PairTable, loss: str, why: str) -> None:
    """Say what the training data is, and which loss it gets."""
    skipped = f", {len(table.skipped):,} bad rows skipped" if table.skipped else ""
    tell(f"{table.path}: {len(table):,} rows of kind {table.kind}{skipped}")
    tell(f"loss {loss}: {why}")


class Fit:
    """One training run in its folder.

    Args:
        config: the recipe's settings, a dataclass.
        out: the folder.
        resume: go on with an earlier run of the same settings.
    """

    def __init__(self, config: Any, out: str | Path, *, resume: bool = False) -> None:
        self.main = int(os.environ.get("RANK", "0")) == 0
        self.config = config
        self.run = Run(out, config, resume=resume, main=self.main)
        self.resume = resume

    @property
    def finished(self) -> dict[str, Any] | None:
        """The result, if the run was done before."""
        return self.run.finished if self.resume else None

    def embedder(
        self,
        model: Embedder,
        objective: Objective,
        table: PairTable,
        *,
        loss: str,
        validation: PairTable | Retrieval | str | None,
        group: int,
        arguments: TrainingArguments,
    ) -> dict[str, Any]:
        """Train an embedder.

        Args:
            model: where to start; trained in place.
            objective: what to minimise.
            table: the rows to train on.
            loss: its name, for the record.
            validation: rows, files or a retrieval task to evaluate on.
            group: rows of one label that stand together in a batch.
            arguments: settings of the loop.

        Returns:
            What result.json holds.

        Raises:
            TrainingError: when the run was interrupted (a checkpoint was saved).
        """
        start = time.perf_counter()
        keep_freed_memory()
        data = TrainingData.of(table.columns, table.target, model.tokenizer)
        if data.ids.truncated:
            share = data.ids.truncated / len(data.ids)
            tell(
                f"{data.ids.truncated:,} of {len(data.ids):,} distinct texts ({share:.1%}) are "
                f"longer than {model.max_seq_length} tokens and were cut"
            )
        measure, metric, shared = self._validation(validation, table)
        before = self._measured(model, measure)
        if before is not None:
            tell(f"before: {_figure(before, metric)}")
        step = Plain(objective)
        interrupt = SaveOnInterrupt(tell)
        trainer = Trainer(
            model,
            GradCache(objective, arguments.chunk_tokens) if arguments.chunk_tokens else step,
            data,
            arguments,
            self.run.folder,
            objective=objective,
            plan=_plan(table, arguments, group),
            evaluator=None if measure is None else lambda m: measure(m).metrics,
            metric=metric,
            callbacks=[RunLog(self.run.log_path, tell), interrupt],
        )
        at = trainer.latest_checkpoint() if self.resume else None
        self._announce(trainer, table, at)
        try:
            trainer.train(resume_from_checkpoint=at)
        except KeyboardInterrupt:
            interrupt.interrupted = True
        finally:
            interrupt.stop_listening()
        if interrupt.interrupted and trainer.state.global_step < trainer.state.max_steps:
            raise TrainingError(
                f"interrupted at step {trainer.state.global_step} of {trainer.state.max_steps}; "
                f"{self.run.folder} holds a checkpoint: run the same again, with --resume"
            )
        trainer.finish()
        after = self._measured(model, measure)
        result = {
            "loss": loss,
            "rows": len(table),
            "skipped": len(table.skipped),
            "distinct_texts": len(data.ids),
            "truncated": data.ids.truncated,
            "steps": trainer.state.global_step,
            "best_step": trainer.state.best_global_step,
            "train_loss": _last(trainer.state.log_history, "train_loss"),
            "metric": metric,
            "before": None if before is None else before.to_json(),
            "after": None if after is None else after.to_json(),
            "difference": difference(before, after, metric),
            "overlap": shared,
            "base_model": {"name": model.name, "sha256": model.sha256},
            "data": {"path": table.path, "sha256": table.sha256},
            "versions": versions(),
            "machine": machine(),
            "dtype": str(model.encoder.dtype).removeprefix("torch."),
            "seconds": time.perf_counter() - start,
        }
        if self.main:
            self._save(model, result)
        _leave(trainer)
        return result

    def _validation(
        self, given: PairTable | Retrieval | str | None, training: PairTable
    ) -> tuple[Measure | None, str | None, str | None]:
        """How to evaluate, by which figure, and how far the texts were seen in training."""
        if given is None:
            tell("no validation data: nothing will be measured (give --validation or --hold-out)")
            return None, None, None
        if isinstance(given, str) and Path(given).is_dir():
            given = read_beir(given)
        if isinstance(given, Retrieval):
            shared = overlap(training, given.queries).describe()
            tell(shared)
            return given, "ndcg@10", shared
        if isinstance(given, str):
            mapping, bad = self.config.columns, self.config.on_bad_row
            table = read_pairs(given, columns=mapping, on_bad_row=bad)
        else:
            table = given
        shared = overlap(training, table).describe()
        tell(shared)
        measure, metric = validation(table)
        return measure, metric, shared

    def _measured(self, model: Embedder, measure: Measure | None) -> EvaluationResult | None:
        if measure is None:
            return None
        found = measure(model)
        return replace(found, model={"name": model.name, "sha256": model.sha256 or ""})

    def _announce(self, trainer: Trainer, table: PairTable, at: str | None) -> None:
        """Say what the run is about to need, from a short trial on this machine."""
        seconds, needed = trainer.probe()
        steps = len(trainer.plan) * trainer.arguments.epochs
        done = 0 if at is None else int(at.rsplit("-", 1)[-1])
        resumed = f"; going on from step {done}" if done else ""
        tell(
            f"{len(table):,} rows, {steps:,} steps of {trainer.arguments.batch_size} rows at "
            f"{seconds:.2f} s: about {seconds * (steps - done) / 60:.1f} min and "
            f"{needed / 2**30:.1f} GiB{resumed}"
        )

    def _save(self, model: Embedder, result: dict[str, Any]) -> None:
        evaluation = [result["after"]] if result["after"] else []
        card = model_card(
            name=self.run.folder.name,
            base_model=model.name,
            layout=model.layout(self.run.model),
            dimensions=model.dimensions,
            training={**result, "arguments": self.run.settings(self.run.folder)},
            evaluation=evaluation,
        )
        model.save(self.run.model, card=card)
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


def difference(
    before: EvaluationResult | None, after: EvaluationResult | None, metric: str | None
) -> dict[str, Any] | None:
    """After minus before in the deciding figure, paired over the items, in words too."""
    if before is None or after is None or metric is None:
        return None
    if metric == "spearman_cosine":
        gold = after.per_item["gold"]
        found = paired_bootstrap_spearman(after.per_item["cosine"], before.per_item["cosine"], gold)
    elif metric == "average_precision":
        found = paired_average_precision(after, before)
    else:
        found = paired_bootstrap(after.per_item[metric], before.per_item[metric])
    verdict = "no clear difference"
    if found.low > 0 or found.high < 0:
        verdict = "better" if found.low > 0 else "worse"
    return {
        "value": found.difference,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "verdict": verdict,
    }


def _figure(result: EvaluationResult, metric: str | None) -> str:
    assert metric is not None
    low, high = result.intervals[metric]
    return f"{metric} {result.metrics[metric]:.4f} [{low:.4f}, {high:.4f}], n = {result.n:,}"


def _plan(table: PairTable, arguments: TrainingArguments, group: int) -> TrainingPlan:
    labels = None if group == 1 or table.target is None else np.asarray(table.target)
    return TrainingPlan(
        len(table), arguments.batch_size, arguments.seed, labels=labels, group=group
    )


def _last(history: list[dict[str, Any]], name: str) -> Any:
    return next((entry[name] for entry in reversed(history) if name in entry), None)


def _leave(trainer: Trainer) -> None:
    """End the process group, if there is one: all together, or gloo aborts."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def loss_curve(log_path: Path) -> tuple[list[tuple[int, float]], list[Mapping[str, Any]]]:
    """(step, loss) and the evaluations of a run, from its log."""
    losses, evaluations = [], []
    for line in log_path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "loss" in entry:
            losses.append((int(entry["step"]), float(entry["loss"])))
        elif any(name.startswith("eval_") for name in entry):
            evaluations.append(entry)
    return losses, evaluations
