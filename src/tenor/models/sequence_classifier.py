"""A `…ForSequenceClassification` of `transformers` on packed texts, and how a folder gives one.

Shape legend: N texts or pairs, C labels.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from tenor.errors import ConfigError, ModelError
from tenor.formats.cross_encoder import CrossEncoderLayout
from tenor.formats.locate import hash_model
from tenor.models.bulk import evaluating
from tenor.models.encoder import Encoder, quiet
from tenor.models.heads import SequenceHead, one_length_at_a_time, probe_batch
from tenor.models.loading import length_limit, place
from tenor.tokens.packed import PackedBatch
from tenor.tokens.tokenizer import Tokenizer

__all__ = ["LoadedClassifier", "SequenceClassifier", "load_classifier", "lower_case_first"]

log = logging.getLogger("tenor")

TOLERANCE = 5e-5  # of the probe, relative to the largest logit


class SequenceClassifier(nn.Module):
    """An encoder on packed texts, and the classifier that its architecture has on top of it.

    How that classifier can be fed from packed texts is not looked up but tried, when the model is
    made: a few texts must come out as they do from `transformers` alone.

    Args:
        classifier: a `…ForSequenceClassification` of `transformers`, in fp32, in memory.
        tokenizer: its tokenizer, with the length limit.

    Attributes:
        encoder: the encoder.
        head: the classifier on top of it.
        name: what it was loaded from.
        sha256: of the files it was loaded from.
    """

    unit = "texts"  # what a row of token ids stands for, in messages

    def __init__(self, classifier: Any, tokenizer: Tokenizer) -> None:
        super().__init__()
        if classifier.base_model is classifier:
            raise ModelError(f"{type(classifier).__name__} has no encoder that can be told apart.")
        self.tokenizer = tokenizer
        # Some RoBERTas have the tokenizer of a BERT, which gives types that they do not know.
        self._one_type = getattr(classifier.config, "type_vocab_size", None) == 1
        self._classifier = (classifier,)  # in a tuple: its layers belong to encoder and head
        self.name = "classifier"
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
        """Names of the labels, in the order of the logits."""
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
        """Tokens that count, special tokens included; the rest is cut off."""
        return self.tokenizer.max_length

    def forward(self, batch: PackedBatch) -> Tensor:
        """Classify packed texts: (N, C) fp32 logits, in the order of the batch."""
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

    def _loaded_from(
        self,
        name: str | Path,
        folder: Path,
        *,
        device: str | torch.device | None,
        dtype: str,
        max_seq_length: int | None,
        stored: int | None,
    ) -> str:
        """Take the length limit, the name and the hash of a folder, and move to a device.

        Returns:
            How long a text may be and where the model runs, in words.
        """
        raw = self.tokenizer.tokenizer
        limit = length_limit(max_seq_length, stored, self.encoder, raw)
        self.tokenizer = Tokenizer(raw, limit)
        self.name, self.sha256 = str(name), hash_model(folder)
        where = place(self, self.encoder, device, dtype)
        return f"at most {limit} tokens a {self.unit.removesuffix('s')}, {where}"

    def _save_transformer(self, folder: Path) -> None:
        """Write the `transformers` model and its tokenizer into a folder, which must exist."""
        with quiet():
            self._classifier[0].save_pretrained(str(folder))
        self.tokenizer.tokenizer.model_max_length = self.max_seq_length
        self.tokenizer.save(folder)

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
        log.info("%s does not run packed here: %s of one length run together.", name, self.unit)
        self._classifier[0].base_model.set_attn_implementation(attention)
        self.encoder = Encoder(self._classifier[0].base_model, packed=False)
        self.head.reads = "nothing"


class LoadedClassifier(NamedTuple):
    """A `transformers` model as a folder gives it.

    Attributes:
        classifier: the model.
        is_new: whether its output layer is new.
        made_up: names of the weights that the folder lacks and that are random now.
    """

    classifier: Any
    is_new: bool
    made_up: frozenset[str]


def load_classifier(
    layout: CrossEncoderLayout, classes: int | None, seed: int, *, kind: str = "cross-encoder"
) -> LoadedClassifier:
    """Load a classifier in fp32: safetensors only, never remote code.

    Args:
        layout: what the folder says.
        classes: number of labels; the folder's by default, 1 where it has no classifier.
        seed: of the weights of a new classifier.
        kind: what it is loaded as, for the messages.

    Raises:
        ModelError: when the folder is nothing that `transformers` can classify texts with, or lacks
            weights.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    folder = str(layout.transformer)
    safely: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True}
    try:
        config = AutoConfig.from_pretrained(folder, **safely)
        if getattr(config, "is_encoder_decoder", False):
            raise ModelError(f"{folder} holds an encoder-decoder; a {kind} needs an encoder.")
        is_new = not layout.has_head or classes not in (None, config.num_labels)
        if is_new:
            config.num_labels = classes or 1
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                **safely,
            )
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder} cannot be loaded as a {kind}: {error}") from error
    missing = set(loading["missing_keys"]) | {str(key[0]) for key in loading["mismatched_keys"]}
    _check_weights(folder, model, missing, is_new)
    return LoadedClassifier(model.eval(), is_new, frozenset(missing))


def _check_weights(folder: str, model: Any, missing: set[str], is_new: bool) -> None:
    """Refuse weights that are missing where they would be made up in silence."""
    prefix = f"{model.base_model_prefix}."
    if is_new:  # the classifier, which for BERT's family begins with the pooler
        missing = {n for n in missing if n.startswith(prefix) and "pooler" not in n.split(".")}
    if missing:
        shown = ", ".join(sorted(missing)[:4])
        raise ModelError(
            f"{folder} lacks the weights {shown}{' ...' if len(missing) > 4 else ''} of a "
            f"{type(model).__name__}; the folder is damaged, or config.json is of another model."
        )


def lower_case_first(tokenizer: Any) -> None:
    """Make a tokenizer lower-case its texts, wherever it is read again.

    Raises:
        ModelError: for a slow tokenizer, which has no place for that.
    """
    if not tokenizer.is_fast:
        raise ModelError(
            f"{type(tokenizer).__name__} is a slow tokenizer, and the embedder lower-cases its "
            "texts before it; start from a model with a fast tokenizer."
        )
    from tokenizers.normalizers import Lowercase, Sequence

    backend = tokenizer.backend_tokenizer
    before = backend.normalizer
    backend.normalizer = Lowercase() if before is None else Sequence([Lowercase(), before])
