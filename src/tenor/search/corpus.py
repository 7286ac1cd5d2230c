"""The documents to index: read in blocks from a file or an iterable, every row checked."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenor.data.lines import Block
from tenor.data.problems import OnBadRow, RowProblems
from tenor.data.read import read_blocks
from tenor.errors import DataError

__all__ = ["BLOCK", "Corpus", "Documents"]

BLOCK = 8_192  # documents that stand in memory at a time
ID_COLUMNS = ("id", "_id")  # the second is BEIR's


@dataclass(frozen=True, kw_only=True, eq=False)
class Documents:
    """A block of checked documents.

    Attributes:
        ids: one a document; `None` where the corpus has no column of ids.
        texts: one a document, never blank.
        metadata: column to values, one a document.
        lines: where each document stands in its file.
    """

    ids: list[str] | None
    texts: list[str]
    metadata: dict[str, list[Any]]
    lines: list[int]


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Where documents come from, and which columns make one.

    Attributes:
        source: a csv, tsv, jsonl, json, parquet or txt file (also .gz), a hub data set, or an
            iterable of mappings of column to value.
        column: holds the texts.
        id_column: holds the ids, texts or whole numbers, each once. Left out, it is `id` or `_id`
            where there is such a column; where there is none, documents are numbered from 1.
        metadata_columns: kept beside the text, for filters and to show; all the others if left out.
        on_bad_row: "error" or "skip", for rows that cannot be read or have no text or no id.
        split: of a hub data set.
    """

    source: str | Path | Iterable[Mapping[str, Any]]
    column: str = "text"
    id_column: str | None = None
    metadata_columns: Sequence[str] | None = None
    on_bad_row: OnBadRow = "error"
    split: str | None = None

    @property
    def path(self) -> str:
        """Name of the source, for messages."""
        return str(self.source) if isinstance(self.source, str | Path) else "documents"

    def blocks(self, problems: RowProblems) -> Iterator[Documents]:
        """The documents, at most `BLOCK` at a time; bad rows go to `problems`.

        Raises:
            DataError: a column is missing, or a row is bad and not to be skipped.
        """
        roles: dict[str, str] = {}

        def pick(found: Sequence[str]) -> list[str]:
            identifier = self.id_column or next(
                (name for name in ID_COLUMNS if name in found and name != self.column), None
            )
            roles["text"] = self.column
            if identifier is not None:
                roles["id"] = identifier
            kept = found if self.metadata_columns is None else self.metadata_columns
            roles.update({f"metadata.{name}": name for name in kept if name not in roles.values()})
            return list(dict.fromkeys(roles.values()))

        if isinstance(self.source, str | Path):
            blocks = read_blocks(self.source, pick, problems, BLOCK, self.split)
        else:
            blocks = _mapping_blocks(self.source, pick)
        for values, lines in blocks:
            yield _checked(values, lines, roles, problems)


def _mapping_blocks(documents: Iterable[Mapping[str, Any]], pick: Any) -> Iterator[Block]:
    numbered = enumerate(documents, start=1)
    found: dict[str, None] = {}  # in the order of their first appearance
    while rows := list(itertools.islice(numbered, BLOCK)):
        for line, row in rows:
            if not isinstance(row, Mapping):
                raise DataError(
                    f"document {line} is {row!r:.80}; give mappings of column to value, such as "
                    "{'id': 'a1', 'text': '...'}."
                )
            found.update(dict.fromkeys(row))
        wanted = pick(list(found))
        for name in wanted:
            if name not in found:
                listed = ", ".join(map(repr, found)) or "none"
                raise DataError(f"there is no such column; found: {listed}.", column=name)
        yield (
            {name: [row.get(name) for _, row in rows] for name in wanted},
            [line for line, _ in rows],
        )


def _checked(
    values: Mapping[str, list[Any]],
    lines: list[int],
    roles: Mapping[str, str],
    problems: RowProblems,
) -> Documents:
    """The good rows of a block; the others are reported."""
    texts = values[roles["text"]]
    ids = values[roles["id"]] if "id" in roles else None
    kept = []
    for row, text in enumerate(texts):
        if not isinstance(text, str) or not text or text.isspace():
            reason = "the text is missing." if text is None else f"{text!r} is not a text."
            if isinstance(text, str):
                reason = "the text is empty."
            problems.report(lines[row], reason, roles["text"])
        elif ids is not None and not _is_id(ids[row]):
            reason = f"{ids[row]!r} is no id: it must be a text or a whole number."
            problems.report(lines[row], reason, roles["id"])
        else:
            kept.append(row)
    return Documents(
        ids=None if ids is None else [str(ids[row]) for row in kept],
        texts=[texts[row] for row in kept],
        metadata={
            role.removeprefix("metadata."): [values[name][row] for row in kept]
            for role, name in roles.items()
            if role.startswith("metadata.")
        },
        lines=[lines[row] for row in kept],
    )


def _is_id(value: Any) -> bool:
    if isinstance(value, str):
        return bool(value) and not value.isspace()
    return isinstance(value, int) and not isinstance(value, bool)
