"""Commands to paste: a recipe's settings as the flags that make them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any

from tenor.training.command import flags_of

__all__ = ["Command"]


@dataclass(frozen=True)
class Command:
    """A command line.

    Attributes:
        words: the command, such as ("train", "classifier").
        positional: what stands behind it without a flag.
        config: the recipe's settings that become flags, or `None`.
        flags: further ones.
    """

    words: tuple[str, ...]
    positional: tuple[str, ...] = ()
    config: Any = None
    flags: tuple[str, ...] = ()

    @property
    def arguments(self) -> list[str]:
        """What stands behind `tenor`."""
        settings = [] if self.config is None else flags_of(self.config)
        return [*self.words, *self.positional, *settings, *self.flags]

    def line(self) -> str:
        """The command as a shell takes it.

        >>> Command(("evaluate", "sts"), ("a model", "test.csv")).line()
        "tenor evaluate sts 'a model' test.csv"
        """
        return shlex.join(["tenor", *self.arguments])
