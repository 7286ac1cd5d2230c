"""Several models on several tasks: quality, speed, memory and size, and which to take.

Each model is measured in a process of its own, one after the other.
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tenor.errors import ConfigError, TenorError
from tenor.recipes.reporting import leave_report
from tenor.recipes.settings import DEVICES, DTYPES, check_choices, check_least, check_seeds

__all__ = ["CompareConfig", "compare_models"]

log = logging.getLogger("tenor")

BATCHES = (1, 32)
PARTS = ".compare-parts"  # removed at the end: a name that no file of the user's has


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Settings of a comparison.

    Attributes:
        models: names, folders or hub ids of embedders (static ones too), cross-encoders and
            classifiers.
        on: tasks: a file of scored pairs, labelled pairs or pairs to rank; a train and a test file
            of labelled texts with a comma between them, or a folder that holds both; or a folder
            with corpus, queries and qrels. The columns tell which.
        out: folder for compare.json, items.parquet and report.html; nothing is stored by default.
        under_ms: which model is the best of those whose p95 latency is at most so many
            milliseconds for one text.
        within: which model is the smallest of those whose quality is at most this share below the
            best.
        speed_texts: how many of the tasks' texts (or pairs) the models are timed with in bulk.
        requests: how many requests of each size are timed; they hold what is asked one by one:
            queries, test texts and pairs, not the documents of a corpus.
        resamples: of the bootstrap; by default as many as the correction for several comparisons
            needs, at least 2,000.
        seed: of the resamples, and of what is drawn of the texts.
        dtype: auto, bf16 or fp32.
        device: auto, cpu, cuda or mps.
    """

    models: tuple[str, ...]
    on: tuple[str, ...]
    out: str | None = None
    under_ms: float = 5.0
    within: float = 0.01
    speed_texts: int = 1000
    requests: int = 100
    resamples: int | None = None
    seed: int = 0
    dtype: str = "auto"
    device: str = "auto"

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("models", list(self.models), "at least one model")
        for place, model in enumerate(self.models):
            if model in self.models[:place]:
                raise ConfigError("models", model, "named once")
        if not self.under_ms > 0:
            raise ConfigError("under_ms", self.under_ms, "above 0")
        if not 0 <= self.within < 1:
            raise ConfigError("within", self.within, "from 0 and below 1")
        check_least(self, 1, "speed_texts", "requests", "resamples")
        check_choices(self, device=DEVICES, dtype=DTYPES)
        check_seeds(self)
        if self.out is not None and (Path(self.out) / "compare.json").exists():
            raise ConfigError("out", self.out, "a folder that holds no comparison yet")


def compare_models(config: CompareConfig) -> dict[str, Any]:
    """Measure every model on every task, and weigh them against one another.

    All models and tasks are looked at before the first one is measured. A model that fails is
    told and left out; the others are compared. With `out`, a comparison that was stopped goes on
    behind the last model that was measured.

    Args:
        config: the settings.

    Returns:
        What compare.json holds, plain values: `tasks`, `models` with their figures, `differences`
        of every two models on each task and in the mean, `choices`, `failed`, and what it ran on.

    Raises:
        ConfigError: a setting cannot be, or a task is named twice.
        ModelError: there is no such model, or none of the tasks is one for its kind.
        DataError: a task cannot be used.
        TenorError: every model failed.
    """
    from tenor.recipes.compare_data import find_tasks, read_task, sample_inputs
    from tenor.recipes.compare_outcome import outcome
    from tenor.recipes.compare_run import check_models, measure_in_processes
    from tenor.training.run import machine, versions

    start = time.perf_counter()
    tasks = find_tasks(config.on)
    check_models(config.models, tasks)
    data = [read_task(task) for task in tasks]
    leaks = [one.leak for one in data]
    for one, leak in zip(data, leaks, strict=True):
        log.info("%s: %s, %s items", one.task.path, one.task.kind, f"{one.items:,}")
        if leak is not None:
            log.info("%s: %s", one.task.path, leak.describe())
    texts = list(dict.fromkeys(text for one in data for text in one.texts))
    asked = list(dict.fromkeys(text for one in data for text in one.asked))
    pairs = list(dict.fromkeys(pair for one in data for pair in one.pairs))
    request = {
        "dtype": config.dtype,
        "device": config.device,
        "seed": config.seed,
        "tasks": [
            {**asdict(task), "test": str(task.test), "train": task.train and str(task.train)}
            for task in tasks
        ],
        "texts": sample_inputs(texts, config.speed_texts, config.seed),
        "asked": sample_inputs(asked, config.speed_texts, config.seed),
        "pairs": sample_inputs(pairs, config.speed_texts, config.seed),
        "batches": BATCHES,
        "requests": config.requests,
    }
    described = [
        {
            "name": one.task.name,
            "kind": one.task.kind,
            "path": one.task.path,
            "files": [str(file) for file in one.task.files],
            "sha256": one.sha256,
            "n": one.items,
            "items_in_training": None if leak is None else leak.shared_texts,
        }
        for one, leak in zip(data, leaks, strict=True)
    ]
    request["data"] = [one["sha256"] for one in described]
    del data, texts, asked, pairs  # the models have processes of their own to stand in
    parts = None if config.out is None else Path(config.out) / PARTS
    with measure_in_processes(config.models, request, parts) as (measured, failed):
        if not measured:
            raise TenorError("no model could be measured: " + "; ".join(f["error"] for f in failed))
        result = outcome(measured, described, config)
        result |= {
            "failed": failed,
            "settings": _settings(config),
            "machine": machine(),
            "versions": versions(),
            "seconds": time.perf_counter() - start,
        }
        if config.out is not None:
            _store(result, [one.items_file for one in measured], Path(config.out))
    return result


def _settings(config: CompareConfig) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(config).items()
    }


def _store(result: dict[str, Any], parts: list[Path], folder: Path) -> None:
    """compare.json last: where it is, all is."""
    import json

    import pyarrow.parquet as pq

    from tenor.formats.atomic import write_text

    result["items"] = "items.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    scratch = folder / ".items.parquet.part"
    try:
        with pq.ParquetWriter(scratch, pq.read_schema(parts[0]), compression="zstd") as writer:
            for part in parts:
                writer.write_table(pq.read_table(part))
        scratch.replace(folder / "items.parquet")
    finally:
        scratch.unlink(missing_ok=True)
    write_text(folder / "compare.json", json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    log.info("wrote %s and items.parquet", folder / "compare.json")
    leave_report(folder)
