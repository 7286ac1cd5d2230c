"""The kinds of errors."""

import pytest

from tenor.data.span_rows import CharSpan
from tenor.evaluation.span_errors import KINDS, count_errors, span_errors


def spans(text):
    """Spans written as 0-4A 6-8B."""
    found = []
    for part in text.split():
        start, end = part[:-1].split("-")
        found.append(CharSpan(int(start), int(end), part[-1]))
    return found


@pytest.mark.parametrize(
    ("gold", "found", "kinds"),
    [
        ("0-4A", "0-4A", []),
        ("0-4A", "", ["missed"]),
        ("", "0-4A", ["spurious"]),
        ("0-4A", "0-4B", ["wrong_type"]),
        ("0-4A", "0-6A", ["wrong_boundary"]),
        ("0-4A", "2-6B", ["wrong_type_and_boundary"]),
        ("0-4A", "4-6A", ["missed", "spurious"]),
        ("0-4A", "0-2A 3-4A", ["wrong_boundary", "spurious"]),
        ("0-2A 3-6A", "0-6A", ["missed", "wrong_boundary"]),  # the larger overlap
        ("0-4A", "0-2B 2-4A", ["spurious", "wrong_boundary"]),  # its own type first
    ],
)
def test_what_each_error_is(gold, found, kinds):
    assert [error.kind for error in span_errors(spans(gold), spans(found))] == kinds


def test_the_counts_add_up():
    gold = [spans("0-4A 6-9B 12-14A"), spans("0-1A")]
    found = [spans("0-4A 6-8B 20-22A"), spans("0-1B")]
    errors = [span_errors(*pair) for pair in zip(gold, found, strict=True)]
    counts = count_errors(errors)
    assert tuple(counts) == KINDS and sum(counts.values()) == 4
    right = 1
    both = counts["wrong_type"] + counts["wrong_boundary"] + counts["wrong_type_and_boundary"]
    assert right + both + counts["missed"] == sum(map(len, gold))
    assert right + both + counts["spurious"] == sum(map(len, found))
