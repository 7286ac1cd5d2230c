"""Commands to paste: a recipe's settings as the flags that make them."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Command", "flags_of"]


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


def flags_of(config: Any, leave_out: Sequence[str] = ()) -> list[str]:
    """The flags that give a dataclass of settings, as far as they differ from its defaults.

    Args:
        config: the settings.
        leave_out: fields that are given otherwise.

    >>> @dataclass
    ... class Settings:
    ...     train: str
    ...     batch_size: int = 8
    ...     tie: bool = True
    >>> flags_of(Settings("my data.csv", 16, False))
    ['--train', 'my data.csv', '--batch-size', '16', '--no-tie']
    """
    flags: list[str] = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name in leave_out or value is None or value == field.default:
            continue
        name = "--" + field.name.replace("_", "-")
        if isinstance(value, bool):
            flags.append(name if value else name.replace("--", "--no-", 1))
        elif isinstance(value, dict):
            for key, each in value.items():
                flags += [f"{name}.{key}", str(each)]
        elif isinstance(value, tuple):
            if value:
                flags += [name, ",".join(map(str, value))]
        else:
            flags += [name, f"{value:g}" if isinstance(value, float) else str(value)]
    return flags
