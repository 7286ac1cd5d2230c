"""A classifier that is a linear layer on the embeddings of a frozen embedder.

Shape legend: N texts, D dimensions, C labels.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Unpack

import numpy as np
import numpy.typing as npt

from tenor.errors import ModelError
from tenor.formats.classifier import LinearClassifier, read_linear, write_linear
from tenor.formats.locate import locate
from tenor.models.bulk import BulkOptions
from tenor.models.classifier import TextClassifier, probabilities_of
from tenor.models.embedder import Embedder
from tenor.models.loading import RunOptions

__all__ = ["EmbeddingClassifier"]

log = logging.getLogger("tenor")


class EmbeddingClassifier(TextClassifier):
    """An embedder, and a linear layer that tells labels from its embeddings.

    Texts are embedded as the embedder does by itself: with its pooling, its default prompt, and
    scaled to length 1 where it does that. Its folder is that of the embedder, which still loads as
    such, with `classifier.json` and `classifier.safetensors` beside it.

    Args:
        embedder: with an encoder, or static.
        linear: what turns embeddings into logits.

    Raises:
        ModelError: they have different dimensions.
    """

    card_kind = "linear"

    def __init__(self, embedder: Embedder, linear: LinearClassifier) -> None:
        if linear.weight.shape != (len(linear.labels), embedder.dimensions):
            raise ModelError(
                f"the classifier's weights have the shape {linear.weight.shape}; for "
                f"{len(linear.labels)} labels and embeddings of {embedder.dimensions} dimensions "
                "they must fit these."
            )
        self.embedder, self.linear = embedder, linear
        self.name = embedder.name
        self.sha256 = None

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        **options: Unpack[RunOptions],
    ) -> EmbeddingClassifier:
        """Load a classifier; see `TextClassifier.load`.

        Raises:
            ModelError: when the folder cannot be read, or holds an embedder alone.
        """
        folder = locate(name, revision=revision)
        embedder = Embedder.load(name, revision=revision, **options)
        model = cls(embedder, read_linear(folder, embedder.dimensions))
        model.sha256 = embedder.sha256
        log.info("%s: %d labels told from its embeddings", name, len(model.labels))
        return model

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the C labels, in the order of the probabilities."""
        return self.linear.labels

    @property
    def multi_label(self) -> bool:
        """Whether a text may have any number of labels."""
        return self.linear.multi_label

    @property
    def max_seq_length(self) -> int:
        """Tokens of a text that count, special tokens included; the rest is cut off."""
        return self.embedder.max_seq_length

    def predict_proba_blocks(
        self,
        blocks: Iterable[Sequence[str]],
        *,
        total: int | None = None,
        **options: Unpack[BulkOptions],
    ) -> Iterator[tuple[npt.NDArray[np.float32], int]]:
        """Classify block after block of texts; see `TextClassifier.predict_proba_blocks`."""
        for vectors, truncated in self.embedder.encode_blocks(blocks, total=total, **options):
            yield self.classify(vectors), truncated

    def classify(self, vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Probabilities (N, C) of embeddings (N, D) that the embedder made."""
        logits = vectors @ self.linear.weight.T + self.linear.bias
        found: npt.NDArray[np.float32] = probabilities_of(logits, self.multi_label)
        return found

    def write(self, folder: Path) -> None:
        """Write the embedder's folder with the classifier in it."""
        self.embedder.write(folder)
        write_linear(folder, self.linear)
