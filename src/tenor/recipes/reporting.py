"""Every recipe leaves a report in its folder, where the extra `report` is installed."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tenor.errors import MissingExtraError

__all__ = ["REPORT", "leave_report", "leaves_report"]

log = logging.getLogger("tenor")

REPORT = "report.html"

Config = TypeVar("Config")


def leaves_report(
    recipe: Callable[[Config], dict[str, Any]],
) -> Callable[[Config], dict[str, Any]]:
    """A recipe that ends with a report in the folder its settings name as `out`.

    Args:
        recipe: from settings to what result.json holds.
    """

    @functools.wraps(recipe)
    def reported(config: Config) -> dict[str, Any]:
        result = recipe(config)
        leave_report(str(config.out))  # type: ignore[attr-defined]
        return result

    return reported


def leave_report(folder: str | Path) -> Path | None:
    """Write the report of a run that is done, and say where it is.

    Whatever goes wrong with it is said and no more: the run is done, and its files are there.

    Args:
        folder: of the run.

    Returns:
        The file; `None` where there is none.
    """
    from tenor.training.processes import is_first_process

    if not is_first_process():
        return None
    from tenor.recipes.report import write_run_report

    try:
        path = write_run_report(folder)
    except MissingExtraError as error:
        log.info("no report: %s", error)
        return None
    except Exception as error:
        log.warning("no report could be made of %s: %s: %s", folder, type(error).__name__, error)
        return None
    log.info("report: %s", path)
    return path
