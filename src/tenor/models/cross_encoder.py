"""A cross-encoder: two texts, read together, to a score or to labels.

Shape legend: N pairs, C labels.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tenor.errors import ConfigError, ModelError
from tenor.formats.cross_encoder import ACTIVATIONS, read_cross_encoder, write_activation
from tenor.formats.cross_encoder_card import cross_encoder_card
from tenor.formats.locate import locate
from tenor.models.checks import check_positive, check_several
from tenor.models.classifier_loading import load_classifier, load_classifier_tokenizer
from tenor.models.loading import RunOptions
from tenor.models.score import score_all
from tenor.models.sequence_classifier import SequenceClassifier
from tenor.tokens.tokenizer import Tokenizer

__all__ = ["CrossEncoder"]

log = logging.getLogger("tenor")

ACTIVATION_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda logits: logits,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softmax": lambda logits: torch.softmax(logits, dim=-1),
}


class CrossEncoder(SequenceClassifier):
    """A cross-encoder: an encoder over both texts at once, and a classifier.

    Make one with `CrossEncoder.load`.

    Args:
        classifier: a `…ForSequenceClassification` of `transformers`, in fp32, in memory.
        tokenizer: its tokenizer, with the length limit of a pair.
        activation: from logits to scores: identity, sigmoid, tanh, relu or softmax; sigmoid for
            one label and identity for several by default.

    Attributes:
        encoder: the encoder.
        head: the classifier on top of it.
        name: what it was loaded from.
        sha256: of the files it was loaded from.
    """

    kind, unit = "cross-encoder", "pairs"

    def __init__(
        self, classifier: Any, tokenizer: Tokenizer, *, activation: str | None = None
    ) -> None:
        chosen = activation or ("sigmoid" if classifier.config.num_labels == 1 else "identity")
        if chosen not in ACTIVATIONS:
            raise ConfigError("activation", chosen, f"one of {', '.join(ACTIVATIONS)}")
        super().__init__(classifier, tokenizer)
        self.activation = chosen

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: str = "auto",
        revision: str | None = None,
        max_seq_length: int | None = None,
        classes: int | None = None,
        seed: int = 0,
    ) -> Self:
        """Load a cross-encoder, or make one of an encoder: never runs remote code or unpickles.

        Args:
            name: a folder (a `…ForSequenceClassification`, as `transformers` or
                sentence-transformers' CrossEncoder saves it; a plain encoder or an embedder, which
                gets a new classifier), `"all-MiniLM-L6-v2"`, or a hub id.
            device: `"cpu"`, `"cuda"`, `"mps"`; the best there is by default.
            dtype: dtype of the encoder's products: `"auto"` (bf16 where the hardware has it),
                `"bf16"`, `"fp32"`.
            revision: branch, tag or commit on the hub.
            max_seq_length: another limit of tokens a pair; the folder's by default.
            classes: number of labels, 1 for a score; the folder's by default, 1 for a new one. If
                the folder has another number, its classifier is replaced by a new one.
            seed: of the weights of a new classifier.

        Raises:
            ModelError: when the folder cannot be read or cannot be made a cross-encoder.
        """
        check_positive("classes", classes)
        folder = locate(name, revision=revision)
        layout = read_cross_encoder(folder)
        loaded = load_classifier(layout, classes, seed)
        activation = None if loaded.is_new else layout.activation
        model = cls(loaded.classifier, load_classifier_tokenizer(layout), activation=activation)
        model.new_pooler = loaded.new_pooler
        asked = RunOptions(device=device, dtype=dtype, max_seq_length=max_seq_length)
        limits = model.settle(name, folder, layout.max_seq_length, **asked)
        if loaded.is_new:
            log.warning(
                "%s: the classifier is new; train it before its scores mean anything.", name
            )
        gives = "one score" if model.classes == 1 else f"{model.classes} labels"
        log.info("%s: %s, %s", name, gives, limits)
        return model

    def score(
        self,
        pairs: Iterable[tuple[str, str]],
        *,
        tokens_per_batch: int | None = None,
        progress: bool | None = None,
    ) -> npt.NDArray[np.float32]:
        """Score pairs of texts, each distinct pair once.

        Args:
            pairs: (text, text); order matters.
            tokens_per_batch: tokens run at a time; chosen for the device by default.
            progress: show a progress bar on stderr; by default for long work on a terminal.

        Returns:
            (N,) float32 for one label, (N, C) for several, after the activation, in the order of
            the pairs.

        Raises:
            DataError: for something that is no pair of texts; it names its row.
        """
        return self.score_counted(pairs, tokens_per_batch=tokens_per_batch, progress=progress)[0]

    def score_counted(
        self,
        pairs: Iterable[tuple[str, str]],
        *,
        tokens_per_batch: int | None = None,
        progress: bool | None = None,
    ) -> tuple[npt.NDArray[np.float32], int]:
        """Like `score`, and how many of the pairs were too long and were cut."""
        check_positive("tokens_per_batch", tokens_per_batch)
        logits, truncated = score_all(
            self, pairs, tokens_per_batch=tokens_per_batch, progress=progress
        )
        logits_NC = torch.from_numpy(logits)
        scores: npt.NDArray[np.float32] = ACTIVATION_FUNCTIONS[self.activation](logits_NC).numpy()
        return (scores[:, 0] if self.classes == 1 else scores), truncated

    def rank(
        self, query: str, texts: Sequence[str], k: int | None = None
    ) -> list[tuple[int, float]]:
        """Order texts by their score with a query.

        Args:
            query: first text of every pair.
            texts: second texts.
            k: how many to give; all by default.

        Returns:
            (place among `texts`, score), best first; of equal scores the lower place first.

        Raises:
            ModelError: when the model gives labels instead of a score.
            ConfigError: for something that is no list of texts, or a `k` below 1.
        """
        check_positive("k", k)
        check_several("texts", texts)
        if self.classes != 1:
            raise ModelError(
                f"{self.name} gives {self.classes} labels; only one that gives a single score can "
                "rank."
            )
        scores = self.score([(query, text) for text in texts])
        order = np.argsort(-scores, kind="stable")[:k]
        return [(int(place), float(scores[place])) for place in order]

    def write(self, folder: Path) -> None:
        """Write a plain `…ForSequenceClassification` folder that says how to score."""
        super().write(folder)
        write_activation(folder, self.activation)

    def card(
        self, *, name: str, training: dict[str, Any] | None, evaluation: Sequence[dict[str, Any]]
    ) -> str:
        """The model card; see `cross_encoder_card`."""
        return cross_encoder_card(
            name=name,
            base_model=self.name,
            labels=self.labels,
            activation=self.activation,
            max_seq_length=self.max_seq_length,
            training=training,
            evaluation=evaluation,
        )
