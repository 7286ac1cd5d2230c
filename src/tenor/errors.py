"""Every error a user can cause, as one tree.

TenorError
├── ConfigError            a setting has a value it cannot have
├── DataError              a file or a row cannot be used; names file, line and column
├── ModelError             a model folder cannot be read, written or used
├── MissingExtraError      an optional dependency is not installed
└── TrainingError          a run cannot start, go on or be resumed
    ├── NonFiniteLossError the loss became NaN or infinite; names the batch
    └── RunInterruptedError somebody stopped the run; it can be resumed
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

__all__ = [
    "ConfigError",
    "DataError",
    "MissingExtraError",
    "ModelError",
    "NonFiniteLossError",
    "RunInterruptedError",
    "TenorError",
    "TrainingError",
]


class TenorError(Exception):
    """Base of all errors that Tenor raises on purpose; its message says what to do next."""


class ConfigError(TenorError):
    """A setting has a value it cannot have.

    Args:
        field: name of the setting, as it is written in Python, TOML and on the command line.
        value: what was given.
        allowed: what would have been accepted, in words.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed
        super().__init__(f"{field} = {value!r} is not possible: it must be {allowed}.")


class DataError(TenorError):
    """A file or a row cannot be used.

    Args:
        problem: what is wrong and what to do about it.
        path: the file.
        line: line in the file, counted from 1 (for Parquet: the row, counted from 1).
        column: name of the column.
    """

    def __init__(
        self,
        problem: str,
        *,
        path: str | Path | None = None,
        line: int | None = None,
        column: str | None = None,
    ) -> None:
        self.problem, self.path, self.line, self.column = problem, path, line, column
        where = "" if path is None else str(path)
        if line is not None:
            where += f":{line}" if where else f"row {line}"
        if column is not None:
            where += f", column {column!r}" if where else f"column {column!r}"
        super().__init__(f"{where}: {problem}" if where else problem)


class ModelError(TenorError):
    """A model folder cannot be read, written or used."""


class MissingExtraError(TenorError):
    """An optional dependency is not installed.

    Args:
        extra: name of the extra that brings it.
        purpose: what it is needed for.
    """

    def __init__(self, extra: str, purpose: str) -> None:
        self.extra = extra
        super().__init__(f"{purpose} needs the extra {extra!r}: pip install 'tenor[{extra}]'.")


class TrainingError(TenorError):
    """A run cannot start, go on or be resumed."""


class RunInterruptedError(TrainingError):
    """Somebody stopped a run, by Ctrl-C or SIGTERM; a checkpoint was saved to go on from."""


class NonFiniteLossError(TrainingError):
    """The loss, or the gradient's norm, became NaN or infinite.

    Args:
        loss: its value.
        step: optimiser step, counted from 1.
        rows: rows of the training data in the batch, counted from 0.
        what: what became so.
    """

    def __init__(self, loss: float, step: int, rows: Iterable[int], what: str = "the loss") -> None:
        self.loss, self.step, self.rows = loss, step, list(rows)
        shown = ", ".join(map(str, self.rows[:8])) + (" ..." if len(self.rows) > 8 else "")
        super().__init__(
            f"{what} became {loss} at step {step}, in the batch of training rows {shown}. "
            "Nothing of this step was kept; the last checkpoint stands. Look at these rows, lower "
            "the learning rate, or run in fp32."
        )
