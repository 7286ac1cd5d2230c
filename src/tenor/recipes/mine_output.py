"""What mining gives: the rows it writes, and the counts it reports."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tenor.data.schema import PairTable
from tenor.formats.table_writer import written_table
from tenor.recipes.mine import MineConfig
from tenor.recipes.miner import Chosen, Miner

__all__ = ["mining_report", "tell_pairs", "tell_report", "write_negatives"]

log = logging.getLogger("tenor")

WRITTEN = 8_192  # rows that are written at a time

Mask = npt.NDArray[np.bool_]


def tell_pairs(table: PairTable, pairs: PairTable) -> None:
    """Say in the log which pairs of a table are mined for, and what is left out."""
    parts = []
    if len(pairs) < len(table):
        parts.append(f"{len(table) - len(pairs):,} others left out")
    if table.skipped:
        parts.append(f"{len(table.skipped):,} bad rows skipped")
    if "negative" in table.columns:
        parts.append("the negatives it has are replaced")
    left_out = "; " + ", ".join(parts) if parts else ""
    log.info("%s: %s pairs%s", table.path, f"{len(pairs):,}", left_out)


def mining_report(miner: Miner, chosen: Chosen, written_R: Mask) -> dict[str, Any]:
    """Counts of what was mined, for the (R,) rows that are written; see `mine_negatives`."""
    anchor_R = miner.anchor_R[written_R]
    rows, scores = chosen.rows[anchor_R], chosen.scores[anchor_R]
    there = rows >= 0
    random = chosen.random[anchor_R]
    hard = there & (np.arange(rows.shape[1]) < (there.sum(axis=1) - random)[:, None])
    return {
        "rows": len(miner.anchor_R),
        "anchors": len(miner.anchors),
        "corpus": miner.size,
        "corpus_repeats": miner.given - miner.size - miner.empty,
        "corpus_empty": miner.empty,
        "candidates": chosen.candidates,
        "dropped": chosen.dropped,
        "negatives": int(there.sum()),
        "random": int(random.sum()),
        "rows_short": int((chosen.short[miner.anchor_R] > 0).sum()),
        "rows_dropped": int((~written_R).sum()),
        "mean_positive_score": float(miner.similarity_R[written_R].mean()) if len(rows) else None,
        "mean_negative_score": float(scores[hard].mean()) if hard.any() else None,
        "truncated": miner.texts.truncated + miner.anchors.truncated,
    }


def write_negatives(
    config: MineConfig, pairs: PairTable, miner: Miner, chosen: Chosen, written_R: Mask
) -> int:
    """Write the rows, block by block; how many there are."""
    width = 1 if config.format == "triplet" else config.negatives
    negatives = ["negative", *(f"negative_{number}" for number in range(2, width + 1))]
    fields = [(name, pa.string()) for name in ("anchor", "positive", *negatives)]
    if config.scores:
        fields += [(f"{name}_score", pa.float32()) for name in ("positive", *negatives)]
    rows = np.flatnonzero(written_R)
    count = 0
    with written_table(config.out, pa.schema(fields)) as table:
        for start in range(0, len(rows), WRITTEN):
            part = rows[start : start + WRITTEN]
            found = chosen.rows[miner.anchor_R[part]]
            scores = chosen.scores[miner.anchor_R[part]]
            if config.format == "triplet":
                line, place = np.nonzero(found >= 0)
                part, found = part[line], found[line, place][:, None]
                scores = scores[line, place][:, None]
            columns: list[Any] = [
                [pairs.columns[name][row] for row in part.tolist()]
                for name in ("anchor", "positive")
            ]
            columns += [miner.texts.texts(numbers.tolist()) for numbers in found.T]
            if config.scores:
                columns += [miner.similarity_R[part], *scores.T]
            table.write(columns)
            count += len(part)
    return count


def tell_report(report: dict[str, Any], config: MineConfig) -> None:
    """Say in the log what was mined."""
    if report["truncated"]:
        log.info(
            "%s texts are longer than the model reads and were cut", f"{report['truncated']:,}"
        )
    if report["rows_short"]:
        share = report["rows_short"] / report["rows"]
        log.info(
            "%s rows (%.1f %%) had fewer than %d hard negatives; %s random ones filled them up, "
            "%s rows were dropped",
            f"{report['rows_short']:,}", 100 * share, config.negatives,
            f"{report['random']:,}", f"{report['rows_dropped']:,}",
        )  # fmt: skip
    log.info(
        "%s rows, %s negatives, %.1f s: %s",
        f"{report['rows_written']:,}", f"{report['negatives']:,}", report["seconds"], config.out,
    )  # fmt: skip
