"""What recipes of several stages share: one process, a line in the log, rows between stages."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa

from tenor.data.schema import PairTable
from tenor.errors import TrainingError
from tenor.formats.atomic import replaced_folder
from tenor.formats.locate import hash_model
from tenor.formats.table_writer import write_parquet
from tenor.recipes.tell import tell_done
from tenor.training.run import RESULT, Run

__all__ = ["finished_before", "keep_model", "note", "require_one_process", "write_rows"]


def require_one_process(command: str, instead: str = "") -> None:
    """Raise `TrainingError` under torchrun: one stage's processes end before the next begins.

    Args:
        command: what was started.
        instead: what else can be spread, in words.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise TrainingError(
            f"{command} runs its stages one after another in one process: start it without "
            f"torchrun{instead}."
        )


def finished_before(config: Any) -> dict[str, Any] | None:
    """The result of a run that was done before, where this one shall go on with it; it is said.

    Args:
        config: the recipe's settings, with out and resume.

    Raises:
        ConfigError: when a setting differs from those of that run.
    """
    if not config.resume or not (Path(config.out) / RESULT).exists():
        return None
    finished = Run(config.out, config, resume=True).finished
    tell_done(config.out)
    return finished


def note(run: Run, stage: str, figures: dict[str, Any]) -> None:
    """A line in the run's log: a stage is done."""
    with run.log_path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"stage": stage, **figures}) + "\n")


def write_rows(table: PairTable, path: Path) -> None:
    """Write rows with their usual column names, scores on 0 to 1, whole or not at all."""
    columns: dict[str, Any] = dict(table.columns)
    if table.kind == "scored":
        columns["score"] = table.target
    elif table.target is not None:
        names = table.label_names if table.kind in ("nli", "labelled_texts") else None
        # By name: of numbers nobody can tell what they mean once rows are left out.
        labels = table.target if names is None else [names[label] for label in table.target]
        columns["label"] = labels
    write_parquet(path, pa.table(columns))


def keep_model(run: Run, source: Path, *, stage: str, card: str | None = None) -> dict[str, str]:
    """Copy a stage's model to model/.

    Args:
        run: of all the stages.
        source: the stage's model folder.
        stage: its name, for the record.
        card: text of README.md; the stage's own by default.
    """
    with replaced_folder(run.model) as target:
        shutil.copytree(source, target, dirs_exist_ok=True)
        if card is not None:
            (target / "README.md").write_text(card, encoding="utf-8")
    return {"path": str(run.model), "sha256": hash_model(run.model), "stage": stage}
