"""Values that users give to any model, checked in the same words everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tenor.errors import ConfigError

__all__ = ["check_positive", "check_several", "check_texts"]


def check_positive(field: str, value: int | None) -> None:
    """Refuse a number below 1; `None` stands for no limit.

    Raises:
        ConfigError: naming the field.
    """
    if value is not None and value < 1:
        raise ConfigError(field, value, "at least 1")


def check_texts(texts: Sequence[Any], first: int = 0) -> None:
    """Refuse what is no text.

    Args:
        texts: what should be strings.
        first: number of the first of them among all that were given.

    Raises:
        ConfigError: naming the first that is no string.
    """
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise ConfigError(f"texts[{first + row}]", text, "a string")


def check_several(field: str, texts: Any) -> None:
    """Refuse a string where a list of texts is meant: its characters would pass for texts.

    Raises:
        ConfigError: naming the field.
    """
    if isinstance(texts, str):
        raise ConfigError(field, texts, "a list of texts, not one text")
