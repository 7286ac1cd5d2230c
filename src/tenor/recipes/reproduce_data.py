"""The rows of published experiments, from a folder of data sets or from the hub."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tenor.data.read import read_table
from tenor.errors import DataError
from tenor.formats.table_writer import write_parquet
from tenor.recipes.experiments import DataSource, Experiment

__all__ = ["prepare_data"]

log = logging.getLogger("tenor")


def prepare_data(
    experiment: Experiment, folder: Path | None, out: Path, max_rows: int | None = None
) -> dict[str, str]:
    """Write what an experiment needs as Parquet files.

    Args:
        experiment: which.
        folder: holds the data sets as `NAME/SPLIT.parquet`; `None` for those of the hub.
        out: folder for the files.
        max_rows: of each file to train on, for a try.

    Returns:
        The file, or the folder of a local task, by the name the experiment has for it.

    Raises:
        DataError: a file is not there, or the hub cannot be reached; says what else can be done.
    """
    found = {}
    for name, source in experiment.data.items():
        target = out / (source.folder or name) / f"{name}.parquet" if source.folder else None
        path = target or out / f"{name}.parquet"
        if not path.exists():
            table = _rows(source, folder, max_rows)
            write_parquet(path, pa.table(table))
            count = len(next(iter(table.values())))
            log.info("%s: %s rows of %s", path, f"{count:,}", _whence(source, folder))
        found[name] = str(path)
        if source.folder is not None:
            found[source.folder] = str(path.parent)
    return found


def _rows(source: DataSource, folder: Path | None, max_rows: int | None) -> dict[str, list[Any]]:
    table = _read(source, folder)
    first, last = source.rows or (0, len(table))
    if first >= len(table):
        raise DataError(
            f"has {len(table):,} rows; this experiment takes those from {first:,} on.",
            path=_whence(source, folder),
        )
    chosen = np.arange(first, min(last, len(table)))
    if max_rows is not None and not source.measured:
        # Drawn, not the first: files are sorted by their labels.
        chosen = np.sort(np.random.default_rng(0).permutation(chosen)[:max_rows])
    columns = {name: [table[name][row] for row in chosen] for name in source.columns}
    if source.as_text:
        texts = dict.fromkeys(text for values in columns.values() for text in values)
        return {"text": list(texts)}
    if source.positives is not None:
        rows = zip(*columns.values(), strict=True)
        pairs = [(left, right) for left, right, label in rows if label in source.positives]
        return {
            "anchor": [left for left, _ in pairs],
            "positive": [right for _, right in pairs],
        }
    if source.same is not None:
        left, right, label = source.columns
        return {
            "sentence1": columns[left],
            "sentence2": columns[right],
            "label": [int(value in source.same) for value in columns[label]],
        }
    return columns


def _read(source: DataSource, folder: Path | None) -> Any:
    if folder is not None:
        path = folder / source.file
        if not path.exists():
            raise DataError(
                f"is missing: --data names a folder that holds {source.file}; without it the data "
                f"set {source.hub} of the hub is taken.",
                path=path,
            )
        return read_table(path, columns=source.columns)
    try:
        return read_table(source.hub, columns=source.columns, split=source.split)
    except DataError as error:
        raise DataError(
            f"{error.problem} Name a folder that holds {source.file} with --data.",
            path=source.hub,
        ) from error


def _whence(source: DataSource, folder: Path | None) -> str:
    return f"{source.hub}, {source.split}" if folder is None else str(folder / source.file)
