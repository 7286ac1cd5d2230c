"""What every recipe that trains an embedder shares."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from tenor.data.overlap import overlap
from tenor.data.schema import PairTable, read_pairs
from tenor.evaluation.beir import read_beir
from tenor.evaluation.retrieval import Retrieval
from tenor.evaluation.validation import validation
from tenor.formats.model_card import model_card
from tenor.models.embedder import Embedder
from tenor.recipes.fit import Fit
from tenor.recipes.fit_data import Evaluation, Source
from tenor.recipes.settings import device_of
from tenor.recipes.tell import tell
from tenor.tokens.plan import TrainingPlan
from tenor.training.arguments import TrainingArguments
from tenor.training.batch import TrainingData
from tenor.training.objectives import Objective

__all__ = ["EmbedderFit", "embedder_of", "training_plan"]


def embedder_of(config: Any, name: str, *, pooling: str | None) -> Embedder:
    """Load an embedder as settings say.

    Args:
        config: settings with device, dtype and max_seq_length.
        name: a name, folder or hub id.
        pooling: the model's own by default.
    """
    return Embedder.load(
        name,
        device=device_of(config),
        dtype=config.dtype,
        max_seq_length=config.max_seq_length,
        pooling=pooling,
    )


class EmbedderFit(Fit):
    """One training run of an embedder in its folder."""

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
            RunInterruptedError: when it was interrupted (a checkpoint was saved).
        """
        data = TrainingData.of(table.columns, table.target, model.tokenizer)
        return self.train(
            model,
            objective,
            data,
            loss=loss,
            source=Source.of(table),
            evaluation=self.evaluation_of(validation, table),
            arguments=arguments,
            plan=training_plan(table, arguments, group),
            card=lambda result: self.card_of(model, result),
        )

    def evaluation_of(
        self, given: PairTable | Retrieval | str | None, training: PairTable | Iterable[str]
    ) -> Evaluation | None:
        """How to evaluate, by which figure, and how far the texts were seen in training."""
        if given is None:
            tell("no validation data: nothing is measured in training (give one, or --hold-out)")
            return None
        if isinstance(given, str) and Path(given).is_dir():
            given = read_beir(given)
        if isinstance(given, Retrieval):
            shared = overlap(training, given.queries).describe()
            tell(shared)
            return Evaluation(given, "ndcg@10", shared)
        if isinstance(given, str):
            mapping, bad = self.config.columns, self.config.on_bad_row
            table = read_pairs(given, columns=mapping, on_bad_row=bad)
        else:
            table = given
        shared = overlap(training, table).describe()
        tell(shared)
        measure, metric = validation(table)
        return Evaluation(measure, metric, shared)

    def card_of(self, model: Embedder, result: dict[str, Any]) -> str:
        """The model card of a run's result."""
        return model_card(
            **self.run.card_facts(result),
            base_model=model.name,
            layout=model.layout(self.run.model),
            dimensions=model.dimensions,
        )


def training_plan(table: PairTable, arguments: TrainingArguments, group: int) -> TrainingPlan:
    """The batches of a table; with `group` above 1, rows of a label stand together in so many."""
    labels = None if group == 1 or table.target is None else np.asarray(table.target)
    return TrainingPlan(
        len(table), arguments.batch_size, arguments.seed, labels=labels, group=group
    )
