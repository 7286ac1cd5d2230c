"""Texts with a label each, or with any number of labels, every row of them checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tenor.data.class_labels import declared_names, match_labels
from tenor.data.problems import OnBadRow, RowProblems
from tenor.data.read import read_table
from tenor.data.roles import label_name
from tenor.data.row_check import RowCheck
from tenor.data.schema import PairTable
from tenor.errors import ConfigError, DataError

__all__ = [
    "SEPARATOR", "describe_labels", "describe_repeats", "read_labelled_like", "read_labelled_texts",
]  # fmt: skip

SEPARATOR = "|"  # between the labels of a text, where a file has no lists


def read_labelled_texts(
    source: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    known: Sequence[str] | None = None,
    owner: str = "the model",
    multi_label: bool | None = None,
    on_bad_row: OnBadRow = "error",
    split: str | None = None,
) -> PairTable:
    """Reads texts with labels: strings, numbers, lists, or several names with `|` between them.

    Args:
        source: what `read_table` takes, with the columns `text` and `label` (or `labels`).
        columns: role (`text`, `label`) to column of the file, where they have other names.
        known: the labels there may be, in their order; by default those that occur: as the data
            declares them (`ClassLabel`), numbers in their order, else sorted.
        owner: whose labels `known` are, for the message about another one.
        multi_label: whether a text may have any number of labels; by default told from the data:
            where labels are lists, or `|` stands in one.
        on_bad_row: "error" or "skip", for rows that cannot be read, and for those with an empty
            text, without a label, or with one that is not known.
        split: of a hub data set.

    Returns:
        A table of kind `labelled_texts` with (rows,) int64 labels, or `multi_labelled_texts` with
        (rows, labels) float32 of 0 and 1.

    Raises:
        DataError: a row is bad, or all texts have the same label; names path, line, column.
        ConfigError: a role does not exist.
    """
    mapping = dict(columns or {})
    for role in mapping:
        if role not in ("text", "label"):
            raise ConfigError("columns", mapping, "made of the roles text and label")
    roles: dict[str, str] = {}

    def pick(found: Sequence[str]) -> Sequence[str]:
        roles.update(_roles(found, mapping, str(source)))
        return list(dict.fromkeys(roles.values()))

    table = read_table(source, columns=pick, on_bad_row=on_bad_row, split=split)
    problems = RowProblems(table.path, on_bad_row, list(table.skipped))
    check = RowCheck(table.lines)
    check.texts(roles["text"], table[roles["text"]])
    column, values = roles["label"], table[roles["label"]]
    declared = declared_names(source, column)
    several = _several(values) if multi_label is None else multi_label
    labels = _labels(check, column, values, declared, several)
    found = {name for row, names in enumerate(labels) if row not in check.faults for name in names}
    if known is None:
        order = _in_order(found, declared)
        place = {name: number for number, name in enumerate(order)}
    else:
        order, place = tuple(known), match_labels(sorted(found), known)
        shown = ", ".join(order[:8]) + (", …" if len(order) > 8 else "")
        for row, names in enumerate(labels):
            for name in names:
                if name not in place and row not in check.faults:
                    reason = f"the label {name!r} is none of those that {owner} has: {shown}."
                    check.add(row, reason, column)
    kept = check.report(problems)
    problems.require_rows(len(kept))
    if several:
        target = np.zeros((len(kept), len(order)), dtype=np.float32)
        for number, row in enumerate(kept.tolist()):
            target[number, [place[name] for name in labels[row]]] = 1.0
    else:
        target = np.array([place[labels[row][0]] for row in kept.tolist()], dtype=np.int64)
    if known is None:
        _require_choice(order, target, table.path, column)
    texts = table[roles["text"]]
    return PairTable(
        kind="multi_labelled_texts" if several else "labelled_texts",
        columns={"text": [texts[row] for row in kept.tolist()]},
        target=target,
        label_names=order,
        lines=table.lines[kept],
        path=table.path,
        skipped=sorted(problems.skipped, key=lambda bad: bad.line),
        sha256=table.sha256,
    )


def read_labelled_like(
    training: PairTable,
    source: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    on_bad_row: OnBadRow = "error",
) -> PairTable:
    """Read texts to evaluate on, whose labels must be among those of the training texts.

    Args:
        training: the texts that are trained on.
        source: as of `read_labelled_texts`.
        columns: as there.
        on_bad_row: as there.

    Raises:
        DataError: the file cannot be used, or a label is none of those.
    """
    return read_labelled_texts(
        source,
        columns=columns,
        known=training.label_names,
        owner="the training data",
        multi_label=training.kind == "multi_labelled_texts",
        on_bad_row=on_bad_row,
    )


def describe_labels(table: PairTable) -> str:
    """How many texts have which label, in words: the most frequent ones and the rarest."""
    assert table.target is not None and table.label_names is not None
    several = table.target.ndim == 2
    counts = (
        table.target.sum(axis=0).astype(np.int64)
        if several
        else np.bincount(table.target, minlength=len(table.label_names))
    )
    order = np.argsort(-counts, kind="stable").tolist()
    parts = [f"{table.label_names[place]} {counts[place]:,}" for place in order]
    shown = parts if len(parts) <= 8 else [*parts[:4], "…", *parts[-2:]]
    how = ", any number of them a text" if several else ""
    return f"{len(parts):,} labels{how}: {', '.join(shown)}"


def describe_repeats(table: PairTable) -> str | None:
    """How many texts stand there more than once, and how many of them with different labels."""
    assert table.target is not None
    first: dict[str, int] = {}
    repeated: set[str] = set()
    differing: dict[str, int] = {}
    for row, text in enumerate(table.columns["text"]):
        before = first.setdefault(text, row)
        if before != row:
            repeated.add(text)
            if not np.array_equal(table.target[row], table.target[before]):
                differing.setdefault(text, row)
    if not repeated:
        return None
    what = "text stands" if len(repeated) == 1 else "texts stand"
    said = f"{len(repeated):,} {what} there more than once"
    if not differing:
        return f"{said}, always with the same label"
    text, row = next(iter(differing.items()))
    lines = f"lines {table.lines[first[text]]} and {table.lines[row]}"
    shown = text if len(text) <= 60 else text[:57] + "..."
    return (
        f"{said}, {len(differing):,} of them with different labels; the first on {lines}: {shown!r}"
    )


def _roles(found: Sequence[str], mapping: Mapping[str, str], path: str) -> dict[str, str]:
    roles = dict(mapping)
    if "text" not in roles and "text" in found:
        roles["text"] = "text"
    named = [name for name in ("label", "labels") if name in found and name not in roles.values()]
    if "label" not in roles and len(named) > 1:
        raise DataError(
            'the columns label and labels could each be the label. Say which: {"label": "label"}.',
            path=path,
        )
    if "label" not in roles and named:
        roles["label"] = named[0]
    missing = [role for role in ("text", "label") if role not in roles]
    if missing:
        listed = ", ".join(map(repr, found))
        raise DataError(
            f"the columns {listed} hold no {' and no '.join(missing)}. Say which of them it is, "
            f'e.g. columns={{"{missing[0]}": "{found[-1] if found else "name"}"}}.',
            path=path,
        )
    return roles


def _several(values: Sequence[Any]) -> bool:
    """Whether texts have any number of labels, by how the labels are written."""
    return any(
        isinstance(value, list | tuple) or (isinstance(value, str) and SEPARATOR in value)
        for value in values
    )


def _labels(
    check: RowCheck,
    column: str,
    values: Sequence[Any],
    declared: Sequence[str] | None,
    several: bool,
) -> list[tuple[str, ...]]:
    """The names of each row's labels; one unless there may be several."""
    labels: list[tuple[str, ...]] = []
    for row, value in enumerate(values):
        listed = isinstance(value, list | tuple)
        if listed and not several:
            check.add(row, f"{value!r} is a list, and a text has one label here.", column)
        if value is None:
            check.add(row, "the label is missing.", column)
        parts = list(value) if listed else [value]
        if several and isinstance(value, str):
            parts = value.split(SEPARATOR) if value.strip() else []
        names = tuple(dict.fromkeys(_named(part, declared) for part in parts))
        if "" in names and value is not None:
            inside = f"an empty label stands in {value!r}." if several else "the label is missing."
            check.add(row, inside, column)
        labels.append(names)
    return labels


def _named(value: Any, declared: Sequence[str] | None) -> str:
    """A label's name; "" where there is none, which a declared label says by a number below 0."""
    if declared is not None and isinstance(value, int) and not isinstance(value, bool):
        return declared[value] if 0 <= value < len(declared) else ""
    return label_name(value)


def _in_order(found: set[str], declared: Sequence[str] | None) -> tuple[str, ...]:
    if declared is not None and found <= set(declared):
        return tuple(name for name in declared if name in found)
    numeric = all(re.fullmatch(r"-?[0-9]+", name) for name in found)
    return tuple(sorted(found, key=int) if numeric else sorted(found))


def _require_choice(names: Sequence[str], target: np.ndarray, path: str, column: str) -> None:
    """Refuses labels that leave nothing to learn."""
    if len(names) > 1 or (target.ndim == 2 and len(names) == 1 and not target.all()):
        return
    what = f"all texts have the label {names[0]!r}" if names else "no text has a label"
    raise DataError(
        f"{what}; a classifier needs texts of at least two kinds to tell apart.",
        path=path,
        column=column,
    )
