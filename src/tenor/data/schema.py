"""What a table is, told from its columns, and whether every row of it can be used.

`roles` says which columns make which kind of data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tenor.data.problems import BadRow, OnBadRow, RowProblems
from tenor.data.read import read_table
from tenor.data.roles import (
    Kind,
    check_roles,
    recognise_pair_labels,
    recognise_roles,
    standard_names,
)
from tenor.data.row_check import RowCheck, ScoreRange
from tenor.errors import ConfigError

__all__ = ["PairTable", "read_pairs"]


@dataclass(frozen=True, eq=False)
class PairTable:
    """Rows to train on or to evaluate with, every one of them checked.

    Args:
        kind: what the rows are.
        columns: role to texts, in the order of the roles: `anchor`, `positive`, `negative`,
            `negative_2`, ...; or `sentence1`, `sentence2` (premise and hypothesis); or `text`.
        target: `(rows,)`; float32 scores scaled to 0..1 for `scored`, else int64 labels: 1 for
            "the same" and 0 for "different" in `labelled_pairs`, the index in `label_names` in
            `nli` and `labelled_texts`; in `multi_labelled_texts` `(rows, labels)` float32, 1 where
            a label applies; `None` where there is none.
        label_names: the name of label 0, 1, ...
        lines: `(rows,)` int64, the line of the file each row came from.
        path: the file or hub data set.
        skipped: the rows left out under `on_bad_row="skip"`, by line.
        score_range: the scores that became 0 and 1.
        notes: counts of what was left out or made on the way, for a log.
        sha256: of the file.
    """

    kind: Kind
    columns: dict[str, list[str]]
    target: np.ndarray | None
    label_names: tuple[str, ...] | None
    lines: np.ndarray
    path: str
    skipped: list[BadRow] = field(default_factory=list)
    score_range: tuple[float, float] | None = None
    notes: Mapping[str, int] = field(default_factory=dict)
    sha256: str = ""

    def __len__(self) -> int:
        return len(self.lines)


def read_pairs(
    source: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    score_range: ScoreRange = "auto",
    on_bad_row: OnBadRow = "error",
    split: str | None = None,
) -> PairTable:
    """Reads pairs, triplets, scored or labelled pairs or texts, and checks every row.

    Args:
        source: what `read_table` takes.
        columns: role to column of the file, e.g. `{"anchor": "title", "positive": "body"}`, where
            the columns are not named after their roles. Roles that make a kind of data by
            themselves are all that is read; others are filled up with the columns named as usual.
        score_range: the scores that mean "nothing in common" and "the same"; "auto" takes (0, 1)
            where no score is above 1, (0, 5) where none is above 5, (-1, 1) where some are below
            0 and none below -1.
        on_bad_row: "error" or "skip", for rows that cannot be read and for those with an empty
            text, a score that is no number or out of range, or a label that is unknown.
        split: of a hub data set.

    Raises:
        DataError: no kind fits the columns, several fit, or a row is bad; names path, line, column.
        ConfigError: a role or the score range does not exist.
    """
    mapping = dict(columns or {})
    check_roles(mapping)
    if score_range != "auto" and not -math.inf < score_range[0] < score_range[1] < math.inf:
        raise ConfigError("score_range", score_range, "'auto' or two numbers, the lower one first")

    roles: dict[str, str] = {}

    def pick(found: Sequence[str]) -> Sequence[str]:
        roles.update(recognise_roles(found, mapping, str(source)))
        return list(dict.fromkeys(roles.values()))

    table = read_table(source, columns=pick, on_bad_row=on_bad_row, split=split)
    problems = RowProblems(table.path, on_bad_row, list(table.skipped))
    check = RowCheck(table.lines)
    texts = {role: name for role, name in roles.items() if role not in ("score", "label")}
    for name in texts.values():
        check.texts(name, table[name])
    kind: Kind
    target: np.ndarray | None = None
    label_names: tuple[str, ...] | None = None
    used_range: tuple[float, float] | None = None
    if "score" in roles:
        kind = "scored"
        values = table[roles["score"]]
        target, used_range = check.scores(roles["score"], values, score_range, table.path)
    elif "label" in roles:
        column, values = roles["label"], table[roles["label"]]
        if "text" in roles:
            kind = "labelled_texts"
            target, label_names = check.classes(column, values)
        else:
            kind, label_names = recognise_pair_labels(
                values, "premise" in roles, table.path, column
            )
            target = check.pair_labels(column, values, label_names)
    else:
        kind = "pairs" if len(roles) == 2 else "triplets"
    kept = check.report(problems)
    problems.require_rows(len(kept))
    whole = len(kept) == len(table)
    standard = standard_names(list(texts))
    return PairTable(
        kind=kind,
        columns={
            standard[role]: table[name] if whole else [table[name][row] for row in kept]
            for role, name in texts.items()
        },
        target=None if target is None else target[kept],
        label_names=label_names,
        lines=table.lines[kept],
        path=table.path,
        skipped=sorted(problems.skipped, key=lambda bad: bad.line),
        score_range=used_range,
        sha256=table.sha256,
    )
