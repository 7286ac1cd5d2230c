"""Starting the processes of a comparison, one model at a time, and reading what they answer."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tenor
from tenor.errors import ModelError
from tenor.evaluation.local_tasks import LocalTask
from tenor.formats.locate import hash_model, locate
from tenor.formats.model_kind import model_kind
from tenor.recipes.compare_tasks import MEASURED, can_measure

__all__ = ["ModelAnswer", "check_models", "measure_in_processes"]

log = logging.getLogger("tenor")


@dataclass(frozen=True)
class ModelAnswer:
    """What a process gave: the figures of a model, and the file of its items' values."""

    figures: dict[str, Any]
    items_file: Path


def check_models(names: Sequence[str], tasks: Sequence[LocalTask]) -> None:
    """Look for every model, and for a task for it, before the first is measured.

    Args:
        names: names, folders or hub ids.
        tasks: to measure them on.

    Raises:
        ModelError: there is no such model, or none of the tasks is one for its kind.
    """
    for name in names:
        kind = model_kind(locate(name))
        if kind == "tagger":
            raise ModelError(
                f"{name} is a tagger, and there is no task for taggers here; measure it with "
                "`tenor evaluate tagging`."
            )
        if not any(can_measure(kind, task.kind) for task in tasks):
            there = ", ".join(dict.fromkeys(task.kind for task in tasks))
            raise ModelError(
                f"{name} is a {kind}, which is measured on {' and '.join(MEASURED[kind])}; there "
                f"is only {there} here. Leave it out, or name a task for it, too."
            )


@contextmanager
def measure_in_processes(
    names: Sequence[str], request: Mapping[str, Any], folder: Path | None = None
) -> Iterator[tuple[list[ModelAnswer], list[dict[str, str]]]]:
    """Measure models one after the other, each in a process of its own.

    Args:
        names: names, folders or hub ids.
        request: what `answer_request` takes, but for the model.
        folder: keeps what each model gave until all is done, so that a comparison that was stopped
            goes on: the same request of the same weights is not made again.

    Yields:
        What was measured, in the order of the names, and of every model that failed its `model`
        and the `error`. The files are removed at the end.
    """
    measured: list[ModelAnswer] = []
    failed: list[dict[str, str]] = []
    with _scratch(folder) as scratch:
        for number, name in enumerate(names):
            log.info("model %d of %d: %s", number + 1, len(names), name)
            text = json.dumps({**request, "model": name}, sort_keys=True)
            digest = hashlib.sha256(f"{text} {hash_model(locate(name))}".encode()).hexdigest()
            answer = scratch / f"{digest[:16]}.json"
            error = None
            if answer.is_file():
                log.info("%s: measured before", name)
            else:
                error = _run(scratch / "request.json", text, answer)
            if error is None:
                figures = json.loads(answer.read_text(encoding="utf-8"))
                measured.append(ModelAnswer(figures, answer.with_suffix(".parquet")))
            else:
                log.error("%s: %s", name, error)
                failed.append({"model": name, "error": error})
        yield measured, failed


@contextmanager
def _scratch(folder: Path | None) -> Iterator[Path]:
    """A folder that is gone when all went well, and kept for the next time where it was named."""
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="tenor-compare-") as temporary:
            yield Path(temporary)
        return
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    shutil.rmtree(folder)


def _run(asked: Path, text: str, answer: Path) -> str | None:
    """Run one process to its end; what went wrong, or `None`."""
    asked.write_text(text, encoding="utf-8")
    level = logging.getLevelName(log.getEffectiveLevel())
    command = [
        sys.executable,
        "-m",
        "tenor.recipes.compare_process",
        str(asked),
        str(answer),
        level,
    ]
    home = str(Path(tenor.__file__).parents[1])  # the same tenor, installed or not
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    process = subprocess.Popen(command, env=environment, stdout=2)
    try:
        code = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if answer.is_file():
        error: str | None = json.loads(answer.read_text(encoding="utf-8")).get("error")
        if error is not None:
            answer.unlink()  # the next time may go well
        return error
    if code < 0:
        name = signal.Signals(-code).name
        hint = "; perhaps the memory was too little for it" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{hint}"
    return f"its process ended with code {code}: see its error above"
