"""The folders of sentence-transformers as data: read the old and the new layout, write the old.

`EMBEDDER/` holds `modules.json`, a list of steps with a folder each: Transformer (usually the
folder itself), Pooling, any number of Dense, Normalize. Up to version 5 the steps are called
`sentence_transformers.models.*`, since version 6 otherwise, with other keys inside; every version
reads the old form, so that is what is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tenor.errors import ModelError

__all__ = ["ACTIVATION_PATHS", "DenseSpec", "EmbedderLayout", "read_layout", "write_layout"]

# In the order in which sentence-transformers concatenates the modes of the old layout.
POOLING_NAMES = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weighted_mean",
    "lasttoken": "last",
}
POOLING_KEYS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len": "pooling_mode_mean_sqrt_len_tokens",
    "weighted_mean": "pooling_mode_weightedmean_tokens",
    "last": "pooling_mode_lasttoken",
}
# The first readers know only these four keys, and fail on others: those are written when needed.
FIRST_POOLING_KEYS = ("cls", "max", "mean", "mean_sqrt_len")

ACTIVATION_PATHS = {
    "identity": "torch.nn.modules.linear.Identity",
    "tanh": "torch.nn.modules.activation.Tanh",
    "relu": "torch.nn.modules.activation.ReLU",
    "gelu": "torch.nn.modules.activation.GELU",
    "sigmoid": "torch.nn.modules.activation.Sigmoid",
    "silu": "torch.nn.modules.activation.SiLU",
}
SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")

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

Tensors = Mapping[str, npt.NDArray[Any]]


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
        _check_weights(root)
        return EmbedderLayout(transformer=root, width=_width(_config(root / "config.json")))
    steps = _steps(root)
    settings = _settings(root)
    dense = tuple(_read_dense(path) for name, path in steps if name == "Dense")
    normalize = any(name == "Normalize" for name, _ in steps)
    for name, path in steps:
        if name == "Normalize":
            _check_names(path / "config.json", _config(path / "config.json", optional=True))
    first, transformer = steps[0]
    if first == "StaticEmbedding":
        _check_safetensors(transformer, "the word vectors")
        return EmbedderLayout(
            transformer=transformer, kind="static", dense=dense, normalize=normalize, **settings
        )
    _check_weights(transformer)
    pooling_path = steps[1][1] / "config.json"
    pooling = _config(pooling_path)
    modes, width = _pooling_modes(pooling, pooling_path), _width(pooling)
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
    width = layout.width or _width(_config(root / "config.json"))
    if width is None:
        raise ModelError(
            f"{root / 'config.json'} does not say how wide the encoder is: give width."
        )
    names = ["Transformer", "Pooling", *["Dense"] * len(layout.dense)]
    names += ["Normalize"] if layout.normalize else []
    paths = ["", *(f"{index}_{name}" for index, name in enumerate(names) if index)]
    for path in paths:
        (root / path).mkdir(exist_ok=True)
    _write(root / paths[1] / "config.json", _pooling_config(layout, width))
    for path, spec, tensors in zip(paths[2:], layout.dense, dense_tensors, strict=False):
        _write_dense(root / path, spec, tensors)
    _write(
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
    _write(
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
    _write(root / "config_sentence_transformers.json", settings)


def _steps(root: Path) -> list[tuple[str, Path]]:
    """(name, folder) of each step of modules.json that does something, checked for its order."""
    path = root / "modules.json"
    entries = _json(path)
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
    config = _config(path, optional=True)
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
    config = _config(path, optional=True)
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
        stored = _config(transformer / "tokenizer_config.json", optional=True)
        limit = stored.get("model_max_length")
        limit = int(limit) if isinstance(limit, int | float) and limit < NO_LIMIT else None
    return {"max_seq_length": limit, "do_lower_case": bool(config.get("do_lower_case", False))}


def _pooling_modes(config: dict[str, Any], path: Path) -> tuple[str, ...]:
    if "pooling_mode" in config:
        given = config["pooling_mode"]
        modes = (given,) if isinstance(given, str) else tuple(given)
    else:
        keys = {key: name for name, key in POOLING_KEYS.items()}
        known = {"word_embedding_dimension", "embedding_dimension", "include_prompt", *keys}
        unknown = [key for key in config if key not in known]
        if unknown:
            raise ModelError(f"{path}: {', '.join(unknown)} is not supported.")
        return tuple(name for key, name in keys.items() if config.get(key)) or ("mean",)
    unsupported = [mode for mode in modes if mode not in POOLING_NAMES]
    if unsupported or not modes:
        raise ModelError(
            f"{path}: pooling {unsupported or modes!r} is not one of {', '.join(POOLING_NAMES)}."
        )
    return tuple(POOLING_NAMES[mode] for mode in modes)


def _pooling_config(layout: EmbedderLayout, width: int) -> dict[str, Any]:
    unknown = [mode for mode in layout.pooling if mode not in POOLING_KEYS]
    if unknown or not layout.pooling:
        raise ModelError(f"pooling {unknown} is not one of {', '.join(POOLING_KEYS)}.")
    if list(layout.pooling) == [mode for mode in POOLING_KEYS if mode in layout.pooling]:
        config: dict[str, Any] = {"word_embedding_dimension": width}
        for mode, key in POOLING_KEYS.items():
            if mode in layout.pooling or mode in FIRST_POOLING_KEYS:
                config[key] = mode in layout.pooling
    else:
        # The old keys know only one order. An old reader must fail here, not mix up dimensions.
        new_names = {ours: theirs for theirs, ours in POOLING_NAMES.items()}
        modes = [new_names[mode] for mode in layout.pooling]
        config = {"embedding_dimension": width, "pooling_mode": modes}
    if not layout.include_prompt:
        config["include_prompt"] = False
    return config


def _read_dense(folder: Path) -> DenseSpec:
    path = folder / "config.json"
    config = _config(path)
    _check_names(path, config)
    if config.get("use_residual"):
        raise ModelError(f"{path}: a dense layer with a residual connection is not supported.")
    activation = config.get("activation_function", ACTIVATION_PATHS["tanh"])
    names = {dotted: name for name, dotted in ACTIVATION_PATHS.items()}
    if activation not in names:
        raise ModelError(
            f"{path}: the activation {activation!r} is not supported (it must be one of "
            f"{', '.join(names)}; nothing else is ever imported)."
        )
    try:
        spec = DenseSpec(
            in_features=int(config["in_features"]),
            out_features=int(config["out_features"]),
            bias=bool(config.get("bias", True)),
            activation=names[activation],
            weights=folder / "model.safetensors",
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} does not give in_features and out_features: {error}.") from error
    _check_safetensors(folder, "the dense layer")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / "model.safetensors", framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError(f"{folder / 'model.safetensors'} is damaged: {error}.") from error
    _check_dense(spec, shapes, folder / "model.safetensors")
    return spec


def _write_dense(folder: Path, spec: DenseSpec, tensors: Tensors) -> None:
    from safetensors.numpy import save_file

    if spec.activation not in ACTIVATION_PATHS:
        raise ModelError(
            f"activation {spec.activation!r} is not one of {', '.join(ACTIVATION_PATHS)}."
        )
    weights = folder / "model.safetensors"
    _check_dense(spec, {name: tensor.shape for name, tensor in tensors.items()}, weights)
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, weights)
    _write(
        folder / "config.json",
        {
            "in_features": spec.in_features,
            "out_features": spec.out_features,
            "bias": spec.bias,
            "activation_function": ACTIVATION_PATHS[spec.activation],
        },
    )


def _check_dense(spec: DenseSpec, shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    expected: dict[str, tuple[int, ...]] = {"linear.weight": (spec.out_features, spec.in_features)}
    if spec.bias:
        expected["linear.bias"] = (spec.out_features,)
    if dict(shapes) != expected:
        raise ModelError(f"{path} should hold {expected}, but holds {dict(shapes)}.")


def _check_names(path: Path, config: dict[str, Any]) -> None:
    """Version 6 lets a step read and write other vectors than the text's; none of that here."""
    for key in ("module_input_name", "module_output_name"):
        if config.get(key) not in (None, "sentence_embedding"):
            raise ModelError(f"{path}: {key} = {config[key]!r} is not supported.")


