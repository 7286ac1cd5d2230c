"""What a run can train."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

__all__ = ["Trainable"]


class Trainable(Protocol):
    """What `Fit` trains: a module that says what it is, and can be saved."""

    name: str
    sha256: str | None

    @property
    def encoder(self) -> Any:
        """The encoder inside."""

    @property
    def max_seq_length(self) -> int:
        """Tokens of a text that count."""

    def save(self, folder: str | Path, *, card: str | None = None) -> None:
        """Write the model, whole or not at all."""
