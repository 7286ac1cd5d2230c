"""Keywords of `Embedder.encode`, checked and resolved for one model."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, Unpack

from tenor.errors import ConfigError
from tenor.models.checks import check_positive
from tenor.models.encode import EncodeOptions
from tenor.models.precision import resolve_dtype

if TYPE_CHECKING:
    from tenor.models.embedder import Embedder

__all__ = [
    "DOCUMENT_PROMPTS",
    "QUERY_PROMPTS",
    "EncodeKeywords",
    "encode_options",
]

# The names under which sentence-transformers looks for each side's prompt, in this order.
QUERY_PROMPTS = ("query",)
DOCUMENT_PROMPTS = ("document", "passage", "corpus")


class EncodeKeywords(TypedDict, total=False):
    """Keywords of `Embedder.encode`, where they are explained."""

    prompt: str | None
    prompt_name: str | None
    normalize: bool | None
    dtype: str | None
    truncate_dim: int | None
    tokens_per_batch: int | None
    progress: bool | None


def encode_options(model: Embedder, **given: Unpack[EncodeKeywords]) -> EncodeOptions:
    """The options of a call, from its keywords.

    Raises:
        ConfigError: for a prompt name the model does not have, or a number below 1.
    """
    prompt, dtype = given.get("prompt"), given.get("dtype")
    if prompt is None:
        name = given.get("prompt_name") or model.default_prompt
        if name is not None and name not in model.prompts:
            known = ", ".join(model.prompts)
            allowed = f"one of {known}" if known else "left out: this model has no prompts"
            raise ConfigError("prompt_name", name, allowed)
        prompt = model.prompts[name] if name is not None else ""
    check_positive("truncate_dim", given.get("truncate_dim"))
    check_positive("tokens_per_batch", given.get("tokens_per_batch"))
    cut = bool(prompt) and not model.include_prompt
    return EncodeOptions(
        prompt=prompt,
        skip=model.tokenizer.prompt_length(prompt) if cut else 0,
        dtype=None if dtype is None else resolve_dtype(dtype, model.device),
        normalize=given.get("normalize"),
        truncate_dim=given.get("truncate_dim"),
        tokens_per_batch=given.get("tokens_per_batch"),
        progress=given.get("progress"),
    )
