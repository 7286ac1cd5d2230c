"""The end of a freeze sweep: the rows beside each other, their differences, and the chart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenor.evaluation.compare import difference
from tenor.evaluation.freeze_chart import freeze_chart
from tenor.formats.atomic import write_text
from tenor.recipes.sweep_depth import Depth
from tenor.recipes.tell import tell
from tenor.training.run import machine, versions

if TYPE_CHECKING:
    from tenor.recipes.sweep import FreezeSweepConfig

__all__ = ["draw", "outcome", "tell_outcome"]

CHART = "freeze.svg"


def outcome(
    config: FreezeSweepConfig, made: list[Depth], *, blocks: int, metric: str
) -> dict[str, Any]:
    """What result.json holds of the depths.

    Args:
        config: the settings.
        made: the depths, in rising order.
        blocks: how many the encoder has.
        metric: the figure that decides.
    """
    first = made[0]
    second = "accuracy" if "accuracy" in first.result.metrics else "subset_accuracy"
    return {
        "method": "freeze sweep",
        "metric": metric,
        "blocks": blocks,
        "against_depth": first.row["depth"],
        "rows": [
            {
                **one.row,
                "against": {
                    name: None if one is first else difference(first.result, one.result, name)
                    for name in (metric, second)
                },
            }
            for one in made
        ],
        "base_model": {"name": config.model},
        "epochs": config.epochs,
        "versions": versions(),
        "machine": machine(),
    }


def draw(result: dict[str, Any], folder: Path) -> str:
    """Draw the curve into the folder of the sweep, and return the file's name."""
    write_text(folder / CHART, freeze_chart(result["rows"], result["metric"]))
    return CHART


def tell_outcome(result: dict[str, Any]) -> None:
    """Say which depth is as good as the first, and what it saves."""
    rows, metric = result["rows"], result["metric"]
    first = rows[0]
    as_good = [row for row in rows[1:] if row["against"][metric]["verdict"] != "worse"]
    if not as_good:
        tell(f"every deeper one is clearly worse than {first['depth']} frozen blocks by {metric}")
        return
    deepest = as_good[-1]
    change = deepest["against"][metric]
    tell(
        f"up to {deepest['depth']} frozen blocks are not clearly worse than {first['depth']} "
        f"({metric} {change['value']:+.4f} [{change['low']:+.4f}, {change['high']:+.4f}]): "
        f"trained in {deepest['train_seconds']:.1f} s instead of {first['train_seconds']:.1f} s"
    )
