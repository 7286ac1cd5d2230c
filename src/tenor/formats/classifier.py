"""A linear classifier of embeddings on disk, beside the embedder that it reads.

classifier.json          its labels, in order, and whether a text may have any number of them
classifier.safetensors   `weight` (C, D) and `bias` (C,)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.errors import ModelError
from tenor.formats.json_files import read_object, write_json

__all__ = ["LinearClassifier", "has_linear_classifier", "read_linear", "write_linear"]

SETTINGS, WEIGHTS = "classifier.json", "classifier.safetensors"


@dataclass(frozen=True, kw_only=True, eq=False)
class LinearClassifier:
    """What turns an embedding x into a logit for each label: W · x + b.

    Attributes:
        labels: names of the C labels.
        multi_label: whether each label is told by itself (sigmoid) or one of all (softmax).
        weight: W, (C, D) float32.
        bias: b, (C,) float32.
        facts: how it was found, for whoever reads the file.
    """

    labels: tuple[str, ...]
    multi_label: bool
    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    facts: Mapping[str, Any] = field(default_factory=dict)


def has_linear_classifier(folder: str | Path) -> bool:
    """Whether a folder holds an embedder with a linear classifier beside it."""
    return (Path(folder) / SETTINGS).is_file()


def write_linear(folder: str | Path, classifier: LinearClassifier) -> None:
    """Write a classifier into the folder of its embedder, which must exist."""
    from safetensors.numpy import save_file

    root = Path(folder)
    tensors = {"weight": classifier.weight, "bias": classifier.bias}
    save_file(
        {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in tensors.items()},
        root / WEIGHTS,
    )
    write_json(
        root / SETTINGS,
        {
            "labels": list(classifier.labels),
            "multi_label": classifier.multi_label,
            **classifier.facts,
        },
    )


def read_linear(folder: str | Path, dimensions: int) -> LinearClassifier:
    """Read the classifier of an embedder; nothing is unpickled.

    Args:
        folder: the embedder's.
        dimensions: D of its embeddings.

    Raises:
        ModelError: a file is missing or damaged, or they do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    root = Path(folder)
    settings = read_object(root / SETTINGS)
    labels, multi_label = settings.pop("labels", None), settings.pop("multi_label", None)
    if not isinstance(labels, list) or not labels or not isinstance(multi_label, bool):
        raise ModelError(
            f"{root / SETTINGS} does not give labels (a list) and multi_label (true or false); the "
            "folder is damaged."
        )
    try:
        tensors = load_file(root / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{root / WEIGHTS} cannot be read: {error}") from error
    expected = {"weight": (len(labels), dimensions), "bias": (len(labels),)}
    shapes = {name: value.shape for name, value in tensors.items()}
    if shapes != expected:
        raise ModelError(f"{root / WEIGHTS} should hold {expected}, but holds {shapes}.")
    return LinearClassifier(
        labels=tuple(map(str, labels)),
        multi_label=multi_label,
        weight=tensors["weight"].astype(np.float32),
        bias=tensors["bias"].astype(np.float32),
        facts=settings,
    )
