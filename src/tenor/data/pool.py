"""The unlabelled texts of a file, whatever its columns: what candidate pairs are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tenor.data.overlap import normalise
from tenor.data.problems import OnBadRow, RowProblems
from tenor.data.read import read_table
from tenor.errors import DataError

__all__ = ["Pool", "read_pool"]

# In each group the columns that hold texts of their own; the first group a file has is taken.
_TEXTS = (
    ("text",),
    ("sentence1", "sentence2"),
    ("premise", "hypothesis"),
    ("anchor", "positive"),
    ("query", "positive"),
    ("question", "answer"),
    ("sentence",),
)


@dataclass(frozen=True, eq=False)
class Pool:
    """Distinct texts without labels.

    Args:
        texts: each as it was met first; no two are the same as `normalise` writes them.
        path: the file or hub data set.
        columns: the columns they came from.
        sha256: of the file.
        notes: counts of what was read and left out.
    """

    texts: list[str]
    path: str
    columns: tuple[str, ...] = ("text",)
    sha256: str = ""
    notes: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)


def read_pool(
    source: str | Path, *, columns: Sequence[str] = (), on_bad_row: OnBadRow = "error"
) -> Pool:
    """Read the distinct texts of a file.

    Args:
        source: what `read_table` takes.
        columns: the columns to pool. By default `text`, or else the texts of pairs: `sentence1`
            and `sentence2`, `premise` and `hypothesis`, `anchor` and `positive`. Labels and scores
            are never read.
        on_bad_row: "error" or "skip", for rows that cannot be read or whose value is no text.
            Empty texts are left out and counted, always.

    Raises:
        DataError: no column can be used, a row is bad, or there are fewer than two texts.
    """
    chosen: list[str] = []

    def pick(found: Sequence[str]) -> Sequence[str]:
        wanted = columns or next((group for group in _TEXTS if set(group) <= set(found)), ())
        if not wanted:
            listed = ", ".join(map(repr, found)) or "none"
            raise DataError(
                f"none of the columns {listed} is known to hold texts: name a column 'text', or "
                "say which to pool.",
                path=source,
            )
        chosen.extend(wanted)
        return chosen

    table = read_table(source, columns=pick, on_bad_row=on_bad_row)
    problems = RowProblems(table.path, on_bad_row, list(table.skipped))
    distinct: dict[str, str] = {}
    read = empty = 0
    for row, line in enumerate(table.lines.tolist()):
        for name in chosen:
            text = table[name][row]
            if not isinstance(text, str) and text is not None:
                problems.report(line, f"{text!r} is not a text.", name)
                continue
            form = normalise(text or "")
            read += 1
            if text and form:
                distinct.setdefault(form, text)
            else:
                empty += 1
    if len(distinct) < 2:
        raise DataError(
            f"holds {len(distinct)} different texts; pairs need at least two.", path=table.path
        )
    notes = {
        "texts": read,
        "empty": empty,
        "repeats": read - empty - len(distinct),
        "skipped": len(problems.skipped),
    }
    return Pool(list(distinct.values()), table.path, tuple(chosen), table.sha256, notes)
