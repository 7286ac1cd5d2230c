"""A `…For…Classification` of `transformers` from a folder, with its own head or a new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch

from tenor.errors import ConfigError, ModelError
from tenor.formats.cross_encoder import CrossEncoderLayout
from tenor.formats.tagger import TaggerLayout
from tenor.models.pretrained import (
    check_complete,
    load_config,
    load_pretrained,
    load_tokenizer,
    own_limit,
)
from tenor.tokens.tokenizer import Tokenizer

__all__ = [
    "LoadedClassifier",
    "load_classifier",
    "load_classifier_tokenizer",
    "load_token_classifier",
]


class LoadedClassifier(NamedTuple):
    """A `transformers` model as a folder gives it.

    Attributes:
        classifier: the model.
        is_new: whether its output layer is new.
        made_up: names of the weights that the folder lacks and that are random now.
    """

    classifier: Any
    is_new: bool
    made_up: frozenset[str]

    @property
    def new_pooler(self) -> bool:
        """Whether weights of the encoder's pooler are random."""
        return any("pooler" in weight.split(".") for weight in self.made_up)


def load_classifier(
    layout: CrossEncoderLayout, classes: int | None, seed: int, *, kind: str = "a cross-encoder"
) -> LoadedClassifier:
    """Load a classifier of texts or pairs in fp32: safetensors only, never remote code.

    Args:
        layout: what the folder says.
        classes: number of labels; the folder's by default, 1 where it has no classifier.
        seed: of the weights of a new classifier.
        kind: what it is loaded as, for the messages.

    Raises:
        ModelError: when the folder is nothing that `transformers` can classify texts with, or lacks
            weights.
    """
    from transformers import AutoModelForSequenceClassification

    config = load_config(layout.transformer, kind)
    is_new = not layout.has_head or classes not in (None, config.num_labels)
    if is_new:
        config.num_labels = classes or 1
    return _load(AutoModelForSequenceClassification, layout, config, kind, is_new, seed)


def load_token_classifier(
    layout: TaggerLayout, labels: Sequence[str] | None, seed: int
) -> LoadedClassifier:
    """Load a token classifier in fp32: safetensors only, never remote code.

    Args:
        layout: what the folder says.
        labels: the tags it shall give; the folder's by default. A head for the same tags is kept
            with its own order of them, any other is replaced by a new one.
        seed: of the weights of a new head.

    Raises:
        ConfigError: when there is no label, or one twice.
        ModelError: when the folder is nothing that `transformers` can classify tokens with, lacks
            weights, or holds no tagger and no labels are given.
    """
    from transformers import AutoModelForTokenClassification

    if labels is not None and (not labels or len(set(labels)) != len(labels)):
        raise ConfigError("labels", tuple(labels), "different tags, at least one")
    config = load_config(layout.transformer, "a tagger")
    same = labels is None or set(labels) == set(map(str, config.id2label.values()))
    is_new = not (layout.has_head and same)
    if is_new:
        if labels is None:
            raise ModelError(
                f"{layout.transformer} holds no tagger; train one of it with tenor train tagger."
            )
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: number for number, label in enumerate(labels)}
    return _load(AutoModelForTokenClassification, layout, config, "a tagger", is_new, seed)


def load_classifier_tokenizer(layout: CrossEncoderLayout | TaggerLayout) -> Tokenizer:
    """The tokenizer of a classifier's folder, with no length limit but its own.

    Raises:
        ModelError: when there is none, or none that can be read or made to lower-case.
    """
    raw = load_tokenizer(layout.transformer, lower_case=layout.do_lower_case)
    return Tokenizer(raw, own_limit(raw))


def _load(
    auto: Any,
    layout: CrossEncoderLayout | TaggerLayout,
    config: Any,
    kind: str,
    is_new: bool,
    seed: int,
) -> LoadedClassifier:
    folder = layout.transformer
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, missing = load_pretrained(auto, folder, kind, config=config)
    check_complete(folder, model, missing, new_head=is_new)
    return LoadedClassifier(model, is_new, missing)
