"""The README.md of a tagger."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tenor.formats.card_parts import (
    as_cell,
    as_line,
    front_matter,
    results_section,
    short_name,
    table_section,
    training_section,
    written_with,
)

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
    head = front_matter(
        title,
        base_model,
        evaluation,
        task="token-classification",
        library="transformers",
        tags=("token-classification", "tenor"),
    )
    sections = [
        f"---\n{head}\n---",
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
