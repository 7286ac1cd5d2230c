"""Which part of an encoder stays as it is in training, said in one word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from tenor.errors import ConfigError
from tenor.training.arguments import TrainingArguments

__all__ = ["Freezing", "FreezingArguments", "HeadArguments"]

ALLOWED = (
    "none, embeddings, a number of blocks from below, last-K to train the last K blocks, all, "
    "gradual, gradual:0.25 or pattern:REGEX"
)


@dataclass(frozen=True, kw_only=True)
class Freezing:
    """What stays frozen.

    Attributes:
        kind: none, embeddings, first, last, all, gradual or pattern.
        blocks: with first, how many blocks are frozen; with last, how many are trained.
        pattern: with pattern, the expression that is searched in the names of the encoder's
            parameters; those found are frozen.
        period: with gradual, epochs until the next block from the top is trained, too.
    """

    kind: str = "none"
    blocks: int = 0
    pattern: str = ""
    period: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `--freeze` was given.

        Raises:
            ConfigError: it is nothing that can be frozen.

        >>> Freezing.parse("5")
        Freezing(kind='first', blocks=5, pattern='', period=1.0)
        >>> Freezing.parse("last-2").kind, Freezing.parse("gradual:0.25").period
        ('last', 0.25)
        """
        word, colon, rest = str(text).partition(":")
        if word == "pattern" and rest:
            try:
                re.compile(rest)
            except re.error as error:
                allowed = f"pattern: and a regular expression ({error})"
                raise ConfigError("freeze", text, allowed) from error
            return cls(kind="pattern", pattern=rest)
        if word == "gradual":
            return cls(kind="gradual", period=_period(text, rest) if colon else 1.0)
        if not colon:
            if word in ("none", "embeddings", "all"):
                return cls(kind=word)
            if re.fullmatch(r"[0-9]+", word):
                return cls(kind="first", blocks=int(word)) if int(word) else cls()
            if found := re.fullmatch(r"last-([0-9]+)", word):
                return cls(kind="last", blocks=int(found[1]))
        raise ConfigError("freeze", text, ALLOWED)

    def depth(self, blocks: int, epoch: float = 0.0) -> int:
        """How many blocks are frozen, from below; 0 for the embeddings alone, -1 for nothing.

        Args:
            blocks: how many the encoder has.
            epoch: epochs done, for gradual.

        Raises:
            ConfigError: the encoder has fewer blocks.
        """
        if self.kind in ("first", "last") and self.blocks > blocks:
            name = f"last-{self.blocks}" if self.kind == "last" else str(self.blocks)
            raise ConfigError(
                "freeze", name, f"of at most {blocks} blocks: the encoder has no more"
            )
        if self.kind == "gradual":
            return max(blocks - int(epoch / self.period + 1e-9), -1)
        depths = {"embeddings": 0, "first": self.blocks, "last": blocks - self.blocks}
        return depths.get(self.kind, blocks if self.kind == "all" else -1)


@dataclass(frozen=True, kw_only=True)
class FreezingArguments(TrainingArguments):
    """Settings of a training loop that can leave a part of the encoder as it is.

    Attributes:
        freeze: what is not trained: none; embeddings; a number of blocks from below, and the
            embeddings; last-2: all but the last 2 blocks and the head; all: all but the head;
            gradual: only the head at first, one more block from the top every epoch (gradual:0.25:
            every quarter of one); pattern:REGEX: parameters by their names.
        layer_decay: learning rate of a block, relative to that of the next one above it.
        prefix_cache: auto: what frozen blocks make of the texts is kept, in memory or, if large, in
            the run's folder, where they would run again; off; or a folder to keep it in, and to
            share it with other runs.
    """

    freeze: str = "none"
    layer_decay: float = 1.0
    prefix_cache: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        Freezing.parse(self.freeze)
        if not 0 < self.layer_decay <= 1:
            raise ConfigError("layer_decay", self.layer_decay, "above 0 and at most 1")
        if not self.prefix_cache:
            raise ConfigError("prefix_cache", self.prefix_cache, "auto, off or a folder")


@dataclass(frozen=True, kw_only=True)
class HeadArguments(FreezingArguments):
    """Settings of a training loop whose model has a head with a learning rate of its own.

    Attributes:
        head_learning_rate: of the layers above the encoder's blocks; that of the rest by default.
    """

    head_learning_rate: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        rate = self.head_learning_rate
        if rate is not None and not 0 < rate < 1:
            raise ConfigError("head_learning_rate", rate, "between 0 and 1")


def _period(text: str, given: str) -> float:
    try:
        period = float(given)
    except ValueError:
        period = 0.0
    if not 0 < period < float("inf"):
        raise ConfigError("freeze", text, "gradual: and a number of epochs above 0, such as 0.25")
    return period
