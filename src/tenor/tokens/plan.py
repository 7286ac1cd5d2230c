"""Which texts make which batch: from the seed, the epoch and the lengths alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from tenor.errors import ConfigError

__all__ = ["TrainingPlan", "batches_by_length"]


def batches_by_length(
    lengths: npt.NDArray[np.int64], token_budget: int
) -> Iterator[npt.NDArray[np.int64]]:
    """Cut texts, sorted by length, longest first, into batches of at most `token_budget` tokens.

    Longest first: a batch that does not fit in memory fails at once, not after an hour.

    Args:
        lengths: (texts,) tokens of each text.
        token_budget: tokens a batch may hold; a single longer text is a batch of its own.

    Yields:
        The rows of each batch.

    >>> [batch.tolist() for batch in batches_by_length(np.array([2, 5, 3, 2]), 6)]
    [[1], [2, 0], [3]]
    """
    order = np.argsort(-lengths, kind="stable")
    ends = np.cumsum(lengths[order])
    start = 0
    while start < len(order):
        before = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, before + token_budget, side="right"))
        stop = max(stop, start + 1)
        yield order[start:stop]
        start = stop


class TrainingPlan:
    """The batches of every epoch: a fresh permutation of the rows, from (seed, epoch) alone.

    So a run can be stopped at any step and go on with the very same batches, and every process of a
    distributed run knows all of them: each encodes its share of the joint batch's texts.

    Args:
        rows: number of rows of training data.
        batch_size: rows of a batch, over all processes.
        seed: any non-negative integer.
        drop_last: leave out the last, smaller batch of an epoch.
        labels: (rows,) a label for each row, for batches that hold several rows of a label.
        group: rows of one label that stand together, as far as there are so many.
    """

    def __init__(
        self,
        rows: int,
        batch_size: int,
        seed: int,
        *,
        drop_last: bool = False,
        labels: npt.NDArray[np.int64] | None = None,
        group: int = 1,
    ) -> None:
        if labels is not None and batch_size % group:
            raise ConfigError("batch_size", batch_size, f"a multiple of {group}, rows of a label")
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        self.drop_last, self.labels, self.group = drop_last, labels, group
        self._order: tuple[int, npt.NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        full, rest = divmod(self.rows, self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def batch(self, epoch: int, index: int) -> npt.NDArray[np.int64]:
        """The rows of one batch of one epoch."""
        return self.order(epoch)[index * self.batch_size : (index + 1) * self.batch_size]

    def order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The permutation of all rows in one epoch."""
        if self._order is None or self._order[0] != epoch:
            generator = np.random.default_rng([self.seed, epoch])
            order = generator.permutation(self.rows)
            if self.labels is not None and self.group > 1:
                order = self._grouped(order, generator)
            self._order = (epoch, order)
        return self._order[1]

    def _grouped(
        self, order: npt.NDArray[np.int64], generator: np.random.Generator
    ) -> npt.NDArray[np.int64]:
        """Rows of one label in groups, groups in random order; what does not fill one, last."""
        assert self.labels is not None
        by_label = order[np.argsort(self.labels[order], kind="stable")]
        labels = self.labels[by_label]
        starts = np.flatnonzero(np.diff(labels, prepend=labels[0] - 1))
        place = np.arange(len(by_label)) - np.repeat(starts, np.diff([*starts, len(by_label)]))
        sizes = np.repeat(np.diff([*starts, len(by_label)]), np.diff([*starts, len(by_label)]))
        full = place < sizes // self.group * self.group
        groups = by_label[full].reshape(-1, self.group)
        return np.concatenate([generator.permutation(groups).ravel(), by_label[~full]])
