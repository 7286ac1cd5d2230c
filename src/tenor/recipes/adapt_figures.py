"""Figures of every model of an adaptation, measured once and kept for a resumed run."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from tenor.evaluation.compare import difference
from tenor.evaluation.result import EvaluationResult
from tenor.models.embedder import Embedder
from tenor.recipes.adapt_held_out import HeldOut
from tenor.recipes.tell import tell

__all__ = ["Figures"]


class Figures:
    """Measures models on the same data.

    Args:
        held_out: the data.
        folder: where the figures are kept, a file for each model.
    """

    def __init__(self, held_out: HeldOut, folder: Path) -> None:
        self.held_out, self.folder = held_out, folder
        self.metric = held_out.metric

    def of(
        self, name: str, model: Embedder, untouched: EvaluationResult | None = None
    ) -> EvaluationResult:
        """Figures of a model, and a line about the deciding one.

        Args:
            name: of the stage that made it.
            model: what to measure, unless the same model was measured before.
            untouched: what to compare it with.
        """
        path = self.folder / f"{name}.npz"
        result = _read(path)
        if result is None or result.model.get("sha256") != model.sha256:
            named = {"name": name, "sha256": model.sha256 or ""}
            result = replace(self.held_out.measure(model), model=named)
            _write(result, path)
        low, high = result.intervals[self.metric]
        line = f"{name}: {self.metric} {result.metrics[self.metric]:.4f} [{low:.4f}, {high:.4f}]"
        change = difference(untouched, result, self.metric)
        if change:
            line += (
                f", {change['value']:+.4f} [{change['low']:+.4f}, {change['high']:+.4f}] against "
                f"the untouched model ({change['verdict']})"
            )
        tell(line + f", n = {result.n:,}")
        return result


def _write(result: EvaluationResult, path: Path) -> None:
    """Keep figures and the values behind them, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.part")
    with scratch.open("wb") as file:
        np.savez(file, result=np.array(json.dumps(result.to_json())), **result.per_item)  # type: ignore[arg-type]
    scratch.replace(path)


def _read(path: Path) -> EvaluationResult | None:
    try:
        with np.load(path, allow_pickle=False) as stored:
            values = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile):
        return None  # not there, or damaged: it is measured again
    result = EvaluationResult.from_json(json.loads(str(values.pop("result"))))
    return replace(result, per_item=values)
