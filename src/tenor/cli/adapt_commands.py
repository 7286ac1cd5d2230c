"""The command of domain adaptation."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from tenor.recipes.adapt import AdaptConfig

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["adapt"]

Config = Annotated[
    Path | None, Parameter(help="TOML file with any of these settings; flags go before it.")
]


def adapt(
    settings: Annotated[AdaptConfig, Parameter(name="*")],
    *,
    config: Config = None,
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Adapt an embedder to a domain: raw text first, labels last, every stage measured.

    A plain encoder first learns the target's raw text (TSDAE), then the labels: pairs from anywhere
    (contrastive), or few gold pairs that a cross-encoder makes many of (augmented). Every stage and
    the untouched model are measured on the same held-out data; the best is kept, and if none is
    clearly better than the untouched model, this is said.
    """
    from tenor.recipes.adapt import adapt as run

    result = run(settings)
    if json_output:
        json.dump(result, sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")
        return
    from rich.console import Console

    Console().print(_table(result))


def _table(result: dict[str, Any]) -> Table:
    """A line for each model: its figure, and the paired differences."""
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table("", title=f"{result['metric']}, 95 % intervals", box=SIMPLE, pad_edge=False)
    for column in ("figure", "against untouched", "against before"):
        table.add_column(column, justify="right")
    for name, value in result["metrics"].items():
        low, high = result["intervals"][name]
        changes = result["differences"].get(name, {})
        kept = "\n(kept)" if name == result["kept"] else ""
        table.add_row(
            name.replace("/", "/\n") + kept,
            f"{value:.4f}\n[{low:.4f}, {high:.4f}]",
            _change(changes.get("against_untouched")),
            _change(changes.get("against_the_one_before")),
        )
    return table


def _change(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    return f"{found['value']:+.4f}\n[{found['low']:+.4f}, {found['high']:+.4f}]"
