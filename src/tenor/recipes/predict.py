"""Labels for a whole file: rows stream in, and stream out with their labels."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tenor.data.labelled_texts import SEPARATOR
from tenor.data.problems import OnBadRow, RowProblems
from tenor.data.read import count_rows
from tenor.errors import ConfigError, DataError
from tenor.formats.table_writer import written_table
from tenor.models.classifier import TextClassifier
from tenor.recipes.row_output import changed_type, column_types, writable
from tenor.recipes.text_rows import TextRows, check_other_file

__all__ = ["predict_file"]

log = logging.getLogger("tenor")

BLOCK = 32_768  # rows that stand in memory at a time


def predict_file(
    model: TextClassifier,
    source: str | Path,
    out: str | Path,
    *,
    column: str = "text",
    threshold: float = 0.5,
    all_probabilities: bool = False,
    on_bad_row: OnBadRow = "error",
    tokens_per_batch: int | None = None,
    block: int = BLOCK,
) -> dict[str, float]:
    """Write every row of a file with the label of its text and the label's probability.

    The file appears under its name when it is complete; memory stays flat however long it is.

    Args:
        model: the classifier.
        source: csv, tsv, jsonl, parquet or txt, also .gz, or a hub data set.
        out: .csv, .tsv, .jsonl or .parquet: the columns of the source, then `label` and
            `probability` (`predicted_label`, `predicted_probability` where the source has columns
            of these names). Of several labels a text: lists, or in csv and tsv joined by `|`.
        column: which column holds the texts.
        threshold: probability from which a label is given, where a text may have several.
        all_probabilities: a column for each label's probability, too: `probability_<label>`.
        on_bad_row: "error", or "skip" to leave out rows that cannot be read or have no text.
        tokens_per_batch: tokens run at a time; chosen for the device by default.
        block: rows that stand in memory at a time.

    Returns:
        rows, skipped, truncated, seconds.

    Raises:
        DataError: for a row that cannot be read; no output is left.
        ConfigError: for an output that is the source, or a threshold that is not from 0 to 1.
    """
    start = time.perf_counter()
    target = Path(out)
    check_other_file(source, target)
    if not 0 <= threshold <= 1:
        raise ConfigError("threshold", threshold, "a probability from 0 to 1")
    problems = RowProblems(str(source), on_bad_row)
    rows = TextRows(source, (column,), problems, block)
    found = model.predict_proba_blocks(
        rows.texts(), total=count_rows(source), tokens_per_batch=tokens_per_batch
    )
    first = next(found, None)
    if first is None:
        problems.require_rows(0)
    assert first is not None  # or there was no row
    names = _names(rows.columns, model.labels, all_probabilities)
    joined = target.suffix.lower() in (".csv", ".tsv")
    given: Counter[str] = Counter()
    written = truncated = 0
    kept = column_types(source, rows.waiting[0])
    schema = pa.schema([*kept, *_added_types(names, model.multi_label)])
    with written_table(target, schema) as table:
        for probabilities, cut in chain([first], found):
            columns = rows.waiting.popleft()
            labels = model.labels_of(probabilities, threshold=threshold)
            given.update(_each(labels))
            values: list[Any] = [writable(each, target.suffix) for each in columns.values()]
            values += _results(labels, probabilities, model, threshold, joined=joined)
            if all_probabilities:
                values += list(probabilities.T)
            try:
                table.write(values)
            except pa.ArrowException as error:
                raise changed_type(source, schema, values, error) from error
            written += len(probabilities)
            truncated += cut
    seconds = time.perf_counter() - start
    _report(given, written, len(problems.skipped), truncated, seconds, target)
    return {
        "rows": written,
        "skipped": len(problems.skipped),
        "truncated": truncated,
        "seconds": seconds,
    }


def _names(
    columns: Sequence[str], labels: Sequence[str], all_probabilities: bool
) -> tuple[str, ...]:
    """Names of the columns that are added: that of the label, of its probability, of all."""
    taken = set(columns)
    first = "" if not {"label", "probability"} & taken else "predicted_"
    every = [f"probability_{label}" for label in labels] if all_probabilities else []
    names = (f"{first}label", f"{first}probability", *every)
    repeated = sorted(taken & set(names))
    if repeated:
        raise DataError(
            f"it has the columns {', '.join(map(repr, repeated))} already, which predictions would "
            "get; rename them or leave them out."
        )
    return names


def _added_types(names: Sequence[str], multi_label: bool) -> list[pa.Field]:
    label, probability = pa.string(), pa.float32()
    if multi_label:
        label, probability = pa.list_(label), pa.list_(probability)
    every = [pa.field(name, pa.float32()) for name in names[2:]]
    return [pa.field(names[0], label), pa.field(names[1], probability), *every]


def _results(
    labels: Sequence[Any],
    probabilities: npt.NDArray[np.float32],
    model: TextClassifier,
    threshold: float,
    *,
    joined: bool,
) -> list[Any]:
    """The label and the probability of each row, as the format takes them."""
    if not model.multi_label:
        return [labels, probabilities.max(axis=1)]
    shares = [[_short(share) for share in row[row >= threshold]] for row in probabilities]
    if not joined:
        return [[list(names) for names in labels], shares]
    return [
        [SEPARATOR.join(names) for names in labels],
        [SEPARATOR.join(map(str, row)) for row in shares],
    ]


def _short(share: np.float32) -> float:
    """As the shortest decimal that means it."""
    return float(str(share))


def _each(labels: Sequence[Any]) -> Iterator[str]:
    for names in labels:
        yield from [names] if isinstance(names, str) else names or ["(none)"]


def _report(
    given: Counter[str], rows: int, skipped: int, truncated: int, seconds: float, target: Path
) -> None:
    most = given.most_common(8)
    shown = ", ".join(f"{label} {count:,}" for label, count in most)
    log.info("labels given: %s%s", shown, ", …" if len(given) > len(most) else "")
    left_out = f", {skipped:,} bad rows skipped" if skipped else ""
    log.info(
        "%s rows%s, %s truncated, %.1f s (%.0f a second): %s",
        f"{rows:,}", left_out, f"{truncated:,}", seconds, rows / max(seconds, 1e-9), target,
    )  # fmt: skip
