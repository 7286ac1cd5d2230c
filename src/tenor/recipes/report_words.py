"""What the reports of runs, sweeps and comparisons say in the same way."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenor.errors import DataError
from tenor.evaluation.intervals import PairedDifference
from tenor.evaluation.report_sections import Comparison, Estimate, Repeat
from tenor.evaluation.run_sections import Table
from tenor.models.bulk import duration
from tenor.training.run import COMMAND, CONFIG, DATA

__all__ = [
    "change_in_words",
    "compared",
    "data_in_words",
    "estimate_of",
    "estimates",
    "figure_in_words",
    "log_entries",
    "repeat_of",
    "seconds_in_words",
    "settings_of",
    "systems_table",
]

LOWER_IS_BETTER = ("loss", "perplexity", "error")


def settings_of(folder: Path) -> dict[str, Any]:
    """The settings in a folder's config.toml.

    Raises:
        DataError: it is no TOML.
    """
    path = folder / CONFIG
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"is damaged: {error}.", path=path) from None


def log_entries(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; those that were being written when a run was killed are left out."""
    if not path.exists():
        return []
    entries = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    return entries


def estimates(result: Mapping[str, Any]) -> dict[str, Estimate]:
    """The figures of an evaluation's JSON with their intervals, by name."""
    return {name: estimate_of(result, name) for name in result["metrics"]}


def estimate_of(result: Mapping[str, Any], metric: str) -> Estimate:
    """One figure of an evaluation's JSON."""
    low, high = result["intervals"].get(metric, (None, None))
    return Estimate(_number(result["metrics"].get(metric)), _number(low), _number(high))


def compared(
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    metric: str | None,
    difference: Mapping[str, Any] | None,
) -> list[Comparison]:
    """Every figure of two evaluations on the same items, the one that decides first.

    Args:
        before: an evaluation's JSON.
        after: another's.
        metric: the figure that decides.
        difference: what is known of it, paired over the items.
    """
    names = [name for name in after["metrics"] if name in before["metrics"]]
    names.sort(key=lambda name: name != metric)
    paired = None
    if difference is not None:
        paired = PairedDifference(
            *(_number(difference.get(name)) for name in ("value", "low", "high", "p"))
        )
    return [
        Comparison(
            metric=name,
            before=estimate_of(before, name),
            after=estimate_of(after, name),
            difference=paired if name == metric else None,
            higher_is_better=not any(word in name for word in LOWER_IS_BETTER),
        )
        for name in names
    ]


def systems_table(
    title: str,
    metric: str,
    results: Mapping[str, Mapping[str, Any]],
    differences: Mapping[str, str],
    kept: str | None = None,
    note: str = "",
) -> Table:
    """Several models that were measured on the same items.

    Args:
        title: heading.
        metric: the figure that decides.
        results: their evaluations' JSON, by name.
        differences: what is known of each against another, in words.
        kept: the one in model/.
        note: what a reader should know.
    """
    rows = [
        [
            f"{name} (kept)" if name == kept else name,
            figure_in_words(estimate_of(result, metric)),
            differences.get(name, "–"),
        ]
        for name, result in results.items()
    ]
    return Table(title=title, head=["model", metric, "difference, paired"], rows=rows, note=note)


def figure_in_words(estimate: Estimate) -> str:
    """A figure and its interval."""
    if not math.isfinite(estimate.value):
        return "–"
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return f"{estimate.value:.3f}"
    return f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def change_in_words(change: Mapping[str, Any], against: str = "") -> str:
    """A paired difference, its interval and the verdict."""
    words = f"{change['value']:+.3f} [{change['low']:+.3f}, {change['high']:+.3f}]"
    against = f" against {against}" if against else ""
    return f"{words}{against}: {change['verdict']}".replace("-", "−")


def data_in_words(data: Mapping[str, Any]) -> str:
    """A data set's name; of a path only the end."""
    if data.get("name"):
        return str(data["name"])
    return Path(str(data["path"])).name if data.get("path") else "unnamed data"


def repeat_of(folder: Path, result: Mapping[str, Any]) -> Repeat:
    """Everything that is needed to do a run or a sweep again."""
    settings = {**settings_of(folder), **result.get("chosen", {})}
    hashes: dict[str, object] = {}
    base = result.get("base_model")
    if isinstance(base, dict) and base.get("sha256"):
        hashes[f"start: {base['name']}"] = base["sha256"]
    data = folder / DATA
    if data.exists():
        hashes |= {f"data: {name}": value for name, value in json.loads(data.read_text()).items()}
    for side in ("after", "before"):
        measured = (result.get(side) or {}).get("data") or {}
        if measured.get("sha256"):
            hashes.setdefault(f"data: {data_in_words(measured)}", measured["sha256"])
    if (result.get("model") or {}).get("sha256"):
        hashes["model/"] = result["model"]["sha256"]
    machine = dict(result.get("machine") or {})
    if result.get("dtype"):
        machine["dtype"] = result["dtype"]
    command = folder / COMMAND
    typed = command.read_text(encoding="utf-8").strip() if command.exists() else ""
    return Repeat(
        command=typed or f"# the settings of {folder.name}/{CONFIG}, by the library",
        config={name: value for name, value in settings.items() if name != "seed"},
        versions=result.get("versions") or {},
        hashes=hashes,
        seeds={"seed": settings["seed"]} if "seed" in settings else {},
        machine=machine,
    )


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def seconds_in_words(seconds: float) -> str:
    """A time as a person says it."""
    return f"{seconds:.1f} s" if seconds < 90 else duration(seconds)
