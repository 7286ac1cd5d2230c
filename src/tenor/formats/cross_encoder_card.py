"""The README.md of a cross-encoder."""

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

__all__ = ["cross_encoder_card"]


def cross_encoder_card(
    *,
    name: str,
    base_model: str,
    labels: Sequence[str],
    activation: str,
    max_seq_length: int,
    training: Mapping[str, Any] | None,
    evaluation: Sequence[Mapping[str, Any]],
) -> str:
    """Write the model card of a cross-encoder, with the front matter that the hub understands.

    Args:
        name: the model's name.
        base_model: name, hub id or folder of the model that training started from.
        labels: names of the labels; one for a model that gives a single score.
        activation: what turns logits into scores.
        max_seq_length: tokens of a pair that count.
        training: what the run recorded, or `None`; see `model_card`.
        evaluation: results of this model, as `EvaluationResult.to_json` gives them.

    Returns:
        Text of README.md.
    """
    training = training or {}
    title = as_line(name)
    gives = "one score" if len(labels) == 1 else f"a score for each of {len(labels)} labels"
    facts = {
        "Labels": None if len(labels) == 1 else ", ".join(labels),
        "Activation": activation,
        "Longest pair": f"{max_seq_length} tokens; of the longer text the rest is cut off",
    }
    head = front_matter(
        title,
        base_model,
        evaluation,
        task="text-ranking" if len(labels) == 1 else "text-classification",
        library="sentence-transformers",
        tags=["sentence-transformers", "cross-encoder", "tenor"],
    )
    sections = [
        f"---\n{head}\n---",
        f"# {as_cell(title)}",
        f"A cross-encoder: it reads two texts together and gives {gives}. "
        + ("It was trained with Tenor" if training else "It was saved with Tenor")
        + (f", starting from {as_cell(short_name(base_model))}." if training else "."),
        _usage(title, len(labels)),
        table_section("## Architecture", facts),
        training_section(training),
        results_section(training, evaluation),
        table_section("## Versions", training.get("versions") or written_with()),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _usage(name: str, labels: int) -> str:
    folder = json.dumps(name, ensure_ascii=False)
    pairs = '[("a question", "an answer"), ("a question", "another answer")]'
    rank = '\nprint(model.rank("a question", ["an answer", "another answer"]))'
    return f"""## Usage

Put the folder of this model, or its id on the hub, in place of {as_cell(folder)}.

```python
from tenor.models.cross_encoder import CrossEncoder

model = CrossEncoder.load({folder})
print(model.score({pairs})){rank if labels == 1 else ""}
```

```python
from sentence_transformers import CrossEncoder

model = CrossEncoder({folder})
print(model.predict({pairs}))
```"""
