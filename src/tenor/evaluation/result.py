"""What an evaluation takes and gives: a model that encodes, and figures that become one JSON."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from tenor.errors import DataError, ModelError

__all__ = ["CountsTruncation", "Encodes", "EvaluationResult", "encode_texts", "hash_files"]

_CHUNK_BYTES = 1 << 20
_FINITE_CHECK_ROWS = 65_536


class Encodes(Protocol):
    """Anything that turns texts into vectors: an `Embedder`, a `SentenceTransformer`, a stub."""

    def encode(self, texts: list[str], /, *args: Any, **options: Any) -> Any:
        """Return a float array or CPU tensor of shape (texts, width), row i for text i.

        Options are given by name, and only where they are asked for: `prompt_name`.
        """


@runtime_checkable
class CountsTruncation(Protocol):
    """A model that also tells how many of the texts it had to cut."""

    def encode_counted(self, texts: list[str], /, *args: Any, **options: Any) -> tuple[Any, int]:
        """Return what `encode` returns, and the number of texts that were truncated."""


@dataclass(frozen=True, kw_only=True)
class EvaluationResult:
    """Figures of one model on one data set.

    Args:
        metrics: value by name, as the field writes it (`spearman_cosine`, `ndcg@10`).
        intervals: bootstrap 95 % interval (low, high) by the same names.
        n: items the metrics rest on: pairs, or queries that have a relevant document.
        truncated: distinct input texts that were longer than the model reads.
        seconds: wall time of the whole evaluation.
        model: `name` and, where the caller knows the files, `sha256`.
        data: `path` and `sha256`, or the `name` of a data set that is no file.
        notes: what was left out or decided on the way, by name.
        per_item: the values behind the metrics, one an item, for paired tests and reports; they
            are not part of the JSON.
    """

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    n: int
    truncated: int
    seconds: float
    model: dict[str, str]
    data: dict[str, Any]
    notes: dict[str, int | str] = field(default_factory=dict)
    per_item: dict[str, npt.NDArray[Any]] = field(default_factory=dict, compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain values; NaN and infinity, which JSON lacks, become None."""
        return {
            "metrics": _plain(self.metrics),
            "intervals": _plain(self.intervals),
            "n": int(self.n),
            "truncated": int(self.truncated),
            "seconds": _plain(float(self.seconds)),
            "model": _plain(self.model),
            "data": _plain(self.data),
            "notes": _plain(self.notes),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> EvaluationResult:
        """Read what `to_json` wrote; None among the figures becomes NaN.

        Raises:
            DataError: a key is missing.
        """
        expected = ("metrics", "intervals", "n", "truncated", "seconds", "model", "data", "notes")
        missing = [key for key in expected if key not in values]
        if missing:
            raise DataError(
                f"an evaluation result lacks {', '.join(missing)}; "
                "read a file that `tenor evaluate --json` wrote."
            )
        return cls(
            metrics={name: _number(value) for name, value in values["metrics"].items()},
            intervals={
                name: (_number(low), _number(high))
                for name, (low, high) in values["intervals"].items()
            },
            n=values["n"],
            truncated=values["truncated"],
            seconds=_number(values["seconds"]),
            model=dict(values["model"]),
            data=dict(values["data"]),
            notes=dict(values["notes"]),
        )


def hash_files(paths: Iterable[str | Path]) -> str:
    """Return the SHA-256, in hex, of the files' contents one after the other, in the given order.

    For one file this is what `sha256sum` prints.

    Raises:
        DataError: a file is not there or cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with open(path, "rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    digest.update(chunk)
        except OSError as error:
            raise DataError(f"cannot be read: {error.strerror}.", path=path) from error
    return digest.hexdigest()


def encode_texts(
    model: Encodes, texts: Sequence[str], **options: Any
) -> tuple[npt.NDArray[np.float32], int]:
    """Encode each distinct text once.

    Args:
        model: its `encode_counted` is used where it has one, else its `encode`.
        texts: with repeats as they come.
        **options: passed on to the model, such as `prompt_name`.

    Returns:
        Vectors of shape (texts, width), and how many distinct texts were truncated (0 for a model
        that does not say).

    Raises:
        ModelError: the model returned the wrong shape, or a value that is not finite.
    """
    row_of = {text: row for row, text in enumerate(dict.fromkeys(texts))}
    distinct = list(row_of)
    if isinstance(model, CountsTruncation):
        encoded, truncated = model.encode_counted(distinct, **options)
    else:
        encoded, truncated = model.encode(distinct, **options), 0
    embeddings = np.asarray(encoded, dtype=np.float32)
    if embeddings.ndim != 2 or len(embeddings) != len(distinct):
        raise ModelError(
            f"the model's encode gave an array of shape {embeddings.shape} for {len(distinct)} "
            f"texts; it must give ({len(distinct)}, width)."
        )
    for start in range(0, len(embeddings), _FINITE_CHECK_ROWS):
        finite = np.isfinite(embeddings[start : start + _FINITE_CHECK_ROWS]).all(axis=1)
        if not finite.all():
            text = distinct[start + int(np.argmin(finite))]
            raise ModelError(
                f"the model gives NaN or infinite values for the text {text[:80]!r}: its weights "
                "are damaged, or it needs fp32."
            )
    if len(distinct) < len(texts):
        embeddings = embeddings[[row_of[text] for text in texts]]
    return embeddings, int(truncated)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
