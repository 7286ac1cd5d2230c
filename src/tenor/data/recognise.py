"""What a file holds, told from its name, its columns and its first rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tenor.data.formats import READERS
from tenor.data.lines import Lines
from tenor.data.problems import RowProblems
from tenor.data.read import read_blocks
from tenor.data.roles import recognise_roles
from tenor.data.tags import read_tag
from tenor.errors import ConfigError, DataError

__all__ = ["Recognised", "RetrievalFiles", "Split", "data_files", "recognise", "split_of"]

Split = Literal["train", "validation", "test"]

PEEKED = 200  # rows, or lines, that are looked at
RETRIEVAL = ("corpus", "queries", "qrels")
TAGGED = (".conll", ".bio", ".iob", ".iob2")
TEXTS = ("text", "sentence", "body", "content", "document", "article", "passage")
_SPLITS: Mapping[str, Split] = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation",
    "val": "validation", "dev": "validation", "testa": "validation", "test": "test",
    "testb": "test", "testing": "test", "eval": "test", "evaluation": "test", "heldout": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Recognised:
    """What a file, or a folder with a retrieval task, seems to be.

    Attributes:
        path: of it.
        shape: the kind of its rows (pairs, triplets, scored, labelled_pairs, nli, labelled_texts),
            texts, tagged or retrieval; unknown where nothing fits.
        split: train, validation or test, by its name; `None` where that does not say.
        columns: that the file has.
        roles: role to column for what is not named as usual, as the reader of the shape wants it.
        reason: of an unknown shape: why, and what to do.
    """

    path: str
    shape: str
    split: Split | None = None
    columns: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True)
class RetrievalFiles:
    """Whether a folder holds corpus, queries and judgements, as BEIR has them."""

    folder: Path

    def __bool__(self) -> bool:
        present = {path.name.split(".")[0] for path in self.folder.iterdir()}
        return present >= set(RETRIEVAL)

    def owns(self, path: Path) -> bool:
        """Whether a file of the folder is one of the three."""
        return path.name.split(".")[0] in RETRIEVAL


def data_files(given: Sequence[str | Path]) -> list[str]:
    """The files, hub data sets and retrieval folders that are meant by what a user names.

    A folder stands for the files in it that can be read; one with corpus, queries and qrels for
    that task, too, and so does a folder inside it.

    Raises:
        DataError: there is no such file or folder, or nothing in a folder can be read.

    >>> data_files(["owner/name"])
    ['owner/name']
    """
    found: list[str] = []
    for each in given:
        path = Path(each)
        if not path.is_dir():
            found.append(str(each))
            continue
        inside = _in_folder(path)
        if not inside:
            known = ", ".join((*READERS, *TAGGED))
            raise DataError(f"holds no file that can be read: {known}, also .gz.", path=path)
        found += inside
    return list(dict.fromkeys(found))


def recognise(source: str, columns: Mapping[str, str] | None = None) -> Recognised:
    """Tell what a file holds.

    Args:
        source: file, hub data set, or folder with a retrieval task.
        columns: role to column, where columns are not named as usual; it counts for the files that
            have all of these columns.

    Raises:
        DataError: the file cannot be read at all.
    """
    path = Path(source)
    split = split_of(path)
    if path.is_dir():
        return Recognised(source, "retrieval", "validation" if split == "validation" else "test")
    if _suffix(path) in TAGGED or (path.is_file() and _suffix(path) not in READERS):
        return Recognised(source, "tagged", split)
    if _suffix(path) == ".txt" and path.is_file() and _looks_like_conll(path):
        return Recognised(source, "tagged", split)
    rows = _first_rows(source)
    found = tuple(rows)
    mapping = dict(columns or {})
    roles = mapping if set(mapping.values()) <= set(found) else {}
    shape, taken, reason = _shape_of(rows, roles, source)
    return Recognised(source, shape, split, found, taken, reason)


def split_of(path: str | Path) -> Split | None:
    """Which split a file is, by its name.

    >>> split_of("data/eng.testa"), split_of("my-train_v2.csv"), split_of("contest.csv")
    ('validation', 'train', None)
    """
    words = re.split(r"[^a-z]+", Path(path).name.lower())
    return next((_SPLITS[word] for word in words if word in _SPLITS), None)


def _in_folder(folder: Path) -> list[str]:
    task = RetrievalFiles(folder)
    whole = bool(task)
    found: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            if RetrievalFiles(path):
                found.append(str(path))
        elif _suffix(path) in (*READERS, *TAGGED) and not (whole and task.owns(path)):
            found.append(str(path))
    return [*found, str(folder)] if whole else found


def _suffix(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _first_rows(source: str) -> dict[str, list[Any]]:
    """The first values of every column; rows that cannot be read are passed over."""
    problems = RowProblems(source, "skip")
    with closing(read_blocks(source, None, problems, PEEKED, None)) as blocks:  # type: ignore[type-var]
        values, _ = next(blocks, ({}, []))
    if not values:
        problems.require_rows(0)
    return values


def _looks_like_conll(path: Path) -> bool:
    """Whether most lines are a word and a tag."""
    tagged = lines = 0
    with open(path, "rb") as file:
        for number, text in enumerate(Lines(file)):
            parts = text.split()
            if not parts:
                continue
            lines += 1
            tagged += len(parts) > 1 and _is_tag(parts[-1])
            if number == PEEKED:
                break
    return tagged > 0.9 * lines > 0


def _is_tag(text: str) -> bool:
    try:
        read_tag(text)
    except ValueError:
        return False
    return True


def _shape_of(
    rows: Mapping[str, list[Any]], roles: Mapping[str, str], source: str
) -> tuple[str, Mapping[str, str], str]:
    """The shape, the roles that its reader is to be told, and why there is none."""
    found = tuple(rows)
    words = roles.get("tokens") or next((n for n in ("tokens", "words") if n in found), None)
    tags = roles.get("tags") or next(
        (n for n in ("ner_tags", "tags", "labels") if n in found), None
    )
    if words and tags:
        return "tagged", {r: c for r, c in roles.items() if r in ("tokens", "tags")}, ""
    text = roles.get("text") or ("text" if "text" in found else None)
    spans = roles.get("spans") or next(
        (n for n in ("spans", "entities", "label", "labels") if n in found), None
    )
    if text and spans and _holds_spans(rows[spans]):
        return "tagged", {r: c for r, c in roles.items() if r in ("text", "spans")}, ""
    label = roles.get("label") or next((n for n in ("label", "labels") if n in found), None)
    if text and label:
        return "labelled_texts", {r: c for r, c in roles.items() if r in ("text", "label")}, ""
    try:
        taken = recognise_roles(found, roles, source)
    except (DataError, ConfigError) as error:
        taken, reason = {}, str(error)
    if "score" in taken:
        return "scored", roles, ""
    if "label" in taken:
        return ("nli" if "premise" in taken else "labelled_pairs"), roles, ""
    if taken:
        return ("pairs" if len(taken) == 2 else "triplets"), roles, ""
    column = text or next((name for name in TEXTS if name in found), None)
    if column is not None:
        return "texts", {} if column == "text" else {"text": column}, ""
    return "unknown", {}, _suggestion(rows) or reason


def _holds_spans(values: Sequence[Any]) -> bool:
    """Whether the first list that is not empty is one of spans."""
    first = next((value for value in values if isinstance(value, list) and value), None)
    return first is not None and isinstance(first[0], dict | list)


def _suggestion(rows: Mapping[str, list[Any]]) -> str:
    """Which columns of an unknown file may be meant, as flags; "" where none comes to mind."""
    texts = [name for name, values in rows.items() if _holds_texts(values)]
    scores = [name for name, values in rows.items() if _holds_numbers(values)]
    labels = [n for n, v in rows.items() if n not in texts and n not in scores and _repeats(v)]
    listed = ", ".join(map(repr, rows)) or "none"
    if not texts:
        return f"the columns {listed} hold no texts that could be trained on."
    if len(texts) == 1 and labels:
        flags = {"text": texts[0], "label": labels[0]}
    elif len(texts) == 1:
        flags = {"text": texts[0]}
    elif scores:
        flags = {"sentence1": texts[0], "sentence2": texts[1], "score": scores[0]}
    else:
        flags = {"anchor": texts[0], "positive": texts[1]}
    said = " ".join(f"--columns.{role} {column}" for role, column in flags.items())
    return f"the columns {listed} are not named as usual. Say which is which, perhaps: {said}"


def _holds_texts(values: Sequence[Any]) -> bool:
    texts = [value for value in values if isinstance(value, str) and value.strip()]
    if len(texts) < 0.5 * len(values) or not texts:
        return False
    return sum(len(text.split()) for text in texts) >= 2.5 * len(texts)


def _holds_numbers(values: Sequence[Any]) -> bool:
    def number(value: Any) -> bool:
        try:
            float(value)
        except (TypeError, ValueError):
            return False
        return not isinstance(value, bool)

    kinds = {str(value) for value in values}
    return (
        bool(values)
        and all(map(number, values))
        and len(kinds) > 2
        and (any("." in kind for kind in kinds) or len(kinds) <= 11)
    )


def _repeats(values: Sequence[Any]) -> bool:
    kinds = {str(value) for value in values}
    return 1 < len(kinds) <= max(2, 0.5 * len(values))
