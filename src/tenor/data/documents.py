"""Documents of a file, streamed: a text, and a title or summary where there is one."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from tenor.data.overlap import normalise
from tenor.data.problems import OnBadRow, RowProblems
from tenor.data.read import read_blocks
from tenor.errors import ConfigError, DataError

__all__ = ["HEADS", "Document", "Documents", "digest"]

BLOCK = 2_048  # documents that stand in memory at a time

# What columns are called that play a role; the first that a file has is taken.
_TEXTS = ("text", "body", "content", "document", "article", "passage")
# Beside a title, a column `text` often repeats it, where `body` does not.
_BODIES = ("body", "text", "content", "document", "article", "passage")
HEADS = {
    "title": ("title", "headline", "heading", "subject"),
    "summary": ("summary", "abstract", "highlights"),
}


@dataclass(frozen=True, slots=True)
class Document:
    """A document.

    Attributes:
        line: where it starts in its file, counted from 1.
        text: never blank.
        head: its title or summary, never blank; `None` where the file has no such column.
    """

    line: int
    text: str
    head: str | None = None


@dataclass
class Documents:
    """The distinct documents of a file or hub data set; each `iter` reads it anew, block by block.

    Attributes:
        source: csv, tsv, jsonl, json, parquet or txt file (also .gz), or hub data set.
        head: `title` or `summary`, where documents are to have one; `None` for the text alone.
        needs_head: whether a file without a column for it is an error.
        columns: role (text, title, summary) = column of the file, where they are named otherwise.
        on_bad_row: "error", or "skip" to drop rows that cannot be read and count them.
        roles: role to column, known as soon as a document was read.
        notes: counts of what was read and left out, of the last whole reading.
        sha256: of the file, or of the values read of a hub data set, after a whole reading.
    """

    source: str
    head: str | None = None
    needs_head: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    on_bad_row: OnBadRow = "error"
    roles: dict[str, str] = field(default_factory=dict, init=False)
    notes: Counter[str] = field(default_factory=Counter, init=False)
    sha256: str = field(default="", init=False)

    def __post_init__(self) -> None:
        known = ["text", *([self.head] if self.head else [])]
        if wrong := [role for role in self.columns if role not in known]:
            allowed = f"made of the roles {' and '.join(known)}, not {', '.join(wrong)}"
            raise ConfigError("columns", dict(self.columns), allowed)

    def __iter__(self) -> Iterator[Document]:
        """Read the documents, in the order of the file.

        Raises:
            DataError: the file, a column or a row cannot be used, or there is no document.
        """
        notes: Counter[str] = Counter()
        problems = RowProblems(self.source, self.on_bad_row)
        is_file = Path(self.source).is_file()
        values_digest = hashlib.sha256()
        seen: set[int] = set()
        for values, lines in read_blocks(self.source, self._pick, problems, BLOCK, None):
            if not is_file:
                values_digest.update(json.dumps(values, default=str, sort_keys=True).encode())
            texts = values[self.roles["text"]]
            heads = values[self.roles[self.head]] if self.head in self.roles else None
            for row, line in enumerate(lines):
                text = self._text(texts[row], line, "text", problems)
                head = None if heads is None else self._text(heads[row], line, self.head, problems)
                if text is None or (heads is not None and head is None):
                    continue
                if not text or (heads is not None and not head):
                    notes["empty"] += 1
                    continue
                key = digest(text if head is None else f"{head}\0{text}")
                if key in seen:
                    notes["repeated"] += 1
                    continue
                seen.add(key)
                yield Document(line, text, head)
        notes["documents"], notes["bad_rows"] = len(seen), len(problems.skipped)
        if not seen and notes["empty"]:
            raise DataError("every document of it is empty.", path=self.source)
        problems.require_rows(len(seen))
        self.notes, self.sha256 = notes, self._hash() if is_file else values_digest.hexdigest()

    def _pick(self, found: Sequence[str]) -> list[str]:
        """The columns to read, of those found."""
        self.roles = dict(self.columns)
        if self.head is not None and self.head not in self.roles:
            names = HEADS[self.head]
            column = next((name for name in names if name in found), None)
            if column is not None:
                self.roles[self.head] = column
            elif self.needs_head:
                raise DataError(
                    f"there is no column {_either(names)}; found: {_listed(found)}. Name the one "
                    f"that holds it by --columns.{self.head}, or take another --how.",
                    path=self.source,
                )
        if "text" not in self.roles:
            taken = set(self.roles.values())
            names = _BODIES if self.head in self.roles else _TEXTS
            column = next((name for name in names if name in found and name not in taken), None)
            if column is None:
                raise DataError(
                    f"there is no column {_either(names)}; found: {_listed(found)}. Name the one "
                    "that holds the text by --columns.text.",
                    path=self.source,
                )
            self.roles["text"] = column
        return list(dict.fromkeys(self.roles.values()))

    def _text(self, value: Any, line: int, role: str | None, problems: RowProblems) -> str | None:
        """A value as text, "" for a missing or blank one, `None` for what is no text."""
        if value is None:
            return ""
        if not isinstance(value, str):
            problems.report(line, f"{value!r:.60} is not a text.", self.roles[role or "text"])
            return None
        return value.strip()

    def _hash(self) -> str:
        with open(self.source, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def digest(text: str) -> int:
    """A number of 64 bits that texts have in common which `normalise` writes the same."""
    form = normalise(text).encode(errors="surrogatepass")
    return int.from_bytes(blake2b(form, digest_size=8).digest(), "little")


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _listed(found: Sequence[str]) -> str:
    return ", ".join(map(repr, found)) or "none"
