"""What embedders have in common whatever gives a text its first vector, and what a folder says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from tenor.formats.layout import EmbedderLayout
from tenor.models.dense import Dense

__all__ = ["EmbedderSettings", "settings_of"]


class EmbedderSettings(TypedDict, total=False):
    """Keywords of `Embedder` that have nothing to do with its encoder; they are explained there."""

    dense: Sequence[Dense]
    normalize: bool
    prompts: Mapping[str, str] | None
    default_prompt: str | None
    similarity: str
    truncate_dim: int | None


def settings_of(layout: EmbedderLayout, truncate_dim: int | None = None) -> EmbedderSettings:
    """The settings that a folder gives, its dense layers loaded.

    Args:
        layout: what the folder says.
        truncate_dim: another number of leading dimensions to keep.

    Raises:
        ModelError: when a dense layer has an activation that is not known.
    """
    return EmbedderSettings(
        dense=[Dense.load(spec) for spec in layout.dense],
        normalize=layout.normalize,
        prompts=layout.prompts,
        default_prompt=layout.default_prompt,
        similarity=layout.similarity or "cosine",
        truncate_dim=layout.truncate_dim if truncate_dim is None else truncate_dim,
    )
