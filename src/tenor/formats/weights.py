"""Weights that a folder must hold, as safetensors: the transformer's, and those of dense layers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.errors import ModelError
from tenor.formats.json_files import read_object, write_json
from tenor.formats.layout import ACTIVATION_PATHS, DenseSpec

__all__ = [
    "Tensors",
    "check_safetensors",
    "check_weights",
    "read_dense",
    "write_dense",
]

Tensors = Mapping[str, npt.NDArray[Any]]


def read_dense(folder: Path) -> DenseSpec:
    """Read what a dense layer's folder says; of the weights only their shapes.

    Raises:
        ModelError: a file is missing, damaged or pickled, or the layer is of another kind.
    """
    path = folder / "config.json"
    config = read_object(path)
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
    check_safetensors(folder, "the dense layer")
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / "model.safetensors", framework="numpy") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError(f"{folder / 'model.safetensors'} is damaged: {error}.") from error
    _check_dense(spec, shapes, folder / "model.safetensors")
    return spec


def write_dense(folder: Path, spec: DenseSpec, tensors: Tensors) -> None:
    """Write a dense layer into its folder, which must exist.

    Raises:
        ModelError: the tensors are not those that `spec` describes.
    """
    from safetensors.numpy import save_file

    if spec.activation not in ACTIVATION_PATHS:
        raise ModelError(
            f"activation {spec.activation!r} is not one of {', '.join(ACTIVATION_PATHS)}."
        )
    weights = folder / "model.safetensors"
    _check_dense(spec, {name: tensor.shape for name, tensor in tensors.items()}, weights)
    save_file({name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}, weights)
    write_json(
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


def check_weights(transformer: Path) -> None:
    """Check that a transformer's folder holds its configuration and all of its weights.

    Raises:
        ModelError: a file is missing, or the weights are pickled.
    """
    if not (transformer / "config.json").is_file():
        what = "a LoRA adapter without its model: merge it into the model and save that"
        adapter = (transformer / "adapter_config.json").is_file()
        raise ModelError(
            f"{transformer} has no config.json"
            + (f"; it is {what}." if adapter else ", so it holds no transformer; check the folder.")
        )
    index = transformer / "model.safetensors.index.json"
    if not index.is_file():
        check_safetensors(transformer, "the transformer")
        return
    shards = sorted(set(read_object(index).get("weight_map", {}).values()))
    missing = [shard for shard in shards if not (transformer / shard).is_file()]
    if missing or not shards:
        raise ModelError(
            f"{transformer} lacks {', '.join(missing) or 'weights'}; download it anew."
        )


def check_safetensors(folder: Path, what: str) -> None:
    """Check that `folder` holds model.safetensors; `what` names the owner of the weights.

    Raises:
        ModelError: it does not, or holds pickled weights only.
    """
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
