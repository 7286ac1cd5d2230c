"""The one trainer: `transformers.Trainer` with objectives, planned batches and our checkpoints."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import torch
import transformers
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import TrainerCallback

from tenor.errors import NonFiniteLossError, TrainingError
from tenor.models.bulk import give_back_freed_memory
from tenor.tokens.plan import TrainingPlan
from tenor.training import checkpoint
from tenor.training.arguments import TrainingArguments
from tenor.training.batch import TrainingBatch, TrainingData
from tenor.training.borrowed import BorrowedModel
from tenor.training.frozen_model import FrozenModel
from tenor.training.frozen_states import FOLDER, with_states
from tenor.training.loop_settings import loop_settings, total_steps
from tenor.training.optimizer import clip_in_step, make_optimizer, unwrapped
from tenor.training.planned_batches import RowNumbers, planned_loader
from tenor.training.steps import Step
from tenor.training.stopping import StopEarly

__all__ = ["Evaluator", "Trainer"]

log = logging.getLogger("tenor")

Evaluator = Callable[[Any], Mapping[str, float]]
BEST = "best"
GIVE_BACK_EVERY = 25  # steps after which memory that was freed goes back to the system


class Trainer(transformers.Trainer):  # type: ignore[misc]
    """Trains a model on an objective, with batches planned from seed and epoch alone.

    The model is borrowed from when the trainer is made: `finish` gives it back trained, `abandon`
    as far as it came, and so does leaving a `with` block, whatever ended it.

    With `FreezingArguments` a part of the model is frozen meanwhile, and its frozen blocks run once
    a text.

    Args:
        model: what is trained; takes a `PackedBatch`. If it has a method `unused_parameters`, what
            that gives is left out.
        step: from the model and a batch to the loss: `Plain` or `GradCache`.
        data: the training data.
        arguments: settings of the loop.
        folder: where `checkpoints/` goes.
        objective: the module inside `step` that may hold parameters of its own.
        plan: the batches; random ones over all rows by default.
        evaluator: from the model to figures, run during training; `None` for never.
        metric: the figure that decides which weights are kept; higher is better.
        callbacks: further `transformers` callbacks.

    Attributes:
        frozen: what is frozen.
        prefix_cache: what was done to run frozen blocks once; `None` for nothing.
        stopping: what may end training before its last step, and did.
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
        self.step, self.arguments = step, arguments
        self.objective = objective
        self._rows: list[int] = []  # of the batch at hand
        self.evaluator = evaluator
        self.checkpoints = Path(folder) / "checkpoints"
        self.plan = plan or TrainingPlan(len(data), arguments.batch_size, arguments.seed)
        if not len(self.plan):
            raise TrainingError("there is not a single batch to train on: no rows.")
        settings = loop_settings(
            arguments,
            folder=self.checkpoints,
            steps=len(self.plan),
            device=next(model.parameters()).device,
            evaluates=evaluator is not None,
            metric=metric,
        )
        self.frozen = FrozenModel.of(model, arguments)
        try:
            data, self.prefix_cache = with_states(model, data, self.frozen.depth, arguments, folder)
            self.borrowed = BorrowedModel(model, data, arguments.weight_decay)
        except BaseException:
            self.frozen.give_back()
            raise
        self.data = self.borrowed.data
        self.stopping = StopEarly(arguments, metric if evaluator else None, log.info)
        try:
            with self.borrowed.whole():
                self.frozen.announce(model, arguments)
            super().__init__(
                model=model,
                args=settings,
                train_dataset=RowNumbers(len(data)),
                eval_dataset=None if evaluator is None else RowNumbers(0),  # it has its own
                callbacks=[*(callbacks or []), self.stopping],
            )
        except BaseException:
            self.borrowed.give_back()
            self.frozen.give_back()
            raise
        self.remove_callback(transformers.PrinterCallback)
        self.remove_callback(transformers.ProgressCallback)
        self.model_accepts_loss_kwargs = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.abandon()

    @property
    def total_steps(self) -> int:
        """Steps that are to be done in all."""
        return total_steps(self.arguments, len(self.plan))

    # -- frozen parts ------------------------------------------------------------------------

    @property
    def trained_parameters(self) -> int:
        """How many parameters of the model are trained at the moment."""
        with self.borrowed.whole():
            return sum(each.numel() for each in self.model.parameters() if each.requires_grad)

    def _unfreeze(self, step: int) -> None:
        """Train one more block, where it is time."""
        if self.frozen.changes and self.frozen.at(step / len(self.plan)):
            log.info("step %d: %s parameters are trained", step, f"{self.trained_parameters:,}")

    # -- data --------------------------------------------------------------------------------

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches by the plan; every process gets the joint batch and takes its share of it."""
        return planned_loader(self.plan, self.data)

    def num_examples(self, dataloader: DataLoader[Any]) -> int:
        """Rows of an epoch."""
        return len(self.data)

    # -- one step ----------------------------------------------------------------------------

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Tensor:
        """Forward and backward of one batch; its randomness comes from seed and step alone."""
        step = self.state.global_step
        if step % GIVE_BACK_EVERY == 0:
            give_back_freed_memory()
        self._unfreeze(step)
        model.train()
        if self.objective is not None:
            self.objective.train()
            self.objective.zero_grad()  # the loop clears the model's gradients only
        batch: TrainingBatch = inputs["batch"]
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
            modules = self._modules_by_prefix().values()
            self.optimizer = make_optimizer(modules, self.arguments, self.frozen)
        made: torch.optim.Optimizer = self.optimizer
        return made

    def _clip_grad_norm(self, model: nn.Module) -> Tensor:
        """The norm of all gradients; they are scaled down to the limit inside the optimiser."""
        assert self.optimizer is not None
        norm = clip_in_step(unwrapped(self.optimizer), self.arguments.max_grad_norm)
        if not math.isfinite(float(norm)):
            step = self.state.global_step + 1
            raise NonFiniteLossError(float(norm), step, self._rows, "the gradient's norm")
        return norm

    # -- evaluation --------------------------------------------------------------------------

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Run the evaluator; keep the weights aside when they are the best so far."""
        assert self.evaluator is not None
        self.model.eval()
        with self.borrowed.whole():
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
            with self.borrowed.whole():
                checkpoint.save_modules(folder, self._modules_by_prefix())
        if self.stopping.out_of_patience(self.state):
            self.control.should_training_stop = True
        return bool(best)

    def load_best(self) -> bool:
        """Put the best weights back; whether there were any."""
        if self.state.best_metric is None or not (self.checkpoints / BEST).exists():
            return False
        with self.borrowed.whole():
            checkpoint.load_modules(self.checkpoints / BEST, self._modules_by_prefix())
        return True

    def finish(self) -> int:
        """Leave the model whole, in evaluation mode, with the best weights where there are any.

        Returns:
            The step that its weights are of.
        """
        self.accelerator.wait_for_everyone()  # the first process may still be writing them
        step = int(self.state.global_step)
        if self.load_best():
            step = int(self.state.best_global_step or 0)
            log.info("kept the weights of step %d, the best.", step)
        self.abandon()
        shutil.rmtree(self.checkpoints.parent / FOLDER, ignore_errors=True)  # nobody shares it
        self.model.eval()
        return step

    def abandon(self) -> None:
        """Give the model back whole, with the weights of the moment; after `finish`, nothing."""
        if self.objective is not None:
            self.objective.zero_grad()
        self.borrowed.give_back()
        self.frozen.give_back()

    # -- checkpoints -------------------------------------------------------------------------

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
        scheduler = checkpoint.scheduler_state(self.lr_scheduler)
        folder = self.checkpoints / f"checkpoint-{self.state.global_step}"
        state = {"trainer_state": asdict(self.state), "scheduler": scheduler}
        with self.borrowed.whole():
            checkpoint.save_checkpoint(
                folder, self._modules_by_prefix(), unwrapped(self.optimizer), state
            )
        checkpoint.prune(self.checkpoints, self.arguments.keep)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        with self.borrowed.whole():
            checkpoint.load_modules(Path(resume_from_checkpoint), self._modules_by_prefix())

    def _load_optimizer_and_scheduler(self, folder: str | None) -> None:
        if folder is None:
            return
        assert self.optimizer is not None and self.lr_scheduler is not None
        checkpoint.load_optimizer(Path(folder), unwrapped(self.optimizer))
        checkpoint.load_scheduler(Path(folder), self.lr_scheduler)

    def _load_rng_state(self, folder: str | None) -> None:
        """Nothing to restore: every step seeds itself."""

    def latest_checkpoint(self) -> str | None:
        """Where `train(resume_from_checkpoint=…)` can go on, if anywhere."""
        found = checkpoint.latest(self.checkpoints)
        return None if found is None else str(found)
