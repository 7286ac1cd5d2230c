"""Rows of words and tags, checked one by one, and made to texts with spans."""

from __future__ import annotations

from typing import Any

from tenor.data.problems import RowProblems
from tenor.data.span_rows import CharSpan
from tenor.data.tags import Tag, bio_labels, read_tag, recognise_scheme, tag_spans

__all__ = ["TagRows", "joined_words"]


def joined_words(words: list[str]) -> tuple[str, list[tuple[int, int]]]:
    """Words joined by spaces, and first and last-but-one character of each.

    >>> joined_words(["A", "cat"])
    ('A cat', [(0, 1), (2, 5)])
    """
    places, start = [], 0
    for word in words:
        places.append((start, start + len(word)))
        start += len(word) + 1
    return " ".join(words), places


class TagRows:
    """Takes rows of words and tags.

    Args:
        problems: takes the rows that cannot be used.
        names: of tags that are numbers.
        column: that holds the tags, for messages.
    """

    def __init__(
        self, problems: RowProblems, names: tuple[str, ...] | None, column: str | None
    ) -> None:
        self.problems, self.names, self.column = problems, names, column
        self._rows: list[tuple[list[str], list[Tag], int]] = []
        self._known: dict[str | int, Tag] = {}
        self._empty = 0

    def add(self, words: Any, tags: Any, line: int) -> None:
        """Check a row, and keep it or report it."""
        try:
            read = self._read(words, tags)
        except ValueError as problem:
            self.problems.report(line, str(problem), self.column)
            return
        if read:
            self._rows.append((words, read, line))
        else:
            self._empty += 1

    def finish(
        self,
    ) -> tuple[
        list[str],
        list[list[tuple[int, int]]],
        list[tuple[CharSpan, ...]],
        list[int],
        tuple[str, ...] | None,
        dict[str, int | str],
    ]:
        """Texts, words, spans, lines, the labels in the file's own order if it has one, notes."""
        texts, places, spans = [], [], []
        for words, tags, _ in self._rows:
            text, word = joined_words(words)
            texts.append(text)
            places.append(word)
            spans.append(
                tuple(
                    CharSpan(word[span.start][0], word[span.end - 1][1], span.type)
                    for span in tag_spans(tags)
                )
            )
        scheme = recognise_scheme(tags for _, tags, _ in self._rows)
        notes: dict[str, int | str] = {}
        if scheme.name != "BIO":
            notes["converted_to_BIO"] = f"the tags are {scheme.name}"
        elif scheme.repaired:
            notes["tags_I_that_follow_nothing_of_their_type_read_as_B"] = scheme.repaired
        if self._empty:
            notes["rows_without_a_word_left_out"] = self._empty
        return texts, places, spans, [line for _, _, line in self._rows], self._labels(), notes

    def _read(self, words: Any, tags: Any) -> list[Tag]:
        if not isinstance(words, list) or not isinstance(tags, list):
            raise ValueError("words and tags must be lists.")
        if len(words) != len(tags):
            raise ValueError(f"there are {len(words)} words and {len(tags)} tags.")
        for number, word in enumerate(words, start=1):
            if not isinstance(word, str) or not word.strip():
                what = "is empty" if isinstance(word, str) or word is None else f"is {word!r}"
                raise ValueError(f"word {number} {what}; every word must be a text.")
        return [self._tag(tag) for tag in tags]

    def _tag(self, tag: Any) -> Tag:
        if not isinstance(tag, str | int) or isinstance(tag, bool):
            raise ValueError(f"the tag {tag!r} is neither a text nor a number.")
        if tag in self._known:
            return self._known[tag]
        name = tag
        if isinstance(tag, int):
            names = self.names or ()
            if not 0 <= tag < len(names):
                raise ValueError(f"the tag {tag} has no name; names are known for {len(names)}.")
            name = names[tag]
        found = read_tag(str(name).strip())
        self._known[tag] = found
        return found

    def _labels(self) -> tuple[str, ...] | None:
        """The names in their order, where they are the tags of BIO and no others."""
        if self.names is None:
            return None
        try:
            types = sorted({tag.type for tag in map(read_tag, self.names) if tag.type})
        except ValueError:
            return None
        same = sorted(self.names) == sorted(bio_labels(types))
        return self.names if same else None
