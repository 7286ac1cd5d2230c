"""Vectors of texts that come in several calls, each distinct text encoded once.

Shape legend: N texts, D dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["RememberedVectors"]

CAPACITY = 200_000  # texts whose vectors are kept: 300 MB at 384 dimensions

Vectors = npt.NDArray[np.float32]


class RememberedVectors:
    """Encodes texts that it has not seen in the same scope, and remembers the others.

    Args:
        model: an `Embedder`, or what encodes as one does.
        capacity: texts to remember; those of a larger call are encoded and not kept.

    Attributes:
        truncated: distinct texts encoded so far that were longer than the model reads.
    """

    def __init__(self, model: Any, *, capacity: int = CAPACITY) -> None:
        self.model, self.capacity = model, capacity
        self.truncated = 0
        self._scope: str | None = None
        self._rows: dict[tuple[str | None, str], int] = {}
        self._table: Vectors = np.zeros((0, 0), dtype=np.float32)

    def vectors(
        self, texts: Sequence[str], *, prompt: str | None = None, scope: str = ""
    ) -> Vectors:
        """Return the vectors of texts, (N, D), in their order.

        Args:
            texts: with repeats as they come.
            prompt: text to put before each; `None` for the model's default prompt.
            scope: what the texts belong to; vectors of another scope are forgotten.
        """
        if scope != self._scope:
            self.forget(scope)
        distinct = dict.fromkeys(texts)
        new = [text for text in distinct if (prompt, text) not in self._rows]
        if len(self._rows) + len(new) > self.capacity:
            self.forget(scope)
            new = list(distinct)
        if len(new) > self.capacity:
            return self._encode(texts, prompt)
        if new:
            self._keep(new, self._encode(new, prompt), prompt)
        if not len(texts):
            return self._encode([], prompt)
        return self._table[[self._rows[prompt, text] for text in texts]]

    def forget(self, scope: str | None = None) -> None:
        """Drop what is remembered.

        Args:
            scope: what the next texts belong to.
        """
        self._scope, self._rows = scope, {}
        self._table = np.zeros((0, 0), dtype=np.float32)

    def _encode(self, texts: Sequence[str], prompt: str | None) -> Vectors:
        found, cut = self.model.encode_counted(list(texts), prompt=prompt)
        self.truncated += cut
        vectors: Vectors = np.asarray(found, dtype=np.float32)
        return vectors

    def _keep(self, new: Sequence[str], vectors: Vectors, prompt: str | None) -> None:
        used = len(self._rows)
        if used + len(new) > len(self._table):  # grows in steps, so that rows are copied seldom
            room = min(self.capacity, max(used + len(new), 2 * len(self._table)))
            larger = np.empty((room, vectors.shape[1]), dtype=np.float32)
            if used:
                larger[:used] = self._table[:used]
            self._table = larger
        self._table[used : used + len(new)] = vectors
        for place, text in enumerate(new, start=used):
            self._rows[prompt, text] = place
