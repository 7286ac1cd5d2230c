"""The command that starts a run with given settings."""

from __future__ import annotations

import shlex
from dataclasses import MISSING, fields
from typing import Any

__all__ = ["command_line"]

LEFT_OUT = ("resume",)


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
    words = ["tenor", *command.split()]
    # What must be given comes first.
    for field in sorted(fields(config), key=lambda one: one.default is not MISSING):
        value = getattr(config, field.name)
        default = field.default
        if default is MISSING and field.default_factory is not MISSING:
            default = field.default_factory()
        if field.name in LEFT_OUT or value is None or value == default:
            continue
        words += _flag(f"--{field.name.replace('_', '-')}", value)
    return shlex.join(words)


def _flag(flag: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, dict):
        return [word for key, each in value.items() for word in (f"{flag}.{key}", str(each))]
    if isinstance(value, tuple | list):
        return [word for each in value for word in (flag, str(each))]
    return [flag, str(value)]
