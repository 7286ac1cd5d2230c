"""The folders of sentence-transformers as data: read the old and the new layout, write the old.

`EMBEDDER/` holds `modules.json`, a list of steps with a folder each: Transformer (usually the
folder itself), Pooling, any number of Dense, Normalize. Up to version 5 the steps are called
`sentence_transformers.models.*`, since version 6 otherwise, with other keys inside; every version
reads the old form, so that is what is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from tenor.errors import ModelError
from tenor.formats.json_files import read_json, read_object, write_json
from tenor.formats.layout import SIMILARITIES, EmbedderLayout
from tenor.formats.pooling_config import pooling_config, read_modes
from tenor.formats.weights import Tensors, check_safetensors, check_weights, read_dense, write_dense

__all__ = ["is_trained_embedder", "read_layout", "write_layout"]

STEP_TYPE = re.compile(
    r"sentence_transformers\.(?:models|base\.modules|sentence_transformer\.modules)"
    r"(?:\.\w+)?\.(\w+)"
)
STEPS_IN_ORDER = ("Transformer", "Pooling", "Dense", "Normalize")
SUPPORTED = "Transformer, Pooling, Dense, Normalize in this order (Dropout is skipped)"

TRANSFORMER_CONFIGS = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
# Arguments for loading that change speed or memory, not the result; the rest is refused.
HARMLESS_ARGUMENTS = {"add_pooling_layer", "attn_implementation", "dtype", "padding_side",
                      "torch_dtype", "trust_remote_code", "use_safetensors"}  # fmt: skip
WIDTH_KEYS = ("hidden_size", "dim", "d_model", "n_embd")
NO_LIMIT = 1_000_000  # tokenizers without a length limit store a huge number


def is_trained_embedder(folder: Path) -> bool:
    """Whether a folder is an embedder's, trained for similarity, and not a plain encoder's."""
    return (folder / "modules.json").is_file() or (folder / "1_Pooling").is_dir()


def read_layout(folder: str | Path) -> EmbedderLayout:
    """Read what a folder says about an embedder; no weights are loaded and no code is run.

    Args:
        folder: in the layout of sentence-transformers (any version), or a plain `transformers`
            folder, which gets mean pooling, as sentence-transformers does.

    Raises:
        ModelError: a file is missing or damaged, a step or a setting is not supported, or the
            weights are pickled.
    """
    root = Path(folder)
    if not (root / "modules.json").is_file():
        check_weights(root)
        return EmbedderLayout(transformer=root, width=_width(read_object(root / "config.json")))
    steps = _steps(root)
    settings = _settings(root)
    for name, path in steps:
        if name in ("Dense", "Normalize"):
            _check_names(path / "config.json")
    dense = tuple(read_dense(path) for name, path in steps if name == "Dense")
    normalize = any(name == "Normalize" for name, _ in steps)
    first, transformer = steps[0]
    if first == "StaticEmbedding":
        check_safetensors(transformer, "the word vectors")
        return EmbedderLayout(
            transformer=transformer, kind="static", dense=dense, normalize=normalize, **settings
        )
    check_weights(transformer)
    pooling_path = steps[1][1] / "config.json"
    pooling = read_object(pooling_path)
    modes, width = read_modes(pooling, pooling_path), _width(pooling)
    last = None if width is None else width * len(modes)
    for spec in dense:
        if last is not None and spec.in_features != last:
            raise ModelError(
                f"{root}: a Dense step takes {spec.in_features} dimensions, but gets {last} from "
                "the step before; the folder does not hold together, save the model again."
            )
        last = spec.out_features
    return EmbedderLayout(
        transformer=transformer,
        **_transformer_settings(transformer),
        pooling=modes,
        include_prompt=bool(pooling.get("include_prompt", True)),
        dense=dense,
        normalize=normalize,
        width=width,
        **settings,
    )


def write_layout(
    folder: str | Path, layout: EmbedderLayout, dense_tensors: Sequence[Tensors] = ()
) -> None:
    """Write everything but the transformer's own files, in the old layout.

    Args:
        folder: must exist; the caller writes config.json, model.safetensors and the tokenizer
            straight into it.
        layout: what to write; `transformer` and the `weights` of its dense layers are not used.
        dense_tensors: for each dense layer, `linear.weight` (out, in) and, if it has a bias,
            `linear.bias` (out,).

    Raises:
        ModelError: the layout cannot be expressed, or the tensors do not fit it.
    """
    root = Path(folder)
    if layout.kind != "transformer":
        raise ModelError(f"a {layout.kind} embedder cannot be written in this layout.")
    if len(dense_tensors) != len(layout.dense):
        raise ModelError(
            f"there are {len(layout.dense)} dense layers, but tensors for {len(dense_tensors)}."
        )
    width = layout.width or _width(read_object(root / "config.json"))
    if width is None:
        raise ModelError(
            f"{root / 'config.json'} does not say how wide the encoder is: give width."
        )
    names = ["Transformer", "Pooling", *["Dense"] * len(layout.dense)]
    names += ["Normalize"] if layout.normalize else []
    paths = ["", *(f"{index}_{name}" for index, name in enumerate(names) if index)]
    for path in paths:
        (root / path).mkdir(exist_ok=True)
    write_json(root / paths[1] / "config.json", pooling_config(layout, width))
    for path, spec, tensors in zip(paths[2:], layout.dense, dense_tensors, strict=False):
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
    write_json(
        root / "sentence_bert_config.json",
        {"max_seq_length": layout.max_seq_length, "do_lower_case": layout.do_lower_case},
    )
    settings: dict[str, Any] = {
        "__version__": {
            "tenor": metadata.version("tenor"),
            "transformers": metadata.version("transformers"),
            "pytorch": metadata.version("torch"),
        },
        "model_type": "SentenceTransformer",
        "prompts": layout.prompts,
        "default_prompt_name": layout.default_prompt,
        "similarity_fn_name": layout.similarity,
    }
    if layout.truncate_dim is not None:
        settings["truncate_dim"] = layout.truncate_dim
    write_json(root / "config_sentence_transformers.json", settings)


def _steps(root: Path) -> list[tuple[str, Path]]:
    """(name, folder) of each step of modules.json that does something, checked for its order."""
    path = root / "modules.json"
    entries = read_json(path)
    if not isinstance(entries, list) or not entries:
        raise ModelError(f"{path} must hold a list of steps; the folder is damaged.")
    steps = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
            raise ModelError(f"{path} has a step without a type; the folder is damaged.")
        found = STEP_TYPE.fullmatch(entry["type"])
        name = found[1] if found else None
        if name == "Dropout":
            continue
        if name not in (*STEPS_IN_ORDER, "StaticEmbedding"):
            raise ModelError(
                f"{path} has a step {entry['type']}, which is not supported (code that comes with "
                f"a model is never run). Supported: {SUPPORTED}."
            )
        place = (root / str(entry.get("path", ""))).resolve()
        if not place.is_relative_to(root.resolve()):
            raise ModelError(f"{path} points out of its folder, to {entry['path']!r}; refused.")
        steps.append((name, root / str(entry.get("path", ""))))
    names = [name for name, _ in steps]
    heads = {"Transformer": r"Transformer Pooling", "StaticEmbedding": r"StaticEmbedding"}
    order = heads.get(names[0] if names else "", "") + r"( Dense)*( Normalize)?"
    if not names or not re.fullmatch(order, " ".join(names)):
        raise ModelError(f"{path} has the steps {', '.join(names)}. Supported: {SUPPORTED}.")
    return steps


def _settings(root: Path) -> dict[str, Any]:
    path = root / "config_sentence_transformers.json"
    config = read_object(path, optional=True)
    model_type = config.get("model_type", "SentenceTransformer")
    if model_type != "SentenceTransformer":
        raise ModelError(f"{path} says that this is a {model_type}, not an embedder.")
    similarity, truncate = config.get("similarity_fn_name"), config.get("truncate_dim")
    if similarity not in (None, *SIMILARITIES):
        raise ModelError(f"{path}: similarity {similarity!r} is not one of {SIMILARITIES}.")
    if truncate is not None and (not isinstance(truncate, int) or truncate < 1):
        raise ModelError(f"{path}: truncate_dim {truncate!r} must be a positive number.")
    stored = config.get("prompts") or {}
    if not isinstance(stored, dict) or any(not isinstance(t, str | None) for t in stored.values()):
        raise ModelError(f"{path}: prompts must be texts by name.")
    prompts = {name: text for name, text in stored.items() if text is not None}
    default = config.get("default_prompt_name")
    if default is not None and default not in prompts:
        raise ModelError(
            f"{path}: the default prompt {default!r} is not among the prompts {list(prompts)}."
        )
    return {
        "prompts": prompts,
        "default_prompt": default,
        "similarity": similarity,
        "truncate_dim": truncate,
    }


def _transformer_settings(transformer: Path) -> dict[str, Any]:
    """Length limit and lower-casing, once nothing else was asked of the transformer."""
    path = next(
        (transformer / name for name in TRANSFORMER_CONFIGS if (transformer / name).is_file()),
        transformer / TRANSFORMER_CONFIGS[0],
    )
    config = read_object(path, optional=True)
    text = {"method": "forward", "method_output_name": "last_hidden_state"}
    expected = {
        "transformer_task": config.get("transformer_task", "feature-extraction")
        == "feature-extraction",
        "module_output_name": config.get("module_output_name", "token_embeddings")
        == "token_embeddings",
        "modality_config": config.get("modality_config", {"text": text}).get("text") == text,
    }
    for key in ("processing_kwargs", "query_length", "document_length", "query_expansion"):
        expected[key] = not config.get(key)
    for name in ("model", "tokenizer", "processor", "config"):
        for key in (f"{name}_args", f"{name}_kwargs"):
            expected[key] = HARMLESS_ARGUMENTS.issuperset(config.get(key) or {})
    for key, fine in expected.items():
        if not fine:
            raise ModelError(
                f"{path}: {key} = {json.dumps(config[key])} is not supported; only text encoders "
                "that give one vector a token can be read."
            )
    limit = config.get("max_seq_length")
    if "max_seq_length" not in config:  # version 6 keeps it with the tokenizer
        stored = read_object(transformer / "tokenizer_config.json", optional=True)
        limit = stored.get("model_max_length")
        limit = int(limit) if isinstance(limit, int | float) and limit < NO_LIMIT else None
    return {"max_seq_length": limit, "do_lower_case": bool(config.get("do_lower_case", False))}


def _check_names(path: Path) -> None:
    """Version 6 lets a step read and write other vectors than the text's; none of that here."""
    config = read_object(path, optional=True)
    for key in ("module_input_name", "module_output_name"):
        if config.get(key) not in (None, "sentence_embedding"):
            raise ModelError(f"{path}: {key} = {config[key]!r} is not supported.")


def _width(config: dict[str, Any]) -> int | None:
    keys = ("word_embedding_dimension", "embedding_dimension", *WIDTH_KEYS)
    found = next((config[key] for key in keys if isinstance(config.get(key), int)), None)
    return None if found is None else int(found)
