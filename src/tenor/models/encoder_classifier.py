"""A classifier that is an encoder with a head on top: a `…ForSequenceClassification`.

Shape legend: N texts, C labels.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, Unpack

import numpy as np
import numpy.typing as npt

from tenor.data.class_labels import match_labels
from tenor.errors import ConfigError, ModelError
from tenor.formats.cross_encoder import read_cross_encoder
from tenor.formats.locate import locate
from tenor.formats.sentence_transformers import read_layout
from tenor.models.bulk import BulkOptions, evaluating, progress_bar, run_distinct
from tenor.models.checks import check_positive
from tenor.models.classifier import TextClassifier, probabilities_of
from tenor.models.classifier_loading import load_classifier, load_classifier_tokenizer
from tenor.models.head_layers import head_layers, renew
from tenor.models.loading import RunOptions
from tenor.models.sequence_classifier import SequenceClassifier
from tenor.tokens.text_check import check_texts
from tenor.tokens.tokenizer import Tokenizer

__all__ = ["HEADS", "EncoderClassifier"]

log = logging.getLogger("tenor")

HEADS = ("linear", "mlp")
ONE, SEVERAL = "single_label_classification", "multi_label_classification"
# What sentence-transformers keeps in the config.json of a cross-encoder.
CROSS_ENCODER_KEYS = ("sentence_transformers", "sbert_ce_default_activation_function")


class EncoderClassifier(SequenceClassifier, TextClassifier):
    """An encoder and the head that `transformers` has on top of it for classification.

    What the head reads is what transformers' own class for the architecture reads, since a saved
    folder is to give the same probabilities there: BERT's (and so all-MiniLM-L6-v2's) reads the
    first token through the pooler, whatever pooling the embedder it started from had. `head_layers`
    says more.

    Make one with `EncoderClassifier.load`, or with `start` to train it.

    Args:
        classifier: a `…ForSequenceClassification` of `transformers`, in fp32, in memory.
        tokenizer: its tokenizer, with the length limit.
    """

    card_kind = "fine-tuned"
    new_output = False  # whether the output layer is new and knows nothing yet

    def __init__(self, classifier: Any, tokenizer: Tokenizer) -> None:
        super().__init__(classifier, tokenizer)
        for key in CROSS_ENCODER_KEYS:
            vars(classifier.config).pop(key, None)

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        **options: Unpack[RunOptions],
    ) -> Self:
        """Load a classifier; see `TextClassifier.load`.

        Raises:
            ModelError: when the folder cannot be read, or gives a number instead of labels.
        """
        folder = locate(name, revision=revision)
        layout = read_cross_encoder(folder)
        if not layout.has_head:
            raise ModelError(
                f"{name} is an encoder without a classifier; train one on labelled texts with "
                f"`tenor train classifier --model {name} --train FILE --out DIR`."
            )
        classifier = load_classifier(layout, None, 0, kind="a classifier").classifier
        kind = classifier.config.problem_type
        if kind == "regression" or (classifier.config.num_labels == 1 and kind != SEVERAL):
            raise ModelError(
                f"{name} gives one number a text, not labels; a cross-encoder is loaded with "
                "CrossEncoder.load."
            )
        model = cls(classifier, load_classifier_tokenizer(layout))
        limits = model.settle(name, folder, layout.max_seq_length, **options)
        log.info("%s: %d labels, %s", name, model.classes, limits)
        return model

    @classmethod
    def start(
        cls,
        name: str | Path,
        labels: Sequence[str],
        *,
        multi_label: bool = False,
        head: str = "linear",
        revision: str | None = None,
        seed: int = 0,
        **options: Unpack[RunOptions],
    ) -> Self:
        """Make a classifier to train of an encoder, an embedder or another classifier.

        A classifier that has these labels already, in whatever order, goes on with its own head;
        else the output layer is new.

        Args:
            name: a folder, `"all-MiniLM-L6-v2"`, or a hub id.
            labels: names of the labels. A head that is kept has them in its own order.
            multi_label: whether a text may have any number of them.
            head: `"linear"`: a hidden layer before the output layer (BERT's pooler, RoBERTa's
                `dense`) is kept where the folder has one; `"mlp"`: it is made new, too.
            revision: branch, tag or commit on the hub.
            seed: of the weights of new layers.
            **options: device, dtype and max_seq_length, as `load` takes them.

        Raises:
            ConfigError: for another head, or `"mlp"` where the architecture has no hidden layer.
            ModelError: when the folder cannot be read or cannot be made a classifier.
        """
        if head not in HEADS:
            raise ConfigError("head", head, f"one of {', '.join(HEADS)}")
        folder = locate(name, revision=revision)
        layout = read_cross_encoder(folder)
        loaded = load_classifier(layout, len(labels), seed, kind="a classifier")
        classifier, names = loaded.classifier, tuple(labels)
        layers = head_layers(classifier)
        spread = float(getattr(classifier.config, "initializer_range", 0.02))
        if head == "mlp":
            if not layers.hidden:
                raise ConfigError(
                    "head",
                    head,
                    f"linear: {type(classifier).__name__} has no hidden layer before its output",
                )
            renew(layers.hidden, spread, seed + 1)
        said, new = "the output layer is new", True
        if not loaded.is_new:
            known = [str(classifier.config.id2label[number]) for number in range(len(names))]
            place = match_labels(names, known, by_number=False)
            if head == "linear" and len(set(place.values())) == len(names):
                names = tuple(sorted(names, key=place.__getitem__))
                said, new = "it has these labels and goes on with its own head", False
            else:
                renew([layers.output], spread, seed)
        model = cls(classifier, load_classifier_tokenizer(layout))
        model.labels, model.multi_label, model.new_output = names, multi_label, new
        model.new_pooler = bool(layers.pooler) and (head == "mlp" or loaded.new_pooler)
        stored = layout.max_seq_length or _embedder_limit(folder)
        limits = model.settle(name, folder, stored, **options)
        log.info("%s: %d labels (%s), %s", name, model.classes, said, limits)
        return model

    @property
    def multi_label(self) -> bool:
        """Whether a text may have any number of labels."""
        return bool(self.whole.config.problem_type == SEVERAL)

    @multi_label.setter
    def multi_label(self, value: bool) -> None:
        self.whole.config.problem_type = SEVERAL if value else ONE

    def predict_proba_blocks(
        self,
        blocks: Iterable[Sequence[str]],
        *,
        total: int | None = None,
        **options: Unpack[BulkOptions],
    ) -> Iterator[tuple[npt.NDArray[np.float32], int]]:
        """Classify block after block of texts; see `TextClassifier.predict_proba_blocks`."""
        tokens_per_batch, progress = options.get("tokens_per_batch"), options.get("progress")
        check_positive("tokens_per_batch", tokens_per_batch)
        done = 0
        with evaluating(self, self.encoder), progress_bar(progress, total, "classifying") as bar:
            for block in blocks:
                check_texts(block, before=done)
                logits, truncated = run_distinct(
                    self,
                    block,
                    self.tokenizer,
                    width=self.classes,
                    device=self.device,
                    filler_id=self.tokenizer.filler_id,
                    tokens_per_batch=tokens_per_batch,
                    bar=bar,
                )
                done += len(block)
                yield probabilities_of(logits, self.multi_label), truncated


def _embedder_limit(folder: Path) -> int | None:
    """Tokens a text may have in an embedder's folder, where it is one and says so."""
    is_embedder = (folder / "modules.json").is_file()
    return read_layout(folder).max_seq_length if is_embedder else None
