"""One depth of a freeze sweep: a training run, and its measure on the test texts."""

from __future__ import annotations

import gc
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tenor.data.schema import PairTable
from tenor.errors import ConfigError
from tenor.evaluation.classification import Classification
from tenor.evaluation.result import EvaluationResult
from tenor.formats.atomic import write_text
from tenor.models.classifier import TextClassifier
from tenor.models.encoder_classifier import EncoderClassifier
from tenor.recipes.classifier import learning_rates, train_on_table
from tenor.recipes.fit import Fit
from tenor.recipes.settings import device_of
from tenor.recipes.tell import tell
from tenor.training.memory import peak_bytes, restart_peak

if TYPE_CHECKING:
    from tenor.recipes.sweep import FreezeSweepConfig

__all__ = ["Depth", "blocks_of", "run_depth"]

MEASURED = "sweep.json"  # in the folder of a depth's run: what only its process could know


@dataclass(frozen=True)
class Depth:
    """What became of one depth.

    Attributes:
        row: its figures, as JSON values.
        result: what was found on the test texts.
    """

    row: dict[str, Any]
    result: EvaluationResult


def blocks_of(config: FreezeSweepConfig, labels: Sequence[str]) -> int:
    """How many blocks the encoder has that can be frozen one by one.

    Raises:
        ConfigError: none.
    """
    model = EncoderClassifier.start(config.model, labels, device="cpu", dtype="fp32")
    if not len(model.encoder.blocks):
        name = type(model.encoder.transformer).__name__
        allowed = f"another one: {name} uses one block again and again"
        raise ConfigError("model", config.model, allowed)
    return len(model.encoder.blocks)


def run_depth(config: FreezeSweepConfig, depth: int, table: PairTable, test: PairTable) -> Depth:
    """Train with some blocks frozen, or take the run that is there, and measure it.

    Args:
        config: of the sweep.
        depth: how many blocks are frozen.
        table: the training texts.
        test: the texts to measure on.
    """
    settings = config.run(depth)
    fit = Fit(settings, settings.out, resume=config.resume)
    measured = Path(settings.out) / MEASURED
    trained = fit.finished
    model: TextClassifier
    if trained is None:
        memory = _Memory()
        trained, model = train_on_table(fit, settings, table)
        assert isinstance(model, EncoderClassifier)
        facts = {"peak_bytes": memory.peak(model.device), **learning_rates(settings, model)}
        write_text(measured, json.dumps(facts) + "\n")
    else:
        tell(f"{settings.out} is done already.")
        model = TextClassifier.load(fit.run.model, device=device_of(config), dtype=config.dtype)
        facts = {"peak_bytes": None, "learning_rate": None, "head_learning_rate": None}
        if measured.exists():
            facts = json.loads(measured.read_text(encoding="utf-8"))
    _drop_shallower(Path(config.out) / "prefix-cache", depth)
    found = Classification(test, seed=config.seed)(model)
    found = replace(found, model={"name": settings.out, "sha256": trained["model"]["sha256"]})
    row = {
        "depth": depth,
        "trained_parameters": trained["trained_parameters"],
        "train_seconds": trained["train_seconds"],
        **facts,
        "steps": trained["steps"],
        "train_loss": trained["train_loss"],
        "prefix_cache": trained["prefix_cache"],
        "dtype": trained["dtype"],
        "model": trained["model"],
        "test": found.to_json(),
    }
    return Depth(row, found)


class _Memory:
    """The most memory that is held from here on."""

    def __init__(self) -> None:
        gc.collect()
        self._restarted = restart_peak()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()

    def peak(self, device: torch.device) -> int | None:
        """In bytes: the device's, or the process's; `None` where that cannot be told."""
        if device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(device))
        return peak_bytes() if self._restarted else None


def _drop_shallower(folder: Path, depth: int) -> None:
    """Delete states that no later depth goes on from: they do from the deepest."""
    kept = list(folder.glob(f"prefix-{depth}-*"))
    for path in folder.glob("prefix-*"):
        if kept and path not in kept:
            shutil.rmtree(path, ignore_errors=True)
