"""What kind of model a folder holds, told from its configuration; no weights are loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tenor.formats.classifier import has_linear_classifier
from tenor.formats.cross_encoder import is_cross_encoder
from tenor.formats.json_files import read_object
from tenor.formats.setfit import is_setfit
from tenor.formats.tagger import is_tagger

__all__ = ["ModelKind", "model_kind"]

SAVED_AS_ONE = {"sentence_transformers", "sbert_ce_default_activation_function"}  # in config.json

ModelKind = Literal["embedder", "embedding classifier", "classifier", "cross-encoder", "tagger"]


def model_kind(folder: str | Path) -> ModelKind:
    """Tell what to load a folder as.

    A `…ForSequenceClassification` is a cross-encoder where it gives one score, or where
    sentence-transformers or Tenor saved it as one; else a classifier.

    Args:
        folder: of a model.

    Returns:
        "embedding classifier" for an embedder with a linear classifier beside it, which loads as
        an embedder too; "embedder" for whatever has no head.

    Raises:
        ModelError: the configuration is damaged.
    """
    root = Path(folder)
    if is_tagger(root):
        return "tagger"
    if has_linear_classifier(root) or is_setfit(root):
        return "embedding classifier"
    if not is_cross_encoder(root):
        return "embedder"
    config = read_object(root / "config.json", optional=True)
    saved_as_one = (root / "modules.json").is_file() or bool(config.keys() & SAVED_AS_ONE)
    labels = config.get("id2label")
    several = isinstance(labels, dict) and len(labels) != 1
    return "classifier" if several and not saved_as_one else "cross-encoder"
