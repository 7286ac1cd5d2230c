"""A data loader whose batches come from the plan, whatever sampler `transformers` would choose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from tenor.tokens.plan import TrainingPlan
from tenor.training.batch import TrainingBatch, TrainingData

__all__ = ["RowNumbers", "planned_loader"]


class RowNumbers(Dataset[int]):
    """Row numbers, as a data set of so many rows; the loader makes batches of them.

    Args:
        rows: how many.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: int) -> int:
        return index


def planned_loader(plan: TrainingPlan, data: TrainingData) -> DataLoader[Any]:
    """Batches by the plan; every process gets the joint batch and takes its share of it.

    Args:
        plan: which rows make which batch.
        data: the rows.

    Returns:
        A loader of `{"batch": TrainingBatch}`, one for each batch of an epoch.
    """

    def collate(rows: list[int]) -> dict[str, TrainingBatch]:
        return {"batch": data.batch(torch.tensor(rows).numpy())}

    sampler: Any = _Wrapped(_PlannedBatches(plan))
    return DataLoader(RowNumbers(len(data)), batch_sampler=sampler, collate_fn=collate)


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
