"""mteb's classification tasks with their labels read once.

mteb hands the labels of a data set to scikit-learn as a lazy column, which decodes every row again
each time it is looked at, some forty times an experiment: on Banking77 most of what a task takes
once its texts are encoded. The scores are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["read_labels_once"]


def read_labels_once(task: Any) -> Any:
    """Make a classification task of mteb read its labels once, not at every use; the same task.

    Tasks of other types, and those with their own way of scoring or of drawing texts, stay as they
    are.

    Args:
        task: any task of mteb.
    """
    from mteb.abstasks import AbsTaskClassification

    own = type(task)
    if not issubclass(own, AbsTaskClassification):
        return task
    if own._calculate_scores is AbsTaskClassification._calculate_scores:
        calculate = task._calculate_scores
        task._calculate_scores = lambda gold, found: calculate(list(gold), found)
    if own._undersample_data is AbsTaskClassification._undersample_data:
        task._undersample_data = _undersampling(task)
    return task


def _undersampling(task: Any) -> Callable[..., Any]:
    """The task's own, of a data set whose labels are in memory until another one comes."""
    undersample = task._undersample_data
    held: list[_LabelsInMemory] = []

    def with_labels_read(dataset: Any, *given: Any) -> Any:
        if not held or held[0].dataset is not dataset:
            held[:] = [_LabelsInMemory(dataset, task.label_column_name)]
        return undersample(held[0], *given)

    return with_labels_read


class _LabelsInMemory:
    """A data set as far as drawing texts of each label needs it, with its labels in a list."""

    def __init__(self, dataset: Any, column: str) -> None:
        self.dataset, self.column = dataset, column
        self.labels = list(dataset[column])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, column: str) -> list[Any]:
        if column != self.column:
            raise KeyError(column)
        return self.labels

    def select(self, rows: list[int]) -> Any:
        return self.dataset.select(rows)
