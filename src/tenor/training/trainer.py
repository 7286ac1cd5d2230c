"""The one trainer: `transformers.Trainer` with objectives, planned batches and our checkpoints."""

from __future__ import annotations

import gc
import json
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from transformers import TrainerCallback

from tenor.errors import NonFiniteLossError, TrainingError
from tenor.tokens.plan import TrainingPlan
from tenor.training import checkpoint
from tenor.training.arguments import TrainingArguments
from tenor.training.batch import TrainingBatch, TrainingData
from tenor.training.steps import Step
from tenor.training.vocabulary import UsedVocabulary

__all__ = ["Evaluator", "Trainer"]

log = logging.getLogger("tenor")

Evaluator = Callable[[Any], Mapping[str, float]]
BEST = "best"
# By the names of `transformers`, whose "constant" knows no warm-up.
SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


class Trainer(transformers.Trainer):  # type: ignore[misc]
    """Trains a model on an objective, with batches planned from seed and epoch alone.

    Args:
        model: what is trained; takes a `PackedBatch`.
        step: from the model and a batch to the loss: `Plain` or `GradCache`.
        data: the training data.
        arguments: settings of the loop.
        folder: where `checkpoints/` goes.
        objective: the module inside `step` that may hold parameters of its own.
        plan: the batches; random ones over all rows by default.
        evaluator: from the model to figures, run during training; `None` for never.
        metric: the figure that decides which weights are kept; higher is better.
        callbacks: further `transformers` callbacks.
    """

    optimizer: Any
    control: Any

    def __init__(
        self,
        model: nn.Module,
        step: Step,
        data: TrainingData,
        arguments: TrainingArguments,
        folder: str | Path,
        *,
        objective: nn.Module | None = None,
        plan: TrainingPlan | None = None,
        evaluator: Evaluator | None = None,
        metric: str | None = None,
        callbacks: list[TrainerCallback] | None = None,
    ) -> None:
        self.step, self.data, self.arguments = step, data, arguments
        self.objective = objective
        self._rows: list[int] = []  # of the batch at hand
        self.evaluator = evaluator
        self.checkpoints = Path(folder) / "checkpoints"
        self.plan = plan or TrainingPlan(len(data), arguments.batch_size, arguments.seed)
        if not len(self.plan):
            raise TrainingError("there is not a single batch to train on: no rows.")
        device = next(model.parameters()).device
        for parameter in _unused(model):
            parameter.requires_grad_(False)
        self.vocabulary: UsedVocabulary | None = None
        if embedding := UsedVocabulary.applies(model, arguments.weight_decay):
            self.vocabulary = UsedVocabulary(embedding, data)
            self.data = self.vocabulary.data
        super().__init__(
            model=model,
            args=self._translated(arguments, device, metric),
            train_dataset=_Rows(len(data)),
            eval_dataset=None if evaluator is None else _Rows(0),  # the evaluator has its own
            callbacks=callbacks,
        )
        self.remove_callback(transformers.PrinterCallback)
        self.remove_callback(transformers.ProgressCallback)
        self.model_accepts_loss_kwargs = False

    def _translated(
        self, arguments: TrainingArguments, device: torch.device, metric: str | None
    ) -> transformers.TrainingArguments:
        """Our settings as those of `transformers`."""
        steps = len(self.plan)
        evaluates = self.evaluator is not None
        return transformers.TrainingArguments(
            output_dir=str(self.checkpoints),
            num_train_epochs=arguments.epochs,
            per_device_train_batch_size=arguments.batch_size,
            learning_rate=arguments.learning_rate,
            lr_scheduler_type=SCHEDULERS[arguments.schedule],
            warmup_steps=math.ceil(arguments.warmup * steps * arguments.epochs),
            weight_decay=arguments.weight_decay,
            max_grad_norm=arguments.max_grad_norm,
            seed=arguments.seed,
            logging_strategy="steps",
            logging_steps=min(arguments.log_every, steps * arguments.epochs),
            logging_nan_inf_filter=False,
            eval_strategy="steps" if evaluates else "no",
            eval_steps=arguments.evaluate_every or steps,
            save_strategy="steps",
            save_steps=arguments.save_every or steps,
            metric_for_best_model=metric if evaluates else None,
            greater_is_better=True,
            report_to="none",
            disable_tqdm=True,
            use_cpu=device.type == "cpu",
            dataloader_pin_memory=False,
        )

    # -- data --------------------------------------------------------------------------------

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches by the plan; every process gets the joint batch and takes its share of it."""
        return DataLoader(
            self.train_dataset,
            batch_sampler=_Wrapped(_PlannedBatches(self.plan)),
            collate_fn=self._collate,
        )

    def _collate(self, rows: list[int]) -> dict[str, TrainingBatch]:
        return {"batch": self.data.batch(torch.tensor(rows).numpy())}

    def num_examples(self, dataloader: DataLoader[Any]) -> int:
        """Rows of an epoch."""
        return len(self.data)

    # -- one step ----------------------------------------------------------------------------

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """Forward and backward of one batch; its randomness comes from seed and step alone."""
        model.train()
        if self.objective is not None:
            self.objective.train()
            self.objective.zero_grad()  # the loop clears the model's gradients only
        batch: TrainingBatch = inputs["batch"]
        step = self.state.global_step
        torch.manual_seed(
            hash((self.arguments.seed, step, self.args.process_index)) & ((1 << 63) - 1)
        )
        loss = self.step(model, batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise NonFiniteLossError(value, step + 1, batch.rows.tolist())
        self.accelerator.backward(loss)
        self._rows = batch.rows.tolist()
        return loss.detach()

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW, fused; biases and norms without weight decay."""
        if self.optimizer is None:
            decay: list[nn.Parameter] = []
            rest: list[nn.Parameter] = []
            for module in self._modules_by_prefix().values():
                for parameter in module.parameters():
                    if parameter.requires_grad:
                        (decay if parameter.dim() > 1 else rest).append(parameter)
            groups = [
                {"params": decay, "weight_decay": self.arguments.weight_decay},
                {"params": rest, "weight_decay": 0.0},
            ]
            device = decay[0].device if decay else rest[0].device
            self.optimizer = torch.optim.AdamW(
                [group for group in groups if group["params"]],
                lr=self.arguments.learning_rate,
                fused=device.type in ("cpu", "cuda"),
            )
        made: torch.optim.Optimizer = self.optimizer
        return made

    def _clip_grad_norm(self, model: nn.Module) -> Tensor:
        """The norm of all gradients; they are scaled down to the limit inside the fused optimiser.

        Scaling them beforehand would be one more pass over every gradient in memory.
        """
        assert self.optimizer is not None
        optimizer = _unwrapped(self.optimizer)
        gradients = [
            parameter.grad
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.grad is not None
        ]
        norm = torch.nn.utils.get_total_norm(gradients)
        if not math.isfinite(float(norm)):
            step = self.state.global_step + 1
            raise NonFiniteLossError(float(norm), step, self._rows, "the gradient's norm")
        excess = ((norm + 1e-6) / self.arguments.max_grad_norm).clamp(min=1.0)
        if optimizer.defaults.get("fused"):
            optimizer.grad_scale = excess  # type: ignore[attr-defined]
        else:
            torch._foreach_div_(gradients, excess)
        return norm

    # -- evaluation --------------------------------------------------------------------------

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Run the evaluator; keep the weights aside when they are the best so far."""
        assert self.evaluator is not None
        self.model.eval()
        with self._whole():
            found = {f"eval_{name}": float(v) for name, v in self.evaluator(self.model).items()}
        self.log(dict(found))
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics=found
        )
        return found

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        best = super()._determine_best_metric(metrics, trial)
        if best and self.args.should_save:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            folder = self.checkpoints / BEST
            folder.mkdir(exist_ok=True)
            with self._whole():
                checkpoint.save_modules(folder, self._modules_by_prefix())
        if self.arguments.patience:
            since = [
                entry
                for entry in self.state.log_history
                if entry["step"] > (self.state.best_global_step or 0)
                and any(name.startswith("eval_") for name in entry)
            ]
            if len(since) >= self.arguments.patience:
                log.info("no better figure in %d evaluations: stopping early.", len(since))
                self.control.should_training_stop = True
        return bool(best)

    def load_best(self) -> bool:
        """Put the best weights back; whether there were any."""
        if self.state.best_metric is None or not (self.checkpoints / BEST).exists():
            return False
        with self._whole():
            checkpoint.load_modules(self.checkpoints / BEST, self._modules_by_prefix())
        return True

    def finish(self) -> None:
        """Leave the model whole, in evaluation mode, with the best weights where there are any."""
        self.accelerator.wait_for_everyone()  # the first process may still be writing them
        if self.load_best():
            log.info("kept the weights of step %d, the best.", self.state.best_global_step or 0)
        if self.vocabulary is not None:
            self.vocabulary.restore()
            self.vocabulary = None
        self.model.eval()

    # -- checkpoints -------------------------------------------------------------------------

    def _whole(self) -> AbstractContextManager[None]:
        """The model with its whole vocabulary."""
        return nullcontext() if self.vocabulary is None else self.vocabulary.whole()

    def _modules_by_prefix(self) -> dict[str, nn.Module]:
        modules = {"model": self.accelerator.unwrap_model(self.model)}
        if self.objective is not None and any(True for _ in self.objective.parameters()):
            modules["objective"] = self.objective
        return modules

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        if not self.args.should_save:
            return
        for callback in [*self.callback_handler.callbacks, self.control]:
            if isinstance(callback, transformers.trainer_callback.ExportableState):
                self.state.stateful_callbacks[type(callback).__name__] = callback.state()
        assert self.optimizer is not None and self.lr_scheduler is not None
        scheduler = {
            key: value
            for key, value in self.lr_scheduler.state_dict().items()
            if isinstance(value, int | float | list)
            and not (isinstance(value, list) and any(isinstance(v, dict) for v in value))
        }
        folder = self.checkpoints / f"checkpoint-{self.state.global_step}"
        state = {"trainer_state": asdict(self.state), "scheduler": scheduler}
        with self._whole():
            checkpoint.save_checkpoint(
                folder, self._modules_by_prefix(), _unwrapped(self.optimizer), state
            )
        checkpoint.prune(self.checkpoints, self.arguments.keep)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        with self._whole():
            checkpoint.load_modules(Path(resume_from_checkpoint), self._modules_by_prefix())

    def _load_optimizer_and_scheduler(self, folder: str | None) -> None:
        if folder is None:
            return
        assert self.optimizer is not None and self.lr_scheduler is not None
        checkpoint.load_optimizer(Path(folder), _unwrapped(self.optimizer))
        stored = json.loads((Path(folder) / "scheduler.json").read_text())
        self.lr_scheduler.load_state_dict({**self.lr_scheduler.state_dict(), **stored})

    def _load_rng_state(self, folder: str | None) -> None:
        """Nothing to restore: every step seeds itself."""

    def latest_checkpoint(self) -> str | None:
        """Where `train(resume_from_checkpoint=…)` can go on, if anywhere."""
        found = checkpoint.latest(self.checkpoints)
        return None if found is None else str(found)

    def probe(self, batches: int = 3) -> tuple[float, int]:
        """Try a few batches, forward and backward, without changing a weight.

        Returns:
            Seconds a step takes, and the bytes this process will need at its height.
        """
        import time

        from tenor.training.memory import optimizer_bytes, peak_bytes

        self.model.train()
        times = []
        for index in range(min(batches + 1, len(self.plan))):
            start = time.perf_counter()
            loss = self.step(self.model, self.data.batch(self.plan.batch(0, index)))
            self.accelerator.backward(loss)
            times.append(time.perf_counter() - start)
        self.model.zero_grad()
        if self.objective is not None:
            self.objective.zero_grad()
        gc.collect()
        measured = times[1:] or times  # the first builds kernels
        needed = peak_bytes() + optimizer_bytes(self.model)
        return sorted(measured)[len(measured) // 2], needed


class _Rows(Dataset[int]):
    """Row numbers; the batches are made of them in `_collate`."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: int) -> int:
        return index


class _PlannedBatches:
    """The rows of each batch of an epoch."""

    def __init__(self, plan: TrainingPlan) -> None:
        self.plan, self.epoch = plan, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.plan)

    def __iter__(self) -> Iterator[list[int]]:
        for index in range(len(self.plan)):
            yield self.plan.batch(self.epoch, index).tolist()


class _Wrapped:
    """`transformers` tells the epoch to the batch sampler inside a batch sampler."""

    def __init__(self, inner: _PlannedBatches) -> None:
        self.batch_sampler = inner

    def set_epoch(self, epoch: int) -> None:
        self.batch_sampler.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batch_sampler)


def _unused(model: nn.Module) -> Iterator[nn.Parameter]:
    """Parameters that no objective of ours reaches: BERT's pooler."""
    for name, parameter in model.named_parameters():
        if ".pooler." in name:
            yield parameter


def _unwrapped(optimizer: Any) -> torch.optim.Optimizer:
    inner: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return inner
