"""TSDAE's training step: damage the texts, encode them, rebuild the originals from the vectors.

Wang et al. 2021, https://arxiv.org/abs/2104.06979.

Shape legend: N texts of a batch, T tokens of the originals' row, D dimensions of an embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tenor.data.noise import Noise, VocabularyFacts
from tenor.losses.vocabulary_cross_entropy import vocabulary_cross_entropy, vocabulary_losses
from tenor.models.decoder import Decoder
from tenor.models.embedder import Embedder
from tenor.models.encoder import Encoder
from tenor.models.masked_lm import sparse_gradient
from tenor.tokens.packed import PackedBatch
from tenor.tokens.token_ids import TokenIds
from tenor.tokens.tokenizer import Tokenizer
from tenor.training.batch import TrainingBatch
from tenor.training.processes import own_share, this_process

__all__ = ["Denoising", "DenoisingAutoEncoder", "DenoisingBatch", "vocabulary_facts"]


def vocabulary_facts(tokenizer: Tokenizer) -> VocabularyFacts:
    """What noise and masking must know of a tokenizer's vocabulary."""
    raw = tokenizer.tokenizer
    special = sorted(set(raw.all_special_ids) - {raw.unk_token_id})
    tokens = raw.convert_ids_to_tokens(list(range(len(raw))))
    return VocabularyFacts.of(tokens, special, raw.mask_token_id)


@dataclass(frozen=True, eq=False)
class DenoisingBatch:
    """Damaged texts, and what the decoder shall make of their vectors.

    Attributes:
        damaged: the texts to encode, sorted by their own lengths.
        place: (N,) where each original's damaged text stands in `damaged`.
        original: the decoder's input: the original texts without their last tokens.
        targets: (T,) the token behind each token of `original`; -1 in the filler.
    """

    damaged: PackedBatch
    place: Tensor
    original: PackedBatch
    targets: Tensor

    @classmethod
    def of(
        cls,
        ids: TokenIds,
        texts: npt.NDArray[np.int64],
        noise: Noise,
        facts: VocabularyFacts,
        seed: int,
        *,
        filler_id: int,
    ) -> DenoisingBatch:
        """Damage some texts.

        Args:
            ids: tokenised texts of at least two tokens each.
            texts: which of them, best sorted by length.
            noise: what happens to them.
            facts: of the vocabulary.
            seed: decides the noise.
            filler_id: token to fill a row up with.
        """
        lengths = ids.lengths[texts]
        starts = np.cumsum(lengths) - lengths
        inside = np.arange(int(lengths.sum())) - np.repeat(starts, lengths)
        flat = ids.ids[inside + np.repeat(ids.offsets[texts], lengths)].astype(np.int64)
        generator = np.random.Generator(np.random.SFC64(seed))
        noisy, noisy_lengths = noise(flat, lengths, facts, generator)
        order = np.argsort(-noisy_lengths, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        is_last = inside == np.repeat(lengths, lengths) - 1
        original = PackedBatch.of(_token_ids(flat[~is_last], lengths - 1), filler_id=filler_id)
        targets = np.full(original.tokens, -1, dtype=np.int64)
        targets[: len(flat) - len(lengths)] = flat[inside > 0]
        return cls(
            damaged=PackedBatch.of(_token_ids(noisy, noisy_lengths), order, filler_id=filler_id),
            place=torch.from_numpy(place),
            original=original,
            targets=torch.from_numpy(targets),
        )

    def to(self, device: torch.device) -> DenoisingBatch:
        """The same batch on another device."""
        return DenoisingBatch(
            self.damaged.to(device), self.place.to(device),
            self.original.to(device), self.targets.to(device),
        )  # fmt: skip


class DenoisingAutoEncoder(nn.Module):
    """An embedder, and a decoder that has only its vectors to go by.

    Args:
        embedder: what is trained and saved.
        decoder: needed in training only.
    """

    whole_vocabulary = True  # the softmax needs every row of the embedding matrix

    def __init__(self, embedder: Embedder, decoder: Decoder) -> None:
        super().__init__()
        self.embedder, self.decoder = embedder, decoder
        self.name, self.sha256 = embedder.name, embedder.sha256

    @property
    def encoder(self) -> Encoder:
        """The embedder's encoder."""
        return self.embedder.encoder

    @property
    def max_seq_length(self) -> int:
        """Tokens of a text that count."""
        return self.embedder.max_seq_length

    def unused_parameters(self) -> list[nn.Parameter]:
        """Parameters that no loss reaches."""
        return self.embedder.unused_parameters()

    def forward(self, batch: DenoisingBatch, divisor: float) -> Tensor:
        """Σ −log p(next token | tokens before, vector of the damaged text) / divisor.

        Args:
            batch: the texts.
            divisor: of the sum.
        """
        batch = batch.to(self.encoder.device)
        weight = self.decoder.words.weight
        with sparse_gradient(self.decoder.words, weight):
            predicted_TE = self._predict(batch)
        return vocabulary_cross_entropy(
            predicted_TE, weight, self.decoder.head.bias, batch.targets,
            divisor=divisor, dtype=self.encoder.dtype,
        )  # fmt: skip

    @torch.no_grad()
    def losses(self, batch: DenoisingBatch) -> Tensor:
        """(T,) −log p of each target, 0 in the filler, without gradients."""
        batch = batch.to(self.encoder.device)
        return vocabulary_losses(
            self._predict(batch), self.decoder.words.weight, self.decoder.head.bias, batch.targets,
            dtype=self.encoder.dtype,
        )  # fmt: skip

    def _predict(self, batch: DenoisingBatch) -> Tensor:
        memory_ND = self.embedder(batch.damaged)[batch.place]
        predicted_TE: Tensor = self.decoder(batch.original, memory_ND)
        return predicted_TE

    def save(self, folder: str | Path, *, card: str | None = None) -> None:
        """Write the embedder; the decoder has done its work."""
        self.embedder.save(folder, card=card)


class Denoising:
    """One step of TSDAE: `step(model, batch) -> loss`, the mean over the tokens to be predicted.

    The noise comes from torch's generator, which the trainer seeds for each step, so a resumed run
    sees the noise it would have seen.

    Args:
        noise: what happens to the texts.
        facts: of the vocabulary.
    """

    def __init__(self, noise: Noise, facts: VocabularyFacts) -> None:
        self.noise, self.facts = noise, facts

    def __call__(self, model: nn.Module, batch: TrainingBatch) -> Tensor:
        """The loss of a batch; of several processes each takes its share of the texts."""
        process, processes = this_process()
        share, own = own_share(batch, process, processes)
        made = self.batch(batch, share)
        if not own:  # more processes than texts: take part, but count for nothing
            made.targets.fill_(-1)
        predicted = int((batch.ids.lengths[batch.texts] - 1).sum())
        loss: Tensor = model(made, predicted / processes)
        return loss

    def batch(self, batch: TrainingBatch, share: npt.NDArray[np.int64]) -> DenoisingBatch:
        """Damage the texts at some positions among a batch's distinct ones."""
        seed = int(torch.empty((), dtype=torch.int64).random_())
        texts = batch.texts[share]
        return DenoisingBatch.of(
            batch.ids, texts, self.noise, self.facts, seed, filler_id=batch.filler_id
        )


def _token_ids(flat: Any, lengths: npt.NDArray[np.int64]) -> TokenIds:
    return TokenIds(flat, np.concatenate([[0], np.cumsum(lengths)]))
