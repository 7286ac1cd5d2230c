"""What an embedder's folder says, as data, and the names that sentence-transformers gives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = [
    "ACTIVATION_PATHS",
    "SIMILARITIES",
    "DenseSpec",
    "EmbedderLayout",
]

ACTIVATION_PATHS = {
    "identity": "torch.nn.modules.linear.Identity",
    "tanh": "torch.nn.modules.activation.Tanh",
    "relu": "torch.nn.modules.activation.ReLU",
    "gelu": "torch.nn.modules.activation.GELU",
    "sigmoid": "torch.nn.modules.activation.Sigmoid",
    "silu": "torch.nn.modules.activation.SiLU",
}
SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")


@dataclass(frozen=True, kw_only=True)
class DenseSpec:
    """A dense layer after pooling: activation(W · x + b).

    Args:
        in_features: width of the input.
        out_features: width of the output.
        bias: whether there is a b.
        activation: a name from `ACTIVATION_PATHS`.
        weights: safetensors file with `linear.weight` (out, in) and `linear.bias` (out,), or
            `None` for a layer that is not on disk.
    """

    in_features: int
    out_features: int
    bias: bool = True
    activation: str = "tanh"
    weights: Path | None = None


@dataclass(frozen=True, kw_only=True)
class EmbedderLayout:
    """What a folder says about an embedder.

    Args:
        transformer: folder with config.json, weights and tokenizer.
        kind: `"transformer"`, or `"static"` for a table of word vectors.
        max_seq_length: tokens a text may have, special tokens included; `None` if not stored.
        do_lower_case: whether texts are lower-cased before the tokenizer.
        pooling: modes (`cls`, `max`, `mean`, `mean_sqrt_len`, `weighted_mean`, `last`), in the
            order in which their vectors are concatenated.
        include_prompt: whether pooling sees the prompt's tokens.
        dense: dense layers after pooling, in order.
        normalize: whether embeddings are scaled to length 1.
        prompts: texts to put before a text, by name.
        default_prompt: name of the prompt used when none is asked for.
        similarity: how two embeddings compare; `None` if not stored.
        truncate_dim: leading dimensions to keep, or `None` for all.
        width: width of the transformer's output; when writing, `None` takes it from config.json.
    """

    transformer: Path
    kind: Literal["transformer", "static"] = "transformer"
    max_seq_length: int | None = None
    do_lower_case: bool = False
    pooling: tuple[str, ...] = ("mean",)
    include_prompt: bool = True
    dense: tuple[DenseSpec, ...] = ()
    normalize: bool = False
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    similarity: Literal["cosine", "dot", "euclidean", "manhattan"] | None = None
    truncate_dim: int | None = None
    width: int | None = field(default=None, compare=False)
