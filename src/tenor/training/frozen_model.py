"""A model of which only a part is trained.

Frozen parameters want no gradient, and the optimiser never hears of them. A part whose parameters
are all frozen runs without dropout in training, too: dropout is there to make a part learn, and
what stays as it is would only hand noise to what learns from it.
"""

from __future__ import annotations

import logging
import os
import re
from typing import Any

from torch import nn

from tenor.errors import ConfigError, ModelError
from tenor.models.blocks import Blocks
from tenor.models.encoder import Encoder
from tenor.training.arguments import TrainingArguments
from tenor.training.freezing import Freezing, FreezingArguments, HeadArguments
from tenor.training.processes import is_first_process

__all__ = ["FrozenModel"]

log = logging.getLogger("tenor")

NEED_BLOCKS = ("embeddings", "first", "last", "gradual")


class FrozenModel:
    """Freezes a part of a model, until `give_back`.

    Args:
        model: has an `encoder`; a model whose head has layers inside its encoder names their
            parameters by a method `head_parameters`.
        freezing: what is frozen; nothing by default.
        layer_decay: learning rate of a block, relative to that of the next one above it.
        head_rate: learning rate of the layers above the blocks, which a model names by a method
            `top_parameters`, relative to that of the topmost block.
        epochs: how many will be trained.

    Attributes:
        depth: blocks from below that stay frozen all the time; 0 where only the embeddings do, -1
            where nothing does. What they make of a text never changes.
        blocks: how many the encoder has; 0 where nobody asked, or one is used again and again.
        changes: whether what is frozen changes in the course of training.

    Raises:
        ConfigError: this encoder has no such part.
    """

    def __init__(
        self,
        model: nn.Module,
        freezing: Freezing | None = None,
        *,
        layer_decay: float = 1.0,
        head_rate: float = 1.0,
        epochs: int = 1,
    ) -> None:
        self.freezing, self.layer_decay = freezing or Freezing(), layer_decay
        self.head_rate = head_rate
        self._tops = {id(each) for each in getattr(model, "top_parameters", tuple)()}
        self.changes = self.freezing.kind == "gradual"
        self.depth, self.blocks, self._shift = -1, 0, 0
        self._wants = {id(each): each.requires_grad for each in model.parameters()}
        self._before = [(each, each.requires_grad) for each in model.parameters()]
        self._names: dict[str, nn.Parameter] = {}
        self._levels: dict[int, int] = {}
        self._frozen: frozenset[int] = frozenset()
        self._encoder: Encoder | None = None
        if self.freezing.kind == "none" and layer_decay == 1.0:
            return
        encoder = getattr(model, "encoder", None)
        if not isinstance(encoder, Encoder):
            field = "freeze" if self.freezing.kind != "none" else "layer_decay"
            value: object = self.freezing.kind if field == "freeze" else layer_decay
            allowed = "left out: the model has no transformer of which a part could be told apart"
            raise ConfigError(field, value, allowed)
        blocks = self._find(encoder)
        levels = None if blocks is None else blocks.levels
        self.blocks = 0 if blocks is None else len(blocks)
        self._top = self.blocks + 1
        head = {id(each) for each in getattr(model, "head_parameters", tuple)()}
        for name, each in encoder.transformer.named_parameters():
            if id(each) not in head:
                self._names[name] = each
                self._levels[id(each)] = 0 if levels is None else levels[name]
        if self.changes:
            # Of a model without a head the last block is trained from the start.
            unused = {id(each) for each in getattr(model, "unused_parameters", tuple)()}
            tops = [
                each for each, wants in self._before if wants and self._level(each) == self._top
            ]
            self._shift = int(all(id(each) in unused for each in tops))
        self._encoder = encoder
        self._finally = self._frozen_after(epochs - 1e-6)
        if self.blocks:
            moves = [level for key, level in self._levels.items() if key not in self._finally]
            self.depth = min([*moves, self._top]) - 1
        self.at(0.0)

    @classmethod
    def of(cls, model: nn.Module, arguments: Any) -> FrozenModel:
        """As the settings of a training loop say; nothing is frozen where they say nothing."""
        if not isinstance(arguments, FreezingArguments):
            return cls(model)
        return cls(
            model,
            Freezing.parse(arguments.freeze),
            layer_decay=arguments.layer_decay,
            head_rate=_head_rate(arguments),
            epochs=arguments.epochs,
        )

    def at(self, epoch: float) -> bool:
        """Freeze what is to be frozen after so many epochs.

        Returns:
            Whether that is another part than before.
        """
        if self._encoder is None or self.freezing.kind == "none":
            return False
        frozen = self._frozen_after(epoch)
        if frozen == self._frozen:
            return False
        freed = self._frozen - frozen
        for each in self._names.values():
            if id(each) in frozen:
                each.requires_grad_(False)
            elif id(each) in freed and self._wants[id(each)]:
                each.requires_grad_()
        self._frozen = frozen
        self._encoder.hold_still(self._still(self._encoder))
        return True

    def is_trained(self, parameter: nn.Parameter) -> bool:
        """Whether a parameter is trained, now or later."""
        later = id(parameter) in self._frozen and id(parameter) not in self._finally
        return parameter.requires_grad or (later and self._wants[id(parameter)])

    def rate(self, parameter: nn.Parameter) -> float:
        """What the learning rate of a parameter is multiplied by."""
        rate = self.head_rate if id(parameter) in self._tops else 1.0
        if self.layer_decay == 1.0:
            return rate
        return float(rate * self.layer_decay ** (self._top - self._level(parameter)))

    def announce(self, model: nn.Module, arguments: TrainingArguments) -> None:
        """Say how much of a model is trained, where its training could leave a part out.

        Raises:
            ConfigError: nothing would be trained, or several processes would not agree on what.
        """
        if not isinstance(arguments, FreezingArguments):
            return
        if self.changes and int(os.environ.get("WORLD_SIZE", "1")) > 1:
            what = (
                "anything but gradual over several processes, which agree once on what is trained"
            )
            raise ConfigError("freeze", arguments.freeze, what)
        trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
        if not trained:
            what = "one that leaves something to train, such as last-1: this model has no head"
            raise ConfigError("freeze", arguments.freeze, what)
        if is_first_process():
            log.info(
                "%s parameters are trained%s, learning rate %g%s (the model has %s)",
                f"{trained:,}",
                " at first" if self.changes else "",
                arguments.learning_rate,
                "" if self.head_rate == 1 else f", {self.head_rate:g} times that in the head",
                f"{sum(each.numel() for each in model.parameters()):,}",
            )

    def give_back(self) -> None:
        """Leave the model as it was, with the weights of the moment."""
        for parameter, wants in self._before:
            parameter.requires_grad_(wants)
        if self._encoder is not None:
            self._encoder.hold_still()

    def _level(self, parameter: nn.Parameter) -> int:
        return self._levels.get(id(parameter), self._top)

    def _find(self, encoder: Encoder) -> Blocks | None:
        """The encoder's blocks; `None` where it has none that could be told apart."""
        name = type(encoder.transformer).__name__
        field, value = "freeze", self.freezing.kind
        try:
            found = encoder.blocks
        except ModelError as error:
            if self.layer_decay < 1.0:
                raise ConfigError("layer_decay", self.layer_decay, f"1: {error}") from error
            if self.freezing.kind in NEED_BLOCKS:
                raise ConfigError(field, value, f"none, all or pattern: ({error})") from error
            return None
        one_by_one = self.freezing.kind in ("first", "last", "gradual") or self.layer_decay < 1.0
        if one_by_one and not len(found):
            if self.layer_decay < 1.0:
                raise ConfigError("layer_decay", self.layer_decay, f"1: {name} has a single block")
            what = (
                f"none, embeddings, all or pattern: {name} uses one block again and again, so its"
            )
            raise ConfigError(field, value, f"{what} blocks cannot be frozen one by one")
        return found

    def _frozen_after(self, epoch: float) -> frozenset[int]:
        """The parameters that are frozen after so many epochs, by their identity."""
        if self.freezing.kind == "all":
            return frozenset(self._levels)
        if self.freezing.kind == "pattern":
            search = re.compile(self.freezing.pattern).search
            matched = frozenset(id(each) for name, each in self._names.items() if search(name))
            if not matched:
                known = ", ".join([*self._names][:: max(1, len(self._names) // 4)])
                what = f"found in the name of a parameter, such as {known}"
                raise ConfigError("freeze", f"pattern:{self.freezing.pattern}", what)
            return matched
        depth = self.freezing.depth(self.blocks, epoch) - self._shift
        return frozenset(each for each, level in self._levels.items() if level <= depth)

    def _still(self, encoder: Encoder) -> list[nn.Module]:
        """The largest modules whose parameters are all frozen, and dropout between them."""
        still: list[nn.Module] = []
        inside: list[str] = []
        known = encoder.transformer.named_modules()
        lowest = min((lv for key, lv in self._levels.items() if key not in self._frozen), default=1)
        for name, module in known:
            if any(not part or name.startswith(f"{part}.") for part in inside):
                continue
            own = list(module.parameters())
            # Dropout of no block of its own stands beside the embeddings, if anywhere.
            loose = not own and lowest > 0 and isinstance(module, nn.Dropout)
            if loose and self.blocks and name.startswith(f"{encoder.blocks.prefix}."):
                continue
            if loose or (own and all(id(each) in self._frozen for each in own)):
                still.append(module)
                inside.append(name)
        return still


def _head_rate(arguments: FreezingArguments) -> float:
    rate = arguments.head_learning_rate if isinstance(arguments, HeadArguments) else None
    return 1.0 if rate is None else rate / arguments.learning_rate
