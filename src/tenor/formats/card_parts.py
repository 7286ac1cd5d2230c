"""The sections of a model card that every kind of model has, and the Markdown they are made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from tenor.formats.locate import MINILM

__all__ = [
    "_HUB_ID",
    "as_cell",
    "as_line",
    "front_matter",
    "results_section",
    "short_name",
    "table_section",
    "training_section",
    "written_with",
]

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
# What a run records about its training, in the order and the words of the card.
TRAINING_FACTS = {
    "loss": "Loss",
    "rows": "Rows of training data",
    "skipped": "Bad rows left out",
    "distinct_texts": "Distinct texts",
    "truncated": "Distinct texts that were cut to the length limit",
    "steps": "Optimiser steps",
    "best_step": "Step of the kept weights",
    "train_loss": "Training loss",
    "dtype": "Precision of the matrix products",
    "seconds": "Seconds",
    "overlap": "Overlap of evaluation and training texts",
}


def front_matter(
    name: str,
    base_model: str,
    evaluation: Sequence[Mapping[str, Any]],
    *,
    task: str,
    library: str,
    tags: Sequence[str],
    language: str | Sequence[str] | None = None,
    task_of: Callable[[str], str] | None = None,
) -> str:
    """The YAML atop a card that the hub understands.

    Args:
        name: the model's name.
        base_model: name, hub id or folder of the model that training started from.
        evaluation: results of this model, as `EvaluationResult.to_json` gives them.
        task: as the hub calls it.
        library: what the hub shows code for.
        tags: to find it by.
        language: of the texts, as codes.
        task_of: from a metric to the task that it measures, where that is not the model's.
    """
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type=task if task_of is None else task_of(metric),
            dataset_name=_data_name(result.get("data", {})),
            dataset_type=_data_name(result.get("data", {})),
            metric_type=metric,
            metric_name=metric,
            metric_value=value,
        )
        for result in evaluation
        for metric, value in result["metrics"].items()
        if value is not None
    ]
    base = MINILM if base_model == MINILM.partition("/")[2] else base_model
    on_hub = _HUB_ID.fullmatch(base) is not None and not Path(base).exists()
    measured: dict[str, Any] = {"model_name": name, "eval_results": results} if results else {}
    data = ModelCardData(
        language=language if language is None or isinstance(language, str) else list(language),
        library_name=library,
        pipeline_tag=task,
        tags=list(tags),
        base_model=base if on_hub else None,
        **measured,
    )
    return str(data.to_yaml())


def training_section(training: Mapping[str, Any]) -> str:
    """What the model was trained on, and how."""
    if not training:
        return "## Training\n\nNothing is recorded about its training."
    data = training.get("data") or {}
    facts: dict[str, Any] = {}
    if data:
        facts["Training data"] = _data_name(data)
        facts["SHA-256 of the data"] = data.get("sha256")
    base = training.get("base_model")
    if isinstance(base, Mapping):
        facts["SHA-256 of the base model's files"] = base.get("sha256")
    facts |= {words: training.get(key) for key, words in TRAINING_FACTS.items()}
    settings = table_section("### Settings", dict(_flat(training.get("arguments") or {})))
    return table_section("## Training", facts) + (f"\n\n{settings}" if settings else "")


def results_section(training: Mapping[str, Any], evaluation: Sequence[Mapping[str, Any]]) -> str:
    """What was measured, beside the base model where that was measured, too."""
    if not evaluation:
        return "## Results\n\nThis model has not been evaluated."
    parts = ["## Results", "In brackets: bootstrap 95 % intervals."]
    before = training.get("before")
    for result in evaluation:
        same = before is not None and _identity(before) == _identity(result)
        parts.append(f"### {as_cell(_data_name(result.get('data', {})))}")
        about = f"{result['n']:,} items"
        if result.get("data", {}).get("sha256"):
            about += f", SHA-256 of the data `{as_cell(result['data']['sha256'])}`"
        parts.append(f"{about}; distinct texts that were cut: {result['truncated']:,}.")
        rows = [
            [
                f"`{as_cell(metric)}`",
                *([_figure(before, metric)] if same and before else []),
                _figure(result, metric),
            ]
            for metric in result["metrics"]
        ]
        head = ["Metric", *(["Base model"] if same else []), "This model"]
        parts.append(_rows(head, rows))
    change, metric = training.get("difference"), training.get("metric")
    if change and metric and change.get("value") is not None:
        interval = ""
        if change.get("low") is not None and change.get("high") is not None:
            interval = f" [{change['low']:+.4f}, {change['high']:+.4f}]"
        parts.append(
            f"This model minus the base model, `{as_cell(metric)}`, paired: "
            f"{change['value']:+.4f}{interval} ({as_cell(change['verdict'])})."
        )
    return "\n\n".join(parts)


def _identity(result: Mapping[str, Any]) -> Any:
    data = result.get("data") or {}
    return data.get("sha256") or data.get("path") or data.get("name")


def _figure(result: Mapping[str, Any], metric: str) -> str:
    value = result["metrics"].get(metric)
    if value is None:
        return "not defined"
    low, high = result.get("intervals", {}).get(metric, (None, None))
    return f"{value:.4f}" + ("" if low is None or high is None else f" [{low:.4f}, {high:.4f}]")


def _data_name(data: Mapping[str, Any]) -> str:
    """A data set's name; of a path only the end, for folders are nobody else's business."""
    if data.get("name"):
        return as_line(data["name"])
    return as_line(Path(str(data["path"])).name) if data.get("path") else "unnamed data"


def short_name(name: str) -> str:
    """A model's name; of a path only the end."""
    return Path(name).name if Path(name).is_absolute() or Path(name).exists() else name


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, str | Path) and Path(value).is_absolute():
            yield f"{prefix}{key}", Path(value).name
        else:
            yield f"{prefix}{key}", value


def table_section(title: str, facts: Mapping[str, Any]) -> str:
    """A title over a table of facts; nothing where no fact is known."""
    rows = [[as_cell(key), as_cell(value)] for key, value in facts.items() if value is not None]
    return f"{title}\n\n{_rows(['', ''], rows)}" if rows else ""


def _rows(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_line(value: object) -> str:
    """A value as one line of text."""
    return " ".join(str(value).split())


def as_cell(value: object) -> str:
    """A value as one line of Markdown that cannot start anything else there."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return re.sub(r"([\\|<>\[\]*`])", r"\\\1", as_line(value))


def written_with() -> dict[str, str]:
    """The versions of what wrote the model."""
    return {name: metadata.version(name) for name in ("tenor", "torch", "transformers")}
