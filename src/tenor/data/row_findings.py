"""Findings that any rows can have: repeats, contradictions, and what other files share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tenor.data.findings import Example, Finding, shortened
from tenor.data.overlap import Overlap, normalise, overlap
from tenor.data.problems import BadRow
from tenor.data.schema import PairTable
from tenor.data.tagging import TaggedTexts

__all__ = [
    "bad_rows", "conflicting_rows", "describe_bad_rows", "leaked_rows", "repeated_rows",
    "repeated_texts", "too_few_rows",
]  # fmt: skip

SHOWN = 5  # examples of a finding
NOTABLE = 0.01  # share of the evaluation data from which a leak moves its figures
NEGLIGIBLE = 0.001  # share of repeats up to which they do not matter


def bad_rows(path: str, skipped: Sequence[BadRow], kept: int) -> Finding | None:
    """Rows that cannot be used."""
    if not skipped:
        return None
    return Finding(
        code="bad_rows",
        severity="warning",
        path=path,
        message=(
            f"{describe_bad_rows(skipped, kept)} Mend them, or leave them out by --on-bad-row "
            "skip, as the commands below do."
        ),
        figures={"rows": len(skipped)},
        examples=tuple(Example(bad.line, "", bad.reason) for bad in skipped[:SHOWN]),
    )


def describe_bad_rows(skipped: Sequence[BadRow], kept: int) -> str:
    """How many rows cannot be used, and where and why the first cannot, in one sentence.

    Args:
        skipped: these rows, at least one.
        kept: how many can be used.
    """
    first = skipped[0]
    where = f"line {first.line}" + (f", column {first.column!r}" if first.column else "")
    return (
        f"{len(skipped):,} of {len(skipped) + kept:,} rows cannot be used; the first, {where}: "
        f"{first.reason}"
    )


def too_few_rows(path: str, rows: int, needed: int, what: str) -> Finding | None:
    """Fewer rows than a method can learn from.

    Args:
        path: the file.
        rows: that it has.
        needed: below which nothing can be expected.
        what: the rows are.
    """
    if rows >= needed:
        return None
    return Finding(
        code="few_rows",
        severity="warning",
        path=path,
        message=(
            f"only {rows:,} {what}: below some {needed:,} training rarely moves a model beyond "
            "chance, and held-out figures have wide intervals. Bring more, or take it as a try."
        ),
        figures={"rows": rows, "needed": needed},
    )


def repeated_rows(table: PairTable | TaggedTexts) -> Finding | None:
    """Rows that say again what an earlier one says, label or score included."""
    return _repeats(table.path, _keys(table, with_target=True), table.lines, _shown(table))


def repeated_texts(path: str, texts: Sequence[str], lines: Sequence[int]) -> Finding | None:
    """Texts without labels that stand there more than once.

    Args:
        path: the file.
        texts: all of it.
        lines: where they stand.
    """
    return _repeats(path, [normalise(text) for text in texts], lines, texts)


def conflicting_rows(table: PairTable | TaggedTexts) -> Finding | None:
    """The same text, or pair, with two labels, taggings or scores that differ by half the range."""
    first: dict[Any, int] = {}
    differing: dict[Any, int] = {}
    if isinstance(table, PairTable) and table.target is None:
        return None
    for row, key in enumerate(_keys(table, with_target=False)):
        before = first.setdefault(key, row)
        if before != row and _differ(table, before, row):
            differing.setdefault(key, row)
    if not differing:
        return None
    what = "taggings" if isinstance(table, TaggedTexts) else _target_word(table)
    shown = _shown(table)
    examples = []
    for key, row in list(differing.items())[:SHOWN]:
        before = first[key]
        said = f"{_said(table, before)} on line {table.lines[before]}, {_said(table, row)} here"
        examples.append(Example(int(table.lines[row]), shortened(shown[row]), said))
    one = examples[0]
    count = len(differing)
    return Finding(
        code="conflicting_labels",
        severity="warning",
        path=table.path,
        message=(
            f"{count:,} {'text stands' if count == 1 else 'texts stand'} there with different "
            f"{what}; the first on line {one.line}: {one.text!r} ({one.note}). Whatever a model "
            "says to these, it is wrong once: decide which holds."
        ),
        figures={"texts": count},
        examples=tuple(examples),
    )


def leaked_rows(
    training: PairTable | TaggedTexts | Sequence[str],
    evaluation: PairTable | TaggedTexts | Sequence[str],
    path: str,
    training_path: str,
) -> Finding | None:
    """Evaluation texts that also stand in the training data.

    Args:
        training: rows that may be trained on.
        evaluation: rows that are measured on.
        path: of the evaluation data.
        training_path: of the training data.
    """
    found = overlap(_texts_of(training), _texts_of(evaluation))
    if not found.shared_texts:
        return None
    learnt, share = _learnt(found)
    labelled = not isinstance(training, list)
    serious = labelled and learnt
    if not labelled:
        advice = (
            "Their labels are unknown there, so this is milder than a leak; say so with figures."
        )
    elif learnt:
        advice = (
            "What a model has learnt by heart, it need not understand: its figures there come out "
            "too high. Take these rows out of the training file."
        )
    else:
        advice = "No pair of both texts does, so that the answers themselves are not given away."
    return Finding(
        code="leak" if serious else "shared_texts",
        severity=("problem" if share >= NOTABLE else "warning") if serious else "note",
        path=path,
        message=f"{found.describe()} Training data: {training_path}. {advice}",
        figures={
            "texts": found.texts, "shared_texts": found.shared_texts, "share": share,
            "pairs": found.pairs, "shared_pairs": found.shared_pairs,
        },
        examples=tuple(Example(each.line, shortened(each.text)) for each in found.examples),
    )  # fmt: skip


def _learnt(found: Overlap) -> tuple[bool, float]:
    """Whether what is shared gives answers away, and the share of it."""
    if found.pairs is None:
        return True, found.share
    shared = found.shared_pairs or 0
    return shared > 0, shared / found.pairs if found.pairs else 0.0


def _texts_of(rows: PairTable | TaggedTexts | Sequence[str]) -> PairTable | Iterable[str]:
    return rows.texts if isinstance(rows, TaggedTexts) else rows


def _repeats(
    path: str, keys: Sequence[Any], lines: Sequence[int] | np.ndarray, shown: Sequence[str]
) -> Finding | None:
    first: dict[Any, int] = {}
    again: list[tuple[int, int]] = []
    for row, key in enumerate(keys):
        before = first.setdefault(key, row)
        if before != row:
            again.append((row, before))
    share = len(again) / len(keys)
    if share < NEGLIGIBLE:
        return None
    row, before = again[0]
    return Finding(
        code="repeated_rows",
        severity="warning" if share >= 0.1 else "note",
        path=path,
        message=(
            f"{len(again):,} of {len(keys):,} rows ({share:.1%}) repeat an earlier one; the first "
            f"on line {lines[row]} that of line {lines[before]}: {shortened(shown[row])!r}. They "
            "count twice and say nothing new."
        ),
        figures={"rows": len(again), "share": share},
        examples=tuple(
            Example(int(lines[row]), shortened(shown[row]), f"as line {lines[before]}")
            for row, before in again[:SHOWN]
        ),
    )


def _keys(table: PairTable | TaggedTexts, *, with_target: bool) -> list[Any]:
    """What makes rows the same: their texts in order; with `with_target` what they are given."""
    if isinstance(table, TaggedTexts):
        texts: list[Any] = list(table.texts)
        return list(zip(texts, table.spans, strict=True)) if with_target else texts
    columns = [[normalise(text) for text in column] for column in table.columns.values()]
    rows: list[Any] = list(zip(*columns, strict=True))
    if not with_target or table.target is None:
        return rows
    targets = [np.asarray(each).tobytes() for each in np.asarray(table.target)]
    return list(zip(rows, targets, strict=True))


def _differ(table: PairTable | TaggedTexts, one: int, other: int) -> bool:
    if isinstance(table, TaggedTexts):
        return table.spans[one] != table.spans[other]
    assert table.target is not None
    left, right = np.asarray(table.target[one]), np.asarray(table.target[other])
    if table.kind == "scored":
        return bool(abs(left - right) >= 0.5)
    return not np.array_equal(left, right)


def _target_word(table: PairTable) -> str:
    return "scores" if table.kind == "scored" else "labels"


def _said(table: PairTable | TaggedTexts, row: int) -> str:
    """What a row is given, in words."""
    if isinstance(table, TaggedTexts):
        text = table.texts[row]
        spans = [f"{text[span.start : span.end]} {span.label}" for span in table.spans[row]]
        return shortened(", ".join(spans) or "nothing", 40)
    assert table.target is not None
    value = table.target[row]
    if table.label_names is None:
        return f"{float(value):.2g}"
    if np.ndim(value):
        return "|".join(table.label_names[place] for place in np.flatnonzero(value)) or "no label"
    return repr(table.label_names[int(value)])


def _shown(table: PairTable | TaggedTexts) -> list[str]:
    """A row in words."""
    if isinstance(table, TaggedTexts):
        return table.texts
    return [" ↔ ".join(texts) for texts in zip(*table.columns.values(), strict=True)]
