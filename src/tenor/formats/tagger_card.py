"""The README.md of a tagger."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tenor.formats.card_parts import (
    HUB_ID,
    as_cell,
    as_line,
    data_name,
    results_section,
    short_name,
    table_section,
    training_section,
    written_with,
)
from tenor.formats.locate import MINILM

__all__ = ["tagger_card"]


def tagger_card(
    *,
    name: str,
    base_model: str,
    labels: Sequence[str],
    max_seq_length: int,
    training: Mapping[str, Any] | None,
    evaluation: Sequence[Mapping[str, Any]],
) -> str:
    """Write the model card of a tagger, with the front matter that the hub understands.

    Args:
        name: the model's name.
        base_model: name, hub id or folder of the model that training started from.
        labels: the tags it gives.
        max_seq_length: tokens it reads at a time.
        training: what the run recorded, or `None`; see `model_card`.
        evaluation: results of this model, as `EvaluationResult.to_json` gives them.

    Returns:
        Text of README.md.
    """
    training = training or {}
    title = as_line(name)
    made = "It was trained with Tenor" if training else "It was saved with Tenor"
    start = f", starting from {as_cell(short_name(base_model))}." if training else "."
    facts = {
        "Tags": ", ".join(labels),
        "Window": f"{max_seq_length} tokens; longer texts are read in windows that overlap",
        "Decoding": "the most probable sequence of tags that is valid (Viterbi)",
    }
    sections = [
        f"---\n{_front_matter(title, base_model, evaluation)}\n---",
        f"# {as_cell(title)}",
        f"A tagger: it finds spans of words in a text and says what they are. {made}{start}",
        _usage(title),
        table_section("## Architecture", facts),
        training_section(training),
        _losses(training),
        results_section(training, evaluation),
        *(_types(result) for result in evaluation),
        table_section("## Versions", training.get("versions") or written_with()),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _losses(training: Mapping[str, Any]) -> str:
    lost = training.get("lost")
    if not lost or not any(lost.values()):
        return ""
    words = {"words": "Words that gave no token or lay beyond the length limit",
             "spans": "Spans that these words were a part of"}  # fmt: skip
    return table_section("### Labels lost in training", {words[key]: lost[key] for key in words})


def _types(result: Mapping[str, Any]) -> str:
    """F1 of each type."""
    figures = {
        row["type"]: "F1 {:.4f} [{:.4f}, {:.4f}], {:,} spans".format(
            row["f1"], *row["f1_interval"], row["spans"]
        )
        for row in result.get("per_type", [])
    }
    return table_section("### Types", figures)


def _front_matter(name: str, base_model: str, evaluation: Sequence[Mapping[str, Any]]) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="token-classification",
            dataset_name=data_name(result.get("data", {})),
            dataset_type=data_name(result.get("data", {})),
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
        library_name="transformers",
        pipeline_tag="token-classification",
        tags=["token-classification", "tenor"],
        base_model=base if on_hub else None,
        **measured,
    )
    return str(data.to_yaml())


def _usage(name: str) -> str:
    folder = json.dumps(name, ensure_ascii=False)
    return f"""## Usage

Put the folder of this model, or its id on the hub, in place of {as_cell(folder)}.

```python
from tenor.models.tagger import Tagger

model = Tagger.load({folder})
for span in model.predict("A text."):
    print(span.label, span.text, span.start, span.end, span.score)
```

```python
from transformers import pipeline

tag = pipeline("token-classification", {folder}, aggregation_strategy="first")
print(tag("A text."))
```

The pipeline gives the same probabilities. It neither forbids invalid sequences of tags nor reads
beyond the first window of a long text."""
