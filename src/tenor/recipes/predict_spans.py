"""Spans for a whole file: rows stream in, and stream out with what a tagger found in them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from tenor.data.conll import read_conll
from tenor.data.problems import OnBadRow, RowProblems
from tenor.data.read import count_rows
from tenor.errors import DataError
from tenor.formats.table_writer import written_table
from tenor.models.bulk import cut_in_blocks
from tenor.models.tag import TaggedText
from tenor.models.tagger import Tagger
from tenor.recipes.row_output import changed_type, column_types, writable
from tenor.recipes.text_rows import TextRows, check_other_file

__all__ = ["predict_spans_file"]

log = logging.getLogger("tenor")

BLOCK = 8_192  # rows that stand in memory at a time
CONLL = frozenset([".conll", ".bio", ".iob", ".iob2"])
COLUMNS = ("text", "tokens", "words")
SPANS = pa.list_(
    pa.struct(
        [
            ("start", pa.int64()),
            ("end", pa.int64()),
            ("label", pa.string()),
            ("score", pa.float32()),
            ("text", pa.string()),
        ]
    )
)


def predict_spans_file(
    model: Tagger,
    source: str | Path,
    out: str | Path,
    *,
    column: str | None = None,
    on_bad_row: OnBadRow = "error",
    tokens_per_batch: int | None = None,
    block: int = BLOCK,
) -> dict[str, float]:
    """Write every row of a file with the spans found in its text.

    The file appears under its name when it is complete; memory stays flat however long it is.

    Args:
        model: the tagger.
        source: csv, tsv, jsonl, parquet or txt (a text a line), also .gz, or a hub data set, with a
            column of texts, or of lists of words; or CoNLL columns (.conll, .bio, .iob, .iob2),
            of which the first is read.
        out: .jsonl, .parquet, .csv or .tsv: the columns of the source, then `spans` (`found_spans`
            where the source has a column of this name): start, end, label, score and text of each;
            JSON in csv and tsv. Of lists of words also `tags` (`found_tags`), a BIO tag a word;
            their spans count characters of the words joined by spaces.
        column: which column holds the texts or lists of words; text, tokens or words by default,
            the first there is.
        on_bad_row: "error", or "skip" to leave out rows that cannot be read or have no text.
        tokens_per_batch: tokens run at a time; chosen for the device by default.
        block: rows that stand in memory at a time.

    Returns:
        rows, skipped, spans, seconds.

    Raises:
        DataError: for a row that cannot be read; no output is left.
        ConfigError: for an output that is the source.
    """
    start = time.perf_counter()
    target = Path(out)
    check_other_file(source, target)
    problems = RowProblems(str(source), on_bad_row)
    names = COLUMNS if column is None else (column,)
    rows = _Rows(source, names, problems, block, what="texts, or the lists of words,")
    found = model.tag_blocks(
        rows.texts(), total=count_rows(source), tokens_per_batch=tokens_per_batch
    )
    first = next(found, None)
    if first is None:
        problems.require_rows(0)
    assert first is not None
    added = _added(rows)
    schema = pa.schema([*column_types(source, rows.waiting[0]), *added])
    counts: Counter[str] = Counter()
    written = 0
    with written_table(target, schema) as table:
        for tagged in chain([first], found):
            columns = rows.waiting.popleft()
            values = list(columns.values()) + _results(tagged, tags=len(added) > 1)
            values = [writable(each, target.suffix) for each in values]
            try:
                table.write(values)
            except pa.ArrowException as error:
                raise changed_type(source, schema, values, error) from error
            written += len(tagged)
            counts.update(span.label for one in tagged for span in one.spans)
    seconds = time.perf_counter() - start
    shown = ", ".join(f"{label} {count:,}" for label, count in counts.most_common())
    left_out = f", {len(problems.skipped):,} bad rows skipped" if problems.skipped else ""
    log.info("spans found: %s", shown or "none")
    log.info(
        "%s rows%s, %.1f s (%.0f a second): %s",
        f"{written:,}", left_out, seconds, written / max(seconds, 1e-9), target,
    )  # fmt: skip
    return {
        "rows": written,
        "skipped": len(problems.skipped),
        "spans": counts.total(),
        "seconds": seconds,
    }


class _Rows(TextRows):
    """Rows of texts, or of lists of words; what the first row is, all are."""

    lists = False  # whether they are lists of words

    def texts(self) -> Iterator[list[Any]]:
        """Block after block of texts, or of lists of words."""
        name = Path(self.source).name.lower().removesuffix(".gz")
        if Path(name).suffix not in CONLL:
            yield from super().texts()
            return
        self.lists = True
        sentences = read_conll(self.source, self.problems, tags=False)
        for block in cut_in_blocks(sentences, self.block):
            words = [sentence.words for sentence in block]
            self.waiting.append({"tokens": words})
            yield words

    def fault(self, text: Any) -> str | None:
        """What is wrong with a value that is not as the first one, in words."""
        if not self.waiting:  # of the first block the first row says what all are
            self.lists = isinstance(text, list)
        if not self.lists:
            return super().fault(text)
        words = isinstance(text, list) and all(isinstance(w, str) and w.strip() for w in text)
        return None if words else f"{text!r} is not a list of words that are not empty."


def _added(rows: _Rows) -> list[pa.Field]:
    """The columns that are added, under names that the source has not."""
    taken = set(rows.waiting[0])
    names = ["spans", "tags"] if rows.lists else ["spans"]
    if taken & set(names):
        names = [f"found_{name}" for name in names]
    repeated = sorted(taken & set(names))
    if repeated:
        raise DataError(
            f"it has the columns {', '.join(map(repr, repeated))} already, which predictions would "
            "get; rename them or leave them out.",
            path=rows.source,
        )
    return [
        pa.field(n, kind) for n, kind in zip(names, (SPANS, pa.list_(pa.string())), strict=False)
    ]


def _results(tagged: Sequence[TaggedText], *, tags: bool) -> list[Any]:
    spans = [
        [
            {
                "start": span.start,
                "end": span.end,
                "label": span.label,
                "score": round(span.score, 6),
                "text": span.text,
            }
            for span in one.spans
        ]
        for one in tagged
    ]
    return [spans, [one.tags for one in tagged]] if tags else [spans]
