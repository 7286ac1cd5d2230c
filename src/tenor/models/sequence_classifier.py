"""A `…ForSequenceClassification` from a folder, with its classifier or a new one."""

from __future__ import annotations

from typing import Any

import torch

from tenor.errors import ModelError
from tenor.formats.cross_encoder import CrossEncoderLayout
from tenor.models.encoder import quiet

__all__ = ["load_classifier", "lower_case_first"]


def load_classifier(layout: CrossEncoderLayout, classes: int | None, seed: int) -> tuple[Any, bool]:
    """Load a classifier in fp32: safetensors only, never remote code.

    Args:
        layout: what the folder says.
        classes: number of labels; the folder's by default, 1 where it has no classifier.
        seed: of the weights of a new classifier.

    Returns:
        The model, and whether its classifier is new.

    Raises:
        ModelError: when the folder is nothing that `transformers` can classify texts with, or lacks
            weights.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    folder = str(layout.transformer)
    safely: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    try:
        config = AutoConfig.from_pretrained(folder, **safely)
        if getattr(config, "is_encoder_decoder", False):
            raise ModelError(
                f"{folder} holds an encoder-decoder; a cross-encoder needs an encoder."
            )
        is_new = not layout.has_head or classes not in (None, config.num_labels)
        if is_new:
            config.num_labels = classes or 1
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **safely,
            )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder} cannot be loaded as a cross-encoder: {error}") from error
    _check_weights(folder, model, loading, is_new)
    return model.eval(), is_new


def _check_weights(folder: str, model: Any, loading: Any, is_new: bool) -> None:
    """Refuse weights that are missing where they would be made up in silence."""
    prefix = f"{model.base_model_prefix}."
    missing = set(loading["missing_keys"]) | {str(key[0]) for key in loading["mismatched_keys"]}
    if is_new:  # the classifier, which for BERT's family begins with the pooler
        missing = {n for n in missing if n.startswith(prefix) and "pooler" not in n.split(".")}
    if missing:
        shown = ", ".join(sorted(missing)[:4])
        raise ModelError(
            f"{folder} lacks the weights {shown}{' ...' if len(missing) > 4 else ''} of a "
            f"{type(model).__name__}; the folder is damaged, or config.json is of another model."
        )


def lower_case_first(tokenizer: Any) -> None:
    """Make a tokenizer lower-case its texts, wherever it is read again.

    Raises:
        ModelError: for a slow tokenizer, which has no place for that.
    """
    if not tokenizer.is_fast:
        raise ModelError(
            f"{type(tokenizer).__name__} is a slow tokenizer, and the embedder lower-cases its "
            "texts before it; start from a model with a fast tokenizer."
        )
    from tokenizers.normalizers import Lowercase, Sequence

    backend = tokenizer.backend_tokenizer
    before = backend.normalizer
    backend.normalizer = Lowercase() if before is None else Sequence([Lowercase(), before])
