"""The README.md of a model: what it is, how to use it, what was measured, and nothing else."""

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
from tenor.formats.layout import EmbedderLayout

__all__ = ["model_card"]

POOLING_WORDS = {
    "cls": "first token (CLS)",
    "max": "maximum over the tokens",
    "mean": "mean of the tokens",
    "mean_sqrt_len": "sum of the tokens over the square root of their number",
    "weighted_mean": "mean of the tokens weighted by position",
    "last": "last token",
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
    title = as_line(name)
    head = front_matter(
        title,
        base_model,
        evaluation,
        task="sentence-similarity",
        library="sentence-transformers",
        tags=("sentence-transformers", "sentence-similarity", "feature-extraction", "tenor"),
        language=language,
        task_of=_task,
    )
    sections = [
        f"---\n{head}\n---",
        f"# {as_cell(title)}",
        f"A text embedding model: it turns a text into a vector of {dimensions} dimensions, to be "
        f"compared by {_similarity(layout)}. "
        + ("It was trained with Tenor" if training else "It was saved with Tenor")
        + (f", starting from {as_cell(short_name(base_model))}." if training else "."),
        _usage(title, layout),
        _architecture(layout, dimensions),
        training_section(training),
        results_section(training, evaluation),
        table_section("## Versions", training.get("versions") or written_with()),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _usage(name: str, layout: EmbedderLayout) -> str:
    folder = json.dumps(name, ensure_ascii=False)
    prompts = [key for key, text in layout.prompts.items() if text]
    note = ""
    if prompts:
        named = ", ".join(f"`{as_cell(key)}`" for key in prompts)
        default = layout.default_prompt
        note = f"\n\nIt has prompts, to be named with `prompt_name`: {named}." + (
            f" Without one, `{as_cell(default)}` is used." if default else ""
        )
    return f"""## Usage

Put the folder of this model, or its id on the hub, in place of {as_cell(folder)}.

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
    return table_section("## Architecture", facts)


def _task(metric: str) -> str:
    if "@" in metric:
        return "information-retrieval"
    correlation = metric.startswith(("pearson", "spearman"))
    return "semantic-similarity" if correlation else "feature-extraction"


def _similarity(layout: EmbedderLayout) -> str:
    words = {"dot": "dot product", "euclidean": "Euclidean distance"}
    words |= {"manhattan": "Manhattan distance"}
    return words.get(layout.similarity or "cosine", "cosine similarity")
