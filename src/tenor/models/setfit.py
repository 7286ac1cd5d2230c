"""SetFit's folders as classifiers."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from tenor.formats.atomic import replaced_folder
from tenor.formats.locate import locate
from tenor.formats.setfit import read_setfit_config, read_setfit_head, write_setfit
from tenor.models.embedder import Embedder
from tenor.models.embedding_classifier import EmbeddingClassifier

__all__ = ["load_setfit", "save_setfit"]

log = logging.getLogger("tenor")


def load_setfit(
    name: str | Path,
    *,
    allow_pickle: bool = False,
    device: str | torch.device | None = None,
    dtype: str = "auto",
    max_seq_length: int | None = None,
) -> EmbeddingClassifier:
    """Load a classifier that SetFit saved; it gives the same probabilities here.

    Args:
        name: SetFit's folder.
        allow_pickle: open its pickled head. Only numbers and settings of a linear classifier are
            taken from it: nothing in the file is run, and a file with anything else is refused.
        device: `"cpu"`, `"cuda"`, `"mps"`; the best there is by default.
        dtype: dtype of the encoder's products: `"auto"`, `"bf16"`, `"fp32"`.
        max_seq_length: another limit of tokens a text; the folder's by default.

    Raises:
        ModelError: when the folder cannot be read, its head is no linear classifier, or it is
            pickled and `allow_pickle` is not set.
    """
    folder = locate(name)
    config = read_setfit_config(folder)
    linear = read_setfit_head(folder, config, allow_pickle=allow_pickle)
    embedder = Embedder.load(folder, device=device, dtype=dtype, max_seq_length=max_seq_length)
    embedder.name = str(name)
    embedder.normalize = embedder.normalize or config.normalize_embeddings
    model = EmbeddingClassifier(embedder, linear)
    log.info("%s: %d labels told by SetFit's head", name, len(model.labels))
    return model


def save_setfit(model: EmbeddingClassifier, folder: str | Path, *, card: str | None = None) -> None:
    """Write a classifier as `EmbeddingClassifier.save` does, with SetFit's configuration.

    The head stays `classifier.safetensors`: SetFit reads the embedder and the labels, and its head
    can be made of these numbers.

    Args:
        model: the classifier.
        folder: replaced if it exists.
        card: text of README.md; a plain card by default.

    Raises:
        ModelError: when `folder` exists and holds something that is no model.
    """
    text = card or model.card(name=Path(folder).name, training=None, evaluation=[])
    with replaced_folder(folder) as target:
        model.save(target, card=text)
        write_setfit(target, model.labels)
