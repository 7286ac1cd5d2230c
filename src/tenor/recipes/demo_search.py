"""Searching the demo's held-out functions with the models before and after."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from rich.text import Text
from safetensors.numpy import load_file, save_file

from tenor.errors import ConfigError
from tenor.formats.atomic import write_text
from tenor.models.embedder import Embedder

if TYPE_CHECKING:
    from tenor.data.docstrings import RetrievalTask

__all__ = ["QUESTIONS", "Remembering", "ask", "save_search", "show"]

QUESTIONS = ("invert a matrix", "shortest path between two nodes", "read a CSV file into a table")
VECTORS, DOCUMENTS = "vectors.safetensors", "documents.jsonl"


class Remembering:
    """An embedder that keeps every vector it made, so that the documents are encoded once.

    Args:
        model: the embedder, whose weights must not change meanwhile.
    """

    def __init__(self, model: Embedder) -> None:
        self.model = model
        self._known: dict[str, npt.NDArray[np.float32]] = {}

    def encode_counted(
        self, texts: Sequence[str], /, **options: Any
    ) -> tuple[npt.NDArray[np.float32], int]:
        """The vectors (N, D), and how many of the texts encoded just now were truncated."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        vectors, truncated = self.model.encode_counted(new, **options)
        self._known.update(zip(new, vectors, strict=True))
        return np.stack([self._known[text] for text in texts]), truncated

    def encode(self, texts: Sequence[str], /, **options: Any) -> npt.NDArray[np.float32]:
        """The vectors (N, D)."""
        return self.encode_counted(texts, **options)[0]


def save_search(
    out: Path,
    task: RetrievalTask,
    before: npt.NDArray[np.float32],
    after: npt.NDArray[np.float32],
) -> None:
    """Keep the documents and their vectors (N, D) from both models, for `ask`."""
    lines = (
        json.dumps({"id": name, "text": text})
        for name, text in zip(task.ids, task.texts, strict=True)
    )
    write_text(out / DOCUMENTS, "".join(line + "\n" for line in lines))
    save_file({"before": before, "after": after}, out / VECTORS)


def ask(question: str, out: Path, *, dtype: str) -> None:
    """Show what the models before and after find for a question.

    Args:
        question: any text.
        out: folder of a finished demo.
        dtype: dtype of the products: auto, bf16 or fp32.

    Raises:
        ConfigError: `out` holds no finished demo.
    """
    if not (out / "demo.json").exists():
        raise ConfigError("out", str(out), "the folder of a finished demo; run `tenor demo` first")
    lines = (out / DOCUMENTS).read_text(encoding="utf-8").splitlines()
    documents = [json.loads(line) for line in lines]
    vectors = load_file(out / VECTORS)
    scores = []
    for name, side in (("all-MiniLM-L6-v2", "before"), (str(out / "run" / "model"), "after")):
        model: Embedder = Embedder.load(name, dtype=dtype)
        scores.append(vectors[side] @ model.encode(question))
    show(question, [d["id"] for d in documents], [d["text"] for d in documents], *scores)


def show(
    question: str,
    ids: list[str],
    texts: list[str],
    before: npt.NDArray[np.float32],
    after: npt.NDArray[np.float32],
) -> None:
    """The five best of both models, side by side."""
    table = Table("", "before", "after", title=Text(question), show_lines=False, expand=True)
    columns = [np.argsort(-scores, kind="stable")[:5] for scores in (before, after)]
    for place, (old, new) in enumerate(zip(*columns, strict=True), start=1):
        table.add_row(str(place), Text(ids[old]), Text(ids[new]))
    Console().print(table)
