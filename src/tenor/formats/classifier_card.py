"""The README.md of a text classifier."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

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

__all__ = ["classifier_card"]

SHOWN_LABELS = 100


def classifier_card(
    *,
    name: str,
    base_model: str,
    labels: Sequence[str],
    multi_label: bool,
    max_seq_length: int,
    kind: Literal["fine-tuned", "linear"],
    training: Mapping[str, Any] | None,
    evaluation: Sequence[Mapping[str, Any]],
) -> str:
    """Write the model card of a classifier, with the front matter that the hub understands.

    Args:
        name: the model's name.
        base_model: name, hub id or folder of the model that training started from.
        labels: names of the labels.
        multi_label: whether a text may have any number of them.
        max_seq_length: tokens of a text that count.
        kind: a `…ForSequenceClassification`, or a linear classifier on an embedder's vectors.
        training: what the run recorded, or `None`; see `model_card`.
        evaluation: results of this model, as `EvaluationResult.to_json` gives them.

    Returns:
        Text of README.md.
    """
    training = training or {}
    title = as_line(name)
    linear = kind == "linear"
    gives = "any number of labels" if multi_label else "one label"
    how = (
        "an embedder with a linear classifier on its vectors"
        if linear
        else "an encoder with a classifier on top"
    )
    trained = "It was trained with Tenor" if training else "It was saved with Tenor"
    more = "" if len(labels) <= SHOWN_LABELS else f", and {len(labels) - SHOWN_LABELS:,} more"
    facts = {
        "Labels": ", ".join(labels[:SHOWN_LABELS]) + more,
        "Labels a text": "any number" if multi_label else "one",
        "Longest text": f"{max_seq_length} tokens; the rest is cut off"
        if max_seq_length < 1 << 20
        else None,
    }
    library = "sentence-transformers" if linear else "transformers"
    head = front_matter(
        title,
        base_model,
        evaluation,
        task="text-classification",
        library=library,
        tags=[library, "text-classification", "tenor"],
    )
    sections = [
        f"---\n{head}\n---",
        f"# {as_cell(title)}",
        f"A text classifier: {how}, which gives a text {gives} of {len(labels):,}. {trained}"
        + (f", starting from {as_cell(short_name(base_model))}." if training else "."),
        _usage(title, linear=linear),
        table_section("## Architecture", facts),
        training_section(training),
        results_section(training, evaluation),
        table_section("## Versions", training.get("versions") or written_with()),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _usage(name: str, *, linear: bool) -> str:
    folder = json.dumps(name, ensure_ascii=False)
    other = f"""```python
from transformers import pipeline

classify = pipeline("text-classification", model={folder}, top_k=None)
print(classify("a text", truncation=True))
```"""
    if linear:
        other = """The same folder loads as an embedder, with `Embedder.load` and with
sentence-transformers; the classifier beside it is `classifier.safetensors`: softmax (or, label by
label, the sigmoid) of `weight` · embedding + `bias`."""
    return f"""## Usage

Put the folder of this model, or its id on the hub, in place of {as_cell(folder)}.

```python
from tenor.models.classifier import TextClassifier

model = TextClassifier.load({folder})
print(model.predict(["a text", "another text"]))
print(model.labels, model.predict_proba(["a text", "another text"]))
```

{other}"""
