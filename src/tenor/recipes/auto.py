"""Auto: the plan's candidates within a time budget, the best by validation, confirmed once.

Each candidate is an ordinary run in the folder, so that whoever is stopped goes on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tenor.errors import ConfigError
from tenor.recipes.reporting import leaves_report
from tenor.recipes.settings import DTYPES, check_choices, check_run_settings

__all__ = ["AutoConfig", "AutoSettings", "auto", "parse_budget"]

SHORTEST = 20.0  # seconds: less than loading a model and measuring it takes
_PARTS = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")


@dataclass(frozen=True, kw_only=True)
class AutoSettings:
    """Settings of `tenor auto`, for any folder.

    Attributes:
        budget: time for everything, such as 90s, 30m, 1h30m; a number alone counts minutes.
        out: folder of the result: result.json, model/, candidates/NAME/, data/. Started again with
            the same settings it goes on where it was stopped.
        model: embedder or encoder to start from: a name, folder or hub id.
        columns: role = column, where columns are not named as usual, such as anchor = title.
        max_seq_length: tokens of a text that count; the model's own limit by default.
        device: auto, cpu, cuda or mps.
        dtype: of the products: auto, bf16 or fp32.
        seed: decides the split, the batches, the dropout and new layers.
    """

    budget: str = "30m"
    out: str = "runs/auto"
    model: str = "all-MiniLM-L6-v2"
    columns: dict[str, str] | None = None
    max_seq_length: int | None = None
    device: str = "auto"
    dtype: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.model:
            raise ConfigError("model", self.model, "given")
        check_run_settings(self)
        check_choices(self, dtype=DTYPES)
        parse_budget(self.budget)


@dataclass(frozen=True, kw_only=True)
class AutoConfig(AutoSettings):
    """`tenor auto` for one folder.

    Attributes:
        folder: with the data: files that are called train, validation (or dev) and test, or a
            folder with corpus, queries and qrels among them. What is missing is split off the
            training rows.
    """

    folder: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.folder:
            raise ConfigError("folder", self.folder, "a folder or a file with labelled rows")


def parse_budget(text: str) -> float:
    """A time in seconds.

    Raises:
        ConfigError: it is no time, or too short for anything.

    >>> parse_budget("30m"), parse_budget("1h30m"), parse_budget("90s"), parse_budget("2")
    (1800.0, 5400.0, 90.0, 120.0)
    """
    given = str(text).strip().lower().replace(" ", "")
    allowed = f"a time such as 90s, 30m or 1h30m, of at least {SHORTEST:g} seconds"
    if re.fullmatch(r"\d+(\.\d+)?", given):
        seconds = 60.0 * float(given)
    else:
        found = _PARTS.fullmatch(given)
        if not given or found is None:
            raise ConfigError("budget", text, allowed)
        hours, minutes, rest = (float(part or 0.0) for part in found.groups())
        seconds = 3600.0 * hours + 60.0 * minutes + rest
    if seconds < SHORTEST:
        raise ConfigError("budget", text, allowed)
    return seconds


@leaves_report
def auto(config: AutoConfig) -> dict[str, Any]:
    """Try what fits within a time budget, keep the best model, and confirm it on the test data.

    Args:
        config: the settings.

    Returns:
        What result.json holds: `candidates` with their figures on the validation data and what
        became of them, `kept`, `test` (measured once, after the choice), `difference` on the test
        data against `baseline`, `used_seconds`.

    Raises:
        TenorError: for data or a model that cannot be used, or a budget too small for any
            candidate; nothing is lost.
    """
    import time

    started = time.monotonic()  # importing what is needed counts, too
    from tenor.recipes.auto_run import run_auto

    return run_auto(config, started)
