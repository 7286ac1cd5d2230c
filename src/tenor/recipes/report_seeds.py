"""What the report of a run over several seeds says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tenor.evaluation.run_sections import Table

__all__ = ["kept_run", "seed_tables"]


def kept_run(folder: Path, result: Mapping[str, Any]) -> Path:
    """The run whose model is kept: the folder itself, unless it holds those of several seeds."""
    seed = result.get("kept_seed")
    return folder if seed is None else folder / f"seed-{seed}"


def seed_tables(result: Mapping[str, Any]) -> Iterator[Table]:
    """For each split a row a seed, and their mean and deviation: the figure that decides.

    Args:
        result: what result.json holds; of one seed there is no table.
    """
    if result.get("kept_seed") is None:
        return
    metric = result["metric"]
    for split, models in result["figures"].items():
        found = {name: each[metric] for name, each in models.items() if metric in each}
        rows = [
            [f"seed {one['seed']}", *(f"{each['values'][place]:.3f}" for each in found.values())]
            for place, one in enumerate(result["seeds"])
        ]
        spread = [f"{each['mean']:.3f} ± {each['deviation']:.3f}" for each in found.values()]
        rows.append(["mean ± deviation", *spread])
        note = f"{metric}; the deviation is that of a sample."
        if split == "validation":
            note += f" {result['kept_why']}"
        title = f"Seeds: {split} data"
        yield Table(title=title, head=["seed", *found], rows=rows, note=note)
