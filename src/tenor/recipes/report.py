"""The report of a folder that Tenor made: of a run, a sweep or a comparison, from its files."""

from __future__ import annotations

from pathlib import Path

from tenor.errors import ConfigError, DataError
from tenor.evaluation.embedding_map import PROJECTIONS
from tenor.evaluation.report import Report, write_report
from tenor.formats.json_files import read_object
from tenor.recipes.report_compare import compare_report
from tenor.recipes.report_run import run_report
from tenor.recipes.report_sweep import sweep_report
from tenor.recipes.reporting import REPORT
from tenor.training.run import CONFIG, RESULT

__all__ = ["report_of", "write_run_report"]

COMPARISON = "compare.json"


def write_run_report(
    folder: str | Path, out: str | Path | None = None, *, projection: str = "pca"
) -> Path:
    """Write the report of a folder as one HTML file.

    Nothing is computed anew but the map, and no model is loaded.

    Args:
        folder: of a run, done or not, a sweep or a comparison.
        out: the file; report.html in the folder by default.
        projection: of the map of embeddings: pca, or umap (extra umap).

    Returns:
        The file.

    Raises:
        ConfigError: there is no such projection.
        DataError: the folder is none of these, or a table in it is damaged.
        ModelError: a JSON file in it is damaged.
        MissingExtraError: the extra `report`, or that of the projection, is not installed.
    """
    if projection not in PROJECTIONS:
        raise ConfigError("map", projection, " or ".join(PROJECTIONS))
    folder = Path(folder)
    return write_report(out or folder / REPORT, report_of(folder, projection=projection))


def report_of(folder: Path, *, projection: str = "pca") -> Report:
    """The report of a folder; see `write_run_report`."""
    if (folder / COMPARISON).exists():
        return compare_report(read_object(folder / COMPARISON))
    if not (folder / CONFIG).exists():
        raise DataError(
            "holds nothing to report: name the folder of a run (--out of `tenor train`), of a "
            "sweep or of a comparison.",
            path=folder,
        )
    result = read_object(folder / RESULT, optional=True)
    if result.get("method") == "freeze sweep":
        return sweep_report(folder, result)
    return run_report(folder, result, projection=projection)
