"""What kinds of errors a tagger makes: missed, spurious, wrong type, wrong boundary, or both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from tenor.data.span_rows import CharSpan

__all__ = ["KINDS", "SpanError", "count_errors", "span_errors"]

KINDS = ("missed", "spurious", "wrong_type", "wrong_boundary", "wrong_type_and_boundary")


class SpanError(NamedTuple):
    """One error.

    Attributes:
        kind: one of `KINDS`.
        gold: the span there should be; `None` for a spurious one.
        found: the span that was found; `None` for a missed one.
    """

    kind: str
    gold: CharSpan | None
    found: CharSpan | None


def span_errors(gold: Sequence[CharSpan], found: Sequence[CharSpan]) -> list[SpanError]:
    """The errors in one text, in its order.

    Every span is in one error at most. Spans of the same place go together first, then overlapping
    ones of the same type, then those of another type, the larger overlap first; what is left of the
    right spans is missed, and what is left of those found is spurious.

    Args:
        gold: the right spans.
        found: those found.

    >>> errors = span_errors([CharSpan(0, 4, "PER"), CharSpan(9, 12, "LOC")],
    ...                      [CharSpan(0, 6, "PER"), CharSpan(20, 22, "LOC")])
    >>> [error.kind for error in errors]
    ['wrong_boundary', 'missed', 'spurious']
    """
    right, given = set(gold), set(found)
    left, wrong = sorted(right - given), sorted(given - right)
    pairs = []
    for one in left:
        for other in wrong:
            shared = min(one.end, other.end) - max(one.start, other.start)
            if shared > 0:
                same_place = (one.start, one.end) == (other.start, other.end)
                same_type = one.label == other.label
                pairs.append((not same_place, not same_type, -shared, one, other))
    errors = []
    open_gold, open_found = set(left), set(wrong)
    for other_place, other_type, _, one, other in sorted(pairs):
        if one in open_gold and other in open_found:
            kind = "wrong_boundary"
            if other_type:
                kind = "wrong_type_and_boundary" if other_place else "wrong_type"
            errors.append(SpanError(kind, one, other))
            open_gold.remove(one)
            open_found.remove(other)
    errors += [SpanError("missed", span, None) for span in open_gold]
    errors += [SpanError("spurious", None, span) for span in open_found]
    return sorted(errors, key=_place)


def count_errors(errors: Sequence[Sequence[SpanError]]) -> dict[str, int]:
    """How many errors of each kind there are in some texts."""
    counts = Counter(error.kind for own in errors for error in own)
    return {kind: counts[kind] for kind in KINDS}


def _place(error: SpanError) -> tuple[int, int, str]:
    span = error.gold or error.found
    assert span is not None
    return span.start, span.end, error.kind
