"""Masked language modelling's training step: mask some tokens anew each time, predict those only.

Devlin et al. 2019, https://arxiv.org/abs/1810.04805; dynamic masking as RoBERTa (Liu et al. 2019,
https://arxiv.org/abs/1907.11692).

Shape legend: T tokens of the row, M masked places.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from tenor.data.noise import VocabularyFacts, words_of
from tenor.errors import ConfigError
from tenor.tokens.packed import PackedBatch, round_up
from tenor.tokens.token_ids import TokenIds
from tenor.tokens.tokenizer import Tokenizer
from tenor.training.batch import TrainingBatch
from tenor.training.processes import own_share, this_process

__all__ = ["MaskedBatch", "Masking", "cut_in_blocks"]

MASKED, RANDOM = 0.8, 0.1  # of the chosen tokens; the rest stay as they are
PLACES_STEP = 32  # oneDNN builds a kernel for every new number of places
UNLIMITED = 1 << 30


@dataclass(frozen=True, eq=False)
class MaskedBatch:
    """Texts with some tokens masked, and what stood there.

    Attributes:
        batch: the texts.
        places: (M,) places in the row to be predicted, rounded up with place 0.
        targets: (M,) the right tokens; -1 for the rounding.
        texts: (M,) which text of the batch each place is in.
    """

    batch: PackedBatch
    places: Tensor
    targets: Tensor
    texts: Tensor


@dataclass(frozen=True, kw_only=True)
class Masking:
    """One step: `step(model, batch) -> loss`, the mean over the chosen tokens.

    Of the chosen tokens 80 % are masked, 10 % become a random token and 10 % stay, each decided by
    itself. The choice comes from torch's generator, which the trainer seeds for each step.

    Attributes:
        facts: of the vocabulary; there must be a mask token.
        share: probability of each token (or word) to be chosen, above 0 and below 1.
        whole_words: choose words, with all their tokens, instead of tokens.

    Raises:
        ConfigError: for a share out of range, or a vocabulary without a mask token.
    """

    facts: VocabularyFacts
    share: float = 0.15
    whole_words: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ConfigError("mask_share", self.share, "above 0 and below 1")
        if self.facts.mask_id is None:
            raise ConfigError("model", "this one", "another: its tokenizer has no mask token")

    def __call__(self, model: nn.Module, batch: TrainingBatch) -> Tensor:
        """The loss of a batch; of several processes each takes its share of the texts."""
        process, processes = this_process()
        positions, own = own_share(batch, process, processes)
        seed = int(torch.empty((), dtype=torch.int64).random_())
        masked = self.mask(batch.packed(positions), seed)
        if not own:  # more processes than texts: take part, but count for nothing
            masked.targets.fill_(-1)
        count = max(int((masked.targets >= 0).sum()), 1)
        # The processes' means, averaged: their numbers of chosen tokens differ by little.
        device = next(model.parameters()).device
        loss: Tensor = model(
            masked.batch.to(device), masked.places.to(device), masked.targets.to(device), count
        )
        return loss

    def mask(self, batch: PackedBatch, seed: int) -> MaskedBatch:
        """Mask some tokens of packed texts; at least one, where there is an ordinary one.

        Args:
            batch: the texts, on the CPU.
            seed: decides which.
        """
        generator = np.random.Generator(np.random.SFC64(seed))
        ids = batch.token_ids.numpy().copy()
        real = int(batch.lengths[: batch.texts].sum())  # the filler is behind
        ordinary = ~self.facts.special[ids]
        ordinary[real:] = False
        if self.whole_words:
            begins = words_of(ids, batch.lengths, self.facts, "word")
            word = np.cumsum(begins) - 1
            draws = generator.random(int(word[-1]) + 1)[word]
        else:
            draws = generator.random(len(ids))
        draws[~ordinary] = 2.0
        chosen = draws < max(self.share, np.nextafter(draws.min(), 2.0) if ordinary.any() else 0.0)
        places = np.flatnonzero(chosen)
        targets = ids[places].copy()
        fate = generator.random(len(places))
        ids[places[fate < MASKED]] = self.facts.mask_id
        random = places[(fate >= MASKED) & (fate < MASKED + RANDOM)]
        ids[random] = generator.choice(np.flatnonzero(~self.facts.special), len(random))
        text_of_token = np.repeat(np.arange(len(batch.lengths)), batch.lengths)
        fill = round_up(len(places), PLACES_STEP) - len(places)
        return MaskedBatch(
            # What frozen blocks made of the tokens they made of the whole ones.
            batch=replace(batch, token_ids=torch.from_numpy(ids), states=None),
            places=torch.from_numpy(np.pad(places, (0, fill))),
            targets=torch.from_numpy(np.pad(targets, (0, fill), constant_values=-1)),
            texts=torch.from_numpy(np.pad(text_of_token[places], (0, fill))),
        )


def cut_in_blocks(tokenizer: Tokenizer, texts: list[str]) -> TokenIds:
    """Tokenise documents and cut those beyond the length limit into blocks of about equal length.

    Nothing is lost, and each block has the special tokens that a text of its own would have.
    """
    whole = tokenizer(texts, max_length=UNLIMITED)
    prefix, suffix = _frame(tokenizer)
    frame = len(prefix) + len(suffix)
    room = tokenizer.max_length - frame
    bodies = np.maximum(whole.lengths - frame, 0)
    pieces = np.maximum(-(-bodies // room), 1)
    blocks = int(pieces.sum())
    document = np.repeat(np.arange(len(texts)), pieces)
    number = np.arange(blocks) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    # Block i of n of a body of b tokens: from i·b/n to (i + 1)·b/n.
    begin = number * bodies[document] // pieces[document]
    end = (number + 1) * bodies[document] // pieces[document]
    lengths = end - begin + frame
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    inside = np.arange(int(offsets[-1])) - np.repeat(offsets[:-1], lengths)
    source = np.repeat(whole.offsets[:-1][document] + begin, lengths) + inside
    ids = whole.ids[np.minimum(source, len(whole.ids) - 1)]
    for place, token in enumerate(prefix):
        ids[offsets[:-1] + place] = token
    for place, token in enumerate(reversed(suffix)):
        ids[offsets[1:] - 1 - place] = token
    return TokenIds(ids.astype(np.int32), offsets)


def _frame(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """The special tokens that stand before and behind every text."""
    raw = tokenizer.tokenizer
    body = raw("a", add_special_tokens=False)["input_ids"]
    framed = raw("a")["input_ids"]
    for start in range(len(framed) - len(body) + 1):
        if framed[start : start + len(body)] == body:
            return framed[:start], framed[start + len(body) :]
    return [], []
