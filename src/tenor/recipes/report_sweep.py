"""The report of a freeze sweep."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tenor.evaluation.report import Report
from tenor.evaluation.report_sections import Section, Warnings
from tenor.evaluation.run_sections import Confusions, FreezeCurve, Table
from tenor.recipes.report_words import (
    change_in_words,
    estimate_of,
    figure_in_words,
    repeat_of,
    seconds_in_words,
)

__all__ = ["sweep_report"]


def sweep_report(folder: Path, result: Mapping[str, Any]) -> Report:
    """The report of a sweep over frozen depths.

    Args:
        folder: of the sweep.
        result: what its result.json holds.
    """
    metric, rows = result["metric"], result["rows"]
    first = rows[0]
    best = max(rows, key=lambda row: row["test"]["metrics"][metric])
    sections: list[Section] = [
        FreezeCurve(rows=rows, metric=metric),
        Table(
            title="Depth by depth",
            head=[
                "frozen blocks", metric, f"against {first['depth']} frozen", "trained parameters",
                "training", "peak memory",
            ],
            rows=[_row(row, metric) for row in rows],
            note="Differences are paired over the test texts.",
        ),
        Confusions(
            title=f"What is taken for what, with {best['depth']} frozen",
            labels=best["test"].get("labels") or [],
            cells=best["test"].get("confusion") or [],
        ),
        Warnings("About the data", [result["overlap"]] if result.get("overlap") else []),
    ]  # fmt: skip
    value = estimate_of(best["test"], metric)
    return Report(
        title=f"{folder.resolve().name}: what freezing costs and saves",
        subtitle=(
            f"The best depth on the test texts: {best['depth']} of {result['blocks']} blocks "
            f"frozen, {metric} {figure_in_words(value)}; chosen by it, the figure is optimistic."
        ),
        sections=sections,
        repeat=repeat_of(folder, result),
    )


def _row(row: Mapping[str, Any], metric: str) -> list[str]:
    change = (row.get("against") or {}).get(metric)
    memory = row["peak_bytes"]
    return [
        str(row["depth"]),
        figure_in_words(estimate_of(row["test"], metric)),
        "–" if change is None else change_in_words(change),
        f"{row['trained_parameters']:,}",
        seconds_in_words(row["train_seconds"]),
        "–" if memory is None else f"{memory / 2**30:.2f} GiB",
    ]
