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
from tenor.formats.atomic import replaced_folder
from tenor.formats.cross_encoder import ACTIVATIONS, read_cross_encoder, write_activation
from tenor.formats.cross_encoder_card import cross_encoder_card
from tenor.formats.locate import locate
from tenor.models.encode_options import check_positive
from tenor.models.loading import load_tokenizer
from tenor.models.score import score_all
from tenor.models.sequence_classifier import (
    SequenceClassifier,
    load_classifier,
    lower_case_first,
)
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

    unit = "pairs"

    def __init__(
        self, classifier: Any, tokenizer: Tokenizer, *, activation: str | None = None
    ) -> None:
        chosen = activation or ("sigmoid" if classifier.config.num_labels == 1 else "identity")
        if chosen not in ACTIVATIONS:
            raise ConfigError("activation", chosen, f"one of {', '.join(ACTIVATIONS)}")
        super().__init__(classifier, tokenizer)
        self.activation = chosen
        self.name = "cross-encoder"

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
        classifier, is_new, _ = load_classifier(layout, classes, seed)
        raw = load_tokenizer(layout.transformer)
        if layout.do_lower_case:
            lower_case_first(raw)
        model = cls(
            classifier,
            Tokenizer(raw, min(int(raw.model_max_length), 1 << 20)),
            activation=None if is_new else layout.activation,
        )
        limits = model._loaded_from(
            name,
            folder,
            device=device,
            dtype=dtype,
            max_seq_length=max_seq_length,
            stored=layout.max_seq_length,
        )
        if is_new:
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
            ConfigError: for something that is no pair of strings.
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
        """
        check_positive("k", k)
        if self.classes != 1:
            raise ModelError(
                f"{self.name} gives {self.classes} labels; only one that gives a single score can "
                "rank."
            )
        scores = self.score([(query, text) for text in texts])
        order = np.argsort(-scores, kind="stable")[:k]
        return [(int(place), float(scores[place])) for place in order]

    def save(self, folder: str | Path, *, card: str | None = None) -> None:
        """Write a plain `…ForSequenceClassification` folder, whole or not at all.

        Args:
            folder: replaced if it exists.
            card: text of README.md; a plain card by default.

        Raises:
            ModelError: when `folder` exists and holds something that is no model.
        """
        with replaced_folder(folder) as target:
            self._save_transformer(target)
            write_activation(target, self.activation)
            text = card or self.card(name=Path(folder).name, training=None, evaluation=[])
            (target / "README.md").write_text(text, encoding="utf-8")

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
