"""What mteb is told about a model, its revision being a hash of all that decides its vectors.

mteb keeps results under name and revision and takes them again for the same pair: two models that
differ in a weight, a prompt or the dtype of their products must never share one.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tenor.errors import ConfigError
from tenor.formats.locate import MINILM
from tenor.models.cross_encoder import CrossEncoder
from tenor.models.embedder import Embedder

__all__ = ["model_meta", "model_settings", "mteb_name", "mteb_revision"]

RUN_PARTS = re.compile(r"model|checkpoint\S*|best|final|step\S*")  # folders that name no model


def mteb_name(name: str) -> str:
    """A model's name as mteb wants it, `organisation/model`.

    Hub ids stay as they are; a folder becomes `local/` and its own name, or that of the run it is
    the model of.

    >>> mteb_name("intfloat/e5-small"), mteb_name("all-MiniLM-L6-v2")
    ('intfloat/e5-small', 'sentence-transformers/all-MiniLM-L6-v2')
    """
    if name == MINILM.partition("/")[2]:
        return MINILM
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name) and not Path(name).exists():
        return name
    parts = list(Path(name).resolve().parts[1:]) if Path(name).exists() else [name]
    while len(parts) > 1 and RUN_PARTS.fullmatch(parts[-1]):
        parts.pop()
    return "local/" + (re.sub(r"[^\w.-]+", "-", parts[-1]).strip("-") or "model")


def mteb_revision(model: Embedder | CrossEncoder) -> str:
    """Hash the weights as they are now, and all settings that change what the model gives.

    Args:
        model: loaded, or made or trained in memory.

    Returns:
        40 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(_weights(model).items()):
        flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(np.ascontiguousarray(flat.numpy()).data)
    stored = model.sha256 or _architecture(model)
    digest.update(json.dumps([stored, model_settings(model)], sort_keys=True).encode())
    return digest.hexdigest()[:40]


def model_settings(model: Embedder | CrossEncoder) -> dict[str, Any]:
    """What can be changed of a model in memory, without another file: dtype, length, prompts …"""
    settings: dict[str, Any] = {
        "dtype": str(model.encoder.dtype).removeprefix("torch."),
        "max_seq_length": model.max_seq_length,
    }
    if isinstance(model, CrossEncoder):
        return settings | {"activation": model.activation, "labels": list(model.labels)}
    return settings | {
        "pooling": list(model.pooling.modes),
        "normalize": model.normalize,
        "prompts": model.prompts,
        "default_prompt": model.default_prompt,
        "include_prompt": model.include_prompt,
        "similarity": model.similarity_name,
        "truncate_dim": model.truncate_dim,
    }


def model_meta(
    model: Embedder | CrossEncoder, *, name: str | None = None, revision: str | None = None
) -> Any:
    """The `ModelMeta` of a model.

    Args:
        model: an embedder, static or not, or a cross-encoder.
        name: `organisation/model`, to hand results in under; `mteb_name` of what it was loaded
            from by default.
        revision: to hand results in under, such as the commit on the hub; `mteb_revision` by
            default, which is what keeps results of different weights apart.

    Raises:
        ConfigError: the name is none that mteb takes.
    """
    from mteb.models.model_meta import ModelMeta, ScoringFunction

    if name is not None and not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ConfigError("name", name, "organisation/model")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    limit = model.max_seq_length
    embedder = isinstance(model, Embedder)
    return ModelMeta(
        loader=None,
        name=name or mteb_name(model.name),
        revision=revision or mteb_revision(model),
        release_date=None,
        languages=None,
        n_parameters=parameters,
        n_embedding_parameters=_embedding_parameters(model),
        memory_usage_mb=round(4 * parameters / 2**20),
        max_tokens=limit if limit < 1 << 20 else None,
        embed_dim=model.dimensions if isinstance(model, Embedder) else None,
        license=None,
        open_weights=None,
        public_training_code=None,
        public_training_data=None,
        framework=["PyTorch", "Sentence Transformers"] if embedder else ["PyTorch", "Transformers"],
        similarity_fn_name=(
            ScoringFunction(model.similarity_name) if isinstance(model, Embedder) else None
        ),
        use_instructions=bool(model.prompts) if isinstance(model, Embedder) else False,
        training_datasets=None,
        model_type=["dense"] if embedder else ["cross-encoder"],
    )


def _weights(model: Embedder | CrossEncoder) -> dict[str, torch.Tensor]:
    """All the tensors by name; the encoder's and the head's of a cross-encoder."""
    return {name: tensor for name, tensor in model.state_dict().items() if tensor.numel()}


def _architecture(model: Embedder | CrossEncoder) -> str:
    """Of a model that came from no folder: its configuration and its vocabulary."""
    config = getattr(model.encoder.transformer, "config", None)
    raw = getattr(model.tokenizer.tokenizer, "backend_tokenizer", model.tokenizer.tokenizer)
    vocabulary = raw.get_vocab() if hasattr(raw, "get_vocab") else {}
    return json.dumps(
        [None if config is None else config.to_dict(), vocabulary], sort_keys=True, default=str
    )


def _embedding_parameters(model: Embedder | CrossEncoder) -> int | None:
    try:
        table = model.encoder.transformer.get_input_embeddings()
        return int(table.weight.numel())
    except (AttributeError, NotImplementedError):
        return None
