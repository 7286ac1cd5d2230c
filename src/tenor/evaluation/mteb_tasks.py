"""Which tasks a measurement with mteb does: mteb's own by name, and local data."""

from __future__ import annotations

import logging
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tenor.errors import ConfigError, DataError, MissingExtraError
from tenor.evaluation.local_tasks import find_local_task, list_local_tasks
from tenor.evaluation.mteb_data import local_mteb_task
from tenor.evaluation.mteb_labels import read_labels_once

__all__ = ["chosen_tasks", "mteb_library"]

log = logging.getLogger("tenor")


def mteb_library() -> Any:
    """The library mteb.

    Raises:
        MissingExtraError: it is not installed.
    """
    if find_spec("mteb") is None:
        raise MissingExtraError("mteb", "evaluating on MTEB's tasks")
    import mteb

    return mteb


def chosen_tasks(names: list[str], data: str | Path | None, language: str) -> list[Any]:
    """The tasks to do, in the order they were named; local ones are read.

    Args:
        names: of mteb's tasks or benchmarks, or of those in `data`; all of `data` if none.
        data: folder of a local task, or of several.
        language: of the local data, as mteb writes it.

    Raises:
        MissingExtraError: mteb is not installed.
        ConfigError: there is no such task or language, or no task is named.
        DataError: local data cannot be used.
    """
    mteb = mteb_library()
    local = {} if data is None else list_local_tasks(data)
    if data is None and not names:
        raise ConfigError("task", names, "at least one task of mteb, or data given in a folder")
    found: list[Any] = []
    if not names:
        names = _usable(local)
    for name in dict.fromkeys(names):
        if name in local:
            _check_language(language)
            found.append(local_mteb_task(find_local_task(local[name]), language=language))
        else:
            found += _of_mteb(mteb, name, local)
    return [read_labels_once(task) for task in found]


def _usable(local: dict[str, Path]) -> list[str]:
    """The local tasks that mteb has a kind for; the others are told and passed over."""
    usable = []
    for name, folder in local.items():
        try:
            task = find_local_task(folder)
        except DataError as error:
            if len(local) == 1:
                raise
            log.info("passed over: %s", textwrap.shorten(str(error), 120, placeholder=" …"))
            continue
        if task.kind == "ranking" and len(local) > 1:
            log.info("passed over: %s holds pairs to rank, which mteb has no task for", folder)
        else:
            usable.append(name)
    if not usable:
        raise DataError(f"none of {', '.join(local)} is a task that mteb has.")
    return usable


def _of_mteb(mteb: Any, name: str, local: dict[str, Path]) -> list[Any]:
    """A task of mteb, or those of a benchmark."""
    try:
        return [mteb.get_task(name)]
    except KeyError as error:
        unknown = str(error.args[0])
    try:
        return list(mteb.get_benchmark(name).tasks)
    except KeyError:
        hint = unknown.partition("not found")[2].strip(" .?")
        known = f", or one of the local tasks {', '.join(local)}" if local else ""
        asked = f" ({hint}?)" if "mean" in hint else ""
        raise ConfigError(
            "task", name, f"the name of a task or benchmark of mteb{known}{asked}"
        ) from None


def _check_language(language: str) -> None:
    from mteb.languages import check_language_code

    try:
        check_language_code(language)
    except ValueError as error:
        raise ConfigError("language", language, "such as eng-Latn or deu-Latn") from error
