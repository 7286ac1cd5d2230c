"""A text classifier: texts to labels, whatever computes them.

Shape legend: N texts, C labels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence, Sized
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
import numpy.typing as npt
import torch

from tenor.data.class_labels import match_labels
from tenor.errors import ConfigError, ModelError
from tenor.formats.classifier import has_linear_classifier
from tenor.formats.classifier_card import classifier_card
from tenor.formats.locate import locate
from tenor.formats.setfit import is_setfit
from tenor.models.bulk import BLOCK, BulkOptions, cut_in_blocks
from tenor.models.checks import check_several
from tenor.models.encode import join_blocks
from tenor.models.saving import SavedModel

__all__ = ["Labels", "TextClassifier", "probabilities_of"]

Labels = str | tuple[str, ...]  # of a text: one, or any number


class TextClassifier(SavedModel):
    """Gives labels to texts: one each, or any number (multi-label).

    `TextClassifier.load` reads both kinds of folder: a fine-tuned `…ForSequenceClassification`
    (`EncoderClassifier`), and an embedder with a linear classifier beside it
    (`EmbeddingClassifier`).

    Attributes:
        name: what it was loaded from.
        sha256: of the files it was loaded from.
    """

    card_kind: Literal["fine-tuned", "linear"]

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: str = "auto",
        revision: str | None = None,
        max_seq_length: int | None = None,
    ) -> TextClassifier:
        """Load a classifier: never runs remote code, never unpickles.

        Args:
            name: a folder that `tenor train classifier` or `transformers` wrote, or a hub id.
            device: `"cpu"`, `"cuda"`, `"mps"`; the best there is by default.
            dtype: dtype of the encoder's products: `"auto"` (bf16 where the hardware has it),
                `"bf16"`, `"fp32"`.
            revision: branch, tag or commit on the hub.
            max_seq_length: another limit of tokens a text; the folder's by default.

        Raises:
            ModelError: when the folder cannot be read or holds no classifier.
        """
        from tenor.models.embedding_classifier import EmbeddingClassifier
        from tenor.models.encoder_classifier import EncoderClassifier

        folder = locate(name, revision=revision)
        linear = has_linear_classifier(folder)
        if not linear and is_setfit(folder):
            raise ModelError(
                f"{folder} is a classifier that SetFit saved, with a pickled head: convert it once "
                f"with `tenor convert-setfit {folder} --out NEW --allow-pickle`."
            )
        kind: type[TextClassifier] = EmbeddingClassifier if linear else EncoderClassifier
        return kind.load(
            name, device=device, dtype=dtype, revision=revision, max_seq_length=max_seq_length
        )

    @property
    @abstractmethod
    def labels(self) -> tuple[str, ...]:
        """Names of the C labels, in the order of the probabilities."""

    @property
    @abstractmethod
    def multi_label(self) -> bool:
        """Whether a text may have any number of labels."""

    @property
    @abstractmethod
    def max_seq_length(self) -> int:
        """Tokens of a text that count, special tokens included; the rest is cut off."""

    @abstractmethod
    def predict_proba_blocks(
        self,
        blocks: Iterable[Sequence[str]],
        *,
        total: int | None = None,
        **options: Unpack[BulkOptions],
    ) -> Iterator[tuple[npt.NDArray[np.float32], int]]:
        """Classify block after block of texts, in flat memory.

        Args:
            blocks: the texts.
            total: how many there are, for the progress bar, if known.
            **options: tokens_per_batch and progress, as in `predict_proba`.

        Yields:
            The probabilities (n, C) of each block, and how many of its texts were cut.
        """

    def predict_proba(
        self,
        texts: str | Iterable[str],
        *,
        tokens_per_batch: int | None = None,
        progress: bool | None = None,
    ) -> npt.NDArray[np.float32]:
        """The probability of every label, for each text; each distinct text is read once.

        Args:
            texts: one text, a list, or any iterable (taken block by block).
            tokens_per_batch: tokens run at a time; chosen for the device by default.
            progress: show a progress bar on stderr; by default for long work on a terminal.

        Returns:
            (N, C) float32 in the order of the texts and of `labels`, (C,) for a single text: rows
            that sum to 1, or of a multi-label model each label's own probability.

        Raises:
            DataError: for something that is no text; it names its row.
        """
        found, _ = self.predict_proba_counted(
            texts, tokens_per_batch=tokens_per_batch, progress=progress
        )
        return found[0] if isinstance(texts, str) else found

    def predict_proba_counted(
        self, texts: str | Iterable[str], **options: Unpack[BulkOptions]
    ) -> tuple[npt.NDArray[np.float32], int]:
        """Like `predict_proba`, and how many of the texts were too long and were cut."""
        several: Iterable[str] = [texts] if isinstance(texts, str) else texts
        total = len(several) if isinstance(several, Sized) else None
        blocks = cut_in_blocks(several, BLOCK)
        found = self.predict_proba_blocks(blocks, total=total, **options)
        return join_blocks(found, len(self.labels))

    def predict(
        self,
        texts: str | Iterable[str],
        *,
        threshold: float = 0.5,
        tokens_per_batch: int | None = None,
        progress: bool | None = None,
    ) -> Any:
        """The label, or the labels, of each text.

        Args:
            texts: one text, a list, or any iterable (taken block by block).
            threshold: probability from which a multi-label model gives a label.
            tokens_per_batch: tokens run at a time; chosen for the device by default.
            progress: show a progress bar on stderr; by default for long work on a terminal.

        Returns:
            A list of names, or of tuples of names from a multi-label model (empty for a text that
            has none), in the order of the texts; for a single text its own.

        Raises:
            ConfigError: for a threshold that is not from 0 to 1.
            DataError: for something that is no text; it names its row.
        """
        probabilities, _ = self.predict_proba_counted(
            texts, tokens_per_batch=tokens_per_batch, progress=progress
        )
        found = self.labels_of(probabilities, threshold=threshold)
        return found[0] if isinstance(texts, str) else found

    def labels_of(
        self, probabilities: npt.NDArray[np.float32], *, threshold: float = 0.5
    ) -> list[Labels]:
        """The names that probabilities (N, C) stand for; see `predict`.

        Raises:
            ConfigError: for a threshold that is not from 0 to 1.
        """
        if not 0 <= threshold <= 1:
            raise ConfigError("threshold", threshold, "a probability from 0 to 1")
        names = self.labels
        if not self.multi_label:
            return [names[place] for place in probabilities.argmax(axis=1).tolist()]
        return [
            tuple(names[place] for place in np.flatnonzero(row >= threshold).tolist())
            for row in probabilities
        ]

    def score(self, texts: Sequence[str], labels: Sequence[str | Iterable[str]]) -> float:
        """Share of the texts whose label is right; of a multi-label model, whose labels all are.

        Args:
            texts: the texts.
            labels: the name of each text's label, or the names of its labels.

        Raises:
            ConfigError: there are not as many labels as texts, or none; or `texts` is one string.
            ModelError: a label is none of the model's.
        """
        check_several("texts", texts)
        if not texts or len(texts) != len(labels):
            raise ConfigError("labels", f"{len(labels)} labels", f"one a text, {len(texts)}")
        gold = [{each} if isinstance(each, str) else set(each) for each in labels]
        wanted = {name for names in gold for name in names}
        unknown = sorted(wanted - match_labels(sorted(wanted), self.labels).keys())
        if unknown:
            raise ModelError(
                f"{self.name} does not have the labels {', '.join(map(repr, unknown[:8]))}; it has "
                f"{', '.join(self.labels[:8])}."
            )
        place = match_labels(sorted(wanted), self.labels)
        due = [{self.labels[place[name]] for name in names} for names in gold]
        found = [{each} if isinstance(each, str) else set(each) for each in self.predict(texts)]
        return float(np.mean([mine == theirs for mine, theirs in zip(found, due, strict=True)]))

    def card(
        self, *, name: str, training: dict[str, Any] | None, evaluation: Sequence[dict[str, Any]]
    ) -> str:
        """The model card; see `classifier_card`."""
        return classifier_card(
            name=name,
            base_model=self.name,
            labels=self.labels,
            multi_label=self.multi_label,
            max_seq_length=self.max_seq_length,
            kind=self.card_kind,
            training=training,
            evaluation=evaluation,
        )


def probabilities_of(logits: npt.NDArray[np.float32], multi_label: bool) -> Any:
    """Probabilities (N, C) float32 of logits: each label's own, or shares of 1."""
    found = torch.from_numpy(logits)
    return (torch.sigmoid(found) if multi_label else torch.softmax(found, dim=-1)).numpy()
