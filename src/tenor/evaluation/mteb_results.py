"""mteb's results in a folder: whole or not at all, never those of other data or another model."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenor.errors import ConfigError
from tenor.formats.atomic import sync, write_text

__all__ = ["ResultFolder"]

log = logging.getLogger("tenor")

MADE_BY = "made_by.jsonl"  # no .json: mteb takes every such file for a result


class ResultFolder:
    """Keeps results as mteb's own `ResultCache` does, in its layout and its files.

    `results/MODEL/REVISION/TASK.json`, with `model_meta.json` and `run_settings.jsonl` beside it:
    what can be handed in, and what `mteb.load_results` reads. mteb takes a stored result again
    whatever data it was measured on; here one of another data set's revision counts as missing,
    and so does one that cannot be read. With `made_by` results are kept under a revision that
    says nothing of the weights, so `made_by.jsonl` beside them does, and one of others is missing.

    Args:
        folder: made when the first result comes.
        revisions: of the tasks' data, by the names of the tasks.
        made_by: a hash of the weights and settings that measure; `None` where the revision is one.

    Raises:
        ConfigError: `folder` is a file.
    """

    def __init__(
        self, folder: str | Path, revisions: Mapping[str, str], made_by: str | None = None
    ) -> None:
        self.folder, self.revisions, self.made_by = Path(folder), dict(revisions), made_by
        if self.folder.exists() and not self.folder.is_dir():
            raise ConfigError("out", str(folder), "a folder")

    def path(self, task_name: str, meta: Any) -> Path:
        """Where a result lies, or will.

        Args:
            task_name: of the task.
            meta: `ModelMeta` of the model.
        """
        from mteb import ResultCache

        with tempfile.TemporaryDirectory() as scratch:  # asking it for a path makes its folder
            relative = ResultCache(scratch).get_task_result_path(task_name, meta)
            return self.folder / Path(relative).relative_to(scratch)

    def load_task_result(self, task_name: str, meta: Any) -> Any:
        """A stored result, or `None`; what `mteb.evaluate` asks before it works.

        Args:
            task_name: of the task.
            meta: `ModelMeta` of the model.
        """
        from mteb import TaskResult

        path = self.path(task_name, meta)
        if not path.is_file():
            return None
        try:
            found = TaskResult.from_disk(path)
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s cannot be read and is made anew: %s", path, error)
            return None
        revision = self.revisions.get(task_name, found.dataset_revision)
        if found.dataset_revision != revision:
            log.info("%s is of other data and is made anew", path)
            return None
        if self.made_by is not None and _makers(path.parent).get(task_name) != self._maker(path):
            log.info("%s is of other weights or settings and is made anew", path)
            return None
        return found

    def _maker(self, result: Path) -> list[str | None]:
        """What is noted of a result: who made it, and its hash, so that no note is of another."""
        return [self.made_by, hashlib.sha256(result.read_bytes()).hexdigest()]

    def save_to_cache(
        self, result: Any, meta: Any, *, encode_kwargs: Mapping[str, Any] | None = None
    ) -> None:
        """Store a result; what `mteb.evaluate` calls after each part of a task.

        Args:
            result: `TaskResult`.
            meta: `ModelMeta` of the model.
            encode_kwargs: of the run.
        """
        from mteb import ResultCache

        target = self.path(result.task_name, meta)
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".part-") as scratch:
            cache = ResultCache(scratch)
            written = cache.get_task_result_path(result.task_name, meta)
            written.parent.mkdir(parents=True)
            settings = target.with_name("run_settings.jsonl")
            if settings.is_file():  # mteb adds to it
                shutil.copy(settings, written.parent)
            cache.save_to_cache(result, meta, encode_kwargs=encode_kwargs)
            if self.made_by is not None:
                known = _makers(target.parent) | {result.task_name: self._maker(written)}
                lines = (json.dumps([task, *maker]) for task, maker in sorted(known.items()))
                write_text(target.with_name(MADE_BY), "".join(f"{line}\n" for line in lines))
            files = sorted(written.parent.iterdir(), key=lambda file: file == written)
            for file in files:  # the result last: where it is, all is
                sync(file)
                file.replace(target.parent / file.name)


def _makers(folder: Path) -> dict[str, list[str | None]]:
    """By whom the results of a folder were made, by task; none of what cannot be read."""
    try:
        rows = [json.loads(line) for line in (folder / MADE_BY).read_text("utf-8").splitlines()]
        return {task: maker for task, *maker in rows}
    except (OSError, ValueError, TypeError):
        return {}
