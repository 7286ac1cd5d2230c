"""The command that starts a run with given settings."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

__all__ = ["command_line", "flags_of"]


def command_line(config: Any) -> str:
    """What to type to get the same run: every setting that is not the default.

    Args:
        config: a dataclass of settings; its class has `command`, the words behind `tenor`.

    Returns:
        "" for settings that no command takes.

    >>> from dataclasses import make_dataclass
    >>> settings = make_dataclass(
    ...     "Settings", [("text", str), ("tie", bool, True)], namespace={"command": "train it"}
    ... )
    >>> command_line(settings("my texts.txt", tie=False))
    "tenor train it --text 'my texts.txt' --no-tie"
    """
    command = getattr(config, "command", "")
    if not command:
        return ""
    return shlex.join(["tenor", *command.split(), *flags_of(config, ("resume",))])


def flags_of(config: Any, leave_out: Sequence[str] = ()) -> list[str]:
    """The flags that give a dataclass of settings, as far as they differ from its defaults.

    Args:
        config: the settings; those that must be given come first.
        leave_out: fields that are given otherwise.

    >>> from dataclasses import dataclass
    >>> @dataclass
    ... class Settings:
    ...     train: str
    ...     batch_size: int = 8
    ...     dimensions: tuple[int, ...] = ()
    ...     tie: bool = True
    >>> flags_of(Settings("my data.csv", 16, (64, 32), False))[2:]
    ['--batch-size', '16', '--dimensions', '64', '--dimensions', '32', '--no-tie']
    """
    flags: list[str] = []
    for field in sorted(fields(config), key=lambda one: one.default is not MISSING):
        value, default = getattr(config, field.name), field.default
        if default is MISSING and field.default_factory is not MISSING:
            default = field.default_factory()
        if field.name in leave_out or value is None or value == default:
            continue
        flags += _flag(f"--{field.name.replace('_', '-')}", value)
    return flags


def _flag(flag: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, dict):
        return [word for key, each in value.items() for word in (f"{flag}.{key}", str(each))]
    if isinstance(value, tuple | list):
        return [word for each in value for word in (flag, str(each))]
    return [flag, str(value)]
