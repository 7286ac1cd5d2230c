"""Folders of static embedders: sentence-transformers' `StaticEmbedding`, and model2vec's tensors.

modules.json                        StaticEmbedding, any number of Dense, Normalize
config_sentence_transformers.json   prompts, similarity
0_StaticEmbedding/                  model.safetensors: `embedding.weight`; tokenizer.json
1_Normalize/
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.errors import ModelError
from tenor.formats.json_files import write_json
from tenor.formats.layout import EmbedderLayout
from tenor.formats.weights import Tensors, write_dense

__all__ = ["read_table", "write_static"]

WEIGHTS, TOKENIZER = "model.safetensors", "tokenizer.json"
TABLE = "embedding.weight"


def read_table(folder: str | Path) -> tuple[npt.NDArray[np.float32], Any]:
    """Read the vectors of a static embedder, and the tokenizer that goes with them.

    model2vec stores `embeddings` and, where several tokens share a row or are weighted, `mapping`
    and `weights`: token t then stands for `weights[t] * embeddings[mapping[t]]`.

    Args:
        folder: holds model.safetensors and tokenizer.json; where `EmbedderLayout.transformer`
            of a static layout points to.

    Returns:
        (V, D) float32, a row for each token id, and a `tokenizers.Tokenizer`.

    Raises:
        ModelError: a file is missing or damaged, or there are more tokens than vectors.
    """
    root = Path(folder)
    table = _fold(_tensors(root / WEIGHTS), root / WEIGHTS)
    if table.ndim != 2 or not table.size:
        raise ModelError(f"{root / WEIGHTS}: the vectors have the shape {table.shape}; damaged.")
    path = root / TOKENIZER
    if not path.is_file():
        raise ModelError(f"{path} is missing; a static embedder needs its tokenizer.")
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare exceptions
        raise ModelError(f"{path} cannot be read: {error}") from error
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if largest >= len(table):
        raise ModelError(
            f"{root}: the tokenizer has ids up to {largest}, but there are {len(table)} vectors; "
            "the files do not belong together."
        )
    return table, tokenizer


def write_static(
    folder: str | Path,
    table: npt.NDArray[np.float32],
    tokenizer: Any,
    layout: EmbedderLayout,
    dense_tensors: Sequence[Tensors] = (),
) -> None:
    """Write a static embedder, in the layout that sentence-transformers reads since 3.2.

    Args:
        folder: must exist.
        table: (V, D) a row for each token id.
        tokenizer: a `tokenizers.Tokenizer`.
        layout: for the dense layers, normalisation, prompts and similarity.
        dense_tensors: for each dense layer, `linear.weight` (out, in) and, if it has a bias,
            `linear.bias` (out,).
    """
    from safetensors.numpy import save_file

    root = Path(folder)
    names = ["StaticEmbedding", *["Dense"] * len(layout.dense)]
    names += ["Normalize"] if layout.normalize else []
    paths = [f"{index}_{name}" for index, name in enumerate(names)]
    for path in paths:
        (root / path).mkdir(exist_ok=True)
    first = root / paths[0]
    save_file({TABLE: np.ascontiguousarray(table, dtype=np.float32)}, first / WEIGHTS)
    tokenizer.save(str(first / TOKENIZER))
    for path, spec, tensors in zip(paths[1:], layout.dense, dense_tensors, strict=False):
        write_dense(root / path, spec, tensors)
    write_json(
        root / "modules.json",
        [
            {
                "idx": index,
                "name": str(index),
                "path": path,
                "type": f"sentence_transformers.models.{name}",
            }
            for index, (name, path) in enumerate(zip(names, paths, strict=True))
        ],
    )
    settings: dict[str, Any] = {
        "__version__": {name: metadata.version(name) for name in ("tenor", "tokenizers")},
        "model_type": "SentenceTransformer",
        "prompts": layout.prompts,
        "default_prompt_name": layout.default_prompt,
        "similarity_fn_name": layout.similarity,
    }
    if layout.truncate_dim is not None:
        settings["truncate_dim"] = layout.truncate_dim
    write_json(root / "config_sentence_transformers.json", settings)


def _tensors(path: Path) -> dict[str, npt.NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file  # torch, because numpy has no bfloat16

    if not path.is_file():
        raise ModelError(f"{path} is missing; it holds the vectors of a static embedder.")
    try:
        loaded = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    kept = {}
    for name, tensor in loaded.items():
        kept[name] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return kept


def _fold(tensors: dict[str, npt.NDArray[Any]], path: Path) -> npt.NDArray[np.float32]:
    if TABLE in tensors:
        return tensors[TABLE].astype(np.float32, copy=False)
    if "embeddings" not in tensors:
        found = ", ".join(sorted(tensors)) or "nothing"
        raise ModelError(f"{path} holds no {TABLE!r}, but {found}: this is no static embedder.")
    table = tensors["embeddings"].astype(np.float32)
    if "mapping" in tensors:
        table = table[tensors["mapping"].astype(np.int64)]
    if "weights" in tensors:
        table = table * tensors["weights"].astype(np.float32)[:, None]
    return table
