"""The data of a comparison's tasks: read once to check them, again where a model is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tenor.data.labelled_texts import read_labelled_like, read_labelled_texts
from tenor.data.overlap import Overlap, overlap
from tenor.data.schema import PairTable, read_pairs
from tenor.errors import ConfigError
from tenor.evaluation.beir import read_beir
from tenor.evaluation.local_tasks import LocalTask, find_local_task
from tenor.evaluation.result import hash_files
from tenor.evaluation.retrieval import Retrieval
from tenor.evaluation.validation import validation

__all__ = ["TaskData", "find_tasks", "read_task", "sample_inputs"]


@dataclass(frozen=True, kw_only=True)
class TaskData:
    """A task with its rows.

    Args:
        task: what was named.
        sha256: of its files.
        table: the rows to measure on; `None` for retrieval and ranking.
        train: the rows to learn labels from, for classification.
        search: the evaluation, for retrieval and ranking.
    """

    task: LocalTask
    sha256: str
    table: PairTable | None = None
    train: PairTable | None = None
    search: Retrieval | None = None

    @property
    def items(self) -> int:
        """What figures are the mean of: pairs, texts, or queries that have a relevant document."""
        if self.search is not None:
            return len(self.search.queries)
        return 0 if self.table is None else len(self.table)

    @property
    def description(self) -> dict[str, Any]:
        """What a result says of the data."""
        return {"path": self.task.path, "sha256": self.sha256}

    @property
    def texts(self) -> list[str]:
        """All distinct texts that a model is measured on, training texts left out."""
        if self.search is not None:
            several = [*self.search.queries, *self.search.documents]
        else:
            assert self.table is not None
            several = [text for column in self.table.columns.values() for text in column]
        return list(dict.fromkeys(several))

    @property
    def leak(self) -> Overlap | None:
        """How many of the texts to measure on stand in the training file, where there is one."""
        if self.train is None or self.table is None:
            return None
        return overlap(self.train, self.table)

    @property
    def asked(self) -> list[str]:
        """The distinct texts that come one by one in use: all but the documents of a corpus."""
        return self.texts if self.search is None else list(dict.fromkeys(self.search.queries))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The distinct pairs of a task that has some; else none."""
        if self.table is None or len(self.table.columns) != 2:
            return []
        return list(dict.fromkeys(zip(*self.table.columns.values(), strict=True)))


def find_tasks(paths: Sequence[str]) -> list[LocalTask]:
    """The tasks that paths name, with names that differ.

    Args:
        paths: as `find_local_task` takes them.

    Raises:
        ConfigError: none is named, or one is named twice.
        DataError: one is no task.
    """
    if not paths:
        raise ConfigError("on", list(paths), "at least one task: a file or a folder")
    twice = next((path for place, path in enumerate(paths) if path in paths[:place]), None)
    if twice is not None:
        raise ConfigError("on", twice, "named once")
    tasks = [find_local_task(path) for path in paths]
    names = [task.name for task in tasks]
    return [replace(task, name=task.path) if names.count(task.name) > 1 else task for task in tasks]


def read_task(task: LocalTask) -> TaskData:
    """Read and check all rows of a task.

    Args:
        task: from `find_tasks`.

    Raises:
        DataError: a row cannot be used, or there is too little to measure on.
    """
    if task.kind == "retrieval":
        search = read_beir(task.test)
        return TaskData(task=task, sha256=search.data["sha256"], search=search)
    if task.kind == "classification":
        assert task.train is not None
        train = read_labelled_texts(task.train)
        test = read_labelled_like(train, task.test)
        return TaskData(task=task, sha256=hash_files(task.files), table=test, train=train)
    table = read_pairs(task.test)
    measure, _ = validation(table)  # refuses what there is nothing to measure on
    if isinstance(measure, Retrieval):
        return TaskData(task=task, sha256=table.sha256, search=measure)
    return TaskData(task=task, sha256=table.sha256, table=table)


def sample_inputs(inputs: Sequence[Any], count: int, seed: int) -> list[Any]:
    """At most so many of the inputs, drawn at random, in no order of length.

    Args:
        inputs: distinct texts or pairs.
        count: how many to keep, at least 1.
        seed: decides which.
    """
    order = np.random.default_rng([seed, 5]).permutation(len(inputs))[:count]
    return [inputs[place] for place in order.tolist()]
