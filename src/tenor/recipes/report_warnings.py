"""What a reader should know of a run's data before believing a figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tenor.evaluation.span_errors import KINDS
from tenor.recipes.report_words import seconds_in_words

__all__ = ["data_warnings"]


def data_warnings(result: Mapping[str, Any], after: Mapping[str, Any] | None) -> Iterator[str]:
    """Tell it, a sentence each.

    Args:
        result: what result.json holds.
        after: the evaluation of the model that is kept; `None` for none.
    """
    yield from result.get("notes") or []
    yield from (result.get("data") or {}).get("notes") or []
    yield from (result.get("plan") or {}).get("warnings") or []
    if isinstance(result.get("truncated"), int):
        unit = next((n for n in result if n.startswith("distinct_")), "distinct_texts")
        many = result.get(unit) or 0
        words = unit.replace("_", " ")
        share = f" ({result['truncated'] / many:.1%})" if many else ""
        yield (
            f"{result['truncated']:,} of {many:,} {words} to train on were cut to the limit{share}."
        )
    if after is not None and after.get("truncated"):
        yield f"{after['truncated']:,} texts of the evaluation were cut to the limit."
    skipped = result.get("skipped")
    if skipped:
        yield f"{skipped:,} bad rows were left out."
    lost = result.get("lost") or {}
    if lost.get("words"):
        yield (
            f"{lost['words']:,} words are not trained on, beyond the limit or without a token, and "
            f"{lost.get('spans', 0):,} spans with them."
        )
    if result.get("split_texts"):
        yield f"{result['split_texts']:,} long texts were read in windows; no tag is lost."
    if result.get("expanded_spans"):
        yield f"{result['expanded_spans']:,} spans were grown to whole words."
    overlap = result.get("overlap")
    yield from overlap.values() if isinstance(overlap, dict) else [overlap] if overlap else []
    for name, note in ((after or {}).get("notes") or {}).items():
        if note and name not in KINDS:  # those have a section of their own
            words = note if isinstance(note, str) else f"{note:,}"
            yield f"evaluation: {name.replace('_', ' ')}: {words}"
    seconds = result.get("seconds", result.get("used_seconds"))
    if seconds is not None:
        yield f"The whole run took {seconds_in_words(seconds)}."
