"""A cross-encoder: two texts, read together, to a score or to labels.

Shape legend: N pairs, C labels.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tenor.errors import ConfigError, ModelError
from tenor.formats.atomic import replaced_folder
from tenor.formats.cross_encoder import ACTIVATIONS, read_cross_encoder, write_activation
from tenor.formats.cross_encoder_card import cross_encoder_card
from tenor.formats.locate import hash_model, locate
from tenor.models.bulk import evaluating
from tenor.models.encode_options import check_positive
from tenor.models.encoder import Encoder, quiet
from tenor.models.heads import SequenceHead, one_length_at_a_time, probe_batch
from tenor.models.loading import length_limit, load_tokenizer, place
from tenor.models.score import score_all
from tenor.models.sequence_classifier import load_classifier, lower_case_first
from tenor.tokens.packed import PackedBatch
from tenor.tokens.tokenizer import Tokenizer

__all__ = ["CrossEncoder"]

log = logging.getLogger("tenor")

TOLERANCE = 5e-5  # of the probe, relative to the largest logit
ACTIVATION_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda logits: logits,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softmax": lambda logits: torch.softmax(logits, dim=-1),
}


class CrossEncoder(nn.Module):
    """A cross-encoder: an encoder over both texts at once, and a classifier.

    Make one with `CrossEncoder.load`. How the architecture's own classifier can be fed from packed
    texts is not looked up but tried, when the model is made: a few pairs must come out as they do
    from `transformers` alone.

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

    def __init__(
        self, classifier: Any, tokenizer: Tokenizer, *, activation: str | None = None
    ) -> None:
        super().__init__()
        if classifier.base_model is classifier:
            raise ModelError(f"{type(classifier).__name__} has no encoder that can be told apart.")
        self.tokenizer = tokenizer
        # Some RoBERTas have the tokenizer of a BERT, which gives types that they do not know.
        self._one_type = getattr(classifier.config, "type_vocab_size", None) == 1
        self._classifier = (classifier,)  # in a tuple: its layers belong to encoder and head
        self.activation = activation or ("sigmoid" if self.classes == 1 else "identity")
        if self.activation not in ACTIVATIONS:
            raise ConfigError("activation", activation, f"one of {', '.join(ACTIVATIONS)}")
        self.name = "cross-encoder"
        self.sha256: str | None = None
        classifier.eval()
        attention = classifier.config._attn_implementation
        batch = probe_batch(classifier.config)
        with torch.no_grad():
            expected = one_length_at_a_time(classifier, batch)
            self.head = SequenceHead(classifier)
            self.encoder = Encoder(classifier.base_model)
            self._probe(batch, expected, attention)
        self.eval()

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
        classifier, is_new = load_classifier(layout, classes, seed)
        raw = load_tokenizer(layout.transformer)
        if layout.do_lower_case:
            lower_case_first(raw)
        model = cls(
            classifier,
            Tokenizer(raw, min(int(raw.model_max_length), 1 << 20)),
            activation=None if is_new else layout.activation,
        )
        limit = length_limit(max_seq_length, layout.max_seq_length, model.encoder, raw)
        model.tokenizer = Tokenizer(raw, limit)
        model.name = str(name)
        model.sha256 = hash_model(folder)
        where = place(model, model.encoder, device, dtype)
        if is_new:
            log.warning(
                "%s: the classifier is new; train it before its scores mean anything.", name
            )
        gives = "one score" if model.classes == 1 else f"{model.classes} labels"
        log.info("%s: %s, at most %d tokens a pair, %s", name, gives, limit, where)
        return model

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.encoder.device

    @property
    def classes(self) -> int:
        """Number of labels C; 1 for a single score."""
        return int(self._classifier[0].config.num_labels)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels, in the order of the scores."""
        names = self._classifier[0].config.id2label
        return tuple(str(names[index]) for index in range(self.classes))

    @labels.setter
    def labels(self, names: Sequence[str]) -> None:
        if len(names) != self.classes or len(set(names)) != len(names):
            raise ConfigError("labels", tuple(names), f"{self.classes} different names")
        config = self._classifier[0].config
        config.id2label = dict(enumerate(names))
        config.label2id = {label: index for index, label in enumerate(names)}

    @property
    def max_seq_length(self) -> int:
        """Tokens of a pair that count, special tokens included; the rest is cut off."""
        return self.tokenizer.max_length

    def forward(self, batch: PackedBatch) -> Tensor:
        """Classify packed pairs: (N, C) fp32 logits, in the order of the batch."""
        if self._one_type:
            batch = replace(batch, type_ids=None)
        if self.head.reads == "nothing":
            return one_length_at_a_time(self._classifier[0], batch)
        logits: Tensor = self.head(self.encoder(batch), batch)
        return logits

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the model and of the `transformers` model it is made of."""
        self._classifier[0].train(mode)
        return super().train(mode)

    def unused_parameters(self) -> list[nn.Parameter]:
        """Parameters that no logit depends on, found by trying."""
        used = [parameter for parameter in self.parameters() if parameter.requires_grad]
        if not used:
            return []
        batch = probe_batch(self._classifier[0].config)
        with evaluating(self, self.encoder), torch.enable_grad():
            total = self(batch.to(self.device)).sum()
            gradients = torch.autograd.grad(total, used, allow_unused=True)
        found = zip(used, gradients, strict=True)
        return [parameter for parameter, gradient in found if gradient is None]

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
            with quiet():
                self._classifier[0].save_pretrained(str(target))
            self.tokenizer.tokenizer.model_max_length = self.max_seq_length
            self.tokenizer.save(target)
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

    def _probe(self, batch: PackedBatch, expected: Tensor, attention: str) -> None:
        """Find out which of the encoder's vectors the classifier must be given."""
        name = type(self._classifier[0]).__name__
        for reads in ("first", "all"):
            self.head.reads = reads
            try:
                found = self(batch)
            except Exception as problem:  # an unknown architecture may fail in any way
                log.debug("%s cannot be given %s vectors: %s", name, reads, problem)
                continue
            off = (found - expected).abs().max().item()
            if off <= TOLERANCE * max(1.0, expected.abs().max().item()):
                return
        log.info("%s does not run packed here: pairs of one length run together.", name)
        self._classifier[0].base_model.set_attn_implementation(attention)
        self.encoder = Encoder(self._classifier[0].base_model, packed=False)
        self.head.reads = "nothing"
