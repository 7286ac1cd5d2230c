"""What a command says: a result as a table, or as one JSON object."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenor.evaluation.result import EvaluationResult

__all__ = ["print_result"]


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
