"""The README.md of a masked language model: what it is, how to use it, what was measured."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

__all__ = ["masked_lm_card"]

FACTS = {
    "rows": "Documents of training data",
    "skipped": "Bad rows left out",
    "distinct_blocks": "Blocks they were cut into",
    "steps": "Optimiser steps",
    "best_step": "Step of the kept weights",
    "train_loss": "Training loss",
    "dtype": "Precision of the matrix products",
    "seconds": "Seconds",
}


def masked_lm_card(name: str, base_model: str, training: Mapping[str, Any] | None) -> str:
    """Write the model card of a masked language model.

    Args:
        name: the model's name.
        base_model: name, hub id or folder of what training started from; "" for from scratch.
        training: what the run recorded: the keys of `FACTS`, `before`, `after` and `arguments`.

    Returns:
        Text of README.md.
    """
    title = " ".join(name.split())
    start = _line(base_model) if base_model else "scratch"
    folder = json.dumps(title, ensure_ascii=False)
    sections = [
        "---\nlibrary_name: transformers\npipeline_tag: fill-mask\n"
        "tags:\n- fill-mask\n- tenor\n---",
        f"# {_line(title)}",
        f"A masked language model, trained from {start} with Tenor."
        if training
        else "A masked language model.",
        "## Usage\n\nPut the folder of this model in place of "
        f"{_line(folder)}.\n\n```python\nfrom transformers import pipeline\n\n"
        f'fill = pipeline("fill-mask", {folder})\n```\n\n'
        f"```python\nfrom tenor import Embedder\n\nencoder = Embedder.load({folder})\n```\n\n"
        "As an embedder it is only a start: train it further, with TSDAE or on pairs.",
    ]
    if training:
        facts = {words: training.get(key) for key, words in FACTS.items()}
        sections.append(_table("## Training", facts))
        sections.append(_table("### Settings", dict(_flat(training.get("arguments") or {}))))
        sections.append(_results(training))
    versions = {part: metadata.version(part) for part in ("tenor", "torch", "transformers")}
    sections.append(_table("## Versions", versions))
    return "\n\n".join(section for section in sections if section) + "\n"


def _results(training: Mapping[str, Any]) -> str:
    after, before = training.get("after"), training.get("before")
    if not after:
        return "## Results\n\nThis model has not been evaluated."
    lines = ["| Metric | Before | This model |", "| --- | --- | --- |"]
    for metric in after["metrics"]:
        lines.append(f"| `{metric}` | {_figure(before, metric)} | {_figure(after, metric)} |")
    about = f"{after['n']:,} blocks of held-out text. In brackets: bootstrap 95 % intervals."
    return "## Results\n\n" + about + "\n\n" + "\n".join(lines)


def _figure(result: Mapping[str, Any] | None, metric: str) -> str:
    if not result or result["metrics"].get(metric) is None:
        return "not measured"
    low, high = result["intervals"][metric]
    return f"{result['metrics'][metric]:.4f} [{low:.4f}, {high:.4f}]"


def _table(title: str, facts: Mapping[str, Any]) -> str:
    rows = [f"| {_line(key)} | {_line(v)} |" for key, v in facts.items() if v is not None]
    return "\n".join([f"{title}\n", "| | |", "| --- | --- |", *rows]) if rows else ""


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        # Folders are nobody else's business.
        is_path = isinstance(value, str) and Path(value).is_absolute()
        yield key, Path(value).name if is_path else value


def _line(value: object) -> str:
    """A value as one line of Markdown that cannot start anything else there."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return re.sub(r"([\\|<>\[\]*`])", r"\\\1", " ".join(str(value).split()))
