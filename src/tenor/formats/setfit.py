"""SetFit's folder: an embedder in sentence-transformers' layout with a classifier beside it.

config_setfit.json   `labels`, in order, or null; `normalize_embeddings`
model_head.pkl       the classifier, pickled; see `setfit_head`

Ours has `config_setfit.json` and, instead of the pickled head, `classifier.safetensors`.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tenor.errors import ModelError
from tenor.formats.atomic import write_text
from tenor.formats.classifier import LinearClassifier
from tenor.formats.json_files import read_object
from tenor.formats.setfit_head import PickledHead, read_pickled_head

__all__ = ["SetFitConfig", "is_setfit", "read_setfit_config", "read_setfit_head", "write_setfit"]

log = logging.getLogger("tenor")

CONFIG, HEAD = "config_setfit.json", "model_head.pkl"
CERTAIN = 30.0  # logit of a label that every text, or no text, of the training had


@dataclass(frozen=True, kw_only=True)
class SetFitConfig:
    """What config_setfit.json says.

    Attributes:
        labels: names of the labels; `None` where they are numbers.
        normalize_embeddings: whether vectors are scaled to length 1 before the head reads them,
            whatever the embedder itself does.
    """

    labels: tuple[str, ...] | None = None
    normalize_embeddings: bool = False


def is_setfit(folder: str | Path) -> bool:
    """Whether a folder holds what SetFit writes: its pickled head, or its configuration."""
    return (Path(folder) / HEAD).is_file() or (Path(folder) / CONFIG).is_file()


def read_setfit_config(folder: str | Path) -> SetFitConfig:
    """Read config_setfit.json; models older than SetFit 1.0 have none.

    Raises:
        ModelError: it is damaged.
    """
    path = Path(folder) / CONFIG
    found = read_object(path, optional=True)
    labels, normalize = found.get("labels"), found.get("normalize_embeddings", False)
    if not (labels is None or isinstance(labels, list)) or not isinstance(normalize, bool):
        raise ModelError(
            f"{path} must give labels (a list or null) and normalize_embeddings (true or false); "
            "the file is damaged."
        )
    return SetFitConfig(
        labels=None if labels is None else tuple(map(str, labels)), normalize_embeddings=normalize
    )


def write_setfit(folder: str | Path, labels: tuple[str, ...]) -> None:
    """Write config_setfit.json into the folder of an embedder that scales its vectors itself."""
    settings = {"normalize_embeddings": False, "labels": list(labels)}
    write_text(Path(folder) / CONFIG, json.dumps(settings, indent=2, ensure_ascii=False) + "\n")


def read_setfit_head(
    folder: str | Path, config: SetFitConfig, *, allow_pickle: bool = False
) -> LinearClassifier:
    """Read SetFit's pickled head as a linear classifier.

    Logistic regression, one against the rest or one a label, and SetFit's own linear layer. What
    is in the file is only looked at: no class of it is made and no function of it is called; a
    file that holds anything but numbers and settings of these is refused.

    Args:
        folder: what SetFit wrote.
        config: of the same folder.
        allow_pickle: whether to open the pickled file at all.

    Raises:
        ModelError: without `allow_pickle`; when there is no head; when it holds anything else, or
            is no linear classifier.
    """
    path = Path(folder) / HEAD
    if not path.is_file():
        raise ModelError(
            f"{folder} has no {HEAD}: it holds an embedder without SetFit's classifier. (From the "
            "hub only safe files are fetched: `hf download` brings the folder whole.)"
        )
    if not allow_pickle:
        raise ModelError(
            f"{path} is pickled, and nothing pickled is opened unasked. If you trust where it "
            "comes from, convert the folder once: tenor convert-setfit FOLDER --out NEW "
            "--allow-pickle. Only the head's numbers are taken from it, and nothing in it is run."
        )
    head = read_pickled_head(path)
    if any(part.scaled for part in head.parts):
        log.warning(
            "%s was fitted one class against the rest: its labels stay the same, but probabilities "
            "become a softmax of its logits instead of sigmoids scaled to a sum of 1",
            path,
        )
    weight, bias = _logits(head, path)
    return LinearClassifier(
        labels=_names(head, config, path, len(weight)),
        multi_label=head.kind in ("one-vs-rest", "multi-output", "linear-multi"),
        weight=weight.astype(np.float32),
        bias=bias.astype(np.float32),
        facts={"method": f"SetFit's head ({head.kind})"},
    )


def _logits(head: PickledHead, path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Weights (C, D) and biases (C,) of one logit a label."""
    if head.kind in ("one-vs-rest", "multi-output"):
        width = max((part.weight.shape[1] for part in head.parts if part.weight.size), default=0)
        if not width:
            raise ModelError(f"{path} holds no label that can be told from others.")
        rows, offsets = [], []
        for part in head.parts:
            if part.always is not None:
                rows.append(np.zeros(width))
                offsets.append(CERTAIN if part.always else -CERTAIN)
                continue
            rows.append(part.weight[0])
            offsets.append(float(part.bias[0]))
        return np.array(rows), np.array(offsets)
    (part,) = head.parts
    weight, bias = part.weight, np.broadcast_to(part.bias, len(part.weight))
    if head.kind == "logistic" and len(weight) == 1:
        # One row tells two classes apart. Softmax over -z/2 and z/2 is the sigmoid of z; trained
        # as "multinomial" it stands for -z and z.
        share = 1.0 if part.multinomial else 0.5
        return np.concatenate([-weight, weight]) * share, np.concatenate([-bias, bias]) * share
    return weight, bias


def _names(head: PickledHead, config: SetFitConfig, path: Path, count: int) -> tuple[str, ...]:
    classes = head.classes
    if head.kind not in ("logistic",) or classes is None:
        classes = list(range(count))
    numbers = all(isinstance(each, int) for each in classes)
    if config.labels is None or not numbers:
        names = tuple(map(str, classes))
    elif max(classes) >= len(config.labels):
        raise ModelError(
            f"{path} tells {count} classes up to number {max(classes)}, but {CONFIG} names only "
            f"{len(config.labels)} labels; the two files do not belong together."
        )
    else:
        names = tuple(config.labels[each] for each in classes)
    if len(names) != count:
        raise ModelError(f"{path} holds {count} rows of weights for {len(names)} classes.")
    return names
