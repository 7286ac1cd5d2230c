"""Values that users give to any model, checked in the same words everywhere."""

from __future__ import annotations

from typing import Any

from tenor.errors import ConfigError

__all__ = ["check_positive", "check_several"]


def check_positive(field: str, value: int | None) -> None:
    """Refuse a number below 1; `None` stands for no limit.

    Raises:
        ConfigError: naming the field.
    """
    if value is not None and value < 1:
        raise ConfigError(field, value, "at least 1")


def check_several(field: str, texts: Any) -> None:
    """Refuse a string where a list of texts is meant: its characters would pass for texts.

    Raises:
        ConfigError: naming the field.
    """
    if isinstance(texts, str):
        raise ConfigError(field, texts, "a list of texts, not one text")
