"""A tagger's error as a reader sees it: what it should be, what it is, and the words around."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from tenor.evaluation.span_errors import SpanError

__all__ = ["Piece", "TagErrorExample", "in_context"]

AROUND = 70  # characters on each side


class Piece(NamedTuple):
    """A part of a text.

    Attributes:
        text: its characters.
        gold: whether it is in the right span.
        found: whether it is in the span that was found.
    """

    text: str
    gold: bool
    found: bool


class TagErrorExample(NamedTuple):
    """An error in its context.

    Attributes:
        line: where the text stands in its file, from 1.
        pieces: the words around and the spans themselves, in order.
        gold: type of the right span; "" for a spurious one.
        found: type of the span that was found; "" for a missed one.
    """

    line: int
    pieces: list[Piece]
    gold: str
    found: str


def in_context(line: int, text: str, error: SpanError) -> TagErrorExample:
    """Cut an error out of its text with whole words around it.

    Args:
        line: where the text stands in its file.
        text: the whole text.
        error: one of its errors.

    >>> from tenor.data.span_rows import CharSpan
    >>> error = SpanError("wrong_boundary", CharSpan(3, 11, "LOC"), CharSpan(3, 6, "LOC"))
    >>> [tuple(piece) for piece in in_context(1, "in New York now", error).pieces]
    [('in ', False, False), ('New', True, True), (' York', True, False), (' now', False, False)]
    """
    spans = [span for span in (error.gold, error.found) if span is not None]
    first, last = min(span.start for span in spans), max(span.end for span in spans)
    start, end = _word_before(text, first - AROUND), _word_behind(text, last + AROUND)
    ends = sorted({start, end, *(place for span in spans for place in (span.start, span.end))})
    pieces = [
        Piece(
            text[left:right],
            error.gold is not None and error.gold.start <= left < error.gold.end,
            error.found is not None and error.found.start <= left < error.found.end,
        )
        for left, right in pairwise(ends)
    ]
    if start > 0:
        pieces.insert(0, Piece("… ", False, False))
    if end < len(text):
        pieces.append(Piece(" …", False, False))
    gold = "" if error.gold is None else error.gold.label
    return TagErrorExample(line, pieces, gold, "" if error.found is None else error.found.label)


def _word_before(text: str, place: int) -> int:
    """The beginning of a word near a place, or the place where a word is endless."""
    if place <= 0:
        return 0
    found = text.find(" ", place, place + 20)
    return place if found < 0 else found + 1


def _word_behind(text: str, place: int) -> int:
    if place >= len(text):
        return len(text)
    found = text.rfind(" ", place - 20, place)
    return place if found < 0 else found
