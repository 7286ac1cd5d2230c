"""The commands that train the same model with one setting changed again and again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from tenor.recipes.sweep import FreezeSweepConfig

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["add_to", "freeze"]

Config = Annotated[
    Path | None, Parameter(help="TOML file with any of these settings; flags go before it.")
]


def add_to(app: App) -> None:
    """Add the group of commands `sweep`.

    Args:
        app: the application.
    """
    sweep = App(name="sweep", help="Train with one setting changed again and again.")
    sweep.command(freeze)
    app.command(sweep)


def freeze(
    settings: Annotated[FreezeSweepConfig, Parameter(name="*")],
    *,
    config: Config = None,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Train a classifier with more and more frozen blocks: what that costs, and what it saves.

    Every depth is trained with the same batches and measured on the same test texts. Blocks that
    are frozen run once a text in the whole sweep.
    """
    from tenor.recipes.sweep import sweep_freeze

    result = sweep_freeze(settings)
    if json_output:
        json.dump(result, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    from rich.console import Console

    console = Console()
    console.print(_table(result))
    if result["chart"]:
        console.print(f"chart: {settings.out}/{result['chart']}", highlight=False)


def _table(result: dict[str, Any]) -> Table:
    """A line for each depth."""
    from rich.box import SIMPLE
    from rich.table import Table

    metric = result["metric"]
    second = "accuracy" if "accuracy" in result["rows"][0]["against"] else "subset_accuracy"
    title = f"frozen blocks of {result['blocks']}, test, 95 % intervals"
    table = Table("frozen", title=title, box=SIMPLE, pad_edge=False)
    against = f"against {result['against_depth']}"
    for column in (metric, against, second, "trained parameters", "time", "peak memory"):
        table.add_column(column, justify="right")
    for row in result["rows"]:
        figures, intervals = row["test"]["metrics"], row["test"]["intervals"]
        low, high = intervals[metric]
        change = row["against"][metric]
        changed = "" if change is None else f"{change['value']:+.4f}\n{change['verdict']}"
        memory = "" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 2**30:.2f} GiB"
        table.add_row(
            str(row["depth"]),
            f"{figures[metric]:.4f}\n{low:.4f} to {high:.4f}",
            changed,
            f"{figures[second]:.4f}",
            f"{row['trained_parameters']:,}",
            f"{row['train_seconds']:.1f} s",
            memory,
        )
    return table
