"""What the recipes that make a static embedder share: measure, compare, write down, save."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tenor.data.overlap import Overlap, normalise
from tenor.data.read import iterate_texts
from tenor.data.schema import read_pairs
from tenor.errors import DataError
from tenor.evaluation.beir import read_beir
from tenor.evaluation.compare import difference
from tenor.evaluation.map_sample import StoredMap, map_sample, sample_vectors, write_map
from tenor.evaluation.predictions import write_predictions
from tenor.evaluation.result import EvaluationResult
from tenor.evaluation.validation import validation
from tenor.formats.locate import hash_model
from tenor.formats.model_card import model_card
from tenor.models.embedder import Embedder
from tenor.models.static import StaticEmbedder
from tenor.recipes.fit_data import Evaluation
from tenor.recipes.tell import tell
from tenor.training.run import Run, machine, versions

__all__ = ["HeldOut", "RawText", "save_static", "texts_per_second"]

SPEED_TEXTS = 512  # texts that a speed is measured on


class HeldOut:
    """Data to measure on, and how much of it stood in the training texts.

    Args:
        given: scored pairs or any other file that `validation` knows, a folder with a retrieval
            task, or `None` to measure nothing.
    """

    def __init__(self, given: str | None) -> None:
        self.evaluation: Evaluation | None = None
        self.texts: list[str] = []
        if given is None:
            tell("no evaluation data: nothing will be measured (give --evaluate)")
            return
        if Path(given).is_dir():
            task = read_beir(given)
            self.evaluation = Evaluation(task, "ndcg@10")
            self.texts = list(dict.fromkeys(task.queries))
        else:
            table = read_pairs(given)
            self.evaluation = Evaluation(*validation(table))
            self.texts = list(dict.fromkeys(t for texts in table.columns.values() for t in texts))
        self._waiting = {normalise(text): text for text in self.texts}
        self._distinct = len(self._waiting)

    @property
    def metric(self) -> str | None:
        """Name of the deciding figure."""
        return None if self.evaluation is None else self.evaluation.metric

    def seen(self, texts: Iterable[str]) -> None:
        """Take note of training texts."""
        if self.texts:
            for text in texts:
                self._waiting.pop(normalise(text), None)

    def overlap(self) -> str | None:
        """How many evaluation texts were seen, in words."""
        if self.evaluation is None:
            return None
        shared = self._distinct - len(self._waiting)
        if shared:
            return (
                f"{shared:,} of {self._distinct:,} evaluation texts "
                f"({shared / self._distinct:.1%}) also occur in the training data."
            )
        return Overlap(texts=self._distinct, shared_texts=0).describe()

    def measure(self, model: Embedder) -> EvaluationResult | None:
        """Figures of a model, and a line about the deciding one."""
        if self.evaluation is None:
            return None
        found = self.evaluation.measure(model)
        low, high = found.intervals[self.evaluation.metric]
        value = found.metrics[self.evaluation.metric]
        tell(
            f"{model.name}: {self.evaluation.metric} {value:.4f} [{low:.4f}, {high:.4f}], "
            f"n = {found.n:,}"
        )
        return replace(found, model={"name": model.name, "sha256": model.sha256 or ""})


class RawText:
    """The texts of a file, streamed as often as they are needed.

    Args:
        path: file or hub data set.
        column: the one with the texts.
    """

    def __init__(self, path: str, column: str = "text") -> None:
        self.path, self.column = path, column
        self.rows = 0

    def blocks(self) -> Iterator[list[str]]:
        """Block after block."""
        rows = 0
        for block in iterate_texts(self.path, self.column, block=4096):
            rows += len(block)
            yield block
        self.rows = rows

    def texts(self) -> Iterator[str]:
        """Text after text."""
        for block in self.blocks():
            yield from block

    def sha256(self) -> str:
        """Of the file; empty for a hub data set."""
        from tenor.evaluation.result import hash_files

        return hash_files([self.path]) if Path(self.path).is_file() else ""


def texts_per_second(model: Embedder, texts: list[str]) -> float:
    """How many texts a model encodes a second here, after a first few to warm up."""
    sample = texts[:SPEED_TEXTS]
    if not sample:
        raise DataError("there are no texts to measure the speed on.")
    model.encode(sample[:64], progress=False)
    start = time.perf_counter()
    model.encode(sample, progress=False)
    return len(sample) / (time.perf_counter() - start)


def save_static(
    run: Run,
    model: StaticEmbedder,
    facts: dict[str, Any],
    *,
    held_out: HeldOut,
    before: EvaluationResult | None,
    base: tuple[str, str | None],
    start: float,
) -> dict[str, Any]:
    """Measure a finished model, and write model/ and result.json.

    Args:
        run: the folder.
        model: the model.
        facts: what the recipe has to say, by name; `rows`, `loss` and `data` among it.
        held_out: what to measure on.
        before: what the model is compared with.
        base: name and hash of what it was made of.
        start: when the run began, by `time.perf_counter`.

    Returns:
        What result.json holds.
    """
    model.name = run.folder.name
    after = held_out.measure(model)
    result: dict[str, Any] = {
        **facts,
        "metric": held_out.metric,
        "before": None if before is None else before.to_json(),
        "after": None if after is None else after.to_json(),
        "difference": difference(before, after, held_out.metric),
        "overlap": held_out.overlap(),
        "base_model": {"name": base[0], "sha256": base[1]},
        "dimensions": model.dimensions,
        "tokens": len(model.vectors),
        "versions": versions(),
        "machine": machine(),
        "dtype": "float32",
        "seconds": time.perf_counter() - start,
    }
    change = result["difference"]
    if change:
        tell(
            f"{held_out.metric} {change['value']:+.4f} [{change['low']:+.4f}, "
            f"{change['high']:+.4f}] against {base[0]} ({change['verdict']})"
        )
    if result["overlap"]:
        tell(result["overlap"])
    card = model_card(
        **run.card_facts(result),
        base_model=base[0],
        layout=model.layout(run.model),
        dimensions=model.dimensions,
    )
    if held_out.evaluation is not None:
        write_predictions(run.folder, held_out.evaluation.items, before, after)
        sample = map_sample(held_out.evaluation.items)
        if sample is not None:
            write_map(run.folder, StoredMap(sample, None, sample_vectors(model, sample)))
    model.save(run.model, card=card)
    result["model"] = {"path": str(run.model), "sha256": hash_model(run.model)}
    run.write_result(result)
    tell(f"saved {run.model}: {model.dimensions} dimensions, {len(model.vectors):,} tokens")
    return result
