"""What a recipe says to the person who waits, once a run."""

from __future__ import annotations

import logging
from pathlib import Path

from tenor.data.schema import PairTable
from tenor.training.processes import is_first_process

__all__ = ["announce_table", "tell", "tell_done"]

log = logging.getLogger("tenor")


def tell(line: str) -> None:
    """Say something to the person who waits, once a run."""
    if is_first_process():
        log.info(line)


def tell_done(out: str | Path) -> None:
    """Say that the run in a folder was done before."""
    tell(f"{out} is done already; nothing to resume.")


def announce_table(table: PairTable, loss: str, why: str) -> None:
    """Say what the training data is, and which loss it gets."""
    skipped = f", {len(table.skipped):,} bad rows skipped" if table.skipped else ""
    tell(f"{table.path}: {len(table):,} rows of kind {table.kind}{skipped}")
    tell(f"loss {loss}: {why}")
