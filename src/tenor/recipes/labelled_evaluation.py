"""How classifiers are measured on labelled texts: a file's, or a share of those to train on."""

from __future__ import annotations

from typing import Any

from tenor.data.labelled_texts import read_labelled_like
from tenor.data.overlap import overlap
from tenor.data.schema import PairTable
from tenor.evaluation.classification import Classification, classification_metric
from tenor.recipes.fit_data import Evaluation
from tenor.recipes.settings import split_seed_of
from tenor.recipes.tell import tell

__all__ = ["evaluation_on_texts"]


def evaluation_on_texts(
    config: Any, training: PairTable, held: PairTable | None
) -> Evaluation | None:
    """How to evaluate, by which figure, and how far the texts were seen in training.

    Args:
        config: settings with validation, columns, on_bad_row and seed.
        training: the texts to train on.
        held: texts held out of them; `None` for those of the validation file, if there is one.

    Raises:
        DataError: the validation file cannot be used, or has labels that no training text has.
    """
    if held is None and config.validation is None:
        tell("no validation data: nothing will be measured (give --validation or --hold-out)")
        return None
    table = held
    if table is None:
        table = read_labelled_like(
            training, config.validation, columns=config.columns, on_bad_row=config.on_bad_row
        )
    shared = overlap(training, table).describe()
    tell(shared)
    metric = classification_metric(training.kind == "multi_labelled_texts")
    return Evaluation(Classification(table, seed=split_seed_of(config)), metric, shared)
