"""Texts with tagged spans, every one of them checked, from words and tags or from offsets.

| columns or format | tags |
|---|---|
| tokens (or words), ner_tags (or tags, labels) | strings, or numbers with names |
| text, spans (or entities, label) | `{"start": 0, "end": 5, "label": "PER"}` or `[0, 5, "PER"]` |
| CoNLL columns | the last column |

Whatever the file holds becomes text with spans of characters: words are joined by spaces.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import file_digest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tenor.data.conll import read_conll
from tenor.data.problems import BadRow, OnBadRow, RowProblems
from tenor.data.read import Table, read_table
from tenor.data.span_rows import CharSpan, SpanRows
from tenor.data.tag_names import read_tag_names, stored_tag_names
from tenor.data.tag_rows import TagRows, joined_words
from tenor.data.tags import bio_labels
from tenor.errors import ConfigError, DataError

__all__ = ["CharSpan", "TaggedTexts", "hold_out_texts", "joined_words", "read_tagged"]

ROLES: Mapping[str, tuple[str, ...]] = {
    "tokens": ("tokens", "words"),
    "tags": ("ner_tags", "tags", "labels"),
    "text": ("text",),
    "spans": ("spans", "entities", "label", "labels"),
}
TABLES = frozenset([".jsonl", ".ndjson", ".json", ".parquet"])
ACCEPTED = (
    "tokens + ner_tags (or words, tags, labels), or text + spans (or entities, label). Name yours "
    'by their roles, e.g. columns={"tokens": "words", "tags": "pos"}'
)


@dataclass(frozen=True, eq=False)
class TaggedTexts:
    """Texts and the spans in them.

    Attributes:
        texts: the texts; words are joined by spaces.
        words: first character, and the one behind the last, of each given word; `None` where texts
            were given, whose words are for a tokenizer to find.
        spans: the spans of each text, in order, none within another.
        labels: the tags that these types make, O first; the file's own order where it has one.
        lines: (texts,) int64, the line of the file where each came from.
        path: the file or hub data set.
        skipped: the rows left out under `on_bad_row="skip"`.
        notes: what was converted or left out on the way, by name.
        sha256: of the file.
    """

    texts: list[str]
    words: list[list[tuple[int, int]]] | None
    spans: list[tuple[CharSpan, ...]]
    labels: tuple[str, ...]
    lines: np.ndarray
    path: str
    skipped: list[BadRow] = field(default_factory=list)
    notes: Mapping[str, int | str] = field(default_factory=dict)
    sha256: str = ""

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def inputs(self) -> list[Any]:
        """What a tagger is given: texts, or lists of words."""
        if self.words is None:
            return list(self.texts)
        return [
            [text[start:end] for start, end in words]
            for text, words in zip(self.texts, self.words, strict=True)
        ]

    @property
    def counts(self) -> dict[str, int]:
        """How many spans there are of each type, by name."""
        found = Counter(span.label for spans in self.spans for span in spans)
        return dict(sorted(found.items()))

    def take(self, rows: Sequence[int]) -> TaggedTexts:
        """Some texts, in the order given."""
        return replace(
            self,
            texts=[self.texts[row] for row in rows],
            words=None if self.words is None else [self.words[row] for row in rows],
            spans=[self.spans[row] for row in rows],
            lines=self.lines[list(rows)],
        )

    def describe(self) -> str:
        """One sentence for a log."""
        types = ", ".join(f"{name} {count:,}" for name, count in self.counts.items())
        total = sum(self.counts.values())
        said = f"{self.path}: {len(self):,} texts with {total:,} spans ({types or 'none'})"
        if self.skipped:
            said += f", {len(self.skipped):,} bad rows skipped"
        for name, note in self.notes.items():
            said += f"; {name.replace('_', ' ')}: {note if isinstance(note, str) else f'{note:,}'}"
        return said


class _Read(NamedTuple):
    """The rows of a file, read and checked."""

    texts: list[str]
    words: list[list[tuple[int, int]]] | None
    spans: list[tuple[CharSpan, ...]]
    lines: list[int]
    labels: tuple[str, ...] | None
    notes: dict[str, int | str]


def read_tagged(
    source: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    label_names: str | Path | Sequence[str] | None = None,
    on_bad_row: OnBadRow = "error",
    split: str | None = None,
) -> TaggedTexts:
    """Read tagged words or texts with spans.

    Tags in IOB1, BIOES or BILOU become BIO, and I- that follows nothing of its type becomes B-, as
    seqeval reads it by default; `notes` tells. Rows without a word are left out and counted.

    Args:
        source: jsonl, json or Parquet with columns as above, a hub data set, or a file of any
            other suffix (.conll, .txt, .tsv, .bio, eng.train) in CoNLL columns; also .gz.
        columns: role (tokens, tags, text, spans) to column, where columns have other names.
        label_names: names of tags that are numbers, in their order, or a file with them; a Parquet
            file or hub data set may bring them along.
        on_bad_row: "error" or "skip", for rows whose words and tags differ in number, whose tags
            are unknown, or whose spans lie outside of the text or within each other.
        split: of a hub data set.

    Raises:
        DataError: the file, or a row, cannot be used; names path, line and column.
        ConfigError: a role does not exist.
    """
    mapping = dict(columns or {})
    for role in mapping:
        if role not in ROLES:
            raise ConfigError("columns", mapping, f"made of the roles {', '.join(ROLES)}")
    problems = RowProblems(str(source), on_bad_row)
    names = label_names if label_names is None or not isinstance(label_names, str | Path) else (
        read_tag_names(label_names)
    )  # fmt: skip
    names = None if names is None else tuple(names)
    if _is_table(Path(source)):
        read, sha256 = _from_table(source, mapping, names, problems, split)
    else:
        if split is not None:
            raise ConfigError("split", split, f"left out for a file such as {source}")
        rows = TagRows(problems, names, None)
        for sentence in read_conll(source, problems):
            rows.add(sentence.words, sentence.tags, sentence.line)
        read = _Read(*rows.finish())
        with open(source, "rb") as file:
            sha256 = file_digest(file, "sha256").hexdigest()
    problems.require_rows(len(read.texts))
    types = sorted({span.label for spans in read.spans for span in spans})
    return TaggedTexts(
        texts=read.texts,
        words=read.words,
        spans=read.spans,
        labels=read.labels or bio_labels(types),
        lines=np.array(read.lines, dtype=np.int64),
        path=problems.path,
        skipped=sorted(problems.skipped, key=lambda bad: bad.line),
        notes=read.notes,
        sha256=sha256,
    )


def _is_table(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    suffix = Path(name).suffix
    if suffix == ".csv":
        raise DataError(
            "a csv file has no place for the tags of several words; write JSON lines, Parquet or "
            "CoNLL columns.",
            path=path,
        )
    return suffix in TABLES or not path.exists()  # else a hub data set, or an error that says so


def _from_table(
    source: str | Path,
    mapping: Mapping[str, str],
    names: tuple[str, ...] | None,
    problems: RowProblems,
    split: str | None,
) -> tuple[_Read, str]:
    roles: dict[str, str] = {}

    def pick(found: Sequence[str]) -> Sequence[str]:
        roles.update(_roles(found, mapping, str(source)))
        return list(roles.values())

    table = read_table(source, columns=pick, on_bad_row=problems.on_bad_row, split=split)
    problems.skipped += table.skipped
    lines = table.lines.tolist()
    if "spans" in roles:
        spans = SpanRows(problems, roles["text"], roles["spans"])
        for text, given, line in zip(
            table[roles["text"]], table[roles["spans"]], lines, strict=True
        ):
            spans.add(text, given, line)
        return _Read(spans.texts, None, spans.spans, spans.lines, None, spans.notes), table.sha256
    if names is None and _numbered(table, roles["tags"]):
        names = stored_tag_names(source, roles["tags"], split)
        if names is None:
            raise DataError(
                "the tags are numbers, and the file does not say what they mean; give their names "
                "in order, one a line, in a file of label names.",
                path=table.path,
                column=roles["tags"],
            )
    rows = TagRows(problems, names, roles["tags"])
    for words, tags, line in zip(table[roles["tokens"]], table[roles["tags"]], lines, strict=True):
        rows.add(words, tags, line)
    return _Read(*rows.finish()), table.sha256


def _roles(found: Sequence[str], mapping: Mapping[str, str], path: str) -> dict[str, str]:
    for name in mapping.values():
        if name not in found:
            listed = ", ".join(map(repr, found))
            raise DataError(f"there is no such column; found: {listed}.", path=path, column=name)
    taken = {
        role: mapping.get(role) or next((name for name in names if name in found), None)
        for role, names in ROLES.items()
    }
    pairs = [("tokens", "tags"), ("text", "spans")]
    if mapping.keys() & {"text", "spans"}:
        pairs.reverse()
    for first, second in pairs:
        if taken[first] and taken[second]:
            return {role: str(taken[role]) for role in (first, second)}
    listed = ", ".join(map(repr, found)) or "none"
    raise DataError(f"the columns {listed} are none of those needed: {ACCEPTED}.", path=path)


def _numbered(table: Table, column: str) -> bool:
    """Whether the first tag there is, is a number."""
    for tags in table[column]:
        if isinstance(tags, list) and tags:
            return isinstance(tags[0], int)
    return False


def hold_out_texts(table: TaggedTexts, share: float, seed: int) -> tuple[TaggedTexts, TaggedTexts]:
    """Split off texts for validation; texts that are the same stay together.

    Args:
        table: all texts.
        share: about this share is held out.
        seed: decides which.

    Returns:
        The texts to train on and those held out.

    Raises:
        DataError: when nothing would be left on one side.
    """
    groups: dict[str, int] = {}
    group = np.array([groups.setdefault(text, len(groups)) for text in table.texts])
    order = np.random.default_rng([seed, 1]).permutation(len(groups))
    held = np.isin(group, order[: max(1, round(share * len(groups)))])
    if held.all():
        raise DataError("too few different texts to hold some out.", path=table.path)
    return table.take(np.flatnonzero(~held).tolist()), table.take(np.flatnonzero(held).tolist())
