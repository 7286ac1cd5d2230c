"""A `…ForTokenClassification` of `transformers`: from a folder, and its head on packed texts.

Shape legend: P places of the row, W width, C labels.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tenor.errors import ModelError
from tenor.formats.tagger import TaggerLayout
from tenor.models.encoder import quiet
from tenor.models.heads import _Given
from tenor.models.precision import set_precision
from tenor.models.sequence_classifier import _check_weights
from tenor.tokens.packed import PackedBatch

__all__ = ["TokenHead", "load_token_classifier", "one_text_at_a_time"]


class TokenHead(nn.Module):
    """The head of a `…ForTokenClassification`, run on single vectors of an encoder's output.

    No head is written anew: the architecture's own forward runs, and where it calls its encoder it
    gets the vectors that it handed in as `inputs_embeds`. Its layers are those of `classifier`
    itself, not copies.

    Args:
        classifier: the `transformers` model; not changed.
    """

    def __init__(self, classifier: Any) -> None:
        super().__init__()
        layers = copy.copy(classifier)
        given = _Given(classifier.base_model)
        layers.__dict__["_modules"] = {**classifier._modules, classifier.base_model_prefix: given}
        for name, layer in classifier.named_children():
            if name != classifier.base_model_prefix:
                set_precision(layer, torch.float32)
        self.layers = layers

    def forward(self, hidden_PW: Tensor) -> Tensor:
        """Classify vectors of tokens: (P, W) to (P, C) fp32 logits."""
        logits: Tensor = self.layers(inputs_embeds=hidden_PW[None].float()).logits
        return logits[0].float()


def one_text_at_a_time(classifier: Any, batch: PackedBatch) -> Tensor:
    """The logits as `transformers` computes them, without packing or padding.

    Args:
        classifier: a `…ForTokenClassification`.
        batch: texts.

    Returns:
        (T, C) fp32 logits of their tokens, in the order of the row.
    """
    takes_types = "token_type_ids" in inspect.signature(classifier.forward).parameters
    lengths = batch.lengths[: batch.texts]
    starts = np.cumsum(lengths) - lengths
    parts = []
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        row = slice(start, start + length)
        inputs = {"input_ids": batch.token_ids[None, row]}
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if takes_types and batch.type_ids is not None:
            inputs["token_type_ids"] = batch.type_ids[None, row]
        parts.append(classifier(**inputs).logits[0].float())
    return torch.cat(parts)


def load_token_classifier(
    layout: TaggerLayout, labels: Sequence[str] | None, seed: int
) -> tuple[Any, bool]:
    """Load a token classifier in fp32: safetensors only, never remote code.

    Args:
        layout: what the folder says.
        labels: the tags it shall give; the folder's by default. A head for the same tags is kept
            with its own order of them, any other is replaced by a new one.
        seed: of the weights of a new head.

    Returns:
        The model, and whether its head is new.

    Raises:
        ModelError: when the folder is nothing that `transformers` can classify tokens with, lacks
            weights, or holds no tagger and no labels are given.
    """
    from transformers import AutoConfig, AutoModelForTokenClassification

    folder = str(layout.transformer)
    safely: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    try:
        config = AutoConfig.from_pretrained(folder, **safely)
        if getattr(config, "is_encoder_decoder", False):
            raise ModelError(f"{folder} holds an encoder-decoder; a tagger needs an encoder.")
        same = labels is None or set(labels) == set(map(str, config.id2label.values()))
        is_new = not (layout.has_head and same)
        if is_new:
            if labels is None:
                raise ModelError(
                    f"{folder} holds no tagger; train one of it with tenor train tagger."
                )
            config.id2label = dict(enumerate(labels))
            config.label2id = {label: number for number, label in enumerate(labels)}
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model, loading = AutoModelForTokenClassification.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **safely,
            )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder} cannot be loaded as a tagger: {error}") from error
    missing = set(loading["missing_keys"]) | {str(key[0]) for key in loading["mismatched_keys"]}
    _check_weights(folder, model, missing, is_new)
    return model.eval(), is_new
