"""Keywords of `Embedder.encode`, checked and resolved for one model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenor.errors import ConfigError
from tenor.models.encode import EncodeOptions
from tenor.models.precision import resolve_dtype

if TYPE_CHECKING:
    from tenor.models.embedder import Embedder

__all__ = ["DOCUMENT_PROMPTS", "QUERY_PROMPTS", "check_positive", "encode_options"]

# The names under which sentence-transformers looks for each side's prompt, in this order.
QUERY_PROMPTS = ("query",)
DOCUMENT_PROMPTS = ("document", "passage", "corpus")


def encode_options(
    model: Embedder,
    *,
    prompt: str | None = None,
    prompt_name: str | None = None,
    dtype: str | None = None,
    normalize: bool | None = None,
    truncate_dim: int | None = None,
    tokens_per_batch: int | None = None,
    progress: bool | None = None,
) -> EncodeOptions:
    """The options of a call, from its keywords; see `Embedder.encode`.

    Raises:
        ConfigError: for a prompt name the model does not have, or a number below 1.
    """
    if prompt is None:
        name = prompt_name or model.default_prompt
        if name is not None and name not in model.prompts:
            known = ", ".join(model.prompts) or "none: this model has no prompts"
            raise ConfigError("prompt_name", name, f"one of {known}")
        prompt = model.prompts[name] if name is not None else ""
    check_positive("truncate_dim", truncate_dim)
    check_positive("tokens_per_batch", tokens_per_batch)
    cut = bool(prompt) and not model.include_prompt
    return EncodeOptions(
        prompt=prompt,
        skip=model.tokenizer.prompt_length(prompt) if cut else 0,
        dtype=None if dtype is None else resolve_dtype(dtype, model.device),
        normalize=normalize,
        truncate_dim=truncate_dim,
        tokens_per_batch=tokens_per_batch,
        progress=progress,
    )


def check_positive(field: str, value: int | None) -> None:
    """Refuse a number below 1; `None` stands for no limit.

    Raises:
        ConfigError: naming the field.
    """
    if value is not None and value < 1:
        raise ConfigError(field, value, "at least 1")
