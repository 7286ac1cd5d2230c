"""What a command says: a result as a table, or as one JSON object."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

if TYPE_CHECKING:
    from rich.table import Table

    from tenor.evaluation.result import EvaluationResult

__all__ = ["AsJson", "print_result", "print_run"]

AsJson = Annotated[
    bool, Parameter(name="--json", negative="", help="print one JSON object on stdout.")
]


def print_result(result: EvaluationResult, *, as_json: bool) -> None:
    """One JSON object on stdout, or a table."""
    if as_json:
        json.dump(result.to_json(), sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("metric", "value", "95 % interval", title=result.model["name"])
    for name, value in result.metrics.items():
        low, high = result.intervals[name]
        table.add_row(name, f"{value:.4f}", f"{low:.4f} to {high:.4f}")
    console = Console()
    console.print(table)
    console.print(f"n = {result.n:,}; {result.truncated:,} texts truncated; {result.seconds:.1f} s")
    for name, note in result.notes.items():
        console.print(f"{name.replace('_', ' ')}: {note}")


def print_run(result: dict[str, Any], *, as_json: bool) -> None:
    """What a recipe that trains gives: one JSON object, or a table where it ran over several seeds.

    The log has told the rest. Of several processes the first prints.

    Args:
        result: what result.json holds.
        as_json: print all of it.
    """
    from tenor.training.processes import is_first_process

    if not is_first_process():
        return
    if as_json:
        json.dump(result, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    if "kept_seed" not in result:
        return
    from rich.console import Console

    console = Console()
    for split, models in result["figures"].items():
        console.print(_seeds_table(split, models, result))
    console.print(result["kept_why"], markup=False, highlight=False)
    console.print(f"model: {result['model']['path']}", markup=False, highlight=False)


def _seeds_table(split: str, models: dict[str, Any], result: dict[str, Any]) -> Table:
    """A line for each figure, the deciding one first; a column for each model."""
    from rich.box import SIMPLE
    from rich.table import Table

    title = f"{split} data, {len(result['seeds'])} seeds, mean ± deviation"
    table = Table("", title=title, box=SIMPLE, pad_edge=False, title_justify="left")
    for name in models:
        table.add_column(name, justify="right")
    metric = result["metric"]
    names = {name: None for metrics in models.values() for name in metrics}
    for name in sorted(names, key=lambda each: each != metric):
        cells = (_mean(metrics.get(name)) for metrics in models.values())
        table.add_row(name, *cells, style="bold" if name == metric else None)
    return table


def _mean(found: dict[str, Any] | None) -> str:
    return "" if found is None else f"{found['mean']:.4f} ± {found['deviation']:.4f}"
