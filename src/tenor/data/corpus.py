"""Raw text without labels: the distinct texts of a file, and which of them are held out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenor.data.problems import OnBadRow, RowProblems
from tenor.data.read import read_table
from tenor.errors import DataError

__all__ = ["HELD_OUT", "MOST_HELD_OUT", "Corpus", "read_corpus", "split_corpus"]

HELD_OUT, MOST_HELD_OUT = 0.05, 2_000  # share and number of texts, where nothing was asked for


@dataclass(frozen=True)
class Corpus:
    """Raw texts, each distinct one once.

    Attributes:
        texts: in the order of the file.
        repeats: rows that repeat an earlier text.
        skipped: rows that cannot be read or hold no text.
        path: the file or data set.
        sha256: of the file.
    """

    texts: list[str]
    repeats: int
    skipped: int
    path: str
    sha256: str

    def describe(self) -> str:
        """One sentence for a log."""
        notes = [
            f"{count:,} {what}"
            for count, what in ((self.repeats, "repeats"), (self.skipped, "empty or bad rows"))
            if count
        ]
        left_out = f" ({' and '.join(notes)} left out)" if notes else ""
        return f"{self.path}: {len(self.texts):,} texts{left_out}"


def read_corpus(source: str | Path, column: str = "text", on_bad_row: OnBadRow = "error") -> Corpus:
    """Read raw texts; empty ones are left out and counted, for they teach nothing.

    Args:
        source: file or hub data set.
        column: that holds the text.
        on_bad_row: error, or skip, for rows that cannot be read or whose value is no text.

    Raises:
        DataError: the file, the column or a row cannot be used, or no text is left.
    """
    table = read_table(source, columns=[column], on_bad_row=on_bad_row)
    problems = RowProblems(table.path, on_bad_row, list(table.skipped))
    distinct: dict[str, None] = {}
    repeats = empty = 0
    for text, line in zip(table[column], table.lines.tolist(), strict=True):
        if text is None or (isinstance(text, str) and not text.strip()):
            empty += 1
        elif not isinstance(text, str):
            problems.report(line, f"{text!r} is not a text.", column)
        elif text in distinct:
            repeats += 1
        else:
            distinct[text] = None
    if not distinct:
        raise DataError("it holds no text.", path=table.path, column=column)
    skipped = empty + len(problems.skipped)
    return Corpus(list(distinct), repeats, skipped, table.path, table.sha256)


def split_corpus(
    corpus: Corpus,
    *,
    validation: Corpus | None = None,
    hold_out: float | None = None,
    seed: int = 0,
) -> tuple[list[str], list[str]]:
    """Texts to train on, and held-out ones.

    Args:
        corpus: all texts there are to train on.
        validation: the held-out texts, where they are given; none of them is trained on.
        hold_out: share of the corpus that is held out otherwise, 0 for none; by default 5 %, at
            most 2,000 texts.
        seed: decides which.

    Raises:
        DataError: when too few texts would be left.
    """
    if validation is not None:
        seen = set(validation.texts)
        kept = [text for text in corpus.texts if text not in seen]
        if not kept:
            raise DataError("every text of it stands in the validation file.", path=corpus.path)
        return kept, validation.texts
    total = len(corpus.texts)
    if hold_out is None:
        count = min(round(HELD_OUT * total), MOST_HELD_OUT)
    else:
        count = round(hold_out * total)
        if hold_out and not 0 < count < total:
            raise DataError("too few different texts to hold some out.", path=corpus.path)
    chosen = np.zeros(total, dtype=bool)
    chosen[np.random.default_rng([seed, 1]).permutation(total)[:count]] = True
    pairs = list(zip(corpus.texts, chosen.tolist(), strict=True))
    return [text for text, out in pairs if not out], [text for text, out in pairs if out]
