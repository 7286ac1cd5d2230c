"""Masked language models: a packed encoder, and a head that sees the masked tokens only.

Shape legend: T tokens of the row, M masked places, W width, E width of word embeddings, V tokens of
the vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tenor.errors import ModelError
from tenor.formats.atomic import replaced_folder
from tenor.formats.locate import hash_model, locate
from tenor.formats.masked_lm import masked_lm_card
from tenor.formats.sentence_transformers import read_layout
from tenor.losses.vocabulary_cross_entropy import vocabulary_cross_entropy, vocabulary_losses
from tenor.models.encoder import Encoder
from tenor.models.loading import length_limit, load_tokenizer, place
from tenor.models.precision import set_precision
from tenor.tokens.packed import PackedBatch
from tenor.tokens.tokenizer import Tokenizer

__all__ = ["LanguageHead", "MaskedLM", "language_head", "sparse_gradient"]

log = logging.getLogger("tenor")

TOLERANCE = 1e-4  # of the head's logits, relative to the largest


class LanguageHead(nn.Module):
    """norm(activation(W · h + b)), to be multiplied with the output embeddings.

    Args:
        dense: W and b, or `None` for a head that only projects.
        activation: between them.
        norm: a layer norm, or `None`.
        bias: (V,) parameter added to the logits, or `None`.
    """

    def __init__(
        self,
        dense: nn.Module | None,
        activation: Callable[[Tensor], Tensor],
        norm: nn.Module | None,
        bias: nn.Parameter | None,
    ) -> None:
        super().__init__()
        self.dense, self.norm, self.bias = dense, norm, bias
        self.activation = activation

    @classmethod
    def new(cls, width: int, embedding_width: int, vocabulary: int, epsilon: float) -> LanguageHead:
        """A fresh head as BERT's: weights normal with deviation 0.02, biases 0."""
        dense = nn.Linear(width, embedding_width)
        nn.init.normal_(dense.weight, std=0.02)
        nn.init.zeros_(dense.bias)
        norm = nn.LayerNorm(embedding_width, eps=epsilon)
        return cls(dense, nn.GELU(), norm, nn.Parameter(torch.zeros(vocabulary)))

    def forward(self, hidden: Tensor) -> Tensor:
        """(…, W) → (…, E)."""
        if self.dense is not None:
            hidden = self.activation(self.dense(hidden))
        return hidden if self.norm is None else self.norm(hidden)


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


class MaskedLM(nn.Module):
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
        self.sha256: str | None = None

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
        cls,
        name: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: str = "auto",
        max_seq_length: int | None = None,
    ) -> MaskedLM:
        """Load a masked language model; an encoder or embedder gets a new head.

        The output embeddings of a new head are the input embeddings; its transform is random, from
        torch's generator.

        Args:
            name: a `…ForMaskedLM` folder, an encoder's or an embedder's, or a hub id.
            device: where to put it; the best there is by default.
            dtype: dtype of the products: auto, bf16 or fp32.
            max_seq_length: tokens a block may have; the model's own limit by default.

        Raises:
            ModelError: when the folder cannot be read, or is no encoder with such a head.
        """
        from transformers import AutoModelForMaskedLM

        folder = locate(name)
        layout = read_layout(folder)
        if layout.kind != "transformer":
            raise ModelError(f"{folder} holds a {layout.kind} model, not a transformer.")
        try:
            with _quiet():
                whole, report = AutoModelForMaskedLM.from_pretrained(
                    str(layout.transformer), dtype=torch.float32, use_safetensors=True,
                    trust_remote_code=False, local_files_only=True, output_loading_info=True,
                )  # fmt: skip
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(
                f"{folder} cannot be loaded as a masked language model: {error}"
            ) from error
        if report["missing_keys"]:
            log.info("%s has no (whole) language modelling head: a new one is made", name)
        raw = load_tokenizer(layout.transformer)
        head, encoder = parts_of(whole)
        limit = length_limit(max_seq_length, layout.max_seq_length, encoder, raw)
        tokenizer = Tokenizer(raw, limit, lower_case=layout.do_lower_case)
        model = cls(whole, encoder, head, tokenizer)
        model.name, model.sha256 = str(name), hash_model(folder)
        return model.ready(device, dtype)

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

    def save(self, folder: str | Path, *, card: str | None = None) -> None:
        """Write a plain `…ForMaskedLM` folder, whole or not at all.

        Args:
            folder: replaced if it exists.
            card: text of README.md; a plain card by default.
        """
        with replaced_folder(folder) as target:
            with _quiet():
                self.whole.save_pretrained(str(target))
            self.tokenizer.tokenizer.model_max_length = self.max_seq_length
            self.tokenizer.save(target)
            text = card or masked_lm_card(Path(folder).name, self.name, None)
            (target / "README.md").write_text(text, encoding="utf-8")


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


def language_head(whole: Any) -> LanguageHead | None:
    """The head of a `…ForMaskedLM`, sharing its parameters; `None` if it is built otherwise.

    Its parts are what lies outside of the encoder; whether they are put together right is tried on
    the model's own logits.
    """
    output = whole.get_output_embeddings()
    inside = {id(module) for module in whole.base_model.modules()}
    outside = [m for m in whole.modules() if id(m) not in inside and m is not output]
    dense = [module for module in outside if isinstance(module, nn.Linear)]
    norms = [m for m in outside if type(m).__name__.endswith("Norm")]
    if not isinstance(output, nn.Linear) or len(dense) > 1 or len(norms) > 1:
        return None
    ids = torch.arange(7, 12, device=output.weight.device)[None] % whole.config.vocab_size
    with _quiet(), torch.no_grad():
        expected = whole(input_ids=ids).logits[0]
        hidden = whole.base_model(input_ids=ids).last_hidden_state[0]
        for activation in _activations(whole.config):
            head = LanguageHead(
                dense[0] if dense else None, activation, norms[0] if norms else None, output.bias
            )
            try:
                found = F.linear(head(hidden), output.weight, output.bias)
            except RuntimeError:  # widths that do not fit
                return None
            error = (found - expected).abs().max()
            if found.shape == expected.shape and error <= TOLERANCE * expected.abs().max():
                return head
    return None


def _activations(config: Any) -> Iterator[Callable[[Tensor], Tensor]]:
    from transformers.activations import ACT2FN

    for key in ("classifier_activation", "hidden_act", "activation", "hidden_activation"):
        name = getattr(config, key, None)
        if isinstance(name, str) and name in ACT2FN:
            yield ACT2FN[name]
    yield nn.GELU()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what `transformers` says of heads that are made anew."""
    from transformers.utils import logging as transformers_logging

    verbosity = transformers_logging.get_verbosity()
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
