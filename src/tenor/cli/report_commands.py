"""The command that writes the report of a run, a sweep or a comparison."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

__all__ = ["add_to", "report"]


def add_to(app: App) -> None:
    """Add the command `report`.

    Args:
        app: the application.
    """
    app.command(report)


def report(
    folder: Path,
    /,
    *,
    out: Path | None = None,
    projection: Annotated[Literal["pca", "umap"], Parameter(name="--map")] = "pca",
    json_output: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Write the report of a run, a sweep or a comparison as one HTML file that works offline.

    From the folder's files alone: figures with intervals, curves, what changed item by item, and
    everything needed to repeat it. `tenor train` and the like leave one by themselves.

    Args:
        folder: of a run (done or not), a sweep or a comparison.
        out: the file; report.html in the folder by default.
        projection: how the map of embeddings is made: pca, or umap (extra umap).
        json_output: print one JSON object on stdout.
    """
    from tenor.recipes.report import write_run_report

    path = write_run_report(folder, out, projection=projection)
    if json_output:
        json.dump({"report": str(path), "bytes": path.stat().st_size}, sys.stdout)
        sys.stdout.write("\n")
    else:
        print(path)
