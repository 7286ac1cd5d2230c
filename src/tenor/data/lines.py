"""Decoded lines of a file, each with its number, and rows made of them gathered in blocks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import IO, Any

__all__ = ["NOT_UTF8", "Block", "Lines", "is_text", "row_blocks"]

Block = tuple[dict[str, list[Any]], list[int]]
"""Values by column, and the line on which each row starts."""

NOT_UTF8 = "the bytes are not UTF-8. Save the file as UTF-8."


class Lines:
    """Decoded lines, counted from 1; the lines after a broken row's first can be given back.

    Bytes that are not UTF-8 become lone surrogates, and the line is remembered in `broken`.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.number = 0
        self.broken: set[int] = set()
        self.row: list[str] = []
        self.returned: list[str] = []

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        if self.returned:
            text = self.returned.pop()
            self.number += 1
        else:
            raw = next(self.file)
            self.number += 1
            try:
                text = raw.decode()
            except UnicodeDecodeError:
                text = raw.decode(errors="surrogateescape")
                self.broken.add(self.number)
            if self.number == 1:
                text = text.removeprefix("\ufeff")
        self.row.append(text)
        return text

    def start_row(self) -> int:
        """Begins a row and returns its line."""
        self.row = []
        return self.number + 1

    def give_back(self) -> None:
        """Lets reading go on at the second line of the row begun last."""
        self.returned += reversed(self.row[1:])
        self.number -= len(self.row) - 1

    def is_broken(self, first: int) -> bool:
        """Whether a line of the row begun at `first` is not UTF-8."""
        return not self.broken.isdisjoint(range(first, self.number + 1))


def is_text(value: str) -> bool:
    """Whether a string can be written as UTF-8: it has no lone surrogate."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def row_blocks(rows: Iterator[tuple[int, Any]], keys: dict[str, Any], size: int) -> Iterator[Block]:
    """Gathers rows, each with its line, in blocks of at most `size`.

    Args:
        rows: line and row.
        keys: column to the place of its value in a row.
        size: the most rows a block may have.
    """
    while chunk := list(itertools.islice(rows, size)):
        values = {name: [row[key] for _, row in chunk] for name, key in keys.items()}
        yield values, [line for line, _ in chunk]
