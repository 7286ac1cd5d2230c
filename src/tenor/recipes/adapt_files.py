"""The files that the stages of an adaptation read: rows as they are trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from tenor.formats.table_writer import write_parquet
from tenor.recipes.adapt_data import GOLD_KINDS, AdaptInputs
from tenor.recipes.stages import write_rows

__all__ = ["AdaptFiles", "write_files"]

FILE_KINDS = (*GOLD_KINDS, "pairs", "triplets")  # what Augmented SBERT can measure on


@dataclass(frozen=True)
class AdaptFiles:
    """What the stages read; labelled rows with their usual column names.

    Attributes:
        text: raw text of the target.
        column: of it.
        pairs: labelled rows of the stage contrastive.
        gold: labelled pairs of the stage augmented.
        validation: what chooses weights inside a stage: a file or a folder.
        gold_validation: the same for the stage augmented, which takes files of pairs only.
        evaluation: the held-out pairs, which the stage augmented may not label; `None` where they
            are a folder or no pairs.
    """

    text: str
    column: str
    pairs: str | None = None
    gold: str | None = None
    validation: str | None = None
    gold_validation: str | None = None
    evaluation: str | None = None


def write_files(inputs: AdaptInputs, column: str, folder: Path) -> AdaptFiles:
    """Write what the stages read, in a form that no option is needed for.

    What a resumed run wrote before is left as it is: its data are the same.

    Args:
        inputs: what was read.
        column: of the raw text.
        folder: where to.
    """
    tables = dict(inputs.tables)
    test = inputs.held_out.table
    if "gold" in tables and test is not None and test.kind in FILE_KINDS:
        tables["evaluation"] = test
    paths = {name: folder / f"{name}.parquet" for name in tables}
    for name, path in paths.items():
        if not path.exists():
            write_rows(tables[name], path)
    written = {name: str(path) for name, path in paths.items()}
    text = inputs.corpus.path
    if inputs.sampled:
        text, column = str(_write_texts(inputs.corpus.texts, folder / "text.parquet")), "text"
    held = tables.get("validation")
    return AdaptFiles(
        text=text,
        column=column,
        pairs=written.get("pairs"),
        gold=written.get("gold"),
        validation=inputs.validation_folder or written.get("validation"),
        gold_validation=written["validation"] if held and held.kind in FILE_KINDS else None,
        evaluation=written.get("evaluation"),
    )


def _write_texts(texts: list[str], path: Path) -> Path:
    if not path.exists():
        write_parquet(path, pa.table({"text": texts}))
    return path
