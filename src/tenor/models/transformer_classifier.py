"""An encoder on packed texts with a head of `transformers` on top: what all such models share.

Shape legend: T tokens of the row, W width of the encoder, C labels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from tenor.errors import ConfigError, ModelError
from tenor.formats.locate import hash_model
from tenor.models.bulk import evaluating
from tenor.models.encoder import Encoder
from tenor.models.loading import length_limit, place
from tenor.models.pretrained import quiet
from tenor.models.probe import probe_batch
from tenor.models.saving import SavedModel
from tenor.tokens.packed import PackedBatch
from tenor.tokens.tokenizer import Tokenizer

__all__ = ["TransformerClassifier"]


class TransformerClassifier(nn.Module, SavedModel):
    """A `…For…Classification` of `transformers`, whose encoder runs on packed texts.

    A subclass says in `build` how its head is fed, and in `forward` what comes out.

    Args:
        classifier: a `…For…Classification` of `transformers`, in fp32, in memory.
        tokenizer: its tokenizer, with the length limit.

    Attributes:
        encoder: the encoder.
        head: the classifier on top of it.
        name: what it was loaded from.
        sha256: of the files it was loaded from.

    Raises:
        ModelError: when encoder and head cannot be told apart.
    """

    kind = "classifier"  # its name as long as it was loaded from nowhere
    unit = "texts"  # what a row of token ids stands for, in messages
    encoder: Encoder
    head: nn.Module

    def __init__(self, classifier: Any, tokenizer: Tokenizer) -> None:
        super().__init__()
        if classifier.base_model is classifier:
            raise ModelError(f"{type(classifier).__name__} has no encoder that can be told apart.")
        self.tokenizer = tokenizer
        # Some RoBERTas have the tokenizer of a BERT, which gives types that they do not know.
        self._one_type = getattr(classifier.config, "type_vocab_size", None) == 1
        self._whole = (classifier,)  # in a tuple: its layers belong to encoder and head
        self.name = self.kind
        self.sha256 = None
        classifier.eval()
        with torch.no_grad():
            self.build(probe_batch(classifier.config))
        self.eval()

    @abstractmethod
    def build(self, batch: PackedBatch) -> None:
        """Make `head` and `encoder` of `whole`, and try them on some texts.

        Raises:
            ModelError: when they do not give what `transformers` alone gives.
        """

    @property
    def whole(self) -> Any:
        """The `transformers` model that encoder and head are made of."""
        return self._whole[0]

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.encoder.device

    @property
    def classes(self) -> int:
        """Number of labels C; 1 for a single score."""
        return int(self.whole.config.num_labels)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels, in the order of the logits."""
        names = self.whole.config.id2label
        return tuple(str(names[index]) for index in range(self.classes))

    @labels.setter
    def labels(self, names: Sequence[str]) -> None:
        if len(names) != self.classes or len(set(names)) != len(names):
            raise ConfigError("labels", tuple(names), f"{self.classes} different names")
        config = self.whole.config
        config.id2label = dict(enumerate(names))
        config.label2id = {label: index for index, label in enumerate(names)}

    @property
    def max_seq_length(self) -> int:
        """Tokens that count, special tokens included; the rest is cut off."""
        return self.tokenizer.max_length

    def token_vectors(self, batch: PackedBatch) -> Tensor:
        """The encoder's vectors (T, W) of packed texts, in the order of the row."""
        hidden: Tensor = self.encoder(self.known_types(batch))
        return hidden

    def known_types(self, batch: PackedBatch) -> PackedBatch:
        """The batch without token types, where the encoder knows only one."""
        return replace(batch, type_ids=None) if self._one_type else batch

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the model and of the `transformers` model it is made of."""
        self.whole.train(mode)
        return super().train(mode)

    def unused_parameters(self) -> list[nn.Parameter]:
        """Parameters that no logit depends on, found by trying."""
        used = [parameter for parameter in self.parameters() if parameter.requires_grad]
        if not used:
            return []
        batch = probe_batch(self.whole.config)
        with evaluating(self, self.encoder), torch.enable_grad():
            total = self(batch.to(self.device)).sum()
            gradients = torch.autograd.grad(total, used, allow_unused=True)
        found = zip(used, gradients, strict=True)
        return [parameter for parameter, gradient in found if gradient is None]

    def settle(
        self,
        name: str | Path,
        folder: Path,
        stored: int | None,
        *,
        device: str | torch.device | None = None,
        dtype: str = "auto",
        max_seq_length: int | None = None,
    ) -> str:
        """Take length limit, name and hash of the folder it is from, and move to a device.

        Args:
            name: what was asked for.
            folder: what was found under that name.
            stored: tokens that the folder allows, if it says so.
            device: the best there is by default.
            dtype: dtype of the encoder's products.
            max_seq_length: another limit of tokens.

        Returns:
            How long a text may be and where the model runs, in words.

        Raises:
            ConfigError: when the encoder cannot take so many tokens.
        """
        raw = self.tokenizer.tokenizer
        limit = length_limit(max_seq_length, stored, self.encoder, raw)
        self.tokenizer = Tokenizer(raw, limit)
        self.name, self.sha256 = str(name), hash_model(folder)
        where = place(self, self.encoder, device, dtype)
        return f"at most {limit} tokens a {self.unit.removesuffix('s')}, {where}"

    def write(self, folder: Path) -> None:
        """Write the plain `transformers` folder: model and tokenizer."""
        with quiet():
            self.whole.save_pretrained(str(folder))
        self.tokenizer.tokenizer.model_max_length = self.max_seq_length
        self.tokenizer.save(folder)
