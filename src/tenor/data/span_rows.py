"""Rows of texts with spans of characters, checked one by one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from tenor.data.problems import RowProblems

__all__ = ["CharSpan", "SpanRows", "shown"]

_STARTS, _ENDS = ("start", "start_offset"), ("end", "end_offset")
_LABELS = ("label", "type", "entity_group", "entity", "tag")


class CharSpan(NamedTuple):
    """Characters `start` to `end` (the one behind the last) of a text, and what they are."""

    start: int
    end: int
    label: str


class SpanRows:
    """Takes rows of text and spans.

    Args:
        problems: takes the rows that cannot be used.
        text_column: for messages.
        span_column: for messages.
    """

    def __init__(self, problems: RowProblems, text_column: str, span_column: str) -> None:
        self.problems = problems
        self.text_column, self.span_column = text_column, span_column
        self.texts: list[str] = []
        self.spans: list[tuple[CharSpan, ...]] = []
        self.lines: list[int] = []
        self.notes: dict[str, int | str] = {}

    def add(self, text: Any, given: Any, line: int) -> None:
        """Check a row, and keep it or report it."""
        if not isinstance(text, str):
            self.problems.report(line, f"{text!r} is not a text.", self.text_column)
            return
        if not text.strip() and not given:
            self._note("rows_without_a_word_left_out")
            return
        try:
            spans = self._read(text, [] if given is None else given)
        except ValueError as problem:
            self.problems.report(line, str(problem), self.span_column)
            return
        self.texts.append(text)
        self.spans.append(spans)
        self.lines.append(line)

    def _read(self, text: str, given: Any) -> tuple[CharSpan, ...]:
        if not isinstance(given, list):
            raise ValueError("the spans must be a list.")
        read = [self._trimmed(text, _span(item, text)) for item in given]
        spans = sorted(set(read))
        if len(spans) < len(read):
            self._note("spans_that_stand_twice_counted_once", len(read) - len(spans))
        for left, right in pairwise(spans):
            if right.start < left.end:
                raise ValueError(
                    f"the spans {shown(text, left)} and {shown(text, right)} overlap; a word can "
                    "have one tag only."
                )
        return tuple(spans)

    def _trimmed(self, text: str, span: CharSpan) -> CharSpan:
        """Without white space at its ends, which no word has."""
        inside = text[span.start : span.end]
        start = span.start + len(inside) - len(inside.lstrip())
        end = span.end - len(inside) + len(inside.rstrip())
        if start >= end:
            raise ValueError(f"the span {shown(text, span)} holds no word.")
        if (start, end) != (span.start, span.end):
            self._note("spans_with_white_space_cut_off")
        return CharSpan(start, end, span.label)

    def _note(self, name: str, count: int = 1) -> None:
        before = self.notes.get(name, 0)
        assert isinstance(before, int)
        self.notes[name] = before + count


def shown(text: str, span: CharSpan) -> str:
    """A span in words, for a message.

    >>> shown("A cat", CharSpan(2, 5, "PET"))
    "PET 2 to 5, 'cat'"
    """
    inside = text[span.start : span.end]
    inside = inside if len(inside) <= 60 else inside[:57] + "..."
    return f"{span.label} {span.start} to {span.end}, {inside!r}"


def _span(item: Any, text: str) -> CharSpan:
    start: Any
    end: Any
    label: Any
    if isinstance(item, dict):
        start, end, label = (
            next((item[key] for key in keys if item.get(key) is not None), None)
            for keys in (_STARTS, _ENDS, _LABELS)
        )
    elif isinstance(item, list | tuple) and len(item) == 3:
        start, end, label = item
    else:
        raise ValueError(f"{item!r} is no span: it takes start, end and label.")
    numbers = all(isinstance(n, int) and not isinstance(n, bool) for n in (start, end))
    if not numbers or not isinstance(label, str) or not label.strip():
        raise ValueError(f"{item!r} is no span: it takes start and end as numbers, and a label.")
    span = CharSpan(start, end, label.strip())
    if not 0 <= start < end <= len(text):
        raise ValueError(
            f"the span {label} {start} to {end} lies outside of its text, which has {len(text)} "
            "characters, or is empty. Offsets count characters from 0; the end is behind the last."
        )
    own = item.get("text") if isinstance(item, dict) else None
    if isinstance(own, str) and own.strip() != text[start:end].strip():
        raise ValueError(f"the span says {own!r}, and its place says {shown(text, span)}.")
    return span
