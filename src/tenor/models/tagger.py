"""A tagger: spans of words in a text, and what they are (named entities, and anything like them).

Shape legend: T tokens of the row, P places in it, C labels.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from tenor.errors import ConfigError, ModelError
from tenor.formats.locate import locate
from tenor.formats.tagger import read_tagger
from tenor.formats.tagger_card import tagger_card
from tenor.models.bulk import cut_in_blocks
from tenor.models.checks import check_positive
from tenor.models.classifier_loading import load_classifier_tokenizer, load_token_classifier
from tenor.models.encoder import Encoder
from tenor.models.heads import TokenHead
from tenor.models.loading import RunOptions
from tenor.models.probe import is_close, one_length_at_a_time
from tenor.models.tag import BLOCK, Span, TaggedText, TagOptions, tag_blocks
from tenor.models.transformer_classifier import TransformerClassifier
from tenor.models.viterbi import TagRules
from tenor.tokens.packed import PackedBatch
from tenor.tokens.tokenizer import Tokenizer
from tenor.tokens.word_tokens import WordTokenizer

__all__ = ["Span", "Tagger"]

log = logging.getLogger("tenor")

TOLERANCE = 5e-5  # of the probe, relative to the largest logit

Text = str | Sequence[str]


class Tagger(TransformerClassifier):
    """An encoder, and a classifier of its tokens; a word is what its first token is.

    Make one with `Tagger.load`. The tags of a text are the most probable ones that are valid
    together, so that no I- stands alone. A text longer than the model reads is cut in windows that
    overlap, and each word gets its tag where most of the text around it is seen.

    Args:
        classifier: a `…ForTokenClassification` of `transformers`, in fp32, in memory.
        tokenizer: its tokenizer, with the length limit of a window.

    Attributes:
        encoder: the encoder.
        head: the classifier on top of it.
        name: what it was loaded from.
        sha256: of the files it was loaded from.

    Raises:
        ModelError: the tokenizer is slow, or the classifier does not look at each token by itself.
    """

    kind, unit = "tagger", "windows"
    head: TokenHead

    def __init__(self, classifier: Any, tokenizer: Tokenizer) -> None:
        super().__init__(classifier, tokenizer)
        self.words = WordTokenizer(tokenizer)

    def build(self, batch: PackedBatch) -> None:
        """Put the classifier of single tokens on the encoder, and try whether it is one."""
        expected = one_length_at_a_time(self.whole, batch)
        self.head = TokenHead(self.whole)
        self.encoder = Encoder(self.whole.base_model)
        if not is_close(self(batch), expected, TOLERANCE):
            raise ModelError(
                f"the head of {type(self.whole).__name__} does not classify each token by itself; "
                "such a model cannot be used as a tagger here."
            )

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: str = "auto",
        revision: str | None = None,
        max_seq_length: int | None = None,
        labels: Sequence[str] | None = None,
        seed: int = 0,
    ) -> Self:
        """Load a tagger, or make one of an encoder: never runs remote code or unpickles.

        Args:
            name: a folder (a `…ForTokenClassification` as `transformers` saves it; with `labels`
                also a plain encoder or an embedder, which gets a new head),
                `"all-MiniLM-L6-v2"`, or a hub id.
            device: `"cpu"`, `"cuda"`, `"mps"`; the best there is by default.
            dtype: dtype of the encoder's products: `"auto"` (bf16 where the hardware has it),
                `"bf16"`, `"fp32"`.
            revision: branch, tag or commit on the hub.
            max_seq_length: another limit of tokens a window; the folder's by default.
            labels: the tags to give, as `O`, `B-PER`, `I-PER`; the folder's by default. If the
                folder has others, its head is replaced by a new one.
            seed: of the weights of a new head.

        Raises:
            ModelError: when the folder cannot be read or cannot be made a tagger.
            ConfigError: when there is no label, or one twice.
        """
        folder = locate(name, revision=revision)
        layout = read_tagger(folder)
        classifier, is_new, _ = load_token_classifier(layout, labels, seed)
        model = cls(classifier, load_classifier_tokenizer(layout))
        asked = RunOptions(device=device, dtype=dtype, max_seq_length=max_seq_length)
        limits = model.settle(name, folder, layout.max_seq_length, **asked)
        if is_new:
            other = " (its own gives other tags)" if layout.has_head else ""
            log.warning(
                "%s: the head is new%s; train it before its tags mean anything.", name, other
            )
        log.info("%s: %s, %s", name, ", ".join(model.types), limits)
        return model

    @property
    def rules(self) -> TagRules:
        """Which tag may follow which."""
        return _rules(self.labels)

    @property
    def types(self) -> tuple[str, ...]:
        """What spans can be, sorted."""
        return tuple(sorted({tag.type for tag in self.rules.tags if tag.type}))

    def forward(self, batch: PackedBatch, places_P: Tensor | None = None) -> Tensor:
        """Classify the tokens of packed texts.

        Args:
            batch: the texts.
            places_P: which tokens of the row; those of all texts, without the filler, by default.

        Returns:
            (P, C) or (T, C) fp32 logits, in the order of the places.
        """
        hidden = self.token_vectors(batch)
        if places_P is None:
            hidden = hidden[: int(batch.lengths[: batch.texts].sum())]
        else:  # as a lookup: its backward pass adds up rows faster than that of indexing
            hidden = F.embedding(places_P, hidden)
        logits: Tensor = self.head(hidden)
        return logits

    def predict(
        self,
        texts: str | Iterable[Text],
        *,
        overlap: int = 64,
        tokens_per_batch: int | None = None,
        progress: bool | None = None,
    ) -> Any:
        """Find the spans of texts, each distinct text once.

        Args:
            texts: one text, or any number of texts and of texts cut in words. Words are joined by
                spaces, and characters are counted in what comes out.
            overlap: tokens that the windows of a long text share, at most half of a window.
            tokens_per_batch: tokens run at a time; chosen for the device by default.
            progress: show a progress bar on stderr; by default for long work on a terminal.

        Returns:
            A list of `Span` for each text, in the order of the texts; one such list for a single
            text.

        Raises:
            DataError: for something that is neither a text nor a list of words; it names its row.
        """
        several: Iterable[Text] = [texts] if isinstance(texts, str) else texts
        known = len(several) if isinstance(several, Sequence) else None
        found = [
            tagged.spans
            for block in self.tag_blocks(
                cut_in_blocks(several, BLOCK),
                total=known,
                overlap=overlap,
                tokens_per_batch=tokens_per_batch,
                progress=progress,
            )
            for tagged in block
        ]
        return found[0] if isinstance(texts, str) else found

    def tag(self, sentences: Iterable[Sequence[str]], **options: Any) -> list[list[str]]:
        """Give every word of sentences its BIO tag.

        Args:
            sentences: lists of words.
            **options: of `predict`.

        Raises:
            ConfigError: for a sentence that is one string.
            DataError: for anything else that is no list of words; it names its row.
        """
        blocks = self.tag_blocks(cut_in_blocks(_sentences(sentences), BLOCK), **options)
        return [tagged.tags for block in blocks for tagged in block]

    def tag_blocks(
        self,
        blocks: Iterable[Sequence[Text]],
        *,
        total: int | None = None,
        overlap: int = 64,
        tokens_per_batch: int | None = None,
        progress: bool | None = None,
    ) -> Iterator[list[TaggedText]]:
        """Tag block after block of texts, in flat memory.

        Args:
            blocks: texts, or texts cut in words.
            total: how many there are, for the progress bar, if known.
            overlap: as in `predict`.
            tokens_per_batch: as in `predict`.
            progress: as in `predict`.

        Yields:
            What was found in each text of a block.
        """
        check_positive("tokens_per_batch", tokens_per_batch)
        options = TagOptions(overlap=overlap, tokens_per_batch=tokens_per_batch, progress=progress)
        return tag_blocks(self, blocks, options, total=total)

    def card(
        self, *, name: str, training: dict[str, Any] | None, evaluation: Sequence[dict[str, Any]]
    ) -> str:
        """The model card; see `tagger_card`."""
        return tagger_card(
            name=name,
            base_model=self.name,
            labels=self.labels,
            max_seq_length=self.max_seq_length,
            training=training,
            evaluation=evaluation,
        )


def _sentences(given: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    """Refuse a sentence that is a string: a list of words would pass for a list of sentences."""
    for number, words in enumerate(given):
        if isinstance(words, str):
            raise ConfigError(
                f"sentences[{number}]", words, "a list of words; `predict` takes whole texts"
            )
        yield words


@lru_cache(maxsize=64)
def _rules(labels: tuple[str, ...]) -> TagRules:
    return TagRules.of(labels)
