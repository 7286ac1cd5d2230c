"""The README.md of a model: what it is, how to use it, what was measured, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from tenor.formats.layout import EmbedderLayout
from tenor.formats.locate import MINILM

__all__ = ["model_card"]

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
POOLING_WORDS = {
    "cls": "first token (CLS)",
    "max": "maximum over the tokens",
    "mean": "mean of the tokens",
    "mean_sqrt_len": "sum of the tokens over the square root of their number",
    "weighted_mean": "mean of the tokens weighted by position",
    "last": "last token",
}
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


def model_card(
    *,
    name: str,
    base_model: str,
    layout: EmbedderLayout,
    dimensions: int,
    training: Mapping[str, Any] | None,
    evaluation: Sequence[Mapping[str, Any]],
    language: str | Sequence[str] | None = None,
) -> str:
    """Write the model card of an embedder, with the front matter that the hub understands.

    Args:
        name: the model's name.
        base_model: name, hub id or folder of the model that training started from.
        layout: what the folder says about the model.
        dimensions: dimensions of an embedding.
        training: what the run recorded, or `None`. Shown where present: `data` (`path` or `name`,
            `sha256`), the keys of `TRAINING_FACTS`, `arguments` (any settings), `before` (an
            evaluation of the base model, as in `evaluation`), `difference` (`value`, `low`,
            `high`, `verdict` in the figure that `metric` names), `versions`.
        evaluation: results of this model, as `EvaluationResult.to_json` gives them.
        language: ISO 639-1 code or codes, where known.

    Returns:
        Text of README.md.
    """
    training = training or {}
    title = _line(name)
    sections = [
        f"---\n{_front_matter(title, base_model, evaluation, language)}\n---",
        f"# {_cell(title)}",
        f"A text embedding model: it turns a text into a vector of {dimensions} dimensions, to be "
        f"compared by {_similarity(layout)}. "
        + ("It was trained with Tenor" if training else "It was saved with Tenor")
        + (f", starting from {_cell(_short(base_model))}." if training else "."),
        _usage(title, layout),
        _architecture(layout, dimensions),
        _training(training),
        _results(training, evaluation),
        _table("## Versions", training.get("versions") or _versions()),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(
    name: str,
    base_model: str,
    evaluation: Sequence[Mapping[str, Any]],
    language: str | Sequence[str] | None,
) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type=_task(metric),
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
    on_hub = HUB_ID.fullmatch(base) is not None and not Path(base).exists()
    measured: dict[str, Any] = {"model_name": name, "eval_results": results} if results else {}
    data = ModelCardData(
        language=language if language is None or isinstance(language, str) else list(language),
        library_name="sentence-transformers",
        pipeline_tag="sentence-similarity",
        tags=["sentence-transformers", "sentence-similarity", "feature-extraction", "tenor"],
        base_model=base if on_hub else None,
        **measured,
    )
    return data.to_yaml()


def _usage(name: str, layout: EmbedderLayout) -> str:
    folder = json.dumps(name, ensure_ascii=False)
    prompts = [key for key, text in layout.prompts.items() if text]
    note = ""
    if prompts:
        named = ", ".join(f"`{_cell(key)}`" for key in prompts)
        default = layout.default_prompt
        note = f"\n\nIt has prompts, to be named with `prompt_name`: {named}." + (
            f" Without one, `{_cell(default)}` is used." if default else ""
        )
    return f"""## Usage

Put the folder of this model, or its id on the hub, in place of {_cell(folder)}.

```python
from tenor import Embedder

model = Embedder.load({folder})
vectors = model.encode(["a text", "another text"])
print(model.similarity(vectors, vectors))
```

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer({folder})
vectors = model.encode(["a text", "another text"])
print(model.similarity(vectors, vectors))
```{note}"""


def _architecture(layout: EmbedderLayout, dimensions: int) -> str:
    dense = [f"{d.in_features} → {d.out_features}, {d.activation}" for d in layout.dense]
    facts: dict[str, Any] = {
        "Dimensions": dimensions,
        "Longest text": "not stored"
        if layout.max_seq_length is None
        else f"{layout.max_seq_length} tokens; the rest is cut off",
        "Lower-cased": "yes" if layout.do_lower_case else None,
        "Pooling": ", ".join(POOLING_WORDS[mode] for mode in layout.pooling)
        + ("" if layout.include_prompt else "; a prompt's tokens are left out"),
        "Dense layers": "; ".join(dense) or None,
        "Scaled to length 1": "yes" if layout.normalize else "no",
        "Truncated to leading dimensions": layout.truncate_dim,
        "Similarity": _similarity(layout),
    }
    return _table("## Architecture", facts)


def _training(training: Mapping[str, Any]) -> str:
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
    settings = _table("### Settings", dict(_flat(training.get("arguments") or {})))
    return _table("## Training", facts) + (f"\n\n{settings}" if settings else "")


def _results(training: Mapping[str, Any], evaluation: Sequence[Mapping[str, Any]]) -> str:
    if not evaluation:
        return "## Results\n\nThis model has not been evaluated."
    parts = ["## Results", "In brackets: bootstrap 95 % intervals."]
    before = training.get("before")
    for result in evaluation:
        same = before is not None and _identity(before) == _identity(result)
        parts.append(f"### {_cell(_data_name(result.get('data', {})))}")
        about = f"{result['n']:,} items"
        if result.get("data", {}).get("sha256"):
            about += f", SHA-256 of the data `{_cell(result['data']['sha256'])}`"
        parts.append(f"{about}; distinct texts that were cut: {result['truncated']:,}.")
        rows = [
            [
                f"`{_cell(metric)}`",
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
            f"This model minus the base model, `{_cell(metric)}`, paired: "
            f"{change['value']:+.4f}{interval} ({_cell(change['verdict'])})."
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


def _task(metric: str) -> str:
    if "@" in metric:
        return "information-retrieval"
    correlation = metric.startswith(("pearson", "spearman"))
    return "semantic-similarity" if correlation else "feature-extraction"


def _similarity(layout: EmbedderLayout) -> str:
    words = {"dot": "dot product", "euclidean": "Euclidean distance"}
    words |= {"manhattan": "Manhattan distance"}
    return words.get(layout.similarity or "cosine", "cosine similarity")


def _data_name(data: Mapping[str, Any]) -> str:
    """A data set's name; of a path only the end, for folders are nobody else's business."""
    if data.get("name"):
        return _line(data["name"])
    return _line(Path(str(data["path"])).name) if data.get("path") else "unnamed data"


def _short(name: str) -> str:
    return Path(name).name if Path(name).is_absolute() or Path(name).exists() else name


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, str | Path) and Path(value).is_absolute():
            yield f"{prefix}{key}", Path(value).name
        else:
            yield f"{prefix}{key}", value


def _table(title: str, facts: Mapping[str, Any]) -> str:
    rows = [[_cell(key), _cell(value)] for key, value in facts.items() if value is not None]
    return f"{title}\n\n{_rows(['', ''], rows)}" if rows else ""


def _rows(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _line(value: object) -> str:
    return " ".join(str(value).split())


def _cell(value: object) -> str:
    """A value as one line of Markdown that cannot start anything else there."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return re.sub(r"([\\|<>\[\]*`])", r"\\\1", _line(value))


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("tenor", "torch", "transformers")}
