"""Masked language models: a packed encoder, and a head that sees the masked tokens only.

Shape legend: T tokens of the row, M masked places, W width, E width of word embeddings, V tokens of
the vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenor.errors import ModelError
from tenor.formats.locate import hash_model, locate
from tenor.formats.masked_lm import masked_lm_card
from tenor.formats.sentence_transformers import read_layout
from tenor.losses.vocabulary_cross_entropy import vocabulary_cross_entropy, vocabulary_losses
from tenor.models.encoder import Encoder
from tenor.models.language_head import LanguageHead, language_head
from tenor.models.loading import RunOptions, length_limit, place
from tenor.models.precision import set_precision
from tenor.models.pretrained import check_complete, load_pretrained, load_tokenizer, quiet
from tenor.models.saving import SavedModel
from tenor.tokens.packed import PackedBatch
from tenor.tokens.tokenizer import Tokenizer

__all__ = ["MaskedLM", "parts_of", "sparse_gradient"]

log = logging.getLogger("tenor")


@contextmanager
def sparse_gradient(embedding: nn.Embedding, output: Tensor) -> Iterator[None]:
    """Let lookups give a sparse gradient, where the matrix also gets the dense one of the output.

    Autograd then adds a few rows to the dense gradient in place, instead of a matrix full of zeros.
    """
    tied = output is embedding.weight and output.requires_grad and torch.is_grad_enabled()
    before, embedding.sparse = embedding.sparse, tied or embedding.sparse
    try:
        yield
    finally:
        embedding.sparse = before


class MaskedLM(nn.Module, SavedModel):
    """A `…ForMaskedLM` of `transformers`, whose encoder runs packed.

    Make one with `MaskedLM.load`, or with `MaskedLM.of` from a model in memory.

    Args:
        whole: the `…ForMaskedLM`, in fp32.
        encoder: its encoder; shares its parameters.
        head: its head; likewise.
        tokenizer: its tokenizer, with the length limit.
    """

    whole_vocabulary = True  # the softmax needs every row of the embedding matrix

    def __init__(
        self, whole: Any, encoder: Encoder, head: LanguageHead, tokenizer: Tokenizer
    ) -> None:
        super().__init__()
        self.whole, self.encoder, self.head, self.tokenizer = whole, encoder, head, tokenizer
        self.name = "masked language model"
        self.sha256 = None

    @classmethod
    def of(cls, whole: Any, tokenizer: Tokenizer) -> MaskedLM:
        """From a `…ForMaskedLM` in memory.

        Raises:
            ModelError: when its head is built in a way that is not known.
        """
        head, encoder = parts_of(whole)
        return cls(whole, encoder, head, tokenizer)

    @classmethod
    def load(
        cls, name: str | Path, *, revision: str | None = None, **options: Unpack[RunOptions]
    ) -> MaskedLM:
        """Load a masked language model; an encoder or embedder gets a new head.

        The output embeddings of a new head are the input embeddings; its transform is random, from
        torch's generator.

        Args:
            name: a `…ForMaskedLM` folder, an encoder's or an embedder's, or a hub id.
            revision: branch, tag or commit on the hub.
            **options: device, dtype and max_seq_length, as `Embedder.load` takes them; the last
                limits the tokens of a block.

        Raises:
            ModelError: when the folder cannot be read, is no encoder with such a head, or lacks
                weights of the encoder.
        """
        from transformers import AutoModelForMaskedLM

        folder = locate(name, revision=revision)
        layout = read_layout(folder)
        if layout.kind != "transformer":
            raise ModelError(f"{folder} holds a {layout.kind} model, not a transformer.")
        whole, missing = load_pretrained(
            AutoModelForMaskedLM, layout.transformer, "a masked language model"
        )
        if missing:
            log.info("%s has no (whole) language modelling head: a new one is made", name)
        raw = load_tokenizer(layout.transformer, lower_case=layout.do_lower_case)
        head, encoder = parts_of(whole)
        prefix = f"{whole.base_model_prefix}."
        inside = {name.removeprefix(prefix) for name in missing if name.startswith(prefix)}
        needed = [prefix + name for name in encoder.needed(inside)]
        check_complete(folder, whole, needed, new_head=False)
        asked = options.get("max_seq_length")
        limit = length_limit(asked, layout.max_seq_length, encoder, raw)
        model = cls(whole, encoder, head, Tokenizer(raw, limit))
        model.name, model.sha256 = str(name), hash_model(folder)
        return model.ready(options.get("device"), options.get("dtype", "auto"))

    def ready(self, device: str | torch.device | None, dtype: str) -> MaskedLM:
        """Move to a device (`None` for the best there is) and choose the dtype of the products."""
        how = place(self, self.encoder, device, dtype)
        set_precision(self.head, self.encoder.dtype)
        log.info("%s: blocks of at most %d tokens, %s", self.name, self.max_seq_length, how)
        return self.eval()

    @property
    def max_seq_length(self) -> int:
        """Tokens a block may have, special tokens included."""
        return self.tokenizer.max_length

    @property
    def output_weight(self) -> Tensor:
        """(V, E) output embeddings; usually the input embeddings themselves."""
        weight: Tensor = self.whole.get_output_embeddings().weight
        return weight

    def unused_parameters(self) -> list[nn.Parameter]:
        """Parameters that no loss reaches: a pooler."""
        return [p for name, p in self.named_parameters() if "pooler" in name.split(".")]

    def forward(
        self, batch: PackedBatch, places_M: Tensor, targets_M: Tensor, divisor: float
    ) -> Tensor:
        """The loss at some places: Σ −log p(target) / divisor.

        Args:
            batch: the texts, some of their tokens masked.
            places_M: where in the row a token is to be predicted.
            targets_M: the right tokens; below 0 for places that do not count.
            divisor: of the sum.
        """
        words = self.encoder.transformer.get_input_embeddings()
        with sparse_gradient(words, self.output_weight):
            hidden_ME = self._at(batch, places_M)
        return vocabulary_cross_entropy(
            hidden_ME, self.output_weight, self.head.bias, targets_M,
            divisor=divisor, dtype=self.encoder.dtype,
        )  # fmt: skip

    @torch.no_grad()
    def losses(self, batch: PackedBatch, places_M: Tensor, targets_M: Tensor) -> Tensor:
        """(M,) −log p(target) at each place, without gradients."""
        return vocabulary_losses(
            self._at(batch, places_M), self.output_weight, self.head.bias, targets_M,
            dtype=self.encoder.dtype,
        )  # fmt: skip

    def _at(self, batch: PackedBatch, places_M: Tensor) -> Tensor:
        # As a lookup: its backward pass adds up rows faster than that of indexing.
        hidden_ME: Tensor = self.head(F.embedding(places_M, self.encoder(batch)))
        return hidden_ME

    def write(self, folder: Path) -> None:
        """Write a plain `…ForMaskedLM` folder."""
        with quiet():
            self.whole.save_pretrained(str(folder))
        self.tokenizer.tokenizer.model_max_length = self.max_seq_length
        self.tokenizer.save(folder)

    def card(
        self, *, name: str, training: dict[str, Any] | None, evaluation: Sequence[dict[str, Any]]
    ) -> str:
        """The model card; see `masked_lm_card`. What was measured is part of `training`."""
        return masked_lm_card(name, self.name, training)


def parts_of(whole: Any) -> tuple[LanguageHead, Encoder]:
    """Head and encoder of a `…ForMaskedLM`, sharing its parameters.

    Raises:
        ModelError: when the head is built in a way that is not known.
    """
    head = language_head(whole.eval())
    if head is None:
        raise ModelError(
            f"the head of {type(whole).__name__} is not norm(activation(dense(h))) before the "
            "vocabulary, so it cannot be trained here; those of BERT, RoBERTa, DistilBERT, "
            "ELECTRA, ALBERT, MPNet, ModernBERT and DeBERTa can."
        )
    return head, Encoder(whole.base_model)
