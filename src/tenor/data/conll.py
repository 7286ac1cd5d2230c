"""CoNLL columns: a word a line with its tag last, a blank line between sentences."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tenor.data.lines import NOT_UTF8, Lines
from tenor.data.problems import RowProblems
from tenor.data.tags import read_tag
from tenor.errors import DataError

__all__ = ["ConllSentence", "read_conll"]

DOCUMENT_START = "-DOCSTART-"


class ConllSentence(NamedTuple):
    """The words of a sentence, their tags, and the line of the first."""

    words: list[str]
    tags: list[str]
    line: int


def read_conll(
    source: str | Path, problems: RowProblems, *, tags: bool = True
) -> Iterator[ConllSentence]:
    """Read sentences one by one.

    The word is the first column and the tag the last; columns are parted by tabs where a line has
    one, else by white space. Lines `-DOCSTART-` are dropped, and so are comments: a line before the
    first word of a sentence that begins with `#` and ends in no tag.

    Args:
        source: the file, also .gz.
        problems: takes the sentences that cannot be read.
        tags: whether words must have tags; else lines of one column are words.

    Raises:
        DataError: the file, or a sentence, cannot be read.
    """
    path = Path(source)
    if not path.exists():
        raise DataError("there is no such file.", path=source)
    if path.is_dir():
        raise DataError("this is a folder; name a file in it.", path=source)
    opener: Callable[..., Any] = gzip.open if path.suffix.lower() == ".gz" else open
    with _named_errors(source), opener(path, "rb") as file:
        yield from _sentences(Lines(file), problems, tags)


def _sentences(lines: Lines, problems: RowProblems, needs_tags: bool) -> Iterator[ConllSentence]:
    words: list[str] = []
    tags: list[str] = []
    first = 0
    bad: tuple[int, str] | None = None

    def complete() -> Iterator[ConllSentence]:
        if bad is not None:
            problems.report(*bad)
        elif words:
            yield ConllSentence(list(words), list(tags), first)

    for text in lines:
        lines.start_row()
        number = lines.number
        line = text.strip("\r\n")
        columns = [part.strip() for part in line.split("\t")] if "\t" in line else line.split()
        if not any(columns):
            yield from complete()
            words, tags, bad = [], [], None
            continue
        if columns[0] == DOCUMENT_START or (not words and _is_comment(columns)):
            continue
        first = first if words else number
        words.append(columns[0])
        tags.append(columns[-1] if len(columns) > 1 else "")
        if bad is None:
            bad = _fault(columns, number, number in lines.broken, needs_tags)
    yield from complete()


def _fault(
    columns: list[str], number: int, broken: bool, needs_tags: bool
) -> tuple[int, str] | None:
    if broken:
        return number, NOT_UTF8
    if not columns[0]:
        return number, "the word is missing."
    if needs_tags and len(columns) == 1:
        return number, f"the word {columns[0]!r} has no tag: it takes the last column."
    return None


def _is_comment(columns: list[str]) -> bool:
    if not columns[0].startswith("#"):
        return False
    try:
        read_tag(columns[-1])
    except ValueError:
        return True
    return False


@contextmanager
def _named_errors(path: str | Path) -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, OSError) as error:
        raise DataError(f"cannot be read: {error}", path=path) from error
