"""Refusing what no tokenizer takes, by the number of its row.

A tokenizer that meets such a value in the midst of a batch says neither which one it was nor why.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from typing import Any

from tenor.data.lines import is_text
from tenor.errors import DataError

__all__ = ["check_pairs", "check_text", "check_texts"]

SURROGATES = range(0xD800, 0xE000)


def check_texts(texts: Iterable[Any], before: int = 0, *, column: str | None = None) -> None:
    """Check that values are texts.

    Args:
        texts: the values, a row each.
        before: how many rows came before them.
        column: that they stand in, for the message.

    Raises:
        DataError: one is no string, or holds half a surrogate pair; it names the first such row,
            counted from 1.
    """
    for row, text in enumerate(texts, start=before + 1):
        check_text(text, row, column=column)


def check_text(text: Any, row: int, *, column: str | None = None) -> None:
    """Check that a value is a text; see `check_texts`.

    Args:
        text: the value.
        row: its number, counted from 1.
        column: that it stands in, for the message.

    Raises:
        DataError: it is no string, or holds half a surrogate pair.
    """
    if not isinstance(text, str):
        raise DataError(
            f"{reprlib.repr(text)} is not a text: give a string.", line=row, column=column
        )
    if text.isascii() or is_text(text):
        return
    place = next(place for place, letter in enumerate(text) if ord(letter) in SURROGATES)
    raise DataError(
        f"{reprlib.repr(text)} holds half a surrogate pair, U+{ord(text[place]):04X} at character "
        f"{place + 1}, which is no character: put a whole one in its place, or a question mark by "
        "text.encode(errors='replace').decode().",
        line=row,
        column=column,
    )


def check_pairs(pairs: Iterable[Any], before: int = 0) -> None:
    """Check that values are pairs of texts.

    Args:
        pairs: the values, a row each.
        before: how many rows came before them.

    Raises:
        DataError: one is no pair of strings, or holds half a surrogate pair; it names the first
            such row, counted from 1.
    """
    for row, pair in enumerate(pairs, start=before + 1):
        if not _is_pair(pair):
            raise DataError(
                f"{reprlib.repr(pair)} is not a pair of texts: give two strings, such as "
                "('a question', 'an answer').",
                line=row,
            )
        for text in pair:
            check_text(text, row)


def _is_pair(value: Any) -> bool:
    """Whether a value is two strings."""
    return (
        isinstance(value, tuple | list)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], str)
    )