def _check_weights(transformer: Path) -> None:
    if not (transformer / "config.json").is_file():
        what = "a LoRA adapter without its model: merge it into the model and save that"
        adapter = (transformer / "adapter_config.json").is_file()
        raise ModelError(
            f"{transformer} has no config.json"
            + (f"; it is {what}." if adapter else ", so it holds no transformer; check the folder.")
        )
    index = transformer / "model.safetensors.index.json"
    if not index.is_file():
        _check_safetensors(transformer, "the transformer")
        return
    shards = sorted(set(_config(index).get("weight_map", {}).values()))
    missing = [shard for shard in shards if not (transformer / shard).is_file()]
    if missing or not shards:
        raise ModelError(
            f"{transformer} lacks {', '.join(missing) or 'weights'}; download it anew."
        )


def _check_safetensors(folder: Path, what: str) -> None:
    if (folder / "model.safetensors").is_file():
        return
    pickled = next((name for name in ("pytorch_model.bin", "pytorch_model.bin.index.json")
                    if (folder / name).is_file()), None)  # fmt: skip
    if pickled is None:
        raise ModelError(f"{folder} has no model.safetensors with the weights of {what}.")
    raise ModelError(
        f"{folder} has the weights of {what} only as {pickled}. Pickled weights can run code when "
        "they are read and are refused; convert them once, in a place where that is safe: load the "
        "model with sentence-transformers or transformers and save it to a new folder, which "
        "writes safetensors."
    )


def _width(config: dict[str, Any]) -> int | None:
    keys = ("word_embedding_dimension", "embedding_dimension", *WIDTH_KEYS)
    found = next((config[key] for key in keys if isinstance(config.get(key), int)), None)
    return None if found is None else int(found)


def _config(path: Path, *, optional: bool = False) -> dict[str, Any]:
    if optional and not path.is_file():
        return {}
    config = _json(path)
    if not isinstance(config, dict):
        raise ModelError(f"{path} must hold a JSON object; the folder is damaged.")
    return config


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ModelError(f"{path} is not JSON: {error}.") from error


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
