"""The commands that make or clean data with a model: hard negatives and duplicates."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from tenor.recipes.duplicates import DuplicatesSettings
from tenor.recipes.mine import MineSettings

__all__ = ["duplicates", "mine"]

Config = Annotated[
    Path | None, Parameter(help="TOML file with any of these settings; flags go before it.")
]


def mine(
    model: str,
    /,
    *,
    settings: Annotated[MineSettings, Parameter(name="*")],
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
    config: Config = None,
) -> None:
    """Add hard negatives to pairs: texts that look like the positive and are not.

    Args:
        model: the bi-encoder: a name, folder or hub id.
        json_output: print the counts as one JSON object on stdout.
    """
    from tenor.recipes.mine import MineConfig, mine_negatives

    report = mine_negatives(MineConfig(model=model, **asdict(settings)))
    if json_output:
        _print_json(report)
        return
    dropped = {f"dropped: {name}": count for name, count in report["dropped"].items() if count}
    names = (
        "rows", "anchors", "corpus", "candidates", *dropped, "rows_short", "rows_dropped",
        "rows_written", "negatives", "random", "mean_positive_score", "mean_negative_score",
    )  # fmt: skip
    _print_table("mined hard negatives", {name: (report | dropped)[name] for name in names})


def duplicates(
    model: str,
    file: str,
    /,
    *,
    settings: Annotated[DuplicatesSettings, Parameter(name="*")],
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
    config: Config = None,
) -> None:
    """Find pairs of texts that say the same, and clusters of them.

    Args:
        model: the bi-encoder: a name, folder or hub id.
        file: csv, tsv, jsonl, parquet or txt (a text a line), also .gz.
        json_output: print the counts as one JSON object on stdout.
    """
    from tenor.recipes.duplicates import DuplicatesConfig, duplicates_in_file

    report = duplicates_in_file(DuplicatesConfig(model=model, file=file, **asdict(settings)))
    if json_output:
        _print_json(report)
        return
    names = (
        "texts", "distinct", "repeats", "empty", "pairs", "highest", "lowest", "clusters",
        "clustered", "largest_cluster",
    )  # fmt: skip
    _print_table("duplicates", {name: report[name] for name in names})


def _print_json(report: dict[str, Any]) -> None:
    json.dump(report, sys.stdout, ensure_ascii=False)
    sys.stdout.write("\n")


def _print_table(title: str, figures: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("count", "value", title=title)
    for name, value in figures.items():
        text = "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
        table.add_row(name.replace("_", " "), text)
    Console().print(table)
